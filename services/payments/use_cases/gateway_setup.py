"""Payment gateways of shops, and their secrets: two live at once while one is changed for another."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from services.payments.errors import (
    InvalidNetwork,
    InvalidSecret,
    LastLiveSecret,
    SecretNotFound,
    TooManyLiveSecrets,
)
from services.payments.gateways.base import Provider
from services.payments.gateways.registry import get_provider
from services.payments.models import Gateway, GatewaySecret
from services.payments.repository import common, gateway_records, order_records
from services.payments.sealing import sealed
from services.payments.use_cases import connecting
from shared import clock
from shared.bus.envelope import ShopNotFound
from shared.contracts.payments.messages import ChangePaymentGateway, CreatePaymentGateway
from shared.identifiers import new_id
from shared.security import SecretText
from shared.unit_of_work import UnitOfWork

MOST_LIVE_SECRETS = 2
_LONGEST_SECRET = 512
# PayPal signs with a certificate; Mollie's classic callbacks are not signed.
_WITHOUT_SECRETS = ("paypal", "mollie")


async def create(uow: UnitOfWork, message: CreatePaymentGateway) -> Gateway:
    """Raises ShopNotFound, UnsupportedProvider, InvalidGatewaySettings, InvalidNetwork, InvalidSecret."""
    provider = get_provider(message.provider)
    provider.check_settings(message.settings, message.mode == "live")
    networks = _networks(message.allowed_networks)
    texts = [_checked(provider, secret) for secret in message.secrets]
    if not texts and provider.name not in _WITHOUT_SECRETS:
        raise InvalidSecret(f"{provider.name} signs its callbacks; give the secret that it does so with.")
    shop_id = await get_shop_id(uow, message.shop)
    gateway = Gateway(
        organization_id=uow.organization_id,
        id=new_id(),
        shop_id=shop_id,
        provider=message.provider,
        mode=message.mode,
        settings=message.settings,
        allowed_networks=networks,
    )
    await common.add(uow, gateway)
    for text in dict.fromkeys(texts):
        await _add_secret(uow, gateway, text)
    if message.credentials is not None:
        await connecting.keep_credentials(uow, gateway, message.credentials)
    uow.audit("payment_gateway.create", "payment_gateway", gateway.id, after=_described(gateway))
    return gateway


async def get_shop_id(uow: UnitOfWork, code: str) -> UUID:
    """A shop the caller may see. Raises ShopNotFound."""
    shop = await order_records.SHOPS.find_by_code(uow, code)
    if shop is None or not uow.caller.sees_shop(shop["id"]):
        raise ShopNotFound(f"There is no shop '{code[:100]}'.")
    shop_id: UUID = shop["id"]
    return shop_id


async def change(uow: UnitOfWork, message: ChangePaymentGateway) -> Gateway:
    """Raises PaymentGatewayNotFound, PaymentGatewayChangedSince, SecretNotFound, LastLiveSecret, TooManyLiveSecrets,
    and as `create`.
    """
    gateway = await gateway_records.get_gateway(uow, message.gateway_id, for_update=True)
    gateway.check_version(message.expected_version)
    before = _described(gateway)
    if message.settings is not None:
        get_provider(gateway.provider).check_settings(message.settings, gateway.mode == "live")
        gateway.settings = message.settings
    if message.allowed_networks is not None:
        gateway.allowed_networks = _networks(message.allowed_networks)
    if message.credentials is not None:
        await connecting.keep_credentials(uow, gateway, message.credentials)
    await _change_secrets(uow, gateway, message.add_secret, message.retire_secret)
    gateway.version += 1
    secrets = {
        "secret_added": message.add_secret is not None,
        "secret_retired": message.retire_secret,
        "credentials_changed": message.credentials is not None,
    }
    after = _described(gateway) | secrets
    uow.audit("payment_gateway.change", "payment_gateway", gateway.id, before=before, after=after)
    return gateway


async def enable(uow: UnitOfWork, gateway_id: UUID, expected_version: int | None, *, is_enabled: bool) -> Gateway:
    """Take callbacks at a gateway's address, or no more. Raises PaymentGatewayNotFound, PaymentGatewayChangedSince."""
    gateway = await gateway_records.get_gateway(uow, gateway_id, for_update=True)
    gateway.check_version(expected_version)
    if gateway.is_enabled != is_enabled:
        gateway.is_enabled, gateway.version = is_enabled, gateway.version + 1
        action = "payment_gateway.enable" if is_enabled else "payment_gateway.disable"
        uow.audit(action, "payment_gateway", gateway_id, after={"enabled": is_enabled})
    return gateway


async def close_shop(uow: UnitOfWork, shop_id: UUID) -> None:
    """A shop is gone: its gateways take nothing more. The ledger and the callbacks stay; they are records of money."""
    await order_records.SHOPS.forget(uow, shop_id)
    for gateway in await gateway_records.list_gateways_of_shop(uow, shop_id):
        gateway.is_enabled, gateway.version = False, gateway.version + 1


async def _change_secrets(uow: UnitOfWork, gateway: Gateway, added: SecretText | None, retired: UUID | None) -> None:
    live = [secret for secret in await gateway_records.list_secrets(uow, [gateway.id]) if secret.is_live]
    if retired is not None:
        _retire(live, retired)
    left = [secret for secret in live if secret.is_live]
    if added is not None:
        if len(left) >= MOST_LIVE_SECRETS:
            raise TooManyLiveSecrets(f"{MOST_LIVE_SECRETS} secrets are live already; retire one of them first.")
        await _add_secret(uow, gateway, _checked(get_provider(gateway.provider), added))
    elif retired is not None and not left and gateway.provider not in _WITHOUT_SECRETS:
        raise LastLiveSecret("This is the gateway's last secret; add another, or disable the gateway.")


def _retire(live: Sequence[GatewaySecret], secret_id: UUID) -> None:
    for secret in live:
        if secret.id == secret_id:
            secret.retired_at = clock.now()
            return
    raise SecretNotFound("The gateway has no live secret with this id.")


async def _add_secret(uow: UnitOfWork, gateway: Gateway, text: str) -> None:
    secret = GatewaySecret(
        organization_id=gateway.organization_id, id=new_id(), gateway_id=gateway.id, sealed=sealed(text)
    )
    await common.add(uow, secret)


def _checked(provider: Provider, secret: SecretText) -> str:
    text = secret.reveal()
    if not text.strip() or len(text) > _LONGEST_SECRET or not text.isprintable():
        raise InvalidSecret(f"A secret is a text of 1 to {_LONGEST_SECRET} visible characters.")
    provider.check_secret(text)
    return text


def _networks(networks: list[str]) -> list[str]:
    try:
        return [str(ip_network(network, strict=False)) for network in networks]
    except ValueError as error:
        raise InvalidNetwork(f"{error}; give an address, or a network such as 192.0.2.0/24.") from None


def _described(gateway: Gateway) -> dict[str, Any]:
    return {
        "provider": gateway.provider,
        "mode": gateway.mode,
        "shop_id": str(gateway.shop_id),
        "settings": gateway.settings,
        "allowed_networks": gateway.allowed_networks,
    }
