"""How much there is of a SKU in all, as search is told: shelves in several centres, kits, what runs low."""

from typing import Any

import pytest

from services.inventory.use_cases import reservations
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.messages import CreateFulfilmentCentre, GetStockStandings, SetStockPolicy
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("SYN-13")


async def standings(merchant: Merchant, *skus: str) -> dict[str, tuple[int, bool]]:
    answer: Any = await merchant.ask(GetStockStandings(skus=list(skus)), inside="search")
    return {item.sku: (item.available, item.is_low) for item in answer.items}


async def test_all_centres_count_and_one_that_runs_low_is_enough(merchant_of_stock: Merchant, shop: Shop) -> None:
    merchant = merchant_of_stock
    await merchant.ask(CreateFulfilmentCentre(code="north", name="North"))
    await merchant.stocked({"MUG": 5, "CUP": 0})
    await merchant.stocked({"MUG": 2}, centre="north")
    assert await standings(merchant, "MUG", "CUP", "NEVER") == {"MUG": (7, False), "CUP": (0, False)}
    await merchant.ask(SetStockPolicy(sku="MUG", centre="north", policy="standard", warning_level=2))
    assert await standings(merchant, "MUG") == {"MUG": (7, True)}
    await merchant.ask(SetStockPolicy(sku="CUP", centre="main", policy="always"))
    assert await standings(merchant, "CUP") == {"CUP": (1, False)}
    await merchant.reserve(shop, MUG=5)
    assert await standings(merchant, "MUG") == {"MUG": (2, True)}


async def test_of_a_kit_there_are_as_many_as_each_centre_could_make(merchant_of_stock: Merchant, shop: Shop) -> None:
    merchant = merchant_of_stock
    await merchant.ask(CreateFulfilmentCentre(code="north", name="North"))
    await merchant.stocked({"MUG": 5, "CUP": 1})
    await merchant.stocked({"MUG": 4}, centre="north")
    parts = [KitPart(sku="MUG", quantity=2), KitPart(sku="CUP", quantity=1)]
    await merchant.ask(SetKit(sku="SET", parts=parts))
    # North has no cup, and mugs do not travel.
    assert await standings(merchant, "SET") == {"SET": (1, False)}
    await merchant.stocked({"CUP": 3}, centre="north")
    assert await standings(merchant, "SET") == {"SET": (3, False)}
    await merchant.stocked({"CUP": 0})
    await merchant.stocked({"CUP": 0}, centre="north")
    assert await standings(merchant, "SET") == {"SET": (0, False)}


class Announced:
    """What of the stock that was announced since the last look may stand otherwise than before."""

    def __init__(self, merchant: Merchant) -> None:
        self._merchant = merchant
        self._seen = 0

    async def crossed(self) -> set[str]:
        events = (await self._merchant.events("inventory", "stock_changed"))[self._seen :]
        self._seen += len(events)
        return {sku for event in events for sku in (event["skus"] if event["crossed"] is None else event["crossed"])}


async def test_what_comes_goes_or_runs_low_is_announced_as_crossing(merchant_of_stock: Merchant, shop: Shop) -> None:
    merchant, announced = merchant_of_stock, Announced(merchant_of_stock)
    await merchant.stocked({"MUG": 5, "CUP": 9, "JAR": 0})
    assert await announced.crossed() == {"MUG", "CUP"}
    await merchant.stocked({"MUG": 6, "CUP": 9, "JAR": 0})
    assert await announced.crossed() == set()
    await merchant.ask(SetStockPolicy(sku="CUP", centre="main", policy="standard", warning_level=6))
    await announced.crossed()
    held = await merchant.reserve(shop, MUG=2, CUP=2)
    assert await announced.crossed() == set()
    low = await merchant.reserve(shop, MUG=1, CUP=1)
    assert await announced.crossed() == {"CUP"}
    await merchant.reserve(shop, MUG=3)
    assert await announced.crossed() == {"MUG"}
    for reservation in (held, low):
        await merchant.inside("inventory", reservations.release, reservation.id)
    assert await announced.crossed() == {"MUG", "CUP"}
    await merchant.ask(SetKit(sku="SET", parts=[KitPart(sku="MUG", quantity=2)]))
    await announced.crossed()
    # Whether a kit can be made, its own stock does not say.
    await merchant.stocked({"MUG": 7})
    assert await announced.crossed() == {"SET"}
    await merchant.stocked({"MUG": 3, "JAR": 1})
    assert await announced.crossed() == {"MUG", "SET", "JAR"}


async def test_another_merchant_s_stock_is_not_told(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"MUG": 5})
    assert await standings(Merchant(merchant_of_stock.process), "MUG") == {}
