"""A merchant who sells, without workers: events take effect when the test lets them."""

import pytest

from deploy import topology
from tests.factories.orders import Seller


@pytest.fixture
async def seller(process: topology.Surrounded) -> Seller:
    """Sells MUG at $10.00 and CUP at $2.50, ten of each in stock."""
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})
