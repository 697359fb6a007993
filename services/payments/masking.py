"""What is not shown of a callback's bytes: they are kept whole, and looked at by people who need not see all of it."""

import base64
import binascii
import re
from typing import Literal
from urllib.parse import quote_plus, unquote_plus

MASK = "***"
HIDDEN_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})

_EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}(@|%40|\\u0040)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8}")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_OF_CARDS = "cvc|cvv|cvv2|cvc2|security[_-]?code|pan|card[_-]?number|cardholder[_-]?name|holder[_-]?name"
_CARD_FIELD = re.compile(
    rf'("(?:{_OF_CARDS})"\s*:\s*)(?:"[^"]*"|[0-9]+)',
    re.IGNORECASE,
)
_CARD_ELEMENT = re.compile(rf"(<(?:{_OF_CARDS})(?:\s[^>]*)?>)[^<]+", re.IGNORECASE)


def masked(text: str) -> str:
    """The text without e-mail addresses, numbers of payment cards and what stands in a card's fields."""
    text = _CARD_FIELD.sub(rf'\1"{MASK}"', text)
    text = _CARD_ELEMENT.sub(rf"\1{MASK}", text)
    text = _EMAIL.sub(MASK, text)
    return _DIGITS.sub(lambda found: MASK if _is_card(found[0]) else found[0], text)


def shown_body(body: bytes, provider: str) -> tuple[str, Literal["text", "base64"]]:
    """A body as it is shown, and how: as text, or in base64 where it is not UTF-8. Masked either way."""
    try:
        return _masked_body(body.decode(), provider), "text"
    except UnicodeDecodeError:
        # Each byte is a character of Latin-1: what is not masked stays to the byte.
        shown = _masked_body(body.decode("latin-1"), provider)
        return base64.b64encode(shown.encode("latin-1")).decode(), "base64"


def _masked_body(text: str, provider: str) -> str:
    if provider != "braintree":
        return masked(text)
    fields = (field.partition("=") for field in text.split("&"))
    return "&".join(
        f"{name}{equals}{_masked_payload(value)}"
        if unquote_plus(name) == "bt_payload"
        else masked(name + equals + value)
        for name, equals, value in fields
    )


def _masked_payload(value: str) -> str:
    """Braintree's XML, base64 in a form, with what is in it masked; as it came where there is nothing to mask."""
    try:
        document = base64.b64decode(unquote_plus(value), validate=False).decode("latin-1")
    except (binascii.Error, ValueError):
        return MASK
    shown = masked(document)
    if shown == document:
        return value
    return quote_plus(base64.encodebytes(shown.encode("latin-1")))


def shown_header(name: str, value: str) -> str:
    """A header's value; of one that opens doors, nothing."""
    return MASK if name.lower() in HIDDEN_HEADERS else masked(value)


def _is_card(text: str) -> bool:
    """Whether the digits are those of a card: by the check digit of ISO/IEC 7812 (Luhn)."""
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
