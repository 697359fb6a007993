"""Products by their words and sets: told to search what they are found by, and asked of it which have them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.repository import channel_content, found_by, offers
from services.catalog.repository import products as repository
from services.catalog.use_cases import channel_offers
from shared.contracts.base import Page
from shared.contracts.catalog.messages import FindProductKeys, ListProducts, ProductKeys
from shared.contracts.catalog.offers import OwnedPart
from shared.contracts.catalog.product_sets import ProductFound, ProductsFound, VariantFound
from shared.contracts.catalog.shapes import Product
from shared.contracts.search.operators import FindProducts, FoundProducts
from shared.impex.cells import spellings
from shared.pagination import cursor_for, id_after
from shared.unit_of_work import UnitOfWork

# How many of those that are found are looked at together, and how often for one page.
_FOUND_AT_ONCE = 1000
_MOST_LOOKS = 5
# What merchants call the options that are sizes and colours, whatever their language.
_SIZES = frozenset(("size", "sizes", "größe", "grösse", "taille", "talla", "maat", "taglia", "storlek", "サイズ"))
_COLOURS = frozenset(("colour", "color", "farbe", "couleur", "kleur", "colore", "färg", "カラー", "色"))


# --- asking


async def list_page(uow: UnitOfWork, message: ListProducts) -> Page[Product]:
    """Raises InvalidCursor."""
    before = id_after(message.after)
    if not message.sets and not (message.query and message.query.strip()):
        ids = await _list_ids(uow, message, before, None, message.first + 1)
        return await _page(uow, message, ids)
    ids = []
    for _ in range(_MOST_LOOKS):
        found = await uow.ask(_question(uow, message, before))
        async with uow.beforehand() as earlier:
            ids += await _list_ids(earlier, message, before, found.ids, message.first + 1 - len(ids))
        before = found.reaches_to
        if len(ids) > message.first or before is None:
            return await _page(uow, message, ids)
    return Page(items=await repository.list_whole(uow, ids), next=cursor_for(str(before)))


def _question(uow: UnitOfWork, message: ListProducts, before: UUID | None) -> FindProducts:
    # Search knows the status too: what has another one need not be told.
    sets = [*message.sets, *([f"status:{message.status}"] if message.status else [])]
    return FindProducts(
        query=message.query or "",
        sets=sets,
        before=before,
        shop_ids=uow.caller.shop_limit,
        most=_FOUND_AT_ONCE,
    )


async def _list_ids(
    uow: UnitOfWork, message: ListProducts, before: UUID | None, among: Sequence[UUID] | None, first: int
) -> list[UUID]:
    return await repository.list_ids(
        uow,
        status=message.status,
        slug=message.slug,
        sku=message.sku,
        category_id=message.category_id,
        before=before,
        among=among,
        first=first,
    )


async def _page(uow: UnitOfWork, message: ListProducts, ids: Sequence[UUID]) -> Page[Product]:
    page = list(ids[: message.first])
    following = cursor_for(str(page[-1])) if len(ids) > message.first else None
    return Page(items=await repository.list_whole(uow, page), next=following)


@dataclass(frozen=True)
class Sought:
    """Words and sets by which products are looked for in search, for somebody who is confined to these shops."""

    query: str
    sets: Sequence[str]
    shop_ids: Sequence[UUID] | None

    @classmethod
    def of(cls, query: str | None, sets: Sequence[str] | None, shop_ids: Sequence[UUID] | None) -> "Sought | None":
        """None where neither words nor sets are asked for."""
        words = (query or "").strip()
        return cls(words, sets or (), shop_ids) if words or sets else None

    async def look(self, uow: UnitOfWork, after: UUID | None, most: int) -> FoundProducts:
        """Some that are found, by id, behind `after`. The next begin behind `reaches_to`. Only before `uow` opens."""
        shop_ids = None if self.shop_ids is None else list(self.shop_ids)
        question = FindProducts(
            query=self.query, sets=list(self.sets), shop_ids=shop_ids, after=after or UUID(int=0), most=most
        )
        return await uow.ask(question)


# --- telling


async def tell(uow: UnitOfWork, product_ids: Sequence[UUID]) -> ProductsFound:
    return ProductsFound(products=[_told(row) for row in await found_by.list_found_by(uow, product_ids)])


def _told(row: asyncpg.Record) -> ProductFound:
    variants = orjson.loads(row["variants"] or b"[]")
    return ProductFound(
        id=row["id"],
        status=row["status"],
        titles=list(dict.fromkeys([row["title"], *(row["titles"] or ())])),
        brand=row["brand"],
        product_type=row["product_type"],
        tags=row["tags"],
        has=[name for name, has in _fields(row, variants) if has],
        variants=[_variant(each, row["options"]) for each in variants],
    )


def _fields(row: asyncpg.Record, variants: Sequence[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    for name in ("brand", "product_type", "tags"):
        yield name, bool(row[name])
    for name in ("category", "description", "image", "seo"):
        yield name, row[f"has_{name}"]
    yield "barcode", all(each["barcode"] or each["barcodes"] for each in variants)
    yield "mpn", all(each["mpn"] for each in variants)
    for name in ("price", "weight"):
        yield name, all(each[f"has_{name}"] for each in variants)


def _variant(variant: dict[str, Any], options: Sequence[str]) -> VariantFound:
    values = {name.casefold().strip(): value for name, value in zip(options, variant["options"], strict=False)}
    codes = [variant["barcode"], *variant["barcodes"], variant["mpn"]]
    return VariantFound(
        sku=variant["sku"],
        codes=list(dict.fromkeys(code for code in codes if code)),
        size=next((value for name, value in values.items() if name in _SIZES and value), None),
        colour=next((value for name, value in values.items() if name in _COLOURS and value), None),
        prices=variant["prices"] or [],
    )


# --- what sync asks


async def find_keys(uow: UnitOfWork, asked: FindProductKeys) -> ProductKeys:
    """Products by what they are known by elsewhere. A barcode is found in any of its lengths, and told as asked for."""
    spelled = {spelling: barcode for barcode in asked.barcodes for spelling in spellings(barcode)}
    rows = await found_by.list_keys(uow, asked.skus, list(spelled), asked.slugs, asked.product_ids)
    found: dict[str, dict[str, UUID]] = {"sku": {}, "slug": {}, "id": {}}
    by_barcode: dict[str, set[UUID]] = {}
    for row in rows:
        if row["kind"] == "barcode":
            by_barcode.setdefault(spelled[row["key"]], set()).add(row["product_id"])
        else:
            found[row["kind"]][row["key"]] = row["product_id"]
    return ProductKeys(
        by_sku=found["sku"],
        by_barcode={barcode: sorted(ids) for barcode, ids in by_barcode.items()},
        by_slug=found["slug"],
        slugs={row["product_id"]: row["slug"] for row in rows if row["kind"] == "id"},
        owned=await _owned(uow, asked.connection_id, asked.product_ids) if asked.connection_id else [],
    )


async def _owned(uow: UnitOfWork, connection_id: UUID, product_ids: Sequence[UUID]) -> list[OwnedPart]:
    """What a connection owns itself of these products."""
    contents = await channel_content.of_products(uow, [connection_id], product_ids)
    own = [of_channel[connection_id] for of_channel in contents.values()]
    return channel_offers.owned_parts(own, await offers.variants_of_products(uow, list(contents))) if own else []
