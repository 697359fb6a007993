"""Runs an export: things are read by id, some thousands at a time, and each portion is a part of the file.

What is promised. Each portion is read as it was at one moment (REPEATABLE READ); a snapshot of the whole would hold
back the database's cleaning for as long as the export runs, and would not outlive a killed worker. So: everything that
was there, and wanted, from the beginning until its portion was read is in the file exactly once, as it was at one
moment during the export; what is made after the beginning is not; what is removed in between may or may not be. Prices
are those of the list that applied at the beginning.

A portion's part is written before the step that says so is committed. Killed in between, the next run reads the
portion again and writes a part of its own name: no row comes twice, and none is left out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from services.catalog.repository import exports, offers, prices, shops
from services.catalog.repository.exports import Wanted
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import channels
from services.catalog.use_cases.content_exports import ContentExport
from services.catalog.use_cases.export_groups import (
    CHANNEL_CONTENT,
    GroupExport,
    ListToWrite,
    Portion,
    Prices,
    columns_in_languages,
    group_export,
    lists_to_write,
)
from services.catalog.use_cases.exports import KEPT
from services.catalog.use_cases.finding import Sought
from services.catalog.use_cases.price_chunks import lists_of
from shared import clock
from shared.contracts.catalog.exports import ExportFilter
from shared.errors import CrossdockError
from shared.impex.writing_files import FORMATS
from shared.jobs import JobLost, RunningJob
from shared.money import exponent
from shared.parts import PartedFile
from shared.unit_of_work import UnitOfWork

PORTION = 2000
_TEMPORARY = (503, 504)


@dataclass(frozen=True, slots=True)
class _Work:
    """One export at work: what is read, and the file it goes into."""

    group: GroupExport
    file: PartedFile
    # Search says which of them: some at a time, as it knows them then.
    sought: Sought | None = None


async def run(job: RunningJob) -> None:
    """Export what a job says. Raises what parts and `join` of a format raise; nothing is left then but the reason."""
    work = await _work(job)
    try:
        if "last" not in job.checkpoint:
            await _measure(job, work)
        while job.checkpoint["last"] is not None and not job.checkpoint.get("is_read"):
            await _portion(job, work)
        # Killed after that, some of the parts are gone already, and the file is there.
        if not job.result_files:
            await _finish(job, work)
    except JobLost:
        raise
    except CrossdockError as error:
        # What passes by itself is tried again, with the parts that there are.
        if error.status not in _TEMPORARY:
            await work.file.remove_parts(job)
        raise
    await work.file.remove_parts(job)


async def _work(job: RunningJob) -> _Work:
    """How this export goes. What was found at its beginning is kept in the checkpoint."""
    uow = job.unit_of_work()
    try:
        row = await exports.get(uow, UUID(job.parameters["export_id"]))
        shop = await shops.get(uow, row["shop_id"]) if row["shop_id"] else None
        found = await _prices(uow, job, shop)
        lists = await _lists(uow, job, shop) if row["item_group"] == "prices" else []
        book = await channels.book(uow, shop.id if shop else None) if row["item_group"] == CHANNEL_CONTENT else None
        asked = ExportFilter.model_validate_json(row["filter"])
        wanted = await _wanted(uow, asked)
        if "localized" not in job.checkpoint:
            columns = await columns_in_languages(uow, row["item_group"], row["profile"], wanted)
            job.checkpoint["localized"] = [list(column) for column in columns]
    finally:
        await uow.rollback()
    limit = job.parameters["shop_ids"]
    shop_ids = None if limit is None else [UUID(shop_id) for shop_id in limit]
    localized = [(heading, locale) for heading, locale in job.checkpoint["localized"]]
    name = f"{row['item_group']}.{row['format']}"
    if book is not None:
        group: GroupExport = ContentExport(wanted, book)
    else:
        group = group_export(row["item_group"], row["profile"], wanted, found, shop_ids, localized, lists, asked)
    file_name = f"{name}.zip" if row["zipped"] else name
    form, folder = FORMATS[row["format"]], f"exports/{row['id']}"
    sought = Sought.of(asked.query, asked.sets, shop_ids)
    return _Work(group, PartedFile(form, group.headings, folder, file_name, row["zipped"]), sought)


async def _prices(uow: UnitOfWork, job: RunningJob, shop: KnownShop | None) -> Prices | None:
    """The list an import into this shop writes to, if there is one yet."""
    if shop is None:
        return None
    if "price_list_id" not in job.checkpoint:
        found = await prices.find_standard_list(uow, shop)
        job.checkpoint["price_list_id"] = None if found is None else str(found)
    list_id = job.checkpoint["price_list_id"]
    return None if list_id is None else Prices(UUID(list_id), exponent(shop.currency))


async def _lists(uow: UnitOfWork, job: RunningJob, shop: KnownShop | None) -> list[ListToWrite]:
    """The shop's lists that there were at the beginning, as the file names them."""
    if "lists" not in job.checkpoint:
        known = [] if shop is None else (await lists_of(uow, shop)).lists
        found = [(str(each.id), each.label, each.customer_group, each.digits) for each in lists_to_write(known)]
        job.checkpoint["lists"] = found
    return [ListToWrite(UUID(each[0]), *each[1:]) for each in job.checkpoint["lists"]]


async def _wanted(uow: UnitOfWork, asked: ExportFilter) -> Wanted:
    """A filter with its names looked up; what is gone meanwhile stands for nothing."""
    ids: set[UUID] | None = None
    if asked.product_ids is not None:
        ids = set(asked.product_ids)
    if asked.skus is not None:
        owners = set((await offers.product_ids_by_sku(uow, asked.skus)).values())
        ids = owners if ids is None else ids & owners
    return Wanted(
        status=None if asked.status is None else list(asked.status),
        brand=asked.brand,
        changed_since=asked.changed_since,
        product_ids=None if ids is None else sorted(ids),
        category_ids=None if asked.category_id is None else await exports.branch_ids(uow, asked.category_id),
        assigned_ids=None if asked.assigned_to is None else await _assigned(uow, asked.assigned_to),
    )


async def _assigned(uow: UnitOfWork, code: str) -> list[UUID]:
    shop = await shops.get_by_code(uow, code)
    line = await shops.list_line(uow, shop.id)
    assigned = await offers.assigned_category_ids(uow, await shops.assigning_shop(uow, line))
    return await exports.sold_category_ids(uow, assigned)


async def _measure(job: RunningJob, work: _Work) -> None:
    """How much there is, and where it ends; of what is sought, how much at most."""
    most = None if work.sought is None else (await work.sought.look(job.unit_of_work(), None, 1)).total
    async with _view(job, work) as uow:
        number, last = await work.group.extent(uow)
    async with job.step():
        job.total = number if most is None else min(number, most)
        job.checkpoint |= {"last": None if last is None else str(last), "after": None, "parts": []}


async def _portion(job: RunningJob, work: _Work) -> None:
    portion = await (_next(job, work) if work.sought is None else _next_sought(job, work, work.sought))
    content, rows = await asyncio.to_thread(_part, work, portion)
    if rows:
        await work.file.put(job, content)
    async with job.step():
        job.checkpoint["after"] = portion.after and str(portion.after)
        job.checkpoint["is_read"] = portion.after is None
        job.count("rows", rows)
        job.count(work.group.counted, portion.number)
        job.done += portion.number
        if rows:
            work.file.count(job)


async def _next(job: RunningJob, work: _Work) -> Portion:
    async with _view(job, work) as uow:
        return await work.group.read(uow, job.checkpoint["after"], job.checkpoint["last"], PORTION)


async def _next_sought(job: RunningJob, work: _Work, sought: Sought) -> Portion:
    """Of those that search finds next, those that are wanted: perhaps none of them, and more behind."""
    after, last = job.checkpoint["after"], job.checkpoint["last"]
    found = await sought.look(job.unit_of_work(), after and UUID(after), PORTION)
    async with _view(job, work) as uow:
        portion = await work.group.among(found.ids).read(uow, after, last, len(found.ids) + 1)
    is_over = found.reaches_to is None or found.reaches_to >= UUID(last)
    portion.after = None if is_over else found.reaches_to
    return portion


@asynccontextmanager
async def _view(job: RunningJob, work: _Work) -> AsyncIterator[UnitOfWork]:
    """What a portion is read in: one moment of our own tables, or questions to another service."""
    uow = job.unit_of_work()
    if not work.group.asks:
        async with exports.one_view(uow):
            yield uow
        return
    try:
        yield uow
    finally:
        await uow.rollback()


def _part(work: _Work, portion: Portion) -> tuple[bytes, int]:
    rows = list(work.group.rows(portion))
    return work.file.form.part(work.group.headings, rows) if rows else b"", len(rows)


async def _finish(job: RunningJob, work: _Work) -> None:
    """Put the file together, and say that it is there. Raises TooManyRowsForWorkbook, ArrayTooLarge."""
    made = await work.file.join(job)
    async with job.step():
        # What was removed since the beginning was not there to be read.
        job.total = job.done
        job.count("rows", 0)
        job.result_files = [made]


async def needed_keys(uow: UnitOfWork, _organization_id: UUID, keys: Sequence[str]) -> set[str]:
    """Of files of exports, those to be kept: of an export at work, and results for a week."""
    return await exports.needed_keys(uow, {key: UUID(key.split("/")[1]) for key in keys}, clock.now() - KEPT)
