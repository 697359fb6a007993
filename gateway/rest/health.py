"""Liveness, readiness and metrics, for machines. Readiness tells the truth: every part it needs was asked just now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from fastapi import APIRouter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared import metrics
from shared.backlog import Backlog, Backlogs
from shared.database import POSTGRES_AWAY
from shared.errors import CrossdockError
from shared.redis_connection import REDIS_AWAY

Checks = Mapping[str, Callable[[], Awaitable[None]]]

router = APIRouter(tags=["operations"])
_PATIENCE_SECONDS = 2.0


@router.get("/healthz")
async def is_alive() -> dict[str, str]:
    """Whether this process answers at all."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(request: Request) -> JSONResponse:
    """Whether this process can do its work: 200 when every part answers, 503 with the parts that do not.

    Among the parts: PostgreSQL, the queues, the services where they live in other processes, and how long events and
    tasks have waited, against this installation's thresholds. What has waited too long is told, as status `late`, and
    makes unready the worker that is to do it: this process can work without.
    """
    return await readiness(request.app.state.checks, request.app.state.remarks)


@router.get("/metrics", response_class=Response)
async def read_metrics(request: Request) -> Response:
    """Counts, times and backlogs in Prometheus' text format."""
    return await measurements(request.app.state.backlogs)


async def readiness(checks: Checks, remarks: Checks | None = None) -> JSONResponse:
    """The answer of a readiness probe: all checks at once, each with little patience. `remarks` are told, no more."""
    every = {**checks, **(remarks or {})}
    results = await asyncio.gather(*(_result(check) for check in every.values()))
    parts = dict(zip(every, results, strict=True))
    is_fit = all(parts[name] == "ok" for name in checks)
    status = ("ok" if set(results) <= {"ok"} else "late") if is_fit else "unavailable"
    return JSONResponse({"status": status, "parts": parts}, 200 if is_fit else 503)


async def _result(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await check()
    except TimeoutError:
        return f"No answer within {_PATIENCE_SECONDS:g} s."
    except (CrossdockError, *REDIS_AWAY, *POSTGRES_AWAY) as error:
        return str(error) or type(error).__name__
    return "ok"


async def measurements(backlogs: Backlogs) -> Response:
    """The answer of a scrape. What this process counted is told even when the databases do not answer."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            known = await backlogs.read()
    except (CrossdockError, *REDIS_AWAY):
        known = []
    waiting = CollectorRegistry()
    waiting.register(_Waiting(known))
    return Response(metrics.exposition() + generate_latest(waiting), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Waiting(Collector):
    """Backlogs as gauges. `crossdock_backlog_known` is 0 when PostgreSQL or Redis did not answer the scrape."""

    def __init__(self, backlogs: list[Backlog]) -> None:
        self._backlogs = backlogs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "crossdock_backlog_known", "Whether the databases answered.", float(bool(self._backlogs))
        )
        yield self._queues()
        yield from self._deliveries()
        for name, help_text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"crossdock_{name}", help_text, labels=("service",))
            for backlog in self._backlogs:
                gauge.add_metric((backlog.service,), getattr(backlog, name))
            yield gauge
        yield from self._measures()

    def _queues(self) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily("crossdock_queue_length", "What waits on Redis.", labels=("service", "queue"))
        for backlog in self._backlogs:
            for queue in ("asks", "work", "receipts"):
                gauge.add_metric((backlog.service, queue), getattr(backlog, f"{queue}_waiting"))
        return gauge

    def _deliveries(self) -> Iterable[GaugeMetricFamily]:
        labels = ("service", "listener")
        waiting = GaugeMetricFamily("crossdock_deliveries_open", "Deliveries not acknowledged.", labels=labels)
        oldest = GaugeMetricFamily("crossdock_delivery_oldest_seconds", "Age of the oldest of them.", labels=labels)
        for backlog in self._backlogs:
            for listener, lag in backlog.deliveries.items():
                waiting.add_metric((backlog.service, listener), lag.open)
                oldest.add_metric((backlog.service, listener), lag.oldest_seconds)
        yield from (waiting, oldest)

    def _measures(self) -> Iterable[GaugeMetricFamily]:
        """What the services count of their own."""
        gauges: dict[str, GaugeMetricFamily] = {}
        for measure in (each for backlog in self._backlogs for each in backlog.measures):
            name = f"crossdock_{measure.name}"
            if name not in gauges:
                gauges[name] = GaugeMetricFamily(name, measure.help, labels=tuple(measure.labels))
            gauges[name].add_metric(tuple(measure.labels.values()), measure.value)
        return gauges.values()


_GAUGES = {
    "asks_silent_seconds": "For how long nobody has taken a request while some wait.",
    "deliveries_parked": "Deliveries that keep failing and wait for a person.",
    "tasks_due": "Tasks whose time has come.",
    "task_oldest_seconds": "How late the latest of them is.",
    "tasks_parked": "Tasks that keep failing and wait for a person.",
    "jobs_open": "Jobs queued or running.",
}
