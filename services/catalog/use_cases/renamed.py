"""Products of files whose handles are made of names: which is meant their SKUs say, for names change."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from services.catalog.repository import staging
from shared.impex.keys import slug
from shared.impex.rows import ProductRecord
from shared.unit_of_work import UnitOfWork


async def known_by_skus(uow: UnitOfWork, products: Sequence[ProductRecord]) -> list[ProductRecord]:
    """Each under the handle of the product that has its SKUs, in the order given; others keep theirs.

    Where SKUs are of several products, nobody is meant by them. Of two that are the same product the first is. What is
    called as a product that another one means gets a handle with its SKU.
    """
    owners = await staging.owners_of(uow, [variant.sku for product in products for variant in product.variants])
    meant: dict[str, int] = {}
    for place, product in enumerate(products):
        if (handle := _meant(product, owners)) is not None:
            meant.setdefault(handle, place)
    handles = {place: handle for handle, place in meant.items()}
    return [
        _under(product, handles.get(place) or _apart(product, owners, meant)) for place, product in enumerate(products)
    ]


def _meant(product: ProductRecord, owners: Mapping[str, str]) -> str | None:
    found = {owners[variant.sku] for variant in product.variants if variant.sku in owners}
    return found.pop() if len(found) == 1 else None


def _apart(product: ProductRecord, owners: Mapping[str, str], meant: Mapping[str, int]) -> str:
    if product.handle not in meant or not product.variants or any(v.sku in owners for v in product.variants):
        return product.handle
    return f"{product.handle}-{slug(product.variants[0].sku)}"


def _under(product: ProductRecord, handle: str) -> ProductRecord:
    return product if handle == product.handle else replace(product, handle=handle)
