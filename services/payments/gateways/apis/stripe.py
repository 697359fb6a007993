"""Stripe's API (docs.stripe.com/api): payment intents, charges without one, refunds and disputes, by their creation."""

from typing import Any
from urllib.parse import quote

from services.payments.gateways import reading, stripe
from services.payments.gateways.apis.base import Connection, Listing, Period, ProviderUnavailable, told_of
from services.payments.gateways.apis.money import units
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact

_BASE = "https://api.stripe.com"
_PAGE = 100
_LISTS = (("payment_intents", "payment"), ("charges", "payment"), ("refunds", "refund"), ("disputes", "dispute"))
# What else a payment may be called by: a charge that was made without an intent, a checkout session.
_PATHS = {"ch_": "charges", "py_": "charges", "cs_": "checkout/sessions"}


class StripeApi:
    """The API. Test and live differ by the key alone."""

    provider = "stripe"
    needed = ("api_key",)
    by_capture = False

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        path = _PATHS.get(payment[:3], "payment_intents")
        url = f"{_url(connection)}/{path}/{quote(payment, safe='')}"
        return (await connection.ask("GET", url, headers=_headers(connection))).body

    def read_payment(self, told: bytes) -> Notice | None:
        return stripe.read_thing(reading.document(told))

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        number, _, after = (cursor or "0 ").partition(" ")
        path, kind = _LISTS[int(number)]
        query: dict[str, Any] = {
            "limit": _PAGE,
            "created[gte]": int(period.since.timestamp()),
            "created[lt]": int(period.until.timestamp()),
        }
        query |= {"starting_after": after} if after else {}
        page = await connection.ask_document(f"{_url(connection)}/{path}", query=query, headers=_headers(connection))
        rows, has_more = reading.objects(page, "data"), page.get("has_more")
        last = reading.find_name(rows[-1], "id") if rows else None
        if not isinstance(page.get("data"), list) or not isinstance(has_more, bool) or (has_more and last is None):
            raise ProviderUnavailable("stripe answered with what is no page of a list.")
        told = [told_of(kind, row, stripe.read_thing) for row in rows if not _is_of_intent(path, row)]
        if has_more and last != after:
            return Listing(told, f"{number} {last}")
        following = int(number) + 1
        return Listing(told, f"{following} " if following < len(_LISTS) else None)

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        name = "charge" if payment[:3] in ("ch_", "py_") else "payment_intent"
        form = {name: payment, "amount": str(units(amount, currency, stripe.smallest_unit_exponents(currency)))}
        headers = _headers(connection) | {"Idempotency-Key": key}
        answer = await connection.ask("POST", f"{_url(connection)}/refunds", headers=headers, form=form)
        notice = stripe.read_thing(reading.document(answer.body))
        if notice is None or not notice.refunds:
            raise ProviderUnavailable("stripe answered with what is no refund.")
        return notice.refunds[0]


def _is_of_intent(path: str, row: Object) -> bool:
    """A charge that its payment intent speaks for."""
    return path == "charges" and bool(row.get("payment_intent"))


def _url(connection: Connection) -> str:
    return f"{connection.base_url(_BASE, _BASE)}/v1"


def _headers(connection: Connection) -> dict[str, str]:
    return {"Authorization": f"Bearer {connection.credentials['api_key']}"}
