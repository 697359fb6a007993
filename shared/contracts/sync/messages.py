"""What is asked of sync."""

from typing import Annotated
from uuid import UUID

from pydantic import Base64Bytes, Field

from shared.contracts.base import Command, Done, Page, Query
from shared.contracts.orders.messages import Reason
from shared.contracts.sync.shapes import (
    ChangeState,
    Connection,
    ConnectionChange,
    ConnectionDraft,
    Direction,
    Entity,
    ExecutionState,
    FeedKind,
    IssueClass,
)
from shared.contracts.sync.work import (
    ChangeCounts,
    Checklist,
    Clocks,
    DecidedChanges,
    DeletionPreview,
    Feed,
    FeedChange,
    FeedExecution,
    Issue,
    IssuePatterns,
    Listing,
    MatchPreview,
    QueuedChange,
    StartedExecutions,
)
from shared.pagination import First

ChangeIds = Annotated[list[UUID], Field(min_length=1, max_length=1000)]

# --- connections


class CreateConnection(Command[Connection]):
    """Connect a store platform: it is asked who it is first, and kept when it answers. It begins in test mode.

    A system behind a firewall (`agent`) is kept at once; `agent_token` of the answer is for its agent, which is asked
    when it comes.

    Refused: `shop_not_found` (404), `unknown_platform`, `invalid_connection_settings`, `invalid_credentials` (422),
    `credentials_refused`, `platform_refused`, `already_connected` (409), `platform_away` (503).
    """

    timeout_seconds = 45.0
    connection: ConnectionDraft


class GetConnection(Query[Connection]):
    """A connection. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class ListConnections(Query[Page[Connection]]):
    """Connections to store platforms, newest first."""

    first: First = 50
    after: str | None = None


class ChangeConnection(Command[Connection]):
    """Change a connection. New credentials are tried first; what was read and queued stays.

    Refused: `connection_not_found` (404), `connection_changed_since` (412), and as creating one.
    """

    timeout_seconds = 45.0
    connection_id: UUID
    change: ConnectionChange
    expected_version: int | None = None


class TestConnection(Command[Connection]):
    """Ask the platform who it is, with the credentials that are kept. Refused: as creating one."""

    timeout_seconds = 45.0
    connection_id: UUID


class PauseConnection(Command[Connection]):
    """Stop all of a connection's traffic, between two requests; what runs waits where it is.

    Refused: `connection_not_found` (404).
    """

    connection_id: UUID


class ResumeConnection(Command[Connection]):
    """Let a paused connection go on where it stopped. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class GetConnectionChecklist(Query[Checklist]):
    """What has to hold before a connection goes live, and what of it does. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class GoLive(Command[Connection]):
    """Leave test mode: what is computed is sent from now on.

    Refused: `connection_not_found` (404), `not_ready` (409).
    """

    connection_id: UUID


class PreviewConnectionDeletion(Query[DeletionPreview]):
    """What would leave with a connection. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class DeleteConnection(Command[Done]):
    """Forget a connection: its listings, changes, clocks and credentials. Products, orders and the platform stay.

    A snapshot of what it had, without credentials, is kept for a time.

    Refused: `connection_not_found` (404), `connection_is_busy` (409).
    """

    connection_id: UUID


class ListClocks(Query[Clocks]):
    """How far a connection has been read. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class ResetClock(Command[Clocks]):
    """Forget how far records of one kind were read: the next fetch reads all of them, and finds out what is gone.

    Refused: `connection_not_found` (404).
    """

    connection_id: UUID
    entity: Entity


class ReceiveWebhook(Command[Done]):
    """A platform says that something changed. It is verified, kept, and wakes the feeds that go and look.

    Refused: `connection_not_found` (404), `webhook_not_genuine` (401).
    """

    connection_id: UUID
    headers: dict[str, str]
    body: Base64Bytes


# --- feeds


class ListFeeds(Query[Page[Feed]]):
    """The feeds of a connection, by kind. Refused: `connection_not_found` (404)."""

    connection_id: UUID
    first: First = 50
    after: str | None = None


class GetFeed(Query[Feed]):
    """A feed. Refused: `feed_not_found` (404)."""

    feed_id: UUID


class ChangeFeed(Command[Feed]):
    """Turn a feed on or off, and say when it runs by itself.

    Refused: `feed_not_found` (404), `feed_changed_since` (412), `invalid_cron` (422), `feed_not_offered` (409).
    """

    feed_id: UUID
    change: FeedChange
    expected_version: int | None = None


class RunFeed(Command[FeedExecution]):
    """Run a feed now. `is_full`: read everything, whatever is known. After going live stock is imported with a reason.

    Refused: `feed_not_found` (404), `feed_is_running`, `connection_is_paused`, `needs_credentials`, `feed_not_offered`,
    `stock_is_ours` (409).
    """

    feed_id: UUID
    is_full: bool = False
    reason: Reason | None = None


class FetchConnection(Command[StartedExecutions]):
    """Run every enabled feed that brings something in. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class SendConnection(Command[StartedExecutions]):
    """Run every enabled feed that sends something out. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class SyncConnection(Command[StartedExecutions]):
    """Run every enabled feed, in both directions at once. Refused: `connection_not_found` (404)."""

    connection_id: UUID


class ListFeedExecutions(Query[Page[FeedExecution]]):
    """Runs of feeds, latest first."""

    connection_id: UUID | None = None
    feed_id: UUID | None = None
    kind: FeedKind | None = None
    state: ExecutionState | None = None
    first: First = 50
    after: str | None = None


class GetFeedExecution(Query[FeedExecution]):
    """One run of a feed. Refused: `feed_execution_not_found` (404)."""

    execution_id: UUID


class RerunFeedExecution(Command[FeedExecution]):
    """Run a feed again: all of it, or (`only_failed`) nothing but the records that failed.

    Refused: `feed_execution_not_found` (404), and as running it.
    """

    execution_id: UUID
    only_failed: bool = False


# --- listings and changes


class ListListings(Query[Page[Listing]]):
    """Records of platforms, by id."""

    connection_id: UUID | None = None
    entity: Entity | None = None
    product_id: UUID | None = None
    sku: str | None = None
    first: First = 50
    after: str | None = None


class GetListing(Query[Listing]):
    """A record of a platform. Refused: `listing_not_found` (404)."""

    listing_id: UUID


class ListChanges(Query[Page[QueuedChange]]):
    """Changes, latest first: the outbound plan of a connection, what waits for a person, what failed."""

    connection_id: UUID | None = None
    listing_id: UUID | None = None
    direction: Direction | None = None
    state: ChangeState | None = None
    first: First = 50
    after: str | None = None


class CountChanges(Query[ChangeCounts]):
    """How many changes of a connection there are, by state. Refused: `connection_not_found` (404)."""

    connection_id: UUID
    direction: Direction | None = None


class GetChange(Query[QueuedChange]):
    """A change. Refused: `change_not_found` (404)."""

    change_id: UUID


class ApproveChanges(Command[DecidedChanges]):
    """Let changes happen that wait for a person or failed; of a conflict, the side wins whose change is named.

    What takes a picture away over there (`red`) is approved by itself, never with others.

    Refused: `change_not_found` (404), `one_removal_at_a_time` (409), `both_sides_chosen` (422).
    """

    change_ids: ChangeIds


class CancelChanges(Command[DecidedChanges]):
    """Do not do these changes; what the other side has stays as it is. Refused: `change_not_found` (404)."""

    change_ids: ChangeIds


# --- issues


class ListIssues(Query[Page[Issue]]):
    """Open issues, latest first; with `is_open` false the ones that are over."""

    connection_id: UUID | None = None
    listing_id: UUID | None = None
    issue_class: IssueClass | None = None
    code: str | None = None
    is_open: bool = True
    first: First = 50
    after: str | None = None


class GetIssue(Query[Issue]):
    """An issue. Refused: `issue_not_found` (404)."""

    issue_id: UUID


class TroubleshootIssues(Query[IssuePatterns]):
    """Open issues by what they have in common, each group with what mends it."""

    connection_id: UUID | None = None


class RetryIssues(Command[DecidedChanges]):
    """Try again, now, everything that one pattern of issues holds up. Refused: `connection_not_found` (404)."""

    connection_id: UUID
    code: str
    feed: FeedKind


class DismissIssues(Command[DecidedChanges]):
    """Close all issues of one pattern; they come again if their cause does. Refused: `connection_not_found` (404)."""

    connection_id: UUID
    code: str
    feed: FeedKind
    reason: Reason


# --- matches


class PreviewMatches(Query[MatchPreview]):
    """What the products that were scanned would become here, before anything is created.

    Refused: `connection_not_found` (404).
    """

    connection_id: UUID
    first: First = 50
    after: str | None = None


class ConfirmMatches(Command[Connection]):
    """The preview was looked at: products may be linked and created.

    Refused: `connection_not_found` (404), `nothing_scanned` (409).
    """

    connection_id: UUID
