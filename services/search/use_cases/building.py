"""From marks to offers' documents: ask catalog and inventory, assemble, write what came out differently.

How builds of the same product at the same time get on with each other: `batches.py`.

Where nothing but stock left marks, inventory alone is asked and the stored document patched, see `patching`. Such a
document is no younger than before as to catalog (`built_from`), only as to its stock (`stock_from`): a build that asked
catalog before still replaces it, and leaves a mark for the stock that it may know less of.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.search.errors import CatalogIsBehind
from services.search.models import GroupOffer
from services.search.repository import documents, marks, operator_marks, products, shops, tunings
from services.search.repository.documents import Row, Standing
from services.search.repository.mark_table import Mark
from services.search.use_cases import patching
from services.search.use_cases.assembly import Assembly, assemble
from services.search.use_cases.batches import Units, Work, is_passing, reading, take_version, writing
from services.search.use_cases.patching import Patch
from shared import clock
from shared.bus.answering import translated
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availability
from shared.contracts.search.offer_ids import offer_id
from shared.unit_of_work import UnitOfWork

# What catalog tells at once, and inventory.
BATCH = 200
_SKUS_AT_ONCE = 1000
_NOTHING = Assembly(None, None, [])

__all__ = ["Units", "is_passing", "take_version"]


class Built(msgspec.Struct, frozen=True, gc=False):
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
        if not due:
            return 0
        version = await marks.next_version(uow)
        of_stock = [mark.id for mark in due if mark.is_partial]
        bases = await documents.list_bases(uow, shop_id, of_stock) if of_stock else {}
    patched = await _build_numbers(units, shop_id, due, version, bases) if bases else set()
    whole = [mark for mark in due if mark.id not in patched]
    if whole:
        await _WORK.build(units, shop_id, whole)
    return len(due)


async def _build_numbers(
    units: Units, shop_id: UUID, due: Sequence[Mark], version: int, bases: Mapping[UUID, bytes]
) -> set[UUID]:
    """Patch those of these products that stand on `bases` and of which only numbers changed. Returns which."""
    try:
        patches = await _patches(units, shop_id, due, bases)
    except Exception as error:
        if is_passing(translated(error, "asking for stock", str(shop_id))):
            raise
        # Building them in full finds out which one is to blame.
        return set()
    if patches:
        async with writing(units) as uow:
            await _patch(uow, shop_id, patches, version)
            await marks.settle_part(uow, shop_id, list(patches), version)
    return set(patches)


async def _patches(units: Units, shop_id: UUID, due: Sequence[Mark], bases: Mapping[UUID, bytes]) -> dict[UUID, Patch]:
    """New numbers for those of these whose stock changed in nothing else."""
    stock = await _ask_stock(units, shop_id, patching.skus_of(bases.values()))
    today = clock.now().date()
    return {
        mark.id: Patch(mark.id, basis, numbers, mark.marked_at)
        for mark in due
        if (basis := bases.get(mark.id)) is not None
        and (numbers := patching.new_numbers(basis, stock, today)) is not None
    }


async def gather(units: Units, shop_id: UUID, changed: dict[UUID, datetime]) -> list[Built]:
    """What becomes of these products in a shop, as things are now. Raises what asking raises."""
    async with reading(units) as uow:
        needed = await shops.get_version(uow, shop_id)
        keeps = await tunings.keeps_sold_out(uow, shop_id)
    parts = await units().ask(GetOfferParts(shop_id=shop_id, product_ids=list(changed)))
    if (parts.shop_version or 0) < needed:
        # Products of a shop that catalog has not heard of look as if they were gone.
        raise CatalogIsBehind("Catalog has not heard yet of what is known here of the shop.")
    stock = await stock_of(units, shop_id, parts.products)
    known = {product.id: product for product in parts.products}
    today = clock.now().date()
    return [
        Built(product_id, product, assembly, changed_at)
        for product_id, changed_at in changed.items()
        for product in [known.get(product_id)]
        for assembly in [_NOTHING if product is None else assemble(product, stock, today, keeps_sold_out=keeps)]
    ]


async def stock_of(units: Units, shop_id: UUID, parts: Sequence[ProductPart]) -> dict[str, Availability]:
    """What the shop can sell of all these products' SKUs."""
    return await _ask_stock(units, shop_id, [variant.sku for product in parts for variant in product.variants])


async def _ask_stock(units: Units, shop_id: UUID, skus: Sequence[str]) -> dict[str, Availability]:
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
    rows = [row_of(shop_id, each) for each in built if _is_news(standings.get(each.product_id), version)]
    as_built = {row.product_id: version for row in rows}
    changed = await _bring(uow, shop_id, rows, standings, as_built, version, index)
    await _note_products(uow, built, version)
    fresher = [row.product_id for row in rows if _knows_more_of_stock(standings.get(row.product_id), version)]
    if fresher:
        await marks.leave(uow, fresher, [shop_id], of_stock=True)
    return changed


async def _patch(uow: UnitOfWork, shop_id: UUID, patches: Mapping[UUID, Patch], version: int) -> None:
    """Bring new numbers into documents, as of `version`. What they do not fit by now is marked to be built in full."""
    index = await documents.lock_index(uow, shop_id)
    if index is None:
        return
    standings = await documents.standings(uow, shop_id, list(patches))
    older = [id_ for id_ in patches if not _knows_more_of_stock(standings.get(id_), version)]
    rows = [
        row
        for stored in await documents.list_stored(uow, shop_id, older)
        if (row := patching.patched(stored, patches[stored.product_id])) is not None
    ]
    built_from = {id_: standing.built_from for id_, standing in standings.items()}
    await _bring(uow, shop_id, rows, standings, built_from, version, index)
    misfits = set(older) - {row.product_id for row in rows}
    if misfits:
        await marks.leave(uow, list(misfits), [shop_id])


async def _bring(
    uow: UnitOfWork,
    shop_id: UUID,
    rows: Sequence[Row],
    standings: Mapping[UUID, Standing],
    built_from: Mapping[UUID, int],
    stock_from: int,
    index: asyncpg.Record,
) -> int:
    """Write what came out differently, and note of the rest that it did not. Returns how many rows are different."""
    # Ids rise with time: of what becomes an offer here, the younger gets the higher number.
    by_age = sorted(rows, key=lambda row: row.product_id)
    changed = [row for row in by_age if _differs(row, standings.get(row.product_id))]
    unchanged = [row for row in rows if not _differs(row, standings.get(row.product_id))]
    if unchanged:
        asked = [built_from[row.product_id] for row in unchanged]
        await documents.note_unchanged(uow, shop_id, unchanged, asked, stock_from)
    if changed:
        await _put(uow, shop_id, changed, standings, built_from, stock_from, tuple(index.values()))
    return len(changed)


def _is_news(standing: Standing | None, version: int) -> bool:
    return standing is None or version > standing.built_from


def _knows_more_of_stock(standing: Standing | None, version: int) -> bool:
    return standing is not None and standing.stock_from > version


def _differs(row: Row, standing: Standing | None) -> bool:
    """What never was an offer and is none is written once, too: that it is none is as good a finding as any."""
    return standing is None or standing.content != row.content


async def _put(
    uow: UnitOfWork,
    shop_id: UUID,
    rows: Sequence[Row],
    standings: Mapping[UUID, Standing],
    built_from: Mapping[UUID, int],
    stock_from: int,
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
    asked = [built_from[row.product_id] for row in rows]
    await documents.write(uow, shop_id, rows, numbers, sequences, asked, stock_from)
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
        await operator_marks.leave(uow, "product", moved)


async def _leave_for_later(uow: UnitOfWork, shop_id: UUID, built: Sequence[Built]) -> None:
    later = [(each.product_id, each.assembly.changes_at) for each in built if each.assembly.changes_at is not None]
    if later:
        await marks.leave_for_later(uow, shop_id, later)


def row_of(shop_id: UUID, built: Built) -> Row:
    """What is written of a product in a shop."""
    own_id = b'{"id":"%b",' % offer_id(shop_id, built.product_id).encode()

    def named(ready: bytes) -> bytes:
        """Ready JSON, which is never empty, with the id of the offer."""
        return own_id + ready[1:]

    offer = built.assembly.offer
    groups = built.assembly.groups
    # What customer groups see is built in full: it may list other variants.
    has_basis = built.product is not None and not groups
    basis = patching.basis_of(built.assembly.judged) if has_basis else None
    ready = None if offer is None else (documents.encoded(offer.fields), named(offer.document), named(offer.page))
    seen = [
        GroupOffer(group, None, b"", b"")
        if theirs is None
        else GroupOffer(group, theirs.fields, named(theirs.document), named(theirs.page))
        for group, theirs in groups.items()
    ]
    return Row.of(built.product_id, offer.slug if offer else "", ready, built.changed_at, basis, seen)


_WORK: Work[UUID, Built] = Work(marks.MARKS, gather, write, _leave_for_later)
