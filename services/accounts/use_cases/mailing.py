"""Mail as work for later: a task holds the sealed text until a server has taken it, or until it no longer matters."""

from datetime import datetime, timedelta
from typing import Any

import structlog

from services.accounts.letters import Letter
from services.accounts.mail import Mail, MailNotSent, MailRefused, UnusableSmtpUrl, deliver
from shared import clock
from shared.contracts.platform.events import AlertRaised
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.security import seal, unseal
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.mail")

TASK = "accounts.send_mail"
# An alert of this cause is not mailed: it says that mail does not arrive.
CAUSE = "accounts.mail"
_LIFETIME = timedelta(days=2)
_LONGEST_PAUSE = timedelta(minutes=30)
_PURPOSE = "mail"


def send(uow: UnitOfWork, recipient: str, letter: Letter, *, expires_at: datetime | None = None) -> None:
    """Leave a mail to be sent once this transaction commits; after `expires_at` it is not sent any more."""
    uow.defer(
        TASK,
        {
            "mail_id": new_id().hex,
            "recipient": recipient,
            "subject": letter.subject,
            "sealed_text": seal(letter.text, _PURPOSE),
            "expires_at": (expires_at or clock.now() + _LIFETIME).isoformat(),
            "attempts": 0,
        },
    )


async def deliver_later(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """Try a mail once; if the server does not take it now, leave it for later, each time longer.

    The mail leaves before `uow` is opened. A crash after that sends it again under the same Message-ID.
    """
    mail = Mail(payload["mail_id"], payload["recipient"], payload["subject"], unseal(payload["sealed_text"], _PURPOSE))
    if clock.now() >= datetime.fromisoformat(payload["expires_at"]):
        _give_up(uow, mail, MailRefused("It could not be sent in time."))
        return
    try:
        await deliver(mail)
    except MailRefused as error:
        _give_up(uow, mail, error)
    except (MailNotSent, UnusableSmtpUrl) as error:
        attempts = payload["attempts"] + 1
        pause = min(_LONGEST_PAUSE, timedelta(seconds=2 ** min(attempts, 16)))
        log.warning("mail_waits", mail_id=mail.id, attempts=attempts, error=error.detail)
        uow.defer(TASK, payload | {"attempts": attempts}, due_at=clock.now() + pause)


def _give_up(uow: UnitOfWork, mail: Mail, error: CrossdockError) -> None:
    log.error("mail_not_sent", mail_id=mail.id, error=error.detail)
    if uow.caller.organization_id is None:
        return
    uow.record(
        AlertRaised(
            service="accounts",
            cause=CAUSE,
            severity="warning",
            title="Mail does not arrive",
            detail=f"The mail '{mail.subject}' to {mail.recipient} was not sent: {error.detail}",
        )
    )
