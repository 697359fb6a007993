"""Records of platforms, what is to change of them, and what went wrong."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from gateway import sheets
from gateway.request import Ask
from gateway.rest.catalog import ProductSetFilter, ProductWords
from shared.contracts.base import Page, Shape
from shared.contracts.orders.messages import Reason
from shared.contracts.sync.messages import (
    ApproveChanges,
    CancelChanges,
    ChangeIds,
    CountChanges,
    DismissIssues,
    GetChange,
    GetIssue,
    GetListing,
    ListChanges,
    ListIssues,
    ListListings,
    RetryIssues,
    TroubleshootIssues,
)
from shared.contracts.sync.report import GetListingReportSheet
from shared.contracts.sync.shapes import ChangeState, Direction, Entity, FeedKind, IssueClass
from shared.contracts.sync.work import (
    ChangeCounts,
    DecidedChanges,
    Issue,
    IssuePatterns,
    Listing,
    QueuedChange,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["listings"])

After = Annotated[str | None, Query(description="`next` of the page before.")]
OfConnection = Annotated[UUID | None, Query(description="Of this connection.")]
OfListing = Annotated[UUID | None, Query(description="Of this record.")]


class Deciding(Shape):
    """The changes that are decided on, up to 1,000."""

    change_ids: ChangeIds


class Pattern(Shape):
    """The pattern of issues that is meant."""

    connection_id: UUID
    feed: FeedKind
    code: Annotated[str, Field(examples=["not_written"])]


class DismissedPattern(Pattern):
    """The pattern of issues that is closed, and why; it is kept in the audit log."""

    reason: Annotated[Reason, Field(examples=["Mended over there"])]


@router.get("/listings")
async def list_listings(
    ask: Ask,
    connection_id: OfConnection = None,
    entity: Entity | None = None,
    product_id: Annotated[UUID | None, Query(description="What this product is on platforms.")] = None,
    sku: str | None = None,
    first: First = 50,
    after: After = None,
) -> Page[Listing]:
    """Records of platforms: what they have, what we have dealt with, and what we wrote there last."""
    return await ask(
        ListListings(
            connection_id=connection_id, entity=entity, product_id=product_id, sku=sku, first=first, after=after
        )
    )


@router.get("/listings/{listing_id}")
async def get_listing(listing_id: UUID, ask: Ask) -> Listing:
    """A record of a platform."""
    return await ask(GetListing(listing_id=listing_id))


@router.get("/listing-report", response_class=StreamingResponse)
async def download_listing_report(
    ask: Ask,
    shop: Annotated[str | None, Query(description="Code of the shop that is here, whose connections are told.")] = None,
    connection_id: Annotated[UUID | None, Query(description="Only this connection.")] = None,
    query: ProductWords = None,
    sets: ProductSetFilter = [],  # noqa: B006
) -> StreamingResponse:
    """Every variant of every product as CSV: what it is here, and a block of columns for each connection.

    Price and stock here are those of `shop`; where that is not said, of the shop of the connection, or of the oldest
    one. A block has the platform's ids, status, price and quantity as they were last read, and how many changes and
    issues are open; it is empty where the product is not on that platform. With words or sets there are the products
    that are found.
    """
    wanted = GetListingReportSheet(shop=shop, connection_id=connection_id, query=query, sets=sets)
    return await sheets.download(ask, wanted, "listings.csv")


@router.get("/changes")
async def list_changes(
    ask: Ask,
    connection_id: OfConnection = None,
    listing_id: OfListing = None,
    direction: Direction | None = None,
    state: ChangeState | None = None,
    first: First = 50,
    after: After = None,
) -> Page[QueuedChange]:
    """Changes, latest first. `direction=out&state=queued` is what would be sent, in test mode too."""
    return await ask(
        ListChanges(
            connection_id=connection_id,
            listing_id=listing_id,
            direction=direction,
            state=state,
            first=first,
            after=after,
        )
    )


@router.get("/connections/{connection_id}/change-counts")
async def count_changes(connection_id: UUID, ask: Ask, direction: Direction | None = None) -> ChangeCounts:
    """How many changes of a connection there are, by state."""
    return await ask(CountChanges(connection_id=connection_id, direction=direction))


@router.get("/changes/{change_id}")
async def get_change(change_id: UUID, ask: Ask) -> QueuedChange:
    """A change: one field of one record, before and after."""
    return await ask(GetChange(change_id=change_id))


@router.post("/changes/approve")
async def approve_changes(body: Deciding, ask: Ask) -> DecidedChanges:
    """Let changes happen that wait for a person or have failed; of a conflict, this side wins."""
    return await ask(ApproveChanges(change_ids=body.change_ids))


@router.post("/changes/cancel")
async def cancel_changes(body: Deciding, ask: Ask) -> DecidedChanges:
    """Do not do these changes: what the other side has stays as it is."""
    return await ask(CancelChanges(change_ids=body.change_ids))


@router.get("/issues")
async def list_issues(
    ask: Ask,
    connection_id: OfConnection = None,
    listing_id: OfListing = None,
    issue_class: IssueClass | None = None,
    code: str | None = None,
    is_open: bool = True,
    first: First = 50,
    after: After = None,
) -> Page[Issue]:
    """Issues, latest first: the open ones, or with `is_open=false` those that are over."""
    return await ask(
        ListIssues(
            connection_id=connection_id,
            listing_id=listing_id,
            issue_class=issue_class,
            code=code,
            is_open=is_open,
            first=first,
            after=after,
        )
    )


@router.get("/issue-patterns")
async def troubleshoot_issues(ask: Ask, connection_id: OfConnection = None) -> IssuePatterns:
    """Open issues by what they have in common, each group with its number and with what mends it."""
    return await ask(TroubleshootIssues(connection_id=connection_id))


@router.post("/issue-patterns/retry")
async def retry_issues(body: Pattern, ask: Ask) -> DecidedChanges:
    """Try again, now, everything that one pattern of issues holds up."""
    return await ask(RetryIssues(connection_id=body.connection_id, feed=body.feed, code=body.code))


@router.post("/issue-patterns/dismiss")
async def dismiss_issues(body: DismissedPattern, ask: Ask) -> DecidedChanges:
    """Close all issues of one pattern; they come again if their cause does."""
    return await ask(
        DismissIssues(connection_id=body.connection_id, feed=body.feed, code=body.code, reason=body.reason)
    )


@router.get("/issues/{issue_id}")
async def get_issue(issue_id: UUID, ask: Ask) -> Issue:
    """An issue, with the platform's own words."""
    return await ask(GetIssue(issue_id=issue_id))
