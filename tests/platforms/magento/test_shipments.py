"""Shipments of a Magento shop: in parts, from a source, with their tracks, and none of them twice (SYN-2, SYN-10)."""

from typing import Any

import pytest

from services.sync.platforms.base import ShipmentWrite, Written
from tests.fakes.magento import MagentoShop
from tests.platforms.conftest import order, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-2", "SYN-10")


def shipment(
    quantity: int, *numbers: str, shipped: str = "", sku: str = "SCARF-1", carrier: str = "DHL"
) -> ShipmentWrite:
    references = {"shipped": shipped} if shipped else {}
    return ShipmentWrite(f"k{numbers}", "5001", [("SCARF-1", quantity)], carrier, numbers, None, references)


async def confirm(magento: MagentoShop, *writes: ShipmentWrite) -> list[Written]:
    async with session_with(magento) as session:
        return list(await session.confirm_shipments(writes))


@pytest.fixture
def ordered(magento: MagentoShop) -> MagentoShop:
    magento.put_order(order(5001, quantity=4))
    return magento


def bodies(magento: MagentoShop) -> list[Any]:
    return [body for method, path, _, body in magento.requests if path.endswith("/ship")]


async def test_parts_leave_one_by_one_with_their_tracks(ordered: MagentoShop) -> None:
    written = await confirm(ordered, shipment(1, "A"), shipment(3, "B", "C"))
    assert [each.outcome for each in written] == ["ok", "ok"]
    assert [(each["lines"], each["tracking_numbers"]) for each in ordered.shipments("5001")] == [
        ([("SCARF-1", 1)], ["A"]),
        ([("SCARF-1", 3)], ["B", "C"]),
    ]
    assert bodies(ordered)[0] == {
        "items": [{"order_item_id": bodies(ordered)[0]["items"][0]["order_item_id"], "qty": 1}],
        "notify": True,
        "tracks": [{"track_number": "A", "title": "DHL", "carrier_code": "dhl"}],
        "arguments": {"extension_attributes": {"source_code": "main"}},
    }


async def test_answer_that_is_lost_ships_nothing_twice(ordered: MagentoShop) -> None:
    """Surprise 8: repeating a shipment makes a second one while anything is left."""
    ordered.lose = ["POST order"]
    assert [each.outcome for each in await confirm(ordered, shipment(1, "A"))] == ["retry"]
    (again,) = await confirm(ordered, shipment(1, "A"))
    assert (again.outcome, len(ordered.shipments("5001"))) == ("unchanged", 1)


async def test_two_alike_without_numbers_are_told_apart_by_what_is_known(ordered: MagentoShop) -> None:
    first, second = await confirm(ordered, shipment(1), shipment(1))
    assert (first.outcome, second.outcome, len(ordered.shipments("5001"))) == ("ok", "ok", 2)
    (third,) = await confirm(ordered, shipment(1, shipped=second.references["shipped"]))
    assert (third.outcome, len(ordered.shipments("5001"))) == ("ok", 3)
    (again,) = await confirm(ordered, shipment(1))
    assert again.outcome == "unchanged"


async def test_more_than_is_left_is_for_a_person(ordered: MagentoShop) -> None:
    """Surprise 8: 5 asked with 2 left would ship 2."""
    await confirm(ordered, shipment(2, "A"))
    (written,) = await confirm(ordered, shipment(5, "B"))
    assert (written.outcome, "3 of SCARF-1" in str(written.message)) == ("person", True)
    assert len(ordered.shipments("5001")) == 1


async def test_held_order_says_why_it_does_not_ship(ordered: MagentoShop) -> None:
    ordered.put_order(order(5001, status="holded", quantity=4))
    (written,) = await confirm(ordered, shipment(1, "A"))
    assert (written.outcome, "holded" in str(written.message)) == ("person", True)


@pytest.mark.parametrize(("given", "sent"), [("wh2", "wh2"), (None, None)])
async def test_source_is_the_one_that_is_set_or_the_only_one(
    ordered: MagentoShop, given: str | None, sent: str | None
) -> None:
    ordered.state.sources["wh2"] = "Two"
    if given:
        ordered.settings["ship_from"] = given
    await confirm(ordered, shipment(1, "A"))
    more = bodies(ordered)[0].get("arguments", {}).get("extension_attributes", {})
    assert more.get("source_code") == sent


async def test_unknown_source_is_for_a_person(ordered: MagentoShop) -> None:
    ordered.settings["ship_from"] = "nowhere"
    (written,) = await confirm(ordered, shipment(1, "A"))
    assert written.outcome == "person"


async def test_carrier_that_magento_does_not_know_is_custom(ordered: MagentoShop) -> None:
    ordered.settings["notify_customer"] = False
    await confirm(ordered, shipment(1, "A", carrier="Post of the islands"))
    (body,) = bodies(ordered)
    assert (body["notify"], body["tracks"][0]["carrier_code"]) == (False, "custom")
