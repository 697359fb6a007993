"""Whole scans by bulk operations: Shopify writes all records into one file of JSON lines, which is read piece by piece.

A piece is asked for by its range of bytes, so that a file of any length is read in little memory, and the place where
the next one begins is all that has to be kept to take the scan up again. Children follow their parents only as long as
Shopify groups them; a product or order whose children are not all there is read anew by its id.

An operation that failed has a prefix of its records in `partialDataUrl`, which is never looked at: the scan goes on by
ids instead. The same when other operations of this app are in the way.
https://shopify.dev/docs/api/usage/bulk-operations/queries
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.base import Page
from services.sync.platforms.http import checked, said
from services.sync.platforms.shopify import queries
from services.sync.platforms.shopify.client import code, user_errors, words
from services.sync.platforms.shopify.mapping import moment
from services.sync.platforms.shopify.reading import Found, Reader
from shared.contracts.sync.shapes import Entity
from shared.outgoing import Answer

JsonObject = dict[str, Any]
Token = dict[str, Any]

# Some five hundred products; and what a single record with all its children may come to.
PIECE_BYTES = 512 << 10
MOST_RECORD_BYTES = 32 << 20
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
# How long one page waits for an operation before it says that there is nothing yet.
PATIENCE_SECONDS = 30.0
# An operation that was started for this scan, though its answer never came, is not older than the scan by more.
_CLOCKS_DIFFER = timedelta(minutes=1)

_QUERIES: Mapping[str, str] = {
    "product": queries.BULK_PRODUCTS,
    "stock": queries.BULK_LEVELS,
    "order": queries.BULK_ORDERS,
}
_LISTS = {
    "ProductVariant": "variants",
    "Collection": "collections",
    "LineItem": "lineItems",
}
_EMPTY: Mapping[str, tuple[str, ...]] = {"product": ("variants", "media", "collections"), "order": ("lineItems",)}


class Lost(Exception):
    """The operation will give no file: the scan has to go on another way."""


class Bulk:
    """Bulk operations of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client
        self._urls: dict[str, JsonObject] = {}

    async def start(self, entity: Entity, until: datetime | None) -> Token:
        """Have a file written of all records. Gives what a page is asked for by. Raises Lost."""
        variables = {"query": _QUERIES[entity], "grouped": entity != "stock"}
        payload = (await self._client.ask(queries.RUN_BULK, variables))["bulkOperationRunQuery"]
        errors = user_errors(payload)
        if any(code(error) in ("OPERATION_IN_PROGRESS", "LIMIT_REACHED") for error in errors):
            return {"op": await self._started_before(_QUERIES[entity], until), "at": 0}
        if errors:
            raise PlatformRefused(words(errors))
        return {"op": payload["bulkOperation"]["id"], "at": 0}

    async def _started_before(self, query: str, until: datetime | None) -> str:
        """The operation that an earlier try of this very scan has started. Raises Lost."""
        found = (await self._client.ask(queries.RUNNING_BULKS))["bulkOperations"]["nodes"]
        for operation in found:
            is_ours = operation["query"] == query and operation["status"] in ("CREATED", "RUNNING", "COMPLETED")
            if is_ours and until is not None and moment(operation["createdAt"]) >= until - _CLOCKS_DIFFER:
                return str(operation["id"])
        raise Lost("other bulk operations are running")

    async def page(self, entity: Entity, token: Token, patience_seconds: float) -> tuple[Page, Token | None]:
        """Records from a place of the file on, and where those after them begin; none yet while it is written."""
        operation = await self._finished(token["op"], patience_seconds)
        if operation is None:
            return Page([]), token
        total = int(operation["rootObjectCount"] or 0) or None
        if not operation["url"]:
            return Page([], total=total), None
        nodes, at, is_end = await self._nodes(entity, operation, token)
        count = int(token.get("n", 0)) + len(nodes)
        if is_end and entity != "stock" and count < (total or 0):
            raise Lost(f"the file has {count} of {total} records")
        found = await self._found(entity, nodes)
        page = Page(found.records, total=None if entity == "stock" else total, unread=found.unread)
        return page, None if is_end else {**token, "at": at, "n": count}

    async def _finished(self, operation_id: str, patience_seconds: float) -> JsonObject | None:
        """The operation when it has written its file; None while it is still at it. Raises Lost."""
        if operation_id in self._urls:
            return self._urls[operation_id]
        wait, waited = FIRST_WAIT_SECONDS, 0.0
        while True:
            operation = (await self._client.ask(queries.BULK, {"id": operation_id}))["bulkOperation"]
            if _is_written(operation):
                self._urls[operation_id] = operation
                return operation
            if waited >= patience_seconds:
                return None
            await asyncio.sleep(wait)
            waited, wait = waited + wait, min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _nodes(self, entity: Entity, operation: JsonObject, token: Token) -> tuple[list[JsonObject], int, bool]:
        """Whole records from a place of the file on, where they end, and whether the file does."""
        at, size = int(token["at"]), PIECE_BYTES
        while size <= MOST_RECORD_BYTES:
            piece, is_end = await self._piece(operation, at, size)
            nodes, used = (_levels if entity == "stock" else _grouped)(piece, is_end=is_end, entity=entity)
            if used or is_end:
                return nodes, at + used, is_end
            size *= 2
        raise PlatformRefused(f"One record of Shopify's file is longer than {MOST_RECORD_BYTES} bytes.")

    async def _piece(self, operation: JsonObject, at: int, size: int) -> tuple[bytes, bool]:
        """So many bytes of the file, and whether it ends with them.

        Where ranges are not known the whole file comes, as long as the operation says that it is; whatever else comes
        is not the file.
        """
        headers = {"Range": f"bytes={at}-{at + size - 1}", "Accept-Encoding": "identity"}
        answer = await self._client.http.send("GET", operation["url"], headers=headers, points=0)
        whole = int(operation["fileSize"] or 0)
        if answer.status in (400, 401, 403, 404, 410):
            # The address is good for some days only; the next try asks for a new one.
            self._urls.pop(operation["id"], None)
            raise PlatformAway(f"The file of the bulk operation is not there now: {said(answer)}")
        body = checked(answer).body
        if answer.status == 206 and (length := _length(answer)) is not None:
            return body, at + len(body) >= length
        if answer.status == 206 or not len(body) == whole > at:
            raise AnswerNotUnderstood(f"This is not the file of the bulk operation: {said(answer)}")
        return body[at:], True

    async def _found(self, entity: Entity, nodes: Sequence[JsonObject]) -> Found:
        found = await self._reader.plain(entity, [node for node in nodes if _is_whole(entity, node)])
        found.add(await self._reader.find(entity, [node["id"] for node in nodes if not _is_whole(entity, node)]))
        return found


def _is_written(operation: JsonObject | None) -> bool:
    """Whether an operation has written its file. Raises CredentialsRefused, Lost."""
    if operation is None:
        raise Lost("Shopify no longer knows the operation")
    if operation["status"] == "COMPLETED":
        return True
    if operation["status"] in ("CREATED", "RUNNING"):
        return False
    if operation["errorCode"] == "ACCESS_DENIED":
        raise CredentialsRefused("A bulk operation may not read all that it was to read (ACCESS_DENIED).")
    raise Lost(f"the operation is {operation['status']} ({operation['errorCode']})")


def _grouped(piece: bytes, *, is_end: bool, entity: Entity) -> tuple[list[JsonObject], int]:
    """Parents with the children that follow them.

    The last one is left for the next piece, because more may follow it there; unless children of others do already,
    which means that nothing is grouped.
    """
    found: list[tuple[int, JsonObject]] = []
    is_open = False
    for start, line in _lines(piece, is_end=is_end):
        parent = line.pop("__parentId", None)
        if parent is None:
            line.update({name: [] for name in _EMPTY[entity]})
            found.append((start, line))
            is_open = True
        elif is_open := bool(found) and found[-1][1]["id"] == parent:
            found[-1][1][_LISTS.get(line["id"].split("/")[3], "media")].append(line)
    if is_end:
        return [node for _, node in found], len(piece)
    if not is_open:
        return [node for _, node in found], piece.rfind(b"\n") + 1
    return [node for _, node in found[:-1]], found[-1][0]


def _levels(piece: bytes, *, is_end: bool, entity: Entity) -> tuple[list[JsonObject], int]:
    """Stock levels, which say themselves what they belong to; the items above them are passed over."""
    found = [line for _, line in _lines(piece, is_end=is_end) if line.pop("__parentId", None)]
    return found, len(piece) if is_end else piece.rfind(b"\n") + 1


def _lines(piece: bytes, *, is_end: bool) -> Iterator[tuple[int, JsonObject]]:
    """Whole lines with where they begin. Raises AnswerNotUnderstood."""
    start, load = 0, orjson.loads
    try:
        while (end := piece.find(b"\n", start)) >= 0:
            if end > start:
                yield start, load(piece[start:end])
            start = end + 1
        if is_end and start < len(piece):
            yield start, load(piece[start:])
    except orjson.JSONDecodeError as error:
        raise AnswerNotUnderstood(f"The bulk operation's file is not JSON: {piece[start : start + 200]!r}") from error


def _is_whole(entity: Entity, node: JsonObject) -> bool:
    if entity == "product":
        return bool(
            len(node["variants"]) == node["variantsCount"]["count"]
            and len(node["media"]) == node["mediaCount"]["count"]
        )
    if entity == "order":
        return bool(node["lineItems"]) and (
            sum(line["quantity"] for line in node["lineItems"]) >= node["subtotalLineItemsQuantity"]
        )
    return True


def _length(answer: Answer) -> int | None:
    """How long the whole file is, by the `Content-Range` of a piece (RFC 9110 §14.4)."""
    length = answer.headers.get("content-range", "").rpartition("/")[2]
    return int(length) if length.isdigit() else None
