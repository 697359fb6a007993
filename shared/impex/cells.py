"""From the text of a cell to a value, exactly or not at all. The functions take text without surrounding space."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Generic, TypeVar

from shared.money import Money, exponent

T = TypeVar("T")

_LARGEST_AMOUNT = 10**15
_LARGEST_INTEGER = 2**31 - 1
_MOST_PIECES = 1_000_000
_DECIMALS = 6
_SYMBOLS = {"USD": "$", "CAD": "$", "AUD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "¥", "INR": "₹", "KRW": "₩"}
# A whole part, perhaps in groups of three, and perhaps decimals after a point or comma.
_AMOUNT = re.compile(r"([0-9]{1,3}(?:([ \u00a0\u202f'’.,])[0-9]{3})(?:\2[0-9]{3})*|[0-9]+)(?:([.,])([0-9]+))?")
# What can be read in one way only, in a currency with two decimals.
_PLAIN_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?")
_INTEGER = re.compile(r"([+-]?[0-9]{1,10})(?:[.,]0+)?")
_DECIMAL = re.compile(r"[0-9]{1,10}(?:[.,][0-9]{1,9})?")
_URL = re.compile(r"https?://[^\s/?#]\S*")
# Lengths of GTINs, with what character codes add to the weighted sum of digits, modulo ten: 48 for each unit of weight.
_GTIN_LENGTHS = {8: 8, 12: 2, 13: 0, 14: 4}
# Spreadsheets write booleans in their user's language.
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "wahr", "ja"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "falsch", "nein"), False),
}


class InvalidCell(Exception):
    """A cell that is not what its column holds; `code` and `message` become a row error.

    `value` is the part of the cell that is at fault, where it holds several things. `field` says which of several cells
    is, where they make a value together.
    """

    def __init__(self, code: str, message: str, *, value: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.value = value
        self.field = field


class Remembered(dict[str, T], Generic[T]):
    """The results of `convert`, for columns whose cells repeat; keeps a bounded number of them.

    Takes text as it stands in the file: surrounding space is removed, and nothing but space is None.
    """

    _LIMIT = 20_000

    def __init__(self, convert: Callable[[str], T]) -> None:
        self._convert = convert

    def __missing__(self, text: str) -> T | None:
        stripped = text.strip()
        value = self._convert(stripped) if stripped else None
        if value is not None and len(self) < self._LIMIT:
            self[text] = value
        return value


def text(cell: str) -> str | None:
    """The cell without surrounding space; None when nothing is left. The one function here that takes any text."""
    return cell.strip() or None


def price(cell: str, currency: str) -> Money:
    """`1.50`, `1,50`, `1 234,50`, `1,234.50`, `$ 1.50`, `1.50 USD`: exact, in minor units of `currency`.

    What may be read in two ways (`1,234`) is refused, as are decimals the currency does not have. Raises InvalidCell.
    """
    digits = exponent(currency)
    if digits == 2 and (plain := _PLAIN_AMOUNT.fullmatch(cell)):
        return Money(amount=int(plain[1]) * 100 + int((plain[2] or "").ljust(2, "0")), currency=currency)
    bare = _without_currency(cell, currency)
    if bare.startswith(("-", "−", "(")) and _AMOUNT.fullmatch(bare.strip("-−() ")):
        raise InvalidCell("negative_price", f"{cell!r} is negative; a price is zero or more.")
    match = _AMOUNT.fullmatch(bare)
    if match is None or (match[2] and match[2] == match[3]):
        raise InvalidCell("invalid_price", f"{cell!r} is not a price; write it as 1234.50.")
    whole, decimals = _parts(match, cell, digits)
    if len(decimals) > digits:
        raise InvalidCell("invalid_price", f"{cell!r} has more decimals than {currency} has ({digits}).")
    amount = int(whole) * 10**digits + int(decimals.ljust(digits, "0") or 0)
    if amount > _LARGEST_AMOUNT:
        raise InvalidCell("invalid_price", f"{cell!r} is more than any price.")
    return Money(amount=amount, currency=currency)


def _without_currency(cell: str, currency: str) -> str:
    for mark in (currency, _SYMBOLS.get(currency, currency)):
        cell = cell.removeprefix(mark).removesuffix(mark).strip()
    return cell


def _parts(match: re.Match[str], cell: str, digits: int) -> tuple[str, str]:
    """Whole part and decimals without closing zeros, both as digits."""
    whole, group, _, decimals = match.groups()
    if decimals is None and group in (".", ",") and whole.count(group) == 1:
        head, tail = whole.split(group)
        if head == "0" or digits > 2:
            return head, tail.rstrip("0")
        if digits:
            raise InvalidCell(
                "invalid_price", f"{cell!r} may be {head}{tail} or {head}.{tail}; write {head}{tail}.00 for the first."
            )
    if group:
        whole = whole.replace(group, "")
    return whole, (decimals or "").rstrip("0")


def integer(cell: str) -> int:
    """`12`, `12.0`, `-3`; not `1.5`. Raises InvalidCell."""
    match = _INTEGER.fullmatch(cell)
    if match is None or abs(int(match[1])) > _LARGEST_INTEGER:
        raise InvalidCell("invalid_integer", f"{cell!r} is not a whole number.")
    return int(match[1])


def positive(cell: str) -> int:
    """A whole number from 1 to a million. Raises InvalidCell."""
    number = integer(cell)
    if not 1 <= number <= _MOST_PIECES:
        raise InvalidCell("invalid_integer", f"{cell!r} is not a whole number from 1 to {_MOST_PIECES}.")
    return number


def decimal(cell: str) -> Decimal:
    """`12`, `4.5`, `4,5`: zero or more, at most six decimals. Raises InvalidCell."""
    if _DECIMAL.fullmatch(cell) is None or len(cell.replace(",", ".").partition(".")[2].rstrip("0")) > _DECIMALS:
        message = f"{cell!r} is not a number of zero or more with at most {_DECIMALS} decimals, such as 4.5."
        raise InvalidCell("invalid_number", message)
    return Decimal(format(Decimal(cell.replace(",", ".")).normalize(), "f"))


def grams(cell: str) -> int:
    """A weight in grams; parts of a gram are rounded, halves up. Raises InvalidCell."""
    if _DECIMAL.fullmatch(cell) is None:
        raise InvalidCell("invalid_weight", f"{cell!r} is not a weight: write a number of zero or more.")
    weight = int(Decimal(cell.replace(",", ".")).quantize(Decimal(1), ROUND_HALF_UP))
    if weight > _LARGEST_INTEGER:
        raise InvalidCell("invalid_weight", f"{cell!r} grams is more than any parcel weighs.")
    return weight


def moment(cell: str) -> datetime:
    """`2026-03-01T09:00:00+01:00`, or a day, which begins at midnight of universal time. Raises InvalidCell."""
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        found = None
    if found is not None and found.tzinfo is None and found.time() == time():
        found = found.replace(tzinfo=UTC)
    if found is None or found.tzinfo is None or not 1900 <= found.year <= 9000:
        message = f"{cell[:50]!r} is not a moment with its time zone, 2026-03-01T09:00:00+01:00, or a day, 2026-03-01."
        raise InvalidCell("invalid_moment", message)
    return found.astimezone(UTC)


def boolean(cell: str) -> bool:
    """`true`/`false`, `yes`/`no`, `1`/`0` and their like, in any case. Raises InvalidCell."""
    try:
        return _BOOLEANS[cell.lower()]
    except KeyError:
        raise InvalidCell("invalid_boolean", f"{cell!r} is neither true nor false.") from None


def gtin(cell: str) -> str:
    """A GTIN-8, -12, -13 or -14 as digits, its check digit right (GS1 General Specifications §7.9).

    Spaces and hyphens are left out, and the apostrophe with which spreadsheets keep leading zeros. Raises InvalidCell.
    """
    if _is_gtin(cell):
        return cell
    digits = cell.removeprefix("'").replace(" ", "").replace("-", "")
    if _is_gtin(digits):
        return digits
    if len(digits) in _GTIN_LENGTHS and digits.isascii() and digits.isdigit():
        expected = check_digit(digits[:-1])
        raise InvalidCell("invalid_gtin", f"{cell!r} ends in {digits[-1]} where the check digit is {expected}.")
    hint = " A spreadsheet has rounded it: format the column as text." if re.search(r"\d[eE]\+?\d", cell) else ""
    raise InvalidCell("invalid_gtin", f"{cell!r} is not a barcode number of 8, 12, 13 or 14 digits.{hint}")


def _is_gtin(digits: str) -> bool:
    offset = _GTIN_LENGTHS.get(len(digits))
    if offset is None or not (digits.isascii() and digits.isdigit()):
        return False
    codes = digits.encode("ascii")
    return (sum(codes[::-2]) + 3 * sum(codes[-2::-2]) - offset) % 10 == 0


def spellings(barcode: str) -> list[str]:
    """All lengths in which a GTIN may be stored; what is none, as it is."""
    if not (barcode.isascii() and barcode.isdigit()):
        return [barcode]
    digits = barcode.lstrip("0")
    return [digits.zfill(length) for length in (8, 12, 13, 14) if len(digits) <= length]


def check_digit(digits: str) -> str:
    """The GS1 check digit that follows `digits`."""
    return str(-(3 * sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2]))) % 10)


def url(cell: str) -> str:
    """A web address with http or https. Raises InvalidCell."""
    if _URL.fullmatch(cell) is None or len(cell) > 2048:
        message = f"{cell[:200]!r} is not a web address that begins with https://."
        raise InvalidCell("invalid_url", message, value=cell)
    return cell


def tags(cell: str, separator: str) -> tuple[str, ...]:
    """The words between separators, each once (upper and lower case are the same word), in order."""
    return unique(cell.split(separator))


def unique(words: list[str]) -> tuple[str, ...]:
    """`words` without surrounding space, blanks and repeats."""
    kept: dict[str, str] = {}
    for word in map(str.strip, words):
        if word:
            kept.setdefault(word.casefold(), word)
    return tuple(kept.values())
