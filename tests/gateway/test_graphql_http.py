"""GraphQL over HTTP: methods, media types, status codes (https://graphql.github.io/graphql-over-http/draft/)."""

import pytest
from graphql import build_client_schema, get_introspection_query, print_schema

from shared.bus.envelope import Caller
from tests.doors import Client

GRAPHQL = "application/graphql-response+json"
DELIVERIES = "{ parkedDeliveries(service: CATALOG) { edges { node { eventId } } pageInfo { hasNextPage } } }"
pytestmark = pytest.mark.feature("GAT-2")


async def test_a_query_runs_by_post_and_by_get_alike(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant, Accept=GRAPHQL)
    posted = await client.post("/graphql", json={"query": DELIVERIES}, headers=headers)
    got = await client.get("/graphql", params={"query": DELIVERIES, "variables": "{}"}, headers=headers)
    assert posted.json()["data"] == {"parkedDeliveries": {"edges": [], "pageInfo": {"hasNextPage": False}}}
    assert got.content == posted.content
    assert posted.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (GRAPHQL, GRAPHQL),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        (f"application/json;q=0.5, {GRAPHQL}", GRAPHQL),
        (f"application/json, {GRAPHQL};q=0.1", "application/json"),
    ],
)
async def test_the_answer_comes_in_the_accepted_media_type(client: Client, accept: str, expected: str) -> None:
    answer = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["data"]) == (200, {"__typename": "Query"})
    assert answer.headers["content-type"] == f"{expected}; charset=utf-8"


async def test_without_accept_the_answer_is_json(client: Client) -> None:
    del client.headers["accept"]
    try:
        answer = await client.post("/graphql", json={"query": "{ __typename }"})
    finally:
        client.headers["accept"] = "*/*"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "invalid_document"),
        ({"query": "{ nothing }"}, "invalid_document"),
        ({"query": "query A { __typename } query B { __typename }"}, "unknown_operation"),
        ({"query": "query A { __typename }", "operationName": "B"}, "unknown_operation"),
        (
            {"query": "query($s: ServiceName!) { parkedTasks(service: $s) { nodes { kind } } }"},
            "invalid_variables",
        ),
        (
            {
                "query": "query($f: Int) { parkedDeliveries(service: CATALOG, first: $f) { nodes { event } } }",
                "variables": {"f": "many"},
            },
            "invalid_variables",
        ),
    ],
)
async def test_what_cannot_be_run_has_no_data(client: Client, body: dict[str, object], code: str) -> None:
    strict = await client.post("/graphql", json=body, headers={"Accept": GRAPHQL})
    loose = await client.post("/graphql", json=body, headers={"Accept": "application/json"})
    assert (strict.status_code, loose.status_code) == (400, 200)
    for answer in (strict, loose):
        assert "data" not in answer.json()
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == [code]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b"[]", 400, "batch_refused"),
        (b'[{"query": "{ __typename }"}]', 400, "batch_refused"),
        (b'"x"', 400, "invalid_graphql_request"),
        (b"{}", 400, "invalid_graphql_request"),
        (b'{"query": ""}', 400, "invalid_graphql_request"),
        (b'{"query": 1}', 400, "invalid_graphql_request"),
        (b'{"query": "{ __typename }", "variables": []}', 400, "invalid_graphql_request"),
        (b'{"query": "{ __typename }", "operationName": 1}', 400, "invalid_graphql_request"),
        (b'{"query": "{ __typename }", "extensions": "x"}', 400, "invalid_graphql_request"),
    ],
)
async def test_what_cannot_be_read_is_a_problem(client: Client, content: bytes, status: int, code: str) -> None:
    answer = await client.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_null_parameters_are_as_left_out(client: Client) -> None:
    body = {"query": "{ __typename }", "operationName": None, "variables": None, "extensions": None}
    assert (await client.post("/graphql", json=body)).json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
)
async def test_other_media_types_are_refused(client: Client, media_type: str) -> None:
    answer = await client.post("/graphql", content=b"{}", headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_only_a_type_we_have_is_acceptable(client: Client) -> None:
    answer = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


async def test_a_mutation_is_not_run_by_get(client: Client, merchant: Caller) -> None:
    mutation = "mutation { replayDeliveries(service: CATALOG) { __typename } }"
    answer = await client.get("/graphql", params={"query": mutation}, headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (405, "mutation_by_get")
    assert answer.headers["allow"] == "POST"


async def test_a_mutation_answers_its_result_or_a_problem(client: Client, merchant: Caller) -> None:
    mutation = """mutation { replayDeliveries(service: CATALOG) {
        __typename ... on Replayed { count } ... on Problem { code status detail } } }"""
    good = await client.post("/graphql", json={"query": mutation}, headers=client.speaking_as(merchant))
    assert good.json()["data"] == {"replayDeliveries": {"__typename": "Replayed", "count": 0}}
    bad = await client.post("/graphql", json={"query": mutation})
    refused = bad.json()["data"]["replayDeliveries"]
    assert (refused["__typename"], refused["code"], refused["status"]) == ("Problem", "unauthenticated", 401)


async def test_a_field_that_fails_says_why_beside_the_others(client: Client) -> None:
    answer = await client.post("/graphql", json={"query": DELIVERIES.replace("{", "{ __typename ", 1)})
    assert answer.status_code == 200
    assert answer.json()["data"] == {"__typename": "Query", "parkedDeliveries": None}
    [error] = answer.json()["errors"]
    assert error["path"] == ["parkedDeliveries"]
    assert error["extensions"]["code"] == "unauthenticated"
    assert error["extensions"]["request_id"] == answer.headers["x-request-id"]


async def test_introspection_is_answered(client: Client) -> None:
    answer = await client.post("/graphql", json={"query": get_introspection_query()})
    assert "parkedDeliveries" in print_schema(build_client_schema(answer.json()["data"]))
