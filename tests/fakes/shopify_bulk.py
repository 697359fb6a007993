"""Bulk operations of a shop of Shopify's, and the files that they write."""

import json
from collections.abc import Callable, Iterable

from graphql import FieldNode, SelectionSetNode

from tests.fakes.shopify_graphql import JsonObject, fields, operation, picked
from tests.fakes.shopify_state import Bulk, Node, gid_of, iso_time, short_id
from tests.fakes.shopify_writing import Writing

RUNNING_AT_ONCE = 5


class Bulks(Writing):
    """Bulk operations, by the names of their fields."""

    def do_bulkOperationRunQuery(self, query: str, groupObjects: bool) -> Node:
        running = [each.id for each in self.bulks.values() if each.status == "RUNNING"]
        if len(running) + self.others_running >= RUNNING_AT_ONCE:
            message = f"A bulk query operation for this app and shop is already in progress: {', '.join(running)}."
            error = {"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}
            return {"bulkOperation": None, "userErrors": [error]}
        bulk = Bulk(self._new_id(), query, "RUNNING", self._now(), polls_left=self.bulk_polls, error=self.bulk_error)
        self._write_file(bulk, is_grouped=groupObjects and self.groups)
        self.bulks[bulk.id] = bulk
        return {"bulkOperation": self._bulk(bulk), "userErrors": []}

    def do_bulkOperation(self, id: str) -> Node | None:
        bulk = self.bulks.get(short_id(id))
        if bulk is None:
            return None
        if bulk.status == "RUNNING":
            bulk.polls_left -= 1
            if bulk.polls_left < 0:
                bulk.status = "FAILED" if bulk.error else "COMPLETED"
        return self._bulk(bulk)

    def do_bulkOperations(self, first: int, query: str, sortKey: str, reverse: bool) -> Node:
        return {"nodes": [self._bulk(each) for each in reversed(self.bulks.values())][:first]}

    def _bulk(self, bulk: Bulk) -> Node:
        is_done = bulk.status == "COMPLETED"
        return {
            "id": gid_of("BulkOperation", bulk.id),
            "status": bulk.status,
            "errorCode": bulk.error if bulk.status == "FAILED" else None,
            "createdAt": iso_time(bulk.created_at),
            "rootObjectCount": str(bulk.roots),
            "fileSize": str(len(bulk.file)) if is_done else None,
            "url": f"{self.url}/bulk/{bulk.id}.jsonl" if is_done and bulk.file else None,
            "query": bulk.query,
        }

    def _write_file(self, bulk: Bulk, *, is_grouped: bool) -> None:
        root = next(iter(fields(operation(bulk.query).selection_set)))
        roots: dict[str, Callable[[], Iterable[Node]]] = {
            "products": lambda: (self._product(each) for each in self.products.values()),
            "orders": lambda: (self._order(each) for each in self.orders.values()),
            "inventoryItems": lambda: (self._item(each) for each in self.items.values()),
        }
        asked = _node_selection(root)
        groups = [_bulk_lines(node, asked) for node in roots[root.name.value]()]
        bulk.roots = len(groups)
        if is_grouped:
            lines = [(line, place == 0) for group in groups for place, line in enumerate(group)]
        else:
            children = [line for group in reversed(groups) for line in group[1:]]
            lines = [*((group[0], True) for group in groups), *((line, True) for line in children)]
        pieces, at = [], 0
        for line, is_start in lines:
            if is_start:
                bulk.starts.append(at)
            pieces.append(line)
            at += len(line)
        bulk.file = b"".join(pieces)


def _node_selection(node: FieldNode) -> SelectionSetNode:
    """What a connection of a bulk query asks of its nodes: `{ edges { node { … } } }`."""
    for name in ("edges", "node"):
        assert node.selection_set is not None
        node = next(each for each in fields(node.selection_set) if each.name.value == name)
    assert node.selection_set is not None
    return node.selection_set


def _bulk_lines(node: Node, asked: SelectionSetNode) -> list[bytes]:
    """A record's line of a file, and after it those of its children."""
    own, children = _split(asked)
    found = [_line(picked(node, own, {}))]
    for child in children:
        inner = _node_selection(child)
        for each in node[child.name.value](first=1_000_000)["nodes"]:
            found.append(_line({**picked(each, inner, {}), "__parentId": node["id"]}))
    return found


_SPLIT: dict[int, tuple[SelectionSetNode, list[FieldNode]]] = {}


def _split(asked: SelectionSetNode) -> tuple[SelectionSetNode, list[FieldNode]]:
    """A selection without its connections, and these."""
    if id(asked) not in _SPLIT:
        children = [each for each in asked.selections if isinstance(each, FieldNode) and _is_connection(each)]
        own = SelectionSetNode(selections=tuple(each for each in asked.selections if each not in children))
        _SPLIT[id(asked)] = (own, children)
    return _SPLIT[id(asked)]


def _is_connection(node: FieldNode) -> bool:
    inner = node.selection_set
    return inner is not None and any(each.name.value == "edges" for each in fields(inner))


def _line(value: JsonObject) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
