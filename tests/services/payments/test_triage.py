"""What people do with callbacks, over the bus and over REST; and what other people may not."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.bus.envelope import Caller, envelope_for
from shared.contracts.orders.events import CustomerErased
from shared.contracts.payments.messages import (
    ChangePaymentGateway,
    CreatePaymentGateway,
    GetCallback,
    GetPaymentGateway,
    GetPaymentRecords,
    ListCallbacks,
    RejectCallback,
    ReplayCallback,
)
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.security import SecretText
from tests.doors import Client, caller_of, eventually
from tests.factories import payments as a
from tests.services.payments.conftest import Till


async def _refused(till: Till, message: Any, caller: Caller | None = None) -> str:
    with pytest.raises(CarriedError) as refused:
        if caller is None:
            await till.ask(message)
        else:
            await till.process.bus.ask(message, envelope_for(caller))
    return refused.value.code


@pytest.mark.feature("PAY-4")
async def test_a_callback_signed_with_a_secret_we_did_not_have_is_replayed_once_we_do(till: Till) -> None:
    await till.place("SEC-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("SEC-1")))
    assert (await till.post(body, a.signature(body, "whsec_new"))).status_code == 400
    (callback,) = await till.callbacks()
    still = await till.ask(ReplayCallback(callback_id=callback.id))
    assert (still.status, [attempt.kind for attempt in still.attempts]) == ("invalid", ["replay"])
    await till.ask(ChangePaymentGateway(gateway_id=till.gateway.id, add_secret=SecretText("whsec_new")))
    done = await till.ask(ReplayCallback(callback_id=callback.id))
    assert (done.status, [attempt.status for attempt in done.attempts]) == ("processed", ["invalid", "processed"])
    # The provider comes again with the very same event: nothing more happens.
    assert (await till.post(body)).status_code in (200, 400)
    await till.work()
    assert len(await till.events("payments.payment_changed")) == 1


@pytest.mark.feature("PAY-4")
async def test_replay_is_judged_at_the_time_of_receipt_and_by_the_secrets_of_then(till: Till) -> None:
    callback = await till.tell("payment_intent.succeeded", a.intent("OLD-1"))
    added = await till.ask(ChangePaymentGateway(gateway_id=till.gateway.id, add_secret=SecretText("whsec_new")))
    await till.ask(ChangePaymentGateway(gateway_id=till.gateway.id, retire_secret=added.secrets[0].id))
    await till.place("OLD-1")
    later = clock.now() + timedelta(days=40)
    with clock.replaced(lambda: later):
        assert (await till.ask(ReplayCallback(callback_id=callback.id))).status == "processed"


@pytest.mark.feature("PAY-4")
async def test_two_replays_at_once_have_one_effect(till: Till) -> None:
    await till.place("RE-1", total=10)
    callback = await till.tell("payment_intent.succeeded", a.intent("RE-1"))
    assert callback.status == "failed"
    uow = till.unit_of_work()
    await uow.execute("UPDATE orders SET total = 1999")
    await uow.commit()
    answers = await asyncio.gather(*(till.ask(ReplayCallback(callback_id=callback.id)) for _ in range(8)))
    assert {answer.status for answer in answers} == {"processed"}
    assert len(await till.events("payments.payment_changed")) == 1
    detail = await till.callback(callback.id)
    assert [(attempt.kind, attempt.status) for attempt in detail.attempts] == [
        ("processing", "failed"),
        ("replay", "processed"),
    ]
    audited = [event["entry"]["action"] for event in await till.events("platform.audit_recorded")]
    assert audited.count("callback.replay") == 1


@pytest.mark.feature("PAY-4")
async def test_a_rejected_callback_stays_and_no_longer_acts(till: Till) -> None:
    callback = await till.tell("payment_intent.succeeded", a.intent("REJ-1"))
    rejected = await till.ask(RejectCallback(callback_id=callback.id, reason="a test of the bank's"))
    assert (rejected.status, rejected.attempts[-1].kind) == ("rejected", "reject")
    await till.place("REJ-1")
    await till.work()
    assert await _refused(till, ReplayCallback(callback_id=callback.id)) == "callback_is_settled"
    assert await _refused(till, RejectCallback(callback_id=callback.id, reason="again")) == "callback_is_settled"
    assert await till.payments() == []
    assert (await till.callback(callback.id)).status == "rejected"


@pytest.mark.feature("PAY-4")
async def test_bodies_that_are_not_text_are_shown_in_base64(till: Till) -> None:
    await till.post(b"\xff\x00", "t=1,v1=00")
    (callback,) = await till.callbacks()
    detail = await till.callback(callback.id)
    assert (base64.b64decode(detail.body), detail.body_encoding) == (b"\xff\x00", "base64")


@pytest.mark.feature("PAY-1")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"provider": "adyen"}, "invalid_gateway_settings"),
        ({"provider": "no-such"}, "unsupported_provider"),
        ({"shop": "no-such"}, "shop_not_found"),
        ({"secrets": [SecretText("  ")]}, "invalid_secret"),
        ({"secrets": [SecretText("x" * 513)]}, "invalid_secret"),
        ({"secrets": [SecretText("a\nb")]}, "invalid_secret"),
        ({"settings": {"webhook_id": "1"}}, "invalid_gateway_settings"),
        ({"allowed_networks": ["300.1.1.1"]}, "invalid_network"),
    ],
)
async def test_gateways_that_make_no_sense_are_refused(till: Till, fields: dict[str, Any], code: str) -> None:
    good = {"shop": "main", "provider": "stripe", "secrets": [SecretText("whsec_x")]}
    assert await _refused(till, CreatePaymentGateway(**good | fields)) == code


@pytest.mark.feature("PAY-1")
async def test_at_most_two_secrets_live_and_never_none(till: Till) -> None:
    only = till.gateway.secrets[0].id
    assert (
        await _refused(till, ChangePaymentGateway(gateway_id=till.gateway.id, retire_secret=only)) == "last_live_secret"
    )
    add = ChangePaymentGateway(gateway_id=till.gateway.id, add_secret=SecretText("whsec_2"))
    await till.ask(add)
    assert await _refused(till, add) == "too_many_live_secrets"
    unknown = ChangePaymentGateway(gateway_id=till.gateway.id, retire_secret=new_id())
    assert await _refused(till, unknown) == "secret_not_found"
    swapped = ChangePaymentGateway(gateway_id=till.gateway.id, retire_secret=only, add_secret=SecretText("whsec_3"))
    assert [secret.retired_at is None for secret in (await till.ask(swapped)).secrets] == [False, True, True]


@pytest.mark.feature("PAY-1")
async def test_secrets_rest_sealed(till: Till) -> None:
    (row,) = await till.rows("SELECT sealed FROM gateway_secrets")
    assert a.SECRET not in row["sealed"]
    (audit,) = await till.events("platform.audit_recorded")
    assert a.SECRET not in str(audit)


@pytest.mark.feature("PAY-1", "PAY-4")
async def test_strangers_and_shop_limits(till: Till) -> None:
    callback = await till.tell("payment_intent.succeeded", a.intent("LIM-1"))
    stranger = caller_of(new_id())
    limited = caller_of(till.organization_id, "payments:write", shop_ids=[new_id()])
    for caller in (stranger, limited):
        for message, code in (
            (GetCallback(callback_id=callback.id), "callback_not_found"),
            (ReplayCallback(callback_id=callback.id), "callback_not_found"),
            (RejectCallback(callback_id=callback.id, reason="x"), "callback_not_found"),
            (GetPaymentGateway(gateway_id=till.gateway.id), "payment_gateway_not_found"),
            (ChangePaymentGateway(gateway_id=till.gateway.id), "payment_gateway_not_found"),
        ):
            assert await _refused(till, message, caller) == code
        page = await till.process.bus.ask(ListCallbacks(), envelope_for(caller))
        assert page.items == []
    reader = caller_of(till.organization_id, "payments:read")
    assert await _refused(till, ReplayCallback(callback_id=callback.id), reader) == "missing_scope"
    assert (await till.callback(callback.id)).attempts[-1].kind == "processing"


@pytest.mark.feature("PAY-1", "PAY-4", "PAY-5")
async def test_the_whole_way_over_http(client: Client, till: Till) -> None:
    speaker = client.speaking_as(caller_of(till.organization_id))
    made = await client.post(
        "/v1/payment-gateways",
        json={"shop": "main", "provider": "stripe", "secrets": ["whsec_http"], "mode": "test", "settings": {}},
        headers=speaker,
    )
    assert made.status_code == 201, made.text
    assert "whsec_http" not in made.text
    gateway = made.json()
    assert made.headers["Location"] == f"/v1/payment-gateways/{gateway['id']}"
    assert gateway["callback_url"].endswith(f"/callbacks/{gateway['id']}")
    placed = await till.place("HTTP-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("HTTP-1", id="pi_http")))
    signed = {"Stripe-Signature": a.signature(body, "whsec_http")}
    assert (await client.post(f"/callbacks/{gateway['id']}", content=body, headers=signed)).status_code == 200

    async def processed() -> Any:
        page = await client.get("/v1/callbacks", params={"gateway": gateway["id"]}, headers=speaker)
        return [item for item in page.json()["items"] if item["status"] == "processed"]

    (callback,) = await eventually(processed)
    assert callback["event"] == "payment_intent.succeeded"
    (payment,) = (await client.get(f"/v1/payments?order_id={placed.order_id}", headers=speaker)).json()["items"]
    assert (payment["state"], payment["captured"]) == ("captured", {"amount": 1999, "currency": "USD"})
    for path in (f"payments/{payment['id']}", f"callbacks/{callback['id']}", f"payment-gateways/{gateway['id']}"):
        found = await client.get(f"/v1/{path}", headers=speaker)
        assert (found.status_code, "whsec_http" in found.text) == (200, False)
        foreign = await client.get(f"/v1/{path}", headers=client.speaking_as(caller_of(new_id())))
        assert foreign.status_code == 404
    replayed = await client.post(f"/v1/callbacks/{callback['id']}/replay", headers=speaker)
    assert (replayed.status_code, replayed.json()["status"]) == (200, "processed")
    rejected = await client.post(f"/v1/callbacks/{callback['id']}/reject", json={"reason": "x"}, headers=speaker)
    assert (rejected.status_code, rejected.json()["code"]) == (409, "callback_is_settled")
    missing = await client.post(f"/v1/callbacks/{callback['id']}/reject", json={}, headers=speaker)
    assert missing.status_code == 422
    disabled = await client.post(f"/v1/payment-gateways/{gateway['id']}/disable", headers=speaker)
    assert disabled.json()["enabled"] is False


@pytest.mark.feature("PAY-4")
async def test_the_doors_of_graphql(client: Client, till: Till) -> None:
    speaker = client.speaking_as(caller_of(till.organization_id))
    await till.place("GQL-1", total=10)
    callback = await till.tell("payment_intent.succeeded", a.intent("GQL-1"))
    asked = await client.post(
        "/graphql",
        json={
            "query": "query($id: UUID!) { callback(callbackId: $id) { status reason attempts { kind } } "
            "callbacks(first: 5, status: FAILED) { edges { node { event } } } }",
            "variables": {"id": str(callback.id)},
        },
        headers=speaker,
    )
    answer = asked.json()
    assert "errors" not in answer, answer
    assert answer["data"]["callback"]["reason"] == "amount_beyond_order"
    assert answer["data"]["callbacks"]["edges"] == [{"node": {"event": "payment_intent.succeeded"}}]


@pytest.mark.feature("PAY-4")
async def test_pages_of_callbacks(till: Till) -> None:
    for number in range(5):
        body = a.as_body(a.stripe_event("customer.created", {"id": f"cus_{number}"}))
        assert (await till.post(body)).status_code == 200
    seen: list[Any] = []
    after = None
    while True:
        page = await till.ask(ListCallbacks(first=2, after=after))
        seen += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert (len(seen), len(set(seen)), seen) == (5, 5, sorted(seen, reverse=True))
    assert await _refused(till, ListCallbacks(after="bm9uc2Vuc2U")) == "invalid_cursor"


@pytest.mark.feature("ORD-6")
async def test_what_callbacks_held_of_a_forgotten_person_is_gone_and_the_money_stays(till: Till) -> None:
    placed, _ = await till.place("GONE-1"), await till.place("KEPT-1")
    told = await till.tell(
        "payment_intent.succeeded", a.intent("GONE-1", id="pi_gone", receipt_email="zephyrine@x.example")
    )
    kept = await till.tell(
        "payment_intent.succeeded", a.intent("KEPT-1", id="pi_kept", receipt_email="grace@x.example")
    )
    records = await till.ask(GetPaymentRecords(order_ids=[placed.order_id]), by_service=True)
    assert [record["external_id"] for record in records.payments] == ["pi_gone"]
    assert "zephyrine" in records.payments[0]["callbacks"][0]["body"]
    before = await till.payments()
    event = CustomerErased(customer_id=new_id(), order_ids=[placed.order_id])
    await till.hear(event)
    await till.hear(event)
    assert (await till.callback(told.id)).body == ""
    (row,) = await till.rows("SELECT body FROM callbacks WHERE id = $1", kept.id)
    assert b"grace" in row["body"]
    assert await till.payments() == before
    assert await _refused(till, GetPaymentRecords(order_ids=[placed.order_id])) == "unknown_message"
