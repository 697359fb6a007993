"""Reserving for several orders at once: stock locked once, and each order served from what those before it left.

One after the other in memory, they get what they would get one by one; who falls short touches no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from services.inventory.errors import InsufficientStock
from services.inventory.models import Place, Reserved, Served, Sourced, Stock, WantedLine
from services.inventory.repository import held, shop_centres
from services.inventory.use_cases import kits, ledger, reservations, sourcing
from services.inventory.use_cases.ledger import Ledger
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.inventory.messages import ReserveStock
from shared.errors import CrossdockError
from shared.service import ALONE, Asked
from shared.unit_of_work import UnitOfWork


@dataclass
class _Wish:
    """An order that is new here, with the centres that serve it."""

    message: ReserveStock
    served: Served
    lines: list[WantedLine]
    reservation: Reserved | None = None
    sourced: Sourced | None = None


async def reserve(uow: UnitOfWork, asked: Sequence[Asked[ReserveStock]]) -> list[Any]:
    """Hold stock for orders: a reservation, a refusal or `ALONE` for each. See `reservations.reserve` for one.

    Alone is who repeats: what its id holds already decides what is to be done.
    """
    messages = [each.message for each in asked]
    if len(messages) == 1:
        return [await reservations.reserve(uow, messages[0])]
    results: dict[UUID, Any] = {}
    wishes = await _wishes(uow, messages, results)
    await _make_known(uow, wishes, results)
    new = [wish for wish in wishes.values() if wish.reservation is not None]
    await _explode(uow, new)
    await _take(uow, new, results)
    return _in_order(messages, results)


async def _wishes(uow: UnitOfWork, messages: Sequence[ReserveStock], results: dict[UUID, Any]) -> dict[UUID, _Wish]:
    """Those that can be wished for, by their ids."""
    served: dict[UUID, Served | None] = {}
    for shop_id in {message.shop_id for message in messages}:
        served[shop_id] = await shop_centres.find_served(uow, shop_id)
    wishes: dict[UUID, _Wish] = {}
    for message in messages:
        try:
            wishes.setdefault(message.order_id, _wish(message, served[message.shop_id]))
        except CrossdockError as refusal:
            results[message.order_id] = refusal
    return wishes


def _wish(message: ReserveStock, served: Served | None) -> _Wish:
    """Raises NothingToReserve, ShopNotFound."""
    lines = reservations.wanted_lines(message.lines)
    if served is None:
        raise ShopNotFound("There is no such shop.")
    return _Wish(message, served, lines)


async def _make_known(uow: UnitOfWork, wishes: Mapping[UUID, _Wish], results: dict[UUID, Any]) -> None:
    """Make the reservations, without units. Those whose id is taken are to be answered alone."""
    rows = sorted((id_, wish.message.shop_id, wish.message.hold_seconds) for id_, wish in wishes.items())
    made = await held.add_reservations(uow, rows) if rows else {}
    for id_, wish in wishes.items():
        if id_ in made:
            wish.reservation = Reserved(id_, wish.message.shop_id, "held", made[id_])
        else:
            results[id_] = ALONE


async def _explode(uow: UnitOfWork, wishes: Sequence[_Wish]) -> None:
    exploded = iter(await kits.explode(uow, [line for wish in wishes for line in wish.lines]))
    for wish in wishes:
        wish.lines = [next(exploded) for _ in wish.lines]


async def _take(uow: UnitOfWork, wishes: Sequence[_Wish], results: dict[UUID, Any]) -> None:
    """Serve one after the other from stock that is locked for all."""
    if not wishes:
        return
    skus = sorted({sku for wish in wishes for line in wish.lines for sku in line.made_of()})
    centre_ids = {centre.centre_id for wish in wishes for centre in wish.served.centres if centre.counts}
    locked, today = await ledger.lock(uow, skus, list(centre_ids)), clock.now().date()
    by_sku = _by_sku(locked)
    for wish in wishes:
        try:
            wish.sourced = _serve(wish, locked, by_sku, today)
        except InsufficientStock as refusal:
            results[wish.message.order_id] = refusal
    await locked.write(uow)
    await held.remove_reservations(uow, [wish.message.order_id for wish in wishes if wish.sourced is None])
    taken = [(wish.message.order_id, wish.sourced, wish.served.rule) for wish in wishes if wish.sourced is not None]
    if taken:
        await held.add_all_units(uow, taken)
    for wish in wishes:
        if wish.sourced is not None and wish.reservation is not None:
            wish.reservation.units = wish.sourced.units
            codes = {centre.centre_id: centre.code for centre in wish.served.centres}
            results[wish.message.order_id] = reservations.shape(wish.reservation, codes)


def _by_sku(locked: Ledger) -> dict[str, list[Stock]]:
    by_sku: dict[str, list[Stock]] = {}
    for row in locked.stock.values():
        by_sku.setdefault(row.sku, []).append(row)
    return by_sku


def _serve(wish: _Wish, locked: Ledger, by_sku: Mapping[str, Sequence[Stock]], today: date) -> Sourced:
    """Raises InsufficientStock before anything is changed."""
    assert wish.reservation is not None
    goods = {sku for line in wish.lines for sku in line.made_of()}
    own: dict[Place, Stock] = {row.place: row for sku in goods for row in by_sku.get(sku, ())}
    sourced = sourcing.choose(wish.lines, wish.served.centres, own, today, wish.served.rule)
    for part in sourced.units:
        stock = locked.stock[part.place]
        locked.note(stock.reserve(part.quantity, part.backordered, wish.reservation.reference))
    return sourced


def _in_order(messages: Sequence[ReserveStock], results: Mapping[UUID, Any]) -> list[Any]:
    """One result per message; of several for one order the others see alone what the first one holds."""
    told: set[UUID] = set()
    ordered = []
    for message in messages:
        ordered.append(ALONE if message.order_id in told else results[message.order_id])
        told.add(message.order_id)
    return ordered
