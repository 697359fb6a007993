"""Which of our products a platform's product is: found by SKU, then by barcode, so that nothing is created twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import NothingScanned
from services.sync.repository import connections, listings
from shared import clock
from shared.contracts.catalog.messages import FindProductKeys, ProductKeys
from shared.contracts.sync.shapes import ConnectionSettings
from shared.contracts.sync.work import MatchedProduct, MatchPreview
from shared.impex.keys import handle
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.unit_of_work import UnitOfWork

_COUNTED_AT_ONCE = 300
# A preview counts so many products and then stops: it is looked at, not computed with.
_MOST_COUNTED = 30_000


@dataclass(frozen=True, slots=True)
class RemoteProduct:
    """A product of a platform with its variants, as listings."""

    row: asyncpg.Record
    fields: dict[str, Any]
    variants: list[tuple[asyncpg.Record, dict[str, Any]]]

    @property
    def external_id(self) -> str:
        external_id: str = self.row["external_id"]
        return external_id

    @property
    def handle(self) -> str:
        """What it would be called in an address here."""
        own = self.fields.get("handle") or self.fields.get("title") or ""
        return handle(str(own))[:180] or f"product-{handle(self.external_id)}"

    @property
    def skus(self) -> list[str]:
        return [fields["sku"] for _, fields in self.variants if fields.get("sku")]

    @property
    def barcodes(self) -> list[str]:
        return [fields["barcode"] for _, fields in self.variants if fields.get("barcode")]


@dataclass(frozen=True, slots=True)
class Match:
    """What a product of a platform is here: none yet, one, or nobody can say which of several; and by what."""

    outcome: Literal["create", "link", "ambiguous", "linked"]
    product_ids: list[UUID]
    by: str | None = None


async def load(uow: UnitOfWork, connection_id: UUID, rows: Sequence[asyncpg.Record]) -> list[RemoteProduct]:
    """Products' listings with those of their variants."""
    parts: dict[str, list[tuple[asyncpg.Record, dict[str, Any]]]] = {}
    for row in await listings.list_variants(uow, connection_id, [row["external_id"] for row in rows]):
        parts.setdefault(row["parent_external_id"], []).append((row, orjson.loads(row["remote"])))
    return [RemoteProduct(row, orjson.loads(row["remote"]), parts.get(row["external_id"], [])) for row in rows]


def question(products: Sequence[RemoteProduct]) -> FindProductKeys:
    """What to ask the catalog about them."""
    return FindProductKeys(
        skus=sorted({sku for product in products for sku in product.skus}),
        barcodes=sorted({code for product in products for code in product.barcodes}),
        slugs=sorted({product.handle for product in products}),
        product_ids=sorted(
            {
                row["product_id"]
                for product in products
                for row in (product.row, *(row for row, _ in product.variants))
                if row["product_id"]
            }
        ),
    )


def match(settings: ConnectionSettings, keys: ProductKeys, product: RemoteProduct) -> Match:
    """What a product is here, by the connection's rules in their order."""
    known = product.row["product_id"]
    if known is not None and known in keys.slugs:
        return Match("linked", [known])
    finders: Mapping[str, Callable[[], set[UUID]]] = {
        "sku": lambda: {keys.by_sku[sku] for sku in product.skus if sku in keys.by_sku},
        "barcode": lambda: {id_ for code in product.barcodes for id_ in keys.by_barcode.get(code, ())},
    }
    for rule in settings.match_by:
        found = sorted(finders[rule]())
        if found:
            return Match("link" if len(found) == 1 else "ambiguous", found, rule)
    return Match("create", [])


async def preview(uow: UnitOfWork, connection_id: UUID, first: int, after: str | None) -> MatchPreview:
    """What the first sync would do. Raises ConnectionNotFound."""
    position = cursor_values(after, 1)
    async with uow.beforehand() as earlier:
        connection = await connections.get(earlier, connection_id)
        rows = await listings.list_products(
            earlier, connection_id, cursor_id(position[0]) if position else None, first + 1
        )
        products = await load(earlier, connection_id, rows[:first])
    settings = ConnectionSettings.model_validate_json(connection["settings"])
    keys = await uow.ask(question(products))
    items = [_shown(product, match(settings, keys, product)) for product in products]
    following = cursor_for(str(rows[first - 1]["id"])) if len(rows) > first else None
    # On the first page alone: to look through everything takes as long as some hundred pages.
    counts = await _counts(uow, connection_id, settings) if after is None else {}
    return MatchPreview(items=items, next=following, counts=counts, seen_at=connection["matches_seen_at"])


async def _counts(uow: UnitOfWork, connection_id: UUID, settings: ConnectionSettings) -> dict[str, int]:
    counts = dict.fromkeys(("linked", "link", "create", "ambiguous"), 0)
    after: UUID | None = None
    while sum(counts.values()) < _MOST_COUNTED:
        async with uow.beforehand() as earlier:
            rows = await listings.list_products(earlier, connection_id, after, _COUNTED_AT_ONCE)
            products = await load(earlier, connection_id, rows)
        if products:
            keys = await uow.ask(question(products))
            for product in products:
                counts[match(settings, keys, product).outcome] += 1
        if len(rows) < _COUNTED_AT_ONCE:
            return counts
        after = rows[-1]["id"]
    return counts


def _shown(product: RemoteProduct, found: Match) -> MatchedProduct:
    return MatchedProduct(
        listing_id=product.row["id"],
        external_id=product.external_id,
        title=product.fields.get("title"),
        skus=product.skus,
        outcome=found.outcome,
        product_ids=found.product_ids,
        by=found.by,
    )


async def confirm(uow: UnitOfWork, connection_id: UUID) -> None:
    """Somebody looked at the preview: products may be linked and created. Raises ConnectionNotFound, NothingScanned."""
    row = await connections.get(uow, connection_id, lock=True)
    if row["matches_seen_at"] is None:
        clock_ = await connections.get_clock(uow, connection_id, "product")
        if clock_ is None or clock_["cursor_at"] is None:
            raise NothingScanned("There is no preview yet: fetch the platform's products first, then look at it.")
        await connections.put(uow, connection_id, {"matches_seen_at": clock.now()})
        uow.audit("connection.confirm_matches", "connection", connection_id)
