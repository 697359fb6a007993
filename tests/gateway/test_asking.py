"""Hot routes are answered before the application's own routing, and nobody can tell."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from shared.bus.envelope import Caller
from shared.contracts.accounts.shapes import Shop
from tests.doors import Client
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("ORD-1", "GAT-1")

QUOTED = {"shop": "main", "lines": [{"sku": "NOTHING", "quantity": 1}]}


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
