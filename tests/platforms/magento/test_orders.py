"""Orders of a Magento shop as Crossdock takes them: sums that add up, with tax and without, what is left (ORD-5)."""

from typing import Any

import pytest

from services.sync.platforms.magento import orders
from services.sync.platforms.magento.orders import OrderUnreadable
from shared.contracts.orders.imported import RemoteOrder

pytestmark = pytest.mark.feature("SYN-1", "ORD-5")
JsonObject = dict[str, Any]


def line(sku: str = "A", ordered: float = 2, price: float = 10, gross: float | None = None, **more: Any) -> JsonObject:
    return {
        "item_id": 1,
        "sku": sku,
        "name": "Scarf",
        "qty_ordered": ordered,
        "base_price": price,
        "base_price_incl_tax": gross if gross is not None else price,
        **more,
    }


def node(items: list[JsonObject] | None = None, **changes: Any) -> JsonObject:
    return {
        "entity_id": 7,
        "increment_id": "000000007",
        "created_at": "2026-11-22 04:07:00",
        "updated_at": "2026-11-22 04:13:27",
        "status": "processing",
        "base_currency_code": "EUR",
        "base_grand_total": 20,
        "base_total_paid": 20,
        "customer_email": "ada@example.com",
        "customer_firstname": "Ada",
        "customer_lastname": "Lovelace",
        "items": [line()] if items is None else items,
        "billing_address": {"street": ["1 Quay", "Flat 2", "Back"], "city": "Portsea", "country_id": "GB"},
        **changes,
    }


def taken(given: JsonObject) -> RemoteOrder:
    return RemoteOrder.model_validate(orders.order(given).fields)


def adds_up(order: RemoteOrder) -> bool:
    lines = sum(each.quantity * each.unit_price.amount for each in order.lines)
    beside = sum(each.amount.amount for each in order.taxes if not each.included)
    off = sum(each.amount.amount for each in order.discounts)
    shipping = order.shipping.price.amount if order.shipping else 0
    return lines + beside + shipping - off == order.total.amount


def test_order_is_read_with_its_address() -> None:
    order = taken(node())
    assert (order.number, order.status, order.is_paid) == ("000000007", "processing", True)
    address = order.shipping_address
    assert (address.line1, address.line2, address.country) == ("1 Quay", "Flat 2, Back", "GB")
    assert order.placed_at.isoformat() == "2026-11-22T04:07:00+00:00"
    assert order.shipping is None


@pytest.mark.parametrize(
    ("changes", "is_paid"),
    [
        ({"base_total_paid": None}, False),
        ({"base_total_paid": 19.99}, False),
        ({"base_total_paid": 20, "status": "pending"}, True),
        ({"base_total_paid": None, "base_grand_total": 0, "base_discount_amount": -20}, True),
    ],
)
def test_paid_is_what_has_been_paid(changes: JsonObject, is_paid: bool) -> None:
    """Surprise 10: the status can be set without the state."""
    assert taken(node(**changes)).is_paid is is_paid


def test_prices_without_tax_have_it_beside() -> None:
    order = taken(
        node(
            [line(price=10, gross=12)],
            base_grand_total=30,
            base_tax_amount=5,
            base_shipping_amount=5,
            base_shipping_incl_tax=6,
            shipping_description="By sea",
            extension_attributes={"applied_taxes": [{"code": "VAT", "title": "VAT 20 %"}]},
        )
    )
    assert [(each.name, each.amount.amount, each.included) for each in order.taxes] == [("VAT 20 %", 500, False)]
    assert adds_up(order)
    assert order.shipping is not None
    assert (order.shipping.method, order.shipping.title) == ("By-sea", "By sea")


def test_prices_that_were_entered_with_their_tax_stay_whole() -> None:
    gross = line(ordered=3, price=16.7983, gross=19.99)
    order = taken(
        node([gross], base_grand_total=64.97, base_tax_amount=10.37, base_shipping_incl_tax=5, base_shipping_amount=4.2)
    )
    assert [each.unit_price.amount for each in order.lines] == [1999]
    assert [(each.amount.amount, each.included) for each in order.taxes] == [(1037, True)]
    assert adds_up(order)


def test_discount_is_named_after_its_coupon() -> None:
    order = taken(node(base_grand_total=15, base_discount_amount=-5, coupon_code="WARM5"))
    assert [(each.name, each.amount.amount) for each in order.discounts] == [("WARM5", 500)]
    assert adds_up(order)


@pytest.mark.parametrize("total", [20.01, 19.98])
def test_rounding_is_named(total: float) -> None:
    order = taken(node(base_grand_total=total))
    assert adds_up(order)
    named = [each.name for each in (*order.taxes, *order.discounts)]
    assert named == ["Rounding"]


def test_what_does_not_add_up_is_left_to_differ() -> None:
    order = taken(node(base_grand_total=99))
    assert (order.total.amount, adds_up(order)) == (9900, False)


def test_what_was_refunded_is_taken_off() -> None:
    order = taken(node([line(ordered=3, qty_refunded=1)], base_grand_total=30, base_total_refunded=10))
    assert [each.quantity for each in order.lines] == [2]
    assert (order.total.amount, adds_up(order)) == (2000, True)


def test_order_of_which_nothing_is_left_is_as_it_was_sold() -> None:
    order = taken(node([line(qty_canceled=2)], status="canceled", base_total_canceled=20))
    assert [each.quantity for each in order.lines] == [2]
    assert (order.status, order.total.amount, adds_up(order)) == ("canceled", 2000, True)


def test_download_needs_no_address_and_guest_no_name() -> None:
    bare = node(billing_address=None, customer_email="not an address", customer_firstname=None, customer_lastname=None)
    order = taken(bare)
    assert (order.shipping_address.line1, order.shipping_address.country) == ("-", "ZZ")
    assert order.customer.email == order.customer.name == "order-7@no-email.invalid"


def test_words_are_cleaned() -> None:
    order = taken(node([line("  A\n1 ")], status="own\tstatus", customer_lastname="Love\x00lace\n"))
    assert (order.lines[0].sku, order.status, order.customer.name) == ("A 1", "own status", "Ada Love lace")


@pytest.mark.parametrize(
    "wrong",
    [
        node([]),
        node([line(ordered=1.5)]),
        node(created_at=None),
        node(base_grand_total="a lot"),
    ],
)
def test_order_that_can_not_be_said_is_unreadable(wrong: JsonObject) -> None:
    with pytest.raises(OrderUnreadable):
        orders.order(wrong)
