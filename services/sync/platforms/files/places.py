"""What a place for files can do, wherever it is."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from services.sync.errors import PlatformRefused

PART = ".part"
# As `shared/impex` reads them, and FEATURES CAT-5 says.
MOST_BYTES = 1 << 30


class FileGone(PlatformRefused):
    """The file is not there, or no longer."""

    title = "The file is not there"


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was seen: the same name, size and time mean that nobody has written to it."""

    name: str
    size: int
    modified_ns: int


def checked_name(name: str) -> str:
    """A name that leads nowhere else. Raises PlatformRefused."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable():
        raise PlatformRefused(f"{name[:200]!r} is no name of a file.")
    return name


def check_size(name: str, size: int) -> None:
    """Raises PlatformRefused for a file that is larger than those we read."""
    if size > MOST_BYTES:
        raise PlatformRefused(f"'{name}' has {size} bytes, and {MOST_BYTES} are the limit.")


def steps_of(path: str) -> list[str]:
    """The folders of a path, from the outermost. Raises PlatformRefused for one that leads out."""
    return [checked_name(step) for step in path.split("/") if step]


class Folder(Protocol):
    """A tree of folders. Paths are as `settings.py` has checked them; a link is no file, and leads nowhere.

    `is_read_only`: nothing can be listed, moved or written. `has_our_clock`: times of files are by the clock of this
    machine. Methods raise PlatformAway, CredentialsRefused, PlatformRefused.
    """

    is_read_only: bool
    has_our_clock: bool

    async def check(self, path: str, *, is_written: bool) -> str | None:
        """What keeps us from reading, or writing, in a folder, for people; None: nothing. Changes nothing."""

    async def files(self, path: str) -> list[Seen]:
        """The files of a folder; none where there is no such folder."""

    async def fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        """Copy a file. Returns it as it was when its last byte had been read. Raises FileGone."""

    async def write_part(self, path: str, name: str, content: bytes) -> None:
        """Write the file under its name with `.part` behind it, and keep it there over a crash. Makes the folder."""

    async def finish(self, path: str, name: str) -> None:
        """Give a written part its name, in one step, in place of a file of that name. Nothing where there is none."""

    async def move(self, path: str, name: str, to: str, new_name: str) -> None:
        """Move a file to another folder, which is made. Nothing where it is not there any more."""
