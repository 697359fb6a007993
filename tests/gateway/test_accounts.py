"""Organizations, shops and API clients through both doors: REST and GraphQL are one thing."""

from typing import Any

import pytest

from deploy import topology
from shared.identifiers import new_id
from tests.doors import Client
from tests.gateway.credentials import Business, bearer, founded, token_of

SHOP = {"code": "main", "name": "Main", "currency": "EUR", "locale": "pt-pt", "time_zone": "Europe/Lisbon"}


@pytest.fixture(scope="module")
async def business(process: topology.Surrounded) -> Business:
    return await founded(process)


@pytest.fixture(scope="module")
async def admin(client: Client, business: Business) -> dict[str, str]:
    return bearer(await token_of(client, business.basic))


async def graphql(client: Client, headers: dict[str, str], query: str, **variables: Any) -> dict[str, Any]:
    answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    body = answer.json()
    assert "errors" not in body, body
    return body["data"]


@pytest.mark.feature("ACC-2", "GAT-1", "GAT-2")
async def test_a_shop_written_through_one_door_is_read_through_the_other(client: Client, admin: dict[str, str]) -> None:
    made = await client.post("/v1/shops", json=SHOP, headers=admin)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.headers["location"] == f"/v1/shops/{made.json()['id']}"
    shop = made.json()
    query = "query($id: UUID!) { shop(shopId: $id) { code locale timeZone version strictPricing parentId } }"
    assert (await graphql(client, admin, query, id=shop["id"]))["shop"] == {
        "code": "main",
        "locale": "pt-PT",
        "timeZone": "Europe/Lisbon",
        "version": 1,
        "strictPricing": False,
        "parentId": None,
    }
    change = """mutation($id: UUID!) { updateShop(shopId: $id, change: {name: "Novo"}, expectedVersion: 1) {
        ... on Shop { name currency version } ... on Problem { code } } }"""
    assert (await graphql(client, admin, change, id=shop["id"]))["updateShop"] == {
        "name": "Novo",
        "currency": "EUR",
        "version": 2,
    }
    stale = (await graphql(client, admin, change, id=shop["id"]))["updateShop"]
    assert stale == {"code": "version_changed"}
    found = await client.get(f"/v1/shops/{shop['id']}", headers=admin)
    assert found.json() == {**shop, "name": "Novo", "version": 2}


@pytest.mark.feature("ACC-2", "GAT-1")
async def test_changes_name_the_version_they_saw(client: Client, admin: dict[str, str]) -> None:
    path = "/v1/shops/" + (await client.post("/v1/shops", json=SHOP | {"code": "etag"}, headers=admin)).json()["id"]
    changed = await client.patch(path, json={"name": "A"}, headers=admin | {"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    for if_match, status in (('"1"', 412), ("nonsense", 400), ('"nonsense"', 412), ("*", 200)):
        answer = await client.patch(path, json={"name": "B"}, headers=admin | {"If-Match": if_match})
        assert answer.status_code == status, if_match
    emptied = await client.patch(path, json={"storefront_url": None}, headers=admin)
    assert emptied.json()["name"] == "B"
    assert (await client.delete(path, headers=admin | {"If-Match": '"1"'})).status_code == 412
    assert (await client.delete(path, headers=admin)).status_code == 204
    assert (await client.get(path, headers=admin)).status_code == 404


@pytest.mark.feature("ACC-2", "GAT-1")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**SHOP, "currency": "XXX"}, 422, "validation_failed"),
        ({**SHOP, "code": "Not a code"}, 422, "validation_failed"),
        ({**SHOP, "surprise": 1}, 422, "validation_failed"),
        ({**SHOP, "code": "x", "parent_id": str(new_id())}, 404, "parent_shop_not_found"),
        ({**SHOP, "code": "x", "parent_id": "nonsense"}, 422, "validation_failed"),
        ({"code": "x"}, 422, "validation_failed"),
        ([], 422, "validation_failed"),
    ],
)
async def test_a_bad_shop_is_refused_with_a_reason(
    client: Client, admin: dict[str, str], body: Any, status: int, code: str
) -> None:
    answer = await client.post("/v1/shops", json=body, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.feature("ACC-1", "ACC-5")
async def test_another_tenants_ids_are_not_found_through_either_door(
    client: Client, admin: dict[str, str], business: Business, process: topology.Surrounded
) -> None:
    shop = await business.shop("hidden")
    client_id, _ = await business.client("catalog:read")
    stranger = await founded(process, "Stranger")
    theirs = bearer(await token_of(client, stranger.basic))
    for method, path, body in (
        ("GET", f"/v1/organizations/{business.id}", None),
        ("PATCH", f"/v1/organizations/{business.id}", {"name": "x"}),
        ("GET", f"/v1/shops/{shop.id}", None),
        ("PATCH", f"/v1/shops/{shop.id}", {"name": "x"}),
        ("DELETE", f"/v1/shops/{shop.id}", None),
        ("GET", f"/v1/api-clients/{client_id}", None),
        ("PATCH", f"/v1/api-clients/{client_id}", {"name": "x"}),
        ("POST", f"/v1/api-clients/{client_id}/revoke", None),
        ("POST", f"/v1/api-clients/{client_id}/secrets", None),
        ("POST", f"/v1/api-clients/{client_id}/secrets/{new_id()}/retire", None),
        ("POST", f"/v1/api-clients/{client_id}/keys", {"name": "x"}),
        ("POST", f"/v1/api-clients/{client_id}/keys/{new_id()}/revoke", None),
        ("POST", "/v1/publishable-keys", {"shop_id": str(shop.id), "name": "x"}),
        ("POST", f"/v1/publishable-keys/{new_id()}/revoke", None),
    ):
        answer = await client.request(method, path, json=body, headers=theirs)
        assert (answer.status_code, answer.json()["code"][-9:]) == (404, "not_found"), (method, path, answer.text)
    data = await client.post(
        "/graphql",
        json={"query": "query($id: UUID!) { shop(shopId: $id) { code } }", "variables": {"id": str(shop.id)}},
        headers=theirs,
    )
    assert data.json()["errors"][0]["extensions"]["code"] == "shop_not_found"


@pytest.mark.feature("ACC-5", "GAT-1", "GAT-3")
async def test_reading_is_not_writing_through_either_door(
    client: Client, business: Business, admin: dict[str, str]
) -> None:
    reader = bearer(await token_of(client, await business.client("accounts:read")))
    refused = await client.post("/v1/shops", json=SHOP | {"code": "mine"}, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    mutation = """mutation { createShop(code: "mine", name: "x", currency: "EUR", locale: "pt") {
        ... on Shop { id } ... on Problem { code status } } }"""
    assert (await graphql(client, reader, mutation))["createShop"] == {"code": "missing_scope", "status": 403}
    listed = await client.get("/v1/shops?code=mine", headers=admin)
    assert listed.json() == {"items": [], "next": None}


@pytest.mark.feature("ACC-5", "GAT-1")
async def test_a_client_made_twice_with_one_key_is_one_client(client: Client, admin: dict[str, str]) -> None:
    headers = admin | {"Idempotency-Key": "new till"}
    draft = {"name": "till", "scopes": ["catalog:read"]}
    first = await client.post("/v1/api-clients", json=draft, headers=headers)
    again = await client.post("/v1/api-clients", json=draft, headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert await token_of(client, (first.json()["client_id"], again.json()["client_secret"]))
