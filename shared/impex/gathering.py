"""Gathers the rows of one product, which stand together in a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.impex.arranging import PRODUCT_ROWS, TOO_MANY_ROWS
from shared.impex.keys import KeyIndex, slug
from shared.impex.keys import handle as given_handle
from shared.impex.layout import Layout
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice, RowError, shortened


@dataclass(slots=True)
class Group:
    """Rows of one product that stand together. `earlier` is the row where the same product stood before."""

    handle: str
    records: list[Record]
    earlier: int | None


class Gathering:
    """Gathers each file once: it remembers the handles that were there."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._handles = KeyIndex()

    def groups(self, records: Iterable[Record | BrokenRecord]) -> Iterator[Group | RowError | Notice]:
        """Every row is in one group or one error. Adds an empty field after the last of each row."""
        group: Group | None = None
        last_cell = ""
        column = self._layout.handle
        for record in records:
            if isinstance(record, BrokenRecord):
                yield broken(record)
                continue
            record[1].append("")
            cell = record[1][column]
            if group is None or not cell or cell != last_cell:
                handle = given_handle(cell) or slug(record[1][self._layout.title])
                if not handle:
                    yield RowError(record[0], None, None, "missing_handle", "The row names no product.")
                    continue
                if group is None or handle != group.handle:
                    if group:
                        yield group
                    group = Group(handle, [], self._handles.add(handle, record[0]))
                    yield from self._changed(record[0], cell, handle)
                last_cell = cell
            if len(group.records) < PRODUCT_ROWS:
                group.records.append(record)
            else:
                yield RowError(record[0], None, None, TOO_MANY_ROWS.code, TOO_MANY_ROWS.message)
        if group:
            yield group

    def _changed(self, row: int, cell: str, handle: str) -> Iterator[Notice]:
        if cell.strip() not in ("", handle):
            column = self._layout.header[self._layout.handle]
            yield Notice(row, column, shortened(cell), "handle_changed", f"The handle is kept as '{handle}'.")


def broken(record: BrokenRecord) -> RowError:
    """Why a row cannot be read: the cell that is at fault, or all of the line."""
    if record.column is not None:
        value = shortened(record.value) if record.value else None
        return RowError(record.row, record.column, value, record.code, record.message)
    return RowError(record.row, None, shortened(" ¦ ".join(record.fields)), record.code, record.message)
