"""XLSX: one sheet of a workbook, its cells as text; in the process that `sandbox` limits.

Read with the XML parser of the standard library, because a formula without a stored value, an error value and
merged cells must be told from empty cells, which fastexcel does not do, and because a sheet need not be held whole.

    text                as it is, leading zeros with it
    number              with the 15 digits that spreadsheets count by (ECMA-376 §18.3.1.96), without their noise
    number shown as a date, a time          ISO 8601
    boolean             true, false
    formula             its stored value; without one, or with an error, its row is refused
    merged cells        their rows are refused: which of them the value belongs to cannot be known
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

from shared.impex.archive import opened, pieces
from shared.impex.cells import InvalidCell
from shared.impex.errors import EmptyFile, InvalidWorkbook, NoRows, UnknownSheet, UnpackedTooLarge
from shared.impex.values import number_text
from shared.impex.workbook_file import column_letters

MOST_BYTES = 100 << 20
_MOST_COLUMNS = 16_384
_MOST_MERGES = 1_000_000
_MOST_MERGED_ROWS = 100
_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_WHOLE = re.compile(r"-?[0-9]{1,40}")
# Number formats that show a date or time (§18.8.30), and what of a format of one's own says so.
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_NOT_LETTERS = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')

Cell = tuple[int, str, str | None]


def convert_workbook(path: Path, sheet: str | None) -> Iterator[Any]:
    """The headings of a sheet, then its rows."""
    with opened(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise UnpackedTooLarge(f"A workbook is at most {MOST_BYTES} bytes unpacked; save the sheet as CSV.")
        yield from _Workbook(archive).converted(sheet)


class _Workbook:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._is_1904 = False
        self._sheets = self._listed()
        self._strings = self._shared_strings()
        self._dates = self._date_styles()

    def converted(self, name: str | None) -> Iterator[Any]:
        for part in self._chosen(name):
            rows = self._rows(part)
            header = next((row for row in rows if any(cell[1].strip() or cell[2] for cell in row[1])), None)
            if header is None:
                continue
            merged = self._merged(part)
            yield {"format": "xlsx", "header": _headings(header, merged)}
            yield from self._below(rows, len(_headings(header, merged)), merged)
            return
        raise EmptyFile("The sheet is empty." if name else "All sheets of the workbook are empty.")

    def _below(self, rows: Iterator[tuple[int, list[Cell]]], width: int, merged: "_Merged") -> Iterator[Any]:
        found = 0
        for number, cells in rows:
            converted = _row(number, cells, width, merged)
            if converted is not None:
                found += 1
                yield converted
        if not found:
            raise NoRows("The sheet has headings only: add at least one row.")

    def _chosen(self, name: str | None) -> list[str]:
        """The parts of the sheets to look at. Raises UnknownSheet."""
        if name is None:
            return [part for _, part, is_hidden in self._sheets if not is_hidden]
        found = [part for title, part, _ in self._sheets if title.strip().casefold() == name.strip().casefold()]
        if not found:
            named = ", ".join(repr(title[:60]) for title, _, _ in self._sheets[:20])
            raise UnknownSheet(f"The workbook has no sheet {name[:60]!r}; it has {named}.")
        return found

    # --- parts of the archive

    def _parse(self, part: str, start: Callable[..., None], **handlers: Callable[..., None]) -> Iterator[None]:
        """Feed a part to the handlers, a piece at a time. Raises InvalidWorkbook."""
        try:
            entry = self._archive.getinfo(part)
        except KeyError:
            raise InvalidWorkbook(f"The workbook lacks its part {part[:100]!r}: open it and save it again.") from None
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = start
        parser.StartDoctypeDeclHandler = _refuse_doctype
        for name, handler in handlers.items():
            setattr(parser, name, handler)
        try:
            for piece in pieces(self._archive, entry, MOST_BYTES):
                parser.Parse(piece, False)
                yield
            parser.Parse(b"", True)
            yield
        except expat.ExpatError as fault:
            raise InvalidWorkbook(f"The workbook is damaged ({part[:60]}): open it and save it again.") from fault

    def _attributes(self, part: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Name and attributes of each element, both without their namespaces."""
        found: list[tuple[str, dict[str, str]]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            found.append((_local(name), {_local(key): value for key, value in attributes.items()}))

        for _ in self._parse(part, start):
            yield from found
            found.clear()

    def _listed(self) -> list[tuple[str, str, bool]]:
        """Name, part and whether it is hidden, of each sheet."""
        targets = {}
        for name, attributes in self._attributes("xl/_rels/workbook.xml.rels"):
            if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
                targets[attributes.get("Id")] = _part(attributes.get("Target", ""))
        sheets = []
        for name, attributes in self._attributes("xl/workbook.xml"):
            if name == "workbookPr":
                self._is_1904 = attributes.get("date1904") in ("1", "true")
            elif name == "sheet" and attributes.get("id") in targets:
                is_hidden = attributes.get("state", "visible") != "visible"
                sheets.append((attributes.get("name", ""), targets[attributes["id"]], is_hidden))
        if not sheets:
            raise InvalidWorkbook("The workbook has no sheet of cells.")
        return sheets

    def _shared_strings(self) -> list[str]:
        if "xl/sharedStrings.xml" not in self._archive.NameToInfo:
            return []
        strings: list[str] = []
        reader = _Texts(strings.append)
        for _ in self._parse("xl/sharedStrings.xml", reader.start, **reader.handlers()):
            pass
        return strings

    def _date_styles(self) -> frozenset[int]:
        """The numbers of the cell styles that show a date or a time."""
        if "xl/styles.xml" not in self._archive.NameToInfo:
            return frozenset()
        own: dict[str, str] = {}
        styles: list[str] = []
        is_inside = False
        for name, attributes in self._attributes("xl/styles.xml"):
            if name == "numFmt":
                own[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
            elif name in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
                is_inside = name == "cellXfs"
            elif name == "xf" and is_inside:
                styles.append(attributes.get("numFmtId", "0"))
        return frozenset(n for n, format_id in enumerate(styles) if _shows_a_date(format_id, own))

    def _rows(self, part: str) -> Iterator[tuple[int, list[Cell]]]:
        """Number and cells of each row: column, text, and the code of what is wrong with it."""
        reader = _Rows(self._strings, self._dates, self._is_1904)
        for _ in self._parse(part, reader.start, EndElementHandler=reader.end, CharacterDataHandler=reader.data):
            yield from reader.finished
            reader.finished.clear()

    def _merged(self, part: str) -> "_Merged":
        merged = _Merged()
        rest = b""
        for piece in pieces(self._archive, self._archive.getinfo(part), MOST_BYTES):
            text = rest + piece
            end = 0
            for match in _MERGE.finditer(text):
                merged.add(*(group.decode() for group in match.groups()))
                end = match.end()
            rest = text[max(end, len(text) - 200) :]
        return merged


class _Merged:
    """Which rows have cells that are merged with others."""

    def __init__(self) -> None:
        self._rows: dict[int, str] = {}
        self._areas: list[tuple[int, int, str]] = []

    def add(self, left: str, top: str, right: str, bottom: str) -> None:
        """Raises InvalidWorkbook."""
        first, last, name = int(top), int(bottom), f"{left}{top}:{right}{bottom}"
        if last - first > _MOST_MERGED_ROWS:
            self._areas.append((first, last, name))
        else:
            self._rows.update(dict.fromkeys(range(first, last + 1), name))
        if len(self._rows) > _MOST_MERGES or len(self._areas) > _MOST_MERGED_ROWS:
            raise InvalidWorkbook("The sheet has too many merged cells: take them apart.")

    def of_row(self, row: int) -> str | None:
        """An area that has cells of this row."""
        return self._rows.get(row) or next((name for top, end, name in self._areas if top <= row <= end), None)


class _Texts:
    """Collects the texts of <si> elements, without their phonetic readings."""

    def __init__(self, take: Callable[[str], object]) -> None:
        self._take = take
        self._pieces: list[str] = []
        self._is_text = False
        self._is_phonetic = False

    def handlers(self) -> dict[str, Callable[..., None]]:
        return {"EndElementHandler": self.end, "CharacterDataHandler": self.data}

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        local = _local(name)
        if local == "si":
            self._pieces.clear()
        elif local == "rPh":
            self._is_phonetic = True
        elif local == "t":
            self._is_text = not self._is_phonetic

    def end(self, name: str) -> None:
        local = _local(name)
        if local == "si":
            self._take(_unescaped("".join(self._pieces)))
        elif local == "rPh":
            self._is_phonetic = False
        elif local == "t":
            self._is_text = False

    def data(self, text: str) -> None:
        if self._is_text:
            self._pieces.append(text)


class _Rows:
    """Collects the rows of a sheet in `finished`."""

    def __init__(self, strings: list[str], dates: frozenset[int], is_1904: bool) -> None:
        self.finished: list[tuple[int, list[Cell]]] = []
        self._strings = strings
        self._dates = dates
        self._is_1904 = is_1904
        self._row = 0
        self._column = 0
        self._cells: list[Cell] = []
        self._type = "n"
        self._style = 0
        self._pieces: list[str] = []
        self._is_value = False
        self._has_value = False
        self._has_formula = False
        self._is_phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        if local == "c":
            self._begin_cell(attributes)
        elif local in ("v", "t"):
            self._is_value = not self._is_phonetic
            self._has_value = True
        elif local == "f":
            self._has_formula = True
        elif local == "rPh":
            self._is_phonetic = True
        elif local == "row":
            self._row = _number(attributes.get("r"), self._row + 1)
            self._column = 0
            self._cells = []

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        reference = _REFERENCE.fullmatch(attributes.get("r", ""))
        self._column = _column(reference[1]) if reference else self._column + 1
        self._type = attributes.get("t", "n")
        self._style = _number(attributes.get("s"), 0)
        self._pieces.clear()
        self._has_value = self._has_formula = False

    def data(self, text: str) -> None:
        if self._is_value:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        local = _local(name)
        if local in ("v", "t"):
            self._is_value = False
        elif local == "rPh":
            self._is_phonetic = False
        elif local == "c":
            self._cells.append(self._cell("".join(self._pieces)))
        elif local == "row" and self._cells:
            self.finished.append((self._row, self._cells))

    def _cell(self, text: str) -> Cell:
        if self._column > _MOST_COLUMNS:
            raise InvalidWorkbook(f"Row {self._row} has a cell in a column that no sheet has.")
        if self._has_formula and not self._has_value:
            return self._column, "", "formula_without_value"
        if self._type == "e":
            return self._column, text, "formula_error"
        try:
            return self._column, self._text(text), None
        except InvalidCell as fault:
            return self._column, text, fault.code

    def _text(self, text: str) -> str:
        if self._type == "s":
            number = _number(text.strip(), -1)
            if not 0 <= number < len(self._strings):
                raise InvalidWorkbook(f"Row {self._row} names a text that the workbook does not have.")
            return self._strings[number]
        if self._type == "b":
            return "true" if text.strip() == "1" else "false"
        if self._type in ("str", "inlineStr"):
            return _unescaped(text)
        if self._type == "d" or not text.strip():
            return text.strip()
        return _number_shown(text.strip(), self._style in self._dates, self._is_1904)


_REASONS = {
    "formula_without_value": "The cell has a formula without a value: open the file in a spreadsheet and save it.",
    "formula_error": "The cell's formula ends in an error.",
    "invalid_number": "The cell's number cannot be read exactly.",
    "invalid_date": "The cell's date is none that there is.",
}


def _row(number: int, cells: list[Cell], width: int, merged: _Merged) -> list[Any] | None:
    """A row of `width` cells as it goes out; None for one without anything."""
    texts = [""] * width
    beyond = False
    fault = None
    for column, text, code in cells:
        if column <= width:
            texts[column - 1] = text
            fault = fault or (code and (code, f"{column_letters(column)}{number}: {_REASONS[code]}"))
        elif text.strip():
            beyond = True
    area = merged.of_row(number)
    if not any(texts) and not beyond and not fault:
        return None
    if fault is None and beyond:
        fault = "too_many_fields", f"The row has cells beyond the {width} columns with headings."
    if fault is None and area:
        fault = "merged_cells", f"The cells {area} are merged: take them apart, so that each row has its own values."
    return [number, texts, *fault] if fault else [number, texts]


def _headings(header: tuple[int, list[Cell]], merged: _Merged) -> list[str]:
    row, cells = header
    area = merged.of_row(row)
    if area:
        raise InvalidWorkbook(f"The cells {area} in the row of headings are merged: take them apart.")
    width = max(column for column, text, _ in cells if text.strip())
    headings = [""] * width
    for column, text, code in cells:
        if code:
            raise InvalidWorkbook(f"The heading in {column_letters(column)}{row} cannot be read. {_REASONS[code]}")
        if column <= width:
            headings[column - 1] = text
    return headings


def _number_shown(text: str, is_date: bool, is_1904: bool) -> str:
    """A number's text. Raises InvalidCell."""
    if not is_date:
        if _WHOLE.fullmatch(text):
            return number_text(text)
        return number_text(f"{_float(text):.15g}")
    serial = _float(text)
    if 0 <= serial < 1 and not is_1904:
        return _clock(serial)
    # Day 60 of the other calendar is 29 February 1900, which never was.
    first = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 31 if serial < 60 else 30)  # noqa: DTZ001
    try:
        moment = first + timedelta(seconds=round(serial * 86400))
    except (OverflowError, ValueError):
        raise InvalidCell("invalid_date", "") from None
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat()


def _clock(part: float) -> str:
    seconds = round(part * 86400) % 86400
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60).isoformat()


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidCell("invalid_number", "") from None


def _shows_a_date(format_id: str, own: dict[str, str]) -> bool:
    code = own.get(format_id)
    if code is None:
        return format_id.isdigit() and int(format_id) in _DATE_FORMATS
    plain = _NOT_LETTERS.sub("", code).casefold()
    return "general" not in plain and any(letter in plain for letter in "ymdhs")


def _refuse_doctype(*_: object) -> None:
    raise InvalidWorkbook("The workbook declares a document type, as no spreadsheet does.")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _part(target: str) -> str:
    """The name of the part that a relation of the workbook leads to."""
    return target.removeprefix("/") if target.startswith("/") else str(PurePosixPath("xl") / target)


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]


def _number(text: str | None, default: int) -> int:
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else default


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
