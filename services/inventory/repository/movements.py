"""The ledger: what was done to stock, append-only."""

from collections.abc import Sequence
from uuid import UUID

from services.inventory.models import Movement
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


async def write_movements(uow: UnitOfWork, movements: Sequence[Movement]) -> None:
    if not movements:
        return
    columns = zip(
        *(
            (
                new_id(),
                m.sku,
                m.centre_id,
                m.number,
                m.reason,
                m.reference,
                m.on_hand_before,
                m.on_hand_after,
                m.reserved_before,
                m.reserved_after,
                m.note,
                m.as_of,
            )
            for m in movements
        ),
        strict=True,
    )
    await uow.execute(
        "INSERT INTO stock_movements (organization_id, id, sku, centre_id, number, reason, reference, on_hand_before,"
        " on_hand_after, reserved_before, reserved_after, note, as_of) SELECT $1, m.* FROM unnest($2::uuid[],"
        " $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::integer[], $9::integer[], $10::integer[],"
        " $11::integer[], $12::text[], $13::timestamptz[]) AS m",
        uow.organization_id,
        *map(list, columns),
    )


async def list_applied_references(
    uow: UnitOfWork, references: Sequence[tuple[str, UUID, str]]
) -> dict[tuple[str, UUID, str], int]:
    """Which of these (SKU, centre, reference) took effect before, and how much on hand each of them changed."""
    rows = await uow.fetch(
        "SELECT m.sku, m.centre_id, m.reference, m.on_hand_after - m.on_hand_before AS change FROM stock_movements m"
        " JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS r (sku, centre_id, reference)"
        " ON (r.sku, r.centre_id, r.reference) = (m.sku, m.centre_id, m.reference)"
        " WHERE m.reference IS NOT NULL AND m.reason IN ('counted', 'adjusted', 'moved')",
        *map(list, zip(*references, strict=True)),
    )
    return {(row["sku"], row["centre_id"], row["reference"]): row["change"] for row in rows}
