"""Whether a shop's offers are what their sources say: a job that goes on where it was killed, and mends if told to.

Every product is built as an indexer would build it, and laid beside its document; then documents are looked for whose
product is gone. What differs may only be on its way: it is looked at a second time a moment later, and what is marked
to be built anyway is none of the findings.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from services.search.repository import documents, marks
from services.search.repository.documents import Row, Standing
from services.search.use_cases import building, rebuilding
from services.search.use_cases.builder import build_soon
from services.search.use_cases.building import BATCH
from services.search.use_cases.rebuilding import joined, known_shops, subject_of
from shared.contracts.catalog.messages import ListProductIds
from shared.contracts.platform.shapes import Job
from shared.contracts.search.messages import CheckSearchIndex
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

KIND = "search.check"
Finding = Literal["missing", "outdated", "superfluous"]
# What is wrong with documents; and which cannot be built, and why.
Compared = tuple[dict[UUID, Finding], list[tuple[UUID, str]]]
_FIRST = UUID(int=0)
_PAGE = 1000
# An event takes a fraction of that from its source to a mark.
SETTLES_SECONDS = 3.0


async def request(uow: UnitOfWork, message: CheckSearchIndex) -> Job:
    """The job that checks: the running one for the same, or a new one. Raises ShopNotFound."""
    shops = await known_shops(uow, message.shop)
    parameters = {"shop_ids": [str(shop.id) for shop in shops], "repair": message.repair}
    return await joined(uow, KIND, parameters, message.shop, "search.check", subject_of(shops))


async def run(job: RunningJob) -> None:
    """Shop by shop; the checkpoint says which, and how far."""
    shop_ids = [UUID(shop_id) for shop_id in job.parameters["shop_ids"]]
    while (at := job.checkpoint.get("shop", 0)) < len(shop_ids):
        await _check_products(job, shop_ids[at])
        await _check_documents(job, shop_ids[at])
        async with job.step():
            job.checkpoint = {"shop": at + 1}


async def _check_products(job: RunningJob, shop_id: UUID) -> None:
    """What catalog has, beside the documents."""
    if "listed" not in job.checkpoint:
        async with job.step() as uow:
            job.total = (job.total or 0) + await uow.fetchval("SELECT count(*) FROM products")
            job.checkpoint = {**job.checkpoint, "listed": False}
    while not job.checkpoint.get("listed"):
        after = job.checkpoint.get("after")
        ids = (await job.unit_of_work().ask(ListProductIds(after=after and UUID(after), first=BATCH))).ids
        compared = await _compare(job, shop_id, ids)
        change = {"after": str(ids[-1])} if ids else {"listed": True}
        await _note(job, shop_id, compared, change, looked_at=len(ids))


async def _check_documents(job: RunningJob, shop_id: UUID) -> None:
    """Offers whose product is gone."""
    while not job.checkpoint.get("swept"):
        after = UUID(job.checkpoint.get("behind", str(_FIRST)))
        ids = await _offered(job, shop_id, after)
        listed = await _listed(job, after, ids[-1]) if ids else set()
        gone = [id_ for id_ in ids if id_ not in listed]
        compared = await _compare(job, shop_id, gone)
        await _note(job, shop_id, compared, {"behind": str(ids[-1])} if ids else {"swept": True})


async def _offered(job: RunningJob, shop_id: UUID, after: UUID) -> list[UUID]:
    uow = job.unit_of_work()
    try:
        return await documents.list_offered(uow, shop_id, after, _PAGE)
    finally:
        await uow.rollback()


async def _listed(job: RunningJob, after: UUID, last: UUID) -> set[UUID]:
    """Catalog's products after one id, up to another."""
    listed: set[UUID] = set()
    while page := (await job.unit_of_work().ask(ListProductIds(after=after, first=_PAGE))).ids:
        listed.update(page)
        after = page[-1]
        if after >= last:
            break
    return listed


async def _compare(job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID]) -> Compared:
    """What is wrong with the documents of these products, and still is a moment later."""
    found, failed = await _differing(job, shop_id, product_ids)
    if found:
        await asyncio.sleep(SETTLES_SECONDS)
        found, failed_since = await _differing(job, shop_id, list(found))
        failed += failed_since
    return found, failed


async def _differing(job: RunningJob, shop_id: UUID, product_ids: Sequence[UUID]) -> Compared:
    built, failed = await rebuilding.gather(job, shop_id, product_ids)
    uow = job.unit_of_work()
    try:
        standings = await documents.standings(uow, shop_id, product_ids)
        pending = await marks.marked_among(uow, shop_id, product_ids)
    finally:
        await uow.rollback()
    judged = (
        (each.product_id, _judge(building.row_of(shop_id, each), standings.get(each.product_id))) for each in built
    )
    return {id_: finding for id_, finding in judged if finding is not None and id_ not in pending}, failed


def _judge(row: Row, standing: Standing | None) -> Finding | None:
    is_offered = standing is not None and not standing.is_deleted
    if row.document is None:
        return "superfluous" if is_offered else None
    if standing is None or not is_offered:
        return "missing"
    return "outdated" if standing.content != row.content else None


async def _note(
    job: RunningJob, shop_id: UUID, compared: Compared, checkpoint: dict[str, Any], *, looked_at: int = 0
) -> None:
    findings, failed = compared
    async with job.step() as uow:
        for product_id, reason in failed:
            job.count("failed")
            job.note(f"{shop_id} {product_id}: {reason}")
        for product_id, finding in findings.items():
            job.count(finding)
            job.note(f"{shop_id} {product_id}: {finding}")
        if findings and job.parameters["repair"]:
            build_soon(uow, await marks.leave(uow, list(findings), [shop_id]))
            job.count("marked", len(findings))
        job.count("checked", looked_at)
        job.done += looked_at
        job.checkpoint = {**job.checkpoint, **checkpoint}
