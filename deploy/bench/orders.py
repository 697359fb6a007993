"""Quotes and orders of 5,000 SKUs that the bench makes itself: three of them each, and all of the same one."""

import csv
import io
import json
import time
from collections.abc import Iterator
from typing import Any

from deploy.bench.figures import Figure
from deploy.bench.load import http, measure
from deploy.bench.system import System

SKUS = 5_000
LINES = 3
ORDERS = 12_000
_PLENTY = 1_000_000
_STOCK_ROWS = 1_000
_QUIET_SECONDS = 300
_JSON = {"Content-Type": "application/json"}
_COLUMNS = (
    *("Handle", "Title", "Vendor", "Type", "Published", "Option1 Name", "Option1 Value", "Collection", "Status"),
    *("Variant SKU", "Variant Price"),
)


def quote(system: System) -> Figure:
    """Three lines each, spread over all SKUs."""
    _make_skus(system)
    headers = {**system.headers("storefront"), **_JSON}
    bodies = [json.dumps({"shop": "main", "lines": _spread(number)}).encode() for number in range(SKUS)]
    return _load("quote", system, [http("POST", "/v1/quotes", headers, body) for body in bodies])


def order(system: System) -> Figure:
    """Three lines each, spread over all SKUs; every order a new one, checked against its total."""
    _make_skus(system)
    return _load("order", system, _orders(system, _spread), once=True)


def order_of_one_sku(system: System) -> Figure:
    """All want the same."""
    _make_skus(system)
    return _load(
        "order, all of one SKU", system, _orders(system, lambda _: [{"sku": _sku(0), "quantity": 1}]), once=True
    )


def _orders(system: System, lines_of: Any) -> list[bytes]:
    headers = {**system.headers("storefront"), **_JSON}
    mark = time.time_ns()
    requests = []
    for number in range(ORDERS):
        lines = lines_of(number)
        total = sum(_cents(int(line["sku"].removeprefix("BO-"))) * line["quantity"] for line in lines)
        body = {
            "shop": "main",
            "lines": lines,
            "expected_total": {"amount": total, "currency": "USD"},
            "customer": {"email": f"shopper{number}@example.com", "name": "A Shopper"},
            "shipping_address": {"name": "A Shopper", "line1": "1 Quay", "city": "Portsea", "country": "US"},
        }
        key = {"Idempotency-Key": f"bench-{mark}-{number}"}
        requests.append(http("POST", "/v1/orders", {**headers, **key}, json.dumps(body).encode()))
    return requests


def _load(name: str, system: System, requests: list[bytes], *, once: bool = False) -> Figure:
    measured = measure(system.server, requests, once=once)
    note = f"{measured.failures} failed: {measured.sample[-200:]}" if measured.failures else ""
    figure = Figure(name, measured.per_second, "requests", measured, note)
    _wait_until_quiet(system)
    return figure


def _sku(number: int) -> str:
    return f"BO-{number:05}"


def _cents(number: int) -> int:
    return 500 + number % 4000


def _spread(number: int) -> list[dict[str, Any]]:
    """Three SKUs that no neighbour has."""
    return [{"sku": _sku((number * 7 + step * 1667) % SKUS), "quantity": 1 + number % 2} for step in range(LINES)]


def _make_skus(system: System) -> None:
    """Products of one variant, priced and in plenty, unless an earlier path made them."""
    if "orders" in system.prepared:
        return
    sent = system.ask(
        "POST",
        "/v1/imports?group=products&profile=shopify&shop=main",
        content=_file(),
        headers={"Content-Type": "text/csv"},
    )
    while system.ask("GET", f"/v1/imports/{sent['id']}")["finished_at"] is None:
        time.sleep(0.1)
    for start in range(0, SKUS, _STOCK_ROWS):
        rows = [{"sku": _sku(n), "centre": "main", "on_hand": _PLENTY} for n in range(start, start + _STOCK_ROWS)]
        system.ask("POST", "/v1/stock/bulk", json=rows)
    system.prepared.add("orders")
    _wait_until_quiet(system)


def _wait_until_quiet(system: System) -> None:
    """Until no offer waits to be built: what follows from one path must not be paid for by the next."""
    deadline = time.perf_counter() + _QUIET_SECONDS
    while _is_building(system) and time.perf_counter() < deadline:
        time.sleep(0.5)


def _is_building(system: System) -> bool:
    return any(index["pending"] for index in system.ask("GET", "/v1/search-indexes")["items"])


def _file() -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *_rows()])
    return text.getvalue().encode()


def _rows() -> Iterator[tuple[str, ...]]:
    for number in range(SKUS):
        cents = _cents(number)
        price = f"{cents // 100}.{cents % 100:02}"
        title = f"Ordered thing no. {number}"
        product = (f"bench-ordered-{number:05}", title, "Bench & Co", "Things", "true", "Title", "Default Title")
        yield (*product, "Bench", "active", _sku(number), price)
