"""What a connection has of products for itself goes to its platform alone, and what changes there comes back to it."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product
from tests.services.sync.test_creating import change, configure, made_there, sell
from tests.services.sync.test_images import removals

pytestmark = pytest.mark.feature("CAT-4", "SYN-6", "SYN-7")

Two = tuple[Connected, Connected]
NAMES = ("title", "description_html", "seo_title", "images", "variant.list_price", "variant.weight_grams")
OURS = {name: {"policy": "ours"} for name in NAMES}
BOTH = {name: {"policy": "both", "conflict": "remote_wins"} for name in (*NAMES, "brand")}


@pytest.fixture
async def two(connected: Connected, fake: CustomShop) -> AsyncIterator[Two]:
    """Connections of one shop to two platforms that have the same two products, both live."""
    other_fake = CustomShop()
    await other_fake.start()
    other = copy.copy(connected)
    other.fake = other_fake
    other.connection = await connected.post("/v1/connections", other.draft() | {"name": "Second"}, status=201)
    other.id = other.connection["id"]
    await other.keep_clock_from_feeds(other.id)
    feeds = (await connected.get(f"/v1/feeds?connection_id={other.id}"))["items"]
    other.feeds = {feed["kind"]: feed for feed in feeds}
    for each in (connected, other):
        put(each)
        each.fake.put_stock("SCARF-1", "main", 0)
        await configure(each, locations={"main": "main"})
        await each.confirm_matches()
        await each.run("import_products")
        await each.run("import_stock")
        await each.run("update_products")
        await each.run("import_images")
        await each.go_live()
    yield connected, other
    await other_fake.stop()


def put(connected: Connected, **fields: Any) -> None:
    """The one product of a platform, which has every field that may differ."""
    own = {"seo_title": "Scarves", **{name: value for name, value in fields.items() if name != "variant"}}
    external_id, said, variants = product(1, **own)
    variants["10"] |= {"weight_grams": 180, **fields.get("variant", {})}
    connected.fake.put_product(external_id, said, variants)


async def product_id(connected: Connected) -> str:
    found: str = (await connected.products())["scarf-1"]["id"]
    return found


async def path(connected: Connected) -> str:
    return f"/v1/products/{await product_id(connected)}/channel-content/connections/{connected.id}"


async def own(connected: Connected, **values: Any) -> dict[str, Any]:
    """Give a connection values of its own, and wait until sync has heard of it."""
    answer = await connected.client.patch(await path(connected), json=values, headers=connected.headers)
    assert answer.status_code == 200, answer.text
    await connected.heard_all()
    found: dict[str, Any] = answer.json()
    return found


async def content(connected: Connected) -> dict[str, Any]:
    found: dict[str, Any] = await connected.get(await path(connected))
    return found


async def sent(*all_of: Connected) -> list[int]:
    """All send what is theirs to get. Returns how many writes changed something on each platform."""
    counts = []
    for each in all_of:
        each.fake.writes.clear()
        done = await each.run("export_products")
        assert done["state"] == "succeeded", (done, await each.issues())
        counts.append(len([write for write in each.fake.writes if write.has_changed]))
    return counts


def there(connected: Connected) -> dict[str, Any]:
    """The product on a platform, with its one variant's fields."""
    fields, variants = connected.fake.product("1")
    return {**variants["10"], **fields}


async def all_quiet(*all_of: Connected) -> None:
    """Every feed runs once more, and has nothing to do."""
    for each in all_of:
        for kind in ("import_products", "update_products", "import_images"):
            done = await each.run(kind)
            assert done["counters"].get("applied", 0) == 0, (kind, done)
    await all_of[0].heard_all()
    assert await sent(*all_of) == [0] * len(all_of)
    for each in all_of:
        assert await each.changes(state="queued") == []


async def test_what_one_connection_has_for_itself_goes_there_and_nowhere_else(two: Two) -> None:
    first, second = two
    for each in two:
        await configure(each, fields=OURS)
    before = there(second)
    picture = {"url": f"{first.fake.settings['url']}/pictures/own.png", "alt": "Own"}
    leaf = {"sku": "SCARF-1", "list_price": {"amount": 2999, "currency": "EUR"}, "weight_grams": 222}
    await own(first, title="Only here", seo_title="Own scarves", images=[picture], variants=[leaf])
    assert await sent(first, second) == [2, 0]
    shown = there(first)
    assert (shown["title"], shown["seo_title"], shown["weight_grams"]) == ("Only here", "Own scarves", 222)
    assert (shown["list_price"], [each["alt"] for each in shown["images"]]) == (leaf["list_price"], ["Own"])
    assert shown["price"] == before["price"]
    assert there(second) == before
    await all_quiet(first, second)

    # The master changes: the second gets it, the first keeps what is its own.
    await change(first, await product_id(first), title="The master's", description_html="<p>New.</p>")
    assert await sent(first, second) == [1, 1]
    assert (there(first)["title"], there(first)["description_html"]) == ("Only here", "<p>New.</p>")
    assert there(second)["title"] == "The master's"

    # What the shop has stands between: for the second, and not for the first.
    of_shop = f"/v1/products/{await product_id(first)}/channel-content/main"
    answer = await first.client.patch(of_shop, json={"title": "The shop's"}, headers=first.headers)
    assert answer.status_code == 200
    await first.heard_all()
    assert await sent(first, second) == [0, 1]
    assert [there(each)["title"] for each in two] == ["Only here", "The shop's"]

    answer = await first.client.delete(await path(first), headers=first.headers)
    assert answer.status_code == 200, answer.text
    await first.heard_all()
    assert await sent(first, second) == [2, 0]
    shown = there(first)
    assert (shown["title"], shown["seo_title"], shown["weight_grams"]) == ("The shop's", "Scarves", 180)
    assert shown["list_price"] is None
    # Its own picture is taken away when a person has said so.
    assert [each["before"]["url"] for each in await removals(first)] == [shown["images"][0]["url"]]
    await all_quiet(first, second)


async def test_a_price_of_its_own_goes_out_by_the_connections_rule(two: Two) -> None:
    first, second = two
    for each in two:
        await configure(each, fields=OURS, price={"margin_percent": "10"})
    await sent(first, second)
    await own(first, variants=[{"sku": "SCARF-1", "list_price": {"amount": 3000, "currency": "EUR"}}])
    assert await sent(first, second) == [1, 0]
    assert [there(each)["list_price"] for each in two] == [{"amount": 3300, "currency": "EUR"}, None]


async def test_what_is_its_own_and_equals_what_another_platform_has_is_sent_all_the_same(two: Two) -> None:
    """It came by no other connection: somebody gave it to this one."""
    first, second = two
    await configure(second, fields={"title": {"policy": "both"}})
    await configure(first, fields=OURS)
    put(second, title="As over there")
    await second.run("update_products")
    await first.heard_all()
    assert await sent(first, second) == [0, 0], "nobody passes it on"
    await own(first, title="As over there")
    assert await sent(first, second) == [1, 0]
    assert there(first)["title"] == "As over there"


async def test_what_is_made_there_is_made_as_the_connection_shows_it(two: Two) -> None:
    first, _ = two
    gifts = await first.post("/v1/categories", {"name": "Gifts", "slug": "gifts"}, status=201)
    await first.post(f"/v1/categories/{gifts['id']}/assign", {"shops": ["main"]})
    ours = await sell(first)
    body = {
        "title": "Mitten for them",
        "category_ids": [gifts["id"]],
        "variants": [{"sku": "MITTEN-S", "weight_grams": 90}],
    }
    of_first = f"/v1/products/{ours['id']}/channel-content/connections/{first.id}"
    answer = await first.client.patch(of_first, json=body, headers=first.headers)
    assert answer.status_code == 200, answer.text
    for each in two:
        await configure(each, create_products=True)
    await first.heard_all()
    for each in two:
        await each.run("export_products")
    made = []
    for each in two:
        (external_id,) = made_there(each.fake)
        fields, variants = each.fake.product(external_id)
        weights = {variant["sku"]: variant.get("weight_grams") for variant in variants.values()}
        made.append((fields["title"], fields["categories"], weights["MITTEN-S"]))
    assert made == [("Mitten for them", [["Gifts"]], 90), ("Mitten", [["Warm"]], 80)]


@pytest.mark.parametrize("policy", ["remote", "both"])
async def test_what_changes_there_in_a_field_of_its_own_becomes_its_own_and_not_the_products(
    two: Two, policy: str
) -> None:
    first, second = two
    for each in two:
        await configure(each, fields=BOTH if policy == "both" else {})
    leaf = {"sku": "SCARF-1", "list_price": {"amount": 2999, "currency": "EUR"}, "weight_grams": 222}
    await own(first, title="Own", seo_title="Own too", images=[], variants=[leaf])
    await sent(first, second)
    ours = await product_id(first)
    master = await first.get(f"/v1/products/{ours}")
    picture = {"url": f"{first.fake.settings['url']}/pictures/theirs.png", "alt": "Theirs"}
    changed = {"weight_grams": 333, "list_price": {"amount": 3999, "currency": "EUR"}}
    put(first, title="Theirs", seo_title="", brand="Their brand", images=[picture], variant=changed)
    assert (await first.run("update_products"))["counters"]["failed"] == 0, await first.issues()
    assert (await first.run("import_images"))["counters"]["failed"] == 0, await first.issues()
    await first.heard_all()

    now = await content(first)
    assert (now["title"]["channel"], now["seo_title"]["channel"]) == ("Theirs", None)
    assert [now[name]["owner"] for name in ("title", "seo_title", "images")] == ["channel"] * 3
    assert [(each["url"], each["alt"]) for each in now["images"]["channel"]] == [(picture["url"], "Theirs")]
    of_variant = now["variants"][0]
    assert (of_variant["weight_grams"]["channel"], of_variant["list_price"]["channel"]["amount"]) == (333, 3999)
    after = await first.get(f"/v1/products/{ours}")
    assert [after[name] for name in ("title", "seo_title", "images")] == [
        master[name] for name in ("title", "seo_title", "images")
    ]
    assert after["variants"][0]["weight_grams"] == 180
    assert after["brand"] == "Their brand", "what the connection does not own is the product's, as ever"
    assert (await content(second))["title"]["value"] == "Scarf 1"
    await sent(first, second)
    assert there(second)["title"] == "Scarf 1"
    await all_quiet(first, second)
    history = await first.get(f"/v1/products/{ours}/history?field=title")
    newest = history["items"][0]
    assert (newest["part"], newest["cause"], newest["fields"]) == (
        "channel_content",
        "import",
        [{"field": "title", "before": "Own", "after": "Theirs"}],
    )


async def test_a_field_that_was_handed_back_is_the_products_again_when_it_changes_there(two: Two) -> None:
    first, second = two
    await configure(first, fields=BOTH)
    # Or the product's title would be the second's, which nobody passes on.
    await configure(second, fields=OURS)
    await own(first, title="Own")
    await sent(first)
    hand_over = f"{await path(first)}/hand-over"
    await first.post(hand_over, {"fields": ["title"], "to": "master"})
    await first.heard_all()
    assert await sent(first) == [1]
    assert there(first)["title"] == "Scarf 1"
    put(first, title="Theirs")
    await first.run("update_products")
    now = await content(first)
    assert (now["title"]["value"], now["title"]["channel"], now["title"]["master"]) == ("Theirs", "Own", "Theirs")


async def test_of_a_conflict_that_a_person_decides_for_them_the_connection_gets_the_value(two: Two) -> None:
    first, _ = two
    await configure(first, fields={"title": {"policy": "both"}})
    await own(first, title="Ours")
    put(first, title="Theirs")
    await first.run("update_products")
    await first.run("export_products")
    (theirs,) = [each for each in await first.changes(state="conflict") if each["direction"] == "in"]
    await first.post("/v1/changes/approve", {"change_ids": [theirs["id"]]})
    await first.run("update_products")
    await first.heard_all()
    now = await content(first)
    assert (now["title"]["channel"], now["title"]["master"]) == ("Theirs", "Scarf 1")
    await all_quiet(first)


@pytest.mark.feature("SYN-16")
async def test_what_a_connection_has_goes_with_it_and_the_products_stay(two: Two) -> None:
    first, second = two
    await own(first, title="Only here")
    await own(second, title="Only there")
    preview = await first.get(f"/v1/connections/{first.id}/deletion-preview")
    assert preview["counts"]["channel_contents"] == 1

    async def deleted() -> bool:
        answer = await first.client.delete(f"/v1/connections/{first.id}", headers=first.headers)
        return answer.status_code == 204

    await eventually(deleted, 30)
    await second.heard_all()
    listed = (await second.get("/v1/channel-content"))["items"]
    assert [each["connection_id"] for each in listed] == [second.id]
    gone = await first.client.get(await path(first), headers=first.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "connection_not_found")
    assert (await second.products())["scarf-1"]["title"] == "Scarf 1"
    history = await second.get(f"/v1/products/{await product_id(second)}/history?field=title")
    assert [each["key"]["channel_id"] for each in history["items"] if each["what"] == "removed"] == [first.id]


async def test_a_connection_that_was_made_this_moment_has_content_before_anybody_heard_of_it(
    connected: Connected,
) -> None:
    """Its announcement waits; whoever names it is answered all the same."""
    put(connected)
    await connected.confirm_matches()
    await connected.run("import_products")
    ours = await product_id(connected)
    connected.fake = CustomShop()
    await connected.fake.start()
    made = await connected.post("/v1/connections", connected.draft() | {"name": "Young"}, status=201)
    at = f"/v1/products/{ours}/channel-content/connections/{made['id']}"
    answer = await connected.client.patch(at, json={"title": "Own"}, headers=connected.headers)
    await connected.fake.stop()
    assert (answer.status_code, answer.json()["version"]) == (200, 1), answer.text


@pytest.mark.feature("CAT-4", "SYN-6")
async def test_what_changes_there_in_a_field_of_the_shops_is_the_products_and_what_the_shop_shows_goes_back(
    two: Two,
) -> None:
    """The platform shows what the shop has for itself, which no platform's change erases."""
    first, _ = two
    await configure(first, fields=BOTH)
    ours = await product_id(first)
    answer = await first.client.patch(
        f"/v1/products/{ours}/channel-content/main", json={"title": "The shop's"}, headers=first.headers
    )
    assert answer.status_code == 200, answer.text
    await first.heard_all()
    await sent(first)
    assert there(first)["title"] == "The shop's"
    put(first, title="Theirs")
    await first.run("update_products")
    await first.heard_all()
    now = await content(first)
    assert (now["title"]["value"], now["title"]["master"]) == ("The shop's", "Theirs")
    assert await sent(first) == [1]
    assert there(first)["title"] == "The shop's"
    await all_quiet(first)
