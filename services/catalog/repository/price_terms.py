"""Price lists and prices as far as they decide what something costs; the rule is `use_cases/price_resolution.py`.

Sets are looked up one by one, by index, as in `offers.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from services.catalog.repository.shops import KnownShop
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ListTerms:
    """What decides when a price list counts."""

    id: UUID
    shop_id: UUID
    name: str
    currency: str
    customer_group: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime


class PriceTerms(Struct, frozen=True, gc=False):
    """A price of a list, in minor units; `price` None is told on request. `centre` None: whichever serves."""

    price_list_id: UUID
    minimum_quantity: int
    price: int | None
    list_price: int | None = None
    centre: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


async def list_terms(uow: UnitOfWork, line: Sequence[KnownShop]) -> list[ListTerms]:
    """Every price list of a shop and its ancestors."""
    rows = await uow.fetch(
        f"SELECT {LIST} FROM price_lists WHERE shop_id = ANY($1::uuid[])",  # noqa: S608
        [shop.id for shop in line],
    )
    return [ListTerms(**row) for row in rows]


async def list_terms_in_force(
    uow: UnitOfWork, line: Sequence[KnownShop], customer_group: str | None, at: datetime
) -> list[ListTerms]:
    """Those of `list_terms` that can count for a customer group at a moment."""
    rows = await uow.fetch(
        f"SELECT {LIST} FROM price_lists WHERE shop_id = ANY($1::uuid[]) AND currency = $2"  # noqa: S608
        " AND (customer_group IS NULL OR customer_group = $3)"
        " AND (starts_at IS NULL OR starts_at <= $4) AND (ends_at IS NULL OR ends_at > $4)",
        [shop.id for shop in line],
        line[0].currency,
        customer_group,
        at,
    )
    return [ListTerms(**row) for row in rows]


LIST = "id, shop_id, name, currency, customer_group, starts_at, ends_at, created_at"


async def price_terms(
    uow: UnitOfWork, price_list_ids: Sequence[UUID], variant_ids: Sequence[UUID]
) -> dict[UUID, list[PriceTerms]]:
    """Each variant's prices in these lists.

    The lists are told apart outside: within, PostgreSQL may take the index of a list, and read all of it for a variant.
    """
    if not price_list_ids:
        return {}
    rows = await uow.fetch(
        "SELECT p.variant_id, p.price_list_id, p.minimum_quantity, p.price, p.list_price, nullif(p.centre, ''),"
        " nullif(p.starts_at, '-infinity'), p.ends_at FROM unnest($2::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM prices p WHERE p.variant_id = asked.id OFFSET 0) p"
        " WHERE p.price_list_id = ANY($1::uuid[])",
        price_list_ids,
        variant_ids,
    )
    found: dict[UUID, list[PriceTerms]] = {}
    for variant_id, *terms in rows:
        found.setdefault(variant_id, []).append(PriceTerms(*terms))
    return found
