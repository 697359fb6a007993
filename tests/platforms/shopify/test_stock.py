"""Stock written to Shopify: compare-and-set, once, each level by itself (INV-7, SYN-5, SYN-12)."""

import pytest

from services.sync.errors import PlatformAway
from services.sync.platforms.base import StockWrite, Written
from services.sync.platforms.shopify import stock
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-5", "INV-7")


async def write(shop: ShopifyShop, *writes: StockWrite) -> list[Written]:
    async with session_with(shop) as session:
        return list(await session.write_stock(writes))


def setting(number: int, quantity: int, expected: int | None = None, place: str = "1", key: str = "") -> StockWrite:
    """A level of the product of this number, by its level's id."""
    level = f"{place}?inventory_item_id={number * 10}"
    return StockWrite(key or f"k{number}-{place}", level, f"SCARF-{number}", place, quantity, expected)


def fill(shop: ShopifyShop, *quantities: int) -> None:
    put_products(shop, len(quantities))
    for number, quantity in enumerate(quantities, 1):
        shop.put_stock(f"SCARF-{number}", "1", quantity)


def levels(shop: ShopifyShop, count: int) -> list[int]:
    return [shop.stock(f"SCARF-{number}", "1") for number in range(1, count + 1)]


async def test_batch_is_one_request(shopify: ShopifyShop) -> None:
    fill(shopify, 1, 2, 3)
    written = await write(shopify, setting(1, 5, 1), setting(2, 2, 2), setting(3, 0, 3))
    assert [each.outcome for each in written] == ["ok", "unchanged", "ok"]
    assert levels(shopify, 3) == [5, 2, 0]
    assert [name for name, _ in shopify.asked] == ["SetQuantities"]


async def test_one_that_is_stale_does_not_keep_the_others(shopify: ShopifyShop) -> None:
    """Shopify writes all of a batch or nothing: what is wrong is taken out, and the rest sent again."""
    fill(shopify, 1, 9, 3)
    written = await write(shopify, setting(1, 5, 1), setting(2, 4, 2), setting(3, 0, 3))
    assert [each.outcome for each in written] == ["ok", "stale", "ok"]
    assert written[1].fields == {"quantity": 9}
    assert levels(shopify, 3) == [5, 9, 0]


async def test_one_that_needs_a_person_does_not_keep_the_others(shopify: ShopifyShop) -> None:
    fill(shopify, 1, 2)
    gone = StockWrite("k9", "1?inventory_item_id=999", "GONE", "1", 4, 1)
    nowhere = setting(2, 4, 2, place="77")
    written = await write(shopify, gone, setting(1, 5, 1), nowhere, setting(2, -2_000_000_000, 2))
    assert [each.outcome for each in written] == ["person", "ok", "person", "person"]
    assert "too low" in str(written[3].message)
    assert levels(shopify, 2) == [5, 2]


async def test_place_that_does_not_stock_an_item_is_told_to_first(shopify: ShopifyShop) -> None:
    fill(shopify, 1)
    written = await write(shopify, setting(1, 7, place="2"), setting(1, 3, 1))
    assert [each.outcome for each in written] == ["ok", "ok"]
    assert (shopify.stock("SCARF-1", "1"), shopify.stock("SCARF-1", "2")) == (3, 7)


async def test_item_is_found_by_its_sku_when_nothing_else_is_known(shopify: ShopifyShop) -> None:
    fill(shopify, 1, 2)
    shopify.put_product(*product(3))
    shopify.put_product("4", product(4)[1], {"40": {"sku": "SCARF-3"}})
    written = await write(
        shopify,
        StockWrite("k1", "unknown", "SCARF-2", "1", 8, 2),
        StockWrite("k2", "unknown", "NONE", "1", 8),
        StockWrite("k3", "unknown", "SCARF-3", "1", 8),
    )
    assert [each.outcome for each in written] == ["ok", "person", "person"], "a SKU that two have is nobody's"
    assert shopify.stock("SCARF-2", "1") == 8


@pytest.mark.parametrize("sku", ['A"B', "a:b OR sku:SCARF-1", "x\\", "*", "ø å"])
async def test_odd_sku_finds_its_own_item_alone(shopify: ShopifyShop, sku: str) -> None:
    put_products(shopify, 1)
    shopify.put_product("2", product(2)[1], {"20": {"sku": sku}})
    written = await write(shopify, StockWrite("k", "unknown", sku, "1", 8))
    assert written[0].outcome == "ok"
    assert list(shopify.levels) == [("20", "1")]


async def test_lost_answer_is_found_out_by_the_same_key(shopify: ShopifyShop) -> None:
    """The same write again is answered as the first time, and puts nothing back that was sold since."""
    fill(shopify, 5)
    shopify.lose.append("SetQuantities")
    with pytest.raises(PlatformAway):
        await write(shopify, setting(1, 3, 5))
    shopify.put_stock("SCARF-1", "1", 2)
    assert (await write(shopify, setting(1, 3, 5)))[0].outcome == "ok"
    assert levels(shopify, 1) == [2]


async def test_lost_answer_is_found_out_by_reading_when_the_batch_is_another(shopify: ShopifyShop) -> None:
    fill(shopify, 5, 1)
    shopify.lose.append("SetQuantities")
    with pytest.raises(PlatformAway):
        await write(shopify, setting(1, 3, 5))
    written = await write(shopify, setting(1, 3, 5), setting(2, 4, 1))
    assert [each.outcome for each in written] == ["unchanged", "ok"]
    assert levels(shopify, 2) == [3, 4]
    assert len([each for each in shopify.writes if each.has_changed]) == 2


async def test_lost_answer_in_the_middle_keeps_what_was_said_before(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOST_AT_ONCE", 1)
    fill(shopify, 5, 1, 1)
    asked = iter(["", "SetQuantities", ""])
    shopify.before = lambda name: shopify.lose.append(next(asked))
    written = await write(shopify, setting(1, 3, 5), setting(2, 4, 1), setting(3, 9, 1))
    assert [each.outcome for each in written] == ["ok", "retry", "ok"]
    assert levels(shopify, 3) == [3, 4, 9]


async def test_level_twice_in_a_batch_is_set_to_the_later(shopify: ShopifyShop) -> None:
    """Shopify refuses a level twice in one list."""
    fill(shopify, 1)
    written = await write(shopify, setting(1, 5, 1, key="a"), setting(1, 8, 5, key="b"))
    assert [each.outcome for each in written] == ["ok", "ok"]
    assert levels(shopify, 1) == [8]


async def test_sale_between_asking_and_writing_is_never_written_over(shopify: ShopifyShop) -> None:
    """INV-7: the shop sells one at the very moment that our request is under way."""
    fill(shopify, 5)
    shopify.before = lambda name: shopify.put_stock("SCARF-1", "1", 4) if name == "SetQuantities" else None
    written = (await write(shopify, setting(1, 9, 5)))[0]
    assert (written.outcome, written.fields) == ("stale", {"quantity": 4})
    assert levels(shopify, 1) == [4]


async def test_more_than_a_list_takes_is_written_in_lists(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOST_AT_ONCE", 2)
    fill(shopify, 1, 1, 1, 1, 1)
    written = await write(shopify, *(setting(number, number + 1, 1) for number in range(1, 6)))
    assert {each.outcome for each in written} == {"ok"}
    assert levels(shopify, 5) == [2, 3, 4, 5, 6]
    sent = [variables["input"]["quantities"] for name, variables in shopify.asked if name == "SetQuantities"]
    assert [len(each) for each in sent] == [2, 2, 1]


async def test_keys_follow_from_the_writes(shopify: ShopifyShop) -> None:
    """The same for the same, whoever sends it; another as soon as a value is another."""
    fill(shopify, 1, 2)
    keys = []
    for writes in ([setting(1, 5, 1)], [setting(1, 5, 1)], [setting(1, 6, 1)], [setting(1, 5, 1), setting(2, 1, 2)]):
        await write(shopify, *writes)
        keys.append(next(given["key"] for name, given in reversed(shopify.asked) if name == "SetQuantities"))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


async def test_answer_has_the_level_and_its_item(shopify: ShopifyShop) -> None:
    fill(shopify, 1)
    written = (await write(shopify, setting(1, 5, 1)))[0]
    assert (written.external_id, written.references) == ("1?inventory_item_id=10", {"inventory_item": "10"})
    assert written.fields == {"quantity": 5}
