"""What is not shown of a callback's bytes: they are kept whole, and looked at by people who need not see all of it."""

import re

MASK = "***"
HIDDEN_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})

_EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}(@|%40)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8}")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_CARD_FIELD = re.compile(
    r'("(?:cvc|cvv|cvv2|cvc2|security_?code|pan|card_?number|cardholder_?name|holder_?name)"\s*:\s*)"[^"]*"',
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The text without e-mail addresses, numbers of payment cards and what stands in a card's fields."""
    text = _CARD_FIELD.sub(rf'\1"{MASK}"', text)
    text = _EMAIL.sub(MASK, text)
    return _DIGITS.sub(lambda found: MASK if _is_card(found[0]) else found[0], text)


def shown_header(name: str, value: str) -> str:
    """A header's value; of one that opens doors, nothing."""
    return MASK if name.lower() in HIDDEN_HEADERS else masked(value)


def _is_card(text: str) -> bool:
    """Whether the digits are those of a card: by the check digit of ISO/IEC 7812 (Luhn)."""
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
