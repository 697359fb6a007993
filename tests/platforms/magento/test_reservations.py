"""What orders in a Magento shop hold back: its source has it until it ships, and it is not there to be sold (INV-7)."""

from typing import Any

import pytest

from services.sync.platforms.base import Scan, ShipmentWrite, StockWrite
from services.sync.platforms.magento.reservations import allotted, reserved_by
from services.sync.platforms.magento.shop import Source, by_priority
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import all_pages, order, put_products, session_with
from tests.platforms.magento.recordings import needs_data, one

pytestmark = pytest.mark.feature("SYN-1", "INV-7")


def item(sku: str, ordered: float, item_id: int = 1, **more: Any) -> dict[str, Any]:
    return {"item_id": item_id, "sku": sku, "product_type": "simple", "qty_ordered": ordered, **more}


async def quantities(magento: MagentoShop) -> dict[str, int]:
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("stock"))
        found = {record.external_id: record.fields["quantity"] for page in pages for record in page.records}
        read = await session.read("stock", list(found))
    assert {record.external_id: record.fields["quantity"] for record in read} == found
    return found


async def test_order_holds_its_goods_back_until_they_ship(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 10)
    magento.take_order(order(5001, quantity=2))
    assert magento.state.levels["main", "scarf-1"]["quantity"] == 10
    assert await quantities(magento) == {"main/scarf-1": 8}
    async with session_with(magento) as session:
        (written,) = await session.write_stock([StockWrite("k", "main/scarf-1", "SCARF-1", "main", 5, 8)])
        assert (written.outcome, written.fields) == ("ok", {"quantity": 5})
        assert magento.state.levels["main", "scarf-1"]["quantity"] == 7
        (shipped,) = await session.confirm_shipments([ShipmentWrite("s", "5001", [("SCARF-1", 2)], None, ["A"], None)])
    assert shipped.outcome == "ok"
    assert magento.state.levels["main", "scarf-1"]["quantity"] == 5
    assert await quantities(magento) == {"main/scarf-1": 5}, "that it has left changes nothing of what can be sold"


async def test_order_that_is_not_paid_sells_nothing_twice(magento: MagentoShop) -> None:
    """It is not taken here: 10 are there, 3 wait for money, one is sold elsewhere, and 6 are free in Magento."""
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 10)
    waits = order(5001, status="pending", quantity=3)
    magento.take_order(waits | {"is_paid": False})
    assert await quantities(magento) == {"main/scarf-1": 10}
    async with session_with(magento) as session:
        (written,) = await session.write_stock([StockWrite("k", "main/scarf-1", "SCARF-1", "main", 9, 10)])
    assert (written.outcome, written.fields) == ("ok", {"quantity": 9})
    assert magento.stock("SCARF-1", "main") == 9 - 3
    magento.take_order(waits | {"status": "processing", "is_paid": True})
    assert await quantities(magento) == {"main/scarf-1": 6}, "once it is paid it is reserved here too"


async def test_nothing_that_can_be_sold_leaves_what_is_reserved_in_its_source(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 10)
    magento.take_order(order(5001, quantity=2))
    async with session_with(magento) as session:
        (written,) = await session.write_stock([StockWrite("k", "main/scarf-1", "SCARF-1", "main", 0, 8)])
    assert written.outcome == "ok"
    level = magento.state.levels["main", "scarf-1"]
    assert (level["quantity"], level["status"]) == (2, 1)
    assert await quantities(magento) == {"main/scarf-1": 0}


async def test_reserved_is_taken_from_the_source_that_ships_first(magento: MagentoShop) -> None:
    magento.state.sources = {"quay": "Quay", "attic": "Attic"}
    for place, quantity in (("quay", 3), ("attic", 5)):
        magento.put_stock("SCARF-1", place, quantity)
    magento.take_order(order(5001, quantity=4))
    assert await quantities(magento) == {"attic/scarf-1": 4, "quay/scarf-1": 0}


async def test_order_between_reading_and_writing_sells_nothing_twice(magento: MagentoShop) -> None:
    """It is reserved on top of what is written: there is less to sell, as there should be."""
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 10)

    def buy(method: str, _path: str) -> None:
        if method == "POST":
            magento.take_order(order(5001, quantity=2))

    magento.before = buy  # type: ignore[method-assign]
    async with session_with(magento) as session:
        await session.write_stock([StockWrite("k", "main/scarf-1", "SCARF-1", "main", 7, 10)])
    magento.before = lambda *_: None  # type: ignore[method-assign]
    assert await quantities(magento) == {"main/scarf-1": 5}


@pytest.mark.parametrize(
    ("items", "held"),
    [
        ([item("A", 3, qty_shipped=1, qty_invoiced=3)], {"a": 2}),
        ([item("A", 3, qty_canceled=1, qty_refunded=1)], {"a": 1}),
        ([item("A", 2, qty_shipped=2, qty_refunded=1)], {}),
        ([item("A", 2, is_virtual=1, qty_invoiced=2)], {}),
        ([item("A", 2, is_virtual=1, product_type="virtual")], {"a": 2}),
        ([item("A", 1.5)], {"a": 2}),
        ([item("A", 1), item("a", 1, 2)], {"a": 2}),
        (
            [item("J-M", 2, 1, product_type="configurable"), item("J-M", 2, 2, parent_item_id=1)],
            {"j-m": 2},
        ),
        (
            [item("SET-A", 1, 1, product_type="bundle"), item("A", 2, 2, parent_item_id=1)],
            {"a": 2},
        ),
        ([], {}),
    ],
)
def test_what_of_an_order_is_held_back(items: list[dict[str, Any]], held: dict[str, int]) -> None:
    assert reserved_by({"items": items}) == held


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({("one", "a"): 3, ("two", "a"): 9}, {("one", "a"): 3, ("two", "a"): 2}),
        ({("two", "a"): 9}, {("two", "a"): 5}),
        ({("one", "a"): 1, ("two", "a"): 1}, {("one", "a"): 4, ("two", "a"): 1}),
        ({}, {}),
    ],
)
def test_reserved_is_taken_source_by_source(
    there: dict[tuple[str, str], int], taken: dict[tuple[str, str], int]
) -> None:
    assert allotted({"a": 5}, there, ["one", "two"]) == taken


def test_sources_are_in_the_order_in_which_they_ship() -> None:
    links = [
        {"source_code": "late", "priority": 9},
        {"source_code": "b", "priority": 2},
        {"source_code": "late", "priority": 1},
    ]
    sources = [Source(code, code) for code in ("a", "b", "late")]
    assert by_priority(links, sources) == ["late", "b", "a"]


@needs_data
def test_recorded_orders_hold_back_what_they_did() -> None:
    assert reserved_by(one("08", 7).body) == {"glove-l": 2, "jacket-m": 1}
    assert by_priority(one("09", 2).body["items"], [Source("default", ""), Source("wh2", "")]) == ["default", "wh2"]
