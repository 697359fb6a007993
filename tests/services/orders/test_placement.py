"""Placing orders: at the price that was shown, all or nothing, once per key, and safe against a crash anywhere."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.inventory.use_cases import reservations
from services.orders.repository import orders as orders_repository
from services.orders.use_cases import placement, quoting
from shared.contracts.inventory.messages import GetReservation
from shared.contracts.orders.lists import ListOrders
from shared.contracts.orders.messages import CreateQuote, GetOrder, GetQuote, PlaceOrder
from shared.contracts.orders.shapes import CustomerDraft, Order, OrderedLine
from shared.errors import CarriedError
from shared.identifiers import derived_id, new_id
from shared.money import Money
from tests.factories.orders import Seller, wanted

pytestmark = pytest.mark.feature("ORD-1")


def lines(**quantities: int) -> list[OrderedLine]:
    return [OrderedLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


def dollars(amount: int) -> Money:
    return Money(amount=amount, currency="USD")


async def refusal(seller: Seller, message: Any, **options: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await seller.ask(message, **{"key": new_id().hex, **options})
    return refused.value


async def nothing_is_stored(seller: Seller) -> bool:
    rows = await seller.rows("orders", "SELECT id FROM orders")
    held = await seller.rows("inventory", "SELECT id FROM reservations")
    return not rows and not held


async def test_a_quote_tells_prices_stock_and_problems(seller: Seller) -> None:
    lacking = [*lines(MUG=2, CUP=11, NONE=1), OrderedLine(sku="MUG", quantity=1)]
    quote = await seller.ask(CreateQuote(shop="main", lines=lacking, currency="USD"))
    assert [(line.sku, line.quantity, line.problem) for line in quote.lines] == [
        ("MUG", 3, None),
        ("CUP", 11, "insufficient_stock"),
        ("NONE", 1, "unknown_sku"),
    ]
    assert quote.lines[0].unit_price == dollars(1000)
    assert quote.lines[1].available_quantity == 10
    assert quote.total == dollars(3 * 1000 + 11 * 250)
    assert quote.can_be_placed is False
    assert quote.quote_id == quote.id
    assert await seller.ask(GetQuote(quote_id=quote.id)) == quote


async def test_an_order_is_placed_at_its_quote(seller: Seller) -> None:
    storefront = seller.storefront()
    quote = await seller.ask(CreateQuote(shop="main", lines=lines(MUG=2, CUP=1)), caller=storefront)
    customer = CustomerDraft(email="Ada@Example.com", name="Ada")
    message = wanted(quote_id=quote.id, customer=customer)
    order = await seller.ask(message, caller=storefront, key="k1")
    assert (order.number, order.status, order.total) == ("MAIN-000001", "pending", dollars(2250))
    assert [(line.sku, line.quantity, line.unit_price.amount, line.status) for line in order.lines] == [
        ("MUG", 2, 1000, "reserved"),
        ("CUP", 1, 250, "reserved"),
    ]
    assert order.pay_until is not None
    assert order == await seller.ask(GetOrder(order_id=order.id), caller=storefront)
    reservation = await seller.ask(GetReservation(reservation_id=order.id))
    assert {line.sku: line.quantity for line in reservation.lines} == {"MUG": 2, "CUP": 1}
    (placed,) = await seller.events("orders", "order_placed")
    assert placed["number"] == order.number
    await seller.settle()
    held = await seller.ask(GetReservation(reservation_id=order.id))
    assert held.expires_at == order.pay_until


async def test_a_changed_price_is_refused_with_the_new_total(seller: Seller) -> None:
    quote = await seller.ask(CreateQuote(shop="main", lines=lines(MUG=2)))
    await seller.price({"MUG": "12.00"})
    by_quote = await refusal(seller, wanted(lines=lines(MUG=2), quote_id=quote.id))
    by_total = await refusal(seller, wanted(lines=lines(MUG=2), expected_total=dollars(2000)))
    for refused in (by_quote, by_total):
        assert (refused.status, refused.code) == (409, "price_changed")
        assert refused.errors[0]["total"] == {"amount": 2400, "currency": "USD"}
    assert await nothing_is_stored(seller)
    order = await seller.ask(wanted(lines=lines(MUG=2), expected_total=dollars(2400)), key="k2")
    assert order.total == dollars(2400)


async def test_what_is_not_in_stock_is_refused_whole(seller: Seller) -> None:
    refused = await refusal(seller, wanted(lines=lines(MUG=11, CUP=1)))
    assert (refused.status, refused.code) == (409, "insufficient_stock")
    centres = [{"centre": "main", "sku": "MUG", "available": 10}]
    assert refused.errors == [
        {"sku": "MUG", "requested": 11, "available": 10, "reason": "not_enough", "centres": centres}
    ]
    assert await nothing_is_stored(seller)


async def test_what_cannot_be_ordered_is_refused_by_name(seller: Seller) -> None:
    other = await Seller(seller.process).open({"MUG": "10.00"}, {"MUG": 10})
    quote = await seller.ask(CreateQuote(shop="main", lines=lines(MUG=1)))
    foreign = await other.ask(CreateQuote(shop="main", lines=lines(MUG=1)))
    limited = seller.storefront(shop_ids=frozenset({new_id()}))
    refusals: list[tuple[PlaceOrder, dict[str, Any], int, str]] = [
        (wanted(lines=lines(NONE=1)), {}, 422, "unknown_sku"),
        (wanted(shop="none", lines=lines(MUG=1)), {}, 404, "shop_not_found"),
        (wanted(lines=lines(MUG=1), currency="EUR"), {}, 422, "wrong_currency"),
        (wanted(), {}, 422, "lines_missing"),
        (wanted(lines=lines(MUG=2), quote_id=quote.id), {}, 409, "quote_differs"),
        (wanted(quote_id=new_id()), {}, 404, "quote_not_found"),
        (wanted(quote_id=foreign.id), {}, 404, "quote_not_found"),
        (wanted(quote_id=quote.id), {"caller": seller.storefront()}, 404, "quote_not_found"),
        (wanted(lines=lines(MUG=1)), {"caller": limited}, 404, "shop_not_found"),
        (wanted(lines=lines(MUG=1)), {"key": None}, 400, "idempotency_key_required"),
        (wanted(lines=[*lines(MUG=1_000_000), *lines(MUG=1)]), {}, 422, "too_many_units"),
    ]
    for message, options, status, code in refusals:
        refused = await refusal(seller, message, **options)
        assert (refused.status, refused.code) == (status, code), message
    assert await nothing_is_stored(seller)


async def test_an_old_quote_is_gone(seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoting.settings(), "quote_lifetime", timedelta(0))
    quote = await seller.ask(CreateQuote(shop="main", lines=lines(MUG=1)))
    for message in (GetQuote(quote_id=quote.id), wanted(quote_id=quote.id)):
        refused = await refusal(seller, message)
        assert (refused.status, refused.code) == (410, "quote_expired")


async def test_the_same_key_is_one_order_however_often_and_at_once(seller: Seller) -> None:
    caller = seller.storefront()
    answers = await asyncio.gather(*(seller.place("same", caller=caller, MUG=1) for _ in range(20)))
    assert len({order.id for order in answers}) == 1
    assert len({order.number for order in answers}) == 1
    assert (await seller.level("MUG")).reserved == 1
    await seller.price({"MUG": "99.00"})
    again = await seller.place("same", caller=caller, MUG=1)
    assert again == answers[0]
    other_client = await seller.place("same", caller=seller.storefront(), MUG=1)
    assert other_client.id != again.id


async def test_the_same_key_for_another_order_is_refused(seller: Seller) -> None:
    await seller.place("taken", MUG=1)
    refused = await refusal(seller, wanted(lines=lines(MUG=2)), key="taken")
    assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    await seller.ask(CreateQuote(shop="main", lines=lines(MUG=1)), key="of-a-quote")
    refused = await refusal(seller, wanted(lines=lines(MUG=2)), key="of-a-quote")
    assert refused.code == "idempotency_key_reused"
    assert (await seller.level("MUG")).reserved == 1


@pytest.mark.feature("INV-3")
async def test_many_buyers_buy_exactly_what_there_is(seller: Seller) -> None:
    buyers = [seller.place(caller=seller.storefront(), MUG=1, CUP=1) for _ in range(25)]
    answers = await asyncio.gather(*buyers, return_exceptions=True)
    orders = [answer for answer in answers if isinstance(answer, Order)]
    refused = [answer for answer in answers if isinstance(answer, CarriedError)]
    assert (len(orders), {error.code for error in refused}) == (10, {"insufficient_stock"})
    assert sorted(order.number for order in orders) == [f"MAIN-{number:06}" for number in range(1, 11)]
    await seller.settle()
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved, level.available) == (10, 10, 0)
    assert await seller.discrepancies() == []


async def test_orders_asked_for_at_once_share_a_transaction_and_no_refusal(seller: Seller) -> None:
    other = await seller.ask(CreateQuote(shop="main", lines=lines(CUP=1)))
    wishes = [
        wanted(lines=lines(MUG=2)),
        wanted(lines=lines(NONE=1)),
        wanted(lines=lines(MUG=1, CUP=2), expected_total=dollars(1500)),
        wanted(lines=lines(MUG=1), expected_total=dollars(999)),
        wanted(shop="none", lines=lines(MUG=1)),
        wanted(lines=lines(CUP=99)),
        wanted(quote_id=other.id),
        wanted(quote_id=new_id()),
    ]
    asks = [seller.ask(wish, key=f"k{number}") for number, wish in enumerate(wishes)]
    answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [getattr(answer, "code", getattr(answer, "number", None)) for answer in answers] == [
        "MAIN-000001",
        "unknown_sku",
        "MAIN-000002",
        "price_changed",
        "shop_not_found",
        "insufficient_stock",
        "MAIN-000003",
        "quote_not_found",
    ]
    rows = await seller.rows("orders", "SELECT xmin::text AS transaction FROM orders")
    assert len(rows) == 3
    assert len({row["transaction"] for row in rows}) == 1
    assert ((await seller.level("MUG")).reserved, (await seller.level("CUP")).reserved) == (3, 3)
    # Refused ones gave their keys back; placed ones are found again, in a group with new ones, too.
    again = [seller.ask(wishes[0], key="k0"), seller.place("k1", CUP=1), seller.place("k9", CUP=1)]
    repeated, second, third = await asyncio.gather(*again)
    assert repeated == answers[0]
    assert {second.number, third.number} == {"MAIN-000004", "MAIN-000005"}
    for order in (answers[0], second):
        assert isinstance(order, Order)
        assert await seller.order(order.id) == order


async def test_numbers_of_two_shops_count_by_themselves_in_one_group(seller: Seller) -> None:
    sub_shop = await seller.open_shop("sub", parent_id=seller.shop.id)
    await seller.catalog.open_shop(id=sub_shop.id, code="sub", parent_id=seller.shop.id)
    codes = ["main", "sub", "main", "sub", "sub"]
    asks = [seller.ask(wanted(shop=code, lines=lines(CUP=1)), key=f"k{n}") for n, code in enumerate(codes)]
    numbers = [order.number for order in await asyncio.gather(*asks)]
    assert numbers == ["MAIN-000001", "SUB-000001", "MAIN-000002", "SUB-000002", "SUB-000003"]


async def test_quotes_asked_for_at_once_are_told_each(seller: Seller) -> None:
    messages = [CreateQuote(shop="main", lines=lines(MUG=n, NONE=1)) for n in (1, 2)]
    messages += [CreateQuote(shop="none", lines=lines(MUG=1)), CreateQuote(shop="main", lines=lines(CUP=11))]
    first, second, refused, third = await asyncio.gather(*map(seller.ask, messages), return_exceptions=True)
    assert (first.total, second.total, third.total) == (dollars(1000), dollars(2000), dollars(2750))
    assert [line.problem for line in second.lines] == [None, "unknown_sku"]
    assert third.lines[0].problem == "insufficient_stock"
    assert refused.code == "shop_not_found"
    assert len(await seller.rows("orders", "SELECT DISTINCT xmin::text FROM quotes")) == 1


class Crash(Exception):
    """The process ends here."""


async def test_a_crash_after_reserving_leaves_a_hold_that_the_repeat_takes_over(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_arguments: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(placement, "store", crash)
        with pytest.raises(CarriedError):
            await seller.place("crashed", MUG=2)
    order_id = derived_id("order", seller.organization_id, seller.caller.id, "crashed")
    assert (await seller.ask(GetReservation(reservation_id=order_id))).state == "held"
    assert await seller.rows("orders", "SELECT id FROM orders") == []
    other = await refusal(seller, wanted(lines=lines(MUG=3)), key="crashed")
    assert other.code == "idempotency_key_reused"
    order = await seller.place("crashed", MUG=2)
    assert order.id == order_id
    assert (await seller.level("MUG")).reserved == 2


async def test_a_crash_before_the_commit_stores_nothing(seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = orders_repository.add_orders

    async def crash_after(*arguments: Any) -> str:
        await stored(*arguments)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(orders_repository, "add_orders", crash_after)
        with pytest.raises(CarriedError):
            await seller.place("crashed", MUG=2)
    assert await seller.rows("orders", "SELECT id FROM orders") == []
    assert await seller.events("orders", "order_placed") == []
    assert (await seller.place("crashed", MUG=2)).number == "MAIN-000001"


async def test_a_hold_that_is_nearly_over_is_not_built_upon(seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "LEAST_HOLD", placement.LEAST_HOLD * 10)
    refused = await refusal(seller, wanted(lines=lines(MUG=1)))
    assert (refused.status, refused.code) == (409, "hold_ran_out")
    assert await seller.rows("orders", "SELECT id FROM orders") == []


async def test_a_placed_order_survives_a_hold_that_ran_out_before_its_event(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    await seller.change("inventory", "UPDATE reservations SET expires_at = now() WHERE id = $1", order.id)
    await seller.inside("inventory", reservations.expire)
    assert (await seller.level("MUG")).reserved == 0
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "held"
    assert (await seller.order(order.id)).status == "pending"
    assert (await seller.level("MUG")).reserved == 2


async def test_an_order_whose_stock_was_sold_meanwhile_is_held(seller: Seller) -> None:
    order = await seller.place(MUG=10)
    await seller.change("inventory", "UPDATE reservations SET expires_at = now() WHERE id = $1", order.id)
    await seller.inside("inventory", reservations.expire)
    rival = await seller.place(MUG=1)
    await seller.settle()
    held = await seller.order(order.id)
    assert (held.status, held.hold_reason) == ("on_hold", "No longer in stock: MUG")
    assert (await seller.order(rival.id)).status == "pending"
    assert [alert["title"] for alert in await seller.alerts("orders")] == ["An order lost its stock"]


async def test_what_costs_nothing_needs_no_payment(seller: Seller) -> None:
    await seller.price({"GIFT": "0.00"})
    await seller.stocked({"GIFT": 1})
    order = await seller.place(GIFT=1)
    assert (order.status, order.pay_until) == ("processing", None)
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "confirmed"


async def test_storefronts_see_their_own_orders_alone(seller: Seller) -> None:
    mine, yours = seller.storefront(), seller.storefront()
    order = await seller.place(caller=mine, MUG=1)
    await seller.place(caller=yours, MUG=1)
    stranger = await Seller(seller.process).open({"MUG": "10.00"}, {"MUG": 10})
    limited = seller.storefront(shop_ids=frozenset({new_id()}))
    for caller in (yours, limited, stranger.caller):
        refused = await refusal(seller, GetOrder(order_id=order.id), caller=caller)
        assert (refused.status, refused.code) == (404, "order_not_found")
    assert [o.id for o in (await seller.ask(ListOrders(), caller=mine)).items] == [order.id]
    assert (await seller.ask(ListOrders(), caller=limited)).items == []
    assert (await seller.ask(ListOrders(), caller=stranger.caller)).items == []
    assert len((await seller.ask(ListOrders())).items) == 2


async def test_orders_are_listed_latest_first_and_filtered(seller: Seller) -> None:
    orders = [await seller.place(CUP=1) for _ in range(5)]
    first = await seller.ask(ListOrders(first=3))
    rest = await seller.ask(ListOrders(first=3, after=first.next))
    assert [o.id for o in [*first.items, *rest.items]] == [order.id for order in reversed(orders)]
    assert rest.next is None
    one = await seller.ask(ListOrders(number=orders[2].number, status=["pending"], shop="main"))
    assert [o.id for o in one.items] == [orders[2].id]
    since = await seller.ask(ListOrders(from_time=orders[3].placed_at))
    assert [o.id for o in since.items] == [orders[4].id, orders[3].id]
    assert (await refusal(seller, ListOrders(after="x"))).code == "invalid_cursor"
