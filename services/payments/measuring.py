"""What is counted of callbacks, per payment gateway, for Prometheus: at the intake, at the worker, in the tables."""

from collections import Counter as Counted
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from prometheus_client import Counter, Summary

from services.payments.gateways.base import Verdict
from services.payments.models import Callback
from shared.metrics import Measure
from shared.unit_of_work import UnitOfWork

_received = Counter(
    "crossdock_callbacks_received",
    "Callbacks that this process has answered, by what is known of them: genuine, unchecked or forged.",
    ("gateway", "verdict"),
)
_repeated = Counter("crossdock_callbacks_repeated", "Those of them that were there before.", ("gateway",))
_turned_away = Counter(
    "crossdock_callbacks_turned_away",
    "Callbacks that are to be sent again: too many came unverified, or none can be stored.",
    ("gateway", "reason"),
)
_settled = Counter(
    "crossdock_callbacks_settled",
    "What became of callbacks that this process took in hand, each time it did.",
    ("gateway", "status"),
)
_lag = Summary(
    "crossdock_callback_lag_seconds", "From receipt until a callback was processed, ignored or failed.", ("gateway",)
)
_ENDS = frozenset({"processed", "ignored", "failed"})


def received(gateway_id: UUID, verdict: Verdict, records: Sequence[bool]) -> None:
    """A callback was answered; `records` says of each that it holds whether that was new."""
    known = "genuine" if verdict.is_genuine else "unchecked" if verdict.is_pending else "forged"
    _received_of(gateway_id, known).inc()
    if records and not any(records):
        _repeated.labels(str(gateway_id)).inc()


def turned_away(gateway_id: UUID, reason: str) -> None:
    """A callback was not taken; `reason` is the error's code."""
    _turned_away.labels(str(gateway_id), reason).inc()


def settled(callbacks: Sequence[Callback], at: datetime) -> None:
    """Callbacks have come to these statuses, durably."""
    for (gateway_id, status), count in Counted((each.gateway_id, each.status) for each in callbacks).items():
        _settled.labels(str(gateway_id), status).inc(count)
    for callback in callbacks:
        if callback.status in _ENDS:
            _lag_of(callback.gateway_id).observe((at - callback.received_at).total_seconds())


# Finding a counter by its labels takes longer than counting.
_MOST_REMEMBERED = 10_000


@lru_cache(_MOST_REMEMBERED)
def _received_of(gateway_id: UUID, known: str) -> Counter:
    return _received.labels(str(gateway_id), known)


@lru_cache(_MOST_REMEMBERED)
def _lag_of(gateway_id: UUID) -> Summary:
    return _lag.labels(str(gateway_id))


async def open_callbacks(uow: UnitOfWork) -> list[Measure]:
    """How many callbacks wait, and how long they have: those to be processed, and those that a person is to look at."""
    rows = await uow.fetch(_OPEN)
    counts = [Measure("callbacks_open", _HELP, _labels(row), row["callbacks"]) for row in rows]
    ages = [Measure("callback_oldest_seconds", "Age of the oldest of them.", _labels(row), row["age"]) for row in rows]
    return counts + ages


_HELP = "Callbacks received, waiting or retrying, and, as failed, those that need a person."
_OPEN = """
SELECT gateway_id, status, count(*) AS callbacks,
    greatest(0, extract(epoch FROM now() - min(received_at)))::float8 AS age
FROM callbacks WHERE status IN ('received', 'waiting', 'retrying', 'failed') GROUP BY gateway_id, status
"""


def _labels(row: Sequence[object]) -> dict[str, str]:
    return {"gateway": str(row[0]), "status": str(row[1])}


async def open_differences(uow: UnitOfWork) -> list[Measure]:
    """How many differences between providers and the ledger are open, as paid without order and order not paid."""
    rows = await uow.fetch(
        "SELECT gateway_id, kind, count(*) AS differences FROM differences WHERE state IN ('open', 'waiting')"
        " GROUP BY gateway_id, kind"
    )
    text = "Differences between providers and the ledger that are open, by gateway and kind."
    return [
        Measure(
            "payment_differences",
            text,
            {"gateway": str(row["gateway_id"]), "kind": row["kind"]},
            row["differences"],
        )
        for row in rows
    ]
