"""The same done to many products that words and sets mean: counted first, then done, in the name of who asked."""

from typing import Any

import pytest

from deploy import topology
from services.catalog.use_cases import bulk_actions
from shared.contracts.catalog.messages import CreateProduct
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.identifiers import new_id
from tests.doors import caller_of, eventually
from tests.factories.search import Seller
from tests.services.search.test_product_sets import ask, finds

pytestmark = pytest.mark.feature("SYN-13", "OPS-4")


@pytest.fixture
async def shop(process: topology.Surrounded, client: Any) -> Seller:
    made = Seller(process, client)
    await made.open()
    return made


async def some_mugs(shop: Seller, count: int) -> list[str]:
    """Their titles, newest first; those of odd numbers have a price."""
    for n in range(count):
        draft = ProductDraft(title=f"Mug {n}", tags=["Old"], variants=[VariantDraft(sku=f"M-{n}")])
        await shop.ask(CreateProduct(draft=draft))
    await shop.price({f"M-{n}": 500 for n in range(1, count, 2)})
    titles = [f"Mug {n}" for n in reversed(range(count))]
    await finds(shop, titles, "mug")
    await finds(shop, titles[count % 2 :: 2], None, "with:price")
    return titles


async def act(shop: Seller, expected: int, **action: Any) -> dict[str, Any]:
    """The job's counters at its end."""
    assert shop.client is not None
    begun = await shop.client.post("/v1/products/act", json=action, headers=shop.client.speaking_as(shop.caller))
    assert begun.status_code == 202, begun.text
    assert begun.json()["products"] == expected
    return await ended(shop, begun.headers["location"])


async def ended(shop: Seller, location: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        job = await ask(shop, location.removeprefix("/v1/"))
        return job if job["finished_at"] else None

    job = await eventually(look)
    assert job is not None
    assert (job["state"], job["error"]) == ("succeeded", None)
    assert job["progress"]["done"] == job["progress"]["total"]
    return job


async def test_counted_first_then_done_whatever_leaves_the_set_by_it(
    shop: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_actions, "_AT_ONCE", 2)
    titles = await some_mugs(shop, 7)
    publishing = {"action": "publish", "query": "mug", "sets": ["status:draft"]}
    tried = await act(shop, 7, dry_run=True, **publishing)
    assert tried["counters"] == {"changed": 3, "unchanged": 0, "refused": 4}
    assert tried["log"][0].startswith("mug-0: product_has_no_price: ")
    assert {product["status"] for product in (await ask(shop))["items"]} == {"draft"}
    done = await act(shop, 7, **publishing)
    assert done["counters"] == tried["counters"]
    await finds(shop, titles[1::2], None, "status:active")
    await finds(shop, titles[::2], None, "status:draft")
    published = (await ask(shop, set="status:active"))["items"][0]
    entry = (await ask(shop, f"products/{published['id']}/history"))["items"][0]
    assert {"field": "status", "before": "draft", "after": "active"} in entry["fields"]
    assert (entry["cause"], entry["cause_id"], entry["actor"]["name"]) == ("job", done["id"], shop.caller.name)
    again = await act(shop, 3, action="publish", sets=["status:active"])
    assert again["counters"] == {"changed": 0, "unchanged": 3, "refused": 0}
    await act(shop, 3, action="pause", sets=["status:active"])
    await finds(shop, titles[1::2], None, "status:paused")


async def test_tags_and_categories_of_many(shop: Seller) -> None:
    titles = await some_mugs(shop, 4)
    category = await shop.category("Kitchen")
    await act(shop, 4, action="add_tags", query="mug", tags=["old", "Gift"])
    await finds(shop, titles, None, "tag:gift", "tag:old")
    assert {tuple(product["tags"]) for product in (await ask(shop))["items"]} == {("Old", "Gift")}
    await act(shop, 2, action="remove_tags", sets=["without:price"], tags=["OLD", "none"])
    await finds(shop, titles[::2], None, "tag:old")
    ids = [product["id"] for product in (await ask(shop))["items"]]
    into = {"category_id": str(category.id), "product_ids": [*ids[:2], str(new_id())]}
    job = await act(shop, 3, action="add_to_category", **into)
    assert (job["counters"]["changed"], job["progress"]["done"]) == (2, 2)
    await finds(shop, titles[:2], None, "with:category")
    await act(shop, 2, action="remove_from_category", sets=["with:price"], **into)
    await finds(shop, titles[1:2], None, "with:category")
    too_many = {"action": "add_tags", "sets": ["tag:gift"], "tags": [f"tag {n}" for n in range(249)]}
    job = await act(shop, 4, **too_many)
    assert job["counters"] == {"changed": 2, "unchanged": 0, "refused": 2}
    assert "too_many_tags" in job["log"][0]


async def test_who_may_not_and_what_says_too_little(shop: Seller) -> None:
    await some_mugs(shop, 2)
    assert shop.client is not None
    headers = shop.client.speaking_as(shop.caller)
    for wrong in (
        {"action": "publish"},
        {"action": "publish", "query": " "},
        {"action": "publish", "query": "mug", "tags": ["x"]},
        {"action": "add_tags", "query": "mug"},
        {"action": "add_to_category", "query": "mug"},
        {"action": "explode", "query": "mug"},
        {"action": "pause", "sets": ["colour"]},
    ):
        refused = await shop.client.post("/v1/products/act", json=wrong, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), wrong
    body = {"action": "add_to_category", "query": "mug", "category_id": str(new_id())}
    refused = await shop.client.post("/v1/products/act", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (404, "category_not_found")
    reader = shop.client.speaking_as(caller_of(shop.organization_id, "catalog:read"))
    body = {"action": "archive", "query": "mug"}
    refused = await shop.client.post("/v1/products/act", json=body, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    stranger = shop.client.speaking_as(caller_of(new_id()))
    query = 'mutation {actOnProducts(action: ARCHIVE, query: "mug") {... on StartedProductAction {products}}}'
    answer = await shop.client.post("/graphql", json={"query": query}, headers=stranger)
    assert answer.json()["data"]["actOnProducts"]["products"] == 0
    answer = await shop.client.post("/graphql", json={"query": query}, headers=headers)
    assert answer.json()["data"]["actOnProducts"]["products"] == 2
    await finds(shop, ["Mug 1", "Mug 0"], None, "status:archived")
