"""JSON as its author wrote it: numbers exactly, and nothing silently the last to win."""

import json

from shared.impex.cells import InvalidCell
from shared.impex.values import Unreadable, number_text


class RepeatedKey(ValueError):
    """An object has a key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def json_decoder() -> json.JSONDecoder:
    """Decodes numbers to text, and those that are none to Unreadable.

    Its methods raise JSONDecodeError, RepeatedKey, and RecursionError for what is nested too deeply.
    """
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=Unreadable
    )


def _number(literal: str) -> str | Unreadable:
    try:
        return number_text(literal)
    except InvalidCell:
        return Unreadable(literal)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise RepeatedKey(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def explained(fault: ValueError | RecursionError) -> tuple[str, str]:
    """A code and a sentence for what a decoder raised on one row."""
    if isinstance(fault, RepeatedKey):
        return "duplicate_key", f"The object has {fault.key[:100]!r} more than once."
    if isinstance(fault, RecursionError):
        return "nested_too_deeply", "The object holds objects within objects without end; a row has cells."
    if isinstance(fault, json.JSONDecodeError):
        return "invalid_json", f"It is not valid JSON: {fault.msg[:100]} at character {fault.pos + 1}."
    return "invalid_json", "It is not valid JSON."
