"""Applying a stock check: differences become adjustments in the ledger, each once, some at a time.

The state of a row is written in the transaction of its movement: whoever is killed goes on with the rows that are left.
Under the lock of stock every row is looked at anew. Only where the ledger still gives the difference that somebody
chose is it applied, so that what another check, or a late booking, has mended meanwhile is not mended twice.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.repository import bulk, movements, stock_checks
from services.inventory.repository import kits as kit_queries
from services.inventory.repository.stock_checks import JudgedRow
from services.inventory.use_cases import alerts, ledger
from services.inventory.use_cases.adjusting import MOST_ON_HAND
from services.inventory.use_cases.comparing import judge, refuse_removed
from services.inventory.use_cases.kits import IS_KIT
from services.inventory.use_cases.ledger import Ledger
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

ROWS_AT_ONCE = 500


async def correct(job: RunningJob) -> None:
    """Apply the chosen rows of a check. Raises CentreRemoved."""
    check_id = UUID(job.parameters["check_id"])
    if job.total is None:
        async with job.step() as uow:
            job.total = await stock_checks.count_chosen(uow, check_id)
    is_unfinished = True
    while is_unfinished:
        async with job.step() as uow:
            chosen = await _correct_some(uow, job, check_id)
            job.done += chosen
            is_unfinished = chosen == ROWS_AT_ONCE


async def _correct_some(uow: UnitOfWork, job: RunningJob, check_id: UUID) -> int:
    check = await stock_checks.find(uow, check_id)
    assert check is not None
    await refuse_removed(uow, check)
    await bulk.look_up_by_keys(uow)
    chosen = await stock_checks.list_chosen(uow, check_id, ROWS_AT_ONCE)
    if not chosen:
        return 0
    among = await kit_queries.list_kits_among(uow, [row["sku"] for row in chosen])
    await stock_checks.refuse_skus(uow, check_id, sorted(among), "is_kit", IS_KIT)
    rows = [row for row in chosen if row["sku"] not in among]
    judged = await _apply(uow, check, rows, job.parameters["reason"]) if rows else []
    await stock_checks.write_judged(uow, check_id, judged)
    became: list[Any] = [*(row.state for row in judged), *("refused" for _ in among)]
    await stock_checks.add_to_counts(uow, check_id, became)
    for state in became:
        job.count("told_anew" if state == "differs" else state)
    return len(chosen)


async def _apply(
    uow: UnitOfWork, check: asyncpg.Record, rows: Sequence[asyncpg.Record], reason: str
) -> list[JudgedRow]:
    places = [(row["sku"], check["centre_id"]) for row in rows]
    locked = await ledger.lock_places(uow, places, create=True)
    was_short = {place for place, stock in locked.stock.items() if stock.is_short}
    reference = f"stock-check:{check['id']}"
    taken = await movements.list_applied_references(uow, [(*place, reference) for place in places])
    figures = await stock_checks.list_figures_of(uow, check["id"], [row["number"] for row in rows])
    judged = []
    for row in figures:
        place = row["sku"], check["centre_id"]
        judged.append(_correct_one(row, locked, place, (reference, reason), is_taken=(*place, reference) in taken))
    await locked.write(uow)
    await alerts.tell_of_short_stock(uow, locked.stock.values(), was_short)
    return judged


def _correct_one(
    row: asyncpg.Record, locked: Ledger, place: tuple[str, UUID], why: tuple[str, str], *, is_taken: bool
) -> JudgedRow:
    """Apply a row where it is still what was chosen; otherwise say what it is now."""
    now = judge(row)
    difference = row["counted"] - now.booked
    if now.state != "differs":
        return now
    if is_taken:
        message = "A movement of this SKU has the reference of this check already."
        return replace(now, state="refused", code="reference_reused", message=message)
    if now.booked != row["booked"]:
        return replace(now, message="The books say something else of that moment than before: look at it again.")
    if now.on_hand + difference > MOST_ON_HAND:
        return replace(now, state="refused", code="too_much_stock", message="That is beyond all bounds.")
    locked.note(locked.stock[place].correct(difference, row["counted_at"], *why))
    return replace(now, state="applied")
