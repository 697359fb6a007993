"""Issues: shown one by one, and by what they have in common, each group with what mends it."""

from uuid import UUID

import asyncpg

from services.sync.models import FEEDS
from services.sync.repository import changes, connections, issues, standings
from services.sync.use_cases import waiting_orders
from shared.contracts.base import Page
from shared.contracts.sync.messages import ListIssues
from shared.contracts.sync.shapes import FeedKind
from shared.contracts.sync.work import DecidedChanges, Issue, IssuePattern, IssuePatterns
from shared.pagination import id_after, page_by_id
from shared.unit_of_work import UnitOfWork

# What mends the issues of a code, and the part of the connection's settings where that is.
_FIXES: dict[str, tuple[str, str | None]] = {
    "matches_not_seen": ("Look at the preview of matches and confirm it.", None),
    "ambiguous_match": ("Make the SKUs or barcodes of your products differ, then try again.", "match_by"),
    "product_gone": ("Cancel the change: the record is taken as a new one.", None),
    "sku_elsewhere": ("Link the products, or give the variants SKUs and barcodes of their own.", "match_by"),
    "sku_changed": ("Give the variant here the same SKU, or take it back over there, then try again.", None),
    "duplicate_sku": ("Give each variant over there a SKU of its own, then try again.", None),
    "other_currency": ("Connect a shop that sells in the platform's currency; all but the prices was taken.", None),
    "invalid_barcode": ("Correct the barcode over there; all else was taken.", None),
    "location_not_mapped": ("Say in the settings which fulfilment centre the place is.", "locations"),
    "too_many_gone": ("If they are gone for good, raise the guard and reset the clock once more.", "guard_percent"),
    "too_many_emptied": ("Look at the changes that wait: approve them, or cancel them.", "guard_percent"),
    "incomplete_scan": ("Reset the clock and read everything again.", None),
    "partial_scan": ("Nothing is to be done: what only tells changes can not tell what is gone.", None),
    "no_product": (
        "Nothing is to be done: what changes there of a product deleted here is left.",
        None,
    ),
    "unreadable_record": ("Correct the record over there; the message says what is odd about it.", None),
    "invalid_order": ("Correct the order over there; it is read again when it changes.", None),
    "order_status": ("Nothing is to be done while it waits there; what is, say in the settings.", "order_statuses"),
    "order_unknown_status": ("Say in the settings what is done with an order of this status.", "order_statuses"),
    "order_unpaid": ("Nothing is to be done: it goes on when it is paid over there.", None),
    "order_unknown_sku": ("Import or create the product with this SKU, or give one the SKU, then try again.", None),
    "order_stock_missing": ("Bring stock in, let it be promised, or take such orders on hold.", "stock_missing"),
    "order_sku_at_two_prices": ("Take the order by hand: one SKU has one price in an order here.", None),
    "order_wrong_currency": ("Connect a shop that sells in the order's currency.", None),
    "order_totals_differ": ("Correct the order over there, then try again.", None),
    "order_shop_removed": ("The shop was removed here: give up the order, or delete the connection.", None),
    "credentials_refused": ("Give the connection new credentials.", "credentials"),
    "platform_away": ("Nothing to do: it is asked again.", None),
    "answer_not_understood": ("Nothing to do: it is asked again. If it stays, look at the address.", "platform"),
    "platform_refused": ("Read the platform's words; they say what it does not take.", "platform"),
    "refused": ("Read the platform's words, correct the record, then try again.", None),
    "not_written": ("Nothing to do: it is tried again.", None),
    "import_failed": ("Look at the import of the same time; then try again.", None),
}
_OTHER_FIX = ("Read the message, correct the record, then try again.", None)


async def get(uow: UnitOfWork, issue_id: UUID) -> Issue:
    """Raises IssueNotFound."""
    return shape(await issues.get(uow, issue_id))


async def list_page(uow: UnitOfWork, asked: ListIssues) -> Page[Issue]:
    return page_by_id(await issues.list_page(uow, asked, id_after(asked.after)), asked.first, shape)


async def patterns(uow: UnitOfWork, connection_id: UUID | None) -> IssuePatterns:
    """Raises ConnectionNotFound."""
    if connection_id is not None:
        await connections.get(uow, connection_id)
    items = [_pattern(row) for row in await issues.list_patterns(uow, connection_id)]
    counts = dict.fromkeys(("info", "retry", "error"), 0)
    for item in items:
        counts[item.issue_class] += item.count
    return IssuePatterns(items=items, counts=counts)


async def retry(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, code: str) -> DecidedChanges:
    """Queue again all that a pattern holds up, and close its issues. Raises ConnectionNotFound."""
    await connections.get(uow, connection_id, lock=True)
    closed = await issues.close_pattern(uow, connection_id, feed, code)
    standings.tell_soon(uow)
    listing_ids = [row["listing_id"] for row in closed if row["listing_id"]]
    decided = await changes.try_again(uow, listing_ids, FEEDS[feed].direction)
    decided += waiting_orders.retry(uow, connection_id, code, [row["subject"] for row in closed])
    uow.audit("issues.retry", "connection", connection_id, after={"feed": feed, "code": code, "changes": decided})
    return DecidedChanges(decided=decided)


async def dismiss(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, code: str, reason: str) -> DecidedChanges:
    """Close all issues of a pattern. Raises ConnectionNotFound."""
    await connections.get(uow, connection_id, lock=True)
    closed = len(await issues.close_pattern(uow, connection_id, feed, code))
    standings.tell_soon(uow)
    told = {"feed": feed, "code": code, "issues": closed}
    uow.audit("issues.dismiss", "connection", connection_id, after=told, reason=reason)
    return DecidedChanges(decided=closed)


def shape(row: asyncpg.Record) -> Issue:
    same = ("id", "connection_id", "feed", "listing_id", "subject", "code", "message", "remote_message", "attempts")
    return Issue(
        **{name: row[name] for name in (*same, "execution_id", "created_at", "last_seen_at", "resolved_at")},
        issue_class=row["class"],
        setting=_FIXES.get(row["code"], _OTHER_FIX)[1],
    )


def _pattern(row: asyncpg.Record) -> IssuePattern:
    fix, setting = _FIXES.get(row["code"], _OTHER_FIX)
    same = ("connection_id", "feed", "code", "count", "example", "remote_message", "first_at", "last_at")
    return IssuePattern(**{name: row[name] for name in same}, issue_class=row["class"], fix=fix, setting=setting)
