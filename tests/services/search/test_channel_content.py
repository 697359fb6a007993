"""What a shop has of a product for itself reaches its offers, those of its sub-shops, and nobody else's."""

from typing import Any

import pytest

from shared.contracts.catalog.channel_content import ChangeChannelContent, ChannelContentChange, HandOverChannelContents
from shared.contracts.catalog.shapes import OrderLimits
from shared.contracts.inventory.shapes import Availability
from shared.contracts.search.shapes import OfferDetails
from tests.doors import eventually
from tests.factories.search import Seller
from tests.services.search.test_assembly import TODAY, a_product, a_variant, offer_of, subjects_of


@pytest.mark.feature("CAT-4", "SEA-1", "SEA-4")
async def test_offers_follow_what_shops_own_and_hand_over(seller: Seller) -> None:
    main = seller.shops["main"]
    await seller.open("sub", parent_id=main.id)
    await seller.open("aside")
    things = await seller.category("Things", shops=["main", "aside"])
    product = await seller.sell("Mug", things, description_html="<p>Mug</p>")
    await seller.price({"MUG": 1100}, shop="aside")

    async def pages() -> dict[str, Any]:
        found = {code: await seller.get(f"shops/{code}/offers/mug") for code in ("main", "sub", "aside")}
        return {code: answer.json() for code, answer in found.items()}

    async def titles(*wanted: str) -> bool:
        return [page.get("title") for page in (await pages()).values()] == list(wanted)

    await eventually(lambda: titles("Mug", "Mug", "Mug"), 30)
    change = {
        "title": "Gift mug",
        "content_html": "<p>Story</p>",
        "seo_title": "Gifts",
        "images": [{"url": "https://images.example/gift.jpg"}],
        "variants": [
            {
                "sku": "MUG",
                "list_price": {"amount": 1500, "currency": "USD"},
                "weight_grams": 400,
                "order_limits": {"minimum": 2},
            }
        ],
    }
    message = ChangeChannelContent(
        product_id=product.id, shop="main", change=ChannelContentChange.model_validate(change)
    )
    await seller.ask(message)
    await eventually(lambda: titles("Gift mug", "Gift mug", "Mug"), 30)
    page = OfferDetails.model_validate((await pages())["sub"])
    assert (page.content_html, page.seo.title, page.image and page.image.url) == (
        "<p>Story</p>",
        "Gifts",
        "https://images.example/gift.jpg",
    )
    assert page.list_price is not None
    assert (page.list_price.amount, page.variants[0].weight_grams) == (1500, 400)
    assert page.variants[0].order_limits == OrderLimits(minimum=2)
    assert await seller.slugs("main", q="gift") == ["mug"]
    await seller.change(product, title="Cup")
    await eventually(lambda: titles("Gift mug", "Gift mug", "Cup"), 30)
    await seller.ask(HandOverChannelContents(shop="main", fields=["title"], to="master", product_ids=[product.id]))
    await eventually(lambda: titles("Cup", "Cup", "Cup"), 30)
    await seller.ask(
        ChangeChannelContent(product_id=product.id, shop="sub", change=ChannelContentChange(category_ids=[]))
    )

    async def gone() -> bool:
        return (await seller.get("shops/sub/offers/mug")).status_code == 404

    await eventually(gone, 30)
    found = await pages()
    assert (found["main"]["title"], found["aside"]["title"]) == ("Cup", "Cup"), "its other shops still sell it"


@pytest.mark.feature("CAT-4", "SEA-1")
@pytest.mark.parametrize(("policy", "promised"), [("backorder", "backorder"), ("preorder", "preorder")])
def test_a_shop_that_denies_backorders_sells_what_is_there(policy: Any, promised: str) -> None:
    def seen(backorder: Any, quantity: int) -> str:
        product = a_product(a_variant("a", backorder=backorder))
        stock = {"a": Availability(sku="a", available=True, available_quantity=quantity, policy=policy)}
        return subjects_of(product, stock, TODAY)[0].availability

    assert [seen(None, 0), seen("allow", 0), seen("deny", 0), seen("deny", 1)] == [
        promised,
        promised,
        "out_of_stock",
        "in_stock",
    ]
    denied = a_product(a_variant("a", backorder="deny"))
    none_there = Availability(sku="a", available=True, available_quantity=0, policy=policy)
    assert offer_of(denied, {"a": none_there}) is None
