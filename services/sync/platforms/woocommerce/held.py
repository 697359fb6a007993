"""What unpaid orders hold: WooCommerce takes it from the stock as soon as an order is on hold, and waits for the money.

Nobody reserves it here, where orders are taken over when they are paid. So what can be sold, in our words, is what
WooCommerce counts and what these orders hold; WooCommerce is told our figure without it, and whether the money comes or
the order is cancelled, both agree. How much was taken is said in each line (`_reduced_stock`).
https://woocommerce.com/document/managing-orders/order-statuses/
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from services.sync.platforms.woocommerce.client import Client
from services.sync.platforms.woocommerce.orders import is_paid
from services.sync.platforms.woocommerce.paging import all_rows

JsonObject = dict[str, Any]
# Pieces by the id of the product or variation.
Held = Mapping[int, int]

_TAKEN = "_reduced_stock"
# The one status of WooCommerce's own that takes stock and is not paid.
_ON_HOLD = {"status": "on-hold", "_fields": "id,status,date_paid_gmt,line_items"}


async def read_held(client: Client) -> Held:
    """What all orders hold that wait for their money. Raises as `Client`."""
    held: Counter[int] = Counter()
    for order in await all_rows(client, "orders", _ON_HOLD):
        held += held_by(order)
    return held


def held_by(order: JsonObject) -> Counter[int]:
    """What one order holds; nothing if it is paid."""
    held: Counter[int] = Counter()
    for line in order["line_items"] if not is_paid(order) else ():
        for taken in (each["value"] for each in line["meta_data"] if each.get("key") == _TAKEN):
            held[line["variation_id"] or line["product_id"]] += _pieces(taken, line)
    return held


def _pieces(taken: Any, line: JsonObject) -> int:
    """Whole pieces, rounded up; where nobody can read what was taken, what was sold."""
    try:
        return max(ceil(Decimal(str(taken))), 0)
    except (ArithmeticError, ValueError):
        return ceil(line["quantity"])
