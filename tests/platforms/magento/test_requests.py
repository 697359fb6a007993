"""Every request of the adapter fits Magento's own schema, and what the fake answers has recorded shapes (SYN-1)."""

import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import jsonschema
import pytest

from services.sync.platforms.base import ProductWrite, Scan, ShipmentWrite, StockWrite, VariantWrite
from shared import clock
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import all_pages, order, product, session_with
from tests.platforms.magento.recordings import exchanges, needs_data, schema

pytestmark = [pytest.mark.feature("SYN-1"), needs_data]
JsonObject = dict[str, Any]
EUR = {"currency": "EUR"}
_PLACE = r"\[\d+\]\["
_SEARCH = re.compile(
    rf"searchCriteria\[(filterGroups\]{_PLACE}filters\]{_PLACE}(field|value|conditionType)"
    rf"|sortOrders\]{_PLACE}(field|direction)|pageSize)\]"
)


@pytest.fixture
async def driven() -> AsyncIterator[MagentoShop]:
    """A shop after all that the adapter can do to it was done."""
    magento = MagentoShop()
    await magento.start()
    magento.put_product(*product(1, categories=[["Wool"]]))
    family = {"sku": "JACKET-S", "options": {"Size": "S"}, "price": {"amount": 4990, **EUR}, "list_price": None}
    magento.put_product("500", {"title": "Jacket", "options": ["Size"]}, {"501": family})
    magento.put_stock("SCARF-1", "main", 5)
    magento.put_order(order(5001))
    async with session_with(magento) as session:
        await session.greet()
        for entity in ("product", "order", "stock"):
            await all_pages(session, Scan(entity))
            await all_pages(session, Scan(entity, clock.now(), clock.now()))
        await session.write_products([whole_change(magento), *makings(magento), new_variant()])
        await session.write_stock([StockWrite("k", "main/scarf-1", "SCARF-1", "main", 3, 5)])
        await session.confirm_shipments([ShipmentWrite("k", "5001", [("SCARF-1", 1)], "DHL Paket", ["JD01"], None)])
        images = magento.product("1")[0]["images"]
        await session.take_image("1", images[0]["url"])
    magento.settings["queue"] = True
    async with session_with(magento) as session:
        await session.write_products([ProductWrite("k", "1", {"title": "Queued"})])
    yield magento
    await magento.stop()


def whole_change(magento: MagentoShop) -> ProductWrite:
    fields = {
        "title": "All of it",
        "description_html": "<p>x</p>",
        "handle": "all-of-it",
        "seo_title": "s",
        "brand": "New Brand",
        "product_type": "Kind",
        "tags": ["a", "b"],
        "status": "draft",
        "categories": [["Wool"]],
        "images": [{"url": f"{magento.url}/pictures/scarf.png", "alt": "front"}],
    }
    sold = {"price": {"amount": 999, **EUR}, "list_price": {"amount": 1999, **EUR}, "weight_grams": 120, "barcode": "4"}
    return ProductWrite("k", "1", fields, variants=[VariantWrite("1", "SCARF-1", sold)])


def makings(magento: MagentoShop) -> list[ProductWrite]:
    sold = {"price": {"amount": 999, **EUR}, "weight_grams": 10}
    images = [{"url": f"{magento.url}/pictures/scarf.png", "alt": ""}]
    single = ProductWrite("k1", None, {"title": "One", "images": images}, variants=[VariantWrite(None, "ONE", sold)])
    two = [VariantWrite(None, f"TWO-{colour}", {**sold, "options": {"Colour": colour}}) for colour in ("Red", "Blue")]
    return [single, ProductWrite("k2", None, {"title": "Two", "options": ["Colour"]}, variants=two)]


def new_variant() -> ProductWrite:
    sold = {"price": {"amount": 5090, **EUR}, "options": {"Size": "XXL"}}
    return ProductWrite("k3", "500", {}, variants=[VariantWrite(None, "JACKET-XXL", sold)])


async def test_every_request_fits_the_schema(driven: MagentoShop) -> None:
    wrong = [(*asked[:2], error) for asked in driven.requests for error in errors(*asked)]
    assert wrong == []
    asked = {(method, template(method, path)) for method, path, *_ in driven.requests}
    assert asked >= {
        ("PUT", "/V1/products/{sku}"),
        ("POST", "/V1/products"),
        ("POST", "/V1/products/attributes/{attributeCode}/options"),
        ("POST", "/V1/configurable-products/{sku}/options"),
        ("POST", "/V1/configurable-products/{sku}/child"),
        ("POST", "/V1/products/{sku}/media"),
        ("DELETE", "/V1/products/{sku}/media/{entryId}"),
        ("POST", "/V1/inventory/source-items"),
        ("POST", "/V1/order/{orderId}/ship"),
        ("GET", "/V1/bulk/{bulkUuid}/status"),
    }


@pytest.mark.feature("SYN-8")
async def test_nothing_is_deleted_but_one_picture(driven: MagentoShop) -> None:
    deleted = [path for method, path, *_ in driven.requests if method == "DELETE"]
    assert len(deleted) == 1
    assert re.fullmatch(r"/V1/products/SCARF-1/media/\d+", deleted[0])


async def test_writes_go_to_all_store_views_and_put_no_stock_into_products(driven: MagentoShop) -> None:
    """Surprises 2 and 4."""
    for method, path, query, body in driven.requests:
        if method != "GET" and path.startswith("/V1/products"):
            assert "stock_item" not in str(body)
            assert "fields" not in query


def errors(method: str, path: str, query: JsonObject, body: Any) -> list[str]:
    """What of a request Magento does not know."""
    named = template(method, path)
    if named is None:
        return ["there is no such path"]
    operation = schema()["paths"][named][method.lower()]
    known = {each["name"] for each in operation.get("parameters") or () if each["in"] == "query"}
    found = [
        name
        for name in (re.sub(r"_(\w)", lambda part: part[1].upper(), each) for each in query)
        if name != "fields" and not (_SEARCH.fullmatch(name) and "searchCriteria[pageSize]" in known)
    ]
    shapes = [each["schema"] for each in operation.get("parameters") or () if each["in"] == "body"]
    if shapes:
        # Each of a bulk has what stands in the path beside its body.
        bodies = [{"product": each["product"]} for each in body] if isinstance(body, list) else [body]
        found += [error.message for each in bodies for error in validator(named, method).iter_errors(each)]
    elif body is not None and method in ("PUT", "POST"):
        found.append(f"it takes no body, and got {body}")
    return found


@cache
def validator(named: str, method: str) -> jsonschema.Draft4Validator:
    parameters = schema()["paths"][named][method.lower()]["parameters"]
    shape = next(each["schema"] for each in parameters if each["in"] == "body")
    strict = {"definitions": {name: closed(each) for name, each in schema()["definitions"].items()}}
    return jsonschema.Draft4Validator({**closed(shape), **strict})


def closed(shape: JsonObject) -> JsonObject:
    """A shape that takes nothing beside what it names: Magento refuses unknown fields."""
    is_named = shape.get("type") == "object" and "properties" in shape
    return {**shape, "additionalProperties": False} if is_named else shape


def template(method: str, path: str) -> str | None:
    """The path of the schema that a request goes to; of a bulk, that of its items."""
    if path == "/V1/products/bySku":
        return "/V1/products/{sku}"
    fitting = [
        named
        for named, operations in schema()["paths"].items()
        if method.lower() in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", named), path)
    ]
    return min(fitting, key=lambda named: named.count("{"), default=None)


# --- the fake's answers


async def test_answers_of_the_fake_have_the_keys_of_recorded_ones(driven: MagentoShop) -> None:
    recorded: dict[tuple[str, str], set[str]] = {}
    for each in exchanges():
        if each.is_rest and each.status == 200 and (named := template(each.method, each.path)):
            recorded.setdefault((each.method, named), set()).update(keys(each.body))
    # No configurable product was recorded in a list that was not trimmed; in a list and by itself it is read alike.
    recorded["GET", "/V1/products"] |= {f"items.{name}" for name in recorded["GET", "/V1/products/{sku}"]}
    compared = set()
    for method, path, body in driven.answers:
        named = template(method, f"/V1/{path}") or ""
        known = recorded.get((method, named))
        if known is not None:
            compared.add(named)
            strange = {name for name in keys(body) - known - CUSTOM if not name.startswith("search_criteria")}
            assert not strange, f"{method} {named}: {sorted(strange)}"
    assert compared >= {"/V1/products", "/V1/orders", "/V1/shipments", "/V1/inventory/source-items", "/V1/bulk"}


# Not recorded: an order that is paid in full in a list.
CUSTOM = {"items.base_total_paid"}


def keys(body: Any, path: str = "") -> set[str]:
    """Names of all fields, with those around them; a list counts as its items."""
    if isinstance(body, list):
        return {name for each in body for name in keys(each, path)}
    if not isinstance(body, dict):
        return set()
    found = set()
    for name, value in body.items():
        found |= {f"{path}{name}"} | keys(value, f"{path}{name}.")
    return found
