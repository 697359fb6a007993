"""Operators' documents when things happen at once, twice, late, or not at all. The service of orders is played here."""

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from services.search.repository.operator_marks import MARKS
from services.search.use_cases import batches, following
from services.search.use_cases import checking as offer_checking
from services.search.use_cases.operators import building, checking, rebuilding
from services.search.use_cases.operators.builder import OperatorBuilder
from services.search.use_cases.operators.reading import OperatorReaders
from shared import clock, jobs, metrics
from shared.bus.answering import Surroundings
from shared.bus.envelope import Envelope, service_envelope
from shared.contracts.base import Event, Message
from shared.contracts.orders.events import CustomerErased, OrderDetailsChanged, OrderPlaced
from shared.contracts.orders.parts import GetOrderParts, ListOrderIds, OrderedPart, OrderIds, OrderPart, OrderParts
from shared.contracts.search.operators import CheckOperatorIndex, FindOrders, RebuildOperatorIndex
from shared.contracts.sync.standings import GetListingStandings, ListingStanding, ListingStandings
from shared.errors import Conflict, Unavailable
from shared.identifiers import new_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork
from tests.doors import eventually

pytestmark = pytest.mark.feature("ORD-7")


class OrdersChoke(Conflict):
    """Played: this order cannot be told."""


def a_part(number: int, **fields: Any) -> OrderPart:
    defaults: dict[str, Any] = {
        "id": new_id(),
        "shop_id": UUID(int=1),
        "number": f"MAIN-{number:06}",
        "external_number": None,
        "external_id": None,
        "placed_at": datetime(2026, 3, 1, tzinfo=UTC),
        "email": "ada@example.com",
        "words": ["Ada Lovelace"],
        "lines": [OrderedPart(sku="MUG", title="Mug")],
        "tracking_numbers": [],
    }
    return OrderPart(**{**defaults, **fields})


class Orders:
    """Orders as this test says they are, and search as it really is, of one organization."""

    def __init__(self, process: topology.Surrounded) -> None:
        self.organization_id = new_id()
        self.parts: dict[UUID, OrderPart] = {}
        self.chokes_on: set[UUID] = set()
        self.standings: list[ListingStanding] = []
        self.is_away = False
        # Awaited between what orders said and what is made of it.
        self.pause: Callable[[], Any] | None = None
        self.surroundings = Surroundings(process.database, self.ask, process.relay)
        self.readers = OperatorReaders(self.surroundings)

    async def ask(self, message: Message[Any], envelope: Envelope) -> Any:
        assert envelope.caller.organization_id == self.organization_id
        if self.is_away:
            raise Unavailable("Played: nobody answers.")
        match message:
            case GetOrderParts(order_ids=order_ids):
                if self.chokes_on & set(order_ids):
                    raise OrdersChoke("Played: no.")
                found = [self.parts[id_] for id_ in order_ids if id_ in self.parts]
                if self.pause is not None:
                    await self.pause()
                return OrderParts(orders=found)
            case ListOrderIds(after=after, first=first):
                return OrderIds(ids=sorted(id_ for id_ in self.parts if after is None or id_ > after)[:first])
            case GetListingStandings(order_ids=order_ids):
                return ListingStandings(items=[each for each in self.standings if each.id in order_ids])
        raise AssertionError(message)

    def has(self, number: int = 1, **fields: Any) -> OrderPart:
        part = a_part(number, **fields)
        self.parts[part.id] = part
        return part

    def becomes(self, part: OrderPart, **fields: Any) -> None:
        self.parts[part.id] = part.model_copy(update=fields)

    def unit(self) -> UnitOfWork:
        return self.surroundings.unit_of_work("search", service_envelope("search", self.organization_id))

    async def inside(self, use_case: Any, *arguments: Any) -> Any:
        uow = self.unit()
        result = await use_case(uow, *arguments)
        await uow.commit()
        return result

    async def hear(self, *events: Event, written_at: datetime | None = None) -> None:
        """The listeners alone: whoever they would wake stays asleep."""
        for event in events:
            listener = topology.named("search")[0].listeners[event.wire_name]
            uow = self.unit()
            uow.written_at = written_at
            uow.when_committed = lambda hook: None  # type: ignore[method-assign]
            await listener.hear([event], uow)
            await uow.commit()

    async def build(self) -> None:
        while await building.build_due(self.unit, "order"):
            pass

    async def change(self, sql: str, *arguments: Any) -> None:
        uow = self.unit()
        await uow.execute(sql, *arguments)
        await uow.commit()

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        uow = self.unit()
        try:
            return await uow.fetch(sql, *arguments)
        finally:
            await uow.rollback()

    async def documents(self) -> dict[UUID, bytes]:
        rows = await self.rows("SELECT id, entry FROM operator_documents WHERE entry IS NOT NULL")
        return {row["id"]: row["entry"] for row in rows}

    async def marked(self) -> set[UUID]:
        return {row["id"] for row in await self.rows("SELECT id FROM operator_marks")}

    async def finds(self, words: str, *parts: OrderPart) -> None:
        """Wait until a reader of this process finds just these."""
        message = FindOrders(query=words)

        async def look() -> bool:
            reader = await self.readers.reader(self.organization_id)
            uow = self.surroundings.unit_of_work("search", service_envelope("search", self.organization_id))
            uow._resident = lambda kind: {OperatorReaders: self.readers}[kind]
            try:
                found = await topology.named("search")[0].answers[message.wire_name].function(message, uow)
            finally:
                await uow.rollback()
            assert set(found.ids) == {part.id for part in parts}, (reader.index.sequence, found)
            return True

        await eventually(look)


@pytest.fixture
async def orders(process: topology.Surrounded) -> Any:
    made = Orders(process)
    yield made
    await made.readers.close()


def placed(part: OrderPart) -> OrderPlaced:
    return OrderPlaced(
        order_id=part.id,
        number=part.number,
        shop_id=part.shop_id,
        total=Money(amount=1, currency="USD"),
        status="pending",
        lines=[],
        placed_at=part.placed_at,
    )


def changed(part: OrderPart) -> OrderDetailsChanged:
    return OrderDetailsChanged(order_id=part.id, number=part.number, shop_id=part.shop_id, version=2)


async def test_events_twice_and_in_any_order_come_to_the_same(orders: Orders) -> None:
    part = orders.has()
    orders.becomes(part, words=["Grace Hopper"])
    for event in (changed(part), placed(part), placed(part), changed(part)):
        await orders.hear(event)
    await orders.build()
    assert await orders.marked() == set()
    assert b"Grace" in (await orders.documents())[part.id]
    sequence = await orders.rows("SELECT sequence FROM operator_indexes")
    await orders.hear(placed(part))
    await orders.build()
    # What came out the same is not written again.
    assert await orders.rows("SELECT sequence FROM operator_indexes") == sequence
    await orders.finds("grace", part)


async def test_an_event_before_its_order_can_be_read_leaves_nothing_behind(orders: Orders) -> None:
    part = a_part(1)
    await orders.hear(changed(part))
    await orders.build()
    assert await orders.documents() == {}
    await orders.finds("ada")
    orders.parts[part.id] = part
    await orders.hear(placed(part))
    await orders.build()
    await orders.finds("ada", part)


async def test_what_changes_while_it_is_built_is_built_again(orders: Orders) -> None:
    part = orders.has()
    await orders.hear(placed(part))

    async def details_change() -> None:
        orders.pause = None
        orders.becomes(part, words=["Grace"])
        await orders.hear(changed(part))

    orders.pause = details_change
    await building.build_due(orders.unit, "order")
    assert await orders.marked() == {part.id}
    await orders.build()
    await orders.finds("grace", part)
    await orders.finds("lovelace")


async def test_a_slow_build_never_replaces_what_a_later_one_found(orders: Orders) -> None:
    """Also not where that has forgotten somebody: what is erased stays erased."""
    part = orders.has()
    await orders.hear(placed(part))
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        asked.set()
        await goes_on.wait()

    orders.pause = waits
    slow = asyncio.create_task(building.build_due(orders.unit, "order"))
    await asked.wait()
    orders.pause = None
    orders.becomes(part, words=["Erased"], email="erased-1@erased.invalid")
    await orders.hear(CustomerErased(customer_id=new_id(), order_ids=[part.id]))
    await orders.build()
    goes_on.set()
    await slow
    assert await orders.marked() == set()
    (document,) = (await orders.documents()).values()
    assert b"Lovelace" not in document
    assert b"ada@" not in document
    await orders.finds("lovelace")
    await orders.finds("erased", part)


async def test_two_builds_at_once_lose_nothing(orders: Orders) -> None:
    parts = [orders.has(number) for number in range(20)]
    await orders.hear(*map(placed, parts))
    await asyncio.gather(*(building.build_due(orders.unit, "order") for _ in range(4)))
    assert set(await orders.documents()) == {part.id for part in parts}
    rows = await orders.rows("SELECT sequence FROM operator_documents ORDER BY 1")
    sequences = [row["sequence"] for row in rows]
    assert len(set(sequences)) == 20
    assert await orders.rows("SELECT sequence FROM operator_indexes") == [(max(sequences),)]
    await orders.finds("mug", *parts)


async def test_a_builder_that_dies_before_it_writes_leaves_the_marks(orders: Orders) -> None:
    part = orders.has()
    await orders.hear(placed(part))
    asked = asyncio.Event()

    async def hangs() -> None:
        asked.set()
        await asyncio.Event().wait()

    orders.pause = hangs
    dying = asyncio.create_task(building.build_due(orders.unit, "order"))
    await asked.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await orders.marked() == {part.id}
    orders.pause = None
    await orders.build()
    assert list(await orders.documents()) == [part.id]


async def test_one_that_cannot_be_told_holds_up_none_and_is_tried_again(orders: Orders) -> None:
    parts = [orders.has(number) for number in range(5)]
    orders.chokes_on = {parts[3].id}
    await orders.hear(*map(placed, parts))
    await orders.build()
    assert set(await orders.documents()) == {part.id for part in parts} - orders.chokes_on
    state = await orders.inside(rebuilding.state)
    (order,) = [kind for kind in state.kinds if kind.kind == "order"]
    assert (order.documents, order.pending, order.failed) == (4, 1, 1)
    assert order.last_error == "orders_choke: Played: no."
    orders.chokes_on = set()
    await orders.change("UPDATE operator_marks SET due_at = now()")
    await orders.build()
    assert len(await orders.documents()) == 5
    assert await orders.marked() == set()


async def test_while_orders_is_away_marks_wait_and_the_clock_wakes_their_builder(orders: Orders) -> None:
    part = orders.has()
    orders.is_away = True
    for _ in range(3):
        await orders.hear(placed(part))
    with pytest.raises(Unavailable):
        await orders.build()
    assert len(await orders.rows("SELECT FROM operator_marks")) == 3
    await orders.change("UPDATE operator_marks SET due_at = due_at - interval '1 hour'")
    woken: list[Any] = []
    uow = orders.surroundings.unit_of_work("search", service_envelope("search", None), across_tenants=True)

    class Wakes:
        def wake(self, *key: Any) -> None:
            woken.append(key)

    uow._resident = lambda kind: Wakes()
    tasks = topology.named("search")[0].tasks
    await tasks["every.build_what_was_left_behind"].function({}, uow)
    assert (orders.organization_id, "order") in woken
    # Of the marks that pile up meanwhile one is kept.
    await tasks["every.merge_what_nobody_builds"].function({}, uow)
    await uow.commit()
    assert len(await orders.rows("SELECT FROM operator_marks")) == 1
    orders.is_away = False
    await orders.build()
    await orders.finds("mug", part)


async def test_who_hears_wakes_the_builder_of_its_process(orders: Orders, process: topology.Surrounded) -> None:
    part = orders.has()
    builder = OperatorBuilder(orders.surroundings)
    uow = orders.unit()
    uow._resident = lambda kind: {OperatorBuilder: builder}[kind]
    await topology.named("search")[0].listeners[OrderPlaced.wire_name].hear([placed(part)], uow)
    await uow.commit()
    await orders.finds("mug", part)
    await builder.close()


async def test_no_other_tenant_sees_a_document(orders: Orders, process: topology.Surrounded) -> None:
    part = orders.has()
    await orders.hear(placed(part))
    await orders.build()
    stranger = Orders(process)
    try:
        await stranger.finds("mug")
        await orders.finds("mug", part)
        assert await stranger.rows("SELECT FROM operator_documents") == []
        folders = {reader._readers[each].index._folder for reader, each in _folders(orders, stranger)}
        assert len({folder.parent for folder in folders}) == 2
    finally:
        await stranger.readers.close()


def _folders(*all_orders: Orders) -> list[tuple[OperatorReaders, UUID]]:
    return [(orders.readers, orders.organization_id) for orders in all_orders]


async def test_a_reader_goes_on_where_its_predecessor_was_closed(orders: Orders) -> None:
    first, second = orders.has(1), orders.has(2)
    await orders.hear(placed(first))
    await orders.build()
    await orders.finds("mug", first)
    await orders.readers.close()
    await orders.hear(placed(second))
    await orders.build()
    orders.readers = OperatorReaders(orders.surroundings)
    await orders.finds("mug", first, second)


async def test_a_lost_folder_is_filled_anew_while_it_goes_on_answering(orders: Orders) -> None:
    first, second = orders.has(1), orders.has(2)
    await orders.hear(placed(first))
    await orders.build()
    await orders.finds("mug", first)
    index = (await orders.readers.reader(orders.organization_id)).index
    index.rest()
    shutil.rmtree(index._folder)
    await orders.finds("mug", first)
    await orders.hear(placed(second))
    await orders.build()
    await orders.finds("mug", first, second)


@pytest.mark.feature("SEA-4")
async def test_freshness_is_measured_from_the_write(orders: Orders) -> None:
    part, other = orders.has(1), orders.has(2)
    await orders.hear(placed(part))
    await orders.build()
    await orders.finds("mug", part)
    before = _freshness()
    await orders.hear(placed(other), written_at=clock.now() - timedelta(seconds=30))
    await orders.build()
    await orders.finds("mug", part, other)
    counted, summed = (now - then for now, then in zip(_freshness(), before, strict=True))
    assert counted == 1
    assert 30 <= summed < 60
    assert b'crossdock_freshness_target_seconds{shown="operators"} 1.0' in metrics.exposition()


def _freshness() -> tuple[float, float]:
    """How many were measured, and their seconds together."""
    following.FRESHNESS.labels("operators")
    found = {
        sample.name: sample.value
        for metric in following.FRESHNESS.collect()
        for sample in metric.samples
        if sample.labels == {"shown": "operators"}
    }
    name = "crossdock_search_freshness_seconds"
    return found[f"{name}_count"], found[f"{name}_sum"]


# --- rebuilding


async def run(orders: Orders, job_id: UUID) -> Any:
    runner = jobs.JobRunner(topology.named("search")[0], orders.surroundings)
    runner.start(orders.organization_id, job_id)
    await asyncio.gather(*runner._running.values())
    return await orders.inside(jobs.get, job_id)


async def test_a_rebuild_mends_removes_adds_and_names_what_failed(orders: Orders) -> None:
    parts = [orders.has(number) for number in range(5)]
    await orders.hear(*map(placed, parts))
    await orders.build()
    await orders.finds("mug", *parts)
    # Without an event: one is gone, one has changed, one is new, one cannot be told.
    del orders.parts[parts[0].id]
    orders.becomes(parts[1], words=["Mended"])
    new = orders.has(9)
    orders.chokes_on = {parts[2].id}
    asked = await orders.inside(rebuilding.request, RebuildOperatorIndex(kind="order"))
    assert (await orders.inside(rebuilding.request, RebuildOperatorIndex(kind="order"))).id == asked.id
    job = await run(orders, asked.id)
    assert job.state == "succeeded"
    assert (job.counters["changed"], job.counters["failed"]) == (3, 1)
    assert job.log == [f"order {parts[2].id}: orders_choke: Played: no."]
    await orders.finds("mended", parts[1])
    await orders.finds("mug", *parts[1:], new)
    assert (await orders.inside(rebuilding.request, RebuildOperatorIndex(kind="order"))).id != asked.id


@pytest.mark.feature("SEA-7")
async def test_a_check_names_what_differs_and_mends_it_if_told_to(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer_checking, "SETTLES_SECONDS", 0.01)
    monkeypatch.setattr(checking, "BATCH", 2)
    parts = sorted((orders.has(number) for number in range(7)), key=lambda part: part.id)
    await orders.hear(*map(placed, parts))
    await orders.build()
    sound = await check(orders)
    assert (sound.state, sound.counters, sound.log, sound.progress.done) == ("succeeded", {"checked": 7}, [], 7)
    # Without an event: two are gone, one of them the last; one has changed, one is lost, one cannot be told.
    for gone in (parts[0], parts[6]):
        del orders.parts[gone.id]
    orders.becomes(parts[1], words=["Mended"])
    await orders.change("DELETE FROM operator_documents WHERE id = $1", parts[2].id)
    orders.chokes_on = {parts[3].id}
    # What is marked to be built is no finding, whatever its document says.
    await orders.change("UPDATE operator_documents SET entry = '{\"at\":1}' WHERE id = $1", parts[4].id)
    await orders.hear(placed(parts[4]))
    wrong = {"superfluous": 2, "outdated": 1, "missing": 1, "failed": 1, "checked": 5}
    found = await check(orders)
    assert found.counters == wrong
    assert sorted(found.log) == sorted(
        [
            *(f"order {parts[n].id}: superfluous" for n in (0, 6)),
            f"order {parts[1].id}: outdated",
            f"order {parts[2].id}: missing",
            f"order {parts[3].id}: orders_choke: Played: no.",
        ]
    )
    assert await orders.marked() == {parts[4].id}
    mended = await check(orders, repair=True)
    assert mended.counters == {**wrong, "marked": 4}
    orders.chokes_on = set()
    await orders.build()
    assert (await check(orders)).counters == {"checked": 5}
    await orders.finds("mug", *parts[1:6])
    await orders.finds("mended", parts[1])


async def check(orders: Orders, *, repair: bool = False) -> Any:
    asked = [await orders.inside(checking.request, CheckOperatorIndex(kind="order", repair=repair)) for _ in range(2)]
    assert asked[0].id == asked[1].id
    return await run(orders, asked[0].id)


async def test_a_killed_rebuild_goes_on_where_it_was(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 2)
    parts = [orders.has(number) for number in range(5)]
    asked = await orders.inside(rebuilding.request, RebuildOperatorIndex(kind="order"))
    reached = asyncio.Event()

    async def hangs_at_the_second() -> None:
        if await orders.documents():
            reached.set()
            await asyncio.Event().wait()

    orders.pause = hangs_at_the_second
    runner = jobs.JobRunner(topology.named("search")[0], orders.surroundings)
    runner.start(orders.organization_id, asked.id)
    await asyncio.wait_for(reached.wait(), 60)
    for task in runner._running.values():
        task.cancel()
    await asyncio.gather(*runner._running.values(), return_exceptions=True)
    assert len(await orders.documents()) == 2
    await orders.change("UPDATE jobs SET lease_until = now() - interval '1 second'")
    orders.pause = None
    job = await run(orders, asked.id)
    assert (job.state, job.counters["built"], job.progress.done) == ("succeeded", 5, 5)
    await orders.finds("mug", *parts)


async def test_what_was_there_before_the_documents_is_filled_by_the_task_of_the_migration(
    orders: Orders,
) -> None:
    parts = [orders.has(number) for number in range(3)]
    for _ in range(2):
        await orders.inside(
            lambda uow: topology.named("search")[0].tasks["fill_operator_documents"].function({"kinds": ["order"]}, uow)
        )
    (begun,) = await orders.rows("SELECT id FROM jobs")
    assert (await run(orders, begun["id"])).state == "succeeded"
    await orders.finds("mug", *parts)


async def test_a_mark_left_after_the_version_was_taken_survives_the_build(orders: Orders) -> None:
    part = orders.has()
    version = await batches.take_version(orders.unit)
    await orders.hear(placed(part))
    await orders.inside(MARKS.settle, "order", [part.id], version)
    assert await orders.marked() == {part.id}
    assert (await orders.inside(MARKS.list_due, "order", 10))[0].marked_at <= clock.now()
