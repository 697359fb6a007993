"""The books opened for a group of notices: all that they are about is locked and read at once, and written at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.payments.models import Callback, Capture, Dispute, Gateway, Order, Payment, Refund
from services.payments.notices import Notice
from services.payments.repository import common, order_records, payment_records
from services.payments.repository.callback_records import Event
from shared.unit_of_work import UnitOfWork

# A payment as its gateway knows it: the gateway and the id there.
PaymentName = tuple[UUID, str]
Part = TypeVar("Part", Capture, Refund, Dispute)


@dataclass(frozen=True)
class Heard:
    """What one callback says."""

    callback: Callback
    gateway: Gateway
    said: Notice

    @property
    def names(self) -> list[PaymentName]:
        """All that the payment is called, its own name first."""
        return [(self.gateway.id, name) for name in dict.fromkeys((self.said.payment, *self.said.aliases))]

    @property
    def at(self) -> datetime:
        """When it became true, by the gateway's clock where that is told."""
        return self.said.occurred_at or self.callback.received_at


class Books:
    """Orders with their payments, refunds and disputes, as they stand once the notices so far were taken in."""

    def __init__(
        self,
        owners: Mapping[PaymentName, tuple[UUID, str]],
        orders: Iterable[Order],
        payments: Iterable[Payment],
        captures: Iterable[Capture],
        refunds: Iterable[Refund],
        disputes: Iterable[Dispute],
        parents: Mapping[UUID, UUID | None],
    ) -> None:
        # Which payment a name means, and the number of its order.
        self.owners = dict(owners)
        self.orders = {order.number: order for order in orders}
        self.parents = parents
        self.payments: defaultdict[UUID, list[Payment]] = defaultdict(list)
        self.captures: defaultdict[UUID, list[Capture]] = defaultdict(list)
        self.refunds: defaultdict[UUID, list[Refund]] = defaultdict(list)
        self.disputes: defaultdict[UUID, list[Dispute]] = defaultdict(list)
        self._touched: dict[UUID, Payment | Capture | Refund | Dispute] = {}
        self._names: dict[PaymentName, UUID] = {}
        self.changed: dict[UUID, Payment] = {}
        # Those that something may be waiting for under a name that is new.
        self.named: dict[UUID, Payment] = {}
        for payment in payments:
            self.payments[payment.order_id].append(payment)
        for capture in captures:
            self.captures[capture.payment_id].append(capture)
        for refund in refunds:
            self.refunds[refund.payment_id].append(refund)
        for dispute in disputes:
            self.disputes[dispute.payment_id].append(dispute)

    def find_payment(self, order: Order, names: Sequence[PaymentName]) -> Payment | None:
        """The order's payment that one of these names means."""
        owners = {self.owners[name][0] for name in names if name in self.owners}
        return next((payment for payment in self.payments[order.id] if payment.id in owners), None)

    def enter(self, payment: Payment, aliases: Iterable[str] = (), *, heard_as: str | None = None) -> None:
        """Write this payment at the end; from now on it is its order's, and known by these names."""
        if payment.id not in {known.id for known in self.payments[payment.order_id]}:
            self.payments[payment.order_id].append(payment)
        self._touched[payment.id] = payment
        for name in (payment.external_id, heard_as, *aliases):
            if name is not None and (payment.gateway_id, name) not in self.owners:
                self.owners[payment.gateway_id, name] = payment.id, payment.order_number
                if name != payment.external_id:
                    self._names[payment.gateway_id, name] = payment.id
                    self.named[payment.id] = payment

    def enter_parts(self, captures: Iterable[Capture], refunds: Iterable[Refund], disputes: Iterable[Dispute]) -> bool:
        """Write these at the end where they are new or have moved. Returns whether any has."""
        news = [self._enter_part(self.captures[row.payment_id], row) for row in captures]
        news += [self._enter_part(self.refunds[row.payment_id], row) for row in refunds]
        news += [self._enter_part(self.disputes[row.payment_id], row) for row in disputes]
        return any(news)

    def enter_refund(self, refund: Refund) -> None:
        """Write this refund at the end; it takes the place of what was known of it."""
        self._enter_part(self.refunds[refund.payment_id], refund, always=True)

    def _enter_part(self, known: list[Part], row: Part, *, always: bool = False) -> bool:
        before = next((other for other in known if other.id == row.id), None)
        # That it came to its state at another time is no news, but decides which totals a refund that failed is off.
        is_news = before is None or before.state != row.state
        if always or is_news or (before is not None and before.changed_at != row.changed_at):
            self._touched[row.id] = row
            known[:] = [other for other in known if other.id != row.id]
            known.append(row)
        return is_news

    async def write(self, uow: UnitOfWork) -> None:
        """Write what was entered."""
        for kind in (Payment, Capture, Refund, Dispute):
            await common.write(uow, [row for row in self._touched.values() if isinstance(row, kind)])
        await payment_records.add_names(uow, self._names)


@dataclass(frozen=True)
class SpokenOf:
    """What is locked: whose names were spoken of (payment and its order's number), orders, and their payments."""

    owners: Mapping[PaymentName, tuple[UUID, str]]
    orders: Sequence[Order]
    payments: Sequence[Payment]


async def lock_spoken_of(uow: UnitOfWork, heard: Sequence[Heard], events: Collection[Event]) -> SpokenOf:
    """Lock the events of callbacks and all that they speak of, always in this order, and by name within each kind.

    Before any event is claimed: whoever would claim one of these waits here, and not for a row. Whoever processes
    callbacks one after the other in one transaction locks for all of them first: else two who come to the same events
    or orders in another order would wait for each other.
    """
    names = {name for each in heard for name in each.names}
    await common.lock_names(uow, {*names, *(("event", *event) for event in events)})
    owners = await payment_records.list_owners(uow, names) if names else {}
    numbers = {number for _, number in owners.values()}
    numbers |= {each.said.order_number for each in heard if each.said.order_number is not None}
    await common.lock_names(uow, [("order", number) for number in numbers])
    orders = await order_records.lock_orders(uow, numbers)
    return SpokenOf(owners, orders, await payment_records.lock_payments(uow, [order.id for order in orders]))


async def open_books(uow: UnitOfWork, locked: SpokenOf, heard: Sequence[Heard]) -> Books:
    """Read the rest of all that is spoken of, which is locked; it may be of more than is heard."""
    # Of what nothing was said yet there is nothing to look up.
    spoken_of = {locked.owners[name][0] for each in heard for name in each.names if name in locked.owners}
    told = [row.id for row in locked.payments if row.version and row.id in spoken_of]
    captures = await payment_records.list_captures_of(uow, told)
    refunds = await payment_records.list_refunds_of(uow, told)
    disputes = await payment_records.list_disputes_of(uow, told)
    shops = {order.shop_id for order in locked.orders}
    are_alike = all(shops <= {each.gateway.shop_id} for each in heard)
    parents = {} if are_alike else await order_records.list_parents(uow)
    return Books(locked.owners, locked.orders, locked.payments, captures, refunds, disputes, parents)
