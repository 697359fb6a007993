"""What stored callbacks do: find their payments and orders, take in what each says once, and say what became of it.

Callbacks are processed in groups, a single one as a group of one: what they are about is locked and read at once.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import orjson

from services.payments import measuring
from services.payments.errors import (
    AmountBeyondOrder,
    EventIdReused,
    MustWait,
    OrderContradiction,
    OrderNotFound,
    OrderOfAnotherShop,
    Unusable,
    WrongMode,
)
from services.payments.gateways.base import Content, Harmless
from services.payments.gateways.registry import get_provider
from services.payments.models import Callback, Gateway, Order, Payment
from services.payments.notices import Notice, read_notice
from services.payments.repository import callback_records, order_records
from services.payments.settings import payments_settings
from services.payments.use_cases import alerting, ledger
from services.payments.use_cases.books import Books, Heard, lock_spoken_of, open_books
from shared import clock
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

END_WAIT = "payments.end_wait"
# The origin of what a repair brings in: its body is what was understood of the provider's word, and ours.
RECONCILIATION = "reconciliation"
# Deadlocks and the like: so often it is tried, ever later, before a person is asked.
MOST_RETRIES = 8


def has_waited_enough(callback: Callback) -> bool:
    """Whether what it waits for should have come by now."""
    return clock.now() >= callback.received_at + payments_settings().callback_wait


def _always(_callback: Callback) -> bool:
    return True


async def process(
    uow: UnitOfWork,
    callbacks: Sequence[Callback],
    gateways: Mapping[UUID, Gateway],
    *,
    kind: str = "processing",
    may_wait: Callable[[Callback], bool] = _always,
    stays_processed: bool = False,
    said: Mapping[UUID, Notice | Harmless] = {},
) -> None:
    """Let callbacks that may take effect do so, one after the other; their statuses tell what came of each.

    They are locked and not settled. Only what the database raises leaves this; then nothing has happened. With
    `stays_processed` they have taken effect before, and are read anew: that they say nothing new makes them no less so.
    `said` is what a person says in the place of callbacks.
    """
    readings = _readings([each for each in callbacks if each.id not in said], gateways)
    told = _told(callbacks, gateways, said)
    locked = await lock_spoken_of(uow, [*_notices(readings, gateways), *told], _events(readings))
    heard = await _hear(uow, readings, gateways) + told
    books = await open_books(uow, locked, heard)
    for each in heard:
        _take_effect(uow, books, each, may_wait)
    await books.write(uow)
    if stays_processed:
        _stay_processed(callbacks)
    await note(uow, callbacks, kind)
    await ledger.follow_up(uow, books)
    for callback in callbacks:
        if callback.status == "failed":
            await alerting.callback_failed(uow, callback, gateways[callback.gateway_id])


def _stay_processed(callbacks: Sequence[Callback]) -> None:
    for callback in callbacks:
        if callback.status == "ignored":
            callback.settle("processed", callback.reason, callback.detail)


async def note(uow: UnitOfWork, callbacks: Sequence[Callback], kind: str) -> None:
    """Write what callbacks have come to, and an attempt of each that says so. What they failed for may be over."""
    for callback in callbacks:
        if callback.recovered_from is not None:
            alerting.callback_recovered(uow, callback, callback.recovered_from)
    if callbacks:
        who = uow.caller.name or uow.caller.kind
        at = clock.now()
        await callback_records.write_attempts(uow, callbacks, kind, who, at)
        uow.when_committed(lambda: measuring.settled(callbacks, at))


# --- what they say


Reading = tuple[Callback, Notice | Harmless]


def _readings(callbacks: Sequence[Callback], gateways: Mapping[UUID, Gateway]) -> list[Reading]:
    """What callbacks say; those that cannot be read are failed."""
    readings = [(callback, _read(callback, gateways[callback.gateway_id])) for callback in callbacks]
    return [(callback, said) for callback, said in readings if said is not None]


def _notices(readings: Sequence[Reading], gateways: Mapping[UUID, Gateway]) -> list[Heard]:
    return [
        Heard(callback, gateways[callback.gateway_id], said) for callback, said in readings if isinstance(said, Notice)
    ]


def _events(readings: Sequence[Reading]) -> list[callback_records.Event]:
    return [(callback.gateway_id, callback.event_id) for callback, _ in readings if callback.event_id is not None]


async def _hear(uow: UnitOfWork, readings: Sequence[Reading], gateways: Mapping[UUID, Gateway]) -> list[Heard]:
    """What is to be taken in; callbacks that have nothing to add are settled. Lock their events first."""
    claims = [(callback, callback.event_id) for callback, _ in readings if callback.event_id is not None]
    standing = await callback_records.claim_events(uow, claims) if claims else {}
    heard = []
    for callback, said in readings:
        gateway = gateways[callback.gateway_id]
        try:
            if not _stands_for_event(callback, standing):
                callback.settle("ignored", "duplicate", "Another callback stands for the same event.")
            elif isinstance(said, Harmless):
                callback.settle("ignored", said.reason)
            else:
                _check_mode(gateway, said)
                heard.append(Heard(callback, gateway, said))
        except Unusable as error:
            callback.settle("failed", error.code, error.detail)
    return heard


def _told(
    callbacks: Sequence[Callback], gateways: Mapping[UUID, Gateway], said: Mapping[UUID, Notice | Harmless]
) -> list[Heard]:
    """What a person says in the place of callbacks; those that are to do nothing are settled."""
    heard = []
    for callback in callbacks:
        told = said.get(callback.id)
        if isinstance(told, Harmless):
            callback.settle("processed", told.reason)
        elif told is not None:
            heard.append(Heard(callback, gateways[callback.gateway_id], told))
    return heard


def find_said(callback: Callback, gateway: Gateway) -> Notice | Harmless | None:
    """What a callback says, if it can be read."""
    try:
        return _content_read(callback, gateway)
    except Unusable:
        return None


async def lock_for(uow: UnitOfWork, callbacks: Sequence[Callback], gateways: Mapping[UUID, Gateway]) -> None:
    """Lock at once the events of callbacks that are to take effect one after the other, and what they speak of.

    The callbacks are locked themselves.
    """
    readings = []
    for callback in callbacks:
        is_heard = callback.body_dropped_at is None and not callback.is_settled
        said = find_said(callback, gateways[callback.gateway_id]) if is_heard else None
        if said is not None:
            readings.append((callback, said))
    await lock_spoken_of(uow, _notices(readings, gateways), _events(readings))


def _content_read(callback: Callback, gateway: Gateway) -> Notice | Harmless:
    if callback.origin == RECONCILIATION:
        return read_notice(orjson.loads(callback.body))
    content = Content(callback.body, gateway.settings, callback.part, callback.fetched)
    return get_provider(gateway.provider).read(content)


def _read(callback: Callback, gateway: Gateway) -> Notice | Harmless | None:
    """What a callback says; None once that cannot be read, and the callback is failed."""
    try:
        return _content_read(callback, gateway)
    except Unusable as error:
        callback.settle("failed", error.code, error.detail)
        return None


def _stands_for_event(callback: Callback, standing: Mapping[callback_records.Event, tuple[UUID, bytes]]) -> bool:
    """Whether this callback is the one that speaks for the event. Raises EventIdReused."""
    if callback.event_id is None:
        return True
    other, digest = standing[callback.gateway_id, callback.event_id]
    if other != callback.id and digest != callback.digest:
        raise EventIdReused(f"The event {callback.event_id} came before with other content (callback {other}).")
    return other == callback.id


def _check_mode(gateway: Gateway, said: Notice) -> None:
    if said.is_live is not None and said.is_live != (gateway.mode == "live"):
        raise WrongMode(f"The gateway is in {gateway.mode} mode and the event is not.")


# --- what that does


def _take_effect(uow: UnitOfWork, books: Books, heard: Heard, may_wait: Callable[[Callback], bool]) -> None:
    callback = heard.callback
    try:
        _take_in(uow, books, heard)
    except MustWait as missing:
        if may_wait(callback):
            _wait(uow, callback, missing)
        else:
            callback.settle("failed", missing.error.code, missing.error.detail)
            callback.look_out_for(missing)
    except AmountBeyondOrder as error:
        callback.settle("failed", error.code, error.detail)
        # What the order costs may be told later, or another capture may fail.
        callback.look_out_for(MustWait(error, heard.said.payment, _order_number(books, heard)))
    except Unusable as error:
        callback.settle("failed", error.code, error.detail)


def _take_in(uow: UnitOfWork, books: Books, heard: Heard) -> None:
    order = _get_order(books, heard)
    payment = _get_payment(books, heard, order)
    has_news = ledger.take_in(uow, books, payment, order, heard.said, heard.at)
    heard.callback.payment_id = payment.id
    if has_news:
        heard.callback.settle("processed")
    else:
        heard.callback.settle("ignored", "superseded", "What it says was known already, or is behind what is known.")


def _wait(uow: UnitOfWork, callback: Callback, missing: MustWait) -> None:
    callback.wait(missing)
    until = callback.received_at + payments_settings().callback_wait
    uow.defer(END_WAIT, {"callback_id": str(callback.id)}, due_at=max(until, clock.now()), key=str(callback.id))


def _order_number(books: Books, heard: Heard) -> str | None:
    """The number of the order that a payment belongs to, or says that it is for. Raises OrderContradiction."""
    said, numbers = heard.said, {books.owners[name][1] for name in heard.names if name in books.owners}
    if len(numbers) > 1 or (numbers and said.order_number not in (None, *numbers)):
        raise OrderContradiction(f"The payment belongs to {', '.join(sorted(numbers))}, not to {said.order_number}.")
    return next(iter(numbers), said.order_number)


def _get_order(books: Books, heard: Heard) -> Order:
    """The order a payment is for. Raises MustWait, OrderOfAnotherShop, OrderContradiction, WrongCurrency."""
    said, number = heard.said, _order_number(books, heard)
    if number is None:
        raise MustWait(
            OrderNotFound("The callback names no order, and no order has this payment attached."), said.payment
        )
    order = books.orders.get(number)
    if order is None or not order.is_placed:
        raise MustWait(OrderNotFound(f"There is no order {number} yet."), said.payment, number)
    if not is_below(books.parents, order.shop_id, heard.gateway.shop_id):
        raise OrderOfAnotherShop(f"The order {number} is of a shop that this gateway does not serve.")
    order.check(said)
    return order


async def serves_shop(uow: UnitOfWork, gateway: Gateway, shop_id: UUID) -> bool:
    """Whether payments for this shop go through the gateway: it is the gateway's own or lies below it."""
    return is_below(await order_records.list_parents(uow), shop_id, gateway.shop_id)


def is_below(parents: Mapping[UUID, UUID | None], shop_id: UUID, above: UUID) -> bool:
    """Whether a shop is, or lies below, the other one."""
    seen: set[UUID] = set()
    current: UUID | None = shop_id
    while current is not None and current not in seen:
        if current == above:
            return True
        seen.add(current)
        current = parents.get(current)
    return False


def _get_payment(books: Books, heard: Heard, order: Order) -> Payment:
    """The payment as the books have it; made at its first mention."""
    payment = books.find_payment(order, heard.names)
    if payment is None:
        payment = new_payment(heard.gateway, heard.said.payment, order.id, order.number, order.shop_id)
        payment.occurred_at = heard.at
    return payment


def new_payment(gateway: Gateway, external_id: str, order_id: UUID, order_number: str, shop_id: UUID) -> Payment:
    now = clock.now()
    told = {
        "organization_id": gateway.organization_id,
        "order_id": order_id,
        "order_number": order_number,
        "shop_id": shop_id,
        "gateway_id": gateway.id,
        "provider": gateway.provider,
        "external_id": external_id,
    }
    return Payment.of(_BLANK_PAYMENT | told | {"id": new_id(), "created_at": now, "occurred_at": now})


_BLANK_PAYMENT = {
    name: field.default
    for name, field in Payment.model_fields.items()
    if not field.is_required() and field.default_factory is None
}
