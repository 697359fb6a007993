"""A file from an address that somebody gave: with a limit to its size and its time, and not from inside our network.

Each redirect is checked like the first address (`shared/outgoing.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urljoin, urlsplit
from uuid import UUID

import httpx

from shared import blobs
from shared.imports.errors import FileNotFetched, InvalidUrl
from shared.outgoing import AddressRefused, request_to

# FEATURES CAT-5: files of up to 1 GB.
MOST_BYTES = 1 << 30
MOST_SECONDS = 3600
MOST_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30, connect=10)


def checked_url(url: str) -> SplitResult:
    """The parts of an address that somebody gave, which is asked nothing yet. Raises InvalidUrl."""
    try:
        parts = urlsplit(url)
        is_fetchable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_fetchable = False
    if not is_fetchable or not url.isprintable():
        raise InvalidUrl("Give the address of a file, beginning with https:// or http://.")
    if parts.username or parts.password:
        raise InvalidUrl("An address with a password in it would be listed with it: leave it out.")
    return parts


def name_in(url: str) -> str | None:
    """What the file at an address is called, of at most 200 characters. Raises InvalidUrl."""
    return checked_url(url).path.rsplit("/", 1)[-1][:200] or None


async def fetch_into(organization_id: UUID, key: str, url: str) -> blobs.Stored:
    """Bring the file at an address into the blob store. Raises FileNotFetched; nothing is kept then."""
    async with fetched(url) as pieces:
        return await blobs.put_stream(organization_id, key, pieces, limit=MOST_BYTES)


@asynccontextmanager
async def fetched(url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The content at an http or https address, in pieces as they come. Raises FileNotFetched, also in the middle."""
    try:
        async with asyncio.timeout(MOST_SECONDS), httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            response = await _response(client, url)
            try:
                yield _pieces(response)
            finally:
                await response.aclose()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FileNotFetched(f"The file could not be fetched: {str(error) or type(error).__name__}.") from error
    except TimeoutError as error:
        raise FileNotFetched("The file did not arrive in time.") from error
    except AddressRefused as error:
        raise FileNotFetched(error.detail) from error


async def _response(client: httpx.AsyncClient, url: str) -> httpx.Response:
    for _ in range(MOST_REDIRECTS + 1):
        response = await client.send(await request_to(client, "GET", url), stream=True)
        if not response.has_redirect_location:
            if response.status_code != 200:
                await response.aclose()
                raise FileNotFetched(f"The address answered {response.status_code} {response.reason_phrase}.")
            return response
        await response.aclose()
        url = urljoin(url, response.headers["location"])
    raise FileNotFetched(f"The address redirects more than {MOST_REDIRECTS} times.")


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.aiter_bytes(1 << 20):
        size += len(piece)
        if size > MOST_BYTES:
            raise FileNotFetched(f"The file is larger than {MOST_BYTES} bytes.")
        yield piece
