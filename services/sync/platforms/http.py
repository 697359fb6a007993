"""Requests to one connection's platform: over connections that stay open, within its budget, never with DELETE.

What a platform answers is told apart here once, by its status; what stands in the answer is the adapter's to read.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Protocol

import httpx

from services.sync.errors import AnswerLost, AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from shared import clock
from shared.outgoing import AddressRefused, Answer, request_to

TIMEOUT_SECONDS = 30.0
MOST_BYTES = 64 << 20
LONGEST_MESSAGE = 1000
_LONGEST_WAIT_SECONDS = 3600.0
_SECONDS = re.compile(r"[0-9]+")
# A clock that is in another time zone than it says is followed; one that is lost in the years is not believed.
_FURTHEST_AHEAD = timedelta(days=2)
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "HEAD"))


IsHeld = Callable[[], Awaitable[bool]]


async def never_held() -> bool:
    """What people ask for goes also to a platform whose connection is paused."""
    return False


class Budget(Protocol):
    """What a platform allows the connection to spend, shared by everybody who works for it."""

    async def take(self, points: float, is_held: IsHeld = never_held) -> None:
        """Wait until so many points may be spent, and spend them. Raises ConnectionHeld, and then spends none."""

    async def learn(self, *, left: float, per_second: float, most: float) -> None:
        """The platform said what is left, how fast it comes back, and how much there can be."""

    async def rest(self, seconds: float) -> None:
        """The platform asked to be left alone for so long."""


class Http:
    """Requests to the addresses below `base_url`. A path that begins with http is one the platform itself has given."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, budget: Budget, *, allow_private: bool = False
    ) -> None:
        self.budget = budget
        # How far the platform's clock is ahead of ours, by the latest answer.
        self.ahead = timedelta()
        self._client = client
        self.allow_private = allow_private
        # Whether nothing is to be sent any more: asked by whoever has waited for the budget.
        self.is_held: IsHeld = never_held
        self._base_url = base_url.rstrip("/")

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        points: float = 1.0,
        timeout_seconds: float = TIMEOUT_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """One request with its whole answer, of whatever status.

        Raises PlatformAway when it was not sent, AnswerLost when it may have been, PlatformRefused, and ConnectionHeld.
        """
        if method not in _METHODS:
            raise ValueError(f"{method} is not sent to a platform")
        return await self._send(method, path, headers, params, content, points, timeout_seconds, most_bytes)

    async def delete_image(self, path: str, *, headers: Mapping[str, str] | None = None, points: float = 1.0) -> Answer:
        """Take away one picture: the one DELETE there is, for adapters' `images.py` alone. Raises as `send`."""
        return await self._send("DELETE", path, headers, None, None, points, TIMEOUT_SECONDS, MOST_BYTES)

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        params: Mapping[str, str] | None,
        content: bytes | None,
        points: float,
        timeout_seconds: float,
        most_bytes: int,
    ) -> Answer:
        await self.budget.take(points, self.is_held)
        url = self._url(path, params)
        try:
            async with asyncio.timeout(timeout_seconds):
                request = await request_to(
                    self._client, method, str(url), headers=headers, content=content, allow_private=self.allow_private
                )
                response = await self._client.send(request, stream=True)
                try:
                    body = await _whole(response, most_bytes)
                finally:
                    await response.aclose()
        except AddressRefused as error:
            raise PlatformRefused(error.detail) from error
        except httpx.ConnectError as error:
            raise PlatformAway(f"{url.host} can not be reached: {str(error) or type(error).__name__}.") from error
        except httpx.HTTPError as error:
            raise AnswerLost(f"{url.host} did not answer: {str(error) or type(error).__name__}.") from error
        except TimeoutError as error:
            raise AnswerLost(f"{url.host} did not answer within {timeout_seconds:g} seconds.") from error
        answer = Answer(response.status_code, dict(response.headers), body)
        self.ahead = how_far_ahead(server_time(answer), self.ahead)
        return answer

    def _url(self, path: str, params: Mapping[str, str] | None) -> httpx.URL:
        """Raises PlatformRefused for what is no address, which it will not become by waiting."""
        try:
            url = httpx.URL(path if path.startswith("http") else f"{self._base_url}{path}")
            return url.copy_merge_params(dict(params)) if params else url
        except httpx.InvalidURL as error:
            raise PlatformRefused(f"This is no address: {error}.") from error


async def _whole(response: httpx.Response, most_bytes: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes(1 << 16):
        size += len(piece)
        if size > most_bytes:
            raise PlatformRefused(f"{response.url.host} answered with more than {most_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


@asynccontextmanager
async def connected(base_url: str, budget: Budget, *, allow_private: bool = False) -> AsyncIterator[Http]:
    """An `Http` whose connections end with the block."""
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
    async with httpx.AsyncClient(timeout=None, trust_env=False, limits=limits, verify=_certificates()) as client:  # noqa: S113
        yield Http(client, base_url, budget, allow_private=allow_private)


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we trust: read once, because that takes as long as some hundred requests."""
    return httpx.create_ssl_context(trust_env=False)


def checked(answer: Answer) -> Answer:
    """The same answer if it is a good one. Raises CredentialsRefused, PlatformAway, PlatformRefused, by its status."""
    if answer.status < 300:
        return answer
    words = said(answer)
    if answer.status in (401, 403):
        raise CredentialsRefused(words)
    if answer.status in (408, 423, 425, 429) or answer.status >= 500:
        raise PlatformAway(words, retry_after_seconds=retry_after(answer))
    raise PlatformRefused(words)


def document(answer: Answer) -> object:
    """The JSON of a good answer. Raises as `checked`, and AnswerNotUnderstood."""
    found = checked(answer).document
    if found is None:
        raise AnswerNotUnderstood(f"This is not JSON: {said(answer)}")
    return found


def said(answer: Answer) -> str:
    """The beginning of what an answer says, for people."""
    text = answer.body[: LONGEST_MESSAGE * 4].decode(errors="replace").replace("\x00", "").strip()
    return f"{answer.status} {text[:LONGEST_MESSAGE]}".strip()


def retry_after(answer: Answer) -> int | None:
    """How many seconds the platform asks to wait (RFC 9110 §10.2.3: seconds or a date); an hour at most."""
    value = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        # So many digits as no wait has; int() would refuse more than 4,300 of them.
        return min(int(value.lstrip("0")[:10] or 0), int(_LONGEST_WAIT_SECONDS))
    moment = _moment(value)
    if moment is None:
        return None
    seconds = (moment - clock.now()).total_seconds()
    return int(min(max(seconds, 0), _LONGEST_WAIT_SECONDS))


def server_time(answer: Answer) -> datetime | None:
    """What time the platform has, by the `Date` of its answer."""
    return _moment(answer.headers.get("date", ""))


def how_far_ahead(told: datetime | None, known: timedelta) -> timedelta:
    """How far the clock that `told` this time is ahead of ours; as far as `known` where it is not believed."""
    if told is None:
        return known
    ahead = told - clock.now()
    return ahead if abs(ahead) < _FURTHEST_AHEAD else known


def _moment(value: str) -> datetime | None:
    """A date of HTTP (RFC 9110 §5.6.7), in UTC; None for what is none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
