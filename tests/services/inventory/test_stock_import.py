"""Stock by file: the pipeline of imports with a group that is not the catalog's."""

import hashlib
from typing import Any

import pytest

from deploy import topology
from services.inventory.use_cases import catalog_skus, importing
from shared import blobs, jobs
from shared.contracts.catalog.messages import CreateProduct
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.contracts.inventory.messages import ListStock
from shared.contracts.platform.imports import (
    ConfirmImport,
    GetImport,
    Import,
    ListImportRemarks,
    ListImportSamples,
    StartImport,
    import_id_for,
)
from shared.errors import CrossdockError
from tests.factories.catalog import Catalog
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("CAT-5", "CAT-6", "INV-2")


@pytest.fixture
async def merchant(process: topology.Surrounded) -> Merchant:
    made = Merchant(process)
    await made.open_shop()
    return made


async def bring_in(merchant: Merchant, content: bytes, group: str = "stock", **parameters: Any) -> Import:
    import_id = import_id_for(group)
    key = f"imports/{import_id}/upload"
    await blobs.put(merchant.organization_id, key, content)
    checksum = hashlib.sha256(content).hexdigest()
    message = StartImport(import_id=import_id, key=key, size=len(content), sha256=checksum, group=group, **parameters)
    return await run(merchant, await merchant.ask(message))


async def run(merchant: Merchant, started: Import) -> Import:
    runner = jobs.JobRunner(topology.named("inventory")[0], merchant.process.surroundings)
    runner.start(merchant.organization_id, started.job_id)
    for task in list(runner._running.values()):
        await task
    return await merchant.ask(GetImport(import_id=started.id))


async def on_hand(merchant: Merchant) -> dict[str, int]:
    page = await merchant.ask(ListStock(first=200))
    return {level.sku: level.on_hand for level in page.items}


async def test_counts_and_changes_come_in_and_what_is_wrong_is_said(merchant: Merchant) -> None:
    await merchant.stocked({"A": 5, "B": 5})
    content = (
        b"SKU;Centre;On hand;Delta;Policy;Colour\nA;main;7;;;\nB;;;-2;backorder;\nC;main;3;;;\nD;moon;1;;;\n"
        b"E;main;1;1;;\nB;;;-9;;\nF;main;x;;;\n;main;1;;;\nG;main;-1;;;\nH;;2;;sometimes;\n"
    )
    imported = await bring_in(merchant, content)
    assert (imported.state, imported.service, imported.group) == ("succeeded", "inventory", "stock")
    wanted = {"rows": 10, "stock_inserted": 1, "stock_updated": 2, "errors": 7}
    assert {name: imported.counters[name] for name in wanted} == wanted
    remarks = (await merchant.ask(ListImportRemarks(import_id=imported.id))).items
    assert sorted((r.row, r.column, r.code) for r in remarks) == [
        (5, "Centre", "centre_not_found"),
        (6, "SKU", "on_hand_or_delta"),
        (7, "SKU", "duplicate_key"),
        (8, "On hand", "invalid_integer"),
        (9, "SKU", "missing_value"),
        (10, "On hand", "invalid_row"),
        (11, "Policy", "unknown_policy"),
    ]
    assert await on_hand(merchant) == {"A": 7, "B": 3, "C": 3}


async def test_a_dry_run_shows_the_counts_before_and_after(merchant: Merchant) -> None:
    await merchant.stocked({"A": 5})
    tried = await bring_in(merchant, b"sku,on_hand\nA,4\nB,2\n", dry_run=True)
    assert tried.state == "succeeded"
    samples = (await merchant.ask(ListImportSamples(import_id=tried.id))).items
    assert {(s.kind, s.name, s.fields[0].before, s.fields[0].after) for s in samples} == {
        ("insert", "B in main", None, 2),
        ("update", "A in main", 5, 4),
    }
    assert await on_hand(merchant) == {"A": 5}
    skipping = await bring_in(merchant, b"sku,on_hand\nA,4\nB,2\n", dry_run=True, mode="update-only")
    (left,) = (await merchant.ask(ListImportSamples(import_id=skipping.id, kind="skip"))).items
    assert (left.name, skipping.counters["stock_skipped"]) == ("B in main", 1)
    only_new = await bring_in(merchant, b"sku,on_hand\nA,0\nB,2\n", dry_run=True, mode="insert-only")
    (left,) = (await merchant.ask(ListImportSamples(import_id=only_new.id, kind="skip"))).items
    assert (left.name, only_new.harms) == ("A in main", [])
    opened = await bring_in(merchant, b"sku,on_hand\nA,0\nB,2\n", mode="insert-only", guard_percent=0)
    assert (opened.state, opened.counters["stock_skipped"], opened.counters["stock_inserted"]) == ("succeeded", 1, 1)
    assert await on_hand(merchant) == {"A": 5, "B": 2}


async def test_counting_most_of_it_as_empty_asks_first(merchant: Merchant) -> None:
    await merchant.stocked({f"S{n}": 5 for n in range(10)})
    content = b"sku,on_hand\n" + b"".join(b"S%d,0\n" % n for n in range(3))
    held = await bring_in(merchant, content)
    assert (held.state, held.harms[0].what, held.harms[0].count, held.harms[0].of) == ("held", "stock_zeroed", 3, 10)
    assert set((await on_hand(merchant)).values()) == {5}
    changes = await bring_in(merchant, b"sku,delta\nS1,-5\nS2,-5\nS3,-5\nS4,-4\nS5,-9\nNONE,-1\n")
    assert (changes.state, changes.harms[0].what, changes.harms[0].count) == ("held", "stock_zeroed", 3)
    done = await run(merchant, await merchant.ask(ConfirmImport(import_id=held.id)))
    assert (done.state, done.counters["stock_updated"]) == ("succeeded", 3)


@pytest.mark.feature("CAT-7")
async def test_with_abort_all_chunks_are_one_transaction(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 10)
    await merchant.stocked({f"S{n}": 5 for n in range(100)})
    rows = [f"S{n},-1" for n in range(100)]
    content = "\n".join(["sku,delta", *rows, "S1000,-1"]).encode()
    refused = await bring_in(merchant, content, on_error="abort")
    assert (refused.state, refused.error["code"]) == ("failed", "import_aborted")  # type: ignore[index]
    assert set((await on_hand(merchant)).values()) == {5}
    taken = await bring_in(merchant, "\n".join(["sku,delta", *rows]).encode(), on_error="abort")
    assert (taken.state, taken.counters["stock_updated"]) == ("succeeded", 100)
    assert set((await on_hand(merchant)).values()) == {4}


async def test_what_makes_no_sense_for_stock_is_refused(merchant: Merchant) -> None:
    for parameters, code in (
        ({"mode": "delete"}, "unsupported_mode"),
        ({"shop": "main"}, "stock_belongs_to_centres"),
        ({"profile": "shopify"}, "unsupported_profile"),
    ):
        with pytest.raises(CrossdockError) as refusal:
            await bring_in(merchant, b"sku,on_hand\nA,1\n", **parameters)
        assert refusal.value.code == code
        assert "mode" not in parameters or "ledger stays" in refusal.value.detail
    nothing = await bring_in(merchant, b"price\n1\n")
    assert (nothing.state, nothing.error["code"]) == ("failed", "missing_headers")  # type: ignore[index]


@pytest.mark.feature("CAT-7")
async def test_the_same_place_twice_is_said_also_where_one_row_names_no_centre(merchant: Merchant) -> None:
    await merchant.stocked({"A": 5})
    done = await bring_in(merchant, b"sku,centre,on_hand\nA,,7\nA,main,9\nB,main,1\nB,,2\n")
    remarks = (await merchant.ask(ListImportRemarks(import_id=done.id))).items
    assert [(each.row, each.code) for each in remarks] == [(3, "duplicate_key"), (5, "duplicate_key")]
    assert await on_hand(merchant) == {"A": 7, "B": 1}


@pytest.mark.feature("CAT-7", "INV-2")
@pytest.mark.parametrize("dry_run", [False, True])
async def test_stock_of_skus_that_the_catalog_does_not_have_is_taken_and_told(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.setattr(catalog_skus, "ASKED_AT_ONCE", 2)
    goods = Catalog(merchant.process, merchant.organization_id)
    await goods.ask(CreateProduct(draft=ProductDraft(title="A", variants=[VariantDraft(sku="A")])))
    content = b"SKU,Centre,On hand\nB,main,1\nA,main,5\nC,main,2\nD,main,x\n"
    imported = await bring_in(merchant, content, dry_run=dry_run)
    assert (imported.state, imported.counters["stock_inserted"], imported.counters["notices"]) == ("succeeded", 3, 2)
    remarks = (await merchant.ask(ListImportRemarks(import_id=imported.id, kind="notice"))).items
    assert [(r.row, r.column, r.value, r.code) for r in remarks] == [
        (2, "SKU", "B", "sku_not_in_catalog"),
        (4, "SKU", "C", "sku_not_in_catalog"),
    ]
    links = b"supplier,sku\nada,A\nada,E\n"
    await bring_in(merchant, b"code,name,currency\nada,Ada,USD\n", group="suppliers")
    linked = await bring_in(merchant, links, group="supplier-links", dry_run=dry_run)
    remarks = (await merchant.ask(ListImportRemarks(import_id=linked.id, kind="notice"))).items
    assert [(r.row, r.value, r.code) for r in remarks] == [(3, "E", "sku_not_in_catalog")]
