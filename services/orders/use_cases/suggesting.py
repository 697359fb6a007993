"""Sets of orders while somebody types: which days there are is known here, and search counts what is in them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from services.orders.repository import lists
from services.orders.repository.lists import Window
from services.orders.use_cases import listing
from shared import clock
from shared.contracts.orders.lists import MOST_SETS, NAMED_SETS, SuggestOrderSets, is_date_set
from shared.contracts.search.operators import MOST_SPANS, OrderSpan, SuggestedSets, SuggestOrdersAmong
from shared.unit_of_work import UnitOfWork

_LATEST_MONTHS = 12
# More than these are no suggestion.
_MOST_DATES = 60


async def suggest(uow: UnitOfWork, message: SuggestOrderSets) -> SuggestedSets:
    if len(message.sets) == MOST_SETS:
        return SuggestedSets(sets=[])
    dates = [name for name in message.sets if is_date_set(name)]
    async with uow.beforehand() as earlier:
        zones = await listing.list_zones(earlier, None)
        oldest = await lists.find_oldest(earlier)
    meant = [name for name in _dates_meant(oldest, message.typed.strip().casefold()) if name not in dates]
    # Each has a span in every time zone.
    most = min(_MOST_DATES, MOST_SPANS // max(len(zones), 1))
    spans = [span for name in meant[:most] for span in _spans(name, listing.windows_in(zones, [*dates, name]))]
    return await uow.ask(
        SuggestOrdersAmong(
            typed=message.typed,
            query=message.query or "",
            sets=[name for name in message.sets if name not in dates],
            spans=spans,
            within=_spans("", listing.windows_in(zones, dates)) if dates else None,
            shop_ids=uow.caller.shop_limit,
            first=message.first,
        )
    )


def _spans(name: str, windows: Sequence[Window]) -> list[OrderSpan]:
    return [
        OrderSpan(name=name, from_time=each.from_time, to_time=each.to_time, shop_ids=each.shop_ids) for each in windows
    ]


def _dates_meant(oldest: datetime | None, typed: str) -> list[str]:
    """Sets of days since the oldest order that what was typed begins, or one of their words."""
    if oldest is None:
        return []
    first = oldest.astimezone(UTC).date()
    months = list(_months(first, max(first, clock.now().date())))
    years = list(dict.fromkeys(month[:4] for month in months))
    names = [*NAMED_SETS, *years, *(months if typed else months[:_LATEST_MONTHS])]
    return [name for name in names if any(part.startswith(typed) for part in (name, *name.split("_")[1:]))]


def _months(first: date, last: date) -> Iterator[str]:
    """From the last to the first, a month to either side for the time zones of shops."""
    for number in range(last.year * 12 + last.month, first.year * 12 + first.month - 3, -1):
        yield f"{number // 12:04}-{number % 12 + 1:02}"
