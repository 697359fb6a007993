"""What a platform has comes in: scan, find out what is gone, analyse, take.

    scan      page by page; a page and the place of the next one are kept in one transaction, and where the platform
              does not mind, the next one is asked for meanwhile
    gone      only after a clock was reset and everything was read: what was not seen is no longer there
    analyse   what is different from what was acknowledged, field by field, in sets
    take      what is to be taken over here goes to the services that own it, in sets

The place is in the job's checkpoint, so that a killed run goes on after the last page that was kept. The clock moves
only when the last page is kept, to the platform's own time when the scan began.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.sync.models import same_records
from services.sync.platforms.base import Page, Scan, Unread
from services.sync.platforms.registry import get_platform
from services.sync.repository import changes, connections, issues, listings, relinks
from services.sync.repository.issues import Trouble
from services.sync.repository.listings import Seen
from services.sync.use_cases import forgetting
from services.sync.use_cases.analysing import analyse, fates_of_new
from services.sync.use_cases.executing import Run
from services.sync.use_cases.history import left_out
from services.sync.use_cases.keeping import as_kept
from services.sync.use_cases.products_out import compare_products
from shared import clock
from shared.contracts.sync.shapes import Entity
from shared.unit_of_work import UnitOfWork

Take = Callable[[Run], Awaitable[None]]
# So long after everything was read it is read again: there are changes that no platform's clock tells.
_FULL_SCAN_EVERY = timedelta(days=7)
# No platform's clock of stock can be relied on: a check that trusts it finds what it knows.
_ALWAYS_FULL = ("import_stock", "check_stock")
_ANALYSED_AT_ONCE = 2000
# Below so many records a share says nothing.
_GONE_AT_ONCE = 5000
_HELD_AT_ONCE = 5000
_FEW_RECORDS = 3
# What a platform says there are beyond that is a mistake of its.
_MOST_RECORDS = 1 << 40


async def fetch(run: Run, take: Take) -> None:
    """Scan, analyse and take. Goes on wherever an earlier attempt of the same run has stopped."""
    if "phase" not in run.job.checkpoint:
        await _begin(run)
    if run.job.checkpoint["phase"] == "scan":
        await _scan(run)
    if run.job.checkpoint["phase"] == "gone":
        await _find_gone(run)
    if run.job.checkpoint["phase"] == "analyse":
        await _analyse(run)
    if run.job.checkpoint["phase"] == "hold":
        await _hold(run)
    await take(run)


async def _begin(run: Run) -> None:
    """Set the bounds of the scan: from the clock, less an overlap, or everything."""
    scanned = run.rule.scanned
    assert scanned is not None
    now = clock.now()
    async with run.job.step() as uow:
        known = await connections.get_clock(uow, run.connection_id, scanned)
        if run.rerun_of is not None:
            # Nothing is read and nothing compared: what failed is taken once more.
            run.job.checkpoint["phase"] = "take"
            return
        cursor_at = known["cursor_at"] if known else None
        is_aged = known is not None and (
            known["full_scan_at"] is None or known["full_scan_at"] < now - _FULL_SCAN_EVERY
        )
        is_full = run.is_full or cursor_at is None or is_aged or run.kind in _ALWAYS_FULL
        run.job.checkpoint |= {
            "phase": "scan",
            "is_full": is_full,
            "since": _since(run, scanned, None if is_full else cursor_at),
            "started_at": now.isoformat(),
            "was_reset": known is not None and cursor_at is None and known["full_scan_at"] is not None,
            "resume": None,
        }
        await connections.begin_scan(uow, run.connection_id, scanned, now)


def _since(run: Run, scanned: Entity, cursor_at: datetime | None) -> str | None:
    """From when on the platform is asked; None: all that there is. Of orders not from before they are taken."""
    overlap = get_platform(run.connection["platform"]).overlap
    if cursor_at is not None:
        return (cursor_at - overlap).isoformat()
    # Where nothing overlaps no times are told: to ask such a platform for what changed is to ask for what is new.
    return run.orders_from.isoformat() if scanned == "order" and overlap else None


async def _scan(run: Run) -> None:
    entity = run.rule.scanned
    assert entity is not None
    point = run.job.checkpoint
    since = datetime.fromisoformat(point["since"]) if point["since"] else None
    reads_ahead = get_platform(run.connection["platform"]).reads_ahead
    ahead: asyncio.Task[Page] | None = None
    try:
        while point["phase"] == "scan":
            page = await (ahead or run.session.page(Scan(entity, since, resume=point["resume"])))
            ahead = None
            if reads_ahead and page.resume is not None and not await run.is_paused():
                following = Scan(entity, since, resume=page.resume)
                ahead = asyncio.create_task(_asked(run, following))
            async with run.job.step() as uow:
                await _keep(run, uow, page, is_full=point.get("is_full", since is None))
            if point["phase"] == "scan" and ahead is None:
                await run.go_on()
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


async def _asked(run: Run, scan: Scan) -> Page:
    """The page, asked for while the one before is being kept."""
    return await run.session.page(scan)


async def _keep(run: Run, uow: UnitOfWork, page: Page, *, is_full: bool) -> None:
    """A page, and with the last one the clock."""
    point = run.job.checkpoint
    point.setdefault("ahead_seconds", run.http.ahead.total_seconds())
    scanned = len(page.records)
    if run.rule.scanned == "order":
        page = await left_out(run, uow, page)
    seen, unread = _readable(run.rule.entities[0], page)
    if run.rule.scanned == "order":
        seen = await forgetting.kept_forgotten(uow, run.connection_id, seen)
    # Whoever looks for what is gone has to know what was seen; to everybody else a write of each record is wasted.
    seen_by = run.job.id if is_full and point["was_reset"] else None
    # What is gone is found out at the end, and may be what is new.
    fates = {} if seen_by else await fates_of_new(uow, run.connection, run.settings, run.rule.entities)
    stored = await listings.store(uow, run.connection_id, seen, seen_by=seen_by, fates=fates)
    run.job.count("scanned", scanned)
    readable = [each.external_id for each in seen if each.parent_external_id is None]
    await issues.resolve_code(uow, run.connection_id, same_records(run.kind), readable, "unreadable_record")
    if unread:
        await _tell_unread(run, uow, unread)
    if not page.is_whole:
        point["is_partial"] = True
    for name in ("new", "changed", "unchanged"):
        run.job.count(name, getattr(stored, name))
    run.job.done += scanned
    if page.total is not None and 0 <= page.total < _MOST_RECORDS:
        run.job.total = page.total
    point["resume"], point["retries"] = page.resume, 0
    if page.resume is None:
        entity = run.rule.scanned
        assert entity is not None
        cursor_at = datetime.fromisoformat(point["started_at"]) + timedelta(seconds=point["ahead_seconds"])
        await connections.end_scan(
            uow, run.connection_id, entity, cursor_at, is_full=is_full, records=run.job.counters["scanned"]
        )
        point["phase"] = "gone" if is_full and point["was_reset"] else "analyse"


def _readable(entity: Entity, page: Page) -> tuple[list[Seen], list[Unread]]:
    """The records of a page as they are kept; one that cannot be kept is told, and costs nobody but itself."""
    seen: list[Seen] = []
    unread = list(page.unread)
    for record in page.records:
        try:
            seen += as_kept(entity, record)
        except TypeError as error:
            unread.append(Unread(record.external_id, str(error)))
    return seen, unread


async def _tell_unread(run: Run, uow: UnitOfWork, unread: Sequence[Unread]) -> None:
    """What is there and can not be read is an issue of its own, and has not vanished."""
    run.job.checkpoint["has_unread"] = True
    run.job.count("failed", len(unread))
    troubles = [
        Trouble(
            run.kind,
            "error",
            "unreadable_record",
            "The platform's record can not be read.",
            each.external_id or f"{run.rule.scanned} without an id",
            remote_message=each.message,
        )
        for each in unread
    ]
    await run.tell(uow, *troubles)


async def _find_gone(run: Run) -> None:
    """What a whole scan after a reset has not seen is gone; if that is too much, nothing is, and a person is asked.

    That is decided once; then they go some thousands at a time, and a run that was killed goes on with the rest.
    """
    point = run.job.checkpoint
    since = datetime.fromisoformat(point["since"]) if point["since"] else None
    if "going" not in point:
        async with run.job.step() as uow:
            point["going"] = list(run.rule.entities) if await _may_go(run, uow, since) else []
            point["gone_until"] = None
    while point["going"]:
        async with run.job.step() as uow:
            until = UUID(point["gone_until"]) if point["gone_until"] else None
            entity = point["going"][0]
            gone = await listings.mark_gone(uow, run.connection_id, entity, run.job.id, since, until, _GONE_AT_ONCE)
            run.job.count("gone", len(gone))
            point["gone_until"] = str(gone[-1]) if gone else None
            if len(gone) < _GONE_AT_ONCE:
                point["going"], point["gone_until"] = point["going"][1:], None
    async with run.job.step() as uow:
        if run.job.counters.get("gone"):
            await relinks.look_again(uow, run.connection_id)
        point["phase"] = "analyse"


async def _may_go(run: Run, uow: UnitOfWork, since: datetime | None) -> bool:
    """Whether what was not seen is gone. Says why not."""
    point = run.job.checkpoint
    unseen, of = await listings.count_unseen(uow, run.connection_id, run.rule.entities, run.job.id, since)
    scanned, told = run.job.counters.get("scanned", 0), run.job.total
    if point.get("has_unread") or (told is not None and scanned < told):
        message = f"Not every record could be read ({scanned} were): nothing is taken for gone."
        await run.tell(uow, Trouble(run.kind, "error", "incomplete_scan", message, run.kind))
        return False
    if point.get("is_partial"):
        message = f"What was read ({scanned}) does not say all that there is: nothing is taken for gone."
        await run.tell(uow, Trouble(run.kind, "info", "partial_scan", message, run.kind))
        return False
    if unseen and (unseen == of or (of > _FEW_RECORDS and unseen * 100 > run.settings.guard_percent * of)):
        message = f"{unseen} of {of} records were not seen any more, which is more than may vanish: they are kept."
        await run.tell(uow, Trouble(run.kind, "error", "too_many_gone", message, run.kind))
        return False
    await issues.resolve_lasting(uow, run.connection_id, same_records(run.kind), run.job.id)
    return unseen > 0


async def _analyse(run: Run) -> None:
    if run.rule.scanned == "product" and any(rule.policy == "both" for rule in run.settings.fields.values()):
        # What was changed here and not sent yet has to be known, or it would be taken for what the platform changed.
        await compare_products(run)
    while True:
        async with run.job.step() as uow:
            looked_at = await analyse(uow, run.connection, run.settings, run.rule.entities, _ANALYSED_AT_ONCE)
            if looked_at < _ANALYSED_AT_ONCE:
                run.job.checkpoint["phase"] = "hold" if await _is_too_much(run, uow) else "take"
                return


async def _is_too_much(run: Run, uow: UnitOfWork) -> bool:
    """Whether more than the connection's share of its records would be emptied or deactivated. Says so."""
    harmed = await changes.count_harm(uow, run.connection_id, run.rule.entities)
    if harmed <= _FEW_RECORDS:
        return False
    of = await listings.count(uow, run.connection_id, run.rule.entities[0])
    if harmed * 100 <= run.settings.guard_percent * of:
        return False
    message = f"{harmed} of {of} records would be emptied in part or deactivated; these changes wait for approval."
    await run.tell(uow, Trouble(run.kind, "error", "too_many_emptied", message, run.kind))
    return True


async def _hold(run: Run) -> None:
    """What would do harm waits for a person, some thousands at a time; a run that was killed goes on with the rest."""
    point = run.job.checkpoint
    while point["phase"] == "hold":
        async with run.job.step() as uow:
            after = UUID(point["held"]) if point.get("held") else None
            last = await changes.hold_harm(uow, run.connection_id, run.rule.entities, after, _HELD_AT_ONCE)
            point["held"] = str(last) if last else None
            if last is None:
                point["phase"] = "take"
