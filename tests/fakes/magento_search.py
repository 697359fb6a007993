"""Searches as Magento does them, with what is odd about them: without case, unknown conditions, `items` of null."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

JsonObject = dict[str, Any]

_FILTER = re.compile(r"searchCriteria\[filter_groups\]\[(\d+)\]\[filters\]\[(\d+)\]\[(\w+)\]")
_PART = re.compile(r"[^,\[\]]+|[,\[\]]")


class UnknownField(Exception):
    """A search by a column that there is not."""


def searched(rows: Sequence[JsonObject], query: Mapping[str, str], page_size: int) -> JsonObject:
    """What a search answers, never more than a page of this size."""
    groups = _groups(query)
    wanted = [row for row in rows if all(any(_holds(row, each) for each in group) for group in groups)]
    sort = query.get("searchCriteria[sortOrders][0][field]", "")
    if sort and wanted and sort in wanted[0]:
        wanted.sort(key=lambda row: _comparable(row[sort]))
    asked = int(query.get("searchCriteria[pageSize]", "0")) or len(wanted)
    size = min(asked, page_size)
    page = max(int(query.get("searchCriteria[currentPage]", "1")), 1)
    items = wanted[(page - 1) * size : page * size]
    told = {"filter_groups": [{"filters": group} for group in groups], "page_size": asked}
    return {"items": items, "search_criteria": told, "total_count": len(wanted)}


def projected(body: Any, fields: str) -> Any:
    """The fields of an answer that were asked for; an object of which none is left is a list."""
    parts = iter(_PART.findall(fields))
    return _only(body, _tree(parts))


def _tree(parts: Any) -> JsonObject:
    tree: JsonObject = {}
    name = ""
    for part in parts:
        if part == "[":
            tree[name] = _tree(parts)
        elif part == "]":
            return tree
        elif part != ",":
            name = part
            tree[name] = {}
    return tree


def _only(value: Any, tree: JsonObject) -> Any:
    if isinstance(value, list):
        return [_only(each, tree) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _only(value[name], inner) if inner else value[name] for name, inner in tree.items() if name in value}
    return found or []


def _groups(query: Mapping[str, str]) -> list[list[JsonObject]]:
    groups: dict[int, dict[int, JsonObject]] = {}
    for name, value in query.items():
        if found := _FILTER.fullmatch(name):
            groups.setdefault(int(found[1]), {}).setdefault(int(found[2]), {})[found[3]] = value
    return [[group[index] for index in sorted(group)] for _, group in sorted(groups.items())]


def _holds(row: JsonObject, condition: JsonObject) -> bool:
    name = condition["field"]
    if name not in row:
        raise UnknownField(name)
    value, wanted = _comparable(row[name]), condition["value"]
    if condition["condition_type"] == "in":
        return value in [_like(row[name], each) for each in wanted.split(",")]
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda one, other: one == other,
        "gt": lambda one, other: one > other,
        "gteq": lambda one, other: one >= other,
        "lt": lambda one, other: one < other,
        "lteq": lambda one, other: one <= other,
    }
    test = tests.get(condition["condition_type"])
    return test is not None and test(value, _like(row[name], wanted))


def _like(value: Any, text: str) -> Any:
    """A text as the kind that a column has, as a database makes of it what it can."""
    if isinstance(value, int | float):
        return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else 0.0
    return text.lower()


def _comparable(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) else str(value).lower()
