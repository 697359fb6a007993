"""Runs an import: the file in chunks, each chunk one step that commits its rows, counters, events and place together.

    fetch       only where the file is somewhere else: into the blob store
    turn        after those of its kind that came before it
    weigh       what would be taken away; too much of it holds the import, before anything is written
    check       a dry run, and the first pass of one that takes all rows or none: every chunk is written and taken back
    write       chunk by chunk
    finish      what remains: things the file does not name, the error file
    take back   where all rows or none were to be taken, and another writer broke one after the check, or somebody
                cancelled it

Killed at any instant it goes on after the last step that was committed: the phase and the number of chunks are in the
job's checkpoint.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared import blobs
from shared.causes import Cause
from shared.contracts.platform.events import AlertRaised
from shared.contracts.platform.imports import Harm, ImportReading, ImportSample, SampleKind
from shared.contracts.platform.shapes import Actor, ResultFile
from shared.errors import CrossdockError
from shared.impex.arranging import ArrangedSource
from shared.impex.encoding import GUESSED, guessed_word
from shared.impex.error_file import ERROR_FILE_TYPES, write_error_file
from shared.impex.json_lines import JsonLinesSource
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.refusals import Refusals
from shared.impex.rows import Notice, RowError
from shared.impex.source import CsvSource, Source, spooled_stream
from shared.imports import rows, turns
from shared.imports.errors import ImportAborted, NothingImported
from shared.imports.fetching import fetch_into
from shared.imports.groups import MOST_SAMPLES, GroupFile, Importing, Opening
from shared.imports.starting import ERROR_FILE, undo_cause_id
from shared.jobs import JobCancelled, RunningJob
from shared.unit_of_work import UnitOfWork

_KINDS: tuple[SampleKind, ...] = ("insert", "update", "skip", "delete")
_ERRORS_AT_ONCE = 5000
# What is counted of a file, whatever is taken of it; and of what was taken back.
_OF_FILE = frozenset(("rows", "errors", "notices", "conflicts"))
_TAKEN = ("inserted", "updated", "unchanged", "deleted", "archived")


class _Undone(Exception):
    """Takes back what a chunk did that was only tried."""


class _Broken(Exception):
    """A row has an error after all, and no row was to be taken then."""

    def __init__(self, errors: list[RowError]) -> None:
        self.errors = errors


async def run(job: RunningJob, importing: Importing) -> None:
    """Import the file of a job. Raises UnreadableFile, FileNotFetched, NothingImported, ImportAborted."""
    row = await _row(job)
    job.cause = Cause(kind="import", id=row["id"], actor=Actor.model_validate_json(row["requested_by"]))
    if row["key"] is None:
        await _fetch(job, row)
        row = await _row(job)
    if not row["dry_run"]:
        await _take_turn(job, importing, importing.groups[row["item_group"]].turn)
    prepared = await _prepared(job, importing, row)
    async with spooled_stream(blobs.get_stream(job.organization_id, row["key"])) as path:
        source = await asyncio.to_thread(_source, path, row)
        group = importing.groups[row["item_group"]]
        file = await asyncio.to_thread(group.open, Opening(row, prepared, source))
        await _Run(job, importing, row, file, source).run(await asyncio.to_thread(_lines, source))


async def _take_turn(job: RunningJob, importing: Importing, turn: str) -> None:
    """Raises JobRests."""
    groups = [group.name for group in importing.groups.values() if group.turn == turn]
    job.at_end = lambda uow: turns.hand_on(uow, job.id, groups)
    await turns.take(job, turn, groups)


def _source(path: Path, row: asyncpg.Record) -> Source:
    said = ("format", "encoding", "delimiter", "sheet", "profile")
    options = {name: row[name] for name in said}
    return open_source(path, ReadingOptions(group=row["item_group"], terms=rows.terms_of(row), **options))


def _lines(source: Source) -> int | None:
    """About how many rows a file of lines has: exactly, where no cell has a line break. Of others nobody knows yet."""
    if not isinstance(source, CsvSource | JsonLinesSource):
        return None
    with source.path.open("rb") as file:
        count = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    return max(count - 1, 1)


def _guessed(source: Source, said: str | None) -> str | None:
    """A piece of a text whose encoding nobody has said, and nothing in it says."""
    original = source.original if isinstance(source, ArrangedSource) else source
    if said is not None or not isinstance(original, CsvSource | JsonLinesSource):
        return None
    return guessed_word(original.path, original.encoding)


async def _row(job: RunningJob) -> asyncpg.Record:
    uow = job.unit_of_work()
    try:
        return await rows.get(uow, UUID(job.parameters["import_id"]))
    finally:
        await uow.rollback()


async def _prepared(job: RunningJob, importing: Importing, row: asyncpg.Record) -> Any:
    uow = job.unit_of_work()
    try:
        return await importing.groups[row["item_group"]].prepare(uow, row)
    finally:
        await uow.rollback()


async def _fetch(job: RunningJob, row: asyncpg.Record) -> None:
    """Bring the file into the blob store; killed before it is noted, it is fetched again."""
    key = f"imports/{row['id']}/fetched"
    stored = await fetch_into(job.organization_id, key, row["origin_detail"])
    async with job.step() as uow:
        same = await rows.same_as(uow, row["id"], row["item_group"], stored.sha256)
        await uow.execute(
            "UPDATE imports SET key = $2, size = $3, sha256 = $4, same_as = $5 WHERE id = $1",
            row["id"],
            key,
            stored.size,
            stored.sha256,
            same,
        )
        await rows.announce(uow, row["id"])


class _Run:
    """One run of the job over an opened file."""

    def __init__(
        self, job: RunningJob, importing: Importing, row: asyncpg.Record, file: GroupFile, source: Source
    ) -> None:
        self._job = job
        self._importing = importing
        self._row = row
        self._id: UUID = row["id"]
        self._file = file
        self._source = source
        self._is_dry: bool = row["dry_run"]
        self._takes_all: bool = row["on_error"] == "abort"

    async def run(self, lines: int | None) -> None:
        if self._job.checkpoint.get("phase", "turn") == "turn" and not await self._weigh(lines):
            return
        if self._phase == "check":
            await self._work_through(self._check)
            await self._after_check()
        if self._phase == "write":
            await self._write()
        if self._phase in ("take back", "take back and stop"):
            await self._take_back()
        if self._phase == "stopped":
            raise JobCancelled("Somebody asked the import to stop.")
        if self._phase == "finish":
            await self._finish()
        await self._report()

    @property
    def _phase(self) -> str:
        phase: str = self._job.checkpoint["phase"]
        return phase

    async def _go_to(self, phase: str, errors: list[RowError] | None = None) -> None:
        async with self._job.step() as uow:
            self._job.checkpoint = {"phase": phase}
            if errors:
                self._job.count("errors", len(errors))
                await rows.keep_remarks(uow, self._id, errors)

    # --- before anything is written

    async def _weigh(self, lines: int | None) -> bool:
        """Begin, unless it would take away too much and nobody has said yes to that much."""
        harms = await self._harms()
        confirmed = self._confirmed()
        is_held = not self._is_dry and any(
            self._is_too_much(harm) and harm.count > confirmed.get(harm.what, 0) for harm in harms
        )
        async with self._job.step() as uow:
            await rows.note_opened(uow, self._id, self._reading(), harms, is_held=is_held)
            await rows.announce(uow, self._id)
            if is_held:
                _tell(uow, self._row, "is held: it would take away more than it may without being confirmed")
                self._job.note("Held: it would take away more than it may without being confirmed.")
                return False
            await self._remark_on_file(uow)
            is_checked = self._is_dry or self._takes_all
            self._job.checkpoint = {"phase": "check" if is_checked else "write"}
            passes = 2 if is_checked and not self._is_dry else 1
            self._job.total = None if lines is None else lines * passes
        return True

    def _confirmed(self) -> dict[str, int]:
        """How much of what somebody has said yes to: no more than that, however long ago."""
        if not self._job.parameters.get("confirmed", False):
            return {}
        return {harm["what"]: harm["count"] for harm in orjson.loads(self._row["harms"] or "[]")}

    def _reading(self) -> ImportReading:
        source = self._source
        return ImportReading(
            profile=self._file.profile, format=source.format, encoding=source.encoding, delimiter=source.delimiter
        )

    async def _harms(self) -> list[Harm]:
        uow = self._job.unit_of_work()
        try:
            return [harm for harm in await self._file.harms(uow) if harm.count]
        finally:
            await uow.rollback()

    def _is_too_much(self, harm: Harm) -> bool:
        percent: int = self._row["guard_percent"]
        return percent < 100 and harm.count * 100 > percent * harm.of

    async def _remark_on_file(self, uow: UnitOfWork) -> None:
        """What is to be said about the file as a whole."""
        notices = []
        if self._row["same_as"] is not None and not self._is_dry:
            message = f"The same file was imported before, as {self._row['same_as']}."
            notices.append(Notice(1, None, None, "imported_before", message))
        if (word := await asyncio.to_thread(_guessed, self._source, self._row["encoding"])) is not None:
            message = f"The file is not UTF-8 and was read as {GUESSED}. Is this text right? If not, name its encoding."
            notices.append(Notice(1, None, word, "encoding_guessed", message))
        self._job.count("notices", len(notices))
        await rows.keep_remarks(uow, self._id, notices)

    # --- chunk by chunk

    async def _work_through(self, step: Callable[[UnitOfWork, Any, int], Any]) -> None:
        finished = self._job.checkpoint.get("chunks", 0)
        async for number, chunk in _read_ahead(self._job, self._file):
            if number < finished:
                continue
            async with self._job.step() as uow:
                await self._step(uow, step, chunk, number)

    async def _step(
        self, uow: UnitOfWork, step: Callable[[UnitOfWork, Any, int], Any], chunk: Any, number: int
    ) -> None:
        await step(uow, chunk, number)
        self._job.count("rows", chunk.rows)
        self._job.count("errors", len(chunk.errors))
        self._job.count("notices", len(chunk.notices))
        await rows.keep_remarks(uow, self._id, [*chunk.errors, *chunk.notices])
        self._job.checkpoint["chunks"] = number + 1
        self._job.done += chunk.rows

    async def _check(self, uow: UnitOfWork, chunk: Any, number: int) -> None:
        """Do what an import does, keep the figures, and take the rest back."""
        wanted = self._wanted() if self._is_dry else {}
        samples: list[ImportSample] = []
        if wanted.get("skip"):
            samples += await self._file.skipped(uow, chunk, wanted["skip"])
        with contextlib.suppress(_Undone):
            async with uow.savepoint():
                await self._file.apply(uow, self._job, chunk, number)
                if any(wanted.values()):
                    samples += await self._file.samples(uow, wanted)
                raise _Undone
        if samples:
            await rows.keep_samples(uow, self._id, samples)
            self._note_samples(samples)

    def _wanted(self) -> dict[SampleKind, int]:
        had = self._job.checkpoint.get("samples", {})
        return {kind: MOST_SAMPLES - had.get(kind, 0) for kind in _KINDS}

    def _note_samples(self, samples: list[ImportSample]) -> None:
        had = self._job.checkpoint.setdefault("samples", {})
        for sample in samples:
            had[sample.kind] = had.get(sample.kind, 0) + 1

    async def _after_check(self) -> None:
        if self._is_dry:
            await self._finish_dry()
            return
        if self._job.counters.get("errors"):
            await self._go_to("report")
            return
        async with self._job.step() as uow:
            # What was counted and said is counted and said again as it is done.
            await rows.forget_remarks(uow, self._id)
            self._job.counters.clear()
            await self._remark_on_file(uow)
            self._job.checkpoint = {"phase": "write"}

    async def _finish_dry(self) -> None:
        """Do what is done at the end of an import, keep the figures, and take the rest back."""
        async with self._job.step() as uow:
            samples: list[ImportSample] = []
            with contextlib.suppress(_Undone):
                async with uow.savepoint():
                    samples = await self._file.finish_dry(uow, self._job, self._wanted().get("delete", 0))
                    raise _Undone
            if samples:
                await rows.keep_samples(uow, self._id, samples)
            self._job.checkpoint = {"phase": "report"}

    async def _write(self) -> None:
        if self._takes_all and self._importing.groups[self._row["item_group"]].is_written_at_once:
            await self._write_at_once()
            return
        try:
            await self._work_through(self._apply)
        except _Broken as broken:
            await self._go_to("take back", broken.errors)
        except JobCancelled:
            if not self._takes_all:
                raise
            self._job.is_past_stopping = True
            self._job.note("Cancelled: what was written already is taken back.")
            await self._go_to("take back and stop")
        else:
            await self._go_to("finish")

    async def _write_at_once(self) -> None:
        """All chunks in one transaction."""
        try:
            async with self._job.step() as uow:
                async for number, chunk in _read_ahead(self._job, self._file):
                    await self._step(uow, self._apply, chunk, number)
                self._job.checkpoint = {"phase": "finish"}
        except _Broken as broken:
            await self._go_to("report", broken.errors)

    async def _apply(self, uow: UnitOfWork, chunk: Any, number: int) -> None:
        await self._file.apply(uow, self._job, chunk, number)
        if self._takes_all and chunk.errors:
            raise _Broken(list(chunk.errors))

    # --- the end

    async def _take_back(self) -> None:
        """Leave things as they were before this import began."""
        assert self._importing.undo is not None
        self._job.is_past_stopping = True
        following = "report" if self._phase == "take back" else "stopped"
        self._job.cause = Cause(kind="undo", id=undo_cause_id(self._id), actor=self._job.cause.actor)
        await self._importing.undo(self._job, self._id)
        await self._go_to(following)

    async def _finish(self) -> None:
        is_unfinished = True
        while is_unfinished:
            async with self._job.step() as uow:
                is_unfinished = await self._file.finish(uow, self._job)
                if not is_unfinished:
                    self._job.checkpoint = {"phase": "report"}

    async def _report(self) -> None:
        """Write the error file, and say so when nothing could be taken. Raises NothingImported, ImportAborted."""
        has_errors = self._job.counters.get("errors", 0) > 0
        is_aborted = self._takes_all and has_errors and not self._is_dry
        results, checksum = await self._error_file() if has_errors else ([], None)
        async with self._job.step() as uow:
            if is_aborted:
                # What would have been taken was not.
                for name in self._job.counters.keys() - _OF_FILE:
                    del self._job.counters[name]
            self._job.result_files = results
            self._job.total = self._job.done
            await uow.execute("UPDATE imports SET errors_sha256 = $2 WHERE id = $1", self._id, checksum)
            await uow.execute("DELETE FROM import_named WHERE import_id = $1", self._id)
        if is_aborted:
            raise ImportAborted("Nothing was changed: correct the rows of the error file and upload the file again.")
        if not any(count for name, count in self._job.counters.items() if name.endswith(_TAKEN)):
            reason = "the error file says why" if has_errors else "the mode skips every one of them"
            raise NothingImported(f"No row of the file was taken: {reason}.")

    async def _error_file(self) -> tuple[list[ResultFile], str]:
        async with _temporary() as path:
            with Refusals() as refused:
                await self._gather_errors(refused)
                await asyncio.to_thread(_write_error_file, self._source, self._file.layout, refused, path)
            extension, media_type = ERROR_FILE_TYPES[self._source.format]
            name = f"{ERROR_FILE}.{extension}"
            key = f"imports/{self._id}/{name}"
            stored = await blobs.put_stream(self._job.organization_id, key, _pieces(path))
        return [ResultFile(name=name, key=key, media_type=media_type, size=stored.size)], stored.sha256

    async def _gather_errors(self, refused: Refusals) -> None:
        after = (0, 0)
        uow = self._job.unit_of_work()
        try:
            while found := await rows.list_remarks(uow, self._id, errors=True, after=after, first=_ERRORS_AT_ONCE):
                await asyncio.to_thread(refused.add, map(_error, found))
                after = (found[-1]["row_number"], found[-1]["number"])
        finally:
            await uow.rollback()


def _error(row: asyncpg.Record) -> RowError:
    return RowError(row["row_number"], row["column_name"], row["value"], row["code"], row["message"])


async def _read_ahead(job: RunningJob, file: GroupFile) -> AsyncIterator[tuple[int, Any]]:
    """Chunks with their numbers; the next is read in a thread while one is written."""
    reading = file.chunks()

    async def read() -> Any:
        chunk = await asyncio.to_thread(next, reading, None)
        if chunk is not None:
            await file.prepare(job, chunk)
        return chunk

    following = asyncio.create_task(read())
    number = 0
    try:
        while (chunk := await following) is not None:
            following = asyncio.create_task(read())
            yield number, chunk
            number += 1
    finally:
        # The thread cannot be stopped; the file must stay until it is done with it.
        await asyncio.wait([following])


def _write_error_file(source: Source, layout: Any, refused: Refusals, path: Path) -> None:
    with path.open("wb") as file:
        write_error_file(source, layout, refused, file)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, 1 << 20):
            yield piece


@contextlib.asynccontextmanager
async def _temporary() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crossdock-") as folder:
        yield Path(folder) / "file"


def _tell(uow: UnitOfWork, row: asyncpg.Record, what: str) -> None:
    """Nobody waits for an import that came by itself: somebody has to be told when it did not go well."""
    if row["origin"] in ("drop_folder", "schedule"):
        uow.record(
            AlertRaised(
                service=uow.service,
                cause=f"{uow.service}.import.{row['id']}",
                severity="warning",
                title="An import that nobody waits for needs somebody",
                detail=f"'{row['file_name']}' {what}.",
                shop_id=row["shop_id"],
                subject_kind="import",
                subject_id=str(row["id"]),
            )
        )


async def tell_of_failure(job: RunningJob, error: CrossdockError) -> None:
    """Raise an alert for an import that failed and came by itself."""
    row = await _row(job)
    async with job.step() as uow:
        _tell(uow, row, f"was not imported: {error.detail}")


async def undo(job: RunningJob, importing: Importing) -> None:
    """Take back what an import wrote."""
    import_id = UUID(job.parameters["import_id"])
    assert importing.undo is not None
    job.cause = Cause(kind="undo", id=undo_cause_id(import_id), actor=job.requested_by)
    await importing.undo(job, import_id)
    async with job.step():
        job.total = job.done
