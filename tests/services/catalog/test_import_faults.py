"""Imports that are killed, or meet each other: every row is taken once."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest

from deploy.topology import named
from services.catalog.use_cases import product_chunks
from shared import blobs
from shared.blobs import BlobStoreUnavailable
from shared.bus.envelope import service_envelope
from shared.contracts.platform.imports import GetImport, Import, ImportFromUrl
from shared.contracts.platform.messages import CancelJob
from shared.imports import keeping, running
from shared.imports import rows as import_rows
from shared.settings import settings
from shared.unit_of_work import UnitOfWork
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.waiting import until

PRODUCTS = 400
CHUNKS = 8


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", PRODUCTS // CHUNKS)


def big_file() -> bytes:
    rows = [shopify_row(f"p-{n}", sku="" if n % 3 else f"SKU-{n}", quantity=str(n)) for n in range(PRODUCTS)]
    rows[7]["Variant Price"] = "oops"
    return csv_file(rows)


async def free_lease(catalog: Catalog) -> None:
    """What happens by itself thirty seconds after a worker was killed."""
    uow = catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", catalog.organization_id))
    await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
    await uow.commit()


async def assert_complete(catalog: Catalog, imported: Import) -> None:
    assert (imported.state, imported.error) == ("succeeded", None)
    assert imported.counters["rows"] == PRODUCTS
    assert imported.counters["products_inserted"] == PRODUCTS - 1
    assert imported.counters["prices_inserted"] == PRODUCTS - 1
    assert imported.counters["errors"] == 1
    announced = [id_ for event in await catalog.events("products_changed") for id_ in event["product_ids"]]
    assert len(announced) == len(set(announced)) == PRODUCTS - 1
    stock = await catalog.events("stock_file_imported")
    assert sorted(event["part"] for event in stock) == list(range(CHUNKS))
    assert sum(event["rows"] for event in stock) == PRODUCTS - 1
    remarks = await catalog.rows("SELECT count(*) FROM import_remarks WHERE is_error")
    assert remarks[0][0] == 1


async def kill_when(catalog: Catalog, started: Import, reached: asyncio.Event) -> None:
    """Run the import until `reached`, and cancel it there as a dying process would."""
    running = asyncio.create_task(catalog.run(started))
    await asyncio.wait([running, asyncio.create_task(reached.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert reached.is_set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, *, after: bool) -> asyncio.Event:
    """Make the `call`th call of a coroutine function wait for ever, before or after it did its work."""
    reached = asyncio.Event()
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)
    calls = 0

    async def stopping(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            reached.set()
            await asyncio.Event().wait()
        result = await original(*arguments, **named)
        if calls == call and after:
            reached.set()
            await asyncio.Event().wait()
        return result

    monkeypatch.setattr(owner, name, stopping)
    return reached


@pytest.mark.feature("CAT-5", "OPS-5")
@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (product_chunks.catalog, "lock", 1, False),
        (product_chunks.staging, "write_variants", 3, True),
        (import_rows, "keep_remarks", CHUNKS + 1, True),
        (running.blobs, "put_stream", 1, True),
    ],
    ids=["before-anything", "rows-written", "last-chunk", "error-file"],
)
async def test_killed_anywhere_it_goes_on_and_does_nothing_twice(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, after: bool
) -> None:
    started = await shop_catalog.upload(big_file())
    with monkeypatch.context() as patched:
        await kill_when(shop_catalog, started, stop_at(patched, owner, name, call, after=after))
    assert (await shop_catalog.ask(GetImport(import_id=started.id))).state == "running"
    assert (await shop_catalog.run(started)).state == "running", "nobody takes a job whose lease still runs"
    await free_lease(shop_catalog)
    await assert_complete(shop_catalog, await shop_catalog.run(started))


@pytest.mark.feature("CAT-5", "OPS-5")
@pytest.mark.parametrize("after", [False, True], ids=["before-stock-file", "after-stock-file"])
async def test_killed_while_stock_is_passed_on_every_part_goes_on_once(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    started = await shop_catalog.upload(big_file())
    with monkeypatch.context() as patched:
        reached = stop_at(patched, product_chunks.blobs, "put", 4, after=after)
        await kill_when(shop_catalog, started, reached)
    assert len(await shop_catalog.events("stock_file_imported")) == 3
    await shop_catalog.pass_on_stock()
    await assert_complete(shop_catalog, await shop_catalog.ask(GetImport(import_id=started.id)))


@pytest.mark.feature("CAT-5", "OPS-5")
async def test_a_file_store_that_is_away_holds_up_no_chunk(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock figures are kept by the step that counted them; the catalog's lock waits for no other machine."""
    started = await shop_catalog.upload(big_file())

    async def away(*_arguments: Any) -> None:
        raise BlobStoreUnavailable("The file could not be stored.")

    with monkeypatch.context() as patched:
        patched.setattr(product_chunks.blobs, "put", away)
        with pytest.raises(BlobStoreUnavailable):
            await shop_catalog.run(started)
    assert await shop_catalog.events("stock_file_imported") == []
    await shop_catalog.pass_on_stock()
    await assert_complete(shop_catalog, await shop_catalog.ask(GetImport(import_id=started.id)))


@pytest.mark.feature("CAT-5", "CAT-8")
async def test_the_same_file_twice_at_once_comes_in_once(shop_catalog: Catalog) -> None:
    content = big_file()
    first, second = await shop_catalog.upload(content), await shop_catalog.upload(content)
    done = await asyncio.gather(shop_catalog.run(first), shop_catalog.run(second))
    assert [imported.state for imported in done] == ["succeeded", "succeeded"]
    assert sum(imported.counters["products_inserted"] for imported in done) == PRODUCTS - 1
    assert sum(imported.counters["products_unchanged"] for imported in done) == PRODUCTS - 1
    assert sum(imported.counters["prices_inserted"] for imported in done) == PRODUCTS - 1
    announced = [id_ for event in await shop_catalog.events("products_changed") for id_ in event["product_ids"]]
    assert len(announced) == len(set(announced)) == PRODUCTS - 1


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize("group", ["products", "prices"])
async def test_of_two_files_the_one_that_came_later_has_the_last_word(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    """The older one has many chunks, and what both name is in its last; a price file is about the same things."""
    older = await shop_catalog.upload(csv_file([shopify_row(f"p-{n}", price="1.00") for n in range(PRODUCTS)]))
    last = f"p-{PRODUCTS - 1}"
    if group == "products":
        newer = await shop_catalog.upload(csv_file([shopify_row(last, price="9.99")]))
    else:
        prices = f"sku,price\n{last.upper()},9.99\n".encode()
        newer = await shop_catalog.upload(prices, group="prices", shop="main")
    # The newer one is the first that a worker takes up.
    waiting = asyncio.create_task(shop_catalog.run(newer))
    await until(lambda: shop_catalog._rests(newer.job_id))
    done = [await shop_catalog.run(older), await waiting]
    assert [(each.state, each.error) for each in done] == [("succeeded", None)] * 2
    [price] = await shop_catalog.rows(
        "SELECT price FROM prices p JOIN variants v ON v.id = p.variant_id WHERE v.sku = $1", last.upper()
    )
    assert price["price"] == 999


@pytest.mark.feature("CAT-5")
async def test_nobody_waits_for_a_file_that_is_still_being_fetched(shop_catalog: Catalog) -> None:
    await shop_catalog.ask(ImportFromUrl(url="https://files.example/products.csv", shop="main"))
    done = await shop_catalog.bring_in(csv_file([shopify_row("p")]))
    assert done.state == "succeeded"


@pytest.mark.feature("CAT-5", "CAT-6")
async def test_a_dry_run_waits_for_nobody(shop_catalog: Catalog) -> None:
    await shop_catalog.upload(big_file())
    dry = await shop_catalog.bring_in(csv_file([shopify_row("p")]), dry_run=True)
    assert dry.state == "succeeded"


@pytest.mark.feature("CAT-5", "OPS-5")
async def test_a_cancelled_import_keeps_what_it_has_finished_and_takes_no_more(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await shop_catalog.upload(big_file())
    with monkeypatch.context() as patched:
        await kill_when(shop_catalog, started, stop_at(patched, product_chunks.catalog, "lock", 3, after=True))
    await shop_catalog.ask(CancelJob(service_name="catalog", job_id=started.job_id), as_service="accounts")
    await free_lease(shop_catalog)
    cancelled = await shop_catalog.run(started)
    assert (cancelled.state, cancelled.counters["products_inserted"]) == ("cancelled", 2 * PRODUCTS // CHUNKS - 1)
    stored = await shop_catalog.rows("SELECT count(*) FROM products")
    assert stored[0][0] == cancelled.counters["products_inserted"]


# --- files that are kept for a time


def across_tenants(catalog: Catalog) -> UnitOfWork:
    return catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", None), across_tenants=True)


async def sweep(catalog: Catalog) -> list[str]:
    """What the schedule does, for files of any age. Returns what the organization has left, without its folder."""
    for step in (keeping.mark_old, partial(keeping.remove_marked, unnamed=timedelta(seconds=-5))):
        uow = across_tenants(catalog)
        await step(uow, keeping.IMPORTS)
        await uow.commit()
    found: list[str] = []

    async def look(organization_id: UUID, keys: Sequence[str]) -> Sequence[str]:
        found.extend(key.split("/")[-1] for key in keys if organization_id == catalog.organization_id)
        return keys

    await blobs.sweep("imports", timedelta(seconds=-5), look)
    return sorted(found)


@pytest.mark.feature("CAT-9", "INV-1")
async def test_stock_that_inventory_has_not_heard_of_outlives_the_file_it_came_in(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await shop_catalog.bring_in(csv_file([shopify_row("a", sku="A", quantity="3")]))
    await shop_catalog.pass_on_stock()
    (event,) = await shop_catalog.events("stock_file_imported")
    assert (done.state, len(await sweep(shop_catalog))) == ("succeeded", 2)
    monkeypatch.setattr(settings(), "file_retention", timedelta(seconds=-5))
    monkeypatch.setattr(keeping, "_AFTER_MARK", timedelta(seconds=-5))
    assert await sweep(shop_catalog) == [event["key"].split("/")[-1]]
    assert await blobs.get(shop_catalog.organization_id, event["key"])
    uow = shop_catalog.process.surroundings.unit_of_work(
        "catalog", service_envelope("catalog", shop_catalog.organization_id)
    )
    await uow.execute("DELETE FROM deliveries")
    await uow.commit()
    assert await sweep(shop_catalog) == []


async def perform(catalog: Catalog, kind: str) -> int:
    """Do a scheduled task, and whatever it leaves for later, as a worker does. Returns how many that were."""
    (service,) = named("catalog")
    done, left = 0, [(kind, "{}")]
    while left:
        for each, payload in left:
            uow = across_tenants(catalog)
            try:
                await service.tasks[each].function(orjson.loads(payload), uow)
                await uow.commit()
            finally:
                await uow.rollback()
            done += 1
        uow = across_tenants(catalog)
        left = await uow.fetch("DELETE FROM tasks WHERE kind = ANY($1) RETURNING kind, payload", [kind, keeping.REMOVE])
        await uow.commit()
    return done


@pytest.mark.feature("CAT-9")
async def test_marks_stand_whatever_the_store_does_and_both_tasks_go_on(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        assert (await shop_catalog.bring_in(csv_file([shopify_row(name, sku=name)]))).state == "succeeded"
    folder = settings().data / "blobs" / str(shop_catalog.organization_id) / "imports"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        os.utime(path, (0, 0))
    monkeypatch.setattr(settings(), "file_retention", timedelta(seconds=-5))
    monkeypatch.setattr(keeping, "MARKED_AT_ONCE", 1)
    assert await perform(shop_catalog, "every.mark_old_files") >= 3

    async def away(*_arguments: Any, **_options: Any) -> blobs.Swept:
        raise BlobStoreUnavailable("Not now.")

    with monkeypatch.context() as patched:
        patched.setattr(blobs, "sweep_for", away)
        with pytest.raises(BlobStoreUnavailable):
            await perform(shop_catalog, "every.remove_old_files")
    marked = await shop_catalog.rows("SELECT FROM imports WHERE files_removed_at IS NOT NULL")
    assert len(marked) == 2
    assert all(path.exists() for path in files), "somebody may be about to read them"
    monkeypatch.setattr(keeping, "_AFTER_MARK", timedelta(seconds=-5))
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.0)
    # One leaves a task for the folder, which takes a file each time and at the end finds none.
    assert await perform(shop_catalog, "every.remove_old_files") >= 4
    assert not any(path.exists() for path in files)
