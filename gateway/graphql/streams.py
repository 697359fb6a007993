"""What can be followed as it happens, over a WebSocket: each a root field of Subscription."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.bus.envelope import Caller
from shared.contracts.base import Event, Shape
from shared.contracts.inventory.events import CrossedLevel, StockChanged, StockLevelCrossed
from shared.contracts.orders.events import OrderMoved, OrderPlaced
from shared.contracts.platform.events import AlertRaised, JobChanged
from shared.contracts.platform.shapes import Job, Severity

_AREAS = ("accounts", "catalog", "inventory", "orders", "payments", "search", "sync")
_ANY_READ = tuple(f"{area}:read" for area in _AREAS)
# What `shown` returns: the things of one event that a caller who asked for this may see.
Shown = Callable[[Caller, Any, Any], Iterator[Shape]]


@dataclass(frozen=True)
class Stream:
    """A field of Subscription that tells of events of one kind. `message` has its arguments."""

    name: str
    message: type[Shape]
    event: type[Event]
    answer: type[Shape]
    scopes: tuple[str, ...]
    shown: Shown
    renamed: Mapping[str, str] = field(default_factory=dict)
    kind: str = "stream"

    def argument(self, field_name: str) -> str:
        return self.renamed.get(field_name, field_name)


class FollowOrders(Shape):
    """Orders that are placed, or go from one status to another, as it happens; of the shops you may see.

    With `orderId` those of one order alone.
    """

    order_id: UUID | None = None


class FollowStock(Shape):
    """SKUs of which more or less can be sold than before: ask `stock` how much. With `sku` that one alone."""

    sku: str | None = None


class FollowLevels(Shape):
    """SKUs that come down to their warning level in a centre (`isLow`), and those that are above it again."""

    sku: str | None = None
    centre_id: UUID | None = None


class FollowAlerts(Shape):
    """Alerts as they are raised, of the services you may read. Who is limited to shops hears of these, and of none."""

    severity: Severity | None = None


class FollowJobs(Shape):
    """Long work that begins, goes on and ends, in the services you may read. Who is limited to shops sees its own."""

    job_id: UUID | None = None


def _orders(caller: Caller, asked: FollowOrders, event: OrderPlaced | OrderMoved) -> Iterator[Shape]:
    if caller.sees_shop(event.shop_id) and asked.order_id in (None, event.order_id):
        yield event


def _stock(_caller: Caller, asked: FollowStock, event: StockChanged) -> Iterator[StockChanged]:
    skus = [sku for sku in event.skus if asked.sku in (None, sku)]
    if skus:
        yield StockChanged(skus=skus)


def _levels(_caller: Caller, asked: FollowLevels, event: StockLevelCrossed) -> Iterator[CrossedLevel]:
    for crossed in event.levels:
        if asked.sku in (None, crossed.sku) and asked.centre_id in (None, crossed.centre_id):
            yield crossed


def _alerts(caller: Caller, asked: FollowAlerts, event: AlertRaised) -> Iterator[AlertRaised]:
    is_shown = caller.holds(f"{event.service}:read") and (event.shop_id is None or caller.sees_shop(event.shop_id))
    if is_shown and asked.severity in (None, event.severity):
        yield event


def _jobs(caller: Caller, asked: FollowJobs, event: JobChanged) -> Iterator[Job]:
    job = event.job
    is_shown = caller.holds(f"{job.service}:read") and (caller.shop_ids is None or job.requested_by.id == caller.id)
    if is_shown and asked.job_id in (None, job.id):
        yield job


STREAMS: tuple[Stream, ...] = (
    Stream("orderPlaced", FollowOrders, OrderPlaced, OrderPlaced, ("orders:read",), _orders),
    Stream("orderMoved", FollowOrders, OrderMoved, OrderMoved, ("orders:read",), _orders),
    Stream("stockChanged", FollowStock, StockChanged, StockChanged, ("inventory:read",), _stock),
    Stream("stockLevelCrossed", FollowLevels, StockLevelCrossed, CrossedLevel, ("inventory:read",), _levels),
    Stream("alertRaised", FollowAlerts, AlertRaised, AlertRaised, _ANY_READ, _alerts),
    Stream("jobChanged", FollowJobs, JobChanged, Job, _ANY_READ, _jobs),
)
