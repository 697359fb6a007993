"""Stock levels: which rows are any, and that each is looked at before it is set (SYN-2, SYN-5, INV-7)."""

from typing import Any

import pytest

from services.sync.platforms.base import Record, Scan, StockWrite
from services.sync.platforms.prestashop import unpaid
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import all_pages, order, product, session_with
from tests.platforms.prestashop.driving import put_combined

pytestmark = pytest.mark.feature("SYN-2", "SYN-5", "INV-7")


def sent(shop: PrestaShop) -> list[str]:
    return [f"{asked.method} {asked.path}" for asked in shop.requests if asked.method != "GET"]


async def levels(shop: PrestaShop, since: Any = None) -> dict[str, Record]:
    async with session_with(shop) as session:
        pages = await all_pages(session, Scan("stock", since))
    return {record.fields["sku"]: record for page in pages for record in page.records}


def write(record: Record, quantity: int, expected: int | None = None) -> StockWrite:
    return StockWrite("k", record.external_id, record.fields["sku"], "1", quantity, expected, record.references)


async def test_sum_of_combinations_is_neither_read_nor_written(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    put_combined(prestashop)
    prestashop.put_stock("SCARF-S", "1", 3)
    prestashop.put_stock("SCARF-L", "1", 4)
    whole = prestashop.memory.rows("stock_availables", id_product="3", id_product_attribute="0")[0]
    assert whole["quantity"] == "7"
    found = await levels(prestashop)
    assert {sku: record.fields["quantity"] for sku, record in found.items()} == {
        "SCARF-1": 0,
        "SCARF-S": 3,
        "SCARF-L": 4,
    }
    async with session_with(prestashop) as session:
        refused = await session.write_stock([StockWrite("k1", str(whole["id"]), "SCARF-S", "1", 5)])
        done = await session.write_stock([write(found["SCARF-S"], 9, 3)])
    assert [each.outcome for each in (*refused, *done)] == ["person", "ok"]
    assert whole["quantity"] == "13"


async def test_levels_of_what_is_not_there_are_none(prestashop: PrestaShop) -> None:
    """Surprise 10: a combination of an unknown product is stored, and has a stock level."""
    prestashop.put_product(*product(1))
    memory = prestashop.memory
    number = memory.add("combinations", id_product="99999", reference="GHOST")
    memory.after_combination(memory.tables["combinations"][number], is_new=True)
    memory.add("stock_availables", id_product="1", id_product_attribute="0", id_shop="2", quantity="99")
    assert sorted(await levels(prestashop)) == ["SCARF-1"]


async def test_stock_is_read_whole_however_little_is_wanted(prestashop: PrestaShop) -> None:
    """Surprise 1: a filter by date would answer with nothing, as if nothing had changed."""
    for number in range(1, 6):
        prestashop.put_product(*product(number))
    assert len(await levels(prestashop, prestashop.memory.now)) == 5
    assert not any("filter[date_upd]" in asked.query for asked in prestashop.requests)


@pytest.mark.parametrize("version", ["1.7.8.11", "8.2.1"])
async def test_levels_are_set_one_by_one_as_they_were_expected(prestashop: PrestaShop, version: str) -> None:
    prestashop.version = version
    for number in range(1, 13):
        prestashop.put_product(*product(number))
        prestashop.put_stock(f"SCARF-{number}", "1", number)
    found = await levels(prestashop)
    prestashop.put_stock("SCARF-2", "1", 99)
    writes = [write(found[f"SCARF-{number}"], 50, number) for number in range(1, 13)]
    writes.append(write(found["SCARF-1"], 49, 50))
    async with session_with(prestashop) as session:
        done = await session.write_stock(writes)
        again = await session.write_stock(writes[2:12])
    outcomes = [each.outcome for each in done]
    assert outcomes == ["ok", "stale", *["ok"] * 11]
    assert done[1].fields == {"quantity": 99}
    assert {each.outcome for each in again} == {"unchanged"}
    assert [prestashop.stock(f"SCARF-{number}", "1") for number in (1, 2, 3)] == [49, 99, 50]
    assert len(sent(prestashop)) == 12
    row = prestashop.level("SCARF-3")
    assert (row["out_of_stock"], row["id_product"]) == ("2", "3")


async def quantity_of(shop: PrestaShop, sku: str = "SCARF-1") -> int:
    """The same by a scan and by its id."""
    found = (await levels(shop))[sku]
    async with session_with(shop) as session:
        (read,) = await session.read("stock", [found.external_id])
    assert read.fields == found.fields
    return int(read.fields["quantity"])


async def test_what_an_unpaid_order_took_is_not_given_back(prestashop: PrestaShop) -> None:
    """It is not taken here: 10 are there, 3 wait for money, one is sold elsewhere, and 6 are free in PrestaShop."""
    prestashop.put_product(*product(1))
    prestashop.put_stock("SCARF-1", "1", 10)
    waits = order(501, status="Awaiting check payment", quantity=3) | {"is_paid": False}
    prestashop.take_order(waits)
    assert (prestashop.stock("SCARF-1", "1"), await quantity_of(prestashop)) == (7, 10)
    level = (await levels(prestashop))["SCARF-1"]
    async with session_with(prestashop) as session:
        (written,) = await session.write_stock([write(level, 9, 10)])
        (again,) = await session.write_stock([write(level, 9, 10)])
    assert (written.outcome, written.fields, again.outcome) == ("ok", {"quantity": 9}, "unchanged")
    assert (prestashop.stock("SCARF-1", "1"), await quantity_of(prestashop)) == (6, 9)
    prestashop.put_order(waits | {"status": "Payment accepted", "is_paid": True})
    assert await quantity_of(prestashop) == 6, "once it is paid it is reserved here too"
    prestashop.put_order(waits | {"status": "Waits once more", "is_paid": False})
    assert await quantity_of(prestashop) == 6, "and it stays so, whatever state comes then"


@pytest.mark.parametrize("status", ["Canceled", "Payment error", "Refunded", "Left unpaid"])
async def test_order_that_is_settled_holds_nothing(prestashop: PrestaShop, status: str) -> None:
    prestashop.put_product(*product(1))
    prestashop.memory.add("order_states", name="Left unpaid", shipped="1")
    prestashop.put_order(order(501, status=status) | {"is_paid": False})
    assert await quantity_of(prestashop) == 0


async def test_latest_unpaid_orders_of_the_shop_hold_what_is_theirs(
    prestashop: PrestaShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpaid, "ORDERS_AT_ONCE", 2)
    monkeypatch.setattr(unpaid, "MOST_ORDERS", 6)
    prestashop.put_product(*product(1))
    put_combined(prestashop)
    for number in range(501, 508):
        sku = "SCARF-S" if number % 2 else "SCARF-1"
        prestashop.put_order(order(number, status="Waits", sku=sku, quantity=2) | {"is_paid": False})
    prestashop.memory.tables["orders"][507]["id_shop"] = "2"
    found = {sku: record.fields["quantity"] for sku, record in (await levels(prestashop)).items()}
    assert found == {"SCARF-1": 6, "SCARF-S": 4, "SCARF-L": 0}


async def test_level_below_nothing_is_read_as_it_is(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.put_stock("SCARF-1", "1", -3)
    assert (await levels(prestashop))["SCARF-1"].fields["quantity"] == -3


async def test_product_clock_does_not_move_with_its_stock(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    before = dict(prestashop.memory.tables["products"][1])
    found = await levels(prestashop)
    async with session_with(prestashop) as session:
        await session.write_stock([write(found["SCARF-1"], 5, 0)])
    assert prestashop.memory.tables["products"][1]["date_upd"] == before["date_upd"]
