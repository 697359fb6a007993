"""Stock changed by hand: added to or taken from with a reason, and moved between centres in one operation."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.inventory.errors import (
    CentreNotFound,
    NegativeStock,
    NotEnoughToMove,
    ReferenceReused,
    SameCentre,
    TooMuchStock,
)
from services.inventory.models import Place
from services.inventory.repository import movements, shop_centres
from services.inventory.use_cases import alerts, centres, kits, ledger, lists
from services.inventory.use_cases.ledger import Ledger
from shared.contracts.inventory.ledger import AdjustStock, MovedLine, MoveStock, StockMoved
from shared.contracts.inventory.shapes import StockLevel
from shared.unit_of_work import UnitOfWork

MOST_ON_HAND = 2_000_000_000


async def adjust(uow: UnitOfWork, message: AdjustStock) -> StockLevel:
    """Raises CentreNotFound, IsKit, NegativeStock, TooMuchStock, ReferenceReused."""
    await centres.ensure_default(uow)
    codes = await shop_centres.lock_living(uow)
    code = message.centre or await shop_centres.find_default_code(uow) or ""
    place = message.sku, _id_of(codes, code)
    await kits.refuse(uow, [message.sku])
    locked = await ledger.lock_places(uow, [place], create=True)
    if not await _is_repeated(uow, {place: message.delta}, message.reference):
        stock = locked.stock[place]
        _check_bounds(stock.on_hand, message.delta)
        was_short = _short(locked)
        locked.note(stock.adjust(message.delta, message.reference, message.reason))
        await _write(uow, locked, was_short)
        uow.audit(
            "stock.adjust",
            "stock",
            f"{message.sku}@{code}",
            after=message.model_dump(mode="json"),
            reason=message.reason,
        )
    return await lists.get_level(uow, message.sku, code)


def _check_bounds(on_hand: int, delta: int) -> None:
    if on_hand + delta < 0:
        raise NegativeStock(f"Only {on_hand} are on hand.")
    if on_hand + delta > MOST_ON_HAND:
        raise TooMuchStock(f"{on_hand} are on hand, and so many more are beyond all bounds.")


async def move(uow: UnitOfWork, message: MoveStock) -> StockMoved:
    """All lines or none. Raises CentreNotFound, SameCentre, IsKit, NotEnoughToMove, TooMuchStock, ReferenceReused."""
    codes = await shop_centres.lock_living(uow)
    source, target = _id_of(codes, message.from_centre), _id_of(codes, message.to_centre)
    if source == target:
        raise SameCentre("The goods are there already.")
    wanted = _summed(message.lines)
    await kits.refuse(uow, list(wanted))
    changes = {(sku, source): -quantity for sku, quantity in wanted.items()}
    changes |= {(sku, target): quantity for sku, quantity in wanted.items()}
    locked = await ledger.lock_places(uow, changes, create=True)
    repeated = await _is_repeated(uow, changes, message.reference)
    if not repeated:
        _check_movable(locked, wanted, source)
        was_short = _short(locked)
        for place, change in changes.items():
            _check_bounds(locked.stock[place].on_hand, change)
            locked.note(locked.stock[place].move(change, message.reference, message.reason))
        await _write(uow, locked, was_short)
        uow.audit(
            "stock.move", "fulfilment_centre", source, after=message.model_dump(mode="json"), reason=message.reason
        )
    levels = await lists.list_levels(uow, list(wanted), [source, target])
    return StockMoved(repeated=repeated, levels=levels)


def _summed(lines: Sequence[MovedLine]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for line in lines:
        summed[line.sku] = summed.get(line.sku, 0) + line.quantity
    return summed


def _check_movable(locked: Ledger, wanted: Mapping[str, int], source: UUID) -> None:
    """What is reserved was promised from where it lies."""
    short: list[dict[str, Any]] = [
        {"sku": sku, "requested": quantity, "available": locked.stock[sku, source].available}
        for sku, quantity in sorted(wanted.items())
        if locked.stock[sku, source].available < quantity
    ]
    if short:
        skus = ", ".join(entry["sku"] for entry in short[:5])
        raise NotEnoughToMove(f"Not so much can be moved: {skus}.", short)


async def _is_repeated(uow: UnitOfWork, changes: Mapping[Place, int], reference: str | None) -> bool:
    """Whether exactly this was done before under its reference. Raises ReferenceReused where another change was."""
    if reference is None:
        return False
    places = [(sku, centre_id, reference) for sku, centre_id in changes]
    applied = await movements.list_applied_references(uow, places)
    if not applied:
        return False
    before = {(sku, centre_id): change for (sku, centre_id, _), change in applied.items()}
    if before != dict(changes):
        raise ReferenceReused(f"The reference '{reference}' stands for another change of this stock.")
    return True


def _id_of(codes: Mapping[str, UUID], code: str) -> UUID:
    if code not in codes:
        raise CentreNotFound(f"There is no fulfilment centre with the code '{code}'.")
    return codes[code]


def _short(locked: Ledger) -> set[Place]:
    return {place for place, stock in locked.stock.items() if stock.is_short}


async def _write(uow: UnitOfWork, locked: Ledger, was_short: set[Place]) -> None:
    await locked.write(uow)
    await alerts.tell_of_short_stock(uow, locked.stock.values(), was_short)
