"""The APIs we speak to, by provider."""

from collections.abc import Mapping

from services.payments.gateways.apis.base import Api
from services.payments.gateways.apis.mollie import MollieApi
from services.payments.gateways.apis.paypal import PayPalApi
from services.payments.gateways.apis.razorpay import RazorpayApi
from services.payments.gateways.apis.square import SquareApi
from services.payments.gateways.apis.stripe import StripeApi

APIS: Mapping[str, Api] = {
    api.provider: api for api in (MollieApi(), PayPalApi(), RazorpayApi(), SquareApi(), StripeApi())
}


def find_api(provider: str) -> Api | None:
    return APIS.get(provider)
