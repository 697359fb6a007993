"""What a payment provider says about a payment, in our own words: adapters write it, the ledger takes it in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class RefundFact:
    """A refund as the provider knows it. `amount` in our minor units."""

    external_id: str
    amount: int
    state: Literal["pending", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class CaptureFact:
    """One of the captures that make up a payment, where the provider tells them one by one."""

    external_id: str
    amount: int
    state: Literal["succeeded", "failed"]


@dataclass(frozen=True)
class DisputeFact:
    """A dispute as the provider knows it; `open` and `lost` hold the money back, `won` returns it."""

    external_id: str
    amount: int
    state: Literal["open", "won", "lost"]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a callback says about one payment. Amounts are totals so far, in minor units of ISO 4217; None: not said.

    `payment` is what the provider calls it; `aliases` are other ids of the same payment, by which something else may
    call it later.
    """

    event: str
    occurred_at: datetime | None
    is_live: bool | None
    payment: str
    aliases: tuple[str, ...] = ()
    order_number: str | None
    currency: str
    authorised: int | None = None
    captured: int | None = None
    refunded: int | None = None
    failed: bool = False
    cancelled: bool = False
    captures: tuple[CaptureFact, ...] = ()
    refunds: tuple[RefundFact, ...] = ()
    disputes: tuple[DisputeFact, ...] = ()
