"""GraphQL operations that are named by a hash: automatic and registered ones (FEATURES GAT-2)."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from gateway.graphql import persisted
from gateway.graphql.app import schema
from gateway.graphql.http import GraphqlEndpoint
from gateway.graphql.persisted import Asked, InvalidRegisteredOperation, Operations
from shared.bus.envelope import Caller
from tests.doors import Client, KnownCallers

pytestmark = pytest.mark.feature("GAT-2")

GRAPHQL = "application/graphql-response+json"
SHOPS = "query Shops($first: Int) { shops(first: $first) { nodes { code } } }"


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def named(text: str, **more: Any) -> dict[str, Any]:
    """The extension alone."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hashed(text)}}, **more}


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json()["errors"]]


async def test_an_operation_is_sent_once_and_known_by_its_hash_from_then_on(client: Client, merchant: Caller) -> None:
    text = SHOPS + " # once"
    headers = client.speaking_as(merchant, Accept=GRAPHQL)
    unknown = await client.post("/graphql", json=named(text), headers=headers)
    assert (unknown.status_code, codes(unknown)) == (400, ["persisted_query_not_found"])
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert "data" not in unknown.json()
    sent = await client.post("/graphql", json=named(text, query=text, variables={"first": 2}), headers=headers)
    again = await client.post("/graphql", json=named(text, variables={"first": 2}), headers=headers)
    parameters = {"extensions": json.dumps(named(text)["extensions"]), "variables": '{"first": 2}'}
    got = await client.get("/graphql", params=parameters, headers=headers)
    by_id = {"documentId": f"sha256:{hashed(text)}", "variables": {"first": 2}}
    identified = await client.post("/graphql", json=by_id, headers=headers)
    assert sent.json()["data"]["shops"] is not None
    assert sent.content == again.content == got.content == identified.content


async def test_plain_json_hears_of_an_unknown_hash_with_200(client: Client) -> None:
    answer = await client.post("/graphql", json=named("{ never }"), headers={"Accept": "application/json"})
    assert (answer.status_code, codes(answer)) == (200, ["persisted_query_not_found"])


async def test_a_hash_of_something_else_is_refused_and_not_remembered(client: Client) -> None:
    body = {"query": "{ __typename }"} | named("{ mine }")
    answer = await client.post("/graphql", json=body, headers={"Accept": GRAPHQL})
    assert (answer.status_code, codes(answer)) == (400, ["persisted_query_mismatch"])
    assert codes(await client.post("/graphql", json=named("{ mine }"))) == ["persisted_query_not_found"]


async def test_what_cannot_be_run_is_not_remembered(client: Client) -> None:
    text = "{ nothing }"
    assert codes(await client.post("/graphql", json=named(text, query=text))) == ["invalid_document"]
    assert codes(await client.post("/graphql", json=named(text))) == ["persisted_query_not_found"]


async def test_another_organization_does_not_find_it(client: Client, merchant: Caller, stranger: Caller) -> None:
    text = SHOPS + " # mine"
    own = client.speaking_as(merchant)
    assert "errors" not in (await client.post("/graphql", json=named(text, query=text), headers=own)).json()
    for headers in (client.speaking_as(stranger), {}):
        assert codes(await client.post("/graphql", json=named(text), headers=headers)) == ["persisted_query_not_found"]


async def test_a_mutation_by_its_hash_is_not_run_by_get(client: Client) -> None:
    text = "mutation { replayTasks(service: CATALOG) { __typename } }"
    assert (await client.post("/graphql", json=named(text, query=text))).status_code == 200
    got = await client.get("/graphql", params={"extensions": json.dumps(named(text)["extensions"])})
    assert (got.status_code, got.json()["code"]) == (405, "mutation_by_get")


@pytest.mark.parametrize(
    "body",
    [
        {"extensions": {"persistedQuery": "x"}},
        {"extensions": {"persistedQuery": {"sha256Hash": "0" * 64}}},
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 63}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "g" * 64}}},
        {"documentId": 7},
        {"documentId": "sha256:"},
    ],
)
async def test_what_is_no_hash_is_a_problem(client: Client, body: dict[str, Any]) -> None:
    answer = await client.post("/graphql", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_persisted_query")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "_REMEMBERED_CHARACTERS", 100)
    operations = Operations(schema())

    def sent(text: str) -> Asked:
        return Asked(text, hashed(text))

    first = sent("{ __typename }")
    for number in range(20):
        text = f"{{ a{number}: __typename }}"
        operations.remember(sent(text), text, None)
        operations.remember(first, first.text or "", None)
        assert operations.text(Asked(hash=hashed(text)), None) == text
    with pytest.raises(Exception, match="PersistedQueryNotFound"):
        operations.text(Asked(hash=hashed("{ a0: __typename }")), None)


# --- registered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shops.graphql").write_text(SHOPS)
    (tmp_path / "more.json").write_bytes(orjson.dumps({"kind": "{ __typename }"}))
    (tmp_path / "notes.txt").write_text("not an operation")
    return tmp_path


@pytest.fixture
async def strict(application: FastAPI, folder: Path) -> AsyncIterator[Client]:
    """A gateway that answers registered operations alone."""
    operations = Operations(schema(), folder, only_registered=True)
    endpoint = GraphqlEndpoint(schema(), operations)

    async def door(scope: Any, receive: Any, send: Any) -> None:
        await endpoint(scope | {"app": application, "state": {"request_id": "r"}}, receive, send)

    identities = application.state.identities
    assert isinstance(identities, KnownCallers)
    async with Client(door, identities) as speaking:  # type: ignore[arg-type]
        yield speaking


async def test_a_registered_operation_is_known_to_everybody_by_its_hash_and_its_id(
    strict: Client, merchant: Caller, stranger: Caller
) -> None:
    for caller in (merchant, stranger):
        headers = strict.speaking_as(caller)
        for body in (
            named(SHOPS),
            {"query": SHOPS},
            {"documentId": "shops"},
            {"documentId": f"sha256:{hashed(SHOPS)}"},
        ):
            answer = await strict.post("/graphql", json=body, headers=headers)
            assert answer.json()["data"]["shops"] is not None, answer.text
    kind = await strict.post("/graphql", json={"documentId": "kind"})
    assert kind.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("text", ["{ shops { nodes { code } } }", "{ __schema { queryType { name } } }", "{"])
async def test_where_only_registered_ones_are_run_everything_else_is_refused(strict: Client, text: str) -> None:
    for body in ({"query": text}, named(text, query=text)):
        answer = await strict.post("/graphql", json=body, headers={"Accept": GRAPHQL})
        assert (answer.status_code, codes(answer)) == (400, ["operation_not_registered"])
    assert codes(await strict.post("/graphql", json={"documentId": "unknown"})) == ["persisted_query_not_found"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.graphql", "{ nothing }", "'a' cannot be run: Cannot query field 'nothing'"),
        ("a.graphql", "{", "'a' cannot be run: Syntax Error"),
        ("a.json", "[", "a.json is not JSON"),
        ("a.json", '{"x": 1}', "a.json must be an object of ids and documents"),
        ("a.json", '{"x": "{ nothing }"}', "'x' cannot be run"),
    ],
)
def test_a_folder_that_cannot_be_used_is_said_at_the_start(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidRegisteredOperation, match=says):
        Operations(schema(), tmp_path)


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidRegisteredOperation, match="is not there"):
        Operations(schema(), tmp_path / "nowhere")
