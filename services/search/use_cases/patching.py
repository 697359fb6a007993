"""Offers of which only the numbers changed: inventory alone is asked, and the stored document says how many there are.

What was seen of the stock of each variant lies with the document as its basis, except the numbers themselves. Only
while all of that is the same is a document patched; whatever may let a variant come or go, another one speak for the
offer or a date count leads to a full build. So a patched document is, byte for byte, what a full build makes of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from uuid import UUID

import msgspec

from services.search.repository.documents import Row, Stored
from services.search.use_cases.assembly import JudgedVariant, quantity_shown
from services.search.use_cases.conditions import seen_of
from shared.contracts.inventory.shapes import Availability

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[JudgedVariant]).decode

# In ready JSON a merchant's text never looks like this: no name of an option or attribute has a number behind it.
_NUMBER = re.compile(rb'(?<="available_quantity":)\d+')


@dataclass(frozen=True, slots=True)
class Patch:
    """New numbers for the document of a product that stands on `basis`: of the offer, then of each variant in it."""

    product_id: UUID
    basis: bytes
    numbers: Sequence[int]
    changed_at: datetime


def basis_of(judged: Sequence[JudgedVariant]) -> bytes:
    return _encode(judged)


def skus_of(bases: Iterable[bytes]) -> list[str]:
    """The SKUs of all these products, those that are not sold too."""
    return [variant.seen.sku for basis in bases for variant in _decode(basis)]


def new_numbers(basis: bytes, stock: Mapping[str, Availability], today: date) -> list[int] | None:
    """How much there is of an offer and of each variant in it; None: more than that changed, or may have.

    `stock` has each of the SKUs in `basis`.
    """
    judged = _decode(basis)
    if any(seen_of(stock[variant.seen.sku], today) != variant.seen for variant in judged):
        return None
    numbers = [
        quantity_shown(stock[variant.seen.sku], can_be_bought=variant.can_be_bought)
        for variant in judged
        if variant.is_listed
    ]
    return [sum(numbers), *numbers]


def patched(stored: Stored, patch: Patch) -> Row | None:
    """What is to be written; None: it stands on another basis by now, or has other numbers than that says."""
    if stored.basis != patch.basis:
        return None
    if stored.ready is None:
        return Row.of(stored.product_id, stored.slug, None, patch.changed_at, patch.basis)
    fields, document, page = stored.ready
    document, page = _renumbered(document, patch.numbers), _renumbered(page, patch.numbers)
    if not (document and page):
        return None
    return Row.of(stored.product_id, stored.slug, (fields, document, page), patch.changed_at, patch.basis)


def _renumbered(ready: bytes, numbers: Sequence[int]) -> bytes:
    """The offer's own number stands before those of its variants, which come in their order. Empty: they do not fit."""
    first, *rest = _NUMBER.split(ready)
    if len(rest) != len(numbers):
        return b""
    digits = (b"%d" % number for number in numbers)
    return b"".join([first, *chain.from_iterable(zip(digits, rest, strict=True))])
