"""Takes back what an import wrote, from what the history keeps of it (shared/history.py).

What it made goes, what it changed or deleted becomes what it was, in steps of sets that each commit with their place,
so that a killed undo goes on where it was. What somebody else has touched since stays as it is and is written down as a
conflict: a field that was changed, a row with something of others on it. A product that the import made is one thing
with its variants, prices and places: touched anywhere, it stays as a whole.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from asyncpg.exceptions import IntegrityConstraintViolationError

from services.catalog.repository import catalog, prices, replacing, traces, undoing
from services.catalog.repository.undoing import Change, Foreign
from services.catalog.repository.watched import WATCHED
from shared.contracts.catalog.events import IDS_PER_EVENT, CategoriesChanged, VariantsRemoved
from shared.contracts.inventory.messages import TakeBackFileStock
from shared.contracts.platform.imports import ImportConflict
from shared.imports import rows as import_rows
from shared.imports.starting import undo_cause_id
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK = 500
# Clocks of those who make ids may differ by as much.
_SKEW_MILLISECONDS = 3_600_000
_LAST = 2**62
_NONE = UUID(int=0)

Stage = Callable[["_Undoing", UnitOfWork], Awaitable[bool]]


async def undo(job: RunningJob, import_id: UUID) -> None:
    """Work through it in steps."""
    state = job.checkpoint.setdefault("undo", {"stage": 0, "after": None})
    while state["stage"] < len(_STAGES):
        async with job.step() as uow:
            state = job.checkpoint["undo"]
            await catalog.lock(uow)
            await undoing.prepare(uow)
            work = _Undoing(job, import_id, state)
            if not await _STAGES[state["stage"]](work, uow):
                state["stage"], state["after"] = state["stage"] + 1, None
            await work.tell(uow)
        state = job.checkpoint["undo"]
    skus = 0 if state.get("is_stock_back", False) else await _count_stock_rows(job, import_id)
    while skus and not state.get("is_stock_back", False):
        await _take_back_stock(job, import_id, skus)
        state = job.checkpoint["undo"]


async def _count_stock_rows(job: RunningJob, import_id: UUID) -> int:
    """Of how many SKUs the import passed figures on to inventory."""
    uow = job.unit_of_work()
    try:
        counters = orjson.loads((await import_rows.get(uow, import_id))["counters"])
    finally:
        await uow.rollback()
    skus: int = counters.get("stock_rows", 0)
    return skus


async def _take_back_stock(job: RunningJob, import_id: UUID, skus: int) -> None:
    """Have inventory take back a part of the figures; killed before that is noted, it is asked the same again."""
    asking = job.unit_of_work()
    try:
        back = await asking.ask(TakeBackFileStock(import_id=import_id, after=job.checkpoint["undo"].get("part")))
    finally:
        await asking.rollback()
    async with job.step() as uow:
        if back.conflicts:
            await import_rows.keep_conflicts(uow, import_id, back.conflicts)
        job.count("conflicts", len(back.conflicts))
        job.count("stock_restored", back.restored)
        if not back.is_known:
            of = "1 SKU" if skus == 1 else f"{skus} SKUs"
            note = f"The stock figures of {of} stay: what was before the import is not kept any more, or never came."
            await import_rows.add_undo_note(uow, import_id, note)
        state = job.checkpoint["undo"]
        state["part"], state["is_stock_back"] = back.next, back.next is None


class _Undoing:
    """One step of an undo."""

    def __init__(self, job: RunningJob, import_id: UUID, state: dict[str, Any]) -> None:
        self._job = job
        self._id = import_id
        self._own = (import_id, undo_cause_id(import_id))
        self._state = state
        self._conflicts: list[ImportConflict] = []
        self._changed: set[UUID] = set()
        self._gone: set[UUID] = set()
        self._priced: dict[UUID, set[UUID]] = {}
        self._skus: list[str] = []
        self._categories: set[UUID] = set()

    # --- what the import made

    async def made_products(self, uow: UnitOfWork) -> bool:
        ids = await undoing.made_products(uow, self._id, await self._after_id(uow), CHUNK)
        if not ids:
            return False
        self._state["after"] = str(ids[-1])
        touched = await undoing.touched_products(uow, ids, self._own)
        await self._keep(uow, "product", touched)
        going = [id_ for id_ in ids if id_ not in touched]
        self._note(await undoing.remove_products(uow, going))
        self._gone |= set(going)
        self._count("products_deleted", len(going), len(ids))
        return True

    async def made_variants(self, uow: UnitOfWork) -> bool:
        ids = await undoing.made_variants(uow, self._id, await self._after_id(uow), CHUNK)
        if not ids:
            return False
        self._state["after"] = str(ids[-1])
        kept = await undoing.is_product_made(uow, ids, self._id)
        rest = [id_ for id_ in ids if id_ not in kept]
        touched = await undoing.touched_variants(uow, rest, self._own)
        await self._keep(uow, "variant", touched)
        removed = await undoing.remove_variants(uow, [id_ for id_ in rest if id_ not in touched])
        self._note(removed)
        self._changed |= removed.products
        self._count("variants_deleted", len(rest) - len(touched), len(ids))
        return True

    async def made_prices(self, uow: UnitOfWork) -> bool:
        rows = await undoing.made_prices(uow, self._id, self._state["after"] or undoing.FIRST_PRICE, CHUNK)
        if not rows:
            return False
        self._state["after"] = rows[-1]["key"]
        open_ = [row for row in rows if not row["is_of_made_variant"]]
        touched = await undoing.touched_prices(uow, open_, self._own)
        going = []
        for row in open_:
            if row["key"] in touched:
                self._conflict("price", row["sku"], None, touched[row["key"]], None, None)
            else:
                going.append(row)
                self._priced.setdefault(row["price_list_id"], set()).add(row["product_id"])
        await undoing.remove(uow, [("price", orjson.loads(row["key"])) for row in going])
        self._count("prices_deleted", len(going), len(rows))
        return True

    async def made_memberships(self, uow: UnitOfWork) -> bool:
        after = self._state["after"] or [str(_NONE), str(_NONE)]
        rows = await undoing.made_memberships(uow, self._id, (UUID(after[0]), UUID(after[1])), CHUNK)
        if not rows:
            return False
        self._state["after"] = [str(rows[-1]["product_id"]), str(rows[-1]["category_id"])]
        going = [row for row in rows if not row["is_of_made_product"]]
        names = WATCHED["membership"].key
        await undoing.remove(uow, [("membership", {name: _plain(row[name]) for name in names}) for row in going])
        self._changed |= {row["product_id"] for row in going}
        self._count("memberships_deleted", len(going), len(rows))
        return True

    async def made_categories(self, uow: UnitOfWork) -> bool:
        gone, kept = await undoing.remove_made_categories(uow, self._id, await self._floor(uow), self._own)
        self._categories |= set(gone)
        for row in kept:
            self._conflict("category", row["slug"], None, None, None, None, "Something of others stands in it by now.")
        self._count("categories_deleted", len(gone), len(gone) + len(kept))
        return False

    # --- what the import changed

    async def changes(self, uow: UnitOfWork) -> bool:
        found = await undoing.changes(uow, self._id, self._state["after"] or _LAST, CHUNK)
        if not found:
            return False
        self._state["after"] = found[-1].number
        await undoing.lock(uow, found)
        later = await undoing.later(uow, found, self._own)
        plan = _Plan(found, later)
        names = await traces.names_of(uow, [(change.entity, change.key) for change in found])
        if not await self._is_carried_out(uow, plan, names):
            await self._carry_out_singly(uow, found, later, names)
        for change, field, foreign in plan.touched:
            self._conflict_of(change, field, foreign, names)
        self._job.done += len(found)
        return True

    async def _is_carried_out(self, uow: UnitOfWork, plan: "_Plan", names: traces.Names) -> bool:
        """Do it, as far as the catalog's rules allow; whether they did."""
        said, counters = len(self._conflicts), dict(self._job.counters)
        try:
            async with uow.savepoint():
                await self._carry_out(uow, plan, names)
                await uow.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except IntegrityConstraintViolationError:
            del self._conflicts[said:]
            self._job.counters = counters
            return False
        return True

    async def _carry_out(self, uow: UnitOfWork, plan: "_Plan", names: traces.Names) -> None:
        made = await undoing.bring_back(uow, [(c.entity, c.key, c.before or {}) for c in plan.back.values()])
        for thing, change in plan.back.items():
            if thing not in made:
                self._conflict_of(
                    change, None, None, names, "It cannot come back: its place is taken, or its owner gone."
                )
        await undoing.restore(uow, [(c.entity, c.key, values) for c, values in plan.values.values()])
        await undoing.remove(uow, [(c.entity, c.key) for c in plan.gone.values()])
        self._job.count("restored", len(plan.values) + len(made))
        for change in (*plan.back.values(), *(c for c, _ in plan.values.values()), *plan.gone.values()):
            self._note_change(change)

    async def _carry_out_singly(
        self, uow: UnitOfWork, found: Sequence[Change], later: Mapping[int, list[Foreign]], names: traces.Names
    ) -> None:
        """One of these cannot be, because of a rule: find which, each by itself, so that none stops the others."""
        for change in found:
            if not await self._is_carried_out(uow, _Plan([change], later), names):
                self._conflict_of(change, None, None, names, "A rule of the catalog does not allow it any more.")

    def _note_change(self, change: Change) -> None:
        if change.entity == "price":
            list_id = UUID(change.key["price_list_id"])
            self._priced.setdefault(list_id, set()).add(change.subject_id)
        elif change.entity == "category":
            self._categories.add(change.subject_id)
        elif change.entity != "price_list":
            self._changed.add(change.subject_id)

    # --- what is said of it

    async def _after_id(self, uow: UnitOfWork) -> UUID:
        return UUID(self._state["after"]) if self._state["after"] else await self._floor(uow)

    async def _floor(self, uow: UnitOfWork) -> UUID:
        """An id below all that the import can have made: ids begin with their time (UUIDv7)."""
        milliseconds = await undoing.started_at(uow, self._id) - _SKEW_MILLISECONDS
        return UUID(int=milliseconds << 80)

    def _count(self, counter: str, by: int, seen: int) -> None:
        self._job.count(counter, by)
        self._job.done += seen

    def _note(self, removed: undoing.Removed) -> None:
        self._skus += removed.skus
        for list_id, products in removed.priced.items():
            self._priced.setdefault(list_id, set()).update(products)

    async def _keep(self, uow: UnitOfWork, entity: str, touched: Mapping[UUID, Foreign]) -> None:
        names = await traces.names_of(uow, [(entity, {"id": str(id_)}) for id_ in touched])
        for id_, foreign in touched.items():
            self._conflict(entity, names.of(entity, {"id": str(id_)}), None, foreign, None, None)

    def _conflict_of(
        self,
        change: Change,
        field: str | None,
        foreign: Foreign | None,
        names: traces.Names,
        message: str | None = None,
    ) -> None:
        before, after = change.before or {}, change.after or {}
        name = names.of(change.entity, change.key, before)
        values = (before.get(field), after.get(field)) if field else (None, None)
        self._conflict(change.entity, name, field, foreign, *values, message)

    def _conflict(
        self,
        part: str,
        name: str,
        field: str | None,
        foreign: Foreign | None,
        before: Any,
        imported: Any,
        message: str | None = None,
    ) -> None:
        code = "touched_since" if message is None else "not_possible"
        if foreign is not None and foreign.fields is None:
            code, message = "gone_since", "Somebody removed it since."
        self._conflicts.append(
            ImportConflict(
                part=part,
                name=name,
                field=field,
                code=code,
                message=message or "Somebody changed it since; it stays as it is.",
                before=before,
                imported=imported,
                cause=foreign.kind if foreign else None,
                cause_id=foreign.cause_id if foreign else None,
            )
        )

    async def tell(self, uow: UnitOfWork) -> None:
        """Write down conflicts, count versions, announce what changed."""
        if self._conflicts:
            await import_rows.keep_conflicts(uow, self._id, self._conflicts)
            self._job.count("conflicts", len(self._conflicts))
        if self._changed:
            await replacing.count_changes(uow, self._changed)
        replacing.announce(uow, self._gone)
        for portion in _portions(sorted(self._skus)):
            uow.record(VariantsRemoved(skus=portion))
        for portion in _portions(sorted(self._categories)):
            uow.record(CategoriesChanged(category_ids=portion))
        shop_ids = await undoing.shops_of_lists(uow, self._priced)
        for list_id, product_ids in self._priced.items():
            if list_id in shop_ids:
                await prices.announce(uow, shop_ids[list_id], sorted(product_ids))


class _Plan:
    """What is to be done about changes that come newest first: the oldest value of a field is the one it gets."""

    def __init__(self, found: Iterable[Change], later: Mapping[int, list[Foreign]]) -> None:
        self.back: dict[tuple[str, str], Change] = {}
        self.values: dict[tuple[str, str], tuple[Change, dict[str, Any]]] = {}
        self.gone: dict[tuple[str, str], Change] = {}
        self.touched: list[tuple[Change, str | None, Foreign]] = []
        for change in found:
            self._add(change, later.get(change.number, []))

    def _add(self, change: Change, others: Sequence[Foreign]) -> None:
        if change.before is not None and change.after is not None:
            self._restore(change, others)
        elif others:
            self.touched.append((change, None, others[-1]))
        elif change.after is None:
            self.back[change.thing] = change
        else:
            self.gone[change.thing] = change

    def _restore(self, change: Change, others: Sequence[Foreign]) -> None:
        assert change.before is not None
        removal = next((other for other in others if other.fields is None), None)
        if removal is not None:
            self.touched.append((change, None, removal))
            return
        values = dict(change.before)
        for name in change.before:
            other = next((each for each in others if name in (each.fields or ())), None)
            if other is not None:
                del values[name]
                self.touched.append((change, name, other))
        if change.thing in self.back:
            # It was changed first and deleted then: it comes back as it was before both.
            deleted = self.back[change.thing]
            (deleted.before or {}).update(values)
        elif values:
            known = self.values.setdefault(change.thing, (change, {}))[1]
            known.update(values)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _portions(values: list[Any]) -> Iterable[list[Any]]:
    return (values[start : start + IDS_PER_EVENT] for start in range(0, len(values), IDS_PER_EVENT))


_STAGES: tuple[Stage, ...] = (
    _Undoing.made_products,
    _Undoing.made_variants,
    _Undoing.made_prices,
    _Undoing.made_memberships,
    _Undoing.changes,
    _Undoing.made_categories,
)

__all__ = ["CHUNK", "undo"]
