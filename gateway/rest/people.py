"""People, their sessions and passwords."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field
from starlette.requests import Request

from gateway.credentials import CONSOLE_HEADER, SESSION_COOKIE, presented_in
from gateway.request import Ask, bus, identities
from shared import clock
from shared.bus.ask import Asker
from shared.bus.envelope import ANONYMOUS
from shared.contracts.accounts.people import (
    ChangePassword,
    ChangeUser,
    CreateUser,
    EmailAddress,
    EndSession,
    GetMe,
    GetUser,
    ListSessions,
    ListUsers,
    Me,
    Password,
    RedeemPasswordReset,
    RemoveUser,
    RequestPasswordReset,
    RestoreUser,
    Role,
    Session,
    SignedIn,
    SignIn,
    SignOut,
    SignOutEverywhere,
    User,
    UserChange,
    UserState,
    WithdrawUser,
)
from shared.contracts.base import Page, Shape
from shared.pagination import First
from shared.security import SecretText
from shared.settings import settings

router = APIRouter(prefix="/v1", tags=["people"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Credentials(Shape):
    """E-mail and password, and the organization for a person who works for several."""

    email: EmailAddress
    password: Password
    organization: UUID | None = None


class Withdrawal(Shape):
    """Why; it is kept in the audit log."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class NewPassword(Shape):
    """The password so far, and the one to be."""

    current_password: Password
    new_password: Password


async def _as_nobody(request: Request) -> Asker:
    """Whoever signs in or forgot the password is nobody yet, whatever old credential the request still carries."""
    caller = msgspec.structs.replace(ANONYMOUS, address=identities(request).address_of(request))
    return Asker(bus(request), caller, request.state.request_id, traceparent=request.headers.get("traceparent"))


AskAsNobody = Annotated[Asker, Depends(_as_nobody)]


# --- sessions


@router.post("/sessions", status_code=201)
async def sign_in(credentials: Credentials, request: Request, response: Response, ask: AskAsNobody) -> SignedIn:
    """Sign in with e-mail and password.

    Send the answer's `token` as `Authorization: Bearer cds_…`. It is shown this once. A page of our own, which is one
    that sends `X-Crossdock-Console: 1` or is fetched from the same origin, gets it as a cookie, too.

    A person who works for several organizations with the same password hears 409 `several_organizations` with a list,
    and says which in `organization`. After too many wrong passwords: 429 with `Retry-After`.
    """
    agent = request.headers.get("user-agent", "")[:1000] or None
    signed = await ask(SignIn(**dict(credentials), user_agent=agent))
    if _is_own_page(request):
        _set_cookie(response, signed)
    return signed


@router.get("/sessions")
async def list_sessions(ask: Ask) -> Page[Session]:
    """Where you are signed in, newest first."""
    return await ask(ListSessions())


@router.get("/sessions/current")
async def get_current_session(ask: Ask) -> Me:
    """Who you are and what you may do."""
    return await ask(GetMe())


@router.delete("/sessions/current", status_code=204)
async def sign_out(request: Request, response: Response, ask: Ask) -> None:
    """Sign out here."""
    await ask(SignOut(token=_token_of(request)))
    response.delete_cookie(SESSION_COOKIE)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: UUID, ask: Ask) -> None:
    """Sign out at one of the places where you are signed in."""
    await ask(EndSession(session_id=session_id))


@router.delete("/sessions", status_code=204)
async def sign_out_everywhere(response: Response, ask: Ask) -> None:
    """Sign out everywhere, here too."""
    await ask(SignOutEverywhere())
    response.delete_cookie(SESSION_COOKIE)


# --- passwords


@router.post("/users/current/change-password", status_code=204)
async def change_password(body: NewPassword, request: Request, ask: Ask) -> None:
    """Change your password. You stay signed in here and are signed out everywhere else."""
    await ask(ChangePassword(**dict(body), token=_token_of(request)))


@router.post("/password-resets", status_code=202)
async def request_password_reset(message: RequestPasswordReset, ask: AskAsNobody) -> Response:
    """Ask for a one-time link to set a new password. The answer is the same whether anybody has this address."""
    await ask(message)
    return Response(status_code=202)


@router.post("/password-resets/redeem", status_code=204)
async def redeem_password_reset(message: RedeemPasswordReset, request: Request, ask: AskAsNobody) -> None:
    """Set a new password with the token of a one-time link. It works once, and signs you out everywhere."""
    await ask(message)
    await identities(request).withdrawn()


# --- people


@router.post("/users", status_code=201)
async def create_user(message: CreateUser, ask: Ask, response: Response) -> User:
    """Let a person in. Without `password` they are mailed a one-time link to set one.

    Roles are `owner`, `admin`, `manager` and `viewer`; the last two can be limited to shops with `shop_ids`, which
    include their sub-shops. Nobody can give more than they have.
    """
    user = await ask(message)
    response.headers["Location"] = f"/v1/users/{user.id}"
    return user


@router.get("/users")
async def list_users(
    ask: Ask, role: Role | None = None, state: UserState | None = None, first: First = 50, after: Cursor = None
) -> Page[User]:
    """The people of your organization, by e-mail address."""
    return await ask(ListUsers(role=role, state=state, first=first, after=after))


@router.get("/users/{user_id}")
async def get_user(user_id: UUID, ask: Ask) -> User:
    """One person."""
    return await ask(GetUser(user_id=user_id))


@router.patch("/users/{user_id}")
async def change_user(user_id: UUID, change: UserChange, ask: Ask) -> User:
    """Change what is given. A new role or limit holds from the person's next request on.

    The last owner stays owner: 409 `last_owner`.
    """
    return await ask(ChangeUser(user_id=user_id, change=change))


@router.post("/users/{user_id}/withdraw")
async def withdraw_user(user_id: UUID, ask: Ask, body: Withdrawal | None = None) -> User:
    """Take a person's access away, everywhere, from the next request on. They stay listed and can be restored."""
    return await ask(WithdrawUser(user_id=user_id, reason=body.reason if body else None))


@router.post("/users/{user_id}/restore")
async def restore_user(user_id: UUID, ask: Ask) -> User:
    """Give a withdrawn person access again."""
    return await ask(RestoreUser(user_id=user_id))


@router.post("/users/{user_id}/sign-out", status_code=204)
async def sign_user_out(user_id: UUID, ask: Ask) -> None:
    """End every session of a person."""
    await ask(SignOutEverywhere(user_id=user_id))


@router.delete("/users/{user_id}", status_code=204)
async def remove_user(user_id: UUID, ask: Ask) -> None:
    """Take a person off the list for good. What they did stays in the audit log."""
    await ask(RemoveUser(user_id=user_id))


# --- cookies


def _is_own_page(request: Request) -> bool:
    """By the same rule as cookies are believed (gateway/credentials.py), so that no other site can sign anybody in."""
    return CONSOLE_HEADER.decode() in request.headers or request.headers.get("sec-fetch-site") == "same-origin"


def _set_cookie(response: Response, signed: SignedIn) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        signed.token.reveal(),
        max_age=int((signed.expires_at - clock.now()).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings().base_url.startswith("https:"),
    )


def _token_of(request: Request) -> SecretText:
    """The session's token, wherever the request carries it; something that is none ends no session."""
    presented = presented_in(request.scope)
    value = b"" if presented is None else presented.value
    return SecretText(value.rpartition(b" ")[2].decode("ascii", "replace"))
