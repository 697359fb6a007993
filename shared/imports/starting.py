"""What people and programs do with imports: start one, let it go on, do it again, take it back."""

from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared import jobs
from shared.contracts.base import Shape
from shared.contracts.platform.imports import (
    NEVER_UNDONE,
    Import,
    ImportFile,
    ImportFromUrl,
    ImportOptions,
    StartImport,
    import_id_for,
)
from shared.contracts.platform.shapes import Actor, ResultFile
from shared.identifiers import derived_id
from shared.impex import terms
from shared.imports import errors, rows
from shared.imports.fetching import name_in
from shared.imports.groups import Group, Importing
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

IMPORT_JOB = "import"
UNDO_JOB = "import.undo"
# Without its extension, which is that of the format.
ERROR_FILE = "errors"
_OPTIONS = ("profile", "mode", "missing", "on_error", "format", "encoding", "delimiter", "sheet", "dry_run")


async def start(uow: UnitOfWork, importing: Importing, message: StartImport) -> Import:
    """Queue the import of a file that is there.

    Raises UnsupportedGroup, UnsupportedMode, UnsupportedOption, UnknownProfile, ShopNotNamed, ShopNotFound,
    ImportNotFound.
    """
    if message.rerun_of is not None:
        await rows.get(uow, message.rerun_of)
    values = await _values(uow, importing, message)
    values |= message.model_dump(include={"key", "size", "sha256", "file_name", "origin", "origin_detail", "rerun_of"})
    return await _queue(uow, message.import_id, values)


async def start_from_url(uow: UnitOfWork, importing: Importing, message: ImportFromUrl) -> Import:
    """Queue the import of a file that the job fetches. Raises what `start` raises, and InvalidUrl."""
    name = name_in(message.url)
    values = await _values(uow, importing, message)
    values |= {"origin": "url", "origin_detail": message.url, "file_name": name}
    return await _queue(uow, import_id_for(message.group), values)


async def _values(uow: UnitOfWork, importing: Importing, options: ImportOptions) -> dict[str, Any]:
    group = _group(importing, options)
    guard = settings().import_guard_percent if options.guard_percent is None else options.guard_percent
    return {
        "item_group": options.group,
        "shop_id": await group.check(uow, options),
        "guard_percent": guard,
        "terms": orjson.dumps(check_terms(options.group, options)).decode(),
        **options.model_dump(include=set(_OPTIONS)),
    }


def check_terms(group: str, options: Shape) -> dict[str, Any]:
    """What is said of all rows of a file. Raises UnsupportedOption."""
    said = options.model_dump(include=set(terms.NAMES), exclude_none=True)
    if said and group != "products":
        raise errors.UnsupportedOption(f"{', '.join(said)}: only files of products leave this open.")
    return said


def _group(importing: Importing, options: ImportOptions) -> Group:
    group = importing.groups.get(options.group)
    if group is None:
        names = ", ".join(importing.groups)
        raise errors.UnsupportedGroup(f"'{options.group}' cannot be imported; there are {names}.")
    if options.mode not in group.modes:
        modes = ", ".join(group.modes)
        said = f"'{options.mode}' is not an import mode of {group.name}; there are {modes}."
        raise errors.UnsupportedMode(" ".join((said, *filter(None, [group.without.get(options.mode)]))))
    if options.missing == "archive" and not (group.may_archive_missing and options.mode == "replace"):
        raise errors.UnsupportedMode("What a file does not name is archived in the mode replace of products alone.")
    return group


async def _queue(uow: UnitOfWork, import_id: UUID, values: dict[str, Any]) -> Import:
    job = await jobs.create(uow, IMPORT_JOB, {"import_id": str(import_id)})
    if values.get("sha256"):
        values["same_as"] = await rows.same_as(uow, import_id, values["item_group"], values["sha256"])
    await rows.insert(uow, {"id": import_id, "job_id": job.id, "requested_by": _actor(uow), **values})
    uow.audit(
        "import.start", "import", import_id, after={"group": values["item_group"], "sha256": values.get("sha256")}
    )
    return await rows.announce(uow, import_id)


def _actor(uow: UnitOfWork) -> str:
    caller = uow.caller
    return Actor(kind=caller.kind, id=caller.id, name=caller.name, address=caller.address).model_dump_json()


async def apply(uow: UnitOfWork, import_id: UUID) -> Import:
    """Do what a dry run tried. Raises ImportNotFound, ImportNotFinished, NotADryRun, ImportFileNotThere."""
    row = await rows.get(uow, import_id)
    if not row["dry_run"]:
        raise errors.NotADryRun("This import was no dry run: what it could write it has written.")
    _check_over(row)
    again = _again(row) | {name: row[name] for name in ("key", "size", "sha256")}
    return await _queue(uow, import_id_for(row["item_group"]), {**again, "dry_run": False, "dry_run_of": import_id})


async def rerun(uow: UnitOfWork, import_id: UUID) -> Import:
    """Import the refused rows once more.

    Raises ImportNotFound, ImportNotFinished, ImportHasNoErrors, ImportFileNotThere.
    """
    row = await rows.get(uow, import_id)
    file = _error_file(row)
    again = _again(row) | {"key": file.key, "size": file.size, "sha256": row["errors_sha256"], "rerun_of": import_id}
    return await _queue(
        uow, import_id_for(row["item_group"]), {**again, "format": None, "encoding": None, "sheet": None}
    )


def _again(row: asyncpg.Record) -> dict[str, Any]:
    same = ("item_group", "shop_id", "guard_percent", "terms", "origin", "origin_detail", "file_name", *_OPTIONS)
    return {name: row[name] for name in same}


def _check_over(row: asyncpg.Record) -> None:
    if row["state"] in ("queued", "running"):
        raise errors.ImportNotFinished("The import still runs.")
    if row["key"] is None:
        raise errors.ImportFileNotThere("The file was never fetched.")
    _check_kept(row)


def _check_kept(row: asyncpg.Record) -> None:
    if row["files_removed_at"] is not None:
        raise errors.ImportFileNotThere(
            f"Files of imports are kept for a time; those of this one went {row['files_removed_at']:%Y-%m-%d}."
        )


async def confirm(uow: UnitOfWork, import_id: UUID) -> Import:
    """Let a held import go on: as far as what it would take away has not become more in the meantime.

    Raises ImportNotFound, ImportNotHeld, ImportOvertaken, ImportFileNotThere.
    """
    row = await rows.get(uow, import_id, for_update=True)
    if not row["is_held"] or row["state"] != "succeeded":
        raise errors.ImportNotHeld("This import does not wait to be confirmed.")
    _check_kept(row)
    if row["origin"] == "drop_folder" and (later := await rows.find_overtaking(uow, row)):
        raise errors.ImportOvertaken(
            f"'{later['file_name']}' came into the same folder after this file and was taken on"
            f" {later['created_at']:%Y-%m-%d at %H:%M} UTC: what it wrote would be overwritten with older values."
            " Upload this file if that is meant."
        )
    job = await jobs.create(uow, IMPORT_JOB, {"import_id": str(import_id), "confirmed": True})
    await uow.execute(
        "UPDATE imports SET is_held = false, confirmed_by = $2, job_id = $3 WHERE id = $1",
        import_id,
        _actor(uow),
        job.id,
    )
    uow.audit("import.confirm", "import", import_id, after={"harms": orjson.loads(row["harms"])})
    return await rows.announce(uow, import_id)


async def undo(uow: UnitOfWork, importing: Importing, import_id: UUID) -> Import:
    """Queue the undoing of what an import wrote.

    Raises ImportNotFound, ImportNotFinished, NothingToUndo, ImportAlreadyUndone, UndoNotSupported.
    """
    row = await rows.get(uow, import_id, for_update=True)
    if importing.undo is None or row["item_group"] in NEVER_UNDONE:
        raise errors.UndoNotSupported(NEVER_UNDONE.get(row["item_group"], "Imports of this service stay."))
    if row["state"] in ("queued", "running"):
        raise errors.ImportNotFinished("The import still runs; cancel its job first.")
    if row["dry_run"] or row["is_held"]:
        raise errors.NothingToUndo("This import has changed nothing.")
    if row["undo_state"] in ("queued", "running", "succeeded"):
        raise errors.ImportAlreadyUndone(f"This import's undo has {row['undo_state']}.")
    if importing.keeps_images and row["files_removed_at"] is not None:
        raise errors.NothingToUndo("What was before this import was kept as long as its file, and is gone.")
    job = await jobs.create(uow, UNDO_JOB, {"import_id": str(import_id)})
    await uow.execute("UPDATE imports SET undo_job_id = $2, undo_notes = '{}' WHERE id = $1", import_id, job.id)
    uow.audit("import.undo", "import", import_id)
    return await rows.announce(uow, import_id)


def undo_cause_id(import_id: UUID) -> UUID:
    """The cause under which an import is taken back, however often that is begun."""
    return derived_id("undo", import_id)


# --- files


async def error_file(uow: UnitOfWork, import_id: UUID) -> ImportFile:
    """Where the refused rows are. Raises ImportNotFound, ImportNotFinished, ImportHasNoErrors, ImportFileNotThere."""
    return _error_file(await rows.get(uow, import_id))


def _error_file(row: asyncpg.Record) -> ImportFile:
    if row["state"] in ("queued", "running"):
        raise errors.ImportNotFinished("The import still runs; its error file is written at the end.")
    files = [ResultFile(**file) for file in orjson.loads(row["result_files"])]
    found = next((file for file in files if file.name.startswith(f"{ERROR_FILE}.")), None)
    if found is None:
        raise errors.ImportHasNoErrors("No row of this import was refused.")
    _check_kept(row)
    stem = (row["file_name"] or "import").rsplit(".", 1)[0]
    return ImportFile(name=f"{stem}-{found.name}", **found.model_dump(exclude={"name"}))


async def original_file(uow: UnitOfWork, import_id: UUID) -> ImportFile:
    """Where the file as it came is. Raises ImportNotFound, ImportFileNotThere."""
    row = await rows.get(uow, import_id)
    if row["key"] is None:
        raise errors.ImportFileNotThere("The file was not fetched, or not yet.")
    _check_kept(row)
    name = row["file_name"] or f"import-{import_id}"
    return ImportFile(name=name, key=row["key"], media_type="application/octet-stream", size=row["size"])
