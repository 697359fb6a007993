"""Makes products of gathered rows: cells become values, and each fault is said with its row and column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.impex.cells import InvalidCell
from shared.impex.gathering import Group
from shared.impex.keys import KeyIndex, generated_sku
from shared.impex.layout import Layout, Plan
from shared.impex.profiles.base import ATTRIBUTE, ProductProfile
from shared.impex.records import Record
from shared.impex.rows import ImageRecord, Notice, ProductRecord, RowError, VariantRecord, shortened

Outcome = ProductRecord | RowError | Notice


class Assembly:
    """Assembles one file's products: it knows all SKUs given so far, and `clashes`, the rows that share one."""

    def __init__(self, layout: Layout, profile: ProductProfile, skus: KeyIndex, clashes: Mapping[int, int]) -> None:
        self._layout = layout
        self._profile = profile
        self._skus = skus
        self._clashes = clashes
        self._composes = not profile.composed.isdisjoint(layout.fields)

    def outcomes(self, group: Group) -> list[Outcome]:
        """What is to be said about these rows, then their product, unless nothing of it can be taken."""
        if group.earlier is not None:
            return [_split(row, group) for row, _ in group.records]
        describing = self._describing(group.records)
        said: list[Outcome] = []
        values = self._product_values(group.records, describing, said)
        if values is None:
            return said
        if self._layout.image:
            values["images"] = self._images(group.records, said)
        holding = [record for record in group.records if self._holds_variant(record, describing)]
        names = values["option_names"]
        told = names or (describing is not None and self._layout.has_titles)
        variants = list(self._variants(group.handle, holding, names if told else None, said))
        if variants or not holding:
            rows = tuple([row for row, _ in group.records])
            said.append(ProductRecord(handle=group.handle, rows=rows, variants=tuple(variants), **values))
        else:
            said += _without_variant(group.records, said)
        return said

    def _describing(self, records: list[Record]) -> Record | None:
        """The row that describes the product: the first with its title; simply the first where a file has no titles."""
        column = self._layout.title
        if records[0][1][column] or not self._layout.has_titles:
            return records[0]
        return next((record for record in records if record[1][column].strip()), None)

    def _product_values(
        self, records: list[Record], describing: Record | None, said: list[Outcome]
    ) -> dict[str, Any] | None:
        """Fields of ProductRecord from the row that describes it; None when that row is at fault, and all with it."""
        if describing is None:
            return {"option_names": self._option_names(records[0])}
        values, faults = self._converted(describing, self._layout.product)
        if faults:
            said += faults
            # Corrected, they should not be refused for what could have been said now.
            said += self._converted(describing, self._layout.variant)[1]
            for record in records:
                if record[0] != describing[0]:
                    said.append(_dragged(record[0], describing[0]))
                    said += self._converted(record, self._layout.variant)[1]
            return None
        self._profile.finish(values)
        attributes = [name for name in values if name.startswith(ATTRIBUTE)]
        if attributes:
            values["attributes"] = tuple([(name.removeprefix(ATTRIBUTE), values.pop(name)) for name in attributes])
        values["option_names"] = self._option_names(describing)
        if len(records) > 1:
            said += self._other_titles(records, describing)
        return values

    def _other_titles(self, records: list[Record], describing: Record) -> Iterator[Notice]:
        column = self._layout.title
        title = describing[1][column].strip()
        message = f"The product has its title from row {describing[0]}; this one is not taken."
        for row, fields in records:
            if fields[column] and fields[column].strip() not in ("", title):
                yield Notice(row, self._layout.header[column], shortened(fields[column]), "other_title", message)

    def _option_names(self, record: Record) -> tuple[str, ...]:
        values = filled(record[1], self._layout.option_values)
        return self._profile.option_names(filled(record[1], self._layout.option_names), values)

    def _holds_variant(self, record: Record, describing: Record | None) -> bool:
        fields, marks = record[1], self._layout.variant_marks
        if record is describing and self._layout.has_titles and self._profile.first_row_is_variant:
            return bool(marks)
        return bool("".join(map(fields.__getitem__, marks)).strip())

    def _variants(
        self, handle: str, records: list[Record], names: tuple[str, ...] | None, said: list[Outcome]
    ) -> Iterator[VariantRecord]:
        """The variants of these rows, without those at fault. `names` are None where the file does not tell them."""
        columns, plan = self._layout.option_values, self._layout.variant
        options = [filled(record[1], columns) for record in records]
        if not names:
            options = [self._profile.option_values(values) for values in options]
        twins = _twins(records, options) if len(records) > 1 else {}
        refused = {outcome.row for outcome in said if isinstance(outcome, RowError)} if said else ()
        for record, option_values in zip(records, options, strict=True):
            row = record[0]
            values, faults = self._converted(record, plan)
            if self._composes and not faults:
                faults += self._composed(record, values)
            if names is not None and len(option_values) != len(names):
                faults.append(self._wrong_options(row, names, option_values))
            if row in twins:
                faults.append(self._twin(row, twins[row], option_values))
            if row in self._clashes:
                faults.append(self._clash(record))
            if faults or row in refused:
                said += faults
            else:
                yield self._variant(handle, record, option_values, values, said)

    def _variant(
        self,
        handle: str,
        record: Record,
        option_values: tuple[str, ...],
        values: dict[str, Any],
        said: list[Outcome],
    ) -> VariantRecord:
        row, fields = record
        if values.get("quantity", 0) < 0:
            said.append(_below_zero(row, self._layout.heading("quantity"), values["quantity"]))
            values["quantity"] = 0
        sku = fields[self._layout.sku].strip()
        if not sku:
            sku = self._new_sku(handle, option_values, row)
            values["sku_generated"] = True
            heading = self._layout.header[self._layout.sku] if self._layout.has_skus else None
            said.append(Notice(row, heading, sku, "sku_generated", f"The row has no SKU; the variant got '{sku}'."))
        return VariantRecord(row=row, sku=sku, option_values=option_values, **values)

    def _converted(self, record: Record, plan: Plan) -> tuple[dict[str, Any], list[Outcome]]:
        """The values of those cells that have one, and a fault for each that cannot be read."""
        row, fields = record
        values: dict[str, Any] = {}
        faults: list[Outcome] = []
        for name, column, convert in plan:
            cell = fields[column]
            if cell:
                try:
                    value = convert(cell)
                except InvalidCell as fault:
                    heading = self._layout.header[column]
                    value = shortened(fault.value or cell)
                    faults.append(RowError(row, heading, value, fault.code, fault.message))
                else:
                    if value is not None:
                        values[name] = value
        return values, faults

    def _composed(self, record: Record, values: dict[str, Any]) -> list[Outcome]:
        row, fields = record
        try:
            self._profile.finish_variant(values)
        except InvalidCell as fault:
            column = self._layout.columns.get(fault.field or "")
            if column is None:
                return [RowError(row, None, fault.value, fault.code, fault.message)]
            value = shortened(fault.value or fields[column].strip()) or None
            return [RowError(row, self._layout.header[column], value, fault.code, fault.message)]
        return []

    def _images(self, records: list[Record], said: list[Outcome]) -> tuple[ImageRecord, ...]:
        """The images of all rows, each address once, by position and then as they stand."""
        images: dict[str, ImageRecord] = {}
        column = self._layout.image[0][1]
        for record in records:
            if not record[1][column]:
                continue
            values, faults = self._converted(record, self._layout.image)
            said += faults
            address = values.get("image_src")
            if address and address not in images:
                position = values.get("image_position", len(images) + 1)
                images[address] = ImageRecord(address, position, values.get("image_alt"))
        return tuple(sorted(images.values(), key=_position) if len(images) > 1 else images.values())

    def _new_sku(self, handle: str, option_values: tuple[str, ...], row: int) -> str:
        base = candidate = generated_sku(handle, option_values)
        number = 1
        while self._skus.add(candidate, row):
            number += 1
            candidate = f"{base}-{number}"
        return candidate

    def _wrong_options(self, row: int, names: tuple[str, ...], values: tuple[str, ...]) -> RowError:
        heading = self._layout.heading(f"option_{min(len(values), len(names)) + 1}_value")
        if len(values) < len(names):
            message = f"The variant has no value for the option '{names[len(values)]}'."
            return RowError(row, heading, None, "missing_option_value", message)
        extra = shortened(values[len(names)])
        message = f"The product has no option that '{extra}' could be a value of: name it."
        return RowError(row, heading, extra, "option_without_name", message)

    def _twin(self, row: int, other: int, option_values: tuple[str, ...]) -> RowError:
        shown = " / ".join(option_values) or "no options"
        message = f"Row {other} is the same variant of the same product ({shortened(shown)})."
        heading = self._layout.heading("option_1_value" if option_values else "handle")
        return RowError(row, heading, shortened(shown), "duplicate_variant", message)

    def _clash(self, record: Record) -> RowError:
        row, fields = record
        sku, heading = fields[self._layout.sku].strip(), self._layout.header[self._layout.sku]
        message = f"Row {self._clashes[row]} has the same SKU; one of them is wrong."
        return RowError(row, heading, shortened(sku), "duplicate_sku", message)


def _below_zero(row: int, heading: str | None, quantity: int) -> Notice:
    return Notice(row, heading, str(quantity), "negative_quantity", "A quantity below zero counts as none on hand.")


def _position(image: ImageRecord) -> int:
    return image.position


def filled(fields: Sequence[str], columns: tuple[int, int, int]) -> tuple[str, ...]:
    """The cells of these columns up to the last that has something."""
    first, second, third = columns
    cells = [fields[first].strip(), fields[second].strip(), fields[third].strip()]
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _twins(records: list[Record], options: list[tuple[str, ...]]) -> dict[int, int]:
    """For each row with the option values of another row, that other row."""
    first: dict[tuple[str, ...], int] = {}
    twins: dict[int, int] = {}
    for (row, _), values in zip(records, options, strict=True):
        other = first.setdefault(tuple(map(str.casefold, values)), row)
        if other != row:
            twins[row] = other
            twins.setdefault(other, row)
    return twins


def _split(row: int, group: Group) -> RowError:
    message = f"The product '{group.handle}' begins on row {group.earlier}, with other products between: join its rows."
    return RowError(row, None, shortened(group.handle), "split_product", message)


def _without_variant(records: Sequence[Record], said: Sequence[Outcome]) -> list[Outcome]:
    """Rows that add to a product of which nothing is taken, because each row with a variant was refused."""
    refused = sorted({outcome.row for outcome in said if isinstance(outcome, RowError)})
    return [_dragged(row, refused[0]) for row, _ in records if refused and row not in refused]


def _dragged(row: int, describing: int) -> RowError:
    message = f"Row {describing}, without which there is nothing of this product, was refused."
    return RowError(row, None, None, "product_refused", message)
