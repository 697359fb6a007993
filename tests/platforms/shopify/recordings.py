"""Shopify's own schema, and what real shops have answered: beside the project, where they are there at all."""

import gzip
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_client_schema

DATA = Path(__file__).resolve().parents[4] / "shared/data/platforms"
_SCHEMA = DATA / "shopify-admin-2026-10.introspection.json.gz"
_CONVERSATIONS = DATA / "shopify-recorded-conversations.tar.gz"
_EMULATOR = DATA / "recorded/shopify-twin"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="Shopify's schema and recordings are not beside the project")
JsonObject = dict[str, Any]


@cache
def schema() -> GraphQLSchema:
    """Admin GraphQL 2026-10, as Shopify publishes it."""
    return build_client_schema(json.loads(gzip.decompress(_SCHEMA.read_bytes()))["data"], assume_valid=True)


def scopes_of_mutations() -> dict[str, list[str]]:
    """By mutation the scopes of which an app needs one."""
    listed = json.loads(gzip.decompress(_SCHEMA.read_bytes()))["offline_scopes"]["items"]
    return {each["fieldName"]: each["offlineScopes"] for each in listed if each.get("typeName") == "Mutation"}


@dataclass(frozen=True)
class Exchange:
    """One answer of a shop: to which root field, in which file, with which variables where they are known."""

    root: str
    file: str
    variables: JsonObject
    body: JsonObject

    @property
    def payload(self) -> Any:
        return (self.body.get("data") or {}).get(self.root)


@cache
def exchanges() -> tuple[Exchange, ...]:
    """All recorded answers by root field. An answer with top-level errors alone has the root ''."""
    found: list[Exchange] = []
    with tarfile.open(_CONVERSATIONS) as archive:
        for member in archive:
            if member.name.endswith(".json"):
                content = archive.extractfile(member)
                assert content is not None
                found += _found(json.load(content), member.name)
    for path in sorted(_EMULATOR.glob("*.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            asked, answer = exchange["request"]["body"], exchange["response"]["body"]
            if isinstance(asked, dict) and isinstance(answer, dict):
                found += _of(answer, asked.get("variables") or {}, path.name)
    return tuple(found)


def _found(value: Any, file: str) -> Iterator[Exchange]:
    """Answers anywhere in a recorded file, which nests them in many ways."""
    if isinstance(value, list):
        for each in value:
            yield from _found(each, file)
    elif isinstance(value, dict):
        answer = _answer(value)
        if answer is not None:
            yield from _of(answer, _variables(value), file)
        elif _is_answer(value):
            yield from _of(value, {}, file)
        else:
            for each in value.values():
                yield from _found(each, file)
            return
        for name, each in value.items():
            if name not in ("response", "payload", "body", "data"):
                yield from _found(each, file)


def _answer(value: JsonObject) -> JsonObject | None:
    for name in ("response", "payload", "body"):
        inner = value.get(name)
        while isinstance(inner, dict) and not _is_answer(inner) and ("payload" in inner or "body" in inner):
            inner = inner.get("payload", inner.get("body"))
        if isinstance(inner, dict) and _is_answer(inner):
            return inner
    return None


def _variables(value: JsonObject) -> JsonObject:
    request = value.get("request")
    given = value.get("variables") or (request.get("variables") if isinstance(request, dict) else None)
    return given if isinstance(given, dict) else {}


def _is_answer(value: JsonObject) -> bool:
    data, errors = value.get("data"), value.get("errors")
    is_data = isinstance(data, dict) and bool(data)
    return is_data or (
        isinstance(errors, list) and bool(errors) and isinstance(errors[0], dict) and "message" in errors[0]
    )


def _of(answer: JsonObject, variables: JsonObject, file: str) -> Iterator[Exchange]:
    if answer.get("errors"):
        yield Exchange("", file, variables, answer)
    else:
        for root in answer["data"]:
            yield Exchange(root, file, variables, answer)
