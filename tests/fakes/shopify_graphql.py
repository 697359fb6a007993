"""What a GraphQL server does, small and quick: checks documents against a schema, and picks from values what is asked.

Values are dicts; a field that takes arguments is a function of them. Types of values, where a document asks for one
(`... on MediaImage`), stand in `__typename`.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
    value_from_ast_untyped,
)
from graphql.execution.values import get_variable_values

JsonObject = dict[str, Any]
SCHEMA = Path(__file__).with_name("shopify.graphql")
_MOST_PER_QUERY = 1000


class Refused(Exception):
    """A request that is answered with top-level errors."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def schema() -> GraphQLSchema:
    return build_schema(SCHEMA.read_text())


@cache
def operation(text: str) -> OperationDefinitionNode:
    """The one operation of a document that fits the schema. Raises Refused."""
    try:
        document: DocumentNode = parse(text)
    except GraphQLError as error:
        raise Refused(error.message, "undefinedField") from None
    errors = validate(schema(), document)
    if errors:
        raise Refused(errors[0].message, "undefinedField")
    found = document.definitions[0]
    assert isinstance(found, OperationDefinitionNode)
    return found


def coerced(asked: OperationDefinitionNode, variables: JsonObject) -> JsonObject:
    """Variables as the schema has them, defaults and all. Raises Refused."""
    found = get_variable_values(schema(), asked.variable_definitions or (), variables)
    if isinstance(found, list):
        raise Refused(found[0].message, "INVALID_VARIABLE")
    return dict(getattr(found, "coerced", found))


def arguments(node: FieldNode, variables: JsonObject) -> JsonObject:
    return {each.name.value: value_from_ast_untyped(each.value, variables) for each in node.arguments or ()}


def directive(node: FieldNode, name: str, variables: JsonObject) -> JsonObject | None:
    """The arguments of a directive on a field, if it has it."""
    for each in node.directives or ():
        if each.name.value == name:
            return {one.name.value: value_from_ast_untyped(one.value, variables) for one in each.arguments or ()}
    return None


def fields(selections: SelectionSetNode, value: JsonObject | None = None) -> Iterable[FieldNode]:
    """The fields that are asked of a value, those of fragments on its type too; of no value, all there are."""
    for each in selections.selections:
        if isinstance(each, FieldNode):
            yield each
        elif isinstance(each, InlineFragmentNode):
            condition = each.type_condition.name.value if each.type_condition else None
            if value is None or condition in (None, value.get("__typename")):
                yield from fields(each.selection_set, value)


def picked(value: Any, selections: SelectionSetNode | None, variables: JsonObject) -> Any:
    """What a selection asks for of a value."""
    if value is None or selections is None:
        return value
    if isinstance(value, list | tuple):
        return [picked(each, selections, variables) for each in value]
    result: JsonObject = {}
    for node in fields(selections, value):
        name = node.name.value
        found = value.get(name)
        if callable(found):
            found = found(**arguments(node, variables))
        result[node.alias.value if node.alias else name] = picked(found, node.selection_set, variables)
    return result


def connection(
    values: Sequence[JsonObject],
    key: Callable[[JsonObject], Any],
    first: int | None,
    after: str | None,
    most: int = 250,
) -> JsonObject:
    """Values after a cursor, which is the key of the last one seen: what moves behind it is met again."""
    start = 0
    if after is not None:
        seen = _seen(after)
        start = next((place for place, value in enumerate(values) if list(key(value)) > seen), len(values))
    chosen = list(values[start : start + min(first or 50, most)])
    last = _cursor(key(chosen[-1])) if chosen else None
    more = start + len(chosen) < len(values)
    return {
        "nodes": chosen,
        "edges": [{"node": each} for each in chosen],
        "pageInfo": {"hasNextPage": more, "endCursor": last},
    }


def _cursor(key: Any) -> str:
    return base64.b64encode(json.dumps(list(key)).encode()).decode()


def _seen(after: str) -> list[Any]:
    try:
        return list(json.loads(base64.b64decode(after)))
    except ValueError:
        raise Refused("Invalid cursor for current pagination sort.", "BAD_REQUEST") from None


def cost(selections: SelectionSetNode, variables: JsonObject) -> float:
    """What a query is reckoned at: one point an object, a list by how long it may be, roughly as Shopify does it."""
    points = 0.0
    for node in fields(selections):
        if node.selection_set is None:
            continue
        given = arguments(node, variables)
        many = given.get("first") or (len(given["ids"]) if isinstance(given.get("ids"), list) else None)
        inner = cost(node.selection_set, variables)
        points += 2 + math.log2(many + 1) * max(inner, 1) if many else 1 + inner
    return points


def reckoned(asked: OperationDefinitionNode, variables: JsonObject) -> int:
    """The requested cost of a document. Raises Refused when it is more than one query may cost."""
    if asked.operation.value == "mutation":
        return 10
    points = math.ceil(cost(asked.selection_set, variables))
    if points > _MOST_PER_QUERY:
        raise Refused(
            f"Query cost is {points}, which exceeds the single query max cost limit (1000).", "MAX_COST_EXCEEDED"
        )
    return points
