"""Access tokens: JWTs (RFC 9068) signed with Ed25519, as accounts issues them and the gateway reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwa import EdDSAAlgorithm
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry, extract_compact

from shared import clock
from shared.settings import settings

LIFETIME_SECONDS = 900
ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105
# How a token is presented (RFC 6750).
SCHEME = "Bearer"


class _Algorithm(EdDSAAlgorithm):
    # RFC 9864 renames it "Ed25519"; far more libraries know the signature by the name of RFC 8037.
    security_warning = ""


class _Registry(JWSRegistry):
    algorithms = {ALGORITHM: _Algorithm()}


_registry = _Registry(algorithms=[ALGORITHM])


def issuer() -> str:
    """Who issues tokens, and for whom: this installation's address, as in its metadata (RFC 8414 §2)."""
    return settings().base_url.rstrip("/")


class InvalidAccessToken(Exception):
    """Not a token of ours, or one that has expired."""


class UnknownSigningKey(InvalidAccessToken):
    """Signed with a key that is not among the ones given: forged, or newer than they are."""


@dataclass(frozen=True)
class Claims:
    """What an access token says. Times are whole seconds since the epoch."""

    issuer: str
    organization_id: UUID
    client_id: UUID
    token_id: UUID
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int

    def as_json(self) -> dict[str, Any]:
        """The claims under their registered names; `org` is ours."""
        client_id = str(self.client_id)
        return {
            "iss": self.issuer,
            "sub": client_id,
            "aud": self.issuer,
            "exp": self.expires_at,
            "iat": self.issued_at,
            "jti": str(self.token_id),
            "client_id": client_id,
            "scope": " ".join(self.scopes),
            "org": str(self.organization_id),
        }


def new_key() -> OKPKey:
    """A fresh key, named by its thumbprint (RFC 7638)."""
    return OKPKey.generate_key("Ed25519", {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


def key_set(public_keys: Iterable[dict[str, Any]]) -> KeySet:
    """Keys to verify with, from JWKs."""
    return KeySet([OKPKey.import_key(key) for key in public_keys])


def signed(claims: Claims, key: OKPKey) -> str:
    """The token."""
    header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": key.kid}
    return jwt.encode(header, claims.as_json(), key, registry=_registry)


def verified(token: str, keys: KeySet, issuer: str) -> Claims:
    """What a token says, if one of `keys` signed it for `issuer` and it has not expired.

    Raises InvalidAccessToken, UnknownSigningKey.
    """
    kid = _kid(token)
    if not any(key.kid == kid for key in keys.keys):
        raise UnknownSigningKey("The token is signed with a key that is not ours.")
    try:
        decoded = jwt.decode(token, keys, registry=_registry)
        claims = _claims(decoded.claims)
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAccessToken("The access token is not one of ours.") from error
    if decoded.header.get("typ") != TOKEN_TYPE or claims.issuer != issuer or decoded.claims.get("aud") != issuer:
        raise InvalidAccessToken("The access token was issued for somebody else.")
    if claims.expires_at <= clock.now().timestamp():
        raise InvalidAccessToken("The access token has expired; get a new one.")
    return claims


def _kid(token: str) -> object:
    try:
        return extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError, AttributeError) as error:
        raise InvalidAccessToken("This is not an access token.") from error


def _claims(found: dict[str, Any]) -> Claims:
    return Claims(
        issuer=found["iss"],
        organization_id=UUID(found["org"]),
        client_id=UUID(found["client_id"]),
        token_id=UUID(found["jti"]),
        scopes=tuple(found["scope"].split()),
        issued_at=int(found["iat"]),
        expires_at=int(found["exp"]),
    )
