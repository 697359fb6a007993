"""Mollie's API, version 2 (docs.mollie.com): payments with their refunds and chargebacks."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from services.payments.gateways import mollie, reading
from services.payments.gateways.apis.base import Connection
from services.payments.gateways.apis.money import major_text
from services.payments.notices import Notice, RefundFact

_BASE = "https://api.mollie.com"
_PAGE = 250


class MollieApi:
    """The API. Test and live differ by the key alone."""

    provider = "mollie"
    needed = ("api_key",)

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        url = f"{_url(connection)}/{quote(payment, safe='')}"
        query = {"embed": "refunds,chargebacks"}
        return (await connection.ask("GET", url, query=query, headers=_headers(connection))).body

    def read_payment(self, told: bytes) -> Notice | None:
        said = mollie.read_payment(reading.document(told))
        return said if isinstance(said, Notice) else None

    async def list_payments(
        self, connection: Connection, since: datetime, until: datetime
    ) -> AsyncIterator[list[bytes]]:
        """The newest first, as Mollie lists them; a page has no refunds, so that each payment is read."""
        after: str | None = None
        while True:
            query: dict[str, Any] = {"limit": _PAGE} | ({} if after is None else {"from": after})
            page = reading.document(
                (await connection.ask("GET", _url(connection), query=query, headers=_headers(connection))).body
            )
            rows = reading.objects(reading.find_inner(page, "_embedded"), "payments")
            made = [(reading.find_time(row, "createdAt"), reading.text(row, "id")) for row in rows]
            wanted = [payment for at, payment in made if at is not None and since <= at < until]
            yield [await self.fetch_payment(connection, payment) for payment in wanted]
            following = reading.find_name(reading.find_inner(page, "_links", "next"), "href") or ""
            after = following.rpartition("from=")[2].partition("&")[0]
            if not after or all(at is not None and at < since for at, _ in made):
                return

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        url = f"{_url(connection)}/{quote(payment, safe='')}/refunds"
        document = {"amount": {"currency": currency, "value": major_text(amount, currency)}}
        headers = _headers(connection) | {"Idempotency-Key": key}
        answer = await connection.ask("POST", url, headers=headers, document=document)
        return mollie.read_refund(orjson.loads(answer.body))


def _url(connection: Connection) -> str:
    return f"{connection.base_url(_BASE, _BASE)}/v2/payments"


def _headers(connection: Connection) -> dict[str, str]:
    return {"Authorization": f"Bearer {connection.credentials['api_key']}"}
