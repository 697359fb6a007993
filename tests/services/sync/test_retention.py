"""What ended long ago is dropped in portions; what something is shown by stays."""

from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from services.sync import tasks
from shared import retention
from shared.bus.envelope import service_envelope
from shared.unit_of_work import UnitOfWork
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import put_products

pytestmark = pytest.mark.feature("SYN-10", "OPS-5")


def across(process: topology.Surrounded, service: str) -> UnitOfWork:
    """As the schedules of a service work: across tenants."""
    return process.surroundings.unit_of_work(service, service_envelope(service, None), across_tenants=True)


async def scheduled(process: topology.Surrounded, service: str, kind: str) -> None:
    """Have a schedule's function run, as often as it wants to, by the workers."""
    uow = across(process, service)
    await uow.execute(
        "INSERT INTO tasks (id, kind, payload, due_at) VALUES (gen_random_uuid(), $1, '{}', now())", f"every.{kind}"
    )
    await uow.commit()

    async def is_done() -> bool:
        uow = across(process, service)
        left = await uow.fetchval("SELECT count(*) FROM tasks WHERE kind = $1", f"every.{kind}")
        await uow.rollback()
        return not left

    await eventually(is_done, 30)


async def age(connected: Connected, service: str, *statements: str) -> None:
    """Let things of this merchant be of long ago."""
    uow = connected.process.surroundings.unit_of_work(service, connected.inside(service))
    for statement in statements:
        await uow.execute(statement)
    await uow.commit()


async def executions(connected: Connected) -> set[str]:
    items = (await connected.get(f"/v1/feed-executions?connection_id={connected.id}&first=200"))["items"]
    return {each["id"] for each in items}


async def job_status(connected: Connected, job_id: str) -> int:
    return (await connected.client.get(f"/v1/jobs/{job_id}", headers=connected.headers)).status_code


async def test_runs_and_jobs_of_long_ago_go_but_for_what_is_shown_by_them(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Portions of two: several transactions.
    for module in (tasks, retention):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    put_products(fake, 2)
    noted = await connected.run("import_products")
    await connected.post(f"/v1/connections/{connected.id}/matches/confirm")
    older = [(await connected.run("import_products"))["id"] for _ in range(6)]
    newest = (await connected.run("import_products"))["id"]
    orders = (await connected.run("import_orders"))["id"]
    catalog_jobs = (await connected.get("/v1/imports"))["items"]
    assert catalog_jobs
    long_ago = "finished_at = finished_at - interval '91 days', created_at = created_at - interval '91 days'"
    await age(
        connected,
        "sync",
        f"UPDATE jobs SET {long_ago} WHERE finished_at IS NOT NULL",
        # One of them left what a person has still to look at.
        f"UPDATE issues SET resolved_at = NULL, execution_id = '{noted['id']}' WHERE code = 'matches_not_seen'",
    )
    await age(connected, "catalog", f"UPDATE jobs SET {long_ago}")
    recent = (await connected.run("update_orders"))["id"]

    await scheduled(connected.process, "sync", "drop_what_was_settled_long_ago")
    await scheduled(connected.process, "sync", "drop_ended_jobs")
    await scheduled(connected.process, "catalog", "drop_ended_jobs")

    assert await executions(connected) == {noted["id"], newest, orders, recent}
    for execution_id in (noted["id"], newest, orders, recent):
        assert await job_status(connected, execution_id) == 200
    for execution_id in older:
        assert await job_status(connected, execution_id) == 404
    # An import is shown with its job, however long ago it was.
    assert [each["id"] for each in (await connected.get("/v1/imports"))["items"]] == [
        each["id"] for each in catalog_jobs
    ]
    assert (await connected.get(f"/v1/imports/{catalog_jobs[0]['id']}"))["state"] == "succeeded"


async def test_what_is_listed_of_all_services_goes_as_well(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    await connected.confirm_matches()
    await connected.run("import_products")
    await connected.run("import_orders")

    async def listed() -> dict[str, str]:
        items = (await connected.get("/v1/jobs?first=200"))["items"]
        return {each["id"]: each["kind"] for each in items if each["finished_at"]}

    async def all_there() -> bool:
        kinds = list((await listed()).values())
        return kinds.count("feed") == 3 and "import" in "".join(set(kinds) - {"feed"})

    await eventually(all_there, 30)
    before = await listed()
    kept = next(id_ for id_, kind in before.items() if kind == "feed")
    await age(
        connected,
        "accounts",
        "UPDATE listed_jobs SET created_at = created_at - interval '91 days', job = jsonb_set(job::jsonb,"
        f" '{{finished_at}}', to_jsonb(now() - interval '91 days')) WHERE id <> '{UUID(kept)}'",
    )
    await scheduled(connected.process, "accounts", "forget_ended_jobs")
    after = await listed()
    assert kept in after
    assert set(before) - set(after) == {id_ for id_, kind in before.items() if kind == "feed" and id_ != kept}


async def test_changes_that_are_settled_go_in_portions_until_none_is_left(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", 3)
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    put_products(fake, 4)
    await connected.confirm_matches()
    await connected.run("import_products")
    assert len(await connected.changes(state="applied")) == 8
    await age(connected, "sync", "UPDATE changes SET updated_at = now() - interval '91 days' WHERE entity = 'variant'")
    await scheduled(connected.process, "sync", "drop_what_was_settled_long_ago")
    left: list[dict[str, Any]] = await connected.changes(state="applied")
    assert [each["entity"] for each in left] == ["product"] * 4
