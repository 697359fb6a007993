"""Square's API, version 2 (developer.squareup.com): payments, refunds and disputes by their creation."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from services.payments.errors import Unusable
from services.payments.gateways import reading, square
from services.payments.gateways.apis.base import Connection, Listing, Period, ProviderUnavailable, told_of
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact

_LIVE, _TEST = "https://connect.squareup.com", "https://connect.squareupsandbox.com"
_VERSION = "2026-01-22"
_PAGE = 100
_LISTS: tuple[tuple[str, str, Callable[[Object], Notice | None]], ...] = (
    ("payments", "payment", square.read_listed_payment),
    ("refunds", "refund", square.read_listed_refund),
    ("disputes", "dispute", square.read_listed_dispute),
)


class SquareApi:
    """The API. Test and live have addresses of their own."""

    provider = "square"
    needed = ("access_token",)
    by_capture = False

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        url = f"{_url(connection)}/payments/{quote(payment, safe='')}"
        return (await connection.ask("GET", url, headers=_headers(connection))).body

    def read_payment(self, told: bytes) -> Notice | None:
        return square.read_listed_payment(reading.inner(reading.document(told), "payment"))

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        """A list without anything has no member of its name. Disputes are listed without a period, and held to it."""
        number, _, place = (cursor or "0 ").partition(" ")
        path, kind, read = _LISTS[int(number)]
        query: dict[str, Any] = {"cursor": place} if place else {}
        if path != "disputes":
            times = {"begin_time": _written(period.since), "end_time": _written(period.until)}
            query |= times | {"sort_order": "ASC", "limit": _PAGE}
        page = await connection.ask_document(f"{_url(connection)}/{path}", query=query, headers=_headers(connection))
        rows, following = page.get(path, []), page.get("cursor")
        if not isinstance(rows, list) or "errors" in page or not isinstance(following, str | None):
            raise ProviderUnavailable("square answered with what is no page of a list.")
        told = [told_of(kind, row, read) for row in reading.objects(page, path) if _is_within(row, period)]
        if following and following != place:
            return Listing(told, f"{number} {following}")
        after = int(number) + 1
        return Listing(told, f"{after} " if after < len(_LISTS) else None)

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        money = {"amount": amount, "currency": currency}
        document = {"idempotency_key": key[:45], "payment_id": payment, "amount_money": money}
        headers = _headers(connection)
        answer = await connection.ask("POST", f"{_url(connection)}/refunds", headers=headers, document=document)
        fact: RefundFact = square.read_refund(reading.inner(reading.document(answer.body), "refund"))["refunds"][0]
        return fact


def _is_within(row: Object, period: Period) -> bool:
    """What does not say when it was made is looked at, too."""
    try:
        made = reading.find_time(row, "created_at")
    except Unusable:
        return True
    return made is None or period.since <= made < period.until


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _url(connection: Connection) -> str:
    return f"{connection.base_url(_LIVE, _TEST)}/v2"


def _headers(connection: Connection) -> dict[str, str]:
    return {"Authorization": f"Bearer {connection.credentials['access_token']}", "Square-Version": _VERSION}
