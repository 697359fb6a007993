"""People: who they are, what they may do, how they sign in. Asked of accounts."""

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from shared.contracts.base import Change, Command, Done, Page, Query, Shape
from shared.pagination import First
from shared.security import SecretText

Role = Literal["owner", "admin", "manager", "viewer"]
# `invited`: has been sent a link and has set no password yet. `withdrawn`: kept, and may do nothing.
UserState = Literal["invited", "active", "withdrawn"]

LONGEST_PASSWORD = 1024
_LONGEST_EMAIL = 254
_DOMAIN_PART = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# RFC 5321 §4.1.2 without quoted local parts, which nobody has and every mail system reads differently.
_EMAIL = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*")


def _canonical_email(text: str) -> str:
    email = text.strip(" ").casefold()
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise ValueError("this is not an e-mail address; internationalized domains are written with xn--")
    return email


def _typed_password(password: SecretText) -> SecretText:
    text = password.reveal()
    if len(text) > LONGEST_PASSWORD:
        raise ValueError(f"a password has at most {LONGEST_PASSWORD} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the password contains half a character (a lone surrogate)")
    return password


# Kept and compared case-folded.
EmailAddress = Annotated[str, AfterValidator(_canonical_email), Field(max_length=320, examples=["ada@example.com"])]
Password = Annotated[SecretText, AfterValidator(_typed_password)]
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class User(Shape):
    """A person who works for the organization. `shop_ids` null: every shop; otherwise these and their sub-shops."""

    id: UUID
    email: str
    name: str
    role: Role
    state: UserState
    shop_ids: list[UUID] | None = None
    created_at: datetime
    last_signed_in_at: datetime | None = None


class Session(Shape):
    """One place a person is signed in at."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None = None
    user_agent: str | None = None


class SignedIn(Shape):
    """A session that has just begun. `token` is shown this once: `Authorization: Bearer cds_…`."""

    id: UUID
    token: SecretText
    expires_at: datetime
    organization_id: UUID
    user: User
    role: Role
    scopes: list[str]
    permissions: list[str]


class Me(Shape):
    """Who is signed in, and what that person may do."""

    user: User
    organization_id: UUID
    scopes: list[str]
    permissions: list[str]


class SignIn(Command[SignedIn]):
    """Begin a session with e-mail and password. `organization`: which one, for a person who works for several."""

    email: EmailAddress
    password: Password
    organization: UUID | None = None
    user_agent: Annotated[str, Field(max_length=1000)] | None = None


class SignOut(Command[Done]):
    """End the session that this token belongs to, if it is one of the caller's."""

    token: SecretText


class SignOutEverywhere(Command[Done]):
    """End every session: the caller's own, or (with the right to manage people) somebody else's."""

    user_id: UUID | None = None


class EndSession(Command[Done]):
    """End one of the caller's own sessions."""

    session_id: UUID


class ListSessions(Query[Page[Session]]):
    """The caller's own open sessions, newest first."""


class GetMe(Query[Me]):
    """Who is signed in."""


class ListUsers(Query[Page[User]]):
    """The organization's people by e-mail."""

    role: Role | None = None
    state: UserState | None = None
    first: First = 50
    after: str | None = None


class GetUser(Query[User]):
    """One person."""

    user_id: UUID


class CreateUser(Command[User]):
    """Let a person in. Without a password they are sent a one-time link to set one."""

    email: EmailAddress
    name: PersonName
    role: Role
    shop_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None
    password: Password | None = None


class UserChange(Change):
    """What is to change of a person. `shop_ids` null lifts a limitation to shops."""

    email: EmailAddress = ""
    name: PersonName = ""
    role: Role = "viewer"
    shop_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None


class ChangeUser(Command[User]):
    """Change what is given of a person."""

    user_id: UUID
    change: UserChange


class WithdrawUser(Command[User]):
    """Take away a person's access now, everywhere; they stay listed."""

    user_id: UUID
    reason: Annotated[str, Field(max_length=1000)] | None = None


class RestoreUser(Command[User]):
    """Give a withdrawn person access again."""

    user_id: UUID


class RemoveUser(Command[Done]):
    """Take a person off the list for good. What they did stays in the audit log."""

    user_id: UUID


class ChangePassword(Command[Done]):
    """Change one's own password; every other session ends."""

    current_password: Password
    new_password: Password
    # The session to keep; the gateway fills it in from the request.
    token: SecretText | None = None


class RequestPasswordReset(Command[Done]):
    """Mail a one-time link to set a new password. The answer is the same whether anybody has this address."""

    email: EmailAddress


class RedeemPasswordReset(Command[Done]):
    """Set a new password with the token of a one-time link; every session ends."""

    token: Annotated[SecretText, AfterValidator(_typed_password)]
    password: Password


# --- accounts asks itself, so that an attempt is counted even when what follows is refused


class Candidate(Shape):
    """Somebody whose password may be the one that was typed."""

    organization_id: UUID
    organization_name: str = ""
    user_id: UUID
    password_hash: SecretText


class TakeSignInAttempt(Command[list[Candidate]]):
    """Count an attempt to sign in, and find who might be meant. Internal."""

    email: str
    address: str | None = None


class TakePasswordAttempt(Command[Candidate | None]):
    """Count an attempt of a signed-in person to prove who they are. Internal."""

    user_id: UUID


class ResetTarget(Shape):
    """Whose password a link sets."""

    organization_id: UUID
    user_id: UUID
    email: str


class FindPasswordReset(Query[ResetTarget | None]):
    """Whom a one-time link belongs to, while it holds. Internal."""

    token: SecretText
