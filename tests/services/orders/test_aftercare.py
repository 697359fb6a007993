"""Orders that stand: details changed, notes, returns, and money asked back; each once, in whatever order."""

import asyncio
from typing import Any

import pytest

from deploy import topology
from shared import clock
from shared.contracts.inventory.events import BackorderServed, GoodsReturned, ShipmentShipped
from shared.contracts.inventory.messages import SetStockPolicy
from shared.contracts.inventory.shapes import ReturnedUnits, ShippedLine
from shared.contracts.orders.aftercare import (
    AddOrderNote,
    ChangeOrder,
    OrderChange,
    RefundDraft,
    RequestOrderRefund,
)
from shared.contracts.orders.customers import EraseCustomer
from shared.contracts.orders.events import OrderPlaced, OrderTotalChanged
from shared.contracts.orders.messages import CancelOrder, HoldOrder, ReleaseOrder
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import Client, caller_of
from tests.factories.orders import ADDRESS, Seller, body, wanted

pytestmark = pytest.mark.feature("ORD-4")


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


async def refusal(seller: Seller, message: Any, **options: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await seller.ask(message, **options)
    return refused.value


def came_back(order: Order, **units: int) -> GoodsReturned:
    return GoodsReturned(
        return_id=new_id(),
        order_id=order.id,
        number=f"{order.number}-R1",
        lines=[ReturnedUnits(sku=sku, quantity=quantity, restocked=quantity) for sku, quantity in units.items()],
        reason="too small",
        returned_at=clock.now(),
    )


def left(order: Order, **units: int) -> ShipmentShipped:
    return ShipmentShipped(
        shipment_id=new_id(),
        order_id=order.id,
        number=f"{order.number}-S1",
        carrier=None,
        tracking_numbers=[],
        lines=[ShippedLine(sku=sku, quantity=quantity) for sku, quantity in units.items()],
        shipped_at=clock.now(),
    )


async def wanted_back(seller: Seller) -> list[int]:
    return [event["amount"]["amount"] for event in await seller.events("orders", "refund_wanted")]


# --- returns


async def test_an_order_is_returned_when_all_of_it_came_back(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2, CUP=1))
    await seller.hear("orders", left(order, MUG=2, CUP=1))
    first, second = came_back(order, MUG=1), came_back(order, MUG=1, CUP=1)
    for _ in range(2):
        await seller.hear("orders", first)
    known = await seller.order(order.id)
    assert (known.status, known.lines[0].returned, known.lines[0].status) == ("complete", 1, "shipped")
    assert [(each.number, each.lines[0].restocked) for each in known.returns] == [(first.number, 1)]
    await seller.hear("orders", second, first)
    known = await seller.order(order.id)
    assert (known.status, [line.status for line in known.lines]) == ("returned", ["returned", "returned"])
    assert (known.timeline[-1].before, known.timeline[-1].after) == ("complete", "returned")
    assert known.timeline[-1].reason == "too small"
    assert await wanted_back(seller) == []


async def test_a_return_that_is_told_before_its_shipment_ends_the_same(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    await seller.hear("orders", came_back(order, MUG=2))
    assert (await seller.order(order.id)).status == "processing"
    await seller.hear("orders", left(order, MUG=2))
    known = await seller.order(order.id)
    moves = [(entry.before, entry.after) for entry in known.timeline if entry.kind == "moved"]
    assert (known.status, moves[-2:]) == ("returned", [("processing", "complete"), ("complete", "returned")])


async def test_goods_that_move_while_it_is_on_hold_are_caught_up_with(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    await seller.ask(HoldOrder(order_id=order.id, reason="look"))
    await seller.hear("orders", left(order, MUG=2), came_back(order, MUG=2))
    assert (await seller.order(order.id)).status == "on_hold"
    assert (await seller.ask(ReleaseOrder(order_id=order.id))).status == "returned"


async def test_more_than_the_order_has_calls_for_a_person(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.hear("orders", left(order, MUG=1), came_back(order, MUG=2, NONE=1))
    known = await seller.order(order.id)
    assert (known.status, known.lines[0].returned) == ("returned", 1)
    assert [alert["cause"].split(".")[1] for alert in await seller.alerts("orders")] == ["return"]


@pytest.mark.feature("INV-3")
async def test_backordered_lines_become_ready(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    order = await seller.place(MUG=12, CUP=1)
    assert [(line.status, line.backordered) for line in order.lines] == [("backordered", 2), ("reserved", 0)]
    order = await seller.pay(order)
    assert [line.status for line in order.lines] == ["backordered", "ready"]
    served = BackorderServed(order_id=order.id, lines=[ShippedLine(sku="MUG", quantity=2)])
    stale = served.model_copy(update={"waiting": [ShippedLine(sku="MUG", quantity=1)]})
    await seller.hear("orders", served, stale)
    line, _ = (await seller.order(order.id)).lines
    assert (line.status, line.backordered) == ("ready", 0)


# --- money asked back


def refund(order: Order, **fields: Any) -> RequestOrderRefund:
    draft = RefundDraft.model_validate({"reason": "came back", **fields})
    return RequestOrderRefund(order_id=order.id, refund=draft)


async def test_money_goes_back_for_each_returned_unit_once(seller: Seller) -> None:
    off = {"name": "TEN", "amount": usd(101)}
    message = wanted(
        lines=[{"sku": "MUG", "quantity": 3}], discounts=[off], shipping={"method": "s", "price": usd(500)}
    )
    order = await seller.pay(await seller.ask(message, key="k"))
    assert order.total.amount == 3399
    by_line = refund(order, lines=[{"sku": "MUG", "quantity": 1}])
    assert (await refusal(seller, by_line)).code == "not_returned"
    await seller.hear("orders", left(order, MUG=3), came_back(order, MUG=2))
    for amount in (966, 966):
        known = await seller.ask(by_line)
        assert await wanted_back(seller) == [966] * (1 if known.lines[0].refunded == 1 else 2), amount
    assert (known.refund_wanted, known.lines[0].refunded) == (Money(**usd(1932)), 2)
    refused = await refusal(seller, by_line)
    assert (refused.status, refused.code) == (409, "not_returned")
    assert refused.errors == [{"sku": "MUG", "requested": 1, "returned": 0}]
    assert known.timeline[-1].kind == "refund"
    assert known.timeline[-1].reason == "came back"
    # The last unit gets what is left: together exactly the goods' price.
    await seller.hear("orders", came_back(order, MUG=1))
    await seller.ask(by_line)
    assert sum(await wanted_back(seller)) == 3000 - 101


async def test_never_more_goes_back_than_was_paid(seller: Seller) -> None:
    order = await seller.place(MUG=2)
    assert (await refusal(seller, refund(order, amount=usd(1)))).code == "refund_exceeds_paid"
    order = await seller.pay(order)
    await seller.ask(refund(order, amount=usd(1500)))
    refused = await refusal(seller, refund(order, amount=usd(501)))
    assert (refused.status, refused.code, refused.errors) == (409, "refund_exceeds_paid", [{"refundable": usd(500)}])
    foreign = {"amount": 1, "currency": "EUR"}
    assert (await refusal(seller, refund(order, amount=foreign))).code == "wrong_currency"
    # News of the payment ask for nothing again, and a cancellation asks for the rest by itself.
    known = await seller.order(order.id)
    news = seller.payment(order, payment_id=known.payments[0].payment_id, refunded=1500, version=2)
    await seller.hear("orders", news)
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    later = seller.payment(order, payment_id=known.payments[0].payment_id, refunded=2000, version=3)
    await seller.hear("orders", later)
    assert await wanted_back(seller) == [1500]


async def test_of_two_who_ask_at_once_for_the_same_money_one_gets_it(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    answers = await asyncio.gather(
        *(seller.ask(refund(order, amount=usd(1000)), key=new_id().hex) for _ in range(4)), return_exceptions=True
    )
    assert len([answer for answer in answers if isinstance(answer, Order)]) == 1
    assert {answer.code for answer in answers if isinstance(answer, CarriedError)} == {"refund_exceeds_paid"}
    assert await wanted_back(seller) == [1000]


async def test_a_refund_of_returned_goods_is_no_alarm(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.hear("orders", left(order, MUG=1), came_back(order, MUG=1))
    known = await seller.ask(refund(order, lines=[{"sku": "MUG", "quantity": 1}]))
    payment_id = known.payments[0].payment_id
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, refunded=1000, version=2))
    # A late word about the same payment asks for nothing more.
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, refunded=1000, version=3))
    known = await seller.order(order.id)
    assert (known.status, known.refunded, await wanted_back(seller)) == ("returned", known.total, [1000])
    assert await seller.alerts("orders") == []


# --- details


def change(order: Order, **fields: Any) -> ChangeOrder:
    return ChangeOrder(order_id=order.id, change=OrderChange.model_validate(fields))


async def test_a_cheaper_order_gives_back_what_was_paid_beyond_it(seller: Seller) -> None:
    shipped = wanted(lines=[{"sku": "MUG", "quantity": 1}], shipping={"method": "express", "price": usd(900)})
    order = await seller.pay(await seller.ask(shipped, key="k"))
    cheaper = change(order, shipping={"method": "standard", "price": usd(400)}, reason="slower is fine")
    for _ in range(2):
        known = await seller.ask(cheaper)
    assert (known.status, known.total, await wanted_back(seller)) == ("processing", Money(**usd(1400)), [500])
    (told,) = [entry for entry in known.timeline if entry.kind == "changed"]
    assert (told.reason, told.data["total"]) == ("slower is fine", {"before": 1900, "after": 1400})
    assert told.data["shipping"]["before"]["method"] == "express"
    # It went back once; a cancellation returns the rest.
    payment_id = known.payments[0].payment_id
    await seller.hear("orders", seller.payment(order, payment_id=payment_id, refunded=500, version=2))
    assert await wanted_back(seller) == [500]


async def test_a_dearer_order_waits_for_the_rest(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    dearer = change(order, shipping={"method": "express", "price": usd(900)})
    held = await seller.ask(dearer)
    assert (held.status, held.hold_reason) == ("on_hold", "Only 10.00 of 19.00 USD were paid")
    await seller.hear("orders", seller.payment(order, 900))
    assert (await seller.order(order.id)).status == "processing"
    # Unpaid, it only costs more; and what became free of charge goes on.
    unpaid = await seller.place(MUG=1)
    assert (await seller.ask(change(unpaid, shipping={"method": "x", "price": usd(1)}))).status == "pending"
    free = await seller.ask(change(unpaid, shipping=None, discounts=[{"name": "ALL", "amount": usd(1000)}]))
    assert (free.status, free.total.amount, free.pay_until) == ("processing", 0, None)


async def test_half_paid_orders_go_on_when_they_cost_no_more_than_that(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.hear("orders", seller.payment(order, 600))
    assert (await seller.order(order.id)).status == "on_hold"
    known = await seller.ask(change(order, discounts=[{"name": "SORRY", "amount": usd(400)}]))
    assert (known.status, await wanted_back(seller)) == ("processing", [])


@pytest.mark.feature("PAY-5")
async def test_payments_know_what_an_order_may_cost(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.ask(change(order, shipping={"method": "x", "price": usd(500)}))
    await seller.ask(change(order, shipping=None))
    (placed,) = await seller.events("orders", "order_placed")
    dearer, cheaper = await seller.events("orders", "order_total_changed")
    told = [OrderTotalChanged(**dearer), OrderTotalChanged(**cheaper), OrderPlaced.model_validate(placed)]
    for event in told:
        assert await seller.hear("payments", event) == []
        # What was paid at its highest price is not too much when it costs less.
        assert [row["total"] for row in await seller.rows("payments", "SELECT total FROM orders")] == [1500]


async def test_what_has_left_is_not_changed(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.hear("orders", left(order, MUG=1))
    refused = await refusal(seller, change(order, shipping_address={**ADDRESS, "city": "Elsewhere"}))
    assert (refused.status, refused.code) == (409, "order_not_changeable")


@pytest.fixture
async def at_the_door(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00"}, {"MUG": 10})


GRACE = {"email": "grace@example.com", "name": "Grace"}


async def test_details_notes_and_refunds_through_rest(client: Client, at_the_door: Seller) -> None:
    headers = client.speaking_as(at_the_door.caller, Idempotency_Key=new_id().hex)
    order = (await client.post("/v1/orders", json=body(), headers=headers)).json()
    path, plain = f"/v1/orders/{order['id']}", client.speaking_as(at_the_door.caller)
    stale = await client.patch(path, json={"customer": GRACE}, headers=plain | {"If-Match": '"99"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "order_changed_since")
    changed = await client.patch(path, json={"customer": GRACE}, headers=plain | {"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["customer"], changed.headers["ETag"]) == (200, GRACE, '"2"')
    assert changed.json()["shipping_address"] == order["shipping_address"]
    moved = await client.patch(path, json={"shipping_address": {**ADDRESS, "city": "Quayton"}}, headers=plain)
    assert (moved.json()["shipping_address"]["city"], moved.json()["customer"]) == ("Quayton", GRACE)
    same = await client.patch(path, json={"customer": GRACE}, headers=plain)
    assert same.headers["ETag"] == moved.headers["ETag"]
    noted = await client.post(f"{path}/notes", json={"text": " Rings twice. "}, headers=plain)
    assert noted.status_code == 201
    told = noted.json()["timeline"][-1]
    assert (told["kind"], told["text"], told["actor"]) == ("note", "Rings twice.", "admin")
    nothing = await client.post(f"{path}/request-refund", json={"amount": usd(1), "reason": "x"}, headers=plain)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "refund_exceeds_paid")
    for verb, sent in (
        ("notes", {"text": " "}),
        ("notes", {"text": "a\u0000"}),
        ("notes", {"text": "x" * 2001}),
        ("request-refund", {"reason": "x"}),
        ("request-refund", {"reason": "x", "amount": usd(0)}),
        ("request-refund", {"reason": "x", "amount": usd(-1)}),
        ("request-refund", {"reason": "x", "amount": usd(1), "lines": [{"sku": "MUG", "quantity": 1}]}),
        ("request-refund", {"reason": "x", "lines": [{"sku": "MUG", "quantity": 0}]}),
        ("request-refund", {"amount": usd(1)}),
    ):
        bad = await client.post(f"{path}/{verb}", json=sent, headers=plain)
        assert (bad.status_code, bad.json()["code"]) == (422, "validation_failed"), sent
    for sent in (
        {"customer": None},
        {"shipping_address": None},
        {"customer": {"email": "nobody", "name": "N"}},
        {"total": usd(1)},
        {"shipping": {"method": "x", "price": usd(-1)}},
    ):
        bad = await client.patch(path, json=sent, headers=plain)
        assert (bad.status_code, bad.json()["code"]) == (422, "validation_failed"), sent
    too_much = await client.patch(path, json={"discounts": [{"name": "X", "amount": usd(2001)}]}, headers=plain)
    assert (too_much.status_code, too_much.json()["code"]) == (422, "discount_exceeds_amount")


async def test_who_may_not_is_told_so(client: Client, at_the_door: Seller) -> None:
    storefront = at_the_door.storefront()
    order = await at_the_door.place(caller=storefront, MUG=1)
    path = f"/v1/orders/{order.id}"
    sent: list[tuple[str, str, Any]] = [
        ("PATCH", path, {"customer": GRACE}),
        ("POST", f"{path}/notes", {"text": "x"}),
        ("POST", f"{path}/request-refund", {"amount": usd(1), "reason": "x"}),
    ]
    reader = caller_of(at_the_door.organization_id, "orders:read")
    for method, where, what in sent:
        for caller, status, code in (
            (storefront, 403, "missing_scope"),
            (reader, 403, "missing_scope"),
            (caller_of(new_id()), 404, "order_not_found"),
            (caller_of(at_the_door.organization_id, shop_ids=[new_id()]), 404, "order_not_found"),
        ):
            answer = await client.request(method, where, json=what, headers=client.speaking_as(caller))
            assert (answer.status_code, answer.json()["code"]) == (status, code), (where, caller)


async def test_details_notes_and_refunds_through_graphql(client: Client, at_the_door: Seller) -> None:
    order = await at_the_door.pay(await at_the_door.place(MUG=1))

    async def ask(query: str, caller: Any = at_the_door.caller, **variables: Any) -> Any:
        headers = client.speaking_as(caller, Idempotency_Key=new_id().hex)
        sent = {"query": query, "variables": {"id": str(order.id), **variables}}
        return (await client.post("/graphql", json=sent, headers=headers)).json()["data"]

    changing = (
        "mutation($id: UUID!, $change: OrderChangeInput!, $version: Int) { changeOrder(orderId: $id, change: $change,"
        " expectedVersion: $version) { ... on Order { customer { name } shippingAddress { city } version }"
        " ... on Problem { code } } }"
    )
    changed = await ask(changing, change={"customer": GRACE})
    assert (changed["changeOrder"]["customer"], changed["changeOrder"]["shippingAddress"]["city"]) == (
        {"name": "Grace"},
        "Portsea",
    )
    assert (await ask(changing, change={}, version=1))["changeOrder"] == {"code": "order_changed_since"}
    foreign = await ask(changing, caller_of(new_id()), change={"customer": GRACE})
    assert foreign["changeOrder"] == {"code": "order_not_found"}
    noting = (
        "mutation($id: UUID!, $text: String!) { addOrderNote(orderId: $id, text: $text)"
        " { ... on Order { timeline { kind text } } ... on Problem { code } } }"
    )
    noted = await ask(noting, text="Hello")
    assert noted["addOrderNote"]["timeline"][-1] == {"kind": "note", "text": "Hello"}
    refunding = (
        "mutation($id: UUID!, $refund: RefundDraftInput!) { requestOrderRefund(orderId: $id, refund: $refund)"
        " { ... on Order { refundWanted { amount } } ... on Problem { code } } }"
    )
    asked = {"amount": usd(300), "reason": "sorry"}
    assert (await ask(refunding, refund=asked))["requestOrderRefund"] == {"refundWanted": {"amount": 300}}
    refused = await ask(refunding, caller_of(at_the_door.organization_id, "orders:read"), refund=asked)
    assert refused["requestOrderRefund"] == {"code": "missing_scope"}


@pytest.mark.feature("ORD-6")
async def test_nothing_of_a_forgotten_person_stays_in_a_timeline(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.ask(change(order, customer=GRACE, shipping_address={**ADDRESS, "city": "Quayton"}))
    await seller.ask(AddOrderNote(order_id=order.id, text="Grace of Quayton rings twice"))
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    (customer,) = await seller.rows("orders", "SELECT customer_id FROM orders")
    await seller.ask(EraseCustomer(customer_id=customer["customer_id"], reason="asked"))
    told = (await seller.order(order.id)).model_dump_json()
    kept = [str(dict(row)) for row in await seller.rows("orders", "SELECT * FROM order_timeline")]
    for trace in ("Grace", "Quayton", "Ada", "Portsea"):
        assert trace not in told
        assert not any(trace in row for row in kept)


async def test_a_note_in_words_of_its_own(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    known = await seller.ask(AddOrderNote(order_id=order.id, text="call first"))
    assert (known.timeline[-1].text, known.version) == ("call first", order.version + 1)
