"""By which rule a shop chooses its centres, and why it chose them for an order."""

from uuid import UUID

import orjson

from services.inventory.models import SourcingRule
from services.inventory.repository import held, shop_centres
from services.inventory.use_cases import centres, reservations
from shared.contracts.inventory.sourcing import ExplainedSourcing, ExplainSourcing, SetSourcing, SourcedLine, Sourcing
from shared.unit_of_work import UnitOfWork


async def get(uow: UnitOfWork, shop: str) -> Sourcing:
    """Raises ShopNotFound."""
    row = await shop_centres.find_rule(uow, await centres.shop_id_of(uow, shop))
    if row is None:
        rule = SourcingRule()
        return Sourcing(shop=shop, strategy=rule.strategy, splitting=rule.splitting)
    inherited = row["code"] if row["depth"] else None
    return Sourcing(shop=shop, strategy=row["strategy"], splitting=row["splitting"], inherited_from=inherited)


async def set_rule(uow: UnitOfWork, message: SetSourcing) -> Sourcing:
    """Holds from now on; what can be sold of a line may be another, so everything is announced. Raises ShopNotFound."""
    before = await get(uow, message.shop)
    shop_id = await centres.shop_id_of(uow, message.shop)
    await shop_centres.set_rule(uow, shop_id, SourcingRule(message.strategy, message.splitting))
    return await _changed(uow, "sourcing.set", shop_id, before)


async def unset(uow: UnitOfWork, shop: str) -> Sourcing:
    """Raises ShopNotFound."""
    before = await get(uow, shop)
    shop_id = await centres.shop_id_of(uow, shop)
    await shop_centres.unset_rule(uow, shop_id)
    return await _changed(uow, "sourcing.unset", shop_id, before)


async def _changed(uow: UnitOfWork, action: str, shop_id: UUID, before: Sourcing) -> Sourcing:
    after = await get(uow, before.shop)
    uow.audit(action, "shop", shop_id, before=before.model_dump(), after=after.model_dump())
    if (before.splitting == "lines") != (after.splitting == "lines"):
        await centres.announce_all_stock(uow)
    return after


async def explain(uow: UnitOfWork, message: ExplainSourcing) -> ExplainedSourcing:
    """What was weighed when the order's stock was taken last. Raises ReservationNotFound."""
    reservation = await reservations.get(uow, message.reservation_id)
    row = await held.find_sourcing(uow, message.reservation_id)
    rule = SourcingRule() if row is None else SourcingRule(row["strategy"], row["splitting"])
    lines = [] if row is None else [SourcedLine(**line) for line in orjson.loads(row["lines"])]
    return ExplainedSourcing(
        order_id=reservation.id,
        shop_id=reservation.shop_id,
        strategy=rule.strategy,
        splitting=rule.splitting,
        lines=[line for line in lines if message.sku in (None, line.sku)],
    )
