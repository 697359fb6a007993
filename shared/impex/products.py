"""Products out of a file.

Nothing is silently the last to win: a key that comes twice is an error on both rows, a product whose rows are torn
apart is an error on the later ones, and what had to be made up is a notice.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.impex.arranging import ArrangedSource, Said
from shared.impex.assembly import Assembly, Outcome
from shared.impex.gathering import Gathering, Group
from shared.impex.keys import KeyIndex
from shared.impex.layout import Layout
from shared.impex.profiles.registry import detect_profile, get_profile
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice, ProductRecord, RowError, StockPolicy
from shared.impex.sheets import SheetProduct, SheetReader
from shared.impex.source import Source
from shared.impex.writing_guard import unguarded, unguarded_records
from shared.money import exponent


def read_products(source: Source, profile: str | None, currency: str) -> Iterator[Outcome]:
    """Everything a product file says, in its order: see ProductFile."""
    return ProductFile(source, profile, currency).read()


@dataclass(slots=True)
class Chunk:
    """Whole products of about as many rows as were asked for, with what was said about rows among them.

    First only gathered: `groups`. `ProductFile.assemble` makes `products` of those that are wanted. `rows` counts all.
    """

    groups: list[Group] = field(default_factory=list)
    products: list[ProductRecord] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    rows: int = 0

    def gather(self, step: Group | RowError | Notice) -> None:
        if isinstance(step, Group):
            self.groups.append(step)
            self.rows += len(step.records)
        elif isinstance(step, RowError):
            self.errors.append(step)
            self.rows += 1
        else:
            self.notices.append(step)

    def take(self, outcome: Outcome) -> None:
        if isinstance(outcome, ProductRecord):
            self.products.append(outcome)
        elif isinstance(outcome, RowError):
            self.errors.append(outcome)
        else:
            self.notices.append(outcome)


class Keys:
    """The SKUs of a file, and for each row whose SKU is also another's, that other row."""

    def __init__(self) -> None:
        self.skus = KeyIndex()
        self.clashes: dict[int, int] = {}

    def add(self, row: int, sku: str) -> None:
        if sku and (earlier := self.skus.add(sku, row)):
            self.clashes[row] = earlier
            self.clashes.setdefault(earlier, row)


class ProductFile:
    """A product file under a profile: the one named, or the one its headings belong to.

    Prices are in `currency`. Raises UnknownProfile, UnknownHeaders, MissingHeaders, DuplicateHeaders, UnknownCurrency.
    """

    def __init__(self, source: Source, profile: str | None, currency: str) -> None:
        exponent(currency)
        self.source = source
        self.profile = get_profile(profile) if profile else detect_profile(source.header)
        self.layout = Layout.of(source.header, self.profile, currency)
        self._sheets = SheetReader(self.layout, self.profile)
        self._keys = Keys()
        self._is_surveyed = not self.layout.has_skus

    @property
    def fields(self) -> frozenset[str]:
        """The fields of ProductRecord and VariantRecord that this file has a column for."""
        return self.layout.fields_of_records()

    @property
    def own_headings(self) -> Sequence[str]:
        """The headings of the uploader's file."""
        return self.source.original.header if isinstance(self.source, ArrangedSource) else self.source.header

    def read(self) -> Iterator[Outcome]:
        """Products, each after the errors and notices of its rows, in the order of the file.

        Reads the file twice where it has SKUs and was not surveyed, the first time for those that come more than once.
        Holds, beside the keys, one product. Raises InvalidEncoding and TooManyBrokenQuotes, from the middle of the file
        too.
        """
        for step in self._steps():
            if isinstance(step, Group):
                yield from self._outcomes(step)
            else:
                yield step

    def _outcomes(self, group: Group) -> Iterator[Outcome]:
        cells = dict(group.records) if isinstance(self.source, ArrangedSource) else {}
        for outcome in self._assembly.outcomes(group):
            if isinstance(outcome, ProductRecord):
                yield outcome
            elif isinstance(outcome, RowError):
                yield self._told(outcome, cells)
            else:
                yield self._told(outcome, cells)

    def _told(self, said: Said, cells: Mapping[int, Sequence[str]]) -> Said:
        """What is said of a row, with the uploader's own heading and cell."""
        if not isinstance(self.source, ArrangedSource) or said.row not in cells:
            return said
        return self.source.told(said, cells[said.row])

    def tell(self, chunk: Chunk, errors: Iterable[RowError], notices: Iterable[Notice]) -> None:
        """Add to what is said of a chunk's rows, with the uploader's own headings and cells."""
        is_arranged = isinstance(self.source, ArrangedSource)
        cells = {row: fields for group in chunk.groups for row, fields in group.records} if is_arranged else {}
        chunk.errors += [self._told(error, cells) for error in errors]
        chunk.notices += [self._told(notice, cells) for notice in notices]

    def chunks(self, rows: int = 1000) -> Iterator[Chunk]:
        """The file in gathered portions of about `rows` rows; a product is never split. Raises as `read` does."""
        chunk = Chunk()
        for step in self._steps():
            chunk.gather(step)
            if chunk.rows >= rows:
                yield chunk
                chunk = Chunk()
        if chunk.rows or chunk.notices:
            yield chunk

    def assemble(self, chunk: Chunk, groups: Iterable[Group]) -> None:
        """Make products of these of a chunk's groups; chunks come in the order of the file."""
        for group in groups:
            for outcome in self._outcomes(group):
                chunk.take(outcome)

    def read_sheet(self, groups: Sequence[Group]) -> tuple[list[SheetProduct], list[Group]]:
        """The products of these groups that can be read in columns, and the groups that have to be assembled."""
        return self._sheets.read(groups, self._keys.clashes)

    def stock_of(self, group: Group) -> Iterator[tuple[str, int, StockPolicy | None]]:
        """SKU, quantity and policy of each row that gives a quantity. For groups that were taken whole before."""
        plan = {name: (column, convert) for name, column, convert in self.layout.variant}
        if "quantity" not in plan:
            return
        (column, quantity), policy = plan["quantity"], plan.get("stock_policy")
        for _, fields in group.records:
            on_hand = quantity(fields[column])
            if on_hand is not None:
                yield fields[self.layout.sku].strip(), on_hand, policy[1](fields[policy[0]]) if policy else None

    def _steps(self) -> Iterator[Group | RowError | Notice]:
        for column in self.layout.unknown:
            yield Notice(1, self.source.header[column], None, "unknown_column", "The column is not known and not read.")
        yield from self.profile.notices(self.source.header)
        yield from self.source.notices
        if not self._is_surveyed:
            deque(self.survey(), maxlen=0)
        # SKUs that are made are added to those of the file: each reading makes the same ones.
        self._assembly = Assembly(self.layout, self.profile, self._keys.skus.copy(), self._keys.clashes)
        yield from Gathering(self.layout).groups(unguarded_records(self.source.records()))

    def survey(self) -> Iterator[Record]:
        """The rows that can be read, as they stand in the file, for whoever has to know all of it before the rest.

        Read to its end, it has seen the keys too, and no other pass is made for them.
        """
        keys, column = Keys(), self.layout.sku if self.layout.has_skus else None
        for record in self.source.records():
            if isinstance(record, BrokenRecord):
                continue
            if column is not None:
                keys.add(record[0], unguarded(record[1][column]).strip())
            yield record
        self._keys, self._is_surveyed = keys, True
