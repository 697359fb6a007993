"""Shipments: which goods of an order have left, from which source, told to Magento once.

`POST order/{id}/ship` repeated makes a second shipment as long as anything is left, and more than is left is cut down
without a word. So shipments and what is left are read first, and no more than that is sent.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ShipmentWrite, Written
from services.sync.platforms.magento import orders
from services.sync.platforms.magento.client import AT_ONCE, Client, Filter
from services.sync.platforms.magento.settings import MagentoSettings
from services.sync.platforms.magento.shop import Shop
from services.sync.platforms.shipping import Shipped, in_turns, known, settled, wanted

JsonObject = dict[str, Any]

# Carriers that Magento has a code for; others are its "custom".
_CARRIERS = ("dhl", "ups", "usps", "fedex")
_FIELDS = "entity_id,items[sku,order_item_id,qty],tracks[track_number]"


class Shipper:
    """Tells one shop of shipments."""

    def __init__(self, client: Client, shop: Shop, settings: MagentoSettings) -> None:
        self._client, self._shop = client, shop
        self._notifies = settings.notify_customer
        self._source = settings.ship_from

    async def confirm(self, writes: Sequence[ShipmentWrite]) -> list[Written]:
        """What came of each write, in their order."""
        return await in_turns(writes, self._confirm, at_once=AT_ONCE)

    async def _confirm(self, write: ShipmentWrite, told: Collection[str]) -> Written:
        order = await self._order(write.order_external_id)
        if order is None:
            return Written("person", "Magento does not have the order.")
        same = known(write, await self._shipped(write.order_external_id, order), told)
        open_ = wanted(write) - sum((each.lines for each in same), Counter())
        ids = [each.external_id for each in same]
        if not open_:
            return settled("unchanged", ids, told)
        made = await self._client.post(f"/order/{order['entity_id']}/ship", await self._body(write, order, open_))
        return settled("ok", [*ids, str(made)], told)

    async def _order(self, external_id: str) -> JsonObject | None:
        found = await self._client.search("/orders", [Filter("entity_id", "eq", external_id)], sort="entity_id", size=1)
        return found.items[0] if found.items else None

    async def _shipped(self, order_id: str, order: JsonObject) -> list[Shipped]:
        skus = {item["item_id"]: orders.line_sku(item) for item in order["items"]}
        shipped = []
        of_order = [Filter("order_id", "eq", order_id)]
        async for rows in self._client.walk("/shipments", of_order, by="entity_id", fields=_FIELDS):
            shipped += [_shipped(row, skus) for row in rows]
        return shipped

    async def _body(self, write: ShipmentWrite, order: JsonObject, open_: Counter[str]) -> JsonObject:
        """Raises PlatformRefused when less is left than has left."""
        items, missing = chosen(order, open_)
        if missing:
            words = ", ".join(f"{quantity} of {sku}" for sku, quantity in sorted(missing.items()))
            raise PlatformRefused(f"The order has nothing left to ship of this: {words}.")
        body: JsonObject = {"items": items, "notify": self._notifies, "tracks": tracks(write)}
        source = self._source or await self._only_source()
        if source:
            body["arguments"] = {"extension_attributes": {"source_code": source}}
        return body

    async def _only_source(self) -> str | None:
        sources = await self._shop.sources()
        return sources[0].code if len(sources) == 1 else None


def chosen(order: JsonObject, wanted: Counter[str]) -> tuple[list[JsonObject], Counter[str]]:
    """Which lines of the order to ship how much of, and what could not be found to be left."""
    rest = Counter(wanted)
    items = []
    for item in orders.sold_items(order):
        sku = orders.line_sku(item)
        gone = sum(item.get(name) or 0 for name in ("qty_shipped", "qty_canceled", "qty_refunded"))
        quantity = min(rest[sku], int(item["qty_ordered"] - gone))
        if quantity > 0:
            rest[sku] -= quantity
            items.append({"order_item_id": item["item_id"], "qty": quantity})
    return items, +rest


def tracks(write: ShipmentWrite) -> list[JsonObject]:
    """Each tracking number once. The carrier's code is one that Magento knows, or its word for others."""
    words = (write.carrier or "").lower()
    code = next((each for each in _CARRIERS if each in words.split()), "custom")
    title = write.carrier or "Shipment"
    return [
        {"track_number": number, "title": title, "carrier_code": code}
        for number in dict.fromkeys(write.tracking_numbers)
    ]


def _shipped(row: JsonObject, skus: Mapping[int, str]) -> Shipped:
    lines: Counter[str] = Counter()
    for item in row.get("items") or ():
        lines[skus.get(item["order_item_id"], str(item.get("sku")))] += int(item["qty"])
    numbers = frozenset(str(each["track_number"]) for each in row.get("tracks") or ())
    return Shipped(str(row["entity_id"]), numbers, lines)
