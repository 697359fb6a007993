"""The documents table: written in the order of its sequence, one batch at a time per shop, and followed by readers.

Its rows are wide, and its statistics behind while it fills: sets are looked up one by one, by key (OFFSET 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.search.models import OfferFields, StoredOffer
from shared.unit_of_work import UnitOfWork

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OfferFields).decode


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be written of one product: its offer, or (document None) that it has none."""

    product_id: UUID
    slug: str
    content: bytes
    fields: bytes | None
    document: bytes | None
    page: bytes | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What the documents say of a product now."""

    number: int
    sequence: int
    built_from: int
    is_deleted: bool
    content: bytes


async def lock_index(uow: UnitOfWork, shop_id: UUID) -> asyncpg.Record | None:
    """Become the shop's one writer until the end of the transaction. None: the shop is gone.

    The row is the lock: sequences are given and committed in the same order, so a reader never passes one by.
    """
    return await uow.fetchrow(
        "SELECT sequence, last_number, offers FROM indexes WHERE shop_id = $1 FOR UPDATE",
        shop_id,
    )


async def standings(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    rows = await uow.fetch(
        "SELECT d.* FROM unnest($2::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "  SELECT product_id, number, sequence, built_from, is_deleted, content FROM documents"
        "  WHERE shop_id = $1 AND product_id = asked.id OFFSET 0) d",
        shop_id,
        list(product_ids),
    )
    return {row["product_id"]: Standing(*list(row.values())[1:]) for row in rows}


async def write(
    uow: UnitOfWork, shop_id: UUID, rows: Sequence[Row], numbers: Sequence[int], sequences: Sequence[int], built: int
) -> None:
    """Put rows in the place of what was there, each with its number and sequence."""
    await uow.execute(
        "INSERT INTO documents (organization_id, shop_id, product_id, number, sequence, built_from, is_deleted, slug,"
        " content, fields, document, page, changed_at)"
        " SELECT $1, $2, product_id, number, sequence, $3, document IS NULL, slug, content, fields, document, page,"
        " changed_at FROM unnest($4::uuid[], $5::int[], $6::bigint[], $7::text[], $8::bytea[], $9::bytea[],"
        "   $10::bytea[], $11::bytea[], $12::timestamptz[])"
        "   AS r (product_id, number, sequence, slug, content, fields, document, page, changed_at)"
        " ON CONFLICT (organization_id, shop_id, product_id) DO UPDATE SET number = excluded.number,"
        " sequence = excluded.sequence,"
        " built_from = excluded.built_from, is_deleted = excluded.is_deleted, slug = excluded.slug,"
        " content = excluded.content, fields = excluded.fields, document = excluded.document, page = excluded.page,"
        " changed_at = excluded.changed_at",
        uow.organization_id,
        shop_id,
        built,
        [row.product_id for row in rows],
        numbers,
        sequences,
        [row.slug for row in rows],
        [row.content for row in rows],
        [row.fields for row in rows],
        [row.document for row in rows],
        [row.page for row in rows],
        [row.changed_at for row in rows],
    )


async def note_unchanged(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID], built: int) -> None:
    """Remember that these were built anew and came out the same."""
    await uow.execute(
        "UPDATE documents SET built_from = $3 WHERE shop_id = $1 AND product_id = ANY($2)",
        shop_id,
        list(product_ids),
        built,
    )


async def advance(uow: UnitOfWork, shop_id: UUID, sequence: int, last_number: int, offers: int) -> None:
    await uow.execute(
        "UPDATE indexes SET sequence = $2, last_number = $3, offers = $4 WHERE shop_id = $1",
        shop_id,
        sequence,
        last_number,
        offers,
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """Some rows in the order of their sequence, the last one's sequence, and when the changes behind them were made."""

    offers: list[StoredOffer]
    sequence: int
    changed_at: list[datetime]


async def follow(uow: UnitOfWork, shop_id: UUID, after: int, most: int) -> Followed:
    """Rows after a sequence; a reader that begins at 0 is spared those that are gone."""
    rows = await uow.fetch(
        "SELECT product_id, number, sequence, slug, fields, document, page, changed_at FROM documents"
        " WHERE shop_id = $1 AND sequence > 0 AND sequence > $2 AND ($2 > 0 OR NOT is_deleted)"
        " ORDER BY sequence LIMIT $3",
        shop_id,
        after,
        most,
    )
    return Followed(
        [stored_offer(row) for row in rows],
        rows[-1]["sequence"] if rows else after,
        [row["changed_at"] for row in rows],
    )


def stored_offer(row: asyncpg.Record) -> StoredOffer:
    """A row of the documents as an engine takes it over."""
    fields = None if row["fields"] is None else _decode(row["fields"])
    return StoredOffer(
        row["product_id"].hex, row["number"], row["slug"], fields, row["document"] or b"", row["page"] or b""
    )


async def list_older(uow: UnitOfWork, shop_id: UUID, built_before: int, after: UUID, most: int) -> list[UUID]:
    """Products with an offer that was last built before a version, in id order."""
    rows = await uow.fetch(
        "SELECT product_id FROM documents WHERE shop_id = $1 AND NOT is_deleted AND built_from < $2"
        " AND product_id > $3 ORDER BY product_id LIMIT $4",
        shop_id,
        built_before,
        after,
        most,
    )
    return [row["product_id"] for row in rows]


async def list_offered(uow: UnitOfWork, shop_id: UUID, after: UUID, most: int) -> list[UUID]:
    """Products with an offer, in id order."""
    rows = await uow.fetch(
        "SELECT product_id FROM documents WHERE shop_id = $1 AND product_id > $2 AND NOT is_deleted"
        " ORDER BY product_id LIMIT $3",
        shop_id,
        after,
        most,
    )
    return [row["product_id"] for row in rows]


def encoded(fields: OfferFields) -> bytes:
    return _encode(fields)
