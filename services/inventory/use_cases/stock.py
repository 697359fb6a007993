"""Stock on hand, set and changed in bulk: rows locked once, and written in sets."""

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from services.inventory.errors import CentreNotFound, NoRows, TooManyRows
from services.inventory.models import Movement, Stock
from services.inventory.repository import bulk as bulk_queries
from services.inventory.repository import kits as kit_queries
from services.inventory.repository import movements, shop_centres
from services.inventory.use_cases import alerts, bulk, centres, kits, ledger, levels
from services.inventory.use_cases.ledger import Ledger
from services.inventory.use_cases.stock_rows import ReadRow, read
from shared import clock
from shared.contracts.inventory.messages import SetStockPolicy
from shared.contracts.inventory.shapes import StockRowResult, StockRowStatus, StockUpdated
from shared.unit_of_work import UnitOfWork

MOST_ROWS = 10_000


async def update(uow: UnitOfWork, rows: Sequence[Any]) -> StockUpdated:
    """Apply what a client sent. Raises NoRows, TooManyRows; a bad row is a failed result, never an error."""
    if not rows:
        raise NoRows("Send at least one row.")
    if len(rows) > MOST_ROWS:
        raise TooManyRows(f"{len(rows)} rows were sent; {MOST_ROWS} at a time.")
    return await apply(uow, rows)


async def apply(uow: UnitOfWork, rows: Sequence[Any]) -> StockUpdated:
    """Apply rows in their order, however often a SKU comes; each gets its result."""
    default_id = await centres.ensure_default(uow)
    known = await shop_centres.lock_living(uow)
    default = next(code for code, centre_id in known.items() if centre_id == default_id)
    good, results = read(rows, known, default)
    among = await kit_queries.list_kits_among(uow, list({row.sku for row in good}))
    results += [row.result("failed", code="is_kit", message=kits.IS_KIT) for row in good if row.sku in among]
    good = [row for row in good if row.sku not in among]
    if good:
        results += await _apply(uow, good)
    results.sort(key=lambda result: result.row)
    became = Counter(result.status for result in results)
    return StockUpdated(
        rows=len(results),
        applied=became["applied"],
        unchanged=became["unchanged"] + became["repeated"] + became["superseded"],
        failed=became["failed"],
        results=results,
    )


async def _apply(uow: UnitOfWork, rows: Sequence[ReadRow]) -> list[StockRowResult]:
    """What comes once is done in one statement; rows for the same place, one after the other."""
    times = Counter(map(_place, rows))
    places = sorted(times)
    await bulk.make(uow, places)
    # What was applied before is to be seen from here on, and everybody locks in one order.
    await bulk_queries.lock(uow, places)
    once = sorted(rows if len(times) == len(rows) else [row for row in rows if times[_place(row)] == 1], key=_place)
    results = await bulk.apply(uow, once) if once else []
    if len(once) < len(rows):
        results += await _apply_in_turn(uow, [row for row in rows if times[_place(row)] > 1])
    return results


# (sku, centre_id), taken in C.
_place = itemgetter(ReadRow._fields.index("sku"), ReadRow._fields.index("centre_id"))


async def _apply_in_turn(uow: UnitOfWork, rows: Sequence[ReadRow]) -> list[StockRowResult]:
    locked = await ledger.lock_places(uow, [(row.sku, row.centre_id) for row in rows])
    was_short = {place for place, stock in locked.stock.items() if stock.is_short}
    references = [(row.sku, row.centre_id, row.reference) for row in rows if row.reference is not None]
    applied = await movements.list_applied_references(uow, references) if references else {}
    results = [_apply_one(row, locked, applied) for row in rows]
    await locked.write(uow)
    await alerts.tell_of_short_stock(uow, locked.stock.values(), was_short)
    return results


def _apply_one(row: ReadRow, locked: Ledger, applied: dict[tuple[str, UUID, str], int]) -> StockRowResult:
    stock = locked.stock[row.sku, row.centre_id]
    if row.reference is not None:
        key = (row.sku, row.centre_id, row.reference)
        if key in applied:
            return _repeated(row, stock, applied[key])
    if _is_superseded(row, stock):
        return _told(row, stock, "superseded")
    before = stock.on_hand
    result = _count(row, stock, locked) if row.on_hand is not None else _adjust(row, stock, locked)
    if row.policy is not None and row.policy != stock.policy and result.status != "failed":
        stock.policy = row.policy
        locked.touch(stock)
    if row.reference is not None and result.status in ("applied", "unchanged"):
        applied[row.sku, row.centre_id, row.reference] = stock.on_hand - before
    return result


def _is_superseded(row: ReadRow, stock: Stock) -> bool:
    """Whether a later count is known: then nothing of the row counts, its policy neither."""
    counted_at = None if row.on_hand is None else stock.counted_at
    return row.as_of is not None and counted_at is not None and row.as_of < counted_at


def _repeated(row: ReadRow, stock: Stock, change: int) -> StockRowResult:
    if row.delta is not None and row.delta != change:
        return row.result(
            "failed", code="reference_reused", message="This reference was used for another change of this stock."
        )
    return _told(row, stock, "repeated")


def _count(row: ReadRow, stock: Stock, locked: Ledger) -> StockRowResult:
    assert row.on_hand is not None
    as_of = row.as_of or clock.now()
    is_same = stock.on_hand == row.on_hand
    if is_same and row.reference is None:
        stock.counted_at = as_of
        locked.touch(stock)
        return _told(row, stock, "unchanged")
    # With a reference a count that agrees is written down too: a late repeat must find it.
    locked.note(stock.count(row.on_hand, as_of, row.reference))
    return _told(row, stock, "unchanged" if is_same else "applied")


def _adjust(row: ReadRow, stock: Stock, locked: Ledger) -> StockRowResult:
    assert row.delta is not None
    if stock.on_hand + row.delta < 0:
        message = f"Only {stock.on_hand} are on hand."
        return row.result("failed", on_hand=stock.on_hand, code="negative_stock", message=message)
    if stock.on_hand + row.delta > 2_000_000_000:
        return row.result("failed", on_hand=stock.on_hand, code="too_much_stock", message="That is beyond all bounds.")
    if row.delta == 0 and row.reference is None:
        return _told(row, stock, "unchanged")
    movement: Movement = stock.adjust(row.delta, row.reference)
    locked.note(movement)
    return _told(row, stock, "applied" if row.delta else "unchanged")


def _told(row: ReadRow, stock: Stock, status: StockRowStatus) -> StockRowResult:
    return row.result(status, on_hand=stock.on_hand, reserved=stock.reserved, available=stock.available)


async def set_policy(uow: UnitOfWork, message: SetStockPolicy) -> None:
    """How a SKU of one centre is sold from now on. Raises CentreNotFound, IsKit."""
    centre_id = (await shop_centres.lock_living(uow)).get(message.centre)
    if centre_id is None:
        raise CentreNotFound(f"There is no fulfilment centre with the code '{message.centre}'.")
    await kits.refuse(uow, [message.sku])
    locked = await ledger.lock_places(uow, [(message.sku, centre_id)], create=True)
    await uow.execute(
        "UPDATE stock SET policy = $3, available_from = $4, available_until = $5, restock_date = $6,"
        " warning_level = $7, ideal_level = $8, updated_at = now() WHERE sku = $1 AND centre_id = $2",
        message.sku,
        centre_id,
        message.policy,
        message.available_from,
        message.available_until,
        message.restock_date,
        message.warning_level,
        message.ideal_level,
    )
    uow.audit("stock.set_policy", "stock", f"{message.sku}@{message.centre}", after=message.model_dump(mode="json"))
    await ledger.announce_with_kits(uow, [message.sku])
    stock = locked.stock[message.sku, centre_id]
    was_low = [stock.place] if stock.is_low else []
    stock.warning_level, stock.ideal_level = message.warning_level, message.ideal_level
    levels.tell_of_crossed(uow, [stock], was_low)
