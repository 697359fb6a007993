"""What the shop sells and the platform does not have is made there, where the connection is set so (SYN-5, SYN-6).

    event ─► candidate ─► sold, and not there by SKU or barcode? ─► a listing that waits, with one change of all of it
    send ─► what is tried is kept first, and tried again just so ─► the listing has its ids there

Each is made once, whatever is lost: a write's key follows from connection, product and SKU, never from its content. A
scan that is quicker than the answer is met half-way (`repository/creations.py`). What was there once, and is gone, was
removed by somebody and is not made anew; nor is what a person has called off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.repository import changes, connections, creations, issues, listings
from services.sync.repository.changes import WHOLE, Found
from services.sync.repository.creations import Made, Wanted
from services.sync.repository.issues import Trouble
from services.sync.repository.listings import WrittenValues
from services.sync.use_cases import passing_on
from services.sync.use_cases.executing import Run
from services.sync.use_cases.outgoing_images import paired
from services.sync.use_cases.outgoing_product import (
    is_priced,
    is_sold,
    shown_by_connection,
    whole_product,
    whole_variant,
)
from services.sync.use_cases.passing_on import Origins
from services.sync.use_cases.sending import Queued
from services.sync.use_cases.sessions import lacks_of
from shared.contracts.catalog.messages import ListProductIds
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.sync.shapes import ConnectionSettings
from shared.identifiers import derived_id
from shared.impex.cells import spellings
from shared.unit_of_work import UnitOfWork

FIND_CANDIDATES = "sync.find_candidates"
DROP_CREATIONS = "sync.drop_creations"
DROPPED_AT_ONCE = 5000
_LOOKED_AT_ONCE = 200
_IDS_AT_ONCE = 1000


# --- who may be to be made


async def look_for_candidates(uow: UnitOfWork, category_ids: Sequence[str] | None, after: str | None) -> None:
    """Note a page of all products, or of those in these branches, and leave the next page as a task."""
    async with uow.beforehand() as earlier:
        is_wanted = await creations.is_any_wanted(earlier)
    if not is_wanted:
        return
    branches = None if category_ids is None else [UUID(each) for each in category_ids]
    place = UUID(after) if after else None
    page = await uow.ask(ListProductIds(category_ids=branches, after=place, first=_IDS_AT_ONCE))
    if page.ids:
        await creations.note_candidates(uow, page.ids)
        uow.defer(FIND_CANDIDATES, {"category_ids": category_ids, "after": str(page.ids[-1])})


async def drop_more_creations(uow: UnitOfWork, connection_id: UUID) -> None:
    """As `drop_creations`, unless products are made there again by now. Safe to repeat."""
    found = await connections.find(uow, connection_id)
    if found is not None and not ConnectionSettings.model_validate_json(found["settings"]).create_products:
        await drop_creations(uow, connection_id)


async def drop_creations(uow: UnitOfWork, connection_id: UUID) -> None:
    """Drop some of what waits to be made where nothing is made any more, and leave the rest as a task.

    What is left is not made meanwhile, also not by a run that is under way: see `creations.begin`.
    """
    if await creations.drop_some(uow, connection_id, DROPPED_AT_ONCE):
        uow.defer(DROP_CREATIONS, {"connection_id": str(connection_id)})


async def find_new(run: Run) -> None:
    """Have a listing wait for each product that is to be made, as it is now."""
    if not run.settings.create_products:
        has_more = True
        while has_more:
            async with run.job.step() as uow:
                has_more = await creations.drop_some(uow, run.connection_id, DROPPED_AT_ONCE)
        return
    if await _is_ready(run):
        while await _look_at_some(run):
            pass


async def _is_ready(run: Run) -> bool:
    """Nothing is made before all that is there was read, and somebody has looked at the matches."""
    if "import_products" in lacks_of(run.connection):
        return True
    async with run.job.step() as uow:
        known = await connections.get_clock(uow, run.connection_id, "product")
        if run.connection["matches_seen_at"] is not None and known is not None and known["full_scan_at"] is not None:
            return True
        message = "Read all products, look at the preview of matches and confirm it: until then none is made there."
        await run.tell(uow, Trouble(run.kind, "info", "matches_not_seen", message, run.kind))
    return False


@dataclass
class _Decisions:
    """What is to become of some candidates."""

    wanted: dict[UUID, Wanted] = field(default_factory=dict)
    # Listings of the platform, and which product each is here.
    linked: dict[UUID, UUID] = field(default_factory=dict)
    over: list[UUID] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


async def _look_at_some(run: Run) -> bool:
    uow = run.job.unit_of_work()
    try:
        rows = await creations.list_candidates(uow, run.connection_id, _LOOKED_AT_ONCE)
    finally:
        await uow.rollback()
    if not rows:
        return False
    ids = [row["product_id"] for row in rows]
    parts = await shown_by_connection(run.job.unit_of_work(), run.connection, ids)
    sold = {part.id: part for part in parts.products if is_sold(part)}
    async with run.job.step() as uow:
        decided = await _decided(run, uow, ids, sold)
        await _link(run, uow, decided.linked)
        await creations.give_up(uow, run.connection_id, decided.over, "product")
        await want(run, uow, list(decided.wanted.values()))
        troubled = {trouble.subject for trouble in decided.troubles}
        fine = [part.slug for part in sold.values() if part.slug not in troubled]
        await issues.resolve(uow, run.connection_id, run.kind, fine)
        if decided.troubles:
            await run.tell(uow, *decided.troubles)
        await creations.drop_candidates(uow, run.connection_id, rows)
        run.job.count("looked_at", len(rows))
    return True


async def _decided(run: Run, uow: UnitOfWork, ids: Sequence[UUID], sold: Mapping[UUID, ProductPart]) -> _Decisions:
    variants = [variant for part in sold.values() for variant in part.variants]
    there = await _there(run, uow, variants)
    origins = await passing_on.load(uow, run.connection, list(sold), sorted({variant.sku for variant in variants}))
    listed = await creations.find_listed(uow, run.connection_id, ids)
    decisions = _Decisions()
    for product_id in ids:
        if product_id in listed or product_id not in sold:
            decisions.over.append(product_id)
        else:
            _decide(run, decisions, sold[product_id], there)
            if product_id in decisions.wanted and origins.keeps_product(sold[product_id]):
                del decisions.wanted[product_id]
                decisions.over.append(product_id)
                run.job.count("not_passed_on")
    return decisions


async def _there(run: Run, uow: UnitOfWork, variants: Sequence[Any]) -> list[asyncpg.Record]:
    """What the platform has of these SKUs and barcodes."""
    barcodes = {each for variant in variants if variant.barcode for each in spellings(variant.barcode)}
    skus = sorted({variant.sku for variant in variants})
    return await creations.find_sold_there(uow, run.connection_id, skus, sorted(barcodes))


def _decide(run: Run, decisions: _Decisions, part: ProductPart, there: Sequence[asyncpg.Record]) -> None:
    """Make it, link it to what is there, or say why neither."""
    skus = {variant.sku for variant in part.variants}
    barcodes = {each for variant in part.variants if variant.barcode for each in spellings(variant.barcode)}
    # Whatever it is matched by, no SKU is made twice.
    for rule in dict.fromkeys((*run.settings.match_by, "sku")):
        same = [row for row in there if (row["sku"] in skus if rule == "sku" else row["barcode"] in barcodes)]
        if not same:
            continue
        parents = {row["parent_id"]: row["product_id"] for row in same}
        if len(parents) == 1 and next(iter(parents.values())) in (None, part.id):
            decisions.linked |= dict.fromkeys((*parents, *(row["id"] for row in same if row["sku"] in skus)), part.id)
        else:
            decisions.troubles.append(_elsewhere(run, part, same))
        decisions.over.append(part.id)
        return
    decisions.wanted[part.id] = Wanted(part.id, whole_product(part, run.settings))


def _elsewhere(run: Run, part: ProductPart, same: Sequence[asyncpg.Record]) -> Trouble:
    found = ", ".join(sorted({row["parent_external_id"] for row in same})[:5])
    message = f"SKUs or barcodes of '{part.slug}' belong to other products there ({found}): it is not made."
    return Trouble(run.kind, "error", "sku_elsewhere", message, part.slug, same[0]["parent_id"])


async def _link(run: Run, uow: UnitOfWork, linked: Mapping[UUID, UUID]) -> None:
    """They are there: nothing is made, and what differs is found by looking at them anew."""
    if not linked:
        return
    await listings.link(uow, linked)
    await listings.look_again(uow, list(linked))
    waiting = [each["id"] for each in await changes.list_open(uow, list(linked), "in") if each["field"] == WHOLE]
    await changes.settle(uow, waiting, "applied", "linked")
    run.job.count("linked", len(linked))


async def want(run: Run, uow: UnitOfWork, wanted: Sequence[Wanted]) -> None:
    """Have these wait, each with one change of all of it; what was tried, or called off, stays as it is."""
    if not wanted:
        return
    rows = await creations.wait(uow, run.connection_id, wanted)
    found = [
        Found(row["id"], row["entity"], "out", "insert", WHOLE, None, each.content, "queued")
        for row, each in zip(rows, wanted, strict=True)
        if row["gone_at"] is None and row["sent"] == "{}"
    ]
    if found:
        await changes.queue(uow, run.connection_id, found)


# --- variants of products that are there


async def want_variants(
    run: Run, uow: UnitOfWork, rows: Sequence[asyncpg.Record], parts: Mapping[UUID, ProductPart], origins: Origins
) -> None:
    """Have the variants wait that linked products have here and not there."""
    if not run.settings.create_products:
        return
    pairs = [(row, parts[row["product_id"]]) for row in rows if row["product_id"] in parts]
    known: dict[str, list[asyncpg.Record]] = {}
    for each in await listings.list_known_variants(uow, run.connection_id, [row["external_id"] for row, _ in pairs]):
        known.setdefault(each["parent_external_id"], []).append(each)
    missing = [(row, part, _missing(part, known.get(row["external_id"], ()), origins)) for row, part in pairs]
    there = await _there(run, uow, [each for _, _, variants in missing for each in variants])
    taken = {row["sku"]: row for row in there}
    wanted, troubles = [], []
    for row, part, variants in missing:
        of_row = []
        for each in variants:
            if each.sku in taken:
                troubles.append(_elsewhere(run, part, [taken[each.sku]]))
            else:
                content = {"product": {}, "variants": [whole_variant(each, run.settings)]}
                of_row.append(Wanted(part.id, content, each.sku, row["external_id"]))
        if any(each["external_id"] is None for each in known.get(row["external_id"], ())):
            skus = [each.sku for each in of_row if each.sku]
            await creations.give_up_variants(uow, run.connection_id, part.id, skus)
        wanted += of_row
    await want(run, uow, wanted)
    if troubles:
        await run.tell(uow, *troubles)


def _missing(part: ProductPart, known: Sequence[asyncpg.Record], origins: Origins) -> list[Any]:
    """Variants that are sold, passed on, and are not, and never were, there under their SKU or barcode."""
    if not is_sold(part):
        return []
    there = [each for each in known if each["external_id"] is not None]
    skus = {each["sku"] for each in there}
    barcodes = {each["barcode"] for each in there if each["barcode"]}
    return [
        variant
        for variant in part.variants
        if is_priced(variant)
        and variant.sku not in skus
        and not (variant.barcode and barcodes.intersection(spellings(variant.barcode)))
        and not origins.keeps_variant(part.id, variant.sku)
    ]


# --- making


async def write_products(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Make products with all of their variants."""
    begun = await _begin(run, batch)
    trying = [each for each in batch if each.row["id"] in begun]
    writes = [_product_write(each.row, begun[each.row["id"]]) for each in trying]
    answers = await run.session.write_products(writes) if writes else ()
    return _in_order(batch, trying, answers)


async def write_variants(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Make variants of products that are there, each in a write of its own, under its own key."""
    begun = await _begin(run, batch)
    trying = [each for each in batch if each.row["id"] in begun]
    writes = [
        ProductWrite(
            creation_key(each.row), each.row["parent_external_id"], {}, {}, _variant_writes(begun[each.row["id"]])
        )
        for each in trying
    ]
    answers = await run.session.write_products(writes) if writes else ()
    return _in_order(batch, trying, [answer.parts[0] if answer.parts else answer for answer in answers])


async def _begin(run: Run, batch: Sequence[Queued]) -> dict[UUID, dict[str, Any]]:
    async with run.job.step() as uow:
        return await creations.begin(uow, {each.row["id"]: each.fields[WHOLE] for each in batch})


def _product_write(row: asyncpg.Record, content: Mapping[str, Any]) -> ProductWrite:
    return ProductWrite(creation_key(row), None, content["product"], {}, _variant_writes(content))


def _variant_writes(content: Mapping[str, Any]) -> list[VariantWrite]:
    return [
        VariantWrite(None, fields["sku"], {name: value for name, value in fields.items() if name != "sku"})
        for fields in content["variants"]
    ]


def creation_key(row: asyncpg.Record) -> str:
    """By which a platform knows that it has made this already, whatever became of us meanwhile."""
    return str(derived_id("creation", row["connection_id"], row["product_id"], row["sku"] or ""))


def _in_order(batch: Sequence[Queued], trying: Sequence[Queued], answers: Sequence[Written]) -> list[Written]:
    """What became of each; of one that was given up meanwhile, nothing."""
    by_id = {each.row["id"]: answer for each, answer in zip(trying, answers, strict=True)}
    return [by_id.get(each.row["id"], Written("unchanged")) for each in batch]


async def settle(uow: UnitOfWork, queued: Queued, answer: Written) -> None:
    """What was made is there, under the ids that the platform has given it; its stock levels are to be looked for."""
    await connections.want_levels(uow, queued.row["connection_id"])
    rows = await listings.list_by_ids(uow, [queued.row["id"]])
    waiting = bool(rows) and rows[0]["external_id"] is None
    tried = orjson.loads(rows[0]["sent"]) if waiting else {}
    content = tried or queued.fields[WHOLE]
    assert answer.external_id is not None
    if queued.row["entity"] == "variant":
        await creations.note_made(uow, queued.row, _made(answer.external_id, content["variants"][0], answer), [])
        return
    parts = [
        _made(part.external_id, fields, part)
        for fields, part in zip(content["variants"], answer.parts, strict=False)
        if part.external_id is not None and part.outcome in ("ok", "unchanged")
    ]
    await creations.note_made(uow, queued.row, _made(answer.external_id, content["product"], answer), parts)
    pictures = paired(content["product"].get("images") or [], answer.fields.get("images") or [])
    made = await listings.list_by_external_ids(uow, queued.row["connection_id"], "product", [answer.external_id])
    await listings.note_pictures(uow, {row["id"]: pictures for row in made}, is_whole=False)


def _made(external_id: str, sent: Mapping[str, Any], answer: Written) -> Made:
    return Made(external_id, WrittenValues(sent, dict(sent) | answer.fields, answer.references))
