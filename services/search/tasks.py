"""Work for later and by the clock: marks nobody built, SKUs to look up, and rebuilds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.search.repository import marks, operator_marks, products
from services.search.use_cases import checking, rebuilding
from services.search.use_cases.builder import Builder, build_soon
from services.search.use_cases.operators import checking as operator_checking
from services.search.use_cases.operators import rebuilding as operator_rebuilding
from services.search.use_cases.operators.builder import OperatorBuilder, mark
from shared.contracts.catalog.messages import FindProductsOfSkus, ListProductIds
from shared.jobs import RunningJob
from shared.service import every, performs, runs
from shared.unit_of_work import UnitOfWork

_LEFT_BEHIND_SECONDS = 1.0
_MERGE_SECONDS = 60.0
_PAGE = 1000


@every(1.0)
async def build_what_was_left_behind(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Wake the builder for marks whose own wake-up was lost, failed, or lay in the future."""
    builder = uow.resident(Builder)
    for organization_id, shop_id in await marks.list_left_behind(uow, _LEFT_BEHIND_SECONDS):
        builder.wake(organization_id, shop_id)
    operator_builder = uow.resident(OperatorBuilder)
    for organization_id, kind in await operator_marks.list_left_behind(uow, _LEFT_BEHIND_SECONDS):
        operator_builder.wake(organization_id, kind)


@every(_MERGE_SECONDS)
async def merge_what_nobody_builds(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Keep marks from piling up while they wait, say for catalog to come back."""
    await marks.merge(uow)
    await operator_marks.MARKS.merge(uow)


@performs("mark_products_of_skus")
async def mark_products_of_skus(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Mark the products whose stock, or what they cost (`for_operators`), changed before they were first built here.

    A SKU that catalog does not know either needs nothing: its product will be announced, and built with this stock.
    """
    _take_over(uow, payload)
    answer = await uow.ask(FindProductsOfSkus(skus=payload["skus"]))
    if answer.product_ids:
        if not payload.get("for_operators"):
            build_soon(uow, await marks.leave(uow, list(answer.product_ids.values())))
        await mark(uow, "product", list(answer.product_ids.values()))


@performs("mark_products_of_categories")
async def mark_products_of_categories(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Mark a page of the products in these branches, and leave the next page for later."""
    _take_over(uow, payload)
    after = payload.get("after")
    question = ListProductIds(category_ids=payload["category_ids"], after=after and UUID(after), first=_PAGE)
    product_ids = (await uow.ask(question)).ids
    if product_ids:
        await products.note(uow, product_ids)
        build_soon(uow, await marks.leave(uow, product_ids))
    if len(product_ids) == _PAGE:
        uow.defer("mark_products_of_categories", {**payload, "after": str(product_ids[-1])})


def _take_over(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """What is marked was written when whoever left the task heard of it."""
    written_at = payload.get("written_at")
    uow.written_at = written_at and datetime.fromisoformat(written_at)


@performs("fill_operator_documents")
async def fill_operator_documents(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Build what was there before the documents were, by a job."""
    await operator_rebuilding.begin(uow, payload["kinds"])


@runs(rebuilding.KIND)
async def rebuild(job: RunningJob) -> None:
    await rebuilding.run(job)


@runs(checking.KIND)
async def check(job: RunningJob) -> None:
    await checking.run(job)


@runs(operator_checking.KIND)
async def check_operators(job: RunningJob) -> None:
    await operator_checking.run(job)


@runs(operator_rebuilding.KIND)
async def rebuild_operators(job: RunningJob) -> None:
    await operator_rebuilding.run(job)
