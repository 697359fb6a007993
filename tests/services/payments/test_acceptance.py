"""Accepting callbacks as they are, many at once, and what is shown of them (PAY-6)."""

import asyncio
import base64
import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest

from services.payments.masking import masked
from shared import clock
from shared.bus.envelope import Caller, envelope_for
from shared.contracts.payments.messages import ListCallbacks, ReplayCallback
from shared.contracts.payments.shapes import Callback, CallbackFilter
from shared.contracts.payments.triage import AcceptCallback, CallbackEffect, ExportCallbacks, TriageCallbacks
from shared.errors import CarriedError
from shared.jobs import JobRunner
from shared.money import Money
from tests.doors import Client, caller_of, eventually
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-6")

USD = {"currency": "USD"}


async def _refused(till: Till, message: Any, caller: Caller | None = None) -> str:
    with pytest.raises(CarriedError) as refused:
        if caller is None:
            await till.ask(message)
        else:
            await till.process.bus.ask(message, envelope_for(caller))
    return refused.value.code


async def _forged(till: Till, number: str, **fields: Any) -> Callback:
    """A callback signed with a secret that is not the gateway's."""
    event = a.stripe_event("payment_intent.succeeded", a.intent(number, **fields))
    body = a.as_body(event)
    assert (await till.post(body, a.signature(body, "whsec_other"))).status_code == 400
    return next(each for each in await till.callbacks() if each.event_id == event["id"])


async def test_accepted_as_is_it_takes_effect_and_stays_unverified(till: Till) -> None:
    placed = await till.place("ACC-1")
    callback = await _forged(till, "ACC-1")
    message = AcceptCallback(callback_id=callback.id, reason="the bank confirmed it by telephone")
    answers = await asyncio.gather(*(till.ask(message) for _ in range(6)))
    assert {answer.status for answer in answers} == {"processed"}
    (payment,) = await till.payments(placed.order_id)
    assert payment.state == "captured"
    detail = await till.callback(callback.id)
    assert (detail.is_verified, detail.is_accepted) == (False, True)
    assert [(attempt.kind, attempt.status) for attempt in detail.attempts] == [("accept", "processed")]
    assert len(await till.events("payments.payment_changed")) == 1
    (entry,) = [
        event["entry"]
        for event in await till.events("platform.audit_recorded")
        if event["entry"]["action"] == "callback.accept"
    ]
    assert (entry["reason"], entry["before"]) == ("the bank confirmed it by telephone", {"status": "invalid"})
    # Replayed, it is what it was.
    assert (await till.ask(ReplayCallback(callback_id=callback.id))).is_verified is False


async def test_what_cannot_be_understood_has_the_effect_that_is_named(till: Till) -> None:
    placed = await till.place("ACC-2")
    assert (await till.post(b"gibberish", "t=1,v1=00")).status_code == 400
    (callback,) = await till.callbacks()
    plain = AcceptCallback(callback_id=callback.id, reason="r")
    assert (await till.ask(plain)).status == "failed"
    for effect, code in (
        (CallbackEffect(kind="captured"), "effect_not_possible"),
        (
            CallbackEffect(kind="captured", amount=Money(amount=99999, **USD), order_number="ACC-2"),
            "effect_not_possible",
        ),
        (
            CallbackEffect(kind="captured", amount=Money(amount=1999, currency="EUR"), order_number="ACC-2"),
            "effect_not_possible",
        ),
        (CallbackEffect(kind="captured", amount=Money(amount=1999, **USD), order_number="NONE"), "effect_not_possible"),
        (CallbackEffect(kind="failed"), "effect_not_possible"),
    ):
        assert await _refused(till, AcceptCallback(callback_id=callback.id, reason="r", effect=effect)) == code
    captured = CallbackEffect(kind="captured", amount=Money(amount=1999, **USD), order_number="ACC-2", payment="pi_9")
    done = await till.ask(AcceptCallback(callback_id=callback.id, reason="r", effect=captured))
    assert (done.status, done.is_verified) == ("processed", False)
    (payment,) = await till.payments(placed.order_id)
    assert (payment.state, payment.external_id) == ("captured", "pi_9")


@pytest.mark.parametrize(
    ("kind", "amount", "state"),
    [("authorised", 1999, "authorised"), ("failed", 0, "failed"), ("cancelled", 0, "cancelled")],
)
async def test_each_effect(till: Till, kind: Any, amount: int, state: str) -> None:
    await till.place("ACC-3")
    callback = await _forged(till, "ACC-3")
    effect = CallbackEffect(kind=kind, amount=Money(amount=amount, **USD))
    done = await till.ask(AcceptCallback(callback_id=callback.id, reason="r", effect=effect))
    assert (done.status, [payment.state for payment in await till.payments()]) == ("processed", [state])


async def test_a_refund_and_no_effect_at_all(till: Till) -> None:
    await till.place("ACC-4")
    await till.tell("payment_intent.succeeded", a.intent("ACC-4"))
    first, second = await _forged(till, "ACC-4"), await _forged(till, "ACC-4", amount=1)
    refund = CallbackEffect(kind="refunded", amount=Money(amount=500, **USD))
    assert (await till.ask(AcceptCallback(callback_id=first.id, reason="r", effect=refund))).status == "processed"
    nothing = AcceptCallback(callback_id=second.id, reason="a test of ours", effect=CallbackEffect(kind="none"))
    done = await till.ask(nothing)
    assert (done.status, done.reason) == ("processed", "accepted_without_effect")
    (payment,) = await till.payments()
    assert payment.refunded is not None
    assert (payment.state, payment.refunded.amount) == ("partly_refunded", 500)


@pytest.mark.parametrize("name", [None, "re_1"])
async def test_a_refund_that_was_accepted_and_is_told_later_counts_once(till: Till, name: str | None) -> None:
    await till.place("ACC-5")
    await till.tell("payment_intent.succeeded", a.intent("ACC-5"))
    assert (await till.post(b'{"garbled')).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(status="failed")
    effect = CallbackEffect(kind="refunded", amount=Money(amount=500, **USD), payment="pi_1", refund=name)
    await till.ask(AcceptCallback(callback_id=callback.id, reason="seen in the dashboard", effect=effect))
    refund = {"object": "refund", "payment_intent": "pi_1", "currency": "usd", "amount": 500, "status": "succeeded"}
    for identifier, total in (("re_1", 500), ("re_2", 1000)):
        await till.tell("refund.updated", refund | {"id": identifier})
        (payment,) = await till.payments()
        assert payment.refunded is not None
        assert payment.refunded.amount == total


async def test_who_may_accept(till: Till) -> None:
    callback = await _forged(till, "ACC-5")
    message = AcceptCallback(callback_id=callback.id, reason="r")
    writer = caller_of(till.organization_id, "payments:write")
    assert await _refused(till, message, writer) == "acceptance_not_allowed"
    bulk = TriageCallbacks(action="accept", filter=CallbackFilter(), reason="r", dry_run=True)
    assert await _refused(till, bulk, writer) == "acceptance_not_allowed"
    reader = caller_of(till.organization_id, "payments:read")
    assert await _refused(till, message, reader) == "missing_scope"


async def test_rejected_is_final_for_accepting_too(till: Till, client: Client) -> None:
    callback = await _forged(till, "ACC-6")
    speaker = client.speaking_as(caller_of(till.organization_id))
    rejected = await client.post(f"/v1/callbacks/{callback.id}/reject", json={"reason": "x"}, headers=speaker)
    assert rejected.json()["status"] == "rejected"
    accepted = await client.post(f"/v1/callbacks/{callback.id}/accept", json={"reason": "x"}, headers=speaker)
    assert (accepted.status_code, accepted.json()["code"]) == (409, "callback_is_settled")
    missing = await client.post(f"/v1/callbacks/{callback.id}/accept", json={}, headers=speaker)
    assert missing.status_code == 422


async def test_filters(till: Till) -> None:
    other = await a.open_shop(till.process, till.organization_id, "other")
    elsewhere = await a.open_gateway(till.process, till.organization_id, "other")
    callback = await _forged(till, "FIL-1")
    body = a.as_body(a.stripe_event("customer.created", {"id": "c"}))
    assert (await till.post(body, to=elsewhere.id)).status_code == 200
    await till.work()
    day = timedelta(days=1)
    for filters, count in (
        ({}, 2),
        ({"status": "invalid"}, 1),
        ({"reason": "wrong_signature"}, 1),
        ({"reason": "x"}, 0),
        ({"shop": "other"}, 1),
        ({"gateway": elsewhere.id, "status": "ignored"}, 1),
        ({"received_since": clock.now() - day}, 2),
        ({"received_before": clock.now() - day}, 0),
    ):
        assert len(await till.callbacks(**filters)) == count, filters
    assert await _refused(till, ListCallbacks(shop="none")) == "shop_not_found"
    limited = caller_of(till.organization_id, "payments:read", shop_ids=[other.id])
    page = await till.process.bus.ask(ListCallbacks(), envelope_for(limited))
    assert callback.id not in {item.id for item in page.items}


async def _run(till: Till, job_id: Any) -> None:
    """Run a job as a worker would."""
    runner = JobRunner(till.service, till.process.surroundings)
    runner.start(till.organization_id, job_id)

    async def is_over() -> bool:
        (row,) = await till.rows("SELECT state FROM jobs WHERE id = $1", job_id)
        return row["state"] in ("succeeded", "failed", "cancelled")

    await eventually(is_over)
    await runner.stop()


async def test_many_are_counted_and_then_replayed_by_a_job(till: Till) -> None:
    numbers = [f"BULK-{number}" for number in range(56)]
    for number in numbers:
        await till.post(
            body := a.as_body(a.stripe_event("payment_intent.succeeded", a.intent(number, id=f"pi_{number}"))),
            a.signature(body, "whsec_new"),
        )
    await till.add_secret("whsec_new")
    for number in numbers[:30]:
        await till.place(number)
    meant = CallbackFilter(status="invalid", reason="wrong_signature")
    dry = await till.ask(TriageCallbacks(action="replay", filter=meant, reason="new secret", dry_run=True))
    assert (dry.callbacks, dry.job) == (56, None)
    assert len(await till.callbacks(status="invalid")) == 56
    begun = await till.ask(TriageCallbacks(action="replay", filter=meant, reason="new secret"))
    assert begun.callbacks == 56
    late = await _forged(till, "LATE")
    await _run(till, begun.job.id)
    (row,) = await till.rows("SELECT state, counters, done FROM jobs WHERE id = $1", begun.job.id)
    assert (row["state"], row["done"]) == ("succeeded", 56)
    assert len(await till.callbacks(status="processed")) == 30
    assert len(await till.callbacks(status="waiting")) == 26
    assert (await till.callback(late.id)).attempts == []
    assert len(await till.payments()) == 30


async def test_many_are_rejected_by_whoever_asked_and_what_is_settled_is_left(till: Till) -> None:
    await till.place("MANY-1")
    await till.tell("payment_intent.succeeded", a.intent("MANY-1"))
    forged = [await _forged(till, f"X-{number}") for number in range(3)]
    begun = await till.ask(TriageCallbacks(action="reject", filter=CallbackFilter(), reason="an attack"))
    assert begun.callbacks == 3
    await _run(till, begun.job.id)
    assert {(await till.callback(each.id)).status for each in forged} == {"rejected"}
    assert {attempt.actor for each in forged for attempt in (await till.callback(each.id)).attempts} == {"test client"}
    entries = [event["entry"] for event in await till.events("platform.audit_recorded")]
    rejected = [entry for entry in entries if entry["action"] == "callback.reject"]
    assert {entry["subject_id"] for entry in rejected} == {str(each.id) for each in forged}
    (asked,) = [entry["actor"] for entry in entries if entry["action"] == "callbacks.triage"]
    assert (asked["kind"], [entry["actor"] for entry in rejected]) == ("client", [asked] * 3)
    assert len(await till.callbacks(status="processed")) == 1
    assert (await till.ask(TriageCallbacks(action="reject", filter=CallbackFilter(), reason="x"))).callbacks == 0


async def test_as_csv(till: Till, client: Client) -> None:
    for number in range(3):
        await _forged(till, f"CSV-{number}")
    table = await till.ask(ExportCallbacks(first=2))
    rows = list(csv.DictReader(io.StringIO(table.csv)))
    assert (table.rows, len(rows), rows[0]["status"], rows[0]["is_verified"]) == (2, 2, "invalid", "False")
    rest = await till.ask(ExportCallbacks(after=table.next))
    assert (rest.rows, rest.next) == (1, None)
    speaker = client.speaking_as(caller_of(till.organization_id))
    answer = await client.get("/v1/callback-exports?status=invalid&first=1", headers=speaker)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["X-Next"]
    graphql = {"query": "{ callbackExport(first: 1) { csv rows } }"}
    told = (await client.post("/graphql", json=graphql, headers=speaker)).json()
    assert told["data"]["callbackExport"]["rows"] == 1


async def test_the_view_decodes_and_masks(till: Till) -> None:
    await till.place("VIEW-1")
    thing = a.intent("VIEW-1") | {"receipt_email": "buyer@example.com", "card": "4242 4242 4242 4242", "cvc": "123"}
    callback = await till.tell("payment_intent.succeeded", thing)
    detail = await till.callback(callback.id)
    assert detail.decoded.says["captured"] == 1999
    assert detail.decoded.says["order_number"] == "VIEW-1"
    for secret in ("buyer@example.com", "4242", '"cvc": "123"'):
        assert secret not in detail.body
    (row,) = await till.rows("SELECT body FROM callbacks WHERE id = $1", callback.id)
    assert b"buyer@example.com" in row["body"]
    await till.post(b"{}", "t=1,v1=00")
    unreadable = (await till.callbacks(status="invalid"))[0]
    assert (await till.callback(unreadable.id)).decoded.error


BUYER = (
    "<notification><kind>transaction_settled</kind><subject><transaction><id>x</id><email>buyer@example.com</email>"
    "<credit-card><number>4242424242424242</number><cvv>123</cvv><cardholder-name>Zephyrine Ü</cardholder-name>"
    "<last-4>4242</last-4></credit-card></transaction></subject></notification>"
)


@pytest.mark.parametrize("named", ["bt_payload", "bt%5Fpayload"])
async def test_what_braintree_packs_is_masked_as_well_and_kept_whole(till: Till, client: Client, named: str) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "braintree")
    payload = quote_plus(base64.encodebytes(BUYER.encode()).decode())
    body = f"bt_signature=a%7Cb&note=me%40example.com&{named}={payload}".encode()
    assert (await till.door.post(f"/callbacks/{gateway.id}", content=body)).status_code == 400
    (callback,) = await till.callbacks(gateway=gateway.id)
    speaker = client.speaking_as(caller_of(till.organization_id))
    shown = (await client.get(f"/v1/callbacks/{callback.id}", headers=speaker)).json()["body"]
    query = {"query": f'{{ callback(callbackId: "{callback.id}") {{ body }} }}'}
    graphql = (await client.post("/graphql", json=query, headers=speaker)).json()
    assert graphql["data"]["callback"]["body"] == shown
    form = parse_qs(shown)
    assert (form["bt_signature"], form["note"]) == (["a|b"], ["***"])
    document = base64.b64decode(form["bt_payload"][0]).decode()
    for secret in ("buyer@", "424242", "123", "Zephyrine"):
        assert secret not in document
    assert "<id>x</id><email>***</email>" in document
    assert "<last-4>4242</last-4>" in document
    (row,) = await till.rows("SELECT body FROM callbacks WHERE id = $1", callback.id)
    assert row["body"] == body


async def test_what_is_not_utf_8_is_masked_as_well(till: Till) -> None:
    assert (await till.post(b"\xfc me@example.com 4242424242424242 \xff", "t=1,v1=00")).status_code == 400
    (callback,) = await till.callbacks()
    detail = await till.callback(callback.id)
    assert (detail.body_encoding, base64.b64decode(detail.body)) == ("base64", b"\xfc *** *** \xff")


@pytest.mark.parametrize("payload", ["", "%00", "no+base64!", "A", "ü", quote_plus(base64.b64encode(b"\xff\x00"))])
async def test_whatever_is_in_braintrees_payload_it_can_be_looked_at(till: Till, payload: str) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "braintree")
    body = f"bt_signature=x&bt_payload={payload}".encode()
    assert (await till.door.post(f"/callbacks/{gateway.id}", content=body)).status_code == 400
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (await till.callback(callback.id)).body.startswith("bt_signature=x&bt_payload=")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4242424242424242", "***"),
        ("5555-5555-5555-4444 and a@b.com", "*** and ***"),
        ("id=1&email=a%40b.com", "id=1&email=***"),
        ("evt_1234567890123456789012", "evt_1234567890123456789012"),
        ("1700000000000", "1700000000000"),
        ('{"cardNumber":"4111","x":"1"}', '{"cardNumber":"***","x":"1"}'),
        ('{"cvc": 123, "x": 1}', '{"cvc": "***", "x": 1}'),
        ('{"email":"a\\u0040b.com"}', '{"email":"***"}'),
        (
            '<cvv type="integer">123</cvv><cvv-response>M</cvv-response>',
            '<cvv type="integer">***</cvv><cvv-response>M</cvv-response>',
        ),
    ],
)
def test_masks(text: str, shown: str) -> None:
    assert masked(text) == shown
