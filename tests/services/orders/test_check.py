"""`crossdock check`: quiet when stock, ledger, reservations, orders and payments agree; it says where they do not."""

from collections import Counter
from typing import Any

import pytest

from deploy import checking, topology
from services.inventory.use_cases import checking as stock_checking
from services.orders.use_cases import checking as order_checking
from services.payments import answers as payment_answers
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.returns import CreateReturn, ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shipments import ShipmentLineDraft
from shared.contracts.orders.line_changes import CancelDraft, CancelledLine, CancelOrderLines
from shared.contracts.orders.shapes import Order
from tests.factories.inventory import Merchant
from tests.factories.orders import Seller, sell

pytestmark = pytest.mark.feature("INV-2", "INV-3")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_PAUSE_SECONDS", 0.0)


async def test_what_does_not_agree_is_found(process: topology.Surrounded) -> None:
    owner = Merchant(process)
    shop = await owner.open_shop()
    await owner.stocked({"A": 5})
    reservation: Any = await owner.reserve(shop, A=2)
    assert await checking.check(process) == []
    await owner.change("inventory", "UPDATE stock SET on_hand = 6 WHERE sku = 'A'")
    (line,) = await checking.check(process, [owner.organization_id])
    assert "A in" in line
    assert "on_hand is 6, not 5" in line
    await owner.change("inventory", "UPDATE stock SET on_hand = 5 WHERE sku = 'A'")
    confirmed = "UPDATE reservations SET state = 'confirmed', expires_at = NULL WHERE id = $1"
    await owner.change("inventory", confirmed, reservation.id)
    (line,) = await checking.check(process)
    assert f"stock is confirmed for order {reservation.id}, which is not there" in line
    stranger = Merchant(process)
    await stranger.open_shop()
    assert await checking.check(process, [stranger.organization_id]) == []


@pytest.fixture
async def seller(process: topology.Surrounded) -> Seller:
    """Sells MUG, CUP, and SET, which is two of MUG and one of CUP."""
    seller = Seller(process)
    seller.shop = await seller.open_shop()
    await sell(seller, "MUG", "CUP", "SET")
    await seller.ask(SetKit(sku="SET", parts=[KitPart(sku="MUG", quantity=2), KitPart(sku="CUP")]))
    await seller.stocked({"MUG": 20, "CUP": 20})
    return seller


@pytest.fixture
async def order(seller: Seller) -> Order:
    """Three of SET and two of CUP, paid; of each two have left, and one is back."""
    order = await seller.pay(await seller.place(SET=3, CUP=2))
    lines = [ShipmentLineDraft(sku=sku, quantity=2) for sku in ("SET", "CUP")]
    await seller.ship(order, lines=lines)
    back = [ReturnLineDraft(sku=sku, quantity=1, restock_to="main") for sku in ("SET", "CUP")]
    await seller.ask(CreateReturn(goods=ReturnDraft(order_id=order.id, lines=back)))
    await seller.settle()
    return await seller.order(order.id)


async def found(seller: Seller) -> list[str]:
    lines = await checking.check(seller.process, [seller.organization_id])
    return [line.removeprefix(f"{seller.organization_id}: ") for line in lines]


# Of SET at $10.00 three are $30.00, and the order has to add up.
_OF_ORDERS = {
    "UPDATE order_lines SET quantity = 4, unit_price = 750 WHERE sku = 'SET'": ("SET", 3, "allocated", 4),
    "UPDATE order_lines SET shipped = 1 WHERE sku = 'SET'": ("SET", 2, "shipped", 1),
    "UPDATE order_lines SET shipped = 0 WHERE sku = 'CUP'": ("CUP", 2, "shipped", 0),
    "UPDATE order_lines SET returned = 0 WHERE sku = 'SET'": ("SET", 1, "returned", 0),
    "UPDATE order_lines SET returned = 2 WHERE sku = 'CUP'": ("CUP", 1, "returned", 2),
}


@pytest.mark.feature("ORD-1", "INV-6")
@pytest.mark.parametrize("statement", _OF_ORDERS)
async def test_a_line_that_says_otherwise_than_its_stock_is_told(seller: Seller, order: Order, statement: str) -> None:
    assert await found(seller) == []
    await seller.change("orders", statement)
    sku, stock, what, said = _OF_ORDERS[statement]
    assert await found(seller) == [f"order {order.number}: of {sku} {stock} are {what}, not {said} as its line says"]


_OF_STOCK = {
    "UPDATE reservation_lines SET shipped = shipped - 1 WHERE kit = '' AND sku = 'CUP'": "shipped of order",
    "UPDATE reservation_lines SET bound = 1 WHERE kit = 'SET' AND sku = 'CUP'": "bound of order",
    "UPDATE shipment_lines SET returned = 0 WHERE kit = '' AND sku = 'CUP'": "returned of shipment",
}


@pytest.mark.feature("INV-6")
@pytest.mark.parametrize("statement", _OF_STOCK)
async def test_stock_of_an_order_that_its_shipments_say_otherwise_is_told(
    seller: Seller, order: Order, statement: str
) -> None:
    await seller.change("inventory", statement)
    assert any(_OF_STOCK[statement] in line and line.startswith("CUP in") for line in await found(seller))


async def test_an_order_that_is_to_leave_and_has_no_stock_is_told(seller: Seller, order: Order) -> None:
    await seller.change("inventory", "UPDATE reservations SET state = 'released' WHERE id = $1", order.id)
    assert f"order {order.number} is partly_shipped, and its stock is released" in await found(seller)


_OF_MONEY = {
    ("orders", "UPDATE orders SET paid = paid - 1"): "order {number}: 4999 is paid, and its payments come to 5000",
    ("orders", "UPDATE orders SET refunded = 7"): "order {number}: 7 is refunded, and its payments come to 0",
    ("payments", "UPDATE payments SET captured = 4000"): (
        "order {number}: captured of payment {payment} is 4000, not 5000 as it was told"
    ),
    ("payments", "UPDATE payments SET version = 2, disputed = 5"): (
        "order {number}: version of payment {payment} is 2, not 1 as it was told",
        "order {number}: disputed of payment {payment} is 5, not 0 as it was told",
    ),
    ("payments", "DELETE FROM payments"): "payment {payment} of order {number} is not known to payments",
}


@pytest.mark.feature("PAY-5", "ORD-4")
@pytest.mark.parametrize(("service", "statement"), _OF_MONEY)
async def test_money_that_orders_and_payments_know_differently_is_told(
    seller: Seller, order: Order, service: str, statement: str
) -> None:
    assert await found(seller) == []
    [payment] = await seller.rows("payments", "SELECT id FROM payments")
    await seller.change(service, statement)
    told = _OF_MONEY[service, statement]
    wanted = [told] if isinstance(told, str) else list(told)
    assert await found(seller) == [line.format(number=order.number, payment=payment["id"]) for line in wanted]


@pytest.mark.feature("PAY-5")
async def test_a_payment_that_its_order_was_not_told_of_is_told(seller: Seller, order: Order) -> None:
    [payment] = await seller.rows("payments", "SELECT id FROM payments")
    await seller.change("orders", "DELETE FROM order_payments")
    line = f"payment {payment['id']} of order {order.number} is not known to its order"
    assert await found(seller) == [line]


async def test_what_was_cancelled_of_an_order_is_no_difference(seller: Seller, order: Order) -> None:
    cancelled = CancelDraft(lines=[CancelledLine(sku="SET", quantity=1)], reason="no more")
    await seller.ask(CancelOrderLines(order_id=order.id, cancel=cancelled))
    await seller.settle()
    assert await found(seller) == []


async def test_orders_are_read_side_by_side_and_not_one_by_one(seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await seller.pay(await seller.place(MUG=1))
    pending = await seller.place(CUP=1)
    await seller.settle()
    asked: Counter[str] = Counter()
    original = seller.process.bus.ask

    async def counted(message: Any, envelope: Any) -> Any:
        asked[message.wire_name] += 1
        return await original(message, envelope)

    monkeypatch.setattr(seller.process.bus, "ask", counted)
    assert await found(seller) == []
    assert asked == {
        "inventory.check_stock": 1,
        "inventory.list_stock_of_orders": 1,
        "orders.list_orders_to_check": 1,
        "orders.list_order_payments_to_check": 1,
        "payments.list_payments_to_check": 1,
    }
    monkeypatch.setattr(stock_checking, "ORDERS_AT_ONCE", 2)
    monkeypatch.setattr(order_checking, "ORDERS_AT_ONCE", 3)
    monkeypatch.setattr(order_checking, "PAYMENTS_AT_ONCE", 2)
    monkeypatch.setattr(payment_answers, "CHECKED_AT_ONCE", 3)
    await seller.change("orders", "UPDATE order_lines SET shipped = 1 WHERE order_id = $1", pending.id)
    assert await found(seller) == [f"order {pending.number}: of CUP 0 are shipped, not 1 as its line says"]
