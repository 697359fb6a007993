"""Relay's opaque texts: global ids of nodes, cursors of edges."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from shared.errors import Invalid
from shared.pagination import InvalidCursor

_INNER = "+"


class InvalidNodeId(Invalid):
    """The id is neither a node id nor a UUID, or is one of something else."""


class NodeUuid(UUID):
    """A thing's own id that came as a node id, and the name of the type it said to be of."""

    __slots__ = ("type_name",)
    type_name: str

    def __init__(self, type_name: str, own: UUID) -> None:
        super().__init__(int=own.int)
        # UUIDs are made unchangeable by their __setattr__.
        object.__setattr__(self, "type_name", type_name)


def node_id(type_name: str, id_: object) -> str:
    """The global id of a thing: opaque to clients, the same for ever."""
    return base64.urlsafe_b64encode(f"{type_name}:{id_}".encode()).decode().rstrip("=")


def node_type(id_: str) -> str:
    """The type's name in a global id, whatever stands behind it. Raises InvalidNodeId."""
    try:
        return _decoded(id_).partition(b":")[0].decode()
    except (ValueError, binascii.Error):
        raise InvalidNodeId(f"'{id_[:80]}' is not a node id.") from None


def node_parts(id_: str) -> tuple[str, UUID]:
    """The type's name and the thing's own id. Raises InvalidNodeId."""
    try:
        type_name, _, raw = _decoded(id_).decode().partition(":")
        return type_name, UUID(raw)
    except (ValueError, binascii.Error):
        raise InvalidNodeId(f"'{id_[:80]}' is not a node id.") from None


def uuid_of(value: object) -> UUID:
    """A thing's own id, given as such or (then a NodeUuid) as a node id: arguments take both. Raises InvalidNodeId."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        return NodeUuid(*node_parts(str(value)))


def own_ids(name: str, value: Any, types: Mapping[str, Sequence[str]]) -> Any:
    """An argument, or what lies in it, with node ids as the ids of the things themselves.

    `types` are names of types by what their ids are called: `order_id` takes no node id of a Product, neither do
    `order_ids` and `order`. Raises InvalidNodeId.
    """
    match value:
        case NodeUuid():
            singular = name.removesuffix("s")
            expected = types.get(name) or types.get(singular) or types.get(f"{singular}_id")
            if expected and value.type_name not in expected:
                known = " or ".join(expected)
                raise InvalidNodeId(f"'{name}' takes a node id of {known}; this is one of {value.type_name[:80]}.")
            return UUID(int=value.int)
        case Mapping():
            return {key: own_ids(key, item, types) for key, item in value.items()}
        case list():
            return [own_ids(name, item, types) for item in value]
    return value


def edge_cursor(page_after: str | None, position: int, asked: str) -> str:
    """The cursor of the `position`th edge (from 1) of the page after `page_after` of what was `asked`.

    Services give a cursor only for a page's end; one inside a page is found again by asking for just so many.
    """
    return base64.urlsafe_b64encode(orjson.dumps([_INNER, page_after, position, asked])).decode().rstrip("=")


def inner_position(cursor: str | None) -> tuple[str | None, int, str] | None:
    """What `edge_cursor` was made of, or None for a service's own cursor. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        values: Any = orjson.loads(_decoded(cursor))
    except (ValueError, binascii.Error):
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None
    match values:
        case [str(mark), None | str() as after, int(position), str(asked)] if mark == _INNER and 0 < position <= 1000:
            return after, position, asked
    return None


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
