"""An import is taken back: whole, unless somebody has touched what it wrote, and wherever it is killed meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.catalog.use_cases import undoing
from shared.bus.envelope import service_envelope
from shared.contracts.catalog.history import ListProductHistory
from shared.contracts.catalog.messages import (
    CreateProduct,
    ListPriceLists,
    ListProducts,
    SetPrices,
    UpdateProduct,
)
from shared.contracts.catalog.pricing import PriceDraft
from shared.contracts.catalog.shapes import ProductChange, ProductDraft
from shared.contracts.platform.imports import (
    GetImport,
    Import,
    ImportConflict,
    ListImportConflicts,
    UndoImport,
)
from shared.errors import CrossdockError
from shared.jobs import RunningJob
from shared.money import Money
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.services.catalog.test_import_faults import free_lease
from tests.waiting import until

pytestmark = pytest.mark.feature("CAT-9")

TABLES = ("products", "variants", "prices", "categories", "product_categories", "price_lists", "shop_categories")
# Counted up by the undo as well.
UNSTABLE = ("version", "updated_at")


async def everything(catalog: Catalog) -> dict[str, list[Any]]:
    found = {}
    for table in TABLES:
        rows = [dict(row) for row in await catalog.rows(f"SELECT * FROM {table} t ORDER BY t::text")]
        found[table] = sorted(
            ({name: value for name, value in row.items() if name not in UNSTABLE} for row in rows), key=str
        )
    return found


async def undone(catalog: Catalog, imported: Import) -> Import:
    started = await catalog.ask(UndoImport(import_id=imported.id))
    await catalog.run_job(started.undo.job_id)
    return await catalog.ask(GetImport(import_id=imported.id))


async def conflicts_of(catalog: Catalog, imported: Import) -> list[ImportConflict]:
    return (await catalog.ask(ListImportConflicts(import_id=imported.id, first=200))).items


async def product(catalog: Catalog, slug: str) -> Any:
    found = (await catalog.ask(ListProducts(slug=slug))).items
    return found[0] if found else None


def old_file() -> bytes:
    return csv_file(
        [
            shopify_row("scarf", brand="Old", price="10.00", barcode="4006381333931", collection="Winter"),
            shopify_row("hat", brand="Old", price="20.00", list_price="25.00", tags="wool, warm"),
            shopify_row("cup", price=""),
        ]
    )


def new_file() -> bytes:
    rows = [
        shopify_row("scarf", brand="New", price="11.00", barcode="", option="Size", value="S", collection="Summer"),
        shopify_row("scarf", title="", published="", sku="SCARF-M", value="M", price="12.00"),
        shopify_row("hat", brand="New", price="21.00", list_price="", tags="cotton", title="A hat", quantity="4"),
        shopify_row("cup", price="3.00"),
        shopify_row("fresh", collection="Fresh", option="Size", value="L", sku="FRESH-L"),
        shopify_row("fresh", title="", published="", sku="FRESH-XL", value="XL"),
    ]
    return csv_file(rows)


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_an_import_is_taken_back_whole(shop_catalog: Catalog, mode: str) -> None:
    await shop_catalog.bring_in(old_file())
    before = await everything(shop_catalog)
    versions = {p.slug: p.version for p in (await shop_catalog.ask(ListProducts())).items}
    imported = await shop_catalog.bring_in(new_file(), mode=mode)
    assert imported.state == "succeeded"
    assert await everything(shop_catalog) != before

    over = await undone(shop_catalog, imported)
    assert (over.state, over.undo.state, over.undo.conflicts) == ("undone", "succeeded", 0)  # type: ignore[union-attr]
    assert await everything(shop_catalog) == before
    # Nobody has delivered the stock: it never came, and does not come any more.
    assert "never came" in over.undo.notes[0]  # type: ignore[union-attr]
    after = {p.slug: p.version for p in (await shop_catalog.ask(ListProducts())).items}
    assert all(after[slug] > versions[slug] for slug in ("scarf", "hat")), "a client's older version is stale now"
    assert await conflicts_of(shop_catalog, imported) == []
    history = (await shop_catalog.ask(ListProductHistory(product_id=(await product(shop_catalog, "hat")).id))).items
    assert history[0].cause == "undo"
    gone = [sku for event in await shop_catalog.events("variants_removed") for sku in event["skus"]]
    assert sorted(gone) == ["FRESH-L", "FRESH-XL", "SCARF-M"]
    again = await shop_catalog.bring_in(new_file(), mode=mode)
    assert (again.state, again.counters["products_inserted"]) == ("succeeded", 1)


async def test_what_a_delete_took_away_comes_back(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(old_file())
    before = await everything(shop_catalog)
    prices = await shop_catalog.bring_in(b"sku\nHAT\nSCARF\n", group="prices", mode="delete", guard_percent=100)
    products = await shop_catalog.bring_in(b"Handle\nhat\n", mode="delete", guard_percent=100)
    assert (prices.counters["prices_deleted"], products.counters["products_archived"]) == (2, 1)
    assert (await undone(shop_catalog, prices)).state == "undone"
    assert (await undone(shop_catalog, products)).state == "undone"
    restored = await everything(shop_catalog)
    for row in (*before["prices"], *restored["prices"]):
        row.pop("created_cause", None)
    assert restored == before
    announced = await shop_catalog.events("prices_changed")
    assert len(announced) >= 2


async def test_what_somebody_touched_since_stays_and_is_named(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(old_file())
    imported = await shop_catalog.bring_in(new_file())
    hat, fresh = await product(shop_catalog, "hat"), await product(shop_catalog, "fresh")
    await shop_catalog.ask(UpdateProduct(product_id=hat.id, change=ProductChange(brand="Mine")))
    await shop_catalog.ask(UpdateProduct(product_id=fresh.id, change=ProductChange(title="My fresh")))
    price_list = (await shop_catalog.ask(ListPriceLists())).items[0]
    mine = PriceDraft(sku="SCARF", price=Money(amount=999, currency="USD"))
    await shop_catalog.ask(SetPrices(price_list_id=price_list.id, prices=[mine]))
    other = PriceDraft(sku="CUP", price=Money(amount=888, currency="USD"))
    await shop_catalog.ask(SetPrices(price_list_id=price_list.id, prices=[other]))

    over = await undone(shop_catalog, imported)

    found = {(c.part, c.name, c.field): c for c in await conflicts_of(shop_catalog, imported)}
    assert set(found) == {
        ("product", "hat", "brand"),
        ("product", "fresh", None),
        ("price", "SCARF", "price"),
        ("price", "CUP", None),
        ("category", "fresh", None),
    }
    brand = found["product", "hat", "brand"]
    assert (brand.before, brand.imported, brand.code, brand.cause) == ("Old", "New", "touched_since", "request")
    assert over.undo.conflicts == 5  # type: ignore[union-attr]
    hat = await product(shop_catalog, "hat")
    assert (hat.brand, hat.title, hat.tags) == ("Mine", "Hat", ["wool", "warm"]), "the other fields are taken back"
    kept = await product(shop_catalog, "fresh")
    assert (kept.title, len(kept.variants), len(kept.category_ids)) == ("My fresh", 2, 1), "it stays as a whole"
    stored = await shop_catalog.rows("SELECT v.sku, p.price FROM prices p JOIN variants v ON v.id = p.variant_id")
    assert {row["sku"]: row["price"] for row in stored} == {
        "SCARF": 999,
        "CUP": 888,
        "HAT": 2000,
        "FRESH-L": 1000,
        "FRESH-XL": 1000,
    }


async def test_what_is_gone_or_taken_since_is_named(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("two", sku="A", option="Size", value="S")]))
    rows = [
        shopify_row("two", sku="A", option="Size", value="M", grams="10"),
        shopify_row("two", title="", published="", sku="B", value="L"),
    ]
    imported = await shop_catalog.bring_in(csv_file(rows))
    two = await product(shop_catalog, "two")
    # The options that variant A had become another's, so that it cannot have them back.
    change: Any = {"variants": [{"sku": "C", "options": {"Size": "S"}}]}
    await shop_catalog.ask(UpdateProduct(product_id=two.id, change=ProductChange.model_validate(change)))
    over = await undone(shop_catalog, imported)
    assert over.state == "undone"
    left = await product(shop_catalog, "two")
    assert {v.sku: v.options["Size"] for v in left.variants} == {"A": "M", "C": "S"}
    (conflict,) = await conflicts_of(shop_catalog, imported)
    assert (conflict.part, conflict.name, conflict.code) == ("variant", "A", "not_possible")


async def test_a_later_import_of_the_same_rows_is_somebody_else(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", brand="One")]))
    second = await shop_catalog.bring_in(csv_file([shopify_row("a", brand="Two", price="11.00")]))
    await shop_catalog.bring_in(csv_file([shopify_row("a", brand="Three", price="11.00")]))
    await undone(shop_catalog, second)
    (conflict,) = await conflicts_of(shop_catalog, second)
    assert (conflict.field, conflict.cause) == ("brand", "import")
    assert (await product(shop_catalog, "a")).brand == "Three"
    prices = await shop_catalog.rows("SELECT price FROM prices")
    assert prices[0]["price"] == 1000


async def test_an_undo_that_makes_no_sense_is_refused(shop_catalog: Catalog) -> None:
    tried = await shop_catalog.bring_in(old_file(), dry_run=True)
    waiting = await shop_catalog.upload(old_file())
    done = await shop_catalog.run(waiting)

    async def code(imported: Import) -> str:
        with pytest.raises(CrossdockError) as refusal:
            await shop_catalog.ask(UndoImport(import_id=imported.id))
        return refusal.value.code

    assert await code(tried) == "nothing_to_undo"
    assert await code(await shop_catalog.upload(old_file())) == "import_not_finished"
    assert (await undone(shop_catalog, done)).state == "undone"
    assert await code(done) == "import_already_undone"


PRODUCTS = 60


def many(title: str, more: int = 0) -> bytes:
    return csv_file([shopify_row(f"p-{n}", title=title, price=f"{10 + more}.00") for n in range(PRODUCTS + more)])


@pytest.mark.feature("CAT-9", "OPS-5")
@pytest.mark.parametrize("step", [1, 2, 5, 9])
@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
async def test_an_undo_that_is_killed_goes_on_and_does_nothing_twice(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, step: int, moment: str
) -> None:
    monkeypatch.setattr(undoing, "CHUNK", 20)
    await shop_catalog.bring_in(many("Old"))
    before = await everything(shop_catalog)
    imported = await shop_catalog.bring_in(many("New", 25))
    started = await shop_catalog.ask(UndoImport(import_id=imported.id))
    with monkeypatch.context() as patched:
        die_at(patched, step, moment)
        await shop_catalog.run_job(started.undo.job_id)
    assert (await shop_catalog.ask(GetImport(import_id=imported.id))).undo.state == "running"
    await free_lease(shop_catalog)
    await shop_catalog.run_job(started.undo.job_id)
    over = await shop_catalog.ask(GetImport(import_id=imported.id))
    assert (over.state, over.undo.conflicts) == ("undone", 0)
    assert await everything(shop_catalog) == before
    titles = await shop_catalog.rows(
        "SELECT count(*) AS changes, count(DISTINCT key) AS rows FROM changes c JOIN causes w ON w.id = c.cause_id"
        " WHERE w.kind = 'undo' AND entity = 'product' AND after ? 'title'"
    )
    assert tuple(titles[0]) == (PRODUCTS, PRODUCTS)


def die_at(monkeypatch: pytest.MonkeyPatch, step: int, moment: str) -> None:
    """Let the process die at a step of an undo: nothing runs any more, and nothing is told."""
    calls = 0
    original: Callable[..., Awaitable[None]] = undoing._Undoing.tell

    async def telling(self: Any, uow: Any) -> None:
        nonlocal calls
        calls += 1
        await original(self, uow)
        if calls == step:
            if moment == "after the commit":
                uow.when_committed(_die)
            else:
                _die()

    async def not_ended(_self: RunningJob, _state: str, _error: Any = None) -> None:
        """A dead process writes no end."""

    monkeypatch.setattr(undoing._Undoing, "tell", telling)
    monkeypatch.setattr(RunningJob, "end", not_ended)


def _die() -> None:
    raise RuntimeError("killed here")


async def test_of_many_pages_the_one_row_that_was_touched_stays(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "CHUNK", 10)
    await shop_catalog.bring_in(many("Old"))
    imported = await shop_catalog.bring_in(many("New"))
    first = await product(shop_catalog, "p-0")
    await shop_catalog.ask(UpdateProduct(product_id=first.id, change=ProductChange(title="Mine")))
    await undone(shop_catalog, imported)
    assert [(c.name, c.field) for c in await conflicts_of(shop_catalog, imported)] == [("p-0", "title")]
    titles = {p.title for p in (await shop_catalog.ask(ListProducts(first=200))).items}
    assert titles == {"Mine", "Old"}


async def test_another_organization_cannot_take_it_back(shop_catalog: Catalog, catalog: Catalog) -> None:
    imported = await shop_catalog.bring_in(old_file())
    other = Catalog(shop_catalog.process)
    with pytest.raises(CrossdockError) as refusal:
        await other.ask(UndoImport(import_id=imported.id))
    assert refusal.value.code == "import_not_found"
    await other.ask(CreateProduct(draft=ProductDraft(title="Theirs")))
    await undone(shop_catalog, imported)
    assert len((await other.ask(ListProducts())).items) == 1


async def test_of_two_undos_at_once_one_begins(shop_catalog: Catalog) -> None:
    imported = await shop_catalog.bring_in(new_file())
    uow = shop_catalog.process.surroundings.unit_of_work(
        "catalog", service_envelope("catalog", shop_catalog.organization_id)
    )
    await uow.execute("SELECT FROM imports WHERE id = $1 FOR UPDATE", imported.id)
    asking = [asyncio.create_task(shop_catalog.ask(UndoImport(import_id=imported.id))) for _ in range(2)]

    async def both_wait() -> bool:
        return bool((await shop_catalog.rows("SELECT count(*) FROM pg_locks WHERE NOT granted"))[0][0] >= 2)

    try:
        await until(both_wait)
    finally:
        await uow.rollback()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    codes = sorted(answer.code if isinstance(answer, CrossdockError) else "begun" for answer in answers)
    assert codes == ["begun", "import_already_undone"]


@pytest.mark.feature("CAT-5", "CAT-3", "CAT-9")
async def test_a_supplier_s_price_holds_until_the_merchant_has_one(shop_catalog: Catalog) -> None:
    def file(mug: str, cup: str) -> bytes:
        return f"vendorSku,name,brand,msrp,defaultCost,language\nMUG,Mug,B,{mug},1,en\nCUP,Cup,B,{cup},1,en\n".encode()

    async def prices() -> dict[str, int]:
        rows = await shop_catalog.rows("SELECT v.sku, p.price FROM prices p JOIN variants v ON v.id = p.variant_id")
        return {row["sku"]: row["price"] for row in rows}

    await shop_catalog.bring_in(file("10.00", "10.00"), profile="supplier")
    [price_list] = (await shop_catalog.ask(ListPriceLists())).items
    mine = PriceDraft(sku="MUG", price=Money(amount=2500, currency="USD"))
    await shop_catalog.ask(SetPrices(price_list_id=price_list.id, prices=[mine]))
    second = await shop_catalog.bring_in(file("11.00", "11.00"), profile="supplier")
    assert (second.state, second.counters["prices_kept"]) == ("succeeded", 1)
    assert await prices() == {"MUG": 2500, "CUP": 1100}
    # What is taken back was a supplier's word too.
    await undone(shop_catalog, second)
    assert await prices() == {"MUG": 2500, "CUP": 1000}
    third = await shop_catalog.bring_in(file("", ""), profile="supplier", mode="replace", guard_percent=100)
    assert (third.error, await prices()) == (None, {"MUG": 2500})
