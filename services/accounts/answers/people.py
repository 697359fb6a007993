"""Messages about people and their sessions."""

from services.accounts.use_cases import passwords, resets, sessions, users
from shared.contracts.accounts.people import (
    Candidate,
    ChangePassword,
    ChangeUser,
    CreateUser,
    EndSession,
    FindPasswordReset,
    GetMe,
    GetUser,
    ListSessions,
    ListUsers,
    Me,
    RedeemPasswordReset,
    RemoveUser,
    RequestPasswordReset,
    ResetTarget,
    RestoreUser,
    Session,
    SignedIn,
    SignIn,
    SignOut,
    SignOutEverywhere,
    TakePasswordAttempt,
    TakeSignInAttempt,
    User,
    WithdrawUser,
)
from shared.contracts.base import Done, Page
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(SignIn, public=True)
async def sign_in(message: SignIn, uow: UnitOfWork) -> SignedIn:
    return await sessions.sign_in(uow, message)


@answers(SignOut, public=True)
async def sign_out(message: SignOut, uow: UnitOfWork) -> Done:
    await sessions.end_with_token(uow, users.require_person(uow), message.token)
    return Done()


@answers(SignOutEverywhere, public=True)
async def sign_out_everywhere(message: SignOutEverywhere, uow: UnitOfWork) -> Done:
    await users.sign_out_everywhere(uow, message.user_id)
    return Done()


@answers(EndSession, public=True)
async def end_session(message: EndSession, uow: UnitOfWork) -> Done:
    await sessions.end_one(uow, users.require_person(uow), message.session_id)
    return Done(id=message.session_id)


@answers(ListSessions, public=True)
async def list_sessions(message: ListSessions, uow: UnitOfWork) -> Page[Session]:
    return Page(items=await sessions.list_open(uow, users.require_person(uow)))


@answers(GetMe, public=True)
async def get_me(message: GetMe, uow: UnitOfWork) -> Me:
    return await users.me(uow)


@answers(ListUsers, scope="accounts:read")
async def list_users(message: ListUsers, uow: UnitOfWork) -> Page[User]:
    return await users.list_users(uow, message)


@answers(GetUser, scope="accounts:read")
async def get_user(message: GetUser, uow: UnitOfWork) -> User:
    return await users.get(uow, message.user_id)


@answers(CreateUser, scope="accounts:write")
async def create_user(message: CreateUser, uow: UnitOfWork) -> User:
    return await users.create(uow, message)


@answers(ChangeUser, scope="accounts:write")
async def change_user(message: ChangeUser, uow: UnitOfWork) -> User:
    return await users.change(uow, message.user_id, message.change)


@answers(WithdrawUser, scope="accounts:write")
async def withdraw_user(message: WithdrawUser, uow: UnitOfWork) -> User:
    return await users.withdraw(uow, message.user_id, message.reason)


@answers(RestoreUser, scope="accounts:write")
async def restore_user(message: RestoreUser, uow: UnitOfWork) -> User:
    return await users.restore(uow, message.user_id)


@answers(RemoveUser, scope="accounts:write")
async def remove_user(message: RemoveUser, uow: UnitOfWork) -> Done:
    await users.remove(uow, message.user_id)
    return Done(id=message.user_id)


@answers(ChangePassword, public=True)
async def change_password(message: ChangePassword, uow: UnitOfWork) -> Done:
    await users.change_password(uow, message)
    return Done()


@answers(RequestPasswordReset, public=True, across_tenants=True)
async def request_password_reset(message: RequestPasswordReset, uow: UnitOfWork) -> Done:
    await resets.request(uow, message.email)
    return Done()


@answers(RedeemPasswordReset, public=True)
async def redeem_password_reset(message: RedeemPasswordReset, uow: UnitOfWork) -> Done:
    await resets.redeem(uow, message.token, message.password)
    return Done()


# --- asked by accounts itself, each a transaction of its own


@answers(TakeSignInAttempt, internal=True, across_tenants=True)
async def take_sign_in_attempt(message: TakeSignInAttempt, uow: UnitOfWork) -> list[Candidate]:
    return await sessions.take_attempt(uow, message.email, message.address)


@answers(TakePasswordAttempt, internal=True)
async def take_password_attempt(message: TakePasswordAttempt, uow: UnitOfWork) -> Candidate | None:
    return await passwords.take_attempt(uow, message.user_id)


@answers(FindPasswordReset, internal=True)
async def find_password_reset(message: FindPasswordReset, uow: UnitOfWork) -> ResetTarget | None:
    return await resets.find_target(uow, message.token)
