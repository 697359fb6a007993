"""An offer from what catalog and inventory know: a pure function, the same whoever calls it."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import orjson

from services.search.models import OfferFields
from services.search.use_cases.conditions import SeenStock, Subject, judge, seen_of, subject_of
from shared.contracts.catalog.offers import AttributePart, CategoryPart, ProductPart, VariantPart
from shared.contracts.inventory.shapes import Availability
from shared.money import Money

# Separates a name from its value in one indexed term; no text of the trade contains it.
SEPARATOR = "\x1f"
# A tag ends before the next begins, which keeps this linear whatever the text is.
_TAG = re.compile(r"<[^<>]*>")
_LONGEST_MARKUP = 100_000
_LONGEST_TEXT = 20_000
_LONGEST_SEO_DESCRIPTION = 300


@dataclass(frozen=True, slots=True)
class AssembledOffer:
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


@dataclass(frozen=True, slots=True)
class Assembly:
    """What became of a product: its offer, or None; and when (UTC) a date will change that by itself.

    `judged` are all its variants in their order, also those that are not sold. `groups` are the customer groups who see
    another offer, or none, because prices are others for them.
    """

    offer: AssembledOffer | None
    changes_at: datetime | None
    judged: list[JudgedVariant]
    groups: Mapping[str, AssembledOffer | None] = field(default_factory=dict)


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
    variants = [_variant(subject) for subject in listed]
    document = orjson.dumps({**head, "variants": variants})
    details = [{**variant, **_variant_details(subject)} for variant, subject in zip(variants, listed, strict=True)]
    plain = _plain_text(product.description_html)
    page = orjson.dumps({**head, "variants": details, **_details(product, plain)})
    fields = _fields(product, listed, shown, first, plain)
    return AssembledOffer(
        product.slug, document, page, msgspec.structs.replace(fields, is_sold_out=True) if is_sold_out else fields
    )


def _head(product: ProductPart, listed: Sequence[Subject], shown: Sequence[Subject], first: Subject) -> dict[str, Any]:
    image = first.variant.image or next(iter(product.images), None)
    return {
        "slug": product.slug,
        "title": product.title,
        "brand": product.brand,
        "sku": first.variant.sku,
        "price": _price(first),
        "list_price": _list_price(first),
        "available": first.can_be_bought,
        "available_quantity": sum(_quantity(subject) for subject in listed),
        "image": image,
        "categories": [_category(category) for category in product.categories],
        "options": _options(listed, shown),
    }


def _variant(subject: Subject) -> dict[str, Any]:
    return {
        "sku": subject.variant.sku,
        "price": _price(subject),
        "available": subject.can_be_bought,
        "available_quantity": _quantity(subject),
        "options": subject.variant.options,
    }


def _variant_details(subject: Subject) -> dict[str, Any]:
    variant, stock = subject.variant, subject.stock
    return {
        "list_price": _list_price(subject),
        "availability": subject.availability,
        "available_from": stock.available_from,
        "restock_date": stock.restock_date,
        "barcode": variant.barcode,
        "barcodes": variant.barcodes,
        "mpn": variant.mpn,
        "weight_grams": variant.weight_grams,
        "weight": variant.weight and {"value": str(variant.weight.value), "unit": variant.weight.unit},
        "dimensions": variant.dimensions and variant.dimensions.model_dump(mode="json"),
        "typed_attributes": variant.typed_attributes,
        "image": variant.image,
        "tiers": [
            {
                "minimum_quantity": tier.minimum_quantity,
                "price": _money(tier.price),
                "list_price": _money(tier.list_price),
            }
            for tier in variant.tiers
        ],
        "length_mm": variant.length_mm,
        "width_mm": variant.width_mm,
        "height_mm": variant.height_mm,
        "order_limits": variant.order_limits and variant.order_limits.model_dump(),
    }


def _details(product: ProductPart, plain: str) -> dict[str, Any]:
    """What only the page has; `plain` is its description without markup. orjson writes parts as they are."""
    description = product.seo_description or plain[:_LONGEST_SEO_DESCRIPTION]
    return {
        "product_id": str(product.id),
        "description_html": product.description_html,
        "content_html": product.content_html,
        "product_type": product.product_type,
        "tags": product.tags,
        "attributes": product.attributes,
        "typed_attributes": product.typed_attributes,
        "images": product.images,
        "media": product.media,
        "breadcrumbs": [
            [{"slug": slug, "name": name} for slug, name in zip(category.path, category.names, strict=True)]
            for category in product.categories
        ],
        "seo": {"title": product.seo_title or product.title, "description": description},
        "updated_at": product.updated_at,
    }


def _fields(
    product: ProductPart, listed: Sequence[Subject], shown: Sequence[Subject], first: Subject, plain: str
) -> OfferFields:
    price = first.single_price
    names = [product.brand or "", product.product_type or "", *product.tags]
    names += [name for category in product.categories for name in category.names]
    names += [value for subject in listed for value in subject.variant.options.values()]
    return OfferFields(
        title=product.title,
        names=" ".join(dict.fromkeys(name for name in names if name)),
        text=" ".join([*product.attributes.values(), plain])[:_LONGEST_TEXT],
        codes=[code for subject in listed for code in _codes(subject.variant)],
        brand=product.brand,
        categories=list(_branches(product.categories)),
        options=sorted({_pair(*option) for subject in shown for option in subject.variant.options.items()}),
        price=None if price is None else price.price.amount,
        is_available=first.can_be_bought,
        is_featured=product.featured,
        # The id is a UUIDv7 (RFC 9562 §5.7): its first 48 bits are the milliseconds of its making.
        created_milliseconds=product.id.int >> 80,
        attributes=_facts(product, shown),
        choices=_choices(shown),
    )


def _choices(shown: Sequence[Subject]) -> list[list[str]]:
    """The options of each variant that has several, each choice once."""
    several = [subject for subject in shown if len(subject.variant.options) > 1]
    return [list(choice) for choice in dict.fromkeys(map(_choice, several))]


def _choice(subject: Subject) -> tuple[str, ...]:
    return tuple(_pair(*option) for option in subject.variant.options.items())


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


def _pair(name: str, value: str) -> str:
    return f"{name}{SEPARATOR}{value}"


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


def _price(subject: Subject) -> dict[str, Any] | None:
    return None if subject.single_price is None else _money(subject.single_price.price)


def _list_price(subject: Subject) -> dict[str, Any] | None:
    return None if subject.single_price is None else _money(subject.single_price.list_price)


def _money(money: Money | None) -> dict[str, Any] | None:
    return None if money is None else {"amount": money.amount, "currency": money.currency}


def _category(category: CategoryPart) -> dict[str, Any]:
    return {"slug": category.slug, "name": category.name, "path": category.path}


def _plain_text(markup: str) -> str:
    text = _TAG.sub(" ", markup[:_LONGEST_MARKUP])
    return " ".join((html.unescape(text) if "&" in text else text).split())
