"""Shipments told to WooCommerce: to a plug-in where there is one, by a note where not, and never twice (SYN-2)."""

from collections.abc import Callable
from typing import Any

import pytest

from services.sync.platforms.base import ShipmentWrite, Written
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import order, product, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-5")
PLUGINS = ("wc-shipment-tracking/v3", "wc/v3")


def shipment(key: str, quantity: int, *numbers: str, **more: Any) -> ShipmentWrite:
    given: dict[str, Any] = {"carrier": "DHL", "tracking_url": None, **more}
    return ShipmentWrite(key, "5001", [("SCARF-1", quantity)], tracking_numbers=numbers, **given)


async def told(woo: WooShop, *writes: ShipmentWrite) -> list[Written]:
    async with session_with(woo) as session:
        return list(await session.confirm_shipments(writes))


def sold(woo: WooShop, quantity: int = 3, status: str = "processing") -> dict[str, Any]:
    woo.put_order(order(5001, status=status, quantity=quantity))
    return woo.orders[5001]


async def test_buyer_is_told_by_a_note_and_the_order_is_completed_by_the_last_part(woo: WooShop) -> None:
    node = sold(woo)
    first, second = await told(woo, shipment("k1", 1, "JD01"), shipment("k2", 2, "JD02", "JD03"))
    assert (first.outcome, second.outcome) == ("ok", "ok")
    assert [(note["note"], note["customer_note"]) for note in woo.notes[5001]] == [
        ("Shipped 1 × SCARF-1 with DHL: JD01", True),
        ("Shipped 2 × SCARF-1 with DHL: JD02, JD03", True),
    ]
    assert [write.content.get("status") for write in woo.writes if write.kind == "order"] == [None, "completed"]
    assert node["status"] == "completed"
    assert [each["lines"] for each in woo.shipments("5001")] == [[["SCARF-1", 1]], [["SCARF-1", 2]]]


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_plug_in_is_told_of_each_number_and_no_note_is_written(woo: WooShop, plugin: str) -> None:
    woo.plugin = plugin
    sold(woo)
    (written,) = await told(woo, shipment("k1", 1, "JD01", "JD02"))
    assert (written.outcome, woo.notes) == ("ok", {})
    assert [(each["tracking_provider"], each["tracking_number"]) for each in woo.trackings[5001]] == [
        ("DHL", "JD01"),
        ("DHL", "JD02"),
    ]


async def test_carrier_that_the_plug_in_does_not_know_is_a_custom_one(woo: WooShop) -> None:
    woo.plugin = PLUGINS[0]
    sold(woo)
    await told(woo, shipment("k1", 1, "A1", carrier="Gull Post"))
    await told(woo, shipment("k2", 1, "A2", tracking_url="https://track.example/A2"))
    assert [(each["tracking_provider"], each["tracking_link"]) for each in woo.trackings[5001]] == [
        ("Gull Post", ""),
        ("DHL", "https://track.example/A2"),
    ]


async def test_shipment_without_a_number_goes_into_a_note_where_there_is_a_plug_in_too(woo: WooShop) -> None:
    woo.plugin = PLUGINS[0]
    sold(woo)
    await told(woo, shipment("k1", 1), shipment("k2", 1))
    assert len({note["note"] for note in woo.notes[5001]}) == 2
    assert woo.trackings == {}


@pytest.mark.parametrize("plugin", [None, *PLUGINS])
@pytest.mark.parametrize("place", range(1, 7))
async def test_whichever_answer_is_lost_nothing_is_told_twice(
    woo: WooShop, lose: Callable[[int], None], plugin: str | None, place: int
) -> None:
    """Recorded: the same note again makes two notes, and nobody checks how much was shipped."""
    woo.plugin = plugin
    sold(woo)
    lose(place)
    first, second, third = [await told(woo, shipment("k1", 3, "JD01")) for _ in range(3)]
    assert {first[0].outcome, second[0].outcome} & {"ok", "unchanged"}
    assert third[0].outcome == "unchanged"
    assert len(woo.notes.get(5001, ())) + len(woo.trackings.get(5001, ())) == 1
    assert (woo.orders[5001]["status"], len(woo.shipments("5001"))) == ("completed", 1)


async def test_number_that_a_person_has_entered_is_not_told_again(woo: WooShop) -> None:
    woo.plugin = PLUGINS[0]
    sold(woo)
    woo.trackings[5001] = [{"tracking_id": "x", "tracking_number": "JD01", "tracking_provider": "DHL"}]
    (written,) = await told(woo, shipment("k1", 1, "JD01"))
    assert (written.outcome, len(woo.trackings[5001])) == ("ok", 1)


async def test_more_than_was_sold_is_for_a_person(woo: WooShop) -> None:
    sold(woo)
    first, second = await told(woo, shipment("k1", 2, "A"), shipment("k2", 2, "B"))
    assert (first.outcome, second.outcome) == ("ok", "person")
    assert second.message == "The order has nothing left to ship of this: 1 of SCARF-1."
    assert len(woo.notes[5001]) == 1


@pytest.mark.parametrize("refunds", [1, 11])
async def test_units_that_were_given_back_are_not_left_to_ship(woo: WooShop, refunds: int) -> None:
    """Refunds are a list by pages, of ten where nobody asks for more."""
    node = sold(woo, quantity=refunds + 2)
    node["refunds"] = [{"id": each, "reason": "", "total": "-19.99"} for each in range(1, refunds + 1)]
    of = {"key": "_refunded_item_id", "value": str(node["line_items"][0]["id"])}
    back = {"id": 10, "quantity": -1, "meta_data": [of]}
    woo.refunds[5001] = [{"id": each, "line_items": [back]} for each in range(1, refunds + 1)]
    (written,) = await told(woo, shipment("k1", 2, "A"))
    assert (written.outcome, node["status"]) == ("ok", "completed")


@pytest.mark.parametrize(("is_virtual", "status"), [(True, "completed"), (False, "processing")])
async def test_virtual_goods_are_not_waited_for(woo: WooShop, is_virtual: bool, status: str) -> None:
    woo.put_product(*product(2))
    woo.products[2]["virtual"] = is_virtual
    node = sold(woo, quantity=1)
    node["line_items"].append({**node["line_items"][0], "id": 77, "sku": "SCARF-2", "product_id": 2})
    (written,) = await told(woo, shipment("k1", 1, "A"))
    assert (written.outcome, node["status"]) == ("ok", status)


@pytest.mark.parametrize("status", ["cancelled", "refunded", "failed"])
async def test_order_that_has_ended_is_for_a_person(woo: WooShop, status: str) -> None:
    sold(woo, status=status)
    (written,) = await told(woo, shipment("k1", 1, "A"))
    assert (written.outcome, woo.writes) == ("person", [])


async def test_order_that_is_completed_already_keeps_its_status(woo: WooShop) -> None:
    sold(woo, status="completed")
    (written,) = await told(woo, shipment("k1", 3, "A"))
    assert written.outcome == "ok"
    assert all("status" not in write.content for write in woo.writes if write.kind == "order")


async def test_buyer_is_not_written_to_where_that_is_not_wanted(woo: WooShop) -> None:
    woo.settings["notify_customer"] = False
    sold(woo)
    await told(woo, shipment("k1", 1, "A"))
    assert [note["customer_note"] for note in woo.notes[5001]] == [False]


@pytest.mark.parametrize("value", ["changed", [{"key": "k1"}], [5]])
async def test_meta_data_that_somebody_changed_is_for_a_person(woo: WooShop, value: Any) -> None:
    sold(woo)["meta_data"] = [{"id": 1, "key": "_crossdock_shipments", "value": value}]
    (written,) = await told(woo, shipment("k2", 1, "A"))
    assert (written.outcome, woo.notes) == ("person", {})
