"""Whatever carries a version is changed with `If-Match`, and says so; what changed meanwhile is 412."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy import topology
from deploy.topology import Surrounded
from gateway.openapi import operations
from shared.bus.envelope import Caller
from tests.doors import Client, eventually
from tests.factories import accounts

pytestmark = pytest.mark.feature("GAT-1")


# Withdrawn is withdrawn, whatever else was changed meanwhile; a stock's version counts its movements, not its policy.
WITHOUT = {
    "POST /v1/api-clients/{client_id}/revoke",
    "POST /v1/api-clients/{client_id}/secrets/{secret_id}/retire",
    "POST /v1/api-clients/{client_id}/keys/{key_id}/revoke",
    "PUT /v1/stock",
    "POST /v1/stock/adjust",
    # What they do is the same whatever else was changed of the connection, and done twice it is done once.
    *(f"POST /v1/connections/{{connection_id}}/{verb}" for verb in ("pause", "resume", "test", "go-live")),
    "POST /v1/connections/{connection_id}/matches/confirm",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return topology.web_application().openapi()


def answer_of(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema of the answer where it succeeds, without its reference."""
    [content] = [
        answer.get("content", {}) for status, answer in operation["responses"].items() if status.startswith("2")
    ]
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    return document["components"]["schemas"].get(name, schema)


def changes_of_versioned_things(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Operations that change what is there already and answer it with its version."""
    for method, path, operation in operations(document):
        is_new = "201" in operation["responses"] and "{" not in path
        has_version = "version" in answer_of(operation, document).get("properties", {})
        if method != "GET" and has_version and not is_new:
            yield f"{method} {path}", operation


def test_every_change_of_what_has_a_version_takes_if_match_and_may_say_412(document: dict[str, Any]) -> None:
    found = dict(changes_of_versioned_things(document))
    assert len(found) > 20
    deaf = {
        name
        for name, operation in found.items()
        if not any(each["name"].lower() == "if-match" for each in operation["parameters"])
        or "412" not in operation["responses"]
        or not gives_etag(operation)
    }
    assert deaf == WITHOUT


def test_no_tag_is_promised_for_what_is_changed_without(document: dict[str, Any]) -> None:
    changes = dict(changes_of_versioned_things(document))
    assert [name for name in WITHOUT if gives_etag(changes[name])] == []


def gives_etag(operation: dict[str, Any]) -> bool:
    return any("ETag" in answer.get("headers", {}) for answer in operation["responses"].values())


# --- through the door


async def is_obeyed(client: Client, headers: dict[str, str], read: str, changes: list[tuple[str, str, Any]]) -> None:
    """Each change is made to what was read and to nothing else; `read` is where it is read."""
    for method, path, body in changes:
        tag = (await client.get(read, headers=headers)).headers["etag"]
        for given, status in (('"77"', 412), ('W/"77"', 412), ('"other"', 412), ("garbage", 400), ('"1", "2"', 400)):
            before = (await client.get(read, headers=headers)).json()
            late = await client.request(method, path, json=body, headers=headers | {"If-Match": given})
            assert late.status_code == status, f"{method} {path} {late.text}"
            assert (await client.get(read, headers=headers)).json() == before
        made = await client.request(method, path, json=body, headers=headers | {"If-Match": tag})
        assert made.status_code == 200, made.text
        now = (await client.get(read, headers=headers)).headers["etag"]
        assert (made.headers["etag"], now == tag) == (now, False), f"{method} {path}"
        again = await client.request(method, path, json=body, headers=headers | {"If-Match": tag})
        assert again.status_code == 412, f"{method} {path}"


@pytest.fixture(scope="module")
async def headers(client: Client, process: Surrounded, merchant: Caller) -> dict[str, str]:
    """Of a merchant whose first shop inventory has heard of."""
    assert merchant.organization_id is not None
    await accounts.make(process, merchant.organization_id)
    speaking = client.speaking_as(merchant)

    async def is_served() -> Any:
        return (await client.get("/v1/fulfilment-centres", headers=speaking)).json()["items"]

    await eventually(is_served)
    return speaking


@pytest.fixture(scope="module")
async def client_path(client: Client, headers: dict[str, str]) -> str:
    """Of an API client of the merchant's."""
    made = await client.post("/v1/api-clients", json={"name": "Till", "scopes": ["catalog:read"]}, headers=headers)
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


@pytest.fixture(scope="module")
def shop(merchant: Caller, headers: dict[str, str]) -> str:
    """Its code, as `accounts.make` gives it."""
    assert merchant.organization_id is not None
    return f"shop-{merchant.organization_id.hex[-12:]}"


@pytest.mark.feature("INV-1")
async def test_a_centre_is_changed_only_as_it_was_read(client: Client, headers: dict[str, str], shop: str) -> None:
    made = await client.post("/v1/fulfilment-centres", json={"code": "loft", "name": "Loft"}, headers=headers)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    path = made.headers["location"]
    changes = [
        ("PATCH", path, {"name": "Attic"}),
        ("POST", f"{path}/assign", {"shop": shop}),
        ("POST", f"{path}/unassign", {"shop": shop}),
    ]
    await is_obeyed(client, headers, path, changes)
    listed = (await client.get("/v1/audit-log?service=inventory&action=centre.*", headers=headers)).json()["items"]
    assert all("expected_version" not in {**(each["before"] or {}), **(each["after"] or {})} for each in listed)


@pytest.mark.feature("PAY-1")
async def test_a_payment_gateway_is_changed_only_as_it_was_read(
    client: Client, headers: dict[str, str], shop: str
) -> None:
    body = {"shop": shop, "provider": "stripe", "secrets": ["whsec_of_the_tests"]}

    async def is_made() -> Any:
        answer = await client.post("/v1/payment-gateways", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer

    made = await eventually(is_made)
    assert made.headers["etag"] == '"1"'
    path = made.headers["location"]
    changes = [
        ("PATCH", path, {"allowed_networks": ["192.0.2.0/24"]}),
        ("POST", f"{path}/disable", None),
        ("POST", f"{path}/enable", None),
    ]
    await is_obeyed(client, headers, path, changes)


@pytest.mark.feature("ACC-6")
async def test_who_has_read_a_client_hears_of_its_new_secrets_and_keys(
    client: Client, headers: dict[str, str], client_path: str
) -> None:
    async def is_told(change: str, body: Any = None) -> Any:
        tag = (await client.get(client_path, headers=headers)).headers["etag"]
        known = {**headers, "If-None-Match": tag}
        assert (await client.get(client_path, headers=known)).status_code == 304
        answer = await client.post(f"{client_path}/{change}", json=body, headers=headers)
        assert answer.is_success, answer.text
        assert (await client.get(client_path, headers=known)).status_code == 200, change
        return answer.json()

    secret = await is_told("secrets")
    await is_told(f"secrets/{secret['id']}/retire")
    key = await is_told("keys", {"name": "Till"})
    await is_told(f"keys/{key['id']}/revoke", {})
    await is_told("revoke", {})
