"""What orders in a Magento shop have reserved: it leaves its source only when it ships, and can not be sold until then.

Magento reserves for the whole of a stock and not for a source. Here it is taken from the sources in the order of their
priority, as Magento ships by itself. Reserved is what of open orders is neither shipped (of what is not shipped:
invoiced) nor cancelled nor refunded. https://developer.adobe.com/commerce/webapi/rest/inventory/

Only orders that are paid count, because only those are taken here, and have their goods reserved here too. What unpaid
ones reserve over there stays off what can be sold there: on top of our level it would be sold twice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil

from services.sync.platforms.magento import orders
from services.sync.platforms.magento.client import Filter
from services.sync.platforms.magento.mapping import JsonObject, pieces
from services.sync.platforms.magento.reading import ORDERS, Key, Reader

# States of orders of which something may still ship.
OPEN = ("new", "pending_payment", "processing", "holded", "payment_review")
_PAID = "base_grand_total,base_total_paid"
_ITEM = (
    "item_id,parent_item_id,sku,product_type,is_virtual,qty_ordered,qty_canceled,qty_refunded,qty_shipped,qty_invoiced"
)
Reserved = Mapping[Key, int]


async def read_reserved(reader: Reader) -> Reserved:
    """Pieces that paid orders hold back, by source and SKU in lower case. Raises as requests do."""
    counted: Counter[str] = Counter()
    is_open = [Filter("state", "in", ",".join(OPEN))]
    async for rows in reader.client.walk(ORDERS, is_open, by="entity_id", fields=f"entity_id,{_PAID},items[{_ITEM}]"):
        for row in rows:
            counted += reserved_by(row) if orders.is_paid(row) else Counter()
    if not counted:
        return {}
    sources = await reader.shop.priorities()
    levels = await reader.levels((source, sku) for source in sources for sku in counted)
    return allotted(counted, {key: pieces(row) for key, row in levels.items()}, sources)


def reserved_by(order: JsonObject) -> Counter[str]:
    """How much of each SKU, in lower case, one order holds back."""
    bundles = {item["item_id"] for item in order.get("items") or () if item.get("product_type") == "bundle"}
    members = [item for item in order.get("items") or () if item.get("parent_item_id") in bundles]
    counted: Counter[str] = Counter()
    for item in [*(each for each in orders.sold_items(order) if each["item_id"] not in bundles), *members]:
        gone = ("qty_canceled", "qty_refunded", "qty_invoiced" if item.get("is_virtual") else "qty_shipped")
        left = item["qty_ordered"] - sum(item.get(name) or 0 for name in gone)
        if left > 0:
            counted[str(item["sku"]).lower()] += ceil(left)
    return counted


def allotted(reserved: Mapping[str, int], there: Mapping[Key, int], sources: Sequence[str]) -> dict[Key, int]:
    """From which source each is taken: from each what it has, and what none has from the first that knows the SKU."""
    taken: dict[Key, int] = {}
    for sku, quantity in reserved.items():
        known = [(source, sku) for source in sources if (source, sku) in there]
        left = quantity
        for key in known:
            taken[key] = min(there[key], left)
            left -= taken[key]
        if known and left:
            taken[known[0]] += left
    return taken
