"""The APIs we speak to, by provider."""

from collections.abc import Mapping

from services.payments.gateways.apis.base import Api
from services.payments.gateways.apis.mollie import MollieApi
from services.payments.gateways.apis.stripe import StripeApi

APIS: Mapping[str, Api] = {api.provider: api for api in (MollieApi(), StripeApi())}


def find_api(provider: str) -> Api | None:
    return APIS.get(provider)
