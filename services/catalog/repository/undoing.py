"""Takes rows back to what they were before one cause touched them, in sets.

Rows are locked before it is decided what may be done to them: who else writes them waits, or was seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.repository.watched import WATCHED, Watched, kind_of
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else's later change of a row: `fields` None when it is gone since."""

    cause_id: UUID
    kind: str
    fields: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change that the import made."""

    number: int
    entity: str
    key: dict[str, Any]
    subject_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def thing(self) -> tuple[str, str]:
        return self.entity, orjson.dumps(self.key, option=orjson.OPT_SORT_KEYS).decode()


async def prepare(uow: UnitOfWork) -> None:
    """Few rows meet many in all that follows: each by index, whatever the planner makes of statistics it has not."""
    await uow.execute(
        "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_hashjoin = off;"
        " SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
    )


# --- changes, newest first


async def changes(uow: UnitOfWork, cause_id: UUID, before: int, most: int) -> list[Change]:
    """Changes of a cause with numbers below `before`, the last first."""
    rows = await uow.fetch(
        "SELECT number, entity, key, subject_id, before, after FROM changes WHERE cause_id = $1 AND number < $2"
        " ORDER BY number DESC LIMIT $3",
        cause_id,
        before,
        most,
    )
    return [
        Change(
            row["number"],
            kind_of(row["entity"], key := orjson.loads(row["key"])),
            key,
            row["subject_id"],
            *(None if row[name] is None else orjson.loads(row[name]) for name in ("before", "after")),
        )
        for row in rows
    ]


async def lock(uow: UnitOfWork, found: Iterable[Change]) -> None:
    """Lock the rows of these changes that are still there."""
    for entity, keys in _by_entity((change.entity, change.key) for change in found).items():
        watched = WATCHED[entity]
        await uow.execute(
            f"SELECT FROM {_asked(watched)}, {watched.table} t WHERE {_same(watched)} FOR UPDATE OF t",
            _dumped(keys),
        )


async def later(uow: UnitOfWork, found: Sequence[Change], own: Sequence[UUID]) -> dict[int, list[Foreign]]:
    """By the number of a change, what others did to its row since."""
    rows = await uow.fetch(
        "SELECT c.number, d.cause_id, w.kind, ARRAY(SELECT jsonb_object_keys(d.after)) AS fields,"
        " d.after IS NULL AS is_gone FROM changes c"
        " JOIN changes d ON d.subject_id = c.subject_id AND d.entity = c.entity AND d.key = c.key"
        "   AND d.number > c.number AND d.cause_id <> ALL($2)"
        " JOIN causes w ON w.id = d.cause_id WHERE c.number = ANY($1) ORDER BY d.number",
        [change.number for change in found],
        list(own),
    )
    by_number: dict[int, list[Foreign]] = {}
    for row in rows:
        fields = None if row["is_gone"] else frozenset(row["fields"])
        by_number.setdefault(row["number"], []).append(Foreign(row["cause_id"], row["kind"], fields))
    return by_number


# --- rows as they were

Thing = tuple[str, Mapping[str, Any]]


async def restore(uow: UnitOfWork, things: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Give rows their former values: entity, key and values of each. Rows that are gone are left out."""
    for entity, found in _grouped(things).items():
        watched = WATCHED[entity]
        names = sorted({name for _, values in found for name in values} & await _columns(uow, watched.table))
        if not names:
            continue
        assignments = [f"{name} = n.{name}" for name in names]
        if entity == "category":
            assignments.append("version = t.version + 1")
        places = " AND ".join(f"t.{name} = n.{name}" for name in watched.key)
        await uow.execute(
            f"UPDATE {watched.table} t SET {', '.join(assignments)} FROM ("  # noqa: S608
            f" SELECT n.* FROM unnest($1::jsonb[], $2::jsonb[]) AS u (key, said)"
            f" CROSS JOIN LATERAL jsonb_populate_record(NULL::{watched.table}, u.key) r"
            f" CROSS JOIN LATERAL (SELECT t.* FROM {watched.table} t WHERE {_same(watched)} OFFSET 0) c"
            f" CROSS JOIN LATERAL jsonb_populate_record(NULL::{watched.table}, to_jsonb(c) || u.said) n"
            f" ) n WHERE {places}",
            _dumped(key for key, _ in found),
            _dumped(values for _, values in found),
        )


async def bring_back(
    uow: UnitOfWork, things: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]
) -> set[tuple[str, str]]:
    """Make rows again that were deleted; returns the entity and key of those that could be, parents first."""
    made: set[tuple[str, str]] = set()
    grouped = _grouped(things)
    for entity, watched in WATCHED.items():
        if entity not in grouped:
            continue
        parents = "".join(
            f" AND EXISTS (SELECT FROM {table} p WHERE p.id = r.{column})" for column, table in watched.parents
        )
        columns = sorted(await _columns(uow, watched.table))
        names, values = ", ".join(columns), ", ".join(f"r.{name}" for name in columns)
        rows = await uow.fetch(
            f"INSERT INTO {watched.table} ({names})"  # noqa: S608
            f" SELECT {values} FROM unnest($1::jsonb[]) AS v, jsonb_populate_record("
            f" NULL::{watched.table}, v || jsonb_build_object('organization_id', $2::uuid, 'updated_at', now(),"
            " 'version', 2 + (SELECT count(*) FROM changes d WHERE d.subject_id::text = v->>'id'))) r"
            f" WHERE NOT EXISTS (SELECT FROM {watched.table} t WHERE {_same(watched)}){parents}"
            f" RETURNING {_key_of(watched)} AS key",
            _dumped(values for _, values in grouped[entity]),
            uow.organization_id,
        )
        made |= {(entity, orjson.dumps(orjson.loads(row["key"]), option=orjson.OPT_SORT_KEYS).decode()) for row in rows}
    return made


async def remove(uow: UnitOfWork, things: Sequence[Thing]) -> None:
    """Delete rows by their keys, what hangs on others first. A price list with prices stays."""
    grouped = _by_entity(things)
    for entity in reversed(WATCHED):
        if entity in grouped:
            watched = WATCHED[entity]
            spared = (
                "AND NOT EXISTS (SELECT FROM prices p WHERE p.price_list_id = t.id)" if entity == "price_list" else ""
            )
            await uow.execute(
                f"DELETE FROM {watched.table} t USING {_asked(watched)} WHERE {_same(watched)} {spared}",  # noqa: S608
                _dumped(grouped[entity]),
            )


def _asked(watched: Watched) -> str:
    """The keys in the JSON array $1, as `r`."""
    return f"unnest($1::jsonb[]) AS k CROSS JOIN LATERAL jsonb_populate_record(NULL::{watched.table}, k) r"


def _same(watched: Watched) -> str:
    """That `t` is the row of the key `r`."""
    return " AND ".join(f"t.{name} = r.{name}" for name in watched.key)


def _key_of(watched: Watched) -> str:
    pairs = ", ".join(f"'{name}', {name}" for name in watched.key)
    return f"jsonb_build_object({pairs})"


def _by_entity(things: Iterable[Thing]) -> dict[str, list[Mapping[str, Any]]]:
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for entity, key in things:
        if entity in WATCHED:
            grouped.setdefault(entity, []).append(key)
    return grouped


def _grouped(
    things: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]]:
    grouped: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for entity, key, values in things:
        if entity in WATCHED:
            grouped.setdefault(entity, []).append((key, values))
    return grouped


def _dumped(values: Iterable[Mapping[str, Any]]) -> list[str]:
    return [orjson.dumps(value).decode() for value in values]


async def _columns(uow: UnitOfWork, table: str) -> set[str]:
    """The columns of a table that can be written."""
    rows = await uow.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = ''",
        table,
    )
    return {row["attname"] for row in rows}


# --- rows that the import made


async def made_products(uow: UnitOfWork, cause_id: UUID, after: UUID, most: int) -> list[UUID]:
    """Products of a cause by id, locked."""
    return await _ids(uow, "products", cause_id, after, most)


async def made_variants(uow: UnitOfWork, cause_id: UUID, after: UUID, most: int) -> list[UUID]:
    """Variants of a cause by id, locked."""
    return await _ids(uow, "variants", cause_id, after, most)


async def _ids(uow: UnitOfWork, table: str, cause_id: UUID, after: UUID, most: int) -> list[UUID]:
    rows = await uow.fetch(
        f"SELECT id FROM {table} WHERE created_cause = $1 AND id > $2 ORDER BY id LIMIT $3 FOR UPDATE",  # noqa: S608
        cause_id,
        after,
        most,
    )
    return [row["id"] for row in rows]


async def touched_products(uow: UnitOfWork, ids: list[UUID], own: Sequence[UUID]) -> dict[UUID, Foreign]:
    """Of these products those that somebody else has changed or added to since, each with who did."""
    rows = await uow.fetch(
        "SELECT DISTINCT ON (f.id) f.id, f.cause_id, w.kind FROM ("
        " SELECT subject_id AS id, cause_id FROM changes WHERE subject_id = ANY($1)"
        " UNION ALL SELECT product_id, created_cause FROM variants WHERE product_id = ANY($1)"
        " UNION ALL SELECT product_id, created_cause FROM product_categories WHERE product_id = ANY($1)"
        " UNION ALL SELECT v.product_id, p.created_cause FROM variants v JOIN prices p ON p.variant_id = v.id"
        "  WHERE v.product_id = ANY($1)"
        ") f LEFT JOIN causes w ON w.id = f.cause_id WHERE f.cause_id IS NULL OR f.cause_id <> ALL($2) ORDER BY f.id",
        ids,
        list(own),
    )
    return {row["id"]: Foreign(row["cause_id"], row["kind"] or "unknown", frozenset()) for row in rows}


async def touched_variants(uow: UnitOfWork, ids: list[UUID], own: Sequence[UUID]) -> dict[UUID, Foreign]:
    """Of these variants those that somebody else has changed or priced since, each with who did."""
    rows = await uow.fetch(
        "SELECT DISTINCT ON (f.id) f.id, f.cause_id, w.kind FROM ("
        " SELECT v.id, c.cause_id FROM variants v JOIN changes c ON c.subject_id = v.product_id"
        "   AND v.id::text IN (c.key->>'variant_id', CASE WHEN c.entity = 'variant' THEN c.key->>'id' END)"
        "   WHERE v.id = ANY($1)"
        " UNION ALL SELECT variant_id, created_cause FROM prices WHERE variant_id = ANY($1)"
        ") f LEFT JOIN causes w ON w.id = f.cause_id WHERE f.cause_id IS NULL OR f.cause_id <> ALL($2) ORDER BY f.id",
        ids,
        list(own),
    )
    return {row["id"]: Foreign(row["cause_id"], row["kind"] or "unknown", frozenset()) for row in rows}


async def is_product_made(uow: UnitOfWork, variant_ids: list[UUID], cause_id: UUID) -> set[UUID]:
    """Of these variants those whose product the cause made as well."""
    rows = await uow.fetch(
        "SELECT v.id FROM variants v JOIN products p ON p.id = v.product_id"
        " WHERE v.id = ANY($1) AND p.created_cause = $2",
        variant_ids,
        cause_id,
    )
    return {row["id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Removed:
    """What went: SKUs, and products whose prices went, by the list they were in."""

    skus: list[str]
    products: set[UUID]
    priced: dict[UUID, set[UUID]]


async def remove_products(uow: UnitOfWork, ids: list[UUID]) -> Removed:
    """Delete products with all that hangs on them."""
    rows = await uow.fetch("SELECT id FROM variants WHERE product_id = ANY($1)", ids)
    removed = await remove_variants(uow, [row["id"] for row in rows])
    for table in ("product_categories", "product_texts"):
        await uow.execute(f"DELETE FROM {table} WHERE product_id = ANY($1)", ids)  # noqa: S608
    await uow.execute("DELETE FROM products WHERE id = ANY($1)", ids)
    return Removed(removed.skus, set(ids), removed.priced)


async def remove_variants(uow: UnitOfWork, ids: list[UUID]) -> Removed:
    """Delete variants with their prices."""
    prices = await uow.fetch(
        "DELETE FROM prices p USING variants v WHERE v.id = p.variant_id AND p.variant_id = ANY($1)"
        " RETURNING p.price_list_id, v.product_id",
        ids,
    )
    rows = await uow.fetch("DELETE FROM variants WHERE id = ANY($1) RETURNING sku, product_id", ids)
    return Removed([row["sku"] for row in rows], {row["product_id"] for row in rows}, _priced(prices))


def _priced(rows: Iterable[asyncpg.Record]) -> dict[UUID, set[UUID]]:
    priced: dict[UUID, set[UUID]] = {}
    for row in rows:
        priced.setdefault(row["price_list_id"], set()).add(row["product_id"])
    return priced


# Below the key of any price.
FIRST_PRICE = (
    '{"variant_id": "00000000-0000-0000-0000-000000000000", "price_list_id": "00000000-0000-0000-0000-000000000000",'
    ' "minimum_quantity": 0, "centre": "", "starts_at": "-infinity"}'
)


async def made_prices(uow: UnitOfWork, cause_id: UUID, after: str, most: int) -> list[asyncpg.Record]:
    """Prices of a cause in the order of their keys (JSON), locked, with their product, and whether that is its, too."""
    watched = WATCHED["price"]
    ordered = ("variant_id", "price_list_id", "minimum_quantity", "centre", "starts_at")
    own, asked = (", ".join(f"{of}.{name}" for name in ordered) for of in ("p", "r"))
    pairs = ", ".join(f"'{name}', p.{name}" for name in watched.key)
    return await uow.fetch(
        f"SELECT jsonb_build_object({pairs}) AS key, p.price_list_id, v.product_id, v.sku,"  # noqa: S608
        " v.created_cause IS NOT DISTINCT FROM $1 AS is_of_made_variant"
        " FROM jsonb_populate_record(NULL::prices, $2::jsonb) r, prices p JOIN variants v ON v.id = p.variant_id"
        f" WHERE p.created_cause = $1 AND ({own}) > ({asked}) ORDER BY {own} LIMIT $3 FOR UPDATE OF p",
        cause_id,
        after,
        most,
    )


async def touched_prices(uow: UnitOfWork, rows: Sequence[asyncpg.Record], own: Sequence[UUID]) -> dict[str, Foreign]:
    """Of these prices those that somebody else has changed since, by their keys as they are in the rows."""
    found = await uow.fetch(
        "SELECT c.key, c.cause_id, w.kind FROM changes c JOIN causes w ON w.id = c.cause_id"
        " WHERE c.subject_id = ANY($1) AND c.entity = 'price' AND c.cause_id <> ALL($2) AND c.after IS NOT NULL",
        list({row["product_id"] for row in rows}),
        list(own),
    )
    return {row["key"]: Foreign(row["cause_id"], row["kind"], frozenset()) for row in found}


async def made_memberships(
    uow: UnitOfWork, cause_id: UUID, after: tuple[UUID, UUID], most: int
) -> list[asyncpg.Record]:
    """Places that a cause gave to products that it did not make, locked."""
    return await uow.fetch(
        "SELECT m.product_id, m.category_id, p.created_cause IS NOT DISTINCT FROM $1 AS is_of_made_product"
        " FROM product_categories m JOIN products p ON p.id = m.product_id"
        " WHERE m.created_cause = $1 AND (m.product_id, m.category_id) > ($2, $3)"
        " ORDER BY m.product_id, m.category_id LIMIT $4 FOR UPDATE OF m",
        cause_id,
        *after,
        most,
    )


async def remove_made_categories(
    uow: UnitOfWork, cause_id: UUID, after: UUID, own: Sequence[UUID]
) -> tuple[list[UUID], list[asyncpg.Record]]:
    """Delete the categories a cause made in which nothing of others stands; also returns those that stay."""
    kept = await uow.fetch(
        "WITH RECURSIVE made AS (SELECT id, parent_id, slug FROM categories WHERE created_cause = $1 AND id > $2),"
        " kept AS ("
        "  SELECT id, parent_id FROM made m WHERE"
        "   EXISTS (SELECT FROM product_categories p WHERE p.category_id = m.id)"
        "   OR EXISTS (SELECT FROM categories c WHERE c.parent_id = m.id AND c.created_cause IS DISTINCT FROM $1)"
        "   OR EXISTS (SELECT FROM changes c WHERE c.subject_id = m.id AND c.cause_id <> ALL($3))"
        "  UNION SELECT m.id, m.parent_id FROM kept k JOIN made m ON m.id = k.parent_id)"
        " SELECT m.id, m.slug FROM kept k JOIN made m ON m.id = k.id ORDER BY m.slug",
        cause_id,
        after,
        list(own),
    )
    going = await uow.fetch(
        "SELECT id FROM categories WHERE created_cause = $1 AND id > $2 AND id <> ALL($3)",
        cause_id,
        after,
        [row["id"] for row in kept],
    )
    ids = [row["id"] for row in going]
    await uow.execute("DELETE FROM shop_categories WHERE category_id = ANY($1)", ids)
    await uow.execute("DELETE FROM categories WHERE id = ANY($1)", ids)
    return ids, kept


async def shops_of_lists(uow: UnitOfWork, price_list_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    rows = await uow.fetch("SELECT id, shop_id FROM price_lists WHERE id = ANY($1)", list(price_list_ids))
    return {row["id"]: row["shop_id"] for row in rows}


async def started_at(uow: UnitOfWork, import_id: UUID) -> int:
    """When the import was asked for, in milliseconds since 1970."""
    moment = await uow.fetchval("SELECT created_at FROM imports WHERE id = $1", import_id)
    return int(moment.timestamp() * 1000)
