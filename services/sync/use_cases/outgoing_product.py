"""What a connection shows of a product, in the words of listings: what of it is compared, and the whole of a new one.

What of channel content is no field of a listing (content, dimensions, backorders, order limits) is not sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.models import is_empty, rule_of
from services.sync.use_cases.outgoing_price import outgoing_price
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import OfferParts, ProductPart, VariantPart
from shared.contracts.sync.shapes import ConnectionSettings
from shared.money import Money
from shared.unit_of_work import UnitOfWork

Fields = dict[str, Any]


async def shown_by_connection(uow: UnitOfWork, connection: asyncpg.Record, product_ids: Sequence[UUID]) -> OfferParts:
    """Each field as the connection shows it: its own, else its shop's, else the product's (CAT-4).

    What stands above what is catalog's to know: `channel_view` there has the order.
    """
    asked = GetOfferParts(shop_id=connection["shop_id"], product_ids=list(product_ids), connection_id=connection["id"])
    return await uow.ask(asked, timeout_seconds=60)


def product_fields(part: ProductPart) -> Fields:
    """What a connection shows of a product, in the words of listings."""
    return {
        "title": part.title,
        "description_html": part.description_html,
        "brand": part.brand,
        "product_type": part.product_type,
        "tags": sorted(part.tags),
        "status": part.status,
        "seo_title": part.seo_title,
        "seo_description": part.seo_description,
        "images": [{"url": image.url, "alt": image.alt or None} for image in part.images],
    }


def variant_fields(part: VariantPart, settings: ConnectionSettings) -> Fields:
    """What it shows of a variant, its prices by the connection's rule. One without a price says nothing of it."""
    fields: Fields = {"barcode": part.barcode, "weight_grams": part.weight_grams}
    first = next((tier for tier in part.tiers if tier.minimum_quantity <= 1), None)
    if first is not None:
        fields["price"] = _out(first.price, settings)
        fields["list_price"] = _out(first.list_price, settings) if first.list_price else None
    return fields


def _out(price: Money, settings: ConnectionSettings) -> Fields:
    return outgoing_price(price, settings.price).model_dump()


# --- what is new there


def is_sold(part: ProductPart) -> bool:
    """Whether the shop sells it: active, in a category of the shop, with a price."""
    return part.status == "active" and part.is_assigned and any(map(is_priced, part.variants))


def is_priced(variant: VariantPart) -> bool:
    """Whether one of a variant has a price."""
    return any(tier.minimum_quantity <= 1 for tier in variant.tiers)


def whole_product(part: ProductPart, settings: ConnectionSettings) -> Fields:
    """All that a product is to be made with: its fields, and its variants that have a price."""
    options = list(dict.fromkeys(name for variant in part.variants for name in variant.options))
    fields = {
        **product_fields(part),
        "handle": part.slug,
        "options": options,
        "categories": [category.names for category in part.categories],
        "attributes": part.attributes,
    }
    variants = [whole_variant(variant, settings) for variant in part.variants if is_priced(variant)]
    return {"product": _said("product", fields, settings), "variants": variants}


def whole_variant(part: VariantPart, settings: ConnectionSettings) -> Fields:
    """All that a variant is to be made with."""
    fields = {**variant_fields(part, settings), "options": part.options}
    return {"sku": part.sku, **_said("variant", fields, settings)}


def _said(entity: str, fields: Mapping[str, Any], settings: ConnectionSettings) -> Fields:
    """What says something, and is not left alone by the connection's rules."""
    return {
        name: value
        for name, value in fields.items()
        if not is_empty(value) and rule_of(settings, entity, name).policy != "ignore"
    }
