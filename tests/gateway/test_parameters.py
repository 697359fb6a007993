"""A query parameter that nobody reads is named, on every route."""

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


async def test_a_mistyped_dry_run_imports_nothing(client: Client, merchant: Caller) -> None:
    query = {"group": "products", "dryrun": "true"}
    headers = client.speaking_as(merchant)
    answer = await client.post("/v1/imports", params=query, content=b"Handle,Title\n", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
