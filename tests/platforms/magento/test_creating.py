"""New products in a Magento shop: made once however often they are tried, never over somebody else's (SYN-10)."""

import contextlib
from typing import Any

import pytest

from services.sync.errors import AnswerLost, AnswerNotUnderstood, PlatformAway
from services.sync.platforms.base import ProductWrite, Scan, VariantWrite, Written
from services.sync.platforms.http import Http
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import all_pages, all_records, product, session_with
from tests.platforms.magento.test_scanning import jacket

pytestmark = pytest.mark.feature("SYN-1", "SYN-5", "SYN-10")
JsonObject = dict[str, Any]
EUR = {"amount": 1999, "currency": "EUR"}


def single(sku: str = "ONE", key: str = "k1", **fields: Any) -> ProductWrite:
    sold = {"price": EUR, "weight_grams": 120, "barcode": "4006381333931"}
    given = {"title": "Made", "handle": "made", "status": "active", **fields}
    return ProductWrite(key, None, given, variants=[VariantWrite(None, sku, sold)])


def family(*colours: str, key: str = "k1", **fields: Any) -> ProductWrite:
    variants = [
        VariantWrite(None, f"TWO-{colour.upper()}", {"price": EUR, "options": {"Colour": colour}}) for colour in colours
    ]
    given = {"title": "Made", "handle": "made", "status": "active", "options": ["Colour"], **fields}
    return ProductWrite(key, None, given, variants=variants)


async def write(magento: MagentoShop, *writes: ProductWrite) -> list[Written]:
    async with session_with(magento) as session:
        return list(await session.write_products(writes))


async def test_single_variant_is_a_product_by_itself(magento: MagentoShop) -> None:
    magento.state.category(["Wool"])
    (written,) = await write(magento, single(brand="Skerry", tags=["a"], categories=[["Wool"]]))
    assert (written.outcome, written.parts[0].external_id) == ("ok", written.external_id)
    async with session_with(magento) as session:
        (record,) = (await all_records(session, "product")).values()
    assert {name: record.fields[name] for name in ("handle", "title", "brand", "tags", "categories", "status")} == {
        "handle": "made",
        "title": "Made",
        "brand": "Skerry",
        "tags": ["a"],
        "categories": [["Wool"]],
        "status": "active",
    }
    (part,) = record.parts
    assert (part.fields["price"], part.fields["weight_grams"], part.fields["barcode"]) == (EUR, 120, "4006381333931")


async def test_what_was_made_is_counted_in_every_source_and_levels_that_are_there_stay(magento: MagentoShop) -> None:
    magento.state.sources = {"default": "Default Source", "main": "Main"}
    await write(magento, single())
    magento.put_stock("ONE", "main", 7)
    del magento.state.levels["default", "one"]
    (again,) = await write(magento, single())
    assert again.outcome == "ok"
    assert {key: level["quantity"] for key, level in magento.state.levels.items()} == {
        ("default", "one"): 0,
        ("main", "one"): 7,
    }


async def test_what_was_made_is_counted_and_has_nothing_yet(magento: MagentoShop) -> None:
    await write(magento, single(), family("Red", "Blue", key="k2", handle="other"))
    async with session_with(magento) as session:
        pages = await all_pages(session, Scan("stock"))
    levels = {record.fields["sku"]: record.fields["quantity"] for page in pages for record in page.records}
    assert levels == {"ONE": 0, "TWO-RED": 0, "TWO-BLUE": 0}


async def test_variants_are_children_that_differ_by_label(magento: MagentoShop) -> None:
    (written,) = await write(magento, family("Red", "Blue"))
    assert [part.fields["options"] for part in written.parts] == [{"Colour": "Red"}, {"Colour": "Blue"}]
    parent = magento.state.products[int(written.external_id or 0)]
    assert (parent["type_id"], parent["visibility"], len(parent["links"])) == ("configurable", 4, 2)
    children = [magento.state.products[each] for each in parent["links"]]
    assert [(child["name"], child["visibility"]) for child in children] == [("Made Red", 1), ("Made Blue", 1)]
    assert [each["label"] for each in magento.state.options["colour"]] == ["Red", "Blue"]


STEPS = [
    "POST products",
    "POST configurable-products/",
    "POST products/attributes",
    "POST inventory/source-items",
]


@pytest.mark.parametrize("step", STEPS)
async def test_creation_goes_on_where_an_answer_was_lost(magento: MagentoShop, step: str) -> None:
    wanted = family("Red", "Blue")
    for count in range(1, 4):
        magento.lose = [step] * count
        for _ in range(12):
            try:
                (written,) = await write(magento, wanted)
            except (PlatformAway, AnswerNotUnderstood):
                continue
            if written.outcome == "ok":
                break
        assert written.outcome == "ok"
    async with session_with(magento) as session:
        records = await all_records(session, "product")
    assert list(records) == [written.external_id]
    assert len(magento.state.products) == 3
    assert len(magento.state.options["colour"]) == 2
    assert [part.external_id for part in records[str(written.external_id)].parts] == [
        part.external_id for part in written.parts
    ]


async def test_whichever_request_is_lost_it_is_made_once(magento: MagentoShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to one request after another is lost, reading or writing, once it took effect."""
    send, left = Http.send, 0

    async def losing(http: Http, *given: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        answer = await send(http, *given, **more)
        if left == 0:
            raise AnswerLost("lost")
        return answer

    monkeypatch.setattr(Http, "send", losing)
    magento.page_size = 100
    number, was_lost = 0, True
    while was_lost:
        number += 1
        left = number
        wanted = family(f"Shade {number}", key=f"k{number}", handle=f"made-{number}")
        made: list[Written] = []
        with contextlib.suppress(PlatformAway):
            made = await write(magento, wanted)
        was_lost = left <= 0
        left = 0
        if was_lost:
            made = await write(magento, wanted)
        assert [part.outcome for part in made[0].parts] == ["ok"], (number, made)
        parents = [each for each in magento.state.products.values() if each["custom"]["url_key"] == f"made-{number}"]
        assert [len(parent["links"]) for parent in parents] == [1]
    assert number > 10
    assert len(magento.state.products) == 2 * number
    assert len(magento.state.levels) == number


async def test_product_of_somebody_else_is_not_overwritten(magento: MagentoShop) -> None:
    """Surprise 6: POST of a SKU that there is overwrites its product, in whatever case."""
    magento.put_product(*product(1))
    (one,) = await write(magento, single("scarf-1"))
    assert (one.outcome, "scarf-1" in str(one.message)) == ("person", True)
    two = family("Red", "Blue")
    foreign = VariantWrite(None, "Scarf-1", {"price": EUR, "options": {"Colour": "Green"}})
    (made,) = await write(magento, ProductWrite("k9", None, two.fields, variants=[*two.variants, foreign]))
    assert [part.outcome for part in made.parts] == ["ok", "ok", "person"]
    assert magento.product("1")[0]["title"] == "Scarf 1"
    assert magento.state.products[1]["sku"] == "SCARF-1"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (family("Red", options=["Smell"]), "Smell"),
        (single(categories=[["Nowhere"]]), "Nowhere"),
        (single(handle="scarf-1"), "URL key"),
        (single("S" * 65), "64 characters"),
        (
            ProductWrite(
                "k", None, {"title": "x"}, variants=[VariantWrite(None, "X", {"price": {**EUR, "currency": "USD"}})]
            ),
            "EUR",
        ),
        (ProductWrite("k", None, {"title": "x"}, variants=[VariantWrite(None, "X", {})]), "Price"),
    ],
)
async def test_what_can_not_be_made_is_for_a_person(magento: MagentoShop, wanted: ProductWrite, words: str) -> None:
    magento.put_product(*product(1))
    (written,) = await write(magento, wanted)
    assert (written.outcome, words in str(written.message)) == ("person", True)


async def test_unknown_attribute_set_is_for_a_person(magento: MagentoShop) -> None:
    magento.settings["attribute_set"] = "Shoes"
    (written,) = await write(magento, single())
    assert (written.outcome, "Shoes" in str(written.message)) == ("person", True)


async def test_new_variant_joins_its_siblings_once(magento: MagentoShop) -> None:
    magento.put_product(*jacket())
    new = VariantWrite(None, "JACKET-XXL", {"price": EUR, "options": {"Size": "XXL"}})
    for _ in range(2):
        magento.lose = ["POST configurable-products"]
        (written,) = await write(magento, ProductWrite("k", "500", {}, variants=[new]))
    assert (written.outcome, written.parts[0].outcome) == ("ok", "ok")
    async with session_with(magento) as session:
        (record,) = (await all_records(session, "product")).values()
    assert [part.fields["options"]["Size"] for part in record.parts] == ["S", "M", "L", "XL", "XXL"]
    assert record.parts[-1].external_id == written.parts[0].external_id


async def test_several_new_variants_are_linked_one_after_the_other(magento: MagentoShop) -> None:
    """Magento reads the parent, adds a child and saves it: of two at once one would be lost."""
    magento.put_product(*jacket())
    writes = [
        ProductWrite(
            f"k{size}", "500", {}, variants=[VariantWrite(None, f"J-{size}", {"price": EUR, "options": {"Size": size}})]
        )
        for size in ("XXS", "XXL", "3XL")
    ]
    written = await write(magento, *writes)
    assert [each.parts[0].outcome for each in written] == ["ok"] * 3
    assert len(magento.state.products[500]["links"]) == 7


async def test_variant_that_has_no_place_there_is_for_a_person(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    magento.put_product(*jacket())
    smell = VariantWrite(None, "NEW", {"price": EUR, "options": {"Smell": "Rose"}})
    alone, strange = await write(
        magento, ProductWrite("k1", "1", {}, variants=[smell]), ProductWrite("k2", "500", {}, variants=[smell])
    )
    assert [each.parts[0].outcome for each in (alone, strange)] == ["person", "person"]
    assert "configurable" in str(alone.parts[0].message)
    assert "Smell" in str(strange.parts[0].message)
