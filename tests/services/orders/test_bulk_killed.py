"""A job that acts on many orders and whose worker is killed acts on each once; nobody else works here."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from deploy import topology
from services.orders.use_cases import bulk_actions, lifecycle
from shared import jobs
from shared.bus.envelope import service_envelope
from shared.contracts.orders.bulk import ActOnOrders
from shared.contracts.orders.lists import OrderFilter
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("SYN-13", "OPS-4")


async def run(seller: Seller, job_id: UUID, killed: asyncio.Event | None = None) -> dict[str, Any]:
    """Run a job to its end, or until this happens; then as after the lease of its dead worker."""
    runner = jobs.JobRunner(topology.named("orders")[0], seller.process.surroundings)
    runner.start(seller.organization_id, job_id)
    (task,) = runner._running.values()
    if killed is not None:
        await asyncio.wait_for(killed.wait(), 30)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
    await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    row = await uow.fetchrow("SELECT state, counters, done FROM jobs WHERE id = $1", job_id)
    await uow.commit()
    assert row is not None
    return {**row, "counters": orjson.loads(row["counters"])}


@pytest.mark.parametrize("action", ["hold", "cancel", "release"])
async def test_killed_in_the_middle_each_order_moves_once(
    process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    monkeypatch.setattr(bulk_actions, "_AT_ONCE", 2)
    seller = await Seller(process).open({"MUG": "10.00"}, {"MUG": 500})
    orders = [await seller.place(MUG=1) for _ in range(5)]
    everything = OrderFilter(sku="MUG")
    if action == "release":
        held = await seller.ask(ActOnOrders(action="hold", filter=everything, reason="A test"))
        assert (await run(seller, held.job.id))["counters"] == {"changed": 5}
    started = await seller.ask(ActOnOrders(action=action, filter=everything, reason="A test"))
    assert started.orders == 5
    reached, calls, original = asyncio.Event(), 0, getattr(lifecycle, action)

    async def hangs_at_the_fourth(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            reached.set()
            await asyncio.Event().wait()
        return await original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, action, hangs_at_the_fourth)
        killed = await run(seller, started.job.id, reached)
    assert (killed["state"], killed["done"]) == ("running", 2)
    done = await run(seller, started.job.id)
    assert (done["state"], done["done"]) == ("succeeded", 5)
    # What was released, and not counted before the kill, is not on hold any more.
    assert done["counters"] == ({"changed": 4, "unchanged": 1} if action == "release" else {"changed": 5})
    becomes = {"hold": "on_hold", "cancel": "cancelled", "release": "pending"}[action]
    for order in orders:
        now = await seller.order(order.id)
        assert now.status == becomes
        moves = [entry for entry in now.timeline if entry.kind == "moved"]
        assert len(moves) == (2 if action == "release" else 1)
        assert {entry.actor for entry in moves} == {seller.caller.name}
