"""Counts that come in files: compared and made in sets."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.contracts.inventory.shapes import StockPolicy
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


class Count(NamedTuple):
    """So many of a SKU were found in a centre; `policy` None leaves the one there is."""

    sku: str
    on_hand: int
    policy: StockPolicy | None


async def make_counted(
    uow: UnitOfWork, centre_id: UUID, counts: Sequence[Count], reference: str, counted_at: datetime
) -> set[str]:
    """Stock, with its first movement, of the SKUs that have none in a centre. Returns these; the others stay as is."""
    rows = await uow.fetch(
        _MAKE_COUNTED,
        uow.organization_id,
        centre_id,
        reference,
        counted_at,
        [new_id() for _ in counts],
        *map(list, zip(*counts, strict=True)),
    )
    return {row["sku"] for row in rows}


# In the order in which everybody locks.
_MAKE_COUNTED = """
WITH counts AS (
    SELECT * FROM unnest($5::uuid[], $6::text[], $7::integer[], $8::text[]) AS c (movement_id, sku, on_hand, policy)
), made AS (
    INSERT INTO stock (organization_id, sku, centre_id, on_hand, policy, counted_at, version)
    SELECT $1, c.sku, $2, c.on_hand, coalesce(c.policy, 'standard'), $4, 1 FROM counts c
    ORDER BY c.sku ON CONFLICT DO NOTHING RETURNING sku, on_hand
)
INSERT INTO stock_movements (organization_id, id, sku, centre_id, number, reason, reference, on_hand_before,
    on_hand_after, reserved_before, reserved_after)
SELECT $1, c.movement_id, m.sku, $2, 1, 'counted', $3, 0, m.on_hand, 0, 0 FROM made m JOIN counts c ON c.sku = m.sku
RETURNING sku
"""


async def confirm_counts(uow: UnitOfWork, centre_id: UUID, counts: Sequence[Count], counted_at: datetime) -> set[str]:
    """Note the time where stock is as counted, and nothing else. Returns the SKUs where it is not, all of them locked.

    A later count is left alone: of it, too, the SKU is returned.
    """
    if not counts:
        return set()
    rows = await uow.fetch(_CONFIRM_COUNTS, centre_id, counted_at, *map(list, zip(*counts, strict=True)))
    return {count.sku for count in counts} - {row["sku"] for row in rows}


# Locked one by one, by their key, in the order in which everybody locks: however many SKUs the centre has, and whatever
# the planner believes of them. What is locked stays where it is, so that a row is found again by its place. One that
# somebody changed while its lock was waited for is not found: it counts as one that differs.
_CONFIRM_COUNTS = """
WITH locked AS MATERIALIZED (
    SELECT s.ctid AS place
    FROM (SELECT * FROM unnest($3::text[], $4::integer[], $5::text[]) AS c (sku, on_hand, policy) ORDER BY sku) c
    CROSS JOIN LATERAL (
        SELECT ctid, on_hand, policy, counted_at FROM stock WHERE (sku, centre_id) = (c.sku, $1)
        OFFSET 0 FOR UPDATE
    ) s
    WHERE s.on_hand = c.on_hand AND s.policy = coalesce(c.policy, s.policy)
        AND (s.counted_at IS NULL OR s.counted_at <= $2)
)
UPDATE stock SET counted_at = $2 WHERE ctid = ANY(ARRAY(SELECT place FROM locked)) RETURNING sku
"""


async def list_on_hand(uow: UnitOfWork, skus: Sequence[str]) -> dict[tuple[str, str], int]:
    """What is on hand of these SKUs, by SKU and centre."""
    rows = await uow.fetch(
        "SELECT s.sku, c.code, s.on_hand FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id"
        " WHERE s.sku = ANY($1)",
        list(skus),
    )
    return {(row["sku"], row["code"]): row["on_hand"] for row in rows}


async def list_policies(uow: UnitOfWork, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """How these are sold, by SKU and code of a centre; what is not there yet would be *standard*."""
    rows = await uow.fetch(
        "SELECT s.sku, c.code, s.policy FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id"
        " WHERE s.sku = ANY($1)",
        list({sku for sku, _ in places}),
    )
    known = {(row["sku"], row["code"]): row["policy"] for row in rows}
    return {place: known.get(place, "standard") for place in places}


async def list_stocked(
    uow: UnitOfWork, codes: Sequence[str], after: tuple[str, str] | None, most: int
) -> list[tuple[str, str]]:
    """SKU and centre of what these centres have something of, in that order."""
    rows = await uow.fetch(
        "SELECT s.sku, c.code FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id WHERE c.code = ANY($1)"
        " AND s.on_hand > 0 AND ($2::text IS NULL OR (s.sku, c.code) > ($2, $3::text)) ORDER BY s.sku, c.code LIMIT $4",
        list(codes),
        *(after or (None, None)),
        most,
    )
    return [(row["sku"], row["code"]) for row in rows]


async def count_stocked_in(uow: UnitOfWork, codes: Sequence[str]) -> int:
    """How many SKUs have something on hand in these centres."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id WHERE s.on_hand > 0"
        " AND c.code = ANY($1)",
        list(codes),
    )
    return count


async def count_stocked(uow: UnitOfWork, places: Sequence[tuple[str, str]] | None) -> int:
    """How many SKUs in centres have something on hand: of these, or of all."""
    skus, codes = ([place[n] for place in places or ()] for n in (0, 1))
    count: int = await uow.fetchval(
        "SELECT count(*) FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id WHERE s.on_hand > 0"
        " AND ($1 OR (s.sku, c.code) IN (SELECT * FROM unnest($2::text[], $3::text[])))",
        places is None,
        skus,
        codes,
    )
    return count


async def count_stocked_by_default(uow: UnitOfWork, skus: Sequence[str] | None) -> int:
    """How many SKUs have something on hand in the default centre: of these, or of all."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id AND c.is_default"
        " WHERE s.on_hand > 0 AND ($1::text[] IS NULL OR s.sku = ANY($1))",
        None if skus is None else list(skus),
    )
    return count
