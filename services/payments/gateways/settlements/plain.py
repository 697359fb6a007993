"""A plain layout for everybody else: `kind, payment, amount, currency`, and `id`, `order_number`, `occurred_at`.

`kind` is `captured`, `authorised`, `refunded`, `refund_failed`, `disputed`, `dispute_won` or `dispute_lost`; of the
last five `id` is the refund's or the dispute's own. Amounts are decimals in major units; captured and authorised are
totals.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.payments.errors import UnreadableCallback
from services.payments.gateways import reading
from services.payments.gateways.apis.base import Told
from services.payments.gateways.settlements.base import Line, major, name_of, time_of, told_line
from services.payments.notices import DisputeFact, Notice, RefundFact

_REFUNDS = {"refunded": "succeeded", "refund_failed": "failed"}
_DISPUTES = {"disputed": "open", "dispute_won": "won", "dispute_lost": "lost"}


class PlainFile:
    name = "plain"
    needed = ("kind", "payment", "amount", "currency")

    def read(self, lines: Iterable[Line], settings: Mapping[str, Any]) -> Iterator[Told]:
        for line in lines:
            kind = line.get("kind", "").lower()
            if kind in _REFUNDS:
                yield told_line("refund", line, "id", _read)
            else:
                yield told_line("dispute", line, "id", _read) if kind in _DISPUTES else _payment(line)


def _payment(line: Line) -> Told:
    return told_line("payment", line, "payment", _read)


def _read(line: Line) -> Notice:
    kind, currency = line.get("kind", "").lower(), reading.currency(line.get("currency"))
    return Notice(
        event=f"settlement.{kind}",
        occurred_at=time_of(line, "occurred_at"),
        is_live=None,
        payment=name_of(line, "payment"),
        order_number=reading.find_name(line, "order_number"),
        currency=currency,
        **_told(kind, line, major(line, "amount", currency)),
    )


def _told(kind: str, line: Line, amount: int) -> dict[str, Any]:
    state: Any = _REFUNDS.get(kind) or _DISPUTES.get(kind)
    if kind == "captured":
        return {"authorised": amount, "captured": amount}
    if kind == "authorised":
        return {"authorised": amount}
    if kind in _REFUNDS:
        return {"refunds": (RefundFact(name_of(line, "id"), amount, state),)}
    if kind in _DISPUTES:
        return {"disputes": (DisputeFact(name_of(line, "id"), amount, state),)}
    raise UnreadableCallback(f"'{kind[:40]}' is no kind of line.")
