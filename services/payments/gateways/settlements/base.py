"""What a layout of settlement files does: say whether a file is one of it, and what its lines tell."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.payments.errors import InvalidSettlementFile, UnreadableCallback, Unusable
from services.payments.gateways import reading
from services.payments.gateways.apis.base import Told
from services.payments.notices import Notice

MOST_LINES = 300_000
_LONGEST_FIELD = 10_000
Line = Mapping[str, str]


class Layout(Protocol):
    """One layout. `needed` are the headings that a file of it has, whatever their order and case."""

    @property
    def name(self) -> str: ...
    @property
    def needed(self) -> tuple[str, ...]: ...

    def read(self, lines: Iterable[Line], settings: Mapping[str, Any]) -> Iterator[Told]:
        """What the lines tell; those that are about no payment (fees, payouts) tell nothing.

        `settings` are the gateway's. Raises InvalidSettlementFile for a file that cannot be this gateway's.
        """


@dataclass(frozen=True)
class Table:
    """A file's headings, in lower case, and the lines below them."""

    headings: tuple[str, ...]
    lines: Iterator[Line]


def open_table(content: bytes, starts: str | None = None) -> Table:
    """A file as a table. With `starts`, headings and lines begin with such a column, as PayPal's `CH` and `SB`.

    Raises InvalidSettlementFile for what is no CSV in UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSettlementFile(f"The file is not in UTF-8 (at byte {error.start}).") from None
    rows = _rows(text)
    for row in rows:
        if any(cell.strip() for cell in row) and (starts is None or row[0].strip() == starts):
            headings = tuple(cell.strip().lower() for cell in row)
            return Table(headings, _lines(headings, rows))
    raise InvalidSettlementFile("The file has no line of headings.")


def _rows(text: str) -> Iterator[list[str]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)):
            if number > MOST_LINES:
                raise InvalidSettlementFile(f"The file has more than {MOST_LINES} lines; split it.")
            if any(len(cell) > _LONGEST_FIELD or "\0" in cell for cell in row):
                raise InvalidSettlementFile(f"Line {number + 1} has a field that is too long, or holds a zero byte.")
            yield row
    except csv.Error as error:
        raise InvalidSettlementFile(f"The file is not CSV: {error}.") from None


def _lines(headings: tuple[str, ...], rows: Iterator[list[str]]) -> Iterator[Line]:
    for row in rows:
        if any(cell.strip() for cell in row):
            yield dict(zip(headings, (cell.strip() for cell in row), strict=False))


def told_line(kind: str, line: Line, name: str, read: Callable[[Line], Notice | None]) -> Told:
    """What one line tells. Never raises: what cannot be read says so."""
    reference = f"{kind} {line.get(name) or 'without an id'}"[:300]
    try:
        return Told(reference, read(line))
    except Unusable as error:
        return Told(reference, None, error.detail)


def name_of(line: Line, *headings: str) -> str:
    """The first of these that has a usable text. Raises UnreadableCallback."""
    found = reading.find_name(line, *headings)
    if found is None:
        raise UnreadableCallback(f"The line has no '{headings[0]}'.")
    return found


def time_of(line: Line, heading: str) -> datetime | None:
    """A time, in UTC where the line does not say otherwise; None where it is absent, or written in another way."""
    try:
        return reading.find_time(line, heading)
    except UnreadableCallback:
        return None


def major(line: Line, heading: str, currency: str) -> int:
    """An amount in major units without its sign, in our minor units. Raises Unusable."""
    return reading.major_units(line.get(heading, "").replace(",", "").lstrip("+-"), currency)
