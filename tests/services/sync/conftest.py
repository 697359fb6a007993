"""A merchant whose shop is connected to a fake platform, with the workers of every service running."""

from collections.abc import AsyncIterator

import pytest

from deploy import topology
from services.sync.use_cases import feeds
from shared.settings import Settings, settings
from tests.doors import Client
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.fakes.platforms import FakeShop
from tests.services.sync.dying import Deaths


@pytest.fixture(autouse=True)
def _fakes_are_asked(configuration: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fakes listen inside our own network."""
    monkeypatch.setattr(settings(), "fetch_private", True)


@pytest.fixture(autouse=True)
def _feeds_that_are_due_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds have places in half a minute; `test_running.py` looks at them."""
    monkeypatch.setattr(feeds, "_JITTER_SECONDS", 1)


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Deaths:
    """Workers die when a test says so."""
    found = Deaths()
    found.install(monkeypatch)
    return found


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeShop]:
    """A shop of the custom protocol, or of the kind that a test asks for by its parameter."""
    shop: FakeShop = getattr(request, "param", CustomShop)()
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
async def connected(process: topology.Surrounded, client: Client, fake: FakeShop) -> Connected:
    return await Connected(process, client, fake).open()
