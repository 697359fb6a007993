"""Shopify's words in ours and back (SYN-2, SYN-7)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.shopify import mapping
from services.sync.platforms.shopify.writing import compare
from shared.money import EXPONENTS, UnknownCurrency, exponent

pytestmark = pytest.mark.feature("SYN-2", "SYN-7")
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF", "EUR"])
AMOUNTS = st.integers(0, 10**13)
TEXTS = st.text(max_size=30)
OPTIONS = st.dictionaries(st.sampled_from(["Size", "Colour", "Cut"]), st.text(min_size=1, max_size=8), max_size=3)


def variant_node(fields: dict[str, Any]) -> dict[str, Any]:
    """What Shopify has after it was given this input for a variant."""
    given = mapping.new_variant_input(fields)
    item = given["inventoryItem"]
    return {
        "id": "gid://shopify/ProductVariant/1",
        "sku": item.get("sku"),
        "barcode": given.get("barcode"),
        "price": given["price"],
        "compareAtPrice": given.get("compareAtPrice"),
        "taxable": given["taxable"],
        "updatedAt": "2026-11-30T10:00:00Z",
        "selectedOptions": [{"name": each["optionName"], "value": each["name"]} for each in given["optionValues"]],
        "inventoryItem": {
            "id": "gid://shopify/InventoryItem/2",
            "sku": item.get("sku"),
            "requiresShipping": item["requiresShipping"],
            "measurement": item["measurement"],
        },
    }


@st.composite
def variants(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    currency = draw(CURRENCIES)
    price = st.builds(lambda amount: {"amount": amount, "currency": currency}, AMOUNTS)
    return currency, {
        "sku": draw(TEXTS),
        "barcode": draw(TEXTS),
        "options": draw(OPTIONS),
        "price": draw(price),
        "list_price": draw(st.none() | price),
        "weight_grams": draw(st.none() | st.integers(1, 10**6)),
        "requires_shipping": draw(st.booleans()),
        "taxable": draw(st.booleans()),
    }


@given(variants())
def test_variant_comes_back_as_it_was_sent(drawn: tuple[str, dict[str, Any]]) -> None:
    """What is written and read again is no change: no echo (SYN-7)."""
    currency, fields = drawn
    record = mapping.variant(variant_node(fields), currency)
    assert record.fields == fields
    assert compare(fields, {}, record.fields).changed == {}
    assert record.references == {"inventory_item": "2"}


@given(AMOUNTS, st.sampled_from(sorted(EXPONENTS)))
def test_money_comes_back_to_the_minor_unit(amount: int, currency: str) -> None:
    price = {"amount": amount, "currency": currency}
    text = mapping.amount(price)
    assert mapping.money(text, currency) == price
    assert Decimal(text) == Decimal(amount).scaleb(-exponent(currency))
    assert "E" not in text


@pytest.mark.parametrize("text", ["abc", "", None, "NaN", "Infinity", "1,50"])
def test_amount_that_is_none_is_not_understood(text: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        mapping.money(text, "EUR")


def test_currency_that_is_none_is_named() -> None:
    with pytest.raises(UnknownCurrency):
        mapping.money("1.00", "XXQ")


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ({"unit": "GRAMS", "value": 250.4}, 250),
        ({"unit": "KILOGRAMS", "value": 1.25}, 1250),
        ({"unit": "OUNCES", "value": 1}, 28),
        ({"unit": "POUNDS", "value": 2}, 907),
        ({"unit": "STONES", "value": 2}, None),
        ({"unit": "GRAMS", "value": 0.0}, None),
        (None, None),
    ],
)
def test_weight_is_in_grams(weight: dict[str, Any] | None, expected: int | None) -> None:
    assert mapping.grams(weight) == expected


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("ACTIVE", "active"),
        ("UNLISTED", "active"),
        ("DRAFT", "draft"),
        ("ARCHIVED", "archived"),
        ("BRAND_NEW", "draft"),
    ],
)
def test_status_that_nobody_knows_is_not_for_sale(theirs: str, ours: str) -> None:
    assert mapping.product(product_node(status=theirs), "EUR").fields["status"] == ours


def test_product_in_our_words() -> None:
    media = [
        {"mediaContentType": "IMAGE", "alt": None, "status": "READY", "image": {"url": "https://cdn.test/1.png?v=1"}},
        {"mediaContentType": "IMAGE", "alt": "soon", "status": "PROCESSING", "image": None},
        {"mediaContentType": "VIDEO", "alt": "film", "status": "READY"},
    ]
    node = product_node(
        tags=["b", "a"], media=media, collections=[{"id": "1", "title": "Sale"}, {"id": "2", "title": "Hats"}]
    )
    record = mapping.product(node, "EUR")
    assert record.external_id == "7"
    assert record.updated_at == datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert record.fields == {
        "handle": "h",
        "title": "T",
        "description_html": "",
        "brand": "V",
        "product_type": "",
        "status": "active",
        "seo_title": "",
        "seo_description": "",
        "tags": ["a", "b"],
        "options": ["Size"],
        "categories": [["Hats"], ["Sale"]],
        "images": [{"url": "https://cdn.test/1.png?v=1", "alt": ""}],
    }


def test_product_without_options_has_none_and_nor_has_its_variant() -> None:
    price = {"amount": 1, "currency": "EUR"}
    fields = {"sku": "S", "price": price, "taxable": True, "requires_shipping": True, "weight_grams": None}
    node = product_node(hasOnlyDefaultVariant=True, options=[{"name": "Title"}], variants=[variant_node(fields)])
    record = mapping.product(node, "EUR")
    assert (record.fields["options"], record.parts[0].fields["options"]) == ([], {})


def test_option_that_is_called_title_is_one_where_there_are_others() -> None:
    fields = {"price": {"amount": 1, "currency": "EUR"}, "taxable": True, "requires_shipping": True, "weight_grams": 1}
    node = variant_node(fields | {"options": {"Title": "Default Title"}})
    assert mapping.variant(node, "EUR", has_options=True).fields["options"] == {"Title": "Default Title"}


@pytest.mark.parametrize(
    "changes", [{"item": {"id": "i/1", "sku": "S", "tracked": False}}, {"quantities": []}, {"isActive": False}]
)
def test_level_that_is_not_counted_is_not_given(changes: dict[str, Any]) -> None:
    node = {
        "id": "gid://shopify/InventoryLevel/5?inventory_item_id=1",
        "updatedAt": "2026-11-30T10:00:00Z",
        "isActive": True,
        "location": {"id": "gid://shopify/Location/9"},
        "item": {"id": "gid://shopify/InventoryItem/1", "sku": "S", "tracked": True},
        "quantities": [{"name": "available", "quantity": -3}],
    }
    record = mapping.level(node)
    assert record is not None
    assert (record.external_id, record.fields) == (
        "5?inventory_item_id=1",
        {"sku": "S", "location": "9", "quantity": -3},
    )
    assert mapping.level(node | changes) is None


@given(st.sets(st.sampled_from(sorted(mapping.VARIANT_FIELDS))))
def test_input_has_what_is_named_and_no_more(names: set[str]) -> None:
    """A partial write is partial: a field that is not named is not sent, so that it can not be emptied."""
    whole = {
        "sku": "S",
        "barcode": "1",
        "options": {"Size": "L"},
        "price": {"amount": 1, "currency": "EUR"},
        "list_price": None,
        "weight_grams": 5,
        "requires_shipping": True,
        "taxable": False,
    }
    given = mapping.variant_input({name: whole[name] for name in names})
    item = given.pop("inventoryItem", {})
    called = {
        "barcode": "barcode",
        "options": "optionValues",
        "price": "price",
        "list_price": "compareAtPrice",
        "taxable": "taxable",
    }
    of_item = {"sku": "sku", "weight_grams": "measurement", "requires_shipping": "requiresShipping"}
    assert set(given) == {called[name] for name in names if name in called}
    assert set(item) == {of_item[name] for name in names if name in of_item}


def test_options_of_a_new_product_have_the_values_of_its_variants_in_their_order() -> None:
    variants = [{"options": {"Size": "L", "Cut": "A"}}, {"options": {"Size": "S", "Cut": "A"}}, {"options": {}}]
    assert mapping.product_options(["Cut", "Size", "Empty"], variants) == [
        {"name": "Cut", "values": [{"name": "A"}]},
        {"name": "Size", "values": [{"name": "L"}, {"name": "S"}]},
    ]
    assert mapping.product_options([], [{}]) == [{"name": "Title", "values": [{"name": "Default Title"}]}]


def product_node(**changes: Any) -> dict[str, Any]:
    return {
        "id": "gid://shopify/Product/7",
        "handle": "h",
        "title": "T",
        "descriptionHtml": "",
        "vendor": "V",
        "productType": "",
        "status": "ACTIVE",
        "tags": [],
        "updatedAt": "2026-11-30T10:00:00+01:00",
        "hasOnlyDefaultVariant": False,
        "seo": {"title": None, "description": None},
        "options": [{"name": "Size"}],
        "variants": [],
        "media": [],
        "collections": [],
        **changes,
    }
