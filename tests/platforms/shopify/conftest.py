"""A shop of Shopify's for the tests of its adapter alone."""

from collections.abc import AsyncIterator

import pytest

from services.sync.platforms.shopify import bulk, images
from tests.fakes.shopify import ShopifyShop


@pytest.fixture
async def shopify(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ShopifyShop]:
    """A shop, whose files and pictures are waited for without any time passing."""
    for module in (bulk, images):
        monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0)
    shop = ShopifyShop()
    await shop.start()
    yield shop
    await shop.stop()
