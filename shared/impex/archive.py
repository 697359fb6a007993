"""A zip archive as an upload: one file inside it, or the parts of a workbook.

Nothing is unpacked under a name that the archive gives, and no more than the limits allow, however small it says it is.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from shared.impex.errors import (
    EncryptedFile,
    InvalidArchive,
    NestedArchive,
    NotAText,
    UnpackedTooLarge,
    UnsafeArchive,
)

# FEATURES CAT-5: files of up to 1 GB.
MOST_BYTES = 1 << 30
# Repetitive tables shrink to a fiftieth; what shrinks to less than a two-hundredth is made for it.
_MOST_TIMES = 200
_FREE_BYTES = 16 << 20
_MOST_ENTRIES = 10_000
_PIECE = 1 << 20
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(path: Path, target: str) -> Iterator[dict[str, Any]]:
    """Say {"is_workbook": …} of an archive; of one that is not, write the one file in it to `target`."""
    with opened(path) as archive:
        names = {entry.filename for entry in archive.infolist()}
        if "xl/workbook.xml" in names:
            yield {"is_workbook": True}
            return
        _refuse_other_documents(archive, names)
        entry = _only_file(archive)
        with Path(target).open("wb") as file:
            size = 0
            for piece in pieces(archive, entry, MOST_BYTES):
                if not size and piece.startswith(b"PK\x03\x04") and not _is_workbook_part(piece):
                    raise NestedArchive("The archive holds another archive: unpack it, and upload what is inside.")
                size += file.write(piece)
        yield {"is_workbook": False}


def _is_workbook_part(beginning: bytes) -> bool:
    """Whether an archive within an archive begins as a workbook does; whether it is one shows when it is read."""
    return b"[Content_Types].xml" in beginning or b"xl/" in beginning or b"_rels/" in beginning


def opened(path: Path) -> zipfile.ZipFile:
    """An archive whose entries may be looked at. Raises InvalidArchive, UnsafeArchive, EncryptedFile."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError, NotImplementedError) as fault:
        raise InvalidArchive("The archive is damaged or was cut off: make it again, and upload it whole.") from fault
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise InvalidArchive(f"The archive has {len(entries)} entries: put one file into it.")
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or entry.filename[1:2] == ":":
            raise UnsafeArchive(f"The archive has an entry {entry.filename[:100]!r}, which leads out of it.")
        if entry.flag_bits & 0x1:
            raise EncryptedFile("The archive is protected by a password: make one without.")
    return archive


def _refuse_other_documents(archive: zipfile.ZipFile, names: set[str]) -> None:
    """Documents that are archives, and what to tell their uploaders."""
    if "xl/workbook.bin" in names:
        raise NotAText("It is a binary Excel workbook (XLSB): save it as XLSX or CSV.")
    if "word/document.xml" in names or "ppt/presentation.xml" in names:
        raise NotAText("It is a Word or PowerPoint document: put the table into a workbook or a CSV.")
    if "mimetype" in names and "content.xml" in names:
        raise NotAText("It is an OpenDocument file: save it as XLSX or CSV.")


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_debris(entry.filename)]
    if not files:
        raise InvalidArchive("The archive is empty: put the file into it.")
    if len(files) > 1:
        named = ", ".join(repr(entry.filename[-60:]) for entry in files[:5])
        raise InvalidArchive(f"The archive has {len(files)} files ({named}): upload each by itself.")
    return files[0]


def _is_debris(name: str) -> bool:
    """What systems put beside the files of their users."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name in (".DS_Store", "Thumbs.db", "desktop.ini")


def pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> Iterator[bytes]:
    """The content of an entry, up to `most` bytes. Raises UnpackedTooLarge, InvalidArchive."""
    if entry.compress_type not in _KNOWN:
        raise InvalidArchive("The archive is packed in an unusual way: make it again as an ordinary zip.")
    if entry.file_size > most:
        raise UnpackedTooLarge(f"{entry.filename[-60:]!r} is {entry.file_size} bytes unpacked; {most} is the limit.")
    size = 0
    try:
        with archive.open(entry) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                _refuse_bomb(size, entry, most)
                yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as fault:
        raise InvalidArchive("The archive is damaged or was cut off: make it again, and upload it whole.") from fault


def _refuse_bomb(size: int, entry: zipfile.ZipInfo, most: int) -> None:
    if size > most:
        raise UnpackedTooLarge(f"{entry.filename[-60:]!r} is more than {most} bytes unpacked.")
    if size > max(_FREE_BYTES, _MOST_TIMES * entry.compress_size):
        raise UnpackedTooLarge(
            f"{entry.filename[-60:]!r} is more than {_MOST_TIMES} times its packed size, as no real table is."
        )
