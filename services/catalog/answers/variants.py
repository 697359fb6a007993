"""Variants by themselves."""

from services.catalog.repository import variants as repository
from services.catalog.use_cases import variants
from shared.contracts.base import Page
from shared.contracts.catalog.variants import GetVariant, ListVariants, UpdateVariant, VariantDetails
from shared.pagination import cursor_for, id_after
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListVariants, scope="catalog:read")
async def list_variants(message: ListVariants, uow: UnitOfWork) -> Page[VariantDetails]:
    found = await repository.list_newest(
        uow,
        sku=message.sku,
        barcode=message.barcode,
        mpn=message.mpn,
        product_id=message.product_id,
        before=id_after(message.after),
        first=message.first + 1,
    )
    items = found[: message.first]
    return Page(items=items, next=cursor_for(str(items[-1].id)) if len(found) > message.first else None)


@answers(GetVariant, scope="catalog:read")
async def get_variant(message: GetVariant, uow: UnitOfWork) -> VariantDetails:
    return await repository.get(uow, message.variant_id)


@answers(UpdateVariant, scope="catalog:write")
async def update_variant(message: UpdateVariant, uow: UnitOfWork) -> VariantDetails:
    return await variants.change(uow, message.variant_id, message.change, message.version)
