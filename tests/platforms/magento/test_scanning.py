"""Scans of a Magento shop: families, clocks that ignore children, stock without one, answers to doubt (SYN-4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import Scan
from shared import clock
from tests.fakes import magento_words
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import all_pages, all_records, ids, order, product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-4")
JsonObject = dict[str, Any]


def jacket(**changes: Any) -> tuple[str, JsonObject, dict[str, JsonObject]]:
    """A configurable product whose children are there before it, and after others."""
    variants = {
        str(400 + place): {
            "sku": f"JACKET-{size}",
            "barcode": "",
            "options": {"Size": size},
            "price": {"amount": 4990, "currency": "EUR"},
            "list_price": None,
        }
        for place, size in enumerate(("S", "M", "L", "XL"))
    }
    fields = {"title": "Jacket", "brand": "Skerry", "status": "active", "tags": [], "options": ["Size"], **changes}
    return "500", fields, variants


def grow_older(magento: MagentoShop) -> datetime:
    """All that is there is from an hour ago. Returns a time after that."""
    earlier = clock.now() - timedelta(hours=1)
    for kept in (*magento.state.products.values(), *magento.state.orders.values()):
        kept["updated_at"] = earlier.strftime("%Y-%m-%d %H:%M:%S")
    return earlier + timedelta(minutes=1)


async def test_children_come_with_their_parent_and_not_by_themselves(magento: MagentoShop) -> None:
    put_products(magento, 2)
    magento.put_product(*jacket())
    async with session_with(magento) as session:
        records = await all_records(session, "product")
    assert sorted(records) == ["1", "2", "500"]
    parts = records["500"].parts
    assert [part.external_id for part in parts] == ["400", "401", "402", "403"]
    assert [part.fields["options"] for part in parts] == [{"Size": size} for size in ("S", "M", "L", "XL")]
    assert records["500"].fields["options"] == ["Size"]
    assert [part.external_id for part in records["1"].parts] == ["1"]


async def test_child_that_changed_brings_its_parent(magento: MagentoShop) -> None:
    """Surprise 9: a parent's clock ignores its children."""
    put_products(magento, 4)
    magento.put_product(*jacket())
    since = grow_older(magento)
    magento.state.save({"price": 52.5}, "JACKET-M")
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("product", since, clock.now() + timedelta(days=1)))
    assert ids(pages) == ["500"]
    (record,) = pages[0].records
    assert [part.fields["price"]["amount"] for part in record.parts] == [4990, 5250, 4990, 4990]
    assert record.updated_at is not None
    assert record.updated_at > since


async def test_record_of_the_very_second_is_not_missed(magento: MagentoShop) -> None:
    put_products(magento, 1)
    since = datetime.fromisoformat(magento.state.products[1]["updated_at"]).replace(tzinfo=UTC)
    async with session_with(magento) as session:
        for until in (since, since + timedelta(microseconds=1)):
            assert ids(await all_pages(session, Scan("product", since, until))) == ["1"]
        assert ids(await all_pages(session, Scan("product", since + timedelta(seconds=1)))) == []


async def test_price_that_moves_no_clock_is_seen_by_a_whole_scan(magento: MagentoShop) -> None:
    """Surprise 9: base prices."""
    put_products(magento, 1)
    since = grow_older(magento)
    magento.state.products[1]["price"] = 4.61
    async with session_with(magento) as session:
        assert ids(await all_pages(session, Scan("product", since))) == []
        records = await all_records(session, "product")
    assert records["1"].parts[0].fields["price"]["amount"] == 461


async def test_child_of_two_belongs_to_the_first(magento: MagentoShop) -> None:
    magento.put_product(*jacket())
    second = dict(magento.state.products[500], id=600, sku="FAMILY-600", custom={"url_key": "second"})
    magento.state.products[600] = second
    async with session_with(magento) as session:
        records = await all_records(session, "product")
    assert [len(records[each].parts) for each in ("500", "600")] == [4, 0]


async def test_bundles_are_left_alone(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.state.products[7] = magento.state.kept(7, sku="SET", name="Set", type_id="bundle")
    async with session_with(magento) as session:
        assert list(await all_records(session, "product")) == ["1"]


async def test_product_that_can_not_be_read_keeps_no_other_from_it(magento: MagentoShop) -> None:
    put_products(magento, 3)
    magento.state.products[2]["price"] = "dear"
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("product"))
    assert ids(pages) == ["1", "3"]
    ((unread,),) = [page.unread for page in pages if page.unread]
    assert (unread.external_id, "'dear'" in unread.message) == ("2", True)


async def test_answer_that_ignores_what_was_asked_ends_no_scan_and_goes_round_in_none(
    magento: MagentoShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Surprise 5: unknown words are ignored with 200."""
    put_products(magento, 5)
    async with session_with(magento) as session:
        page = await session.page(Scan("product"))

        def whole(rows: list[JsonObject], _query: JsonObject, _size: int) -> JsonObject:
            return {"items": rows, "total_count": 99}

        monkeypatch.setattr("tests.fakes.magento.searched", whole)
        with pytest.raises(AnswerNotUnderstood):
            await session.page(Scan("product", resume=page.resume))


async def test_custom_fields_are_read_by_their_labels(magento: MagentoShop) -> None:
    magento.put_product(*product(1, brand="Skerry", product_type="Scarves", categories=[["Wool", "Soft"]]))
    async with session_with(magento) as session:
        (record,) = await session.read("product", ["1"])
    assert record.fields["brand"] == "Skerry"
    assert record.fields["product_type"] == "Scarves"
    assert record.fields["categories"] == [["Wool", "Soft"]]
    magento.settings["attributes"] = {"brand": None}
    async with session_with(magento) as session:
        (record,) = await session.read("product", ["1"])
    assert not {"brand", "product_type"} & set(record.fields)
    assert "barcode" not in record.parts[0].fields


# --- stock


async def test_stock_is_read_source_by_source_to_its_end(magento: MagentoShop) -> None:
    for place in ("main", "attic"):
        for number in range(1, 6):
            magento.put_stock(f"SCARF-{number}", place, number)
    magento.state.sources["empty"] = "Empty"
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("stock"))
    records = [record.fields for page in pages for record in page.records]
    assert sorted((each["location"], each["sku"], each["quantity"]) for each in records) == [
        (place, f"SCARF-{number}", number) for place in ("attic", "main") for number in range(1, 6)
    ]


async def test_stock_is_read_whole_whatever_the_time(magento: MagentoShop) -> None:
    """It has no clock."""
    magento.put_stock("SCARF-1", "main", 5)
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("stock", clock.now() + timedelta(days=1)))
        assert ids(pages) == ["main/scarf-1"]
        (record,) = await session.read("stock", ["main/scarf-1", "main/gone", "nowhere/scarf-1"])
    assert record.fields == {"sku": "SCARF-1", "location": "main", "quantity": 5}


async def test_sku_with_a_comma_is_found(magento: MagentoShop) -> None:
    for sku in ("A,B", "A/B 12"):
        magento.put_stock(sku, "main", 2)
    async with session_with(magento) as session:
        assert len(await session.read("stock", ["main/a,b", "main/a/b 12"])) == 2


# --- orders and what there is not


async def test_orders_that_changed_are_read_by_their_clock(magento: MagentoShop) -> None:
    for number in range(5001, 5006):
        magento.put_order(order(number))
    since = grow_older(magento)
    magento.put_order(order(5003, status="complete"))
    async with session_with(magento) as session:
        assert ids(await all_pages(session, Scan("order"))) == [str(number) for number in range(5001, 5006)]
        pages = await all_pages(session, Scan("order", since))
        read = await session.read("order", ["5003", "404"])
    assert ids(pages) == ["5003"]
    assert [record.fields["status"] for record in read] == ["complete"]


async def test_what_magento_does_not_have_is_refused(magento: MagentoShop) -> None:
    async with session_with(magento) as session:
        with pytest.raises(PlatformRefused):
            await session.page(Scan("supplier"))
        with pytest.raises(PlatformRefused):
            await session.read("supplier", ["1"])


def test_attributes_of_the_fake_are_told_apart() -> None:
    assert len({each[0] for each in magento_words.ATTRIBUTES}) == len(magento_words.ATTRIBUTES)
