"""Queries over many orders at a time: which they are, how many, and all their parts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import select

from services.orders.models import OrderRow
from shared.contracts.orders.lists import OrderFilter, OrderSort
from shared.unit_of_work import UnitOfWork

R = TypeVar("R")
# The last character of them all: a prefix is the range from itself to itself with this behind.
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Window:
    """From when until before when the orders of some shops were placed. Without shops: of all."""

    from_time: datetime
    to_time: datetime
    shop_ids: list[UUID] | None = None


@dataclass
class Question:
    """Which orders are meant, as the conditions of a statement and its arguments."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def where(self, condition: str, *values: Any) -> None:
        """Add a condition; `{}` stands for the values in turn."""
        places = []
        for value in values:
            self.arguments.append(value)
            places.append(f"${len(self.arguments)}")
        self.conditions.append(condition.format(*places))

    @property
    def text(self) -> str:
        return " AND ".join(self.conditions) or "true"


def question_of(asked: OrderFilter, windows: Sequence[Window] | None) -> Question:
    """The conditions of a filter whose date sets have become windows; none of these is empty: nothing is meant."""
    question = Question()
    for condition, value in (
        ("o.status = ANY({})", asked.status),
        ("o.payment_status = ANY({})", asked.payment_status),
        ("o.shop_id = ANY(ARRAY(SELECT id FROM shops WHERE code = {}))", asked.shop),
        ("o.customer_id = {}", asked.customer_id),
        ("o.customer_id = (SELECT id FROM customers WHERE email = {})", asked.email),
        ("o.number = {}", asked.number),
        ("EXISTS (SELECT FROM order_lines l WHERE l.order_id = o.id AND l.sku = {})", asked.sku),
        ("o.placed_at >= {}", asked.from_time),
        ("o.placed_at < {}", asked.to_time),
    ):
        if value is not None:
            question.where(condition, value)
    if asked.number_prefix is not None:
        prefix = asked.number_prefix
        question.where('o.number COLLATE "C" >= {} AND o.number COLLATE "C" < {}', prefix, prefix + _LAST)
    if windows is not None:
        _within(question, windows)
    return question


def _within(question: Question, windows: Sequence[Window]) -> None:
    """Placed in one of these windows. What holds for all of them comes first, for the index on time to be used."""
    if not windows:
        question.where("false")
        return
    question.where("o.placed_at >= {}", min(window.from_time for window in windows))
    question.where("o.placed_at < {}", max(window.to_time for window in windows))
    parts = []
    for window in windows:
        if window.shop_ids is None:
            return
        inner = Question(arguments=question.arguments)
        inner.where(
            "(o.shop_id = ANY({}) AND o.placed_at >= {} AND o.placed_at < {})",
            window.shop_ids,
            window.from_time,
            window.to_time,
        )
        parts.append(inner.text)
    question.conditions.append(f"({' OR '.join(parts)})")


def shown_to(question: Question, uow: UnitOfWork, *, own_only: bool) -> None:
    """Only what the caller may see: in its shops, and with `own_only` what it placed itself."""
    if (limit := uow.caller.shop_limit) is not None:
        question.where("o.shop_id = ANY({})", limit)
    if own_only:
        question.where("o.client_id = {}", uow.caller.id)


@dataclass(frozen=True)
class Sorting:
    """A column to sort by, and which way; `id` decides between equals."""

    column: str
    descends: bool

    @property
    def text(self) -> str:
        way = "DESC" if self.descends else "ASC"
        return f"o.{self.column} {way}, o.id {way}"

    def after(self, question: Question, value: datetime | int, order_id: UUID) -> None:
        sign = "<" if self.descends else ">"
        question.where(f"(o.{self.column}, o.id) {sign} ({{}}, {{}})", value, order_id)


SORTINGS: dict[OrderSort, Sorting] = {
    "latest": Sorting("placed_at", True),
    "oldest": Sorting("placed_at", False),
    "highest_total": Sorting("total", True),
    "lowest_total": Sorting("total", False),
    "last_changed": Sorting("updated_at", True),
}


async def list_summaries(uow: UnitOfWork, question: Question, sorting: Sorting, most: int) -> list[asyncpg.Record]:
    """Up to `most` orders, sorted."""
    return await uow.fetch(summaries(question, sorting, most), *question.arguments)


def summaries(question: Question, sorting: Sorting, most: int) -> str:
    """The statement of a list."""
    return (
        # No join: sorted by an index, a page reads as many rows as it shows.
        "SELECT o.id, o.number, (SELECT s.code FROM shops s WHERE s.id = o.shop_id) AS shop, o.status,"  # noqa: S608
        " o.payment_status, o.currency, o.total, o.paid, o.customer ->> 'email' AS customer_email, o.placed_at,"
        " o.updated_at, o.version"
        f" FROM orders o WHERE {question.text} ORDER BY {sorting.text} LIMIT {most:d}"
    )


async def count(uow: UnitOfWork, question: Question) -> list[asyncpg.Record]:
    """How many orders there are by `status` and `payment_status`."""
    return await uow.fetch(
        f"SELECT o.status, o.payment_status, count(*) AS orders FROM orders o WHERE {question.text} GROUP BY 1, 2",  # noqa: S608
        *question.arguments,
    )


async def find_oldest(uow: UnitOfWork) -> datetime | None:
    """When the first order was placed."""
    oldest: datetime | None = await uow.fetchval("SELECT placed_at FROM orders ORDER BY placed_at, id LIMIT 1")
    return oldest


async def list_ids(
    uow: UnitOfWork, question: Question, after: tuple[datetime, UUID] | None, most: int
) -> list[asyncpg.Record]:
    """Up to `most` orders from the oldest on, each by `id` and `placed_at`."""
    oldest_first = SORTINGS["oldest"]
    if after is not None:
        oldest_first.after(question, *after)
    return await uow.fetch(
        f"SELECT o.id, o.placed_at FROM orders o WHERE {question.text} ORDER BY {oldest_first.text} LIMIT {most:d}",  # noqa: S608
        *question.arguments,
    )


# --- all parts of many orders


async def list_orders(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[OrderRow]:
    """These orders, in this order; those that there are not are left out."""
    session = await uow.session()
    question: Any = select(OrderRow).where(OrderRow.id.in_(order_ids))  # type: ignore[attr-defined]
    found = {order.id: order for order in await session.scalars(question)}
    return [found[order_id] for order_id in order_ids if order_id in found]


async def list_parts(uow: UnitOfWork, table: type[R], order_ids: Sequence[UUID], order_by: str) -> dict[UUID, list[R]]:
    """What `table` has of each of these orders."""
    session = await uow.session()
    columns: Any = table
    question = select(table).where(columns.order_id.in_(order_ids)).order_by(getattr(table, order_by))
    found: dict[UUID, list[R]] = defaultdict(list)
    for part in await session.scalars(question):
        found[part.order_id].append(part)  # type: ignore[attr-defined]
    return found
