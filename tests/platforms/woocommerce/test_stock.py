"""Stock that goes out to WooCommerce: read, compared, and written where it is counted (SYN-5, INV-7)."""

from collections.abc import Callable
from typing import Any

import pytest

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import StockWrite, Written
from services.sync.platforms.woocommerce import held
from services.sync.platforms.woocommerce.held import held_by
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import all_records, order, product, put_products, session_with
from tests.platforms.woocommerce.test_scanning import SIZES

pytestmark = pytest.mark.feature("SYN-5", "SYN-7", "INV-7")


async def wrote(woo: WooShop, *writes: tuple[str, int, int | None]) -> list[Written]:
    async with session_with(woo) as session:
        stock = [StockWrite(f"k{each}", each, f"sku {each}", "main", *of) for each, *of in writes]
        return list(await session.write_stock(stock))


@pytest.mark.parametrize("has_flat", [True, False])
async def test_each_level_is_settled_by_itself_in_a_request_for_each_path(woo: WooShop, has_flat: bool) -> None:
    woo.has_flat_variations = has_flat
    put_products(woo, 4)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    for sku, quantity in (("SCARF-1", 5), ("SCARF-2", 5), ("SCARF-3", 5), ("MITTEN-S", 2), ("MITTEN-M", 2)):
        woo.put_stock(sku, "main", quantity)
    woo.requests.clear()
    written = await wrote(
        woo, ("1", 3, 5), ("2", 3, 4), ("3", 5, 4), ("4", 1, None), ("70", 9, 2), ("71", 8, None), ("999", 1, None)
    )
    assert [each.outcome for each in written] == ["ok", "stale", "unchanged", "person", "ok", "ok", "person"]
    assert [woo.stock(sku, "main") for sku in ("SCARF-1", "SCARF-2", "MITTEN-S", "MITTEN-M")] == [3, 5, 9, 8]
    assert written[1].fields == {"quantity": 5}
    assert "Track stock quantity" in str(written[3].message)
    assert sorted(path for method, path, _, _ in woo.requests if method == "POST") == [
        "/wc/v3/products/7/variations/batch",
        "/wc/v3/products/batch",
    ]


async def test_write_whose_answer_was_lost_is_seen_to_have_been_done(woo: WooShop, lose: Callable[[int], None]) -> None:
    """The first try took effect; then one was sold: the same write again must not put it back."""
    put_products(woo, 1)
    woo.put_stock("SCARF-1", "main", 5)
    lose(3)
    (first,) = await wrote(woo, ("1", 3, 5))
    assert (first.outcome, woo.stock("SCARF-1", "main")) == ("retry", 3)
    woo.put_stock("SCARF-1", "main", 2)
    (again,) = await wrote(woo, ("1", 3, 5))
    assert (again.outcome, again.fields, woo.stock("SCARF-1", "main")) == ("stale", {"quantity": 2}, 2)


async def levels(woo: WooShop, *ids: str) -> dict[str, int]:
    """By id, as they are read and as they are scanned."""
    async with session_with(woo) as session:
        read = {each.external_id: each.fields["quantity"] for each in await session.read("stock", list(ids))}
        scanned = await all_records(session, "stock")
    assert {each: scanned[each].fields["quantity"] for each in ids} == read
    return read


@pytest.mark.parametrize("has_flat", [True, False])
async def test_what_unpaid_orders_hold_is_not_given_back_by_our_figure(woo: WooShop, has_flat: bool) -> None:
    """WooCommerce takes stock for an order on hold, which nobody reserves here; cancelled, it comes on top."""
    woo.has_flat_variations = has_flat
    put_products(woo, 1)
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    for sku in ("SCARF-1", "MITTEN-S"):
        woo.put_stock(sku, "main", 10)
    for number, sku in ((5001, "SCARF-1"), (5002, "MITTEN-S"), (5003, "MITTEN-S"), (5004, "SCARF-1")):
        woo.put_on_hold(order(number, sku=sku, quantity=3))
    assert await levels(woo, "1", "70") == {"1": 10, "70": 10}
    assert [woo.stock(sku, "main") for sku in ("SCARF-1", "MITTEN-S")] == [4, 4]
    written = await wrote(woo, ("1", 9, 10), ("70", 5, 10))
    assert [(each.outcome, each.fields) for each in written] == [("ok", {"quantity": 9}), ("ok", {"quantity": 5})]
    assert [woo.stock(sku, "main") for sku in ("SCARF-1", "MITTEN-S")] == [3, -1]
    assert [each.outcome for each in await wrote(woo, ("1", 9, 10), ("70", 5, 10))] == ["unchanged"] * 2
    woo.cancel_order("5001")
    assert await levels(woo, "1", "70") == {"1": 9, "70": 5}
    # Paid, it is taken over, and reserved here.
    woo.orders[5002]["status"], woo.orders[5003]["date_paid_gmt"] = "processing", "2026-11-22T10:00:00"
    assert await levels(woo, "1", "70") == {"1": 9, "70": -1}


async def test_more_unpaid_orders_than_are_read_stop_stock_and_write_nothing(
    woo: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the unread ones hold would be sold once more."""
    monkeypatch.setattr(held, "MOST_ORDERS", 2)
    put_products(woo, 1)
    woo.put_stock("SCARF-1", "main", 10)
    for number in (5001, 5002):
        woo.put_on_hold(order(number, quantity=1))
    assert await levels(woo, "1") == {"1": 10}
    woo.put_on_hold(order(5003, quantity=1))
    for attempt in (levels(woo, "1"), wrote(woo, ("1", 9, 10))):
        with pytest.raises(PlatformRefused, match="More than 2 orders are on hold"):
            await attempt
    assert woo.stock("SCARF-1", "main") == 7


async def test_orders_are_not_asked_for_where_nothing_is_counted(woo: WooShop) -> None:
    put_products(woo, 1)
    await wrote(woo, ("1", 4, None), ("999", 4, None))
    async with session_with(woo) as session:
        assert await session.read("stock", ["1"]) == []
    assert not [path for _, path, _, _ in woo.requests if "orders" in path]


@pytest.mark.parametrize(("value", "held"), [("2", 2), (2, 2), ("1.5", 2), ("-1", 0), ("", 3), ("x", 3), ("NaN", 3)])
def test_what_a_line_holds_is_what_it_says(value: Any, held: int) -> None:
    """Plug-ins sell parts of a piece; what nobody can read is taken for what was sold."""
    meta = [{"key": "_reduced_stock", "value": value}, {"key": "Gift", "value": "9"}]
    line = {"product_id": 5, "variation_id": 0, "quantity": 3, "meta_data": meta}
    assert held_by({"status": "on-hold", "date_paid_gmt": None, "line_items": [line]})[5] == held


async def test_sku_of_a_level_may_be_none(woo: WooShop) -> None:
    put_products(woo, 1)
    woo.put_stock("SCARF-1", "main", 5)
    woo.products[1]["sku"] = ""
    (written,) = await wrote(woo, ("1", 4, 5))
    assert written.outcome == "ok"
