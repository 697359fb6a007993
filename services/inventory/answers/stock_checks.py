"""Stock checks, and the jobs that compare and apply them."""

from services.inventory.use_cases import comparing, correcting, stock_checks
from shared.contracts.base import Page
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheck,
    GetStockCheckSheet,
    ListStockCheckRows,
    ListStockChecks,
    StartStockCheck,
    StartStockCheckFromUrl,
    StartStockCheckOfFile,
    StockCheck,
    StockCheckRow,
    StockCheckSheet,
)
from shared.jobs import RunningJob
from shared.service import answers, runs
from shared.unit_of_work import UnitOfWork


@answers(StartStockCheck, scope="inventory:write")
async def start_stock_check(message: StartStockCheck, uow: UnitOfWork) -> StockCheck:
    return await stock_checks.start(uow, message)


@answers(StartStockCheckOfFile, scope="inventory:write")
async def start_stock_check_of_file(message: StartStockCheckOfFile, uow: UnitOfWork) -> StockCheck:
    return await stock_checks.start_of_file(uow, message)


@answers(StartStockCheckFromUrl, scope="inventory:write")
async def start_stock_check_from_url(message: StartStockCheckFromUrl, uow: UnitOfWork) -> StockCheck:
    return await stock_checks.start_from_url(uow, message)


@answers(ApplyStockCheck, scope="inventory:write")
async def apply_stock_check(message: ApplyStockCheck, uow: UnitOfWork) -> StockCheck:
    return await stock_checks.apply(uow, message)


@answers(GetStockCheck, scope="inventory:read")
async def get_stock_check(message: GetStockCheck, uow: UnitOfWork) -> StockCheck:
    return await stock_checks.get(uow, message.check_id)


@answers(ListStockChecks, scope="inventory:read")
async def list_stock_checks(message: ListStockChecks, uow: UnitOfWork) -> Page[StockCheck]:
    return await stock_checks.list_page(uow, message)


@answers(ListStockCheckRows, scope="inventory:read")
async def list_stock_check_rows(message: ListStockCheckRows, uow: UnitOfWork) -> Page[StockCheckRow]:
    return await stock_checks.list_rows(uow, message)


@answers(GetStockCheckSheet, scope="inventory:read")
async def get_stock_check_sheet(message: GetStockCheckSheet, uow: UnitOfWork) -> StockCheckSheet:
    return await stock_checks.sheet(uow, message)


@runs(stock_checks.COMPARE_JOB)
async def compare_stock_check(job: RunningJob) -> None:
    await comparing.compare(job)


@runs(stock_checks.APPLY_JOB)
async def correct_stock(job: RunningJob) -> None:
    await correcting.correct(job)
