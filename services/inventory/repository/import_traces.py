"""What the ledger has of rows that a file has just brought, and what moved since."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.inventory.models import Place
from shared.unit_of_work import UnitOfWork

Figures = dict[str, Any]


async def last_movements(uow: UnitOfWork, places: Mapping[Place, int]) -> dict[Place, tuple[Figures, Figures]]:
    """Of locked stock, what was on hand before its last so many movements, and after them with the last one's number.

    Places where these came to the same are left out.
    """
    rows = await uow.fetch(
        "SELECT p.sku, p.centre_id, f.on_hand_before, l.on_hand_after, l.number"
        " FROM unnest($1::text[], $2::uuid[], $3::integer[]) AS p (sku, centre_id, times)"
        " CROSS JOIN LATERAL (SELECT number, on_hand_after FROM stock_movements m"
        "  WHERE (m.sku, m.centre_id) = (p.sku, p.centre_id) ORDER BY number DESC LIMIT 1) l"
        " CROSS JOIN LATERAL (SELECT on_hand_before FROM stock_movements m"
        "  WHERE (m.sku, m.centre_id) = (p.sku, p.centre_id) ORDER BY number DESC OFFSET p.times - 1 LIMIT 1) f"
        " WHERE f.on_hand_before <> l.on_hand_after",
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
        list(places.values()),
    )
    return {
        (row["sku"], row["centre_id"]): (
            {"on_hand": row["on_hand_before"]},
            {"on_hand": row["on_hand_after"], "movement": row["number"]},
        )
        for row in rows
    }


async def last_numbers(uow: UnitOfWork, places: Sequence[Place]) -> dict[Place, int]:
    """Of locked stock, the number of the last movement that changed what is on hand."""
    rows = await uow.fetch(
        "SELECT p.sku, p.centre_id, l.number FROM unnest($1::text[], $2::uuid[]) AS p (sku, centre_id)"
        " CROSS JOIN LATERAL (SELECT number FROM stock_movements m WHERE (m.sku, m.centre_id) = (p.sku, p.centre_id)"
        "  AND m.on_hand_before <> m.on_hand_after ORDER BY number DESC LIMIT 1) l",
        *_columns(places),
    )
    return {(row["sku"], row["centre_id"]): row["number"] for row in rows}


async def policies(uow: UnitOfWork, places: Sequence[Place]) -> dict[Place, str]:
    rows = await uow.fetch(
        "SELECT s.sku, s.centre_id, s.policy FROM unnest($1::text[], $2::uuid[]) AS p (sku, centre_id)"
        " CROSS JOIN LATERAL (SELECT * FROM stock s WHERE (s.sku, s.centre_id) = (p.sku, p.centre_id) OFFSET 0) s",
        *_columns(places),
    )
    return {(row["sku"], row["centre_id"]): row["policy"] for row in rows}


def _columns(places: Sequence[Place]) -> tuple[list[str], list[Any]]:
    return [sku for sku, _ in places], [centre_id for _, centre_id in places]
