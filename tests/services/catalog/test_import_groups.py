"""Variants and categories by file, each a group of its own."""

from typing import Any

import pytest

from services.catalog.use_cases import category_imports, product_chunks
from shared.contracts.catalog.messages import ListCategories, ListProducts
from shared.contracts.platform.imports import (
    GetImport,
    Import,
    ListImportRemarks,
    ListImportSamples,
    UndoImport,
)
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.exports import exported
from tests.services.catalog.test_import_undo import everything

pytestmark = pytest.mark.feature("CAT-5", "CAT-6")


async def errors_of(catalog: Catalog, imported: Import) -> list[tuple[int, str | None, str]]:
    page = await catalog.ask(ListImportRemarks(import_id=imported.id, first=200))
    return sorted((remark.row, remark.column, remark.code) for remark in page.items)


async def variant(catalog: Catalog, sku: str) -> Any:
    found = (await catalog.ask(ListProducts(sku=sku))).items
    return next((v for v in found[0].variants if v.sku == sku), None) if found else None


async def undone(catalog: Catalog, imported: Import) -> Import:
    started = await catalog.ask(UndoImport(import_id=imported.id))
    await catalog.run_job(started.undo.job_id)
    return await catalog.ask(GetImport(import_id=imported.id))


# --- variants


@pytest.mark.feature("CAT-8", "CAT-10")
async def test_an_export_of_variants_is_a_file_of_variants(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", barcode="4006381333931", grams="5"), shopify_row("b")]))
    file = await exported(shop_catalog, group="variants")
    imported = await shop_catalog.bring_in(file, group="variants")
    assert (imported.counters["variants_unchanged"], imported.counters["errors"]) == (2, 0)
    page = await shop_catalog.ask(ListImportRemarks(import_id=imported.id, kind="notice"))
    assert [remark.code for remark in page.items] == ["columns_not_kept"]
    further = await shop_catalog.bring_in(b"sku,barcodes,tax code\nA,96385074,F\n", group="variants")
    assert further.counters["variants_updated"] == 1
    a = await variant(shop_catalog, "A")
    assert (a.barcodes, a.tax_class) == (["96385074"], "F")


async def test_variants_take_what_their_file_says(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", grams="5"), shopify_row("b")]))
    version = (await shop_catalog.ask(ListProducts(sku="A"))).items[0].version
    content = (
        b"SKU;Barcode;MPN;Weight grams;Taxable;Colour\nA;4006381333931;M-1;;no;red\nB;;;180;;\n"
        b"NONE;;;1;;\nA;;;7;;\n;;;1;;\nC;123;;;;\nD;;;x;;\n"
    )
    imported = await shop_catalog.bring_in(content, group="variants")
    assert (imported.state, imported.counters["variants_updated"], imported.counters["errors"]) == ("succeeded", 2, 5)
    assert await errors_of(shop_catalog, imported) == [
        (4, "SKU", "unknown_sku"),
        (5, "SKU", "duplicate_key"),
        (6, "SKU", "missing_value"),
        (7, "Barcode", "invalid_gtin"),
        (8, "Weight grams", "invalid_weight"),
    ]
    a, b = await variant(shop_catalog, "A"), await variant(shop_catalog, "B")
    assert (a.barcode, a.mpn, a.weight_grams, a.taxable, b.weight_grams) == ("4006381333931", "M-1", 5, False, 180)
    assert (await shop_catalog.ask(ListProducts(sku="A"))).items[0].version == version + 1
    again = await shop_catalog.bring_in(b"SKU;MPN\nA;M-1\n", group="variants")
    assert (again.counters["variants_unchanged"], again.counters["variants_updated"]) == (1, 0)
    emptied = await shop_catalog.bring_in(b"SKU;MPN;Taxable\nA;;\n", group="variants", mode="replace", guard_percent=50)
    assert emptied.counters["variants_updated"] == 1
    a = await variant(shop_catalog, "A")
    assert (a.mpn, a.taxable, a.barcode) == (None, True, "4006381333931")
    left = await shop_catalog.bring_in(b"SKU;MPN\nNONE;x\nA;y\n", group="variants", mode="update-only", dry_run=True)
    names = [(s.kind, s.name) for s in (await shop_catalog.ask(ListImportSamples(import_id=left.id))).items]
    assert names == [("skip", "NONE"), ("update", "A")]


@pytest.mark.feature("CAT-9")
async def test_variants_that_a_file_deletes_come_back(shop_catalog: Catalog) -> None:
    rows = [shopify_row("a", sku=f"A-{n}", option="Size", value=str(n)) for n in range(5)]
    rows[1:] = [{**row, "Title": "", "Published": ""} for row in rows[1:]]
    await shop_catalog.bring_in(csv_file(rows))
    before = await everything(shop_catalog)
    held = await shop_catalog.bring_in(b"sku\nA-1\nA-2\n", group="variants", mode="delete")
    assert (held.state, held.harms[0].what, held.harms[0].count) == ("held", "variants_deleted", 2)
    done = await shop_catalog.bring_in(b"sku\nA-1\nA-2\n", group="variants", mode="delete", guard_percent=50)
    assert (done.state, done.counters["variants_deleted"]) == ("succeeded", 2)
    assert await variant(shop_catalog, "A-1") is None
    gone = [sku for event in await shop_catalog.events("variants_removed") for sku in event["skus"]]
    assert sorted(gone) == ["A-1", "A-2"]
    over = await undone(shop_catalog, done)
    assert (over.state, over.undo.conflicts) == ("undone", 0)  # type: ignore[union-attr]
    assert await everything(shop_catalog) == before


# --- categories


async def tree(catalog: Catalog) -> dict[str, tuple[bool, int]]:
    found = (await catalog.ask(ListCategories(first=200))).items
    by_id = {category.id: category for category in found}

    def path(category: Any) -> str:
        parent = by_id.get(category.parent_id)
        return f"{path(parent)} > {category.name}" if parent else category.name

    return {path(category): (category.enabled, category.position) for category in found}


async def test_categories_come_by_their_paths(shop_catalog: Catalog) -> None:
    content = (
        "path,enabled,position\nHome > Kitchen,,3\nHome,,1\nGarden > Pots > Large,no,\nA > > B,,\n,yes,\nHome,,2\n"
    )
    imported = await shop_catalog.bring_in(content.encode(), group="categories", shop="main")
    assert (imported.state, imported.counters["categories_inserted"]) == ("succeeded", 5)
    assert await errors_of(shop_catalog, imported) == [
        (5, "path", "invalid_path"),
        (6, "path", "missing_value"),
        (7, "path", "duplicate_key"),
    ]
    made = {
        "Home": (True, 1),
        "Home > Kitchen": (True, 3),
        "Garden": (True, 0),
        "Garden > Pots": (True, 0),
        "Garden > Pots > Large": (False, 0),
    }
    assert await tree(shop_catalog) == made
    roots = await shop_catalog.rows("SELECT count(*) FROM shop_categories")
    assert roots[0][0] == 2
    again = await shop_catalog.bring_in(b"path,position\nHome,1\nHome > Kitchen,4\n", group="categories")
    assert (again.counters["categories_updated"], again.counters["categories_unchanged"]) == (1, 1)
    new = await shop_catalog.bring_in(b"path,position\nHome,9\nToys,1\n", group="categories", mode="insert-only")
    assert (new.counters["categories_inserted"], new.counters["categories_skipped"]) == (1, 1)
    assert (await tree(shop_catalog))["Home"] == (True, 1)
    known = await shop_catalog.bring_in(b"path,position\nHome,9\nCars,1\n", group="categories", mode="update-only")
    assert (known.counters["categories_updated"], known.counters["categories_skipped"]) == (1, 1)
    assert (await undone(shop_catalog, known)).state == "undone"
    assert (await undone(shop_catalog, new)).state == "undone"
    assert await tree(shop_catalog) == {**made, "Home > Kitchen": (True, 4)}


async def test_categories_are_disabled_by_delete_and_most_of_them_only_after_asking(shop_catalog: Catalog) -> None:
    paths = "".join(f"C{n}\n" for n in range(10))
    await shop_catalog.bring_in(f"path\n{paths}".encode(), group="categories")
    held = await shop_catalog.bring_in(b"path\nC1\nC2\nC3\n", group="categories", mode="delete")
    assert (held.state, held.harms[0].what, held.harms[0].count, held.harms[0].of) == (
        *("held", "categories_disabled", 3, 10),
    )
    tried = await shop_catalog.bring_in(b"path\nC1\nnone\n", group="categories", mode="delete", dry_run=True)
    samples = (await shop_catalog.ask(ListImportSamples(import_id=tried.id))).items
    assert [(s.kind, s.name) for s in samples] == [("delete", "c1")]
    done = await shop_catalog.bring_in(b"path\nC1\nnone\n", group="categories", mode="delete")
    assert (done.counters["categories_archived"], done.counters["errors"]) == (1, 1)
    assert (await tree(shop_catalog))["C1"] == (False, 0)


@pytest.mark.feature("CAT-2")
async def test_a_slug_may_be_another_categorys_in_another_language(shop_catalog: Catalog) -> None:
    """As through the door: only what would have one address in one language is refused."""
    await shop_catalog.bring_in(b"path\nCups\nMugs\nJugs\n", group="categories")
    slugs = b"path,slugs\nCups,de=becher\nMugs,pt=becher\n"
    assert (await shop_catalog.bring_in(slugs, group="categories")).counters["categories_updated"] == 2
    again = await shop_catalog.bring_in(slugs, group="categories")
    assert (again.counters["categories_unchanged"], await errors_of(shop_catalog, again)) == (2, [])
    refused = await shop_catalog.bring_in(b"path,slugs\nJugs,pt=becher\nMugs,de=becher\n", group="categories")
    assert await errors_of(shop_catalog, refused) == [(2, "slugs", "slug_taken"), (3, "slugs", "slug_taken")]
    moved = b"path,slugs\nCups,de=tassen\nMugs,de=becher\nJugs,de=cups\n"
    assert await errors_of(shop_catalog, await shop_catalog.bring_in(moved, group="categories")) == []
    # Emptied, Cups would be `cups` in German again, which the jugs are now.
    emptied = await shop_catalog.bring_in(b"path,slugs\nCups,\n", group="categories", mode="replace")
    assert await errors_of(shop_catalog, emptied) == [(2, "slugs", "slug_taken")]


@pytest.mark.feature("CAT-2")
async def test_a_categories_file_has_languages_and_dates(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(b"path\nHome\nHome > Kitchen\nGarden\n", group="categories")
    file = (
        "path,name,names,slugs,valid from,valid until,position,enabled\n"
        "home > kitchen,Kitchen & more,de=K\u00fcche | FR=Cuisine,de=kueche,2026-01-01,2036-01-01T12:00:00+02:00,2,\n"
        "Garden,,,en=home,,,,\n"
        "Garden > Tools,,xx-=x,,,,,\n"
        "Garden > Pots,,,de=Big Pots,,,,\n"
        "Garden > Beds,,,,2026-01-02,2026-01-01,,\n"
        "garden,,,,,,,\n"
    ).encode()
    imported = await shop_catalog.bring_in(file, group="categories")
    assert await errors_of(shop_catalog, imported) == [
        (3, "slugs", "slug_taken"),
        (4, "names", "invalid_language"),
        (5, "slugs", "invalid_slug"),
        (6, "valid until", "ends_before_it_starts"),
    ]
    [kitchen] = [c for c in (await shop_catalog.ask(ListCategories())).items if c.slug == "kitchen"]
    assert (kitchen.name, kitchen.names, kitchen.slugs, kitchen.position) == (
        *("Kitchen & more", {"de": "K\u00fcche", "fr": "Cuisine"}, {"de": "kueche"}, 2),
    )
    assert kitchen.valid_until is not None
    assert kitchen.valid_until.isoformat() == "2036-01-01T10:00:00+00:00"
    [due] = await shop_catalog.rows("SELECT due_at FROM tasks WHERE kind = 'category_turns'")
    assert due["due_at"] == kitchen.valid_until
    again = await shop_catalog.bring_in(
        b"path,names,valid until\nHome > Kitchen,,\n", group="categories", mode="replace"
    )
    assert again.counters["categories_updated"] == 1
    [kitchen] = [c for c in (await shop_catalog.ask(ListCategories())).items if c.slug == "kitchen"]
    assert (kitchen.names, kitchen.slugs, kitchen.valid_until) == ({}, {"de": "kueche"}, None)
    assert kitchen.valid_from is not None


async def test_a_dry_run_counts_a_category_once(shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of a dry run do not see each other; each of them would make the categories that all name."""
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", 2)
    file = csv_file([shopify_row(f"p-{number}", collection="Home > Kitchen") for number in range(6)])
    tried = await shop_catalog.bring_in(file, dry_run=True)
    done = await shop_catalog.bring_in(file)
    assert tried.counters["categories_inserted"] == done.counters["categories_inserted"]
    monkeypatch.setattr(category_imports, "CHUNK_ROWS", 1)
    paths = b"path\nGarden > Pots\nGarden > Beds\n"
    tried = await shop_catalog.bring_in(paths, group="categories", dry_run=True)
    done = await shop_catalog.bring_in(paths, group="categories")
    assert (tried.counters["categories_inserted"], done.counters["categories_inserted"]) == (3, 3)
