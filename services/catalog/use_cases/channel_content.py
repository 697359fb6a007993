"""What channels have of products for themselves: read, changed, handed over between them and the master (CAT-4).

Nothing here writes to a product, and nothing that writes to a product writes here: so neither side erases the other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.catalog.errors import (
    CategoryNotFound,
    ChannelContentChangedSince,
    ChannelContentRefused,
    NoProductsNamed,
    ProductNotFound,
    ShopHasNoParent,
    TooManyProducts,
)
from services.catalog.repository import catalog, categories, channel_content, shops
from services.catalog.repository.channel_content import NOTHING, Fields, KnownContent
from services.catalog.use_cases import channel_sheet, channels
from services.catalog.use_cases.channel_sheet import Sheet
from services.catalog.use_cases.channels import Channel
from services.catalog.use_cases.pricing import LARGEST_AMOUNT
from shared.contracts.catalog.channel_content import (
    PRODUCT_FIELDS,
    VARIANT_FIELDS,
    ChannelContent,
    ChannelContentChange,
    ContentChanges,
    HandOver,
    HandOverChannelContents,
    OfChannel,
    ProductContentChange,
    VariantContentChange,
    values_given,
)
from shared.contracts.catalog.events import IDS_PER_EVENT, ChannelContentChanged
from shared.contracts.catalog.shapes import ContentOwner, OrderLimits
from shared.money import Money
from shared.unit_of_work import UnitOfWork

DROP_CONTENT = "drop_content_of_connection"
_MOST_PRODUCTS = 5000
_DROPPED_AT_ONCE = 1000
_AT_ONCE = 200

Faults = list[dict[str, Any]]


async def get(uow: UnitOfWork, product_id: UUID, named: OfChannel) -> ChannelContent:
    """Raises ShopNotFound, ConnectionNotFound, ProductNotFound."""
    sheet = await channel_sheet.load(uow, await channels.get(uow, named), [product_id])
    _check_products(sheet, [product_id], [""])
    return sheet.described(product_id)


async def change(
    uow: UnitOfWork, product_id: UUID, named: OfChannel, wanted: ChannelContentChange, version: int | None
) -> ChannelContent:
    """Change what a channel has of one product; a change that changes nothing counts for nothing.

    Raises ShopNotFound, ConnectionNotFound, ProductNotFound, CategoryNotFound, ChannelContentChangedSince,
    ChannelContentRefused.
    """
    sheet = await _locked(uow, named, [product_id])
    _check_products(sheet, [product_id], [""])
    await _check_categories(uow, [wanted], [""])
    _check_versions(sheet, {product_id: version}, [""])
    _refuse(_faults(sheet, product_id, wanted, ""))
    return await _keep_one(uow, sheet, product_id, _with_values(sheet, product_id, wanted), "channel_content.change")


async def change_many(uow: UnitOfWork, named: OfChannel, changes: Sequence[ProductContentChange]) -> ContentChanges:
    """Change what a channel has of many products, all or none. Raises what `change` raises."""
    product_ids = [each.product_id for each in changes]
    at = [f"/changes/{index}" for index in range(len(changes))]
    sheet = await _locked(uow, named, product_ids)
    _check_products(sheet, product_ids, at)
    await _check_categories(uow, changes, at)
    _refuse(_repeated(product_ids, at))
    _check_versions(sheet, {each.product_id: each.version for each in changes}, at)
    _refuse([f for each, where in zip(changes, at, strict=True) for f in _faults(sheet, each.product_id, each, where)])
    changed = await keep(uow, sheet, [_with_values(sheet, each.product_id, each) for each in changes])
    return _counted(uow, sheet.channel, "channel_content.change", changed, len(changes))


async def remove(uow: UnitOfWork, product_id: UUID, named: OfChannel, version: int | None) -> ChannelContent:
    """Forget all that a channel has of a product, values and owners: it shows what is below again.

    The version goes on counting, so that nobody takes what comes later for what he has read. Raises what `get` raises,
    and ChannelContentChangedSince.
    """
    sheet = await _locked(uow, named, [product_id])
    _check_products(sheet, [product_id], [""])
    _check_versions(sheet, {product_id: version}, [""])
    own = sheet.own(product_id)
    bare = replace(own, product=NOTHING, variants=dict.fromkeys(own.variants, NOTHING))
    return await _keep_one(uow, sheet, product_id, bare, "channel_content.remove")


async def hand_over(
    uow: UnitOfWork, product_id: UUID, named: OfChannel, wanted: HandOver, version: int | None
) -> ChannelContent:
    """Give fields another owner in one channel. Raises what `change` raises, and ShopHasNoParent."""
    sheet = await _locked(uow, named, [product_id])
    _check_products(sheet, [product_id], [""])
    _check_versions(sheet, {product_id: version}, [""])
    _check_parent(sheet.channel, wanted.to)
    _refuse(_unknown_skus(sheet, product_id, [("/skus", sku) for sku in wanted.skus or ()]))
    skus = None if wanted.skus is None else set(wanted.skus)
    handed = _handed(sheet, product_id, wanted.fields, wanted.to, skus)
    return await _keep_one(uow, sheet, product_id, handed, "channel_content.hand_over")


async def hand_over_many(uow: UnitOfWork, message: HandOverChannelContents) -> ContentChanges:
    """Give fields of many products another owner in one channel, all or none.

    Raises ShopNotFound, ConnectionNotFound, ProductNotFound, CategoryNotFound, ShopHasNoParent, NoProductsNamed,
    TooManyProducts.
    """
    channel = await _held(uow, message)
    product_ids = await _named_products(uow, message, channel)
    _check_parent(channel, message.to)
    changed: list[UUID] = []
    for start in range(0, len(product_ids), _AT_ONCE):
        portion = product_ids[start : start + _AT_ONCE]
        sheet = await channel_sheet.load(uow, channel, portion)
        _check_products(sheet, portion, [f"/product_ids/{start + index}" for index in range(len(portion))])
        changed += await keep(uow, sheet, [_handed(sheet, id_, message.fields, message.to) for id_ in portion])
    return _counted(uow, channel, "channel_content.hand_over", changed, len(product_ids))


async def drop_of_connection(uow: UnitOfWork, connection_id: UUID) -> None:
    """Remove what a connection that is gone had of some products, and leave the others to the next task."""
    await catalog.lock(uow)
    dropped = await channel_content.drop_some_of_connection(uow, connection_id, _DROPPED_AT_ONCE)
    if dropped == _DROPPED_AT_ONCE:
        uow.defer(DROP_CONTENT, {"connection_id": str(connection_id)})


async def _named_products(uow: UnitOfWork, message: HandOverChannelContents, channel: Channel) -> list[UUID]:
    """Those named first, then those of the category, also those that the channel or one above it has put there."""
    wanted = dict.fromkeys(message.product_ids)
    if message.category_id is not None:
        await categories.get(uow, message.category_id)
        line = [known.id for known in channel.line(await shops.list_line(uow, channel.shop.id))]
        wanted |= dict.fromkeys(await channel_content.product_ids_in_branch(uow, message.category_id, line))
    elif not wanted:
        raise NoProductsNamed("Name products, a category, or both.")
    if len(wanted) > _MOST_PRODUCTS:
        raise TooManyProducts(
            f"These are {len(wanted)} products, and one call takes {_MOST_PRODUCTS}: name the categories below."
        )
    return list(wanted)


async def _locked(uow: UnitOfWork, named: OfChannel, product_ids: Sequence[UUID]) -> Sheet:
    """What is known of these products in a channel, which stays so until the transaction ends.

    Raises ShopNotFound, ConnectionNotFound.
    """
    return await channel_sheet.load(uow, await _held(uow, named), product_ids)


async def _held(uow: UnitOfWork, named: OfChannel) -> Channel:
    """A channel that is there until the transaction ends, and that nobody else writes to meanwhile."""
    channel = await channels.get(uow, named, lock=True)
    await catalog.lock(uow)
    return channel


# --- what is new


def _with_values(sheet: Sheet, product_id: UUID, wanted: ChannelContentChange) -> KnownContent:
    own = sheet.own(product_id)
    variants = dict(own.variants)
    known = sheet.variant_ids(product_id)
    for each in wanted.given().get("variants", ()):
        variant_id = known[each.sku]
        if given := variant_values(each):
            variants[variant_id] = variants.get(variant_id, NOTHING).with_values(given)
    return replace(own, product=own.product.with_values(product_values(wanted)), variants=variants)


def product_values(wanted: ChannelContentChange) -> dict[str, Any]:
    """What a change gives of a product, as it is kept."""
    values = values_given(wanted, PRODUCT_FIELDS)
    if "images" in values:
        values["images"] = [image.model_dump() for image in values["images"]]
    if "category_ids" in values:
        values["category_ids"] = sorted(set(values["category_ids"]))
    return values


def variant_values(wanted: VariantContentChange) -> dict[str, Any]:
    """What a change gives of a variant, as it is kept: limits that limit nothing are none."""
    given = values_given(wanted, VARIANT_FIELDS)
    if given.get("order_limits") == OrderLimits():
        given["order_limits"] = None
    return given


def _handed(
    sheet: Sheet, product_id: UUID, names: Collection[str], to: ContentOwner, skus: set[str] | None = None
) -> KnownContent:
    own = sheet.own(product_id)
    of_product = [name for name in PRODUCT_FIELDS if name in names]
    of_variant = [name for name in VARIANT_FIELDS if name in names]
    variants = dict(own.variants)
    for row in sheet.variants.get(product_id, ()) if of_variant else ():
        if skus is None or row["sku"] in skus:
            shown = {name: seen.shown.value for name, seen in sheet.variant_fields(row).items()}
            handed = variants.get(row["id"], NOTHING).handed(of_variant, to, shown)
            variants |= {row["id"]: handed} if handed != NOTHING else {}
    shown = {name: seen.shown.value for name, seen in sheet.product_fields(product_id).items()}
    return replace(own, product=own.product.handed(of_product, to, shown), variants=variants)


# --- checks


def _check_products(sheet: Sheet, product_ids: Sequence[UUID], at: Sequence[str]) -> None:
    unknown = [
        {"pointer": where or "/product_id", "code": "product_not_found", "message": "There is no such product."}
        for product_id, where in zip(product_ids, at, strict=True)
        if not sheet.knows(product_id)
    ]
    if unknown:
        raise ProductNotFound("There is no such product.", unknown[:100])


def _check_versions(sheet: Sheet, versions: Mapping[UUID, int | None], at: Sequence[str]) -> None:
    stale = [
        {"pointer": f"{where}/version", "code": "changed_since", "version": sheet.own(product_id).version}
        for (product_id, version), where in zip(versions.items(), at, strict=True)
        if version not in (None, sheet.own(product_id).version)
    ]
    if stale:
        raise ChannelContentChangedSince(
            f"The channel content has version {stale[0]['version']} now: read it again.", stale[:100]
        )


def _check_parent(channel: Channel, to: ContentOwner) -> None:
    if to == "parent" and not channel.has_parent:
        raise ShopHasNoParent(f"The shop '{channel.shop.code}' has no parent: hand the fields to the master.")


async def _check_categories(uow: UnitOfWork, changes: Sequence[ChannelContentChange], at: Sequence[str]) -> None:
    named = [(where, each.given().get("category_ids", ())) for each, where in zip(changes, at, strict=True)]
    unknown = await channel_content.unknown_categories(uow, [id_ for _, ids in named for id_ in ids])
    faults = [
        {"pointer": f"{where}/category_ids/{index}", "code": "category_not_found", "message": "No such category."}
        for where, ids in named
        for index, id_ in enumerate(ids)
        if id_ in unknown
    ]
    if faults:
        raise CategoryNotFound("One of the categories does not exist.", faults[:100])


def _repeated(product_ids: Sequence[UUID], at: Sequence[str]) -> Faults:
    first: dict[UUID, str] = {}
    return [
        {"pointer": f"{where}/product_id", "code": "duplicate_product", "message": "The product is given twice."}
        for product_id, where in zip(product_ids, at, strict=True)
        if first.setdefault(product_id, where) != where
    ]


def _faults(sheet: Sheet, product_id: UUID, wanted: ChannelContentChange, at: str) -> Faults:
    """What of a change cannot be taken, which shapes alone could not tell."""
    variants: Sequence[VariantContentChange] = wanted.given().get("variants", ())
    places = [f"{at}/variants/{index}" for index in range(len(variants))]
    faults = _unknown_skus(sheet, product_id, [(f"{p}/sku", v.sku) for p, v in zip(places, variants, strict=True)])
    seen: set[str] = set()
    for place, variant in zip(places, variants, strict=True):
        if variant.sku in seen:
            faults.append({"pointer": f"{place}/sku", "code": "duplicate_sku", "message": "The SKU is given twice."})
        seen.add(variant.sku)
        fault = price_fault(variant.list_price, sheet.channel.shop.currency)
        if fault is not None:
            faults.append({"pointer": f"{place}/list_price", "code": fault[0], "message": fault[1]})
    return faults


def _unknown_skus(sheet: Sheet, product_id: UUID, skus: Sequence[tuple[str, str]]) -> Faults:
    known = sheet.variant_ids(product_id)
    return [
        {"pointer": where, "code": "unknown_sku", "message": f"The product has no variant '{sku[:100]}'."}
        for where, sku in skus
        if sku not in known
    ]


def price_fault(price: Money | None, currency: str) -> tuple[str, str] | None:
    """Code and sentence, where a channel of this currency cannot have it as an old price."""
    if price is None:
        return None
    if price.currency != currency:
        return "currency_mismatch", f"The shop sells in {currency}, and this price is in {price.currency}."
    if not 0 <= price.amount <= LARGEST_AMOUNT:
        return "invalid_price", "A price is zero or more, in minor units."
    return None


def _refuse(faults: Faults) -> None:
    if faults:
        raise ChannelContentRefused(f"{faults[0]['message']} Nothing was taken.", faults[:100])


# --- keeping


async def _keep_one(
    uow: UnitOfWork, sheet: Sheet, product_id: UUID, wanted: KnownContent, action: str
) -> ChannelContent:
    before = sheet.described(product_id)
    if not await keep(uow, sheet, [wanted]):
        return before
    old, new = _told(sheet, sheet.own(product_id)), _told(sheet, wanted)
    names = [name for name in old | new if old.get(name) != new.get(name)]
    uow.audit(
        action,
        "product",
        product_id,
        before={name: old.get(name) for name in names},
        after={**sheet.channel.told(), **{name: new.get(name) for name in names}},
    )
    after = await channel_sheet.load(uow, sheet.channel, [product_id])
    return after.described(product_id)


async def keep(uow: UnitOfWork, sheet: Sheet, wanted: Sequence[KnownContent]) -> list[UUID]:
    """Store and announce those that differ from what is stored. Returns their products."""
    different = [content for content in wanted if content != sheet.own(content.product_id)]
    if different:
        await channel_content.store(uow, sheet.channel.shop.id, sheet.channel.connection_id, different)
    product_ids = [content.product_id for content in different]
    for start in range(0, len(product_ids), IDS_PER_EVENT):
        ids = product_ids[start : start + IDS_PER_EVENT]
        uow.record(_changed(sheet.channel, ids))
    return product_ids


def _changed(channel: Channel, product_ids: list[UUID]) -> ChannelContentChanged:
    if channel.connection_id is not None:
        return ChannelContentChanged(product_ids=product_ids, connection_id=channel.connection_id)
    return ChannelContentChanged(product_ids=product_ids, shop_id=channel.shop.id)


def _counted(uow: UnitOfWork, channel: Channel, action: str, changed: Sequence[UUID], asked: int) -> ContentChanges:
    if changed:
        names = [str(product_id) for product_id in changed[:100]]
        kind = "shop" if channel.connection_id is None else "connection"
        uow.audit(action, kind, channel.id, after={"products": len(changed), "first": names})
    return ContentChanges(changed=len(changed), unchanged=asked - len(changed))


def _told(sheet: Sheet, content: KnownContent) -> dict[str, Any]:
    """What a channel has, as the audit log tells it."""
    skus = {variant_id: sku for sku, variant_id in sheet.variant_ids(content.product_id).items()}
    told = _told_fields("", content.product)
    for variant_id, own in content.variants.items():
        told |= _told_fields(f"{skus[variant_id]}: ", own)
    return told


def _told_fields(prefix: str, own: Fields) -> dict[str, Any]:
    values = {name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in own.values.items()}
    names = sorted(values.keys() | own.of_master)
    return {f"{prefix}{name}": {"owner": own.owner(name), "value": values.get(name)} for name in names}
