"""Files that are laid into a shop's folder: taken once they are complete, in order, by the first rule that fits.

The folders are `<drop folder>/<organization's id>/<shop's code>`. A file is complete when two looks found it the same
and nobody has written to it for a while. It goes into the blob store, its import is asked for under an id that follows
from the file, and then it is moved into `done`: killed in between, the next look finds the import and only moves the
file. One file of a folder is imported at a time, the one with the earliest time in its name first, or the oldest. What
fits no rule stays where it is, and an alert says so.
"""

import asyncio
import contextlib
import fnmatch
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog

from services.catalog.repository import drop_folders, shops
from services.catalog.repository.drop_folders import Folder, SeenFile
from shared import blobs
from shared.contracts.catalog.drop_folders import DropFolder, DropRule, SetDropFolder
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.contracts.platform.imports import GetImport, Import, StartImport, import_id_for, service_of_group
from shared.contracts.search.messages import RebuildSearchIndex
from shared.errors import CrossdockError
from shared.identifiers import derived_id
from shared.impex.opening import check_reading
from shared.imports import starting
from shared.imports.errors import ImportNotFound
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.drop_folders")

TASK = "drop_folders.look"
DONE = "done"
MOST_BYTES = 1 << 30
# How those who write files call them until they are complete.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", "~")
_TIME = re.compile(r"(?<!\d)(20\d{2}[-_.]?\d{2}[-_.]?\d{2}(?:[-_.T]?\d{2}[-_.:]?\d{2}(?:[-_.:]?\d{2})?)?)(?!\d)")


def root() -> Path:
    """The folder of all drop folders."""
    return settings().drop_folder or settings().data / "drop"


def shape(organization_id: UUID, folder: Folder) -> DropFolder:
    return DropFolder(shop=folder.shop, path=f"{organization_id}/{folder.shop}", rules=list(folder.rules))


async def set_folder(uow: UnitOfWork, message: SetDropFolder) -> DropFolder:
    """Set a shop's rules.

    Raises ShopNotFound, UnknownFormat, UnknownEncoding, InvalidDelimiter, UnsupportedOption.
    """
    for rule in message.rules:
        check_reading(rule.format, rule.encoding, rule.delimiter)
        starting.check_terms(rule.group, rule)
    shop = await shops.get_by_code(uow, message.shop)
    await drop_folders.set_rules(uow, shop.id, message.rules)
    uow.audit("drop_folder.set", "shop", shop.id, after={"rules": [rule.model_dump() for rule in message.rules]})
    return shape(uow.organization_id, Folder(shop.id, shop.code, tuple(message.rules), None, False))


async def leave_tasks(uow: UnitOfWork) -> None:
    """Across tenants: a task for each organization that has folders."""
    await drop_folders.leave_tasks(uow, TASK, await asyncio.to_thread(_organizations))


def _organizations() -> list[UUID]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root()) as entries:
        for entry in entries:
            with contextlib.suppress(ValueError):
                found.append(UUID(entry.name))
    return found


# --- one look at all folders of an organization


@dataclass
class _Look:
    """What one look found in a folder, and what is to be written down of it."""

    folder: Folder
    files: list[SeenFile]
    taken: tuple[UUID, DropRule] | None = None
    has_reindexed: bool = False
    raised: list[AlertRaised] | None = None
    cleared: list[str] | None = None


async def look(uow: UnitOfWork) -> None:
    """Take what can be taken. Asks and moves files first, and then writes down what was done."""
    async with uow.beforehand() as earlier:
        known = await drop_folders.list_folders(earlier, "", 10_000)
        seen = {folder.shop_id: await drop_folders.seen_files(earlier, folder.shop_id) for folder in known}
    looks = []
    for folder in known:
        try:
            looks.append(await _look_into(uow, folder, seen[folder.shop_id]))
        except (CrossdockError, OSError) as error:
            # Another look follows; the other folders do not wait for it.
            log.warning("drop_folder_not_looked_into", shop=folder.shop, error=str(error))
    for each in looks:
        await _write_down(uow, each, seen[each.folder.shop_id])


async def _write_down(uow: UnitOfWork, each: _Look, seen: dict[str, SeenFile]) -> None:
    if {file.name: file for file in each.files} != seen:
        await drop_folders.note_seen(uow, each.folder.shop_id, each.files)
    if each.has_reindexed:
        await drop_folders.note_reindexed(uow, each.folder.shop_id)
    if each.taken is not None:
        import_id, rule = each.taken
        await drop_folders.note_taken(uow, each.folder.shop_id, import_id, reindex=rule.reindex)
    for alert in each.raised or ():
        uow.record(alert)
    for name in each.cleared or ():
        uow.record(AlertCleared(service=uow.service, cause=_cause(each.folder, name)))


async def _look_into(uow: UnitOfWork, folder: Folder, seen: dict[str, SeenFile]) -> _Look:
    path = root() / str(uow.organization_id) / folder.shop
    if Path(folder.shop).name != folder.shop:
        return _Look(folder, [])
    files = await asyncio.to_thread(_files, path)
    found = _Look(folder, [replace(file, is_told=_is_told(file, seen)) for file in files], raised=[], cleared=[])
    found.cleared = [name for name, file in seen.items() if file.is_told and name not in {f.name for f in files}]
    if await _is_busy(uow, folder, found):
        return found
    for number, file in enumerate(found.files):
        if not _is_complete(file, seen):
            continue
        rule = next((each for each in folder.rules if _fits(each, file)), None)
        refusal = "No rule of the shop fits its name." if rule is None else None
        if rule is not None:
            try:
                found.taken = await _take(uow, folder, path, file, rule), rule
                del found.files[number]
                return found
            except CrossdockError as error:
                if error.status >= 500:
                    raise
                refusal = error.detail
        if not file.is_told and refusal is not None:
            found.files[number] = replace(file, is_told=True)
            assert found.raised is not None
            found.raised.append(_alert(uow, folder, file, refusal))
    return found


def _files(path: Path) -> list[SeenFile]:
    """The files of a folder in the order they are to be taken. Links lead somewhere else, and are no files."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.isprintable() or not entry.is_file(follow_symlinks=False):
                continue
            about = entry.stat(follow_symlinks=False)
            found.append(SeenFile(entry.name, about.st_size, about.st_mtime_ns))
    return sorted(found, key=_order)


def _order(file: SeenFile) -> tuple[str, int, str]:
    """By the time in the name, else by age."""
    time_in_name = _TIME.search(file.name)
    if time_in_name:
        return re.sub(r"\D", "", time_in_name[1]).ljust(14, "0"), file.modified_ns, file.name
    moment = time.gmtime(file.modified_ns // 1_000_000_000)
    return time.strftime("%Y%m%d%H%M%S", moment), file.modified_ns, file.name


def _is_told(file: SeenFile, seen: dict[str, SeenFile]) -> bool:
    known = seen.get(file.name)
    return known is not None and known.is_told


def _is_complete(file: SeenFile, seen: dict[str, SeenFile]) -> bool:
    known = seen.get(file.name)
    is_same = known is not None and (known.size, known.modified_ns) == (file.size, file.modified_ns)
    settled = time.time_ns() - file.modified_ns >= settings().drop_settle_seconds * 1_000_000_000
    return is_same and settled and file.size > 0 and not file.name.lower().endswith(_UNFINISHED)


def _fits(rule: DropRule, file: SeenFile) -> bool:
    return fnmatch.fnmatchcase(file.name.casefold(), rule.pattern.casefold())


async def _is_busy(uow: UnitOfWork, folder: Folder, found: _Look) -> bool:
    """Whether the last file's import still runs: the next one waits for it. Then the index follows, if it is to."""
    if folder.last_import_id is None:
        return False
    last = await _find(uow, folder.last_import_id)
    if last is None:
        return False
    if last.state in ("queued", "running"):
        return True
    if folder.reindex_after_import:
        if last.state == "succeeded":
            await _reindex(uow, folder)
        found.has_reindexed = last.state != "held"
    return False


async def _reindex(uow: UnitOfWork, folder: Folder) -> None:
    try:
        await uow.ask(RebuildSearchIndex(shop=folder.shop))
    except CrossdockError as error:
        if error.status >= 500:
            raise
        # The index follows the changes by itself anyway; the next file shall not wait for a shop that search has not.
        log.warning("not_reindexed_after_import", shop=folder.shop, error=error.detail)


async def _take(uow: UnitOfWork, folder: Folder, path: Path, file: SeenFile, rule: DropRule) -> UUID:
    """Bring a file in and move it aside; returns its import. Raises what starting an import raises."""
    organization_id = uow.organization_id
    place = derived_id("drop", organization_id, folder.shop_id, file.name, file.size, file.modified_ns)
    import_id = import_id_for(rule.group, place)
    if await _find(uow, import_id) is None:
        key = f"imports/{import_id}/dropped"
        stored = await blobs.put_stream(organization_id, key, _pieces(path / file.name), limit=MOST_BYTES)
        await uow.ask(_message(folder, file, rule, import_id, key, stored))
    await asyncio.to_thread(_move_aside, path, file.name, import_id)
    return import_id


async def _find(uow: UnitOfWork, import_id: UUID) -> Import | None:
    try:
        return await uow.ask(GetImport(import_id=import_id))
    except CrossdockError as error:
        if error.code == ImportNotFound.code:
            return None
        raise


def _message(
    folder: Folder, file: SeenFile, rule: DropRule, import_id: UUID, key: str, stored: blobs.Stored
) -> StartImport:
    is_of_shop = service_of_group(rule.group) == "catalog"
    return StartImport(
        import_id=import_id,
        key=key,
        size=stored.size,
        sha256=stored.sha256,
        file_name=file.name,
        origin="drop_folder",
        origin_detail=f"{folder.shop}/{file.name}",
        shop=folder.shop if is_of_shop else None,
        **rule.model_dump(exclude={"pattern", "reindex"}),
    )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(_opened, path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return
        while piece := await asyncio.to_thread(file.read, 1 << 20):
            yield piece


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _move_aside(path: Path, name: str, import_id: UUID) -> None:
    """Out of the way, under a name that no other file gets. Nothing happens where it was moved before."""
    (path / DONE).mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (path / name).rename(path / DONE / f"{import_id}-{name}"[-255:])


def _alert(uow: UnitOfWork, folder: Folder, file: SeenFile, refusal: str) -> AlertRaised:
    return AlertRaised(
        service=uow.service,
        cause=_cause(folder, file.name),
        severity="warning",
        title="A file in a drop folder was not taken",
        detail=f"'{file.name}' in the folder of the shop '{folder.shop}' stays where it is: {refusal}",
        shop_id=folder.shop_id,
        subject_kind="shop",
        subject_id=str(folder.shop_id),
    )


def _cause(folder: Folder, name: str) -> str:
    return f"catalog.drop_folder.{folder.shop_id}.{name}"


__all__: Sequence[str] = ("DONE", "TASK", "leave_tasks", "look", "root", "set_folder", "shape")
