"""What waits to be written to a platform is written: coalesced per record, once, and only what is different there.

In test mode the plan is made and shown, and nothing is sent. A write is settled in the transaction after its answer;
when an answer is lost the change still waits, and what it finds there next tells whether it had come. A write that
expected another value than the platform has (`stale`) is made anew from what is there.

    write  ── batch 1 ──┬── batch 2 ──┬── batch 3 ──      one request at a time, the next as soon as there is budget
    settle              └─ 1          └─ 2                 meanwhile what came of the one before is kept,
    read   ── 2         └─ 3          └─ 4                 and the batch after is read
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ConnectionHeld
from services.sync.platforms.base import Outcome, Written
from services.sync.platforms.registry import get_platform
from services.sync.repository import changes, creations, issues, listings
from services.sync.repository.changes import WHOLE, Which
from services.sync.repository.issues import Trouble
from services.sync.repository.listings import Seen, WrittenValues
from services.sync.use_cases import freshness
from services.sync.use_cases.analysing import analyse_these
from services.sync.use_cases.executing import Run
from services.sync.use_cases.keeping import as_kept
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError
from shared.jobs import JobCancelled
from shared.unit_of_work import UnitOfWork

MOST_ATTEMPTS = 10
# In a run's checkpoint: levels were stale that are to be lower than they are there, and are due at once.
LESS_IS_THERE = "less_is_there"
_COUNTERS: dict[Outcome, str] = {
    "ok": "sent",
    "unchanged": "unchanged",
    "stale": "stale",
    "retry": "postponed",
    "person": "failed",
}


@dataclass(frozen=True)
class Queued:
    """A record and the changes that wait to be written to it."""

    row: asyncpg.Record
    changes: list[asyncpg.Record]

    @property
    def fields(self) -> dict[str, Any]:
        return {change["field"]: orjson.loads(change["after"]) for change in self.changes}

    @property
    def expected(self) -> dict[str, Any]:
        known = orjson.loads(self.row["acknowledged"] or "{}")
        return {change["field"]: known.get(change["field"]) for change in self.changes}

    @property
    def is_repeat(self) -> bool:
        """Whether any of it was tried before and may have been written; what was stale was not."""
        return any(change["attempts"] and change["reason"] == "retry" for change in self.changes)

    @property
    def is_new(self) -> bool:
        """Whether the record is to be made there."""
        return self.changes[0]["field"] == WHOLE

    @property
    def subject(self) -> str:
        """What issues call it."""
        return str(self.row["external_id"] or self.row["sku"] or f"product {self.row['product_id']}")

    @property
    def references(self) -> Mapping[str, str]:
        references: dict[str, str] = orjson.loads(self.row["refs"])
        return references

    @property
    def operation_key(self) -> str:
        """The same whenever just this is tried again, and another for the same values when they are wanted anew."""
        wanted = [[str(each["id"]), each["revision"]] for each in self.changes]
        return listings.digest(listings.dumped([wanted, self.fields])).hex()


@dataclass(frozen=True)
class _Came:
    """What came of a batch, and what was `read` of its records that were stale."""

    batch: Sequence[Queued]
    written: Sequence[Written]
    read: Sequence[Seen]


Answered = tuple[Queued, Written]
Write = Callable[[Run, Sequence[Queued]], Awaitable[Sequence[Written]]]
# What becomes of a record that was made there, or had something taken away, in the step's transaction.
Settle = Callable[[UnitOfWork, Queued, Written], Awaitable[None]]


async def send(
    run: Run, entities: Sequence[Entity], write: Write, which: Which = "all", settle: Settle | None = None
) -> None:
    """Write what is queued of records of these kinds, as many at once as the platform takes.

    `settle` is for records that are made there, and for what is taken away.
    """
    if run.connection["mode"] == "test":
        await _tell_plan(run)
        return
    batch = await _next(run, entities, which)
    ahead: asyncio.Task[Sequence[Written]] | None = None
    try:
        while batch:
            if ahead is None:
                await run.go_on()
                ahead = asyncio.create_task(_written(run, batch, write))
            following = await _next(run, entities, which, batch[-1]) if _is_plain(batch) else None
            written, ahead = await ahead, None
            came = _Came(batch, written, await _read_stale(run, batch, written))
            if following and _is_plain(following) and not await run.is_paused():
                ahead = asyncio.create_task(_written(run, following, write))
            try:
                await _settle(run, came, settle)
            except JobCancelled:
                await _settle_all(run, came, settle, following or (), ahead)
                raise
            batch = await _next(run, entities, which, batch[-1]) if following is None else following
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


async def _written(run: Run, batch: Sequence[Queued], write: Write) -> Sequence[Written]:
    return await write(run, batch)


def _is_plain(batch: Sequence[Queued]) -> bool:
    """Whether others may be read and written beside it: what is made, or has pictures, keeps something meanwhile."""
    changes_of_it = [change for queued in batch for change in queued.changes]
    return all(each["kind"] == "update" and each["field"] != "images" for each in changes_of_it)


async def _settle_all(
    run: Run,
    came: _Came,
    settle: Settle | None,
    following: Sequence[Queued],
    ahead: asyncio.Task[Sequence[Written]] | None,
) -> None:
    """Somebody asked the run to stop: what came of what was written before is kept all the same."""
    run.job.is_past_stopping = True
    await _settle(run, came, settle)
    if ahead is not None:
        with contextlib.suppress(CrossdockError, ConnectionHeld):
            await _settle(run, _Came(following, await ahead, ()), settle)


async def _tell_plan(run: Run) -> None:
    """Once a run."""
    if run.job.checkpoint.setdefault("has_told_plan", False):
        return
    run.job.checkpoint["has_told_plan"] = True
    async with run.job.step() as uow:
        counts = await changes.count(uow, run.connection_id, "out")
        run.job.count("planned", counts.get("queued", 0))
        run.job.note("Test mode: what would be sent is listed among the changes, and was not sent.")


async def _next(run: Run, entities: Sequence[Entity], which: Which, last: Queued | None = None) -> list[Queued]:
    """As many records as the platform takes at once, after the `last`, or after those that the run has settled."""
    after = run.job.checkpoint.get("sent") if last is None else str(last.row["id"])
    size = get_platform(run.connection["platform"]).page_size
    uow = run.job.unit_of_work()
    try:
        queued = await changes.list_queued(
            uow, run.connection_id, "out", entities, which, UUID(after) if after else None, size, run.only
        )
        rows = await listings.list_by_ids(uow, sorted({change["listing_id"] for change in queued}))
    finally:
        await uow.rollback()
    of_listing: dict[UUID, list[asyncpg.Record]] = {}
    for change in queued:
        of_listing.setdefault(change["listing_id"], []).append(change)
    return [Queued(row, of_listing[row["id"]]) for row in rows]


async def _settle(run: Run, came: _Came, settle: Settle | None) -> None:
    """In one transaction: what came of each, what was read of those that were stale, and the place of the next."""
    batch, written = came.batch, came.written
    async with run.job.step() as uow:
        answered = list(zip(batch, written, strict=True))
        for queued, answer in answered:
            run.job.count(_COUNTERS[answer.outcome])
            if settle is not None:
                await _settle_new(run, uow, queued, answer, settle)
        if settle is None:
            await _settle_answered(run, uow, answered)
        await _take_in(run, uow, came.read)
        run.job.checkpoint["sent"] = str(batch[-1].row["id"])
        run.job.checkpoint["retries"] = 0
        run.job.done += len(batch)


async def _read_stale(run: Run, batch: Sequence[Queued], written: Sequence[Written]) -> list[Seen]:
    """What the platform has of the records that are not what a write expected; of variants, their products."""
    stale = [queued.row for queued, answer in zip(batch, written, strict=True) if answer.outcome == "stale"]
    ids = sorted({row["parent_external_id"] or row["external_id"] for row in stale})
    if not ids or stale[0]["entity"] == "order":
        return []
    await run.go_on()
    entity: Entity = "stock" if stale[0]["entity"] == "stock" else "product"
    return [seen for record in await run.session.read(entity, ids) for seen in as_kept(entity, record)]


async def _take_in(run: Run, uow: UnitOfWork, read: Sequence[Seen]) -> None:
    """What was read is kept and looked at like any page: what changed there comes in, and who wins is decided there."""
    if not read:
        return
    await listings.store(uow, run.connection_id, read)
    await analyse_these(uow, run.connection, run.settings, [(seen.entity, seen.external_id) for seen in read])


async def _settle_new(run: Run, uow: UnitOfWork, queued: Queued, answer: Written, settle: Settle) -> None:
    """It is there now, or it waits on, or a person is asked. It may have been given up while it was tried."""
    if answer.outcome in ("ok", "unchanged"):
        if answer.external_id is not None:
            await settle(uow, queued, answer)
            await changes.settle(uow, [change["id"] for change in queued.changes], "applied", answer.outcome)
            await issues.resolve(uow, run.connection_id, run.kind, [queued.subject])
        return
    if not await listings.list_by_ids(uow, [queued.row["id"]], lock=True):
        return
    if answer.outcome == "person":
        await creations.forget_try(uow, queued.row["id"])
    await _settle_answered(run, uow, [(queued, answer)])


async def _settle_answered(run: Run, uow: UnitOfWork, answered: Sequence[Answered]) -> None:
    """What became of what was written, in sets; a change that was renewed or decided on meanwhile stays as it is."""
    of: dict[Outcome, list[Answered]] = {}
    for each in answered:
        of.setdefault(each[1].outcome, []).append(each)
    await _settle_written(run, uow, of.get("ok", []), of.get("unchanged", []))
    troubles = []
    if stale := of.get("stale"):
        failed = set(await changes.put_off(uow, _tried(stale), "stale", MOST_ATTEMPTS, run.job.id))
        in_vain = [each for each in stale if _has_any(each[0], failed)]
        troubles += [_trouble(run, queued, answer, is_final=True) for queued, answer in in_vain]
        await _hasten(run, uow, stale)
    if retry := of.get("retry"):
        failed = set(await changes.put_off(uow, _tried(retry), "retry", MOST_ATTEMPTS, run.job.id))
        for queued, answer in retry:
            troubles.append(_trouble(run, queued, answer, is_final=_has_any(queued, failed)))
    if refused := of.get("person"):
        await changes.settle_tried(uow, _tried(refused), "failed", "refused", run.job.id)
        troubles += [_trouble(run, queued, answer, is_final=True) for queued, answer in refused]
    if troubles:
        await run.tell(uow, *troubles)


def _has_any(queued: Queued, change_ids: Set[UUID]) -> bool:
    return any(change["id"] in change_ids for change in queued.changes)


async def _hasten(run: Run, uow: UnitOfWork, stale: Sequence[Answered]) -> None:
    """Units that are no longer here are not offered there until the next try is due: such a level is lowered now.

    One that is to be higher waits: what was sold there comes as an order first.
    """
    lower = [each for each in stale if _is_less_here(*each)]
    if lower:
        await changes.hasten(uow, _tried(lower))
        run.job.checkpoint[LESS_IS_THERE] = True


def _is_less_here(queued: Queued, answer: Written) -> bool:
    there = answer.fields.get("quantity")
    return queued.row["entity"] == "stock" and there is not None and queued.fields["quantity"] < there


async def _settle_written(run: Run, uow: UnitOfWork, ok: Sequence[Answered], unchanged: Sequence[Answered]) -> None:
    """The platform has these values now: both sides agree, and nothing of them is open."""
    written = [*ok, *unchanged]
    if not written:
        return
    await listings.note_written(uow, {queued.row["id"]: _values(queued, answer) for queued, answer in written})
    freshness.note(run.connection, _tried(ok))
    for outcome, answered in (("ok", ok), ("unchanged", unchanged)):
        if answered:
            await changes.settle_tried(uow, _tried(answered), "applied", outcome, run.job.id)
    await issues.resolve(uow, run.connection_id, run.kind, [queued.subject for queued, _ in written])


def _values(queued: Queued, answer: Written) -> WrittenValues:
    sent = queued.fields
    return WrittenValues(
        sent, {name: answer.fields.get(name, value) for name, value in sent.items()}, answer.references
    )


def _tried(answered: Sequence[Answered]) -> list[asyncpg.Record]:
    return [change for queued, _ in answered for change in queued.changes]


def _trouble(run: Run, queued: Queued, answer: Written, *, is_final: bool) -> Trouble:
    return Trouble(
        run.kind,
        "error" if is_final else "retry",
        "refused" if answer.outcome == "person" else "not_written",
        "The platform did not take it." if is_final else "The platform did not take it; it is tried again.",
        queued.subject,
        queued.row["id"],
        answer.message,
    )
