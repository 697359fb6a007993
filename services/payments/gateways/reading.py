"""Taking a provider's JSON apart, strictly: every function raises Unusable where the body is not what it should be."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from services.payments.errors import UnreadableCallback, WrongAmount, WrongCurrency
from services.payments.gateways.base import EventIdentity
from shared.money import EXPONENTS

Object = Mapping[str, Any]

_MOST = 10**15
_DECIMAL = re.compile(r"[0-9]{1,16}(\.[0-9]{1,6})?")
_INTEGER = re.compile(r"[0-9]{1,16}")


def document(body: bytes) -> Object:
    """The JSON object that a body is."""
    found = find_document(body)
    if found is None:
        raise UnreadableCallback("The body is not a JSON object.")
    return found


def find_document(body: bytes) -> Object | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def find_signed_document(body: bytes) -> Object | None:
    """As `find_document`, also of a body that is not text, for whoever looks for the signatures in it.

    Bytes that are not UTF-8 are surrogates there, as PEP 383 has them; from nothing of it may a text be made.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        try:
            found = json.loads(body.decode("utf-8", "surrogateescape"))
        # ValueError: not JSON, or a number of more digits than are read.
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None
    return find_document(body)


def digest_of(value: object, otherwise: bytes) -> bytes:
    """The digest of a JSON value whatever the order of its keys; of `otherwise` where it cannot be written."""
    try:
        return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    # What was read may be nested deeper than can be written.
    except orjson.JSONEncodeError:
        return hashlib.sha256(otherwise).digest()


def unknown(body: bytes) -> EventIdentity:
    """The identity of a body that cannot be read."""
    return EventIdentity(None, None, hashlib.sha256(body).digest())


def is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value


def find_name(holder: Object, *names: str) -> str | None:
    """The first of these members that is a usable text."""
    return next((str(holder[name]) for name in names if is_name(holder.get(name))), None)


def find_inner(holder: Object, *path: str) -> Object:
    """The object at the end of `path`; an empty one where there is none."""
    found: Any = holder
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def objects(holder: Object, name: str) -> list[Object]:
    """The objects in a list; none where there is no list."""
    found = holder.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def inner(holder: Object, *path: str) -> Object:
    found: Any = holder
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise UnreadableCallback(f"'{name}' is missing or not an object.")
    return dict(found)


def text(holder: Object, name: str) -> str:
    value = holder.get(name)
    if not is_name(value):
        raise UnreadableCallback(f"'{name}' is missing or not a text.")
    return str(value)


def find_time(holder: Object, name: str) -> datetime | None:
    """A time in ISO 8601 or in Unix seconds; None where it is absent."""
    value = holder.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 253402300800:
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    # The second for what is a time elsewhere and, in UTC, before the first year or after the last.
    except (ValueError, OverflowError):
        pass
    raise UnreadableCallback(f"'{name}' is not a time.")


def currency(value: object) -> str:
    """A currency of ISO 4217. Raises WrongCurrency."""
    code = value.upper() if isinstance(value, str) else ""
    if code not in EXPONENTS:
        raise WrongCurrency(f"'{str(value)[:10]}' is not a currency of ISO 4217.")
    return code


def smallest_units(value: object, code: str, exponents: Mapping[str, int] = EXPONENTS) -> int:
    """An integer in a provider's smallest units, also where it is sent as a text, as our minor units.

    `exponents` are the provider's own where they differ from ISO 4217. Raises WrongAmount for what is no whole amount.
    """
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise UnreadableCallback(f"'{str(value)[:40]}' is not an amount.")
    return shifted(Decimal(value).scaleb(-exponents.get(code, EXPONENTS[code])), code)


def major_units(value: object, code: str, *, whole: frozenset[str] = frozenset()) -> int:
    """A decimal text in major units as our minor units; currencies in `whole` have no digits after the point.

    Raises WrongAmount for more digits than the currency has.
    """
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise UnreadableCallback(f"'{str(value)[:40]}' is not an amount.")
    amount = Decimal(value)
    if code in whole and amount != amount.to_integral_value():
        raise WrongAmount(f"{value} is not a whole amount in {code}.")
    return shifted(amount, code)


def shifted(amount: Decimal, code: str) -> int:
    """Major units as ours. Raises WrongAmount."""
    try:
        minor = amount.scaleb(EXPONENTS[code])
    except InvalidOperation:
        raise WrongAmount(f"{amount} is beyond what an amount can be.") from None
    if minor != minor.to_integral_value():
        raise WrongAmount(f"{amount} is not a whole amount in {code}.")
    if minor > _MOST:
        raise WrongAmount(f"{amount} is beyond what an amount can be.")
    return int(minor)
