"""Goods are expected, and come in. Locks: the centre, against its removal; arrivals; stock.

Whoever waited longest for what came in is served by the task that the ledger leaves (`serving.py`).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from services.inventory.errors import (
    ArrivalChangedSince,
    ArrivalDiffers,
    ArrivalNotFound,
    ArrivalOver,
    CentreNotFound,
    LessThanReceived,
    ReceiptNotFound,
    TooMuchStock,
)
from services.inventory.models import Place
from services.inventory.repository import arrivals as stored
from services.inventory.repository import shop_centres
from services.inventory.use_cases import alerts, centres, ledger
from shared.contracts.base import Page
from shared.contracts.inventory.arrivals import (
    Arrival,
    ArrivalChange,
    ArrivalDraft,
    Arrivals,
    ListArrivals,
    ListReceipts,
    Receipt,
    ReceiptDraft,
)
from shared.identifiers import new_id
from shared.pagination import cursor_for, id_after, page_by_id
from shared.unit_of_work import UnitOfWork

MOST_UNITS = 2_000_000_000


async def expect(uow: UnitOfWork, drafts: Sequence[ArrivalDraft]) -> Arrivals:
    """Raises CentreNotFound, TooMuchStock."""
    known = await shop_centres.lock_living(uow)
    for draft in drafts:
        if draft.centre not in known:
            raise CentreNotFound(f"There is no fulfilment centre with the code '{draft.centre}'.")
    places = [(draft.sku, known[draft.centre]) for draft in drafts]
    await ledger.lock_places(uow, places, create=True)
    ids = await stored.add(uow, drafts, known)
    await _refresh(uow, places)
    rows = {row["id"]: row for row in await stored.list_by_ids(uow, ids)}
    uow.audit("arrival.create", "arrival", ids[0], after={"lines": len(ids)})
    return Arrivals(items=[stored.shape(rows[arrival_id]) for arrival_id in ids])


async def _refresh(uow: UnitOfWork, places: Sequence[Place]) -> None:
    if await stored.most_incoming(uow, places) > MOST_UNITS:
        raise TooMuchStock("More is expected than stock can hold.")
    await stored.refresh_incoming(uow, sorted(set(places)))


async def change(
    uow: UnitOfWork, arrival_id: UUID, wanted: ArrivalChange, expected_version: int | None = None
) -> Arrival:
    """Raises ArrivalNotFound, ArrivalChangedSince, ArrivalOver, LessThanReceived, TooMuchStock."""
    row = await _lock_open(uow, arrival_id, expected_version)
    columns = wanted.given()
    quantity = columns.get("quantity", row["quantity"])
    if quantity < row["received"]:
        raise LessThanReceived(f"{row['received']} have come already.")
    if quantity == row["received"]:
        columns["state"] = "received"
    return await _write(uow, row, columns, "arrival.change")


async def close(uow: UnitOfWork, arrival_id: UUID, expected_version: int | None = None) -> Arrival:
    """Raises ArrivalNotFound, ArrivalChangedSince, ArrivalOver."""
    row = await _lock_open(uow, arrival_id, expected_version)
    return await _write(uow, row, {"state": "closed"}, "arrival.close")


async def _lock_open(uow: UnitOfWork, arrival_id: UUID, expected_version: int | None) -> asyncpg.Record:
    rows = await stored.list_by_ids(uow, [arrival_id], lock=True)
    if not rows:
        raise ArrivalNotFound("There is no such arrival.")
    row = rows[0]
    if expected_version is not None and row["version"] != expected_version:
        raise ArrivalChangedSince(f"The arrival has version {row['version']} now, not {expected_version}.")
    if row["state"] != "open":
        raise ArrivalOver(f"The arrival is {row['state']}: nothing more is expected.")
    return row


async def _write(uow: UnitOfWork, row: asyncpg.Record, columns: Mapping[str, object], action: str) -> Arrival:
    place = row["sku"], row["centre_id"]
    await ledger.lock_places(uow, [place])
    await stored.change(uow, row["id"], columns)
    await _refresh(uow, [place])
    before = {name: str(row[name]) for name in columns}
    uow.audit(action, "arrival", row["id"], before=before, after={name: str(each) for name, each in columns.items()})
    return await get(uow, row["id"])


async def get(uow: UnitOfWork, arrival_id: UUID) -> Arrival:
    """Raises ArrivalNotFound."""
    rows = await stored.list_by_ids(uow, [arrival_id])
    if not rows:
        raise ArrivalNotFound("There is no such arrival.")
    return stored.shape(rows[0])


async def list_page(uow: UnitOfWork, message: ListArrivals) -> Page[Arrival]:
    """Latest first. Raises CentreNotFound."""
    rows = await stored.list_rows(
        uow,
        message.sku,
        None if message.centre is None else await centres.get_id(uow, message.centre),
        message.state,
        id_after(message.after),
        message.first + 1,
    )
    return page_by_id(rows, message.first, stored.shape)


async def receive(uow: UnitOfWork, draft: ReceiptDraft) -> Receipt:
    """Raises ArrivalNotFound, ArrivalDiffers, ArrivalOver, CentreNotFound, TooMuchStock."""
    centre_id = await centres.lock_id(uow, draft.centre)
    rows = await _lock_arrivals(uow, draft)
    _require_same_goods(draft, rows, centre_id)
    receipt_id = new_id()
    await _stock_up(uow, draft, centre_id, f"receipt:{receipt_id}")
    against: dict[UUID, int] = {}
    for line in draft.lines:
        if line.arrival_id is not None:
            against[line.arrival_id] = against.get(line.arrival_id, 0) + line.quantity
    if against:
        await stored.note_received(uow, against)
        await _refresh(uow, [(row["sku"], row["centre_id"]) for row in rows.values()])
    await stored.add_receipt(uow, receipt_id, centre_id, draft.reference, draft.lines)
    receipt = await get_receipt(uow, receipt_id)
    uow.audit("receipt.create", "receipt", receipt_id, after=receipt.model_dump(mode="json"))
    return receipt


async def _lock_arrivals(uow: UnitOfWork, draft: ReceiptDraft) -> dict[UUID, asyncpg.Record]:
    """Raises ArrivalNotFound."""
    ids = sorted({line.arrival_id for line in draft.lines if line.arrival_id is not None})
    rows = {row["id"]: row for row in await stored.list_by_ids(uow, ids, lock=True)} if ids else {}
    if len(rows) < len(ids):
        raise ArrivalNotFound("There is no such arrival.", [{"arrival_id": str(i)} for i in ids if i not in rows])
    return rows


def _require_same_goods(draft: ReceiptDraft, rows: Mapping[UUID, asyncpg.Record], centre_id: UUID) -> None:
    """Raises ArrivalDiffers, ArrivalOver."""
    for line in draft.lines:
        if line.arrival_id is None:
            continue
        row = rows[line.arrival_id]
        if (row["sku"], row["centre_id"]) != (line.sku, centre_id):
            raise ArrivalDiffers(f"That arrival is of {row['sku']} in '{row['centre']}'.")
        if row["state"] == "closed":
            raise ArrivalOver("The arrival was closed; receive these goods without it.")


async def _stock_up(uow: UnitOfWork, draft: ReceiptDraft, centre_id: UUID, reference: str) -> None:
    """Raises TooMuchStock."""
    units: dict[Place, int] = {}
    for line in draft.lines:
        place = line.sku, centre_id
        units[place] = units.get(place, 0) + line.quantity
    locked = await ledger.lock_places(uow, units, create=True)
    was_short = {place for place, stock in locked.stock.items() if stock.is_short}
    for place, quantity in units.items():
        if locked.stock[place].on_hand + quantity > MOST_UNITS:
            raise TooMuchStock(f"Of {place[0]} that would be beyond all bounds.")
        locked.note(locked.stock[place].add(quantity, "received", reference))
    await locked.write(uow)
    await alerts.tell_of_short_stock(uow, locked.stock.values(), was_short)


async def get_receipt(uow: UnitOfWork, receipt_id: UUID) -> Receipt:
    """Raises ReceiptNotFound."""
    row = await stored.find_receipt(uow, receipt_id)
    if row is None:
        raise ReceiptNotFound("There is no such receipt.")
    return (await stored.receipt_shapes(uow, [row]))[0]


async def list_receipts(uow: UnitOfWork, message: ListReceipts) -> Page[Receipt]:
    """Latest first. Raises CentreNotFound."""
    rows = await stored.list_receipts(
        uow,
        None if message.centre is None else await centres.get_id(uow, message.centre),
        id_after(message.after),
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(str(page[-1]["id"])) if len(rows) > message.first else None
    return Page(items=await stored.receipt_shapes(uow, page), next=following)
