"""What imports last wrote of products: a row stands for as long as nobody else has written to its product."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The rows of a product that an import took whole; how many variants and prices they were."""

    product_id: UUID
    digest: bytes
    price_list_id: UUID | None
    variants: int
    prices: int


async def any_of_context(uow: UnitOfWork, context: int) -> bool:
    return bool(await uow.fetchval("SELECT EXISTS (SELECT FROM import_fingerprints WHERE context = $1)", context))


@dataclass(frozen=True, slots=True)
class Standing:
    """Of products asked for, the places of those whose fingerprint stands; how many variants and prices they have."""

    places: frozenset[int]
    variants: int = 0
    prices: int = 0


async def standing(
    uow: UnitOfWork, context: int, asked: Mapping[str, bytes], price_list_id: UUID | None, *, any_list: bool = False
) -> Standing:
    """Which of these digests, by slug, stand with prices in this list, or in whichever with `any_list`."""
    await uow.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    row = await uow.fetchrow(_STANDING, context, list(asked), list(asked.values()), price_list_id, any_list)
    assert row is not None
    return Standing(frozenset(row["places"]), row["variants"], row["prices"])


_STANDING = """
SELECT coalesce(array_agg(asked.place::integer - 1), '{}') AS places, coalesce(sum(f.variants), 0) AS variants,
    coalesce(sum(f.prices), 0) AS prices
FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS asked (slug, digest, place)
CROSS JOIN LATERAL (SELECT p.id FROM products p WHERE p.slug = asked.slug OFFSET 0) p
CROSS JOIN LATERAL (SELECT * FROM import_fingerprints f WHERE f.product_id = p.id AND f.context = $1 OFFSET 0) f
WHERE f.fingerprint = asked.digest AND ($5 OR f.price_list_id IS NOT DISTINCT FROM $4)
"""


async def step_keeps_its_own(uow: UnitOfWork) -> None:
    """What this transaction writes to products forgets no fingerprint: it writes new ones itself."""
    await uow.execute("SET LOCAL crossdock.fingerprints = 'kept'")


async def replace(uow: UnitOfWork, context: int, touched: Iterable[UUID], taken: Iterable[Fingerprint]) -> None:
    """Forget those of the products `touched`, in every context, and keep those of the products taken whole."""
    await forget(uow, touched)
    rows = list(taken)
    await uow.execute(
        "INSERT INTO import_fingerprints (organization_id, product_id, context, fingerprint, price_list_id, variants,"
        " prices) SELECT $1, p.product_id, $2, p.digest, p.price_list_id, p.variants, p.prices FROM unnest($3::uuid[],"
        " $4::bytea[], $5::uuid[], $6::integer[], $7::integer[]) AS p (product_id, digest, price_list_id, variants,"
        " prices) ON CONFLICT (organization_id, product_id, context) DO UPDATE SET fingerprint = excluded.fingerprint,"
        " price_list_id = excluded.price_list_id, variants = excluded.variants, prices = excluded.prices",
        uow.organization_id,
        context,
        [row.product_id for row in rows],
        [row.digest for row in rows],
        [row.price_list_id for row in rows],
        [row.variants for row in rows],
        [row.prices for row in rows],
    )


async def forget(uow: UnitOfWork, product_ids: Iterable[UUID]) -> None:
    """Look at these products again, whatever file names them next."""
    await uow.execute("DELETE FROM import_fingerprints WHERE product_id = ANY($1)", list(product_ids))
