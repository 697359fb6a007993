"""An order of a connection becomes an order of ours, or waits aside with its reason.

    received ─► read what is known ─► ask catalog ─► ask inventory to reserve ─► one transaction of our own

As in placing, the order's id comes from outside (connection and external id), and the reservation has the same: a crash
after reserving leaves a hold that runs out, and the next attempt takes it over. The row of the imported order is the
truth; tasks only wake somebody, so that twice, at once and out of order come to the same. Whatever came newer meanwhile
has a task of its own: an attempt that finds its row changed lets go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson

from services.orders.errors import HoldRanOut
from services.orders.models import OrderLineRow, OrderRow
from services.orders.models.payments import OrderPaymentRow
from services.orders.models.totals import Charges, LineSum, OrderSum, of_line, of_order
from services.orders.repository import imported, orders
from services.orders.repository.orders import Placed
from services.orders.use_cases import lifecycle, timeline
from services.orders.use_cases.placement import LEAST_HOLD
from services.orders.use_cases.pricing import SellingShop
from shared import clock
from shared.contracts.catalog.messages import PriceLine, PriceLines
from shared.contracts.catalog.offers import LinePrice
from shared.contracts.inventory.messages import ReserveLine, ReserveStock
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.events import ImportedOrderChanged, OrderPlaced
from shared.contracts.orders.imported import OrderAction, RemoteLine, RemoteOrder
from shared.contracts.orders.shapes import OrderedLine, PlacedLine
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.errors import CarriedError, CrossdockError
from shared.identifiers import derived_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork

TAKE = "orders.take_imported"
CHECK_AGAIN_AFTER = timedelta(hours=1)
_RESERVING = ("import", "import_and_hold")


@dataclass(frozen=True)
class Aside:
    """Why an order cannot be imported now."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Ready:
    """An order whose content is understood: prices add up, and every SKU is known."""

    order_id: UUID
    remote: RemoteOrder
    shop: SellingShop
    lines: list[RemoteLine]
    sums: list[LineSum]
    whole: OrderSum
    titles: dict[str, str | None]


async def take(uow: UnitOfWork, imported_order_id: UUID, *, is_check: bool = False) -> None:
    """Do with an order of a connection what its status says. Safe to repeat. Raises HoldRanOut, and what passes."""
    async with uow.beforehand() as earlier:
        row = await imported.find(earlier, imported_order_id)
        if row is None or row["state"] == "given_up" or (is_check and row["state"] != "set_aside"):
            return
        connection = await imported.get_connection(earlier, row["connection_id"])
    action = action_for(connection, row["status"])
    if row["order_id"] is not None:
        await _follow(uow, row, action)
        return
    settled = await _settle(uow, row, connection, action)
    held = await _reserve(uow, settled, connection) if isinstance(settled, Ready) and action in _RESERVING else None
    now = await imported.find(uow, imported_order_id, lock=True)
    if now is None or _has_changed(row, now):
        return
    if isinstance(held, Aside) and connection["stock_missing"] == "backorder":
        settled = held
    if isinstance(settled, Aside):
        await _set_aside(uow, now, connection, settled, is_check=is_check)
    elif settled is None:
        await _close(uow, now, {"state": "ignored", "reason": None, "detail": None})
    else:
        await _import(uow, now, settled, cast(OrderAction, action), held)


def action_for(connection: asyncpg.Record, status: str) -> OrderAction | None:
    """What the connection's map says of a status; None for one it does not name."""
    action: OrderAction | None = orjson.loads(connection["status_map"]).get(status)
    return action


def _has_changed(before: asyncpg.Record, now: asyncpg.Record) -> bool:
    return any(before[name] != now[name] for name in ("updated_at", "state", "order_id"))


# --- before our transaction


async def _settle(
    uow: UnitOfWork, row: asyncpg.Record, connection: asyncpg.Record, action: OrderAction | None
) -> Ready | Aside | None:
    """What is to be done with an order that is not imported yet; None: nothing."""
    if action == "do_not_import":
        return None
    waits = _waits(connection, action, row["status"], is_paid=row["is_paid"])
    if waits is not None:
        return waits
    remote = RemoteOrder.model_validate_json(row["remote"])
    shop = _shop(connection)
    lines = _merged(remote.lines)
    if isinstance(lines, Aside):
        return lines
    added_up = _added_up(remote, shop, lines)
    if isinstance(added_up, Aside):
        return added_up
    asked = [PriceLine(sku=line.sku, quantity=line.quantity) for line in lines]
    prices = (await uow.ask(PriceLines(shop_id=shop.id, lines=asked))).lines
    unknown = [price.sku for price in prices if price.product_id is None]
    if unknown:
        return Aside("unknown_sku", f"There is no SKU {', '.join(unknown[:10])}.")
    return Ready(row["id"], remote, shop, lines, *added_up, _titles(lines, prices))


def foreseen(connection: asyncpg.Record, remote: RemoteOrder) -> Aside | None:
    """Why an order that is not imported yet will wait, as far as it says so itself and nobody is asked."""
    action = action_for(connection, remote.status)
    if action == "do_not_import":
        return None
    waits = _waits(connection, action, remote.status, is_paid=remote.is_paid)
    if waits is not None:
        return waits
    lines = _merged(remote.lines)
    added_up = lines if isinstance(lines, Aside) else _added_up(remote, _shop(connection), lines)
    return added_up if isinstance(added_up, Aside) else None


def _waits(connection: asyncpg.Record, action: OrderAction | None, status: str, *, is_paid: bool) -> Aside | None:
    """Why an order waits whatever is in it."""
    if action is None:
        return Aside("unknown_status", f"The connection does not say what to do with the status '{status}'.")
    if action == "set_aside":
        return Aside("status", f"An order with the status '{status}' waits.")
    if not is_paid and action != "import_and_cancel":
        return Aside("unpaid", "The order is not paid yet.")
    if connection["is_removed"]:
        return Aside("shop_removed", "The shop of the connection was removed.")
    return None


def _shop(connection: asyncpg.Record) -> SellingShop:
    return SellingShop(connection["shop_id"], connection["shop"], connection["currency"])


def _merged(lines: Sequence[RemoteLine]) -> list[RemoteLine] | Aside:
    """Lines of the same SKU become one, where they cost the same."""
    merged: dict[str, RemoteLine] = {}
    for line in lines:
        known = merged.get(line.sku)
        if known is None:
            merged[line.sku] = line
        elif known.unit_price != line.unit_price:
            return Aside("sku_at_two_prices", f"The SKU {line.sku} is in the order at two prices.")
        else:
            added = {
                "quantity": known.quantity + line.quantity,
                "discounts": [*known.discounts, *line.discounts],
                "taxes": [*known.taxes, *line.taxes],
            }
            merged[line.sku] = known.model_copy(update=added)
    return list(merged.values())


def _added_up(
    remote: RemoteOrder, shop: SellingShop, lines: Sequence[RemoteLine]
) -> tuple[list[LineSum], OrderSum] | Aside:
    """What the order comes to, which must be what the connection says."""
    currencies = {remote.total.currency, *(line.unit_price.currency for line in lines)}
    if currencies != {shop.currency}:
        return Aside(
            "wrong_currency", f"The shop sells in {shop.currency}; the order is in {', '.join(sorted(currencies))}."
        )
    try:
        sums = [
            of_line(
                shop.currency,
                OrderedLine(sku=line.sku, quantity=line.quantity, discounts=line.discounts, taxes=line.taxes),
                line.unit_price.amount,
            )
            for line in lines
        ]
        whole = of_order(shop.currency, sums, Charges(remote.discounts, remote.taxes, remote.shipping))
    except CrossdockError as error:
        return Aside("totals_differ", error.detail)
    if whole.total != remote.total.amount:
        counted = Money(amount=whole.total, currency=remote.total.currency)
        detail = f"Lines, discounts, taxes and shipping come to {counted.text} and not {remote.total.text}."
        return Aside("totals_differ", detail)
    return sums, whole


def _titles(lines: Sequence[RemoteLine], prices: Sequence[LinePrice]) -> dict[str, str | None]:
    known = {price.sku: price.title for price in prices}
    return {line.sku: line.title or known.get(line.sku) for line in lines}


async def _reserve(uow: UnitOfWork, ready: Ready, connection: asyncpg.Record) -> datetime | Aside | None:
    """Hold the stock: until when (None: for good), or what is missing."""
    in_stock_only = connection["stock_missing"] == "hold"
    lines = [ReserveLine(sku=line.sku, quantity=line.quantity, in_stock_only=in_stock_only) for line in ready.lines]
    try:
        reservation = await uow.ask(ReserveStock(order_id=ready.order_id, shop_id=ready.shop.id, lines=lines))
    except CarriedError as error:
        if error.code != "insufficient_stock":
            raise
        missing = ", ".join(str(entry["sku"]) for entry in error.errors[:10])
        return Aside("stock_missing", f"There is not enough of {missing}.")
    return reservation.expires_at


# --- inside it


async def _import(
    uow: UnitOfWork, row: asyncpg.Record, ready: Ready, action: OrderAction, held: datetime | Aside | None
) -> None:
    """Store the order as the action says, and announce it. Raises HoldRanOut."""
    if isinstance(held, datetime) and await uow.fetchval("SELECT clock_timestamp()") + LEAST_HOLD > held:
        raise HoldRanOut("The stock was held too long ago; the next attempt holds it anew.")
    is_reserved = action in _RESERVING and not isinstance(held, Aside)
    order = await _store(uow, row, ready, is_reserved=is_reserved)
    if row["is_paid"]:
        await _note_payment(uow, order, row)
    before = order.status
    if action == "import_and_cancel":
        await lifecycle.end(uow, order, f"It is '{row['status']}' at the connection")
    elif action == "import_and_complete":
        for line in await orders.list_lines(uow, order.id):
            line.shipped = line.quantity
        order.move("complete")
        await timeline.moved(uow, order, before, f"It is '{row['status']}' at the connection.")
    elif isinstance(held, Aside):
        await lifecycle.stop(uow, order, "stock", held.detail)
        timeline.alert(uow, order, "stock", "error", "An imported order has no stock", held.detail)
    elif action == "import_and_hold":
        await lifecycle.stop(uow, order, "connection", f"It is '{row['status']}' at the connection")
    await _close(uow, row, {"state": "imported", "order_id": order.id, "reason": None, "detail": None})


async def _store(uow: UnitOfWork, row: asyncpg.Record, ready: Ready, *, is_reserved: bool) -> OrderRow:
    remote = ready.remote
    order = OrderRow(
        organization_id=uow.organization_id,
        id=ready.order_id,
        number="",
        shop_id=ready.shop.id,
        client_id=None,
        status="processing",
        currency=ready.shop.currency,
        total=0,
        goods=0,
        customer=remote.customer.model_dump(),
        shipping_address=remote.shipping_address.model_dump(),
        placed_at=remote.placed_at,
        updated_at=clock.now(),
    )
    order.charge(Charges(remote.discounts, remote.taxes, remote.shipping))
    order.come_to(ready.whole)
    customers = await orders.ensure_customers(uow, [remote.customer])
    order.customer_id = customers[normalised_email(remote.customer.email)]
    lines = [_line(order, ready, position) for position in range(len(ready.lines))]
    text = f"Imported as '{row['status']}' ({row['external_id']})."
    entry = timeline.entry(uow, order, "placed", text, after=order.status, occurred_at=clock.now())
    numbers = await orders.add_orders(uow, [Placed(order, lines, entry, ready.shop.code)])
    await imported.mark_order(uow, ready.order_id, row)
    uow.record(
        OrderPlaced(
            order_id=order.id,
            number=numbers[order.id],
            shop_id=order.shop_id,
            total=order.money(order.total),
            status=order.status,
            # What is not reserved is nothing for inventory to keep.
            lines=[_placed(order, line) for line in lines] if is_reserved else [],
            placed_at=order.placed_at,
        )
    )
    return await orders.get_order(uow, ready.order_id, lock=True)


def _line(order: OrderRow, ready: Ready, position: int) -> OrderLineRow:
    remote = ready.lines[position]
    line = OrderLineRow(
        organization_id=order.organization_id,
        order_id=order.id,
        sku=remote.sku,
        position=position + 1,
        title=ready.titles[remote.sku],
        quantity=remote.quantity,
        unit_price=remote.unit_price.amount,
    )
    line.charge(ready.sums[position], remote.discounts, remote.taxes)
    return line


def _placed(order: OrderRow, line: OrderLineRow) -> PlacedLine:
    return PlacedLine(sku=line.sku, quantity=line.quantity, unit_price=order.money(line.unit_price))


async def _note_payment(uow: UnitOfWork, order: OrderRow, row: asyncpg.Record) -> None:
    """It was paid over there: a payment whose gateway is the connection."""
    payment = OrderPaymentRow(
        organization_id=order.organization_id,
        payment_id=derived_id("payment of an imported order", order.id),
        order_id=order.id,
        gateway_id=row["connection_id"],
        provider="connection",
        external_id=row["external_id"],
        state="captured",
        currency=order.currency,
        authorised=order.total,
        captured=order.total,
        refunded=0,
        disputed=0,
        occurred_at=row["updated_at"],
        version=0,
    )
    await orders.add(uow, payment)
    order.paid = order.total


async def _close(uow: UnitOfWork, row: asyncpg.Record, values: dict[str, Any]) -> None:
    """This state of the order is dealt with."""
    await put(uow, row["id"], {**values, "acted_at": row["updated_at"], "next_check_at": None})
    clear_alert(uow, row)


async def put(uow: UnitOfWork, imported_order_id: UUID, values: dict[str, Any]) -> None:
    """Write what became of an order of a connection, and tell it."""
    told = await imported.put(uow, imported_order_id, values)
    uow.record(
        ImportedOrderChanged(
            imported_order_id=imported_order_id,
            **{name: told[name] for name in ("connection_id", "external_id", "state", "reason", "detail", "version")},
            is_escalated=told["escalated_at"] is not None,
        )
    )


def clear_alert(uow: UnitOfWork, row: asyncpg.Record) -> None:
    """Nobody has to look at an order of a connection any more."""
    uow.record(AlertCleared(service=uow.service, cause=_cause(row)))


async def _set_aside(
    uow: UnitOfWork, row: asyncpg.Record, connection: asyncpg.Record, aside: Aside, *, is_check: bool
) -> None:
    """Look again in an hour, so many times; then call somebody."""
    checks = row["checks"] + is_check
    values = {"state": "set_aside", "reason": aside.reason, "detail": aside.detail, "checks": checks}
    if checks >= connection["recheck_limit"]:
        values |= {"next_check_at": None, "escalated_at": clock.now()}
        _alert(uow, row, connection, f"it was looked at {checks} times and still waits: {aside.detail}", "error")
    else:
        due_at = clock.now() + CHECK_AGAIN_AFTER
        values["next_check_at"] = due_at
        payload = {"imported_order_id": str(row["id"]), "is_check": True}
        uow.defer(TAKE, payload, due_at=due_at, key=f"check {row['id']}")
        if aside.reason != "status" and aside.reason != "unpaid":
            _alert(uow, row, connection, aside.detail, "warning")
    values["acted_at"] = row["updated_at"]
    # A check that finds what is known is no news, or nobody could put it out of sight.
    is_known = (row["state"], row["reason"], row["detail"]) == ("set_aside", aside.reason, aside.detail)
    is_news = not is_check or not is_known or "escalated_at" in values
    if is_news:
        await put(uow, row["id"], values)
    else:
        await imported.put(uow, row["id"], values)


def _cause(row: asyncpg.Record) -> str:
    return f"orders.imported.{row['id']}"


def _alert(uow: UnitOfWork, row: asyncpg.Record, connection: asyncpg.Record, detail: str, severity: Any) -> None:
    uow.record(
        AlertRaised(
            service=uow.service,
            cause=_cause(row),
            severity=severity,
            title="An order of a connection waits",
            detail=f"{connection['name']}, order {row['number'] or row['external_id']}: {detail}",
            shop_id=connection["shop_id"],
            subject_kind="imported_order",
            subject_id=str(row["id"]),
        )
    )


# --- afterwards


async def _follow(uow: UnitOfWork, known: asyncpg.Record, action: OrderAction | None) -> None:
    """Let an order that is here follow its status over there; nothing else of it is touched."""
    row = await imported.find(uow, known["id"], lock=True)
    if row is None or row["acted_at"] >= row["updated_at"] or row["updated_at"] != known["updated_at"]:
        return
    order = await orders.get_order(uow, row["order_id"], lock=True)
    said = f"It is '{row['status']}' at the connection"
    if action == "import_and_cancel" and order.status not in ("cancelled", "returned") and not order.has_left:
        await lifecycle.end(uow, order, said)
    elif action == "import_and_hold" and order.status in ("processing", "partly_shipped"):
        await lifecycle.stop(uow, order, "connection", said)
    elif action == "import" and order.hold_cause == "connection":
        await lifecycle.go_on(uow, order, f"{said}.")
    else:
        await timeline.note(uow, order, "connection", f"{said}.", status=row["status"])
        _doubt(uow, order, action, said)
    await imported.put(uow, row["id"], {"acted_at": row["updated_at"]})


def _doubt(uow: UnitOfWork, order: OrderRow, action: OrderAction | None, said: str) -> None:
    """Call somebody where the order over there is something else than it is here."""
    is_over_there_alone = (action == "import_and_complete" and order.status != "complete") or (
        action == "import_and_cancel" and order.status != "cancelled"
    )
    if action is None or is_over_there_alone:
        detail = f"{said}, and it is {order.status} here."
        timeline.alert(uow, order, "connection", "warning", "An order is something else at its connection", detail)
