"""OAuth 1.0a signatures, for platforms whose requests are signed with keys and carry no token that could be read.

Pure: nonce and time are given. Sources: RFC 5849 §3.4 and §3.5.1; HMAC-SHA256 besides, as Magento and WooCommerce do.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, unquote_plus, urlsplit

Digest = Literal["sha1", "sha256"]
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs: a consumer, and the token that a shop gave it where it gives one."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    token: str | None = None
    token_secret: str = field(default="", repr=False)


def authorization(
    method: str,
    url: str,
    keys: Keys,
    *,
    nonce: str,
    timestamp: int,
    digest: Digest = "sha256",
    form: Mapping[str, str] | None = None,
    realm: str | None = None,
) -> str:
    """The value of the Authorization header for a request to `url`, which is signed with its query as it is sent.

    `nonce` is never the same twice within a second; `form` is a form-encoded body, the only kind that is signed.
    """
    signed = parameters(method, url, keys, nonce=nonce, timestamp=timestamp, digest=digest, form=form)
    named = ({"realm": realm} if realm is not None else {}) | signed
    return "OAuth " + ", ".join(f'{encoded(name)}="{encoded(value)}"' for name, value in named.items())


def parameters(
    method: str,
    url: str,
    keys: Keys,
    *,
    nonce: str,
    timestamp: int,
    digest: Digest = "sha256",
    form: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The `oauth_…` parameters with their signature, for a header, a query or a form."""
    protocol = {
        "oauth_consumer_key": keys.consumer_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": f"HMAC-{digest.upper()}",
        "oauth_timestamp": str(timestamp),
    }
    if keys.token is not None:
        protocol["oauth_token"] = keys.token
    base = base_string(method, url, {**(form or {}), **protocol})
    return protocol | {"oauth_signature": signature(base, keys, digest)}


def signature(base: str, keys: Keys, digest: Digest) -> str:
    """The signature of a base string (RFC 5849 §3.4.2), in base64."""
    key = f"{encoded(keys.consumer_secret)}&{encoded(keys.token_secret)}"
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), digest)).decode()


def base_string(method: str, url: str, others: Mapping[str, str]) -> str:
    """What is signed (RFC 5849 §3.4.1): method, address and all parameters, those of the query among them."""
    parts = urlsplit(url)
    pairs = [_pair(each) for each in parts.query.split("&") if each] + list(others.items())
    normal = sorted((encoded(name), encoded(value)) for name, value in pairs)
    joined = "&".join(f"{name}={value}" for name, value in normal)
    return "&".join((method.upper(), encoded(_address(url)), encoded(joined)))


def encoded(text: str) -> str:
    """Percent-encoded as RFC 5849 §3.6 wants it: all but letters, digits and `-._~`."""
    return quote(text, safe="-._~")


def decoded(header: str) -> dict[str, str]:
    """The parameters of an Authorization header, for whoever checks one; none of what is not of OAuth."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth":
        return {}
    pairs = (each.strip().partition("=") for each in rest.split(","))
    return {unquote(name): unquote(value.strip('"')) for name, _, value in pairs if name}


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return unquote_plus(name), unquote_plus(value)


def _address(url: str) -> str:
    """The address without query and fragment (RFC 5849 §3.4.1.2): lower case, no port that goes without saying."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}"
