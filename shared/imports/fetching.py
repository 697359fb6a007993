"""A file from an address that somebody gave: with a limit to its size and its time, and not from inside our network.

Each redirect is checked like the first address (`shared/outgoing.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import httpx

from shared.imports.errors import FileNotFetched
from shared.outgoing import AddressRefused, request_to

# FEATURES CAT-5: files of up to 1 GB.
MOST_BYTES = 1 << 30
MOST_SECONDS = 3600
MOST_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30, connect=10)


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
