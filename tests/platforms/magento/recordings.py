"""Magento's own schema, and what a real shop has answered: beside the project, where they are there at all."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.outgoing import Answer

DATA = Path(__file__).resolve().parents[4] / "shared/data/platforms"
_SCHEMA = DATA / "magento-swagger-2.4.7-p3.json"
_CONVERSATIONS = DATA / "recorded/magento"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="Magento's schema and recordings are not beside the project")
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """One request to the shop and its answer. `path` is from V1 on, without the scope."""

    file: str
    number: int
    why: str
    method: str
    path: str
    prefix: str
    query: JsonObject
    sent: Any
    status: int
    body: Any

    @property
    def is_rest(self) -> bool:
        return self.path.startswith("/V1/")

    @property
    def answer(self) -> Answer:
        content = self.body.encode() if isinstance(self.body, str) and self.status >= 400 else orjson.dumps(self.body)
        return Answer(self.status, {"content-type": "application/json"}, content)

    def __str__(self) -> str:
        return f"{self.file.split('-')[0]}-{self.number}"


@cache
def exchanges() -> tuple[Exchange, ...]:
    """All that was recorded, in order."""
    return tuple(
        _exchange(path.stem, number, each)
        for path in sorted(_CONVERSATIONS.glob("*.json"))
        for number, each in enumerate(json.loads(path.read_text())["exchanges"])
    )


def of(method: str, path: str, *files: str) -> list[Exchange]:
    """Those of a method whose path fits an expression, of all files or of those whose names begin so."""
    return [
        each
        for each in exchanges()
        if each.method == method and re.fullmatch(path, each.path) and (not files or each.file.split("-")[0] in files)
    ]


def one(file: str, number: int) -> Exchange:
    return next(each for each in exchanges() if each.file.startswith(file) and each.number == number)


def _exchange(file: str, number: int, each: JsonObject) -> Exchange:
    request, response = each["request"], each["response"]
    found = re.fullmatch(r"/rest(?:/(?!V1/)\w+)??(/async(?:/bulk)?)?(/V1/.*)", request["path"])
    return Exchange(
        file,
        number,
        each["why"],
        request["method"],
        found[2] if found else request["path"],
        (found[1] or "") if found else "",
        request["query"],
        request["body"],
        response["status"],
        response["body"],
    )


@cache
def schema() -> JsonObject:
    """The REST API of 2.4.7-p3 as Swagger 2."""
    found: JsonObject = json.loads(_SCHEMA.read_text())
    return found
