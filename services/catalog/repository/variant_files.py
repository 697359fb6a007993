"""Variants, written in sets."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from shared.unit_of_work import UnitOfWork

# What a flag is where nobody says.
_DEFAULTS = {"requires_shipping": "true", "taxable": "true", "price_on_request": "false", "barcodes": "'{}'"}


async def write(
    uow: UnitOfWork, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empties: bool
) -> dict[UUID, UUID]:
    """Give variants these values by their ids; returns those that differed, each with its product.

    None says nothing, or with `empties` empties the field.
    """
    if not columns or not rows:
        return {}
    said = [f"coalesce(r.{name}, {_DEFAULTS.get(name, 'NULL') if empties else f't.{name}'})" for name in columns]
    assignments = ", ".join(f"{name} = {value}" for name, value in zip(columns, said, strict=True))
    if "weight_grams" in columns:
        # A file says grams: where they are others than before, the merchant's own unit no longer holds.
        grams = said[list(columns).index("weight_grams")]
        for name in ("weight_value", "weight_unit"):
            assignments += f", {name} = CASE WHEN {grams} = t.weight_grams THEN t.{name} END"
    stored = ", ".join(f"t.{name}" for name in columns)
    changed = await uow.fetch(
        f"UPDATE variants t SET {assignments} FROM jsonb_populate_recordset(NULL::variants, $1::jsonb) r"  # noqa: S608
        f" WHERE t.id = r.id AND ROW({stored}) IS DISTINCT FROM ROW({', '.join(said)}) RETURNING t.id, t.product_id",
        orjson.dumps(rows).decode(),
    )
    return {row["id"]: row["product_id"] for row in changed}


async def count(uow: UnitOfWork) -> int:
    """How many variants there are."""
    found: int = await uow.fetchval("SELECT count(*) FROM variants")
    return found
