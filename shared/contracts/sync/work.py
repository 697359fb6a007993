"""What runs over a connection and what came of it: feeds, executions, listings, changes, issues, matches."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.accounts.shapes import TimeZone
from shared.contracts.base import Change as ChangeOf
from shared.contracts.base import Shape
from shared.contracts.platform.shapes import Actor, JobProgress
from shared.contracts.sync.shapes import (
    ChangeState,
    Colour,
    Direction,
    Entity,
    ExecutionState,
    FeedKind,
    IssueClass,
    Trigger,
)

Cron = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=9, max_length=100), Field(examples=["*/15 * * * *"])
]


class Feed(Shape):
    """One kind of traffic over a connection, and when it runs by itself.

    `cron` has five fields (minute, hour, day, month, weekday) in `time_zone`; null: only when somebody asks. `lacks`
    says why the platform has nothing for it, or what the connection's settings do not name: it does not run then.
    """

    id: UUID
    connection_id: UUID
    kind: FeedKind
    is_enabled: bool
    cron: str | None
    time_zone: str
    next_run_at: datetime | None
    lacks: str | None = None
    version: int


class FeedChange(ChangeOf):
    """What is to change of a feed: the fields that are given."""

    is_enabled: bool = True
    cron: Cron | None = None
    time_zone: TimeZone = "UTC"


class FeedExecution(Shape):
    """One run of a feed. It is a job of the same id: `GET /v1/jobs/{id}` follows it, and cancelling that stops it.

    `counters`: `scanned new changed unchanged gone` of what the platform has; `applied sent failed` and so on of what
    was done about it. `partial`: it ended with records that failed; `rerun` does those alone again.
    """

    id: UUID
    connection_id: UUID
    feed_id: UUID
    kind: FeedKind
    trigger: Trigger
    is_full: bool
    reason: str | None
    rerun_of: UUID | None
    state: ExecutionState
    progress: JobProgress
    counters: dict[str, int]
    error: dict[str, Any] | None
    log: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StartedExecutions(Shape):
    """The executions that were started; feeds that are `waiting` start when another that reads or writes the same is
    over; of those `skipped`, why, by a stable code."""

    items: list[FeedExecution]
    waiting: list[FeedKind] = []
    skipped: dict[str, str] = {}


class Clock(Shape):
    """How far a connection has been read: changes up to `cursor_at` are known; `full_scan_at` is when all was read."""

    entity: Entity
    cursor_at: datetime | None
    scan_started_at: datetime | None
    full_scan_at: datetime | None
    records: int | None


class Clocks(Shape):
    """One per kind of record that was ever scanned."""

    items: list[Clock]


class Listing(Shape):
    """A record of a platform, and what we know of it.

    `remote` is what the platform had when it was last read, `acknowledged` what of that we have dealt with, `sent` the
    latest values that we wrote there. `product_id` or `order_id` is what it is here. `colour` sums up its open changes.
    Without an `external_id` it is one of ours that waits to be made there (`gone_at`: somebody called that off).
    """

    id: UUID
    connection_id: UUID
    entity: Entity
    external_id: str | None
    parent_external_id: str | None
    sku: str | None
    product_id: UUID | None
    order_id: UUID | None = None
    remote: dict[str, Any]
    acknowledged: dict[str, Any] | None
    sent: dict[str, Any]
    colour: Colour
    remote_updated_at: datetime | None
    gone_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class QueuedChange(Shape):
    """One field of one record that is different on one side. Without a `field` it is the whole record.

    A record that is to be made there has no `external_id` yet; `after` has the fields of its `product` and `variants`.

    `in`: it is to be taken over here; `out`: it is to be written there. `review` and `conflict` wait for a person.
    """

    id: UUID
    connection_id: UUID
    listing_id: UUID
    entity: Entity
    external_id: str | None
    sku: str | None
    direction: Direction
    field: str | None
    before: Any | None
    after: Any | None
    colour: Colour
    state: ChangeState
    reason: str | None
    attempts: int
    next_attempt_at: datetime | None
    decided_by: Actor | None
    created_at: datetime
    updated_at: datetime


class ChangeCounts(Shape):
    """How many changes are as asked for, by state."""

    total: int
    by_state: dict[str, int]


class DecidedChanges(Shape):
    """How many of the named changes the decision reached; the others were decided or done already."""

    decided: int


class Issue(Shape):
    """Something that went wrong with one record, or (without a `listing_id`) with a feed.

    `info`: a rule of the business, nothing to do. `retry`: it is tried again by itself. `error`: a person has to act;
    `setting` names the path of the connection's settings that may mend it. `remote_message` is in the platform's words.
    """

    id: UUID
    connection_id: UUID
    feed: FeedKind
    listing_id: UUID | None
    subject: str
    issue_class: IssueClass
    code: str
    message: str
    remote_message: str | None
    setting: str | None
    attempts: int
    execution_id: UUID | None
    created_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None


class IssuePattern(Shape):
    """Issues that are alike: how many, of how many records, one of them to look at, and what mends them all."""

    connection_id: UUID
    feed: FeedKind
    issue_class: IssueClass
    code: str
    count: int
    example: str
    remote_message: str | None
    setting: str | None
    fix: str
    first_at: datetime
    last_at: datetime


class IssuePatterns(Shape):
    """Patterns of open issues, the most frequent first. `counts` is the bell: open issues by class."""

    items: list[IssuePattern]
    counts: dict[str, int]


class MatchedProduct(Shape):
    """A product of the platform, and what it would be here: `link` to `product_id`, `create`, or `ambiguous`."""

    listing_id: UUID
    external_id: str
    title: str | None
    skus: list[str]
    outcome: Literal["link", "create", "ambiguous", "linked"]
    product_ids: list[UUID]
    by: str | None


class MatchPreview(Shape):
    """What the first sync would do with the products that were scanned: one page of them, and
    how many of each (on the first page; empty on others).
    """

    items: list[MatchedProduct]
    next: str | None
    counts: dict[str, int]
    seen_at: datetime | None


class ChecklistItem(Shape):
    """One condition of going live, and whether it holds."""

    code: str
    is_met: bool
    detail: str


class Checklist(Shape):
    """What has to hold before a connection goes live."""

    items: list[ChecklistItem]
    is_ready: bool


class DeletionPreview(Shape):
    """What would leave Crossdock with a connection. Products, orders and the platform stay as they are.

    `channel_contents` are products of which the connection has something of its own; the history keeps what that was.
    """

    counts: dict[str, int]
