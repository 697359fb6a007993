"""Shipments told to Shopify: each once, from where the goods left (SYN-2, ORD-5)."""

from typing import Any

import pytest

from services.sync.platforms.base import ShipmentWrite, Written
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import order, session_with

pytestmark = pytest.mark.feature("SYN-2", "ORD-5")


async def confirm(shop: ShopifyShop, *writes: ShipmentWrite) -> list[Written]:
    async with session_with(shop) as session:
        return list(await session.confirm_shipments(writes))


def left(quantity: int = 1, *numbers: str, key: str = "k", sku: str = "SCARF-1", **changes: Any) -> ShipmentWrite:
    given: dict[str, Any] = {"carrier": "DHL", "tracking_url": None, **changes}
    return ShipmentWrite(key, "5001", [(sku, quantity)], tracking_numbers=numbers, **given)


def put(shop: ShopifyShop, *quantities: int) -> None:
    """An order with so many of SCARF-1, SCARF-2 …"""
    line = order(5001)["lines"][0]
    lines = [{**line, "sku": f"SCARF-{n}", "quantity": quantity} for n, quantity in enumerate(quantities, 1)]
    shop.put_order(order(5001) | {"lines": lines})


async def test_goods_leave_part_by_part(shopify: ShopifyShop) -> None:
    put(shopify, 3)
    written = await confirm(shopify, left(1, "A", key="1"), left(2, "B", key="2"))
    assert [each.outcome for each in written] == ["ok", "ok"]
    assert [each["lines"] for each in shopify.shipments("5001")] == [[["SCARF-1", 1]], [["SCARF-1", 2]]]
    assert [each["tracking_numbers"] for each in shopify.shipments("5001")] == [["A"], ["B"]]


async def test_same_shipment_again_is_known_by_its_tracking_number(shopify: ShopifyShop) -> None:
    put(shopify, 4)
    first, again = [(await confirm(shopify, left(1, "A", "B")))[0] for _ in range(2)]
    assert (first.outcome, again.outcome) == ("ok", "unchanged")
    assert first.external_id == again.external_id
    assert len(shopify.shipments("5001")) == 1


@pytest.mark.parametrize("numbers", [("A",), ()], ids=["tracked", "untracked"])
async def test_shipment_whose_answer_was_lost_is_told_once(shopify: ShopifyShop, numbers: tuple[str, ...]) -> None:
    put(shopify, 4)
    shopify.lose.append("Ship")
    outcomes = [(await confirm(shopify, left(1, *numbers)))[0].outcome for _ in range(3)]
    assert outcomes == ["retry", "unchanged", "unchanged"]
    assert len(shopify.shipments("5001")) == 1


async def test_two_alike_without_numbers_are_two_when_told_apart(shopify: ShopifyShop) -> None:
    """In one call by themselves, later by what the answers gave back."""
    put(shopify, 4)
    first, second = await confirm(shopify, left(1, key="1"), left(1, key="2"))
    assert (first.outcome, second.outcome) == ("ok", "ok")
    third = (await confirm(shopify, left(1, key="3", references=second.references)))[0]
    assert third.outcome == "ok"
    assert len({first.external_id, second.external_id, third.external_id}) == 3
    assert third.references["shipped"].count(",") == 2


async def test_goods_of_several_places_are_several_fulfilments(shopify: ShopifyShop) -> None:
    put(shopify, 3, 2)
    shopify.ship_from("5001", {"1": [("SCARF-1", 2), ("SCARF-2", 2)], "2": [("SCARF-1", 1)]})
    write = ShipmentWrite("k", "5001", [("SCARF-1", 3), ("SCARF-2", 1)], "DHL", ["A"], None)
    written = (await confirm(shopify, write))[0]
    assert written.outcome == "ok"
    assert [each["lines"] for each in shopify.shipments("5001")] == [
        [["SCARF-1", 2], ["SCARF-2", 1]],
        [["SCARF-1", 1]],
    ]
    assert (await confirm(shopify, write))[0].outcome == "unchanged"


async def test_cut_between_two_places_is_finished_the_next_time(shopify: ShopifyShop) -> None:
    put(shopify, 3)
    shopify.ship_from("5001", {"1": [("SCARF-1", 2)], "2": [("SCARF-1", 1)]})
    shopify.lose.append("Ship")
    outcomes = [(await confirm(shopify, left(3, "A")))[0].outcome for _ in range(3)]
    assert outcomes == ["retry", "ok", "unchanged"]
    assert sum(quantity for each in shopify.shipments("5001") for _, quantity in each["lines"]) == 3
    assert len(shopify.shipments("5001")) == 2


@pytest.mark.parametrize("write", [left(5, "A"), left(1, "A", sku="OTHER")], ids=["too many", "another's"])
async def test_what_can_not_be_shipped_needs_a_person_and_ships_nothing(
    shopify: ShopifyShop, write: ShipmentWrite
) -> None:
    put(shopify, 4)
    written = (await confirm(shopify, write))[0]
    assert (written.outcome, bool(written.message)) == ("person", True)
    assert shopify.shipments("5001") == []


@pytest.mark.parametrize("status", ["ON_HOLD", "CLOSED", "CANCELLED", "SCHEDULED", "INCOMPLETE", "NEW_WORD"])
async def test_goods_that_are_held_need_a_person(shopify: ShopifyShop, status: str) -> None:
    put(shopify, 4)
    shopify.fulfillment_orders["5001"][0]["status"] = status
    assert (await confirm(shopify, left(1, "A")))[0].outcome == "person"
    assert shopify.shipments("5001") == []


async def test_cancelled_fulfilment_is_not_the_shipment(shopify: ShopifyShop) -> None:
    put(shopify, 4)
    await confirm(shopify, left(1, "A"))
    shopify.fulfillments["5001"][0]["status"] = "CANCELLED"
    assert (await confirm(shopify, left(1, "A")))[0].outcome == "ok"
    assert len(shopify.shipments("5001")) == 2


@pytest.mark.parametrize("notifies", [True, False])
async def test_buyer_is_told_as_the_connection_says(shopify: ShopifyShop, notifies: bool) -> None:
    shopify.settings["notify_customer"] = notifies
    put(shopify, 1)
    await confirm(shopify, left(1, "A"))
    assert shopify.fulfillments["5001"][0]["notified"] is notifies


async def test_carrier_numbers_and_address_are_told(shopify: ShopifyShop) -> None:
    put(shopify, 3)
    await confirm(shopify, left(1, "A", key="1", tracking_url="https://t.test/A"), left(1, "B", "C", key="2"))
    one, two = (each["tracking"] for each in shopify.fulfillments["5001"])
    assert one == {"company": "DHL", "number": "A", "url": "https://t.test/A"}
    assert two == {"company": "DHL", "numbers": ["B", "C"]}


async def test_line_without_a_sku_is_found_again_by_the_one_it_was_given(shopify: ShopifyShop) -> None:
    put(shopify, 2)
    for line in (shopify.orders["5001"]["lines"][0], shopify.fulfillment_orders["5001"][0]["lines"][0]["lineItem"]):
        line["sku"] = None
    async with session_with(shopify) as session:
        sku = (await session.read("order", ["5001"]))[0].fields["lines"][0]["sku"]
    assert sku == "shopify-line-5001000"
    assert (await confirm(shopify, left(1, "A", sku=sku)))[0].outcome == "ok"
