"""A page costs what is on it, however many listings its connection has: no statement reads all of them (SYN-4, SYN-12).

Counted is what a transaction has read of sync's tables. There are 6,000 products with a variant and a stock level each,
a million listings with `deploy/test --full`. Statistics are those of an hour ago, when nothing was different, waited or
had failed; now everything does.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.sync.repository import changes, creations, issues, listings, relinks, stats
from services.sync.repository.changes import WHOLE, Found
from services.sync.repository.issues import Trouble
from services.sync.repository.listings import Seen, WrittenValues
from services.sync.use_cases.analysing import analyse
from shared.contracts.sync.messages import ListChanges, ListListings
from shared.contracts.sync.shapes import ConnectionSettings
from shared.unit_of_work import UnitOfWork
from tests.conftest import scale
from tests.doors import eventually
from tests.factories.sync import Connected

pytestmark = [pytest.mark.feature("SYN-4", "SYN-12", "SYN-10"), pytest.mark.timeout(1800)]

PRODUCTS = 333_334 if scale() == 1.0 else 6000
PAGE = 50
# A statement looks at a row some times: for its lock, its indexes, its triggers.
MOST_LOOKS = 30
_READ = (
    "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_xact_user_tables"
    " WHERE schemaname = 'sync'"
)
_LISTINGS = """
INSERT INTO sync.listings (organization_id, connection_id, id, entity, external_id, parent_external_id, sku, product_id,
    remote, digest, marks, analysed, acknowledged)
SELECT $1, $2, gen_random_uuid(), e.entity, e.entity || '-' || n, CASE e.entity WHEN 'variant' THEN 'product-' || n END,
    CASE WHEN e.entity <> 'product' THEN 'SKU-' || n END, CASE WHEN e.entity <> 'stock' THEN md5(n::text)::uuid END,
    '{"title": "One"}', '\\x01', 0, '\\x01', '{"title": "Two", "quantity": 1}'
FROM generate_series(1, $3) n CROSS JOIN unnest('{product,variant,stock}'::text[]) AS e (entity)
"""
_CHANGES = """
INSERT INTO sync.changes (organization_id, connection_id, id, listing_id, entity, direction, kind, field, before, after,
    state)
SELECT organization_id, connection_id, gen_random_uuid(), id, entity, d.direction, 'update', 'brand', '1', '2',
    'applied'
FROM sync.listings CROSS JOIN unnest('{in,out}'::text[]) AS d (direction) WHERE connection_id = $1
"""
_ISSUES = """
INSERT INTO sync.issues (organization_id, connection_id, id, feed, listing_id, subject, class, code, message,
    resolved_at)
SELECT organization_id, connection_id, gen_random_uuid(), 'export_stock', id, external_id, 'error', 'refused', 'No.',
    now()
FROM sync.listings WHERE connection_id = $1
"""


_AS_LARGE_AS_USUAL = (
    "SET session_replication_role = replica; UPDATE sync.listings SET remote = jsonb_build_object('description',"
    " repeat('Many words. ', 80))"
)
_SEEN_BY_ALL = "SELECT relallvisible / relpages::float8 FROM pg_class WHERE oid = 'sync.listings'::regclass"
_AN_HOUR_LATER = (
    "ANALYZE sync.listings; ANALYZE sync.changes; ANALYZE sync.issues;"
    " UPDATE sync.listings SET marks = 1, analysed = NULL; UPDATE sync.changes SET state = 'queued';"
    " UPDATE sync.issues SET resolved_at = NULL"
)


@pytest.fixture
async def full(connected: Connected) -> Connected:
    """A connection with everything that there may be: each record different here and there, and with an issue."""
    database = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        async with database.transaction():
            await database.execute("SET LOCAL session_replication_role = replica")
            connection_id = UUID(connected.id)
            await database.execute(_LISTINGS, connected.organization_id, connection_id, PRODUCTS, timeout=1200)
            await database.execute(_CHANGES, connection_id, timeout=1200)
            await database.execute(_ISSUES, connection_id, timeout=1200)
            await database.execute(_AN_HOUR_LATER, timeout=1200)
    finally:
        await database.close()
    return connected


Statement = Callable[[UnitOfWork, UUID], Awaitable[Any]]


async def some(uow: UnitOfWork, connection_id: UUID, entity: str = "stock") -> list[asyncpg.Record]:
    return await listings.list_of_entity(uow, connection_id, entity, None, PAGE)


async def ids(uow: UnitOfWork, connection_id: UUID, entity: str = "stock") -> list[UUID]:
    return [row["id"] for row in await some(uow, connection_id, entity)]


async def queued(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    return await changes.list_queued(uow, connection_id, "out", ("stock",), "all", None, PAGE)


def seen(entity: str, numbers: range, word: str = "One") -> list[Seen]:
    return [
        Seen(entity, f"{entity}-{n}", f"product-{n}" if entity == "variant" else None, f"SKU-{n}", None,
             f'{{"title": "{word}"}}', "{}", word.encode(), None)
        for n in numbers
    ]  # fmt: skip


async def _analyse(uow: UnitOfWork, connection_id: UUID) -> None:
    row = await uow.fetchrow("SELECT * FROM connections WHERE id = $1", connection_id)
    assert row is not None
    assert await analyse(uow, row, ConnectionSettings(), ("product", "variant"), PAGE) == PAGE


async def _queue(uow: UnitOfWork, connection_id: UUID) -> None:
    found = [Found(each, "stock", "out", "update", "brand", 1, 3, "queued") for each in await ids(uow, connection_id)]
    await changes.queue(uow, connection_id, found)


async def _call_off(uow: UnitOfWork, connection_id: UUID) -> None:
    await changes.call_off(uow, "out", [(each, "brand") for each in await ids(uow, connection_id)], "agreed")


async def _dispute(uow: UnitOfWork, connection_id: UUID) -> None:
    await changes.dispute(uow, [(each, "brand") for each in await ids(uow, connection_id)])


async def _note_written(uow: UnitOfWork, connection_id: UUID) -> None:
    values = WrittenValues({"brand": 2}, {"brand": 2}, {})
    await listings.note_written(uow, dict.fromkeys(await ids(uow, connection_id), values))


async def _unmark(uow: UnitOfWork, connection_id: UUID) -> None:
    rows = await listings.list_marked(uow, connection_id, "stock", PAGE)
    assert len(rows) == PAGE
    await listings.unmark(uow, rows)


async def _link(uow: UnitOfWork, connection_id: UUID) -> None:
    rows = await some(uow, connection_id, "variant")
    await listings.link(uow, {row["id"]: connection_id for row in rows})


async def _note_issues(uow: UnitOfWork, connection_id: UUID) -> None:
    rows = await some(uow, connection_id)
    troubles = [Trouble("export_stock", "error", "refused", "No.", row["external_id"], row["id"]) for row in rows]
    await issues.note(uow, connection_id, None, troubles)


async def _resolve(uow: UnitOfWork, connection_id: UUID) -> None:
    names = [row["external_id"] for row in await some(uow, connection_id)]
    await issues.resolve(uow, connection_id, "export_stock", names)
    await issues.resolve_code(uow, connection_id, ("export_stock",), names, "refused")


async def _pages(uow: UnitOfWork, connection_id: UUID) -> None:
    for entity in ("product", "stock"):
        asked = ListListings(connection_id=connection_id, entity=entity, first=PAGE)
        rows = await listings.list_page(uow, asked, None)
        assert len(await listings.list_page(uow, asked, rows[-1]["id"])) > 1
    assert len(await listings.list_page(uow, ListListings(sku="SKU-7", first=PAGE), None)) == 2
    assert len(await changes.list_page(uow, ListChanges(connection_id=connection_id, first=PAGE), None)) > 1


async def _settle(uow: UnitOfWork, connection_id: UUID) -> None:
    rows = await queued(uow, connection_id)
    assert len(rows) == PAGE
    await changes.settle_tried(uow, rows, "applied", "ok", rows[0]["id"])


async def _put_off(uow: UnitOfWork, connection_id: UUID) -> None:
    await changes.put_off(uow, await queued(uow, connection_id), "retry", 10, connection_id)


async def _gone(uow: UnitOfWork, connection_id: UUID) -> None:
    await relinks.find(uow, connection_id, await ids(uow, connection_id, "variant"))
    await relinks.find(uow, connection_id, await ids(uow, connection_id, "product"))


async def _skus(uow: UnitOfWork, connection_id: UUID) -> None:
    names = [f"SKU-{n}" for n in range(1, PAGE + 1)]
    await listings.mark_stock(uow, names)
    await listings.forget_stock(uow, connection_id, names)
    assert len(await creations.find_sold_there(uow, connection_id, names, [])) == PAGE


async def _products(uow: UnitOfWork, connection_id: UUID) -> None:
    rows = await some(uow, connection_id, "product")
    names = [row["external_id"] for row in rows]
    await listings.mark_products(uow, [row["product_id"] for row in rows])
    await listings.mark(uow, [row["id"] for row in rows])
    assert len(await listings.list_variants(uow, connection_id, names)) == PAGE
    assert len(await listings.list_known_variants(uow, connection_id, names)) == PAGE
    await changes.try_again(uow, [row["id"] for row in rows], "in")
    await listings.lock_by_names(uow, connection_id, [("product", name) for name in names])


async def _mark(uow: UnitOfWork, connection_id: UUID) -> None:
    """Of each product its record, and that of a variant which is linked to it though its own record is not."""
    rows = await some(uow, connection_id, "product")
    await listings.link(uow, {row["id"]: connection_id for row in rows})
    await listings.mark_products(uow, [row["product_id"] for row in rows])
    chosen = [row["id"] for row in rows]
    assert await uow.fetchval("SELECT count(*) FROM listings WHERE id = ANY($1) AND marks > 1", chosen) == PAGE


async def _acknowledge(uow: UnitOfWork, connection_id: UUID) -> None:
    chosen = await ids(uow, connection_id)
    await listings.acknowledge(uow, {each: {"title": "One"} for each in chosen})
    await listings.acknowledge_remote(uow, [(each, "title") for each in chosen])
    await listings.note_pictures(uow, {each: {"a": "b"} for each in chosen})
    await listings.look_again(uow, chosen)
    open_ = await changes.list_open(uow, chosen, "in")
    await changes.settle(uow, [row["id"] for row in open_], "applied")
    await changes.call_off_all(uow, chosen, WHOLE)


STATEMENTS: dict[str, Statement] = {
    "a page is as before": lambda uow, id_: listings.store(uow, id_, seen("stock", range(1, PAGE))),
    "a page has changed": lambda uow, id_: listings.store(uow, id_, seen("variant", range(1, PAGE), "Three")),
    "a page is new": lambda uow, id_: listings.store(uow, id_, seen("stock", range(-PAGE, 0))),
    "a page is marked as seen": lambda uow, id_: listings.store(uow, id_, seen("stock", range(1, PAGE)), seen_by=id_),
    "a page is analysed": _analyse,
    "changes are queued": _queue,
    "changes are called off": _call_off,
    "changes are disputed": _dispute,
    "writes are kept": _note_written,
    "writes are settled": _settle,
    "writes are put off": _put_off,
    "changes in are read": lambda uow, id_: changes.list_queued(uow, id_, "in", ("variant",), "all", None, PAGE),
    "images are read": lambda uow, id_: changes.list_queued(uow, id_, "out", ("order",), "images", None, PAGE),
    "marks are taken off": _unmark,
    "records are linked": _link,
    "issues are noted": _note_issues,
    "issues are over": _resolve,
    "lists are read": _pages,
    "what is gone is looked for": _gone,
    "stock has changed": _skus,
    "products have changed": _products,
    "values are acknowledged": _acknowledge,
    "what was made is looked for": lambda uow, id_: creations.adopt_seen(uow, id_, ("product", "variant")),
}  # fmt: skip


async def dear(full: Connected, statements: dict[str, Statement]) -> dict[str, int]:
    """Which of these read more than a page costs, and how much."""
    found: dict[str, int] = {}
    for name, statement in statements.items():
        uow = full.process.surroundings.unit_of_work("sync", full.inside("sync"))
        try:
            before = await uow.fetchval(_READ)
            await statement(uow, UUID(full.id))
            read = await uow.fetchval(_READ) - before
        finally:
            await uow.rollback()
        if read > PAGE * MOST_LOOKS:
            found[name] = read
    return found


async def test_no_statement_of_a_page_reads_all(full: Connected) -> None:
    assert await dear(full, STATEMENTS) == {}


async def test_how_a_connection_stands_is_counted_in_an_index(full: Connected) -> None:
    """Nothing but that is read, once they are vacuumed as PostgreSQL does by itself."""
    database = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        await database.execute(_AS_LARGE_AS_USUAL, timeout=1200)

        async def is_vacuumed() -> bool:
            """Who still looks at what was there before keeps it from being so."""
            await database.execute("VACUUM (ANALYZE, DISABLE_PAGE_SKIPPING) sync.listings", timeout=1200)
            seen_by_all = await database.fetchval(_SEEN_BY_ALL)
            assert seen_by_all == 1.0, seen_by_all
            return True

        await eventually(is_vacuumed)
    finally:
        await database.close()

    async def count(uow: UnitOfWork, connection_id: UUID) -> None:
        rows = {(row["entity"], row["state"]): row for row in await stats.count_listings(uow, connection_id)}
        assert {name: row["count"] for name, row in rows.items()} == {
            ("product", "there"): PRODUCTS,
            ("variant", "there"): PRODUCTS,
            ("stock", "there"): PRODUCTS,
        }
        assert {row["linked"] for row in rows.values()} == {PRODUCTS}

    assert await dear(full, {"records are counted": count}) == {}


async def test_a_page_is_kept_and_marked_also_while_nothing_is_known_of_the_tables(full: Connected) -> None:
    """So it is during the first scan of a young installation; what it links is marked on all connections."""
    database = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        await database.execute("DELETE FROM pg_statistic WHERE starelid = 'sync.listings'::regclass")
    finally:
        await database.close()
    kept = {name: statement for name, statement in STATEMENTS.items() if name.startswith("a page is ")}
    kept = {name: each for name, each in kept.items() if name != "a page is analysed"}
    assert await dear(full, kept | {"products are marked": _mark}) == {}
