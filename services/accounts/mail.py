"""Mail leaves: to the server in CROSSDOCK_SMTP_URL, or, without one, as files into the folder `outbox` of the data.

`smtp://user:password@host:587` turns to TLS (STARTTLS) where the server offers it and must where a password is sent;
`smtps://host:465` speaks TLS from the start.
"""

import asyncio
import os
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from shared import clock
from shared.errors import CrossdockError, Unavailable
from shared.settings import settings

_PATIENCE_SECONDS = 10.0


class MailNotSent(Unavailable):
    """The mail server did not take the mail now; it may later."""


class MailRefused(CrossdockError):
    """The mail server will never take this mail."""

    title = "The mail was refused"


class UnusableSmtpUrl(CrossdockError):
    """CROSSDOCK_SMTP_URL is not smtp:// or smtps:// with a host."""


@dataclass(frozen=True)
class Mail:
    """`id` makes the mail's Message-ID, so that one which is sent twice is recognized as one."""

    id: str
    recipient: str
    subject: str
    text: str


async def deliver(mail: Mail) -> None:
    """Send one mail, or write it into the outbox. Raises MailNotSent, MailRefused, UnusableSmtpUrl."""
    message = _message(mail)
    url = settings().smtp_url
    if url is None:
        await asyncio.to_thread(_write, message, settings().data / "outbox", mail.id)
    else:
        await _send(message, url.get_secret_value())


def _message(mail: Mail) -> EmailMessage:
    """Raises MailRefused for what cannot be a header: the library refuses line breaks there."""
    sender = settings().mail_from
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = sender
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2] or 'crossdock'}>"
        # RFC 3834: no holiday notice answers this.
        message["Auto-Submitted"] = "auto-generated"
    except ValueError as error:
        raise MailRefused(f"The mail cannot be written: {error}") from None
    message.set_content(mail.text)
    return message


def _write(message: EmailMessage, folder: Path, name: str) -> None:
    """Put the mail there whole or not at all, readable by nobody else: it may hold a one-time link."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = folder / f".{name}.part"
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(bytes(message))
        unfinished.replace(folder / f"{name}.eml")
    except OSError as error:
        raise MailNotSent(f"The outbox folder does not take mail: {error}") from error


async def _send(message: EmailMessage, url: str) -> None:
    try:
        await aiosmtplib.send(message, **_server(url), timeout=_PATIENCE_SECONDS)
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        raise _refusal(refused.code, refused.message) from error
    except aiosmtplib.SMTPResponseException as error:
        raise _refusal(error.code, error.message) from error
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise MailNotSent(f"The mail server does not answer: {error}") from error


def _refusal(code: int, text: str) -> CrossdockError:
    """RFC 5321 §4.2.1: 5yz is for ever. What the server says of our own credentials or order may yet be put right."""
    for_ever = 500 <= code < 600 and code not in (502, 503, 530, 534, 535, 538)
    return (MailRefused if for_ever else MailNotSent)(f"The mail server answered {code}: {text}")


def _server(url: str) -> dict[str, Any]:
    """Raises UnusableSmtpUrl."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise UnusableSmtpUrl("CROSSDOCK_SMTP_URL must look like smtp://user:password@host:587 or smtps://host:465.")
    is_tls = parts.scheme == "smtps"
    return {
        "hostname": parts.hostname,
        "port": parts.port or (465 if is_tls else 587),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": is_tls,
        "start_tls": False if is_tls else (True if parts.password else None),
    }
