"""What all writers of an organization's products agree on."""

from shared.unit_of_work import UnitOfWork

# Any number that no other lock uses; the second key is the organization.
_LOCK = 0x6361_7461


async def lock(uow: UnitOfWork) -> None:
    """Write to an organization's products alone until the transaction ends, so that what was checked stays true."""
    await uow.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK, str(uow.organization_id))
