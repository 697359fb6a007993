"""What an API of a payment provider is asked, and how it is reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from services.payments.errors import InvalidCredentials, Unusable
from services.payments.gateways import reading
from services.payments.gateways.reading import Object
from services.payments.notices import Notice, RefundFact
from services.payments.settings import payments_settings
from shared import clock, outgoing
from shared.errors import Unavailable, ValidationFailed
from shared.outgoing import Answer

# For a whole answer, its body included: whoever sends it byte by byte holds nobody up for longer.
ASK_SECONDS = 20.0
LONGEST_RETRY_AFTER_SECONDS = 3600


class UnknownAtProvider(ValidationFailed):
    """The provider knows no such payment."""


class RefusedByProvider(ValidationFailed):
    """The provider refused what it was asked; its own words are the detail."""


class CredentialsRefused(RefusedByProvider):
    """The provider does not take the credentials (401, 403)."""


class ProviderUnavailable(Unavailable):
    """The provider did not answer, answered with what is none, or asked to come later (`retry_after_seconds`)."""


@dataclass(frozen=True)
class Period:
    """From `since` (included) to `until` (not)."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Told:
    """One thing a provider lists: a payment, a refund, a dispute, by the provider's own name for it.

    `notice` is None for what moves no money yet, and for what cannot be understood: `problem` says why then.
    """

    reference: str
    notice: Notice | None
    problem: str | None = None


@dataclass(frozen=True)
class Listing:
    """One page of what a provider lists; `following` is where the next begins, None where this was the last."""

    told: list[Told]
    following: str | None


def told_of(kind: str, thing: Object, read: Callable[[Object], Notice | None]) -> Told:
    """What is listed as one of a page. Never raises: what cannot be read says so."""
    name = reading.find_name(thing, "id") or "without an id"
    reference = f"{kind} {name}"
    try:
        return Told(reference, read(thing))
    except Unusable as error:
        return Told(reference, None, error.detail)


@dataclass(frozen=True)
class Connection:
    """An account at a provider's API. Lives in memory only: it holds its credentials."""

    provider: str
    credentials: Mapping[str, str] = field(repr=False)
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
        """One request. Raises UnknownAtProvider (404), CredentialsRefused (401, 403), RefusedByProvider (other 4xx),
        ProviderUnavailable.
        """
        sent = dict(headers or {})
        content = None
        if document is not None:
            content, sent["Content-Type"] = orjson.dumps(document), "application/json"
        elif form is not None:
            content, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        target = f"{url}?{urlencode(query)}" if query else url
        is_own = self.provider in payments_settings().provider_apis
        try:
            answer = await outgoing.ask(
                method, target, headers=sent, content=content, timeout_seconds=ASK_SECONDS, allow_private=is_own
            )
        except outgoing.NoAnswer as error:
            raise ProviderUnavailable(error.detail) from error
        except outgoing.AddressRefused as error:
            raise RefusedByProvider(error.detail) from error
        self._check(answer)
        return answer

    async def ask_document(self, url: str, **options: Any) -> Object:
        """As `ask` with GET, for a JSON object. Raises ProviderUnavailable also where the answer is none."""
        found = reading.find_document((await self.ask("GET", url, **options)).body)
        if found is None:
            raise ProviderUnavailable(f"{self.provider} answered with what is no JSON object.")
        return found

    def _check(self, answer: Answer) -> None:
        if answer.status in (404, 410):
            raise UnknownAtProvider(f"{self.provider} knows no such thing ({answer.status}).")
        if answer.status in (408, 425, 429) or answer.status >= 500:
            wait = _retry_after(answer.headers.get("retry-after"))
            raise ProviderUnavailable(f"{self.provider} answered {answer.status}.", retry_after_seconds=wait)
        if not 200 <= answer.status < 300:
            refusal = CredentialsRefused if answer.status in (401, 403) else RefusedByProvider
            raise refusal(f"{self.provider} answered {answer.status}: {self._without_credentials(answer.body)}")

    def _without_credentials(self, body: bytes) -> str:
        """What was answered, to be shown: some providers repeat the key that they refuse."""
        said = body[:2000].decode(errors="replace")
        for secret in self.credentials.values():
            said = said.replace(secret, "…")
        return said[:300]


def _retry_after(header: str | None) -> int | None:
    """Seconds, from either form of Retry-After (RFC 9110); an hour at most, None where there is none to be read."""
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            seconds = int(header.strip()[:9])
        else:
            seconds = int((parsedate_to_datetime(header) - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None
    return max(0, min(LONGEST_RETRY_AFTER_SECONDS, seconds))


class Api(Protocol):
    """One provider's API. `needed` are the credentials that reach it; `by_capture`: refunds name a capture."""

    @property
    def provider(self) -> str: ...

    @property
    def needed(self) -> tuple[str, ...]: ...

    @property
    def by_capture(self) -> bool: ...

    async def refund(
        self, connection: Connection, payment: str, capture: str | None, amount: int, currency: str, key: str
    ) -> RefundFact:
        """Send money back; the same `key` does so once. `amount` in our minor units. Raises as `Connection.ask`."""


class Lister(Api, Protocol):
    """An API that tells of payments, one by one and all of a time."""

    async def fetch_payment(self, connection: Connection, payment: str) -> bytes:
        """What the provider tells about a payment, as it tells it. Raises as `Connection.ask`."""

    def read_payment(self, told: bytes) -> Notice | None:
        """What that says; None where nothing has been paid or tried yet. Raises Unusable."""

    async def read_page(self, connection: Connection, period: Period, cursor: str | None) -> Listing:
        """Payments, refunds and disputes made in this time, page by page: the first, or the one at a `following`.

        The same page may be asked for again. Raises as `Connection.ask`.
        """


def check_credentials(api: Api, given: Mapping[str, str]) -> None:
    """Raises InvalidCredentials."""
    missing = [name for name in api.needed if not str(given.get(name, "")).strip()]
    unknown = [name for name in given if name not in api.needed]
    if missing or unknown:
        raise InvalidCredentials(f"The API of {api.provider} is reached with: {', '.join(api.needed)}; nothing else.")
