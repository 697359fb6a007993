"""What the shop sells is made on a platform where that is wanted: whole, once whatever is lost, never what is there."""

import asyncio
from typing import Any

import pytest

from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.fakes.platforms import FakeShop
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import product
from tests.services.sync.test_orders_and_stock import set_up, try_again_now

pytestmark = pytest.mark.feature("SYN-5", "SYN-6", "SYN-7")

CODE = "4006381333931"


async def configure(connected: Connected, **settings: Any) -> None:
    now = await connected.get(f"/v1/connections/{connected.id}")
    changed = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": now["settings"] | settings}, headers=connected.headers
    )
    assert changed.status_code == 200, changed.text


async def change(connected: Connected, product_id: str, **values: Any) -> None:
    answer = await connected.client.patch(f"/v1/products/{product_id}", json=values, headers=connected.headers)
    assert answer.status_code == 200, answer.text
    await connected.heard_all()


async def price(connected: Connected, **amounts: int) -> None:
    rows = [{"shop": "main", "sku": sku.replace("_", "-"), "price": amount} for sku, amount in amounts.items()]
    await connected.post("/v1/prices/bulk", rows)
    await connected.heard_all()


async def publish(connected: Connected, product_id: str, verb: str = "publish") -> None:
    await connected.post(f"/v1/products/{product_id}/{verb}")
    await connected.heard_all()


async def category(connected: Connected) -> str:
    """A category that the shop sells."""
    made = await connected.post("/v1/categories", {"name": "Warm", "slug": "warm"}, status=201)
    await connected.post(f"/v1/categories/{made['id']}/assign", {"shops": ["main"]})
    return str(made["id"])


async def sell(connected: Connected, **draft: Any) -> dict[str, Any]:
    """A mitten in two sizes that the shop sells, and sync has heard of."""
    values = {
        "title": "Mitten",
        "description_html": "<p>Ours.</p>",
        "brand": "Skerry",
        "tags": ["warm"],
        "options": ["Size"],
        "images": [{"url": "https://images.example.com/mitten.jpg", "alt": "A mitten"}],
        "category_ids": draft.get("category_ids") or [await category(connected)],
        "variants": [
            {"sku": "MITTEN-S", "barcode": CODE, "options": {"Size": "S"}, "weight_grams": 80},
            {"sku": "MITTEN-L", "options": {"Size": "L"}},
        ],
    }
    made: dict[str, Any] = await connected.post("/v1/products", values | draft, status=201)
    await price(connected, **{variant["sku"].replace("-", "_"): 2000 for variant in made["variants"]})
    await publish(connected, made["id"])
    return made


async def live(connected: Connected, fake: FakeShop, **settings: Any) -> None:
    await set_up(connected, fake, 1)
    await connected.run("update_products")
    await configure(connected, create_products=True, **settings)
    await connected.go_live()
    await connected.heard_all()


def made_there(fake: CustomShop) -> list[str]:
    return [each for each in fake.product_ids() if each != "1"]


async def test_nothing_is_made_unless_the_connection_says_so(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 1)
    await connected.go_live()
    await sell(connected)
    await connected.run("export_products")
    assert (made_there(fake), await connected.changes(direction="out")) == ([], [])

    await configure(connected, create_products=True)
    await connected.heard_all()
    await connected.run("export_products")
    assert len(made_there(fake)) == 1, await connected.issues()


async def test_in_test_mode_it_is_shown_and_goes_when_it_is_no_longer_wanted(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake, 1)
    await configure(connected, create_products=True)
    ours = await sell(connected)
    done = await connected.run("export_products")
    assert (done["state"], done["counters"]["planned"]) == ("succeeded", 1), done
    (shown,) = await connected.changes(direction="out", state="queued")
    assert (shown["colour"], shown["entity"], shown["external_id"], shown["field"]) == ("green", "product", None, None)
    assert shown["after"]["product"]["title"] == "Mitten"
    assert [each["sku"] for each in shown["after"]["variants"]] == ["MITTEN-S", "MITTEN-L"]
    (waiting,) = (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"]
    assert (waiting["external_id"], waiting["colour"]) == (None, "green")
    assert (made_there(fake), fake.writes) == ([], [])

    await change(connected, ours["id"], title="Warm mitten")
    await connected.run("export_products")
    (shown,) = await connected.changes(direction="out", state="queued")
    assert shown["after"]["product"]["title"] == "Warm mitten"

    await publish(connected, ours["id"], "pause")
    await connected.run("export_products")
    assert await connected.changes(direction="out") == []

    await publish(connected, ours["id"])
    await connected.run("export_products")
    assert len(await connected.changes(direction="out", state="queued")) == 1
    await configure(connected, create_products=False)
    assert (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"] == []


async def test_a_product_is_made_whole_and_its_echo_is_no_change(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, price={"margin_percent": "10"})
    ours = await sell(connected)

    done = await connected.run("export_products")

    assert (done["state"], done["counters"]["sent"]) == ("succeeded", 1), await connected.issues()
    (there,) = made_there(fake)
    fields, variants = fake.product(there)
    assert fields == {
        "handle": "mitten",
        "title": "Mitten",
        "description_html": "<p>Ours.</p>",
        "brand": "Skerry",
        "tags": ["warm"],
        "status": "active",
        "options": ["Size"],
        "images": [{"url": "https://images.example.com/mitten.jpg", "alt": "A mitten"}],
        "categories": [["Warm"]],
    }
    small, large = variants.values()
    assert small == {
        "sku": "MITTEN-S",
        "barcode": CODE,
        "options": {"Size": "S"},
        "weight_grams": 80,
        "price": {"amount": 2200, "currency": "EUR"},
    }
    assert (large["sku"], large["price"]["amount"]) == ("MITTEN-L", 2200)
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"]
    assert {each["external_id"] for each in listings} == {there, *variants}
    assert {each["colour"] for each in listings} == {"neutral"}

    # What the platform has added by itself is nobody's change either.
    fake.put_product(
        there, fields | {"seo_title": "Buy Mitten"}, {k: v | {"taxable": True} for k, v in variants.items()}
    )
    before = await connected.products()
    for kind in ("import_products", "update_products", "import_images"):
        assert (await connected.run(kind))["counters"].get("applied", 0) == 0
    assert await connected.products() == before
    assert await connected.changes(direction="in", state="queued") == []
    assert (await connected.run("export_products"))["counters"].get("sent", 0) == 0
    assert len(fake.writes) == 1
    # From now on it is one like the others.
    fake.put_product(there, fields | {"title": "Their mitten"}, variants)
    await connected.run("update_products")
    assert (await connected.products())["mitten"]["title"] == "Their mitten"


async def test_the_stock_of_what_was_made_follows(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake)
    await sell(connected)
    await connected.post("/v1/stock/bulk", [{"sku": "MITTEN-S", "centre": "quay", "on_hand": 5}])
    await connected.heard_all()
    await connected.run("export_products")
    assert (fake.stock("MITTEN-S", "main"), fake.stock("SCARF-1", "main")) == (0, 10)
    before = len(fake.requests)

    done = await connected.run("export_stock")

    assert (done["state"], fake.stock("MITTEN-S", "main")) == ("succeeded", 5), await connected.issues()
    assert any(each.startswith("GET /stock?") and "since=" in each for each in fake.requests[before:])
    asked = len(fake.requests)
    assert (await connected.run("export_stock"))["counters"].get("sent", 0) == 0
    assert [each for each in fake.requests[asked:] if each.startswith("GET /stock")] == []


@pytest.mark.parametrize("fault", ["lost", "half", "html", "throttle", "away"])
async def test_it_is_made_once_whatever_is_lost(connected: Connected, fake: CustomShop, fault: str) -> None:
    await live(connected, fake)
    ours = await sell(connected)
    setattr(fake.faults, fault, 1)
    await connected.run("export_products")
    # Changed meanwhile: what was tried is tried again just so, and the difference is written after it.
    await configure(connected, fields={"title": {"policy": "ours"}})
    await change(connected, ours["id"], title="Warm mitten")
    await try_again_now(connected)
    await connected.run("export_products")
    await connected.run("export_products")

    (there,) = made_there(fake)
    fields, variants = fake.product(there)
    assert (fields["title"], len(variants)) == ("Warm mitten", 2), await connected.changes(direction="out")
    assert await connected.changes(direction="out", state="queued") == []


@pytest.mark.parametrize("absorbs", [True, False])
async def test_a_scan_that_is_quicker_than_the_answer_finds_the_same_product(
    connected: Connected, fake: CustomShop, absorbs: bool
) -> None:
    await live(connected, fake, absorb_products=absorbs, price={"margin_percent": "10"})
    ours = await sell(connected)
    fake.faults.lost = 1
    await connected.run("export_products")
    (there,) = made_there(fake)
    before = await connected.products()

    for kind in ("import_products", "update_products"):
        assert (await connected.run(kind))["counters"].get("applied", 0) == 0
    assert await connected.products() == before
    assert await connected.changes(direction="in", state="queued") == []
    assert await connected.changes(direction="in", state="review") == []
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"]
    assert {each["external_id"] for each in listings} == {there, *fake.product(there)[1]}
    (made,) = await connected.changes(direction="out", state="applied")
    assert made["external_id"] == there
    await try_again_now(connected)
    await connected.run("export_products")
    assert (len(fake.writes), made_there(fake)) == (1, [there])
    resolved = await connected.get("/v1/prices/resolve?shop=main&sku=MITTEN-S")
    assert resolved["price"]["amount"] == 2000


@pytest.mark.parametrize("by", ["sku", "barcode"])
async def test_what_is_there_by_sku_or_barcode_is_linked_and_not_made(
    connected: Connected, fake: CustomShop, by: str
) -> None:
    await live(connected, fake, absorb_products=False)
    _, fields, _ = product(7, title="Their mitten")
    known = {"sku": "MITTEN-S"} if by == "sku" else {"sku": "OTHER", "barcode": CODE}
    fake.put_product("7", fields, {"70": known | {"options": {}}})
    await connected.run("import_products")
    ours = await sell(connected, variants=[{"sku": "MITTEN-S", "barcode": CODE}], options=[])

    await connected.run("export_products")

    assert (made_there(fake), fake.writes) == (["7"], [])
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}&entity=product"))["items"]
    assert [each["external_id"] for each in listings] == ["7"]
    assert await connected.changes(direction="out") == []


async def test_a_sku_that_is_another_products_there_is_for_a_person(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake)
    await connected.post("/v1/products", {"title": "Elsewhere", "variants": [{"sku": "ELSE"}]}, status=201)
    _, fields, _ = product(7)
    fake.put_product("7", fields, {"70": {"sku": "ELSE", "options": {}}, "71": {"sku": "MITTEN-S", "options": {}}})
    await configure(connected, absorb_products=False)
    await connected.run("import_products")
    listed = (await connected.get("/v1/listings?entity=product&first=200"))["items"]
    changes = await connected.changes(direction="in", state="review")
    waiting = [each["id"] for each in changes if each["external_id"] in ("7", "70")]
    assert waiting, listed
    await connected.post("/v1/changes/approve", {"change_ids": waiting})
    await connected.run("import_products")
    await sell(connected)

    await connected.run("export_products")

    assert made_there(fake) == ["7"]
    (issue,) = [each for each in await connected.issues() if each["issue_class"] == "error"]
    assert (issue["code"], issue["subject"], issue["setting"]) == ("sku_elsewhere", "mitten", "match_by")


async def test_nothing_is_made_before_the_matches_were_seen(connected: Connected, fake: CustomShop) -> None:
    await configure(connected, create_products=True)
    await sell(connected)
    await connected.run("export_products")
    assert await connected.changes(direction="out") == []
    assert [(each["feed"], each["code"]) for each in await connected.issues()] == [
        ("export_products", "matches_not_seen")
    ]
    await connected.run("import_products")
    await connected.confirm_matches()
    await connected.run("export_products")
    assert len(await connected.changes(direction="out", state="queued")) == 1
    assert [each for each in await connected.issues() if each["feed"] == "export_products"] == []


@pytest.mark.parametrize("lack", ["publication", "category"])
async def test_what_the_shop_does_not_sell_is_not_made(connected: Connected, fake: CustomShop, lack: str) -> None:
    await live(connected, fake)
    categories = [] if lack == "category" else [await category(connected)]
    draft = {"title": "Mitten", "category_ids": categories, "variants": [{"sku": "MITTEN-S"}]}
    made = await connected.post("/v1/products", draft, status=201)
    await price(connected, MITTEN_S=100)
    if lack != "publication":
        await publish(connected, made["id"])
    await connected.run("export_products")
    assert (made_there(fake), await connected.changes(direction="out")) == ([], [])


async def test_a_category_that_is_assigned_brings_its_products_and_a_price_its_variant(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake)
    home = await connected.post("/v1/categories", {"name": "Home", "slug": "home"}, status=201)
    variants = [{"sku": "CUP-RED", "options": {"Colour": "Red"}}, {"sku": "CUP-BLUE", "options": {"Colour": "Blue"}}]
    draft = {"title": "Cup", "options": ["Colour"], "category_ids": [home["id"]], "variants": variants}
    ours = await connected.post("/v1/products", draft, status=201)
    await price(connected, CUP_RED=700)
    await publish(connected, ours["id"])
    await connected.run("export_products")
    assert made_there(fake) == []
    await connected.post(f"/v1/categories/{home['id']}/assign", {"shops": ["main"]})
    await connected.heard_all()
    await connected.run("export_products")
    (there,) = made_there(fake)
    assert [each["sku"] for each in fake.product(there)[1].values()] == ["CUP-RED"]
    await price(connected, CUP_BLUE=800)
    await connected.run("export_products")
    assert [each["sku"] for each in fake.product(there)[1].values()] == ["CUP-RED", "CUP-BLUE"]


async def test_a_person_calls_a_creation_off_and_wants_it_after_all(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 1)
    await configure(connected, create_products=True)
    ours = await sell(connected)
    await connected.run("export_products")
    await connected.go_live()
    (shown,) = await connected.changes(direction="out", state="queued")
    assert await connected.post("/v1/changes/cancel", {"change_ids": [shown["id"]]}) == {"decided": 1}
    await change(connected, ours["id"], title="Warm mitten")
    await connected.run("export_products")
    assert (made_there(fake), await connected.changes(direction="out", state="queued")) == ([], [])

    assert await connected.post("/v1/changes/approve", {"change_ids": [shown["id"]]}) == {"decided": 1}
    await change(connected, ours["id"], title="Mitten after all")
    await connected.run("export_products")
    (there,) = made_there(fake)
    assert fake.product(there)[0]["title"] == "Mitten after all"


async def test_what_the_platform_refuses_is_for_a_person_and_is_tried_again_when_it_changed(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake)
    _, fields, _ = product(7)
    # Made over there since the last scan.
    fake.put_product("7", fields, {"70": {"sku": "MITTEN-L", "options": {}}})
    ours = await sell(connected)
    done = await connected.run("export_products")
    assert (done["state"], done["counters"]["failed"]) == ("partial", 1)
    (issue,) = [each for each in await connected.issues() if each["issue_class"] == "error"]
    assert (issue["code"], issue["remote_message"]) == ("refused", "The SKU MITTEN-L is taken.")

    await change(connected, ours["id"], remove_skus=["MITTEN-L"], title="Small mitten")
    await connected.run("export_products")
    there = next(each for each in made_there(fake) if each != "7")
    assert fake.product(there)[0]["title"] == "Small mitten"
    assert [each for each in await connected.issues() if each["issue_class"] == "error"] == []


@pytest.mark.parametrize("fault", [None, "lost"])
async def test_new_variants_of_a_linked_product_are_made_once(
    connected: Connected, fake: CustomShop, fault: str | None
) -> None:
    await live(connected, fake)
    ours = (await connected.products())["scarf-1"]
    await change(connected, ours["id"], category_ids=[await category(connected)])
    sizes = {"SCARF-1": "M", "SCARF-1-XL": "XL", "SCARF-1-NONE": "S"}
    variants = [{"sku": sku, "options": {"Size": size}} for sku, size in sizes.items()]
    await change(connected, ours["id"], options=["Size"], variants=variants)
    await connected.run("export_products")
    assert fake.writes == []
    await price(connected, SCARF_1_XL=2500)
    if fault:
        fake.faults.lost = 1
    await connected.run("export_products")
    await connected.run("import_products")
    await try_again_now(connected)
    await connected.run("export_products")

    fields, variants = fake.product("1")
    assert [each["sku"] for each in variants.values()] == ["SCARF-1", "SCARF-1-XL"], await connected.issues()
    assert list(variants.values())[1]["options"] == {"Size": "XL"}
    assert list(variants.values())[1]["price"] == {"amount": 2500, "currency": "EUR"}
    assert fields == product(1)[1]
    assert len([write for write in fake.writes if write.has_changed]) == 1
    listings = (await connected.get("/v1/listings?sku=SCARF-1-XL&entity=variant"))["items"]
    assert [each["product_id"] for each in listings] == [ours["id"]]
    assert await connected.changes(direction="in", state="queued") == []


async def test_what_was_removed_there_is_not_made_anew(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake)
    ours = await sell(connected)
    await connected.run("export_products")
    (there,) = made_there(fake)
    fake.remove_product(there)
    for number in range(2, 8):
        fake.put_product(*product(number))
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    await configure(connected, guard_percent=100)
    assert (await connected.run("import_products"))["counters"]["gone"] == 3
    await change(connected, ours["id"], title="Again")
    await connected.run("export_products")
    assert there not in fake.product_ids()
    assert all(fake.product(each)[0]["title"] != "Again" for each in fake.product_ids())


async def test_two_runs_and_a_scan_at_once_make_it_once(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, price={"margin_percent": "10"})
    await sell(connected)
    paths = [f"/v1/feeds/{connected.feeds[kind]['id']}/run" for kind in ("export_products", "import_products")]
    answers = await asyncio.gather(
        *(connected.client.post(path, headers=connected.headers) for path in (*paths, *paths))
    )
    for answer in answers:
        if answer.status_code == 202:
            await connected.ended(answer.json()["id"])
    await connected.run("import_products")
    await connected.run("update_products")
    assert len(made_there(fake)) == 1
    resolved = await connected.get("/v1/prices/resolve?shop=main&sku=MITTEN-S")
    assert resolved["price"]["amount"] == 2000
    assert await connected.changes(direction="in", state="queued") == []


@pytest.mark.parametrize("said", ["yes please", 2, "null"])
async def test_the_setting_is_a_truth_value(connected: Connected, said: Any) -> None:
    now = await connected.get(f"/v1/connections/{connected.id}")
    assert now["settings"]["create_products"] is False
    answer = await connected.client.patch(
        f"/v1/connections/{connected.id}",
        json={"settings": now["settings"] | {"create_products": said}},
        headers=connected.headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text


@pytest.mark.parametrize("fake", [ShopifyShop], indirect=True)
@pytest.mark.parametrize("fault", [None, "lost", "throttle"])
async def test_on_shopify_a_product_is_made_once_and_its_echo_is_no_change(
    connected: Connected, fake: ShopifyShop, fault: str | None
) -> None:
    await live(connected, fake, price={"margin_percent": "10"}, fields={"categories": {"policy": "ignore"}})
    ours = await sell(connected, images=[])
    if fault:
        setattr(fake.faults, fault, 1)
    await connected.run("export_products")
    if fault == "lost":
        await connected.run("import_products")
    await try_again_now(connected)
    await connected.run("export_products")

    (there,) = [each for each in fake.products if each != "1"]
    fields, variants = fake.product(there)
    assert (fields["title"], fields["handle"], fields["status"]) == ("Mitten", "mitten", "active")
    assert {each["sku"]: each["price"]["amount"] for each in variants.values()} == {"MITTEN-S": 2200, "MITTEN-L": 2200}
    before = await connected.products()
    for kind in ("import_products", "update_products", "import_images"):
        assert (await connected.run(kind))["counters"].get("applied", 0) == 0
    assert await connected.products() == before
    assert await connected.changes(direction="in", state="queued") == []
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"]
    assert {each["external_id"] for each in listings} == {there, *variants}
