"""What holds for every REST request: problems, ids, limits, conditional answers, overload and deadlines."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from deploy.topology import Surrounded
from gateway.middleware import BodyLimits, Timeouts
from gateway.settings import MEBIBYTE, GatewaySettings
from shared.bus.envelope import Caller
from shared.bus.redis import RedisBus
from shared.contracts.platform.messages import ListParkedDeliveries
from shared.identifiers import new_id
from shared.lingering import MOST_DISCARDED, Receive, Send
from tests.doors import Client, caller_of
from tests.factories import accounts
from tests.ports import post_all_then_read, served

SHOP = {"code": "main", "name": "Main", "currency": "USD", "locale": "en-US"}
PARKED = "/v1/parked-deliveries?service=catalog"


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize(
    ("method", "path", "content", "media_type", "status", "code"),
    [
        ("GET", "/v1/nothing-here", b"", None, 404, "unknown_path"),
        ("PUT", "/v1/shops", b"", None, 405, "method_not_allowed"),
        ("POST", "/v1/shops", b"{", "application/json", 400, "malformed_json"),
        ("POST", "/v1/shops", b'{"name": "\xff"}', "application/json", 400, "malformed_json"),
        ("POST", "/v1/shops", b"[" * 100_000, "application/json", 400, "malformed_json"),
        ("POST", "/v1/shops", b"name=Main", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("POST", "/v1/shops", b"{}", None, 415, "unsupported_media_type"),
        ("POST", "/v1/shops", b"[]", "application/json", 422, "validation_failed"),
        ("POST", "/v1/shops", b"{}", "application/json", 422, "validation_failed"),
        ("POST", "/v1/shops", json.dumps({**SHOP, "nmae": "x"}).encode(), "application/json", 422, "validation_failed"),
        ("GET", "/v1/shops/not-a-uuid", b"", None, 422, "validation_failed"),
        ("GET", f"{PARKED}&first=0", b"", None, 422, "validation_failed"),
        ("GET", f"{PARKED}&first=201", b"", None, 422, "validation_failed"),
        ("GET", f"{PARKED}&after=%FF", b"", None, 400, "invalid_cursor"),
    ],
)
async def test_what_is_wrong_is_a_problem(
    client: Client,
    merchant: Caller,
    method: str,
    path: str,
    content: bytes,
    media_type: str | None,
    status: int,
    code: str,
) -> None:
    headers = client.speaking_as(merchant) | ({"Content-Type": media_type} if media_type else {})
    answer = await client.request(method, path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"].endswith(".") or "/" in problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 10_000 + b"]" * 10_000, "nested deeper"),
        (b'{"name": "\xff"}', "UTF-8"),
        (gzip.compress(mtime=0, data=b'{"name": "Main"}'), "not compressed"),
    ],
)
async def test_what_cannot_be_read_is_told_why(client: Client, merchant: Caller, content: bytes, sentence: str) -> None:
    headers = client.speaking_as(merchant) | {"Content-Type": "application/json"}
    answer = await client.post("/v1/shops", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert sentence in answer.json()["detail"]


@pytest.mark.feature("GAT-1")
async def test_validation_points_at_each_thing_that_is_wrong(client: Client, merchant: Caller) -> None:
    answer = await client.post("/v1/shops", json={"code": 1, "name": "x"}, headers=client.speaking_as(merchant))
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert {"/body/code", "/body/currency", "/body/locale"} <= pointers
    assert all(set(error) == {"pointer", "code", "message"} for error in answer.json()["errors"])


@pytest.mark.feature("GAT-1")
async def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    answer = await client.put("/v1/shops")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) >= {"GET"}


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize("surrogate", ['"\\ud800"', '"a\\u0000b"'])
async def test_text_that_cannot_be_stored_is_refused_and_answered(
    client: Client, merchant: Caller, surrogate: str
) -> None:
    body = json.dumps({**SHOP, "name": "NAME"}).replace('"NAME"', surrogate)
    headers = client.speaking_as(merchant) | {"Content-Type": "application/json"}
    answer = await client.post("/v1/shops", content=body, headers=headers)
    assert answer.status_code == 422


@pytest.mark.feature("GAT-5")
@pytest.mark.parametrize(("given", "is_taken"), [("abcdefgh-1", True), ("short", False), ("a b c d e f g h", False)])
async def test_a_request_is_named_by_the_client_or_by_us(client: Client, given: str, is_taken: bool) -> None:
    answer = await client.get("/v1/nothing-here", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is is_taken
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


# --- limits


@pytest.mark.feature("GAT-1")
async def test_an_announced_body_beyond_the_limit_is_refused_by_its_length(client: Client, merchant: Caller) -> None:
    sent: list[int] = []
    announced = {"Content-Type": "application/json", "Content-Length": str(8 * MEBIBYTE)}
    headers = client.speaking_as(merchant) | announced
    answer = await client.post("/v1/shops", content=growing(8 * MEBIBYTE, sent), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert sum(sent) <= MOST_DISCARDED + 2 * 65536


@pytest.mark.feature("GAT-1")
async def test_who_asks_before_sending_is_not_read_at_all(client: Client, merchant: Caller) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    asking = {"Expect": "100-continue", "Content-Type": "application/json", "Content-Length": str(MEBIBYTE + 1)}
    answer = await client.post("/v1/shops", content=never(), headers=client.speaking_as(merchant) | asking)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def growing(size: int, sent: list[int]) -> AsyncIterator[bytes]:
    for _ in range(0, size, 65536):
        sent.append(65536)
        yield b" " * 65536


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize("path", ["/v1/shops", "/graphql"])
async def test_a_growing_body_is_refused_at_the_limit(client: Client, merchant: Caller, path: str) -> None:
    sent: list[int] = []
    headers = client.speaking_as(merchant) | {"Content-Type": "application/json"}
    answer = await client.post(path, content=growing(8 * MEBIBYTE, sent), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert sum(sent) <= MEBIBYTE + MOST_DISCARDED + 2 * 65536


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize("chunked", [True, False])
async def test_who_sends_all_before_reading_sees_the_refusal_on_a_real_port(chunked: bool) -> None:
    async def reading(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async with served(BodyLimits(reading, GatewaySettings())) as port:
        answer = await post_all_then_read(port, "/v1/shops", 2 * MEBIBYTE - 65536, chunked=chunked)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


@pytest.mark.feature("GAT-1")
async def test_a_body_at_the_limit_is_read(client: Client, merchant: Caller) -> None:
    body = json.dumps({**SHOP, "name": ""}).encode()
    headers = client.speaking_as(merchant) | {"Content-Type": "application/json"}
    answer = await client.post("/v1/shops", content=body.ljust(MEBIBYTE), headers=headers)
    assert answer.status_code == 422


@pytest.mark.feature("GAT-1")
async def test_uploads_have_their_own_limit(client: Client, merchant: Caller) -> None:
    """Two mebibytes pass the limit of an upload, and are refused for what they are."""
    answer = await client.post(
        "/v1/imports?group=products&profile=shopify",
        content=b"\x00" * (2 * MEBIBYTE),
        headers=client.speaking_as(merchant) | {"Content-Type": "text/csv"},
    )
    assert answer.status_code != 413


async def test_a_request_that_takes_too_long_is_ended() -> None:
    """The limiters alone, around an application that never answers."""

    async def forever(_scope: object, _receive: object, _send: object) -> None:
        await asyncio.Event().wait()

    settings = GatewaySettings.model_construct(request_timeout_seconds=0.05, upload_timeout_seconds=60.0)
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/v1/x", "headers": [], "state": {}}
    await Timeouts(forever, settings)(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 504
    assert json.loads(sent[1]["body"])["code"] == "request_timed_out"  # type: ignore[arg-type]


@pytest.mark.feature("GAT-1")
async def test_who_does_not_send_the_body_is_told_that_it_was_them() -> None:
    async def reading(_scope: object, receive: Receive, _send: object) -> None:
        while (await receive())["more_body"]:
            pass

    settings = GatewaySettings.model_construct(request_timeout_seconds=0.2, upload_timeout_seconds=60.0)
    async with served(Timeouts(reading, settings)) as port:
        connection = await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(b"POST /v1/quotes HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
        answer = await connection[0].read()
        connection[1].close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer


def test_bulk_and_uploads_are_exempt_by_path() -> None:
    limits = BodyLimits(None, GatewaySettings())  # type: ignore[arg-type]
    assert limits._limit_of("/v1/shops") == MEBIBYTE
    assert limits._limit_of("/v1/stock/bulk") == 32 * MEBIBYTE
    assert limits._limit_of("/v1/imports") == 1024 * MEBIBYTE


# --- conditional requests


@pytest.fixture(scope="module")
async def shop_path(process: Surrounded, merchant: Caller) -> str:
    assert merchant.organization_id is not None
    return f"/v1/shops/{(await accounts.make(process, merchant.organization_id))['shop_id']}"


@pytest.mark.feature("GAT-1")
async def test_who_has_the_current_version_is_told_so(client: Client, merchant: Caller, shop_path: str) -> None:
    headers = client.speaking_as(merchant)
    first = await client.get(shop_path, headers=headers)
    tag = first.headers["etag"]
    for given in (tag, f'"0", W/{tag}', "*"):
        again = await client.get(shop_path, headers=headers | {"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
    other = await client.get(shop_path, headers=headers | {"If-None-Match": '"0"'})
    assert (other.status_code, other.json()) == (200, first.json())


@pytest.mark.feature("GAT-1")
async def test_a_change_is_made_only_to_what_was_read(client: Client, merchant: Caller, shop_path: str) -> None:
    headers = client.speaking_as(merchant)
    tag = (await client.get(shop_path, headers=headers)).headers["etag"]
    changed = await client.patch(shop_path, json={"name": "Other"}, headers=headers | {"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    late = await client.patch(shop_path, json={"name": "Late"}, headers=headers | {"If-Match": tag})
    assert late.status_code == 412
    assert (await client.get(shop_path, headers=headers)).json()["name"] == "Other"
    assert (await client.get(shop_path, headers=headers | {"If-None-Match": tag})).status_code == 200


# --- overload and deadlines, over Redis and nobody there to answer


@pytest.fixture
async def unanswered(client: Client, process: Surrounded, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisBus]:
    """The gateway asks over Redis, where one request may wait, and no service runs."""
    bus = RedisBus(process.address, bound=1)
    usual, client.application.state.bus = client.application.state.bus, bus
    monkeypatch.setattr(ListParkedDeliveries, "timeout_seconds", 1.5)
    yield bus
    client.application.state.bus = usual
    await bus.close()
    redis = process.address.connect()
    await redis.delete(process.address.requests("catalog"))
    await redis.aclose()


@pytest.mark.feature("GAT-6")
async def test_beyond_the_bound_it_is_overloaded_at_once_and_what_waits_expires(
    client: Client, merchant: Caller, unanswered: RedisBus
) -> None:
    headers = client.speaking_as(merchant)
    waiting = asyncio.create_task(client.get(PARKED, headers=headers))
    while not unanswered._waiting:
        await asyncio.sleep(0.01)
    refused = await client.get(PARKED, headers=headers)
    assert not waiting.done()
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    expired = await waiting
    assert (expired.status_code, expired.json()["code"]) == (504, "deadline_exceeded")


@pytest.mark.feature("GAT-6")
async def test_graphql_says_the_same(client: Client, merchant: Caller, unanswered: RedisBus) -> None:
    headers = client.speaking_as(merchant)
    waiting = asyncio.create_task(client.get(PARKED, headers=headers))
    while not unanswered._waiting:
        await asyncio.sleep(0.01)
    query = "{ parkedDeliveries(service: CATALOG) { nodes { event } } }"
    refused = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
    extensions = refused["errors"][0]["extensions"]
    assert (extensions["code"], extensions["status"], extensions["retry_after_seconds"]) == ("overloaded", 503, 1)
    await waiting


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize("what", ["deliveries", "tasks"])
async def test_a_service_that_is_not_there_is_refused_without_asking(
    client: Client, merchant: Caller, unanswered: RedisBus, what: str
) -> None:
    """Over Redis nobody would ever answer; in one process the answer is the same."""
    headers = client.speaking_as(merchant)
    listed = await client.get(f"/v1/parked-{what}?service=nowhere", headers=headers)
    replayed = await client.post(f"/v1/parked-{what}/replay", json={"service": "nowhere"}, headers=headers)
    for answer in (listed, replayed):
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    query = f"query($s: ServiceName!) {{ parked{what.title()}(service: $s) {{ nodes {{ service }} }} }}"
    for service in ("nowhere", "NOWHERE"):
        body = {"query": query, "variables": {"s": service}}
        refused = (await client.post("/graphql", json=body, headers=headers)).json()
        assert refused["errors"][0]["extensions"]["code"] == "invalid_variables"
    assert unanswered._count == 0


# --- what is missing is said


@pytest.mark.feature("GAT-3")
async def test_a_missing_scope_is_named_where_clients_look(client: Client) -> None:
    reader = client.speaking_as(caller_of(new_id(), "orders:read"))
    answer = await client.get("/v1/products", headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    challenge = 'Bearer realm="crossdock", error="insufficient_scope", scope="catalog:read"'
    assert answer.headers["www-authenticate"] == challenge
    assert {"code": "missing_scope", "scope": "catalog:read"} in answer.json()["errors"]


@pytest.mark.feature("ACC-10")
async def test_an_answer_that_is_made_while_it_is_sent_may_take_longer() -> None:
    """The limiter alone, around an export that outlives what a usual request may take."""
    usual, is_over = 0.05, asyncio.Event()

    async def export(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), usual * 4)
        await send({"type": "http.response.body", "body": b"the end"})

    settings = GatewaySettings.model_construct(request_timeout_seconds=usual, upload_timeout_seconds=60.0)
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/v1/audit-log.csv", "headers": [], "state": {}}
    await Timeouts(export, settings)(scope, receive, send)  # type: ignore[arg-type]
    assert sent[-1]["body"] == b"the end"


@pytest.mark.feature("GAT-1")
@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
)
async def test_what_is_not_http_is_a_problem(sent: bytes) -> None:
    async def never(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("it was read as a request")

    async with served(never) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["code"] == "malformed_request"
    assert f"x-request-id: {json.loads(body)['request_id']}".encode() in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
