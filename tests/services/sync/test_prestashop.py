"""A PrestaShop shop from connecting to production, through the doors; what is done is not done again."""

from typing import Any

import pytest

from shared.contracts.sync.shapes import FeedKind
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes import prestashop_server
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_server import png
from tests.platforms.conftest import order, product
from tests.services.sync.test_creating import change, configure, price, sell
from tests.services.sync.test_orders_and_stock import adjust, set_up, try_again_now
from tests.services.sync.test_products_out import edit

pytestmark = [
    pytest.mark.feature("SYN-1", "SYN-2", "SYN-6", "SYN-7", "SYN-9"),
    pytest.mark.parametrize("fake", [PrestaShop], indirect=True),
]

FEEDS = [kind for kind in FeedKind.__args__ if kind != "import_stock"]  # type: ignore[attr-defined]
OURS = {"title": {"policy": "ours"}, "brand": {"policy": "ours"}, "variant.price": {"policy": "ours"}}


def written(fake: PrestaShop) -> list[str]:
    """What was sent that is no question."""
    return [f"{asked.method} {asked.path}" for asked in fake.requests if asked.method != "GET"]


def furnish(fake: PrestaShop) -> None:
    """A product with combinations, a supplier of it, and a picture."""
    _, fields, variants = product(3, options=["Size"])
    variant = variants["30"]
    fake.put_product(
        "3",
        fields,
        {
            "31": variant | {"sku": "SCARF-S", "options": {"Size": "S"}},
            "32": variant | {"sku": "SCARF-L", "barcode": "", "options": {"Size": "L"}},
        },
    )
    fake.put_stock("SCARF-S", "main", 3)
    fake.put_stock("SCARF-L", "main", 4)
    fake.put_supplier("7", {"name": "Skerry Looms", "phone": "+44 23 9200 0000"})
    cost = {"amount": 750, "currency": "EUR"}
    fake.put_supplier_link("70", {"sku": "SCARF-L", "supplier": "7", "vendor_sku": "SK-9", "cost": cost})
    fake.add_picture("3", png(64, 64))


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
    furnish(fake)
    refused = await connected.client.post(f"/v1/connections/{connected.id}/go-live", headers=connected.headers)
    assert refused.status_code == 409
    await connected.run("import_products")
    preview = await connected.get(f"/v1/connections/{connected.id}/matches")
    assert preview["counts"]["create"] == 1
    await set_up(connected, fake, levels=4)
    ours = await connected.products()
    assert sorted(ours) == ["scarf-1", "scarf-2", "scarf-3"]
    levels = {each["sku"]: each["available"] for each in (await connected.get("/v1/stock"))["items"]}
    assert levels == {"SCARF-1": 10, "SCARF-2": 10, "SCARF-S": 3, "SCARF-L": 4}

    fake.put_order(order(501, sku="SCARF-2"))
    done = await run_all(connected)
    assert done["import_suppliers"]["counters"]["applied"] == 1
    assert done["import_supplier_links"]["counters"]["applied"] == 1
    combined = await connected.get(f"/v1/products/{ours['scarf-3']['id']}")
    assert [image["url"] for image in combined["images"]] == [fake.address(1)]
    (taken,) = await eventually(lambda: placed(connected), 30)
    assert written(fake) == [], "it is in test mode"

    await configure(connected, fields=OURS)
    await connected.go_live()
    await edit(connected, "scarf-1", title="Shawl", brand="Looms")
    await price(connected, SCARF_L=2500)
    await adjust(connected, "SCARF-L", -1)
    draft = {"order_id": taken["id"], "lines": [{"sku": "SCARF-2", "quantity": 2}], "tracking_numbers": ["TRACK-1"]}
    await connected.post("/v1/shipments", draft, status=201)
    await connected.heard_all()
    await run_all(connected)
    assert [fake.product("1")[0][name] for name in ("title", "brand")] == ["Shawl", "Looms"]
    assert fake.product("3")[1]["32"]["price"]["amount"] == 2500
    assert (fake.stock("SCARF-L", "main"), fake.stock("SCARF-S", "main"), fake.stock("SCARF-2", "main")) == (3, 3, 8)
    assert [each["tracking_numbers"] for each in fake.shipments("501")] == [["TRACK-1"]]
    assert (fake.memory.tables["orders"][501]["current_state"], fake.memory.mails) == ("4", [501])

    # The order's new state, which follows from the shipment, comes back once: now, or with the next second.
    for _ in range(3):
        if (await connected.run("update_orders"))["counters"].get("applied"):
            break
    fake.requests.clear()
    again = await run_all(connected)
    assert written(fake) == []
    for kind, each in again.items():
        counted = {name: each["counters"].get(name, 0) for name in ("sent", "applied", "failed", "stale")}
        assert not any(counted.values()), (kind, counted, await connected.changes(state="queued"))
    assert await connected.changes(state="queued") == []


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
    fields, variants = fake.product(made)
    assert (fields["title"], fields["brand"], fields["options"], len(fields["images"])) == (
        "Mitten",
        "Skerry",
        ["Size"],
        1,
    )
    assert {each["sku"]: (each["price"]["amount"], each["options"]) for each in variants.values()} == {
        "MITTEN-S": (2000, {"Size": "S"}),
        "MITTEN-L": (2000, {"Size": "L"}),
    }
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
    assert (written(fake), removal["before"]["url"]) == ([], fields["images"][0]["url"])
    await connected.post("/v1/changes/approve", {"change_ids": [removal["id"]]})
    await connected.run("export_products")
    assert (written(fake), fake.product(made)[0]["images"]) == ([f"DELETE /api/images/products/{made}/1"], [])
