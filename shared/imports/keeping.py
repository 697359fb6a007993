"""How long files that came in are kept, as they came and with their refused rows: `CROSSDOCK_FILE_RETENTION`.

A file's row first says that it is gone. An hour later, when nobody can still be about to read what the row said before,
the file goes. Killed anywhere, the next run goes on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from shared import blobs, clock
from shared.contracts.platform.imports import service_of_import
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

# Whoever wrote a file has said by then in a committed row that it is there: fetching one takes an hour at most.
_UNNAMED = timedelta(hours=6)
_AFTER_MARK = timedelta(hours=1)
REMOVE = "imports.remove_files"
MARKED_AT_ONCE = 5000
# Well below what a task may take (`shared.messaging.performing.TASK_SECONDS`): the store may be slow with the last.
SWEEP_SECONDS = 20.0


@dataclass(frozen=True)
class KeptFiles:
    """Files of a folder of the blob store, named by the rows of a table (`shared.imports.schema.kept_files_v1`)."""

    folder: str
    table: str


IMPORTS = KeptFiles("imports", "imports")


async def mark_old(uow: UnitOfWork, kept: KeptFiles) -> bool:
    """Say of files whose time is over that they are gone, of so many at once. Returns whether that were all.

    Across tenants. Whoever marks does nothing else in this transaction: it holds the rows, and no store is waited for.
    The file of a job that waits or works is not touched.
    """
    marked = await uow.fetch(
        f"UPDATE {kept.table} SET files_removed_at = $2 WHERE (organization_id, id) IN ("  # noqa: S608
        f"SELECT t.organization_id, t.id FROM {kept.table} t"
        " JOIN jobs j ON j.organization_id = t.organization_id AND j.id = t.job_id"
        " WHERE t.files_removed_at IS NULL AND t.key IS NOT NULL AND t.created_at < $1"
        " AND j.state NOT IN ('queued', 'running') ORDER BY t.created_at LIMIT $3 FOR UPDATE OF t SKIP LOCKED)"
        " RETURNING id",
        clock.now() - settings().file_retention,
        clock.now(),
        MARKED_AT_ONCE,
    )
    return len(marked) < MARKED_AT_ONCE


async def forget_images(uow: UnitOfWork) -> None:
    """Forget what was before imports whose files are gone. Across tenants."""
    await uow.execute(
        "DELETE FROM import_images i USING imports t WHERE (t.organization_id, t.id) = (i.organization_id, i.import_id)"
        " AND t.files_removed_at IS NOT NULL"
    )


async def remove_marked(
    uow: UnitOfWork, kept: KeptFiles, start: UUID | None = None, unnamed: timedelta = _UNNAMED
) -> blobs.Swept:
    """Remove files of rows that were marked, and those older than `unnamed` that no row names, for a while.

    Across tenants, from the organization `start` on. Only reads of the database.
    """

    async def needed(organization_id: UUID, keys: Sequence[str]) -> Collection[str]:
        return await _needed(uow, kept, organization_id, keys)

    return await blobs.sweep_for(SWEEP_SECONDS, kept.folder, unnamed, needed, start=start)


async def _needed(uow: UnitOfWork, kept: KeptFiles, organization_id: UUID, keys: Sequence[str]) -> set[str]:
    """What rows name that are not marked for long enough, or was written for them; what somebody is still to be told
    of; and what is another service's to remove.
    """
    owners = {key: _owner(key) for key in keys}
    rows = await uow.fetch(
        f"SELECT id, key FROM {kept.table} WHERE organization_id = $1 AND (key = ANY($2) OR id = ANY($3))"  # noqa: S608
        " AND (files_removed_at IS NULL OR files_removed_at > $4)",
        organization_id,
        list(keys),
        [owner for owner in owners.values() if owner is not None],
        clock.now() - _AFTER_MARK,
    )
    ids, named = {row["id"] for row in rows}, {row["key"] for row in rows}
    named |= {key for key, owner in owners.items() if owner in ids or (kept == IMPORTS and not _is_ours(uow, owner))}
    return named | await _list_told(uow, organization_id, set(keys) - named)


async def _list_told(uow: UnitOfWork, organization_id: UUID, keys: Collection[str]) -> set[str]:
    """Of these files, those of events that not everybody has heard, such as the stock of an import of products."""
    if not keys:
        return set()
    rows = await uow.fetch(
        "SELECT DISTINCT o.payload->>'key' AS key FROM deliveries d JOIN outbox o"
        " ON (o.organization_id, o.id) = (d.organization_id, d.event_id)"
        " WHERE d.organization_id = $1 AND o.payload->>'key' = ANY($2)",
        organization_id,
        list(keys),
    )
    return {row["key"] for row in rows}


def _owner(key: str) -> UUID | None:
    """The id of the import that a file was written for."""
    try:
        return UUID(key.split("/")[1])
    except ValueError:
        return None


def _is_ours(uow: UnitOfWork, import_id: UUID | None) -> bool:
    return import_id is not None and service_of_import(import_id) == uow.service
