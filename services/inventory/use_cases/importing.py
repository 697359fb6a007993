"""Stock files: counts (`on_hand`) or changes (`delta`) by SKU and centre, applied as a bulk update applies them.

| heading | what it holds |
|---|---|
| `sku` | the variant |
| `centre` | a centre's code; the default centre when empty |
| `on_hand` | a count: what is there |
| `delta` | a change of it; a row has one or the other |
| `policy` | standard, backorder, preorder, always or showroom |
| `reference`, `as_of` | a change that is applied once; when it was counted, with a time zone |

`insert-only` takes places that have never held anything, `update-only` those that have. `replace` is a count of all
that the centres have which it names: what it does not name there is zero, unless a row of it was refused. There is no
`delete`: the ledger stays.

With all rows or none (`on_error=abort`) a file is written in one transaction: stock moves on at once. An undo makes
counter-movements where nothing has moved since (use_cases/stock_undoing.py).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.errors import StockBelongsToCentres
from services.inventory.repository import counted, shop_centres
from services.inventory.use_cases import catalog_skus, centres, stock, stock_undoing
from services.inventory.use_cases.link_files import LINKS
from services.inventory.use_cases.stock_undoing import ImagedStock
from services.inventory.use_cases.supplier_files import SUPPLIERS
from services.inventory.use_cases.supplier_undoing import ImagedLinks, ImagedSuppliers
from shared.contracts.inventory.shapes import StockRowResult
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleField, SampleKind
from shared.impex import cells
from shared.impex.keys import KeyIndex
from shared.impex.rows import Notice
from shared.imports import images
from shared.imports import rows as import_rows
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import Group, GroupFile, Importing, Opening
from shared.imports.keeping import KeptFiles
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 5000
ZEROED_AT_ONCE = 2000
_COLUMNS = (
    Column("sku", is_required=True),
    Column("centre"),
    Column("on_hand", cells.integer),
    Column("delta", cells.integer),
    Column("policy"),
    Column("reference"),
    Column("as_of"),
)
Place = tuple[str, str]


async def check(_uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises StockBelongsToCentres, UnsupportedProfile."""
    if options.shop is not None:
        raise StockBelongsToCentres("Stock lies in fulfilment centres, not in shops: name them in the column 'centre'.")
    if options.profile not in (None, "crossdock"):
        names = ", ".join(column.name for column in _COLUMNS)
        raise UnsupportedProfile(f"A stock file has the columns {names}; name no profile.")
    return None


async def prepare(uow: UnitOfWork, _row: asyncpg.Record) -> str:
    """The code of the centre that is meant where a row names none."""
    return await shop_centres.find_default_code(uow) or centres.DEFAULT_CODE


class StockFile(GroupFile):
    """A file of stock."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, _COLUMNS, "stock", ("sku", "centre"), {"centre": opening.prepared})
        self._mode: str = opening.row["mode"]
        self._is_dry: bool = opening.row["dry_run"]
        self._import_id = opening.import_id
        self._samples: list[ImportSample] = []
        self._default_code: str = opening.prepared
        self._named: _Named | None = None
        self.layout: Any = self._file.layout

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def prepare(self, job: RunningJob, chunk: TableChunk) -> None:
        await catalog_skus.tell_of_unknown(job, self._file, chunk)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        default = await self._default(uow)
        before = await counted.list_on_hand(uow, [item.values["sku"] for item in chunk.items])
        items = chunk.items
        if self._mode == "replace":
            items = self._counts(chunk)
        elif self._mode != "merge":
            items = [item for item in items if not self._is_left_out(item, default, before)]
            job.count("stock_skipped", len(chunk.items) - len(items))
        if not items:
            return
        policies = {} if self._is_dry else await self._policies(uow, items, default)
        updated = await stock.apply(uow, [_row(item) for item in items])
        inserted = 0
        for result in updated.results:
            item = items[result.row - 1]
            if result.status == "failed":
                message = result.message or "It cannot be applied."
                chunk.errors.append(self._file.refused(item, _column_of(result), result.code or "failed", message))
            elif result.status == "applied":
                inserted += _place(item, default) not in before
        job.count("stock_inserted", inserted)
        job.count("stock_updated", updated.applied - inserted)
        job.count("stock_unchanged", updated.unchanged)
        if self._is_dry:
            self._samples = [_sample(result, before) for result in updated.results if result.status == "applied"]
        else:
            kept = await stock_undoing.images_of(uow, updated.results, policies)
            await images.keep(uow, self._import_id, kept)

    async def _policies(self, uow: UnitOfWork, items: Sequence[TableRow], default: str) -> dict[Place, str]:
        """How what is to be sold by another policy has been sold until now: what is not there, as it would be."""
        places = [_place(item, default) for item in items if item.values.get("policy") is not None]
        return await counted.list_policies(uow, places) if places else {}

    async def _default(self, uow: UnitOfWork) -> str:
        default_id = await centres.ensure_default(uow)
        known = await shop_centres.get_centre_ids(uow)
        return next(code for code, centre_id in known.items() if centre_id == default_id)

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Places that have something and would have nothing, by a count or by a change."""
        if self._mode == "insert-only":
            return []
        zeroed = 0
        reading = self._file.chunks(CHUNK_ROWS)
        default = await shop_centres.find_default_code(uow) or ""
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            zero = [_place(item, default) for item in chunk.items if item.values.get("on_hand") == 0]
            zeroed += await counted.count_stocked(uow, zero)
            zeroed += await self._used_up(uow, chunk, default)
        if self._mode == "replace":
            zeroed += await self._count_unnamed(uow)
        return [Harm(what="stock_zeroed", count=zeroed, of=await counted.count_stocked(uow, None))]

    async def _used_up(self, uow: UnitOfWork, chunk: TableChunk, default: str) -> int:
        """How many places a change leaves with nothing."""
        taken = {_place(item, default): delta for item in chunk.items if (delta := item.values.get("delta") or 0) < 0}
        if not taken:
            return 0
        before = await counted.list_on_hand(uow, [sku for sku, _ in taken])
        return sum(before.get(place, 0) + delta == 0 for place, delta in taken.items())

    async def skipped(self, uow: UnitOfWork, chunk: TableChunk, most: int) -> list[ImportSample]:
        if self._mode not in ("insert-only", "update-only"):
            return []
        default = await shop_centres.find_default_code(uow) or ""
        before = await counted.list_on_hand(uow, [item.values["sku"] for item in chunk.items])
        left = [_place(item, default) for item in chunk.items if self._is_left_out(item, default, before)]
        return [ImportSample(kind="skip", part="stock", name=_name(*place), fields=[]) for place in left[:most]]

    def _is_left_out(self, item: TableRow, default: str, before: Mapping[Place, int]) -> bool:
        """Whether the mode takes places that there are alone, or none of them."""
        return (_place(item, default) in before) is (self._mode == "insert-only")

    # --- what a count of whole centres does not name

    def _counts(self, chunk: TableChunk) -> list[TableRow]:
        """The rows that are counts; others are refused."""
        message = "A file that replaces says what is there, in 'on_hand'."
        changes = [item for item in chunk.items if item.values.get("delta") is not None]
        chunk.errors += [self._file.refused(item, "delta", "delta_in_replace", message) for item in changes]
        return [item for item in chunk.items if item.values.get("delta") is None]

    async def _count_unnamed(self, uow: UnitOfWork) -> int:
        """How many places that have something the file does not name, in its centres."""
        named = await self._names()
        of_named = 0
        reading = self._file.chunks(CHUNK_ROWS)
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            of_named += await counted.count_stocked(uow, [_place(item, self._default_code) for item in chunk.items])
        return await counted.count_stocked_in(uow, sorted(named.centres)) - of_named

    async def finish(self, uow: UnitOfWork, job: RunningJob) -> bool:
        if self._mode != "replace":
            return False
        if job.counters.get("errors"):
            message = (
                "What the file does not name was kept, because rows of it were refused: nobody knows what they name."
            )
            await import_rows.keep_remarks(uow, self._import_id, [Notice(1, None, None, "missing_not_zeroed", message)])
            job.count("notices", 1)
            return False
        _, is_more = await self._zero_unnamed(uow, job)
        return is_more

    async def finish_dry(self, uow: UnitOfWork, job: RunningJob, most: int) -> list[ImportSample]:
        found: list[ImportSample] = []
        is_more = self._mode == "replace" and not job.counters.get("errors")
        while is_more:
            zeroed, is_more = await self._zero_unnamed(uow, job)
            found += zeroed[: most - len(found)]
        return found

    async def _zero_unnamed(self, uow: UnitOfWork, job: RunningJob) -> tuple[list[ImportSample], bool]:
        """Empty some of the places that the file does not name; returns these, and whether there is more."""
        named = await self._names()
        after = job.checkpoint.get("after")
        position = None if after is None else (after[0], after[1])
        places = await counted.list_stocked(uow, sorted(named.centres), position, ZEROED_AT_ONCE)
        unnamed = [place for place in places if named.places.find(_name(*place)) is None]
        zeroed: list[ImportSample] = []
        if unnamed:
            before = await counted.list_on_hand(uow, [sku for sku, _ in unnamed])
            rows = [{"sku": sku, "centre": centre, "on_hand": 0} for sku, centre in unnamed]
            updated = await stock.apply(uow, rows)
            await images.keep(uow, self._import_id, await stock_undoing.images_of(uow, updated.results, {}))
            applied = [result for result in updated.results if result.status == "applied"]
            zeroed = [_sample(result, before).model_copy(update={"kind": "delete"}) for result in applied]
        job.count("stock_zeroed", len(zeroed))
        if places:
            job.checkpoint["after"] = list(places[-1])
        return zeroed, len(places) == ZEROED_AT_ONCE

    async def _names(self) -> "_Named":
        if self._named is None:
            self._named = await asyncio.to_thread(self._read_named)
        return self._named

    def _read_named(self) -> "_Named":
        named = _Named()
        for chunk in self._file.chunks(CHUNK_ROWS):
            for item in chunk.items:
                place = _place(item, self._default_code)
                named.centres.add(place[1])
                named.places.add(_name(*place), item.row)
        return named

    async def samples(self, _uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found: list[ImportSample] = []
        for kind in ("insert", "update"):
            found += [sample for sample in self._samples if sample.kind == kind][: wanted.get(kind, 0)]
        return found


@dataclass(slots=True)
class _Named:
    """What a file names: centres, and places in them."""

    centres: set[str] = field(default_factory=set)
    places: KeyIndex = field(default_factory=KeyIndex)


def _row(item: TableRow) -> dict[str, Any]:
    return {name: value for name, value in item.values.items() if value is not None}


def _place(item: TableRow, default: str) -> Place:
    return item.values["sku"], item.values.get("centre") or default


def _name(sku: str, centre: str) -> str:
    return f"{sku} in {centre}"


def _column_of(result: StockRowResult) -> str:
    """The column that a refused row is most likely wrong in."""
    columns = {
        "centre_not_found": "centre",
        "as_of_in_future": "as_of",
        "unknown_policy": "policy",
        "reference_reused": "reference",
        "negative_stock": "delta",
    }
    named = (result.message or "").split(":")[0]
    return columns.get(result.code or "", named if named in {column.name for column in _COLUMNS} else "sku")


def _sample(result: StockRowResult, before: Mapping[Place, int]) -> ImportSample:
    assert result.sku is not None
    assert result.centre is not None
    place = (result.sku, result.centre)
    changed = SampleField(field="on_hand", before=before.get(place), after=result.on_hand)
    kind: SampleKind = "update" if place in before else "insert"
    return ImportSample(kind=kind, part="stock", name=_name(*place), fields=[changed])


GROUP = Group(
    name="stock",
    modes=("merge", "insert-only", "update-only", "replace"),
    open=StockFile,
    check=check,
    prepare=prepare,
    is_written_at_once=True,
    without={"delete": "Stock is emptied, by a count of 0, and never removed: its ledger stays."},
)
IMPORTING = Importing(
    "inventory",
    {group.name: group for group in (GROUP, SUPPLIERS, LINKS)},
    images.undoing({"stock": ImagedStock, "suppliers": ImagedSuppliers, "supplier-links": ImagedLinks}),
    keeps_images=True,
    also_kept=(KeptFiles("stock-checks", "stock_checks"),),
)
