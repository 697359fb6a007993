"""Stock that came down to its warning level, or recovered: an alert per SKU and centre, an event for who watches."""

from collections.abc import Collection, Iterable
from uuid import UUID

from services.inventory.models import Place, Stock
from shared.contracts.inventory.events import CrossedLevel, StockLevelCrossed
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.unit_of_work import UnitOfWork

_PER_EVENT = 1000


def tell_of_crossed(uow: UnitOfWork, rows: Iterable[Stock], was_low: Collection[Place]) -> None:
    """Compare locked rows with what they were, and tell of those that crossed their warning level either way."""
    crossed = [row for row in rows if row.is_low != (row.place in was_low)]
    for row in crossed:
        uow.record(_raised(uow, row) if row.is_low else AlertCleared(service=uow.service, cause=_cause(row)))
    for start in range(0, len(crossed), _PER_EVENT):
        levels = [_crossed(row) for row in crossed[start : start + _PER_EVENT]]
        uow.record(StockLevelCrossed(levels=levels))


def forget(uow: UnitOfWork, places: Iterable[tuple[str, UUID]]) -> None:
    """Clear the alerts of stock that is no more."""
    for sku, centre_id in places:
        uow.record(AlertCleared(service=uow.service, cause=f"inventory.low.{centre_id}.{sku}"))


def _cause(row: Stock) -> str:
    return f"inventory.low.{row.centre_id}.{row.sku}"


def _crossed(row: Stock) -> CrossedLevel:
    return CrossedLevel(
        sku=row.sku,
        centre_id=row.centre_id,
        available=row.available,
        warning_level=row.warning_level,
        ideal_level=row.ideal_level,
        is_low=row.is_low,
    )


def _raised(uow: UnitOfWork, row: Stock) -> AlertRaised:
    ideal = f" The ideal level is {row.ideal_level}." if row.ideal_level is not None else ""
    return AlertRaised(
        service=uow.service,
        cause=_cause(row),
        severity="warning",
        title="Stock is low",
        detail=f"{row.available} of {row.sku} can be sold; the warning level is {row.warning_level}.{ideal}",
        subject_kind="stock",
        subject_id=f"{row.sku}@{row.centre_id}",
        data={"sku": row.sku, "centre_id": str(row.centre_id), "available": row.available},
    )
