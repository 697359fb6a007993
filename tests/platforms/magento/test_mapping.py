"""Products in Magento's words and in ours, as pure functions: good values, odd ones, and what is no value (SYN-1)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.sync.errors import AnswerNotUnderstood, InvalidConnectionSettings
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.mapping import Context
from services.sync.platforms.magento.platform import Magento
from services.sync.platforms.magento.shop import Attribute, AttributeSet, Facts, Family, attribute_set, facts_of, links

pytestmark = pytest.mark.feature("SYN-1", "SYN-4")
JsonObject = dict[str, Any]

FACTS = Facts("EUR", "UTC", Decimal("453.59237"), "https://shop.example/media/", "https://shop.example/")
COLOUR = Attribute("93", "colour", "Colour", "select", {"4": "Red", "5": "Blue"})
MATERIAL = Attribute("95", "material", "Material", "multiselect", {"1": "Wool", "2": "Silk"})


def context(**codes: str) -> Context:
    known = {each.code: each for each in (COLOUR, MATERIAL)}
    sets = {4: AttributeSet(known, {each.id: each for each in known.values()})}
    return Context(FACTS, sets, {"8": ["Wool"], "9": ["Gifts", "Winter"]}, codes, datetime(2026, 12, 1, tzinfo=UTC))


def entity(custom: JsonObject | None = None, **changes: Any) -> JsonObject:
    attributes = [{"attribute_code": code, "value": value} for code, value in (custom or {}).items()]
    own = {"id": 1, "sku": "A", "name": "Scarf", "attribute_set_id": 4, "price": 19.99, "status": 1}
    return {**own, "type_id": "simple", "updated_at": "2026-11-22 04:00:00", "custom_attributes": attributes, **changes}


def euros(amount: int) -> JsonObject:
    return {"amount": amount, "currency": "EUR"}


@pytest.mark.parametrize(
    ("price", "minor"),
    [(0, 0), (19.99, 1999), (0.0375, 4), (0.037549, 4), (12345678901.99, 1234567890199), (1e3, 100000)],
)
def test_prices_are_whole_minor_units(price: float, minor: int) -> None:
    """Surprise of odd data: four decimals, zero, and many digits."""
    assert mapping.prices(entity(price=price), context())["price"] == euros(minor)


@pytest.mark.parametrize("price", ["dear", "NaN", {}])
def test_what_is_no_price_is_not_understood(price: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        mapping.prices(entity(price=price), context())


@pytest.mark.parametrize(
    ("special", "begins", "ends", "is_on"),
    [
        ("17.50", None, None, True),
        ("17.50", "2026-12-01 00:00:00", "2026-12-24 00:00:00", True),
        ("17.50", "2026-11-01 00:00:00", "2026-11-30 00:00:00", True),
        ("17.50", "2026-11-01 00:00:00", "2026-11-29 00:00:00", False),
        ("17.50", "2026-12-02 00:00:00", None, False),
        ("25.00", None, None, False),
        ("", None, None, False),
        (None, None, None, False),
    ],
)
def test_special_price_holds_in_its_time(
    special: str | None, begins: str | None, ends: str | None, is_on: bool
) -> None:
    custom = {"special_price": special, "special_from_date": begins, "special_to_date": ends}
    given = mapping.prices(entity(custom), context())
    expected = (euros(1750), euros(1999)) if is_on else (euros(1999), None)
    assert (given["price"], given["list_price"]) == expected


@pytest.mark.parametrize(("weight", "grams"), [(0.2, 91), (2.2046, 1000), (0, None), (None, None), (0.0001, None)])
def test_weights_are_whole_grams(weight: float | None, grams: int | None) -> None:
    assert mapping.grams(weight, FACTS.grams) == grams


@pytest.mark.parametrize("grams", [1, 91, 999, 12345])
@pytest.mark.parametrize("unit", [Decimal(1000), Decimal("453.59237")])
def test_weight_comes_back_as_it_was_sent(grams: int, unit: Decimal) -> None:
    facts = Facts("EUR", "UTC", unit, "", "")
    sent = mapping.sold({"weight_grams": grams}, {}, facts)
    assert mapping.grams(sent["weight"], unit) == grams


def test_labels_stand_for_options() -> None:
    custom = {"colour": "4", "material": "1,2", "brand": "99", "category_ids": ["9", "8", "404"]}
    record = mapping.product(entity(custom), (), context(brand="colour", product_type="material"))
    assert record.fields["brand"] == "Red"
    assert record.fields["product_type"] == "Wool, Silk"
    assert record.fields["categories"] == [["Gifts", "Winter"], ["Wool"]]
    unknown = mapping.product(entity({"colour": "99"}), (), context(brand="colour"))
    assert unknown.fields["brand"] == "99"


@pytest.mark.parametrize(("status", "ours"), [(1, "active"), (2, "draft"), (3, "draft")])
def test_status_that_is_new_is_a_draft(status: int, ours: str) -> None:
    assert mapping.product(entity(status=status), (), context()).fields["status"] == ours


def test_attribute_that_is_not_in_the_set_is_not_understood() -> None:
    more = {"configurable_product_options": [{"attribute_id": "7", "label": "Smell", "position": 0}]}
    with pytest.raises(AnswerNotUnderstood):
        mapping.product(entity(type_id="configurable", extension_attributes=more), (), context())


def test_what_a_write_is_compared_by_is_what_magento_keeps() -> None:
    given = {
        "status": "paused",
        "tags": ["b", "a", "x,y", ""],
        "brand": None,
        "categories": [["Wool"], ["Gifts", "Winter"]],
        "images": [{"url": "u", "alt": None}],
        "weight_grams": 0,
    }
    assert mapping.kept(given) == {
        "status": "draft",
        "tags": ["a", "b", "x y"],
        "brand": "",
        "categories": [["Gifts", "Winter"], ["Wool"]],
        "images": [{"url": "u", "alt": ""}],
        "weight_grams": None,
    }


def test_prices_are_sent_as_a_regular_one_and_a_special_one_below() -> None:
    there = {"price": euros(1999), "list_price": None}
    assert mapping.sold({"price": euros(500)}, there, FACTS) == {"price": 5.0}
    reduced = mapping.sold({"price": euros(500), "list_price": euros(1999)}, there, FACTS)
    assert reduced["price"] == 19.99
    assert {each["attribute_code"]: each["value"] for each in reduced["custom_attributes"]} == {
        "special_price": "5.00",
        "special_from_date": "",
        "special_to_date": "",
    }
    ended = mapping.sold({"list_price": None}, {"price": euros(500), "list_price": euros(1999)}, FACTS)
    assert ended == {"price": 5.0, "custom_attributes": [{"attribute_code": "special_price", "value": ""}]}


def test_payloads_keep_each_others_attributes() -> None:
    one, two = ({"custom_attributes": mapping.as_customs({name: name}), name: 1} for name in ("a", "b"))
    whole = mapping.merged(one, two, {"c": 1})
    assert (whole["a"], whole["b"], whole["c"], len(whole["custom_attributes"])) == (1, 1, 1, 2)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01 00:00:00", 5])
def test_what_is_no_time_is_not_understood(text: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        mapping.moment(text)


# --- facts


@pytest.mark.parametrize("configs", [[], {}, None, [{"weight_unit": "stone", "base_currency_code": "EUR"}]])
def test_shop_that_says_nothing_of_itself_is_not_understood(configs: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        facts_of(configs)


def test_axis_is_a_drop_down_by_its_label_or_code() -> None:
    rows = [
        {"attribute_id": 1, "attribute_code": "size", "frontend_input": "select", "default_frontend_label": "Größe"},
        {"attribute_id": 2, "attribute_code": "name", "frontend_input": "text", "default_frontend_label": "Name"},
    ]
    attributes = attribute_set(rows)
    for name, code in (("größe", "size"), ("size", "size"), ("Name", None), ("", None)):
        found = attributes.find_axis(name)
        assert (found.code if found else None) == code


def test_option_is_found_by_its_label_in_any_case() -> None:
    assert [COLOUR.find_option(label) for label in ("Red", " blue ", "Green")] == ["4", "5", None]


def test_child_that_was_let_go_is_a_product_of_its_own() -> None:
    family = Family()
    family.note({"id": 500, "extension_attributes": {"configurable_product_links": [1, 2]}})
    family.note({"id": 400, "extension_attributes": {"configurable_product_links": [2, 3]}})
    assert family.parent_of == {1: 500, 2: 400, 3: 400}
    family.note({"id": 500, "extension_attributes": []})
    assert family.parent_of == {2: 400, 3: 400}
    assert links({"id": 1}) == []


# --- settings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "shop.example"},
        {"url": "https://user:secret@shop.example"},
        {"url": "https://shop.example?x=1"},
        {"url": "https://shop.example:99999"},
        {"url": "https://shop.example", "shop": "main"},
        {"url": "https://shop.example", "scope": "../admin"},
        {"url": "https://shop.example", "scope": "de\n"},
        {"url": "https://shop.example", "queue": "yes"},
        {"url": "https://shop.example", "ship_from": ""},
        {"url": "https://shop.example", "attribute_set": 4},
        {"url": "https://shop.example", "attributes": ["ean"]},
        {"url": "https://shop.example", "attributes": {"price": "cost"}},
        {"url": "https://shop.example", "attributes": {"barcode": "EAN 13"}},
    ],
)
def test_settings_that_can_not_work_are_refused(settings: JsonObject) -> None:
    with pytest.raises(InvalidConnectionSettings):
        Magento().check_settings(settings)


def test_settings_that_work() -> None:
    settings = {
        "url": "https://shop.example/magento/",
        "scope": "de",
        "queue": True,
        "notify_customer": False,
        "ship_from": "default",
        "attribute_set": "Shoes",
        "attributes": {"barcode": "ean", "brand": None},
    }
    Magento().check_settings(settings)
    assert Magento().base_url(settings) == "https://shop.example/magento"
