"""What the providers' manuals and the best receivers promise, where no other file here says it already."""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from deploy.callback_samples import Sample, Signing, adyen_item, adyen_notification
from services.payments import flood
from services.payments.gateways import signatures
from services.payments.use_cases import triage
from shared import clock
from shared.contracts.payments.messages import ListRefunds
from shared.contracts.payments.shapes import Callback, CallbackFilter, PaymentGateway
from shared.contracts.payments.triage import TriageCallbacks
from shared.identifiers import new_id
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till
from tests.waiting import until


async def _open(till: Till, provider: str, **fields: Any) -> PaymentGateway:
    return await g.open_gateway(till.process, till.organization_id, provider, **fields)


async def _post(till: Till, gateway: PaymentGateway, sample: Sample) -> int:
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=sample.body, headers=sample.headers)
    return answer.status_code


# --- verification


VERIFIERS = {
    "stripe": (signatures.WebhookSignature, "verify_header"),
    "adyen": (signatures, "is_valid_hmac_notification"),
    "mollie": (signatures.SignatureValidator, "validate_payload"),
    "square": (signatures, "verify_square"),
    "razorpay": (signatures.Utility, "verify_webhook_signature"),
    "braintree": (signatures.WebhookNotificationGateway, "_WebhookNotificationGateway__validate_signature"),
    "standard-webhooks": (signatures.Webhook, "sign"),
}


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), AttributeError("None"), MemoryError()])
@pytest.mark.parametrize("provider", VERIFIERS)
async def test_whatever_a_library_raises_the_callback_is_refused_and_kept(
    till: Till, provider: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await _open(till, provider)
    told = g.sender(gateway, "SDK-1").say("captured")

    def raising(*_: Any, **__: Any) -> bool:
        raise error

    monkeypatch.setattr(*VERIFIERS[provider], raising)
    assert await _post(till, gateway, told) == 400
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("invalid", "wrong_signature")


@pytest.mark.feature("PAY-3")
async def test_without_a_secret_nothing_verifies_not_even_what_the_empty_one_signed(till: Till) -> None:
    gateway = await _open(till, "mollie", secrets=())
    body = g.sender(gateway, "EMPTY-1").say("captured", secret="x").body
    signed = hmac.new(b"", body, sha256).hexdigest()
    for header in (signed, f"sha256={signed}"):
        assert await _post(till, gateway, Sample(body, {"X-Mollie-Signature": header})) == 400
    await till.work()
    assert {callback.status for callback in await till.callbacks(gateway=gateway.id)} == {"invalid"}


@pytest.mark.feature("PAY-3", "ACC-1")
async def test_paypals_signature_is_for_one_webhook_and_no_other_tenants(till: Till) -> None:
    gateway = await _open(till, "paypal")
    stranger = new_id()
    await a.open_shop(till.process, stranger)
    settings = gateway.settings | {"webhook_id": "WH-OF-OTHERS"}
    theirs = await g.open_gateway(till.process, stranger, "paypal", settings=settings)
    told = g.sender(gateway, "WH-1").say("captured")
    assert (await _post(till, gateway, told), await _post(till, theirs, told)) == (200, 400)


@pytest.mark.feature("PAY-3", "PAY-5")
async def test_what_adyen_does_not_sign_moves_no_money(till: Till) -> None:
    placed = await till.place("UNSIGNED-1")
    gateway = await _open(till, "adyen")
    facts = g.sender(gateway, "UNSIGNED-1").facts
    item = adyen_item("captured", facts, Signing(g.SECRETS["adyen"], gateway.settings, gateway.callback_url))
    more = {"captureAmount": "999999", "authorisedAmountValue": "1", "currency": "EUR", "merchantReference": "OTHER"}
    changed = item | {
        "reason": "REFUND 999999 EUR",
        "eventDate": "2001-01-01T00:00:00+00:00",
        "additionalData": more | item["additionalData"],
        "operations": ["CANCEL", "REFUND"],
    }
    assert await _post(till, gateway, Sample(adyen_notification(changed), {})) == 200
    await till.work()
    assert await _post(till, gateway, Sample(adyen_notification(item), {})) == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.deliveries) == ("processed", 2)
    (payment,) = await till.payments(placed.order_id)
    assert payment.captured is not None
    assert (payment.state, payment.captured.amount, payment.captured.currency) == ("captured", 1999, "USD")
    assert (await till.ask(ListRefunds(order_id=placed.order_id))).items == []


# --- once, however late, however much


@pytest.mark.feature("PAY-4")
async def test_the_same_event_after_31_days_is_the_same_record_and_changes_nothing(till: Till) -> None:
    placed = await till.place("MONTH-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("MONTH-1")))
    assert (await till.post(body)).status_code == 200
    await till.work()
    later = clock.now() + timedelta(days=31)
    with clock.replaced(lambda: later):
        answers = await asyncio.gather(*(till.post(body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    await till.work()
    (callback,) = await till.callbacks()
    assert (callback.status, callback.deliveries, len(callback.attempts)) == ("processed", 21, 1)
    assert [payment.version for payment in await till.payments(placed.order_id)] == [1]
    assert len(await till.events("payments.payment_changed")) == 1


@pytest.mark.feature("PAY-4", "PAY-5")
async def test_running_totals_and_single_refunds_come_to_the_same(till: Till) -> None:
    placed = [await till.place(number) for number in ("SUM-1", "SUM-2")]
    await till.tell("payment_intent.succeeded", a.intent("SUM-1"))
    for total in (500, 1500):
        await till.tell("charge.refunded", a.charge("SUM-1", refunded=total))
    adyen = await _open(till, "adyen")
    sender = g.sender(adyen, "SUM-2")
    for told in (
        sender.say("authorised"),
        sender.say("captured"),
        sender.say("refunded", part=500, id="a"),
        sender.say("refunded", part=1000, id="b"),
    ):
        assert await _post(till, adyen, told) == 200
    await till.work()
    ends = [(await till.payments(order.order_id))[0] for order in placed]
    assert [
        (end.state, end.captured and end.captured.amount, end.refunded and end.refunded.amount) for end in ends
    ] == [("partly_refunded", 1999, 1500)] * 2


async def _seconds(posting: Awaitable[Any]) -> float:
    """How long the answer took; it must be 200."""
    began = time.perf_counter()
    assert (await posting).status_code == 200
    return time.perf_counter() - began


@pytest.mark.feature("PAY-2")
async def test_callbacks_are_acknowledged_within_a_second_while_processing_stands_still(till: Till) -> None:
    await till.place("STALL-1")
    bodies = [a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("STALL-1"))) for _ in range(150)]
    usual = max([await _seconds(till.post(body)) for body in bodies[:20]])
    busy = till.unit_of_work()
    await busy.execute("SELECT FROM callbacks FOR UPDATE")
    await busy.execute("SELECT FROM orders FOR UPDATE")
    working = asyncio.create_task(till.work())
    waiting, took = iter([*bodies, *bodies[:50]]), []

    async def post_some() -> None:
        for body in waiting:
            took.append(await _seconds(till.post(body)))

    try:
        await asyncio.gather(*(post_some() for _ in range(10)))
        assert not working.done()
    finally:
        await busy.rollback()
        await working
    # Ten at once; a machine that is busy with other things takes its time without that, too.
    assert sorted(took)[int(len(took) * 0.99)] < max(1.0, 20 * usual)
    assert {callback.status for callback in await till.callbacks()} <= {"processed", "ignored", "failed"}


@pytest.mark.feature("PAY-3")
async def test_a_flood_at_one_tenant_is_told_to_wait_and_slows_nobody_elses_callbacks(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "KEPT_PER_MINUTE", 5)
    monkeypatch.setattr(flood, "ANSWERED_PER_MINUTE", 20)
    stranger = new_id()
    await a.open_shop(till.process, stranger)
    theirs = await a.open_gateway(till.process, stranger)
    codes: dict[str, list[int]] = {"flood": [], "own": [], "other": [], "forged at other": []}

    async def post(what: str, to: Any, secret: str) -> None:
        body = a.as_body(a.stripe_event("customer.created", {"id": "cus_1"}))
        codes[what].append((await till.post(body, a.signature(body, secret), to=to)).status_code)

    for _ in range(10):
        await asyncio.gather(*(post("flood", till.gateway.id, "whsec_guess") for _ in range(5)))
        await asyncio.gather(post("own", till.gateway.id, a.SECRET), post("other", theirs.id, a.SECRET))
    await post("forged at other", theirs.id, "whsec_guess")
    assert codes == {"flood": [400] * 20 + [429] * 30, "own": [200] * 10, "other": [200] * 10, "forged at other": [400]}


# --- people


@pytest.mark.feature("PAY-6")
async def test_triage_of_many_goes_on_where_its_worker_died(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("MANY-1", id=f"pi_{number}")))
        assert (await till.post(body, a.signature(body, "whsec_new"))).status_code == 400
    begun = await till.ask(
        TriageCallbacks(action="reject", filter=CallbackFilter(status="invalid"), reason="an attack")
    )
    real, steps = triage.act_on_many, 0

    async def dying(*arguments: Any) -> dict[str, int]:
        nonlocal steps
        steps += 1
        done = await real(*arguments)
        if steps == 2:
            raise asyncio.CancelledError
        return done

    monkeypatch.setattr(triage, "act_on_many", dying)
    assert await r.run_job(till, begun.job.id) == "running"
    assert len(await till.callbacks(status="rejected")) == 50
    await r.wake(till, begun.job.id)
    assert await r.run_job(till, begun.job.id) == "succeeded"
    rejected = await till.callbacks(status="rejected")
    assert [len(callback.attempts) for callback in rejected] == [1] * 60
    ((done,),) = await till.rows("SELECT done FROM jobs WHERE id = $1", begun.job.id)
    assert done == 60


async def _three_beyond(till: Till) -> list[Callback]:
    """Three callbacks that failed since more was paid than their orders cost, which is mended then."""
    for number in range(3):
        await till.place(f"ALERT-{number}", total=10)
    failed = [
        await till.tell("payment_intent.succeeded", a.intent(f"ALERT-{number}", id=f"pi_{number}"))
        for number in range(3)
    ]
    assert {(callback.status, callback.reason) for callback in failed} == {("failed", "amount_beyond_order")}
    uow = till.unit_of_work()
    await uow.execute("UPDATE orders SET total = 1999")
    await uow.commit()
    return failed


@pytest.mark.feature("PAY-7")
async def test_of_two_that_recover_at_the_same_moment_the_second_clears_the_alert(till: Till) -> None:
    *last, first = await _three_beyond(till)
    await _reject(till, first)
    await till.work()
    assert await till.events("platform.alert_cleared") == []
    units = [till.unit_of_work() for _ in last]
    for uow, callback in zip(units, last, strict=True):
        await triage.reject(uow, callback.id, "a test of the bank's")
    for uow in units:
        await uow.commit()
    await till.work()
    # Each looks, once it may see the other: whoever is told twice has the same.
    assert {event["cause"] for event in await till.events("platform.alert_cleared")} == {
        f"payments.callback.{till.gateway.id}.amount_beyond_order"
    }


async def _reject(till: Till, callback: Callback) -> None:
    uow = till.unit_of_work()
    await triage.reject(uow, callback.id, "a test of the bank's")
    await uow.commit()


@pytest.mark.feature("PAY-7")
async def test_who_looks_whether_an_alert_is_over_waits_for_who_is_about_to_raise_it(till: Till) -> None:
    for callback in await _three_beyond(till):
        await _reject(till, callback)
    await till.place("ALERT-9", total=10)
    assert (
        await till.post(a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("ALERT-9", id="pi_9"))))
    ).status_code == 200
    (task,) = await till.rows("SELECT payload FROM tasks WHERE kind = 'payments.process_callback'")
    failing = till.unit_of_work()
    await till.service.tasks["payments.process_callback"].function([json.loads(task["payload"])], failing)
    (cause, *_) = await till.rows("SELECT payload FROM tasks WHERE kind = 'payments.clear_alert'")
    looking = till.unit_of_work()

    async def look() -> None:
        await till.service.tasks["payments.clear_alert"].function(json.loads(cause["payload"]), looking)
        await looking.commit()

    watching = asyncio.create_task(look())

    async def is_waiting() -> bool:
        rows = await till.rows("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")
        return bool(rows) or watching.done()

    await until(is_waiting)
    assert not watching.done()
    await failing.commit()
    await watching
    assert await till.events("platform.alert_cleared") == []
