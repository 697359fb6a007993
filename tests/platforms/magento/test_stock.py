"""Stock levels of a Magento shop: what it would take without a word is not told to it (SYN-5, INV-7)."""

from typing import Any

import pytest

from services.sync.errors import PlatformAway
from services.sync.platforms.base import StockWrite
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-5", "INV-7")


def write(sku: str, quantity: int, expected: int | None, place: str = "main") -> StockWrite:
    return StockWrite(f"k-{sku}", f"{place}/{sku.lower()}", sku, place, quantity, expected)


async def written(magento: MagentoShop, *writes: StockWrite) -> list[str]:
    async with session_with(magento) as session:
        return [each.outcome for each in await session.write_stock(writes)]


async def test_ghost_is_not_made(magento: MagentoShop) -> None:
    """Surprise 7: a level of a SKU that nobody has is stored with 200."""
    put_products(magento, 1)
    assert await written(magento, write("SCARF-1", 3, None), write("GHOST-1", 7, None)) == ["ok", "person"]
    assert list(magento.state.levels) == [("main", "scarf-1")]


async def test_unknown_source_keeps_no_other_level_from_being_set(magento: MagentoShop) -> None:
    """Surprise 7: one unknown source refuses the batch, and no row is named."""
    put_products(magento, 2)
    outcomes = await written(magento, write("SCARF-1", 3, 0), write("SCARF-2", 3, 0, "nowhere"))
    assert outcomes == ["ok", "person"]
    assert magento.stock("SCARF-1", "main") == 3


async def test_batch_that_is_refused_is_set_one_by_one(magento: MagentoShop) -> None:
    put_products(magento, 3)
    for number in (1, 2, 3):
        magento.put_stock(f"SCARF-{number}", "main", 5)
    real = magento.state.set_levels

    def picky(items: list[dict[str, Any]]) -> list[Any]:
        if any(item["sku"] == "SCARF-2" for item in items):
            items = [*items, {"sku": "X", "source_code": "nowhere", "quantity": 1, "status": 1}]
        return real(items)

    magento.state.set_levels = picky  # type: ignore[method-assign]
    assert await written(magento, *(write(f"SCARF-{n}", 4, 5) for n in (1, 2, 3))) == ["ok", "person", "ok"]
    assert [magento.stock(f"SCARF-{n}", "main") for n in (1, 2, 3)] == [4, 5, 4]


async def test_nothing_left_is_out_of_stock_and_something_is_in_stock(magento: MagentoShop) -> None:
    """Surprise 7: `status` is needed, and 0 hides what is there."""
    put_products(magento, 2)
    magento.put_stock("SCARF-1", "main", 5)
    magento.state.levels["main", "scarf-2"] = {"sku": "SCARF-2", "source_code": "main", "quantity": 5, "status": 0}
    assert await written(magento, write("SCARF-1", 0, 5), write("SCARF-2", 5, 0)) == ["ok", "ok"]
    assert [each["status"] for each in magento.state.levels.values()] == [0, 1]


async def test_sku_in_another_case_is_the_same_level(magento: MagentoShop) -> None:
    """Surprise 6."""
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 5)
    assert await written(magento, write("scarf-1", 4, 5)) == ["ok"]
    assert (len(magento.state.levels), magento.stock("SCARF-1", "main")) == (1, 4)


async def test_level_that_was_taken_without_effect_is_not_believed(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 5)
    magento.state.set_levels = lambda items: []  # type: ignore[method-assign]
    assert await written(magento, write("SCARF-1", 4, 5)) == ["retry"]


async def test_answer_that_is_lost_after_the_write_is_no_second_write(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 5)
    magento.lose = ["POST inventory"]
    async with session_with(magento) as session:
        with pytest.raises(PlatformAway):
            await session.write_stock([write("SCARF-1", 3, 5)])
    assert magento.stock("SCARF-1", "main") == 3
    magento.put_stock("SCARF-1", "main", 2)
    assert await written(magento, write("SCARF-1", 3, 5)) == ["stale"]
    assert magento.stock("SCARF-1", "main") == 2


async def test_level_that_can_not_be_read_back_is_looked_at_anew(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 5)

    def spoil(method: str, _path: str) -> None:
        magento.faults.half = int(method == "POST")

    magento.before = spoil  # type: ignore[method-assign]
    assert await written(magento, write("SCARF-1", 3, 5)) == ["retry"]
    assert await written(magento, write("SCARF-1", 3, 5)) == ["unchanged"]


async def test_same_level_twice_is_set_in_turn(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.put_stock("SCARF-1", "main", 5)
    assert await written(magento, write("SCARF-1", 4, 5), write("SCARF-1", 3, 4)) == ["ok", "ok"]
    assert magento.stock("SCARF-1", "main") == 3


async def test_many_levels_go_some_at_a_time(magento: MagentoShop) -> None:
    for number in range(1, 46):
        magento.put_product(*product(number))
        magento.put_stock(f"SCARF-{number}", "main", 5)
    outcomes = await written(magento, *(write(f"SCARF-{number}", 4, 5) for number in range(1, 46)))
    assert set(outcomes) == {"ok"}
    bodies = [
        body for method, path, _, body in magento.requests if (method, path) == ("POST", "/V1/inventory/source-items")
    ]
    assert [len(body["sourceItems"]) for body in bodies] == [20, 20, 5]
