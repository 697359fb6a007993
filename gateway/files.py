"""Files in and out: bodies are streamed into the blob store as they arrive, and blobs out of it as they are read."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol
from urllib.parse import quote
from uuid import UUID

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import StreamingResponse

from shared import blobs
from shared.bus.envelope import Caller
from shared.errors import Invalid, TooLarge, ValidationFailed

# FEATURES CAT-5: an upload of up to 1 GB.
UPLOAD_BYTES = 1 << 30
# What multipart adds to a file: part headings and boundaries.
_FRAME_BYTES = 1 << 20
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
        file_name, pieces = _plain_name(upload.filename), _pieces(upload)
    try:
        stored = await blobs.put_stream(organization_id, key, pieces, limit=UPLOAD_BYTES)
    except blobs.BlobTooLarge:
        raise _too_large() from None
    if not stored.size:
        await blobs.delete(organization_id, key)
        raise EmptyUpload("The request has no content: send the file as its body, or as multipart.")
    return stored, file_name


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


def _plain_name(name: str | None) -> str | None:
    """The last part of a file name as a browser sends it, shortened, without control characters."""
    plain = "".join(c for c in (name or "").replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())
    return plain[:200] or None


def _too_large() -> UploadTooLarge:
    return UploadTooLarge(f"A file is at most {UPLOAD_BYTES} bytes; split it.")
