"""The same done to many orders that a filter means: counted first, then done, each by its own rules, once."""

from typing import Any

import pytest

from deploy import topology
from services.orders.use_cases import bulk_actions
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import Seller
from tests.services.orders.test_finding import GRACE, finds, page, place

pytestmark = pytest.mark.feature("SYN-13", "OPS-4", "ORD-7")


@pytest.fixture
async def seller(process: topology.Surrounded) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP-BLUE": "2.50"}, {"MUG": 500, "CUP-BLUE": 500})


async def act(client: Client, seller: Seller, expected: int, action: str, **filter_: Any) -> dict[str, Any]:
    """The job at its end."""
    body = {"action": action, "reason": "A test", "dry_run": filter_.pop("dry_run", False), "filter": filter_}
    headers = client.speaking_as(filter_.pop("caller", seller.caller))
    begun = await client.post("/v1/orders/act", json=body, headers=headers)
    assert begun.status_code == 202, begun.text
    assert begun.json()["orders"] == expected
    return await ended(client, seller, begun.headers["location"])


async def ended(client: Client, seller: Seller, location: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        job: dict[str, Any] = await page(client, seller.caller, location.removeprefix("/v1/"))
        return job if job["finished_at"] else None

    job = await eventually(look)
    assert job is not None
    assert (job["state"], job["error"]) == ("succeeded", None)
    return job


async def statuses(client: Client, seller: Seller) -> dict[str, int]:
    counts: dict[str, int] = (await page(client, seller.caller, "orders/counts"))["by_status"]
    return counts


async def test_counted_first_then_held_released_and_cancelled(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_actions, "_AT_ONCE", 2)
    hoppers = [await place(client, seller.storefront(), customer=GRACE) for _ in range(5)]
    ada = await place(client, seller.storefront())
    await finds(client, seller.caller, "hopper", *reversed(hoppers))
    headers = client.speaking_as(seller.caller)
    first = await client.post(f"/v1/orders/{hoppers[0]['id']}/hold", json={"reason": "By hand"}, headers=headers)
    assert first.status_code == 200, first.text

    tried = await act(client, seller, 5, "hold", query="hopper", dry_run=True)
    assert tried["counters"] == {"changed": 4, "unchanged": 1}
    assert await statuses(client, seller) == {"pending": 5, "on_hold": 1}
    done = await act(client, seller, 5, "hold", query="hopper")
    assert (done["counters"], done["progress"]) == (tried["counters"], {"done": 5, "total": 5})
    held = await page(client, seller.caller, f"orders/{hoppers[4]['id']}")
    assert held["timeline"][-1]["actor"] == seller.caller.name
    assert (held["status"], held["timeline"][-1]["reason"]) == ("on_hold", "A test")

    # What is released leaves the filter by it; one that is not on hold is as it should be.
    released = await act(client, seller, 5, "release", status=["on_hold"])
    assert released["counters"] == {"changed": 5}
    again = await act(client, seller, 1, "release", number=ada["number"])
    assert again["counters"] == {"unchanged": 1}
    assert await statuses(client, seller) == {"pending": 6}

    ended_all = await act(client, seller, 6, "cancel", sets=["this_year"])
    assert ended_all["counters"] == {"changed": 6}
    assert await statuses(client, seller) == {"cancelled": 6}
    assert (await act(client, seller, 6, "cancel", sets=["this_year"]))["counters"] == {"unchanged": 6}
    refused = await act(client, seller, 6, "hold", status=["cancelled"])
    assert refused["counters"] == {"refused": 6}
    assert "illegal_transition" in refused["log"][0]


async def test_who_may_not_and_what_says_too_little(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront())
    await finds(client, seller.caller, "lovelace", order)
    hold: dict[str, Any] = {"action": "hold", "reason": "A test", "filter": {"query": "lovelace"}}
    headers = client.speaking_as(seller.caller)
    wrong: list[dict[str, Any]] = [{"filter": {}}, {"action": "eat"}, {"reason": ""}, {"filter": {"sets": ["on:moon"]}}]
    for each in wrong:
        refused = await client.post("/v1/orders/act", json=hold | each, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), each
    refused = await client.post("/v1/orders/act", json=hold | {"filter": {"shop": "moon"}}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (404, "shop_not_found")
    reader = client.speaking_as(caller_of(seller.organization_id, "orders:read"))
    refused = await client.post("/v1/orders/act", json=hold, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    elsewhere = caller_of(seller.organization_id, shop_ids=[new_id()])
    for caller in (elsewhere, caller_of(new_id())):
        answer = await client.post("/v1/orders/act", json=hold, headers=client.speaking_as(caller))
        assert (answer.status_code, answer.json()["orders"]) == (202, 0)
        answer = await client.post(
            "/v1/orders/act", json=hold | {"filter": {"status": ["pending"]}}, headers=client.speaking_as(caller)
        )
        assert (answer.status_code, answer.json()["orders"]) == (202, 0)
    query = 'mutation {actOnOrders(action: HOLD, reason: "A test", filter: {query: "lovelace"})'
    query += " {... on StartedOrderAction {orders}}}"
    answer = await client.post("/graphql", json={"query": query}, headers=headers)
    started = answer.json()["data"]["actOnOrders"]
    assert started["orders"] == 1

    async def is_held() -> bool:
        return await statuses(client, seller) == {"on_hold": 1}

    await eventually(is_held)
