"""One variant, changed by itself: by the rules of its product."""

from uuid import UUID

from services.catalog.repository import catalog, variants
from services.catalog.use_cases import products
from shared.contracts.catalog.shapes import VariantDraft
from shared.contracts.catalog.variants import VariantChange, VariantDetails
from shared.unit_of_work import UnitOfWork


async def change(uow: UnitOfWork, variant_id: UUID, wanted: VariantChange, version: int | None) -> VariantDetails:
    """Change what is given.

    Raises VariantNotFound, ProductChangedSince, DuplicateVariant, WrongOptions, InvalidBarcode, AttributeValuesRefused.
    """
    await catalog.lock(uow)
    before = await variants.get(uow, variant_id)
    given = wanted.given()
    fields = {name: getattr(before, name) for name in VariantDraft.model_fields} | given
    if "weight_grams" in given and "weight" not in given:
        fields["weight"] = None
    if "weight" in given and "weight_grams" not in given:
        fields["weight_grams"] = None
    await products.replace_variant(uow, before.product_id, VariantDraft.model_construct(**fields), version)
    return await variants.get(uow, variant_id)
