"""A PrestaShop shop for the tests of its adapter alone."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.prestashop import PrestaShop


@pytest.fixture
async def prestashop() -> AsyncIterator[PrestaShop]:
    shop = PrestaShop()
    await shop.start()
    yield shop
    await shop.stop()
