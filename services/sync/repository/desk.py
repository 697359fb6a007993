"""Queries of agents and of the desk: what is asked of them, who has it in hand, what came back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.repository.listings import dumped
from services.sync.settings import sync_settings
from shared.identifiers import new_ids
from shared.unit_of_work import UnitOfWork

# An agent that has not come for so long is not there; it comes twice as often.
PRESENT = timedelta(seconds=60)


# --- agents


async def keep_token(uow: UnitOfWork, connection_id: UUID, digest: bytes) -> None:
    """In the place of the one before."""
    await uow.execute(
        "INSERT INTO agents (organization_id, connection_id, digest) VALUES ($1, $2, $3)"
        " ON CONFLICT (organization_id, connection_id)"
        " DO UPDATE SET digest = excluded.digest, issued_at = now(), seen_at = NULL",
        uow.organization_id,
        connection_id,
        digest,
    )


async def find_agent(uow: UnitOfWork, digest: bytes) -> asyncpg.Record | None:
    """Organization and connection of a token, whoever's it is."""
    return await uow.fetchrow("SELECT * FROM find_agent($1)", digest)


async def lock_agent(uow: UnitOfWork, connection_id: UUID) -> asyncpg.Record | None:
    """Whether it was there lately, and whether its connection rests. Of a connection's agents one looks at a time."""
    return await uow.fetchrow(
        "SELECT coalesce(a.seen_at > now() - $2::interval, false) AS is_present, c.is_paused, c.checked_at"
        " FROM agents a JOIN connections c ON c.id = a.connection_id WHERE a.connection_id = $1 FOR UPDATE OF a",
        connection_id,
        PRESENT,
    )


async def note_seen(uow: UnitOfWork, connection_id: UUID) -> None:
    await uow.execute("UPDATE agents SET seen_at = now() WHERE connection_id = $1", connection_id)


# --- what agents do


async def take(uow: UnitOfWork, connection_id: UUID, *, is_paused: bool) -> asyncpg.Record | None:
    """The next piece of work, leased: what waits, or what somebody took and never answered.

    People's questions first, then what has waited longest; of writes one is in hand at a time, also where nobody waits
    for its answer any more. While the connection rests, nothing but a greeting.
    """
    return await uow.fetchrow(
        "UPDATE desk SET state = 'taken', lease_until = now() + $3::interval WHERE id = ("
        " SELECT d.id FROM desk d WHERE d.connection_id = $1 AND d.wanted_until > now()"
        " AND (d.state = 'waiting' OR (d.state = 'taken' AND d.lease_until < now()))"
        " AND (d.kind = 'hello' OR NOT $2)"
        " AND (d.kind <> 'write' OR NOT EXISTS (SELECT FROM desk o"
        "   WHERE o.connection_id = $1 AND o.kind = 'write' AND o.lease_until >= now()))"
        " ORDER BY d.kind <> 'hello', d.id LIMIT 1) RETURNING id, kind, asked",
        connection_id,
        is_paused,
        sync_settings().agent_lease,
    )


async def prolong(uow: UnitOfWork, connection_id: UUID, work_id: UUID) -> str | None:
    """The lease begins anew, also where nobody waits any more, as long as there was no answer.

    The state that the work is in; None: it is none of the connection's.
    """
    state: str | None = await uow.fetchval(
        "UPDATE desk SET lease_until = CASE WHEN lease_until IS NOT NULL THEN now() + $3::interval END"
        " WHERE id = $2 AND connection_id = $1 RETURNING state",
        connection_id,
        work_id,
        sync_settings().agent_lease,
    )
    return state


async def answer(uow: UnitOfWork, connection_id: UUID, work_id: UUID, result: bytes) -> asyncpg.Record | None:
    """Keep the first answer to what somebody waits for, and end the lease.

    Who asked, and whether it was waited for; None: it is none of the connection's.
    """
    return await uow.fetchrow(
        "WITH before AS (SELECT id, state IN ('waiting', 'taken') AS is_wanted FROM desk"
        "   WHERE id = $2 AND connection_id = $1 FOR UPDATE)"
        " UPDATE desk d SET lease_until = NULL,"
        "   state = CASE WHEN b.is_wanted THEN 'answered' ELSE d.state END,"
        "   result = CASE WHEN b.is_wanted THEN $3 ELSE d.result END"
        " FROM before b WHERE d.id = b.id RETURNING d.asker_id, b.is_wanted",
        connection_id,
        work_id,
        result,
    )


# --- what is asked of them


async def put(
    uow: UnitOfWork, connection_id: UUID, asker_id: UUID, work: Sequence[tuple[str, Any]], wanted: timedelta
) -> None:
    """Lay pieces of work: kind, and what is asked."""
    await uow.execute(
        "INSERT INTO desk (organization_id, id, connection_id, asker_id, kind, asked, wanted_until)"
        " SELECT $1, w.id, $2, $3, w.kind, w.asked::json, now() + $7::interval"
        " FROM unnest($4::uuid[], $5::text[], $6::text[]) AS w (id, kind, asked)",
        uow.organization_id,
        connection_id,
        asker_id,
        new_ids(len(work)),
        [kind for kind, _ in work],
        [dumped(asked) for _, asked in work],
        wanted,
    )


async def look(uow: UnitOfWork, asker_id: UUID, wanted: timedelta) -> list[asyncpg.Record]:
    """What became of all that was asked together; what is open is wanted for so long from now on."""
    await uow.execute(
        "UPDATE desk SET wanted_until = now() + $2::interval WHERE asker_id = $1 AND state IN ('waiting', 'taken')",
        asker_id,
        wanted,
    )
    return await _results(uow, asker_id)


async def withdraw(uow: UnitOfWork, asker_id: UUID) -> list[asyncpg.Record]:
    """Nobody waits any more. What became of it; the answers are read for the last time, and not kept."""
    await uow.execute(
        "UPDATE desk SET state = 'withdrawn' WHERE asker_id = $1 AND state IN ('waiting', 'taken')", asker_id
    )
    rows = await _results(uow, asker_id)
    await uow.execute("UPDATE desk SET result = NULL, asked = NULL WHERE asker_id = $1", asker_id)
    return rows


async def _results(uow: UnitOfWork, asker_id: UUID) -> list[asyncpg.Record]:
    """In the order they were asked; `was_taken`: somebody has it, or had it."""
    return await uow.fetch(
        "SELECT id, state, result, lease_until IS NOT NULL AS was_taken,"
        " state = 'taken' AND lease_until >= now() AS is_held FROM desk WHERE asker_id = $1 ORDER BY id",
        asker_id,
    )


async def presence(uow: UnitOfWork, connection_id: UUID) -> asyncpg.Record | None:
    """When an agent was last there, whether that is lately, and whether the connection rests."""
    return await uow.fetchrow(
        "SELECT a.seen_at, coalesce(a.seen_at > now() - $2::interval, false) AS is_present, c.is_paused"
        " FROM agents a JOIN connections c ON c.id = a.connection_id WHERE a.connection_id = $1",
        connection_id,
        PRESENT,
    )


async def drop_old(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Across tenants: what nobody wants any more. Returns how many there were."""
    status = await uow.execute(
        "DELETE FROM desk WHERE (organization_id, id) IN (SELECT organization_id, id FROM desk"
        " WHERE created_at < now() - $1::interval AND (state IN ('answered', 'withdrawn') OR wanted_until < now())"
        " LIMIT $2)",
        older_than,
        most,
    )
    return int(status.rpartition(" ")[2])
