"""Mollie's API, version 2 (docs.mollie.com): payments, refunds and chargebacks, each a list of its own."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from services.payments.errors import Unusable
from services.payments.gateways import mollie, reading
from services.payments.gateways.apis.base import Connection, Listing, Period, ProviderUnavailable, told_of
from services.payments.gateways.apis.money import major_text
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact

_BASE = "https://api.mollie.com"
_PAGE = 250
_LISTS: tuple[tuple[str, str, Callable[[Object], Notice | None]], ...] = (
    ("payments", "payment", lambda payment: _payment(payment)),
    ("refunds", "refund", mollie.read_listed_refund),
    ("chargebacks", "dispute", mollie.read_listed_chargeback),
)


class MollieApi:
    """The API. Test and live differ by the key alone."""

    provider = "mollie"
    needed = ("api_key",)
    by_capture = False

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        url = f"{_url(connection)}/payments/{quote(payment, safe='')}"
        query = {"embed": "refunds,chargebacks"}
        return (await connection.ask("GET", url, query=query, headers=_headers(connection))).body

    def read_payment(self, told: bytes) -> Notice | None:
        return _payment(reading.document(told))

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        """The newest first, as Mollie lists them: a list is read until it is older than the period."""
        number, _, start = (cursor or "0 ").partition(" ")
        path, kind, read = _LISTS[int(number)]
        query: dict[str, Any] = {"limit": _PAGE} | ({"from": start} if start else {})
        page = await connection.ask_document(f"{_url(connection)}/{path}", query=query, headers=_headers(connection))
        if not isinstance(reading.find_inner(page, "_embedded").get(path), list):
            raise ProviderUnavailable(f"mollie answered with a page without '{path}'.")
        rows = reading.objects(reading.find_inner(page, "_embedded"), path)
        told = [told_of(kind, row, read) for row in rows if _is_within(row, period)]
        following = _start_of_next(page)
        if following is not None and following != start and not any(_is_before(row, period) for row in rows):
            return Listing(told, f"{number} {following}")
        after = int(number) + 1
        return Listing(told, f"{after} " if after < len(_LISTS) else None)

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        url = f"{_url(connection)}/payments/{quote(payment, safe='')}/refunds"
        document = {"amount": {"currency": currency, "value": major_text(amount, currency)}}
        headers = _headers(connection) | {"Idempotency-Key": key}
        answer = await connection.ask("POST", url, headers=headers, document=document)
        return mollie.read_refund(reading.document(answer.body))


def _payment(payment: Object) -> Notice | None:
    said = mollie.read_payment(payment)
    return said if isinstance(said, Notice) else None


def _is_within(row: Object, period: Period) -> bool:
    """Whether it was made in the period. What does not say when is looked at, too."""
    try:
        made = reading.find_time(row, "createdAt")
    except Unusable:
        return True
    return made is None or period.since <= made < period.until


def _is_before(row: Object, period: Period) -> bool:
    try:
        made = reading.find_time(row, "createdAt")
    except Unusable:
        return False
    return made is not None and made < period.since


def _start_of_next(page: Object) -> str | None:
    """The id that the next page begins with. Only that is taken: where to ask is not the answer's to say."""
    href = reading.find_inner(page, "_links", "next").get("href")
    found = parse_qs(urlsplit(href).query).get("from") if isinstance(href, str) else None
    return found[0] if found and reading.is_name(found[0]) else None


def _url(connection: Connection) -> str:
    return f"{connection.base_url(_BASE, _BASE)}/v2"


def _headers(connection: Connection) -> dict[str, str]:
    return {"Authorization": f"Bearer {connection.credentials['api_key']}"}
