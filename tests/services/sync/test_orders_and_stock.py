"""Orders come in and shipments go out; stock comes in once, and from going live on ours goes out."""

from datetime import timedelta
from typing import Any

import pytest

from services.sync.errors import PlatformAway
from services.sync.repository import listings
from shared import clock
from shared.metrics import exposition
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.fakes.platforms import FakeShop
from tests.platforms.conftest import order, put_products

pytestmark = pytest.mark.feature("SYN-2", "SYN-7", "SYN-9")

STATUSES = {"paid": "import", "pending": "set_aside", "cancelled": "import_and_cancel"}


async def set_up(connected: Connected, fake: FakeShop, count: int = 2, levels: int | None = None) -> str:
    """Products and stock of the platform are here, and it may go live. Returns the centre.

    `levels`: how many stock levels the platform has, where it has some already.
    """
    centre = await connected.post("/v1/fulfilment-centres", {"code": "quay", "name": "Quay"}, status=201)
    await connected.post(f"/v1/fulfilment-centres/{centre['id']}/assign", {"shop": "main"})
    put_products(fake, count)
    for number in range(1, count + 1):
        fake.put_stock(f"SCARF-{number}", "main", 10)
    place = getattr(fake, "place", "main")
    settings = {**connected.connection["settings"], "locations": {place: "quay"}, "order_statuses": STATUSES}
    changed = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": settings}, headers=connected.headers
    )
    assert changed.status_code == 200, changed.text
    await connected.confirm_matches()
    assert (await connected.run("import_products"))["state"] == "succeeded"
    done = await connected.run("import_stock")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", levels or count), await connected.issues()
    return str(centre["id"])


async def available(connected: Connected, sku: str = "SCARF-1") -> int:
    (level,) = (await connected.get(f"/v1/stock?sku={sku}"))["items"]
    return int(level["available"])


async def marked(connected: Connected, sku: str) -> bool:
    """Whether sync has heard that stock of a SKU changed here."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    marks = await uow.fetchval("SELECT marks FROM listings WHERE entity = 'stock' AND sku = $1", sku)
    await uow.rollback()
    return bool(marks)


async def adjust(connected: Connected, sku: str, delta: int) -> None:
    rows = [{"sku": sku, "centre": "quay", "delta": delta}]
    await connected.post("/v1/stock/bulk", rows)
    await eventually(lambda: marked(connected, sku))


async def test_in_test_mode_the_plan_is_shown_and_nothing_is_sent(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    await connected.run("export_stock")
    assert await connected.changes(direction="out") == []
    await adjust(connected, "SCARF-1", -3)

    done = await connected.run("export_stock")

    assert (done["state"], done["counters"]["planned"]) == ("succeeded", 1)
    (change,) = await connected.changes(direction="out", state="queued")
    assert (change["sku"], change["field"], change["before"], change["after"]) == ("SCARF-1", "quantity", 10, 7)
    assert (change["colour"], fake.writes, fake.stock("SCARF-1", "main")) == ("yellow", [], 10)


async def test_gone_live_our_stock_is_written_once_and_its_echo_is_no_change(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    live = await connected.go_live()
    assert (live["mode"], live["live_at"] is not None) == ("production", True)
    await connected.run("export_stock")
    assert fake.writes == []
    await adjust(connected, "SCARF-1", -3)
    await adjust(connected, "SCARF-1", -1)

    done = await connected.run("export_stock")

    assert done["counters"]["sent"] == 1
    assert [(write.kind, write.has_changed) for write in fake.writes] == [("stock", True)]
    assert (fake.stock("SCARF-1", "main"), fake.stock("SCARF-2", "main")) == (6, 10)
    again = await connected.run("export_stock")
    assert again["counters"].get("sent", 0) == 0
    refused = await connected.client.post(
        f"/v1/feeds/{connected.feeds['import_stock']['id']}/run", headers=connected.headers
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "stock_is_ours")


@pytest.mark.feature("SEA-4")
async def test_freshness_of_a_connection_counts_from_the_write_here(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    # Before the connection is live: that waits for a person, and is not measured.
    await adjust(connected, "SCARF-2", -1)
    await connected.go_live()
    await adjust(connected, "SCARF-1", -3)
    # The first stock has marked both: that they are marked does not say that what was sold was heard of.
    await connected.heard_all()
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    await uow.execute("UPDATE connections SET live_at = now() - interval '1 hour'")
    await uow.execute("UPDATE listings SET stale_since = stale_since - interval '2 minutes' WHERE sku = 'SCARF-1'")
    await uow.execute("UPDATE listings SET stale_since = stale_since - interval '1 day' WHERE sku = 'SCARF-2'")
    await uow.commit()

    assert (await connected.run("export_stock"))["counters"]["sent"] == 2

    label = f'{{connection="{connected.id}",entity="stock"}}'
    name = "crossdock_connection_freshness_seconds"
    figures = dict(line.rsplit(" ", 1) for line in exposition().decode().splitlines() if label in line)
    assert float(figures[f"{name}_count{label}"]) == 1
    assert 120 <= float(figures[f"{name}_sum{label}"]) < 600
    assert b'crossdock_freshness_target_seconds{shown="connection_stock"} 120.0' in exposition()
    again = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    assert await again.fetch("SELECT FROM listings WHERE stale_since IS NOT NULL") == []
    await again.rollback()


async def test_going_live_says_what_is_missing(connected: Connected, fake: CustomShop) -> None:
    refused = await connected.client.post(f"/v1/connections/{connected.id}/go-live", headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
    missing = {each["code"] for each in refused.json()["errors"]}
    assert missing == {"products_scanned", "matches_seen", "stock_imported"}
    checklist = await connected.get(f"/v1/connections/{connected.id}/checklist")
    assert {each["code"] for each in checklist["items"] if not each["is_met"]} == missing


async def test_a_write_that_expected_another_value_is_made_anew_from_what_is_there(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    await connected.go_live()
    await adjust(connected, "SCARF-1", 1)
    fake.put_stock("SCARF-1", "main", 9)  # sold over there, and its order is not here yet

    first = await connected.run("export_stock")

    assert (first["counters"]["stale"], fake.stock("SCARF-1", "main")) == (1, 9)
    (change,) = await connected.changes(direction="out", state="queued")
    assert (change["attempts"], change["reason"]) == (1, "stale")
    await connected.run("export_stock")
    await eventually(lambda: is_written(connected, fake), 60)
    assert [write.has_changed for write in fake.writes if write.has_changed] == [True]


async def try_again_now(connected: Connected) -> None:
    """What was put off is due."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    await uow.execute("UPDATE changes SET next_attempt_at = now() WHERE state = 'queued'")
    await uow.commit()


async def is_written(connected: Connected, fake: CustomShop) -> bool:
    await try_again_now(connected)
    await connected.run("export_stock")
    return fake.stock("SCARF-1", "main") == 11


@pytest.mark.parametrize("fault", ["lost", "half", "throttle"])
async def test_a_write_whose_answer_was_lost_is_not_made_twice(
    connected: Connected, fake: CustomShop, fault: str
) -> None:
    await set_up(connected, fake)
    await connected.go_live()
    await adjust(connected, "SCARF-1", -4)
    setattr(fake.faults, fault, 1)

    done = await connected.run("export_stock")

    assert done["state"] == "succeeded", done
    await try_again_now(connected)
    assert (await connected.run("export_stock"))["state"] == "succeeded"
    assert fake.stock("SCARF-1", "main") == 6
    assert [write.has_changed for write in fake.writes if write.has_changed] == [True]
    assert await connected.changes(direction="out", state="queued") == []


@pytest.mark.feature("ORD-5")
async def test_orders_come_in_once_and_their_shipment_goes_out_once(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    await connected.go_live()
    fake.put_order(order(501))
    fake.put_order(order(502, status="pending"))
    done = await connected.run("import_orders")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 2), await connected.issues()

    async def placed() -> Any:
        items = (await connected.get("/v1/orders"))["items"]
        return items and items[0]["status"] == "processing" and items

    (ours,) = await eventually(placed, 30)
    assert ours["total"] == {"amount": 3998, "currency": "EUR"}
    assert await available(connected) == 8
    assert (await connected.run("import_orders"))["counters"].get("applied", 0) == 0
    states = {each["external_id"]: each["state"] for each in (await connected.get("/v1/imported-orders"))["items"]}
    assert states == {"501": "imported", "502": "set_aside"}

    draft = {"order_id": ours["id"], "lines": [{"sku": "SCARF-1", "quantity": 2}], "tracking_numbers": ["TRACK-1"]}
    await connected.post("/v1/shipments", draft, status=201)

    async def waits() -> bool:
        return bool(await connected.changes(direction="out", state="queued"))

    await eventually(waits, 30)
    fake.faults.lost = 1
    done = await connected.run("confirm_shipments")
    assert (done["state"], done["counters"].get("failed", 0)) == ("succeeded", 0), await connected.issues()
    await try_again_now(connected)
    await connected.run("confirm_shipments")
    (told,) = fake.shipments("501")
    assert (told["lines"], told["tracking_numbers"]) == ([["SCARF-1", 2]], ["TRACK-1"]), told
    assert (await connected.run("confirm_shipments"))["counters"].get("sent", 0) == 0


@pytest.mark.feature("ORD-5", "SYN-10")
async def test_goods_that_leave_before_a_killed_run_has_linked_their_order_are_told_of(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up(connected, fake)
    await connected.go_live()
    fake.put_order(order(501))
    forget, tries = listings.forget_stock, 0

    async def dying(*given: Any) -> None:
        """Orders have the order, and the step that says so here does not come to its end before the goods left."""
        nonlocal tries
        tries += 1
        if tries == 1:
            (ours,) = await eventually(lambda: processing(connected), 30)
            draft = {"order_id": ours["id"], "lines": [{"sku": "SCARF-1", "quantity": 2}]}
            await connected.post("/v1/shipments", draft, status=201)
            await eventually(lambda: equals(untold(connected), 0), 30)
            raise PlatformAway("killed")
        await forget(*given)

    monkeypatch.setattr(listings, "forget_stock", dying)
    assert (await connected.run("import_orders"))["state"] == "succeeded"
    await connected.run("confirm_shipments")
    assert len(fake.shipments("501")) == 1


async def processing(connected: Connected) -> Any:
    items = (await connected.get("/v1/orders"))["items"]
    return items and items[0]["status"] == "processing" and items


async def untold(connected: Connected) -> int:
    """How many events of inventory have not reached all who listen."""
    uow = connected.process.surroundings.unit_of_work("inventory", connected.inside("inventory"))
    count: int = await uow.fetchval("SELECT count(*) FROM deliveries")
    await uow.rollback()
    return count


@pytest.mark.feature("ORD-5")
async def test_an_order_that_changes_there_only_changes_its_status_here(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    fake.put_order(order(501))
    await connected.run("import_orders")

    async def status() -> Any:
        items = (await connected.get("/v1/orders"))["items"]
        return items and items[0]["status"]

    await eventually(lambda: equals(status(), "processing"), 30)
    later = (clock.now() + timedelta(minutes=1)).isoformat()
    fake.put_order(order(501, status="cancelled", quantity=7) | {"updated_at": later})
    await connected.run("update_orders")
    await eventually(lambda: equals(status(), "cancelled"), 30)
    (ours,) = (await connected.get("/v1/orders"))["items"]
    assert ours["total"]["amount"] == 3998


async def equals(what: Any, value: Any) -> bool:
    return bool(await what == value)


async def test_imported_stock_is_what_the_platform_can_sell_beside_what_is_reserved_here(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    fake.put_order(order(501))
    await connected.run("import_orders")
    await eventually(lambda: equals(available(connected), 8), 30)
    fake.put_stock("SCARF-1", "main", 7)
    await connected.run("import_stock")
    assert await available(connected) == 7


@pytest.mark.feature("SYN-2", "SYN-10")
async def test_what_has_nothing_to_send_does_not_run_by_its_schedule(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    await connected.run("export_stock")
    feed = connected.feeds["export_stock"]["id"]
    await connected.is_due(feed)
    await eventually(lambda: equals(waits_for(connected, feed), 0), 60)
    await adjust(connected, "SCARF-1", -1)
    await connected.is_due(feed)

    async def triggers() -> Any:
        items = (await connected.get(f"/v1/feed-executions?feed_id={feed}"))["items"]
        return [each["trigger"] for each in items]

    await eventually(lambda: equals(triggers(), ["schedule", "person"]), 60)


async def waits_for(connected: Connected, feed_id: str) -> int:
    """Whether a feed is due, or a task waits that starts it."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    count: int = await uow.fetchval(
        "SELECT (SELECT count(*) FROM feeds WHERE id = $1 AND next_run_at <= now())"
        " + (SELECT count(*) FROM tasks WHERE payload->>'feed_id' = $1::text)",
        feed_id,
    )
    await uow.rollback()
    return count


@pytest.mark.feature("INV-3", "SYN-5")
@pytest.mark.parametrize(("delta", "shown"), [(-7, 3), (2, 9)])
async def test_platform_that_sold_meanwhile_is_told_of_less_at_once_and_of_more_after_its_orders(
    connected: Connected, fake: CustomShop, delta: int, shown: int
) -> None:
    """Ten were there, and one was sold over there whose order has not come yet."""
    await set_up(connected, fake)
    await connected.go_live()
    fake.put_stock("SCARF-1", "main", 9)
    await adjust(connected, "SCARF-1", delta)

    done = await connected.run("export_stock")

    assert (fake.stock("SCARF-1", "main"), done["counters"]["stale"]) == (shown, 1)
    fake.put_order(order(501, quantity=1))
    await connected.run("import_orders")
    await eventually(lambda: equals(available(connected), 9 + delta), 30)
    await connected.heard_all()
    await connected.run("export_stock")
    assert fake.stock("SCARF-1", "main") == 9 + delta
