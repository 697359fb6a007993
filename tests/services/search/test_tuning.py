"""How a merchant tunes a shop's search, through both doors."""

from typing import Any

import pytest

from tests.doors import caller_of, eventually
from tests.factories.search import Seller

pytestmark = pytest.mark.feature("SEA-2")
PATH = "/v1/shops/main/search-tuning"


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    furniture = await seller.category("Furniture")
    for title in ("Grey sofa", "Red couch", "Oak table"):
        await seller.sell(title, furniture, price=1000)
    await seller.sells(3)
    return seller


def speaking(shop: Seller, *scopes: str) -> dict[str, str]:
    assert shop.client is not None
    return shop.client.speaking_as(caller_of(shop.organization_id, *(scopes or ("search:read", "search:write"))))


async def put(shop: Seller, body: dict[str, Any], **headers: str) -> Any:
    assert shop.client is not None
    return await shop.client.put(PATH, json=body, headers=speaking(shop) | headers)


async def test_synonyms_and_pins_hold_within_a_second_and_are_told(shop: Seller) -> None:
    assert shop.client is not None
    assert await shop.slugs(q="couch") == ["red-couch"]
    tuning = {
        "synonyms": [{"words": ["sofa", "Couch"]}, {"words": ["desk"], "also": ["table"]}],
        "pins": [{"query": " Grey  SOFA", "slugs": ["oak-table"]}, {"category": "furniture", "slugs": ["oak-table"]}],
        "boosts": [{"category": "furniture", "factor": 2.5}],
    }
    answer = await put(shop, tuning)
    assert answer.status_code == 200, answer.text

    async def is_tuned() -> bool:
        return set(await shop.slugs(q="couch")) == {"red-couch", "grey-sofa"}

    await eventually(is_tuned)
    assert await shop.slugs(q="desk") == ["oak-table"]
    assert await shop.slugs(q="table") == ["oak-table"]
    assert (await shop.slugs(q="grey sofa"))[0] == "oak-table"
    assert (await shop.slugs(category="furniture"))[0] == "oak-table"
    assert (await shop.slugs(sort="newest"))[-1] == "grey-sofa"
    told = await shop.client.get(PATH, headers=speaking(shop))
    assert (told.json(), told.headers["ETag"]) == (answer.json(), answer.headers["ETag"])
    assert told.json()["boosts"] == [{"brand": None, "category": "furniture", "factor": 2.5}]
    assert told.json()["synonyms"][0] == {"words": ["sofa", "Couch"], "also": []}
    query = '{ searchTuning(shop: "main") { version synonyms { words also } pins { query category slugs } } }'
    by_graphql = await shop.client.post("/graphql", json={"query": query}, headers=speaking(shop))
    assert by_graphql.json()["data"]["searchTuning"]["pins"][1] == {
        "query": None,
        "category": "furniture",
        "slugs": ["oak-table"],
    }


async def test_what_stands_for_no_offer_is_told(shop: Seller) -> None:
    tuning = {
        "pins": [
            {"query": "sofa", "slugs": ["oak-table", "oak-tabel"]},
            {"category": "/furniture/", "slugs": ["grey-sofa"]},
            {"category": "gardening", "slugs": ["red-couch"]},
        ],
        "boosts": [{"brand": "Nobody", "factor": 2}, {"category": "furniture", "factor": 2}],
    }
    answer = await put(shop, tuning)
    unknown = [
        {"pointer": "/pins/0/slugs/1", "name": "oak-tabel"},
        {"pointer": "/pins/2/category", "name": "gardening"},
        {"pointer": "/boosts/0/brand", "name": "Nobody"},
    ]
    assert (answer.status_code, answer.json()["unknown"]) == (200, unknown)
    assert shop.client is not None
    assert (await shop.client.get(PATH, headers=speaking(shop))).json()["unknown"] == unknown
    query = '{ searchTuning(shop: "main") { unknown { pointer name } } }'
    by_graphql = await shop.client.post("/graphql", json={"query": query}, headers=speaking(shop))
    assert by_graphql.json()["data"]["searchTuning"]["unknown"] == unknown
    assert (await put(shop, {})).json()["unknown"] == []


async def test_who_read_an_older_tuning_changes_nothing(shop: Seller) -> None:
    first = await put(shop, {"synonyms": [{"words": ["a", "b"]}]})
    second = await put(shop, {"synonyms": []}, **{"If-Match": first.headers["ETag"]})
    assert second.json()["version"] == first.json()["version"] + 1
    stale = await put(shop, {"synonyms": [{"words": ["c", "d"]}]}, **{"If-Match": first.headers["ETag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "search_tuning_changed_since")
    assert shop.client is not None
    assert (await shop.client.get(PATH, headers=speaking(shop))).json()["synonyms"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"synonyms": [{"words": []}]},
        {"synonyms": [{"words": ["alone"]}]},
        {"synonyms": [{"words": ["same", "same"]}]},
        {"synonyms": [{"words": [" ", "x"]}]},
        {"synonyms": [{"words": ["x" * 101, "y"]}]},
        {"synonyms": [{"words": ["a", "b"]}] * 2001},
        {"pins": [{"slugs": ["a"]}]},
        {"pins": [{"query": "q", "category": "c", "slugs": ["a"]}]},
        {"pins": [{"query": "q", "slugs": []}]},
        {"pins": [{"query": "q", "slugs": ["a", "a"]}]},
        {"pins": [{"query": "A  b", "slugs": ["a"]}, {"query": "a B", "slugs": ["b"]}]},
        {"pins": [{"category": "/c/", "slugs": ["a"]}, {"category": "c", "slugs": ["b"]}]},
        {"boosts": [{"factor": 2}]},
        {"boosts": [{"brand": "x", "category": "y", "factor": 2}]},
        {"boosts": [{"brand": "x", "factor": 1}]},
        {"boosts": [{"brand": "x", "factor": 10.1}]},
        {"boosts": [{"brand": "x", "factor": 2}] * 11},
        {"colours": []},
    ],
)
async def test_a_tuning_that_means_nothing_is_refused(shop: Seller, body: dict[str, Any]) -> None:
    refused = await put(shop, body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"]


async def test_a_storefront_and_strangers_tune_nothing(shop: Seller) -> None:
    assert shop.client is not None
    body = {"synonyms": []}
    refused = await shop.client.put(PATH, json=body, headers=speaking(shop, "storefront", "search:read"))
    assert refused.status_code == 403
    stranger = Seller(shop.process)
    answer = await shop.client.put(
        PATH, json=body, headers=shop.client.speaking_as(caller_of(stranger.organization_id, "search:write"))
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "shop_not_found")
