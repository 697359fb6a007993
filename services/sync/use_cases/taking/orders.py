"""Orders of a platform go to the orders service, which knows each by the connection and its id there."""

from collections.abc import Mapping
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.sync.models import same_records
from services.sync.repository import changes, issues, listings
from services.sync.repository.changes import Which
from services.sync.repository.issues import Trouble
from services.sync.use_cases import connecting
from services.sync.use_cases.executing import Run
from shared.contracts.orders.imported import MOST_ORDERS, ImportOrders, RemoteOrder, imported_order_id
from shared.contracts.sync.shapes import FeedKind

_WHICH: dict[FeedKind, Which] = {"import_orders": "inserts", "update_orders": "updates"}


async def take_orders(run: Run) -> None:
    """Hand over what is queued of orders, a hundred at a time. The same again is one order, so a kill costs nothing."""
    await connecting.keep_order_connection(run.job.unit_of_work(), run.connection_id)
    while await _take_some(run):
        pass


async def _take_some(run: Run) -> bool:
    after = run.job.checkpoint.get("taken")
    uow = run.job.unit_of_work()
    try:
        queued = await changes.list_queued(
            uow,
            run.connection_id,
            "in",
            ("order",),
            _WHICH[run.kind],
            UUID(after) if after else None,
            MOST_ORDERS,
            run.only,
        )
        rows = {row["id"]: row for row in await listings.list_by_ids(uow, [each["listing_id"] for each in queued])}
    finally:
        await uow.rollback()
    if not queued:
        return False
    good: dict[UUID, RemoteOrder] = {}
    troubles = []
    for listing_id, row in rows.items():
        try:
            good[listing_id] = RemoteOrder.model_validate_json(row["remote"])
        except ValidationError as error:
            message = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
            troubles.append(Trouble(run.kind, "error", "invalid_order", message[:1000], row["external_id"], listing_id))
    if good:
        await _link(run, good)
        await _hand_over(run, list(good.values()))
    async with run.job.step() as uow:
        await listings.acknowledge(uow, {listing_id: orjson.loads(rows[listing_id]["remote"]) for listing_id in good})
        # Its own sale has changed the platform's stock, which nobody tells us.
        await listings.forget_stock(
            uow, run.connection_id, sorted({line.sku for order in good.values() for line in order.lines})
        )
        taken = [each["id"] for each in queued if each["listing_id"] in good]
        await changes.settle(uow, taken, "applied")
        invalid = [each["id"] for each in queued if each["listing_id"] not in good]
        await changes.fail(uow, invalid, "invalid", run.job.id)
        # Not what orders may have told of them already: why one waits there.
        understood = [order.external_id for order in good.values()]
        await issues.resolve_code(uow, run.connection_id, same_records(run.kind), understood, "invalid_order")
        if troubles:
            await run.tell(uow, *troubles)
        run.job.count("applied", len(good))
        run.job.count("failed", len(troubles))
        run.job.checkpoint["taken"] = str(max(rows))
    return True


async def _link(run: Run, orders: Mapping[UUID, RemoteOrder]) -> None:
    """Say which orders these will be before they are: goods that leave at once find where their order came from."""
    organization_id, connection_id = run.job.organization_id, run.connection_id
    async with run.job.step() as uow:
        ids = {
            listing_id: imported_order_id(organization_id, connection_id, order.external_id)
            for listing_id, order in orders.items()
        }
        await listings.link_orders(uow, ids)


async def _hand_over(run: Run, orders: list[RemoteOrder]) -> None:
    await run.job.unit_of_work().ask(ImportOrders(connection_id=run.connection_id, orders=orders), timeout_seconds=60)
