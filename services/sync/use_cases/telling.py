"""Whoever keeps products and orders to be found is told which of them stand otherwise on a connection (SYN-13)."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import orjson

from services.sync.platforms.registry import get_platform
from services.sync.repository import connections, standings
from shared.contracts.sync.events import MOST_IDS, ListingsChanged
from shared.contracts.sync.shapes import ConnectionIdentity
from shared.contracts.sync.standings import (
    ConnectionIdentities,
    GetListingStandings,
    ListingStanding,
    ListingStandings,
    NamedConnection,
    NamedConnections,
)
from shared.unit_of_work import UnitOfWork

# Rows that are read for one transaction's events.
_AT_ONCE = 20 * MOST_IDS


async def tell_touched(uow: UnitOfWork) -> None:
    """Announce what was touched, each once, a thousand at a time; and what is more by a task of its own."""
    rows = await standings.take_touched(uow, _AT_ONCE)
    for ids in _portions(rows, "product"):
        uow.record(ListingsChanged(product_ids=ids))
    for ids in _portions(rows, "order"):
        uow.record(ListingsChanged(order_ids=ids))
    if len(rows) == _AT_ONCE:
        standings.tell_soon(uow)


def _portions(rows: Sequence[asyncpg.Record], kind: str) -> list[list[UUID]]:
    ids = list(dict.fromkeys(row["record_id"] for row in rows if row["kind"] == kind))
    return [ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS)]


async def list_standings(uow: UnitOfWork, asked: GetListingStandings) -> ListingStandings:
    rows = await standings.list_standings(uow, asked.product_ids, asked.order_ids)
    return ListingStandings(items=[_standing(row) for row in rows])


def _standing(row: asyncpg.Record) -> ListingStanding:
    paths = [path for each in row["categories"] or () for path in orjson.loads(each)]
    return ListingStanding.known(**{**row, "categories": paths})


async def list_named(uow: UnitOfWork, shop_ids: list[UUID] | None) -> NamedConnections:
    rows = await connections.list_of_shops(uow, shop_ids)
    return NamedConnections(
        connections=[
            NamedConnection(
                id=row["id"],
                name=row["name"],
                platform=row["platform"],
                platform_title=get_platform(row["platform"]).title,
            )
            for row in rows
        ]
    )


async def list_identities(uow: UnitOfWork) -> ConnectionIdentities:
    return ConnectionIdentities(connections=[identity(row) for row in await connections.list_of_shops(uow, None)])


def identity(row: asyncpg.Record) -> ConnectionIdentity:
    """A connection as those know it who keep a copy of what it is called."""
    return ConnectionIdentity(id=row["id"], shop_id=row["shop_id"], name=row["name"], version=row["version"])
