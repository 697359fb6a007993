"""Products that go out to WooCommerce: what is different alone, in batches, and each made once (SYN-5, SYN-7)."""

from collections.abc import Callable
from typing import Any

import pytest

from services.sync.errors import CredentialsRefused, PlatformAway
from services.sync.platforms.base import Fields, ProductWrite, VariantWrite, Written
from tests.fakes.platforms import RemoteWrite
from tests.fakes.woocommerce import WooShop
from tests.fakes.woocommerce_saving import Refusal
from tests.platforms.conftest import product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-5", "SYN-7", "SYN-8")
SIZES = {
    "70": {"sku": "MITTEN-S", "options": {"Size": "S"}, "price": {"amount": 900, "currency": "EUR"}},
    "71": {"sku": "MITTEN-M", "options": {"Size": "M"}, "price": {"amount": 900, "currency": "EUR"}},
}


def euros(amount: int) -> Fields:
    return {"amount": amount, "currency": "EUR"}


async def wrote(woo: WooShop, *writes: ProductWrite) -> list[Written]:
    async with session_with(woo) as session:
        return list(await session.write_products(writes))


async def changed(woo: WooShop, fields: Fields, expected: Fields | None = None, **more: Any) -> Written:
    return (await wrote(woo, ProductWrite("k", "1", fields, expected or {}, **more)))[0]


def sent(woo: WooShop, kind: str) -> list[RemoteWrite]:
    return [write for write in woo.writes if write.kind == kind]


async def test_product_and_its_one_variant_are_one_item_of_one_batch(woo: WooShop) -> None:
    """A simple product is its own variant; every product of a batch goes in the same request."""
    put_products(woo, 3)
    writes = [
        ProductWrite("k", str(n), {"title": "New"}, variants=[VariantWrite(str(n), f"SCARF-{n}", {"price": euros(n)})])
        for n in (1, 2, 3)
    ]
    written = await wrote(woo, *writes)
    assert [(each.outcome, each.parts[0].outcome) for each in written] == [("ok", "ok")] * 3
    posted = [each for each in woo.requests if each[0] != "GET"]
    assert [(path, len(body["update"])) for _, path, _, body in posted] == [("/wc/v3/products/batch", 3)]
    assert [woo.products[n]["regular_price"] for n in (1, 2, 3)] == ["0.01", "0.02", "0.03"]


async def test_more_than_a_batch_holds_goes_in_several(woo: WooShop) -> None:
    woo.settings["page_size"] = 100
    put_products(woo, 45)
    written = await wrote(woo, *(ProductWrite("k", str(n), {"title": "New"}) for n in range(1, 46)))
    assert {each.outcome for each in written} == {"ok"}
    batches = [body["update"] for method, _, _, body in woo.requests if method == "POST"]
    assert sorted(map(len, batches)) == [5, 20, 20]


async def test_what_is_so_already_is_not_saved_because_that_moves_the_clock(woo: WooShop) -> None:
    put_products(woo, 1)
    variants = [VariantWrite("1", "SCARF-1", {"price": euros(1999), "list_price": euros(1000)})]
    written = await changed(
        woo, {"title": "Scarf 1", "status": "active", "tags": ["winter", "warm"]}, variants=variants
    )
    assert (written.outcome, written.parts[0].outcome, woo.writes) == ("unchanged", "unchanged", [])


async def test_field_that_somebody_changed_there_is_stale_and_the_others_wait_with_it(woo: WooShop) -> None:
    put_products(woo, 1)
    written = await changed(woo, {"title": "Ours", "brand": "Ours"}, {"title": "Before", "brand": "Skerry"})
    assert (written.outcome, written.fields, woo.writes) == ("stale", {"title": "Scarf 1"}, [])


async def test_variants_of_a_variable_product_are_changed_and_made_each_by_itself(woo: WooShop) -> None:
    woo.put_product("1", product(1, options=["Size"])[1], SIZES)
    variants = [
        VariantWrite("70", "MITTEN-S", {"price": euros(950)}, {"price": euros(900)}),
        VariantWrite("71", "MITTEN-M", {"price": euros(950)}, {"price": euros(800)}),
        VariantWrite(None, "MITTEN-L", {"options": {"Size": "L"}, "price": euros(990)}),
        VariantWrite(None, "MITTEN-X", {"options": {"Colour": "Red"}}),
        VariantWrite("999", "GONE", {"price": euros(1)}),
        VariantWrite(None, "MITTEN-D", {"options": {"Size": "D"}, "price": {"amount": 1, "currency": "USD"}}),
    ]
    written = await changed(woo, {}, variants=variants)
    assert [part.outcome for part in written.parts] == ["ok", "stale", "ok", "person", "person", "person"]
    assert written.parts[1].fields == {"price": euros(900)}
    made = woo.variations[int(str(written.parts[2].external_id))]
    assert (made["regular_price"], made["manage_stock"], made["stock_quantity"]) == ("9.90", True, 0)
    # A value that the product did not have would not be offered to a buyer.
    assert woo.products[1]["attributes"][0]["options"] == ["S", "M", "L"]
    assert (woo.variations[70]["regular_price"], woo.variations[71]["regular_price"]) == ("9.50", "9.00")


async def test_new_variants_of_one_product_in_writes_of_their_own_can_all_be_chosen(woo: WooShop) -> None:
    """As the engine makes them. A whole list of values for each would take the other's away again."""
    woo.put_product("1", product(1, options=["Size"])[1], SIZES)
    sizes = ("L", "XL")
    writes = [
        ProductWrite(
            f"k{size}",
            "1",
            {},
            variants=[VariantWrite(None, f"M-{size}", {"options": {"Size": size}, "price": euros(1)})],
        )
        for size in sizes
    ]
    written = await wrote(woo, *writes)
    assert [(each.outcome, each.parts[0].outcome) for each in written] == [("ok", "ok")] * 2
    assert woo.products[1]["attributes"][0]["options"] == ["S", "M", "L", "XL"]
    # They are made at once, in whichever order.
    made = [each["option"] for node in woo.variations_of(1) for each in node["attributes"]]
    assert (made[:2], sorted(made[2:])) == (["S", "M"], ["L", "XL"])
    assert [len(write.content["attributes"]) for write in sent(woo, "product")] == [1]


async def test_value_that_a_variation_has_and_its_product_lacks_is_added_with_the_next_change(woo: WooShop) -> None:
    """Nobody can choose it. `any` is no value, and one that older shops keep as a slug is the same."""
    woo.put_product("1", product(1, options=["Size"])[1], SIZES)
    woo.products[1]["attributes"][0]["options"] = ["Extra Small", "M"]
    woo.create_variation(1, {"sku": "ANY", "attributes": [{"name": "Size", "option": ""}]})
    woo.create_variation(1, {"sku": "OLD", "attributes": [{"name": "Size", "option": "extra-small"}]})
    assert (await changed(woo, {"title": "Scarf 1"})).outcome == "unchanged"
    assert woo.writes == []
    await changed(woo, {}, variants=[VariantWrite("71", "MITTEN-M", {"price": euros(950)})])
    assert woo.products[1]["attributes"][0]["options"] == ["Extra Small", "M", "S"]
    await changed(woo, {}, variants=[VariantWrite("71", "MITTEN-M", {"options": {"Size": "XS"}})])
    assert woo.products[1]["attributes"][0]["options"] == ["Extra Small", "M", "S", "XS"]


async def test_new_variant_is_not_made_where_its_value_is_refused(
    woo: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    woo.put_product("1", product(1, options=["Size"])[1], SIZES)
    save = woo.save_product

    def saving(node: dict[str, Any], payload: dict[str, Any]) -> None:
        if "attributes" in payload:
            raise Refusal(400, "woocommerce_rest_cannot_edit", "Not these attributes.")
        save(node, payload)

    monkeypatch.setattr(woo, "save_product", saving)
    variants = [
        VariantWrite(None, "MITTEN-L", {"options": {"Size": "L"}}),
        VariantWrite("70", "MITTEN-S", {"price": euros(950)}),
        VariantWrite("71", "MITTEN-M", {"options": {"Size": "XL"}}),
    ]
    written = await changed(woo, {"title": "New"}, variants=variants)
    assert [part.outcome for part in written.parts] == ["person", "ok", "person"]
    assert (written.outcome, woo.products[1]["name"], len(woo.variations)) == ("ok", "New", 2)


async def test_variation_of_an_earlier_try_is_changed_where_it_differs_from_what_is_to_be_made(woo: WooShop) -> None:
    """It is known by its SKU alone: made by hand, or before an answer was lost and our price changed."""
    woo.put_product("1", product(1, options=["Size"])[1], SIZES)
    woo.put_product(*product(2))
    again = VariantWrite(None, "MITTEN-M", {"options": {"Size": "M"}, "price": euros(950)})
    first, second = await wrote(
        woo, ProductWrite("k1", "1", {}, variants=[again]), ProductWrite("k2", "2", {"title": "New"})
    )
    assert (first.parts[0].outcome, first.parts[0].external_id, second.outcome) == ("ok", "71", "ok")
    assert (woo.variations[71]["regular_price"], len(woo.variations)) == ("9.50", 2)


async def test_second_variant_of_a_simple_product_is_for_a_person(woo: WooShop) -> None:
    put_products(woo, 1)
    written = await changed(woo, {}, variants=[VariantWrite(None, "SCARF-1-L", {"options": {"Size": "L"}})])
    assert (written.parts[0].outcome, woo.writes) == ("person", [])


async def test_refused_item_of_a_batch_fails_alone_with_its_own_words(woo: WooShop) -> None:
    put_products(woo, 3)
    writes = [
        ProductWrite("k", str(n), {}, variants=[VariantWrite(str(n), "x", {"sku": sku})])
        for n, sku in ((1, "NEW-1"), (2, "scarf-3"), (3, "NEW-3"))
    ]
    written = await wrote(woo, *writes)
    assert [each.parts[0].outcome for each in written] == ["ok", "person", "ok"]
    assert written[1].parts[0].message == "Invalid or duplicated SKU."


async def test_refused_barcode_does_not_keep_the_title_from_being_written(woo: WooShop) -> None:
    put_products(woo, 2)
    code = woo.products[2]["global_unique_id"]
    written = await changed(woo, {"title": "New"}, variants=[VariantWrite("1", "SCARF-1", {"barcode": code})])
    assert (written.outcome, written.parts[0].outcome, woo.products[1]["name"]) == ("ok", "person", "New")
    assert "GTIN" in str(written.parts[0].message)
    posted = [body["update"] for method, _, _, body in woo.requests if method == "POST"]
    assert [len(items) for items in posted] == [1, 2]


async def test_tags_and_brands_are_made_once_and_categories_are_not(woo: WooShop) -> None:
    put_products(woo, 2)
    writes = [ProductWrite("k", n, {"tags": ["warm", "Größe & Co"], "brand": "New"}) for n in ("1", "2")]
    assert [each.outcome for each in await wrote(woo, *writes)] == ["ok", "ok"]
    assert [write.content["name"] for write in sent(woo, "term")] == ["New", "warm", "Größe & Co"] or [
        write.content["name"] for write in sent(woo, "term")
    ] == ["New", "Größe & Co"]
    assert woo.product("2")[0]["tags"] == ["Größe & Co", "warm", "winter"]
    written = await changed(woo, {"categories": [["Nowhere"]]})
    assert (written.outcome, "make it there first" in str(written.message)) == ("person", True)


async def test_tags_that_others_added_stay_unless_they_were_known(woo: WooShop) -> None:
    put_products(woo, 1)
    await changed(woo, {"tags": ["new"]})
    assert woo.product("1")[0]["tags"] == ["new", "warm", "winter"]
    await changed(woo, {"tags": ["new"]}, {"tags": ["new", "warm", "winter"]})
    assert woo.product("1")[0]["tags"] == ["new"]


async def test_further_brands_of_a_product_stay(woo: WooShop) -> None:
    put_products(woo, 1)
    other = woo.create_term("brands", {"name": "Second"})
    woo.products[1]["brands"].append({name: other[name] for name in ("id", "name", "slug")})
    assert (await changed(woo, {"brand": "First"}, {"brand": "Skerry"})).outcome == "ok"
    assert [each["name"] for each in woo.products[1]["brands"]] == ["First", "Second"]


async def test_term_of_another_case_is_taken(woo: WooShop) -> None:
    """`term_exists` names the one that is there."""
    put_products(woo, 1)
    woo.create_term("brands", {"name": "Quay"})
    assert (await changed(woo, {"brand": "QUAY"})).fields == {"brand": "Quay"}


async def test_categories_are_found_by_their_path_or_by_the_one_that_is_called_so(woo: WooShop) -> None:
    put_products(woo, 1)
    woo.put_category(["Clothes", "Warm"])
    woo.put_category(["Sale", "Warm"])
    woo.put_category(["Clothes", "Cold"])
    written = await changed(woo, {"categories": [["Clothes", "Warm"], ["Winter", "Cold"]]})
    assert written.fields["categories"] == [["Clothes", "Cold"], ["Clothes", "Warm"]]
    assert (await changed(woo, {"categories": [["Elsewhere", "Warm"]]})).outcome == "person"


async def test_what_a_site_does_not_have_is_for_a_person(woo: WooShop) -> None:
    put_products(woo, 1)
    assert (await changed(woo, {"seo_title": "x"})).outcome == "person"
    woo.has_brands = False
    assert (await changed(woo, {"brand": "x"})).outcome == "person"
    assert woo.writes == []


async def test_what_the_shop_makes_of_a_text_is_told(woo: WooShop) -> None:
    put_products(woo, 1)
    written = await changed(woo, {"title": "A <script>x</script> & B"})
    assert written.fields == {"title": "A x & B"}


async def test_key_that_may_only_read_stops_the_connection(woo: WooShop) -> None:
    put_products(woo, 1)
    woo.doorman.may_write = False
    with pytest.raises(CredentialsRefused):
        await changed(woo, {"title": "New"})


# --- making


def making(sku: str = "MADE-1", key: str = "k1", **fields: Any) -> ProductWrite:
    whole = {"handle": "made", "title": "Made", "product_type": "Scarves", **fields}
    return ProductWrite(key, None, whole, variants=[VariantWrite(None, sku, {"price": euros(1999)})])


async def test_new_product_carries_its_key_is_counted_and_says_all_that_is_known(woo: WooShop) -> None:
    woo.put_category(["Warm"])
    write = making(brand="Skerry", tags=["warm"], categories=[["Warm"]], attributes={"Wool": "Merino"}, status="active")
    (written,) = await wrote(woo, write)
    node = woo.products[int(str(written.external_id))]
    assert (node["type"], node["status"], node["slug"], node["sku"]) == ("simple", "publish", "made", "MADE-1")
    assert (node["manage_stock"], node["stock_quantity"], node["backorders"]) == (True, 0, "no")
    assert {each["key"]: each["value"] for each in node["meta_data"]} == {"_crossdock_operation_key": "k1"}
    assert [(each["name"], each["options"], each["variation"]) for each in node["attributes"]] == [
        ("Wool", ["Merino"], False)
    ]
    assert [part.external_id for part in written.parts] == [written.external_id]
    assert written.fields["categories"] == [["Warm"]]


async def test_sku_that_is_another_products_is_for_a_person_who_is_told_whose(woo: WooShop) -> None:
    put_products(woo, 1)
    (written,) = await wrote(woo, making("scarf-1"))
    assert written.outcome == "person"
    assert written.message == "Invalid or duplicated SKU. The product 1 has it already; link it instead."


async def test_product_whose_slug_was_changed_is_adopted_by_its_sku(woo: WooShop) -> None:
    (first,) = await wrote(woo, making())
    woo.products[int(str(first.external_id))]["slug"] = "renamed"
    (again,) = await wrote(woo, making())
    assert (again.outcome, again.external_id, len(woo.products)) == ("ok", first.external_id, 1)


async def test_slug_of_another_product_is_for_a_person(woo: WooShop) -> None:
    woo.put_product(*product(1, handle="made"))
    (written,) = await wrote(woo, making())
    assert (written.outcome, len(woo.products)) == ("person", 1)


async def settled(woo: WooShop, write: ProductWrite) -> Written:
    """As the engine does: what is to be tried again is tried again."""
    for _ in range(3):
        try:
            (written,) = await wrote(woo, write)
        except PlatformAway:
            continue
        if written.outcome == "ok" and all(part.outcome == "ok" for part in written.parts):
            return written
    raise AssertionError("it is never settled")


@pytest.mark.parametrize("place", range(1, 11))
async def test_creation_is_one_product_whichever_answer_is_lost(
    woo: WooShop, lose: Callable[[int], None], place: int
) -> None:
    variants = [VariantWrite(None, f"M-{size}", {"options": {"Size": size}, "price": euros(900)}) for size in "SM"]
    images = [{"url": f"{woo.settings['url']}/pictures/a.png", "alt": ""}]
    fields = {"title": "Mitten", "options": ["Size"], "tags": ["warm"], "images": images}
    lose(place)
    written = await settled(woo, ProductWrite("k1", None, fields, variants=variants))
    assert list(woo.products) == [int(str(written.external_id))]
    assert sorted(each["sku"] for each in woo.variations.values()) == ["M-M", "M-S"]
    assert (len(woo.terms["tags"]), len(woo.fetched)) == (1, 1)


async def test_creation_in_another_currency_is_for_a_person(woo: WooShop) -> None:
    write = ProductWrite(
        "k", None, {"title": "T"}, variants=[VariantWrite(None, "A", {"price": {"amount": 1, "currency": "USD"}})]
    )
    (written,) = await wrote(woo, write)
    assert (written.outcome, woo.writes) == ("person", [])
