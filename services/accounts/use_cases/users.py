"""The people of an organization: who is let in, as what, and for which shops (ACC-7)."""

from typing import Any
from uuid import UUID

from services.accounts import people_repository as repository
from services.accounts import permissions
from services.accounts.models.people import UserRow
from services.accounts.people_errors import LastOwner, MayNotGrant, OnlyForPeople
from services.accounts.use_cases import passwords, resets, revocation, sessions
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.accounts.people import ChangePassword, CreateUser, ListUsers, Me, Role, User, UserChange
from shared.contracts.base import Page
from shared.errors import Unauthenticated
from shared.identifiers import new_id
from shared.pagination import cursor_for
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, message: CreateUser) -> User:
    """Let a person in; without a password they are mailed a one-time link to set one.

    Raises MayNotGrant, WeakPassword, EmailTaken, LimitNeedsRole, UnknownShop.
    """
    _check_may_manage(uow.caller, message.role)
    password_hash = None
    if message.password is not None:
        passwords.check_strength(message.password, message.email, message.name)
        password_hash = await passwords.hashed(message.password)
    user = UserRow(
        organization_id=uow.organization_id,
        id=new_id(),
        email=message.email,
        name=message.name,
        role=message.role,
        state="invited",
        created_at=clock.now(),
    )
    user.limit_to_shops(message.shop_ids is not None)
    if password_hash is not None:
        user.set_password(password_hash)
    await repository.write(uow, user)
    if message.shop_ids is not None:
        await repository.replace_shops(uow, user.id, message.shop_ids)
    if password_hash is None:
        await resets.welcome(uow, user)
    shop_ids = sorted(message.shop_ids) if message.shop_ids else None
    uow.audit("user.create", "user", user.id, after=_audited(user, shop_ids))
    return user.shape(shop_ids)


async def change(uow: UnitOfWork, user_id: UUID, change: UserChange) -> User:
    """Change what is given. A new role or limit holds from the next request on.

    Raises UserNotFound, MayNotGrant, LastOwner, EmailTaken, LimitNeedsRole, UnknownShop.
    """
    owners = await repository.lock_owners(uow)
    user = await repository.get_user(uow, user_id, for_update=True)
    _check_may_manage(uow.caller, user.role)
    shop_ids = (await repository.shops_of(uow, [user_id])).get(user_id)
    before = _audited(user, shop_ids)
    await _apply(uow, user, change)
    if "shop_ids" in change.model_fields_set:
        shop_ids = await _limit(uow, user, change.shop_ids)
    user.check_limit()
    _check_owner_remains(owners, user)
    await repository.write(uow, user)
    await revocation.bump(uow)
    uow.audit("user.change", "user", user_id, before=before, after=_audited(user, shop_ids))
    return user.shape(shop_ids)


async def _apply(uow: UnitOfWork, user: UserRow, change: UserChange) -> None:
    given = change.given()
    if "role" in given:
        _check_may_manage(uow.caller, change.role)
        user.role = change.role
    if "name" in given:
        user.name = change.name
    if "email" in given and change.email != user.email:
        # A link that was mailed to the old address must not set the password of the new one.
        await resets.forget(uow, user.id)
        user.email = change.email


async def _limit(uow: UnitOfWork, user: UserRow, shop_ids: list[UUID] | None) -> list[UUID] | None:
    user.is_limited_to_shops = shop_ids is not None
    await repository.replace_shops(uow, user.id, shop_ids or [])
    return sorted(set(shop_ids)) if shop_ids is not None else None


async def withdraw(uow: UnitOfWork, user_id: UUID, reason: str | None) -> User:
    """Take a person's access away everywhere, from the next request on. Raises UserNotFound, LastOwner, MayNotGrant."""
    owners = await repository.lock_owners(uow)
    user = await repository.get_user(uow, user_id, for_update=True)
    _check_may_manage(uow.caller, user.role)
    user.withdraw()
    _check_owner_remains(owners, user)
    await repository.write(uow, user)
    await resets.forget(uow, user_id)
    await sessions.end_all(uow, user_id)
    uow.audit("user.withdraw", "user", user_id, reason=reason)
    return await shape(uow, user)


async def restore(uow: UnitOfWork, user_id: UUID) -> User:
    """Give a withdrawn person access again, with the password they had. Raises UserNotFound, MayNotGrant."""
    user = await repository.get_user(uow, user_id, for_update=True)
    _check_may_manage(uow.caller, user.role)
    if user.state == "withdrawn":
        user.restore()
        await repository.write(uow, user)
        uow.audit("user.restore", "user", user_id)
    return await shape(uow, user)


async def remove(uow: UnitOfWork, user_id: UUID) -> None:
    """Take a person off the list for good, sessions included. Raises UserNotFound, LastOwner, MayNotGrant."""
    owners = await repository.lock_owners(uow)
    user = await repository.get_user(uow, user_id, for_update=True)
    _check_may_manage(uow.caller, user.role)
    before = _audited(user, (await repository.shops_of(uow, [user_id])).get(user_id))
    user.withdraw()
    _check_owner_remains(owners, user)
    await repository.delete_user(uow, user)
    await revocation.bump(uow)
    uow.audit("user.remove", "user", user_id, before=before)


async def get(uow: UnitOfWork, user_id: UUID) -> User:
    """Raises UserNotFound."""
    return await shape(uow, await repository.get_user(uow, user_id))


async def list_users(uow: UnitOfWork, message: ListUsers) -> Page[User]:
    """A page of people by e-mail."""
    rows = await repository.list_users(uow, message)
    page = rows[: message.first]
    shops = await repository.shops_of(uow, [row.id for row in page])
    items = [row.shape(shops.get(row.id, [])) for row in page]
    return Page(items=items, next=cursor_for(page[-1].email) if len(rows) > message.first else None)


async def me(uow: UnitOfWork) -> Me:
    """Who is signed in, and what they may do. Raises OnlyForPeople."""
    user = await repository.get_user(uow, require_person(uow))
    return Me(
        user=await shape(uow, user),
        organization_id=uow.organization_id,
        scopes=sorted(user.grant.scopes),
        permissions=sorted(user.grant.permissions),
    )


async def sign_out_everywhere(uow: UnitOfWork, user_id: UUID | None) -> None:
    """End every session of the caller, or of somebody the caller may manage. Raises OnlyForPeople, MayNotGrant."""
    if user_id is None or (uow.caller.kind == "user" and user_id == uow.caller.id):
        await sessions.end_all(uow, require_person(uow))
        return
    uow.caller.require("accounts:write")
    user = await repository.get_user(uow, user_id)
    _check_may_manage(uow.caller, user.role)
    await sessions.end_all(uow, user_id)
    uow.audit("user.sign_out", "user", user_id)


async def change_password(uow: UnitOfWork, message: ChangePassword) -> None:
    """Change one's own password; every session but the asking one ends. Raises WrongPassword, WeakPassword."""
    user_id = require_person(uow)
    passwords.check_strength(message.new_password)
    password_hash = await passwords.hashed(message.new_password)
    await passwords.verify(uow, user_id, message.current_password)
    user = await repository.get_user(uow, user_id, for_update=True)
    passwords.check_strength(message.new_password, user.email, user.name)
    user.set_password(password_hash)
    await repository.write(uow, user)
    await sessions.end_all(uow, user_id, but=message.token)
    await resets.forget(uow, user_id)
    uow.audit("user.change_password", "user", user_id)


async def shape(uow: UnitOfWork, user: UserRow) -> User:
    """A person with the shops they are limited to."""
    return user.shape((await repository.shops_of(uow, [user.id])).get(user.id, []))


def require_person(uow: UnitOfWork) -> UUID:
    """The id of the person who asks. Raises Unauthenticated, OnlyForPeople."""
    if uow.caller.kind == "anonymous":
        raise Unauthenticated("Sign in first.")
    if uow.caller.kind != "user" or uow.caller.id is None:
        raise OnlyForPeople("Sign in with e-mail and password for this; an API client is no person.")
    return uow.caller.id


def _check_may_manage(caller: Caller, role: Role) -> None:
    """Nobody makes, changes or removes somebody who may do more than they do themselves. Raises MayNotGrant."""
    if caller.kind == "service":
        return
    if caller.shop_ids is not None:
        raise MayNotGrant("You are limited to some shops; people are managed by those who see every shop.")
    if caller.kind == "user":
        caller.require_permission(permissions.MANAGE_PEOPLE)
        if role == "owner":
            caller.require_permission(permissions.MANAGE_OWNERS)
    missing = sorted(scope for scope in permissions.ROLES[role].scopes if not caller.holds(scope))
    if missing:
        raise MayNotGrant(f"The role '{role}' has scopes that you do not hold: {', '.join(missing)}.")


def _check_owner_remains(owners: set[UUID], user: UserRow) -> None:
    """Raises LastOwner. `owners` are locked, so that of two such changes at once the second sees the first."""
    if user.id in owners and not user.is_active_owner and len(owners) == 1:
        raise LastOwner("An organization always has an active owner: make somebody else owner first.")


def _audited(user: UserRow, shop_ids: list[UUID] | None) -> dict[str, Any]:
    return user.audited() | {"shop_ids": None if shop_ids is None else [str(shop_id) for shop_id in shop_ids]}
