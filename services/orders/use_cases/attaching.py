"""A storefront tells which payment will pay for an order, where the gateway's callbacks cannot name the order."""

from services.orders.use_cases import reading, timeline
from shared.contracts.orders.messages import AttachOrderPayment
from shared.contracts.orders.shapes import Order
from shared.contracts.payments.messages import AttachPayment
from shared.unit_of_work import UnitOfWork


async def attach(uow: UnitOfWork, message: AttachOrderPayment) -> Order:
    """Raises OrderNotFound, OrderChangedSince, and what payments refuses."""
    async with uow.beforehand() as earlier:
        known = await reading.get_visible(earlier, message.order_id)
        known.check_version(message.expected_version)
        question = AttachPayment(
            order_id=known.id,
            order_number=known.number,
            shop_id=known.shop_id,
            gateway_id=message.gateway_id,
            external_id=message.external_id,
        )
    await uow.ask(question)
    order = await reading.get_visible(uow, message.order_id, lock=True)
    text = f"Payment {message.external_id} was named for this order."
    await timeline.note(uow, order, "payment", text, gateway_id=str(message.gateway_id))
    return await reading.whole(uow, order)
