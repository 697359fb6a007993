"""A merchant whose shop is connected to a fake platform, with the workers of every service running."""

from collections.abc import AsyncIterator

import pytest

from deploy import topology
from shared.settings import Settings, settings
from tests.doors import Client
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop


@pytest.fixture(autouse=True)
def _fakes_are_asked(configuration: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fakes listen inside our own network."""
    monkeypatch.setattr(settings(), "fetch_private", True)


@pytest.fixture
async def fake() -> AsyncIterator[CustomShop]:
    shop = CustomShop()
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
async def connected(process: topology.Surrounded, client: Client, fake: CustomShop) -> Connected:
    return await Connected(process, client, fake).open()
