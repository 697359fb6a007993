"""Every change of stock goes through here: rows locked in one order, changed by their rules, written with their ledger.

All who change stock lock by SKU and centre in ascending order, so that they queue and never deadlock.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from services.inventory.errors import LedgerBroken
from services.inventory.models import Movement, Place, Stock
from services.inventory.repository import balances, kits, movements
from services.inventory.use_cases import levels
from shared.contracts.inventory.events import SKUS_PER_EVENT, StockChanged
from shared.unit_of_work import UnitOfWork


class Ledger:
    """Locked stock, and the movements made on it so far."""

    def __init__(self, rows: Iterable[Stock]) -> None:
        self.stock: dict[Place, Stock] = {row.place: row for row in rows}
        self._backordered = {place: row.backordered for place, row in self.stock.items()}
        self._versions = {place: row.version for place, row in self.stock.items()}
        self._low = {place for place, row in self.stock.items() if row.is_low}
        self._standings = {place: row.standing for place, row in self.stock.items()}
        self._changed: set[Place] = set()
        self._movements: list[Movement] = []

    def note(self, movement: Movement) -> None:
        self._movements.append(movement)
        self._changed.add((movement.sku, movement.centre_id))

    def touch(self, stock: Stock) -> None:
        """Write a row that changed without a movement: its policy, or when it was counted."""
        self._changed.add(stock.place)

    async def write(self, uow: UnitOfWork) -> None:
        """Write rows and movements, and announce the SKUs, and the kits of them, that may sell differently now.

        Where fewer units are missing than before, whoever waits for them is served afterwards.

        Raises LedgerBroken when a row is not as it was when it was locked.
        """
        if not self._changed:
            return
        rows = [self.stock[place] for place in sorted(self._changed)]
        written = await balances.write_stock(uow, rows, [self._versions[row.place] for row in rows])
        if written.rows != len(rows):
            raise LedgerBroken("Stock changed under its lock; nothing was stored.")
        await movements.write_movements(uow, self._movements)
        crossed = {row.sku for row in rows if row.standing != self._standings[row.place]}.union(written.kits)
        announce(uow, sorted({row.sku for row in rows}.union(written.kits)), crossed)
        levels.tell_of_crossed(uow, rows, self._low)
        leave_serving(uow, [row.place for row in rows if row.backordered < self._backordered[row.place]])
        self._backordered.update({row.place: row.backordered for row in rows})
        self._versions.update({row.place: row.version for row in rows})
        self._low = {place for place, row in self.stock.items() if row.is_low}
        self._standings.update({row.place: row.standing for row in rows})
        self._movements.clear()
        self._changed.clear()


async def lock(uow: UnitOfWork, skus: Sequence[str], centre_ids: Sequence[object]) -> Ledger:
    """Lock these SKUs in these centres, as far as they have a row."""
    return Ledger(await balances.lock_stock(uow, skus, centre_ids))


async def lock_centre(uow: UnitOfWork, centre_id: UUID) -> Ledger:
    """Lock all stock of a centre."""
    return Ledger(await balances.lock_centre(uow, centre_id))


async def lock_places(uow: UnitOfWork, places: Iterable[Place], *, create: bool = False) -> Ledger:
    """Lock exactly these rows; with `create` the missing ones are made, with nothing on hand."""
    ordered = sorted(set(places))
    if create:
        await balances.make_stock(uow, ordered)
    return Ledger(await balances.lock_places(uow, ordered))


async def announce_with_kits(uow: UnitOfWork, skus: Sequence[str], crossed: Collection[str] | None = None) -> None:
    """Tell the others to ask anew, also of the kits that have these SKUs in them."""
    with_them = await kits.list_kits_with(uow, skus)
    announce(uow, sorted({*skus, *with_them}), None if crossed is None else {*crossed, *with_them})


def announce(uow: UnitOfWork, skus: Sequence[str], crossed: Collection[str] | None = None) -> None:
    """Tell the others to ask anew, in chunks. `crossed`: those that may stand otherwise, see `Stock.standing`."""
    for start in range(0, len(skus), SKUS_PER_EVENT):
        chunk = list(skus[start : start + SKUS_PER_EVENT])
        of_chunk = None if crossed is None else [sku for sku in chunk if sku in crossed]
        uow.record(StockChanged(skus=chunk, crossed=of_chunk))


def leave_serving(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Leave it to a task to serve those who wait in these places: their reservations may still change here."""
    for start in range(0, len(places), SKUS_PER_EVENT):
        chunk = [[sku, str(centre_id)] for sku, centre_id in places[start : start + SKUS_PER_EVENT]]
        uow.defer("backorders.serve", {"places": chunk})
