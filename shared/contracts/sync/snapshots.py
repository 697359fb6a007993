"""What deleted connections had, kept for a time (SYN-16)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Page, Query, Shape
from shared.contracts.sync.shapes import Connection
from shared.contracts.sync.work import Clock
from shared.contracts.sync.work import Feed as ConnectionFeed
from shared.pagination import First


class ConnectionSnapshot(Shape):
    """A connection as it was when it was deleted, without its credentials; `id` is what the connection's was.

    `counts` are those of the preview. Its records are there to be downloaded once `is_whole`, until `kept_until`.
    """

    id: UUID
    shop: str | None
    connection: Connection
    feeds: list[ConnectionFeed]
    clocks: list[Clock]
    counts: dict[str, int]
    taken_at: datetime
    is_whole: bool
    kept_until: datetime


class ListConnectionSnapshots(Query[Page[ConnectionSnapshot]]):
    """What deleted connections had, newest connection first."""

    first: First = 50
    after: str | None = None


class GetConnectionSnapshot(Query[ConnectionSnapshot]):
    """What a deleted connection had. Refused: `connection_snapshot_not_found` (404)."""

    connection_id: UUID


class ConnectionSnapshotSheet(Shape):
    """Lines of JSON, one for each record; `next` is the cursor of those that follow."""

    lines: str
    next: str | None = None


class GetConnectionSnapshotSheet(Query[ConnectionSnapshotSheet]):
    """The records of a deleted connection, some hundred at a time: what the platform had, what of that was acknowledged
    and written, which product or order of ours it was, with changes and issues.

    A line's `kind` is `listing`, or `issue` for one of a feed as a whole. Of orders there is no more than which they
    were: the rest has not left.

    Refused: `connection_snapshot_not_found` (404), `connection_snapshot_not_whole` (409) while records still come.
    """

    timeout_seconds = 30.0
    connection_id: UUID
    after: Annotated[str, Field(max_length=200)] | None = None
