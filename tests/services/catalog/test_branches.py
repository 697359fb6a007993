"""What a change of the tree concerns: its branch alone, or more where a shop stops inheriting, or inherits again."""

import asyncio
from uuid import UUID

import pytest

from deploy import topology
from shared.contracts.catalog.categories import Category, CategoryChange, CategoryDraft
from shared.contracts.catalog.channel_content import ChangeChannelContent, ChannelContentChange
from shared.contracts.catalog.messages import (
    AssignCategory,
    CreateCategory,
    CreateProduct,
    ListProductIds,
    UnassignCategory,
    UpdateCategory,
)
from shared.contracts.catalog.shapes import Product, ProductDraft
from shared.identifiers import new_id
from tests.factories.catalog import Catalog

pytestmark = pytest.mark.feature("CAT-2", "SEA-4")


@pytest.fixture
def catalog(process: topology.Surrounded) -> Catalog:
    return Catalog(process)


async def _category(catalog: Catalog, name: str, parent: Category | None = None, *shops: str) -> Category:
    draft = CategoryDraft(name=name, parent_id=parent and parent.id, shops=list(shops))
    return await catalog.ask(CreateCategory(draft=draft))


async def _product(catalog: Catalog, title: str, *categories: Category) -> Product:
    draft = ProductDraft(title=title, category_ids=[category.id for category in categories])
    return await catalog.ask(CreateProduct(draft=draft))


async def _listed(catalog: Catalog, *category_ids: UUID, first: int = 1000) -> list[UUID]:
    found: list[UUID] = []
    while page := await catalog.ask(
        ListProductIds(category_ids=list(category_ids), after=found[-1] if found else None, first=first),
        as_service="search",
    ):
        if not page.ids:
            return found
        assert len(page.ids) <= first
        found += page.ids
    return found


@pytest.mark.parametrize("first", [1, 2, 1000])
async def test_products_of_a_branch_are_listed_once_in_pages(catalog: Catalog, first: int) -> None:
    top = await _category(catalog, "Clothing")
    middle = await _category(catalog, "Knitwear", top)
    bottom = await _category(catalog, "Scarves", middle)
    beside = await _category(catalog, "Kitchen")
    in_two = await _product(catalog, "In two", top, bottom)
    below = await _product(catalog, "Below", bottom)
    outside = await _product(catalog, "Outside", beside)
    await _product(catalog, "Nowhere")
    assert await _listed(catalog, top.id, first=first) == sorted([in_two.id, below.id])
    assert await _listed(catalog, bottom.id, beside.id, first=first) == sorted([in_two.id, below.id, outside.id])
    assert await _listed(catalog, new_id(), first=first) == []
    assert await _listed(catalog, first=first) == []


@pytest.mark.feature("CAT-4")
async def test_what_stands_in_a_branch_in_a_shop_alone_is_listed_too(catalog: Catalog) -> None:
    await catalog.open_shop()
    top = await _category(catalog, "Clothing")
    bottom = await _category(catalog, "Scarves", top)
    product = await _product(catalog, "Scarf", await _category(catalog, "Kitchen"))
    change = ChannelContentChange(category_ids=[bottom.id])
    await catalog.ask(ChangeChannelContent(product_id=product.id, shop="main", change=change))
    also_there = await _product(catalog, "Shawl", top)
    assert await _listed(catalog, top.id, first=1) == sorted([product.id, also_there.id])


async def test_another_tenants_branch_is_empty(catalog: Catalog, process: topology.Surrounded) -> None:
    top = await _category(catalog, "Clothing")
    await _product(catalog, "Scarf", top)
    assert await _listed(Catalog(process), top.id) == []


async def test_a_change_of_a_category_concerns_its_branch(catalog: Catalog) -> None:
    await catalog.open_shop()
    top = await _category(catalog, "Clothing", None, "main")
    await catalog.ask(UpdateCategory(category_id=top.id, change=CategoryChange(name="Clothes")))
    await catalog.ask(UnassignCategory(category_id=top.id, shops=["main"]))
    await catalog.ask(AssignCategory(category_id=top.id, shops=["main"]))
    events = await catalog.events("categories_changed")
    assert [(event["category_ids"], event["is_confined"]) for event in events] == [([str(top.id)], True)] * 4


async def test_a_sub_shops_first_and_last_assignment_concern_everything(catalog: Catalog) -> None:
    main = await catalog.open_shop()
    await catalog.open_shop(code="sub", parent_id=main.id)
    one = await _category(catalog, "One", None, "main")
    two = await _category(catalog, "Two", None, "sub")
    await catalog.ask(AssignCategory(category_id=one.id, shops=["sub"]))
    await catalog.ask(UnassignCategory(category_id=two.id, shops=["sub"]))
    await catalog.ask(UnassignCategory(category_id=one.id, shops=["main", "sub"]))
    events = await catalog.events("categories_changed")
    assert [event["is_confined"] for event in events] == [True, False, True, True, False]


async def test_of_the_last_two_that_go_at_once_one_is_the_last(catalog: Catalog) -> None:
    main = await catalog.open_shop()
    await catalog.open_shop(code="sub", parent_id=main.id)
    own = [await _category(catalog, name, None, "sub") for name in ("One", "Two")]
    before = len(await catalog.events("categories_changed"))
    await asyncio.gather(*(catalog.ask(UnassignCategory(category_id=each.id, shops=["sub"])) for each in own))
    events = (await catalog.events("categories_changed"))[before:]
    assert sorted(event["is_confined"] for event in events) == [False, True]
