"""What `crossdock check` asks."""

from services.inventory.repository import held, shop_centres
from services.inventory.use_cases import checking
from shared.contracts.base import Page
from shared.contracts.inventory.checks import (
    CheckStock,
    ListOpenReservations,
    ListStockedOrganizations,
    OpenReservation,
    Organizations,
    StockFinding,
    StockFindings,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork

_RESERVATIONS_AT_ONCE = 500


@answers(CheckStock, internal=True)
async def check_stock(_message: CheckStock, uow: UnitOfWork) -> StockFindings:
    found = await checking.check(uow)
    return StockFindings(items=[StockFinding(**vars(each)) for each in found])


@answers(ListStockedOrganizations, internal=True, across_tenants=True)
async def list_stocked_organizations(_message: ListStockedOrganizations, uow: UnitOfWork) -> Organizations:
    return Organizations(ids=await shop_centres.list_organizations(uow))


@answers(ListOpenReservations, internal=True)
async def list_open_reservations(message: ListOpenReservations, uow: UnitOfWork) -> Page[OpenReservation]:
    rows = await held.list_confirmed(uow, message.after, _RESERVATIONS_AT_ONCE)
    items = [OpenReservation(order_id=row["id"], state=row["state"]) for row in rows]
    return Page(items=items, next=str(rows[-1]["id"]) if len(rows) == _RESERVATIONS_AT_ONCE else None)
