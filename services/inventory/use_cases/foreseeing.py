"""What would become of orders now: by the rule by which they would be served, and without taking anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from uuid import UUID

from services.inventory.errors import InsufficientStock
from services.inventory.models import ReservedUnits, Served, SourcingRule, Stock, WantedLine
from services.inventory.repository import shop_centres, supply
from services.inventory.use_cases import availability, kits, reservations, sourcing
from shared import clock
from shared.contracts.inventory.messages import ShortLine, SourcedUnits, WeighedOrder, WeighedOrders, WeighOrders
from shared.unit_of_work import UnitOfWork


async def weigh(uow: UnitOfWork, message: WeighOrders) -> WeighedOrders:
    """Each order as if it were alone; nothing is locked, and all are looked up together. Raises NothingToReserve.

    A shop nobody told us of yet can sell nothing.
    """
    wanted = [reservations.wanted_lines(lines) for lines in message.orders]
    every = [line for lines in wanted for line in lines]
    skus = list(dict.fromkeys(line.sku for line in every))
    served = await shop_centres.find_served(uow, message.shop_id) or Served([], SourcingRule())
    found = await supply.find(uow, skus, served.counting)
    exploded = iter(kits.with_goods(every, found.goods))
    orders = [list(islice(exploded, len(lines))) for lines in wanted]
    by_sku = _by_sku(found.rows)
    return WeighedOrders.known(
        orders=[_weighed(lines, served, by_sku) for lines in orders],
        availabilities=availability.of_all(skus, served, found),
    )


def _by_sku(rows: Iterable[Stock]) -> dict[str, list[Stock]]:
    by_sku: dict[str, list[Stock]] = {}
    for row in rows:
        by_sku.setdefault(row.sku, []).append(row)
    return by_sku


def _weighed(lines: Sequence[WantedLine], served: Served, by_sku: Mapping[str, Sequence[Stock]]) -> WeighedOrder:
    goods = {sku for line in lines for sku in line.made_of()}
    stock = {row.place: row for sku in goods for row in by_sku.get(sku, ())}
    try:
        units = sourcing.units_for(lines, served.centres, stock, clock.now().date(), served.rule)
    except InsufficientStock as refusal:
        short = [
            ShortLine(sku=each["sku"], available=each["available"], reason=each["reason"]) for each in refusal.errors
        ]
        return WeighedOrder(short=short)
    codes = {centre.centre_id: centre.code for centre in served.centres}
    return WeighedOrder.known(short=[], sources=list(_sources(units, codes)))


def _sources(units: Iterable[ReservedUnits], codes: Mapping[UUID, str]) -> Iterator[SourcedUnits]:
    for each in units:
        yield SourcedUnits.known(
            line_sku=each.kit or each.sku,
            sku=each.sku,
            centre=codes[each.centre_id],
            quantity=each.quantity,
            beyond_stock=each.backordered,
        )
