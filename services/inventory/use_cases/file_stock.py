"""Stock that files of products counted, taken back with their imports.

What was before is in the ledger, under the reference of each part of an import; only policies are kept beside it.
Stock that moved since, or was counted again, stays. A part that comes after its import was taken back is not taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.inventory.repository import file_stock, shop_centres
from services.inventory.repository.file_stock import Part, Policies
from services.inventory.use_cases.stock_undoing import ImagedStock, key_of, place_of, undo_reference
from shared import clock
from shared.contracts.inventory.messages import StockTakenBack
from shared.imports import images
from shared.imports.images import Image, Values
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

_BEFORE_ALL = -1


def reference_of(import_id: UUID, part: int) -> str:
    """Under which the ledger has what a part of a file counted."""
    return f"import:{import_id}:{part}"


async def take_back(uow: UnitOfWork, import_id: UUID, after: int | None) -> StockTakenBack:
    """Take back one part of a file, and from now on take no more of it. Safe to repeat."""
    await file_stock.hold(uow, import_id, alone=True)
    await file_stock.note_taken_back(uow, import_id)
    found = await file_stock.next_part(uow, import_id, _BEFORE_ALL if after is None else after)
    if found is None:
        return StockTakenBack(is_known=after is not None)
    moved = await file_stock.movements(uow, reference_of(import_id, found.part), undo_reference(import_id))
    there = await file_stock.policies(uow, found.centre_id, list(found.policies))
    # A policy that is what it was before needs no more.
    changed = {sku: both for sku, both in found.policies.items() if there.get(sku) != both[0]}
    code = (await shop_centres.get_codes(uow)).get(found.centre_id, "a centre that was removed")
    kept = [
        Image("stock", key_of((sku, found.centre_id)), f"{sku} in {code}", before, after)
        for sku, (before, after) in _figures([row for row in moved if not row["is_back"]], found, changed).items()
    ]
    back = await images.take_back(uow, import_id, ImagedFileStock(), kept)
    restored = len(back.restored) + sum(row["is_back"] for row in moved)
    return StockTakenBack(is_known=True, restored=restored, conflicts=back.conflicts, next=found.part)


def _figures(moved: Sequence[Any], part: Part, policies: Policies) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What was before and what the file made of it, by SKU."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    counted_at = part.counted_at.isoformat()
    for row in moved:
        before, after = found.setdefault(row["sku"], ({}, {}))
        before["on_hand"] = row["on_hand_before"]
        after |= {"on_hand": row["on_hand_after"], "movement": row["number"], "counted_at": counted_at}
    for sku, (was, is_now) in policies.items():
        before, after = found.setdefault(sku, ({}, {}))
        before["policy"], after["policy"] = was, is_now
    return found


class ImagedFileStock(ImagedStock):
    """`counted_at` of an image is when its file was uploaded: what was counted later is somebody else's figure."""

    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        found = await super().current(uow, keys)
        return {key: {**values, "counted_at": self._counted_at(key)} for key, values in found.items()}

    def _counted_at(self, key: str) -> str | None:
        at = self._locked.stock[place_of(key)].counted_at
        return None if at is None else at.isoformat()

    def touched(self, image: Image, current: Values) -> set[str]:
        found = super().touched(image, current)
        return (found - {"counted_at"}) | ({"on_hand"} if "counted_at" in found else set())


async def forget_old(uow: UnitOfWork) -> None:
    """Across tenants: what was before imports is kept as long as their files."""
    await file_stock.forget(uow, clock.now() - settings().file_retention)
