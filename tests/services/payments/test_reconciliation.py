"""Reconciliation through the providers' APIs (PAY-8): what is found, and repaired once."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from deploy.topology import Surrounded
from services.payments import tasks
from services.payments.intake import Intake
from services.payments.use_cases import repairing
from shared import clock
from shared.bus.envelope import envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.orders.events import OrderCancelled
from shared.contracts.payments.messages import ReplayCallback
from shared.contracts.payments.reconciliation import (
    DismissDifference,
    RepairDifference,
    RepairReconciliation,
)
from shared.errors import CarriedError
from shared.unit_of_work import UnitOfWork
from tests.conftest import scale
from tests.doors import caller_of
from tests.factories import payments as a
from tests.factories.orders import Seller
from tests.fakes import providers as p
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-8")


async def hear(till: Till, gateway: Any, kind: str, thing: dict[str, Any]) -> str:
    """A callback of Stripe's at this gateway; what became of it."""
    event = a.stripe_event(kind, thing)
    assert (await till.post(a.as_body(event), to=gateway.id)).status_code == 200
    await till.work()
    return next(each.status for each in await till.callbacks(gateway=gateway.id) if each.event_id == event["id"])


# --- what is found


async def test_both_sides_are_compared_over_all_pages(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    numbers = [f"REC-{number}" for number in range(7)]
    for number in numbers:
        await till.place(number)
    # Known and alike; known with less; not known; refunded; disputed; known here alone; without an order.
    for number, amount in ((0, 1999), (1, 1000), (3, 1999), (4, 1999), (5, 1999)):
        await hear(till, gateway, "payment_intent.succeeded", a.intent(numbers[number], amount, id=f"pi_{number}"))
    stripe.add(
        "payment_intents",
        *(p.stripe_intent(f"pi_{number}", numbers[number], r.ago(number + 5)) for number in (0, 1, 2, 3, 4)),
        p.stripe_intent("pi_7", "NOWHERE-1", r.ago(3)),
        p.stripe_intent("pi_8", None, r.ago(3), status="requires_payment_method", amount_received=0),
        # Of another day, and an authorisation that was never heard of.
        p.stripe_intent("pi_9", "REC-2", r.ago(60 * 30)),
        p.stripe_intent(
            "pi_6", numbers[6], r.ago(20), status="requires_capture", amount_capturable=1999, amount_received=0
        ),
    )
    stripe.add("refunds", p.stripe_refund("re_3", "pi_3", r.ago(2), 500))
    stripe.add("disputes", p.stripe_dispute("dp_4", "pi_4", r.ago(2), 1999))
    ended = await r.reconcile(till, gateway)
    assert (ended.state, ended.read, ended.open) == ("succeeded", 9, 7), ended
    assert r.told(await r.differences(till, reconciliation=ended.id)) == [
        ("dispute_missing", "dispute dp_4", 1999, 0),
        ("amount_differs", "payment pi_1", 1999, 1000),
        ("paid_there", "payment pi_2", 1999, 0),
        ("paid_here", "payment pi_5", 0, 1999),
        ("status_differs", "payment pi_6", 1999, 0),
        ("paid_without_order", "payment pi_7", 1999, 0),
        ("refund_missing", "refund re_3", 500, 0),
    ]
    assert len([path for path in stripe.asked if path.startswith("/v1/payment_intents?")]) == 4
    assert await till.rows("SELECT FROM reconciliation_facts") == []
    alerts = [each for each in await till.events("platform.alert_raised") if "differences" in each["cause"]]
    assert [each["data"]["refund_missing"] for each in alerts] == [1]
    # What a buyer is called stays with the provider.
    assert not [
        row for row in await till.rows("SELECT said::text AS said FROM differences") if "buyer" in str(row["said"])
    ]


async def test_nothing_differs_where_nothing_does(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("SAME-1")
    await hear(till, gateway, "payment_intent.succeeded", a.intent("SAME-1"))
    # Told as a running total here, one by one there.
    await hear(till, gateway, "charge.refunded", a.charge("SAME-1", refunded=700))
    stripe.add("payment_intents", p.stripe_intent("pi_1", "SAME-1", r.ago(60 * 48)))
    stripe.add("charges", a.charge("SAME-1", refunded=700) | {"created": p.seconds(r.ago(5))})
    stripe.add(
        "refunds", p.stripe_refund("re_a", "pi_1", r.ago(4), 400), p.stripe_refund("re_b", "pi_1", r.ago(3), 300)
    )
    ended = await r.reconcile(till, gateway)
    assert (ended.state, ended.open, ended.differences) == ("succeeded", 0, {})
    # It was made before the period: Stripe was asked for it by its name.
    assert "/v1/payment_intents/pi_1" in stripe.asked
    stripe.add("refunds", p.stripe_refund("re_c", "pi_1", r.ago(2), 100))
    ended = await r.reconcile(till, gateway)
    assert r.told(await r.differences(till, reconciliation=ended.id)) == [
        ("refund_missing", f"refund re_{name}", amount, 0) for name, amount in (("a", 400), ("b", 300), ("c", 100))
    ]


async def test_many_are_compared_in_sets(till: Till, stripe: p.Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, the questions to the database grow with the sets and not with the payments."""
    count, gateway = max(1_000, int(scale() * 20_000)), await r.stripe_gateway(till)
    stripe.page, placed = 100, await till.place("MANY-0")
    uow = till.unit_of_work()
    await uow.execute(
        "INSERT INTO payments (organization_id, id, order_id, order_number, shop_id, gateway_id, provider, external_id,"
        " currency, state, authorised, captured, captured_told, created_at, occurred_at, version)"
        " SELECT $1, gen_random_uuid(), $2, 'MANY-0', $3, $4, 'stripe', 'pi_' || n, 'USD', 'captured', 1999, 1999,"
        " 1999, now(), now(), 1 FROM generate_series(1, $5) n WHERE n % 100 <> 0",
        till.organization_id,
        placed.order_id,
        till.shop_id,
        gateway.id,
        count,
    )
    await uow.commit()
    stripe.add(
        "payment_intents",
        *(
            p.stripe_intent(f"pi_{number}", "MANY-0", r.ago(5), amount=1998 if number % 250 == 1 else 1999)
            for number in range(1, count + 1)
        ),
    )
    asked, real = 0, UnitOfWork.fetch

    async def counted(self: UnitOfWork, sql: str, *arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await real(self, sql, *arguments)

    monkeypatch.setattr(UnitOfWork, "fetch", counted)
    ended = await r.reconcile(till, gateway)
    assert (ended.read, ended.differences) == (count, {"paid_there": count // 100, "amount_differs": -(-count // 250)})
    # A set of 200 payments takes some nine, a page of 100 two.
    assert asked < count * (10 / 200 + 3 / 100) + 30


async def test_mollie_is_read_list_by_list_until_it_is_older(till: Till, mollie: p.Mollie) -> None:
    gateway = await r.mollie_gateway(till)
    placed = [await till.place(f"MOL-{number}") for number in range(3)]
    mollie.add(
        "payments",
        *(p.mollie_payment(f"tr_{number}", f"MOL-{number}", r.ago(number + 1)) for number in range(3)),
        *(p.mollie_payment(f"tr_old{number}", "MOL-0", r.ago(60 * 24 * 2 + number)) for number in range(9)),
        p.mollie_payment("tr_open", "MOL-0", r.ago(1), status="open"),
    )
    mollie.add("refunds", p.mollie_refund("re_1", "tr_1", r.ago(1), "5.00"))
    mollie.add("chargebacks", p.mollie_chargeback("chb_2", "tr_2", r.ago(1), "19.99"))
    ended = await r.reconcile(till, gateway)
    assert r.told(await r.differences(till, reconciliation=ended.id)) == [
        ("dispute_missing", "dispute chb_2", 1999, 0),
        ("paid_there", "payment tr_0", 1999, 0),
        ("paid_there", "payment tr_1", 1999, 0),
        ("paid_there", "payment tr_2", 1999, 0),
        ("refund_missing", "refund re_1", 500, 0),
    ]
    # Four payments of the period on pages of two, one page that begins with what is older.
    assert len([path for path in mollie.asked if path.startswith("/v2/payments?")]) == 3
    begun = await till.ask(RepairReconciliation(reconciliation_id=ended.id))
    assert await r.run_job(till, begun.job.id) == "succeeded"
    states = [[each.state for each in await till.payments(order.order_id)] for order in placed]
    assert states == [["captured"], ["partly_refunded"], ["disputed"]]


async def test_what_cannot_be_understood_is_told_and_nothing_else_suffers(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("ODD-1")
    stripe.add(
        "payment_intents",
        p.stripe_intent("pi_1", "ODD-1", r.ago(1)),
        p.stripe_intent("pi_odd", "ODD-1", r.ago(1), currency="xxx"),
        p.stripe_intent("pi_huge", "ODD-1", r.ago(1), amount_received=-5),
    )
    ended = await r.reconcile(till, gateway)
    found = await r.differences(till, reconciliation=ended.id)
    assert [(each.kind, each.reference, each.repairable) for each in found] == [
        ("paid_there", "payment pi_1", True),
        ("unreadable", "payment pi_huge", False),
        ("unreadable", "payment pi_odd", False),
    ]
    assert await r.refused(till, RepairDifference(difference_id=found[1].id)) == "difference_not_repairable"


# --- repairs


async def test_a_repair_has_the_effect_of_its_callback_once_whichever_comes_first(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    placed = await till.place("FIX-1")
    stripe.add("payment_intents", p.stripe_intent("pi_1", "FIX-1", r.ago(5)))
    stripe.add("refunds", p.stripe_refund("re_1", "pi_1", r.ago(4), 500))
    ended = await r.reconcile(till, gateway)
    paid, refunded = await r.differences(till, reconciliation=ended.id)
    # A refund before its payment would have to wait; tried alone it changes nothing.
    dry = await till.ask(RepairDifference(difference_id=paid.id, dry_run=True))
    assert (dry.dry_run, dry.status, dry.payment.state, dry.difference.state) == (
        True,
        "processed",
        "captured",
        "repaired",
    )
    assert (await till.payments(), await till.callbacks(gateway=gateway.id)) == ([], [])
    assert (await till.events("payments.payment_changed"), await till.rows("SELECT FROM callbacks")) == ([], [])
    done = await till.ask(RepairDifference(difference_id=paid.id))
    assert (done.status, done.payment.state, done.difference.state) == ("processed", "captured", "repaired")
    assert await r.refused(till, RepairDifference(difference_id=paid.id)) == "difference_is_settled"
    await till.ask(RepairDifference(difference_id=refunded.id))
    (payment,) = await till.payments(placed.order_id)
    assert (payment.state, payment.refunded.amount) == ("partly_refunded", 500)
    events = len(await till.events("payments.payment_changed"))
    assert events == 2
    # The callbacks that were lost come after all, twice.
    for _ in range(2):
        assert await hear(till, gateway, "payment_intent.succeeded", a.intent("FIX-1")) == "ignored"
        thing = p.stripe_refund("re_1", "pi_1", r.ago(4), 500)
        assert await hear(till, gateway, "refund.created", thing) == "ignored"
    assert len(await till.events("payments.payment_changed")) == events
    callback = await till.callback(done.difference.callback_id)
    assert (callback.origin, callback.is_verified, [each.kind for each in callback.attempts]) == (
        "reconciliation",
        True,
        ["repair"],
    )
    assert callback.decoded.says["captured"] == 1999
    audited = await till.rows("SELECT action FROM audit_entries WHERE action LIKE 'payment_difference%'")
    assert len(audited) == 2
    cleared = [each["cause"] for each in await till.events("platform.alert_cleared")]
    assert f"payments.differences.{gateway.id}" in cleared


async def test_what_its_callback_settled_meanwhile_is_matched_by_itself(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("LATE-1")
    await till.place("LATE-2")
    for number in (1, 2):
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number}", f"LATE-{number}", r.ago(5)))
    ended = await r.reconcile(till, gateway)
    first, second = await r.differences(till, reconciliation=ended.id)
    for number in (1, 2):
        await hear(till, gateway, "payment_intent.succeeded", a.intent(f"LATE-{number}", id=f"pi_{number}"))
    done = await till.ask(RepairDifference(difference_id=first.id))
    assert (done.status, done.difference.state) == ("ignored", "matched")
    await r.perform_clock(till, "leave_matching")
    assert [each.state for each in await r.differences(till)] == ["matched", "matched"]
    assert len(await till.events("payments.payment_changed")) == 2
    assert second.id


async def test_paid_without_order_waits_for_it_and_is_matched_once_it_is_there(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "SOON-1", r.ago(5)))
    ended = await r.reconcile(till, gateway)
    (found,) = await r.differences(till, reconciliation=ended.id)
    done = await till.ask(RepairDifference(difference_id=found.id))
    assert (done.status, done.difference.state, done.payment) == ("waiting", "waiting", None)
    placed = await till.place("SOON-1")
    await till.work()
    assert [payment.state for payment in await till.payments(placed.order_id)] == ["captured"]
    await r.perform_clock(till, "leave_matching")
    assert [each.state for each in await r.differences(till)] == ["matched"]


async def test_orders_that_nobody_has_paid_are_watched_until_somebody_has(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    # A second one for the same shop, which tells nothing twice.
    other = await r.stripe_gateway(till)
    long_ago = r.ago(150)
    with clock.replaced(lambda: long_ago):
        placed = [await till.place(f"OWED-{number}") for number in range(5)]
        await till.place("OWED-FREE", total=0)
    await till.place("OWED-YOUNG")
    await hear(till, gateway, "payment_intent.succeeded", a.intent("OWED-0", id="pi_0"))
    stripe.add(
        "payment_intents",
        p.stripe_intent("pi_0", "OWED-0", r.ago(140)),
        p.stripe_intent("pi_1", "OWED-1", r.ago(140)),
        p.stripe_intent("pi_2", "OWED-2", r.ago(140), status="canceled", amount_received=0),
    )
    ended = await r.reconcile(till, gateway)
    found = await r.differences(till, reconciliation=ended.id)
    assert [(each.kind, each.order_number, each.repairable) for each in found] == [
        ("order_not_paid", "OWED-2", True),
        ("order_not_paid", "OWED-3", True),
        ("order_not_paid", "OWED-4", True),
        ("paid_there", "OWED-1", True),
    ]
    assert (await r.reconcile(till, other)).differences == {"paid_there": 2}
    # All at once are repaired without any order being cancelled.
    counted = await till.ask(RepairReconciliation(reconciliation_id=ended.id, dry_run=True))
    assert counted.kinds == {"paid_there": 1}
    await hear(till, gateway, "payment_intent.succeeded", a.intent("OWED-3", id="pi_3"))
    cancelled = OrderCancelled(order_id=placed[4].order_id, number="OWED-4", shop_id=till.shop_id, reason="not paid")
    await till.hear(cancelled)
    await r.perform_clock(till, "leave_matching")
    left = await r.differences(till, gateway=gateway.id, kind="order_not_paid")
    assert {each.order_number: each.state for each in left} == {
        "OWED-2": "open",
        "OWED-3": "matched",
        "OWED-4": "matched",
    }


async def test_an_order_that_nobody_has_paid_is_cancelled_in_one_step(
    process: Surrounded, door: httpx.AsyncClient, intake: Intake, stripe: p.Stripe
) -> None:
    seller = await Seller(process).open({"MUG": "10.00"}, {"MUG": 5})
    await seller.hear("payments", ShopChanged(shop=seller.shop))
    order = await seller.place(MUG=2)
    gateway = await a.open_gateway(process, seller.organization_id)
    till = Till(process, door, seller.organization_id, seller.shop.id, gateway, intake)
    placed = a.order_placed(seller.shop.id, order.number, order.total.amount)
    await till.hear(placed.model_copy(update={"order_id": order.id, "placed_at": r.ago(150)}))
    ended = await r.reconcile(till, await r.stripe_gateway(till))
    (found,) = await r.differences(till, reconciliation=ended.id)
    assert (found.kind, found.order_number, found.repairable) == ("order_not_paid", order.number, True)
    message = RepairDifference(difference_id=found.id)
    clerk = caller_of(seller.organization_id, "payments:read", "payments:write")
    with pytest.raises(CarriedError) as refused:
        await process.bus.ask(message, envelope_for(clerk))
    assert refused.value.code == "missing_scope"
    dry = await till.ask(RepairDifference(difference_id=found.id, dry_run=True))
    assert (dry.difference.state, (await seller.order(order.id)).status) == ("repaired", "pending")
    done = await till.ask(message)
    assert (done.difference.state, (await seller.order(order.id)).status) == ("repaired", "cancelled")
    assert await r.refused(till, message) == "difference_is_settled"


async def test_what_does_not_fit_changes_nothing_and_stays_open(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("BIG-1", total=1000)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "BIG-1", r.ago(5), amount=5000))
    ended = await r.reconcile(till, gateway)
    (found,) = await r.differences(till, reconciliation=ended.id)
    for dry_run in (True, False):
        message = RepairDifference(difference_id=found.id, dry_run=dry_run)
        assert await r.refused(till, message) == "repair_not_possible"
    begun = await till.ask(RepairReconciliation(reconciliation_id=ended.id))
    assert await r.run_job(till, begun.job.id) == "succeeded"
    assert [each.state for each in await r.differences(till)] == ["open"]
    assert (await till.payments(), await till.rows("SELECT FROM callbacks")) == ([], [])
    settled = await till.ask(DismissDifference(difference_id=found.id, reason="The order was split by hand."))
    assert (settled.state, settled.reason) == ("dismissed", "The order was split by hand.")
    assert await r.refused(till, DismissDifference(difference_id=found.id, reason="x")) == "difference_is_settled"


async def test_all_are_repaired_by_a_job_that_survives_its_worker(
    till: Till, stripe: p.Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = max(8, int(scale() * 200))
    gateway, stripe.page = await r.stripe_gateway(till), 100
    for number in range(count):
        await till.place(f"ALL-{number:03}")
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number:03}", f"ALL-{number:03}", r.ago(5)))
    ended = await r.reconcile(till, gateway)
    dry = await till.ask(RepairReconciliation(reconciliation_id=ended.id, dry_run=True))
    assert (dry.differences, dry.kinds, dry.job) == (count, {"paid_there": count}, None)
    begun = await till.ask(RepairReconciliation(reconciliation_id=ended.id, kind="paid_there"))
    monkeypatch.setattr(repairing, "_AT_ONCE", 3)
    real, tried = repairing.repair, 0

    async def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal tried
        tried += 1
        if tried == 5:
            raise asyncio.CancelledError
        return await real(*arguments, **options)

    monkeypatch.setattr(repairing, "repair", dying)
    assert await r.run_job(till, begun.job.id) == "running"
    assert len(await till.payments()) == 3
    await r.wake(till, begun.job.id)
    assert await r.run_job(till, begun.job.id) == "succeeded"
    assert [each.state for each in await till.payments()] == ["captured"] * count
    assert len(await till.events("payments.payment_changed")) == count
    (job,) = await till.rows("SELECT counters, done FROM jobs WHERE id = $1", begun.job.id)
    assert (orjson.loads(job["counters"]), job["done"]) == ({"repaired": count}, count)


async def test_a_repair_and_the_callback_at_the_same_moment_have_one_effect(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    for number in range(4):
        await till.place(f"RACE-{number}")
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number}", f"RACE-{number}", r.ago(5)))
    ended = await r.reconcile(till, gateway)
    found = await r.differences(till, reconciliation=ended.id)
    for number in range(4):
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent(f"RACE-{number}", id=f"pi_{number}")))
        assert (await till.post(body, to=gateway.id)).status_code == 200
    repairs = [till.ask(RepairDifference(difference_id=each.id)) for each in found for _ in range(2)]
    outcomes = await asyncio.gather(till.work(), *repairs, return_exceptions=True)
    refusals = {getattr(each, "code", None) for each in outcomes if isinstance(each, Exception)}
    assert refusals <= {"difference_is_settled"}
    await till.work()
    assert len(await till.events("payments.payment_changed")) == 4
    assert [each.captured.amount for each in await till.payments()] == [1999] * 4


async def test_the_same_difference_is_open_once(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "TWICE-1", r.ago(5)))
    first = await r.reconcile(till, gateway)
    # What was without its order is one of an order that is pending, once that is here.
    await till.place("TWICE-1")
    second, third = await r.reconcile(till, gateway), await r.reconcile(till, gateway)
    found = {each.reconciliation_id: (each.kind, each.state) for each in await r.differences(till)}
    assert found == {
        first.id: ("paid_without_order", "superseded"),
        second.id: ("paid_there", "superseded"),
        third.id: ("paid_there", "open"),
    }


async def test_a_repaired_callback_is_replayed_as_what_it_is(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "AGAIN-1", r.ago(5)))
    ended = await r.reconcile(till, gateway)
    (found,) = await r.differences(till, reconciliation=ended.id)
    done = await till.ask(RepairDifference(difference_id=found.id))
    replayed = await till.ask(ReplayCallback(callback_id=done.difference.callback_id))
    assert (replayed.status, replayed.is_verified) == ("waiting", True)


async def test_superseded_differences_go_after_a_time_and_no_others(till: Till, stripe: p.Stripe) -> None:
    """Each night finds anew what nobody has settled; other tenants' go as well."""
    gateway = await r.stripe_gateway(till)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "OLD-1", r.ago(5)))
    stripe.add("payment_intents", p.stripe_intent("pi_2", "OLD-2", r.ago(5)))
    first, second = await r.reconcile(till, gateway), await r.reconcile(till, gateway)
    await _remove_superseded(till)
    assert len(await r.differences(till, reconciliation=first.id)) == 2
    await _make_older(till, "state = 'superseded' AND payment = 'pi_1' OR state = 'open'")
    await _remove_superseded(till)
    left = {(each.reconciliation_id, each.payment, each.state) for each in await r.differences(till)}
    assert left == {
        (first.id, "pi_2", "superseded"),
        (second.id, "pi_1", "open"),
        (second.id, "pi_2", "open"),
    }


async def _make_older(till: Till, where: str) -> None:
    uow = till.unit_of_work()
    await uow.execute(f"UPDATE differences SET changed_at = changed_at - interval '91 days' WHERE {where}")
    await uow.commit()


async def _remove_superseded(till: Till) -> None:
    system = till.process.surroundings.unit_of_work("payments", service_envelope("payments", None), across_tenants=True)
    await tasks.remove_superseded_differences({}, system)
    await system.commit()


async def test_the_clock_may_remove_none_but_superseded_differences(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    stripe.add("payment_intents", p.stripe_intent("pi_1", "KEPT-1", r.ago(5)))
    await r.reconcile(till, gateway)
    system = till.process.surroundings.unit_of_work("payments", service_envelope("payments", None), across_tenants=True)
    await system.execute("DELETE FROM differences")
    await system.commit()
    assert len(await r.differences(till)) == 1
