"""A Magento shop through the doors: connected, looked at, live, all feeds, and a second run of each sends nothing."""

from typing import Any

import pytest

from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import order
from tests.services.sync.test_creating import category, configure, price, publish
from tests.services.sync.test_orders_and_stock import STATUSES, adjust, available, equals, processing
from tests.services.sync.test_products_out import edit, rule

pytestmark = pytest.mark.feature("SYN-2", "SYN-5", "SYN-6", "SYN-7", "SYN-9", "ORD-5")

FEEDS = (
    *("import_products", "update_products", "import_images", "import_orders", "update_orders"),
    *("export_products", "export_stock", "check_stock", "confirm_shipments"),
)
EUROS = {"amount": 4990, "currency": "EUR"}


def stock_up(fake: MagentoShop) -> None:
    """Two products by themselves and a configurable one, with stock in two sources."""
    for number in (1, 2):
        picture = {"url": f"https://elsewhere.example/{number}.png", "alt": f"Scarf {number}"}
        fields = {"title": f"Scarf {number}", "handle": f"scarf-{number}", "brand": "Skerry", "tags": ["warm"]}
        sold = {"sku": f"SCARF-{number}", "barcode": "", "price": {"amount": 1999, "currency": "EUR"}}
        fake.put_product(str(number), {**fields, "images": [picture]}, {str(number): sold})
    sizes = {
        str(400 + place): {"sku": f"JACKET-{size}", "options": {"Size": size}, "price": EUROS}
        for place, size in enumerate(("S", "M"))
    }
    fake.put_product("500", {"title": "Jacket", "handle": "jacket", "brand": "Skerry", "options": ["Size"]}, sizes)
    for sku in ("SCARF-1", "SCARF-2", "JACKET-S", "JACKET-M"):
        fake.put_stock(sku, "main", 10)


async def sell_mittens(connected: Connected, fake: MagentoShop) -> None:
    """Something that is new there: with variants, a picture, and a category that is there too."""
    fake.state.category(["Warm"])
    values = {
        "title": "Mitten",
        "brand": "Skerry",
        "options": ["Size"],
        "images": [{"url": f"{fake.url}/pictures/scarf.png", "alt": "A mitten"}],
        "category_ids": [await category(connected)],
        "variants": [{"sku": f"MITTEN-{size}", "options": {"Size": size}} for size in ("S", "L")],
    }
    made = await connected.post("/v1/products", values, status=201)
    await price(connected, MITTEN_S=2000, MITTEN_L=2000)
    await publish(connected, made["id"])


async def ship(connected: Connected) -> None:
    (ours,) = await eventually(lambda: processing(connected), 30)
    draft = {"order_id": ours["id"], "lines": [{"sku": "SCARF-1", "quantity": 1}], "tracking_numbers": ["TRACK-1"]}
    await connected.post("/v1/shipments", draft, status=201)

    async def waits() -> bool:
        changes = await connected.changes(direction="out", state="queued")
        return any(change["field"].startswith("shipment") for change in changes)

    await eventually(waits, 30)


async def run(connected: Connected, kind: str) -> dict[str, Any]:
    """Run a feed to its end, once none that reads the same runs by itself."""

    async def started() -> Any:
        answer = await connected.client.post(f"/v1/feeds/{connected.feeds[kind]['id']}/run", headers=connected.headers)
        assert answer.status_code == 202 or answer.json()["code"] == "feed_is_running", answer.text
        return answer.status_code == 202 and answer.json()

    return await connected.ended((await eventually(started, 60))["id"], 60)


@pytest.mark.parametrize("fake", [MagentoShop], indirect=True)
async def test_from_connecting_to_a_second_run_that_sends_nothing(connected: Connected, fake: MagentoShop) -> None:
    stock_up(fake)
    centre = await connected.post("/v1/fulfilment-centres", {"code": "quay", "name": "Quay"}, status=201)
    await connected.post(f"/v1/fulfilment-centres/{centre['id']}/assign", {"shop": "main"})
    await configure(connected, locations={"main": "quay"}, order_statuses=STATUSES)
    await connected.confirm_matches()
    assert (await connected.run("import_products"))["state"] == "succeeded"
    assert (await connected.run("import_images"))["state"] == "succeeded"
    done = await connected.run("import_stock")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 4), await connected.issues()
    jacket = (await connected.products())["jacket"]
    assert [variant["options"] for variant in jacket["variants"]] == [{"Size": "S"}, {"Size": "M"}]

    await rule(connected, title={"policy": "ours"}, variant__price={"policy": "ours"})
    await configure(connected, create_products=True)
    assert fake.writes == [], "in test mode nothing is written"
    await connected.go_live()
    fake.put_order(order(501))
    assert (await connected.run("import_orders"))["counters"]["applied"] == 1, await connected.issues()
    await eventually(lambda: equals(available(connected), 8), 30)
    await ship(connected)
    await edit(connected, "scarf-2", title="Shawl")
    await price(connected, JACKET_M=5555)
    await sell_mittens(connected, fake)
    await adjust(connected, "SCARF-2", -3)
    # What is made there is found by the next run of stock, and what was shipped by the next of orders.
    for kind in (*FEEDS, "export_stock", "update_orders"):
        assert (await run(connected, kind))["state"] == "succeeded", (kind, await connected.issues())
    await connected.heard_all()

    assert fake.product("2")[0]["title"] == "Shawl"
    assert fake.product("500")[1]["401"]["price"]["amount"] == 5555
    assert (fake.stock("SCARF-2", "main"), fake.stock("SCARF-1", "main")) == (7, 8)
    (told,) = fake.shipments("501")
    assert (told["lines"], told["tracking_numbers"]) == ([("SCARF-1", 1)], ["TRACK-1"])
    made = [kept for kept in fake.state.products.values() if kept["custom"].get("url_key") == "mitten"]
    assert [(kept["type_id"], len(kept["links"]), len(kept["media"])) for kept in made] == [("configurable", 2, 1)]

    written = len(fake.writes)
    counters: dict[str, Any] = {kind: (await run(connected, kind))["counters"] for kind in FEEDS}
    assert len(fake.writes) == written, fake.writes[written:]
    done = {kind: count.get("sent", 0) + count.get("applied", 0) for kind, count in counters.items()}
    assert done == dict.fromkeys(FEEDS, 0)
    assert await connected.changes(state="queued") == []
