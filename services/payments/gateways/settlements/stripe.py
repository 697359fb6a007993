"""Stripe's payout reconciliation and balance change reports, itemized (docs.stripe.com/reports/payout-reconciliation).

One line for each balance transaction. Amounts are decimals in the currency of the balance; where the buyer paid in
another one, `customer_facing_amount` is what the ledger knows.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from services.payments.gateways import reading
from services.payments.gateways.apis.base import Told
from services.payments.gateways.settlements.base import Line, major, name_of, time_of, told_line
from services.payments.notices import Notice, RefundFact

_ORDER_NUMBER = "payment_metadata[order_number]"


class StripeReport:
    name = "stripe"
    needed = ("reporting_category", "gross", "currency", "source_id")

    def read(self, lines: Iterable[Line], settings: Mapping[str, Any]) -> Iterator[Told]:
        """Disputes are counted by their own names in callbacks, which these lines do not have: they tell nothing."""
        reversed_parts: dict[str, list[Line]] = {}
        charges: dict[str, Line] = {}
        for line in lines:
            category, payment = (
                line.get("reporting_category"),
                reading.find_name(line, "payment_intent_id", "charge_id"),
            )
            if category == "charge":
                charges[payment or line.get("source_id", "")] = line
            elif category == "partial_capture_reversal" and payment is not None:
                reversed_parts.setdefault(payment, []).append(line)
            elif category in ("refund", "refund_failure"):
                yield told_line("refund", line, "source_id", _refund)
        for payment, line in charges.items():
            parts = reversed_parts.get(payment, [])
            read = partial(_charge, reversed_parts=parts)
            yield told_line("payment", {**line, "payment": payment}, "payment", read)


def _money(line: Line) -> tuple[int, str]:
    if line.get("customer_facing_amount") and line.get("customer_facing_currency"):
        currency = reading.currency(line["customer_facing_currency"])
        return major(line, "customer_facing_amount", currency), currency
    currency = reading.currency(line.get("currency"))
    return major(line, "gross", currency), currency


def _charge(line: Line, reversed_parts: list[Line]) -> Notice:
    amount, currency = _money(line)
    captured = amount - sum(_money(part)[0] for part in reversed_parts)
    return Notice(
        event="settlement.charge",
        occurred_at=time_of(line, "created_utc") or time_of(line, "created"),
        is_live=None,
        payment=name_of(line, "payment"),
        order_number=reading.find_name(line, _ORDER_NUMBER),
        currency=currency,
        authorised=amount,
        captured=max(0, captured),
    )


def _refund(line: Line) -> Notice:
    amount, currency = _money(line)
    state: Any = "succeeded" if line["reporting_category"] == "refund" else "failed"
    return Notice(
        event=f"settlement.{line['reporting_category']}",
        occurred_at=time_of(line, "created_utc") or time_of(line, "created"),
        is_live=None,
        payment=name_of(line, "payment_intent_id", "charge_id"),
        order_number=None,
        currency=currency,
        refunds=(RefundFact(name_of(line, "source_id"), amount, state),),
    )
