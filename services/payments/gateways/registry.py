"""The providers we speak to, by name."""

from collections.abc import Mapping

from services.payments.errors import UnsupportedProvider
from services.payments.gateways.adyen import Adyen
from services.payments.gateways.base import Provider
from services.payments.gateways.braintree import Braintree
from services.payments.gateways.generic_hmac import GenericHmac
from services.payments.gateways.mollie import Mollie
from services.payments.gateways.paypal import PayPal
from services.payments.gateways.razorpay import Razorpay
from services.payments.gateways.square import Square
from services.payments.gateways.standard_webhooks import StandardWebhooks
from services.payments.gateways.stripe import Stripe

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        Stripe(),
        Adyen(),
        PayPal(),
        Mollie(),
        Square(),
        Razorpay(),
        Braintree(),
        StandardWebhooks(),
        GenericHmac(),
    )
}


def get_provider(name: str) -> Provider:
    """Raises UnsupportedProvider."""
    try:
        return PROVIDERS[name]
    except KeyError:
        names = ", ".join(sorted(PROVIDERS))
        raise UnsupportedProvider(f"There is no adapter for the provider '{name[:100]}'; there is: {names}.") from None
