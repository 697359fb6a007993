"""Reconciliation through the providers' APIs when they do not answer, when workers die, and by the clock (PAY-8)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from services.payments.gateways.apis import base
from services.payments.repository import reconciliation_records as records
from services.payments.use_cases import reconciling, settling
from shared import blobs, clock, jobs
from shared.contracts.payments.messages import ChangePaymentGateway
from shared.contracts.payments.reconciliation import (
    CompareSettlementFile,
    GetReconciliation,
    ListReconciliations,
    ReconcileGateway,
)
from shared.security import SecretText
from tests.fakes import providers as p
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-8")


# --- a provider that does not answer as it should


async def _resting(till: Till, begun: Any) -> Any:
    """Where the job rests: how many seconds from now it goes on, and how often it failed."""
    (row,) = await till.rows(
        "SELECT extract(epoch FROM lease_until - now())::int AS seconds, checkpoint->>'failures' AS failures, runs"
        " FROM jobs WHERE id = $1 AND state = 'running'",
        begun.job_id,
    )
    return row


async def test_it_comes_back_when_the_provider_says(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    for number in range(5):
        await till.place(f"SLOW-{number}")
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number}", f"SLOW-{number}", r.ago(number + 1)))
    begun = await r.begin(till, gateway)
    stripe.refusals = [JSONResponse({}, 429, {"Retry-After": "1200"})]
    assert await r.run_job(till, begun.job_id) == "running"
    row = await _resting(till, begun)
    assert (1100 <= row["seconds"] <= 1200, row["failures"], row["runs"]) == (True, "1", 0)
    await r.wake(till, begun.job_id)
    assert await r.run_job(till, begun.job_id) == "succeeded"
    ended = await till.ask(GetReconciliation(reconciliation_id=begun.id))
    assert (ended.read, ended.open) == (5, 5)


@pytest.mark.parametrize(
    "refusal",
    [
        lambda: JSONResponse({}, 503),
        lambda: JSONResponse({}, 429, {"Retry-After": "nonsense"}),
        lambda: PlainTextResponse("<html>gateway</html>"),
        lambda: PlainTextResponse('{"data": [{"id": "pi_0", '),
        lambda: JSONResponse([]),
        lambda: JSONResponse({"object": "list"}),
        lambda: JSONResponse({"data": [], "has_more": True}),
        p.slowly,
    ],
    ids=["503", "429", "html", "cut", "array", "no data", "no end", "slow"],
)
async def test_what_is_no_page_is_asked_for_again_and_nothing_is_half_done(
    till: Till, stripe: p.Stripe, monkeypatch: pytest.MonkeyPatch, refusal: Any
) -> None:
    monkeypatch.setattr(base, "ASK_SECONDS", 1.0 if refusal is p.slowly else 20.0)
    gateway = await r.stripe_gateway(till)
    await till.place("HALF-1")
    stripe.add("payment_intents", p.stripe_intent("pi_1", "HALF-1", r.ago(5)))
    stripe.refusals = [refusal()]
    begun = await r.begin(till, gateway)
    assert await r.run_job(till, begun.job_id) == "running"
    assert (await till.rows("SELECT FROM reconciliation_facts"), await r.differences(till)) == ([], [])
    assert (await _resting(till, begun))["failures"] == "1"
    monkeypatch.setattr(base, "ASK_SECONDS", 20.0)
    await r.wake(till, begun.job_id)
    assert await r.run_job(till, begun.job_id) == "succeeded"
    assert [each.kind for each in await r.differences(till)] == ["paid_there"]


async def test_a_provider_that_stays_silent_is_given_up_with_an_alert(
    till: Till, stripe: p.Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "MOST_FAILURES", 3)
    gateway = await r.stripe_gateway(till)
    begun = await r.begin(till, gateway)
    stripe.refusals = [JSONResponse({}, 500) for _ in range(3)]
    states = []
    for _ in range(3):
        states.append(await r.run_job(till, begun.job_id))
        await r.wake(till, begun.job_id)
    assert states == ["running", "running", "failed"]
    ended = await till.ask(GetReconciliation(reconciliation_id=begun.id))
    assert (ended.state, ended.error["code"]) == ("failed", "provider_kept_silent")
    causes = [each["cause"] for each in await till.events("platform.alert_raised")]
    assert causes == [f"payments.reconciliation.{gateway.id}"]
    # It is over: the next one may begin, and clears the alert.
    assert (await r.reconcile(till, gateway)).state == "succeeded"
    assert causes[0] in [each["cause"] for each in await till.events("platform.alert_cleared")]


async def test_credentials_that_are_refused_end_it_and_are_shown_nowhere(
    till: Till, stripe: p.Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = await r.stripe_gateway(till, key="sk_test_wrong_and_secret")
    ended = await r.reconcile(till, gateway)
    assert (ended.state, ended.error["code"]) == ("failed", "credentials_refused")
    assert "is no key of ours" in ended.error["detail"]
    kept = [
        str(row) for table in ("jobs", "outbox", "audit_entries") for row in await till.rows(f"SELECT * FROM {table}")
    ]
    written = capsys.readouterr()
    assert not [each for each in (*kept, written.out, written.err) if "sk_test_wrong_and_secret" in each]
    rows = await till.rows("SELECT sealed FROM gateway_credentials")
    assert rows
    assert all("sk_test" not in row["sealed"] for row in rows)
    right = SecretText('{"api_key": "sk_test_of_the_tests"}')
    await till.ask(ChangePaymentGateway(gateway_id=gateway.id, credentials=right))
    assert (await r.reconcile(till, gateway)).state == "succeeded"


async def test_test_and_live_are_not_mixed_up(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    await till.place("MODE-1")
    stripe.add("payment_intents", p.stripe_intent("pi_1", "MODE-1", r.ago(5), livemode=True))
    ended = await r.reconcile(till, gateway)
    assert (ended.state, ended.error["code"], await r.differences(till)) == ("failed", "wrong_account", [])


async def test_a_killed_worker_leaves_the_page_it_had_and_the_next_goes_on(
    till: Till, stripe: p.Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await r.stripe_gateway(till)
    for number in range(6):
        await till.place(f"KILL-{number}")
        stripe.add("payment_intents", p.stripe_intent(f"pi_{number}", f"KILL-{number}", r.ago(number + 1)))
    begun = await r.begin(till, gateway)
    api = reconciling.find_lister("stripe")
    real, pages = type(api).read_page, 0

    async def dying(self: Any, *arguments: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise asyncio.CancelledError
        return await real(self, *arguments)

    monkeypatch.setattr(type(api), "read_page", dying)
    assert await r.run_job(till, begun.job_id) == "running"
    assert len(await till.rows("SELECT FROM reconciliation_facts")) == 4
    await r.wake(till, begun.job_id)
    assert await r.run_job(till, begun.job_id) == "succeeded"
    asked = [path for path in stripe.asked if path.startswith("/v1/payment_intents?")]
    assert (len(asked), len(set(asked))) == (3, 3)
    assert len(await r.differences(till)) == 6


async def test_a_file_is_read_in_steps_that_survive_their_worker(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"captured,P{number},19.99,USD,,LINE-{number},\n" for number in range(7))
    content = f"kind,payment,amount,currency,id,order_number,occurred_at\n{lines}".encode()
    key = f"settlements/{till.gateway.id}/by-hand"
    await blobs.put(till.organization_id, key, content)
    monkeypatch.setattr(settling, "_LINES_AT_ONCE", 3)
    begun = await till.ask(CompareSettlementFile(gateway_id=till.gateway.id, layout="plain", key=key))
    real, calls = records.keep_facts, 0

    async def dying(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise asyncio.CancelledError
        await real(*arguments)

    monkeypatch.setattr(records, "keep_facts", dying)
    assert await r.run_job(till, begun.job_id) == "running"
    assert len(await till.rows("SELECT FROM reconciliation_facts")) == 6
    await r.wake(till, begun.job_id)
    assert await r.run_job(till, begun.job_id) == "succeeded"
    ended = await till.ask(GetReconciliation(reconciliation_id=begun.id))
    assert (ended.read, ended.differences) == (7, {"paid_without_order": 7})
    with pytest.raises(blobs.BlobNotFound):
        await blobs.get(till.organization_id, key)


async def test_one_that_is_cancelled_leaves_nothing(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    begun = await r.begin(till, gateway)
    second = ReconcileGateway(gateway_id=gateway.id, since=r.ago(60), until=r.ago(1))
    assert await r.refused(till, second) == "reconciliation_running"
    uow = till.unit_of_work()
    await jobs.request_cancel(uow, begun.job_id)
    await uow.commit()
    assert (await till.ask(GetReconciliation(reconciliation_id=begun.id))).state == "cancelled"
    assert (await r.reconcile(till, gateway)).state == "succeeded"


# --- by the clock


async def test_every_night_each_gateway_with_credentials_is_compared_once(till: Till, stripe: p.Stripe) -> None:
    gateway = await r.stripe_gateway(till)
    for _ in range(3):
        await r.perform_clock(till, "leave_reconciliations")
    page = await till.ask(ListReconciliations())
    # Not the one without credentials.
    assert [(each.gateway_id, each.scheduled, each.asked_by) for each in page.items] == [(gateway.id, True, "clock")]
    (begun,) = page.items
    assert (begun.until, begun.until - begun.since) == (reconciling.last_night(clock.now()), timedelta(days=7))
    assert await r.run_job(till, begun.job_id) == "succeeded"
    await r.perform_clock(till, "leave_reconciliations")
    assert len((await till.ask(ListReconciliations())).items) == 1
    tomorrow = clock.now() + timedelta(days=1)
    with clock.replaced(lambda: tomorrow):
        await r.perform_clock(till, "leave_reconciliations")
    assert len((await till.ask(ListReconciliations(gateway=gateway.id))).items) == 2
