"""Files in and out: bodies are streamed into the blob store as they arrive, and blobs out of it as they are read."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID

import orjson
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import StreamingResponse

from gateway.errors import MalformedJson
from shared import blobs
from shared.bus.envelope import Caller
from shared.errors import CrossdockError, IdempotencyKeyReused, Invalid, TooLarge, ValidationFailed
from shared.identifiers import derived_id, new_id
from shared.validation import entries_of

M = TypeVar("M")

# FEATURES CAT-5: an upload of up to 1 GB.
UPLOAD_BYTES = 1 << 30
# What multipart adds to a file: part headings and boundaries.
_FRAME_BYTES = 1 << 20
# What names an address is no file, and small.
_URL_BYTES = 64 * 1024
# How many blanks before its first byte a body may have where that byte says what the body is.
_BLANKS = 64 * 1024


class EmptyUpload(ValidationFailed):
    """The request had no file in it."""

    title = "The file is empty"


class UploadTooLarge(TooLarge):
    """A file is at most 1 GB."""


class MalformedUpload(Invalid):
    """A multipart body that is not one, or has no file in it."""


class StoredFile(Protocol):
    """Where a file lies in the blob store, within its organization; `size` in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...


def refuse_announced_size(request: Request) -> None:
    """Refuse before reading what says itself that it is too large. Raises UploadTooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > UPLOAD_BYTES + _FRAME_BYTES:
        raise _too_large()


def upload_content(*media_types: str) -> dict[str, Any]:
    """A request body for OpenAPI: a file of these types by itself or as multipart, its rows, or its address."""
    file = {"type": "string", "format": "binary"}
    address = {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {"url": {"type": "string", "format": "uri"}},
    }
    rows = {"type": "array", "items": {"type": "object"}, "description": "The rows themselves."}
    return {
        **{media_type: {"schema": file} for media_type in media_types},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": file}}},
        "application/json": {
            "schema": {"oneOf": [address, rows]},
            "example": {"url": "https://supplier.example/files/goods.csv"},
        },
    }


async def opened(request: Request) -> tuple[bool, AsyncIterator[bytes]]:
    """Whether the body names a file rather than being one, and the body.

    A JSON array is the rows themselves; NDJSON has a media type of its own.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return False, request.stream()
    first, pieces = await begun(request.stream())
    return first != b"[", pieces


async def address_in(pieces: AsyncIterator[bytes]) -> Any:
    """The `url` of a body that names a file, unchecked. Raises UploadTooLarge, MalformedJson, ValidationFailed."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > _URL_BYTES:
            raise UploadTooLarge("A JSON object names the address of a file; rows are sent as an array, or as NDJSON.")
    try:
        named = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error}.") from None
    if not isinstance(named, dict) or set(named) != {"url"}:
        raise ValidationFailed(
            'The body has to be {"url": "https://…"}, or an array of rows.',
            [{"pointer": "/url", "code": "missing", "message": "Name the address of the file, and nothing else."}],
        )
    return named["url"]


def checked(message: type[M], values: dict[str, Any]) -> M:
    """A message of what a request said beside its file. Raises ValidationFailed."""
    try:
        return message(**values)
    except ValidationError as error:
        errors = entries_of(error, message)
        raise ValidationFailed(f"{errors[0]['pointer']}: {errors[0]['message']}", errors) from None


async def begun(stream: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first byte that is not blank, if it is among the first 64 KiB, and the whole stream again."""
    read = b""
    async for piece in stream:
        read += piece
        if len(read) >= _BLANKS or read.strip():
            break

    async def whole() -> AsyncIterator[bytes]:
        yield read
        async for piece in stream:
            yield piece

    return read[:_BLANKS].lstrip()[:1], whole()


async def store(
    request: Request, pieces: AsyncIterator[bytes], organization_id: UUID, key: str
) -> tuple[blobs.Stored, str | None]:
    """Write the uploaded file to the blob store as it arrives; returns its name where it has one.

    Whatever is not multipart is the file: what a client calls it is not asked (curl calls every body a web form).
    Raises EmptyUpload, UploadTooLarge, MalformedUpload; nothing is kept then.
    """
    file_name = None
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        upload = await _multipart_file(request, pieces)
        file_name, pieces = plain_name(upload.filename), _pieces(upload)
    try:
        stored = await blobs.put_stream(organization_id, key, pieces, limit=UPLOAD_BYTES)
    except blobs.BlobTooLarge:
        raise _too_large() from None
    if not stored.size:
        await blobs.delete(organization_id, key)
        raise EmptyUpload("The request has no content: send the file as its body, or as multipart.")
    return stored, file_name


def upload_id(request: Request, caller: Caller, kind: str) -> UUID:
    """A new id; the same for the same client and Idempotency-Key, so that a repeated upload is the same command.

    It belongs into an upload's folder: the same file sent again, in another request, is another file.
    """
    given = request.headers.get("idempotency-key")
    return derived_id(kind, caller.organization_id, caller.id, given) if given else new_id()


async def store_in(
    request: Request, pieces: AsyncIterator[bytes], organization_id: UUID, folder: str
) -> tuple[str, blobs.Stored, str | None]:
    """Store an upload as `store` does, in a folder and under its checksum: the same bytes have the same key there.

    Returns the key, what was stored, and the file's name where it has one.
    """
    arriving = f"{folder}/arriving-{new_id()}"
    stored, file_name = await store(request, pieces, organization_id, arriving)
    key = f"{folder}/{stored.sha256}"
    await blobs.rename(organization_id, arriving, key)
    return key, stored, file_name


@asynccontextmanager
async def dropped_if_refused(organization_id: UUID, key: str) -> AsyncIterator[None]:
    """Remove a file when what is asked with it here is refused for certain, so that nobody will ever read it.

    The key has to be this request's own (`upload_id`): another's file may have been accepted.
    After anything else it may have been accepted, and where the Idempotency-Key came before, something with this file
    has been.
    """
    try:
        yield
    except CrossdockError as error:
        if error.status in (400, 404, 422) and error.code != IdempotencyKeyReused.code:
            await blobs.delete(organization_id, key)
        raise


def download(caller: Caller, file: StoredFile) -> StreamingResponse:
    """A file of the caller's organization, streamed from the blob store as an attachment."""
    assert caller.organization_id is not None
    return StreamingResponse(
        blobs.get_stream(caller.organization_id, file.key),
        media_type=file.media_type,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
            "Content-Length": str(file.size),
        },
    )


async def _multipart_file(request: Request, pieces: AsyncIterator[bytes]) -> UploadFile:
    """The one file of a multipart body, on disk. Raises MalformedUpload, UploadTooLarge."""
    parser = MultiPartParser(request.headers, _limited(pieces), max_files=1, max_fields=10)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise MalformedUpload(f"The multipart body cannot be read: {getattr(error, 'message', error)}.") from None
    upload = form.get("file")
    if isinstance(upload, str):
        raise MalformedUpload("The part 'file' has no file name, which makes it a form's field: give it one.")
    if not isinstance(upload, UploadFile):
        named = ", ".join(repr(name) for name, _ in form.multi_items()) or "none"
        raise MalformedUpload(f"The file has to be the part named 'file'; the multipart body has {named[:200]}.")
    return upload


async def _limited(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > UPLOAD_BYTES + _FRAME_BYTES:
            raise _too_large()
        yield piece


async def _pieces(upload: UploadFile) -> AsyncIterator[bytes]:
    while piece := await upload.read(1 << 20):
        yield piece


def plain_name(name: str | None) -> str | None:
    """The last part of a file name as a browser sends it, shortened, without control characters."""
    plain = "".join(c for c in (name or "").replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())
    return plain[:200] or None


def _too_large() -> UploadTooLarge:
    return UploadTooLarge(f"A file is at most {UPLOAD_BYTES} bytes; split it.")
