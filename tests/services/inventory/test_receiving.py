"""Receiving goods: what is expected is incoming, what comes is on hand, and nobody counts it twice."""

import asyncio
from datetime import date
from typing import Any

import pytest

from services.inventory.use_cases import serving
from shared.contracts.base import Message
from shared.contracts.inventory.arrivals import (
    Arrival,
    ArrivalChange,
    ArrivalDraft,
    ChangeArrival,
    CloseArrival,
    CreateArrivals,
    GetArrival,
    ListArrivals,
    ListReceipts,
    Receipt,
    ReceiptDraft,
    ReceivedLineDraft,
    ReceiveGoods,
)
from shared.contracts.inventory.messages import (
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    ListStockMovements,
    SetStockPolicy,
)
from shared.contracts.inventory.picking import ListOrdersToPick
from shared.contracts.inventory.shipments import ListShipments
from shared.contracts.orders.events import OrderCancelled
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("INV-6", "INV-2")


async def expected(merchant: Merchant, sku: str = "A", quantity: int = 5, **fields: Any) -> Arrival:
    draft = ArrivalDraft(sku=sku, centre=fields.pop("centre", "main"), quantity=quantity, **fields)
    return (await merchant.ask(CreateArrivals(arrivals=[draft]))).items[0]


async def received(merchant: Merchant, *lines: tuple[str, int, Arrival | None], centre: str = "main") -> Receipt:
    return await merchant.ask(receipt_of(*lines, centre=centre))


def receipt_of(*lines: tuple[str, int, Arrival | None], centre: str = "main") -> ReceiveGoods:
    drafts = [
        ReceivedLineDraft(sku=sku, quantity=quantity, arrival_id=arrival and arrival.id)
        for sku, quantity, arrival in lines
    ]
    return ReceiveGoods(receipt=ReceiptDraft(centre=centre, lines=drafts))


async def refused(merchant: Merchant, message: Message[Any]) -> str:
    with pytest.raises(CarriedError) as refusal:
        await merchant.ask(message)
    return refusal.value.code


async def figures(merchant: Merchant, sku: str = "A") -> tuple[int, int]:
    """On hand, and incoming."""
    level = await merchant.level(sku)
    return level.on_hand, level.incoming


@pytest.fixture
async def merchant(merchant_of_stock: Merchant, shop: Any) -> Merchant:
    return merchant_of_stock


async def test_what_is_expected_comes_in_parts(merchant: Merchant) -> None:
    arrival = await expected(merchant, expected_on=date(2030, 1, 2), reference="PO-1")
    other = await expected(merchant, quantity=2)
    assert await figures(merchant) == (0, 7)
    receipt = await received(merchant, ("A", 2, arrival), ("A", 1, None), ("B", 4, None))
    assert await figures(merchant) == (3, 5)
    known = await merchant.ask(GetArrival(arrival_id=arrival.id))
    assert (known.received, known.state, known.version) == (2, "open", 2)
    assert [(line.sku, line.quantity, line.arrival_id) for line in receipt.lines] == [
        ("A", 2, arrival.id),
        ("A", 1, None),
        ("B", 4, None),
    ]
    (movement, *_) = (await merchant.ask(ListStockMovements(sku="A"))).items
    assert (movement.reason, movement.reference, movement.on_hand_after) == ("received", f"receipt:{receipt.id}", 3)
    # More than was expected is a fact, too.
    await received(merchant, ("A", 4, arrival))
    known = await merchant.ask(GetArrival(arrival_id=arrival.id))
    assert (known.received, known.state) == (6, "received")
    assert await figures(merchant) == (7, 2)
    closed = await merchant.ask(CloseArrival(arrival_id=other.id, expected_version=1))
    assert (closed.state, await figures(merchant)) == ("closed", (7, 0))
    assert await merchant.discrepancies() == []


async def test_an_arrival_is_changed_while_it_is_open(merchant: Merchant) -> None:
    arrival = await expected(merchant)
    await received(merchant, ("A", 2, arrival))
    change = ArrivalChange(quantity=9, reference="PO-2")
    assert await refused(merchant, ChangeArrival(arrival_id=arrival.id, change=change, expected_version=1)) == (
        "arrival_changed_since"
    )
    changed = await merchant.ask(ChangeArrival(arrival_id=arrival.id, change=change, expected_version=2))
    assert (changed.quantity, changed.reference, await figures(merchant)) == (9, "PO-2", (2, 7))
    less = ChangeArrival(arrival_id=arrival.id, change=ArrivalChange(quantity=1))
    assert await refused(merchant, less) == "less_than_received"
    done = await merchant.ask(ChangeArrival(arrival_id=arrival.id, change=ArrivalChange(quantity=2)))
    assert (done.state, await figures(merchant)) == ("received", (2, 0))
    for message in (CloseArrival(arrival_id=arrival.id), ChangeArrival(arrival_id=arrival.id, change=change)):
        assert await refused(merchant, message) == "arrival_over"


async def test_what_cannot_be_received_is_refused_whole(merchant: Merchant) -> None:
    await merchant.ask(CreateFulfilmentCentre(code="store", name="Store"))
    arrival, closed = await expected(merchant), await expected(merchant)
    await merchant.ask(CloseArrival(arrival_id=closed.id))
    assert await refused(merchant, receipt_of(("B", 1, None), ("B", 1, arrival))) == "arrival_differs"
    assert await refused(merchant, receipt_of(("A", 1, arrival), centre="store")) == "arrival_differs"
    assert await refused(merchant, receipt_of(("B", 1, None), ("A", 1, closed))) == "arrival_over"
    assert await refused(merchant, receipt_of(("A", 1, None), centre="nowhere")) == "centre_not_found"
    unknown = ReceivedLineDraft(sku="A", quantity=1, arrival_id=new_id())
    message = ReceiveGoods(receipt=ReceiptDraft(centre="main", lines=[unknown]))
    assert await refused(merchant, message) == "arrival_not_found"
    assert (await figures(merchant), (await merchant.ask(ListReceipts())).items) == ((0, 5), [])
    await merchant.stocked({"A": 1_000_000_000})
    many = [("A", 1_000_000, None)] * 1000
    await received(merchant, *many)
    assert await refused(merchant, receipt_of(("A", 1, None))) == "too_much_stock"
    drafts = [ArrivalDraft(sku="A", centre="main", quantity=1_000_000)] * 1000
    await merchant.ask(CreateArrivals(arrivals=drafts))
    assert await refused(merchant, CreateArrivals(arrivals=drafts)) == "too_much_stock"
    assert await merchant.discrepancies() == []


async def test_deliveries_at_once_all_count_and_the_same_one_once(merchant: Merchant) -> None:
    arrivals = [await expected(merchant, sku) for sku in ("A", "B")]
    coming = [received(merchant, ("A", 1, arrivals[0]), ("B", 1, arrivals[1])) for _ in range(4)]
    going = [received(merchant, ("B", 1, arrivals[1]), ("A", 1, arrivals[0])) for _ in range(4)]
    await asyncio.gather(*coming, *going, *(expected(merchant, sku, 1) for sku in ("A", "B", "A", "B")))
    assert await figures(merchant, "A") == await figures(merchant, "B") == (8, 2)
    message = receipt_of(("A", 1, None))
    answers = await asyncio.gather(*(merchant.ask(message, key="delivery-1") for _ in range(5)))
    assert len({answer.id for answer in answers}) == 1
    assert await figures(merchant, "A") == (9, 2)
    assert await merchant.discrepancies() == []


async def test_receiving_serves_the_oldest_backorders_first(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    await seller.stocked({"MUG": 0})
    first, second = [await seller.pay(await seller.place(MUG=2)) for _ in range(2)]
    arrival = await expected(seller, "MUG", 3)
    await received(seller, ("MUG", 3, arrival))
    await seller.settle()
    events = await seller.events("inventory", "backorder_served")
    assert [(event["order_id"], event["lines"], event["waiting"]) for event in events] == [
        (str(first.id), [{"sku": "MUG", "quantity": 2}], []),
        (str(second.id), [{"sku": "MUG", "quantity": 1}], [{"sku": "MUG", "quantity": 1}]),
    ]
    orders = (await seller.ask(ListOrdersToPick(centre="main"))).items
    assert [(order.order_number, order.status) for order in orders] == [
        (first.number, "in_stock"),
        (second.number, "partial"),
    ]
    # Whoever comes later gets nothing of what others wait for.
    assert (await seller.availability(seller.shop, "MUG")).available_quantity == 0
    assert await seller.discrepancies() == []


async def test_goods_come_in_while_orders_are_cancelled_and_prepared(seller: Seller) -> None:
    """Receiving, serving, preparing and releasing meet on the same rows, and none of them is lost."""
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    await seller.stocked({"MUG": 4})
    orders = [await seller.pay(await seller.place(MUG=2, CUP=1)) for _ in range(6)]
    for order in orders[:2]:
        await seller.ship(order, state="picked")
    (main,) = (await seller.ask(ListFulfilmentCentres())).items
    places = [("MUG", main.id), ("CUP", main.id)]

    async def cancelled(order: Order) -> None:
        event = OrderCancelled(order_id=order.id, number=order.number, shop_id=seller.shop.id, reason="test")
        assert await seller.hear("inventory", event) == []

    await asyncio.gather(
        *(cancelled(order) for order in orders[::2]),
        *(received(seller, ("MUG", 1, None)) for _ in range(4)),
        *(seller.inside("inventory", serving.serve, places) for _ in range(6)),
    )
    await seller.settle()
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved, level.backordered) == (8, 6, 0)
    states = {s.order_id: s.state for s in (await seller.ask(ListShipments())).items}
    assert states == {orders[0].id: "cancelled", orders[1].id: "picked"}
    listed = (await seller.ask(ListOrdersToPick(centre="main"))).items
    assert [(each.order_number, each.status) for each in listed] == [(o.number, "in_stock") for o in orders[3::2]]
    assert await seller.discrepancies() == []


async def test_the_doors(client: Client, merchant: Merchant) -> None:
    headers = client.speaking_as(merchant.caller)
    line = {"sku": "A", "centre": "main", "quantity": 3, "expected_on": "2030-01-02", "reference": "PO-9"}
    made = await client.post("/v1/arrivals", json={"lines": [line]}, headers=headers)
    assert made.status_code == 201, made.text
    (arrival,) = made.json()["items"]
    path = f"/v1/arrivals/{arrival['id']}"
    changed = await client.patch(path, json={"quantity": 4}, headers=headers | {"If-Match": '"1"'})
    assert (changed.json()["quantity"], changed.headers["etag"]) == (4, '"2"')
    body = {"centre": "main", "reference": "D-1", "lines": [{"sku": "A", "quantity": 1, "arrival_id": arrival["id"]}]}
    receipt = await client.post("/v1/receipts", json=body, headers=headers)
    assert (await client.get(receipt.headers["location"], headers=headers)).json() == receipt.json()
    listed = await client.get("/v1/arrivals?state=open&sku=A&centre=main", headers=headers)
    assert [(each["received"], each["version"]) for each in listed.json()["items"]] == [(1, 3)]
    query = """mutation { receiveGoods(receipt: {centre: "main", lines: [{sku: "A", quantity: 2}]}) {
        ... on Receipt { lines { sku quantity } } ... on Problem { code } } }"""
    answer = (await client.post("/graphql", json={"query": query}, headers=headers)).json()["data"]["receiveGoods"]
    assert answer == {"lines": [{"sku": "A", "quantity": 2}]}
    query = '{ stock(sku: "A") { edges { node { onHand incoming } } } receipts { edges { node { centre } } } }'
    found = (await client.post("/graphql", json={"query": query}, headers=headers)).json()["data"]
    assert found["stock"]["edges"][0]["node"] == {"onHand": 3, "incoming": 3}
    assert len(found["receipts"]["edges"]) == 2
    closed = await client.post(f"{path}/close", headers=headers)
    assert closed.json()["state"] == "closed"
    reader = client.speaking_as(caller_of(merchant.organization_id, "inventory:read"))
    stranger = client.speaking_as(caller_of(new_id()))
    for url, sent in (("/v1/receipts", body), ("/v1/arrivals", {"lines": [line]})):
        assert (await client.post(url, json=sent, headers=reader)).json()["code"] == "missing_scope"
        assert (await client.post(url, json=sent, headers=stranger)).status_code == 404
        assert (await client.get(url, headers=stranger)).json()["items"] == []
    for wrong in (
        {"quantity": 0},
        {"quantity": 2.5},
        {"quantity": "1"},
        {"quantity": 10**20},
        {"sku": ""},
        {"sku": "\0"},
    ):
        bad = await client.post("/v1/arrivals", json={"lines": [line | wrong]}, headers=headers)
        assert bad.status_code == 422, wrong
        lines = [{"sku": "A", "quantity": 1} | wrong]
        bad = await client.post("/v1/receipts", json={"centre": "main", "lines": lines}, headers=headers)
        assert bad.status_code == 422, wrong


async def test_arrivals_are_listed_page_by_page(merchant: Merchant) -> None:
    made = [await expected(merchant, quantity=quantity) for quantity in (1, 2, 3)]
    page = await merchant.ask(ListArrivals(first=2))
    rest = await merchant.ask(ListArrivals(first=2, after=page.next))
    assert [arrival.id for arrival in (*page.items, *rest.items)] == [arrival.id for arrival in reversed(made)]
    assert rest.next is None
