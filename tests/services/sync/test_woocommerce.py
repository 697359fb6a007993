"""A WooCommerce shop from connecting to production, through the doors; what is done is not done again."""

from typing import Any

import pytest

from shared.contracts.sync.shapes import FeedKind
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import order, product
from tests.services.sync.test_creating import configure, price, sell
from tests.services.sync.test_orders_and_stock import adjust, set_up
from tests.services.sync.test_products_out import edit

pytestmark = [
    pytest.mark.feature("SYN-1", "SYN-2", "SYN-6", "SYN-7", "SYN-9"),
    pytest.mark.parametrize("fake", [WooShop], indirect=True),
]

LACKING = ("import_suppliers", "import_supplier_links")
FEEDS = [kind for kind in FeedKind.__args__ if kind not in ("import_stock", *LACKING)]  # type: ignore[attr-defined]
OURS = {"title": {"policy": "ours"}, "brand": {"policy": "ours"}, "variant.price": {"policy": "ours"}}


def written(fake: WooShop) -> list[str]:
    """What was sent that is no question."""
    return [f"{method} {path}" for method, path, _, body in fake.requests if method != "GET" and body != {"update": []}]


def furnish(fake: WooShop) -> None:
    """A product with variations in two categories, and a picture."""
    _, fields, variants = product(3, options=["Size"], categories=[["Warm", "Necks"]], attributes={"Wool": "Merino"})
    fields["images"] = [{"url": f"{fake.settings['url']}/pictures/scarf.png", "alt": "A scarf"}]
    variant = variants["30"]
    sizes = {
        "31": variant | {"sku": "SCARF-S", "options": {"Size": "S"}},
        "32": variant | {"sku": "SCARF-L", "barcode": "", "options": {"Size": "L"}},
    }
    fake.put_product("3", fields, sizes)
    fake.put_stock("SCARF-S", "main", 3)
    fake.put_stock("SCARF-L", "main", 4)


async def run_all(connected: Connected) -> dict[str, Any]:
    """What came of every feed."""
    done = {}
    for kind in FEEDS:
        done[kind] = await connected.run(kind)
        assert done[kind]["state"] == "succeeded", (kind, done[kind], await connected.issues())
    return done


async def placed(connected: Connected) -> Any:
    items = (await connected.get("/v1/orders"))["items"]
    return items and items[0]["status"] == "processing" and items


async def test_from_connecting_to_production_and_a_second_run_sends_nothing(
    connected: Connected, fake: WooShop
) -> None:
    greeting = connected.connection["greeting"]
    assert (greeting["shop_name"], greeting["currency"], greeting["missing"]) == ("Shop on the quay", "EUR", [])
    assert set(LACKING) == set(connected.connection["lacks"])
    furnish(fake)
    refused = await connected.client.post(f"/v1/connections/{connected.id}/go-live", headers=connected.headers)
    assert refused.status_code == 409
    await connected.run("import_products")
    preview = await connected.get(f"/v1/connections/{connected.id}/matches")
    assert preview["counts"]["create"] == 1
    await set_up(connected, fake, levels=4)
    await configure(connected, order_statuses=greeting["proposed_statuses"])
    ours = await connected.products()
    assert sorted(ours) == ["scarf-1", "scarf-2", "scarf-3"]
    levels = {each["sku"]: each["available"] for each in (await connected.get("/v1/stock"))["items"]}
    assert levels == {"SCARF-1": 10, "SCARF-2": 10, "SCARF-S": 3, "SCARF-L": 4}

    fake.put_order(order(501, sku="SCARF-2", status="processing"))
    await run_all(connected)
    varied = await connected.get(f"/v1/products/{ours['scarf-3']['id']}")
    assert [image["url"] for image in varied["images"]] == [fake.product("3")[0]["images"][0]["url"]]
    assert varied["attributes"] == {"Wool": "Merino"}
    assert {each["sku"]: each["options"] for each in varied["variants"]} == {
        "SCARF-S": {"Size": "S"},
        "SCARF-L": {"Size": "L"},
    }
    (taken,) = await eventually(lambda: placed(connected), 30)
    assert written(fake) == [], "it is in test mode"

    await configure(connected, fields=OURS)
    await connected.go_live()
    await edit(connected, "scarf-1", title="Shawl & co", brand="Looms")
    await price(connected, SCARF_L=2500)
    await adjust(connected, "SCARF-L", -1)
    draft = {"order_id": taken["id"], "lines": [{"sku": "SCARF-2", "quantity": 2}], "tracking_numbers": ["TRACK-1"]}
    await connected.post("/v1/shipments", draft, status=201)
    await connected.heard_all()
    await run_all(connected)
    assert [fake.product("1")[0][name] for name in ("title", "brand")] == ["Shawl & co", "Looms"]
    assert fake.product("3")[1]["32"]["price"]["amount"] == 2500
    assert (fake.stock("SCARF-L", "main"), fake.stock("SCARF-S", "main"), fake.stock("SCARF-2", "main")) == (3, 3, 8)
    assert [each["tracking_numbers"] for each in fake.shipments("501")] == [["TRACK-1"]]
    assert len(fake.notes[501]) == 1
    assert fake.orders[501]["status"] == "completed"

    # The order's new state, which follows from the shipment, comes back once.
    await connected.run("update_orders")
    fake.requests.clear()
    again = await run_all(connected)
    assert written(fake) == []
    for kind, each in again.items():
        counted = {name: each["counters"].get(name, 0) for name in ("sent", "applied", "failed", "stale")}
        assert not any(counted.values()), (kind, counted, await connected.changes(state="queued"))
    assert await connected.changes(state="queued") == []


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
    fields, variants = fake.product(made)
    assert (fields["title"], fields["brand"], fields["options"], fields["categories"], len(fields["images"])) == (
        "Mitten",
        "Skerry",
        ["Size"],
        [["Warm"]],
        1,
    )
    assert {each["sku"]: (each["price"]["amount"], each["options"]) for each in variants.values()} == {
        "MITTEN-S": (2000, {"Size": "S"}),
        "MITTEN-L": (2000, {"Size": "L"}),
    }
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
