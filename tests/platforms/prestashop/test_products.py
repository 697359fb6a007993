"""Products as they are read, changed and made: nothing twice, nothing lost that nobody named (SYN-5, SYN-8)."""

from datetime import timedelta
from typing import Any

import pytest

from services.sync.errors import AnswerLost, AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import ProductWrite, Scan, Session, VariantWrite, Written
from services.sync.platforms.http import Http
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.client import Client
from shared import clock
from shared.outgoing import Answer
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import all_pages, all_records, product, put_products, session_with
from tests.platforms.prestashop.driving import put_combined

pytestmark = pytest.mark.feature("SYN-1", "SYN-5", "SYN-7", "SYN-8")

EUROS = {"amount": 2500, "currency": "EUR"}


def sent(shop: PrestaShop, method: str = "") -> list[str]:
    """What was sent that is no question."""
    asked = [each for each in shop.requests if each.method != "GET"]
    return [f"{each.method} {each.path}" for each in asked if each.method == method or not method]


async def one(session: Session, write: ProductWrite) -> Written:
    return (await session.write_products([write]))[0]


def hat(key: str = "k1", sku: str = "HAT-1", **fields: Any) -> ProductWrite:
    given = {"handle": "hat", "title": "Hat", "status": "active"} | fields
    return ProductWrite(key, None, given, variants=[VariantWrite(None, sku, {"sku": sku, "price": EUROS})])


def mitten() -> ProductWrite:
    variants = [VariantWrite(None, f"M-{size}", {"options": {"Size": size}, "price": EUROS}) for size in ("S", "L")]
    return ProductWrite("k2", None, {"handle": "mitten", "title": "Mitten"}, variants=variants)


# --- reading


async def test_what_changed_a_second_after_the_time_that_the_shop_tells_is_read(prestashop: PrestaShop) -> None:
    prestashop.memory.now = clock.now().replace(microsecond=0) + timedelta(seconds=1)
    put_products(prestashop, 1)
    async with session_with(prestashop) as session:
        pages = await all_pages(session, Scan("product", clock.now() - timedelta(minutes=10)))
    assert [record.external_id for page in pages for record in page.records] == ["1"]


async def test_variants_are_combinations_with_their_options(prestashop: PrestaShop) -> None:
    put_combined(prestashop)
    async with session_with(prestashop) as session:
        (record,) = (await all_records(session, "product")).values()
    assert record.fields["options"] == ["Size"]
    assert [(part.external_id, part.fields["sku"], part.fields["options"]) for part in record.parts] == [
        ("3-31", "SCARF-S", {"Size": "S"}),
        ("3-32", "SCARF-L", {"Size": "L"}),
    ]


async def test_a_combination_moves_no_clock_and_is_found_by_a_whole_scan(prestashop: PrestaShop) -> None:
    """platforms.md §0.2: the parent's time does not move with its combination's price."""
    put_combined(prestashop)
    async with session_with(prestashop) as session:
        before = (await all_records(session, "product"))["3"]
        write = ProductWrite("k1", "3", {}, variants=[VariantWrite("3-31", "SCARF-S", {"price": EUROS})])
        await session.write_products([write])
        after = (await all_records(session, "product"))["3"]
    assert after.updated_at == before.updated_at
    assert [part.fields["price"]["amount"] for part in after.parts] == [2500, 1999]


async def test_notices_beside_rows_do_not_spoil_them(prestashop: PrestaShop) -> None:
    for number in (1, 2):
        prestashop.put_product(*product(number))
    prestashop.notices = 100
    async with session_with(prestashop) as session:
        assert sorted(await all_records(session, "product")) == ["1", "2"]


async def test_prices_here_may_have_the_tax_in_them(prestashop: PrestaShop) -> None:
    prestashop.settings["tax_rate"] = 20
    prestashop.put_product(*product(1))
    async with session_with(prestashop) as session:
        (record,) = (await session.page(Scan("product"))).records
        assert record.parts[0].fields["price"] == {"amount": 2399, "currency": "EUR"}
        for amount in (1999, 2500, 1):
            price = {"amount": amount, "currency": "EUR"}
            write = ProductWrite("k1", "1", {}, variants=[VariantWrite("1-0", "SCARF-1", {"price": price})])
            assert (await one(session, write)).parts[0].fields == {"price": price}
    assert prestashop.memory.tables["products"][1]["price"] == "0.008333"


async def test_category_is_the_way_below_the_home_page(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    memory = prestashop.memory
    clothes = memory.add("categories", name="Clothes", id_parent="2")
    men = memory.add("categories", name="Men", id_parent=str(clothes))
    memory.tables["products"][1]["categories"] = [{"id": str(each)} for each in (2, men, 404)]
    async with session_with(prestashop) as session:
        record = (await session.read("product", ["1"]))[0]
        assert record.fields["categories"] == [["Clothes", "Men"]]
        wrong = await one(session, ProductWrite("k1", "1", {"categories": [["Men"]]}))
        assert (wrong.outcome, sent(prestashop)) == ("person", [])
        expected = {"categories": record.fields["categories"]}
        done = await one(session, ProductWrite("k2", "1", {"categories": [["Clothes"]]}, expected))
    assert (done.outcome, done.fields) == ("ok", {"categories": [["Clothes"]]})
    row = memory.tables["products"][1]
    assert [each["id"] for each in row["categories"]] == ["2", "404", str(clothes)]


# --- changing


@pytest.mark.parametrize("version", ["1.7.8.11", "8.2.1"])
async def test_one_field_is_changed_and_the_rest_of_the_record_stays(prestashop: PrestaShop, version: str) -> None:
    """platforms.md §0.4: PUT empties what it is not told."""
    prestashop.version = version
    prestashop.put_product(*product(1))
    row = prestashop.memory.tables["products"][1]
    row["name"][2], row["description_short"][1], row["mpn"] = "Echarpe", "Short", "MPN-1"
    before = {name: value for name, value in row.items() if name not in ("name", "date_upd")}
    async with session_with(prestashop) as session:
        done = await one(session, ProductWrite("k1", "1", {"title": "Shawl"}, {"title": "Scarf 1"}))
    assert (done.outcome, done.fields) == ("ok", {"title": "Shawl"})
    assert row["name"] == {1: "Shawl", 2: "Echarpe"}
    assert {name: row[name] or "" for name in before} == {name: value or "" for name, value in before.items()}
    assert sent(prestashop) == [f"{'PUT' if version.startswith('1') else 'PATCH'} /api/products/1"]


async def test_what_was_made_since_the_read_is_not_removed_by_putting_back(prestashop: PrestaShop) -> None:
    """A list of combinations in a PUT removes those that are not in it."""
    prestashop.version = "1.7.8.11"
    put_combined(prestashop)
    row = prestashop.memory.tables["products"][3]
    row["combinations"] = row["combinations"][:1]
    async with session_with(prestashop) as session:
        done = await one(session, ProductWrite("k1", "3", {"title": "Shawl", "tags": ["new"]}))
    assert (done.outcome, sorted(prestashop.product("3")[1])) == ("ok", ["31", "32"])
    (asked,) = [each for each in prestashop.requests if each.method == "PUT"]
    associations = xml.parsed(asked.body).find("product/associations")
    assert associations is not None
    assert [each.tag for each in associations] == ["tags"]


async def test_part_of_a_record_is_never_put_back() -> None:
    """Only what was read whole may take a record's place."""

    class Short(Http):
        def __init__(self) -> None:
            self.sent: list[str] = []

        async def send(self, method: str, path: str, **given: Any) -> Any:
            self.sent.append(method)
            body = b"<prestashop><product><id>1</id><price>2</price></product></prestashop>"
            return Answer(200, {"psws-version": "1.7.8.11"}, body)

    short = Short()
    client = Client(short, "key", None)
    await client.whole("products", "1")
    with pytest.raises(AnswerNotUnderstood) as raised:
        await client.change("products", "1", xml.row("product", {"price": "3"}))
    assert "only a part" in raised.value.detail
    assert set(short.sent) == {"GET"}


async def test_as_wanted_is_not_written_and_otherwise_than_expected_is_stale(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    async with session_with(prestashop) as session:
        same = await one(session, ProductWrite("k1", "1", {"title": "Scarf 1", "tags": ["winter", "warm", "warm"]}))
        stale = await one(session, ProductWrite("k2", "1", {"title": "Shawl"}, {"title": "Another"}))
        price = VariantWrite("1-0", "SCARF-1", {"price": EUROS}, {"price": {"amount": 1, "currency": "EUR"}})
        part = await one(session, ProductWrite("k3", "1", {"title": "Shawl"}, variants=[price]))
    assert (same.outcome, stale.outcome, stale.fields) == ("unchanged", "stale", {"title": "Scarf 1"})
    assert (part.outcome, part.parts[0].outcome) == ("ok", "stale")
    assert len(sent(prestashop)) == 1
    assert prestashop.product("1")[1]["10"]["price"]["amount"] == 1999


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": "a<b>"}, "not valid"),
        ({"title": "x" * 129}, "not valid"),
        ({"brand": "a{b}"}, "not valid"),
        ({"product_type": "Hats"}, "product_type"),
        ({"categories": [["Nowhere"]]}, "make it there first"),
    ],
)
async def test_what_the_shop_would_refuse_is_for_a_person_in_its_words(
    prestashop: PrestaShop, fields: dict[str, Any], said: str
) -> None:
    prestashop.put_product(*product(1))
    price = VariantWrite("1-0", "SCARF-1", {"price": EUROS})
    async with session_with(prestashop) as session:
        done = await one(session, ProductWrite("k1", "1", fields))
        other = await one(session, ProductWrite("k2", "1", {}, variants=[price]))
    assert done.outcome == "person"
    assert said in str(done.message)
    assert other.parts[0].outcome == "ok"


async def test_variant_that_can_not_be_written_costs_itself_alone(prestashop: PrestaShop) -> None:
    put_combined(prestashop)
    prestashop.put_product(*product(1))
    pounds = {"amount": 1, "currency": "GBP"}
    variants = [
        VariantWrite("3-31", "SCARF-S", {"price": EUROS}),
        VariantWrite("3-32", "SCARF-L", {"price": pounds}),
        VariantWrite("3-404", "GONE", {"price": EUROS}),
        VariantWrite("3-31", "SCARF-S", {"options": {"Size": "M"}}),
        VariantWrite(None, "NEW", {"price": EUROS}),
    ]
    async with session_with(prestashop) as session:
        done = await one(session, ProductWrite("k1", "3", {"title": "Shawl"}, variants=variants))
        single = VariantWrite(None, "SCARF-XL", {"options": {"Size": "XL"}})
        other = await one(session, ProductWrite("k2", "1", {}, variants=[single]))
    assert [part.outcome for part in done.parts] == ["ok", "person", "person", "person", "person"]
    assert (done.outcome, prestashop.product("3")[0]["title"]) == ("ok", "Shawl")
    assert other.parts[0].outcome == "person"


async def test_brand_and_tags_that_are_not_there_are_made_once(prestashop: PrestaShop) -> None:
    for number in (1, 2):
        prestashop.put_product(*product(number))
    row = prestashop.memory.tables["products"][1]
    french = prestashop.memory.add("tags", id_lang="2", name="chaud")
    row["tags"].append({"id": str(french)})
    fields = {"brand": "Looms", "tags": ["soft", "warm"]}
    expected = {"brand": "Skerry", "tags": ["warm", "winter"]}
    async with session_with(prestashop) as session:
        done = await session.write_products([ProductWrite(each, each, fields, expected) for each in ("1", "2")])
    assert [each.fields for each in done] == [fields, fields]
    assert sorted(sent(prestashop, "POST")) == ["POST /api/manufacturers", "POST /api/tags"]
    assert str(french) in {each["id"] for each in row["tags"]}, "tags of other languages stay"


# --- making


async def test_product_is_made_whole_and_shown(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.memory.tables["products"][1]["id_tax_rules_group"] = "3"
    async with session_with(prestashop) as session:
        done = await one(session, hat(description_html="<p>Felt</p>", tags=["warm"], brand="Skerry"))
        record = (await session.read("product", [str(done.external_id)]))[0]
    row = prestashop.memory.tables["products"][int(str(done.external_id))]
    assert (row["state"], row["active"], row["id_tax_rules_group"], row["reference"]) == ("1", "1", "3", "HAT-1")
    assert record.fields["description_html"] == "<p>Felt</p>"
    assert record.parts[0].fields["price"] == EUROS
    assert prestashop.stock("HAT-1", "1") == 0


@pytest.mark.parametrize("make", [hat, mitten])
async def test_product_whose_answer_was_lost_is_made_once(prestashop: PrestaShop, make: Any) -> None:
    """Lost at each write of the creation in its turn."""
    write = make()
    async with session_with(prestashop) as session:
        await one(session, write)
    for after in [place for place, asked in enumerate(prestashop.requests) if asked.method != "GET"]:
        shop = PrestaShop(loses_after=after)
        await shop.start()
        try:
            async with session_with(shop) as session:
                first = await tried(session, write)
                again = await settled(session, write)
                records = await all_records(session, "product")
        finally:
            await shop.stop()
        assert (first, again.outcome) == ("retry", "ok"), (after, again)
        (record,) = records.values()
        assert [part.fields["sku"] for part in record.parts] == [variant.sku for variant in write.variants], after
        assert len(shop.memory.tables["product_option_values"]) == (2 if make is mitten else 0)


async def tried(session: Session, write: ProductWrite) -> str:
    try:
        return (await one(session, write)).outcome
    except AnswerLost:
        return "retry"


async def settled(session: Session, write: ProductWrite) -> Written:
    for _ in range(4):
        done = await one(session, write)
        if done.outcome != "retry":
            return done
    raise AssertionError(done)


@pytest.mark.parametrize("sku", ["SCARF-1", "A|B", "A,B [x]", "50%", "a b/c"])
async def test_reference_of_another_product_is_for_a_person(prestashop: PrestaShop, sku: str) -> None:
    """The shop would make a second one without a word; signs of its filters are no obstacle."""
    prestashop.put_product(*product(1))
    prestashop.put_product(*product(2))
    prestashop.memory.tables["products"][1]["reference"] = sku
    async with session_with(prestashop) as session:
        done = await one(session, hat(sku=sku))
        free = await one(session, hat(sku=sku.lower() + "|x", handle="other"))
    assert (done.outcome, "already has" in str(done.message)) == ("person", True)
    assert free.outcome == "ok"


async def test_variants_without_options_are_no_product(prestashop: PrestaShop) -> None:
    variants = [VariantWrite(None, each, {"price": EUROS}) for each in ("A", "B")]
    async with session_with(prestashop) as session:
        done = await one(session, ProductWrite("k1", None, {"title": "Two"}, variants=variants))
        pounds = [VariantWrite(None, "A", {"price": {"amount": 1, "currency": "GBP"}})]
        foreign = await one(session, ProductWrite("k2", None, {"title": "One"}, variants=pounds))
    assert (done.outcome, foreign.outcome, sent(prestashop)) == ("person", "person", [])


async def test_entities_that_there_are_not(prestashop: PrestaShop) -> None:
    async with session_with(prestashop) as session:
        with pytest.raises(PlatformRefused):
            await session.page(Scan("variant"))
        with pytest.raises(PlatformRefused):
            await session.read("variant", ["1"])
        assert await session.read("product", ["no-id", "1|2", "", "٣"]) == []
