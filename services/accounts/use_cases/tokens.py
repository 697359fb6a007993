"""OAuth 2.0 client credentials: who the client is, what it is given, and what becomes of it."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_network
from math import ceil
from uuid import UUID

from services.accounts import repository
from services.accounts.errors import ApiClientExpired, InvalidScope, InvalidToken, TokenOfAnotherClient
from services.accounts.models.credentials import ClientSecretRow
from services.accounts.settings import MOST_WRONG_SECRETS, WRONG_SECRETS_WINDOW
from services.accounts.use_cases import identities, keys, revocation
from shared import access_tokens, clock
from shared.access_tokens import LIFETIME_SECONDS, Claims, InvalidAccessToken
from shared.contracts.accounts.messages import AccessToken, ClientAuthentication, TokenDescription
from shared.contracts.accounts.shapes import SCOPES
from shared.identifiers import new_id
from shared.security import SecretText, is_same, new_secret
from shared.unit_of_work import UnitOfWork

_NOBODY = UUID(int=0)
_NOBODYS_SECRET = new_secret()


async def authenticate(uow: UnitOfWork, client_id: str, secret: SecretText) -> ClientAuthentication:
    """Compare a client's secret, in the same time whether there is such a client or not.

    Wrong secrets are counted by client and address together: nobody's guessing keeps another one out.
    """
    attempts = _attempts(uow, client_id)
    wait_seconds = await _wait_seconds(uow, attempts)
    if wait_seconds:
        return ClientAuthentication(retry_after_seconds=wait_seconds)
    known = _as_id(client_id)
    await repository.enter(uow, known and await uow.fetchval("SELECT organization_of_client($1)", known))
    version = await revocation.version(uow)
    if await _is_right(uow, known or _NOBODY, secret) and known is not None:
        try:
            return ClientAuthentication(identity=await identities.of_client(uow, known, version))
        except ApiClientExpired:
            return ClientAuthentication(is_expired=True)
        except InvalidToken:
            return ClientAuthentication()
    await _count(uow, attempts)
    return ClientAuthentication()


async def issue(uow: UnitOfWork, scopes: Sequence[str] | None) -> AccessToken:
    """A token for the asking client. Raises InvalidScope for anything it was not given."""
    caller = uow.caller
    assert caller.id is not None
    wanted = sorted(caller.scopes if scopes is None else set(scopes))
    refused = [scope for scope in wanted if scope not in SCOPES or not caller.holds(scope)]
    if refused or not wanted:
        raise InvalidScope("The client was not given every one of these scopes.")
    issued_at = int(clock.now().timestamp())
    claims = Claims(
        issuer=access_tokens.issuer(),
        organization_id=uow.organization_id,
        client_id=caller.id,
        token_id=new_id(),
        scopes=tuple(wanted),
        issued_at=issued_at,
        expires_at=issued_at + LIFETIME_SECONDS,
    )
    token = access_tokens.signed(claims, await keys.current(uow))
    return AccessToken(access_token=SecretText(token), expires_in=LIFETIME_SECONDS, scope=" ".join(wanted))


async def describe(uow: UnitOfWork, token: SecretText) -> TokenDescription:
    """RFC 7662 §2.2: another organization's token is as unknown as a forged one."""
    claims = await _verified(uow, token)
    if claims is None or claims.organization_id != uow.organization_id:
        return TokenDescription(active=False)
    try:
        identity = await identities.of_access_token(
            uow, claims.organization_id, claims.client_id, claims.token_id, claims.scopes
        )
    except InvalidToken:
        return TokenDescription(active=False)
    told = claims.as_json() | {"scope": " ".join(identity.scopes), "token_type": access_tokens.SCHEME}
    return TokenDescription(active=True, **told)


async def revoke(uow: UnitOfWork, token: SecretText) -> None:
    """Withdraw a token of the asking client's own. Safe to repeat; nothing happens for a token that does not hold.

    Raises TokenOfAnotherClient.
    """
    claims = await _verified(uow, token)
    if claims is None:
        return
    if claims.client_id != uow.caller.id:
        raise TokenOfAnotherClient("The token was issued to another client.")
    revoked = await uow.fetchval(
        "INSERT INTO revoked_tokens (organization_id, token_id, expires_at) VALUES ($1, $2, to_timestamp($3))"
        " ON CONFLICT DO NOTHING RETURNING true",
        uow.organization_id,
        claims.token_id,
        claims.expires_at,
    )
    if revoked:
        await revocation.bump(uow)
        uow.audit("access_token.revoke", "api_client", claims.client_id, after={"token_id": str(claims.token_id)})


async def forget_expired(uow: UnitOfWork) -> None:
    """Drop what has no meaning any more, across tenants: revoked tokens that have expired, attempts long ago."""
    # A process whose clock lags must still find the token revoked.
    await uow.execute("DELETE FROM revoked_tokens WHERE expires_at < $1", clock.now() - timedelta(hours=1))
    await uow.execute("DELETE FROM client_attempts WHERE ends_at < $1", clock.now())


async def _verified(uow: UnitOfWork, token: SecretText) -> Claims | None:
    known = access_tokens.key_set(await keys.public(uow))
    try:
        return access_tokens.verified(token.reveal(), known, access_tokens.issuer())
    except InvalidAccessToken:
        return None


def _as_id(client_id: str) -> UUID | None:
    try:
        found = UUID(client_id)
    except ValueError:
        return None
    return found if str(found) == client_id else None


async def _is_right(uow: UnitOfWork, client_id: UUID, secret: SecretText) -> bool:
    """Both of two secrets are compared, always, each in constant time."""
    sealed = [
        row["sealed"] for row in await uow.fetch("SELECT sealed FROM client_secrets WHERE client_id = $1", client_id)
    ]
    nobodys = ClientSecretRow.sealed_text(SecretText(_NOBODYS_SECRET))
    sealed += [nobodys] * (2 - len(sealed))
    same = [is_same(ClientSecretRow.opened(one).reveal(), secret.reveal()) for one in sealed]
    return any(same)


def _attempts(uow: UnitOfWork, client_id: str) -> bytes:
    return hashlib.sha256(f"{client_id}\x1f{_neighbourhood(uow.caller.address)}".encode()).digest()


def _neighbourhood(address: str | None) -> str | None:
    """An IPv6 host has a whole /64 to come from (RFC 4291 §2.5.4); an IPv4 host has one address."""
    return str(ip_network((address, 64), strict=False)) if address is not None and ":" in address else address


async def _wait_seconds(uow: UnitOfWork, attempts: bytes) -> int:
    ends_at = await uow.fetchval(
        "SELECT ends_at FROM client_attempts WHERE digest = $1 AND failures >= $2 AND ends_at > $3",
        attempts,
        MOST_WRONG_SECRETS,
        clock.now(),
    )
    return 0 if ends_at is None else max(1, ceil((ends_at - clock.now()).total_seconds()))


async def _count(uow: UnitOfWork, attempts: bytes) -> None:
    await uow.execute(
        "INSERT INTO client_attempts AS known (digest, failures, ends_at) VALUES ($1, 1, $2) ON CONFLICT (digest) DO"
        " UPDATE SET failures = CASE WHEN known.ends_at > $3 THEN known.failures + 1 ELSE 1 END,"
        " ends_at = CASE WHEN known.ends_at > $3 THEN known.ends_at ELSE EXCLUDED.ends_at END",
        attempts,
        clock.now() + WRONG_SECRETS_WINDOW,
        clock.now(),
    )
