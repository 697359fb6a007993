"""Orders of a platform that orders has set aside are issues of their connection, until they go on."""

from collections.abc import Sequence
from uuid import UUID

from services.sync.repository import issues, listings
from services.sync.repository.issues import Trouble
from shared.contracts.orders.events import ImportedOrderChanged
from shared.contracts.orders.imported import RetryImportedOrder, imported_order_id
from shared.contracts.sync.shapes import FeedKind, IssueClass
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

RETRY_ORDERS = "sync.retry_orders"
_PREFIX = "order_"
_FEED: FeedKind = "import_orders"
_IN_ONE_TASK = 50
# What passes by itself is looked at again by orders; of what is not named here a person has to do something.
_CLASSES: dict[str, IssueClass] = {
    "status": "info",
    "unpaid": "info",
    "unknown_sku": "retry",
    "stock_missing": "retry",
}


async def note(uow: UnitOfWork, event: ImportedOrderChanged) -> None:
    """Open the issue of an order that waits, and close those that are over. Safe to repeat and to reorder."""
    listing_id = await listings.note_order_told(uow, event.connection_id, event.external_id, event.version)
    if listing_id is None:
        return
    trouble = _trouble(event, listing_id) if event.state == "set_aside" else None
    await issues.resolve_other(uow, listing_id, _PREFIX, trouble)
    if trouble is not None:
        await issues.note(uow, event.connection_id, None, [trouble])


def _trouble(event: ImportedOrderChanged, listing_id: UUID) -> Trouble:
    reason, message = event.reason or "status", event.detail or "It waits."
    if event.is_escalated:
        message = f"It was looked at as often as the settings say, and still waits: {message}"
    issue_class = "error" if event.is_escalated else _CLASSES.get(reason, "error")
    return Trouble(_FEED, issue_class, f"{_PREFIX}{reason}", message, event.external_id, listing_id)


def retry(uow: UnitOfWork, connection_id: UUID, code: str, subjects: Sequence[str]) -> int:
    """Have orders look again, after the commit, at what waits there for this. Returns how many those are."""
    if not code.startswith(_PREFIX):
        return 0
    ids = [str(imported_order_id(uow.organization_id, connection_id, subject)) for subject in subjects]
    for at in range(0, len(ids), _IN_ONE_TASK):
        uow.defer(RETRY_ORDERS, {"imported_order_ids": ids[at : at + _IN_ONE_TASK]})
    return len(ids)


async def look_again(uow: UnitOfWork, imported_order_ids: Sequence[UUID]) -> None:
    """Ask orders to look again at these. One that went on meanwhile is left. Safe to repeat."""
    for each in imported_order_ids:
        try:
            await uow.ask(RetryImportedOrder(imported_order_id=each))
        except CrossdockError as error:
            if error.status not in (404, 409):
                raise
