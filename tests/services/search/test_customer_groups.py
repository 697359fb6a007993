"""Offers at the prices of a customer group: in lists, order, filters, facets, pages and baskets, through both doors."""

from typing import Any

import pytest

from deploy import topology
from shared.contracts.catalog.messages import CreatePriceList, SetPrices
from shared.contracts.catalog.pricing import DeletePriceList, PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import VariantDraft
from shared.contracts.search.messages import CheckSearchIndex
from shared.contracts.search.shapes import FoundOffers, OfferDetails
from shared.money import Money
from tests.doors import Client, caller_of, eventually
from tests.factories.search import Seller

pytestmark = pytest.mark.feature("SEA-3", "SEA-2")


async def a_list(seller: Seller, group: str | None, prices: dict[str, int], **fields: Any) -> Any:
    draft = PriceListDraft(shop="main", name=f"For {group}", customer_group=group, **fields)
    made = await seller.ask(CreatePriceList(draft=draft))
    drafts = [PriceDraft(sku=sku, price=Money(amount=amount, currency="USD")) for sku, amount in prices.items()]
    drafts += [
        PriceDraft(sku=sku, minimum_quantity=10, price=Money(amount=amount // 2, currency="USD"))
        for sku, amount in prices.items()
    ]
    await seller.ask(SetPrices(price_list_id=made.id, prices=drafts))
    return made


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    goods = await seller.category("Goods")
    for number, title in enumerate(("Oak table", "Oak stool"), 1):
        await seller.sell(title, goods, price=1000 * number)
    benches = [VariantDraft(sku=f"BENCH-{size}", options={"Size": size}) for size in "SL"]
    await seller.sell("Oak bench", goods, price=3000, options=["Size"], variants=benches)
    await a_list(seller, "trade", {"BENCH-S": 600, "BENCH-L": 900})
    await a_list(seller, "later", {"OAK-TABLE": 1}, starts_at="2035-01-01T00:00:00Z")
    await seller.sells(3)

    async def is_priced() -> bool:
        return (await seller.slugs(customer_group="trade", price_max=700)) == ["oak-bench"]

    await eventually(is_priced)
    await seller.settles()
    return seller


async def test_lists_order_filters_and_facets_follow_the_group(shop: Seller) -> None:
    usual, trade = await shop.offers(sort="price_asc"), await shop.offers(sort="price_asc", customer_group="trade")
    FoundOffers.model_validate(trade)
    assert [item["slug"] for item in usual["items"]] == ["oak-table", "oak-stool", "oak-bench"]
    assert [item["slug"] for item in trade["items"]] == ["oak-bench", "oak-table", "oak-stool"]
    assert [item["price"]["amount"] for item in trade["items"]] == [600, 1000, 2000]
    assert (usual["total"], trade["total"]) == (3, 3)
    assert trade["facets"]["price"]["minimum"] == {"amount": 600, "currency": "USD"}
    assert trade["facets"]["category"] == usual["facets"]["category"]
    assert await shop.slugs(price_max=900) == []
    assert await shop.slugs(q="oak", price_max=900, customer_group="trade") == ["oak-bench"]
    first = await shop.offers(sort="price_asc", customer_group="trade", first=1)
    onward = await shop.slugs(sort="price_asc", customer_group="trade", after=first["next"])
    assert onward == ["oak-table", "oak-stool"]
    elsewhere = await shop.get("shops/main/offers", sort="price_asc", after=first["next"])
    assert elsewhere.json()["code"] == "cursor_of_another_search"
    suggested = (await shop.get("shops/main/offer-suggestions", q="bench", customer_group="trade")).json()
    assert [offer["price"]["amount"] for offer in suggested["offers"]] == [600]
    assert suggested["words"] == [{"words": "bench", "count": 1}]


async def test_pages_and_baskets_have_its_prices_by_quantity(shop: Seller) -> None:
    page = OfferDetails.model_validate((await shop.get("shops/main/offers/oak-bench", customer_group="trade")).json())
    tiers = [(tier.minimum_quantity, tier.price.amount) for tier in page.variants[1].tiers]
    assert (page.price, tiers) == (Money(amount=600, currency="USD"), [(1, 900), (10, 450)])
    assert (await shop.get("shops/main/offers/oak-bench")).json()["price"]["amount"] == 3000
    assert (await shop.get("shops/main/offers/oak-table", customer_group="trade")).json()["price"]["amount"] == 1000
    basket = (await shop.get("shops/main/offers-by-sku", sku="BENCH-L", customer_group="trade")).json()
    assert basket["items"][0]["price"]["amount"] == 900


async def test_the_same_through_graphql(shop: Seller) -> None:
    assert shop.client is not None
    query = """{
        offers(shop: "main", customerGroup: "trade", sort: PRICE_ASC, first: 1) { nodes { slug price { amount } } }
        offer(shop: "main", slug: "oak-bench", customerGroup: "trade") { variants { price { amount } } }
    }"""
    answer = await shop.client.post("/graphql", json={"query": query}, headers=shop.client.speaking_as(shop.caller))
    assert answer.json()["data"] == {
        "offers": {"nodes": [{"slug": "oak-bench", "price": {"amount": 600}}]},
        "offer": {"variants": [{"price": {"amount": 600}}, {"price": {"amount": 900}}]},
    }


async def test_stock_and_checks_know_of_what_groups_see(shop: Seller) -> None:
    await shop.stock({"BENCH-S": 77})

    async def is_counted() -> bool:
        return all(
            [
                (await shop.get("shops/main/offers/oak-bench", **group)).json()["variants"][0]["available_quantity"]
                == 77
                for group in ({}, {"customer_group": "trade"})
            ]
        )

    await eventually(is_counted)
    await shop.settles()
    checked = await shop.ask(CheckSearchIndex(shop="main"))

    async def is_right() -> bool:
        job = (await shop.get(f"jobs/{checked.id}", caller=caller_of(shop.organization_id))).json()
        assert job["finished_at"] is not None
        return bool(job["counters"] == {"checked": 3})

    await eventually(is_right, 30)


@pytest.mark.parametrize("path", ["offers", "offers/oak-bench", "offers-by-sku?sku=BENCH-S", "offer-suggestions?q=oak"])
async def test_a_group_that_no_list_is_for_is_refused(shop: Seller, path: str) -> None:
    assert shop.client is not None
    mark = "&" if "?" in path else "?"
    speaking = shop.client.speaking_as(caller_of(shop.organization_id, "storefront"))
    for _ in range(2):
        refused = await shop.client.get(f"/v1/shops/main/{path}{mark}customer_group=Trade", headers=speaking)
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown_customer_group"), refused.text
        assert refused.json()["errors"][0]["pointer"] == "/query/customer_group"
    empty = await shop.client.get(f"/v1/shops/main/{path}{mark}customer_group=", headers=speaking)
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "/query/customer_group")
    # One whose prices are yet to come pays what everybody does.
    later = await shop.client.get(f"/v1/shops/main/{path}{mark}customer_group=later", headers=speaking)
    assert later.status_code == 200


async def test_what_a_group_pays_is_not_for_everybody(shop: Seller, client: Client) -> None:
    key = caller_of(shop.organization_id, "offers:read")
    for _ in range(2):
        assert (await shop.get("shops/main/offers", caller=key)).status_code == 200
        refused = await shop.get("shops/main/offers", caller=key, customer_group="trade")
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    other = Seller(shop.process, client)
    await other.open()
    stranger = await other.get("shops/main/offers", customer_group="trade")
    assert stranger.json()["code"] == "unknown_customer_group"


async def test_a_list_that_goes_takes_its_prices_along(shop: Seller, process: topology.Surrounded) -> None:
    made = await a_list(shop, "staff", {"OAK-STOOL": 5})

    async def costs(amount: int) -> bool:
        answer = await shop.get("shops/main/offers/oak-stool", customer_group="staff")
        return answer.status_code == 200 and answer.json()["price"]["amount"] == amount

    await eventually(lambda: costs(5))
    await shop.ask(DeletePriceList(price_list_id=made.id))

    async def is_forgotten() -> bool:
        answer = await shop.get("shops/main/offers", customer_group="staff")
        return bool(answer.json().get("code") == "unknown_customer_group")

    await eventually(is_forgotten)
