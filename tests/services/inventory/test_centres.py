"""Fulfilment centres: the default one, who serves whom, and in which order."""

import asyncio
from typing import Any

import pytest

from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    UnassignFulfilmentCentre,
)
from shared.contracts.inventory.shapes import FulfilmentCentre
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.factories.catalog import a_shop
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-1")


async def create(merchant: Merchant, code: str, **assignment: Any) -> FulfilmentCentre:
    centre = await merchant.ask(CreateFulfilmentCentre(code=code, name=code.title(), kind="store"))
    if assignment:
        centre = await merchant.ask(AssignFulfilmentCentre(centre_id=centre.id, **assignment))
    return centre


async def test_the_first_shop_brings_the_default_centre(merchant_of_stock: Merchant) -> None:
    shops = [a_shop(merchant_of_stock.organization_id, code=code) for code in ("main", "second")]
    await asyncio.gather(*(merchant_of_stock.hear("inventory", ShopChanged(shop=shop)) for shop in shops))
    (centre,) = (await merchant_of_stock.ask(ListFulfilmentCentres())).items
    assert (centre.code, centre.is_default, [s.shop for s in centre.shops]) == ("main", True, ["main", "second"])


async def test_old_news_of_a_shop_is_not_taken(merchant_of_stock: Merchant, shop: Shop) -> None:
    newer = shop.model_copy(update={"code": "renamed", "version": 3})
    older = shop.model_copy(update={"code": "older", "version": 2})
    await merchant_of_stock.hear("inventory", ShopChanged(shop=newer), ShopChanged(shop=older), ShopChanged(shop=newer))
    (centre,) = (await merchant_of_stock.ask(ListFulfilmentCentres())).items
    assert [s.shop for s in centre.shops] == ["renamed"]


async def test_a_removed_shop_stays_removed(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 1})
    await merchant_of_stock.hear("inventory", ShopRemoved(shop_id=shop.id))
    await merchant_of_stock.hear("inventory", ShopChanged(shop=shop.model_copy(update={"version": 9})))
    assert (await merchant_of_stock.availability(shop, "A")).available is False
    assert (await merchant_of_stock.level("A")).on_hand == 1


async def test_lines_come_from_the_preferred_centre_first(merchant_of_stock: Merchant, shop: Shop) -> None:
    await create(merchant_of_stock, "store", shop="main", preference=50)
    await create(merchant_of_stock, "far", shop="main", preference=1, dispatches=False)
    await create(merchant_of_stock, "defect", shop="main", preference=0, counts=False)
    await create(merchant_of_stock, "elsewhere")
    for centre in ("main", "store", "far", "defect", "elsewhere"):
        await merchant_of_stock.stocked({"A": 2}, centre)
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 6
    line = (await merchant_of_stock.reserve(shop, A=5)).lines[0]
    assert [(part.centre_code, part.quantity) for part in line.parts] == [("store", 2), ("main", 2), ("far", 1)]
    with pytest.raises(CarriedError) as refused:
        await merchant_of_stock.reserve(shop, A=2)
    assert refused.value.errors[0]["available"] == 1


async def test_a_sub_shop_has_its_parents_centres_until_it_has_its_own(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 2})
    sub = await merchant_of_stock.open_shop("sub", parent_id=shop.id)
    assert (await merchant_of_stock.availability(sub, "A")).available_quantity == 2
    store = await create(merchant_of_stock, "store", shop="sub")
    await merchant_of_stock.stocked({"A": 1}, "store")
    assert (await merchant_of_stock.availability(sub, "A")).available_quantity == 1
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 2
    await merchant_of_stock.ask(UnassignFulfilmentCentre(centre_id=store.id, shop="sub"))
    assert (await merchant_of_stock.availability(sub, "A")).available_quantity == 2


async def test_there_is_always_exactly_one_default(merchant_of_stock: Merchant, shop: Shop) -> None:
    (main,) = (await merchant_of_stock.ask(ListFulfilmentCentres())).items
    renamed = await merchant_of_stock.ask(ChangeFulfilmentCentre(centre_id=main.id, name="Warehouse", kind="supplier"))
    assert (renamed.name, renamed.kind, renamed.is_default) == ("Warehouse", "supplier", True)
    with pytest.raises(CarriedError) as refused:
        await merchant_of_stock.ask(ChangeFulfilmentCentre(centre_id=main.id, is_default=False))
    assert refused.value.code == "default_centre_needed"
    others = [await create(merchant_of_stock, code) for code in ("b", "c")]
    changes = [ChangeFulfilmentCentre(centre_id=centre.id, is_default=True) for centre in others]
    await asyncio.gather(*(merchant_of_stock.ask(change) for change in changes))
    page = await merchant_of_stock.ask(ListFulfilmentCentres())
    assert sum(centre.is_default for centre in page.items) == 1


async def test_what_cannot_be_is_refused_by_name(merchant_of_stock: Merchant, shop: Shop) -> None:
    centre = await create(merchant_of_stock, "store")
    refusals = [
        (CreateFulfilmentCentre(code="store", name="Again"), "centre_code_taken"),
        (ChangeFulfilmentCentre(centre_id=new_id(), name="None"), "centre_not_found"),
        (AssignFulfilmentCentre(centre_id=centre.id, shop="none"), "shop_not_found"),
        (AssignFulfilmentCentre(centre_id=new_id(), shop="main"), "centre_not_found"),
    ]
    for message, code in refusals:
        with pytest.raises(CarriedError) as refused:
            await merchant_of_stock.ask(message)
        assert refused.value.code == code
    stranger = Merchant(merchant_of_stock.process)
    await stranger.open_shop()
    with pytest.raises(CarriedError) as refused:
        await stranger.ask(ChangeFulfilmentCentre(centre_id=centre.id, name="Mine"))
    assert refused.value.code == "centre_not_found"


async def test_a_changed_assignment_tells_of_the_stock(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 2})
    before = len(await merchant_of_stock.events("inventory", "stock_changed"))
    await create(merchant_of_stock, "store", shop="main")
    assert (await merchant_of_stock.events("inventory", "stock_changed"))[before:] == [{"skus": ["A"], "crossed": None}]
