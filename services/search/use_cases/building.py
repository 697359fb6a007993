"""From marks to documents: ask catalog and inventory, assemble, write what came out differently.

Nothing is locked while others are asked. Instead each build takes a version after it has read the marks and before it
asks: of two builds of one product, whoever took the greater version asked later and knows more, so a document is only
ever replaced by one with a greater version, and only marks of a smaller version go.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.search.errors import CatalogIsBehind
from services.search.repository import documents, marks, products, shops
from services.search.repository.documents import Row, Standing
from services.search.repository.marks import Mark
from services.search.use_cases.assembly import AssembledOffer, Assembly, assemble
from shared import clock
from shared.bus.answering import translated
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availability
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

# What catalog tells at once, and inventory.
BATCH = 200
_SKUS_AT_ONCE = 1000
_NOTHING = Assembly(None, None)

Units = Callable[[], UnitOfWork]


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
    async with _reading(units) as uow:
        with_bulk = not (leaves_loads and await marks.is_load_arriving(uow, shop_id))
        due = await marks.list_due(uow, shop_id, BATCH, with_bulk=with_bulk)
    if due:
        await _build(units, shop_id, due)
    return len(due)


async def _build(units: Units, shop_id: UUID, due: Sequence[Mark]) -> None:
    """Build these marks; when they fail together, find out which one is to blame, so that it holds up none."""
    version = await take_version(units)
    try:
        built = await gather(units, shop_id, {mark.product_id: mark.marked_at for mark in due})
    except Exception as error:
        named = translated(error, "building offers", shop_id.hex)
        if is_passing(named):
            raise
        await _build_apart(units, shop_id, due, version, named)
        return
    async with _writing(units) as uow:
        await write(uow, shop_id, built, version)
        await marks.settle(uow, shop_id, [mark.product_id for mark in due], version)
        await _leave_for_later(uow, shop_id, built)


async def _build_apart(units: Units, shop_id: UUID, due: Sequence[Mark], version: int, error: CrossdockError) -> None:
    if len(due) == 1:
        async with _writing(units) as uow:
            await marks.note_failure(uow, shop_id, due[0].product_id, version, f"{error.code}: {error.detail}")
        return
    for part in (due[: len(due) // 2], due[len(due) // 2 :]):
        await _build(units, shop_id, part)


def is_passing(error: CrossdockError) -> bool:
    """Whether asking again later may well succeed."""
    return error.status in (503, 504)


async def take_version(units: Units) -> int:
    """The version of what is about to be asked."""
    async with _reading(units) as uow:
        return await marks.next_version(uow)


async def gather(units: Units, shop_id: UUID, changed: dict[UUID, datetime]) -> list[Built]:
    """What becomes of these products in a shop, as things are now. Raises what asking raises."""
    async with _reading(units) as uow:
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


# --- transactions


@asynccontextmanager
async def _reading(units: Units) -> AsyncIterator[UnitOfWork]:
    uow = units()
    try:
        yield uow
    finally:
        await uow.rollback()


@asynccontextmanager
async def _writing(units: Units) -> AsyncIterator[UnitOfWork]:
    uow = units()
    try:
        yield uow
        await uow.commit()
    except BaseException:
        await uow.rollback()
        raise
