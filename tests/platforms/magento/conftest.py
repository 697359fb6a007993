"""A shop of Magento's for the tests of its adapter alone."""

from collections.abc import AsyncIterator

import pytest

from services.sync.platforms.magento import bulk
from tests.fakes.magento import MagentoShop


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue is looked at twice, without any time passing."""
    monkeypatch.setattr(bulk, "FIRST_WAIT_SECONDS", 1e-9)
    monkeypatch.setattr(bulk, "PATIENCE_SECONDS", 1e-9)


@pytest.fixture
async def magento() -> AsyncIterator[MagentoShop]:
    shop = MagentoShop()
    await shop.start()
    yield shop
    await shop.stop()
