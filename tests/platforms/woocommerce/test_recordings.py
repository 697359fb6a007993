"""What a real site has answered, given to the adapter as the answer to its own request (SYN-1, SYN-11).

Recordings were often trimmed; what they leave out is filled in from a whole record of the same site, so that each is
read by the very code that reads the shop's answers.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from services.sync.errors import CredentialsRefused
from services.sync.platforms.base import Account, Fields, ProductWrite, Scan, StockWrite, VariantWrite, Written
from services.sync.platforms.woocommerce import mapping, orders
from services.sync.platforms.woocommerce.client import Client, Refused
from services.sync.platforms.woocommerce.held import held_by
from services.sync.platforms.woocommerce.platform import WooSession
from services.sync.platforms.woocommerce.writing import Batch, send
from services.sync.platforms.writing import failed
from shared.contracts.orders.imported import RemoteOrder
from shared.outgoing import Answer
from tests.platforms.conftest import Purse
from tests.platforms.woocommerce.recordings import Exchange, exchanges, needs_data, recorded

pytestmark = [pytest.mark.feature("SYN-1", "SYN-11"), needs_data]
JsonObject = dict[str, Any]
SHOP = mapping.Shop("EUR")
V3 = "/wp-json/wc/v3/"
ASKED = [each for each in exchanges() if not each.is_delivery]
REFUSED = [each for each in ASKED if each.status >= 400]
ANSWERED = [each for each in ASKED if each.status < 400 and each.request["path"].startswith(V3)]
BATCHES = [each for each in ANSWERED if each.request["path"].endswith("/batch")]


class Told:
    """An `Http` that answers by path, with what is not told as a site that has nothing."""

    def __init__(self, **answers: Any) -> None:
        self.budget, self.ahead = Purse(), timedelta()
        self.answers: JsonObject = {
            "settings/general": [{"id": "woocommerce_currency", "value": "EUR"}],
            "settings/products": [{"id": "woocommerce_weight_unit", "value": "kg"}],
        } | answers
        self.asked: list[tuple[str, str, Any]] = []

    async def send(self, method: str, path: str, *, content: bytes | None = None, **_: Any) -> Answer:
        name = path.removeprefix(V3).partition("?")[0]
        self.asked.append((method, name, orjson.loads(content) if content else None))
        found = self.answers.get(f"{method} {name}", self.answers.get(name, []))
        if isinstance(found, Exchange):
            return Answer(found.status, dict(found.headers), orjson.dumps(found.body))
        return Answer(200, {}, orjson.dumps(found))

    @property
    def written(self) -> list[tuple[str, str, Any]]:
        return [each for each in self.asked if each[0] != "GET"]


def account() -> Account:
    return Account({"url": "https://shop.example"}, {"consumer_key": "ck_1", "consumer_secret": "cs_1"})


def client(http: Told) -> Client:
    return Client(account(), http)  # type: ignore[arg-type]


def session(http: Told) -> WooSession:
    return WooSession(account(), http)  # type: ignore[arg-type]


def filled(node: JsonObject) -> JsonObject:
    """A record with what a recording left out, as the same site gave it of another."""
    if node.get("type") == "variation":
        return {**recorded("04", 1).body, **node}
    is_counted = {"manage_stock": node["stock_quantity"] is not None} if "stock_quantity" in node else {}
    whole = {**recorded("02", 2).body[0], **is_counted, **node}
    return {**whole, "type": whole["type"] if whole["type"] != "variation" else "simple"}


def rows(exchange: Exchange) -> list[JsonObject]:
    found = exchange.body if isinstance(exchange.body, list) else [exchange.body]
    return [each for each in found if isinstance(each, dict) and "id" in each]


# --- refused


@pytest.mark.parametrize("exchange", REFUSED, ids=lambda each: each.name)
async def test_refusal_is_told_apart(exchange: Exchange) -> None:
    """Credentials stop the connection; whatever else was refused would be again, so a person has to look."""
    http = Told(**{"GET x": exchange})
    is_of_keys = exchange.status == 401
    with pytest.raises(CredentialsRefused if is_of_keys else Refused) as raised:
        await client(http).get("x")
    assert failed(raised.value).outcome == ("retry" if is_of_keys else "person")
    assert raised.value.detail.startswith(exchange.body["message"].partition("&")[0])


@pytest.mark.parametrize("exchange", BATCHES, ids=lambda each: each.name)
async def test_each_item_of_a_batch_is_settled_by_itself(exchange: Exchange) -> None:
    """Of a batch that answers with nothing nobody knows what came: it is tried again, and reading tells."""
    asked = exchange.request["body"] if isinstance(exchange.request["body"], dict) else {}
    for kind, items in asked.items():
        http = Told(**{"POST x/batch": exchange})
        (answers,) = await send(client(http), [Batch("x", kind, items[:20])])
        is_answered = isinstance(exchange.body, dict) and len(exchange.body.get(kind, ())) == len(items)
        for place, answer in enumerate(answers):
            if not is_answered:
                assert isinstance(answer, Written)
                assert answer.outcome == "retry"
            elif "error" in exchange.body[kind][place]:
                assert isinstance(answer, Written)
                assert (answer.outcome, bool(answer.message)) == ("person", True)
            else:
                assert isinstance(answer, dict)
                assert answer["id"] == exchange.body[kind][place]["id"]


# --- read


@pytest.mark.parametrize(
    "exchange",
    [each for each in ANSWERED if each.request["path"].startswith((f"{V3}products", f"{V3}variations"))],
    ids=lambda each: each.name,
)
def test_products_and_variations_are_read(exchange: Exchange) -> None:
    for row in rows(exchange):
        if not row.keys() & {"sku", "regular_price", "stock_quantity", "images"}:
            continue
        is_variation = "variations" in exchange.request["path"]
        node = filled({**row, "type": "variation"} if is_variation else row)
        record = mapping.variant(node, SHOP) if node["type"] == "variation" else mapping.product(node, [], {}, SHOP)
        assert record.external_id == str(row["id"])
        part = record if node["type"] == "variation" else next(iter(record.parts), None)
        if part is not None:
            assert part.fields["sku"] == node["sku"]
            assert (part.fields["price"] is None) is (node["regular_price"] == "")
        if mapping.is_counted(node):
            assert mapping.level(node, 0).fields["quantity"] == node["stock_quantity"]


def test_order_on_hold_holds_what_its_lines_say_and_no_other_order_does() -> None:
    """Recorded: cancelled and pending orders have taken nothing; of those that are paid it is reserved here."""
    orders = [row for number in (1, 2, 3) for row in recorded("07", number).body]
    assert {"on-hold", "cancelled", "pending", "processing", "completed"} <= {each["status"] for each in orders}
    assert [(each["id"], held_by(each)) for each in orders if held_by(each)] == [(41, {25: 1, 24: 1})]


@pytest.mark.parametrize(
    "exchange",
    [each for each in ANSWERED if each.request["path"].startswith(f"{V3}orders")],
    ids=lambda each: each.name,
)
def test_orders_are_read_and_are_what_orders_takes(exchange: Exchange) -> None:
    whole = recorded("08", 6).body
    for row in rows(exchange):
        if "status" not in row:
            continue
        record = orders.order({**whole, **row})
        taken = RemoteOrder.model_validate(record.fields)
        assert (taken.external_id, taken.status) == (str(row["id"]), row["status"])
        if "shipping_total" in row:
            lines = sum(line.quantity * line.unit_price.amount for line in taken.lines)
            off = sum(each.amount.amount for line in taken.lines for each in line.discounts)
            shipping = taken.shipping.price.amount if taken.shipping else 0
            assert lines - off + shipping == taken.total.amount, "an order that was read whole does not add up"


@pytest.mark.parametrize(
    ("entity", "path", "first", "count", "total"),
    [("product", "products", ("02", 2), 5, 26), ("order", "orders", ("07", 0), 3, 9)],
)
async def test_recorded_page_is_a_page_of_a_scan_that_goes_on(
    entity: Any, path: str, first: tuple[str, int], count: int, total: int
) -> None:
    page = await session(Told(**{path: recorded(*first)})).page(Scan(entity))
    assert [each.external_id for each in page.records] == [str(row["id"]) for row in recorded(*first).body]
    assert (len(page.records), page.total, page.resume is not None, page.unread) == (count, total, True, [])


async def test_recorded_variations_that_changed_bring_their_product() -> None:
    """04-20, and 04-18 the product they are of, whose own time is before what is asked for."""
    parent = filled({**recorded("04", 0).body, "date_modified_gmt": "2026-11-22T05:18:30"})
    variations = [{**recorded("04", 1).body, **row} for row in recorded("04", 20).body]

    class Changed(Told):
        async def send(self, method: str, path: str, **given: Any) -> Answer:
            if path.startswith(f"{V3}products?") and "modified_after" in path:
                return Answer(200, {"x-wp-total": "0"}, b"[]")
            return await super().send(method, path, **given)

    http = Changed(products=[parent], variations=variations)
    since = datetime(2026, 11, 22, 5, 18, 38, tzinfo=UTC)
    first = await session(http).page(Scan("product", since))
    second = await session(http).page(Scan("product", since, resume=first.resume))
    assert (first.records, second.resume) == ([], None)
    assert [(each.external_id, [part.external_id for part in each.parts]) for each in second.records] == [
        ("118", ["119", "120"])
    ]


def test_facts_of_the_site_are_read() -> None:
    assert {each["id"]: each["value"] for each in recorded("02", 0).body}["woocommerce_currency"] == "EUR"
    paths = mapping.category_paths([*recorded("06", 0).body, recorded("06", 1).body, recorded("06", 3).body])
    assert sorted(paths.values()) == [
        ["Fasteners 4072"],
        ["Fasteners 4072", "Nuts & washers 4072"],
        ["Uncategorized"],
    ]


# --- written


async def wrote(now: JsonObject, fields: Fields, expected: Fields, answer: Any = None) -> tuple[Written, Told]:
    """What becomes of a write to a simple product that is so now, when the site answers like that."""
    batch = {"update": [filled(answer)]} if answer is not None else {}
    http = Told(**{"GET products": [filled(now)], "POST products/batch": batch})
    variant = VariantWrite(str(now["id"]), "EXP", fields, expected)
    written = await session(http).write_products([ProductWrite("k", str(now["id"]), {}, variants=[variant])])
    return written[0].parts[0], http


def euros(amount: int) -> JsonObject:
    return {"amount": amount, "currency": "EUR"}


async def test_price_that_is_different_is_written_as_a_text() -> None:
    made, changed = recorded("13", 0).body, recorded("13", 1).body
    written, http = await wrote(made, {"price": euros(2050)}, {"price": euros(1990)}, changed)
    assert (written.outcome, written.fields) == ("ok", {"price": euros(2050)})
    item = {"id": 113, "regular_price": "20.50", "sale_price": ""}
    assert http.written == [("POST", "products/batch", {"update": [item]})]


async def test_value_that_is_so_already_is_not_written() -> None:
    """13-2: a second save of the same value would move the clock."""
    written, http = await wrote(recorded("13", 2).body, {"price": euros(2050)}, {"price": euros(1990)})
    assert (written.outcome, http.written) == ("unchanged", [])


async def test_value_that_somebody_else_changed_is_stale() -> None:
    written, http = await wrote(recorded("13", 1).body, {"price": euros(100)}, {"price": euros(1990)})
    assert (written.outcome, written.fields, http.written) == ("stale", {"price": euros(2050)}, [])


async def test_what_came_of_a_price_is_told_when_it_is_another() -> None:
    """13-8, 13-13: a price becomes empty, or a sale price is dropped, without a word."""
    written, _ = await wrote(recorded("13", 1).body, {"price": euros(100)}, {}, recorded("13", 8).body)
    assert (written.outcome, written.fields) == ("ok", {"price": None})


async def test_sku_of_another_product_is_for_a_person() -> None:
    """13-4, 13-5, 13-18: the refusal names who has it; that product is not ours, for it carries another key."""
    for place in (4, 5, 18):
        owner = {**recorded("13", 0).body, "meta_data": [{"id": 1, "key": "_crossdock_operation_key", "value": "x"}]}
        http = Told(**{"POST products": recorded("13", place)})
        http.answers["GET products"] = []
        written = await session(http).write_products(
            [ProductWrite("k", None, {"title": "Second"}, variants=[VariantWrite(None, "EXP-1795324201", {})])]
        )
        assert written[0].outcome == "person"
        assert "link it" in str(written[0].message), owner["id"]


async def test_product_that_has_the_sku_is_adopted_when_this_write_has_made_it() -> None:
    """13-4: the answer to the first try was lost, and its slug was changed since."""
    made = {**recorded("13", 0).body, "meta_data": [{"id": 1, "key": "_crossdock_operation_key", "value": "k"}]}

    class Adopting(Told):
        async def send(self, method: str, path: str, **given: Any) -> Answer:
            if "include=113" in path:
                return Answer(200, {}, orjson.dumps([made]))
            return await super().send(method, path, **given)

    http = Adopting(**{"POST products": recorded("13", 4)})
    write = ProductWrite("k", None, {"title": "T"}, variants=[VariantWrite(None, "EXP-1795324201", {})])
    (written,) = await session(http).write_products([write])
    assert (written.outcome, written.external_id) == ("ok", "113")
    assert [part.external_id for part in written.parts] == ["113"]


async def stocked(now: JsonObject, quantity: int, expected: int | None, answer: Any = None) -> tuple[Written, Told]:
    batch = {"update": [filled(answer)]} if answer is not None else {}
    http = Told(**{"GET products": [filled(now)], "POST products/batch": batch})
    write = StockWrite("k", str(now["id"]), "WASH-M8", "main", quantity, expected)
    return (await session(http).write_stock([write]))[0], http


async def test_stock_is_written_and_the_same_again_is_not() -> None:
    """10-0 to 10-3: the same value again would move the clock again."""
    before, after = recorded("10", 0).body, recorded("10", 1).body
    written, http = await stocked(before, 8765, 8764, after)
    assert written.outcome == "ok"
    assert http.written == [("POST", "products/batch", {"update": [{"id": 23, "stock_quantity": 8765}]})]
    written, http = await stocked(recorded("10", 2).body, 8765, 8764)
    assert (written.outcome, http.written) == ("unchanged", [])


async def test_stock_that_was_sold_meanwhile_is_stale() -> None:
    """10-19: an order took three at once."""
    written, http = await stocked(recorded("10", 19).body, 40, recorded("10", 18).body["stock_quantity"])
    assert (written.outcome, written.fields, http.written) == ("stale", {"quantity": 34}, [])


async def test_stock_that_is_not_counted_is_for_a_person() -> None:
    """10-14: it would be accepted with 200, and ignored; 09-6: a variation counted with the others."""
    written, http = await stocked(recorded("10", 14).body, 9, None)
    assert (written.outcome, http.written) == ("person", [])
    together = next(each for each in recorded("09", 6).body if each["manage_stock"] == "parent")
    written, http = await stocked({**recorded("04", 1).body, **together}, 9, None)
    assert (written.outcome, "other variations" in str(written.message), http.written) == ("person", True, [])


async def test_stock_that_another_took_in_the_same_moment_is_looked_at_again() -> None:
    written, _ = await stocked(recorded("10", 0).body, 8765, 8764, {**recorded("10", 1).body, "stock_quantity": 8760})
    assert written.outcome == "retry"
