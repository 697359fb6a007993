"""A shop that shows what is sold out, behind everything else: set, seen and explained through both doors."""

from typing import Any

import pytest

from shared.contracts.search.messages import CheckSearchIndex
from tests.doors import caller_of, eventually
from tests.factories.search import Seller

pytestmark = pytest.mark.feature("SEA-1")
PATH = "/v1/shops/main/search-tuning"


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    goods = await seller.category("Goods")
    for number, title in enumerate(("Oak table", "Oak stool", "Oak bench", "Oak shelf")):
        await seller.sell(title, goods, price=1000 + number)
    await seller.stock({"OAK-TABLE": 0, "OAK-BENCH": 0})
    await seller.sells(2)
    await seller.settles()
    return seller


async def put(shop: Seller, body: dict[str, Any]) -> Any:
    assert shop.client is not None
    speaking = shop.client.speaking_as(caller_of(shop.organization_id, "search:write"))
    return await shop.client.put(PATH, json=body, headers=speaking)


async def explained(shop: Seller, sku: str) -> dict[str, Any]:
    reading = caller_of(shop.organization_id, "search:read")
    answer: dict[str, Any] = (await shop.get("shops/main/offer-explanations", caller=reading, sku=sku)).json()
    return answer


async def test_sold_out_offers_stay_last_while_the_shop_says_so(shop: Seller) -> None:
    assert not (await explained(shop, "OAK-TABLE"))["is_offer"]
    answer = await put(shop, {"sold_out": "last"})
    assert (answer.status_code, answer.json()["sold_out"]) == (200, "last")
    await shop.sells(4)
    for parameters in ({"sort": "price_asc"}, {"sort": "price_desc"}, {"sort": "newest"}, {}, {"q": "oak"}):
        listed = await shop.slugs(**parameters)
        assert set(listed[2:]) == {"oak-table", "oak-bench"}, parameters
        pages, after = [], None
        while after is not None or not pages:
            page = await shop.offers(first=1, **parameters, **({} if after is None else {"after": after}))
            pages += [item["slug"] for item in page["items"]]
            after = page["next"]
        assert pages == listed, parameters
    assert await shop.slugs(in_stock=True, sort="price_asc") == ["oak-stool", "oak-shelf"]
    page = (await shop.get("shops/main/offers/oak-table")).json()
    assert (page["available"], page["variants"][0]["availability"]) == (False, "out_of_stock")
    told = await explained(shop, "OAK-TABLE")
    assert (told["is_offer"], told["is_kept"], told["is_indexed"]) == (True, True, True)
    assert {each["name"] for each in told["conditions"] if not each["passed"]} == {"in_stock"}
    # It comes back like any other, and goes like any other where the shop says that, by GraphQL too.
    await shop.stock({"OAK-TABLE": 2})

    async def is_back() -> bool:
        return (await shop.slugs(sort="price_asc"))[0] == "oak-table"

    await eventually(is_back)
    await shop.settles()
    checked = await shop.ask(CheckSearchIndex(shop="main"))

    async def is_right() -> bool:
        job = (await shop.get(f"jobs/{checked.id}", caller=caller_of(shop.organization_id))).json()
        assert job["finished_at"] is not None
        return (job["state"], job["counters"]) == ("succeeded", {"checked": 4})

    await eventually(is_right, 30)
    assert shop.client is not None
    mutation = (
        'mutation { setSearchTuning(shop: "main", soldOut: LEAVES) '
        "{ ... on SearchTuning { soldOut } ... on Problem { code } } }"
    )
    writing = shop.client.speaking_as(caller_of(shop.organization_id, "search:write"))
    changed = await shop.client.post("/graphql", json={"query": mutation}, headers=writing)
    assert changed.json()["data"]["setSearchTuning"] == {"soldOut": "LEAVES"}, changed.text
    await shop.sells(3)


async def test_another_word_for_it_is_refused(shop: Seller) -> None:
    refused = await put(shop, {"sold_out": "first"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/body/sold_out")
