"""Shipments: which goods of an order have left, told to WooCommerce once.

WooCommerce itself has none. Where a plug-in for shipment tracking is there its route is told of the tracking numbers,
and otherwise the buyer by a note. What has left is kept in the order's meta data, by the key of each write, and when
all of it has the order is completed. The meta data is written last: until then numbers and notes that are there
already are not told again.
https://woocommerce.com/document/shipment-tracking/#rest-api
"""

import html
from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ShipmentWrite, Written
from services.sync.platforms.shipping import in_turns, wanted
from services.sync.platforms.woocommerce.client import Refused
from services.sync.platforms.woocommerce.orders import line_sku, quantity_of
from services.sync.platforms.woocommerce.paging import all_rows
from services.sync.platforms.woocommerce.reading import AT_ONCE, Reader

JsonObject = dict[str, Any]

SHIPMENTS_KEY = "_crossdock_shipments"
PLUGIN = "wc-shipment-tracking/v3"
_ENDED = frozenset(("cancelled", "refunded", "failed", "trash"))
_FIELDS = "id,status,line_items,refunds,meta_data"


class Shipper:
    """Tells one site of shipments."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client
        self._namespaces: list[str] | None = None
        self._has_route = True

    async def confirm(self, writes: Sequence[ShipmentWrite]) -> list[Written]:
        """What came of each write, in their order; those of one order one after the other."""
        return await in_turns(writes, self._confirm, at_once=AT_ONCE)

    async def _confirm(self, write: ShipmentWrite, _told: Collection[str]) -> Written:
        order_id = write.order_external_id
        if not (order_id.isascii() and order_id.isdigit()):
            return Written("person", "WooCommerce does not have the order.")
        order = await self._client.get(f"orders/{order_id}", {"_fields": _FIELDS})
        shipped = _shipped(order)
        if any(each.get("key") == write.operation_key for each in shipped):
            return Written("unchanged", external_id=write.operation_key)
        if order["status"] in _ENDED:
            return Written("person", f"The order is {order['status']} in WooCommerce.")
        left = await self._left(order, shipped)
        lines = wanted(write)
        if missing := lines - left:
            words = ", ".join(f"{quantity} of {sku}" for sku, quantity in sorted(missing.items()))
            return Written("person", f"The order has nothing left to ship of this: {words}.")
        await self._tell(write)
        # By its key a value is replaced as a whole.
        meta = {"key": SHIPMENTS_KEY, "value": [*shipped, _kept(write)]}
        is_all = order["status"] != "completed" and not await self._is_waited_for(order, left - lines)
        await self._client.put(
            f"orders/{order_id}", {"meta_data": [meta], **({"status": "completed"} if is_all else {})}
        )
        return Written("ok", external_id=write.operation_key)

    async def _left(self, order: JsonObject, shipped: Sequence[JsonObject]) -> Counter[str]:
        """What was sold and is neither given back nor gone, by SKU."""
        back: Counter[int] = Counter()
        fields, path = {"_fields": "id,line_items"}, f"orders/{order['id']}/refunds"
        refunds = await all_rows(self._client, path, fields) if order["refunds"] else ()
        for line in (line for refund in refunds for line in refund["line_items"]):
            of = next((each["value"] for each in line["meta_data"] if each["key"] == "_refunded_item_id"), 0)
            back[int(of)] += abs(int(line["quantity"]))
        left: Counter[str] = Counter()
        for line in order["line_items"]:
            left[line_sku(line)] += max(quantity_of(line) - back[line["id"]], 0)
        for each in shipped:
            for sku, quantity in each["lines"]:
                left[sku] -= quantity
        return +left

    async def _is_waited_for(self, order: JsonObject, rest: Counter[str]) -> bool:
        """Whether anything of what is left has to be sent: what is virtual never leaves."""
        lines = [line for line in order["line_items"] if rest[line_sku(line)]]
        ids = {str(line["variation_id"] or line["product_id"]) for line in lines}
        nodes = await self._reader.posts({"_fields": "id,parent_id,virtual", "status": "any"}, sorted(ids))
        return bool(ids - {str(node["id"]) for node in nodes if node["virtual"]})

    async def _tell(self, write: ShipmentWrite) -> None:
        """Say it to the plug-in for tracking, or else in a note; what is there already is not said again."""
        path = await self._tracking_path(write.order_external_id) if write.tracking_numbers else None
        there = None if path is None else await self._trackings(path)
        if path is None or there is None:
            await self._note(write)
            return
        for number in dict.fromkeys(write.tracking_numbers):
            if number not in {str(each.get("tracking_number")) for each in there}:
                await self._track(path, write, number)

    async def _tracking_path(self, order_id: str) -> str | None:
        if self._namespaces is None:
            self._namespaces = list((await self._client.site("namespaces")).get("namespaces") or ())
        if PLUGIN in self._namespaces:
            return f"/{PLUGIN}/orders/{order_id}/shipment-trackings"
        return f"orders/{order_id}/shipment-trackings" if self._has_route else None

    async def _trackings(self, path: str) -> list[JsonObject] | None:
        """What the plug-in has of an order; None where there is no such plug-in."""
        try:
            found: list[JsonObject] = await self._client.get(path)
        except Refused as refused:
            if refused.code != "rest_no_route":
                raise
            self._has_route = False
            return None
        return found

    async def _track(self, path: str, write: ShipmentWrite, number: str) -> None:
        carrier = write.carrier or ""
        named = {"custom_tracking_provider": carrier, "custom_tracking_link": write.tracking_url or ""}
        if write.tracking_url or not carrier:
            await self._client.post(path, {"tracking_number": number, **named})
            return
        try:
            await self._client.post(path, {"tracking_number": number, "tracking_provider": carrier})
        except Refused:
            # A carrier that the plug-in does not know by this name.
            await self._client.post(path, {"tracking_number": number, **named})

    async def _note(self, write: ShipmentWrite) -> None:
        path, text = f"orders/{write.order_external_id}/notes", _text(write)
        notes = await self._client.get(path)
        if text not in [html.unescape(str(note["note"])) for note in notes]:
            await self._client.post(path, {"note": text, "customer_note": self._client.settings.notify_customer})


def _shipped(order: JsonObject) -> list[JsonObject]:
    """The shipments that an order's meta data keeps. Raises PlatformRefused where they are unreadable."""
    value: Any = next((each["value"] for each in order["meta_data"] if each.get("key") == SHIPMENTS_KEY), [])
    if not isinstance(value, list) or not all(isinstance(each, dict) and "lines" in each for each in value):
        raise PlatformRefused(f"The order's meta data '{SHIPMENTS_KEY}' was changed, so that nobody knows what left.")
    return value


def _kept(write: ShipmentWrite) -> JsonObject:
    return {
        "key": write.operation_key,
        "lines": [[sku, quantity] for sku, quantity in wanted(write).items()],
        "carrier": write.carrier,
        "tracking_numbers": list(write.tracking_numbers),
        "tracking_url": write.tracking_url,
    }


def _text(write: ShipmentWrite) -> str:
    """What the buyer reads: the same for the same shipment, and another for another."""
    goods = ", ".join(f"{quantity} × {sku}" for sku, quantity in wanted(write).items())
    by = f" with {write.carrier}" if write.carrier else ""
    numbers = ", ".join(dict.fromkeys(write.tracking_numbers))
    which = f": {numbers}" if numbers else f" (shipment {sha256(write.operation_key.encode()).hexdigest()[:8]})"
    return f"Shipped {goods}{by}{which}{f' {write.tracking_url}' if write.tracking_url else ''}"
