"""What a file of products would take away, weighed in one look through it, before anything is written.

Only cells that can say so are looked at, and thousands of slugs and SKUs are asked about at once. Where nothing is
there that could be taken, the file is not looked through.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.catalog.repository import prices, replacing, weighing
from services.catalog.repository.shops import KnownShop
from shared.contracts.inventory.messages import CountStocked
from shared.contracts.platform.imports import Harm
from shared.impex.assembly import filled
from shared.impex.cells import InvalidCell
from shared.impex.keys import generated_sku, slug
from shared.impex.keys import handle as given_handle
from shared.impex.products import ProductFile
from shared.impex.profiles.base import Convert
from shared.impex.rows import ProductStatus
from shared.impex.writing_guard import unguard, unguarded
from shared.money import Money
from shared.unit_of_work import UnitOfWork

_ASKED_AT_ONCE = 5000
# A digit above zero, and no sign before it.
_IS_SOMETHING = re.compile(r"[^-−(]*[1-9]")


@dataclass(slots=True)
class _Named:
    """Slugs of products and SKUs of variants that a part of a file names, by what becomes of them.

    Of products whose handles are made of names their SKUs, too.
    """

    products: list[str] = field(default_factory=list)
    product_skus: list[str] = field(default_factory=list)
    inactive: list[str] = field(default_factory=list)
    inactive_skus: list[str] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    unstocked: list[str] = field(default_factory=list)

    def is_full(self) -> bool:
        lists = (
            self.products,
            self.inactive,
            self.product_skus,
            self.inactive_skus,
            self.unpriced,
            self.free,
            self.unstocked,
        )
        return max(map(len, lists)) >= _ASKED_AT_ONCE


@dataclass(slots=True)
class _There:
    """What is there that a file may take away: zero of what it has no column for."""

    active: int = 0
    price_list_id: UUID | None = None
    prices: int = 0
    stocked: int = 0


async def weigh(
    uow: UnitOfWork, file: ProductFile, shop: KnownShop | None, *, empties: bool, archives: bool
) -> list[Harm]:
    """What would be deactivated, removed or set to zero.

    `empties`: an empty price cell removes the price; `archives`: so does the file with products it does not name.
    """
    there = await _there(uow, file, shop, archives=archives)
    if not (there.active or there.prices or there.stocked):
        return []
    gone: Counter[str] = Counter()
    reading = _Survey(file, there, empties=empties, archives=archives).parts()
    while (named := await asyncio.to_thread(next, reading, None)) is not None:
        await _count(uow, named, there, gone)
    if archives:
        gone["inactive"] += there.active - gone["named"]
    return [
        Harm(what="products_deactivated", count=gone["inactive"], of=there.active),
        Harm(what="prices_deleted", count=gone["unpriced"], of=there.prices),
        Harm(what="prices_zeroed", count=gone["free"], of=there.prices),
        Harm(what="stock_zeroed", count=gone["unstocked"], of=there.stocked),
    ]


async def _there(uow: UnitOfWork, file: ProductFile, shop: KnownShop | None, *, archives: bool) -> _There:
    there = _There()
    async with uow.beforehand() as reading:
        if archives or "status" in file.fields:
            there.active = await replacing.count_active(reading)
        if shop is not None and "price" in file.fields:
            there.price_list_id = await prices.find_standard_list(reading, shop)
        if there.price_list_id is not None:
            there.prices = await prices.count(reading, [there.price_list_id])
    if "quantity" in file.fields:
        there.stocked = (await uow.ask(CountStocked())).places
    return there


async def _count(uow: UnitOfWork, named: _Named, there: _There, gone: Counter[str]) -> None:
    async with uow.beforehand() as reading:
        if named.products:
            gone["named"] += await replacing.count_active(reading, named.products, named.product_skus)
        if named.inactive:
            gone["inactive"] += await replacing.count_active(reading, named.inactive, named.inactive_skus)
        if there.price_list_id is not None:
            for what, skus in (("unpriced", named.unpriced), ("free", named.free)):
                if skus:
                    gone[what] += await weighing.count_prices_of_skus(
                        reading, there.price_list_id, skus, above_zero=what == "free"
                    )
    if named.unstocked:
        gone["unstocked"] += (await uow.ask(CountStocked(skus=named.unstocked))).places


class _Survey:
    """One look through a file for what it takes away."""

    def __init__(self, file: ProductFile, there: _There, *, empties: bool, archives: bool) -> None:
        self._file = file
        self._layout = file.layout
        self._empties = empties
        self._archives = archives and there.active > 0
        plan = {name: (column, convert) for name, column, convert in self._layout.variant}
        self._price = plan.get("price") if there.prices else None
        self._quantity = plan.get("quantity") if there.stocked else None
        status = ("status", "published", "is_visible") if there.active else ()
        self._status = [part for part in self._layout.product if part[0] in status]

    def parts(self) -> Iterator[_Named]:
        named = _Named()
        is_going = False
        for handle, is_first, fields in described(self._file):
            if is_first:
                is_going = self._note_product(named, handle, fields)
            if self._file.profile.makes_handles:
                self._note_skus(named, fields, is_going=is_going)
            self._note_variant(named, handle, fields)
            if named.is_full():
                yield named
                named = _Named()
        yield named

    def _note_product(self, named: _Named, handle: str, fields: Sequence[str]) -> bool:
        """Whether the product would be active no longer."""
        if self._archives:
            named.products.append(handle)
        is_going = bool(self._status) and self._is_inactive(fields)
        if is_going:
            named.inactive.append(handle)
        return is_going

    def _note_skus(self, named: _Named, fields: Sequence[str], *, is_going: bool) -> None:
        """By which a product is known that has another handle (renamed.py)."""
        if sku := unguarded(fields[self._layout.sku]).strip():
            named.product_skus += [sku] if self._archives else []
            named.inactive_skus += [sku] if is_going else []

    def _is_inactive(self, fields: Sequence[str]) -> bool:
        values: dict[str, Any] = {}
        try:
            for name, column, convert in self._status:
                if fields[column].strip():
                    values[name] = convert(fields[column].strip())
        except InvalidCell:
            return False
        self._file.profile.finish(values)
        return values.get("status") not in (None, ProductStatus.ACTIVE)

    def _note_variant(self, named: _Named, handle: str, fields: Sequence[str]) -> None:
        if self._quantity is not None and is_nothing(fields[self._quantity[0]], self._quantity[1]):
            named.unstocked += self._sku(handle, fields)
        if self._price is None:
            return
        cell = fields[self._price[0]]
        if self._empties and not cell.strip():
            named.unpriced += self._sku(handle, fields)
        elif is_nothing(cell, self._price[1]):
            named.free += self._sku(handle, fields)

    def _sku(self, handle: str, fields: Sequence[str]) -> list[str]:
        """The variant's, or the one that it was given where it has none; no row's where it holds no variant."""
        if sku := unguarded(fields[self._layout.sku]).strip():
            return [sku]
        if not any(fields[column].strip() for column in (*self._layout.variant_marks, self._layout.title)):
            return []
        options = filled(fields, self._layout.option_values)
        return [generated_sku(handle, self._file.profile.option_values(options))]


def is_nothing(cell: str, convert: Convert) -> bool:
    """Whether a cell says zero, or less."""
    if not cell or _IS_SOMETHING.match(cell):
        return False
    try:
        value = convert(unguarded(cell))
    except InvalidCell:
        return False
    amount = value.amount if isinstance(value, Money) else value
    return amount is not None and amount <= 0


def described(file: ProductFile) -> Iterator[tuple[str, bool, list[str]]]:
    """The rows of a file that name a product: its slug, whether it is the first to, its cells and an empty one behind.

    Cells of first rows are as they were before they were guarded.
    """
    last = last_cell = ""
    column = file.layout.handle
    for _, fields in file.survey():
        fields.append("")
        cell = fields[column]
        # Rows of a product stand together.
        is_first = False
        if not (last and cell and cell == last_cell):
            last_cell = cell
            unguard(fields)
            handle = handle_of(file, fields, last)
            is_first = bool(handle) and handle != last
            last = handle or last
        if last:
            yield last, is_first, fields


def handle_of(file: ProductFile, cells: Sequence[str], last: str) -> str:
    """The product that a row names, behind whose cells there is an empty one."""
    cell, title = cells[file.layout.handle], cells[file.layout.title]
    return given_handle(cell) or slug(title) or ("" if cell else last)
