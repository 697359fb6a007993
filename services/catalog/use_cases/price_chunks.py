"""One chunk of a prices file, written into the lists of one shop. Nothing but prices is touched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.repository import catalog, prices
from services.catalog.repository.prices import NewPrice, PriceKey
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import pricing
from services.catalog.use_cases.price_file import KnownList, Place, PriceChunk, PriceLayout, PriceRecord
from shared import clock
from shared.identifiers import new_id
from shared.impex.rows import RowError, shortened
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class PriceLists:
    """A shop, and the lists it has as an import begins."""

    shop: KnownShop
    lists: Sequence[KnownList]


async def lists_of(uow: UnitOfWork, shop: KnownShop) -> PriceLists:
    """What `PriceFile` has to know of a shop."""
    standing = await prices.standing_lists(uow, shop)
    rows = await prices.lists_of_shop(uow, shop.id)
    return PriceLists(shop, [KnownList(**dict(row), is_standing=row["id"] in standing) for row in rows])


class Chunk:
    """A portion of a file and what the catalog has of it: rows that can be taken, and their keys."""

    def __init__(
        self, taken: Sequence[PriceRecord], known: Mapping[str, asyncpg.Record], lists: Mapping[Place, UUID]
    ) -> None:
        self.taken = taken
        self.known = known
        self.lists = lists

    @property
    def variant_ids(self) -> list[UUID]:
        return [row["id"] for row in self.known.values()]

    def key(self, price: PriceRecord) -> PriceKey:
        variant_id = self.known[price.sku]["id"]
        centre, starts_at = price.centre or "", price.starts_at
        return self.lists[price.place], variant_id, price.minimum_quantity, centre, starts_at

    def new_price(self, price: PriceRecord) -> tuple[UUID, NewPrice]:
        """What is to be stored, with its list."""
        list_id, variant_id, quantity, _, starts_at = self.key(price)
        amount = None if price.price is None else price.price.amount
        before = None if price.list_price is None else price.list_price.amount
        on_request, centre = price.is_on_request, price.centre
        return list_id, NewPrice(variant_id, quantity, amount, before, on_request, centre, starts_at, price.ends_at)


class PriceImport:
    """A prices file on its way in."""

    def __init__(self, shop: KnownShop, layout: PriceLayout) -> None:
        self._shop = shop
        self._layout = layout
        self._centres: dict[str, bool] = {}

    async def prepare(self, job: RunningJob, chunk: PriceChunk) -> None:
        """Ask which of the centres that a portion names there are: before anything is written."""
        unknown = chunk.centres - self._centres.keys()
        if not unknown:
            return
        uow = job.unit_of_work()
        try:
            found = await pricing.known_centres(uow, unknown)
        finally:
            await uow.rollback()
        self._centres |= {code: code in found for code in unknown}

    async def taken(self, uow: UnitOfWork, chunk: PriceChunk, *, makes_lists: bool) -> Chunk:
        """The rows of a chunk that can be written, under the catalog's lock; the others are added to its errors.

        Rows of a list that is still to be made are left out, unless it is made now.
        """
        await catalog.lock(uow)
        known = await prices.variant_ids(uow, [price.sku for price in chunk.prices])
        lists = await self._lists(uow, {price.place for price in chunk.prices}, makes_lists=makes_lists)
        taken = []
        for price in chunk.prices:
            fault = self._fault(price, known, lists)
            if fault is not None:
                chunk.errors.append(self._refused(price, *fault))
            elif price.place in lists:
                taken.append(price)
        return Chunk(taken, known, lists)

    async def _lists(self, uow: UnitOfWork, places: Iterable[Place], *, makes_lists: bool) -> dict[Place, UUID]:
        named = await prices.list_named(uow, [place.list_id for place in places if place.list_id is not None])
        found: dict[Place, UUID | None] = {place: place.list_id for place in places if place.list_id in named}
        for place in places:
            if place.list_id is None:
                list_id = await prices.find_standing_list(uow, self._shop, place.customer_group)
                if list_id is None and makes_lists:
                    list_id = await prices.make_standard_list(uow, self._shop, new_id(), place.customer_group)
                found[place] = list_id
        return {place: list_id for place, list_id in found.items() if list_id is not None}

    def _fault(
        self, price: PriceRecord, known: Mapping[str, Any], lists: Mapping[Place, UUID]
    ) -> tuple[str, str, str] | None:
        if price.sku not in known:
            return "sku", "unknown_sku", f"There is no variant with the SKU '{shortened(price.sku)}'."
        if price.place not in lists and price.place.list_id is not None:
            return "price_list", "unknown_price_list", "The price list was removed while the file was read."
        if price.centre is not None and not self._centres.get(price.centre, True):
            message = f"There is no fulfilment centre with the code '{shortened(price.centre)}'."
            return "centre", "centre_not_found", message
        return None

    def _refused(self, price: PriceRecord, column: str, code: str, message: str) -> RowError:
        value = price.sku if column == "sku" else price.centre if column == "centre" else None
        return RowError(price.row, self._layout.heading(column), value and shortened(value), code, message)

    async def write(self, uow: UnitOfWork, job: RunningJob, chunk: Chunk, gone: Iterable[PriceKey] = ()) -> None:
        """Store the prices of a chunk, and remove those of `gone`; count, announce, and plan their turns."""
        removed = [_removal(key) for key in gone]
        written = await prices.merge(uow, [*map(chunk.new_price, chunk.taken), *removed])
        job.count("prices_inserted", written.inserted)
        job.count("prices_updated", written.updated)
        if removed or any(price.price is None and not price.is_on_request for price in chunk.taken):
            job.count("prices_deleted", written.removed)
        unchanged = len(chunk.taken) + len(removed) - written.inserted - written.updated - written.removed
        job.count("prices_unchanged", unchanged)
        products = {row["product_id"] for row in chunk.known.values() if row["id"] in written.variant_ids}
        await prices.announce(uow, self._shop.id, sorted(products))
        await pricing.plan_turns_of_prices(uow, written.variants_of_lists, clock.now())


def _removal(key: PriceKey) -> tuple[UUID, NewPrice]:
    list_id, variant_id, quantity, centre, starts_at = key
    return list_id, NewPrice(variant_id, quantity, None, None, False, centre or None, starts_at)
