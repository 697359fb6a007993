"""Shopify's product CSV as its own exports have it, for shops there and for programs that read such files.

It holds less than Crossdock's own: the first category alone, no attributes, and tags without commas. A paused product
is an active one that is not published. Read back here, what it lacks changes nothing of what is stored; only that a
product without variants gets one, because there every product has.
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from shared.impex.writing_products import ProductToWrite, ProductWriter, major, three
from shared.measures import weight_in

_PRODUCT = (
    *("Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *("Option1 Name", "Option2 Name", "Option3 Name", "SEO Title", "SEO Description", "Status"),
)
_VARIANT = (
    *("Option1 Value", "Option2 Value", "Option3 Value", "Variant SKU", "Variant Grams", "Variant Requires Shipping"),
    *("Variant Taxable", "Variant Barcode", "Google Shopping / MPN", "Variant Tax Code", "Variant Image"),
    "Variant Weight Unit",
)
_PRICES = ("Variant Price", "Variant Compare At Price")
_IMAGE = ("Image Src", "Image Position", "Image Alt Text")
_NO_OPTION = ["Title", "", ""]
_NO_VALUE = ["Default Title", "", ""]


class ShopifyWriter(ProductWriter):
    """One row per variant or image, whichever are more; what describes the product is in the first."""

    name = "shopify"

    def __init__(self, digits: int | None) -> None:
        self._digits = digits
        self.headings = ("Handle", *_PRODUCT, *_VARIANT, *(() if digits is None else _PRICES), *_IMAGE)
        self._variant_width = len(self.headings) - len(_PRODUCT) - len(_IMAGE) - 1

    def rows(self, product: ProductToWrite) -> Iterator[list[str]]:
        own = _product_cells(product)
        images = product.own["images"]
        lines = zip_longest(product.variants, enumerate(images, start=1))
        for variant, image in lines if product.variants or images else [(None, None)]:
            cells = [""] * self._variant_width if variant is None else self._variant_cells(variant, product)
            yield [product.own["slug"], *own, *cells, *_image_cells(image)]
            own = [""] * len(own)

    def _variant_cells(self, variant: Mapping[str, Any], product: ProductToWrite) -> list[str]:
        price, list_price = product.prices.get(variant["id"], (None, None))
        digits = self._digits
        return [
            *(three(variant["option_values"]) if variant["option_values"] else _NO_VALUE),
            variant["sku"],
            "" if variant["weight_grams"] is None else str(variant["weight_grams"]),
            str(variant["requires_shipping"]).lower(),
            str(variant["taxable"]).lower(),
            variant["barcode"] or "",
            variant["mpn"] or "",
            variant["tax_class"] or "",
            variant["image_url"] or "",
            _unit(variant),
            *(() if digits is None else (major(price, digits), major(list_price, digits))),
        ]


def _product_cells(product: ProductToWrite) -> list[str]:
    own = product.own
    status = own["status"]
    return [
        own["title"],
        own["description_html"],
        own["brand"] or "",
        _category(product),
        own["product_type"] or "",
        ", ".join(tag.replace(",", " ") for tag in own["tags"]),
        "true" if status == "active" else "false",
        *(three(own["options"]) if own["options"] else _NO_OPTION),
        own["seo_title"] or "",
        own["seo_description"] or "",
        "active" if status == "paused" else status,
    ]


def _unit(variant: Mapping[str, Any]) -> str:
    """The unit of a weight, unless its grams alone would be read back as another one."""
    value, unit, grams = variant["weight_value"], variant["weight_unit"], variant["weight_grams"]
    return unit if unit is not None and weight_in(grams, unit).value == value else ""


def _category(product: ProductToWrite) -> str:
    """The first path that can be written: there is no way here to say that a `>` belongs to a name."""
    return next((" > ".join(path) for path in product.paths if not any(">" in step for step in path)), "")


def _image_cells(image: tuple[int, Mapping[str, Any]] | None) -> list[str]:
    return ["", "", ""] if image is None else [image[1]["url"], str(image[0]), image[1]["alt"] or ""]
