"""Why stock is what it is: the movements up to a moment, and the orders whose units were reserved then."""

from typing import Any
from uuid import UUID

import orjson

from services.inventory.errors import StockNotFound
from services.inventory.use_cases import centres, lists
from shared import clock
from shared.contracts.inventory.ledger import ExplainedStock, ExplainStock, StockHold
from shared.contracts.inventory.messages import ListStockMovements
from shared.unit_of_work import UnitOfWork

_LATEST = 50


async def explain(uow: UnitOfWork, message: ExplainStock) -> ExplainedStock:
    """Raises CentreNotFound, StockNotFound."""
    centre_id = await centres.get_id_at(uow, message.centre, message.at)
    at = message.at or clock.now()
    # In one statement, so that the figures are of one moment: stock may move on meanwhile.
    row = await uow.fetchrow(_EXPLAINED, message.sku, centre_id, message.at)
    if row is None:
        raise StockNotFound(f"The centre '{message.centre}' has never held {message.sku}.")
    holds = [_hold(hold) for hold in orjson.loads(row["holds"])]
    # `to_time` is exclusive, and what is told was there at the moment itself.
    latest = await lists.list_movements(
        uow, ListStockMovements(sku=message.sku, centre=message.centre, first=_LATEST), until=message.at
    )
    return ExplainedStock(
        sku=message.sku,
        centre=message.centre,
        at=at,
        on_hand=row["on_hand"],
        reserved=row["reserved"],
        available=max(row["on_hand"] - row["reserved"], 0),
        movements=row["movements"],
        by_reason=orjson.loads(row["by_reason"]),
        latest=latest.items,
        holds=holds,
        adds_up=_adds_up(row, is_now=message.at is None),
    )


def _hold(hold: dict[str, Any]) -> StockHold:
    reference = hold["reference"] or ""
    order_id = UUID(reference.removeprefix("order:")) if reference.startswith("order:") else None
    return StockHold(reference=reference, order_id=order_id, units=hold["units"], state=hold["state"])


def _adds_up(row: Any, *, is_now: bool) -> bool:
    told = row["last_on_hand"] or 0, row["last_reserved"] or 0
    summed = row["on_hand"], row["reserved"]
    now = (row["on_hand_now"], row["reserved_now"]) if is_now else summed
    return told == summed == now and row["held"] == row["reserved"]


_EXPLAINED = """
WITH m AS (
    SELECT number, reason, reference, on_hand_after, reserved_after, on_hand_after - on_hand_before AS on_hand,
        reserved_after - reserved_before AS reserved
    FROM stock_movements WHERE sku = $1 AND centre_id = $2 AND ($3::timestamptz IS NULL OR occurred_at <= $3)
), last AS (
    SELECT on_hand_after, reserved_after FROM m ORDER BY number DESC LIMIT 1
), holds AS (
    SELECT h.reference, h.units, r.state
    FROM (SELECT reference, sum(reserved)::integer AS units FROM m GROUP BY 1 HAVING sum(reserved) <> 0) h
    LEFT JOIN reservations r ON h.reference = 'order:' || r.id::text ORDER BY h.units DESC, h.reference
)
SELECT s.on_hand AS on_hand_now, s.reserved AS reserved_now,
    (SELECT count(*) FROM m) AS movements,
    (SELECT coalesce(sum(on_hand), 0) FROM m)::integer AS on_hand,
    (SELECT coalesce(sum(reserved), 0) FROM m)::integer AS reserved,
    (SELECT on_hand_after FROM last) AS last_on_hand, (SELECT reserved_after FROM last) AS last_reserved,
    (SELECT coalesce(sum(units), 0) FROM holds)::integer AS held,
    (SELECT coalesce(json_object_agg(reason, change), '{}') FROM
        (SELECT reason, sum(on_hand) AS change FROM m GROUP BY 1 HAVING sum(on_hand) <> 0) r)::text AS by_reason,
    (SELECT coalesce(json_agg(h), '[]') FROM (SELECT * FROM holds LIMIT 1000) h)::text AS holds
FROM stock s WHERE s.sku = $1 AND s.centre_id = $2
"""
