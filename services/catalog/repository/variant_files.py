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


async def count_emptied(uow: UnitOfWork, empty: Mapping[str, Sequence[str]]) -> int:
    """How many variants `write` would take something from: `empty` are, by column, the SKUs whose cells are empty."""
    cells = [{"name": name, "sku": sku} for name, skus in empty.items() for sku in skus]
    loses = [f"(r.name = '{name}' AND v.{name} IS DISTINCT FROM {_DEFAULTS.get(name, 'NULL')})" for name in empty]
    if not cells:
        return 0
    found: int = await uow.fetchval(
        "SELECT count(DISTINCT v.id) FROM jsonb_to_recordset($1::jsonb) AS r (name text, sku text)"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.sku = r.sku OFFSET 0) v WHERE {' OR '.join(loses)}",
        orjson.dumps(cells).decode(),
    )
    return found
