"""What `crossdock bench` measures GraphQL with: fifty objects with ten in each, compiled."""

import httpx
import pytest

from deploy.bench import memory
from gateway.graphql.app import schema
from gateway.graphql.compiled import plan

pytestmark = pytest.mark.feature("GAT-2")


async def test_it_answers_fifty_objects_with_ten_in_each() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=memory.app), base_url="http://bench") as client:
        answer = (await client.post("/graphql", json={"query": memory.QUERY})).json()
    nodes = answer["data"]["offers"]["nodes"]
    assert [len(node["variants"]) for node in nodes] == [10] * 50
    made = plan(schema(), schema().documents.of(memory.QUERY), None)
    assert made is not None
    assert made.form(None) is not None
