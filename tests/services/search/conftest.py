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
