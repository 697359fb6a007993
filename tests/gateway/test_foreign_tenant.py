"""Every operation of both doors, asked with another organization's ids: they do not exist.

The ids come from `tests/factories/<service>.py` (see its README); routes and fields are found by walking OpenAPI and
the GraphQL schema, so that a new one is tried without anybody thinking of it.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)

import tests.factories
from deploy import topology
from gateway.app import create_app
from gateway.graphql.app import MODULES, schema
from gateway.graphql.fields import Node
from gateway.graphql.identifiers import node_id
from gateway.graphql.types import type_name
from gateway.openapi import operations
from services.accounts.permissions import ROLES
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.search.offer_ids import offer_id
from shared.identifiers import new_id
from tests.doors import Client
from tests.factories import payments
from tests.waiting import until

pytestmark = [pytest.mark.feature("ACC-1"), pytest.mark.timeout(600)]

Ids = dict[str, UUID | str]

_DOCUMENT = create_app(None, rights=topology.rights()).openapi()  # type: ignore[arg-type]
_SCHEMA = schema()._schema
# They do what is asked to those of the given ids that they find, and say how many: none (tests of their own, below).
COUNTING = frozenset(
    {
        "replayDeliveries",
        "replayTasks",
        "rebuildSearchIndex",
        "startExport",
        "triageCallbacks",
        "actOnProducts",
        "actOnOrders",
    }
)
COUNTING_PATHS = frozenset({"/v1/parked-deliveries/replay", "/v1/parked-tasks/replay"})
# Queries that answer a number of what they found.
NUMBERS = {"orderCounts": "total", "callbackExport": "rows"}
# Named by something that is the same for everybody.
OF_NOBODY = frozenset({"/v1/import-templates/{profile}"})
# Who sends is known by his signature alone, or by an agent's token, whatever credential comes with it.
SIGNED = frozenset(
    {"/v1/platform-webhooks/{connection_id}", "/v1/agent/work/{work_id}/lease", "/v1/agent/work/{work_id}/result"}
)
# What an owner may hear instead, because there is nothing to show of a thing that is there.
OWN_REFUSALS = frozenset(
    {"order_export_not_finished", "import_has_no_errors", "only_for_people", "offer_not_found", "sku_not_found"}
)
# What an id that is not there is called.
MISSING = {
    "category_id": "category_not_found",
    "category_ids": "category_not_found",
    "centre_id": "centre_not_found",
    "client_id": "api_client_not_found",
    "connection_id": "order_connection_not_found",
    "customer_id": "customer_not_found",
    "gateway_id": "payment_gateway_not_found",
    "key_id": "api_key_not_found",
    "kit_sku": "kit_not_found",
    "order_id": "order_not_found",
    "parent_id": "parent_shop_not_found",
    "product_id": "product_not_found",
    "product_ids": "product_not_found",
    "quote_id": "quote_not_found",
    "retire_secret": "secret_not_found",
    "secret_id": "client_secret_not_found",
    "shipment_id": "shipment_not_found",
    "shop_id": "shop_not_found",
    "shop_ids": "unknown_shop",
    "user_id": "user_not_found",
}


@pytest.fixture(scope="module")
async def theirs(process: topology.Surrounded, merchant: Caller, working: None) -> Ids:
    """One of everything, in the merchant's organization; whoever takes a shop's code there knows its shop."""
    assert merchant.organization_id is not None
    made = await everything(process, merchant.organization_id)
    await shop_is_known(process, made, "catalog")
    return made


@pytest.fixture(scope="module")
async def own(process: topology.Surrounded, working: None) -> Ids:
    """One of everything in another organization, the one that asks; whoever takes a shop's code knows its shop."""
    made = await everything(process, new_id())
    await shop_is_known(process, made, "catalog", "inventory", "orders")
    return made


async def shop_is_known(process: topology.Surrounded, made: Ids, *services: str) -> None:
    organization_id = UUID(str(made["organization_id"]))

    async def is_known(service: str) -> bool:
        uow = process.surroundings.unit_of_work(service, service_envelope(service, organization_id))
        known = await uow.fetchval("SELECT count(*) FROM shops WHERE code = $1", made["shop_code"])
        await uow.rollback()
        return bool(known)

    for service in services:
        await until(partial(is_known, service))


@pytest.fixture(scope="module")
async def other(own: Ids) -> Caller:
    """A person of that organization, with every permission."""
    return Caller(
        kind="user",
        organization_id=UUID(str(own["organization_id"])),
        id=UUID(str(own["user_id"])),
        name="administrator",
        scopes=frozenset({"admin"}),
        permissions=frozenset(permission for role in ROLES.values() for permission in role.permissions),
    )


async def everything(process: topology.Surrounded, organization_id: UUID) -> Ids:
    made: Ids = {}
    # Shops first: the others find theirs.
    names = sorted(
        (each.name for each in pkgutil.iter_modules(tests.factories.__path__)), key=lambda n: n != "accounts"
    )
    for name in names:
        module = importlib.import_module(f"tests.factories.{name}")
        if hasattr(module, "make"):
            made |= await module.make(process, organization_id)
    return made


def named_for(operation: str, ids: Ids) -> Ids:
    """The ids by all names that an operation (a path, or a field of GraphQL) calls them."""
    about = operation.lower().replace("-", "")
    others: Ids = {
        "parent_id": ids["category_id" if "categor" in about else "shop_id"],
        "key_id": ids["api_key_id" if "apikey" in about or "/keys/" in about else "key_id"],
        "retire_secret": ids["gateway_secret_id"],
        "gateway": ids["gateway_id"],
        "reconciliation": ids["reconciliation_id"],
        "root_id": ids["category_id"],
        "connection_id": ids["deleted_connection_id" if "snapshot" in about else "connection_id"],
        "actor": ids["user_id"],
        "requested_by": ids["user_id"],
        "slug": "of-nothing",
        "offer_id": offer_id(UUID(str(ids["shop_id"])), UUID(str(ids["product_id"]))),
        # Only some people can be limited to shops.
        "role": "viewer",
    }
    return ids | others


# --- REST


def with_ids() -> Iterator[Any]:
    """Operations whose path names something by an id."""
    for method, path, operation in operations(_DOCUMENT):
        if path.startswith("/v1/") and "{" in path and path not in OF_NOBODY | SIGNED:
            yield pytest.param(method, path, operation, id=f"{method} {path}")


def filled(path: str, ids: Ids) -> str:
    names, ids = re.findall(r"{(\w+)}", path), named_for(path, ids)
    missing = [name for name in names if name not in ids]
    assert not missing, f"no factory in tests/factories makes {', '.join(missing)}"
    return re.sub(r"{(\w+)}", lambda found: str(ids[found[1]]), path)


def theirs_named(name: str, ids: Ids) -> Any:
    """Their id for a field of this name (their ids, for one in the plural); None for what is no id."""
    if name in ids:
        return str(ids[name])
    return [str(ids[name[:-1]])] if name.endswith("_ids") and name[:-1] in ids else None


def body_of(path: str, operation: dict[str, Any], ids: Ids) -> Any:
    """The documented example, with the ids of the one organization wherever it names some."""
    content = operation.get("requestBody", {}).get("content", {})
    return with_their_ids(content.get("application/json", {}).get("example"), ids and named_for(path, ids))


def with_their_ids(value: Any, ids: Ids) -> Any:
    match value:
        case dict():
            return {
                name: with_their_ids(item, ids) if (known := theirs_named(name, ids)) is None else known
                for name, item in value.items()
            }
        case list():
            return [with_their_ids(item, ids) for item in value]
    return value


def query_of(path: str, operation: dict[str, Any], ids: Ids) -> dict[str, str]:
    """What the query must have, and whatever it takes by an id."""
    parameters = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    ids = named_for(path, ids)
    return {
        each["name"]: str(ids.get(each["name"], value_of(each["schema"])))
        for each in parameters
        if each["name"] in ids.keys() - {"slug"} or each.get("required")
    }


def value_of(schema: dict[str, Any]) -> Any:
    """Something that a parameter takes: its example, or one of its choices."""
    return schema["examples"][0] if "examples" in schema else schema.get("enum", ("x", "catalog"))[1]


@pytest.mark.parametrize(("method", "path", "operation"), list(with_ids()))
async def test_a_path_with_their_id_is_not_found(
    client: Client, other: Caller, theirs: Ids, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = await client.request(
        method,
        filled(path, theirs),
        json=body_of(path, operation, theirs),
        params=query_of(path, operation, theirs),
        headers=client.speaking_as(other, Idempotency_Key=new_id().hex),
    )
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"].endswith("_not_found"), answer.text


@pytest.mark.parametrize(("method", "path", "operation"), [each for each in with_ids() if each.values[0] == "GET"])
async def test_the_same_path_is_there_for_its_owner(
    client: Client, merchant: Caller, theirs: Ids, method: str, path: str, operation: dict[str, Any]
) -> None:
    """Without this the test above could pass because the ids are of nothing at all."""
    answer = await client.request(
        method, filled(path, theirs), params=query_of(path, operation, theirs), headers=client.speaking_as(merchant)
    )
    assert answer.status_code < 300 or answer.json()["code"] in OWN_REFUSALS, answer.text


def lists() -> Iterator[Any]:
    for method, path, operation in operations(_DOCUMENT):
        if method == "GET" and path.startswith("/v1/") and "{" not in path:
            yield pytest.param(path, operation, id=path)


@pytest.mark.parametrize(("path", "operation"), list(lists()))
async def test_a_list_shows_nothing_of_theirs(
    client: Client, other: Caller, theirs: Ids, path: str, operation: dict[str, Any]
) -> None:
    parameters = query_of(path, operation, theirs)
    answer = await client.get(path, params=parameters, headers=client.speaking_as(other))
    missing = ("price_list", "shop", "category", "centre", "customer", "connection")
    refusals = OWN_REFUSALS | {f"{each}_not_found" for each in missing}
    assert answer.status_code == 200 or answer.json()["code"] in refusals, answer.text
    for name, id_ in theirs.items():
        if isinstance(id_, UUID) and name not in parameters:
            assert str(id_) not in answer.text, f"{name} of another organization is in {path}"


def bodies_with_ids() -> Iterator[Any]:
    for method, path, operation in operations(_DOCUMENT):
        example = body_of(path, operation, {})
        is_flat = path.startswith("/v1/") and "{" not in path and path not in COUNTING_PATHS
        if is_flat and example is not None and "_id" in str(example):
            yield pytest.param(method, path, operation, id=f"{method} {path}")


@pytest.mark.parametrize(("method", "path", "operation"), list(bodies_with_ids()))
async def test_a_body_with_their_ids_is_refused(
    client: Client, other: Caller, theirs: Ids, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = await client.request(
        method, path, json=body_of(path, operation, theirs), headers=client.speaking_as(other)
    )
    assert 400 <= answer.status_code < 500, answer.text


# --- GraphQL


def fields(kind: str) -> Iterator[Any]:
    """Root fields that take an id, by their GraphQL type."""
    root = _SCHEMA.query_type if kind == "query" else _SCHEMA.mutation_type
    assert root is not None
    for name, field in root.fields.items():
        if any(takes_ids(argument.type) for argument in field.args.values()) and name not in COUNTING:
            yield pytest.param(name, field, id=name)


def takes_ids(type_: Any) -> bool:
    """Whether an input type is an id, or has one somewhere inside."""
    inner = get_named_type(type_)
    if isinstance(inner, GraphQLInputObjectType):
        return any(takes_ids(field.type) for field in inner.fields.values())
    return bool(inner.name == "UUID")


def ids_in(type_: Any, name: str) -> Iterator[str]:
    """The names of the ids that `value_for` puts into an argument: all that it can take."""
    inner = get_named_type(type_)
    if isinstance(inner, GraphQLInputObjectType):
        for each, field in inner.fields.items():
            if is_required_input_field(field) or takes_ids(field.type):
                yield from ids_in(field.type, each)
    elif inner.name == "UUID":
        yield name


def snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def is_theirs(name: str, ids: Ids) -> bool:
    return theirs_named(snake(name), ids) is not None


def value_for(type_: Any, name: str, ids: Ids) -> Any:
    """A value that fits an input type: their id where it is named like one."""
    match type_:
        case GraphQLNonNull():
            return value_for(type_.of_type, name, ids)
        case GraphQLList():
            return [value_for(type_.of_type, name.removesuffix("s"), ids)]
        case GraphQLEnumType():
            wanted = str(ids.get(snake(name), "")).upper()
            return wanted if wanted in type_.values else next(iter(type_.values))
        case GraphQLInputObjectType():
            return {
                each: value_for(field.type, each, ids)
                for each, field in type_.fields.items()
                if is_required_input_field(field) or takes_ids(field.type) or each == "amount"
            }
    known = ids.get(snake(name))
    samples = {"Int": 1, "Long": 1, "Boolean": True, "Float": 1.0, "JSON": {}, "DateTime": "2030-01-01T00:00:00Z"}
    words = {"currency": "USD", "locale": "en", "country": "US", "email": "a@example.com", "scope": "catalog:read"}
    return str(known) if known is not None else samples.get(type_.name, words.get(name, "text"))


def operation_text(kind: str, name: str, field: GraphQLField, ids: Ids) -> tuple[str, dict[str, Any]]:
    """The operation with every argument that is required or takes an id."""
    arguments = {
        each: argument
        for each, argument in field.args.items()
        if is_required_argument(argument) or takes_ids(argument.type)
    }
    wanted = [each for argument in arguments for each in ids_in(field.args[argument].type, argument)]
    missing = sorted({snake(each) for each in wanted if not is_theirs(each, ids)})
    assert not missing, f"no factory in tests/factories makes {', '.join(missing)}"
    assert wanted, f"{name} takes an id by a name that no factory gives"
    variables = {each: value_for(argument.type, each, ids) for each, argument in arguments.items()}
    declared = ", ".join(f"${each}: {argument.type}" for each, argument in arguments.items())
    passed = ", ".join(f"{each}: ${each}" for each in arguments)
    selection = "{ __typename ... on Problem { status code detail } }" if kind == "mutation" else "{ __typename }"
    returned = str(field.type).rstrip("!")
    if kind == "query" and returned.endswith("Connection") and returned != "Connection":
        selection = "{ __typename edges { cursor } }"
    if name in NUMBERS:
        selection = f"{{ {NUMBERS[name]} }}"
    return f"{kind}({declared}) {{ {name}({passed}) {selection} }}", variables


@pytest.mark.parametrize(("name", "field"), list(fields("query")))
async def test_a_query_with_their_id_finds_nothing(
    client: Client, other: Caller, theirs: Ids, name: str, field: GraphQLField
) -> None:
    query, variables = operation_text("query", name, field, named_for(name, theirs))
    answer = await client.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers=client.speaking_as(other, Idempotency_Key=new_id().hex),
    )
    assert "data" in answer.json(), answer.text
    found = answer.json()["data"][name]
    if found is None:
        assert answer.json()["errors"][0]["extensions"]["status"] == 404, answer.text
    elif name in NUMBERS:
        assert found == {NUMBERS[name]: 0}, answer.text
    else:
        assert found.get("edges") == [], answer.text


@pytest.mark.parametrize(("name", "field"), list(fields("mutation")))
async def test_a_mutation_with_their_id_finds_nothing(
    client: Client, other: Caller, theirs: Ids, name: str, field: GraphQLField
) -> None:
    query, variables = operation_text("mutation", name, field, named_for(name, theirs))
    answer = await client.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers=client.speaking_as(other, Idempotency_Key=new_id().hex),
    )
    assert "data" in answer.json(), answer.text
    result = answer.json()["data"][name]
    assert result["__typename"] == "Problem", answer.text
    assert result["status"] == 404, answer.text


def mixtures() -> Iterator[Any]:
    """Mutations that take several ids or an id and a shop's code, with one of the ids at a time."""
    for case in fields("mutation"):
        name, field = case.values
        wanted = {snake(each) for argument in field.args for each in ids_in(field.args[argument].type, argument)}
        if len(wanted) + ("shop" in field.args) > 1:
            for each in sorted(wanted):
                yield pytest.param(name, field, each, id=f"{name} {each}")


@pytest.mark.parametrize(("name", "field", "foreign"), list(mixtures()))
async def test_one_of_their_ids_among_ones_own_is_not_found(
    client: Client, other: Caller, own: Ids, theirs: Ids, name: str, field: GraphQLField, foreign: str
) -> None:
    """A check of one id does not vouch for the next."""
    known = named_for(name, theirs)
    key = foreign if foreign in known else foreign.removesuffix("s")
    mixed = named_for(name, own) | {key: known[key], "shop": own["shop_code"]}
    query, variables = operation_text("mutation", name, field, mixed)
    headers = client.speaking_as(other, Idempotency_Key=new_id().hex)
    answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    result = answer.json()["data"][name]
    assert (result["__typename"], result["status"]) == ("Problem", 404), answer.text
    expected = MISSING[foreign]
    if foreign == "parent_id" and "categor" in name.lower():
        expected = "category_not_found"
    if foreign == "connection_id" and "ChannelContent" in name:
        expected = "connection_not_found"
    assert result["code"] == expected, answer.text


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize(("what", "key"), [("deliveries", "event_id"), ("tasks", "task_id")])
async def test_replaying_what_of_theirs_is_parked_replays_nothing(
    client: Client, merchant: Caller, other: Caller, theirs: Ids, what: str, key: str
) -> None:
    body = {"service": "catalog", f"{key}s": [str(theirs[key])]}
    headers = client.speaking_as(other)
    replayed = await client.post(f"/v1/parked-{what}/replay", json=body, headers=headers)
    assert (replayed.status_code, replayed.json()) == (200, {"count": 0})
    argument = "eventIds" if what == "deliveries" else "taskIds"
    query = f'mutation {{ replay{what.title()}(service: CATALOG, {argument}: ["{theirs[key]}"])'
    answer = await client.post(
        "/graphql", json={"query": f"{query} {{ ... on Replayed {{ count }} }} }}"}, headers=headers
    )
    assert answer.json()["data"] == {f"replay{what.title()}": {"count": 0}}
    parked = await client.get(f"/v1/parked-{what}?service=catalog", headers=client.speaking_as(merchant))
    assert str(theirs[key]) in parked.text


@pytest.mark.feature("PAY-6")
@pytest.mark.parametrize("action", ["replay", "accept", "reject"])
async def test_triage_finds_no_callback_of_theirs(
    client: Client, process: topology.Surrounded, merchant: Caller, other: Caller, theirs: Ids, action: str
) -> None:
    forged = await payments.posted(process, theirs["gateway_id"], action.encode(), "t=1,v1=forged")
    assert forged.status_code == 400
    draft = {"action": action, "reason": "ours?", "filter": {"gateway": str(theirs["gateway_id"])}, "dry_run": True}
    for who, is_theirs_to_see in ((merchant, True), (other, False)):
        answer = await client.post("/v1/callbacks/triage", json=draft, headers=client.speaking_as(who))
        assert (answer.json()["callbacks"] > 0) is is_theirs_to_see, answer.text


@pytest.mark.feature("SEA-5")
async def test_rebuilding_their_products_makes_no_offers_of_them(client: Client, other: Caller, theirs: Ids) -> None:
    headers = client.speaking_as(other)
    query = "mutation($ids: [UUID!]!) { rebuildSearchIndex(productIds: $ids) { ... on Job { uuid } } }"
    body = {"query": query, "variables": {"ids": [str(theirs["product_id"])]}}
    job = (await client.post("/graphql", json=body, headers=headers)).json()["data"]["rebuildSearchIndex"]

    async def over() -> Any:
        found = (await client.get(f"/v1/jobs/{job['uuid']}", headers=headers)).json()
        return found if found["finished_at"] else None

    assert (await until(over))["state"] == "succeeded"
    indexes = (await client.get("/v1/search-indexes", headers=headers)).json()["items"]
    assert [index["offers"] for index in indexes] == [0] * len(indexes)
    assert indexes


@pytest.mark.feature("CAT-10")
async def test_an_export_of_their_products_is_empty_and_of_their_category_refused(
    client: Client, other: Caller, theirs: Ids
) -> None:
    headers = client.speaking_as(other)
    body = {"filter": {"product_ids": [str(theirs["product_id"])]}}
    started = (await client.post("/v1/exports", json=body, headers=headers)).json()

    async def over() -> Any:
        found = (await client.get(f"/v1/exports/{started['id']}", headers=headers)).json()
        return found if found["finished_at"] else None

    found = await until(over)
    assert (found["state"], found["counters"]["rows"]) == ("succeeded", 0)
    body = {"filter": {"category_id": str(theirs["category_id"])}}
    refused = await client.post("/v1/exports", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (404, "category_not_found")


@pytest.mark.feature("GAT-2")
@pytest.mark.parametrize(
    "node",
    # Those whose shapes have global ids are looked at where they are made (tests/services/search/test_offers_http.py).
    [each for module in MODULES for each in module.FIELDS if isinstance(each, Node) and not each.has_global_id],
    ids=lambda n: n.shape.__name__,
)
async def test_a_node_is_there_for_its_owner_alone(
    client: Client, merchant: Caller, other: Caller, theirs: Ids, node: Node
) -> None:
    assert node.key in theirs, f"no factory in tests/factories makes {node.key}"
    name = type_name(node.shape)
    body = {
        "query": "query($id: ID!) { node(id: $id) { __typename id } }",
        "variables": {"id": node_id(name, named_for(name, theirs)[node.key])},
    }
    own = await client.post("/graphql", json=body, headers=client.speaking_as(merchant))
    assert own.json()["data"] == {"node": {"__typename": name, "id": body["variables"]["id"]}}  # type: ignore[index]
    foreign = await client.post("/graphql", json=body, headers=client.speaking_as(other))
    assert foreign.json()["data"] == {"node": None}
