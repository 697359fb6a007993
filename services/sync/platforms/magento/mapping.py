"""Magento's products and stock levels in our words, and ours in its. Pure functions.

A product is a configurable product with its children as variants, or a product by itself, which then is its own only
variant. Ids are entity ids; of a stock level the source and the SKU, which Magento compares without case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import floor
from typing import Any, get_args

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.magento.settings import Choice
from services.sync.platforms.magento.shop import Attribute, AttributeSet, Facts
from shared.money import exponent

JsonObject = dict[str, Any]

CONFIGURABLE = "configurable"
# Bundles and groups are made of other products, and have neither stock nor a price of their own.
TYPES = ("simple", "virtual", "downloadable", CONFIGURABLE)
ENABLED, DISABLED = 1, 2
# Where a product is found: nowhere by itself, or in catalogue and search.
NOT_VISIBLE, VISIBLE = 1, 4
IN_STOCK, OUT_OF_STOCK = 1, 0
# Fields that every shop has an attribute for, and those for which a connection may name others.
_TEXTS = {
    "handle": "url_key",
    "description_html": "description",
    "seo_title": "meta_title",
    "seo_description": "meta_description",
}
CHOSEN = {"brand": "manufacturer", "tags": "meta_keyword"}
MAY_CHOOSE = frozenset(get_args(Choice))
OF_VARIANTS = frozenset(("barcode",))
_OURS = {ENABLED: "active", DISABLED: "draft"}
_DAY = timedelta(days=1)
_LONG_AGO, _FAR_AWAY = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Context:
    """What products are read with. `codes`: by a field of ours, the attribute that a connection keeps it in."""

    facts: Facts
    sets: Mapping[int, AttributeSet]
    categories: Mapping[str, list[str]]
    codes: Mapping[str, str]
    now: datetime


# --- theirs in our words


def product(entity: JsonObject, children: Sequence[JsonObject], context: Context) -> Record:
    """A product with its variants. Raises AnswerNotUnderstood."""
    custom = customs(entity)
    attributes = context.sets[int(entity["attribute_set_id"])]
    differing = axes(entity, context)
    own = {name: code for name, code in context.codes.items() if name not in OF_VARIANTS}
    fields: Fields = {
        "title": entity.get("name") or "",
        "status": _OURS.get(entity.get("status", ENABLED), "draft"),
        **{name: _text(custom, code, attributes) for name, code in {**_TEXTS, **own}.items()},
        "options": [name for name, _ in differing],
        "categories": sorted(
            context.categories[each] for each in map(str, _listed(custom)) if each in context.categories
        ),
        "images": [image(each, context.facts) for each in pictures(entity)],
    }
    if "tags" in fields:
        fields["tags"] = words(fields["tags"])
    members = children if entity["type_id"] == CONFIGURABLE else [entity]
    parts = tuple(variant(each, differing, context) for each in members)
    times = [each for each in (moment(entity.get("updated_at")), *(part.updated_at for part in parts)) if each]
    return Record(str(entity["id"]), fields, max(times, default=None), parts)


def variant(entity: JsonObject, axes: Sequence[tuple[str, Attribute]], context: Context) -> Record:
    """A product that is sold; `axes` are the names and attributes that it differs in from its siblings."""
    custom = customs(entity)
    attributes = context.sets[int(entity["attribute_set_id"])]
    chosen = {name: _text(custom, attribute.code, attributes) for name, attribute in axes if custom.get(attribute.code)}
    fields: Fields = {
        "sku": entity["sku"],
        "options": chosen,
        **prices(entity, context),
        "weight_grams": grams(entity.get("weight"), context.facts.grams),
        "requires_shipping": entity["type_id"] == "simple",
        "taxable": str(custom.get("tax_class_id", "0")) != "0",
    }
    for name in OF_VARIANTS & set(context.codes):
        fields[name] = _text(custom, context.codes[name], attributes)
    return Record(str(entity["id"]), fields, moment(entity.get("updated_at")))


def prices(entity: JsonObject, context: Context) -> Fields:
    """What is paid, and what it is crossed out from while a special price holds."""
    custom, currency = customs(entity), context.facts.currency
    regular, special = entity.get("price"), custom.get("special_price")
    if regular is None:
        return {"price": None, "list_price": None}
    begins = moment(custom.get("special_from_date")) or _LONG_AGO
    # The last day is a whole one.
    ends = (moment(custom.get("special_to_date")) or _FAR_AWAY - _DAY) + _DAY
    if special and begins <= context.now <= ends and Decimal(str(special)) < Decimal(str(regular)):
        return {"price": money(special, currency), "list_price": money(regular, currency)}
    return {"price": money(regular, currency), "list_price": None}


def pictures(entity: JsonObject, *, with_hidden: bool = False) -> list[JsonObject]:
    """Entries of the gallery that are seen, in their order; films are none."""
    entries = [each for each in entity.get("media_gallery_entries") or () if each.get("media_type") == "image"]
    seen = [each for each in entries if with_hidden or not each.get("disabled")]
    return sorted(seen, key=lambda each: (each.get("position") or 0, each["id"]))


def image(entry: JsonObject, facts: Facts) -> JsonObject:
    """A picture in our words."""
    url = f"{facts.media_url.rstrip('/')}/catalog/product/{str(entry['file']).lstrip('/')}"
    return {"url": url, "alt": entry.get("label") or ""}


def level_id(source: str, sku: str) -> str:
    """Of a stock level; the SKU in one case, because Magento does not tell them apart."""
    return f"{source}/{sku.lower()}"


def pieces(item: JsonObject) -> int:
    """What a source has of a SKU: whole pieces, and none of what is marked as out of stock."""
    return max(floor(Decimal(str(item["quantity"]))), 0) if item.get("status") == IN_STOCK else 0


def level(item: JsonObject, reserved: Mapping[tuple[str, str], int]) -> Record:
    """What can be sold of a SKU in a source, less what is `reserved` of it there, by source and SKU in lower case."""
    quantity = max(pieces(item) - reserved.get((item["source_code"], item["sku"].lower()), 0), 0)
    fields: Fields = {"sku": item["sku"], "location": item["source_code"], "quantity": quantity}
    return Record(level_id(item["source_code"], item["sku"]), fields)


def customs(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Custom attributes by their codes."""
    return {each["attribute_code"]: each.get("value") for each in entity.get("custom_attributes") or ()}


def money(amount: object, currency: str) -> JsonObject:
    """An amount in minor units, half up. Raises AnswerNotUnderstood, UnknownCurrency."""
    try:
        minor = Decimal(str(amount)).scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP)
        return {"amount": int(minor), "currency": currency}
    except (ArithmeticError, ValueError):
        raise AnswerNotUnderstood(f"Magento gives {amount!r} as an amount of money.") from None


def grams(weight: object, unit: Decimal) -> int | None:
    """A weight to the gram; None where there is none."""
    if not weight:
        return None
    return int((Decimal(str(weight)) * unit).to_integral_value(ROUND_HALF_UP)) or None


def moment(text: object) -> datetime | None:
    """A time of Magento's, which is UTC and does not say so. Raises AnswerNotUnderstood."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError:
        raise AnswerNotUnderstood(f"Magento gives {text!r} as a time.") from None


def words(text: str) -> list[str]:
    """Words that commas part, sorted, each once."""
    return sorted({each.strip() for each in text.split(",")} - {""})


def axes(entity: JsonObject, context: Context) -> list[tuple[str, Attribute]]:
    """In what a configurable product's children differ, in order."""
    more = entity.get("extension_attributes")
    options = more.get("configurable_product_options") if isinstance(more, dict) else None
    attributes = context.sets[int(entity["attribute_set_id"])].by_id
    found = []
    for option in sorted(options or (), key=lambda each: each.get("position") or 0):
        attribute = attributes.get(str(option["attribute_id"]))
        if attribute is None:
            raise AnswerNotUnderstood(f"Magento's attribute {option['attribute_id']} is not in the product's set.")
        found.append((option.get("label") or attribute.label, attribute))
    return found


def _text(custom: Mapping[str, Any], code: str, attributes: AttributeSet) -> str:
    """What an attribute says, options by their labels."""
    value = custom.get(code)
    attribute = attributes.by_code.get(code)
    if value is None or isinstance(value, list):
        return ""
    if attribute is None or not attribute.has_options:
        return str(value)
    chosen = str(value).split(",") if attribute.kind == "multiselect" else [str(value)]
    return ", ".join(attribute.options.get(each, each) for each in chosen if each)


def _listed(custom: Mapping[str, Any]) -> Sequence[Any]:
    given = custom.get("category_ids") or ()
    return given if isinstance(given, list) else ()


# --- ours in their words


def kept(fields: Mapping[str, Any]) -> Fields:
    """Fields as Magento will keep and give them back: what a write is compared by."""
    normal = dict(fields)
    if "status" in normal:
        normal["status"] = "active" if normal["status"] == "active" else "draft"
    if "tags" in normal:
        normal["tags"] = sorted({each.replace(",", " ").strip() for each in normal["tags"] or ()} - {""})
    if "categories" in normal:
        normal["categories"] = sorted(list(path) for path in normal["categories"] or ())
    for name in (*_TEXTS, *MAY_CHOOSE, "title"):
        if name in normal and name != "tags":
            normal[name] = normal[name] or ""
    if "weight_grams" in normal:
        normal["weight_grams"] = normal["weight_grams"] or None
    if "images" in normal:
        normal["images"] = [{"url": each["url"], "alt": each.get("alt") or ""} for each in normal["images"] or ()]
    return normal


def plain(fields: Mapping[str, Any]) -> JsonObject:
    """What of a product goes by the names of its own fields: title, status and texts without options."""
    given: JsonObject = {}
    if "title" in fields:
        given["name"] = fields["title"]
    if "status" in fields:
        given["status"] = ENABLED if fields["status"] == "active" else DISABLED
    texts = {code: fields[name] or "" for name, code in _TEXTS.items() if name in fields}
    return given | ({"custom_attributes": as_customs(texts)} if texts else {})


def sold(fields: Mapping[str, Any], there: Mapping[str, Any], facts: Facts) -> JsonObject:
    """What of a variant goes by its own fields: price and weight. `there`: what it has of these now."""
    given: JsonObject = {}
    if fields.keys() & {"price", "list_price"}:
        given |= _priced(fields, there)
    if "weight_grams" in fields:
        weight = Decimal(fields["weight_grams"] or 0) / facts.grams
        given["weight"] = float(weight.quantize(Decimal("0.0001"), ROUND_HALF_UP))
    return given


def _priced(fields: Mapping[str, Any], there: Mapping[str, Any]) -> JsonObject:
    """The regular price with a special one below it, or the regular one alone."""
    price = fields.get("price", there.get("price"))
    crossed_out = fields.get("list_price", there.get("list_price"))
    if crossed_out is not None and price is not None and crossed_out["amount"] > price["amount"]:
        special = {"special_price": str(amount(price)), "special_from_date": "", "special_to_date": ""}
        return {"price": float(amount(crossed_out)), "custom_attributes": as_customs(special)}
    given: JsonObject = {} if price is None else {"price": float(amount(price))}
    if there.get("list_price") is not None:
        given["custom_attributes"] = as_customs({"special_price": ""})
    return given


def amount(price: Mapping[str, Any]) -> Decimal:
    """A price in major units. Raises UnknownCurrency."""
    return Decimal(price["amount"]).scaleb(-exponent(price["currency"]))


def as_customs(values: Mapping[str, str]) -> list[JsonObject]:
    """Custom attributes as Magento takes them."""
    return [{"attribute_code": code, "value": value} for code, value in values.items()]


def merged(*payloads: JsonObject) -> JsonObject:
    """Payloads as one, their custom attributes together."""
    custom = [each for payload in payloads for each in payload.get("custom_attributes") or ()]
    whole: JsonObject = {}
    for payload in payloads:
        whole |= payload
    return whole | ({"custom_attributes": custom} if custom else {})


def instant(moment: datetime) -> str:
    """A time as Magento's searches take it: UTC, to the second, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
