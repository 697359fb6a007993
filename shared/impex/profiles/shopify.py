"""Shopify's product CSV, with the headings of its older exports and those of 2025.

One row per variant and, where a product has more images than variants, rows that only add an image. What describes
the product stands in its first row. Source: https://help.shopify.com/en/manual/products/import-export/using-csv.

Read as follows. `Title` / `Default Title` is Shopify's way of saying "no options". The inventory tracker is not looked
at: a quantity is taken as stock. `Published` = false makes an active product *paused*, and one without a status a
*draft*; `Unlisted` is *paused*. A compare-at price of zero is none. Weights are in grams, and are told in the unit that
the row says they are shown in, where it says one. Google Shopping's gender, age group, condition and custom labels, and
product metafields, become attributes. Known and not kept, as a notice says: fulfilment service, inventory tracker, unit
prices, linked options, advertising columns, metafields of variants, and the columns of markets (`Price /
International`).
"""

import re
from functools import partial
from types import MappingProxyType
from typing import Any

from shared.impex import cells
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.profiles.base import ATTRIBUTE, NOT_KEPT, Convert, ProductProfile, common_variant_converters, trimmed
from shared.impex.rows import ProductStatus, StockPolicy
from shared.measures import WeightUnit, weight_in
from shared.money import Money

_CLASSIC = {
    "Handle": "handle",
    "Title": "title",
    "Body (HTML)": "description_html",
    "Vendor": "brand",
    "Product Category": "category",
    "Type": "product_type",
    "Tags": "tags",
    "Published": "published",
    "Variant SKU": "sku",
    "Variant Grams": "weight_grams",
    "Variant Inventory Tracker": NOT_KEPT,
    "Variant Inventory Qty": "quantity",
    "Variant Inventory Policy": "stock_policy",
    "Variant Fulfillment Service": NOT_KEPT,
    "Variant Price": "price",
    "Variant Compare At Price": "list_price",
    "Variant Requires Shipping": "requires_shipping",
    "Variant Taxable": "taxable",
    "Variant Barcode": "barcode",
    "Image Src": "image_src",
    "Image Position": "image_position",
    "Image Alt Text": "image_alt",
    "Gift Card": f"{ATTRIBUTE}gift_card",
    "SEO Title": "seo_title",
    "SEO Description": "seo_description",
    "Variant Image": "image_url",
    "Variant Weight Unit": "weight_shown_in",
    "Variant Tax Code": "tax_code",
    "Cost per item": "cost",
    "Status": "status",
    "Collection": "collection",
    "Standard Product Type": "category",
    "Custom Product Type": "product_type",
    "Google Shopping / MPN": "mpn",
    "Google Shopping / AdWords Grouping": NOT_KEPT,
    "Google Shopping / AdWords Labels": NOT_KEPT,
}
_OF_2025 = {
    "URL handle": "handle",
    "Description": "description_html",
    "Published on online store": "published",
    "SKU": "sku",
    "Barcode": "barcode",
    "Price": "price",
    "Compare-at price": "list_price",
    "Charge tax": "taxable",
    "Tax code": "tax_code",
    "Inventory tracker": NOT_KEPT,
    "Inventory quantity": "quantity",
    "Continue selling when out of stock": "stock_policy",
    "Weight value (grams)": "weight_grams",
    "Weight unit for display": "weight_shown_in",
    "Requires shipping": "requires_shipping",
    "Fulfillment service": NOT_KEPT,
    "Product image URL": "image_src",
    "Variant image URL": "image_url",
    "Google Shopping / Manufacturer part number (MPN)": "mpn",
    "Google Shopping / Ad group name": NOT_KEPT,
    "Google Shopping / Ads labels": NOT_KEPT,
}
_IN_BOTH = {
    **{f"Option{n} Name": f"option_{n}_name" for n in (1, 2, 3)},
    **{f"Option{n} Value": f"option_{n}_value" for n in (1, 2, 3)},
    **{f"Option{n} Linked To": NOT_KEPT for n in (1, 2, 3)},
    **{f"Unit Price {of} Measure": NOT_KEPT for of in ("Total", "Base")},
    **{f"Unit Price {of} Measure Unit": NOT_KEPT for of in ("Total", "Base")},
    "Google Shopping / Google Product Category": "google_category",
    "Google Shopping / Gender": f"{ATTRIBUTE}gender",
    "Google Shopping / Age Group": f"{ATTRIBUTE}age_group",
    "Google Shopping / Condition": f"{ATTRIBUTE}condition",
    "Google Shopping / Custom Product": NOT_KEPT,
    **{f"Google Shopping / Custom Label {n}": f"{ATTRIBUTE}custom_label_{n}" for n in range(5)},
}
_METAFIELD = re.compile(r"\(product\.metafields\.([^)\s]+)\)\s*$", re.IGNORECASE)
_UNKEPT = re.compile(
    r"^\s*(?:included|price|compare[- ]at price) / |\(variant\.metafields\.[^)\s]+\)\s*$", re.IGNORECASE
)
_POLICIES = {
    **dict.fromkeys(("deny", "false", "no"), StockPolicy.STANDARD),
    **dict.fromkeys(("continue", "true", "yes"), StockPolicy.BACKORDER),
}
_STATUSES = {
    "active": ProductStatus.ACTIVE,
    "draft": ProductStatus.DRAFT,
    "archived": ProductStatus.ARCHIVED,
    "unlisted": ProductStatus.PAUSED,
}
_UNITS: dict[str, WeightUnit] = {"g": "g", "kg": "kg", "oz": "oz", "lb": "lb", "lbs": "lb"}
_NO_OPTION = ("title", "default title")


class ShopifyProfile(ProductProfile):
    name = "shopify"
    headings = MappingProxyType({**_CLASSIC, **_OF_2025, **_IN_BOTH})
    keys = ("handle", "title")
    variant_marks = ("option_1_value", "option_2_value", "option_3_value", "sku", "barcode", "price")
    first_row_is_variant = True
    separators = MappingProxyType({"tags": ", ", "category": " > "})
    read_together = (("published", "status"), ("category", "google_category", "collection"), ("tags",))
    finished = frozenset(("published", "status", "category", "google_category", "collection"))
    composed = frozenset(("weight_shown_in",))

    def field_of(self, heading: str) -> str | None:
        """As the table says; a metafield's column is an attribute, and a market's is not kept."""
        if metafield := _METAFIELD.search(heading):
            return f"{ATTRIBUTE}{metafield[1]}"
        return NOT_KEPT if _UNKEPT.search(heading) else super().field_of(heading)

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **dict.fromkeys(("title", "description_html", "seo_title", "seo_description"), cells.text),
            **dict.fromkeys(("brand", "product_type", "collection"), cells.text),
            "category": Remembered(_path).__getitem__,
            "google_category": Remembered(_path).__getitem__,
            "tags": Remembered(partial(cells.tags, separator=",")).__getitem__,
            "published": Remembered(cells.boolean).__getitem__,
            "status": Remembered(_status).__getitem__,
            f"{ATTRIBUTE}gift_card": Remembered(_gift_card).__getitem__,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **common_variant_converters(currency),
            "list_price": Remembered(partial(_compare_at_price, currency=currency)).__getitem__,
            "stock_policy": Remembered(_policy).__getitem__,
            "weight_shown_in": trimmed(Remembered(_unit).__getitem__),
        }

    def finish_variant(self, values: dict[str, Any]) -> None:
        unit, grams = values.pop("weight_shown_in", None), values.get("weight_grams")
        if unit is not None and grams is not None:
            values["weight"] = weight_in(grams, unit)

    def image_converters(self) -> dict[str, Convert]:
        return {"image_src": trimmed(cells.url), "image_position": trimmed(_position), "image_alt": cells.text}

    def finish(self, values: dict[str, Any]) -> None:
        published = values.pop("published", None)
        if published is False and values.get("status", ProductStatus.ACTIVE) is ProductStatus.ACTIVE:
            values["status"] = ProductStatus.PAUSED if "status" in values else ProductStatus.DRAFT
        elif published is not None:
            values.setdefault("status", ProductStatus.ACTIVE)
        google = values.pop("google_category", None)
        category = values.pop("category", None) or google
        collection = values.pop("collection", None)
        paths = dict.fromkeys(path for path in (category, collection and (collection,)) if path)
        if paths:
            values["categories"] = tuple(paths)

    def option_names(self, names: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
        """Shopify writes the option `Title` with the value `Default Title` where there is none."""
        is_none = len(names) == 1 and names[0].casefold() == _NO_OPTION[0] and not self.option_values(values)
        return () if is_none else names

    def option_values(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return () if len(values) == 1 and values[0].casefold() == _NO_OPTION[1] else values


def _path(cell: str) -> tuple[str, ...] | None:
    """`Apparel > Tops` as a path. Google's numeric category ids name nothing that could be shown."""
    return None if cell.isdigit() else tuple(step.strip() for step in cell.split(">") if step.strip()) or None


def _status(cell: str) -> ProductStatus:
    try:
        return _STATUSES[cell.casefold()]
    except KeyError:
        raise InvalidCell("invalid_status", f"{cell!r} is not a status: active, draft, archived or unlisted.") from None


def _policy(cell: str) -> StockPolicy:
    try:
        return _POLICIES[cell.casefold()]
    except KeyError:
        raise InvalidCell("invalid_stock_policy", f"{cell!r} is neither 'deny' nor 'continue'.") from None


def _unit(cell: str) -> WeightUnit:
    try:
        return _UNITS[cell.casefold()]
    except KeyError:
        raise InvalidCell("invalid_weight_unit", f"{cell!r} is not a unit of weight: g, kg, oz or lb.") from None


def _position(cell: str) -> int:
    position = cells.integer(cell)
    if position < 1:
        raise InvalidCell("invalid_integer", f"{cell!r} is not the position of an image; the first is 1.")
    return position


def _compare_at_price(cell: str, currency: str) -> Money | None:
    price = cells.price(cell, currency)
    return price if price.amount else None


def _gift_card(cell: str) -> str | None:
    return "true" if cells.boolean(cell) else None
