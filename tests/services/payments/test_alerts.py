"""Callbacks that need a person, through the whole application: one alert for all that fail alike; no secret told."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import structlog

from deploy.callback_samples import Sample
from services.payments import arrivals
from services.payments.gateways.base import GENUINE
from services.payments.use_cases import processing
from shared import logging
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments.conftest import Till


@pytest.mark.feature("PAY-6", "PAY-7")
async def test_many_that_fail_alike_are_one_alert_until_the_last_has_recovered(client: Client, till: Till) -> None:
    speaker = client.speaking_as(caller_of(till.organization_id))
    for number in range(3):
        await till.place(f"ALERT-{number}", total=10)
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent(f"ALERT-{number}", id=f"pi_{number}")))
        headers = {"Stripe-Signature": a.signature(body)}
        assert (await client.post(f"/callbacks/{till.gateway.id}", content=body, headers=headers)).status_code == 200

    async def listed(path: str, **params: str) -> list[Any]:
        items: list[Any] = (await client.get(path, params=params, headers=speaker)).json()["items"]
        return items

    async def raised() -> Any:
        found = await listed("/v1/alerts", state="open")
        assert [alert["count"] for alert in found] == [3]
        return found[0]

    alert = await eventually(raised)
    assert (alert["severity"], alert["shop_id"], alert["service"]) == ("error", str(till.shop_id), "payments")
    assert alert["data"]["reason"] == "amount_beyond_order"
    assert alert["detail"] == "19.99 USD was paid for an order of 0.10 USD."
    failed = await listed("/v1/callbacks", status="failed")
    uow = till.unit_of_work()
    await uow.execute("UPDATE orders SET total = 1999")
    await uow.commit()
    for callback in failed:
        assert [each["id"] for each in await listed("/v1/alerts", state="open")] == [alert["id"]]
        replayed = await client.post(f"/v1/callbacks/{callback['id']}/replay", headers=speaker)
        assert replayed.json()["status"] == "processed"

    async def over() -> bool:
        return await listed("/v1/alerts", state="open") == []

    assert await eventually(over)


@pytest.fixture
def logs() -> Iterator[None]:
    """Log as a served process does."""
    structlog.configure(
        processors=[*logging._SHARED, logging._as_json], logger_factory=logging._Lines, cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()


@pytest.mark.feature("PAY-1", "ACC-2")
async def test_no_secret_is_in_any_log(
    client: Client, till: Till, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, logs: None
) -> None:
    speaker = client.speaking_as(caller_of(till.organization_id))
    secret, key = f"whsec_{new_id().hex}", f"sk_test_{new_id().hex}"
    draft = {"shop": "main", "provider": "stripe", "secrets": [secret], "credentials": json.dumps({"api_key": key})}
    made = await client.post("/v1/payment-gateways", json=draft, headers=speaker)
    assert made.status_code == 201, made.text
    bad = await client.post("/v1/payment-gateways", json=draft | {"provider": "no-such"}, headers=speaker)
    assert bad.status_code == 422
    path = f"/callbacks/{made.json()['id']}"
    said = ""

    async def post(signed: str, payment: str = "pi_1") -> int:
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("LOG-1", id=payment)))
        headers = {"Stripe-Signature": a.signature(body, signed)}
        return (await client.post(path, content=body, headers=headers)).status_code

    async def is_logged(*words: str) -> bool:
        nonlocal said
        said += "".join(capfd.readouterr())
        return any(all(word in line for word in words) for line in said.splitlines())

    assert [await post(secret), await post("whsec_guess")] == [200, 400]
    # What goes wrong, with the gateway's secrets at hand: at the adapter, at the database, at the worker.
    for where, name, error, code in (
        (type(g.adapter_of("stripe")), "verify", RuntimeError("a defect"), 500),
        (arrivals.Arrivals, "_write", OSError("away"), 503),
        (processing, "process", RuntimeError("no effect"), 200),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, Mock(side_effect=error))
            assert await post(secret, name) == code
            await eventually(partial(is_logged, str(error)))
    shown = (await client.get(f"/v1/payment-gateways/{made.json()['id']}", headers=speaker)).text
    await is_logged()
    for text in (made.text, bad.text, shown, said):
        assert secret not in text
        assert key not in text


TIMES = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
ODD = {
    "paypal": [(b'"href": "https://', b'"href": "https://[')],
    "square": [(b'"created_at": "', b'"created_at": "%s", "x": "' % at.encode()) for at in TIMES],
    "standard-webhooks": [(b'"timestamp": "', b'"timestamp": "%s", "x": "' % at.encode()) for at in TIMES],
}


@pytest.mark.feature("PAY-3", "PAY-6")
@pytest.mark.parametrize(
    ("provider", "old", "new"), [(name, *each) for name, changes in ODD.items() for each in changes]
)
async def test_what_is_no_address_and_no_time_can_be_looked_at_and_holds_up_nobody(
    till: Till, client: Client, provider: str, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, provider)
    told = g.sender(gateway, "ODD-1").say("refunded")
    assert old in told.body
    odd = Sample(told.body.replace(old, new), told.headers)
    # Forged it is kept and looked at; genuine it is a person's.
    assert (await client.post(f"/callbacks/{gateway.id}", content=odd.body, headers=odd.headers)).status_code == 400
    monkeypatch.setattr(type(g.adapter_of(provider)), "verify", lambda *_: GENUINE)
    assert (await client.post(f"/callbacks/{gateway.id}", content=odd.body, headers=odd.headers)).status_code == 200
    speaker = client.speaking_as(caller_of(till.organization_id))

    async def both() -> Any:
        found = (await client.get("/v1/callbacks", params={"gateway": str(gateway.id)}, headers=speaker)).json()[
            "items"
        ]
        assert {callback["status"] for callback in found} <= {"invalid", "failed", "waiting"}
        assert len(found) == 2
        return found

    for callback in await eventually(both):
        assert (await client.get(f"/v1/callbacks/{callback['id']}", headers=speaker)).status_code == 200
