"""Operations that ask for the schema: what they come to is the same until the process ends, and dear to find out.

The whole schema takes a third of a second and is asked for by everybody's tools, in the same words: those are answered
from memory. Other words are answered for as long as not too much time went into such answers lately; small questions
hardly count.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import orjson
from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode
from strawberry.types.execution import ExecutionResult

from gateway.graphql.documents import Document
from gateway.graphql.written import Written
from shared.errors import TooManyRequests

_ASKING = frozenset({"__schema", "__type"})
# Seconds that may go into it at once, and what comes back of them each second.
_AT_ONCE_SECONDS = 3.0
_SHARE = 0.1
# One of them is as large as the schema.
_MOST_REMEMBERED = 8


class IntrospectedTooOften(TooManyRequests):
    """The schema is asked for too often in ever new words; `/graphql/schema.graphql` has it as a file."""


class Introspections:
    """What one process answers about its schema."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str | None], orjson.Fragment] = OrderedDict()
        self._spent = 0.0
        self._since = monotonic()

    async def answer(
        self, document: Document, name: str | None, run: Callable[[], Awaitable[Written | ExecutionResult]]
    ) -> Written | ExecutionResult:
        """What `run` answers to an operation of which `introspects` is true. Raises IntrospectedTooOften."""
        known = self._known.get((document.text, name))
        if known is not None:
            self._known.move_to_end((document.text, name))
            return Written(known, [])
        self._check()
        began = monotonic()
        result = await run()
        self._spent += monotonic() - began
        if not result.errors and document.once(("is_fixed", name), lambda: _is_fixed(document, name)):
            self._known[document.text, name] = orjson.Fragment(orjson.dumps(result.data))
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return result

    def _check(self) -> None:
        now = monotonic()
        self._spent = max(self._spent - _SHARE * (now - self._since), 0.0)
        self._since = now
        if self._spent > _AT_ONCE_SECONDS:
            seconds = int((self._spent - _AT_ONCE_SECONDS) / _SHARE) + 1
            raise IntrospectedTooOften(
                "The schema is asked for too often; `/graphql/schema.graphql` has it as a file.",
                retry_after_seconds=seconds,
            )


def introspects(document: Document, name: str | None) -> bool:
    """Whether an operation asks for the schema."""
    return document.once(("introspects", name), lambda: not _ASKING.isdisjoint(_roots(document, name)))


def _is_fixed(document: Document, name: str | None) -> bool:
    """Whether an operation asks for nothing else, and the same each time."""
    operation = document.operation(name)
    assert operation is not None
    return not operation.variable_definitions and all(root.startswith("__") for root in _roots(document, name))


def _roots(document: Document, name: str | None) -> set[str]:
    """The names of an operation's own fields, those of its fragments included."""
    fragments = {
        node.name.value: node for node in document.node.definitions if isinstance(node, FragmentDefinitionNode)
    }
    found: set[str] = set()

    def walk(selections: SelectionSetNode) -> None:
        for node in selections.selections:
            match node:
                case FieldNode():
                    found.add(node.name.value)
                case InlineFragmentNode():
                    walk(node.selection_set)
                case FragmentSpreadNode():
                    walk(fragments[node.name.value].selection_set)

    operation: Any = document.operation(name)
    walk(operation.selection_set)
    return found
