"""What of stock needs a person."""

from collections.abc import Iterable
from uuid import UUID

from services.inventory.models import Place, Stock
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.unit_of_work import UnitOfWork

_NAMED_AT_MOST = 20


async def tell_of_short_stock(uow: UnitOfWork, stock: Iterable[Stock], was_short: set[Place]) -> None:
    """Raise one alert per centre where a count found less than is promised; clear it when nothing is short any more."""
    short = [row for row in stock if row.is_short]
    for centre_id in {row.centre_id for row in short}:
        _raise(uow, centre_id, [row for row in short if row.centre_id == centre_id])
    mended = {centre_id for sku, centre_id in was_short} - {row.centre_id for row in short}
    for centre_id in mended:
        if not await uow.fetchval(
            "SELECT EXISTS (SELECT FROM stock WHERE centre_id = $1 AND backordered > 0 AND policy = 'standard')",
            centre_id,
        ):
            uow.record(AlertCleared(service=uow.service, cause=_cause(centre_id)))


def _cause(centre_id: UUID) -> str:
    return f"inventory.short.{centre_id}"


def _raise(uow: UnitOfWork, centre_id: UUID, short: list[Stock]) -> None:
    skus = sorted(row.sku for row in short)
    named = ", ".join(skus[:_NAMED_AT_MOST]) + ("…" if len(skus) > _NAMED_AT_MOST else "")
    uow.record(
        AlertRaised(
            service=uow.service,
            cause=_cause(centre_id),
            severity="warning",
            title="Less on hand than is promised",
            detail=f"Counted below what orders have reserved: {named}. Find the goods, or cancel orders.",
            subject_kind="fulfilment_centre",
            subject_id=str(centre_id),
            data={"skus": skus[:_NAMED_AT_MOST], "count": len(skus)},
        )
    )
