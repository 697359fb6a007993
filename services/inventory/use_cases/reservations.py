"""Stock held for orders: taken all or nothing, kept when the order stands, given back when it does not.

    held ──► confirmed ──► shipped          a reservation's id is its order's id
      ▲│          │
      │▼          ▼
    expired ──► released (final)

A reservation is locked before stock is, by everybody.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.inventory.errors import (
    InsufficientStock,
    NothingToReserve,
    ReservationClosed,
    ReservationDiffers,
    ReservationNotFound,
)
from services.inventory.models import Reason, Reserved, Served, SourcingRule, WantedLine
from services.inventory.repository import held, shipments, shop_centres
from services.inventory.repository.held import HeardOrder
from services.inventory.shipment_states import PREPARED
from services.inventory.use_cases import kits, ledger, sourcing
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.inventory.events import ReservationExpired, ReservationFailed
from shared.contracts.inventory.messages import ReserveLine, ReserveStock
from shared.contracts.inventory.shapes import Reservation, ReservedLine, ReservedPart
from shared.contracts.orders.events import OrderPlaced
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

EXPIRED_AT_ONCE = 200


async def reserve(uow: UnitOfWork, message: ReserveStock) -> Reservation:
    """Hold stock for an order. The same id with the same lines finds what it holds, and holds it anew.

    Raises NothingToReserve, ShopNotFound, InsufficientStock, ReservationDiffers, ReservationClosed.
    """
    demand = _demand([(line.sku, line.quantity) for line in message.lines])
    served = await shop_centres.find_served(uow, message.shop_id)
    if served is None:
        raise ShopNotFound("There is no such shop.")
    expires_at = await held.add_reservation(uow, message.order_id, message.shop_id, message.hold_seconds)
    if expires_at is None:
        return await _reserve_again(uow, message, demand, served)
    reservation = Reserved(message.order_id, message.shop_id, "held", expires_at)
    await _take(uow, reservation, await _lines(uow, message, demand, reservation), served)
    return shape(reservation, {s.centre_id: s.code for s in served.centres})


def _demand(lines: Sequence[tuple[str, int]]) -> dict[str, int]:
    demand: dict[str, int] = {}
    for sku, quantity in lines:
        if quantity < 1:
            raise NothingToReserve(f"The quantity of {sku} must be at least 1.")
        demand[sku] = demand.get(sku, 0) + quantity
    if not demand:
        raise NothingToReserve("A reservation needs at least one line.")
    return demand


def wanted_lines(lines: Sequence[ReserveLine]) -> list[WantedLine]:
    """What the lines of a new order name, kits as kits. Raises NothingToReserve."""
    only = {line.sku for line in lines if line.in_stock_only}
    demand = _demand([(line.sku, line.quantity) for line in lines])
    return [WantedLine(sku, quantity, sku in only) for sku, quantity in demand.items()]


async def _reserve_again(
    uow: UnitOfWork, message: ReserveStock, demand: Mapping[str, int], served: Served
) -> Reservation:
    """The id is known: a repeat, a retry after the hold ran out, or somebody's mistake."""
    reservation = await get_locked(uow, message.order_id)
    if reservation.state == "released":
        raise ReservationClosed("The reservation was released; place a new order.")
    is_same = reservation.demand() == demand and reservation.shop_id == message.shop_id
    if reservation.state == "expired":
        await _hold(uow, reservation, message.hold_seconds)
        await _take(uow, reservation, await _lines(uow, message, demand, reservation), served)
    elif not is_same:
        raise ReservationDiffers("This order's reservation holds other lines.")
    elif reservation.state == "held":
        await _hold(uow, reservation, message.hold_seconds)
    return await _shape(uow, reservation)


async def _hold(uow: UnitOfWork, reservation: Reserved, seconds: int) -> None:
    reservation.expires_at = await held.hold_anew(uow, reservation, seconds)
    reservation.state = "held"


async def _lines(
    uow: UnitOfWork, message: ReserveStock, demand: Mapping[str, int], known: Reserved
) -> list[WantedLine]:
    """What is to be taken: kits with the goods they take now."""
    before = known.in_stock_only()
    only = {
        line.sku for line in message.lines if (line.sku in before if line.in_stock_only is None else line.in_stock_only)
    }
    return await kits.explode(uow, [WantedLine(sku, quantity, sku in only) for sku, quantity in demand.items()])


async def _take(uow: UnitOfWork, reservation: Reserved, lines: Sequence[WantedLine], served: Served) -> None:
    """Choose and hold units for all lines. Raises InsufficientStock before anything is written."""
    skus = sorted({sku for line in lines for sku in line.made_of()})
    locked = await ledger.lock(uow, skus, [s.centre_id for s in served.centres if s.counts])
    sourced = sourcing.choose(lines, served.centres, locked.stock, clock.now().date(), served.rule)
    for part in sourced.units:
        locked.note(locked.stock[part.place].reserve(part.quantity, part.backordered, reservation.reference))
    await locked.write(uow)
    if reservation.units:
        await held.remove_units(uow, reservation.id)
    await held.add_units(uow, reservation.id, sourced, served.rule)
    reservation.units = sourced.units


async def get_locked(uow: UnitOfWork, order_id: UUID) -> Reserved:
    """Raises ReservationNotFound."""
    reservation = await held.find_reservation(uow, order_id, lock=True)
    if reservation is None:
        raise ReservationNotFound("There is no such reservation.")
    return reservation


async def get(uow: UnitOfWork, order_id: UUID) -> Reservation:
    """Raises ReservationNotFound, also for one of a shop the caller may not see."""
    reservation = await held.find_reservation(uow, order_id)
    if reservation is None or not uow.caller.sees_shop(reservation.shop_id):
        raise ReservationNotFound("There is no such reservation.")
    return await _shape(uow, reservation)


async def keep_placed(uow: UnitOfWork, events: Sequence[OrderPlaced]) -> None:
    """The orders stand, until their payments are due: as `keep` for each. Those that are held, in one statement."""
    placed = {event.order_id: _heard(event) for event in events}
    kept = await held.lengthen(uow, [order for order in placed.values() if order.until is not None])
    for event in sorted(events, key=lambda event: event.order_id):
        if event.order_id not in kept:
            lines = [(line.sku, line.quantity) for line in event.lines]
            await keep(uow, event.order_id, event.shop_id, lines, until=placed[event.order_id].until)
    await held.note_placed(uow, [order for order in placed.values() if order.id not in kept])


def _heard(event: OrderPlaced) -> HeardOrder:
    until = event.pay_until if event.status == "pending" else None
    return HeardOrder(event.order_id, event.number, event.status, event.placed_at, until)


async def keep(
    uow: UnitOfWork, order_id: UUID, shop_id: UUID, lines: Sequence[tuple[str, int]], *, until: datetime | None
) -> None:
    """The order stands: keep its stock, `until` its payment is due or (None) for good.

    Safe to repeat and in any order: a hold is only ever lengthened, and what was released stays released. A hold that
    ran out meanwhile is taken again, or ReservationFailed is announced. `lines` serve where no reservation is known.
    """
    reservation = await held.find_reservation(uow, order_id, lock=True)
    if reservation is None:
        if not lines or await held.add_reservation(uow, order_id, shop_id, 0) is None:
            return
        reservation = Reserved(order_id, shop_id, "expired", None)
        await held.set_states(uow, [order_id], "expired")
    if reservation.state == "expired" and not await _take_late(uow, reservation, lines, until):
        return
    if reservation.state not in ("held", "expired"):
        return
    if until is None:
        await held.set_states(uow, [order_id], "confirmed")
    elif reservation.expires_at is None or until > reservation.expires_at:
        await held.hold_until(uow, order_id, until)


async def _take_late(
    uow: UnitOfWork, reservation: Reserved, lines: Sequence[tuple[str, int]], until: datetime | None
) -> bool:
    """Take the stock of an expired reservation again. An order whose time to pay is over as well gets nothing."""
    if until is not None and until <= clock.now():
        return False
    wanted = reservation.wanted() or await kits.explode(uow, [WantedLine(sku, n) for sku, n in lines])
    try:
        served = await shop_centres.find_served(uow, reservation.shop_id) or Served([], SourcingRule())
        await _take(uow, reservation, wanted, served)
    except InsufficientStock as error:
        uow.record(ReservationFailed(order_id=reservation.id, skus=[str(entry["sku"]) for entry in error.errors]))
        return False
    return bool(wanted)


async def release(uow: UnitOfWork, order_id: UUID) -> None:
    """Give back what has not left yet; final. Safe to repeat."""
    reservation = await held.find_reservation(uow, order_id, lock=True)
    if reservation is None or reservation.state in ("released", "shipped"):
        return
    if reservation.holds_stock:
        await _give_back(uow, [reservation], "released")
    # After stock is locked: whoever serves backorders locks stock before lines.
    await shipments.cancel_prepared(uow, order_id, PREPARED, "its order was cancelled")
    await held.set_states(uow, [order_id], "released")


async def expire(uow: UnitOfWork) -> bool:
    """Give back what holds that ran out held. Returns whether there may be more of them."""
    reservations = await held.lock_expired(uow, EXPIRED_AT_ONCE)
    await _give_back(uow, reservations, "expired")
    await held.set_states(uow, [reservation.id for reservation in reservations], "expired")
    for reservation in reservations:
        uow.record(ReservationExpired(order_id=reservation.id))
    return len(reservations) == EXPIRED_AT_ONCE


async def _give_back(uow: UnitOfWork, reservations: Sequence[Reserved], reason: Reason) -> None:
    open_units = [(r, units) for r in reservations for units in r.units if units.open]
    locked = await ledger.lock_places(uow, [units.place for _, units in open_units])
    for reservation, units in open_units:
        locked.note(locked.stock[units.place].release(units.open, reason, reservation.reference))
    await locked.write(uow)


async def leave_expiry_tasks(uow: UnitOfWork) -> None:
    """Across tenants: one task for each organization that has holds whose time is over."""
    organizations = await held.list_organizations_with_expired(uow)
    if organizations:
        await uow.execute(
            "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
            " SELECT o, id, 'reservations.expire', '{}', now(), 'expire'"
            " FROM unnest($1::uuid[], $2::uuid[]) AS t (o, id) ON CONFLICT DO NOTHING",
            organizations,
            [new_id() for _ in organizations],
        )


async def _shape(uow: UnitOfWork, reservation: Reserved) -> Reservation:
    return shape(reservation, await shop_centres.get_codes(uow))


def shape(reservation: Reserved, codes: Mapping[UUID, str]) -> Reservation:
    lines: dict[str, list[ReservedPart]] = {}
    demand = reservation.demand()
    for units in reservation.units:
        part = ReservedPart.known(
            centre_id=units.centre_id,
            centre_code=codes[units.centre_id],
            quantity=units.quantity,
            backordered=units.backordered,
            shipped=units.shipped,
            sku=units.sku if units.kit else None,
        )
        lines.setdefault(units.line_sku, []).append(part)
    return Reservation(
        id=reservation.id,
        shop_id=reservation.shop_id,
        state=reservation.state,
        lines=[ReservedLine.known(sku=sku, quantity=demand[sku], parts=parts) for sku, parts in lines.items()],
        expires_at=reservation.expires_at,
    )
