"""Outbox to inbox: events leave with their transaction, arrive once, fail alone, are parked, shown and replayed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import pytest

from deploy import topology
from shared import platform_answers
from shared.bus.answering import Surroundings
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.bus.local import LocalBus
from shared.contracts.base import Event
from shared.contracts.platform.messages import ListParkedDeliveries, ReplayDeliveries
from shared.identifiers import new_id
from shared.messaging import inbox, receipts, sweeping
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import JOB_LIFETIME, Batch
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.messaging.worker import Worker
from shared.service import Service, listens
from shared.unit_of_work import UnitOfWork
from tests.waiting import until


class Rang(Event):
    """A bell rang."""

    label: str
    poison: bool = False


broken: set[str] = set()


@listens(Rang)
async def remember_ring(event: Rang, uow: UnitOfWork) -> None:
    await uow.execute(
        "INSERT INTO jobs (organization_id, id, kind, state, parameters, requested_by)"
        " VALUES ($1, $2, 'rang', 'succeeded', json_build_object('label', $3::text), '{}')",
        uow.organization_id,
        new_id(),
        event.label,
    )
    if event.poison or event.label in broken:
        raise ValueError("a defect in the listener")


class Chimed(Event):
    """A clock struck; heard together with the others of its kind."""

    label: str
    poison: bool = False


@listens(Chimed, together=True)
async def remember_chimes(events: Sequence[Chimed], uow: UnitOfWork) -> None:
    heard.append([event.label for event in events])
    for event in events:
        await remember_ring(Rang(label=event.label, poison=event.poison), uow)


heard: list[list[str]] = []


class Plain:
    """Two services in this process, the second with the listener above."""

    def __init__(self, process: topology.Surrounded) -> None:
        self.process = process
        self.services = {
            "catalog": Service("catalog", platform_answers),
            "inventory": Service("inventory", platform_answers, sys.modules[__name__]),
        }
        self.bus = LocalBus(self.services)
        self.surroundings = Surroundings(process.database, self.bus.ask, process.relay)
        self.bus.surrounded_by(self.surroundings)

    async def record(self, organization_id: UUID, *events: Event) -> list[UUID]:
        uow = self.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
        ids = [uow.record(event) for event in events]
        await uow.commit()
        return ids

    async def labels(self, organization_id: UUID) -> list[str]:
        uow = self.surroundings.unit_of_work("inventory", service_envelope("inventory", organization_id))
        rows = await uow.fetch("SELECT parameters ->> 'label' AS label FROM jobs WHERE kind = 'rang' ORDER BY 1")
        await uow.rollback()
        return [row["label"] for row in rows]

    async def count(self, table: str, organization_id: UUID, service: str = "catalog") -> int:
        uow = self.surroundings.unit_of_work(service, service_envelope(service, organization_id))
        counted: int = await uow.fetchval(f"SELECT count(*) FROM {table}")
        await uow.rollback()
        return counted

    def batch(self, organization_id: UUID, *events: Event, sent_at: float | None = None) -> Batch:
        sent = [SentEvent(new_id(), e.wire_name, e.model_dump_json().encode(), 0.0) for e in events]
        import time

        return Batch("catalog", organization_id, time.time() if sent_at is None else sent_at, sent)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        workers = [
            Worker(s, self.surroundings, self.process.relay, self.process.address) for s in self.services.values()
        ]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*running)


@pytest.fixture
def plain(process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch) -> Plain:
    monkeypatch.setitem(SUBSCRIPTIONS, Rang, ("inventory",))
    broken.clear()
    heard.clear()
    return Plain(process)


async def test_an_event_takes_effect_and_its_delivery_is_closed(plain: Plain) -> None:
    organization_id = new_id()
    async with plain.working():
        await plain.record(organization_id, Rang(label="one"), Rang(label="two"))
        await until(lambda: _is(plain.count("deliveries", organization_id), 0))
    assert await plain.labels(organization_id) == ["one", "two"]


async def test_events_heard_together_come_as_one_list_without_those_known(plain: Plain) -> None:
    organization_id = new_id()
    known, mixed = plain.batch(organization_id, Chimed(label="a")), plain.batch(organization_id, Rang(label="r"))
    await inbox.receive(plain.services["inventory"], plain.surroundings, known)
    more = plain.batch(organization_id, Chimed(label="b"), Chimed(label="c"))
    events = [more.events[0], *mixed.events, *known.events, more.events[1]]
    batch = Batch("catalog", organization_id, more.sent_at, events)
    done, failed = await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
    assert (sorted(done), failed) == (sorted(event.id for event in events), [])
    assert heard == [["a"], ["b", "c"]]
    assert await plain.labels(organization_id) == ["a", "b", "c", "r"]


async def test_of_events_heard_together_a_failing_one_fails_alone(plain: Plain) -> None:
    organization_id = new_id()
    batch = plain.batch(organization_id, Chimed(label="a"), Chimed(label="b", poison=True), Chimed(label="c"))
    done, failed = await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
    assert done == [batch.events[0].id, batch.events[2].id]
    assert [event_id for event_id, _ in failed] == [batch.events[1].id]
    assert heard == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert await plain.labels(organization_id) == ["a", "c"]


async def test_an_undone_transaction_announces_nothing(plain: Plain) -> None:
    organization_id = new_id()
    uow = plain.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
    uow.record(Rang(label="never"))
    await uow.connection()
    await uow.rollback()
    assert await plain.count("outbox", organization_id) == 0


async def test_a_savepoint_takes_its_events_with_it(plain: Plain) -> None:
    organization_id = new_id()
    uow = plain.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
    uow.record(Rang(label="kept"))
    with pytest.raises(ValueError, match="inner"):
        async with uow.savepoint():
            uow.record(Rang(label="dropped"))
            raise ValueError("inner")
    await uow.commit()
    assert await plain.count("outbox", organization_id) == 1


async def test_what_redis_never_got_is_swept_up(plain: Plain) -> None:
    organization_id = new_id()

    class Deaf:
        def announce(self, announcement: object) -> None: ...

        def wake(self, service: str, due: object) -> None: ...

    uow = Surroundings(plain.process.database, plain.bus.ask, Deaf()).unit_of_work(
        "catalog", service_envelope("catalog", organization_id)
    )
    uow.record(Rang(label="late"))
    await uow.commit()
    async with plain.working():
        await until(lambda: _is(plain.count("deliveries", organization_id), 0))
    assert await plain.labels(organization_id) == ["late"]


async def test_a_repeated_batch_takes_effect_once(plain: Plain) -> None:
    organization_id = new_id()
    batch = plain.batch(organization_id, Rang(label="a"), Rang(label="b"))
    for _ in range(3):
        done, failed = await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
        assert (len(done), failed) == (2, [])
    assert await plain.labels(organization_id) == ["a", "b"]


async def test_the_same_batch_five_times_at_once_takes_effect_once(plain: Plain) -> None:
    organization_id = new_id()
    batch = plain.batch(organization_id, Rang(label="a"), Rang(label="b"))
    await asyncio.gather(*(inbox.receive(plain.services["inventory"], plain.surroundings, batch) for _ in range(5)))
    assert await plain.labels(organization_id) == ["a", "b"]


async def test_a_batch_that_is_partly_known_takes_the_rest_only(plain: Plain) -> None:
    """Met in the fault test: the first event of a partly known batch was handled a second time."""
    organization_id = new_id()
    batch = plain.batch(organization_id, Rang(label="a"), Rang(label="b"), Rang(label="c"))
    for known in ([0], [2]):
        part = msgspec.structs.replace(batch, events=[batch.events[index] for index in known])
        await inbox.receive(plain.services["inventory"], plain.surroundings, part)
    await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
    assert await plain.labels(organization_id) == ["a", "b", "c"]


async def test_a_failing_event_holds_up_nobody_but_itself(plain: Plain) -> None:
    organization_id = new_id()
    batch = plain.batch(organization_id, Rang(label="a"), Rang(label="b", poison=True), Rang(label="c"))
    done, failed = await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
    assert len(done) == 2
    assert [reason.split(":")[0] for _, reason in failed] == ["internal_error"]
    assert await plain.labels(organization_id) == ["a", "c"]


async def test_a_batch_older_than_its_lifetime_is_refused(plain: Plain) -> None:
    import time

    organization_id = new_id()
    batch = plain.batch(organization_id, Rang(label="old"), sent_at=time.time() - JOB_LIFETIME.total_seconds() - 5)
    assert await inbox.receive(plain.services["inventory"], plain.surroundings, batch) == ([], [])
    assert await plain.labels(organization_id) == []


async def test_a_delivery_that_keeps_failing_is_parked_shown_alerted_and_replayed(plain: Plain) -> None:
    organization_id = new_id()
    broken.add("stuck")
    [event_id] = await plain.record(organization_id, Rang(label="stuck"))
    receipt = receipts.Receipt(organization_id, "inventory", [event_id], "internal_error: a defect")
    worker = Worker(plain.services["catalog"], plain.surroundings, plain.process.relay, plain.process.address)
    for _ in range(receipts.MOST_FAILURES):
        await worker._close([receipt])
    operator = Caller(kind="user", organization_id=organization_id, id=new_id(), scopes=frozenset({"admin"}))
    page = await plain.bus.ask(ListParkedDeliveries(service_name="catalog"), envelope_for(operator))
    [parked] = page.items
    assert (parked.event_id, parked.listener, parked.failures) == (event_id, "inventory", receipts.MOST_FAILURES)
    assert parked.payload["label"] == "stuck"
    assert "a defect" in (parked.last_error or "")
    uow = plain.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
    alerts = await uow.fetchval("SELECT count(*) FROM outbox WHERE name = 'platform.alert_raised'")
    await uow.rollback()
    assert alerts == 1

    stranger = Caller(kind="user", organization_id=new_id(), id=new_id(), scopes=frozenset({"admin"}))
    assert (await plain.bus.ask(ListParkedDeliveries(service_name="catalog"), envelope_for(stranger))).items == []
    assert (await plain.bus.ask(ReplayDeliveries(service_name="catalog"), envelope_for(stranger))).count == 0

    broken.clear()
    async with plain.working():
        replayed = await plain.bus.ask(ReplayDeliveries(service_name="catalog"), envelope_for(operator))
        assert replayed.count == 1
        await until(lambda: _contains(plain.labels(organization_id), "stuck"))


async def test_arrivals_are_forgotten_only_when_the_producer_has_closed_them(plain: Plain) -> None:
    organization_id = new_id()
    open_id, _ = await plain.record(organization_id, Rang(label="open"), Rang(label="also open"))
    closed_batch = plain.batch(organization_id, Rang(label="closed"))
    open_batch = msgspec.structs.replace(
        closed_batch, events=[SentEvent(open_id, Rang.wire_name, b'{"label":"open"}', 0.0)]
    )
    for batch in (closed_batch, open_batch):
        await inbox.receive(plain.services["inventory"], plain.surroundings, batch)
    worker = Worker(plain.services["inventory"], plain.surroundings, plain.process.relay, plain.process.address)
    await sweeping.forget_closed_arrivals("inventory", worker._transaction, worker._unit_of_work)
    assert await plain.count("inbox", organization_id, "inventory") == 2
    admin = await _admin_connection(plain)
    await admin.execute("UPDATE inventory.inbox SET received_at = received_at - interval '1 hour'")
    await admin.close()
    await sweeping.forget_closed_arrivals("inventory", worker._transaction, worker._unit_of_work)
    assert await plain.count("inbox", organization_id, "inventory") == 1
    await inbox.receive(plain.services["inventory"], plain.surroundings, open_batch)
    assert await plain.labels(organization_id) == ["closed", "open"]


async def _admin_connection(plain: Plain) -> Any:
    import os

    import asyncpg

    return await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])


async def _is(counted: Any, expected: int) -> bool:
    return bool(await counted == expected)


async def _contains(found: Any, wanted: str) -> bool:
    return wanted in await found
