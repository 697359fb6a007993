"""A WooCommerce shop from connecting to production, through the doors; what is done is not done again."""

import pytest

from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import order, product
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
from tests.services.sync.test_creating import configure, sell
from tests.services.sync.test_orders_and_stock import set_up

pytestmark = [
    pytest.mark.feature("SYN-1", "SYN-2", "SYN-6", "SYN-7", "SYN-9"),
    pytest.mark.parametrize("fake", [WooShop], indirect=True),
]


def written(fake: WooShop) -> list[str]:
    """What was sent that is no question."""
    return [f"{method} {path}" for method, path, _, body in fake.requests if method != "GET" and body != {"update": []}]


def furnish(fake: WooShop) -> None:
    """A product with variations in two categories, and a picture."""
    picture = {"url": f"{fake.settings['url']}/pictures/scarf.png", "alt": "A scarf"}
    put_sizes(fake, categories=[["Warm", "Necks"]], attributes={"Wool": "Merino"}, images=[picture])


async def test_from_connecting_to_production_and_a_second_run_sends_nothing(
    connected: Connected, fake: WooShop
) -> None:
    greeting = connected.connection["greeting"]
    assert (greeting["shop_name"], greeting["currency"], greeting["missing"]) == ("Shop on the quay", "EUR", [])
    assert {"import_suppliers", "import_supplier_links"} == set(connected.connection["lacks"])
    furnish(fake)
    ours = await take_over(connected, fake)
    await configure(connected, order_statuses=greeting["proposed_statuses"])

    fake.put_order(order(501, sku="SCARF-2", status="processing"))
    await run_all(connected)
    varied = await connected.get(f"/v1/products/{ours['scarf-3']['id']}")
    assert [image["url"] for image in varied["images"]] == [fake.product("3")[0]["images"][0]["url"]]
    assert varied["attributes"] == {"Wool": "Merino"}
    assert {each["sku"]: each["options"] for each in varied["variants"]} == {
        "SCARF-S": {"Size": "S"},
        "SCARF-L": {"Size": "L"},
    }
    taken = await taken_order(connected)
    assert written(fake) == [], "it is in test mode"

    await go_live_and_change(connected, taken, "Shawl & co")
    assert_changed(fake, "Shawl & co")
    assert len(fake.notes[501]) == 1
    assert fake.orders[501]["status"] == "completed"

    # The order's new state, which follows from the shipment, comes back once.
    await connected.run("update_orders")
    fake.requests.clear()
    await assert_all_quiet(connected)
    assert written(fake) == []


async def test_what_is_sold_here_is_made_there_once(connected: Connected, fake: WooShop) -> None:
    await set_up(connected, fake, 1)
    await connected.run("update_products")
    await configure(connected, create_products=True)
    await connected.go_live()
    await connected.heard_all()
    fake.put_category(["Warm"])
    fake.requests.clear()
    await sell(connected, images=[{"url": f"{fake.settings['url']}/pictures/mitten.png", "alt": "A mitten"}])
    fake.faults.half = 1
    done = await connected.run("export_products")
    assert (done["state"], done["counters"].get("failed", 0)) == ("succeeded", 0), await connected.issues()
    if len(fake.product_ids()) == 1:
        await connected.run("export_products")
    made = next(each for each in fake.product_ids() if each != "1")
    assert_made(fake, made, categories=[["Warm"]])
    fake.requests.clear()
    for kind in ("update_products", "export_products", "export_stock", "export_products"):
        assert (await connected.run(kind))["state"] == "succeeded", await connected.issues()
    assert written(fake) == []
    assert len(fake.product_ids()) == 2
    assert len(fake.fetched) == 1
    assert await connected.changes(direction="out", state="queued") == []


@pytest.mark.feature("SYN-14")
async def test_ping_is_answered_well_and_a_delivery_wakes_its_feeds(connected: Connected, fake: WooShop) -> None:
    await connected.confirm_matches()
    url = connected.connection["webhook_url"]
    path = url[url.index("/v1/") :]

    async def sent(headers: dict[str, str], body: bytes) -> int:
        return int((await connected.client.post(path, content=body, headers=headers)).status_code)

    assert await sent({"content-type": "application/x-www-form-urlencoded"}, b"webhook_id=5") == 200
    assert await sent({"content-type": "application/json"}, b'{"id": 1}') == 401
    fake.put_product(*product(1))
    assert await sent(*fake.webhook("product.created", {"id": 1})) == 200

    async def has_come() -> bool:
        return "scarf-1" in await connected.products()

    await eventually(has_come, 30)
