"""The answers and jobs by which one service imports: hand what `importing` returns to `Service`."""

from types import ModuleType, SimpleNamespace
from typing import Any, cast
from uuid import UUID

import orjson

from shared.contracts.base import Page
from shared.contracts.platform.imports import (
    ApplyImport,
    ConfirmImport,
    GetImport,
    GetImportErrorFile,
    GetImportFile,
    Import,
    ImportConflict,
    ImportFile,
    ImportFromUrl,
    ImportRemark,
    ImportSample,
    ListImportConflicts,
    ListImportRemarks,
    ListImportSamples,
    RerunImport,
    StartImport,
    UndoImport,
)
from shared.errors import Invalid
from shared.imports import keeping, rows, running, starting
from shared.imports.groups import Importing
from shared.jobs import RunningJob
from shared.pagination import InvalidCursor, cursor_for, cursor_values
from shared.service import answers, every, performs, runs
from shared.unit_of_work import UnitOfWork


def importing(of: Importing) -> ModuleType:
    """What a service adds to its modules to take the files of its groups."""
    return cast(ModuleType, SimpleNamespace(**_commands(of), **_questions(of), **_jobs(of), **_clock(of)))


def _commands(of: Importing) -> dict[str, Any]:
    write = f"{of.service}:write"

    @answers(StartImport, scope=write)
    async def start_import(message: StartImport, uow: UnitOfWork) -> Import:
        return await starting.start(uow, of, message)

    @answers(ImportFromUrl, scope=write)
    async def import_from_url(message: ImportFromUrl, uow: UnitOfWork) -> Import:
        return await starting.start_from_url(uow, of, message)

    @answers(ApplyImport, scope=write)
    async def apply_import(message: ApplyImport, uow: UnitOfWork) -> Import:
        return await starting.apply(uow, message.import_id)

    @answers(ConfirmImport, scope=write)
    async def confirm_import(message: ConfirmImport, uow: UnitOfWork) -> Import:
        return await starting.confirm(uow, message.import_id)

    @answers(RerunImport, scope=write)
    async def rerun_import(message: RerunImport, uow: UnitOfWork) -> Import:
        return await starting.rerun(uow, message.import_id)

    @answers(UndoImport, scope=write)
    async def undo_import(message: UndoImport, uow: UnitOfWork) -> Import:
        return await starting.undo(uow, of, message.import_id)

    return {name: value for name, value in locals().items() if callable(value)}


def _questions(of: Importing) -> dict[str, Any]:
    read = f"{of.service}:read"

    @answers(GetImport, scope=read)
    async def get_import(message: GetImport, uow: UnitOfWork) -> Import:
        return rows.shape(uow.service, await rows.get(uow, message.import_id))

    @answers(GetImportErrorFile, scope=read)
    async def get_import_error_file(message: GetImportErrorFile, uow: UnitOfWork) -> ImportFile:
        return await starting.error_file(uow, message.import_id)

    @answers(GetImportFile, scope=read)
    async def get_import_file(message: GetImportFile, uow: UnitOfWork) -> ImportFile:
        return await starting.original_file(uow, message.import_id)

    @answers(ListImportRemarks, scope=read)
    async def list_import_remarks(message: ListImportRemarks, uow: UnitOfWork) -> Page[ImportRemark]:
        return await _remarks(uow, message)

    @answers(ListImportSamples, scope=read)
    async def list_import_samples(message: ListImportSamples, uow: UnitOfWork) -> Page[ImportSample]:
        return await _samples(uow, message)

    @answers(ListImportConflicts, scope=read)
    async def list_import_conflicts(message: ListImportConflicts, uow: UnitOfWork) -> Page[ImportConflict]:
        return await _conflicts(uow, message)

    return {name: value for name, value in locals().items() if callable(value)}


def _clock(of: Importing) -> dict[str, Any]:
    folders = {kept.folder: kept for kept in (keeping.IMPORTS, *of.also_kept)}

    @every(6 * 3600)
    async def mark_old_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
        if not all([await keeping.mark_old(uow, kept) for kept in folders.values()]):
            uow.defer("every.mark_old_files", {})
        if of.keeps_images:
            await keeping.forget_images(uow)

    @every(6 * 3600)
    async def remove_old_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
        for folder in folders:
            uow.defer(keeping.REMOVE, {"folder": folder}, key=folder)

    @performs(keeping.REMOVE)
    async def remove_files(payload: dict[str, Any], uow: UnitOfWork) -> None:
        start = UUID(payload["start"]) if "start" in payload else None
        swept = await keeping.remove_marked(uow, folders[payload["folder"]], start)
        if swept.goes_on is not None:
            uow.defer(keeping.REMOVE, payload | {"start": str(swept.goes_on)}, key=payload["folder"])

    return {"mark_old_files": mark_old_files, "remove_old_files": remove_old_files, "remove_files": remove_files}


def _jobs(of: Importing) -> dict[str, Any]:
    @runs(starting.IMPORT_JOB)
    async def run_import(job: RunningJob) -> None:
        try:
            await running.run(job, of)
        except Invalid as error:
            await running.tell_of_failure(job, error)
            raise

    @runs(starting.UNDO_JOB)
    async def run_undo(job: RunningJob) -> None:
        await running.undo(job, of)

    return {"run_import": run_import, "run_undo": run_undo}


async def _remarks(uow: UnitOfWork, message: ListImportRemarks) -> Page[ImportRemark]:
    await rows.get(uow, message.import_id)
    found = await rows.list_remarks(
        uow,
        message.import_id,
        errors=message.kind == "error",
        after=_position(message.after),
        first=message.first + 1,
    )
    items = [
        ImportRemark(
            kind="error" if row["is_error"] else "notice",
            row=row["row_number"],
            column=row["column_name"],
            value=row["value"],
            code=row["code"],
            message=row["message"],
        )
        for row in found[: message.first]
    ]
    last = found[message.first - 1] if len(found) > message.first else None
    return Page(items=items, next=cursor_for(last["row_number"], last["number"]) if last else None)


def _position(cursor: str | None) -> tuple[int, int]:
    row, number = cursor_values(cursor, 2) or (0, 0)
    if not (isinstance(row, int) and isinstance(number, int) and max(abs(row), abs(number)) < 2**31):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return row, number


async def _samples(uow: UnitOfWork, message: ListImportSamples) -> Page[ImportSample]:
    await rows.get(uow, message.import_id)
    after = _number(message.after)
    found = await rows.list_samples(uow, message.import_id, message.kind, after, message.first + 1)
    items = [
        ImportSample(kind=row["kind"], part=row["part"], name=row["name"], fields=orjson.loads(row["fields"]))
        for row in found[: message.first]
    ]
    last = found[message.first - 1] if len(found) > message.first else None
    return Page(items=items, next=cursor_for(last["number"]) if last else None)


async def _conflicts(uow: UnitOfWork, message: ListImportConflicts) -> Page[ImportConflict]:
    await rows.get(uow, message.import_id)
    found = await rows.list_conflicts(uow, message.import_id, _number(message.after), message.first + 1)
    plain = ("part", "name", "field", "code", "message", "cause", "cause_id")
    items = [
        ImportConflict(
            **{name: row[name] for name in plain},
            before=None if row["before"] is None else orjson.loads(row["before"]),
            imported=None if row["imported"] is None else orjson.loads(row["imported"]),
        )
        for row in found[: message.first]
    ]
    last = found[message.first - 1] if len(found) > message.first else None
    return Page(items=items, next=cursor_for(last["number"]) if last else None)


def _number(cursor: str | None) -> int:
    (number,) = cursor_values(cursor, 1) or (0,)
    if not isinstance(number, int) or not 0 <= number < 2**62:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return number
