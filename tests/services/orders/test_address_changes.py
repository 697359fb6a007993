"""Where an order goes, and shipments that are being prepared: no label has an address that the order no longer has."""

import asyncio
from typing import Any

import pytest

from services.inventory.use_cases import reservations, shipping
from services.orders.use_cases import changing
from shared.contracts.inventory.messages import GetReservation
from shared.contracts.inventory.shipments import (
    CancelShipment,
    ListShipments,
    PackShipment,
    Shipment,
    ShipmentLineDraft,
    ShipShipment,
)
from shared.contracts.orders.aftercare import AddOrderNote, ChangeOrder, OrderChange
from shared.contracts.orders.messages import CancelOrder, HoldOrder
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork
from tests.doors import Client
from tests.factories.orders import ADDRESS, CUSTOMER, Seller, shipment_of

pytestmark = pytest.mark.feature("ORD-4", "INV-6")

QUAYTON = {**ADDRESS, "city": "Quayton"}


def change(order: Order, **fields: Any) -> ChangeOrder:
    return ChangeOrder(order_id=order.id, change=OrderChange.model_validate(fields))


def move(order: Order) -> ChangeOrder:
    return change(order, shipping_address=QUAYTON)


async def refusal(seller: Seller, message: Any, **options: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await seller.ask(message, **options)
    return refused.value


async def city(seller: Seller, order: Order) -> str:
    known = await seller.order(order.id)
    assert known.shipping_address is not None
    return known.shipping_address.city


async def prepared(seller: Seller, order: Order) -> list[Shipment]:
    page = await seller.ask(ListShipments(order_id=order.id))
    return [shipment for shipment in page.items if shipment.state in ("picked", "packed")]


async def test_an_order_on_hold_is_no_exception_and_the_rest_of_a_partly_shipped_one_may_go_elsewhere(
    seller: Seller,
) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    first = await seller.ship(order, state="picked", lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await seller.ask(HoldOrder(order_id=order.id, reason="look"))
    assert (await refusal(seller, move(order))).code == "shipment_in_preparation"
    other = await seller.pay(await seller.place(MUG=2))
    sent = await seller.ship(other, state="picked", lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await seller.ask(ShipShipment(shipment_id=sent.id))
    await seller.ask(move(other))
    assert await city(seller, other) == "Quayton"
    await seller.ask(CancelShipment(shipment_id=first.id))
    await seller.ask(move(order))


async def test_goods_that_left_before_orders_heard_of_it(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.ship(order)
    assert (await seller.order(order.id)).status == "processing"
    assert (await refusal(seller, move(order))).code == "order_not_changeable"
    await seller.settle()
    assert (await refusal(seller, move(order))).code == "order_not_changeable"
    gone = await seller.pay(await seller.place(MUG=1))
    await seller.ask(CancelOrder(order_id=gone.id, reason="no"))
    assert (await refusal(seller, move(gone))).code == "order_not_changeable"


# --- both at the same moment


async def test_a_shipment_for_the_old_address_is_not_begun_while_it_changes(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    refused: list[str] = []
    commit = changing.commit

    async def late(*arguments: Any) -> Order:
        for state in ("picked", "shipped"):
            refused.append((await refusal(seller, shipment_of(order, state=state))).code)
        return await commit(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(changing, "commit", late)
        await seller.ask(move(order))
    assert refused == ["address_changing", "address_changing"]
    assert (await seller.ship(order, state="picked")).state == "picked"


async def test_a_shipment_that_knows_the_old_address_is_refused_once_it_has_changed(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    create = shipping.create

    async def late(uow: UnitOfWork, *arguments: Any) -> Shipment:
        await seller.ask(move(order))
        return await create(uow, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(shipping, "create", late)
        assert (await refusal(seller, shipment_of(order, state="picked"))).code == "address_changing"
    assert await prepared(seller, order) == []
    assert await city(seller, order) == "Quayton"
    await seller.ship(order, state="picked")


async def test_an_order_that_moved_on_while_its_address_was_to_change_is_read_again(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved it on has let shipments begin again: they may know of it, and not of the address."""
    order = await seller.pay(await seller.place(MUG=2))
    commit = changing.commit

    async def late(*arguments: Any) -> Order:
        await seller.ask(AddOrderNote(order_id=order.id, text="Rings twice."))
        await seller.ship(order, state="picked")
        return await commit(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(changing, "commit", late)
        assert (await refusal(seller, move(order))).code == "concurrent_change"
    assert await city(seller, order) == ADDRESS["city"]
    assert (await refusal(seller, move(order))).code == "shipment_in_preparation"


async def test_an_answer_that_came_too_late_changes_nothing_and_holds_nothing_up(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    monkeypatch.setattr(changing, "HOLD_SECONDS", 30)
    assert (await refusal(seller, move(order))).code == "hold_ran_out"
    assert await city(seller, order) == ADDRESS["city"]
    monkeypatch.setattr(changing, "HOLD_SECONDS", 0)
    assert (await refusal(seller, move(order))).code == "hold_ran_out"
    assert (await refusal(seller, shipment_of(order, state="picked"))).code == "address_changing", "the longer holds"
    over = "UPDATE reservations SET shipments_held_until = now() - interval '1 second'"
    await seller.change("inventory", over)
    assert (await seller.ship(order, state="picked")).state == "picked"


async def test_a_repeated_change_has_its_first_answer_also_when_goods_are_prepared_since(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    key = new_id().hex
    first = await seller.ask(move(order), key=key)
    await seller.ship(order, state="picked")
    assert await seller.ask(move(order), key=key) == first
    assert (await refusal(seller, change(order, shipping_address=ADDRESS), key=key)).code == "idempotency_key_reused"


async def test_an_order_whose_stock_ran_out_may_go_elsewhere(seller: Seller) -> None:
    order = await seller.place(MUG=1)
    await seller.settle()
    await seller.change("inventory", "UPDATE reservations SET expires_at = now() - interval '1 second'")
    await seller.inside("inventory", reservations.expire)
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "expired"
    await seller.ask(move(order))
    assert await city(seller, order) == "Quayton"


# --- through the doors, with workers


async def test_an_address_is_not_changed_under_a_shipment_that_is_being_prepared(
    seller: Seller, client: Client
) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    shipment = await seller.ship(order, state="picked")
    path, headers = f"/v1/orders/{order.id}", client.speaking_as(seller.caller)
    for state in ("picked", "packed"):
        refused = await client.patch(path, json={"shipping_address": QUAYTON, "customer": CUSTOMER}, headers=headers)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (409, "shipment_in_preparation"), refused.text
        assert problem["errors"] == [{"shipment_id": str(shipment.id), "number": shipment.number, "state": state}]
        assert f"{shipment.number} is {state}" in problem["detail"]
        assert "cancel" in problem["detail"]
        if state == "picked":
            await seller.ask(PackShipment(shipment_id=shipment.id))
    assert await city(seller, order) == ADDRESS["city"]
    # What no label shows may change, and so may nothing.
    same = await client.patch(
        path, json={"shipping_address": ADDRESS, "customer": {**CUSTOMER, "name": "A. L."}}, headers=headers
    )
    assert (same.status_code, same.json()["customer"]["name"]) == (200, "A. L.")
    cancelled = await client.post(f"/v1/shipments/{shipment.id}/cancel", headers=headers)
    assert cancelled.status_code == 200
    moved = await client.patch(path, json={"shipping_address": QUAYTON}, headers=headers)
    assert (moved.status_code, moved.json()["shipping_address"]["city"]) == (200, "Quayton")
    # And then it is prepared again at once.
    again = await client.post("/v1/shipments", json={"order_id": str(order.id), "state": "picked"}, headers=headers)
    assert again.status_code == 201, again.text


async def test_a_change_that_is_refused_for_its_price_holds_no_shipment_up(seller: Seller, client: Client) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    path, headers = f"/v1/orders/{order.id}", client.speaking_as(seller.caller)
    too_much = {"amount": order.total.amount + 1, "currency": "USD"}
    for price, code in (
        ({"discounts": [{"name": "X", "amount": too_much}]}, "discount_exceeds_amount"),
        ({"shipping": {"method": "boat", "price": {"amount": 1, "currency": "EUR"}}}, "wrong_currency"),
    ):
        refused = await client.patch(path, json={"shipping_address": QUAYTON, **price}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
        begun = await client.post("/v1/shipments", json={"order_id": str(order.id), "state": "picked"}, headers=headers)
        assert begun.status_code == 201, begun.text
        cancelled = await client.post(f"/v1/shipments/{begun.json()['id']}/cancel", headers=headers)
        assert cancelled.status_code == 200, cancelled.text
    assert await city(seller, order) == ADDRESS["city"]


async def test_graphql_says_the_same(seller: Seller, client: Client) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.ship(order, state="packed")
    query = (
        "mutation($id: UUID!, $change: OrderChangeInput!) { changeOrder(orderId: $id, change: $change) {"
        " ... on Order { number } ... on Problem { code status } } }"
    )
    address = {"name": "Ada", "line1": "1 Quay", "city": "Quayton", "country": "US"}
    answer = await client.post(
        "/graphql",
        json={"query": query, "variables": {"id": str(order.id), "change": {"shippingAddress": address}}},
        headers=client.speaking_as(seller.caller),
    )
    assert answer.json()["data"]["changeOrder"] == {"code": "shipment_in_preparation", "status": 409}, answer.text


async def test_at_the_same_moment_one_of_both_is_refused_or_comes_after_the_other(
    seller: Seller, client: Client
) -> None:
    headers = client.speaking_as(seller.caller)
    await seller.stocked({"MUG": 100})
    for _ in range(8):
        order = await seller.pay(await seller.place(MUG=1))
        moved, picked = await asyncio.gather(
            client.patch(f"/v1/orders/{order.id}", json={"shipping_address": QUAYTON}, headers=headers),
            client.post("/v1/shipments", json={"order_id": str(order.id), "state": "picked"}, headers=headers),
        )
        outcome = (moved.status_code, picked.status_code)
        # Both only where the shipment was begun with the new address.
        assert outcome in ((200, 409), (409, 201), (200, 201)), (moved.text, picked.text)
        if outcome == (409, 201):
            assert moved.json()["code"] == "shipment_in_preparation"
            assert await city(seller, order) == ADDRESS["city"]
        else:
            assert await city(seller, order) == "Quayton"
        if outcome == (200, 409):
            assert picked.json()["code"] == "address_changing"
            assert await prepared(seller, order) == []
