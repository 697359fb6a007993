"""Answers that come by the hundred thousand, from our own tables: structs, which are made, written and read in C.

Shapes within them (money, measures; flat ones alone) are written as their fields, and checked like all shapes where
they are read.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

A = TypeVar("A")

# A shape within a struct, as msgspec writes it (`enc_hook`).
as_fields: Callable[[Any], dict[str, Any]] = attrgetter("__dict__")


def _as_shape(kind: type[Any], fields: dict[str, Any]) -> Any:
    return _checked(kind, tuple(fields), *fields.values())  # type: ignore[arg-type]


@lru_cache(maxsize=10_000, typed=True)
def _checked(kind: type[Any], names: tuple[str, ...], *values: Any) -> Any:
    """Many things cost and weigh the same, and shapes never change."""
    return kind.model_validate(dict(zip(names, values, strict=True)))


class StructAnswer(Generic[A]):
    """How an answer that is a struct is written and read: as much of a TypeAdapter as buses use. No secrets in it."""

    def __init__(self, kind: type[A]) -> None:
        self._type = kind
        self._encode = msgspec.json.Encoder(enc_hook=as_fields).encode
        self._decode = msgspec.json.Decoder(kind, dec_hook=_as_shape).decode

    def dump_json(self, instance: A, /, *, context: object = None) -> bytes:
        return self._encode(instance)

    def validate_json(self, data: bytes | str, /, *, context: object = None) -> A:
        """Raises msgspec.ValidationError for what is no such answer."""
        return self._decode(data)
