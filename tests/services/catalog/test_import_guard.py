"""What the guard weighs: everything that an import would delete, deactivate or set to zero."""

from typing import Any

import pytest

from services.catalog.use_cases import product_harms
from shared.contracts.catalog.messages import ListProducts
from shared.contracts.platform.imports import ConfirmImport, Import
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("CAT-6")

TEN = [shopify_row(f"p-{n}", quantity="7") for n in range(10)]


@pytest.fixture
async def full(shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Ten products at 10.00, seven of each in stock; asked about three at a time."""
    monkeypatch.setattr(product_harms, "_ASKED_AT_ONCE", 3)
    await shop_catalog.bring_in(csv_file(TEN))
    await Merchant(shop_catalog.process, shop_catalog.organization_id).stocked({f"P-{n}": 7 for n in range(10)})
    return shop_catalog


def harms(imported: Import) -> list[tuple[str, int, int]]:
    return [(harm.what, harm.count, harm.of) for harm in imported.harms]


def priced(*prices: str) -> bytes:
    return "\n".join(["sku,price", *(f"P-{n},{price}" for n, price in enumerate(prices))]).encode()


@pytest.mark.parametrize(
    ("content", "parameters", "expected"),
    [
        (csv_file([{**row, "Variant Inventory Qty": "0"} for row in TEN]), {}, ("stock_zeroed", 10, 10)),
        (csv_file([{**row, "Variant Inventory Qty": "-4"} for row in TEN]), {}, ("stock_zeroed", 10, 10)),
        (csv_file([{**row, "Variant Inventory Qty": "'-4"} for row in TEN[:3]]), {}, ("stock_zeroed", 3, 10)),
        (csv_file([{**row, "Variant Price": "0.00"} for row in TEN]), {}, ("prices_zeroed", 10, 10)),
        (csv_file([{**row, "Variant Price": ""} for row in TEN]), {"mode": "replace"}, ("prices_deleted", 10, 10)),
        (priced("0", "0.00", "$0.00"), {"group": "prices"}, ("prices_zeroed", 3, 10)),
        (priced("0", "0", "0"), {"group": "prices", "mode": "update-only"}, ("prices_zeroed", 3, 10)),
        (priced("0", "0", "0"), {"group": "prices", "mode": "replace"}, ("prices_zeroed", 3, 10)),
        # Without SKUs, those that the rows would be given.
        (b"Handle,Title,Variant Price\np-1,P,0\np-2,P,0\np-3,P,0\np-4,P,1\n", {}, ("prices_zeroed", 3, 10)),
        (
            "handle,title,sku,quantity\np-1,P,P-1,0\np-2,P,P-2,0\np-3,P,P-3,0\n".encode("utf-16"),
            {},
            ("stock_zeroed", 3, 10),
        ),
    ],
)
async def test_zeros_and_emptied_prices_are_held(
    full: Catalog, content: bytes, parameters: dict[str, Any], expected: tuple[str, int, int]
) -> None:
    before = await full.rows("SELECT * FROM prices ORDER BY variant_id")
    held = await full.bring_in(content, **parameters)
    assert (held.state, harms(held)) == ("held", [expected])
    assert await full.rows("SELECT * FROM prices ORDER BY variant_id") == before
    # A dry run says the same of the same rows; with a guard of 100 nothing is asked.
    tried = await full.bring_in(content, **parameters, dry_run=True)
    assert (tried.state, harms(tried)) == ("succeeded", [expected])
    assert (await full.bring_in(content, **parameters, guard_percent=100)).state == "succeeded"


async def test_what_takes_nothing_away_is_not_held(full: Catalog) -> None:
    nothing = [
        (csv_file([{**row, "Variant Price": "", "Variant Inventory Qty": ""} for row in TEN]), {}),
        (csv_file(TEN), {"mode": "replace"}),
        (csv_file([shopify_row(f"new-{n}", quantity="0", price="0") for n in range(10)]), {}),
        (csv_file([{**row, "Variant Inventory Qty": "x", "Variant Price": "-0x"} for row in TEN] + TEN[:1]), {}),
        (priced(*["1.00"] * 10), {"group": "prices"}),
        (priced("0"), {"group": "prices", "mode": "insert-only"}),
        (csv_file([{**row, "Variant Price": "0"} for row in TEN]), {"mode": "insert-only"}),
    ]
    for content, parameters in nothing:
        imported = await full.bring_in(content, **{"guard_percent": 0, **parameters})
        assert (imported.state != "held", harms(imported)) == (True, []), parameters
    # What is zero already is not zeroed.
    zeros = csv_file([{**row, "Variant Price": "0"} for row in TEN])
    assert (await full.bring_in(zeros, guard_percent=100)).counters["prices_updated"] == 10
    again = await full.bring_in(zeros, guard_percent=0)
    assert (again.state, harms(again)) == ("succeeded", [])


async def test_variants_are_counted_and_not_their_products(shop_catalog: Catalog) -> None:
    shown = {"option": "Size", "title": "Scarf"}
    rows = [shopify_row("scarf", **shown, value=size, sku=f"S-{size}") for size in ("S", "M", "L")]
    await shop_catalog.bring_in(csv_file(rows))
    emptied = csv_file([{**row, "Variant Price": ""} for row in rows])
    for is_dry in (True, False):
        done = await shop_catalog.bring_in(emptied, mode="replace", guard_percent=100, dry_run=is_dry)
        assert (done.counters["prices_deleted"], harms(done)) == (3, [("prices_deleted", 3, 3)])


async def test_a_category_that_closes_takes_its_branch_with_it(shop_catalog: Catalog) -> None:
    branch = "".join(f"Clothing > Kind {n},,\nClothing > Kind {n} > Old,,\n" for n in range(4))
    content = f"path,enabled,valid until\n{branch}Clothing > Kind 0 > Old,no,\nGarden,,\nShut,no,\nShut > Below,,\n"
    await shop_catalog.bring_in(content.encode(), group="categories")
    assert harms(await shop_catalog.bring_in(b"path\nShut\n", group="categories", mode="delete")) == []
    for row, counted in (("Clothing,false,", 9), ("Clothing > Kind 1,,2020-01-01", 2), ("Clothing > Kind 0,no,", 2)):
        file = f"path,enabled,valid until\n{row}\nGarden,yes,\n".encode()
        held = await shop_catalog.bring_in(file, group="categories", guard_percent=5)
        assert (held.state, harms(held)) == ("held", [("categories_disabled", counted, 10)])
        left = await shop_catalog.bring_in(file, group="categories", mode="insert-only", guard_percent=0)
        assert (left.state, harms(left)) == ("failed", [])


async def test_variants_that_lose_what_they_say_are_weighed(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}", grams="5") for n in range(4)]))
    content = b"sku,weight grams,mpn,requires shipping,barcodes\nP-1,,,,\nP-2,7,,,\nNONE,,,,\n"
    held = await shop_catalog.bring_in(content, group="variants", mode="replace")
    assert (held.state, harms(held)) == ("held", [("variants_emptied", 1, 4)])
    assert (await shop_catalog.bring_in(content, group="variants")).state == "succeeded"


async def test_a_yes_is_to_as_much_as_was_shown(shop_catalog: Catalog) -> None:
    """Four of ten when it was held; by the time somebody confirms it there are more."""
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(4)] + [shopify_row("kept")]))
    rows = csv_file([shopify_row(f"p-{n}", published="false") for n in range(10)])
    held = await shop_catalog.bring_in(rows)
    assert harms(held) == [("products_deactivated", 4, 5)]
    await shop_catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(10)]))
    again = await shop_catalog.run(await shop_catalog.ask(ConfirmImport(import_id=held.id)))
    assert (again.state, harms(again), again.confirmed_by) == ("held", [("products_deactivated", 10, 11)], None)
    assert {product.status for product in (await shop_catalog.ask(ListProducts())).items} == {"active"}
    # Less than what is confirmed goes in, and says how much it was in the end.
    await shop_catalog.bring_in(csv_file([shopify_row("p-0", published="false")]), guard_percent=100)
    done = await shop_catalog.run(await shop_catalog.ask(ConfirmImport(import_id=held.id)))
    assert (done.state, harms(done), done.counters["products_updated"]) == (
        *("succeeded", [("products_deactivated", 9, 10)], 9),
    )
    assert done.confirmed_by.id == shop_catalog.caller.id  # type: ignore[union-attr]


async def test_a_delete_names_products_by_slugs_in_any_script(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in("Handle,Title\nété,Été\nhiver,Hiver\n".encode())
    held = await shop_catalog.bring_in("Handle\nété\n".encode(), mode="delete")
    assert harms(held) == [("products_archived", 1, 2)]
    await shop_catalog.bring_in("Handle\nété\n".encode(), mode="delete", guard_percent=100)
    found = (await shop_catalog.ask(ListProducts())).items
    assert {product.slug: product.status for product in found} == {"été": "archived", "hiver": "active"}


@pytest.mark.feature("CAT-6")
async def test_products_that_are_called_otherwise_and_hidden_are_weighed(shop_catalog: Catalog) -> None:
    def supplied(name: str, visible: str) -> bytes:
        rows = [f"S-{n},{name} {n},B,5,1,en,{visible if n < 2 else 'true'}\n" for n in range(4)]
        return f"vendorSku,name,brand,msrp,defaultCost,language,isVisible\n{''.join(rows)}".encode()

    await shop_catalog.bring_in(supplied("Mug", "true"), profile="supplier")
    held = await shop_catalog.bring_in(supplied("Cup", "false"), profile="supplier")
    assert (held.state, harms(held)) == ("held", [("products_deactivated", 2, 4)])
