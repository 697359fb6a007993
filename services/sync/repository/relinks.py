"""Queries of records that came back under another id, or elsewhere: what is gone, and what is like it now."""

from collections.abc import Sequence
from uuid import UUID

from services.sync.repository import changes
from services.sync.repository.changes import WHOLE
from shared.unit_of_work import UnitOfWork

# The field of a change that says which product of ours a record is.
PRODUCT = "product_id"

# Variants, and those that are gone and had the SKU or barcode of one.
_SAME = (
    "FROM listings v JOIN listings gone ON gone.connection_id = v.connection_id AND gone.entity = 'variant'"
    " AND gone.gone_at IS NOT NULL AND gone.product_id IS NOT NULL AND gone.external_id IS NOT NULL"
    " AND gone.id <> v.id AND (gone.sku = v.sku OR gone.barcode = v.barcode)"
)


async def find(uow: UnitOfWork, connection_id: UUID, listing_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Which product each of these new records was, before it vanished and came back: by SKU or barcode of variants.

    One whose variants were of several products is not among them.
    """
    rows = await uow.fetch(
        "SELECT id, array_agg(DISTINCT product_id) AS product_ids FROM ("  # noqa: S608
        f" SELECT v.id, gone.product_id {_SAME}"
        " WHERE v.connection_id = $1 AND v.entity = 'variant' AND v.id = ANY($2)"
        f" UNION ALL SELECT p.id, gone.product_id {_SAME}"
        " JOIN listings p ON p.connection_id = v.connection_id AND p.entity = 'product'"
        " AND p.external_id = v.parent_external_id"
        " WHERE p.connection_id = $1 AND p.id = ANY($2) AND v.entity = 'variant' AND v.gone_at IS NULL) AS found"
        " GROUP BY id",
        connection_id,
        list(listing_ids),
    )
    return {row["id"]: row["product_ids"][0] for row in rows if len(row["product_ids"]) == 1}


async def look_again(uow: UnitOfWork, connection_id: UUID) -> None:
    """New records that wait to be taken, and have the SKU or barcode of what is gone now, are looked at anew."""
    rows = await uow.fetch(
        f"SELECT DISTINCT v.id, v.parent_external_id {_SAME}"
        " WHERE v.connection_id = $1 AND v.entity = 'variant' AND v.gone_at IS NULL AND v.acknowledged IS NULL",
        connection_id,
    )
    parents = await uow.fetch(
        "SELECT id FROM listings WHERE connection_id = $1 AND entity = 'product' AND external_id = ANY($2)"
        " AND acknowledged IS NULL AND gone_at IS NULL",
        connection_id,
        [row["parent_external_id"] for row in rows],
    )
    ids = [row["id"] for row in (*rows, *parents)]
    if ids:
        await uow.execute("UPDATE listings SET analysed = NULL WHERE id = ANY($1)", ids)
        await changes.call_off(uow, "in", [(each, WHOLE) for each in ids], "relink")


async def list_undecided(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these records a person has still to say of which product they are."""
    rows = await uow.fetch(
        "SELECT listing_id FROM changes WHERE listing_id = ANY($1) AND direction = 'in' AND field = $2 AND is_open",
        list(listing_ids),
        PRODUCT,
    )
    return {row["listing_id"] for row in rows}


async def forget_gone(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> None:
    """It is decided whether these, or the products whose variants they are, take the place of what is gone."""
    await uow.execute(
        "UPDATE listings SET product_id = NULL, updated_at = now(), version = version + 1 WHERE id IN ("  # noqa: S608
        f"SELECT gone.id {_SAME}"
        " LEFT JOIN listings p ON p.connection_id = v.connection_id AND p.entity = 'product'"
        " AND p.external_id = v.parent_external_id"
        " WHERE v.entity = 'variant' AND (v.id = ANY($1) OR p.id = ANY($1)))",
        list(listing_ids),
    )


async def refuse(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> None:
    """A person says that these are not what has vanished: they are looked at anew, as any that is new."""
    await forget_gone(uow, listing_ids)
    await uow.execute("UPDATE listings SET analysed = NULL WHERE id = ANY($1)", list(listing_ids))
