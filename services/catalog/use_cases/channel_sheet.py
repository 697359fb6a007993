"""Products as they are, as a channel has them, and as it shows them: all three side by side, read in sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.errors import ShopNotFound
from services.catalog.repository import channel_content, offers, price_terms, shops
from services.catalog.repository.channel_content import NOTHING, Fields, KnownContent
from services.catalog.repository.price_terms import PriceTerms
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.channel_view import ChannelView, Shown
from services.catalog.use_cases.channels import Channel
from services.catalog.use_cases.price_resolution import Situation, Standing, resolve_price, stand
from shared import clock
from shared.contracts.catalog.channel_content import (
    TEXT_FIELDS,
    ChannelContent,
    OwnedBackorder,
    OwnedCategories,
    OwnedField,
    OwnedImages,
    OwnedMeasure,
    OwnedOrderLimits,
    OwnedPrice,
    OwnedText,
    VariantChannelContent,
)
from shared.money import Money
from shared.unit_of_work import UnitOfWork

_MEASURES = ("weight_grams", "length_mm", "width_mm", "height_mm")


@dataclass(frozen=True, slots=True)
class Seen:
    """A field: what the master has for a channel, and what the channel shows."""

    master: Any
    shown: Shown


@dataclass(frozen=True, slots=True)
class Sheet:
    """Some products in a channel, which is the first of `line`."""

    channel: Channel
    line: list[KnownShop]
    rows: Mapping[UUID, asyncpg.Record]
    texts: Mapping[UUID, asyncpg.Record]
    variants: Mapping[UUID, list[asyncpg.Record]]
    category_ids: Mapping[UUID, list[UUID]]
    standing: Standing
    prices: Mapping[UUID, list[PriceTerms]]
    contents: Mapping[UUID, Mapping[UUID, KnownContent]]

    def knows(self, product_id: UUID) -> bool:
        return product_id in self.rows

    def own(self, product_id: UUID) -> KnownContent:
        """What the channel itself has of a product."""
        return self.contents.get(product_id, {}).get(self.channel.id, KnownContent(product_id))

    def variant_ids(self, product_id: UUID) -> dict[str, UUID]:
        return {row["sku"]: row["id"] for row in self.variants.get(product_id, ())}

    def _view(self, product_id: UUID) -> ChannelView:
        return ChannelView(self.line, self.contents.get(product_id, {}))

    def product_fields(self, product_id: UUID) -> dict[str, Seen]:
        view, row = self._view(product_id), self.rows[product_id]
        said = self.texts.get(product_id) or {}
        texts = {name: said[name] for name in TEXT_FIELDS if said.get(name) is not None}
        seen = {
            name: Seen(texts.get(name, row[name]), view.of_product(name, row[name], texts.get(name)))
            for name in TEXT_FIELDS
        }
        others = {"images": orjson.loads(row["images"]), "category_ids": self.category_ids.get(product_id, [])}
        return seen | {name: Seen(value, view.of_product(name, value)) for name, value in others.items()}

    def variant_fields(self, row: asyncpg.Record) -> dict[str, Seen]:
        view, variant_id = self._view(row["product_id"]), row["id"]
        price = self._list_price(variant_id)
        others = {name: row.get(name) for name in _MEASURES}
        others |= {"backorder": None, "order_limits": channel_content.order_limits(row)}
        seen = {name: Seen(value, view.of_variant(variant_id, name, value)) for name, value in others.items()}
        return {"list_price": Seen(price, view.list_price(variant_id, price)), **seen}

    def _list_price(self, variant_id: UUID) -> Money | None:
        price = resolve_price(self.standing, self.prices.get(variant_id, ()), 1)
        if price is None or price.list_price is None:
            return None
        return Money(amount=price.list_price, currency=self.channel.shop.currency)

    def described(self, product_id: UUID) -> ChannelContent:
        """The sheet of one product, for a person to read."""
        own = self.own(product_id)
        seen = self.product_fields(product_id)
        return ChannelContent(
            shop=self.channel.shop.code,
            connection_id=self.channel.connection_id,
            product_id=product_id,
            **{name: self._field(_KINDS.get(name, OwnedText), name, own.product, seen[name]) for name in seen},
            variants=[self._variant(own, row) for row in self.variants.get(product_id, ())],
            version=own.version,
            updated_at=own.updated_at,
        )

    def _variant(self, content: KnownContent, row: asyncpg.Record) -> VariantChannelContent:
        own = content.variants.get(row["id"], NOTHING)
        seen = self.variant_fields(row)
        fields = {name: self._field(_KINDS.get(name, OwnedMeasure), name, own, seen[name]) for name in seen}
        return VariantChannelContent(variant_id=row["id"], sku=row["sku"], **fields)

    def _field(self, kind: type[OwnedField], name: str, own: Fields, seen: Seen) -> OwnedField:
        owner = own.owner(name)
        return kind.model_validate(
            {
                "owner": "master" if owner == "parent" and len(self.line) == 1 else owner,
                "shown": seen.shown.source,
                "value": seen.shown.value,
                "channel": own.values.get(name),
                "master": seen.master,
            }
        )


_KINDS: dict[str, type[OwnedField]] = {
    "images": OwnedImages,
    "category_ids": OwnedCategories,
    "list_price": OwnedPrice,
    "backorder": OwnedBackorder,
    "order_limits": OwnedOrderLimits,
}


async def load(uow: UnitOfWork, channel: Channel, product_ids: Sequence[UUID]) -> Sheet:
    """What is known of these products in a channel, in eight statements; those that are gone are left out.

    Raises ShopNotFound for a shop that was removed this moment.
    """
    ids, shop = list(dict.fromkeys(product_ids)), channel.shop
    selling = await shops.list_line(uow, shop.id)
    if not selling:
        raise ShopNotFound(f"There is no shop with the code '{shop.code}'.")
    variants = await offers.variants_of_products(uow, ids)
    situation = Situation(clock.now())
    standing = stand(selling, await price_terms.list_terms_in_force(uow, selling, None, situation.at), situation)
    variant_ids = [row["id"] for rows in variants.values() for row in rows]
    line = channel.line(selling)
    return Sheet(
        channel=channel,
        line=line,
        rows={row["id"]: row for row in await offers.list_products(uow, ids)},
        texts=await offers.texts_of_products(uow, ids, shop.locales),
        variants=variants,
        category_ids=await offers.category_ids_of_products(uow, ids),
        standing=standing,
        prices=await price_terms.price_terms(uow, list(standing.ranks), variant_ids),
        contents=await channel_content.of_products(uow, [known.id for known in line if known.has_content], ids),
    )
