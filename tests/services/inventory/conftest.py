"""A merchant with a shop and the default centre, without workers."""

import pytest

from deploy import topology
from shared.contracts.accounts.shapes import Shop
from tests.factories.inventory import Merchant
from tests.factories.orders import Seller


@pytest.fixture
def merchant_of_stock(process: topology.Surrounded) -> Merchant:
    """An organization without a shop."""
    return Merchant(process)


@pytest.fixture
async def shop(merchant_of_stock: Merchant) -> Shop:
    """The merchant's shop `main`, served by the default centre."""
    return await merchant_of_stock.open_shop()


@pytest.fixture
async def seller(process: topology.Surrounded) -> Seller:
    """Sells MUG at $10.00 and CUP at $2.50, ten of each in stock; without workers."""
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})
