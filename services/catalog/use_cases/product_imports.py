"""Products files in every mode.

`merge`, `insert-only` and `update-only` are product_chunks.py's. `replace` does what a merge does and then empties what
the file has a column for and no value. What the file does not name at all is another question, and asked separately
(`missing`): kept, unless it is to be archived; and nothing is archived for a file with errors, because nobody knows
what its refused rows would have named. `delete` archives: prices, variants and history of what goes stay.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import asyncpg

from services.catalog.repository import catalog, fingerprints, prices, replacing, shops, traces
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import product_harms
from services.catalog.use_cases.product_chunks import ProductImport
from services.catalog.use_cases.repeats import ProductChunk
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.impex.gathering import broken
from shared.impex.products import ProductFile
from shared.impex.profiles.registry import get_profile
from shared.impex.records import BrokenRecord
from shared.impex.rows import Notice, RowError, shortened
from shared.impex.writing_guard import unguarded_records
from shared.imports import rows as import_rows
from shared.imports.errors import ShopNotNamed
from shared.imports.groups import Group, GroupFile, Opening
from shared.imports.rows import terms_of
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

# Prices of products of an organization without shops are not kept, but have to be read as something.
_NO_CURRENCY = "USD"
_SLUGS_AT_ONCE = 5000
_ROWS_AT_ONCE = 2000
_ARCHIVED_AT_ONCE = 1000


async def check(uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises UnknownProfile, ShopNotFound, ShopNotNamed."""
    if options.profile is not None:
        get_profile(options.profile)
    shop = await named_shop(uow, options, is_needed=False)
    return shop.id if shop else None


async def named_shop(uow: UnitOfWork, options: ImportOptions, *, is_needed: bool) -> KnownShop | None:
    """The named shop, or the only one that could be meant. None for products of an organization without shops."""
    if options.shop is not None:
        return await shops.get_by_code(uow, options.shop)
    roots = await shops.list_roots(uow)
    if len(roots) == 1:
        return roots[0]
    if roots or is_needed:
        codes = ", ".join(repr(shop.code) for shop in roots[:20]) or "none yet"
        raise ShopNotNamed(f"Say with ?shop= which shop the prices are for: {codes}.")
    return None


async def shop_of(uow: UnitOfWork, row: asyncpg.Record) -> KnownShop | None:
    return await shops.get(uow, row["shop_id"]) if row["shop_id"] else None


def _open(opening: Opening) -> GroupFile:
    shop: KnownShop | None = opening.prepared
    file = ProductFile(opening.source, opening.row["profile"], shop.currency if shop else _NO_CURRENCY)
    return (DeletedProducts if opening.row["mode"] == "delete" else WrittenProducts)(file, shop, opening.row)


GROUP = Group(
    name="products",
    modes=("merge", "insert-only", "update-only", "replace", "delete"),
    open=_open,
    check=check,
    prepare=shop_of,
    may_archive_missing=True,
)


class WrittenProducts(GroupFile):
    """A file whose products are written."""

    def __init__(self, file: ProductFile, shop: KnownShop | None, row: asyncpg.Record) -> None:
        self._file = file
        self._shop = shop
        self._mode = row["mode"]
        self._is_dry: bool = row["dry_run"]
        self._archives: bool = row["missing"] == "archive"
        self._id: UUID = row["id"]
        import_id = None if self._is_dry else self._id
        self._import = ProductImport(file, shop, self._mode, import_id, row["created_at"], terms_of(row))
        self.layout = self._import.layout
        self.profile = file.profile.name

    def chunks(self) -> Iterator[ProductChunk]:
        return self._import.chunks()

    async def prepare(self, job: RunningJob, chunk: ProductChunk) -> None:
        await self._import.prepare(job, chunk)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: ProductChunk, number: int) -> None:
        await self._import.apply(uow, job, chunk, number)
        if self._mode == "replace":
            await self._replace(uow, job)

    async def _replace(self, uow: UnitOfWork, job: RunningJob) -> None:
        counted = {what: await traces.touched_now(uow, self._id, what) for what in ("product", "variant")}
        emptied = await replacing.empty_fields(uow, self._file.fields, self.layout.fields, self.layout.languages())
        for what, ids in (("product", emptied.products), ("variant", emptied.variants)):
            more = len(ids - counted[what])
            job.count(f"{what}s_updated", more)
            job.count(f"{what}s_unchanged", -more)
        changed = emptied.of_products - counted["product"]
        if changed:
            await replacing.count_changes(uow, changed)
        replacing.announce(uow, emptied.of_products - changed)
        if self._shop is not None and "price" in self._file.fields:
            price_list_id = await prices.standard_list(uow, self._shop)
            without = await replacing.remove_empty_prices(uow, price_list_id, self._import.kept_prices)
            job.count("prices_deleted", len(without))
            await prices.announce(uow, self._shop.id, sorted(set(without)))
            emptied.of_products.update(without)
        # The step says that it keeps its own; what it empties on top of the merge is no longer what a merge wrote.
        await fingerprints.forget(uow, emptied.of_products)
        if self._archives:
            await replacing.note_named(uow, self._id)

    async def finish(self, uow: UnitOfWork, job: RunningJob) -> bool:
        if not self._archives:
            return False
        if job.counters.get("errors"):
            message = (
                "What the file does not name was kept, because rows of it were refused: nobody knows what they name."
            )
            await import_rows.keep_remarks(uow, self._id, [Notice(1, None, None, "missing_not_archived", message)])
            return False
        await catalog.lock(uow)
        archived = await replacing.archive_unnamed(uow, self._id, _ARCHIVED_AT_ONCE)
        job.count("products_archived", archived)
        return archived == _ARCHIVED_AT_ONCE

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        if self._mode == "insert-only":
            return []
        return await product_harms.weigh(
            uow, self._file, self._shop, empties=self._mode == "replace", archives=self._archives
        )

    async def skipped(self, uow: UnitOfWork, chunk: ProductChunk, most: int) -> list[ImportSample]:
        if self._mode not in ("insert-only", "update-only"):
            return []
        handles = [group.handle for group in chunk.gathered.groups]
        known = await replacing.known_slugs(uow, handles)
        left = [handle for handle in handles if (handle in known) is (self._mode == "insert-only")]
        return [ImportSample(kind="skip", part="product", name=handle, fields=[]) for handle in left[:most]]

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        of_cause = f"t.created_cause = '{self._id}'"
        sources = {
            "product": "t.id IN (SELECT id FROM staged_products WHERE is_new)",
            "variant": "t.id IN (SELECT id FROM staged_variants WHERE is_new)",
            "price": f"t.variant_id IN (SELECT id FROM staged_variants) AND {of_cause}",  # noqa: S608
        }
        made = await traces.made(uow, self._id, sources, wanted.get("insert", 0))
        return [*made, *await traces.samples(uow, self._id, wanted)]


@dataclass(slots=True)
class _Named:
    """Products that a portion of a file names, by the rows that do."""

    rows: int = 0
    items: list[tuple[int, str]] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class DeletedProducts(GroupFile):
    """A file whose products are archived. Nothing but their keys is read."""

    def __init__(self, file: ProductFile, _shop: KnownShop | None, row: asyncpg.Record) -> None:
        self._file = file
        self._id: UUID = row["id"]
        self.layout = file.layout
        self.profile = file.profile.name

    def chunks(self) -> Iterator[_Named]:
        named = _Named()
        last = ""
        for record in unguarded_records(self._file.source.records()):
            named.rows += 1
            if isinstance(record, BrokenRecord):
                named.errors.append(broken(record))
                continue
            handle = product_harms.handle_of(self._file, [*record[1], ""], last)
            if not handle:
                named.errors.append(RowError(record[0], None, None, "missing_handle", "The row names no product."))
            elif handle != last:
                named.items.append((record[0], handle))
            last = handle or last
            if named.rows >= _ROWS_AT_ONCE:
                yield named
                named = _Named()
        if named.rows:
            yield named

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: _Named, _number: int) -> None:
        await catalog.lock(uow)
        known, archived = await replacing.archive(uow, [handle for _, handle in chunk.items])
        job.count("products_archived", archived)
        job.count("products_unchanged", len(known) - archived)
        for row, handle in chunk.items:
            if handle not in known:
                message = f"There is no product '{shortened(handle)}'."
                chunk.errors.append(RowError(row, None, shortened(handle), "unknown_product", message))

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        named = (handle for handle, is_first, _ in product_harms.described(self._file) if is_first)
        gone = await _count_unarchived(uow, named)
        return [Harm(what="products_archived", count=gone, of=await replacing.count_unarchived(uow))]

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found = await traces.samples(uow, self._id, {"update": wanted.get("delete", 0)})
        return [sample.model_copy(update={"kind": "delete"}) for sample in found]


async def _count_unarchived(uow: UnitOfWork, handles: Iterator[str]) -> int:
    total = 0
    while batch := await asyncio.to_thread(lambda: list(islice(handles, _SLUGS_AT_ONCE))):
        total += await replacing.count_unarchived(uow, batch)
    return total
