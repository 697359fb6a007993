"""Files of variants that are there, by SKU: their codes, measures and flags. Variants are made with their products.

`delete` removes variants with their prices, as a change of their product does; the history keeps what they were, and
an undo brings them back.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.catalog.repository import catalog, prices, replacing, traces, undoing, variant_files
from shared.contracts.catalog.events import IDS_PER_EVENT, VariantsRemoved
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.impex import cells
from shared.impex.profiles import crossdock
from shared.impex.rows import shortened
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import Group, GroupFile, Opening
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 2000
_COLUMNS = (
    Column("sku", is_required=True),
    Column("barcode", cells.gtin),
    Column("mpn"),
    Column("weight_grams", cells.grams),
    Column("tax_class", also=("tax code",)),
    Column("requires_shipping", cells.boolean),
    Column("taxable", cells.boolean),
    Column("price_on_request", cells.boolean),
    Column("image_url", cells.url, also=("variant image",)),
    Column("barcodes", crossdock.barcodes),
    # Of an export of variants, and taken with their products: a file of products may have rows of variants alone.
    *(Column(heading, is_kept=False) for heading in crossdock.WITH_PRODUCTS),
)


async def check(_uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises UnsupportedProfile."""
    if options.profile not in (None, "crossdock"):
        names = ", ".join(column.name for column in _COLUMNS if column.is_kept)
        raise UnsupportedProfile(f"A variants file has the columns {names}; name no profile.")
    return None


class VariantsFile(GroupFile):
    """A file of variants."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, _COLUMNS, "variants", ("sku",))
        self._mode: str = opening.row["mode"]
        self._id = opening.import_id
        self.layout: Any = self._file.layout

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        await catalog.lock(uow)
        known = await prices.variant_ids(uow, [item.values["sku"] for item in chunk.items])
        found = [item for item in chunk.items if item.values["sku"] in known]
        if self._mode == "update-only":
            job.count("variants_skipped", len(chunk.items) - len(found))
        else:
            chunk.errors += [self._unknown(item) for item in chunk.items if item.values["sku"] not in known]
        ids = {known[item.values["sku"]]["id"]: item for item in found}
        if self._mode == "delete":
            await self._remove(uow, job, list(ids))
        else:
            await self._write(uow, job, ids)

    async def _write(self, uow: UnitOfWork, job: RunningJob, ids: Mapping[UUID, TableRow]) -> None:
        names = [name for name in self.layout.index if name != "sku"]
        rows = [{"id": str(id_), **{name: item.values[name] for name in names}} for id_, item in ids.items()]
        changed = await variant_files.write(uow, rows, names, empties=self._mode == "replace")
        job.count("variants_updated", len(changed))
        job.count("variants_unchanged", len(ids) - len(changed))
        if changed:
            await replacing.count_changes(uow, set(changed.values()))

    async def _remove(self, uow: UnitOfWork, job: RunningJob, ids: Sequence[UUID]) -> None:
        removed = await undoing.remove_variants(uow, list(ids))
        job.count("variants_deleted", len(removed.skus))
        for start in range(0, len(removed.skus), IDS_PER_EVENT):
            uow.record(VariantsRemoved(skus=removed.skus[start : start + IDS_PER_EVENT]))
        if removed.products:
            await replacing.count_changes(uow, removed.products)

    def _unknown(self, item: TableRow) -> Any:
        message = (
            f"There is no variant with the SKU '{shortened(item.values['sku'])}'; variants come with their products."
        )
        return self._file.refused(item, "sku", "unknown_sku", message)

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Variants that would go, or of which an empty cell would take something away."""
        if self._mode not in ("delete", "replace"):
            return []
        gone = 0
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            gone += await self._taken_away(uow, chunk.items)
        what = "variants_deleted" if self._mode == "delete" else "variants_emptied"
        return [Harm(what=what, count=gone, of=await variant_files.count(uow))]

    async def _taken_away(self, uow: UnitOfWork, items: Sequence[TableRow]) -> int:
        if self._mode == "delete":
            return len(await prices.variant_ids(uow, [item.values["sku"] for item in items]))
        names = [name for name in self.layout.index if name != "sku"]
        empty = {name: [item.values["sku"] for item in items if item.values[name] is None] for name in names}
        return await variant_files.count_emptied(uow, empty)

    async def skipped(self, uow: UnitOfWork, chunk: TableChunk, most: int) -> list[ImportSample]:
        if self._mode != "update-only":
            return []
        known = await prices.variant_ids(uow, [item.values["sku"] for item in chunk.items])
        left = [item.values["sku"] for item in chunk.items if item.values["sku"] not in known]
        return [ImportSample(kind="skip", part="variant", name=sku, fields=[]) for sku in left[:most]]

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        return await traces.samples(uow, self._id, wanted)


GROUP = Group(
    name="variants",
    modes=("merge", "update-only", "replace", "delete"),
    open=VariantsFile,
    check=check,
    without={"insert-only": "Variants are made with their products: import products."},
)
