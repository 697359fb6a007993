"""What a scan has brought is compared with what was acknowledged, field by field; each difference gets its fate.

    the value that we wrote last          an echo: acknowledged when it was written, and no difference
    added by the platform to what we made acknowledged, and no change
    the same as what waits to be sent     both sides agree: acknowledged, and nothing is sent
    ours, ignored, or left alone          acknowledged: that is what the platform has now, and not taken over
    the platform's                        queued to be taken over here
    to be looked at                       waits for a person
    different, and changed here as well   a conflict: as the field's rule says
    new, with what a vanished one had     a re-link: a person says whether it is the same product of ours

An acknowledged value is one that both sides have dealt with; a field that waits keeps the value from before. So the
same scan again finds the same changes, and one that came half-way is simply done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.models import rule_of
from services.sync.repository import changes, creations, listings, relinks
from services.sync.repository.changes import WHOLE, Found
from services.sync.repository.relinks import PRODUCT
from shared.contracts.sync.shapes import ChangeState, ConnectionSettings
from shared.unit_of_work import UnitOfWork

# Records that are compared as a whole: whoever takes them tells for himself what is new in them.
_WHOLE_RECORDS = ("order", "supplier", "supplier_link")
_NOT_THERE: Any = object()


@dataclass
class Findings:
    """What came of one record: what is acknowledged of it now, its changes, and which waiting ones are over."""

    acknowledged: dict[str, Any] | None
    found: list[Found] = field(default_factory=list)
    in_over: list[str] = field(default_factory=list)
    out_over: list[str] = field(default_factory=list)
    # Waiting writes that are not made before a person has decided.
    disputed: list[str] = field(default_factory=list)
    # Whether what it is here has to be compared with what is there now.
    is_marked: bool = False


async def analyse(
    uow: UnitOfWork,
    connection: asyncpg.Record,
    settings: ConnectionSettings,
    entities: Sequence[str],
    most: int,
) -> int:
    """Look at records that are different from when they were last looked at. Returns how many there were."""
    await creations.adopt_seen(uow, connection["id"], entities)
    rows = await listings.list_unanalysed(uow, connection["id"], entities, most)
    await _look_at(uow, connection, settings, rows)
    return len(rows)


async def fates_of_new(
    uow: UnitOfWork, connection: asyncpg.Record, settings: ConnectionSettings, entities: Sequence[str]
) -> dict[str, ChangeState | None]:
    """What becomes of records that are new here, by kind, so that they are kept with it and need no further look.

    None are told while something has vanished or waits to be made: what is new may be that.
    """
    if await listings.is_any_to_come_back(uow, connection["id"]):
        return {}
    return {entity: _fate_of_new(settings, entity) for entity in entities}


def _fate_of_new(settings: ConnectionSettings, entity: str) -> ChangeState | None:
    """How the change waits that takes it over; None: it is acknowledged as it is."""
    if entity == "stock":
        # What a platform has of stock is a fact about it, not a change of ours: stock is imported on demand.
        return None
    absorbs = settings.absorb_orders if entity == "order" else settings.absorb_products
    return "queued" if absorbs else "review"


async def analyse_these(
    uow: UnitOfWork, connection: asyncpg.Record, settings: ConnectionSettings, names: Sequence[tuple[str, str]]
) -> None:
    """Look at some records, by kind and id over there."""
    await _look_at(uow, connection, settings, await listings.lock_by_names(uow, connection["id"], names))


async def _look_at(
    uow: UnitOfWork, connection: asyncpg.Record, settings: ConnectionSettings, rows: Sequence[asyncpg.Record]
) -> None:
    if not rows:
        return
    ids = [row["id"] for row in rows]
    waiting: dict[UUID, dict[str, Any]] = {}
    for change in await changes.list_open(uow, ids, "out"):
        waiting.setdefault(change["listing_id"], {})[change["field"]] = orjson.loads(change["after"])
    new = [row["id"] for row in rows if row["acknowledged"] is None and row["entity"] in ("product", "variant")]
    returned = await relinks.find(uow, connection["id"], new) if new else {}
    findings = {
        row["id"]: _of_returned(row, returned[row["id"]])
        if row["id"] in returned
        else findings_of(settings, row, waiting.get(row["id"], {}))
        for row in rows
    }
    await listings.note_analysed(uow, [(row["id"], row["digest"], findings[row["id"]].acknowledged) for row in rows])
    for direction, attribute in (("in", "in_over"), ("out", "out_over")):
        over = [(id_, name) for id_, each in findings.items() for name in getattr(each, attribute)]
        if over:
            await changes.call_off(uow, direction, over, "agreed")  # type: ignore[arg-type]
    disputed = [(id_, name) for id_, each in findings.items() for name in each.disputed]
    if disputed:
        await changes.dispute(uow, disputed)
    found = [change for each in findings.values() for change in each.found]
    if found:
        await changes.queue(uow, connection["id"], found)
    marked = [listing_id for listing_id, each in findings.items() if each.is_marked]
    if marked:
        await listings.mark(uow, marked)


def findings_of(settings: ConnectionSettings, row: Mapping[str, Any], waiting: Mapping[str, Any]) -> Findings:
    """What is to be done about one record; `waiting` are the values that are to be sent there, by field."""
    remote: dict[str, Any] = orjson.loads(row["remote"])
    if row["acknowledged"] is None or row["entity"] in _WHOLE_RECORDS:
        return _of_whole(settings, row, remote)
    acknowledged: dict[str, Any] = orjson.loads(row["acknowledged"])
    findings = Findings(acknowledged)
    for name in sorted(remote.keys() | acknowledged.keys()):
        now, before = remote.get(name), acknowledged.get(name, _NOT_THERE)
        if now == before:
            findings.in_over.append(name)
        elif before is _NOT_THERE and row["is_made"]:
            # What the platform has added by itself to what we have made there is nobody's change.
            acknowledged[name] = now
        elif _is_agreed(name, now, waiting):
            acknowledged[name] = now
            findings.in_over.append(name)
            if name in waiting:
                findings.out_over.append(name)
        else:
            _decide(settings, row, findings, name, None if before is _NOT_THERE else before, now, waiting)
    return findings


def _of_returned(row: Mapping[str, Any], product_id: UUID) -> Findings:
    """A record that has the SKU or barcode of one that vanished: a person says whether it is that (SYN-8)."""
    found = Found(row["id"], row["entity"], "in", "update", PRODUCT, None, str(product_id), "review", "relink")
    return Findings(None, [found], in_over=[WHOLE])


def _of_whole(settings: ConnectionSettings, row: Mapping[str, Any], remote: dict[str, Any]) -> Findings:
    """A record that is new here, or one that is taken as it is."""
    state = _fate_of_new(settings, row["entity"])
    if state is None:
        return Findings(remote, is_marked=True)
    acknowledged = None if row["acknowledged"] is None else orjson.loads(row["acknowledged"])
    if acknowledged == remote:
        return Findings(acknowledged, in_over=[WHOLE])
    kind = "insert" if acknowledged is None else "update"
    found = Found(row["id"], row["entity"], "in", kind, WHOLE, None, None, state if kind == "insert" else "queued")
    return Findings(acknowledged, [found])


def _is_agreed(name: str, now: Any, waiting: Mapping[str, Any]) -> bool:
    return name in waiting and waiting[name] == now


def _decide(
    settings: ConnectionSettings,
    row: Mapping[str, Any],
    findings: Findings,
    name: str,
    before: Any,
    now: Any,
    waiting: Mapping[str, Any],
) -> None:
    """Give a difference its fate."""
    rule = rule_of(settings, row["entity"], name)
    assert findings.acknowledged is not None
    state, reason = "queued", None
    if rule.policy in ("ours", "ignore", "create_only"):
        findings.acknowledged[name] = now
        findings.in_over.append(name)
        # Not so stock: what was sold there comes as an order, and writing our figure before would sell it once more.
        findings.is_marked |= rule.policy == "ours" and row["entity"] in ("product", "variant")
        return
    if name in waiting:
        if rule.conflict == "ours_wins":
            findings.acknowledged[name] = now
            findings.in_over.append(name)
            return
        if rule.conflict == "remote_wins":
            findings.out_over.append(name)
        else:
            state, reason = "conflict", "both_sides_changed"
            findings.disputed.append(name)
    elif rule.policy == "review":
        state = "review"
    findings.found.append(
        Found(row["id"], row["entity"], "in", "update", name, before, now, state, reason)  # type: ignore[arg-type]
    )
