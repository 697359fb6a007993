"""From the rows of a file to orders, each whole or not at all. Nothing here asks a database.

The rows of an order may stand anywhere in the file: they are brought together on disk (`OrderArrangement`). A row that
cannot be read may be a line of the order before it or behind it, so that neither of them is taken.

Exports leave the price of free shipping empty: where a method or a title of shipping stands without a price, it is 0 in
the order's currency. A price that was forgotten shows in the total: that differs, and the order waits for a person.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from shared.contracts.orders.imported import RemoteLine, RemoteOrder
from shared.impex import cells
from shared.impex.arranging import Arrangement, Misplaced
from shared.impex.cells import InvalidCell
from shared.impex.keys import KeyIndex
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import RowError
from shared.impex.source import Source
from shared.impex.writing_guard import unguarded, unguarded_records
from shared.imports.tables import Column, TableFile, TableRow
from shared.money import Money, UnknownCurrency, exponent
from shared.validation import first_sentence

MOST_LINES = 1000
# Where a file names no method of shipping and yet a price or a title of it.
_SOME_METHOD = "other"
KEY = "external_id"
# In place of a connection: an order of Crossdock's own, by its id.
OWN_ORDERS = "crossdock"
ADDRESS = ("company", "line1", "line2", "city", "region", "postal_code", "country", "phone")
_AMOUNTS = ("total", "discount", "tax", "shipping_price", "unit_price", "line_discount", "line_tax")
_OF_LINE = ("sku", "title", "quantity", "unit_price", "line_discount", "line_tax")


def _needed(name: str, convert: Any = cells.text) -> Column:
    return Column(name, convert, is_required=True, may_be_empty=True)


COLUMNS = (
    Column(KEY, is_required=True),
    Column("connection"),
    Column("number"),
    _needed("status"),
    _needed("is_paid", cells.boolean),
    _needed("placed_at", cells.moment),
    Column("updated_at", cells.moment),
    _needed("currency", str.upper),
    _needed("total"),
    Column("discount"),
    Column("discount_name"),
    Column("tax"),
    Column("tax_name"),
    Column("tax_included", cells.boolean),
    Column("shipping_price"),
    Column("shipping_method"),
    Column("shipping_title"),
    _needed("customer_email"),
    _needed("customer_name"),
    Column("ship_to"),
    *(_needed(name) if name in ("line1", "city", "country") else Column(name) for name in ADDRESS),
    Column("sku", is_required=True),
    Column("title"),
    Column("quantity", cells.positive, is_required=True),
    Column("unit_price", is_required=True),
    Column("line_discount"),
    Column("line_tax"),
)
_OWN = tuple(column.name for column in COLUMNS if column.name not in (KEY, *_OF_LINE))
_NEEDED = tuple(column.name for column in COLUMNS if column.may_be_empty)
# Where the contract's names are not those of the columns.
_COLUMN_OF: Mapping[tuple[str, ...], str] = {
    ("customer", "email"): "customer_email",
    ("customer", "name"): "customer_name",
    ("shipping_address", "name"): "ship_to",
    ("discounts", "name"): "discount_name",
    ("discounts", "amount"): "discount",
    ("taxes", "name"): "tax_name",
    ("taxes", "amount"): "tax",
    ("shipping", "method"): "shipping_method",
    ("shipping", "title"): "shipping_title",
    ("shipping", "price"): "shipping_price",
}
_COLUMN_OF_LINE = {"discounts": "line_discount", "taxes": "line_tax"}


_TOO_MANY_LINES = Misplaced("too_many_lines", f"An order has at most {MOST_LINES} rows.")


class OrderArrangement(Arrangement):
    """Rows of the same external id together.

    Keeps some 24 bytes for each order of the file, and as many again for each beside a row that cannot be read: in a
    file where every other row is such a one, for every order.
    """

    added: Sequence[str] = ()
    # One more than is taken, so that the order is seen to have too many.
    most_rows: ClassVar[int] = MOST_LINES + 1
    beyond: ClassVar[Misplaced] = _TOO_MANY_LINES

    def __init__(self, key: int, connection: int | None = None) -> None:
        self._key = key
        self._connection = connection
        # Whether any row names an order of Crossdock's own.
        self.has_own = False
        self._first_rows = KeyIndex()
        # By the row that an order begins with.
        self._doubts = KeyIndex()
        self._before: int | None = None
        self._unread: int | None = None

    def learn(self, row: int, fields: Sequence[str]) -> None:
        external_id = self._external_id(fields)
        if not external_id:
            self._pass(row)
            return
        if self._connection is not None and unguarded(fields[self._connection]).strip() == OWN_ORDERS:
            self.has_own = True
        first = self._first_rows.add(external_id, row) or row
        if self._unread is not None:
            self._doubts.add(str(first), self._unread)
        self._before, self._unread = first, None

    def pass_over(self, record: BrokenRecord) -> None:
        self._pass(record.row)

    def _pass(self, row: int) -> None:
        if self._before is not None:
            self._doubts.add(str(self._before), row)
        self._unread = row

    def doubt_about(self, first: int) -> int | None:
        """The row that cannot be read and may belong to the order whose first row is this."""
        return self._doubts.find(str(first))

    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        external_id = self._external_id(fields)
        first = self._first_rows.add(external_id, row) if external_id else None
        return first or row, row

    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        for row, _ in group:
            yield row, {}

    def _external_id(self, fields: Sequence[str]) -> str:
        return unguarded(fields[self._key]).strip()


@dataclass(frozen=True)
class Connections:
    """The connections that a file may name, by id or by name."""

    rows: Sequence[asyncpg.Record]

    @property
    def only(self) -> asyncpg.Record | None:
        """The one that is meant where none is named."""
        return self.rows[0] if len(self.rows) == 1 else None

    def named(self, cell: str | None) -> asyncpg.Record:
        """Raises InvalidCell."""
        if cell is None:
            if self.only is None:
                raise InvalidCell("missing_value", "The order has no connection, and there is not just one.")
            return self.only
        found = [row for row in self.rows if cell.lower() == str(row["id"]) or cell == row["name"]]
        if not found:
            raise InvalidCell("unknown_connection", f"There is no connection {cell[:100]!r}.")
        if len(found) > 1:
            raise InvalidCell(
                "ambiguous_connection", f"{len(found)} connections are called {cell[:100]!r}: write the id of one."
            )
        return found[0]


@dataclass(frozen=True, slots=True)
class FileOrder:
    """An order as the file has it. `row` is its first one."""

    row: int
    connection_id: UUID
    remote: RemoteOrder


@dataclass
class OrderRows:
    """Rows of one external id, as they are gathered. Of more than an order can have only the numbers are kept."""

    row: int
    external_id: str
    items: list[TableRow] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)

    def add(self, row: int, read: TableRow | list[RowError]) -> None:
        self.numbers.append(row)
        if not isinstance(read, TableRow):
            self.errors += read
        elif len(self.numbers) <= MOST_LINES:
            self.items.append(read)

    def refused(self) -> list[RowError]:
        """An error for each row: the order is corrected whole, and uploaded again whole."""
        told = {error.row for error in self.errors}
        message = f"Another row of the order {self.external_id[:100]!r} has an error: it is taken whole or not at all."
        return self.errors + [
            RowError(row, None, None, "order_refused", message) for row in self.numbers if row not in told
        ]


def gathered(source: Source, file: TableFile) -> Iterator[OrderRows]:
    """The rows of an arranged file by order; a row without an order by itself, under an empty id."""
    key = file.layout.index[KEY]
    rows: OrderRows | None = None
    for record in unguarded_records(source.records()):
        row = record.row if isinstance(record, BrokenRecord) else record[0]
        external_id = "" if isinstance(record, BrokenRecord) else record[1][key].strip()
        if rows is None or not external_id or external_id != rows.external_id:
            if rows is not None:
                yield rows
            rows = OrderRows(row, external_id)
        rows.add(row, file.read(record))
    if rows is not None:
        yield rows


class Assembly:
    """Makes an order of its rows. `told_at` is when an order changed that the file gives no time of."""

    def __init__(self, file: TableFile, connections: Connections, told_at: datetime) -> None:
        self._file = file
        self._connections = connections
        self._told_at = told_at
        self._has_times = file.layout.heading("updated_at") is not None

    def order(self, rows: OrderRows, unread: int | None) -> FileOrder | None:
        """The order, or None where any of its rows has an error. `unread` is a row that may belong to it."""
        if len(rows.numbers) > MOST_LINES:
            code, message = _TOO_MANY_LINES.code, _TOO_MANY_LINES.message
            rows.errors.append(RowError(rows.row, self._file.layout.heading(KEY), None, code, message))
        if unread is not None:
            message = f"Row {unread} beside it cannot be read and may be one of its lines."
            rows.errors.append(RowError(rows.row, None, None, "row_beside_unreadable", message))
        if rows.errors:
            return None
        items = self._with_amounts(rows)
        own = self._own(rows, items) if not rows.errors else {}
        if rows.errors:
            return None
        connection = self._connection(rows, items, own["connection"])
        lines = [line for item in items if (line := self._line(rows, item, own)) is not None]
        if connection is None or rows.errors:
            return None
        remote = self._remote(rows, items[0], own, lines)
        return None if remote is None else FileOrder(rows.row, connection["id"], remote)

    def _with_amounts(self, rows: OrderRows) -> list[TableRow]:
        """The rows with their amounts in the order's currency."""
        said = next((item for item in rows.items if item.values["currency"]), None)
        if said is None:
            return rows.items
        currency = said.values["currency"]
        try:
            exponent(currency)
        except UnknownCurrency as fault:
            rows.errors.append(self._file.refused(said, "currency", "unknown_currency", fault.detail))
            return rows.items
        return [self._in_currency(rows, item, currency) for item in rows.items]

    def _in_currency(self, rows: OrderRows, item: TableRow, currency: str) -> TableRow:
        amounts: dict[str, Any] = {}
        for name in _AMOUNTS:
            cell = item.values.get(name)
            try:
                amounts[name] = None if cell is None else cells.price(cell, currency)
            except InvalidCell as fault:
                rows.errors.append(self._file.refused(item, name, fault.code, fault.message))
        return TableRow(item.row, {**item.values, **amounts})

    def _own(self, rows: OrderRows, items: Sequence[TableRow]) -> Mapping[str, Any]:
        """What the rows say of the order itself, in which they must agree; an empty cell says nothing."""
        own: dict[str, Any] = dict.fromkeys(_OWN)
        told: dict[str, int] = {}
        for item in items:
            for name in _OWN:
                value = item.values.get(name)
                if value is None:
                    continue
                if own[name] is None:
                    own[name], told[name] = value, item.row
                elif own[name] != value:
                    message = f"Row {told[name]} of the same order says something else."
                    rows.errors.append(self._file.refused(item, name, "rows_disagree", message))
        needed = (*_NEEDED, "updated_at") if self._has_times else _NEEDED
        for name in needed:
            if own[name] is None:
                message = f"The order has no {name} in any of its rows."
                rows.errors.append(self._file.refused(items[0], name, "missing_value", message))
        return own

    def _connection(self, rows: OrderRows, items: Sequence[TableRow], cell: str | None) -> asyncpg.Record | None:
        try:
            return self._connections.named(cell)
        except InvalidCell as fault:
            item = next((item for item in items if item.values.get("connection")), items[0])
            rows.errors.append(self._file.refused(item, "connection", fault.code, fault.message))
            return None

    def _line(self, rows: OrderRows, item: TableRow, own: Mapping[str, Any]) -> RemoteLine | None:
        said = item.values
        values = {
            "sku": said["sku"],
            "quantity": said["quantity"],
            "unit_price": said["unit_price"],
            "title": said.get("title"),
            "discounts": _charges(said.get("line_discount"), own["discount_name"] or "Discount"),
            "taxes": _charges(said.get("line_tax"), own["tax_name"] or "Tax", included=bool(own["tax_included"])),
        }
        try:
            return RemoteLine.model_validate(values)
        except ValidationError as error:
            place, sentence = first_sentence(error, RemoteLine)
            column = str(place[0])
            rows.errors.append(self._invalid(item, _COLUMN_OF_LINE.get(column, column), sentence))
            return None

    def _remote(
        self, rows: OrderRows, item: TableRow, own: Mapping[str, Any], lines: Sequence[RemoteLine]
    ) -> RemoteOrder | None:
        try:
            return RemoteOrder.model_validate(self._values(rows, own, lines))
        except ValidationError as error:
            place, sentence = first_sentence(error, RemoteOrder)
            names = tuple(part for part in place if isinstance(part, str))
            column = _COLUMN_OF.get(names[:2], names[-1] if names else KEY)
            rows.errors.append(self._invalid(item, column, sentence))
            return None

    def _values(self, rows: OrderRows, own: Mapping[str, Any], lines: Sequence[RemoteLine]) -> dict[str, Any]:
        as_they_are = ("number", "status", "is_paid", "placed_at", "total")
        return {
            **{name: own[name] for name in as_they_are},
            "external_id": rows.external_id,
            "updated_at": own["updated_at"] or self._told_at,
            "lines": lines,
            "discounts": _charges(own["discount"], own["discount_name"] or "Discount"),
            "taxes": _charges(own["tax"], own["tax_name"] or "Tax", included=bool(own["tax_included"])),
            "shipping": _shipping(own),
            "customer": {"email": own["customer_email"], "name": own["customer_name"]},
            "shipping_address": {"name": own["ship_to"], **{name: own[name] for name in ADDRESS}},
        }

    def _invalid(self, item: TableRow, column: str, message: str) -> RowError:
        return self._file.refused(item, column, "invalid_value", f"{column}: {message}.")


def _charges(amount: Money | None, name: str, **options: Any) -> list[dict[str, Any]]:
    return [{"name": name, "amount": amount, **options}] if amount is not None and amount.amount else []


def _shipping(own: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the order travels, where the file says anything of it; free where it gives no price."""
    price, method, title = (own[f"shipping_{name}"] for name in ("price", "method", "title"))
    if price is None and method is None and title is None:
        return None
    free = Money(amount=0, currency=own["currency"])
    return {"method": method or _SOME_METHOD, "title": title, "price": free if price is None else price}
