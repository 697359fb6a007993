"""Orders that stand change their lines: reserved and kept back first, taking effect when the order says so.

    prepare ──► the order commits ──► OrderLinesChanged ──► apply        not confirmed in time ──► expire

What a change adds is held like any other stock; what it takes away is bound, so that no shipment takes it. Applying
brings a reservation to the lines its order has, whatever was told before, twice or late: newer lines win, and the
amendments they came from are absorbed. The order's reservation is locked first, then its amendments, then stock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.inventory.errors import (
    CentreDoesNotServe,
    GoodsLeaving,
    InsufficientStock,
    ReservationClosed,
    ReservationDiffers,
)
from services.inventory.models import (
    Place,
    Reserved,
    ReservedUnits,
    Served,
    Sourced,
    SourcingRule,
    UnitsKey,
    WantedLine,
)
from services.inventory.repository import amendments, held, shop_centres
from services.inventory.repository.amendments import Amendment
from services.inventory.use_cases import centres, kits, ledger, reservations, sourcing
from services.inventory.use_cases.ledger import Ledger
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.inventory.amendments import AmendedLine, PrepareAmendment, PreparedAmendment
from shared.contracts.inventory.events import ReservationFailed
from shared.contracts.orders.shapes import OrderStanding
from shared.unit_of_work import UnitOfWork

EXPIRED_AT_ONCE = 50


@dataclass(frozen=True)
class _Addition:
    """So much more of a line, from one centre or any."""

    line: WantedLine
    centre_id: UUID | None


# --- prepare


async def prepare(uow: UnitOfWork, message: PrepareAmendment) -> PreparedAmendment:
    """Hold what a change adds, and keep back what it takes away.

    Raises ReservationNotFound, ReservationClosed, ReservationDiffers, GoodsLeaving, InsufficientStock, CentreNotFound,
    CentreDoesNotServe.
    """
    await apply(uow, message.order)
    reservation = await reservations.get_locked(uow, message.order.order_id)
    if reservation.state == "released":
        raise ReservationClosed("The order's stock was given back; it does not change any more.")
    if await amendments.is_applied(uow, message.amendment_id):
        return PreparedAmendment(id=message.amendment_id, expires_at=None)
    known = await amendments.lock(uow, reservation.id, [message.amendment_id])
    request = message.model_dump_json(include={"lines"})
    if known and known[0].request != request:
        raise ReservationDiffers("This change holds other lines.")
    if known and known[0].held.state == "held":
        return await _hold_anew(uow, known[0], message.hold_seconds)
    return await _prepare(uow, message, reservation, request, is_known=bool(known))


async def _hold_anew(uow: UnitOfWork, known: Amendment, seconds: int) -> PreparedAmendment:
    expires_at = await held.hold_anew(uow, known.held, seconds)
    return PreparedAmendment(id=known.held.id, expires_at=expires_at, backordered=_backordered(known.held.units))


def _backordered(units: Iterable[ReservedUnits]) -> dict[str, int]:
    missing: dict[str, int] = {}
    for part in units:
        if part.backordered:
            lines = -(-part.backordered // part.per_kit)
            missing[part.line_sku] = (
                max(missing.get(part.line_sku, 0), lines) if part.kit else (missing.get(part.line_sku, 0) + lines)
            )
    return missing


async def _prepare(
    uow: UnitOfWork, message: PrepareAmendment, reservation: Reserved, request: str, *, is_known: bool
) -> PreparedAmendment:
    served = await shop_centres.find_served(uow, reservation.shop_id)
    if served is None:
        raise ShopNotFound("There is no such shop.")
    withdrawn, additions = await _differences(uow, reservation, message.lines, served)
    if is_known:
        await amendments.empty(uow, [message.amendment_id])
        amendment = Reserved(message.amendment_id, reservation.shop_id, "expired", None)
        expires_at = await held.hold_anew(uow, amendment, message.hold_seconds)
    else:
        expires_at = await amendments.add(
            uow, message.amendment_id, reservation.id, reservation.shop_id, request, message.hold_seconds
        )
    sourced = await _take(uow, reservation, additions, served)
    if sourced.units:
        await held.add_units(uow, message.amendment_id, sourced, served.rule)
    if withdrawn:
        await amendments.add_withdrawn(uow, message.amendment_id, withdrawn)
        for part in reservation.units:
            part.bound += withdrawn.get(part.key, 0)
        await held.write_shipped(uow, reservation.id, [part for part in reservation.units if part.key in withdrawn])
    return PreparedAmendment(id=message.amendment_id, expires_at=expires_at, backordered=_backordered(sourced.units))


async def _differences(
    uow: UnitOfWork, reservation: Reserved, lines: Sequence[AmendedLine], served: Served
) -> tuple[dict[UnitsKey, int], list[_Addition]]:
    """What is to be taken away, by what it is and where, and what more is to be held. Raises GoodsLeaving."""
    withdrawn: dict[UnitsKey, int] = {}
    additions: list[_Addition] = []
    leaving: list[dict[str, object]] = []
    made_of = {line.sku: line for line in await _as_held(uow, reservation, lines)}
    for line in lines:
        centre_id = None if line.centre is None else await _serving_centre(uow, line.centre, served)
        own = [part for part in reservation.units if part.line_sku == line.sku]
        have = reservation.demand().get(line.sku, 0)
        elsewhere = _free_lines([p for p in own if p.centre_id != centre_id], made_of[line.sku]) if centre_id else 0
        fewer = max(have - line.quantity, elsewhere)
        missing = _withdraw(own, fewer, made_of[line.sku], centre_id, withdrawn)
        if missing:
            leaving.append({"sku": line.sku, "requested": fewer, "free": fewer - missing})
        more = line.quantity - (have - fewer)
        if more > 0:
            wanted = made_of[line.sku]
            additions.append(_Addition(WantedLine(wanted.sku, more, wanted.in_stock_only, wanted.parts), centre_id))
    if leaving:
        raise GoodsLeaving("Some of it has left, or is in a shipment that is being prepared.", leaving)
    return withdrawn, additions


async def _as_held(uow: UnitOfWork, reservation: Reserved, lines: Sequence[AmendedLine]) -> list[WantedLine]:
    """The lines, kits made of what they were when this order took them first."""
    known = {line.sku: line.parts for line in reservation.wanted()}
    exploded = await kits.explode(uow, [WantedLine(line.sku, line.quantity, line.in_stock_only) for line in lines])
    return [
        WantedLine(line.sku, line.quantity, line.in_stock_only, known.get(line.sku, line.parts)) for line in exploded
    ]


async def _serving_centre(uow: UnitOfWork, code: str, served: Served) -> UUID:
    centre_id = await centres.get_id(uow, code)
    if not any(serving.centre_id == centre_id and serving.counts for serving in served.centres):
        raise CentreDoesNotServe(f"The centre '{code}' does not serve this shop.")
    return centre_id


def _free_lines(parts: Sequence[ReservedUnits], line: WantedLine) -> int:
    """How many whole lines these parts make that are in no shipment."""
    free = dict.fromkeys(line.made_of(), 0)
    for part in parts:
        if part.sku in free:
            free[part.sku] += part.free
    return min(free[sku] // per_line for sku, per_line in line.made_of().items())


def _withdraw(
    parts: Sequence[ReservedUnits], lines: int, wanted: WantedLine, centre_id: UUID | None, into: dict[UnitsKey, int]
) -> int:
    """Note so many lines' units, of other centres first, then what is not there yet. Returns how many are not free."""
    most = min(lines, _free_lines(parts, wanted))
    for sku, per_line in wanted.made_of().items():
        left = most * per_line
        own = [part for part in parts if part.sku == sku]
        for part in sorted(own, key=lambda part: (part.centre_id == centre_id, -part.backordered)):
            units = min(part.free, left)
            if units:
                into[part.key] = into.get(part.key, 0) + units
                left -= units
    return lines - most


async def _take(uow: UnitOfWork, order: Reserved, additions: Sequence[_Addition], served: Served) -> Sourced:
    """Choose and hold units, those of a named centre first. Raises InsufficientStock before anything is stored."""
    if not additions:
        return Sourced([], [])
    skus = sorted({sku for addition in additions for sku in addition.line.made_of()})
    locked = await ledger.lock(uow, skus, [s.centre_id for s in served.centres if s.counts])
    units: list[ReservedUnits] = []
    explained = []
    for centre_id in sorted({a.centre_id for a in additions}, key=lambda known: (known is None, str(known))):
        lines = [addition.line for addition in additions if addition.centre_id == centre_id]
        within = [s for s in served.centres if centre_id in (None, s.centre_id)]
        sourced = sourcing.choose(lines, within, locked.stock, clock.now().date(), served.rule)
        _reserve(locked, sourced.units, order)
        units += sourced.units
        explained += sourced.explained
    await locked.write(uow)
    return Sourced(units, explained)


def _reserve(locked: Ledger, units: Sequence[ReservedUnits], order: Reserved) -> None:
    for part in units:
        locked.note(locked.stock[part.place].reserve(part.quantity, part.backordered, order.reference))


# --- apply


async def apply(uow: UnitOfWork, order: OrderStanding) -> None:
    """Bring a reservation to the lines its order has. Safe to repeat and in any order. Raises ReservationNotFound."""
    if not order.amendments:
        return
    reservation = await reservations.get_locked(uow, order.order_id)
    if order.version <= await amendments.find_lines_version(uow, order.order_id):
        return
    pending = await amendments.lock(uow, order.order_id, order.amendments)
    target = {line.sku: line.quantity for line in order.lines}
    served = await shop_centres.find_served(uow, reservation.shop_id) or Served([], SourcingRule())
    locked = await _lock_stock(uow, reservation, pending, target, served)
    # Read again now that stock is locked: whoever serves backorders has written to the units until then.
    reservation = await reservations.get_locked(uow, order.order_id)
    pending = await amendments.lock(uow, order.order_id, order.amendments)
    await _Bringing(reservation, pending, served, locked).run(uow, target)
    ids = [amendment.held.id for amendment in pending]
    await amendments.empty(uow, ids)
    await held.set_states(uow, ids, "released")
    await amendments.set_lines_version(uow, order.order_id, order.version)


async def _lock_stock(
    uow: UnitOfWork, reservation: Reserved, pending: Sequence[Amendment], target: Mapping[str, int], served: Served
) -> Ledger:
    """Lock all that may change, before any unit does."""
    units = [*reservation.units, *(part for amendment in pending for part in amendment.held.units)]
    lines = await kits.explode(uow, [WantedLine(sku, wanted) for sku, wanted in target.items()])
    skus = {part.sku for part in units} | {sku for line in lines for sku in line.made_of()}
    counting = {s.centre_id for s in served.centres if s.counts} | {part.centre_id for part in units}
    return await ledger.lock(uow, sorted(skus), sorted(counting))


class _Bringing:
    """A reservation on its way to other lines."""

    def __init__(self, reservation: Reserved, pending: Sequence[Amendment], served: Served, locked: Ledger) -> None:
        self.reservation = reservation
        self.pending = pending
        self.served = served
        self.locked = locked
        self.holds = reservation.state in ("held", "confirmed", "shipped")
        self.units = {part.key: part for part in reservation.units}
        self.given_back: list[tuple[Place, int]] = []
        self.preferred: dict[UnitsKey, int] = {}

    async def run(self, uow: UnitOfWork, target: Mapping[str, int]) -> None:
        if self.reservation.state == "released":
            self._give_back_amendments()
            await self._write_stock(uow, [])
            return
        self._absorb()
        self._cut(target)
        lacking = self._lacking(target)
        await self._write_stock(uow, lacking)
        kept = [part for part in self.units.values() if part.quantity]
        await amendments.write_units(uow, self.reservation.id, kept)
        await self._set_state(uow, kept)

    def _give_back_amendments(self) -> None:
        for amendment in self.pending:
            if amendment.held.holds_stock:
                self.given_back += [(part.place, part.open) for part in amendment.held.units]

    def _absorb(self) -> None:
        """What amendments hold becomes the order's; what they keep back is free to go."""
        for amendment in self.pending:
            was_held = amendment.held.holds_stock
            for key, units in amendment.withdrawn.items():
                self.preferred[key] = self.preferred.get(key, 0) + units
                if was_held and key in self.units:
                    self.units[key].bound = max(self.units[key].bound - units, 0)
            if was_held and not self.holds:
                self.given_back += [(part.place, part.open) for part in amendment.held.units]
            if was_held or not self.holds:
                for part in amendment.held.units:
                    self._merge(part)

    def _merge(self, part: ReservedUnits) -> None:
        known = self.units.setdefault(part.key, part)
        if known is not part:
            known.quantity += part.quantity
            known.backordered += part.backordered
            known.in_stock_only = known.in_stock_only or part.in_stock_only

    def _cut(self, target: Mapping[str, int]) -> None:
        """Take away what is beyond the target: what was kept back for it first, then what is not there yet."""
        self.reservation.units = [part for part in self.units.values() if part.quantity]
        for sku, have in self.reservation.demand().items():
            surplus = have - target.get(sku, 0)
            own = [part for part in self.reservation.units if part.line_sku == sku]
            for child in {part.sku for part in own} if surplus > 0 else ():
                self._cut_child([part for part in own if part.sku == child], surplus)

    def _cut_child(self, parts: Sequence[ReservedUnits], lines: int) -> None:
        left = lines * parts[0].per_kit
        ranked = sorted(parts, key=lambda part: -part.backordered)
        for most in (lambda part: self.preferred.get(part.key, 0), lambda part: part.free):
            for part in ranked:
                units = min(left, part.free, most(part))
                part.quantity -= units
                part.backordered = max(part.backordered - units, 0)
                left -= units
                if units and self.holds:
                    self.given_back.append((part.place, units))

    def _lacking(self, target: Mapping[str, int]) -> list[tuple[str, int]]:
        """What must be taken late, for its hold ran out before the order's word came."""
        if not self.holds:
            return []
        self.reservation.units = [part for part in self.units.values() if part.quantity]
        have = self.reservation.demand()
        return [(sku, units - have.get(sku, 0)) for sku, units in target.items() if units > have.get(sku, 0)]

    async def _write_stock(self, uow: UnitOfWork, lacking: Sequence[tuple[str, int]]) -> None:
        for place, units in self.given_back:
            self.locked.note(self.locked.stock[place].release(units, "released", self.reservation.reference))
        lines = await self._wanted(uow, lacking)
        if lines:
            self._take_late(uow, lines)
        await self.locked.write(uow)
        ledger.leave_serving(uow, sorted({key[1:] for key in self.preferred}))

    async def _wanted(self, uow: UnitOfWork, lacking: Sequence[tuple[str, int]]) -> list[WantedLine]:
        known = {line.sku: line for line in self.reservation.wanted()}
        exploded = await kits.explode(uow, [WantedLine(sku, units) for sku, units in lacking])
        return [
            WantedLine(line.sku, line.quantity, known[line.sku].in_stock_only, known[line.sku].parts)
            if line.sku in known
            else line
            for line in exploded
        ]

    def _take_late(self, uow: UnitOfWork, lines: Sequence[WantedLine]) -> None:
        today = clock.now().date()
        try:
            sourced = sourcing.choose(lines, self.served.centres, self.locked.stock, today, self.served.rule)
        except InsufficientStock as error:
            skus = [str(entry["sku"]) for entry in error.errors]
            uow.record(ReservationFailed(order_id=self.reservation.id, skus=skus))
            return
        _reserve(self.locked, sourced.units, self.reservation)
        for part in sourced.units:
            self._merge(part)

    async def _set_state(self, uow: UnitOfWork, kept: Sequence[ReservedUnits]) -> None:
        is_open = any(part.open for part in kept)
        if self.reservation.state == "confirmed" and kept and not is_open:
            await held.set_states(uow, [self.reservation.id], "shipped")
        elif self.reservation.state == "shipped" and is_open:
            await held.set_states(uow, [self.reservation.id], "confirmed")


# --- expire


async def expire(uow: UnitOfWork) -> bool:
    """Undo amendments that no order confirmed in time. Returns whether there may be more of them."""
    expired = await amendments.list_expired(uow, EXPIRED_AT_ONCE)
    for amendment_id, order_id in expired:
        reservation = await reservations.get_locked(uow, order_id)
        pending = await amendments.lock(uow, order_id, [amendment_id])
        if pending and pending[0].held.state == "held" and await amendments.is_over(uow, amendment_id):
            await _undo(uow, reservation, pending[0])
    return len(expired) == EXPIRED_AT_ONCE


async def _undo(uow: UnitOfWork, reservation: Reserved, amendment: Amendment) -> None:
    locked = await ledger.lock_places(uow, [part.place for part in amendment.held.units])
    for part in amendment.held.units:
        locked.note(locked.stock[part.place].release(part.open, "expired", reservation.reference))
    await locked.write(uow)
    kept_back = [part for part in reservation.units if part.key in amendment.withdrawn]
    for part in kept_back:
        part.bound = max(part.bound - amendment.withdrawn[part.key], 0)
    await held.write_shipped(uow, reservation.id, kept_back)
    ledger.leave_serving(uow, [part.place for part in kept_back])
    await held.set_states(uow, [amendment.held.id], "expired")
