"""Mail: to the outbox folder and over SMTP, retried, given up, and never a storm of alerts."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from deploy import topology
from services.accounts import listeners, mail, tasks
from services.accounts.letters import Letter, ListedAlert, alerts
from services.accounts.mail import Mail, MailNotSent, MailRefused, UnusableSmtpUrl, deliver
from services.accounts.use_cases import mailing
from services.accounts.use_cases.alerts import MAIL_PAUSE, REPEAT_PAUSE
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.accounts.messages import CreateShop
from shared.contracts.accounts.people import CreateUser
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.identifiers import new_id
from shared.security import SecretText
from shared.settings import Settings, settings
from shared.unit_of_work import UnitOfWork
from tests.fakes.smtp import FakeMailServer, mail_server
from tests.services.accounts.conftest import Speak

MAIL = Mail("0123456789abcdef", "ada@example.com", "Grüße", "Ein Link:\nhttps://example.com/#" + "x" * 200 + "\n.\n")
START = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


def using(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    changed = settings().model_copy(update=changes)
    monkeypatch.setattr(mail, "settings", lambda: changed)


@pytest.fixture
async def server(configuration: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeMailServer]:
    async with mail_server() as fake:
        using(monkeypatch, smtp_url=SecretStr(fake.url))
        yield fake


# --- one mail


async def test_without_a_server_mail_is_a_file(
    configuration: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    using(monkeypatch, data=tmp_path)
    for _ in range(2):
        await deliver(MAIL)
    [file] = (tmp_path / "outbox").iterdir()
    assert file.name == "0123456789abcdef.eml"
    written = message_from_bytes(file.read_bytes(), policy=default)
    assert (written["To"], written["Subject"]) == ("ada@example.com", "Grüße")
    assert written["Message-ID"] == "<0123456789abcdef@localhost>"
    assert written.get_content().replace("\r\n", "\n") == MAIL.text


async def test_an_outbox_that_cannot_be_written_is_tried_again_later(
    configuration: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    using(monkeypatch, data=tmp_path)
    with pytest.raises(MailNotSent):
        await deliver(MAIL)


async def test_over_smtp(server: FakeMailServer) -> None:
    await deliver(MAIL)
    assert server.recipients == ["ada@example.com"]
    assert server.mails[0]["Subject"] == "Grüße"
    assert server.mails[0]["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 No such user", MailRefused), ("450 Try later", MailNotSent), ("530 Log in first", MailNotSent)],
)
async def test_what_a_server_answers_is_for_ever_or_for_now(
    server: FakeMailServer, answer: str, error: type[Exception]
) -> None:
    server.answers = [answer]
    with pytest.raises(error, match=answer[:3]):
        await deliver(MAIL)


async def test_nobody_at_the_address_is_for_now_and_a_wrong_url_says_so(
    configuration: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server() as fake:
        gone = fake.url
    using(monkeypatch, smtp_url=SecretStr(gone))
    with pytest.raises(MailNotSent):
        await deliver(MAIL)
    using(monkeypatch, smtp_url=SecretStr("http://mail.example.com"))
    with pytest.raises(UnusableSmtpUrl):
        await deliver(MAIL)


@pytest.mark.feature("ACC-7")
@pytest.mark.parametrize("field", ["recipient", "subject"])
async def test_a_line_break_begins_no_header(server: FakeMailServer, field: str) -> None:
    content = {"recipient": "ada@example.com", "subject": "Hello", field: "x@example.com\r\nBcc: eve@example.com"}
    with pytest.raises(MailRefused):
        await deliver(Mail("id", text="text", **content))
    assert server.mails == []


def test_titles_of_others_stay_on_their_line() -> None:
    letter = alerts("Shop\r\nBcc: eve@example.com", [ListedAlert("error", "A\nB", "detail", 1)], "http://x")
    assert letter.subject == "Shop Bcc: eve@example.com: A B"
    many = alerts("Shop", [ListedAlert("error", "Broken", "", number) for number in range(1, 80)], "http://x")
    assert many.subject == "Shop: 79 alerts, Broken …"
    assert "… and 29 more." in many.text
    assert "(3 times)" in many.text


# --- mail as work for later


def work_for(process: topology.Surrounded, whose: Caller | None) -> UnitOfWork:
    organization_id = None if whose is None else whose.organization_id
    return process.surroundings.unit_of_work(
        "accounts", service_envelope("accounts", organization_id), across_tenants=whose is None
    )


async def waiting(process: topology.Surrounded, whose: Caller, kind: str = mailing.TASK) -> list[dict[str, Any]]:
    uow = work_for(process, whose)
    rows = await uow.fetch("SELECT payload, due_at FROM tasks WHERE kind = $1 ORDER BY id", kind)
    await uow.rollback()
    return [orjson.loads(row["payload"]) | {"due_at": row["due_at"]} for row in rows]


async def perform(process: topology.Surrounded, whose: Caller, kind: str = mailing.TASK) -> int:
    """What a worker does with the tasks of a kind: each in a transaction of its own that also removes it."""
    uow = work_for(process, whose)
    rows = await uow.fetch("DELETE FROM tasks WHERE kind = $1 RETURNING payload", kind)
    await uow.commit()
    for row in rows:
        uow = work_for(process, whose)
        function = tasks.send_mail if kind == mailing.TASK else tasks.mail_alerts
        await function(orjson.loads(row["payload"]), uow)
        await uow.commit()
    return len(rows)


async def test_the_text_of_a_waiting_mail_is_sealed(process: topology.Surrounded, founder: Caller) -> None:
    uow = work_for(process, founder)
    mailing.send(uow, "ada@example.com", Letter("Subject", "a one-time link"))
    await uow.commit()
    [task] = await waiting(process, founder)
    assert "one-time" not in str(task)


async def test_a_mail_is_tried_until_it_is_taken_each_time_later(
    process: topology.Surrounded, founder: Caller, server: FakeMailServer
) -> None:
    server.answers = ["450 Not now"] * 3
    uow = work_for(process, founder)
    mailing.send(uow, "ada@example.com", Letter("Subject", "Text"))
    await uow.commit()
    for pause in (timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=8)):
        before = clock.now()
        assert await perform(process, founder) == 1
        after = clock.now()
        [task] = await waiting(process, founder)
        assert before + pause <= task["due_at"] <= after + pause
    await perform(process, founder)
    assert await waiting(process, founder) == []
    assert [mail["Subject"] for mail in server.mails] == ["Subject"]


@pytest.mark.parametrize("way", ["refused", "too late"])
async def test_a_mail_that_never_arrives_is_an_alert_that_is_not_mailed(
    process: topology.Surrounded, ask: Speak, founder: Caller, server: FakeMailServer, way: str
) -> None:
    await ask(CreateUser(**person("owner")), founder)
    if way == "refused":
        server.answers = ["550 No such user"]
    uow = work_for(process, founder)
    mailing.send(uow, "ada@example.com", Letter("Subject", "Text"))
    await uow.commit()
    later = clock.now() + timedelta(days=3 if way == "too late" else 0)
    with clock.replaced(lambda: later):
        await perform(process, founder)
    assert server.mails == []
    uow = work_for(process, founder)
    payload = await uow.fetchval("SELECT payload FROM outbox WHERE name = 'platform.alert_raised'")
    await uow.rollback()
    raised = AlertRaised.model_validate_json(payload)
    assert (raised.cause, raised.severity) == ("accounts.mail", "warning")
    assert "ada@example.com" in raised.detail
    await hear(process, founder, raised)
    assert await waiting(process, founder, "accounts.mail_alerts") == []


# --- mail about alerts


def person(role: str, **more: Any) -> dict[str, Any]:
    return {
        "email": f"{role}.{new_id().hex[-8:]}@example.com",
        "name": role,
        "role": role,
        "password": SecretText("correct horse battery"),
        **more,
    }


def alert(at: datetime, cause: str, **more: Any) -> AlertRaised:
    fields = {"service": "catalog", "cause": cause, "severity": "error", "title": cause, "detail": "", **more}
    return AlertRaised(occurred_at=at, **fields)


async def hear(process: topology.Surrounded, whose: Caller, *events: Any) -> None:
    for event in events:
        uow = work_for(process, whose)
        if isinstance(event, AlertCleared):
            await listeners.close_alert_when_cleared(event, uow)
        else:
            await listeners.open_or_count_alert(event, uow)
        await uow.commit()


class Staff:
    """An organization with people of each role, and its mail over time."""

    def __init__(self, process: topology.Surrounded, founder: Caller, server: FakeMailServer) -> None:
        self.process, self.founder, self.server = process, founder, server
        self.now = START

    async def mailed(self) -> dict[str, str]:
        """Do what is due by now. Returns the new mails' subjects by recipient."""
        self.server.mails.clear()
        with clock.replaced(lambda: self.now):
            tasks_due = await waiting(self.process, self.founder, "accounts.mail_alerts")
            if any(task["due_at"] <= self.now for task in tasks_due):
                await perform(self.process, self.founder, "accounts.mail_alerts")
            await perform(self.process, self.founder)
        return {mail["To"].split(".")[0]: mail["Subject"] for mail in self.server.mails}

    async def hear(self, *events: Any) -> None:
        with clock.replaced(lambda: self.now):
            await hear(self.process, self.founder, *events)


@pytest.fixture
async def staff(process: topology.Surrounded, ask: Speak, founder: Caller, server: FakeMailServer) -> Staff:
    for role in ("owner", "admin", "manager", "viewer"):
        await ask(CreateUser(**person(role)), founder)
    return Staff(process, founder, server)


@pytest.mark.feature("OPS-5")
async def test_a_cause_is_mailed_once_to_those_who_can_do_something(staff: Staff) -> None:
    for minute in range(5):
        await staff.hear(alert(START + timedelta(seconds=minute), "feed.broken"))
    await staff.hear(alert(START, "note", severity="info"))
    staff.now += timedelta(seconds=5)
    assert await staff.mailed() == dict.fromkeys(("owner", "admin", "manager"), "Lisbon Bicycles: feed.broken")
    staff.now += timedelta(hours=3)
    await staff.hear(alert(staff.now, "feed.broken"))
    assert await staff.mailed() == {}


@pytest.mark.feature("OPS-5")
async def test_what_comes_together_is_one_mail_and_the_next_one_waits(staff: Staff) -> None:
    await staff.hear(*(alert(START, f"cause {number}") for number in range(30)))
    staff.now += timedelta(seconds=5)
    assert set((await staff.mailed()).values()) == {"Lisbon Bicycles: 30 alerts, cause 0 …"}
    staff.now += timedelta(seconds=5)
    await staff.hear(*(alert(staff.now, f"later {number}") for number in range(3)))
    assert await staff.mailed() == {}
    staff.now += MAIL_PAUSE
    assert set((await staff.mailed()).values()) == {"Lisbon Bicycles: 3 alerts, later 0 …"}


@pytest.mark.feature("OPS-5")
async def test_what_goes_to_and_fro_is_mailed_seldom_and_not_forgotten(staff: Staff) -> None:
    await staff.hear(alert(staff.now, "flapping"))
    staff.now += timedelta(seconds=5)
    assert len(await staff.mailed()) == 3
    for _ in range(10):
        staff.now += timedelta(minutes=1)
        await staff.hear(AlertCleared(service="catalog", cause="flapping", occurred_at=staff.now))
        staff.now += timedelta(seconds=1)
        await staff.hear(alert(staff.now, "flapping"))
        assert await staff.mailed() == {}
    staff.now += timedelta(minutes=15)
    assert await staff.mailed() == {}
    staff.now = START + REPEAT_PAUSE + timedelta(seconds=10)
    assert len(await staff.mailed()) == 3


@pytest.mark.feature("OPS-5")
async def test_what_is_over_before_it_is_mailed_is_not_mailed(staff: Staff) -> None:
    await staff.hear(alert(START, "short"), AlertCleared(service="catalog", cause="short", occurred_at=START))
    staff.now += timedelta(seconds=5)
    assert await staff.mailed() == {}


@pytest.mark.feature("OPS-5", "ACC-7")
async def test_who_is_limited_is_mailed_about_the_own_shops_and_their_sub_shops(
    ask: Speak, founder: Caller, staff: Staff
) -> None:
    main, other = [
        await ask(CreateShop(code=code, name=code, currency="USD", locale="en"), founder) for code in ("main", "other")
    ]
    below = await ask(CreateShop(code="below", name="below", currency="USD", locale="en", parent_id=main.id), founder)
    limited = person("manager", email=f"limited.{new_id().hex[-8:]}@example.com", shop_ids=[main.id])
    await ask(CreateUser(**limited), founder)
    await staff.hear(alert(START, "below", shop_id=below.id), alert(START, "other", shop_id=other.id))
    await staff.hear(alert(START, "nobodys"))
    staff.now += timedelta(seconds=5)
    mailed = await staff.mailed()
    assert mailed["limited"] == "Lisbon Bicycles: below"
    assert mailed["manager"].startswith("Lisbon Bicycles: 3 alerts")
    assert "viewer" not in mailed
