"""PrestaShop's products, variants, stock and suppliers in our words, and ours in its. Pure functions.

A product without combinations is its own only variant. Variants are known by product and combination, `30-45`, and by
`30-0` where there is none. A combination has the difference of its price and weight to the product's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.prestashop.times import LocalTime
from services.sync.platforms.prestashop.xml import Translated
from shared.money import exponent

JsonObject = dict[str, Any]

_GRAMS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "lb": Decimal("453.59237"),
    "lbs": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
_MILLIONTH = Decimal("0.000001")
# No shop has such a price, weight or quantity: more than its columns hold.
_MOST = Decimal(10) ** 18
# A field of a product and what it is called there; the translated ones are texts of one language.
_TRANSLATED = {
    "handle": "link_rewrite",
    "title": "name",
    "description_html": "description",
    "seo_title": "meta_title",
    "seo_description": "meta_description",
}
PRODUCT_FIELDS = frozenset((*_TRANSLATED, "brand", "status", "tags", "categories", "images"))
VARIANT_FIELDS = frozenset(("sku", "barcode", "price", "weight_grams"))


@dataclass(frozen=True, slots=True)
class Units:
    """What a shop's texts, prices and weights are in. `rate` is the tax in percent that prices here have in them."""

    language: int
    currency: str
    time: LocalTime
    weight: str = "kg"
    rate: Decimal = Decimal(0)

    @property
    def grams(self) -> Decimal:
        """How many are one unit of the shop's."""
        return _GRAMS.get(self.weight.lower(), Decimal(1000))


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside products in other resources, by ids: `values` are names of an option and of its value."""

    combinations: Mapping[str, Sequence[JsonObject]] = field(default_factory=dict)
    values: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base_url: str = ""


# --- uneven JSON


def text(value: object, language: int) -> str:
    """A text: by itself, or in a list of languages. What is null, false or of another language is empty."""
    if isinstance(value, list):
        told = [each for each in value if isinstance(each, dict) and str(each.get("id")) == str(language)]
        return text(told[0].get("value"), language) if told else ""
    return "" if value is None or isinstance(value, bool | dict) else str(value)


def key(value: object) -> str:
    """An id, which comes as a number or as a text; `0`, null and nothing are an empty text."""
    found = text(value, 0).strip()
    return "" if found == "0" else found


def flag(value: object) -> bool:
    """A truth value, which comes as `"1"`, `1` or true."""
    return value is True or text(value, 0).strip() == "1"


def decimal(value: object) -> Decimal:
    """A number, which comes as a text or is left out. Raises AnswerNotUnderstood."""
    try:
        found = Decimal(text(value, 0).strip() or 0)
    except ArithmeticError:
        found = _MOST
    if not found.is_finite() or found.copy_abs() >= _MOST:
        raise AnswerNotUnderstood(f"The shop gives {str(value)[:50]!r} as a number.")
    return found


def whole(value: object) -> int:
    """A whole number. Raises AnswerNotUnderstood."""
    return int(decimal(value))


def ids(row: Mapping[str, Any], name: str) -> list[str]:
    """The ids of one of a record's associations, in order."""
    associations = row.get("associations")
    listed = associations.get(name) if isinstance(associations, dict) else None
    return [key(each.get("id")) for each in listed or () if isinstance(each, dict) and key(each.get("id"))]


# --- theirs in our words


def product(row: JsonObject, beside: Beside, units: Units, now: Any) -> Record:
    """A product with its variants."""
    external_id = key(row["id"])
    combinations = beside.combinations.get(external_id, ())
    parts = [combination(each, row, beside, units) for each in combinations] or [only_variant(row, units)]
    fields: Fields = {
        **{ours: text(row.get(theirs), units.language) for ours, theirs in _TRANSLATED.items()},
        "brand": text(row.get("manufacturer_name"), units.language),
        "status": "active" if flag(row.get("active")) and key(row.get("state", "1")) else "draft",
        "tags": sorted({beside.tags[each] for each in ids(row, "tags") if each in beside.tags}),
        "options": list(dict.fromkeys(name for part in parts for name in part.fields["options"])),
        "categories": sorted(list(beside.paths[each]) for each in ids(row, "categories") if beside.paths.get(each)),
        "images": [image(beside.base_url, each) for each in _pictures(row)],
    }
    return Record(external_id, fields, units.time.utc(row.get("date_upd"), now), tuple(parts))


def only_variant(row: JsonObject, units: Units) -> Record:
    """The variant of a product without combinations."""
    fields: Fields = {
        "sku": text(row.get("reference"), units.language),
        "barcode": _barcode(row),
        "options": {},
        "price": money(decimal(row.get("price")), units),
        "weight_grams": _in_grams(decimal(row.get("weight")), units),
    }
    return Record(f"{key(row['id'])}-0", fields)


def combination(row: JsonObject, of: JsonObject, beside: Beside, units: Units) -> Record:
    """A variant of a product with combinations."""
    chosen = [beside.values[each] for each in ids(row, "product_option_values") if each in beside.values]
    fields: Fields = {
        "sku": text(row.get("reference"), units.language),
        "barcode": _barcode(row),
        "options": dict(sorted(chosen)),
        "price": money(decimal(of.get("price")) + decimal(row.get("price")), units),
        "weight_grams": _in_grams(decimal(of.get("weight")) + decimal(row.get("weight")), units),
    }
    return Record(f"{key(of['id'])}-{key(row['id'])}", fields)


def image(base_url: str, image_id: str) -> JsonObject:
    """A picture by the address that everybody may fetch it from: its file lies in folders of the digits of its id."""
    return {"url": f"{base_url}/img/p/{'/'.join(image_id)}/{image_id}.jpg", "alt": ""}


def _pictures(row: JsonObject) -> list[str]:
    """Ids of a product's pictures, the cover first."""
    cover = key(row.get("id_default_image"))
    found = ids(row, "images")
    return sorted(found, key=lambda each: each != cover)


def image_id(url: str) -> str:
    """The id in the address of a picture; an empty text for an address that is no picture of a shop's."""
    name = url.rpartition("/")[2].partition(".")[0]
    return name if name.isascii() and name.isdigit() and f"/img/p/{'/'.join(name)}/" in url else ""


def level(row: JsonObject, sku: str, location: str, held: int = 0) -> Record:
    """What can be sold of a SKU, with what unpaid orders have taken of it."""
    fields: Fields = {"sku": sku, "location": location, "quantity": whole(row.get("quantity")) + held}
    references = {
        "product": text(row.get("id_product"), 0),
        "combination": text(row.get("id_product_attribute"), 0) or "0",
    }
    return Record(key(row["id"]), fields, references=references)


def supplier(row: JsonObject, address: Mapping[str, Any] | None, units: Units, now: Any) -> Record:
    """A supplier with the telephone number of its address; PrestaShop knows no e-mail of it."""
    given = address or {}
    fields: Fields = {
        "name": text(row.get("name"), units.language),
        "phone": text(given.get("phone"), 0) or text(given.get("phone_mobile"), 0),
    }
    return Record(key(row["id"]), fields, units.time.utc(row.get("date_upd"), now))


def supplier_link(row: JsonObject, sku: str, currency: str) -> Record:
    """Which supplier has a SKU, under which number and at what cost."""
    cost = decimal(row.get("product_supplier_price_te"))
    fields: Fields = {
        "sku": sku,
        "supplier": key(row.get("id_supplier")),
        "vendor_sku": text(row.get("product_supplier_reference"), 0),
        "cost": {"amount": minor(cost, currency), "currency": currency} if cost else None,
    }
    return Record(key(row["id"]), fields)


def money(net: Decimal, units: Units) -> JsonObject:
    """A price of the shop's, which has no tax in it, in minor units."""
    return {"amount": minor(net * (100 + units.rate) / 100, units.currency), "currency": units.currency}


def minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units. Raises UnknownCurrency."""
    return int(amount.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP))


def _barcode(row: JsonObject) -> str:
    return text(row.get("ean13"), 0) or text(row.get("upc"), 0)


def _in_grams(weight: Decimal, units: Units) -> int | None:
    return int((weight * units.grams).to_integral_value(ROUND_HALF_UP)) or None


# --- ours in their words


def kept(fields: Mapping[str, Any]) -> Fields:
    """Fields of a product or variant as PrestaShop will keep and give them back: what a write is compared by."""
    normal = dict(fields)
    if "status" in normal:
        normal["status"] = "active" if normal["status"] == "active" else "draft"
    if "tags" in normal:
        normal["tags"] = sorted(set(normal["tags"]))
    if "categories" in normal:
        normal["categories"] = sorted(list(path) for path in normal["categories"] if path)
    for name in ("description_html", "brand", "seo_title", "seo_description", "barcode"):
        if name in normal:
            normal[name] = normal[name] or ""
    if "weight_grams" in normal:
        normal["weight_grams"] = normal["weight_grams"] or None
    return normal


def product_row(fields: Mapping[str, Any], units: Units) -> dict[str, str | Translated]:
    """Texts and status of a product as they are written; its lists and its brand are not among them."""
    given: dict[str, str | Translated] = {
        theirs: Translated(units.language, fields[ours] or "") for ours, theirs in _TRANSLATED.items() if ours in fields
    }
    if "status" in fields:
        given["active"] = "1" if fields["status"] == "active" else "0"
    return given


def variant_row(
    fields: Mapping[str, Any], units: Units, *, price: Decimal = Decimal(0), weight: Decimal = Decimal(0)
) -> dict[str, str | Translated]:
    """A variant as it is written: less the product's own price and weight where it is a combination."""
    given: dict[str, str | Translated] = {}
    if "sku" in fields:
        given["reference"] = fields["sku"] or ""
    if "barcode" in fields:
        code = fields["barcode"] or ""
        given |= {"ean13": "", "upc": code} if len(code) == 12 else {"ean13": code, "upc": ""}
    if "price" in fields:
        given["price"] = _written(net(fields["price"], units) - price)
    if "weight_grams" in fields:
        given["weight"] = _written(Decimal(fields["weight_grams"] or 0) / units.grams - weight)
    return given


def net(price: Mapping[str, Any], units: Units) -> Decimal:
    """A price of ours without the tax that it may have in it, to the six decimals that the shop keeps."""
    gross = Decimal(price["amount"]).scaleb(-exponent(price["currency"]))
    return (gross * 100 / (100 + units.rate)).quantize(_MILLIONTH, ROUND_HALF_UP)


def _written(number: Decimal) -> str:
    return f"{number.quantize(_MILLIONTH, ROUND_HALF_UP):f}"
