"""Who sent a request: the credential it carries, resolved once by accounts and then remembered by this process.

    Authorization: Bearer <access token>   an OAuth client (RFC 6750); the signature is verified here
    Authorization: Bearer cdk_…            a static API key
    Authorization: Bearer cds_…            a person's session; the console's cookie carries the same
    X-Publishable-Key: cdp_…               somebody's browser, in one shop
    Authorization: Bearer cdi_…            the installation itself, which makes organizations and can do nothing else
    Authorization: Bearer cda_…            a connection's agent: nobody, but to sync, whom the routes of agents ask

An answer is believed for a minute at most, never longer than the credential lives, and only while its organization has
withdrawn nothing since (gateway/revocations.py). For a credential that is remembered nothing is awaited.
"""

import ipaddress
import time
from typing import Any
from uuid import UUID

import msgspec
from joserfc.jwk import KeySet
from starlette.requests import HTTPConnection
from starlette.types import Scope

from gateway.browsers import note_page
from gateway.credentials import Network, Presented, address_of, is_within, presented_in
from gateway.revocations import Announcements, ReadWithdrawn, Revocations
from gateway.settings import IdentitySettings
from shared import access_tokens, clock
from shared.access_tokens import Claims, InvalidAccessToken, UnknownSigningKey
from shared.bus.ask import Bus
from shared.bus.envelope import ANONYMOUS, Caller, service_envelope
from shared.contracts.accounts.messages import GetSigningKeys, ResolveCredential
from shared.contracts.accounts.shapes import CredentialKind, Identity
from shared.errors import CarriedError, Forbidden, Unauthenticated
from shared.identifiers import derived_id, new_id
from shared.security import digest, is_same

BELIEVED_SECONDS = 60.0
_MOST_REMEMBERED = 20_000
_LONGEST_CREDENTIAL = 4096
# Keys are published an hour before they sign (services/accounts/settings.py).
_KEYS_ARE_READ_EVERY_SECONDS = 300.0
_KEYS_ARE_READ_AGAIN_AFTER_SECONDS = 5.0
_KINDS: dict[str, CredentialKind] = {"cdk_": "api_key", "cds_": "session"}
_INSTALLATION = "cdi_"
AGENT = "cda_"


class InvalidToken(Unauthenticated):
    """The credential is unknown, expired or revoked (RFC 6750 §3.1)."""

    title = "The access token or key is not valid"


class AddressNotAllowed(Forbidden):
    """The client may be used from the networks of its allow-list alone."""

    title = "Not from this address"


class OriginNotAllowed(Forbidden):
    """A publishable key may be used on the pages of its allow-list alone."""

    title = "Not from this page"


class Remembered(msgspec.Struct, frozen=True):
    """A resolved credential. `until` is seconds since the epoch."""

    caller: Caller
    until: float
    organization_id: UUID
    version: int
    epoch: int
    networks: tuple[Network, ...]
    origins: frozenset[str] | None

    def check_use(self, address: str | None, origin: str | None) -> None:
        """Raises AddressNotAllowed, OriginNotAllowed."""
        if self.networks and not is_within(address, self.networks):
            raise AddressNotAllowed(f"This client may not be used from {address}.")
        if self.origins is not None and origin not in self.origins:
            raise OriginNotAllowed(f"This key may not be used on {origin or 'a page that does not say where it is'}.")


class Identities:
    """Resolves credentials to callers.

    `read_withdrawn` is how to see revocations when accounts does not answer, `announcements` how gateways tell each
    other of them at once.
    """

    def __init__(
        self, bus: Bus, read_withdrawn: ReadWithdrawn | None = None, announcements: Announcements | None = None
    ) -> None:
        self._bus = bus
        self._settings = IdentitySettings()
        self._trusted_proxies = self._settings.networks()
        self._revocations = Revocations(bus, read_withdrawn)
        self._announcements = announcements
        self._remembered: dict[Presented, Remembered] = {}
        self._keys = KeySet([])
        self._keys_read_at = float("-inf")

    async def __aenter__(self) -> "Identities":
        if self._announcements is not None:
            self._announcements.listen(self._revocations.expire)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._announcements is not None:
            await self._announcements.close()
        await self._revocations.close()

    async def withdrawn(self) -> None:
        """Somebody may just have lost something: look before anybody is believed, here and in the other gateways."""
        self._revocations.expire()
        if self._announcements is not None:
            await self._announcements.announce()

    def address_of(self, request: HTTPConnection) -> str | None:
        """Where a request came from; a proxy's word counts only for a trusted one."""
        return address_of(request.scope, self._trusted_proxies)

    async def caller(self, request: HTTPConnection) -> Caller:
        """Who speaks; nobody for a request without a credential, or with a session's cookie that no longer holds.

        Raises InvalidToken, TwoCredentials, AddressNotAllowed, OriginNotAllowed, CredentialsCannotBeChecked.
        """
        address = address_of(request.scope, self._trusted_proxies)
        presented = presented_in(request.scope)
        if presented is None:
            return msgspec.structs.replace(ANONYMOUS, address=address)
        if not self._revocations.is_fresh:
            await self._revocations.freshen()
        known = self._remembered.get(presented)
        if known is None or not self._holds(known):
            known = await self._resolved(presented, request)
        if known is None:
            return msgspec.structs.replace(ANONYMOUS, address=address)
        if known.networks or known.origins is not None:
            known.check_use(address, request.headers.get("origin"))
        if presented.place == "publishable_key" and known.caller.id is not None:
            note_page(request.state, known.caller.id, request.headers.get("origin"))
        return msgspec.structs.replace(known.caller, address=address)

    def remembered_for(self, scope: Scope) -> tuple[Presented, Remembered] | None:
        """The credential of a request that was believed, where it alone says who speaks: wherever it comes from, and
        without anything that is counted."""
        presented = presented_in(scope)
        if presented is None or presented.place != "authorization":
            return None
        known = self._remembered.get(presented)
        return None if known is None or known.networks or known.origins is not None else (presented, known)

    def is_believed(self, presented: Presented, known: Remembered) -> bool:
        """Whether what is known of a credential would be believed now, without asking anybody."""
        return self._revocations.is_fresh and self._remembered.get(presented) is known and self._holds(known)

    def _holds(self, known: Remembered) -> bool:
        return (
            known.epoch == self._revocations.epoch
            and known.version >= self._revocations.version_of(known.organization_id)
            and known.until > clock.now().timestamp()
        )

    async def _resolved(self, presented: Presented, request: HTTPConnection) -> Remembered | None:
        self._remembered.pop(presented, None)
        epoch = self._revocations.epoch
        try:
            token = _token(presented)
            if token.startswith(_INSTALLATION):
                return self._installation(token, request)
            if token.startswith(AGENT):
                return None
            known = await self._asked(presented, token, epoch)
        except (CarriedError, InvalidToken) as error:
            if error.code != "invalid_token" or presented.place != "cookie":
                raise
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)), None)
        self._remembered[presented] = known
        return known

    async def _asked(self, presented: Presented, token: str, epoch: int) -> Remembered:
        kind = _kind(presented, token)
        if kind != "access_token":
            question = ResolveCredential(kind=kind, digest=digest(token).hex())
            return _remembered(await self._ask(question), epoch)
        claims = await self._verified(token)
        question = ResolveCredential(
            kind=kind,
            organization_id=claims.organization_id,
            client_id=claims.client_id,
            token_id=claims.token_id,
            scopes=list(claims.scopes),
        )
        return _remembered(await self._ask(question), epoch, claims.expires_at)

    async def _ask(self, question: ResolveCredential) -> Identity:
        return await self._bus.ask(
            question, service_envelope("gateway", None, timeout_seconds=question.timeout_seconds)
        )

    async def _verified(self, token: str) -> Claims:
        """Raises InvalidToken. A key that is not known is looked for once more, but not for every forged token."""
        await self._read_keys(_KEYS_ARE_READ_EVERY_SECONDS)
        try:
            try:
                return access_tokens.verified(token, self._keys, access_tokens.issuer())
            except UnknownSigningKey:
                await self._read_keys(_KEYS_ARE_READ_AGAIN_AFTER_SECONDS)
                return access_tokens.verified(token, self._keys, access_tokens.issuer())
        except InvalidAccessToken as error:
            raise InvalidToken(str(error)) from error

    async def _read_keys(self, when_older_seconds: float) -> None:
        now = time.monotonic()
        if now - self._keys_read_at <= when_older_seconds:
            return
        found = await self._bus.ask(GetSigningKeys(), service_envelope("gateway", None))
        self._keys, self._keys_read_at = access_tokens.key_set(found.keys), now

    def _installation(self, token: str, request: HTTPConnection) -> Remembered:
        """The installation's key belongs to no organization: each request is confined to the one it makes.

        The same Idempotency-Key names the same organization, so that a repeat finds what the first one made.
        """
        configured = self._settings.installation_key
        if configured is None or not is_same(configured.get_secret_value(), token):
            raise InvalidToken("This is not the key of this installation.")
        key = request.headers.get("idempotency-key")
        organization_id = derived_id("installation", "organization", key) if key else new_id()
        caller = Caller(
            kind="service",
            organization_id=organization_id,
            id=derived_id("installation"),
            name="installation",
            scopes=frozenset({"installation"}),
            permissions=frozenset({"organizations:create"}),
        )
        return Remembered(caller, 0.0, organization_id, 0, 0, (), None)


def _token(presented: Presented) -> str:
    """The credential itself. Raises InvalidToken for another scheme, for something too long, for strange characters."""
    scheme, value = b"bearer", presented.value
    if presented.place == "authorization":
        scheme, _, value = presented.value.partition(b" ")
    value = value.strip()
    if scheme.lower() != b"bearer" or not value:
        raise InvalidToken("Send the credential as 'Authorization: Bearer …'.")
    if len(value) > _LONGEST_CREDENTIAL or not value.isascii():
        raise InvalidToken("This is not a credential of ours.")
    return value.decode("ascii")


def _kind(presented: Presented, token: str) -> CredentialKind:
    match presented.place:
        case "publishable_key":
            return "publishable_key"
        case "cookie":
            return "session"
    if token.startswith("cdp_"):
        raise InvalidToken("A publishable key goes into the header X-Publishable-Key.")
    return _KINDS.get(token[:4], "access_token")


def _remembered(identity: Identity, epoch: int, expires_at: float = float("inf")) -> Remembered:
    believed_until = clock.now().timestamp() + BELIEVED_SECONDS
    return Remembered(
        caller=caller_of(identity),
        until=min(believed_until, identity.valid_until.timestamp(), expires_at),
        organization_id=identity.organization_id,
        version=identity.revocation_version,
        epoch=epoch,
        networks=networks_of(identity),
        origins=None if identity.allowed_origins is None else frozenset(identity.allowed_origins),
    )


def networks_of(identity: Identity) -> tuple[Network, ...]:
    """Where a credential may be used from; none for everywhere."""
    return tuple(ipaddress.ip_network(network) for network in identity.allowed_networks)


def caller_of(identity: Identity, **more: Any) -> Caller:
    """An identity as the one who speaks."""
    return Caller(
        kind="user" if identity.kind == "user" else "client",
        organization_id=identity.organization_id,
        id=identity.id,
        name=identity.name,
        scopes=frozenset(identity.scopes),
        shop_ids=None if identity.shop_ids is None else frozenset(identity.shop_ids),
        permissions=frozenset(identity.permissions),
        **more,
    )
