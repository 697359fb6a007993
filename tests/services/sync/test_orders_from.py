"""Orders from before a connection takes any are left alone; an earlier time brings them in."""

from datetime import timedelta
from typing import Any

import pytest

from deploy import topology
from shared import clock
from tests.doors import Client, eventually
from tests.factories.sync import ORDERS_FROM, Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order
from tests.services.sync.test_doors import graphql

pytestmark = pytest.mark.feature("SYN-6", "SYN-4", "ORD-5")

STATUSES = {"paid": "set_aside", "cancelled": "do_not_import"}


@pytest.fixture
async def unbounded(process: topology.Surrounded, client: Client, fake: CustomShop) -> Connected:
    """A connection that does not say from when it takes orders, to a shop that has sold before."""
    return await Connected(process, client, fake).open(orders_from=None, order_statuses=STATUSES)


def at(number: int, moment: Any, **said: Any) -> dict[str, Any]:
    time = moment.isoformat()
    return order(number) | {"placed_at": time, "updated_at": time} | said


async def imported(connected: Connected) -> dict[str, str]:
    items = (await connected.get("/v1/imported-orders"))["items"]
    return {each["external_id"]: each["state"] for each in items}


async def test_what_was_sold_before_the_connection_was_made_is_left_alone(
    unbounded: Connected, fake: CustomShop
) -> None:
    now = clock.now()
    fake.put_order(at(1, now - timedelta(days=40)))
    # Placed before, and changed since: the platform gives it.
    fake.put_order(at(2, now - timedelta(days=1), updated_at=now.isoformat()))
    fake.put_order(at(3, now + timedelta(seconds=1)))
    fake.put_order(at(4, now, placed_at="yesterday"))

    done = await unbounded.run("import_orders")

    assert done["counters"]["left"] >= 1, done
    listed = (await unbounded.get("/v1/listings?entity=order"))["items"]
    assert {each["external_id"] for each in listed} == {"3"}
    asked = [path for path in fake.requests if "/orders?" in path]
    assert all("since=" in path for path in asked)
    assert set(await imported(unbounded)) == {"3"}
    # What does not say when it was placed is told; what is left alone is no trouble.
    assert {each["subject"] for each in await unbounded.issues()} <= {"3", "4", "import_orders"}


async def test_an_earlier_time_brings_history_in_and_a_later_one_loses_nothing_that_is_here(
    unbounded: Connected, fake: CustomShop
) -> None:
    then = clock.now() - timedelta(days=3)
    fake.put_order(at(1, then))
    assert (await unbounded.run("import_orders"))["counters"].get("new", 0) == 0
    change = """mutation($id: UUID!, $change: ConnectionChangeInput!) {
        changeConnection(connectionId: $id, change: $change) {
            ... on Connection { settings { ordersFrom } } ... on Problem { code detail } } }"""
    settings: dict[str, Any] = {"platform": fake.settings, "orderStatuses": STATUSES}
    given = {"settings": settings | {"ordersFrom": (then - timedelta(hours=1)).isoformat()}}
    made = await graphql(unbounded.client, unbounded.caller, change, id=unbounded.id, change=given)
    assert made["changeConnection"]["settings"]["ordersFrom"] is not None, made

    assert (await unbounded.run("import_orders"))["counters"]["new"] == 1

    assert set(await imported(unbounded)) == {"1"}
    path = f"/v1/connections/{unbounded.id}"
    later = {
        "platform": fake.settings,
        "order_statuses": STATUSES,
        "orders_from": (clock.now() + timedelta(days=1)).isoformat(),
    }
    changed = await unbounded.client.patch(path, json={"settings": later}, headers=unbounded.headers)
    assert changed.status_code == 200, changed.text
    fake.put_order(at(1, then, status="cancelled", updated_at=clock.now().isoformat()))
    fake.put_order(at(2, clock.now()))
    await unbounded.run("update_orders")

    async def is_followed() -> bool:
        return await imported(unbounded) == {"1": "ignored"}

    await eventually(is_followed, 30)
    await unbounded.post(f"{path}/reset-clock", {"entity": "order"})
    done = await unbounded.run("import_orders", is_full=True)
    assert (done["state"], done["counters"].get("gone", 0)) == ("succeeded", 0)


async def test_a_time_without_its_offset_is_refused(unbounded: Connected) -> None:
    for wrong in (ORDERS_FROM.removesuffix("Z"), "last year"):
        answer = await unbounded.client.patch(
            f"/v1/connections/{unbounded.id}",
            json={"settings": {"orders_from": wrong}},
            headers=unbounded.headers,
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
