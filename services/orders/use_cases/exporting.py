"""Orders as a CSV file: one row per line, oldest first, of those that were there when it was asked for."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from services.orders.errors import OrderExportHasNoFile, OrderExportNotFinished
from services.orders.repository import exports
from services.orders.use_cases import reading, selecting
from shared import clock, jobs
from shared.contracts.orders.lists import OrderExportFile, OrderFilter
from shared.contracts.orders.shapes import Order
from shared.contracts.platform.shapes import Job
from shared.errors import CrossdockError
from shared.impex.writing_files import FORMATS
from shared.jobs import JobLost, JobNotFound, RunningJob
from shared.parts import PartedFile
from shared.unit_of_work import UnitOfWork

KIND = "export"
FOLDER = "order-exports"
KEPT = timedelta(days=7)
PORTION = 500
_TEMPORARY = (503, 504)
HEADINGS = (
    "number", "placed_at", "shop", "status", "payment_status", "currency", "total", "paid", "refunded",
    "customer_email", "customer_name", "ship_to", "company", "line1", "line2", "city", "region", "postal_code",
    "country", "phone", "sku", "title", "quantity", "unit_price", "line_total", "shipped", "line_status", "id",
)  # fmt: skip
_OF_ADDRESS = ("company", "line1", "line2", "city", "region", "postal_code", "country", "phone")


async def start(uow: UnitOfWork, asked: OrderFilter) -> Job:
    """Queue an export. Days are those of this moment. Raises ShopNotFound, CustomerNotFound."""
    job = await jobs.create(uow, KIND, await selecting.parameters(uow, asked))
    uow.audit("order_export.start", "job", job.id, after={"filter": sorted(asked.model_fields_set)})
    return job


async def run(job: RunningJob) -> None:
    """Write what a job says, some hundred orders at a time."""
    file = PartedFile(FORMATS["csv"], HEADINGS, f"{FOLDER}/{job.id}", "orders.csv")
    try:
        while not job.checkpoint.get("is_read"):
            await _portion(job, file)
        # Killed after that, some of the parts are gone already, and the file is there.
        if not job.result_files:
            made = await file.join(job)
            async with job.step():
                job.total = job.done
                job.result_files = [made]
    except JobLost:
        raise
    except CrossdockError as error:
        # What passes by itself is tried again, with the parts that there are.
        if error.status not in _TEMPORARY:
            await file.remove_parts(job)
        raise
    await file.remove_parts(job)


async def _portion(job: RunningJob, file: PartedFile) -> None:
    selected = await selecting.select(job, PORTION)
    uow = job.unit_of_work()
    try:
        orders = await reading.list_whole(uow, selected.order_ids)
        statuses = await exports.payment_statuses(uow, selected.order_ids)
    finally:
        await uow.rollback()
    rows = await asyncio.to_thread(_rows, orders, statuses)
    if rows:
        await file.put(job, file.form.part(HEADINGS, rows))
    async with job.step():
        selected.note(job)
        if rows:
            file.count(job)
        job.count("orders", len(orders))
        job.count("rows", len(rows))


def _rows(orders: Sequence[Order], statuses: dict[UUID, str]) -> list[list[str]]:
    return [row for order in orders for row in _rows_of(order, statuses[order.id])]


def _rows_of(order: Order, payment_status: str) -> Iterator[list[str]]:
    """A row per line; one without a line for an order that has none."""
    address, customer = order.shipping_address, order.customer
    where = [getattr(address, name) or "" if address else "" for name in _OF_ADDRESS]
    whole = [
        order.number, order.placed_at.isoformat(), order.shop, order.status, payment_status, order.currency,
        str(order.total.major), str(order.paid.major), str(order.refunded.major),
        customer.email if customer else "", customer.name if customer else "",
        (address.name if address else None) or "", *where,
    ]  # fmt: skip
    for line in order.lines:
        yield [
            *whole, line.sku, line.title or "", str(line.quantity), str(line.unit_price.major), str(line.total.major),
            str(line.shipped), line.status, str(order.id),
        ]  # fmt: skip
    if not order.lines:
        yield [*whole, *[""] * 7, str(order.id)]


async def file(uow: UnitOfWork, job_id: UUID) -> OrderExportFile:
    """Where the file is: for whoever asked for it, and for who sees every shop.

    Raises JobNotFound, OrderExportNotFinished, OrderExportHasNoFile.
    """
    job = await jobs.get(uow, job_id)
    if job.kind != KIND or (uow.caller.shop_ids is not None and job.requested_by.id != uow.caller.id):
        raise JobNotFound("There is no such export of orders.")
    if job.finished_at is None:
        raise OrderExportNotFinished("The export still runs; its file is there at the end.")
    if not job.result_files:
        raise OrderExportHasNoFile("The export has no file: it failed, or was cancelled.")
    if job.finished_at < clock.now() - KEPT:
        raise OrderExportHasNoFile(f"The file was kept for {KEPT.days} days: export again.")
    return OrderExportFile(**job.result_files[0].model_dump())


async def needed_keys(uow: UnitOfWork, _organization_id: UUID, keys: Sequence[str]) -> set[str]:
    """Of files of exports, those to be kept: of an export at work, and results for a week."""
    return await exports.needed_keys(uow, {key: UUID(key.split("/")[1]) for key in keys}, clock.now() - KEPT)
