"""The custom protocol's JSON, and our shapes: PROTOCOL.md says what each member is. Nothing here asks anybody."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn, Required, TypedDict, TypeVar

import msgspec
from pydantic import ValidationError

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import (
    Fields,
    Outcome,
    Page,
    ProductWrite,
    Record,
    Scan,
    ShipmentWrite,
    StockWrite,
    Unread,
    VariantWrite,
    Written,
)
from services.sync.platforms.http import LONGEST_MESSAGE
from shared.contracts.orders.imported import RemoteOrder
from shared.contracts.sync.shapes import Entity, Greeting, RemotePlace
from shared.money import EXPONENTS

# What a token may have, and what each is for people.
RIGHTS = (
    *("read:products", "read:stock", "read:orders", "read:suppliers", "read:supplier-links"),
    *("write:products", "write:stock", "write:shipments"),
)
_LIST_OF: Mapping[str, str] = {
    "product": "products",
    "stock": "stock",
    "order": "orders",
    "supplier": "suppliers",
    "supplier_link": "supplier-links",
}
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Amount = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
_Quantity = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Text = str | None


class _Money(TypedDict):
    amount: _Amount
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class _Image(TypedDict, total=False):
    url: Required[Annotated[str, msgspec.Meta(min_length=1)]]
    alt: _Text


class _VariantFields(TypedDict, total=False):
    sku: _Text
    barcode: _Text
    options: dict[str, str] | None
    price: _Money | None
    list_price: _Money | None
    weight_grams: Annotated[int, msgspec.Meta(ge=0)] | None
    requires_shipping: bool | None
    taxable: bool | None


class _ProductFields(TypedDict, total=False):
    handle: _Text
    title: _Text
    description_html: _Text
    brand: _Text
    product_type: _Text
    status: Literal["draft", "active", "paused", "archived"]
    seo_title: _Text
    seo_description: _Text
    tags: list[str] | None
    options: list[str] | None
    categories: list[list[str]] | None
    images: list[_Image] | None
    attributes: dict[str, str] | None


class _StockFields(TypedDict, total=False):
    sku: _Id
    location: _Id
    quantity: _Quantity


class _Variant(_VariantFields, total=False):
    id: Required[_Id]


class _Product(_ProductFields, total=False):
    id: Required[_Id]
    updated_at: _Time | None
    variants: list[_Variant]


class _Stock(TypedDict, total=False):
    id: Required[_Id]
    updated_at: _Time | None
    sku: Required[_Id]
    location: Required[_Id]
    quantity: Required[_Quantity]


class _Supplier(TypedDict, total=False):
    id: Required[_Id]
    updated_at: _Time | None
    name: _Text
    email: _Text
    phone: _Text


class _SupplierLink(TypedDict, total=False):
    id: Required[_Id]
    updated_at: _Time | None
    sku: Required[_Id]
    supplier: Required[_Id]
    vendor_sku: _Text
    cost: _Money | None


class _Unread(msgspec.Struct):
    id: _Id | None = None
    message: str = ""


class _Envelope(msgspec.Struct):
    items: list[msgspec.Raw]
    next: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)] | None = None
    total: Annotated[int, msgspec.Meta(ge=0)] | None = None
    unread: list[_Unread] = []


class _Named(msgspec.Struct):
    id: _Id


class _Place(msgspec.Struct):
    id: _Id
    name: str


class _Hello(msgspec.Struct):
    protocol: int
    name: str
    can: list[str]
    version: _Text = None
    currency: _Text = None
    time_zone: _Text = None
    places: list[_Place] = []
    order_statuses: list[str] = []


class _VariantResult(msgspec.Struct):
    id: _Id
    fields: _VariantFields = {}


class _Result(msgspec.Struct):
    outcome: Outcome
    id: _Id | None = None
    message: _Text = None
    fields: msgspec.Raw = msgspec.Raw(b"{}")
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    variants: list[_VariantResult] = []


class _Results(msgspec.Struct):
    results: list[_Result]


_envelope = msgspec.json.Decoder(_Envelope)
_named = msgspec.json.Decoder(_Named)
_hello = msgspec.json.Decoder(_Hello)
_results = msgspec.json.Decoder(_Results)
_LISTS = frozenset(("tags", "options", "categories", "images"))
_NUL = b"\\u0000"
# Escapes in JSON: a whole surrogate pair, half of one, or anything else behind a backslash.
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|u[dD][c-fC-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# What bytes that are no such JSON bring about: bad UTF-8, a hundred thousand brackets, the year 0.
NO_JSON = (msgspec.DecodeError, ValueError, RecursionError, OverflowError)
T = TypeVar("T")


# --- reading


def greeting(body: bytes) -> Greeting:
    """What `GET /hello` says. Raises AnswerNotUnderstood."""
    found = _decoded(_hello, body)
    if found.protocol != 1:
        raise AnswerNotUnderstood(f"The server speaks version {found.protocol} of the protocol, and we speak 1.")
    return Greeting(
        shop_name=shown(found.name),
        currency=found.currency if found.currency in EXPONENTS else None,
        time_zone=shown(found.time_zone) if found.time_zone else None,
        version=shown(found.version) if found.version else None,
        places=[RemotePlace(external_id=place.id, name=shown(place.name)) for place in found.places],
        order_statuses=[shown(status) for status in found.order_statuses],
        missing=[right for right in RIGHTS if right not in found.can],
    )


def list_of(entity: Entity) -> str:
    """What the list of these records is called. Raises PlatformRefused."""
    try:
        return _LIST_OF[entity]
    except KeyError:
        raise PlatformRefused(f"There is no list of {entity} records.") from None


def time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def following(scan: Scan, body: bytes) -> Page:
    """The next page of a scan. Raises AnswerNotUnderstood, also for one that would have it go round."""
    found = page(scan.entity, body)
    if found.resume is not None and found.resume == scan.resume:
        raise AnswerNotUnderstood("The page names itself as the next one.")
    return found


def named(entity: Entity, body: bytes) -> Sequence[Record]:
    """Records that were asked for by their ids. Raises AnswerNotUnderstood where one of them can not be read."""
    found = page(entity, body)
    if found.unread:
        first = found.unread[0]
        raise AnswerNotUnderstood(f"{first.external_id or 'A record'}: {first.message}")
    return found.records


def page(entity: Entity, body: bytes) -> Page:
    """A page of records as `GET /…` gives it. A record that is none is told of, the others are read all the same.

    Raises AnswerNotUnderstood.
    """
    body = _without_halves(body)
    found = _decoded(_envelope, body)
    read = _READERS[entity]
    records = []
    unread = [Unread(each.id, shown(each.message)) for each in found.unread]
    may_have_nul = _NUL in body
    for item in found.items:
        try:
            if may_have_nul and _has_nul(msgspec.json.decode(item)):
                raise ValueError("a text has a NUL character, or half of a character")
            records.append(read(item))
        except ValidationError as error:
            unread.append(Unread(_find_id(item), _first_fault(error)))
        except NO_JSON as error:
            unread.append(Unread(_find_id(item), str(error)[:LONGEST_MESSAGE]))
    return Page(records, found.next, found.total, unread)


def _without_halves(body: bytes) -> bytes:
    """With half of a surrogate pair as NUL: no reader takes it, and only the record that has it is none."""
    return _ESCAPES.sub(_as_nul_if_half, body) if _SURROGATE.search(body) else body


def _as_nul_if_half(escape: re.Match[bytes]) -> bytes:
    is_half = _SURROGATE.match(escape[0]) and escape[1] is None
    return _NUL if is_half else escape[0]


def _record(decoder: "msgspec.json.Decoder[Any]") -> Callable[[msgspec.Raw], Record]:
    def read(item: msgspec.Raw) -> Record:
        fields = decoder.decode(item)
        external_id = fields.pop("id")
        updated_at = fields.pop("updated_at", None)
        variants = fields.pop("variants", ())
        return Record(
            external_id,
            product_fields(fields),
            updated_at and updated_at.astimezone(UTC),
            tuple(Record(variant.pop("id"), variant_fields(variant)) for variant in variants),
        )

    return read


def product_fields(fields: Fields) -> Fields:
    """The same fields with what is empty written in one way: null, or a list or table with nothing in it."""
    for name, value in fields.items():
        if not value and value is not False and value != 0:
            fields[name] = [] if name in _LISTS else {} if name == "attributes" else None
    if tags := fields.get("tags"):
        fields["tags"] = sorted({tag for tag in tags if tag})
    for image in fields.get("images", ()):
        image["alt"] = image.get("alt") or None
    return fields


def variant_fields(fields: Fields) -> Fields:
    """As `product_fields`, of a variant."""
    for name, value in fields.items():
        if not value and value is not False and value != 0:
            fields[name] = {} if name == "options" else None
    return fields


def _order(item: msgspec.Raw) -> Record:
    """An order as orders takes it. Raises ValidationError, ValueError."""
    given = msgspec.json.decode(item)
    if not isinstance(given, dict):
        raise ValueError("an order is an object")
    known = {name: value for name, value in given.items() if name in RemoteOrder.model_fields}
    order = RemoteOrder.model_validate(known | {"external_id": given.get("id")})
    order = order.model_copy(
        update={"placed_at": order.placed_at.astimezone(UTC), "updated_at": order.updated_at.astimezone(UTC)}
    )
    return Record(order.external_id, order.model_dump(mode="json"), order.updated_at)


_READERS: Mapping[str, Callable[[msgspec.Raw], Record]] = {
    "product": _record(msgspec.json.Decoder(_Product)),
    "stock": _record(msgspec.json.Decoder(_Stock)),
    "order": _order,
    "supplier": _record(msgspec.json.Decoder(_Supplier)),
    "supplier_link": _record(msgspec.json.Decoder(_SupplierLink)),
}


def _find_id(item: msgspec.Raw) -> str | None:
    with contextlib.suppress(*NO_JSON):
        return _named.decode(item).id
    return None


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join("id" if part == "external_id" else str(part) for part in first["loc"])
    return f"{place or 'order'}: {first['msg'].removeprefix('Value error, ')}"[:LONGEST_MESSAGE]


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(each) for name, each in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


# --- writing


def product_item(write: ProductWrite) -> dict[str, Any]:
    """A write as an item of `POST /products`."""
    return {
        "operation_key": write.operation_key,
        "id": write.external_id,
        "set": write.fields,
        "expected": write.expected,
        "variants": [_variant_item(variant) for variant in write.variants],
    }


def _variant_item(write: VariantWrite) -> dict[str, Any]:
    return {"id": write.external_id, "sku": write.sku, "set": write.fields, "expected": write.expected}


def stock_item(write: StockWrite) -> dict[str, Any]:
    """A write as an item of `POST /stock`."""
    return {
        "operation_key": write.operation_key,
        "id": write.external_id,
        "sku": write.sku,
        "location": write.location,
        "quantity": write.quantity,
        "expected": write.expected,
    }


def shipment_item(write: ShipmentWrite) -> dict[str, Any]:
    """A write as an item of `POST /shipments`."""
    return {
        "operation_key": write.operation_key,
        "order_id": write.order_external_id,
        "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in write.lines],
        "carrier": write.carrier,
        "tracking_numbers": list(write.tracking_numbers),
        "tracking_url": write.tracking_url,
    }


def products_written(body: bytes, writes: Sequence[ProductWrite]) -> list[Written]:
    """What became of each write. Raises AnswerNotUnderstood, also where there is not one result for each."""
    written = []
    for write, result in zip(writes, _all_results(body, len(writes)), strict=True):
        parts = tuple(
            Written(result.outcome, external_id=part.id, fields=variant_fields(dict(part.fields)))
            for part in result.variants
        )
        is_done = result.outcome in ("ok", "unchanged")
        if is_done and len(parts) != len(write.variants):
            raise AnswerNotUnderstood(
                f"The answer has {len(parts)} variants where {len(write.variants)} were written: {shown(body)}"
            )
        fields = product_fields(_fields(result, _ProductFields, body))
        written.append(_written(result, write.external_id, fields, parts if is_done else ()))
    return written


def stock_written(body: bytes, writes: Sequence[StockWrite]) -> list[Written]:
    """As `products_written`."""
    results = _all_results(body, len(writes))
    return [
        _written(result, write.external_id, _fields(result, _StockFields, body))
        for write, result in zip(writes, results, strict=True)
    ]


def shipments_written(body: bytes, writes: Sequence[ShipmentWrite]) -> list[Written]:
    """As `products_written`."""
    return [_written(result, None, {}) for result in _all_results(body, len(writes))]


def _all_results(body: bytes, count: int) -> list[_Result]:
    results = _decoded(_results, body).results
    if len(results) != count:
        raise AnswerNotUnderstood(f"The answer has {len(results)} results for {count} items: {shown(body)}")
    if any(result.outcome in ("ok", "unchanged") and result.id is None for result in results):
        raise AnswerNotUnderstood(f"A result has no id: {shown(body)}")
    return results


def _fields(result: _Result, shape: Any, body: bytes) -> Fields:
    try:
        found: Fields = msgspec.json.decode(result.fields, type=shape)
    except NO_JSON as error:
        _not_understood(body, error)
    return found


def _written(result: _Result, external_id: str | None, fields: Fields, parts: tuple[Written, ...] = ()) -> Written:
    return Written(
        result.outcome,
        message=shown(result.message) if result.message else None,
        external_id=result.id or external_id,
        fields=fields,
        parts=parts,
        retry_after_seconds=result.retry_after_seconds,
    )


def _decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """Raises AnswerNotUnderstood."""
    try:
        return decoder.decode(body)
    except NO_JSON as error:
        _not_understood(body, error)


def _not_understood(body: bytes, error: Exception) -> NoReturn:
    raise AnswerNotUnderstood(f"{str(error)[:LONGEST_MESSAGE]}: {shown(body)}") from error


def shown(text: str | bytes) -> str:
    plain = text[: LONGEST_MESSAGE * 4].decode(errors="replace") if isinstance(text, bytes) else text
    return plain.replace("\x00", "").strip()[:LONGEST_MESSAGE]
