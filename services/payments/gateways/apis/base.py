"""What an API of a payment provider is asked, and how it is reached."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from services.payments.errors import InvalidCredentials
from services.payments.notices import Notice, RefundFact
from services.payments.settings import payments_settings
from shared import outgoing
from shared.errors import Unavailable, ValidationFailed
from shared.outgoing import Answer


class UnknownAtProvider(ValidationFailed):
    """The provider knows no such payment."""


class RefusedByProvider(ValidationFailed):
    """The provider refused what it was asked; its own words are the detail."""


class ProviderUnavailable(Unavailable):
    """The provider did not answer, or asked to come later."""


@dataclass(frozen=True)
class Connection:
    """An account at a provider's API. Lives in memory only: it holds its credentials."""

    provider: str
    credentials: Mapping[str, str]
    settings: Mapping[str, Any]
    is_live: bool

    def base_url(self, live: str, test: str) -> str:
        """Where the API is: where the provider publishes it, unless the installation says otherwise."""
        own = payments_settings().provider_apis.get(self.provider)
        return own or (live if self.is_live else test)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        document: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises UnknownAtProvider (404), RefusedByProvider (other 4xx), ProviderUnavailable."""
        sent = dict(headers or {})
        content = None
        if document is not None:
            content, sent["Content-Type"] = orjson.dumps(document), "application/json"
        elif form is not None:
            content, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        target = f"{url}?{urlencode(query)}" if query else url
        is_own = self.provider in payments_settings().provider_apis
        try:
            answer = await outgoing.ask(method, target, headers=sent, content=content, allow_private=is_own)
        except outgoing.NoAnswer as error:
            raise ProviderUnavailable(error.detail) from error
        except outgoing.AddressRefused as error:
            raise RefusedByProvider(error.detail) from error
        return _checked(self.provider, answer)


def _checked(provider: str, answer: Answer) -> Answer:
    if answer.status in (404, 410):
        raise UnknownAtProvider(f"{provider} knows no such thing ({answer.status}).")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise ProviderUnavailable(f"{provider} answered {answer.status}.")
    if not 200 <= answer.status < 300:
        said = answer.body[:300].decode(errors="replace")
        raise RefusedByProvider(f"{provider} answered {answer.status}: {said}")
    return answer


class Api(Protocol):
    """One provider's API. `needed` are the credentials that reach it."""

    @property
    def provider(self) -> str: ...

    @property
    def needed(self) -> tuple[str, ...]: ...

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        """What the provider tells about a payment, as it tells it. Raises as `Connection.ask`."""

    def read_payment(self, told: bytes) -> Notice | None:
        """What that says; None where nothing has been paid or tried yet. Raises Unusable."""

    def list_payments(self, connection: Connection, since: datetime, until: datetime) -> AsyncIterator[list[bytes]]:
        """All payments made in this time, in pages, each as `fetch_payment` gives it. Raises as `Connection.ask`."""

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        """Send money back; the same `key` does so once. `amount` in our minor units. Raises as `Connection.ask`."""


def check_credentials(api: Api, given: Mapping[str, str]) -> None:
    """Raises InvalidCredentials."""
    missing = [name for name in api.needed if not str(given.get(name, "")).strip()]
    unknown = [name for name in given if name not in api.needed]
    if missing or unknown:
        raise InvalidCredentials(f"The API of {api.provider} is reached with: {', '.join(api.needed)}; nothing else.")
