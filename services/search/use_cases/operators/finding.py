"""What operators look for: orders by their words, as ids for whoever shows them."""

import asyncio
from datetime import UTC, datetime, timedelta

from services.search.engines.operators import FoundEntries, OperatorQuestion
from services.search.use_cases.operators.reading import OperatorReaders
from shared.contracts.search.operators import FindOrders, FoundIds
from shared.unit_of_work import UnitOfWork

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


async def find_orders(uow: UnitOfWork, message: FindOrders) -> FoundIds:
    question = OperatorQuestion(
        kind="order",
        words=message.query,
        most=message.most,
        shops=None if message.shop_ids is None else [shop_id.hex for shop_id in message.shop_ids],
        from_at=_moment(message.from_time),
        to_at=_moment(message.to_time),
        oldest_first=message.oldest_first,
    )
    return _told(await _found(uow, question))


async def _found(uow: UnitOfWork, question: OperatorQuestion) -> FoundEntries:
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    return await asyncio.to_thread(reader.index.find, question)


def _told(found: FoundEntries) -> FoundIds:
    reaches_to = None if found.reaches_to is None else _EPOCH + found.reaches_to * _MILLISECOND
    return FoundIds(ids=found.ids, total=found.total, reaches_to=reaches_to)


def _moment(time: datetime | None) -> int | None:
    """Milliseconds of Unix time, rounded down."""
    return None if time is None else (time - _EPOCH) // _MILLISECOND
