"""Everything that a connection has of a kind is compared anew, when other rules decide what goes out.

It is marked some thousands at a time, each in a transaction of its own: whoever changes a setting does not wait for a
million records, nor does anybody else for their locks.
"""

from uuid import UUID

from services.sync.repository import listings
from shared.unit_of_work import UnitOfWork

COMPARE_ANEW = "sync.compare_anew"
AT_ONCE = 5000


async def compare_anew(uow: UnitOfWork, connection_id: UUID, entity: str, after: UUID | None = None) -> None:
    """Mark the first of a connection's records of a kind, or those after this one, and leave the rest as a task."""
    last = await listings.mark_some(uow, connection_id, entity, after, AT_ONCE)
    if last is not None:
        uow.defer(COMPARE_ANEW, {"connection_id": str(connection_id), "entity": entity, "after": str(last)})
