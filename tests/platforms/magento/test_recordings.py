"""What a real shop has answered, read and told apart by the code that reads shops' answers (SYN-1, SYN-11)."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from services.sync.errors import CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.base import Outcome
from services.sync.platforms.magento import bulk, mapping, orders, shop
from services.sync.platforms.magento.client import answered, said
from services.sync.platforms.magento.mapping import Context
from services.sync.platforms.writing import failed
from shared.contracts.orders.imported import RemoteOrder
from shared.errors import CrossdockError
from shared.outgoing import Answer
from tests.platforms.magento.recordings import DATA, Exchange, exchanges, needs_data, one

pytestmark = [pytest.mark.feature("SYN-1", "SYN-11"), needs_data]
JsonObject = dict[str, Any]
ALL = [each for each in exchanges() if each.is_rest] if DATA.exists() else []
RAISED: dict[int, type[CrossdockError]] = {
    400: PlatformRefused,
    401: CredentialsRefused,
    404: PlatformRefused,
    500: PlatformAway,
}


@pytest.mark.parametrize("exchange", [each for each in ALL if each.status < 400], ids=str)
def test_good_answer_is_its_body(exchange: Exchange) -> None:
    assert answered(exchange.answer) == exchange.body


@pytest.mark.parametrize("exchange", [each for each in ALL if each.status >= 400], ids=str)
def test_error_is_told_apart(exchange: Exchange) -> None:
    with pytest.raises(RAISED[exchange.status]) as raised:
        answered(exchange.answer)
    assert failed(raised.value).outcome == ("person" if exchange.status in (400, 404) else "retry")


@pytest.mark.parametrize("exchange", [each for each in ALL if each.status >= 400], ids=str)
def test_error_has_its_parameters_put_in(exchange: Exchange) -> None:
    words = said(exchange.answer)
    assert words
    assert not re.search(r"%\d|%[a-z]\w*[A-Z]\w*|%resources", words), words
    body = exchange.body if isinstance(exchange.body, dict) else {}
    parameters = body.get("parameters") or ()
    for value in parameters.values() if isinstance(parameters, dict) else parameters:
        if "%1" in body["message"] or isinstance(parameters, dict):
            assert str(value) in words


def test_complaints_of_a_good_answer_read_like_errors() -> None:
    """Surprise 11: a list fills names by their places."""
    words = [said(Answer(400, {}, orjson.dumps(each))) for each in one("13", 26).body]
    assert words == ["Invalid attribute SKU = NOPE.", "Invalid attribute Price = -5."]


# --- reading


def context() -> Context:
    """The recorded shop: its facts, its one attribute with options, and categories as they were listed."""
    size = one("04", 3).body
    row = {"attribute_id": size["attribute_id"], "attribute_code": "size_mm", "frontend_input": "select"}
    attributes = shop.attribute_set([{**row, "default_frontend_label": "Size", "options": size["options"]}])
    categories = shop.category_paths(one("06", 7).body["items"])
    facts = shop.facts_of(one("02", 0).body)
    codes = {"tags": "meta_keyword", "brand": "manufacturer"}
    return Context(facts, {4: attributes}, categories, codes, datetime(2026, 11, 22, tzinfo=UTC))


def rows(path: str, *names: str) -> list[Any]:
    """Records with all of these fields, by themselves or of lists."""
    good = [each for each in ALL if each.status == 200 and re.fullmatch(path, each.path)]
    bodies = [each.body for each in good if isinstance(each.body, dict)]
    found = [row for body in bodies for row in (body.get("items") or () if "total_count" in body else [body])]
    return [row for row in found if all(name in row for name in names)]


@pytest.mark.parametrize("entity", rows(r"/V1/products(/[^/]+)?", "custom_attributes", "type_id", "price"))
def test_every_whole_product_is_read(entity: JsonObject) -> None:
    record = mapping.product(entity, [], context())
    assert record.external_id == str(entity["id"])
    assert record.fields["title"] == entity["name"]
    assert record.updated_at is not None
    assert record.updated_at.strftime("%Y-%m-%d %H:%M:%S") == entity["updated_at"]
    assert len(record.fields["images"]) == sum(not each["disabled"] for each in entity["media_gallery_entries"])
    if entity["type_id"] != "configurable":
        (part,) = record.parts
        assert part.external_id == record.external_id
        minor = (Decimal(str(entity["price"])) * 100).quantize(Decimal(1), "ROUND_HALF_UP")
        assert part.fields["price"] == {"amount": int(minor), "currency": "EUR"}
        assert part.fields["sku"] == entity["sku"]


def test_configurable_product_has_its_children_by_label() -> None:
    parent, children = one("04", 18).body, one("04", 15).body
    for child in children:
        child.setdefault("attribute_set_id", 4)
    record = mapping.product(parent, children, context())
    assert record.fields["options"] == ["Size"]
    assert [part.fields["options"] for part in record.parts] == [{"Size": "S"}, {"Size": "M"}, {"Size": "L"}]
    assert [part.external_id for part in record.parts] == ["27", "28", "29"]
    assert shop.links(parent) == [27, 28, 29]
    assert [shop.links(row) for row in one("04", 25).body["items"]] == [[], [], [], [], [27, 28, 29, 30]]
    # Where the parent's clock ignores them, the children's tell.
    assert record.updated_at == datetime(2026, 11, 22, 4, 50, 51, tzinfo=UTC)


@pytest.mark.parametrize("node", rows(r"/V1/orders(/[0-9]+)?", "billing_address", "base_grand_total"))
def test_every_whole_order_is_what_orders_takes_and_adds_up(node: JsonObject) -> None:
    taken = RemoteOrder.model_validate(orders.order(node).fields)
    assert taken.number == node["increment_id"]
    assert taken.status == node["status"]
    assert taken.total.amount == round(node["base_grand_total"] * 100)
    lines = sum(line.quantity * line.unit_price.amount for line in taken.lines)
    beside = sum(tax.amount.amount for tax in taken.taxes if not tax.included)
    off = sum(discount.amount.amount for discount in taken.discounts)
    shipping = taken.shipping.price.amount if taken.shipping else 0
    assert lines + beside + shipping - off == taken.total.amount
    assert len(taken.lines) == len({item["item_id"] for item in node["items"] if "parent_item_id" not in item})


def test_configurable_line_is_one_line_and_ships_by_its_parent() -> None:
    node = one("08", 7).body
    record = orders.order(node)
    assert [(line["sku"], line["unit_price"]["amount"]) for line in record.fields["lines"]] == [
        ("GLOVE-L", 490),
        ("JACKET-M", 5250),
    ]
    assert [item["item_id"] for item in orders.sold_items(node)] == [13, 14]


def test_status_without_state_is_not_believed_to_be_paid() -> None:
    """Surprise 10: the first order is `complete` by POST orders, and nobody has paid it."""
    node = one("07", 1).body["items"][0]
    assert (node["state"], node["status"]) == ("processing", "complete")
    assert orders.order(node).fields["is_paid"] is False


def test_every_level_is_read() -> None:
    records = [mapping.level(row, {}) for row in rows(r"/V1/inventory/source-items", "sku")]
    assert len(records) > 30
    by_sku = {record.fields["sku"]: record for record in records}
    # Surprise 7: a ghost is listed, a fraction and less than nothing are kept, and status 0 hides what is there.
    assert by_sku["GHOST-1"].fields["quantity"] == 7
    assert {record.fields["quantity"] for record in records if record.fields["sku"] == "CHAIN-08B"} >= {5}
    negative = mapping.level(one("10", 19).body["items"][0], {})
    hidden = mapping.level(one("10", 11).body["items"][0], {})
    assert (negative.fields["quantity"], hidden.fields["quantity"]) == (0, 0)


def test_lower_case_sku_is_the_same_level() -> None:
    """Surprise 6."""
    assert mapping.level(one("10", 27).body["items"][0], {}).external_id == mapping.level_id("default", "wash-m8")


def test_categories_are_paths_below_the_stores_root() -> None:
    tree = one("06", 7).body["items"]
    assert shop.category_paths(tree) == {"8": ["Bearings"]}
    deeper = [*tree, {"id": 9, "name": "Fasteners", "level": 2, "path": "1/2/9"}]
    deeper += [{"id": 10, "name": "Nuts & washers", "level": 3, "path": "1/2/9/10"}]
    assert shop.category_paths(deeper)["10"] == ["Fasteners", "Nuts & washers"]


def test_pictures_are_those_that_are_seen_in_their_order() -> None:
    entity = one("05", 9).body
    seen = mapping.pictures(entity)
    assert [each["file"] for each in seen] == ["/h/e/helmet-front.png", "/h/e/helmet-side.png"]
    facts = shop.facts_of(one("02", 0).body)
    assert mapping.image(seen[0], facts)["url"].endswith("/media/catalog/product/h/e/helmet-front.png")
    assert one("05", 15).path == "/media/catalog/product/h/e/helmet-front_1.png"


# --- queued


OPERATIONS = [
    ("14", 2, ["retry", "retry", "retry"]),
    ("14", 3, ["retry", "retry", "retry"]),
    ("14", 5, ["ok", "person", "ok"]),
    ("14", 6, ["ok", "person", "ok"]),
    ("14", 10, ["ok", "person"]),
    ("14", 14, ["ok"]),
    ("14", 17, ["ok", "person"]),
    ("14", 20, ["retry", "retry"]),
]


@pytest.mark.parametrize(("file", "number", "outcomes"), OPERATIONS)
def test_operations_are_told_apart(file: str, number: int, outcomes: list[Outcome]) -> None:
    there = {row["id"]: row for row in one(file, number).body["operations_list"]}
    written = [bulk.written(there.get(index)) for index in range(len(outcomes))]
    assert [each.outcome for each in written] == outcomes
    assert all(each.message for each in written if each.outcome != "ok")


def test_what_waits_is_known_by_its_skus() -> None:
    waiting = one("14", 3).body["operations_list"]
    assert [bulk.named(row) for row in waiting] == [{f"bulk-1795323271-{number}"} for number in (1, 2, 3)]
    assert bulk.named(one("14", 20).body["operations_list"][0]) == {"bulk-1795323271-1"}
    assert bulk.named(one("14", 6).body["operations_list"][0]) == set(), "it is done, and says no more what it was"
