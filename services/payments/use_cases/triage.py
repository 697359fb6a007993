"""What people do with callbacks: replay, accept as is, reject. Two at once have one effect; nothing is erased."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.payments.arrivals import CHECK
from services.payments.errors import (
    AcceptanceNotAllowed,
    BatchNotReplayable,
    CallbackBodyGone,
    CallbackIsSettled,
    EffectNotPossible,
    Unusable,
)
from services.payments.gateways.base import Harmless, Verdict
from services.payments.gateways.registry import get_provider
from services.payments.models import Callback, Gateway
from services.payments.notices import Notice, RefundFact
from services.payments.repository import callback_records, gateway_records
from services.payments.use_cases import checking, processing
from shared.bus.envelope import Caller
from shared.contracts.payments.triage import CallbackEffect
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

ACCEPT_PERMISSION = "callbacks:accept"


async def replay(uow: UnitOfWork, callback_id: UUID) -> None:
    """Verify the stored bytes as of their receipt, then process them. Does nothing to what is processed.

    Raises CallbackNotFound, CallbackIsSettled for a rejected one, CallbackBodyGone, BatchNotReplayable.
    """
    callback, gateway = await callback_records.get_callback(uow, callback_id)
    await replay_locked(uow, callback, gateway)


async def replay_locked(uow: UnitOfWork, callback: Callback, gateway: Gateway) -> None:
    """As `replay`, for a callback that is locked already."""
    if callback.status == "processed":
        return
    if callback.is_settled:
        raise CallbackIsSettled("The callback was rejected; that is final.")
    if callback.body_dropped_at is not None:
        raise CallbackBodyGone("The bytes of this callback were dropped after their retention.")
    before = callback.status
    if callback.is_accepted or callback.origin == processing.RECONCILIATION:
        # A person has vouched for it, or it is what the provider told us itself; only what it says is looked at again.
        await processing.process(uow, [callback], {gateway.id: gateway}, kind="replay")
    else:
        await _verify_again(uow, callback, gateway)
    uow.audit("callback.replay", "callback", callback.id, before={"status": before}, after={"status": callback.status})


async def _verify_again(uow: UnitOfWork, callback: Callback, gateway: Gateway) -> None:
    delivery = await checking.get_delivery(uow, callback)
    # Certificates are fetched anew: that one was renewed is a reason to replay.
    account = await checking.get_account(uow, callback, gateway, {})
    provider = get_provider(gateway.provider)
    verdict, events = provider.verify(delivery, account), provider.identify(delivery)
    if verdict.is_pending or events[callback.part].is_reread:
        await _have_checked(uow, callback)
    elif not verdict.is_genuine:
        await _refuse(uow, callback, verdict)
    elif not callback.is_verified and len(events) > 1:
        raise BatchNotReplayable("It carries several events and was refused as a whole; its provider sends it again.")
    else:
        callback.is_verified = True
        await processing.process(uow, [callback], {gateway.id: gateway}, kind="replay")


async def accept(uow: UnitOfWork, callback_id: UUID, reason: str, effect: CallbackEffect | None) -> None:
    """Let a callback take effect without its signature: what it says, or what the operator says of it.

    Does nothing to what is processed. Raises AcceptanceNotAllowed, CallbackNotFound, CallbackIsSettled,
    CallbackBodyGone, EffectNotPossible for an effect that does not fit.
    """
    check_may_accept(uow.caller)
    callback, gateway = await callback_records.get_callback(uow, callback_id)
    await accept_locked(uow, callback, gateway, reason, effect)
    if effect is not None and callback.status not in ("processed", "ignored"):
        raise EffectNotPossible(f"{callback.detail} ({callback.reason})")


def check_may_accept(caller: Caller) -> None:
    """Raises AcceptanceNotAllowed."""
    if ACCEPT_PERMISSION not in caller.permissions and "admin" not in caller.scopes:
        raise AcceptanceNotAllowed(f"This needs the permission '{ACCEPT_PERMISSION}', or the scope 'admin'.")


async def accept_locked(
    uow: UnitOfWork,
    callback: Callback,
    gateway: Gateway,
    reason: str,
    effect: CallbackEffect | None,
) -> None:
    """As `accept`, for a callback that is locked already, without asking who may."""
    if callback.status == "processed":
        return
    if callback.is_settled:
        raise CallbackIsSettled("The callback was rejected; that is final.")
    if effect is None and callback.body_dropped_at is not None:
        raise CallbackBodyGone("The bytes of this callback were dropped; name the effect it is to have.")
    before = callback.status
    callback.is_accepted = True
    said = None if effect is None else _named(callback, effect, processing.find_said(callback, gateway))
    await processing.process(
        uow,
        [callback],
        {gateway.id: gateway},
        kind="accept",
        said={} if said is None else {callback.id: said},
    )
    after = {"status": callback.status, "is_verified": callback.is_verified, "event": callback.event}
    after |= {} if effect is None else {"effect": effect.model_dump(mode="json")}
    uow.audit("callback.accept", "callback", callback.id, before={"status": before}, after=after, reason=reason)


def _named(callback: Callback, effect: CallbackEffect, said: Notice | Harmless | None) -> Notice | Harmless:
    """What the operator says, about the payment that the callback speaks of unless another is named."""
    if effect.kind == "none":
        return Harmless("accepted", "accepted_without_effect")
    known = said if isinstance(said, Notice) else None
    if effect.amount is None and effect.kind not in ("failed", "cancelled"):
        raise EffectNotPossible(f"Say which amount was {effect.kind}.")
    currency = effect.amount.currency if effect.amount else known.currency if known else None
    if currency is None:
        raise EffectNotPossible("Say in which currency, by an amount.")
    notice = Notice(
        event=f"accepted.{effect.kind}",
        occurred_at=callback.received_at,
        is_live=None,
        payment=effect.payment or (known.payment if known else f"callback {callback.id}"),
        order_number=effect.order_number or (known.order_number if known else None),
        currency=currency,
    )
    amount = effect.amount.amount if effect.amount else 0
    match effect.kind:
        case "authorised":
            return replace(notice, authorised=amount)
        case "captured":
            return replace(notice, authorised=amount, captured=amount)
        case "refunded" if effect.refund is not None:
            return replace(notice, refunds=(RefundFact(effect.refund, amount, "succeeded"),))
        case "refunded":
            # Not as a refund of a name of ours: the provider tells of the same one, and it would count twice.
            return replace(notice, refunded=amount)
        case "failed":
            return replace(notice, failed=True)
    return replace(notice, cancelled=True)


async def reject(uow: UnitOfWork, callback_id: UUID, reason: str) -> None:
    """Set a callback aside. Raises CallbackNotFound, CallbackIsSettled."""
    callback, _ = await callback_records.get_callback(uow, callback_id)
    await reject_locked(uow, callback, reason)


async def reject_locked(uow: UnitOfWork, callback: Callback, reason: str) -> None:
    """As `reject`, for a callback that is locked already."""
    before = callback.status
    callback.reject(reason)
    await processing.note(uow, [callback], "reject")
    after = {"status": callback.status}
    uow.audit("callback.reject", "callback", callback.id, before={"status": before}, after=after, reason=reason)


async def act_on_many(uow: UnitOfWork, callback_ids: Sequence[UUID], action: str, reason: str) -> dict[str, int]:
    """Do the same to several callbacks; what one cannot have done to it leaves the others alone.

    Returns how many have come to which status, and how many were left as they were.
    """
    callbacks = await callback_records.lock_callbacks(uow, callback_ids)
    gateways = await gateway_records.get_gateways(uow, [callback.gateway_id for callback in callbacks])
    if action != "reject":
        await processing.lock_for(uow, callbacks, gateways)
    counts: dict[str, int] = {}
    for callback in callbacks:
        gateway = gateways[callback.gateway_id]
        try:
            async with uow.savepoint():
                if action == "replay":
                    await replay_locked(uow, callback, gateway)
                elif action == "accept":
                    await accept_locked(uow, callback, gateway, reason, None)
                else:
                    await reject_locked(uow, callback, reason)
            outcome = callback.status
        except (CrossdockError, Unusable):
            outcome = "left"
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


async def _have_checked(uow: UnitOfWork, callback: Callback) -> None:
    """Leave it to the worker, who may ask the network."""
    callback.settle("received", "to_be_checked")
    await processing.note(uow, [callback], "replay")
    uow.defer(CHECK, {"callback_id": str(callback.id), "fresh": True})


async def _refuse(uow: UnitOfWork, callback: Callback, verdict: Verdict) -> None:
    """Still not genuine: a callback that never was stays `invalid`, one that had been stays what it is."""
    if not callback.is_verified:
        callback.settle("invalid", verdict.reason)
    await processing.note(uow, [callback], "replay")
