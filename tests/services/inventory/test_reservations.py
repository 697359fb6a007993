"""Holding stock: all or nothing, never twice, never for ever, under any concurrency and order of events."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from services.inventory.use_cases import reservations
from shared import clock
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.messages import GetReservation, SetStockPolicy
from shared.contracts.inventory.shapes import Reservation
from shared.contracts.orders.events import OrderCancelled, OrderMoved, OrderPlaced
from shared.contracts.orders.shapes import PlacedLine
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-3")
_PRICE = Money(amount=100, currency="USD")


def placed(order_id: UUID, shop: Shop, status: str = "pending", minutes: int = 30, **lines: int) -> OrderPlaced:
    return OrderPlaced(
        order_id=order_id,
        number="MAIN-000001",
        shop_id=shop.id,
        total=_PRICE,
        status=status,
        lines=[PlacedLine(sku=sku, quantity=quantity, unit_price=_PRICE) for sku, quantity in lines.items()],
        placed_at=clock.now(),
        pay_until=clock.now() + timedelta(minutes=minutes) if status == "pending" else None,
    )


def moved(order_id: UUID, shop: Shop, after: str = "processing") -> OrderMoved:
    return OrderMoved(
        order_id=order_id, number="MAIN-000001", shop_id=shop.id, before="pending", after=after, version=2
    )


def cancelled(order_id: UUID, shop: Shop) -> OrderCancelled:
    return OrderCancelled(order_id=order_id, number="MAIN-000001", shop_id=shop.id, reason="test")


async def found(merchant: Merchant, order_id: UUID) -> Reservation:
    return await merchant.ask(GetReservation(reservation_id=order_id))


async def let_it_run_out(merchant: Merchant, *order_ids: UUID) -> None:
    await merchant.change(
        "inventory",
        "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE id = ANY($1) AND state = 'held'",
        list(order_ids),
    )


async def expire(merchant: Merchant) -> None:
    await merchant.inside("inventory", reservations.expire)


async def test_a_reservation_holds_all_its_lines(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5, "B": 2})
    held = await merchant_of_stock.reserve(shop, A=3, B=2)
    assert held.state == "held"
    assert {line.sku: line.quantity for line in held.lines} == {"A": 3, "B": 2}
    assert held.expires_at is not None
    assert timedelta(minutes=4) < held.expires_at - clock.now() < timedelta(minutes=6)
    level = await merchant_of_stock.level("A")
    assert (level.on_hand, level.reserved, level.available) == (5, 3, 2)
    assert (await merchant_of_stock.availability(shop, "B")).available is False
    assert await merchant_of_stock.discrepancies() == []


async def test_nothing_is_held_when_one_line_falls_short(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5, "B": 2, "OUT": 0})
    order_id = new_id()
    with pytest.raises(CarriedError) as refused:
        await merchant_of_stock.reserve(shop, order_id, A=1, B=3, OUT=1, NEVER=1)
    assert (refused.value.status, refused.value.code) == (409, "insufficient_stock")
    assert refused.value.errors == [
        {
            "sku": "B",
            "requested": 3,
            "available": 2,
            "reason": "not_enough",
            "centres": [{"centre": "main", "sku": "B", "available": 2}],
        },
        {"sku": "NEVER", "requested": 1, "available": 0, "reason": "not_stocked", "centres": []},
        {
            "sku": "OUT",
            "requested": 1,
            "available": 0,
            "reason": "out_of_stock",
            "centres": [{"centre": "main", "sku": "OUT", "available": 0}],
        },
    ]
    assert (await merchant_of_stock.level("A")).reserved == 0
    with pytest.raises(CarriedError, match="no such reservation"):
        await found(merchant_of_stock, order_id)


async def test_the_same_id_finds_the_same_reservation(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    order_id = new_id()
    answers = await asyncio.gather(*(merchant_of_stock.reserve(shop, order_id, A=2) for _ in range(10)))
    assert {answer.id for answer in answers} == {order_id}
    assert (await merchant_of_stock.level("A")).reserved == 2
    with pytest.raises(CarriedError) as refused:
        await merchant_of_stock.reserve(shop, order_id, A=3)
    assert refused.value.code == "reservation_differs"


async def test_many_buyers_never_get_more_than_there_is(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"HOT": 7, "WARM": 100})
    orders = [merchant_of_stock.reserve(shop, HOT=1, WARM=1) for _ in range(30)]
    answers = await asyncio.gather(*orders, return_exceptions=True)
    held = [answer for answer in answers if isinstance(answer, Reservation)]
    refused = [answer for answer in answers if isinstance(answer, CarriedError)]
    assert (len(held), len(refused)) == (7, 23)
    assert {error.code for error in refused} == {"insufficient_stock"}
    assert (await merchant_of_stock.level("HOT")).available == 0
    assert (await merchant_of_stock.level("WARM")).reserved == 7
    assert await merchant_of_stock.discrepancies() == []


async def test_lines_in_any_order_do_not_deadlock(merchant_of_stock: Merchant, shop: Shop) -> None:
    skus = [f"S{number}" for number in range(8)]
    await merchant_of_stock.stocked(dict.fromkeys(skus, 1000))
    orders = [
        merchant_of_stock.reserve(shop, **dict.fromkeys(skus[start:] + skus[:start], 1))
        for start in range(8)
        for _ in range(3)
    ]
    assert len(await asyncio.gather(*orders)) == 24
    assert (await merchant_of_stock.level("S0")).reserved == 24


async def test_a_hold_that_runs_out_returns_its_stock(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    gone, kept = await merchant_of_stock.reserve(shop, A=2), await merchant_of_stock.reserve(shop, A=1)
    await let_it_run_out(merchant_of_stock, gone.id)
    across = merchant_of_stock.process.surroundings.unit_of_work(
        "inventory", merchant_of_stock.unit_of_work("inventory").envelope, across_tenants=True
    )
    await reservations.leave_expiry_tasks(across)
    await across.commit()
    await merchant_of_stock.settle()
    assert (await found(merchant_of_stock, gone.id)).state == "expired"
    assert (await found(merchant_of_stock, kept.id)).state == "held"
    assert (await merchant_of_stock.level("A")).reserved == 1
    assert await merchant_of_stock.events("inventory", "reservation_expired") == [{"order_id": str(gone.id)}]
    assert await merchant_of_stock.discrepancies() == []


async def test_an_expired_id_can_be_reserved_anew(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5, "B": 5})
    first = await merchant_of_stock.reserve(shop, A=2)
    await let_it_run_out(merchant_of_stock, first.id)
    await expire(merchant_of_stock)
    again = await merchant_of_stock.reserve(shop, first.id, B=4)
    assert (again.state, [line.sku for line in again.lines]) == ("held", ["B"])
    assert (await merchant_of_stock.level("A")).reserved == 0
    assert await merchant_of_stock.discrepancies() == []


async def test_an_order_that_waits_for_its_payment_keeps_its_hold(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    held = await merchant_of_stock.reserve(shop, A=2)
    event = placed(held.id, shop, minutes=40, A=2)
    await merchant_of_stock.hear("inventory", event)
    longer = await found(merchant_of_stock, held.id)
    assert (longer.state, longer.expires_at) == ("held", event.pay_until)
    await merchant_of_stock.hear("inventory", placed(held.id, shop, minutes=1, A=2))
    assert (await found(merchant_of_stock, held.id)).expires_at == event.pay_until


async def test_a_paid_order_keeps_its_stock_for_good(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    held = await merchant_of_stock.reserve(shop, A=2)
    await merchant_of_stock.hear("inventory", moved(held.id, shop))
    await merchant_of_stock.hear("inventory", placed(held.id, shop, A=2))
    kept = await found(merchant_of_stock, held.id)
    assert (kept.state, kept.expires_at) == ("confirmed", None)
    await expire(merchant_of_stock)
    assert (await merchant_of_stock.level("A")).reserved == 2


async def test_a_late_confirmation_takes_the_stock_again(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    late = await merchant_of_stock.reserve(shop, A=2)
    await let_it_run_out(merchant_of_stock, late.id)
    await expire(merchant_of_stock)
    assert (await merchant_of_stock.level("A")).reserved == 0
    await merchant_of_stock.hear("inventory", placed(late.id, shop, A=2))
    assert (await found(merchant_of_stock, late.id)).state == "held"
    assert (await merchant_of_stock.level("A")).reserved == 2
    assert await merchant_of_stock.events("inventory", "reservation_failed") == []


async def test_a_late_confirmation_without_stock_is_announced(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 2})
    late = await merchant_of_stock.reserve(shop, A=2)
    await let_it_run_out(merchant_of_stock, late.id)
    await expire(merchant_of_stock)
    await merchant_of_stock.reserve(shop, A=1)
    await merchant_of_stock.hear("inventory", moved(late.id, shop))
    assert await merchant_of_stock.events("inventory", "reservation_failed") == [
        {"order_id": str(late.id), "skus": ["A"]}
    ]
    assert (await merchant_of_stock.level("A")).reserved == 1
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.parametrize("first", ["placed", "moved", "cancelled"])
async def test_a_cancelled_order_holds_nothing_whatever_came_first(
    merchant_of_stock: Merchant, shop: Shop, first: str
) -> None:
    await merchant_of_stock.stocked({"A": 5})
    held = await merchant_of_stock.reserve(shop, A=2)
    events: dict[str, Event] = {
        "placed": placed(held.id, shop, A=2),
        "moved": moved(held.id, shop),
        "cancelled": cancelled(held.id, shop),
    }
    ordered = [events.pop(first), *events.values()]
    ids = [new_id() for _ in ordered]
    for event, id_ in zip(ordered, ids, strict=True):
        await merchant_of_stock.hear("inventory", event, ids=[id_])
    await merchant_of_stock.hear("inventory", *reversed(ordered), ids=list(reversed(ids)))
    await merchant_of_stock.hear("inventory", *ordered)
    assert (await found(merchant_of_stock, held.id)).state == "released"
    assert (await merchant_of_stock.level("A")).reserved == 0
    with pytest.raises(CarriedError) as refused:
        await merchant_of_stock.reserve(shop, held.id, A=2)
    assert refused.value.code == "reservation_closed"
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.feature("INV-2")
async def test_policies_say_what_may_be_promised_beyond_stock(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked(dict.fromkeys(["BACK", "PRE", "PREDONE", "ALWAYS", "SHOW", "LATER", "OVER"], 2))
    today = clock.now().date()
    day = timedelta(days=1)
    for sku, policy, dates in (
        ("BACK", "backorder", {}),
        ("PRE", "preorder", {"available_from": today + day}),
        ("PREDONE", "preorder", {"available_from": today - day}),
        ("ALWAYS", "always", {}),
        ("SHOW", "showroom", {}),
        ("LATER", "standard", {"available_from": today + day}),
        ("OVER", "standard", {"available_until": today - day}),
    ):
        await merchant_of_stock.ask(SetStockPolicy(sku=sku, centre="main", policy=policy, **dates))
    for sku, is_held, available in (
        ("BACK", True, True),
        ("PRE", True, True),
        ("ALWAYS", True, True),
        ("PREDONE", False, True),
        ("SHOW", False, False),
        ("LATER", False, False),
        ("OVER", False, False),
    ):
        assert (await merchant_of_stock.availability(shop, sku)).available is available, sku
        if is_held:
            part = (await merchant_of_stock.reserve(shop, **{sku: 5})).lines[0].parts[0]
            assert (part.quantity, part.backordered) == (5, 3), sku
            assert (await merchant_of_stock.availability(shop, sku)).available_quantity == 0
        else:
            with pytest.raises(CarriedError, match="Not available"):
                await merchant_of_stock.reserve(shop, **{sku: 5})
    assert await merchant_of_stock.discrepancies() == []


async def test_the_database_itself_refuses_to_oversell(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 1})
    with pytest.raises(Exception, match="never_oversold"):
        await merchant_of_stock.change("inventory", "UPDATE stock SET reserved = 2 WHERE sku = 'A'")


async def test_another_tenant_with_the_same_skus_is_another_world(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 1})
    stranger = Merchant(merchant_of_stock.process)
    own_shop = await stranger.open_shop()
    await stranger.stocked({"A": 1})
    held = await merchant_of_stock.reserve(shop, A=1)
    assert (await stranger.reserve(own_shop, held.id, A=1)).state == "held"
    with pytest.raises(CarriedError) as refused:
        await stranger.reserve(shop, A=1)
    assert refused.value.code == "shop_not_found"
    await stranger.hear("inventory", cancelled(held.id, own_shop))
    assert (await found(merchant_of_stock, held.id)).state == "held"


async def test_what_makes_no_sense_is_refused(merchant_of_stock: Merchant, shop: Shop) -> None:
    for lines in ({}, {"A": 0}, {"A": -1}):
        with pytest.raises(CarriedError) as refused:
            await merchant_of_stock.reserve(shop, **lines)
        assert refused.value.code == "nothing_to_reserve"


async def test_reserved_at_once_each_gets_what_those_before_it_left(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 10, "B": 3})
    repeated = await merchant_of_stock.reserve(shop, A=1)
    other_shop = (await merchant_of_stock.open_shop("sub", parent_id=shop.id)).model_copy()
    orders = [
        (shop, {"A": 4}),
        (shop, {"A": 1, "B": 9}),
        (other_shop, {"A": 4, "B": 1}),
        (shop, {"A": 2}),
        (shop, {"A": 1}),
    ]
    asks = [merchant_of_stock.reserve(where, **lines) for where, lines in orders]
    asks += [merchant_of_stock.reserve(shop, repeated.id, A=1), merchant_of_stock.reserve(shop, repeated.id, A=2)]
    nowhere = shop.model_copy(update={"id": new_id()})
    asks += [merchant_of_stock.reserve(shop), merchant_of_stock.reserve(nowhere, A=1)]
    answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [answer.code if isinstance(answer, CarriedError) else answer.state for answer in answers] == [
        "held",
        "insufficient_stock",
        "held",
        "insufficient_stock",
        "held",
        "held",
        "reservation_differs",
        "nothing_to_reserve",
        "shop_not_found",
    ]
    assert [entry["available"] for entry in answers[1].errors] == [3]
    assert [(entry["sku"], entry["available"]) for entry in answers[3].errors] == [("A", 1)]
    assert answers[5].id == repeated.id
    transactions = "SELECT xmin::text AS xmin FROM reservations WHERE id = ANY($1)"
    rows = await merchant_of_stock.rows("inventory", transactions, [answers[place].id for place in (0, 2, 4)])
    assert len({row["xmin"] for row in rows}) == 1
    assert len(await merchant_of_stock.rows("inventory", "SELECT id FROM reservations")) == 4
    for place in (0, 2, 4):
        assert await found(merchant_of_stock, answers[place].id) == answers[place]
    level = await merchant_of_stock.level("A")
    assert (level.on_hand, level.reserved) == (10, 10)
    assert await merchant_of_stock.discrepancies() == []


async def test_kits_reserved_at_once_share_their_goods(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"CUP": 6, "POT": 2})
    await merchant_of_stock.ask(
        SetKit(sku="SET", parts=[KitPart(sku="CUP", quantity=2), KitPart(sku="POT", quantity=1)])
    )
    wanted = [{"SET": 1}, {"CUP": 3}, {"SET": 1}, {"CUP": 1}]
    answers = await asyncio.gather(
        *(merchant_of_stock.reserve(shop, **lines) for lines in wanted), return_exceptions=True
    )
    assert [isinstance(answer, Reservation) for answer in answers] == [True, True, False, True]
    assert ((await merchant_of_stock.level("CUP")).reserved, (await merchant_of_stock.level("POT")).reserved) == (6, 1)
    assert await merchant_of_stock.discrepancies() == []
