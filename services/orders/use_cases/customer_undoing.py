"""Customers as they were before an import, by their ids.

One that the import made goes if nothing was added to it and no order names it. What an import knew of a person goes
with the person (use_cases/privacy.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.orders.repository import customer_sets
from shared.imports.images import Back, Image, Imaged, Values, conflict
from shared.unit_of_work import UnitOfWork

PART = "customers"
_FIELDS = ("name", "phone", "customer_group", "notes", "address")


def images_of(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> list[Image]:
    """Of customers by e-mail address, before and after a portion was written."""
    return [image for email, now in after.items() if (image := _image(email, before.get(email), now)) is not None]


def _image(email: str, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Image | None:
    key = str(now["id"])
    if before is None:
        # Whatever is added to it changes its version, too.
        return Image(PART, key, email, None, {**{name: now[name] for name in _FIELDS}, "version": now["version"]})
    changed = [name for name in _FIELDS if before[name] != now[name]]
    if not changed:
        return None
    return Image(PART, key, email, {name: before[name] for name in changed}, {name: now[name] for name in changed})


class ImagedCustomers(Imaged):
    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        found = await customer_sets.lock_by_id(uow, [UUID(key) for key in keys])
        self._rows = {str(row["id"]): dict(row) for row in found}
        return self._rows

    async def put_back(self, uow: UnitOfWork, import_id: UUID, images: Mapping[str, Image], back: Back) -> None:
        gone = {str(id_) for id_ in await customer_sets.remove_unnamed(uow, [UUID(key) for key in back.going])}
        for key in back.going:
            if key not in gone:
                message = "Orders name this customer."
                back.conflicts.append(conflict(images[key], None, "in_use", message))
        back.going = sorted(gone)
        rows = [{**self._rows[key], **values} for key, values in back.restored.items()]
        await customer_sets.put_back(uow, rows, [UUID(k) for k, values in back.restored.items() if "address" in values])
