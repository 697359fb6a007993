"""Which file is to be read, and what becomes of it: nobody remembers anything, the folders say it all.

A file that was read whole is moved to the archive, under a name that says when and what it was:
`archive/2026-11/20261130T180000000000Z-<SHA-256>-stock.csv`. So what was read before is known by its
content, and nothing is ever deleted.
"""

import asyncio
import fnmatch
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.sync.errors import PlatformRefused
from services.sync.platforms.files.places import PART, Folder, Seen
from services.sync.platforms.files.settings import FileEntity, FileRule, FilesSettings
from shared import clock

DONE = ".done"
# How those who write files call them until they are complete.
_UNFINISHED = (PART, ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", "~")
_TIME = re.compile(r"(?<!\d)(20\d{2}[-_.]?\d{2}[-_.]?\d{2}(?:[-_.T]?\d{2}[-_.:]?\d{2}(?:[-_.:]?\d{2})?)?)(?!\d)")
_ARCHIVED = re.compile(r"(\d{8}T\d{6}\d{6}Z)-([0-9a-f]{64})-(.+)")
_LONGEST_NAME = 255
_SHORTEST_TO_COMPARE = 1000
_MOST_MONTHS = 24


@dataclass(frozen=True, slots=True)
class Archived:
    """A file that was read: `name` is what it was called, `seen` how it lies in the folder `path`."""

    name: str
    sha256: str
    path: str
    seen: Seen


def complete_now(files: Sequence[Seen], rule: FileRule, settings: FilesSettings) -> tuple[list[Seen], list[Seen]]:
    """Of a rule's files those that are complete, and those of which a second look has to tell; oldest first."""
    marked = {file.name.removesuffix(DONE) for file in files if file.name.endswith(DONE)}
    complete, unsure = [], []
    for file in sorted(files, key=_order):
        if not _fits(file.name, rule):
            continue
        if file.name in marked:
            complete.append(file)
        elif not settings.needs_done:
            unsure.append(file)
    return complete, unsure


async def complete_files(
    folder: Folder, entity: FileEntity, settings: FilesSettings, *, may_wait: bool = True
) -> list[Seen]:
    """The files of a kind that are complete, oldest first.

    By the clock of this machine it is enough that nobody wrote for `settle_seconds`, and that nobody has by the time
    it was read. Another clock tells nothing, so that two looks are that far apart; without `may_wait` such a file is
    not complete yet.
    """
    rule = settings.rule(entity)
    assert rule is not None
    if folder.is_read_only:
        return [Seen(rule.pattern, -1, -1)]
    complete, unsure = complete_now(await folder.files(settings.inbox), rule, settings)
    age = settings.settle_seconds * 1_000_000_000
    now = time.time_ns()
    if folder.has_our_clock:
        quiet = [file for file in unsure if age <= now - file.modified_ns]
        # A time that is still to come is somebody else's clock.
        unsure = [file for file in unsure if file.modified_ns > now + age]
        complete += quiet
    if unsure and (may_wait or not settings.settle_seconds):
        await asyncio.sleep(settings.settle_seconds)
        again = set(await folder.files(settings.inbox))
        complete += [file for file in unsure if file in again]
    return sorted(complete, key=_order)


async def latest_read(folder: Folder, entity: FileEntity, settings: FilesSettings) -> Archived | None:
    """The file of a kind that was read last, in the last two years."""
    for month in _months(_MOST_MONTHS):
        if found := await _archived(folder, entity, settings, month):
            return found[0]
    return None


async def lately_read(folder: Folder, entity: FileEntity, settings: FilesSettings) -> list[Archived]:
    """What was read of a kind in this month and the one before, the latest first."""
    return [each for month in _months(2) for each in await _archived(folder, entity, settings, month)]


async def _archived(folder: Folder, entity: FileEntity, settings: FilesSettings, month: str) -> list[Archived]:
    rule = settings.rule(entity)
    assert rule is not None
    path = f"{settings.archive}/{month}"
    found = []
    for seen in sorted(await folder.files(path), key=lambda seen: seen.name, reverse=True):
        match = _ARCHIVED.fullmatch(seen.name)
        if match and _fits(match[3], rule):
            found.append(Archived(match[3], match[2], path, seen))
    return found


def _months(count: int) -> Iterator[str]:
    """This month and those before it."""
    now = clock.now()
    for number in range(now.year * 12 + now.month - 1, now.year * 12 + now.month - 1 - count, -1):
        yield f"{number // 12}-{number % 12 + 1:02}"


async def archive(folder: Folder, settings: FilesSettings, name: str, sha256: str | None) -> None:
    """Move a file out of the way; `sha256` None: it was not read. Repeated, nothing happens."""
    now = clock.now()
    stamp = f"{now:%Y%m%dT%H%M%S%fZ}-{sha256 or 'not-read'}-"
    path = f"{settings.archive}/{now:%Y-%m}"
    short = name[-(_LONGEST_NAME - len(stamp) - len(DONE)) :]
    await folder.move(settings.inbox, name, path, stamp + short)
    await folder.move(settings.inbox, name + DONE, path, stamp + short + DONE)


async def archive_older(folder: Folder, entity: FileEntity, settings: FilesSettings, name: str) -> None:
    """Move those complete files out of the way that a newer one, `name`, has taken the place of."""
    complete = [file.name for file in await complete_files(folder, entity, settings)]
    for older in complete[: complete.index(name)] if name in complete else ():
        await archive(folder, settings, older, None)


def check_shrink(seen: Seen, before: Seen, settings: FilesSettings) -> None:
    """Raises PlatformRefused for a file of all that there is which has lost too much since the one before."""
    least = before.size * (100 - settings.most_shrink_percent) / 100
    if before.size >= _SHORTEST_TO_COMPARE and seen.size < least:
        raise PlatformRefused(
            f"'{seen.name}' has {seen.size} bytes, and the file before it had {before.size}: nothing was read."
            " If that is right, raise 'most_shrink_percent'."
        )


def _fits(name: str, rule: FileRule) -> bool:
    if name.startswith(".") or not name.isprintable() or name.endswith(DONE):
        return False
    if name.casefold().endswith(_UNFINISHED):
        return False
    return fnmatch.fnmatchcase(name.casefold(), rule.pattern.casefold())


def _order(file: Seen) -> tuple[str, int, str]:
    """By the time in the name, else by age."""
    time_in_name = _TIME.search(file.name)
    if time_in_name:
        return re.sub(r"\D", "", time_in_name[1]).ljust(14, "0"), file.modified_ns, file.name
    moment = time.gmtime(file.modified_ns // 1_000_000_000)
    return time.strftime("%Y%m%d%H%M%S", moment), file.modified_ns, file.name
