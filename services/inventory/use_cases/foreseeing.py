"""Whether an order could be served as a whole now: by the rule by which it would be, and without taking anything."""

from services.inventory.errors import InsufficientStock
from services.inventory.models import Served, SourcingRule
from services.inventory.repository import balances, shop_centres
from services.inventory.use_cases import kits, reservations, sourcing
from shared import clock
from shared.contracts.inventory.messages import ShortLine, ShortLines, WeighOrder
from shared.unit_of_work import UnitOfWork


async def weigh(uow: UnitOfWork, message: WeighOrder) -> ShortLines:
    """The lines that fall short, as the refused order would name them; nothing is locked. Raises NothingToReserve."""
    lines = await kits.explode(uow, reservations.wanted_lines(message.lines))
    served = await shop_centres.find_served(uow, message.shop_id) or Served([], SourcingRule())
    skus = sorted({sku for line in lines for sku in line.made_of()})
    rows = await balances.list_stock_of(uow, skus, [centre.centre_id for centre in served.centres if centre.counts])
    stock = {row.place: row for row in rows}
    try:
        sourcing.choose(lines, served.centres, stock, clock.now().date(), served.rule)
    except InsufficientStock as refusal:
        short = [
            ShortLine(sku=each["sku"], available=each["available"], reason=each["reason"]) for each in refusal.errors
        ]
        return ShortLines(lines=short)
    return ShortLines(lines=[])
