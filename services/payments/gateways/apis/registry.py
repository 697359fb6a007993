"""The APIs we speak to, by provider."""

from collections.abc import Mapping

from services.payments.gateways.apis.base import Api
from services.payments.gateways.apis.mollie import MollieApi

APIS: Mapping[str, Api] = {api.provider: api for api in (MollieApi(),)}


def find_api(provider: str) -> Api | None:
    return APIS.get(provider)
