"""The last units of a SKU, wanted by many more buyers at once, while what serves them is killed again and again."""

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from deploy.bench.system import System
from shared.identifiers import new_id
from tests.conftest import scale
from tests.faults.killing import kill, roles
from tests.faults.shopping import stock_up
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800), pytest.mark.feature("ORD-1", "INV-3", "GAT-7")]
BUYERS = max(40, int(200 * scale()))
UNITS = BUYERS // 4
# So many buyers hear something between two kills: enough to end, too few for any kill to come late.
_BETWEEN_KILLS = 4
# After that a killed program should have answered somebody.
_BACK_SECONDS = 120.0
_UNTIL_SETTLED_SECONDS = 600.0
# What says nothing about the order, but that it is to be asked for again with the same key.
_AGAIN = frozenset({429, 500, 502, 503, 504})


@pytest.fixture
async def http(system: System) -> Any:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=str(system.http.base_url), timeout=30, limits=limits) as client:
        yield client


async def test_the_last_units_are_sold_once_each_whoever_is_killed(system: System, http: httpx.AsyncClient) -> None:
    sku, price = stock_up(system, UNITS)
    keys = [f"last-{new_id().hex}" for _ in range(BUYERS)]
    buyers = [asyncio.create_task(_buy(http, system, sku, price, key)) for key in keys]
    killed = await _kill_until_done(system, buyers)
    told = await asyncio.gather(*buyers)
    assert len(killed) >= 2
    orders = [answer for answer in told if "number" in answer]
    assert len(orders) == len({order["number"] for order in orders}) == UNITS
    refusals = [answer for answer in told if "number" not in answer]
    assert {(answer["code"], answer["errors"][0]["available"]) for answer in refusals} == {("insufficient_stock", 0)}
    # Everybody hears the same again.
    for key, answer in zip(keys, told, strict=True):
        again = await _buy(http, system, sku, price, key)
        assert (again.get("id"), again.get("code")) == (answer.get("id"), answer.get("code"))
    assert await _reserved(http, system, sku) == UNITS
    await until(lambda: _are_held_for_payment(http, system, orders), _UNTIL_SETTLED_SECONDS)
    for order in orders:
        await _insist(http, f"/v1/orders/{order['id']}/cancel", system.headers("admin"), {"reason": "test"})
    await until(lambda: _is_free(http, system, sku), _UNTIL_SETTLED_SECONDS)


async def test_the_same_order_fifty_times_at_once_is_one(system: System, http: httpx.AsyncClient) -> None:
    sku, price = stock_up(system, 10)
    key = f"same-{new_id().hex}"
    answers = await asyncio.gather(*(_buy(http, system, sku, price, key) for _ in range(50)))
    assert all(answer == answers[0] for answer in answers)
    assert await _reserved(http, system, sku) == 1
    found = await http.get("/v1/orders", headers=system.headers("admin"), params={"number": answers[0]["number"]})
    assert [order["id"] for order in found.json()["items"]] == [answers[0]["id"]]
    other = await http.post("/v1/orders", headers=_headers(system, key), content=_body(sku, price, quantity=2))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def _headers(system: System, key: str) -> dict[str, str]:
    return {**system.headers("storefront"), "Content-Type": "application/json", "Idempotency-Key": key}


def _body(sku: str, price: int, quantity: int = 1) -> bytes:
    order = {
        "shop": "main",
        "lines": [{"sku": sku, "quantity": quantity}],
        "expected_total": {"amount": price * quantity, "currency": "USD"},
        "customer": {"email": "buyer@example.com", "name": "A Buyer"},
        "shipping_address": {"name": "A Buyer", "line1": "1 Quay", "city": "Portsea", "country": "US"},
    }
    return json.dumps(order).encode()


async def _buy(http: httpx.AsyncClient, system: System, sku: str, price: int, key: str) -> dict[str, Any]:
    """The order, or why there is none: asked with one key until something is said about it."""
    async with asyncio.timeout(900):
        while True:
            try:
                answer = await http.post("/v1/orders", headers=_headers(system, key), content=_body(sku, price))
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            said: dict[str, Any] = answer.json()
            if answer.status_code == 201 or said["code"] == "insufficient_stock":
                return said
            assert answer.status_code in _AGAIN or said["code"] in ("concurrent_change", "hold_ran_out"), said
            await asyncio.sleep(0.2)


async def _insist(http: httpx.AsyncClient, path: str, headers: dict[str, str], body: dict[str, str]) -> None:
    """Until it is done, or was before."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await http.post(path, headers=headers, json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if answer.status_code == 200 or answer.json()["code"] == "illegal_transition":
                return
            assert answer.status_code in _AGAIN or answer.json()["code"] == "concurrent_change", answer.text
            await asyncio.sleep(0.2)


async def _kill_until_done(system: System, buyers: "list[asyncio.Task[Any]]") -> list[str]:
    """Kill what answers and what works, as soon as some have been answered again, as long as anybody still buys."""
    chance, killed, waiting = random.Random(11), [], set(buyers)
    while waiting:
        found = roles(system)
        for kind in ("serve", "work"):
            victims = [role for role in found if role.startswith(kind)]
            if victims:
                killed.append(await asyncio.to_thread(kill, system, chance.choice(victims)))
        waiting = await _answered(waiting, _BETWEEN_KILLS)
    return killed


async def _answered(waiting: "set[asyncio.Task[Any]]", wanted: int) -> "set[asyncio.Task[Any]]":
    """Who still buys once so many more have been answered, or nobody for a long time."""
    enough = max(0, len(waiting) - wanted)
    while len(waiting) > enough:
        answered, waiting = await asyncio.wait(waiting, timeout=_BACK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not answered:
            break
    return waiting


async def _reserved(http: httpx.AsyncClient, system: System, sku: str) -> int:
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await http.get("/v1/stock", headers=system.headers("admin"), params={"sku": sku})
                if answer.status_code == 200:
                    return sum(level["reserved"] for level in answer.json()["items"])
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


async def _is_free(http: httpx.AsyncClient, system: System, sku: str) -> bool:
    return await _reserved(http, system, sku) == 0


async def _are_held_for_payment(http: httpx.AsyncClient, system: System, orders: list[dict[str, Any]]) -> bool:
    """Whether each order's stock is held until it must be paid, and no longer."""
    for order in orders:
        answer = await http.get(f"/v1/reservations/{order['id']}", headers=system.headers("admin"))
        if answer.status_code != 200 or answer.json()["expires_at"] != order["pay_until"]:
            return False
    return True
