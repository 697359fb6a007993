"""Files of suppliers, and of what each of them supplies. An empty cell leaves what there is.

| heading of `suppliers` | what it holds |
|---|---|
| `code` | the supplier |
| `name`, `contact_name`, `contact_email`, `contact_phone` | what is known of it; a new one needs a name |
| `currency` | the one that is bought in; a new one needs it |
| `lead_time_days` | days from order to arrival |
| `is_active` | yes or no |

| heading of `supplier-links` | what it holds |
|---|---|
| `supplier`, `sku` | who supplies what; the supplier must be known |
| `supplier_sku` | what the supplier calls it |
| `cost`, `currency` | what one costs, in the supplier's currency where none is said |
| `pack_size`, `minimum_quantity`, `lead_time_days` | how it is ordered |
| `is_primary` | yes: this link takes the place of the SKU's primary one |

An undo gives fields back that nobody has touched since, and removes what the import made, suppliers only where they
supply nothing (use_cases/supplier_undoing.py).
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from services.inventory.errors import SuppliersHaveNoShop
from services.inventory.repository import suppliers as stored
from services.inventory.use_cases.supplier_undoing import image_of
from shared.contracts.inventory.suppliers import SupplierDraft, SupplierLinkDraft
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleField, SampleKind
from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.rows import RowError
from shared.imports import images
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import MOST_SAMPLES, Group, GroupFile, Opening
from shared.imports.images import Image
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.money import UnknownCurrency, exponent
from shared.unit_of_work import UnitOfWork
from shared.validation import first_sentence

CHUNK_ROWS = 2000
_SUPPLIER_COLUMNS = (
    Column("code", is_required=True),
    Column("name"),
    Column("contact_name"),
    Column("contact_email"),
    Column("contact_phone"),
    Column("currency"),
    Column("lead_time_days", cells.integer),
    Column("is_active", cells.boolean),
)
_SAMPLED: tuple[SampleKind, ...] = ("insert", "update", "delete")
Read = tuple[TableRow, Any, dict[str, Any]]  # a row, its key, and columns


async def check(_uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises SuppliersHaveNoShop, UnsupportedProfile."""
    if options.shop is not None:
        raise SuppliersHaveNoShop("Suppliers belong to the organization: leave 'shop' out.")
    if options.profile not in (None, "crossdock"):
        raise UnsupportedProfile("Files of suppliers and their links have columns of their own; name no profile.")
    return None


class KeyedFile(GroupFile):
    """A file whose rows are merged into what is known under the same keys, or say what goes.

    `emptied` are the fields that an empty cell empties in a file that replaces.
    """

    part: str
    fields: Sequence[str]
    emptied: Sequence[str]
    new: Mapping[str, Any]
    # What becomes of what a file of the mode delete names.
    gone: str

    def __init__(self, opening: Opening, columns: Sequence[Column], key: Sequence[str]) -> None:
        self._file = TableFile(opening.source, columns, self.part, key)
        self._key = key
        self._mode: str = opening.row["mode"]
        self._is_dry: bool = opening.row["dry_run"]
        self._import_id = opening.import_id
        self._samples: list[ImportSample] = []
        self.layout: Any = self._file.layout

    @abstractmethod
    def key_of(self, item: TableRow) -> Any:
        """What a row is about: a key of what `known` told before."""

    @abstractmethod
    async def remove(self, uow: UnitOfWork, rows: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        """Remove these, by their keys; returns what was before of those that were not gone already."""

    @abstractmethod
    def not_there(self, item: TableRow) -> RowError:
        """Why a row names nothing that could go."""

    @abstractmethod
    async def known(self, uow: UnitOfWork, items: Sequence[TableRow]) -> Mapping[Any, Mapping[str, Any]]:
        """What there is of these rows' things, locked, by key."""

    @abstractmethod
    async def read(self, uow: UnitOfWork, item: TableRow, known: Mapping[Any, Mapping[str, Any]]) -> Read | RowError:
        """The key of a row and the columns it gives."""

    @abstractmethod
    async def write(self, uow: UnitOfWork, rows: Sequence[Read], known: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        """Write rows, each with its key and all of its columns; returns what was before."""

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        known = await self.known(uow, chunk.items)
        if self._mode == "delete":
            await self._delete(uow, job, chunk, known)
            return
        changes: list[Read] = []
        samples: list[ImportSample] = []
        counts = dict.fromkeys(("inserted", "updated", "unchanged", "skipped"), 0)
        for item in chunk.items:
            read = await self.read(uow, item, known)
            if isinstance(read, RowError):
                chunk.errors.append(read)
                continue
            _, key, given = read
            before = known.get(key)
            outcome = self._outcome(before, given)
            counts[outcome] += 1
            if outcome in ("inserted", "updated"):
                changes.append((item, key, {**(before or self.new), **given}))
                samples.append(self._sample(item, before, given))
        if changes:
            await images.keep(uow, self._import_id, await self.write(uow, changes, known))
        for outcome, count in counts.items():
            job.count(f"{self._counted}_{outcome}", count)
        if self._is_dry:
            self._samples = samples[:MOST_SAMPLES]

    async def _delete(
        self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, known: Mapping[Any, Mapping[str, Any]]
    ) -> None:
        chunk.errors += [self.not_there(item) for item in chunk.items if self.key_of(item) not in known]
        going = {key: known[key] for item in chunk.items if (key := self.key_of(item)) in known}
        kept = await self.remove(uow, going) if going else []
        await images.keep(uow, self._import_id, kept)
        job.count(f"{self._counted}_{self.gone}", len(kept))
        job.count(f"{self._counted}_unchanged", len(going) - len(kept))
        if self._is_dry:
            self._samples = self._samples_of_removed(kept, MOST_SAMPLES)

    def _samples_of_removed(self, kept: Sequence[Image], most: int) -> list[ImportSample]:
        return [ImportSample(kind="delete", part=self.part, name=image.name, fields=[]) for image in kept[:most]]

    @property
    def _counted(self) -> str:
        return self.part.replace("-", "_")

    def _outcome(self, before: Mapping[str, Any] | None, given: Mapping[str, Any]) -> str:
        if self._mode == ("update-only" if before is None else "insert-only"):
            return "skipped"
        if before is None:
            return "inserted"
        return "unchanged" if all(before[name] == value for name, value in given.items()) else "updated"

    def _sample(self, item: TableRow, before: Mapping[str, Any] | None, given: Mapping[str, Any]) -> ImportSample:
        fields = [
            SampleField(field=name, before=before[name] if before else None, after=value)
            for name, value in given.items()
            if before is None or before[name] != value
        ]
        kind: SampleKind = "update" if before else "insert"
        return ImportSample(kind=kind, part=self.part, name=self._name(item), fields=fields)

    def _name(self, item: TableRow) -> str:
        return " ".join(str(item.values[column]) for column in self._key)

    async def skipped(self, uow: UnitOfWork, chunk: TableChunk, most: int) -> list[ImportSample]:
        if self._mode not in ("insert-only", "update-only"):
            return []
        known = await self.known(uow, chunk.items)
        left: list[ImportSample] = []
        for item in chunk.items:
            read = await self.read(uow, item, known)
            if not isinstance(read, RowError) and self._outcome(known.get(read[1]), read[2]) == "skipped":
                left.append(ImportSample(kind="skip", part=self.part, name=self._name(item), fields=[]))
        return left[:most]

    async def samples(self, _uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found: list[ImportSample] = []
        for kind in _SAMPLED:
            found += [sample for sample in self._samples if sample.kind == kind][: wanted.get(kind, 0)]
        return found

    def _given(self, item: TableRow) -> dict[str, Any]:
        """Cells that say something, of the columns that are written; in a file that replaces, empty ones, too."""
        given = {name: value for name in self.fields if (value := item.values.get(name)) is not None}
        if self._mode == "replace":
            given |= {name: self.new[name] for name in self.emptied if item.values.get(name, "") is None}
        return given

    def _fault(self, item: TableRow, check: Callable[[], object]) -> RowError | None:
        """What a draft of the row would be refused for."""
        try:
            check()
        except ValidationError as error:
            place, sentence = first_sentence(error, SupplierDraft | SupplierLinkDraft)
            column = str(place[0]) if place else self._key[0]
            return self._file.refused(item, column, "invalid_value", f"{column}: {sentence}.")
        except UnknownCurrency as error:
            return self._file.refused(item, "currency", "unknown_currency", error.detail)
        except InvalidCell as error:
            return self._file.refused(item, "cost", error.code, error.message)
        return None


class SupplierFile(KeyedFile):
    """A file of suppliers. One that goes is no longer active: what was bought from it keeps naming it."""

    part = "suppliers"
    fields = stored.SUPPLIER_FIELDS
    emptied = ("contact_name", "contact_email", "contact_phone", "lead_time_days")
    gone = "archived"
    new = stored.NEW_SUPPLIER

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, _SUPPLIER_COLUMNS, ("code",))

    async def known(self, uow: UnitOfWork, items: Sequence[TableRow]) -> Mapping[Any, Mapping[str, Any]]:
        found = await stored.find_suppliers(uow, {item.values["code"] for item in items}, lock=True)
        return {code: dict(row) for code, row in found.items()}

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Suppliers that are active, and would not be."""
        deletes = self._mode == "delete"
        if self._mode == "insert-only" or not (deletes or "is_active" in self.layout.index):
            return []
        gone = 0
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            codes = {item.values["code"] for item in chunk.items if deletes or item.values["is_active"] is False}
            found = await stored.find_suppliers(uow, codes) if codes else {}
            gone += sum(row["is_active"] for row in found.values())
        return [Harm(what="suppliers_deactivated", count=gone, of=await stored.count_active_suppliers(uow))]

    def key_of(self, item: TableRow) -> str:
        code: str = item.values["code"]
        return code

    def not_there(self, item: TableRow) -> RowError:
        return self._file.refused(item, "code", "supplier_not_found", "There is no supplier with this code.")

    async def remove(self, uow: UnitOfWork, rows: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        gone = {code: {**row, "is_active": False} for code, row in rows.items() if row["is_active"]}
        await stored.write_suppliers(uow, gone)
        return [
            image_of("suppliers", code, code, rows[code], columns, stored.SUPPLIER_FIELDS)
            for code, columns in gone.items()
        ]

    async def read(self, _uow: UnitOfWork, item: TableRow, known: Mapping[Any, Mapping[str, Any]]) -> Read | RowError:
        code, given = item.values["code"], self._given(item)
        for needed in ("name", "currency"):
            if code not in known and needed not in given:
                return self._file.refused(item, needed, "missing_value", f"A new supplier needs a {needed}.")

        def check() -> None:
            SupplierDraft.model_validate({"code": code, "name": "-", "currency": "USD", **given})
            exponent(given.get("currency", "USD"))

        return self._fault(item, check) or (item, code, given)

    async def write(self, uow: UnitOfWork, rows: Sequence[Read], known: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        await stored.write_suppliers(uow, {code: columns for _, code, columns in rows})
        return [
            image_of("suppliers", code, code, known.get(code), columns, stored.SUPPLIER_FIELDS)
            for _, code, columns in rows
        ]


MODES = ("merge", "insert-only", "update-only", "replace", "delete")
SUPPLIERS = Group(name="suppliers", modes=MODES, open=SupplierFile, check=check, is_written_at_once=True)
