"""What orders that nobody has paid have taken from a PrestaShop shop's stock.

PrestaShop takes goods off when an order is placed, in whatever state but its own for cancelled orders and failed
payments, and gives them back when the order comes into one of these. Unpaid orders are not taken here, so what they
took is free here: it is added to levels that are read, and taken off those that are written. What has shipped or was
paid once is gone, as in the `reserved_quantity` that PrestaShop itself counts and its webservice does not give.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.sync.platforms.prestashop.mapping import decimal, key, whole
from services.sync.platforms.prestashop.orders import lines_of
from services.sync.platforms.prestashop.shop import Shop

JsonObject = dict[str, Any]
# Pieces by product and combination, whose id is empty where there is none.
Held = Mapping[tuple[str, str], int]

# So many of the latest unpaid orders count, as many at a time: what is older is hardly ever paid.
MOST_ORDERS, ORDERS_AT_ONCE = 1000, 100
# States of the shop's own in which an order has nothing, or had it paid.
_NOT_WAITING = ("PS_OS_CANCELED", "PS_OS_ERROR", "PS_OS_REFUND")


async def read_held(shop: Shop) -> Held:
    """What the latest unpaid orders hold. Raises as requests do."""
    told, place = await shop.configuration(), await shop.place()
    settled = {told.get(name, "") for name in _NOT_WAITING}
    states = await shop.states()
    waiting = [each.id for each in states.values() if not each.is_paid and not each.is_shipped]
    wanted = "|".join(sorted(set(waiting) - settled, key=int))
    held: Counter[tuple[str, str]] = Counter()
    before: dict[str, str] = {}
    for _ in range(MOST_ORDERS // ORDERS_AT_ONCE if wanted else 0):
        filters = {"current_state": f"[{wanted}]", **before}
        rows = await shop.client.rows("orders", filters=filters, sort="[id_DESC]", most=ORDERS_AT_ONCE)
        for row in rows:
            held += held_by(row) if key(row.get("id_shop")) in ("", place) else Counter()
        if len(rows) < ORDERS_AT_ONCE:
            break
        before = {"id": f"<[{key(rows[-1]['id'])}]"}
    return held


def held_by(order: JsonObject) -> Counter[tuple[str, str]]:
    """What one order in an unpaid state holds; nothing if all of it was paid before."""
    total, paid = decimal(order.get("total_paid_tax_incl")), decimal(order.get("total_paid_real"))
    held: Counter[tuple[str, str]] = Counter()
    if paid and paid >= total:
        return held
    for line in lines_of(order):
        held[key(line.get("product_id")), key(line.get("product_attribute_id"))] += whole(line.get("product_quantity"))
    return held
