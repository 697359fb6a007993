"""Files of categories, each by its path from the root: `Home > Kitchen`. What is missing on the way is made.

| heading | what it holds |
|---|---|
| `path` | steps from the root, separated by `>`: names, or slugs to the letter |
| `name` | what it is called, where the path has its slug |
| `names`, `slugs` | by language, separated by a bar: `de=Küche | fr=Cuisine` |
| `enabled`, `position` | true or false; a whole number |
| `valid from`, `valid until` | when it is open: `2026-03-01T09:00:00+01:00`, or a day of universal time |
| `slug`, `shops` | told by exports and not taken: a slug follows from the path, shops are assigned by hand |

`delete` disables: what stands in a category, and where it is assigned, stays.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.repository import catalog, categories, category_files, shops, traces, weighing
from services.catalog.repository.categories import Path
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.categories import plan_turns, shared_slug
from services.catalog.use_cases.product_imports import shop_of
from shared import clock
from shared.contracts.catalog.events import IDS_PER_EVENT, CategoriesChanged
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.keys import is_slug
from shared.impex.profiles import crossdock
from shared.impex.rows import shortened
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import Group, GroupFile, Opening
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.locales import canonical_locale
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 1000
_DEEPEST = 20
_NAME = 200


def _path(cell: str) -> Path:
    steps = crossdock.path(cell)
    if len(steps) > _DEEPEST or any(len(step) > _NAME for step in steps):
        raise InvalidCell("invalid_path", f"A path has at most {_DEEPEST} steps of at most {_NAME} characters.")
    return steps


def _name(cell: str) -> str:
    if len(cell) > _NAME:
        raise InvalidCell("invalid_name", f"A name has at most {_NAME} characters.")
    return cell


def _names(cell: str) -> dict[str, str]:
    return {locale: _name(name) for locale, name in _by_language(cell).items() if name}


def _slugs(cell: str) -> dict[str, str]:
    slugs = _by_language(cell)
    wrong = next((slug for slug in slugs.values() if not is_slug(slug) or len(slug) > _NAME), None)
    if wrong is not None:
        raise InvalidCell("invalid_slug", f"{wrong[:100]!r} is not a slug: words in lower case with hyphens between.")
    return slugs


def _by_language(cell: str) -> dict[str, str]:
    try:
        return {canonical_locale(locale): said for locale, said in crossdock.pairs(cell).items()}
    except ValueError as fault:
        raise InvalidCell("invalid_language", f"{fault}.") from None


_COLUMNS = (
    Column("path", _path, is_required=True),
    Column("name", _name),
    Column("names", _names),
    Column("slugs", _slugs),
    Column("enabled", cells.boolean),
    Column("position", cells.integer),
    Column("valid_from", cells.moment),
    Column("valid_until", cells.moment),
    Column("slug", is_kept=False),
    Column("shops", is_kept=False),
)


async def check(uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """The shop that new roots are assigned to, where one is named. Raises UnsupportedProfile, ShopNotFound."""
    if options.profile not in (None, "crossdock"):
        names = ", ".join(column.name for column in _COLUMNS if column.is_kept)
        raise UnsupportedProfile(f"A categories file has the columns {names}; name no profile.")
    return None if options.shop is None else (await shops.get_by_code(uow, options.shop)).id


class _Addresses:
    """Whose slugs are whose: two categories of one parent share no slug in any language (CAT-2)."""

    def __init__(self, known: Mapping[UUID, asyncpg.Record]) -> None:
        self._slugs: dict[UUID, dict[str, str]] = {}
        self._holders: dict[tuple[UUID | None, str], set[UUID]] = {}
        for row in known.values():
            self._hold(row, category_files.slugs_of(row))

    def take(self, category: asyncpg.Record, slugs: dict[str, str]) -> str | None:
        """Give a category these slugs by locale. Where one beside it has such an address: nothing, and the slug."""
        for slug in sorted(set(slugs.values())):
            for other in self._holders.get((category["parent_id"], slug), set()) - {category["id"]}:
                if shared := shared_slug(slugs, self._slugs[other]):
                    return shared[0]
        self._hold(category, slugs)
        return None

    def _hold(self, category: asyncpg.Record, slugs: dict[str, str]) -> None:
        self._slugs[category["id"]] = slugs
        for slug in slugs.values():
            self._holders.setdefault((category["parent_id"], slug), set()).add(category["id"])


class CategoriesFile(GroupFile):
    """A file of categories."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, _COLUMNS, "categories", ("path",))
        self._shop: KnownShop | None = opening.prepared
        self._mode: str = opening.row["mode"]
        self._id = opening.import_id
        self._made: list[UUID] = []
        self._counted = categories.Counted(is_dry=opening.row["dry_run"])
        self.layout: Any = self._file.layout

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        await catalog.lock(uow)
        known = await self._known(uow, chunk.items)
        if self._mode == "delete":
            await self._disable(uow, job, chunk, known)
            return
        wanted = [item for item in chunk.items if not self._is_left_out(item, known)]
        job.count("categories_skipped", len(chunk.items) - len(wanted))
        ends, new = categories.place(
            [item.values["path"] for item in wanted],
            await categories.known_by_place(uow, [item.values["path"] for item in wanted]),
        )
        self._made = [category.id for category in new]
        if new:
            await categories.make(uow, new, self._shop.id if self._shop else None)
        taken = await self._without_faults(uow, chunk, wanted, ends)
        values = [{**_said(item), "id": str(id_)} for id_, item in taken.items()]
        names = [name for name in self.layout.index if name != "path"]
        changed = await category_files.write(uow, values, names, empties=self._mode == "replace")
        self._plan_turns(uow, await category_files.stored(uow, list(changed)))
        updated = changed - set(self._made)
        ended = {UUID(value["id"]) for value in values}
        job.count("categories_inserted", self._counted.count(new))
        job.count("categories_updated", len(updated))
        job.count("categories_unchanged", len(ended - updated - set(self._made)))
        self._announce(uow, [*self._made, *updated])

    async def _without_faults(
        self, uow: UnitOfWork, chunk: TableChunk, wanted: Sequence[TableRow], ends: Mapping[Path, UUID]
    ) -> dict[UUID, TableRow]:
        """The rows that can be taken, by the categories they are about; what is wrong with the others is told."""
        stored = await category_files.stored(uow, list(set(ends.values())))
        addresses = await self._addresses(uow, wanted, stored)
        taken: dict[UUID, TableRow] = {}
        for item in wanted:
            id_ = ends[item.values["path"]]
            fault = self._fault(item, stored[id_])
            if id_ in taken:
                fault = "path", "duplicate_key", f"Row {taken[id_].row} is about the same category."
            if fault is None and addresses and (slug := addresses.take(stored[id_], self._slugs(item, stored[id_]))):
                fault = "slugs", "slug_taken", f"A category beside it has the slug '{slug}'."
            if fault is None:
                taken[id_] = item
            else:
                chunk.errors.append(self._file.refused(item, *fault))
        return taken

    async def _addresses(
        self, uow: UnitOfWork, wanted: Sequence[TableRow], stored: Mapping[UUID, asyncpg.Record]
    ) -> "_Addresses | None":
        """The categories that may be in the way of these rows, or None if the file says no slugs."""
        if "slugs" not in self.layout.index:
            return None
        said = {slug for item in wanted for slug in (item.values.get("slugs") or {}).values()}
        own = {slug for row in stored.values() for slug in category_files.slugs_of(row).values()}
        return _Addresses(await category_files.with_slugs(uow, list(said | own)))

    def _slugs(self, item: TableRow, stored: asyncpg.Record) -> dict[str, str]:
        """What this row makes of a category's slugs."""
        said = item.values.get("slugs") or {}
        kept = {"": stored["slug"]} if self._mode == "replace" else category_files.slugs_of(stored)
        return kept | said

    def _fault(self, item: TableRow, stored: asyncpg.Record) -> tuple[str, str, str] | None:
        dates = [item.values.get(name) for name in ("valid_from", "valid_until")]
        if self._mode != "replace":
            dates = [said or stored[name] for said, name in zip(dates, ("valid_from", "valid_until"), strict=True)]
        if dates[0] and dates[1] and dates[1] <= dates[0]:
            column = "valid_until" if item.values.get("valid_until") else "valid_from"
            return column, "ends_before_it_starts", "The category would end before it starts."
        return None

    def _plan_turns(self, uow: UnitOfWork, changed: Mapping[UUID, asyncpg.Record]) -> None:
        for row in changed.values():
            plan_turns(uow, row["id"], (row["valid_from"], row["valid_until"]))

    def _is_left_out(self, item: TableRow, known: Mapping[Path, UUID]) -> bool:
        is_known = item.values["path"] in known
        return is_known if self._mode == "insert-only" else not is_known and self._mode == "update-only"

    async def _known(self, uow: UnitOfWork, items: Sequence[TableRow]) -> dict[Path, UUID]:
        """The categories of these paths that are there."""
        paths = [item.values["path"] for item in items]
        ends, new = categories.place(paths, await categories.known_by_place(uow, paths))
        missing = {category.id for category in new}
        return {path: id_ for path, id_ in ends.items() if id_ not in missing}

    async def _disable(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, known: Mapping[Path, UUID]) -> None:
        for item in chunk.items:
            if item.values["path"] not in known:
                message = f"There is no category '{shortened(_joined(item.values['path']))}'."
                chunk.errors.append(self._file.refused(item, "path", "unknown_category", message))
        rows = [{"id": str(id_), "enabled": False} for id_ in known.values()]
        changed = await category_files.write(uow, rows, ["enabled"])
        job.count("categories_archived", len(changed))
        job.count("categories_unchanged", len(rows) - len(changed))
        self._announce(uow, list(changed))

    def _announce(self, uow: UnitOfWork, ids: Sequence[UUID]) -> None:
        for start in range(0, len(ids), IDS_PER_EVENT):
            uow.record(CategoriesChanged(category_ids=list(ids[start : start + IDS_PER_EVENT])))

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Categories that are open and would not be: those the file closes, and everything below them."""
        if self._mode == "insert-only":
            return []
        closed: set[UUID] = set()
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            items = [item for item in chunk.items if self._mode == "delete" or _is_closed(item)]
            closed.update((await self._known(uow, items)).values())
        there, gone = await weighing.count_open_categories(uow, list(closed))
        return [Harm(what="categories_disabled", count=gone, of=there)]

    async def skipped(self, uow: UnitOfWork, chunk: TableChunk, most: int) -> list[ImportSample]:
        if self._mode not in ("insert-only", "update-only"):
            return []
        known = await self._known(uow, chunk.items)
        left = [_joined(item.values["path"]) for item in chunk.items if self._is_left_out(item, known)]
        return [ImportSample(kind="skip", part="category", name=name, fields=[]) for name in left[:most]]

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found = await traces.samples(uow, self._id, wanted)
        if self._mode == "delete":
            return [sample.model_copy(update={"kind": "delete"}) for sample in found]
        ids = ", ".join(f"'{id_}'" for id_ in self._made) or "NULL"
        return [*await traces.made(uow, self._id, {"category": f"t.id IN ({ids})"}, wanted.get("insert", 0)), *found]


def _said(item: TableRow) -> dict[str, Any]:
    return {name: value for name, value in item.values.items() if name != "path"}


def _is_closed(item: TableRow) -> bool:
    """Whether a row says that its category is not open now."""
    begins, ends = item.values.get("valid_from"), item.values.get("valid_until")
    now = clock.now()
    return item.values.get("enabled") is False or (begins or now) > now or (ends is not None and ends <= now)


def _joined(path: Path) -> str:
    return " > ".join(path)


GROUP = Group(
    name="categories",
    modes=("merge", "insert-only", "update-only", "replace", "delete"),
    open=CategoriesFile,
    check=check,
    prepare=shop_of,
)
