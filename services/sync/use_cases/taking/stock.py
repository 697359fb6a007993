"""Stock of a platform becomes ours once, at set-up or when going live: each place's figures are those of its centre.

What a platform can sell is less what its open orders hold; ours is on hand, with what is reserved. So what is reserved
here is added, or it would be taken off twice.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.repository import connections, issues, listings
from services.sync.repository.issues import Trouble
from services.sync.use_cases.executing import Run
from shared import clock
from shared.contracts.inventory.messages import GetCentreStock, UpdateStock
from shared.contracts.inventory.shapes import StockUpdated

_ROWS_AT_ONCE = 2000


async def take_stock(run: Run) -> None:
    """Set what is on hand in our centres to what the platform can sell, 2,000 rows at a time.

    A row counts once: its reference is the run's and its own, so that a kill costs nothing.
    """
    while await _take_some(run):
        pass
    async with run.job.step() as uow:
        # Not before the last row of a place is taken: a run that tries again what failed goes by what is open.
        mapped = [f"location {place}" for place in run.settings.locations]
        await issues.resolve(uow, run.connection_id, run.kind, mapped)
        # What is not here was not imported: writing ours would set it to nothing.
        if not run.job.counters.get("failed"):
            await connections.put(uow, run.connection_id, {"stock_imported_at": clock.now()}, is_new_version=False)


async def _take_some(run: Run) -> bool:
    after = run.job.checkpoint.get("taken")
    uow = run.job.unit_of_work()
    try:
        rows = await listings.list_of_entity(
            uow, run.connection_id, "stock", UUID(after) if after else None, _ROWS_AT_ONCE
        )
        only = None
        if run.rerun_of is not None:
            only = await issues.list_subjects(uow, run.connection_id, run.kind, run.rerun_of)
    finally:
        await uow.rollback()
    if not rows:
        return False
    places = run.settings.locations
    known, troubles = [], []
    for row in rows:
        fields = orjson.loads(row["remote"])
        if only is not None and not only & {row["external_id"], f"location {fields.get('location')}"}:
            continue
        centre = places.get(str(fields.get("location")))
        if centre is None:
            place = str(fields.get("location"))
            message = f"No fulfilment centre is set for the place {place}; its stock was not taken."
            troubles.append(Trouble(run.kind, "error", "location_not_mapped", message, f"location {place}"))
        elif row["sku"] and isinstance(fields.get("quantity"), int):
            known.append((row, {"sku": row["sku"], "centre": centre, "on_hand": max(fields["quantity"], 0)}))
    updated = await _updated(run, known)
    async with run.job.step() as uow:
        await issues.resolve(uow, run.connection_id, run.kind, [row["external_id"] for row, _ in known])
        for result in updated.results if updated else ():
            if result.status == "failed":
                row = known[result.row - 1][0]
                troubles.append(_trouble(run, row, str(result.code), str(result.message)))
        if troubles:
            await run.tell(uow, *troubles)
        run.job.count("applied", updated.applied + updated.unchanged if updated else 0)
        run.job.count("failed", len(troubles))
        run.job.checkpoint["taken"] = str(rows[-1]["id"])
    return True


def _trouble(run: Run, row: asyncpg.Record, code: str, message: str) -> Trouble:
    return Trouble(run.kind, "error", code, message, row["external_id"], row["id"])


async def _updated(run: Run, known: Sequence[tuple[asyncpg.Record, dict[str, Any]]]) -> StockUpdated | None:
    if not known:
        return None
    stock = await run.job.unit_of_work().ask(
        GetCentreStock(skus=sorted({values["sku"] for _, values in known})), timeout_seconds=60
    )
    reserved = {(sku, centre): held for sku, centre, _, held in stock.rows}
    rows = [
        {
            "sku": values["sku"],
            "centre": values["centre"],
            "on_hand": values["on_hand"] + reserved.get((values["sku"], values["centre"]), 0),
            "reference": f"connection import {run.job.id} {row['id']}",
        }
        for row, values in known
    ]
    updated: StockUpdated = await run.job.unit_of_work().ask(UpdateStock(rows=rows), timeout_seconds=60)
    return updated
