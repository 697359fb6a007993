"""Queries of what is to be made on a platform: who may be one, listings that wait, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.repository import changes, listings
from services.sync.repository.changes import WHOLE
from services.sync.repository.listings import WrittenValues, dumped
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# --- who may be to be made


async def note_candidates(uow: UnitOfWork, product_ids: Sequence[UUID], connection_id: UUID | None = None) -> None:
    """These may have to be made wherever products of ours are made and they are not, or on one connection.

    Safe to repeat.
    """
    await uow.execute(
        "INSERT INTO candidates AS k (organization_id, connection_id, product_id)"
        " SELECT $1, c.id, p.id FROM connections c CROSS JOIN (SELECT DISTINCT unnest($2::uuid[]) AS id) p"
        " WHERE (c.settings->>'create_products')::boolean AND ($3::uuid IS NULL OR c.id = $3)"
        " AND NOT EXISTS (SELECT FROM listings l"
        " WHERE l.connection_id = c.id AND l.product_id = p.id AND l.entity = 'product' AND l.external_id IS NOT NULL)"
        " ORDER BY c.id, p.id"
        " ON CONFLICT (organization_id, connection_id, product_id) DO UPDATE SET marks = k.marks + 1",
        uow.organization_id,
        list(product_ids),
        connection_id,
    )


async def is_any_wanted(uow: UnitOfWork) -> bool:
    """Whether products of ours are made on any platform."""
    wanted: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM connections WHERE (settings->>'create_products')::boolean)"
    )
    return wanted


async def list_candidates(uow: UnitOfWork, connection_id: UUID, most: int) -> list[asyncpg.Record]:
    """Product and marks."""
    return await uow.fetch(
        "SELECT product_id, marks FROM candidates WHERE connection_id = $1 ORDER BY product_id LIMIT $2",
        connection_id,
        most,
    )


async def drop_candidates(uow: UnitOfWork, connection_id: UUID, rows: Sequence[asyncpg.Record]) -> None:
    """These were looked at as they were read; one that has changed again meanwhile stays."""
    await uow.execute(
        "DELETE FROM candidates k USING unnest($2::uuid[], $3::integer[]) AS r (product_id, marks)"
        " WHERE k.connection_id = $1 AND k.product_id = r.product_id AND k.marks = r.marks",
        connection_id,
        [row["product_id"] for row in rows],
        [row["marks"] for row in rows],
    )


async def drop_some(uow: UnitOfWork, connection_id: UUID, most: int) -> bool:
    """Nothing is made on this platform any more: what waits, and who may have been next, is over, so many of each.

    Whether there may be more.
    """
    candidates = await uow.execute(
        "DELETE FROM candidates WHERE connection_id = $1 AND product_id = ANY(ARRAY("
        "SELECT product_id FROM candidates WHERE connection_id = $1 LIMIT $2))",
        connection_id,
        most,
    )
    listings_of_it = await uow.execute(
        "DELETE FROM listings WHERE id = ANY(ARRAY("
        "SELECT id FROM listings WHERE connection_id = $1 AND external_id IS NULL LIMIT $2))",
        connection_id,
        most,
    )
    return most in (int(status.rpartition(" ")[2]) for status in (candidates, listings_of_it))


async def find_listed(uow: UnitOfWork, connection_id: UUID, product_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these products are, or were, on the platform."""
    rows = await uow.fetch(
        "SELECT DISTINCT product_id FROM listings WHERE connection_id = $1 AND product_id = ANY($2)"
        " AND entity = 'product' AND external_id IS NOT NULL",
        connection_id,
        list(product_ids),
    )
    return {row["product_id"] for row in rows}


async def find_sold_there(
    uow: UnitOfWork, connection_id: UUID, skus: Sequence[str], barcodes: Sequence[str]
) -> list[asyncpg.Record]:
    """Variants on the platform with one of these SKUs or barcodes, and which product of ours theirs is, if any."""
    return await uow.fetch(
        "SELECT v.id, v.sku, v.barcode, v.external_id, p.id AS parent_id, p.external_id AS parent_external_id,"
        " p.product_id FROM listings v JOIN listings p ON p.connection_id = v.connection_id AND p.entity = 'product'"
        " AND p.external_id = v.parent_external_id AND p.gone_at IS NULL"
        " WHERE v.connection_id = $1 AND v.entity = 'variant' AND v.external_id IS NOT NULL AND v.gone_at IS NULL"
        " AND (v.sku = ANY($2) OR v.barcode = ANY($3)) ORDER BY v.id",
        connection_id,
        list(skus),
        list(barcodes),
    )


# --- what waits


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made: a product (`content` has its fields and variants), or with a `sku` a variant of `parent`."""

    product_id: UUID
    content: Mapping[str, Any]
    sku: str | None = None
    parent_external_id: str | None = None


async def wait(uow: UnitOfWork, connection_id: UUID, wanted: Sequence[Wanted]) -> list[asyncpg.Record]:
    """A listing for each, in their order; of one that waits already, that. Locked, so that none is tried meanwhile."""
    entity = ["variant" if each.sku else "product" for each in wanted]
    await uow.execute(
        "INSERT INTO listings (organization_id, connection_id, id, entity, sku, product_id, parent_external_id,"
        " remote, digest, analysed) SELECT $1, $2, w.id, w.entity, w.sku, w.product_id, w.parent, '{}', '', ''"
        " FROM unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[])"
        " AS w (id, entity, sku, product_id, parent)"
        " ON CONFLICT (organization_id, connection_id, entity, product_id, coalesce(sku, ''))"
        " WHERE external_id IS NULL DO NOTHING",
        uow.organization_id,
        connection_id,
        [new_id() for _ in wanted],
        entity,
        [each.sku for each in wanted],
        [each.product_id for each in wanted],
        [each.parent_external_id for each in wanted],
    )
    rows = await uow.fetch(
        "SELECT id, entity, sku, product_id, sent, gone_at FROM listings WHERE connection_id = $1"
        " AND external_id IS NULL AND product_id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
        connection_id,
        [each.product_id for each in wanted],
    )
    found = {(row["product_id"], row["sku"]): row for row in rows}
    return [found[each.product_id, each.sku] for each in wanted]


async def give_up(uow: UnitOfWork, connection_id: UUID, product_ids: Sequence[UUID], entity: str | None = None) -> None:
    """What of these products waits to be made is no longer to be: all of it, or products or variants alone."""
    await uow.execute(
        "DELETE FROM listings WHERE connection_id = $1 AND product_id = ANY($2) AND external_id IS NULL"
        " AND ($3::text IS NULL OR entity = $3)",
        connection_id,
        list(product_ids),
        entity,
    )


async def give_up_variants(uow: UnitOfWork, connection_id: UUID, product_id: UUID, still_wanted: Sequence[str]) -> None:
    """Variants of a product that wait to be made are no longer to be, but for these SKUs."""
    await uow.execute(
        "DELETE FROM listings WHERE connection_id = $1 AND product_id = $2 AND external_id IS NULL"
        " AND entity = 'variant' AND NOT sku = ANY($3)",
        connection_id,
        product_id,
        list(still_wanted),
    )


async def decide(uow: UnitOfWork, listing_ids: Sequence[UUID], *, is_wanted: bool) -> None:
    """A person has called these creations off, or wants them after all."""
    await uow.execute(
        "UPDATE listings SET gone_at = CASE WHEN $2 THEN NULL ELSE coalesce(gone_at, now()) END, updated_at = now()"
        " WHERE id = ANY($1) AND external_id IS NULL",
        list(listing_ids),
        is_wanted,
    )


# --- what is tried and made


async def begin(uow: UnitOfWork, contents: Mapping[UUID, Mapping[str, Any]]) -> dict[UUID, dict[str, Any]]:
    """Note what is about to be made: whatever is lost, just that is tried again. Returns what of it is still to be."""
    rows = await uow.fetch(
        "UPDATE listings l SET sent = CASE WHEN l.sent = '{}' THEN r.content::jsonb ELSE l.sent END, updated_at = now()"
        " FROM unnest($1::uuid[], $2::text[]) AS r (id, content) WHERE l.id = r.id AND l.external_id IS NULL"
        " AND l.gone_at IS NULL AND EXISTS (SELECT FROM connections c"
        " WHERE c.id = l.connection_id AND (c.settings->>'create_products')::boolean) RETURNING l.id, l.sent",
        list(contents),
        [dumped(dict(content)) for content in contents.values()],
    )
    return {row["id"]: orjson.loads(row["sent"]) for row in rows}


async def forget_try(uow: UnitOfWork, listing_id: UUID) -> None:
    """The platform has refused: nothing was made, and the next try may be of something else."""
    await uow.execute(
        "UPDATE listings SET sent = '{}', updated_at = now() WHERE id = $1 AND external_id IS NULL", listing_id
    )


@dataclass(frozen=True, slots=True)
class Made:
    """A product or variant that the platform has: its id there, and what it was made with."""

    external_id: str
    written: WrittenValues


async def note_made(uow: UnitOfWork, row: asyncpg.Record, made: Made, parts: Sequence[Made]) -> None:
    """A listing that waited is there now, with its variants. Coming back in a scan they are no change.

    Where a scan was quicker they are known already: then these are the ones. `row` may have been given up meanwhile.
    """
    own = await _place(uow, row, made)
    if own is None:
        return
    ids = [own]
    if row["entity"] == "product" and parts:
        ids += await _place_parts(uow, row, made.external_id, parts)
    await changes.call_off(uow, "in", [(each, WHOLE) for each in ids], "agreed")
    product = own if row["entity"] == "product" else None
    if product is not None:
        await listings.mark(uow, [product])


async def _place(uow: UnitOfWork, row: asyncpg.Record, made: Made) -> UUID | None:
    """The listing of what was made, under its id there; None: nobody waits for it, and no scan has seen it yet."""
    known: UUID | None = await uow.fetchval(
        "SELECT id FROM listings WHERE connection_id = $1 AND entity = $2 AND external_id = $3 FOR NO KEY UPDATE",
        row["connection_id"],
        row["entity"],
        made.external_id,
    )
    if known is not None and known != row["id"]:
        await uow.execute("UPDATE changes SET listing_id = $2 WHERE listing_id = $1", row["id"], known)
        await uow.execute("DELETE FROM listings WHERE id = $1 AND external_id IS NULL", row["id"])
    kept = dumped(dict(made.written.kept))
    # What a scan has brought stays, and is looked at again with what is known now.
    found: UUID | None = await uow.fetchval(
        "UPDATE listings SET remote = CASE WHEN external_id IS NULL THEN $3::jsonb ELSE remote END,"
        " digest = CASE WHEN external_id IS NULL THEN $4 ELSE digest END,"
        " analysed = CASE WHEN external_id IS NULL THEN $4 END, external_id = $2, product_id = $5,"
        " refs = refs || $6::jsonb, acknowledged = coalesce(acknowledged, '{}') || $3::jsonb, sent = $7::jsonb,"
        " became = jsonb_strip_nulls(became || $8::jsonb), barcode = $3::jsonb->>'barcode', is_made = true,"
        " gone_at = NULL, updated_at = now(), version = version + 1"
        " WHERE id = $1 RETURNING id",
        known or row["id"],
        made.external_id,
        kept,
        listings.digest(kept),
        row["product_id"],
        dumped(dict(made.written.references)),
        dumped(dict(made.written.sent)),
        dumped(made.written.became),
    )
    return found


async def _place_parts(uow: UnitOfWork, row: asyncpg.Record, parent: str, parts: Sequence[Made]) -> list[UUID]:
    kept = [dumped(dict(part.written.kept)) for part in parts]
    rows = await uow.fetch(
        "INSERT INTO listings AS l (organization_id, connection_id, id, entity, external_id, parent_external_id, sku,"
        " barcode, product_id, remote, digest, analysed, acknowledged, sent, refs, became, is_made)"
        " SELECT $1, $2, p.id, 'variant', p.external_id, $3, p.remote::jsonb->>'sku', p.remote::jsonb->>'barcode', $4,"
        " p.remote::jsonb, p.digest, p.digest, p.remote::jsonb, p.sent::jsonb, p.refs::jsonb,"
        " jsonb_strip_nulls(p.became::jsonb), true"
        " FROM unnest($5::uuid[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::text[], $11::text[])"
        " AS p (id, external_id, remote, digest, refs, sent, became)"
        " ON CONFLICT (organization_id, connection_id, entity, external_id) DO UPDATE SET product_id = $4,"
        " analysed = NULL, acknowledged = coalesce(l.acknowledged, '{}') || excluded.acknowledged,"
        " sent = excluded.sent, became = excluded.became, refs = l.refs || excluded.refs, is_made = true,"
        " updated_at = now(), version = l.version + 1 RETURNING id",
        uow.organization_id,
        row["connection_id"],
        parent,
        row["product_id"],
        [new_id() for _ in parts],
        [part.external_id for part in parts],
        kept,
        [listings.digest(each) for each in kept],
        [dumped(dict(part.written.references)) for part in parts],
        [dumped(dict(part.written.sent)) for part in parts],
        [dumped(part.written.became) for part in parts],
    )
    return [each["id"] for each in rows]


async def adopt_seen(uow: UnitOfWork, connection_id: UUID, entities: Sequence[str]) -> None:
    """What was tried to be made and came back in a scan before its answer did is what we have made: no news."""
    if "variant" not in entities:
        return
    tried = await uow.fetch(
        "SELECT id, connection_id, entity, sku, product_id, parent_external_id, sent FROM listings"
        " WHERE connection_id = $1 AND external_id IS NULL AND sent <> '{}' ORDER BY id FOR NO KEY UPDATE",
        connection_id,
    )
    if not tried:
        return
    wanted = {row["id"]: _variants(orjson.loads(row["sent"])) for row in tried}
    skus = sorted({sku for variants in wanted.values() for sku in variants})
    seen = await find_sold_there(uow, connection_id, skus, [])
    for row in tried:
        mine = [each for each in seen if each["sku"] in wanted[row["id"]] and _is_new_there(row, each)]
        parents = {each["parent_external_id"] for each in mine}
        if len(parents) == 1:
            await _adopt(uow, row, mine, wanted[row["id"]])


def _variants(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {fields["sku"]: fields for fields in content["variants"]}


def _is_new_there(row: asyncpg.Record, seen: asyncpg.Record) -> bool:
    if row["entity"] == "variant":
        return bool(seen["parent_external_id"] == row["parent_external_id"])
    return seen["product_id"] is None


async def _adopt(
    uow: UnitOfWork, row: asyncpg.Record, mine: Sequence[asyncpg.Record], wanted: Mapping[str, dict[str, Any]]
) -> None:
    parts = [Made(each["external_id"], _as_sent(wanted[each["sku"]])) for each in mine]
    open_changes = await changes.list_open(uow, [row["id"]], "out")
    if row["entity"] == "variant":
        await note_made(uow, row, parts[0], [])
    else:
        # Which pictures it has, and under what addresses, the scan says.
        content = {name: value for name, value in orjson.loads(row["sent"])["product"].items() if name != "images"}
        made = Made(mine[0]["parent_external_id"], _as_sent(content))
        await note_made(uow, row, made, parts)
    await changes.settle(uow, [change["id"] for change in open_changes], "applied", "found")


def _as_sent(fields: Mapping[str, Any]) -> WrittenValues:
    return WrittenValues(fields, fields, {})
