"""What a GraphQL operation may cost: sizes before validation, the price before asking (FEATURES GAT-2)."""

from typing import Any

import orjson
import pytest

from gateway.graphql import documents, introspection
from gateway.graphql.app import schema
from gateway.graphql.context import Context
from gateway.graphql.cost import MAX_COST, price
from gateway.graphql.documents import Documents
from gateway.graphql.execution import execute
from gateway.graphql.http import body_of
from gateway.graphql.schema import Schema, build
from shared.bus.ask import Asker
from shared.bus.envelope import Caller
from shared.bus.local import LocalBus
from tests.doors import Client
from tests.gateway.test_graphql_types import FIELDS as LINKED

GRAPHQL = "application/graphql-response+json"
pytestmark = pytest.mark.feature("GAT-2")


def fragment_bomb() -> str:
    """Each fragment spreads the next twice: 2 to the 40th fields in a thousand tokens."""
    fragments = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(40)]
    return "{ ...f0 } " + " ".join(fragments) + " fragment f40 on Query { __typename }"


def chain(length: int, last: str = "__typename") -> str:
    fragments = [f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(length)]
    return "{ ...f0 } " + " ".join(fragments) + f" fragment f{length} on Query {{ {last} }}"


def deep(levels: int, inner: str) -> str:
    return "{ " + "__schema { types { " * (levels // 2) + inner + " } }" * (levels // 2) + " }"


NESTED = "fields { type { " * 8 + "name" + " } }" * 8
TOO_LARGE = {
    "depth": "{ " + "__schema { types { " * 11 + "name" + " } }" * 11 + " }",
    "depth of 50": deep(50, "name"),
    "depth over fragments": "{ __schema { types { ...a } } } fragment b on __Type { ofType { ofType { name } } }"
    f" fragment a on __Type {{ {NESTED.replace('name', '...b')} }}",
    "aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(51)) + "}",
    "a thousand aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(1200)) + "}",
    "10,000 aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(10_000)) + "}",
    "fragments that double": fragment_bomb(),
    "a long chain of fragments": chain(400),
    "many fragments": "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ __typename }}" for n in range(101)),
    "one field very often": "{ " + "__typename " * 1900 + "}",
    "one object very often": "{ " + "shops { nodes { code } } " * 60 + "}",
    "one field over inline fragments": "{ " + "... on Query { __typename } " * 500 + "}",
    "one field in a fragment that nobody spreads": "{ __typename } fragment a on Query { " + "__typename " * 500 + "}",
    "a long text": "# " + "a" * 100_001 + "\n{ __typename }",
    "one word": "{ " + "a" * 100_001 + " }",
}


@pytest.mark.parametrize("query", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_what_is_too_large_is_refused_before_it_is_validated(
    client: Client, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was validated")

    monkeypatch.setattr(documents, "validate", validate)
    answer = await client.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL})
    assert answer.status_code == 400
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["operation_too_large"]


@pytest.mark.parametrize(
    "query",
    [
        "{" + " a" * 5000 + "}",
        "{a" * 1900 + "}" * 1900,
        "{ " + "... { " * 1500 + "__typename" + " }" * 1500 + " }",
        "{ offers(shop: " + "[" * 1900 + "]" * 1900 + ") { total } }",
    ],
    ids=["tokens", "depth", "inline fragments", "lists"],
)
async def test_what_is_beyond_reading_is_not_read_on(client: Client, query: str) -> None:
    answer = await client.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "invalid_document")


@pytest.mark.parametrize(
    "query",
    [
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ ...a } fragment a on Query { ...a __typename }",
        "{ __typename } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ {' '.join(f'...f{o}' for o in range(40))} }}" for n in range(40)),
    ],
    ids=["of two", "of one", "that nobody spreads", "each in each"],
)
async def test_a_fragment_cycle_is_refused_by_its_name(client: Client, query: str) -> None:
    answer = await client.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL})
    assert answer.status_code == 400
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"invalid_document"}
    assert "Cannot spread fragment" in answer.json()["errors"][0]["message"]


async def test_of_very_many_mistakes_some_are_named(client: Client) -> None:
    query = "{ " + " ".join(f"offerz{n}" for n in range(1900)) + " }"
    answer = await client.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL})
    assert answer.status_code == 400
    messages = [error["message"] for error in answer.json()["errors"]]
    assert 0 < len(messages) <= 11
    assert "Did you mean 'offers'" in messages[0] or "'offer'" in messages[0]


@pytest.mark.parametrize(
    "variables",
    [{"f": {"brand": "[" * 5000}}, {"f": {"brand": ["x" * 900_000]}}, {"f": {"brand": ["x"] * 100_000}}],
    ids=["not a list", "a long text", "a long list"],
)
async def test_variables_that_are_huge_or_wrong_are_named(
    client: Client, merchant: Caller, variables: dict[str, Any]
) -> None:
    query = 'query($f: OfferFilterInput) { offers(shop: "main", filter: $f) { total } }'
    body = {"query": query, "variables": variables}
    answer = await client.post("/graphql", json=body, headers=client.speaking_as(merchant))
    assert answer.status_code == 200
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["validation_failed"]


async def test_variables_nested_beyond_reading_are_malformed(client: Client) -> None:
    content = b'{"query": "{ __typename }", "variables": {"f": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
    answer = await client.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


# --- cost


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ __typename }", None, 0),
        ('{ offer(shop: "main", slug: "x") { slug title } }', None, 10),
        ('{ offer(shop: "main", slug: "x") { slug price { amount } variants { price { amount } } } }', None, 21),
        ('{ offers(shop: "main") { total } }', None, 10),
        ('{ offers(shop: "main") { nodes { slug } } }', None, 10 + 20),
        ('{ offers(shop: "main", first: 50) { nodes { slug variants { sku } } pageInfo { endCursor } } }', None, 311),
        ('{ offers(shop: "main") { facets { brand { value } price { ranges { count } } } } }', None, 10 + 1 + 5 + 6),
        ('{ offers(shop: "main", first: 2) { nodes { ...v } } } fragment v on Offer { variants { sku } }', None, 22),
        ('{ offers(shop: "main", first: 3) { edges { cursor node { slug } } nodes { slug } } }', None, 10 + 3 * 3),
        ("query($n: Int) { shops(first: $n) { nodes { code } } }", {"n": 7}, 17),
        ("query($n: Int = 9) { shops(first: $n) { nodes { code } } }", {}, 19),
        ("query($n: Int) { shops(first: $n) { nodes { code } } }", {"n": "many"}, 60),
        ("query($n: Int) { shops(first: $n) { nodes { code } } }", {"n": -5}, 10),
        ("{ a: shops(first: 1) { ...p } } fragment p on ShopConnection { ... { nodes { code } } }", None, 11),
        ("{ __schema { types { name } } }", None, 11),
    ],
)
def test_an_operation_costs_what_it_asks_and_the_objects_it_may_be_answered(
    query: str, variables: dict[str, Any] | None, expected: int
) -> None:
    document = schema().documents.of(query)
    assert document.errors == []
    assert price(schema(), document, None).of(variables) == expected


async def test_the_cost_is_in_the_answer_and_too_much_is_refused_before_anything_is_asked(
    client: Client, merchant: Caller
) -> None:
    headers = client.speaking_as(merchant)
    query = "query($n: Int) { shops(first: $n) { nodes { code } } }"
    answer = await client.post("/graphql", json={"query": query, "variables": {"n": 5}}, headers=headers)
    assert answer.json()["extensions"] == {"cost": {"requested": 15, "limit": MAX_COST}}
    dear = await client.post(
        "/graphql", json={"query": query, "variables": {"n": 10**9}}, headers=headers | {"Accept": GRAPHQL}
    )
    assert dear.status_code == 400
    assert [error["extensions"]["code"] for error in dear.json()["errors"]] == ["operation_too_large"]
    mutation = "mutation { replayTasks(service: CATALOG) { ... on Replayed { count } } }"
    changed = await client.post("/graphql", json={"query": mutation}, headers=headers)
    assert changed.json()["extensions"]["cost"]["requested"] == 10


# --- what is remembered


def test_documents_are_made_once_and_what_they_remember_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_REMEMBERED_CHARACTERS", 100)
    known = Documents(schema())
    first = known.of("{ __typename }")
    assert known.of("{ __typename }") is first
    assert known.of("{ nothing }") is not known.of("{ nothing }")
    for number in range(9):
        known.of(f"{{ a{number}: __typename }}")
    assert known.of("{ __typename }") is not first


# --- what is asked about the schema

QUESTION = "{ __schema { types { name kind } } }"


def introspected() -> tuple[Schema, Context]:
    """A schema that nobody asked about, and somebody who asks."""
    made = build([LINKED])
    asker = Asker(bus=LocalBus({}), caller=Caller(kind="anonymous"), request_id="r")
    return made, Context(asker)


async def ask(made: Schema, context: Context, text: str, variables: dict[str, Any] | None = None) -> Any:
    result = await execute(made, made.documents.of(text), None, variables, context)
    return orjson.loads(body_of(result, context))


async def test_the_schema_is_found_out_once_for_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    made, context = introspected()
    first = await ask(made, context, QUESTION)
    assert {"name": "Lamp", "kind": "OBJECT"} in first["data"]["__schema"]["types"]
    monkeypatch.setattr(made, "execute", None)
    assert await ask(made, context, QUESTION) == first


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("query($name: String!) { __type(name: $name) { name } }", [{"name": "Lamp"}, {"name": "Maker"}]),
        (
            "query($all: Boolean!) { __schema { queryType { name @include(if: $all) kind } } }",
            [{"all": True}, {"all": False}],
        ),
    ],
)
async def test_other_variables_are_other_questions(text: str, variables: list[dict[str, Any]]) -> None:
    made, context = introspected()
    answers = [await ask(made, context, text, each) for each in variables]
    assert answers[0]["data"] != answers[1]["data"]


async def test_ever_new_words_are_answered_until_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(introspection, "monotonic", lambda: now)
    made, context = introspected()
    run = made.execute

    async def slow(*given: Any, **more: Any) -> Any:
        nonlocal now
        now += 2.0
        return await run(*given, **more)

    monkeypatch.setattr(made, "execute", slow)
    texts = [f"{{ a{number}: __typename __schema {{ types {{ name }} }} }}" for number in range(5)]
    for text in texts[:2]:
        assert "data" in await ask(made, context, text)
    refused = await ask(made, context, texts[2])
    assert refused["errors"][0]["extensions"]["code"] == "introspected_too_often"
    wait = refused["errors"][0]["extensions"]["retry_after_seconds"]
    assert "data" in await ask(made, context, texts[0]), "what is known is still said"
    now += wait
    assert "data" in await ask(made, context, texts[2])


# --- what the grammar has not


@pytest.mark.parametrize(
    ("query", "column"),
    [
        ("{ }", 3),
        ("query Q { }", 11),
        ('{ offers(shop: "main") { } }', 26),
        ("{ ... { } }", 9),
        ("fragment F on Query { } { __typename }", 23),
        ("subscription { }", 16),
    ],
)
async def test_an_empty_selection_is_a_syntax_error(client: Client, merchant: Caller, query: str, column: int) -> None:
    headers = client.speaking_as(merchant, accept=GRAPHQL)
    answer = await client.post("/graphql", json={"query": query}, headers=headers)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "invalid_document"
    assert error["message"] == "Syntax Error: Expected Name, found '}'."
    assert error["locations"] == [{"line": 1, "column": column}]
    assert "data" not in answer.json()
