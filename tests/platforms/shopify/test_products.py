"""Products written to Shopify: what is different alone, each once, nothing taken away (SYN-5, SYN-7, SYN-8)."""

from typing import Any

import pytest

from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.platforms.shopify import products
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-5", "SYN-7", "SYN-8")
PRICE = {"amount": 1999, "currency": "EUR"}


async def write(shop: ShopifyShop, *writes: ProductWrite) -> list[Written]:
    async with session_with(shop) as session:
        return list(await session.write_products(writes))


def coloured(shop: ShopifyShop, *colours: str, **changes: Any) -> None:
    """A product with one variant of each colour, whose ids and SKUs end with their numbers."""
    variants = {
        str(10 + n): {"sku": f"C-{n}", "options": {"Colour": colour}, "price": PRICE}
        for n, colour in enumerate(colours)
    }
    shop.put_product("1", product(1, options=["Colour"], **changes)[1], variants)


def making(key: str = "k1", count: int = 2, **fields: Any) -> ProductWrite:
    variants = [
        VariantWrite(None, f"M-{n}", {"options": {"Colour": f"c{n}"}, "price": PRICE, "weight_grams": n or None})
        for n in range(count)
    ]
    return ProductWrite(key, None, {"title": "Made", "options": ["Colour"], **fields}, {}, variants)


def changed(shop: ShopifyShop) -> list[str]:
    return [each.kind for each in shop.writes if each.has_changed]


# --- changing


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "New"),
        ("description_html", "<p>New</p>"),
        ("brand", "Other"),
        ("product_type", "Hats"),
        ("handle", "new-handle"),
        ("status", "archived"),
        ("seo_title", "Seen"),
        ("seo_description", "By all"),
        ("tags", ["new", "winter"]),
    ],
)
async def test_each_field_is_written_by_itself(shopify: ShopifyShop, field: str, value: Any) -> None:
    put_products(shopify, 1)
    before, variants = shopify.product("1")
    written = (await write(shopify, ProductWrite("k", "1", {field: value}, {field: before[field]})))[0]
    after, variants_after = shopify.product("1")
    assert (written.outcome, written.fields[field]) == ("ok", value)
    assert after == before | {field: value}
    assert variants_after == variants
    assert len(changed(shopify)) >= 1


async def test_search_texts_are_written_one_by_one(shopify: ShopifyShop) -> None:
    shopify.put_product(*product(1, seo_title="Kept", seo_description="Old"))
    await write(shopify, ProductWrite("k", "1", {"seo_description": "New"}))
    assert {name: shopify.product("1")[0][name] for name in ("seo_title", "seo_description")} == {
        "seo_title": "Kept",
        "seo_description": "New",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("barcode", "4006381333931"),
        ("price", {"amount": 2500, "currency": "EUR"}),
        ("list_price", {"amount": 3000, "currency": "EUR"}),
        ("weight_grams", 250),
        ("requires_shipping", False),
        ("taxable", False),
        ("sku", "OTHER"),
    ],
)
async def test_each_field_of_a_variant_is_written_by_itself(shopify: ShopifyShop, field: str, value: Any) -> None:
    coloured(shopify, "Red", "Blue")
    fields, before = shopify.product("1")
    variant = VariantWrite("11", "C-1", {field: value}, {field: before["11"][field]})
    written = (await write(shopify, ProductWrite("k", "1", {}, {}, [variant])))[0]
    assert (written.outcome, written.parts[0].outcome, written.parts[0].fields) == ("ok", "ok", {field: value})
    assert shopify.product("1") == (fields, before | {"11": before["11"] | {field: value}})


async def test_what_is_as_wanted_is_not_written(shopify: ShopifyShop) -> None:
    """SYN-7: not a single request that writes."""
    put_products(shopify, 1)
    fields, variants = shopify.product("1")
    there = {name: value for name, value in fields.items() if name != "images"}
    variant = VariantWrite("10", "SCARF-1", variants["10"])
    written = (await write(shopify, ProductWrite("k", "1", there, {}, [variant])))[0]
    assert (written.outcome, written.parts[0].outcome) == ("unchanged", "unchanged")
    assert written.fields["seo_title"] == ""
    assert shopify.writes == []


async def test_what_shopify_keeps_otherwise_is_not_written_again_and_again(shopify: ShopifyShop) -> None:
    """A pause is a draft there, tags have no order, and no weight is 0."""
    shopify.put_product(*product(1, status="draft"))
    wanted = {"status": "paused", "tags": ["winter", "warm", "warm"], "seo_title": None}
    variant = VariantWrite("10", "SCARF-1", {"weight_grams": 0, "list_price": None})
    written = (await write(shopify, ProductWrite("k", "1", wanted, {}, [variant])))[0]
    assert (written.outcome, written.fields["status"], written.parts[0].outcome) == ("unchanged", "draft", "unchanged")
    assert shopify.writes == []


async def test_what_is_otherwise_than_expected_is_stale_and_not_written(shopify: ShopifyShop) -> None:
    """SYN-5: somebody has changed it over there."""
    coloured(shopify, "Red", title="Theirs")
    variant = VariantWrite("10", "C-0", {"price": {"amount": 1, "currency": "EUR"}}, {"price": {**PRICE, "amount": 5}})
    known = {"title": "Scarf 1", "brand": "Skerry"}
    written = (await write(shopify, ProductWrite("k", "1", {"title": "Ours", "brand": "New"}, known, [variant])))[0]
    assert (written.outcome, written.fields) == ("stale", {"title": "Theirs"})
    assert (written.parts[0].outcome, written.parts[0].fields) == ("stale", {"price": PRICE})
    assert shopify.writes == []


async def test_change_that_somebody_has_made_already_is_not_stale(shopify: ShopifyShop) -> None:
    """Also how a write whose answer was lost is settled."""
    shopify.put_product(*product(1, title="New"))
    written = (await write(shopify, ProductWrite("k", "1", {"title": "New"}, {"title": "Scarf 1"})))[0]
    assert written.outcome == "unchanged"
    assert shopify.writes == []


async def test_tags_of_others_stay(shopify: ShopifyShop) -> None:
    """A tag that is added over there between reading and writing is not lost."""
    put_products(shopify, 1)

    def meanwhile(name: str) -> None:
        if name == "AddTags":
            shopify.products["1"]["tags"].append("theirs")

    shopify.before = meanwhile
    written = (await write(shopify, ProductWrite("k", "1", {"tags": ["new", "warm"]}, {"tags": ["warm", "winter"]})))[0]
    assert written.fields["tags"] == ["new", "theirs", "warm"]
    assert shopify.product("1")[0]["tags"] == ["new", "theirs", "warm"]


async def test_tags_that_were_never_seen_are_not_taken_away(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    await write(shopify, ProductWrite("k", "1", {"tags": ["new"]}))
    assert shopify.product("1")[0]["tags"] == ["new", "warm", "winter"]


async def test_collections_are_joined_and_left(shopify: ShopifyShop) -> None:
    shopify.put_product(*product(1, categories=[["Old"], ["Kept"]]))
    shopify.put_collection('New "ones"')
    wanted = [["Kept"], ["Shop", 'New "ones"']]
    known = {"categories": [["Kept"], ["Old"]]}
    written = (await write(shopify, ProductWrite("k", "1", {"categories": wanted}, known)))[0]
    assert (written.outcome, written.fields["categories"]) == ("ok", [["Kept"], ['New "ones"']])
    assert shopify.product("1")[0]["categories"] == [["Kept"], ['New "ones"']]


async def test_collection_that_there_is_not_needs_a_person(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    written = (await write(shopify, ProductWrite("k", "1", {"categories": [["None"]], "title": "New"})))[0]
    assert (written.outcome, "None" in str(written.message)) == ("person", True)
    assert shopify.writes == []


async def test_refusal_is_in_shopifys_words(shopify: ShopifyShop) -> None:
    put_products(shopify, 2)
    written = await write(shopify, ProductWrite("a", "1", {"title": " "}), ProductWrite("b", "2", {"title": "New"}))
    assert [(each.outcome, each.message) for each in written] == [("person", "Title can't be blank"), ("ok", None)]


@pytest.mark.parametrize("field", ["attributes", "options", "strange"])
async def test_field_that_is_not_written_from_here_needs_a_person(shopify: ShopifyShop, field: str) -> None:
    put_products(shopify, 1)
    written = (await write(shopify, ProductWrite("k", "1", {field: ["x"], "title": "New"})))[0]
    assert (written.outcome, field in str(written.message)) == ("person", True)
    assert shopify.writes == []


async def test_one_variant_that_is_refused_does_not_keep_the_others(shopify: ShopifyShop) -> None:
    coloured(shopify, "Red", "Blue", "Green")
    writes = [
        VariantWrite("10", "C-0", {"barcode": "1"}),
        VariantWrite("11", "C-1", {"price": {"amount": -5, "currency": "EUR"}}),
        VariantWrite("12", "C-2", {"price": {"amount": 5, "currency": "USD"}}),
        VariantWrite("99", "C-9", {"barcode": "1"}),
    ]
    written = (await write(shopify, ProductWrite("k", "1", {"title": "New"}, {}, writes)))[0]
    assert [part.outcome for part in written.parts] == ["ok", "person", "person", "person"]
    assert "greater than or equal to 0" in str(written.parts[1].message)
    assert "EUR" in str(written.parts[2].message)
    assert written.outcome == "ok"
    assert shopify.product("1")[1]["10"]["barcode"] == "1"


# --- variants that are new


async def test_variant_is_added_beside_the_others(shopify: ShopifyShop) -> None:
    coloured(shopify, "Red")
    before = shopify.product("1")[1]
    variant = VariantWrite(None, "C-7", {"options": {"Colour": "Blue"}, "price": PRICE, "weight_grams": 20})
    first = (await write(shopify, ProductWrite("k", "1", {}, {}, [variant])))[0].parts[0]
    again = (await write(shopify, ProductWrite("k", "1", {}, {}, [variant])))[0].parts[0]
    after = shopify.product("1")[1]
    assert (first.outcome, again.outcome) == ("ok", "unchanged")
    assert first.external_id == again.external_id
    assert first.references == again.references
    assert after["10"] == before["10"]
    assert {name: after[str(first.external_id)][name] for name in ("sku", "options", "weight_grams")} == {
        "sku": "C-7",
        "options": {"Colour": "Blue"},
        "weight_grams": 20,
    }
    assert shopify.items[first.references["inventory_item"]]["tracked"]


async def test_variant_whose_making_was_not_heard_of_is_made_once(shopify: ShopifyShop) -> None:
    coloured(shopify, "Red")
    shopify.lose.append("CreateVariants")
    variant = VariantWrite(None, "C-7", {"options": {"Colour": "Blue"}, "price": PRICE})
    first = (await write(shopify, ProductWrite("k", "1", {}, {}, [variant])))[0]
    again = (await write(shopify, ProductWrite("k", "1", {}, {}, [variant])))[0]
    assert (first.outcome, again.parts[0].outcome) == ("retry", "unchanged")
    assert len(shopify.product("1")[1]) == 2


async def test_new_variants_that_are_refused_do_not_keep_the_others(shopify: ShopifyShop) -> None:
    """Shopify makes all of a list or none of it."""
    coloured(shopify, "Red")
    writes = [
        VariantWrite(None, "C-7", {"options": {"Size": "L"}}),
        VariantWrite(None, "C-8", {"options": {"Colour": "Blue"}}),
    ]
    written = (await write(shopify, ProductWrite("k", "1", {}, {}, writes)))[0]
    assert [part.outcome for part in written.parts] == ["person", "ok"]
    assert len(shopify.product("1")[1]) == 2


# --- making


async def test_product_is_made_whole(shopify: ShopifyShop) -> None:
    shopify.put_collection("Hats")
    fields = {
        "handle": "made-here",
        "description_html": "<b>x</b>",
        "brand": "Skerry",
        "product_type": "Hats",
        "status": "active",
        "seo_title": "S",
        "tags": ["b", "a"],
        "categories": [["Shop", "Hats"]],
    }
    written = (await write(shopify, making(**fields)))[0]
    there, variants = shopify.product(str(written.external_id))
    expected = {**fields, "title": "Made", "options": ["Colour"], "tags": ["a", "b"], "categories": [["Hats"]]}
    assert written.outcome == "ok"
    assert {name: there[name] for name in expected} == expected
    assert list(variants) == [part.external_id for part in written.parts]
    assert [each["sku"] for each in variants.values()] == ["M-0", "M-1"]
    assert all(shopify.items[part.references["inventory_item"]]["tracked"] for part in written.parts)
    assert changed(shopify) == ["product"]


async def test_product_without_options_has_one_variant_without(shopify: ShopifyShop) -> None:
    variant = VariantWrite(None, "ONE", {"price": PRICE})
    written = (await write(shopify, ProductWrite("k", None, {"title": "One"}, {}, [variant])))[0]
    there, variants = shopify.product(str(written.external_id))
    assert (there["options"], there["status"]) == ([], "draft")
    assert [each["sku"] for each in variants.values()] == ["ONE"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fields", [{}, {"handle": "Made Here!"}], ids=["no handle", "handle"])
async def test_product_whose_making_was_not_heard_of_is_made_once(
    shopify: ShopifyShop, fields: dict[str, Any], times: int
) -> None:
    """SYN-8: nothing is made twice, whatever is lost and however often it is tried."""
    shopify.lose += ["CreateProduct"] + ["FindMade"] * (times - 1)
    outcomes = [(await write(shopify, making(**fields)))[0] for _ in range(times + 2)]
    assert [each.outcome for each in outcomes] == [*["retry"] * times, "ok", "ok"]
    assert len(shopify.products) == 1
    assert outcomes[-1].external_id == outcomes[-2].external_id == next(iter(shopify.products))
    assert len(outcomes[-1].parts) == 2
    assert changed(shopify) == ["product"]


async def test_two_who_make_the_same_at_once_make_it_once(shopify: ShopifyShop) -> None:
    """The handle is given once: who comes second finds the first one's."""
    first = True

    def twin(name: str) -> None:
        nonlocal first
        if name == "CreateProduct" and first:
            first = False
            asked = [each for each in shopify.sent if "productSet" in each[0]][-1]
            shopify.do_productSet(asked[1]["input"], True)

    shopify.before = twin
    written = (await write(shopify, making()))[0]
    assert (written.outcome, len(shopify.products)) == ("ok", 1)
    assert [part.outcome for part in written.parts] == ["ok", "ok"]


async def test_handle_of_another_product_needs_a_person(shopify: ShopifyShop) -> None:
    """SYN-6: linking is a person's decision; nothing of theirs is overwritten."""
    put_products(shopify, 1)
    before = shopify.product("1")
    written = (await write(shopify, making(handle="scarf-1")))[0]
    assert (written.outcome, "scarf-1" in str(written.message)) == ("person", True)
    assert shopify.product("1") == before
    assert shopify.writes == []


async def test_product_with_more_variants_than_a_list_takes_is_made_whole_in_spite_of_a_cut(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "MOST_AT_ONCE", 3)
    shopify.lose.append("CreateVariants")
    outcomes = [(await write(shopify, making(count=8)))[0] for _ in range(3)]
    assert [each.outcome for each in outcomes] == ["retry", "ok", "ok"]
    variants = shopify.product(str(outcomes[1].external_id))[1]
    assert [each["sku"] for each in variants.values()] == [f"M-{n}" for n in range(8)]
    assert [part.external_id for part in outcomes[2].parts] == list(variants)


async def test_product_in_another_currency_needs_a_person(shopify: ShopifyShop) -> None:
    variant = VariantWrite(None, "ONE", {"price": {"amount": 1, "currency": "USD"}})
    written = (await write(shopify, ProductWrite("k", None, {"title": "One"}, {}, [variant])))[0]
    assert (written.outcome, len(shopify.products)) == ("person", 0)


async def test_creation_that_is_refused_is_in_shopifys_words(shopify: ShopifyShop) -> None:
    written = (await write(shopify, making(title="")))[0]
    assert (written.outcome, written.message) == ("person", "Title can't be blank")


async def test_writes_that_meet_a_throttled_shop_are_tried_later(shopify: ShopifyShop) -> None:
    """SYN-12: what was written is said to be, what was not is to be tried again."""
    put_products(shopify, 3)
    served = 0

    def spent(name: str) -> None:
        nonlocal served
        served += name == "UpdateProduct"
        if served == 2:
            shopify.faults.throttle = 100

    shopify.before = spent
    writes = [ProductWrite(f"k{n}", f"{n}", {"title": "New"}) for n in range(1, 4)]
    written = await write(shopify, *writes)
    titles = [shopify.product(f"{n}")[0]["title"] for n in range(1, 4)]
    assert sorted(each.outcome for each in written) == ["ok", "ok", "retry"]
    assert [each.outcome == "ok" for each in written] == [title == "New" for title in titles]
    assert all(each.retry_after_seconds for each in written if each.outcome == "retry")


@pytest.mark.feature("SYN-12")
@pytest.mark.parametrize(
    ("write_of", "read_by"),
    [
        (lambda: ProductWrite("k", "1", {"title": "New"}), "ProductsPlain"),
        (lambda: ProductWrite("k", "1", {}, {}, [VariantWrite("10", "C-0", {"barcode": "1"})]), "VariantsById"),
        (lambda: ProductWrite("k", "1", {"categories": []}), "ProductsById"),
        (
            lambda: ProductWrite("k", "1", {}, {}, [VariantWrite(None, "N", {"options": {"Colour": "B"}})]),
            "ProductsById",
        ),
    ],
    ids=["texts", "variants", "lists", "new variants"],
)
async def test_no_more_is_read_than_what_is_written(shopify: ShopifyShop, write_of: Any, read_by: str) -> None:
    """Variants, pictures and collections cost most of what a product costs, and the budget is for writing."""
    coloured(shopify, "Red")
    await write(shopify, write_of())
    assert [name for name, _ in shopify.asked if "ById" in name or "Plain" in name] == [read_by]
