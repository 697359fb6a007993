"""PayPal's settlement report (STL), version 9 and later (developer.paypal.com/docs/reports/sftp-reports).

Its lines begin with what they are: `CH` has the headings, `SB` a transaction. Amounts have no sign and no point;
whether they came or went stands beside them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.payments.errors import UnreadableCallback
from services.payments.gateways import reading
from services.payments.gateways.apis.base import Told
from services.payments.gateways.settlements.base import Line, name_of, told_line
from services.payments.notices import CaptureFact, Notice, RefundFact
from shared.money import EXPONENTS

_EXPONENTS = {**EXPONENTS, "HUF": 0, "TWD": 0}
_REFUNDS = ("T1106", "T1107")
# A chargeback has the name of its transaction here, and that of its dispute in callbacks: a person has to look.
_CHARGEBACKS = ("T1201",)


class PayPalReport:
    name = "paypal"
    needed = (
        "ch",
        "transaction id",
        "transaction event code",
        "transaction debit or credit",
        "gross transaction amount",
        "gross transaction currency",
    )

    def read(self, lines: Iterable[Line], settings: Mapping[str, Any]) -> Iterator[Told]:
        for line in lines:
            code = line.get("transaction event code", "")
            if line.get("ch") != "SB":
                continue
            if code.startswith("T00") and line.get("transaction debit or credit") == "CR":
                yield told_line("capture", line, "transaction id", _captured)
            elif code in _REFUNDS:
                yield told_line("refund", line, "transaction id", _refunded)
            elif code in _CHARGEBACKS:
                yield told_line("dispute", line, "transaction id", _charged_back)


def _notice(line: Line, payment: str, **told: Any) -> Notice:
    return Notice(
        event=f"settlement.{line['transaction event code']}",
        occurred_at=None,
        is_live=None,
        payment=payment,
        order_number=reading.find_name(line, "custom field", "invoice id"),
        currency=_currency(line),
        **told,
    )


def _currency(line: Line) -> str:
    return reading.currency(line.get("gross transaction currency"))


def _amount(line: Line) -> int:
    return reading.smallest_units(line.get("gross transaction amount"), _currency(line), _EXPONENTS)


def _captured(line: Line) -> Notice:
    fact = CaptureFact(name_of(line, "transaction id"), _amount(line), "succeeded")
    return _notice(line, fact.external_id, captures=(fact,))


def _refunded(line: Line) -> Notice:
    # What came back of a refund is a refund that failed.
    state: Any = "failed" if line.get("transaction debit or credit") == "CR" else "succeeded"
    fact = RefundFact(name_of(line, "transaction id"), _amount(line), state)
    return _notice(line, name_of(line, "paypal reference id"), refunds=(fact,))


def _charged_back(line: Line) -> Notice:
    raise UnreadableCallback(
        f"The transaction {line.get('paypal reference id')} was charged back; look at its dispute."
    )
