"""What a payment provider says about a payment, in our own words: adapters write it, the ledger takes it in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal


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

    @property
    def speaks_of_payment(self) -> bool:
        """Whether it says what the payment itself is, and not only what was returned or disputed of it."""
        totals = self.authorised is not None or self.captured is not None or self.refunded is not None
        return totals or self.failed or self.cancelled or bool(self.captures)

    def written(self) -> dict[str, Any]:
        """As a JSON object, which `read_notice` reads again."""
        told = {name: value for name, value in asdict(self).items() if value not in (None, (), False)}
        if self.occurred_at is not None:
            told["occurred_at"] = self.occurred_at.isoformat()
        return told | {"is_live": self.is_live}


def read_notice(written: Mapping[str, Any]) -> Notice:
    """What `Notice.written` wrote."""
    told = {"occurred_at": None, "order_number": None, **written}
    if told["occurred_at"] is not None:
        told["occurred_at"] = datetime.fromisoformat(told["occurred_at"])
    told["aliases"] = tuple(told.get("aliases", ()))
    for name, kind in (("captures", CaptureFact), ("refunds", RefundFact), ("disputes", DisputeFact)):
        told[name] = tuple(kind(**fact) for fact in told.get(name, ()))
    return Notice(**told)
