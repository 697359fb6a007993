"""Requested refunds are sent through the provider's API, where the gateway has credentials for it.

First it is written down that a refund is being sent, and how much; then the provider is asked, outside any transaction,
always with the same key. So a worker may die anywhere: who asks again is told of the same refund. Providers remember
keys for an hour at least; what has not come to an end by then is never asked for again, and a person is told.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from services.payments.errors import InvalidGatewaySettings, NoApiCredentials, Unusable
from services.payments.gateways.apis.base import (
    Api,
    Connection,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownAtProvider,
)
from services.payments.models import Capture, Payment, Refund
from services.payments.notices import Notice, RefundFact
from services.payments.repository import callback_records, gateway_records, own_records, payment_records
from services.payments.use_cases import alerting, checking, connecting, processing, refunding
from shared import clock
from shared.unit_of_work import UnitOfWork

MAKE = "payments.make_refund"
# Mollie forgets an idempotency key after an hour, all others later.
LONGEST = timedelta(minutes=50)
_LONGEST_WAIT_SECONDS = 600


@dataclass(frozen=True)
class Sending:
    """A refund that is to be sent, with all that it takes."""

    refund: Refund
    payment: Payment
    amount: int
    capture: str | None
    api: tuple[Api, Connection] | None


@dataclass(frozen=True)
class Outcome:
    """What the provider made of it: a refund, a refusal, or no answer yet."""

    fact: RefundFact | None = None
    refusal: str | None = None
    unavailable: ProviderUnavailable | None = None


async def begin(uow: UnitOfWork, refund_id: UUID) -> None:
    """Write down that a request is being sent. One that cannot be is left to people, who know of it already."""
    refund, payment, _ = await refunding.lock_request(uow, refund_id)
    # Given what went back since: people may have been faster.
    amount = refund.left(payment.refunded)
    if not refund.is_open_request or refund.sending_since is not None or amount <= 0 or payment.disputed:
        return
    captures = await payment_records.list_captures_of(uow, [payment.id])
    capture = _capture(captures, amount)
    gateway = (await gateway_records.get_gateways(uow, [payment.gateway_id]))[payment.gateway_id]
    try:
        api, _ = await connecting.connect(uow, gateway)
    except NoApiCredentials:
        return
    if api.by_capture and capture is None:
        return
    await own_records.note_sending(uow, refund_id, clock.now())
    told = {"refund_id": str(refund_id), "amount": amount, "capture": capture}
    uow.audit("refund.send", "refund", refund_id, after={"amount": amount, "currency": payment.currency})
    uow.defer(MAKE, told, key=str(refund_id))


def _capture(captures: list[Capture], amount: int) -> str | None:
    """The smallest capture that so much can be returned of."""
    fitting = [each for each in captures if each.state == "succeeded" and each.amount >= amount]
    return min(fitting, key=lambda each: (each.amount, each.external_id)).external_id if fitting else None


async def find(uow: UnitOfWork, payload: dict[str, Any]) -> Sending | None:
    """What a task is to send; None where that is done, or has come to its end otherwise."""
    refund = await payment_records.get_refund(uow, UUID(payload["refund_id"]))
    if not refund.is_open_request or refund.sent_as is not None or refund.sending_error is not None:
        return None
    payment = await payment_records.get_payment(uow, refund.payment_id)
    gateway = (await gateway_records.get_gateways(uow, [payment.gateway_id]))[payment.gateway_id]
    try:
        api = await connecting.connect(uow, gateway)
    except NoApiCredentials:
        api = None
    return Sending(refund, payment, payload["amount"], payload["capture"], api)


async def send(sending: Sending) -> Outcome:
    """Ask the provider, unless it may have forgotten that it was asked before."""
    refund, payment = sending.refund, sending.payment
    assert refund.sending_since is not None
    assert payment.currency is not None
    if clock.now() - refund.sending_since > LONGEST:
        return Outcome(refusal="The provider gave no answer that is understood; whether it was sent is not known.")
    if sending.api is None:
        return Outcome(refusal="The gateway's credentials are gone; whether it was sent is not known.")
    api, connection = sending.api
    name, key = payment.external_id, str(refund.id)
    try:
        fact = await api.refund(connection, name, sending.capture, sending.amount, payment.currency, key)
    except ProviderUnavailable as error:
        return Outcome(unavailable=error)
    except Unusable as error:
        # It was made, perhaps: asked again, the provider says so in the same words, or in better ones.
        return Outcome(unavailable=ProviderUnavailable(f"The answer is not understood: {error.detail}"))
    except (RefusedByProvider, UnknownAtProvider, InvalidGatewaySettings) as error:
        return Outcome(refusal=error.detail)
    return Outcome(fact=fact)


async def take_in(uow: UnitOfWork, sending: Sending, outcome: Outcome, payload: dict[str, Any]) -> None:
    """Let the refund be known by the way of its callback, which may have come first; or ask again, or tell a person."""
    if outcome.fact is not None:
        await _take_in(uow, sending, outcome.fact)
    elif outcome.refusal is not None:
        await own_records.note_not_sent(uow, sending.refund.id, outcome.refusal)
        alerting.refund_to_be_made(uow, sending.payment, sending.refund, not_sent=outcome.refusal)
    elif outcome.unavailable is not None:
        tries = payload.get("tries", 0)
        wait = checking.wait_seconds(tries, longest=_LONGEST_WAIT_SECONDS, first=20)
        due_at = clock.now() + timedelta(seconds=max(wait, outcome.unavailable.retry_after_seconds or 0))
        uow.defer(MAKE, payload | {"tries": tries + 1}, due_at=due_at, key=str(sending.refund.id))


async def _take_in(uow: UnitOfWork, sending: Sending, fact: RefundFact) -> None:
    payment = sending.payment
    assert payment.currency is not None
    said = Notice(
        event=f"refund.{fact.state}",
        occurred_at=clock.now(),
        is_live=None,
        payment=payment.external_id,
        order_number=None,
        currency=payment.currency,
        refunds=(fact,),
    )
    identity = hashlib.sha256(f"refund sent\n{sending.refund.id}\n{fact.external_id}".encode()).digest()
    body = orjson.dumps(said.written())
    callback_id = await own_records.add_callback(uow, payment.gateway_id, identity, said.event, body)
    callback = await callback_records.find_callback(uow, callback_id)
    assert callback is not None
    gateways = await gateway_records.get_gateways(uow, [payment.gateway_id])
    if not callback.is_settled:
        await processing.process(uow, [callback], gateways)
    await own_records.note_sent(uow, sending.refund.id, fact.external_id)
    if fact.state in ("failed", "cancelled"):
        why = f"The provider says that it {fact.state}."
        await own_records.note_not_sent(uow, sending.refund.id, why)
        alerting.refund_to_be_made(uow, payment, sending.refund, not_sent=why)
