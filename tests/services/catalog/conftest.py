"""A catalog of its own for each test."""

import pytest

from deploy import topology
from tests.factories.catalog import Catalog


@pytest.fixture
def catalog(process: topology.Surrounded) -> Catalog:
    """An organization without shops and products."""
    return Catalog(process)


@pytest.fixture
async def shop_catalog(catalog: Catalog) -> Catalog:
    """An organization with the shop `main` in US dollars."""
    await catalog.open_shop()
    return catalog
