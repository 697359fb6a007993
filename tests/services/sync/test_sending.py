"""What waits is written batch by batch: one request at a time, which waits for nothing of ours (SYN-3, SYN-12)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.sync.budget import Budgets, RedisBudget
from services.sync.platforms.custom.platform import Custom
from services.sync.platforms.registry import PLATFORMS
from services.sync.repository import changes
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.services.sync.test_in_sets import live
from tests.waiting import until

pytestmark = pytest.mark.feature("SYN-3", "SYN-12")

RECORDS, AT_ONCE = 6, 2


class Small(Custom):
    """Takes two writes at once."""

    page_size = AT_ONCE


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLATFORMS, "custom", Small())


async def different(connected: Connected, fake: CustomShop) -> None:
    """Six levels, live, and each is another one here."""
    await live(connected, fake, RECORDS)
    rows = [{"sku": f"SCARF-{number}", "centre": "quay", "delta": -1} for number in range(1, RECORDS + 1)]
    await connected.post("/v1/stock/bulk", rows)

    async def all_are_marked() -> bool:
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        count: int = await uow.fetchval("SELECT count(*) FROM listings WHERE entity = 'stock' AND marks > 0")
        await uow.rollback()
        return count == RECORDS

    await eventually(all_are_marked)


def requests(fake: CustomShop) -> int:
    return len([each for each in fake.requests if each.startswith("POST /stock")])


async def until_asked(fake: CustomShop, count: int) -> None:
    """Until so many requests have written stock."""

    async def are_there() -> bool:
        return requests(fake) == count

    await until(are_there)


def held(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], Awaitable[None]]) -> list[int]:
    """Do something before what came of a batch is kept; which batches were, counted from 1."""
    settle, batches = changes.settle_tried, []

    async def settling(*arguments: Any, **named: Any) -> None:
        batches.append(len(batches) + 1)
        await before(batches[-1])
        await settle(*arguments, **named)

    monkeypatch.setattr(changes, "settle_tried", settling)
    return batches


async def test_the_next_batch_is_written_while_what_came_of_one_is_kept(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await different(connected, fake)
    before = requests(fake)

    async def is_written(batch: int) -> None:
        if batch * AT_ONCE < RECORDS:
            await until_asked(fake, before + batch + 1)

    batches = held(monkeypatch, is_written)
    done = await connected.run("export_stock")
    assert (done["state"], done["counters"]["sent"], batches) == ("succeeded", RECORDS, [1, 2, 3])
    assert requests(fake) - before == 3
    assert [write.has_changed for write in fake.writes] == [True] * RECORDS


async def test_a_pause_lets_the_request_under_way_come_to_its_end_and_sends_no_other(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await different(connected, fake)
    before = requests(fake)

    async def pause(batch: int) -> None:
        if batch == 1:
            # The next request is under way by now, or never.
            await until_asked(fake, before + 2)
            await connected.post(f"/v1/connections/{connected.id}/pause")

    batches = held(monkeypatch, pause)
    started = await connected.post(f"/v1/feeds/{connected.feeds['export_stock']['id']}/run", status=202)

    async def is_paused() -> bool:
        execution = await connected.get(f"/v1/feed-executions/{started['id']}")
        return bool(execution["state"] == "paused" and execution["progress"]["done"] == 2 * AT_ONCE)

    await eventually(is_paused)
    assert (requests(fake) - before, batches) == (2, [1, 2])
    assert {each["state"] for each in await connected.changes(direction="out")} == {"applied", "queued"}
    await connected.post(f"/v1/connections/{connected.id}/resume")
    done = await connected.ended(started["id"])
    assert (done["state"], done["counters"]["sent"]) == ("succeeded", RECORDS)
    assert (requests(fake) - before, len(fake.writes)) == (3, RECORDS)


async def test_what_was_written_is_kept_when_somebody_asks_the_run_to_stop(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await different(connected, fake)
    before = requests(fake)

    async def cancel(batch: int) -> None:
        if batch == 1:
            await until_asked(fake, before + 2)
            execution = await connected.get(f"/v1/feed-executions?connection_id={connected.id}&first=1")
            await connected.post(f"/v1/jobs/{execution['items'][0]['id']}/cancel")

    held(monkeypatch, cancel)
    started = await connected.post(f"/v1/feeds/{connected.feeds['export_stock']['id']}/run", status=202)
    done = await connected.ended(started["id"])
    assert (done["state"], done["counters"]["sent"]) == ("cancelled", 2 * AT_ONCE)
    assert requests(fake) - before == 2
    states = sorted(each["state"] for each in await connected.changes(direction="out"))
    assert states == ["applied"] * 4 + ["queued"] * 2
    again = await connected.run("export_stock")
    assert (again["counters"]["sent"], again["counters"].get("unchanged", 0)) == (2, 0)
    assert [write.has_changed for write in fake.writes] == [True] * RECORDS


async def test_what_waits_for_the_budget_is_not_sent_once_the_connection_is_paused(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await different(connected, fake)
    before, waits = len(fake.requests), 0
    wait_seconds = RedisBudget._wait_seconds

    async def waiting(budget: RedisBudget, points: float) -> float:
        nonlocal waits
        seconds = await wait_seconds(budget, points)
        waits += seconds > 0
        return seconds

    monkeypatch.setattr(RedisBudget, "_wait_seconds", waiting)
    budget = connected.process.surroundings.resident(Budgets).of(connected.id)
    await budget.learn(left=0, per_second=20, most=400)
    started = await connected.post(f"/v1/feeds/{connected.feeds['export_stock']['id']}/run", status=202)

    async def has_waited() -> bool:
        return waits > 0

    await until(has_waited)
    await connected.post(f"/v1/connections/{connected.id}/pause")

    async def rests() -> bool:
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        is_at_rest: bool = await uow.fetchval("SELECT run_id IS NULL FROM jobs WHERE id = $1", started["id"])
        await uow.rollback()
        return is_at_rest

    await eventually(rests)
    execution = await connected.get(f"/v1/feed-executions/{started['id']}")
    assert (execution["state"], execution["error"], len(fake.requests) - before) == ("paused", None, 0)
    assert {each["state"] for each in await connected.changes(direction="out")} == {"queued"}
    assert (await connected.get(f"/v1/issues?connection_id={connected.id}"))["items"] == []
    await budget.learn(left=400, per_second=20, most=400)
    await connected.post(f"/v1/connections/{connected.id}/resume")
    done = await connected.ended(started["id"])
    assert (done["state"], done["counters"]["sent"], len(fake.writes)) == ("succeeded", RECORDS, RECORDS)
