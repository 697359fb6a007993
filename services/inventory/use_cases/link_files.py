"""Files of what suppliers supply, by supplier and SKU.

A file that replaces says all that the suppliers it names supply: what it does not name of theirs goes, unless a row was
refused, and an empty cell empties its field. One that deletes removes what its rows name.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.inventory.repository import suppliers as stored
from services.inventory.repository.suppliers import LinkKey
from services.inventory.use_cases import catalog_skus
from services.inventory.use_cases.supplier_files import CHUNK_ROWS, MODES, KeyedFile, Read, check
from services.inventory.use_cases.supplier_undoing import image_of, link_key
from shared.contracts.inventory.suppliers import SupplierLinkDraft
from shared.contracts.platform.imports import Harm, ImportSample
from shared.impex import cells
from shared.impex.keys import KeyIndex
from shared.impex.rows import Notice, RowError
from shared.imports import images
from shared.imports import rows as import_rows
from shared.imports.groups import Group, Opening
from shared.imports.images import Image
from shared.imports.tables import Column, TableChunk, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

REMOVED_AT_ONCE = 2000
_COLUMNS = (
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


class LinkFile(KeyedFile):
    """A file of what suppliers supply. One that replaces says all that those it names supply."""

    part = "supplier-links"
    fields = ("supplier_sku", "pack_size", "minimum_quantity", "lead_time_days", "is_primary")
    emptied = ("supplier_sku", "pack_size", "minimum_quantity", "lead_time_days")
    new = stored.NEW_LINK
    gone = "deleted"

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, _COLUMNS, ("supplier", "sku"))
        self._suppliers: Mapping[str, Any] = {}
        self._named: _Named | None = None

    def chunks(self) -> Iterator[TableChunk]:
        primary = KeyIndex()
        for chunk in super().chunks():
            for item in chunk.items:
                earlier = primary.add(item.values["sku"], item.row) if item.values.get("is_primary") else None
                if earlier is not None:
                    message = f"Row {earlier} makes another link of this SKU the primary one; this later row does it."
                    chunk.notices.append(self._file.noticed(item, "sku", "primary_twice", message))
            yield chunk

    async def prepare(self, job: RunningJob, chunk: TableChunk) -> None:
        await catalog_skus.tell_of_unknown(job, self._file, chunk)

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
            elif self._mode == "replace" and "cost" in item.values:
                given.update(cost=None, currency=None)

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

    def key_of(self, item: TableRow) -> LinkKey | None:
        supplier = self._suppliers.get(item.values["supplier"])
        return None if supplier is None else LinkKey(item.values["sku"], supplier["id"])

    def not_there(self, item: TableRow) -> RowError:
        if item.values["supplier"] not in self._suppliers:
            return self._file.refused(item, "supplier", "supplier_not_found", "There is no supplier with this code.")
        return self._file.refused(item, "sku", "supplier_link_not_found", "The supplier does not supply this SKU.")

    async def remove(self, uow: UnitOfWork, rows: Mapping[Any, Mapping[str, Any]]) -> list[Image]:
        await stored.remove_links(uow, list(rows))
        codes = await stored.codes_of(uow, {key.supplier_id for key in rows})
        return [
            Image(
                "supplier-links",
                link_key(key),
                f"{codes[key.supplier_id]} {key.sku}",
                {name: row[name] for name in stored.LINK_FIELDS},
                None,
            )
            for key, row in rows.items()
        ]

    # --- what a file that replaces does not name

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Links that would go."""
        if self._mode not in ("replace", "delete"):
            return []
        named = 0
        codes: set[str] = set()
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            keys = [(item.values["supplier"], item.values["sku"]) for item in chunk.items]
            codes.update(code for code, _ in keys)
            named += await stored.count_links_of(uow, {code for code, _ in keys}, keys)
        gone = named if self._mode == "delete" else await stored.count_links_of(uow, codes, None) - named
        return [Harm(what="supplier_links_deleted", count=gone, of=await stored.count_links(uow))]

    async def finish(self, uow: UnitOfWork, job: RunningJob) -> bool:
        if self._mode != "replace":
            return False
        if job.counters.get("errors"):
            message = (
                "What the file does not name was kept, because rows of it were refused: nobody knows what they name."
            )
            await import_rows.keep_remarks(
                uow, self._import_id, [Notice(1, None, None, "missing_not_deleted", message)]
            )
            job.count("notices", 1)
            return False
        _, is_more = await self._remove_unnamed(uow, job)
        return is_more

    async def finish_dry(self, uow: UnitOfWork, job: RunningJob, most: int) -> list[ImportSample]:
        kept: list[Image] = []
        is_more = self._mode == "replace" and not job.counters.get("errors")
        while is_more:
            removed, is_more = await self._remove_unnamed(uow, job)
            kept += removed[: most - len(kept)]
        return self._samples_of_removed(kept, most)

    async def _remove_unnamed(self, uow: UnitOfWork, job: RunningJob) -> tuple[list[Image], bool]:
        """Remove some links that the file does not name; returns these, and whether there is more."""
        named = await self._names()
        suppliers = await stored.find_suppliers(uow, named.codes)
        await stored.lock_links(uow, [])
        after = job.checkpoint.get("after")
        position = None if after is None else (after[0], UUID(after[1]))
        ids = [row["id"] for row in suppliers.values()]
        found = await stored.list_links_of(uow, ids, position, REMOVED_AT_ONCE)
        codes = {row["id"]: code for code, row in suppliers.items()}
        going = {
            LinkKey(row["sku"], row["supplier_id"]): dict(row)
            for row in found
            if named.keys.find(_named_as(codes[row["supplier_id"]], row["sku"])) is None
        }
        kept = await self.remove(uow, going) if going else []
        await images.keep(uow, self._import_id, kept)
        job.count("supplier_links_deleted", len(kept))
        if found:
            job.checkpoint["after"] = [found[-1]["sku"], str(found[-1]["supplier_id"])]
        return kept, len(found) == REMOVED_AT_ONCE

    async def _names(self) -> "_Named":
        if self._named is None:
            self._named = await asyncio.to_thread(self._read_named)
        return self._named

    def _read_named(self) -> "_Named":
        named = _Named()
        for chunk in self._file.chunks(CHUNK_ROWS):
            for item in chunk.items:
                named.codes.add(item.values["supplier"])
                named.keys.add(_named_as(item.values["supplier"], item.values["sku"]), item.row)
        return named


@dataclass(slots=True)
class _Named:
    """What a file names: suppliers, and each with its SKUs."""

    codes: set[str] = field(default_factory=set)
    keys: KeyIndex = field(default_factory=KeyIndex)


def _named_as(code: str, sku: str) -> str:
    return f"{code}\x1f{sku}"


def _is_primary(image: Image) -> bool:
    return bool((image.after or {}).get("is_primary"))


LINKS = Group(name="supplier-links", modes=MODES, open=LinkFile, check=check, is_written_at_once=True)
