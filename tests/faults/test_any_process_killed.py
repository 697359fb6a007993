"""Orders and payments go on while each process of a distributed system is killed: nothing accepted is missing."""

import asyncio
import hashlib
import hmac
import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from deploy.bench.system import System
from tests.conftest import scale
from tests.faults.killing import kill, roles
from tests.faults.shopping import insist, order_body, read, stock_up

pytestmark = pytest.mark.parametrize("system", ["distributed"], indirect=True)
ORDERS = 2_000
_BUYERS = 6
_KILLS = 25


# An event that failed during the kills is tried again after minutes, not seconds.
_SETTLED_SECONDS = 900


@dataclass
class Ledger:
    """What the system said it had accepted."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.feature("GAT-7", "ORD-1", "PAY-2", "PAY-5", "INV-3")
async def test_nothing_that_was_accepted_is_missing(system: System) -> None:
    total = int(ORDERS * scale())
    sku, price = stock_up(system, total * 3)
    ledger, numbers = Ledger(), itertools.count()
    async with httpx.AsyncClient(base_url=str(system.http.base_url), timeout=20) as http:
        buyers = [asyncio.create_task(_buy(http, system, ledger, numbers, total, sku, price)) for _ in range(_BUYERS)]
        killed = []
        for victim in _victims(system):
            if all(buyer.done() for buyer in buyers):
                break
            killed.append(kill(system, victim))
            await _goes_on(ledger, buyers, total // _KILLS)
        await asyncio.gather(*buyers)
        assert len(killed) >= 5
        assert len(ledger.orders) == total
        await _everything_settled(http, system, ledger, sku, total)


async def _buy(
    http: httpx.AsyncClient,
    system: System,
    ledger: Ledger,
    numbers: "itertools.count[int]",
    total: int,
    sku: str,
    price: int,
) -> None:
    """Order and pay until `total` is reached, insisting with the same key until each is accepted."""
    while (number := next(numbers)) < total:
        headers = {**system.headers("storefront"), "Idempotency-Key": f"fault-{number}"}
        order = await insist(http, "/v1/orders", headers, order_body(number, sku, price), 201)
        ledger.orders[order["id"]] = order
        await _pay(http, system, order)
        ledger.paid.add(order["id"])


async def _pay(http: httpx.AsyncClient, system: System, order: dict[str, Any]) -> None:
    """Post the payment's callback until it is accepted, as a gateway does."""
    gateway = system.credentials["payment_gateways"]["stripe"]
    intent = {
        "id": f"pi_{order['id']}",
        "object": "payment_intent",
        "amount": order["total"]["amount"],
        "amount_received": order["total"]["amount"],
        "currency": "usd",
        "status": "succeeded",
        "metadata": {"order_number": order["number"]},
    }
    event = {
        "id": f"evt_{order['id']}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": intent},
    }
    body, stamp = json.dumps(event).encode(), int(time.time())
    signature = hmac.new(gateway["secret"].encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={signature}"}
    await insist(http, f"/callbacks/{gateway['id']}", headers, body, 200)


def _victims(system: System) -> Iterator[str]:
    """Every program by name, in a new order each round, Redis and PostgreSQL too."""
    chance = random.Random(7)
    while True:
        names = roles(system)
        chance.shuffle(names)
        yield from names


async def _goes_on(ledger: Ledger, buyers: "list[asyncio.Task[None]]", orders: int) -> None:
    """Until some more orders were paid, so that every kill hits a system at work."""
    wanted = len(ledger.paid) + orders
    async with asyncio.timeout(180):
        while len(ledger.paid) < wanted and not all(buyer.done() for buyer in buyers):
            await asyncio.sleep(0.05)


async def _everything_settled(http: httpx.AsyncClient, system: System, ledger: Ledger, sku: str, total: int) -> None:
    headers = system.headers("admin")

    open_, deadline = list(ledger.paid), time.monotonic() + _SETTLED_SECONDS
    while open_ and time.monotonic() < deadline:
        found = {order_id: await read(http, f"/v1/orders/{order_id}", headers) for order_id in open_[:20]}
        done = {order_id for order_id, order in found.items() if order.get("status") == "processing"}
        open_ = [order_id for order_id in open_ if order_id not in done]
        await asyncio.sleep(0.2)
    told = [await read(http, f"/v1/orders/{order_id}", headers) for order_id in open_[:3]]
    assert not open_, f"{len(open_)} paid orders are not processing: {told}; {await read(http, '/readyz', headers)}"
    levels = (await read(http, "/v1/stock", headers, sku=sku))["items"]
    assert sum(level["reserved"] for level in levels) == total
    assert sum(level["on_hand"] for level in levels) == total * 3
