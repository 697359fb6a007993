"""Prices files in every mode.

`replace` makes of each SKU that the file names, in each list in which it names it, the prices that the file has for it:
other quantities, dates and centres go, and a row without a price says that there is none. What the file does not name
stays. `delete` removes the prices that its rows name.
"""

import asyncio
from collections.abc import Iterator, Mapping
from uuid import UUID

import asyncpg

from services.catalog.repository import prices, traces
from services.catalog.repository.prices import PriceKey
from services.catalog.use_cases.price_chunks import Chunk, PriceImport, PriceLists, lists_of
from services.catalog.use_cases.price_file import HEADINGS, PriceChunk, PriceFile, PriceRecord
from services.catalog.use_cases.product_imports import named_shop, shop_of
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import Group, GroupFile, Opening
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 1000


async def check(uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises UnsupportedProfile, ShopNotFound, ShopNotNamed."""
    if options.profile not in (None, "crossdock"):
        raise UnsupportedProfile(f"A prices file has the columns {', '.join(HEADINGS)}; name no profile.")
    shop = await named_shop(uow, options, is_needed=True)
    assert shop is not None
    return shop.id


async def _lists_of_shop(uow: UnitOfWork, row: asyncpg.Record) -> PriceLists:
    shop = await shop_of(uow, row)
    assert shop is not None
    return await lists_of(uow, shop)


class PricesFile(GroupFile):
    """A file of prices of one shop."""

    def __init__(self, opening: Opening) -> None:
        known: PriceLists = opening.prepared
        self._mode: str = opening.row["mode"]
        self._file = PriceFile(
            opening.source,
            known.lists,
            known.shop.currency,
            empties=self._mode == "replace",
            keys_only=self._mode == "delete",
        )
        self._import = PriceImport(known.shop, self._file.layout)
        self._id = opening.import_id
        self._skus: list[str] = []
        self.layout = self._file.layout

    def chunks(self) -> Iterator[PriceChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def prepare(self, job: RunningJob, chunk: PriceChunk) -> None:
        if self._mode != "delete":
            await self._import.prepare(job, chunk)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: PriceChunk, _number: int) -> None:
        self._skus = [price.sku for price in chunk.prices]
        found = await self._import.taken(uow, chunk, makes_lists=self._mode not in ("delete", "update-only"))
        if self._mode in ("insert-only", "update-only"):
            left = await self._left_out(uow, found)
            job.count("prices_skipped", len(left))
            found.taken = [price for price in found.taken if price not in left]
        gone = await self._gone(uow, chunk, found) if self._mode == "replace" else set()
        await self._import.write(uow, job, found, gone)

    async def _gone(self, uow: UnitOfWork, chunk: PriceChunk, found: Chunk) -> set[PriceKey]:
        """Prices of SKUs that the file names in a list for the first time, and that the portion does not have.

        Nothing of a SKU of which a row is refused: nobody knows what that row would have named.
        """
        refused = chunk.refused | ({price.sku for price in chunk.prices} - {price.sku for price in found.taken})
        begun = {
            (found.lists[place], found.known[sku]["id"])
            for place, sku in chunk.begun
            if sku in found.known and sku not in refused and place in found.lists
        }
        kept = set(map(found.key, found.taken))
        existing = await prices.existing(uow, found.lists.values(), found.variant_ids)
        return {key for key in existing - kept if key[:2] in begun}

    async def _left_out(self, uow: UnitOfWork, found: Chunk) -> list[PriceRecord]:
        """What the mode leaves out."""
        priced = await prices.existing(uow, found.lists.values(), found.variant_ids)
        return [price for price in found.taken if (found.key(price) in priced) is (self._mode == "insert-only")]

    async def skipped(self, uow: UnitOfWork, chunk: PriceChunk, most: int) -> list[ImportSample]:
        if self._mode not in ("insert-only", "update-only"):
            return []
        looked_at = PriceChunk(prices=chunk.prices)
        left = await self._left_out(uow, await self._import.taken(uow, looked_at, makes_lists=False))
        return [ImportSample(kind="skip", part="price", name=_name(price), fields=[]) for price in left[:most]]

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Prices that would be removed, and those that would be zero. Where nothing is removed, only zeros are read."""
        if self._mode == "insert-only":
            return []
        takes_away = self._mode in ("replace", "delete")
        deleted = zeroed = 0
        lists: set[UUID] = set()
        reading = self._file.chunks(CHUNK_ROWS, zeros_only=not takes_away)
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            async with uow.beforehand() as each:
                found = await self._import.taken(each, PriceChunk(prices=chunk.prices), makes_lists=False)
                lists |= set(found.lists.values())
                zeroed += len(await self._zeroed(each, found))
                deleted += len(await self._deleted(each, chunk, found)) if takes_away else 0
        of = await prices.count(uow, lists)
        return [
            Harm(what="prices_deleted", count=deleted, of=of),
            Harm(what="prices_zeroed", count=zeroed, of=of),
        ]

    async def _zeroed(self, uow: UnitOfWork, found: Chunk) -> set[PriceKey]:
        free = {found.key(price) for price in found.taken if price.price is not None and price.price.amount == 0}
        variant_ids = list({key[1] for key in free})
        return free and free & await prices.existing(uow, found.lists.values(), variant_ids, above_zero=True)

    async def _deleted(self, uow: UnitOfWork, chunk: PriceChunk, found: Chunk) -> set[PriceKey]:
        removing = [price for price in found.taken if price.price is None and not price.is_on_request]
        named = {found.key(price) for price in removing}
        existing = await prices.existing(uow, found.lists.values(), found.variant_ids)
        others = await self._gone(uow, chunk, found) if self._mode == "replace" else set()
        return (named & existing) | others

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        known = await prices.variant_ids(uow, self._skus)
        ids = ", ".join(f"'{row['id']}'" for row in known.values()) or "NULL"
        sources = {"price": f"t.variant_id IN ({ids}) AND t.created_cause = '{self._id}'"}
        made = await traces.made(uow, self._id, sources, wanted.get("insert", 0))
        return [*made, *await traces.samples(uow, self._id, wanted)]


def _name(price: PriceRecord) -> str:
    return price.sku if price.minimum_quantity == 1 else f"{price.sku} from {price.minimum_quantity}"


GROUP = Group(
    name="prices",
    writes="products",
    modes=("merge", "insert-only", "update-only", "replace", "delete"),
    open=PricesFile,
    check=check,
    prepare=_lists_of_shop,
)
