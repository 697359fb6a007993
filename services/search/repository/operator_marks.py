"""What must be built anew for operators: marks of orders and products (`mark_table.py`)."""

from collections.abc import Sequence
from uuid import UUID

from services.search.repository.mark_table import MarkTable
from shared.contracts.search.operators import KINDS, DocumentKind
from shared.unit_of_work import UnitOfWork

MARKS: MarkTable[DocumentKind] = MarkTable("operator_marks", "kind", "id")
# What changes so many at once is bulk work: single changes are built before it.
_BULK = 100


async def leave(uow: UnitOfWork, kind: DocumentKind, ids: Sequence[UUID], *, is_bulk: bool = False) -> None:
    """Mark these, and let the organization have an index if it has none."""
    await uow.execute(
        "WITH known AS (INSERT INTO operator_indexes (organization_id) VALUES ($1) ON CONFLICT DO NOTHING)"
        " INSERT INTO operator_marks (organization_id, kind, id, is_bulk, marked_at)"
        " SELECT $1, $2, m.id, $3, coalesce($5::timestamptz, now()) FROM unnest($4::uuid[]) AS m (id)",
        uow.organization_id,
        kind,
        is_bulk or len(ids) > _BULK,
        list(set(ids)),
        uow.written_at,
    )


async def marked_among(uow: UnitOfWork, kind: DocumentKind, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these that wait to be built, or keep failing."""
    rows = await uow.fetch(
        "SELECT DISTINCT id FROM operator_marks WHERE kind = $1 AND id = ANY($2) AND (due_at <= now() OR failures > 0)",
        kind,
        list(ids),
    )
    return {row["id"] for row in rows}


async def list_left_behind(uow: UnitOfWork, seconds: float) -> list[tuple[UUID, DocumentKind]]:
    """Organizations and kinds with marks that nobody built for so long. Across tenants."""
    rows = await uow.fetch(
        "SELECT i.organization_id, k.kind FROM operator_indexes i CROSS JOIN unnest($2::text[]) AS k (kind)"
        " WHERE EXISTS (SELECT FROM operator_marks m WHERE m.organization_id = i.organization_id AND m.kind = k.kind"
        " AND m.is_bulk = ANY('{false,true}') AND m.due_at <= now() - make_interval(secs => $1) OFFSET 0)",
        seconds,
        list(KINDS),
    )
    return [(row["organization_id"], row["kind"]) for row in rows]
