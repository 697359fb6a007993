"""WooCommerce's products, variations and stock in our words, and ours in its. Pure functions.

A simple product is its own one variant, under its own id. Prices are texts in major units; weights are in the unit of
the shop; times that end with `_gmt` are UTC to the second. Names come back as HTML, so `&amp;` is `&` here.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from shared.money import exponent

JsonObject = dict[str, Any]
Paths = Mapping[int, Sequence[str]]

# WooCommerce counts all of a shop's stock in one place, which has no id.
PLACE = "main"
OPERATION_KEY = "_crossdock_operation_key"
# What a product is in that somebody has put in no category.
_NO_CATEGORY = "uncategorized"
_STATUSES_THERE = {"active": "publish", "draft": "draft", "paused": "draft", "archived": "draft"}
_GRAMS = {"kg": Decimal(1000), "g": Decimal(1), "lbs": Decimal("453.59237"), "oz": Decimal("28.349523125")}
_PLAIN = {"handle": "slug", "title": "name", "description_html": "description"}
_NOT_WORD = re.compile(r"[\W_]+")
PRODUCT_FIELDS = frozenset((*_PLAIN, "status", "brand", "tags", "categories", "images"))
VARIANT_FIELDS = frozenset(
    ("sku", "barcode", "options", "price", "list_price", "weight_grams", "requires_shipping", "taxable")
)


@dataclass(frozen=True, slots=True)
class Shop:
    """What all of a shop's figures are in. `grams` is what one of its unit of weight weighs; None: it is not known."""

    currency: str
    grams: Decimal | None = _GRAMS["kg"]


# --- theirs in our words


def product(node: JsonObject, variations: Sequence[JsonObject], paths: Paths, shop: Shop) -> Record:
    """A product with its variations. Raises UnknownCurrency, AnswerNotUnderstood."""
    fields: Fields = {
        "handle": node["slug"] or "",
        "title": text(node["name"]),
        "description_html": node["description"] or "",
        "status": "active" if node["status"] == "publish" else "draft",
        "tags": sorted({text(each["name"]) for each in node["tags"]}),
        "options": [text(each["name"]) for each in node["attributes"] if each["variation"]],
        "categories": sorted(_paths(node["categories"], paths)),
        "images": [image(each) for each in node["images"]],
        "attributes": _said(node["attributes"]),
    }
    if "brands" in node:
        fields["brand"] = text(node["brands"][0]["name"]) if node["brands"] else ""
    parts = tuple(
        variant(each, shop) for each in (variations if is_variable(node) else [node] if is_sold(node) else ())
    )
    return Record(str(node["id"]), fields, moment(node["date_modified_gmt"]), parts)


def variant(node: JsonObject, shop: Shop) -> Record:
    """A variation, or a simple product as its own variant."""
    is_simple = "variations" in node
    regular, sale = money(node["regular_price"], shop.currency), money(node["sale_price"], shop.currency)
    is_reduced = sale is not None and regular is not None and bool(node["on_sale"])
    chosen = {} if is_simple else {text(each["name"]): text(each["option"]) for each in node["attributes"]}
    fields: Fields = {
        "sku": node["sku"] or "",
        "barcode": node.get("global_unique_id") or "",
        "options": chosen,
        "price": sale if is_reduced else regular,
        "list_price": regular if is_reduced else None,
        "requires_shipping": not node["virtual"],
        "taxable": node["tax_status"] == "taxable",
    }
    if shop.grams is not None:
        fields["weight_grams"] = grams(node["weight"], shop.grams)
    return Record(str(node["id"]), fields, moment(node["date_modified_gmt"]), references=_references(node))


def is_counted(node: JsonObject) -> bool:
    """Whether a product or variation has a level: WooCommerce counts it, and not its product for it."""
    return node["manage_stock"] is True and node["type"] not in ("variable", "grouped", "external")


def level(node: JsonObject, held: int) -> Record:
    """What can be sold of what is counted, with what unpaid orders hold of it."""
    quantity = int(node["stock_quantity"] or 0) + held
    fields: Fields = {"sku": node["sku"] or "", "location": PLACE, "quantity": quantity}
    return Record(str(node["id"]), fields, moment(node["date_modified_gmt"]), references=_references(node))


def is_variable(node: JsonObject) -> bool:
    """Whether what is sold of a product are its variations."""
    return bool(node["variations"]) or str(node["type"]).startswith("variable")


def is_sold(node: JsonObject) -> bool:
    """A group of products is not sold itself."""
    return bool(node["type"] != "grouped")


def image(node: JsonObject) -> JsonObject:
    """A picture in our words."""
    return {"url": node["src"], "alt": text(node["alt"] or "")}


def money(amount: str, currency: str) -> JsonObject | None:
    """A price in minor units; None where there is none. Raises UnknownCurrency, AnswerNotUnderstood."""
    return {"amount": minor(amount, currency), "currency": currency} if amount else None


@lru_cache(maxsize=10_000)
def minor(amount: str, currency: str) -> int:
    """An amount of money in minor units, halves away from zero. Raises UnknownCurrency, AnswerNotUnderstood."""
    try:
        return int(Decimal(amount).scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP))
    except (ArithmeticError, ValueError, TypeError):
        raise AnswerNotUnderstood(f"WooCommerce gives {amount!r} as an amount of money.") from None


def grams(weight: str, unit: Decimal) -> int | None:
    """A weight to the gram; None where there is none, or what stands there is no number."""
    try:
        return int((Decimal(weight) * unit).to_integral_value(ROUND_HALF_UP)) or None
    except (ArithmeticError, ValueError):
        return None


def unit_of_weight(name: str) -> Decimal | None:
    """How many grams one of a shop's unit of weight has."""
    return _GRAMS.get(name)


def moment(gmt: str | None) -> datetime | None:
    """A `_gmt` time, which has no zone. Raises AnswerNotUnderstood."""
    try:
        return None if gmt is None else datetime.fromisoformat(gmt).replace(tzinfo=UTC)
    except ValueError:
        raise AnswerNotUnderstood(f"WooCommerce gives {gmt!r} as a time.") from None


def text(name: str) -> str:
    """A name without the entities of HTML that WordPress keeps it with."""
    return html.unescape(name)


def category_paths(nodes: Sequence[JsonObject]) -> dict[int, list[str]]:
    """By id the names of a category and of all above it, from the top."""
    by_id = {node["id"]: node for node in nodes}
    return {each: _path(each, by_id) for each in by_id}


def _path(category: int, by_id: Mapping[int, JsonObject]) -> list[str]:
    names: list[str] = []
    seen: set[int] = set()
    while category in by_id and category not in seen:
        seen.add(category)
        names.insert(0, text(by_id[category]["name"]))
        category = by_id[category]["parent"]
    return names


def _paths(categories: Sequence[JsonObject], paths: Paths) -> list[list[str]]:
    return [list(paths.get(each["id"]) or [text(each["name"])]) for each in categories if each["slug"] != _NO_CATEGORY]


def _said(attributes: Sequence[JsonObject]) -> dict[str, str]:
    """What a product's page says of it besides: attributes that make no variations, and are shown."""
    return {
        text(each["name"]): ", ".join(map(text, each["options"]))
        for each in attributes
        if each["visible"] and not each["variation"] and each["options"]
    }


def _references(node: JsonObject) -> dict[str, str]:
    return {"product": str(node.get("parent_id") or node["id"])}


# --- ours in their words


def kept(fields: Mapping[str, Any], current: Mapping[str, Any] | None = None) -> Fields:
    """Fields of a product or variant as WooCommerce will keep and give them back: what a write is compared by.

    A list price is one only above the price that it stands beside.
    """
    normal = dict(fields)
    if "status" in normal:
        normal["status"] = "active" if normal["status"] == "active" else "draft"
    if "tags" in normal:
        normal["tags"] = sorted(set(normal["tags"] or ()))
    for name in ("description_html", "brand", "barcode"):
        if name in normal:
            normal[name] = normal[name] or ""
    if "weight_grams" in normal:
        normal["weight_grams"] = normal["weight_grams"] or None
    if normal.get("list_price"):
        price = normal.get("price", (current or {}).get("price"))
        if price is not None and normal["list_price"]["amount"] <= price["amount"]:
            normal["list_price"] = None
    return normal


def product_input(fields: Mapping[str, Any]) -> JsonObject:
    """Texts and status of a product. What it refers to by id (brand, tags, categories, pictures) is not among them."""
    given: JsonObject = {theirs: fields[ours] or "" for ours, theirs in _PLAIN.items() if ours in fields}
    if "status" in fields:
        given["status"] = _STATUSES_THERE[fields["status"]]
    return given


def variant_input(fields: Mapping[str, Any], node: JsonObject | None, shop: Shop) -> JsonObject:
    """What a variation or simple product is to be: what is named, no more. `node`: as it is now."""
    given: JsonObject = {}
    for name, theirs in (("sku", "sku"), ("barcode", "global_unique_id")):
        if name in fields:
            given[theirs] = fields[name] or ""
    if "price" in fields or "list_price" in fields:
        given |= _prices(fields, node, shop)
    if "weight_grams" in fields and shop.grams is not None:
        given["weight"] = weight(fields["weight_grams"], shop.grams)
    if "requires_shipping" in fields:
        given["virtual"] = fields["requires_shipping"] is False
    if "taxable" in fields:
        given["tax_status"] = "none" if fields["taxable"] is False else "taxable"
    return given


def _prices(fields: Mapping[str, Any], node: JsonObject | None, shop: Shop) -> JsonObject:
    """Both prices as they are to be, because WooCommerce reads one by the other. A sale to come is left alone."""
    current = variant(node, shop).fields if node else {}
    price = fields.get("price", current.get("price"))
    list_price = fields.get("list_price", current.get("list_price"))
    waits = bool(node and node["sale_price"] and not node["on_sale"])
    if list_price is None or price is None:
        return {"regular_price": amount(price), **({} if waits else {"sale_price": ""})}
    dates = {"date_on_sale_from": "", "date_on_sale_to": ""} if waits else {}
    return {"regular_price": amount(list_price), "sale_price": amount(price), **dates}


def amount(price: Mapping[str, Any] | None) -> str:
    """A price as WooCommerce takes it: a text in major units with a point; a number is refused, a comma is dropped."""
    return "" if price is None else f"{Decimal(price['amount']).scaleb(-exponent(price['currency'])):f}"


def weight(in_grams: int | None, unit: Decimal) -> str:
    """A weight in the shop's unit, fine enough that it is the same to the gram when it comes back."""
    if not in_grams:
        return ""
    return f"{(Decimal(in_grams) / unit).quantize(Decimal('0.000001')).normalize():f}"


def chosen_options(options: Mapping[str, str], attributes: Sequence[JsonObject]) -> list[JsonObject]:
    """Which value a variation has of each of the product's attributes; shared ones go by their id."""
    ids = {text(each["name"]): each["id"] for each in attributes}
    return [
        {"id": ids[name], "option": value} if ids.get(name) else {"name": name, "option": value}
        for name, value in options.items()
    ]


def with_values(attributes: Sequence[JsonObject], variants: Sequence[Mapping[str, str]]) -> list[JsonObject] | None:
    """A product's whole list of attributes with the values that variants have; None when it has them already."""
    names = ("id", "name", "position", "visible", "variation", "options")
    whole: list[JsonObject] = [
        {name: each[name] for name in names} | {"options": list(each["options"])} for each in attributes
    ]
    has_changed = False
    for attribute in (each for each in whole if each["variation"]):
        for options in variants:
            value = options.get(text(attribute["name"]))
            if value is not None and value not in map(text, attribute["options"]):
                attribute["options"].append(value)
                has_changed = True
    return whole if has_changed else None


def not_offered(attributes: Sequence[JsonObject], variations: Sequence[JsonObject]) -> list[dict[str, str]]:
    """Values that variations have and their product's attributes lack, so that no buyer can choose them.

    No value stands for any of them, and older versions kept a value as its slug.
    """
    offered = {text(each["name"]): {_slug(text(option)) for option in each["options"]} for each in attributes}
    chosen = [(text(each["name"]), text(each["option"])) for node in variations for each in node["attributes"]]
    return [{name: value} for name, value in chosen if value and _slug(value) not in offered.get(name, ())]


def _slug(value: str) -> str:
    return _NOT_WORD.sub("-", value.casefold()).strip("-")


def new_attributes(
    names: Sequence[str], variants: Sequence[Mapping[str, str]], texts: Mapping[str, str]
) -> list[JsonObject]:
    """The attributes of a product that is to be made: its options with their values, then what is only said of it."""
    values: dict[str, dict[str, None]] = {name: {} for name in names}
    for options in variants:
        for name, value in options.items():
            values.setdefault(name, {})[value] = None
    varied: list[JsonObject] = [
        {"name": name, "position": place, "visible": True, "variation": True, "options": list(of)}
        for place, (name, of) in enumerate(values.items())
    ]
    said: list[JsonObject] = [
        {"name": name, "position": len(varied) + place, "visible": True, "variation": False, "options": [value]}
        for place, (name, value) in enumerate(texts.items())
        if name not in values
    ]
    return [*varied, *said]
