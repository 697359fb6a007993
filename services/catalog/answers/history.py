"""What products were before."""

from services.catalog.use_cases import history
from shared.contracts.base import Page
from shared.contracts.catalog.history import HistoryEntry, ListProductHistory
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListProductHistory, scope="catalog:read")
async def list_product_history(message: ListProductHistory, uow: UnitOfWork) -> Page[HistoryEntry]:
    return await history.of_product(uow, message)
