"""A job that acts on many products and is killed between its steps, or in one of them, acts on each once."""

import asyncio
from typing import Any

import orjson
import pytest

from services.catalog.repository import bulk
from services.catalog.use_cases import bulk_actions
from shared.contracts.catalog.bulk import ActOnProducts
from shared.contracts.catalog.messages import CreateProduct, GetProduct
from shared.contracts.catalog.shapes import ProductDraft
from tests.factories.catalog import Catalog
from tests.services.catalog.test_exports import free_lease, stop_at

pytestmark = pytest.mark.feature("SYN-13", "OPS-4")


@pytest.mark.parametrize("is_dry", [True, False])
@pytest.mark.parametrize(("call", "after"), [(1, False), (2, True), (3, False)])
async def test_killed_anywhere_each_is_acted_on_once(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, call: int, after: bool, is_dry: bool
) -> None:
    monkeypatch.setattr(bulk_actions, "_AT_ONCE", 2)
    made = [await catalog.ask(CreateProduct(draft=ProductDraft(title=f"Mug {n}"))) for n in range(7)]
    ids = [product.id for product in made]
    action: Any = {"action": "add_tags", "tags": ["new"], "product_ids": ids, "dry_run": is_dry}
    started = await catalog.ask(ActOnProducts(**action))
    assert started.products == 7
    with monkeypatch.context() as patched:
        reached = stop_at(patched, bulk, "lock_rows", call, after=after)
        running = asyncio.create_task(catalog.run_job(started.job.id))
        await asyncio.wait_for(reached.wait(), 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await free_lease(catalog)
    await catalog.run_job(started.job.id)
    (job,) = await catalog.rows("SELECT state, counters, done, total FROM jobs")
    assert (job["state"], job["done"], job["total"]) == ("succeeded", 7, 7)
    assert orjson.loads(job["counters"]) == {"changed": 7, "unchanged": 0, "refused": 0}
    for id_ in ids:
        product = await catalog.ask(GetProduct(product_id=id_))
        assert (product.tags, product.version) == (([], 1) if is_dry else (["new"], 2))
