"""Rows that an import has taken before, just as they are, into products that nobody has touched since (CAT-8).

They are recognised by a digest of their cells before these are even read: a file that comes again every night costs a
tenth of its first time. A digest counts only while its row in `import_fingerprints` stands; triggers remove it when
anybody else writes to its product, and the import itself when another of its columns or files does.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from services.catalog.repository import fingerprints
from services.catalog.repository.fingerprints import Fingerprint, Standing
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.product_sheets import NewProducts
from services.catalog.use_cases.resolution import ResolvedProduct
from shared.contracts.platform.imports import ImportMode
from shared.impex.gathering import Group
from shared.impex.products import Chunk, ProductFile
from shared.impex.rows import Notice, ProductRecord, RowError, VariantRecord
from shared.impex.sheets import SheetProduct
from shared.unit_of_work import UnitOfWork

# Counts up when the same cells would be read or written differently from then on.
_READING = 3


@dataclass(slots=True)
class ProductChunk:
    """A portion of a file with the digest of each product's rows; `unchanged` are those that need no reading."""

    gathered: Chunk
    digests: dict[str, bytes]
    unchanged: dict[str, Group] = field(default_factory=dict)
    # Of what needs reading, the products that were read in columns.
    sheet: list[SheetProduct] = field(default_factory=list)

    @property
    def errors(self) -> list[RowError]:
        return self.gathered.errors

    @property
    def notices(self) -> list[Notice]:
        return self.gathered.notices

    @property
    def rows(self) -> int:
        return self.gathered.rows

    def rename(self, products: Iterable[tuple[ProductRecord, ProductRecord]]) -> None:
        """What is remembered of these stands under the handles of the latter."""
        digests = {now.handle: self.digests[was.handle] for was, now in products if was.handle in self.digests}
        self.digests = {**self.digests, **digests}

    def groups_to_read(self) -> list[Group]:
        return [group for group in self.gathered.groups if self.unchanged.get(group.handle) is not group]


class Repeats:
    """What is known of one file's rows from earlier imports. Only a merge repeats itself: other modes compare."""

    def __init__(self, file: ProductFile, shop: KnownShop | None, mode: ImportMode) -> None:
        self._is_merge = mode == "merge"
        said = (str(_READING), file.profile.name, shop.id.hex if shop else "", shop.currency if shop else "")
        key = hashlib.blake2b("\x1e".join((*said, *file.source.header)).encode(), digest_size=16).digest()
        self._key = key
        self._context = int.from_bytes(key[:8], "big", signed=True)
        self._any_before: bool | None = None

    def digested(self, chunk: Chunk) -> ProductChunk:
        """A gathered chunk with its digests. Plain Python: in a thread."""
        groups = [group for group in chunk.groups if group.earlier is None] if self._is_merge else []
        return ProductChunk(chunk, {group.handle: self._digest(group) for group in groups})

    def _digest(self, group: Group) -> bytes:
        text = "\x1e".join(["\x1f".join(fields) for _, fields in group.records])
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()

    async def recognise(self, uow: UnitOfWork, chunk: ProductChunk) -> None:
        """Note which products of a chunk seem unchanged; `confirmed` says so for certain."""
        if self._any_before is None:
            self._any_before = self._is_merge and await fingerprints.any_of_context(uow, self._context)
        if not self._any_before:
            return
        groups = [group for group in chunk.gathered.groups if group.earlier is None]
        asked = {group.handle: chunk.digests[group.handle] for group in groups}
        found = await fingerprints.standing(uow, self._context, asked, None, any_list=True)
        chunk.unchanged = {group.handle: group for place, group in enumerate(groups) if place in found.places}

    async def confirmed(
        self, uow: UnitOfWork, chunk: ProductChunk, price_list_id: UUID | None
    ) -> tuple[Standing, list[Group]]:
        """Of what seemed unchanged what there is of it, and the rows of what is not. Under the catalog's lock."""
        await fingerprints.step_keeps_its_own(uow)
        if not chunk.unchanged:
            return Standing(frozenset()), []
        asked = {handle: chunk.digests[handle] for handle in chunk.unchanged}
        found = await fingerprints.standing(uow, self._context, asked, price_list_id)
        lapsed = [handle for place, handle in enumerate(asked) if place not in found.places]
        return found, [chunk.unchanged.pop(handle) for handle in lapsed]

    async def remember(
        self,
        uow: UnitOfWork,
        chunk: ProductChunk,
        products: Iterable[ResolvedProduct],
        new: NewProducts,
        touched: set[UUID],
        remarked: set[int],
        price_list_id: UUID | None,
    ) -> None:
        """Remember the products that were taken whole, without a word about any of their rows."""
        taken: list[Fingerprint] = []
        if self._is_merge:
            taken += new.fingerprints(chunk.digests, remarked, price_list_id)
            for product in products:
                if remarked.isdisjoint(product.record.rows):
                    variants = product.variants
                    priced = sum(_prices(variant.record) for variant in variants) if price_list_id else 0
                    digest = chunk.digests[product.record.handle]
                    taken.append(Fingerprint(product.id, digest, price_list_id, len(variants), priced))
        # Of a product that was not there nothing is remembered.
        await fingerprints.replace(uow, self._context, touched.difference(new.ids), taken)


def _prices(record: VariantRecord) -> int:
    """How many prices a row gives its variant."""
    return (record.price is not None) + (record.sale is not None)
