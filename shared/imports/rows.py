"""Imports, what was said about their rows, samples of dry runs, conflicts of undoings."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared.contracts.platform.imports import (
    NEVER_UNDONE,
    Harm,
    Import,
    ImportChanged,
    ImportConflict,
    ImportReading,
    ImportSample,
    ImportUndo,
    SampleKind,
    import_state,
)
from shared.contracts.platform.shapes import Actor
from shared.impex.rows import Notice, RowError
from shared.impex.terms import FileTerms
from shared.imports.errors import ImportNotFound
from shared.unit_of_work import UnitOfWork

_IMPORT = (
    "SELECT i.*, s.code AS shop, j.state, j.counters, j.error, j.started_at, j.finished_at, j.result_files,"
    " u.state AS undo_state, u.requested_by AS undone_by, u.finished_at AS undone_at,"
    " coalesce((u.counters->>'conflicts')::integer, 0) AS conflicts"
    " FROM imports i JOIN jobs j ON j.id = i.job_id LEFT JOIN jobs u ON u.id = i.undo_job_id"
    " LEFT JOIN shops s ON s.id = i.shop_id"
)


async def get(uow: UnitOfWork, import_id: UUID, *, for_update: bool = False) -> asyncpg.Record:
    """An import with its jobs. Raises ImportNotFound, also for a shop outside the caller's limit."""
    if for_update:
        # By itself: who waited here would else see the import as it is now beside the jobs that it had before.
        await uow.execute("SELECT FROM imports WHERE id = $1 FOR UPDATE", import_id)
    row = await uow.fetchrow(f"{_IMPORT} WHERE i.id = $1", import_id)
    if row is None or not _is_seen(uow, row):
        raise ImportNotFound("There is no such import.")
    return row


def _is_seen(uow: UnitOfWork, row: asyncpg.Record) -> bool:
    """Those who are limited to shops see what is for these, and what they began themselves."""
    caller = uow.caller
    is_own = caller.id is not None and Actor.model_validate_json(row["requested_by"]).id == caller.id
    return caller.shop_ids is None or is_own or (row["shop_id"] is not None and caller.sees_shop(row["shop_id"]))


async def insert(uow: UnitOfWork, values: dict[str, Any]) -> None:
    """Write down a new import."""
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(2, len(values) + 2))
    await uow.execute(
        f"INSERT INTO imports (organization_id, {names}) VALUES ($1, {places})",  # noqa: S608
        uow.organization_id,
        *values.values(),
    )


async def same_as(uow: UnitOfWork, import_id: UUID, group: str, sha256: str) -> UUID | None:
    """The latest import of the same bytes that was no dry run."""
    found: UUID | None = await uow.fetchval(
        "SELECT id FROM imports WHERE sha256 = $1 AND item_group = $2 AND NOT dry_run AND id <> $3"
        " ORDER BY created_at DESC, id DESC LIMIT 1",
        sha256,
        group,
        import_id,
    )
    return found


async def find_overtaking(uow: UnitOfWork, row: asyncpg.Record) -> asyncpg.Record | None:
    """The first import of this one's drop folder and group that came after it and went in, or still may."""
    return await uow.fetchrow(
        "SELECT i.file_name, i.created_at FROM imports i JOIN jobs j ON j.id = i.job_id WHERE i.origin = 'drop_folder'"
        " AND i.item_group = $2 AND split_part(i.origin_detail, '/', 1) = split_part($3, '/', 1)"
        " AND (i.created_at, i.id) > (SELECT created_at, id FROM imports WHERE id = $1) AND NOT i.is_held"
        " AND NOT i.dry_run AND i.rerun_of IS NULL AND j.state <> 'failed' ORDER BY i.created_at, i.id LIMIT 1",
        row["id"],
        row["item_group"],
        row["origin_detail"],
    )


async def note_opened(
    uow: UnitOfWork, import_id: UUID, reading: ImportReading, harms: Sequence[Harm], *, is_held: bool
) -> None:
    """Write down how a file is read, and what it would take away. Held, it waits for somebody to confirm that."""
    await uow.execute(
        "UPDATE imports SET read_as = $2, harms = $3, is_held = $4,"
        " confirmed_by = CASE WHEN NOT $4 THEN confirmed_by END WHERE id = $1",
        import_id,
        reading.model_dump_json(),
        orjson.dumps([harm.model_dump() for harm in harms]).decode() if harms else None,
        is_held,
    )


async def announce(uow: UnitOfWork, import_id: UUID) -> Import:
    """Tell accounts, which lists the imports of all services, how an import stands."""
    await uow.execute("UPDATE imports SET version = version + 1 WHERE id = $1", import_id)
    row = await uow.fetchrow(f"{_IMPORT} WHERE i.id = $1", import_id)
    assert row is not None
    imported = shape(uow.service, row)
    uow.record(ImportChanged(imported=imported, is_held=row["is_held"], shop_id=row["shop_id"], version=row["version"]))
    return imported


def shape(service: str, row: asyncpg.Record) -> Import:
    started, finished, read_as = row["started_at"], row["finished_at"], row["read_as"]
    harms = [] if row["harms"] is None else orjson.loads(row["harms"])
    plain = (
        *("id", "job_id", "profile", "mode", "missing", "on_error", "format", "encoding", "delimiter", "sheet"),
        "guard_percent",
        *("dry_run", "shop", "origin", "origin_detail", "file_name", "size", "sha256", "same_as", "dry_run_of"),
        *("rerun_of", "created_at", "started_at", "finished_at"),
    )
    return Import(
        **{name: row[name] for name in plain},
        **terms_of(row).said(),
        can_be_undone=not row["dry_run"] and row["item_group"] not in NEVER_UNDONE,
        service=service,
        group=row["item_group"],
        state=import_state(row["state"], is_held=row["is_held"], is_undone=row["undo_state"] == "succeeded"),
        counters=orjson.loads(row["counters"]),
        harms=[Harm(**harm) for harm in harms],
        read_as=None if read_as is None else ImportReading.model_validate_json(read_as),
        error=None if row["error"] is None else orjson.loads(row["error"]),
        undo=_undo(row),
        requested_by=Actor.model_validate_json(row["requested_by"]),
        confirmed_by=None if row["confirmed_by"] is None else Actor.model_validate_json(row["confirmed_by"]),
        duration_seconds=round((finished - started).total_seconds(), 3) if started and finished else None,
    )


def terms_of(row: asyncpg.Record) -> FileTerms:
    """What was said of all rows of the file."""
    return FileTerms(**orjson.loads(row["terms"]))


def _undo(row: asyncpg.Record) -> ImportUndo | None:
    if row["undo_job_id"] is None:
        return None
    return ImportUndo(
        job_id=row["undo_job_id"],
        state=row["undo_state"],
        requested_by=Actor.model_validate_json(row["undone_by"]),
        conflicts=row["conflicts"],
        notes=list(row["undo_notes"]),
        finished_at=row["undone_at"],
    )


async def add_undo_note(uow: UnitOfWork, import_id: UUID, note: str) -> None:
    """Say something of an undo as a whole, once."""
    await uow.execute(
        "UPDATE imports SET undo_notes = array_append(undo_notes, $2) WHERE id = $1 AND NOT $2 = ANY(undo_notes)",
        import_id,
        note,
    )


# --- remarks


async def keep_remarks(uow: UnitOfWork, import_id: UUID, remarks: Iterable[RowError | Notice]) -> None:
    """Write down what was said about rows."""
    rows: list[Any] = [
        (isinstance(remark, RowError), remark.row, remark.column, remark.value, remark.code, remark.message)
        for remark in remarks
    ]
    if rows:
        await uow.execute(
            "INSERT INTO import_remarks (organization_id, import_id, is_error, row_number, column_name, value, code,"
            " message) SELECT $1, $2, * FROM unnest($3::boolean[], $4::integer[], $5::text[], $6::text[], $7::text[],"
            " $8::text[])",
            uow.organization_id,
            import_id,
            *([column[n] for column in rows] for n in range(6)),
        )


async def forget_remarks(uow: UnitOfWork, import_id: UUID) -> None:
    """What was said while a file was only looked through is said again when it is written."""
    await uow.execute("DELETE FROM import_remarks WHERE import_id = $1", import_id)


async def list_remarks(
    uow: UnitOfWork, import_id: UUID, *, errors: bool, after: tuple[int, int], first: int
) -> list[asyncpg.Record]:
    """By row; `after` is the row and number of the last one seen."""
    return await uow.fetch(
        "SELECT * FROM import_remarks WHERE import_id = $1 AND is_error = $2 AND (row_number, number) > ($3, $4)"
        " ORDER BY row_number, number LIMIT $5",
        import_id,
        errors,
        *after,
        first,
    )


# --- samples


async def keep_samples(uow: UnitOfWork, import_id: UUID, samples: Sequence[ImportSample]) -> None:
    """Write down some of what a dry run would do."""
    await uow.execute(
        "INSERT INTO import_samples (organization_id, import_id, kind, part, name, fields)"
        " SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[])",
        uow.organization_id,
        import_id,
        [sample.kind for sample in samples],
        [sample.part for sample in samples],
        [sample.name for sample in samples],
        [orjson.dumps([field.model_dump() for field in sample.fields]).decode() for sample in samples],
    )


async def list_samples(
    uow: UnitOfWork, import_id: UUID, kind: SampleKind | None, after: int, first: int
) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT * FROM import_samples WHERE import_id = $1 AND ($2::text IS NULL OR kind = $2) AND number > $3"
        " ORDER BY number LIMIT $4",
        import_id,
        kind,
        after,
        first,
    )


async def forget_named(uow: UnitOfWork, part: str, names: Sequence[str]) -> None:
    """Forget what samples and conflicts have of things that were called so."""
    for table in ("import_samples", "import_conflicts"):
        await uow.execute(f"DELETE FROM {table} WHERE part = $1 AND name = ANY($2)", part, names)  # noqa: S608


# --- conflicts


async def keep_conflicts(uow: UnitOfWork, import_id: UUID, conflicts: Sequence[ImportConflict]) -> None:
    """Write down what an undo left as it is."""
    await uow.execute(
        "INSERT INTO import_conflicts (organization_id, import_id, part, name, field, code, message, before, imported,"
        " cause, cause_id) SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"
        " $8::jsonb[], $9::jsonb[], $10::text[], $11::uuid[])",
        uow.organization_id,
        import_id,
        [conflict.part for conflict in conflicts],
        [conflict.name for conflict in conflicts],
        [conflict.field for conflict in conflicts],
        [conflict.code for conflict in conflicts],
        [conflict.message for conflict in conflicts],
        [_json(conflict.before) for conflict in conflicts],
        [_json(conflict.imported) for conflict in conflicts],
        [conflict.cause for conflict in conflicts],
        [conflict.cause_id for conflict in conflicts],
    )


async def list_conflicts(uow: UnitOfWork, import_id: UUID, after: int, first: int) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT * FROM import_conflicts WHERE import_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        import_id,
        after,
        first,
    )


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value, default=str).decode()
