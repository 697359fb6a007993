"""Products as their keepers write them: created, changed, published, archived, translated."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.catalog.errors import DuplicateVariant, ProductChangedSince, SkuTaken, SlugTaken, WrongOptions
from services.catalog.models import ProductRow, VariantRow, check_distinct
from services.catalog.models.media import alts_of, apart, images_as_stored
from services.catalog.models.texts import option_words_fault
from services.catalog.repository import catalog, prices, products
from services.catalog.repository.categories import category_slug
from services.catalog.use_cases import attributes
from shared.contracts.catalog.events import IDS_PER_EVENT, ProductsChanged, VariantsRemoved
from shared.contracts.catalog.shapes import (
    AttributeValue,
    Product,
    ProductChange,
    ProductDraft,
    ProductText,
    VariantDraft,
)
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# Fields that are stored as they are given.
_OWN_FIELDS = frozenset(ProductRow.model_fields) - {"attributes", "images", "media", "alts"}


async def create(uow: UnitOfWork, draft: ProductDraft) -> Product:
    """Create a product with its variants.

    Raises SlugTaken, SkuTaken, DuplicateVariant, WrongOptions, InvalidBarcode, AttributeValuesRefused,
    CategoryNotFound.
    """
    await catalog.lock(uow)
    fields = draft.model_dump(include=set(_OWN_FIELDS) - {"slug", "status"})
    stored = await _stored_attributes(uow, draft.attributes, draft.variants)
    row = ProductRow(
        organization_id=uow.organization_id,
        id=new_id(),
        slug=await _slug(uow, draft),
        status="draft",
        attributes=stored[""],
        **fields,
    )
    _take_media(row, {"media": draft.media} if draft.media else {"images": draft.images})
    session = await uow.session()
    session.add(row)
    await session.flush()
    await _write_variants(uow, row, [], draft.variants, stored, removed=set())
    await products.replace_categories(uow, row.id, draft.category_ids)
    await session.flush()
    if draft.status == "active":
        row.publish(is_sellable=row.id in await products.sellable_among(uow, [row.id]))
    else:
        row.status = draft.status
    await session.flush()
    uow.record(ProductsChanged(product_ids=[row.id]))
    uow.audit("product.create", "product", row.id, after={"slug": row.slug, "title": row.title, "status": row.status})
    return await products.get(uow, row.id)


async def _stored_attributes(
    uow: UnitOfWork, own: dict[str, AttributeValue], drafts: Sequence[VariantDraft]
) -> dict[str, dict[str, str]]:
    """Attributes as they are stored, by where they are given: the product's under "". Raises AttributeValuesRefused."""
    return await attributes.fitted(
        uow, {"": own, **{_pointer(index): draft.attributes for index, draft in enumerate(drafts)}}
    )


def _pointer(index: int) -> str:
    return f"/variants/{index}"


def _take_media(row: ProductRow, given: dict[str, Any]) -> None:
    """Pictures and others as one list replaces them all; pictures by themselves leave the others."""
    if "media" in given:
        row.images, row.media = apart(given["media"])
        row.alts = alts_of(given["media"])
    elif "images" in given:
        row.images = images_as_stored(given["images"])
        others = {medium["url"] for medium in row.media}
        row.alts = {url: alts for url, alts in row.alts.items() if url in others} | alts_of(given["images"])


async def _slug(uow: UnitOfWork, draft: ProductDraft) -> str:
    if draft.slug is None:
        return await products.free_slug(uow, category_slug(draft.title))
    if await products.find_by_slug(uow, draft.slug):
        raise SlugTaken(f"Another product has the slug '{draft.slug}'.")
    return draft.slug


async def change(uow: UnitOfWork, product_id: UUID, wanted: ProductChange, version: int | None) -> Product:
    """Change what is given; a change that changes nothing counts for nothing.

    Raises ProductNotFound, ProductChangedSince, and what `create` raises.
    """
    await catalog.lock(uow)
    row = await products.get_row(uow, product_id)
    _check_version(row, version)
    before = await products.get(uow, product_id)
    given = wanted.given()
    if "slug" in given and await products.find_by_slug(uow, given["slug"]) not in (None, row.id):
        raise SlugTaken(f"Another product has the slug '{given['slug']}'.")
    own = wanted.model_dump(mode="json", include=set(given) & _OWN_FIELDS)
    for name, value in own.items():
        setattr(row, name, value)
    _take_media(row, given)
    stored = await _stored_attributes(uow, given.get("attributes", {}), given.get("variants", []))
    if "attributes" in given:
        row.attributes = stored[""]
    if given.keys() & {"variants", "remove_skus", "options"}:
        await _change_variants(uow, row, given, stored)
    if "category_ids" in given:
        await products.replace_categories(uow, row.id, given["category_ids"])
    return await _changed(uow, row, before)


def _check_version(row: ProductRow, version: int | None) -> None:
    if version is not None and version != row.version:
        raise ProductChangedSince(f"The product has version {row.version} now, not {version}: read it again.")


async def _changed(uow: UnitOfWork, row: ProductRow, before: Product) -> Product:
    """Count and announce a change, unless there was none."""
    session = await uow.session()
    await session.flush()
    after = await products.get(uow, row.id)
    if after == before:
        return before
    row.touch()
    await session.flush()
    uow.record(ProductsChanged(product_ids=[row.id]))
    old, new = _difference(before, after)
    uow.audit("product.change", "product", row.id, before=old, after=new)
    return await products.get(uow, row.id)


def _difference(before: Product, after: Product) -> tuple[dict[str, Any], dict[str, Any]]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    names = [name for name in old if old[name] != new[name]]
    return {name: old[name] for name in names}, {name: new[name] for name in names}


async def replace_variant(uow: UnitOfWork, product_id: UUID, draft: VariantDraft, version: int | None) -> None:
    """Make one of a product's variants what `draft` says, under the catalog's lock.

    Raises ProductChangedSince, DuplicateVariant, WrongOptions, InvalidBarcode, AttributeValuesRefused.
    """
    row = await products.get_row(uow, product_id)
    _check_version(row, version)
    before = await products.get(uow, product_id)
    current = await products.list_variant_rows(uow, product_id)
    variant = next(variant for variant in current if variant.sku == draft.sku)
    stored = await attributes.fitted(uow, {"": draft.attributes})
    variant.take(draft, row.option_values(draft.options), stored[""])
    check_distinct(current)
    await _changed(uow, row, before)


async def _change_variants(
    uow: UnitOfWork, row: ProductRow, given: dict[str, Any], stored: dict[str, dict[str, str]]
) -> None:
    removed = set(given.get("remove_skus", ()))
    current = await products.list_variant_rows(uow, row.id)
    drafts = given.get("variants", [])
    if "options" in given:
        _check_options_fit(row, current, {draft.sku for draft in drafts} | removed)
    await _write_variants(uow, row, current, drafts, stored, removed)


def _check_options_fit(row: ProductRow, current: list[VariantRow], named: set[str]) -> None:
    """Options that are renamed keep their values by position. Raises WrongOptions where a variant would lack one."""
    short = next((v for v in current if v.sku not in named and len(v.option_values) != len(row.options)), None)
    if short is not None:
        raise WrongOptions(
            f"The variant '{short.sku}' has {len(short.option_values)} option values: give its new ones."
        )


async def _write_variants(
    uow: UnitOfWork,
    row: ProductRow,
    current: list[VariantRow],
    drafts: Sequence[VariantDraft],
    stored: dict[str, dict[str, str]],
    removed: set[str],
) -> None:
    _check_skus([draft.sku for draft in drafts])
    owners = await products.owners_of_skus(uow, [draft.sku for draft in drafts])
    foreign = next((sku for sku, owner in owners.items() if owner != row.id), None)
    if foreign is not None:
        raise SkuTaken(f"Another product has the SKU '{foreign}'; a SKU names one variant of the organization.")
    session = await uow.session()
    kept = {variant.sku: variant for variant in current if variant.sku not in removed}
    leaving = [variant for variant in current if variant.sku in removed]
    await prices.remove_of_variants(uow, [variant.id for variant in leaving])
    for variant in leaving:
        await session.delete(variant)
    # Gone before others come: a SKU that is removed and given at once is a new variant in the old one's place.
    await session.flush()
    for index, draft in enumerate(drafts):
        variant = kept.get(draft.sku) or _new_variant(row, draft.sku, len(kept))
        pointer = _pointer(index)
        variant.take(draft, row.option_values(draft.options), stored[pointer], pointer)
        kept[draft.sku] = variant
    check_distinct(list(kept.values()))
    session.add_all(kept.values())
    await session.flush()
    gone = [variant.sku for variant in current if variant.sku in removed]
    for start in range(0, len(gone), IDS_PER_EVENT):
        uow.record(VariantsRemoved(skus=gone[start : start + IDS_PER_EVENT]))


def _check_skus(skus: list[str]) -> None:
    if len(set(skus)) != len(skus):
        twice = next(sku for sku in skus if skus.count(sku) > 1)
        raise DuplicateVariant(f"The SKU '{twice}' is given twice.")


def _new_variant(row: ProductRow, sku: str, position: int) -> VariantRow:
    return VariantRow(organization_id=row.organization_id, id=new_id(), product_id=row.id, sku=sku, position=position)


async def publish(uow: UnitOfWork, product_id: UUID, version: int | None) -> Product:
    """Make a product active. Raises ProductNotFound, ProductChangedSince, IllegalTransition, ProductHasNoPrice."""
    row, before = await _to_change(uow, product_id, version)
    row.publish(is_sellable=row.id in await products.sellable_among(uow, [row.id]))
    return await _changed(uow, row, before)


async def pause(uow: UnitOfWork, product_id: UUID, version: int | None) -> Product:
    """Take a product out of sale for a while. Raises ProductNotFound, ProductChangedSince, IllegalTransition."""
    row, before = await _to_change(uow, product_id, version)
    row.pause()
    return await _changed(uow, row, before)


async def archive(uow: UnitOfWork, product_id: UUID, version: int | None) -> Product:
    """Take a product out of sale. Raises ProductNotFound, ProductChangedSince."""
    row, before = await _to_change(uow, product_id, version)
    row.archive()
    return await _changed(uow, row, before)


async def restore(uow: UnitOfWork, product_id: UUID, version: int | None) -> Product:
    """Take a product out of the archive, as a draft. Raises ProductNotFound, ProductChangedSince, IllegalTransition."""
    row, before = await _to_change(uow, product_id, version)
    row.restore()
    return await _changed(uow, row, before)


async def _to_change(uow: UnitOfWork, product_id: UUID, version: int | None) -> tuple[ProductRow, Product]:
    """Raises ProductNotFound, ProductChangedSince."""
    row = await products.get_row(uow, product_id)
    _check_version(row, version)
    return row, await products.get(uow, product_id)


async def set_text(uow: UnitOfWork, product_id: UUID, text: ProductText, version: int | None) -> ProductText:
    """Store a product's texts in one locale.

    Raises ProductNotFound, ProductChangedSince, WrongOptions, AttributeValuesRefused.
    """
    await catalog.lock(uow)
    row = await products.get_row(uow, product_id)
    _check_version(row, version)
    _check_option_words(row, text)
    await attributes.check_texts(uow, text.attributes)
    before = await products.find_text(uow, product_id, text.locale)
    if await products.write_text(uow, product_id, text):
        row.touch()
        await (await uow.session()).flush()
        uow.record(ProductsChanged(product_ids=[product_id]))
        old = None if before is None else before.model_dump(mode="json")
        uow.audit("product.text", "product", product_id, before=old, after=text.model_dump(mode="json"))
    return text


def _check_option_words(row: ProductRow, text: ProductText) -> None:
    """Raises WrongOptions for words about options the product lacks, and for one word for two things."""
    fault = option_words_fault(row.options, text.option_names, text.option_values)
    if fault is not None:
        pointer, message = fault
        raise WrongOptions(message, [{"pointer": pointer, "code": "wrong_options", "message": message}])
