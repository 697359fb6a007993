"""What callbacks do to payments: amounts, states, order of arrival, refunds and disputes."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.orders.events import OrderCancelled, OrderTotalChanged, RefundWanted
from shared.contracts.payments.messages import AttachPayment, CloseRefund, ListRefunds
from shared.contracts.payments.shapes import Payment
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments.conftest import Till

T0 = 1_800_000_000


def totals(payment: Payment) -> tuple[str, int, int, int, int]:
    amounts = (payment.authorised, payment.captured, payment.refunded, payment.disputed)
    return payment.state, *(-1 if money is None else money.amount for money in amounts)


@pytest.mark.feature("PAY-5")
async def test_a_captured_payment_is_announced_with_its_totals(till: Till) -> None:
    placed = await till.place("A-1")
    callback = await till.tell("payment_intent.succeeded", a.intent("A-1"))
    assert (callback.status, [attempt.status for attempt in callback.attempts]) == ("processed", ["processed"])
    (payment,) = await till.payments(placed.order_id)
    assert totals(payment) == ("captured", 1999, 1999, 0, 0)
    (event,) = await till.events("payments.payment_changed")
    assert event["order_id"] == str(placed.order_id)
    assert (event["captured"], event["state"], event["version"]) == ({"amount": 1999, "currency": "USD"}, "captured", 1)
    assert callback.payment_id == payment.id


STORY = [
    ("payment_intent.amount_capturable_updated", a.intent("S-1", amount_capturable=1999, amount_received=0), 0),
    ("payment_intent.succeeded", a.intent("S-1"), 10),
    ("charge.refunded", a.charge("S-1", refunded=500), 20),
    ("charge.refunded", a.charge("S-1", refunded=1999), 30),
]


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_any_order_of_arrival_ends_in_the_same_state(till: Till, order: tuple[int, ...]) -> None:
    placed = await till.place("S-1")
    for index in order:
        kind, thing, after = STORY[index]
        callback = await till.tell(kind, thing, created=T0 + after)
        assert callback.status in ("processed", "ignored"), callback
        (payment,) = await till.payments(placed.order_id)
        assert payment.captured is not None
        assert payment.refunded is not None
        assert payment.captured.amount >= payment.refunded.amount
    (payment,) = await till.payments(placed.order_id)
    assert totals(payment) == ("refunded", 1999, 1999, 1999, 0)


def _refund(identifier: str, amount: int, status: str) -> dict[str, Any]:
    names = {"id": identifier, "object": "refund", "payment_intent": "pi_1", "charge": "ch_1", "currency": "usd"}
    return names | {"amount": amount, "status": status}


def _held(number: str) -> dict[str, Any]:
    """A payment intent that is authorised and not captured."""
    return a.intent(number, amount_capturable=1999, amount_received=0)


def _dispute(status: str, amount: int = 700) -> dict[str, Any]:
    names = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "charge": "ch_1", "currency": "usd"}
    return names | {"amount": amount, "status": status}


# A refund of 500 that succeeds, one of 300 that is told as made and then fails, a dispute of 700 that is won.
LONG_STORY = [
    ("payment_intent.amount_capturable_updated", a.intent("S-2", amount_capturable=1999, amount_received=0), 0),
    ("charge.succeeded", a.charge("S-2", captured=False, amount_captured=0), 1),
    ("payment_intent.succeeded", a.intent("S-2"), 10),
    ("charge.captured", a.charge("S-2"), 11),
    ("refund.created", _refund("re_1", 500, "pending"), 20),
    ("charge.refunded", a.charge("S-2", refunded=500), 21),
    ("refund.updated", _refund("re_1", 500, "succeeded"), 22),
    ("charge.refunded", a.charge("S-2", refunded=800), 30),
    ("refund.failed", _refund("re_2", 300, "failed"), 40),
    ("charge.dispute.created", _dispute("needs_response"), 50),
    ("charge.dispute.closed", _dispute("won"), 60),
]


@pytest.mark.feature("PAY-4", "PAY-5")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(LONG_STORY))), twice=st.sets(st.integers(0, len(LONG_STORY) - 1)))
async def test_repeats_and_reorderings_of_a_long_story_end_alike(till: Till, order: list[int], twice: set[int]) -> None:
    fresh = await _another(till)
    placed = await fresh.place("S-2")
    told = [a.stripe_event(kind, thing, created=T0 + after) for kind, thing, after in LONG_STORY]
    for index in order:
        for _ in range(2 if index in twice else 1):
            answer = await fresh.post(a.as_body(told[index]))
            assert answer.status_code == 200, answer.text
        await fresh.work()
    assert {callback.status for callback in await fresh.callbacks()} <= {"processed", "ignored"}
    (payment,) = await fresh.payments(placed.order_id)
    assert totals(payment) == ("partly_refunded", 1999, 1999, 500, 0)


@pytest.mark.feature("PAY-4")
async def test_a_smaller_total_of_refunds_takes_nothing_back_and_is_told(till: Till) -> None:
    placed = await till.place("D-1")

    async def tell(refunded: int, at: int) -> str:
        charge = a.charge("D-1", refunded=refunded)
        return (await till.tell("charge.refunded", charge, created=T0 + at)).status

    async def standing() -> tuple[str, int, int | None]:
        (payment,) = await till.payments(placed.order_id)
        assert payment.refunded is not None
        return payment.state, payment.refunded.amount, payment.refund_in_doubt and payment.refund_in_doubt.amount

    assert await tell(1999, 10) == "processed"
    for at, status in ((5, "ignored"), (10, "ignored"), (20, "processed"), (15, "ignored")):
        assert await tell(300, at) == status
        assert await standing() == ("refunded", 1999, 300 if at in (20, 15) else None)
    # The refund that failed explains it.
    await till.tell("refund.failed", _refund("re_1", 1699, "failed"), created=T0 + 18)
    assert await standing() == ("partly_refunded", 300, None)
    # Another one follows.
    assert await tell(800, 30) == "processed"
    assert await standing() == ("partly_refunded", 800, None)


# Refunded whole; the refund fails, the totals follow; another refund of a part.
FAILED_REFUND = [
    ("payment_intent.succeeded", a.intent("S-3"), 0),
    ("charge.refunded", a.charge("S-3", refunded=1999), 10),
    ("refund.created", _refund("re_1", 1999, "succeeded"), 10),
    ("refund.failed", _refund("re_1", 1999, "failed"), 20),
    ("charge.updated", a.charge("S-3", refunded=0), 21),
    ("charge.refunded", a.charge("S-3", refunded=500), 30),
]


@pytest.mark.feature("PAY-4")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(FAILED_REFUND))))
async def test_a_refund_that_failed_ends_alike_in_whatever_order_it_is_told(till: Till, order: list[int]) -> None:
    fresh = await _another(till)
    placed = await fresh.place("S-3")
    told = [a.stripe_event(kind, thing, created=T0 + after) for kind, thing, after in FAILED_REFUND]
    for index in order:
        assert (await fresh.post(a.as_body(told[index]))).status_code == 200
        await fresh.work()
    (payment,) = await fresh.payments(placed.order_id)
    assert (totals(payment), payment.refund_in_doubt) == (("partly_refunded", 1999, 1999, 500, 0), None)


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("told_at", [(10, 3), (3, 10)])
async def test_a_refund_that_is_told_as_failed_twice_failed_at_the_first_time(
    till: Till, told_at: tuple[int, ...]
) -> None:
    placed = await till.place("FT-1")
    await till.tell("payment_intent.succeeded", a.intent("FT-1"), created=T0)
    for at in told_at:
        await till.tell("refund.failed", _refund("re_1", 400, "failed"), created=T0 + at)
    # Of a total that was told later it is no part.
    await till.tell("charge.refunded", a.charge("FT-1", refunded=400), created=T0 + 7)
    (payment,) = await till.payments(placed.order_id)
    assert totals(payment) == ("partly_refunded", 1999, 1999, 400, 0)


async def _another(till: Till) -> Till:
    organization_id = new_id()
    shop = await a.open_shop(till.process, organization_id)
    return Till(
        till.process,
        till.door,
        organization_id,
        shop.id,
        await a.open_gateway(till.process, organization_id),
        till.intake,
    )


@pytest.mark.feature("PAY-4")
async def test_a_callback_before_its_order_waits_for_it(till: Till) -> None:
    callback = await till.tell("payment_intent.succeeded", a.intent("LATE-1"))
    assert (callback.status, callback.reason) == ("waiting", "order_not_found")
    assert await till.payments() == []
    placed = await till.place("LATE-1")
    await till.work()
    assert (await till.callback(callback.id)).status == "processed"
    assert [totals(payment) for payment in await till.payments(placed.order_id)] == [("captured", 1999, 1999, 0, 0)]


@pytest.mark.feature("PAY-4", "PAY-7")
async def test_a_callback_whose_order_never_comes_fails_and_recovers_when_it_does(till: Till) -> None:
    callback = await till.tell("payment_intent.succeeded", a.intent("LATE-2"))
    await _end_all_waits(till)
    await till.work()
    failed = await till.callback(callback.id)
    assert (failed.status, failed.reason) == ("failed", "order_not_found")
    (alert,) = await till.events("platform.alert_raised")
    assert alert["cause"] == f"payments.callback.{till.gateway.id}.order_not_found"
    await till.place("LATE-2")
    await till.work()
    assert (await till.callback(callback.id)).status == "processed"
    assert [event["cause"] for event in await till.events("platform.alert_cleared")] == [alert["cause"]]


async def _end_all_waits(till: Till) -> None:
    uow = till.unit_of_work()
    assert await uow.execute("UPDATE tasks SET due_at = now() WHERE kind = 'payments.end_wait'") != "UPDATE 0"
    await uow.commit()


@pytest.mark.feature("PAY-4")
async def test_a_refund_before_its_capture_waits_for_it(till: Till) -> None:
    placed = await till.place("R-1")
    await till.tell(
        "payment_intent.amount_capturable_updated", a.intent("R-1", amount_capturable=1999, amount_received=0)
    )
    refund = await till.tell("refund.created", _refund("re_9", 100, "succeeded"))
    assert (refund.status, refund.reason) == ("waiting", "payment_not_captured")
    await till.tell("payment_intent.succeeded", a.intent("R-1"))
    assert (await till.callback(refund.id)).status == "processed"
    (payment,) = await till.payments(placed.order_id)
    assert totals(payment) == ("partly_refunded", 1999, 1999, 100, 0)


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (a.intent("B-1", currency="eur"), "wrong_currency"),
        (a.intent("B-1", amount=199900), "amount_beyond_order"),
        (a.intent("B-1", currency="zzz"), "wrong_currency"),
        (a.intent("B-1", amount_received=-5), "unreadable_callback"),
        (a.intent("B-1", amount_received="1999"), "unreadable_callback"),
        (a.intent("B-1", amount_received=True), "unreadable_callback"),
        (a.intent("B-1", id=None), "unreadable_callback"),
    ],
)
async def test_what_does_not_fit_the_order_goes_to_a_person(till: Till, thing: dict[str, Any], reason: str) -> None:
    await till.place("B-1")
    callback = await till.tell("payment_intent.succeeded", thing)
    assert (callback.status, callback.reason) == ("failed", reason)
    assert await till.payments() == []
    assert await till.events("payments.payment_changed") == []
    assert len(await till.events("platform.alert_raised")) == 1


@pytest.mark.feature("PAY-4", "PAY-7")
async def test_a_payment_that_came_before_its_orders_new_total_recovers_with_it(till: Till) -> None:
    placed = await till.place("TC-1", total=1000)
    callback = await till.tell("payment_intent.succeeded", a.intent("TC-1"))
    assert (callback.status, callback.reason) == ("failed", "amount_beyond_order")
    names = {"order_id": placed.order_id, "number": "TC-1", "shop_id": till.shop_id}
    for total, status in ((1500, "failed"), (1999, "processed")):
        await till.hear(OrderTotalChanged(total=Money(amount=total, currency="USD"), version=total, **names))
        await till.work()
        assert (await till.callback(callback.id)).status == status
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("captured", 1999, 1999, 0, 0)]
    assert len(await till.events("platform.alert_cleared")) == 1


@pytest.mark.feature("PAY-4")
async def test_more_refunded_than_captured_goes_to_a_person(till: Till) -> None:
    placed = await till.place("B-2")
    await till.tell("payment_intent.succeeded", a.intent("B-2"))
    callback = await till.tell("charge.refunded", a.charge("B-2", refunded=2500))
    assert (callback.status, callback.reason) == ("waiting", "refund_beyond_capture")
    await _end_all_waits(till)
    await till.work()
    assert (await till.callback(callback.id)).status == "failed"
    (alert,) = await till.events("platform.alert_raised")
    assert alert["detail"] == "25.00 USD was refunded of 19.99 USD captured."
    (payment,) = await till.payments(placed.order_id)
    assert totals(payment) == ("captured", 1999, 1999, 0, 0)


@pytest.mark.feature("PAY-4")
async def test_an_event_of_the_other_mode_or_another_shops_order_is_not_applied(till: Till) -> None:
    elsewhere = await a.open_shop(till.process, till.organization_id, "elsewhere")
    await till.place("M-1")
    await till.hear(a.order_placed(elsewhere.id, "M-2"))
    live = await till.tell("payment_intent.succeeded", a.intent("M-1"), livemode=True)
    other = await till.tell("payment_intent.succeeded", a.intent("M-2"))
    assert [callback.reason for callback in (live, other)] == ["wrong_mode", "order_of_another_shop"]


@pytest.mark.feature("PAY-1")
async def test_a_sub_shops_orders_are_paid_through_its_parents_gateway(till: Till) -> None:
    below = await a.open_shop(till.process, till.organization_id, "below", parent_id=till.shop_id)
    await till.hear(a.order_placed(below.id, "SUB-1"))
    assert (await till.tell("payment_intent.succeeded", a.intent("SUB-1"))).status == "processed"


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("kind", ["customer.created", "payment_intent.created", "something.we_never_heard_of"])
async def test_unknown_and_informational_events_are_ignored_without_alert(till: Till, kind: str) -> None:
    callback = await till.tell(kind, {"id": "cus_1", "object": "customer"})
    assert (callback.status, callback.reason) == ("ignored", "informational")
    assert await till.events("platform.alert_raised") == []


DEEP = b'{"id": "evt_1", "type": "charge.succeeded", "data": ' + b"[" * 500 + b"]" * 500 + b"}"


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"{}", b'{"id": "evt_1"}', b'{"a":' * 2000, DEEP, b"\xff\xfe"]
)
async def test_signed_nonsense_is_stored_and_fails(till: Till, body: bytes) -> None:
    answer = await till.post(body)
    await till.work()
    (callback,) = await till.callbacks()
    assert (answer.status_code, callback.status) == (200, "failed")


@pytest.mark.feature("PAY-4")
async def test_failed_then_captured_payments_and_cancelled_authorisations(till: Till) -> None:
    first, second = await till.place("F-1"), await till.place("F-2")
    await till.tell("payment_intent.payment_failed", a.intent("F-1", amount_received=0))
    assert [totals(p)[0] for p in await till.payments(first.order_id)] == ["failed"]
    await till.tell("payment_intent.succeeded", a.intent("F-1"))
    assert [totals(p)[0] for p in await till.payments(first.order_id)] == ["captured"]
    held = a.intent("F-2", id="pi_2", amount_capturable=1999, amount_received=0)
    await till.tell("payment_intent.amount_capturable_updated", held)
    await till.tell("payment_intent.canceled", a.intent("F-2", id="pi_2", amount_received=0))
    assert [totals(p)[0] for p in await till.payments(second.order_id)] == ["cancelled"]


@pytest.mark.feature("PAY-5")
async def test_a_dispute_holds_money_back_until_it_is_won(till: Till) -> None:
    placed = await till.place("D-1")
    await till.tell("payment_intent.succeeded", a.intent("D-1"))
    await till.tell("charge.dispute.created", _dispute("needs_response"))
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("disputed", 1999, 1999, 0, 700)]
    assert (await till.tell("charge.dispute.created", _dispute("warning_needs_response"))).status == "ignored"
    await till.tell("charge.dispute.closed", _dispute("won"))
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("captured", 1999, 1999, 0, 0)]


@pytest.mark.feature("PAY-5")
async def test_no_more_is_disputed_than_was_captured(till: Till) -> None:
    placed = await till.place("D-2")
    assert (await till.tell("charge.dispute.created", _dispute("needs_response", 999_999))).status == "waiting"
    await till.tell("payment_intent.amount_capturable_updated", _held("D-2"))
    assert [callback.status for callback in await till.callbacks()] == ["processed", "processed"]
    assert [totals(p)[0] for p in await till.payments(placed.order_id)] == ["authorised"]
    await till.tell("payment_intent.succeeded", a.intent("D-2"))
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("disputed", 1999, 1999, 0, 1999)]
    await till.tell("charge.dispute.closed", _dispute("won", 999_999))
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("captured", 1999, 1999, 0, 0)]


@pytest.mark.feature("PAY-5")
async def test_a_checkout_session_finds_its_order_by_client_reference(till: Till) -> None:
    placed = await till.place("C-1")
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "amount_total": 1999,
        "currency": "usd",
        "client_reference_id": "C-1",
        "payment_intent": "pi_7",
        "metadata": {},
    }
    assert (await till.tell("checkout.session.completed", session)).status == "processed"
    again = await till.tell("payment_intent.succeeded", a.intent(None, id="pi_7"))
    assert (again.status, again.reason) == ("ignored", "superseded")
    assert [totals(p) for p in await till.payments(placed.order_id)] == [("captured", 1999, 1999, 0, 0)]


@pytest.mark.feature("PAY-5")
async def test_an_attached_payment_finds_its_order_before_and_after_its_callback(till: Till) -> None:
    early, late = await till.place("T-1"), await till.place("T-2")
    names = {"shop_id": till.shop_id, "gateway_id": till.gateway.id}
    attach = AttachPayment(order_id=early.order_id, order_number="T-1", external_id="pi_t1", **names)
    for _ in range(2):
        assert (await till.ask(attach, by_service=True)).state == "pending"
    assert (await till.tell("payment_intent.succeeded", a.intent(None, id="pi_t1"))).status == "processed"
    callback = await till.tell("payment_intent.succeeded", a.intent(None, id="pi_t2"))
    assert callback.status == "waiting"
    await till.ask(
        AttachPayment(order_id=late.order_id, order_number="T-2", external_id="pi_t2", **names), by_service=True
    )
    await till.work()
    assert (await till.callback(callback.id)).status == "processed"
    taken = AttachPayment(order_id=late.order_id, order_number="T-2", external_id="pi_t1", **names)
    with pytest.raises(CarriedError) as refused:
        await till.ask(taken, by_service=True)
    assert refused.value.code == "payment_attached_elsewhere"


@pytest.mark.feature("PAY-5")
async def test_money_of_a_cancelled_order_is_requested_back_once(till: Till) -> None:
    placed = await till.place("X-1")
    await till.tell("payment_intent.succeeded", a.intent("X-1"))
    names = {"order_id": placed.order_id, "number": "X-1", "shop_id": till.shop_id}
    cancelled = OrderCancelled(reason="changed their mind", **names)
    wanted = RefundWanted(amount=Money(amount=1999, currency="USD"), reason="cancelled", **names)
    await till.hear(cancelled, wanted, cancelled, wanted)
    (refund,) = (await till.ask(ListRefunds(order_id=placed.order_id))).items
    assert (refund.state, refund.amount.amount) == ("requested", 1999)
    (alert,) = await till.events("platform.alert_raised")
    assert alert["detail"].startswith("19.99 USD at stripe: ")
    await till.tell("charge.refunded", a.charge("X-1", refunded=1999))
    (refund,) = (await till.ask(ListRefunds(order_id=placed.order_id))).items
    assert refund.state == "succeeded"
    assert len(await till.events("platform.alert_cleared")) == 1


@pytest.mark.feature("PAY-5")
async def test_money_that_arrives_after_the_cancellation_is_requested_back(till: Till) -> None:
    placed = a.order_placed(till.shop_id, "X-2")
    await till.hear(
        OrderCancelled(order_id=placed.order_id, number="X-2", shop_id=till.shop_id, reason="unpaid"), placed
    )
    await till.tell("payment_intent.succeeded", a.intent("X-2"))
    (refund,) = (await till.ask(ListRefunds(order_id=placed.order_id))).items
    assert (refund.state, refund.amount.amount) == ("requested", 1999)
    closed = await till.ask(CloseRefund(refund_id=refund.id, reason="returned in cash"))
    assert (closed.state, closed.reason) == ("closed", "returned in cash")
    with pytest.raises(CarriedError) as refused:
        await till.ask(CloseRefund(refund_id=refund.id, reason="again"))
    assert refused.value.code == "refund_is_settled"


@pytest.mark.feature("PAY-5")
async def test_an_order_paid_twice_is_told_to_a_person(till: Till) -> None:
    placed = await till.place("P-1")
    await till.tell("payment_intent.succeeded", a.intent("P-1"))
    await till.tell("payment_intent.succeeded", a.intent("P-1", id="pi_again"))
    assert len(await till.payments(placed.order_id)) == 2
    (alert,) = await till.events("platform.alert_raised")
    assert alert["cause"] == f"payments.overpaid.{placed.order_id}"
    assert alert["detail"] == "39.98 USD came in for a total of 19.99 USD."
    await till.tell("charge.refunded", a.charge("P-1", refunded=1999, id="ch_again", payment_intent="pi_again"))
    assert [event["cause"] for event in await till.events("platform.alert_cleared")] == [alert["cause"]]


@pytest.mark.feature("PAY-7")
@pytest.mark.parametrize("by", ["capture failed", "costs more"])
async def test_an_order_that_seemed_paid_twice_and_is_not_is_told_no_more(till: Till, by: str) -> None:
    placed = await till.place("P-2")
    gateway = await g.open_gateway(till.process, till.organization_id, "adyen")

    async def say(kind: str, payment: str) -> None:
        told = g.sender(gateway, "P-2", payment=payment).say(kind, id=payment)
        assert (await till.door.post(f"/callbacks/{gateway.id}", content=told.body)).status_code == 200
        await till.work()

    await say("captured", "psp_1")
    await say("captured", "psp_2")
    (alert,) = await till.events("platform.alert_raised")
    assert alert["cause"] == f"payments.overpaid.{placed.order_id}"
    assert await till.events("platform.alert_cleared") == []
    if by == "costs more":
        total = Money(amount=3998, currency="USD")
        names = {"order_id": placed.order_id, "number": "P-2", "shop_id": till.shop_id}
        await till.hear(OrderTotalChanged(total=total, version=2, **names))
    else:
        await say("capture_failed", "psp_2")
        assert sorted(totals(p)[2] for p in await till.payments(placed.order_id)) == [0, 1999]
    assert [event["cause"] for event in await till.events("platform.alert_cleared")] == [alert["cause"]]
