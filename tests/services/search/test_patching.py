"""Where only how much there is has changed, inventory alone is asked; what comes out is what a full build makes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from deploy import topology
from services.search.repository import documents
from services.search.repository.documents import Row, Stored
from services.search.use_cases import building, patching
from services.search.use_cases.assembly import Assembly, assemble
from services.search.use_cases.building import Built
from services.search.use_cases.patching import Patch
from shared import clock
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.catalog.events import ProductsChanged
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import AttributePart, ProductPart, VariantPart
from shared.contracts.inventory.events import StockChanged
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availability
from shared.measures import Weight
from tests.services.search.test_assembly import TODAY, a_product, a_tier, a_variant
from tests.services.search.test_building import Sources

_DAYS = st.none() | st.dates(TODAY - timedelta(days=2), TODAY + timedelta(days=2))
_POLICIES = ["standard", "backorder", "preorder", "always", "showroom"]
_OF_STOCK = {
    "available": st.booleans(),
    "available_quantity": st.integers(-1, 3),
    "policy": st.sampled_from(_POLICIES),
    "available_from": _DAYS,
    "available_until": _DAYS,
    "restock_date": _DAYS,
}
_STOCK = st.fixed_dictionaries(_OF_STOCK)
# What becomes different of it: most often one thing, how much there is more often than all others.
_CHANGES = st.sampled_from([*_OF_STOCK, *["available_quantity"] * 4]).flatmap(
    lambda name: st.fixed_dictionaries({name: _OF_STOCK[name]})
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.just('","available_quantity":7,"')
_VARIANT = st.fixed_dictionaries(
    {
        "tiers": st.lists(st.sampled_from([1, 5]), max_size=2, unique=True).map(
            lambda quantities: [a_tier(1000 + q, q) for q in quantities]
        ),
        "price_on_request": st.booleans(),
        "backorder": st.sampled_from([None, "deny", "allow"]),
        "options": st.dictionaries(
            st.sampled_from(["Size", "available_quantity", '"available_quantity']), _TEXTS, max_size=2
        ),
        "barcode": st.none() | _TEXTS,
        "weight": st.sampled_from([None, Weight(value="0.50", unit="lb")]),  # type: ignore[arg-type]
    }
)
_FACT = st.builds(
    AttributePart,
    code=st.just("fact"),
    label=_TEXTS,
    type=st.just("integer"),
    value=st.integers(-(2**63), 2**64 - 1) | st.booleans() | _TEXTS,
    text=_TEXTS,
    is_facet=st.booleans(),
)
_PRODUCT = st.fixed_dictionaries(
    {
        "title": _TEXTS,
        "description_html": _TEXTS,
        "status": st.sampled_from(["active", "active", "active", "draft"]),
        "is_assigned": st.sampled_from([True, True, True, False]),
        "attributes": st.dictionaries(_TEXTS, _TEXTS, max_size=2),
        "typed_attributes": st.lists(_FACT, max_size=2),
    }
)
_QUANTITY = st.integers(1, 9)
_SHOP = UUID(int=1)


def _row(product: ProductPart, stock: dict[str, Availability], today: date) -> tuple[Row, Assembly]:
    assembly = assemble(product, stock, today)
    return building.row_of(_SHOP, Built(product.id, product, assembly, clock.now())), assembly


def _patched(row: Row, numbers: list[int]) -> Row | None:
    ready = None if row.document is None else (row.fields or b"", row.document, row.page or b"")
    stored = Stored(row.product_id, row.slug, row.basis, ready)
    return patching.patched(stored, Patch(row.product_id, row.basis or b"", numbers, row.changed_at))


def _available(levels: dict[str, dict[str, Any]]) -> dict[str, Availability]:
    return {sku: Availability(sku=sku, **fields) for sku, fields in levels.items()}


@pytest.mark.feature("SEA-1", "SEA-4")
@settings(max_examples=600)
@given(_PRODUCT, st.lists(st.tuples(_VARIANT, _STOCK, _CHANGES), max_size=3), st.integers(0, 2))
def test_a_patched_offer_is_byte_for_byte_what_a_full_build_makes(
    fields: dict[str, Any], drawn: list[Any], days: int
) -> None:
    """Of any product, with any stock before and after, on any two days; where it may not be patched, it is not."""
    product = a_product(*(a_variant(f"v{n}", **variant) for n, (variant, *_) in enumerate(drawn)), **fields)
    before, after = {}, {}
    for n, (_, stands, changes) in enumerate(drawn):
        before[f"v{n}"] = stands
        after[f"v{n}"] = {**stands, **changes}
    row, early = _row(product, _available(before), TODAY)
    stock, today = _available(after), TODAY + timedelta(days=days)
    assert row.basis is not None
    numbers = patching.new_numbers(row.basis, stock, today)
    if numbers is None:
        return
    whole, late = _row(product, stock, today)
    assert _patched(row, numbers) == replace(whole, changed_at=row.changed_at)
    assert late.changes_at == early.changes_at


@pytest.mark.feature("SEA-4")
@given(_PRODUCT, st.lists(st.tuples(_VARIANT, _STOCK, _QUANTITY, _QUANTITY), max_size=4))
def test_what_only_becomes_more_or_less_can_be_patched(fields: dict[str, Any], drawn: list[Any]) -> None:
    product = a_product(*(a_variant(f"v{n}", **variant) for n, (variant, *_) in enumerate(drawn)), **fields)
    before = {f"v{n}": {**stock, "available_quantity": less} for n, (_, stock, less, _) in enumerate(drawn)}
    after = {f"v{n}": {**stock, "available_quantity": more} for n, (_, stock, _, more) in enumerate(drawn)}
    basis = _row(product, _available(before), TODAY)[0].basis
    assert basis is not None
    assert patching.new_numbers(basis, _available(after), TODAY) is not None


class Counting(Sources):
    """Counts the products that catalog was asked for, and can hold up what inventory says."""

    def __init__(self, process: topology.Surrounded) -> None:
        super().__init__(process)
        self.asked_of_catalog: list[UUID] = []
        self.holds_stock: Callable[[], Awaitable[None]] | None = None

    async def ask(self, message: Any, envelope: Any) -> Any:
        if isinstance(message, GetOfferParts):
            self.asked_of_catalog += message.product_ids
        answer = await super().ask(message, envelope)
        if isinstance(message, GetAvailability) and self.holds_stock is not None:
            await self.holds_stock()
        return answer

    async def built(self, sku: str, stock: int = 5, **fields: Any) -> ProductPart:
        """A product that is in the documents."""
        product = self.has(sku, stock=stock, **fields)
        await self.hear(ProductsChanged(product_ids=[product.id]))
        await self.build()
        self.asked_of_catalog = []
        return product

    async def stock_changes(self, sku: str, stock: int) -> None:
        self.has_stock(sku, stock)
        await self.hear(StockChanged(skus=[sku]))

    async def product_changes(self, product: ProductPart, **fields: Any) -> None:
        self.products[product.id] = replace(self.products[product.id], **fields)
        await self.hear(ProductsChanged(product_ids=[product.id]))

    async def stands(self) -> dict[UUID, tuple[Any, ...]]:
        rows = await self.rows(
            "SELECT product_id, slug, content, fields, document, page, basis FROM documents WHERE shop_id = $1",
            self.shop.id,
        )
        return {row["product_id"]: tuple(row.values())[1:] for row in rows}

    async def built_whole(self) -> dict[UUID, tuple[Any, ...]]:
        """What the documents have to say, by building all of them from nothing."""
        rows = await self.rows("SELECT product_id FROM documents WHERE shop_id = $1", self.shop.id)
        changed = {row["product_id"]: clock.now() for row in rows}
        found = await building.gather(self.unit, self.shop.id, changed)
        built = [building.row_of(self.shop.id, each) for each in found]
        return {row.product_id: (row.slug, row.content, row.fields, row.document, row.page, row.basis) for row in built}


@pytest.fixture
async def sources(process: topology.Surrounded) -> Counting:
    made = Counting(process)
    await made.hear(ShopChanged(shop=made.shop))
    return made


@pytest.mark.feature("SEA-4")
async def test_for_new_numbers_catalog_is_not_asked_and_readers_see_them(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    other = await sources.built("B", stock=5)
    [before] = await sources.rows("SELECT sequence FROM indexes")
    await sources.stock_changes("A", 3)
    await sources.build()
    assert sources.asked_of_catalog == []
    assert (await sources.offers())["a"]["available_quantity"] == 3
    assert await sources.stands() == await sources.built_whole()
    assert await sources.marked() == set()
    followed = await sources.inside(documents.follow, sources.shop.id, before["sequence"], 10)
    assert [offer.product_id for offer in followed.rows] == [product.id.hex] != [other.id.hex]


@pytest.mark.feature("SEA-4")
async def test_numbers_that_are_the_same_as_before_are_not_written_again(sources: Counting) -> None:
    await sources.built("A", stock=5)
    before = await sources.rows("SELECT sequence FROM indexes")
    await sources.stock_changes("A", 5)
    await sources.build()
    assert await sources.rows("SELECT sequence FROM indexes") == before
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4", "SEA-1")
@pytest.mark.parametrize(
    "becomes",
    [
        {"available": False, "available_quantity": 0},
        {"policy": "showroom"},
        {"available_until": TODAY - timedelta(days=9000)},
        {"available_from": TODAY + timedelta(days=9000)},
        {"restock_date": TODAY},
    ],
)
async def test_more_than_numbers_is_built_in_full(sources: Counting, becomes: dict[str, Any]) -> None:
    product = await sources.built("A", stock=5)
    sources.stock["A"] = sources.stock["A"].model_copy(update=becomes)
    await sources.hear(StockChanged(skus=["A"]))
    await sources.build()
    assert sources.asked_of_catalog == [product.id]
    assert await sources.stands() == await sources.built_whole()
    # What a date will change waits for that day; nothing else does.
    assert bool(await sources.marked()) == ("available_from" in becomes)


@pytest.mark.feature("SEA-4")
async def test_a_mark_for_more_is_never_taken_for_one_of_stock(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.stock_changes("A", 4)
    await sources.product_changes(product, title="New")
    await sources.stock_changes("A", 3)
    uow = sources.surroundings.unit_of_work("search", service_envelope("search", None), across_tenants=True)
    await topology.named("search")[0].tasks["every.merge_what_nobody_builds"].function({}, uow)
    await uow.commit()
    assert len(await sources.rows("SELECT FROM marks")) == 1
    await sources.build()
    assert sources.asked_of_catalog == [product.id]
    assert (await sources.offers())["a"]["title"] == "New"


@pytest.mark.feature("SEA-4")
async def test_a_change_of_more_while_stock_is_asked_keeps_its_mark(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.stock_changes("A", 4)

    async def product_changes() -> None:
        sources.holds_stock = None
        await sources.product_changes(product, title="New")
        # Even one that came before the version was taken is not covered by a look at stock.
        await sources.change("UPDATE marks SET version = 1 WHERE NOT of_stock")

    sources.holds_stock = product_changes
    await building.build_due(sources.unit, sources.shop.id)
    assert (await sources.offers())["a"]["available_quantity"] == 4
    assert await sources.marked() == {product.id}
    await sources.build()
    assert (await sources.offers())["a"]["title"] == "New"
    assert await sources.marked() == set()


def _gate() -> tuple[asyncio.Event, asyncio.Event, Callable[[], Awaitable[None]]]:
    is_asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        is_asked.set()
        await may_go_on.wait()

    return is_asked, may_go_on, wait


@pytest.mark.feature("SEA-4")
async def test_a_slow_full_build_loses_nothing_to_a_patch_nor_its_stock(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.product_changes(product, title="New")
    is_asked, may_go_on, wait = _gate()
    sources.holds_stock = wait
    slow = asyncio.create_task(building.build_due(sources.unit, sources.shop.id))
    await is_asked.wait()
    sources.holds_stock = None
    await sources.change("DELETE FROM marks")
    await sources.stock_changes("A", 2)
    await building.build_due(sources.unit, sources.shop.id)
    assert (await sources.offers())["a"]["available_quantity"] == 2
    may_go_on.set()
    await slow
    assert (await sources.offers())["a"]["title"] == "New"
    await sources.build()
    assert (await sources.offers())["a"]["available_quantity"] == 2
    assert await sources.stands() == await sources.built_whole()
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_a_slow_patch_replaces_nothing_that_a_later_one_found(sources: Counting) -> None:
    await sources.built("A", stock=5)
    await sources.stock_changes("A", 4)
    is_asked, may_go_on, wait = _gate()
    sources.holds_stock = wait
    slow = asyncio.create_task(building.build_due(sources.unit, sources.shop.id))
    await is_asked.wait()
    sources.holds_stock = None
    await sources.stock_changes("A", 3)
    await sources.build()
    may_go_on.set()
    await slow
    assert (await sources.offers())["a"]["available_quantity"] == 3
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_a_document_that_came_to_stand_on_something_else_is_not_patched(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.stock_changes("A", 4)
    is_asked, may_go_on, wait = _gate()
    sources.holds_stock = wait
    slow = asyncio.create_task(building.build_due(sources.unit, sources.shop.id))
    await is_asked.wait()
    sources.holds_stock = None
    # A build of before the patch comes to its end meanwhile, with a variant more.
    whole = replace(product, variants=[*product.variants, a_variant("B")])
    sources.products[product.id] = whole
    sources.has_stock("B", 2)
    [built] = await building.gather(sources.unit, sources.shop.id, {product.id: clock.now()})
    version = (await sources.rows("SELECT built_from FROM documents"))[0]["built_from"] + 1
    await sources.inside(building.write, sources.shop.id, [built], version)
    may_go_on.set()
    await slow
    assert await sources.marked() == {product.id}
    await sources.build()
    assert await sources.stands() == await sources.built_whole()


@pytest.mark.feature("SEA-4")
async def test_numbers_that_do_not_fit_a_document_lead_to_a_full_build(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.change("""UPDATE documents SET page = '{"available_quantity":1}'""")
    await sources.stock_changes("A", 4)
    await sources.build()
    assert sources.asked_of_catalog == [product.id]
    assert await sources.stands() == await sources.built_whole()
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_what_comes_out_the_same_from_other_stock_does_not_stand_on_the_old(sources: Counting) -> None:
    """A draft in stock, then an active product without: no offer both times. Then it is in stock again."""
    product = await sources.built("A", stock=5, status="draft")
    sources.has_stock("A", 0)
    await sources.product_changes(product, status="active")
    await sources.build()
    await sources.stock_changes("A", 5)
    await sources.build()
    assert list(await sources.offers()) == ["a"]


@pytest.mark.feature("SEA-4", "SEA-5")
async def test_a_patch_makes_no_document_younger_to_a_rebuild(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    since = await building.take_version(sources.unit)
    await sources.stock_changes("A", 4)
    await sources.build()
    older = await sources.inside(documents.list_older, sources.shop.id, since, UUID(int=0), 10)
    assert older == [product.id]


@pytest.mark.feature("SEA-4")
async def test_a_document_of_before_this_was_known_is_built_in_full_once(sources: Counting) -> None:
    product = await sources.built("A", stock=5)
    await sources.change("UPDATE documents SET basis = NULL")
    await sources.stock_changes("A", 4)
    await sources.build()
    assert sources.asked_of_catalog == [product.id]
    await sources.stock_changes("A", 3)
    await sources.build()
    assert sources.asked_of_catalog == [product.id]
    assert (await sources.offers())["a"]["available_quantity"] == 3


def _some_stock(chance: random.Random, sku: str) -> Availability:
    day = clock.now().date() + timedelta(days=chance.choice([-2, 2]))
    return Availability(
        sku=sku,
        available=chance.random() < 0.8,
        available_quantity=chance.randrange(4),
        policy=chance.choice(["standard", "standard", *_POLICIES]),  # type: ignore[arg-type]
        available_from=chance.choice([None, None, None, day]),
        available_until=chance.choice([None, None, None, day]),
        restock_date=chance.choice([None, None, day]),
    )


def _some_variants(chance: random.Random, name: str) -> list[VariantPart]:
    return [
        a_variant(f"{name}-{n}", tiers=[a_tier(1000 + n)] if chance.random() < 0.8 else [], price_on_request=n == 2)
        for n in range(chance.randrange(4))
    ]


@pytest.mark.feature("SEA-1", "SEA-4")
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_in_whatever_order_documents_are_what_a_full_build_makes(
    sources: Counting, seed: int
) -> None:
    chance = random.Random(seed)
    ids = [sources.has(f"P{n}").id for n in range(5)]
    await sources.hear(ProductsChanged(product_ids=ids))
    for _ in range(40):
        id_ = chance.choice(ids)
        if chance.random() < 0.3:
            product = sources.products[id_]
            changes = chance.choice([{"status": chance.choice(["active", "draft"])}, {"title": str(chance.random())}])
            variants = chance.choice([product.variants, _some_variants(chance, product.slug)])
            await sources.product_changes(product, **changes, variants=variants)
        skus = [variant.sku for variant in sources.products[id_].variants]
        for sku in chance.sample(skus, chance.randrange(len(skus) + 1)):
            known = sources.stock.get(sku)
            quantity = {"available_quantity": chance.randrange(9)}
            is_other = known is None or chance.random() < 0.3
            sources.stock[sku] = _some_stock(chance, sku) if is_other else known.model_copy(update=quantity)
            await sources.hear(StockChanged(skus=[sku]))
        if chance.random() < 0.5:
            await sources.build()
            assert await sources.stands() == await sources.built_whole()
