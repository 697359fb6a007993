"""Every request that the adapter sends, held against WooCommerce's own description of its routes (SYN-1)."""

from typing import Any

import pytest

from services.sync.platforms.base import ProductWrite, Scan, Session, ShipmentWrite, StockWrite, VariantWrite
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import all_pages, all_records, order, product, session_with
from tests.platforms.woocommerce.recordings import arguments, faults, needs_data, queried, recorded

pytestmark = [pytest.mark.feature("SYN-1", "SYN-8"), needs_data]
JsonObject = dict[str, Any]
SIZES = {
    "70": {"sku": "MITTEN-S", "options": {"Size": "S"}, "price": {"amount": 900, "currency": "EUR"}},
    "71": {"sku": "MITTEN-M", "options": {"Size": "M"}, "price": {"amount": 900, "currency": "EUR"}},
}
# WordPress trims answers by this in every route.
OF_WORDPRESS = {"_fields"}


async def everything(woo: WooShop) -> None:
    """Whatever the adapter can do, done once."""
    woo.put_product(*product(1, images=[{"url": "https://a.example/one.png", "alt": ""}], categories=[["Warm"]]))
    woo.put_product(*product(2, tags=[]))
    fields = product(7, options=["Size"])[1]
    woo.put_product("7", fields, SIZES)
    for sku in ("SCARF-1", "MITTEN-S"):
        woo.put_stock(sku, "main", 5)
    woo.put_order(order(5001))
    async with session_with(woo) as session:
        await session.greet()
        for entity in ("product", "stock", "order"):
            await all_pages(session, Scan(entity))
            since = (await session.read("product", ["1"]))[0].updated_at
            await all_pages(session, Scan(entity, since))
        await session.read("variant", ["1", "70"])
        await write_products(session, woo)
        await session.write_stock([StockWrite("s1", "1", "SCARF-1", "main", 4), StockWrite("s2", "70", "M", "main", 4)])
        await ship(session, woo)


async def write_products(session: Session, woo: WooShop) -> None:
    price = {"amount": 2500, "currency": "EUR"}
    whole = {
        "title": "New",
        "description_html": "<p>x</p>",
        "status": "draft",
        "brand": "Other",
        "tags": ["cold"],
        "categories": [["Warm"]],
        "images": [{"url": f"{woo.settings['url']}/pictures/two.png", "alt": "Two", "hash": "a" * 64}],
    }
    part = {"price": price, "list_price": {**price, "amount": 3000}, "barcode": "4006381333931", "weight_grams": 250}
    part |= {"requires_shipping": False, "taxable": False}
    written = await session.write_products(
        [
            ProductWrite("k1", "1", whole, variants=[VariantWrite("1", "SCARF-1", part)]),
            ProductWrite(
                "k2",
                "7",
                {},
                variants=[
                    VariantWrite("70", "MITTEN-S", {"price": price, "options": {"Size": "XS"}}),
                    VariantWrite(None, "MITTEN-L", {"options": {"Size": "L"}, "price": price}),
                ],
            ),
            ProductWrite(
                "k3", None, whole | {"handle": "made"}, variants=[VariantWrite(None, "MADE-1", {"price": price})]
            ),
            ProductWrite(
                "k4",
                None,
                {"title": "In sizes", "options": ["Size"], "attributes": {"Wool": "Merino"}},
                variants=[VariantWrite(None, f"SIZED-{size}", {"options": {"Size": size}}) for size in "SM"],
            ),
        ]
    )
    assert [each.outcome for each in written] == ["ok"] * 4, written
    url = woo.product("1")[0]["images"][0]["url"]
    assert (await session.take_image("1", url)).outcome == "ok"


async def ship(session: Session, woo: WooShop) -> None:
    first = ShipmentWrite("h1", "5001", [("SCARF-1", 1)], "DHL", ["JD01"], None)
    assert (await session.confirm_shipments([first]))[0].outcome == "ok"
    woo.plugin = "wc-shipment-tracking/v3"
    async with session_with(woo) as again:
        second = ShipmentWrite("h2", "5001", [("SCARF-1", 1)], "DHL", ["JD02"], None)
        assert (await again.confirm_shipments([second]))[0].outcome == "ok"


def faults_of(method: str, path: str, query: JsonObject, body: Any) -> list[str]:
    taken = arguments(method, path)
    if taken is None:
        return [f"there is no route {method} {path}"]
    found = [f"{path} takes no {name}" for name in query if name not in taken and name not in OF_WORDPRESS]
    for name, text in query.items():
        if name in taken:
            found += faults(taken[name], queried(taken[name], text), name)
    items = [item for of in body.values() for item in of] if path.endswith("/batch") else [body] if body else []
    for item in items:
        found += [f"{path} takes no {name} in its body" for name in item if name not in taken and name != "id"]
        for name, value in item.items():
            if name in taken:
                found += faults(taken[name], value, name)
    return found


async def test_requests_fit_what_woocommerce_says_of_its_routes(woo: WooShop) -> None:
    await everything(woo)
    asked = [each for each in woo.requests if each[1].startswith("/wc/v3")]
    assert {(method, path.rstrip("0123456789")) for method, path, _, _ in asked} >= {
        ("GET", "/wc/v3/products"),
        ("GET", "/wc/v3/variations"),
        ("GET", "/wc/v3/orders"),
        ("POST", "/wc/v3/products/batch"),
        ("POST", "/wc/v3/products"),
        ("POST", "/wc/v3/products/7/variations/batch"),
        ("PUT", "/wc/v3/products/"),
        ("PUT", "/wc/v3/orders/"),
        ("POST", "/wc/v3/orders/5001/notes"),
        ("POST", "/wc/v3/products/tags"),
        ("POST", "/wc/v3/products/brands"),
    }
    # The one route that is not WooCommerce's own is a plug-in's, and asked for to know whether it is there.
    assert [fault for request in asked for fault in faults_of(*request)] == [
        "there is no route GET /wc/v3/orders/5001/shipment-trackings"
    ]


async def test_nothing_is_sent_that_deletes(woo: WooShop) -> None:
    await everything(woo)
    assert {method for method, _, _, _ in woo.requests} == {"GET", "POST", "PUT"}
    assert all(set(body) <= {"create", "update"} for _, path, _, body in woo.requests if path.endswith("/batch"))
    # `set_paid` would complete an order that is paid on delivery, and is ignored on one that is on hold.
    assert {
        name for _, path, _, body in woo.requests if body and path.startswith("/wc/v3/orders/") for name in body
    } == {
        "meta_data",
        "status",
        "note",
        "customer_note",
    }
    assert "force" not in {name for _, _, query, _ in woo.requests for name in query}


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/wc/v3/nothing", {}, None),
        ("GET", "/wc/v3/products", {"colour": "red"}, None),
        ("GET", "/wc/v3/products", {"orderby": "colour"}, None),
        ("PUT", "/wc/v3/products/1", {}, {"regular_price": 2.5}),
        ("PUT", "/wc/v3/products/1", {}, {"price": "2.50"}),
        ("POST", "/wc/v3/products/batch", {}, {"update": [{"id": 1, "status": "sleeping"}]}),
        ("PUT", "/wc/v3/orders/1", {}, {"meta_data": [{"id": 5, "value": "x"}]}),
    ],
)
def test_wrong_request_is_recognized(method: str, path: str, query: JsonObject, body: Any) -> None:
    assert faults_of(method, path, query, body)


async def test_records_of_the_fake_are_those_of_a_real_site(woo: WooShop) -> None:
    """What was recorded whole has no field that the fake does not have, and the fake none that is made up."""
    woo.put_product(*product(1, images=[{"url": "https://a.example/one.png", "alt": ""}]))
    woo.put_product("7", product(7, options=["Size"])[1], SIZES)
    woo.put_order(order(5001))
    async with session_with(woo) as session:
        await all_records(session, "order")
    shown = woo.products[1]
    links = {"_links"}
    assert shown.keys() == recorded("02", 2).body[0].keys() - links
    assert woo.variations[70].keys() == recorded("04", 1).body.keys() - links
    assert shown["images"][0].keys() == recorded("05", 1).body["images"][0].keys()
    theirs = recorded("08", 6).body
    assert woo.orders[5001].keys() == theirs.keys() - links
    assert woo.orders[5001]["line_items"][0].keys() == theirs["line_items"][0].keys()
    assert woo.orders[5001]["billing"].keys() == theirs["billing"].keys()
    assert woo.orders[5001]["shipping"].keys() == theirs["shipping"].keys()
