"""Parts that are away: Redis, PostgreSQL, the worker between any two lines. Nothing that was answered 200 is lost."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from deploy import migrating, topology
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from services.payments import tasks
from services.payments.gateway_book import intake_transaction
from services.payments.intake import Intake
from services.payments.settings import payments_settings
from services.payments.use_cases import books, processing
from shared import clock
from shared.bus.envelope import service_envelope
from shared.contracts.orders.events import OrderTotalChanged
from shared.contracts.payments.messages import GetPaymentGateway
from shared.identifiers import new_id
from shared.money import Money
from shared.settings import Settings
from tests.conftest import APP_PASSWORD, Servers, _execute
from tests.doors import eventually
from tests.factories import payments as a
from tests.services.payments.conftest import Till


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """A PostgreSQL and a Redis that this test alone may stop."""
    with tempfile.TemporaryDirectory(prefix="crossdock-payments-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        postgres, redis = EmbeddedPostgres(Path(folder)), EmbeddedRedis(Path(folder))
        try:
            yield Servers(postgres, redis, postgres.start().rsplit("/", 1)[0] + "/postgres")
        finally:
            postgres.stop()
            redis.stop()


@asynccontextmanager
async def _running(servers: Servers, configuration: Settings) -> AsyncIterator[Till]:
    """A merchant on these servers, with payments' intake and no worker."""
    values = {
        "database_url": SecretStr(servers.url_of("postgres")),
        "redis_url": SecretStr(servers.redis.url),
    }
    own = configuration.model_copy(update=values)
    async with topology.surrounded(answers_here=True, configuration=own) as process:
        intake = Intake()
        async with intake.serving(process.database, process.relay):
            application = _mounted(intake)
            transport = httpx.ASGITransport(app=application)
            async with httpx.AsyncClient(transport=transport, base_url="http://crossdock.test", timeout=30) as door:
                organization_id = new_id()
                shop = await a.open_shop(process, organization_id)
                gateway = await a.open_gateway(process, organization_id)
                yield Till(process, door, organization_id, shop.id, gateway, intake)


def _mounted(intake: Intake) -> Starlette:
    return Starlette(routes=[Mount("/callbacks", intake)])


@pytest.mark.faults
@pytest.mark.feature("PAY-2")
async def test_with_redis_away_callbacks_are_taken_and_processed_when_it_returns(
    own_servers: Servers, configuration: Settings
) -> None:
    await asyncio.to_thread(migrating.migrate, own_servers.admin_url, APP_PASSWORD)
    own_servers.redis.start()
    own_servers.redis.stop()
    async with _running(own_servers, configuration) as till:
        placed = await till.place("REDIS-1")
        body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("REDIS-1")))
        assert (await till.post(body)).status_code == 200
        (callback,) = await till.callbacks()
        assert callback.status == "received"
        own_servers.redis.start()
        stopping = asyncio.Event()
        work = asyncio.create_task(topology.do_work(topology.named("payments"), till.process, stopping))
        try:
            assert (await eventually(lambda: till.payments(placed.order_id), 30))[0].state == "captured"
        finally:
            stopping.set()
            await work


@pytest.mark.faults
@pytest.mark.feature("PAY-2")
async def test_with_postgres_away_nothing_is_answered_well_and_all_that_was_is_there(
    own_servers: Servers, configuration: Settings
) -> None:
    await asyncio.to_thread(migrating.migrate, own_servers.admin_url, APP_PASSWORD)
    own_servers.redis.start()
    async with _running(own_servers, configuration) as till:
        taken: set[str] = set()
        refused: set[int] = set()
        stop = asyncio.Event()

        async def keep_posting() -> None:
            while not stop.is_set():
                event = a.stripe_event("customer.created", {"id": "cus_1"})
                answer = await till.post(a.as_body(event))
                if answer.status_code == 200:
                    taken.add(event["id"])
                else:
                    refused.add(answer.status_code)
                    # A refusal comes at once; give the server its turn.
                    await asyncio.sleep(0.01)

        posting = [asyncio.create_task(keep_posting()) for _ in range(4)]

        async def so_far() -> bool:
            return len(taken) > 20

        await eventually(so_far)
        await asyncio.to_thread(own_servers.postgres.stop)

        async def turned_away() -> bool:
            return bool(refused)

        await eventually(turned_away)
        during = len(taken)
        answer = await till.post(a.as_body(a.stripe_event("customer.created", {"id": "cus_2"})))
        assert (answer.status_code, answer.json()["code"]) == (503, "callback_not_stored")
        till.intake.forget_gateways()
        answer = await till.post(a.as_body(a.stripe_event("customer.created", {"id": "cus_2"})))
        assert (answer.status_code, answer.json()["code"]) == (503, "callback_not_stored")
        await asyncio.to_thread(own_servers.postgres.start)

        async def taken_again() -> bool:
            return len(taken) > during + 20

        await eventually(taken_again, 30)
        stop.set()
        await asyncio.gather(*posting)
        assert refused == {503}
        stored = {row["event_id"] for row in await till.rows("SELECT event_id FROM callbacks")}
        assert taken <= stored
        assert len(await till.rows("SELECT id FROM tasks")) == len(stored)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.feature("PAY-2", "PAY-4")
@pytest.mark.parametrize("step", ["before", "after the ledger", "after the attempt"])
async def test_a_worker_that_dies_between_any_two_lines_leaves_all_to_do(
    till: Till, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await till.place("DIE-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("DIE-1")))
    assert (await till.post(body)).status_code == 200
    module, name, runs_first = {
        "before": (processing, "process", False),
        "after the ledger": (books.Books, "write", True),
        "after the attempt": (processing, "note", True),
    }[step]
    original = getattr(module, name)

    async def dying(*arguments: object, **options: object) -> object:
        if runs_first:
            await original(*arguments, **options)
        raise Killed

    (task,) = await till.rows("SELECT payload FROM tasks")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying)
        uow = till.unit_of_work()
        with pytest.raises(Killed):
            await tasks.process_callbacks([{"callback_id": _id_in(task["payload"])}], uow)
        await uow.rollback()
    (callback,) = await till.callbacks()
    assert (callback.status, callback.attempts, await till.payments()) == ("received", [], [])
    await till.work()
    (callback,) = await till.callbacks()
    assert (callback.status, len(callback.attempts), len(await till.payments())) == ("processed", 1, 1)
    assert len(await till.events("payments.payment_changed")) == 1


def _id_in(payload: str) -> str:
    return str(json.loads(payload)["callback_id"])


@pytest.mark.feature("PAY-4")
async def test_what_the_database_refuses_is_tried_again_and_at_last_given_to_a_person(till: Till) -> None:
    await till.place("LOCK-1")
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("LOCK-1")))
    assert (await till.post(body)).status_code == 200
    uow = till.unit_of_work()
    await uow.execute("DELETE FROM tasks")
    await uow.commit()
    async with _constraint(till):
        for retries in range(processing.MOST_RETRIES + 1):
            (callback,) = await till.callbacks()
            uow = till.unit_of_work()
            await tasks.process_callbacks([{"callback_id": str(callback.id), "retries": retries}], uow)
            await uow.commit()
            (callback,) = await till.callbacks()
            assert (callback.status, callback.reason) == ("retrying", "CheckViolationError")
        await till.work()
    (callback,) = await till.callbacks()
    assert (callback.status, callback.reason) == ("failed", "processing_gave_up")
    assert len(callback.attempts) == processing.MOST_RETRIES + 2
    assert len(await till.events("platform.alert_raised")) == 1
    assert await till.payments() == []


@asynccontextmanager
async def _constraint(till: Till) -> AsyncIterator[None]:
    """While it lasts the database refuses every payment of this merchant."""
    url = os.environ["CROSSDOCK_ADMIN_URL"]
    refuse = f"ADD CONSTRAINT none_today CHECK (organization_id <> '{till.organization_id}') NOT VALID"
    await _execute(url, f"ALTER TABLE payments.payments {refuse}")
    yield
    await _execute(url, "ALTER TABLE payments.payments DROP CONSTRAINT none_today")


@pytest.mark.feature("PAY-4", "PAY-7")
@pytest.mark.parametrize("status", ["received", "waiting"])
async def test_a_parked_task_makes_its_callback_failed(till: Till, status: str) -> None:
    body = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("PARK-1")))
    assert (await till.post(body)).status_code == 200
    if status == "waiting":
        await till.work()
    (callback,) = await till.callbacks()
    assert callback.status == status
    uow = till.unit_of_work()
    assert await uow.execute("UPDATE tasks SET parked_at = now(), due_at = now() + interval '1 hour'") == "UPDATE 1"
    await uow.commit()

    system = till.process.surroundings.unit_of_work("payments", service_envelope("payments", None), across_tenants=True)
    await tasks.hand_over_parked_callbacks({}, system)
    await system.commit()
    await till.work()
    (callback,) = await till.callbacks()
    assert (callback.status, callback.reason) == ("failed", "processing_gave_up")
    assert len(await till.events("platform.alert_raised")) == 1
    if status == "waiting":
        await till.place("PARK-1")
        await till.work()
        assert (await till.callback(callback.id)).status == "processed"


@pytest.mark.feature("PAY-7")
async def test_what_had_failed_and_is_refused_once_more_ends_its_alert_at_last(till: Till) -> None:
    placed = await till.place("TWICE-1", total=1000)
    await till.tell("payment_intent.succeeded", a.intent("TWICE-1"))
    (alert,) = await till.events("platform.alert_raised")
    async with _constraint(till):
        total = Money(amount=1999, currency="USD")
        await till.hear(
            OrderTotalChanged(order_id=placed.order_id, number="TWICE-1", shop_id=till.shop_id, total=total, version=2)
        )
        await till.work()
        (callback,) = await till.callbacks()
        assert (callback.status, callback.reason) == ("retrying", "CheckViolationError")
    uow = till.unit_of_work()
    await uow.execute("UPDATE tasks SET due_at = now()")
    await uow.commit()
    await till.work()
    (callback,) = await till.callbacks()
    assert callback.status == "processed"
    assert {event["cause"] for event in await till.events("platform.alert_cleared")} == {alert["cause"]}


@pytest.mark.feature("PAY-4")
async def test_bytes_of_old_forgeries_are_dropped_and_their_record_stays(till: Till) -> None:

    assert (await till.post(b"forged", "t=1,v1=00")).status_code == 400
    uow = till.unit_of_work()
    await uow.execute("UPDATE callbacks SET received_at = received_at - interval '31 days'")
    await uow.commit()
    system = till.process.surroundings.unit_of_work("payments", service_envelope("payments", None), across_tenants=True)
    await tasks.drop_old_bytes({}, system)
    await system.commit()
    (callback,) = await till.callbacks()
    detail = await till.callback(callback.id)
    assert (detail.status, detail.body, detail.source_address) == ("invalid", "", "203.0.113.7")


async def _add_up(till: Till) -> None:
    system = till.process.surroundings.unit_of_work("payments", service_envelope("payments", None), across_tenants=True)
    await tasks.add_up({}, system)
    await system.commit()


async def _count(till: Till, table: str) -> int:
    ((count,),) = await till.rows(f"SELECT count(*) FROM {table}")
    return int(count)


@pytest.mark.feature("PAY-4")
async def test_repeats_become_a_number_and_none_is_lost(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    body = a.as_body(a.stripe_event("x.y", {"id": "1"}))
    await till.post(body)
    (callback,) = await till.callbacks()

    async def deliveries() -> int:
        return (await till.callback(callback.id)).deliveries

    for _ in range(3):
        await till.post(body)
    await _add_up(till)
    assert (await _count(till, "callback_repeats"), await deliveries()) == (3, 4)
    monkeypatch.setattr(tasks, "ROWS_KEPT", timedelta(0))
    # Nobody waits for whoever works on the callback.
    busy = till.unit_of_work()
    await busy.execute("SELECT FROM callbacks FOR UPDATE")
    await _add_up(till)
    assert (await _count(till, "callback_repeats"), await deliveries()) == (3, 4)
    await busy.rollback()
    for expected in (4, 6):
        await asyncio.gather(_add_up(till), _add_up(till))
        assert (await _count(till, "callback_repeats"), await deliveries()) == (0, expected)
        await asyncio.gather(till.post(body), till.post(body))


@pytest.mark.feature("PAY-3")
async def test_what_was_not_kept_is_one_number_a_day_and_gone_after_its_time(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def uncollected() -> int:
        count: int = (await till.ask(GetPaymentGateway(gateway_id=till.gateway.id))).uncollected_callbacks
        return count

    noon = clock.now().replace(hour=12)
    async with intake_transaction(till.process.database) as connection:
        for hours in (24, 25, 26, 72):
            row = (till.organization_id, new_id(), till.gateway.id, 10, noon - timedelta(hours=hours))
            await connection.execute("INSERT INTO callback_overflows VALUES ($1, $2, $3, $4, $5)", *row)
    for _ in range(2):
        await _add_up(till)
        assert (await _count(till, "callback_overflows"), await uncollected()) == (2, 40)
    monkeypatch.setattr(payments_settings(), "invalid_retention", timedelta(days=2))
    await _add_up(till)
    assert (await _count(till, "callback_overflows"), await uncollected()) == (1, 30)
