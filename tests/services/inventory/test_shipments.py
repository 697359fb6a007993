"""Shipments: goods are bound while one is prepared, leave with it, and are never in two."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.inventory import shipment_states
from services.inventory.errors import IllegalShipmentMove
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.base import Message
from shared.contracts.inventory.events import ShipmentChanged
from shared.contracts.inventory.messages import SetStockPolicy
from shared.contracts.inventory.shipment_states import MEANINGS, MOVES, as_markdown
from shared.contracts.inventory.shipments import (
    CancelShipment,
    ChangeShipment,
    DeliverShipment,
    GetShipment,
    ListShipments,
    Package,
    PackShipment,
    Shipment,
    ShipmentChange,
    ShipmentLineDraft,
    ShipShipment,
)
from shared.contracts.orders.messages import CancelOrder, HoldOrder
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories import orders as factory
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("INV-6")


def of(sku: str, quantity: int) -> list[ShipmentLineDraft]:
    return [ShipmentLineDraft(sku=sku, quantity=quantity)]


async def refused(seller: Seller, message: Message[Any], **options: Any) -> str:
    with pytest.raises(CarriedError) as refusal:
        await seller.ask(message, **options)
    return refusal.value.code


async def refused_shipment(seller: Seller, order: Order, **draft: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refusal:
        await seller.ship(order, **draft)
    return refusal.value


async def paid(seller: Seller, **lines: int) -> Order:
    return await seller.pay(await seller.place(**lines))


# --- states


def test_the_table_of_states_is_whole() -> None:
    states = set(MEANINGS)
    assert set(MOVES) == states
    assert {after for moves in MOVES.values() for after in moves} <= states
    assert set(shipment_states.PREPARED) | set(shipment_states.LEFT) | {"cancelled"} == states
    for before, moves in MOVES.items():
        for after in states - set(moves):
            with pytest.raises(IllegalShipmentMove, match="cannot become"):
                shipment_states.require_move("S1", before, after)


async def test_the_documentation_shows_the_table(client: Client) -> None:
    document = (await client.get("/openapi.json")).json()
    (tag,) = [tag for tag in document["tags"] if tag["name"] == "shipments"]
    assert "| picked |" in as_markdown()
    assert as_markdown() in tag["description"]


async def brought_to(seller: Seller, state: str) -> Shipment:
    order = await paid(seller, MUG=1)
    shipment = await seller.ship(order, state="picked")
    steps: dict[str, tuple[type[Message[Shipment]], ...]] = {
        "picked": (),
        "packed": (PackShipment,),
        "shipped": (ShipShipment,),
        "delivered": (PackShipment, ShipShipment, DeliverShipment),
        "cancelled": (CancelShipment,),
    }
    for step in steps[state]:
        shipment = await seller.ask(step(shipment_id=shipment.id))  # type: ignore[call-arg]
    await seller.settle()
    assert shipment.state == state
    return shipment


async def test_every_move_is_made_or_refused_as_the_table_says(seller: Seller) -> None:
    await seller.stocked({"MUG": 100})
    moves: dict[str, type[Message[Shipment]]] = {
        "packed": PackShipment,
        "shipped": ShipShipment,
        "delivered": DeliverShipment,
        "cancelled": CancelShipment,
    }
    for before in ("picked", "packed", "shipped", "delivered", "cancelled"):
        for after, message in moves.items():
            shipment = await brought_to(seller, before)
            move = message(shipment_id=shipment.id)  # type: ignore[call-arg]
            if after not in MOVES[before]:  # type: ignore[index]
                assert await refused(seller, move) == "illegal_shipment_move", (before, after)
                assert (await seller.ask(GetShipment(shipment_id=shipment.id))).version == shipment.version
                continue
            moved = await seller.ask(move)
            assert (moved.state, moved.version) == (after, shipment.version + 1), before
            last = moved.history[-1]
            assert (last.before, last.after, last.actor) == (before, after, "admin")
            assert timedelta(0) <= clock.now() - last.occurred_at < timedelta(minutes=1)
    assert await seller.discrepancies() == []


# --- goods


async def test_prepared_goods_stay_in_stock_and_are_nobody_elses(seller: Seller) -> None:
    order = await paid(seller, MUG=3)
    prepared = await seller.ship(order, lines=of("MUG", 2), state="picked")
    assert (prepared.state, prepared.shipped_at, prepared.number) == ("picked", None, f"{order.number}-S1")
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved) == (10, 3)
    error = await refused_shipment(seller, order, lines=of("MUG", 2))
    assert (error.code, error.errors) == ("more_than_allocated", [{"sku": "MUG", "requested": 2, "open": 1}])
    rest = await seller.ship(order)
    assert [(line.sku, line.quantity) for line in rest.lines] == [("MUG", 1)]
    await seller.settle()
    assert (await seller.order(order.id)).status == "partly_shipped"
    sent = await seller.ask(ShipShipment(shipment_id=prepared.id, change=ShipmentChange(tracking_numbers=["T1"])))
    assert (sent.state, sent.tracking_numbers) == ("shipped", ["T1"])
    await seller.settle()
    done = await seller.order(order.id)
    assert (done.status, [shipment.number for shipment in done.shipments]) == (
        "complete",
        [f"{order.number}-S1", f"{order.number}-S2"],
    )
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved) == (7, 0)
    assert await seller.discrepancies() == []


async def test_of_those_who_take_the_same_line_at_once_one_succeeds(seller: Seller) -> None:
    for state in ("picked", "packed", "shipped"):
        order = await paid(seller, MUG=2)
        answers = await asyncio.gather(*(seller.ship(order, state=state) for _ in range(6)), return_exceptions=True)
        assert len([answer for answer in answers if isinstance(answer, Shipment)]) == 1
        codes = {answer.code for answer in answers if isinstance(answer, CarriedError)}
        assert codes == {"more_than_allocated"}
    assert await seller.discrepancies() == []


async def test_a_prepared_shipment_leaves_once_however_many_send_it(seller: Seller) -> None:
    order = await paid(seller, MUG=2)
    shipment = await seller.ship(order, state="packed")
    sending = [seller.ask(ShipShipment(shipment_id=shipment.id)) for _ in range(4)]
    giving_up = [seller.ask(CancelShipment(shipment_id=shipment.id)) for _ in range(2)]
    answers = await asyncio.gather(*sending, *giving_up, return_exceptions=True)
    (done,) = [answer for answer in answers if isinstance(answer, Shipment)]
    assert {answer.code for answer in answers if isinstance(answer, CarriedError)} == {"illegal_shipment_move"}
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved) == ((8, 0) if done.state == "shipped" else (10, 2))
    assert await seller.discrepancies() == []


async def test_the_same_key_prepares_once(seller: Seller) -> None:
    order = await paid(seller, MUG=2)
    message = factory.shipment_of(order, state="picked")
    first = await seller.ask(message, key="a")
    assert await seller.ask(message, key="a") == first
    assert len((await seller.ask(ListShipments(order_id=order.id))).items) == 1


async def test_giving_up_a_prepared_shipment_gives_its_goods_back(seller: Seller) -> None:
    order = await paid(seller, MUG=2, CUP=1)
    prepared = await seller.ship(order, state="packed")
    assert (await refused_shipment(seller, order)).code == "more_than_allocated"
    given_up = await seller.ask(CancelShipment(shipment_id=prepared.id, reason="box was wet"))
    assert (given_up.state, given_up.history[-1].reason) == ("cancelled", "box was wet")
    again = await seller.ship(order)
    assert {line.sku: line.quantity for line in again.lines} == {"MUG": 2, "CUP": 1}
    await seller.settle()
    assert (await seller.order(order.id)).status == "complete"
    assert await refused(seller, ChangeShipment(shipment_id=prepared.id, change=ShipmentChange(carrier="Post"))) == (
        "illegal_shipment_move"
    )
    assert await seller.discrepancies() == []


async def test_a_cancelled_order_gives_up_what_is_prepared_for_it(seller: Seller) -> None:
    order = await paid(seller, MUG=2)
    prepared = await seller.ship(order, state="picked")
    await seller.ask(CancelOrder(order_id=order.id, reason="changed their mind"))
    assert await refused(seller, ShipShipment(shipment_id=prepared.id)) == "order_not_ready"
    await seller.settle()
    found = await seller.ask(GetShipment(shipment_id=prepared.id))
    assert (found.state, found.history[-1].reason) == ("cancelled", "its order was cancelled")
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved, level.available) == (10, 0, 10)
    assert await seller.discrepancies() == []


async def test_an_order_on_hold_sends_nothing(seller: Seller) -> None:
    order = await paid(seller, MUG=2)
    prepared = await seller.ship(order, state="picked")
    await seller.ask(HoldOrder(order_id=order.id, reason="looks odd"))
    assert await refused(seller, ShipShipment(shipment_id=prepared.id)) == "order_not_ready"
    assert (await seller.ask(GetShipment(shipment_id=prepared.id))).state == "picked"


async def test_what_a_count_took_away_does_not_leave(seller: Seller) -> None:
    order = await paid(seller, MUG=3)
    prepared = await seller.ship(order, state="picked")
    await seller.stocked({"MUG": 2})
    with pytest.raises(CarriedError) as refusal:
        await seller.ask(ShipShipment(shipment_id=prepared.id))
    assert (refusal.value.code, refusal.value.errors) == (
        "not_on_hand",
        [{"sku": "MUG", "requested": 3, "on_hand": 2}],
    )
    await seller.stocked({"MUG": 3})
    await seller.ask(ShipShipment(shipment_id=prepared.id))
    assert await seller.discrepancies() == []


async def test_goods_that_are_scarce_go_to_whoever_waited_longest(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    await seller.stocked({"MUG": 0})
    first, second = await paid(seller, MUG=2), await paid(seller, MUG=2)
    assert (await refused_shipment(seller, first)).code == "not_on_hand"
    await seller.stocked({"MUG": 3})
    late = await refused_shipment(seller, second)
    assert (late.code, late.errors) == ("not_on_hand", [{"sku": "MUG", "requested": 2, "on_hand": 1}])
    await seller.ship(first, state="picked")
    await seller.ship(second, lines=of("MUG", 1))
    assert (await refused_shipment(seller, second)).code == "not_on_hand"
    assert await seller.discrepancies() == []


# --- how it travels


async def test_packages_have_their_own_numbers_and_the_order_follows(seller: Seller) -> None:
    order = await paid(seller, MUG=2)
    boxes = [
        Package(weight_grams=900, length_mm=300, width_mm=200, height_mm=100, tracking_number="P1"),
        Package(weight_grams=400, tracking_number="P2"),
    ]
    sent = await seller.ship(order, carrier="Post", service="Parcel", tracking_numbers=["T1"], packages=boxes)
    assert (sent.tracking_numbers, sent.packages) == (["T1", "P1", "P2"], boxes)
    changed = await seller.ask(
        ChangeShipment(shipment_id=sent.id, change=ShipmentChange(tracking_numbers=["T2"]), expected_version=1)
    )
    assert (changed.tracking_numbers, changed.carrier, changed.version) == (["T2", "P1", "P2"], "Post", 2)
    await seller.settle()
    (known,) = (await seller.order(order.id)).shipments
    assert (known.tracking_numbers, known.state) == (["T2", "P1", "P2"], "shipped")
    assert await refused(seller, DeliverShipment(shipment_id=sent.id, expected_version=1)) == "shipment_changed_since"
    delivered = await seller.ask(DeliverShipment(shipment_id=sent.id, expected_version=2))
    await seller.settle()
    (known,) = (await seller.order(order.id)).shipments
    assert (known.state, known.delivered_at) == ("delivered", delivered.delivered_at)


async def test_news_of_a_shipment_out_of_order(seller: Seller) -> None:
    order = await paid(seller, MUG=1)

    def news(version: int, number: str, shipment_id: UUID) -> ShipmentChanged:
        return ShipmentChanged(
            shipment_id=shipment_id,
            order_id=order.id,
            number="S1",
            state="shipped",
            carrier=None,
            service=None,
            tracking_numbers=[number],
            tracking_url=None,
            version=version,
        )

    early = await seller.hear("orders", news(2, "T", new_id()))
    assert "ShipmentNotKnown" in early[0][1] or "Nobody told" in early[0][1]
    shipment = await seller.ship(order)
    await seller.settle()
    for event in (news(3, "THIRD", shipment.id), news(2, "SECOND", shipment.id), news(3, "THIRD", shipment.id)):
        assert await seller.hear("orders", event) == []
    (known,) = (await seller.order(order.id)).shipments
    assert (known.tracking_numbers, known.version) == (["THIRD"], 3)


async def test_a_delivery_has_a_possible_time(seller: Seller) -> None:
    sent = await seller.ship(await paid(seller, MUG=1))
    for moment in (clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1)):
        message = DeliverShipment(shipment_id=sent.id, delivered_at=moment)
        assert await refused(seller, message) == "impossible_delivery"


async def test_only_who_sees_the_shop_sees_its_shipments(seller: Seller) -> None:
    sent = await seller.ship(await paid(seller, MUG=1))
    elsewhere = Caller(
        kind="client",
        organization_id=seller.organization_id,
        id=new_id(),
        name="other shop",
        scopes=frozenset({"inventory:read", "inventory:write"}),
        shop_ids=frozenset({new_id()}),
    )
    for message in (GetShipment(shipment_id=sent.id), DeliverShipment(shipment_id=sent.id)):
        assert await refused(seller, message, caller=elsewhere) == "shipment_not_found"
    assert (await seller.ask(ListShipments(), caller=elsewhere)).items == []


# --- doors


async def test_the_doors(client: Client, seller: Seller) -> None:
    order = await paid(seller, MUG=3)
    headers = client.speaking_as(seller.caller)
    body = {
        "order_id": str(order.id),
        "state": "picked",
        "lines": [{"sku": "MUG", "quantity": 2}],
        "packages": [{"weight_grams": 500}],
    }
    made = await client.post("/v1/shipments", json=body, headers=headers)
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/shipments/{made.json()['id']}")
    path = made.headers["location"]
    packed = await client.post(f"{path}/pack", headers=headers | {"If-Match": made.headers["etag"]})
    assert (packed.json()["state"], packed.headers["etag"]) == ("packed", '"2"')
    late = await client.post(f"{path}/ship", headers=headers | {"If-Match": made.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "shipment_changed_since")
    changed = await client.patch(path, json={"carrier": "Post", "tracking_numbers": ["A", "B"]}, headers=headers)
    assert (changed.json()["carrier"], changed.json()["packages"][0]["weight_grams"]) == ("Post", 500)
    listed = await client.get("/v1/shipments?state=packed", headers=headers)
    assert [each["id"] for each in listed.json()["items"]] == [made.json()["id"]]
    query = """mutation($id: UUID!) { shipShipment(shipmentId: $id, change: {service: "Express"}) {
        ... on Shipment { state service trackingNumbers history { after actor } } ... on Problem { code } } }"""
    graphql = {"query": query, "variables": {"id": made.json()["id"]}}
    sent = (await client.post("/graphql", json=graphql, headers=headers)).json()["data"]["shipShipment"]
    assert sent == {
        "state": "SHIPPED",
        "service": "Express",
        "trackingNumbers": ["A", "B"],
        "history": [{"after": state, "actor": "admin"} for state in ("PICKED", "PACKED", "SHIPPED")],
    }
    assert (await client.post("/graphql", json=graphql, headers=headers)).json()["data"]["shipShipment"] == {
        "code": "illegal_shipment_move"
    }
    reader = client.speaking_as(caller_of(seller.organization_id, "inventory:read"))
    denied = await client.post(f"{path}/deliver", headers=reader)
    assert (denied.status_code, denied.json()["code"]) == (403, "missing_scope")
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.post(f"{path}/deliver", headers=stranger)).status_code == 404
    delivered = await client.post(f"{path}/deliver", headers=headers)
    assert delivered.json()["state"] == "delivered"


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"lines": []}, 422),
    ({"lines": [{"sku": "MUG", "quantity": 0}]}, 422),
    ({"lines": [{"sku": "MUG", "quantity": 1.5}]}, 422),
    ({"lines": [{"sku": "MUG", "quantity": 10**30}]}, 422),
    ({"lines": [{"sku": "NEVER", "quantity": 1}]}, 409),
    ({"lines": [{"sku": "M\0G", "quantity": 1}]}, 409),
    ({"state": "delivered"}, 422),
    ({"carrier": "P\0st"}, 422),
    ({"carrier": ""}, 422),
    ({"tracking_url": "javascript:alert(1)"}, 422),
    ({"packages": [{"weight_grams": 0}]}, 422),
    ({"packages": [{"weight_grams": -1}]}, 422),
    ({"packages": [{"tracking_number": "\0"}]}, 422),
    ({"centre": "nowhere"}, 404),
]


async def test_what_is_not_a_shipment_is_refused(client: Client, seller: Seller) -> None:
    order = await paid(seller, MUG=1)
    headers = client.speaking_as(seller.caller)
    for change, status in REFUSED:
        answer = await client.post("/v1/shipments", json={"order_id": str(order.id), **change}, headers=headers)
        assert answer.status_code == status, (change, answer.text)
    level = await seller.level("MUG")
    assert (level.on_hand, level.reserved) == (10, 1)
