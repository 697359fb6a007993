"""A WooCommerce site for the tests of its adapter alone."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.sync.platforms.http import Http
from tests.fakes.woocommerce import WooShop


@pytest.fixture
async def woo() -> AsyncIterator[WooShop]:
    shop = WooShop()
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
def lose(woo: WooShop, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say of which request from now on the answer is lost, after it took effect."""
    send = Http.send

    def nth(place: int) -> None:
        left = place

        async def sending(http: Http, *given: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                woo.faults.lost = 1
            return await send(http, *given, **more)

        monkeypatch.setattr(Http, "send", sending)

    return nth
