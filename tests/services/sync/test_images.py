"""Pictures come in, go out once each, and are taken away one by one, after a person has said so."""

from typing import Any

import pytest

from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.fakes.shopify import ShopifyShop
from tests.platforms.conftest import product
from tests.services.sync.test_creating import change, configure
from tests.services.sync.test_orders_and_stock import set_up, try_again_now

pytestmark = pytest.mark.feature("SYN-2", "SYN-8")

OURS = {"images": {"policy": "ours"}}


def there(fake: CustomShop) -> list[str]:
    return [image["url"] for image in fake.product("1")[0]["images"]]


def put_images(fake: CustomShop, *urls: str, alt: str | None = None) -> None:
    _, fields, variants = product(1, images=[{"url": url, "alt": alt} for url in urls])
    fake.put_product("1", fields, variants)


async def set_images(connected: Connected, *urls: str, alt: str | None = None) -> None:
    ours = (await connected.products())["scarf-1"]
    await change(connected, ours["id"], images=[{"url": url, "alt": alt} for url in urls])


async def here(connected: Connected) -> list[str]:
    ours = (await connected.products())["scarf-1"]
    return [image["url"] for image in (await connected.get(f"/v1/products/{ours['id']}"))["images"]]


async def live(connected: Connected, fake: CustomShop, *urls: str) -> None:
    """A product whose pictures came from the platform, and are ours from now on."""
    await set_up(connected, fake, 1)
    put_images(fake, *urls)
    await connected.run("import_images")
    await configure(connected, fields=OURS)
    await connected.go_live()
    await connected.run("export_products")
    fake.writes.clear()


async def removals(connected: Connected, state: str = "review") -> list[dict[str, Any]]:
    return [each for each in await connected.changes(direction="out", state=state) if each["colour"] == "red"]


async def test_pictures_come_in_by_a_feed_of_their_own(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 1)
    put_images(fake, "https://images.example/a.png", "https://images.example/b.png", alt="A scarf")
    await connected.run("update_products")
    assert await here(connected) == []

    done = await connected.run("import_images")

    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 1), await connected.issues()
    assert await here(connected) == ["https://images.example/a.png", "https://images.example/b.png"]
    assert (await connected.run("import_images"))["counters"].get("applied", 0) == 0


@pytest.mark.parametrize("fault", [None, "lost"])
async def test_a_picture_of_ours_is_added_once_and_what_is_there_stays(
    connected: Connected, fake: CustomShop, fault: str | None
) -> None:
    await live(connected, fake, f"{fake.settings['url']}/pictures/a.png")
    _, fields, variants = fake.product("1")[0], *fake.product("1")
    own = f"{fake.settings['url']}/pictures/own.png"
    fake.put_product("1", fields | {"images": [*fields["images"], {"url": own, "alt": None}]}, variants)
    await connected.run("update_products")
    new = f"{fake.settings['url']}/pictures/new.png"
    await set_images(connected, new, f"{fake.settings['url']}/pictures/a.png")
    if fault:
        fake.faults.lost = 1
    await connected.run("export_products")
    await try_again_now(connected)
    await connected.run("export_products")

    assert there(fake) == [new, f"{fake.settings['url']}/pictures/a.png", own], await connected.issues()
    assert [write.has_changed for write in fake.writes].count(True) == 1
    assert await removals(connected) == []
    await connected.run("import_images")
    assert (await connected.run("export_products"))["counters"].get("sent", 0) == 0
    assert len(await here(connected)) == 2


async def test_a_picture_with_the_same_bytes_is_not_uploaded_again(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 1)
    address = f"{fake.settings['url']}/pictures"
    put_images(fake, f"{address}/a.png")
    await configure(connected, fields={"images": {"policy": "ignore"}})
    await connected.run("import_images")
    await configure(connected, fields=OURS)
    await connected.go_live()
    await set_images(connected, f"{address}/a-again.png")

    done = await connected.run("export_products")

    assert (done["counters"].get("unchanged"), fake.writes) == (1, []), await connected.changes(direction="out")
    assert sorted(fake.pictures_read) == ["a-again.png", "a.png"]
    # And it is known from now on.
    await set_images(connected, f"{address}/a-again.png", f"{address}/b.png")
    await connected.run("export_products")
    assert there(fake) == [f"{address}/a.png", f"{address}/b.png"]
    assert sorted(fake.pictures_read) == ["a-again.png", "a.png"]
    await set_images(connected, f"{address}/b.png")
    await connected.run("export_products")
    assert [each["field"] for each in await removals(connected)] == [f"image:{address}/a.png"]


async def test_a_picture_is_taken_away_after_a_person_approved_that_one(connected: Connected, fake: CustomShop) -> None:
    names = [f"https://images.example/{name}.png" for name in "abc"]
    await live(connected, fake, *names)
    await set_images(connected, names[0])
    await connected.run("export_products")
    first, second = sorted(await removals(connected), key=lambda each: str(each["field"]))
    assert (first["before"]["url"], first["after"], first["reason"]) == (names[1], None, "not_ours")
    assert (there(fake), fake.writes) == (names, [])

    both = {"change_ids": [first["id"], second["id"]]}
    refused = await connected.client.post("/v1/changes/approve", json=both, headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "one_removal_at_a_time")
    assert len(await removals(connected)) == 2
    await connected.post("/v1/changes/approve", {"change_ids": [first["id"]]})
    fake.faults.lost = 1
    execution = await connected.post(f"/v1/feeds/{connected.feeds['export_products']['id']}/run", {}, status=202)
    assert (await connected.ended(execution["id"]))["state"] == "succeeded", await connected.issues()

    assert there(fake) == [names[0], names[2]]
    assert [each["field"] for each in await connected.changes(direction="out", state="applied")] == [first["field"]]
    assert await removals(connected) == [second]
    await connected.run("import_images")
    assert await here(connected) == [names[0]]

    # One that is to stay is the platform's own from now on, and never proposed again.
    await connected.post("/v1/changes/cancel", {"change_ids": [second["id"]]})
    await set_images(connected, names[0], alt="Warm")
    await connected.run("export_products")
    assert (await removals(connected), there(fake)) == ([], [names[0], names[2]])
    assert fake.product("1")[0]["images"][0]["alt"] == "Warm"


async def test_a_picture_that_is_ours_again_is_no_longer_to_be_taken_away(
    connected: Connected, fake: CustomShop
) -> None:
    names = [f"https://images.example/{name}.png" for name in "ab"]
    await live(connected, fake, *names)
    await set_images(connected, names[0])
    await connected.run("export_products")
    assert len(await removals(connected)) == 1
    await set_images(connected, *names)
    await connected.run("export_products")
    assert (await removals(connected), fake.writes) == ([], [])


@pytest.mark.parametrize("fake", [ShopifyShop], indirect=True)
async def test_on_shopify_a_picture_is_known_by_the_address_it_was_given(
    connected: Connected, fake: ShopifyShop
) -> None:
    await set_up(connected, fake, 1)
    await connected.run("update_products")
    await configure(connected, fields=OURS)
    await connected.go_live()
    ours = f"{fake.url}/cdn/files/icon.png"
    await set_images(connected, ours, alt="A scarf")

    assert (await connected.run("export_products"))["counters"]["sent"] == 1, await connected.issues()
    (image,) = fake.product("1")[0]["images"]
    assert (image["alt"], image["url"] == ours) == ("A scarf", False)
    for kind in ("import_images", "update_products", "export_products"):
        done = await connected.run(kind)
        assert (done["counters"].get("applied", 0), done["counters"].get("sent", 0)) == (0, 0)
    assert await here(connected) == [ours]

    await set_images(connected)
    await connected.run("export_products")
    (removal,) = await removals(connected)
    assert (len(fake.product("1")[0]["images"]), removal["before"]["url"]) == (1, image["url"])
    await connected.post("/v1/changes/approve", {"change_ids": [removal["id"]]})
    await connected.run("export_products")
    assert fake.product("1")[0]["images"] == []
