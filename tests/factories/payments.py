"""Valid things of payments, and Stripe as it posts callbacks."""

import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx

from deploy.topology import Surrounded, named
from services.payments.gateways.apis.base import Period
from services.payments.intake import Intake
from services.payments.notices import Notice
from services.payments.repository import difference_records, gateway_records
from services.payments.repository import reconciliation_records as records
from services.payments.use_cases import reconciling
from shared import clock, jobs
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event, Message
from shared.contracts.orders.events import OrderPlaced, RefundWanted
from shared.contracts.payments.messages import (
    AttachPayment,
    CreatePaymentGateway,
    ListCallbacks,
    ListRefunds,
    ReplayCallback,
)
from shared.contracts.payments.shapes import PaymentGateway
from shared.identifiers import new_id
from shared.money import Money
from shared.security import SecretText

SECRET = "whsec_of_the_tests"


def administrator(organization_id: UUID) -> Caller:
    return Caller(
        kind="client", organization_id=organization_id, id=new_id(), name="test client", scopes=frozenset({"admin"})
    )


async def asked(process: Surrounded, organization_id: UUID, message: Message[Any], *, by_service: bool = False) -> Any:
    """What the bus answers an administrator of the organization, or a service in its name."""
    envelope = envelope_for(administrator(organization_id), asking_service="orders" if by_service else None)
    return await process.bus.ask(message, envelope)


async def hear(process: Surrounded, organization_id: UUID, *events: Event) -> None:
    """Let payments hear events now, as its inbox would."""
    (service,) = named("payments")
    uow = process.surroundings.unit_of_work("payments", service_envelope("payments", organization_id))
    try:
        for event in events:
            await service.listeners[event.wire_name].hear([event], uow)
        await uow.commit()
    except BaseException:
        await uow.rollback()
        raise


async def open_shop(process: Surrounded, organization_id: UUID, code: str = "main", **fields: Any) -> Shop:
    values = {"name": code, "currency": "USD", "locale": "en-US"} | fields
    shop = Shop(**{"id": new_id(), "organization_id": organization_id, "code": code} | values)
    await hear(process, organization_id, ShopChanged(shop=shop))
    return shop


async def open_gateway(
    process: Surrounded, organization_id: UUID, shop: str = "main", secrets: tuple[str, ...] = (SECRET,), **fields: Any
) -> PaymentGateway:
    texts = [SecretText(secret) for secret in secrets]
    message = CreatePaymentGateway(**{"shop": shop, "provider": "stripe", "secrets": texts} | fields)
    return await asked(process, organization_id, message)


def order_placed(shop_id: UUID, number: str, total: int = 1999, currency: str = "USD") -> OrderPlaced:
    return OrderPlaced(
        order_id=new_id(),
        number=number,
        shop_id=shop_id,
        total=Money(amount=total, currency=currency),
        status="pending",
        lines=[],
        placed_at=clock.now(),
    )


# --- what Stripe posts


def stripe_event(kind: str, thing: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """An event as Stripe's API describes it."""
    return {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "api_version": "2026-06-30",
        "created": int(clock.now().timestamp()),
        "data": {"object": dict(thing)},
        "livemode": False,
        "pending_webhooks": 1,
        "type": kind,
    } | fields


def intent(number: str | None, amount: int = 1999, currency: str = "usd", **fields: Any) -> dict[str, Any]:
    """A payment intent that has succeeded."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": amount,
        "currency": currency,
        "metadata": {} if number is None else {"order_number": number},
        "status": "succeeded",
    } | fields


def charge(number: str | None, amount: int = 1999, refunded: int = 0, **fields: Any) -> dict[str, Any]:
    """A captured charge of the payment intent."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": refunded,
        "captured": True,
        "currency": "usd",
        "metadata": {} if number is None else {"order_number": number},
        "payment_intent": "pi_1",
        "status": "succeeded",
    } | fields


def as_body(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, indent=2).encode()


def signature(body: bytes, secret: str = SECRET, at: int | None = None, scheme: str = "v1") -> str:
    """The value of Stripe-Signature."""
    at = int(clock.now().timestamp()) if at is None else at
    return f"t={at},{scheme}={hmac.new(secret.encode(), b'%d.' % at + body, sha256).hexdigest()}"


async def make(process: Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """One of everything payments owns, in this organization."""
    shop = await open_shop(process, organization_id, f"pay-{new_id().hex[-8:]}")
    gateway = await open_gateway(process, organization_id, shop.code)
    placed = order_placed(shop.id, f"PAY-{new_id().hex[-8:]}")
    await hear(process, organization_id, placed)
    names = {"order_number": placed.number, "shop_id": shop.id, "gateway_id": gateway.id}
    attach = AttachPayment(order_id=placed.order_id, external_id="pi_made", **names)
    payment = await asked(process, organization_id, attach, by_service=True)
    body = as_body(stripe_event("payment_intent.succeeded", intent(placed.number, id="pi_made")))
    callback_id = await _callback(process, organization_id, gateway, body)
    wanted = RefundWanted(
        order_id=placed.order_id, number=placed.number, shop_id=shop.id, amount=placed.total, reason="made by a test"
    )
    await hear(process, organization_id, wanted)
    (refund,) = (await asked(process, organization_id, ListRefunds(order_id=placed.order_id))).items
    reconciliation_id, difference_id = await _difference(process, organization_id, gateway.id)
    return {
        "reconciliation_id": reconciliation_id,
        "difference_id": difference_id,
        "gateway_id": gateway.id,
        "gateway_secret_id": gateway.secrets[0].id,
        "payment_id": payment.id,
        "callback_id": callback_id,
        "refund_id": refund.id,
    }


async def posted(process: Surrounded, gateway_id: UUID | str, body: bytes, signed: str) -> httpx.Response:
    """What the intake answers to a callback at a gateway's address."""
    intake = Intake()
    async with intake.serving(process.database, process.relay):
        transport = httpx.ASGITransport(app=intake)
        async with httpx.AsyncClient(transport=transport, base_url="http://callbacks.test") as stripe:
            return await stripe.post(f"/{gateway_id}", content=body, headers={"Stripe-Signature": signed})


async def _callback(process: Surrounded, organization_id: UUID, gateway: PaymentGateway, body: bytes) -> UUID:
    """A callback that came in at a gateway's address and has taken effect."""
    answer = await posted(process, gateway.id, body, signature(body))
    assert answer.status_code == 200, answer.text
    (callback,) = (await asked(process, organization_id, ListCallbacks(gateway=gateway.id))).items
    replayed = await asked(process, organization_id, ReplayCallback(callback_id=callback.id))
    assert replayed.status == "processed", replayed
    return callback.id


async def _difference(process: Surrounded, organization_id: UUID, gateway_id: UUID) -> tuple[UUID, UUID]:
    """A reconciliation that was cancelled before it began, and a difference as if it had found one."""
    uow = process.surroundings.unit_of_work("payments", service_envelope("payments", organization_id))
    until = clock.now()
    try:
        gateway = await gateway_records.get_gateway(uow, gateway_id)
        begun = await reconciling.add(uow, gateway, "api", Period(until - timedelta(days=1), until))
        await jobs.request_cancel(uow, begun.job_id)
        said = Notice(
            event="payment_intent.succeeded",
            occurred_at=None,
            is_live=False,
            payment="pi_unheard_of",
            order_number=None,
            currency="USD",
            captured=1999,
        )
        fact = records.Fact("payment pi_unheard_of", said.payment, said, None, until)
        found = difference_records.Found(fact, "paid_without_order", 1999, 0, "made by a test", None)
        await difference_records.add_differences(uow, begun.id, gateway_id, [found])
        (row,) = await difference_records.list_differences(uow, {"reconciliation_id": begun.id}, None, 1)
        await uow.commit()
    finally:
        await uow.rollback()
    return begun.id, row["id"]
