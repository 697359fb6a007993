"""Pictures that go out to WooCommerce: fetched by the shop once, kept by id, taken away one by one (SYN-2, SYN-8)."""

from collections.abc import Callable
from typing import Any

import pytest

from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import product, session_with

pytestmark = pytest.mark.feature("SYN-2", "SYN-8")


def picture(woo: WooShop, name: str, alt: str = "") -> dict[str, str]:
    return {"url": f"{woo.settings['url']}/pictures/{name}", "alt": alt}


async def put(woo: WooShop, *images: dict[str, str]) -> Written:
    async with session_with(woo) as session:
        (written,) = await session.write_products([ProductWrite("k", "1", {"images": list(images)})])
    return written


def shown(woo: WooShop) -> list[dict[str, Any]]:
    return list(woo.product("1")[0]["images"])


async def test_picture_is_fetched_once_however_often_it_is_written(woo: WooShop) -> None:
    """Recorded: the same address again is fetched again, and makes another file."""
    woo.put_product(*product(1))
    written = await put(woo, picture(woo, "a.png", "Front"))
    assert (written.outcome, [each["alt"] for each in written.fields["images"]]) == ("ok", ["Front"])
    again = await put(woo, picture(woo, "a.png", "Front"))
    by_theirs = await put(woo, written.fields["images"][0])
    assert (again.outcome, by_theirs.outcome, len(woo.fetched)) == ("unchanged", "unchanged", 1)


async def test_list_is_written_with_all_that_is_there(woo: WooShop) -> None:
    """Recorded: what a list leaves out is no longer on the product."""
    theirs = {"url": "https://a.example/theirs.png", "alt": ""}
    woo.put_product(*product(1, images=[theirs]))
    await put(woo, picture(woo, "a.png"))
    urls = [each["url"] for each in shown(woo)]
    assert (len(urls), urls[1]) == (2, theirs["url"])
    assert woo.fetched == [picture(woo, "a.png")["url"]]


async def test_text_and_order_are_changed_without_fetching(woo: WooShop) -> None:
    woo.put_product(*product(1))
    await put(woo, picture(woo, "a.png"), picture(woo, "b.png"))
    await put(woo, picture(woo, "b.png", "Second"), picture(woo, "a.png"))
    assert ([each["alt"] for each in shown(woo)], len(woo.fetched)) == (["Second", ""], 2)


async def test_picture_that_is_not_there_is_for_a_person_and_changes_nothing(woo: WooShop) -> None:
    woo.put_product(*product(1, images=[{"url": "https://a.example/theirs.png", "alt": ""}]))
    written = await put(woo, {"url": f"{woo.settings['url']}/no-such.png", "alt": ""})
    assert (written.outcome, len(shown(woo))) == ("person", 1)
    written = await put(woo, {"url": "file:///etc/passwd", "alt": ""})
    assert written.outcome == "person"
    written = await put(woo, {**picture(woo, "no-such-there.png"), "hash": "b" * 64})
    assert (written.outcome, "Error getting remote image" in str(written.message)) == ("person", True)


async def test_one_picture_is_taken_away_and_the_others_stay(woo: WooShop) -> None:
    woo.put_product(*product(1, images=[{"url": f"https://a.example/{name}.png", "alt": ""} for name in "abc"]))
    async with session_with(woo) as session:
        first = await session.take_image("1", "https://a.example/b.png")
        again = await session.take_image("1", "https://a.example/b.png")
    assert (first.outcome, again.outcome) == ("ok", "unchanged")
    assert [each["url"] for each in shown(woo)] == ["https://a.example/a.png", "https://a.example/c.png"]
    assert [each["url"] for each in first.fields["images"]] == [each["url"] for each in shown(woo)]
    assert {method for method, _, _, _ in woo.requests} == {"GET", "PUT"}


async def test_picture_whose_answer_was_lost_is_known_by_its_hash(woo: WooShop, lose: Callable[[int], None]) -> None:
    woo.put_product(*product(1))
    lose(6)
    first = await put(woo, picture(woo, "a.png"))
    again = await put(woo, picture(woo, "a.png"))
    assert (first.outcome, again.outcome) == ("retry", "unchanged")
    assert (len(woo.fetched), len(shown(woo))) == (1, 1)


async def test_refused_variant_does_not_keep_the_picture_away(woo: WooShop) -> None:
    for number in (1, 2):
        woo.put_product(*product(number))
    taken = VariantWrite("1", "SCARF-1", {"sku": "SCARF-2"})
    write = ProductWrite("k", "1", {"images": [picture(woo, "a.png")]}, variants=[taken])
    async with session_with(woo) as session:
        (written,) = await session.write_products([write])
    assert (written.outcome, written.parts[0].outcome, len(shown(woo))) == ("ok", "person", 1)
