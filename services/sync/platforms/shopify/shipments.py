"""Shipments: which goods of an order have left, told to Shopify once.

`fulfillmentCreate` repeated makes a second fulfilment as long as anything is left to fulfil. So what Shopify has is
read first (`platforms/shipping.py`), and only what that does not cover is still told.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ShipmentWrite, Written
from services.sync.platforms.shipping import Shipped, in_turns, known, settled, wanted
from services.sync.platforms.shopify import queries
from services.sync.platforms.shopify.client import Client, user_errors, words
from services.sync.platforms.shopify.mapping import gid, short
from services.sync.platforms.shopify.orders import line_sku

JsonObject = dict[str, Any]

_ENDED = frozenset(("CANCELLED", "ERROR", "FAILURE"))
_CAN_SHIP = frozenset(("OPEN", "IN_PROGRESS"))


class Shipper:
    """Tells one shop of shipments."""

    def __init__(self, client: Client, settings: Mapping[str, Any]) -> None:
        self._client = client
        self._notifies = settings.get("notify_customer", True)

    async def confirm(self, writes: Sequence[ShipmentWrite]) -> list[Written]:
        """What came of each write, in their order; those of one order one after the other."""
        return await in_turns(writes, self._confirm)

    async def _confirm(self, write: ShipmentWrite, told: Collection[str]) -> Written:
        """Tell of one shipment; `told` are fulfilments that others of the same order are known to be."""
        order = (await self._client.ask(queries.SHIPPED, {"id": gid("Order", write.order_external_id)}))["order"]
        if order is None:
            return Written("person", "Shopify does not have the order.")
        alive = [_shipped(each) for each in order["fulfillments"] if each["status"] not in _ENDED]
        same = known(write, alive, told)
        open_ = wanted(write) - sum((each.lines for each in same), Counter())
        ids = [each.external_id for each in same]
        if not open_:
            return settled("unchanged", ids, told)
        return settled("ok", [*ids, *await self._ship(write, open_)], told)

    async def _ship(self, write: ShipmentWrite, open_: Counter[str]) -> list[str]:
        """Fulfil what is open, once for each place it leaves from. Raises PlatformRefused."""
        chosen, rest = _chosen(await self._to_ship(gid("Order", write.order_external_id)), open_)
        if rest:
            missing = ", ".join(f"{quantity} of {sku}" for sku, quantity in sorted(rest.items()))
            raise PlatformRefused(f"The order has nothing left to ship of this, or holds it: {missing}.")
        return [await self._fulfil(write, lines) for lines in chosen.values()]

    async def _fulfil(self, write: ShipmentWrite, lines: Mapping[str, list[JsonObject]]) -> str:
        fulfillment: JsonObject = {
            "lineItemsByFulfillmentOrder": [
                {"fulfillmentOrderId": order, "fulfillmentOrderLineItems": items} for order, items in lines.items()
            ],
            "notifyCustomer": self._notifies,
        }
        if write.tracking_numbers or write.carrier:
            fulfillment["trackingInfo"] = _tracking(write)
        payload = (await self._client.ask(queries.SHIP, {"fulfillment": fulfillment}))["fulfillmentCreate"] or {}
        errors = user_errors(payload)
        if errors or not payload.get("fulfillment"):
            raise PlatformRefused(words(errors) or "Shopify made no fulfilment.")
        return short(payload["fulfillment"]["id"])

    async def _to_ship(self, order_id: str) -> list[JsonObject]:
        found, after, more = [], None, True
        while more:
            order = (await self._client.ask(queries.TO_SHIP, {"id": order_id, "after": after}))["order"]
            if order is None:
                break
            connection = order["fulfillmentOrders"]
            found += connection["nodes"]
            after, more = connection["pageInfo"]["endCursor"], connection["pageInfo"]["hasNextPage"]
        return found


def _shipped(fulfillment: JsonObject) -> Shipped:
    return Shipped(short(fulfillment["id"]), frozenset(_numbers(fulfillment)), _lines(fulfillment))


def _numbers(fulfillment: JsonObject) -> set[str]:
    return {info["number"] for info in fulfillment["trackingInfo"] if info["number"]}


def _lines(fulfillment: JsonObject) -> Counter[str]:
    lines: Counter[str] = Counter()
    for line in fulfillment["fulfillmentLineItems"]["nodes"]:
        lines[line_sku(line["lineItem"])] += line["quantity"] or 0
    return lines


def _chosen(
    orders: Sequence[JsonObject], wanted: Counter[str]
) -> tuple[dict[str, dict[str, list[JsonObject]]], Counter[str]]:
    """By place and fulfilment order, which lines to fulfil; and what could not be found to be left."""
    rest = Counter(wanted)
    chosen: dict[str, dict[str, list[JsonObject]]] = {}
    for order in orders:
        if order["status"] not in _CAN_SHIP:
            continue
        place = ((order["assignedLocation"] or {}).get("location") or {}).get("id") or ""
        for line in order["lineItems"]["nodes"]:
            sku = line_sku(line["lineItem"])
            quantity = min(rest[sku], line["remainingQuantity"])
            if quantity > 0:
                rest[sku] -= quantity
                items = chosen.setdefault(place, {}).setdefault(order["id"], [])
                items.append({"id": line["id"], "quantity": quantity})
    return chosen, +rest


def _tracking(write: ShipmentWrite) -> JsonObject:
    info: JsonObject = {"company": write.carrier} if write.carrier else {}
    numbers = list(dict.fromkeys(write.tracking_numbers))
    if len(numbers) == 1:
        info["number"] = numbers[0]
    elif numbers:
        info["numbers"] = numbers
    if write.tracking_url:
        info["url" if len(numbers) <= 1 else "urls"] = (
            write.tracking_url if len(numbers) <= 1 else [write.tracking_url] * len(numbers)
        )
    return info
