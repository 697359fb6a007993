"""What every query here is made with: rows in and out of a session, locks by name, the caller's shops."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import orjson
from sqlalchemy import ColumnElement
from sqlmodel import col
from sqlmodel.sql.expression import SelectOfScalar

from services.payments.models import Base
from shared.unit_of_work import UnitOfWork

T = TypeVar("T", bound=Base)


async def add(uow: UnitOfWork, row: Base) -> None:
    """Write a new row now, so that what follows in this transaction finds it."""
    session = await uow.session()
    session.add(row)
    await session.flush()


async def write(uow: UnitOfWork, rows: Sequence[Base]) -> None:
    """Write rows of one table without a session, in one statement: new ones are added, known ones overwritten."""
    if rows:
        kind = type(rows[0])
        documents = [{column: getattr(row, column) for column in kind.model_fields} for row in rows]
        # Of asyncpg's own UUIDs orjson knows nothing.
        await uow.execute(_writing(kind), orjson.dumps(documents, default=str).decode())


@cache
def _writing(kind: type[Base]) -> str:
    table, columns = kind.__tablename__, ", ".join(kind.model_fields)
    changes = ", ".join(f"{name} = excluded.{name}" for name in kind.model_fields if name not in _KEY)
    write = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1)"  # noqa: S608
    return f"{write} ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {changes}"


_KEY = ("organization_id", "id")


async def find_one(uow: UnitOfWork, question: SelectOfScalar[T]) -> T | None:
    return (await (await uow.session()).scalars(question)).one_or_none()


async def find_all(uow: UnitOfWork, question: SelectOfScalar[T]) -> Sequence[T]:
    return (await (await uow.session()).scalars(question)).all()


def locking(question: SelectOfScalar[T]) -> SelectOfScalar[T]:
    """Lock the rows, and read them as they are then: what this transaction read of them before may be old."""
    return question.with_for_update().execution_options(populate_existing=True)


def is_seen(uow: UnitOfWork, shop_id: Any) -> ColumnElement[bool]:
    """Whether the caller's shop limit includes a row's shop."""
    limit = uow.caller.shop_ids
    return col(shop_id).is_not(None) if limit is None else col(shop_id).in_(limit)


async def lock_name(uow: UnitOfWork, *parts: object) -> None:
    """Be alone, until this transaction ends, with something that may not have a row yet."""
    await lock_names(uow, [parts])


async def share_name(uow: UnitOfWork, *parts: object) -> None:
    """Keep whoever would be alone with something waiting until this transaction ends; others may share it."""
    name = "\x1f".join(map(str, (uow.organization_id, *parts)))
    await uow.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", name)


async def lock_names(uow: UnitOfWork, names: Iterable[Sequence[object]]) -> None:
    """As `lock_name`, for several, always in the same order."""
    texts = sorted("\x1f".join(map(str, (uow.organization_id, *parts))) for parts in names)
    if texts:
        await uow.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS n (name)", texts
        )
