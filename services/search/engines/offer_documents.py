"""What an offer is in an index: a document of what it is found by, and one of its page."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec
import tantivy

from services.search.engines.analysis import Analysis, prepared
from services.search.engines.matching import EVERYBODY, audience_of, choice_keys, option_key
from services.search.models import OfferFields, StoredOffer

_NUMBER_BITS = 28
_PRICES = (1 << 35) - 1
# Ages in ticks of 64 ms since 2020, so many that five classes of them fit into 36 bits: until 2047.
_TICKS = 13_600_000_000
_FIRST_MILLISECOND = 1_577_836_800_000


def documents_of(offer: StoredOffer, analysis: Analysis) -> Iterable[tantivy.Document]:
    """An offer and its page as everybody sees them, and those that customer groups see in their place."""
    if offer.fields is None:
        return
    usual = _offer_document(offer, offer.fields, offer.document, analysis)
    usual.add_text("spelled", prepared(_written(offer.fields)))
    if offer.groups:
        usual.add_text("kind", "varied")
    pages = [usual, _page_document(offer, offer.page)]
    for document in pages:
        document.add_text("audience", EVERYBODY)
        for each in offer.groups:
            document.add_text("replaced_for", each.group)
    yield from pages
    for each in offer.groups:
        if each.fields is not None:
            own = _offer_document(offer, each.fields, each.document, analysis)
            for document in (own, _page_document(offer, each.page)):
                document.add_text("audience", audience_of(each.group))
                yield document


def _written(fields: OfferFields) -> str:
    return f"{fields.title} {fields.names}"


def _offer_document(offer: StoredOffer, fields: OfferFields, ready: bytes, analysis: Analysis) -> tantivy.Document:
    document = tantivy.Document()
    document.add_text("key", offer.product_id)
    document.add_text("offer_slug", offer.slug)
    document.add_text("kind", "offer")
    document.add_text("kind", "available" if fields.is_available else "unavailable")
    if fields.is_sold_out:
        document.add_text("kind", "sold_out")
    written = _written(fields)
    document.add_text("title", analysis.indexed(fields.title))
    document.add_text("names", analysis.indexed(written))
    document.add_text("text", analysis.indexed(f"{written} {fields.text}"))
    for code in fields.codes:
        document.add_text("codes", code)
    if fields.brand:
        document.add_text("brand", fields.brand)
        document.add_text("brand_key", fields.brand.casefold())
    _add_categories(document, fields.categories)
    for option in fields.options:
        document.add_text("options", option)
        document.add_text("option_keys", _key_of(option))
    for together in {key for choice in fields.choices for key in _keys_together(tuple(choice))}:
        document.add_text("choice_keys", together)
    for attribute in fields.attributes:
        document.add_text("attributes", attribute)
        document.add_text("attribute_keys", _key_of(attribute))
    if fields.price is not None:
        document.add_unsigned("price", max(fields.price, 0))
    for name, key in _sort_keys(offer.number, fields).items():
        document.add_unsigned(name, key)
    document.add_bytes("facets", _encode_facets(_facets_of(fields)))
    document.add_float("boost", (1.3 if fields.is_featured else 1.0) * (1.0 if fields.is_available else 0.7))
    document.add_bytes("document", ready)
    return document


def _page_document(offer: StoredOffer, page: bytes) -> tantivy.Document:
    """Kept apart, so that a list does not unpack the descriptions of its neighbours."""
    document = tantivy.Document()
    document.add_text("key", offer.product_id)
    document.add_text("slug", offer.slug)
    document.add_bytes("page", page)
    return document


def _add_categories(document: tantivy.Document, categories: Iterable[str]) -> None:
    terms: set[str] = set()
    for category in categories:
        document.add_text("category", category)
        terms.update(_named_by(category))
    for term in terms:
        document.add_text("categories", term)


# Many offers have the same options and stand in the same categories.


@lru_cache(maxsize=10_000)
def _key_of(term: str) -> str:
    """What an option or attribute, as fields have it, is filtered by."""
    return option_key(*term.split("\x1f", 2)[:2])


@lru_cache(maxsize=10_000)
def _keys_together(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(choice_keys(options))


@lru_cache(maxsize=10_000)
def _named_by(category: str) -> tuple[str, str]:
    """A category's path and its slug, either of which a filter may name."""
    path = category.split("\x1f", 1)[0]
    return path, path.rsplit("/", 1)[-1]


def _sort_keys(number: int, fields: OfferFields) -> dict[str, int]:
    """One number per order, rising, and different for each offer of a shop: a cursor needs nothing else.

    What is sold out comes last in each. Of offers of one moment (a tick of 64 ms) the one sold last is the newer one.
    """
    price = _PRICES if fields.price is None else min(max(fields.price, 0), _PRICES)
    falling = _PRICES if fields.price is None else _PRICES - price
    age = _TICKS - min(max((fields.created_milliseconds - _FIRST_MILLISECOND) >> 6, 0), _TICKS)
    rank = 4 if fields.is_sold_out else 2 * (not fields.is_featured) + (not fields.is_available)
    last = fields.is_sold_out << 35
    latest = (1 << _NUMBER_BITS) - 1 - number
    return {
        "by_rank": (rank * (_TICKS + 1) + age) << _NUMBER_BITS | latest,
        "by_price": (last | price) << _NUMBER_BITS | number,
        "by_price_falling": (last | falling) << _NUMBER_BITS | number,
        "by_newest": (last | age) << _NUMBER_BITS | latest,
    }


# --- what it is counted under


class Facets(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an offer is counted under, and filtered by, as its fields have it."""

    price: int | None
    brand: str | None
    categories: list[str]
    options: list[str]
    attributes: list[str]
    is_available: bool


_encode_facets = msgspec.msgpack.Encoder().encode
decode_facets = msgspec.msgpack.Decoder(Facets).decode


def _facets_of(fields: OfferFields) -> Facets:
    price = None if fields.price is None else max(fields.price, 0)
    brand = fields.brand or None
    return Facets(price, brand, fields.categories, fields.options, fields.attributes, fields.is_available)
