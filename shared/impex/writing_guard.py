"""Cells that no spreadsheet executes, and what they were before.

A spreadsheet that opens a text file takes a cell for a formula when it begins with one of `= + - @`, a tab or a line
break, also in full width and after space (OWASP, "CSV Injection"). In the text files that we write, such a cell has an
apostrophe before it. Reading takes it off again, in every format, because a spreadsheet saves what it was given: so a
cell of that form that was there before has one more.

    -5      becomes  '-5       and is read as  -5
    '-5     becomes  ''-5      and is read as  '-5
    'tis    stays    'tis
"""

import re
from collections.abc import Iterable, Iterator

from shared.impex.records import BrokenRecord, Record

_FORMULA = r"\s*[=+\-@\t\r\n＝＋－＠]"
_EXECUTED = re.compile(_FORMULA)
_GUARDED = re.compile(f"'+{_FORMULA}")
# What the first character of a cell has to be for either of them: spaces as `str.isspace` has them.
_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
RISKY = frozenset(f"=+-@＝＋－＠'{_SPACES}")


def guarded(cell: str) -> str:
    """The cell for a text file."""
    return f"'{cell}" if _EXECUTED.match(cell) or _GUARDED.match(cell) else cell


def escaped(cell: str) -> str:
    """The cell for a file in which every cell has a type, so that a text is never executed."""
    return f"'{cell}" if _GUARDED.match(cell) else cell


def unguarded(cell: str) -> str:
    """What a cell was before it was `guarded` or `escaped`."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell


def unguard(cells: list[str]) -> None:
    """Each cell as it was before, in place."""
    # No cell has a NUL: in one text the beginnings of all cells are found at once.
    if "\0'" in "\0" + "\0".join(cells):
        cells[:] = map(unguarded, cells)


def unguarded_records(records: Iterable[Record | BrokenRecord]) -> Iterator[Record | BrokenRecord]:
    """The records of a file as they were before their cells were guarded; broken ones as they are."""
    for record in records:
        if type(record) is tuple:
            unguard(record[1])
        yield record
