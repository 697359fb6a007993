"""The tree of categories, and the shops that sell its branches."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.catalog.errors import (
    AssignedFromAbove,
    CategoryBelowItself,
    CategoryChangedSince,
    CategoryNotFound,
    CategoryTooDeep,
    SlugTaken,
)
from services.catalog.models import CategoryRow
from services.catalog.repository import catalog, categories, shops, tree
from services.catalog.repository.shops import KnownShop
from shared import clock
from shared.contracts.catalog.categories import Category, CategoryChange, CategoryDraft
from shared.contracts.catalog.events import CategoriesChanged
from shared.contracts.catalog.tree import TreeCategory
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# More than any storefront shows; readers of the tree and of paths rely on an end.
MOST_LEVELS = 50


async def create(uow: UnitOfWork, draft: CategoryDraft) -> Category:
    """Raises SlugTaken, CategoryNotFound, CategoryTooDeep, CategoryEndsBeforeItStarts, ShopNotFound."""
    await catalog.lock(uow)
    if draft.parent_id is not None:
        await categories.get(uow, draft.parent_id)
        _check_depth(len(await tree.line_above(uow, draft.parent_id)) + 1)
    row = CategoryRow(
        organization_id=uow.organization_id,
        id=new_id(),
        slug=draft.slug or categories.category_slug(draft.name),
        **draft.model_dump(exclude={"slug", "shops"}),
    )
    row.check_dates()
    await _check_slugs(uow, row, row.parent_id)
    assigned = await shops.get_by_codes(uow, draft.shops)
    session = await uow.session()
    session.add(row)
    await session.flush()
    is_confined = await _assign(uow, assigned, row.id, assigned=True)
    _defer_turns(uow, row)
    uow.record(CategoriesChanged(category_ids=[row.id], is_confined=is_confined))
    created = await categories.get(uow, row.id)
    uow.audit("category.create", "category", row.id, after=created.model_dump(mode="json"))
    return created


def _check_depth(levels: int) -> None:
    if levels > MOST_LEVELS:
        raise CategoryTooDeep(f"The tree would have {levels} levels; {MOST_LEVELS} are the most.")


async def _check_slugs(uow: UnitOfWork, row: CategoryRow, parent_id: UUID | None) -> None:
    """Raises SlugTaken when a sibling would have the same address, in whichever language."""
    own = {**row.slugs, "": row.slug}
    for slugs in (await tree.sibling_slugs(uow, parent_id, row.id)).values():
        if shared := shared_slug(own, slugs):
            raise _slug_taken(*shared)


def shared_slug(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str] | None:
    """A slug that both would have in one language, and that language.

    Each gives its slugs by locale, its own under the empty one, which also stands for languages it says nothing of.
    """
    for locale in one.keys() | other.keys():
        slug = one.get(locale, one[""])
        if slug == other.get(locale, other[""]):
            return slug, locale
    return None


def _slug_taken(slug: str, locale: str) -> SlugTaken:
    said = f"There is a category '{slug}' in this place already{f' ({locale})' if locale else ''}."
    pointer = f"/slugs/{locale}" if locale else "/slug"
    return SlugTaken(said, [{"pointer": pointer, "code": "slug_taken", "message": said}])


async def change(uow: UnitOfWork, category_id: UUID, wanted: CategoryChange, version: int | None) -> Category:
    """Raises CategoryNotFound, CategoryChangedSince, SlugTaken, CategoryEndsBeforeItStarts."""
    await catalog.lock(uow)
    row = await _to_change(uow, category_id, version)
    before = await categories.get(uow, category_id)
    differing = {name: value for name, value in wanted.given().items() if getattr(row, name) != value}
    if not differing:
        return before
    for name, value in differing.items():
        setattr(row, name, value)
    row.check_dates()
    if differing.keys() & {"slug", "slugs"}:
        await _check_slugs(uow, row, row.parent_id)
    if differing.keys() & {"valid_from", "valid_until"}:
        _defer_turns(uow, row)
    return await _changed(uow, row, before)


async def _to_change(uow: UnitOfWork, category_id: UUID, version: int | None) -> CategoryRow:
    """Raises CategoryNotFound, CategoryChangedSince."""
    session = await uow.session()
    row = await session.get(CategoryRow, (uow.organization_id, category_id), with_for_update=True)
    if row is None:
        raise CategoryNotFound("There is no such category.")
    if version is not None and version != row.version:
        raise CategoryChangedSince(f"The category has version {row.version} now, not {version}: read it again.")
    return row


async def _changed(uow: UnitOfWork, row: CategoryRow, before: Category) -> Category:
    """Count, announce and note a change."""
    row.version += 1
    await (await uow.session()).flush()
    uow.record(CategoriesChanged(category_ids=[row.id], is_confined=True))
    after = await categories.get(uow, row.id)
    old, new = _difference(before, after)
    uow.audit("category.change", "category", row.id, before=old, after=new)
    return after


def _difference(before: Category, after: Category) -> tuple[dict[str, Any], dict[str, Any]]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    names = [name for name in old if old[name] != new[name]]
    return {name: old[name] for name in names}, {name: new[name] for name in names}


def _defer_turns(uow: UnitOfWork, row: CategoryRow) -> None:
    plan_turns(uow, row.id, (row.valid_from, row.valid_until))


def plan_turns(uow: UnitOfWork, category_id: UUID, dates: Iterable[datetime | None]) -> None:
    """Have a branch announced when its dates open and close it; dates that are changed until then announce nothing."""
    now = clock.now()
    for date in dates:
        if date is not None and date > now:
            payload = {"category_id": str(category_id), "turn": date.astimezone(UTC).isoformat()}
            uow.defer("category_turns", payload, due_at=date, key=f"{category_id} {payload['turn']}")


async def announce_turn(uow: UnitOfWork, payload: Mapping[str, Any]) -> None:
    """A date of a category has come: whoever shows its branch looks again. Nothing where the date is no longer one."""
    rows = await uow.fetch("SELECT valid_from, valid_until FROM categories WHERE id = $1", UUID(payload["category_id"]))
    turns = {turn.isoformat() for row in rows for turn in row.values() if turn is not None}
    if payload["turn"] in turns:
        uow.record(CategoriesChanged(category_ids=[UUID(payload["category_id"])], is_confined=True))


async def move(
    uow: UnitOfWork, category_id: UUID, parent_id: UUID | None, position: int | None, version: int | None
) -> Category:
    """Put a branch elsewhere in the tree.

    Raises CategoryNotFound, CategoryChangedSince, CategoryBelowItself, CategoryTooDeep, SlugTaken.
    """
    await catalog.lock(uow)
    row = await _to_change(uow, category_id, version)
    before = await categories.get(uow, category_id)
    await _check_place(uow, row, parent_id)
    await tree.place(uow, category_id, parent_id, position)
    after = await categories.get(uow, category_id)
    if after != before:
        # Nothing that is sold changes with the siblings that made room.
        uow.record(CategoriesChanged(category_ids=[category_id], is_confined=True))
        old, new = _difference(before, after)
        uow.audit("category.move", "category", category_id, before=old, after=new)
    return after


async def _check_place(uow: UnitOfWork, row: CategoryRow, parent_id: UUID | None) -> None:
    above = []
    if parent_id is not None:
        await categories.get(uow, parent_id)
        above = await tree.line_above(uow, parent_id)
    if row.id in above:
        said = "A category cannot stand below itself or what stands below it."
        raise CategoryBelowItself(said, [{"pointer": "/parent_id", "code": "category_below_itself", "message": said}])
    _check_depth(len(above) + await tree.height(uow, row.id))
    if parent_id != row.parent_id:
        await _check_slugs(uow, row, parent_id)


async def assign(
    uow: UnitOfWork, category_id: UUID, codes: list[str], version: int | None, *, assigned: bool
) -> Category:
    """Sell a category's branch in these shops, or no longer.

    Raises CategoryNotFound, CategoryChangedSince, ShopNotFound, AssignedFromAbove.
    """
    row = await _to_change(uow, category_id, version)
    before = await categories.get(uow, category_id)
    known = await shops.get_by_codes(uow, codes)
    if not assigned:
        await _refuse_inherited(uow, known, category_id)
    is_confined = await _assign(uow, known, category_id, assigned=assigned)
    after = await categories.get(uow, category_id)
    if after.shops == before.shops:
        return after
    row.version += 1
    await (await uow.session()).flush()
    uow.record(CategoriesChanged(category_ids=[category_id], is_confined=is_confined))
    uow.audit("category.assign", "category", category_id, before={"shops": before.shops}, after={"shops": after.shops})
    return await categories.get(uow, category_id)


async def _refuse_inherited(uow: UnitOfWork, known: Sequence[KnownShop], category_id: UUID) -> None:
    """To end what was never begun here would look done, and the shop would go on selling it."""
    for shop in known:
        above = await categories.assigned_above(uow, shop.id, category_id)
        if above is not None:
            raise AssignedFromAbove(f"'{shop.code}' sells this because it sells '{above}' above it: unassign that.")


async def _assign(uow: UnitOfWork, known: Sequence[KnownShop], category_id: UUID, *, assigned: bool) -> bool:
    """Assign, or no longer. Returns whether that concerns the branch alone.

    The first assignment that a sub-shop has of its own replaces all it inherited, and the last gives way to that again.
    """
    heirs = [shop.id for shop in known if shop.parent_id is not None]
    before = await categories.having_assignments(uow, heirs) if heirs else set()
    act = categories.assign if assigned else categories.unassign
    for shop in known:
        await act(uow, shop.id, [category_id])
    return not heirs or before == await categories.having_assignments(uow, heirs)


async def read_tree(uow: UnitOfWork, root_id: UUID | None, depth: int | None, *, counts: bool) -> list[TreeCategory]:
    """Raises CategoryNotFound, TreeTooLarge."""
    if root_id is not None:
        await categories.get(uow, root_id)
    return await tree.read(uow, root_id, depth, counts=counts)
