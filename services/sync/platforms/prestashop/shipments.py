"""Shipments: the tracking number first, because the shop's letter to the buyer names it, and then the shipped state.

PrestaShop keeps no parcels: an order has rows with a carrier and one tracking number, and a state. A number that is in
a row was told. The state is set when nothing of the order is left to ship, as far as it was told from here: what each
shipment has is kept with the order (`references["shipped"]`). The same state again would be a second row
of its history and a second letter; so it is looked at first, and again when an answer was lost.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote, unquote

from services.sync.errors import AnswerNotUnderstood, PlatformAway, PlatformRefused
from services.sync.platforms.base import Outcome, ShipmentWrite, Written
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.client import AT_ONCE
from services.sync.platforms.prestashop.mapping import key, text, whole
from services.sync.platforms.prestashop.orders import line_sku, lines_of
from services.sync.platforms.prestashop.shop import Shop, state_of
from services.sync.platforms.shipping import in_turns, wanted

JsonObject = dict[str, Any]


class Shipper:
    """Tells one shop of shipments."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._client = shop, shop.client

    async def confirm(self, writes: Sequence[ShipmentWrite]) -> list[Written]:
        """What came of each write, in their order; those of one order one after the other."""
        return await in_turns(writes, self._confirm, at_once=AT_ONCE)

    async def _confirm(self, write: ShipmentWrite, told: Collection[str]) -> Written:
        """Tell of one shipment; `told` are what others of the same order have, and what this one has."""
        rows = await self._client.by_ids("orders", [write.order_external_id])
        if not rows:
            return Written("person", "The shop does not have the order.")
        order = rows[0]
        state = state_of(await self._shop.states(), key(order.get("current_state")))
        if state.is_cancelled:
            return Written("person", f"The order is '{state.name}' in the shop.", write.order_external_id)
        shipped = sorted({*told, _entry(write)})
        has_told = await self._tell_numbers(write, order)
        if not _left(order, shipped) and not state.is_shipped:
            await self._set_shipped(key(order["id"]))
            has_told = True
        outcome: Outcome = "ok" if has_told else "unchanged"
        return Written(outcome, external_id=write.order_external_id, references={"shipped": ",".join(shipped)})

    async def _tell_numbers(self, write: ShipmentWrite, order: JsonObject) -> bool:
        """Have the tracking numbers in rows of the order. Whether any was not."""
        order_id = key(order["id"])
        rows = await self._client.rows("order_carriers", filters={"id_order": f"[{order_id}]"})
        there = {text(row.get("tracking_number"), 0) for row in rows}
        free = [key(row["id"]) for row in rows if not text(row.get("tracking_number"), 0)]
        missing = [number for number in dict.fromkeys(write.tracking_numbers) if number and number not in there]
        for number in missing:
            if free:
                changed = xml.row("order_carrier", {"tracking_number": number})
                await self._client.change("order_carriers", free.pop(0), changed)
                continue
            fields = {"id_order": order_id, "id_carrier": text(order.get("id_carrier"), 0), "tracking_number": number}
            await self._client.make("order_carriers", xml.row("order_carrier", fields))
        return bool(missing)

    async def _set_shipped(self, order_id: str) -> None:
        """Give the order its shipped state. A shop that can not send its letter says no, and has done it."""
        target = await self._shop.shipped_state()
        history = xml.row("order_history", {"id_order": order_id, "id_order_state": target.id})
        params = {"sendemail": "1"} if self._shop.settings.notify_customer else {}
        try:
            await self._client.make("order_histories", history, params)
        except (PlatformAway, PlatformRefused, AnswerNotUnderstood):
            rows = await self._client.by_ids("orders", [order_id], "[id,current_state]")
            if not rows or key(rows[0].get("current_state")) != target.id:
                raise


def _entry(write: ShipmentWrite) -> str:
    """A shipment as it is kept with its order: `key:SKU*2;SKU*1`, the words without any signs."""
    lines = (f"{quote(sku, safe='')}*{quantity}" for sku, quantity in sorted(wanted(write).items()))
    return f"{quote(write.operation_key, safe='')}:{';'.join(lines)}"


def _left(order: JsonObject, shipped: Sequence[str]) -> Counter[str]:
    """What of an order has not left yet."""
    left: Counter[str] = Counter()
    for line in lines_of(order):
        left[line_sku(line)] += whole(line.get("product_quantity"))
    for entry in shipped:
        for pair in filter(None, entry.partition(":")[2].split(";")):
            sku, _, quantity = pair.partition("*")
            left[unquote(sku)] -= int(quantity)
    return +left
