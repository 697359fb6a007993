"""Our products go to a platform where their fields are ours: what a connection shows is compared with what is there.

A field is written when the connection's rules say that it is ours, or both sides' and only we have changed it since
both agreed. What the platform does not have, or what it was never seen to have, is not written.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.models import rule_of
from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.repository import changes, listings
from services.sync.repository.changes import Found
from services.sync.use_cases import creating, images_out, passing_on
from services.sync.use_cases.executing import Run
from services.sync.use_cases.outgoing_images import are_same, beside
from services.sync.use_cases.outgoing_product import product_fields, shown_by_connection, variant_fields
from services.sync.use_cases.passing_on import Origins
from services.sync.use_cases.sending import Queued, send
from shared.contracts.sync.shapes import ConnectionSettings, FieldRule

_COMPARED_AT_ONCE = 200
# Prices as they are here.
_AS_HERE = ConnectionSettings()


async def export_products(run: Run) -> None:
    """Compare what changed, then send what is new and what is different: products before their variants."""
    if run.only is None:
        await compare_products(run)
        await creating.find_new(run)
    await send(run, ("product",), creating.write_products, "inserts", creating.settle)
    run.job.checkpoint["sent"] = None
    await send(run, ("product",), _write_products, "fields")
    run.job.checkpoint["sent"] = None
    await send(run, ("variant",), creating.write_variants, "inserts", creating.settle)
    run.job.checkpoint["sent"] = None
    await send(run, ("variant",), _write_variants, "fields")
    run.job.checkpoint["sent"] = None
    await send(run, ("product",), images_out.take_away, "removals", images_out.settle)


async def compare_products(run: Run) -> None:
    """Queue what is different of the products that changed here since they were last compared."""
    while await _compare_some(run):
        pass


async def _compare_some(run: Run) -> bool:
    uow = run.job.unit_of_work()
    try:
        rows = await listings.list_marked(uow, run.connection_id, "product", _COMPARED_AT_ONCE)
        parents = [row["external_id"] for row in rows if row["product_id"]]
        variants = await listings.list_variants(uow, run.connection_id, parents)
        incoming = await changes.list_open(uow, [row["id"] for row in (*rows, *variants)], "in")
        product_ids = sorted({row["product_id"] for row in (*rows, *variants) if row["product_id"]})
        skus = sorted({row["sku"] for row in variants if row["sku"]})
        origins = await passing_on.load(uow, run.connection, product_ids, skus)
    finally:
        await uow.rollback()
    if not rows:
        return False
    parts = await shown_by_connection(run.job.unit_of_work(), run.connection, product_ids)
    by_id = {part.id: part for part in parts.products}
    by_sku = {(part.id, variant.sku): variant for part in parts.products for variant in part.variants}
    owned = {(each.product_id, each.sku): frozenset(each.fields) for each in parts.owned}
    comparison = _Comparison(run.settings, {(each["listing_id"], each["field"]) for each in incoming}, origins)
    of_parent: dict[str, list[asyncpg.Record]] = {}
    for row in variants:
        of_parent.setdefault(row["parent_external_id"], []).append(row)
    for row in rows:
        part = by_id.get(row["product_id"])
        comparison.since = row["stale_since"]
        if part is not None:
            shown = product_fields(part)
            comparison.add(row, shown, shown, owned.get((part.id, None), ()))
        for each in of_parent.get(row["external_id"], ()):
            # One that was re-linked is another product's than what it stands in there.
            key = (each["product_id"] or row["product_id"], each["sku"])
            if (variant := by_sku.get(key)) is not None:
                sent, here = variant_fields(variant, run.settings), variant_fields(variant, _AS_HERE)
                comparison.add(each, sent, here, owned.get(key, ()))
    async with run.job.step() as uow:
        if comparison.over:
            await changes.call_off(uow, "out", comparison.over, "agreed")
        if comparison.found or comparison.proposals:
            await changes.queue(uow, run.connection_id, [*comparison.found, *comparison.proposals])
        await images_out.settle_proposals(uow, rows, comparison.proposals, comparison.pictures)
        await creating.want_variants(run, uow, rows, by_id, origins)
        await listings.unmark(uow, rows)
        run.job.count("compared", len(rows))
        if comparison.kept_back:
            run.job.count("not_passed_on", comparison.kept_back)
    return len(rows) == _COMPARED_AT_ONCE


class _Comparison:
    """What is to be written of some records, and what no longer is. `incoming` waits to be taken over here."""

    def __init__(self, settings: ConnectionSettings, incoming: set[tuple[UUID, str]], origins: Origins) -> None:
        self._settings, self._incoming, self._origins = settings, incoming, origins
        # When that was written which is compared, a product with its variants.
        self.since: datetime | None = None
        # How many values are another connection's, which does not pass them on.
        self.kept_back = 0
        self.found: list[Found] = []
        self.over: list[tuple[UUID, str]] = []
        # Which picture of ours is which there, and which of them are to be taken away.
        self.pictures: dict[UUID, dict[str, str]] = {}
        self.proposals: list[Found] = []

    def add(
        self, row: asyncpg.Record, wanted: Mapping[str, Any], here: Mapping[str, Any], own: Collection[str]
    ) -> None:
        """`wanted` is what a record is to have there, `here` the same as it is here.

        What somebody gave this connection for itself (`own`) came by no other, whatever others have.
        """
        known: dict[str, Any] = orjson.loads(row["acknowledged"] or "{}")
        sent, became = orjson.loads(row["sent"]), orjson.loads(row["became"])
        for name, value in wanted.items():
            if name not in known:
                continue
            rule = rule_of(self._settings, row["entity"], name)
            waits = (row["id"], name) in self._incoming
            is_written = _is_written(rule, waits=waits)
            if is_written and name not in own and self._is_kept_back(row, name, here[name]):
                self.kept_back += known[name] != value
                self.over.append((row["id"], name))
                continue
            if name == images_out.IMAGES:
                value = self._pictures(row, value, known[name] or [], is_written=is_written)
            # What the platform made of a value is as near as it comes: written again it would become the same.
            is_taken = name in became and (sent[name], became[name][0]) == (value, known[name])
            if known[name] == value or is_taken or not is_written:
                self.over.append((row["id"], name))
                continue
            state = "conflict" if waits and rule.policy == "both" and rule.conflict == "ask" else "queued"
            reason = "both_sides_changed" if state == "conflict" else None
            names = (row["id"], row["entity"], "out", "update", name)
            self.found.append(Found(*names, known[name], value, state, reason, self.since))  # type: ignore[arg-type]

    def _is_kept_back(self, row: asyncpg.Record, name: str, value: Any) -> bool:
        return self._origins.keeps_value(row["entity"], row["product_id"], row["sku"], name, value)

    def _pictures(self, row: asyncpg.Record, wanted: Any, there: list[Any], *, is_written: bool) -> list[Any]:
        """What is to be there of pictures: what is there itself, where that is the same."""
        found = beside(wanted, there, orjson.loads(row["pictures"]))
        if is_written:
            self.pictures[row["id"]] = found.addresses
            self.proposals += images_out.proposed(row, found)
        return there if are_same(found.images, there) else found.images


def _is_written(rule: FieldRule, *, waits: bool) -> bool:
    if rule.policy == "ours":
        return True
    return rule.policy == "both" and not (waits and rule.conflict == "remote_wins")


async def _write_products(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Pictures that are there under another address are not uploaded anew."""
    pairs = []
    for each in batch:
        row = each.row
        known = (each.operation_key, row["external_id"], each.fields, each.expected)
        write = ProductWrite(*known, (), each.references, each.is_repeat)
        has_images = images_out.IMAGES in each.fields
        pairs.append((each, await images_out.prepared(run, each, write) if has_images else write))
    sent = [write for _, write in pairs if not images_out.is_there(write)]
    answers = iter(await run.session.write_products(sent) if sent else ())
    written = []
    for each, write in pairs:
        answer = Written("unchanged", external_id=write.external_id) if images_out.is_there(write) else next(answers)
        has_images = images_out.IMAGES in write.fields
        written.append(await images_out.noted(run, each, write, answer) if has_images else answer)
    return written


async def _write_variants(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Variants of one product are one write, whose key is of all of them; each has its own outcome."""
    of_parent: dict[str, list[Queued]] = {}
    for each in batch:
        of_parent.setdefault(each.row["parent_external_id"], []).append(each)
    writes = [
        ProductWrite(_key_of(together), parent, {}, {}, [_variant_write(each) for each in together])
        for parent, together in of_parent.items()
    ]
    outcomes: dict[UUID, Written] = {}
    for answer, together in zip(await run.session.write_products(writes), of_parent.values(), strict=True):
        for place, each in enumerate(together):
            outcomes[each.row["id"]] = answer.parts[place] if place < len(answer.parts) else answer
    return [outcomes[each.row["id"]] for each in batch]


def _key_of(together: Sequence[Queued]) -> str:
    """Of just these: with another beside it, a write that was done is another write."""
    return listings.digest("".join(each.operation_key for each in together)).hex()


def _variant_write(queued: Queued) -> VariantWrite:
    return VariantWrite(
        queued.row["external_id"], queued.row["sku"] or "", queued.fields, queued.expected, queued.references
    )
