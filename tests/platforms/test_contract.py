"""What `services/sync/platforms/base.py` promises, of every platform there is (SYN-1).

Each test runs against each platform's fake shop. A platform without the feed in question is skipped, in its own words.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway
from services.sync.platforms.base import (
    Page,
    ProductWrite,
    Record,
    Scan,
    Session,
    ShipmentWrite,
    StockWrite,
    VariantWrite,
    Written,
    is_personal,
)
from services.sync.platforms.registry import PLATFORMS, WEBHOOKS
from shared.contracts.orders.imported import RemoteOrder
from shared.contracts.sync.shapes import FeedKind
from tests.fakes.platforms import FakeShop
from tests.platforms.conftest import (
    DELIVERIES,
    FAKES,
    ONE_WAY,
    all_pages,
    all_records,
    ids,
    needs,
    needs_answers,
    order,
    product,
    put_products,
    session_with,
)

pytestmark = pytest.mark.feature("SYN-1")


def test_each_platform_has_a_fake() -> None:
    assert {fake().platform for fake in FAKES.values()} == set(PLATFORMS)


def test_what_a_platform_lacks_is_said_in_words() -> None:
    feeds = set(FeedKind.__args__)  # type: ignore[attr-defined]
    for platform in PLATFORMS.values():
        assert set(platform.lacks) <= feeds
        for feed, words in platform.lacks.items():
            assert len(words.split()) >= 4, f"{platform.name} does not say why it has no {feed}"


@pytest.mark.feature("SYN-4", "ORD-6")
@pytest.mark.parametrize(
    ("field", "is_hidden"),
    [
        *(("customer", True), ("customer.email", True), ("shipping_address", True), ("order.shipping_address", True)),
        *(("", False), ("title", False), ("status", False), ("order.status", False), ("total", False)),
    ],
)
def test_what_is_personal_is_hidden(field: str, is_hidden: bool) -> None:
    assert is_personal(field) is is_hidden


async def test_greeting_names_the_shop_and_its_places(shop: FakeShop) -> None:
    async with session_with(shop) as session:
        greeting = await session.greet()
    assert greeting.shop_name
    assert greeting.missing == []
    assert all(place.external_id and place.name for place in greeting.places)


# --- reading


async def test_full_scan_gives_every_product_with_its_fields_and_parts(shop: FakeShop) -> None:
    needs(shop, "import_products")
    wanted = put_products(shop, 7)
    async with session_with(shop) as session:
        pages = await all_pages(session, Scan("product"))
    records = {record.external_id: record for page in pages for record in page.records}
    assert set(ids(pages)) == set(wanted)
    assert not any(page.unread for page in pages)
    assert len(pages) > 1, "the fake gives small pages, or nothing is proved here"
    for external_id in wanted:
        fields, variants = shop.product(external_id)
        record = records[external_id]
        assert {name: record.fields[name] for name in ("title", "brand", "status", "tags")} == {
            name: fields[name] for name in ("title", "brand", "status", "tags")
        }
        assert [part.fields["sku"] for part in record.parts] == [each["sku"] for each in variants.values()]
        assert [part.fields["price"] for part in record.parts] == [each["price"] for each in variants.values()]


async def test_times_are_utc(shop: FakeShop) -> None:
    needs(shop, "import_products")
    put_products(shop, 2)
    async with session_with(shop) as session:
        records = await all_records(session, "product")
    for record in records.values():
        assert record.updated_at is None or record.updated_at.tzinfo is UTC


async def test_scan_misses_nothing_while_the_shop_changes(shop: FakeShop) -> None:
    """SYN-4: records that move while pages are read are given again, never skipped."""
    needs(shop, "import_products")
    there = put_products(shop, 11)
    moved = iter(range(1, 12, 2))

    def change(page: Page) -> None:
        if (number := next(moved, None)) is not None:
            shop.put_product(*product(number, title=f"Scarf {number}, changed"))

    async with session_with(shop) as session:
        pages = await all_pages(session, Scan("product"), between=change)
    assert set(there) <= set(ids(pages))


async def test_any_page_is_taken_up_by_a_session_that_knows_nothing_else(shop: FakeShop) -> None:
    """SYN-10: a scan goes on at any page, in another process."""
    needs(shop, "import_products")
    there = put_products(shop, 10)
    scan, seen = Scan("product"), []
    while True:
        async with session_with(shop) as first, session_with(shop) as second:
            page, again = await first.page(scan), await second.page(scan)
        assert ids([page]) == ids([again])
        assert [record.fields for record in page.records] == [record.fields for record in again.records]
        seen += ids([page])
        if page.resume is None:
            break
        scan = Scan("product", resume=page.resume)
    assert set(seen) == set(there)


async def test_scan_since_gives_all_that_changed_since(shop: FakeShop) -> None:
    """SYN-4. A platform that can not tell gives more, never less."""
    needs(shop, "update_products")
    put_products(shop, 6)
    async with session_with(shop) as session:
        before = await all_records(session, "product")
        times = [record.updated_at for record in before.values() if record.updated_at is not None]
        shop.put_product(*product(3, title="Changed"))
        since = max(times, default=datetime(2026, 1, 1, tzinfo=UTC))
        pages = await all_pages(session, Scan("product", since, datetime.now(UTC) + timedelta(days=1)))
    assert "3" in ids(pages)


async def test_records_are_read_by_their_ids_and_what_is_gone_is_left_out(shop: FakeShop) -> None:
    needs(shop, "update_products")
    put_products(shop, 4)
    shop.remove_product("2")
    async with session_with(shop) as session:
        records = await session.read("product", ["1", "2", "4"])
    assert sorted(record.external_id for record in records) == ["1", "4"]


async def test_empty_shop_is_a_page_without_records(shop: FakeShop) -> None:
    needs(shop, "import_products")
    async with session_with(shop) as session:
        page = await session.page(Scan("product"))
    assert (list(page.records), page.resume) == ([], None)


async def test_stock_is_read_by_place(shop: FakeShop) -> None:
    needs(shop, "import_stock")
    record = await _stocked(shop, 5)
    assert record.fields["sku"] == "SCARF-1"
    assert record.fields["quantity"] == 5
    assert record.fields["location"]


async def test_orders_are_what_orders_takes(shop: FakeShop) -> None:
    needs(shop, "import_orders")
    shop.put_product(*product(1))
    shop.put_order(order(5001))
    async with session_with(shop) as session:
        records = await all_records(session, "order")
    taken = RemoteOrder.model_validate(records["5001"].fields)
    assert taken.external_id == "5001"
    assert [(line.sku, line.quantity, line.unit_price.amount) for line in taken.lines] == [("SCARF-1", 2, 1999)]
    assert taken.total.amount == 3998
    assert taken.customer.email == "ada@example.com"
    assert taken.placed_at.utcoffset() == timedelta(0)


async def test_order_status_that_nobody_knows_is_given_as_it_is(shop: FakeShop) -> None:
    """STYLE.md: a status we do not know is pending and reported, never success or failure."""
    needs(shop, "import_orders")
    shop.put_product(*product(1))
    shop.put_order(order(5001, status="awaiting-the-tide"))
    async with session_with(shop) as session:
        records = await all_records(session, "order")
    assert records["5001"].fields["status"] == "awaiting-the-tide"


# --- a shop that behaves badly

Asking = Callable[[Session], Awaitable[object]]
ASKED: list[Asking] = [lambda session: session.greet(), lambda session: session.page(Scan("product"))]


@pytest.mark.parametrize("ask", ASKED, ids=["greet", "page"])
async def test_throttled_says_how_long(shop: FakeShop, ask: Asking) -> None:
    """SYN-12."""
    needs(shop, "import_products")
    _needs_requests(shop)
    shop.faults.throttle = 1
    async with session_with(shop) as session:
        with pytest.raises(PlatformAway) as raised:
            await ask(session)
        assert raised.value.retry_after_seconds is not None
        assert raised.value.retry_after_seconds > 0
        await ask(session)


@pytest.mark.parametrize("ask", ASKED, ids=["greet", "page"])
async def test_expired_credentials_are_told_apart_and_work_again(shop: FakeShop, ask: Asking) -> None:
    needs(shop, "import_products")
    _needs_requests(shop)
    shop.faults.expired = True
    async with session_with(shop) as session:
        with pytest.raises(CredentialsRefused):
            await ask(session)
        shop.faults.expired = False
        await ask(session)


@pytest.mark.parametrize("fault", ["away", "html", "half", "lost"])
async def test_spoiled_page_is_an_error_and_comes_whole_the_next_time(shop: FakeShop, fault: str) -> None:
    """SYN-8: never an empty page, from which everything would seem to have vanished."""
    needs(shop, "import_products")
    _needs_requests(shop)
    there = put_products(shop, 8)
    async with session_with(shop) as session:
        first = await session.page(Scan("product"))
        setattr(shop.faults, fault, 1)
        scan = Scan("product", resume=first.resume)
        with pytest.raises((PlatformAway, AnswerNotUnderstood)):
            await session.page(scan)
        rest = await all_pages(session, scan)
    assert set(ids([first, *rest])) == set(there)


# --- writing


async def test_product_write_changes_the_named_fields_alone(shop: FakeShop) -> None:
    needs(shop, "export_products", "update_products")
    shop.put_product(*product(1))
    fields_before, variants_before = shop.product("1")
    async with session_with(shop) as session:
        record = (await session.read("product", ["1"]))[0]
        write = ProductWrite("k1", "1", {"title": "New"}, {"title": "Scarf 1"}, references=record.references)
        written = await session.write_products([write])
        again = (await session.read("product", ["1"]))[0]
    fields, variants = shop.product("1")
    assert written[0].outcome == "ok"
    assert again.fields["title"] == "New"
    assert {**fields, "title": None} == {**fields_before, "title": None}
    assert variants == variants_before


async def test_variant_write_changes_the_named_field_alone(shop: FakeShop) -> None:
    needs(shop, "export_products", "update_products")
    shop.put_product(*product(1))
    fields_before, variants_before = shop.product("1")
    price = {"amount": 2099, "currency": "EUR"}
    async with session_with(shop) as session:
        record = (await session.read("product", ["1"]))[0]
        part = record.parts[0]
        variant = VariantWrite(part.external_id, "SCARF-1", {"price": price}, references=part.references)
        written = await session.write_products(
            [ProductWrite("k1", "1", {}, variants=[variant], references=record.references)]
        )
    fields, variants = shop.product("1")
    assert written[0].outcome == "ok"
    assert fields == fields_before
    assert [each["price"] for each in variants.values()] == [price]
    assert _without(variants, "price") == _without(variants_before, "price")


async def test_write_that_changes_nothing_changes_nothing(shop: FakeShop) -> None:
    """SYN-7."""
    needs(shop, "export_products", "update_products")
    shop.put_product(*product(1))
    async with session_with(shop) as session:
        record = (await session.read("product", ["1"]))[0]
        written = await session.write_products(
            [ProductWrite("k1", "1", {"title": "Scarf 1"}, {"title": "Scarf 1"}, references=record.references)]
        )
    assert written[0].outcome in ("ok", "unchanged")
    assert not any(write.has_changed for write in shop.writes)


async def test_write_to_an_unknown_product_needs_a_person(shop: FakeShop) -> None:
    needs(shop, "export_products", "update_products")
    needs_answers(shop)
    shop.put_product(*product(1))
    async with session_with(shop) as session:
        record = (await session.read("product", ["1"]))[0]
        shop.remove_product("1")
        written = await session.write_products(
            [ProductWrite("k1", "1", {"title": "New"}, references=record.references)]
        )
    assert written[0].outcome == "person"
    assert written[0].message


async def test_product_is_made_and_answered_with_its_ids(shop: FakeShop) -> None:
    needs(shop, "export_products", "import_products")
    async with session_with(shop) as session:
        written = (await session.write_products([_making("k1")]))[0]
        records = await all_records(session, "product")
    assert written.outcome == "ok"
    assert list(records) == [written.external_id]
    record = records[str(written.external_id)]
    assert record.fields["title"] == "Made"
    assert [part.external_id for part in record.parts] == [part.external_id for part in written.parts]
    assert [part.fields["sku"] for part in record.parts] == ["MADE-1", "MADE-2"]


@pytest.mark.parametrize("fault", ["lost", "half"])
async def test_creation_whose_answer_is_lost_is_one_product_when_repeated(shop: FakeShop, fault: str) -> None:
    """SYN-10, and platforms.md §8.5: the same operation key is the same product."""
    needs(shop, "export_products", "import_products")
    _needs_requests(shop)
    async with session_with(shop) as session:
        setattr(shop.faults, fault, 1)
        assert await _tried(session.write_products([_making("k1")])) in ("retry", "away")
        written = await _until_settled(lambda: session.write_products([_making("k1")]))
        repeated = await session.write_products([_making("k1")])
        records = await all_records(session, "product")
    assert written[0].outcome in ("ok", "unchanged")
    assert repeated[0].external_id == written[0].external_id
    assert list(records) == [written[0].external_id]
    assert [part.external_id for part in records[str(written[0].external_id)].parts] == [
        part.external_id for part in written[0].parts
    ]


async def test_refused_item_does_not_keep_the_others_from_being_written(shop: FakeShop) -> None:
    needs(shop, "export_products", "update_products")
    needs_answers(shop)
    put_products(shop, 3)
    async with session_with(shop) as session:
        records = {record.external_id: record for record in await session.read("product", ["1", "2", "3"])}
        shop.remove_product("2")
        written = await session.write_products(
            [
                ProductWrite(f"k{each}", each, {"title": "New"}, references=records[each].references)
                for each in ("1", "2", "3")
            ]
        )
    assert [each.outcome for each in written] == ["ok", "person", "ok"]
    assert [shop.product(each)[0]["title"] for each in ("1", "3")] == ["New", "New"]


async def test_throttled_write_says_how_long_and_writes_nothing(shop: FakeShop) -> None:
    needs(shop, "export_products", "update_products")
    _needs_requests(shop)
    shop.put_product(*product(1))
    async with session_with(shop) as session:
        record = (await session.read("product", ["1"]))[0]
        shop.faults.throttle = 1
        with pytest.raises(PlatformAway) as raised:
            await session.write_products([ProductWrite("k1", "1", {"title": "New"}, references=record.references)])
    assert raised.value.retry_after_seconds
    assert shop.product("1")[0]["title"] == "Scarf 1"


async def test_stock_is_set_when_it_is_as_expected(shop: FakeShop) -> None:
    needs(shop, "export_stock", "import_stock")
    record = await _stocked(shop, 5)
    async with session_with(shop) as session:
        written = await session.write_stock([_stock_write(record, 3, expected=5)])
    assert written[0].outcome == "ok"
    assert shop.stock("SCARF-1", record.fields["location"]) == 3


async def test_stock_that_is_not_as_expected_is_stale_and_not_written(shop: FakeShop) -> None:
    """SYN-5, INV-7: a sale over there in the meantime is not written over."""
    needs(shop, "export_stock", "import_stock")
    needs_answers(shop)
    record = await _stocked(shop, 5)
    shop.put_stock("SCARF-1", record.fields["location"], 4)
    async with session_with(shop) as session:
        written = await session.write_stock([_stock_write(record, 3, expected=5)])
    assert written[0].outcome == "stale"
    assert shop.stock("SCARF-1", record.fields["location"]) == 4
    assert written[0].fields.get("quantity", 4) == 4


async def test_stock_that_is_so_already_is_not_written(shop: FakeShop) -> None:
    """SYN-7."""
    needs(shop, "export_stock", "import_stock")
    record = await _stocked(shop, 5)
    async with session_with(shop) as session:
        written = await session.write_stock([_stock_write(record, 5, expected=5)])
    assert written[0].outcome in ("ok", "unchanged")
    assert not any(write.has_changed for write in shop.writes)


async def test_stock_write_whose_answer_is_lost_is_not_written_over_a_sale(shop: FakeShop) -> None:
    """INV-7: the first try took effect and one was sold; the same write again must not put it back."""
    needs(shop, "export_stock", "import_stock")
    _needs_requests(shop)
    record = await _stocked(shop, 5)
    write = _stock_write(record, 3, expected=5)
    async with session_with(shop) as session:
        shop.faults.lost = 1
        await _tried(session.write_stock([write]))
        if shop.stock("SCARF-1", record.fields["location"]) != 3:
            pytest.skip("the lost request was one that reads: nothing was written yet")
        shop.put_stock("SCARF-1", record.fields["location"], 2)
        await session.write_stock([write])
    assert shop.stock("SCARF-1", record.fields["location"]) == 2


async def test_unknown_stock_level_needs_a_person(shop: FakeShop) -> None:
    needs(shop, "export_stock", "import_stock")
    needs_answers(shop)
    record = await _stocked(shop, 5)
    async with session_with(shop) as session:
        written = await session.write_stock(
            [StockWrite("k1", "no-such-level", "NO-SUCH-SKU", record.fields["location"], 3)]
        )
    assert written[0].outcome == "person"
    assert written[0].message


async def test_shipment_is_confirmed_once_however_often_it_is_tried(shop: FakeShop) -> None:
    needs(shop, "confirm_shipments", "import_orders")
    write = await _shipping(shop)
    async with session_with(shop) as session:
        first = await session.confirm_shipments([write])
        second = await session.confirm_shipments([write])
    assert first[0].outcome == "ok"
    assert second[0].outcome in ("ok", "unchanged")
    told = shop.shipments("5001")
    assert len(told) == 1
    assert told[0]["lines"] is None or [tuple(line) for line in told[0]["lines"]] == [("SCARF-1", 1)]
    assert list(told[0]["tracking_numbers"]) == ["JD014600003"]


async def test_shipment_whose_answer_is_lost_is_confirmed_once(shop: FakeShop) -> None:
    needs(shop, "confirm_shipments", "import_orders")
    _needs_requests(shop)
    write = await _shipping(shop)
    async with session_with(shop) as session:
        shop.faults.lost = 1
        await _tried(session.confirm_shipments([write]))
        settled = await _until_settled(lambda: session.confirm_shipments([write]))
    assert settled[0].outcome in ("ok", "unchanged")
    assert len(shop.shipments("5001")) == 1


async def test_shipment_of_an_unknown_order_needs_a_person(shop: FakeShop) -> None:
    needs(shop, "confirm_shipments")
    needs_answers(shop)
    async with session_with(shop) as session:
        written = await session.confirm_shipments([ShipmentWrite("k1", "404404", [("SCARF-1", 1)], "DHL", ["1"], None)])
    assert written[0].outcome == "person"
    assert written[0].message


async def test_nothing_to_write_is_nothing_written(shop: FakeShop) -> None:
    async with session_with(shop) as session:
        assert list(await session.write_products([])) == []
        assert list(await session.write_stock([])) == []
        assert list(await session.confirm_shipments([])) == []
    assert shop.writes == []


# --- being told


def test_each_platform_that_tells_has_a_delivery() -> None:
    assert set(DELIVERIES) == set(WEBHOOKS)
    assert all(webhooks.SIGNED_WITH in PLATFORMS[name].credential_names for name, webhooks in WEBHOOKS.items())


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize("name", sorted(DELIVERIES))
def test_repeated_delivery_is_the_same_event_and_wakes_the_same_feeds(name: str) -> None:
    webhooks, now = WEBHOOKS[name], datetime.now(UTC)
    told = []
    for event_id in ("event-1", "event-1", "event-2"):
        headers, body, secret = DELIVERIES[name](event_id)
        assert webhooks.is_genuine(body, headers, secret, now)
        told.append(webhooks.knock(body, headers))
    assert told[0] == told[1]
    assert told[0].event_id != told[2].event_id
    assert set(told[0].feeds) == {"import_orders", "update_orders"}


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize("name", sorted(DELIVERIES))
def test_delivery_of_others_is_not_genuine(name: str) -> None:
    webhooks, now = WEBHOOKS[name], datetime.now(UTC)
    headers, body, secret = DELIVERIES[name]("event-1")
    assert not webhooks.is_genuine(body + b" ", headers, secret, now)
    assert not webhooks.is_genuine(body, {}, secret, now)
    for other in ("", "another", "whsec_" + "A" * 40):
        assert not webhooks.is_genuine(body, headers, other, now)
    for header in headers:
        for value in ("", "\u00fc", "x" * 10_000):
            # Whatever stands there is no reason to break.
            assert webhooks.is_genuine(body, headers | {header: value}, secret, now) in (True, False)


# --- parts of the tests


def _needs_requests(shop: FakeShop) -> None:
    if shop.platform in ONE_WAY:
        pytest.skip("there is no server that could behave badly")


def _without(variants: dict[str, dict[str, object]], name: str) -> list[dict[str, object]]:
    return [{key: value for key, value in each.items() if key != name} for each in variants.values()]


def _making(key: str) -> ProductWrite:
    fields = {"handle": "made", "title": "Made", "status": "draft", "options": ["Colour"]}
    variants = [
        VariantWrite(
            None,
            f"MADE-{n}",
            {"sku": f"MADE-{n}", "options": {"Colour": colour}, "price": {"amount": 1999, "currency": "EUR"}},
        )
        for n, colour in ((1, "Red"), (2, "Blue"))
    ]
    return ProductWrite(key, None, fields, variants=variants)


async def _stocked(shop: FakeShop, quantity: int) -> Record:
    """The stock level of a new product's SKU at the shop's first place."""
    shop.put_product(*product(1))
    async with session_with(shop) as session:
        places = (await session.greet()).places
        shop.put_stock("SCARF-1", places[0].external_id if places else "main", quantity)
        levels = await all_records(session, "stock")
    return next(record for record in levels.values() if record.fields["sku"] == "SCARF-1")


def _stock_write(record: Record, quantity: int, expected: int | None) -> StockWrite:
    sku, location = record.fields["sku"], record.fields["location"]
    return StockWrite("k1", record.external_id, sku, location, quantity, expected, record.references)


async def _shipping(shop: FakeShop) -> ShipmentWrite:
    """One of two pieces of an order have left."""
    shop.put_product(*product(1))
    shop.put_order(order(5001))
    async with session_with(shop) as session:
        record = (await all_records(session, "order"))["5001"]
    return ShipmentWrite("k1", "5001", [("SCARF-1", 1)], "DHL", ["JD014600003"], None, record.references)


async def _tried(writing: Awaitable[Sequence[Written]]) -> str:
    try:
        return (await writing)[0].outcome
    except (PlatformAway, AnswerNotUnderstood):
        return "away"


async def _until_settled(write: Callable[[], Awaitable[Sequence[Written]]]) -> Sequence[Written]:
    """As the engine does: what is to be tried again is tried again, a few times."""
    for _ in range(5):
        written = await write()
        if written[0].outcome != "retry":
            return written
    raise AssertionError(f"it is never settled: {written}")
