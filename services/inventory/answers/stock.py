"""Stock, its ledger, what can be sold of it."""

from collections.abc import Sequence
from typing import Any

from services.inventory.repository import counted, standings
from services.inventory.use_cases import adjusting, availability, explaining, file_stock, lists, stock
from shared.contracts.base import Page
from shared.contracts.inventory.ledger import (
    AdjustStock,
    ExplainedStock,
    ExplainStock,
    GetMovementSheet,
    MovementSheet,
    MoveStock,
    StockMoved,
)
from shared.contracts.inventory.messages import (
    CentreStock,
    CountedStock,
    CountStock,
    CountStocked,
    GetAvailability,
    GetCentreStock,
    GetStockStandings,
    ListStock,
    ListStockMovements,
    ReadStock,
    SetStockPolicy,
    StockPortion,
    StockStanding,
    StockStandings,
    StockTakenBack,
    SupplyCost,
    TakeBackFileStock,
    UpdateStock,
)
from shared.contracts.inventory.shapes import StockLevel, StockMovement, StockUpdated
from shared.money import Money
from shared.service import Asked, answers, answers_group
from shared.unit_of_work import UnitOfWork


@answers_group(GetAvailability, internal=True, at_once=2)
async def get_availability(asked: Sequence[Asked[GetAvailability]], uow: UnitOfWork) -> list[Any]:
    return await availability.get_together(uow, [each.message for each in asked])


@answers(GetStockStandings, internal=True)
async def get_stock_standings(message: GetStockStandings, uow: UnitOfWork) -> StockStandings:
    return StockStandings(
        items=[StockStanding(**row) for row in await standings.list_standings(uow, message.skus)],
        costs=[
            SupplyCost(sku=row["sku"], cost=Money(amount=row["cost"], currency=row["currency"]))
            for row in await standings.list_costs(uow, message.skus)
        ],
    )


@answers(GetCentreStock, internal=True)
async def get_centre_stock(message: GetCentreStock, uow: UnitOfWork) -> CentreStock:
    return CentreStock(rows=await standings.list_of_centres(uow, message.skus))


@answers(ReadStock, internal=True)
async def read_stock(message: ReadStock, uow: UnitOfWork) -> StockPortion:
    return await lists.read_portion(uow, message)


@answers(CountStock, internal=True)
async def count_stock(message: CountStock, uow: UnitOfWork) -> CountedStock:
    return CountedStock(places=await lists.count_places(uow, message.skus, message.centre))


@answers(TakeBackFileStock, internal=True)
async def take_back_file_stock(message: TakeBackFileStock, uow: UnitOfWork) -> StockTakenBack:
    return await file_stock.take_back(uow, message.import_id, message.after)


@answers(CountStocked, internal=True)
async def count_stocked(message: CountStocked, uow: UnitOfWork) -> CountedStock:
    return CountedStock(places=await counted.count_stocked_by_default(uow, message.skus))


@answers(ListStock, scope="inventory:read")
async def list_stock(message: ListStock, uow: UnitOfWork) -> Page[StockLevel]:
    return await lists.list_stock(uow, message)


@answers(ListStockMovements, scope="inventory:read")
async def list_stock_movements(message: ListStockMovements, uow: UnitOfWork) -> Page[StockMovement]:
    return await lists.list_movements(uow, message)


@answers(GetMovementSheet, scope="inventory:read")
async def get_movement_sheet(message: GetMovementSheet, uow: UnitOfWork) -> MovementSheet:
    return await lists.movement_sheet(uow, message)


@answers(ExplainStock, scope="inventory:read")
async def explain_stock(message: ExplainStock, uow: UnitOfWork) -> ExplainedStock:
    return await explaining.explain(uow, message)


@answers(AdjustStock, scope="inventory:write")
async def adjust_stock(message: AdjustStock, uow: UnitOfWork) -> StockLevel:
    return await adjusting.adjust(uow, message)


@answers(MoveStock, scope="inventory:write")
async def move_stock(message: MoveStock, uow: UnitOfWork) -> StockMoved:
    return await adjusting.move(uow, message)


@answers(UpdateStock, scope="inventory:write")
async def update_stock(message: UpdateStock, uow: UnitOfWork) -> StockUpdated:
    return await stock.update(uow, message.rows)


@answers(SetStockPolicy, scope="inventory:write")
async def set_stock_policy(message: SetStockPolicy, uow: UnitOfWork) -> StockLevel:
    await stock.set_policy(uow, message)
    return await lists.get_level(uow, message.sku, message.centre)
