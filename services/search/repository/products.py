"""Which products there are, as far as events told, and which SKU belongs to which."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, product_ids: Iterable[UUID]) -> None:
    """Remember that these products exist."""
    await uow.execute(
        "INSERT INTO products (organization_id, id) SELECT $1, id FROM unnest($2::uuid[]) AS p (id) ORDER BY id"
        " ON CONFLICT DO NOTHING",
        uow.organization_id,
        list(set(product_ids)),
    )


async def forget(uow: UnitOfWork, product_ids: Sequence[UUID]) -> None:
    """These products are gone, and their SKUs with them."""
    await uow.execute("DELETE FROM skus WHERE product_id = ANY($1)", list(product_ids))
    await uow.execute("DELETE FROM products WHERE id = ANY($1)", list(product_ids))


async def product_ids_of(uow: UnitOfWork, skus: Sequence[str]) -> dict[str, UUID]:
    """The product of each SKU that is known here."""
    rows = await uow.fetch(
        "SELECT s.* FROM unnest($1::text[]) AS asked (sku) CROSS JOIN LATERAL ("
        "  SELECT sku, product_id FROM skus WHERE sku = asked.sku OFFSET 0) s",
        list(set(skus)),
    )
    return {row["sku"]: row["product_id"] for row in rows}


async def take_skus(uow: UnitOfWork, owners: Sequence[tuple[str, UUID]], built: int) -> list[UUID]:
    """Note the product of each SKU as a build of version `built` found it, where no later build has spoken.

    Returns the products that took a SKU over from another one.

    What is noted already is not written again, not even its version, which most builds would: should an older build
    take a SKU over for that reason, its product is built once more, gives it up, and the SKU is looked up when needed.
    """
    skus, product_ids = [sku for sku, _ in owners], [product_id for _, product_id in owners]
    if await _skus_of(uow, set(product_ids)) == set(owners):
        return []
    # In one order everywhere, so that the builders of two shops wait for each other instead of deadlocking.
    held = await uow.fetch("SELECT sku, product_id FROM skus WHERE sku = ANY($1) ORDER BY sku FOR UPDATE", skus)
    before = {row["sku"]: row["product_id"] for row in held}
    taken = await uow.fetch(
        "INSERT INTO skus (organization_id, sku, product_id, built_from)"
        " SELECT $1, sku, product_id, $4 FROM unnest($2::text[], $3::uuid[]) AS s (sku, product_id) ORDER BY sku"
        " ON CONFLICT (organization_id, sku) DO UPDATE SET product_id = excluded.product_id,"
        " built_from = excluded.built_from WHERE skus.built_from < excluded.built_from"
        " RETURNING sku, product_id, xmax = 0 AS is_new",
        uow.organization_id,
        skus,
        product_ids,
        built,
    )
    await uow.execute(
        "DELETE FROM skus WHERE product_id = ANY($1) AND sku <> ALL($2) AND built_from < $3", product_ids, skus, built
    )
    moved = {row["product_id"] for row in taken if not row["is_new"] and before.get(row["sku"]) != row["product_id"]}
    return list(moved)


async def _skus_of(uow: UnitOfWork, product_ids: Iterable[UUID]) -> set[tuple[str, UUID]]:
    rows = await uow.fetch(
        "SELECT s.* FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "  SELECT sku, product_id FROM skus WHERE product_id = asked.id OFFSET 0) s",
        list(product_ids),
    )
    return {(row["sku"], row["product_id"]) for row in rows}
