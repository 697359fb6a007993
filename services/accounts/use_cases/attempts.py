"""How often a password may be tried.

Three counters, each over the same window. The narrow one, account and address together, stops guessing without locking
the owner out elsewhere. The address alone stops trying one password on many accounts. The account alone stops many
addresses working together; it is wide, and an address the person has been signed in from is exempt from it, so that
nobody can be locked out of their own desk by strangers.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from services.accounts.people_errors import TooManyAttempts
from shared import clock
from shared.unit_of_work import UnitOfWork

WINDOW = timedelta(minutes=15)
MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT = 5
MOST_FROM_ONE_ADDRESS = 50
MOST_ON_ONE_ACCOUNT = 200


@dataclass(frozen=True)
class _Counter:
    key: bytes
    most: int


async def take(uow: UnitOfWork, account: str, address: str | None, *, is_known_address: bool = False) -> None:
    """Count one attempt before it is made. Raises TooManyAttempts, the same for accounts that do not exist."""
    for counter in _counters(account, address, is_known_address):
        await _count(uow, counter)


async def forgive(uow: UnitOfWork, account: str, address: str | None) -> None:
    """The password was right: give back what `take` counted, and forget the failures of this account from here."""
    narrow, *wide = _counters(account, address, False)
    await uow.execute("DELETE FROM sign_in_attempts WHERE key = $1", narrow.key)
    for counter in wide:
        await uow.execute(
            "UPDATE sign_in_attempts SET count = count - 1 WHERE key = $1 AND count > 0",
            counter.key,
        )


async def forget_old(uow: UnitOfWork) -> None:
    """Drop counters whose window is over."""
    await uow.execute("DELETE FROM sign_in_attempts WHERE started_at < $1", clock.now() - WINDOW)


def _counters(account: str, address: str | None, is_known_address: bool) -> list[_Counter]:
    """Always in the same order, which is the order their rows are locked in."""
    network = _network(address)
    counters = [_Counter(_key("both", account, network), MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT)]
    if not is_known_address:
        counters.append(_Counter(_key("account", account), MOST_ON_ONE_ACCOUNT))
    if address is not None:
        counters.append(_Counter(_key("address", network), MOST_FROM_ONE_ADDRESS))
    return counters


def _network(address: str | None) -> str:
    """One household: an IPv4 address, or the /64 that every IPv6 host can choose its address from (RFC 4291 §2.5.1)."""
    if address is None:
        return ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return str(parsed)


def _key(*parts: str) -> bytes:
    return sha256("\x1f".join(parts).encode()).digest()


async def _count(uow: UnitOfWork, counter: _Counter) -> None:
    now = clock.now()
    row = await uow.fetchrow(
        "INSERT INTO sign_in_attempts AS a (key, count, started_at) VALUES ($1, 1, $2)"
        " ON CONFLICT (key) DO UPDATE SET"
        " count = CASE WHEN a.started_at < $3 THEN 1 ELSE least(a.count, $4) + 1 END,"
        " started_at = CASE WHEN a.started_at < $3 THEN $2 ELSE a.started_at END"
        " RETURNING count, started_at",
        counter.key,
        now,
        now - WINDOW,
        counter.most,
    )
    assert row is not None
    if row["count"] > counter.most:
        seconds = max(1, ceil((row["started_at"] + WINDOW - now).total_seconds()))
        raise TooManyAttempts(
            f"Too many attempts; try again in {ceil(seconds / 60)} minutes, or set a new password.",
            retry_after_seconds=seconds,
        )
