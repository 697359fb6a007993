"""Sales with dates in product files: prices of their own, beside the one that always holds (shared/impex/sales.py).

A file says of each of its variants which sale there is. A sale that was brought by an earlier file of the same profile,
and by nobody else, goes when it is not said any more, or with another beginning: as a price of its own it would go on.
"""

from collections.abc import Sequence
from uuid import UUID

from services.catalog.repository import prices, supplier_prices
from services.catalog.repository.prices import NewPrice
from services.catalog.use_cases import pricing
from services.catalog.use_cases.resolution import ResolvedProduct, ResolvedVariant
from shared import clock
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork


async def write(
    uow: UnitOfWork, job: RunningJob, price_list_id: UUID, products: Sequence[ResolvedProduct], profile: str
) -> set[UUID]:
    """Store the sales of a chunk's variants in a list. Returns the products that have other prices now."""
    of = {variant.id: product.id for product in products for variant in product.variants}
    sales = [sale for product in products for v in product.variants if (sale := _sale(v)) is not None]
    said = {(sale.variant_id, sale.starts_at) for sale in sales}
    known = await supplier_prices.dated_of_profile(uow, price_list_id, of, profile)
    gone = [NewPrice(id_, 1, None, None, starts_at=at) for id_, at in known if (id_, at) not in said]
    if not (sales or gone):
        return set()
    written = await prices.write(uow, price_list_id, [*sales, *gone])
    job.count("prices_inserted", written.inserted)
    job.count("prices_updated", written.updated)
    job.count("prices_deleted", written.removed)
    job.count("prices_unchanged", len(sales) - written.inserted - written.updated)
    await pricing.plan_turns_of_prices(uow, written.variants_of_lists, clock.now())
    return {of[id_] for id_ in written.variant_ids}


def _sale(variant: ResolvedVariant) -> NewPrice | None:
    record, sale = variant.record, variant.record.sale
    if sale is None:
        return None
    before = None if record.price is None else record.price.amount
    return NewPrice(variant.id, 1, sale.price.amount, before, starts_at=sale.starts_at, ends_at=sale.ends_at)
