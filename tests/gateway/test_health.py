"""Liveness, readiness and metrics of the gateway."""

import re

import httpx
import pytest
from starlette.responses import PlainTextResponse

from gateway.app import Mounted, create_app
from shared import metrics
from shared.bus.envelope import Caller
from tests.doors import Client, eventually

pytestmark = pytest.mark.feature("GAT-5")


async def test_a_fit_process_is_ready(client: Client) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert set(answer.json()["parts"]) >= {"database", "queue", "backlog"}


def measured(text: str, name: str) -> float:
    """The value of one line of an exposition, 0 when it is not there."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_requests_and_asks_are_counted_by_route_and_outcome(client: Client, merchant: Caller) -> None:
    request = 'crossdock_http_requests_total{method="GET",route="/v1/parked-deliveries",status="200"}'
    refused = 'crossdock_http_requests_total{method="GET",route="/v1/parked-deliveries",status="401"}'
    ask = 'crossdock_asks_total{message="platform.list_parked_deliveries",outcome="ok"}'
    other = 'crossdock_http_requests_total{method="GET",route="(none)",status="404"}'
    graphql = 'crossdock_http_requests_total{method="POST",route="/graphql",status="200"}'
    before = (await client.get("/metrics")).text
    headers = client.speaking_as(merchant)
    await client.get("/v1/parked-deliveries", params={"service": "catalog"}, headers=headers)
    await client.get("/v1/parked-deliveries", params={"service": "catalog"})
    await client.post("/graphql", json={"query": "{ __typename }"})
    await client.get("/v1/no-such-thing/1")
    await client.get("/v1/no-such-thing/2")
    after = (await client.get("/metrics")).text
    assert measured(after, request) == measured(before, request) + 1
    assert measured(after, graphql) == measured(before, graphql) + 1
    assert measured(after, refused) == measured(before, refused) + 1
    assert measured(after, other) == measured(before, other) + 2
    assert "crossdock_ask_seconds_bucket" in after
    assert measured(after, ask) == measured(before, ask) + 1


async def test_what_is_mounted_is_counted_as_itself() -> None:
    app = create_app(None, mounts=[Mounted("/callbacks", "/{gateway_id}", PlainTextResponse("kept"))])  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        assert (await http.post("/callbacks/some-gateway")).text == "kept"
    counted = 'crossdock_http_requests_total{method="POST",route="/callbacks/{gateway_id}",status="200"} '
    assert counted in metrics.exposition().decode()


async def test_backlogs_of_every_service_are_measured(client: Client) -> None:
    async def look() -> bool:
        text = (await client.get("/metrics")).text
        return all(f'crossdock_queue_length{{queue="work",service="{name}"}}' in text for name in ("catalog", "orders"))

    await eventually(look)
