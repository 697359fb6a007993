"""Queries of listings: what platforms have, page by page and in sets."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ListingNotFound
from services.sync.repository.connections import seen_shops
from shared.contracts.sync.messages import ListListings
from shared.contracts.sync.shapes import ChangeState
from shared.identifiers import new_ids
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as a scan brought it. `remote` and `references` are JSON texts, `digest` is that of `remote`."""

    entity: str
    external_id: str
    parent_external_id: str | None
    sku: str | None
    barcode: str | None
    remote: str
    references: str
    digest: bytes
    updated_at: datetime | None


_NO_FATES: Mapping[str, ChangeState | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Stored:
    """How many records of a page were new, different from before, or the same."""

    new: int
    changed: int
    unchanged: int


async def store(
    uow: UnitOfWork,
    connection_id: UUID,
    seen: Sequence[Seen],
    *,
    seen_by: UUID | None = None,
    fates: Mapping[str, ChangeState | None] = _NO_FATES,
) -> Stored:
    """Keep a page of records. An older state than is known changes nothing, and what is the same is not written.

    `seen_by`: the run that marks all that it has seen, so that what it has not is found afterwards. `fates`: what
    becomes of new records, by kind, as far as that is certain: how the change waits that takes one over, or None where
    it is acknowledged as it is, and compared. These need no look of their own any more.
    """
    once = {(each.entity, each.external_id): each for each in seen}
    rows = sorted(once.values(), key=lambda each: (each.entity, each.external_id))
    known = await uow.fetch(
        _COMPARE,
        connection_id,
        [each.entity for each in rows],
        [each.external_id for each in rows],
        [each.digest for each in rows],
        [each.updated_at for each in rows],
    )
    new = [each for each, old in zip(rows, known, strict=True) if old["is_new"]]
    changed = [(old["id"], each) for each, old in zip(rows, known, strict=True) if old["is_changed"]]
    if new:
        await _insert(uow, connection_id, new, seen_by, fates)
    if changed:
        await _update(uow, changed)
    if seen_by is not None:
        ids = [old["id"] for old in known if not old["is_new"]]
        await uow.execute("UPDATE listings SET seen_by = $2 WHERE id = ANY($1)", ids, seen_by)
    return Stored(len(new), len(changed), len(rows) - len(new) - len(changed))


# In the order of the page. Of what is the same nothing but its digest is sent to the database. LATERAL and LIMIT make
# it one look into the index for each record: a join would, until the table is analysed, read the whole connection.
_COMPARE = """
SELECT l.id, l.id IS NULL AS is_new,
    l.id IS NOT NULL AND NOT coalesce(l.remote_updated_at > p.updated_at, false)
        AND (l.digest <> p.digest OR l.gone_at IS NOT NULL) AS is_changed
FROM unnest($2::text[], $3::text[], $4::bytea[], $5::timestamptz[]) WITH ORDINALITY
    AS p (entity, external_id, digest, updated_at, place)
LEFT JOIN LATERAL (
    SELECT k.id, k.digest, k.gone_at, k.remote_updated_at FROM listings k
    WHERE k.connection_id = $1 AND k.entity = p.entity AND k.external_id = p.external_id LIMIT 1
) l ON true ORDER BY p.place
"""


async def _insert(
    uow: UnitOfWork,
    connection_id: UUID,
    rows: Sequence[Seen],
    seen_by: UUID | None,
    fates: Mapping[str, ChangeState | None],
) -> None:
    ids = new_ids(len(rows))
    is_taken = [fates.get(each.entity, "queued") is None for each in rows]
    status = await uow.execute(
        "INSERT INTO listings (organization_id, connection_id, seen_by, id, entity, external_id, parent_external_id,"
        " sku, barcode, remote, refs, digest, remote_updated_at, analysed, acknowledged, marks)"
        " SELECT $1, $2, $3, p.id, p.entity, p.external_id, p.parent, p.sku, p.barcode, p.remote, p.refs, p.digest,"
        " p.updated_at, CASE WHEN p.is_known THEN p.digest END, CASE WHEN p.is_taken THEN p.remote END,"
        " p.is_taken::integer FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],"
        " $10::jsonb[], $11::jsonb[], $12::bytea[], $13::timestamptz[], $14::boolean[], $15::boolean[])"
        " AS p (id, entity, external_id, parent, sku, barcode, remote, refs, digest, updated_at, is_known, is_taken)"
        " ON CONFLICT (organization_id, connection_id, entity, external_id) DO NOTHING",
        uow.organization_id,
        connection_id,
        seen_by,
        ids,
        [each.entity for each in rows],
        [each.external_id for each in rows],
        *_columns(rows),
        [each.entity in fates for each in rows],
        is_taken,
    )
    states = [fates.get(each.entity) for each in rows]
    waiting = [(id_, each.entity, state) for id_, each, state in zip(ids, rows, states, strict=True) if state]
    if int(status.rpartition(" ")[2]) < len(rows):
        # Somebody else has kept some of them meanwhile.
        mine = {row["id"] for row in await uow.fetch("SELECT id FROM listings WHERE id = ANY($1)", ids)}
        waiting = [each for each in waiting if each[0] in mine]
    if waiting:
        await _queue_new(uow, connection_id, waiting)


async def _queue_new(uow: UnitOfWork, connection_id: UUID, waiting: Sequence[tuple[UUID, str, ChangeState]]) -> None:
    """One change of each that is all of it: nobody else can have one of what was not there before."""
    await uow.execute(
        "INSERT INTO changes (organization_id, connection_id, id, listing_id, entity, direction, kind, field, before,"
        " after, state) SELECT $1, $2, n.id, n.listing_id, n.entity, 'in', 'insert', '', 'null', 'null', n.state"
        " FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) AS n (id, listing_id, entity, state)",
        uow.organization_id,
        connection_id,
        new_ids(len(waiting)),
        *map(list, zip(*waiting, strict=True)),
    )


async def is_any_to_come_back(uow: UnitOfWork, connection_id: UUID) -> bool:
    """Whether what is new on the platform may be a record that has vanished, or one that waits to be made there."""
    found: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM listings WHERE connection_id = $1 AND external_id IS NULL) OR EXISTS (SELECT"
        " FROM listings WHERE connection_id = $1 AND entity = 'variant' AND gone_at IS NOT NULL"
        " AND product_id IS NOT NULL AND external_id IS NOT NULL)",
        connection_id,
    )
    return found


async def _update(uow: UnitOfWork, rows: Sequence[tuple[UUID, Seen]]) -> None:
    """Not what was gone over meanwhile by something newer. What was called off while it was away is looked at anew."""
    await uow.execute(
        "UPDATE listings l SET parent_external_id = p.parent, sku = p.sku, barcode = p.barcode, remote = p.remote,"
        " refs = l.refs || p.refs, digest = p.digest, remote_updated_at = p.updated_at, gone_at = NULL,"
        " analysed = CASE WHEN l.gone_at IS NULL THEN l.analysed END,"
        " marks = l.marks + (l.gone_at IS NOT NULL)::integer, updated_at = now(), version = l.version + 1"
        " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::bytea[],"
        " $8::timestamptz[]) AS p (id, parent, sku, barcode, remote, refs, digest, updated_at)"
        " WHERE l.id = p.id AND NOT coalesce(l.remote_updated_at > p.updated_at, false)",
        [listing_id for listing_id, _ in rows],
        *_columns([each for _, each in rows]),
    )


def _columns(rows: Sequence[Seen]) -> Iterator[list[Any]]:
    """What is kept of records beside what they are, column by column."""
    yield [each.parent_external_id for each in rows]
    yield [each.sku for each in rows]
    yield [each.barcode for each in rows]
    yield [each.remote for each in rows]
    yield [each.references for each in rows]
    yield [each.digest for each in rows]
    yield [each.updated_at for each in rows]


_LISTING = (
    "SELECT l.id, l.connection_id, l.entity, l.external_id, l.parent_external_id, l.sku, l.product_id, l.order_id,"
    " l.remote, l.refs, l.digest, l.acknowledged, l.sent, l.became, l.marks, l.remote_updated_at, l.gone_at,"
    " l.created_at, l.updated_at, l.version, l.is_made, l.pictures, l.stale_since FROM listings l"
)


async def list_unanalysed(
    uow: UnitOfWork, connection_id: UUID, entities: Sequence[str], most: int
) -> list[asyncpg.Record]:
    """Records that are different from when they were last looked at, locked."""
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.entity = ANY($2)"
        " AND l.analysed IS DISTINCT FROM l.digest ORDER BY l.entity, l.id LIMIT $3 FOR NO KEY UPDATE",
        connection_id,
        entities,
        most,
    )


async def note_analysed(uow: UnitOfWork, rows: Sequence[tuple[UUID, bytes, dict[str, Any] | None]]) -> None:
    """`rows` are id, the digest that was looked at, and what is acknowledged now (None: nothing yet)."""
    await uow.execute(
        "UPDATE listings l SET analysed = r.digest, acknowledged = r.acknowledged::jsonb, is_made = false"
        " FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS r (id, digest, acknowledged) WHERE l.id = r.id",
        [row[0] for row in rows],
        [row[1] for row in rows],
        [None if row[2] is None else dumped(row[2]) for row in rows],
    )


async def list_by_ids(uow: UnitOfWork, listing_ids: Sequence[UUID], *, lock: bool = False) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_LISTING} WHERE l.id = ANY($1) ORDER BY l.id{' FOR NO KEY UPDATE' if lock else ''}",
        listing_ids,
    )


async def list_variants(uow: UnitOfWork, connection_id: UUID, parents: Sequence[str]) -> list[asyncpg.Record]:
    """The variants of these products, in the order the platform made them."""
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.parent_external_id = ANY($2)"
        " AND l.entity = 'variant' AND l.gone_at IS NULL AND l.external_id IS NOT NULL ORDER BY l.id",
        connection_id,
        parents,
    )


async def list_known_variants(uow: UnitOfWork, connection_id: UUID, parents: Sequence[str]) -> list[asyncpg.Record]:
    """All variants of these products that are there, were there, or wait to be made: parent, SKU and barcode."""
    return await uow.fetch(
        "SELECT parent_external_id, sku, barcode, external_id FROM listings WHERE connection_id = $1"
        " AND parent_external_id = ANY($2) AND entity = 'variant'",
        connection_id,
        parents,
    )


async def list_by_external_ids(
    uow: UnitOfWork, connection_id: UUID, entity: str, external_ids: Sequence[str]
) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.entity = $2 AND l.external_id = ANY($3)",
        connection_id,
        entity,
        external_ids,
    )


async def acknowledge(uow: UnitOfWork, values: Mapping[UUID, Mapping[str, Any]]) -> None:
    """These values of records are dealt with: both sides agree on them."""
    await uow.execute(
        "UPDATE listings l SET acknowledged = coalesce(l.acknowledged, '{}') || r.fields::jsonb, updated_at = now()"
        " FROM unnest($1::uuid[], $2::text[]) AS r (id, fields) WHERE l.id = r.id",
        list(values),
        [dumped(dict(fields)) for fields in values.values()],
    )


async def link(uow: UnitOfWork, products: Mapping[UUID, UUID]) -> None:
    """Say which product a listing is here. What waited to be made of it on the platform is there."""
    await uow.execute(
        "DELETE FROM listings w USING listings l WHERE l.id = ANY($1) AND w.connection_id = l.connection_id"
        " AND w.external_id IS NULL AND w.entity = l.entity AND w.product_id = ANY($2)"
        " AND w.sku IS NOT DISTINCT FROM (CASE WHEN l.entity = 'variant' THEN l.sku END)"
        " AND w.product_id = ($2::uuid[])[array_position($1::uuid[], l.id)]",
        list(products),
        list(products.values()),
    )
    await uow.execute(
        "UPDATE listings l SET product_id = r.product_id, updated_at = now(), version = version + 1"
        " FROM unnest($1::uuid[], $2::uuid[]) AS r (id, product_id) WHERE l.id = r.id AND l.product_id IS DISTINCT"
        " FROM r.product_id",
        list(products),
        list(products.values()),
    )


async def count_unseen(
    uow: UnitOfWork, connection_id: UUID, entities: Sequence[str], execution_id: UUID, since: datetime | None
) -> tuple[int, int]:
    """How many records a full scan has not seen, of how many that were there before it.

    `since`: it was one of what changed from then on, and says nothing of the others.
    """
    row = await uow.fetchrow(
        "SELECT count(*) FILTER (WHERE seen_by IS DISTINCT FROM $3) AS unseen, count(*) AS of FROM listings"
        " WHERE connection_id = $1 AND entity = ANY($2) AND gone_at IS NULL AND external_id IS NOT NULL"
        " AND ($4::timestamptz IS NULL OR remote_updated_at >= $4)",
        connection_id,
        entities,
        execution_id,
        since,
    )
    assert row is not None
    return row["unseen"], row["of"]


async def mark_gone(
    uow: UnitOfWork,
    connection_id: UUID,
    entity: str,
    execution_id: UUID,
    since: datetime | None,
    after: UUID | None,
    most: int,
) -> list[UUID]:
    """Some of what `count_unseen` counts of a kind, after this one by id, is no longer there; what was queued for it is
    called off. Returns which they are, in their order.
    """
    gone = await uow.fetch(
        "UPDATE listings SET gone_at = now(), updated_at = now(), version = version + 1 WHERE id = ANY(ARRAY("
        " SELECT id FROM listings WHERE connection_id = $1 AND entity = $2 AND version > 0 AND gone_at IS NULL"
        " AND external_id IS NOT NULL AND seen_by IS DISTINCT FROM $3"
        " AND ($4::timestamptz IS NULL OR remote_updated_at >= $4) AND ($5::uuid IS NULL OR id > $5)"
        " ORDER BY id LIMIT $6 FOR NO KEY UPDATE)) RETURNING id",
        connection_id,
        entity,
        execution_id,
        since,
        after,
        most,
    )
    ids = sorted(row["id"] for row in gone)
    await uow.execute(
        "UPDATE changes SET state = 'cancelled', reason = 'gone', updated_at = now()"
        " WHERE is_open AND listing_id = ANY($1)",
        ids,
    )
    return ids


# --- for people

_SEEN = "($1::uuid[] IS NULL OR c.shop_id = ANY($1))"
_SHOWN = """
SELECT l.*, (SELECT CASE max(CASE kind WHEN 'delete' THEN 3 WHEN 'update' THEN 2 ELSE 1 END)
    WHEN 3 THEN 'red' WHEN 2 THEN 'yellow' WHEN 1 THEN 'green' ELSE 'neutral' END
    FROM changes g WHERE g.listing_id = l.id AND g.is_open) AS colour
FROM listings l JOIN connections c ON c.id = l.connection_id"""


async def get(uow: UnitOfWork, listing_id: UUID) -> asyncpg.Record:
    """Raises ListingNotFound."""
    row = await uow.fetchrow(
        f"{_SHOWN} WHERE {_SEEN} AND l.id = $2",
        seen_shops(uow),
        listing_id,
    )
    if row is None:
        raise ListingNotFound("There is no such listing.")
    return row


async def list_page(uow: UnitOfWork, asked: ListListings, after: UUID | None) -> list[asyncpg.Record]:
    """By id, one more than asked for."""
    return await uow.fetch(
        f"{_SHOWN} WHERE {_SEEN} AND ($2::uuid IS NULL OR l.connection_id = $2) AND ($3::text IS NULL OR l.entity = $3)"
        " AND ($4::uuid IS NULL OR l.product_id = $4) AND ($5::text IS NULL OR l.sku = $5)"
        " AND ($6::uuid IS NULL OR l.id > $6) ORDER BY l.id LIMIT $7",
        seen_shops(uow),
        asked.connection_id,
        asked.entity,
        asked.product_id,
        asked.sku,
        after,
        asked.first + 1,
    )


async def list_products(uow: UnitOfWork, connection_id: UUID, after: UUID | None, most: int) -> list[asyncpg.Record]:
    """Products that are there, by id."""
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.entity = 'product' AND l.version > 0 AND l.gone_at IS NULL"
        " AND l.external_id IS NOT NULL AND ($2::uuid IS NULL OR l.id > $2) ORDER BY l.id LIMIT $3",
        connection_id,
        after,
        most,
    )


def digest(remote: str) -> bytes:
    """What tells two contents apart, of a record as `dumped`."""
    return hashlib.blake2b(remote.encode(), digest_size=16).digest()


def dumped(value: object) -> str:
    """A value as JSON, keys in order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()


async def look_again(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> None:
    """Nothing of these is acknowledged but that they are there: the next analysis compares every field."""
    await uow.execute("UPDATE listings SET acknowledged = '{}', analysed = NULL WHERE id = ANY($1)", list(listing_ids))


async def link_orders(uow: UnitOfWork, orders: Mapping[UUID, UUID]) -> None:
    """Say which order a listing is here."""
    await uow.execute(
        "UPDATE listings l SET order_id = r.order_id FROM unnest($1::uuid[], $2::uuid[]) AS r (id, order_id)"
        " WHERE l.id = r.id AND l.order_id IS DISTINCT FROM r.order_id",
        list(orders),
        list(orders.values()),
    )


async def note_order_told(uow: UnitOfWork, connection_id: UUID, external_id: str, version: int) -> UUID | None:
    """The order's record, held; None where there is none, or something newer was told of it."""
    listing_id: UUID | None = await uow.fetchval(
        "UPDATE listings SET order_version = $3 WHERE connection_id = $1 AND entity = 'order' AND external_id = $2"
        " AND order_version < $3 RETURNING id",
        connection_id,
        external_id,
        version,
    )
    return listing_id


async def list_of_entity(
    uow: UnitOfWork, connection_id: UUID, entity: str, after: UUID | None, most: int
) -> list[asyncpg.Record]:
    """Records that are there, by id."""
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.entity = $2 AND l.version > 0 AND l.gone_at IS NULL"
        " AND ($3::uuid IS NULL OR l.id > $3) ORDER BY l.id LIMIT $4",
        connection_id,
        entity,
        after,
        most,
    )


# --- what is different here


# With the first write here that the record may not have there.
_MARKED = "marks = marks + 1, stale_since = least(stale_since, coalesce($2::timestamptz, now()))"


# Records of products, and those whose variants are linked to a product that they are not linked to themselves.
_OF_PRODUCTS = (
    "SELECT o.id FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
    " SELECT p.id FROM listings p WHERE p.product_id = asked.id AND p.entity = 'product' OFFSET 0) o"
    " UNION ALL SELECT p.id FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
    " SELECT v.connection_id, v.parent_external_id FROM listings v WHERE v.product_id = asked.id"
    "  AND v.entity = 'variant' OFFSET 0) v CROSS JOIN LATERAL ("
    " SELECT p.id, p.product_id FROM listings p WHERE p.connection_id = v.connection_id AND p.entity = 'product'"
    "  AND p.external_id = v.parent_external_id OFFSET 0) p WHERE p.product_id IS DISTINCT FROM asked.id"
)


async def mark_products(uow: UnitOfWork, product_ids: Sequence[UUID], connection_id: UUID | None = None) -> None:
    """These products may be different here: compare them with what is there, also what there stands in another one.

    On all connections, or on one.
    """
    # Found one by one and collected before they are locked: joined, each was compared with each while nothing was known
    # of the tables, for minutes where many connections have the same products.
    await uow.execute(
        f"UPDATE listings SET {_MARKED} WHERE id = ANY(ARRAY(SELECT l.id FROM listings l"  # noqa: S608
        f" WHERE l.id = ANY(ARRAY({_OF_PRODUCTS})) AND ($3::uuid IS NULL OR l.connection_id = $3)"
        " AND l.gone_at IS NULL AND l.external_id IS NOT NULL ORDER BY l.id FOR NO KEY UPDATE OF l))",
        list(product_ids),
        uow.written_at,
        connection_id,
    )


async def mark_stock(uow: UnitOfWork, skus: Sequence[str]) -> None:
    """Stock of these SKUs may be different here."""
    await uow.execute(
        f"UPDATE listings SET {_MARKED} WHERE id = ANY(ARRAY(SELECT id FROM listings WHERE sku = ANY($1)"  # noqa: S608
        " AND entity = 'stock' AND gone_at IS NULL ORDER BY id FOR NO KEY UPDATE))",
        list(skus),
        uow.written_at,
    )


async def mark_some(uow: UnitOfWork, connection_id: UUID, entity: str, after: UUID | None, most: int) -> UUID | None:
    """Compare some of a connection anew, those after this one by id. Returns the last; None: there are no more."""
    rows = await uow.fetch(
        "UPDATE listings SET marks = marks + 1 WHERE id = ANY(ARRAY(SELECT id FROM listings WHERE connection_id = $1"
        " AND entity = $2 AND version > 0 AND ($3::uuid IS NULL OR id > $3) AND gone_at IS NULL"
        " AND external_id IS NOT NULL ORDER BY id LIMIT $4 FOR NO KEY UPDATE)) RETURNING id",
        connection_id,
        entity,
        after,
        most,
    )
    return max(row["id"] for row in rows) if len(rows) == most else None


async def list_marked(uow: UnitOfWork, connection_id: UUID, entity: str, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_LISTING} WHERE l.connection_id = $1 AND l.entity = $2 AND l.marks > 0 AND l.gone_at IS NULL"
        " ORDER BY l.id LIMIT $3",
        connection_id,
        entity,
        most,
    )


async def unmark(uow: UnitOfWork, rows: Sequence[asyncpg.Record]) -> None:
    """These were compared as they were read; one that was marked again meanwhile stays so."""
    await uow.execute(
        "UPDATE listings l SET marks = 0, stale_since = NULL FROM unnest($1::uuid[], $2::integer[]) AS r (id, marks)"
        " WHERE l.id = r.id AND l.marks = r.marks",
        [row["id"] for row in rows],
        [row["marks"] for row in rows],
    )


@dataclass(frozen=True, slots=True)
class WrittenValues:
    """What was written to a record, what the platform has of it now, and further ids that it gave."""

    sent: Mapping[str, Any]
    kept: Mapping[str, Any]
    references: Mapping[str, str]

    @property
    def became(self) -> dict[str, Any]:
        """What is another value there than was sent, each in a list; null for those that are the same."""
        return {name: None if self.kept[name] == value else [self.kept[name]] for name, value in self.sent.items()}


async def note_written(uow: UnitOfWork, values: Mapping[UUID, WrittenValues]) -> None:
    """The platform took these values: they are what it has, and coming back in a scan they are no change.

    What was told of an order (that goods have left) is no value of its own.
    """
    await uow.execute(
        "UPDATE listings l SET sent = l.sent || r.sent::jsonb, refs = l.refs || r.refs::jsonb, updated_at = now(),"
        " became = jsonb_strip_nulls(l.became || r.became::jsonb), acknowledged ="
        " CASE WHEN l.entity = 'order' THEN l.acknowledged ELSE coalesce(l.acknowledged, '{}') || r.kept::jsonb END"
        " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS r (id, sent, kept, refs, became)"
        " WHERE l.id = r.id",
        list(values),
        [dumped(dict(each.sent)) for each in values.values()],
        [dumped(dict(each.kept)) for each in values.values()],
        [dumped(dict(each.references)) for each in values.values()],
        [dumped(each.became) for each in values.values()],
    )


async def mark(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> None:
    """Compare these with what they are here; a variant with its product."""
    await uow.execute(
        "UPDATE listings l SET marks = l.marks + 1 FROM (SELECT DISTINCT coalesce(p.id, m.id) AS id FROM listings m"
        " LEFT JOIN listings p ON m.entity = 'variant' AND p.connection_id = m.connection_id AND p.entity = 'product'"
        " AND p.external_id = m.parent_external_id WHERE m.id = ANY($1) ORDER BY 1) AS k WHERE l.id = k.id",
        list(listing_ids),
    )


async def lock_by_names(uow: UnitOfWork, connection_id: UUID, names: Sequence[tuple[str, str]]) -> list[asyncpg.Record]:
    """Records by kind and id over there, locked."""
    return await uow.fetch(
        f"{_LISTING} JOIN unnest($2::text[], $3::text[]) AS n (entity, external_id)"
        " ON l.entity = n.entity AND l.external_id = n.external_id"
        " WHERE l.connection_id = $1 ORDER BY l.entity, l.id FOR NO KEY UPDATE OF l",
        connection_id,
        [entity for entity, _ in names],
        [external_id for _, external_id in names],
    )


async def note_pictures(uow: UnitOfWork, pictures: Mapping[UUID, Mapping[str, str]], *, is_whole: bool = True) -> None:
    """Which addresses the platform gave our pictures: all that is known of each record, or some more of it."""
    await uow.execute(
        "UPDATE listings l SET pictures = CASE WHEN $3 THEN r.pictures::jsonb ELSE l.pictures || r.pictures::jsonb END"
        " FROM unnest($1::uuid[], $2::text[]) AS r (id, pictures) WHERE l.id = r.id",
        list(pictures),
        [dumped(dict(each)) for each in pictures.values()],
        is_whole,
    )


async def forget_pictures(uow: UnitOfWork, addresses: Sequence[tuple[UUID, str]]) -> None:
    """Pictures of these addresses on the platform are its own, and no longer one of ours."""
    await uow.execute(
        "UPDATE listings l SET pictures = (SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}')"
        " FROM jsonb_each_text(l.pictures) p WHERE NOT EXISTS (SELECT FROM unnest($1::uuid[], $2::text[])"
        " AS r (id, address) WHERE r.id = l.id AND r.address = p.value)) WHERE l.id = ANY($1)",
        [listing_id for listing_id, _ in addresses],
        [address for _, address in addresses],
    )


async def find_of_order(uow: UnitOfWork, order_id: UUID) -> asyncpg.Record | None:
    """The record that an order came from."""
    return await uow.fetchrow(f"{_LISTING} WHERE l.order_id = $1 AND l.entity = 'order' LIMIT 1", order_id)


async def acknowledge_remote(uow: UnitOfWork, fields: Sequence[tuple[UUID, str]]) -> None:
    """What the platform was last seen to have in these fields is known."""
    await uow.execute(
        "UPDATE listings l SET acknowledged = coalesce(l.acknowledged, '{}') || f.known FROM (SELECT k.id,"
        " jsonb_object_agg(k.field, m.remote->k.field) AS known FROM unnest($1::uuid[], $2::text[]) AS k (id, field)"
        " JOIN listings m ON m.id = k.id GROUP BY k.id) AS f WHERE l.id = f.id",
        [listing_id for listing_id, _ in fields],
        [field for _, field in fields],
    )


async def count(uow: UnitOfWork, connection_id: UUID, entity: str) -> int:
    """How many records of a kind are there."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM listings WHERE connection_id = $1 AND entity = $2 AND gone_at IS NULL"
        " AND external_id IS NOT NULL",
        connection_id,
        entity,
    )
    return count


async def forget_stock(uow: UnitOfWork, connection_id: UUID, skus: Sequence[str]) -> None:
    """The platform sold of these: what it has of them now is not known before it was read again.

    What waited to be written expected something else, and is computed anew.
    """
    rows = await uow.fetch(
        "UPDATE listings SET acknowledged = acknowledged - 'quantity', marks = marks + 1 WHERE id IN (SELECT id"
        " FROM listings WHERE connection_id = $1 AND entity = 'stock' AND sku = ANY($2) AND gone_at IS NULL"
        " ORDER BY id FOR NO KEY UPDATE) RETURNING id",
        connection_id,
        list(skus),
    )
    await uow.execute(
        "UPDATE changes SET state = 'cancelled', reason = 'sold_there', updated_at = now() WHERE listing_id = ANY($1)"
        " AND direction = 'out' AND state = 'queued'",
        [row["id"] for row in rows],
    )
