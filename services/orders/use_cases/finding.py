"""Orders by their words and how they stand on connections: search says which, down to where it looked; everything else
about them is known here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.orders.errors import QueryTooBroad
from services.orders.repository.lists import Question, Window
from shared.contracts.orders.lists import OrderFilter, is_date_set
from shared.contracts.search.operators import MOST_FOUND, FindOrders
from shared.unit_of_work import UnitOfWork

_MILLISECOND = timedelta(milliseconds=1)
_FIRST = UUID(int=0)
# So many are gathered for what is not in the order of placing.
_MOST_AT_ALL = 100_000
Position = tuple[datetime, UUID]


@dataclass(frozen=True)
class FoundOrders:
    """Which orders have the words. `goes_on` is where those begin that were not looked at; None for no more."""

    order_ids: list[UUID]
    goes_on: Position | None = None

    def narrow(self, question: Question) -> None:
        question.where("o.id = ANY({})", self.order_ids)


def asks_search(asked: OrderFilter) -> bool:
    """Whether orders are meant by what search alone knows of them: words, or sets of connections."""
    return bool(asked.query and asked.query.strip()) or not all(map(is_date_set, asked.sets))


async def find(
    uow: UnitOfWork,
    asked: OrderFilter,
    windows: list[Window] | None,
    shop_ids: list[UUID] | None,
    *,
    most: int,
    after: Position | None = None,
    oldest_first: bool = False,
) -> FoundOrders | None:
    """The first of the orders with the words and in the sets, after a position; None where neither is asked for.

    `shop_ids` are all where there are none. Only before `uow` is opened.
    """
    if not asks_search(asked):
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
    found = await uow.ask(
        FindOrders(
            query=asked.query or "",
            sets=[name for name in asked.sets if not is_date_set(name)],
            shop_ids=shop_ids,
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


async def find_all(
    uow: UnitOfWork, asked: OrderFilter, windows: list[Window] | None, shop_ids: list[UUID] | None
) -> FoundOrders | None:
    """All orders with the words and in the sets; None where neither is asked for. Raises QueryTooBroad."""
    ids: list[UUID] = []
    after: Position | None = None
    while found := await find(uow, asked, windows, shop_ids, most=MOST_FOUND, after=after):
        ids += found.order_ids
        after = found.goes_on
        if after is None:
            return FoundOrders(ids)
        if len(ids) > _MOST_AT_ALL:
            raise QueryTooBroad(
                f"More than {_MOST_AT_ALL:,} orders have these words or are in these sets: add one, name days, or sort"
                " by when they were placed."
            )
    return None
