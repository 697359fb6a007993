"""Pictures of a Magento shop: uploaded once, known by their bytes, taken away one at a time (SYN-2, SYN-8)."""

from hashlib import sha256
from typing import Any

import pytest

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ProductWrite, Written
from services.sync.platforms.pictures import source_hash
from tests.fakes.magento import PICTURE, MagentoShop
from tests.platforms.conftest import product, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-2", "SYN-8")
JsonObject = dict[str, Any]


def ours(magento: MagentoShop, name: str = "scarf.png", alt: str = "front") -> JsonObject:
    magento.pictures.setdefault(name, PICTURE + name.encode())
    return {"url": f"{magento.url}/pictures/{name}", "alt": alt}


async def put(magento: MagentoShop, *images: JsonObject) -> Written:
    async with session_with(magento) as session:
        (written,) = await session.write_products([ProductWrite("k", "1", {"images": list(images)})])
    return written


async def test_picture_is_uploaded_and_known_by_its_bytes(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    written = await put(magento, ours(magento))
    (image,) = written.fields["images"]
    assert (written.outcome, image["alt"]) == ("ok", "front")
    assert source_hash(image["url"]) == sha256(PICTURE).hexdigest()
    assert magento.state.products[1]["media"][0]["types"] == ["image", "small_image", "thumbnail"]


@pytest.mark.parametrize("by", ["our address", "theirs"])
async def test_picture_that_is_there_is_not_uploaded_again(magento: MagentoShop, by: str) -> None:
    """POST of the same file makes a second picture."""
    magento.put_product(*product(1))
    first = await put(magento, ours(magento))
    again = await put(magento, ours(magento) if by == "our address" else first.fields["images"][0])
    assert (again.outcome, again.fields) == ("unchanged", first.fields)
    assert len(magento.state.products[1]["media"]) == 1


async def test_upload_whose_answer_is_lost_is_found(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    magento.lose = ["POST products/SCARF-1/media"]
    assert (await put(magento, ours(magento))).outcome == "retry"
    assert (await put(magento, ours(magento))).outcome == "unchanged"
    assert len(magento.state.products[1]["media"]) == 1


async def test_words_and_order_change_and_what_it_is_shown_for_stays(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    one, two = ours(magento), ours(magento, "side.png", "side")
    first = await put(magento, one, two)
    images = first.fields["images"]
    assert [each["alt"] for each in images] == ["front", "side"]
    written = await put(magento, images[1], {**images[0], "alt": "back"})
    assert [each["alt"] for each in written.fields["images"]] == ["side", "back"]
    assert len(magento.state.products[1]["media"]) == 2
    roles = {each["label"]: each["types"] for each in magento.state.products[1]["media"]}
    assert roles == {"back": ["image", "small_image", "thumbnail"], "side": []}


async def test_pictures_of_the_shop_stay_behind_ours(magento: MagentoShop) -> None:
    theirs = {"url": "https://elsewhere.example/own.png", "alt": "own"}
    magento.put_product(*product(1, images=[theirs]))
    written = await put(magento, ours(magento))
    assert [each["alt"] for each in written.fields["images"]] == ["front", "own"]


async def test_picture_that_was_hidden_is_shown_again(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    await put(magento, ours(magento), ours(magento, "side.png", "side"))
    magento.state.products[1]["media"][0]["disabled"] = True
    written = await put(magento, ours(magento), ours(magento, "side.png", "side"))
    assert [each["alt"] for each in written.fields["images"]] == ["front", "side"]
    assert [each["disabled"] for each in magento.state.products[1]["media"]] == [False, False]


@pytest.mark.parametrize("wrong", ["gone.png", "text.png"])
async def test_what_is_no_picture_is_for_a_person(magento: MagentoShop, wrong: str) -> None:
    magento.put_product(*product(1))
    magento.pictures["text.png"] = b"hello, I am no picture"
    written = await put(magento, {"url": f"{magento.url}/pictures/{wrong}", "alt": ""})
    assert (written.outcome, magento.state.products[1]["media"]) == ("person", [])


async def test_one_picture_is_taken_away(magento: MagentoShop) -> None:
    magento.put_product(*product(1))
    images = (await put(magento, ours(magento), ours(magento, "side.png", "side"))).fields["images"]
    async with session_with(magento) as session:
        written = await session.take_image("1", images[0]["url"])
        again = await session.take_image("1", images[0]["url"])
        with pytest.raises(PlatformRefused):
            await session.take_image("404", images[0]["url"])
    assert (written.outcome, [each["alt"] for each in written.fields["images"]]) == ("ok", ["side"])
    assert again.outcome == "unchanged"
    assert [method for method, *_ in magento.requests].count("DELETE") == 1
