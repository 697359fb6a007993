"""Shopify's products, variants and stock levels in our words, and ours in its. Pure functions.

External ids are what stands behind the last stroke of Shopify's (`gid://shopify/Product/632910392`): the numbers that a
merchant sees in the admin and that webhooks carry. A node has its connections as plain lists here: `variants`, `media`
and `collections` hold nodes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from shared.money import exponent

JsonObject = dict[str, Any]

# What a product without options has in their place.
DEFAULT_OPTION, DEFAULT_VALUE = "Title", "Default Title"
_STATUSES = {"ACTIVE": "active", "UNLISTED": "active", "DRAFT": "draft", "ARCHIVED": "archived"}
# Shopify has no pause: what is paused is taken out of every sales channel by being a draft.
_STATUSES_THERE = {"active": "ACTIVE", "draft": "DRAFT", "paused": "DRAFT", "archived": "ARCHIVED"}
_GRAMS = {
    "GRAMS": Decimal(1),
    "KILOGRAMS": Decimal(1000),
    "OUNCES": Decimal("28.349523125"),
    "POUNDS": Decimal("453.59237"),
}
# A field of a product and what it is called in the inputs of productUpdate and productSet.
_PLAIN = {
    "handle": "handle",
    "title": "title",
    "description_html": "descriptionHtml",
    "brand": "vendor",
    "product_type": "productType",
}
PRODUCT_FIELDS = frozenset((*_PLAIN, "status", "seo_title", "seo_description", "tags", "categories", "images"))
VARIANT_FIELDS = frozenset(
    ("sku", "barcode", "options", "price", "list_price", "weight_grams", "requires_shipping", "taxable")
)


# --- ids


def short(gid: str) -> str:
    """Our external id of a global id."""
    return gid.rpartition("/")[2]


def gid(kind: str, external_id: str) -> str:
    """Shopify's global id of a record of this kind."""
    return external_id if external_id.startswith("gid://") else f"gid://shopify/{kind}/{external_id}"


# --- theirs in our words


def product(node: JsonObject, currency: str) -> Record:
    """A product with its variants. `currency`: the shop's, which all its prices are in."""
    seo = node["seo"] or {}
    has_options = not node.get("hasOnlyDefaultVariant")
    fields: Fields = {
        "handle": node["handle"],
        "title": node["title"],
        "description_html": node["descriptionHtml"] or "",
        "brand": node["vendor"] or "",
        "product_type": node["productType"] or "",
        "status": _STATUSES.get(node["status"], "draft"),
        "seo_title": seo.get("title") or "",
        "seo_description": seo.get("description") or "",
        "tags": sorted(node["tags"]),
        "options": [option["name"] for option in node["options"]] if has_options else [],
        "categories": sorted([each["title"]] for each in node["collections"]),
        "images": [image(medium) for medium in node["media"] if is_image(medium)],
    }
    parts = tuple(variant(each, currency, has_options=has_options) for each in node["variants"])
    return Record(short(node["id"]), fields, moment(node["updatedAt"]), parts)


def variant(node: JsonObject, currency: str, *, has_options: bool | None = None) -> Record:
    """A variant; without `has_options` its own options tell whether it is the only one of a product without any."""
    item = node["inventoryItem"] or {}
    chosen = {each["name"]: each["value"] for each in node["selectedOptions"]}
    if has_options is False or (has_options is None and chosen == {DEFAULT_OPTION: DEFAULT_VALUE}):
        chosen = {}
    fields: Fields = {
        "sku": node["sku"] or item.get("sku") or "",
        "barcode": node["barcode"] or "",
        "options": chosen,
        "price": money(node["price"], currency),
        "list_price": None if node["compareAtPrice"] is None else money(node["compareAtPrice"], currency),
        "weight_grams": grams((item.get("measurement") or {}).get("weight")),
        "requires_shipping": bool(item.get("requiresShipping", True)),
        "taxable": bool(node["taxable"]),
    }
    references = {"inventory_item": short(item["id"])} if item else {}
    return Record(short(node["id"]), fields, moment(node["updatedAt"]), references=references)


def is_image(medium: JsonObject) -> bool:
    """Whether a medium is a picture that can be seen: one that Shopify still works at has no address yet."""
    return medium.get("mediaContentType") == "IMAGE" and bool((medium.get("image") or {}).get("url"))


def image(medium: JsonObject) -> JsonObject:
    """A picture in our words."""
    return {"url": medium["image"]["url"], "alt": medium["alt"] or ""}


def level(node: JsonObject) -> Record | None:
    """What can be sold of a SKU in a place; None where Shopify does not count."""
    item = node["item"]
    counted = [each["quantity"] for each in node["quantities"] if each["name"] == "available"]
    if not counted or not item.get("tracked", True) or node.get("isActive") is False:
        return None
    fields: Fields = {"sku": item["sku"] or "", "location": short(node["location"]["id"]), "quantity": counted[0]}
    references = {"inventory_item": short(item["id"])}
    return Record(short(node["id"]), fields, moment(node["updatedAt"]), references=references)


def money(amount: str, currency: str) -> JsonObject:
    """An amount in minor units. Raises UnknownCurrency, AnswerNotUnderstood."""
    return {"amount": _minor(amount, currency), "currency": currency}


@lru_cache(maxsize=10_000)
def _minor(amount: str, currency: str) -> int:
    """Kept, because prices repeat: to read one anew is a third of the work of a variant."""
    try:
        return int(Decimal(amount).scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP))
    except (ArithmeticError, ValueError, TypeError):
        raise AnswerNotUnderstood(f"Shopify gives {amount!r} as an amount of money.") from None


def grams(weight: JsonObject | None) -> int | None:
    """A weight to the gram; None where there is none, which Shopify has as 0, or its unit is not known."""
    unit = _GRAMS.get(weight["unit"]) if weight else None
    if weight is None or unit is None or not weight["value"]:
        return None
    return int((Decimal(str(weight["value"])) * unit).to_integral_value(ROUND_HALF_UP)) or None


def moment(text: str) -> datetime:
    """A time of Shopify's, always with its zone, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


# --- ours in their words


def kept(fields: Mapping[str, Any]) -> Fields:
    """Fields of a product or variant as Shopify will keep and give them back: what a write is compared by."""
    normal = dict(fields)
    if "status" in normal:
        normal["status"] = _STATUSES[_STATUSES_THERE[normal["status"]]]
    if "tags" in normal:
        normal["tags"] = sorted(set(normal["tags"]))
    if "categories" in normal:
        normal["categories"] = sorted([path[-1]] for path in normal["categories"] if path)
    for name in ("description_html", "brand", "product_type", "seo_title", "seo_description", "barcode"):
        if name in normal:
            normal[name] = normal[name] or ""
    if "weight_grams" in normal:
        normal["weight_grams"] = normal["weight_grams"] or None
    return normal


def product_input(fields: Mapping[str, Any]) -> JsonObject:
    """Texts, status and search texts of a product, for productUpdate and productSet; its lists are not among them."""
    given: JsonObject = {theirs: fields[ours] or "" for ours, theirs in _PLAIN.items() if ours in fields}
    if "status" in fields:
        given["status"] = _STATUSES_THERE[fields["status"]]
    seo = {name: fields[f"seo_{name}"] or "" for name in ("title", "description") if f"seo_{name}" in fields}
    return {**given, "seo": seo} if seo else given


def variant_input(fields: Mapping[str, Any]) -> JsonObject:
    """What a variant is to be, for productVariantsBulkUpdate and productVariantsBulkCreate: what is named, no more."""
    given: JsonObject = {}
    if "price" in fields:
        given["price"] = amount(fields["price"])
    if "list_price" in fields:
        given["compareAtPrice"] = None if fields["list_price"] is None else amount(fields["list_price"])
    for name in ("barcode", "taxable"):
        if name in fields:
            given[name] = fields[name]
    if fields.get("options"):
        given["optionValues"] = option_values(fields["options"])
    item: JsonObject = {}
    if "sku" in fields:
        item["sku"] = fields["sku"]
    if "requires_shipping" in fields:
        item["requiresShipping"] = fields["requires_shipping"]
    if "weight_grams" in fields:
        item["measurement"] = {"weight": {"unit": "GRAMS", "value": float(fields["weight_grams"] or 0)}}
    return {**given, "inventoryItem": item} if item else given


def new_variant_input(fields: Mapping[str, Any]) -> JsonObject:
    """A variant that is to be made: its stock is counted from the beginning, and nothing is sold that is not there."""
    given = variant_input(fields)
    given["inventoryItem"] = {**given.get("inventoryItem", {}), "tracked": True}
    given.setdefault("optionValues", option_values({}))
    return {**given, "inventoryPolicy": "DENY"}


def option_values(options: Mapping[str, str]) -> list[JsonObject]:
    """Which value a variant has of each option; of one without options, what Shopify has in their place."""
    chosen = options or {DEFAULT_OPTION: DEFAULT_VALUE}
    return [{"optionName": name, "name": value} for name, value in chosen.items()]


def product_options(names: Sequence[str], variants: Sequence[Mapping[str, Any]]) -> list[JsonObject]:
    """The options of a new product with the values that its variants have, in the order they come."""
    chosen: dict[str, dict[str, None]] = {name: {} for name in names}
    for fields in variants:
        for name, value in (fields.get("options") or {}).items():
            chosen.setdefault(name, {})[value] = None
    used = {name: values for name, values in chosen.items() if values} or {DEFAULT_OPTION: {DEFAULT_VALUE: None}}
    return [{"name": name, "values": [{"name": value} for value in values]} for name, values in used.items()]


def amount(price: Mapping[str, Any]) -> str:
    """A price as Shopify takes it: major units with their point. Raises UnknownCurrency."""
    return str(Decimal(price["amount"]).scaleb(-exponent(price["currency"])))
