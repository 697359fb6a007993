"""A query parameter that nobody reads is named, on every route."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.bus.envelope import Caller
from tests.doors import Client

pytestmark = pytest.mark.feature("GAT-1")


@pytest.mark.parametrize("path", ["/v1/products", "/v1/orders", "/v1/imports", "/v1/stock", "/v1/jobs", "/v1/shops"])
async def test_an_unknown_parameter_is_named(client: Client, merchant: Caller, path: str) -> None:
    answer = await client.get(path, params={"bogus": "1", "first": 5}, headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "'bogus'" in answer.json()["detail"]
    assert "first" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/shops/main/offers", "/v1/shops/main/offers/kettle", "/v1/search-indexes"])
async def test_an_unknown_parameter_has_one_code_on_hot_paths_too(client: Client, merchant: Caller, path: str) -> None:
    answer = await client.get(path, params={"access_token": "x"}, headers=client.speaking_as(merchant))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unknown_parameter")
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/query/access_token", "unknown_parameter")]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/products", "first"),
        ("/v1/orders", "after"),
        ("/v1/stock", "low"),
        ("/v1/stock-movements", "reason"),
        ("/v1/shops/main/offers", "q"),
    ],
)
async def test_a_second_value_is_refused_where_one_is_read(
    client: Client, merchant: Caller, path: str, name: str
) -> None:
    answer = await client.get(f"{path}?{name}=1&{name}=2", headers=client.speaking_as(merchant))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "repeated_parameter"), answer.text
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(f"/query/{name}", "repeated_parameter")]


async def test_a_repeated_dry_run_imports_nothing(client: Client, merchant: Caller) -> None:
    query = "group=products&dry_run=true&dry_run=false"
    headers = client.speaking_as(merchant)
    answer = await client.post(f"/v1/imports?{query}", content=b"Handle,Title\n", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "repeated_parameter")


@pytest.mark.parametrize("query", ["status=pending&status=complete", "fields=number&fields=status"])
async def test_lists_are_repeated_as_before(client: Client, merchant: Caller, query: str) -> None:
    answer = await client.get(f"/v1/orders?{query}", headers=client.speaking_as(merchant))
    assert answer.status_code == 200, answer.text


async def test_a_mistyped_dry_run_imports_nothing(client: Client, merchant: Caller) -> None:
    query = {"group": "products", "dryrun": "true"}
    headers = client.speaking_as(merchant)
    answer = await client.post("/v1/imports", params=query, content=b"Handle,Title\n", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


@pytest.mark.parametrize("body", [b'{"a":', b"dry_run=true", b'{"dry_run": true}', b"null", b"[]"])
async def test_a_body_that_nobody_reads_is_refused_and_nothing_is_done(
    client: Client, merchant: Caller, body: bytes
) -> None:
    headers = client.speaking_as(merchant)
    before = (await client.get("/v1/search-indexes", headers=headers)).json()
    answer = await client.post("/v1/search-indexes/rebuild", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "unexpected_body")
    assert (await client.get("/v1/search-indexes", headers=headers)).json() == before


@pytest.mark.parametrize("body", [b"", b"{}", b" {} ", b"{ }", b"{\n}\n"])
async def test_no_body_and_an_empty_object_are_the_same(client: Client, merchant: Caller, body: bytes) -> None:
    answer = await client.post("/v1/search-indexes/rebuild", content=body, headers=client.speaking_as(merchant))
    assert answer.status_code == 202, answer.text


async def test_who_says_not_who_they_are_hears_that_and_not_of_the_body(client: Client) -> None:
    answer = await client.post("/v1/search-indexes/rebuild", content=b'{"a":')
    assert answer.status_code == 401


async def test_a_large_body_that_nobody_reads_is_not_read_to_its_end(client: Client, merchant: Caller) -> None:
    """Not by those who may ask, and not at all by those who did not say who they are."""
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(4096):
            sent.append(65536)
            yield b" " * 65536

    path = f"/v1/imports/{uuid4()}/confirm"
    answer = await client.post(path, content=endless())
    assert answer.status_code == 401
    assert sum(sent) < 8 << 20
    answer = await client.post(path, content=endless(), headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "unexpected_body")
    assert sum(sent) < 16 << 20
