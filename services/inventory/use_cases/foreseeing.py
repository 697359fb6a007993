"""What would become of orders now: by the rule by which they would be served, and without taking anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from uuid import UUID

from services.inventory.errors import InsufficientStock
from services.inventory.models import Place, ReservedUnits, Served, SourcingRule, Stock, WantedLine
from services.inventory.repository import shop_centres, supply
from services.inventory.use_cases import kits, reservations, sourcing
from shared import clock
from shared.contracts.inventory.messages import ShortLine, SourcedUnits, WeighedOrder, WeighedOrders, WeighOrders
from shared.unit_of_work import UnitOfWork


async def weigh(uow: UnitOfWork, message: WeighOrders) -> WeighedOrders:
    """Each order as if it were alone; nothing is locked, and all are looked up together. Raises NothingToReserve."""
    wanted = [reservations.wanted_lines(lines) for lines in message.orders]
    every = [line for lines in wanted for line in lines]
    served = await shop_centres.find_served(uow, message.shop_id) or Served([], SourcingRule())
    counting = [centre.centre_id for centre in served.centres if centre.counts]
    found = await supply.find(uow, sorted({line.sku for line in every}), counting)
    exploded = iter(kits.with_goods(every, found.goods))
    orders = [list(islice(exploded, len(lines))) for lines in wanted]
    stock = {row.place: row for row in found.rows}
    return WeighedOrders(orders=[_weighed(lines, served, stock) for lines in orders])


def _weighed(lines: Sequence[WantedLine], served: Served, stock: Mapping[Place, Stock]) -> WeighedOrder:
    try:
        sourced = sourcing.choose(lines, served.centres, stock, clock.now().date(), served.rule)
    except InsufficientStock as refusal:
        short = [
            ShortLine(sku=each["sku"], available=each["available"], reason=each["reason"]) for each in refusal.errors
        ]
        return WeighedOrder(short=short)
    codes = {centre.centre_id: centre.code for centre in served.centres}
    return WeighedOrder(sources=list(_sources(sourced.units, codes)))


def _sources(units: Iterable[ReservedUnits], codes: Mapping[UUID, str]) -> Iterator[SourcedUnits]:
    for each in units:
        yield SourcedUnits(
            line_sku=each.kit or each.sku,
            sku=each.sku,
            centre=codes[each.centre_id],
            quantity=each.quantity,
            beyond_stock=each.backordered,
        )
