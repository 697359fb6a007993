"""A PrestaShop shop from connecting to production, through the doors; what is done is not done again."""

import pytest

from tests.factories.sync import Connected
from tests.fakes import prestashop_server
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_server import png
from tests.platforms.conftest import order
from tests.services.sync.story import (
    assert_all_quiet,
    assert_changed,
    assert_made,
    go_live_and_change,
    put_sizes,
    run_all,
    take_over,
    taken_order,
)
from tests.services.sync.test_creating import change, configure, sell
from tests.services.sync.test_orders_and_stock import set_up, try_again_now

pytestmark = [
    pytest.mark.feature("SYN-1", "SYN-2", "SYN-6", "SYN-7", "SYN-9"),
    pytest.mark.parametrize("fake", [PrestaShop], indirect=True),
]


def written(fake: PrestaShop) -> list[str]:
    """What was sent that is no question."""
    return [f"{asked.method} {asked.path}" for asked in fake.requests if asked.method != "GET"]


def furnish(fake: PrestaShop) -> None:
    """A product with combinations, a supplier of it, and a picture."""
    put_sizes(fake)
    fake.put_supplier("7", {"name": "Skerry Looms", "phone": "+44 23 9200 0000"})
    cost = {"amount": 750, "currency": "EUR"}
    fake.put_supplier_link("70", {"sku": "SCARF-L", "supplier": "7", "vendor_sku": "SK-9", "cost": cost})
    fake.add_picture("3", png(64, 64))


async def test_from_connecting_to_production_and_a_second_run_sends_nothing(
    connected: Connected, fake: PrestaShop
) -> None:
    greeting = connected.connection["greeting"]
    assert (greeting["shop_name"], greeting["currency"], greeting["time_zone"], greeting["version"]) == (
        "Quay shop",
        "EUR",
        "Europe/Paris",
        "8.2.1",
    )
    assert "Payment accepted" in greeting["order_statuses"]
    assert not connected.connection["lacks"]
    furnish(fake)
    ours = await take_over(connected, fake)

    fake.put_order(order(501, sku="SCARF-2"))
    done = await run_all(connected)
    assert done["import_suppliers"]["counters"]["applied"] == 1
    assert done["import_supplier_links"]["counters"]["applied"] == 1
    combined = await connected.get(f"/v1/products/{ours['scarf-3']['id']}")
    assert [image["url"] for image in combined["images"]] == [fake.address(1)]
    taken = await taken_order(connected)
    assert written(fake) == [], "it is in test mode"

    await go_live_and_change(connected, taken, "Shawl")
    assert_changed(fake, "Shawl")
    assert (fake.memory.tables["orders"][501]["current_state"], fake.memory.mails) == ("4", [501])

    # The order's new state, which follows from the shipment, comes back once: now, or with the next second.
    for _ in range(3):
        if (await connected.run("update_orders"))["counters"].get("applied"):
            break
    fake.requests.clear()
    await assert_all_quiet(connected)
    assert written(fake) == []


@pytest.mark.feature("SYN-8")
async def test_picture_whose_answer_was_lost_is_there_once_when_it_is_tried_again(
    connected: Connected, fake: PrestaShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up(connected, fake, 1)
    await connected.run("update_products")
    await configure(connected, fields={"images": {"policy": "ours"}})
    await connected.go_live()

    def lose_upload(*size: int) -> bytes:
        """What comes after the picture was fetched is its upload."""
        fake.faults.lost = 1
        return png(*size)

    ours = (await connected.products())["scarf-1"]
    await change(connected, ours["id"], images=[{"url": f"{fake.settings['url']}/pictures/new.png", "alt": None}])
    with monkeypatch.context() as patch:
        patch.setattr(prestashop_server, "png", lose_upload)
        await connected.run("export_products")
    assert await connected.changes(direction="out", state="queued")
    await try_again_now(connected)
    done = await connected.run("export_products")
    assert (done["state"], len(fake.product("1")[0]["images"])) == ("succeeded", 1), await connected.issues()
    assert written(fake) == ["POST /api/images/products/1"]


async def test_what_is_sold_here_is_made_there_once(connected: Connected, fake: PrestaShop) -> None:
    await set_up(connected, fake, 1)
    await connected.run("update_products")
    await configure(connected, create_products=True, fields={"images": {"policy": "ours"}})
    await connected.go_live()
    await connected.heard_all()
    url = f"{fake.settings['url']}/pictures/mitten.png"
    fake.memory.add("categories", name="Warm", id_parent="2")
    await sell(connected, images=[{"url": url, "alt": "A mitten"}])
    done = await connected.run("export_products")
    assert (done["state"], done["counters"].get("failed", 0)) == ("succeeded", 0), await connected.issues()
    made = next(each for each in fake.product_ids() if each != "1")
    assert_made(fake, made)
    (picture,) = fake.product(made)[0]["images"]
    fake.requests.clear()
    before = await connected.products()
    for kind in ("import_products", "update_products", "import_images", "export_products", "export_stock"):
        done = await connected.run(kind)
        assert (done["state"], done["counters"].get("applied", 0)) == ("succeeded", 0), (kind, await connected.issues())
    assert (written(fake), len(fake.product_ids())) == ([], 2)
    assert await connected.products() == before

    await change(connected, before["mitten"]["id"], images=[])
    await connected.run("export_products")
    (removal,) = [each for each in await connected.changes(direction="out", state="review") if each["colour"] == "red"]
    assert (written(fake), removal["before"]["url"]) == ([], picture["url"])
    await connected.post("/v1/changes/approve", {"change_ids": [removal["id"]]})
    await connected.run("export_products")
    assert (written(fake), fake.product(made)[0]["images"]) == ([f"DELETE /api/images/products/{made}/1"], [])
