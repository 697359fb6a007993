"""Fulfilment centres and which shops they serve."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.errors import (
    CentreChangedSince,
    CentreCodeTaken,
    CentreHasReservations,
    CentreHasStock,
    CentreNotFound,
    DefaultCentreNeeded,
)
from services.inventory.repository import arrivals, balances, shop_centres
from services.inventory.use_cases import ledger, levels
from shared.bus.envelope import ShopNotFound
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Page
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    RemoveFulfilmentCentre,
    UnassignFulfilmentCentre,
)
from shared.contracts.inventory.shapes import CentreAssignment, FulfilmentCentre
from shared.identifiers import new_id
from shared.pagination import cursor_for, cursor_values
from shared.unit_of_work import UnitOfWork

DEFAULT_CODE = "main"
_NAMED_AT_MOST = 100


async def take_shop(uow: UnitOfWork, shop: Shop) -> None:
    """Keep a copy of a shop when it is newer than ours. A merchant's first shop brings the default centre with it.

    A new shop of its own is served by the default centre; a sub-shop by its parent's centres, until it has its own.
    """
    taken = await shop_centres.SHOPS.take(uow, shop)
    if taken is None or taken.before is not None:
        return
    centre_id = await ensure_default(uow)
    if shop.parent_id is None:
        await _assign(uow, shop.id, centre_id, 100, counts=True, dispatches=True)
    await _announce_stock(uow, centre_id)


async def forget_shop(uow: UnitOfWork, shop_id: UUID) -> None:
    """Unlink a removed shop; its centres, its stock and what is reserved there stay."""
    # The copy first: that locks it, so nobody assigns centres to a shop that was new at the same moment.
    await shop_centres.SHOPS.forget(uow, shop_id)
    await uow.execute("DELETE FROM shop_centres WHERE shop_id = $1", shop_id)
    await uow.execute("DELETE FROM shipping_method_shops WHERE shop_id = $1", shop_id)


async def ensure_default(uow: UnitOfWork) -> UUID:
    """The default centre's id; it is made where there is none yet."""
    await uow.execute(
        "INSERT INTO fulfilment_centres (organization_id, id, code, name, kind, is_default)"
        " SELECT $1, $2, $3, 'Main', 'building', true"
        " WHERE NOT EXISTS (SELECT FROM fulfilment_centres WHERE is_default) ON CONFLICT DO NOTHING",
        uow.organization_id,
        new_id(),
        DEFAULT_CODE,
    )
    centre_id: UUID = await uow.fetchval("SELECT id FROM fulfilment_centres WHERE is_default")
    return centre_id


async def create(uow: UnitOfWork, draft: CreateFulfilmentCentre) -> FulfilmentCentre:
    """Raises CentreCodeTaken."""
    await ensure_default(uow)
    centre_id = await uow.fetchval(
        "INSERT INTO fulfilment_centres (organization_id, id, code, name, kind) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING RETURNING id",
        uow.organization_id,
        new_id(),
        draft.code,
        draft.name,
        draft.kind,
    )
    if centre_id is None:
        raise CentreCodeTaken(f"Another fulfilment centre has the code '{draft.code}'.")
    uow.audit("centre.create", "fulfilment_centre", centre_id, after=draft.model_dump())
    return await get(uow, centre_id)


async def change(uow: UnitOfWork, message: ChangeFulfilmentCentre) -> FulfilmentCentre:
    """Raises CentreNotFound, CentreChangedSince, DefaultCentreNeeded."""
    before = await _locked(uow, message.centre_id, message.expected_version)
    if message.is_default is False and before["is_default"]:
        raise DefaultCentreNeeded("Make another centre the default instead.")
    if message.is_default and not before["is_default"]:
        await uow.execute("UPDATE fulfilment_centres SET is_default = false, version = version + 1 WHERE is_default")
    await uow.execute(
        "UPDATE fulfilment_centres SET name = coalesce($2, name), kind = coalesce($3, kind),"
        " is_default = coalesce($4, is_default), version = version + 1 WHERE id = $1",
        message.centre_id,
        message.name,
        message.kind,
        message.is_default,
    )
    changes = message.model_dump(exclude={"centre_id", "expected_version"}, exclude_none=True)
    known = {name: before[name] for name in changes}
    uow.audit("centre.change", "fulfilment_centre", message.centre_id, before=known, after=changes)
    return await get(uow, message.centre_id)


async def assign(uow: UnitOfWork, message: AssignFulfilmentCentre) -> FulfilmentCentre:
    """Raises CentreNotFound, CentreChangedSince, ShopNotFound."""
    await _locked(uow, message.centre_id, message.expected_version)
    shop_id = await shop_id_of(uow, message.shop)
    await _assign(
        uow, shop_id, message.centre_id, message.preference, counts=message.counts, dispatches=message.dispatches
    )
    await _count_change(uow, message.centre_id)
    after = message.model_dump(mode="json", exclude={"expected_version"})
    uow.audit("centre.assign", "fulfilment_centre", message.centre_id, after=after)
    await announce_all_stock(uow)
    return await get(uow, message.centre_id)


async def unassign(uow: UnitOfWork, message: UnassignFulfilmentCentre) -> FulfilmentCentre:
    """Raises CentreNotFound, CentreChangedSince, ShopNotFound. Harmless where the centre does not serve the shop."""
    await _locked(uow, message.centre_id, message.expected_version)
    shop_id = await shop_id_of(uow, message.shop)
    await uow.execute("DELETE FROM shop_centres WHERE shop_id = $1 AND centre_id = $2", shop_id, message.centre_id)
    await _count_change(uow, message.centre_id)
    uow.audit("centre.unassign", "fulfilment_centre", message.centre_id, before={"shop": message.shop})
    await announce_all_stock(uow)
    return await get(uow, message.centre_id)


async def remove(uow: UnitOfWork, message: RemoveFulfilmentCentre) -> None:
    """Close a centre; with `discard_stock` what lies there is written off. Nothing more is expected there.

    Raises CentreNotFound, CentreChangedSince, DefaultCentreNeeded, CentreHasReservations, CentreHasStock.
    """
    before = await _locked(uow, message.centre_id, message.expected_version)
    if before["is_default"]:
        raise DefaultCentreNeeded("Make another centre the default first.")
    await arrivals.close_all(uow, message.centre_id)
    locked = await ledger.lock_centre(uow, message.centre_id)
    await _refuse_reserved(uow, message.centre_id)
    there = [stock for stock in locked.stock.values() if stock.on_hand]
    if there and not message.discard_stock:
        entries = [{"sku": stock.sku, "on_hand": stock.on_hand} for stock in there[:_NAMED_AT_MOST]]
        raise CentreHasStock(f"{len(there)} SKUs lie there: move them, or discard them.", entries)
    for stock in there:
        locked.note(stock.adjust(-stock.on_hand, None, f"centre {before['code']} removed"))
    await locked.write(uow)
    levels.forget(uow, [stock.place for stock in locked.stock.values() if stock.is_low])
    await shop_centres.retire_stock(uow, message.centre_id)
    await shop_centres.remove_centre(uow, message.centre_id)
    uow.audit("centre.remove", "fulfilment_centre", message.centre_id, before={"code": before["code"]})
    await announce_all_stock(uow)


async def _refuse_reserved(uow: UnitOfWork, centre_id: UUID) -> None:
    reserved = await shop_centres.list_open_reservations(uow, centre_id, _NAMED_AT_MOST)
    if reserved:
        entries = [{**dict(row), "order_id": str(row["order_id"])} for row in reserved]
        raise CentreHasReservations("Units are reserved there for orders: ship, cancel or re-source them.", entries)


async def get(uow: UnitOfWork, centre_id: UUID) -> FulfilmentCentre:
    """Raises CentreNotFound."""
    row = await uow.fetchrow("SELECT * FROM fulfilment_centres WHERE id = $1 AND removed_at IS NULL", centre_id)
    if row is None:
        raise CentreNotFound("There is no such fulfilment centre.")
    return (await _shapes(uow, [row]))[0]


async def get_id(uow: UnitOfWork, code: str) -> UUID:
    """Raises CentreNotFound."""
    return _named(await shop_centres.get_centre_ids(uow), code)


async def get_id_at(uow: UnitOfWork, code: str, moment: datetime | None) -> UUID:
    """The id of the centre that had this code at a moment; else of the one that has it, or had it last.

    Raises CentreNotFound.
    """
    centre_id: UUID | None = await shop_centres.find_id_at(uow, code, moment)
    return _named({} if centre_id is None else {code: centre_id}, code)


async def lock_id(uow: UnitOfWork, code: str) -> UUID:
    """The id of a centre that is not removed until the end of this transaction. Raises CentreNotFound."""
    return _named(await shop_centres.lock_living(uow), code)


def _named(known: Mapping[str, UUID], code: str) -> UUID:
    centre_id = known.get(code)
    if centre_id is None:
        raise CentreNotFound(f"There is no fulfilment centre with the code '{code}'.")
    return centre_id


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[FulfilmentCentre]:
    position = cursor_values(after, 1)
    rows = await uow.fetch(
        "SELECT * FROM fulfilment_centres WHERE removed_at IS NULL AND ($1::text IS NULL OR code > $1)"
        " ORDER BY code LIMIT $2",
        str(position[0]) if position else None,
        first + 1,
    )
    page = rows[:first]
    following = cursor_for(page[-1]["code"]) if len(rows) > first else None
    return Page(items=await _shapes(uow, page), next=following)


async def _shapes(uow: UnitOfWork, rows: Sequence[asyncpg.Record]) -> list[FulfilmentCentre]:
    assigned: dict[UUID, list[CentreAssignment]] = {}
    for row in await uow.fetch(
        "SELECT a.centre_id, a.shop_id, s.code AS shop, a.preference, a.counts, a.dispatches FROM shop_centres a"
        " JOIN shops s ON s.id = a.shop_id WHERE a.centre_id = ANY($1) ORDER BY s.code",
        [row["id"] for row in rows],
    ):
        columns = dict(row)
        assigned.setdefault(columns.pop("centre_id"), []).append(CentreAssignment(**columns))
    return [
        FulfilmentCentre(
            id=row["id"],
            code=row["code"],
            name=row["name"],
            kind=row["kind"],
            is_default=row["is_default"],
            shops=assigned.get(row["id"], []),
            version=row["version"],
        )
        for row in rows
    ]


async def _locked(uow: UnitOfWork, centre_id: UUID, expected: int | None) -> Any:
    # All centres, so that two at once cannot both become the default, nor the last default be taken away.
    rows = await uow.fetch("SELECT * FROM fulfilment_centres WHERE removed_at IS NULL ORDER BY id FOR UPDATE")
    row = next((row for row in rows if row["id"] == centre_id), None)
    if row is None:
        raise CentreNotFound("There is no such fulfilment centre.")
    if expected is not None and row["version"] != expected:
        raise CentreChangedSince(f"The centre has version {row['version']} now, not {expected}; read it again.")
    return row


async def _count_change(uow: UnitOfWork, centre_id: UUID) -> None:
    """Whom a centre serves is a part of it: who read it before shall be told that it changed."""
    await uow.execute("UPDATE fulfilment_centres SET version = version + 1 WHERE id = $1", centre_id)


async def shop_id_of(uow: UnitOfWork, code: str) -> UUID:
    """Raises ShopNotFound, also for one the caller may not see."""
    row = await shop_centres.SHOPS.find_by_code(uow, code)
    if row is None or not uow.caller.sees_shop(row["id"]):
        raise ShopNotFound(f"There is no shop with the code '{code}'.")
    shop_id: UUID = row["id"]
    return shop_id


async def _assign(
    uow: UnitOfWork, shop_id: UUID, centre_id: UUID, preference: int, *, counts: bool, dispatches: bool
) -> None:
    await uow.execute(
        "INSERT INTO shop_centres (organization_id, shop_id, centre_id, preference, counts, dispatches)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, shop_id, centre_id) DO UPDATE"
        " SET preference = excluded.preference, counts = excluded.counts, dispatches = excluded.dispatches",
        uow.organization_id,
        shop_id,
        centre_id,
        preference,
        counts,
        dispatches,
    )


async def _announce_stock(uow: UnitOfWork, centre_id: UUID) -> None:
    await ledger.announce_with_kits(uow, await balances.list_skus_of_centre(uow, centre_id))


async def announce_all_stock(uow: UnitOfWork) -> None:
    """Who serves a shop changed: any SKU of any centre may sell differently there (a sub-shop may stop inheriting)."""
    await ledger.announce_with_kits(uow, await balances.list_skus(uow))
