"""An offer from what catalog and inventory know: a pure function, the same whoever calls it."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.search.models import OfferFields
from services.search.use_cases.conditions import SeenStock, Subject, judge, seen_of, subject_of
from shared.contracts.catalog.offers import (
    AttributePart,
    CategoryPart,
    ImagePart,
    MediaPart,
    PriceTier,
    ProductPart,
    VariantPart,
)
from shared.contracts.catalog.shapes import OrderLimits
from shared.contracts.inventory.shapes import Availability
from shared.contracts.search.shapes import VariantAvailability
from shared.contracts.structs import as_fields
from shared.measures import Dimensions, Weight
from shared.money import Money

# Separates a name from its value in one indexed term; no text of the trade contains it.
SEPARATOR = "\x1f"
# A tag ends before the next begins, which keeps this linear whatever the text is.
_TAG = re.compile(r"<[^<>]*>")
_LONGEST_MARKUP = 100_000
_LONGEST_TEXT = 20_000
_LONGEST_SEO_DESCRIPTION = 300


class AssembledOffer(msgspec.Struct, frozen=True, gc=False):
    """An offer's ready JSON for lists and for its page, and what it is found by."""

    slug: str
    document: bytes
    page: bytes
    fields: OfferFields


class JudgedVariant(msgspec.Struct, frozen=True, array_like=True):
    """What was seen of a variant's stock, and what became of it: whether it is listed, and can be bought."""

    seen: SeenStock
    is_listed: bool
    can_be_bought: bool


class Assembly(msgspec.Struct, frozen=True, gc=False):
    """What became of a product: its offer, or None; and when (UTC) a date will change that by itself.

    `judged` are all its variants in their order, also those that are not sold. `groups` are the customer groups who see
    another offer, or none, because prices are others for them.
    """

    offer: AssembledOffer | None
    changes_at: datetime | None
    judged: list[JudgedVariant]
    groups: Mapping[str, AssembledOffer | None] = msgspec.field(default_factory=dict)


def assemble(
    product: ProductPart, stock: Mapping[str, Availability], today: date, *, keeps_sold_out: bool = False
) -> Assembly:
    """What a shop shows of `product` on one day (UTC). A SKU without an entry in `stock` has none.

    With `keeps_sold_out`, it also shows a product of which nothing is left, as an offer that is sold out.
    """
    subjects = subjects_of(product, stock, today)
    shown, listed, judged = [], [], []
    for subject in subjects:
        is_shown, is_listed = judge(subject)
        if is_shown:
            shown.append(subject)
        if is_listed:
            listed.append(subject)
        judged.append(JudgedVariant(seen_of(subject.stock, today), is_listed, subject.can_be_bought))
    is_kept = keeps_sold_out and not shown
    offer = _offer(product, listed, shown or listed, is_sold_out=is_kept) if shown or (is_kept and listed) else None
    groups = {}
    if offer is not None:
        for group in dict.fromkeys(group for variant in product.variants for group in variant.groups):
            theirs = assemble(priced_for(product, group), stock, today, keeps_sold_out=keeps_sold_out)
            groups[group] = theirs.offer
    return Assembly(offer, _next_change(subjects, today), judged, groups)


def priced_for(product: ProductPart, group: str) -> ProductPart:
    """`product` at the prices of a customer group."""

    def of_group(variant: VariantPart) -> VariantPart:
        prices = variant.groups.get(group)
        if prices is None:
            return replace(variant, groups={})
        return replace(variant, tiers=prices.tiers, price_on_request=prices.price_on_request, groups={})

    return replace(product, variants=[of_group(variant) for variant in product.variants])


def is_kept(subject: Subject, among: Iterable[Subject]) -> bool:
    """Whether a shop that keeps what is sold out shows this one of a product's variants: none of them is sold."""
    return judge(subject) == (False, True) and not any(judge(each)[0] for each in among)


def subjects_of(product: ProductPart, stock: Mapping[str, Availability], today: date) -> list[Subject]:
    """Each variant of `product` with its stock."""
    return [subject_of(product, variant, _stock_of(variant, stock), today) for variant in product.variants]


def _stock_of(variant: VariantPart, stock: Mapping[str, Availability]) -> Availability:
    return stock.get(variant.sku) or Availability(sku=variant.sku, available=False, available_quantity=0)


def _next_change(subjects: Iterable[Subject], today: date) -> datetime | None:
    coming = []
    for subject in subjects:
        begins, ends = subject.stock.available_from, subject.stock.available_until
        if begins is not None and begins > today:
            coming.append(begins)
        if ends is not None and ends >= today:
            coming.append(ends + timedelta(days=1))
    return datetime.combine(min(coming), time(), UTC) if coming else None


def _offer(
    product: ProductPart, listed: Sequence[Subject], shown: Sequence[Subject], *, is_sold_out: bool
) -> AssembledOffer:
    first = next((subject for subject in shown if subject.can_be_bought), shown[0])
    head = _head(product, listed, shown, first)
    plain = _plain_text(product.description_html)
    document = _encode(_Document(**head, variants=[*map(_variant, listed)]))
    page = _encode(_Page(**head, variants=[*map(_variant_on_page, listed)], **_details(product, plain)))
    fields = _fields(product, listed, shown, first, plain, is_sold_out=is_sold_out)
    return AssembledOffer(product.slug, document, page, fields)


# --- ready JSON: what these structs have is written in their order


class _Variant(msgspec.Struct, frozen=True, gc=False):
    sku: str
    price: Money | None
    available: bool
    available_quantity: int
    options: Mapping[str, str]


class _VariantOnPage(_Variant, frozen=True, gc=False):
    list_price: Money | None
    availability: VariantAvailability
    available_from: date | None
    restock_date: date | None
    barcode: str | None
    barcodes: list[str]
    mpn: str | None
    weight_grams: int | None
    weight: Weight | None
    dimensions: Dimensions | None
    typed_attributes: list[AttributePart]
    image: ImagePart | None
    tiers: list[PriceTier]
    length_mm: int | None
    width_mm: int | None
    height_mm: int | None
    order_limits: OrderLimits | None


class _Category(msgspec.Struct, frozen=True, gc=False):
    slug: str
    name: str
    path: list[str]


class _Head(msgspec.Struct, frozen=True, gc=False):
    slug: str
    title: str
    brand: str | None
    sku: str
    price: Money | None
    list_price: Money | None
    available: bool
    available_quantity: int
    image: ImagePart | None
    categories: list[_Category]
    options: Mapping[str, list[str]]


class _Document(_Head, frozen=True, gc=False):
    variants: list[_Variant]


class _Crumb(msgspec.Struct, frozen=True, gc=False):
    slug: str
    name: str


class _Seo(msgspec.Struct, frozen=True, gc=False):
    title: str
    description: str


class _Page(_Head, frozen=True, gc=False):
    variants: list[_VariantOnPage]
    product_id: UUID
    description_html: str
    content_html: str | None
    product_type: str | None
    tags: list[str]
    attributes: Mapping[str, str]
    typed_attributes: list[AttributePart]
    images: list[ImagePart]
    media: list[MediaPart]
    breadcrumbs: list[list[_Crumb]]
    seo: _Seo
    updated_at: str


_encode = msgspec.json.Encoder(enc_hook=as_fields).encode


def _head(product: ProductPart, listed: Sequence[Subject], shown: Sequence[Subject], first: Subject) -> dict[str, Any]:
    return {
        "slug": product.slug,
        "title": product.title,
        "brand": product.brand,
        "sku": first.variant.sku,
        "price": _price(first),
        "list_price": _list_price(first),
        "available": first.can_be_bought,
        "available_quantity": sum(map(_quantity, listed)),
        "image": first.variant.image or next(iter(product.images), None),
        "categories": [_Category(category.slug, category.name, category.path) for category in product.categories],
        "options": _options(listed, shown),
    }


def _variant(subject: Subject) -> _Variant:
    variant = subject.variant
    return _Variant(variant.sku, _price(subject), subject.can_be_bought, _quantity(subject), variant.options)


def _variant_on_page(subject: Subject) -> _VariantOnPage:
    variant, stock = subject.variant, subject.stock
    return _VariantOnPage(
        sku=variant.sku,
        price=_price(subject),
        available=subject.can_be_bought,
        available_quantity=_quantity(subject),
        options=variant.options,
        list_price=_list_price(subject),
        availability=subject.availability,
        available_from=stock.available_from,
        restock_date=stock.restock_date,
        barcode=variant.barcode,
        barcodes=variant.barcodes,
        mpn=variant.mpn,
        weight_grams=variant.weight_grams,
        weight=variant.weight,
        dimensions=variant.dimensions,
        typed_attributes=variant.typed_attributes,
        image=variant.image,
        tiers=variant.tiers,
        length_mm=variant.length_mm,
        width_mm=variant.width_mm,
        height_mm=variant.height_mm,
        order_limits=variant.order_limits,
    )


def _details(product: ProductPart, plain: str) -> dict[str, Any]:
    """What only the page has; `plain` is the product's description without markup."""
    description = product.seo_description or plain[:_LONGEST_SEO_DESCRIPTION]
    return {
        "product_id": product.id,
        "description_html": product.description_html,
        "content_html": product.content_html,
        "product_type": product.product_type,
        "tags": product.tags,
        "attributes": product.attributes,
        "typed_attributes": product.typed_attributes,
        "images": product.images,
        "media": product.media,
        "breadcrumbs": [[*map(_Crumb, category.path, category.names)] for category in product.categories],
        "seo": _Seo(product.seo_title or product.title, description),
        "updated_at": product.updated_at,
    }


# --- what it is found by


def _fields(
    product: ProductPart,
    listed: Sequence[Subject],
    shown: Sequence[Subject],
    first: Subject,
    plain: str,
    *,
    is_sold_out: bool,
) -> OfferFields:
    price = first.single_price
    names = [product.brand or "", product.product_type or "", *product.tags]
    names += [name for category in product.categories for name in category.names]
    names += [value for subject in listed for value in subject.variant.options.values()]
    choices = list(map(_choice, shown))
    return OfferFields(
        title=product.title,
        names=" ".join(dict.fromkeys(name for name in names if name)),
        text=" ".join([*product.attributes.values(), plain])[:_LONGEST_TEXT],
        codes=[code for subject in listed for code in _codes(subject.variant)],
        brand=product.brand,
        categories=list(_branches(product.categories)),
        options=sorted(set(chain.from_iterable(choices))),
        price=None if price is None else price.price.amount,
        is_available=first.can_be_bought,
        is_featured=product.featured,
        # The id is a UUIDv7 (RFC 9562 §5.7): its first 48 bits are the milliseconds of its making.
        created_milliseconds=product.id.int >> 80,
        attributes=_facts(product, shown),
        is_sold_out=is_sold_out,
        choices=[list(choice) for choice in dict.fromkeys(choices) if len(choice) > 1],
    )


def _choice(subject: Subject) -> tuple[str, ...]:
    return tuple([f"{name}{SEPARATOR}{value}" for name, value in subject.variant.options.items()])


def _facts(product: ProductPart, shown: Sequence[Subject]) -> list[str]:
    """Attributes that buyers filter by, of the product and of the variants that are sold; each value once."""
    parts = [*product.typed_attributes, *(part for subject in shown for part in subject.variant.typed_attributes)]
    return sorted({fact for part in parts if part.is_facet for fact in _facts_of(part)})


def _facts_of(part: AttributePart) -> list[str]:
    """One fact per value; of several choices, each as it is shown."""
    if isinstance(part.value, list):
        texts = part.text.split(", ")
        shown = zip(part.value, texts if len(texts) == len(part.value) else part.value, strict=True)
        return [SEPARATOR.join((part.code, value, part.label, text)) for value, text in shown]
    value = str(part.value).lower() if isinstance(part.value, bool) else str(part.value)
    return [SEPARATOR.join((part.code, value, part.label, part.text))]


def _codes(variant: VariantPart) -> list[str]:
    return [code for code in (variant.sku, variant.barcode, *variant.barcodes, variant.mpn) if code]


def _branches(categories: Iterable[CategoryPart]) -> dict[str, None]:
    """Each category on the way from the root, as path, name and position."""
    return {
        SEPARATOR.join(("/".join(category.path[: depth + 1]), name, str(position))): None
        for category in categories
        for depth, (name, position) in enumerate(zip(category.names, _positions(category), strict=True))
    }


def _positions(category: CategoryPart) -> Sequence[int]:
    """A catalog that is not updated yet knows none."""
    return category.positions or [0] * len(category.path)


def _options(listed: Iterable[Subject], shown: Iterable[Subject]) -> dict[str, list[str]]:
    """The values that can be chosen, in the order of all variants: one that is sold out moves none of the others."""
    chosen = {option for subject in shown for option in subject.variant.options.items()}
    options: dict[str, dict[str, None]] = {}
    for subject in listed:
        for name, value in subject.variant.options.items():
            if (name, value) in chosen:
                options.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in options.items()}


def _quantity(subject: Subject) -> int:
    return quantity_shown(subject.stock, can_be_bought=subject.can_be_bought)


def quantity_shown(stock: Availability, *, can_be_bought: bool) -> int:
    """How much of a variant an offer says there is."""
    return max(stock.available_quantity, 0) if can_be_bought else 0


def _price(subject: Subject) -> Money | None:
    return None if subject.single_price is None else subject.single_price.price


def _list_price(subject: Subject) -> Money | None:
    return None if subject.single_price is None else subject.single_price.list_price


def _plain_text(markup: str) -> str:
    text = _TAG.sub(" ", markup[:_LONGEST_MARKUP])
    return " ".join((html.unescape(text) if "&" in text else text).split())
