"""What a deleted connection has left is dropped some thousands of records at a time (SYN-16).

With the connection itself all of it is out of sight at once: whatever is shown is shown with its connection.
"""

from uuid import UUID

from services.sync.repository import connections
from shared.unit_of_work import UnitOfWork

DROP_LEFT_BEHIND = "sync.drop_left_behind"
AT_ONCE = 5000


async def drop_left_behind(uow: UnitOfWork, connection_id: UUID) -> None:
    """Drop some of what a connection that is gone has left, and leave the rest as a task. Safe to repeat."""
    if await connections.drop_left(uow, connection_id, AT_ONCE) >= AT_ONCE:
        uow.defer(DROP_LEFT_BEHIND, {"connection_id": str(connection_id)})
