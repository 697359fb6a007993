"""Mail, the keys that sign, and what has served its time."""

from typing import Any

from services.accounts.use_cases import alerts, attempts, jobs, keys, mailing, resets, sessions, tokens
from shared import clock
from shared.retention import AT_ONCE, go_on
from shared.service import every, performs
from shared.settings import settings
from shared.unit_of_work import UnitOfWork


@performs(mailing.TASK)
async def send_mail(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await mailing.deliver_later(uow, payload)


@performs(resets.TASK)
async def mail_password_reset(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await resets.mail_links(uow, payload["email"])


@performs(alerts.TASK)
async def mail_alerts(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await alerts.mail(uow)


@every(3600)
async def forget_people_traces(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Drop attempts, links and sessions that have served their time, of every organization."""
    now = clock.now()
    await attempts.forget_old(uow)
    await resets.forget_old(uow, now)
    await sessions.forget_old(uow, now)


@every(3600)
async def rotate_signing_keys(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Follow the signing key before it grows old."""
    await keys.rotate(uow)


@every(300)
async def forget_expired_tokens(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Drop revoked tokens that have expired, and wrong secrets of some time ago."""
    await tokens.forget_expired(uow)


@every(3600)
async def forget_ended_jobs(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Jobs of every service that ended long ago leave the list, as they leave the service that ran them."""
    go_on(uow, "forget_ended_jobs", await jobs.forget_ended(uow, settings().job_retention, AT_ONCE))
