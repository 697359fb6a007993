"""Operations that are named by a hash in place of their text: automatic ones, and those that were registered.

Automatic (Apollo's protocol, https://www.apollographql.com/docs/apollo-server/performance/apq): a client sends
`extensions.persistedQuery {version: 1, sha256Hash}` alone; who does not know it says `PersistedQueryNotFound`; the
client then sends it again with its text, and from then on this process knows it. What is forgotten, by a process that
ends or for what came since, is sent once more. Every organization has its own: nobody finds out what others ask.

Registered: files in a folder that is read at the start, `*.graphql` (one document each, named like the file) and
`*.json` (`{id: document}`, as Relay and codegen write it). They are known by id and by hash to everybody, also as
`documentId` (https://github.com/graphql/graphql-over-http, appendix "Persisted Documents"). Where nothing else shall be
run, everything else is refused.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLError

from gateway.graphql.schema import Schema
from shared.errors import Forbidden, Invalid, NotFound

_HASH = re.compile(r"[0-9a-f]{64}")
_PREFIX = "sha256:"
# Of all automatic operations in a process.
_REMEMBERED_CHARACTERS = 1_000_000
_LONGEST_REMEMBERED = 20_000


class PersistedQueryNotFound(NotFound):
    """No operation is known by this hash: send its text with it, and it is."""


class PersistedQueryMismatch(Invalid):
    """The hash is not that of the text that came with it."""


class InvalidPersistedQuery(Invalid):
    """`persistedQuery` is `{version: 1, sha256Hash}`, with 64 hexadecimal digits; `documentId` is a text."""


class OperationNotRegistered(Forbidden):
    """Only registered operations are answered here."""


class InvalidRegisteredOperation(Exception):
    """A file of registered operations cannot be used; the sentence says which, and why."""


@dataclass(frozen=True)
class Asked:
    """An operation as a request names it: by its text, its hash, its id, or several of them."""

    text: str | None = None
    hash: str | None = None
    id: str | None = None

    @classmethod
    def of(cls, request: dict[str, Any]) -> "Asked":
        """Raises InvalidPersistedQuery."""
        document_id, persisted = request.get("documentId"), (request.get("extensions") or {}).get("persistedQuery")
        if document_id is not None and not isinstance(document_id, str):
            raise InvalidPersistedQuery("`documentId` must be a text.")
        if persisted is None:
            is_hash = document_id is not None and document_id.startswith(_PREFIX)
            if document_id is None or not is_hash:
                return cls(request.get("query"), None, document_id)
            persisted = {"version": 1, "sha256Hash": document_id.removeprefix(_PREFIX)}
        if not isinstance(persisted, dict) or persisted.get("version") != 1:
            raise InvalidPersistedQuery("`persistedQuery` must be an object with `version` 1.")
        given = persisted.get("sha256Hash")
        if not isinstance(given, str) or not _HASH.fullmatch(given.lower()):
            raise InvalidPersistedQuery("`sha256Hash` must be the 64 hexadecimal digits of a SHA-256.")
        return cls(request.get("query"), given.lower(), document_id)


class Operations:
    """The operations that one process knows by their hashes."""

    def __init__(self, schema: Schema, folder: Path | None = None, *, only_registered: bool = False) -> None:
        """Raises InvalidRegisteredOperation."""
        self._only_registered = only_registered
        self._registered: dict[str, str] = {}
        for name, text in _files(folder) if folder is not None else ():
            _check(schema, name, text)
            self._registered[name] = self._registered[_hash(text)] = text
        self._automatic: OrderedDict[tuple[UUID | None, str], str] = OrderedDict()
        self._characters = 0

    def text(self, asked: Asked, organization_id: UUID | None) -> str:
        """The operation's text. Raises GraphQLError where it is not known, not what its hash says, or not allowed."""
        text = asked.text
        if text:
            if asked.hash is not None and _hash(text) != asked.hash:
                raise _refusal(PersistedQueryMismatch("The hash is not that of the text that came with it."))
        else:
            text = self._known(asked, organization_id)
        self.allow(text)
        return text

    def allow(self, text: str) -> None:
        """Raises GraphQLError for what is not registered, where only that is run."""
        if self._only_registered and _hash(text) not in self._registered:
            raise _refusal(OperationNotRegistered("Only registered operations are answered here."))

    def remember(self, asked: Asked, text: str, organization_id: UUID | None) -> None:
        """Know a valid operation by the hash that came with its text."""
        key = (organization_id, asked.hash)
        if not asked.text or key[1] is None or len(text) > _LONGEST_REMEMBERED or key in self._automatic:
            return
        self._automatic[organization_id, key[1]] = text
        self._characters += len(text)
        while self._characters > _REMEMBERED_CHARACTERS:
            _, forgotten = self._automatic.popitem(last=False)
            self._characters -= len(forgotten)

    def _known(self, asked: Asked, organization_id: UUID | None) -> str:
        for name in (asked.hash, asked.id):
            if name is not None and name in self._registered:
                return self._registered[name]
        found = self._automatic.get((organization_id, asked.hash or ""))
        if found is None:
            # Clients look for this very message.
            raise _refusal(PersistedQueryNotFound("PersistedQueryNotFound"))
        self._automatic.move_to_end((organization_id, asked.hash or ""))
        return found


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        raise InvalidRegisteredOperation(f"The folder of registered operations {folder} is not there.")
    for path in sorted(folder.iterdir()):
        if path.suffix == ".graphql":
            yield path.stem, path.read_text("utf-8")
        elif path.suffix == ".json":
            yield from _manifest(path)


def _manifest(path: Path) -> Iterator[tuple[str, str]]:
    try:
        listed = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidRegisteredOperation(f"{path.name} is not JSON: {error}.") from None
    if not isinstance(listed, dict) or not all(isinstance(text, str) for text in listed.values()):
        raise InvalidRegisteredOperation(f"{path.name} must be an object of ids and documents.")
    yield from listed.items()


def _check(schema: Schema, name: str, text: str) -> None:
    try:
        errors = schema.documents.of(text).errors
    except GraphQLError as error:
        errors = [error]
    if errors:
        raise InvalidRegisteredOperation(f"The registered operation '{name}' cannot be run: {errors[0].message}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refusal(error: Invalid | NotFound | Forbidden) -> GraphQLError:
    return GraphQLError(error.detail, original_error=error)
