"""What a deleted connection had is kept for a time, and can be read and downloaded (SYN-16).

The connection itself, its feeds and its clocks are kept in the transaction that deletes it; its records follow, see
`dropping.py`. Credentials are not kept, nor who the buyers of orders were: orders stay, and know it.
"""

import asyncio
import gzip
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ConnectionSnapshotNotWhole
from services.sync.repository import snapshots
from services.sync.settings import sync_settings
from shared.contracts.base import Page
from shared.contracts.sync.shapes import Connection
from shared.contracts.sync.snapshots import ConnectionSnapshot, ConnectionSnapshotSheet
from shared.contracts.sync.work import Clock, Feed
from shared.pagination import cursor_for, cursor_values, id_after, page_by_id
from shared.unit_of_work import UnitOfWork

# The first level is a third of the time of the usual one, for a tenth more bytes.
_EFFORT = 1


async def begin(
    uow: UnitOfWork,
    shop_id: UUID,
    connection: Connection,
    feeds: list[Feed],
    clocks: list[Clock],
    counts: dict[str, int],
) -> None:
    """Keep what a connection is, before it is no more."""
    head = {
        "connection": connection.model_dump(mode="json"),
        "feeds": [each.model_dump(mode="json") for each in feeds],
        "clocks": [each.model_dump(mode="json") for each in clocks],
    }
    await snapshots.begin(uow, connection.id, shop_id, orjson.dumps(head).decode(), counts)


async def keep(uow: UnitOfWork, connection_id: UUID, number: int, lines: list[str]) -> None:
    """Keep a portion of its records."""
    text = "".join(f"{line}\n" for line in lines).encode()
    packed = await asyncio.to_thread(gzip.compress, text, _EFFORT)
    await snapshots.add_part(uow, connection_id, number, packed)


async def get(uow: UnitOfWork, connection_id: UUID) -> ConnectionSnapshot:
    """Raises ConnectionSnapshotNotFound."""
    return _shape(await snapshots.get(uow, connection_id))


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[ConnectionSnapshot]:
    return page_by_id(await snapshots.list_page(uow, id_after(after), first + 1), first, _shape)


async def sheet(uow: UnitOfWork, connection_id: UUID, after: str | None) -> ConnectionSnapshotSheet:
    """Raises ConnectionSnapshotNotFound, ConnectionSnapshotNotWhole, InvalidCursor."""
    position = cursor_values(after, 1)
    row = await snapshots.get(uow, connection_id)
    if row["whole_at"] is None:
        raise ConnectionSnapshotNotWhole("Its records are still on their way; ask again in a moment.")
    number = 0 if position is None else int(position[0])
    packed = await snapshots.get_part(uow, connection_id, number)
    if packed is None:
        return ConnectionSnapshotSheet(lines="")
    text = (await asyncio.to_thread(gzip.decompress, packed)).decode()
    following = cursor_for(number + 1) if number + 1 < row["parts"] else None
    return ConnectionSnapshotSheet(lines=text, next=following)


def _shape(row: asyncpg.Record) -> ConnectionSnapshot:
    head: dict[str, Any] = orjson.loads(row["head"])
    kept_until = (row["whole_at"] or row["taken_at"]) + sync_settings().snapshot_retention
    return ConnectionSnapshot(
        id=row["connection_id"],
        shop=row["shop"],
        **head,
        counts=orjson.loads(row["counts"]),
        taken_at=row["taken_at"],
        is_whole=row["whole_at"] is not None,
        kept_until=kept_until,
    )
