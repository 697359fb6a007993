"""The documents operators find in: written in the order of one sequence per organization, and followed by readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.search.models import OperatorEntry, StoredEntry
from services.search.repository.documents import Followed
from shared.contracts.search.operators import KINDS, DocumentKind
from shared.unit_of_work import UnitOfWork

encoded = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OperatorEntry).decode


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """What is to be written of one order or product; without an entry it is gone."""

    id: UUID
    entry: bytes | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An organization's index, and how far its documents are."""

    organization_id: UUID
    sequence: int
    generation: int


async def write(uow: UnitOfWork, kind: DocumentKind, rows: Sequence[OperatorRow], built: int) -> int:
    """Bring these documents to what was built at version `built`. Returns how many are others now, or gone.

    The index's row is locked first, and is the lock: sequences are given and committed in the same order, so that a
    reader never passes one by. What a later build has written stays, and so does what came out the same.
    """
    await uow.execute(
        "INSERT INTO operator_indexes (organization_id) VALUES ($1) ON CONFLICT DO NOTHING", uow.organization_id
    )
    sequence: int = await uow.fetchval("SELECT sequence FROM operator_indexes FOR UPDATE")
    standings = await _standings(uow, kind, [row.id for row in rows])
    news = [row for row in rows if row.id not in standings or standings[row.id]["built_from"] < built]
    changed = [row for row in news if _differs(row, standings)]
    same = {row.id for row in news} - {row.id for row in changed}
    if same:
        await uow.execute(
            "UPDATE operator_documents SET built_from = $3 WHERE kind = $1 AND id = ANY($2)", kind, list(same), built
        )
    if changed:
        await _put(uow, kind, changed, sequence, built)
    return len(changed)


async def _standings(uow: UnitOfWork, kind: DocumentKind, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await uow.fetch(
        "SELECT d.* FROM unnest($2::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "  SELECT id, built_from, entry FROM operator_documents WHERE kind = $1 AND id = asked.id OFFSET 0) d",
        kind,
        list(ids),
    )
    return {row["id"]: row for row in rows}


def _differs(row: OperatorRow, standings: Mapping[UUID, asyncpg.Record]) -> bool:
    """What never was and is not is written once, too: an older build that still knows it must not bring it back."""
    return row.id not in standings or standings[row.id]["entry"] != row.entry


async def _put(uow: UnitOfWork, kind: DocumentKind, rows: Sequence[OperatorRow], sequence: int, built: int) -> None:
    await uow.execute(
        "INSERT INTO operator_documents (organization_id, kind, id, sequence, built_from, entry, changed_at)"
        " SELECT $1, $2, id, $3 + place, $4, entry, changed_at"
        " FROM unnest($5::uuid[], $6::bytea[], $7::timestamptz[]) WITH ORDINALITY AS r (id, entry, changed_at, place)"
        " ON CONFLICT (organization_id, kind, id) DO UPDATE SET sequence = excluded.sequence,"
        " built_from = excluded.built_from, entry = excluded.entry, changed_at = excluded.changed_at",
        uow.organization_id,
        kind,
        sequence,
        built,
        [row.id for row in rows],
        [row.entry for row in rows],
        [row.changed_at for row in rows],
    )
    await uow.execute("UPDATE operator_indexes SET sequence = $1", sequence + len(rows))


# --- following


async def follow(uow: UnitOfWork, after: int, most: int) -> Followed[StoredEntry]:
    """Rows after a sequence; a reader that begins at 0 is spared those that are gone."""
    rows = await uow.fetch(
        "SELECT kind, id, sequence, entry, changed_at FROM operator_documents"
        " WHERE sequence > 0 AND sequence > $1 AND ($1 > 0 OR entry IS NOT NULL) ORDER BY sequence LIMIT $2",
        after,
        most,
    )
    entries = [
        StoredEntry(row["kind"], row["id"], None if row["entry"] is None else _decode(row["entry"])) for row in rows
    ]
    return Followed(entries, rows[-1]["sequence"] if rows else after, [row["changed_at"] for row in rows])


async def find_index(uow: UnitOfWork) -> KnownIndex:
    """The organization's index; one that is not there yet is empty."""
    row = await uow.fetchrow("SELECT organization_id, sequence, generation FROM operator_indexes")
    return KnownIndex(uow.organization_id, 0, 1) if row is None else KnownIndex(*row.values())


async def list_followed(uow: UnitOfWork, organization_ids: Sequence[UUID]) -> list[KnownIndex]:
    """Where the indexes of these organizations stand now. Across tenants."""
    rows = await uow.fetch(
        "SELECT organization_id, sequence, generation FROM operator_indexes WHERE organization_id = ANY($1)",
        list(organization_ids),
    )
    return [KnownIndex(*row.values()) for row in rows]


# --- filling anew


async def list_entries(uow: UnitOfWork, kind: DocumentKind, ids: Sequence[UUID]) -> dict[UUID, bytes | None]:
    """What is stored of these; None of what is gone."""
    return {id_: row["entry"] for id_, row in (await _standings(uow, kind, ids)).items()}


async def list_between(uow: UnitOfWork, kind: DocumentKind, after: UUID, last: UUID) -> list[UUID]:
    """What has a document, behind one id up to another."""
    rows = await uow.fetch(
        "SELECT id FROM operator_documents WHERE kind = $1 AND id > $2 AND id <= $3 AND entry IS NOT NULL",
        kind,
        after,
        last,
    )
    return [row["id"] for row in rows]


async def list_ids(uow: UnitOfWork, kind: DocumentKind) -> list[UUID]:
    """What has a document."""
    rows = await uow.fetch("SELECT id FROM operator_documents WHERE kind = $1 AND entry IS NOT NULL", kind)
    return [row["id"] for row in rows]


async def note_rebuilt(uow: UnitOfWork) -> None:
    """Let every reader fill its index anew from the documents."""
    await uow.execute("UPDATE operator_indexes SET generation = generation + 1, rebuilt_at = now()")


async def list_older(uow: UnitOfWork, kind: DocumentKind, built_before: int, after: UUID, most: int) -> list[UUID]:
    """What has a document that was last built before a version, in id order."""
    rows = await uow.fetch(
        "SELECT id FROM operator_documents WHERE kind = $1 AND entry IS NOT NULL AND built_from < $2"
        " AND id > $3 ORDER BY id LIMIT $4",
        kind,
        built_before,
        after,
        most,
    )
    return [row["id"] for row in rows]


async def list_standings(uow: UnitOfWork) -> list[asyncpg.Record]:
    """How the documents of each kind stand."""
    return await uow.fetch(
        "SELECT k.kind, d.documents, m.* FROM unnest($1::text[]) AS k (kind),"
        " LATERAL (SELECT count(*) AS documents FROM operator_documents WHERE kind = k.kind AND entry IS NOT NULL) d,"
        " LATERAL (SELECT count(DISTINCT id) AS pending, count(DISTINCT id) FILTER (WHERE failures > 0) AS failed,"
        "   min(marked_at) AS oldest, max(last_error) AS last_error FROM operator_marks WHERE kind = k.kind"
        "   AND (due_at <= now() OR failures > 0)) m ORDER BY k.kind",
        list(KINDS),
    )


async def find_state(uow: UnitOfWork) -> asyncpg.Record | None:
    return await uow.fetchrow("SELECT sequence, generation, rebuilt_at FROM operator_indexes")
