"""What an adapter to a payment provider does: verify, identify and read callbacks. Pure functions, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from services.payments.notices import Notice


@dataclass(frozen=True)
class Delivery:
    """A callback as it arrived. Header names are lower case; a repeated header is joined with commas."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Account:
    """What an adapter is told of a payment gateway.

    `secrets` are those that may have signed, newest first. `certificates` are the PEM texts known by their addresses.
    """

    secrets: Sequence[str]
    settings: Mapping[str, Any]
    is_live: bool
    callback_url: str
    certificates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether a callback is the provider's own; `reason` says why not.

    One that is `pending` cannot be judged without the network: it is stored, answered, and checked by the worker.
    `certificate` is the address of the certificate that is missing for it, if that is what is.
    """

    is_genuine: bool
    reason: str | None = None
    is_pending: bool = False
    certificate: str | None = None


GENUINE = Verdict(True)


def forged(reason: str) -> Verdict:
    """Not the provider's own, and why."""
    return Verdict(False, reason)


@dataclass(frozen=True)
class EventIdentity:
    """What makes two deliveries the same: the event's id and a digest of what it says.

    `digest` leaves out what the provider changes from one delivery of an event to the next. A body that carries several
    events has an identity for each, its `part`. One that `is_reread` only names a payment whose state is to be read
    from the provider: each delivery asks for that anew. `proof` is what a pending verdict will depend on.
    """

    event_id: str | None
    event: str | None
    digest: bytes
    part: int = 0
    is_reread: bool = False
    proof: bytes = b""


@dataclass(frozen=True)
class Harmless:
    """A callback that changes no payment: informational, or of a kind we do not know."""

    event: str
    reason: str = "informational"


@dataclass(frozen=True)
class Content:
    """What there is to read of a stored callback; `fetched` is what the provider's API told about its payment."""

    body: bytes
    settings: Mapping[str, Any]
    part: int = 0
    fetched: bytes | None = None


class Provider(Protocol):
    """One payment provider. `accepted` is the body it expects beside 200, of `accepted_type`."""

    name: str
    accepted: bytes
    accepted_type: str

    def check_settings(self, settings: Mapping[str, Any], is_live: bool) -> None:
        """Raises InvalidGatewaySettings."""

    def check_secret(self, secret: str) -> None:
        """Whether this can be one of the provider's secrets. Raises InvalidSecret."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        """Whether one of the account's secrets signed the delivery, fresh when it arrived. Never raises."""

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        """Who this callback is. Never raises: of an unreadable body only the digest is known."""

    def read(self, content: Content) -> Notice | Harmless:
        """What the callback says. Raises Unusable."""

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        """The answer to a provider that asks with GET whether the address is ours; None where it never asks.

        Raises InvalidChallenge.
        """
