"""The same done to many products (SYN-13, OPS-4): some hundred of them in each step of a job, in sets.

A dry run does all of it and undoes it: what it counts is what would happen. Products go by id, and each step says where
it ended: a job that was killed goes on behind that, and what leaves a set by being changed moves nobody else.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.catalog.models import ProductRow
from services.catalog.repository import bulk, catalog, categories, products
from services.catalog.use_cases.finding import Sought
from shared import jobs
from shared.contracts.catalog.bulk import ActOnProducts, StartedProductAction
from shared.contracts.catalog.events import ProductsChanged
from shared.errors import CrossdockError
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

JOB = "catalog.act_on_products"
_AT_ONCE = 200
_FIRST = UUID(int=0)


@dataclass
class _Outcome:
    """What became of some products: which are others now, how many were so already, and who was refused why."""

    changed: list[UUID] = field(default_factory=list)
    unchanged: int = 0
    refused: list[str] = field(default_factory=list)


async def begin(uow: UnitOfWork, message: ActOnProducts) -> StartedProductAction:
    """Count what is meant, and leave a job for it. Raises CategoryNotFound."""
    parameters = message.model_dump(mode="json") | {"shop_ids": uow.caller.shop_limit}
    sought = _sought(message, uow.caller.shop_limit)
    count = len(set(message.product_ids or ()))
    if sought is not None:
        found = (await sought.look(uow, None, 1)).total
        count = min(found, count) if message.product_ids else found
    if message.category_id is not None:
        await categories.get(uow, message.category_id)
    last = await bulk.find_last(uow)
    job = await jobs.create(uow, JOB, parameters | {"last": str(last or _FIRST)}, total=count)
    uow.audit("products.act", "job", job.id, after=message.model_dump(mode="json", exclude_defaults=True))
    return StartedProductAction(products=count, job=job)


def _sought(message: ActOnProducts, shop_ids: Sequence[UUID] | None) -> Sought | None:
    return Sought.of(message.query, message.sets, shop_ids)


async def run(job: RunningJob) -> None:
    """Act on what was meant, step by step."""
    message = ActOnProducts.model_validate({name: job.parameters[name] for name in ActOnProducts.model_fields})
    job.act_for_requester()
    while not job.checkpoint.get("is_over"):
        ids, goes_on = await _next(job, message)
        if message.dry_run:
            uow = job.unit_of_work()
            try:
                outcome = await _act(uow, message, ids)
            finally:
                await uow.rollback()
        async with job.step() as uow:
            if not message.dry_run:
                outcome = await _act(uow, message, ids)
                if outcome.changed:
                    uow.record(ProductsChanged(product_ids=outcome.changed))
            _count(job, outcome)
            job.done += len(ids)
            job.checkpoint |= {"is_over": goes_on is None, "after": goes_on and str(goes_on)}
    async with job.step():
        job.total = job.done


def _count(job: RunningJob, outcome: _Outcome) -> None:
    job.count("changed", len(outcome.changed))
    job.count("unchanged", outcome.unchanged)
    job.count("refused", len(outcome.refused))
    for line in outcome.refused:
        job.note(line)


async def _next(job: RunningJob, message: ActOnProducts) -> tuple[list[UUID], UUID | None]:
    """Some of those that are meant, by id, and behind which the next are; None: there are no more."""
    after, last = UUID(job.checkpoint.get("after") or str(_FIRST)), UUID(job.parameters["last"])
    limit = job.parameters["shop_ids"]
    sought = _sought(message, None if limit is None else [UUID(each) for each in limit])
    named = None if message.product_ids is None else set(message.product_ids)
    if sought is None:
        left = sorted(each for each in named or () if after < each <= last)
        return left[:_AT_ONCE], left[_AT_ONCE - 1] if len(left) > _AT_ONCE else None
    found = await sought.look(job.unit_of_work(), after, _AT_ONCE)
    ids = [each for each in found.ids if each <= last and (named is None or each in named)]
    return ids, found.reaches_to if found.reaches_to is not None and found.reaches_to < last else None


async def _act(uow: UnitOfWork, message: ActOnProducts, product_ids: Sequence[UUID]) -> _Outcome:
    await catalog.lock(uow)
    rows = await bulk.lock_rows(uow, product_ids)
    if message.category_id is not None:
        outcome = await _categorize(uow, message, message.category_id, rows)
    else:
        outcome = _change(rows, await _changes(uow, message, rows))
    await (await uow.session()).flush()
    return outcome


async def _categorize(
    uow: UnitOfWork, message: ActOnProducts, category_id: UUID, rows: Sequence[ProductRow]
) -> _Outcome:
    """Raises CategoryNotFound when it was removed meanwhile."""
    await categories.get(uow, category_id)
    write = bulk.add_to_category if message.action == "add_to_category" else bulk.remove_from_category
    moved = await write(uow, [row.id for row in rows], category_id)
    for row in rows:
        if row.id in moved:
            row.touch()
    return _Outcome([row.id for row in rows if row.id in moved], len(rows) - len(moved))


Change = Callable[[ProductRow], None]


async def _changes(uow: UnitOfWork, message: ActOnProducts, rows: Iterable[ProductRow]) -> Change:
    """What the action does to one product, which may refuse it."""
    if message.action == "publish":
        sellable = await products.sellable_among(uow, [row.id for row in rows])
        return lambda row: row.publish(is_sellable=row.id in sellable)
    return {
        "pause": ProductRow.pause,
        "archive": ProductRow.archive,
        "restore": ProductRow.restore,
        "add_tags": lambda row: row.retag(add=message.tags),
        "remove_tags": lambda row: row.retag(remove=message.tags),
    }[message.action]


def _change(rows: Sequence[ProductRow], change: Change) -> _Outcome:
    outcome = _Outcome()
    for row in rows:
        before = row.status, row.tags
        try:
            change(row)
        except CrossdockError as error:
            row.status, row.tags = before
            outcome.refused.append(f"{row.slug}: {error.code}: {error.detail}")
            continue
        if (row.status, row.tags) == before:
            outcome.unchanged += 1
        else:
            row.touch()
            outcome.changed.append(row.id)
    return outcome
