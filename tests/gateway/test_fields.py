"""Sparse fields: every GET that answers objects gives the fields that were asked for."""

from typing import Any

import pytest
from pydantic import BaseModel

from deploy.topology import Surrounded
from gateway.sparse import UnknownField, fields_of, wanted_fields
from shared.bus.envelope import Caller
from shared.contracts.base import Page
from tests.doors import Client
from tests.factories import accounts

pytestmark = pytest.mark.feature("GAT-1")


@pytest.fixture(scope="module")
async def shop(process: Surrounded, merchant: Caller) -> dict[str, Any]:
    assert merchant.organization_id is not None
    return await accounts.make(process, merchant.organization_id)


async def test_one_thing_has_what_was_asked_for_and_its_id(
    client: Client, merchant: Caller, shop: dict[str, Any]
) -> None:
    path, headers = f"/v1/shops/{shop['shop_id']}", client.speaking_as(merchant)
    whole = (await client.get(path, headers=headers)).json()
    answer = await client.get(path, params={"fields": "name,currency"}, headers=headers)
    assert answer.json() == {name: whole[name] for name in ("id", "name", "currency")}
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["etag"] == f'"{whole["version"]}"'


async def test_a_collection_stays_one(client: Client, merchant: Caller, shop: dict[str, Any]) -> None:
    answer = await client.get("/v1/shops", params={"fields": "code"}, headers=client.speaking_as(merchant))
    assert set(answer.json()) == {"items", "next"}
    assert answer.json()["items"]
    assert all(set(item) == {"id", "code"} for item in answer.json()["items"])


async def test_fields_may_be_given_twice(client: Client, merchant: Caller, shop: dict[str, Any]) -> None:
    answer = await client.get("/v1/shops?fields=code&fields=name", headers=client.speaking_as(merchant))
    assert all(set(item) == {"id", "code", "name"} for item in answer.json()["items"])


async def test_who_has_the_current_version_is_told_so_for_some_fields_too(
    client: Client, merchant: Caller, shop: dict[str, Any]
) -> None:
    path, headers = f"/v1/shops/{shop['shop_id']}?fields=name", client.speaking_as(merchant)
    tag = (await client.get(path, headers=headers)).headers["etag"]
    again = await client.get(path, headers=headers | {"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/v1/shops", "/v1/products", "/v1/orders", "/v1/stock", "/v1/jobs", "/v1/payments"])
@pytest.mark.parametrize("fields", ["bogus", "id,bogus", "id.bogus", "", ",", "items"])
async def test_an_unknown_field_is_named(client: Client, merchant: Caller, path: str, fields: str) -> None:
    answer = await client.get(path, params={"fields": fields}, headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field")
    assert answer.json()["errors"][0]["pointer"] == "/query/fields"


@pytest.mark.parametrize("path", ["/v1/shops/main/offers", "/v1/shops/main/offers/black-tee"])
async def test_the_shop_window_takes_them_too(client: Client, merchant: Caller, path: str) -> None:
    answer = await client.get(path, params={"fields": "slug,bogus"}, headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field")
    known = await client.get(path, params={"fields": "slug,variants.sku"}, headers=client.speaking_as(merchant))
    assert known.json()["code"] != "unknown_field"


async def test_only_reads_take_fields(client: Client, merchant: Caller) -> None:
    answer = await client.post("/v1/shops?fields=id", json={}, headers=client.speaking_as(merchant))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


async def test_a_csv_file_has_all_its_columns(client: Client, merchant: Caller) -> None:
    headers = client.speaking_as(merchant, Accept="text/csv")
    answer = await client.get("/v1/audit-log?fields=action", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_fields_in_csv")


async def test_nobody_hears_what_there_is(client: Client) -> None:
    assert (await client.get("/v1/shops?fields=bogus")).status_code == 401


# --- what can be named


class Part(BaseModel):
    sku: str
    parts: list["Part"] = []
    labels: dict[str, str] = {}


class Whole(BaseModel):
    id: int
    part: Part | None = None
    parts: list[Part] = []


def test_fields_below_fields_are_named_with_dots() -> None:
    assert wanted_fields(["part.sku,parts.labels"], Whole) == {
        "id": {},
        "part": {"sku": {}},
        "parts": {"labels": {}},
    }
    assert wanted_fields(["parts.sku,parts"], Whole)["parts"] == {}
    assert wanted_fields(["parts,parts.sku"], Whole)["parts"] == {}


def test_a_shape_within_itself_is_taken_whole() -> None:
    assert fields_of(Whole)["part"]["parts"] == {}


@pytest.mark.parametrize("path", ["part.bogus", "part.labels.colour", "id.x", "part.", ".part", "parts,parts.bogus"])
def test_what_is_not_there_cannot_be_named(path: str) -> None:
    with pytest.raises(UnknownField):
        wanted_fields([path], Page[Whole])
