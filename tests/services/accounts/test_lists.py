"""Jobs, audit log and alerts of all services: listed whatever order they are heard in, and who sees which."""

import csv
import io
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import quote
from uuid import UUID

import pytest

from deploy import topology
from services.accounts import listeners
from services.accounts.use_cases.visibility import SERVICES
from services.orders.use_cases.placement import CANCEL_UNPAID
from shared import jobs
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.lists import AcknowledgeAlert, ListAlerts, ListAuditLog, ListJobs
from shared.contracts.accounts.messages import CreateShop
from shared.contracts.base import Event
from shared.contracts.platform.events import AlertCleared, AlertRaised, AuditRecorded, JobChanged
from shared.contracts.platform.shapes import Actor, AuditEntry, Job, JobProgress, ServiceName
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client, eventually
from tests.services.accounts.conftest import Speak, caller

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTENERS: dict[type[Event], Any] = {
    JobChanged: listeners.list_job_as_it_stands,
    AuditRecorded: listeners.add_to_audit_log,
    AlertRaised: listeners.open_or_count_alert,
    AlertCleared: listeners.close_alert_when_cleared,
}


async def heard(process: topology.Surrounded, whose: Caller, *events: Event) -> None:
    """Let accounts hear events in this order, each in a transaction of its own, without an inbox that hides repeats."""
    for event in events:
        uow = process.surroundings.unit_of_work("accounts", service_envelope("accounts", whose.organization_id))
        await LISTENERS[type(event)](event, uow)
        await uow.commit()


def limited(whose: Caller, *shop_ids: UUID, scopes: Sequence[str] = ("catalog:write", "orders:write")) -> Caller:
    return Caller(
        kind="user",
        organization_id=whose.organization_id,
        id=new_id(),
        scopes=frozenset(scopes),
        shop_ids=frozenset(shop_ids),
    )


async def refused(code: str, asking: Any) -> CarriedError:
    with pytest.raises(CarriedError) as caught:
        await asking
    assert caught.value.code == code
    return caught.value


# --- jobs


def changed(state: str, version: int, *, job_id: UUID, done: int = 0, **more: Any) -> JobChanged:
    job = {
        "id": job_id,
        "service": "catalog",
        "kind": "import",
        "state": state,
        "progress": JobProgress(done=done, total=10),
        "counters": {},
        "requested_by": Actor(kind="client", id=new_id()),
        "created_at": START,
        **more,
    }
    return JobChanged(job=Job(**job), version=version)


@pytest.mark.feature("OPS-5")
async def test_a_job_is_listed_as_it_stands_in_whatever_order_that_is_heard(
    process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    job_id = new_id()
    story = [
        changed("queued", 0, job_id=job_id),
        changed("running", 1 << 56, job_id=job_id),
        changed("running", 1 << 56 | 5, job_id=job_id, done=5),
        changed("succeeded", 2 << 56 | 10, job_id=job_id, done=10),
    ]
    for seed in range(6):
        told = [*story, *story]
        random.Random(seed).shuffle(told)
        await heard(process, founder, *told)
        listed = (await ask(ListJobs(), founder)).items
        assert [(job.id, job.state, job.progress.done) for job in listed] == [(job_id, "succeeded", 10)]


@pytest.mark.feature("OPS-5")
async def test_jobs_are_filtered_and_paged(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    ids = [new_id() for _ in range(5)]
    for number, job_id in enumerate(ids):
        created_at = START + timedelta(minutes=number // 2)
        state = "failed" if number == 0 else "running"
        service = "orders" if number == 1 else "catalog"
        await heard(process, founder, changed(state, 1, job_id=job_id, created_at=created_at, service=service))
    found: list[UUID] = []
    after = None
    while True:
        page = await ask(ListJobs(first=2, after=after), founder)
        found += [job.id for job in page.items]
        after = page.next
        if after is None:
            break
    assert found == ids[::-1]
    assert [job.id for job in (await ask(ListJobs(state="failed"), founder)).items] == ids[:1]
    assert [job.id for job in (await ask(ListJobs(service_name="orders"), founder)).items] == ids[1:2]
    assert (await ask(ListJobs(kind="export"), founder)).items == []


@pytest.mark.feature("OPS-5")
async def test_who_sees_which_job(process: topology.Surrounded, ask: Speak, founder: Caller, rival: Caller) -> None:
    assert founder.organization_id is not None
    clerk = limited(founder, new_id(), scopes=("catalog:read",))
    await heard(
        process,
        founder,
        changed("running", 1, job_id=new_id()),
        changed("running", 1, job_id=new_id(), service="payments"),
        changed("running", 1, job_id=new_id(), requested_by=Actor(kind="user", id=clerk.id)),
    )
    assert len((await ask(ListJobs(), founder)).items) == 3
    assert len((await ask(ListJobs(), caller(founder.organization_id, "catalog:write"))).items) == 2
    assert len((await ask(ListJobs(), caller(founder.organization_id, "orders:read"))).items) == 0
    assert len((await ask(ListJobs(), clerk)).items) == 1
    assert (await ask(ListJobs(), rival)).items == []
    await refused("missing_scope", ask(ListJobs(), caller(founder.organization_id, "storefront")))


async def made(process: topology.Surrounded, service: str, whose: Caller) -> Job:
    """A job that nobody will run: no service has this kind."""
    uow = process.surroundings.unit_of_work(service, envelope_for(whose))
    job = await jobs.create(uow, "nobodys.kind", {})
    await uow.execute("UPDATE jobs SET lease_until = now() + interval '1 hour'")
    uow._tasks.clear()
    await uow.commit()
    return job


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize("service", ["catalog", "payments", "accounts"])
async def test_one_job_is_asked_of_its_service_before_it_is_even_listed(
    client: Client, process: topology.Surrounded, founder: Caller, rival: Caller, service: str
) -> None:
    job = await made(process, service, founder)
    headers, path = client.speaking_as(founder), f"/v1/jobs/{job.id}"
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["state"], answer.json()["service"]) == (200, "queued", service)
    cancelled = await client.post(f"{path}/cancel", headers=headers)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await client.get(path, headers=headers)).json()["state"] == "cancelled"
    over = await client.post(f"{path}/cancel", headers=headers)
    assert (over.status_code, over.json()["code"]) == (409, "job_is_over")

    async def is_listed() -> bool:
        listed = (await client.get("/v1/jobs", params={"kind": "nobodys.kind"}, headers=headers)).json()["items"]
        return [item["state"] for item in listed if item["id"] == str(job.id)] == ["cancelled"]

    await eventually(is_listed)
    for request in (
        client.get(path, headers=client.speaking_as(rival)),
        client.post(f"{path}/cancel", headers=client.speaking_as(rival)),
        client.get(f"/v1/jobs/{new_id()}", headers=headers),
    ):
        gone = await request
        assert (gone.status_code, gone.json()["code"]) == (404, "job_not_found")


@pytest.mark.feature("OPS-5")
async def test_cancelling_needs_the_right_to_write_where_the_job_is(
    client: Client, process: topology.Surrounded, founder: Caller
) -> None:
    assert founder.organization_id is not None
    job = await made(process, "catalog", founder)
    path = f"/v1/jobs/{job.id}"
    for scopes, expected in ((("orders:write",), (404, "job_not_found")), (("catalog:read",), (403, "missing_scope"))):
        answer = await client.post(
            f"{path}/cancel", headers=client.speaking_as(caller(founder.organization_id, *scopes))
        )
        assert (answer.status_code, answer.json()["code"]) == expected
    stranger = limited(founder, new_id())
    assert (await client.get(path, headers=client.speaking_as(stranger))).status_code == 404


# --- audit log


def entry(number: int, **more: Any) -> AuditRecorded:
    fields = {
        "id": new_id(),
        "service": "accounts",
        "occurred_at": START + timedelta(minutes=number),
        "actor": Actor(kind="user", id=new_id(), name="Ada", address="192.0.2.1"),
        "action": "user.create",
        "subject_kind": "user",
        "subject_id": str(number),
        **more,
    }
    return AuditRecorded(entry=AuditEntry(**fields))


@pytest.mark.feature("ACC-10")
async def test_the_log_is_filtered_and_repeats_nothing(
    process: topology.Surrounded, ask: Speak, founder: Caller, rival: Caller
) -> None:
    ada = new_id()
    told = [
        entry(0),
        entry(1, action="user.withdraw", actor=Actor(kind="user", id=ada)),
        entry(2, action="userish.thing"),
        entry(3, service="catalog", action="product.publish", subject_kind="product", subject_id="p"),
    ]
    await heard(process, founder, *reversed(told), *told)

    async def found(**filters: Any) -> list[str]:
        filters = {"until": START + timedelta(days=1)} | filters
        return [item.subject_id for item in (await ask(ListAuditLog(**filters), founder)).items]

    assert await found() == ["p", "2", "1", "0"]
    assert await found(actor=ada) == ["1"]
    assert await found(action="user.create") == ["0"]
    assert await found(action="user.*") == ["1", "0"]
    assert await found(action="%") == []
    assert await found(subject_kind="product") == ["p"]
    assert await found(subject_kind="user", subject_id="2") == ["2"]
    assert await found(service_name="catalog") == ["p"]
    assert await found(since=START + timedelta(minutes=1), until=START + timedelta(minutes=3)) == ["2", "1"]
    until = START + timedelta(days=1)
    first = await ask(ListAuditLog(first=3, until=until), founder)
    second = await ask(ListAuditLog(first=3, until=until, after=first.next), founder)
    assert [item.subject_id for item in second.items] == ["0"]
    assert second.next is None
    assert (await ask(ListAuditLog(until=until), rival)).items == []
    assert founder.organization_id is not None
    reader = caller(founder.organization_id, "accounts:read")
    assert [item.subject_id for item in (await ask(ListAuditLog(until=until), reader)).items] == ["2", "1", "0"]
    await refused("missing_scope", ask(ListAuditLog(), caller(founder.organization_id, "catalog:write")))
    own = limited(founder, new_id(), scopes=("accounts:read",))
    assert (await ask(ListAuditLog(), own)).items == []


@pytest.mark.feature("ACC-10")
async def test_the_log_cannot_be_changed(process: topology.Surrounded, founder: Caller) -> None:
    await heard(process, founder, entry(0))
    for statement in ("UPDATE audit_log SET action = 'nothing'", "DELETE FROM audit_log"):
        uow = process.surroundings.unit_of_work("accounts", envelope_for(founder))
        with pytest.raises(Exception, match="permission denied"):
            await uow.execute(statement)
        await uow.rollback()


@pytest.mark.feature("ACC-10")
async def test_the_log_is_exported_as_csv_that_no_spreadsheet_executes(
    client: Client, process: topology.Surrounded, founder: Caller
) -> None:
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'plain, with "quotes"\nand lines', "﻿＝1"]
    many = [entry(number, reason=nasty[number % len(nasty)]) for number in range(450)]
    await heard(process, founder, *many)
    headers = client.speaking_as(founder)
    export = await client.get("/v1/audit-log.csv?to=2026-03-02T00:00:00Z", headers=headers)
    assert export.headers["content-type"].startswith("text/csv")
    assert "attachment" in export.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(export.text, newline="")))
    assert [row["subject_id"] for row in rows] == [str(number) for number in reversed(range(450))]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows for cell in row.values())
    assert {row["reason"].lstrip("'") for row in rows} >= {"=1+1", 'plain, with "quotes"\nand lines'}
    accepted = await client.get("/v1/audit-log?subject=user:17", headers=headers | {"Accept": "text/csv"})
    assert len(list(csv.DictReader(io.StringIO(accepted.text)))) == 1
    refusal = await client.get(
        "/v1/audit-log.csv", headers=client.speaking_as(limited(founder, scopes=("storefront",)))
    )
    assert (refusal.status_code, refusal.json()["code"]) == (403, "missing_scope")
    bad = await client.get("/v1/audit-log.csv?from=yesterday", headers=headers)
    assert bad.status_code == 422
    naive = await client.get("/v1/audit-log?from=2026-03-01T12:00:00", headers=headers)
    assert naive.status_code == 422


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/audit-log", "/v1/alerts", "/v1/parked-deliveries?service=catalog"])
async def test_a_forged_cursor_is_refused(client: Client, founder: Caller, path: str) -> None:
    for cursor in ("nonsense", "WzEsMl0", "WyJhIiwiYiJd", "WyIyMDI2LTAzLTAxVDEyOjAwOjAwIiwieCJd", "\u00e9"):
        answer = await client.get(
            f"{path}{'&' if '?' in path else '?'}after={quote(cursor)}", headers=client.speaking_as(founder)
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), cursor


# --- alerts


def raised(minute: int, cause: str = "feed.broken", **more: Any) -> AlertRaised:
    fields = {
        "service": "catalog",
        "cause": cause,
        "severity": "warning",
        "title": f"Broken at {minute}",
        "detail": "",
        "occurred_at": START + timedelta(minutes=minute),
        **more,
    }
    return AlertRaised(**fields)


def cleared(minute: int, cause: str = "feed.broken") -> AlertCleared:
    return AlertCleared(service="catalog", cause=cause, occurred_at=START + timedelta(minutes=minute))


@pytest.mark.feature("OPS-5")
async def test_one_alert_per_cause_with_a_count(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    await heard(process, founder, raised(1), raised(3), raised(2), raised(4, cause="other"))
    alerts = (await ask(ListAlerts(), founder)).items
    assert [(alert.cause, alert.count, alert.title, alert.state) for alert in alerts] == [
        ("other", 1, "Broken at 4", "open"),
        ("feed.broken", 3, "Broken at 3", "open"),
    ]
    assert alerts[1].first_raised_at == START + timedelta(minutes=1)
    assert alerts[1].last_raised_at == START + timedelta(minutes=3)


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([raised(1), cleared(2)], "cleared"),
        ([cleared(2), raised(1)], None),
        ([cleared(2), raised(1), raised(3)], "open"),
        ([raised(3), cleared(2), raised(1)], "open"),
        ([raised(1), cleared(2), cleared(2), raised(1)], "cleared"),
        ([raised(1), cleared(4), raised(5), cleared(2)], "open"),
    ],
)
async def test_raising_and_clearing_in_any_order(
    process: topology.Surrounded, ask: Speak, founder: Caller, told: list[Event], state: str | None
) -> None:
    await heard(process, founder, *told)
    states = [alert.state for alert in (await ask(ListAlerts(), founder)).items]
    assert states == ([] if state is None else [state])
    for one in ("open", "cleared"):
        listed = (await ask(ListAlerts(state=one), founder)).items
        assert len(listed) == int(state == one)


@pytest.mark.feature("OPS-5")
async def test_what_happens_again_is_a_new_matter(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    await heard(process, founder, raised(1), raised(2))
    alert = (await ask(ListAlerts(), founder)).items[0]
    acknowledged = await ask(AcknowledgeAlert(alert_id=alert.id, note="calling them"), founder)
    assert (acknowledged.note, acknowledged.acknowledged_by.id) == ("calling them", founder.id)
    await heard(process, founder, raised(3))
    assert (await ask(ListAlerts(), founder)).items[0].acknowledged_at is not None
    await heard(process, founder, cleared(4), raised(5))
    again = (await ask(ListAlerts(), founder)).items[0]
    assert (again.id, again.count, again.acknowledged_at, again.note) == (alert.id, 1, None, None)


@pytest.mark.feature("OPS-5")
async def test_alerts_heard_at_the_same_moment_are_all_counted(
    process: topology.Surrounded, founder: Caller, client: Client
) -> None:
    for number in range(20):
        uow = process.surroundings.unit_of_work("orders", envelope_for(founder))
        uow.record(AlertRaised(service="orders", cause="busy", severity="info", title=f"{number}", detail=""))
        await uow.commit()

    async def counted() -> bool:
        alerts = (await client.get("/v1/alerts", headers=client.speaking_as(founder))).json()["items"]
        return [alert["count"] for alert in alerts] == [20]

    await eventually(counted)


@pytest.mark.feature("OPS-5", "ACC-7")
async def test_who_is_limited_sees_and_acknowledges_the_alerts_of_the_own_shops(
    client: Client, process: topology.Surrounded, ask: Speak, founder: Caller, rival: Caller
) -> None:
    mine, theirs = new_id(), new_id()
    await heard(
        process,
        founder,
        raised(1, "mine", shop_id=mine),
        raised(2, "theirs", shop_id=theirs, severity="error"),
        raised(3, "nobodys"),
        raised(4, "elsewhere", service="payments"),
    )
    manager = client.speaking_as(limited(founder, mine))
    seen = (await client.get("/v1/alerts", headers=manager)).json()["items"]
    assert [alert["cause"] for alert in seen] == ["nobodys", "mine"]
    every = (await client.get("/v1/alerts", headers=client.speaking_as(founder))).json()["items"]
    assert [alert["cause"] for alert in every] == ["elsewhere", "nobodys", "theirs", "mine"]
    by_cause = {alert["cause"]: f"/v1/alerts/{alert['id']}/acknowledge" for alert in every}
    for cause in ("theirs", "elsewhere"):
        assert (await client.post(by_cause[cause], headers=manager)).status_code == 404
    assert (await client.post(by_cause["mine"], json={"note": "mine"}, headers=manager)).json()["note"] == "mine"
    viewer = client.speaking_as(limited(founder, mine, scopes=("catalog:read",)))
    refusal = await client.post(by_cause["mine"], headers=viewer)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "missing_scope")
    stranger = client.speaking_as(rival)
    assert (await client.post(by_cause["mine"], headers=stranger)).status_code == 404
    assert (await client.get("/v1/alerts", headers=stranger)).json()["items"] == []
    for query, causes in (
        ("severity=error", ["theirs"]),
        (f"shop_id={mine}", ["mine"]),
        ("service=payments", ["elsewhere"]),
        ("state=cleared", []),
    ):
        found = (await client.get(f"/v1/alerts?{query}", headers=client.speaking_as(founder))).json()["items"]
        assert [alert["cause"] for alert in found] == causes
    first = (await client.get("/v1/alerts?first=3", headers=client.speaking_as(founder))).json()
    rest = (await client.get("/v1/alerts", params={"after": first["next"]}, headers=client.speaking_as(founder))).json()
    assert [alert["cause"] for alert in first["items"] + rest["items"]] == list(by_cause)


# --- parked deliveries


@pytest.mark.feature("OPS-5")
async def test_a_parked_delivery_is_seen_inspected_and_replayed(
    client: Client, process: topology.Surrounded, founder: Caller, rival: Caller, ask: Speak
) -> None:
    shop = await ask(CreateShop(code="main", name="Main", currency="USD", locale="en"), founder)
    uow = process.surroundings.unit_of_work("accounts", envelope_for(founder))
    event_id = uow.record(AlertCleared(service="accounts", cause="park me"))
    await uow.commit()
    uow = process.surroundings.unit_of_work("accounts", envelope_for(founder))
    await uow.execute(
        "INSERT INTO deliveries (organization_id, event_id, listener, next_attempt_at, failures, last_error, parked_at)"
        " SELECT $1, $2, listener, now(), 12, 'nobody_listens: x', now() FROM unnest(ARRAY['catalog', 'orders']) AS l"
        " (listener)",
        founder.organization_id,
        event_id,
    )
    await uow.commit()
    admin = client.speaking_as(founder)
    parked: list[Any] = []
    after = None
    while not parked or after is not None:
        query = {"service": "accounts", "first": 1} | ({"after": after} if after else {})
        page = (await client.get("/v1/parked-deliveries", params=query, headers=admin)).json()
        parked += page["items"]
        after = page["next"]
    assert [(item["event_id"], item["listener"], item["payload"]["cause"]) for item in parked] == [
        (str(event_id), listener, "park me") for listener in ("catalog", "orders")
    ]
    await heard(
        process,
        founder,
        AlertRaised(service="accounts", cause="accounts.delivery.orders", severity="error", title="Stuck", detail=""),
    )
    stranger = client.speaking_as(rival)
    assert (await client.get("/v1/parked-deliveries?service=accounts", headers=stranger)).json()["items"] == []
    body = {"service": "accounts", "event_ids": [str(event_id)]}
    assert (await client.post("/v1/parked-deliveries/replay", json=body, headers=stranger)).json() == {"count": 0}
    clerk = client.speaking_as(limited(founder, shop.id))
    assert (await client.get("/v1/parked-deliveries?service=accounts", headers=clerk)).status_code == 403
    assert (await client.post("/v1/parked-deliveries/replay", json=body, headers=admin)).json() == {"count": 2}
    assert (await client.get("/v1/parked-deliveries?service=accounts", headers=admin)).json()["items"] == []

    async def alert_is_over() -> bool:
        alerts = (await client.get("/v1/alerts?service=accounts", headers=admin)).json()["items"]
        return [alert["state"] for alert in alerts] == ["cleared"]

    await eventually(alert_is_over)
    for answer in (
        await client.get("/v1/parked-deliveries?service=nobody", headers=admin),
        await client.get("/v1/parked-deliveries", headers=admin),
        await client.post("/v1/parked-deliveries/replay", json={"service": "nobody"}, headers=admin),
        await client.post("/v1/parked-deliveries/replay", json=body | {"event_ids": []}, headers=admin),
    ):
        assert answer.status_code == 422


@pytest.mark.feature("OPS-5")
async def test_a_parked_task_is_seen_inspected_and_replayed_through_both_doors(
    client: Client, process: topology.Surrounded, founder: Caller, rival: Caller
) -> None:
    uow = process.surroundings.unit_of_work("orders", envelope_for(founder))
    rows = await uow.fetch(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, failures, last_error, parked_at)"
        " SELECT $1, id, $2, json_build_object('order_id', id), now(), 12, 'conflict: x', now() FROM unnest($3::uuid[])"
        " AS t (id) RETURNING id",
        founder.organization_id,
        CANCEL_UNPAID,
        [new_id(), new_id()],
    )
    await uow.commit()
    ids = sorted(str(row["id"]) for row in rows)
    cause = f"orders.task.{CANCEL_UNPAID}"
    stuck = AlertRaised(service="orders", cause=cause, severity="error", title="Stuck", detail="")
    await heard(process, founder, stuck)
    admin, stranger = client.speaking_as(founder), client.speaking_as(rival)
    first = (await client.get("/v1/parked-tasks?service=orders&first=1", headers=admin)).json()
    query = f'{{ parkedTasks(service: ORDERS, after: "{first["next"]}") {{ nodes {{ id kind payload }} }} }}'
    rest = (await client.post("/graphql", json={"query": query}, headers=admin)).json()["data"]["parkedTasks"]["nodes"]
    assert [(item["id"], item["kind"], item["payload"]) for item in first["items"] + rest] == [
        (id_, CANCEL_UNPAID, {"order_id": id_}) for id_ in ids
    ]
    assert (first["items"][0]["failures"], first["items"][0]["last_error"]) == (12, "conflict: x")

    replay = {"service": "orders", "task_ids": ids[:1]}
    assert (await client.get("/v1/parked-tasks?service=orders", headers=stranger)).json()["items"] == []
    assert (await client.post("/v1/parked-tasks/replay", json=replay, headers=stranger)).json() == {"count": 0}
    assert (await client.post("/v1/parked-tasks/replay", json=replay, headers=admin)).json() == {"count": 1}
    mutation = "mutation { replayTasks(service: ORDERS) { ... on Replayed { count } } }"
    again = await client.post("/graphql", json={"query": mutation}, headers=admin)
    assert again.json()["data"] == {"replayTasks": {"count": 1}}
    assert (await client.get("/v1/parked-tasks?service=orders", headers=admin)).json() == {"items": [], "next": None}

    async def all_is_well() -> bool:
        uow = process.surroundings.unit_of_work("orders", envelope_for(founder))
        left = await uow.fetchval("SELECT count(*) FROM tasks")
        await uow.rollback()
        alerts = (await client.get("/v1/alerts?service=orders", headers=admin)).json()["items"]
        return left == 0 and [alert["state"] for alert in alerts] == ["cleared"]

    await eventually(all_is_well)
    clerk = client.speaking_as(limited(founder, new_id()))
    for answer, status in (
        (await client.get("/v1/parked-tasks?service=orders", headers=clerk), 403),
        (await client.post("/v1/parked-tasks/replay", json=replay, headers=clerk), 403),
        (await client.get("/v1/parked-tasks?service=orders&after=x", headers=admin), 400),
        (await client.get("/v1/parked-tasks", headers=admin), 422),
        (await client.post("/v1/parked-tasks/replay", json=replay | {"task_ids": []}, headers=admin), 422),
    ):
        assert answer.status_code == status, answer.text


def test_every_service_is_one_that_lists_know() -> None:
    assert set(SERVICES) == set(topology.SERVICES) == set(get_args(ServiceName))
