"""Webhooks of platforms: verified byte for byte, kept, and good for nothing but waking a feed."""

from typing import Any
from uuid import uuid4

import pytest

from deploy import topology
from tests.doors import Client, eventually
from tests.factories.sync import Connected
from tests.fakes.custom import SIGNING_SECRET, CustomShop
from tests.platforms.conftest import put_products

pytestmark = pytest.mark.feature("SYN-14")


@pytest.fixture
async def connected(process: topology.Surrounded, client: Client, fake: CustomShop) -> Connected:
    fake.credentials = {**fake.credentials, "signing_secret": SIGNING_SECRET}
    return await Connected(process, client, fake).open()


async def knock(connected: Connected, headers: dict[str, str], body: bytes, connection_id: Any = None) -> Any:
    path = f"/v1/platform-webhooks/{connection_id or connected.id}"
    return await connected.client.post(path, content=body, headers=headers)


async def executions(connected: Connected) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await connected.get(f"/v1/feed-executions?connection_id={connected.id}"))["items"]
    return items


async def test_a_webhook_wakes_its_feeds_once_and_a_repeat_wakes_nothing(
    connected: Connected, fake: CustomShop
) -> None:
    assert connected.connection["webhook_url"].endswith(f"/v1/platform-webhooks/{connected.id}")
    put_products(fake, 2)
    headers, body = fake.webhook("orders.changed")
    for _ in range(3):
        assert (await knock(connected, headers, body)).status_code == 200

    async def woken() -> bool:
        done = [each for each in await executions(connected) if each["finished_at"]]
        return {each["kind"] for each in done} == {"import_orders", "update_orders"}

    async def none_waits() -> bool:
        return await connected.waiting_tasks() == 0

    await eventually(woken, 60)
    # A run has ended a moment before the task that carried it is gone.
    await eventually(none_waits, 60)
    assert {each["trigger"] for each in await executions(connected)} == {"webhook"}
    before = len(await executions(connected))
    assert (await knock(connected, headers, body)).status_code == 200
    assert (await knock(connected, *fake.webhook("what.is.this", "evt_2"))).status_code == 200
    assert await connected.waiting_tasks() == 0
    assert len(await executions(connected)) == before


async def test_what_the_secret_did_not_sign_is_refused_and_not_kept(connected: Connected, fake: CustomShop) -> None:
    headers, body = fake.webhook("products.changed")
    for sent, content in ((headers, body + b" "), ({}, body), (headers | {"webhook-id": "evt_9"}, body)):
        answer = await knock(connected, sent, content)
        assert (answer.status_code, answer.json()["code"]) == (401, "webhook_not_genuine")
    nobody = await knock(connected, headers, body, uuid4())
    assert (nobody.status_code, nobody.json()["code"]) == (404, "connection_not_found")
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    assert await uow.fetchval("SELECT count(*) FROM webhooks") == 0
    await uow.rollback()
    assert await executions(connected) == []
