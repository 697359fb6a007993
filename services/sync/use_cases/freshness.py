"""How long after a write here a connection has it, as a metric with its targets (SEA-4)."""

from collections.abc import Mapping, Sequence

import asyncpg
from prometheus_client import Histogram

from shared import clock
from shared.contracts.sync.shapes import Entity
from shared.metrics import set_freshness_target

FRESHNESS = Histogram(
    "crossdock_connection_freshness_seconds",
    "From the write in inventory or catalog until a connection took it, by what kind of record it is there.",
    ("connection", "entity"),
    buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400),
)
# Twice as long as between two runs of the feed that writes it, as it is scheduled at first.
TARGETS: Mapping[Entity, float] = {"stock": 120.0, "product": 600.0, "variant": 600.0}

for _entity, _seconds in TARGETS.items():
    set_freshness_target(f"connection_{_entity}", _seconds)


def note(connection: asyncpg.Record, changes: Sequence[asyncpg.Record]) -> None:
    """The platform took these changes just now. What was written before the connection went live is not measured."""
    now, live_at = clock.now(), connection["live_at"]
    for change in changes:
        since = change["wanted_since"]
        if since is not None and live_at is not None and since >= live_at:
            FRESHNESS.labels(str(connection["id"]), change["entity"]).observe((now - since).total_seconds())
