"""Quotes, kept as they were told."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


class NewQuote(NamedTuple):
    """A quote as it is kept; `quote` is JSON."""

    id: UUID
    shop_id: UUID
    client_id: UUID | None
    quote: str
    valid_until: datetime


async def add_quotes(uow: UnitOfWork, quotes: Sequence[NewQuote]) -> None:
    await uow.execute(
        "INSERT INTO quotes (organization_id, id, shop_id, client_id, quote, valid_until)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::json[], $6::timestamptz[])",
        uow.organization_id,
        *map(list, zip(*quotes, strict=True)),
    )


async def list_quotes(uow: UnitOfWork, quote_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Those that there are."""
    rows = await uow.fetch("SELECT id, shop_id, client_id, quote FROM quotes WHERE id = ANY($1)", quote_ids)
    return {row["id"]: row for row in rows}
