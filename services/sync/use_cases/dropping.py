"""What a deleted connection has left is moved into its snapshot, some hundreds of records at a time (SYN-16).

With the connection itself all of it is out of sight at once: whatever is shown is shown with its connection. A portion
is kept and dropped in one transaction, so that a kill costs none of it and nothing is kept twice.
"""

from uuid import UUID

from services.sync.repository import connections, snapshots
from services.sync.use_cases.snapshots import keep
from shared.unit_of_work import UnitOfWork

DROP_LEFT_BEHIND = "sync.drop_left_behind"
# A portion is one answer of the snapshot's download, too.
AT_ONCE = 500


def drop_soon(uow: UnitOfWork, connection_id: UUID) -> None:
    """Leave what a connection that goes with this transaction has left as a task."""
    uow.defer(DROP_LEFT_BEHIND, {"connection_id": str(connection_id)})


async def drop_left_behind(uow: UnitOfWork, connection_id: UUID) -> None:
    """Move some of it, and leave the rest as a task. Safe to repeat."""
    number = await snapshots.lock(uow, connection_id)
    listing_ids, issue_ids, lines = await snapshots.read_left(uow, connection_id, AT_ONCE)
    if number is not None and lines:
        await keep(uow, connection_id, number, lines)
    await connections.drop_left(uow, connection_id, listing_ids, issue_ids)
    if lines:
        drop_soon(uow, connection_id)
    elif number is not None:
        await snapshots.end(uow, connection_id)
