"""How soon a change of stock is seen on the product page: alone, and while 500 others arrive each second."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from deploy.bench.figures import Figure
from deploy.bench.system import System

_CHANGES = 40
_TOO_LATE_SECONDS = 30.0
_ROWS_AT_ONCE = 50
_CALLS_PER_SECOND = 10
_PAGES = 10


def freshness(system: System) -> Figure:
    """From the answer to a stock write until the product page shows it."""
    return _told("stock write to product page", _seconds(system, 0))


def freshness_under_changes(system: System) -> Figure:
    """The same beside changes of other SKUs, in calls of fifty."""
    with _changes(system) as sent:
        seconds = _seconds(system, 100)
    return _told("the same, beside changes", seconds, f"; {sent():.0f} changes a second beside it")


def _told(name: str, seconds: list[float], rest: str = "") -> Figure:
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    return Figure(name, None, "", None, f"p50 {middle * 1000:.0f} ms, p95 {late * 1000:.0f} ms{rest}")


def _seconds(system: System, begin: int) -> list[float]:
    sku, slug = _one_offer(system)
    seconds = []
    for number in range(_CHANGES):
        wanted = 500_000 + begin + number
        system.ask("POST", "/v1/stock/bulk", json=[{"sku": sku, "centre": "main", "on_hand": wanted}])
        started = time.perf_counter()
        while not _shows(system, slug, sku, wanted) and time.perf_counter() - started < _TOO_LATE_SECONDS:
            time.sleep(0.002)
        seconds.append(time.perf_counter() - started)
    return seconds


@contextlib.contextmanager
def _changes(system: System) -> Iterator[Callable[[], float]]:
    """Changes of other SKUs, sent in a thread at a steady pace; says how many a second came through."""
    skus = _other_skus(system)
    is_over, done, started = threading.Event(), [0], time.perf_counter()

    def change() -> None:
        with httpx.Client(base_url=system.http.base_url, headers=system.headers("admin"), timeout=30) as client:
            while not is_over.is_set():
                due = started + done[0] / (_ROWS_AT_ONCE * _CALLS_PER_SECOND)
                is_over.wait(max(due - time.perf_counter(), 0))
                rows: list[dict[str, Any]] = [
                    {"sku": sku, "centre": "main", "on_hand": random.randrange(1000)}  # noqa: S311
                    for sku in random.sample(skus, min(_ROWS_AT_ONCE, len(skus)))
                ]
                client.post("/v1/stock/bulk", json=rows).raise_for_status()
                done[0] += _ROWS_AT_ONCE

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield lambda: done[0] / (time.perf_counter() - started)
    finally:
        is_over.set()
        thread.join()


def _other_skus(system: System) -> list[str]:
    """SKUs of up to a thousand other offers."""
    skus, after = [], None
    for _ in range(_PAGES):
        parameters = {"first": 100, **({"after": after} if after else {})}
        page = system.ask("GET", "/v1/shops/main/offers", party="storefront", params=parameters)
        skus += [variant["sku"] for offer in page["items"] for variant in offer["variants"]]
        after = page["next"]
        if after is None:
            break
    return skus[1:]


def _one_offer(system: System) -> tuple[str, str]:
    item = system.ask("GET", "/v1/shops/main/offers?first=1", party="storefront")["items"][0]
    return item["variants"][0]["sku"], item["slug"]


def _shows(system: System, slug: str, sku: str, wanted: int) -> bool:
    page = system.ask("GET", f"/v1/shops/main/offers/{slug}", party="storefront")
    levels = [variant["available_quantity"] for variant in page["variants"] if variant["sku"] == sku]
    return bool(levels) and abs(levels[0] - wanted) < 100_000 and levels[0] % 1000 >= wanted % 1000
