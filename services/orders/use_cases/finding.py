"""Orders by their words: search says which, down to where it looked; everything else about them is known here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.orders.errors import QueryTooBroad
from services.orders.repository.lists import Question, Window
from shared.contracts.orders.lists import OrderFilter
from shared.contracts.search.operators import MOST_FOUND, FindOrders
from shared.unit_of_work import UnitOfWork

_MILLISECOND = timedelta(milliseconds=1)
_FIRST = UUID(int=0)
Position = tuple[datetime, UUID]


@dataclass(frozen=True)
class FoundOrders:
    """Which orders have the words. `goes_on` is where those begin that were not looked at; None for no more."""

    order_ids: list[UUID]
    goes_on: Position | None = None

    def narrow(self, question: Question) -> None:
        question.where("o.id = ANY({})", self.order_ids)


async def find(
    uow: UnitOfWork,
    asked: OrderFilter,
    windows: list[Window] | None,
    *,
    most: int,
    after: Position | None = None,
    oldest_first: bool = False,
) -> FoundOrders | None:
    """The first of the orders with the words, after a position; None where no words were asked for.

    Only before `uow` is opened.
    """
    if asked.query is None or not asked.query.strip():
        return None
    from_times, to_times = [asked.from_time], [asked.to_time]
    if windows is not None:
        if not windows:
            return FoundOrders([])
        from_times.append(min(window.from_time for window in windows))
        to_times.append(max(window.to_time for window in windows))
    if after is not None:
        # Of the moment that a look ended with none is left: it would be told whole again, however many those are.
        is_behind = not oldest_first and after[1] == _FIRST
        (from_times if oldest_first else to_times).append(after[0] - _MILLISECOND if is_behind else after[0])
    shop_ids = uow.caller.shop_ids
    found = await uow.ask(
        FindOrders(
            query=asked.query,
            shop_ids=None if shop_ids is None else sorted(shop_ids),
            from_time=max((time for time in from_times if time is not None), default=None),
            to_time=min((time for time in to_times if time is not None), default=None),
            oldest_first=oldest_first,
            most=most,
        )
    )
    if found.reaches_to is None:
        return FoundOrders(found.ids)
    # Search knows moments by the millisecond, and has told all up to and including this one.
    return FoundOrders(found.ids, (found.reaches_to + _MILLISECOND if oldest_first else found.reaches_to, _FIRST))


async def find_all(uow: UnitOfWork, asked: OrderFilter, windows: list[Window] | None) -> FoundOrders | None:
    """All orders with the words; None where no words were asked for. Raises QueryTooBroad."""
    found = await find(uow, asked, windows, most=MOST_FOUND)
    if found is not None and found.goes_on is not None:
        raise QueryTooBroad(
            f"More than {MOST_FOUND:,} orders have these words: add one, name days, or sort by when they were placed."
        )
    return found
