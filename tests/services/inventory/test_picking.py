"""Picking lists: oldest orders first, and what is there for whom; goods that come in serve who waited longest."""

import csv
import io
from typing import Any

import pytest

from shared.contracts.inventory.messages import GetReservation, SetStockPolicy
from shared.contracts.inventory.picking import GetPickingFile, ListOrdersToPick, ListSkusToPick
from shared.contracts.orders.messages import CancelOrder, HoldOrder
from shared.contracts.orders.shapes import Order
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("INV-6")


async def paid(seller: Seller, **lines: int) -> Order:
    return await seller.pay(await seller.place(**lines))


async def picking(seller: Seller, **fields: Any) -> list[tuple[str | None, str, dict[str, tuple[int, int]]]]:
    """Number, status, and units wanted and there, of what is to be picked."""
    page = await seller.ask(ListOrdersToPick(centre="main", **fields))
    return [
        (order.order_number, order.status, {line.sku: (line.quantity, line.there) for line in order.lines})
        for order in page.items
    ]


async def waiting_orders(seller: Seller) -> tuple[Order, Order, Order]:
    """Three paid orders for MUG on backorder, and none of it there; the second wants a CUP, too."""
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    await seller.stocked({"MUG": 0})
    return await paid(seller, MUG=2), await paid(seller, MUG=2, CUP=1), await paid(seller, MUG=1)


async def served(seller: Seller) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Order, what came for it, and what it still waits for, of every announcement so far."""

    def units(lines: list[dict[str, Any]]) -> dict[str, int]:
        return {line["sku"]: line["quantity"] for line in lines}

    events = await seller.events("inventory", "backorder_served")
    return [(event["order_id"], units(event["lines"]), units(event["waiting"])) for event in events]


async def test_what_is_to_be_picked_is_listed_oldest_first(seller: Seller) -> None:
    first, second, third = await waiting_orders(seller)
    unpaid = await seller.place(CUP=1)
    await seller.settle()
    await seller.stocked({"MUG": 3})
    assert await picking(seller) == [
        (first.number, "in_stock", {"MUG": (2, 2)}),
        (second.number, "partial", {"CUP": (1, 1), "MUG": (2, 1)}),
        (third.number, "backorder", {"MUG": (1, 0)}),
    ]
    assert await picking(seller, status="partial") == [(second.number, "partial", {"CUP": (1, 1), "MUG": (2, 1)})]
    await seller.ask(HoldOrder(order_id=first.id, reason="odd"))
    await seller.settle()
    assert (await picking(seller))[0][1] == "on_hold"
    (cups, mugs) = (await seller.ask(ListSkusToPick(centre="main"))).items
    assert (cups.sku, cups.there, cups.waiting, cups.on_hold, cups.orders) == ("CUP", 1, 0, 0, 1)
    assert (mugs.sku, mugs.there, mugs.waiting, mugs.on_hold, mugs.orders) == ("MUG", 1, 2, 2, 3)
    assert unpaid.number not in str(await picking(seller))


async def test_what_is_bound_or_gone_is_picked(seller: Seller) -> None:
    order, other = await paid(seller, MUG=3), await paid(seller, CUP=1)
    await seller.ship(order, state="picked", lines=[{"sku": "MUG", "quantity": 2}])
    await seller.ship(other)
    await seller.settle()
    assert await picking(seller) == [(order.number, "in_stock", {"MUG": (1, 1)})]
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    await seller.settle()
    assert await picking(seller) == []


async def test_pages_follow_each_other(seller: Seller) -> None:
    numbers = [(await paid(seller, MUG=1)).number for _ in range(3)]
    found, after = [], None
    for _ in numbers:
        page = await seller.ask(ListOrdersToPick(centre="main", first=1, after=after))
        found += [order.order_number for order in page.items]
        after = page.next
    assert (found, after) == (numbers, None)
    await paid(seller, CUP=1)
    page = await seller.ask(ListSkusToPick(centre="main", first=1))
    following = await seller.ask(ListSkusToPick(centre="main", first=1, after=page.next))
    assert [sku.sku for sku in (*page.items, *following.items)] == ["CUP", "MUG"]
    assert following.next is None


async def test_goods_that_come_in_serve_who_waited_longest(seller: Seller) -> None:
    first, second, third = await waiting_orders(seller)
    await seller.settle()
    assert await served(seller) == []
    await seller.stocked({"MUG": 3})
    await seller.settle()
    assert await served(seller) == [
        (str(first.id), {"MUG": 2}, {}),
        (str(second.id), {"MUG": 1}, {"MUG": 1}),
    ]
    reservation = await seller.ask(GetReservation(reservation_id=second.id))
    assert {line.sku: line.parts[0].backordered for line in reservation.lines} == {"CUP": 0, "MUG": 1}
    # A cancelled order's goods are the next one's.
    await seller.ask(CancelOrder(order_id=first.id, reason="no"))
    await seller.settle()
    assert (await served(seller))[2:] == [
        (str(second.id), {"MUG": 1}, {}),
        (str(third.id), {"MUG": 1}, {}),
    ]
    texts = [entry.text for entry in (await seller.order(second.id)).timeline if entry.kind == "backorder_served"]
    assert texts == [
        "Goods it waited for are there: 1 of MUG. It still waits for 1 of MUG.",
        "Goods it waited for are there: 1 of MUG.",
    ]
    assert await seller.discrepancies() == []


async def test_nothing_is_served_twice(seller: Seller) -> None:
    first, *_ = await waiting_orders(seller)
    for on_hand in (2, 1, 2, 2):
        await seller.stocked({"MUG": on_hand})
        await seller.settle()
    assert await served(seller) == [(str(first.id), {"MUG": 2}, {})]


async def test_a_picking_list_as_a_file(seller: Seller) -> None:
    await seller.price({"=1+1": "1.00"})
    await seller.stocked({"=1+1": 5})
    order = await paid(seller, MUG=1, **{"=1+1": 2})
    file = await seller.ask(GetPickingFile(centre="main"))
    rows = list(csv.DictReader(io.StringIO(file.content)))
    assert [(row["order"], row["status"], row["sku"], row["quantity"], row["to_pick"]) for row in rows] == [
        (order.number, "in_stock", "'=1+1", "2", "2"),
        (order.number, "in_stock", "MUG", "1", "1"),
    ]
    assert (file.rows, file.is_cut) == (2, False)
    by_sku = await seller.ask(GetPickingFile(centre="main", by="sku"))
    assert by_sku.content.splitlines() == ["sku,to_pick,waiting,on_hold,orders", "'=1+1,2,0,0,1", "MUG,1,0,0,1"]


async def test_the_doors(client: Client, seller: Seller) -> None:
    order = await paid(seller, MUG=1)
    headers = client.speaking_as(seller.caller)
    answer = await client.get("/v1/picking-lists/orders?centre=main", headers=headers)
    assert [each["order_number"] for each in answer.json()["items"]] == [order.number]
    assert (await client.get("/v1/picking-lists/skus?centre=main", headers=headers)).json()["items"][0]["there"] == 1
    file = await client.get("/v1/picking-lists/file?centre=main&by=sku", headers=headers)
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="picking-main-' in file.headers["content-disposition"]
    assert file.text.splitlines()[1] == "MUG,1,0,0,1"
    query = """{ ordersToPick(centre: "main") { edges { node { orderNumber status lines { sku there } } } }
        skusToPick(centre: "main") { edges { node { sku there } } } pickingFile(centre: "main") { rows } }"""
    found = (await client.post("/graphql", json={"query": query}, headers=headers)).json()["data"]
    assert found["ordersToPick"]["edges"][0]["node"] == {
        "orderNumber": order.number,
        "status": "IN_STOCK",
        "lines": [{"sku": "MUG", "there": 1}],
    }
    assert (found["skusToPick"]["edges"][0]["node"]["there"], found["pickingFile"]["rows"]) == (1, 1)
    other_scope = client.speaking_as(caller_of(seller.organization_id, "catalog:read"))
    stranger = client.speaking_as(caller_of(new_id()))
    other_shop = client.speaking_as(caller_of(seller.organization_id, "inventory:read", shop_ids=[new_id()]))
    for path in ("orders", "skus", "file"):
        url = f"/v1/picking-lists/{path}?centre=main"
        assert (await client.get(url, headers=other_scope)).json()["code"] == "missing_scope"
        assert (await client.get(url, headers=stranger)).json()["code"] == "centre_not_found"
        assert order.number not in (await client.get(url, headers=other_shop)).text
    assert (await client.get("/v1/picking-lists/orders?centre=main&after=x", headers=headers)).status_code == 400
