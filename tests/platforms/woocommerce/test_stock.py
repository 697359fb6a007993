"""Stock that goes out to WooCommerce: read, compared, and written where it is counted (SYN-5, INV-7)."""

from collections.abc import Callable

import pytest

from services.sync.platforms.base import StockWrite, Written
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import product, put_products, session_with
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
    lose(2)
    (first,) = await wrote(woo, ("1", 3, 5))
    assert (first.outcome, woo.stock("SCARF-1", "main")) == ("retry", 3)
    woo.put_stock("SCARF-1", "main", 2)
    (again,) = await wrote(woo, ("1", 3, 5))
    assert (again.outcome, again.fields, woo.stock("SCARF-1", "main")) == ("stale", {"quantity": 2}, 2)


async def test_sku_of_a_level_may_be_none(woo: WooShop) -> None:
    put_products(woo, 1)
    woo.put_stock("SCARF-1", "main", 5)
    woo.products[1]["sku"] = ""
    (written,) = await wrote(woo, ("1", 4, 5))
    assert written.outcome == "ok"
