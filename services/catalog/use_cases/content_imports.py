"""Files of channel content are taken row by row of what they say, in sets of one channel at a time (`content_file`).

`merge` does what the doors do: a value makes a field the channel's, unless it was handed to the master. `delete`
forgets what the channel of a row has of its product, or of its variant.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.repository import catalog, categories, channel_content, found_by, shops, traces
from services.catalog.repository.channel_content import NOTHING, Fields, KnownContent
from services.catalog.use_cases import channel_sheet, channels
from services.catalog.use_cases.channel_content import keep, price_fault, product_values, variant_values
from services.catalog.use_cases.channel_sheet import Seen, Sheet
from services.catalog.use_cases.channels import Book, Channel
from services.catalog.use_cases.content_file import (
    COLUMNS,
    HEADINGS,
    Refused,
    owners_of,
    product_change,
    variant_change,
)
from shared.contracts.catalog.channel_content import PRODUCT_FIELDS, VARIANT_FIELDS
from shared.contracts.catalog.shapes import ContentOwner
from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.impex.rows import shortened
from shared.imports.errors import ShopNotNamed, UnsupportedProfile
from shared.imports.groups import Group, GroupFile, Opening
from shared.imports.tables import TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK_ROWS = 1000
_NAME = "channel-content"


async def check(uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """The shop whose channels alone are meant, where one is named; whoever is limited to shops names one.

    Raises UnsupportedProfile, ShopNotFound, ShopNotNamed.
    """
    if options.profile not in (None, "crossdock"):
        raise UnsupportedProfile(f"A file of channel content has the columns {', '.join(HEADINGS)}; name no profile.")
    if options.shop is None and uow.caller.shop_ids is not None:
        raise ShopNotNamed("Say with ?shop= whose channels the file is of: you are limited to some shops.")
    return None if options.shop is None else (await shops.get_by_code(uow, options.shop)).id


async def _shop_id(_uow: UnitOfWork, row: asyncpg.Record) -> UUID | None:
    shop_id: UUID | None = row["shop_id"]
    return shop_id


@dataclass(slots=True)
class _OfChannel:
    """The rows of one channel in a portion, each with its product."""

    channel: Channel
    rows: list[tuple[TableRow, UUID]] = field(default_factory=list)

    @property
    def product_ids(self) -> list[UUID]:
        return list(dict.fromkeys(product_id for _, product_id in self.rows))


class ContentFile(GroupFile):
    """A file of channel content."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, COLUMNS, _NAME, ("handle", "sku", "shop", "connection"))
        self._shop_id: UUID | None = opening.prepared
        self._mode: str = opening.row["mode"]
        self._id = opening.import_id
        self.layout: Any = self._file.layout

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        await catalog.lock(uow)
        for each in await self._by_channel(uow, chunk):
            sheet = await channel_sheet.load(uow, each.channel, each.product_ids)
            wanted = await self._wanted(uow, chunk, sheet, each)
            changed = await keep(uow, sheet, list(wanted.values()))
            done = "deleted" if self._mode == "delete" else "updated"
            job.count(f"channel_contents_{done}", len(changed))
            job.count("channel_contents_unchanged", len(wanted) - len(changed))

    async def _by_channel(self, uow: UnitOfWork, chunk: TableChunk) -> list[_OfChannel]:
        """The rows whose channel and product there are; what is wrong with the others goes to the errors."""
        book = await channels.book(uow, self._shop_id)
        keys = await found_by.list_keys(uow, [], [], sorted({item.values["handle"] for item in chunk.items}), [])
        products = {row["key"]: row["product_id"] for row in keys}
        found: dict[UUID, _OfChannel] = {}
        for item in chunk.items:
            try:
                channel = _channel(book, item)
                if item.values["handle"] not in products:
                    handle = shortened(item.values["handle"])
                    raise Refused("handle", "unknown_handle", f"There is no product with the slug '{handle}'.")
            except Refused as fault:
                chunk.errors.append(self._file.refused(item, fault.column, fault.code, fault.message))
                continue
            of_channel = found.setdefault(channel.id, _OfChannel(channel))
            of_channel.rows.append((item, products[item.values["handle"]]))
        return list(found.values())

    async def _wanted(
        self, uow: UnitOfWork, chunk: TableChunk, sheet: Sheet, of_channel: _OfChannel
    ) -> dict[UUID, KnownContent]:
        """What the channel is to have of each product by these rows, one after another."""
        paths = [path for item, _ in of_channel.rows for path in item.values.get("categories") or ()]
        ends, missing = categories.place(paths, await categories.known_by_place(uow, paths))
        lost = {each.id for each in missing}
        known = {path: end for path, end in ends.items() if end not in lost}
        contents: dict[UUID, KnownContent] = {}
        for item, product_id in of_channel.rows:
            before = contents.get(product_id) or sheet.own(product_id)
            try:
                contents[product_id] = self._with_row(sheet, before, item, known)
            except Refused as fault:
                chunk.errors.append(self._file.refused(item, fault.column, fault.code, fault.message))
        return contents

    def _with_row(self, sheet: Sheet, before: KnownContent, item: TableRow, known: Mapping[Any, UUID]) -> KnownContent:
        """What is had of a product, with what one row says. Raises Refused."""
        sku = item.values.get("sku")
        if sku is None:
            if self._mode == "delete":
                return replace(before, product=NOTHING, variants=dict.fromkeys(before.variants, NOTHING))
            return replace(before, product=_product_with(sheet, before, item.values, known))
        row = next((each for each in sheet.variants.get(before.product_id, ()) if each["sku"] == sku), None)
        if row is None:
            raise Refused("sku", "unknown_sku", f"The product has no variant '{shortened(sku)}'.")
        own = before.variants.get(row["id"], NOTHING)
        after = NOTHING if self._mode == "delete" else _variant_with(sheet, own, row, item.values)
        return before if after == own else replace(before, variants={**before.variants, row["id"]: after})

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """Of how many products something would be forgotten, in all channels together."""
        if self._mode != "delete":
            return []
        gone: set[tuple[UUID, UUID]] = set()
        reading = self.chunks()
        while (chunk := await asyncio.to_thread(next, reading, None)) is not None:
            async with uow.beforehand() as each:
                for of_channel in await self._by_channel(each, chunk):
                    of_product = await channel_content.of_products(
                        each, [of_channel.channel.id], of_channel.product_ids
                    )
                    gone |= {(of_channel.channel.id, product_id) for product_id in of_product}
        return [Harm(what="channel_contents_deleted", count=len(gone), of=await channel_content.count_all(uow))]

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        return await traces.samples(uow, self._id, wanted)


def _channel(book: Book, item: TableRow) -> Channel:
    """Raises Refused."""
    found = book.find(item.values.get("shop"), item.values.get("connection"))
    if isinstance(found, tuple):
        raise Refused(*found)
    return found


def _product_with(sheet: Sheet, before: KnownContent, values: Mapping[str, Any], known: Mapping[Any, UUID]) -> Fields:
    owners = owners_of(values, PRODUCT_FIELDS)
    paths: Sequence[Any] | None = values.get("categories")
    if paths is not None:
        lost = next((path for path in paths if path not in known), None)
        if lost is not None:
            raise Refused("categories", "unknown_category", f"There is no category '{' > '.join(lost)[:200]}'.")
        values = {**values, "categories": [known[path] for path in paths]}
    alts = {image["url"]: image["alts"] for image in before.product.values.get("images", ()) if image.get("alts")}
    change = product_change(values, _owned(owners), alts)
    return _handed(
        sheet, before.product.with_values(product_values(change)), owners, sheet.product_fields(before.product_id)
    )


def _variant_with(sheet: Sheet, own: Fields, row: asyncpg.Record, values: Mapping[str, Any]) -> Fields:
    owners = owners_of(values, VARIANT_FIELDS)
    currency = sheet.channel.shop.currency
    change = variant_change(row["sku"], values, _owned(owners), currency)
    fault = price_fault(change.list_price, currency)
    if fault is not None:
        raise Refused("list price", *fault)
    return _handed(sheet, own.with_values(variant_values(change)), owners, sheet.variant_fields(row))


def _owned(owners: Mapping[str, ContentOwner]) -> list[str]:
    return [name for name, owner in owners.items() if owner == "channel"]


def _handed(sheet: Sheet, own: Fields, owners: Mapping[str, ContentOwner], seen: Mapping[str, Seen]) -> Fields:
    """With the owners that a row says. Raises Refused."""
    shown = {name: each.shown.value for name, each in seen.items()}
    for owner in dict.fromkeys(owners.values()):
        if owner == "parent" and not sheet.channel.has_parent:
            raise Refused("parent fields", "shop_has_no_parent", "The shop has no parent: name the master.")
        own = own.handed([name for name, each in owners.items() if each == owner], owner, shown)
    return own


GROUP = Group(
    name=_NAME,
    modes=("merge", "delete"),
    open=ContentFile,
    check=check,
    prepare=_shop_id,
    without=dict.fromkeys(
        ("insert-only", "update-only", "replace"),
        "Channel content is what differs: merge it, and delete what is no longer to differ.",
    ),
)
