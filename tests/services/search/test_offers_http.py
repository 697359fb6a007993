"""Offers over HTTP: what a storefront may ask, what it gets, and what it is refused."""

from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from shared.contracts.catalog.attributes import AttributeDraft, DefineAttribute
from shared.contracts.catalog.messages import AssignCategory
from shared.contracts.catalog.shapes import VariantDraft
from shared.contracts.search.messages import SearchOffers
from shared.contracts.search.offer_ids import offer_id
from shared.contracts.search.shapes import FoundOffers, OfferDetails, OfferSuggestions, ShopCategories, SkuOffers
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import Client, caller_of, eventually
from tests.factories.search import Seller


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    """Three products: a scarf in two colours of which one is sold out, a sweater, a kettle."""
    clothing = await seller.category("Clothing")
    knitwear = await seller.category("Knitwear", parent=clothing)
    kitchen = await seller.category("Kitchen")
    await seller.sell(
        "Wool scarf",
        clothing,
        price=1999,
        brand="Northwind",
        options=["Colour"],
        variants=[
            VariantDraft(sku="SCARF-RED", options={"Colour": "Red"}, barcode="4006381333931"),
            VariantDraft(sku="SCARF-BLUE", options={"Colour": "Blue"}),
        ],
        images=[{"url": "https://images.example/scarf.jpg", "alt": "A scarf"}],
        description_html="<p>Woven on an old <b>loom</b>.</p>",
    )
    await seller.sell("Lambswool sweater", knitwear, price=12800, brand="Skerry Looms", stock=3)
    await seller.sell("Copper kettle", kitchen, price=5500, brand="Northwind", stock=1)
    await seller.stock({"SCARF-RED": 0})
    await seller.sells(3)
    await seller.settles()
    await eventually(lambda: _speaks(seller, "wool-scarf", "SCARF-BLUE"))
    return seller


async def _speaks(seller: Seller, slug: str, sku: str) -> bool:
    page = (await seller.get(f"shops/main/offers/{slug}")).json()
    return page.get("sku") == sku and all("tiers" in variant for variant in page["variants"])


@pytest.mark.feature("SEA-2")
async def test_a_list_is_found_filtered_counted_and_ordered(shop: Seller) -> None:
    everything = await shop.offers(sort="price_asc")
    FoundOffers.model_validate(everything)
    assert [item["slug"] for item in everything["items"]] == ["wool-scarf", "copper-kettle", "lambswool-sweater"]
    facets = everything["facets"]
    assert facets["brand"] == [{"value": "Northwind", "count": 2}, {"value": "Skerry Looms", "count": 1}]
    assert [(each["path"], each["count"]) for each in facets["category"]] == [
        ("clothing", 2),
        ("clothing/knitwear", 1),
        ("kitchen", 1),
    ]
    assert facets["price"]["minimum"] == {"amount": 1999, "currency": "USD"}
    assert facets["options"] == [{"name": "Colour", "values": [{"value": "Blue", "count": 1}]}]
    assert await shop.slugs(category="knitwear") == ["lambswool-sweater"]
    assert await shop.slugs(category="clothing", brand="northwind") == ["wool-scarf"]
    assert await shop.slugs(price_min=2000, price_max=5500) == ["copper-kettle"]
    assert await shop.slugs(option_Colour="blue") == ["wool-scarf"]
    assert await shop.slugs(q="scarfs") == ["wool-scarf"]
    assert await shop.slugs(q="copp") == ["copper-kettle"]
    assert await shop.slugs(q="ketle") == ["copper-kettle"]
    assert await shop.slugs(q="4006381333931") == ["wool-scarf"]


@pytest.mark.feature("GAT-1")
async def test_single_fields_of_offers_can_be_asked_for(shop: Seller) -> None:
    found = await shop.offers(sort="price_asc", fields="slug,price.amount")
    (first, *_) = (await shop.offers(sort="price_asc"))["items"]
    assert found["items"][0] == {"id": first["id"], "slug": "wool-scarf", "price": {"amount": 1999}}
    assert (found["total"], found["facets"]) == (3, (await shop.offers())["facets"])
    page = (await shop.get("shops/main/offers/wool-scarf", fields="slug,variants.sku")).json()
    assert page["slug"] == "wool-scarf"
    assert {"sku": "SCARF-BLUE"} in page["variants"]
    assert set(page) == {"id", "slug", "variants"}


@pytest.mark.feature("SEA-1", "SEA-3")
async def test_the_page_has_all_and_the_stocked_variant_speaks(shop: Seller) -> None:
    answer = await shop.get("shops/main/offers/wool-scarf")
    page = OfferDetails.model_validate(answer.json())
    assert (page.sku, page.available, page.available_quantity) == ("SCARF-BLUE", True, 5)
    assert [(variant.sku, variant.availability) for variant in page.variants] == [
        ("SCARF-RED", "out_of_stock"),
        ("SCARF-BLUE", "in_stock"),
    ]
    assert page.variants[1].tiers[0].price.amount == 1999
    assert page.breadcrumbs[0][0].slug == "clothing"
    assert page.description_html == "<p>Woven on an old <b>loom</b>.</p>"
    assert page.seo.description == "Woven on an old loom ."
    missing = await shop.get("shops/main/offers/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "offer_not_found")


@pytest.mark.feature("SEA-2")
async def test_who_has_it_already_gets_304(shop: Seller) -> None:
    assert shop.client is not None
    first = await shop.get("shops/main/offers", q="scarf")
    assert first.headers["cache-control"] == "private, no-cache"
    headers = shop.client.speaking_as(shop.caller) | {"If-None-Match": first.headers["etag"]}
    again = await shop.client.get("/v1/shops/main/offers", params={"q": "scarf"}, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    other = await shop.client.get("/v1/shops/main/offers", params={"q": "kettle"}, headers=headers)
    assert other.status_code == 200


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"colour": "red"}, "/query/colour", "unknown_parameter"),
        ({"first": "0"}, "/query/first", "greater_than_equal"),
        ({"first": "101"}, "/query/first", "less_than_equal"),
        ({"first": "many"}, "/query/first", "int_parsing"),
        ({"price_min": "-1"}, "/query/price_min", "greater_than_equal"),
        ({"price_max": "9.99"}, "/query/price_max", "int_parsing"),
        ({"in_stock": "perhaps"}, "/query/in_stock", "bool_parsing"),
        ({"sort": "cheapest"}, "/query/sort", "literal_error"),
        ({"q": "x" * 10_000}, "/query/q", "string_too_long"),
        ({"category": ""}, "/query/category", "string_too_short"),
        ({"option.": "Red"}, "/query/option", "string_too_short"),
        ([("q", "a"), ("q", "b")], "/query/q", "repeated_parameter"),
    ],
)
async def test_a_wrong_parameter_is_named(shop: Seller, parameters: Any, pointer: str, code: str) -> None:
    assert shop.client is not None
    headers = shop.client.speaking_as(shop.caller)
    answer = await shop.client.get("/v1/shops/main/offers", params=parameters, headers=headers)
    problem = answer.json()
    named = code if code in ("unknown_parameter", "repeated_parameter") else "validation_failed"
    assert (answer.status_code, problem["code"]) == (422, named)
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]


@pytest.mark.feature("SEA-2")
async def test_colour_and_size_are_of_one_variant(seller: Seller, process: topology.Surrounded, client: Client) -> None:
    other = Seller(process, client)
    await other.open()
    coats = [
        VariantDraft(sku=f"COAT-{colour}-{size}", options={"Colour": colour, "Size": size})
        for colour, size in (("Red", "S"), ("Red", "L"), ("Blue", "L"))
    ]
    await other.sell("Coat", await other.category("Coats"), options=["Colour", "Size"], variants=coats)
    await other.sells(1)
    assert await other.slugs(option_Colour="red", option_Size="L") == ["coat"]
    assert await other.slugs(option_Colour="blue", option_Size="s") == []
    blue = (await other.offers(option_Colour="Blue"))["facets"]["options"]
    assert blue == [
        {"name": "Colour", "values": [{"value": "Blue", "count": 1}, {"value": "Red", "count": 1}]},
        {"name": "Size", "values": [{"value": "L", "count": 1}]},
    ]
    # What is sold out in red and L is not found in red and L.
    await other.stock({"COAT-Red-L": 0})

    async def is_gone() -> bool:
        return await other.slugs(option_Colour="Red", option_Size="L") == []

    await eventually(is_gone)
    assert await other.slugs(option_Colour="Red", option_Size=["S", "L"]) == ["coat"]
    many = [f"{number}" for number in range(50)]
    named = {"option_a": many, "option_b": many, "option_c": ["1", "2", "3"]}
    refused = await other.get("shops/main/offers", **named)
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_combinations")
    assert refused.json()["errors"][0]["pointer"] == "/query/option"


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (f"shops/{'x' * 64}/offers", "/path/shop_code"),
        (f"shops/{'x' * 64}/categories", "/path/shop_code"),
        (f"shops/main/offers/{'x' * 201}", "/path/slug"),
    ],
)
async def test_what_is_wrong_in_the_path_is_named_there(shop: Seller, path: str, pointer: str) -> None:
    refused = await shop.get(path)
    assert (refused.status_code, [each["pointer"] for each in refused.json()["errors"]]) == (422, [pointer])


@pytest.mark.feature("SEA-2")
async def test_a_reversed_price_range_is_named_as_it_was_asked(shop: Seller) -> None:
    refused = await shop.get("shops/main/offers", price_min=5, price_max=4)
    assert (refused.status_code, refused.json()["code"]) == (422, "reversed_price_range")
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/query/price_min"]
    assert shop.client is not None
    query = '{ offers(shop: "main", filter: {priceMin: 5, priceMax: 4}) { total } }'
    answer = await shop.client.post("/graphql", json={"query": query}, headers=shop.client.speaking_as(shop.caller))
    (error,) = answer.json()["errors"]
    assert [each["pointer"] for each in error["extensions"]["errors"]] == ["/filter/price_min"]


@pytest.mark.feature("SEA-2")
async def test_a_cursor_leads_on_and_only_in_its_own_search(shop: Seller) -> None:
    seen, page = [], await shop.offers(sort="newest", first=1)
    while True:
        seen += [item["slug"] for item in page["items"]]
        assert page["total"] == 3
        if page["next"] is None:
            break
        page = await shop.offers(sort="newest", first=1, after=page["next"])
    assert seen == ["copper-kettle", "lambswool-sweater", "wool-scarf"]
    cursor = (await shop.offers(sort="newest", first=1))["next"]
    other = await shop.get("shops/main/offers", sort="price_asc", after=cursor)
    assert (other.status_code, other.json()["code"]) == (400, "cursor_of_another_search")
    forged = await shop.get("shops/main/offers", after="bm9uc2Vuc2U")
    assert (forged.status_code, forged.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.feature("SEA-2", "ACC-1")
async def test_who_may_read(shop: Seller, process: topology.Surrounded, client: Client) -> None:
    anonymous = await client.get("/v1/shops/main/offers")
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")
    wrong = await shop.get("shops/main/offers", caller=caller_of(shop.organization_id, "catalog:write"))
    assert (wrong.status_code, wrong.json()["code"]) == (403, "missing_scope")
    key = caller_of(shop.organization_id, "offers:read", shop_ids=[shop.shops["main"].id])
    assert (await shop.get("shops/main/offers", caller=key)).json()["total"] == 3
    elsewhere = caller_of(shop.organization_id, "offers:read", shop_ids=[])
    for path in ("shops/main/offers", "shops/main/offers/wool-scarf", "shops/nowhere/offers"):
        hidden = await shop.get(path, caller=elsewhere)
        assert (hidden.status_code, hidden.json()["code"]) == (404, "shop_not_found")


@pytest.mark.feature("SEA-2", "ACC-1")
async def test_another_merchant_with_the_same_code_sees_its_own(
    shop: Seller, process: topology.Surrounded, client: Client
) -> None:
    other = Seller(process, client)
    stranger = await shop.get("shops/main/offers", caller=caller_of(other.organization_id))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "shop_not_found")
    await other.open()
    assert (await other.offers())["items"] == []
    await other.sell("Wool scarf", await other.category("Scarves"), price=1)
    await other.sells(1)
    assert (await other.offers())["items"][0]["price"]["amount"] == 1
    assert (await shop.offers(q="scarf"))["items"][0]["price"]["amount"] == 1999


@pytest.mark.feature("SEA-6")
async def test_why_a_sku_is_or_is_not_an_offer(shop: Seller) -> None:
    async def explained(sku: str) -> dict[str, Any]:
        answer = await shop.get("shops/main/offer-explanations", caller=shop.caller, sku=sku)
        assert answer.status_code == 200, answer.text
        return answer.json()

    blue, red = await explained("SCARF-BLUE"), await explained("SCARF-RED")
    assert blue["is_offer"] is True
    assert all(condition["passed"] for condition in blue["conditions"])
    assert red["is_offer"] is False
    assert [condition["name"] for condition in red["conditions"] if not condition["passed"]] == ["in_stock"]
    assert red["conditions"][-1]["inputs"]["available_quantity"] == 0
    assert (red["is_indexed"], red["is_pending"]) == (True, False)
    unknown = await shop.get("shops/main/offer-explanations", caller=shop.caller, sku="NOTHING")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sku_not_found")
    storefront = await shop.get("shops/main/offer-explanations", sku="SCARF-RED")
    assert (storefront.status_code, storefront.json()["code"]) == (403, "missing_scope")


@pytest.mark.feature("SEA-6")
async def test_an_explanation_says_where_an_assignment_comes_from(seller: Seller, client: Client) -> None:
    other = Seller(seller.process, client)
    parent = await other.open()
    await other.open("outlet", parent_id=parent.id)
    clothing = await other.category("Clothing")
    await other.sell("Lambswool sweater", await other.category("Knitwear", parent=clothing))
    await other.sells(1)
    for shop_code in ("main", "outlet"):
        answer = await other.get(f"shops/{shop_code}/offer-explanations", caller=other.caller, sku="LAMBSWOOL-SWEATER")
        (assigned,) = [each for each in answer.json()["conditions"] if each["name"] == "assigned"]
        assert assigned["inputs"] == {
            "categories": ["clothing/knitwear"],
            "assigned": ["clothing"],
            "categories_of_shop": "main",
        }


@pytest.mark.feature("SEA-5", "SEA-7")
async def test_a_job_says_what_it_is_about(shop: Seller, client: Client) -> None:
    rebuilding = client.speaking_as(caller_of(shop.organization_id, "search:write"))
    named = {"skus": ["SCARF-RED"]}
    job = (await client.post("/v1/search-indexes/main/rebuild", json=named, headers=rebuilding)).json()
    assert job["subject"] == {"shops": ["main"], "skus": ["SCARF-RED"]}
    told = await client.get(f"/v1/jobs/{job['id']}", headers=rebuilding)
    assert told.json()["subject"] == job["subject"]
    checking = (await client.post("/v1/search-indexes/check", headers=rebuilding)).json()
    assert checking["subject"] == {"shops": ["main"]}


@pytest.mark.feature("SEA-2")
def test_messages_share_the_filter_that_filters_nothing() -> None:
    assert SearchOffers(shop="main").filter is SearchOffers(shop="other").filter


@pytest.mark.feature("SEA-2", "SEA-3")
async def test_the_same_through_graphql(shop: Seller) -> None:
    assert shop.client is not None
    query = """query ($after: String) {
        offers(shop: "main", query: "scarf sweater", sort: PRICE_ASC, first: 1, after: $after,
               filter: {category: ["clothing"], inStock: true}) {
            total
            facets { brand { value count } }
            nodes { slug price { amount } variants { sku available } }
            pageInfo { endCursor hasNextPage }
        }
        offer(shop: "main", slug: "copper-kettle") { title variants { tiers { price { amount currency } } } }
    }"""

    async def run(after: str | None) -> dict[str, Any]:
        assert shop.client is not None
        body = {"query": query, "variables": {"after": after}}
        answer = await shop.client.post("/graphql", json=body, headers=shop.client.speaking_as(shop.caller))
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    data = await run(None)
    assert data["offers"]["total"] == 2
    assert data["offers"]["nodes"][0]["slug"] == "wool-scarf"
    assert data["offer"]["variants"][0]["tiers"] == [{"price": {"amount": 5500, "currency": "USD"}}]
    following = await run(data["offers"]["pageInfo"]["endCursor"])
    assert [node["slug"] for node in following["offers"]["nodes"]] == ["lambswool-sweater"]


@pytest.mark.feature("SEA-1")
async def test_a_sub_shop_shows_its_own_prices_and_language(shop: Seller) -> None:
    main = shop.shops["main"]
    await shop.open("de", currency="EUR", locale="de-DE", parent_id=main.id)
    await shop.price({"SCARF-BLUE": 1800}, shop="de")

    async def shows() -> bool:
        found = await shop.offers("de")
        priced = [item for item in found["items"] if item["slug"] == "wool-scarf"]
        return bool(priced) and priced[0]["price"] == {"amount": 1800, "currency": "EUR"}

    await eventually(shows)


@pytest.mark.feature("SEA-1", "SEA-4")
async def test_assigning_a_category_brings_its_products_in(shop: Seller) -> None:
    garden = await shop.category("Garden", shops=[])
    await shop.sell("Cedar planter", garden)
    explained = await shop.get("shops/main/offer-explanations", caller=shop.caller, sku="CEDAR-PLANTER")
    failed = [each["name"] for each in explained.json()["conditions"] if not each["passed"]]
    assert "assigned" in failed
    await shop.ask(AssignCategory(category_id=garden.id, shops=["main"]))
    await eventually(lambda: _has(shop, "cedar-planter"))


async def _has(seller: Seller, slug: str) -> bool:
    return (await seller.get(f"shops/main/offers/{slug}")).status_code == 200


@pytest.mark.feature("SEA-2")
async def test_a_price_range_goes_upwards(shop: Seller) -> None:
    refused = await shop.get("shops/main/offers", price_min="500", price_max="499")
    assert (refused.status_code, refused.json()["code"]) == (422, "reversed_price_range")
    assert (await shop.offers(price_min="1999", price_max="1999"))["total"] == 1


@pytest.mark.feature("SEA-2")
async def test_who_types_is_told_what_it_may_become(shop: Seller) -> None:
    told = (await shop.get("shops/main/offer-suggestions", q="sca")).json()
    OfferSuggestions.model_validate(told)
    assert told["words"] == [{"words": "scarf", "count": 1}]
    assert [offer["slug"] for offer in told["offers"]] == ["wool-scarf"]
    assert [category["path"] for category in told["categories"]] == ["clothing"]
    assert told["brands"] == [{"value": "Northwind", "count": 1}]
    assert told["did_you_mean"] is None
    body = {
        "query": '{ offerSuggestions(shop: "main", query: "ketle") { words { words } didYouMean offers { slug } } }'
    }
    answer = await shop.client.post("/graphql", json=body, headers=shop.client.speaking_as(shop.caller))
    assert answer.json()["data"]["offerSuggestions"] == {
        "words": [],
        "didYouMean": "kettle",
        "offers": [{"slug": "copper-kettle"}],
    }


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({}, "/query/q"),
        ({"q": ""}, "/query/q"),
        ({"q": "x" * 301}, "/query/q"),
        ({"q": "a", "first": "21"}, "/query/first"),
    ],
)
async def test_suggestions_that_cannot_be_asked_for(shop: Seller, parameters: dict[str, str], pointer: str) -> None:
    refused = await shop.get("shops/main/offer-suggestions", **parameters)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.feature("SEA-2")
async def test_who_finds_nothing_is_helped_on(shop: Seller) -> None:
    found = await shop.offers(q="scraf")
    assert (found["matched"], found["did_you_mean"], found["nothing_found"]) == ("nearly", "scarf", None)
    nothing = await shop.offers(q="sweater", price_max="1")
    FoundOffers.model_validate(nothing)
    assert (nothing["total"], nothing["nothing_found"]["without_filter"]) == (0, 1)
    assert nothing["did_you_mean"] is None
    assert {offer["slug"] for offer in nothing["nothing_found"]["offers"]} >= {"wool-scarf", "copper-kettle"}
    assert {category["path"] for category in nothing["nothing_found"]["categories"]} >= {"clothing", "kitchen"}
    # Words that together are in no offer are no correction.
    assert (await shop.offers(q="kettel sweatre"))["did_you_mean"] is None
    unknown = await shop.offers(q="xylophone")
    assert (unknown["total"], unknown["matched"], unknown["nothing_found"]["without_filter"]) == (0, "any", 0)
    assert (await shop.offers(q="SCARF-RED"))["matched"] == "code"


@pytest.mark.feature("SEA-2", "CAT-1")
async def test_what_a_merchant_makes_a_facet_is_one(shop: Seller) -> None:
    choices = [{"value": "wool", "label": "Wool"}, {"value": "oak", "label": "Oak"}]
    draft = {"code": "material", "label": "Material", "type": "choice", "choices": choices, "is_facet": True}
    await shop.ask(DefineAttribute(draft=AttributeDraft.model_validate(draft)))
    kitchen = await shop.category("Boards")
    await shop.sell("Oak board", kitchen, attributes={"material": "oak"})

    async def is_counted() -> bool:
        return bool((await shop.offers(category="boards"))["facets"]["attributes"])

    await eventually(is_counted)
    facets = (await shop.offers(category="boards"))["facets"]["attributes"]
    oak = {"value": "oak", "text": "Oak", "count": 1}
    assert facets == [{"code": "material", "label": "Material", "values": [oak]}]
    named = {"attribute.material": "OAK"}
    assert await shop.slugs(**named) == ["oak-board"]
    assert await shop.slugs(**{"attribute.material": "wool"}) == []
    assert shop.client is not None
    query = """{ offers(shop: "main", filter: {attributes: [{code: "material", values: ["oak"]}]}) {
        total facets { attributes { code values { value text count } } } } }"""
    answer = await shop.client.post("/graphql", json={"query": query}, headers=shop.client.speaking_as(shop.caller))
    assert answer.json()["data"]["offers"] == {
        "total": 1,
        "facets": {"attributes": [{"code": "material", "values": [oak]}]},
    }


@pytest.mark.feature("SEA-3", "GAT-1", "GAT-2")
async def test_an_offer_is_found_again_by_its_id_wherever_that_was_told(
    shop: Seller, process: topology.Surrounded, client: Client
) -> None:
    listed = {item["slug"]: item["id"] for item in (await shop.offers())["items"]}
    assert len(set(listed.values())) == len(listed) >= 3
    page = (await shop.get("shops/main/offers/wool-scarf")).json()
    assert page["id"] == listed["wool-scarf"]
    by_id = await shop.get(f"offers/{page['id']}")
    assert (by_id.status_code, by_id.json()) == (200, page)
    assert set((await shop.get(f"offers/{page['id']}", fields="title")).json()) == {"id", "title"}

    async def ask(caller: Any, text: str, id_: str) -> Any:
        body = {"query": text, "variables": {"id": id_}}
        return (await client.post("/graphql", json=body, headers=client.speaking_as(caller))).json()["data"]

    storefront = caller_of(shop.organization_id, "storefront")
    text = """query($id: ID!, $same: String!) { offers(shop: "main") { nodes { id slug } }
        offer(shop: "main", slug: "wool-scarf") { id } offerById(id: $same) { id title }
        node(id: $id) { __typename id ... on OfferDetails { slug productId variants { sku } } } }"""
    body = {"query": text, "variables": {"id": page["id"], "same": page["id"]}}
    found = (await client.post("/graphql", json=body, headers=client.speaking_as(storefront))).json()["data"]
    assert {each["slug"]: each["id"] for each in found["offers"]["nodes"]} == listed
    assert found["offer"] == {"id": page["id"]}
    assert found["offerById"] == {"id": page["id"], "title": page["title"]}
    assert found["node"] == {
        "__typename": "OfferDetails", "id": page["id"], "slug": "wool-scarf", "productId": page["product_id"],
        "variants": [{"sku": variant["sku"]} for variant in page["variants"]],
    }  # fmt: skip

    # Whoever may not see the shop, or is of another organization, has no such offer.
    main = shop.shops["main"].id
    assert offer_id(main, UUID(page["product_id"])) == page["id"]
    strangers = [
        caller_of(new_id(), "storefront"),
        caller_of(shop.organization_id, "storefront", shop_ids=frozenset({new_id()})),
    ]
    for stranger in strangers:
        refused = await shop.get(f"offers/{page['id']}", caller=stranger)
        assert (refused.status_code, refused.json()["code"]) == (404, "offer_not_found")
        assert await ask(stranger, "query($id: ID!) { node(id: $id) { id } }", page["id"]) == {"node": None}
    for wrong in (offer_id(main, new_id()), offer_id(new_id(), main), page["id"][:-2], "T2ZmZXI6", "x"):
        refused = await shop.get(f"offers/{wrong}")
        assert (refused.status_code, refused.json()["code"]) == (404, "offer_not_found"), wrong
    gone = offer_id(main, new_id())
    assert await ask(storefront, "query($id: ID!) { node(id: $id) { id } }", gone) == {"node": None}
    refused = await shop.get(f"offers/{page['id']}", caller=caller_of(shop.organization_id, "catalog:read"))
    assert refused.status_code == 403


@pytest.mark.feature("SEA-3")
async def test_a_page_is_read_by_its_product_s_id_too(shop: Seller) -> None:
    by_slug = await shop.get("shops/main/offers/wool-scarf")
    product_id = by_slug.json()["product_id"]
    for name in (product_id, product_id.replace("-", "").upper()):
        assert (await shop.get(f"shops/main/offers/{name}")).content == by_slug.content
    assert (await shop.get(f"shops/main/offers/{new_id()}")).json()["code"] == "offer_not_found"


@pytest.mark.feature("SEA-3")
async def test_skus_are_priced_for_a_basket(shop: Seller) -> None:
    skus = ["SCARF-BLUE", "SCARF-RED", "NOTHING", "scarf-blue", "COPPER-KETTLE", "4006381333931"]
    answer = await shop.get("shops/main/offers-by-sku", sku=skus)
    items = SkuOffers.model_validate_json(answer.content).items
    assert [item.sku for item in items] == skus
    assert [item.slug for item in items] == ["wool-scarf", "wool-scarf", None, None, "copper-kettle", None]
    assert [item.available for item in items] == [True, False, False, False, True, False]
    assert items[0].price == Money(amount=1999, currency="USD")
    assert items[0].options == {"Colour": "Blue"}
    assert answer.headers["ETag"]
    for wrong in ([], ["x"] * 101, [""], ["x" * 201]):
        refused = await shop.get("shops/main/offers-by-sku", sku=wrong)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/sku")
    assert shop.client is not None
    body = {"query": '{ offersBySku(shop: "main", skus: ["SCARF-BLUE"]) { items { sku slug price { amount } } } }'}
    told = await shop.client.post("/graphql", json=body, headers=shop.client.speaking_as(shop.caller))
    assert told.json()["data"]["offersBySku"]["items"] == [
        {"sku": "SCARF-BLUE", "slug": "wool-scarf", "price": {"amount": 1999}}
    ]


@pytest.mark.feature("SEA-3", "CAT-2")
async def test_a_shop_s_categories_come_as_a_tree_in_their_order(shop: Seller) -> None:
    yard = await shop.category("Yard", position=5)
    for title, position in (("Pots", 2), ("Tools", 1)):
        await shop.sell(f"{title} thing", await shop.category(title, parent=yard, position=position))
    await shop.category("Empty", parent=yard)

    async def within(path: str) -> list[tuple[str, int]]:
        told = await shop.get("shops/main/categories", within=path)
        return [(each.path, each.offers) for each in ShopCategories.model_validate_json(told.content).items]

    async def are_there() -> bool:
        return await within("yard") == [("yard", 2), ("yard/tools", 1), ("yard/pots", 1)]

    await eventually(are_there)
    everything = (await shop.get("shops/main/categories")).json()["items"]
    paths = [each["path"] for each in everything]
    assert paths.index("clothing") < paths.index("clothing/knitwear")
    assert paths.index("yard") > paths.index("kitchen")
    [pots] = [each for each in everything if each["path"] == "yard/pots"]
    assert (pots["parent"], pots["breadcrumbs"]) == (
        "yard",
        [{"slug": "yard", "name": "Yard"}, {"slug": "pots", "name": "Pots"}],
    )
    assert await within("yar") == []
    assert shop.client is not None
    body = {"query": '{ shopCategories(shop: "main", within: "yard/pots") { items { path parent offers } } }'}
    told = await shop.client.post("/graphql", json=body, headers=shop.client.speaking_as(shop.caller))
    assert told.json()["data"]["shopCategories"]["items"] == [{"path": "yard/pots", "parent": "yard", "offers": 1}]


async def _asked(shop: Seller, query: str, **variables: Any) -> dict[str, Any]:
    assert shop.client is not None
    body = {"query": query, "variables": variables}
    answer = await shop.client.post("/graphql", json=body, headers=shop.client.speaking_as(shop.caller))
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.feature("GAT-2", "SEA-2")
async def test_null_for_an_argument_that_is_never_null_is_as_if_it_were_not_given(shop: Seller) -> None:
    """Clients send it for a variable that has no value."""
    plain = await _asked(shop, '{ offers(shop: "main") { total } }')
    for arguments in (
        "filter: null, first: null, sort: null, query: null, after: null",
        "filter: {category: null, options: null, priceMin: null}",
    ):
        assert await _asked(shop, f'{{ offers(shop: "main", {arguments}) {{ total }} }}') == plain
    query = 'query ($n: Int, $f: OfferFilterInput) { offers(shop: "main", first: $n, filter: $f) { total } }'
    assert await _asked(shop, query, n=None, f={"brand": None}) == plain
    refused = await _asked(shop, '{ offers(shop: "main", first: 0, filter: null) { total } }')
    assert refused["errors"]


@pytest.mark.feature("GAT-2", "SEA-2")
async def test_an_edge_s_cursor_belongs_to_its_question(shop: Seller) -> None:
    first = await _asked(shop, '{ offers(shop: "main", sort: PRICE_ASC, first: 3) { edges { cursor node { slug } } } }')
    cursor, slugs = first["data"]["offers"]["edges"][1]["cursor"], first["data"]["offers"]["edges"]
    query = 'query ($c: String) { offers(shop: "main", sort: %s, first: 1, after: $c) { nodes { slug } } }'
    told = await _asked(shop, query % "PRICE_ASC", c=cursor)
    assert told["data"]["offers"]["nodes"] == [{"slug": slugs[2]["node"]["slug"]}]
    refused = await _asked(shop, query % "PRICE_DESC", c=cursor)
    assert refused["errors"][0]["extensions"]["code"] == "invalid_cursor"
