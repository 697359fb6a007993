"""What is in a file, one thing after the other: records, and what can not be read. Blocking: in a thread."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.files import mapping
from services.sync.platforms.files.places import Seen
from services.sync.platforms.files.settings import FileEntity, FileRule, FilesSettings
from shared.errors import CrossdockError
from shared.impex.arranging import ArrangedSource
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.products import ProductFile
from shared.impex.rows import Notice, RowError
from shared.impex.source import Source
from shared.imports.order_rows import COLUMNS, KEY, Assembly, Connections, OrderArrangement, gathered
from shared.imports.tables import TableFile

Item = Record | Unread
_ROWS_AT_ONCE = 500


def spool() -> BinaryIO:
    """A file of our own that is gone when nobody holds it any more."""
    return tempfile.NamedTemporaryFile(prefix="crossdock-")  # type: ignore[return-value]


def digest_of(file: BinaryIO) -> str:
    """The SHA-256 of a spooled file."""
    file.flush()
    with Path(file.name).open("rb") as content:
        return hashlib.file_digest(content, hashlib.sha256).hexdigest()


@dataclass
class Reading:
    """A file that is being read: `given` things have been so far. Ends with what holds `file`."""

    file: BinaryIO
    seen: Seen
    sha256: str
    items: Iterator[Item]
    given: int = 0
    _next: list[Item] = field(default_factory=list)

    def take(self, count: int, given: int) -> tuple[list[Item], bool]:
        """The next things behind the first `given` ones, and whether there are more. Raises PlatformRefused."""
        assert given >= self.given, "a file is read forwards"
        try:
            self._next += islice(self.items, given + count + 1 - self.given - len(self._next))
        except CrossdockError as error:
            raise PlatformRefused(f"'{self.seen.name}': {error.detail}") from error
        found = self._next[given - self.given :]
        self._next, self.given = found[count:], given + len(found[:count])
        return found[:count], bool(self._next)


def read(file: BinaryIO, seen: Seen, sha256: str, entity: FileEntity, settings: FilesSettings) -> Reading:
    """Begin to read a spooled file. Raises PlatformRefused for one that is none of its kind."""
    rule = settings.rule(entity)
    assert rule is not None
    try:
        path = Path(file.name)
        source = open_source(path, _options(entity, rule))
        items = _READERS[entity](source, seen, settings)
    except CrossdockError as error:
        raise PlatformRefused(f"'{seen.name}': {error.detail}") from error
    return Reading(file, seen, sha256, items)


def _options(entity: FileEntity, rule: FileRule) -> ReadingOptions:
    group = "products" if entity == "product" else f"{entity}s"
    return ReadingOptions(encoding=rule.encoding, delimiter=rule.delimiter, group=group, profile=rule.profile)


def _products(source: Source, seen: Seen, settings: FilesSettings) -> Iterator[Item]:
    rule = settings.products
    file = ProductFile(source, None if rule is None else rule.profile, settings.currency)
    fields = file.fields
    return (
        mapping.unread(each) if isinstance(each, RowError) else mapping.product(each, fields)
        for each in file.read()
        if not isinstance(each, Notice)
    )


def _orders(source: Source, seen: Seen, settings: FilesSettings) -> Iterator[Item]:
    """The orders of a file, each whole or not at all; one that no time is said of changed when the file did."""
    file = TableFile(source, COLUMNS, "orders", ())
    arrangement = OrderArrangement(file.layout.index[KEY])
    arranged = ArrangedSource(source, arrangement, Path(tempfile.gettempdir()))
    assembly = Assembly(file, _ThisOne(()), datetime.fromtimestamp(seen.modified_ns / 1e9, UTC))
    return _assembled(gathered(arranged, file), assembly, arrangement)


def _assembled(orders: Iterable[Any], assembly: Assembly, arrangement: OrderArrangement) -> Iterator[Item]:
    for rows in orders:
        order = assembly.order(rows, arrangement.doubt_about(rows.row)) if rows.external_id else None
        if order is not None:
            yield mapping.order(order.remote)
            continue
        for error in rows.refused() if rows.external_id else rows.errors:
            yield mapping.unread(error, rows.external_id or None)


class _ThisOne(Connections):
    """Whatever a file says of connections: it was laid here, and its orders are this connection's."""

    def named(self, cell: str | None) -> dict[str, Any]:
        return {"id": None}


def _table(entity: FileEntity) -> Callable[[Source, Seen, FilesSettings], Iterator[Item]]:
    def items(source: Source, seen: Seen, settings: FilesSettings) -> Iterator[Item]:
        columns, key = mapping.TABLES[entity]
        return _rows_of(TableFile(source, columns, f"{entity}s", key), entity, settings)

    return items


def _rows_of(file: TableFile, entity: FileEntity, settings: FilesSettings) -> Iterator[Item]:
    for chunk in file.chunks(_ROWS_AT_ONCE):
        yield from map(mapping.unread, chunk.errors)
        for row in chunk.items:
            try:
                yield mapping.row(entity, row.values, settings)
            except ValueError as error:
                yield Unread(None, f"line {row.row}: {error}")


_READERS: dict[FileEntity, Callable[[Source, Seen, FilesSettings], Iterator[Item]]] = {
    "product": _products,
    "order": _orders,
    "stock": _table("stock"),
    "supplier": _table("supplier"),
    "supplier_link": _table("supplier_link"),
}
