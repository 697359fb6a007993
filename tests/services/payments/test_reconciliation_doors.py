"""Reconciliation over REST and GraphQL, and what is refused there (PAY-8)."""

from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.contracts.payments.reconciliation import (
    ReconcileGateway,
)
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories import gateways as g
from tests.fakes import providers as p
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-8")


# --- through the doors


async def test_over_rest_and_graphql(till: Till, stripe: p.Stripe, client: Client) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("DOOR-1")
    await till.place("DOOR-2")
    for number in (1, 2):
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number}", f"DOOR-{number}", r.ago(5)))
    speaker = client.speaking_as(caller_of(till.organization_id, "payments:read", "payments:write"))
    period = {"since": r.ago(60).isoformat(), "until": r.ago(0).isoformat()}
    answer = await client.post(f"/v1/payment-gateways/{gateway.id}/reconcile", json=period, headers=speaker)
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{begun['job_id']}"

    async def over() -> dict[str, Any]:
        told = (await client.get(f"/v1/reconciliations/{begun['id']}", headers=speaker)).json()
        return told if told["state"] == "succeeded" else {}

    ended = await eventually(over)
    assert (ended["differences"], ended["open"]) == ({"paid_there": 2}, 2)

    async def is_measured() -> bool:
        line = f'crossdock_payment_differences{{gateway="{gateway.id}",kind="paid_there"}} 2.0'
        return line in (await client.get("/metrics")).text

    await eventually(is_measured)
    listed = await client.get(f"/v1/payment-differences?reconciliation={begun['id']}&state=open", headers=speaker)
    first, second = listed.json()["items"]
    url = f"/v1/payment-differences/{first['id']}"
    dry = (await client.post(f"{url}/repair", json={"dry_run": True}, headers=speaker)).json()
    assert (dry["status"], dry["payment"]["state"]) == ("processed", "captured")
    assert (await client.get(url, headers=speaker)).json()["state"] == "open"
    done = (await client.post(f"{url}/repair", json={}, headers=speaker)).json()
    assert done["difference"]["state"] == "repaired"
    again = await client.post(f"{url}/repair", json={}, headers=speaker)
    assert (again.status_code, again.json()["code"]) == (409, "difference_is_settled")
    query = """mutation($id: UUID!) { repairReconciliation(reconciliationId: $id, dryRun: true) {
        ... on RepairBegun { differences kinds } ... on Problem { code } } }"""
    told = await client.post("/graphql", json={"query": query, "variables": {"id": begun["id"]}}, headers=speaker)
    assert told.json()["data"]["repairReconciliation"]["differences"] == 1, told.text
    reader = client.speaking_as(caller_of(till.organization_id, "payments:read"))
    refused = await client.post(f"/v1/payment-differences/{second['id']}/repair", json={}, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    stranger = client.speaking_as(caller_of(new_id()))
    for method, path in (("GET", url), ("POST", f"{url}/repair"), ("GET", f"/v1/reconciliations/{begun['id']}")):
        foreign = await client.request(method, path, json={} if method == "POST" else None, headers=stranger)
        assert (foreign.status_code, foreign.json()["code"][-10:]) == (404, "_not_found")
    limited = client.speaking_as(caller_of(till.organization_id, "payments:read", shop_ids=[new_id()]))
    assert (await client.get("/v1/reconciliations", headers=limited)).json()["items"] == []
    assert (await client.get("/v1/payment-differences", headers=limited)).json()["items"] == []


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        (timedelta(days=2), timedelta(days=3), "invalid_period"),
        (timedelta(days=2), timedelta(days=2), "invalid_period"),
        (timedelta(days=100), timedelta(0), "invalid_period"),
        (timedelta(days=2), timedelta(days=-1), "period_in_future"),
        (timedelta(days=-2), timedelta(days=-3), "period_in_future"),
    ],
)
async def test_periods_that_are_none(till: Till, since: timedelta, until: timedelta, code: str) -> None:
    now = clock.now()
    message = ReconcileGateway(gateway_id=till.gateway.id, since=now - since, until=now - until)
    assert await r.refused(till, message) == code


async def test_gateways_that_cannot_be_asked(till: Till, client: Client) -> None:
    speaker = client.speaking_as(caller_of(till.organization_id))
    period = {"since": r.ago(60).isoformat(), "until": r.ago(1).isoformat()}

    async def code(gateway_id: Any, **body: Any) -> str:
        answer = await client.post(f"/v1/payment-gateways/{gateway_id}/reconcile", json=period | body, headers=speaker)
        return str(answer.json()["code"])

    plain = await g.open_gateway(till.process, till.organization_id, "generic-hmac")
    assert await code(till.gateway.id) == "no_api_credentials"
    assert await code(plain.id) == "reconciliation_not_offered"
    assert await code(new_id()) == "payment_gateway_not_found"
    assert await code(till.gateway.id, since="2026-11-01T00:00:00") == "invalid_period"
    assert await code(till.gateway.id, since="yesterday") == "validation_failed"
