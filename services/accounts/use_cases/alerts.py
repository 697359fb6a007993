"""Alerts of all services: one per cause, counted, acknowledged, over when they are cleared, and mailed without haste.

Raising and clearing may arrive in any order; each carries when it happened.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, tuple_
from sqlmodel import col, select

from services.accounts import letters
from services.accounts.lists_errors import AlertNotFound
from services.accounts.models.lists import AlertRow
from services.accounts.use_cases import mailing
from services.accounts.use_cases.visibility import position, readable_services
from shared import clock
from shared.contracts.accounts.lists import Alert, ListAlerts
from shared.contracts.base import Page
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.contracts.platform.shapes import Actor
from shared.identifiers import derived_id
from shared.pagination import cursor_for
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

TASK = "accounts.mail_alerts"
# A person gets one mail at most so often, with everything that was raised meanwhile.
MAIL_PAUSE = timedelta(minutes=10)
# The first mail waits for what usually comes together.
_GATHER = timedelta(seconds=2)
# An alert that goes to and fro is mailed at most so often.
REPEAT_PAUSE = timedelta(hours=1)
_MOST_AT_ONCE = 1000

_IS_OPEN: ColumnElement[bool] = and_(
    col(AlertRow.last_raised_at).is_not(None),
    or_(col(AlertRow.cleared_at).is_(None), col(AlertRow.cleared_at) < col(AlertRow.last_raised_at)),
)


async def note_raised(uow: UnitOfWork, event: AlertRaised) -> None:
    """Open the cause's alert, or count it once more; one that was cleared later than this stays cleared."""
    alert = await _locked(uow, event.service, event.cause)
    if alert.was_raised(event) and alert.wants_mail and alert.cause != mailing.CAUSE:
        await _mail_soon(uow)


async def note_cleared(uow: UnitOfWork, event: AlertCleared) -> None:
    """The cause is over as of then; a raising of before that arrives late changes nothing any more."""
    alert = await _locked(uow, event.service, event.cause)
    alert.was_cleared(event.occurred_at)


async def _locked(uow: UnitOfWork, service: str, cause: str) -> AlertRow:
    """The cause's row, made if it is not there, held until the end of the transaction."""
    alert_id = derived_id("alert", uow.organization_id, service, cause)
    await uow.execute(
        "INSERT INTO alerts (organization_id, id, service, cause) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        uow.organization_id,
        alert_id,
        service,
        cause,
    )
    query = select(AlertRow).where(AlertRow.id == alert_id).with_for_update()
    return (await (await uow.session()).execute(query)).scalar_one()


async def list_alerts(uow: UnitOfWork, message: ListAlerts) -> Page[Alert]:
    """A page of alerts, the one raised last first."""
    order = col(AlertRow.last_raised_at), col(AlertRow.id)
    query = select(AlertRow).where(*_wanted(uow, message)).order_by(*(column.desc() for column in order))
    if message.after is not None:
        query = query.where(tuple_(*order) < tuple_(*position(message.after)))
    rows = list((await (await uow.session()).execute(query.limit(message.first + 1))).scalars())
    page, last = rows[: message.first], rows[message.first - 1 : message.first]
    following = cursor_for(str(last[0].last_raised_at), str(last[0].id)) if len(rows) > message.first else None
    return Page(items=[row.shape() for row in page], next=following)


def _wanted(uow: UnitOfWork, message: ListAlerts) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        col(AlertRow.last_raised_at).is_not(None),
        col(AlertRow.service).in_(readable_services(uow.caller)),
    ]
    if uow.caller.shop_ids is not None:
        wanted.append(or_(col(AlertRow.shop_id).is_(None), col(AlertRow.shop_id).in_(uow.caller.shop_ids)))
    if message.state is not None:
        wanted.append(_IS_OPEN if message.state == "open" else ~_IS_OPEN)
    for column, value in (
        (AlertRow.severity, message.severity),
        (AlertRow.service, message.service_name),
        (AlertRow.shop_id, message.shop_id),
    ):
        if value is not None:
            wanted.append(col(column) == value)
    return wanted


async def acknowledge(uow: UnitOfWork, alert_id: UUID, note: str | None) -> Alert:
    """Say that somebody is seeing to it. Raises AlertNotFound, MissingScope."""
    query = select(AlertRow).where(AlertRow.id == alert_id).with_for_update()
    alert = (await (await uow.session()).execute(query)).scalar_one_or_none()
    caller = uow.caller
    if alert is None or not alert.is_seen_by(caller, readable_services(caller)):
        raise AlertNotFound("There is no such alert.")
    caller.require(f"{alert.service}:write")
    actor = Actor(kind=caller.kind, id=caller.id, name=caller.name, address=caller.address)
    alert.acknowledged_at, alert.acknowledged_by, alert.note = clock.now(), actor.model_dump(mode="json"), note
    uow.audit("alert.acknowledge", "alert", alert_id, reason=note, after={"cause": alert.cause})
    return alert.shape()


# --- mail


async def mail(uow: UnitOfWork) -> None:
    """Mail what was raised and not mailed yet: one mail each to those who are to see it (task)."""
    now = clock.now()
    waiting = await _list_unmailed(uow)
    due = [alert for alert in waiting if alert.mailed_at is None or alert.mailed_at <= now - REPEAT_PAUSE]
    later = [alert.mailed_at + REPEAT_PAUSE for alert in waiting if alert.mailed_at and alert not in due]
    if due:
        await _write_letters(uow, due)
    for alert in due:
        alert.mailed_at = now
    if len(waiting) == _MOST_AT_ONCE:
        later.append(now + MAIL_PAUSE)
    if later:
        uow.defer(TASK, {}, due_at=min(later), key="all")


async def _write_letters(uow: UnitOfWork, due: list[AlertRow]) -> None:
    name = await uow.fetchval("SELECT name FROM organizations") or "Crossdock"
    for recipient, seen in await _recipients(uow):
        raised = [_listed(alert) for alert in due if seen is None or alert.shop_id in seen]
        if raised:
            mailing.send(uow, recipient, letters.alerts(name, raised, f"{settings().base_url}/v1/alerts"))


async def _list_unmailed(uow: UnitOfWork) -> list[AlertRow]:
    is_new = or_(col(AlertRow.mailed_at).is_(None), col(AlertRow.mailed_at) < col(AlertRow.first_raised_at))
    query = (
        select(AlertRow)
        .where(_IS_OPEN, is_new, AlertRow.severity != "info", AlertRow.cause != mailing.CAUSE)
        .order_by(col(AlertRow.severity), col(AlertRow.first_raised_at))
        .limit(_MOST_AT_ONCE)
        .with_for_update()
    )
    return list((await (await uow.session()).execute(query)).scalars())


async def _mail_soon(uow: UnitOfWork) -> None:
    """Leave one task per organization, not before the pause after its last mail."""
    now = clock.now()
    last: datetime | None = await uow.fetchval("SELECT max(mailed_at) FROM alerts")
    uow.defer(TASK, {}, due_at=max(now + _GATHER, last + MAIL_PAUSE) if last else now + _GATHER, key="all")


async def _recipients(uow: UnitOfWork) -> list[tuple[str, list[UUID] | None]]:
    """Who is told of alerts: address, and the shops it is about for those who are limited to some."""
    rows = await uow.fetch(
        "WITH RECURSIVE seen AS (SELECT user_id, shop_id AS id FROM user_shops"
        " UNION SELECT seen.user_id, s.id FROM shops s JOIN seen ON s.parent_id = seen.id)"
        " SELECT email, is_limited_to_shops, ARRAY(SELECT seen.id FROM seen WHERE seen.user_id = users.id) AS shop_ids"
        " FROM users WHERE state = 'active' AND role IN ('owner', 'admin', 'manager') ORDER BY email"
    )
    return [(row["email"], row["shop_ids"] if row["is_limited_to_shops"] else None) for row in rows]


def _listed(alert: AlertRow) -> letters.ListedAlert:
    return letters.ListedAlert(alert.severity or "", alert.title, alert.detail, alert.count)
