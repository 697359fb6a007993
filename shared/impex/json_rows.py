"""Rows as JSON: NDJSON, one row a line, or one JSON document: a list of rows, or a row by itself."""

import codecs
from typing import Any

import orjson

from shared.errors import Invalid


class MalformedRows(Invalid):
    """The body says that it is JSON, or begins like a JSON list, and is none."""

    code = "malformed_json"
    title = "The body is not JSON"


def rows_of(content: bytes, *, is_document: bool = False) -> list[Any]:
    """The rows in `content`: NDJSON, or a JSON list. Raises MalformedRows.

    A line of NDJSON that is not JSON stays a text, so that it fails as a row. What is one JSON document by its media
    type (`is_document`) is read whole or not at all: what was cut off on its way is not a bad row among good ones.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    if is_document or content.lstrip()[:1] == b"[":
        document = _document(content)
        return document if isinstance(document, list) else [document]
    return [_row(line) for line in content.splitlines() if line.strip()]


def _document(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MalformedRows(f"The body is not JSON: {error}.") from None


def _row(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode(errors="replace")
