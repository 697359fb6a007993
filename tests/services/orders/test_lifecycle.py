"""An order's life: paid, shipped, held, cancelled, by the one table, whatever is repeated, late or out of order."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.inventory.use_cases import reservations
from services.orders import states
from services.orders.use_cases import placement
from shared import clock
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.inventory.events import ShipmentShipped
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    GetReservation,
    ListFulfilmentCentres,
)
from shared.contracts.inventory.shipments import ListShipments, Shipment, ShipmentLineDraft
from shared.contracts.orders.messages import AttachOrderPayment, CancelOrder, HoldOrder, ReleaseOrder
from shared.contracts.orders.shapes import Order
from shared.contracts.orders.states import MEANINGS, MOVES, as_markdown
from shared.contracts.payments.messages import CreatePaymentGateway
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from shared.security import SecretText
from tests.conftest import examples
from tests.factories.orders import Seller


async def refusal(seller: Seller, message: Any, **options: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await seller.ask(message, **options)
    return refused.value


async def refused_shipment(seller: Seller, order: Order, **draft: Any) -> str:
    with pytest.raises(CarriedError) as refused:
        await seller.ship(order, **draft)
    return refused.value.code


def of(sku: str, quantity: int) -> list[ShipmentLineDraft]:
    return [ShipmentLineDraft(sku=sku, quantity=quantity)]


# --- money


@pytest.mark.feature("ORD-3")
async def test_a_payment_moves_the_order_once(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    event, event_id = seller.payment(order), new_id()
    for _ in range(2):
        await seller.hear("orders", event, ids=[event_id])
        await seller.hear("orders", event)
    await seller.settle()
    paid = await seller.order(order.id)
    assert (paid.status, paid.paid, paid.pay_until) == ("processing", order.total, None)
    assert [(entry.before, entry.after) for entry in paid.timeline if entry.kind == "moved"] == [
        ("pending", "processing")
    ]
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "confirmed"


@pytest.mark.feature("ORD-3")
async def test_old_news_of_a_payment_is_not_taken(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    payment_id = new_id()
    newest = seller.payment(order, payment_id=payment_id, version=3)
    older = seller.payment(order, 0, payment_id=payment_id, version=2, state="authorised", authorised=1000)
    await seller.hear("orders", newest, older)
    known = await seller.order(order.id)
    assert (known.status, known.payments[0].state, known.paid.amount) == ("processing", "captured", 1000)


@pytest.mark.feature("ORD-3")
async def test_an_unpaid_order_ends_when_its_time_is_over(seller: Seller) -> None:
    order = await seller.place(MUG=3)
    await seller.settle()
    await seller.change("orders", "UPDATE tasks SET due_at = now() WHERE kind = $1", placement.CANCEL_UNPAID)
    await seller.settle()
    assert (await seller.order(order.id)).status == "pending"
    await let_payment_be_due(seller)
    ended = await seller.order(order.id)
    assert (ended.status, ended.cancel_reason) == ("cancelled", "Its payment did not arrive in time")
    assert [line.status for line in ended.lines] == ["cancelled"]
    assert (await seller.level("MUG")).available == 10
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "released"


async def let_payment_be_due(seller: Seller) -> None:
    await seller.change("orders", "UPDATE orders SET pay_until = now() - interval '1 second' WHERE status = 'pending'")
    await seller.change("orders", "UPDATE tasks SET due_at = now() WHERE kind = $1", placement.CANCEL_UNPAID)
    await seller.settle()


@pytest.mark.feature("PAY-5")
async def test_money_for_an_order_that_is_over_goes_back_once(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await let_payment_be_due(seller)
    payment_id = new_id()
    for version in (1, 2):
        await seller.hear("orders", seller.payment(order, payment_id=payment_id, version=version))
    await seller.hear("orders", seller.payment(order, 300))
    wanted = await seller.events("orders", "refund_wanted")
    assert [event["amount"]["amount"] for event in wanted] == [1000, 300]
    assert {alert["cause"] for alert in await seller.alerts("orders")} == {f"orders.refund.{order.id}"}
    assert (await seller.order(order.id)).status == "cancelled"


@pytest.mark.feature("PAY-5")
async def test_cancelling_a_paid_order_leaves_its_refund_to_the_cancellation(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.ask(CancelOrder(order_id=order.id, reason="changed mind"))
    assert len(await seller.events("orders", "order_cancelled")) == 1
    known = await seller.order(order.id)
    refunded = seller.payment(order, payment_id=known.payments[0].payment_id, refunded=1000, version=2)
    await seller.hear("orders", refunded)
    assert await seller.events("orders", "refund_wanted") == []
    assert (await seller.order(order.id)).refunded.amount == 1000


@pytest.mark.feature("ORD-3")
async def test_too_little_or_foreign_money_needs_a_person(seller: Seller) -> None:
    short, foreign, over = [await seller.place(MUG=1) for _ in range(3)]
    part = seller.payment(short, 400)
    await seller.hear("orders", part)
    held = await seller.order(short.id)
    assert (held.status, held.hold_reason) == ("on_hold", "Only 4.00 of 10.00 USD were paid")
    rest = seller.payment(short, 1000, payment_id=part.payment_id, version=2)
    await seller.hear("orders", rest)
    assert (await seller.order(short.id)).status == "processing"
    await seller.hear("orders", seller.payment(foreign, currency="EUR"))
    assert (await seller.order(foreign.id)).status == "on_hold"
    assert (await seller.order(foreign.id)).paid.amount == 0
    await seller.hear("orders", seller.payment(over, 1500))
    assert (await seller.order(over.id)).status == "processing"
    causes = [alert["cause"].split(".")[1] for alert in await seller.alerts("orders")]
    assert causes == ["payment", "payment", "overpaid"]


@pytest.mark.feature("ORD-3")
async def test_an_authorised_order_is_not_cancelled_but_held(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    authorised = seller.payment(order, 0, state="authorised", authorised=1000)
    await seller.hear("orders", authorised)
    assert (await seller.order(order.id)).status == "pending"
    await let_payment_be_due(seller)
    assert (await seller.order(order.id)).status == "on_hold"
    await seller.hear("orders", seller.payment(order, payment_id=authorised.payment_id, version=2))
    assert (await seller.order(order.id)).status == "processing"


@pytest.mark.feature("PAY-5")
async def test_money_that_went_back_stops_the_goods(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    payment_id = order.payments[0].payment_id
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, version=2, refunded=1000))
    assert (await seller.order(order.id)).hold_reason == "All that was paid went back"
    assert await refused_shipment(seller, order) == "order_not_ready"


def _usd(amount: int) -> Money:
    return Money(amount=amount, currency="USD")


async def _doubts(seller: Seller) -> list[str]:
    cause = "orders.refund_in_doubt."
    return [alert["detail"] for alert in await seller.alerts("orders") if alert["cause"].startswith(cause)]


@pytest.mark.feature("PAY-4", "ORD-2")
@pytest.mark.parametrize("refunded", [600, 1000])
async def test_a_refund_in_doubt_stops_the_goods_until_a_person_lets_them_go(seller: Seller, refunded: int) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    payment_id = order.payments[0].payment_id
    common: dict[str, Any] = {"payment_id": payment_id, "refunded": refunded}
    await seller.hear("orders", seller.payment(order, version=2, **common))
    doubtful = seller.payment(order, version=3, refund_in_doubt=_usd(300), **common)
    for _ in range(2):
        assert await seller.hear("orders", doubtful) == []
    held = await seller.order(order.id)
    assert (held.status, held.refunded.amount) == ("on_hold", refunded)
    assert held.hold_reason is not None
    assert f"{refunded // 100}.00 USD" in held.hold_reason
    assert "3.00" in held.hold_reason
    (detail,) = await _doubts(seller)
    assert f"{refunded // 100}.00 USD" in detail
    assert "3.00" in detail
    assert await refused_shipment(seller, order) == "order_not_ready"
    # What the gateway says next does not let the goods go, even where it ends the doubt.
    later = seller.payment(order, version=4, payment_id=payment_id, refunded=500, state="partly_refunded")
    await seller.hear("orders", later)
    assert (await seller.order(order.id)).status == "on_hold"
    assert (await seller.ask(ReleaseOrder(order_id=order.id))).status == "processing"
    await seller.settle()
    await seller.hear("orders", seller.payment(order, version=5, payment_id=payment_id, refunded=500))
    assert (await seller.order(order.id)).status == "processing"


@pytest.mark.feature("PAY-4", "ORD-2")
async def test_a_refund_that_failed_is_a_persons_to_decide(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    payment_id = order.payments[0].payment_id
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, version=2, refunded=1000))
    assert (await seller.order(order.id)).status == "on_hold"
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, version=3, refunded=0))
    held = await seller.order(order.id)
    reason = "A refund failed: 10.00 USD had gone back, now it is 0.00 USD"
    assert (held.status, held.hold_reason, held.refunded.amount) == ("on_hold", reason, 0)
    assert [detail.endswith(f"{reason[2:]}.") for detail in await _doubts(seller)] == [True]
    assert await refused_shipment(seller, order) == "order_not_ready"


@pytest.mark.feature("PAY-4", "ORD-2")
async def test_a_refund_in_doubt_of_goods_that_left_is_told(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.ship(order)
    await seller.settle()
    payment_id = order.payments[0].payment_id
    news = seller.payment(order, payment_id=payment_id, version=2, refunded=600, refund_in_doubt=_usd(300))
    await seller.hear("orders", news)
    assert (await seller.order(order.id)).status == "complete"
    assert len(await _doubts(seller)) == 1


# --- goods


@pytest.mark.feature("INV-6", "ORD-2")
async def test_goods_leave_in_parts_and_the_stock_is_settled(seller: Seller) -> None:
    order = await seller.place(MUG=3, CUP=1)
    assert await refused_shipment(seller, order) == "order_not_ready"
    order = await seller.pay(order)
    first = await seller.ship(
        order, lines=of("MUG", 2), carrier="Post", service="Parcel", tracking_numbers=["T1", "T2"]
    )
    assert (first.number, first.tracking_numbers) == ("MAIN-000001-S1", ["T1", "T2"])
    await seller.settle()
    partly = await seller.order(order.id)
    assert (partly.status, [(line.shipped, line.status) for line in partly.lines]) == (
        "partly_shipped",
        [(2, "partly_shipped"), (0, "ready")],
    )
    assert await refused_shipment(seller, order, lines=of("MUG", 2)) == "more_than_allocated"
    assert (await refusal(seller, CancelOrder(order_id=order.id, reason="late"))).code == "illegal_transition"
    await seller.ship(order)
    await seller.settle()
    done = await seller.order(order.id)
    assert (done.status, [line.status for line in done.lines]) == ("complete", ["shipped", "shipped"])
    assert [shipment.number for shipment in done.shipments] == ["MAIN-000001-S1", "MAIN-000001-S2"]
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "shipped"
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved) == (7, 0)
    assert await refused_shipment(seller, order) == "order_not_ready"
    assert len((await seller.ask(ListShipments(order_id=order.id))).items) == 2
    assert await seller.discrepancies() == []


@pytest.mark.feature("INV-6")
async def test_two_who_ship_at_once_ship_it_once(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    answers = await asyncio.gather(*(seller.ship(order) for _ in range(6)), return_exceptions=True)
    shipped = [answer for answer in answers if isinstance(answer, Shipment)]
    assert len(shipped) == 1
    assert {answer.code for answer in answers if isinstance(answer, CarriedError)} == {"more_than_allocated"}
    assert (await seller.level("MUG")).on_hand == 8
    assert await seller.discrepancies() == []


@pytest.mark.feature("INV-6")
async def test_an_order_that_was_just_paid_can_be_shipped_before_its_event_arrives(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    await seller.hear("orders", seller.payment(order))
    shipment = await seller.ship(order)
    assert shipment.order_number == order.number
    await seller.settle()
    assert (await seller.order(order.id)).status == "complete"
    assert await seller.discrepancies() == []


@pytest.mark.feature("INV-6")
async def test_what_is_not_on_hand_does_not_leave(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=5))
    await seller.stocked({"MUG": 2})
    assert await refused_shipment(seller, order) == "not_on_hand"
    await seller.ship(order, lines=of("MUG", 2))
    await seller.stocked({"MUG": 3})
    await seller.ship(order)
    await seller.settle()
    assert (await seller.order(order.id)).status == "complete"
    (main,) = (await seller.ask(ListFulfilmentCentres())).items
    await seller.stocked({"MUG": 5})
    other = await seller.pay(await seller.place(MUG=1))
    await seller.ask(AssignFulfilmentCentre(centre_id=main.id, shop="main", dispatches=False))
    assert await refused_shipment(seller, other) == "centre_may_not_dispatch"
    assert await seller.discrepancies() == []


@pytest.mark.feature("INV-6")
async def test_shipments_are_refused_to_strangers(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    stranger = await Seller(seller.process).open({"MUG": "10.00"}, {"MUG": 10})
    assert await refused_shipment(stranger, order) == "order_not_found"
    shipment = await seller.ship(order)
    assert (await stranger.ask(ListShipments())).items == []
    assert shipment.id in [s.id for s in (await seller.ask(ListShipments())).items]


@pytest.mark.feature("ORD-2")
async def test_goods_that_left_against_the_order_call_for_a_person(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    shipped = ShipmentShipped(
        shipment_id=new_id(),
        order_id=order.id,
        number="X-S1",
        carrier=None,
        tracking_numbers=[],
        lines=[{"sku": "MUG", "quantity": 2}],
        shipped_at=clock.now(),
    )
    for _ in range(2):
        assert await seller.hear("orders", shipped) == []
    known = await seller.order(order.id)
    assert (known.status, known.lines[0].shipped, len(known.shipments)) == ("cancelled", 1, 1)
    assert [alert["cause"].split(".")[1] for alert in await seller.alerts("orders")] == ["shipment"]


# --- people


@pytest.mark.feature("ORD-2")
async def test_hold_release_and_cancel(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    held = await seller.ask(HoldOrder(order_id=order.id, reason="fraud check"))
    assert (held.status, held.hold_reason) == ("on_hold", "fraud check")
    again = await refusal(seller, HoldOrder(order_id=order.id, reason="again"))
    assert (again.status, again.code) == (409, "illegal_transition")
    assert "on_hold" in again.detail
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "confirmed"
    await seller.hear("orders", seller.payment(order))
    assert (await seller.order(order.id)).status == "on_hold"
    assert (await seller.ask(ReleaseOrder(order_id=order.id))).status == "processing"
    assert (await refusal(seller, ReleaseOrder(order_id=order.id))).code == "illegal_transition"
    ended = await seller.ask(CancelOrder(order_id=order.id, reason="out of time"))
    assert (ended.status, ended.cancel_reason) == ("cancelled", "out of time")
    again = await refusal(seller, CancelOrder(order_id=order.id, reason="twice"))
    assert again.detail == "An order that is cancelled cannot become cancelled; it can become nothing any more."
    await seller.settle()
    assert (await seller.level("MUG")).reserved == 0
    actors = {entry.actor for entry in (await seller.order(order.id)).timeline}
    assert actors == {"admin", "orders"}


@pytest.mark.feature("ORD-2", "INV-3")
async def test_releasing_reserves_again_what_had_run_out(seller: Seller) -> None:
    order = await seller.place(MUG=10)
    await seller.change(
        "inventory", "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE id = $1", order.id
    )
    await seller.inside("inventory", reservations.expire)
    rival = await seller.place(MUG=1)
    await seller.settle()
    assert (await seller.order(order.id)).status == "on_hold"
    assert (await refusal(seller, ReleaseOrder(order_id=order.id))).code == "insufficient_stock"
    await seller.ask(CancelOrder(order_id=rival.id, reason="make room"))
    await seller.settle()
    released = await seller.ask(ReleaseOrder(order_id=order.id))
    assert released.status == "pending"
    assert released.pay_until is not None
    assert released.pay_until > clock.now() + timedelta(minutes=25)
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "confirmed"
    assert await seller.discrepancies() == []


@pytest.mark.feature("ORD-2")
async def test_only_who_may_write_orders_moves_them(seller: Seller) -> None:
    storefront = seller.storefront()
    order = await seller.place(caller=storefront, MUG=1)
    for message in (
        CancelOrder(order_id=order.id, reason="mine"),
        HoldOrder(order_id=order.id, reason="mine"),
        ReleaseOrder(order_id=order.id),
    ):
        assert (await refusal(seller, message, caller=storefront)).code == "missing_scope"


@pytest.mark.feature("ORD-2")
def test_the_table_names_every_status_and_ends() -> None:
    assert set(MEANINGS) == set(MOVES)
    assert all(set(moves) <= set(MOVES) for moves in MOVES.values())
    assert [status for status in MOVES if states.is_over(status)] == ["cancelled", "returned"]
    for status in MOVES:
        assert f"| {status} |" in as_markdown()


# --- any order of events

_FACTS = ("paid", "part refunded", "late")


@pytest.mark.feature("ORD-2", "ORD-3", "PAY-5")
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(facts=st.lists(st.sampled_from(_FACTS), max_size=6))
async def test_the_end_is_the_same_in_whatever_order_it_is_told(process: topology.Surrounded, facts: list[str]) -> None:
    seller = await Seller(process).open({"MUG": "10.00"}, {"MUG": 5})
    order = await seller.place(MUG=2)
    payment_id = new_id()
    told = {
        "paid": seller.payment(order, payment_id=payment_id, version=2),
        "part refunded": seller.payment(order, payment_id=payment_id, version=3, refunded=500, state="partly_refunded"),
        "late": seller.payment(order, 0, payment_id=payment_id, version=1, state="authorised", authorised=2000),
    }
    for fact in [*facts, *_FACTS]:
        assert await seller.hear("orders", told[fact]) == []
    await seller.settle()
    known = await seller.order(order.id)
    assert (known.status, known.paid.amount, known.refunded.amount) == ("processing", 2000, 500)
    assert [payment.state for payment in known.payments] == ["partly_refunded"]
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "confirmed"
    assert await seller.events("orders", "refund_wanted") == []


# --- naming a payment


@pytest.mark.feature("PAY-4")
async def test_a_payment_is_attached_where_the_gateway_is_the_shops(seller: Seller) -> None:
    await seller.hear("payments", ShopChanged(shop=seller.shop))
    gateway = await seller.ask(
        CreatePaymentGateway(shop="main", provider="stripe", secrets=[SecretText("whsec_test_of_attaching")])
    )
    storefront = seller.storefront()
    order = await seller.place(caller=storefront, MUG=1)
    message = AttachOrderPayment(order_id=order.id, gateway_id=gateway.id, external_id="pi_1")
    for _ in range(2):
        attached = await seller.ask(message, caller=storefront)
    assert attached.timeline[-1].text == "Payment pi_1 was named for this order."
    other = await seller.place(caller=storefront, MUG=1)
    elsewhere = AttachOrderPayment(order_id=other.id, gateway_id=gateway.id, external_id="pi_1")
    assert (await refusal(seller, elsewhere, caller=storefront)).code == "payment_attached_elsewhere"
    unknown = AttachOrderPayment(order_id=order.id, gateway_id=new_id(), external_id="pi_2")
    assert (await refusal(seller, unknown, caller=storefront)).status == 404
