"""Settlement files (PAY-8): the providers' own layouts and a plain one, compared in the same report."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.payments.use_cases import settling
from shared import blobs, clock
from shared.contracts.payments.reconciliation import GetReconciliation, RepairReconciliation
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-8")

# What the providers' documentation shows, with payments of ours.
_FOLDER = Path(__file__).parent / "settlements"
STRIPE, ADYEN, PAYPAL, PLAIN = (
    (_FOLDER / f"{name}.csv").read_text("utf-8") for name in ("stripe", "adyen", "paypal", "plain")
)


async def upload(client: Client, till: Till, gateway_id: Any, layout: str, content: str | bytes, **query: str) -> Any:
    speaker = client.speaking_as(caller_of(till.organization_id, "payments:read", "payments:write"))
    parameters = {"gateway": str(gateway_id), "layout": layout} | query
    body = content.encode() if isinstance(content, str) else content
    return await client.post("/v1/settlement-files", params=parameters, content=body, headers=speaker)


async def compared(client: Client, till: Till, gateway_id: Any, layout: str, content: str, **query: str) -> Any:
    """The reconciliation by a file, at its end."""
    answer = await upload(client, till, gateway_id, layout, content, **query)
    assert answer.status_code == 202, answer.text
    return await is_compared(till, answer.json())


async def is_compared(till: Till, begun: Any) -> Any:
    async def is_over() -> Any:
        ended = await till.ask(GetReconciliation(reconciliation_id=UUID(begun["id"])))
        return ended if ended.state in ("succeeded", "failed") else None

    return await eventually(is_over, timeout_seconds=60)


@pytest.mark.parametrize(
    ("layout", "content", "expected", "states"),
    [
        (
            "stripe",
            STRIPE,
            [
                ("paid_there", "payment pi_1", 1999, 0),
                ("paid_there", "payment pi_2", 1499, 0),
                ("unreadable", "payment pi_9", 0, 0),
                ("refund_missing", "refund re_1", 500, 0),
            ],
            {("partly_refunded", 1999), ("captured", 1499)},
        ),
        (
            "adyen",
            ADYEN,
            [
                ("paid_there", "capture MOD1", 1999, 0),
                ("paid_there", "capture MOD3", 1999, 0),
                ("dispute_missing", "dispute MOD4", 1999, 0),
                ("refund_missing", "refund MOD2", 500, 0),
            ],
            {("partly_refunded", 1999), ("disputed", 1999)},
        ),
        (
            "paypal",
            PAYPAL,
            [
                ("paid_there", "capture CAP1", 1999, 0),
                ("paid_there", "capture CAP2", 1999, 0),
                ("refund_missing", "refund REF1", 500, 0),
            ],
            {("partly_refunded", 1999), ("captured", 1999)},
        ),
        (
            "plain",
            PLAIN,
            [
                ("dispute_missing", "dispute D2", 1999, 0),
                ("paid_there", "payment P1", 1999, 0),
                ("paid_there", "payment P2", 1999, 0),
                ("unreadable", "payment P3", 0, 0),
                ("refund_missing", "refund R1", 500, 0),
            ],
            {("partly_refunded", 1999), ("disputed", 1999)},
        ),
    ],
)
async def test_each_layout_is_compared_and_repaired_once(
    till: Till, client: Client, layout: str, content: str, expected: Any, states: Any
) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "generic-hmac" if layout == "plain" else layout)
    for number in (1, 2):
        await till.place(f"SET-{number}")
    ended = await compared(client, till, gateway.id, layout, content, file_name="november.csv")
    assert (ended.state, ended.source, ended.layout, ended.file_name) == ("succeeded", "file", layout, "november.csv")
    assert r.told(await r.differences(till, reconciliation=ended.id)) == expected
    begun = await till.ask(RepairReconciliation(reconciliation_id=ended.id))

    async def is_repaired() -> bool:
        (row,) = await till.rows("SELECT state FROM jobs WHERE id = $1", begun.job.id)
        return bool(row["state"] == "succeeded")

    await eventually(is_repaired, timeout_seconds=60)
    assert {(each.state, each.captured.amount) for each in await till.payments()} == states
    again = await compared(client, till, gateway.id, layout, content)
    assert {each.kind for each in await r.differences(till, reconciliation=again.id)} <= {"unreadable"}
    # The file may say who paid: it does not stay.
    assert await files_of(till) == []


async def files_of(till: Till) -> list[str]:
    """The keys of the merchant's settlement files."""
    found: list[str] = []

    async def look(organization_id: UUID, keys: Sequence[str]) -> Sequence[str]:
        found.extend(keys if organization_id == till.organization_id else ())
        return keys

    await blobs.sweep("settlements", timedelta(seconds=-5), look)
    return found


async def test_the_same_file_refused_in_another_request_leaves_the_accepted_one_to_its_job(
    till: Till, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job comes to it only after the second request, which names a layout that the file is not of."""
    gateway = await g.open_gateway(till.process, till.organization_id, "stripe")
    read, refused = settling.read_file, asyncio.Event()

    async def late(*arguments: Any) -> None:
        await refused.wait()
        await read(*arguments)

    monkeypatch.setattr(settling, "read_file", late)
    accepted = await upload(client, till, gateway.id, "stripe", STRIPE)
    assert accepted.status_code == 202, accepted.text
    other = await upload(client, till, gateway.id, "paypal", STRIPE)
    assert (other.status_code, other.json()["code"]) == (422, "invalid_settlement_file")
    assert len(await files_of(till)) == 1
    refused.set()
    ended = await is_compared(till, accepted.json())
    assert ended.state == "succeeded"
    assert await files_of(till) == []


async def test_a_repeated_request_is_the_same_comparison(till: Till, client: Client) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "stripe")
    speaker = client.speaking_as(caller_of(till.organization_id, "payments:write")) | {"Idempotency-Key": "november"}
    sent = {"params": {"gateway": str(gateway.id), "layout": "stripe"}, "content": STRIPE.encode(), "headers": speaker}
    answers = [await client.post("/v1/settlement-files", **sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[-1].text
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_a_file_of_a_whole_period_tells_what_it_does_not_have(till: Till, client: Client) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, "stripe")
    for number in (1, 2):
        await till.place(f"WHOLE-{number}")
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent(f"WHOLE-{number}", id=f"pi_{number}")))
        assert (await till.post(body, to=gateway.id)).status_code == 200
    await till.work()

    async def are_paid() -> bool:
        return len(await till.payments()) == 2

    await eventually(are_paid)
    lines = "kind,payment,amount,currency,order_number\ncaptured,pi_1,19.99,USD,WHOLE-1\n"
    without = await compared(client, till, gateway.id, "plain", lines)
    assert (without.open, without.since) == (0, None)
    period = {"since": r.ago(60).isoformat(), "until": clock.now().isoformat()}
    whole = await compared(client, till, gateway.id, "plain", lines, **period)
    found = await r.differences(till, reconciliation=whole.id)
    assert [(each.kind, each.payment, each.repairable) for each in found] == [("paid_here", "pi_2", False)]


@pytest.mark.parametrize(
    ("layout", "content", "code"),
    [
        ("stripe", PLAIN, "invalid_settlement_file"),
        ("paypal", STRIPE, "invalid_settlement_file"),
        ("adyen", b"\xff\xfe\x00", "invalid_settlement_file"),
        ("plain", b"", "empty_upload"),
        ("plain", b"\n\n  \n", "invalid_settlement_file"),
        ("plain", b'kind,payment,amount,currency\n"captured', None),
        ("plain", b"kind,payment,amount,currency\ncaptured,P\x001,1.00,USD\n", None),
        ("swift", PLAIN, "validation_failed"),
    ],
)
async def test_files_that_are_none(till: Till, client: Client, layout: str, content: Any, code: str | None) -> None:
    answer = await upload(client, till, till.gateway.id, layout, content)
    if code is not None:
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        return
    # What is wrong below the headings is found by the job, and nothing of the file is kept.
    assert answer.status_code == 202, answer.text
    reconciliation_id = UUID(answer.json()["id"])

    async def has_failed() -> Any:
        ended = await till.ask(GetReconciliation(reconciliation_id=reconciliation_id))
        return ended if ended.state == "failed" else None

    ended = await eventually(has_failed, timeout_seconds=60)
    assert ended.error["code"] == "invalid_settlement_file"
    assert await till.rows("SELECT FROM reconciliation_facts") == []
    assert await r.differences(till) == []


async def test_files_that_are_somebody_elses(till: Till, client: Client) -> None:
    assert (await upload(client, till, new_id(), "plain", PLAIN)).json()["code"] == "payment_gateway_not_found"
    adyen = await g.open_gateway(till.process, till.organization_id, "adyen")
    foreign = await compared(client, till, adyen.id, "adyen", ADYEN.replace("TestMerchant", "OtherMerchant"))
    assert (foreign.state, foreign.error["code"]) == ("failed", "invalid_settlement_file")
    half = {"since": (clock.now() - timedelta(days=1)).isoformat()}
    assert (await upload(client, till, adyen.id, "adyen", ADYEN, **half)).json()["code"] == "invalid_period"
    reader = client.speaking_as(caller_of(till.organization_id, "payments:read"))
    parameters = {"gateway": str(adyen.id), "layout": "adyen"}
    answer = await client.post("/v1/settlement-files", params=parameters, content=ADYEN.encode(), headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
