"""How a connection stands, and putting its records in order (SYN-3)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.contracts.base import Command, Query, Shape
from shared.contracts.orders.imported import MissingStock
from shared.contracts.platform.shapes import Job
from shared.contracts.sync.shapes import ChangeState, Colour, Direction, Entity, ExecutionState, FeedKind
from shared.contracts.sync.work import Clock

ListingState = Literal["there", "gone", "waiting", "called_off"]


class ListingCount(Shape):
    """Records of a kind: `there` or `gone` on the platform, `waiting` to be made there, or `called_off` before that.

    `linked` of them are known to be one of our products or orders; of stock levels and supplier links, those with the
    SKU of a variant that is.
    """

    entity: Entity
    state: ListingState
    count: int
    linked: int


class ChangeCount(Shape):
    """Changes that are alike."""

    direction: Direction
    colour: Colour
    state: ChangeState
    count: int


class FeedStanding(Shape):
    """How a feed has gone lately: its last run, the last one that succeeded, and records a second over the last ten.

    `failures` are the runs since the last success that failed.
    """

    kind: FeedKind
    is_enabled: bool
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_state: ExecutionState | None
    last_success_at: datetime | None
    records_per_second: float | None
    failures: int


class RequestBudget(Shape):
    """What the platform lets the connection spend: points at most, those left, and how many come back each second.

    `used_percent` is the part that is spent now; `rests_until`: the platform has asked to be left alone until then.
    """

    most: float
    left: float
    per_second: float
    used_percent: float
    rests_until: datetime | None


class ConnectionStats(Shape):
    """How a connection stands. `issues` are open ones by class; no `budget`: nothing was asked within the hour.

    `oversold` is what its orders wait for that was sold over there and is not here: of each SKU how much.
    """

    listings: list[ListingCount]
    changes: list[ChangeCount]
    issues: dict[str, int]
    clocks: list[Clock]
    feeds: list[FeedStanding]
    budget: RequestBudget | None
    oversold: list[MissingStock]


class GetConnectionStats(Query[ConnectionStats]):
    """How a connection stands: records, changes, issues, clocks, feeds, and what of its budget is used.

    Refused: `connection_not_found` (404).
    """

    timeout_seconds = 30.0
    connection_id: UUID


class MaintainConnection(Command[Job]):
    """Put a connection's records in order, as a job; with `is_dry_run` it only counts what it would mend.

    Records in an older schema are read anew and lose what is no longer told of them; those whose product is gone are
    linked to the one that has their SKU now, and what waits of the others is called off; so are changes of records that
    are gone; what is counted is counted anew. The job's counters are `<what>_found` and `<what>_mended` of `columns`,
    `changes`, `variants`, `links`, `orphans`, `schema` and `clocks`.

    Refused: `connection_not_found` (404), `connection_is_paused`, `needs_credentials`, `connection_is_busy` (409).
    """

    connection_id: UUID
    is_dry_run: bool = False
