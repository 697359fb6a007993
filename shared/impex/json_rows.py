"""Rows as JSON: NDJSON, one row a line, or one JSON list."""

import codecs
from typing import Any

import orjson

from shared.errors import Invalid


class MalformedRows(Invalid):
    """The body begins like a JSON list and is none."""

    code = "malformed_json"
    title = "The body is not JSON"


def rows_of(content: bytes) -> list[Any]:
    """The rows in `content`; a line that is not JSON stays a text, so that it fails as a row. Raises MalformedRows."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.lstrip()[:1] == b"[":
        return _list(content)
    return [_row(line) for line in content.splitlines() if line.strip()]


def _list(content: bytes) -> list[Any]:
    try:
        rows: list[Any] = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MalformedRows(f"The body is not JSON: {error}.") from None
    return rows


def _row(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode(errors="replace")
