"""Stock levels: read, compared, written some at a time, and read back, because Magento says yes to whatever it is told.

A level of a SKU that nobody has is stored with an answer of 200, and a whole batch is refused for one source that there
is not. There is no compare-and-set: between the reading and the writing a sale may fall, as long as one request takes.
Levels are never queued (`async`): a queued level would be set minutes later, over a newer one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.sync.errors import AnswerLost, PlatformRefused
from services.sync.platforms.base import Record, StockWrite, Written
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.client import Client
from services.sync.platforms.magento.mapping import IN_STOCK, OUT_OF_STOCK, JsonObject
from services.sync.platforms.magento.reading import LEVELS, Key, Reader, level_key
from services.sync.platforms.magento.reservations import Reserved, read_reserved
from services.sync.platforms.writing import failed
from shared.errors import CrossdockError

# As many rows a request may have where Magento's input limits are on.
MOST_IN_BODY = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A level that is to be set, and which write it is of."""

    index: int
    write: StockWrite

    @property
    def key(self) -> Key:
        return self.write.location, self.write.sku.lower()

    def row(self, reserved: Reserved) -> JsonObject:
        """What can be sold and what is reserved. Nothing is out of stock; without `status` Magento takes none."""
        quantity = self.write.quantity + reserved.get(self.key, 0)
        return {
            "sku": self.write.sku,
            "source_code": self.write.location,
            "quantity": quantity,
            "status": IN_STOCK if quantity > 0 else OUT_OF_STOCK,
        }


class StockWriter:
    """Sets stock levels of one shop."""

    def __init__(self, client: Client, reader: Reader) -> None:
        self._client, self._reader = client, reader

    async def read(self, external_ids: Sequence[str]) -> list[Record]:
        """These levels as they are now; what is gone is not among them."""
        rows = await self._reader.levels(map(level_key, external_ids))
        reserved = await read_reserved(self._reader) if rows else {}
        return [mapping.level(row, reserved) for row in rows.values()]

    async def write(self, writes: Sequence[StockWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        done: dict[int, Written] = {}
        for group in without_twins([Wanted(index, write) for index, write in enumerate(writes)]):
            try:
                await self._settle(group, done)
            except CrossdockError as error:
                if not done:
                    raise
                for each in group:
                    done.setdefault(each.index, failed(error))
        return [done[index] for index in range(len(writes))]

    async def _settle(self, group: Sequence[Wanted], done: dict[int, Written]) -> None:
        reserved = await read_reserved(self._reader)
        there = await self._levels([each.key for each in group], reserved)
        sources = {source.code for source in await self._reader.shop.sources()}
        unknown = [each.write.sku for each in group if each.key not in there]
        products = await self._reader.by_sku(unknown, "id,sku") if unknown else {}
        to_set = []
        for each in group:
            answer = decided(each, there.get(each.key), sources, products)
            if answer is None:
                to_set.append(each)
            else:
                done[each.index] = answer
        for start in range(0, len(to_set), MOST_IN_BODY):
            await self._set(to_set[start : start + MOST_IN_BODY], reserved, done)

    async def _set(self, some: Sequence[Wanted], reserved: Reserved, done: dict[int, Written]) -> None:
        """Set some levels; when they are refused together, each by itself. Raises only when none was sent."""
        try:
            await self._client.post(LEVELS, {"sourceItems": [each.row(reserved) for each in some]})
        except PlatformRefused as error:
            if len(some) == 1:
                done[some[0].index] = failed(error)
                return
            for each in some:
                await self._set([each], reserved, done)
            return
        except CrossdockError as error:
            if not done and not isinstance(error, AnswerLost):
                raise
            done |= {each.index: failed(error) for each in some}
            return
        try:
            done |= await self._checked(some, reserved)
        except CrossdockError as error:
            done |= {each.index: Written("retry", error.detail) for each in some}

    async def _checked(self, some: Sequence[Wanted], reserved: Reserved) -> dict[int, Written]:
        """What is there now. What is not as it was set is looked at anew: it was not taken, or sold from already."""
        there = await self._levels([each.key for each in some], reserved)
        checked = {}
        for each in some:
            quantity, fields = there.get(each.key), {"quantity": each.write.quantity}
            external_id = mapping.level_id(*each.key)
            if quantity == each.write.quantity:
                checked[each.index] = Written("ok", None, external_id, fields)
            else:
                words = f"Magento has {quantity} of {each.write.sku} after it was told {each.write.quantity}."
                checked[each.index] = Written("retry", words, external_id)
        return checked

    async def _levels(self, keys: Sequence[Key], reserved: Reserved) -> dict[Key, int]:
        rows = await self._reader.levels(keys)
        return {key: mapping.level(row, reserved).fields["quantity"] for key, row in rows.items()}


def decided(each: Wanted, there: int | None, sources: set[str], products: Mapping[str, JsonObject]) -> Written | None:
    """What is to be said of a write without writing; None: it is to be written."""
    write, external_id = each.write, mapping.level_id(*each.key)
    if write.location not in sources:
        return Written("person", f"Magento has no source '{write.location}' in use.")
    if there is None and write.sku.lower() not in products:
        return Written("person", f"Magento has no product with the SKU '{write.sku}'.")
    fields = {"quantity": there or 0}
    if there == write.quantity:
        return Written("unchanged", None, external_id, fields)
    if write.expected is not None and (there or 0) != write.expected:
        return Written("stale", "The stock has changed.", external_id, fields)
    return None


def without_twins(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Groups that have no level twice; later writes of a level in later groups."""
    groups: list[dict[Key, Wanted]] = []
    for each in wanted:
        group = next((group for group in groups if each.key not in group), None)
        if group is None:
            groups.append(group := {})
        group[each.key] = each
    return [list(group.values()) for group in groups]
