"""HEAD wherever there is GET, and a 405 that names every method of its path."""

import asyncio

import pytest

from gateway.openapi import operations
from shared.bus.envelope import Caller
from tests.doors import Client
from tests.ports import served

pytestmark = pytest.mark.feature("GAT-1")

# What answers only with something in the path that is not there: HEAD says 404, as GET does.
NOBODY = "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11"


async def test_head_is_get_without_the_body_on_every_route(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant)
    paths = [path for method, path, _ in operations(client.application.openapi()) if method == "GET"]
    assert len(paths) > 40
    for template in paths:
        path = template.replace("{shop_code}", "main").replace("{slug}", "x")
        path = path.split("{")[0] + NOBODY + path.rsplit("}", 1)[1] if "{" in path else path
        asked, headed = await client.get(path, headers=headers), await client.head(path, headers=headers)
        assert headed.status_code == asked.status_code != 405, path
        assert headed.content == b"", path
        if path != "/metrics":
            assert headed.headers.get("content-length") in (asked.headers.get("content-length"), None), path


async def test_head_of_a_page_has_the_headers_of_the_page(client: Client, merchant: Caller) -> None:
    headed = await client.head("/v1/shops", headers=client.speaking_as(merchant))
    assert (headed.status_code, headed.headers["content-type"]) == (200, "application/json")
    assert headed.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("HEAD", "/v1/sessions/" + NOBODY, {"DELETE"}),
        ("DELETE", "/v1/products", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/orders", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/audit-log", {"GET", "HEAD"}),
        ("PUT", f"/v1/shops/{NOBODY}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("PUT", "/v1/sessions", {"GET", "HEAD", "POST", "DELETE"}),
        ("PUT", "/v1/shops/main/offers", {"GET", "HEAD"}),
        ("PUT", "/graphql", {"GET", "HEAD", "POST"}),
        ("GET", "/oauth/token", {"POST"}),
        ("POST", "/docs", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_every_right_one(client: Client, method: str, path: str, allow: set[str]) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allow | {"OPTIONS"}


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/products", "GET, HEAD, POST, OPTIONS"),
        ("/v1/shops/main/offers", "GET, HEAD, OPTIONS"),
        ("/oauth/token", "POST, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_says_what_a_path_takes_and_grants_nothing(client: Client, path: str, allow: str) -> None:
    answer = await client.options(path, headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow, b"")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_options_of_nothing_is_nothing(client: Client) -> None:
    assert (await client.options("/v1/nothing-here")).status_code == 404


async def test_a_connection_lives_on_after_a_head(client: Client) -> None:
    """On a real port, where the server holds the answer against its Content-Length."""
    async with served(client.application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in ("/docs/swagger-ui.css", "/healthz", "/v1/shops"):
            writer.write(f"HEAD {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401 " if path == "/v1/shops" else b"HTTP/1.1 200 "), path
            assert b"content-length: 0\r\n" not in head
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        rest = await reader.read()
        assert rest.startswith(b"HTTP/1.1 200 ")
        assert rest.endswith(b'{"status":"ok"}')
        writer.close()


@pytest.mark.feature("GAT-1")
async def test_a_path_with_a_slash_too_many_is_not_there_and_sends_nobody_elsewhere(client: Client) -> None:
    answer = await client.get("/v1/shops/", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
