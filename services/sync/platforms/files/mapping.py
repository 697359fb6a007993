"""Rows of files, and our shapes. Nothing here opens a file.

| file | headings |
|---|---|
| products | those of the profile (`shared/impex/profiles`); a product's id is its handle, a variant's its SKU |
| stock | `sku` and `quantity` (or `on_hand`, `available`, `stock`, `qty`); `location` (or `centre`, `warehouse`) |
| orders | those of `shared/imports/order_rows.py`: a row a line, in the order's own currency |
| suppliers | `code`, `name`, `email` (`contact_email`), `phone` (`contact_phone`) |
| supplier links | `supplier`, `sku`, `supplier_sku`, `cost`, `currency` |
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from services.sync.platforms.base import Fields, ProductWrite, Record, ShipmentWrite, StockWrite, Unread, VariantWrite
from services.sync.platforms.files.settings import FileEntity, FilesSettings
from services.sync.platforms.http import LONGEST_MESSAGE
from shared.contracts.orders.imported import RemoteOrder
from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.rows import ProductRecord, RowError, VariantRecord
from shared.impex.writing_files import Csv
from shared.impex.writing_products import CrossdockWriter, ProductToWrite, ProductWriter
from shared.impex.writing_shopify import ShopifyWriter
from shared.imports.tables import Column
from shared.money import Money, UnknownCurrency, exponent

_OPTIONS = 3
_MOST_QUANTITY = 2**31 - 1
_TEXTS = ("title", "description_html", "brand", "product_type", "seo_title", "seo_description")
TABLES: Mapping[FileEntity, tuple[Sequence[Column], Sequence[str]]] = {
    "stock": (
        (
            Column("sku", is_required=True),
            Column("quantity", cells.integer, is_required=True, also=("on_hand", "available", "stock", "qty")),
            Column("location", also=("centre", "warehouse")),
        ),
        ("sku", "location"),
    ),
    "supplier": (
        (
            Column("code", is_required=True),
            Column("name"),
            Column("email", also=("contact_email",)),
            Column("phone", also=("contact_phone",)),
        ),
        ("code",),
    ),
    "supplier_link": (
        (
            Column("supplier", is_required=True),
            Column("sku", is_required=True),
            Column("supplier_sku", also=("vendor_sku",)),
            Column("cost"),
            Column("currency", str.upper),
        ),
        ("supplier", "sku"),
    ),
}


# --- reading


def product(record: ProductRecord, fields: Collection[str]) -> Record:
    """A product as the file has it; `fields` are those of the records that the file has a column for."""
    own: Fields = {"handle": record.handle}
    own |= {name: getattr(record, name) or None for name in _TEXTS if name in fields}
    if "status" in fields and record.status is not None:
        own["status"] = str(record.status)
    if "tags" in fields:
        own["tags"] = sorted(record.tags)
    if "option_names" in fields:
        own["options"] = list(record.option_names)
    if "categories" in fields:
        own["categories"] = [list(path) for path in record.categories]
    if "images" in fields:
        own["images"] = [{"url": image.url, "alt": image.alt or None} for image in record.images]
    if "attributes" in fields:
        own["attributes"] = dict(record.attributes)
    parts = tuple(Record(each.sku, _variant(each, record.option_names, fields)) for each in record.variants)
    return Record(record.handle, own, parts=parts)


def _variant(record: VariantRecord, names: Sequence[str], fields: Collection[str]) -> Fields:
    own: Fields = {"sku": record.sku}
    if "option_values" in fields:
        own["options"] = dict(zip(names, record.option_values, strict=False))
    if "barcode" in fields:
        own["barcode"] = record.barcode or None
    own |= {name: _money(getattr(record, name)) for name in ("price", "list_price") if name in fields}
    if "weight_grams" in fields or "weight" in fields:
        own["weight_grams"] = record.weight_grams
    own |= {name: getattr(record, name) for name in ("requires_shipping", "taxable") if name in fields}
    return own


def _money(money: Money | None) -> Fields | None:
    return None if money is None else {"amount": money.amount, "currency": money.currency}


def order(remote: RemoteOrder) -> Record:
    """An order, in JSON and universal time."""
    updated_at = remote.updated_at.astimezone(UTC)
    remote = remote.model_copy(update={"placed_at": remote.placed_at.astimezone(UTC), "updated_at": updated_at})
    return Record(remote.external_id, remote.model_dump(mode="json"), updated_at)


def row(entity: FileEntity, values: Mapping[str, Any], settings: FilesSettings) -> Record:
    """A row of a table. Raises ValueError in words for people."""
    if entity == "stock":
        location = values.get("location") or settings.location
        if not 0 <= values["quantity"] <= _MOST_QUANTITY:
            raise ValueError(f"quantity {values['quantity']} is less than nothing")
        fields = {"sku": values["sku"], "location": location, "quantity": values["quantity"]}
        return Record(f"{location}/{values['sku']}", fields)
    if entity == "supplier":
        return Record(values["code"], {name: value for name, value in values.items() if name != "code"})
    fields = {"sku": values["sku"], "supplier": values["supplier"]}
    if "supplier_sku" in values:
        fields["vendor_sku"] = values["supplier_sku"]
    if "cost" in values:
        fields["cost"] = _cost(values["cost"], values.get("currency") or settings.currency)
    return Record(f"{values['supplier']}/{values['sku']}", fields)


def _cost(cell: str | None, currency: str) -> Fields | None:
    try:
        return None if cell is None else _money(cells.price(cell, currency))
    except InvalidCell as fault:
        raise ValueError(f"cost: {fault.message}") from None
    except UnknownCurrency as fault:
        raise ValueError(fault.detail) from None


def unread(error: RowError, external_id: str | None = None) -> Unread:
    """A row that can not be read, by its line and heading."""
    column = "" if error.column is None else f", '{error.column}'"
    return Unread(external_id, f"line {error.row}{column}: {error.message}"[:LONGEST_MESSAGE])


# --- writing

STOCK_HEADINGS = ("sku", "location", "quantity", "expected_quantity", "operation_key")
SHIPMENT_HEADINGS = (*("shipment", "external_id", "sku", "quantity", "carrier", "tracking_numbers", "tracking_url"),)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV file, as our exports write them: in UTF-8 with its mark, no cell a formula."""
    form = Csv()
    return b"\xef\xbb\xbf" + form.part(headings, [headings]) + form.part(headings, list(rows))


def stock_file(writes: Iterable[StockWrite]) -> bytes:
    """What can be sold, a row each. `expected_quantity` is what we last saw there, for whoever wants to compare."""
    return table(
        STOCK_HEADINGS,
        (
            (
                write.sku,
                write.location,
                str(write.quantity),
                "" if write.expected is None else str(write.expected),
                write.operation_key,
            )
            for write in writes
        ),
    )


def shipment_file(write: ShipmentWrite) -> bytes:
    """One shipment, a row for each SKU in it; `shipment` is the same whenever it is told again."""
    return table(
        SHIPMENT_HEADINGS,
        (
            (
                write.operation_key,
                write.order_external_id,
                sku,
                str(quantity),
                write.carrier or "",
                " ".join(write.tracking_numbers),
                write.tracking_url or "",
            )
            for sku, quantity in write.lines
        ),
    )


# Fields and the headings that say them, by format.
_HEADINGS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "crossdock": {
        "title": ("title",),
        "description_html": ("description",),
        "brand": ("brand",),
        "product_type": ("type",),
        "status": ("status",),
        "seo_title": ("seo title",),
        "seo_description": ("seo description",),
        "tags": ("tags",),
        "categories": ("categories",),
        "attributes": ("attributes",),
        "images": ("images", "image texts"),
        "options": tuple(f"option {n} name" for n in range(1, _OPTIONS + 1)),
        "variant.options": tuple(f"option {n} value" for n in range(1, _OPTIONS + 1)),
        "variant.barcode": ("barcode",),
        "variant.price": ("price",),
        "variant.list_price": ("list price",),
        "variant.weight_grams": ("weight grams",),
        "variant.requires_shipping": ("requires shipping",),
        "variant.taxable": ("taxable",),
    },
    "shopify": {
        "title": ("Title",),
        "description_html": ("Body (HTML)",),
        "brand": ("Vendor",),
        "product_type": ("Type",),
        "status": ("Published", "Status"),
        "seo_title": ("SEO Title",),
        "seo_description": ("SEO Description",),
        "tags": ("Tags",),
        "categories": ("Product Category",),
        "images": ("Image Src", "Image Position", "Image Alt Text"),
        "options": tuple(f"Option{n} Name" for n in range(1, _OPTIONS + 1)),
        "variant.options": tuple(f"Option{n} Value" for n in range(1, _OPTIONS + 1)),
        "variant.barcode": ("Variant Barcode",),
        "variant.price": ("Variant Price",),
        "variant.list_price": ("Variant Compare At Price",),
        "variant.weight_grams": ("Variant Grams",),
        "variant.requires_shipping": ("Variant Requires Shipping",),
        "variant.taxable": ("Variant Taxable",),
    },
}
_KEYS = {"crossdock": ("handle", "sku"), "shopify": ("Handle", "Variant SKU")}
_WRITERS: Mapping[str, type[ProductWriter]] = {"crossdock": CrossdockWriter, "shopify": ShopifyWriter}


def refusal(write: ProductWrite, settings: FilesSettings) -> str | None:
    """Why a product can not be written into a file, for people; None: it can."""
    known = _HEADINGS[settings.product_format]
    for name in _named(write):
        if name not in known and name not in ("handle", "variant.sku"):
            return f"A {settings.product_format} file has no column for '{name}'."
    if _handle(write) is None:
        return "The product has no handle, by which files name it."
    if write.external_id is not None and "handle" in write.fields and write.fields["handle"] != write.external_id:
        return "A file can not give a product another handle: it would be another product."
    for variant in write.variants:
        if "sku" in variant.fields and variant.external_id not in (None, variant.fields["sku"]):
            return "A file can not give a variant another SKU: it would be another variant."
        for price in (variant.fields.get("price"), variant.fields.get("list_price")):
            if price is not None and price["currency"] != settings.currency:
                return f"The files are in {settings.currency}, and the price is in {price['currency']}."
        if len(variant.fields.get("options") or {}) > _OPTIONS:
            return f"A file has room for {_OPTIONS} options."
    return None


def _handle(write: ProductWrite) -> str | None:
    return write.external_id or write.fields.get("handle")


def _named(write: ProductWrite) -> frozenset[str]:
    """The fields that a write is about: those of variants with `variant.` before them."""
    return frozenset(
        (*write.fields, *(f"variant.{name}" for variant in write.variants for name in variant.fields)),
    )


def product_files(
    writes: Iterable[ProductWrite], settings: FilesSettings
) -> Iterator[tuple[list[ProductWrite], bytes]]:
    """Files of products, each with the columns that its writes are about and no other, so that nothing else is touched.

    A column that is there empties what its cells leave empty: so writes about different fields are in different files.
    Where no options are said, a file has one variant of a product: by them it would tell two apart.
    """
    together: dict[tuple[frozenset[str], int], list[ProductWrite]] = {}
    for write in writes:
        for number, part in _parts(write):
            together.setdefault((_named(part), number), []).append(part)
    for (named, _), parts in together.items():
        yield parts, _product_file(named, parts, settings)


def _parts(write: ProductWrite) -> Iterator[tuple[int, ProductWrite]]:
    """A write as one or more that can be written so; those with the same number and fields may be in one file."""
    if write.external_id is None:
        yield 0, _filled(write)
        return
    if write.fields:
        yield 0, dataclasses.replace(write, variants=())
    by_fields: dict[frozenset[str], list[VariantWrite]] = {}
    for variant in write.variants:
        by_fields.setdefault(frozenset(variant.fields), []).append(variant)
    for names, variants in by_fields.items():
        alone = [[variant] for variant in variants]
        for number, group in enumerate([variants] if "options" in names else alone):
            yield number, dataclasses.replace(write, fields={}, variants=group)


def _filled(write: ProductWrite) -> ProductWrite:
    """A product that is to be made, with the same fields in each of its variants: what one lacks is empty."""
    empty = dict.fromkeys(name for variant in write.variants for name in variant.fields)
    variants = [dataclasses.replace(variant, fields=empty | variant.fields) for variant in write.variants]
    return dataclasses.replace(write, variants=variants)


def _product_file(named: frozenset[str], writes: Sequence[ProductWrite], settings: FilesSettings) -> bytes:
    writer = _WRITERS[settings.product_format](exponent(settings.currency))
    known = _HEADINGS[settings.product_format]
    handle, sku = _KEYS[settings.product_format]
    wanted = {handle, *(heading for name in named for heading in known.get(name, ()))}
    if any(write.variants for write in writes):
        wanted.add(sku)
    columns = [column for column, heading in enumerate(writer.headings) if heading in wanted]
    rows = ([cells_of[column] for column in columns] for write in writes for cells_of in writer.rows(_to_write(write)))
    return table([writer.headings[column] for column in columns], rows)


def _to_write(write: ProductWrite) -> ProductToWrite:
    """As our exports would have it; what the write is not about is not among the columns."""
    fields = write.fields
    options = list(fields.get("options") or _option_names(write.variants))
    own = {
        **{name: fields.get(name) or "" for name in _TEXTS},
        "slug": _handle(write),
        "status": fields.get("status") or "active",
        "tags": fields.get("tags") or [],
        "attributes": fields.get("attributes") or {},
        "images": fields.get("images") or [],
        "options": options,
        "content_html": "",
        "featured": False,
        "media": [],
    }
    variants = [_variant_to_write(variant, options) for variant in write.variants]
    prices = {
        each["id"]: (_amount(variant.fields.get("price")), _amount(variant.fields.get("list_price")))
        for each, variant in zip(variants, write.variants, strict=True)
    }
    return ProductToWrite(own, variants, fields.get("categories") or [], prices)  # type: ignore[arg-type]


def _option_names(variants: Iterable[VariantWrite]) -> Iterable[str]:
    return dict.fromkeys(name for variant in variants for name in variant.fields.get("options") or {})


def _variant_to_write(write: VariantWrite, options: Sequence[str]) -> dict[str, Any]:
    fields = write.fields
    values = fields.get("options") or {}
    absent = (
        *("mpn", "tax_class", "image_url", "weight_value", "weight_unit", "dimension_unit", "length_value"),
        *("width_value", "height_value", "order_minimum", "order_maximum", "order_step"),
    )
    return {
        **dict.fromkeys(absent),
        "id": write.sku,
        "sku": write.sku,
        "option_values": [values.get(name, "") for name in options] if values else [],
        "barcode": fields.get("barcode"),
        "barcodes": [],
        "attributes": {},
        "weight_grams": fields.get("weight_grams"),
        "requires_shipping": fields.get("requires_shipping") is not False,
        "taxable": fields.get("taxable") is not False,
        "price_on_request": False,
    }


def _amount(price: Fields | None) -> int | None:
    return None if price is None else price["amount"]
