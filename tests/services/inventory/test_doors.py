"""Inventory through REST and GraphQL: bodies of every kind, scopes, other tenants."""

import json
from typing import Any

import pytest

from deploy import topology
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-1", "INV-2", "INV-5", "GAT-1", "GAT-2")


NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def owner(process: topology.Surrounded) -> Merchant:
    owner = Merchant(process)
    await owner.open_shop()
    return owner


async def test_stock_is_set_by_ndjson_and_by_json(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(caller_of(owner.organization_id, "inventory:write"))
    ndjson = (
        b'{"sku": "A", "centre": "main", "on_hand": 12}\n\n{"sku": "B", "delta": 3}\r\n'
        b'rubbish\n{"sku": "A", "delta": -20}\n'
    )
    answer = await client.post("/v1/stock/bulk", content=ndjson, headers=headers | NDJSON)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["applied"], told["failed"]) == (2, 2)
    assert [row["status"] for row in told["results"]] == ["applied", "applied", "failed", "failed"]
    answer = await client.post("/v1/stock/bulk", json=[{"sku": "A", "on_hand": 2}], headers=headers)
    assert answer.json()["results"][0]["on_hand"] == 2
    levels = (await client.get("/v1/stock", params={"sku": "A"}, headers=headers)).json()["items"]
    assert [(level["centre"], level["on_hand"], level["available"]) for level in levels] == [("main", 2, 2)]
    movements = (await client.get("/v1/stock-movements", params={"sku": "A"}, headers=headers)).json()["items"]
    assert [(m["on_hand_before"], m["on_hand_after"]) for m in movements] == [(12, 2), (0, 12)]


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-www-form-urlencoded", "text/plain", None])
async def test_rows_of_another_kind_are_not_guessed_at(client: Client, owner: Merchant, media_type: str | None) -> None:
    headers = client.speaking_as(owner.caller) | ({"Content-Type": media_type} if media_type else {})
    row = b'{"sku": "A", "centre": "main", "on_hand": 12}'
    answer = await client.post("/v1/stock/bulk", content=row, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/x-ndjson" in answer.json()["detail"]
    assert (await client.get("/v1/stock", headers=headers)).json()["items"] == []


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/x-ndjson", "application/JSONL"])
async def test_rows_are_read_by_what_they_say_they_are(client: Client, owner: Merchant, media_type: str) -> None:
    headers = client.speaking_as(owner.caller) | {"Content-Type": media_type}
    row = b'{"sku": "A", "centre": "main", "on_hand": 12}'
    answer = await client.post("/v1/stock/bulk", content=row, headers=headers)
    assert (answer.status_code, answer.json()["applied"]) == (200, 1)


async def test_a_repeated_request_with_its_key_counts_once(client: Client, owner: Merchant) -> None:
    caller = caller_of(owner.organization_id, "inventory:write")
    headers = client.speaking_as(caller, Idempotency_Key="delivery-9")
    answers = [await client.post("/v1/stock/bulk", json=[{"sku": "K", "delta": 5}], headers=headers) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert (await owner.level("K")).on_hand == 5
    other = await client.post("/v1/stock/bulk", json=[{"sku": "K", "delta": 6}], headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[{", 400, "malformed_json"),
        (b"", 422, "no_rows"),
        (b"[]", 422, "no_rows"),
        (b"\xff\xfe", 200, None),
        (json.dumps([{}] * 10_001).encode(), 413, "too_many_rows"),
    ],
)
async def test_a_body_that_cannot_be_taken(
    client: Client, owner: Merchant, body: bytes, status: int, code: Any
) -> None:
    headers = client.speaking_as(owner.caller) | NDJSON
    answer = await client.post("/v1/stock/bulk", content=body, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


@pytest.mark.feature("INV-2")
@pytest.mark.parametrize(
    "body",
    [
        b'{"sku": "UN-1", "centre": "main", "on_hand": 3',
        b'{"a": NaN}',
        b'[{"sku": "UN-1", "on_hand": 3}',
        b'{"sku": "UN-1", "on_hand": 3}\n{"sku": "UN-2", "on_hand": 3}',
        b"",
    ],
)
async def test_what_is_said_to_be_json_is_one_document_or_refused(client: Client, owner: Merchant, body: bytes) -> None:
    headers = client.speaking_as(owner.caller) | {"Content-Type": "application/json"}
    answer = await client.post("/v1/stock/bulk", content=body, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (400, "malformed_json"), answer.text
    assert (await client.get("/v1/stock", headers=headers)).json()["items"] == []


@pytest.mark.feature("INV-2")
async def test_one_row_over_several_lines_is_one_document(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller) | {"Content-Type": "application/json"}
    row = json.dumps({"sku": "A", "on_hand": 12}, indent=2)
    answer = await client.post("/v1/stock/bulk", content=row, headers=headers)
    assert (answer.status_code, answer.json()["applied"]) == (200, 1)


async def test_scopes_and_tenants(client: Client, owner: Merchant) -> None:
    await owner.stocked({"A": 5})
    reader = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))
    answer = await client.post("/v1/stock/bulk", json=[{"sku": "A", "on_hand": 1}], headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert (await client.get("/v1/stock")).status_code == 401
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.get("/v1/stock", headers=stranger)).json()["items"] == []
    answer = await client.get("/v1/stock", params={"centre": "main"}, headers=stranger)
    assert (answer.status_code, answer.json()["code"]) == (404, "centre_not_found")


async def test_centres_are_made_assigned_and_changed(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    made = await client.post("/v1/fulfilment-centres", json={"code": "store", "name": "Store"}, headers=headers)
    assert made.status_code == 201, made.text
    path = f"/v1/fulfilment-centres/{made.json()['id']}"
    assigned = await client.post(f"{path}/assign", json={"shop": "main", "preference": 5}, headers=headers)
    assert assigned.json()["shops"][0]["preference"] == 5
    changed = await client.patch(path, json={"name": "Shop floor", "is_default": True}, headers=headers)
    assert (changed.json()["name"], changed.json()["is_default"]) == ("Shop floor", True)
    assert (await client.post(f"{path}/unassign", json={"shop": "main"}, headers=headers)).json()["shops"] == []
    listed = (await client.get("/v1/fulfilment-centres", headers=headers)).json()["items"]
    assert [(centre["code"], centre["is_default"]) for centre in listed] == [("main", False), ("store", True)]
    bad = await client.post("/v1/fulfilment-centres", json={"code": "Not A Code", "name": "x"}, headers=headers)
    assert bad.status_code == 422
    assert (await client.get(f"{path}", headers=client.speaking_as(caller_of(new_id())))).status_code == 404


async def test_policy_is_put(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    body = {"sku": "P", "centre": "main", "policy": "backorder", "warning_level": 3}
    level = (await client.put("/v1/stock", json=body, headers=headers)).json()
    assert (level["policy"], level["warning_level"], level["on_hand"]) == ("backorder", 3, 0)
    bad = await client.put("/v1/stock", json={**body, "policy": "sometimes"}, headers=headers)
    assert bad.status_code == 422


async def test_graphql_updates_and_lists_stock(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    mutation = (
        "mutation($rows: [JSON!]!) { updateStock(rows: $rows) { ... on StockUpdated { applied results { sku status } }"
        " ... on Problem { code } } }"
    )
    body = {"query": mutation, "variables": {"rows": [{"sku": "G", "on_hand": 4}]}}
    answer = (await client.post("/graphql", json=body, headers=headers)).json()
    assert answer["data"] == {"updateStock": {"applied": 1, "results": [{"sku": "G", "status": "APPLIED"}]}}
    query = '{ stock(sku: "G") { edges { node { sku onHand available centre } } } }'
    answer = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
    assert answer["data"]["stock"]["edges"][0]["node"] == {"sku": "G", "onHand": 4, "available": 4, "centre": "main"}
