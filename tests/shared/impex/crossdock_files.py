"""Crossdock files written from the records that are to be read out of them, independently of the exports."""

import csv
from collections.abc import Iterable
from typing import Any, TextIO

from shared.impex.profiles.crossdock import HEADER
from shared.impex.rows import ProductRecord, TextRecord, VariantRecord
from shared.impex.writing_guard import guarded
from shared.impex.writing_words import escaped_word, joined_words, path_text
from shared.money import Money

LOCALES = ("de", "pt-BR")
HEADINGS = (
    *HEADER,
    *(f"{name}[{locale}]" for locale in LOCALES for name in ("title", "description", "content")),
    *(f"{name} [{locale.upper()}]" for locale in LOCALES for name in ("SEO title", "SEO description")),
    *(f"{name}[{locale}]" for locale in LOCALES for name in ("attributes", "option names", "option values")),
    *(f"{name}[{locale}]" for locale in LOCALES for name in ("image texts", "media texts")),
)


def write_products(products: Iterable[ProductRecord], file: TextIO, delimiter: str = ",") -> None:
    """Headings and rows into a text file opened with `newline=""`."""
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(HEADINGS)
    for product in products:
        own = _product_cells(product)
        for variant in product.variants or (None,):
            cells = {**own, **({} if variant is None else _variant_cells(variant))}
            writer.writerow(guarded(cells.get(heading, "")) for heading in HEADINGS)
            own = {"handle": product.handle}


def _product_cells(product: ProductRecord) -> dict[str, str]:
    images, media = product.images, product.media
    return {
        "handle": product.handle,
        "title": product.title or "",
        "description": product.description_html or "",
        "brand": product.brand or "",
        "type": product.product_type or "",
        "tags": joined_words(product.tags),
        "status": product.status or "",
        "categories": " | ".join(map(path_text, product.categories)),
        "attributes": _pairs(product.attributes),
        "seo title": product.seo_title or "",
        "seo description": product.seo_description or "",
        "images": joined_words(image.url for image in images),
        "image texts": joined_words(image.alt or "" for image in images) if any(i.alt for i in images) else "",
        **{f"option {number} name": name for number, name in enumerate(product.option_names, 1)},
        "content": product.content_html or "",
        "featured": _flag(product.featured),
        "media": _pairs((medium.kind, medium.url) for medium in media),
        "media texts": joined_words(medium.alt or "" for medium in media),
        "media previews": joined_words(medium.preview_url or "" for medium in media),
        "media positions": " | ".join("" if m.position is None else str(m.position + 1) for m in media),
        **_localized(product),
    }


def _localized(product: ProductRecord) -> dict[str, str]:
    cells: dict[str, str] = {}
    for locale in LOCALES:
        words = {url: text for url, spoken, text in product.alts if spoken == locale}
        for name, shown in (("image texts", product.images), ("media texts", product.media)):
            cells[f"{name}[{locale}]"] = joined_words(words.get(each.url, "") for each in shown)
    for text in product.texts:
        cells |= _text_cells(text)
    return cells


def _text_cells(text: TextRecord) -> dict[str, str]:
    values = [f"{escaped_word(o)} > {escaped_word(v)}={escaped_word(word)}" for o, v, word in text.option_values]
    return {
        f"title[{text.locale}]": text.title or "",
        f"description[{text.locale}]": text.description_html or "",
        f"content[{text.locale}]": text.content_html or "",
        f"SEO title [{text.locale.upper()}]": text.seo_title or "",
        f"SEO description [{text.locale.upper()}]": text.seo_description or "",
        f"attributes[{text.locale}]": _pairs(text.attributes),
        f"option names[{text.locale}]": _pairs(text.option_names),
        f"option values[{text.locale}]": " | ".join(values),
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return " | ".join(f"{escaped_word(name)}={escaped_word(value)}" for name, value in pairs)


def _variant_cells(variant: VariantRecord) -> dict[str, str]:
    weight, dimensions, limits = variant.weight, variant.dimensions, variant.order_limits
    return {
        **{f"option {number} value": value for number, value in enumerate(variant.option_values, 1)},
        "sku": variant.sku,
        "barcode": variant.barcode or "",
        "mpn": variant.mpn or "",
        **{
            name: _major(money)
            for name, money in (("price", variant.price), ("list price", variant.list_price), ("cost", variant.cost))
        },
        "weight grams": _number(variant.weight_grams),
        "quantity": _number(variant.quantity),
        "stock policy": variant.stock_policy or "",
        "requires shipping": _flag(variant.requires_shipping),
        "taxable": _flag(variant.taxable),
        "tax code": variant.tax_code or "",
        "variant image": variant.image_url or "",
        "barcodes": " | ".join(variant.barcodes),
        "variant attributes": _pairs(variant.attributes),
        "price on request": _flag(variant.price_on_request),
        "weight": _number(weight and weight.value),
        "weight unit": weight.unit.upper() if weight else "",
        **{side: _number(dimensions and getattr(dimensions, side)) for side in ("length", "width", "height")},
        "dimension unit": dimensions.unit if dimensions else "",
        **{f"order {name}": _number(limits and getattr(limits, name)) for name in ("minimum", "maximum", "step")},
    }


def _major(money: Money | None) -> str:
    return "" if money is None else f"{money.major:f}"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:f}" if not isinstance(value, int) else str(value)


def _flag(value: bool | None) -> str:
    return "" if value is None else str(value).lower()
