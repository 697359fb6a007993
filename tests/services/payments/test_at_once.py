"""The same thing done by several at the same moment, through the whole application over HTTP: one effect."""

import asyncio
from typing import Any

import httpx
import pytest

from services.payments.models import Callback
from services.payments.use_cases import triage
from shared.unit_of_work import UnitOfWork
from tests.doors import Client, caller_of, eventually
from tests.factories import payments as a
from tests.services.payments.conftest import Till


async def _listed(client: Client, path: str, headers: dict[str, str], **params: str) -> list[Any]:
    answer = await client.get(path, params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


async def _post(client: Client, till: Till, body: bytes, secret: str = a.SECRET) -> httpx.Response:
    headers = {"Stripe-Signature": a.signature(body, secret)}
    return await client.post(f"/callbacks/{till.gateway.id}", content=body, headers=headers)


async def _forged(client: Client, till: Till, number: str) -> tuple[str, dict[str, str]]:
    """A callback signed with a secret that the gateway has not. Returns its path, and an operator's headers."""
    speaker = client.speaking_as(caller_of(till.organization_id))
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent(number)))
    assert (await _post(client, till, body, "whsec_new")).status_code == 400
    (callback,) = await _listed(client, "/v1/callbacks", speaker, status="invalid")
    return f"/v1/callbacks/{callback['id']}", speaker


async def _audited(till: Till, action: str) -> int:
    entries = [event["entry"] for event in await till.events("platform.audit_recorded")]
    return sum(entry["action"] == action for entry in entries)


@pytest.mark.feature("PAY-4", "PAY-5")
async def test_the_same_callback_fifty_times_at_once(client: Client, till: Till) -> None:
    placed = await till.place("AT-ONCE-1")
    speaker = client.speaking_as(caller_of(till.organization_id))
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("AT-ONCE-1")))
    answers = await asyncio.gather(*(_post(client, till, body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}

    async def processed() -> list[Any]:
        return await _listed(client, "/v1/callbacks", speaker, status="processed")

    (callback,) = await eventually(processed)
    assert (callback["deliveries"], len(callback["attempts"])) == (50, 1)
    assert len(await _listed(client, "/v1/callbacks", speaker)) == 1
    (payment,) = await _listed(client, "/v1/payments", speaker, order_id=str(placed.order_id))
    assert (payment["captured"]["amount"], payment["version"]) == (1999, 1)
    assert len(await till.events("payments.payment_changed")) == 1


@pytest.mark.feature("PAY-6")
async def test_two_operators_replay_the_same_record_at_once(client: Client, till: Till) -> None:
    placed = await till.place("AT-ONCE-2")
    path, speaker = await _forged(client, till, "AT-ONCE-2")
    changed = await client.patch(
        f"/v1/payment-gateways/{till.gateway.id}", json={"add_secret": "whsec_new"}, headers=speaker
    )
    assert changed.status_code == 200, changed.text
    operators = [speaker, client.speaking_as(caller_of(till.organization_id))]
    asked = [client.post(f"{path}/replay", headers=operator) for operator in operators * 4]
    answers = await asyncio.gather(*asked)
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "processed")}
    attempts = (await client.get(path, headers=speaker)).json()["attempts"]
    assert [(attempt["kind"], attempt["status"]) for attempt in attempts] == [("replay", "processed")]
    (payment,) = await _listed(client, "/v1/payments", speaker, order_id=str(placed.order_id))
    assert (payment["captured"]["amount"], payment["version"]) == (1999, 1)
    assert (len(await till.events("payments.payment_changed")), await _audited(till, "callback.replay")) == (1, 1)


@pytest.mark.feature("PAY-6")
async def test_one_accepts_what_another_rejects_at_the_same_moment(client: Client, till: Till) -> None:
    await till.place("AT-ONCE-3")
    path, speaker = await _forged(client, till, "AT-ONCE-3")
    answers = await asyncio.gather(
        *(client.post(f"{path}/{verb}", json={"reason": verb}, headers=speaker) for verb in ("accept", "reject") * 3)
    )
    detail = (await client.get(path, headers=speaker)).json()
    assert len(detail["attempts"]) == 1
    told = {(answer.status_code, answer.json().get("status", answer.json().get("code"))) for answer in answers}
    if detail["status"] == "rejected":
        refusals = sum(answer.json().get("code") == "callback_is_settled" for answer in answers)
        assert (refusals, await _listed(client, "/v1/payments", speaker)) == (5, [])
    else:
        assert (200, "processed") in told
        assert len(await _listed(client, "/v1/payments", speaker)) == 1
    assert await _audited(till, "callback.accept") + await _audited(till, "callback.reject") == 1


@pytest.mark.feature("PAY-6")
@pytest.mark.parametrize("action", ["accept", "replay"])
async def test_two_bulk_actions_on_the_same_orders_in_opposite_order_do_not_stop_each_other(
    client: Client, till: Till, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Each has done its first callback, whose order the other comes to next, or waits until the other is done."""
    speaker = client.speaking_as(caller_of(till.organization_id))
    gateways = [till.gateway, await a.open_gateway(till.process, till.organization_id)]
    numbers = ["AT-ONCE-4", "AT-ONCE-5"]
    for number in numbers:
        await till.place(number)
    for gateway, order in zip(gateways, (numbers, numbers[::-1]), strict=True):
        for number in order:
            event = a.stripe_event("payment_intent.succeeded", a.intent(number, id=f"pi_{number}_{gateway.id}"))
            body = a.as_body(event)
            headers = {"Stripe-Signature": a.signature(body, "whsec_new")}
            answer = await client.post(f"/callbacks/{gateway.id}", content=body, headers=headers)
            assert answer.status_code == 400
        secret = {"add_secret": "whsec_new"}
        changed = await client.patch(f"/v1/payment-gateways/{gateway.id}", json=secret, headers=speaker)
        assert changed.status_code == 200, changed.text
    name, begun = f"{action}_locked", set[str]()
    act = getattr(triage, name)

    async def slowly(uow: UnitOfWork, callback: Callback, *arguments: Any) -> None:
        await act(uow, callback, *arguments)
        begun.add(str(callback.gateway_id))

        async def both_are_in_it() -> bool:
            return len(begun) == 2 or bool(await till.rows(_WAITING))

        await eventually(both_are_in_it)

    monkeypatch.setattr(triage, name, slowly)
    answers = await asyncio.gather(
        *(
            client.post(
                "/v1/callbacks/triage",
                json={"action": action, "filter": {"gateway": str(gateway.id)}, "reason": "seen there"},
                headers=speaker,
            )
            for gateway in gateways
        )
    )
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]

    async def over() -> list[Any]:
        paths = [f"/v1/jobs/{answer.json()['job']['id']}" for answer in answers]
        jobs = [(await client.get(path, headers=speaker)).json() for path in paths]
        return jobs if all(job["finished_at"] for job in jobs) else []

    jobs = await eventually(over)
    assert [(job["state"], job["counters"]) for job in jobs] == [("succeeded", {"processed": 2})] * 2
    assert len(await _listed(client, "/v1/payments", speaker)) == 4


@pytest.mark.feature("PAY-6")
@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "customer.created"])
async def test_a_bulk_replay_and_redeliveries_of_its_events_do_not_stop_each_other(
    client: Client, till: Till, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The events come again, well signed, as other records; of one kind that says something and one that does not."""
    speaker = client.speaking_as(caller_of(till.organization_id))
    bodies = []
    for place, number in enumerate(("AT-ONCE-6", "AT-ONCE-7")):
        await till.place(number)
        # Claimed by event id where they are claimed together, and so against the order in which they came.
        event = a.stripe_event(kind, a.intent(number, id=f"pi_{number}"), id=f"evt_{9 - place}")
        bodies.append(a.as_body(event))
        assert (await _post(client, till, bodies[-1], "whsec_new")).status_code == 400
    secret = {"add_secret": "whsec_new"}
    changed = await client.patch(f"/v1/payment-gateways/{till.gateway.id}", json=secret, headers=speaker)
    assert changed.status_code == 200, changed.text
    replay, gate = triage.replay_locked, asyncio.Event()

    async def slowly(*arguments: Any) -> None:
        await replay(*arguments)
        gate.set()

        async def others_wait() -> bool:
            return bool(await till.rows(_WAITING_FOR_ANYTHING))

        await eventually(others_wait)

    monkeypatch.setattr(triage, "replay_locked", slowly)
    begun = await client.post(
        "/v1/callbacks/triage",
        json={"action": "replay", "filter": {"status": "invalid"}, "reason": "seen there"},
        headers=speaker,
    )
    assert begun.status_code == 202, begun.text
    await gate.wait()
    # In one transaction, as a worker that finds both due.
    for body in bodies:
        assert (await till.post(body)).status_code == 200
    await till.work()

    async def over() -> Any:
        job = (await client.get(f"/v1/jobs/{begun.json()['job']['id']}", headers=speaker)).json()
        return job if job["finished_at"] else None

    job = await eventually(over)
    outcome = "processed" if kind == "payment_intent.succeeded" else "ignored"
    assert (job["state"], job["counters"]) == ("succeeded", {outcome: 2})

    async def redelivered() -> list[Any]:
        found = await _listed(client, "/v1/callbacks", speaker, reason="duplicate")
        return found if len(found) == 2 else []

    for callback in await eventually(redelivered):
        assert [(attempt["kind"], attempt["status"]) for attempt in callback["attempts"]] == [("processing", "ignored")]


_WAITING_FOR_ANYTHING = (
    "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"
)
_WAITING = (
    "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
