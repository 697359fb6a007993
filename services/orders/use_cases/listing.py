"""Orders by any combination of what can be asked of them: listed, counted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from services.orders.repository import customers, lists, shops
from services.orders.repository.lists import Question, Sorting, Window
from services.orders.use_cases import finding
from services.orders.use_cases.finding import FoundOrders
from shared import clock
from shared.contracts.base import Page
from shared.contracts.orders.lists import CountOrders, ListOrders, OrderCounts, OrderFilter, is_date_set
from shared.contracts.orders.shapes import OrderSummary
from shared.money import Money
from shared.pagination import InvalidCursor, cursor_for, cursor_id, cursor_time, cursor_values
from shared.unit_of_work import UnitOfWork

Days = tuple[date, date]


# With words: how many of those that have them are looked at together, and how often for one page.
_FOUND_AT_ONCE = 1000
_MOST_LOOKS = 5


async def list_page(uow: UnitOfWork, message: ListOrders) -> Page[OrderSummary]:
    """Raises CustomerNotFound, InvalidCursor, QueryTooBroad."""
    sorting = lists.SORTINGS[message.sort]
    position = _position(message, sorting)
    if finding.asks_search(message):
        return await _list_found(uow, message, sorting, position)
    if message.customer_id is not None:
        await customers.get(uow, message.customer_id)
    question = await _shown(uow, message)
    if position is not None:
        sorting.after(question, *position)
    rows = await lists.list_summaries(uow, question, sorting, message.first + 1)
    return _page(rows, message.first, sorting)


async def _list_found(
    uow: UnitOfWork, message: ListOrders, sorting: Sorting, position: tuple[Any, UUID] | None
) -> Page[OrderSummary]:
    """Of the orders that have the words, those for which the rest holds, too.

    By the time of placing search goes along, some thousand at a time; for any other order it must know all at once.
    """
    async with uow.beforehand() as earlier:
        if message.customer_id is not None:
            await customers.get(earlier, message.customer_id)
        windows = await windows_of(earlier, message)
    rows: list[asyncpg.Record] = []
    for _ in range(_MOST_LOOKS):
        found = await _found(uow, message, windows, sorting, position)
        async with uow.beforehand() as earlier:
            question = _narrowed(earlier, message, windows, found)
            if position is not None:
                sorting.after(question, *position)
            rows += await lists.list_summaries(earlier, question, sorting, message.first + 1 - len(rows))
        if len(rows) > message.first or found is None or found.goes_on is None:
            return _page(rows, message.first, sorting)
        position = found.goes_on
    return Page(items=[_summary(row) for row in rows], next=_cursor(*position))  # type: ignore[misc]


async def _found(
    uow: UnitOfWork,
    message: ListOrders,
    windows: list[Window] | None,
    sorting: Sorting,
    position: tuple[Any, UUID] | None,
) -> FoundOrders | None:
    if sorting.column != "placed_at":
        return await finding.find_all(uow, message, windows, uow.caller.shop_limit)
    return await finding.find(
        uow,
        message,
        windows,
        uow.caller.shop_limit,
        most=_FOUND_AT_ONCE,
        after=position,
        oldest_first=not sorting.descends,
    )


def _position(message: ListOrders, sorting: Sorting) -> tuple[Any, UUID] | None:
    values = cursor_values(message.after, 2)
    if values is None:
        return None
    value = _total(values[0]) if sorting.column == "total" else cursor_time(values[0])
    return value, cursor_id(values[1])


def _page(rows: Sequence[asyncpg.Record], first: int, sorting: Sorting) -> Page[OrderSummary]:
    page = rows[:first]
    following = _cursor(page[-1][sorting.column], page[-1]["id"]) if len(rows) > first else None
    return Page(items=[_summary(row) for row in page], next=following)


def _cursor(value: int | datetime, order_id: UUID) -> str:
    return cursor_for(value if isinstance(value, int) else value.isoformat(), str(order_id))


def _total(value: str | int) -> int:
    if not isinstance(value, int) or abs(value) >= 2**63:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return value


def _summary(row: asyncpg.Record) -> OrderSummary:
    money = ("total", "paid")
    values = {name: row[name] for name in OrderSummary.model_fields if name not in money}
    return OrderSummary(**values, **{name: Money(amount=row[name], currency=row["currency"]) for name in money})


async def count(uow: UnitOfWork, message: CountOrders) -> OrderCounts:
    """Raises QueryTooBroad."""
    async with uow.beforehand() as earlier:
        windows = await windows_of(earlier, message)
    found = await finding.find_all(uow, message, windows, uow.caller.shop_limit)
    by_status: dict[str, int] = defaultdict(int)
    by_payment_status: dict[str, int] = defaultdict(int)
    for row in await lists.count(uow, _narrowed(uow, message, windows, found)):
        by_status[row["status"]] += row["orders"]
        by_payment_status[row["payment_status"]] += row["orders"]
    return OrderCounts(total=sum(by_status.values()), by_status=by_status, by_payment_status=by_payment_status)


async def _shown(uow: UnitOfWork, asked: OrderFilter) -> Question:
    """The orders a filter means, of those that the caller may see."""
    return _narrowed(uow, asked, await windows_of(uow, asked), None)


def _narrowed(
    uow: UnitOfWork, asked: OrderFilter, windows: Sequence[Window] | None, found: FoundOrders | None
) -> Question:
    question = lists.question_of(asked, windows)
    if found is not None:
        found.narrow(question)
    lists.shown_to(question, uow, own_only=not uow.caller.holds("orders:read"))
    return question


# --- days of placing


async def windows_of(uow: UnitOfWork, asked: OrderFilter, now: datetime | None = None) -> list[Window] | None:
    """When the orders of a filter's date sets were placed, by the time zones of their shops; None without sets."""
    dates = [name for name in asked.sets if is_date_set(name)]
    return windows_in(await list_zones(uow, asked.shop), dates, now) if dates else None


async def list_zones(uow: UnitOfWork, code: str | None) -> dict[str, list[UUID]]:
    """All shops by their time zones, or those with a code."""
    zones: dict[str, list[UUID]] = defaultdict(list)
    for row in await shops.list_time_zones(uow, code):
        zones[row["time_zone"]].append(row["id"])
    return zones


def windows_in(zones: Mapping[str, list[UUID]], dates: Sequence[str], now: datetime | None = None) -> list[Window]:
    """When the days that are in all of these sets are, in each of the time zones: seen from now, or from `now`."""
    now = now or clock.now()
    found = []
    for name, shop_ids in zones.items():
        zone = ZoneInfo(name)
        days = intersection([days_of(each, now.astimezone(zone).date()) for each in dates])
        if days is not None:
            found.append(
                Window(_midnight(days[0], zone), _midnight(days[1], zone), None if len(zones) == 1 else shop_ids)
            )
    return found


def days_of(name: str, today: date) -> Days:
    """The days of a set: the first, and the one after the last."""
    monday = today - timedelta(days=today.weekday())
    match name:
        case "today":
            return today, today + timedelta(days=1)
        case "yesterday":
            return today - timedelta(days=1), today
        case "last_week":
            return monday - timedelta(days=7), monday
        case "this_month":
            return _month(today.year, today.month)
        case "this_year":
            return date(today.year, 1, 1), date(today.year + 1, 1, 1)
    year, _, month = name.partition("-")
    return _month(int(year), int(month)) if month else (date(int(year), 1, 1), _first_of_year(int(year) + 1))


def _month(year: int, month: int) -> Days:
    return date(year, month, 1), date(year, month + 1, 1) if month < 12 else _first_of_year(year + 1)


def _first_of_year(year: int) -> date:
    """The calendar ends with the year 9999."""
    return date(year, 1, 1) if year <= date.max.year else date.max


def intersection(sets: Sequence[Days]) -> Days | None:
    """The days that are in all of these; None for none."""
    first, end = max(days[0] for days in sets), min(days[1] for days in sets)
    return (first, end) if first < end else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
