"""What a real shop has answered, and PrestaShop's own schema: beside the project, where they are there at all."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.outgoing import Answer

DATA = Path(__file__).resolve().parents[4] / "shared/data/platforms"
_RECORDED = DATA / "recorded/prestashop"
_SCHEMA = DATA / "prestashop-8.2.1-webservice-synopsis.json"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="PrestaShop's schema and recordings are not beside the project"
)
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """One request with its answer. `name` is that of its file and its place in it."""

    name: str
    why: str
    method: str
    path: str
    query: JsonObject
    sent: Any
    answer: Answer

    @property
    def resource(self) -> str:
        return (self.path.split("/") + [""] * 4)[2]

    @property
    def external_id(self) -> str:
        return (self.path.split("/") + [""] * 4)[3]

    @property
    def is_image(self) -> bool:
        return self.resource == "images"

    @property
    def as_json(self) -> bool:
        return "json" in self.answer.headers.get("content-type", "")


@cache
def exchanges() -> tuple[Exchange, ...]:
    """All recorded conversations, in their order."""
    if not _RECORDED.exists():
        return ()
    found = []
    for path in sorted(_RECORDED.glob("*.json")):
        for index, each in enumerate(json.loads(path.read_text())["exchanges"]):
            request, response = each["request"], each["response"]
            body = response["body"]
            content = body if isinstance(body, str) else json.dumps(body)
            answer = Answer(response["status"], dict(response["headers"]), content.encode())
            query = request.get("query") or {}
            found.append(
                Exchange(
                    f"{path.stem[:2]}-{index}",
                    each["why"],
                    request["method"],
                    request["path"],
                    query,
                    request.get("body"),
                    answer,
                )
            )
    return tuple(found)


def recorded(name: str) -> Exchange:
    """One of them by its name."""
    return next(each for each in exchanges() if each.name == name)


def rows(name: str) -> list[JsonObject]:
    """The rows of one of them."""
    body = recorded(name).answer.document
    assert isinstance(body, dict)
    return list(body[recorded(name).resource])


@cache
def schema() -> dict[str, ElementTree.Element]:
    """The synopsis of each resource: its record, with what is required, read-only and how long."""
    told = json.loads(_SCHEMA.read_text())["synopsis"]
    # Pictures have none: they are no records.
    return {name: ElementTree.fromstring(text)[0] for name, text in told.items() if len(ElementTree.fromstring(text))}


@cache
def verbs() -> dict[str, frozenset[str]]:
    """What each resource can be asked."""
    root = ElementTree.fromstring(json.loads(_SCHEMA.read_text())["root"])
    api = root.find("api")
    assert api is not None
    return {
        each.tag: frozenset(verb.upper() for verb in ("get", "put", "post", "patch") if each.get(verb) == "true")
        for each in api
    }
