"""Orders as a CSV file: one row per line, oldest first, of those that were there when it was asked for."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.orders.errors import OrderExportHasNoFile, OrderExportNotFinished
from services.orders.repository import customers, exports, lists, shops
from services.orders.repository.lists import Question, Window
from services.orders.use_cases import finding, listing, reading
from services.orders.use_cases.finding import FoundOrders
from shared import clock, jobs
from shared.bus.envelope import ShopNotFound
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
    if asked.shop is not None:
        shop = await shops.SHOPS.find_by_code(uow, asked.shop)
        if shop is None or not uow.caller.sees_shop(shop["id"]):
            raise ShopNotFound(f"There is no shop with the code '{asked.shop}'.")
    if asked.customer_id is not None:
        await customers.get(uow, asked.customer_id)
    windows = await listing.windows_of(uow, asked)
    limit = uow.caller.shop_ids
    parameters: dict[str, Any] = {
        "filter": asked.model_dump(mode="json", exclude_defaults=True),
        "windows": None if windows is None else [_kept(window) for window in windows],
        "shop_ids": None if limit is None else sorted(map(str, limit)),
        "asked_at": clock.now().isoformat(),
    }
    job = await jobs.create(uow, KIND, parameters)
    uow.audit("order_export.start", "job", job.id, after={"filter": sorted(asked.model_fields_set)})
    return job


def _kept(window: Window) -> dict[str, Any]:
    shop_ids = None if window.shop_ids is None else [str(shop_id) for shop_id in window.shop_ids]
    return {"from": window.from_time.isoformat(), "to": window.to_time.isoformat(), "shop_ids": shop_ids}


def _window(kept: dict[str, Any]) -> Window:
    shop_ids = None if kept["shop_ids"] is None else [UUID(shop_id) for shop_id in kept["shop_ids"]]
    return Window(datetime.fromisoformat(kept["from"]), datetime.fromisoformat(kept["to"]), shop_ids)


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
    position = job.checkpoint.get("after")
    after = None if position is None else (datetime.fromisoformat(position[0]), UUID(position[1]))
    known = await _found(job, after)
    uow = job.unit_of_work()
    try:
        question = _question(job)
        if known is not None:
            known.narrow(question)
        found = await lists.list_ids(uow, question, after, PORTION)
        orders = await reading.list_whole(uow, [row["id"] for row in found])
        statuses = await exports.payment_statuses(uow, [row["id"] for row in found])
    finally:
        await uow.rollback()
    rows = await asyncio.to_thread(_rows, orders, statuses)
    if rows:
        await file.put(job, file.form.part(HEADINGS, rows))
    goes_on = None if known is None else known.goes_on
    async with job.step():
        job.checkpoint["is_read"] = len(found) < PORTION and goes_on is None
        if found:
            file.count(job)
        if len(found) == PORTION:
            goes_on = found[-1]["placed_at"], found[-1]["id"]
        if goes_on is not None:
            job.checkpoint["after"] = [goes_on[0].isoformat(), str(goes_on[1])]
        job.count("orders", len(orders))
        job.count("rows", len(rows))
        job.done += len(orders)


async def _found(job: RunningJob, after: finding.Position | None) -> FoundOrders | None:
    """Some more of the orders with the words and in the sets; None where neither was asked for."""
    return await finding.find(
        job.unit_of_work(), _asked(job), _windows(job), _shop_ids(job), most=PORTION, after=after, oldest_first=True
    )


def _asked(job: RunningJob) -> OrderFilter:
    return OrderFilter.model_validate(job.parameters["filter"])


def _windows(job: RunningJob) -> list[Window] | None:
    windows = job.parameters["windows"]
    return None if windows is None else [_window(kept) for kept in windows]


def _shop_ids(job: RunningJob) -> list[UUID] | None:
    """The shops that whoever asked is confined to."""
    shop_ids = job.parameters["shop_ids"]
    return None if shop_ids is None else [UUID(shop_id) for shop_id in shop_ids]


def _question(job: RunningJob) -> Question:
    parameters = job.parameters
    question = lists.question_of(_asked(job), _windows(job))
    question.where("o.placed_at <= {}", datetime.fromisoformat(parameters["asked_at"]))
    if (shop_ids := _shop_ids(job)) is not None:
        question.where("o.shop_id = ANY({})", shop_ids)
    return question


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
