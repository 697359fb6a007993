"""A table of marks: what must be built anew. A mark stays until what it stands for is in the documents.

Marks are only added and taken away, so that nobody who leaves one waits for anybody else. A subject may have several:
each has a version of its own, given out in the order of time. Who builds takes a version first and asks then, so a
build of version n covers all marks before n, and takes away just those; a mark that is left meanwhile is after n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from shared.unit_of_work import UnitOfWork

S = TypeVar("S")
# Of what is marked over and over all marks are taken away at once; no more than this are looked through.
_MARKS_PER_SUBJECT = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be built, and since when: the first moment that anything of it was written, or a date that came.

    `is_partial`: each of those marks stands for a part of it only, see `MarkTable.part`.
    """

    id: UUID
    marked_at: datetime
    is_partial: bool = False


@dataclass(frozen=True)
class MarkTable(Generic[S]):
    """Marks of subjects within a scope `S`: products of a shop, say. Scope and subject are columns' names.

    `part` is the column that is true of marks for one part of a subject alone; all others stand for anything.
    """

    table: str
    scope: str
    subject: str
    part: str | None = None

    async def list_due(self, uow: UnitOfWork, scope: S, most: int, *, with_bulk: bool = True) -> list[Mark]:
        """What has its time come, that which was marked first before the rest, bulk work after everything else."""
        rows = await uow.fetch(
            f"SELECT {self.subject} AS id, min(marked_at) AS marked_at, bool_and(is_partial) AS is_partial FROM ("  # noqa: S608
            f"  SELECT {self.subject}, marked_at, is_bulk, due_at, {self.part or 'false'} AS is_partial"
            f"  FROM {self.table}"
            f"  WHERE {self.scope} = $1 AND due_at <= now()"
            "  AND ($4 OR NOT is_bulk) ORDER BY is_bulk, due_at LIMIT $2) m"
            f" GROUP BY {self.subject} ORDER BY bool_and(is_bulk), min(due_at) LIMIT $3",
            scope,
            most * _MARKS_PER_SUBJECT,
            most,
            with_bulk,
        )
        return [Mark(*row.values()) for row in rows]

    async def settle(self, uow: UnitOfWork, scope: S, ids: Sequence[UUID], built: int) -> None:
        """Take away the marks of these that a build of version `built` covers, also those for a later date."""
        await uow.execute(
            f"DELETE FROM {self.table} WHERE {self.scope} = $1 AND {self.subject} = ANY($2) AND version < $3",  # noqa: S608
            scope,
            list(ids),
            built,
        )

    async def settle_part(self, uow: UnitOfWork, scope: S, ids: Sequence[UUID], built: int) -> None:
        """As `settle`, of marks for the part alone: what stands for more is not covered by a build of that part.

        Not even what came after the marks were read, or was merged with more since.
        """
        await uow.execute(
            f"DELETE FROM {self.table} WHERE {self.scope} = $1 AND {self.subject} = ANY($2) AND version < $3"  # noqa: S608
            f" AND {self.part or 'false'}",
            scope,
            list(ids),
            built,
        )

    async def note_failure(self, uow: UnitOfWork, scope: S, id_: UUID, built: int, error: str) -> None:
        """Try one again later, and later each time: one mark for all that the failed build would have covered."""
        await uow.execute(
            f"WITH covered AS (DELETE FROM {self.table} WHERE {self.scope} = $2 AND {self.subject} = $3"  # noqa: S608
            "   AND version < $4 RETURNING is_bulk, marked_at, failures)"
            f" INSERT INTO {self.table} (organization_id, {self.scope}, {self.subject}, is_bulk, marked_at, failures,"
            "   last_error, due_at)"
            " SELECT $1, $2, $3, bool_and(is_bulk), min(marked_at), max(failures) + 1, $5,"
            "   now() + make_interval(secs => least(600, power(2, max(failures) + 1)))"
            " FROM covered HAVING count(*) > 0",
            uow.organization_id,
            scope,
            id_,
            built,
            error[:2000],
        )

    async def merge(self, uow: UnitOfWork) -> None:
        """Leave one due mark of those that a subject has, the last, where nobody builds it. Across tenants.

        The last, because a build that has begun covers only earlier ones; it is as old and as urgent as they were, and
        stands for all that they stood for. Marks that somebody is just taking away are passed over, and bulk work that
        may only be waiting for its turn.
        """
        # The table is empty most of the time, and so it is to the planner: row by row, 10,000 marks take a minute.
        await uow.execute("SET LOCAL enable_nestloop = off")
        names = ("organization_id", self.scope, self.subject)
        keys = {f"{row}_key": ", ".join(f"{row}.{name}" for name in names) for row in "mgl"}
        await uow.execute(_MERGE.format(table=self.table, key=", ".join(names), **keys, **self._parts()))

    def _parts(self) -> dict[str, str]:
        """What the merge says of the column that tells partial marks."""
        if self.part is None:
            return {"part": "", "set_part": ""}
        return {"part": f", bool_and({self.part}) OVER w AS {self.part}", "set_part": f", {self.part} = l.{self.part}"}


_MERGE = """
WITH several AS (
    SELECT {key} FROM {table}
    WHERE due_at <= now() - CASE WHEN is_bulk THEN interval '10 minutes' ELSE '0' END
    GROUP BY 1, 2, 3 HAVING count(*) > 1
), held AS (
    SELECT m.* FROM {table} m JOIN several USING ({key}) WHERE m.due_at <= now()
    FOR UPDATE OF m SKIP LOCKED
), merging AS (
    SELECT {key}, version, max(version) OVER w AS last,
        min(marked_at) OVER w AS marked_at, min(due_at) OVER w AS due_at, bool_and(is_bulk) OVER w AS is_bulk,
        max(failures) OVER w AS failures{part}
    FROM held WINDOW w AS (PARTITION BY {key})
), gone AS (
    DELETE FROM {table} m USING merging g
    WHERE ({m_key}, m.version) = ({g_key}, g.version) AND g.version < g.last
)
UPDATE {table} m SET marked_at = l.marked_at, due_at = l.due_at, is_bulk = l.is_bulk, failures = l.failures{set_part}
FROM merging l WHERE ({m_key}, m.version) = ({l_key}, l.version) AND l.version = l.last
"""


async def next_version(uow: UnitOfWork) -> int:
    """A number greater than any given before: who takes it later has seen at least as much."""
    version: int = await uow.fetchval("SELECT nextval('mark_versions')")
    return version
