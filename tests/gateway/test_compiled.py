"""The compiled path answers what the ordinary executor does, byte for byte (FEATURES GAT-2, DESIGN §4)."""

from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.graphql import execution
from gateway.graphql.app import schema
from gateway.graphql.compiled import Plan, plan
from gateway.graphql.context import Context
from gateway.graphql.execution import execute
from gateway.graphql.http import body_of
from gateway.graphql.schema import build
from shared.bus.ask import Asker
from shared.bus.envelope import Caller
from shared.errors import CarriedError, NotFound
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.gateway.graphql_operations import AnsweringBus, Operation, asked_in_full, whole
from tests.gateway.test_graphql_types import FIELDS as LINKED

pytestmark = pytest.mark.feature("GAT-2")

SCHEMA = schema()
READS = sorted(SCHEMA.reads)
CALLER = Caller(kind="client", organization_id=new_id(), id=new_id(), scopes=frozenset({"admin"}))


def asking(bus: Any) -> Context:
    return Context(Asker(bus=bus, caller=CALLER, request_id="the-request"))


async def run(text: str, variables: dict[str, Any] | None, bus: Any, *, is_compiled: bool = True) -> bytes:
    """What an operation is answered, as it is sent."""
    context = asking(bus)
    document = SCHEMA.documents.of(text)
    with pytest.MonkeyPatch.context() as patch:
        if not is_compiled:
            patch.setattr(execution, "plan", lambda *_: None)
        return body_of(await execute(SCHEMA, document, None, variables, context), context)


async def both(text: str, variables: dict[str, Any], **bus: Any) -> tuple[bytes, bytes]:
    """What the two of them answer."""
    compiled, ordinary = AnsweringBus(SCHEMA, **bus), AnsweringBus(SCHEMA, **bus)
    answers = await run(text, variables, compiled), await run(text, variables, ordinary, is_compiled=False)
    assert sorted(map(asked_in_full, compiled.asked)) == sorted(map(asked_in_full, ordinary.asked)), (
        "something was asked twice"
    )
    return answers


def compiled(text: str) -> Plan | None:
    document = SCHEMA.documents.of(text)
    return None if document.errors else plan(SCHEMA, document, None)


@pytest.mark.parametrize("mode", ["shapes", "json", "bytes"])
@pytest.mark.parametrize("name", READS)
async def test_every_field_of_every_read_is_compiled_and_answers_the_same(name: str, mode: str) -> None:
    text = whole(SCHEMA, name)
    one, other = await both(text, {}, seed=1, mode=mode)
    assert one == other
    made = compiled(text)
    assert made is not None
    written = await made.answer(asking(AnsweringBus(SCHEMA, seed=1, mode=mode)).ask, {})
    assert written is not None, "the ordinary executor had to answer"


@pytest.mark.parametrize("misfits", [0, 15], ids=["fit", "unfit"])
@pytest.mark.parametrize("mode", ["shapes", "json", "bytes"])
@given(seed=st.integers(0, 2**32), names=st.lists(st.sampled_from(READS), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_generated_operations_answer_the_same(seed: int, names: list[str], mode: str, misfits: int) -> None:
    operation = Operation(SCHEMA, Random(seed), names)
    one, other = await both(operation.text, operation.variables, seed=seed, mode=mode, misfits=misfits)
    assert one == other, operation.text
    assert b'"data":' in one or b"operation_too_large" in one, "the generator made an operation that is not valid"


async def test_what_services_refuse_stands_beside_what_they_answer() -> None:
    text = """{ one: offer(shop: "main", slug: "x") { slug } shops { nodes { code } }
        two: offer(shop: "main", slug: "y") { title } me { __typename } }"""
    problem = NotFound("There is no such offer.", [{"pointer": "/slug"}]).problem()
    errors = {"offer": CarriedError(problem), "me": RuntimeError("a defect")}
    one, other = await both(text, {}, seed=3, mode="shapes", errors=errors)
    assert one == other
    answer = orjson.loads(one)
    assert [error["path"] for error in answer["errors"]] == [["one"], ["two"], ["me"]]
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["not_found", "not_found", "internal_error"]
    assert answer["data"]["shops"]["nodes"]


async def test_an_answer_that_does_not_fit_is_not_asked_for_again() -> None:
    class Wrong:
        asked = 0

        async def ask(self, message: Any, envelope: Any) -> Any:
            self.asked += 1
            return orjson.dumps({"items": [{"slug": None, "title": "A"}, {"slug": "b", "title": "B"}], "next": None})

    bus = Wrong()
    answer = orjson.loads(await run('{ offers(shop: "main") { nodes { slug title } } }', None, bus))
    assert bus.asked == 1
    assert answer["data"] == {"offers": None}
    assert answer["errors"][0]["path"] == ["offers", "nodes", 0, "slug"]


async def test_the_second_page_from_inside_a_page_is_the_same() -> None:
    text = 'query($after: String) { offers(shop: "main", first: 5, after: $after) { edges { cursor } nodes { slug } } }'
    first = await both(text, {}, seed=8, mode="json")
    cursor = orjson.loads(first[0])["data"]["offers"]["edges"][0]["cursor"]
    one, other = await both(text, {"after": cursor}, seed=8, mode="json")
    assert one == other
    assert first[0] == first[1]


async def test_each_including_and_skipping_has_its_own_form() -> None:
    text = """query($a: Boolean!, $b: Boolean = true) { shops { nodes {
        code @include(if: $a) ... @skip(if: $b) { name } __typename } } }"""
    for variables in ({"a": True}, {"a": False}, {"a": True, "b": False}, {"a": False, "b": False}, {"a": 1}, {}):
        one, other = await both(text, variables, seed=2, mode="shapes")
        assert one == other


async def test_more_forms_than_are_kept_are_answered_all_the_same() -> None:
    declared = ", ".join(f"$v{number}: Boolean!" for number in range(6))
    fields = " ".join(f"a{number}: code @include(if: $v{number})" for number in range(6))
    for bits in range(64):
        variables = {f"v{number}": bool(bits >> number & 1) for number in range(6)}
        one, other = await both(
            f"query({declared}) {{ shops {{ nodes {{ {fields} }} }} }}", variables, seed=2, mode="json"
        )
        assert one == other


@pytest.mark.parametrize("depth", [2, 300, 900])
async def test_variables_may_lie_as_deep_as_json_does(depth: int) -> None:
    nested: Any = "x"
    for _ in range(depth):
        nested = [nested]
    text = 'query($f: OfferFilterInput) { offers(shop: "main", filter: $f) { total } }'
    one, other = await both(text, {"f": {"brand": nested}}, seed=1, mode="json")
    assert one == other


async def test_the_same_variables_ask_the_same_again_and_others_ask_anew() -> None:
    text = "query($first: Int, $after: String) { shops(first: $first, after: $after) { nodes { code } } }"
    bus = AnsweringBus(SCHEMA, seed=1, mode="json")
    for first in [3, 4, 3, *range(5, 30), 3]:
        await run(text, {"first": first}, bus)
    assert [message.first for message in bus.asked] == [3, 4, 3, *range(5, 30), 3]  # type: ignore[attr-defined]
    for _ in range(2):
        refused = orjson.loads(await run(text, {"first": 0}, bus))
        assert refused["errors"][0]["extensions"]["code"] == "validation_failed"


@pytest.mark.parametrize(
    "text",
    [
        "mutation { replayTasks(service: CATALOG) { ... on Problem { code } } }",
        '{ node(id: "x") { id } }',
        "{ __schema { queryType { name } } }",
        '{ shops { nodes { code } } __type(name: "Shop") { name } }',
        "query A { __typename } query B { __typename }",
        "subscription { jobProgress(jobId: 1) { id } }",
    ],
)
def test_what_is_more_than_reading_is_left_to_the_ordinary_executor(text: str) -> None:
    made = compiled(text)
    assert made is None or made.form({}) is None


def test_a_link_is_left_to_its_loader() -> None:
    """A whole list asks once for what it links to: that is the loaders' work."""
    linked = build([LINKED])
    forms = []
    for text in ("{ lamps { nodes { maker { name } } } }", "{ lamps { nodes { uuid id colour } } }"):
        made = plan(linked, linked.documents.of(text), None)
        assert made is not None
        forms.append(made.form({}))
    assert forms[0] is None
    assert forms[1] is not None


HTTP = [
    ("{ shops { edges { cursor node { id uuid code name } } pageInfo { endCursor hasNextPage } } }", {}),
    (
        "{ parkedDeliveries(service: CATALOG) { nodes { eventId } } parkedTasks(service: ORDERS) { nodes { kind } } }",
        {},
    ),
    ("query($s: String!) { offers(shop: $s) { total nodes { slug } } __typename }", {"s": "nowhere"}),
    ("query($f: Int) { products(first: $f) { nodes { id title variants { sku } } } }", {"f": 3}),
    ("query($f: Int) { products(first: $f) { nodes { id } } shops { nodes { code } } }", {"f": 0}),
    ("query($f: Int) { products(first: $f) { nodes { id } } }", {"f": "many"}),
    ('{ product(productId: "0190a0a0-0000-7000-8000-000000000000") { title } me { __typename } }', {}),
    ("{ orders(first: 2) { ...P } } fragment P on OrderSummaryConnection { nodes { number status } }", {}),
    ('{ products(after: "bm8") { nodes { id } } }', {}),
]


@pytest.mark.parametrize(("text", "variables"), HTTP)
async def test_through_the_door_the_answer_is_the_same(
    client: Client, merchant: Caller, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, Any]
) -> None:
    body = {"query": text, "variables": variables}
    for caller in (merchant, caller_of(new_id(), "catalog:read"), None):
        headers = {"X-Request-Id": "compared-1"} | (client.speaking_as(caller) if caller else {})
        compiled = await client.post("/graphql", json=body, headers=headers)
        with monkeypatch.context() as patch:
            patch.setattr(execution, "plan", lambda *_: None)
            ordinary = await client.post("/graphql", json=body, headers=headers)
        assert compiled.content == ordinary.content
        assert (compiled.status_code, compiled.headers) == (ordinary.status_code, ordinary.headers)
