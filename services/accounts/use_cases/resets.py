"""One-time links to set a password: for who forgot it, and for who has none yet."""

from datetime import datetime, timedelta
from uuid import UUID

from services.accounts import letters
from services.accounts import people_repository as repository
from services.accounts.models.people import UserRow
from services.accounts.people_errors import PasswordResetInvalid
from services.accounts.use_cases import attempts, mailing, passwords, sessions
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.accounts.people import FindPasswordReset, ResetTarget
from shared.identifiers import new_id
from shared.security import SecretText, digest, new_secret
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

PREFIX = "cdr_"
LIFETIME = timedelta(hours=1)
WELCOME_LIFETIME = timedelta(days=7)
# More links in one lifetime than a person can need would only fill a stranger's mailbox.
MOST_LINKS = 3
TASK = "accounts.mail_password_reset"


async def request(uow: UnitOfWork, email: str) -> None:
    """Leave the search for who is meant, and the mail, to a task: the answer takes as long for nobody as for somebody.

    Raises TooManyAttempts, whether there is such a person or not.
    """
    await attempts.take(uow, f"reset {email}", uow.caller.address)
    uow.defer(TASK, {"email": email})


async def mail_links(uow: UnitOfWork, email: str) -> None:
    """Mail a link for each organization this address belongs to. Works across tenants."""
    now = clock.now()
    # Tasks for the same address count one after the other.
    await uow.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", email)
    for organization_id, organization_name, user_id in await repository.list_to_reset(uow, email):
        recent = await uow.fetchval(
            "SELECT count(*) FROM password_resets WHERE (organization_id, user_id) = ($1, $2) AND created_at > $3",
            organization_id,
            user_id,
            now - LIFETIME,
        )
        if recent >= MOST_LINKS:
            continue
        token = await _write(uow, organization_id, user_id, now + LIFETIME)
        letter = letters.password_reset(organization_name, _link(token))
        mailing.send(uow, email, letter, expires_at=now + LIFETIME)


async def welcome(uow: UnitOfWork, user: UserRow) -> None:
    """Mail somebody who was just let in the link to set a password."""
    expires_at = clock.now() + WELCOME_LIFETIME
    token = await _write(uow, user.organization_id, user.id, expires_at)
    name = await uow.fetchval("SELECT name FROM organizations")
    mailing.send(uow, user.email, letters.welcome(name, user.name, _link(token)), expires_at=expires_at)


async def redeem(uow: UnitOfWork, token: SecretText, password: SecretText) -> None:
    """Set a new password; the link is used up and every session ends. Raises PasswordResetInvalid, WeakPassword."""
    with passwords.admitted():
        target = await uow.ask(FindPasswordReset(token=token))
        if target is None:
            raise PasswordResetInvalid("This link was used, has expired, or never was; ask for a new one.")
        passwords.check_strength(password, target.email)
        password_hash = await passwords.hashed(password)
    if uow.caller.organization_id is None:
        uow.act_as(
            Caller(
                kind="user",
                organization_id=target.organization_id,
                id=target.user_id,
                name=target.email,
                address=uow.caller.address,
            )
        )
    used = await uow.fetchval(
        "DELETE FROM password_resets WHERE digest = $1 AND user_id = $2 AND expires_at > $3 RETURNING true",
        digest(token.reveal()),
        target.user_id,
        clock.now(),
    )
    if not used:
        raise PasswordResetInvalid("This link was used, has expired, or never was; ask for a new one.")
    user = await repository.get_user(uow, target.user_id, for_update=True)
    user.set_password(password_hash)
    await repository.write(uow, user)
    await forget(uow, user.id)
    await sessions.end_all(uow, user.id)
    await attempts.forgive(uow, user.email, uow.caller.address)
    uow.audit("user.reset_password", "user", user.id)


async def find_target(uow: UnitOfWork, token: SecretText) -> ResetTarget | None:
    """Whose password a link sets, in any organization, while it holds."""
    return await repository.find_reset(uow, digest(token.reveal()), clock.now())


async def forget(uow: UnitOfWork, user_id: UUID) -> None:
    """Void every link of a person."""
    await uow.execute("DELETE FROM password_resets WHERE user_id = $1", user_id)


async def forget_old(uow: UnitOfWork, now: datetime) -> None:
    """Drop links that have expired, of every organization."""
    await uow.execute("DELETE FROM password_resets WHERE expires_at < $1", now)


async def _write(uow: UnitOfWork, organization_id: UUID, user_id: UUID, expires_at: datetime) -> str:
    token = new_secret(PREFIX)
    await uow.execute(
        "INSERT INTO password_resets (organization_id, id, user_id, digest, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        organization_id,
        new_id(),
        user_id,
        digest(token),
        clock.now(),
        expires_at,
    )
    return token


def _link(token: str) -> str:
    # Behind a #, which browsers do not send: the token stays out of every log on the way.
    return f"{settings().base_url.rstrip('/')}/console/password-resets#{token}"
