"""Goods come back: never more than left, into the stock of a centre or of none."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.inventory.errors import (
    CentreNotFound,
    MoreThanShipped,
    NotShipped,
    OrderNotFound,
    ReturnNotFound,
    ShipmentNotFound,
)
from services.inventory.models import Goods, Place, Reserved
from services.inventory.repository import held, shop_centres
from services.inventory.repository import returns as stored
from services.inventory.repository.returns import BackUnits, SentUnits
from services.inventory.shipment_states import LEFT
from services.inventory.use_cases import alerts, ledger, shipping
from shared.contracts.base import Page
from shared.contracts.inventory.events import GoodsReturned
from shared.contracts.inventory.returns import GoodsReturn, ListReturns, ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shapes import ReturnedUnits
from shared.pagination import cursor_for, id_after
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: ReturnDraft) -> GoodsReturn:
    """Raises OrderNotFound, ShipmentNotFound, CentreNotFound, NotShipped, MoreThanShipped."""
    reservation = await held.find_reservation(uow, draft.order_id, lock=True)
    if reservation is None or not uow.caller.sees_shop(reservation.shop_id):
        raise OrderNotFound("There is no such order.")
    sent = await _list_sent(uow, draft)
    centre_ids = await _centre_ids(uow, draft)
    before = reservation.lines_made_of((units.goods, units.returned) for units in sent)
    back = _choose(draft, sent, centre_ids, reservation)
    await stored.write_sent(uow, sent)
    return_id = await stored.add(uow, draft.order_id, sent[0].order_number, reservation.shop_id, draft.reason, back)
    await _restock(uow, return_id, back)
    for shipment_id in sorted({units.shipment_id for units in back}):
        whole = not any(units.out for units in sent if units.shipment_id == shipment_id)
        await shipping.note_returned(uow, shipment_id, whole=whole)
    found = await get(uow, return_id)
    uow.audit("return.create", "return", return_id, after=found.model_dump(mode="json"), reason=draft.reason)
    after = reservation.lines_made_of((units.goods, units.returned) for units in sent)
    restocked = reservation.lines_made_of(
        ((units.kit, units.sku), units.quantity) for units in back if units.restocked_to is not None
    )
    uow.record(_fact(found, {sku: quantity - before[sku] for sku, quantity in after.items()}, restocked))
    return found


async def _list_sent(uow: UnitOfWork, draft: ReturnDraft) -> list[SentUnits]:
    """What left of the order, locked; of the shipment that is named alone. Raises ShipmentNotFound, NotShipped."""
    sent = await stored.lock_sent(uow, draft.order_id, LEFT)
    if draft.shipment_id is not None:
        if (await shipping.get(uow, draft.shipment_id)).order_id != draft.order_id:
            raise ShipmentNotFound("The order has no such shipment.")
        sent = [units for units in sent if units.shipment_id == draft.shipment_id]
    known = {sku for units in sent for sku in units.goods}
    strangers = sorted({line.sku for line in draft.lines} - known)
    if strangers:
        errors = [{"sku": sku, "shipped": 0} for sku in strangers]
        raise NotShipped(f"Never shipped: {', '.join(strangers[:5])}.", errors)
    return sent


async def _centre_ids(uow: UnitOfWork, draft: ReturnDraft) -> Mapping[str, UUID]:
    """Raises CentreNotFound."""
    known = await shop_centres.lock_living(uow)
    for line in draft.lines:
        if line.restock_to is not None and line.restock_to not in known:
            raise CentreNotFound(f"There is no fulfilment centre with the code '{line.restock_to}'.")
    return known


def _choose(
    draft: ReturnDraft, sent: Sequence[SentUnits], centre_ids: Mapping[str, UUID], reservation: Reserved
) -> list[BackUnits]:
    """Units of the oldest shipments first, counted as back. Raises MoreThanShipped with an entry per SKU."""
    out: dict[Goods, int] = {}
    wanted: dict[Goods, int] = {}
    for units in sent:
        out[units.goods] = out.get(units.goods, 0) + units.out
    named = [(goods, n, line.restock_to) for line in draft.lines for goods, n in _named(line, reservation)]
    for goods, quantity, _ in named:
        wanted[goods] = wanted.get(goods, 0) + quantity
    excess = [
        {"sku": goods[1], "requested": quantity, "returnable": out.get(goods, 0)}
        for goods, quantity in sorted(wanted.items())
        if quantity > out.get(goods, 0)
    ]
    if excess:
        raise MoreThanShipped("More is to come back than is out.", excess)
    back: list[BackUnits] = []
    for goods, quantity, restock_to in named:
        to = None if restock_to is None else centre_ids[restock_to]
        back += _take(quantity, [units for units in sent if units.goods == goods], to)
    return back


def _named(line: ReturnLineDraft, reservation: Reserved) -> list[tuple[Goods, int]]:
    """What a line means: a kit with all its children, a SKU, or a kit's child by itself."""
    children = {units.sku: units.per_kit for units in reservation.units if units.kit == line.sku}
    if children:
        return [((line.sku, sku), per_kit * line.quantity) for sku, per_kit in children.items()]
    kits = [units.kit for units in reservation.units if units.sku == line.sku]
    return [((kits[0] if kits and "" not in kits else "", line.sku), line.quantity)]


def _take(quantity: int, sent: Sequence[SentUnits], restocked_to: UUID | None) -> list[BackUnits]:
    back: list[BackUnits] = []
    for units in sent:
        amount = min(quantity, units.out)
        if amount:
            units.returned += amount
            quantity -= amount
            back.append(BackUnits(units.shipment_id, units.sku, amount, restocked_to, units.kit))
    return back


async def _restock(uow: UnitOfWork, return_id: UUID, back: Sequence[BackUnits]) -> None:
    restocked: dict[Place, int] = {}
    for units in back:
        if units.restocked_to is not None:
            place = units.sku, units.restocked_to
            restocked[place] = restocked.get(place, 0) + units.quantity
    locked = await ledger.lock_places(uow, restocked, create=True)
    was_short = {place for place, stock in locked.stock.items() if stock.is_short}
    for place, quantity in restocked.items():
        locked.note(locked.stock[place].add(quantity, "returned", f"return:{return_id}"))
    await locked.write(uow)
    await alerts.tell_of_short_stock(uow, locked.stock.values(), was_short)


def _fact(found: GoodsReturn, returned: Mapping[str, int], restocked: Mapping[str, int]) -> GoodsReturned:
    """What came back in the words of the order: a kit with the return that made it whole."""
    return GoodsReturned(
        return_id=found.id,
        order_id=found.order_id,
        number=found.number,
        shipment_ids=sorted({line.shipment_id for line in found.lines}),
        lines=[
            ReturnedUnits(sku=sku, quantity=n, restocked=min(restocked.get(sku, 0), n))
            for sku, n in returned.items()
            if n
        ],
        reason=found.reason,
        returned_at=found.returned_at,
    )


async def get(uow: UnitOfWork, return_id: UUID) -> GoodsReturn:
    """Raises ReturnNotFound, also for one of a shop the caller may not see."""
    row: Any = await stored.find(uow, return_id)
    if row is None or not uow.caller.sees_shop(row["shop_id"]):
        raise ReturnNotFound("There is no such return.")
    return (await stored.shapes(uow, [row]))[0]


async def list_page(uow: UnitOfWork, message: ListReturns) -> Page[GoodsReturn]:
    """Latest first, of the shops the caller may see."""
    rows = await stored.list_rows(
        uow,
        message.order_id,
        uow.caller.shop_limit,
        id_after(message.after),
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(str(page[-1]["id"])) if len(rows) > message.first else None
    return Page(items=await stored.shapes(uow, page), next=following)
