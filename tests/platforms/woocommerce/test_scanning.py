"""What is read of a site: nothing is lost to its clock of seconds, its pages by number, or its texts (SYN-4)."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Page, Scan
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import all_pages, all_records, ids, order, product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-4", "SYN-8")
NOON = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
SIZES = {
    "70": {"sku": "MITTEN-S", "options": {"Size": "S"}, "price": {"amount": 900, "currency": "EUR"}},
    "71": {"sku": "MITTEN-M", "options": {"Size": "M"}, "price": {"amount": 900, "currency": "EUR"}},
}


def at(moment: datetime) -> Callable[[], str]:
    return lambda: moment.strftime("%Y-%m-%dT%H:%M:%S")


async def changed(woo: WooShop, since: datetime, entity: Any = "product") -> list[str]:
    async with session_with(woo) as session:
        return ids(await all_pages(session, Scan(entity, since)))


async def test_second_that_a_scan_begins_with_is_read(woo: WooShop) -> None:
    """`modified_after` leaves out the second that it names."""
    woo.clock = at(NOON)
    put_products(woo, 2)
    assert await changed(woo, NOON) == ["1", "2"] or await changed(woo, NOON) == ["2", "1"]
    assert await changed(woo, NOON + timedelta(seconds=1)) == []


async def test_records_of_one_second_are_all_given_once_however_small_the_page(woo: WooShop) -> None:
    for second, numbers in enumerate(([1, 2], [3, 4, 5, 6, 7, 8, 9], [10], [11, 12, 13])):
        woo.clock = at(NOON + timedelta(seconds=second))
        for number in numbers:
            woo.put_product(*product(number))
    given = await changed(woo, NOON)
    assert sorted(given, key=int) == [str(number) for number in range(1, 14)]


async def test_product_that_changes_while_it_is_scanned_is_not_lost_and_the_scan_ends(woo: WooShop) -> None:
    """Recorded: an edit of page 1 made page 2 skip a row. Nor does what is always changing keep a scan from its end."""
    for number in range(1, 10):
        woo.clock = at(NOON + timedelta(seconds=number))
        woo.put_product(*product(number))
    later = NOON + timedelta(hours=1)

    def edit(page: Page) -> None:
        nonlocal later
        later += timedelta(seconds=1)
        woo.clock = at(later)
        for number in (1, 2):
            woo.put_product(*product(number, title=str(later)))

    async with session_with(woo) as session:
        pages = await all_pages(session, Scan("product", NOON, NOON + timedelta(minutes=1)), between=edit)
    assert {str(number) for number in range(3, 10)} <= set(ids(pages))


async def test_what_is_removed_meanwhile_takes_nothing_with_it(woo: WooShop) -> None:
    """Pages by number move up: the page is looked for where its beginning is now."""
    put_products(woo, 12)
    gone = iter(("1", "2", "5", "3"))

    def remove(page: Page) -> None:
        for external_id in (next(gone, None), next(gone, None)):
            if external_id:
                woo.remove_product(external_id)

    async with session_with(woo) as session:
        pages = await all_pages(session, Scan("product"), between=remove)
    given = ids(pages)
    assert {str(number) for number in (4, 6, 7, 8, 9, 10, 11, 12)} <= set(given)
    assert len(given) == len(set(given))


async def test_list_without_its_total_is_read_to_its_end(woo: WooShop) -> None:
    woo.keeps_totals = True
    there = put_products(woo, 9)
    async with session_with(woo) as session:
        assert set(ids(await all_pages(session, Scan("product")))) == set(there)
    assert set(await changed(woo, datetime.now(UTC) - timedelta(hours=1))) == set(there)


@pytest.mark.parametrize("hidden", [{3, 4, 5}, {1, 2, 3, 4, 5, 6}, {2, 5, 8}, {9}, {4, 5, 6, 7, 8, 9}])
@pytest.mark.parametrize("page_size", [2, 3])
async def test_what_the_key_may_not_see_hides_nothing_else(woo: WooShop, page_size: int, hidden: set[int]) -> None:
    """WooCommerce counts it in its totals and its pages, and leaves it out."""
    woo.settings["page_size"] = page_size
    there = put_products(woo, 9)
    woo.hidden = hidden
    async with session_with(woo) as session:
        pages = await all_pages(session, Scan("product"))
    assert ids(pages) == [each for each in there if int(each) not in hidden]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_meanwhile_nothing_that_stays_is_lost(woo: WooShop, seed: int) -> None:
    """Records come, go and change between any two pages; the next scan of changes has what this one has not."""
    luck = random.Random(seed)
    woo.settings["page_size"] = luck.randint(1, 4)
    moment = NOON

    def tick() -> None:
        nonlocal moment
        moment += timedelta(seconds=luck.choice((0, 0, 0, 1)))
        woo.clock = at(moment)

    for number in range(1, 16):
        tick()
        woo.put_product(*product(number))
    start, numbers = moment, iter(range(100, 200))

    def meddle(page: Page) -> None:
        tick()
        for _ in range(luck.randint(0, 6)):
            number = luck.choice(list(woo.products) or [1])
            what = luck.choice(("edit", "remove", "remove", "add"))
            if what == "edit":
                woo.put_product(*product(number, title=f"Changed at {moment}"))
            elif what == "add":
                woo.put_product(*product(next(numbers)))
            elif len(woo.products) > 3:
                woo.remove_product(str(number))

    first = Scan("product") if seed % 2 else Scan("product", NOON, start)
    async with session_with(woo) as session:
        given = {each.external_id: each for page in await all_pages(session, first, meddle) for each in page.records}
        pages = await all_pages(session, Scan("product", start))
        given |= {each.external_id: each for page in pages for each in page.records}
    for external_id in woo.product_ids():
        assert given[external_id].fields["title"] == woo.product(external_id)[0]["title"]


async def test_list_in_another_order_is_not_believed(woo: WooShop, monkeypatch: pytest.MonkeyPatch) -> None:
    put_products(woo, 2)
    monkeypatch.setattr("tests.fakes.woocommerce_rest.trimmed", lambda _, node: {**node, "id": 3 - node["id"]})
    async with session_with(woo) as session:
        with pytest.raises(AnswerNotUnderstood, match="another order"):
            await session.page(Scan("product"))


async def test_variation_brings_its_product_although_the_products_clock_stood_still(woo: WooShop) -> None:
    """Variations are not among the products, and a plug-in may write one without its product."""
    woo.clock = at(NOON)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    woo.put_product(*product(1))
    woo.variations[71] |= {"regular_price": "12.00", "date_modified_gmt": at(NOON + timedelta(hours=1))()}
    async with session_with(woo) as session:
        pages = await all_pages(session, Scan("product", NOON + timedelta(minutes=5)))
    (record,) = [each for page in pages for each in page.records]
    assert (record.external_id, [part.fields["price"]["amount"] for part in record.parts]) == ("7", [900, 1200])


async def test_product_whose_variations_changed_with_it_is_given_once(woo: WooShop) -> None:
    woo.clock = at(NOON)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    assert await changed(woo, NOON) == ["7"]


async def test_products_come_with_all_variations_and_those_of_others_with_theirs(woo: WooShop) -> None:
    for number in (1, 2):
        sizes = {
            str(100 * number + n): {"sku": f"M-{number}-{n}", "options": {"Size": str(n)}, "price": None}
            for n in range(8)
        }
        woo.put_product(str(number), product(number, options=["Size"])[1], sizes)
    async with session_with(woo) as session:
        records = await all_records(session, "product")
    assert {each: [part.fields["sku"] for part in record.parts] for each, record in records.items()} == {
        str(number): [f"M-{number}-{n}" for n in range(8)] for number in (1, 2)
    }


async def test_description_is_read_as_it_was_written_and_names_without_entities(woo: WooShop) -> None:
    woo.put_product(*product(1, title="Nuts & <b>bolts</b>", categories=[["Iron & steel", "Nuts & bolts"]]))
    async with session_with(woo) as session:
        (record,) = await session.read("product", ["1"])
    assert woo.products[1]["name"] == "Nuts &amp; <b>bolts</b>"
    assert record.fields["title"] == "Nuts & <b>bolts</b>"
    assert record.fields["description_html"] == "<p>Warm.</p>"
    assert record.fields["categories"] == [["Iron & steel", "Nuts & bolts"]]


async def test_site_without_brands_has_no_brand_to_compare(woo: WooShop) -> None:
    woo.has_brands = False
    woo.put_product(*product(1, brand=""))
    async with session_with(woo) as session:
        (record,) = await session.read("product", ["1"])
    assert "brand" not in record.fields


async def test_stock_is_that_of_what_is_counted_by_itself(woo: WooShop) -> None:
    woo.clock = at(NOON)
    put_products(woo, 2)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    woo.put_stock("SCARF-1", "main", 4)
    woo.put_stock("MITTEN-S", "main", 3)
    woo.variations[71] |= {"manage_stock": "parent", "stock_quantity": 100}
    async with session_with(woo) as session:
        records = await all_records(session, "stock")
        pages = await all_pages(session, Scan("stock", NOON))
        read = await session.read("stock", ["1", "2", "70", "71", "x"])
    assert {each: record.fields["quantity"] for each, record in records.items()} == {"1": 4, "70": 3}
    assert set(ids(pages)) == {"1", "70"} == {each.external_id for each in read}
    assert records["70"].references == {"product": "7"}


async def test_price_that_is_none_costs_that_product_alone(woo: WooShop) -> None:
    put_products(woo, 2)
    woo.products[1]["regular_price"] = "a lot"
    async with session_with(woo) as session:
        page = await session.page(Scan("product"))
    assert [record.external_id for record in page.records] == ["2"]
    assert [(each.external_id, "a lot" in each.message) for each in page.unread] == [("1", True)]


async def test_orders_are_read_by_their_time_and_by_their_ids(woo: WooShop) -> None:
    for second in range(5):
        woo.clock = at(NOON + timedelta(seconds=second))
        woo.put_order(order(5001 + second))
    async with session_with(woo) as session:
        whole = await all_pages(session, Scan("order"))
        read = await session.read("order", ["5003", "404", "x"])
    assert ids(whole) == ["5001", "5002", "5003", "5004", "5005"]
    assert whole[0].total == 5
    assert await changed(woo, NOON + timedelta(seconds=3), "order") == ["5004", "5005"]
    assert [each.external_id for each in read] == ["5003"]


async def test_pages_are_read_by_several_at_once(woo: WooShop) -> None:
    """A nonce is used once, also where requests are made in the same moment."""
    there = put_products(woo, 6)
    async with session_with(woo) as session:
        found = await asyncio.gather(*(session.read("product", [each]) for each in there))
    assert [records[0].external_id for records in found] == there


async def test_site_before_10_3_is_read_product_by_product(woo: WooShop) -> None:
    """It has no flat list of variations, and says less of them."""
    woo.has_flat_variations = False
    woo.clock = at(NOON)
    put_products(woo, 2)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    for sku in ("SCARF-1", "MITTEN-S", "MITTEN-M"):
        woo.put_stock(sku, "main", 4)
    async with session_with(woo) as session:
        records = await all_records(session, "product")
        levels = await all_records(session, "stock")
        changed_levels = ids(await all_pages(session, Scan("stock", NOON)))
        read = await session.read("stock", ["1", "70", "404"])
        parts = await session.read("variant", ["2", "71"])
    assert [part.fields["sku"] for part in records["7"].parts] == ["MITTEN-S", "MITTEN-M"]
    assert {each: record.references["product"] for each, record in levels.items()} == {"1": "1", "70": "7", "71": "7"}
    assert set(changed_levels) == set(levels)
    assert [each.external_id for each in read] == ["1", "70"]
    assert [each.fields["sku"] for each in parts] == ["SCARF-2", "MITTEN-M"]
    assert set(await changed(woo, NOON)) == {"1", "2", "7"}
