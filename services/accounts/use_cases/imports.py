"""One list of imports over all services (CAT-9). The service that imports keeps the truth about each.

An import says when it is started, held, confirmed or undone; how far it came its job says, which is listed here anyway.
"""

import asyncpg

from services.accounts.use_cases.visibility import position, readable_services
from shared.contracts.accounts.lists import ListImports
from shared.contracts.base import Page
from shared.contracts.platform.imports import Import, ImportChanged, import_state
from shared.contracts.platform.shapes import Job
from shared.pagination import cursor_for
from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, event: ImportChanged) -> None:
    """List an import as it stands, unless something newer is listed already."""
    imported = event.imported
    await uow.execute(
        _NOTE,
        uow.organization_id,
        imported.id,
        imported.service,
        imported.group,
        imported.job_id,
        imported.undo.job_id if imported.undo else None,
        event.shop_id,
        imported.shop,
        imported.requested_by.id,
        imported.created_at,
        event.version,
        imported.model_dump_json(),
        event.is_held,
    )


_NOTE = """
INSERT INTO listed_imports AS l (organization_id, id, service, item_group, job_id, undo_job_id, shop_id, shop,
    requested_by, created_at, version, import, is_held)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (organization_id, id) DO UPDATE SET job_id = excluded.job_id, undo_job_id = excluded.undo_job_id,
    version = excluded.version, import = excluded.import, is_held = excluded.is_held
WHERE l.version <= excluded.version
"""


async def list_imports(uow: UnitOfWork, message: ListImports) -> Page[Import]:
    """A page of imports, newest first, as they and their jobs were last announced."""
    created_at, import_id = position(message.after)
    limit = uow.caller.shop_ids
    rows = await uow.fetch(
        _LIST,
        readable_services(uow.caller),
        None if limit is None else list(limit),
        message.group,
        message.shop,
        message.requested_by,
        created_at,
        import_id,
        message.first + 1,
        message.state,
        uow.caller.id,
    )
    page = rows[: message.first]
    following = cursor_for(page[-1]["created_at"].isoformat(), str(page[-1]["id"])) if len(rows) > len(page) else None
    return Page(items=[_shape(row) for row in page], next=following)


# The state as `import_state` has it.
_LIST = """
SELECT l.id, l.created_at, l.import, l.is_held, j.job, u.job AS undo_job
FROM listed_imports l LEFT JOIN listed_jobs j ON j.id = l.job_id LEFT JOIN listed_jobs u ON u.id = l.undo_job_id
WHERE l.service = ANY($1) AND ($2::uuid[] IS NULL OR l.shop_id = ANY($2) OR l.requested_by = $10)
  AND ($3::text IS NULL OR l.item_group = $3)
  AND ($4::text IS NULL OR l.shop = $4) AND ($5::uuid IS NULL OR l.requested_by = $5)
  AND ($6::timestamptz IS NULL OR (l.created_at, l.id) < ($6, $7::uuid))
  AND ($9::text IS NULL OR $9 = CASE WHEN u.state = 'succeeded' THEN 'undone'
    WHEN j.state = 'succeeded' AND l.is_held THEN 'held'
    ELSE coalesce(j.state, l.import->>'state') END)
ORDER BY l.created_at DESC, l.id DESC LIMIT $8
"""


def _shape(row: asyncpg.Record) -> Import:
    imported = Import.model_validate_json(row["import"])
    job = None if row["job"] is None else Job.model_validate_json(row["job"])
    undo_job = None if row["undo_job"] is None else Job.model_validate_json(row["undo_job"])
    if job is None:
        return imported
    started, finished = job.started_at, job.finished_at
    undo = imported.undo
    if undo is not None and undo_job is not None:
        undo = undo.model_copy(
            update={
                "state": undo_job.state,
                "conflicts": undo_job.counters.get("conflicts", 0),
                "finished_at": undo_job.finished_at,
            }
        )
    return imported.model_copy(
        update={
            "state": import_state(
                job.state,
                is_held=row["is_held"],
                is_undone=undo is not None and undo.state == "succeeded",
            ),
            "counters": job.counters,
            "error": job.error,
            "started_at": started,
            "finished_at": finished,
            "duration_seconds": round((finished - started).total_seconds(), 3) if started and finished else None,
            "undo": undo,
        }
    )
