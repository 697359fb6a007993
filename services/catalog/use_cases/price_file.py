"""A file of prices: one row per SKU, quantity, list, centre and beginning.

| heading | what it holds |
|---|---|
| `sku` | the variant |
| `price`, `list_price` | major units: `19.90`; without list price the price is not a reduction |
| `minimum_quantity` | from how many units on, 1 when empty |
| `on_request` | true where the price is told on request; the row has none then |
| `centre` | the code of the only fulfilment centre that the price is for |
| `starts_at`, `ends_at` | when the price applies: `2026-03-01T09:00:00+01:00`, or a day of universal time |
| `price_list` | one of the shop's lists, by its name or id; empty, the shop's own standing list |
| `customer_group` | the group whose list is meant; without `price_list` its standing list, made where it has none |

Prices are in the currency of their list. A file may say it in a column `currency`: another one than the list's is an
error, for the figure would be taken for something that it is not.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.errors import DuplicateHeaders, MissingHeaders
from shared.impex.keys import KeyIndex, folded
from shared.impex.profiles.base import ERROR_COLUMNS
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice, RowError, shortened
from shared.impex.source import Source
from shared.impex.writing_guard import unguarded_records
from shared.money import EXPONENTS, Money

HEADINGS = (
    *("sku", "price", "list_price", "minimum_quantity", "on_request", "centre", "starts_at", "ends_at"),
    *("price_list", "customer_group"),
)
# Read, and written by no export: each list has its currency.
_CURRENCY = "currency"
_ABOVE_ZERO = re.compile("[1-9]")
# Longer ones are no group's.
_LONGEST_GROUP = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KnownList:
    """A price list of the shop. `is_standing`: it is the one that is meant where its group alone is named."""

    id: UUID
    name: str
    customer_group: str | None
    currency: str
    is_standing: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The list that a price stands in: one that there is, or the standing list of a group that has none yet."""

    list_id: UUID | None
    customer_group: str | None
    currency: str

    @property
    def key(self) -> str:
        return f"{self.list_id or ''}\x1f{self.customer_group or ''}"


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """One row, readable. Without `price` it is on request, or, where files may say so, the price goes."""

    row: int
    place: Place
    sku: str
    minimum_quantity: int
    price: Money | None
    list_price: Money | None
    is_on_request: bool = False
    centre: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(slots=True)
class PriceChunk:
    """Rows of a file. `begun` are the places and SKUs that no portion before has named, `refused` SKUs of bad rows."""

    prices: list[PriceRecord] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    begun: set[tuple[Place, str]] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    centres: set[str] = field(default_factory=set)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class PriceLayout:
    """Where the columns stand. `handle` points behind the last one: no row describes another."""

    header: tuple[str, ...]
    index: dict[str, int]
    unknown: tuple[int, ...]
    handle: int

    @classmethod
    def of(cls, header: tuple[str, ...], required: Sequence[str]) -> "PriceLayout":
        """Raises MissingHeaders, DuplicateHeaders."""
        names = {folded(name): name for name in (*HEADINGS, _CURRENCY)}
        index: dict[str, int] = {}
        unknown = []
        for column, heading in enumerate(header):
            name = names.get(folded(heading))
            if name is None:
                unknown += [column] if heading and heading not in ERROR_COLUMNS else []
            elif name in index:
                raise DuplicateHeaders(f"'{header[index[name]]}' and '{heading}' are the same column: remove one.")
            else:
                index[name] = column
        missing = [name for name in required if name not in index]
        if missing:
            raise MissingHeaders(f"A prices file needs a column headed {' and one headed '.join(missing)}.")
        return cls(header, index, tuple(unknown), len(header))

    def cell(self, fields: list[str], name: str) -> str:
        column = self.index.get(name)
        return "" if column is None else fields[column].strip()

    def heading(self, name: str) -> str | None:
        """The uploader's own; None where the file has no such column."""
        return self.header[self.index[name]] if name in self.index else None


class PriceFile:
    """A file of prices. A price that comes twice is an error on the later row.

    `empties`: a row without a price takes the one that is there away. `keys_only`: nothing but what a row names is
    read. `currency` is that of lists that are still to be made.
    """

    def __init__(
        self,
        source: Source,
        lists: Sequence[KnownList],
        currency: str,
        *,
        empties: bool = False,
        keys_only: bool = False,
    ) -> None:
        self.source = source
        self.layout = PriceLayout.of(source.header, ("sku",) if keys_only else ("sku", "price"))
        self._lists = lists
        self._currency = currency
        self.may_be_empty = empties or keys_only
        self.keys_only = keys_only

    def chunks(self, rows: int, *, zeros_only: bool = False) -> Iterator[PriceChunk]:
        """The file in portions of about `rows`; rows of one SKU that stand together stay together.

        With `zeros_only` nothing but rows whose price has no digit above zero.

        Raises InvalidEncoding, TooManyBrokenQuotes.
        """
        chunk = PriceChunk(notices=[self._unknown(column) for column in self.layout.unknown])
        seen, begun = KeyIndex(), KeyIndex()
        last = ""
        for record in unguarded_records(self.source.records()):
            if zeros_only and not self._may_be_zero(record):
                continue
            reading = _Reading(self, record)
            if chunk.rows >= rows and reading.sku != last:
                yield chunk
                chunk = PriceChunk()
            chunk.rows += 1
            last = reading.sku
            outcome = reading.outcome(seen)
            if isinstance(outcome, PriceRecord):
                self._add(chunk, outcome, begun)
            else:
                chunk.errors += outcome
                chunk.refused.add(reading.sku)
        if chunk.rows:
            yield chunk

    def _may_be_zero(self, record: Record | BrokenRecord) -> bool:
        return not isinstance(record, BrokenRecord) and not _ABOVE_ZERO.search(self.layout.cell(record[1], "price"))

    @staticmethod
    def _add(chunk: PriceChunk, price: PriceRecord, begun: KeyIndex) -> None:
        chunk.prices.append(price)
        if price.centre is not None:
            chunk.centres.add(price.centre)
        if not begun.add(f"{price.place.key}\x1f{price.sku}", price.row):
            chunk.begun.add((price.place, price.sku))

    def _unknown(self, column: int) -> Notice:
        message = "The column is not known and not read."
        return Notice(1, self.layout.header[column], None, "unknown_column", message)

    def place(self, named: str, group: str) -> Place:
        """Raises InvalidCell."""
        if named:
            fitting = [each for each in self._lists if named in (each.name, str(each.id))]
            fitting = [each for each in fitting if not group or each.customer_group == group]
        else:
            fitting = [each for each in self._lists if each.is_standing and (each.customer_group or "") == group]
        if len(fitting) > 1:
            by_id = [each for each in fitting if named == str(each.id)]
            if len(by_id) != 1:
                message = f"The shop has {len(fitting)} lists called {named!r}: write the id of the one that is meant."
                raise InvalidCell("ambiguous_price_list", message)
            fitting = by_id
        if fitting:
            return Place(fitting[0].id, fitting[0].customer_group, fitting[0].currency)
        if named:
            of_group = f" for the group {group!r}" if group else ""
            raise InvalidCell("unknown_price_list", f"The shop has no price list {named!r}{of_group}.")
        return Place(None, group or None, self._currency)


class _Reading:
    """One row being read."""

    def __init__(self, file: PriceFile, record: tuple[int, list[str]] | BrokenRecord) -> None:
        self._file = file
        self._layout = file.layout
        self._record = record
        self._errors: list[RowError] = []
        self._row, self._fields = (record.row, []) if isinstance(record, BrokenRecord) else record
        self.sku = "" if isinstance(record, BrokenRecord) else self._cell("sku")

    def outcome(self, seen: KeyIndex) -> PriceRecord | list[RowError]:
        if isinstance(self._record, BrokenRecord):
            record = self._record
            return [RowError(record.row, None, shortened(" ¦ ".join(record.fields)), record.code, record.message)]
        if not self.sku:
            return [RowError(self._row, self._layout.heading("sku"), None, "missing_sku", "The row names no SKU.")]
        price = self._price()
        if price is None or self._errors:
            return self._errors
        key = f"{price.place.key}\x1f{price.minimum_quantity}\x1f{price.centre}\x1f{price.starts_at}\x1f{price.sku}"
        if earlier := seen.add(key, self._row):
            message = f"Row {earlier} has a price for the same SKU and quantity; one of them is wrong."
            self._refuse("sku", "duplicate_key" if self._file.keys_only else "duplicate_sku", message)
        return self._errors or price

    def _price(self) -> PriceRecord | None:
        place = self._place()
        if place is None:
            return None
        self._check_currency(place)
        price = PriceRecord(
            row=self._row,
            place=place,
            sku=self.sku,
            minimum_quantity=self._read("minimum_quantity", _quantity) or 1,
            centre=self._cell("centre") or None,
            starts_at=self._read("starts_at", cells.moment),
            **self._values(place),
        )
        self._check(price)
        return price

    def _values(self, place: Place) -> dict[str, Any]:
        if self._file.keys_only:
            return {"price": None, "list_price": None}

        def money(cell: str) -> Money:
            return cells.price(cell, place.currency)

        return {
            "price": self._read("price", money),
            "list_price": self._read("list_price", money),
            "is_on_request": bool(self._read("on_request", cells.boolean)),
            "ends_at": self._read("ends_at", cells.moment),
        }

    def _check(self, price: PriceRecord) -> None:
        if self._errors:
            return
        if price.is_on_request and (price.price is not None or price.list_price is not None):
            self._refuse("on_request", "contradictory_price", "A price on request has no amount.")
        elif price.price is None and price.list_price is not None:
            self._refuse("list_price", "contradictory_price", "Without a price there is no list price.")
        elif price.price is None and not price.is_on_request and not self._file.may_be_empty:
            self._refuse("price", "missing_price", "The row has no price.")
        elif price.starts_at is not None and price.ends_at is not None and price.ends_at <= price.starts_at:
            self._refuse("ends_at", "ends_before_it_starts", "The price would end before it starts.")

    def _place(self) -> Place | None:
        named, group = self._cell("price_list"), self._cell("customer_group")
        if len(group) > _LONGEST_GROUP:
            self._refuse("customer_group", "invalid_group", f"A group has at most {_LONGEST_GROUP} characters.")
            return None
        try:
            return self._file.place(named, group)
        except InvalidCell as fault:
            self._refuse("price_list", fault.code, fault.message)
            return None

    def _check_currency(self, place: Place) -> None:
        said = self._cell(_CURRENCY).upper()
        if not said or said == place.currency or self._file.keys_only:
            return
        if said not in EXPONENTS:
            self._refuse(_CURRENCY, "unknown_currency", f"{said[:20]!r} is not an ISO 4217 currency code.")
        else:
            self._refuse(_CURRENCY, "wrong_currency", f"The price list is in {place.currency}, not in {said}.")

    def _cell(self, name: str) -> str:
        return self._layout.cell(self._fields, name)

    def _read(self, name: str, convert: Callable[[str], T]) -> T | None:
        cell = self._cell(name)
        try:
            return convert(cell) if cell else None
        except InvalidCell as fault:
            self._refuse(name, fault.code, fault.message)
            return None

    def _refuse(self, name: str, code: str, message: str) -> None:
        value = shortened(self._cell(name)) or None
        self._errors.append(RowError(self._row, self._layout.heading(name), value, code, message))


def _quantity(cell: str) -> int:
    quantity = cells.integer(cell)
    if not 1 <= quantity <= 1_000_000:
        message = f"{cell!r} is not a quantity that prices begin at: from 1 to 1,000,000."
        raise InvalidCell("invalid_integer", message)
    return quantity
