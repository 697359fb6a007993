"""SKUs of files that the catalog does not have: what is said of them is taken, for goods may be counted before anybody
has described them, and told, because more often they are misspelt."""

from collections.abc import Sequence

from shared.contracts.catalog.messages import FindProductsOfSkus
from shared.imports.tables import TableChunk, TableFile
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

ASKED_AT_ONCE = 1000


async def tell_of_unknown(job: RunningJob, file: TableFile, chunk: TableChunk) -> None:
    """Add a notice for each row of a portion whose SKU the catalog does not have."""
    uow = job.unit_of_work()
    try:
        known = await _known(uow, list({item.values["sku"] for item in chunk.items}))
    finally:
        await uow.rollback()
    message = "The catalog has no such SKU: nothing of it is sold until it has."
    chunk.notices += [
        file.noticed(item, "sku", "sku_not_in_catalog", message)
        for item in chunk.items
        if item.values["sku"] not in known
    ]


async def _known(uow: UnitOfWork, skus: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(skus), ASKED_AT_ONCE):
        answer = await uow.ask(FindProductsOfSkus(skus=skus[start : start + ASKED_AT_ONCE]))
        known.update(answer.product_ids)
    return known
