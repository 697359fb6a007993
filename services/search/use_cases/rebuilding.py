"""Building a shop's offers anew from their sources: a job that goes on where it was killed and can be joined."""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from services.search.errors import ProductsAndCategories, ShopNotFound
from services.search.repository import documents, products, shops
from services.search.repository.shops import KnownShop
from services.search.use_cases import building
from services.search.use_cases.ahead import ahead
from services.search.use_cases.building import BATCH, Built
from shared import clock, jobs
from shared.bus.answering import translated
from shared.contracts.catalog.messages import FindProductsOfSkus, ListProductIds
from shared.contracts.platform.shapes import Job
from shared.contracts.search.messages import RebuildSearchIndex
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

KIND = "search.rebuild"
_FIRST = UUID(int=0)
# As many of what was named are told again.
_TOLD = 20


async def request(uow: UnitOfWork, message: RebuildSearchIndex) -> Job:
    """The job that rebuilds what `message` names: the running one for the same, or a new one.

    Raises ShopNotFound, ProductsAndCategories.
    """
    if message.category_ids is not None and (message.product_ids is not None or message.skus is not None):
        raise ProductsAndCategories("Name categories, or products and SKUs.")
    product_ids, unknown = await _named_products(uow, message)
    shops_named = await known_shops(uow, message.shop)
    shop_ids = [shop.id for shop in shops_named]
    parameters: dict[str, Any] = {"shop_ids": [str(shop_id) for shop_id in shop_ids], "product_ids": product_ids}
    if unknown:
        parameters["unknown_skus"] = unknown
    if message.category_ids is not None:
        parameters["category_ids"] = sorted(map(str, message.category_ids))
    about = subject_of(shops_named) | {
        name: [str(each) for each in named[:_TOLD]]
        for name in ("skus", "product_ids", "category_ids")
        if (named := getattr(message, name)) is not None
    }
    return await joined(uow, KIND, parameters, message.shop, "search.rebuild", about)


async def known_shops(uow: UnitOfWork, code: str | None) -> list[KnownShop]:
    """The shop of this code, or all that the caller sees. Raises ShopNotFound."""
    known = [shop for shop in await shops.list_all(uow) if uow.caller.sees_shop(shop.id)]
    found = [shop for shop in known if code in (None, shop.code)]
    if code is not None and not found:
        raise ShopNotFound(f"There is no shop '{code}'.")
    return found


def subject_of(shops_named: Sequence[KnownShop]) -> dict[str, Any]:
    """What a job is about, as people are told."""
    return {"shops": [shop.code for shop in shops_named[:_TOLD]]}


async def joined(
    uow: UnitOfWork, kind: str, parameters: dict[str, Any], shop: str | None, action: str, subject: dict[str, Any]
) -> Job:
    """The running job of this kind with these parameters, or a new one, which is told to be about `subject`."""
    # Two who ask at once wait for each other here, and the second joins.
    await uow.execute(
        "SELECT FROM indexes WHERE shop_id = ANY($1) ORDER BY shop_id FOR UPDATE",
        [UUID(shop_id) for shop_id in parameters["shop_ids"]],
    )
    running = await uow.fetchval(
        "SELECT id FROM jobs WHERE kind = $1 AND state IN ('queued', 'running') AND NOT cancel_requested"
        " AND parameters::jsonb - $3 = $2::jsonb ORDER BY created_at LIMIT 1",
        kind,
        orjson.dumps(parameters).decode(),
        jobs.SUBJECT,
    )
    if running is not None:
        return await jobs.get(uow, running)
    uow.audit(action, "shop", shop or "all", after=parameters)
    return await jobs.create(uow, kind, {**parameters, jobs.SUBJECT: subject})


async def _named_products(uow: UnitOfWork, message: RebuildSearchIndex) -> tuple[list[str] | None, list[str]]:
    """The products named by id or SKU, None for all; and the SKUs that nobody has.

    Asks, so it comes before anything is read.
    """
    if message.product_ids is None and message.skus is None:
        return None, []
    named, unknown = set(message.product_ids or ()), []
    if message.skus:
        known = (await uow.ask(FindProductsOfSkus(skus=message.skus))).product_ids
        named |= set(known.values())
        unknown = sorted(set(message.skus) - set(known))
    return sorted(map(str, named)), unknown


async def run(job: RunningJob) -> None:
    """Rebuild shop by shop; the checkpoint says which, how far, and since which version."""
    if not job.checkpoint and (unknown := job.parameters.get("unknown_skus")):
        async with job.step():
            job.count("failed", len(unknown))
            for sku in unknown:
                job.note(f"{sku}: unknown_sku: no product has this SKU.")
            job.checkpoint = {"shop": 0}
    shop_ids = [UUID(shop_id) for shop_id in job.parameters["shop_ids"]]
    while (at := job.checkpoint.get("shop", 0)) < len(shop_ids):
        is_whole = job.parameters["product_ids"] is None and "category_ids" not in job.parameters
        if is_whole:
            await _rebuild_shop(job, shop_ids[at])
        elif job.parameters["product_ids"] is not None:
            await _rebuild_named(job, shop_ids[at], [UUID(text) for text in job.parameters["product_ids"]])
        else:
            await _rebuild_branches(job, shop_ids[at], [UUID(text) for text in job.parameters["category_ids"]])
        async with job.step() as uow:
            if is_whole:
                await shops.note_rebuilt(uow, shop_ids[at])
            job.checkpoint = {"shop": at + 1}


async def _rebuild_named(job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID]) -> None:
    for start in range(job.checkpoint.get("at", 0), len(product_ids), BATCH):
        job.total = len(product_ids) * len(job.parameters["shop_ids"])
        some = product_ids[start : start + BATCH]
        await _rebuild(job, shop_id, some, {"at": start + len(some)})


async def _rebuild_branches(job: RunningJob, shop_id: UUID, category_ids: Sequence[UUID]) -> None:
    """What stands in these categories or below them; catalog alone knows what that is."""
    while not job.checkpoint.get("listed"):
        after = job.checkpoint.get("after")
        question = ListProductIds(category_ids=list(category_ids), after=after and UUID(after), first=BATCH)
        listed = await job.unit_of_work().ask(question)
        change = {"after": str(listed.ids[-1])} if listed.ids else {"listed": True}
        await _rebuild(job, shop_id, listed.ids, change)


async def _rebuild_shop(job: RunningJob, shop_id: UUID) -> None:
    """Everything catalog has; then what only the index still has."""
    if "since" not in job.checkpoint:
        since = await building.take_version(job.unit_of_work)
        async with job.step() as uow:
            job.checkpoint = {**job.checkpoint, "since": since}
            known = await uow.fetchval("SELECT count(*) FROM products")
            job.total = (job.total or 0) + known
    if not job.checkpoint.get("listed"):
        async with contextlib.aclosing(ahead(_listed(job, shop_id))) as pages:
            async for page in pages:
                await _write(job, shop_id, page)
    since, last = job.checkpoint["since"], UUID(job.checkpoint.get("swept", str(_FIRST)))
    while older := await _list_older(job, shop_id, since, last):
        last = older[-1]
        await _rebuild(job, shop_id, older, {"swept": str(last)}, counts=False)


async def _list_older(job: RunningJob, shop_id: UUID, since: int, after: UUID) -> list[UUID]:
    uow = job.unit_of_work()
    try:
        return await documents.list_older(uow, shop_id, since, after, BATCH)
    finally:
        await uow.rollback()


@dataclass(frozen=True, slots=True)
class _Page:
    """Some products, what became of them at a version, and how far the job is once that is written."""

    product_ids: Sequence[UUID]
    checkpoint: Mapping[str, Any]
    version: int
    built: Sequence[Built]
    failed: Sequence[tuple[UUID, str]]


async def _listed(job: RunningJob, shop_id: UUID) -> AsyncGenerator[_Page, None]:
    """All that catalog has, from where the job stands."""
    after = job.checkpoint.get("after")
    while True:
        ids = (await job.unit_of_work().ask(ListProductIds(after=after and UUID(after), first=BATCH))).ids
        if not ids:
            yield await _page(job, shop_id, ids, {"listed": True})
            return
        after = str(ids[-1])
        yield await _page(job, shop_id, ids, {"after": after})


async def _rebuild(
    job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID], checkpoint: dict[str, Any], *, counts: bool = True
) -> None:
    """Build some products and say so, in one step. Those that cannot be built are named in the job's log."""
    await _write(job, shop_id, await _page(job, shop_id, product_ids, checkpoint), counts=counts)


async def _page(job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID], checkpoint: Mapping[str, Any]) -> _Page:
    version = await building.take_version(job.unit_of_work)
    return _Page(product_ids, checkpoint, version, *await gather(job, shop_id, product_ids))


async def _write(job: RunningJob, shop_id: UUID, page: _Page, *, counts: bool = True) -> None:
    async with job.step() as uow:
        if page.built:
            await products.note(uow, [each.product_id for each in page.built if each.product is not None])
            job.count("changed", await building.write(uow, shop_id, page.built, page.version))
        job.count("built", len(page.built))
        for line in (f"{product_id}: {reason}" for product_id, reason in page.failed):
            # What failed as one of catalog's products fails again as one the index still has.
            if line not in job.log:
                job.count("failed")
                job.note(line)
        job.done += len(page.product_ids) if counts else 0
        job.checkpoint = {**job.checkpoint, **page.checkpoint}


async def gather(
    job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID]
) -> tuple[list[Built], list[tuple[UUID, str]]]:
    """What could be built, and which product could not and why."""
    if not product_ids:
        return [], []
    try:
        return await building.gather(job.unit_of_work, shop_id, dict.fromkeys(product_ids, clock.now())), []
    except Exception as error:
        named = translated(error, "building offers", shop_id.hex)
        if building.is_passing(named):
            raise
        if len(product_ids) == 1:
            return [], [(product_ids[0], f"{named.code}: {named.detail}")]
    middle = len(product_ids) // 2
    first, second = [await gather(job, shop_id, part) for part in (product_ids[:middle], product_ids[middle:])]
    return first[0] + second[0], first[1] + second[1]
