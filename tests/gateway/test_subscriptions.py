"""Progress as it happens: subscriptions over server-sent events."""

from itertools import pairwise
from typing import Any

import orjson
import pytest

from deploy import topology
from shared.bus.envelope import Caller
from tests.doors import Client
from tests.factories.catalog import Catalog, csv_file, shopify_row

pytestmark = pytest.mark.feature("GAT-2", "OPS-5")

PROGRESS = "subscription($id: UUID!) { jobProgress(jobId: $id) { state progress { done total } counters } }"


async def subscribe(client: Client, caller: Caller | None, query: str, **variables: Any) -> list[dict[str, Any]]:
    """All that a subscription brings, to its end."""
    headers = {} if caller is None else client.speaking_as(caller)
    answer = await client.post(
        "/graphql", json={"query": query, "variables": variables}, headers={**headers, "Accept": "text/event-stream"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    *results, last = answer.text.strip().split("\n\n")
    assert last.splitlines() == ["event: complete", "data:"]
    assert all(result.startswith("event: next\ndata: ") for result in results)
    return [orjson.loads(result.split("data: ", 1)[1]) for result in results]


@pytest.fixture
async def imported(process: topology.Surrounded, merchant: Caller, client: Client) -> dict[str, Any]:
    assert merchant.organization_id is not None
    catalog = Catalog(process, merchant.organization_id)
    if not await catalog.rows("SELECT FROM shops"):
        await catalog.open_shop()
    content = csv_file([shopify_row(f"p-{n}") for n in range(50)])
    answer = await client.post("/v1/imports", content=content, headers=client.speaking_as(merchant))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_progress_of_a_job_comes_until_it_is_over(
    client: Client, merchant: Caller, imported: dict[str, Any]
) -> None:
    results = await subscribe(client, merchant, PROGRESS, id=imported["job_id"])
    last = results[-1]["data"]["jobProgress"]
    assert (last["state"], last["progress"]) == ("SUCCEEDED", {"done": 50, "total": 50})
    assert all(before != after for before, after in pairwise(results))
    again = await subscribe(client, merchant, PROGRESS, id=imported["job_id"])
    assert again == [results[-1]], "what is over is said once"
    of_import = "subscription($id: UUID!) { importProgress(importId: $id) { state group } }"
    assert (await subscribe(client, merchant, of_import, id=imported["id"]))[-1] == {
        "data": {"importProgress": {"state": "SUCCEEDED", "group": "products"}}
    }


async def test_another_organization_and_nobody_follow_nothing(
    client: Client, stranger: Caller, imported: dict[str, Any]
) -> None:
    for caller, code in ((stranger, "job_not_found"), (None, "unauthenticated")):
        (result,) = await subscribe(client, caller, PROGRESS, id=imported["job_id"])
        assert [error["extensions"]["code"] for error in result["errors"]] == [code]


async def test_what_is_no_subscription_is_not_streamed_and_the_other_way_round(
    client: Client, merchant: Caller, imported: dict[str, Any]
) -> None:
    headers = client.speaking_as(merchant)
    body = {"query": PROGRESS, "variables": {"id": imported["job_id"]}}
    refused = await client.post("/graphql", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    (refusal,) = await subscribe(client, merchant, "{ jobs { nodes { state } } }")
    assert refusal["errors"][0]["message"] == "queries are not allowed"
    (wrong,) = await subscribe(client, merchant, "subscription { nonsense }")
    assert wrong["errors"][0]["extensions"]["code"] == "invalid_document"
