"""What people decide on changes, and how changes and listings are shown."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import BothSidesChosen, OneRemovalAtATime
from services.sync.models import colour_of
from services.sync.platforms.base import is_personal
from services.sync.repository import changes, connections, creations, listings, relinks, standings
from services.sync.repository.changes import WHOLE
from services.sync.repository.relinks import PRODUCT
from shared.bus.envelope import Caller
from shared.contracts.base import Page
from shared.contracts.platform.shapes import Actor
from shared.contracts.sync.messages import ListChanges, ListListings
from shared.contracts.sync.shapes import ChangeState, Direction
from shared.contracts.sync.work import ChangeCounts, DecidedChanges, Listing, QueuedChange
from shared.pagination import id_after, page_by_id
from shared.unit_of_work import UnitOfWork

_HIDDEN = "(hidden)"
_WAITING = ("review", "conflict", "failed")


async def approve(uow: UnitOfWork, change_ids: Sequence[UUID]) -> DecidedChanges:
    """Let waiting changes happen; the other side of a conflict is called off.

    Raises ChangeNotFound, BothSidesChosen, OneRemovalAtATime.

    What was to be made on a platform, and called off, is to be made after all.
    """
    locked = await changes.lock(uow, change_ids)
    if len(locked) > 1 and any(row["kind"] == "delete" for row in locked):
        raise OneRemovalAtATime("Among them something is taken away over there: approve that by itself.")
    revived = [row for row in locked if row["state"] == "cancelled" and _is_creation(row)]
    rows = [*(row for row in locked if row["state"] in _WAITING), *revived]
    _check_one_side(rows)
    await _decide(uow, rows, "queued")
    await creations.decide(uow, [row["listing_id"] for row in revived], is_wanted=True)
    conflicts = [row for row in rows if row["state"] == "conflict"]
    for direction in ("in", "out"):
        other: Direction = "out" if direction == "in" else "in"
        decided = [(row["listing_id"], row["field"]) for row in conflicts if row["direction"] == direction]
        if decided:
            await changes.call_off(uow, other, decided, "decided")
    # What is there is known, and is to be overwritten: a write expects it, and it is no news when it is seen again.
    ours = [(row["listing_id"], row["field"]) for row in conflicts if row["direction"] == "out"]
    if ours:
        await listings.acknowledge_remote(uow, ours)
    return DecidedChanges(decided=len(rows))


def _check_one_side(rows: Sequence[asyncpg.Record]) -> None:
    """Raises BothSidesChosen."""
    disputed = [(row["listing_id"], row["field"]) for row in rows if row["state"] == "conflict"]
    if len(set(disputed)) < len(disputed):
        raise BothSidesChosen("Both sides of a conflict are among them: name the one that wins.")


async def cancel(uow: UnitOfWork, change_ids: Sequence[UUID]) -> DecidedChanges:
    """Do not do open changes. What the platform has of them is acknowledged as it is. Raises ChangeNotFound."""
    rows = [row for row in await changes.lock(uow, change_ids) if row["state"] not in ("applied", "cancelled")]
    await _decide(uow, rows, "cancelled")
    fields: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        if row["direction"] == "in" and row["field"] not in (WHOLE, PRODUCT):
            fields.setdefault(row["listing_id"], {})[row["field"]] = orjson.loads(row["after"])
    await creations.decide(uow, [row["listing_id"] for row in rows if _is_creation(row)], is_wanted=False)
    kept = [row for row in rows if row["kind"] == "delete"]
    if kept:
        await listings.forget_pictures(uow, [(row["listing_id"], row["field"].partition(":")[2]) for row in kept])
    refused = [row["listing_id"] for row in rows if row["direction"] == "in" and row["field"] == PRODUCT]
    if refused:
        await relinks.refuse(uow, refused)
    if fields:
        await listings.acknowledge(uow, fields)
    return DecidedChanges(decided=len(rows))


def _is_creation(row: asyncpg.Record) -> bool:
    """Whether a change is of something that waits to be made on a platform."""
    return row["direction"] == "out" and row["field"] == WHOLE and row["external_id"] is None


async def _decide(uow: UnitOfWork, rows: Sequence[asyncpg.Record], state: ChangeState) -> None:
    if not rows:
        return
    standings.tell_soon(uow)
    caller = uow.caller
    actor = Actor(kind=caller.kind, id=caller.id, name=caller.name, address=caller.address).model_dump(mode="json")
    await changes.decide(uow, [row["id"] for row in rows], state, actor)
    for row in rows:
        after = {"state": state, "field": row["field"], "direction": row["direction"]}
        uow.audit("change.decide", "change", row["id"], before={"state": row["state"]}, after=after)


# --- what people see


async def get_change(uow: UnitOfWork, change_id: UUID) -> QueuedChange:
    """Raises ChangeNotFound."""
    return change_shape(uow.caller, await changes.get(uow, change_id))


async def list_changes(uow: UnitOfWork, asked: ListChanges) -> Page[QueuedChange]:
    rows = await changes.list_page(uow, asked, id_after(asked.after))
    return page_by_id(rows, asked.first, partial(change_shape, uow.caller))


async def count_changes(uow: UnitOfWork, connection_id: UUID, direction: Direction | None) -> ChangeCounts:
    """Raises ConnectionNotFound."""
    await connections.get(uow, connection_id)
    by_state = await changes.count(uow, connection_id, direction)
    return ChangeCounts(total=sum(by_state.values()), by_state=by_state)


def change_shape(caller: Caller, row: asyncpg.Record) -> QueuedChange:
    """A change as `caller` may see it."""
    before, after = (_visible(caller, row, row["field"], row[name]) for name in ("before", "after"))
    same = ("id", "connection_id", "listing_id", "entity", "external_id", "sku", "direction", "state", "reason")
    return QueuedChange(
        **{name: row[name] for name in (*same, "attempts", "next_attempt_at", "created_at", "updated_at")},
        field=row["field"] or None,
        before=before,
        after=after,
        colour=colour_of(row["kind"], row["state"]),
        decided_by=Actor.model_validate_json(row["decided_by"]) if row["decided_by"] else None,
    )


async def get_listing(uow: UnitOfWork, listing_id: UUID) -> Listing:
    """Raises ListingNotFound."""
    return listing_shape(uow.caller, await listings.get(uow, listing_id))


async def list_listings(uow: UnitOfWork, asked: ListListings) -> Page[Listing]:
    rows = await listings.list_page(uow, asked, id_after(asked.after))
    return page_by_id(rows, asked.first, partial(listing_shape, uow.caller))


def listing_shape(caller: Caller, row: asyncpg.Record) -> Listing:
    """A listing as `caller` may see it."""
    same = ("id", "connection_id", "entity", "external_id", "parent_external_id", "sku", "product_id", "order_id")
    moments = ("remote_updated_at", "gone_at", "created_at", "updated_at", "version", "colour")
    return Listing(
        **{name: row[name] for name in (*same, *moments)},
        **{name: _visible(caller, row, WHOLE, row[name]) for name in ("remote", "acknowledged", "sent")},
    )


def _visible(caller: Caller, row: asyncpg.Record, field: str, text: str | None) -> Any:
    """A field of a record, or with WHOLE all of them: what is personal in it is hidden from who may not read orders."""
    value = None if text is None else orjson.loads(text)
    if row["entity"] != "order" or caller.holds("orders:read"):
        return value
    return _without_personal(field, value)


def _without_personal(field: str, value: Any) -> Any:
    if value is None:
        return None
    if is_personal(field):
        return _HIDDEN
    if isinstance(value, dict):
        return {name: _without_personal(f"{field}.{name}".lstrip("."), each) for name, each in value.items()}
    return value
