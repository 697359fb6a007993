"""Adyen's Checkout API, version 71 (docs.adyen.com/api-explorer/Checkout): refunds alone.

It has no list of payments and tells of none by its reference; what was paid stands in the settlement details report.
"""

from urllib.parse import quote

from services.payments.errors import InvalidGatewaySettings
from services.payments.gateways import reading
from services.payments.gateways.adyen import ADYEN_EXPONENTS
from services.payments.gateways.apis.base import Connection
from services.payments.gateways.apis.money import units
from services.payments.notices import RefundFact

_TEST = "https://checkout-test.adyen.com"
_LIVE = "https://{prefix}-checkout-live.adyenpayments.com/checkout"


class AdyenApi:
    """The API. Live it is at an address of the merchant's own: the setting `live_prefix`."""

    provider = "adyen"
    needed = ("api_key",)
    by_capture = False

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        """Only that it was received is answered; what became of it comes as a callback, by the same reference."""
        money = {"value": units(amount, currency, ADYEN_EXPONENTS), "currency": currency}
        account = connection.settings["merchant_account"]
        document = {"merchantAccount": account, "amount": money, "reference": key}
        headers = {"X-API-Key": connection.credentials["api_key"], "Idempotency-Key": key}
        url = f"{_url(connection)}/v71/payments/{quote(payment, safe='')}/refunds"
        answer = await connection.ask("POST", url, headers=headers, document=document)
        return RefundFact(reading.text(reading.document(answer.body), "pspReference"), amount, "pending")


def _url(connection: Connection) -> str:
    prefix = connection.settings.get("live_prefix")
    if connection.is_live and not prefix:
        raise InvalidGatewaySettings("Adyen's live API is at an address of your own; set 'live_prefix'.")
    return connection.base_url(_LIVE.format(prefix=prefix), _TEST)
