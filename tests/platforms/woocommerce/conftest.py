"""A WooCommerce site for the tests of its adapter alone."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.woocommerce import WooShop


@pytest.fixture
async def woo() -> AsyncIterator[WooShop]:
    shop = WooShop()
    await shop.start()
    yield shop
    await shop.stop()
