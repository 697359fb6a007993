"""Buying from a system whose programs die: goods to sell, an order's body, and asking until there is an answer."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from deploy.bench.system import System
from tests.waiting import until

_PATIENCE_SECONDS = 120.0
# What says nothing about the request, but that it is to be made again.
AWAY = frozenset({409, 429, 500, 502, 503, 504})
_PAUSE_SECONDS = 0.1
# In which systems which SKUs were stocked up.
_stocked_up: set[tuple[Path, str]] = set()


def stock_up(system: System, quantity: int) -> tuple[str, int]:
    """Have so many units, and no more, of a variant that nobody has ordered yet. Returns its SKU and price in cents."""
    query = {"first": 50, "in_stock": "true"}
    items = system.ask("GET", "/v1/shops/main/offers", party="storefront", params=query)["items"]
    variants = [variant for item in items for variant in item["variants"]]
    variant, levels = next((each, levels) for each in variants if (levels := _untouched_levels(system, each["sku"])))
    _stocked_up.add((system.data, variant["sku"]))
    rows = [{"sku": variant["sku"], "centre": level["centre"], "on_hand": 0} for level in levels]
    system.ask("POST", "/v1/stock/bulk", json=[{**rows[0], "on_hand": quantity}, *rows[1:]])
    return variant["sku"], variant["price"]["amount"]


def _untouched_levels(system: System, sku: str) -> list[dict[str, Any]]:
    """Its levels, or none where somebody has ordered it, or may have it though it is not there."""
    levels: list[dict[str, Any]] = system.ask("GET", "/v1/stock", params={"sku": sku})["items"]
    is_usual = all(level["policy"] == "standard" and not level["reserved"] for level in levels)
    return levels if is_usual and (system.data, sku) not in _stocked_up else []


def order_body(number: int, sku: str, price: int) -> bytes:
    """An order of one unit by the buyer of that number."""
    body = {
        "shop": "main",
        "lines": [{"sku": sku, "quantity": 1}],
        "expected_total": {"amount": price, "currency": "USD"},
        "customer": {"email": f"buyer{number}@example.com", "name": "A Buyer"},
        "shipping_address": {"name": "A Buyer", "line1": "1 Quay", "city": "Portsea", "country": "US"},
    }
    return json.dumps(body).encode()


async def insist(http: httpx.AsyncClient, path: str, headers: dict[str, str], body: bytes, expect: int) -> Any:
    """Post until that is answered with `expect`, whoever dies meanwhile. Returns the answer's JSON, if it is JSON."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                response = await http.post(path, headers={"Content-Type": "application/json", **headers}, content=body)
            except httpx.TransportError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if response.status_code == expect:
                return response.json() if response.content[:1] in (b"{", b"[") else None
            assert response.status_code in AWAY, response.text
            if response.status_code == 409:
                assert response.json()["code"] in ("concurrent_change", "hold_too_short"), response.text
            await asyncio.sleep(_PAUSE_SECONDS)


async def read(http: httpx.AsyncClient, path: str, headers: dict[str, str], **params: Any) -> Any:
    """Get until there is an answer, whoever dies meanwhile. Returns its JSON."""

    async def answered() -> httpx.Response | None:
        try:
            answer = await http.get(path, headers=headers, params=params)
        except httpx.TransportError:
            return None
        assert answer.status_code in (200, 503, 504), answer.text
        return answer if answer.status_code == 200 else None

    found = await until(answered, _PATIENCE_SECONDS)
    assert found is not None
    return found.json()
