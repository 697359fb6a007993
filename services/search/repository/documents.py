"""The documents table: written in the order of its sequence, one batch at a time per shop, and followed by readers.

Its rows are wide, and its statistics behind while it fills: sets are looked up one by one, by key (OFFSET 0).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from services.search.models import GroupOffer, OfferFields, StoredOffer
from shared.unit_of_work import UnitOfWork

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OfferFields).decode
_encode_groups = msgspec.msgpack.Encoder().encode
_decode_groups = msgspec.msgpack.Decoder(tuple[GroupOffer, ...]).decode


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is to be written of one product: its offer, or (document None) that it has none.

    `content` is a digest of all that readers see; `basis` what was seen of its stock, see `patching`; `groups` what
    customer groups see instead.
    """

    product_id: UUID
    slug: str
    content: bytes
    fields: bytes | None
    document: bytes | None
    page: bytes | None
    changed_at: datetime
    basis: bytes | None
    groups: bytes | None = None

    @classmethod
    def of(
        cls,
        product_id: UUID,
        slug: str,
        ready: tuple[bytes, bytes, bytes] | None,
        changed_at: datetime,
        basis: bytes | None,
        groups: Sequence[GroupOffer] = (),
    ) -> "Row":
        """A row of what is `ready`: fields, document and page."""
        if ready is None:
            return cls(product_id, "", b"", None, None, None, changed_at, basis)
        fields, document, page = ready
        # Processors have it built in: twice as fast as blake2b.
        digest = hashlib.sha256(page)
        digest.update(document)
        digest.update(fields)
        seen = _encode_groups(groups) if groups else None
        digest.update(seen or b"")
        return cls(product_id, slug, digest.digest()[:16], fields, document, page, changed_at, basis, seen)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What the documents say of a product now: as catalog told it at `built_from`, its stock as of `stock_from`."""

    number: int
    sequence: int
    built_from: int
    stock_from: int
    is_deleted: bool
    content: bytes


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A document as it lies here: `ready` are fields, document and page; None where there is no offer."""

    product_id: UUID
    slug: str
    basis: bytes | None
    ready: tuple[bytes, bytes, bytes] | None


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
        "  SELECT product_id, number, sequence, built_from, stock_from, is_deleted, content FROM documents"
        "  WHERE shop_id = $1 AND product_id = asked.id OFFSET 0) d",
        shop_id,
        list(product_ids),
    )
    return {row["product_id"]: Standing(*list(row.values())[1:]) for row in rows}


async def list_bases(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """What was seen of their stock when they were built; without those of which that is not known."""
    rows = await uow.fetch(
        "SELECT d.* FROM unnest($2::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "  SELECT product_id, basis FROM documents"
        "  WHERE shop_id = $1 AND product_id = asked.id AND basis IS NOT NULL OFFSET 0) d",
        shop_id,
        list(product_ids),
    )
    return {row["product_id"]: row["basis"] for row in rows}


async def list_stored(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID]) -> list[Stored]:
    rows = await uow.fetch(
        "SELECT d.* FROM unnest($2::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "  SELECT product_id, slug, basis, fields, document, page FROM documents"
        "  WHERE shop_id = $1 AND product_id = asked.id OFFSET 0) d",
        shop_id,
        list(product_ids),
    )
    return [_kept(row) for row in rows]


def _kept(row: asyncpg.Record) -> Stored:
    ready = None if row["document"] is None else (row["fields"], row["document"], row["page"])
    return Stored(row["product_id"], row["slug"], row["basis"], ready)


async def write(
    uow: UnitOfWork,
    shop_id: UUID,
    rows: Sequence[Row],
    numbers: Sequence[int],
    sequences: Sequence[int],
    built_from: Sequence[int],
    stock_from: int,
) -> None:
    """Put rows in the place of what was there, each with its number, its sequence and when catalog was asked."""
    await uow.execute(
        "INSERT INTO documents (organization_id, shop_id, product_id, number, sequence, built_from, stock_from,"
        " is_deleted, slug, content, fields, document, page, changed_at, basis, groups)"
        " SELECT $1, $2, product_id, number, sequence, built_from, $3, document IS NULL, slug, content, fields,"
        " document, page, changed_at, basis, groups FROM unnest($4::uuid[], $5::int[], $6::bigint[], $7::bigint[],"
        "   $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[], $13::timestamptz[], $14::bytea[],"
        "   $15::bytea[]) AS r (product_id, number, sequence, built_from, slug, content, fields, document, page,"
        "   changed_at, basis, groups)"
        " ON CONFLICT (organization_id, shop_id, product_id) DO UPDATE SET number = excluded.number,"
        " sequence = excluded.sequence, built_from = excluded.built_from, stock_from = excluded.stock_from,"
        " is_deleted = excluded.is_deleted,"
        " slug = excluded.slug, content = excluded.content, fields = excluded.fields, document = excluded.document,"
        " page = excluded.page, changed_at = excluded.changed_at, basis = excluded.basis, groups = excluded.groups",
        uow.organization_id,
        shop_id,
        stock_from,
        [row.product_id for row in rows],
        numbers,
        sequences,
        built_from,
        [row.slug for row in rows],
        [row.content for row in rows],
        [row.fields for row in rows],
        [row.document for row in rows],
        [row.page for row in rows],
        [row.changed_at for row in rows],
        [row.basis for row in rows],
        [row.groups for row in rows],
    )


async def note_unchanged(
    uow: UnitOfWork, shop_id: UUID, rows: Sequence[Row], built_from: Sequence[int], stock_from: int
) -> None:
    """Remember that these were built anew and came out the same, if from something else.

    The index's row is locked (see `lock_index`), so that documents stay where they lie.
    """
    await uow.execute(
        "UPDATE documents d SET built_from = r.built_from, stock_from = $3, basis = r.basis FROM ("
        "  SELECT r.*, found.place"
        "  FROM unnest($2::uuid[], $4::bigint[], $5::bytea[]) AS r (product_id, built_from, basis)"
        "  CROSS JOIN LATERAL (SELECT ctid AS place FROM documents"
        "    WHERE shop_id = $1 AND product_id = r.product_id OFFSET 0) found"
        " ) r WHERE d.ctid = r.place",
        shop_id,
        [row.product_id for row in rows],
        stock_from,
        built_from,
        [row.basis for row in rows],
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
class Followed(Generic[T]):
    """Some rows in the order of their sequence, the last one's sequence, and when the changes behind them were made."""

    rows: list[T]
    sequence: int
    changed_at: list[datetime]


async def follow(uow: UnitOfWork, shop_id: UUID, after: int, most: int) -> Followed[StoredOffer]:
    """Rows after a sequence; a reader that begins at 0 is spared those that are gone."""
    rows = await uow.fetch(
        "SELECT product_id, number, sequence, slug, fields, document, page, groups, changed_at FROM documents"
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
    groups = () if row["groups"] is None else _decode_groups(row["groups"])
    return StoredOffer(
        row["product_id"].hex, row["number"], row["slug"], fields, row["document"] or b"", row["page"] or b"", groups
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
