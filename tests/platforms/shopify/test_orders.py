"""Shopify's orders in the words that orders takes (SYN-2, ORD-5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.shopify import orders
from shared.contracts.orders.imported import RemoteOrder

pytestmark = pytest.mark.feature("SYN-2", "ORD-5")
CENTS = st.integers(0, 100_000)


def bag(cents: int, currency: str = "EUR") -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{cents / 100:.2f}", "currencyCode": currency}}


def line(
    number: int = 1, quantity: int = 1, current: int | None = None, cents: int = 1000, off: int = 0
) -> dict[str, Any]:
    application = {"__typename": "DiscountCodeApplication", "code": "SPRING"}
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": f"Scarf {number}",
        "sku": f"S-{number}",
        "quantity": quantity,
        "currentQuantity": quantity if current is None else current,
        "originalUnitPriceSet": bag(cents),
        "discountAllocations": [{"allocatedAmountSet": bag(off), "discountApplication": application}] if off else [],
    }


def node(*lines: dict[str, Any], total: int = 1000, **changes: Any) -> dict[str, Any]:
    """An order as Shopify gives it. Sums that are named without `current` hold now as they did when it was sold."""
    address = {"name": "Ada Lovelace", "address1": "1 Quay", "city": "Portsea", "countryCodeV2": "GB", "zip": "PO1"}
    whole: dict[str, Any] = {
        "id": "gid://shopify/Order/5001",
        "name": "#1001",
        "email": "ada@example.com",
        "phone": None,
        "test": False,
        "createdAt": "2026-11-30T10:00:00Z",
        "processedAt": "2026-11-30T11:00:00+02:00",
        "updatedAt": "2026-11-30T12:00:00Z",
        "cancelledAt": None,
        "currencyCode": "EUR",
        "taxesIncluded": False,
        "dutiesIncluded": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "shippingLine": None,
        "shippingAddress": address,
        "billingAddress": None,
        "lines": list(lines) or [line()],
        "taxLines": [],
        "totalPriceSet": bag(total),
        "totalShippingPriceSet": bag(0),
        "totalTaxSet": bag(0),
        "totalDiscountsSet": bag(0),
        "originalTotalDutiesSet": None,
        "originalTotalAdditionalFeesSet": None,
        "totalTipReceivedSet": bag(0),
    }
    whole |= changes
    names = {
        "taxLines": "currentTaxLines",
        "totalPriceSet": "currentTotalPriceSet",
        "totalShippingPriceSet": "currentShippingPriceSet",
        "totalTaxSet": "currentTotalTaxSet",
        "totalDiscountsSet": "currentTotalDiscountsSet",
        "originalTotalDutiesSet": "currentTotalDutiesSet",
        "originalTotalAdditionalFeesSet": "currentTotalAdditionalFeesSet",
    }
    return {**{current: whole[sold] for sold, current in names.items()}, **whole}


def taken(given: dict[str, Any]) -> RemoteOrder:
    return RemoteOrder.model_validate(orders.order(given).fields)


def added_up(order: RemoteOrder) -> int:
    goods = sum(each.unit_price.amount * each.quantity for each in order.lines)
    off = sum(discount.amount.amount for each in order.lines for discount in each.discounts)
    off += sum(discount.amount.amount for discount in order.discounts)
    tax = sum(each.amount.amount for each in order.taxes if not each.included)
    return goods - off + tax + (order.shipping.price.amount if order.shipping else 0)


def test_order_in_our_words() -> None:
    order = taken(node())
    assert (order.external_id, order.number, order.status, order.is_paid) == ("5001", "#1001", "paid", True)
    assert order.placed_at.isoformat() == "2026-11-30T09:00:00+00:00"
    assert (order.customer.email, order.customer.name) == ("ada@example.com", "Ada Lovelace")
    assert (order.shipping_address.line1, order.shipping_address.country) == ("1 Quay", "GB")
    assert [(each.sku, each.quantity, each.unit_price.amount) for each in order.lines] == [("S-1", 1, 1000)]


@given(
    st.lists(st.tuples(st.integers(1, 9), CENTS, st.integers(0, 100)), min_size=1, max_size=6),
    CENTS,
    CENTS,
    st.booleans(),
    st.tuples(CENTS, CENTS, CENTS, CENTS),
)
def test_parts_add_up_to_shopifys_total(
    goods: list[tuple[int, int, int]], shipping: int, tax: int, included: bool, beside: tuple[int, int, int, int]
) -> None:
    """Whatever an order is made of: lines with discounts, one on the whole, shipping, taxes, duties, fees and a tip."""
    lines = [line(n, count, None, cents, count * cents * share // 100) for n, (count, cents, share) in enumerate(goods)]
    sold = sum(count * cents - count * cents * share // 100 for count, cents, share in goods)
    off = min(beside[0], sold)
    duties, fees, tip = beside[1:]
    total = sold - off + shipping + (0 if included else tax) + duties + fees + tip
    order = taken(
        node(
            *lines,
            total=total,
            totalShippingPriceSet=bag(shipping),
            totalTaxSet=bag(tax),
            taxLines=[{"title": "VAT", "priceSet": bag(tax)}],
            taxesIncluded=included,
            totalDiscountsSet=bag(off + sum(count * cents * share // 100 for count, cents, share in goods)),
            originalTotalDutiesSet=bag(duties),
            originalTotalAdditionalFeesSet=bag(fees),
            totalTipReceivedSet=bag(tip),
        )
    )
    assert order.total.amount == total
    assert added_up(order) == total


def test_what_was_taken_back_is_not_in_the_order() -> None:
    """An edited or partly refunded order is what is left of it, with the part of the discount that belongs to that."""
    lines = [line(1, 4, 1, 1000, 400), line(2, 2, 0, 500)]
    order = taken(node(*lines, totalPriceSet=bag(4600), currentTotalPriceSet=bag(900)))
    assert [(each.sku, each.quantity) for each in order.lines] == [("S-1", 1)]
    assert [each.amount.amount for each in order.lines[0].discounts] == [100]
    assert (added_up(order), order.total.amount) == (900, 900)


def test_order_of_which_nothing_is_left_is_as_it_was_sold() -> None:
    whole = node(
        line(1, 2, 0, 1000), totalPriceSet=bag(2000), currentTotalPriceSet=bag(0), cancelledAt="2026-11-30T12:00:00Z"
    )
    order = taken(whole)
    assert (order.status, order.total.amount, order.lines[0].quantity) == ("cancelled", 2000, 2)


def test_cents_that_rounding_makes_are_named() -> None:
    """Amounts in the shop's money are converted each by itself where the buyer paid in another."""
    for total in (998, 1002):
        order = taken(node(total=total))
        assert added_up(order) == total
        names = [each.name for each in [*order.discounts, *order.taxes]]
        assert names == ["Rounding"]


def test_what_rounding_can_not_explain_is_left_to_differ() -> None:
    """Whoever takes the order says so, and a person looks at it."""
    order = taken(node(total=700))
    assert (added_up(order), order.total.amount) == (1000, 700)


def test_tax_of_shipping_is_in_the_taxes() -> None:
    tax = [{"title": "VAT", "priceSet": bag(190)}]
    order = taken(node(total=1785, taxLines=tax, totalTaxSet=bag(285), totalShippingPriceSet=bag(500)))
    assert [(each.name, each.amount.amount) for each in order.taxes] == [("VAT", 190), ("Tax", 95)]
    assert (added_up(order), order.shipping and order.shipping.method) == (1785, "shipping")


@pytest.mark.parametrize(
    ("code", "method"),
    [("Standard Überseeversand (3–5)", "Standard-berseeversand-3-5"), ("--", "shipping"), (None, "Home")],
)
def test_way_of_shipping_is_a_code(code: str | None, method: str) -> None:
    order = taken(node(shippingLine={"code": code, "title": "Home" if code is None else ""}))
    assert order.shipping is not None
    assert order.shipping.method == method


@pytest.mark.parametrize(
    ("changes", "status", "is_paid"),
    [
        ({}, "paid", True),
        ({"displayFinancialStatus": "PENDING"}, "pending", False),
        ({"displayFinancialStatus": "AUTHORIZED"}, "authorized", False),
        ({"displayFinancialStatus": "PARTIALLY_REFUNDED"}, "partially_refunded", True),
        ({"displayFinancialStatus": None}, "none", False),
        ({"displayFulfillmentStatus": "FULFILLED"}, "paid_fulfilled", True),
        ({"displayFulfillmentStatus": "PARTIALLY_FULFILLED"}, "paid_partially_fulfilled", True),
        ({"displayFulfillmentStatus": "ON_HOLD"}, "paid_on_hold", True),
        ({"displayFulfillmentStatus": "IN_PROGRESS"}, "paid", True),
        ({"cancelledAt": "2026-11-30T12:00:00Z"}, "cancelled", True),
        ({"test": True}, "test", True),
        ({"displayFinancialStatus": "BRAND_NEW"}, "brand_new", False),
        ({"displayFulfillmentStatus": "BRAND_NEW"}, "paid_brand_new", True),
    ],
)
def test_status_is_one_word_and_a_new_one_is_in_no_map(changes: dict[str, Any], status: str, is_paid: bool) -> None:
    order = taken(node(**changes))
    assert (order.status, order.is_paid) == (status, is_paid)
    assert (status in orders.STATUSES) == ("brand_new" not in status and status != "none")


@pytest.mark.parametrize("email", [None, "", "nobody", "@x", "a@", "a@b@c"])
def test_order_without_e_mail_and_address_is_taken(email: str | None) -> None:
    """Sold over the counter."""
    order = taken(node(email=email, shippingAddress=None))
    assert order.customer.email == "order-5001@no-email.invalid"
    assert (order.shipping_address.line1, order.shipping_address.country) == ("-", "ZZ")


@given(st.text(max_size=300), st.text(max_size=600))
def test_any_words_are_taken(text: str, title: str) -> None:
    """Names, addresses and titles are what buyers and merchants have typed."""
    address = dict.fromkeys(("name", "company", "address1", "address2", "city", "zip", "phone", "provinceCode"), text)
    odd = {**line(), "title": title, "sku": text}
    order = taken(node(odd, name=text, email=text, shippingAddress={**address, "countryCodeV2": None}))
    assert order.total.amount == 1000


def test_more_taxes_than_an_order_takes_are_added_to_the_last() -> None:
    taxes = [{"title": f"T{n}", "priceSet": bag(1)} for n in range(40)]
    order = taken(node(total=1040, taxLines=taxes, totalTaxSet=bag(40)))
    assert len(order.taxes) <= 20
    assert added_up(order) == 1040


def test_order_without_lines_is_not_understood() -> None:
    with pytest.raises(AnswerNotUnderstood):
        orders.order(node() | {"lines": []})
