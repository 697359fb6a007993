"""New products of a chunk that were read in columns: what the everyday file brings, with nothing to decide.

A product is new when nobody has its slug or one of its SKUs. Whatever else a sheet has goes the way of rows, where
`resolution` compares it with what is stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.catalog.repository import attributes, staging
from services.catalog.repository.fingerprints import Fingerprint
from shared.identifiers import new_ids
from shared.impex.gathering import Group
from shared.impex.sheets import SheetProduct, SheetVariant
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class NewProducts:
    """Products of a sheet with the ids that they get, in the order of the file."""

    ids: Sequence[UUID]
    sheet: Sequence[SheetProduct]

    @property
    def variants(self) -> int:
        return sum(len(product.variants) for product in self.sheet)

    @property
    def prices(self) -> int:
        return sum(variant.price is not None for product in self.sheet for variant in product.variants)

    def product_rows(self) -> list[staging.Row]:
        """As they are staged."""
        return [
            (
                id_,
                True,
                product.group.handle,
                product.title,
                product.description_html,
                product.brand,
                product.product_type,
                product.tags or None,
                product.status,
                product.seo_title,
                product.seo_description,
                product.option_names,
                product.attributes,
                product.images,
            )
            for id_, product in zip(self.ids, self.sheet, strict=True)
        ]

    def variant_rows(self) -> list[staging.Row]:
        """As they are staged."""
        ids = iter(new_ids(self.variants))
        return [
            _variant_row(next(ids), id_, position, variant)
            for id_, product in zip(self.ids, self.sheet, strict=True)
            for position, variant in enumerate(product.variants)
        ]

    def fingerprints(
        self, digests: dict[str, bytes], remarked: set[int], price_list_id: UUID | None
    ) -> Iterable[Fingerprint]:
        """Of those about whose rows nothing was said."""
        for id_, product in zip(self.ids, self.sheet, strict=True):
            group, variants = product.group, product.variants
            if group.handle in digests and (not remarked or remarked.isdisjoint(row for row, _ in group.records)):
                priced = sum(variant.price is not None for variant in variants) if price_list_id else 0
                yield Fingerprint(id_, digests[group.handle], price_list_id, len(variants), priced)


def _variant_row(id_: UUID, product_id: UUID, position: int, variant: SheetVariant) -> staging.Row:
    return (
        id_,
        True,
        product_id,
        variant.sku,
        False,
        position,
        variant.option_values,
        variant.option_key,
        variant.barcode,
        variant.mpn,
        variant.weight_grams,
        *((None, None) if variant.weight is None else (variant.weight.value, variant.weight.unit)),
        variant.tax_code,
        variant.requires_shipping,
        variant.taxable,
        variant.image_url,
        variant.price,
        variant.list_price,
    )


async def part(uow: UnitOfWork, sheet: Sequence[SheetProduct]) -> tuple[NewProducts, list[Group]]:
    """The new products of a sheet, and the rows of the others. Under the catalog's lock."""
    left = await _to_compare(uow, sheet)
    new = [product for place, product in enumerate(sheet) if place not in left]
    return NewProducts(new_ids(len(new)), new), [sheet[place].group for place in sorted(left)]


async def _to_compare(uow: UnitOfWork, sheet: Sequence[SheetProduct]) -> set[int]:
    """The places of products that are there, or have a SKU that is, or an attribute with a type."""
    if not sheet:
        return set()
    defined = await attributes.definitions_of(uow, {code for product in sheet for code in product.codes})
    left = {place for place, product in enumerate(sheet) if not defined.keys().isdisjoint(product.codes)}
    slugs = [product.group.handle for product in sheet]
    skus = [(place, variant.sku) for place, product in enumerate(sheet) for variant in product.variants]
    return left | await staging.places_there(uow, slugs, skus)
