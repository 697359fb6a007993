"""The settings a payment gateway is made with, checked: what a provider does not know is refused."""

from collections.abc import Mapping
from typing import Any

from services.payments.errors import InvalidGatewaySettings


def check(
    provider: str, given: Mapping[str, Any], *, needed: tuple[str, ...] = (), known: tuple[str, ...] = ()
) -> None:
    """All of `needed` are there as texts, and nothing but them and `known`. Raises InvalidGatewaySettings."""
    for name in needed:
        text(provider, given, name)
    for name in given:
        if name not in (*needed, *known):
            what = ", ".join((*needed, *known)) or "none"
            raise InvalidGatewaySettings(f"'{name[:100]}' is no setting of {provider}; there is: {what}.")


def text(provider: str, given: Mapping[str, Any], name: str) -> str:
    """A setting that has to be there. Raises InvalidGatewaySettings."""
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 500 or not value.isprintable():
        raise InvalidGatewaySettings(f"{provider} needs the setting '{name}', a text of up to 500 visible characters.")
    return value


def one_of(given: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    """Raises InvalidGatewaySettings for a setting that is given and is none of these."""
    if name in given and given[name] not in choices:
        raise InvalidGatewaySettings(f"'{name}' is one of: {', '.join(choices)}.")


def flag(given: Mapping[str, Any], name: str) -> None:
    """Raises InvalidGatewaySettings for a setting that is given and neither true nor false."""
    if name in given and not isinstance(given[name], bool):
        raise InvalidGatewaySettings(f"'{name}' is true or false.")
