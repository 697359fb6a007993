"""What `/metrics` tells of callbacks, by payment gateway (behaviour 25 of payment callbacks)."""

import re
from datetime import timedelta

import pytest

from services.payments import flood
from shared import clock
from tests.doors import Client, eventually
from tests.factories import payments as a
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-2", "PAY-6", "GAT-5")


async def _measured(client: Client, till: Till) -> dict[str, float]:
    """The lines about this test's gateway: name and further label, and the value."""
    text = (await client.get("/metrics")).text
    label = rf'gateway="{till.gateway.id}"'
    found = re.findall(rf'^crossdock_(callback\w+){{{label}(?:,\w+="(\w+)")?}} (\S+)$', text, re.MULTILINE)
    return {f"{name} {further}".strip(): float(value) for name, further, value in found}


async def test_by_gateway(client: Client, till: Till) -> None:
    """Received by verdict, repeated, settled by status with their lag, and what is open with its age."""
    await till.place("MEASURE-1")
    good = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("MEASURE-1")))
    beyond = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("MEASURE-1", amount=5000, id="pi_2")))
    early = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("MEASURE-2", id="pi_3")))

    async def post(body: bytes, secret: str = a.SECRET) -> int:
        headers = {"Stripe-Signature": a.signature(body, secret)}
        return (await client.post(f"/callbacks/{till.gateway.id}", content=body, headers=headers)).status_code

    long_ago = clock.now() - timedelta(seconds=90)
    with clock.replaced(lambda: long_ago):
        assert await post(beyond) == 200
    assert [await post(body) for body in (good, good, early)] == [200, 200, 200]
    assert await post(good, "whsec_guess") == 400

    async def all_told() -> dict[str, float]:
        told = await _measured(client, till)
        assert told.get("callbacks_open failed") == 1
        assert told.get("callbacks_open waiting") == 1
        assert "callbacks_open received" not in told
        return told

    told = await eventually(all_told)
    assert told["callbacks_received_total genuine"] == 4
    assert told["callbacks_received_total forged"] == 1
    assert told["callbacks_repeated_total"] == 1
    assert told["callbacks_settled_total processed"] == 1
    assert told["callbacks_settled_total failed"] == 1
    assert told["callbacks_settled_total waiting"] == 1
    assert told["callback_lag_seconds_count"] == 2
    assert told["callback_lag_seconds_sum"] >= 90
    assert told["callback_oldest_seconds failed"] >= 90
    assert 0 <= told["callback_oldest_seconds waiting"] < 90


async def test_what_is_turned_away_is_counted(client: Client, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "KEPT_PER_MINUTE", 0)
    monkeypatch.setattr(flood, "ANSWERED_PER_MINUTE", 1)
    body = a.as_body(a.stripe_event("customer.created", {"id": "cus_1"}))
    headers = {"Stripe-Signature": a.signature(body, "whsec_guess")}
    codes = [
        (await client.post(f"/callbacks/{till.gateway.id}", content=body, headers=headers)).status_code
        for _ in range(3)
    ]
    told = await _measured(client, till)
    assert codes == [400, 429, 429]
    assert told["callbacks_turned_away_total too_many_unverified"] == 2
    assert told["callbacks_received_total forged"] == 1
