"""A merchant with a shop that sells, and another one with a shop of the same code."""

import pytest

from deploy import topology
from tests.doors import Client
from tests.factories.search import Seller


@pytest.fixture(scope="module")
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    """The shop `main` in US dollars, without products."""
    made = Seller(process, client)
    await made.open()
    return made


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    """It sells a scarf and a kettle, and is at rest. Who needs other goods has a `shop` of its own."""
    goods = await seller.category("Goods")
    await seller.sell("Wool scarf", goods, price=1999)
    await seller.sell("Copper kettle", goods, price=5500)
    await seller.sells(2)
    await seller.settles()
    return seller
