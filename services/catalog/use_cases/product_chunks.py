"""One chunk of a product file: products, variants, categories, pictures and prices; stock figures are passed on.

Decisions of the merge: an empty cell says nothing and leaves what is stored; pictures, where given, replace those that
are stored; categories are added to; a price comes with its list price, so that an empty list price ends a reduction; a
supplier's file leaves prices alone that anybody but a supplier's file has written.
A new product that stands in no category is put into one named after its type, or `Uncategorised`, as what stands in
none is not sold anywhere. A new product without a status is active.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.catalog.repository import (
    catalog,
    categories,
    further_fields,
    prices,
    shops,
    staging,
    supplier_prices,
    text_files,
)
from services.catalog.repository.categories import Path
from services.catalog.repository.fingerprints import Standing
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import attributes, languages, product_sheets, renamed, sale_prices
from services.catalog.use_cases.product_sheets import NewProducts
from services.catalog.use_cases.repeats import ProductChunk, Repeats
from services.catalog.use_cases.resolution import Resolution, ResolvedProduct, resolve, skus_in_question
from shared import blobs
from shared.contracts.catalog.events import (
    IDS_PER_EVENT,
    CategoriesChanged,
    ProductsChanged,
    StockFileImported,
)
from shared.contracts.platform.imports import ImportMode
from shared.impex.products import ProductFile
from shared.impex.rows import Notice, ProductRecord, StockPolicy
from shared.impex.sheets import SheetProduct
from shared.impex.terms import UNSAID, FileTerms
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

STOCK_TASK = "import.pass_on_stock"
# Twice as many are 10 % faster and hold the catalog's lock twice as long.
CHUNK_ROWS = 2000
_NO_CATEGORY = "Uncategorised"


class ProductImport:
    """A product file on its way in. Prices go to the shop's price list; without a shop they are not kept.

    `import_id` names the stock files; a dry run has none and writes none.
    """

    def __init__(
        self,
        file: ProductFile,
        shop: KnownShop | None,
        mode: ImportMode,
        import_id: UUID | None,
        uploaded_at: datetime,
        terms: FileTerms = UNSAID,
    ) -> None:
        self._file = file
        self._terms = terms
        self._shop = shop
        self._mode = mode
        self._import_id = import_id
        self._uploaded_at = uploaded_at
        self._repeats = Repeats(file, shop, mode)
        self._meets_new_products = True
        self._counted = categories.Counted(is_dry=import_id is None)
        self._has_prices = "price" in file.fields
        self._is_in_full = further_fields.are_in(file.fields, file.layout.languages())
        # Of the chunk that was written last, variants whose price is the merchant's own.
        self.kept_prices: set[UUID] = set()
        self.layout = file.layout
        self._sku_heading = self.layout.header[self.layout.sku] if self.layout.has_skus else None

    def chunks(self) -> Iterator[ProductChunk]:
        """The file in portions that never split a product."""
        for number, chunk in enumerate(self._file.chunks(CHUNK_ROWS)):
            if number == 0:
                chunk.notices += self._not_kept()
            yield self._repeats.digested(chunk)

    async def prepare(self, job: RunningJob, chunk: ProductChunk) -> None:
        """Read what has not been taken before, while the chunk before this one is written."""
        uow = job.unit_of_work()
        try:
            await self._repeats.recognise(uow, chunk)
        finally:
            await uow.rollback()
        await asyncio.to_thread(self._read, chunk)

    def _read(self, chunk: ProductChunk) -> None:
        """In columns where new products are likely: what is compared with what is stored goes by rows."""
        left = chunk.groups_to_read()
        if self._mode != "update-only" and self._meets_new_products:
            chunk.sheet, left = self._file.read_sheet(left)
        self._file.assemble(chunk.gathered, left)

    def _not_kept(self) -> Iterator[Notice]:
        for name, value in self._terms.said().items():
            if name not in self._file.profile.terms:
                message = f"'{name}' makes no difference to a {self._file.profile.name} file."
                yield Notice(1, None, value, "option_not_used", message)
        if "cost" in self._file.fields:
            yield self._column_not_kept("cost", "Costs are not kept: they belong to supplier links.")
        if "price" in self._file.fields and self._shop is None:
            yield self._column_not_kept("price", "Prices are not kept: the organization has no shop.")

    def _column_not_kept(self, field: str, message: str) -> Notice:
        """With the uploader's heading, where one column alone holds it."""
        heading = self.layout.heading(field)
        return Notice(1, heading if heading in self._file.own_headings else None, None, "column_not_kept", message)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: ProductChunk, number: int) -> None:
        """Write a chunk; adds to the chunk's errors and notices what only the catalog could know."""
        await catalog.lock(uow)
        price_list_id = await prices.standard_list(uow, self._shop) if self._shop and self._has_prices else None
        unchanged, lapsed = await self._repeats.confirmed(uow, chunk, price_list_id)
        new, known = await product_sheets.part(uow, chunk.sheet)
        self._meets_new_products = not chunk.sheet or len(known) < len(chunk.sheet)
        await asyncio.to_thread(self._file.assemble, chunk.gathered, [*lapsed, *known])
        gathered = chunk.gathered
        resolution = await self._resolve(uow, chunk)
        self._file.tell(gathered, resolution.errors, resolution.notices)
        touched = await self._take(uow, job, resolution, new, price_list_id)
        remarked = {remark.row for remarks in (chunk.errors, chunk.notices) for remark in remarks}
        await self._repeats.remember(uow, chunk, resolution.products, new, touched, remarked, price_list_id)
        _count_unchanged(job, unchanged)
        await self._pass_on_stock(uow, job, resolution.products, new, chunk, number)

    async def _resolve(self, uow: UnitOfWork, chunk: ProductChunk) -> Resolution:
        """What the products of a chunk are in the catalog; values that their attributes do not allow are errors."""
        products: Sequence[ProductRecord] = chunk.gathered.products
        if self._file.profile.makes_handles:
            named = await renamed.known_by_skus(uow, products)
            chunk.rename(zip(products, named, strict=True))
            products = named
        told = await languages.told_apart(uow, products, self._shop)
        records, unfit = await attributes.fit_records(uow, told, self.layout.attribute_heading)
        stored = await staging.stored_of(uow, [product.handle for product in records], skus_in_question(records))
        resolution = resolve(records, stored, self._mode, self._sku_heading)
        resolution.errors += unfit
        return resolution

    async def _take(
        self, uow: UnitOfWork, job: RunningJob, resolution: Resolution, new: NewProducts, price_list_id: UUID | None
    ) -> set[UUID]:
        """Write what was resolved, and what is new. Returns the products that are other than before in any way."""
        products = resolution.products
        wanted = [(product.id, _paths(product)) for product in products if not product.is_kept]
        wanted += [(id_, _paths_of_new(product)) for id_, product in zip(new.ids, new.sheet, strict=True)]
        placed = await self._place(uow, job, [(product_id, path) for product_id, paths in wanted for path in paths])
        # A file that says more is not read in columns: nothing of it is in `new`.
        rows = [v.row(product.id, in_full=self._is_in_full) for product in products for v in product.variants]
        await staging.stage(
            uow,
            products=[product.row(in_full=self._is_in_full) for product in products if not product.is_kept]
            + new.product_rows(),
            variants=rows + new.variant_rows(),
            categories=placed,
            in_full=self._is_in_full,
        )
        job.count("products_skipped", resolution.products_skipped)
        job.count("variants_skipped", resolution.variants_skipped)
        job.count("skus_generated", sum(v.is_new and v.record.sku_generated for p in products for v in p.variants))
        changed = await self._write(uow, job, products, new)
        priced = await self._write_prices(uow, job, products, new, changed, price_list_id)
        return changed | priced | await self._write_sales(uow, job, products, changed | priced, price_list_id)

    async def _place(
        self, uow: UnitOfWork, job: RunningJob, wanted: Sequence[tuple[UUID, Path]]
    ) -> list[tuple[UUID, UUID]]:
        """Product and category of each membership the file asks for, with categories made where they are missing."""
        paths = list(dict.fromkeys(path for _, path in wanted))
        ends, new = categories.place(paths, await categories.known_by_place(uow, paths))
        if new:
            line = await shops.list_line(uow, self._shop.id) if self._shop else []
            await categories.make(uow, new, await shops.assigning_shop(uow, line) if line else None)
            for ids in _portions([category.id for category in new]):
                uow.record(CategoriesChanged(category_ids=ids, is_confined=True))
            job.count("categories_inserted", self._counted.count(new))
        return [(product_id, ends[path]) for product_id, path in wanted]

    async def _write(
        self, uow: UnitOfWork, job: RunningJob, products: Sequence[ResolvedProduct], new: NewProducts
    ) -> set[UUID]:
        """Everything but prices. Returns the products that are new or changed, and announces them."""
        has_known = any(not product.is_new for product in products)
        own = await staging.write_products(uow, has_known=has_known, in_full=self._is_in_full)
        variants, with_variants = await staging.write_variants(uow, has_known=has_known, in_full=self._is_in_full)
        moved = await staging.write_categories(uow) | await self._write_texts(uow, products)
        updated = (own.updated | moved) - own.inserted
        counted = (updated | with_variants) - own.inserted - own.updated
        if counted:
            await staging.count_change(uow, counted)
        written = sum(not product.is_kept for product in products) + len(new.sheet)
        _count(job, "products", written, len(own.inserted), len(updated))
        total = sum(len(product.variants) for product in products) + new.variants
        _count(job, "variants", total, len(variants.inserted), len(variants.updated))
        changed = own.inserted | updated | with_variants
        for ids in _portions(sorted(changed)):
            uow.record(ProductsChanged(product_ids=ids))
        return changed

    async def _write_texts(self, uow: UnitOfWork, products: Sequence[ResolvedProduct]) -> set[UUID]:
        """What products say in other languages. Returns those that say something else now."""
        languages = self.layout.languages()
        if not languages:
            return set()
        described = [
            product
            for product in products
            if not product.is_kept and (product.record.title is not None or not self.layout.has_titles)
        ]
        rows = [row for product in described for row in product.text_rows(languages)]
        return await text_files.write(uow, rows, languages, empties=self._mode == "replace")

    async def _write_prices(
        self,
        uow: UnitOfWork,
        job: RunningJob,
        products: Sequence[ResolvedProduct],
        new: NewProducts,
        changed: set[UUID],
        price_list_id: UUID | None,
    ) -> set[UUID]:
        """Prices into the shop's own list; products already announced as changed are not announced again."""
        priced = {v.id: p.id for p in products for v in p.variants if v.record.price is not None}
        if self._shop is None or price_list_id is None:
            return set()
        if self._file.profile.name == supplier_prices.PROFILE:
            self.kept_prices = await supplier_prices.keep_own(uow, price_list_id)
            job.count("prices_kept", len(self.kept_prices & priced.keys()))
            priced = {id_: product for id_, product in priced.items() if id_ not in self.kept_prices}
        if not (priced or new.prices):
            return set()
        written = await staging.write_prices(uow, price_list_id, has_list_price="list_price" in self._file.fields)
        _count(job, "prices", len(priced) + new.prices, len(written.inserted), len(written.updated))
        # What is new has been announced as a whole.
        affected = {priced[variant_id] for variant_id in written.inserted | written.updated if variant_id in priced}
        await prices.announce(uow, self._shop.id, sorted(affected - changed))
        return affected

    async def _write_sales(
        self,
        uow: UnitOfWork,
        job: RunningJob,
        products: Sequence[ResolvedProduct],
        told: set[UUID],
        price_list_id: UUID | None,
    ) -> set[UUID]:
        """Sales with dates; products that are in `told` have been announced."""
        if self._shop is None or price_list_id is None or "sale" not in self._file.fields:
            return set()
        affected = await sale_prices.write(uow, job, price_list_id, products, self._file.profile.name)
        await prices.announce(uow, self._shop.id, sorted(affected - told))
        return affected

    async def _pass_on_stock(
        self,
        uow: UnitOfWork,
        job: RunningJob,
        products: Sequence[ResolvedProduct],
        new: NewProducts,
        chunk: ProductChunk,
        number: int,
    ) -> None:
        """Stock belongs to inventory, which alone knows what is new: it gets all figures, by a task of this step."""
        variants = [variant for product in products for variant in product.variants]
        rows = [
            _stock_row(variant.sku, variant.record.quantity, variant.record.stock_policy)
            for variant in variants
            if variant.record.quantity is not None
        ]
        rows += [
            _stock_row(variant.sku, variant.quantity, variant.stock_policy)
            for product in new.sheet
            for variant in product.variants
            if variant.quantity is not None
        ]
        for group in chunk.unchanged.values():
            rows += [_stock_row(*figures) for figures in self._file.stock_of(group)]
        if not rows:
            return
        job.count("stock_rows", len(rows))
        if self._import_id is None:
            return
        uow.defer(
            STOCK_TASK,
            {
                "import_id": self._import_id,
                "part": number,
                "counted_at": self._uploaded_at.isoformat(),
                "rows": len(rows),
                "lines": b"".join(rows).decode(),
            },
        )


async def pass_on_stock(uow: UnitOfWork, payload: Mapping[str, Any]) -> None:
    """Hand the stock of one chunk to inventory: a file, written before the transaction opens, and one event.

    Killed in between, the task writes the same file again. Raises BlobStoreUnavailable.
    """
    import_id, part = UUID(payload["import_id"]), payload["part"]
    key = f"imports/{import_id}/stock-{part:06}.ndjson"
    await blobs.put(uow.organization_id, key, payload["lines"].encode())
    counted_at = datetime.fromisoformat(payload["counted_at"])
    uow.record(StockFileImported(import_id=import_id, part=part, key=key, rows=payload["rows"], counted_at=counted_at))


def _stock_row(sku: str, quantity: int, policy: StockPolicy | None) -> bytes:
    row: dict[str, Any] = {"sku": sku, "on_hand": quantity}
    if policy is not None:
        row["policy"] = policy.value
    return orjson.dumps(row) + b"\n"


def _paths(product: ResolvedProduct) -> Sequence[Path]:
    if product.needs_category:
        return [(product.record.product_type or _NO_CATEGORY,)]
    return product.record.categories


def _paths_of_new(product: SheetProduct) -> Sequence[Path]:
    return product.categories or [(product.product_type or _NO_CATEGORY,)]


def _count(job: RunningJob, what: str, total: int, inserted: int, updated: int) -> None:
    job.count(f"{what}_inserted", inserted)
    job.count(f"{what}_updated", updated)
    job.count(f"{what}_unchanged", total - inserted - updated)


def _count_unchanged(job: RunningJob, unchanged: Standing) -> None:
    """Products that needed no look: nothing of them is written, and each is counted as if it had been compared."""
    job.count("products_unchanged", len(unchanged.places))
    job.count("variants_unchanged", unchanged.variants)
    job.count("prices_unchanged", unchanged.prices)


def _portions(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(ids), IDS_PER_EVENT):
        yield list(ids[start : start + IDS_PER_EVENT])
