"""A product's history as its merchant reads it: changes as they were recorded, beginnings as they must have been.

A row that is made in bulk leaves no trace but its cause (shared/history.py). What it was then is what it is now, or was
when it was removed, with every change since taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.errors import ProductNotFound
from services.catalog.repository import history
from shared.contracts.base import Page
from shared.contracts.catalog.history import FieldChange, HistoryEntry, ListProductHistory
from shared.contracts.platform.shapes import Actor
from shared.pagination import InvalidCursor, cursor_for, cursor_values
from shared.unit_of_work import UnitOfWork

_NEWEST = 2**62
# Ours, and of no meaning to a merchant.
_HIDDEN = frozenset({"organization_id", "id", "product_id", "variant_id", "option_key", "created_cause", "created_at"})
# What a price's key has for every centre, and for no beginning.
_UNSAID = {"centre": "", "starts_at": "-infinity"}


@dataclass(frozen=True)
class _Life:
    """One thing from the moment it was made, and what it was then."""

    entity: str
    key: dict[str, Any]
    beginning: dict[str, Any]


async def of_product(uow: UnitOfWork, message: ListProductHistory) -> Page[HistoryEntry]:
    """Raises ProductNotFound, InvalidCursor."""
    kind, position = _position(message.after)
    if not await history.has_any(uow, message.product_id):
        raise ProductNotFound("There is no such product.")
    skus = await history.skus_of(uow, message.product_id)
    items: list[HistoryEntry] = []
    if kind == "change":
        items = await _changes(uow, message, skus, position)
    if len(items) <= message.first:
        begun = await _beginnings(uow, message, skus)
        items += begun[position if kind == "beginning" else 0 :]
    return _page(items, message.first, position if kind == "beginning" else 0)


def _position(cursor: str | None) -> tuple[str, int]:
    kind, number = cursor_values(cursor, 2) or ("change", _NEWEST)
    if kind not in ("change", "beginning") or not isinstance(number, int) or not 0 <= number <= _NEWEST:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return str(kind), number


def _page(items: list[HistoryEntry], first: int, begun: int) -> Page[HistoryEntry]:
    """Beginnings are few and stay in their order, so their position is how many were seen."""
    page = items[:first]
    if len(items) <= first:
        return Page(items=page, next=None)
    last = page[-1]
    if last.id.isdigit():
        return Page(items=page, next=cursor_for("change", int(last.id)))
    seen = begun + sum(not item.id.isdigit() for item in page)
    return Page(items=page, next=cursor_for("beginning", seen))


async def _changes(
    uow: UnitOfWork, message: ListProductHistory, skus: Mapping[str, str], before: int
) -> list[HistoryEntry]:
    variant_ids = None
    if message.sku is not None:
        variant_ids = await history.list_variant_ids(uow, message.product_id, message.sku)
    rows = await history.list_changes(
        uow,
        message.product_id,
        field=message.field,
        variant_ids=variant_ids,
        before=before,
        first=message.first + 1,
    )
    return [_changed(row, skus, message.field) for row in rows]


def _changed(row: asyncpg.Record, skus: Mapping[str, str], only: str | None) -> HistoryEntry:
    before, after = _parsed(row["before"]), _parsed(row["after"])
    what = "removed" if after is None else "created" if before is None else "changed"
    return _entry(row, str(row["number"]), what, orjson.loads(row["key"]), skus, before or {}, after or {}, only)


async def _beginnings(uow: UnitOfWork, message: ListProductHistory, skus: Mapping[str, str]) -> list[HistoryEntry]:
    """When each thing was made, newest first."""
    lives = await _lives(uow, message.product_id)
    causes = await history.causes_of(uow, [cause for life in lives if (cause := _cause(life))])
    entries = []
    for life in lives:
        cause, field = _cause(life), message.field
        row = causes.get(cause) if cause else None
        if row is None or (field is not None and life.beginning.get(field) is None):
            continue
        named = {**row, "entity": life.entity}
        entry = _entry(named, _name(life, row), "created", life.key, skus, {}, life.beginning, field)
        if message.sku in (None, entry.sku):
            entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.occurred_at, entry.id), reverse=True)


async def _lives(uow: UnitOfWork, product_id: UUID) -> list[_Life]:
    """Everything that was made in bulk, also what is gone by now; what was made again is another life."""
    traces = await history.list_lives(uow, product_id)
    lives = [_Life(t["entity"], orjson.loads(t["key"]), orjson.loads(t["first"])) for t in traces if t["is_over"]]
    first = {(t["entity"], t["key"]): orjson.loads(t["first"]) for t in traces if not t["is_over"]}
    for row in await history.list_living(uow, product_id):
        state = orjson.loads(row["state"]) | first.get((row["entity"], row["key"]), {})
        lives.append(_Life(row["entity"], orjson.loads(row["key"]), state))
    return lives


def _cause(life: _Life) -> UUID | None:
    cause = life.beginning.get("created_cause")
    return UUID(cause) if cause else None


def _name(life: _Life, row: Mapping[str, Any]) -> str:
    return f"{life.entity}:{':'.join(str(part) for part in life.key.values())}@{row['cause_id'].hex}"


def _entry(
    row: Mapping[str, Any],
    id_: str,
    what: Any,
    key: dict[str, Any],
    skus: Mapping[str, str],
    before: dict[str, Any],
    after: dict[str, Any],
    only: str | None,
) -> HistoryEntry:
    all_ = {**before, **after}
    names = [n for n, value in all_.items() if n not in _HIDDEN and only in (None, n) and _UNSAID.get(n, ...) != value]
    changes = [FieldChange(field=name, before=before.get(name), after=after.get(name)) for name in sorted(names)]
    variant_id = key.get("variant_id") or (key["id"] if row["entity"] == "variant" else None)
    return HistoryEntry(
        id=id_,
        what=what,
        part=row["entity"],
        sku=None if variant_id is None else skus.get(variant_id),
        key={name: value for name, value in key.items() if name not in _HIDDEN and _UNSAID.get(name, ...) != value},
        fields=[change for change in changes if change.before is not None or change.after is not None],
        cause=row["kind"],
        cause_id=row["cause_id"],
        actor=Actor.model_validate_json(row["actor"]),
        occurred_at=row["occurred_at"],
    )


def _parsed(value: str | None) -> dict[str, Any] | None:
    return None if value is None else orjson.loads(value)
