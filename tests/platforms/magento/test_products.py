"""Changes of products in a Magento shop: by their SKUs, of what is named alone, never over what is newer (SYN-5)."""

from typing import Any

import pytest

from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.platforms.magento.bulk import WAITS
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import product, put_products, session_with
from tests.platforms.magento.test_scanning import jacket

pytestmark = pytest.mark.feature("SYN-1", "SYN-5", "SYN-7")
JsonObject = dict[str, Any]


def euros(amount: int) -> JsonObject:
    return {"amount": amount, "currency": "EUR"}


def title(external_id: str, wanted: str = "New", expected: str | None = None) -> ProductWrite:
    return ProductWrite(f"k{external_id}", external_id, {"title": wanted}, {"title": expected} if expected else {})


async def write(magento: MagentoShop, *writes: ProductWrite) -> list[Written]:
    async with session_with(magento) as session:
        return list(await session.write_products(writes))


def sent(magento: MagentoShop, method: str = "PUT") -> list[Any]:
    return [body for verb, _, _, body in magento.requests if verb == method]


async def test_product_and_its_variant_are_one_request(magento: MagentoShop) -> None:
    put_products(magento, 1)
    variant = VariantWrite("1", "SCARF-1", {"price": euros(2099), "barcode": "4006381333931"})
    (written,) = await write(magento, ProductWrite("k", "1", {"title": "New"}, variants=[variant]))
    assert (written.outcome, [part.outcome for part in written.parts]) == ("ok", ["ok"])
    assert written.parts[0].fields == {"price": euros(2099), "barcode": "4006381333931"}
    assert len(sent(magento)) == 1
    assert sent(magento)[0]["product"]["sku"] == "SCARF-1", "without it a PUT may take a query for the SKU"


async def test_children_are_written_by_their_own_skus(magento: MagentoShop) -> None:
    magento.put_product(*jacket())
    variants = [VariantWrite(each, "x", {"price": euros(5090)}) for each in ("401", "403")]
    (written,) = await write(magento, ProductWrite("k", "500", {}, variants=variants))
    assert (written.outcome, [part.external_id for part in written.parts]) == ("ok", ["401", "403"])
    _, there = magento.product("500")
    assert [each["price"]["amount"] for each in there.values()] == [4990, 5090, 4990, 5090]
    assert sorted(each["product"]["sku"] for each in sent(magento)) == ["JACKET-M", "JACKET-XL"]


async def test_two_writes_to_one_product_both_arrive(magento: MagentoShop) -> None:
    put_products(magento, 1)
    brand = ProductWrite("k2", "1", {"product_type": "Shawls"})
    assert [each.outcome for each in await write(magento, title("1"), brand)] == ["ok", "ok"]
    fields, _ = magento.product("1")
    assert (fields["title"], fields["product_type"]) == ("New", "Shawls")


async def test_what_changed_there_is_stale_and_not_written(magento: MagentoShop) -> None:
    put_products(magento, 1)
    variant = VariantWrite("1", "SCARF-1", {"price": euros(1)}, {"price": euros(5)})
    write_ = ProductWrite("k", "1", {"title": "New"}, {"title": "Before"}, [variant])
    (written,) = await write(magento, write_)
    assert (written.outcome, written.fields) == ("stale", {"title": "Scarf 1"})
    assert (written.parts[0].outcome, written.parts[0].fields) == ("stale", {"price": euros(1999)})
    assert magento.writes == []


async def test_options_are_chosen_by_label_and_added_once(magento: MagentoShop) -> None:
    put_products(magento, 3)
    brands = [ProductWrite(f"k{n}", str(n), {"brand": "New Brand"}) for n in (1, 2, 3)]
    assert [each.outcome for each in await write(magento, *brands)] == ["ok"] * 3
    labels = [each["label"] for each in magento.state.options["manufacturer"]]
    assert labels == ["Skerry", "New Brand"]
    assert magento.product("2")[0]["brand"] == "New Brand"
    await write(magento, ProductWrite("k", "1", {"brand": "skerry"}))
    assert magento.product("1")[0]["brand"] == "Skerry"
    assert len(magento.state.options["manufacturer"]) == 2


async def test_special_price_stands_below_the_regular_one(magento: MagentoShop) -> None:
    put_products(magento, 1)
    reduced = {"price": euros(999), "list_price": euros(1999)}
    (written,) = await write(magento, ProductWrite("k", "1", {}, variants=[VariantWrite("1", "SCARF-1", reduced)]))
    assert written.parts[0].fields == reduced
    assert magento.state.products[1]["price"] == 19.99
    back = VariantWrite("1", "SCARF-1", {"price": euros(1500), "list_price": None}, reduced)
    (written,) = await write(magento, ProductWrite("k", "1", {}, variants=[back]))
    assert written.parts[0].fields == {"price": euros(1500), "list_price": None}
    assert magento.state.products[1]["price"] == 15.0


async def test_letters_that_the_shop_can_not_keep_are_told(magento: MagentoShop) -> None:
    """Surprise 14."""
    put_products(magento, 1)
    (written,) = await write(magento, title("1", "Scarf 🧣"))
    assert (written.outcome, written.fields) == ("ok", {"title": "Scarf ????"})


async def test_product_joins_a_category_and_leaves_none(magento: MagentoShop) -> None:
    """Surprise 12: `category_links` add and remove none."""
    magento.put_product(*product(1, categories=[["Wool"]]))
    magento.state.category(["Gifts", "Winter"])
    joined = [["Gifts", "Winter"], ["Wool"]]
    (written,) = await write(magento, ProductWrite("k", "1", {"categories": joined}, {"categories": [["Wool"]]}))
    assert (written.outcome, written.fields) == ("ok", {"categories": joined})
    left = ProductWrite("k", "1", {"categories": [["Wool"]]}, {"categories": joined})
    nowhere = ProductWrite("k", "1", {"categories": [["Nowhere"]]})
    for refused, words in ((left, "Gifts / Winter"), (nowhere, "Nowhere")):
        (written,) = await write(magento, refused)
        assert (written.outcome, words in str(written.message)) == ("person", True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": ["Colour"]}, "options"),
        ({"title": ""}, "Product Name"),
        ({"handle": "scarf-2"}, "URL key"),
    ],
)
async def test_what_is_not_changed_from_here_is_for_a_person(
    magento: MagentoShop, fields: JsonObject, words: str
) -> None:
    put_products(magento, 2)
    (written,) = await write(magento, ProductWrite("k", "1", fields))
    assert (written.outcome, words in str(written.message)) == ("person", True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sku": "OTHER"}, "sku"),
        ({"options": {"Size": "S"}}, "options"),
        ({"price": {"amount": 1, "currency": "USD"}}, "EUR"),
        ({"price": euros(-1)}, "0 or greater"),
    ],
)
async def test_variant_that_is_not_so_changed_is_for_a_person(
    magento: MagentoShop, fields: JsonObject, words: str
) -> None:
    put_products(magento, 1)
    (written,) = await write(magento, ProductWrite("k", "1", {}, variants=[VariantWrite("1", "SCARF-1", fields)]))
    assert (written.parts[0].outcome, words in str(written.parts[0].message)) == ("person", True)


async def test_lost_answer_is_no_second_change(magento: MagentoShop) -> None:
    put_products(magento, 1)
    magento.lose = ["PUT products"]
    assert [each.outcome for each in await write(magento, title("1"))] == ["retry"]
    assert [each.outcome for each in await write(magento, title("1"))] == ["unchanged"]
    assert len(sent(magento)) == 1


async def test_variant_that_is_gone_and_ids_that_are_none(magento: MagentoShop) -> None:
    put_products(magento, 1)
    variants = [VariantWrite(each, "X", {"price": euros(1)}) for each in ("99", "x", "²")]
    (written,) = await write(magento, ProductWrite("k", "1", {}, variants=variants))
    assert [part.outcome for part in written.parts] == ["person"] * 3
    (written,) = await write(magento, title("no number"))
    assert written.outcome == "person"


# --- queued


@pytest.fixture
def queueing(magento: MagentoShop) -> MagentoShop:
    magento.settings["queue"] = True
    put_products(magento, 3)
    return magento


async def test_many_changes_are_one_bulk(queueing: MagentoShop) -> None:
    written = await write(queueing, *(title(each) for each in "123"))
    assert [(each.outcome, each.fields) for each in written] == [("ok", {"title": "New"})] * 3
    (body,) = sent(queueing)
    assert [(each["sku"], each["product"]["sku"]) for each in body] == [(f"SCARF-{n}", f"SCARF-{n}") for n in "123"]


async def test_one_of_a_bulk_that_fails_fails_alone(queueing: MagentoShop) -> None:
    written = await write(queueing, title("1"), ProductWrite("k", "2", {"handle": "scarf-3"}), title("3"))
    assert [each.outcome for each in written] == ["ok", "person", "ok"]
    assert "URL key" in str(written[1].message)


async def test_nothing_newer_is_written_while_something_older_waits(queueing: MagentoShop) -> None:
    """Surprise 4: a queued write is done minutes later, over what is newer by then."""
    queueing.has_worker = False
    assert [each.outcome for each in await write(queueing, title("1", "Older"))] == ["retry"]
    written = await write(queueing, title("1", "Newer"), title("2", "Newer"))
    assert [(each.outcome, each.message) for each in written] == [("retry", WAITS)] * 2
    assert len(queueing.bulks) == 2, "nothing more was queued for the first"
    queueing.work()
    assert queueing.product("1")[0]["title"] == "Older"
    queueing.has_worker = True
    assert [each.outcome for each in await write(queueing, title("1", "Newer"))] == ["ok"]
    assert queueing.product("1")[0]["title"] == "Newer"


async def test_worker_that_does_not_run_is_told_in_the_end(queueing: MagentoShop) -> None:
    """Surprise 3: operations stay open for good."""
    queueing.has_worker = False
    for _ in range(3):
        (written,) = await write(queueing, title("1"))
        assert (written.outcome, "worker" in str(written.message)) == ("retry", True)
    assert len(queueing.bulks) == 1


async def test_bulk_whose_answer_is_lost_is_found_waiting_or_done(queueing: MagentoShop) -> None:
    queueing.lose = ["PUT products/bySku"]
    (written,) = await write(queueing, title("1"))
    assert written.outcome == "retry"
    assert [each.outcome for each in await write(queueing, title("1"))] == ["retry"]
    queueing.work()
    assert [each.outcome for each in await write(queueing, title("1"))] == ["unchanged"]
    assert len(queueing.bulks) == 1


async def test_longer_queue_than_can_be_seen_lets_nothing_by(queueing: MagentoShop) -> None:
    queueing.has_worker = False
    for number in range(1, 5):
        queueing._queue(["products", "bySku"], [{"sku": f"OTHER-{number}", "product": {"sku": f"OTHER-{number}"}}])
    assert [each.outcome for each in await write(queueing, title("1"))] == ["retry"]
    assert sent(queueing) == []
