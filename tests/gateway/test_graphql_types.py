"""What GraphQL makes of contract shapes: types, enums, inputs, nodes, connections and links, on a real bus."""

from collections import Counter
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, Literal
from uuid import UUID

import orjson
import pydantic
import pytest

from deploy.topology import Surrounded
from gateway.graphql.app import MODULES
from gateway.graphql.context import Context
from gateway.graphql.fields import Field, Node, connection, link, mutation, node, query
from gateway.graphql.identifiers import InvalidNodeId, node_id
from gateway.graphql.schema import build
from shared.bus.answering import Surroundings
from shared.bus.ask import Asker
from shared.bus.envelope import Caller
from shared.bus.local import LocalBus
from shared.contracts.base import Command, Page, Query, Shape
from shared.errors import NotFound
from shared.identifiers import new_id
from shared.money import Money
from shared.pagination import First, cursor_for, cursor_values
from shared.security import SecretText
from shared.service import Service, answers
from shared.unit_of_work import UnitOfWork

pytestmark = pytest.mark.feature("GAT-2")

Colour = Literal["red", "light-blue"]
ASKED: Counter[str] = Counter()
LAMPS = [UUID(int=number + 1) for number in range(25)]


class Maker(Shape):
    """Who makes lamps."""

    id: UUID
    name: str


class Lamp(Shape):
    """A lamp."""

    id: UUID
    colour: Colour
    price: Money
    made_at: datetime
    maker_id: UUID
    labels: dict[str, str]
    spare: "Lamp | None" = None
    watts: int | None = pydantic.Field(default=None, description="When it is on.")


class LampSummary(Shape):
    """A lamp as a list shows it."""

    id: UUID
    colour: Colour


class LampDraft(Shape):
    """A lamp to be."""

    colour: Colour
    price: Money
    spare: "LampDraft | None" = None
    watts: int = 5


class GetLamp(Query[Lamp]):
    """One lamp."""

    service = "probe"
    lamp_id: UUID


class ListLampSummaries(Query[Page[LampSummary]]):
    """Lamps, in short; of some ids."""

    service = "probe"
    lamp_ids: list[UUID] = []
    first: First = 10
    after: str | None = None


class ListLamps(Query[Page[Lamp]]):
    """Lamps."""

    service = "probe"
    first: First = 10
    after: str | None = None


class ListMakers(Query[Page[Maker]]):
    """Makers by id."""

    service = "probe"
    ids: list[UUID]


class LampList(Shape):
    """Ready-made JSON has this shape."""

    items: list[Lamp]
    next: str | None
    total: int


class FindLamps(Query[bytes]):
    """Lamps, as ready-made JSON."""

    service = "probe"
    first: First = 10
    after: str | None = None


class Given(Shape):
    """What arrived."""

    seen: str
    secret: SecretText


class MakeLamp(Command[Given]):
    """Make a lamp."""

    service = "probe"
    draft: LampDraft
    password: SecretText
    note: str | None = None


class NoSuchLamp(NotFound):
    """There is no such lamp."""


def lamp(id_: UUID) -> Lamp:
    price = Money(amount=5_000_000_000 + id_.int, currency="USD")
    made_at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    return Lamp(
        id=id_, colour="light-blue", price=price, made_at=made_at, maker_id=UUID(int=id_.int % 3), labels={"a": "b"}
    )


@answers(GetLamp, public=True)
async def get_lamp(message: GetLamp, uow: UnitOfWork) -> Lamp:
    if message.lamp_id not in LAMPS:
        raise NoSuchLamp("There is no such lamp.")
    return lamp(message.lamp_id)


@answers(ListLamps, public=True)
async def list_lamps(message: ListLamps, uow: UnitOfWork) -> Page[Lamp]:
    ASKED["list"] += 1
    [after] = cursor_values(message.after, 1) or (0,)
    assert isinstance(after, int)
    found = [id_ for id_ in LAMPS if id_.int > after][: message.first + 1]
    more = len(found) > message.first
    items = [lamp(id_) for id_ in found[: message.first]]
    return Page(items=items, next=cursor_for(items[-1].id.int) if more else None)


@answers(ListLampSummaries, public=True)
async def list_lamp_summaries(message: ListLampSummaries, uow: UnitOfWork) -> Page[LampSummary]:
    return Page(items=[LampSummary(id=id_, colour="red") for id_ in message.lamp_ids])


@answers(FindLamps, public=True)
async def find_lamps(message: FindLamps, uow: UnitOfWork) -> bytes:
    page = await list_lamps(ListLamps(first=message.first, after=message.after), uow)
    return orjson.dumps({**page.model_dump(mode="json"), "total": len(LAMPS)})


@answers(ListMakers, public=True)
async def list_makers(message: ListMakers, uow: UnitOfWork) -> Page[Maker]:
    ASKED["makers"] += 1
    return Page(items=[Maker(id=id_, name=f"maker {id_.int}") for id_ in message.ids if id_.int])


@answers(MakeLamp, public=True)
async def make_lamp(message: MakeLamp, uow: UnitOfWork) -> Given:
    fields = f"{sorted(message.model_fields_set)} {sorted(message.draft.model_fields_set)} {message.draft.colour}"
    return Given(seen=f"{fields} {uow.envelope.idempotency_key}", secret=message.password)


ANSWERS = (get_lamp, list_lamps, list_lamp_summaries, find_lamps, list_makers, make_lamp)
FIELDS = (
    query("lamp", GetLamp),
    connection("lamps", ListLamps),
    connection("lampSummaries", ListLampSummaries),
    connection("foundLamps", FindLamps, answer=LampList),
    mutation("makeLamp", MakeLamp),
    node(Lamp, GetLamp, "lamp_id", also=(LampSummary,)),
    link(Lamp, "maker", Maker, by="maker_id", message=ListMakers, ids="ids"),
)


@pytest.fixture(scope="module")
def schema() -> Any:
    return build([FIELDS])


@pytest.fixture
def run(schema: Any, process: Surrounded) -> Any:
    """Run one operation as somebody, with an Idempotency-Key."""
    module = ModuleType("probe")
    vars(module).update({each.__name__: each for each in ANSWERS})
    bus = LocalBus({"probe": Service("probe", module)})
    bus.surrounded_by(Surroundings(process.database, bus.ask, process.relay))
    ASKED.clear()

    async def run(text: str, **variables: Any) -> dict[str, Any]:
        caller = Caller(kind="client", organization_id=new_id(), id=new_id())
        context = Context(Asker(bus=bus, caller=caller, request_id="r", idempotency_key="key"))
        result = await schema.execute(text, variable_values=variables, context_value=context)
        assert not result.errors, result.errors
        return result.data  # type: ignore[no-any-return]

    return run


async def test_a_shape_answers_each_kind_of_field(run: Any) -> None:
    text = """query($id: UUID!) { lamp(lampId: $id) {
        id uuid colour price { amount currency } madeAt labels spare { uuid } watts maker { name } } }"""
    found = (await run(text, id=str(LAMPS[0])))["lamp"]
    assert found == {
        "id": node_id("Lamp", LAMPS[0]),
        "uuid": str(LAMPS[0]),
        "colour": "LIGHT_BLUE",
        "price": {"amount": 5_000_000_001, "currency": "USD"},
        "madeAt": "2026-03-01T09:00:00Z",
        "labels": {"a": "b"},
        "spare": None,
        "watts": None,
        "maker": {"name": "maker 1"},
    }
    again = await run(text, id=found["id"])
    assert again["lamp"] == found


async def test_ready_made_json_answers_the_same(run: Any) -> None:
    inner = "uuid colour price { amount } madeAt labels maker { name }"
    listed = await run(
        f"{{ lamps(first: 3) {{ nodes {{ {inner} }} }} foundLamps(first: 3) {{ total nodes {{ {inner} }} }} }}"
    )
    assert listed["foundLamps"].pop("total") == 25
    assert listed["foundLamps"] == listed["lamps"]


async def test_a_whole_list_asks_once_for_what_it_links_to(run: Any) -> None:
    found = await run("{ lamps(first: 20) { nodes { maker { name } } } }")
    names = [each["maker"] and each["maker"]["name"] for each in found["lamps"]["nodes"]]
    assert names[:3] == ["maker 1", "maker 2", None]
    assert ASKED["makers"] == 1


async def test_a_connection_is_read_page_by_page(run: Any) -> None:
    text = """query($after: String) { lamps(first: 10, after: $after) {
        edges { cursor node { uuid } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    seen, after = [], None
    for expected in (True, True, False):
        page = (await run(text, after=after))["lamps"]
        assert page["pageInfo"]["hasNextPage"] is expected
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        seen += [edge["node"]["uuid"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == [str(id_) for id_ in LAMPS]


@pytest.mark.parametrize("position", [0, 3, 8, 9])
async def test_reading_goes_on_after_any_edge(run: Any, position: int) -> None:
    text = "query($after: String) { lamps(first: 10, after: $after) { edges { cursor node { uuid } } } }"
    edges = (await run(text))["lamps"]["edges"]
    following = (await run(text, after=edges[position]["cursor"]))["lamps"]["edges"]
    assert [edge["node"]["uuid"] for edge in following] == [str(id_) for id_ in LAMPS[position + 1 : position + 11]]


async def test_after_the_last_edge_there_is_nothing(run: Any) -> None:
    text = "query($after: String) { lamps(first: 25, after: $after) { edges { cursor } pageInfo { hasNextPage } } }"
    last = (await run(text))["lamps"]["edges"][-1]["cursor"]
    assert (await run(text, after=last))["lamps"] == {"edges": [], "pageInfo": {"hasNextPage": False}}


async def test_a_node_is_found_by_its_id_and_a_missing_one_is_null(run: Any) -> None:
    text = "query($id: ID!) { node(id: $id) { id ... on Lamp { colour } } }"
    id_ = node_id("Lamp", LAMPS[4])
    assert (await run(text, id=id_))["node"] == {"id": id_, "colour": "LIGHT_BLUE"}
    assert (await run(text, id=node_id("Lamp", new_id())))["node"] is None
    assert (await run(text, id=node_id("Nothing", new_id())))["node"] is None


async def test_a_thing_has_one_id_in_every_shape_and_arguments_take_it_in_lists(run: Any) -> None:
    text = "query($ids: [UUID!]) { lampSummaries(lampIds: $ids) { nodes { id uuid colour } } }"
    ids = [node_id("Lamp", LAMPS[3]), str(LAMPS[4])]
    found = (await run(text, ids=ids))["lampSummaries"]["nodes"]
    assert [each["id"] for each in found] == [node_id("Lamp", LAMPS[3]), node_id("Lamp", LAMPS[4])]
    assert [each["uuid"] for each in found] == [str(LAMPS[3]), str(LAMPS[4])]


async def test_ids_of_something_else_are_refused(schema: Any) -> None:
    for type_name in ("Maker", "LampSummary", ""):
        variables = {"ids": [str(LAMPS[4]), node_id(type_name, LAMPS[3])]}
        text = "query($ids: [UUID!]) { lampSummaries(lampIds: $ids) { nodes { id } } }"
        asker = Asker(bus=LocalBus({}), caller=Caller(kind="anonymous"), request_id="r")
        result = await schema.execute(text, variable_values=variables, context_value=Context(asker))
        assert isinstance(result.errors[0].original_error, InvalidNodeId), result.errors


@pytest.mark.parametrize(
    "declared",
    [
        declared
        for module in MODULES
        for declared in module.FIELDS
        if isinstance(declared, Field) and declared.kind == "query" and "id" in declared.answer.model_fields
    ],
    ids=lambda declared: declared.name,
)
def test_whatever_can_be_asked_for_by_its_id_is_a_node(declared: Field) -> None:
    nodes = {each.shape for module in MODULES for each in module.FIELDS if isinstance(each, Node)}
    assert declared.answer in nodes, f"say node({declared.answer.__name__}, {declared.message.__name__}, …)"


async def test_what_is_left_out_is_not_set_and_secrets_are_read(run: Any) -> None:
    text = """mutation($draft: LampDraftInput!, $password: Secret!) {
        makeLamp(draft: $draft, password: $password) { ... on Given { seen secret } ... on Problem { errors } } }"""
    price = {"amount": 5_000_000_000, "currency": "USD"}
    draft = {"colour": "LIGHT_BLUE", "price": price, "spare": {"colour": "RED", "price": price}}
    made = (await run(text, draft=draft, password="hush"))["makeLamp"]
    assert made == {"seen": "['draft', 'password'] ['colour', 'price', 'spare'] light-blue key", "secret": "hush"}


async def test_a_wrong_argument_is_a_problem_that_points_at_it(run: Any) -> None:
    text = """mutation($draft: LampDraftInput!) {
        makeLamp(draft: $draft, password: "x") { ... on Problem { code status errors } } }"""
    refused = (await run(text, draft={"colour": "RED", "price": {"amount": 1, "currency": "XXX"}}))["makeLamp"]
    assert (refused["code"], refused["status"]) == ("validation_failed", 422)
    assert refused["errors"][0]["pointer"] == "/draft/price/currency"


async def test_each_of_several_mutations_has_a_key_of_its_own(run: Any) -> None:
    one = 'makeLamp(draft: {colour: RED, price: {amount: 1, currency: "USD"}}, password: "x"'
    seen = "{ ... on Given { seen } }"
    made = await run(f'mutation {{ a: {one}) {seen} b: {one}, idempotencyKey: "mine") {seen} }}')
    assert made["a"]["seen"].endswith(" key/a")
    assert made["b"]["seen"].endswith(" mine")


def test_texts_are_the_contracts_own(schema: Any) -> None:
    printed = schema.as_str()
    assert '"""One lamp."""\n  lamp(lampId: UUID!): Lamp' in printed
    assert '"""When it is on."""\n  watts: Int' in printed
    assert "enum LampColour {\n  RED\n  LIGHT_BLUE\n}" in printed
    assert "union MakeLampResult = Given | Problem" in printed


def test_two_fields_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Two GraphQL fields are called lamp"):
        build([FIELDS, (query("lamp", GetLamp),)])
