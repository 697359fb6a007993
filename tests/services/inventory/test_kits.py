"""Kits: made of children, available as the scarcest of them, and moving them all."""

import asyncio
from typing import Any

import pytest

from services.inventory.use_cases import reservations, returning, shipping
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.kits import DeleteKit, GetKit, KitPart, ListKits, SetKit
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    CreateFulfilmentCentre,
    GetReservation,
    SetStockPolicy,
)
from shared.contracts.inventory.returns import ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shipments import ShipmentDraft, ShipmentLineDraft
from shared.contracts.orders.events import OrderCancelled, OrderMoved
from shared.contracts.orders.shapes import OrderStanding
from shared.errors import CrossdockError
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-4")


async def kit(merchant: Merchant, name: str = "KIT", **parts: int) -> Any:
    made_of = [KitPart(sku=sku, quantity=quantity) for sku, quantity in parts.items()]
    return await merchant.ask(SetKit(sku=name, parts=made_of))


async def refusal(asked: Any) -> str:
    with pytest.raises(CrossdockError) as refused:
        await asked
    return refused.value.code


async def figures(merchant: Merchant, *skus: str) -> list[tuple[int, int]]:
    levels = [await merchant.level(sku) for sku in skus]
    return [(level.on_hand, level.reserved) for level in levels]


async def test_a_kit_is_available_as_its_scarcest_child(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 10, "B": 7})
    await kit(merchant_of_stock, A=1, B=3)
    told = await merchant_of_stock.availability(shop, "KIT")
    assert (told.available, told.available_quantity, told.policy) == (True, 2, "standard")
    await merchant_of_stock.stocked({"B": 2})
    told = await merchant_of_stock.availability(shop, "KIT")
    assert (told.available, told.available_quantity) == (False, 0)
    await merchant_of_stock.ask(SetStockPolicy(sku="B", centre="main", policy="backorder"))
    told = await merchant_of_stock.availability(shop, "KIT")
    assert (told.available, told.available_quantity, told.policy) == (True, 0, "backorder")
    await merchant_of_stock.ask(SetStockPolicy(sku="A", centre="main", policy="showroom"))
    told = await merchant_of_stock.availability(shop, "KIT")
    assert (told.available, told.policy) == (False, "showroom")


async def test_reserving_and_releasing_a_kit_moves_its_children(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 10, "B": 10})
    await kit(merchant_of_stock, A=1, B=2)
    reservation = await merchant_of_stock.reserve(shop, KIT=3, A=1)
    by_sku = {line.sku: line for line in reservation.lines}
    assert by_sku["KIT"].quantity == 3
    assert sorted((part.sku, part.quantity) for part in by_sku["KIT"].parts) == [("A", 3), ("B", 6)]
    assert await figures(merchant_of_stock, "A", "B") == [(10, 4), (10, 6)]
    # The same again is the same reservation.
    again = await merchant_of_stock.reserve(shop, reservation.id, KIT=3, A=1)
    assert again.lines == reservation.lines
    with pytest.raises(CrossdockError) as refused:
        await merchant_of_stock.reserve(shop, KIT=3)
    (entry,) = refused.value.errors
    assert (entry["sku"], entry["available"], entry["missing"]) == (
        "KIT",
        2,
        [{"sku": "B", "requested": 6, "available": 4}],
    )
    await merchant_of_stock.hear(
        "inventory", OrderCancelled(order_id=reservation.id, shop_id=shop.id, number="1", reason="x")
    )
    assert await figures(merchant_of_stock, "A", "B") == [(10, 0), (10, 0)]
    assert await merchant_of_stock.discrepancies() == []


async def test_a_hold_that_ran_out_is_taken_again_as_the_kit_was(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 10, "B": 10})
    await kit(merchant_of_stock, A=1, B=2)
    reservation = await merchant_of_stock.reserve(shop, KIT=2, hold=0)
    await merchant_of_stock.inside("inventory", _expire)
    assert await figures(merchant_of_stock, "A", "B") == [(10, 0), (10, 0)]
    await kit(merchant_of_stock, A=5)
    moved = OrderMoved(
        order_id=reservation.id, shop_id=shop.id, number="1", before="pending", after="processing", version=2
    )
    await merchant_of_stock.hear("inventory", moved)
    assert await figures(merchant_of_stock, "A", "B") == [(10, 2), (10, 4)]
    assert (await merchant_of_stock.ask(GetReservation(reservation_id=reservation.id))).state == "confirmed"


async def _expire(uow: Any) -> None:
    await reservations.expire(uow)


async def test_a_kit_has_left_when_all_its_children_have(merchant_of_stock: Merchant, shop: Shop) -> None:
    centre = await merchant_of_stock.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    await merchant_of_stock.ask(AssignFulfilmentCentre(centre_id=centre.id, shop="main", preference=200))
    await merchant_of_stock.stocked({"A": 10})
    await merchant_of_stock.stocked({"B": 10}, centre="store")
    await kit(merchant_of_stock, A=1, B=2)
    reservation = await merchant_of_stock.reserve(shop, KIT=2, A=1)
    order = OrderStanding(order_id=reservation.id, number="10", shop_id=shop.id, status="processing", version=1)

    async def ship(**fields: Any) -> Any:
        draft = ShipmentDraft(order_id=reservation.id, **fields)
        return await merchant_of_stock.inside("inventory", shipping.create, draft, order)

    async def announced() -> list[dict[str, int]]:
        events = await merchant_of_stock.events("inventory", "shipment_shipped")
        return [{line["sku"]: line["quantity"] for line in event["lines"]} for event in events]

    first = await ship(centre="main")
    assert {(line.sku, line.kit, line.quantity) for line in first.lines} == {("A", "KIT", 2), ("A", None, 1)}
    assert await announced() == [{"A": 1}]
    await ship(lines=[ShipmentLineDraft(sku="B", quantity=2)])
    assert await announced() == [{"A": 1}, {"KIT": 1}]
    assert await refusal(ship(lines=[ShipmentLineDraft(sku="KIT", quantity=2)])) == "more_than_allocated"
    await ship(lines=[ShipmentLineDraft(sku="KIT", quantity=1)])
    assert await announced() == [{"A": 1}, {"KIT": 1}, {"KIT": 1}]
    assert (await merchant_of_stock.ask(GetReservation(reservation_id=reservation.id))).state == "shipped"
    assert (await merchant_of_stock.level("B", "store")).on_hand == 6
    # A kit is back with the return that makes it whole.
    for sku, quantity in (("B", 2), ("KIT", 1), ("A", 1)):
        back = ReturnLineDraft(sku=sku, quantity=quantity, restock_to=None if sku == "A" else "main")
        draft = ReturnDraft(order_id=reservation.id, lines=[back])
        await merchant_of_stock.inside("inventory", returning.create, draft)
    returned = [event["lines"] for event in await merchant_of_stock.events("inventory", "goods_returned")]
    assert returned == [
        [],
        [{"sku": "KIT", "quantity": 1, "restocked": 1}],
        [{"sku": "A", "quantity": 1, "restocked": 0}],
    ]
    assert await merchant_of_stock.discrepancies() == []


async def test_kits_are_announced_with_their_children(merchant_of_stock: Merchant, shop: Shop) -> None:
    await kit(merchant_of_stock, "INNER", A=2)
    await kit(merchant_of_stock, "OUTER", INNER=1, B=1)
    before = len(await merchant_of_stock.events("inventory", "stock_changed"))
    await merchant_of_stock.stocked({"A": 10, "B": 3, "C": 1})
    changed = (await merchant_of_stock.events("inventory", "stock_changed"))[before:]
    assert [event["skus"] for event in changed] == [["A", "B", "C", "INNER", "OUTER"]]
    assert (await merchant_of_stock.availability(shop, "OUTER")).available_quantity == 3
    await kit(merchant_of_stock, "INNER", A=4)
    assert (await merchant_of_stock.events("inventory", "stock_changed"))[-1]["skus"] == ["INNER", "OUTER"]
    assert (await merchant_of_stock.availability(shop, "OUTER")).available_quantity == 2
    outer = await merchant_of_stock.ask(GetKit(sku="OUTER"))
    assert [(unit.sku, unit.quantity) for unit in outer.units] == [("A", 4), ("B", 1)]
    await merchant_of_stock.ask(DeleteKit(sku="INNER"))
    assert (await merchant_of_stock.availability(shop, "OUTER")).available_quantity == 0
    assert [one.sku for one in (await merchant_of_stock.ask(ListKits(child="INNER"))).items] == ["OUTER"]


async def test_no_kit_is_in_itself(merchant_of_stock: Merchant, shop: Shop) -> None:
    assert await refusal(kit(merchant_of_stock, "K1", K1=1)) == "kit_loops"
    await kit(merchant_of_stock, "K1", K2=1)
    await kit(merchant_of_stock, "K2", K3=1)
    assert await refusal(kit(merchant_of_stock, "K3", A=1, K1=1)) == "kit_loops"


async def test_two_changes_at_once_close_no_loop(merchant_of_stock: Merchant, shop: Shop) -> None:
    answers = await asyncio.gather(
        kit(merchant_of_stock, "L1", L2=1), kit(merchant_of_stock, "L2", L1=1), return_exceptions=True
    )
    assert sorted(getattr(answer, "code", "made") for answer in answers) == ["kit_loops", "made"]


async def test_kits_do_not_grow_without_bounds(merchant_of_stock: Merchant, shop: Shop) -> None:
    await kit(merchant_of_stock, "T1", A=1_000_000)
    assert await refusal(kit(merchant_of_stock, "T2", T1=2)) == "kit_too_large"
    for depth in range(12):
        await kit(merchant_of_stock, f"D{depth + 1}", **{f"D{depth}": 2})
    await kit(merchant_of_stock, "D0", A=2)
    (unit,) = (await merchant_of_stock.ask(GetKit(sku="D12"))).units
    assert (unit.sku, unit.quantity) == ("A", 2**13)
    assert await refusal(kit(merchant_of_stock, "D0", A=1000)) == "kit_too_large"


async def test_what_has_stock_is_no_kit_and_a_kit_has_none(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"S": 1})
    assert await refusal(kit(merchant_of_stock, "S", A=1)) == "kit_has_stock"
    await kit(merchant_of_stock, "KIT", A=1)
    updated = await merchant_of_stock.stocked({"KIT": 4, "A": 1})
    assert [(row.status, row.code) for row in updated.results] == [("failed", "is_kit"), ("applied", None)]
    assert await refusal(merchant_of_stock.ask(SetStockPolicy(sku="KIT", centre="main"))) == "is_kit"
    assert await refusal(merchant_of_stock.ask(DeleteKit(sku="A"))) == "kit_not_found"


@pytest.mark.feature("GAT-1", "GAT-2")
async def test_kits_through_both_doors(client: Client, process: Any) -> None:
    owner = Merchant(process)
    await owner.open_shop()
    headers = client.speaking_as(caller_of(owner.organization_id, "inventory:write", "inventory:read"))
    body = {"sku": "A/B", "parts": [{"sku": "A", "quantity": 2}, {"sku": "B"}]}
    made = await client.put("/v1/kits", json=body, headers=headers)
    assert made.status_code == 200, made.text
    query = {"query": '{ kit(sku: "A/B") { parts { sku quantity } } kits { edges { node { sku } } } }'}
    told = (await client.post("/graphql", json=query, headers=headers)).json()["data"]
    assert told["kit"]["parts"] == [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}]
    assert told["kits"]["edges"] == [{"node": {"sku": "A/B"}}]
    for bad in ({"parts": []}, {"parts": [{"sku": "A", "quantity": 0}]}, {"sku": "a\0"}):
        answer = await client.put("/v1/kits", json={**body, **bad}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    reader = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))
    assert (await client.put("/v1/kits", json=body, headers=reader)).status_code == 403
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.get("/v1/kits/A/B", headers=stranger)).json()["code"] == "kit_not_found"
    assert (await client.delete("/v1/kits/A/B", headers=stranger)).status_code == 404
    assert (await client.delete("/v1/kits/A/B", headers=headers)).status_code == 204
    assert (await client.get("/v1/kits/A/B", headers=headers)).status_code == 404
