"""A storefront says which order a gateway's payment id belongs to, before or after the gateway's first callback."""

from services.payments.errors import GatewayOfAnotherShop, PaymentAttachedElsewhere
from services.payments.models import Payment
from services.payments.repository import common, gateway_records, payment_records
from services.payments.use_cases import awaiting, processing
from shared.contracts.payments.messages import AttachPayment
from shared.unit_of_work import UnitOfWork


async def attach(uow: UnitOfWork, message: AttachPayment) -> Payment:
    """Attach a payment to an order. Safe to repeat.

    Raises PaymentGatewayNotFound, GatewayOfAnotherShop, PaymentAttachedElsewhere.
    """
    gateway = await gateway_records.get_gateway(uow, message.gateway_id)
    if not await processing.serves_shop(uow, gateway, message.shop_id):
        raise GatewayOfAnotherShop("The order's shop is neither the gateway's nor below it.")
    await common.lock_name(uow, gateway.id, message.external_id)
    payment = await payment_records.find_payment_called(uow, gateway.id, message.external_id)
    if payment is None:
        payment = processing.new_payment(
            gateway, message.external_id, message.order_id, message.order_number, message.shop_id
        )
        await common.add(uow, payment)
        await awaiting.wake_for_payments(uow, [payment])
    elif payment.order_id != message.order_id:
        raise PaymentAttachedElsewhere(f"The payment {message.external_id} belongs to order {payment.order_number}.")
    return payment
