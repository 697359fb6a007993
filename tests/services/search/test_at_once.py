"""Requests that are known byte for byte, on a real port with real credentials, and answered while they arrive."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest
import uvicorn
from fastapi import FastAPI

from deploy import topology
from gateway import ready
from gateway.at_once import AT_ONCE
from gateway.protocol import ProblemProtocol
from shared import logging
from shared.contracts.accounts.messages import CreateApiKey, CreatePublishableKey, RevokeApiKey
from tests.doors import Client, eventually
from tests.factories.search import Seller
from tests.gateway.credentials import Business
from tests.ports import served

pytestmark = pytest.mark.feature("SEA-2", "SEA-3", "GAT-1")

_LIST = "/v1/shops/main/offers?first=2&sort=newest"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Door:
    """One connection to a served gateway, and which of its requests were answered while they arrived."""

    def __init__(self, at_once: list[bool], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once, self.reader, self.writer = at_once, reader, writer

    async def ask(self, *requests: bytes) -> Answer:
        """Send, each by itself in one piece, and read one answer."""
        for request in requests:
            self.writer.write(request)
            await self.writer.drain()
        return await self.answer(is_head=requests[0].startswith(b"HEAD"))

    async def answer(self, *, is_head: bool = False) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        length = 0 if is_head else int(headers.get("content-length", 0))
        return Answer(int(lines[0].split()[1]), headers, await self.reader.readexactly(length))

    async def becomes_ready(self, request: bytes) -> Answer:
        """Ask until it is answered at once."""

        async def is_ready() -> Answer | None:
            before = len(self.at_once)
            answer = await self.ask(request)
            return answer if any(self.at_once[before:]) else None

        answer = await eventually(is_ready)
        assert answer is not None
        return answer


@pytest.fixture(scope="module")
async def business(shop: Seller) -> Business:
    return Business(shop.process, shop.organization_id, "", "")


@pytest.fixture
async def door(application: FastAPI, shop: Seller) -> AsyncIterator[Door]:
    await shop.offers()
    async with _serving(application) as door:
        yield door


@asynccontextmanager
async def _serving(application: FastAPI, **more: Any) -> AsyncIterator[Door]:
    answered: list[bool] = []

    def answer(*arguments: Any) -> bytes | None:
        return _noted(answered, application.state.at_once.answer(*arguments))

    async with served(application, {AT_ONCE: answer}, **more) as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield Door(answered, reader, writer)
        writer.close()


def _noted(answered: list[bool], answer: bytes | None) -> bytes | None:
    answered.append(answer is not None)
    return answer


async def _key(business: Business, **more: Any) -> tuple[str, Any]:
    client_id, _ = await business.client("storefront", **more)
    made = await business.ask(CreateApiKey(client_id=client_id, name="shop window"))
    return made.key.reveal(), partial(business.ask, RevokeApiKey(client_id=client_id, key_id=made.id))


def _request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
async def bearer(business: Business) -> dict[str, str]:
    key, _ = await _key(business)
    return {"Authorization": f"Bearer {key}"}


async def test_the_third_time_is_as_the_first_but_for_its_name(door: Door, bearer: dict[str, str]) -> None:
    request = _request("GET", _LIST, **bearer)
    answers = [await door.ask(request) for _ in range(4)]
    assert door.at_once == [False, False, True, True]
    first, third = answers[0], answers[2]
    assert (first.status, first.body) == (third.status, third.body)
    assert list(first.headers) == list(third.headers)
    own = ("x-request-id", "date")
    assert {name: first.headers[name] for name in first.headers if name not in own} == {
        name: third.headers[name] for name in third.headers if name not in own
    }
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


@pytest.mark.feature("GAT-5")
async def test_what_is_answered_at_once_is_logged_and_counted_as_everything_is(
    door: Door, bearer: dict[str, str], client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure("INFO")
    request = _request("GET", "/v1/shops/main/offers/wool-scarf", **bearer, **{"X-Request-Id": "asked-by-name"})
    capsys.readouterr()
    counted = 'crossdock_http_requests_total{method="GET",route="/v1/shops/{shop_code}/offers/{slug}",status="200"} '

    async def total() -> float:
        lines = (await client.get("/metrics")).text.splitlines()
        return sum(float(line.removeprefix(counted)) for line in lines if line.startswith(counted))

    before = await total()
    for _ in range(4):
        assert (await door.ask(request)).headers["x-request-id"] == "asked-by-name"
    assert door.at_once == [False, False, True, True]
    assert await total() == before + 4
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    usual, *_, at_once = [line for line in lines if line.get("request_id") == "asked-by-name"]
    assert set(usual) == set(at_once)
    own = ("milliseconds", "at")
    assert {name: usual[name] for name in usual if name not in own} == {
        name: at_once[name] for name in at_once if name not in own
    }


async def test_who_has_it_hears_that_and_no_more(door: Door, bearer: dict[str, str]) -> None:
    tag = (await door.ask(_request("GET", _LIST, **bearer))).headers["etag"]
    known = await door.becomes_ready(_request("GET", _LIST, **bearer, **{"If-None-Match": tag}))
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in known.headers
    head = await door.ask(_request("HEAD", _LIST, **bearer))
    assert (head.status, head.headers["etag"]) == (200, tag)


@pytest.mark.feature("GAT-2")
async def test_graphql_by_post_is_known_by_its_body_too(door: Door, bearer: dict[str, str]) -> None:
    def request(first: int) -> bytes:
        query = f'{{ offers(shop: "main", first: {first}) {{ nodes {{ slug }} }} }}'
        return _request("POST", "/graphql", json.dumps({"query": query}).encode(), **bearer)

    assert len(json.loads((await door.becomes_ready(request(1))).body)["data"]["offers"]["nodes"]) == 1
    assert len(json.loads((await door.ask(request(2))).body)["data"]["offers"]["nodes"]) == 2


@pytest.mark.feature("ACC-4", "ACC-6")
async def test_a_withdrawn_key_ends_what_was_known_of_its_requests(door: Door, business: Business) -> None:
    key, withdraw = await _key(business)
    request = _request("GET", _LIST, Authorization=f"Bearer {key}")
    await door.becomes_ready(request)
    await withdraw()

    async def is_refused() -> bool:
        return (await door.ask(request)).status == 401

    await eventually(is_refused, 5)


async def test_what_is_known_is_never_older_than_what_the_reader_has(
    door: Door, shop: Seller, bearer: dict[str, str]
) -> None:
    request = _request("GET", "/v1/shops/main/offers/copper-kettle", **bearer)
    before = json.loads((await door.becomes_ready(request)).body)["price"]["amount"]
    await shop.price({"COPPER-KETTLE": before + 100})

    async def has_gone_on() -> bool:
        # The usual way first: what it finds, the next request of the known bytes finds, too.
        found = (await shop.get("shops/main/offers/copper-kettle")).json()["price"]["amount"]
        known = json.loads((await door.ask(request)).body)["price"]["amount"]
        assert known >= found
        return bool(known == before + 100)

    await eventually(has_gone_on)


@pytest.mark.feature("ACC-11")
async def test_what_is_counted_or_confined_to_a_place_is_read_each_time(
    door: Door, shop: Seller, business: Business
) -> None:
    published = await business.ask(CreatePublishableKey(shop_id=shop.shops["main"].id, name="page"))
    confined, _ = await _key(business, allowed_networks=["127.0.0.0/8"])
    for headers in ({"X-Publishable-Key": published.key}, {"Authorization": f"Bearer {confined}"}):
        request = _request("GET", _LIST, **headers)
        assert {(await door.ask(request)).status for _ in range(4)} == {200}
    assert not any(door.at_once)


async def test_requests_that_come_together_or_in_parts_are_answered_in_turn(door: Door, bearer: dict[str, str]) -> None:
    page, listed = (_request("GET", path, **bearer) for path in ("/v1/shops/main/offers/wool-scarf", _LIST))
    ready = [await door.becomes_ready(each) for each in (page, listed)]
    page_body, list_body = (answer.body for answer in ready)
    door.writer.write(page + listed + page)
    assert [(await door.answer()).body for _ in range(3)] == [page_body, list_body, page_body]
    door.writer.write(page[:40])
    await door.writer.drain()
    # The rest of one request with all of another: neither is known by these bytes.
    assert (await door.ask(page[40:] + listed)).body == page_body
    assert (await door.answer()).body == list_body
    # The beginning of a request, in the same piece with the last one's end, makes the next piece no whole request.
    door.writer.write(page + listed[:30])
    assert (await door.answer()).body == page_body
    assert (await door.ask(listed[30:])).body == list_body
    # Known bytes within a body are not a request.
    long = _request("POST", "/graphql", page, **bearer)
    door.writer.write(long.removesuffix(page))
    await door.writer.drain()
    assert (await door.ask(page)).status == 400
    before = len(door.at_once)
    assert (await door.ask(listed)).body == list_body
    assert door.at_once[before:] == [True]


async def test_a_connection_that_rests_is_closed_also_after_answers_at_once(
    application: FastAPI, shop: Seller, bearer: dict[str, str]
) -> None:
    await shop.offers()
    async with _serving(application, timeout_keep_alive=1) as door:
        request = _request("GET", _LIST, **bearer)
        await door.becomes_ready(request)
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 1.5:
            assert (await door.ask(request)).status == 200
            await asyncio.sleep(0.1)
        assert await door.reader.read() == b""


async def test_requests_that_never_come_again_are_remembered_within_bounds(
    application: FastAPI, door: Door, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = application.state.ready
    monkeypatch.setattr(ready, "_MOST_REQUESTS", 4)
    path = "/v1/shops/main/offers?first=1"

    def request(number: int) -> bytes:
        return _request("GET", path, **bearer, **{"X-Request-Id": f"request-{number}"})

    def known() -> list[int]:
        return [number for number in range(20) if request(number) in answers.repeated]

    for number in range(20):
        assert (await door.ask(request(number))).status == 200
    # Those after the first fill; then the room was emptied once, filled again, and is left alone.
    assert len(known()) == 4
    known_then = known()
    for kept in answers._kept.values():
        kept.full_until = 0.0
    await door.ask(request(30))
    assert not set(known()) & set(known_then)


async def test_who_wants_to_close_is_read_each_time(application: FastAPI, shop: Seller, bearer: dict[str, str]) -> None:
    await shop.offers()
    request = _request("GET", _LIST, **bearer, Connection="close")
    for _ in range(4):
        async with _serving(application) as door:
            assert (await door.ask(request)).headers["connection"] == "close"
            assert await door.reader.read() == b""
            assert not any(door.at_once)


@pytest.mark.feature("GAT-7")
async def test_a_served_application_begins_and_ends_and_answers_at_once(bearer: dict[str, str], shop: Seller) -> None:
    """As `crossdock serve web` runs it: what begins and ends with the server goes through all that stands around it."""
    server = uvicorn.Server(
        uvicorn.Config(
            topology.web_application(), port=0, lifespan="on", http=ProblemProtocol, log_config=None, access_log=False
        )
    )
    serving = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        assert not serving.done()
        return server.started

    await eventually(has_started, 60)
    answered: list[bool] = []
    usual = server.lifespan.state[AT_ONCE]
    server.lifespan.state[AT_ONCE] = lambda *arguments: _noted(answered, usual(*arguments))
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = await Door(answered, reader, writer).becomes_ready(_request("GET", _LIST, **bearer))
    assert answer.status == 200
    writer.close()
    server.should_exit = True
    await serving
