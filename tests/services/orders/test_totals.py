"""Totals that always add up: lines, discounts, tax and shipping as given, through the doors and in the table."""

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import topology
from services.orders.errors import DiscountExceedsAmount, TaxExceedsAmount
from services.orders.models import totals
from services.orders.models.totals import Charges
from shared.contracts.orders.messages import CreateQuote
from shared.contracts.orders.shapes import OrderedLine
from shared.contracts.orders.totals import MOST_AMOUNT, Discount, ShippingCharge, Tax
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import Client
from tests.factories.orders import CUSTOMER, Seller, body, wanted

pytestmark = pytest.mark.feature("ORD-1")


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


CHARGED: dict[str, Any] = {
    "lines": [
        {
            "sku": "MUG",
            "quantity": 2,
            "discounts": [{"name": "SPRING", "amount": usd(300)}],
            "taxes": [{"name": "VAT", "amount": usd(283), "included": True}],
        },
        {"sku": "CUP", "quantity": 1, "taxes": [{"name": "City", "amount": usd(20), "included": False}]},
    ],
    "discounts": [{"name": "WELCOME", "amount": usd(150)}],
    "taxes": [{"name": "State", "amount": usd(110), "included": False}],
    "shipping": {"method": "standard", "title": "Standard", "price": usd(499)},
}
# 2 x 10.00 + 2.50 - 3.00 - 1.50 + 4.99 + 0.20 + 1.10
TOTAL = 2429
ADDED_UP = {
    "goods": usd(2250),
    "discounts": usd(450),
    "shipping": usd(499),
    "tax": usd(130),
    "included_tax": usd(283),
    "total": usd(TOTAL),
}


@pytest.fixture
async def at_the_door(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})


async def test_a_quote_and_its_order_have_what_the_storefront_gave(client: Client, at_the_door: Seller) -> None:
    storefront = at_the_door.storefront()
    asked = {"shop": "main", **CHARGED}
    quote = (await client.post("/v1/quotes", json=asked, headers=client.speaking_as(storefront))).json()
    assert (quote["totals"], quote["total"]) == (ADDED_UP, usd(TOTAL))
    assert [line["total"] for line in quote["lines"]] == [usd(1700), usd(270)]
    headers = client.speaking_as(storefront, Idempotency_Key=new_id().hex)
    named = body(quote_id=quote["id"], lines=None)
    order = (await client.post("/v1/orders", json=named, headers=headers)).json()
    assert (order["totals"], order["total"]) == (ADDED_UP, usd(TOTAL))
    for name in ("discounts", "taxes"):
        assert order[name] == CHARGED[name]
        assert [line[name] for line in order["lines"]] == [line[name] for line in quote["lines"]]
    assert order["shipping"] == CHARGED["shipping"]
    read = await client.get(f"/v1/orders/{order['id']}", headers=client.speaking_as(storefront))
    assert read.json() == order


async def test_graphql_places_and_reads_the_same(client: Client, at_the_door: Seller) -> None:
    placing = """mutation Place($lines: [OrderedLineInput!], $customer: CustomerDraftInput, $to: ShippingAddressInput,
        $discounts: [DiscountInput!], $taxes: [TaxInput!], $shipping: ShippingChargeInput, $total: MoneyInput) {
      placeOrder(shop: "main", lines: $lines, customer: $customer, shippingAddress: $to, discounts: $discounts,
        taxes: $taxes, shipping: $shipping, expectedTotal: $total) {
        ... on Order { total { amount } totals { goods { amount } includedTax { amount } } shipping { method }
          discounts { name } lines { sku discounts { name amount { amount } } taxes { included } total { amount } } }
        ... on Problem { code detail }
      }
    }"""
    address = {"line1": "1 Quay", "city": "Portsea", "country": "US"}
    variables = {"customer": CUSTOMER, "to": address, "total": usd(TOTAL), **CHARGED}
    answer = await client.post(
        "/graphql",
        json={"query": placing, "variables": variables},
        headers=client.speaking_as(at_the_door.caller, Idempotency_Key=new_id().hex),
    )
    placed = answer.json()["data"]["placeOrder"]
    assert placed["total"] == {"amount": TOTAL}, placed
    assert placed["totals"] == {"goods": {"amount": 2250}, "includedTax": {"amount": 283}}
    assert placed["shipping"] == {"method": "standard"}
    assert placed["lines"][0]["discounts"] == [{"name": "SPRING", "amount": {"amount": 300}}]


async def test_the_expected_total_is_the_grand_total(client: Client, at_the_door: Seller) -> None:
    headers = client.speaking_as(at_the_door.caller, Idempotency_Key=new_id().hex)
    for wrong in (2250, TOTAL - 1):
        refused = await client.post("/v1/orders", json=body(**CHARGED, expected_total=usd(wrong)), headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
        assert refused.json()["errors"][0]["total"] == usd(TOTAL)
    placed = await client.post("/v1/orders", json=body(**CHARGED, expected_total=usd(TOTAL)), headers=headers)
    assert placed.status_code == 201, placed.text


def _discounted(amount: Any) -> dict[str, Any]:
    return {"discounts": [{"name": "X", "amount": amount}]}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (_discounted(usd(-1)), "validation_failed"),
        (_discounted(usd(MOST_AMOUNT + 1)), "validation_failed"),
        (_discounted({"amount": 1.5, "currency": "USD"}), "validation_failed"),
        (_discounted({"amount": 1, "currency": "EUR"}), "wrong_currency"),
        (_discounted(usd(2001)), "discount_exceeds_amount"),
        ({"taxes": [{"name": "T", "amount": usd(-5)}]}, "validation_failed"),
        ({"taxes": [{"name": "T", "amount": usd(2001), "included": True}]}, "tax_exceeds_amount"),
        ({"taxes": [{"name": "T\x00", "amount": usd(1)}]}, "validation_failed"),
        ({"taxes": [{"name": "T", "amount": {"amount": 1, "currency": "CHF"}}]}, "wrong_currency"),
        ({"taxes": [{"name": "T", "amount": usd(MOST_AMOUNT)}]}, "amount_too_large"),
        ({"shipping": {"method": "standard", "price": usd(-1)}}, "validation_failed"),
        ({"shipping": {"method": "no such code!", "price": usd(1)}}, "validation_failed"),
        ({"shipping": {"method": "standard", "price": {"amount": 1, "currency": "EUR"}}}, "wrong_currency"),
        ({"shipping": {"method": "standard", "price": usd(MOST_AMOUNT)}}, "amount_too_large"),
        ({"lines": [{"sku": "MUG", "quantity": 1, **_discounted(usd(1001))}]}, "discount_exceeds_amount"),
        ({"lines": [{"sku": "MUG", "quantity": 1, **_discounted({"amount": 1, "currency": "EUR"})}]}, "wrong_currency"),
        ({"discounts": [{"name": "X", "amount": usd(1)}] * 21}, "validation_failed"),
    ],
)
async def test_what_cannot_be_added_up_is_refused(
    client: Client, at_the_door: Seller, fields: dict[str, Any], code: str
) -> None:
    for path, whole in (
        ("/v1/quotes", {"shop": "main", "lines": body()["lines"], **fields}),
        ("/v1/orders", body(**fields)),
    ):
        headers = client.speaking_as(at_the_door.caller, Idempotency_Key=new_id().hex)
        refused = await client.post(path, json=whole, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text


async def test_a_quotes_charges_are_its_orders(seller: Seller) -> None:
    lines = [OrderedLine.model_validate(line) for line in CHARGED["lines"]]
    charges = {name: CHARGED[name] for name in ("discounts", "taxes", "shipping")}
    quote = await seller.ask(CreateQuote(shop="main", lines=lines, **charges))
    other = {**charges, "discounts": [{"name": "WELCOME", "amount": usd(151)}]}
    dearer = lines[0].model_copy(update={"discounts": []})
    for message in (
        wanted(quote_id=quote.id, **other),
        wanted(quote_id=quote.id, lines=[dearer, lines[1]]),
    ):
        with pytest.raises(Exception, match="The quote was for") as refused:
            await seller.ask(message, key=new_id().hex)
        assert getattr(refused.value, "code", None) == "quote_differs"
    plain = [OrderedLine(sku=line.sku, quantity=line.quantity) for line in lines]
    order = await seller.ask(wanted(quote_id=quote.id, lines=plain), key="k")
    assert order.total.amount == TOTAL
    again = await seller.ask(wanted(quote_id=quote.id, lines=lines, **charges), key="k2")
    assert again.totals == order.totals


async def test_what_discounts_make_free_needs_no_payment(seller: Seller) -> None:
    gift = Discount(name="GIFT", amount=Money(amount=1000, currency="USD"))
    order = await seller.ask(wanted(lines=[OrderedLine(sku="MUG", quantity=1)], discounts=[gift]), key="free")
    assert (order.status, order.total.amount, order.pay_until) == ("processing", 0, None)


async def test_lines_of_one_sku_become_one_with_all_that_is_theirs(seller: Seller) -> None:
    line = OrderedLine.model_validate(CHARGED["lines"][0])
    order = await seller.ask(wanted(lines=[line, line]), key="twice")
    assert [(line.quantity, len(line.discounts), line.total.amount) for line in order.lines] == [(4, 2, 3400)]
    assert order.total.amount == 3400


async def test_the_table_refuses_what_does_not_add_up(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    for statement in (
        "UPDATE orders SET total = total + 1 WHERE id = $1",
        "UPDATE orders SET goods = goods + 1, total = total + 1 WHERE id = $1",
        "UPDATE order_lines SET quantity = 3 WHERE order_id = $1",
        "UPDATE order_lines SET discount = 5000 WHERE order_id = $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await seller.change("orders", statement, order.id)


amounts = st.integers(min_value=0, max_value=10_000)


def _money(amount: int) -> Money:
    return Money(amount=amount, currency="USD")


@given(
    lines=st.lists(st.tuples(amounts, st.integers(1, 9), amounts, amounts), min_size=1, max_size=5),
    discount=amounts,
    tax=amounts,
    included=amounts,
    shipping=st.none() | amounts,
)
def test_any_sum_that_is_taken_adds_up_and_is_never_negative(
    lines: list[tuple[int, int, int, int]], discount: int, tax: int, included: int, shipping: int | None
) -> None:
    ordered = [
        OrderedLine(
            sku=f"S{number}",
            quantity=quantity,
            discounts=[Discount(name="d", amount=_money(off))],
            taxes=[Tax(name="t", amount=_money(added))],
        )
        for number, (_, quantity, off, added) in enumerate(lines)
    ]
    charges = Charges(
        [Discount(name="d", amount=_money(discount))],
        [Tax(name="t", amount=_money(tax)), Tax(name="i", amount=_money(included), included=True)],
        None if shipping is None else ShippingCharge(method="m", price=_money(shipping)),
    )
    try:
        sums = [totals.of_line("USD", line, price) for line, (price, *_) in zip(ordered, lines, strict=True)]
        whole = totals.of_order("USD", sums, charges)
    except (DiscountExceedsAmount, TaxExceedsAmount):
        net = [price * quantity - off for price, quantity, off, _ in lines]
        assert min(net) < 0 or sum(net) + (shipping or 0) - discount < included
        return
    plain = sum(price * quantity - off + added for price, quantity, off, added in lines)
    assert whole.total == plain + (shipping or 0) + tax - discount >= 0
    assert sum(line.total for line in sums) + (shipping or 0) + tax - discount == whole.total
    assert whole.shape("USD").total == _money(whole.total)
