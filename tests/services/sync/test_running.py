"""Runs of feeds: one at a time, paused between two requests, patient with a platform that is away, never silent."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.sync.repository.feeds import START_FEED
from services.sync.tasks import WORKS
from services.sync.use_cases import executing, feeds
from services.sync.use_cases.executing import Run
from services.sync.use_cases.taking import imports
from shared.bus.envelope import service_envelope
from shared.contracts.platform.imports import GetImport
from tests.doors import Client, eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products

pytestmark = pytest.mark.feature("SYN-2", "SYN-3", "SYN-10", "SYN-11")


async def test_of_two_that_read_the_same_records_one_runs(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 30)
    paths = [f"/v1/feeds/{connected.feeds[kind]['id']}/run" for kind in ("import_products", "update_products")]
    answers = await asyncio.gather(
        *(connected.client.post(path, headers=connected.headers) for path in (*paths, *paths))
    )
    started = [answer.json() for answer in answers if answer.status_code == 202]
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 202}
    assert (len(started), refused) == (1, {"feed_is_running"})
    assert (await connected.ended(started[0]["id"]))["counters"]["scanned"] == 30


async def test_a_paused_connection_asks_nothing_and_goes_on_where_it_was(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 60)
    started = await connected.post(f"/v1/feeds/{connected.feeds['import_products']['id']}/run", status=202)

    async def has_begun() -> bool:
        return (await connected.get(f"/v1/feed-executions/{started['id']}"))["progress"]["done"] > 0

    await eventually(has_begun)
    await connected.post(f"/v1/connections/{connected.id}/pause")

    async def rests() -> bool:
        """Nobody has it in hand: it cannot ask anything before somebody takes it up."""
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        is_resting: bool = await uow.fetchval("SELECT run_id IS NULL FROM jobs WHERE id = $1", UUID(started["id"]))
        await uow.rollback()
        return is_resting

    await eventually(rests)
    asked = len(fake.requests)
    assert (await connected.get(f"/v1/feed-executions/{started['id']}"))["state"] == "paused"
    refused = await connected.client.post(
        f"/v1/feeds/{connected.feeds['import_orders']['id']}/run", headers=connected.headers
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_is_paused")
    assert len(fake.requests) == asked
    await connected.post(f"/v1/connections/{connected.id}/resume")
    done = await connected.ended(started["id"], timeout_seconds=60)
    assert (done["state"], done["counters"]["scanned"]) == ("succeeded", 60)
    assert len(fake.requests) > asked


@pytest.mark.parametrize("fault", ["throttle", "html", "half", "away"])
async def test_a_platform_that_is_away_is_asked_again_and_no_record_is_lost(
    connected: Connected, fake: CustomShop, fault: str
) -> None:
    put_products(fake, 7)
    setattr(fake.faults, fault, 1)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["new"]) == ("succeeded", 14), done
    assert "attempt 1" in done["log"][0]
    assert [each["code"] for each in await connected.issues()] == ["matches_not_seen"]


async def test_refused_credentials_stop_the_connection_until_it_has_new_ones(
    connected: Connected, fake: CustomShop
) -> None:
    fake.faults.expired = True
    done = await connected.run("import_products")
    assert (done["state"], done["error"]["code"]) == ("failed", "credentials_refused")
    assert (await connected.get(f"/v1/connections/{connected.id}"))["needs_credentials"] is True
    (issue,) = await connected.issues()
    assert (issue["issue_class"], issue["code"], issue["setting"]) == ("error", "credentials_refused", "credentials")
    path = f"/v1/feeds/{connected.feeds['import_products']['id']}/run"
    refused = await connected.client.post(path, headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "needs_credentials")

    fake.faults.expired = False
    change = {"credentials": fake.credentials}
    changed = await connected.client.patch(f"/v1/connections/{connected.id}", json=change, headers=connected.headers)
    assert changed.json()["needs_credentials"] is False
    assert (await connected.run("import_products"))["state"] == "succeeded"
    assert "credentials_refused" not in {each["code"] for each in await connected.issues()}


@pytest.mark.feature("SYN-1")
async def test_a_connection_is_kept_only_when_its_platform_answers(
    connected: Connected, fake: CustomShop, client: Client
) -> None:
    draft = connected.draft()
    for change, status, code in (
        ({"shop": "nowhere"}, 404, "shop_not_found"),
        ({"credentials": {"token": "wrong"}}, 409, "credentials_refused"),
        ({"credentials": {"password": "x"}}, 422, "invalid_credentials"),
        ({"settings": {"platform": {"url": "ftp://nowhere"}}}, 422, "invalid_connection_settings"),
        ({"platform": "ebay"}, 422, "validation_failed"),
        ({"settings": {"platform": {"url": "http://127.0.0.1:9"}}}, 503, "platform_away"),
    ):
        answer = await client.post("/v1/connections", json=draft | change, headers=connected.headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert len((await connected.get("/v1/connections"))["items"]) == 1
    told = str(await connected.get("/v1/connections"))
    assert all(secret not in told for secret in connected.fake.credentials.values())


@pytest.mark.feature("SYN-2")
async def test_a_feed_runs_by_its_schedule(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 2)
    feed = connected.feeds["import_products"]
    bad = await connected.client.patch(
        f"/v1/feeds/{feed['id']}", json={"cron": "61 * * * *"}, headers=connected.headers
    )
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_cron")
    before = (await connected.get(f"/v1/feed-executions?feed_id={feed['id']}"))["items"]
    assert before == []
    await connected.is_due(feed["id"])

    async def ran() -> bool:
        items = (await connected.get(f"/v1/feed-executions?feed_id={feed['id']}&state=succeeded"))["items"]
        return [each["trigger"] for each in items] == ["schedule"]

    await eventually(ran, 60)


@pytest.mark.feature("SYN-2")
async def test_feeds_of_one_time_do_not_begin_at_one_moment(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own place in half a minute, which is always the same."""
    monkeypatch.setattr(feeds, "_JITTER_SECONDS", 30)
    surroundings = connected.process.surroundings
    uow = surroundings.unit_of_work("sync", service_envelope("sync", None), across_tenants=True)
    ids = {UUID(feed["id"]) for feed in connected.feeds.values() if feed["is_enabled"]}
    await uow.execute("UPDATE feeds SET next_run_at = now() - interval '1 second' WHERE id = ANY($1)", list(ids))
    await feeds.start_due(uow)
    rows = await uow.fetch(
        "SELECT (payload->>'feed_id')::uuid AS feed_id, extract(epoch FROM due_at - now())::int AS place FROM tasks"
        " WHERE kind = $1",
        START_FEED,
    )
    await uow.rollback()
    places = {row["feed_id"]: row["place"] for row in rows if row["feed_id"] in ids}
    assert places == {feed_id: feed_id.int % 30 for feed_id in ids}


@pytest.mark.feature("SYN-16")
async def test_a_connection_is_forgotten_and_its_products_stay(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 3)
    await connected.confirm_matches()
    await connected.run("import_products")
    preview = await connected.get(f"/v1/connections/{connected.id}/deletion-preview")
    assert (preview["counts"]["listings"], preview["counts"]["clocks"]) == (6, 1)
    deleted = await connected.client.delete(f"/v1/connections/{connected.id}", headers=connected.headers)
    assert deleted.status_code == 204
    gone = await connected.client.get(f"/v1/connections/{connected.id}", headers=connected.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "connection_not_found")
    assert (await connected.get("/v1/listings"))["items"] == []
    assert len(await connected.products()) == 3
    assert fake.writes == []


async def job_of(connected: Connected, execution_id: str) -> asyncpg.Record:
    """The job of a run: whether a worker has it, and for how many seconds it is let alone."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    row = await uow.fetchrow(
        "SELECT state, run_id, extract(epoch FROM lease_until - now()) AS seconds FROM jobs WHERE id = $1", execution_id
    )
    await uow.rollback()
    assert row is not None
    return row


async def test_a_paused_run_rests_long_and_is_woken_by_going_on(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 60)
    started = await connected.post(f"/v1/feeds/{connected.feeds['import_products']['id']}/run", status=202)

    async def has_begun() -> bool:
        return (await connected.get(f"/v1/feed-executions/{started['id']}"))["progress"]["done"] > 0

    async def rests() -> bool:
        job = await job_of(connected, started["id"])
        return job["state"] == "running" and job["run_id"] is None

    await eventually(has_begun)
    await connected.post(f"/v1/connections/{connected.id}/pause")
    await eventually(rests)
    assert (await job_of(connected, started["id"]))["seconds"] > 30
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    an_hour = "UPDATE jobs SET lease_until = now() + interval '1 hour' WHERE id = $1 AND run_id IS NULL"
    assert await uow.execute(an_hour, UUID(started["id"])) == "UPDATE 1"
    await uow.commit()
    await connected.post(f"/v1/connections/{connected.id}/resume")
    done = await connected.ended(started["id"], timeout_seconds=120)
    assert (done["state"], done["counters"]["scanned"]) == ("succeeded", 60)


@pytest.mark.feature("SYN-4")
async def test_an_import_that_never_ends_is_waited_for_without_a_worker_and_can_be_paused_and_cancelled(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_products(fake, 2)
    await connected.confirm_matches()
    looks = 0
    asked = imports.asked

    async def stuck(run: Run, message: Any) -> Any:
        nonlocal looks
        answer = await asked(run, message)
        if not isinstance(message, GetImport):
            return answer
        looks += 1
        return answer.model_copy(update={"state": "running"})

    monkeypatch.setattr(imports, "asked", stuck)
    started = await connected.post(f"/v1/feeds/{connected.feeds['import_products']['id']}/run", status=202)

    async def rests() -> bool:
        return (await job_of(connected, started["id"]))["run_id"] is None

    async def waits() -> bool:
        return looks > 0

    await eventually(waits)
    await connected.post(f"/v1/connections/{connected.id}/pause")
    await eventually(rests)
    await connected.post(f"/v1/connections/{connected.id}/resume")
    # Not paused it lets go as well, after some seconds.
    await eventually(rests, 30)
    await connected.post(f"/v1/jobs/{started['id']}/cancel")
    assert (await connected.ended(started["id"]))["state"] == "cancelled"


@pytest.mark.parametrize("failure", ["defect", "unsealable"])
async def test_whatever_ends_a_run_is_an_issue_and_an_alert(
    connected: Connected, fake: CustomShop, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_run: Run) -> None:
        raise ZeroDivisionError

    if failure == "defect":
        monkeypatch.setitem(WORKS, "import_products", broken)
    else:
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        await uow.execute("UPDATE connections SET credentials = 'of another key'")
        await uow.commit()

    done = await connected.run("import_products")

    code = "internal_error" if failure == "defect" else "cannot_unseal"
    assert (done["state"], done["error"]["code"]) == ("failed", code)
    (issue,) = await connected.issues()
    assert (issue["issue_class"], issue["code"], issue["subject"]) == ("error", code, "import_products")
    assert [alert["title"] for alert in await connected.alerts("sync")] == ["A feed of a connection has stopped"]


async def test_a_race_in_the_database_is_run_again(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_products(fake, 3)
    work, tries = WORKS["import_products"], 0

    async def racing(run: Run) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        await work(run)

    monkeypatch.setitem(WORKS, "import_products", racing)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["scanned"]) == ("succeeded", 3)
    assert "attempt 1" in done["log"][0]
    assert [each["code"] for each in await connected.issues()] == ["matches_not_seen"]


@pytest.mark.feature("SYN-1")
async def test_the_same_shop_is_connected_once(connected: Connected, fake: CustomShop) -> None:
    again = await connected.client.post("/v1/connections", json=connected.draft(), headers=connected.headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_connected")


async def test_a_record_that_cannot_be_kept_costs_nobody_but_itself(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 4)
    _, fields, variants = product(2)
    variants["20"]["weight_grams"] = 10**30
    fake.put_product("2", fields, variants)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["new"]) == ("partial", 6), done
    (issue,) = [each for each in await connected.issues() if each["issue_class"] == "error"]
    assert (issue["code"], issue["subject"]) == ("unreadable_record", "2")


@pytest.mark.feature("SYN-6")
async def test_a_preview_of_nothing_cannot_be_confirmed(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 2)
    refused = await connected.client.post(f"/v1/connections/{connected.id}/matches/confirm", headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_scanned")
    await connected.run("import_products")
    assert await connected.products() == {}


@pytest.mark.feature("SYN-6")
@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"price": {"currency": "ZZZ", "rate": "1"}}, "price/currency"),
        ({"fields": {"nonsense.field": {"policy": "ours"}}}, "fields/nonsense.field"),
    ],
)
async def test_settings_name_what_there_is(connected: Connected, settings: dict[str, Any], pointer: str) -> None:
    """A misspelled rule is none, and a currency that nobody has stops every export."""
    body = {"settings": {**connected.connection["settings"], **settings}}
    path = f"/v1/connections/{connected.id}"
    refused = await connected.client.patch(path, json=body, headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert pointer in refused.json()["errors"][0]["pointer"], refused.text


async def test_a_platform_that_stays_away_is_given_up_and_a_person_is_told(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executing, "MOST_RETRIES", 2)
    monkeypatch.setattr(executing, "_FIRST_RETRY_SECONDS", 0.1)
    fake.faults.away = 100
    done = await connected.run("import_products")
    assert (done["state"], done["error"]["code"]) == ("failed", "platform_refused"), done
    assert fake.faults.away == 97
    classes = {each["issue_class"] for each in await connected.issues()}
    assert classes == {"error"}, "what was tried by itself is for a person now"
    assert [alert["title"] for alert in await connected.alerts("sync")] == ["A feed of a connection has stopped"]
    fake.faults.away = 0
    await connected.run("import_products")
    assert {each["code"] for each in await connected.issues()} <= {"matches_not_seen"}


async def test_of_times_that_were_missed_one_is_made_up_for(connected: Connected, fake: CustomShop) -> None:
    feed = connected.feeds["import_suppliers"]
    at = f"/v1/feeds/{feed['id']}"
    answer = await connected.client.patch(at, json={"cron": "0 * * * *"}, headers=connected.headers)
    assert answer.status_code == 200, answer.text
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    await uow.execute("UPDATE feeds SET next_run_at = now() - interval '9 hours' WHERE id = $1", UUID(feed["id"]))
    await uow.commit()

    async def runs() -> list[str]:
        items = (await connected.get(f"/v1/feed-executions?feed_id={feed['id']}"))["items"]
        return [each["state"] for each in items]

    async def ran() -> bool:
        return await runs() == ["succeeded"]

    await eventually(ran, 60)
    (run,) = (await connected.get(f"/v1/feed-executions?feed_id={feed['id']}"))["items"]
    assert (await connected.get(at))["next_run_at"] > run["created_at"]
    await connected.heard_all()
    assert await runs() == ["succeeded"]
