"""Listings, changes and issues."""

from services.sync.use_cases import deciding, reporting, telling, troubleshooting
from shared.contracts.base import Page
from shared.contracts.sync.messages import (
    ApproveChanges,
    CancelChanges,
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
from shared.contracts.sync.report import GetListingReportSheet, ListingReportSheet
from shared.contracts.sync.standings import (
    ConnectionIdentities,
    GetConnectionIdentities,
    GetListingStandings,
    GetNamedConnections,
    ListingStandings,
    NamedConnections,
)
from shared.contracts.sync.work import (
    ChangeCounts,
    DecidedChanges,
    Issue,
    IssuePatterns,
    Listing,
    QueuedChange,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListListings, scope="sync:read")
async def list_listings(message: ListListings, uow: UnitOfWork) -> Page[Listing]:
    return await deciding.list_listings(uow, message)


@answers(GetListing, scope="sync:read")
async def get_listing(message: GetListing, uow: UnitOfWork) -> Listing:
    return await deciding.get_listing(uow, message.listing_id)


@answers(GetListingReportSheet, scope="sync:read")
async def get_listing_report_sheet(message: GetListingReportSheet, uow: UnitOfWork) -> ListingReportSheet:
    return await reporting.sheet(uow, message)


@answers(GetListingStandings, internal=True)
async def get_listing_standings(message: GetListingStandings, uow: UnitOfWork) -> ListingStandings:
    return await telling.list_standings(uow, message)


@answers(GetConnectionIdentities, internal=True)
async def get_connection_identities(_message: GetConnectionIdentities, uow: UnitOfWork) -> ConnectionIdentities:
    return await telling.list_identities(uow)


@answers(GetNamedConnections, internal=True)
async def get_named_connections(message: GetNamedConnections, uow: UnitOfWork) -> NamedConnections:
    return await telling.list_named(uow, message.shop_ids)


@answers(ListChanges, scope="sync:read")
async def list_changes(message: ListChanges, uow: UnitOfWork) -> Page[QueuedChange]:
    return await deciding.list_changes(uow, message)


@answers(CountChanges, scope="sync:read")
async def count_changes(message: CountChanges, uow: UnitOfWork) -> ChangeCounts:
    return await deciding.count_changes(uow, message.connection_id, message.direction)


@answers(GetChange, scope="sync:read")
async def get_change(message: GetChange, uow: UnitOfWork) -> QueuedChange:
    return await deciding.get_change(uow, message.change_id)


@answers(ApproveChanges, scope="sync:write")
async def approve_changes(message: ApproveChanges, uow: UnitOfWork) -> DecidedChanges:
    return await deciding.approve(uow, message.change_ids)


@answers(CancelChanges, scope="sync:write")
async def cancel_changes(message: CancelChanges, uow: UnitOfWork) -> DecidedChanges:
    return await deciding.cancel(uow, message.change_ids)


@answers(ListIssues, scope="sync:read")
async def list_issues(message: ListIssues, uow: UnitOfWork) -> Page[Issue]:
    return await troubleshooting.list_page(uow, message)


@answers(GetIssue, scope="sync:read")
async def get_issue(message: GetIssue, uow: UnitOfWork) -> Issue:
    return await troubleshooting.get(uow, message.issue_id)


@answers(TroubleshootIssues, scope="sync:read")
async def troubleshoot_issues(message: TroubleshootIssues, uow: UnitOfWork) -> IssuePatterns:
    return await troubleshooting.patterns(uow, message.connection_id)


@answers(RetryIssues, scope="sync:write")
async def retry_issues(message: RetryIssues, uow: UnitOfWork) -> DecidedChanges:
    return await troubleshooting.retry(uow, message.connection_id, message.feed, message.code)


@answers(DismissIssues, scope="sync:write")
async def dismiss_issues(message: DismissIssues, uow: UnitOfWork) -> DecidedChanges:
    return await troubleshooting.dismiss(uow, message.connection_id, message.feed, message.code, message.reason)
