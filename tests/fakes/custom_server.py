"""The reference server of the custom protocol as a program, with goods to try a connection with.

python -m tests.fakes.custom_server --port 9000 --products 25
"""

import argparse
import asyncio
import sys

from tests.fakes.custom import TOKEN, CustomShop

_PAGE = 100
_COLOURS = ("Blue", "Green", "Grey", "Red")


def stocked(products: int) -> CustomShop:
    """A shop with so many products of one variant, twelve of each in stock, and an order of the first."""
    shop = CustomShop(page_size=_PAGE)
    for number in range(1, products + 1):
        sku = f"QUAY-{number:04}"
        colour = _COLOURS[number % len(_COLOURS)]
        fields = {
            "handle": f"quay-scarf-{number}",
            "title": f"Quay scarf no. {number}",
            "description_html": "<p>Warm.</p>",
            "brand": "Quay",
            "product_type": "Scarves",
            "status": "active",
            "tags": ["warm"],
            "options": ["Colour"],
            "images": [],
        }
        price = {"amount": 1500 + number, "currency": "EUR"}
        shop.put_product(
            str(number), fields, {f"{number}-1": {"sku": sku, "options": {"Colour": colour}, "price": price}}
        )
        shop.put_stock(sku, "main", 12)
    if products:
        shop.put_order(_order())
    return shop


def _order() -> dict[str, object]:
    price = {"amount": 1501, "currency": "EUR"}
    line = {"sku": "QUAY-0001", "quantity": 1, "unit_price": price, "title": "Quay scarf no. 1"}
    return {
        "external_id": "5001",
        "number": "Q-5001",
        "status": "paid",
        "is_paid": True,
        "placed_at": "2026-11-30T10:00:00Z",
        "lines": [line | {"discounts": [], "taxes": []}],
        "total": price,
        "discounts": [],
        "taxes": [],
        "shipping": None,
        "customer": {"email": "ada@example.com", "name": "Ada Lovelace"},
        "shipping_address": {"line1": "1 Quay", "city": "Portsea", "postal_code": "PO1 3AX", "country": "GB"},
    }


async def _serve(shop: CustomShop, port: int) -> None:
    await shop.start(port)
    sys.stdout.write(f"url={shop.settings['url']} token={TOKEN}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted; says address and token."""
    parser = argparse.ArgumentParser(description="A server of the custom HTTP protocol, on the loopback address.")
    parser.add_argument("--port", type=int, default=9000, help="0: a free one")
    parser.add_argument("--products", type=int, default=25)
    given = parser.parse_args()
    try:
        asyncio.run(_serve(stocked(given.products), given.port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
