"""WooCommerce's words and ours, without a site (SYN-1, SYN-6)."""

from decimal import Decimal
from typing import Any

import pytest

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.woocommerce import mapping, orders
from services.sync.platforms.woocommerce.mapping import Shop
from shared.contracts.orders.imported import RemoteOrder
from shared.money import UnknownCurrency
from tests.fakes.woocommerce_words import new_product, new_variation, order_node
from tests.platforms.conftest import order

pytestmark = pytest.mark.feature("SYN-1", "SYN-6")
JsonObject = dict[str, Any]
SHOP = Shop("EUR")


def euros(amount: int) -> JsonObject:
    return {"amount": amount, "currency": "EUR"}


def simple(**changes: Any) -> JsonObject:
    return new_product(1) | changes


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [("19.90", "EUR", 1990), ("0", "EUR", 0), ("0.0375", "EUR", 4), ("-1", "EUR", -100), ("1250", "JPY", 1250)],
)
def test_prices_are_texts_in_major_units(text: str, currency: str, amount: int) -> None:
    assert mapping.money(text, currency) == {"amount": amount, "currency": currency}


def test_no_price_is_none() -> None:
    assert mapping.money("", "EUR") is None
    assert mapping.amount(None) == ""


@pytest.mark.parametrize("text", ["a lot", "1,5", "NaN", "Infinity", None])
def test_price_that_is_none_is_not_understood(text: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        mapping.minor(text, "EUR")


def test_currency_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        mapping.money("1", "BTC")


@pytest.mark.parametrize(("amount", "text"), [(1999, "19.99"), (5, "0.05"), (120000, "1200.00")])
def test_prices_go_out_with_a_point(amount: int, text: str) -> None:
    """`12,50` would be taken for 1250, and a number would be refused."""
    assert mapping.amount(euros(amount)) == text


def test_yen_have_no_digits_behind_the_point() -> None:
    assert mapping.amount({"amount": 500, "currency": "JPY"}) == "500"


@pytest.mark.parametrize(
    ("node", "price", "list_price"),
    [
        ({"regular_price": "20.00"}, euros(2000), None),
        ({"regular_price": "20.00", "sale_price": "15.00", "on_sale": True}, euros(1500), euros(2000)),
        ({"regular_price": "20.00", "sale_price": "15.00", "on_sale": False}, euros(2000), None),
        ({"regular_price": ""}, None, None),
    ],
)
def test_sale_is_the_price_while_it_lasts(node: JsonObject, price: Any, list_price: Any) -> None:
    fields = mapping.variant(simple(**node), SHOP).fields
    assert (fields["price"], fields["list_price"]) == (price, list_price)


@pytest.mark.parametrize(
    ("now", "fields", "given"),
    [
        ({"regular_price": "20.00"}, {"price": euros(1800)}, {"regular_price": "18.00", "sale_price": ""}),
        (
            {"regular_price": "20.00"},
            {"list_price": euros(2500)},
            {"regular_price": "25.00", "sale_price": "20.00"},
        ),
        (
            {"regular_price": "20.00", "sale_price": "15.00", "on_sale": True},
            {"price": euros(1600)},
            {"regular_price": "20.00", "sale_price": "16.00"},
        ),
        (
            {"regular_price": "20.00", "sale_price": "15.00", "on_sale": True},
            {"list_price": None},
            {"regular_price": "15.00", "sale_price": ""},
        ),
        # A sale that a merchant has planned for later stays as it is.
        ({"regular_price": "20.00", "sale_price": "15.00"}, {"price": euros(1900)}, {"regular_price": "19.00"}),
    ],
)
def test_both_prices_are_written_together(now: JsonObject, fields: JsonObject, given: JsonObject) -> None:
    assert mapping.variant_input(fields, simple(**now), SHOP) == given


def test_list_price_below_the_price_is_none_because_the_shop_drops_it() -> None:
    assert mapping.kept({"list_price": euros(1500)}, {"price": euros(2000)}) == {"list_price": None}
    assert mapping.kept({"list_price": euros(2500), "price": euros(2000)})["list_price"] == euros(2500)


@pytest.mark.parametrize(("unit", "text", "grams"), [("kg", "0.25", 250), ("lbs", "1", 454), ("oz", "3.5", 99)])
def test_weights_are_in_the_shops_unit_and_come_back_the_same(unit: str, text: str, grams: int) -> None:
    factor = mapping.unit_of_weight(unit)
    assert factor is not None
    assert mapping.grams(text, factor) == grams
    assert mapping.grams(mapping.weight(grams, factor), factor) == grams


def test_weight_that_is_none_or_in_an_unknown_unit_is_left_out() -> None:
    assert [mapping.grams(each, Decimal(1000)) for each in ("", "heavy", "0")] == [None, None, None]
    assert mapping.unit_of_weight("stone") is None
    assert "weight_grams" not in mapping.variant(simple(weight="1"), Shop("EUR", None)).fields
    assert mapping.variant_input({"weight_grams": 5}, None, Shop("EUR", None)) == {}


@pytest.mark.parametrize(
    ("status", "ours"), [("publish", "active"), ("draft", "draft"), ("private", "draft"), ("pending", "draft")]
)
def test_what_is_not_published_is_a_draft(status: str, ours: str) -> None:
    assert mapping.product(simple(status=status), [], {}, SHOP).fields["status"] == ours


def test_pause_and_archive_are_drafts_there() -> None:
    for status in ("paused", "archived", "draft"):
        assert mapping.product_input({"status": status}) == {"status": "draft"}
        assert mapping.kept({"status": status}) == {"status": "draft"}


def test_kinds_of_products() -> None:
    """A simple one is its own variant; a variable one has none until it has variations; a group is not sold."""
    assert [part.external_id for part in mapping.product(simple(), [], {}, SHOP).parts] == ["1"]
    assert mapping.product(simple(type="variable"), [], {}, SHOP).parts == ()
    assert mapping.product(simple(type="grouped"), [], {}, SHOP).parts == ()
    node = new_variation(5, 1) | {"attributes": [{"id": 0, "name": "Size &amp; fit", "slug": "s", "option": "S"}]}
    (part,) = mapping.product(simple(type="variable"), [node], {}, SHOP).parts
    assert (part.external_id, part.fields["options"], part.references) == ("5", {"Size & fit": "S"}, {"product": "1"})


def test_attributes_that_are_shown_and_make_no_variations_are_said_of_the_product() -> None:
    shown = {"id": 1, "name": "Wool &amp; co", "visible": True, "variation": False, "options": ["Merino", "Silk"]}
    nodes = [shown, shown | {"name": "Hidden", "visible": False}, shown | {"name": "Size", "variation": True}]
    fields = mapping.product(simple(attributes=nodes), [], {}, SHOP).fields
    assert (fields["attributes"], fields["options"]) == ({"Wool & co": "Merino, Silk"}, ["Size"])


def test_attributes_that_are_shared_go_by_their_id() -> None:
    known = [{"id": 3, "name": "Colour"}, {"id": 0, "name": "Size"}]
    assert mapping.chosen_options({"Colour": "Red", "Size": "S"}, known) == [
        {"id": 3, "option": "Red"},
        {"name": "Size", "option": "S"},
    ]


def test_values_that_new_variants_bring_are_added_to_the_whole_list() -> None:
    size = {"id": 0, "name": "Size", "position": 0, "visible": True, "variation": True, "options": ["S"]}
    wool = {"id": 4, "name": "Wool", "position": 1, "visible": True, "variation": False, "options": ["Merino"]}
    there = [size | {"slug": "size"}, wool]
    assert mapping.with_values(there, [{"Size": "S"}]) is None
    assert mapping.with_values(there, [{"Size": "M"}, {"Size": "S"}]) == [size | {"options": ["S", "M"]}, wool]
    assert size["options"] == ["S"]


def test_category_that_is_its_own_parent_ends() -> None:
    nodes = [{"id": 1, "name": "A", "parent": 2}, {"id": 2, "name": "B", "parent": 1}]
    assert mapping.category_paths(nodes) == {1: ["B", "A"], 2: ["A", "B"]}


# --- orders


def sold(**changes: Any) -> JsonObject:
    return order_node(order(5001), "2026-11-30T10:00:00") | changes


def read(node: JsonObject) -> RemoteOrder:
    return RemoteOrder.model_validate(orders.order(node).fields)


def comes_to(taken: RemoteOrder) -> int:
    lines = sum(line.quantity * line.unit_price.amount for line in taken.lines)
    off = sum(each.amount.amount for line in taken.lines for each in line.discounts)
    off += sum(each.amount.amount for each in taken.discounts)
    tax = sum(each.amount.amount for each in taken.taxes if not each.included)
    return lines - off + tax + (taken.shipping.price.amount if taken.shipping else 0)


def line(quantity: float, subtotal: str, total: str, tax: str = "0.00", **changes: Any) -> JsonObject:
    given = {"id": 9, "sku": "A", "quantity": quantity, "subtotal": subtotal, "total": total}
    return sold()["line_items"][0] | given | {"subtotal_tax": tax, "total_tax": tax} | changes


def test_line_that_does_not_divide_is_rounded_up_and_the_rest_taken_off() -> None:
    taken = read(sold(line_items=[line(3, "10.00", "10.00")], total="10.00"))
    (only,) = taken.lines
    assert (only.unit_price.amount, [(each.name, each.amount.amount) for each in only.discounts]) == (
        334,
        [("Rounding", 2)],
    )
    assert comes_to(taken) == 1000


def test_coupons_are_taken_off_their_lines_by_name() -> None:
    node = sold(line_items=[line(2, "20.00", "15.00")], total="15.00", coupon_lines=[{"code": "SPRING"}])
    taken = read(node)
    assert [(each.name, each.amount.amount) for each in taken.lines[0].discounts] == [("SPRING", 500)]
    assert comes_to(taken) == 1500


TAX = {"rate_code": "DE-1", "label": "VAT", "tax_total": "1.90", "shipping_tax_total": "0.95"}


def test_taxes_beside_the_prices_are_added() -> None:
    node = sold(
        line_items=[line(1, "10.00", "10.00", "1.90")],
        shipping_lines=[{"method_id": "flat_rate", "method_title": "Flat rate"}],
        shipping_total="5.00",
        shipping_tax="0.95",
        tax_lines=[TAX],
        total_tax="2.85",
        total="17.85",
    )
    taken = read(node)
    assert [(each.name, each.amount.amount, each.included) for each in taken.taxes] == [("VAT", 285, False)]
    assert taken.shipping is not None
    assert (taken.shipping.method, taken.shipping.price.amount, comes_to(taken)) == ("flat_rate", 500, 1785)


def test_taxes_in_the_prices_are_given_within_them() -> None:
    node = sold(
        prices_include_tax=True,
        line_items=[line(1, "8.40", "8.40", "1.60")],
        shipping_total="4.20",
        shipping_tax="0.80",
        tax_lines=[TAX | {"tax_total": "1.60", "shipping_tax_total": "0.80"}],
        total_tax="2.40",
        total="15.00",
    )
    taken = read(node)
    assert (taken.lines[0].unit_price.amount, taken.shipping and taken.shipping.price.amount) == (1000, 500)
    assert [(each.amount.amount, each.included) for each in taken.taxes] == [(240, True)]
    assert comes_to(taken) == 1500


def test_fees_are_named_and_negative_ones_taken_off() -> None:
    fees = [{"name": "Gift wrap", "total": "2.00"}, {"name": "Bonus", "total": "-3.00"}]
    taken = read(sold(line_items=[line(1, "10.00", "10.00")], fee_lines=fees, total="9.00"))
    assert [(each.name, each.amount.amount) for each in taken.taxes] == [("Gift wrap", 200)]
    assert [(each.name, each.amount.amount) for each in taken.discounts] == [("Bonus", 300)]
    assert comes_to(taken) == 900


def test_a_cent_of_rounding_is_named_and_more_is_left_to_differ() -> None:
    assert comes_to(read(sold(line_items=[line(1, "10.00", "10.00")], total="10.01"))) == 1001
    assert comes_to(read(sold(line_items=[line(1, "10.00", "10.00")], total="9.99"))) == 999
    assert comes_to(read(sold(line_items=[line(1, "10.00", "10.00")], total="12.00"))) == 1000


def test_order_without_an_address_or_an_address_of_mail_is_taken() -> None:
    empty: JsonObject = {"first_name": "", "last_name": "", "address_1": "", "city": "", "country": "", "email": ""}
    taken = read(sold(billing=empty, shipping=empty))
    assert taken.customer.email == "order-5001@no-email.invalid"
    assert (taken.shipping_address.line1, taken.shipping_address.country) == ("-", "ZZ")


def test_goods_go_to_the_buyer_where_no_other_address_is_given() -> None:
    node = sold()
    node["shipping"] = dict.fromkeys(node["shipping"], "")
    assert read(node).shipping_address.line1 == "1 Quay"


def test_line_without_a_sku_is_known_by_its_id() -> None:
    assert read(sold(line_items=[line(1, "1.00", "1.00", sku="")], total="1.00")).lines[0].sku == "woocommerce-line-9"


@pytest.mark.parametrize(
    ("status", "paid", "is_paid"),
    [
        ("processing", None, True),
        ("completed", None, True),
        ("on-hold", None, False),
        ("pending", None, False),
        ("pending", "2026-11-30T10:00:00", True),
        ("cancelled", "2026-11-30T10:00:00", True),
    ],
)
def test_what_is_to_be_sent_counts_as_paid(status: str, paid: str | None, is_paid: bool) -> None:
    """Goods paid on delivery are `processing` without a date of payment."""
    assert read(sold(status=status, date_paid_gmt=paid)).is_paid is is_paid


def test_status_of_a_plug_in_comes_as_it_is() -> None:
    assert read(sold(status="awaiting-the-tide")).status == "awaiting-the-tide"


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": []},
        {"date_created_gmt": None},
        {"date_created_gmt": "yesterday"},
        {"total": "a lot"},
        {"line_items": [line(1.5, "1.00", "1.00")]},
    ],
)
def test_order_that_can_not_be_said_is_unreadable(changes: JsonObject) -> None:
    with pytest.raises(AnswerNotUnderstood):
        orders.order(sold(**changes))
