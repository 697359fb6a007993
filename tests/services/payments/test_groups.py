"""Callbacks processed together: each has the effect it would have alone, whatever else is in its group."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from deploy import topology
from services.payments.repository import callback_records
from shared import clock
from tests.conftest import _execute
from tests.doors import eventually
from tests.factories import payments as a
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-4", "PAY-5")


async def _post(till: Till, *events: dict[str, Any]) -> None:
    """Several events are stored before the first is processed."""
    for event in events:
        assert (await till.post(a.as_body(event))).status_code == 200


async def _outcomes(till: Till) -> list[tuple[str | None, str, str | None]]:
    """Event, status and reason, in the order of arrival."""
    return [(callback.event, callback.status, callback.reason) for callback in reversed(await till.callbacks())]


async def test_several_words_about_one_new_payment_in_one_group(till: Till) -> None:
    placed = await till.place("G-1")
    refund = {"id": "re_1", "amount": 500, "currency": "usd", "payment_intent": "pi_1", "status": "succeeded"}
    await _post(
        till,
        a.stripe_event("payment_intent.succeeded", a.intent("G-1")),
        a.stripe_event("charge.succeeded", a.charge("G-1")),
        a.stripe_event("refund.created", refund),
        a.stripe_event("charge.refunded", a.charge("G-1", refunded=500)),
    )
    await till.work()
    assert [outcome[1:] for outcome in await _outcomes(till)] == [
        ("processed", None),
        ("ignored", "superseded"),
        ("processed", None),
        ("ignored", "superseded"),
    ]
    (payment,) = await till.payments(placed.order_id)
    assert (payment.state, payment.captured.amount, payment.refunded.amount) == ("partly_refunded", 1999, 500)
    assert [event["version"] for event in await till.events("payments.payment_changed")] == [1, 2]


async def test_a_refund_and_after_it_its_capture_in_one_group(till: Till) -> None:
    placed = await till.place("G-2")
    refund = {"id": "re_1", "amount": 1999, "currency": "usd", "payment_intent": "pi_1", "status": "succeeded"}
    await _post(
        till,
        a.stripe_event("refund.created", refund),
        a.stripe_event("payment_intent.succeeded", a.intent("G-2")),
    )
    await till.work()
    refunded, captured = reversed(await till.callbacks())
    assert [attempt.status for attempt in refunded.attempts] == ["waiting", "processed"]
    assert [attempt.status for attempt in captured.attempts] == ["processed"]
    assert (await till.payments(placed.order_id))[0].state == "refunded"


async def test_what_cannot_take_effect_holds_up_nobody_in_its_group(till: Till) -> None:
    placed = [await till.place(f"G-3{number}") for number in range(3)]
    event = a.stripe_event("payment_intent.succeeded", a.intent("G-30", id="pi_30"))
    await _post(
        till,
        event,
        event | {"api_version": "another"},
        a.stripe_event("payment_intent.succeeded", a.intent("G-31", amount=2000, id="pi_31")),
        a.stripe_event("payment_intent.succeeded", a.intent("NOT-YET", id="pi_x")),
        a.stripe_event("payment_intent.succeeded", a.intent("G-32", id="pi_30")),
        a.stripe_event("payment_intent.succeeded", a.intent("G-32", id="pi_32") | {"currency": 7}),
        a.stripe_event("payment_intent.succeeded", a.intent("G-32", id="pi_32"), livemode=True),
        a.stripe_event("customer.created", {"id": "cus_1"}),
        a.stripe_event("payment_intent.succeeded", a.intent("G-32", id="pi_32")),
    )
    await till.work()
    assert [outcome[1:] for outcome in await _outcomes(till)] == [
        ("processed", None),
        ("failed", "event_id_reused"),
        ("failed", "amount_beyond_order"),
        ("waiting", "order_not_found"),
        ("failed", "order_contradiction"),
        ("failed", "unreadable_callback"),
        ("failed", "wrong_mode"),
        ("ignored", "informational"),
        ("processed", None),
    ]
    assert [len(await till.payments(order.order_id)) for order in placed] == [1, 0, 1]
    assert len(await till.events("platform.alert_raised")) == 5


async def test_two_payments_of_one_order_in_one_group_are_summed(till: Till) -> None:
    await till.place("G-4")
    await _post(
        till,
        a.stripe_event("payment_intent.succeeded", a.intent("G-4", id="pi_a")),
        a.stripe_event("payment_intent.succeeded", a.intent("G-4", id="pi_b")),
    )
    await till.work()
    (alert,) = await till.events("platform.alert_raised")
    assert alert["cause"].startswith("payments.overpaid.")
    assert len(await till.events("payments.payment_changed")) == 2


@pytest.mark.faults
async def test_one_that_the_database_refuses_is_retried_and_the_others_are_done(till: Till) -> None:
    placed = [await till.place(f"G-5{number}") for number in range(4)]
    await _post(
        till, *(a.stripe_event("payment_intent.succeeded", a.intent(f"G-5{n}", id=f"pi_5{n}")) for n in range(4))
    )
    url = os.environ["CROSSDOCK_ADMIN_URL"]
    refuse = f"CHECK (organization_id <> '{till.organization_id}' OR external_id <> 'pi_52') NOT VALID"
    await _execute(url, f"ALTER TABLE payments.payments ADD CONSTRAINT not_this {refuse}")
    stopping = asyncio.Event()
    work = asyncio.create_task(topology.do_work(topology.named("payments"), till.process, stopping))
    try:

        async def others_are_done() -> bool:
            return [status for _, status, _ in await _outcomes(till)] == [
                "processed",
                "processed",
                "retrying",
                "processed",
            ]

        await eventually(others_are_done, 30)
        await _execute(url, "ALTER TABLE payments.payments DROP CONSTRAINT not_this")
        assert (await eventually(lambda: till.payments(placed[2].order_id), 30))[0].state == "captured"
    finally:
        stopping.set()
        await work
    assert len(await till.events("payments.payment_changed")) == 4


async def test_groups_that_speak_of_the_same_payments_at_once_have_each_effect_once(till: Till) -> None:
    (service,) = topology.named("payments")
    numbers = [f"G-6{number}" for number in range(6)]
    for number in numbers:
        await till.place(number)
    intents = [a.stripe_event("payment_intent.succeeded", a.intent(number, id=f"pi_{number}")) for number in numbers]
    charges = [
        a.stripe_event("charge.succeeded", a.charge(number, id=f"ch_{number}", payment_intent=f"pi_{number}"))
        for number in reversed(numbers)
    ]
    await _post(till, *intents, *charges)
    ids = [str(callback.id) for callback in reversed(await till.callbacks())]
    groups = [ids[:6], ids[6:], list(reversed(ids)), ids[3:9]]

    async def perform(group: list[str]) -> None:
        uow = till.unit_of_work()
        await service.tasks["payments.process_callback"].function([{"callback_id": id_} for id_ in group], uow)
        await uow.commit()

    await asyncio.gather(*(perform(group) for group in groups))
    callbacks = await till.callbacks()
    assert {len(callback.attempts) for callback in callbacks} == {1}
    assert sorted(callback.status for callback in callbacks) == ["ignored"] * 6 + ["processed"] * 6
    assert len(await till.events("payments.payment_changed")) == 6


async def test_writing_what_a_group_came_to_reads_no_other_callbacks(till: Till) -> None:
    """Else each group would cost as much as all callbacks that a merchant ever had."""
    await _post(till, *(a.stripe_event("payment_intent.created", a.intent("G-9")) for _ in range(30)))
    uow = till.unit_of_work()
    try:
        ids = [row["id"] for row in await uow.fetch("SELECT id FROM callbacks LIMIT 2")]
        none, signed = [None, None], [True, True]
        values = (ids, signed, ["ignored"] * 2, *([none] * 5), clock.now(), "processing", "us", [False] * 2, none)
        (plan,) = await uow.fetchrow(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {callback_records._WRITE_ATTEMPTS}", till.organization_id, *values
        )
    finally:
        await uow.rollback()
    read = [
        node
        for node in _nodes(orjson.loads(plan)[0]["Plan"])
        if node.get("Relation Name") == "callbacks" and "Scan" in node["Node Type"]
    ]
    # Found by their ids, then written.
    assert [node["Actual Rows"] * node["Actual Loops"] for node in read] == [2, 2]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
