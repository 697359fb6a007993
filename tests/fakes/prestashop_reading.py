"""Queries as PrestaShop's webservice reads them: `filter[…]`, `sort`, `display`, `limit`, `date`, `language`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes import prestashop_rows
from tests.fakes.prestashop_answers import Refused, shown
from tests.fakes.prestashop_rows import Row
from tests.fakes.prestashop_state import Memory

JsonObject = dict[str, Any]
_FILTER = re.compile(r"filter\[(\w+)\]")
_VALUE = re.compile(r"^(?P<sign>[><%]?)\[(?P<inner>.*)\]%?$", re.DOTALL)
_DATES = ("date_add", "date_upd")


def listed(memory: Memory, resource: str, query: Mapping[str, str]) -> list[JsonObject]:
    """The rows that a query asks for. Raises Refused."""
    known = prestashop_rows.fields(resource)
    names = _displayed(query.get("display"), known)
    rows = memory.rows(resource)
    for given, value in query.items():
        if (found := _FILTER.fullmatch(given)) is not None:
            name = found[1]
            if name in _DATES and query.get("date") != "1":
                raise Refused(500, 32, f'This filter does not exist. The full list is: "{name}"')
            if name in _DATES and name not in known:
                return []
            if name not in known:
                raise Refused(500, 32, "This filter does not exist.")
            accepts = _accepting(value)
            rows = [row for row in rows if accepts(row[name])]
    rows = _sorted(rows, query, known)
    language = int(query["language"]) if "language" in query else None
    return [shown(resource, row, names, language) for row in _limited(rows, query.get("limit"))]


def _displayed(display: str | None, known: list[str]) -> list[str] | None:
    if display == "full":
        return None
    if display is None:
        return ["id"]
    names = display.strip("[]").split(",")
    for name in names:
        if name not in known:
            raise Refused(500, 35, f'Unable to display this field "{name}". However, these are available: id')
    return names


def _accepting(value: str) -> Callable[[Any], bool]:
    found = _VALUE.match(value)
    sign, inner = (found["sign"], found["inner"]) if found else ("", value)
    if sign == ">":
        return lambda other: _ordered(other) > _ordered(inner)
    if sign == "<":
        return lambda other: _ordered(other) < _ordered(inner)
    if sign == "%":
        return lambda other: inner.lower() in str(other).lower()
    if "|" in inner:
        return lambda other: str(other).lower() in inner.lower().split("|")
    if "," in inner:
        low, _, high = inner.partition(",")
        return lambda other: _ordered(low) <= _ordered(other) <= _ordered(high)
    return lambda other: str(other).lower() == inner.lower()


def _ordered(value: object) -> tuple[int, int, str]:
    """Numbers as numbers, before texts."""
    text = str(value)
    return (0, int(text), "") if re.fullmatch(r"-?\d+", text) else (1, 0, text)


def _sorted(rows: list[Row], query: Mapping[str, str], known: list[str]) -> list[Row]:
    sort = query.get("sort")
    if sort is None:
        return rows
    if not (sort.startswith("[") and sort.endswith("]")):
        raise Refused(500, 38, "Unable to filter by this field.")
    for key in reversed(sort.strip("[]").split(",")):
        name, _, way = key.rpartition("_")
        if name not in known or (name in _DATES and query.get("date") != "1"):
            raise Refused(500, 38, "Unable to filter by this field. However, these are available: id")
        rows = sorted(rows, key=lambda row: _ordered(row[name]), reverse=way == "DESC")
    return rows


def _limited(rows: list[Row], limit: str | None) -> list[Row]:
    """A limit that is none gives nothing."""
    if limit is None:
        return rows
    parts = limit.split(",")
    if not all(part.isdigit() for part in parts):
        return []
    start, count = (int(parts[0]), int(parts[1])) if len(parts) == 2 else (0, int(parts[0]))
    return rows[start : start + count]
