"""What this process counts for Prometheus. With several web processes the counts lie in files they share.

prometheus-client decides at import whether it counts in memory or in files, by PROMETHEUS_MULTIPROC_DIR: whoever starts
several processes calls `share_between_processes` before it does.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_requests = Counter("crossdock_http_requests", "Requests answered.", ("method", "route", "status"))
_request_seconds = Histogram(
    "crossdock_http_request_seconds",
    "From a request's arrival to its answer's end.",
    ("method", "route"),
    buckets=_SECONDS,
)
_asks = Counter(
    "crossdock_asks", "Messages asked by this process; `outcome` is ok or the error's code.", ("message", "outcome")
)
_ready = Counter("crossdock_ready_answers", "Storefront reads, by whether the answer was ready.", ("outcome",))
_ready_by_outcome = {True: _ready.labels("ready"), False: _ready.labels("asked")}
_freshness_target = Gauge(
    "crossdock_freshness_target_seconds",
    "Within how long 95 % of what was written is to be shown: offers, operators, connection.",
    ("shown",),
    multiprocess_mode="max",
)
_ask_seconds = Histogram("crossdock_ask_seconds", "From asking to the answer.", ("message",), buckets=_SECONDS)


@dataclass(frozen=True)
class Measure:
    """A number of this moment that a service reads from its tables, with its labels; `crossdock_` stands before it."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """One request. `status` 0: it ended without an answer."""
    requests, took = _of_request(method if method in _METHODS else "other", route, status)
    requests.inc()
    took.observe(seconds)


def set_freshness_target(shown: str, seconds: float) -> None:
    """What the histograms of freshness are to be measured by."""
    _freshness_target.labels(shown).set(seconds)


def count_ask(message: str, outcome: str, seconds: float) -> None:
    """One message, and how it went."""
    asks, took = _of_ask(message, outcome)
    asks.inc()
    took.observe(seconds)


def count_ready(*, is_found: bool) -> None:
    """One storefront read, answered from memory or not."""
    _ready_by_outcome[is_found].inc()


@lru_cache(4096)
def _of_request(method: str, route: str, status: int) -> tuple[Any, Any]:
    return _requests.labels(method, route, str(status)), _request_seconds.labels(method, route)


@lru_cache(4096)
def _of_ask(message: str, outcome: str) -> tuple[Any, Any]:
    return _asks.labels(message, outcome), _ask_seconds.labels(message)


def exposition() -> bytes:
    """Everything counted so far, by this process or by all that share its files, in Prometheus' text format."""
    if _FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def share_between_processes(data: Path, name: str) -> None:
    """Let the processes that are started from here count together, from zero. Before any of them imports this."""
    folder = data / "metrics" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[_FOLDER] = str(folder)
