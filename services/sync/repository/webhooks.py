"""Queries of what platforms told by themselves."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.sync.repository.listings import dumped
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


async def find_connection(uow: UnitOfWork, connection_id: UUID) -> asyncpg.Record | None:
    """The connection of an address, whoever's it is: organization, platform and sealed credentials."""
    return await uow.fetchrow("SELECT * FROM find_connection($1)", connection_id)


async def keep(uow: UnitOfWork, connection_id: UUID, event_id: str, headers: Mapping[str, str], body: bytes) -> bool:
    """False: this event was kept before."""
    status = await uow.execute(
        "INSERT INTO webhooks (organization_id, id, connection_id, event_id, headers, body)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, connection_id, event_id) DO NOTHING",
        uow.organization_id,
        new_id(),
        connection_id,
        event_id,
        dumped(dict(headers)),
        body,
    )
    return status.endswith(" 1")


async def drop_old(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Across tenants. Returns how many there were."""
    status = await uow.execute(
        "DELETE FROM webhooks WHERE (organization_id, id) IN (SELECT organization_id, id FROM webhooks"
        " WHERE received_at < now() - $1::interval LIMIT $2)",
        older_than,
        most,
    )
    return int(status.rpartition(" ")[2])
