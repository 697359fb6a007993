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

from services.sync.errors import PlatformRefused
from services.sync.platforms.woocommerce.client import Client
from services.sync.platforms.woocommerce.orders import is_paid
from services.sync.platforms.woocommerce.paging import Place, rows_after

JsonObject = dict[str, Any]
# Pieces by the id of the product or variation.
Held = Mapping[int, int]

# So many are read, anew for each batch of levels: they may be fewer or more by the next.
MOST_ORDERS = 5000
_TAKEN = "_reduced_stock"
# The one status of WooCommerce's own that takes stock and is not paid.
_ON_HOLD = {"status": "on-hold", "_fields": "id,status,date_paid_gmt,line_items"}


async def read_held(client: Client) -> Held:
    """What all orders hold that wait for their money.

    Raises as `Client`, and PlatformRefused for more of them than are read: a figure that leaves some out would sell
    what they hold once more.
    """
    held: Counter[int] = Counter()
    count, place = 0, Place()
    while True:
        page = await rows_after(client, "orders", _ON_HOLD, place)
        count += len(page.rows)
        if max(count, page.total or 0) > MOST_ORDERS:
            raise PlatformRefused(
                f"More than {MOST_ORDERS} orders are on hold and wait for their money: what they hold of the stock is"
                " not read, and no stock is read or written without it. Complete or cancel old ones."
            )
        for order in page.rows:
            held += held_by(order)
        if page.following is None:
            return held
        place = page.following


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
