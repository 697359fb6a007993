"""Everything that the adapter can ask and write, once."""

from typing import Any

from services.sync.platforms.base import ProductWrite, Scan, Session, ShipmentWrite, StockWrite, VariantWrite
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_server import png
from tests.platforms.conftest import all_pages, order, product, session_with

ENTITIES = ("product", "stock", "order", "supplier", "supplier_link")


def furnished(shop: PrestaShop) -> None:
    """Products with and without combinations, an order, a supplier, a picture."""
    shop.put_product(*product(1))
    put_combined(shop)
    shop.put_order(order(501))
    for address in shop.memory.rows("addresses"):
        address["id_state"] = str(shop.memory.add("states", iso_code="HAM", name="Hampshire"))
    shop.put_supplier("7", {"name": "Skerry Looms"})
    link = {"sku": "SCARF-1", "supplier": "7", "vendor_sku": "SK-9", "cost": {"amount": 750, "currency": "EUR"}}
    shop.put_supplier_link("70", link)
    shop.add_picture("1", png(64, 64))


def put_combined(shop: PrestaShop) -> None:
    """Product 3 in two sizes: combinations 31 and 32."""
    _, fields, variants = product(3)
    variant = variants["30"]
    sizes = {"31": ("SCARF-S", "S"), "32": ("SCARF-L", "L")}
    shop.put_product(
        "3",
        fields,
        {each: variant | {"sku": sku, "barcode": "", "options": {"Size": size}} for each, (sku, size) in sizes.items()},
    )


async def drive(shop: PrestaShop) -> None:
    """All that a session does, with what is written."""
    furnished(shop)
    async with session_with(shop) as session:
        await session.greet()
        for entity in ENTITIES:
            pages = await all_pages(session, Scan(entity))  # type: ignore[arg-type]
            changed = [record.updated_at for page in pages for record in page.records if record.updated_at]
            await all_pages(session, Scan(entity, min(changed, default=None)))  # type: ignore[arg-type]
            await session.read(entity, [record.external_id for page in pages for record in page.records])  # type: ignore[arg-type]
        await _write(session, shop)


async def _write(session: Session, shop: PrestaShop) -> None:
    price = {"amount": 2500, "currency": "EUR"}
    url = f"{shop.settings['url']}/pictures/new.png"
    fields: dict[str, Any] = {
        "title": "Shawl & stole",
        "description_html": "<p>Warm & soft</p>",
        "brand": "Looms",
        "status": "draft",
        "tags": ["new", "warm"],
        "seo_title": "Shawl",
        "images": [{"url": url, "alt": ""}],
    }
    own = {"price": price, "barcode": "400638133393", "sku": "SHAWL-1", "weight_grams": 250}
    writes = [
        ProductWrite("k1", "1", fields, {"images": []}, [VariantWrite("1-0", "SCARF-1", own)], is_repeat=True),
        ProductWrite(
            "k2",
            "3",
            {},
            variants=[
                VariantWrite("3-31", "SCARF-S", {"price": price, "weight_grams": 90}),
                VariantWrite(None, "SCARF-XL", {"options": {"Size": "XL"}, "price": price}),
            ],
        ),
        ProductWrite(
            "k3", None, {"handle": "hat", "title": "Hat"}, variants=[VariantWrite(None, "HAT", {"price": price})]
        ),
        ProductWrite(
            "k4",
            None,
            {"handle": "mitten", "title": "Mitten", "options": ["Colour"]},
            variants=[VariantWrite(None, f"M-{each}", {"options": {"Colour": each}}) for each in ("Red", "Blue")],
        ),
    ]
    written = await session.write_products(writes)
    parts = [part for each in written for part in each.parts]
    assert [each.outcome for each in (*written, *parts)] == ["ok"] * 10, written
    level = shop.level("SCARF-S")
    stock = await session.write_stock([StockWrite("k5", str(level["id"]), "SCARF-S", "1", 9, 0)])
    shipments = [ShipmentWrite(f"k{each}", "501", [("SCARF-1", 1)], "DHL", [f"TRACK-{each}"], None) for each in (6, 7)]
    shipped = await session.confirm_shipments(shipments)
    taken = await session.take_image("1", shop.address(1))
    assert [each.outcome for each in (*stock, *shipped, taken)] == ["ok"] * 4
