"""What an import may do to what is there: every mode, dry runs, holds, all or nothing."""

from typing import Any

import pytest

from services.catalog.use_cases import product_chunks
from shared.bus.envelope import service_envelope
from shared.contracts.catalog.messages import CreateProduct, ListPriceLists, ListPrices, ListProducts
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.contracts.platform.imports import (
    ApplyImport,
    ConfirmImport,
    GetImport,
    Import,
    ListImportRemarks,
    ListImportSamples,
    RerunImport,
)
from shared.contracts.platform.messages import CancelJob
from shared.errors import CrossdockError
from tests.factories.catalog import Catalog, csv_file, shopify_row

pytestmark = pytest.mark.feature("CAT-6")


async def product(catalog: Catalog, slug: str) -> Any:
    return (await catalog.ask(ListProducts(slug=slug))).items[0]


async def statuses(catalog: Catalog) -> dict[str, str]:
    return {p.slug: p.status for p in (await catalog.ask(ListProducts(first=200))).items}


async def codes(catalog: Catalog, imported: Import, kind: Any = "error") -> list[tuple[int, str]]:
    page = await catalog.ask(ListImportRemarks(import_id=imported.id, kind=kind, first=200))
    return [(remark.row, remark.code) for remark in page.items]


async def samples(catalog: Catalog, imported: Import, kind: Any = None) -> list[Any]:
    return (await catalog.ask(ListImportSamples(import_id=imported.id, kind=kind, first=200))).items


async def everything(catalog: Catalog) -> dict[str, list[Any]]:
    """All that a catalog holds, but not what it remembers."""
    tables = ("products", "variants", "prices", "categories", "product_categories", "price_lists", "shop_categories")
    return {
        table: [dict(row) for row in await catalog.rows(f"SELECT * FROM {table} t ORDER BY t::text")]
        for table in tables
    }


async def prices_of(catalog: Catalog) -> dict[tuple[str, int], int]:
    lists = (await catalog.ask(ListPriceLists())).items
    page = await catalog.ask(ListPrices(price_list_id=lists[0].id, first=200))
    return {(price.sku, price.minimum_quantity): price.price.amount for price in page.items}


FULL = {
    "brand": "Northwind",
    "type": "Scarf",
    "tags": "wool, winter",
    "body": "<p>Warm.</p>",
    "barcode": "4006381333931",
    "grams": "180",
    "image": "https://images.example/1.jpg",
    "collection": "Accessories",
}


# --- replace


async def test_in_replace_an_empty_cell_empties_its_field_and_in_merge_it_says_nothing(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("scarf", **FULL)]))
    bare = csv_file([shopify_row("scarf", title="Scarf")])
    merged = await shop_catalog.bring_in(bare)
    assert (merged.counters["products_updated"], merged.counters["variants_updated"]) == (0, 0)
    kept = await product(shop_catalog, "scarf")
    assert (kept.brand, kept.tags, kept.variants[0].barcode) == ("Northwind", ["wool", "winter"], "4006381333931")

    replaced = await shop_catalog.bring_in(bare, mode="replace")
    assert (replaced.state, replaced.counters["products_updated"], replaced.counters["variants_updated"]) == (
        *("succeeded", 1, 1),
    )
    found = await product(shop_catalog, "scarf")
    assert (found.brand, found.product_type, found.tags, found.description_html, found.images) == (
        *(None, None, [], "", []),
    )
    assert (found.variants[0].barcode, found.variants[0].weight_grams) == (None, None)
    assert found.category_ids == kept.category_ids, "a product that stands nowhere would not be sold"
    assert found.version > kept.version
    again = await shop_catalog.bring_in(bare, mode="replace")
    assert (again.counters["products_unchanged"], again.counters["products_updated"]) == (1, 0)
    assert (await product(shop_catalog, "scarf")).version == found.version


async def test_in_replace_a_column_that_is_not_there_empties_nothing(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("scarf", **FULL)]))
    header = ("Handle", "Title", "Variant SKU", "Vendor")
    row = {"Handle": "scarf", "Title": "Scarf", "Variant SKU": "SCARF", "Vendor": ""}
    await shop_catalog.bring_in(csv_file([row], header), mode="replace")
    found = await product(shop_catalog, "scarf")
    assert (found.brand, found.product_type, found.variants[0].weight_grams) == (None, "Scarf", 180)
    assert await prices_of(shop_catalog) == {("SCARF", 1): 1000}


async def test_in_replace_an_empty_price_is_removed_and_other_categories_are_left(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("scarf", **FULL), shopify_row("hat")]))
    before = await product(shop_catalog, "scarf")
    emptied = csv_file([shopify_row("scarf", **{**FULL, "collection": "Winter"}, price="")])
    imported = await shop_catalog.bring_in(emptied, mode="replace", guard_percent=50)
    assert imported.counters["prices_deleted"] == 1
    assert await prices_of(shop_catalog) == {("HAT", 1): 1000}
    after = await product(shop_catalog, "scarf")
    assert (len(after.category_ids), after.category_ids == before.category_ids) == (1, False)


async def test_rows_that_only_add_to_a_product_empty_none_of_its_fields(shop_catalog: Catalog) -> None:
    rows = [shopify_row("scarf", **FULL, option="Colour", value="Red", sku="RED")]
    await shop_catalog.bring_in(csv_file(rows))
    more = [shopify_row("scarf", title="", published="", value="Blue", sku="BLUE")]
    await shop_catalog.bring_in(csv_file(more), mode="replace")
    found = await product(shop_catalog, "scarf")
    assert (found.brand, found.description_html) == ("Northwind", "<p>Warm.</p>")
    assert sorted(v.sku for v in found.variants) == ["BLUE", "RED"]


async def test_what_a_file_does_not_name_is_kept_unless_it_is_to_be_archived(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    nine = csv_file([shopify_row(f"p-{n}") for n in range(9)])
    await shop_catalog.bring_in(nine, mode="replace")
    assert set((await statuses(shop_catalog)).values()) == {"active"}
    archived = await shop_catalog.bring_in(nine, mode="replace", missing="archive")
    assert (archived.state, archived.counters["products_archived"]) == ("succeeded", 1)
    assert [slug for slug, status in (await statuses(shop_catalog)).items() if status == "archived"] == ["p-9"]
    assert await shop_catalog.rows("SELECT FROM import_named") == []


async def test_nothing_is_archived_for_a_file_with_errors(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    content = csv_file([shopify_row(f"p-{n}") for n in range(8)] + [shopify_row("p-8", price="oops")])
    imported = await shop_catalog.bring_in(content, mode="replace", missing="archive", guard_percent=100)
    assert (imported.state, imported.counters["errors"]) == ("succeeded", 1)
    assert set((await statuses(shop_catalog)).values()) == {"active"}
    assert (1, "missing_not_archived") in await codes(shop_catalog, imported, "notice")


# --- delete


async def test_delete_archives_the_products_it_names_and_keeps_all_that_is_theirs(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    imported = await shop_catalog.bring_in(b"Handle\np-1\np-1\nP 2\nnever-seen\n", mode="delete", guard_percent=50)
    assert (imported.state, imported.counters["products_archived"], imported.counters["errors"]) == ("succeeded", 2, 1)
    assert await codes(shop_catalog, imported) == [(5, "unknown_product")]
    found = await statuses(shop_catalog)
    assert sorted(slug for slug, status in found.items() if status == "archived") == ["p-1", "p-2"]
    assert len(await prices_of(shop_catalog)) == 10
    again = await shop_catalog.bring_in(b"Handle\np-1\n", mode="delete")
    assert (again.counters["products_archived"], again.counters["products_unchanged"]) == (0, 1)


async def test_delete_removes_the_prices_it_names(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    await shop_catalog.bring_in(b"sku,price,minimum_quantity\nP-1,8.00,10\n", group="prices")
    content = b"sku,minimum_quantity\nP-1,10\nP-2,\nP-3,7\nNONE,\nP-2,\nP-4,x\n"
    imported = await shop_catalog.bring_in(content, group="prices", mode="delete")
    assert (imported.state, imported.counters["prices_deleted"], imported.counters["prices_unchanged"]) == (
        *("succeeded", 2, 1),
    )
    assert sorted(await codes(shop_catalog, imported)) == [
        *((5, "unknown_sku"), (6, "duplicate_key"), (7, "invalid_integer")),
    ]
    left = await prices_of(shop_catalog)
    assert (len(left), left[("P-1", 1)]) == (9, 1000)


async def test_prices_know_insert_only_and_update_only(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b", price="")]))
    content = b"sku,price\nA,7.00\nB,8.00\n"
    inserted = await shop_catalog.bring_in(content, group="prices", mode="insert-only")
    assert (inserted.counters["prices_inserted"], inserted.counters["prices_skipped"]) == (1, 1)
    assert await prices_of(shop_catalog) == {("A", 1): 1000, ("B", 1): 800}
    content = b"sku,price,minimum_quantity\nA,7.00,\nB,6.00,10\n"
    updated = await shop_catalog.bring_in(content, group="prices", mode="update-only")
    assert (updated.counters["prices_updated"], updated.counters["prices_skipped"]) == (1, 1)
    assert await prices_of(shop_catalog) == {("A", 1): 700, ("B", 1): 800}


# --- the guard


async def test_an_import_that_would_take_away_too_much_stops_before_it_writes_anything(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    before = await everything(shop_catalog)
    rows = [shopify_row(f"p-{n}", title="Other", published="false") for n in range(3)]
    held = await shop_catalog.bring_in(csv_file(rows))
    assert (held.state, [h.model_dump() for h in held.harms]) == (
        "held",
        [{"what": "products_deactivated", "count": 3, "of": 10}],
    )
    assert await everything(shop_catalog) == before
    assert (held.counters, held.confirmed_by) == ({}, None)

    confirmed = await shop_catalog.ask(ConfirmImport(import_id=held.id))
    assert (confirmed.state, confirmed.confirmed_by.id) == ("queued", shop_catalog.caller.id)
    assert confirmed.job_id != held.job_id
    done = await shop_catalog.run(confirmed)
    assert (done.state, done.counters["products_updated"]) == ("succeeded", 3)
    with pytest.raises(CrossdockError) as refusal:
        await shop_catalog.ask(ConfirmImport(import_id=held.id))
    assert refusal.value.code == "import_not_held"


@pytest.mark.parametrize(
    ("content", "parameters", "what"),
    [
        (b"Handle\np-1\np-2\np-3\n", {"mode": "delete"}, "products_archived"),
        (csv_file([shopify_row("p-1")]), {"mode": "replace", "missing": "archive"}, "products_deactivated"),
        (b"sku\nP-1\nP-2\nP-3\n", {"mode": "delete", "group": "prices"}, "prices_deleted"),
        (b"handle,title,status\np-1,P,archived\np-2,P,draft\np-3,P,paused\n", {}, "products_deactivated"),
    ],
)
async def test_whatever_takes_away_is_held(
    shop_catalog: Catalog, content: bytes, parameters: dict[str, str], what: str
) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    before = await everything(shop_catalog)
    held = await shop_catalog.bring_in(content, **parameters)
    assert (held.state, [harm.what for harm in held.harms]) == ("held", [what])
    assert await everything(shop_catalog) == before
    assert (await shop_catalog.bring_in(content, **parameters, guard_percent=100)).state == "succeeded"


async def test_what_is_within_the_share_is_not_held_and_new_products_harm_nobody(shop_catalog: Catalog) -> None:
    rows = [shopify_row(f"p-{n}") for n in range(10)]
    assert (await shop_catalog.bring_in(csv_file(rows))).state == "succeeded"
    drafts = [shopify_row(f"new-{n}", published="false") for n in range(50)]
    assert (await shop_catalog.bring_in(csv_file(drafts))).state == "succeeded"
    two = [shopify_row(f"p-{n}", published="false") for n in range(2)]
    done = await shop_catalog.bring_in(csv_file(two))
    assert (done.state, done.harms[0].count) == ("succeeded", 2)
    assert (await shop_catalog.bring_in(csv_file(two), guard_percent=0)).state == "succeeded", "they are paused already"
    three = csv_file([shopify_row("p-9", published="false")])
    assert (await shop_catalog.bring_in(three, guard_percent=0)).state == "held"
    assert (await shop_catalog.bring_in(three, mode="insert-only")).error["code"] == "nothing_imported"  # type: ignore[index]


# --- dry runs


async def test_a_dry_run_shows_what_would_happen_and_changes_nothing(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("known", **FULL), shopify_row("same")]))
    before = await everything(shop_catalog)
    events = len(await shop_catalog.events("products_changed"))
    rows = [
        shopify_row("known", **{**FULL, "brand": "Southwind"}, price="12.00"),
        shopify_row("same"),
        shopify_row("fresh"),
        shopify_row("wrong", price="oops"),
    ]
    tried = await shop_catalog.bring_in(csv_file(rows), dry_run=True)
    assert (tried.state, tried.dry_run) == ("succeeded", True)
    wanted = {"products_inserted": 1, "products_updated": 1, "products_unchanged": 1, "prices_updated": 1, "errors": 1}
    assert {name: tried.counters[name] for name in wanted} == wanted
    assert await everything(shop_catalog) == before
    assert len(await shop_catalog.events("products_changed")) == events
    assert await shop_catalog.rows("SELECT FROM changes WHERE cause_id = $1", tried.id) == []

    updates = {(s.part, s.name): s.fields for s in await samples(shop_catalog, tried, "update")}
    assert [(f.field, f.before, f.after) for f in updates["product", "known"]] == [("brand", "Northwind", "Southwind")]
    assert [(f.field, f.before, f.after) for f in updates["price", "KNOWN"]] == [("price", 1000, 1200)]
    inserts = {
        (s.part, s.name): {f.field: f.after for f in s.fields} for s in await samples(shop_catalog, tried, "insert")
    }
    assert set(inserts) == {("product", "fresh"), ("variant", "FRESH"), ("price", "FRESH")}
    assert inserts["product", "fresh"]["title"] == "Fresh"

    applied = await shop_catalog.ask(ApplyImport(import_id=tried.id))
    assert (applied.dry_run, applied.dry_run_of, applied.sha256) == (False, tried.id, tried.sha256)
    done = await shop_catalog.run(applied)
    assert {name: done.counters[name] for name in wanted} == wanted
    assert (await product(shop_catalog, "known")).brand == "Southwind"
    with pytest.raises(CrossdockError) as refusal:
        await shop_catalog.ask(ApplyImport(import_id=done.id))
    assert refusal.value.code == "not_a_dry_run"


async def test_a_dry_run_shows_what_it_would_skip_and_delete(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("known"), shopify_row("other")]))
    rows = csv_file([shopify_row("known", title="New"), shopify_row("fresh")])
    only_new = await shop_catalog.bring_in(rows, mode="insert-only", dry_run=True)
    assert [(s.kind, s.name) for s in await samples(shop_catalog, only_new, "skip")] == [("skip", "known")]
    only_known = await shop_catalog.bring_in(rows, mode="update-only", dry_run=True)
    assert [(s.kind, s.name) for s in await samples(shop_catalog, only_known, "skip")] == [("skip", "fresh")]
    gone = await shop_catalog.bring_in(b"Handle\nknown\n", mode="delete", dry_run=True)
    assert (gone.state, gone.harms[0].count) == ("succeeded", 1), "a dry run is never held, but says what would be"
    (deleted,) = await samples(shop_catalog, gone)
    assert (deleted.kind, deleted.part, deleted.name) == ("delete", "product", "known")
    assert (await statuses(shop_catalog))["known"] == "active"


# --- all rows or none


@pytest.mark.feature("CAT-7")
async def test_with_abort_one_wrong_row_leaves_everything_as_it_was(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", 5)
    await shop_catalog.bring_in(csv_file([shopify_row("p-1", title="Old")]))
    before = await everything(shop_catalog)
    rows = [shopify_row(f"p-{n}", quantity="3") for n in range(50)]
    rows[47]["Variant Price"] = "oops"
    refused = await shop_catalog.bring_in(csv_file(rows), on_error="abort")
    assert (refused.state, refused.error["code"]) == ("failed", "import_aborted")  # type: ignore[index]
    assert refused.counters.keys() <= {"rows", "errors", "notices"}
    assert await codes(shop_catalog, refused) == [(49, "invalid_price")]
    assert await everything(shop_catalog) == before
    assert await shop_catalog.events("stock_file_imported") == []
    assert await shop_catalog.rows("SELECT FROM changes WHERE cause_id = $1", refused.id) == []
    rows[47]["Variant Price"] = "5.00"
    taken = await shop_catalog.bring_in(csv_file(rows), on_error="abort")
    assert (taken.state, taken.counters["rows"], taken.counters["products_inserted"]) == ("succeeded", 50, 49)


@pytest.mark.feature("CAT-7")
async def test_with_abort_a_row_that_somebody_breaks_after_the_check_takes_everything_back(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the ninth chunk another product takes a SKU of the file."""
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", 5)
    await shop_catalog.bring_in(csv_file([shopify_row("p-1", title="Old", price="1.00")]))
    before = await everything(shop_catalog)
    calls = 0
    apply = product_chunks.ProductImport.apply

    async def meddled(self: Any, uow: Any, job: Any, chunk: Any, number: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 19:
            monkeypatch.setattr(product_chunks.ProductImport, "apply", apply)
            thief = ProductDraft(title="Thief", slug="thief", variants=[VariantDraft(sku="P-42")])
            await shop_catalog.ask(CreateProduct(draft=thief))
        await apply(self, uow, job, chunk, number)

    monkeypatch.setattr(product_chunks.ProductImport, "apply", meddled)
    rows = [shopify_row(f"p-{n}", title="New") for n in range(50)]
    refused = await shop_catalog.bring_in(csv_file(rows), on_error="abort")
    assert (calls, refused.state, refused.error["code"]) == (19, "failed", "import_aborted")  # type: ignore[index]
    assert await codes(shop_catalog, refused) == [(44, "sku_taken")]
    after = await everything(shop_catalog)
    thief = await product(shop_catalog, "thief")
    assert {row["slug"] for row in after["products"]} == {"p-1", "thief"}
    assert (await product(shop_catalog, "p-1")).title == "Old"
    assert await prices_of(shop_catalog) == {("P-1", 1): 100}
    assert len(after["categories"]) == len(before["categories"])
    assert thief.variants[0].sku == "P-42"


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize("on_error", ["abort", "skip"])
async def test_cancelled_an_import_of_all_or_nothing_takes_everything_back(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, on_error: Any
) -> None:
    """Otherwise the portions stay that were finished."""
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", 5)
    await shop_catalog.bring_in(csv_file([shopify_row("p-1", title="Old", price="1.00")]))
    before = await everything(shop_catalog)
    apply = product_chunks.ProductImport.apply
    calls = 0

    async def interrupted(self: Any, uow: Any, job: Any, chunk: Any, number: int) -> None:
        nonlocal calls
        calls += 1
        # Four portions are checked first where all or none are taken; two are written before somebody cancels.
        if calls == (7 if on_error == "abort" else 3):
            order = CancelJob(service_name="catalog", job_id=job.id)
            await cancel(shop_catalog, order)
        await apply(self, uow, job, chunk, number)

    monkeypatch.setattr(product_chunks.ProductImport, "apply", interrupted)
    rows = [shopify_row(f"p-{n}", title="New") for n in range(20)]
    over = await shop_catalog.bring_in(csv_file(rows), on_error=on_error)
    assert (over.state, over.error) == ("cancelled", None)
    after = await everything(shop_catalog)
    if on_error == "skip":
        assert len(after["products"]) == 10
        return
    assert {row["slug"] for row in after["products"]} == {"p-1"}
    assert (await product(shop_catalog, "p-1")).title == "Old"
    assert await prices_of(shop_catalog) == {("P-1", 1): 100}
    assert len(after["categories"]) == len(before["categories"])


async def cancel(catalog: Catalog, order: CancelJob) -> None:
    await catalog.process.bus.ask(order, service_envelope("accounts", catalog.organization_id))


# --- encodings, repeats


@pytest.mark.feature("CAT-5")
async def test_encoding_and_delimiter_can_be_said(shop_catalog: Catalog) -> None:
    content = "Handle|Title;x\na|Größe;1\n".encode("cp850")
    # Both separate as often, and nobody says which is meant.
    guessed = await shop_catalog.bring_in(content, dry_run=True)
    assert (guessed.state, guessed.error["code"]) == ("failed", "unknown_headers")  # type: ignore[index]
    said = await shop_catalog.bring_in("Handle|Title\na|Größe\n".encode("cp850"), encoding="cp850", delimiter="pipe")
    assert (said.state, said.encoding, said.delimiter) == ("succeeded", "cp850", "pipe")
    assert (await product(shop_catalog, "a")).title == "Größe"
    for odd, code in (({"encoding": "klingon"}, "unknown_encoding"), ({"delimiter": "x"}, "invalid_delimiter")):
        refused = await shop_catalog.bring_in(b"Handle,Title\na,b\n", **odd)
        assert (refused.state, refused.error["code"]) == ("failed", code)  # type: ignore[index]


@pytest.mark.feature("CAT-9")
async def test_the_same_bytes_again_are_warned_of(shop_catalog: Catalog) -> None:
    content = csv_file([shopify_row("a")])
    tried = await shop_catalog.bring_in(content, dry_run=True)
    first = await shop_catalog.bring_in(content)
    assert (tried.same_as, first.same_as) == (None, None), "a dry run is no import"
    second = await shop_catalog.bring_in(content)
    assert second.same_as == first.id
    assert (1, "imported_before") in await codes(shop_catalog, second, "notice")


@pytest.mark.feature("CAT-9")
async def test_a_rerun_takes_the_refused_rows_alone(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b")]))
    content = "sku;price\nA;7,00\nLATER;8,00\nB;6,00\n".encode("utf-16")
    first = await shop_catalog.bring_in(content, group="prices")
    assert (first.counters["errors"], first.counters["prices_updated"]) == (1, 2)
    await shop_catalog.bring_in(csv_file([shopify_row("later", price="1.00")]))
    again = await shop_catalog.run(await shop_catalog.ask(RerunImport(import_id=first.id)))
    assert (again.state, again.rerun_of, again.counters["rows"]) == ("succeeded", first.id, 1)
    assert (await prices_of(shop_catalog))["LATER", 1] == 800
    with pytest.raises(CrossdockError) as refusal:
        await shop_catalog.ask(RerunImport(import_id=again.id))
    assert refusal.value.code == "import_has_no_errors"
    stored = await shop_catalog.ask(GetImport(import_id=again.id))
    assert (stored.sha256 != first.sha256, stored.size > 0) == (True, True)
