"""What one shop shows of products, and what lines cost in it: the parts that offers and quotes are made of.

A product is sold in a shop when it is active and stands in an open category that is assigned to the shop; a category
stands for its whole branch. A sub-shop without assignments of its own has its parent's. Prices: see `price_resolution`.
What a shop has of its own of a product (CAT-4): see `channel_view`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import orjson

from services.catalog.errors import TooManyProducts
from services.catalog.models.attributes import Definition, plain_part
from services.catalog.models.media import together
from services.catalog.repository import attributes, channel_content, offers, price_terms, terms_of_sale
from services.catalog.repository.offers import KnownCategory, Texts
from services.catalog.repository.price_terms import PriceTerms
from services.catalog.repository.products import dimensions_of, weight_of
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import channel_offers, price_resolution
from services.catalog.use_cases.channels import Channel
from services.catalog.use_cases.price_resolution import Situation, Standing, resolve_price
from shared import clock
from shared.contracts.catalog.messages import PriceLine, PriceLines
from shared.contracts.catalog.offers import (
    AttributePart,
    CategoryPart,
    GroupPrices,
    ImagePart,
    LinePrice,
    MediaPart,
    OfferParts,
    PriceTier,
    ProductPart,
    VariantPart,
)
from shared.money import Money
from shared.unit_of_work import UnitOfWork

MOST_PRODUCTS = 200
_decode_images = msgspec.json.Decoder(list[ImagePart]).decode


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a shop sells."""

    shop: KnownShop
    standing: Standing
    assigned: set[UUID]
    # Itself, and whom it inherits from.
    line: list[KnownShop]
    # How prices stand for each customer group that has lists of its own now; of these, only where all are asked for.
    groups: Mapping[str, Standing]
    # Every group that any list is for.
    customer_groups: list[str]
    # The code of the shop whose categories these are.
    assigned_in: str | None

    @property
    def list_ids(self) -> list[UUID]:
        """Every price list that counts for anybody."""
        return list(dict.fromkeys(_all(each.ranks for each in (self.standing, *self.groups.values()))))

    @property
    def locales(self) -> list[str]:
        """The shop's locale, then its bare language."""
        return self.shop.locales


async def parts(
    uow: UnitOfWork, shop_id: UUID, product_ids: list[UUID], connection_id: UUID | None = None
) -> OfferParts:
    """These products as one shop shows them, or a connection of it.

    Those that are gone, and all in a shop that is gone, are left out.
    """
    if len(product_ids) > MOST_PRODUCTS:
        raise TooManyProducts(f"At most {MOST_PRODUCTS} products at a time.")
    setting = await _setting(uow, shop_id, Situation(clock.now()), to_all=True)
    if setting is None:
        return OfferParts(products=[])
    product_ids = list(dict.fromkeys(product_ids))
    rows = await offers.list_products(uow, product_ids)
    texts = await offers.texts_of_products(uow, product_ids, setting.locales)
    variants = await offers.variants_of_products(uow, product_ids)
    channels = Channel(setting.shop, connection_id).line(setting.line)
    views = await channel_offers.views_of(uow, channels, product_ids)
    memberships = channel_offers.shown_places(await offers.category_ids_of_products(uow, product_ids), views)
    categories = await offers.categories_with_ancestors(uow, _all(memberships.values()))
    variant_ids = [variant["id"] for variant in _all(variants.values())]
    prices = await price_terms.price_terms(uow, setting.list_ids, variant_ids)
    words = _Words(setting.locales, await attributes.definitions_for(uow, [*rows, *_all(variants.values())]))
    places = _Places(categories, setting)
    products = []
    for row in rows:
        said = texts.get(row["id"], {})
        media = _media(row, words.locales)
        variant_parts = [
            _variant_part(variant, _options(row, variant, said), prices.get(variant["id"], ()), setting, words, media)
            for variant in variants.get(row["id"], ())
        ]
        in_categories = places.parts(memberships.get(row["id"], ()))
        products.append(_product_part(row, said, variant_parts, in_categories, words, media))
    shown = channel_offers.shown_parts(products, texts, views)
    own = [] if connection_id is None else [view.own for view in views.values() if view.own]
    owned = channel_offers.owned_parts(own, variants)
    return OfferParts(shown, setting.shop.version, setting.customer_groups, setting.assigned_in, owned)


@dataclass(frozen=True, slots=True)
class _Words:
    """What attributes are called in a shop."""

    locales: list[str]
    definitions: Mapping[str, Definition]
    # What many products have is made once.
    made: dict[tuple[str, str], AttributePart] = field(default_factory=dict)

    def parts(self, stored: str, said: Mapping[str, str]) -> list[AttributePart]:
        """Attributes as they are shown; `said` are translations of texts."""
        if stored == "{}":
            return []
        return [self._part(code, said.get(code, text)) for code, text in sorted(orjson.loads(stored).items())]

    def _part(self, code: str, text: str) -> AttributePart:
        part = self.made.get((code, text))
        if part is None:
            definition = self.definitions.get(code)
            part = plain_part(code, text) if definition is None else definition.part(text, self.locales)
            self.made[code, text] = part
        return part


async def price_together(uow: UnitOfWork, asked: Sequence[PriceLines]) -> list[list[LinePrice]]:
    """As `price_lines`, for each: those of one shop and kind of buyer are looked up together, each line once."""
    alike: dict[tuple[UUID, str | None, str | None], list[PriceLines]] = {}
    for message in asked:
        alike.setdefault(_situation_of(message), []).append(message)
    told: dict[tuple[object, str, int], LinePrice] = {}
    for situation, messages in alike.items():
        lines = list({(line.sku, line.quantity): line for message in messages for line in message.lines}.values())
        prices = await price_lines(uow, messages[0].model_copy(update={"lines": lines}))
        told |= {(situation, line.sku, line.quantity): price for line, price in zip(lines, prices, strict=True)}
    return [[told[_situation_of(message), line.sku, line.quantity] for line in message.lines] for message in asked]


def _situation_of(message: PriceLines) -> tuple[UUID, str | None, str | None]:
    return message.shop_id, message.customer_group, message.centre


async def price_lines(uow: UnitOfWork, asked: PriceLines) -> list[LinePrice]:
    """What each line costs in a shop now, in the order of the lines."""
    situation = Situation(clock.now(), asked.customer_group, asked.centre)
    setting = await _setting(uow, asked.shop_id, situation)
    if setting is None:
        return [_refused(line.sku, "unknown_shop") for line in asked.lines]
    stored = await offers.variants_by_sku(uow, list({line.sku for line in asked.lines}))
    product_ids = {row["product_id"] for row in stored.values()}
    views = await channel_offers.views_of(uow, setting.line, product_ids)
    found = channel_offers.shown_rows(stored, views)
    places = {row["product_id"]: row["category_ids"] for row in stored.values()}
    sold = await _sold_product_ids(uow, setting, channel_offers.shown_places(places, views))
    variant_ids = [row["id"] for row in found.values()]
    prices = await price_terms.price_terms(uow, list(setting.standing.ranks), variant_ids)
    return [_line_price(line, found.get(line.sku), sold, prices, setting, views) for line in asked.lines]


async def _setting(uow: UnitOfWork, shop_id: UUID, situation: Situation, *, to_all: bool = False) -> _Setting | None:
    terms = await terms_of_sale.find(uow, shop_id, situation.customer_group, situation.at, to_all=to_all)
    if terms is None:
        return None
    standing = price_resolution.stand(terms.line, terms.lists, situation)
    listed = {each.customer_group for each in terms.lists if each.customer_group is not None} if to_all else set()
    groups = {
        group: price_resolution.stand(terms.line, terms.lists, replace(situation, customer_group=group))
        for group in sorted(listed)
    }
    return _Setting(
        terms.line[0], standing, terms.assigned, terms.line, groups, sorted(terms.customer_groups), terms.assigned_in
    )


async def _sold_product_ids(
    uow: UnitOfWork, setting: _Setting, memberships: Mapping[UUID, Sequence[UUID]]
) -> set[UUID]:
    """Those of these products, each with its categories, that the shop sells as far as these decide."""
    categories = await offers.places_with_ancestors(uow, set(_all(memberships.values())))
    return {
        product_id
        for product_id, category_ids in memberships.items()
        if offers.assigned_paths(category_ids, categories, setting.assigned)
    }


def _line_price(
    line: PriceLine,
    row: Mapping[str, Any] | None,
    sold: set[UUID],
    prices: Mapping[UUID, list[PriceTerms]],
    setting: _Setting,
    views: channel_offers.Views,
) -> LinePrice:
    """`row` is what the shop shows of the variant; None where there is no such SKU."""
    if row is None:
        return _refused(line.sku, "unknown_sku")
    price = resolve_price(setting.standing, prices.get(row["id"], ()), line.quantity)
    reason = _why_unsold(row, price, sold)
    told = None if reason is not None else price
    currency = setting.shop.currency
    return LinePrice.known(
        sku=line.sku,
        product_id=row["product_id"],
        title=_line_title(row),
        unit_price=told and _money(told.price, currency),
        list_price=told and channel_offers.shown_list_price(_money(told.list_price, currency), row, views),
        weight_grams=row["weight_grams"],
        tax_class=row["tax_class"],
        reason=reason,
        backorder=row["backorder"],
        order_limits=row["order_limits"],
    )


def _why_unsold(row: Mapping[str, Any], price: PriceTerms | None, sold: set[UUID]) -> str | None:
    """Why the shop cannot sell a variant; None where it can."""
    if row["status"] != "active":
        return "not_active"
    if row["product_id"] not in sold:
        return "not_assigned"
    if row["price_on_request"] or (price is not None and price.price is None):
        return "price_on_request"
    return "no_price" if price is None else None


def _refused(sku: str, reason: str) -> LinePrice:
    return LinePrice(sku=sku, product_id=None, title=None, unit_price=None, reason=reason)


def _line_title(row: Mapping[str, Any]) -> str:
    values = " / ".join(row["option_values"])
    return f"{row['title']} ({values})" if values else row["title"]


def _product_part(
    row: Mapping[str, Any],
    said: Texts,
    variants: list[VariantPart],
    categories: list[CategoryPart],
    words: _Words,
    media: list[MediaPart],
) -> ProductPart:
    typed = words.parts(row["attributes"], said.get("attributes", {}))
    part = ProductPart(
        id=row["id"],
        slug=row["slug"],
        title=row["title"],
        description_html=row["description_html"],
        brand=row["brand"],
        product_type=row["product_type"],
        tags=row["tags"],
        status=row["status"],
        featured=row["featured"],
        seo_title=row["seo_title"],
        seo_description=row["seo_description"],
        content_html=row["content_html"],
        version=row["version"],
        attributes={attribute.code: attribute.text for attribute in typed},
        typed_attributes=typed,
        updated_at=row["updated_at"].isoformat(),
        is_assigned=bool(categories),
        categories=categories,
        images=[ImagePart(medium.url, medium.alt) for medium in media if medium.kind == "image"],
        media=media,
        variants=variants,
    )
    return (
        msgspec.structs.replace(part, **{word: said[word] for word in offers.WORDS if word in said}) if said else part
    )


def _media(row: Mapping[str, Any], locales: Iterable[str]) -> list[MediaPart]:
    """A product's pictures and other media, with alt texts in the shop's language where there are any."""
    if row["media"] == "[]":
        media = [MediaPart("image", image.url, image.alt) for image in _decode_images(row["images"])]
    else:
        media = [MediaPart(**each) for each in together(orjson.loads(row["images"]), orjson.loads(row["media"]))]
    if row["alts"] == "{}":
        return media
    alts = orjson.loads(row["alts"])
    return [_with_local_alt(medium, alts.get(medium.url, {}), locales) for medium in media]


def _with_local_alt(medium: MediaPart, by_locale: Mapping[str, str], locales: Iterable[str]) -> MediaPart:
    local = next((by_locale[locale] for locale in locales if locale in by_locale), None)
    return medium if local is None else msgspec.structs.replace(medium, alt=local)


def _options(product: Mapping[str, Any], variant: Mapping[str, Any], said: Texts) -> dict[str, str]:
    """A variant's options in the shop's words; where two would be called the same, in the product's own."""
    names, values = product["options"], variant["option_values"]
    if not said:
        return dict(zip(names, values, strict=False))
    local = {
        said["option_names"].get(name, name): said["option_values"].get(name, {}).get(value, value)
        for name, value in zip(names, values, strict=False)
    }
    return local if len(local) == len(values) else dict(zip(names, values, strict=False))


def _variant_part(
    row: asyncpg.Record,
    options: dict[str, str],
    prices: Sequence[PriceTerms],
    setting: _Setting,
    words: _Words,
    media: Iterable[MediaPart],
) -> VariantPart:
    found = [] if row["price_on_request"] else price_resolution.tiers(setting.standing, prices)
    return VariantPart(
        id=row["id"],
        sku=row["sku"],
        barcode=row["barcode"],
        barcodes=row["barcodes"],
        mpn=row["mpn"],
        weight_grams=row["weight_grams"],
        length_mm=row["length_mm"],
        width_mm=row["width_mm"],
        height_mm=row["height_mm"],
        options=options,
        tiers=_tiers(found, setting.shop.currency),
        price_on_request=row["price_on_request"] or _is_on_request(found),
        groups={} if row["price_on_request"] else _group_prices(found, prices, setting),
        weight=weight_of(row),
        dimensions=dimensions_of(row),
        image=_variant_image(row["image_url"], media),
        typed_attributes=words.parts(row["attributes"], {}),
        order_limits=channel_content.order_limits(row),
    )


def _group_prices(
    usual: list[tuple[int, PriceTerms]], prices: Sequence[PriceTerms], setting: _Setting
) -> dict[str, GroupPrices]:
    """What other groups pay, of those who pay something else than everybody."""
    if not setting.groups or not prices:
        return {}
    found = {group: price_resolution.tiers(standing, prices) for group, standing in setting.groups.items()}
    return {
        group: GroupPrices(_tiers(theirs, setting.shop.currency), _is_on_request(theirs))
        for group, theirs in found.items()
        if theirs != usual
    }


def _tiers(found: Iterable[tuple[int, PriceTerms]], currency: str) -> list[PriceTier]:
    return [tier for quantity, price in found if (tier := _tier(quantity, price, currency))]


def _is_on_request(found: Iterable[tuple[int, PriceTerms]]) -> bool:
    return any(price.price is None for _, price in found)


def _tier(quantity: int, terms: PriceTerms, currency: str) -> PriceTier | None:
    """A price from a quantity on; None where it is told on request."""
    price = _money(terms.price, currency)
    if price is None:
        return None
    return PriceTier(minimum_quantity=quantity, price=price, list_price=_money(terms.list_price, currency))


def _variant_image(url: str | None, media: Iterable[MediaPart]) -> ImagePart | None:
    """A variant's picture says what the product's own says of it."""
    if url is None:
        return None
    for medium in media:
        if medium.url == url:
            return ImagePart(url, medium.alt)
    return ImagePart(url)


@dataclass(slots=True)
class _Places:
    """Categories as a shop names them, each made once for all of the products that stand in it."""

    known: Mapping[UUID, KnownCategory]
    setting: _Setting
    made: dict[UUID, CategoryPart | None] = field(default_factory=dict)

    def parts(self, category_ids: Iterable[UUID]) -> list[CategoryPart]:
        """Those of these categories that the shop sells, by their paths."""
        found = [part for id_ in category_ids if (part := self._part(id_)) is not None]
        return sorted(found, key=lambda part: part.path) if len(found) > 1 else found

    def _part(self, category_id: UUID) -> CategoryPart | None:
        if category_id not in self.made:
            self.made[category_id] = self._made(category_id)
        return self.made[category_id]

    def _made(self, category_id: UUID) -> CategoryPart | None:
        for path in offers.assigned_paths([category_id], self.known, self.setting.assigned):
            names = [_name(category, self.setting.locales) for category in path]
            slugs = [_slug(category, self.setting.locales) for category in path]
            positions = [category.position for category in path]
            # The nearest of those that are assigned says why.
            assigned = max(depth for depth, category in enumerate(path, 1) if category.id in self.setting.assigned)
            return CategoryPart(path[-1].id, slugs[-1], names[-1], slugs, names, positions, slugs[:assigned])
        return None


def _name(category: KnownCategory, locales: Iterable[str]) -> str:
    return next((category.names[locale] for locale in locales if locale in category.names), category.name)


def _slug(category: KnownCategory, locales: Iterable[str]) -> str:
    return next((category.slugs[locale] for locale in locales if locale in category.slugs), category.slug)


@lru_cache(maxsize=10_000)
def _money(amount: int | None, currency: str) -> Money | None:
    """Many things cost the same, and an amount never changes."""
    return None if amount is None else Money(amount=amount, currency=currency)


def _all(groups: Iterable[Iterable[Any]]) -> list[Any]:
    return [member for group in groups for member in group]
