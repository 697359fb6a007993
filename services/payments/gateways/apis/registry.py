"""The APIs we speak to, by provider."""

from collections.abc import Mapping

from services.payments.gateways.apis.adyen import AdyenApi
from services.payments.gateways.apis.base import Api, Lister
from services.payments.gateways.apis.mollie import MollieApi
from services.payments.gateways.apis.paypal import PayPalApi
from services.payments.gateways.apis.razorpay import RazorpayApi
from services.payments.gateways.apis.square import SquareApi
from services.payments.gateways.apis.stripe import StripeApi

LISTERS: Mapping[str, Lister] = {
    api.provider: api for api in (MollieApi(), PayPalApi(), RazorpayApi(), SquareApi(), StripeApi())
}
APIS: Mapping[str, Api] = {**LISTERS, "adyen": AdyenApi()}


def find_api(provider: str) -> Api | None:
    return APIS.get(provider)


def find_lister(provider: str) -> Lister | None:
    """The API, where it tells of payments."""
    return LISTERS.get(provider)
