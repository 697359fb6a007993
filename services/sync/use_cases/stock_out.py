"""Our stock goes to a platform: what can be sold of each SKU in each of its places, where that is different there."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.platforms.base import Scan, StockWrite, Written
from services.sync.platforms.registry import get_platform
from services.sync.repository import changes, connections, listings
from services.sync.repository.changes import Found
from services.sync.use_cases.analysing import analyse
from services.sync.use_cases.executing import Run
from services.sync.use_cases.keeping import as_kept
from services.sync.use_cases.sending import LESS_IS_THERE, Queued, send
from services.sync.use_cases.sessions import lacks_of
from shared.contracts.inventory.messages import GetAvailability, GetCentreStock
from shared.contracts.sync.shapes import ChangeState
from shared.unit_of_work import UnitOfWork

_COMPARED_AT_ONCE = 1000
# By so much a platform's clock may be behind ours, where levels of what was just made are looked for.
_CLOCKS_DIFFER = timedelta(hours=1)
# A level of which units are sold over there each time before it is lowered is left to the next run after so many tries.
_MOST_LOWERINGS = 3


async def export_stock(run: Run) -> None:
    """Find the levels of what was made there, compare what changed, then send what is different."""
    if run.only is None:
        await _find_levels(run)
        while await _compare_some(run):
            pass
    await send(run, ("stock",), _write)
    for _ in range(_MOST_LOWERINGS):
        if not run.job.checkpoint.pop(LESS_IS_THERE, False):
            return
        run.job.checkpoint["sent"] = None
        await send(run, ("stock",), _write)


async def _find_levels(run: Run) -> None:
    """Read what has changed of stock there since something was made: a new level is nothing, until ours is written.

    A run that was killed meanwhile begins anew: nothing is taken for read before its end.
    """
    since, wanted = run.connection["levels_since"], run.connection["levels_wanted"]
    if since is None or "import_stock" in lacks_of(run.connection):
        return
    resume: str | None = None
    while True:
        await run.go_on()
        page = await run.session.page(Scan("stock", since - _CLOCKS_DIFFER, None, resume))
        async with run.job.step() as uow:
            seen = [each for record in page.records for each in as_kept("stock", record)]
            await listings.store(uow, run.connection_id, seen)
            run.job.count("scanned", len(page.records))
        resume = page.resume
        if resume is None:
            break
    is_more = True
    while is_more:
        async with run.job.step() as uow:
            looked_at = await analyse(uow, run.connection, run.settings, ("stock",), _COMPARED_AT_ONCE)
            is_more = looked_at == _COMPARED_AT_ONCE
            if not is_more:
                await connections.note_levels(uow, run.connection_id, wanted)


async def check_stock(run: Run) -> None:
    """Compare all of the platform's stock with ours: what is different waits for a person, with both figures (INV-7).

    A difference may be a sale over there whose order has not come yet; written at once it would be sold twice.
    """
    while True:
        after = run.job.checkpoint.get("checked")
        uow = run.job.unit_of_work()
        try:
            rows = await listings.list_of_entity(
                uow, run.connection_id, "stock", UUID(after) if after else None, _COMPARED_AT_ONCE
            )
        finally:
            await uow.rollback()
        if not rows:
            return
        found, over = await _compared(run, rows, "review", "stock_check")
        async with run.job.step() as uow:
            await _keep(run, uow, found, over)
            run.job.checkpoint["checked"] = str(rows[-1]["id"])
            run.job.count("compared", len(rows))


async def _compare_some(run: Run) -> bool:
    """Queue what is different of the marked records; one whose mark came back meanwhile is compared again."""
    uow = run.job.unit_of_work()
    try:
        rows = await listings.list_marked(uow, run.connection_id, "stock", _COMPARED_AT_ONCE)
    finally:
        await uow.rollback()
    if not rows:
        return False
    found, over = await _compared(run, rows, "queued", None)
    async with run.job.step() as uow:
        await _keep(run, uow, found, over)
        await listings.unmark(uow, rows)
        run.job.count("compared", len(rows))
    return len(rows) == _COMPARED_AT_ONCE


async def _compared(
    run: Run, rows: Sequence[asyncpg.Record], state: ChangeState, reason: str | None
) -> tuple[list[Found], list[tuple[UUID, str]]]:
    """What is different, and what is not any more."""
    there = await _there(run, rows)
    wanted = await _wanted(run, rows)
    found, over = [], []
    for row in rows:
        quantity = wanted.get((row["sku"], _place(row)))
        before = there[row["id"]]
        if quantity is None or quantity == before:
            over.append((row["id"], "quantity"))
        else:
            since = row["stale_since"]
            found.append(Found(row["id"], "stock", "out", "update", "quantity", before, quantity, state, reason, since))
    return found, over


async def _keep(run: Run, uow: UnitOfWork, found: Sequence[Found], over: Sequence[tuple[UUID, str]]) -> None:
    if over:
        await changes.call_off(uow, "out", over, "agreed")
    if found:
        await changes.queue(uow, run.connection_id, found)
    run.job.count("different", len(found))


async def _there(run: Run, rows: Sequence[asyncpg.Record]) -> dict[UUID, int | None]:
    """What the platform has of each, as far as it is known; of what it has sold itself it is asked."""
    known = {row["id"]: orjson.loads(row["acknowledged"] or "{}").get("quantity") for row in rows}
    unknown = [row for row in rows if known[row["id"]] is None]
    size = get_platform(run.connection["platform"]).page_size
    for start in range(0, len(unknown), size):
        await run.go_on()
        some = {row["external_id"]: row["id"] for row in unknown[start : start + size]}
        records = await run.session.read("stock", list(some))
        async with run.job.step() as uow:
            await listings.acknowledge(uow, {some[each.external_id]: each.fields for each in records})
        known |= {some[each.external_id]: each.fields.get("quantity") for each in records}
    return known


def _place(row: asyncpg.Record) -> str:
    return str(orjson.loads(row["remote"]).get("location"))


async def _wanted(run: Run, rows: Sequence[asyncpg.Record]) -> dict[tuple[str, str], int]:
    """What each place should have, by SKU and place. Places that no centre is set for are left alone."""
    skus = sorted({row["sku"] for row in rows if row["sku"]})
    ask = run.job.unit_of_work().ask
    kept_back = run.settings.stock_buffer
    if not run.settings.locations:
        answer = await ask(GetAvailability(shop_id=run.connection["shop_id"], skus=skus), timeout_seconds=60)
        # One that we have never heard of is not ours to set to nothing.
        whole = {item.sku: item.available_quantity for item in answer.items if item.not_sold is None}
        return {(row["sku"], _place(row)): max(whole[row["sku"]] - kept_back, 0) for row in rows if row["sku"] in whole}
    stock = await ask(GetCentreStock(skus=skus), timeout_seconds=60)
    of_centre = {(sku, centre): available for sku, centre, available, _ in stock.rows}
    wanted: dict[tuple[str, str], int] = {}
    for row in rows:
        centre = run.settings.locations.get(_place(row))
        if centre is not None and (row["sku"], centre) in of_centre:
            wanted[row["sku"], _place(row)] = max(of_centre[row["sku"], centre] - kept_back, 0)
    return wanted


async def _write(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    writes = [_stock_write(queued) for queued in batch]
    return await run.session.write_stock(writes)


def _stock_write(queued: Queued) -> StockWrite:
    expected: Any = queued.expected["quantity"]
    return StockWrite(
        operation_key=queued.operation_key,
        external_id=queued.row["external_id"],
        sku=queued.row["sku"],
        location=_place(queued.row),
        quantity=queued.fields["quantity"],
        expected=expected,
        references=queued.references,
    )
