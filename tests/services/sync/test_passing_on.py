"""What comes in by one connection goes on to others only where it says so: three connections with the same goods."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products
from tests.services.sync.test_creating import category, change
from tests.services.sync.test_doors import graphql

pytestmark = pytest.mark.feature("SYN-6", "SYN-7")

Three = tuple[Connected, Connected, Connected]


@pytest.fixture
async def three(connected: Connected, fake: CustomShop) -> AsyncIterator[Three]:
    """Connections of one shop to three platforms that have the same two products, all live."""
    fakes = [fake, CustomShop(), CustomShop()]
    for each in fakes[1:]:
        await each.start()
    all_three = [connected]
    for name, each in zip(("Second", "Third"), fakes[1:], strict=True):
        other = copy.copy(connected)
        other.fake = each
        other.connection = await connected.post("/v1/connections", other.draft() | {"name": name}, status=201)
        other.id = other.connection["id"]
        await other.keep_clock_from_feeds(other.id)
        feeds = (await connected.get(f"/v1/feeds?connection_id={other.id}"))["items"]
        other.feeds = {feed["kind"]: feed for feed in feeds}
        all_three.append(other)
    for each in all_three:
        put_products(each.fake, 2)
        each.fake.put_stock("SCARF-1", "main", 0)
        await configure(each, locations={"main": "main"})
        await each.confirm_matches()
        await each.run("import_products")
        await each.run("import_stock")
        await each.run("update_products")
        await each.go_live()
    first, second, third = all_three
    yield first, second, third
    for each in fakes[1:]:
        await each.stop()


async def configure(connected: Connected, **settings: Any) -> None:
    path = f"/v1/connections/{connected.id}"
    changed = await connected.client.patch(path, json={"settings": settings}, headers=connected.headers)
    assert changed.status_code == 200, changed.text


async def sell_there(connected: Connected, number: int, **fields: Any) -> None:
    """Something changes on a platform, and is fetched."""
    connected.fake.put_product(*product(number, **fields))
    await connected.run("import_products")
    await connected.run("update_products")
    await connected.heard_all()


async def sent(*all_of: Connected) -> list[int]:
    """All send what is theirs to get. Returns how many records were written on each platform."""
    counts = []
    for each in all_of:
        each.fake.writes.clear()
        done = await each.run("export_products")
        assert done["state"] == "succeeded", done
        counts.append(len([write for write in each.fake.writes if write.has_changed]))
    return counts


def title(connected: Connected, number: int = 1) -> str:
    return str(connected.fake.product(str(number))[0]["title"])


async def test_fields_go_on_to_whom_the_connection_they_came_by_passes_them_on(three: Three) -> None:
    first, second, third = three
    await configure(second, fields={"title": {"policy": "ours"}, "brand": {"policy": "ours"}})
    await configure(third, fields={"title": {"policy": "both"}})
    await sell_there(first, 1, title="From the first", brand="First")
    assert (await first.products())["scarf-1"]["title"] == "From the first"

    assert await sent(*three) == [0, 0, 0]
    assert [title(each) for each in three] == ["From the first", "Scarf 1", "Scarf 1"]

    # What a person says here is ours, and goes to all whose rules say so.
    await change(first, (await first.products())["scarf-2"]["id"], title="Said here")
    assert await sent(*three) == [0, 1, 1]
    assert [title(each, 2) for each in three] == ["Scarf 2", "Said here", "Said here"]

    await configure(first, passes_on=[{"connection_id": second.id, "fields": ["title"]}])
    assert await sent(*three) == [0, 1, 0]
    assert [title(each) for each in three] == ["From the first", "From the first", "Scarf 1"]
    assert second.fake.product("1")[0]["brand"] == "Skerry"

    # Seen again it is no change, and nobody hands it back.
    for each in three:
        await each.run("update_products")
    assert await sent(*three) == [0, 0, 0]
    await configure(first, passes_on=[{"shop": "main"}])
    assert await sent(*three) == [0, 1, 1]
    assert (title(third), second.fake.product("1")[0]["brand"]) == ("From the first", "First")


async def test_two_that_pass_on_to_each_other_come_to_rest(three: Three) -> None:
    first, second, third = three
    for each, other in ((first, second), (second, first)):
        await configure(each, fields={"title": {"policy": "both"}}, passes_on=[{"connection_id": other.id}])
    await configure(third, fields={"title": {"policy": "ours"}})
    second.fake.shortens = 12
    await sell_there(first, 1, title="Much too long for the second")
    for expected in ([0, 1, 0], [0, 0, 0]):
        assert await sent(*three) == expected
        for each in three:
            await each.run("update_products")
        await first.heard_all()
    assert [title(each) for each in three] == ["Much too long for the second", "Much too lon", "Scarf 1"]

    await sell_there(second, 1, title="Shorter")
    for expected in ([1, 0, 0], [0, 0, 0]):
        assert await sent(*three) == expected
        for each in three:
            await each.run("update_products")
        await first.heard_all()
    assert [title(each) for each in three] == ["Shorter", "Shorter", "Scarf 1"]


async def test_products_go_on_to_whom_the_connection_they_came_by_passes_them_on(three: Three) -> None:
    first, _, third = three
    sold = await category(first)
    for each in three:
        await configure(each, create_products=True)
    await configure(first, default_categories=["Warm"])
    await sell_there(first, 5, title="New at the first")
    ours = (await first.products())["scarf-5"]
    assert ours["status"] == "active"

    assert await sent(*three) == [0, 0, 0]
    assert [each.fake.product_ids() for each in three] == [["1", "2", "5"], ["1", "2"], ["1", "2"]]

    # One of ours is made on all of them.
    draft = {"title": "Ours", "category_ids": [sold], "variants": [{"sku": "OURS"}]}
    made = await first.post("/v1/products", draft, status=201)
    await first.post("/v1/prices/bulk", [{"shop": "main", "sku": "OURS", "price": 500}])
    await first.post(f"/v1/products/{made['id']}/publish")
    await first.heard_all()
    assert await sent(*three) == [1, 1, 1]

    await configure(first, passes_on=[{"connection_id": third.id, "fields": []}])
    await first.heard_all()
    assert await sent(*three) == [0, 0, 1]
    titles = [third.fake.product(each)[0]["title"] for each in third.fake.product_ids()]
    assert sorted(titles) == ["New at the first", "Ours", "Scarf 1", "Scarf 2"]
    for each in three:
        await each.run("import_products")
        await each.run("update_products")
    await first.heard_all()
    assert await sent(*three) == [0, 0, 0]
    assert len(await first.products()) == 4


async def test_whom_something_is_passed_on_to_is_there(connected: Connected) -> None:
    path = f"/v1/connections/{connected.id}"
    wrong = [{"connection_id": "00000000-0000-0000-0000-000000000007"}, {"shop": "nowhere"}]
    answer = await connected.client.patch(path, json={"settings": {"passes_on": wrong}}, headers=connected.headers)
    told = [(each["pointer"], each["code"]) for each in answer.json()["errors"]]
    expected = [("/settings/passes_on/0", "unknown_connection"), ("/settings/passes_on/1", "unknown_shop")]
    assert (answer.status_code, told) == (422, expected)
    for bad in ({}, {"shop": "main", "connection_id": connected.id}, {"shop": "main", "fields": ["colour"]}):
        answer = await connected.client.patch(path, json={"settings": {"passes_on": [bad]}}, headers=connected.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    change = """mutation($id: UUID!) { changeConnection(connectionId: $id, change: {settings: {passesOn: [
        {shop: "main", products: false, fields: ["title"]}]}}) {
        ... on Connection { settings { passesOn { shop connectionId products fields } } } } }"""
    made = await graphql(connected.client, connected.caller, change, id=connected.id)
    assert made["changeConnection"]["settings"]["passesOn"] == [
        {"shop": "main", "connectionId": None, "products": False, "fields": ["title"]}
    ]
