"""From marks to offers' documents: ask catalog and inventory, assemble, write what came out differently.

How builds of the same product at the same time get on with each other: `batches.py`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.search.errors import CatalogIsBehind
from services.search.repository import documents, marks, products, shops
from services.search.repository.documents import Row, Standing
from services.search.use_cases.assembly import AssembledOffer, Assembly, assemble
from services.search.use_cases.batches import Units, Work, is_passing, reading, take_version
from shared import clock
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availability
from shared.unit_of_work import UnitOfWork

# What catalog tells at once, and inventory.
BATCH = 200
_SKUS_AT_ONCE = 1000
_NOTHING = Assembly(None, None)

__all__ = ["Units", "is_passing", "take_version"]


@dataclass(frozen=True, slots=True)
class Built:
    """A product as catalog and inventory know it (None: it is gone), and its offer in one shop."""

    product_id: UUID
    product: ProductPart | None
    assembly: Assembly
    changed_at: datetime


async def build_due(units: Units, shop_id: UUID, *, leaves_loads: bool = False) -> int:
    """Build one batch of what is marked in a shop. Returns how many marks there were. Raises what asking raises.

    With `leaves_loads` bulk work by the thousand waits for as long as more of it arrives: a file's products would
    otherwise be built once with their texts and prices and again with their stock, beside the import that makes them.
    """
    async with reading(units) as uow:
        with_bulk = not (leaves_loads and await marks.is_load_arriving(uow, shop_id))
        due = await marks.list_due(uow, shop_id, BATCH, with_bulk=with_bulk)
    if due:
        await _WORK.build(units, shop_id, due)
    return len(due)


async def gather(units: Units, shop_id: UUID, changed: dict[UUID, datetime]) -> list[Built]:
    """What becomes of these products in a shop, as things are now. Raises what asking raises."""
    async with reading(units) as uow:
        needed = await shops.get_version(uow, shop_id)
    parts = await units().ask(GetOfferParts(shop_id=shop_id, product_ids=list(changed)))
    if (parts.shop_version or 0) < needed:
        # Products of a shop that catalog has not heard of look as if they were gone.
        raise CatalogIsBehind("Catalog has not heard yet of what is known here of the shop.")
    stock = await stock_of(units, shop_id, parts.products)
    known = {product.id: product for product in parts.products}
    today = clock.now().date()
    return [
        Built(product_id, product, _NOTHING if product is None else assemble(product, stock, today), changed_at)
        for product_id, changed_at in changed.items()
        for product in [known.get(product_id)]
    ]


async def stock_of(units: Units, shop_id: UUID, parts: Sequence[ProductPart]) -> dict[str, Availability]:
    """What the shop can sell of all these products' SKUs."""
    skus = [variant.sku for product in parts for variant in product.variants]
    stock: dict[str, Availability] = {}
    for start in range(0, len(skus), _SKUS_AT_ONCE):
        answer = await units().ask(GetAvailability(shop_id=shop_id, skus=skus[start : start + _SKUS_AT_ONCE]))
        stock |= {item.sku: item for item in answer.items}
    return stock


# --- writing


async def write(uow: UnitOfWork, shop_id: UUID, built: Sequence[Built], version: int) -> int:
    """Bring the shop's documents to what was built at `version`. Returns how many offers came, changed or went."""
    index = await documents.lock_index(uow, shop_id)
    if index is None:
        return 0
    standings = await documents.standings(uow, shop_id, [each.product_id for each in built])
    rows = [row_of(each) for each in built if _is_news(standings.get(each.product_id), version)]
    changed = [row for row in rows if _differs(row, standings.get(row.product_id))]
    unchanged = {row.product_id for row in rows} - {row.product_id for row in changed}
    if unchanged:
        await documents.note_unchanged(uow, shop_id, list(unchanged), version)
    if changed:
        await _put(uow, shop_id, changed, standings, version, tuple(index.values()))
    await _note_products(uow, built, version)
    return len(changed)


def _is_news(standing: Standing | None, version: int) -> bool:
    return standing is None or version > standing.built_from


def _differs(row: Row, standing: Standing | None) -> bool:
    """What never was an offer and is none is written once, too: that it is none is as good a finding as any."""
    return standing is None or standing.content != row.content


async def _put(
    uow: UnitOfWork,
    shop_id: UUID,
    rows: Sequence[Row],
    standings: dict[UUID, Standing],
    version: int,
    index: tuple[int, int, int],
) -> None:
    sequence, last_number, offers = index
    numbers, sequences = [], []
    for row in rows:
        standing = standings.get(row.product_id)
        is_offer, was_offer = row.document is not None, standing is not None and not standing.is_deleted
        number = standing.number if standing else 0
        if is_offer and number == 0:
            number = last_number = last_number + 1
        if is_offer or was_offer:
            sequence += 1
        numbers.append(number)
        # Of what readers never saw, none needs to hear that it is gone.
        sequences.append(sequence if is_offer or was_offer else standing.sequence if standing else 0)
        offers += is_offer - was_offer
    await documents.write(uow, shop_id, rows, numbers, sequences, version)
    await documents.advance(uow, shop_id, sequence, last_number, offers)


async def _note_products(uow: UnitOfWork, built: Sequence[Built], version: int) -> None:
    gone = [each.product_id for each in built if each.product is None]
    if gone:
        await products.forget(uow, gone)
    owners = [(variant.sku, each.product_id) for each in built if each.product for variant in each.product.variants]
    moved = await products.take_skus(uow, owners, version) if owners else []
    if moved:
        # Stock that changed while the SKU was still noted as another product's may have passed this one by.
        await marks.leave(uow, moved)


async def _leave_for_later(uow: UnitOfWork, shop_id: UUID, built: Sequence[Built]) -> None:
    later = [(each.product_id, each.assembly.changes_at) for each in built if each.assembly.changes_at is not None]
    if later:
        await marks.leave_for_later(uow, shop_id, later)


def row_of(built: Built) -> Row:
    """What is written of a product."""
    offer = built.assembly.offer
    if offer is None:
        return Row(built.product_id, "", b"", None, None, None, built.changed_at)
    fields = documents.encoded(offer.fields)
    return Row(
        built.product_id, offer.slug, _digest(offer, fields), fields, offer.document, offer.page, built.changed_at
    )


def _digest(offer: AssembledOffer, fields: bytes) -> bytes:
    digest = hashlib.blake2b(offer.page, digest_size=16)
    digest.update(offer.document)
    digest.update(fields)
    return digest.digest()


_WORK: Work[UUID, Built] = Work(marks.MARKS, gather, write, _leave_for_later)
