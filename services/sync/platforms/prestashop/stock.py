"""Stock levels: looked at, then set one by one. PrestaShop has no compare-and-set, so the look is just before.

The row of a product with combinations is the sum of theirs, and never written. What unpaid orders took stays taken.
"""

from collections.abc import Sequence

from services.sync.platforms.base import Record, StockWrite, Written
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.client import AT_ONCE
from services.sync.platforms.prestashop.mapping import key
from services.sync.platforms.prestashop.reading import Reader
from services.sync.platforms.prestashop.unpaid import Held
from services.sync.platforms.writing import failed, settle
from shared.errors import CrossdockError

# So many are looked at and set together: what is sold between the two is not seen.
LOOKED_AT_ONCE = 10


class StockWriter:
    """Sets stock levels of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def write(self, writes: Sequence[StockWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        done: list[Written] = []
        for start in range(0, len(writes), LOOKED_AT_ONCE):
            some = writes[start : start + LOOKED_AT_ONCE]
            try:
                done += await self._some(some)
            except CrossdockError as error:
                if not done:
                    raise
                done += [failed(error)] * len(some)
        return done

    async def _some(self, writes: Sequence[StockWrite]) -> list[Written]:
        held = await self._reader.held()
        levels = await self._reader.levels([write.external_id for write in writes], held)
        by_id = {level.external_id: level for level in levels}
        seen: set[str] = set()
        works: list[tuple[int, StockWrite]] = []
        later: list[tuple[int, StockWrite]] = []
        for index, write in enumerate(writes):
            # A level that is written twice is looked at anew for the second.
            (later if write.external_id in seen else works).append((index, write))
            seen.add(write.external_id)
        found = dict(
            zip(
                [index for index, _ in works],
                await settle(
                    [self._one(write, by_id.get(write.external_id), held) for _, write in works], at_once=AT_ONCE
                ),
                strict=True,
            )
        )
        if later:
            again = await self.write([write for _, write in later])
            found |= dict(zip([index for index, _ in later], again, strict=True))
        return [found[index] for index in range(len(writes))]

    async def _one(self, write: StockWrite, level: Record | None, held: Held) -> Written:
        if level is None:
            return Written("person", f"The shop has no stock level of its own for the SKU '{write.sku}'.")
        there = level.fields["quantity"]
        if there == write.quantity:
            return Written("unchanged", None, level.external_id, {"quantity": there}, level.references)
        if write.expected is not None and there != write.expected:
            message = f"The shop has {there} instead of {write.expected}."
            return Written("stale", message, level.external_id, {"quantity": there}, level.references)
        place = key(level.references["product"]), key(level.references["combination"])
        quantity = str(write.quantity - held.get(place, 0))
        changed = xml.row("stock_available", {"quantity": quantity})
        answered = await self._reader.client.change("stock_availables", level.external_id, changed)
        if answered.findtext("id") != level.external_id or answered.findtext("quantity") != quantity:
            return Written("retry", "The shop answered with another stock level.", level.external_id)
        return Written("ok", None, level.external_id, {"quantity": write.quantity}, level.references)
