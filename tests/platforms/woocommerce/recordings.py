"""WooCommerce's own description of its routes, and what a real site has answered: where they are beside the project."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[4] / "shared/data/platforms"
_SCHEMA = DATA / "woocommerce-10.5.3-wc-v3-routes-and-schemas.json"
_CONVERSATIONS = DATA / "recorded/woocommerce"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="WooCommerce's schema and recordings are not beside the project"
)
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """One request, or one delivery of a webhook, and its answer."""

    file: str
    place: int
    why: str
    request: JsonObject
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def name(self) -> str:
        return f"{self.file}-{self.place}"

    @property
    def is_delivery(self) -> bool:
        return "from" in self.request


@cache
def exchanges() -> tuple[Exchange, ...]:
    """All that was recorded, in order."""
    return tuple(_exchanges()) if DATA.exists() else ()


def _exchanges() -> Iterator[Exchange]:
    for path in sorted(_CONVERSATIONS.glob("*.json")):
        for place, each in enumerate(json.loads(path.read_text())["exchanges"]):
            answer = each["response"]
            yield Exchange(
                path.stem, place, each["why"], each["request"], answer["status"], answer["headers"], answer["body"]
            )


def recorded(file: str, place: int) -> Exchange:
    return next(each for each in exchanges() if each.file.startswith(file) and each.place == place)


@cache
def routes() -> dict[str, JsonObject]:
    """By pattern the routes of `wc/v3`."""
    found: dict[str, JsonObject] = json.loads(_SCHEMA.read_text())["routes"]
    return found


def arguments(method: str, path: str) -> JsonObject | None:
    """What a route takes by this method; None where there is no such route."""
    for pattern, route in routes().items():
        if re.fullmatch(pattern, path):
            for endpoint in route["endpoints"]:
                if method in endpoint["methods"]:
                    taken: JsonObject = endpoint["args"] or {}
                    return taken
    return None


def faults(schema: JsonObject, value: Any, name: str) -> Iterator[str]:
    """What of a value does not fit what WordPress says of it (a part of JSON Schema draft 4)."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if schema.get("readonly"):
        yield f"{name} is read-only"
    if not any(_is_a(kind, value) for kind in kinds):
        yield f"{name} is {value!r} and not {kinds}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{name} is {value!r} and not one of {schema['enum']}"
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        for each, inner in value.items():
            if known and each not in known:
                yield f"{name} has no {each}"
            elif each in known:
                yield from faults(known[each], inner, f"{name}.{each}")
    if isinstance(value, list) and "items" in schema:
        for each in value:
            yield from faults(schema["items"], each, f"{name}[]")


def _is_a(kind: str | None, value: Any) -> bool:
    tests: dict[str, bool] = {
        "string": isinstance(value, str),
        "date-time": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    # `mixed` is WordPress's word for anything.
    return tests.get(kind or "mixed", True)


def queried(schema: JsonObject, text: str) -> Any:
    """A value of the query, as WordPress reads it."""
    kind = schema.get("type")
    if kind == "integer":
        return int(text)
    if kind == "boolean":
        return text == "true"
    if kind == "array":
        items = schema.get("items") or {}
        return [int(each) if items.get("type") == "integer" else each for each in text.split(",")]
    return text
