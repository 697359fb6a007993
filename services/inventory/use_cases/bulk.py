"""Bulk updates: what comes once per SKU and centre is judged and written by the database in one statement."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from services.inventory.models import Place, Stock
from services.inventory.repository import balances, bulk
from services.inventory.repository.bulk import BulkRows
from services.inventory.use_cases import alerts, ledger, levels
from services.inventory.use_cases.stock_rows import ReadRow
from shared import clock
from shared.contracts.inventory.shapes import StockRowResult
from shared.identifiers import new_ids
from shared.unit_of_work import UnitOfWork


async def make(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Make the stock there is none of, in the order in which everybody locks."""
    await bulk.look_up_by_keys(uow)
    await balances.make_stock(uow, places)


async def apply(uow: UnitOfWork, rows: Sequence[ReadRow]) -> list[StockRowResult]:
    """Apply rows, each for a place of its own, whose stock is locked."""
    _, skus, _, centre_ids, on_hand, deltas, references, as_of, policies = zip(*rows, strict=True)
    ids = new_ids(len(rows))
    wanted = BulkRows(skus, centre_ids, on_hand, deltas, references, as_of, policies, ids)
    done = await bulk.apply(uow, wanted, clock.now())
    await _tell(uow, rows, done)
    return [_result(row, record) for row, record in zip(rows, done, strict=True)]


async def _tell(uow: UnitOfWork, rows: Sequence[ReadRow], done: Sequence[asyncpg.Record]) -> None:
    """Announce what may sell differently, and what is short or low now or is not any more."""
    changed: set[str] = set()
    crossed: set[str] = set()
    short: list[Stock] = []
    was_short: set[Place] = set()
    served: list[Place] = []
    crossing: list[Stock] = []
    was_low: set[Place] = set()
    for row, record in zip(rows, done, strict=True):
        _, _, on_hand_before, on_hand, reserved, policy_before, policy, backordered, warning_level, _ = record
        if on_hand_before == on_hand and policy_before == policy:
            continue
        changed.add(row.sku)
        if _has_any(on_hand_before, reserved, policy_before) != _has_any(on_hand, reserved, policy):
            crossed.add(row.sku)
        if backordered or reserved > on_hand:
            before, after = _stocks(row.sku, row.centre_id, record)
            short.append(after)
            was_short |= {before.place} if before.is_short else set()
            if after.backordered < before.backordered:
                served.append(after.place)
        if warning_level is not None:
            before, after = _stocks(row.sku, row.centre_id, record)
            crossing.append(after)
            was_low |= {before.place} if before.is_low else set()
            crossed |= {row.sku} if before.is_low != after.is_low else set()
    if changed:
        await ledger.announce_with_kits(uow, sorted(changed), crossed)
    ledger.leave_serving(uow, served)
    levels.tell_of_crossed(uow, crossing, was_low)
    await alerts.tell_of_short_stock(uow, short, was_short)


def _has_any(on_hand: int, reserved: int, policy: str) -> bool:
    """Whether there is any of it: the first half of `Stock.standing`."""
    return on_hand > reserved or policy == "always"


def _stocks(sku: str, centre_id: UUID, record: asyncpg.Record) -> tuple[Stock, Stock]:
    """A place before and after."""
    known = {name: record[name] for name in ("reserved", "warning_level", "ideal_level")}
    short = max(record["reserved"] - record["after"], 0)
    before = Stock(
        sku, centre_id, record["before"], backordered=record["backordered"], policy=record["policy_before"], **known
    )
    return before, Stock(sku, centre_id, record["after"], backordered=short, policy=record["policy_after"], **known)


_FAILURES: Mapping[str, str] = {
    "reference_reused": "This reference was used for another change of this stock.",
    "too_much_stock": "That is beyond all bounds.",
}


def _result(row: ReadRow, record: asyncpg.Record) -> StockRowResult:
    _, verdict, _, on_hand, reserved, *_ = record
    if verdict == "negative_stock":
        message = f"Only {on_hand} are on hand."
        return row.result("failed", on_hand=on_hand, code=verdict, message=message)
    if verdict in _FAILURES:
        known = on_hand if verdict == "too_much_stock" else None
        return row.result("failed", on_hand=known, code=verdict, message=_FAILURES[verdict])
    available = on_hand - reserved if on_hand > reserved else 0
    return row.result(verdict, on_hand, reserved, available)
