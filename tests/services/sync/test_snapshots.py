"""What a deleted connection had is kept for a time, and nothing of it that is secret or personal (SYN-16)."""

from typing import Any

import orjson
import pytest

from services.sync.repository import snapshots
from services.sync.use_cases import connecting, dropping
from shared.errors import Unavailable
from tests.doors import caller_of, eventually
from tests.factories.sync import Connected
from tests.fakes.custom import TOKEN, CustomShop
from tests.platforms.conftest import order, product, put_products
from tests.services.sync.test_doors import graphql
from tests.services.sync.test_retention import age, scheduled

pytestmark = pytest.mark.feature("SYN-16")


async def filled(connected: Connected, fake: CustomShop) -> None:
    """Three products that are here, one of which has changed since and waits for a person, and an order."""
    put_products(fake, 3)
    fake.put_order(order(501))
    await connected.confirm_matches()
    await connected.run("import_products")
    await connected.run("import_orders")
    rules = {"settings": {"fields": {"title": {"policy": "review"}}}}
    answer = await connected.client.patch(f"/v1/connections/{connected.id}", json=rules, headers=connected.headers)
    assert answer.status_code == 200, answer.text
    external_id, fields, variants = product(2, title="Another name")
    fake.put_product(external_id, fields, variants)
    await connected.run("update_products")


async def deleted(connected: Connected) -> dict[str, Any]:
    """What the preview says that goes; then it goes."""
    preview: dict[str, Any] = await connected.get(f"/v1/connections/{connected.id}/deletion-preview")
    answer = await connected.client.delete(f"/v1/connections/{connected.id}", headers=connected.headers)
    assert answer.status_code == 204, answer.text
    return preview


async def whole(connected: Connected) -> dict[str, Any]:
    async def is_whole() -> bool:
        return bool((await connected.get(f"/v1/connection-snapshots/{connected.id}"))["is_whole"])

    await eventually(is_whole, 60)
    found: dict[str, Any] = await connected.get(f"/v1/connection-snapshots/{connected.id}")
    return found


async def records(connected: Connected) -> list[dict[str, Any]]:
    path = f"/v1/connection-snapshots/{connected.id}/records"
    answer = await connected.client.get(path, headers=connected.headers)
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.text.splitlines()]


async def test_what_a_deleted_connection_had_can_be_read_and_downloaded(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a worker is killed while it is put together."""
    monkeypatch.setattr(dropping, "AT_ONCE", 2)
    await filled(connected, fake)
    keeps, add = 0, snapshots.add_part

    async def dying(*arguments: Any) -> None:
        nonlocal keeps
        keeps += 1
        await add(*arguments)
        if keeps == 2:
            raise Unavailable("killed")

    monkeypatch.setattr(snapshots, "add_part", dying)
    before = await connected.get(f"/v1/connections/{connected.id}")
    preview = await deleted(connected)
    found = await whole(connected)
    assert (await connected.get("/v1/connection-snapshots"))["items"] == [found]
    assert found["connection"] == before
    counts = {name: count for name, count in preview["counts"].items() if name != "channel_contents"}
    assert (found["id"], found["shop"], found["counts"]) == (connected.id, "main", counts)
    assert len(found["feeds"]) == preview["counts"]["feeds"]
    assert {each["entity"] for each in found["clocks"]} == {"product", "order"}
    lines = [each for each in await records(connected) if each["kind"] == "listing"]
    assert len(lines) == preview["counts"]["listings"] == len({(each["entity"], each["external_id"]) for each in lines})
    (changed,) = [each for each in lines if each["external_id"] == "2"]
    assert (changed["remote"]["title"], changed["acknowledged"]["title"]) == ("Another name", "Scarf 2")
    assert changed["product_id"] in {each["id"] for each in (await connected.products()).values()}
    waiting = [each for each in changed["changes"] if each["state"] == "review"]
    assert [(each["field"], each["before"], each["after"]) for each in waiting] == [
        ("title", "Scarf 2", "Another name")
    ]


async def test_neither_secrets_nor_buyers_are_kept(connected: Connected, fake: CustomShop) -> None:
    await filled(connected, fake)
    await deleted(connected)
    await whole(connected)
    (taken,) = [each for each in await records(connected) if each.get("entity") == "order"]
    assert (taken["external_id"], taken["order_id"] is None) == ("501", False)
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    head = await uow.fetchval("SELECT head FROM snapshots")
    await uow.rollback()
    told = head + orjson.dumps(await records(connected)).decode()
    for secret in (TOKEN, "ada@example.com", "Lovelace"):
        assert secret not in told


async def test_both_doors_show_it_to_whom_the_connection_was_shown(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    await connected.run("import_products")
    other = await connected.open_shop("other", currency="EUR")
    await deleted(connected)
    await whole(connected)
    told = await graphql(
        connected.client,
        connected.caller,
        """query($id: UUID!) { connectionSnapshot(connectionId: $id) { isWhole counts connection { name } }
            connectionSnapshots(first: 5) { edges { node { shop } } }
            connectionSnapshotSheet(connectionId: $id) { lines next } }""",
        id=connected.id,
    )
    assert told["connectionSnapshot"]["isWhole"] is True
    assert [each["node"]["shop"] for each in told["connectionSnapshots"]["edges"]] == ["main"]
    assert len(told["connectionSnapshotSheet"]["lines"].splitlines()) == 2
    path = f"/v1/connection-snapshots/{connected.id}"
    limited = connected.client.speaking_as(caller_of(connected.organization_id, "admin", shop_ids=[other.id]))
    poor = connected.client.speaking_as(caller_of(connected.organization_id, "orders:write"))
    for suffix in ("", "/records"):
        hidden = await connected.client.get(path + suffix, headers=limited)
        assert (hidden.status_code, hidden.json()["code"]) == (404, "connection_snapshot_not_found")
        refused = await connected.client.get(path + suffix, headers=poor)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await connected.client.get("/v1/connection-snapshots", headers=limited)).json()["items"] == []


async def test_it_is_not_downloaded_in_part(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "drop_soon", lambda *_: None)
    put_products(fake, 1)
    await connected.run("import_products")
    await deleted(connected)
    path = f"/v1/connection-snapshots/{connected.id}/records"
    refused = await connected.client.get(path, headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_snapshot_not_whole")


async def test_it_goes_when_its_time_is_over(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    await connected.run("import_products")
    await deleted(connected)
    await whole(connected)
    await scheduled(connected.process, "sync", "drop_what_was_settled_long_ago")
    assert [each["kind"] for each in await records(connected)] == ["listing", "listing", "issue"]
    await age(connected, "sync", "UPDATE snapshots SET whole_at = whole_at - interval '91 days'")
    await scheduled(connected.process, "sync", "drop_what_was_settled_long_ago")
    gone = await connected.client.get(f"/v1/connection-snapshots/{connected.id}", headers=connected.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "connection_snapshot_not_found")
