"""What the stories of whole platforms have in common, from connecting to production."""

from typing import Any, get_args

from shared.contracts.sync.shapes import FeedKind
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.platforms import FakeShop
from tests.platforms.conftest import product
from tests.services.sync.test_creating import configure, price
from tests.services.sync.test_orders_and_stock import adjust, processing, set_up
from tests.services.sync.test_products_out import edit

OURS = {"title": {"policy": "ours"}, "brand": {"policy": "ours"}, "variant.price": {"policy": "ours"}}


def put_sizes(fake: FakeShop, **changes: Any) -> None:
    """A third product, in two sizes."""
    external_id, fields, variants = product(3, options=["Size"], **changes)
    variant = variants["30"]
    sizes = {
        "31": variant | {"sku": "SCARF-S", "options": {"Size": "S"}},
        "32": variant | {"sku": "SCARF-L", "barcode": "", "options": {"Size": "L"}},
    }
    fake.put_product(external_id, fields, sizes)
    fake.put_stock("SCARF-S", "main", 3)
    fake.put_stock("SCARF-L", "main", 4)


async def run_all(connected: Connected) -> dict[str, Any]:
    """What came of every feed there is, but for that of our first stock."""
    done = {}
    for kind in get_args(FeedKind):
        if kind != "import_stock" and kind not in connected.connection["lacks"]:
            done[kind] = await connected.run(kind)
            assert done[kind]["state"] == "succeeded", (kind, done[kind], await connected.issues())
    return done


async def take_over(connected: Connected, fake: Any) -> dict[str, Any]:
    """Products and stock come in, after somebody looked at what would become of them. Gives the products by slug."""
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
    return ours


async def taken_order(connected: Connected) -> dict[str, Any]:
    """The one order, once it is processed here."""
    (taken,) = await eventually(lambda: processing(connected), 30)
    found: dict[str, Any] = taken
    return found


async def go_live_and_change(connected: Connected, taken: dict[str, Any], title: str) -> None:
    """In production a product, a price and a level change here, an order's goods leave, and every feed runs."""
    await configure(connected, fields=OURS)
    await connected.go_live()
    await edit(connected, "scarf-1", title=title, brand="Looms")
    await price(connected, SCARF_L=2500)
    await adjust(connected, "SCARF-L", -1)
    draft = {"order_id": taken["id"], "lines": [{"sku": "SCARF-2", "quantity": 2}], "tracking_numbers": ["TRACK-1"]}
    await connected.post("/v1/shipments", draft, status=201)
    await connected.heard_all()
    await run_all(connected)


def assert_changed(fake: FakeShop, title: str) -> None:
    """What `go_live_and_change` did is there."""
    fields, _ = fake.product("1")
    _, sizes = fake.product("3")
    assert (fields["title"], fields["brand"], sizes["32"]["price"]["amount"]) == (title, "Looms", 2500)
    assert [fake.stock(sku, "main") for sku in ("SCARF-L", "SCARF-S", "SCARF-2")] == [3, 3, 8]
    assert [each["tracking_numbers"] for each in fake.shipments("501")] == [["TRACK-1"]]


async def assert_all_quiet(connected: Connected) -> None:
    """Every feed runs once more, and has nothing to do."""
    for kind, each in (await run_all(connected)).items():
        counted = {name: each["counters"].get(name, 0) for name in ("sent", "applied", "failed", "stale")}
        assert not any(counted.values()), (kind, counted, await connected.changes(state="queued"))
    assert await connected.changes(state="queued") == []


def assert_made(fake: FakeShop, external_id: str, **expected: Any) -> None:
    """The mitten that is sold here is there, in both sizes, with one picture."""
    fields, variants = fake.product(external_id)
    wanted = {"title": "Mitten", "brand": "Skerry", "options": ["Size"], **expected}
    assert {name: fields[name] for name in wanted} == wanted
    assert len(fields["images"]) == 1
    assert {each["sku"]: (each["price"]["amount"], each["options"]) for each in variants.values()} == {
        "MITTEN-S": (2000, {"Size": "S"}),
        "MITTEN-L": (2000, {"Size": "L"}),
    }
