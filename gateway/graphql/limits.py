"""How large a document may be. It is looked at before it is validated: validation takes the square of some sizes.

Fragments are counted once each and remembered, so that fragments of fragments cannot make the counting itself dear.
"""

from collections import Counter
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from shared.errors import Invalid

MAX_CHARACTERS = 100_000
MAX_TOKENS = 4000
# The introspection query of GraphiQL and codegen tools nests types 13 to 16 deep.
MAX_DEPTH = 20
MAX_ALIASES = 50
MAX_FIELDS = 2000
# Validation compares each with each, and follows each into the next.
MAX_FRAGMENTS = 100
# Fields of one name at one place are compared with each other: so many comparisons, of 45 fields of one name.
MAX_COMPARISONS = 2000

_Definition = OperationDefinitionNode | FragmentDefinitionNode


class OperationTooLarge(Invalid):
    """The GraphQL operation is deeper, larger or dearer than is answered."""


class FragmentCycle(Exception):
    """A fragment spreads itself, on the way over others or at once."""


def find_excess(document: DocumentNode) -> str | None:
    """What is too large about a document, as a sentence; None when nothing is. Raises FragmentCycle."""
    definitions = [node for node in document.definitions if isinstance(node, _Definition)]
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    if len(fragments) > MAX_FRAGMENTS:
        return f"The operation has {len(fragments)} fragments; at most {MAX_FRAGMENTS} are answered."
    try:
        size = _Size(fragments)
        tops = [node.selection_set for node in definitions if isinstance(node, OperationDefinitionNode)]
        sizes = [size.of(top) for top in tops]
        # Validation looks at what nobody spreads, too.
        for name, fragment in fragments.items():
            if not size.has_seen(name):
                tops.append(fragment.selection_set)
                sizes.append(size.of_fragment(name))
        if size.is_cyclic:
            raise FragmentCycle
        return _excess_of(sizes) or _repetition(tops, fragments)
    except RecursionError:
        return f"The operation is nested too deeply; at most {MAX_DEPTH} levels are answered."


def _excess_of(sizes: list[tuple[int, int, int]]) -> str | None:
    depth, aliases = (max((each[column] for each in sizes), default=0) for column in (0, 1))
    for what, found, most in (
        ("levels", depth, MAX_DEPTH),
        ("aliases", aliases, MAX_ALIASES),
        ("fields", sum(each[2] for each in sizes), MAX_FIELDS),
    ):
        if found > most:
            return f"The operation has {min(found, 10**9)} {what}; at most {most} are answered."
    return None


class _Size:
    """Depth, number of aliases and of fields of selections, fragments counted wherever they are spread."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int, int] | None] = {}
        self.is_cyclic = False

    def has_seen(self, name: str) -> bool:
        return name in self._known

    def of(self, selections: SelectionSetNode | None) -> tuple[int, int, int]:
        depth = aliases = fields = 0
        for node in selections.selections if selections is not None else ():
            inner = self._of_node(node)
            depth, aliases, fields = max(depth, inner[0]), aliases + inner[1], fields + inner[2]
        return depth, aliases, fields

    def _of_node(self, node: Any) -> tuple[int, int, int]:
        match node:
            case FieldNode():
                depth, aliases, fields = self.of(node.selection_set)
                return depth + 1, aliases + (node.alias is not None), fields + 1
            case InlineFragmentNode():
                return self.of(node.selection_set)
            case FragmentSpreadNode():
                return self.of_fragment(node.name.value)
        return 0, 0, 0

    def of_fragment(self, name: str) -> tuple[int, int, int]:
        if name not in self._known:
            self._known[name] = None
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set) if fragment is not None else (0, 0, 0)
        known = self._known[name]
        if known is None:
            self.is_cyclic = True
        return known or (0, 0, 0)


def _repetition(tops: list[SelectionSetNode], fragments: dict[str, FragmentDefinitionNode]) -> str | None:
    """What is said of more comparisons than are made. The fragments have no cycle, and their fields are few."""
    places: dict[tuple[int, str], int] = {}
    found: Counter[int] = Counter()

    def walk(selections: SelectionSetNode, place: int) -> None:
        for node in selections.selections:
            match node:
                case FieldNode():
                    key = node.alias.value if node.alias else node.name.value
                    below = places.setdefault((place, key), len(places) + len(tops))
                    found[below] += 1
                    if node.selection_set is not None:
                        walk(node.selection_set, below)
                case InlineFragmentNode():
                    walk(node.selection_set, place)
                case FragmentSpreadNode() if node.name.value in fragments:
                    walk(fragments[node.name.value].selection_set, place)

    for number, top in enumerate(tops):
        walk(top, number)
    if sum(count * (count - 1) for count in found.values()) > MAX_COMPARISONS:
        return (
            f"The operation names one field {max(found.values())} times at one place, which is more than is compared."
        )
    return None
