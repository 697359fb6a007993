"""How the secrets of gateways rest: sealed for this one purpose."""

from shared.security import seal, unseal

_PURPOSE = "payments.gateway_secret"


def sealed(secret: str) -> str:
    return seal(secret, _PURPOSE)


def unsealed(text: str) -> str:
    """Raises CannotUnseal."""
    return unseal(text, _PURPOSE)
