"""How a connection stands: what it has, what waits, how its feeds have gone, and what of its budget is used."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import orjson

from services.sync.budget import Budgets
from services.sync.models import colour_of, execution_state
from services.sync.repository import connections, stats
from services.sync.use_cases.sessions import lacks_of
from shared import clock
from shared.contracts.orders.imported import ListMissingStock, MissingStock
from shared.contracts.sync.shapes import ChangeState, Colour, Direction
from shared.contracts.sync.upkeep import ChangeCount, ConnectionStats, FeedStanding, ListingCount, RequestBudget
from shared.contracts.sync.work import Clock
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork


async def tell(uow: UnitOfWork, connection_id: UUID) -> ConnectionStats:
    """Raises ConnectionNotFound."""
    async with uow.beforehand() as earlier:
        await connections.get(earlier, connection_id)
    budget = await _budget(uow.resident(Budgets), connection_id)
    oversold = await _oversold(uow, connection_id)
    connection = await connections.get(uow, connection_id)
    return ConnectionStats(
        listings=[ListingCount(**dict(row)) for row in await stats.count_listings(uow, connection_id)],
        changes=_changes(await stats.count_changes(uow, connection_id)),
        issues=dict.fromkeys(("info", "retry", "error"), 0) | await stats.count_issues(uow, connection_id),
        clocks=[Clock(**dict(row)) for row in await connections.list_clocks(uow, connection_id)],
        feeds=[_feed(row, connection) for row in await stats.list_feeds(uow, connection_id)],
        budget=budget,
        oversold=oversold,
    )


async def _oversold(uow: UnitOfWork, connection_id: UUID) -> list[MissingStock]:
    """None of a connection that orders is yet to hear of: nothing came by it."""
    try:
        return (await uow.ask(ListMissingStock(connection_id=connection_id))).items
    except CrossdockError as error:
        if error.code != "order_connection_not_found":
            raise
        return []


async def _budget(budgets: Budgets, connection_id: UUID) -> RequestBudget | None:
    found = await budgets.of(connection_id).look()
    if found is None:
        return None
    left, most, per_second, rests_seconds = found
    return RequestBudget(
        most=most,
        left=round(left, 1),
        per_second=per_second,
        used_percent=round(100 * (1 - left / most), 1),
        rests_until=clock.now() + timedelta(seconds=rests_seconds) if rests_seconds > 0 else None,
    )


def _changes(rows: Sequence[asyncpg.Record]) -> list[ChangeCount]:
    counts: dict[tuple[Direction, Colour, ChangeState], int] = {}
    for row in rows:
        alike = row["direction"], colour_of(row["kind"], row["state"]), row["state"]
        counts[alike] = counts.get(alike, 0) + row["count"]
    return [
        ChangeCount(direction=direction, colour=colour, state=state, count=count)
        for (direction, colour, state), count in counts.items()
    ]


def _feed(row: asyncpg.Record, connection: asyncpg.Record) -> FeedStanding:
    """One that the connection lacks does not run, whatever its schedule says."""
    is_running, is_paused = row["is_enabled"] and row["kind"] not in lacks_of(connection), connection["is_paused"]
    last = row["last_state"]
    speed = row["records_per_second"]
    return FeedStanding(
        kind=row["kind"],
        is_enabled=row["is_enabled"],
        next_run_at=row["next_run_at"] if is_running else None,
        last_run_at=row["last_run_at"],
        last_state=None
        if last is None
        else execution_state(last, orjson.loads(row["last_counters"]), is_paused=is_paused),
        last_success_at=row["last_success_at"],
        records_per_second=None if speed is None else round(speed, 1),
        failures=row["failures"],
    )
