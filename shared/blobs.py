"""Files beyond what a message carries: a local folder by default, S3 or any other object store by URL.

Every key lies below its organization's id, put there by this module, so that a key from one tenant names nothing in
another's folder. An object appears whole or not at all.
"""

import hashlib
import math
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import zip_longest
from typing import Any
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from shared import clock
from shared.errors import NotFound, TooLarge, Unavailable
from shared.settings import settings

_KEY = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*(?:/[A-Za-z0-9_\-][A-Za-z0-9_.\-]*)*")

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LISTED_AT_ONCE = 1000

ListNeeded = Callable[[UUID, Sequence[str]], Awaitable[Collection[str]]]


class BlobNotFound(NotFound):
    """There is no such file."""

    title = "There is no such file"


class BlobTooLarge(TooLarge):
    """More arrived than the limit allows; nothing was kept."""

    title = "The file is too large"


class BlobStoreUnavailable(Unavailable):
    """The object store did not do what it was asked."""

    title = "The file store does not answer"


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written: bytes, and their SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Swept:
    """How many files were removed, and the organization at which to go on; None where all were looked at."""

    removed: int
    goes_on: UUID | None


async def put_stream(
    organization_id: UUID, key: str, chunks: AsyncIterable[bytes], *, limit: int | None = None
) -> Stored:
    """Write `chunks` under `key` in constant memory, replacing what was there.

    When `chunks` raises, or brings more than `limit` bytes (BlobTooLarge), nothing is kept.
    """
    counted = _Counted(chunks, limit)
    try:
        await obstore.put_async(_store(), _path(organization_id, key), aiter(counted))
    except BaseError as error:
        # The store wraps whatever its source raised; what was refused here keeps its own name.
        if counted.failure is not None:
            raise counted.failure from None
        raise BlobStoreUnavailable(f"The file could not be stored: {error}") from error
    except Exception as error:
        raise counted.failure or error from None
    return Stored(counted.size, counted.digest.hexdigest())


async def put(organization_id: UUID, key: str, content: bytes) -> Stored:
    """Write `content` under `key`, replacing what was there."""
    try:
        await obstore.put_async(_store(), _path(organization_id, key), content)
    except BaseError as error:
        raise BlobStoreUnavailable(f"The file could not be stored: {error}") from error
    return Stored(len(content), hashlib.sha256(content).hexdigest())


async def get_stream(organization_id: UUID, key: str) -> AsyncIterator[bytes]:
    """The content under `key` in pieces of about 1 MB. Raises BlobNotFound with the first."""
    try:
        found = await obstore.get_async(_store(), _path(organization_id, key))
    except FileNotFoundError:
        raise BlobNotFound(f"There is no file '{key}'.") from None
    except BaseError as error:
        raise BlobStoreUnavailable(f"The file could not be read: {error}") from error
    async for piece in found.stream(min_chunk_size=1 << 20):
        yield bytes(piece)


async def get(organization_id: UUID, key: str) -> bytes:
    """The whole content under `key`; for files known to be small. Raises BlobNotFound."""
    return b"".join([piece async for piece in get_stream(organization_id, key)])


async def delete(organization_id: UUID, key: str) -> None:
    """Remove what is under `key`; nothing happens when nothing is there."""
    try:
        await obstore.delete_async(_store(), _path(organization_id, key))
    except FileNotFoundError:
        return
    except BaseError as error:
        raise BlobStoreUnavailable(f"The file could not be removed: {error}") from error


async def rename(organization_id: UUID, source: str, target: str) -> None:
    """Give a file another key, replacing what was there. Raises BlobNotFound."""
    try:
        await obstore.rename_async(_store(), _path(organization_id, source), _path(organization_id, target))
    except FileNotFoundError:
        raise BlobNotFound(f"There is no file '{source}'.") from None
    except BaseError as error:
        raise BlobStoreUnavailable(f"The file could not be renamed: {error}") from error


async def sweep(folder: str, older_than: timedelta, list_needed: ListNeeded) -> int:
    """Remove files nobody needs any more, of every organization. Returns how many.

    Looks at those in `folder` that were written longer than `older_than` ago: long enough that whoever wrote one has
    said in a committed row that it is needed. `list_needed` is given an organization's keys, some at a time, and
    returns those to be kept; what it raises ends the sweep.
    """
    return (await sweep_for(math.inf, folder, older_than, list_needed)).removed


async def sweep_for(
    seconds: float, folder: str, older_than: timedelta, list_needed: ListNeeded, *, start: UUID | None = None
) -> Swept:
    """As `sweep`, for about so long, from the organization `start` on.

    Each time at least one file was removed, or one organization's looked through, however slow the store is.
    """
    ends_at = time.monotonic() + seconds
    before = clock.now() - older_than
    removed = 0
    try:
        organizations = await _list_organizations(start)
        for organization_id, following in zip_longest(organizations, organizations[1:]):
            async for key in _unneeded(organization_id, folder, before, list_needed):
                await delete(organization_id, key)
                removed += 1
                if time.monotonic() >= ends_at:
                    return Swept(removed, organization_id)
            if time.monotonic() >= ends_at:
                return Swept(removed, following)
    except BaseError as error:
        raise BlobStoreUnavailable(f"The files could not be listed: {error}") from error
    return Swept(removed, None)


async def _list_organizations(start: UUID | None) -> list[UUID]:
    """Whose files there are, from `start` on; what does not lie below an organization's id is not ours."""
    found = await obstore.list_with_delimiter_async(_store())
    owners = sorted(path for path in found["common_prefixes"] if _ID.fullmatch(path))
    return [UUID(owner) for owner in owners if start is None or owner >= str(start)]


async def _unneeded(
    organization_id: UUID, folder: str, before: datetime, list_needed: ListNeeded
) -> AsyncIterator[str]:
    own = f"{organization_id}/"
    async for found in obstore.list(_store(), prefix=f"{own}{folder}", chunk_size=_LISTED_AT_ONCE):
        keys = [file["path"].removeprefix(own) for file in found if file["last_modified"] < before]
        if keys:
            needed = set(await list_needed(organization_id, keys))
            for key in keys:
                if key not in needed:
                    yield key


class _Counted:
    """Passes chunks on, counting and hashing them; remembers what stopped it."""

    def __init__(self, chunks: AsyncIterable[bytes], limit: int | None) -> None:
        self._chunks = chunks
        self._limit = limit
        self.size = 0
        self.digest = hashlib.sha256()
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self.size += len(chunk)
                if self._limit is not None and self.size > self._limit:
                    raise BlobTooLarge(f"The file is larger than {self._limit} bytes; nothing was stored.")
                self.digest.update(chunk)
                if chunk:
                    yield chunk
        except Exception as error:
            self.failure = error
            raise


def _path(organization_id: UUID, key: str) -> str:
    if not _KEY.fullmatch(key):
        raise BlobNotFound(f"'{key[:200]}' is not the key of a file.")
    return f"{organization_id}/{key}"


def _store() -> Any:
    configuration = settings()
    return _store_at(configuration.blob_url or str((configuration.data / "blobs").resolve()))


@cache
def _store_at(place: str) -> Any:
    if "://" in place and not place.startswith("file://"):
        return from_url(place)
    return LocalStore(place.removeprefix("file://"), mkdir=True)


__all__ = [
    "BlobNotFound",
    "BlobStoreUnavailable",
    "BlobTooLarge",
    "ListNeeded",
    "Stored",
    "delete",
    "get",
    "get_stream",
    "put",
    "put_stream",
    "rename",
    "sweep",
]
