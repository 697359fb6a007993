"""Where a request carries its credential, and where it came from. Nothing here knows whether a credential holds."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from shared.errors import Invalid

Place = Literal["authorization", "publishable_key", "cookie"]
SESSION_COOKIE = "crossdock_session"
# No page of another site can make a browser send this header without our leave (the Fetch standard's preflight).
CONSOLE_HEADER = b"x-crossdock-console"

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TwoCredentials(Invalid):
    """A request carries one credential (RFC 6750 §2)."""

    title = "The request carries more than one credential"


class Presented(NamedTuple):
    """A credential as it was sent: the value of `Authorization`, of `X-Publishable-Key`, or of the session's cookie."""

    place: Place
    value: bytes


def presented_in(scope: Mapping[str, Any]) -> Presented | None:
    """The request's one credential. Raises TwoCredentials.

    A session's cookie gives way to the others. It counts for a request that changes nothing, or that a page of our own
    sent: only such a page can add the header `X-Crossdock-Console`. A WebSocket can change anything.
    """
    authorization = key = cookies = None
    is_ours = False
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = _only(authorization, value)
        elif name == b"x-publishable-key":
            key = _only(key, value)
        elif name == b"cookie":
            cookies = value if cookies is None else cookies + b"; " + value
        elif name == CONSOLE_HEADER or (name == b"sec-fetch-site" and value == b"same-origin"):
            is_ours = True
    if authorization is not None:
        if key is not None:
            raise TwoCredentials("Send either Authorization or X-Publishable-Key.")
        return Presented("authorization", authorization)
    if key is not None:
        return Presented("publishable_key", key)
    if cookies is not None and (is_ours or scope.get("method") in _SAFE_METHODS):
        return _session_in(cookies)
    return None


def _only(before: bytes | None, value: bytes) -> bytes:
    if before is not None:
        raise TwoCredentials("The same header is there twice.")
    return value


def _session_in(cookies: bytes) -> Presented | None:
    for cookie in cookies.split(b";"):
        name, _, value = cookie.strip().partition(b"=")
        if name == SESSION_COOKIE.encode():
            return Presented("cookie", value.strip(b'"'))
    return None


def address_of(scope: Mapping[str, Any], trusted_proxies: Sequence[Network]) -> str | None:
    """The address a request came from: the peer, or what the nearest trusted proxy says of its own peer, and so on."""
    client = scope.get("client")
    address = client[0] if client else None
    if not trusted_proxies or address is None:
        return address
    for hop in reversed(_forwarded_for(scope)):
        if not is_within(address, trusted_proxies):
            break
        if _parsed(hop) is None:
            break
        address = hop
    return address


def _forwarded_for(scope: Mapping[str, Any]) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in ",".join(values).split(",") if hop.strip()]


def is_within(address: str | None, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks; IPv4 written as IPv6 counts as IPv4."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
