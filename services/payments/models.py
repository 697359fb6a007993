"""The tables of payments and the rules that keep them true."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self
from uuid import UUID

from sqlalchemy import JSON, DateTime, MetaData
from sqlalchemy.orm import configure_mappers
from sqlalchemy.orm.attributes import manager_of_class
from sqlmodel import Field, SQLModel

from services.payments.errors import (
    AmountBeyondOrder,
    CallbackIsSettled,
    MustWait,
    PaymentGatewayChangedSince,
    PaymentNotCaptured,
    RefundBeyondCapture,
    RefundIsSettled,
    WrongCurrency,
)
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact
from shared import clock
from shared.contracts.payments import shapes
from shared.contracts.payments.events import PaymentChanged
from shared.money import Money


@cache
def _configure() -> None:
    """Else no column of the first row of a process could be read."""
    configure_mappers()


class Base(SQLModel):
    """A table of the schema `payments`; the search path of the unit of work finds it."""

    metadata = MetaData()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """A row from all its values, in no session. Takes 5 µs, where the class's own constructor takes 90."""
        _configure()
        row = cls.__new__(cls)
        manager_of_class(cls).setup_instance(row)
        row.__dict__.update(values)
        return row


_TIME: Any = DateTime(timezone=True)
_DOCUMENT: Any = JSON(none_as_null=True)


class Order(Base, table=True):
    """What payments knows of an order: the most it ever cost. Not placed: only other news of it have arrived so far."""

    __tablename__ = "orders"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    number: str
    shop_id: UUID
    total: int | None = None
    currency: str | None = None
    is_placed: bool = False
    is_cancelled: bool = False
    # Since when it waits for its payment; None for one that was placed without.
    to_be_paid_since: datetime | None = Field(default=None, sa_type=_TIME)

    def may_cost(self, total: Money) -> None:
        """It costs so much, or did: the most that was told counts, in whatever order."""
        self.total, self.currency = max(self.total or 0, total.amount), total.currency

    def check(self, notice: Notice) -> None:
        """Whether this payment can be this order's. Raises WrongCurrency, AmountBeyondOrder."""
        if notice.currency != self.currency:
            raise WrongCurrency(f"The order is in {self.currency}, the payment in {notice.currency}.")
        for amount in (notice.authorised or 0, notice.captured or 0):
            if self.total is not None and amount > self.total:
                raise _beyond_order(amount, self.total, notice.currency)


def _beyond_order(paid: int, total: int, currency: str) -> AmountBeyondOrder:
    came, whole = (Money(amount=amount, currency=currency).text for amount in (paid, total))
    return AmountBeyondOrder(f"{came} was paid for an order of {whole}.")


class Gateway(Base, table=True):
    """A shop's account at a payment provider."""

    __tablename__ = "gateways"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    shop_id: UUID
    provider: str
    mode: str
    settings: dict[str, Any] = Field(sa_type=_DOCUMENT)
    allowed_networks: list[str] = Field(sa_type=_DOCUMENT)
    is_enabled: bool = True
    created_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    version: int = 1

    def check_version(self, expected: int | None) -> None:
        """Raises PaymentGatewayChangedSince; None expects nothing."""
        if expected is not None and expected != self.version:
            raise PaymentGatewayChangedSince(
                f"The gateway has version {self.version} now, not {expected}; read it again."
            )


class GatewaySecret(Base, table=True):
    """One secret of a gateway, sealed. A retired one is kept for replaying what it signed while it was live."""

    __tablename__ = "gateway_secrets"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    gateway_id: UUID
    sealed: str
    created_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    retired_at: datetime | None = Field(default=None, sa_type=_TIME)

    @property
    def is_live(self) -> bool:
        return self.retired_at is None

    def was_live(self, at: datetime) -> bool:
        """Whether it could check a callback received `at` that time: signatures of a later secret count, too."""
        return self.retired_at is None or self.retired_at > at


class Payment(Base, table=True):
    """One payment at a gateway. Every total only follows what the gateway said last, so order of arrival is nothing."""

    __tablename__ = "payments"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    order_id: UUID
    order_number: str
    shop_id: UUID
    gateway_id: UUID
    provider: str
    external_id: str
    currency: str | None = None
    state: str = "pending"
    authorised: int = 0
    captured: int = 0
    captured_told: int = 0
    refunded: int = 0
    disputed: int = 0
    is_failed: bool = False
    is_cancelled: bool = False
    refunded_as_told: int = 0
    refunded_told_at: datetime | None = Field(default=None, sa_type=_TIME)
    refunded_most: int = 0
    refunded_most_at: datetime | None = Field(default=None, sa_type=_TIME)
    refund_in_doubt: int | None = None
    created_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    occurred_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    version: int = 0

    def apply(
        self,
        notice: Notice,
        at: datetime,
        captures: Sequence["Capture"],
        refunds: Sequence["Refund"],
        disputes: Sequence["Dispute"],
        total: int | None = None,
    ) -> bool:
        """Take in what a notice says, given all reported captures, refunds and disputes, its own included.

        `total` is what the order costs: captures that come to more raise AmountBeyondOrder.

        Returns whether any total or the state changed; the first notice always counts. Raises MustWait for a refund
        of what has not all been captured; then nothing is changed.
        """
        latest, most = self._refunds_told(notice, at)
        told = max(self.captured_told, notice.captured or 0)
        captured = max(told, sum(capture.amount for capture in captures if capture.state == "succeeded"))
        if total is not None and self.captured < captured > total:
            raise _beyond_order(captured, total, notice.currency)
        refunded = _refunded((latest, most), refunds)
        self._check_refund(refunded, captured, notice.currency)
        before = self._standing()
        self.currency = notice.currency
        self.authorised = max(self.authorised, notice.authorised or 0)
        self.captured_told, self.captured, self.refunded = told, captured, refunded
        self.refunded_as_told, self.refunded_told_at = latest.amount, latest.at
        self.refunded_most, self.refunded_most_at = most.amount, most.at
        # Less than before, and no refund that failed says why: nothing goes back, and a person must know.
        self.refund_in_doubt = latest.amount if latest.amount < most.less_failed(refunds) else None
        # Fees and exchange rates make disputes larger than the payment; no more than came in can be held back of it.
        self.disputed = min(captured, sum(dispute.amount for dispute in disputes if dispute.state != "won"))
        self.is_failed |= notice.failed
        self.is_cancelled |= notice.cancelled
        self.state = self._state()
        if self.version and self._standing() == before:
            return False
        self.occurred_at = at if self.version == 0 else max(self.occurred_at, at)
        self.version += 1
        return True

    def _refunds_told(self, notice: Notice, at: datetime) -> tuple["Told", "Told"]:
        """The latest running total of refunds, and the largest ever; of two from the same second the larger."""
        latest = Told(self.refunded_as_told, self.refunded_told_at)
        most = Told(self.refunded_most, self.refunded_most_at)
        if notice.refunded is None:
            return latest, most
        told = Told(notice.refunded, at)
        return max(latest, told, key=Told.by_time), max(most, told, key=Told.by_amount)

    def _check_refund(self, refunded: int, captured: int, currency: str) -> None:
        if refunded <= captured:
            return
        if captured == 0:
            raise MustWait(PaymentNotCaptured("A refund came, and the capture it returns has not."), self.external_id)
        back, came = (Money(amount=amount, currency=currency).text for amount in (refunded, captured))
        # Another capture may be on its way.
        raise MustWait(RefundBeyondCapture(f"{back} was refunded of {came} captured."), self.external_id)

    def _standing(self) -> tuple[object, ...]:
        return self.authorised, self.captured, self.refunded, self.refund_in_doubt, self.disputed, self.state

    def _state(self) -> str:
        """The one state table: money that moved outweighs what was tried, the latest step of it what came before."""
        if self.captured:
            if self.refunded >= self.captured:
                return "refunded"
            if self.disputed:
                return "disputed"
            return "partly_refunded" if self.refunded else "captured"
        if self.is_cancelled:
            return "cancelled"
        if self.authorised:
            return "authorised"
        return "failed" if self.is_failed else "pending"

    def kept(self, refunds: Iterable["Refund"]) -> int:
        """What came in and neither went back, through the gateway or by hand, nor is asked to."""
        left = sum(refund.left(self.refunded) for refund in refunds)
        return max(0, self.captured - self.refunded - self.disputed - left)

    def money(self, amount: int) -> Money | None:
        return None if self.currency is None else Money(amount=amount, currency=self.currency)

    def changed(self) -> PaymentChanged:
        assert self.currency is not None
        return PaymentChanged(
            payment_id=self.id,
            order_id=self.order_id,
            order_number=self.order_number,
            shop_id=self.shop_id,
            gateway_id=self.gateway_id,
            provider=self.provider,
            external_id=self.external_id,
            state=self.state,
            authorised=Money(amount=self.authorised, currency=self.currency),
            captured=Money(amount=self.captured, currency=self.currency),
            refunded=Money(amount=self.refunded, currency=self.currency),
            disputed=Money(amount=self.disputed, currency=self.currency),
            refund_in_doubt=None if self.refund_in_doubt is None else self.money(self.refund_in_doubt),
            occurred_at=self.occurred_at,
            version=self.version,
        )

    def shape(self) -> shapes.Payment:
        return shapes.Payment(
            id=self.id,
            order_id=self.order_id,
            order_number=self.order_number,
            shop_id=self.shop_id,
            gateway_id=self.gateway_id,
            provider=self.provider,
            external_id=self.external_id,
            state=self.state,
            authorised=self.money(self.authorised),
            captured=self.money(self.captured),
            refunded=self.money(self.refunded),
            disputed=self.money(self.disputed),
            refund_in_doubt=None if self.refund_in_doubt is None else self.money(self.refund_in_doubt),
            created_at=self.created_at,
            occurred_at=self.occurred_at,
            version=self.version,
        )


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """A running total of refunds, and when the gateway said so."""

    amount: int
    at: datetime | None

    def by_time(self) -> tuple[datetime, int]:
        return self.at or _NEVER, self.amount

    def by_amount(self) -> tuple[int, datetime]:
        return self.amount, self.at or _NEVER

    def less_failed(self, refunds: Iterable["Refund"]) -> int:
        """The total less the refunds that failed after it was told."""
        if self.at is None:
            return 0
        return self.amount - sum(
            refund.amount
            for refund in refunds
            if refund.external_id is not None and refund.has_failed and refund.changed_at > self.at
        )


def _refunded(totals: Iterable[Told], refunds: Sequence["Refund"]) -> int:
    """What has gone back: the refunds reported one by one, or a running total less what failed since.

    A smaller total alone takes nothing back: only a refund that is said to have failed does.
    """
    succeeded = sum(refund.amount for refund in refunds if refund.external_id and refund.state == "succeeded")
    return max(succeeded, *(told.less_failed(refunds) for told in totals))


# A later word about a refund or dispute never returns it to an earlier one, whichever arrives first.
_REFUND_ORDER = {"pending": 0, "succeeded": 1, "cancelled": 2, "failed": 3}
_DISPUTE_ORDER = {"open": 0, "won": 1, "lost": 2}


class Refund(Base, table=True):
    """Money going back. A request has no `external_id`; it is settled once `settled_from` in all has been refunded.

    One that a person closed stands for money that went back by hand. Its `settled_from` is behind those of all open
    ones: only what the gateway reports beyond them can be the same money.
    """

    __tablename__ = "refunds"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    payment_id: UUID
    external_id: str | None = None
    amount: int
    state: str
    reason: str | None = None
    settled_from: int | None = None
    # Of a request that is sent through the provider's API: since when, what it is called there, or why it was not.
    sending_since: datetime | None = Field(default=None, sa_type=_TIME)
    sent_as: str | None = None
    sending_error: str | None = None
    created_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    changed_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)

    @property
    def is_open_request(self) -> bool:
        return self.state == "requested"

    @property
    def has_failed(self) -> bool:
        return self.state in ("failed", "cancelled")

    def left(self, refunded: int) -> int:
        """How much this request stands for beside what was `refunded` through the gateway in all."""
        if self.settled_from is None or self.state not in ("requested", "closed"):
            return 0
        return max(0, min(self.amount, self.settled_from - refunded))

    def after(self, fact: RefundFact, at: datetime) -> "Refund":
        """This refund once `fact` is taken over; the same where that is behind what is known."""
        ahead = _REFUND_ORDER[fact.state] - _REFUND_ORDER[self.state]
        if ahead < 0 or (ahead == 0 and at >= self.changed_at):
            return self
        return Refund(**self.model_dump() | {"state": fact.state, "amount": fact.amount, "changed_at": at})

    def close(self, reason: str, behind: Sequence["Refund"]) -> None:
        """Settled by a person; the requests `behind` it move up. Raises RefundIsSettled."""
        if not self.is_open_request:
            raise RefundIsSettled(f"The refund is {self.state}; only a requested one can be closed by hand.")
        self.state, self.reason, self.changed_at = "closed", reason, clock.now()
        for request in behind:
            request.move(-self.amount)
            self.move(request.amount)

    def move(self, amount: int) -> None:
        """So much more, or less, has to be refunded in all until this request is settled."""
        assert self.settled_from is not None
        self.settled_from += amount

    def shape(self, payment: Payment) -> shapes.Refund:
        return shapes.Refund(
            id=self.id,
            payment_id=payment.id,
            order_id=payment.order_id,
            order_number=payment.order_number,
            shop_id=payment.shop_id,
            amount=Money(amount=self.amount, currency=payment.currency or ""),
            state=self.state,
            reason=self.reason,
            external_id=self.external_id,
            sent_as=self.sent_as,
            sending_error=self.sending_error,
            created_at=self.created_at,
            changed_at=self.changed_at,
        )


class Capture(Base, table=True):
    """One of the captures that make up a payment. One that failed later is taken back."""

    __tablename__ = "captures"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    payment_id: UUID
    external_id: str
    amount: int
    state: str
    changed_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)

    def after(self, fact: CaptureFact, at: datetime) -> "Capture":
        """This capture once `fact` is taken over; the same where that is behind what is known."""
        if self.state == "failed" or fact.state == self.state:
            return self
        return Capture(**self.model_dump() | {"state": fact.state, "amount": fact.amount, "changed_at": at})


class Dispute(Base, table=True):
    """A payer's dispute. Open or lost, its amount is held back."""

    __tablename__ = "disputes"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    payment_id: UUID
    external_id: str
    amount: int
    state: str
    changed_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)

    def after(self, fact: DisputeFact, at: datetime) -> "Dispute":
        """This dispute once `fact` is taken over; the same where that is behind what is known."""
        if _DISPUTE_ORDER[fact.state] <= _DISPUTE_ORDER[self.state]:
            return self
        later = self.model_dump() | {"state": fact.state, "amount": fact.amount, "changed_at": at}
        return Dispute(**later)


@dataclass(slots=True)
class Callback:
    """A callback, and what became of it. Rows are added by the intake and by repairs, and never removed.

    Read and written in sets, without a session; headers, source and identity stay in the table.
    """

    organization_id: UUID
    id: UUID
    gateway_id: UUID
    digest: bytes
    event: str | None
    event_id: str | None
    part: int
    body: bytes
    fetched: bytes | None
    received_at: datetime
    is_verified: bool
    is_accepted: bool
    status: str
    reason: str | None
    detail: str | None
    payment_id: UUID | None
    awaited_order: str | None
    awaited_payment: str | None
    body_dropped_at: datetime | None
    origin: str
    # Why it was failed before it came to what it is now.
    failed_for: str | None = field(default=None, init=False)

    @property
    def is_settled(self) -> bool:
        return self.status in ("processed", "rejected")

    @property
    def recovered_from(self) -> str | None:
        """What it was failed for and is no longer."""
        return None if (self.status, self.reason) == ("failed", self.failed_for) else self.failed_for

    def settle(self, status: str, reason: str | None = None, detail: str | None = None) -> None:
        """Come to a status; what was awaited no longer is."""
        if self.status == "failed" and self.failed_for is None:
            self.failed_for = self.reason
        self.status, self.reason, self.detail = status, reason, detail
        self.awaited_order = self.awaited_payment = None

    def wait(self, missing: MustWait) -> None:
        """Wait for an order, or for what else is said about the same payment."""
        self.settle("waiting", missing.error.code, missing.error.detail)
        self.look_out_for(missing)

    def look_out_for(self, missing: MustWait) -> None:
        """Be found again when what was missing arrives, be it long after the wait has ended."""
        self.awaited_order, self.awaited_payment = missing.order_number, missing.payment

    def reject(self, reason: str) -> None:
        """Set aside by a person. Raises CallbackIsSettled."""
        if self.is_settled:
            raise CallbackIsSettled(f"The callback is {self.status}; that is final.")
        self.settle("rejected", "rejected_by_person", reason)
