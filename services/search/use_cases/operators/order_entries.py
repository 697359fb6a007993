"""From what orders and sync tell of an order to what it is found by."""

from collections.abc import Sequence
from uuid import UUID

from services.search.models import OperatorEntry
from services.search.use_cases.batches import Units
from services.search.use_cases.operators import standing_sets
from shared.contracts.orders.lists import is_order_set
from shared.contracts.orders.parts import GetOrderParts, ListOrderIds, OrderPart


async def ask(units: Units, order_ids: Sequence[UUID]) -> dict[UUID, OperatorEntry]:
    """The entries of those that there are. Raises what asking raises."""
    parts = await units().ask(GetOrderParts(order_ids=list(order_ids)))
    standings = await standing_sets.ask(units, orders=[part.id for part in parts.orders])
    return {part.id: entry_of(part, standing_sets.sets_of(standings.get(part.id, ()))) for part in parts.orders}


async def list_ids(units: Units, after: UUID | None, most: int) -> list[UUID]:
    """A page of all orders' ids. Raises what asking raises."""
    return (await units().ask(ListOrderIds(after=after, first=most))).ids


def entry_of(part: OrderPart, sets: Sequence[str]) -> OperatorEntry:
    numbers = [part.number, part.external_number, part.external_id, *part.tracking_numbers]
    codes = [part.email, *(line.sku for line in part.lines)]
    return OperatorEntry(
        at=int(part.placed_at.timestamp() * 1000),
        numbers=_each_once(numbers),
        codes=_each_once(codes),
        words=_each_once([*part.words, *(line.title for line in part.lines)]),
        # An order that is on a platform is published nowhere, and stands in no category.
        sets=[name for name in sets if is_order_set(name)],
        shop=part.shop_id.hex,
    )


def _each_once(texts: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
