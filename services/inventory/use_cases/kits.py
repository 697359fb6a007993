"""Kits: what they are made of, and the goods that takes from centres, kept ready for every kit.

Whoever changes kits holds one lock, so that two changes at once cannot close a loop that neither of them sees.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.inventory.errors import IsKit, KitHasStock, KitLoops, KitNotFound, KitTooLarge
from services.inventory.models import WantedLine
from services.inventory.repository import kits
from services.inventory.repository.kits import Units
from services.inventory.use_cases import ledger
from shared.contracts.base import Page
from shared.contracts.inventory.kits import Kit, KitPart, ListKits, SetKit
from shared.pagination import cursor_for, cursor_values
from shared.unit_of_work import UnitOfWork

MOST_GOODS = 200
MOST_UNITS = 1_000_000
IS_KIT = "A kit has no stock of its own; its children have."


async def set_parts(uow: UnitOfWork, message: SetKit) -> Kit:
    """Raises KitLoops, KitHasStock, KitTooLarge."""
    await kits.lock_all(uow)
    before = await kits.list_parts(uow, [message.sku])
    if await kits.has_stock(uow, message.sku):
        raise KitHasStock(f"{message.sku} has stock of its own, or goods on their way.")
    parts = _summed(message.parts)
    above = await kits.list_ancestors(uow, message.sku)
    if loop := sorted({message.sku, *above} & set(parts)):
        raise KitLoops(f"{message.sku} would be in itself, by {', '.join(loop[:5])}.")
    await kits.write_parts(uow, message.sku, parts)
    await _make_ready(uow, [message.sku, *above])
    uow.audit("kit.set", "kit", message.sku, before=before.get(message.sku), after=parts)
    return await get(uow, message.sku)


def _summed(parts: Sequence[KitPart]) -> Units:
    summed: Units = {}
    for part in parts:
        summed[part.sku] = summed.get(part.sku, 0) + part.quantity
    return summed


async def delete(uow: UnitOfWork, sku: str) -> None:
    """Raises KitNotFound."""
    await kits.lock_all(uow)
    before = await kits.list_parts(uow, [sku])
    if not await kits.delete(uow, sku):
        raise KitNotFound(f"{sku} is no kit.")
    await _make_ready(uow, await kits.list_ancestors(uow, sku))
    ledger.announce(uow, [sku])
    uow.audit("kit.delete", "kit", sku, before=before.get(sku))


async def _make_ready(uow: UnitOfWork, changed: Sequence[str]) -> None:
    """Work out the goods of kits that changed, or that have one in them that did. Raises KitTooLarge."""
    parts = await kits.list_parts(uow, changed)
    below = {sku for made_of in parts.values() for sku in made_of} - set(changed)
    known = await kits.list_units(uow, sorted(below))
    await kits.write_units(uow, _goods(parts, known))
    ledger.announce(uow, sorted(changed))


def _goods(parts: Mapping[str, Units], known: Mapping[str, Units]) -> dict[str, Units]:
    """What each kit takes from centres: those first that have no other of these in them. There is no loop."""
    ready: dict[str, Units] = {}
    while waiting := parts.keys() - ready.keys():
        for sku in [sku for sku in waiting if not waiting & parts[sku].keys()]:
            ready[sku] = _summed_goods(sku, parts[sku], {**known, **ready})
    return ready


def _summed_goods(sku: str, parts: Units, made_of: Mapping[str, Units]) -> Units:
    goods: Units = {}
    for child, quantity in parts.items():
        for good, units in made_of.get(child, {child: 1}).items():
            goods[good] = goods.get(good, 0) + units * quantity
    if len(goods) > MOST_GOODS or max(goods.values()) > MOST_UNITS:
        raise KitTooLarge(f"{sku} would take more than {MOST_GOODS} goods, or {MOST_UNITS} units of one.")
    return goods


async def refuse(uow: UnitOfWork, skus: Sequence[str]) -> None:
    """Raises IsKit when one of them is: its children have stock, it has none."""
    if among := sorted(await kits.list_kits_among(uow, skus)):
        raise IsKit(f"{', '.join(among[:5])}: {IS_KIT}")


async def explode(uow: UnitOfWork, lines: Sequence[WantedLine]) -> list[WantedLine]:
    """The same lines, each kit with the goods that one of it takes."""
    return with_goods(lines, await kits.list_units(uow, [line.sku for line in lines]))


def with_goods(lines: Sequence[WantedLine], made_of: Mapping[str, Units]) -> list[WantedLine]:
    """The same lines, each kit with the goods in `made_of`."""
    if not made_of:
        return list(lines)
    return [WantedLine(line.sku, line.quantity, line.in_stock_only, made_of.get(line.sku, {})) for line in lines]


async def get(uow: UnitOfWork, sku: str) -> Kit:
    """Raises KitNotFound."""
    row = await kits.find(uow, sku)
    if row is None:
        raise KitNotFound(f"{sku} is no kit.")
    return (await _shapes(uow, [row]))[0]


async def list_page(uow: UnitOfWork, message: ListKits) -> Page[Kit]:
    position = cursor_values(message.after, 1)
    after = str(position[0]) if position else None
    rows = await kits.list_page(uow, message.child, after, message.first + 1)
    page = rows[: message.first]
    following = cursor_for(page[-1]["sku"]) if len(rows) > message.first else None
    return Page(items=await _shapes(uow, page), next=following)


async def _shapes(uow: UnitOfWork, rows: Sequence[Any]) -> list[Kit]:
    skus = [row["sku"] for row in rows]
    parts, units = await kits.list_parts(uow, skus), await kits.list_units(uow, skus)
    return [
        Kit(
            sku=row["sku"], parts=_told(parts, row["sku"]), units=_told(units, row["sku"]), updated_at=row["updated_at"]
        )
        for row in rows
    ]


def _told(made_of: Mapping[str, Units], sku: str) -> list[KitPart]:
    return [KitPart(sku=part, quantity=quantity) for part, quantity in made_of.get(sku, {}).items()]
