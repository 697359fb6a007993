"""Pictures: uploaded once, taken away one by one (SYN-2, SYN-8)."""

from typing import Any

import pytest

from services.sync.errors import AnswerLost, CredentialsRefused
from services.sync.platforms.base import ProductWrite, Written
from services.sync.platforms.prestashop.images import dimensions
from services.sync.platforms.prestashop.mapping import image, image_id
from tests.fakes.prestashop import PrestaShop
from tests.fakes.prestashop_server import png
from tests.platforms.conftest import product, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-8")


def ours(shop: PrestaShop, name: str) -> dict[str, Any]:
    return {"url": f"{shop.settings['url']}/pictures/{name}", "alt": ""}


async def put(
    shop: PrestaShop, *images: dict[str, Any], expected: list[dict[str, Any]] | None = None, is_repeat: bool = False
) -> Written:
    before = {} if expected is None else {"images": expected}
    write = ProductWrite("k1", "1", {"images": list(images)}, before, is_repeat=is_repeat)
    async with session_with(shop) as session:
        try:
            return (await session.write_products([write]))[0]
        except AnswerLost as error:
            return Written("retry", error.detail)


def uploads(shop: PrestaShop) -> int:
    return len([asked for asked in shop.requests if asked.method == "POST" and "/images/" in asked.path])


async def test_picture_is_uploaded_once_and_what_is_there_stays(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.add_picture("1", png(64, 64))
    theirs = {"url": prestashop.address(1), "alt": ""}
    done = await put(prestashop, ours(prestashop, "new.png"), theirs, expected=[theirs])
    added = {"url": prestashop.address(2), "alt": ""}
    assert (done.outcome, done.fields["images"], uploads(prestashop)) == ("ok", [added, theirs], 1)
    again = await put(prestashop, added, theirs, expected=[theirs, added])
    assert (again.outcome, uploads(prestashop)) == ("unchanged", 1)
    assert [each["url"] for each in prestashop.product("1")[0]["images"]] == [theirs["url"], added["url"]]


@pytest.mark.parametrize("after", range(1, 12))
async def test_picture_whose_answer_was_lost_is_uploaded_once(prestashop: PrestaShop, after: int) -> None:
    prestashop.put_product(*product(1))
    prestashop.loses_after = after
    wanted = [ours(prestashop, "front.png"), ours(prestashop, "backside.png")]
    for tried in range(3):
        done = await put(prestashop, *wanted, expected=[], is_repeat=tried > 0)
    assert done.outcome in ("ok", "unchanged")
    assert len(prestashop.product("1")[0]["images"]) == 2


async def test_picture_that_the_merchant_added_is_not_ours(prestashop: PrestaShop) -> None:
    """At a first try nothing of ours was lost; later what was known, or is older than that, is still nobody's loss."""
    prestashop.put_product(*product(1))
    for _ in range(2):
        prestashop.add_picture("1", png(len("new.png"), 64))
    theirs = [{"url": prestashop.address(each), "alt": ""} for each in (1, 2)]
    done = await put(prestashop, ours(prestashop, "new.png"), expected=[], is_repeat=False)
    assert (done.fields["images"], uploads(prestashop)) == ([{"url": prestashop.address(3), "alt": ""}, *theirs], 1)
    again = await put(prestashop, ours(prestashop, "new.png"), expected=theirs[1:], is_repeat=True)
    assert (again.fields["images"][0]["url"], uploads(prestashop)) == (prestashop.address(3), 1)


async def test_picture_of_the_same_size_is_not_ours_where_nobody_missed_it(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.add_picture("1", png(len("new.png"), 64))
    done = await put(prestashop, ours(prestashop, "new.png"))
    assert (done.outcome, uploads(prestashop), len(done.fields["images"])) == ("ok", 1, 2)


async def test_picture_that_can_not_be_fetched_is_for_a_person(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    for url in (f"{prestashop.settings['url']}/nowhere.png", "ftp://quay/a.png", f"{prestashop.settings['url']}/api/x"):
        done = await put(prestashop, {"url": url, "alt": ""})
        assert (done.outcome, bool(done.message), uploads(prestashop)) == ("person", True, 0), url


async def test_one_picture_is_taken_away(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    for _ in range(2):
        prestashop.add_picture("1", png(64, 64))
    async with session_with(prestashop) as session:
        done = await session.take_image("1", prestashop.address(1))
        again = await session.take_image("1", prestashop.address(1))
        strange = await session.take_image("1", "https://elsewhere.example/a.png")
    assert [each.outcome for each in (done, again, strange)] == ["ok", "unchanged", "person"]
    assert [each["url"] for each in prestashop.product("1")[0]["images"]] == [prestashop.address(2)]
    deleted = [asked.path for asked in prestashop.requests if asked.method == "DELETE"]
    assert deleted == ["/api/images/products/1/1"] * 2


async def test_key_that_may_take_nothing_away_is_told(prestashop: PrestaShop) -> None:
    prestashop.put_product(*product(1))
    prestashop.add_picture("1", png(64, 64))
    prestashop.forbidden.add("DELETE images")
    async with session_with(prestashop) as session:
        done = await session.take_image("1", prestashop.address(1))
        prestashop.faults.expired = True
        with pytest.raises(CredentialsRefused):
            await session.take_image("1", prestashop.address(1))
    assert done.outcome == "person"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png(640, 480), (640, 480)),
        (b"GIF89a" + (3).to_bytes(2, "little") + (5).to_bytes(2, "little"), (3, 5)),
        (b"\xff\xd8\xff\xe0\x00\x04AB\xff\xc0\x00\x11\x08\x00\x10\x00\x20\x03", (32, 16)),
        (b"RIFF\x00\x00\x00\x00WEBPVP8X" + b"\x00" * 8 + b"\x1f\x00\x00\x0f\x00\x00", (32, 16)),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"\x00" * 10 + b"\x20\x00\x10\x00", (32, 16)),
        (b"\xff\xd8\xff", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_size_is_read_from_the_first_bytes(content: bytes, size: tuple[int, int] | None) -> None:
    assert dimensions(content) == size


def test_address_of_a_picture_has_its_id() -> None:
    assert image("https://shop", "125") == {"url": "https://shop/img/p/1/2/5/125.jpg", "alt": ""}
    assert image_id("https://shop/img/p/1/2/5/125.jpg") == "125"
    for url in ("https://shop/img/p/1/2/125.jpg", "https://shop/a.png", "", "https://shop/125-home/scarf.jpg"):
        assert image_id(url) == ""
