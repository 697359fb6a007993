"""Every recorded conversation with a real PrestaShop 8.2.1, read and judged by the adapter (SYN-1, SYN-11)."""

import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from typing import Any

import pytest

from services.sync.errors import CredentialsRefused
from services.sync.platforms.http import Http
from services.sync.platforms.prestashop import client as client_
from services.sync.platforms.prestashop import mapping, orders, xml
from services.sync.platforms.prestashop.client import Client, checked, node_of, record_of, rows_of
from services.sync.platforms.prestashop.mapping import Beside, Units
from services.sync.platforms.prestashop.shop import paths_of, states_of
from services.sync.platforms.prestashop.times import LocalTime
from services.sync.platforms.prestashop.xml import Translated
from services.sync.platforms.writing import failed
from shared.contracts.orders.imported import RemoteOrder
from shared.errors import CrossdockError
from shared.outgoing import Answer
from tests.fakes import prestashop_rows
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_answers import shown
from tests.fakes.prestashop_state import Memory
from tests.platforms.conftest import Purse
from tests.platforms.prestashop.recordings import Exchange, exchanges, needs_data, recorded, rows

pytestmark = [pytest.mark.feature("SYN-1", "SYN-11"), needs_data]

UNITS = Units(1, "EUR", LocalTime("Europe/Paris"))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# What is to be done about a refusal, by its status and first code that is not PHP's, else its first; None: it has none.
JUDGED = {
    "credentials": {(401, None), (401, 20), (401, 18), (401, 26), (405, 25)},
    "person": {
        *((400, code) for code in (27, 41, 57, 76, 84, 85, 90, 91, 93)),
        *((500, code) for code in (32, 35, 38, 46, 61, 127)),
        *((404, None), (404, 92), (405, 101)),
    },
    # A crash, or PHP's own words: nobody knows whether anything was done.
    "retry": {(500, None), (500, 3), (500, 5)},
}


def _all(*, good: bool) -> list[Any]:
    chosen = [each for each in exchanges() if (each.answer.status < 300) is good]
    return [pytest.param(each, id=each.name) for each in chosen]


def judge(answer: Answer) -> str:
    """What the adapter makes of an answer: the outcome of a write, or that the credentials are refused."""
    try:
        checked(answer)
    except CredentialsRefused:
        return "credentials"
    except CrossdockError as error:
        return failed(error).outcome
    return "ok"


@pytest.mark.parametrize("exchange", _all(good=False))
def test_refusal_is_judged(exchange: Exchange) -> None:
    codes = [code for code, _ in client_.errors_of(exchange.answer)]
    own = [code for code in codes if code > 16] or codes or [None]
    key = (exchange.answer.status, own[0])
    (wanted,) = [name for name, keys in JUDGED.items() if key in keys]
    assert judge(exchange.answer) == wanted, exchange.why


def test_message_of_a_refusal_is_the_shops_own_and_said_once() -> None:
    with pytest.raises(CrossdockError) as raised:
        checked(recorded("13-16").answer)
    assert raised.value.detail == 'Validation error: "Property Product-&gt;price is not valid" (85)'


@pytest.mark.parametrize("exchange", _all(good=True))
def test_good_answer_is_read(exchange: Exchange) -> None:
    if exchange.method == "HEAD" or exchange.answer.headers["content-type"] == "image/png":
        assert checked(exchange.answer) is exchange.answer
    elif exchange.as_json and exchange.method == "GET":
        body: Any = exchange.answer.document
        many = [] if body == [] else body.get(exchange.resource) or [body[node_of(exchange.resource)]]
        assert rows_of(exchange.answer, exchange.resource) == many
    elif not exchange.as_json:
        root = xml.parsed(exchange.answer.body)
        assert len(root) >= 1
        is_list = exchange.method == "GET" and not exchange.external_id
        if not exchange.is_image and not is_list:
            assert (record_of(exchange.answer, node_of(exchange.resource)).findtext("id") or "").isdigit()


# --- what was written


class Replayed(Http):
    """Answers what was recorded, and keeps what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.budget = Purse()
        self.answers = list(answers)
        self.sent: list[tuple[str, str, bytes | None]] = []

    async def send(self, method: str, path: str, **given: Any) -> Answer:
        self.sent.append((method, path, given.get("content")))
        return self.answers.pop(0)


def _writes() -> list[Any]:
    """Recorded writes of one record each, as the adapter makes them."""
    chosen = [
        each
        for each in exchanges()
        if each.method in ("PATCH", "POST")
        and isinstance(each.sent, str)
        and each.answer.status not in (401, 405)
        and not each.is_image
        and not each.as_json
        and _written(each) is not None
    ]
    return [pytest.param(each, id=each.name) for each in chosen]


def _written(exchange: Exchange) -> xml.Row | None:
    """What a recorded body says; None for one that the adapter would not make."""
    try:
        root = ElementTree.fromstring(exchange.sent)
    except ElementTree.ParseError:
        return None
    if len(root) != 1 or (exchange.method == "PATCH" and root[0].findtext("id") != exchange.external_id):
        return None
    fields: dict[str, str | Translated] = {}
    lists: dict[tuple[str, str], list[str]] = {}
    for child in root[0]:
        languages = child.findall("language")
        if child.tag == "associations":
            for listed in child:
                if len(listed[0]) > 1:
                    return None
                lists[listed.tag, listed[0].tag] = [each.findtext("id") or "" for each in listed]
        elif languages:
            fields[child.tag] = Translated(int(languages[0].get("id") or 0), languages[0].text or "")
        elif child.tag != "id" or exchange.method == "POST":
            fields[child.tag] = child.text or ""
    return xml.row(root[0].tag, fields, lists)


@pytest.mark.parametrize("exchange", _writes())
async def test_write_is_sent_as_the_shop_took_it_and_judged(exchange: Exchange) -> None:
    written = _written(exchange)
    assert written is not None
    replayed = Replayed(recorded("10-1").answer, exchange.answer)
    client = Client(replayed, "SECRET", None)
    await client.rows("stock_availables")
    try:
        if exchange.method == "POST":
            await client.make(exchange.resource, written)
        else:
            await client.change(exchange.resource, exchange.external_id, written)
        outcome = "ok"
    except CrossdockError as error:
        outcome = failed(error).outcome
    method, path, content = replayed.sent[-1]
    assert (method, path) == (exchange.method, exchange.path)
    assert content is not None
    assert ElementTree.canonicalize(content, strip_text=True) == ElementTree.canonicalize(
        exchange.sent, strip_text=True
    )
    assert outcome == ("ok" if exchange.answer.status < 300 else judge(exchange.answer))


async def test_put_sends_back_all_that_was_read_but_what_is_read_only() -> None:
    """The very body that the shop took: 13-14 was refused for three nodes, 13-15 without them was not."""
    read = Answer(200, {"psws-version": "1.7.8.11"}, recorded("13-14").sent.encode())
    replayed = Replayed(read, read, recorded("13-15").answer)
    client = Client(replayed, "SECRET", None)
    await client.whole("products", "31")
    await client.change("products", "31", xml.row("product", {"price": "21.000000"}))
    (_, path, _), (method, _, content) = replayed.sent[1:]
    assert (path, method) == ("/api/products/31", "PUT")
    sent, taken = ElementTree.fromstring(content or b""), ElementTree.fromstring(recorded("13-15").sent)
    assert [each.tag for each in sent[0]] == [each.tag for each in taken[0]]
    assert [(each.text or "").strip() for each in sent[0]] == [(each.text or "").strip() for each in taken[0]]
    associations = sent.find("product/associations")
    assert associations is not None
    assert len(associations) == 0, "lists that are not written are left alone"


# --- what was read


def test_demo_products_are_products() -> None:
    paths = paths_of(rows("06-0"), ("1", "2"), 1)
    first, second = (
        mapping.product(row, Beside(paths=paths, base_url="https://shop"), UNITS, NOW) for row in rows("02-11")
    )
    assert first.external_id == "1"
    assert first.fields == {
        "handle": "hummingbird-printed-t-shirt",
        "title": "Hummingbird printed t-shirt",
        "description_html": first.fields["description_html"],
        "seo_title": "",
        "seo_description": "",
        "brand": "Studio Design",
        "status": "active",
        "tags": [],
        "options": [],
        "categories": [["Clothes"], ["Clothes", "Men"]],
        "images": [
            {"url": "https://shop/img/p/1/1.jpg", "alt": ""},
            {"url": "https://shop/img/p/2/2.jpg", "alt": ""},
        ],
    }
    assert first.updated_at == datetime(2026, 11, 22, 3, 54, 37, tzinfo=UTC)
    assert second.fields["images"][0]["url"] == "https://shop/img/p/2/1/21.jpg"


def test_combinations_have_the_price_and_weight_of_their_product_and_the_difference() -> None:
    product = rows("02-11")[0]
    combinations = rows("04-2")
    values = {
        str(row["id"]): ({"1": "Size", "2": "Color"}[row["id_attribute_group"]], row["name"][0]["value"])
        for row in rows("04-1")
    }
    record = mapping.product(product, Beside(combinations={"1": combinations}, values=values), UNITS, NOW)
    assert [part.external_id for part in record.parts] == [f"1-{row['id']}" for row in combinations]
    assert record.parts[0].fields == {
        "sku": "demo_1",
        "barcode": "",
        "options": {"Color": "White", "Size": "S"},
        "price": {"amount": 2390, "currency": "EUR"},
        "weight_grams": 300,
    }


def test_odd_products_are_read_as_they_are() -> None:
    """Unicode, slashes, no reference, four decimals, switched off."""
    found = {}
    for row in rows("16-23"):
        record = mapping.product({**row, "state": "1"}, Beside(), UNITS, NOW)
        found[record.parts[0].fields["sku"] or f"#{record.external_id}"] = record
    assert found["A/B 12"].parts[0].fields["price"]["amount"] == 444
    assert found["DEC-4"].parts[0].fields["price"]["amount"] == 4
    assert found["OFF-1"].fields["status"] == "draft"
    assert found["EAN-2"].parts[0].fields["barcode"].startswith("0")
    assert "#43" in found


def test_recorded_orders_are_what_orders_takes() -> None:
    states = states_of(rows("07-0"), "6", 1)
    beside = orders.OfOrders(
        UNITS, NOW, states, {"1": "EUR"}, {"8": "FR", "21": "US"}, {"35": "NY"}, {}, {"5": rows("07-7")[0]}
    )
    records = [orders.order(row, beside) for row in rows("07-1")]
    taken = [RemoteOrder.model_validate(record.fields) for record in records]
    assert [(each.external_id, each.number, each.status, each.is_paid) for each in taken[:2]] == [
        ("1", "XKBKNABJK", "Shipped", True),
        ("2", "OHSATSERP", "Awaiting check payment", False),
    ]
    first = taken[0]
    assert [(line.sku, line.quantity, line.unit_price.amount) for line in first.lines] == [
        ("demo_1", 1, 2390),
        ("demo_3", 1, 3590),
    ]
    assert first.total.amount == sum(line.unit_price.amount for line in first.lines) + 840
    assert first.shipping is not None
    assert first.shipping.price.amount == 840
    assert first.shipping_address.city == "New York"
    assert first.customer.email == "order-1@no-email.invalid"


def test_states_are_told_by_their_flags() -> None:
    states = states_of(rows("07-0"), "6", 1)
    assert {each.name for each in states.values() if each.is_shipped} == {"Shipped", "Delivered"}
    assert [each.name for each in states.values() if each.is_cancelled] == ["Canceled"]
    assert states["11"].is_paid
    assert not states["7"].is_paid


def test_stock_and_suppliers_are_read() -> None:
    level = mapping.level(rows("09-4")[0], "demo_1", "1")
    assert level.fields == {"sku": "demo_1", "location": "1", "quantity": 2398}
    supplier = mapping.supplier(rows("12-0")[0], rows("07-7")[0], UNITS, NOW)
    assert supplier.fields == {"name": "Fashion supplier", "phone": "(212) 336-1440"}
    link = mapping.supplier_link(rows("12-9")[0], "BEARING", "EUR")
    assert link.fields["vendor_sku"] == "KM-6205"
    assert link.fields["cost"] == {"amount": 310, "currency": "EUR"}


# --- the fake beside the real one


def _lists() -> list[Any]:
    chosen = [
        each
        for each in exchanges()
        if each.query.get("display") == "full"
        and each.answer.status == 200
        and each.answer.document
        and each.resource in prestashop_rows.resources()
    ]
    return [pytest.param(each, id=each.name) for each in chosen]


@pytest.mark.parametrize("exchange", _lists())
def test_rows_of_the_fake_have_the_names_of_real_ones(exchange: Exchange) -> None:
    for row in rows(exchange.name):
        fake = shown(exchange.resource, prestashop_rows.blank(exchange.resource) | {"id": 1}, None, None)
        assert set(fake) == set(row) - {"associations"}
        assert set(row.get("associations", {})) <= set(prestashop_rows.lists(exchange.resource))
        for name, value in row.items():
            assert isinstance(fake[name], list) == isinstance(value, list) if name != "associations" else True, name


def test_order_rows_of_the_fake_have_the_names_of_real_ones() -> None:
    shop = PrestaShop(memory=Memory())
    line = shop._order_row(1, {"sku": "A", "quantity": 1, "unit_price": {"amount": 1, "currency": "EUR"}})
    assert set(line) == set(rows("07-1")[0]["associations"]["order_rows"][0])
