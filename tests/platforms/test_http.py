"""Requests to platforms: what is told apart, whatever the other side does (SYN-1, SYN-8, SYN-12)."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.sync.errors import AnswerLost, AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms import http as module
from services.sync.platforms.http import Http, checked, connected, document, retry_after, said, server_time
from shared import clock
from shared.outgoing import Answer
from tests.fakes.servers import serving
from tests.platforms.conftest import Purse

pytestmark = pytest.mark.feature("SYN-1")


class Other:
    """A server that does as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = Response("fine")
        self.holds = asyncio.Event()
        self.holds.set()

    async def give(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}".rstrip("?"))
        await self.holds.wait()
        return self.answer


@pytest.fixture
async def other() -> AsyncIterator[tuple[Other, Http, Purse]]:
    server, purse = Other(), Purse()
    routes: list[Any] = [(method, "/shop/{path:path}", server.give) for method in ("GET", "POST", "DELETE")]
    async with serving(*routes) as base, connected(f"{base}/shop/", purse, allow_private=True) as http:
        yield server, http, purse
        server.holds.set()


async def test_paths_are_below_the_base_address_and_cost_points(other: tuple[Other, Http, Purse]) -> None:
    server, http, purse = other
    await http.send("GET", "/a?x=1", params={"y": "ä&b"}, points=3)
    assert server.asked == ["GET /shop/a?x=1&y=%C3%A4%26b"]
    assert purse.spent == 3


@pytest.mark.feature("SYN-8")
async def test_only_a_picture_is_taken_away(other: tuple[Other, Http, Purse]) -> None:
    server, http, _ = other
    for method in ("DELETE", "delete", "PURGE", "OPTIONS"):
        with pytest.raises(ValueError, match="is not sent"):
            await http.send(method, "/products/1")
    await http.delete_image("/products/1/images/2")
    assert server.asked == ["DELETE /shop/products/1/images/2"]


async def test_server_that_can_not_be_reached_was_sent_nothing() -> None:
    async with serving() as base:
        pass
    async with connected(base, Purse(), allow_private=True) as http:
        with pytest.raises(PlatformAway) as raised:
            await http.send("POST", "/stock", content=b"{}")
    assert not isinstance(raised.value, AnswerLost)


async def test_answer_that_does_not_come_in_time_is_lost(other: tuple[Other, Http, Purse]) -> None:
    server, http, _ = other
    server.holds.clear()
    with pytest.raises(AnswerLost, match=r"within 0\.05 seconds"):
        await http.send("POST", "/stock", content=b"{}", timeout_seconds=0.05)


@pytest.mark.parametrize("is_packed", [True, False])
async def test_answer_that_is_too_large_is_not_taken(other: tuple[Other, Http, Purse], is_packed: bool) -> None:
    server, http, _ = other
    body = b"x" * 5000
    server.answer = Response(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if is_packed else Response(body)
    with pytest.raises(PlatformRefused, match="more than 4000 bytes"):
        await http.send("GET", "/a", most_bytes=4000)


async def test_address_that_is_none_is_refused_and_not_a_defect(other: tuple[Other, Http, Purse]) -> None:
    _, http, _ = other
    with pytest.raises(PlatformRefused, match="no address"):
        await http.send("GET", "/" + "a" * 70_000)


async def test_many_sessions_read_the_certificates_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes longer than most requests."""
    made = []
    create = module.httpx.create_ssl_context
    monkeypatch.setattr(module, "httpx", SimpleNamespace(**vars(module.httpx)))
    monkeypatch.setattr(module.httpx, "create_ssl_context", lambda **options: made.append(1) or create(**options))
    module._certificates.cache_clear()
    for _ in range(3):
        async with connected("http://127.0.0.1", Purse()):
            pass
    assert len(made) == 1


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (301, PlatformRefused),
        (400, PlatformRefused),
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (404, PlatformRefused),
        (408, PlatformAway),
        (422, PlatformRefused),
        (423, PlatformAway),
        (429, PlatformAway),
        (500, PlatformAway),
        (503, PlatformAway),
    ],
)
def test_what_is_told_by_a_status(status: int, raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught:
        checked(Answer(status, {"retry-after": "3"}, b"in their words"))
    assert "in their words" in str(caught.value)
    if raised is PlatformAway:
        assert caught.value.retry_after_seconds == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"\xff", b"null"])
def test_good_answer_that_is_no_document_is_not_understood(body: bytes) -> None:
    with pytest.raises(AnswerNotUnderstood):
        document(Answer(200, {}, body))


@pytest.mark.feature("SYN-12")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("999999", 3600),
        ("9" * 5000, 3600),
        ("000000000007", 7),
        ("²", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo 99999999999 99:99:99 GMT", None),
    ],
)
def test_wait_that_is_asked_for(value: str, seconds: int | None) -> None:
    assert retry_after(Answer(429, {"retry-after": value}, b"")) == seconds


@pytest.mark.feature("SYN-12")
@pytest.mark.parametrize(("ahead", "least", "most"), [(60, 55, 60), (-60, 0, 0), (10**7, 3600, 3600)])
def test_wait_until_a_time(ahead: int, least: int, most: int) -> None:
    value = format_datetime(clock.now() + timedelta(seconds=ahead), usegmt=True)
    found = retry_after(Answer(429, {"retry-after": value}, b""))
    assert found is not None
    assert least <= found <= most


def test_time_that_the_platform_has() -> None:
    moment = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
    assert server_time(Answer(200, {"date": format_datetime(moment, usegmt=True)}, b"")) == moment
    for value in ("", "yesterday", "Mon, 99 Foo 99999999999 99:99:99 GMT"):
        assert server_time(Answer(200, {"date": value}, b"")) is None


def test_words_are_short_and_can_be_kept() -> None:
    words = said(Answer(500, {}, b"a\x00b\xff" + b"x" * 10_000))
    assert "\0" not in words
    assert len(words) < 1100
