"""Queries about people."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from services.accounts.errors import UnknownShop
from services.accounts.models.people import SessionRow, UserRow
from services.accounts.people_errors import EmailTaken, UserNotFound
from shared.contracts.accounts.people import Candidate, ListUsers, ResetTarget
from shared.pagination import cursor_values
from shared.security import SecretText
from shared.unit_of_work import UnitOfWork


async def get_user(uow: UnitOfWork, user_id: UUID, *, for_update: bool = False) -> UserRow:
    """Raises UserNotFound."""
    query = select(UserRow).where(UserRow.id == user_id)
    if for_update:
        query = query.with_for_update()
    user = (await (await uow.session()).execute(query)).scalar_one_or_none()
    if user is None:
        raise UserNotFound("There is no such person in this organization.")
    return user


async def list_users(uow: UnitOfWork, message: ListUsers) -> list[UserRow]:
    """Up to one more than was asked for, by e-mail."""
    query = select(UserRow).order_by(col(UserRow.email)).limit(message.first + 1)
    after = cursor_values(message.after, 1)
    if after is not None:
        query = query.where(col(UserRow.email) > str(after[0]))
    if message.role is not None:
        query = query.where(UserRow.role == message.role)
    if message.state is not None:
        query = query.where(UserRow.state == message.state)
    return list((await (await uow.session()).execute(query)).scalars())


async def write(uow: UnitOfWork, user: UserRow) -> None:
    """Insert or update a person now. Raises EmailTaken."""
    session, email = await uow.session(), user.email
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        if "users_email_is_unique" in str(error.orig):
            raise EmailTaken(f"Somebody in this organization has the address {email} already.") from None
        raise


async def lock_owners(uow: UnitOfWork) -> set[UUID]:
    """The active owners, held until this transaction ends, so that two changes cannot each leave the other's."""
    rows = await uow.fetch("SELECT id FROM users WHERE role = 'owner' AND state = 'active' ORDER BY id FOR UPDATE")
    return {row["id"] for row in rows}


async def shops_of(uow: UnitOfWork, user_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """The shops that people are limited to, as they were named."""
    rows = await uow.fetch(
        "SELECT user_id, array_agg(shop_id ORDER BY shop_id) AS shop_ids FROM user_shops"
        " WHERE user_id = ANY($1) GROUP BY user_id",
        list(user_ids),
    )
    return {row["user_id"]: row["shop_ids"] for row in rows}


async def shops_seen_by(uow: UnitOfWork, user_id: UUID) -> list[UUID]:
    """The shops that somebody who is limited may see, sub-shops of every depth included."""
    rows = await uow.fetch(
        "WITH RECURSIVE seen AS (SELECT shop_id AS id FROM user_shops WHERE user_id = $1"
        " UNION SELECT s.id FROM shops s JOIN seen ON s.parent_id = seen.id) SELECT id FROM seen ORDER BY id",
        user_id,
    )
    return [row["id"] for row in rows]


async def replace_shops(uow: UnitOfWork, user_id: UUID, shop_ids: Sequence[UUID]) -> None:
    """Limit somebody to these shops and no others. Raises UnknownShop."""
    known = await uow.fetchval("SELECT count(*) FROM shops WHERE id = ANY($1)", list(set(shop_ids)))
    if known != len(set(shop_ids)):
        raise UnknownShop("One of these shops is not there.")
    await uow.execute("DELETE FROM user_shops WHERE user_id = $1", user_id)
    await uow.execute(
        "INSERT INTO user_shops (organization_id, user_id, shop_id) SELECT $1, $2, unnest($3::uuid[])",
        uow.organization_id,
        user_id,
        list(set(shop_ids)),
    )


async def delete_user(uow: UnitOfWork, user: UserRow) -> None:
    """Delete a person with all that hangs on them."""
    session = await uow.session()
    await session.delete(user)
    await session.flush()


# --- before a tenant is known


async def list_with_email(uow: UnitOfWork, email: str, address: str | None) -> tuple[list[Candidate], bool]:
    """Everybody who has this address and a password, anywhere; and whether one of them signed in from here before."""
    rows = await uow.fetch("SELECT * FROM people_with_email($1, $2)", email, address)
    people = [
        Candidate(
            organization_id=row["organization_id"],
            organization_name=row["organization_name"],
            user_id=row["user_id"],
            password_hash=SecretText(row["password_hash"]),
        )
        for row in rows
        if row["password_hash"] is not None
    ]
    return people, any(row["is_known_address"] for row in rows)


async def list_to_reset(uow: UnitOfWork, email: str) -> list[tuple[UUID, str, UUID]]:
    """Organization, its name and user of everybody with this address, invited people too."""
    rows = await uow.fetch("SELECT * FROM people_with_email($1, NULL)", email)
    return [(row["organization_id"], row["organization_name"], row["user_id"]) for row in rows]


async def find_reset(uow: UnitOfWork, digest: bytes, at: datetime) -> ResetTarget | None:
    row = await uow.fetchrow("SELECT * FROM people_with_reset($1, $2)", digest, at)
    return None if row is None else ResetTarget(**row)


# --- sessions


async def find_session(uow: UnitOfWork, digest: bytes) -> SessionRow | None:
    query = select(SessionRow).where(SessionRow.digest == digest)
    return (await (await uow.session()).execute(query)).scalar_one_or_none()


async def list_open_sessions(uow: UnitOfWork, user_id: UUID, at: datetime) -> list[SessionRow]:
    query = (
        select(SessionRow)
        .where(SessionRow.user_id == user_id, col(SessionRow.ended_at).is_(None), col(SessionRow.expires_at) > at)
        .order_by(col(SessionRow.created_at).desc())
        .limit(200)
    )
    rows = (await (await uow.session()).execute(query)).scalars()
    return [row for row in rows if row.is_open(at)]
