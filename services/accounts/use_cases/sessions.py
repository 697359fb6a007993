"""Signing in and out (ACC-7). A session's token is kept as a digest, and everything it stands for is looked up anew."""

from datetime import datetime, timedelta
from uuid import UUID

from services.accounts import people_repository as repository
from services.accounts.errors import InvalidToken
from services.accounts.models.people import SessionRow, UserRow
from services.accounts.people_errors import AlreadySignedIn, SessionNotFound, SeveralOrganizations, WrongCredentials
from services.accounts.repository import enter
from services.accounts.use_cases import attempts, passwords, revocation
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.accounts.people import Candidate, Session, SignedIn, SignIn, TakeSignInAttempt
from shared.contracts.accounts.shapes import Identity
from shared.identifiers import new_id
from shared.security import SecretText, digest, new_secret
from shared.unit_of_work import UnitOfWork

PREFIX = "cds_"
# A row is touched at most so often, so that reading with a session does not write each time.
_TOUCH_EVERY = timedelta(minutes=1)
# How long a place somebody signed in from counts as known.
REMEMBERED = timedelta(days=30)


async def sign_in(uow: UnitOfWork, message: SignIn) -> SignedIn:
    """Begin a session. The answer to a wrong password and to an unknown address is the same, after the same time.

    Raises WrongCredentials, SeveralOrganizations, TooManyAttempts, Overloaded, AlreadySignedIn.
    """
    if uow.caller.organization_id is not None:
        raise AlreadySignedIn("This request is signed in already; sign out first.")
    address = uow.caller.address
    with passwords.admitted():
        candidates = await uow.ask(TakeSignInAttempt(email=message.email, address=address))
        meant = [one for one in candidates if message.organization in (None, one.organization_id)]
        person = await _whose_password(meant, message.password)
        anew = await passwords.rehashed(message.password, person.password_hash.reveal())
    uow.act_as(
        Caller(
            kind="user",
            organization_id=person.organization_id,
            id=person.user_id,
            name=message.email,
            address=address,
        )
    )
    user = await repository.get_user(uow, person.user_id, for_update=True)
    if not user.is_active or user.password_hash != person.password_hash.reveal():
        raise WrongCredentials("E-mail or password is wrong.")
    user.password_hash = anew or user.password_hash
    user.last_signed_in_at = clock.now()
    await attempts.forgive(uow, message.email, address)
    return await _begin(uow, user, message.user_agent)


async def take_attempt(uow: UnitOfWork, email: str, address: str | None) -> list[Candidate]:
    """Count an attempt, and find who might be meant in any organization. Raises TooManyAttempts."""
    people, is_known_address = await repository.list_with_email(uow, email, address)
    await attempts.take(uow, email, address, is_known_address=is_known_address)
    return people


async def _whose_password(candidates: list[Candidate], password: SecretText) -> Candidate:
    """Raises WrongCredentials, SeveralOrganizations (told only to somebody whose password is right)."""
    right = [one for one in candidates if await passwords.is_right(password, one.password_hash.reveal())]
    if not candidates:
        await passwords.is_right(password, None)
    if not right:
        raise WrongCredentials("E-mail or password is wrong.")
    if len(right) > 1:
        errors = [{"organization": str(one.organization_id), "name": one.organization_name} for one in right]
        raise SeveralOrganizations("You work for several organizations: say which in 'organization'.", errors)
    return right[0]


async def _begin(uow: UnitOfWork, user: UserRow, user_agent: str | None) -> SignedIn:
    now, token = clock.now(), new_secret(PREFIX)
    session = SessionRow(
        organization_id=user.organization_id,
        id=new_id(),
        user_id=user.id,
        digest=digest(token),
        created_at=now,
        last_seen_at=now,
        expires_at=now + SessionRow.LONGEST,
        address=uow.caller.address,
        user_agent=_printable(user_agent),
    )
    (await uow.session()).add_all([user, session])
    uow.audit("session.begin", "user", user.id)
    shape = user.shape((await repository.shops_of(uow, [user.id])).get(user.id, []))
    return SignedIn(
        id=session.id,
        token=SecretText(token),
        expires_at=session.expires_at,
        organization_id=user.organization_id,
        user=shape,
        role=shape.role,
        scopes=sorted(user.grant.scopes),
        permissions=sorted(user.grant.permissions),
    )


async def identify(uow: UnitOfWork, token_digest: bytes) -> Identity:
    """Whom an open session stands for, as they are this moment. Using it keeps it from idling out.

    Raises InvalidToken.
    """
    await enter(uow, await uow.fetchval("SELECT organization_of_session($1)", token_digest))
    version = await revocation.version(uow)
    session, now = await repository.find_session(uow, token_digest), clock.now()
    if session is None or not session.is_open(now):
        raise InvalidToken("The session has ended; sign in again.")
    user = await repository.get_user(uow, session.user_id)
    if not user.is_active:
        raise InvalidToken("Your access was withdrawn.")
    if now - session.last_seen_at >= _TOUCH_EVERY:
        session.last_seen_at = now
        (await uow.session()).add(session)
    return Identity(
        kind="user",
        organization_id=user.organization_id,
        id=user.id,
        name=user.name,
        scopes=sorted(user.grant.scopes),
        permissions=sorted(user.grant.permissions),
        shop_ids=await repository.shops_seen_by(uow, user.id) if user.is_limited_to_shops else None,
        valid_until=session.valid_until,
        revocation_version=version,
    )


async def list_open(uow: UnitOfWork, user_id: UUID) -> list[Session]:
    """The places somebody is signed in at, newest first."""
    return [session.shape() for session in await repository.list_open_sessions(uow, user_id, clock.now())]


async def end_with_token(uow: UnitOfWork, user_id: UUID, token: SecretText) -> None:
    """End the session of this token, if it is this person's; one that has ended already is no error."""
    await _end(uow, user_id, only_digest=digest(token.reveal()))


async def end_one(uow: UnitOfWork, user_id: UUID, session_id: UUID) -> None:
    """End one of this person's sessions. Raises SessionNotFound."""
    if not await _end(uow, user_id, only_id=session_id):
        raise SessionNotFound("There is no such open session.")


async def end_all(uow: UnitOfWork, user_id: UUID, *, but: SecretText | None = None) -> None:
    """End every session of a person, everywhere within a second; with `but`, all others than this one."""
    await _end(uow, user_id, kept_digest=None if but is None else digest(but.reveal()))


async def _end(
    uow: UnitOfWork,
    user_id: UUID,
    *,
    only_digest: bytes | None = None,
    only_id: UUID | None = None,
    kept_digest: bytes | None = None,
) -> bool:
    status = await uow.execute(
        "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL"
        " AND ($3::bytea IS NULL OR digest = $3) AND ($4::uuid IS NULL OR id = $4)"
        " AND ($5::bytea IS NULL OR digest <> $5)",
        user_id,
        clock.now(),
        only_digest,
        only_id,
        kept_digest,
    )
    await revocation.bump(uow)
    return status != "UPDATE 0"


async def forget_old(uow: UnitOfWork, now: datetime) -> None:
    """Drop sessions nobody has used for long, of every organization."""
    await uow.execute("DELETE FROM sessions WHERE last_seen_at < $1", now - REMEMBERED)


def _printable(text: str | None) -> str | None:
    """What a browser says of itself, without what could not be stored or shown."""
    return None if text is None else "".join(letter for letter in text if letter.isprintable())[:300]
