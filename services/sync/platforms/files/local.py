"""A folder of this machine, and nothing outside of it.

Every step of a path is opened from the one before and must be a folder, not a link to one (`O_NOFOLLOW`), so that
nobody who can write into the folder leads us out of it, also not between two looks.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from services.sync.errors import PlatformAway, PlatformRefused
from services.sync.platforms.files.places import PART, FileGone, Seen, check_size, checked_name, steps_of

T = TypeVar("T")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o770


class LocalFolder:
    """The folder `folder` below `root`, which belongs to one organization."""

    is_read_only = False
    has_our_clock = True

    def __init__(self, root: Path, folder: str) -> None:
        self._root = root
        self._folder = folder

    async def check(self, path: str, *, is_written: bool) -> str | None:
        return await _blocking(lambda: self._check(path, is_written=is_written))

    async def files(self, path: str) -> list[Seen]:
        return await _blocking(lambda: self._files(path))

    async def fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        return await _blocking(lambda: self._fetch(path, name, into))

    async def write_part(self, path: str, name: str, content: bytes) -> None:
        await _blocking(lambda: self._write_part(path, name, content))

    async def finish(self, path: str, name: str) -> None:
        await _blocking(lambda: self._move(path, name + PART, path, name))

    async def move(self, path: str, name: str, to: str, new_name: str) -> None:
        await _blocking(lambda: self._move(path, name, to, new_name))

    def _check(self, path: str, *, is_written: bool) -> str | None:
        try:
            with self._opened(path, is_made=False) as folder:
                rights = os.R_OK | os.X_OK | (os.W_OK if is_written else 0)
                if os.access(".", rights, dir_fd=folder):
                    return None
                return f"'{self._named(path)}' can not be {'written' if is_written else 'read'}."
        except FileNotFoundError:
            return None if is_written else f"There is no folder '{self._named(path)}' yet: make it."

    def _files(self, path: str) -> list[Seen]:
        try:
            with self._opened(path, is_made=False) as folder, os.scandir(folder) as entries:
                return [seen for entry in entries if (seen := _seen(entry)) is not None]
        except FileNotFoundError:
            return []

    def _fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        try:
            with self._opened(path, is_made=False) as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with os.fdopen(os.open(checked_name(name), flags, dir_fd=folder), "rb") as file:
                    about = os.fstat(file.fileno())
                    if not stat.S_ISREG(about.st_mode):
                        raise PlatformRefused(f"'{name}' is no file.")
                    check_size(name, about.st_size)
                    shutil.copyfileobj(file, into, 1 << 20)
                    about = os.fstat(file.fileno())
        except FileNotFoundError:
            raise FileGone(f"There is no '{name}' in '{self._named(path)}' any more.") from None
        return Seen(name, about.st_size, about.st_mtime_ns)

    def _write_part(self, path: str, name: str, content: bytes) -> None:
        with self._opened(path, is_made=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(checked_name(name + PART), flags, 0o660, dir_fd=folder), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def _move(self, path: str, name: str, to: str, new_name: str) -> None:
        with self._opened(path, is_made=True) as folder, self._opened(to, is_made=True) as target:
            try:
                os.rename(checked_name(name), checked_name(new_name), src_dir_fd=folder, dst_dir_fd=target)
            except FileNotFoundError:
                return
            os.fsync(target)
            os.fsync(folder)

    @contextmanager
    def _opened(self, path: str, *, is_made: bool) -> Iterator[int]:
        """A descriptor of a folder. Raises FileNotFoundError where it is not there and not made."""
        if is_made:
            self._root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in steps_of(f"{self._folder}/{path}"):
                if is_made:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, _MODE, dir_fd=folder)
                inner = os.open(step, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _named(self, path: str) -> str:
        """As whoever lays files may know it: from the organization's own folder on."""
        return "/".join(filter(None, (self._root.name, self._folder, path)))


def _seen(entry: "os.DirEntry[str]") -> Seen | None:
    """None for what is no file, or was moved away since."""
    with contextlib.suppress(FileNotFoundError):
        about = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(about.st_mode):
            return Seen(entry.name, about.st_size, about.st_mtime_ns)
    return None


async def _blocking(work: Callable[[], T]) -> T:
    """In a thread. Raises PlatformRefused for what leads out of the folder or may not be done, PlatformAway."""
    try:
        return await asyncio.to_thread(work)
    except (NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise PlatformRefused(f"'{error.filename}': {error.strerror}. Links are not followed.") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise PlatformRefused(f"'{error.filename}': {error.strerror}. Links are not followed.") from error
        raise PlatformAway(f"The folder can not be used now: {error.strerror or error}.") from error
