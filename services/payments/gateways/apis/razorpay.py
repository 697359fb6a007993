"""Razorpay's API, version 1 (razorpay.com/docs/api): payments, refunds and disputes by their creation."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from services.payments.errors import Unusable
from services.payments.gateways import razorpay, reading
from services.payments.gateways.apis.base import Connection, Listing, Period, ProviderUnavailable, told_of
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact

_BASE = "https://api.razorpay.com"
_PAGE = 100
_LISTS: tuple[tuple[str, str, Callable[[Object], Notice | None]], ...] = (
    ("payments", "payment", razorpay.read_listed_payment),
    ("refunds", "refund", razorpay.read_listed_refund),
    ("disputes", "dispute", razorpay.read_listed_dispute),
)


class RazorpayApi:
    """The API. Test and live differ by the key alone."""

    provider = "razorpay"
    needed = ("key_id", "key_secret")
    by_capture = False

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        url = f"{_url(connection)}/payments/{quote(payment, safe='')}"
        return (await connection.ask("GET", url, headers=_headers(connection))).body

    def read_payment(self, told: bytes) -> Notice | None:
        return razorpay.read_listed_payment(reading.document(told))

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        """Pages are counted: in a period that is over none is made any more that could shift them."""
        number, _, skip = (cursor or "0 0").partition(" ")
        path, kind, read = _LISTS[int(number)]
        query: dict[str, Any] = {
            "from": int(period.since.timestamp()),
            # It counts the last second, too.
            "to": int(period.until.timestamp()) - 1,
            "count": _PAGE,
            "skip": int(skip),
        }
        page = await connection.ask_document(f"{_url(connection)}/{path}", query=query, headers=_headers(connection))
        if not isinstance(page.get("items"), list):
            raise ProviderUnavailable("razorpay answered with what is no page of a list.")
        rows = reading.objects(page, "items")
        told = [told_of(kind, row, read) for row in rows if _is_within(row, period)]
        if len(page["items"]) >= _PAGE:
            return Listing(told, f"{number} {int(skip) + _PAGE}")
        following = int(number) + 1
        return Listing(told, f"{following} 0" if following < len(_LISTS) else None)

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        url = f"{_url(connection)}/payments/{quote(payment, safe='')}/refund"
        headers = _headers(connection) | {"X-Refund-Idempotency": key}
        answer = await connection.ask("POST", url, headers=headers, document={"amount": amount, "receipt": key[:40]})
        return razorpay.read_refund(reading.document(answer.body))


def _is_within(row: Object, period: Period) -> bool:
    """Where a list takes no period it is held to it here; what does not say when is looked at, too."""
    try:
        made: datetime | None = reading.find_time(row, "created_at")
    except Unusable:
        return True
    return made is None or period.since.replace(microsecond=0).astimezone(UTC) <= made < period.until


def _url(connection: Connection) -> str:
    return f"{connection.base_url(_BASE, _BASE)}/v1"


def _headers(connection: Connection) -> dict[str, str]:
    pair = f"{connection.credentials['key_id']}:{connection.credentials['key_secret']}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
