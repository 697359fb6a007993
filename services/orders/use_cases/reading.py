"""Orders as they are shown, to whom they may be shown."""

from collections.abc import Sequence
from uuid import UUID

from services.orders.errors import OrderNotFound
from services.orders.models import OrderLineRow, OrderRow
from services.orders.models.payments import OrderPaymentRow
from services.orders.models.records import OrderReturnRow, OrderShipmentRow, TimelineRow
from services.orders.repository import lists, orders, shops
from shared.contracts.orders.shapes import (
    CustomerDraft,
    Order,
    OrderLine,
    OrderPayment,
    OrderReturn,
    OrderShipment,
    OrderSource,
    ShippingAddress,
    TimelineEntry,
)
from shared.money import Money
from shared.unit_of_work import UnitOfWork


async def get_visible(uow: UnitOfWork, order_id: UUID, *, lock: bool = False) -> OrderRow:
    """An order that the caller may see. A storefront sees what it placed itself. Raises OrderNotFound."""
    order = await orders.get_order(uow, order_id, lock=lock)
    if not _is_shown_to(order, uow):
        raise OrderNotFound("There is no such order.")
    return order


def _is_shown_to(order: OrderRow, uow: UnitOfWork) -> bool:
    caller = uow.caller
    is_theirs = order.client_id is not None and order.client_id == caller.id
    return caller.sees_shop(order.shop_id) and (is_theirs or caller.holds("orders:read") or _asks_for_itself(uow))


def _asks_for_itself(uow: UnitOfWork) -> bool:
    """Another service asks on behalf of a caller whom it has let through by its own scopes."""
    return uow.envelope.asking_service is not None


async def get(uow: UnitOfWork, order_id: UUID) -> Order:
    """Raises OrderNotFound."""
    return await whole(uow, await get_visible(uow, order_id))


async def whole(uow: UnitOfWork, order: OrderRow) -> Order:
    """An order with everything that belongs to it, as it stands in this transaction."""
    return shape(
        order,
        await shops.get_shop_code(uow, order.shop_id),
        await orders.list_lines(uow, order.id),
        await orders.list_payments(uow, order.id),
        await orders.list_shipments(uow, order.id),
        await orders.list_timeline(uow, order.id),
        await orders.list_returns(uow, order.id),
    )


async def list_whole(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[Order]:
    """These orders with everything that belongs to them, in the same order, in one statement per kind."""
    orders = await lists.list_orders(uow, order_ids)
    codes = await shops.list_codes(uow, [order.shop_id for order in orders])
    lines = await lists.list_parts(uow, OrderLineRow, order_ids, "position")
    payments = await lists.list_parts(uow, OrderPaymentRow, order_ids, "payment_id")
    shipments = await lists.list_parts(uow, OrderShipmentRow, order_ids, "shipment_id")
    entries = await lists.list_parts(uow, TimelineRow, order_ids, "id")
    returns = await lists.list_parts(uow, OrderReturnRow, order_ids, "return_id")
    return [
        shape(
            order,
            codes[order.shop_id],
            *(parts.get(order.id, []) for parts in (lines, payments, shipments, entries, returns)),  # type: ignore[arg-type]
        )
        for order in orders
    ]


def shape(
    order: OrderRow,
    shop: str,
    lines: Sequence[OrderLineRow],
    payments: Sequence[OrderPaymentRow] = (),
    shipments: Sequence[OrderShipmentRow] = (),
    timeline: Sequence[TimelineRow] = (),
    returns: Sequence[OrderReturnRow] = (),
) -> Order:
    charges = order.charges()
    return Order.known(
        id=order.id,
        number=order.number,
        shop=shop,
        status=order.present_status,
        currency=order.currency,
        total=order.money(order.total),
        paid=order.money(order.paid),
        refunded=order.money(order.refunded),
        lines=[_line(order, line) for line in lines],
        payments=[_payment(payment) for payment in payments],
        shipments=[OrderShipment.model_validate(shipment.shipment) for shipment in shipments],
        returns=[_return(each) for each in returns],
        timeline=[_entry(entry) for entry in timeline],
        customer=None if order.customer is None else CustomerDraft.model_validate(order.customer),
        shipping_address=None if order.shipping_address is None else ShippingAddress(**order.shipping_address),
        placed_at=order.placed_at,
        pay_until=order.pay_until if order.status == "pending" else None,
        hold_reason=order.hold_reason,
        cancel_reason=order.cancel_reason,
        discounts=list(charges.discounts),
        taxes=list(charges.taxes),
        shipping=charges.shipping,
        totals=order.totals().shape(order.currency),
        source=_source(order),
        refund_wanted=order.money(order.refund_wanted),
        version=order.version,
    )


def _source(order: OrderRow) -> OrderSource | None:
    if order.connection_id is None or order.external_id is None:
        return None
    return OrderSource(
        connection_id=order.connection_id, external_id=order.external_id, external_number=order.external_number
    )


def _line(order: OrderRow, line: OrderLineRow) -> OrderLine:
    return OrderLine.known(
        sku=line.sku,
        title=line.title,
        quantity=line.quantity,
        unit_price=order.money(line.unit_price),
        total=order.money(line.total),
        shipped=line.shipped,
        status=line.status(order.status),
        cancelled=line.cancelled,
        returned=line.returned,
        refunded=line.refunded,
        backordered=line.backordered,
        discounts=line.named_discounts(),
        taxes=line.named_taxes(),
    )


def _payment(payment: OrderPaymentRow) -> OrderPayment:
    def money(amount: int) -> Money:
        return Money(amount=amount, currency=payment.currency)

    return OrderPayment(
        payment_id=payment.payment_id,
        gateway_id=payment.gateway_id,
        provider=payment.provider,
        external_id=payment.external_id,
        state=payment.state,
        authorised=money(payment.authorised),
        captured=money(payment.captured),
        refunded=money(payment.refunded),
        disputed=money(payment.disputed),
        occurred_at=payment.occurred_at,
    )


def _return(row: OrderReturnRow) -> OrderReturn:
    return OrderReturn.model_validate({name: getattr(row, name) for name in OrderReturn.model_fields})


def _entry(entry: TimelineRow) -> TimelineEntry:
    return TimelineEntry.known(
        id=entry.id,
        occurred_at=entry.occurred_at,
        kind=entry.kind,
        before=entry.before,
        after=entry.after,
        actor=entry.actor,
        text=entry.text,
        reason=entry.reason,
        data=entry.data,
    )
