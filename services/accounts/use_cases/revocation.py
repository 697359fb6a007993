"""Withdrawing what was given, everywhere within a second.

Every process remembers what credentials mean. Whoever takes something away calls `bump` in the same transaction; the
processes look at what has changed every half second and forget what they knew of those organizations.
"""

from uuid import UUID

from shared.contracts.accounts.messages import Revocations
from shared.unit_of_work import UnitOfWork


async def bump(uow: UnitOfWork) -> None:
    """Make every process ask again about this organization's credentials, from this transaction's commit on."""
    await uow.execute(
        "INSERT INTO revocations (organization_id, version, transaction) VALUES ($1, 1, pg_current_xact_id())"
        " ON CONFLICT (organization_id) DO UPDATE SET version = revocations.version + 1,"
        " transaction = EXCLUDED.transaction",
        uow.organization_id,
    )


async def version(uow: UnitOfWork) -> int:
    """How often something was withdrawn in this organization. Read it before what it is to vouch for."""
    return await uow.fetchval("SELECT version FROM revocations") or 0


async def since(uow: UnitOfWork, cursor: str | None) -> Revocations:
    """Every organization's version that may have changed since `cursor`, across tenants; none on the first look.

    The cursor is the oldest transaction that was still running at the last look, so that one which commits late is
    not missed. A cursor of the future (a database restored from a backup) makes everything change.
    """
    rows = await uow.fetch(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS cursor, organization_id, version FROM"
        " (SELECT 1) AS always LEFT JOIN revocations ON transaction >= $1::text::xid8",
        cursor,
    )
    latest: str = rows[0]["cursor"]
    if cursor is not None and int(latest) < int(cursor):
        return Revocations(cursor=latest, everything=True)
    versions: dict[UUID, int] = {row["organization_id"]: row["version"] for row in rows if row["organization_id"]}
    return Revocations(cursor=latest, versions=versions)
