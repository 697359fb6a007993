"""Both doors of sync, who may pass them, and what a limited client sees."""

from typing import Any

import pytest

from deploy import topology
from shared.bus.envelope import Caller
from tests.doors import Client, caller_of, eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order, put_products

pytestmark = pytest.mark.feature("SYN-1", "SYN-2", "SYN-3", "GAT-1", "GAT-2")


async def graphql(client: Client, caller: Caller, query: str, **variables: Any) -> Any:
    answer = await client.post(
        "/graphql", json={"query": query, "variables": variables}, headers=client.speaking_as(caller)
    )
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


async def test_graphql_connects_runs_and_looks(process: topology.Surrounded, client: Client, fake: CustomShop) -> None:
    put_products(fake, 2)
    merchant = Connected(process, client, fake)
    await merchant.open_shop(currency="EUR")
    create = """mutation($connection: ConnectionDraftInput!) { createConnection(connection: $connection) {
        ... on Connection { uuid name mode greeting { shopName currency } } ... on Problem { code detail } } }"""
    draft = {
        "platform": "CUSTOM",
        "name": "Quay",
        "shop": "main",
        "settings": {"platform": fake.settings, "fields": {"title": {"policy": "ours", "conflict": "ask"}}},
        "credentials": fake.credentials,
    }
    made = (await graphql(client, merchant.caller, create, connection=draft))["createConnection"]
    assert (made["name"], made["mode"], made["greeting"]["currency"]) == ("Quay", "TEST", "EUR"), made
    listed = await graphql(
        client, merchant.caller, "{ connections { edges { node { uuid platform settings { absorbProducts } } } } }"
    )
    assert [edge["node"]["uuid"] for edge in listed["connections"]["edges"]] == [made["uuid"]]
    feeds = await graphql(
        client,
        merchant.caller,
        "query($id: UUID!) { feeds(connectionId: $id) { edges { node { uuid kind } } } }",
        id=made["uuid"],
    )
    feed = next(edge["node"]["uuid"] for edge in feeds["feeds"]["edges"] if edge["node"]["kind"] == "IMPORT_PRODUCTS")
    run = (
        "mutation($id: UUID!) { runFeed(feedId: $id) { ... on FeedExecution { uuid state } ... on Problem { code } } }"
    )
    started = (await graphql(client, merchant.caller, run, id=feed))["runFeed"]
    merchant.headers = client.speaking_as(merchant.caller)
    await merchant.ended(started["uuid"])
    found = await graphql(
        client,
        merchant.caller,
        """query($id: UUID!) { listings(connectionId: $id, entity: PRODUCT) { edges { node { externalId colour } } }
            changeCounts(connectionId: $id) { total } issuePatterns(connectionId: $id) { items { code fix } } }""",
        id=made["uuid"],
    )
    assert [edge["node"] for edge in found["listings"]["edges"]] == [
        {"externalId": str(number), "colour": "GREEN"} for number in (1, 2)
    ]
    assert found["changeCounts"]["total"] == 4
    assert found["issuePatterns"]["items"][0]["code"] == "matches_not_seen"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/connections"), ("POST", "/v1/connections/{id}/fetch"), ("GET", "/v1/changes"), ("GET", "/v1/issues")],
)
async def test_without_the_scope_nothing_is_seen_or_done(connected: Connected, method: str, path: str) -> None:
    scope = "orders:write" if method == "GET" else "sync:read"
    poor = connected.client.speaking_as(caller_of(connected.organization_id, scope))
    answer = await connected.client.request(method, path.replace("{id}", connected.id), headers=poor)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_a_client_of_another_shop_sees_nothing_of_a_connection(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    await connected.run("import_products")
    other = await connected.open_shop("other", currency="EUR")
    limited = connected.client.speaking_as(caller_of(connected.organization_id, "admin", shop_ids=[other.id]))
    for path in ("/v1/connections", "/v1/listings", "/v1/changes", "/v1/issues", "/v1/feed-executions"):
        answer = await connected.client.get(path, headers=limited)
        assert answer.json()["items"] == [], path
    one = await connected.client.get(f"/v1/connections/{connected.id}", headers=limited)
    assert (one.status_code, one.json()["code"]) == (404, "connection_not_found")
    draft = await connected.client.post("/v1/connections", json=connected.draft(), headers=limited)
    assert (draft.status_code, draft.json()["code"]) == (404, "shop_not_found")


async def test_the_buttons_start_every_enabled_feed_of_their_direction(connected: Connected, fake: CustomShop) -> None:
    fetched = await connected.post(f"/v1/connections/{connected.id}/fetch", status=202)
    groups = ({"import_products", "update_products", "import_images"}, {"import_orders", "update_orders"})
    started = {each["kind"] for each in fetched["items"]}
    assert [len(started & group) for group in groups] == [1, 1]
    assert started | set(fetched["waiting"]) == groups[0] | groups[1] | {"import_suppliers", "import_supplier_links"}

    async def all_ran() -> bool:
        items = (await connected.get(f"/v1/feed-executions?connection_id={connected.id}&state=succeeded"))["items"]
        return {each["kind"] for each in items} >= groups[0] | groups[1]

    await eventually(all_ran, 60)
    sent = await connected.post(f"/v1/connections/{connected.id}/send", status=202)
    assert {each["kind"] for each in sent["items"]} == {"export_stock", "export_products", "confirm_shipments"}
    for each in sent["items"]:
        await connected.ended(each["id"])
    assert fake.writes == []


async def test_graphql_shows_the_preview_of_matches(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 3)
    await connected.run("import_products")
    found = await graphql(
        connected.client,
        connected.caller,
        """query($id: UUID!) {
            connectionMatches(connectionId: $id, first: 2) { items { externalId outcome skus } next counts }
            connectionChecklist(connectionId: $id) { isReady items { code isMet } }
            connectionClocks(connectionId: $id) { items { entity cursorAt records } } }""",
        id=connected.id,
    )
    assert [each["outcome"] for each in found["connectionMatches"]["items"]] == ["CREATE", "CREATE"]
    assert found["connectionMatches"]["counts"]["create"] == 3
    assert found["connectionChecklist"]["isReady"] is False
    assert [(each["entity"], each["records"]) for each in found["connectionClocks"]["items"]] == [("PRODUCT", 3)]


@pytest.mark.feature("SYN-4", "ORD-6")
async def test_who_may_not_read_orders_sees_nothing_personal_of_them(connected: Connected, fake: CustomShop) -> None:
    fake.put_order(order(501))
    await connected.run("import_orders")
    (listing,) = (await connected.get("/v1/listings?entity=order"))["items"]
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    await uow.execute(
        "UPDATE changes SET field = 'customer', before = '{\"email\": \"ada@example.com\"}', after = NULL"
        " WHERE entity = 'order'"
    )
    await uow.commit()
    told = {}
    for scopes in (("sync:read",), ("sync:read", "orders:read"), ("admin",)):
        caller = caller_of(connected.organization_id, *scopes)
        headers = connected.client.speaking_as(caller)
        answers = [
            (await connected.client.get(path, headers=headers)).text
            for path in ("/v1/listings?entity=order", f"/v1/listings/{listing['id']}", "/v1/changes")
        ]
        found = await graphql(
            connected.client, caller, "{ listings(entity: ORDER) { edges { node { remote acknowledged } } } }"
        )
        told[scopes[-1]] = [*answers, str(found)]
    assert all("ada@example.com" in text for kind in ("orders:read", "admin") for text in told[kind])
    for text in told["sync:read"]:
        assert "(hidden)" in text
        assert not any(word in text for word in ("Ada", "ada@", "Portsea", "PO1"))
    assert "W-501" in told["sync:read"][0]
