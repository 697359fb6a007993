"""A gateway's credentials at its provider's API, and the connection made of them."""

from collections.abc import Sequence

import orjson

from services.payments.errors import InvalidCredentials, NoApiCredentials
from services.payments.gateways.apis.base import Api, Connection, check_credentials
from services.payments.gateways.apis.registry import find_api
from services.payments.models import Gateway, GatewaySecret
from services.payments.repository import gateway_records
from services.payments.sealing import sealed, unsealed
from shared import clock
from shared.security import SecretText
from shared.unit_of_work import UnitOfWork


async def keep_credentials(uow: UnitOfWork, gateway: Gateway, credentials: SecretText) -> None:
    """Seal and keep them in the place of those that were there. Raises InvalidCredentials."""
    api = find_api(gateway.provider)
    if api is None:
        raise InvalidCredentials(f"There is no API of {gateway.provider} that we speak to.")
    check_credentials(api, _read(credentials.reveal()))
    await gateway_records.write_credentials(uow, gateway.id, sealed(credentials.reveal()), clock.now())


async def connect(uow: UnitOfWork, gateway: Gateway) -> tuple[Api, Connection]:
    """The provider's API with the gateway's account there. Raises NoApiCredentials."""
    api, kept = find_api(gateway.provider), await gateway_records.find_credentials(uow, gateway.id)
    if api is not None and kept is not None:
        return api, _connection(gateway, _read(unsealed(kept)))
    if api is not None and gateway.provider == "mollie":
        key = _mollie_key(await gateway_records.list_secrets(uow, [gateway.id]))
        if key is not None:
            return api, _connection(gateway, {"api_key": key})
    raise NoApiCredentials(f"The gateway has no credentials for the API of {gateway.provider}; set them.")


def _connection(gateway: Gateway, credentials: dict[str, str]) -> Connection:
    return Connection(gateway.provider, credentials, gateway.settings, gateway.mode == "live")


def _mollie_key(secrets: Sequence[GatewaySecret]) -> str | None:
    """A gateway with classic callbacks signs nothing; what is given as its secret is often the API key."""
    texts = [unsealed(secret.sealed) for secret in secrets if secret.is_live]
    return next((text for text in texts if text.startswith(("test_", "live_"))), None)


def _read(text: str) -> dict[str, str]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InvalidCredentials('Credentials are an object of texts, such as {"api_key": "…"}.')
    return found
