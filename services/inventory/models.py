"""Stock and its rules. The same rules are constraints of the tables; here they are methods that say what happened.

Everything here works on rows that are locked in the database; `ledger.py` reads and writes them in sets.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from shared.contracts.inventory.ledger import MovementReason
from shared.contracts.inventory.shapes import ReservationState, StockPolicy
from shared.contracts.inventory.sourcing import SourcingStrategy, Splitting

Reason = MovementReason
Place = tuple[str, UUID]  # a SKU in a centre
Goods = tuple[str, str]  # the kit that units are a part of, '' where of none, and their SKU
UnitsKey = tuple[str, str, UUID]  # such goods in a centre


@dataclass(frozen=True)
class Movement:
    """One line of the ledger: what one change made of a SKU in a centre; `number` counts them from 1.

    With `as_of` it corrects what was on hand then: what was booked since stays booked.
    """

    sku: str
    centre_id: UUID
    number: int
    reason: Reason
    reference: str | None
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    note: str | None = None
    as_of: datetime | None = None


@dataclass
class Stock:
    """A SKU in a centre. Whatever changes it returns the movement that tells of it."""

    sku: str
    centre_id: UUID
    on_hand: int = 0
    reserved: int = 0
    backordered: int = 0
    policy: StockPolicy = "standard"
    available_from: date | None = None
    available_until: date | None = None
    restock_date: date | None = None
    warning_level: int | None = None
    ideal_level: int | None = None
    counted_at: datetime | None = None
    version: int = 0

    @property
    def place(self) -> Place:
        return self.sku, self.centre_id

    @property
    def available(self) -> int:
        return max(self.on_hand - self.reserved, 0)

    @property
    def is_short(self) -> bool:
        """Whether units are promised that are missing, without a policy that meant it."""
        return self.backordered > 0 and self.policy == "standard"

    @property
    def is_low(self) -> bool:
        """Whether what can be sold has come down to the warning level."""
        return self.warning_level is not None and self.available <= self.warning_level

    @property
    def standing(self) -> tuple[bool, bool]:
        """Whether there is any, and whether that is low: what operators find it by, however much there is."""
        return self.available > 0 or self.policy == "always", self.is_low

    def is_on_sale(self, today: date) -> bool:
        """Showroom goods never are; others between their dates, preorders also before."""
        if self.policy == "showroom" or (self.available_until is not None and today > self.available_until):
            return False
        return self.policy == "preorder" or self.available_from is None or today >= self.available_from

    def promises_beyond(self, today: date) -> bool:
        """Whether more than is there may be sold: backorder and always do, preorder until its goods are out."""
        if not self.is_on_sale(today):
            return False
        if self.policy == "preorder":
            return self.available_from is None or today < self.available_from
        return self.policy in ("backorder", "always")

    def sellable(self, today: date) -> int:
        """Units that are there and may be sold."""
        return self.available if self.is_on_sale(today) else 0

    def count(self, on_hand: int, as_of: datetime, reference: str | None) -> Movement:
        """A count is a fact: it holds even below what is reserved."""
        self.counted_at = as_of
        return self._move("counted", reference, on_hand=on_hand - self.on_hand)

    def adjust(self, delta: int, reference: str | None, note: str | None = None) -> Movement:
        return replace(self._move("adjusted", reference, on_hand=delta), note=note)

    def correct(self, difference: int, counted_at: datetime, reference: str, note: str) -> Movement:
        """A stock check found so many more, or fewer, at that moment than were booked."""
        self.counted_at = counted_at
        return replace(self._move("adjusted", reference, on_hand=difference), note=note, as_of=counted_at)

    def move(self, delta: int, reference: str | None, note: str | None) -> Movement:
        """Goods go to another centre, or come from there."""
        return replace(self._move("moved", reference, on_hand=delta), note=note)

    def add(self, quantity: int, reason: Reason, reference: str) -> Movement:
        """Units came in."""
        return self._move(reason, reference, on_hand=quantity)

    def reserve(self, quantity: int, beyond: int, reference: str) -> Movement:
        """Promise units, `beyond` of them not there; the database refuses more than is there where that is not said."""
        backordered = self.backordered + beyond
        movement = self._move("reserved", reference, reserved=quantity)
        self.backordered = backordered
        return movement

    def release(self, quantity: int, reason: Reason, reference: str) -> Movement:
        return self._move(reason, reference, reserved=-quantity)

    def ship(self, quantity: int, reference: str) -> Movement:
        """Units leave, and with them their promise. Of *always* goods, stock is not kept below zero."""
        return self._move("shipped", reference, on_hand=-min(quantity, self.on_hand), reserved=-quantity)

    def can_ship(self) -> int | None:
        """Units that can leave now; None: any number."""
        return None if self.policy == "always" else self.on_hand

    def _move(self, reason: Reason, reference: str | None, *, on_hand: int = 0, reserved: int = 0) -> Movement:
        before = self.on_hand, self.reserved
        self.on_hand += on_hand
        self.reserved += reserved
        self.backordered = max(self.reserved - self.on_hand, 0)
        self.version += 1
        return Movement(
            self.sku, self.centre_id, self.version, reason, reference, before[0], self.on_hand, before[1], self.reserved
        )


@dataclass(frozen=True)
class Serving:
    """A centre that serves a shop."""

    centre_id: UUID
    code: str
    preference: int
    counts: bool
    dispatches: bool

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Centres that may dispatch come first, then the preferred ones."""
        return not self.dispatches, self.preference, self.code


@dataclass(frozen=True)
class SourcingRule:
    """How a shop chooses the centres that serve its orders (INV-4)."""

    strategy: SourcingStrategy = "preference"
    splitting: Splitting = "lines"


@dataclass(frozen=True)
class Served:
    """A shop's centres in the order of preference, and its rule for choosing among them."""

    centres: list[Serving]
    rule: SourcingRule

    @property
    def counting(self) -> list[UUID]:
        """Those whose stock the shop sells."""
        return [centre.centre_id for centre in self.centres if centre.counts]


@dataclass(frozen=True)
class WantedLine:
    """So many of a SKU that an order wants. `parts` of a kit: the units of each child that one of it is made of."""

    sku: str
    quantity: int
    in_stock_only: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_kit(self) -> bool:
        return bool(self.parts)

    def made_of(self) -> Mapping[str, int]:
        """Units per SKU that lies in centres, for one."""
        return self.parts or {self.sku: 1}

    def needs(self) -> dict[str, int]:
        """Units per SKU that lies in centres, for the line."""
        return {sku: per_line * self.quantity for sku, per_line in self.made_of().items()}


@dataclass
class ReservedUnits:
    """So many units of a SKU in a centre, held for one order; `shipped` of them have left.

    `bound` ones belong to a shipment that is being prepared, and leave with it alone.

    `in_stock_only`: the shop promises none that is not there, also when they are taken again. Units of a child are
    held for its `kit`, of which each takes `per_kit`; others are held for themselves.
    """

    sku: str
    centre_id: UUID
    quantity: int
    backordered: int = 0
    shipped: int = 0
    in_stock_only: bool = False
    bound: int = 0
    kit: str = ""
    per_kit: int = 1

    @property
    def place(self) -> Place:
        return self.sku, self.centre_id

    @property
    def goods(self) -> Goods:
        return self.kit, self.sku

    @property
    def key(self) -> UnitsKey:
        return self.kit, self.sku, self.centre_id

    @property
    def line_sku(self) -> str:
        """The SKU that the order names."""
        return self.kit or self.sku

    @property
    def open(self) -> int:
        return self.quantity - self.shipped

    @property
    def free(self) -> int:
        """Units that no shipment has taken or bound."""
        return self.open - self.bound


@dataclass(frozen=True)
class Sourced:
    """Units for every line of an order, and for each line what was weighed."""

    units: list[ReservedUnits]
    explained: list[dict[str, Any]]


@dataclass
class Reserved:
    """A reservation, locked."""

    id: UUID
    shop_id: UUID
    state: ReservationState
    expires_at: datetime | None
    units: list[ReservedUnits] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return f"order:{self.id}"

    @property
    def holds_stock(self) -> bool:
        return self.state in ("held", "confirmed")

    def demand(self) -> dict[str, int]:
        """How many of each SKU the order names, of kits as kits."""
        return self._lines(lambda units: units.quantity)

    def shipped_lines(self) -> dict[str, int]:
        """How many of each SKU the order names have left; a kit has left when all its children have."""
        return self._lines(lambda units: units.shipped)

    def lacking(self, kit: str, quantity: int) -> dict[str, int]:
        """Units of its children that make so many more of a kit whole: some may have left, or be bound, before."""
        of_kit = [units for units in self.units if units.kit == kit]
        whole = self._lines(lambda units: units.shipped + units.bound)[kit] if of_kit else 0
        lacking = {units.sku: units.per_kit * (whole + quantity) for units in of_kit}
        for units in of_kit:
            lacking[units.sku] = max(lacking[units.sku] - units.shipped - units.bound, 0)
        return lacking

    def _lines(self, counted: Callable[[ReservedUnits], int]) -> dict[str, int]:
        return self.lines_made_of((units.goods, counted(units)) for units in self.units)

    def lines_made_of(self, goods: Iterable[tuple[Goods, int]]) -> dict[str, int]:
        """How many of each SKU the order names these units make; a kit needs all its children."""
        per_kit = {units.goods: units.per_kit for units in self.units}
        made: dict[str, dict[str, int]] = {units.kit: {} for units in self.units if units.kit}
        for kit, parts in made.items():
            parts.update({sku: 0 for known, sku in per_kit if known == kit})
        for (kit, sku), quantity in goods:
            parts = made.setdefault(kit or sku, {})
            parts[sku] = parts.get(sku, 0) + quantity
        return {line: min(n // per_kit.get((line, sku), 1) for sku, n in parts.items()) for line, parts in made.items()}

    def in_stock_only(self) -> frozenset[str]:
        """SKUs that the order names, of which nothing is promised that is not there."""
        return frozenset(units.line_sku for units in self.units if units.in_stock_only)

    def wanted(self) -> list[WantedLine]:
        """The lines as they were first taken, a kit with the children it had then."""
        kits: dict[str, dict[str, int]] = {}
        for units in self.units:
            if units.kit:
                kits.setdefault(units.kit, {})[units.sku] = units.per_kit
        only = self.in_stock_only()
        return [WantedLine(sku, n, sku in only, kits.get(sku, {})) for sku, n in self.demand().items()]
