"""What foreign keys promise holds for those that are checked in sets, whoever writes."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from shared.bus.envelope import service_envelope
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import CreateCategory, CreateProduct
from shared.contracts.catalog.shapes import Product, ProductDraft, VariantDraft
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork
from tests.doors import eventually
from tests.factories.catalog import Catalog

_VARIANT = "INSERT INTO variants (organization_id, id, product_id, sku, option_key) VALUES ($1, $2, $3, $4, $4)"
_PRODUCT = "INSERT INTO products (organization_id, id, slug, title, status) VALUES ($1, $2, $3, 'T', 'active')"
_MEMBER = "INSERT INTO product_categories (organization_id, product_id, category_id) VALUES ($1, $2, $3)"
_PRICE = "INSERT INTO prices (organization_id, price_list_id, variant_id, price) VALUES ($1, $2, $3, 100)"


@pytest.fixture
async def units(catalog: Catalog) -> AsyncIterator[list[UnitOfWork]]:
    """Two transactions of the catalog's own role, undone at the end."""
    envelope = service_envelope("catalog", catalog.organization_id)
    two = [catalog.process.surroundings.unit_of_work("catalog", envelope) for _ in range(2)]
    yield two
    for uow in two:
        await uow.rollback()


async def a_product(catalog: Catalog, sku: str = "A") -> Product:
    return await catalog.ask(CreateProduct(draft=ProductDraft(title="Scarf", variants=[VariantDraft(sku=sku)])))


async def refused(uow: UnitOfWork, statement: str, *values: object) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with uow.savepoint():
            await uow.execute(statement, *values)


async def waits(holder: UnitOfWork) -> None:
    """Until somebody waits for a lock that `holder`'s transaction has."""

    async def look() -> bool:
        return await holder.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks l WHERE NOT l.granted"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)))"
        )

    await eventually(look)


@pytest.mark.feature("CAT-1", "CAT-2", "CAT-3")
async def test_a_row_without_its_parent_is_refused(catalog: Catalog, units: list[UnitOfWork]) -> None:
    product, uow, own = await a_product(catalog), units[0], catalog.organization_id
    await refused(uow, _VARIANT, own, new_id(), new_id(), "B")
    await refused(uow, _MEMBER, own, product.id, new_id())
    await refused(uow, _MEMBER, own, new_id(), new_id())
    await refused(uow, _PRICE, own, new_id(), new_id())
    await refused(uow, "UPDATE variants SET product_id = $1", new_id())
    await uow.execute(_VARIANT, own, new_id(), product.id, "B")


@pytest.mark.feature("ACC-1", "CAT-1")
async def test_another_tenant_s_parent_is_none(catalog: Catalog, units: list[UnitOfWork]) -> None:
    foreign = await a_product(Catalog(catalog.process), "X")
    await refused(units[0], _VARIANT, catalog.organization_id, new_id(), foreign.id, "B")


@pytest.mark.feature("CAT-1", "CAT-3")
async def test_with_a_parent_its_rows_go_or_it_stays(catalog: Catalog, units: list[UnitOfWork]) -> None:
    product, category = await a_product(catalog), await catalog.ask(CreateCategory(draft=CategoryDraft(name="Home")))
    uow, own = units[0], catalog.organization_id
    await uow.execute(_MEMBER, own, product.id, category.id)
    await uow.execute("DELETE FROM categories WHERE id = $1", category.id)
    assert await uow.fetchval("SELECT count(*) FROM product_categories") == 0
    shop = await _price(uow, own, product.variants[0].id)
    await refused(uow, "DELETE FROM variants WHERE product_id = $1", product.id)
    await refused(uow, "DELETE FROM products WHERE id = $1", product.id)
    await uow.execute("DELETE FROM prices WHERE price_list_id = $1", shop)
    await uow.execute("DELETE FROM products WHERE id = $1", product.id)
    assert await uow.fetchval("SELECT count(*) FROM variants") == 0


async def _price(uow: UnitOfWork, own: UUID, variant_id: UUID) -> UUID:
    shop_id, price_list_id = new_id(), new_id()
    await uow.execute(
        "INSERT INTO shops (organization_id, id, code, name, currency, locale, strict_pricing, version)"
        " VALUES ($1, $2, 'x', 'X', 'USD', 'en', false, 1)",
        own,
        shop_id,
    )
    await uow.execute(
        "INSERT INTO price_lists (organization_id, id, shop_id, name, currency) VALUES ($1, $2, $3, 'X', 'USD')",
        own,
        price_list_id,
        shop_id,
    )
    await uow.execute(_PRICE, own, price_list_id, variant_id)
    return price_list_id


@pytest.mark.feature("CAT-1")
async def test_a_parent_is_not_removed_while_a_row_arrives(catalog: Catalog, units: list[UnitOfWork]) -> None:
    product, (arriving, removing) = await a_product(catalog), units
    await arriving.execute(_VARIANT, catalog.organization_id, new_id(), product.id, "B")
    removal = asyncio.create_task(removing.execute("DELETE FROM products WHERE id = $1", product.id))
    await waits(arriving)
    assert not removal.done()
    await arriving.commit()
    await removal
    assert await removing.fetchval("SELECT count(*) FROM variants WHERE product_id = $1", product.id) == 0


@pytest.mark.feature("CAT-1")
async def test_no_row_arrives_while_its_parent_is_removed(catalog: Catalog, units: list[UnitOfWork]) -> None:
    product, (arriving, removing) = await a_product(catalog), units
    await removing.execute("DELETE FROM products WHERE id = $1", product.id)
    arrival = asyncio.create_task(arriving.execute(_VARIANT, catalog.organization_id, new_id(), product.id, "B"))
    await waits(removing)
    assert not arrival.done()
    await removing.commit()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await arrival


@pytest.mark.feature("CAT-3")
async def test_no_price_arrives_while_its_list_is_removed(catalog: Catalog, units: list[UnitOfWork]) -> None:
    variant_id, own, (arriving, removing) = (await a_product(catalog)).variants[0].id, catalog.organization_id, units
    price_list_id = await _price(removing, own, variant_id)
    await removing.execute("DELETE FROM prices")
    await removing.commit()
    await removing.execute("DELETE FROM price_lists WHERE id = $1", price_list_id)
    arrival = asyncio.create_task(arriving.execute(_PRICE, own, price_list_id, variant_id))
    await waits(removing)
    assert not arrival.done()
    await removing.commit()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await arrival


@pytest.mark.feature("CAT-1")
async def test_a_row_comes_with_the_parent_that_its_transaction_makes(
    catalog: Catalog, units: list[UnitOfWork]
) -> None:
    uow, own, made, inside = units[0], catalog.organization_id, new_id(), new_id()
    await uow.execute(_PRODUCT, own, made, "made")
    await uow.execute(_VARIANT, own, new_id(), made, "A")
    async with uow.savepoint():
        await uow.execute(_PRODUCT, own, inside, "inside")
        await uow.execute(_VARIANT, own, new_id(), inside, "B")
    # Beside one that was made here, one that nobody made is still missed.
    await refused(
        uow,
        "INSERT INTO variants (organization_id, id, product_id, sku, option_key)"
        " SELECT $1, id, product_id, sku, sku FROM unnest($2::uuid[], $3::uuid[], $4::text[])"
        "   AS v (id, product_id, sku)",
        own,
        [new_id(), new_id()],
        [made, new_id()],
        ["C", "D"],
    )
    assert await uow.fetchval("SELECT count(*) FROM variants WHERE sku IN ('A', 'B', 'C')") == 2
