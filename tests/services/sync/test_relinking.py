"""What vanishes and comes back under another id, or as a variant elsewhere, is proposed as a re-link (SYN-8)."""

from typing import Any

import pytest

from shared.identifiers import new_id
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products
from tests.services.sync.test_creating import configure

pytestmark = pytest.mark.feature("SYN-8")


async def imported(connected: Connected, fake: CustomShop, **settings: Any) -> dict[str, Any]:
    """Six products are here; the last one is given."""
    put_products(fake, 6)
    await configure(connected, **settings)
    await connected.confirm_matches()
    await connected.run("import_products")
    return (await connected.products())["scarf-6"]


async def scan_anew(connected: Connected) -> dict[str, Any]:
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    return await connected.run("import_products")


async def proposals(connected: Connected) -> list[dict[str, Any]]:
    return [each for each in await connected.changes(state="review") if each["field"] == "product_id"]


async def approve(connected: Connected, changes: list[dict[str, Any]]) -> None:
    await connected.post("/v1/changes/approve", {"change_ids": [each["id"] for each in changes]})


@pytest.mark.parametrize("by", ["sku", "barcode"])
@pytest.mark.parametrize("comes", ["with the scan", "before it"])
async def test_a_product_that_comes_back_under_another_id_is_the_same_once_approved(
    connected: Connected, fake: CustomShop, by: str, comes: str
) -> None:
    ours = await imported(connected, fake)
    await configure(connected, absorb_products=comes == "with the scan")
    _, fields, variants = product(6)
    if by == "barcode":
        variants["60"]["sku"] = "NEW-6"
    fake.put_product("66", fields, {"660": variants["60"]})
    if comes == "before it":
        await connected.run("import_products")
        assert await proposals(connected) == []
    fake.remove_product("6")
    before = await connected.products()

    done = await scan_anew(connected)

    assert done["counters"]["gone"] == 2, (done, await connected.issues())
    found = await proposals(connected)
    assert {(each["external_id"], each["entity"]) for each in found} == {("66", "product"), ("660", "variant")}
    assert {(each["after"], each["colour"], each["reason"]) for each in found} == {(ours["id"], "yellow", "relink")}
    assert [each for each in await connected.changes(direction="in") if each["state"] in ("queued", "review")] == found
    await connected.run("import_products")
    assert (await connected.products(), await proposals(connected)) == (before, found)

    await approve(connected, found)
    await connected.run("import_products")
    assert await connected.products() == before
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}&first=200"))["items"]
    assert {each["external_id"] for each in listings if not each["gone_at"]} == {"66", "660"}
    fake.put_product("66", fields | {"title": "Scarf, again"}, {"660": variants["60"]})
    await connected.run("update_products")
    after = await connected.products()
    assert sorted(after) == sorted(before)
    assert after["scarf-6"]["title"] == "Scarf, again"


async def test_a_variant_that_moved_to_a_survivor_stays_the_product_it_was(
    connected: Connected, fake: CustomShop
) -> None:
    ours = await imported(connected, fake)
    _, fields, variants = product(5)
    moved = product(6)[2]["60"] | {"options": {"Size": "6"}}
    both = {"50": variants["50"] | {"options": {"Size": "5"}}, "56": moved}
    fake.remove_product("6")
    fake.put_product("5", fields | {"options": ["Size"]}, both)

    await scan_anew(connected)

    (found,) = await proposals(connected)
    assert (found["external_id"], found["entity"], found["after"]) == ("56", "variant", ours["id"])
    await approve(connected, [found])
    await connected.run("import_products")
    both["56"] = moved | {"price": {"amount": 2750, "currency": "EUR"}}
    fake.put_product("5", fields | {"options": ["Size"]}, both)
    done = await connected.run("update_products")

    assert done["state"] == "succeeded", await connected.issues()
    after = await connected.products()
    assert [each["sku"] for each in after["scarf-5"]["variants"]] == ["SCARF-5"]
    assert [each["sku"] for each in after["scarf-6"]["variants"]] == ["SCARF-6"]
    resolved = await connected.get("/v1/prices/resolve?shop=main&sku=SCARF-6")
    assert resolved["price"] == {"amount": 2750, "currency": "EUR"}

    # What it costs here goes out, whatever product it stands in over there.
    await configure(connected, fields={"variant.price": {"policy": "ours"}}, locations={"main": "main"})
    fake.put_stock("SCARF-5", "main", 1)
    await connected.run("import_stock")
    await connected.go_live()
    await connected.run("export_products")
    await connected.post("/v1/prices/bulk", [{"shop": "main", "sku": "SCARF-6", "price": 3100}])
    await connected.heard_all()
    done = await connected.run("export_products")
    assert done["counters"]["sent"] == 1, (done, await connected.issues())
    prices = {sku["sku"]: sku["price"]["amount"] for sku in fake.product("5")[1].values()}
    assert prices == {"SCARF-5": 1999, "SCARF-6": 3100}


async def test_one_that_is_not_what_vanished_is_taken_as_new(connected: Connected, fake: CustomShop) -> None:
    ours = await imported(connected, fake, match_by=["sku"])
    _, fields, variants = product(6)
    fake.remove_product("6")
    fake.put_product("66", fields | {"handle": "other"}, {"660": variants["60"] | {"sku": "OTHER"}})
    await scan_anew(connected)
    found = await proposals(connected)
    assert len(found) == 2

    await connected.post("/v1/changes/cancel", {"change_ids": [each["id"] for each in found]})
    await connected.run("import_products")

    products = await connected.products()
    assert (sorted(products)[0], products["scarf-6"]["id"], len(products)) == ("other", ours["id"], 7)
    assert await proposals(connected) == []


async def test_what_is_still_there_is_no_re_link(connected: Connected, fake: CustomShop) -> None:
    """A second one with the same barcode, while the first is there."""
    await imported(connected, fake)
    _, fields, variants = product(6)
    fake.put_product("66", fields, {"660": variants["60"] | {"sku": "TWIN"}})
    await scan_anew(connected)
    assert await proposals(connected) == []


async def test_a_product_that_is_no_longer_here_can_not_come_back(connected: Connected, fake: CustomShop) -> None:
    await imported(connected, fake)
    _, fields, variants = product(6)
    fake.remove_product("6")
    fake.put_product("66", fields, {"660": variants["60"]})
    await scan_anew(connected)
    found = await proposals(connected)
    # As after an undo of the import that had made it.
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    await uow.execute("UPDATE changes SET after = to_jsonb($1::text) WHERE field = 'product_id'", str(new_id()))
    await uow.commit()
    await approve(connected, found)
    await connected.run("import_products")
    assert "product_gone" in {each["code"] for each in await connected.issues()}
