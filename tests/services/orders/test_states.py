"""Moves from every status to every status: what the table allows happens, everything else is a 409 of one code."""

from typing import Any

import pytest

from deploy import topology
from services.orders.errors import IllegalTransition
from services.orders.models import OrderRow
from shared import clock
from shared.contracts.orders.messages import CancelOrder, HoldOrder, ReleaseOrder
from shared.contracts.orders.shapes import Order
from shared.contracts.orders.states import MOVES, as_markdown
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client
from tests.factories.orders import Seller
from tests.services.orders.test_aftercare import came_back

pytestmark = pytest.mark.feature("ORD-2")

STATUSES = tuple(MOVES)


def order_that_is(status: str) -> OrderRow:
    held_from = "processing" if status == "on_hold" else None
    return OrderRow(
        organization_id=new_id(),
        id=new_id(),
        number="X-1",
        shop_id=new_id(),
        status=status,
        held_from=held_from,
        currency="USD",
        total=0,
        goods=0,
        placed_at=clock.now(),
        updated_at=clock.now(),
    )


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_an_order_moves_as_the_table_says_and_not_otherwise(before: Any, after: Any) -> None:
    order = order_that_is(before)
    if after in MOVES[before]:
        order.move(after)
        assert (order.status, order.version) == (after, 2)
        return
    with pytest.raises(IllegalTransition, match=f"that is {before} cannot become {after}"):
        order.move(after)
    assert (order.status, order.version) == (before, 1)
    assert (IllegalTransition.status, IllegalTransition.code) == (409, "illegal_transition")


@pytest.fixture
async def selling(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00"}, {"MUG": 20})


async def brought_to(seller: Seller, status: str) -> Order:
    """An order that got there by what really happens to orders."""
    order = await seller.place(MUG=2)
    if status in ("processing", "partly_shipped", "complete", "returned"):
        order = await seller.pay(order)
    if status in ("partly_shipped", "complete", "returned"):
        units = 1 if status == "partly_shipped" else 2
        await seller.ship(order, lines=[{"sku": "MUG", "quantity": units}])
    if status == "returned":
        await seller.settle()
        await seller.hear("orders", came_back(order, MUG=2))
    if status == "on_hold":
        await seller.ask(HoldOrder(order_id=order.id, reason="look"))
    if status == "cancelled":
        await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    await seller.settle()
    return await seller.order(order.id)


@pytest.mark.parametrize("status", STATUSES)
async def test_people_move_orders_from_every_status_only_where_the_table_allows(seller: Seller, status: str) -> None:
    actions = {"on_hold": HoldOrder, "cancelled": CancelOrder, "released": ReleaseOrder}
    for after, action in actions.items():
        order = await brought_to(seller, status)
        assert order.status == status
        reason = {} if after == "released" else {"reason": "try"}
        allowed = status == "on_hold" if after == "released" else after in MOVES[order.status]
        message = action(order_id=order.id, **reason)
        if allowed:
            assert (await seller.ask(message)).status == ("pending" if after == "released" else after)
            continue
        with pytest.raises(CarriedError) as refused:
            await seller.ask(message)
        assert (refused.value.status, refused.value.code) == (409, "illegal_transition")
        assert (await seller.order(order.id)).version == order.version


async def test_the_documentation_shows_the_table(client: Client) -> None:
    document = (await client.get("/openapi.json")).json()
    (orders,) = [tag for tag in document["tags"] if tag["name"] == "orders"]
    assert as_markdown() in orders["description"]
