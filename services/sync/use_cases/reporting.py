"""The report of products over all connections (SYN-15): CSV, one row for each variant, some hundred products at a time.

The connections are those of its first sheet: their ids travel in the cursor, so that no column moves while it is read.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ConnectionNotFound
from services.sync.repository import connections, reports
from services.sync.repository.shops import SHOPS
from services.sync.use_cases.outgoing_product import shown_by_connection
from shared.bus.envelope import ShopNotFound
from shared.contracts.catalog.messages import FindProductKeys, GetOfferParts, ListProductIds
from shared.contracts.catalog.offers import ProductPart, VariantPart
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.search.operators import FindProducts
from shared.contracts.sync.report import GetListingReportSheet, ListingReportSheet
from shared.impex.writing_guard import guarded
from shared.money import EXPONENTS, Money
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.unit_of_work import UnitOfWork

# As many as catalog tells of at once.
SHEET_PRODUCTS = 200
_SKUS_AT_ONCE = 1000
_HERE = ("product_id", "slug", "title", "status", "sku", "price", "currency", "stock")
_THERE = (
    *("external_id", "variant_id", "status", "price", "currency", "quantity", "open_changes", "issues"),
    *("title", "own_fields"),
)


@dataclass(frozen=True)
class _Columns:
    """Whose columns there are: the shop that is "here", and the connections, with what they are called.

    Only of the `readable` ones something is told: those that are there and that the caller may see.
    """

    shop_id: UUID | None
    connections: Mapping[UUID, str]
    readable: Sequence[asyncpg.Record]

    def headings(self) -> list[str]:
        return [*_HERE, *(guarded(f"{name}: {each}") for name in self.connections.values() for each in _THERE)]


@dataclass(frozen=True)
class _There:
    """What connections have: listings by connection and product or SKU."""

    products: Mapping[tuple[UUID, UUID], asyncpg.Record]
    variants: Mapping[tuple[UUID, UUID, str], asyncpg.Record]
    stock: Mapping[tuple[UUID, str], asyncpg.Record]


@dataclass(frozen=True)
class _Shown:
    """What connections show of products, and which fields of them and of their variants each owns itself."""

    titles: Mapping[tuple[UUID, UUID], str]
    owned: Mapping[tuple[UUID, UUID, str | None], Sequence[str]]

    def own_fields(self, connection_id: UUID, product_id: UUID, sku: str) -> str:
        names = [name for of in (None, sku) for name in self.owned.get((connection_id, product_id, of), ())]
        return " ".join(names)


async def sheet(uow: UnitOfWork, message: GetListingReportSheet) -> ListingReportSheet:
    """Raises ShopNotFound, ConnectionNotFound, InvalidCursor."""
    position = cursor_values(message.after, 3)
    columns = await (_first_columns(uow, message) if position is None else _known_columns(uow, position))
    after = None if position is None else cursor_id(position[0])
    products, following = await _products(uow, message, columns.shop_id, after)
    skus = sorted({variant.sku for product in products for variant in product.variants})
    available = await _available(uow, columns.shop_id, skus)
    shown = await _shown(uow, columns, products)
    ids = [row["id"] for row in columns.readable]
    there = await _there(uow, ids, [product.id for product in products], skus)
    text = io.StringIO()
    writer = csv.writer(text)
    if message.after is None:
        writer.writerow(columns.headings())
    for product in products:
        for variant in product.variants:
            here = _here(product, variant, available.get(variant.sku))
            writer.writerow([*here, *_blocks(columns, there, shown, product, variant.sku)])
    named = ",".join(map(str, columns.connections))
    next_ = None if following is None else cursor_for(str(following), str(columns.shop_id), named)
    return ListingReportSheet(csv=text.getvalue(), next=next_)


# --- whose columns there are


async def _first_columns(uow: UnitOfWork, message: GetListingReportSheet) -> _Columns:
    """Raises ShopNotFound, ConnectionNotFound."""
    async with uow.beforehand() as earlier:
        shop_id = None if message.shop is None else await _shop_id(earlier, message.shop)
        shops = connections.seen_shops(earlier) if shop_id is None else [shop_id]
        rows = await connections.list_of_shops(earlier, shops)
        if message.connection_id is not None:
            rows = [row for row in rows if row["id"] == message.connection_id]
            if not rows:
                raise ConnectionNotFound("There is no such connection.")
    if shop_id is None and rows:
        shop_id = rows[0]["shop_id"]
    return _Columns(shop_id, _named(rows), rows)


async def _shop_id(uow: UnitOfWork, code: str) -> UUID:
    shop = await SHOPS.find_by_code(uow, code)
    if shop is None or not uow.caller.sees_shop(shop["id"]):
        raise ShopNotFound(f"There is no shop with the code '{code[:100]}'.")
    shop_id: UUID = shop["id"]
    return shop_id


async def _known_columns(uow: UnitOfWork, position: Sequence[str | int]) -> _Columns:
    """As the first sheet had them. One that is gone by now has empty columns. Raises ShopNotFound, InvalidCursor."""
    shop_id = cursor_id(position[1])
    if not uow.caller.sees_shop(shop_id):
        raise ShopNotFound("There is no such shop.")
    ids = [cursor_id(each) for each in str(position[2]).split(",") if each]
    async with uow.beforehand() as earlier:
        rows = await connections.list_of_shops(earlier, connections.seen_shops(earlier))
    return _Columns(shop_id, dict.fromkeys(ids, ""), [row for row in rows if row["id"] in ids])


def _named(rows: Sequence[asyncpg.Record]) -> dict[UUID, str]:
    """Names to tell connections apart by: of two that are called the same the later has its id behind it."""
    named: dict[UUID, str] = {}
    for row in rows:
        name = row["name"]
        named[row["id"]] = f"{name} ({row['id']})" if name in named.values() else name
    return named


# --- what is here and there


async def _products(
    uow: UnitOfWork, message: GetListingReportSheet, shop_id: UUID | None, after: UUID | None
) -> tuple[Sequence[ProductPart], UUID | None]:
    """Some products as the shop shows them, and where the next ones begin."""
    if shop_id is None:
        return (), None
    ids, following = await _ids(uow, message, after)
    if not ids:
        return (), following
    parts = await uow.ask(GetOfferParts(shop_id=shop_id, product_ids=ids))
    by_id = {part.id: part for part in parts.products}
    return [by_id[each] for each in ids if each in by_id], following


async def _ids(
    uow: UnitOfWork, message: GetListingReportSheet, after: UUID | None
) -> tuple[Sequence[UUID], UUID | None]:
    """Some products by id: all that there are, or those that search finds."""
    if not (message.sets or (message.query or "").strip()):
        every = (await uow.ask(ListProductIds(after=after, first=SHEET_PRODUCTS))).ids
        return every, every[-1] if len(every) == SHEET_PRODUCTS else None
    limit = uow.caller.shop_ids
    found = await uow.ask(
        FindProducts(
            query=message.query or "",
            sets=message.sets,
            shop_ids=None if limit is None else sorted(limit),
            after=after or UUID(int=0),
            most=SHEET_PRODUCTS,
        )
    )
    return found.ids, found.reaches_to


async def _available(uow: UnitOfWork, shop_id: UUID | None, skus: Sequence[str]) -> dict[str, int]:
    """What the shop can sell of each SKU that it sells at all."""
    available: dict[str, int] = {}
    for start in range(0, len(skus), _SKUS_AT_ONCE):
        assert shop_id is not None
        answer = await uow.ask(GetAvailability(shop_id=shop_id, skus=list(skus[start : start + _SKUS_AT_ONCE])))
        available |= {item.sku: item.available_quantity for item in answer.items if item.not_sold is None}
    return available


async def _there(
    uow: UnitOfWork, connection_ids: Sequence[UUID], product_ids: Sequence[UUID], skus: Sequence[str]
) -> _There:
    listings = await reports.list_products(uow, connection_ids, product_ids)
    stock = await reports.list_stock(uow, connection_ids, skus)
    products = {(row["connection_id"], row["product_id"]): row for row in listings if row["entity"] == "product"}
    variants = {
        (row["connection_id"], row["product_id"], row["sku"]): row for row in listings if row["entity"] == "variant"
    }
    return _There(products, variants, {(row["connection_id"], row["sku"]): row for row in stock})


async def _shown(uow: UnitOfWork, columns: _Columns, products: Sequence[ProductPart]) -> _Shown:
    """Where a connection of the shop that is "here" owns nothing of a product, it shows what is here."""
    titles: dict[tuple[UUID, UUID], str] = {}
    owned: dict[tuple[UUID, UUID, str | None], Sequence[str]] = {}
    for connection in columns.readable if products else ():
        ids = [product.id for product in products]
        if connection["shop_id"] == columns.shop_id:
            found = await uow.ask(FindProductKeys(product_ids=ids, connection_id=connection["id"]))
            ids = sorted({each.product_id for each in found.owned})
        if ids:
            parts = await shown_by_connection(uow, connection, ids)
            titles |= {(connection["id"], part.id): part.title for part in parts.products}
            owned |= {(connection["id"], each.product_id, each.sku): each.fields for each in parts.owned}
    return _Shown(titles, owned)


# --- cells


def _here(product: ProductPart, variant: VariantPart, available: int | None) -> list[Any]:
    first = next((tier.price for tier in variant.tiers if tier.minimum_quantity <= 1), None)
    texts = (product.slug, product.title, product.status, variant.sku)
    price = None if first is None else first.model_dump()
    return [product.id, *map(guarded, texts), *_price(price), "" if available is None else available]


def _blocks(columns: _Columns, there: _There, shown: _Shown, part: ProductPart, sku: str) -> Iterator[Any]:
    for connection_id in columns.connections:
        product = there.products.get((connection_id, part.id))
        variant = there.variants.get((connection_id, part.id, sku))
        stock = there.stock.get((connection_id, sku))
        found = [row for row in (product, variant, stock) if row is not None]
        price = None if variant is None or variant["price"] is None else orjson.loads(variant["price"])
        yield from (guarded(row["external_id"] or "") if row else "" for row in (product, variant))
        yield guarded(product["status"] or "") if product else ""
        yield from _price(price)
        yield stock["quantity"] if stock else ""
        yield sum(row["open_changes"] for row in found) if found else ""
        yield sum(row["open_issues"] for row in found) if found else ""
        yield guarded(shown.titles.get((connection_id, part.id), part.title)) if product or variant else ""
        yield shown.own_fields(connection_id, part.id, sku) if product or variant else ""


def _price(price: Mapping[str, Any] | None) -> tuple[str, str]:
    """In major units, and the currency; one that nobody knows has no major units."""
    if price is None:
        return "", ""
    if price["currency"] not in EXPONENTS:
        return "", guarded(str(price["currency"]))
    return str(Money.model_validate(price).major), price["currency"]
