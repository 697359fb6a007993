"""Keys, rights, settings, and answers that are none (SYN-1, SYN-11)."""

from typing import Any

import pytest

from services.sync.errors import (
    AnswerNotUnderstood,
    CredentialsRefused,
    InvalidConnectionSettings,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms.base import ProductWrite, Scan
from services.sync.platforms.prestashop import mapping, xml
from services.sync.platforms.prestashop.client import checked, errors_of, record_of, rows_of
from services.sync.platforms.prestashop.platform import PrestaShop as Platform
from services.sync.platforms.prestashop.xml import Translated
from shared.outgoing import Answer
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import product, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-11")


async def test_key_goes_as_the_user_and_never_into_an_address(prestashop: PrestaShop) -> None:
    async with session_with(prestashop) as session:
        await session.greet()
        prestashop.credentials = {"key": "another"}
    assert not any("ws_key" in asked.query for asked in prestashop.requests)
    async with session_with(prestashop) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()


async def test_greeting_names_the_rights_that_are_missing(prestashop: PrestaShop) -> None:
    prestashop.forbidden = {"GET order_states", "PATCH products", "POST images"}
    async with session_with(prestashop) as session:
        greeting = await session.greet()
    assert greeting.missing == ["GET order_states", "PATCH products", "POST images"]
    prestashop.forbidden = {"PUT stock_availables"}
    prestashop.version = "1.7.8.11"
    async with session_with(prestashop) as session:
        greeting = await session.greet()
    assert (greeting.missing, greeting.version) == (["PUT stock_availables"], "1.7.8.11")


async def test_what_is_done_with_orders_is_proposed_by_flags(prestashop: PrestaShop) -> None:
    """A person confirms it: the names of states are the merchant's own, and ids differ from shop to shop."""
    prestashop.memory.add("order_states", name="Sent by boat", shipped="1", paid="1")
    prestashop.memory.tables["order_states"][8]["deleted"] = "1"
    async with session_with(prestashop) as session:
        greeting = await session.greet()
    assert greeting.proposed_statuses == {
        "Awaiting check payment": "set_aside",
        "Payment accepted": "import",
        "Processing in progress": "import",
        "Shipped": "import_and_complete",
        "Delivered": "import_and_complete",
        "Canceled": "import_and_cancel",
        "Refunded": "set_aside",
        "Sent by boat": "import_and_complete",
    }
    assert greeting.order_statuses == list(greeting.proposed_statuses)


async def test_right_that_is_taken_away_is_the_credentials(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.forbidden = {"GET orders", "PATCH products"}
    async with session_with(prestashop) as session:
        with pytest.raises(CredentialsRefused):
            await session.page(Scan("order"))
        with pytest.raises(CredentialsRefused):
            await session.write_products([ProductWrite("k1", "1", {"title": "New"})])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "shop.example"},
        {"url": "https://key@shop.example"},
        {"url": "https://shop.example?ws_key=x"},
        {"url": "https://shop.example", "time_zone": "Europe/Atlantis"},
        {"url": "https://shop.example", "time_zone": "../../etc/passwd"},
        {"url": "https://shop.example", "tax_rate": -1},
        {"url": "https://shop.example", "tax_rate": "many"},
        {"url": "https://shop.example", "page_size": 0},
        {"url": "https://shop.example", "language": "en"},
        {"url": "https://shop.example", "colour": "red"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConnectionSettings):
        Platform().check_settings(settings)


def test_address_is_that_of_the_shop_with_or_without_the_webservice() -> None:
    for url in ("https://shop.example/fr", "https://shop.example/fr/", "https://shop.example/fr/api/"):
        assert Platform().base_url({"url": url}) == "https://shop.example/fr"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b'"text"',
        b"<html>",
        b'{"products": 7}',
        b'{"products": [7]}',
        b'{"products": [{"reference": "without an id"}]}',
        b'{"orders": []}',
        b'<br />\n<b>Notice</b>: x {"products": []}',
    ],
)
def test_what_are_no_rows_is_never_taken_for_none(body: bytes) -> None:
    with pytest.raises(AnswerNotUnderstood):
        rows_of(Answer(200, {}, body), "products")


def test_rows_come_in_more_than_one_form() -> None:
    assert rows_of(Answer(200, {}, b"[]"), "products") == []
    for body in (b'{"products": [{"id": 1}]}', b'{"products": {"id": 1}}', b'{"product": {"id": 1}}'):
        assert rows_of(Answer(200, {}, body), "products") == [{"id": 1}]


def test_warnings_beside_rows_do_spoil_them() -> None:
    """A notice says nothing of the rows; a warning may have cost some."""
    body = b'{"products": [{"id": 1}], "errors": [{"code": %d, "message": "[PHP %s] x"}]}'
    assert rows_of(Answer(500, {}, body % (5, b"Notice #8")), "products") == [{"id": 1}]
    with pytest.raises(PlatformAway):
        rows_of(Answer(500, {}, body % (3, b"Warning #2")), "products")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b'{"errors": [{"code": 85, "message": "x"}]}', PlatformAway),
        (429, b"", PlatformAway),
        (500, b'{"errors": "no list"}', PlatformAway),
        (500, b'{"errors": [7, {"message": "no code"}]}', PlatformAway),
        (400, b'{"errors": [{"code": 90, "message": "[PHP Notice] x"}]}', PlatformRefused),
        (400, b"<?xml version='1.0'?><html/>", PlatformRefused),
        (400, b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><prestashop/>", PlatformRefused),
        (403, b"", CredentialsRefused),
    ],
)
def test_refusals_of_others_are_told_apart(status: int, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        checked(Answer(status, {}, body))


def test_error_without_a_number_is_an_error() -> None:
    assert errors_of(Answer(500, {}, b'{"errors": [{"code": "x", "message": null}]}')) == [(0, "")]


# --- XML


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<prestashop>",
        b"<html/>",
        b"<prestashop><order/></prestashop>",
        b"<!DOCTYPE p [<!ENTITY x 'y'>]><prestashop><product/></prestashop>",
        b"\xff\xfe",
        '<?xml version="1.0" encoding="utf-16"?><prestashop><product/></prestashop>'.encode("utf-16"),
        "<!DOCTYPE p [<!ENTITY x 'y'>]><prestashop><product>&x;</product></prestashop>".encode("utf-16-le"),
    ],
)
def test_what_is_no_record_is_not_understood(body: bytes) -> None:
    with pytest.raises(AnswerNotUnderstood):
        record_of(Answer(200, {}, body), "product")


def test_text_is_written_so_that_it_comes_back() -> None:
    text = "<b>&amp; ]]> \u017b\u00f3\u0142\u0107 \U0001f9e3 \"'"
    written = xml.document(xml.row("product", {"name": Translated(2, text + "\x00\x0b"), "reference": "A/B"}))
    record = xml.parsed(written).find("product")
    assert record is not None
    assert (record.findtext("name/language"), record.findtext("reference")) == (text, "A/B")
    language = record.find("name/language")
    assert language is not None
    assert language.get("id") == "2"


# --- uneven JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ([{"id": "1", "value": "a"}, {"id": "2", "value": "b"}], "a"),
        ([{"id": 1, "value": "a"}], "a"),
        ([{"id": "2", "value": "b"}], ""),
        (None, ""),
        (False, ""),
        ([], ""),
        (7, "7"),
        ({}, ""),
    ],
)
def test_text_comes_in_many_forms(value: object, text: str) -> None:
    assert mapping.text(value, 1) == text


def test_ids_and_truth_come_in_many_forms() -> None:
    assert [mapping.key(value) for value in ("7", 7, "0", 0, None, "", False)] == ["7", "7", "", "", "", "", ""]
    assert [mapping.flag(value) for value in ("1", 1, True, "0", "", None, False)] == [True] * 3 + [False] * 4
    assert mapping.ids({"associations": {"tags": [{"id": "1"}, {"id": 0}, 7, {}]}}, "tags") == ["1"]
    assert mapping.ids({"associations": []}, "tags") == []


@pytest.mark.parametrize("value", ["many", "NaN", "1e999999999", "Infinity"])
def test_number_that_is_none_is_not_understood(value: str) -> None:
    with pytest.raises(AnswerNotUnderstood):
        mapping.decimal(value)
