"""Scans of Shopify: by bulk operations, by time, by ids and place by place (SYN-4, SYN-10, SYN-12)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway
from services.sync.platforms.base import Page, Scan, Session
from services.sync.platforms.shopify import bulk, scanning
from shared import clock
from shared.contracts.sync.shapes import Entity
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import all_pages, all_records, ids, order, product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-4", "SYN-10", "SYN-12")
ENTITIES: tuple[Entity, ...] = ("product", "stock", "order")
YEAR_AGO = datetime(2025, 11, 30, tzinfo=UTC)


def at(day: int, minute: int = 0) -> AbstractContextManager[None]:
    """A moment of November, in which the shop does what it does."""
    return clock.replaced(lambda: datetime(2026, 11, day, 0, minute, tzinfo=UTC))


def fill(shop: ShopifyShop, count: int) -> dict[Entity, set[str]]:
    """That many products, stock levels and orders; their ids."""
    products = put_products(shop, count)
    for number in range(1, count + 1):
        shop.put_stock(f"SCARF-{number}", "1" if number % 2 else "2", number)
        shop.put_order(order(5000 + number, sku=f"SCARF-{number}"))
    levels = {f"{'1' if n % 2 else '2'}?inventory_item_id={n * 10}" for n in range(1, count + 1)}
    return {"product": set(products), "stock": levels, "order": {str(5000 + n) for n in range(1, count + 1)}}


def in_the_way(shop: ShopifyShop) -> None:
    """Others run as many bulk operations as there may be."""
    shop.others_running = 5


def failing(shop: ShopifyShop) -> None:
    """Bulk operations fail."""
    shop.bulk_error = "TIMEOUT"


def ungrouped(shop: ShopifyShop) -> None:
    """Children are far from their parents in the file."""
    shop.groups = False


def waiting(shop: ShopifyShop) -> None:
    """Bulk operations take their time, and single records have long lists of their own."""
    shop.bulk_polls, shop.nested = 3, 2


HABITS: list[Callable[[ShopifyShop], None]] = [lambda shop: None, in_the_way, failing, ungrouped, waiting]


@pytest.mark.parametrize("habit", HABITS, ids=["plain", "in the way", "failing", "ungrouped", "waiting"])
@pytest.mark.parametrize("entity", ENTITIES)
async def test_whole_scan_gives_each_record_whole(
    shopify: ShopifyShop, entity: Entity, habit: Callable[[ShopifyShop], None]
) -> None:
    there = fill(shopify, 9)[entity]
    habit(shopify)
    async with session_with(shopify) as session:
        records = await all_records(session, entity)
        fresh = {record.external_id: record for record in await session.read(entity, sorted(there))}
    assert set(records) == there
    assert records == fresh, "a scan says of a record what reading it says"


@pytest.mark.parametrize("habit", HABITS[:2], ids=["plain", "in the way"])
@pytest.mark.parametrize("entity", ENTITIES)
async def test_every_page_is_taken_up_by_another_session(
    shopify: ShopifyShop, entity: Entity, habit: Callable[[ShopifyShop], None]
) -> None:
    """SYN-10: from any token, with nothing else, as after a kill at any moment."""
    there = fill(shopify, 11)[entity]
    habit(shopify)
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan(entity))
    assert len(pages) > 2
    for place, page in enumerate(pages[:-1]):
        async with session_with(shopify) as session:
            rest = await all_pages(session, Scan(entity, resume=page.resume))
        assert ids(rest) == ids(pages[place + 1 :])
    assert set(ids(pages)) == there


@pytest.mark.parametrize("entity", ENTITIES)
async def test_scan_of_changes_gives_those_alone(shopify: ShopifyShop, entity: Entity) -> None:
    with at(1):
        fill(shopify, 9)
    with at(2):
        shopify.put_product(*product(3, title="Changed"))
        shopify.put_stock("SCARF-4", "2", 99)
        shopify.put_order(order(5005) | {"updated_at": "2026-12-01T10:00:00Z"})
    since = datetime(2026, 11, 1, 12, tzinfo=UTC) if entity != "order" else datetime(2026, 12, 1, tzinfo=UTC)
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan(entity, since))
    assert set(ids(pages)) == {"product": {"3"}, "stock": {"2?inventory_item_id=40"}, "order": {"5005"}}[entity]


async def test_what_changes_above_the_scans_end_is_left_to_the_next(shopify: ShopifyShop) -> None:
    put_products(shopify, 3)
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product", YEAR_AGO, clock.now() - timedelta(hours=1)))
    assert ids(pages) == []


async def test_sale_does_not_move_its_product(shopify: ShopifyShop) -> None:
    """platforms.md §0.1: stock has a clock of its own."""
    with at(1):
        fill(shopify, 2)
    with at(2):
        shopify.put_stock("SCARF-1", "1", 0)
    since = datetime(2026, 11, 1, 12, tzinfo=UTC)
    async with session_with(shopify) as session:
        assert ids(await all_pages(session, Scan("product", since))) == []
        assert ids(await all_pages(session, Scan("stock", since))) == ["1?inventory_item_id=10"]


async def test_records_that_move_while_pages_are_read_are_not_missed(shopify: ShopifyShop) -> None:
    """SYN-4: pages by time drift; what moves is met again at the end."""
    with at(1):
        there = set(put_products(shopify, 13))
    moving, moved = iter(enumerate([2, 9, 4, 12, 6])), set()

    def change(page: Page) -> None:
        if page.resume is not None and (found := next(moving, None)) is not None:
            with at(2, minute=found[0]):
                shopify.put_product(*product(found[1], title="Moved"))
            moved.add(str(found[1]))

    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product", YEAR_AGO), between=change)
    last = {record.external_id: record for page in pages for record in page.records}
    assert set(last) == there
    assert {key for key, record in last.items() if record.fields["title"] == "Moved"} == moved
    assert len(moved) > 2


async def test_scan_of_very_many_begins_anew_at_the_time_it_has_come_to(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shopify follows one cursor through 25,000 records and no further."""
    monkeypatch.setattr(scanning, "MOST_BY_CURSOR", 5)
    for minute in range(12):
        with at(1, minute):
            shopify.put_product(*product(minute + 1))
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product", YEAR_AGO))
    assert set(ids(pages)) == {str(number) for number in range(1, 13)}
    tokens = [orjson.loads(page.resume) for page in pages if page.resume]
    assert any(token["after"] is None and token["n"] == 0 for token in tokens)


async def test_cursor_that_shopify_no_longer_takes_begins_its_window_anew(shopify: ShopifyShop) -> None:
    there = put_products(shopify, 9)
    token = {"from": "2025-11-30T00:00:00Z", "after": "not a cursor", "n": 4}
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product", YEAR_AGO, resume=orjson.dumps(token).decode()))
    assert set(ids(pages)) == set(there)


async def test_time_that_moves_without_a_change_gives_the_same_record(shopify: ShopifyShop) -> None:
    """platforms.md §1: contents are what is compared."""
    put_products(shopify, 1)
    async with session_with(shopify) as session:
        before = (await session.read("product", ["1"]))[0]
        shopify.touch("1")
        after = (await session.read("product", ["1"]))[0]
    assert before.fields == after.fields
    assert before.parts == after.parts


# --- bulk operations


async def test_page_before_the_file_is_written_is_empty_and_not_the_last(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "PATIENCE_SECONDS", 0)
    put_products(shopify, 3)
    shopify.bulk_polls = 2
    async with session_with(shopify) as session:
        page = await session.page(Scan("product"))
    assert (list(page.records), page.resume is None) == ([], False)


async def test_operation_whose_start_was_not_heard_of_is_found_again(shopify: ShopifyShop) -> None:
    """Five may run: one of this scan among them is taken up, one of an earlier scan is not."""
    there = put_products(shopify, 3)
    shopify.lose.append("RunBulk")
    begun = clock.now()
    shopify.bulk_polls = 1
    async with session_with(shopify) as session:
        with pytest.raises(PlatformAway):
            await session.page(Scan("product", None, begun))
        shopify.others_running = 4
        pages = await all_pages(session, Scan("product", None, begun))
        assert len(shopify.bulks) == 1
        assert set(ids(pages)) == set(there)
        for each in shopify.bulks.values():
            each.created_at -= timedelta(hours=1)
        shopify.others_running = 5
        pages = await all_pages(session, Scan("product", None, begun))
    assert set(ids(pages)) == set(there)
    assert "Products" in [name for name, _ in shopify.asked]


async def test_operation_that_may_not_read_all_is_told_as_such(shopify: ShopifyShop) -> None:
    put_products(shopify, 3)
    shopify.bulk_error = "ACCESS_DENIED"
    async with session_with(shopify) as session:
        with pytest.raises(CredentialsRefused):
            await all_pages(session, Scan("product"))


@pytest.mark.parametrize("what", ["gone", "short"])
async def test_scan_whose_file_is_gone_or_too_short_goes_on_by_ids_from_the_beginning(
    shopify: ShopifyShop, what: str
) -> None:
    """SYN-8: a prefix of the records is never taken for all of them."""
    there = put_products(shopify, 9)
    async with session_with(shopify) as session:
        first = await session.page(Scan("product"))
    operation = next(iter(shopify.bulks.values()))
    if what == "gone":
        shopify.bulks.clear()
    else:
        operation.file = operation.file[: operation.starts[7]]
    async with session_with(shopify) as session:
        rest = await all_pages(session, Scan("product", resume=first.resume))
    assert set(ids(rest)) == set(there)


async def test_file_is_read_in_pieces_and_a_record_longer_than_one_is_read_whole(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece of fixed length holds what is in memory; it grows only for a single record that is longer."""
    monkeypatch.setattr(bulk, "PIECE_BYTES", 700)
    fields = product(1, options=["Size"])[1]
    variants = {f"{n}": {"sku": f"S-{n}", "options": {"Size": f"{n}"}} for n in range(100, 140)}
    put_products(shopify, 6)
    shopify.put_product("3", fields, variants)
    shopify.page_size = 100
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product"))
    records = {record.external_id: record for page in pages for record in page.records}
    assert len(pages) == 3, "as many as fit, the long one, the rest"
    assert sorted(records) == ["1", "2", "3", "4", "5", "6"]
    assert len(records["3"].parts) == 40


async def test_file_without_ranges_is_read_whole(shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    there = put_products(shopify, 5)
    async with session_with(shopify) as session:
        _without_ranges(session, monkeypatch)
        pages = await all_pages(session, Scan("product"))
    assert set(ids(pages)) == set(there)


async def test_something_else_in_the_files_place_is_not_an_end(shopify: ShopifyShop) -> None:
    """SYN-8: a page of HTML after half of the file does not end the scan."""
    put_products(shopify, 9)
    async with session_with(shopify) as session:
        first = await session.page(Scan("product"))
        shopify.faults.html = 1
        with pytest.raises(AnswerNotUnderstood):
            await session.page(Scan("product", resume=first.resume))


async def test_total_is_what_the_operation_counted(shopify: ShopifyShop) -> None:
    put_products(shopify, 6)
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product"))
    assert {page.total for page in pages} == {6}


def _without_ranges(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server of files answer with the whole of each, as one that knows no ranges does."""
    http = session._client.http  # type: ignore[attr-defined]
    send = http.send

    async def whole(method: str, path: str, **given: Any) -> Any:
        if method != "GET":
            return await send(method, path, **given)
        given["headers"] = {**given["headers"], "Range": "bytes=0-99999999"}
        answer = await send(method, path, **given)
        return type(answer)(200, {}, answer.body)

    monkeypatch.setattr(http, "send", whole)


async def test_orders_are_never_all_there_are(shopify: ShopifyShop) -> None:
    """SYN-8: those of more than 60 days ago are kept from most apps, and have not vanished."""
    fill(shopify, 2)
    async with session_with(shopify) as session:
        pages = {entity: (await all_pages(session, Scan(entity)))[-1] for entity in ENTITIES}
    assert {entity: page.is_whole for entity, page in pages.items()} == {"product": True, "stock": True, "order": False}


async def test_product_that_goes_while_it_is_read_is_left_out(shopify: ShopifyShop) -> None:
    """It is not given without the variants that could not be read any more."""
    shopify.nested = 1
    fields = product(1, options=["Size"])[1]
    shopify.put_product("1", fields, {f"{n}": {"sku": f"S-{n}", "options": {"Size": f"{n}"}} for n in (10, 11)})
    shopify.before = lambda name: shopify.products.pop("1", None) if name == "MoreVariants" else None  # type: ignore[assignment]
    async with session_with(shopify) as session:
        assert await session.read("product", ["1"]) == []
