"""Orders, their states, and telling the shop that goods have left (SYN-2, ORD-5)."""

from typing import Any

import pytest

from services.sync.platforms.base import Scan, ShipmentWrite, Written
from services.sync.platforms.prestashop.shop import states_of
from shared.contracts.orders.imported import RemoteOrder
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import order, product, session_with
from tests.platforms.prestashop.driving import put_combined

pytestmark = pytest.mark.feature("SYN-2", "ORD-5")


async def read(shop: PrestaShop, order_id: str = "501") -> RemoteOrder:
    async with session_with(shop) as session:
        (record,) = await session.read("order", [order_id])
    return RemoteOrder.model_validate(record.fields)


def row(shop: PrestaShop) -> dict[str, Any]:
    return shop.memory.tables["orders"][501]


def shipment(key: str, quantity: int, *numbers: str, references: dict[str, str] | None = None) -> ShipmentWrite:
    return ShipmentWrite(key, "501", [("SCARF-1", quantity)], "DHL", numbers, None, references or {})


async def ship(shop: PrestaShop, *writes: ShipmentWrite) -> list[Written]:
    async with session_with(shop) as session:
        return list(await session.confirm_shipments(writes))


def history(shop: PrestaShop) -> list[str]:
    return [each["id_order_state"] for each in shop.memory.rows("order_histories", id_order="501")]


# --- reading


async def test_sums_add_up_with_discount_shipping_wrapping_and_rounding(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    row(prestashop).update(
        total_discounts_tax_incl="5.000000",
        total_shipping_tax_incl="8.400000",
        total_wrapping_tax_incl="2.000000",
        total_paid_tax_incl="45.390000",
        total_paid_tax_excl="38.000000",
    )
    taken = await read(prestashop)
    assert taken.shipping is not None
    lines = sum(line.quantity * line.unit_price.amount for line in taken.lines)
    beside = sum(tax.amount.amount for tax in taken.taxes if not tax.included)
    off = sum(discount.amount.amount for discount in taken.discounts)
    assert taken.total.amount == 4539 == lines + taken.shipping.price.amount + beside - off
    assert {tax.name: (tax.amount.amount, tax.included) for tax in taken.taxes} == {
        "Gift wrapping": (200, False),
        "Rounding": (1, False),
        "Tax": (739, True),
    }


@pytest.mark.parametrize(
    ("round_type", "total", "unit", "off"), [("1", 45880, 2294, 0), ("2", 45888, 2295, 12), ("3", 45888, 2295, 12)]
)
async def test_prices_are_rounded_where_the_shop_rounds_them(
    prestashop: PrestaShop, round_type: str, total: int, unit: int, off: int
) -> None:
    """20 pieces at 22.944: by pieces 458.80, by lines and as a whole 458.88."""
    prestashop.put_order(order(501, quantity=20))
    paid = f"{total / 100:.6f}"
    row(prestashop).update(round_type=round_type, total_paid_tax_incl=paid, total_paid_tax_excl=paid)
    row(prestashop)["order_rows"][0]["unit_price_tax_incl"] = "22.944000"
    taken = await read(prestashop)
    (line,) = taken.lines
    assert (line.unit_price.amount, [each.amount.amount for each in line.discounts]) == (unit, [off] if off else [])
    assert (taken.total.amount, taken.discounts, taken.taxes) == (total, [], [])
    assert 20 * unit - off == total


async def test_totals_that_differ_are_given_as_they_are(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    row(prestashop)["total_paid_tax_incl"] = "99.000000"
    taken = await read(prestashop)
    assert (taken.total.amount, taken.discounts, taken.taxes[0].name) == (9900, [], "Tax")


async def test_line_without_a_reference_is_known_by_its_product(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    row(prestashop)["order_rows"][0] |= {"product_reference": "", "product_id": "30", "product_attribute_id": "45"}
    assert (await read(prestashop)).lines[0].sku == "prestashop-30-45"


async def test_order_without_persons_has_something_in_their_place(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    row(prestashop).update(id_customer="0", id_address_delivery="404", id_address_invoice="404")
    taken = await read(prestashop)
    assert (taken.customer.email, taken.shipping_address.country) == ("order-501@no-email.invalid", "ZZ")


@pytest.mark.parametrize(
    "broken",
    [
        {"order_rows": []},
        {"date_add": "0000-00-00 00:00:00"},
        {"id_currency": "9"},
        {"total_paid_tax_incl": "many"},
    ],
)
async def test_order_that_can_not_be_read_keeps_no_other_from_it(
    prestashop: PrestaShop, broken: dict[str, Any]
) -> None:
    prestashop.put_order(order(501))
    prestashop.put_order(order(502))
    row(prestashop).update(broken)
    async with session_with(prestashop) as session:
        page = await session.page(Scan("order"))
    assert [record.external_id for record in page.records] == ["502"]
    assert [each.external_id for each in page.unread] == ["501"]


async def test_passwords_of_customers_are_never_asked_for(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    await read(prestashop)
    (asked,) = [each for each in prestashop.requests if each.path == "/api/customers"]
    assert asked.query["display"] == "[id,email,firstname,lastname]"


def test_states_of_one_name_are_told_apart_and_deleted_ones_are_none() -> None:
    rows = [
        {"id": 4, "name": "Shipped", "shipped": "1", "paid": "1", "deleted": "0"},
        {"id": 9, "name": [{"id": "1", "value": "Shipped"}], "shipped": True, "deleted": 0},
        {"id": 10, "name": "", "deleted": "0"},
        {"id": 11, "name": "Gone", "deleted": "1"},
    ]
    states = states_of(rows, "10", 1)
    assert [each.name for each in states.values()] == ["Shipped #4", "Shipped #9", "#10"]
    assert [each.is_shipped for each in states.values()] == [True, True, False]
    assert states["10"].is_cancelled


# --- shipping


async def test_number_is_told_before_the_state_and_the_buyer_has_one_letter(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    before = row(prestashop)["date_upd"]
    done = await ship(prestashop, shipment("a", 2, "TRACK-1"))
    again = await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert [each.outcome for each in (*done, *again)] == ["ok", "unchanged"]
    assert [(each.method, each.path) for each in prestashop.requests if each.method != "GET"] == [
        ("PATCH", "/api/order_carriers/1"),
        ("POST", "/api/order_histories"),
    ]
    assert (row(prestashop)["current_state"], row(prestashop)["shipping_number"]) == ("4", "TRACK-1")
    assert prestashop.memory.mails == [501]
    assert before <= row(prestashop)["date_upd"]


async def test_state_follows_when_the_last_part_has_left(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    (first,) = await ship(prestashop, shipment("a", 1, "TRACK-1"))
    assert (first.outcome, len(history(prestashop))) == ("ok", 1)
    (last,) = await ship(prestashop, shipment("b", 1, "TRACK-2", "TRACK-3", references=dict(first.references)))
    assert (last.outcome, history(prestashop)[-1]) == ("ok", "4")
    assert [each["tracking_numbers"] for each in prestashop.shipments("501")] == [["TRACK-1"], ["TRACK-2"], ["TRACK-3"]]


async def test_two_parts_at_once_are_all_of_it(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    done = await ship(prestashop, shipment("a", 1, "TRACK-1"), shipment("b", 1))
    assert [each.outcome for each in done] == ["ok", "ok"]
    assert history(prestashop)[-1] == "4"


async def test_letter_that_can_not_be_sent_is_no_fault(prestashop: PrestaShop) -> None:
    """Surprise 9: without a mailer the shop answers 500, and has done it."""
    prestashop.mails = False
    prestashop.put_order(order(501))
    (done,) = await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert (done.outcome, history(prestashop).count("4")) == ("ok", 1)


async def test_buyer_is_left_alone_where_that_is_set(prestashop: PrestaShop) -> None:
    prestashop.settings["notify_customer"] = False
    prestashop.put_order(order(501))
    await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert (row(prestashop)["current_state"], prestashop.memory.mails) == ("4", [])


@pytest.mark.parametrize("after", range(1, 8))
async def test_shipment_whose_answer_was_lost_is_told_once(prestashop: PrestaShop, after: int) -> None:
    prestashop.put_order(order(501))
    prestashop.loses_after = after
    write = shipment("a", 2, "TRACK-1", "TRACK-2")
    outcomes = []
    for _ in range(3):
        outcomes += [each.outcome for each in await ship(prestashop, write)]
    assert set(outcomes[1:]) <= {"ok", "unchanged"}
    assert len(prestashop.shipments("501")) == 2
    assert (history(prestashop).count("4"), prestashop.memory.mails) == (1, [501])


async def test_cancelled_order_is_not_shipped_and_a_shipped_one_not_again(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501, status="Canceled"))
    (refused,) = await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert (refused.outcome, prestashop.shipments("501")) == ("person", [])
    prestashop.put_order(order(501, status="Delivered"))
    (done,) = await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert (done.outcome, history(prestashop).count("4"), len(prestashop.shipments("501"))) == ("ok", 0, 1)


async def test_state_is_the_one_that_is_set(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    for wanted in ("Processing in progress", "no such state"):
        prestashop.settings["shipped_status"] = wanted
        (refused,) = await ship(prestashop, shipment("a", 2, "TRACK-1"))
        assert (refused.outcome, "shipped_status" in str(refused.message)) == ("person", True)
    prestashop.settings["shipped_status"] = "Delivered"
    await ship(prestashop, shipment("a", 2, "TRACK-1"))
    assert history(prestashop)[-1] == "5"


async def test_number_that_the_shop_refuses_is_for_a_person(prestashop: PrestaShop) -> None:
    prestashop.put_order(order(501))
    (done,) = await ship(prestashop, shipment("a", 2, "A<B>;{}"))
    assert (done.outcome, history(prestashop).count("4")) == ("person", 0)


async def test_combination_is_known_by_its_own_reference(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    put_combined(prestashop)
    prestashop.put_order(order(501, sku="SCARF-L"))
    line = (await read(prestashop)).lines[0]
    assert line.sku == "SCARF-L"
    assert row(prestashop)["order_rows"][0]["product_attribute_id"] == "32"
