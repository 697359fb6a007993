"""Order limits and backorders of a shop: said in the quote, refused with everything else untouched."""

from typing import Any

import pytest

from services.inventory.use_cases import reservations
from shared.contracts.catalog.channel_content import ChangeChannelContent, ChannelContentChange
from shared.contracts.catalog.messages import ListProducts, UpdateProduct
from shared.contracts.catalog.shapes import OrderLimits, ProductChange, VariantDraft
from shared.contracts.inventory.messages import SetStockPolicy
from shared.contracts.orders.messages import CancelOrder, CreateQuote, ReleaseOrder
from shared.contracts.orders.shapes import OrderedLine
from shared.errors import CarriedError
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("CAT-4", "ORD-1")


async def limit(seller: Seller, sku: str, **limits: int) -> None:
    """Limits of the shop's own."""
    product = (await seller.ask(ListProducts(sku=sku))).items[0]
    change: dict[str, Any] = {"variants": [{"sku": sku, "order_limits": limits}]}
    message = ChangeChannelContent(
        product_id=product.id, shop="main", change=ChannelContentChange.model_validate(change)
    )
    await seller.ask(message)


async def problem(seller: Seller, **quantities: int) -> list[str | None]:
    lines = [OrderedLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]
    return [line.problem for line in (await seller.ask(CreateQuote(shop="main", lines=lines))).lines]


@pytest.mark.parametrize(
    ("limits", "refused", "taken"),
    [
        ({"minimum": 3}, [1, 2], [3, 10]),
        ({"maximum": 4}, [5], [1, 4]),
        ({"step": 2}, [1, 3], [2, 4]),
        ({"minimum": 4, "maximum": 8, "step": 2}, [2, 5, 10], [4, 6, 8]),
    ],
)
async def test_a_quote_says_what_an_order_would_be_refused_for(
    seller: Seller, limits: dict[str, int], refused: list[int], taken: list[int]
) -> None:
    await limit(seller, "MUG", **limits)
    assert [await problem(seller, MUG=n) for n in refused] == [["outside_order_limits"]] * len(refused)
    assert [await problem(seller, MUG=n) for n in taken] == [[None]] * len(taken)
    assert await problem(seller, CUP=1) == [None]


async def test_an_order_outside_the_limits_is_refused_whole_and_holds_nothing(seller: Seller) -> None:
    await limit(seller, "MUG", minimum=2, maximum=4)
    for quantity, said in ((1, "At least 2"), (5, "At most 4")):
        with pytest.raises(CarriedError) as refusal:
            await seller.place(MUG=quantity, CUP=1)
        assert (refusal.value.status, refusal.value.code) == (422, "outside_order_limits")
        assert [(entry["sku"], entry["limits"]["minimum"]) for entry in refusal.value.errors] == [("MUG", 2)]
        assert said in refusal.value.errors[0]["reason"]
    assert not await seller.rows("inventory", "SELECT id FROM reservations")
    assert (await seller.place(MUG=2, CUP=1)).status == "pending"


async def test_limits_of_the_product_hold_where_the_shop_has_none_of_its_own(seller: Seller) -> None:
    product = (await seller.ask(ListProducts(sku="MUG"))).items[0]
    draft = VariantDraft(sku="MUG", order_limits=OrderLimits(minimum=5))
    await seller.ask(UpdateProduct(product_id=product.id, change=ProductChange(variants=[draft])))
    assert await problem(seller, MUG=4) == ["outside_order_limits"]
    await limit(seller, "MUG")
    assert await problem(seller, MUG=4) == [None]


async def deny_backorders(seller: Seller, sku: str) -> None:
    """More of it may be promised than is there, but not in this shop."""
    await seller.ask(SetStockPolicy(sku=sku, centre="main", policy="backorder"))
    product = (await seller.ask(ListProducts(sku=sku))).items[0]
    change: dict[str, Any] = {"variants": [{"sku": sku, "backorder": "deny"}]}
    wanted = ChannelContentChange.model_validate(change)
    await seller.ask(ChangeChannelContent(product_id=product.id, shop="main", change=wanted))


async def test_a_shop_that_denies_backorders_sells_only_what_is_there(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    assert await problem(seller, MUG=11) == [None]
    await deny_backorders(seller, "MUG")
    assert await problem(seller, MUG=11) == ["insufficient_stock"]
    with pytest.raises(CarriedError) as refusal:
        await seller.place(MUG=11)
    assert (refusal.value.code, refusal.value.errors[0]["available"]) == ("insufficient_stock", 10)
    assert (await seller.place(MUG=10)).status == "pending"
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="always"))
    assert await problem(seller, MUG=11) == [None], "what is always there is no backorder"
    assert (await seller.place(MUG=11)).status == "pending"


@pytest.mark.feature("INV-3", "ORD-2")
async def test_what_ran_out_is_taken_again_from_what_is_there_alone(seller: Seller) -> None:
    await deny_backorders(seller, "MUG")
    order = await seller.place(MUG=10)
    await seller.change("inventory", "UPDATE reservations SET expires_at = now() WHERE id = $1", order.id)
    await seller.inside("inventory", reservations.expire)
    rival = await seller.place(MUG=1)
    await seller.settle()
    assert (await seller.order(order.id)).status == "on_hold", "its event found nine, and promised no tenth"
    with pytest.raises(CarriedError) as refusal:
        await seller.ask(ReleaseOrder(order_id=order.id))
    assert (refusal.value.code, refusal.value.errors[0]["available"]) == ("insufficient_stock", 9)
    await seller.ask(CancelOrder(order_id=rival.id, reason="make room"))
    await seller.settle()
    assert (await seller.ask(ReleaseOrder(order_id=order.id))).status == "pending"
    assert (await seller.level("MUG")).backordered == 0
    assert await seller.discrepancies() == []
