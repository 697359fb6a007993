"""Every document that the adapter can send, with the variables it sends, held against Shopify's own schema (SYN-1)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import FieldNode, GraphQLSchema, TypeInfo, TypeInfoVisitor, Visitor, build_schema, parse, validate, visit
from graphql.execution.values import get_variable_values

from services.sync.platforms.base import ProductWrite, Scan, ShipmentWrite, StockWrite, VariantWrite
from services.sync.platforms.shopify import queries
from services.sync.platforms.shopify.platform import SCOPES
from tests.fakes.shopify import ShopifyShop
from tests.fakes.shopify_graphql import SCHEMA
from tests.platforms.conftest import all_pages, order, product, session_with
from tests.platforms.shopify.recordings import needs_data, schema, scopes_of_mutations

pytestmark = pytest.mark.feature("SYN-1")
BULK = {"products": queries.BULK_PRODUCTS, "levels": queries.BULK_LEVELS, "orders": queries.BULK_ORDERS}
TEXTS = {document.name: document.text for document in queries.ALL} | BULK
FOLDER = Path(queries.__file__).parent


@needs_data
@pytest.mark.parametrize("name", TEXTS)
def test_document_fits_the_schema_of_shopify(name: str) -> None:
    assert [error.message for error in validate(schema(), parse(TEXTS[name]))] == []


@needs_data
@pytest.mark.parametrize("name", TEXTS)
def test_document_asks_for_nothing_that_is_going_away(name: str) -> None:
    found = [each for each in _fields(schema(), TEXTS[name]) if each.deprecation_reason]
    assert found == []


@needs_data
def test_schema_of_the_fake_is_a_part_of_shopifys() -> None:
    """What the fake takes, Shopify takes: each of its types, fields, arguments and values is there, and is the same."""
    ours, theirs = build_schema(SCHEMA.read_text()), schema()
    for name, kind in ours.type_map.items():
        if name.startswith("__"):
            continue
        other = theirs.type_map[name]
        for field, defined in getattr(kind, "fields", {}).items():
            assert str(defined.type) == str(other.fields[field].type), f"{name}.{field}"
            for argument, given in getattr(defined, "args", {}).items():
                assert str(given.type) == str(other.fields[field].args[argument].type), f"{name}.{field}({argument})"
        assert set(getattr(kind, "values", ())) <= set(getattr(other, "values", ())), name


def test_bulk_queries_keep_the_rules_of_bulk_operations() -> None:
    """At most five connections, two deep, each by edges and node with the parent's id in it."""
    for text in BULK.values():
        names = re.findall(r"(\w+) \{ edges \{ node \{", text)
        assert 1 <= len(names) <= 5
        assert "nodes" not in text
        assert "fragment" not in text
        assert len(re.findall(r"node \{\s*id", text)) == len(names)


def test_nothing_that_can_be_sent_deletes_a_record() -> None:
    """SYN-8: the one thing that is taken away is a reference from a picture to its product."""
    called = {node.name.value for text in TEXTS.values() for node in _mutations(text)}
    assert called == {
        "bulkOperationRunQuery",
        "productSet",
        "productUpdate",
        "tagsAdd",
        "tagsRemove",
        "productVariantsBulkUpdate",
        "productVariantsBulkCreate",
        "stagedUploadsCreate",
        "fileCreate",
        "fileUpdate",
        "productReorderMedia",
        "inventorySetQuantities",
        "inventoryActivate",
        "fulfillmentCreate",
    }
    code = {path.name: path.read_text() for path in FOLDER.glob("*.py")}
    assert [name for name, text in code.items() if "referencesToRemove" in text] == ["images.py"]
    assert [name for name, text in code.items() if "CREATE_PRODUCT," in text] == ["products.py"]
    assert not any("delete_image" in text or "DELETE" in text for text in code.values())


def test_only_a_product_that_is_made_has_lists_that_replace() -> None:
    """SYN-8: productSet takes what is missing from its lists away, so it is never sent for a product that is there."""
    assert "identifier" not in queries.CREATE_PRODUCT.text
    text = (FOLDER / "products.py").read_text()
    assert text.count("queries.CREATE_PRODUCT") == 1
    update = text[text.index("async def _set_fields") : text.index("async def _set_tags")]
    assert '"tags"' not in update.partition("queries.UPDATE_PRODUCT")[0]


async def test_all_documents_are_sent_with_variables_that_shopify_takes(shopify: ShopifyShop) -> None:
    """A story that sends each document once at least, to the fake, which refuses what its schema does not have."""
    await _story(shopify)
    assert {name for name, _ in shopify.asked} == {document.name for document in queries.ALL}
    assert shopify.throttled == 0


@needs_data
async def test_variables_fit_the_schema_of_shopify(shopify: ShopifyShop) -> None:
    await _story(shopify)
    for text, variables in shopify.sent:
        operation = parse(text).definitions[0]
        found = get_variable_values(schema(), operation.variable_definitions or (), variables)  # type: ignore[attr-defined]
        assert not isinstance(found, list), f"{operation.name}: {found}"  # type: ignore[attr-defined]


@needs_data
def test_scopes_are_those_that_the_schema_asks_for() -> None:
    """What each mutation needs, by Shopify's own list, is among what a merchant is told to tick."""
    needed = scopes_of_mutations()
    for text in TEXTS.values():
        for node in _mutations(text):
            scopes = needed.get(node.name.value)
            assert not scopes or set(scopes) & set(SCOPES), node.name.value


async def _story(shop: ShopifyShop) -> None:
    """Whatever an adapter can be asked to do, so that every document is sent."""
    price = {"amount": 1250, "currency": "EUR"}
    fields = {"options": ["Colour"], "categories": [["Old"], ["Red"], ["Sale"]], "tags": ["warm", "old"]}
    shop.put_product(*product(1, **fields))
    variants = {f"{n}": {"sku": f"V-{n}", "options": {"Colour": f"{n}"}, "price": price} for n in range(11, 15)}
    shop.put_product("1", product(1, **fields)[1], variants)
    shop.put_collection("New")
    line = order(5001, sku="V-11", quantity=3)["lines"][0]
    shop.put_order(order(5001) | {"lines": [line, *({**line, "sku": f"V-{n}"} for n in (12, 13))]})
    shop.put_stock("V-11", "1", 5)
    shop.nested, shop.bulk_polls, shop.image_polls = 2, 1, 1
    picture = {"url": f"{shop.url}/cdn/files/icon.png", "alt": "Icon"}
    async with session_with(shop) as session:
        await session.greet()
        for entity in ("product", "order", "stock"):
            await all_pages(session, Scan(entity))
        shop.others_running = 5
        for entity in ("product", "order", "stock"):
            await all_pages(session, Scan(entity))
        shop.others_running = 0
        await session.read("variant", ["11"])
        await session.read("stock", ["1?inventory_item_id=11"])
        await session.read("order", ["5001"])
        write = {"title": "New", "tags": ["warm", "new"], "categories": [["New"]], "images": [picture]}
        known = {"title": "Scarf 1", "tags": ["old", "warm"], "categories": [["Old"], ["Red"], ["Sale"]]}
        changes = [VariantWrite("11", "V-11", {"price": {"amount": 1, "currency": "EUR"}, "weight_grams": 20})]
        changes += [VariantWrite(None, "V-20", {"options": {"Colour": "20"}, "price": price, "barcode": "1"})]
        await session.write_products([ProductWrite("k1", "1", write, known, changes)])
        shop.put_product("1", product(1, **fields)[1], variants)
        await session.write_products([ProductWrite("k2", "1", {"images": [{**picture, "alt": "Other"}]})])
        made = {"title": "Made", "status": "active", "options": [], "seo_title": "Made", "tags": ["x"]}
        await session.write_products(
            [ProductWrite("k3", None, made, {}, [VariantWrite(None, "M-1", {"price": price})])]
        )
        shop.products["1"]["media"].insert(0, shop._put_file(f"{shop.url}/cdn/files/first.png", ""))
        both = [picture, {"url": f"{shop.url}/cdn/files/first.png", "alt": ""}]
        await session.write_products([ProductWrite("k4", "1", {"images": both})])
        await session.write_products([ProductWrite("k5", "1", {"brand": "Other"})])
        await session.write_stock(
            [StockWrite("s1", "x", "V-11", "1", 3, 4), StockWrite("s2", "x", "V-12", "2", 3, references={})]
        )
        await session.confirm_shipments(
            [ShipmentWrite("d1", "5001", [("V-11", 1)], "DHL", ["A", "B"], "https://t.test/")]
        )


def _fields(of: GraphQLSchema, text: str) -> Iterator[Any]:
    found: list[Any] = []
    info = TypeInfo(of)

    class Collect(Visitor):
        def enter_field(self, *_: Any) -> None:
            definition = info.get_field_def()
            if definition is not None:
                found.append(definition)

    visit(parse(text), TypeInfoVisitor(info, Collect()))
    return iter(found)


def _mutations(text: str) -> list[FieldNode]:
    definition: Any = parse(text).definitions[0]
    return list(definition.selection_set.selections) if definition.operation.value == "mutation" else []
