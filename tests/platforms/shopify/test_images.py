"""Pictures of products on Shopify: each uploaded once, none taken away but by itself (SYN-2, SYN-8)."""

from hashlib import sha256
from typing import Any

import pytest

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.platforms.pictures import source_hash
from services.sync.platforms.shopify import images
from tests.fakes.shopify import ICON, ShopifyShop
from tests.platforms.conftest import product, put_products, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-8")
HASH = sha256(ICON).hexdigest()


def picture(shop: ShopifyShop, name: str = "ours.png", alt: str = "Ours", **more: Any) -> dict[str, Any]:
    return {"url": f"{shop.url}/cdn/files/{name}", "alt": alt, **more}


async def put(shop: ShopifyShop, *pictures: dict[str, Any], product_id: str = "1") -> Written:
    async with session_with(shop) as session:
        write = ProductWrite("k", product_id, {"images": list(pictures)})
        return (await session.write_products([write]))[0]


def uploads(shop: ShopifyShop) -> int:
    return len([name for name, _ in shop.asked if name == "CreateFiles"])


async def test_picture_is_uploaded_once_and_known_by_its_hash(shopify: ShopifyShop) -> None:
    put_products(shopify, 2)
    first = await put(shopify, picture(shopify))
    again = await put(shopify, picture(shopify))
    moved = await put(shopify, picture(shopify, "other-address.png"))
    other = await put(shopify, picture(shopify), product_id="2")
    assert [each.outcome for each in (first, again, moved, other)] == ["ok", "unchanged", "unchanged", "ok"]
    assert uploads(shopify) == 1
    assert source_hash(first.fields["images"][0]["url"]) == HASH
    assert shopify.product("1")[0]["images"] == shopify.product("2")[0]["images"] == first.fields["images"]


async def test_picture_whose_hash_is_given_is_not_even_fetched(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    await put(shopify, picture(shopify))
    written = await put(shopify, {"url": "https://nowhere.invalid/x.png", "alt": "Ours", "hash": HASH})
    assert written.outcome == "unchanged"


async def test_bytes_reach_shopify_as_they_are(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    await put(shopify, picture(shopify))
    form = next(iter(shopify.staged.values()))
    assert ICON in form
    assert form.index(b'name="key"') < form.index(b'name="file"'), "the file comes last"


@pytest.mark.parametrize("document", ["CreateFiles", "UpdateFiles", "StageUploads"])
async def test_picture_whose_answer_was_lost_is_there_once(shopify: ShopifyShop, document: str) -> None:
    put_products(shopify, 1)
    shopify.lose.append(document)
    outcomes = [(await put(shopify, picture(shopify))).outcome for _ in range(3)]
    assert outcomes[0] == "retry"
    assert outcomes[-1] == "unchanged"
    assert len(shopify.product("1")[0]["images"]) == 1
    assert len(shopify.files) == 1


async def test_file_that_is_not_found_yet_is_not_uploaded_again(shopify: ShopifyShop) -> None:
    """Shopify's search is behind; its names are not."""
    put_products(shopify, 2)
    await put(shopify, picture(shopify))
    shopify.search_lags = True
    assert (await put(shopify, picture(shopify), product_id="2")).outcome == "retry"
    shopify.search_lags = False
    assert (await put(shopify, picture(shopify), product_id="2")).outcome == "ok"
    assert len(shopify.files) == 1


async def test_picture_that_is_worked_at_is_waited_for(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    shopify.image_polls = 3
    assert (await put(shopify, picture(shopify))).outcome == "ok"


async def test_picture_that_takes_too_long_is_tried_later(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "PATIENCE_SECONDS", 0)
    put_products(shopify, 1)
    shopify.image_polls = 1
    written = await put(shopify, picture(shopify))
    assert (written.outcome, written.retry_after_seconds) == ("retry", 30)
    while (written := await put(shopify, picture(shopify))).outcome == "retry":
        next(iter(shopify.files.values()))["status"] = "READY"
    assert written.outcome == "ok"
    assert uploads(shopify) == 1


async def test_pictures_of_the_merchant_stay(shopify: ShopifyShop) -> None:
    """SYN-8: a list of pictures adds and arranges; it does not take away."""
    theirs = picture(shopify, "theirs.png", "Theirs")
    shopify.put_product(*product(1, images=[theirs]))
    written = await put(shopify, picture(shopify))
    there = shopify.product("1")[0]["images"]
    assert [each["alt"] for each in there] == ["Ours", "Theirs"]
    assert written.fields["images"] == there


async def test_order_and_words_are_as_wanted(shopify: ShopifyShop) -> None:
    one, two, three = (picture(shopify, f"{n}.png", f"{n}") for n in (1, 2, 3))
    shopify.put_product(*product(1, images=[one, two, three]))
    written = await put(shopify, three, {**one, "alt": "First"}, two)
    assert written.outcome == "ok"
    assert [each["alt"] for each in shopify.product("1")[0]["images"]] == ["3", "First", "2"]
    assert (await put(shopify, three, {**one, "alt": "First"}, two)).outcome == "unchanged"


async def test_one_picture_is_taken_away_and_its_file_stays(shopify: ShopifyShop) -> None:
    one, two = (picture(shopify, f"{n}.png", f"{n}") for n in (1, 2))
    shopify.put_product(*product(1, images=[one, two]))
    shopify.put_product(*product(2, images=[one]))
    async with session_with(shopify) as session:
        written = await session.take_image("1", one["url"] + "?v=7")  # type: ignore[attr-defined]
        again = await session.take_image("1", one["url"])  # type: ignore[attr-defined]
    assert (written.outcome, again.outcome) == ("ok", "unchanged")
    assert written.fields["images"] == shopify.product("1")[0]["images"] == [two]
    assert shopify.product("2")[0]["images"] == [one]
    assert len(shopify.files) == 2


@pytest.mark.parametrize("url", ["{}/nowhere.png", "data:image/png;base64,x", ""])
async def test_picture_that_can_not_be_fetched_needs_a_person(shopify: ShopifyShop, url: str) -> None:
    put_products(shopify, 1)
    written = await put(shopify, {"url": url.format(shopify.url), "alt": ""})
    assert (written.outcome, shopify.files) == ("person", {})


async def test_what_is_no_picture_needs_a_person(shopify: ShopifyShop) -> None:
    put_products(shopify, 1)
    written = await put(shopify, {"url": f"{shopify.url}/text", "alt": ""})
    assert (written.outcome, "neither PNG" in str(written.message)) == ("person", True)


async def test_product_is_made_with_its_pictures(shopify: ShopifyShop) -> None:
    fields = {"title": "Made", "images": [picture(shopify)]}
    write = ProductWrite("k", None, fields, {}, [VariantWrite(None, "M", {})])
    shopify.lose.append("CreateFiles")
    async with session_with(shopify) as session:
        outcomes = [(await session.write_products([write]))[0] for _ in range(2)]
    assert [each.outcome for each in outcomes] == ["retry", "ok"]
    assert len(shopify.products) == 1
    assert outcomes[1].fields["images"] == shopify.product(str(outcomes[1].external_id))[0]["images"]


async def test_product_that_is_gone_is_said_to_be(shopify: ShopifyShop) -> None:
    async with session_with(shopify) as session:
        with pytest.raises(PlatformRefused, match="no longer has the product"):
            await session.take_image("404", "https://x.test/a.png")  # type: ignore[attr-defined]
