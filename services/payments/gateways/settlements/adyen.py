"""Adyen's settlement details report (docs.adyen.com/reporting/settlement-detail-report), a line per journal entry."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.payments.errors import InvalidSettlementFile
from services.payments.gateways import reading
from services.payments.gateways.apis.base import Told
from services.payments.gateways.settlements.base import Line, major, name_of, told_line
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact

_DISPUTES = {"chargeback": "open", "chargebackreversed": "won", "secondchargeback": "lost"}


class AdyenReport:
    name = "adyen"
    needed = ("psp reference", "merchant account", "type", "modification reference", "gross currency")

    def read(self, lines: Iterable[Line], settings: Mapping[str, Any]) -> Iterator[Told]:
        """Its time zone may be any, and is told by a name of three letters: when it happened is not taken from it."""
        for line in lines:
            account = line.get("merchant account", "")
            if line.get("psp reference") and account != settings.get("merchant_account", account):
                raise InvalidSettlementFile(f"The file is of the merchant account '{account}', and the gateway is not.")
            reader, kind = _READERS.get(line.get("type", "").lower(), (None, ""))
            if reader is not None:
                yield told_line(kind, line, "modification reference", reader)


def _notice(line: Line, **told: Any) -> Notice:
    return Notice(
        event=f"settlement.{line['type']}",
        occurred_at=None,
        is_live=None,
        payment=name_of(line, "psp reference"),
        order_number=reading.find_name(line, "merchant reference"),
        currency=reading.currency(line.get("gross currency")),
        **told,
    )


def _amount(line: Line) -> int:
    currency = reading.currency(line.get("gross currency"))
    return major(line, "gross credit (gc)" if line.get("gross credit (gc)") else "gross debit (gc)", currency)


def _settled(line: Line) -> Notice:
    return _notice(line, captures=(CaptureFact(name_of(line, "modification reference"), _amount(line), "succeeded"),))


def _refunded(line: Line) -> Notice:
    state: Any = "succeeded" if line["type"].lower() == "refunded" else "failed"
    return _notice(line, refunds=(RefundFact(name_of(line, "modification reference"), _amount(line), state),))


def _disputed(line: Line) -> Notice:
    state: Any = _DISPUTES[line["type"].lower()]
    return _notice(line, disputes=(DisputeFact(name_of(line, "modification reference"), _amount(line), state),))


_READERS = {
    "settled": (_settled, "capture"),
    "refunded": (_refunded, "refund"),
    "refundedreversed": (_refunded, "refund"),
    **dict.fromkeys(_DISPUTES, (_disputed, "dispute")),
}
