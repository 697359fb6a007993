"""Products of a platform come into the catalog: found again or created, then changed field by field.

    queued changes ─► plan (a blob) ─► the catalog's imports ─► settled in one transaction

The plan is kept before anything is imported, and its imports have ids of their own: a run that was killed anywhere goes
on with the same plan, and an import that was started is only waited for. What an import refused of a product fails,
with the import's own words; the others are acknowledged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.sync.repository import changes, creations, issues, listings, origins, relinks
from services.sync.repository.changes import Which
from services.sync.repository.issues import Trouble
from services.sync.use_cases import matching
from services.sync.use_cases.executing import Run
from services.sync.use_cases.matching import RemoteProduct
from services.sync.use_cases.taking.imports import File, Sheet, asked, carry_out, stored
from services.sync.use_cases.taking.product_files import (
    CHANNEL_CONTENT,
    PRODUCT_FIELDS,
    VARIANT_FIELDS,
    Cells,
    content_cells,
    option_names,
    parted,
    product_cells,
    variant_cells,
)
from services.sync.use_cases.taking.relinks import take_relinks
from shared import blobs
from shared.contracts.catalog.messages import FindProductKeys, ProductKeys
from shared.contracts.sync.shapes import FeedKind
from shared.impex.cells import InvalidCell, gtin
from shared.impex.keys import slug
from shared.unit_of_work import UnitOfWork

_RECORDS_AT_ONCE = 400
_WHICH: dict[FeedKind, Which] = {"import_products": "inserts", "update_products": "updates", "import_images": "images"}


@dataclass
class Item:
    """One product of a plan: whose rows those of `owner` are, and what is settled when they were taken."""

    owner: str
    external_id: str
    listing_id: UUID
    product_id: UUID | None
    change_ids: list[UUID] = field(default_factory=list)
    acknowledged: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    skus: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As it is kept in a plan's blob."""
        return vars(self) | {"acknowledged": {str(id_): fields for id_, fields in self.acknowledged.items()}}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Item":
        """The same from a plan's blob."""
        return cls(
            told["owner"],
            told["external_id"],
            UUID(told["listing_id"]),
            UUID(told["product_id"]) if told["product_id"] else None,
            [UUID(each) for each in told["change_ids"]],
            {UUID(listing_id): fields for listing_id, fields in told["acknowledged"].items()},
            told["skus"],
        )


@dataclass
class Plan:
    """What a batch does: files to be imported, and what becomes of each product then."""

    items: dict[str, Item] = field(default_factory=dict)
    sheets: dict[tuple[str, ...], Sheet] = field(default_factory=dict)
    # Found here by what they are known by: nothing is written, they only belong together from now on.
    linked: dict[UUID, UUID] = field(default_factory=dict)
    linking_changes: list[UUID] = field(default_factory=list)
    failed: dict[UUID, Trouble] = field(default_factory=dict)
    # Of products that are not here any more.
    called_off: list[UUID] = field(default_factory=list)
    # What is left out of what is taken, and why.
    notes: list[Trouble] = field(default_factory=list)
    last: UUID | None = None

    def sheet(self, mode: str, cells: Sequence[Mapping[str, str]], group: str = "products") -> Sheet:
        """The file that has just the columns of these rows."""
        headings = tuple(dict.fromkeys(name for row in cells for name in row))
        return self.sheets.setdefault((group, mode, *headings), Sheet(mode, headings, group))


async def take_products(run: Run) -> None:
    """Take what is queued of products, batch by batch."""
    if run.kind == "import_products" and run.connection["matches_seen_at"] is None:
        message = "Look at the preview of matches and confirm it: until then no product is created or linked."
        async with run.job.step() as uow:
            await run.tell(uow, Trouble(run.kind, "info", "matches_not_seen", message, run.kind))
        return
    await take_relinks(run)
    if run.kind == "import_products" and run.only is None and "batch" not in run.job.checkpoint:
        await _take_up_unambiguous(run)
    while "batch" in run.job.checkpoint or await _prepare(run):
        await _carry_out(run)
    async with run.job.step() as uow:
        await issues.resolve_settled(uow, run.connection_id, run.kind)


async def _take_up_unambiguous(run: Run) -> None:
    """What was several of our products, and is one or none now, is tried again, and no issue any more."""
    after: str | None = ""
    while after is not None:
        after = await _take_up_some(run, after)


async def _take_up_some(run: Run, after: str) -> str | None:
    """Look at the next ones by what they are called over there. Returns the last; None: there are no more."""
    uow = run.job.unit_of_work()
    try:
        subjects = await issues.list_open(uow, run.connection_id, run.kind, "ambiguous_match", after, _RECORDS_AT_ONCE)
        rows = await listings.list_by_external_ids(uow, run.connection_id, "product", subjects)
        products = await matching.load(uow, run.connection_id, rows)
    finally:
        await uow.rollback()
    following = subjects[-1] if len(subjects) == _RECORDS_AT_ONCE else None
    if not products:
        return following
    keys = await asked(run, matching.question(products))
    over = [each for each in products if matching.match(run.settings, keys, each).outcome != "ambiguous"]
    if over:
        async with run.job.step() as uow:
            ids = [row["id"] for each in over for row in (each.row, *(row for row, _ in each.variants))]
            await changes.try_again(uow, ids, "in")
            named = [each.external_id for each in over]
            await issues.resolve_code(uow, run.connection_id, [run.kind], named, "ambiguous_match")
    return following


async def _prepare(run: Run) -> bool:
    """Make the next plan and keep it with its files. False: nothing is queued any more."""
    point = run.job.checkpoint
    after = point.get("taken")
    uow = run.job.unit_of_work()
    try:
        queued = await changes.list_queued(
            uow,
            run.connection_id,
            "in",
            run.rule.entities,
            _WHICH[run.kind],
            UUID(after) if after else None,
            _RECORDS_AT_ONCE,
            run.only,
        )
        rows = await listings.list_by_ids(uow, sorted({change["listing_id"] for change in queued}))
        external_ids = {row["parent_external_id"] or row["external_id"] for row in rows}
        products = await matching.load(
            uow,
            run.connection_id,
            await listings.list_by_external_ids(uow, run.connection_id, "product", sorted(external_ids)),
        )
        undecided = await relinks.list_undecided(uow, [product.row["id"] for product in products])
    finally:
        await uow.rollback()
    if not queued:
        return False
    question = matching.question(products)
    # Whether a SKU that was changed over there is still here decides what became of its variant.
    former = {orjson.loads(change["before"]) for change in queued if change["field"] == "sku"} - {None}
    more = {"skus": sorted({*question.skus, *former}), "connection_id": run.connection_id}
    keys = await asked(run, question.model_copy(update=more))
    # What a person has still to say of which product it is waits, with all of its variants.
    plan = _planned(run, [each for each in products if each.row["id"] not in undecided], keys, queued)
    plan.last = rows[-1]["id"]
    await _keep(run, plan)
    return True


def _planned(run: Run, products: Sequence[RemoteProduct], keys: ProductKeys, queued: Sequence[Any]) -> Plan:
    by_listing: dict[UUID, list[Any]] = {}
    for change in queued:
        by_listing.setdefault(change["listing_id"], []).append(change)
    plan = Plan()
    for product in products:
        of_product = [by_listing.get(row["id"], []) for row in (product.row, *(row for row, _ in product.variants))]
        wanted = [change for found in of_product for change in found]
        if not wanted:
            continue
        if run.kind == "import_products":
            _plan_new(run, plan, product, keys, wanted)
            continue
        for product_id, own in _by_product(product, wanted).items():
            if product_id in keys.slugs:
                _plan_updates(run, plan, product, product_id, keys, own)
            elif product_id is not None:
                message = "It was deleted here: what changed of it over there is not taken over."
                plan.called_off += [change["id"] for change in own]
                plan.notes.append(_note(run, product.row, "no_product", message))
    return plan


def _by_product(product: RemoteProduct, wanted: Sequence[Any]) -> dict[UUID | None, list[Any]]:
    """Changes by which product of ours they are of: a variant that was re-linked is another's than its neighbours."""
    own: UUID | None = product.row["product_id"]
    of_variant = {row["id"]: row["product_id"] or own for row, _ in product.variants}
    found: dict[UUID | None, list[Any]] = {}
    for change in wanted:
        found.setdefault(of_variant.get(change["listing_id"], own), []).append(change)
    return found


# --- new products and variants


def _plan_new(run: Run, plan: Plan, product: RemoteProduct, keys: ProductKeys, wanted: Sequence[Any]) -> None:
    found = matching.match(run.settings, keys, product)
    doubled = next((sku for sku in product.skus if product.skus.count(sku) > 1), None)
    if doubled is not None:
        message = f"The SKU {doubled} is that of two of its variants; a SKU is what a variant is known by."
        plan.failed |= {change["id"]: _trouble(run, product, "duplicate_sku", message) for change in wanted}
    elif found.outcome == "ambiguous":
        message = f"Its {found.by}s belong to {len(found.product_ids)} different products here; say which it is."
        plan.failed |= {change["id"]: _trouble(run, product, "ambiguous_match", message) for change in wanted}
    elif found.outcome == "create":
        _plan_creation(run, plan, product, keys, wanted)
    elif found.outcome == "link":
        _plan_link(plan, product, found.product_ids[0], keys, wanted)
    else:
        _plan_variants(run, plan, product, keys, wanted)


def _plan_creation(run: Run, plan: Plan, product: RemoteProduct, keys: ProductKeys, wanted: Sequence[Any]) -> None:
    handle = product.handle
    if handle in keys.by_slug or handle in plan.items:
        handle = f"{handle}-{slug(product.external_id)}"
    item = _item(plan, product, handle, None, wanted)
    fields = dict(product.fields)
    if not fields.get("categories") and run.settings.default_categories:
        fields["categories"] = [[name] for name in run.settings.default_categories]
    options = fields.get("options") or []
    own = {"handle": handle, **product_cells(fields), **option_names(options)}
    rows = [
        {**(own if place == 0 else {"handle": handle}), **_variant_row(run, plan, row, said, options)}
        for place, (row, said) in enumerate(product.variants)
    ] or [own]
    plan.sheet("insert-only", rows).add(item.owner, rows)
    item.acknowledged[product.row["id"]] = product.fields
    item.acknowledged |= {row["id"]: said for row, said in product.variants}
    item.skus = [row["sku"] for row in rows if row.get("sku")]


def _plan_link(plan: Plan, product: RemoteProduct, product_id: UUID, keys: ProductKeys, wanted: Sequence[Any]) -> None:
    """It is one of ours; fields that differ are found by looking at it anew. Variants that are not here come next."""
    known = [row for row, said in product.variants if keys.by_sku.get(said.get("sku") or "") == product_id]
    plan.linked |= {row["id"]: product_id for row in (product.row, *known)}
    plan.linking_changes += [change["id"] for change in wanted if change["listing_id"] in plan.linked]


def _plan_variants(run: Run, plan: Plan, product: RemoteProduct, keys: ProductKeys, wanted: Sequence[Any]) -> None:
    product_id = product.row["product_id"]
    new = {change["listing_id"] for change in wanted}
    rows, options = [], product.fields.get("options") or []
    item = _item(plan, product, keys.slugs[product_id], product_id, wanted)
    for row, said in product.variants:
        if row["id"] in new:
            cells = _variant_row(run, plan, row, said, options)
            rows.append({"handle": item.owner, **option_names(options), **cells})
            item.acknowledged[row["id"]] = said
    if rows:
        plan.sheet("merge", rows).add(item.owner, rows)


def _variant_row(run: Run, plan: Plan, row: Any, fields: Mapping[str, Any], options: Sequence[str]) -> dict[str, str]:
    return {"sku": _sku(run, row, fields), **variant_cells(_usable(run, plan, row, fields), options)}


def _sku(run: Run, row: Any, fields: Mapping[str, Any]) -> str:
    return fields.get("sku") or f"{run.connection['platform']}-{row['external_id']}".upper()


def _usable(run: Run, plan: Plan, row: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the catalog would refuse a variant for: prices in another currency, barcodes that are none."""
    left = dict(fields)
    for name in ("price", "list_price"):
        if left.get(name) and left[name]["currency"] != run.connection["currency"]:
            message = f"Its {name} is in {left[name]['currency']}, and the shop's prices are not: it was left out."
            plan.notes.append(_note(run, row, "other_currency", message))
            del left[name]
    if left.get("barcode"):
        try:
            gtin(left["barcode"])
        except InvalidCell as error:
            plan.notes.append(_note(run, row, "invalid_barcode", f"{error} It was left out."))
            del left["barcode"]
    return left


def _note(run: Run, row: Any, code: str, message: str) -> Trouble:
    return Trouble(run.kind, "info", code, message, row["external_id"], row["id"])


# --- fields that changed


def _plan_updates(
    run: Run, plan: Plan, product: RemoteProduct, product_id: UUID, keys: ProductKeys, wanted: Sequence[Any]
) -> None:
    handle = keys.slugs[product_id]
    item = _item(plan, product, handle, product_id, [])
    of_listing: dict[UUID, dict[str, Any]] = {}
    for change in wanted:
        name = change["field"]
        if name == "sku" and not _is_known_here(change, product_id, keys):
            message = "Its SKU was changed over there; a SKU is what it is known by, so a person has to say what it is."
            plan.failed[change["id"]] = _trouble(run, product, "sku_changed", message)
            continue
        of_listing.setdefault(change["listing_id"], {})[name] = orjson.loads(change["after"])
        item.change_ids.append(change["id"])
    item.acknowledged |= of_listing
    # Where a variant stands elsewhere there than here, its options are not those of its product here.
    is_its_place = product_id == product.row["product_id"]
    has_other_options = is_its_place and any("options" in fields for fields in of_listing.values())
    changed = {name: value for name, value in of_listing.get(product.row["id"], {}).items() if name in PRODUCT_FIELDS}
    whose = _Whose(run, plan, item, {each.sku: each.fields for each in keys.owned if each.product_id == product_id})
    whose.take(None, changed, product_cells)
    for row, said in product.variants:
        changed = {name: value for name, value in of_listing.get(row["id"], {}).items() if name in VARIANT_FIELDS}
        whose.take(_sku(run, row, said), _usable(run, plan, row, changed), variant_cells)
    if has_other_options:
        names = product.fields.get("options") or []
        rows = [
            {
                "handle": handle,
                **option_names(names),
                "sku": _sku(run, row, said),
                **variant_cells({"options": said.get("options")}, names),
            }
            for row, said in product.variants
            if row["product_id"] in (None, product_id)
        ]
        plan.sheet("merge", rows).add(item.owner, rows)


@dataclass(frozen=True)
class _Whose:
    """Where what changed of one product goes: to the connection's own content what it owns, the rest to the product.

    `owned` are fields of the product, and by SKU of its variants.
    """

    run: Run
    plan: Plan
    item: Item
    owned: Mapping[str | None, Sequence[str]]

    def take(self, sku: str | None, changed: Mapping[str, Any], cells_of: Callable[[Mapping[str, Any]], Cells]) -> None:
        """Plan what changed of the product, or of the variant with that SKU."""
        own, others = parted(changed, self.owned.get(sku, ()))
        if own:
            row = content_cells(self.run.connection_id, self.item.owner, sku, cells_of(own))
            self.plan.sheet("merge", [row], CHANNEL_CONTENT).add(self.item.owner, [row])
        if others:
            row = {"handle": self.item.owner, **({"sku": sku} if sku else {}), **cells_of(others)}
            self.plan.sheet("replace", [row]).add(self.item.owner, [row])


def _is_known_here(change: Any, product_id: UUID, keys: ProductKeys) -> bool:
    """Whether the product has the new SKU here, and no longer the one before: it was changed here as well."""
    before, after = orjson.loads(change["before"]), orjson.loads(change["after"])
    return keys.by_sku.get(after) == product_id and keys.by_sku.get(before or "") != product_id


def _item(plan: Plan, product: RemoteProduct, handle: str, product_id: UUID | None, wanted: Sequence[Any]) -> Item:
    return plan.items.setdefault(
        handle, Item(handle, product.external_id, product.row["id"], product_id, [change["id"] for change in wanted])
    )


def _trouble(run: Run, product: RemoteProduct, code: str, message: str, said: str | None = None) -> Trouble:
    return Trouble(run.kind, "error", code, message, product.external_id, product.row["id"], said)


# --- the plan is kept, carried out and settled


async def _keep(run: Run, plan: Plan) -> None:
    organization_id, job = run.job.organization_id, run.job
    number = job.checkpoint.get("batches", 0)
    files = [
        (await stored(run, "products", sheet, number, place)).told() for place, sheet in enumerate(plan.sheets.values())
    ]
    told = {
        "files": files,
        "items": [item.told() for item in plan.items.values()],
        "linked": {str(listing_id): product_id for listing_id, product_id in plan.linked.items()},
        "linking_changes": plan.linking_changes,
        "failed": [[change_id, _told(trouble)] for change_id, trouble in plan.failed.items()],
        "called_off": plan.called_off,
        "notes": list(map(_told, plan.notes)),
        "last": plan.last,
    }
    key = f"sync/{job.id}/{number}.json"
    await blobs.put(organization_id, key, orjson.dumps(told, default=str))
    async with job.step():
        job.checkpoint |= {"batch": key, "batches": number + 1}


def _told(trouble: Trouble) -> dict[str, Any]:
    return {name: getattr(trouble, name) for name in trouble.__slots__}


def _read(told: Mapping[str, Any]) -> Trouble:
    return Trouble(**{**told, "listing_id": UUID(told["listing_id"])})


async def _carry_out(run: Run) -> None:
    job, key = run.job, run.job.checkpoint["batch"]
    told = orjson.loads(await blobs.get(job.organization_id, key))
    refused: dict[str, tuple[str, str]] = {}
    for file in told["files"]:
        refused |= await carry_out(run, File.read(file))
    items = [Item.read(item) for item in told["items"]]
    found = await _created(run, [item for item in items if item.owner not in refused and item.product_id is None])
    async with job.step() as uow:
        await _settle(run, uow, told, items, refused, found)
        job.checkpoint["taken"] = told["last"]
        del job.checkpoint["batch"]
    await blobs.delete(job.organization_id, key)


async def _created(run: Run, items: Sequence[Item]) -> dict[str, UUID]:
    """The products that came of new ones, by their handle."""
    skus = [sku for item in items for sku in item.skus]
    if not items:
        return {}
    keys: ProductKeys = await asked(run, FindProductKeys(skus=skus, slugs=[item.owner for item in items]))
    found = {}
    for item in items:
        by_sku = next((keys.by_sku[sku] for sku in item.skus if sku in keys.by_sku), None)
        product_id = by_sku or keys.by_slug.get(item.owner)
        if product_id is not None:
            found[item.owner] = product_id
    return found


async def _settle(
    run: Run,
    uow: UnitOfWork,
    told: Mapping[str, Any],
    items: Sequence[Item],
    refused: Mapping[str, tuple[str, str]],
    found: Mapping[str, UUID],
) -> None:
    """In one transaction: what was taken is acknowledged, what was refused fails with its words."""
    taken = [item for item in items if item.owner not in refused and (item.product_id or item.owner in found)]
    troubles = [
        Trouble(
            run.kind,
            "error",
            *refused.get(item.owner, ("not_created", "The import did not make it.")),
            item.external_id,
            item.listing_id,
        )
        for item in items
        if item not in taken
    ]
    failed = [change_id for item in items if item not in taken for change_id in item.change_ids]
    failed += [UUID(change_id) for change_id, _ in told["failed"]]
    troubles += [_read(said) for _, said in told["failed"]]
    links = {listing_id: item.product_id or found[item.owner] for item in taken for listing_id in item.acknowledged}
    by_match = {UUID(listing_id): UUID(product_id) for listing_id, product_id in told["linked"].items()}
    await listings.link(uow, links | by_match)
    await listings.acknowledge(uow, {id_: fields for item in taken for id_, fields in item.acknowledged.items()})
    await _note_origins(run, uow, taken, list(by_match.values()))
    await listings.note_pictures(uow, _pictures(taken), is_whole=False)
    await listings.look_again(uow, list(by_match))
    applied = [change_id for item in taken for change_id in item.change_ids]
    # With a new product all that it consists of is here, also what has failed before and was not tried by itself.
    whole = [listing_id for item in taken if item.product_id is None for listing_id in item.acknowledged]
    applied += [change["id"] for change in await changes.list_open(uow, whole, "in") if change["kind"] == "insert"]
    await changes.settle(uow, [*applied, *map(UUID, told["linking_changes"])], "applied")
    await changes.fail(uow, failed, "refused", run.job.id)
    await changes.settle(uow, list(map(UUID, told["called_off"])), "cancelled", "no_product")
    run.job.count("applied", len(taken))
    run.job.count("linked", len(by_match))
    run.job.count("failed", len(troubles))
    notes = [_read(said) for said in told["notes"]]
    if troubles or notes:
        await run.tell(uow, *troubles, *notes)


async def _note_origins(run: Run, uow: UnitOfWork, taken: Sequence[Item], matched: Sequence[UUID]) -> None:
    """Say what came here by this connection; what turned out to be ours may be made, and written, elsewhere."""
    if run.kind == "import_products":
        await origins.note_sources(uow, [listing_id for item in taken for listing_id in item.acknowledged])
    else:
        fields = [(id_, name) for item in taken for id_, said in item.acknowledged.items() for name in said]
        await origins.forget_sent(uow, fields)
    if matched:
        await creations.note_candidates(uow, matched)
        await listings.mark_products(uow, matched)


def _pictures(taken: Sequence[Item]) -> dict[UUID, dict[str, str]]:
    """Pictures that were taken over are ours from now on, under the platform's addresses."""
    images = {
        listing_id: fields["images"]
        for item in taken
        for listing_id, fields in item.acknowledged.items()
        if fields.get("images")
    }
    return {listing_id: {image["url"]: image["url"] for image in each} for listing_id, each in images.items()}
