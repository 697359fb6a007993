"""Values of formats that have types, as the text a cell of a CSV would have.

number      the shortest exact decimal: `12`, `0.1`, `1000000000000`; never `1.0` or `1E+12`
boolean     `true`, `false`
date, time  ISO 8601
nothing     an empty cell
list        joined as the file's profile writes several things into one cell
object      refused: a row has cells, not rows within rows
"""

from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation

from shared.impex.cells import InvalidCell
from shared.impex.records import RECORD_CHARACTERS, BrokenRecord, Record

# How a list becomes one cell of the column with a heading. Raises InvalidCell.
Joiner = Callable[[str, Sequence[str]], str]

_MOST_DIGITS = 40


class Unreadable:
    """A number of a file that is none, or cannot be kept exactly: NaN, 1e400."""

    def __init__(self, literal: str) -> None:
        self.literal = literal

    def __str__(self) -> str:
        return self.literal


def refuse_lists(heading: str, items: Sequence[str]) -> str:
    """The Joiner of files whose cells hold one thing each."""
    raise InvalidCell("list_in_cell", f"{heading}: the cell holds a list; write one value.")


def number_text(literal: str) -> str:
    """A number as it is written in a file, as its shortest exact decimal. Raises InvalidCell."""
    try:
        number = Decimal(literal)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise InvalidCell("invalid_number", f"{literal[:50]} is not a number that can be read exactly.")
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cell_text(value: object, heading: str, join: Joiner) -> str:
    """A value as the text of its cell. Raises InvalidCell."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return _joined(value, heading, join)
    return _scalar(value, heading)


def _scalar(value: object, heading: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return number_text(repr(value) if isinstance(value, float) else str(value))
    if isinstance(value, Unreadable):
        return number_text(value.literal)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return _utf8(value, heading)
    message = f"{heading}: the cell holds an object with fields of its own; give each field a column."
    raise InvalidCell("object_in_cell", message)


def _utf8(value: bytes, heading: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidCell("binary_in_cell", f"{heading}: the cell holds bytes that are no text.") from None


def _joined(items: list[object], heading: str, join: Joiner) -> str:
    if any(isinstance(item, list) for item in items):
        raise InvalidCell("list_in_cell", f"{heading}: the cell holds a list within a list; write one value.")
    texts = [_scalar(item, heading) if not isinstance(item, str) else item for item in items if item is not None]
    return join(heading, texts) if texts else ""


def record_of(row: int, values: Sequence[object], header: Sequence[str], join: Joiner) -> Record | BrokenRecord | None:
    """A row of values as a record, or what is wrong with it; None for a row that has nothing."""
    fields: list[str] = []
    fault: InvalidCell | None = None
    for value, heading in zip(values, header, strict=True):
        try:
            fields.append(value if isinstance(value, str) else cell_text(value, heading, join))
        except InvalidCell as found:
            fault = fault or found
            fields.append(str(value)[:200])
    return checked(row, fields, None if fault is None else (fault.code, fault.message))


def checked(row: int, fields: list[str], fault: tuple[str, str] | None = None) -> Record | BrokenRecord | None:
    """A row of cells as a record unless it has a `fault`, is too long, or holds what is no character."""
    text = "".join(fields)
    if not text and fault is None:
        return None
    if fault is None and len(text) > RECORD_CHARACTERS:
        fault = "row_too_long", f"The row is longer than {RECORD_CHARACTERS} characters."
    if fault is None and not is_text(text):
        fault = "invalid_character", "The row contains a NUL or half a character, which no text has."
    if fault is None:
        return row, fields
    return BrokenRecord(row, [shown(field) for field in fields], *fault)


def is_text(text: str) -> bool:
    """Whether all characters are such as a database and a file can hold."""
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def shown(cell: str) -> str:
    """A cell of a refused row as its error file can hold it."""
    if len(cell) > RECORD_CHARACTERS // 2:
        cell = cell[:1000] + "…"
    return cell if is_text(cell) else cell.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
