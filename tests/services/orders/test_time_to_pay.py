"""How long an order waits for its payment: per shop, longer while one is on its way, and by the database's clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy import topology
from services.inventory.use_cases import reservations
from shared import clock
from shared.contracts.inventory.messages import GetReservation
from shared.contracts.orders.messages import CancelOrder, HoldOrder, ReleaseOrder
from shared.contracts.orders.shapes import Order
from shared.contracts.orders.terms import GetOrderTerms, SetOrderTerms
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.orders import Seller
from tests.services.orders.test_lifecycle import let_payment_be_due

pytestmark = pytest.mark.feature("ORD-3")

DAY = timedelta(days=1)


def wait(order: Order) -> timedelta:
    assert order.pay_until is not None
    return order.pay_until - order.placed_at


async def test_a_shop_says_how_long_its_orders_wait(seller: Seller) -> None:
    before = await seller.place(MUG=1)
    assert (await seller.ask(GetOrderTerms(shop="main"))).model_dump() == {
        "shop": "main",
        "pay_window_minutes": 30,
        "is_own": False,
    }
    assert (await seller.ask(SetOrderTerms(shop="main", pay_window_minutes=90))).is_own
    order = await seller.place(MUG=1)
    assert (wait(before), wait(order)) == (timedelta(minutes=30), timedelta(minutes=90))
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).expires_at == order.pay_until
    # Released, an order has the shop's whole time again.
    await seller.ask(HoldOrder(order_id=order.id, reason="look"))
    released = await seller.ask(ReleaseOrder(order_id=order.id))
    assert timedelta(minutes=89) < wait(released) - (datetime.now(UTC) - order.placed_at) <= timedelta(minutes=90)
    await seller.ask(SetOrderTerms(shop="main", pay_window_minutes=None))
    assert wait(await seller.place(MUG=1)) == timedelta(minutes=30)


@pytest.mark.parametrize("state", ["pending", "authorised"])
async def test_an_order_waits_longer_while_its_payment_is_on_its_way(seller: Seller, state: str) -> None:
    order = await seller.place(MUG=1)
    await seller.settle()
    news = seller.payment(order, 0, state=state, authorised=1000 if state == "authorised" else 0)
    for _ in range(2):
        await seller.hear("orders", news)
    await seller.settle()
    known = await seller.order(order.id)
    assert (known.status, wait(known)) == ("pending", DAY)
    assert [entry.kind for entry in known.timeline].count("due_later") == 1
    assert (await seller.ask(GetReservation(reservation_id=order.id))).expires_at == known.pay_until
    # What was due before is not due now.
    await seller.change("orders", "UPDATE tasks SET due_at = now()")
    await seller.settle()
    assert (await seller.order(order.id)).status == "pending"
    await let_payment_be_due(seller)
    ended = await seller.order(order.id)
    assert ended.status == ("on_hold" if state == "authorised" else "cancelled")


async def test_a_payment_that_came_before_is_not_waited_for(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.hear("orders", seller.payment(order, 0, state="failed", authorised=0))
    assert wait(await seller.order(order.id)) == timedelta(minutes=30)
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    await seller.hear("orders", seller.payment(order, 0, state="pending", authorised=0))
    assert (await seller.order(order.id)).status == "cancelled"
    assert await seller.events("orders", "order_due_later") == []


async def test_a_payment_that_comes_after_its_stock_ran_out_takes_it_again_or_needs_a_person(seller: Seller) -> None:
    lucky, unlucky = await seller.place(CUP=2), await seller.place(MUG=10)
    await seller.settle()
    await seller.change("inventory", "UPDATE reservations SET expires_at = now() - interval '1 second'")
    await seller.inside("inventory", reservations.expire)
    await seller.place(MUG=1)
    for order in (lucky, unlucky):
        await seller.hear("orders", seller.payment(order))
    await seller.settle()
    assert (await seller.order(lucky.id)).status == "processing"
    assert (await seller.ask(GetReservation(reservation_id=lucky.id))).state == "confirmed"
    held = await seller.order(unlucky.id)
    assert (held.status, held.hold_reason) == ("on_hold", "No longer in stock: MUG")
    assert [alert["title"] for alert in await seller.alerts("orders")] == ["An order lost its stock"]
    assert await seller.discrepancies() == []


@pytest.mark.parametrize("jump", [2 * DAY, -2 * DAY])
async def test_a_clock_that_jumps_neither_ends_an_order_early_nor_keeps_it(seller: Seller, jump: timedelta) -> None:
    order = await seller.place(MUG=2)
    with clock.replaced(lambda: datetime.now(UTC) + jump):
        await seller.settle()
        await seller.change("orders", "UPDATE tasks SET due_at = now()")
        await seller.settle()
        assert (await seller.order(order.id)).status == "pending"
        other = await seller.place(MUG=1)
        assert wait(other) == timedelta(minutes=30)
        await let_payment_be_due(seller)
        assert (await seller.order(order.id)).cancel_reason == "Its payment did not arrive in time"
    assert (await seller.level("MUG")).reserved == 0


@pytest.fixture
async def at_the_door(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00"}, {"MUG": 10})


async def test_terms_through_both_doors(client: Client, at_the_door: Seller) -> None:
    headers = client.speaking_as(at_the_door.caller)
    path = "/v1/shops/main/order-terms"
    put = await client.put(path, json={"pay_window_minutes": 45}, headers=headers)
    assert (put.status_code, put.json()) == (200, {"shop": "main", "pay_window_minutes": 45, "is_own": True})
    assert (await client.get(path, headers=headers)).json() == put.json()
    for wrong in (0, -1, 43_201, 1.5, "30", True):
        refused = await client.put(path, json={"pay_window_minutes": wrong}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), wrong

    async def ask(query: str, caller: Any = at_the_door.caller) -> Any:
        answer = await client.post("/graphql", json={"query": query}, headers=client.speaking_as(caller))
        return answer.json()

    setting = (
        'mutation { setOrderTerms(shop: "main", payWindowMinutes: 5)'
        " { ... on OrderTerms { isOwn } ... on Problem { code } } }"
    )
    assert (await ask(setting))["data"]["setOrderTerms"] == {"isOwn": True}
    assert (await ask('{ orderTerms(shop: "main") { payWindowMinutes } }'))["data"]["orderTerms"] == {
        "payWindowMinutes": 5
    }
    stranger, reader = caller_of(new_id()), caller_of(at_the_door.organization_id, "orders:read")
    limited = caller_of(at_the_door.organization_id, shop_ids=[new_id()])
    assert (await ask(setting, reader))["data"]["setOrderTerms"] == {"code": "missing_scope"}
    for caller, code in ((stranger, "shop_not_found"), (limited, "shop_not_found"), (reader, "missing_scope")):
        answer = await client.put(path, json={"pay_window_minutes": 5}, headers=client.speaking_as(caller))
        assert answer.json()["code"] == code
    for caller, status in ((stranger, 404), (reader, 200), (at_the_door.storefront(), 403)):
        assert (await client.get(path, headers=client.speaking_as(caller))).status_code == status
