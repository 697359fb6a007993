"""Work for later: a row says what is to be done and when; the queue only wakes the worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True)
class Task:
    """`due_at` None means at once. `key` keeps a second task of the same kind from being added while one waits."""

    id: UUID
    kind: str
    payload: dict[str, Any]
    due_at: datetime | None
    key: str | None


@dataclass(frozen=True)
class DueTask:
    """A task that can run this moment. Those whose handler takes them together travel in larger parties."""

    id: UUID
    organization_id: UUID | None
    together: bool = False
    due_at: datetime | None = None


async def write(connection: Any, organization_id: UUID | None, tasks: Sequence[Task]) -> list[DueTask]:
    """Write tasks inside the open transaction. Returns those that are due at once."""
    written = await connection.fetch(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT $1, id, kind, payload::json, coalesce(due_at, now()), key"
        " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])"
        "   AS t (id, kind, payload, due_at, key)"
        " ON CONFLICT DO NOTHING RETURNING id, due_at <= now() AS is_due",
        organization_id,
        [task.id for task in tasks],
        [task.kind for task in tasks],
        [orjson.dumps(task.payload, default=str).decode() for task in tasks],
        [task.due_at for task in tasks],
        [task.key for task in tasks],
    )
    return [DueTask(row["id"], organization_id) for row in written if row["is_due"]]


@dataclass(frozen=True)
class ClaimedTask:
    """A task that one worker holds until its lease ends."""

    id: UUID
    organization_id: UUID | None
    kind: str
    payload: dict[str, Any]
    claim: UUID
    failures: int


# A worker that dies while it holds a task gives it back after this long.
LEASE_SECONDS = 60.0
MOST_FAILURES = 12


def _narrowed(statement: str, organization_id: UUID | None) -> str:
    """Rows of nobody are narrowed by no policy, and without their organization the index of ids cannot be used."""
    return statement if organization_id else statement.replace("WHERE id", "WHERE organization_id IS NULL AND id")


async def claim(
    connection: Any, task_ids: Sequence[UUID], claim_id: UUID, organization_id: UUID | None
) -> list[ClaimedTask]:
    """Take tasks of one organization that are due, on behalf of one worker.

    The unique key is given up here, not at the end: what changes while the task works must be able to ask for it again.
    """
    rows = await connection.fetch(_narrowed(_CLAIM, organization_id), list(task_ids), claim_id, LEASE_SECONDS)
    return [
        ClaimedTask(
            row["id"], row["organization_id"], row["kind"], orjson.loads(row["payload"]), claim_id, row["failures"]
        )
        for row in rows
    ]


# By id alone: bare, `due_at` and `parked_at` fit the index of all that is due, which was read whole for a few tasks.
# Joined by their ids, all of these are locked anew for each of them. One that somebody gave back while this began lies
# elsewhere than this statement can see: it is not taken, and found by the sweeper.
_CLAIM = """
WITH free AS MATERIALIZED (
    SELECT t.place FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (SELECT ctid AS place FROM tasks
        WHERE id = asked.id AND due_at + interval '0' <= now() AND coalesce(parked_at, 'infinity') = 'infinity'
        OFFSET 0 FOR UPDATE SKIP LOCKED) t
)
UPDATE tasks SET claim = $2, unique_key = NULL, due_at = now() + make_interval(secs => $3)
FROM free WHERE tasks.ctid = free.place
RETURNING id, organization_id, kind, payload, failures
"""


async def finish(connection: Any, tasks: Sequence[ClaimedTask]) -> bool:
    """Remove tasks of one claim with the effect's transaction. False: a lease ended and somebody else has the task."""
    statement = _narrowed("DELETE FROM tasks WHERE id = ANY($1) AND claim = $2", tasks[0].organization_id)
    status = await connection.execute(statement, [task.id for task in tasks], tasks[0].claim)
    return bool(status == f"DELETE {len(tasks)}")


async def release(connection: Any, tasks: Sequence[ClaimedTask]) -> None:
    """Give back tasks of one claim that were not tried."""
    statement = _narrowed(
        "UPDATE tasks SET claim = NULL, due_at = now() WHERE id = ANY($1) AND claim = $2", tasks[0].organization_id
    )
    await connection.execute(statement, [task.id for task in tasks], tasks[0].claim)


async def note_failure(connection: Any, task: ClaimedTask, error: str, *, counts: bool) -> bool:
    """Give the task back for later; park it at MOST_FAILURES. Returns whether it was parked."""
    parked = await connection.fetchval(
        _narrowed(
            "UPDATE tasks SET failures = failures + $4::int, last_error = $3, claim = NULL,"
            " due_at = now() + make_interval(secs => least(600, power(2, failures))) * (0.75 + random() / 2),"
            " parked_at = CASE WHEN failures + $4::int >= $5 THEN now() END"
            " WHERE id = $1 AND claim = $2 RETURNING parked_at IS NOT NULL",
            task.organization_id,
        ),
        task.id,
        task.claim,
        error[:2000],
        int(counts),
        MOST_FAILURES,
    )
    return bool(parked)


async def list_due(connection: Any, together: Sequence[str] = (), most: int = 500) -> list[DueTask]:
    """Tasks whose time has come, oldest first; `together` are the kinds that are done so."""
    rows = await connection.fetch(
        "SELECT id, organization_id, kind = ANY($2) AS together, due_at FROM tasks"
        " WHERE due_at <= now() AND parked_at IS NULL ORDER BY due_at LIMIT $1",
        most,
        list(together),
    )
    return [DueTask(*row) for row in rows]
