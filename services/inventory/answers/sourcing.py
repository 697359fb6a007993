"""How a shop chooses its centres, and why it chose them."""

from services.inventory.use_cases import sourcing_rules
from shared.contracts.inventory.sourcing import (
    ExplainedSourcing,
    ExplainSourcing,
    GetSourcing,
    SetSourcing,
    Sourcing,
    UnsetSourcing,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetSourcing, scope="inventory:read")
async def get_sourcing(message: GetSourcing, uow: UnitOfWork) -> Sourcing:
    return await sourcing_rules.get(uow, message.shop)


@answers(SetSourcing, scope="inventory:write")
async def set_sourcing(message: SetSourcing, uow: UnitOfWork) -> Sourcing:
    return await sourcing_rules.set_rule(uow, message)


@answers(UnsetSourcing, scope="inventory:write")
async def unset_sourcing(message: UnsetSourcing, uow: UnitOfWork) -> Sourcing:
    return await sourcing_rules.unset(uow, message.shop)


@answers(ExplainSourcing, scope="inventory:read")
async def explain_sourcing(message: ExplainSourcing, uow: UnitOfWork) -> ExplainedSourcing:
    return await sourcing_rules.explain(uow, message)
