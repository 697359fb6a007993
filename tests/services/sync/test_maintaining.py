"""How a connection stands, and putting its records in order: counted first, mended then, and nothing is left."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.doors import caller_of, eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order, product, put_products
from tests.services.sync.test_doors import graphql
from tests.services.sync.test_orders_and_stock import set_up

pytestmark = pytest.mark.feature("SYN-3", "OPS-5")


async def written(connected: Connected, *statements: tuple[Any, ...]) -> None:
    """What an older version, or a hand in the database, has left behind."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    for statement, *values in statements:
        await uow.execute(statement, *values)
    await uow.commit()


async def maintained(connected: Connected, *, is_dry_run: bool = False) -> dict[str, int]:
    """What a run has counted, without what was nothing."""
    job = await connected.post(f"/v1/connections/{connected.id}/maintenance", {"is_dry_run": is_dry_run}, status=202)

    async def ended() -> Any:
        found = await connected.get(f"/v1/jobs/{job['id']}")
        return found if found["finished_at"] else None

    done = await eventually(ended, 60)
    assert (done["state"], done["subject"]["name"]) == ("succeeded", "Quay"), done
    return {name: number for name, number in done["counters"].items() if number}


async def listed(connected: Connected) -> dict[tuple[str, str], dict[str, Any]]:
    items = (await connected.get(f"/v1/listings?connection_id={connected.id}&first=200"))["items"]
    return {(each["entity"], each["external_id"]): each for each in items}


async def test_records_that_are_not_in_order_are_counted_and_then_mended(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake, count=4)
    good = await listed(connected)
    fake.put_product(*product(5))
    fake.put_product(*product(6, title="Waits"))
    await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": {"absorb_products": False}}, headers=connected.headers
    )
    await connected.run("import_products")
    gone, other = uuid4(), uuid4()
    old = "digest = 'old', analysed = 'old'"
    await written(
        connected,
        # Under another name, and lacking.
        (
            f"UPDATE listings SET {old}, remote = remote - 'title' || '{{\"name\": \"Scarf\"}}',"
            " acknowledged = acknowledged - 'title' || '{\"name\": \"Scarf\"}'"
            " WHERE entity = 'product' AND external_id = '1'",
        ),
        (f"UPDATE listings SET {old}, remote = remote - 'price' WHERE entity = 'variant' AND external_id = '20'",),
        (
            f"UPDATE listings SET {old}, remote = remote || '{{\"place\": 1}}'"
            " WHERE entity = 'stock' AND sku = 'SCARF-3'",
        ),
        ("UPDATE listings SET sku = 'OTHER' WHERE entity = 'variant' AND external_id = '30'",),
        # Merged into another here; and gone without another.
        ("UPDATE listings SET product_id = $1 WHERE external_id = ANY('{4,40}') AND entity <> 'stock'", gone),
        ("UPDATE listings SET product_id = $1 WHERE external_id = '5' AND entity = 'product'", other),
        # What was open of one that is gone; a variant of none; a count.
        ("UPDATE listings SET gone_at = now() WHERE entity = 'product' AND external_id = '6'",),
        ("UPDATE clocks SET records = 99 WHERE entity = 'product'",),
    )
    before = await listed(connected)
    expected = {"columns": 1, "variants": 1, "changes": 2, "links": 2, "orphans": 1, "schema": 3, "clocks": 1}

    counted = await maintained(connected, is_dry_run=True)

    # In a dry run the variant is not gone yet, and its change is none of a record that is gone.
    found = {f"{what}_found": number for what, number in expected.items()}
    assert counted == found | {"changes_found": 1}
    assert await listed(connected) == before
    assert await maintained(connected) == found | {f"{what}_mended": number for what, number in expected.items()}

    after = await listed(connected)
    for name in (("product", "1"), ("variant", "20"), ("product", "4"), ("variant", "40")):
        same = ("remote", "product_id", "sku")
        assert {each: after[name][each] for each in same} == {each: good[name][each] for each in same}, name
    assert after["variant", "30"]["sku"] == "SCARF-3"
    assert "name" not in after["product", "1"]["acknowledged"]
    assert after["variant", "60"]["gone_at"] is not None
    assert after["product", "5"]["product_id"] == str(other)
    assert ("no_product", "5") in {(each["code"], each["subject"]) for each in await connected.issues()}
    assert {each["external_id"] for each in await connected.changes(state="review")} == {"50"}
    clocks = {each["entity"]: each for each in (await connected.get(f"/v1/connections/{connected.id}/clocks"))["items"]}
    assert clocks["product"]["records"] == 5
    assert await maintained(connected) == {"orphans_found": 1, "orphans_mended": 1}
    # What was never acknowledged of a record comes in as what it is: here it is the same.
    await connected.run("update_products")
    assert (await connected.products())["scarf-1"]["title"] == "Scarf 1"


async def test_a_connection_is_maintained_once_at_a_time_and_not_while_it_is_paused(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 1)
    await connected.run("import_products")
    path = f"/v1/connections/{connected.id}/maintenance"
    await connected.post(f"/v1/connections/{connected.id}/pause")
    refused = await connected.post(path, status=409)
    assert refused["code"] == "connection_is_paused"
    await connected.post(f"/v1/connections/{connected.id}/resume")
    fake.faults.away = 1
    started = await connected.post(path, status=202)
    assert (await connected.post(path, status=409))["code"] == "connection_is_busy"

    async def ended() -> Any:
        found = await connected.get(f"/v1/jobs/{started['id']}")
        return found if found["finished_at"] else None

    done = await eventually(ended, 60)
    assert done["state"] == "succeeded"
    assert "attempt 1" in done["log"][0]
    mutation = """mutation($id: UUID!) { maintainConnection(connectionId: $id, isDryRun: true) {
        ... on Job { uuid kind } ... on Problem { code } } }"""
    made = await graphql(connected.client, connected.caller, mutation, id=connected.id)
    assert made["maintainConnection"]["kind"] == "connection_maintenance"
    poor = connected.client.speaking_as(caller_of(connected.organization_id, "sync:read"))
    answer = await connected.client.post(path, headers=poor)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_how_a_connection_stands(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, count=3)
    fake.put_product(*product(4))
    fake.put_order(order(501, status="odd"))
    await connected.run("import_orders")
    await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": {"absorb_products": False}}, headers=connected.headers
    )
    await connected.run("import_products")
    await eventually(lambda: has_issue(connected, "order_unknown_status"), 30)

    stats = await connected.get(f"/v1/connections/{connected.id}/stats")

    listings = {(each["entity"], each["state"]): (each["count"], each["linked"]) for each in stats["listings"]}
    assert listings == {
        ("product", "there"): (4, 3),
        ("variant", "there"): (4, 3),
        ("stock", "there"): (3, 3),
        ("order", "there"): (1, 1),
    }
    changes = {(each["direction"], each["colour"], each["state"]): each["count"] for each in stats["changes"]}
    assert changes == {("in", "green", "review"): 2, ("in", "neutral", "applied"): 7}
    assert stats["issues"]["error"] == 1
    assert {each["entity"]: each["records"] for each in stats["clocks"]} == {"product": 3, "stock": 3, "order": 1}
    feeds = {each["kind"]: each for each in stats["feeds"]}
    run = feeds["import_products"]
    assert (run["last_state"], run["failures"]) == ("succeeded", 0)
    assert run["records_per_second"] > 0
    assert run["last_run_at"] < run["last_success_at"]
    assert feeds["export_stock"]["last_run_at"] is feeds["export_stock"]["records_per_second"] is None
    budget = stats["budget"]
    assert 0 < budget["left"] <= budget["most"]
    assert 0 <= budget["used_percent"] < 100
    assert budget["rests_until"] is None
    found = await graphql(
        connected.client,
        connected.caller,
        """query($id: UUID!) { connectionStats(connectionId: $id) {
            listings { entity state count linked } issues feeds { kind lastState } budget { most } } }""",
        id=connected.id,
    )
    assert found["connectionStats"]["issues"] == stats["issues"]
    assert {"entity": "STOCK", "state": "THERE", "count": 3, "linked": 3} in found["connectionStats"]["listings"]
    missing = await connected.client.get(f"/v1/connections/{UUID(int=7)}/stats", headers=connected.headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "connection_not_found")


async def has_issue(connected: Connected, code: str) -> bool:
    return code in {each["code"] for each in await connected.issues()}
