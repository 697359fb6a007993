"""Hot routes are answered before the application's own routing, and nobody can tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from gateway.middleware import Timeouts
from shared.bus.envelope import Caller
from shared.contracts.accounts.shapes import Shop
from tests.doors import Client
from tests.factories.orders import Seller
from tests.ports import served

pytestmark = pytest.mark.feature("ORD-1", "GAT-1")

LINES = {"lines": [{"sku": "NOTHING", "quantity": 1}]}
QUOTED = {"shop": "main", **LINES}


@pytest.fixture
async def shop(process: Any, merchant: Caller) -> Shop:
    assert merchant.organization_id is not None
    return await Seller(process, merchant.organization_id).open_shop()


async def _parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_in_parts_is_one_body(client: Client, merchant: Caller, shop: Shop) -> None:
    whole = json.dumps({**QUOTED, "shop": shop.code}).encode()
    headers = {**client.speaking_as(merchant), "Content-Type": "application/json"}
    answer = await client.post("/v1/quotes", content=_parts(whole[:7], whole[7:]), headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/quotes/{UUID(answer.json()['id'])}"
    assert answer.json()["lines"][0]["problem"] == "unknown_sku"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/quotes", "/v1/orders"])
async def test_a_body_that_does_not_fit_is_told_as_everywhere(
    client: Client, merchant: Caller, shop: Shop, path: str
) -> None:
    """The application reads the body again that was read before it, in as many parts."""
    whole = json.dumps({"shop": shop.code, "lines": [{"sku": "NOTHING", "quantity": "1"}]}).encode()
    headers = {**client.speaking_as(merchant), "Content-Type": "application/json"}
    answer = await client.post(path, content=_parts(whole[:7], whole[7:]), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"] == "/body/lines/0/quantity"


@pytest.mark.parametrize(
    ("content", "content_type", "path", "status", "code"),
    [
        (b"{", "application/json", "/v1/quotes", 400, "malformed_json"),
        (b"shop=main", "application/x-www-form-urlencoded", "/v1/quotes", 415, "unsupported_media_type"),
        (json.dumps(QUOTED).encode(), "application/json", "/v1/quotes?dry_run=true", 422, "unknown_parameter"),
        (json.dumps({**QUOTED, "shop": "nowhere"}).encode(), "application/json", "/v1/quotes", 404, "shop_not_found"),
        (b" " * 3_000_000, "application/json", "/v1/quotes", 413, "body_too_large"),
    ],
)
async def test_what_is_out_of_the_ordinary_is_refused_by_name(
    client: Client, merchant: Caller, content: bytes, content_type: str, path: str, status: int, code: str
) -> None:
    headers = {**client.speaking_as(merchant), "Content-Type": content_type}
    answer = await client.post(path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_another_media_type_of_json_is_answered_all_the_same(
    client: Client, merchant: Caller, shop: Shop
) -> None:
    headers = {**client.speaking_as(merchant), "Content-Type": "application/vnd.shop+json"}
    content = json.dumps({**QUOTED, "shop": shop.code})
    assert (await client.post("/v1/quotes", content=content, headers=headers)).status_code == 201


async def test_who_goes_away_in_the_middle_of_a_body_asks_nothing(client: Client, merchant: Caller) -> None:
    (token,) = client.speaking_as(merchant).values()
    sent: list[Any] = []
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        return next(parts, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"authorization", token.encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/quotes",
        "raw_path": b"/v1/quotes",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("crossdock.test", 80),
        "scheme": "http",
    }
    await client.application(scope, receive, send)
    assert sent[0]["status"] == 499


async def test_metrics_know_the_route(client: Client, merchant: Caller) -> None:
    answer = await client.post("/v1/quotes", json={**QUOTED, "shop": "x"}, headers=client.speaking_as(merchant))
    assert answer.status_code == 404
    counted = (await client.get("/metrics")).text
    assert 'crossdock_http_requests_total{method="POST",route="/v1/quotes",status="404"}' in counted


@pytest.mark.parametrize(
    ("content", "more", "status", "code"),
    [
        (LINES, {}, 201, None),
        (LINES, {"Origin": "https://elsewhere.example"}, 201, None),
        ({**LINES, "shop": "nowhere"}, {}, 404, "shop_not_found"),
        ({"lines": [{"sku": "NOTHING", "quantity": "1"}]}, {}, 422, "validation_failed"),
        (LINES, {"X-Publishable-Key": "cdp_of_nobody", "Origin": "https://elsewhere.example"}, 401, "invalid_token"),
    ],
)
async def test_what_arrives_whole_is_answered_as_what_comes_in_parts(
    application: Any,
    client: Client,
    merchant: Caller,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    content: Any,
    more: dict[str, str],
    status: int,
    code: str | None,
) -> None:
    """In one piece it goes ahead of whatever is not meant for it, as is the time that a body may take."""
    timed: list[str] = []
    usual = Timeouts.__call__

    async def noted(self: Timeouts, scope: Any, *rest: Any) -> None:
        timed.append(scope["path"])
        await usual(self, scope, *rest)

    monkeypatch.setattr(Timeouts, "__call__", noted)
    named = {"X-Request-Id": "one-for-both", **more}
    headers = named if status == 401 else {**client.speaking_as(merchant), **named}
    body = content if isinstance(content, bytes) else json.dumps({"shop": shop.code, **content}).encode()
    async with served(application) as port:
        whole = await _answered(port, headers, body)
        assert timed == ([] if code in (None, "shop_not_found") and not more else ["/v1/quotes"])
        parts = await _answered(port, {**headers, "Expect": "100-continue"}, body)
    assert (whole.status, whole.body.get("code")) == (status, code)
    assert (parts.status, parts.headers.keys(), parts.body.keys()) == (status, whole.headers.keys(), whole.body.keys())
    assert status == 201 or parts.body == whole.body


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


async def _answered(port: int, headers: dict[str, str], body: bytes) -> _Answer:
    """What is answered to a quote that is sent in one piece, or its body once it is asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = {"Host": "here", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    writer.write(f"POST /v1/quotes HTTP/1.1\r\n{head}\r\n".encode() + (b"" if "Expect" in headers else body))
    async with asyncio.timeout(60):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        if answer.startswith("HTTP/1.1 100"):
            writer.write(body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = answer.strip().split("\r\n")
        told = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        read = json.loads(await reader.readexactly(int(told["content-length"])))
    writer.close()
    return _Answer(int(lines[0].split()[1]), told, read)
