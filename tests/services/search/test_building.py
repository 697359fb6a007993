"""Marks and documents when things happen at once, twice, late, or not at all. Catalog and inventory are played here."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from msgspec.structs import replace

from deploy import topology
from services.search import tasks as search_tasks
from services.search.errors import CatalogIsBehind
from services.search.repository import documents, marks
from services.search.settings import search_settings
from services.search.use_cases import building, checking, rebuilding
from services.search.use_cases.builder import AT_ONCE, Builder
from shared import clock, jobs
from shared.bus.answering import Surroundings
from shared.bus.envelope import Envelope, service_envelope
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event, Message
from shared.contracts.catalog.events import (
    CategoriesChanged,
    PricesChanged,
    ProductsChanged,
    ShopTermsChanged,
    VariantsRemoved,
)
from shared.contracts.catalog.messages import FindProductsOfSkus, GetOfferParts, ListProductIds, ProductIds, SkuProducts
from shared.contracts.catalog.offers import OfferParts, ProductPart
from shared.contracts.inventory.events import StockChanged, SupplierLinksChanged
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availabilities, Availability
from shared.contracts.search.messages import CheckSearchIndex, RebuildSearchIndex
from shared.errors import Conflict, Unavailable
from shared.identifiers import new_id
from shared.messaging import inbox
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import Batch
from shared.unit_of_work import UnitOfWork
from tests.doors import eventually
from tests.factories.catalog import a_shop
from tests.services.search.test_assembly import a_product, a_variant


class CatalogChokes(Conflict):
    """Played: this product cannot be told."""


class Sources:
    """Catalog and inventory as this test says they are, and search as it really is."""

    def __init__(self, process: topology.Surrounded) -> None:
        self.organization_id = new_id()
        self.products: dict[UUID, ProductPart] = {}
        self.stock: dict[str, Availability] = {}
        self.chokes_on: set[UUID] = set()
        self.is_away = False
        # How often catalog was asked for its products.
        self.listed = 0
        # Of every shop; None: catalog has not heard of it.
        self.shop_version: int | None = 1
        # Awaited between what catalog and inventory said and what is made of it.
        self.pause: Callable[[], Any] | None = None
        self.surroundings = Surroundings(process.database, self.ask, process.relay)
        self.shop: Shop = a_shop(self.organization_id)

    async def ask(self, message: Message[Any], envelope: Envelope) -> Any:
        if self.is_away:
            raise Unavailable("Played: nobody answers.")
        match message:
            case GetOfferParts():
                if self.chokes_on & set(message.product_ids):
                    raise CatalogChokes("Played: no.")
                found = [self.products[id_] for id_ in message.product_ids if id_ in self.products]
                if self.pause is not None:
                    await self.pause()
                return OfferParts(products=found if self.shop_version else [], shop_version=self.shop_version)
            case ListProductIds(after=after, first=first, category_ids=category_ids):
                self.listed += 1
                known = [id_ for id_ in self.products if category_ids is None or self.stands_in(id_, category_ids)]
                ids = sorted(id_ for id_ in known if after is None or id_ > after)
                return ProductIds(ids=ids[:first])
            case GetAvailability():
                nothing = {"available": False, "available_quantity": 0}
                items = [self.stock.get(sku) or Availability(sku=sku, **nothing) for sku in message.skus]
                return Availabilities(items=items, as_of=clock.now())
            case FindProductsOfSkus():
                owners = {v.sku: p.id for p in self.products.values() for v in p.variants}
                return SkuProducts(product_ids={sku: owners[sku] for sku in message.skus if sku in owners})
        raise AssertionError(message)

    def stands_in(self, product_id: UUID, category_ids: Sequence[UUID]) -> bool:
        return any(category.id in category_ids for category in self.products[product_id].categories)

    def has(self, sku: str, *, stock: int = 1, **fields: Any) -> ProductPart:
        product = a_product(a_variant(sku), slug=sku.lower(), **fields)
        self.products[product.id] = product
        self.has_stock(sku, stock)
        return product

    def has_stock(self, sku: str, stock: int) -> None:
        self.stock[sku] = Availability(sku=sku, available=stock > 0, available_quantity=stock)

    def unit(self) -> UnitOfWork:
        return self.surroundings.unit_of_work("search", service_envelope("search", self.organization_id))

    async def inside(self, use_case: Any, *arguments: Any) -> Any:
        uow = self.unit()
        result = await use_case(uow, *arguments)
        await uow.commit()
        return result

    async def hear(self, event: Event) -> None:
        """The listener alone: whoever it would wake stays asleep."""
        listener = topology.named("search")[0].listeners[event.wire_name]
        uow = self.unit()
        uow.when_committed = lambda hook: None  # type: ignore[method-assign]
        await listener.hear([event], uow)
        await uow.commit()

    async def build(self, shop: Shop | None = None) -> None:
        while await building.build_due(self.unit, (shop or self.shop).id):
            pass

    async def change(self, sql: str) -> None:
        uow = self.unit()
        await uow.execute(sql)
        await uow.commit()

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        uow = self.unit()
        try:
            return await uow.fetch(sql, *arguments)
        finally:
            await uow.rollback()

    async def offers(self, shop: Shop | None = None) -> dict[str, Any]:
        """The documents of a shop by slug."""
        rows = await self.rows(
            "SELECT document FROM documents WHERE shop_id = $1 AND NOT is_deleted", (shop or self.shop).id
        )
        found = [orjson.loads(row["document"]) for row in rows]
        return {offer["slug"]: offer for offer in found}

    async def marked(self) -> set[UUID]:
        return {row["product_id"] for row in await self.rows("SELECT product_id FROM marks")}


@pytest.fixture
async def sources(process: topology.Surrounded) -> Sources:
    made = Sources(process)
    await made.hear(ShopChanged(shop=made.shop))
    return made


@pytest.mark.feature("SEA-4")
async def test_events_twice_and_in_any_order_come_to_the_same(sources: Sources, process: topology.Surrounded) -> None:
    product = sources.has("A")
    other = Sources(process)
    other.products, other.stock = sources.products, sources.stock
    events = [ShopChanged(shop=other.shop), ProductsChanged(product_ids=[product.id]), StockChanged(skus=["A"])]
    for event in [*reversed(events), *events]:
        await other.hear(event)
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    await other.build()
    assert _but_for_ids(await other.offers()) == _but_for_ids(await sources.offers()) != {}
    assert await other.marked() == set()


def _but_for_ids(offers: dict[str, Any]) -> dict[str, Any]:
    return {slug: {**offer, "id": None} for slug, offer in offers.items()}


@pytest.mark.feature("SEA-4")
async def test_an_old_shop_does_not_replace_a_newer_one_nor_come_back(sources: Sources) -> None:
    newer = sources.shop.model_copy(update={"code": "renamed", "version": 5})
    await sources.hear(ShopChanged(shop=newer))
    await sources.hear(ShopChanged(shop=sources.shop))
    assert [row["code"] for row in await sources.rows("SELECT code FROM shops")] == ["renamed"]
    await sources.hear(ShopRemoved(shop_id=newer.id))
    await sources.hear(ShopChanged(shop=newer.model_copy(update={"version": 9})))
    assert [row["is_removed"] for row in await sources.rows("SELECT is_removed FROM shops")] == [True]


@pytest.mark.feature("SEA-4", "ACC-3")
async def test_a_shop_that_sells_differently_shows_everything_anew(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    assert await sources.marked() == set()
    await sources.hear(ShopTermsChanged(shop_id=sources.shop.id))
    assert await sources.marked() == {product.id}
    await sources.build()
    await sources.hear(ShopTermsChanged(shop_id=new_id()))
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_what_changes_while_it_is_built_is_built_again(sources: Sources) -> None:
    product = sources.has("A", stock=1)
    await sources.hear(ProductsChanged(product_ids=[product.id]))

    async def stock_changes() -> None:
        sources.pause = None
        await sources.hear(ProductsChanged(product_ids=[product.id]))

    sources.pause = stock_changes
    await building.build_due(sources.unit, sources.shop.id)
    assert await sources.marked() == {product.id}
    sources.has_stock("A", 7)
    await sources.build()
    assert (await sources.offers())["a"]["available_quantity"] == 7
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_a_slow_build_never_replaces_what_a_later_one_found(sources: Sources) -> None:
    product = sources.has("A", title="Old")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    is_asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        is_asked.set()
        await may_go_on.wait()

    sources.pause = wait
    slow = asyncio.create_task(building.build_due(sources.unit, sources.shop.id))
    await is_asked.wait()
    sources.pause = None
    sources.products[product.id] = replace(product, title="New")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    may_go_on.set()
    await slow
    await sources.build()
    assert (await sources.offers())["a"]["title"] == "New"


@pytest.mark.feature("SEA-4")
async def test_two_builders_of_one_shop_give_each_change_one_place(sources: Sources) -> None:
    products = [sources.has(f"P{n}") for n in range(30)]
    await sources.hear(ProductsChanged(product_ids=[product.id for product in products]))
    await asyncio.gather(*(sources.build() for _ in range(4)))
    rows = await sources.rows("SELECT number, sequence FROM documents WHERE NOT is_deleted")
    assert len({row["number"] for row in rows}) == len({row["sequence"] for row in rows}) == 30
    index = (await sources.rows("SELECT sequence, last_number, offers FROM indexes"))[0]
    assert tuple(index.values()) == (30, 30, 30)


@pytest.mark.feature("SEA-4")
async def test_one_product_that_fails_holds_up_none_and_is_tried_again(sources: Sources) -> None:
    products = [sources.has(f"P{n}") for n in range(9)]
    sources.chokes_on = {products[4].id}
    await sources.hear(ProductsChanged(product_ids=[product.id for product in products]))
    before = clock.now()
    await sources.build()
    assert len(await sources.offers()) == 8
    failed = await sources.rows("SELECT product_id, failures, last_error, due_at FROM marks")
    assert [(row["product_id"], row["failures"]) for row in failed] == [(products[4].id, 1)]
    assert failed[0]["last_error"] == "catalog_chokes: Played: no."
    assert failed[0]["due_at"] > before + timedelta(seconds=1)
    sources.chokes_on = set()
    await sources.hear(PricesChanged(product_ids=[products[4].id]))
    await sources.build()
    assert len(await sources.offers()) == 9


@pytest.mark.feature("SEA-4")
async def test_while_nobody_answers_marks_wait(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    sources.is_away = True
    with pytest.raises(Unavailable):
        await sources.build()
    assert [row["failures"] for row in await sources.rows("SELECT failures FROM marks")] == [0]
    sources.is_away = False
    await sources.build()
    assert list(await sources.offers()) == ["a"]


@pytest.mark.feature("SEA-4", "ACC-3")
async def test_what_catalog_does_not_know_of_a_shop_yet_is_waited_for(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    for known, heard in ((None, 1), (1, 2)):
        await sources.hear(ShopChanged(shop=sources.shop.model_copy(update={"version": heard})))
        sources.shop_version = known
        with pytest.raises(CatalogIsBehind):
            await sources.build()
        assert await sources.marked() == {product.id}
        assert len(await sources.rows("SELECT FROM products")) == 1
        sources.shop_version = heard
        await sources.build()
        assert list(await sources.offers()) == ["a"]
        assert await sources.marked() == set()


@pytest.mark.feature("SEA-2", "SEA-4")
async def test_every_offer_has_a_number_of_its_own_that_stays(sources: Sources) -> None:
    """Also those that were no offers when they were first heard of, as products are whose stock comes later."""
    products = [sources.has(f"P{n}", stock=0) for n in range(3)]
    await sources.hear(ProductsChanged(product_ids=[product.id for product in products]))
    await sources.build()
    assert await sources.offers() == {}
    for n in range(3):
        sources.has_stock(f"P{n}", 5)
    await sources.hear(StockChanged(skus=["P0", "P1", "P2"]))
    await sources.build()
    read = "SELECT slug, number FROM documents WHERE NOT is_deleted"
    numbers = {row["slug"]: row["number"] for row in await sources.rows(read)}
    assert len(set(numbers.values()) - {0}) == 3
    sources.has_stock("P1", 0)
    await sources.hear(StockChanged(skus=["P1"]))
    await sources.build()
    sources.has_stock("P1", 7)
    await sources.hear(StockChanged(skus=["P1"]))
    await sources.build()
    assert {row["slug"]: row["number"] for row in await sources.rows(read)} == numbers


@pytest.mark.feature("SEA-4")
async def test_a_lost_wake_up_is_found_by_the_clock(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.change("UPDATE marks SET due_at = now() - interval '5 seconds'")
    look = topology.named("search")[0].tasks["every.build_what_was_left_behind"].function
    uow = sources.surroundings.unit_of_work("search", service_envelope("search", None), across_tenants=True)
    await look({}, uow)
    await uow.rollback()

    async def built() -> bool:
        return list(await sources.offers()) == ["a"]

    await eventually(built)
    await sources.surroundings.close()


@pytest.mark.feature("SEA-4")
async def test_a_woken_builder_builds_what_was_marked_meanwhile(sources: Sources) -> None:
    builder = sources.surroundings.resident(Builder)
    for n in range(20):
        product = sources.has(f"P{n}")
        await sources.hear(ProductsChanged(product_ids=[product.id]))
        builder.wake(sources.organization_id, sources.shop.id)

    async def all_built() -> bool:
        return len(await sources.offers()) == 20 and not await sources.marked()

    await eventually(all_built)
    await sources.surroundings.close()


@pytest.fixture
def load_of_fifty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_settings(), "bulk_load", 50)


async def _build_as_the_builder(sources: Sources) -> set[str]:
    while await building.build_due(sources.unit, sources.shop.id, leaves_loads=True):
        pass
    return set(await sources.offers())


@pytest.mark.feature("SEA-4", "CAT-5")
@pytest.mark.usefixtures("load_of_fifty")
async def test_a_load_waits_for_more_of_it_while_single_changes_are_built(sources: Sources) -> None:
    """While a file is imported its products are not built beside it, and again when their stock follows."""
    await sources.hear(ProductsChanged(product_ids=[sources.has(f"P{n}").id for n in range(101)]))
    await sources.hear(ProductsChanged(product_ids=[sources.has("ONE").id]))
    assert await _build_as_the_builder(sources) == {"one"}
    # The oldest has waited, but more came a moment ago.
    oldest = "(SELECT version FROM marks ORDER BY version LIMIT 1)"
    wait = f"UPDATE marks SET due_at = now() - interval '{{}} seconds' WHERE version = {oldest}"
    await sources.change(wait.format(110))
    assert await _build_as_the_builder(sources) == {"one"}
    await sources.change(wait.format(130))
    assert len(await _build_as_the_builder(sources)) == 102


@pytest.mark.feature("SEA-4")
@pytest.mark.usefixtures("load_of_fifty")
async def test_a_load_is_built_once_no_more_of_it_came_for_a_moment(sources: Sources) -> None:
    await sources.hear(ProductsChanged(product_ids=[sources.has(f"P{n}").id for n in range(101)]))
    await sources.change("UPDATE marks SET due_at = now() - interval '2 seconds'")
    assert len(await _build_as_the_builder(sources)) == 101


@pytest.mark.feature("SEA-4")
async def test_changes_by_the_hundred_are_built_at_once(sources: Sources) -> None:
    await sources.hear(ProductsChanged(product_ids=[sources.has(f"P{n}").id for n in range(101)]))
    assert len(await _build_as_the_builder(sources)) == 101


@pytest.mark.feature("SEA-4")
async def test_a_shop_that_rests_keeps_no_other_from_being_built(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_settings(), "build_pause_seconds", 3600.0)
    several = [sources.shop, *(a_shop(sources.organization_id) for _ in range(AT_ONCE))]
    for shop in several[1:]:
        await sources.hear(ShopChanged(shop=shop))
    await sources.hear(ProductsChanged(product_ids=[sources.has("A").id]))
    for shop in several:
        sources.surroundings.resident(Builder).wake(sources.organization_id, shop.id)

    async def all_built() -> bool:
        return all([await sources.offers(shop) for shop in several])

    await eventually(all_built)
    await sources.surroundings.close()


@pytest.mark.feature("SEA-4")
async def test_unchanged_is_not_written_again_and_gone_is_a_row_for_readers(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    await sources.hear(CategoriesChanged(category_ids=[new_id()]))
    await sources.build()
    first = await sources.inside(documents.follow, sources.shop.id, 0, 10)
    assert (len(first.rows), first.sequence) == (1, 1)
    del sources.products[product.id]
    await sources.hear(VariantsRemoved(skus=["A"]))
    await sources.build()
    then = await sources.inside(documents.follow, sources.shop.id, first.sequence, 10)
    assert [(offer.product_id, offer.fields) for offer in then.rows] == [(product.id.hex, None)]
    assert await sources.rows("SELECT FROM skus") == []
    assert await sources.rows("SELECT FROM products") == []
    assert (await sources.rows("SELECT offers FROM indexes"))[0]["offers"] == 0


@pytest.mark.feature("SEA-4")
async def test_stock_of_a_sku_that_is_not_known_here_yet_is_looked_up(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(StockChanged(skus=["A", "NOBODY-S"]))
    assert await sources.marked() == set()
    tasks = await sources.rows("SELECT kind, payload FROM tasks")
    assert [task["kind"] for task in tasks] == ["mark_products_of_skus"]
    perform = topology.named("search")[0].tasks["mark_products_of_skus"].function
    uow = sources.unit()
    uow.when_committed = lambda hook: None  # type: ignore[method-assign]
    await perform(orjson.loads(tasks[0]["payload"]), uow)
    await uow.commit()
    assert await sources.marked() == {product.id}


async def _perform(sources: Sources, kind: str) -> int:
    """All tasks of a kind, and those they leave. Returns how many there were."""
    done = 0
    while tasks := await sources.rows("SELECT id, payload FROM tasks WHERE kind = $1", kind):
        for task in tasks:
            uow = sources.unit()
            uow.when_committed = lambda hook: None  # type: ignore[method-assign]
            await topology.named("search")[0].tasks[kind].function(orjson.loads(task["payload"]), uow)
            await uow.execute("DELETE FROM tasks WHERE id = $1", task["id"])
            await uow.commit()
            done += 1
    return done


@pytest.mark.feature("SEA-4")
@pytest.mark.parametrize("page", [2, 3, 1000])
async def test_changed_categories_concern_the_products_in_them(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(search_tasks, "_PAGE", page)
    inside = [sources.has(f"IN{n}") for n in range(6)]
    outside = sources.has("OUT")
    changed, other = new_id(), new_id()
    for product in (*inside, outside):
        category = replace(product.categories[0], id=other if product is outside else changed)
        sources.products[product.id] = replace(product, categories=[category])
    await sources.hear(ProductsChanged(product_ids=list(sources.products)))
    await sources.build()
    await sources.hear(CategoriesChanged(category_ids=[changed, new_id()], is_confined=True))
    assert await sources.marked() == set()
    assert await _perform(sources, "mark_products_of_categories") == 6 // page + 1
    assert await sources.marked() == {product.id for product in inside}
    await sources.build()
    await sources.hear(CategoriesChanged(category_ids=[changed]))
    assert await sources.marked() == set(sources.products)


@pytest.mark.feature("SEA-4")
async def test_a_sku_that_moves_has_its_new_product_built_once_more(sources: Sources) -> None:
    first, second = sources.has("A"), sources.has("B")
    await sources.hear(ProductsChanged(product_ids=[first.id, second.id]))
    await sources.build()
    sources.products[first.id] = replace(first, variants=[])
    sources.products[second.id] = replace(second, variants=[*second.variants, *first.variants])
    await sources.hear(ProductsChanged(product_ids=[first.id, second.id]))
    await building.build_due(sources.unit, sources.shop.id)
    assert await sources.marked() == {second.id}
    await sources.build()
    assert {variant["sku"] for variant in (await sources.offers())["b"]["variants"]} == {"A", "B"}


@pytest.mark.feature("SEA-4")
async def test_prices_of_a_shop_concern_it_and_those_below(sources: Sources) -> None:
    below = a_shop(sources.organization_id, code="below", parent_id=sources.shop.id)
    beside = a_shop(sources.organization_id, code="beside")
    for shop in (below, beside):
        await sources.hear(ShopChanged(shop=shop))
    await sources.hear(PricesChanged(product_ids=[new_id()], shop_id=sources.shop.id))
    marked = {row["shop_id"] for row in await sources.rows("SELECT shop_id FROM marks")}
    assert marked == {sources.shop.id, below.id}


@pytest.mark.feature("SEA-1", "SEA-4")
async def test_a_date_builds_its_offer_when_it_comes(sources: Sources) -> None:
    product = sources.has("A")
    tomorrow = clock.now().date() + timedelta(days=1)
    sources.stock["A"] = sources.stock["A"].model_copy(update={"available_from": tomorrow})
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    assert await sources.offers() == {}
    assert await sources.marked() == {product.id}
    uow = sources.unit()
    await uow.execute("UPDATE marks SET due_at = now()")
    await uow.commit()
    with clock.replaced(lambda: datetime.now(UTC) + timedelta(days=1)):
        await sources.build()
    assert list(await sources.offers()) == ["a"]
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
@pytest.mark.parametrize("first", ["ProductsChanged", "StockChanged"])
async def test_how_old_a_change_is_counts_from_its_write(sources: Sources, first: str) -> None:
    """Also where it lay on a queue for long, and where whose a SKU is had to be asked first."""
    product = sources.has("A")
    event = ProductsChanged(product_ids=[product.id]) if first == "ProductsChanged" else StockChanged(skus=["A"])
    written = clock.now() - timedelta(seconds=90)
    sent = SentEvent(new_id(), event.wire_name, event.model_dump_json().encode(), written.timestamp())
    batch = Batch("test", sources.organization_id, clock.now().timestamp(), [sent])
    await inbox.receive(topology.named("search")[0], sources.surroundings, batch)
    if first == "StockChanged":
        (task,) = await sources.rows("SELECT payload FROM tasks WHERE kind = 'mark_products_of_skus'")
        payload = orjson.loads(task["payload"])
        await sources.inside(lambda uow: search_tasks.mark_products_of_skus(payload, uow))
    await sources.build()
    (row,) = await sources.rows("SELECT changed_at FROM documents")
    assert abs(row["changed_at"] - written) < timedelta(milliseconds=1)


@pytest.mark.feature("SEA-4")
async def test_what_a_date_changes_is_as_old_as_that_moment(sources: Sources) -> None:
    product = sources.has("A")
    tomorrow = clock.now().date() + timedelta(days=1)
    sources.stock["A"] = sources.stock["A"].model_copy(update={"available_from": tomorrow})
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    (mark,) = await sources.rows("SELECT marked_at, due_at FROM marks")
    assert mark["marked_at"] == mark["due_at"]


@pytest.mark.feature("SEA-4")
async def test_single_changes_are_built_before_bulk_work(sources: Sources) -> None:
    bulk = [new_id() for _ in range(150)]
    single = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=bulk))
    await sources.hear(ProductsChanged(product_ids=[single.id]))
    due = await sources.inside(marks.list_due, sources.shop.id, 1)
    assert [mark.id for mark in due] == [single.id]


@pytest.mark.feature("SEA-4")
async def test_who_marks_waits_for_nobody(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    listening = [sources.unit() for _ in range(3)]
    for uow in listening:
        await uow.execute("SET LOCAL lock_timeout = 1")
        await marks.leave(uow, [product.id])
    building_now = sources.unit()
    await building_now.execute("SET LOCAL lock_timeout = 1")
    version = await marks.next_version(building_now)
    await marks.settle(building_now, sources.shop.id, [product.id], version)
    for uow in listening:
        await uow.commit()
    await building_now.commit()
    # Left before the build began, though committed after: the build knew, and building once more does no harm.
    assert await sources.marked() == {product.id}
    await sources.build()
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_what_waits_does_not_pile_up_and_nothing_of_it_is_lost(sources: Sources) -> None:
    hot, calm = sources.has("A"), sources.has("B")
    await sources.hear(ProductsChanged(product_ids=[hot.id, *(new_id() for _ in range(150))]))
    first = await sources.rows("SELECT marked_at FROM marks WHERE product_id = $1", hot.id)
    for _ in range(30):
        await sources.hear(StockChanged(skus=["A"]))
        await sources.hear(PricesChanged(product_ids=[hot.id]))
    await sources.hear(PricesChanged(product_ids=[calm.id]))
    await _merge(sources)
    rows = await sources.rows("SELECT product_id, version, marked_at, is_bulk FROM marks WHERE product_id = $1", hot.id)
    assert [(row["is_bulk"], row["marked_at"]) for row in rows] == [(False, first[0]["marked_at"])]
    newest = await sources.rows("SELECT max(version) AS version FROM marks WHERE product_id <> $1", calm.id)
    assert rows[0]["version"] == newest[0]["version"]
    await sources.build()
    assert set(await sources.offers()) == {"a", "b"}
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_bulk_work_is_merged_once_it_has_waited_for_long(sources: Sources) -> None:
    many = [sources.has(f"P{n}").id for n in range(101)]
    for _ in range(2):
        await sources.hear(ProductsChanged(product_ids=many))
    await _merge(sources)
    assert len(await sources.rows("SELECT FROM marks")) == 202
    await sources.change("UPDATE marks SET due_at = now() - interval '11 minutes'")
    await _merge(sources)
    assert len(await sources.rows("SELECT FROM marks")) == 101


@pytest.mark.feature("SEA-4")
async def test_merging_beside_a_build_keeps_what_that_does_not_cover(sources: Sources) -> None:
    product = sources.has("A", stock=1)
    await sources.hear(ProductsChanged(product_ids=[product.id]))

    async def changes_and_merges() -> None:
        sources.pause = None
        await sources.hear(ProductsChanged(product_ids=[product.id]))
        await _merge(sources)

    sources.pause = changes_and_merges
    await building.build_due(sources.unit, sources.shop.id)
    assert await sources.marked() == {product.id}
    sources.has_stock("A", 7)
    await sources.build()
    assert (await sources.offers())["a"]["available_quantity"] == 7


@pytest.mark.feature("SEA-4")
async def test_merging_passes_over_what_a_build_is_taking_away(sources: Sources) -> None:
    product = sources.has("A")
    for _ in range(3):
        await sources.hear(ProductsChanged(product_ids=[product.id]))
    taking = sources.unit()
    await marks.settle(taking, sources.shop.id, [product.id], await marks.next_version(taking))
    await _merge(sources)
    await taking.rollback()
    assert len(await sources.rows("SELECT FROM marks")) == 3
    await _merge(sources)
    assert len(await sources.rows("SELECT FROM marks")) == 1


@pytest.mark.feature("SEA-4")
async def test_a_product_that_keeps_failing_has_one_mark_and_waits_longer_each_time(sources: Sources) -> None:
    product = sources.has("A")
    sources.chokes_on = {product.id}
    for failures in (1, 2, 3):
        for _ in range(2):
            await sources.hear(ProductsChanged(product_ids=[product.id]))
        before = clock.now()
        await sources.build()
        (mark,) = await sources.rows("SELECT failures, due_at FROM marks")
        assert mark["failures"] == failures
        assert mark["due_at"] > before + timedelta(seconds=2**failures - 1)
    sources.chokes_on = set()
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    await sources.build()
    assert list(await sources.offers()) == ["a"]
    assert await sources.marked() == set()


@pytest.mark.feature("SEA-4")
async def test_a_builder_that_dies_before_it_writes_leaves_the_marks(sources: Sources) -> None:
    product = sources.has("A")
    await sources.hear(ProductsChanged(product_ids=[product.id]))
    asked = asyncio.Event()

    async def hangs() -> None:
        asked.set()
        await asyncio.Event().wait()

    sources.pause = hangs
    dying = asyncio.create_task(building.build_due(sources.unit, sources.shop.id))
    await asked.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await sources.marked() == {product.id}
    sources.pause = None
    await sources.build()
    assert list(await sources.offers()) == ["a"]


async def _merge(sources: Sources) -> None:
    """What the clock does each minute, for all tenants."""
    uow = sources.surroundings.unit_of_work("search", service_envelope("search", None), across_tenants=True)
    await topology.named("search")[0].tasks["every.merge_what_nobody_builds"].function({}, uow)
    await uow.commit()


@pytest.mark.feature("SYN-13")
async def test_whatever_products_are_found_by_marks_them_for_operators(sources: Sources) -> None:
    product, other = sources.has("A"), sources.has("B")
    heard: list[tuple[Event, set[UUID]]] = [
        (ProductsChanged(product_ids=[product.id, other.id]), {product.id, other.id}),
        (PricesChanged(product_ids=[product.id], shop_id=new_id()), {product.id}),
        # Whose a SKU is, is known once an offer of it was built.
        (StockChanged(skus=["A", "NOBODY-S"]), {product.id}),
        # How much there is of it they do not find it by: only what came, went or ran low is marked.
        (StockChanged(skus=["A", "B", "NOBODY-S"], crossed=["B", "NOBODY-S"]), {other.id}),
        (StockChanged(skus=["A", "B"], crossed=[]), set()),
        (CategoriesChanged(category_ids=[new_id()], is_confined=True), set()),
    ]
    await sources.hear(ProductsChanged(product_ids=[product.id, other.id]))
    await sources.build()
    for event, marked in heard:
        await sources.change("DELETE FROM operator_marks")
        await sources.hear(event)
        rows = await sources.rows("SELECT kind, id FROM operator_marks")
        assert {(row["kind"], row["id"]) for row in rows} == {("product", id_) for id_ in marked}, event
    # A SKU that was never seen is looked up: in an organization without shops, all are.
    await sources.change("DELETE FROM operator_marks")
    await sources.change("DELETE FROM skus")
    await sources.inside(
        lambda uow: topology.named("search")[0].tasks["mark_products_of_skus"].function({"skus": ["B"]}, uow)
    )
    assert [row["id"] for row in await sources.rows("SELECT id FROM operator_marks")] == [other.id]
    # So are those of which a supplier costs something else now; offers have nothing of that.
    await sources.change("DELETE FROM operator_marks")
    await sources.change("DELETE FROM marks")
    await sources.hear(SupplierLinksChanged(skus=["B"]))
    (task,) = await sources.rows("SELECT payload FROM tasks WHERE payload ->> 'for_operators' = 'true'")
    await sources.inside(
        lambda uow: (
            topology.named("search")[0].tasks["mark_products_of_skus"].function(orjson.loads(task["payload"]), uow)
        )
    )
    assert [row["id"] for row in await sources.rows("SELECT id FROM operator_marks")] == [other.id]
    assert await sources.rows("SELECT FROM marks") == []


@pytest.mark.feature("SEA-4")
async def test_an_earlier_build_never_says_whose_a_sku_is_after_a_later_one(sources: Sources) -> None:
    first, second = sources.has("A"), sources.has("B")
    both = dict.fromkeys([first.id, second.id], clock.now())
    earlier = await building.take_version(sources.unit)
    known_earlier = await building.gather(sources.unit, sources.shop.id, both)
    sources.products[first.id] = replace(first, variants=[])
    sources.products[second.id] = replace(second, variants=[*second.variants, *first.variants])
    later = await building.take_version(sources.unit)
    known_later = await building.gather(sources.unit, sources.shop.id, both)
    await sources.inside(building.write, sources.shop.id, known_later, later)
    for _ in range(2):
        await sources.inside(building.write, sources.shop.id, known_earlier, earlier)
        owners = {row["sku"]: row["product_id"] for row in await sources.rows("SELECT sku, product_id FROM skus")}
        assert owners == {"A": second.id, "B": second.id}
    await sources.hear(StockChanged(skus=["A"]))
    assert await sources.marked() == {second.id}


async def _run(sources: Sources, job_id: UUID) -> Any:
    runner = jobs.JobRunner(topology.named("search")[0], sources.surroundings)
    runner.start(sources.organization_id, job_id)
    await asyncio.gather(*runner._running.values())
    return await sources.inside(jobs.get, job_id)


@pytest.mark.feature("SEA-5")
async def test_a_rebuild_mends_removes_and_names_what_failed(sources: Sources) -> None:
    products = [sources.has(f"P{n}") for n in range(6)]
    await sources.hear(ProductsChanged(product_ids=[product.id for product in products]))
    await sources.build()
    # Without an event: one is gone, one has changed, one is new, one cannot be told.
    del sources.products[products[0].id]
    sources.products[products[1].id] = replace(products[1], title="Mended")
    sources.has("NEW")
    sources.chokes_on = {products[2].id}
    asked = await sources.inside(rebuilding.request, RebuildSearchIndex(shop="main"))
    assert (await sources.inside(rebuilding.request, RebuildSearchIndex(shop="main"))).id == asked.id
    job = await _run(sources, asked.id)
    assert job.state == "succeeded"
    # Built: three as they were, the mended, the new, the gone; the one that failed is named, and its offer stays.
    assert job.counters == {"built": 6, "changed": 3, "failed": 1}
    assert job.log == [f"{products[2].id}: catalog_chokes: Played: no."]
    offers = await sources.offers()
    assert sorted(offers) == ["new", "p1", "p2", "p3", "p4", "p5"]
    assert offers["p1"]["title"] == "Mended"
    index = (await sources.rows("SELECT generation, offers, rebuilt_at FROM indexes"))[0]
    assert (index["generation"], index["offers"]) == (2, 6)
    assert index["rebuilt_at"] is not None


@pytest.mark.feature("SEA-7")
async def test_a_check_names_what_cannot_be_built_and_lists_catalog_once(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SETTLES_SECONDS", 0.01)
    products = [sources.has(f"P{n}") for n in range(20)]
    await sources.hear(ProductsChanged(product_ids=[product.id for product in products]))
    await sources.build()
    sources.products[products[1].id] = replace(products[1], title="Mended")
    sources.chokes_on = {products[2].id}
    asked = await sources.inside(checking.request, CheckSearchIndex(shop="main", repair=True))
    sources.listed = 0
    job = await _run(sources, asked.id)
    assert (job.state, job.counters) == ("succeeded", {"outdated": 1, "failed": 1, "checked": 20, "marked": 1})
    assert f"{sources.shop.id} {products[2].id}: catalog_chokes: Played: no." in job.log
    # Page by page for what there is, and page by page for what has a document: not for each document.
    assert sources.listed <= 4


@pytest.mark.feature("SEA-5")
async def test_a_rebuild_that_is_killed_goes_on_where_it_was(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 2)
    for n in range(6):
        sources.has(f"P{n}")
    job = await sources.inside(rebuilding.request, RebuildSearchIndex(shop="main"))
    runner = jobs.JobRunner(topology.named("search")[0], sources.surroundings)

    async def dies_after_the_first_batch() -> None:
        if (await sources.rows("SELECT count(*) FROM documents"))[0]["count"] >= 2:
            sources.pause = None
            await asyncio.sleep(3600)

    sources.pause = dies_after_the_first_batch
    runner.start(sources.organization_id, job.id)

    async def hangs() -> bool:
        return sources.pause is None

    await eventually(hangs)
    await runner.stop()
    await sources.inside(_end_lease)
    finished = await _run(sources, job.id)
    assert (finished.state, finished.counters["built"], finished.progress.done) == ("succeeded", 6, 6)
    assert len(await sources.offers()) == 6


async def _end_lease(uow: UnitOfWork) -> None:
    await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
