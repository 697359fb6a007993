"""Who or what wrote each value of a product (CAT-15)."""

from typing import Any
from uuid import uuid4

import pytest

from deploy import topology
from shared.bus.envelope import service_envelope
from tests.doors import Client, caller_of
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.services.catalog.test_doors import DRAFT, Shopkeeper

PRICE = {"sku": "RED", "price": {"amount": 2990, "currency": "USD"}}


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    catalog = Catalog(process)
    await catalog.open_shop()
    return Shopkeeper(client, catalog, caller_of(catalog.organization_id, "catalog:write"))


async def history_of(keeper: Shopkeeper, product_id: str, **asked: Any) -> list[dict[str, Any]]:
    """All of it, page by page."""
    items: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        answer = await keeper.ask("GET", f"products/{product_id}/history", 200, params={"first": 2, **asked, **after})
        items += answer["items"]
        if answer["next"] is None:
            return items
        after = {"after": answer["next"]}


def said(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["before"], change["after"]) for change in entry["fields"]}


@pytest.mark.feature("CAT-15")
async def test_every_value_has_its_time_and_its_writer(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "products", 201, json=DRAFT)
    path = f"products/{made['id']}"
    await keeper.ask("PATCH", path, 200, json={"title": "Scarf", "brand": None})
    other = caller_of(keeper.catalog.organization_id, "catalog:write")
    await keeper.client.patch(f"/v1/{path}", json={"title": "Shawl"}, headers=keeper.client.speaking_as(other))
    newest, older, *beginnings = await history_of(keeper, made["id"])
    assert (newest["what"], newest["part"], said(newest)) == ("changed", "product", {"title": ("Scarf", "Shawl")})
    assert (newest["actor"]["id"], older["actor"]["id"]) == (str(other.id), str(keeper.caller.id))
    assert said(older) == {"title": ("Wool scarf", "Scarf"), "brand": ("Northwind", None)}
    assert newest["occurred_at"] >= older["occurred_at"]
    assert {(entry["what"], entry["part"], entry["sku"]) for entry in beginnings} == {
        ("created", "product", None),
        ("created", "variant", "RED"),
    }
    first = next(entry for entry in beginnings if entry["part"] == "product")
    assert said(first)["title"] == (None, "Wool scarf")
    assert said(first)["brand"] == (None, "Northwind")
    titles = await history_of(keeper, made["id"], field="title")
    assert [said(entry) for entry in titles] == [
        {"title": ("Scarf", "Shawl")},
        {"title": ("Wool scarf", "Scarf")},
        {"title": (None, "Wool scarf")},
    ]


@pytest.mark.feature("CAT-15", "CAT-3")
async def test_prices_texts_places_and_variants_have_a_history_too(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "products", 201, json=DRAFT)
    price_list = await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": "Standard"})
    for amount in (2990, 2490, None):
        price = None if amount is None else {"amount": amount, "currency": "USD"}
        what = {"price_list_id": price_list["id"], "prices": [{**PRICE, "price": price}]}
        await keeper.ask("PUT", "prices", 200, json=what)
    category = await keeper.ask("POST", "categories", 201, json={"name": "Scarves"})
    for ids in ([category["id"]], []):
        await keeper.ask("PATCH", f"products/{made['id']}", 200, json={"category_ids": ids})
    for title in ("Schal", "Halstuch"):
        await keeper.ask("PUT", f"products/{made['id']}/texts", 200, json={"locale": "de", "title": title})
    await keeper.ask("PATCH", f"products/{made['id']}", 200, json={"remove_skus": ["RED"]})
    entries = await history_of(keeper, made["id"])
    told = [(e["part"], e["what"], said(e).get("price") or said(e).get("title")) for e in entries]
    assert [entry for entry in told if entry[0] == "price"] == [
        ("price", "removed", (2490, None)),
        ("price", "changed", (2990, 2490)),
        ("price", "created", (None, 2990)),
    ]
    assert [entry for entry in told if entry[0] == "text"] == [
        ("text", "changed", ("Schal", "Halstuch")),
        ("text", "created", (None, "Schal")),
    ]
    assert [what for part, what, _ in told if part == "membership"] == ["removed", "created"]
    assert [what for part, what, _ in told if part == "variant"] == ["removed", "created"]
    of_sku = await history_of(keeper, made["id"], sku="RED")
    assert {entry["part"] for entry in of_sku} == {"price", "variant"}
    assert [said(e)["price"] for e in await history_of(keeper, made["id"], field="price")] == [
        (2490, None),
        (2990, 2490),
        (None, 2990),
    ]


@pytest.mark.feature("CAT-15", "CAT-3", "ACC-3")
async def test_prices_of_other_shops_are_not_told_to_who_is_limited_to_one(keeper: Shopkeeper) -> None:
    blue = {"sku": "BLUE", "options": {"Colour": "Blue"}}
    made = await keeper.ask("POST", "products", 201, json={**DRAFT, "variants": [*DRAFT["variants"], blue]})
    europe = await keeper.catalog.open_shop(code="eu")
    for shop, first in (("main", 100), ("eu", 200)):
        price_list = await keeper.ask("POST", "price-lists", 201, json={"shop": shop, "name": "Standard"})
        # One price stays and was changed, one is gone.
        for sku, amounts in (("RED", (first, first + 1)), ("BLUE", (first + 2, None))):
            for amount in amounts:
                price = None if amount is None else {"amount": amount, "currency": "USD"}
                what = {"price_list_id": price_list["id"], "prices": [{"sku": sku, "price": price}]}
                await keeper.ask("PUT", "prices", 200, json=what)

    async def told() -> list[tuple[Any, Any]]:
        return [said(entry)["price"] for entry in await history_of(keeper, made["id"], field="price")]

    def of(first: int) -> set[tuple[Any, Any]]:
        return {(None, first), (first, first + 1), (None, first + 2), (first + 2, None)}

    assert set(await told()) == of(100) | of(200)
    keeper.caller = caller_of(keeper.catalog.organization_id, "catalog:read", shop_ids=[europe.id])
    assert set(await told()) == of(200)
    entries = await history_of(keeper, made["id"])
    assert {entry["part"] for entry in entries} == {"product", "variant", "price"}


@pytest.mark.feature("CAT-15", "CAT-8")
async def test_an_import_is_the_cause_of_what_it_wrote_on_its_uploader_s_behalf(keeper: Shopkeeper) -> None:
    first = await keeper.catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b")]), shop="main")
    second = await keeper.catalog.bring_in(csv_file([shopify_row("a", title="Else"), shopify_row("b")]), shop="main")
    again = await keeper.catalog.bring_in(csv_file([shopify_row("a", title="Else"), shopify_row("b")]), shop="main")
    products = {p["slug"]: p["id"] for p in (await keeper.ask("GET", "products", 200))["items"]}
    changed, *beginnings = await history_of(keeper, products["a"])
    assert (changed["cause"], changed["cause_id"]) == ("import", str(second.id))
    assert changed["actor"]["id"] == str(keeper.catalog.caller.id)
    assert {entry["cause_id"] for entry in beginnings} == {str(first.id)}
    assert {entry["part"] for entry in beginnings} == {"product", "variant", "price", "membership"}
    assert str(again.id) not in {entry["cause_id"] for entry in await history_of(keeper, products["b"])}


@pytest.mark.feature("CAT-15")
async def test_history_through_graphql_and_what_it_refuses(keeper: Shopkeeper, process: topology.Surrounded) -> None:
    made = await keeper.ask("POST", "products", 201, json=DRAFT)
    await keeper.ask("PATCH", f"products/{made['id']}", 200, json={"title": "Scarf"})
    asked = f'{{ productHistory(productId: "{made["id"]}", field: "title") {{ nodes {{ what part cause'
    found = await keeper.graphql(asked + " actor { id } fields { field before after } } } }")
    newest = found["productHistory"]["nodes"][0]
    assert newest["fields"] == [{"field": "title", "before": "Wool scarf", "after": "Scarf"}]
    assert (newest["what"], newest["actor"]["id"]) == ("CHANGED", str(keeper.caller.id))
    assert await keeper.code("GET", f"products/{uuid4()}/history", 404) == "product_not_found"
    assert await keeper.code("GET", f"products/{made['id']}/history?after=x", 400) == "invalid_cursor"
    stranger = caller_of(Catalog(process).organization_id, "catalog:read")
    answer = await keeper.client.get(f"/v1/products/{made['id']}/history", headers=keeper.client.speaking_as(stranger))
    assert answer.json()["code"] == "product_not_found"


@pytest.mark.feature("CAT-15")
async def test_history_can_only_grow_and_nobody_writes_without_a_cause(
    keeper: Shopkeeper, process: topology.Surrounded
) -> None:
    await keeper.ask("POST", "products", 201, json=DRAFT)
    for statement in ("DELETE FROM changes", "UPDATE causes SET kind = 'x'", "UPDATE changes SET before = NULL"):
        uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", keeper.catalog.organization_id))
        with pytest.raises(Exception, match="permission denied"):
            await uow.execute(statement)
        await uow.rollback()
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", keeper.catalog.organization_id))
    await uow.execute("SET LOCAL crossdock.cause = ''")
    with pytest.raises(Exception, match="does not say why"):
        await uow.execute("UPDATE products SET title = 'x'")
    await uow.rollback()
