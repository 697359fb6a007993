"""Offers over HTTP, from the change in catalog, prices or stock to what a storefront finds."""

import pytest

from tests.doors import eventually
from tests.factories.search import Seller


@pytest.mark.feature("SEA-1", "SEA-2", "SEA-4")
async def test_what_is_sold_is_found_and_what_is_not_leaves(seller: Seller) -> None:
    clothing = await seller.category("Clothing")
    await seller.sell("Wool scarf", clothing, price=1999, brand="Northwind")
    await seller.sells(1)
    found = await seller.offers(q="scarf")
    assert found["items"][0]["price"] == {"amount": 1999, "currency": "USD"}
    assert found["items"][0]["available_quantity"] == 5

    await seller.price({"WOOL-SCARF": 2499})

    async def costs_more() -> bool:
        return (await seller.offers(q="scarf"))["items"][0]["price"]["amount"] == 2499

    await eventually(costs_more)
    await seller.stock({"WOOL-SCARF": 0})
    await seller.sells(0)
    await seller.stock({"WOOL-SCARF": 2})
    await seller.sells(1)
