"""Suppliers and their links as they were before an import: what files keep of them, and how they come back."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from services.inventory.repository import suppliers as stored
from services.inventory.repository.suppliers import LinkKey
from shared.imports.images import Back, Image, Imaged, Values, conflict
from shared.unit_of_work import UnitOfWork


def image_of(
    part: str, key: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], fields: Sequence[str]
) -> Image:
    """Of a thing that was made all fields, of another those that differ now."""
    if before is None:
        return Image(part, key, name, None, {field: after[field] for field in fields})
    changed = [field for field in fields if before[field] != after[field]]
    return Image(part, key, name, {f: before[f] for f in changed}, {f: after[f] for f in changed})


def link_key(key: LinkKey) -> str:
    return orjson.dumps([key.sku, str(key.supplier_id)]).decode()


def _read_key(key: str) -> LinkKey:
    sku, supplier_id = orjson.loads(key)
    return LinkKey(sku, UUID(supplier_id))


class ImagedSuppliers(Imaged):
    """By their codes."""

    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        self._rows = await stored.find_suppliers(uow, keys, lock=True)
        return {code: dict(row) for code, row in self._rows.items()}

    async def put_back(self, uow: UnitOfWork, import_id: UUID, images: Mapping[str, Image], back: Back) -> None:
        gone = await stored.remove_unused_suppliers(uow, back.going)
        for code in back.going:
            if code not in gone:
                message = "It supplies something: take its links back first, or keep it."
                back.conflicts.append(conflict(images[code], None, "in_use", message))
        back.going = sorted(gone)
        if back.restored:
            rows = {code: dict(self._rows[code]) | values for code, values in back.restored.items()}
            await stored.write_suppliers(uow, rows)


class ImagedLinks(Imaged):
    """By SKU and supplier. What is primary again was so before, and nothing else has become so since."""

    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        self._rows = await stored.lock_links(uow, [_read_key(key) for key in keys])
        return {link_key(key): dict(row) for key, row in self._rows.items()}

    async def put_back(self, uow: UnitOfWork, import_id: UUID, images: Mapping[str, Image], back: Back) -> None:
        if back.going:
            await stored.remove_links(uow, [_read_key(key) for key in back.going])
        await self._leave_out_those_without_supplier(uow, images, back)
        await self._keep_others_primary(uow, images, back)
        if back.restored:
            named = {_read_key(key): values for key, values in back.restored.items()}
            rows = {key: dict(self._rows.get(key, stored.NEW_LINK)) | values for key, values in named.items()}
            await stored.write_links(uow, rows)

    async def _leave_out_those_without_supplier(self, uow: UnitOfWork, images: Mapping[str, Image], back: Back) -> None:
        there = await stored.codes_of(uow, {_read_key(key).supplier_id for key in back.restored})
        for key in list(back.restored):
            if _read_key(key).supplier_id not in there:
                del back.restored[key]
                back.conflicts.append(conflict(images[key], None, "not_possible", "The supplier was removed since."))

    async def _keep_others_primary(self, uow: UnitOfWork, images: Mapping[str, Image], back: Back) -> None:
        primary = {_read_key(key).sku: key for key, values in back.restored.items() if values.get("is_primary") is True}
        for other in await stored.list_primary(uow, list(primary)):
            makes_room = back.restored.get(link_key(other), {}).get("is_primary") is False
            key = primary[other.sku]
            if not makes_room and link_key(other) != key:
                del back.restored[key]["is_primary"]
                message = "Another link of the SKU has become the primary one since."
                back.conflicts.append(conflict(images[key], "is_primary", "not_possible", message))
