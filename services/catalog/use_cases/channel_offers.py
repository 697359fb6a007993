"""Offers and lines as a channel shows them, made of those that the master alone would give it (CAT-4)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from services.catalog.repository import channel_content
from services.catalog.repository.channel_content import KnownContent
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.channel_view import ChannelView
from shared.contracts.catalog.channel_content import TEXT_FIELDS
from shared.contracts.catalog.offers import ImagePart, MediaPart, OwnedPart, PriceTier, ProductPart, VariantPart
from shared.money import Money
from shared.unit_of_work import UnitOfWork

Views = Mapping[UUID, ChannelView]
Row = Mapping[str, Any]

_OF_VARIANT = ("weight_grams", "length_mm", "width_mm", "height_mm", "backorder", "order_limits")


async def views_of(uow: UnitOfWork, line: Sequence[KnownShop], product_ids: Iterable[UUID]) -> Views:
    """Of those products that the first shop of `line`, or one it inherits from, has anything of its own of.

    One statement; none where no shop of the line has anything of any product.
    """
    channels = [shop.id for shop in line if shop.has_content]
    contents = await channel_content.of_products(uow, channels, list(product_ids))
    return {product_id: ChannelView(line, own) for product_id, own in contents.items()}


def owned_parts(contents: Iterable[KnownContent], variants: Mapping[UUID, Sequence[Row]]) -> list[OwnedPart]:
    """Which fields of products, and of their variants, a channel owns itself."""
    owned = []
    for content in contents:
        skus = {row["id"]: row["sku"] for row in variants.get(content.product_id, ())}
        of_variants = [(skus[id_], own) for id_, own in content.variants.items() if id_ in skus]
        owned += [
            OwnedPart(content.product_id, sku, sorted(own.of_channel))
            for sku, own in [(None, content.product), *of_variants]
            if own.of_channel
        ]
    return owned


def shown_places(category_ids: Mapping[UUID, list[UUID]], views: Views) -> dict[UUID, list[UUID]]:
    """The categories of each product, as the shop has them."""
    own = {id_: view.of_product("category_ids", category_ids.get(id_, [])).value for id_, view in views.items()}
    return {**category_ids, **own}


def shown_parts(parts: Sequence[ProductPart], texts: Mapping[UUID, Row], views: Views) -> list[ProductPart]:
    """`parts` with what the shop shows in place of the master's. `texts`: by product, in the shop's language."""
    return [
        part if part.id not in views else _shown_part(part, texts.get(part.id) or {}, views[part.id]) for part in parts
    ]


def _shown_part(part: ProductPart, said: Row, view: ChannelView) -> ProductPart:
    shown = {
        name: view.of_product(name, getattr(part, name), None if said.get(name) is None else getattr(part, name)).value
        for name in TEXT_FIELDS
    }
    images = view.of_product("images", None)
    if images.source != "master":
        shown["images"] = [ImagePart(url=image["url"], alt=image.get("alt")) for image in images.value]
        pictures = [MediaPart(kind="image", url=image.url, alt=image.alt) for image in shown["images"]]
        shown["media"] = [*pictures, *(medium for medium in part.media if medium.kind != "image")]
    return replace(part, **shown, variants=[_shown_variant(each, view) for each in part.variants])


def _shown_variant(part: VariantPart, view: ChannelView) -> VariantPart:
    shown = {name: view.of_variant(part.id, name, getattr(part, name)).value for name in _OF_VARIANT}
    # Channels say whole grams and millimetres; what the merchant said in units of his own is the master's alone.
    if shown["weight_grams"] != part.weight_grams:
        shown["weight"] = None
    if any(shown[side] != getattr(part, side) for side in ("length_mm", "width_mm", "height_mm")):
        shown["dimensions"] = None
    return replace(part, **shown, tiers=[_shown_tier(part.id, tier, view) for tier in part.tiers])


def _shown_tier(variant_id: UUID, tier: PriceTier, view: ChannelView) -> PriceTier:
    return replace(tier, list_price=view.list_price(variant_id, tier.list_price).value)


def shown_rows(rows: Mapping[str, asyncpg.Record], views: Views) -> dict[str, Row]:
    """Variants by SKU, with what the shop shows of each and of its product; limits and backorders in one value each."""
    return {sku: _shown_row(row, views.get(row["product_id"])) for sku, row in rows.items()}


def _shown_row(row: asyncpg.Record, view: ChannelView | None) -> Row:
    master = {"backorder": None, "order_limits": channel_content.order_limits(row)}
    if view is None:
        return {**row, **master}
    of_line = {"weight_grams": row["weight_grams"], **master}
    shown = {name: view.of_variant(row["id"], name, value).value for name, value in of_line.items()}
    return {**row, **shown, "title": view.of_product("title", row["title"]).value}


def shown_list_price(price: Money | None, row: Row, views: Views) -> Money | None:
    """What the shop shows as the list price of the variant of a row, of which the master says `price`."""
    view = views.get(row["product_id"])
    return price if view is None else view.list_price(row["id"], price).value
