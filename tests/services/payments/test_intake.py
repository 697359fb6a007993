"""The callbacks' own entry, over HTTP: what is taken, what is refused, and that what was taken is there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from gateway.app import Mounted, create_app
from services.payments import arrivals as arriving
from services.payments import flood
from services.payments.arrivals import Arrival, Arrivals
from services.payments.errors import CallbackNotStored
from services.payments.gateways.base import Delivery
from services.payments.gateways.stripe import Stripe
from services.payments.intake import Intake
from shared import clock
from shared.contracts.payments.messages import (
    ChangePaymentGateway,
    DisablePaymentGateway,
    EnablePaymentGateway,
    GetPaymentGateway,
)
from shared.identifiers import new_id
from shared.lingering import MOST_DISCARDED
from shared.security import SecretText
from tests.factories import payments as a
from tests.ports import post_all_then_read, served
from tests.services.payments.conftest import Till
from tests.waiting import until

_CASES = Path(__file__).parents[4] / "shared" / "data" / "payments" / "stripe.json"


def _recorded() -> list[Any]:
    if not _CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip("the recorded cases are not here"))]
    return [pytest.param(case, id=case["id"]) for case in json.loads(_CASES.read_text())["vectors"]]


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded())
async def test_the_recorded_cases_of_stripes_own_libraries(till: Till, case: dict[str, Any]) -> None:
    gateway = await a.open_gateway(till.process, till.organization_id, secrets=(case["secret"],))
    with clock.replaced(lambda: datetime.fromtimestamp(case["clock"], UTC)):
        answer = await till.door.post(
            f"/callbacks/{gateway.id}", content=case["body"].encode(), headers=case["headers"]
        )
    assert (answer.status_code == 200) == (case["expect"] == "valid"), answer.text
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    detail = await till.callback(callback.id)
    # As it is shown: people's addresses are masked. It is kept to the byte.
    assert detail.body == case["body"].replace("test@stripe.com", "***")
    assert ["stripe-signature", case["headers"]["Stripe-Signature"]] in [list(pair) for pair in detail.headers]
    if case["expect"] == "valid":
        assert detail.status in ("ignored", "failed")
    else:
        assert (answer.status_code, detail.status) == (400, "invalid")


BODY = b'{"id": "evt_1", "object": "event", "type": "customer.created", "data": {"object": {}}}'


def _now() -> int:
    return int(clock.now().timestamp())


SIGNATURES = {
    "good": (lambda: a.signature(BODY), None),
    "one of several v1": (lambda: f"{a.signature(BODY)},v1=deadbeef", None),
    "299 s old": (lambda: a.signature(BODY, at=_now() - 298), None),
    "299 s ahead": (lambda: a.signature(BODY, at=_now() + 298), None),
    "stale": (lambda: a.signature(BODY, at=_now() - 302), "stale_signature"),
    "from the future": (lambda: a.signature(BODY, at=_now() + 302), "stale_signature"),
    "from the far future": (lambda: a.signature(BODY, at=10**11), "stale_signature"),
    "v0 alone": (lambda: a.signature(BODY, scheme="v0"), "wrong_signature"),
    "another secret": (lambda: a.signature(BODY, "whsec_other"), "wrong_signature"),
    "the empty secret": (lambda: a.signature(BODY, ""), "wrong_signature"),
    "another body": (lambda: a.signature(BODY + b" "), "wrong_signature"),
    "no header": (lambda: "", "no_signature"),
    "no timestamp": (lambda: a.signature(BODY).split(",")[1], "malformed_signature"),
    "two timestamps": (lambda: f"t={_now()},{a.signature(BODY, at=5)}", "malformed_signature"),
    "not a number": (lambda: "t=now,v1=deadbeef", "malformed_signature"),
    "not ASCII": (lambda: f"t={_now()},v1=é", "malformed_signature"),
    "huge": (lambda: f"t={_now()}" + ",v1=00" * 5000, "malformed_signature"),
    "many equals signs": (lambda: f"t={_now()},v1=a=b=c,=,v1", "wrong_signature"),
}


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("name", SIGNATURES)
async def test_signatures(till: Till, name: str) -> None:
    make, reason = SIGNATURES[name]
    moment = clock.now()
    with clock.replaced(lambda: moment):
        headers = {"Stripe-Signature": make().encode("latin-1")}
        answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=BODY, headers=headers)
    await till.work()
    (callback,) = await till.callbacks()
    if reason is None:
        assert (answer.status_code, answer.json(), callback.status) == (200, {}, "ignored")
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
        assert (callback.status, callback.reason, callback.attempts) == ("invalid", reason, [])


@pytest.mark.feature("PAY-2")
async def test_stored_byte_for_byte_with_headers_source_time_and_verdict(till: Till) -> None:
    body = '{"id":"evt_ü",\r\n "object":"event",  "type":"x"}'.encode()
    sent = {"Stripe-Signature": a.signature(body), "X-Odd": "a  b;\tc", "Authorization": "Basic x", "Cookie": "s=1"}
    before = clock.now()
    answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=body, headers=sent)
    assert answer.status_code == 200
    (callback,) = await till.callbacks()
    detail = await till.callback(callback.id)
    assert (detail.body.encode(), detail.body_encoding, detail.source_address) == (body, "text", "203.0.113.7")
    assert before <= detail.received_at <= clock.now()
    assert (detail.is_verified, detail.status, detail.deliveries) == (True, "received", 1)
    headers = dict(detail.headers)
    assert (headers["x-odd"], headers["authorization"], headers["cookie"]) == ("a  b;\tc", "***", "***")
    (row,) = await till.rows("SELECT body, headers FROM callbacks")
    assert row["body"] == body
    assert ["cookie", "s=1"] in json.loads(row["headers"])


@pytest.mark.feature("PAY-4")
async def test_fifty_at_once_are_one_record_processed_once(till: Till) -> None:
    placed = await till.place("50-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("50-1")))
    answers = await asyncio.gather(*(till.post(body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await till.rows("SELECT id FROM tasks")) == 1
    await till.work()
    answers = await asyncio.gather(*(till.post(body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    await till.work()
    (callback,) = await till.callbacks()
    assert (callback.status, callback.deliveries, len(callback.attempts)) == ("processed", 55, 1)
    assert len(await till.payments(placed.order_id)) == 1
    assert len(await till.events("payments.payment_changed")) == 1


@pytest.mark.feature("PAY-4")
async def test_a_repeat_differs_only_in_what_stripe_changes_between_deliveries(till: Till) -> None:
    event = a.stripe_event("payment_intent.succeeded", a.intent("REP-1"))
    for pending in (3, 2, 1):
        assert (await till.post(a.as_body(event | {"pending_webhooks": pending}))).status_code == 200
    (callback,) = await till.callbacks()
    assert callback.deliveries == 3


@pytest.mark.feature("PAY-4")
async def test_the_same_event_id_with_other_content_is_kept_and_not_applied(till: Till) -> None:
    placed = await till.place("TWO-1", total=5000)
    event = a.stripe_event("payment_intent.succeeded", a.intent("TWO-1", amount=1000))
    await till.tell_event(event)
    changed = event | {"data": {"object": a.intent("TWO-1", amount=5000)}}
    assert (await till.post(a.as_body(changed))).status_code == 200
    await till.work()
    second, first = await till.callbacks()
    assert (first.status, second.status, second.reason) == ("processed", "failed", "event_id_reused")
    (payment,) = await till.payments(placed.order_id)
    assert payment.captured is not None
    assert payment.captured.amount == 1000


@pytest.mark.feature("PAY-4")
async def test_a_forged_copy_never_stands_in_for_the_genuine_one(till: Till) -> None:
    await till.place("FORGE-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("FORGE-1")))
    for _ in range(2):
        assert (await till.post(body, a.signature(body, "whsec_guess"))).status_code == 400
    assert (await till.post(body)).status_code == 200
    await till.work()
    genuine, forged = await till.callbacks()
    assert (genuine.status, genuine.deliveries) == ("processed", 1)
    assert (forged.status, forged.deliveries, forged.attempts) == ("invalid", 2, [])


@pytest.mark.feature("PAY-1")
async def test_two_secrets_are_live_during_rotation(till: Till) -> None:
    changed = await till.ask(ChangePaymentGateway(gateway_id=till.gateway.id, add_secret=SecretText("whsec_new")))
    async with _fresh_door(till) as door:
        for number, secret in enumerate((a.SECRET, "whsec_new")):
            body = BODY.replace(b"evt_1", b"evt_rotate_%d" % number)
            assert (await _post(door, till, body, secret)).status_code == 200
    old = next(secret for secret in changed.secrets if secret.id == till.gateway.secrets[0].id)
    await till.ask(ChangePaymentGateway(gateway_id=till.gateway.id, retire_secret=old.id))
    async with _fresh_door(till) as door:
        assert (await _post(door, till, BODY, a.SECRET)).status_code == 400
        assert (await _post(door, till, BODY, "whsec_new")).status_code == 200


@pytest.mark.feature("PAY-1")
async def test_a_disabled_gateway_takes_nothing_until_it_is_enabled(till: Till) -> None:
    await till.ask(DisablePaymentGateway(gateway_id=till.gateway.id))
    async with _fresh_door(till) as door:
        assert (await _post(door, till, BODY)).status_code == 404
    await till.ask(EnablePaymentGateway(gateway_id=till.gateway.id))
    async with _fresh_door(till) as door:
        assert (await _post(door, till, BODY)).status_code == 200


@pytest.mark.feature("PAY-1")
async def test_the_allow_list_of_addresses(till: Till) -> None:
    for networks, status in ((["198.51.100.0/24"], 403), (["203.0.113.0/24", "2001:db8::/32"], 200)):
        gateway = await a.open_gateway(till.process, till.organization_id, allowed_networks=networks)
        assert (await till.post(BODY, to=gateway.id)).status_code == status
        (callback,) = await till.callbacks(gateway=gateway.id)
        assert callback.status == ("received" if status == 200 else "invalid")


@pytest.mark.feature("PAY-1", "PAY-3")
async def test_another_tenants_address_and_secret_do_not_mix(till: Till) -> None:
    stranger = new_id()
    await a.open_shop(till.process, stranger)
    theirs = await a.open_gateway(till.process, stranger, secrets=("whsec_theirs",))
    assert (await till.post(BODY, to=theirs.id)).status_code == 400
    assert (await till.post(BODY)).status_code == 200
    assert len(await till.callbacks()) == 1


@pytest.mark.feature("PAY-2")
@pytest.mark.parametrize("place", ["", "x", "stripe", "../v1", str(UUID(int=7)), f"{UUID(int=7)}/more"])
async def test_unknown_addresses_are_404(till: Till, place: str) -> None:
    answer = await till.door.post(f"/callbacks/{place}", content=BODY, headers={"Stripe-Signature": a.signature(BODY)})
    assert answer.status_code == 404
    assert await till.callbacks() == []


@pytest.mark.feature("PAY-2")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_405(till: Till, method: str) -> None:
    answer = await till.door.request(method, f"/callbacks/{till.gateway.id}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.feature("PAY-3")
async def test_bodies_beyond_the_limit_are_refused_by_their_announced_length(till: Till) -> None:
    body = b" " * ((256 << 10) + 1)
    answer = await till.post(body)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert (await till.post(body[:-1])).status_code == 200
    assert len(await till.callbacks()) == 1


@pytest.mark.feature("PAY-3")
async def test_bodies_beyond_the_limit_are_not_read_to_their_end(till: Till) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            assert sent < 100
            yield b"x" * 65536

    answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=chunks())
    assert (answer.status_code, await till.callbacks()) == (413, [])
    assert sent <= ((256 << 10) + MOST_DISCARDED) // 65536 + 2


@pytest.mark.feature("PAY-3", "GAT-1")
@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("size", [1 << 20, 17 << 16])
async def test_who_sends_all_before_reading_sees_our_own_refusal_on_a_real_port(
    till: Till, size: int, chunked: bool
) -> None:
    """Also of what is beyond the gateway's own limit. It names its request, as problems of every door do."""
    intake = Intake()
    application = create_app(None, mounts=[Mounted("/callbacks", "/{gateway_id}", intake)])  # type: ignore[arg-type]
    async with intake.serving(till.process.database, till.process.relay), served(application) as port:
        answer = await post_all_then_read(port, f"/callbacks/{till.gateway.id}", size, chunked=chunked)
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert (problem["code"], problem["detail"]) == ("body_too_large", "A callback has at most 262144 bytes.")
    assert f"x-request-id: {problem['request_id']}".encode() in head.lower()
    assert await till.callbacks() == []


@pytest.mark.feature("PAY-3")
async def test_a_slow_body_is_cut(till: Till) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield BODY
        await asyncio.Event().wait()

    answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=chunks())
    assert (answer.status_code, answer.json()["code"], await till.callbacks()) == (408, "body_too_slow", [])


@pytest.mark.feature("PAY-3")
async def test_compressed_bodies_are_refused(till: Till) -> None:
    headers = {"Content-Encoding": "gzip", "Stripe-Signature": a.signature(BODY)}
    answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=BODY, headers=headers)
    assert (answer.status_code, await till.callbacks()) == (415, [])


@pytest.mark.feature("PAY-2")
async def test_an_empty_body_is_stored(till: Till) -> None:
    assert (await till.post(b"")).status_code == 200
    assert (await till.post(b"", "")).status_code == 400
    assert sorted(callback.status for callback in await till.callbacks()) == ["invalid", "received"]


@pytest.mark.feature("PAY-3")
async def test_a_flood_of_forgeries_is_counted_and_not_kept(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "KEPT_PER_MINUTE", 5)
    async with _fresh_door(till) as door:
        for number in range(9):
            body = BODY.replace(b"evt_1", b"evt_%d" % number)
            assert (await _post(door, till, body, "whsec_guess")).status_code == 400
        assert (await _post(door, till, BODY)).status_code == 200
    assert len(await till.callbacks(status="invalid")) == 5
    assert len(await till.callbacks(status="received")) == 1
    assert (await till.ask(GetPaymentGateway(gateway_id=till.gateway.id))).uncollected_callbacks == 4


@pytest.mark.feature("PAY-3")
async def test_forgeries_of_great_size_meet_the_daily_limit(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "KEPT_BYTES_PER_DAY", 1000)
    async with _fresh_door(till) as door:
        for number in range(5):
            assert (await _post(door, till, b"%d" % number * 400, "whsec_guess")).status_code == 400
    assert len(await till.callbacks()) == 1


@pytest.mark.feature("PAY-3")
async def test_headers_of_great_size_meet_the_daily_limit_as_well(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "KEPT_BYTES_PER_DAY", 100_000)
    for number in range(5):
        headers = {"Stripe-Signature": "t=1,v1=00", "X-Junk": "y" * 40_000}
        answer = await till.door.post(f"/callbacks/{till.gateway.id}", content=b"%d" % number, headers=headers)
        assert answer.status_code == 400
    assert len(await till.callbacks()) == 2


def _arrival(till: Till, body: bytes = BODY) -> Arrival:
    return Arrival(
        organization_id=till.organization_id,
        gateway_id=till.gateway.id,
        event=Stripe().identify(Delivery({}, body, clock.now()))[0],
        body=body,
        headers=[],
        source_address=None,
        received_at=clock.now(),
        is_verified=True,
        reason=None,
    )


@pytest.mark.feature("PAY-2")
async def test_nobody_waits_for_ever_behind_a_database_that_hangs(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals(till.process.database, till.process.relay)
    async with till.process.database.connection() as other:
        await other.execute("BEGIN; SET LOCAL ROLE crossdock_payments; LOCK TABLE payments.callbacks IN SHARE MODE")
        first = asyncio.create_task(arrivals.store(_arrival(till)))
        await until(lambda: _hangs(till))
        second = asyncio.create_task(arrivals.store(_arrival(till, b"2")))
        await asyncio.sleep(0)
        monkeypatch.setattr(arriving, "_MOST_WAITING_SECONDS", -1.0)
        await other.execute("COMMIT")
    assert await first
    with pytest.raises(CallbackNotStored):
        await second
    assert len(await till.callbacks()) == 1


@pytest.mark.feature("PAY-2")
async def test_a_defect_in_one_group_leaves_those_behind_it_their_turn(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, is_writing, may_fail = Arrivals._write, asyncio.Event(), asyncio.Event()

    async def failing(self: Arrivals, arrivals: Any) -> Any:
        if not is_writing.is_set():
            is_writing.set()
            await may_fail.wait()
            raise RuntimeError("a defect")
        return await write(self, arrivals)

    monkeypatch.setattr(Arrivals, "_write", failing)
    first = asyncio.create_task(till.post(b"1"))
    await is_writing.wait()
    behind = [asyncio.create_task(till.post(b"%d" % number)) for number in (2, 3)]

    async def are_waiting() -> bool:
        return till.intake._arrivals is not None and len(till.intake._arrivals._waiting) == 2

    await until(are_waiting)
    may_fail.set()
    async with asyncio.timeout(60):
        assert [answer.status_code for answer in await asyncio.gather(first, *behind)] == [500, 200, 200]
    assert len(await till.callbacks()) == 2


async def _hangs(till: Till) -> bool:
    rows = await till.rows(
        "SELECT 1 FROM pg_locks WHERE relation = 'payments.callbacks'::regclass AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool(rows)


@pytest.mark.feature("PAY-2")
async def test_one_that_cannot_be_stored_does_not_take_its_group_down(till: Till) -> None:
    arrivals = Arrivals(till.process.database, till.process.relay)
    good = _arrival(till)
    # Two ask while the first transaction runs, so they share the second: one names a gateway that is not there.
    others = [
        replace(
            good, id=new_id(), task_id=new_id(), body=b"2", event=Stripe().identify(Delivery({}, b"2", clock.now()))[0]
        ),
        None,
    ]
    others[1] = replace(good, id=new_id(), task_id=new_id(), gateway_id=new_id())
    results = await asyncio.gather(*(arrivals.store(each) for each in (good, *others)), return_exceptions=True)
    assert [type(result) for result in results] == [bool, bool, CallbackNotStored]
    assert len(await till.callbacks()) == 2


@pytest.mark.feature("PAY-2")
async def test_the_intakes_role_may_add_and_read_nothing(till: Till) -> None:
    assert (await till.post(BODY)).status_code == 200
    for forbidden in (
        "SELECT body FROM callbacks",
        "SELECT sealed FROM gateway_secrets",
        "SELECT * FROM payments",
        "UPDATE callbacks SET status = 'processed'",
        "DELETE FROM callbacks",
        "SELECT payload FROM tasks",
        "SELECT * FROM orders.orders",
    ):
        async with till.process.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SET LOCAL ROLE crossdock_payments_intake; SET LOCAL search_path = payments")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
            await transaction.rollback()


@asynccontextmanager
async def _fresh_door(till: Till) -> AsyncIterator[httpx.AsyncClient]:
    """An intake that remembers nothing of the gateway."""
    intake = Intake()
    async with intake.serving(till.process.database, till.process.relay):
        transport = httpx.ASGITransport(app=intake)
        async with httpx.AsyncClient(transport=transport, base_url="http://crossdock.test") as client:
            yield client


async def _post(door: Any, till: Till, body: bytes, secret: str = a.SECRET) -> Any:
    return await door.post(f"/{till.gateway.id}", content=body, headers={"Stripe-Signature": a.signature(body, secret)})
