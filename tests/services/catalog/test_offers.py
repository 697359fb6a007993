"""What a shop shows and what lines cost in it: inheritance, dates, quantities, assignment."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared import clock
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.categories import CategoryChange, CategoryDraft
from shared.contracts.catalog.messages import (
    AssignCategory,
    CreateCategory,
    CreatePriceList,
    CreateProduct,
    FindProductsOfSkus,
    GetOfferParts,
    ListCategories,
    ListPriceLists,
    ListProductIds,
    ListProducts,
    PriceLine,
    PriceLines,
    PublishProduct,
    SetPrices,
    SetProductText,
    UnassignCategory,
    UpdateCategory,
)
from shared.contracts.catalog.offers import LinePrice, ProductPart
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import ProductDraft, ProductText, VariantDraft
from shared.errors import CrossdockError
from shared.money import Money
from tests.factories.catalog import Catalog, a_shop, csv_file, shopify_row


async def parts(catalog: Catalog, shop_id: UUID) -> list[ProductPart]:
    ids = (await catalog.ask(ListProductIds(), as_service="search")).ids
    return (await catalog.ask(GetOfferParts(shop_id=shop_id, product_ids=ids), as_service="search")).products


async def line(catalog: Catalog, shop_id: UUID, sku: str, quantity: int = 1) -> LinePrice:
    asked = PriceLines(shop_id=shop_id, lines=[PriceLine(sku=sku, quantity=quantity)])
    return (await catalog.ask(asked, as_service="orders")).lines[0]


async def price(catalog: Catalog, shop_id: UUID, sku: str, quantity: int = 1) -> int | None:
    found = await line(catalog, shop_id, sku, quantity)
    return None if found.unit_price is None else found.unit_price.amount


async def list_of(catalog: Catalog, shop: str, **fields: Any) -> UUID:
    return (await catalog.ask(CreatePriceList(draft=PriceListDraft(shop=shop, name="L", **fields)))).id


async def set_price(catalog: Catalog, list_id: UUID, sku: str, amount: int, currency: str = "USD", **more: Any) -> None:
    draft = PriceDraft(sku=sku, price=Money(amount=amount, currency=currency), **more)
    await catalog.ask(SetPrices(price_list_id=list_id, prices=[draft]))


@pytest.mark.feature("ACC-3", "CAT-3")
async def test_a_sub_shop_sells_by_its_own_prices_first_and_then_by_its_parents(catalog: Catalog) -> None:
    parent = await catalog.open_shop(code="parent")
    child = await catalog.open_shop(code="child", parent_id=parent.id)
    strict = await catalog.open_shop(code="strict", parent_id=parent.id, strict_pricing=True)
    euro = await catalog.open_shop(code="euro", parent_id=parent.id, currency="EUR")
    grandchild = await catalog.open_shop(code="grandchild", parent_id=child.id)
    rows = [shopify_row("a", price="10.00"), shopify_row("b", price="20.00")]
    await catalog.bring_in(csv_file(rows), shop="parent")
    await set_price(catalog, await list_of(catalog, "child"), "A", 900)

    asked = {
        s.code: [await price(catalog, s.id, sku) for sku in "AB"] for s in (parent, child, strict, euro, grandchild)
    }

    assert asked == {
        "parent": [1000, 2000],
        "child": [900, 2000],
        "strict": [None, None],
        "euro": [None, None],
        "grandchild": [900, 2000],
    }
    assert (await line(catalog, euro.id, "A")).reason == "no_price"
    shown = {part.slug: part.variants[0].tiers for part in await parts(catalog, child.id)}
    assert [tier.price.amount for tier in shown["a"] + shown["b"]] == [900, 2000]
    assert all(not part.variants[0].tiers and part.is_assigned for part in await parts(catalog, euro.id))


@pytest.mark.feature("CAT-3")
async def test_a_list_with_dates_comes_before_the_standard_list_while_it_lasts(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", price="10.00"), shopify_row("b", price="20.00")]))
    shop = (await shop_catalog.rows("SELECT id FROM shops"))[0]["id"]
    now = clock.now()
    dates = {"starts_at": now + timedelta(hours=1), "ends_at": now + timedelta(hours=2)}
    sale = await list_of(shop_catalog, "main", **dates)
    await set_price(shop_catalog, sale, "A", 700)
    friends = await list_of(shop_catalog, "main", customer_group="friends")
    await set_price(shop_catalog, friends, "A", 100)
    seen = []
    for hours in (0, 1.5, 2):
        with clock.replaced(lambda hours=hours: now + timedelta(hours=hours)):
            seen.append([await price(shop_catalog, shop, sku) for sku in "AB"])
    assert seen == [[1000, 2000], [700, 2000], [1000, 2000]]
    due = await shop_catalog.rows("SELECT due_at FROM tasks WHERE kind = 'price_list_turns' ORDER BY due_at")
    assert [row["due_at"] for row in due] == [dates["starts_at"], dates["ends_at"]]


@pytest.mark.feature("CAT-3")
async def test_prices_that_begin_or_end_to_apply_are_announced(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b")]))
    sale = await list_of(shop_catalog, "main", starts_at=clock.now() + timedelta(hours=1))
    await set_price(shop_catalog, sale, "A", 700)
    before = len(await shop_catalog.events("prices_changed"))
    payload = (await shop_catalog.rows("SELECT payload FROM tasks WHERE kind = 'price_list_turns'"))[0]["payload"]
    await shop_catalog.perform("price_list_turns", orjson.loads(payload))
    announced = (await shop_catalog.events("prices_changed"))[before:]
    product = (await shop_catalog.ask(ListProducts(slug="a"))).items[0]
    assert [event["product_ids"] for event in announced] == [[str(product.id)]]


@pytest.mark.feature("CAT-3")
async def test_a_price_holds_from_its_quantity_on(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", price="10.00")]))
    shop = (await shop_catalog.rows("SELECT id FROM shops"))[0]["id"]
    standard = (await shop_catalog.ask(ListPriceLists())).items[0].id
    await set_price(shop_catalog, standard, "A", 800, minimum_quantity=10)
    assert [await price(shop_catalog, shop, "A", n) for n in (1, 9, 10, 500)] == [1000, 1000, 800, 800]
    tiers = (await parts(shop_catalog, shop))[0].variants[0].tiers
    assert [(tier.minimum_quantity, tier.price.amount) for tier in tiers] == [(1, 1000), (10, 800)]


@pytest.mark.feature("ACC-3")
async def test_who_shows_a_shops_prices_is_told_when_an_ancestor_sells_differently(catalog: Catalog) -> None:
    """Others hear of a shop at the same moment as catalog: what they asked before catalog knew is told anew."""
    parent = a_shop(catalog.organization_id, code="parent")
    child = await catalog.open_shop(code="child", parent_id=parent.id)
    await catalog.hear(ShopChanged(shop=parent))
    renamed = parent.model_copy(update={"name": "Renamed", "version": 2})
    strict = renamed.model_copy(update={"strict_pricing": True, "version": 3})
    moved = child.model_copy(update={"parent_id": None, "version": 2})
    seen = []
    for shop in (renamed, strict, renamed, strict, moved):
        await catalog.hear(ShopChanged(shop=shop))
        seen.append([event["shop_id"] for event in await catalog.events("shop_terms_changed")])
    once, twice = [str(parent.id)], [str(parent.id)] * 2
    assert seen == [once, twice, twice, twice, twice]


@pytest.mark.feature("CAT-2", "ACC-3")
async def test_a_product_is_sold_where_a_category_above_it_is_assigned(catalog: Catalog) -> None:
    main = await catalog.open_shop()
    sub = await catalog.open_shop(code="sub", parent_id=main.id, locale="de-AT")
    away = await catalog.open_shop(code="away")
    await catalog.bring_in(csv_file([{**shopify_row("cup"), "Collection": ""}]), shop="main")
    file = b"handle,title,categories,sku,price\ncup,Cup,Home > Kitchen,CUP,4\n"
    await catalog.bring_in(file, profile="crossdock", shop="main")
    by_slug = {category.slug: category for category in (await catalog.ask(ListCategories())).items}
    assert by_slug["home"].shops == ["main"]
    assert by_slug["kitchen"].parent_id == by_slug["home"].id
    await catalog.ask(UnassignCategory(category_id=by_slug["uncategorised"].id, shops=["main"]))
    change = CategoryChange(names={"de": "Küche"})
    await catalog.ask(UpdateCategory(category_id=by_slug["kitchen"].id, change=change))

    shown = (await parts(catalog, main.id))[0]
    assert [(c.path, c.name) for c in shown.categories] == [(["home", "kitchen"], "Kitchen")]
    inherited = (await parts(catalog, sub.id))[0]
    assert (inherited.is_assigned, inherited.categories[0].names) == (True, ["Home", "Küche"])
    assert (await parts(catalog, away.id))[0].is_assigned is False
    assert (await line(catalog, away.id, "CUP")).reason == "not_assigned"

    await catalog.ask(UpdateCategory(category_id=by_slug["home"].id, change=CategoryChange(enabled=False)))
    assert (await parts(catalog, main.id))[0].is_assigned is False
    await catalog.ask(UpdateCategory(category_id=by_slug["home"].id, change=CategoryChange(enabled=True)))
    await catalog.ask(AssignCategory(category_id=by_slug["uncategorised"].id, shops=["sub"]))
    own = (await parts(catalog, sub.id))[0]
    assert [c.slug for c in own.categories] == ["uncategorised"], "its own assignments replace the inherited ones"


@pytest.mark.feature("CAT-1")
async def test_texts_come_in_the_shops_locale_or_language_or_as_the_product_has_them(catalog: Catalog) -> None:
    german = await catalog.open_shop(code="de", locale="de-AT")
    english = await catalog.open_shop(code="en", locale="en-GB")
    product = await catalog.ask(CreateProduct(draft=ProductDraft(title="Cup", description_html="<p>x</p>")))
    await catalog.ask(SetProductText(product_id=product.id, text=ProductText(locale="de", title="Tasse")))
    await catalog.ask(SetProductText(product_id=product.id, text=ProductText(locale="de-AT", title="Häferl")))
    shown = (await parts(catalog, german.id))[0]
    assert (shown.title, shown.description_html) == ("Häferl", "<p>x</p>")
    assert (await parts(catalog, english.id))[0].title == "Cup"


@pytest.mark.feature("CAT-1", "CAT-3")
async def test_why_a_line_cannot_be_sold_is_said(shop_catalog: Catalog) -> None:
    shop = (await shop_catalog.rows("SELECT id FROM shops"))[0]["id"]
    category = await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="All", shops=["main"])))
    variants = [VariantDraft(sku="ASK", options={"N": "1"}, price_on_request=True)]
    variants.append(VariantDraft(sku="NONE", options={"N": "2"}))
    draft = ProductDraft(title="P", options=["N"], variants=variants, category_ids=[category.id])
    product = await shop_catalog.ask(CreateProduct(draft=draft))
    assert [(await line(shop_catalog, shop, sku)).reason for sku in ("ASK", "GONE")] == ["not_active", "unknown_sku"]
    await shop_catalog.ask(PublishProduct(product_id=product.id))
    reasons = [(await line(shop_catalog, shop, sku)).reason for sku in ("ASK", "NONE")]
    assert reasons == ["price_on_request", "no_price"]
    unknown = a_shop(shop_catalog.organization_id)
    assert (await line(shop_catalog, unknown.id, "ASK")).reason == "unknown_shop"
    assert (await parts(shop_catalog, unknown.id)) == []


@pytest.mark.feature("ACC-1")
async def test_other_services_are_answered_and_the_doors_are_not(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b")]))
    found = await shop_catalog.ask(FindProductsOfSkus(skus=["A", "B", "C"]), as_service="search")
    ids = {product.slug: product.id for product in (await shop_catalog.ask(ListProducts())).items}
    assert found.product_ids == {"A": ids["a"], "B": ids["b"]}
    first = (await shop_catalog.ask(ListProductIds(first=1), as_service="search")).ids
    rest = (await shop_catalog.ask(ListProductIds(after=first[0], first=9), as_service="search")).ids
    assert sorted(first + rest) == sorted(ids.values())
    for message in (FindProductsOfSkus(skus=["A"]), ListProductIds(), PriceLines(shop_id=ids["a"], lines=[])):
        with pytest.raises(CrossdockError) as refusal:
            await shop_catalog.ask(message)
        assert refusal.value.code == "unknown_message"


@pytest.mark.feature("ACC-2")
async def test_shops_heard_of_twice_and_out_of_order_stay_as_they_last_were(catalog: Catalog) -> None:
    first = a_shop(catalog.organization_id, name="First", version=1)
    third = first.model_copy(update={"name": "Third", "version": 3})
    for shop in (third, first, third):
        await catalog.hear(ShopChanged(shop=shop))
    assert [tuple(r) for r in await catalog.rows("SELECT name, version FROM shops")] == [("Third", 3)]
    await catalog.hear(ShopRemoved(shop_id=first.id))
    await catalog.hear(ShopChanged(shop=first.model_copy(update={"version": 2})))
    await catalog.hear(ShopRemoved(shop_id=first.id))
    with pytest.raises(CrossdockError) as refusal:
        await catalog.upload(b"Handle\n", shop="main")
    assert refusal.value.code == "shop_not_found"
