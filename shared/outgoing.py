"""Requests to servers of other people: with limits to size and time, and not into our own network.

The name is looked up once, what it stands for is checked, and the connection goes to the very address that was checked,
so that a name which answers differently the second time gains nothing. Redirects are the caller's to follow, each
through the same check.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import orjson

from shared.errors import Unavailable, ValidationFailed
from shared.settings import settings

TIMEOUT_SECONDS = 20.0
MOST_BYTES = 4 << 20


class AddressRefused(ValidationFailed):
    """No request is made to this address: it is none, nobody has it, or it lies inside a private network."""


class NoAnswer(Unavailable):
    """The other side did not answer, not in time, or with more than is taken."""


@dataclass(frozen=True)
class Answer:
    """What the other side said. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> object:
        """The body as JSON; None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    most_bytes: int = MOST_BYTES,
    allow_private: bool = False,
) -> Answer:
    """One request with its whole answer, of whatever status. Raises AddressRefused, NoAnswer.

    `allow_private` is for addresses that the installation itself has named.
    """
    try:
        async with asyncio.timeout(timeout_seconds), httpx.AsyncClient(timeout=None, trust_env=False) as client:  # noqa: S113
            request = await request_to(
                client, method, url, headers=headers, content=content, allow_private=allow_private
            )
            response = await client.send(request, stream=True)
            try:
                return Answer(response.status_code, dict(response.headers), await _body(response, most_bytes))
            finally:
                await response.aclose()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{_host(url)} did not answer: {str(error) or type(error).__name__}.") from error
    except TimeoutError as error:
        raise NoAnswer(f"{_host(url)} did not answer within {timeout_seconds:g} seconds.") from error


async def request_to(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    allow_private: bool = False,
) -> httpx.Request:
    """A request to the address that the name in `url` stands for now. Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise AddressRefused("The address is not one.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("The address leads to one that is neither http nor https.")
    address = await checked_address(parts.hostname, port, allow_private=allow_private)
    return client.build_request(
        method,
        httpx.URL(url).copy_with(host=address, port=port),
        headers={"Host": parts.netloc.rpartition("@")[2], "User-Agent": "crossdock", **(headers or {})},
        content=content,
        extensions={"sni_hostname": parts.hostname},
    )


async def checked_address(host: str, port: int, *, allow_private: bool = False) -> str:
    """An IP address that the name stands for now, to be connected to in its place. Raises AddressRefused."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(f"There is no host '{host[:200]}'.") from None
    addresses = [str(each[4][0]) for each in found]
    may_be_private = allow_private or settings().fetch_private
    if not may_be_private and not all(is_public(address) for address in addresses):
        raise AddressRefused(f"'{host[:200]}' is inside a private network; only public addresses are asked.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet at large."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


async def _body(response: httpx.Response, most_bytes: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes(1 << 16):
        size += len(piece)
        if size > most_bytes:
            raise NoAnswer(f"{response.url.host} answered with more than {most_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2][:200] or "the address"
