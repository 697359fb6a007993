"""Rows of many prices as they come in: each read by itself, so that every fault is told with its row and its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.catalog.repository.prices import NewPrice
from services.catalog.use_cases.pricing import LARGEST_AMOUNT
from shared.contracts.catalog.pricing import PriceRowError
from shared.contracts.catalog.shapes import Moment
from shared.money import EXPONENTS
from shared.validation import field_at, sentence_of

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
_Amount = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT)]
_A_PRICE = (
    f"An amount is a whole number of minor units from 0 to {LARGEST_AMOUNT}, alone or as {{amount, currency}};"
    " null removes the price."
)


class Amount(BaseModel):
    """Minor units of a currency."""

    model_config = ConfigDict(extra="forbid", strict=True)

    amount: _Amount
    currency: str


class PriceRow(BaseModel):
    """`{price_list | shop, sku, price, minimum_quantity?, list_price?, on_request?, centre?, starts_at?, ends_at?}`.

    `shop` means the list by which the shop sells to everybody; an amount without a currency is in the list's.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    price_list: Annotated[UUID, Field(strict=False)] | None = None
    shop: _Text | None = None
    sku: _Text
    minimum_quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    price: _Amount | Amount | None = None
    list_price: _Amount | Amount | None = None
    on_request: bool = False
    centre: _Text | None = None
    starts_at: Annotated[Moment, Field(strict=False)] | None = None
    ends_at: Annotated[Moment, Field(strict=False)] | None = None

    @property
    def currencies(self) -> set[str]:
        return {each.currency for each in (self.price, self.list_price) if isinstance(each, Amount)}

    def new_price(self, variant_id: UUID) -> NewPrice:
        return NewPrice(
            variant_id,
            self.minimum_quantity,
            _units(self.price),
            _units(self.list_price),
            self.on_request,
            self.centre,
            self.starts_at,
            self.ends_at,
        )


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row that can be read; `number` counts from 1."""

    number: int
    row: PriceRow

    def error(self, code: str, message: str) -> PriceRowError:
        return PriceRowError(row=self.number, sku=self.row.sku, code=code, message=message)


def read(rows: Sequence[Any]) -> tuple[list[ReadRow], list[PriceRowError]]:
    """The rows that make sense by themselves, and what is wrong with the others."""
    good: list[ReadRow] = []
    bad: list[PriceRowError] = []
    for number, raw in enumerate(rows, 1):
        row = _read(number, raw)
        if isinstance(row, ReadRow):
            good.append(row)
        else:
            bad.append(row)
    return good, bad


def _read(number: int, raw: Any) -> ReadRow | PriceRowError:
    if not isinstance(raw, Mapping):
        return PriceRowError(row=number, sku=None, code="malformed_row", message="A row is a JSON object.")
    try:
        read = ReadRow(number, PriceRow.model_validate(raw))
    except ValidationError as error:
        return _invalid(number, raw, error)
    fault = _fault(read.row)
    return read if fault is None else read.error(*fault)


def _fault(row: PriceRow) -> tuple[str, str] | None:
    if (row.price_list is None) == (row.shop is None):
        return "list_or_shop", "A row names either a price_list or a shop."
    if row.price is None and not row.on_request and "price" not in row.model_fields_set:
        return "missing_price", "A row has a price, null to remove one, or on_request."
    if (row.price is None and row.list_price is not None) or (row.on_request and row.price is not None):
        return "contradictory_price", "A price on request has no amount; without a price there is no list price."
    if row.starts_at is not None and row.ends_at is not None and row.ends_at <= row.starts_at:
        return "ends_before_it_starts", "The price would end before it starts."
    unknown = row.currencies - EXPONENTS.keys()
    if unknown:
        return "unknown_currency", f"'{min(unknown)[:20]}' is not an ISO 4217 currency code."
    return None


def _invalid(number: int, raw: Mapping[Any, Any], error: ValidationError) -> PriceRowError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    sku = raw.get("sku")
    told, message = f"invalid_{name}", f"{name}: {sentence_of(first, field_at(PriceRow, first['loc']))}"
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        told, message = "unknown_field", f"A row has no '{name[:100]}'."
    elif first["type"] == "missing" and len(first["loc"]) == 1:
        told = f"missing_{name}"
    elif name in ("price", "list_price"):
        message = f"{name}: {_A_PRICE}"
    is_text = isinstance(sku, str) and sku.isprintable()
    return PriceRowError(row=number, sku=sku[:200] if is_text else None, code=told, message=message)  # type: ignore[index]


def _units(value: int | Amount | None) -> int | None:
    return value.amount if isinstance(value, Amount) else value
