"""A product file as a large shop would upload it: Shopify's columns, three variants a product, pictures, attributes.

Rows are made from their number, so that the same number gives the same file; `changed` asks for other prices in one
row of a hundred.
"""

import csv
import io
from collections.abc import Iterator

COLUMNS = (
    *("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *("Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value"),
    *("Variant SKU", "Variant Grams", "Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy"),
    *("Variant Fulfillment Service", "Variant Price", "Variant Compare At Price", "Variant Requires Shipping"),
    *("Variant Taxable", "Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card", "SEO Title"),
    *("SEO Description", "Fabric (product.metafields.custom.fabric)", "Care (product.metafields.custom.care)"),
    *("Season (product.metafields.custom.season)", "Origin (product.metafields.custom.origin)", "Variant Image"),
    *("Variant Weight Unit", "Variant Tax Code", "Cost per item", "Status"),
)
VARIANTS = 3
_SIZES = ("S", "M", "L")
_BRANDS = tuple(f"{word} & Co" for word in ("Northwind", "Lowfield", "Harbour", "Juniper", "Alder", "Kestrel", "Moss"))
_TYPES = ("Coats", "Kettles", "Lamps", "Rugs", "Scarves", "Shelves", "Sweaters", "Tables", "Towels", "Vases")
_FABRICS = ("wool", "linen", "cotton", "oak", "steel", "glass")
_BODY = (
    '<p>{title} is made by {brand}, in small batches.</p><ul><li>Comes in three sizes, "S" to "L"</li>'
    "<li>Weighs {grams} g, packed</li></ul><p>Number {number} of its line; keeps its shape for years.</p>"
)


def lines(rows: int, *, changed: bool = False) -> Iterator[bytes]:
    """The file in pieces of some thousand rows."""
    piece = io.StringIO(newline="")
    writer = csv.writer(piece, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in range(rows):
        writer.writerow(_cells(*divmod(row, VARIANTS), changed=changed and row % 100 == 0))
        if row % 5000 == 4999:
            yield piece.getvalue().encode()
            piece.seek(0)
            piece.truncate()
    yield piece.getvalue().encode()


def _cells(product: int, variant: int, *, changed: bool) -> tuple[str, ...]:
    handle, size = f"bench-product-{product:07}", _SIZES[variant]
    grams, cents = 100 + product % 900, 990 + product * 37 % 9000 + changed
    picture = f"https://images.example/{product % 1000}/{handle}-{variant + 1}.jpg"
    own = _product_cells(product, handle, grams) if variant == 0 else ("",) * 16
    first, last = own[:8], own[8:]
    names = ("Size", "Colour", "") if variant == 0 else ("", "", "")
    return (
        handle,
        *first[:7],
        names[0],
        size,
        names[1],
        ("Red", "Blue", "Green", "Grey")[product % 4],
        "",
        "",
        f"BN-{product:07}-{size}",
        str(grams),
        "shopify",
        str((product + variant) % 50),
        "deny",
        "manual",
        f"{cents // 100}.{cents % 100:02}",
        f"{(cents + 500) // 100}.{(cents + 500) % 100:02}" if product % 5 == 0 else "",
        "true",
        "true",
        _barcode(product * VARIANTS + variant),
        picture,
        str(variant + 1),
        f"Picture {variant + 1}",
        *last[:7],
        picture,
        "g",
        "",
        f"{cents // 250}.00",
        "active" if variant == 0 else "",
    )


def _product_cells(product: int, handle: str, grams: int) -> tuple[str, ...]:
    kind, brand, fabric = _TYPES[product % 10], _BRANDS[product % 7], _FABRICS[product % 6]
    title = f"{fabric.title()} {kind.lower()} no. {product}"
    body = _BODY.format(title=title, brand=brand, grams=grams, number=product)
    return (
        title,
        body,
        brand,
        f"Home & Living > {kind}",
        kind,
        f"{fabric}, {kind.lower()}, season-{product % 4}",
        "true",
        "",
        "false",
        f"{title} | {brand}",
        f"Buy {title}, made by {brand}.",
        fabric,
        "Wash by hand",
        ("spring", "summer", "autumn", "winter")[product % 4],
        ("PT", "DK", "IN", "PE")[product % 4],
        "",
    )


def _barcode(number: int) -> str:
    """A GTIN-13 of the range that GS1 keeps for use within a company."""
    digits = f"20{number:010}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"
