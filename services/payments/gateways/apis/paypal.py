"""PayPal's APIs (developer.paypal.com): transactions are searched (Transaction Search v1), orders and captures read.

A search takes 31 days at most and knows a transaction some hours after it was made. Refunds are transactions of their
own, which name their capture. So do chargebacks, whose disputes go by names of their own, as in callbacks: they are
asked for (Disputes v1). What was charged back and has no dispute that we may see is for a person.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from services.payments.gateways import paypal, reading
from services.payments.gateways.apis.base import (
    Connection,
    CredentialsRefused,
    Listing,
    Period,
    ProviderUnavailable,
    RefusedByProvider,
    Told,
    UnknownAtProvider,
    told_of,
)
from services.payments.gateways.apis.money import major_text
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact

_LIVE, _TEST = "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"
_PAGE = 500
_LONGEST = timedelta(days=31)


class PayPalApi:
    """The API. Each call is made with a token, which the credentials are given for."""

    provider = "paypal"
    needed = ("client_id", "client_secret")
    by_capture = True

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        """A payment is known by its order; one made without, by its capture."""
        headers, name = await _headers(connection), quote(payment, safe="")
        try:
            url = f"{_url(connection)}/v2/checkout/orders/{name}"
            return (await connection.ask("GET", url, headers=headers)).body
        except UnknownAtProvider:
            url = f"{_url(connection)}/v2/payments/captures/{name}"
            return (await connection.ask("GET", url, headers=headers)).body

    def read_payment(self, told: bytes) -> Notice | None:
        return paypal.read_listed_order(reading.document(told))

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        """The period in windows of 31 days, each in its pages."""
        window, _, number = (cursor or "0 1").partition(" ")
        since = period.since + int(window) * _LONGEST
        until = min(period.until, since + _LONGEST)
        query: dict[str, Any] = {
            "start_date": _written(since),
            "end_date": _written(until),
            "fields": "transaction_info",
            "page_size": _PAGE,
            "page": int(number),
        }
        url = f"{_url(connection)}/v1/reporting/transactions"
        headers = await _headers(connection)
        page = await connection.ask_document(url, query=query, headers=headers)
        pages = page.get("total_pages")
        if not isinstance(page.get("transaction_details"), list) or not isinstance(pages, int):
            raise ProviderUnavailable("paypal answered with what is no page of transactions.")
        rows = [_named(reading.find_inner(each, "transaction_info")) for each in page["transaction_details"]]
        told = []
        for row in rows:
            disputes = await _disputes_of(connection, headers, row) if paypal.is_chargeback(row) else []
            told += disputes or [told_of("transaction", row, paypal.read_listed_transaction)]
        if int(number) < pages:
            return Listing(told, f"{window} {int(number) + 1}")
        return Listing(told, f"{int(window) + 1} 1" if until < period.until else None)

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        url = f"{_url(connection)}/v2/payments/captures/{quote(capture or payment, safe='')}/refund"
        value = major_text(amount, currency, whole=paypal.WITHOUT_DECIMALS)
        document = {"amount": {"currency_code": currency, "value": value}}
        headers = await _headers(connection) | {"PayPal-Request-Id": key, "Prefer": "return=representation"}
        answer = await connection.ask("POST", url, headers=headers, document=document)
        return paypal.read_refund(reading.document(answer.body))


def _named(transaction: Object) -> Object:
    return {**transaction, "id": transaction.get("transaction_id")}


async def _disputes_of(connection: Connection, headers: Mapping[str, str], transaction: Object) -> list[Told]:
    """The disputes about what was charged back; none where there is none, or the credentials are not for disputes."""
    capture = reading.find_name(transaction, "paypal_reference_id")
    if capture is None:
        return []
    url = f"{_url(connection)}/v1/customer/disputes"
    try:
        listed = await connection.ask_document(url, query={"disputed_transaction_id": capture}, headers=headers)
        names = [reading.find_name(each, "dispute_id") for each in reading.objects(listed, "items")]
        disputes = [
            await connection.ask_document(f"{url}/{quote(name, safe='')}", headers=headers) for name in names if name
        ]
    except (UnknownAtProvider, RefusedByProvider, CredentialsRefused):
        return []
    return [told_of("dispute", {**each, "id": each.get("dispute_id")}, paypal.read_listed_dispute) for each in disputes]


async def _headers(connection: Connection) -> dict[str, str]:
    """A token for these credentials. Raises as `Connection.ask`."""
    pair = f"{connection.credentials['client_id']}:{connection.credentials['client_secret']}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    form = {"grant_type": "client_credentials"}
    answer = await connection.ask("POST", f"{_url(connection)}/v1/oauth2/token", headers=headers, form=form)
    token = (reading.find_document(answer.body) or {}).get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ProviderUnavailable("paypal answered with no token.")
    return {"Authorization": f"Bearer {token}"}


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _url(connection: Connection) -> str:
    return connection.base_url(_LIVE, _TEST)
