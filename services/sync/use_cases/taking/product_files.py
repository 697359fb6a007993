"""Products of a platform as rows of Crossdock's own file, so that the catalog's import takes them in sets.

What is made of a product here is what its import does there: a new product is a file of inserts, new variants are
merged into their product, and fields that changed replace what is stored, also by nothing. A file has just the columns
of what is to be written, so that nothing else is touched.

What changed over there in a field that the connection itself owns (CAT-4) is no change of the product: it becomes the
connection's own value, by a file of channel content.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from shared.impex.writing_products import major, three
from shared.impex.writing_words import escaped_word, joined_words, path_text
from shared.money import exponent

Cells = dict[str, str]
CHANNEL_CONTENT = "channel-content"

_PLAIN = {
    "title": "title",
    "description_html": "description",
    "brand": "brand",
    "product_type": "type",
    "status": "status",
    "seo_title": "seo title",
    "seo_description": "seo description",
}
PRODUCT_FIELDS = frozenset((*_PLAIN, "tags", "categories", "images", "attributes"))
VARIANT_FIELDS = frozenset(("barcode", "price", "list_price", "weight_grams", "requires_shipping", "taxable"))


def product_cells(fields: Mapping[str, Any]) -> Cells:
    """The cells of a product's fields, those of them that a file holds."""
    cells = {heading: str(fields[name] or "") for name, heading in _PLAIN.items() if name in fields}
    if "tags" in fields:
        cells["tags"] = joined_words(fields["tags"] or ())
    if "categories" in fields:
        cells["categories"] = " | ".join(path_text(path) for path in fields["categories"] or ())
    if "attributes" in fields:
        pairs = (fields["attributes"] or {}).items()
        cells["attributes"] = " | ".join(f"{escaped_word(name)}={escaped_word(str(value))}" for name, value in pairs)
    if "images" in fields:
        images: Sequence[Mapping[str, Any]] = fields["images"] or ()
        cells["images"] = joined_words(image["url"] for image in images)
        words = [image.get("alt") or "" for image in images]
        cells["image texts"] = joined_words(words) if any(words) else ""
    return cells


def option_names(names: Sequence[str]) -> Cells:
    return {f"option {place} name": name for place, name in enumerate(three(list(names)[:3]), 1)}


def variant_cells(fields: Mapping[str, Any], options: Sequence[str] | None = None) -> Cells:
    """The cells of a variant's fields; with the product's `options` also its values for them."""
    cells: Cells = {}
    if options is not None:
        said = fields.get("options") or {}
        values = three([str(said.get(name, "")) for name in list(options)[:3]])
        cells |= {f"option {place} value": value for place, value in enumerate(values, 1)}
    for name in ("price", "list_price"):
        if name in fields:
            cells[name.replace("_", " ")] = _amount(fields[name])
    for name in ("requires_shipping", "taxable"):
        if name in fields:
            cells[name.replace("_", " ")] = "" if fields[name] is None else str(bool(fields[name])).lower()
    if "barcode" in fields:
        cells["barcode"] = str(fields["barcode"] or "")
    if "weight_grams" in fields:
        cells["weight grams"] = "" if fields["weight_grams"] is None else str(fields["weight_grams"])
    return cells


def _amount(money: Mapping[str, Any] | None) -> str:
    return "" if money is None else major(int(money["amount"]), exponent(money["currency"]))


# --- what a connection owns itself

# What channel content calls a field that a listing calls otherwise.
_OWNED_AS = {"categories": "category_ids"}


def parted(fields: Mapping[str, Any], owned: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of a record's fields that the connection owns itself, and the others."""
    own = {name: value for name, value in fields.items() if _OWNED_AS.get(name, name) in owned}
    return own, {name: value for name, value in fields.items() if name not in own}


def content_cells(connection_id: UUID, handle: str, sku: str | None, cells: Mapping[str, str]) -> Cells:
    """A row of channel content: what has an empty cell the connection is to have nothing of."""
    empty = [heading for heading, cell in cells.items() if not cell and heading != "image texts"]
    whose = {"connection": str(connection_id), "handle": handle, "sku": sku or ""}
    return {**whose, **cells, "channel fields": joined_words(empty)}
