"""News of goods, as an order's timeline tells them: told once, and never a move that nobody made."""

import pytest

from shared import clock
from shared.contracts.base import Event
from shared.contracts.inventory.events import BackorderServed, GoodsReturned
from shared.contracts.inventory.shapes import ReturnedUnits, ShippedLine
from shared.identifiers import new_id
from tests.factories.orders import Seller


async def told(seller: Seller, event: Event, order_id: object, kind: str) -> list[str]:
    """What the timeline says of this kind after the event came twice."""
    event_id = new_id()
    assert await seller.hear("orders", event, ids=[event_id]) == []
    assert await seller.hear("orders", event, ids=[event_id]) == []
    order = await seller.order(order_id)  # type: ignore[arg-type]
    return [entry.text for entry in order.timeline if entry.kind == kind]


@pytest.mark.feature("INV-6", "ORD-2")
async def test_a_return_is_told_once(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    event = GoodsReturned(
        return_id=new_id(),
        order_id=order.id,
        number=f"{order.number}-R1",
        lines=[ReturnedUnits(sku="MUG", quantity=2, restocked=1)],
        returned_at=clock.now(),
    )
    assert await told(seller, event, order.id, "returned") == [f"Goods came back ({order.number}-R1): 2 of MUG."]


@pytest.mark.feature("INV-6")
async def test_a_served_backorder_is_told_once(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2, CUP=3))
    event = BackorderServed(
        order_id=order.id,
        lines=[ShippedLine(sku="MUG", quantity=2)],
        waiting=[ShippedLine(sku="CUP", quantity=1)],
    )
    texts = await told(seller, event, order.id, "backorder_served")
    assert texts == ["Goods it waited for are there: 2 of MUG. It still waits for 1 of CUP."]
