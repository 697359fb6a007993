"""What a profile is: the headings of one format, and how the cells below them become values."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from shared.impex import cells
from shared.impex.arranging import Arrangement
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.errors import DuplicateHeaders, MissingHeaders, UnknownHeaders
from shared.impex.keys import folded
from shared.impex.rows import Notice
from shared.impex.terms import UNSAID, FileTerms

Convert = Callable[[str], Any]

# The columns that our error file adds: nobody else's, and ignored when it is uploaded again.
ERROR_COLUMNS = ("error_code", "error_message")

# Fields of a profile that are no field of a record.
IGNORED = "ignored"
# Known, and nothing of ours: a notice tells the uploader.
NOT_KEPT = "not_kept"
ATTRIBUTE = "attribute:"
OPTIONS = 3


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the fields of a profile stand in one file, and which headings it does not know."""

    index: Mapping[str, int]
    unknown: tuple[int, ...]

    def fields(self) -> frozenset[str]:
        return frozenset(self.index)


class ProductProfile(ABC):
    """One format of product files. Holds no state: one instance serves all files."""

    name: ClassVar[str]
    # Canonical heading → field. Several headings may mean one field; a file may have one of them.
    headings: ClassVar[Mapping[str, str]]
    # A file without any of these has no rows that could be told apart.
    keys: ClassVar[tuple[str, ...]]
    # A row with something in one of these holds a variant; any other only adds to its product.
    variant_marks: ClassVar[tuple[str, ...]]
    # Whether the row that describes a product holds a variant even when none of the marks is there.
    first_row_is_variant: ClassVar[bool]
    # A file is taken for one of this profile only with one of these headings, if there are any.
    anchors: ClassVar[tuple[str, ...]] = ()
    # Of each of these, a file that is arranged needs one: it could not be without.
    needed: ClassVar[tuple[tuple[str, ...], ...]] = ()
    # Fields of a variant that several columns make together: `finish_variant` does.
    composed: ClassVar[frozenset[str]] = frozenset()
    # What separates several things in one cell, of the fields that may hold several.
    separators: ClassVar[Mapping[str, str]] = MappingProxyType({})
    # Whether handles are made of names, which change: products are known by their SKUs then, where these are known.
    makes_handles: ClassVar[bool] = False
    # What an uploader may say of all rows that makes a difference.
    terms: ClassVar[frozenset[str]] = frozenset()
    # Fields of a product that `finish` makes something of together, or that are neither plain texts nor attributes by
    # themselves: by these a file is read in columns (sheets.py). Without any it is read row by row.
    read_together: ClassVar[tuple[tuple[str, ...], ...]] = ()
    # Those of them that `finish` has something to do with.
    finished: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._folded = {folded(heading): field for heading, field in self.headings.items()}

    def field_of(self, heading: str) -> str | None:
        """The field that a column with this heading holds, IGNORED for one that is known and not used."""
        return IGNORED if heading in ERROR_COLUMNS else self._folded.get(folded(heading))

    def likelihood(self, header: Sequence[str]) -> tuple[int, int]:
        """How many headings are this profile's, and how many to the letter."""
        seen = {folded(heading) for heading in header}
        if self.anchors and seen.isdisjoint(map(folded, self.anchors)):
            return 0, 0
        known = sum(self.field_of(heading) is not None for heading in header if heading not in ERROR_COLUMNS)
        return known, sum(heading in self.headings for heading in header)

    def columns(self, header: Sequence[str]) -> Columns:
        """Raises UnknownHeaders, MissingHeaders, DuplicateHeaders."""
        index: dict[str, int] = {}
        unknown = []
        for position, heading in enumerate(header):
            field = self.field_of(heading)
            if field is None and heading:
                unknown.append(position)
            elif field is not None and field in index:
                raise DuplicateHeaders(f"'{header[index[field]]}' and '{heading}' are the same column: remove one.")
            elif field and field not in (IGNORED, NOT_KEPT):
                index[field] = position
        self._require(index, header)
        return Columns(index, tuple(unknown))

    def _require(self, index: Mapping[str, int], header: Sequence[str]) -> None:
        expected = [heading for heading, field in self.headings.items() if field in self.keys]
        if not index:
            seen = ", ".join(repr(heading) for heading in header[:8])
            example = self.needed[0][0] if self.needed else expected[0]
            raise UnknownHeaders(f"The headings {seen} are not those of a {self.name} file, such as {example!r}.")
        if not any(key in index for key in self.keys):
            raise MissingHeaders(f"A {self.name} file needs a column headed {' or '.join(map(repr, expected))}.")

    def notices(self, header: Sequence[str]) -> list[Notice]:
        """What is to be said about a file with these headings: the columns that nothing is kept of."""
        unkept = [heading for heading in header if self.field_of(heading) == NOT_KEPT]
        if not unkept:
            return []
        message = f"Nothing of these columns is kept: {', '.join(unkept)}."
        return [Notice(1, None, None, "columns_not_kept", message)]

    def arrangement(self, header: Sequence[str], terms: FileTerms = UNSAID) -> Arrangement | None:
        """How the rows of a file are put together, where those of one product need not stand together.

        Raises UnknownHeaders, MissingHeaders.
        """
        return None

    def require_needed(self, header: Sequence[str]) -> None:
        """Raises UnknownHeaders, MissingHeaders."""
        seen = {folded(heading) for heading in header}
        missing = [names for names in self.needed if seen.isdisjoint(map(folded, names))]
        if missing and not any(self.field_of(heading) for heading in header if heading):
            self._require({}, header)
        if missing:
            named = ", and one headed ".join(" or ".join(map(repr, names)) for names in missing)
            raise MissingHeaders(f"A {self.name} file needs a column headed {named}.")

    @abstractmethod
    def product_converters(self, currency: str) -> dict[str, Convert]:
        """How the fields of a product are read, from the first of its rows."""

    @abstractmethod
    def variant_converters(self, currency: str) -> dict[str, Convert]:
        """How the fields of a variant are read."""

    def further_converters(self, fields: Iterable[str]) -> dict[str, Convert]:
        """How those of a file's fields are read that are in no fixed list: of its product, too."""
        return {}

    def finish_variant(self, values: dict[str, Any]) -> None:  # noqa: B027
        """Turn what the converters made of a variant's row into fields of VariantRecord. Raises InvalidCell."""

    @abstractmethod
    def finish(self, values: dict[str, Any]) -> None:
        """Turn what the converters made of a product's row into fields of ProductRecord, in place."""

    def option_names(self, names: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
        """The names of a product's options, from those its row gives beside its own values."""
        return names

    def option_values(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """A variant's option values, from those its row gives."""
        return values

    def joined(self, heading: str, items: Sequence[str]) -> str:
        """Several things in one cell, as this format writes them below `heading`: for lists in JSON and Parquet.

        Raises InvalidCell where the column holds one thing, or a thing has what would separate it.
        """
        separator = self.separators.get(self.field_of(heading) or "")
        if len(items) == 1 and separator is None:
            return items[0]
        if separator is None:
            raise InvalidCell("list_in_cell", f"{heading}: the cell holds a list; the column holds one value.")
        if any(separator.strip() in item for item in items) and separator.strip():
            shown = separator.strip()
            raise InvalidCell(
                "list_in_cell", f"{heading}: {shown!r} separates the values of this column and is in one."
            )
        return separator.join(items)

    def image_converters(self) -> dict[str, Convert]:
        """How `image_src`, `image_position` and `image_alt` are read, where every row may bring an image."""
        return {}


def trimmed(convert: Convert) -> Convert:
    """`convert` for any text: without surrounding space, and None for nothing."""

    def converted(cell: str) -> Any:
        stripped = cell.strip()
        return convert(stripped) if stripped else None

    return converted


def common_variant_converters(currency: str) -> dict[str, Convert]:
    """Columns that mean the same in every format."""
    money = Remembered(lambda cell: cells.price(cell, currency)).__getitem__
    flag = Remembered(cells.boolean).__getitem__
    return {
        "barcode": trimmed(cells.gtin),
        "mpn": cells.text,
        "price": money,
        "list_price": money,
        "cost": money,
        "weight_grams": Remembered(cells.grams).__getitem__,
        "quantity": Remembered(cells.integer).__getitem__,
        "requires_shipping": flag,
        "taxable": flag,
        "tax_code": cells.text,
        "image_url": trimmed(cells.url),
    }
