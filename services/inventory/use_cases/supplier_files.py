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
from services.inventory.repository.suppliers import LinkKey
from services.inventory.use_cases.supplier_undoing import image_of, link_key
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
_LINK_COLUMNS = (
    Column("supplier", is_required=True),
    Column("sku", is_required=True),
    Column("supplier_sku"),
    Column("cost"),
    Column("currency"),
    Column("pack_size", cells.integer),
    Column("minimum_quantity", cells.integer),
    Column("lead_time_days", cells.integer),
    Column("is_primary", cells.boolean),
)
Read = tuple[TableRow, Any, dict[str, Any]]  # a row, its key, and columns


async def check(_uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises SuppliersHaveNoShop, UnsupportedProfile."""
    if options.shop is not None:
        raise SuppliersHaveNoShop("Suppliers belong to the organization: leave 'shop' out.")
    if options.profile not in (None, "crossdock"):
        raise UnsupportedProfile("Files of suppliers and their links have columns of their own; name no profile.")
    return None


class _Rows(GroupFile):
    """A file whose rows are merged into what is known under the same keys."""

    part: str
    fields: Sequence[str]
    new: Mapping[str, Any]

    def __init__(self, opening: Opening, columns: Sequence[Column], key: Sequence[str]) -> None:
        self._file = TableFile(opening.source, columns, self.part, key)
        self._key = key
        self._mode: str = opening.row["mode"]
        self._is_dry: bool = opening.row["dry_run"]
        self._import_id = opening.import_id
        self._samples: list[ImportSample] = []
        self.layout: Any = self._file.layout

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
        if self._mode == "merge":
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
        for kind in ("insert", "update"):
            found += [sample for sample in self._samples if sample.kind == kind][: wanted.get(kind, 0)]
        return found

    def _given(self, item: TableRow) -> dict[str, Any]:
        """Cells that say something, of the columns that are written."""
        return {name: value for name in self.fields if (value := item.values.get(name)) is not None}

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


class SupplierFile(_Rows):
    """A file of suppliers."""

    part = "suppliers"
    fields = stored.SUPPLIER_FIELDS
    new = stored.NEW_SUPPLIER

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, _SUPPLIER_COLUMNS, ("code",))

    async def known(self, uow: UnitOfWork, items: Sequence[TableRow]) -> Mapping[Any, Mapping[str, Any]]:
        found = await stored.find_suppliers(uow, {item.values["code"] for item in items}, lock=True)
        return {code: dict(row) for code, row in found.items()}

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Suppliers that are active, and would not be."""
        if self._mode == "insert-only" or "is_active" not in self.layout.index:
            return []
        gone = 0
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            codes = {item.values["code"] for item in chunk.items if item.values["is_active"] is False}
            found = await stored.find_suppliers(uow, codes) if codes else {}
            gone += sum(row["is_active"] for row in found.values())
        return [Harm(what="suppliers_deactivated", count=gone, of=await stored.count_active_suppliers(uow))]

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


class LinkFile(_Rows):
    """A file of what suppliers supply."""

    part = "supplier-links"
    fields = ("supplier_sku", "pack_size", "minimum_quantity", "lead_time_days", "is_primary")
    new = stored.NEW_LINK

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, _LINK_COLUMNS, ("supplier", "sku"))
        self._suppliers: Mapping[str, Any] = {}

    async def known(self, uow: UnitOfWork, items: Sequence[TableRow]) -> Mapping[Any, Mapping[str, Any]]:
        self._suppliers = await stored.find_suppliers(uow, {item.values["supplier"] for item in items})
        keys = [
            LinkKey(item.values["sku"], self._suppliers[item.values["supplier"]]["id"])
            for item in items
            if item.values["supplier"] in self._suppliers
        ]
        return {key: dict(row) for key, row in (await stored.lock_links(uow, keys)).items()}

    async def read(self, _uow: UnitOfWork, item: TableRow, _known: Mapping[Any, Mapping[str, Any]]) -> Read | RowError:
        supplier = self._suppliers.get(item.values["supplier"])
        if supplier is None:
            message = "There is no supplier with this code; import suppliers first."
            return self._file.refused(item, "supplier", "supplier_not_found", message)
        given = self._given(item)

        def check() -> None:
            named = {"supplier": supplier["code"], "sku": item.values["sku"]}
            SupplierLinkDraft.model_validate(named | given)
            if (cost := item.values.get("cost")) is not None:
                currency = item.values.get("currency") or supplier["currency"]
                given.update(cost=cells.price(cost, currency).amount, currency=currency)

        return self._fault(item, check) or (item, LinkKey(item.values["sku"], supplier["id"]), given)

    async def write(self, uow: UnitOfWork, rows: Sequence[Read], known: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        # Of several rows that would be a SKU's primary link the last one is.
        primary = {key.sku: key for item, key, _ in rows if item.values.get("is_primary")}
        links: dict[LinkKey, dict[str, Any]] = {}
        for _, key, columns in rows:
            is_primary = columns["is_primary"] and primary.get(key.sku, key) == key
            links[key] = columns | {"is_primary": is_primary}
        displaced = [key for key in await stored.list_primary(uow, list(primary)) if key not in links]
        await stored.write_links(uow, links)
        codes = {row["id"]: code for code, row in self._suppliers.items()}
        codes |= await stored.codes_of(uow, {key.supplier_id for key in displaced})
        kept = [
            image_of("supplier-links", link_key(key), f"{codes[key.supplier_id]} {key.sku}", *change)
            for key, change in (
                *((key, ({"is_primary": True}, {"is_primary": False}, ("is_primary",))) for key in displaced),
                *((key, (known.get(key), columns, stored.LINK_FIELDS)) for key, columns in links.items()),
            )
        ]
        # An undo goes backwards: a primary link has to make room before the one before it comes back.
        return sorted(kept, key=_is_primary)


def _is_primary(image: Image) -> bool:
    return bool(image.after.get("is_primary"))


_MODES = ("merge", "insert-only", "update-only")
_REPLACE = "An empty cell says nothing: change such a field by hand."
SUPPLIERS = Group(
    name="suppliers",
    modes=_MODES,
    open=SupplierFile,
    check=check,
    is_written_at_once=True,
    without={"replace": _REPLACE, "delete": "Say 'is_active' no: what was bought from a supplier keeps naming it."},
)
LINKS = Group(
    name="supplier-links",
    modes=_MODES,
    open=LinkFile,
    check=check,
    is_written_at_once=True,
    without={
        "replace": _REPLACE,
        "delete": "Links are removed one by one, with the costs that they hold.",
    },
)
