"""From bytes to a Source: what a file is shows in its content, whatever its name or its uploader's browser says.

| format | recognised by | how it is read |
|---|---|---|
| `csv` | anything else that is text | in this process, as it comes; to 1 GB |
| `ndjson` | a brace first | in this process, as it comes; to 1 GB |
| `parquet` | `PAR1` | as it comes, in a process of its own; to 1 GB |
| `json` | a bracket first | whole, in a process of its own; to 100 MB |
| `xlsx` | a zip with the parts of a workbook | whole, in a process of its own; to 100 MB unpacked |

Each of them may be the one file of a zip archive, also an archive's only workbook. `format` overrides what the content
looks like, for a CSV whose first heading begins with a brace.
"""

import contextlib
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.impex import sandbox
from shared.impex.arranging import ArrangedSource
from shared.impex.converted import ConvertedSource
from shared.impex.delimiter import choose_delimiter
from shared.impex.encoding import HEAD_BYTES, choose_encoding, is_printed
from shared.impex.errors import EmptyFile, InvalidParquet, InvalidWorkbook, NestedArchive, UnknownFormat, UnknownHeaders
from shared.impex.json_lines import JsonLinesSource
from shared.impex.profiles.base import ProductProfile
from shared.impex.profiles.registry import detect_profile, get_profile
from shared.impex.source import CsvSource, Source
from shared.impex.terms import UNSAID, FileTerms

FORMATS = ("csv", "ndjson", "json", "parquet", "xlsx")
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What an uploader says about a file where its content does not say it, or says it wrongly.

    `format` is one of FORMATS; `sheet` is the name of a workbook's sheet, the first that is not empty otherwise.
    `group` is what the rows are: of `products` the `profile`, by the headings where it is not named, says how a list in
    JSON or Parquet is written in one cell, and which rows are one product; `terms` say what such rows leave open.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    group: str = "products"
    profile: str | None = None
    terms: FileTerms = UNSAID


def open_source(path: Path, options: ReadingOptions | None = None) -> Source:
    """The rows of a file in any of our formats, zipped or not. Blocking: in a thread.

    Raises UnreadableFile, UnknownFormat, UnknownProfile, UnknownSheet, HeaderTooWide, UnpackedTooLarge, TooDemanding.
    """
    options = options or ReadingOptions()
    check_format(options.format)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    source = _from_zip(path, options) if head.startswith((_ZIP, _EMPTY_ZIP)) else _opened(path, head, options)
    return _arranged(source, path.parent, options)


def check_format(name: str | None) -> None:
    """Raises UnknownFormat."""
    if name is not None and name not in FORMATS:
        raise UnknownFormat(
            f"'{name[:50]}' is not a format we read; there are {', '.join(FORMATS)}, each also in a zip."
        )


def check_reading(form: str | None, encoding: str | None, delimiter: str | None) -> None:
    """What files are to be read by, before there is one. Raises UnknownFormat, UnknownEncoding, InvalidDelimiter."""
    check_format(form)
    if encoding is not None:
        choose_encoding(b"a", encoding)
    if delimiter is not None:
        choose_delimiter("", delimiter)


def _opened(path: Path, head: bytes, options: ReadingOptions) -> Source:
    """The rows of a file that is no archive."""
    if not head:
        raise EmptyFile("The file has no content: upload it again.")
    if head.startswith(_PARQUET) or options.format == "parquet":
        return _with_lists(_parquet(path, head), options)
    if options.format == "xlsx":
        choose_encoding(head)
        raise InvalidWorkbook("It is no XLSX workbook, whatever its name says: save it as one, or name no format.")
    found = _text_format(head, options)
    if found == "csv":
        return CsvSource.open(
            path, encoding=options.encoding, delimiter=options.delimiter, is_asked_for=options.format == "csv"
        )
    if found == "ndjson":
        return _with_lists(JsonLinesSource.open(path, encoding=options.encoding), options)
    encoding = choose_encoding(head, options.encoding)
    task = {"task": "json", "path": str(path), "encoding": encoding}
    return _with_lists(ConvertedSource.spooled(task, path.parent), options)


def _text_format(head: bytes, options: ReadingOptions) -> str:
    if options.format is not None:
        return options.format
    text = head.decode(choose_encoding(head, options.encoding), "replace")
    beginning = text.lstrip("\ufeff \t\r\n")[:1]
    if beginning == "{" and not is_printed(text):
        return "ndjson"
    return "json" if beginning == "[" else "csv"


def _parquet(path: Path, head: bytes) -> ConvertedSource:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_PARQUET)))
        end = file.read()
    if not head.startswith(_PARQUET) or end != _PARQUET:
        raise InvalidParquet("The Parquet file is damaged or was cut off: write it again, and upload it whole.")
    return ConvertedSource.streamed({"task": "parquet", "path": str(path)})


def _from_zip(path: Path, options: ReadingOptions) -> Source:
    """A workbook, or what is in an archive. What was unpacked is kept for as long as the source lives."""
    with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=path.parent, delete=False) as file:
        inside = Path(file.name)
    try:
        if _unpacked(path, inside):
            source: Source = _workbook(path, options)
        else:
            source = _from_inside(inside, options)
    except BaseException:
        inside.unlink()
        raise
    weakref.finalize(source, inside.unlink, missing_ok=True)
    return source


def _from_inside(inside: Path, options: ReadingOptions) -> Source:
    with inside.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.startswith(_ZIP):
        return _opened(inside, head, options)
    with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=inside.parent) as nowhere:
        if not _unpacked(inside, Path(nowhere.name)):
            raise NestedArchive("The archive holds another archive: unpack it, and upload what is inside.")
    return _workbook(inside, options)


def _unpacked(path: Path, target: Path) -> bool:
    """Whether an archive is a workbook; its only file is in `target` if not."""
    with tempfile.TemporaryFile() as answer:
        sandbox.run({"task": "unpack", "path": str(path), "target": str(target)}, answer)
        answer.seek(0)
        line = answer.read()
    sandbox.refuse(line)
    is_workbook: bool = orjson.loads(line)["is_workbook"]
    return is_workbook


def _workbook(path: Path, options: ReadingOptions) -> Source:
    if options.format not in (None, "xlsx"):
        raise InvalidWorkbook(f"It is an XLSX workbook and was to be read as {options.format}: name no format.")
    return ConvertedSource.spooled({"task": "workbook", "path": str(path), "sheet": options.sheet}, path.parent)


def _profile(source: Source, options: ReadingOptions) -> ProductProfile | None:
    if options.group != "products":
        return None
    if options.profile:
        return get_profile(options.profile)
    with contextlib.suppress(UnknownHeaders):
        return detect_profile(source.header)
    return None


def _arranged(source: Source, folder: Path, options: ReadingOptions) -> Source:
    """The source with the rows of each product together, where its profile does not put them so."""
    profile = _profile(source, options)
    arrangement = profile.arrangement(source.header, options.terms) if profile else None
    return ArrangedSource(source, arrangement, folder) if arrangement else source


def _with_lists(source: JsonLinesSource | ConvertedSource, options: ReadingOptions) -> Source:
    """The source with its lists written as its profile writes several things into one cell."""
    profile = _profile(source, options)
    if profile is None:
        return source

    def join(heading: str, items: Sequence[str]) -> str:
        return profile.joined(heading, items)

    source.join = join
    return source
