"""Goods of an imported order have left: the platform is told, with carrier and tracking, once for each shipment."""

from collections.abc import Sequence

import orjson

from services.sync.platforms.base import Outcome, ShipmentWrite, Written
from services.sync.repository import changes, listings
from services.sync.repository.changes import Found
from services.sync.use_cases.executing import Run
from services.sync.use_cases.sending import Queued, send
from shared.contracts.inventory.events import ShipmentShipped
from shared.unit_of_work import UnitOfWork

_FIELD = "shipment"


async def note_shipment(uow: UnitOfWork, event: ShipmentShipped) -> None:
    """Queue a shipment for the connection that its order came from, if one did. Safe to repeat."""
    row = await listings.find_of_order(uow, event.order_id)
    if row is None:
        return
    field = f"{_FIELD}:{event.shipment_id}"
    if field in orjson.loads(row["sent"]):
        return
    told = {
        "number": event.number,
        "carrier": event.carrier,
        "tracking_numbers": event.tracking_numbers,
        "tracking_url": event.tracking_url,
        "lines": [[line.sku, line.quantity] for line in event.lines],
    }
    await changes.queue(
        uow, row["connection_id"], [Found(row["id"], "order", "out", "insert", field, None, told, "queued")]
    )


async def confirm_shipments(run: Run) -> None:
    """Tell the platform of all shipments that it has not heard of."""
    await send(run, ("order",), _write)


async def _write(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Of an order with several shipments each is told; the first that is not taken says what became of the order."""
    written = []
    for queued in batch:
        answers = await run.session.confirm_shipments([_shipment_write(queued, field) for field in queued.fields])
        bad = next((answer for answer in answers if answer.outcome not in ("ok", "unchanged")), None)
        given = {name: value for answer in answers for name, value in answer.references.items()}
        outcome: Outcome = "ok" if any(each.outcome == "ok" for each in answers) else "unchanged"
        written.append(bad or Written(outcome, references=given))
    return written


def _shipment_write(queued: Queued, field: str) -> ShipmentWrite:
    told = queued.fields[field]
    return ShipmentWrite(
        operation_key=field.partition(":")[2],
        order_external_id=queued.row["external_id"],
        lines=[(sku, quantity) for sku, quantity in told["lines"]],
        carrier=told["carrier"],
        tracking_numbers=told["tracking_numbers"],
        tracking_url=told["tracking_url"],
        references=queued.references,
    )
