"""Stock is held to its centre in sets; what a foreign key promises holds whoever writes."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.bus.envelope import service_envelope
from shared.contracts.accounts.shapes import Shop
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-2", "ACC-1")
_STOCK = "INSERT INTO stock (organization_id, sku, centre_id) VALUES ($1, $2, $3)"


@pytest.fixture
async def uow(merchant_of_stock: Merchant) -> AsyncIterator[UnitOfWork]:
    """A transaction of inventory's own role, undone at the end."""
    envelope = service_envelope("inventory", merchant_of_stock.organization_id)
    unit = merchant_of_stock.process.surroundings.unit_of_work("inventory", envelope)
    yield unit
    await unit.rollback()


async def refused(uow: UnitOfWork, statement: str, *values: object) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with uow.savepoint():
            await uow.execute(statement, *values)


async def test_stock_lies_in_a_centre_that_there_is(merchant_of_stock: Merchant, shop: Shop, uow: UnitOfWork) -> None:
    await merchant_of_stock.stocked({"A": 5})
    own = merchant_of_stock.organization_id
    centre_id = await uow.fetchval("SELECT centre_id FROM stock WHERE sku = 'A'")
    await refused(uow, _STOCK, own, "B", new_id())
    await refused(uow, "UPDATE stock SET centre_id = $1 WHERE sku = 'A'", new_id())
    await uow.execute("DELETE FROM shop_centres")
    await refused(uow, "DELETE FROM fulfilment_centres WHERE id = $1", centre_id)
    await uow.execute(_STOCK, own, "B", centre_id)


async def test_another_tenant_s_centre_is_none(merchant_of_stock: Merchant, shop: Shop, uow: UnitOfWork) -> None:
    stranger = Merchant(merchant_of_stock.process)
    await stranger.open_shop()
    await stranger.stocked({"A": 5})
    foreign = await stranger.rows("inventory", "SELECT centre_id FROM stock")
    await refused(uow, _STOCK, merchant_of_stock.organization_id, "B", foreign[0]["centre_id"])
