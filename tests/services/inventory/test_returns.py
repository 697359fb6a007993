"""Returns: never more than left, never what did not leave; restocked where it is said, and announced once."""

import asyncio
from typing import Any

import pytest

from services.inventory.use_cases import centres
from shared.contracts.inventory.messages import CreateFulfilmentCentre, ListStockMovements, RemoveFulfilmentCentre
from shared.contracts.inventory.returns import (
    CreateReturn,
    GetReturn,
    GoodsReturn,
    ListReturns,
    ReturnDraft,
    ReturnLineDraft,
)
from shared.contracts.inventory.shipments import GetShipment, Shipment
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.orders import Seller
from tests.waiting import until

pytestmark = pytest.mark.feature("INV-6")


def back(sku: str, quantity: int, restock_to: str | None = None) -> ReturnLineDraft:
    return ReturnLineDraft(sku=sku, quantity=quantity, restock_to=restock_to)


async def bring_back(seller: Seller, order: Order, *lines: ReturnLineDraft, **fields: Any) -> GoodsReturn:
    return await seller.ask(CreateReturn(goods=ReturnDraft(order_id=order.id, lines=list(lines), **fields)))


async def refusal(seller: Seller, order: Order, *lines: ReturnLineDraft, **fields: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await bring_back(seller, order, *lines, **fields)
    return refused.value


async def shipped(seller: Seller, **lines: int) -> tuple[Order, Shipment]:
    order = await seller.pay(await seller.place(**lines))
    shipment = await seller.ship(order)
    await seller.settle()
    return order, shipment


async def test_goods_come_back_line_by_line(seller: Seller) -> None:
    await seller.ask(CreateFulfilmentCentre(code="defect", name="Defect", kind="defect"))
    order, shipment = await shipped(seller, MUG=3, CUP=1)
    first = await bring_back(
        seller, order, back("MUG", 1, "main"), back("MUG", 1, "defect"), back("CUP", 1), reason="broken"
    )
    assert (first.number, first.actor, first.reason) == (f"{order.number}-R1", "admin", "broken")
    assert {(line.sku, line.quantity, line.restocked_to) for line in first.lines} == {
        ("MUG", 1, "main"),
        ("MUG", 1, "defect"),
        ("CUP", 1, None),
    }
    assert (await seller.level("MUG")).on_hand == 8
    assert (await seller.level("MUG", "defect")).on_hand == 1
    assert (await seller.level("CUP")).on_hand == 9
    (latest, *_) = (await seller.ask(ListStockMovements(sku="MUG", centre="defect"))).items
    assert (latest.reason, latest.reference, latest.on_hand_after) == ("returned", f"return:{first.id}", 1)
    known = await seller.ask(GetShipment(shipment_id=shipment.id))
    assert (known.state, {line.sku: line.returned for line in known.lines}) == ("shipped", {"MUG": 2, "CUP": 1})
    second = await bring_back(seller, order, back("MUG", 1, "main"), shipment_id=shipment.id)
    known = await seller.ask(GetShipment(shipment_id=shipment.id))
    assert (known.state, known.history[-1].after) == ("returned", "returned")
    events = await seller.events("inventory", "goods_returned")
    assert [(event["return_id"], event["lines"]) for event in events] == [
        (
            str(first.id),
            [{"sku": "CUP", "quantity": 1, "restocked": 0}, {"sku": "MUG", "quantity": 2, "restocked": 2}],
        ),
        (str(second.id), [{"sku": "MUG", "quantity": 1, "restocked": 1}]),
    ]
    await seller.settle()
    assert [each.state for each in (await seller.order(order.id)).shipments] == ["returned"]
    assert await seller.discrepancies() == []


@pytest.mark.feature("INV-1")
async def test_goods_that_come_back_while_a_centre_is_removed_are_not_lost_with_it(seller: Seller) -> None:
    centre = await seller.ask(CreateFulfilmentCentre(code="defect", name="Defect", kind="defect"))
    order, _ = await shipped(seller, MUG=3)
    removing = seller.unit_of_work("inventory")
    await centres.remove(removing, RemoveFulfilmentCentre(centre_id=centre.id))
    returned = asyncio.ensure_future(refusal(seller, order, back("MUG", 1, "defect")))

    async def is_over_or_waits() -> bool:
        return returned.done() or bool(await seller.rows("inventory", "SELECT 1 FROM pg_locks WHERE NOT granted"))

    await until(is_over_or_waits)
    await removing.commit()
    assert (await returned).code == "centre_not_found"


async def test_never_more_than_left(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=3, CUP=1))
    error = await refusal(seller, order, back("MUG", 1))
    assert (error.code, error.errors) == ("not_shipped", [{"sku": "MUG", "shipped": 0}])
    first = await seller.ship(order, lines=[{"sku": "MUG", "quantity": 1}])
    prepared = await seller.ship(order, lines=[{"sku": "MUG", "quantity": 1}], state="packed")
    error = await refusal(seller, order, back("MUG", 2, "main"))
    assert (error.code, error.errors) == ("more_than_shipped", [{"sku": "MUG", "requested": 2, "returnable": 1}])
    assert (await refusal(seller, order, back("MUG", 1, "main"), back("CUP", 1))).code == "not_shipped"
    assert (await refusal(seller, order, back("MUG", 1), shipment_id=prepared.id)).code == "not_shipped"
    assert (await refusal(seller, order, back("MUG", 1), shipment_id=new_id())).code == "shipment_not_found"
    assert (await refusal(seller, order, back("MUG", 1, "nowhere"))).code == "centre_not_found"
    _, shipment = await shipped(seller, MUG=1)
    assert (await refusal(seller, order, back("MUG", 1), shipment_id=shipment.id)).code == "shipment_not_found"
    await bring_back(seller, order, back("MUG", 1), shipment_id=first.id)
    assert (await refusal(seller, order, back("MUG", 1))).code == "more_than_shipped"
    assert (await seller.level("MUG")).on_hand == 8
    assert await seller.discrepancies() == []


async def test_many_who_bring_back_the_same_do_it_once(seller: Seller) -> None:
    order, _ = await shipped(seller, MUG=2)
    coming = [bring_back(seller, order, back("MUG", 2, "main")) for _ in range(6)]
    answers = await asyncio.gather(*coming, return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, GoodsReturn)]) == 1
    assert {answer.code for answer in answers if isinstance(answer, CarriedError)} == {"more_than_shipped"}
    assert (await seller.level("MUG")).on_hand == 10
    message = CreateReturn(goods=ReturnDraft(order_id=(await shipped(seller, CUP=2))[0].id, lines=[back("CUP", 1)]))
    assert await seller.ask(message, key="once") == await seller.ask(message, key="once")
    assert await seller.discrepancies() == []


async def test_the_doors(client: Client, seller: Seller) -> None:
    order, shipment = await shipped(seller, MUG=2)
    headers = client.speaking_as(seller.caller)
    body: dict[str, Any] = {
        "order_id": str(order.id),
        "shipment_id": str(shipment.id),
        "lines": [{"sku": "MUG", "quantity": 1, "restock_to": "main"}],
    }
    made = await client.post("/v1/returns", json=body, headers=headers)
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/returns/{made.json()['id']}")
    assert (await client.get(made.headers["location"], headers=headers)).json() == made.json()
    query = """mutation($goods: ReturnDraftInput!) { createReturn(goods: $goods) {
        ... on GoodsReturn { number lines { sku restockedTo } } ... on Problem { code } } }"""
    goods = {"orderId": str(order.id), "lines": [{"sku": "MUG", "quantity": 1}]}
    graphql = {"query": query, "variables": {"goods": goods}}
    answer = (await client.post("/graphql", json=graphql, headers=headers)).json()
    lines = [{"sku": "MUG", "restockedTo": None}]
    assert answer["data"]["createReturn"] == {"number": f"{order.number}-R2", "lines": lines}
    answer = (await client.post("/graphql", json=graphql, headers=headers)).json()
    assert answer["data"]["createReturn"] == {"code": "more_than_shipped"}
    listed = await client.get(f"/v1/returns?order_id={order.id}&first=1", headers=headers)
    assert (listed.json()["items"][0]["number"], bool(listed.json()["next"])) == (f"{order.number}-R2", True)
    reader = client.speaking_as(caller_of(seller.organization_id, "inventory:read"))
    assert (await client.post("/v1/returns", json=body, headers=reader)).json()["code"] == "missing_scope"
    for stranger in (caller_of(new_id()), caller_of(seller.organization_id, shop_ids=[new_id()])):
        theirs = client.speaking_as(stranger)
        assert (await client.post("/v1/returns", json=body, headers=theirs)).json()["code"] == "order_not_found"
        assert (await client.get(made.headers["location"], headers=theirs)).json()["code"] == "return_not_found"
        assert (await client.get("/v1/returns", headers=theirs)).json()["items"] == []
    for lines in (
        [],
        [{"sku": "MUG", "quantity": 0}],
        [{"sku": "MUG", "quantity": 10**12}],
        [{"sku": "", "quantity": 1}],
    ):
        bad = await client.post("/v1/returns", json={**body, "lines": lines}, headers=headers)
        assert (bad.status_code, bad.json()["code"]) == (422, "validation_failed")
    odd = await client.post("/v1/returns", json={**body, "reason": "\0"}, headers=headers)
    assert odd.status_code in (409, 422)


async def test_a_return_is_read_by_its_id(seller: Seller) -> None:
    order, _ = await shipped(seller, MUG=1)
    made = await bring_back(seller, order, back("MUG", 1, "main"))
    assert await seller.ask(GetReturn(return_id=made.id)) == made
    assert (await seller.ask(ListReturns())).items == [made]
