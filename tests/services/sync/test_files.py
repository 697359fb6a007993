"""A business that exchanges files with us: the whole way of each kind of file, in and out (SYN-1, SYN-2)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy import topology
from services.sync.use_cases.sessions import folder_of
from tests.doors import Client, eventually
from tests.factories.sync import Connected
from tests.fakes.files import FilesShop
from tests.platforms.conftest import order, product, put_products

pytestmark = pytest.mark.feature("SYN-1", "SYN-2")


@pytest.fixture
async def files() -> AsyncIterator[FilesShop]:
    shop = FilesShop()
    yield shop
    await shop.stop()


@pytest.fixture
async def exchanging(process: topology.Surrounded, client: Client, files: FilesShop) -> Connected:
    connected = Connected(process, client, files)
    files.folder = folder_of(connected.organization_id)
    await files.start()
    return await connected.open()


async def settle(connected: Connected, **settings: Any) -> None:
    """Change settings of the connection, the platform's own among them."""
    changed = await connected.client.patch(
        f"/v1/connections/{connected.id}",
        json={"settings": {**connected.connection["settings"], **settings}},
        headers=connected.headers,
    )
    assert changed.status_code == 200, changed.text


async def open_centre(connected: Connected) -> None:
    centre = await connected.post("/v1/fulfilment-centres", {"code": "quay", "name": "Quay"}, status=201)
    await connected.post(f"/v1/fulfilment-centres/{centre['id']}/assign", {"shop": "main"})


async def test_files_of_products_and_stock_come_in_and_our_stock_goes_out(
    exchanging: Connected, files: FilesShop
) -> None:
    await open_centre(exchanging)
    await settle(exchanging, locations={"main": "quay"}, order_statuses={"paid": "import"})
    put_products(files, 4)
    for number in range(1, 5):
        files.put_stock(f"SCARF-{number}", "main", 10)
    await exchanging.confirm_matches()

    done = await exchanging.run("import_products")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 4), await exchanging.issues()
    assert (await exchanging.products())["1"]["title"] == "Scarf 1"
    done = await exchanging.run("import_stock")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 4), await exchanging.issues()
    assert files.there("in") == []
    await exchanging.go_live()
    await exchanging.post("/v1/stock/bulk", [{"sku": "SCARF-1", "centre": "quay", "delta": -3}])

    async def laid() -> bool:
        await exchanging.run("export_stock")
        return files.there("out") != []

    await eventually(laid, 30)
    files.take_files()
    assert [files.stock(f"SCARF-{number}", "main") for number in range(1, 5)] == [7, 10, 10, 10]
    assert (await exchanging.run("export_stock"))["counters"].get("sent", 0) == 0
    assert await exchanging.changes(state="queued") == []

    files.put_order(order(501))
    done = await exchanging.run("import_orders")
    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 1), await exchanging.issues()

    async def placed() -> Any:
        items = (await exchanging.get("/v1/orders"))["items"]
        return items and items[0]["status"] == "processing" and items

    (ours,) = await eventually(placed, 30)
    draft = {"order_id": ours["id"], "lines": [{"sku": "SCARF-1", "quantity": 2}], "tracking_numbers": ["TRACK-1"]}
    await exchanging.post("/v1/shipments", draft, status=201)

    async def told() -> bool:
        await exchanging.run("confirm_shipments")
        return any("shipment" in name for name in files.there("out"))

    await eventually(told, 30)
    files.take_files()
    (shipment,) = files.shipments("501")
    assert (shipment["lines"], shipment["tracking_numbers"]) == ([["SCARF-1", 2]], ["TRACK-1"])


@pytest.mark.feature("SYN-8")
async def test_nothing_vanishes_by_files_that_only_tell_changes(exchanging: Connected, files: FilesShop) -> None:
    await settle(
        exchanging,
        platform={**files.settings, "products": {**files.settings["products"], "holds": "changes"}},
    )
    await exchanging.confirm_matches()
    put_products(files, 6)
    await exchanging.run("import_products")
    files.products.clear()
    files.put_product(*product(1, title="Changed"))
    await exchanging.post(f"/v1/connections/{exchanging.id}/reset-clock", {"entity": "product"})

    done = await exchanging.run("update_products")

    assert (done["state"], done["counters"]["scanned"], done["counters"].get("gone", 0)) == ("succeeded", 1, 0)
    assert "partial_scan" in {each["code"] for each in await exchanging.issues()}
    assert (await exchanging.products())["1"]["title"] == "Changed"


@pytest.mark.feature("SYN-8", "SYN-11")
async def test_nothing_vanishes_by_a_file_of_which_a_row_can_not_be_read(
    exchanging: Connected, files: FilesShop
) -> None:
    await exchanging.confirm_matches()
    put_products(files, 6)
    await exchanging.run("import_products")
    _, fields, variants = product(3)
    files.put_product("3", fields, {"30": {**variants["30"], "barcode": "4006381333932"}})  # its check digit is wrong
    await exchanging.post(f"/v1/connections/{exchanging.id}/reset-clock", {"entity": "product"})

    done = await exchanging.run("update_products")

    assert (done["state"], done["counters"]["failed"], done["counters"].get("gone", 0)) == ("partial", 1, 0)
    issues = {each["code"]: each for each in await exchanging.issues()}
    assert "line 4, 'barcode'" in issues["unreadable_record"]["remote_message"]
    assert "incomplete_scan" in issues


@pytest.mark.feature("SYN-8")
async def test_file_that_is_empty_stops_the_feed_and_a_person_is_told(exchanging: Connected, files: FilesShop) -> None:
    files.lay("products.csv", b"")
    done = await exchanging.run("import_products")
    assert done["state"] == "failed"
    (issue,) = [each for each in await exchanging.issues() if each["code"] == "platform_refused"]
    assert "'products.csv': The file has no content" in issue["remote_message"]


async def test_another_organizations_folder_is_out_of_reach(exchanging: Connected) -> None:
    for folder in ("../other", "/../other", "a/../../other"):
        refused = await exchanging.client.post(
            "/v1/connections",
            json=exchanging.draft() | {"settings": {"platform": {"folder": folder}}},
            headers=exchanging.headers,
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_connection_settings")


async def test_key_with_lines_is_a_credential_and_other_lines_are_none(exchanging: Connected) -> None:
    draft = exchanging.draft()
    deleted = await exchanging.client.delete(f"/v1/connections/{exchanging.id}", headers=exchanging.headers)
    assert deleted.status_code == 204
    for text, status in (("-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n", 201), ("pass\nword", 422), ("a\x00b", 422)):
        draft |= {"name": f"With {status}", "credentials": {"private_key": text}}
        await exchanging.post("/v1/connections", draft, status=status)


@pytest.mark.feature("SYN-3")
async def test_kinds_of_files_that_are_not_set_up_are_no_feeds_and_keep_nobody_from_going_live(
    process: topology.Surrounded, client: Client, files: FilesShop
) -> None:
    connected = Connected(process, client, files)
    files.folder = folder_of(connected.organization_id)
    await files.start()
    for kind in ("orders", "suppliers", "supplier_links"):
        del files.settings[kind]
    await connected.open()
    lacking = {"import_orders", "update_orders", "import_suppliers", "import_supplier_links"}
    assert set(connected.connection["lacks"]) == lacking
    assert {kind for kind, feed in connected.feeds.items() if feed["lacks"]} == lacking
    feed = connected.feeds["import_suppliers"]
    assert (feed["next_run_at"], feed["lacks"]) == (None, "No files of this kind are set up: suppliers.")
    standing = {each["kind"]: each for each in (await connected.get(f"/v1/connections/{connected.id}/stats"))["feeds"]}
    assert (standing["import_suppliers"]["next_run_at"], standing["import_products"]["next_run_at"] is None) == (
        None,
        False,
    )
    answer = await client.post(f"/v1/feeds/{feed['id']}/run", headers=connected.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "feed_not_offered")

    async def is_left_out() -> bool:
        """Its time has come, and it was not run."""
        uow = process.surroundings.unit_of_work("sync", connected.inside("sync"))
        waits = await uow.fetchval("SELECT count(*) FROM feeds WHERE id = $1 AND next_run_at <= now()", feed_id)
        await uow.rollback()
        return not waits and await connected.waiting_tasks() == 0

    feed_id = feed["id"]
    await connected.is_due(feed_id)
    await eventually(is_left_out, 60)
    assert (await connected.get(f"/v1/feed-executions?feed_id={feed_id}"))["items"] == []
    assert await connected.issues() == []

    await open_centre(connected)
    await settle(connected, locations={"main": "quay"})
    put_products(files, 1)
    files.put_stock("SCARF-1", "main", 10)
    await connected.confirm_matches()
    for kind in ("import_products", "import_stock"):
        assert (await connected.run(kind))["state"] == "succeeded", await connected.issues()
    assert (await connected.go_live())["mode"] == "production"
    await settle(connected, platform={**files.settings, "suppliers": {"pattern": "suppliers*.csv"}})
    assert (await connected.get(f"/v1/feeds/{feed_id}"))["lacks"] is None
