"""Products whose rows raise no question, read column by column.

Most products of most files are simple: every cell is what its column holds, every variant has a SKU of its own and as
many option values as its product has options. They are read here, a whole chunk's column in one go. A product with
anything else, be it a fault or a remark, is left to the assembly of rows (assembly.py), which alone knows what is to be
said about it. Cells become values by the profile's own converters, so that a cell means the same here and there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import orjson
from msgspec import Struct

from shared.impex.assembly import filled
from shared.impex.cells import InvalidCell
from shared.impex.gathering import Group
from shared.impex.layout import Layout
from shared.impex.profiles.base import ATTRIBUTE, OPTIONS, Convert, ProductProfile
from shared.impex.rows import StockPolicy
from shared.measures import Weight, weight_in
from shared.money import Money

Path = tuple[str, ...]

_TEXTS = ("title", "description_html", "brand", "product_type", "seo_title", "seo_description")
# As VariantRecord has them, behind its SKU and options.
_VARIANT_FIELDS = (
    *("barcode", "mpn", "weight_grams", "tax_code", "requires_shipping", "taxable", "image_url", "price", "list_price"),
    *("quantity", "stock_policy", "cost"),
)
_SHOWN_IN = "weight_shown_in"
_NAMES = tuple(f"option_{n}_name" for n in range(1, OPTIONS + 1))
_VALUES = tuple(f"option_{n}_value" for n in range(1, OPTIONS + 1))
_IMAGE = ("image_src", "image_position", "image_alt")
_FIRST_THREE, _LAST_THREE = (0, 1, 2), (3, 4, 5)


class SheetVariant(Struct, frozen=True, gc=False):
    """A variant; amounts are minor units of the file's currency."""

    row: int
    sku: str
    option_values: Path
    option_key: str
    barcode: str | None
    mpn: str | None
    weight_grams: int | None
    tax_code: str | None
    requires_shipping: bool | None
    taxable: bool | None
    image_url: str | None
    price: int | None
    list_price: int | None
    quantity: int | None
    stock_policy: StockPolicy | None
    cost: int | None
    weight: Weight | None


class SheetProduct(Struct, frozen=True, gc=False):
    """A product with its variants; attributes and images are JSON. `group` has its rows."""

    group: Group
    title: str
    description_html: str | None
    brand: str | None
    product_type: str | None
    tags: Path
    status: str | None
    seo_title: str | None
    seo_description: str | None
    option_names: Path
    attributes: str
    images: str | None
    categories: tuple[Path, ...]
    codes: tuple[str, ...]
    variants: list[SheetVariant]


class SheetReader:
    """Reads groups of one file's rows in columns."""

    def __init__(self, layout: Layout, profile: ProductProfile) -> None:
        self.layout = layout
        self.profile = profile
        self.product = {name: (column, _Values(convert)) for name, column, convert in layout.product}
        self.variant = {name: (column, _Values(convert)) for name, column, convert in layout.variant}
        self.image = {name: (column, _Values(convert)) for name, column, convert in layout.image}
        if "image_src" in self.image and "image_url" in self.variant:
            # A variant's picture is nearly always one of its product's: each address is looked at once.
            self.variant["image_url"] = (self.variant["image_url"][0], self.image["image_src"][1])
        self.attributes = [name for name in self.product if name.startswith(ATTRIBUTE)]
        self.parts = [
            part for wanted in profile.read_together if (part := tuple(name for name in wanted if name in self.product))
        ]
        self.marks = layout.variant_marks
        self.options: dict[tuple[str, ...], Path] = {}
        self.values: dict[tuple[bool, Path], tuple[Path, str]] = {}
        self.made: list[dict[tuple[str, ...], Mapping[str, Any]]] = [{} for _ in self.parts]

    @property
    def can_read(self) -> bool:
        """Whether every column of the file is one that is known here."""
        together = chain.from_iterable(self.profile.read_together)
        known = {"handle", "sku", *_TEXTS, *_VARIANT_FIELDS, _SHOWN_IN, *_NAMES, *_VALUES, *_IMAGE, *together}
        fields = {name for name in self.layout.fields if not name.startswith(ATTRIBUTE)}
        has_keys = self.layout.has_titles and self.layout.has_skus
        has_images = not self.image or "image_src" in self.image
        return bool(self.profile.read_together) and has_keys and has_images and fields <= known

    def read(self, groups: Sequence[Group], clashes: Collection[int]) -> tuple[list[SheetProduct], list[Group]]:
        """The products of those groups that raise no question; and the other groups, in their order."""
        whole = [group for group in groups if group.earlier is None] if self.can_read else []
        if not whole:
            return [], list(groups)
        read = _Reading(self, whole, clashes).products()
        taken = {id(product.group) for product in read}
        return read, [group for group in groups if id(group) not in taken]


class _Faulty:
    """In place of a value that a cell does not have."""


_FAULTY: Final = _Faulty()
# Of each column, so that memory stays bounded: what is longer, or repeated less often, is not worth keeping.
_MOST_KEPT = 5_000
_LONGEST_KEPT = 200


class _Values(dict[str, Any]):
    """The values of a column's cells: each different cell is converted once, as the assembly of rows would."""

    def __init__(self, convert: Convert) -> None:
        self._convert = convert

    def __missing__(self, cell: str) -> Any:
        try:
            value = self._convert(cell) if cell else None
        except InvalidCell:
            value = _FAULTY
        if type(value) is Money:
            value = value.amount
        if len(cell) <= _LONGEST_KEPT:
            _keep(self, cell, value)
        return value


class _Reading:
    """One chunk: `in_question` are products by their place among the groups."""

    def __init__(self, reader: SheetReader, groups: Sequence[Group], clashes: Collection[int]) -> None:
        self._reader = reader
        self._groups = groups
        self._clashes = clashes
        self._in_question: set[int] = set()
        records = [record for group in groups for record in group.records]
        self._rows = [row for row, _ in records]
        self._columns: list[tuple[str, ...]] = list(zip(*(fields for _, fields in records), strict=True))
        self._places = [place for place, group in enumerate(groups) for _ in group.records]
        sizes = [len(group.records) for group in groups]
        self._firsts = [end - size for end, size in zip(_sums(sizes), sizes, strict=True)]
        self._is_plain = len(records) == len(groups)

    def products(self) -> list[SheetProduct]:
        titles = self._texts("title")
        self._question(place for place, title in enumerate(titles) if title is None)
        self._look_at_other_titles(titles)
        names = self._option_names()
        variants = self._variants(names)
        made = self._made_together()
        attributes = self._attributes(made)
        images = self._images() if self._reader.image else [_images_text(each.get("images")) for each in made]
        texts = [titles, *(self._texts(name) for name in _TEXTS[1:])]
        return [
            self._product(place, own, made[place], names[place], attributes[place], images[place], variants[place])
            for place, own in enumerate(zip(*texts, strict=True))
            if place not in self._in_question
        ]

    def _product(
        self,
        place: int,
        texts: tuple[Any, ...],
        made: Mapping[str, Any],
        names: Path,
        attributes: Mapping[str, str],
        images: str | None,
        variants: list[SheetVariant],
    ) -> SheetProduct:
        title, description, brand, product_type, seo_title, seo_description = texts
        status = made.get("status")
        return SheetProduct(
            self._groups[place],
            title,
            description,
            brand,
            product_type,
            made.get("tags", ()),
            None if status is None else status.value,
            seo_title,
            seo_description,
            names,
            orjson.dumps(attributes).decode(),
            images,
            made.get("categories", ()),
            tuple(attributes),
            variants,
        )

    def _question(self, places: Iterable[int]) -> None:
        self._in_question.update(places)

    def _of_firsts(self, column: int) -> list[str]:
        cells = self._columns[column]
        return [cells[first] for first in self._firsts]

    # --- what describes a product

    def _texts(self, name: str) -> list[str | None]:
        if name not in self._reader.product:
            return [None] * len(self._groups)
        return [cell.strip() or None for cell in self._of_firsts(self._reader.product[name][0])]

    def _look_at_other_titles(self, titles: Sequence[str | None]) -> None:
        if self._is_plain:
            return
        firsts = set(self._firsts)
        for number, cell in enumerate(self._columns[self._reader.layout.title]):
            if cell and number not in firsts:
                place = self._places[number]
                if cell.strip() not in ("", titles[place]):
                    self._in_question.add(place)

    def _made_together(self) -> list[dict[str, Any]]:
        """What the profile makes of cells that belong together, once for each different combination of them."""
        made: list[dict[str, Any]] = [{} for _ in self._groups]
        for part, known in zip(self._reader.parts, self._reader.made, strict=True):
            cells = [self._of_firsts(self._reader.product[name][0]) for name in part]
            for place, combination in enumerate(zip(*cells, strict=True)):
                values = known.get(combination)
                if values is None:
                    values = self._made_of(part, combination)
                    if sum(map(len, combination)) <= _LONGEST_KEPT:
                        _keep(known, combination, values)
                if _FAULTY in values.values():
                    self._in_question.add(place)
                else:
                    made[place].update(values)
        return made

    def _made_of(self, part: tuple[str, ...], combination: tuple[str, ...]) -> Mapping[str, Any]:
        """What the cells make, or what is faulty among them."""
        values: dict[str, Any] = {}
        for name, cell in zip(part, combination, strict=True):
            value = self._reader.product[name][1][cell]
            if value is _FAULTY:
                return {name: _FAULTY}
            if value is not None:
                values[name] = value
        if not self._reader.profile.finished.isdisjoint(part):
            self._reader.profile.finish(values)
        return values

    def _attributes(self, made: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        names = self._reader.attributes
        if not names:
            return [dict(each.get("attributes", ())) for each in made]
        columns = [self._checked(*self._reader.product[name]) for name in names]
        codes = [name.removeprefix(ATTRIBUTE) for name in names]
        return [
            {code: value for code, value in zip(codes, values, strict=True) if value is not None}
            for values in zip(*columns, strict=True)
        ]

    def _checked(self, column: int, values: _Values) -> list[Any]:
        read = list(map(values.__getitem__, self._of_firsts(column)))
        if _FAULTY in read:
            self._question(place for place, value in enumerate(read) if value is _FAULTY)
        return read

    def _option_names(self) -> list[Path]:
        layout, known = self._reader.layout, self._reader.options
        cells = [self._of_firsts(column) for column in (*layout.option_names, *layout.option_values)]
        names = []
        for combination in zip(*cells, strict=True):
            found = known.get(combination)
            if found is None:
                own, values = filled(combination, _FIRST_THREE), filled(combination, _LAST_THREE)
                found = self._reader.profile.option_names(own, values)
                _keep(known, combination, found)
            names.append(found)
        return names

    # --- variants

    def _variants(self, names: Sequence[Path]) -> list[list[SheetVariant]]:
        numbers = self._holding()
        places = [self._places[number] for number in numbers]
        rows = [self._rows[number] for number in numbers]
        cells = self._columns[self._reader.layout.sku]
        skus = [cells[number].strip() for number in numbers]
        self._question(place for place, sku in zip(places, skus, strict=True) if not sku)
        if self._clashes:
            self._question(place for place, row in zip(places, rows, strict=True) if row in self._clashes)
        options = self._option_values(numbers, places, names)
        fields = [self._field(name, numbers, places) for name in _VARIANT_FIELDS]
        fields.append(self._weights(fields[_VARIANT_FIELDS.index("weight_grams")], numbers, places))
        quantities = fields[_VARIANT_FIELDS.index("quantity")]
        self._question(p for p, count in zip(places, quantities, strict=True) if type(count) is int and count < 0)
        variants: list[list[SheetVariant]] = [[] for _ in self._groups]
        for place, row, sku, (values, key), own in zip(
            places, rows, skus, options, zip(*fields, strict=True), strict=True
        ):
            variants[place].append(SheetVariant(row, sku, values, key, *own))
        return variants

    def _holding(self) -> list[int]:
        """Which rows hold a variant."""
        marks = [self._columns[column] for column in self._reader.marks]
        if not marks:
            return []
        holding = {number for number, cells in enumerate(zip(*marks, strict=True)) if "".join(cells).strip()}
        if self._reader.profile.first_row_is_variant:
            holding.update(self._firsts)
        return sorted(holding)

    def _option_values(
        self, numbers: Sequence[int], places: Sequence[int], names: Sequence[Path]
    ) -> list[tuple[Path, str]]:
        known = self._reader.values
        columns = [self._columns[column] for column in self._reader.layout.option_values]
        seen: set[tuple[int, str]] = set()
        found = []
        for number, place in zip(numbers, places, strict=True):
            own = names[place]
            key = (bool(own), (columns[0][number], columns[1][number], columns[2][number]))
            values = known.get(key)
            if values is None:
                values = self._options(*key)
                _keep(known, key, values)
            twin = (place, values[1])
            if len(values[0]) != len(own) or twin in seen:
                self._in_question.add(place)
            seen.add(twin)
            found.append(values)
        return found

    def _options(self, has_names: bool, combination: Path) -> tuple[Path, str]:
        values = filled(combination, _FIRST_THREE)
        if not has_names:
            values = self._reader.profile.option_values(values)
        return values, "\x1f".join(map(str.casefold, values))

    def _field(self, name: str, numbers: Sequence[int], places: Sequence[int]) -> list[Any]:
        if name not in self._reader.variant:
            return [None] * len(numbers)
        column, values = self._reader.variant[name]
        cells = self._columns[column]
        read = [values[cells[number]] for number in numbers]
        if _FAULTY in read:
            self._question(place for place, value in zip(places, read, strict=True) if value is _FAULTY)
        return read

    def _weights(self, grams: Sequence[Any], numbers: Sequence[int], places: Sequence[int]) -> list[Weight | None]:
        """Weights in the units that they are shown in; of products in question nothing is asked."""
        units = self._field(_SHOWN_IN, numbers, places)
        return [
            weight_in(weighed, unit) if type(weighed) is int and type(unit) is str else None
            for weighed, unit in zip(grams, units, strict=True)
        ]

    # --- pictures of rows

    def _images(self) -> list[str | None]:
        """The pictures of each product's rows, as `Assembly` puts them in order."""
        columns = [self._picture_column(name) for name in _IMAGE]
        pictures: list[dict[str, tuple[int, str | None]]] = [{} for _ in self._groups]
        for place, address, position, alt in zip(self._places, *columns, strict=True):
            if address is _FAULTY or position is _FAULTY:
                self._in_question.add(place)
            elif address and address not in pictures[place]:
                own = pictures[place]
                own[address] = (len(own) + 1 if position is None else position, alt)
        return [_pictures_text(own) if own else None for own in pictures]

    def _picture_column(self, name: str) -> list[Any]:
        """The values of rows with an address; of the others nothing is asked."""
        if name not in self._reader.image:
            return [None] * len(self._rows)
        column, values = self._reader.image[name]
        addresses = self._columns[self._reader.image["image_src"][0]]
        return [values[cell] if given else None for cell, given in zip(self._columns[column], addresses, strict=True)]


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    if len(known) >= _MOST_KEPT:
        known.clear()
    known[key] = value


def _sums(sizes: Sequence[int]) -> Iterable[int]:
    total = 0
    for size in sizes:
        total += size
        yield total


def _pictures_text(pictures: Mapping[str, tuple[int, str | None]]) -> str:
    ordered = sorted(pictures.items(), key=_position)
    return orjson.dumps([{"url": url, "alt": alt} for url, (_, alt) in ordered]).decode()


def _position(picture: tuple[str, tuple[int, str | None]]) -> int:
    return picture[1][0]


def _images_text(images: Sequence[Any] | None) -> str | None:
    return orjson.dumps([{"url": image.url, "alt": image.alt} for image in images]).decode() if images else None
