"""What a connection has of products for itself, below what its shop has; and that neither erases the other (CAT-4)."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.catalog.use_cases import channel_content as use_case
from shared.bus.envelope import envelope_for
from shared.contracts.accounts.shapes import Shop
from shared.contracts.catalog.channel_content import ChannelContentChange, OfChannel
from shared.contracts.catalog.messages import GetOfferParts
from shared.contracts.catalog.offers import OfferParts, ProductPart
from shared.contracts.sync.events import ConnectionChanged, ConnectionRemoved
from shared.contracts.sync.shapes import ConnectionIdentity
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.catalog import csv_file, shopify_row
from tests.services.catalog.test_channel_content import LEAF, PAGE, Keeper, keeper, shown
from tests.waiting import until

pytestmark = pytest.mark.feature("CAT-4")

__all__ = ["keeper"]


class Connected(Keeper):
    """The keeper of a product in the shop `main`, with two connections of it that the catalog has heard of."""

    here: UUID
    there: UUID

    async def hear_of(self, shop: Shop, name: str, **fields: Any) -> UUID:
        identity = {"id": new_id(), "shop_id": shop.id, "name": name, "version": 1, **fields}
        await self.catalog.hear(ConnectionChanged(connection=ConnectionIdentity(**identity)))
        known: UUID = identity["id"]
        return known

    def at(self, connection_id: UUID, more: str = "") -> str:
        return f"products/{self.product['id']}/channel-content/connections/{connection_id}{more}"

    async def seen(self, connection_id: UUID) -> dict[str, Any]:
        return await self.ask("GET", self.at(connection_id), 200)

    async def give(self, connection_id: UUID, **values: Any) -> dict[str, Any]:
        return await self.ask("PATCH", self.at(connection_id), 200, json=values)

    async def hand_to(self, to: str, *fields: str, at: UUID) -> dict[str, Any]:
        return await self.ask("POST", self.at(at, "/hand-over"), 200, json={"fields": fields, "to": to})

    async def offer(self, connection_id: UUID | None) -> OfferParts:
        asked = GetOfferParts(shop_id=self.main.id, product_ids=[self.product["id"]], connection_id=connection_id)
        parts: OfferParts = await self.catalog.ask(asked, as_service="sync")
        return parts

    async def shows(self, connection_id: UUID | None) -> ProductPart:
        return (await self.offer(connection_id)).products[0]


@pytest.fixture
async def connected(keeper: Keeper) -> Connected:
    keeper.__class__ = Connected
    assert isinstance(keeper, Connected)
    keeper.here = await keeper.hear_of(keeper.main, "Here")
    keeper.there = await keeper.hear_of(keeper.main, "There")
    return keeper


async def test_what_one_connection_has_nobody_else_shows(connected: Connected) -> None:
    other = await connected.ask("POST", "categories", 201, json={"name": "Gifts", "shops": ["main"]})
    content = await connected.give(connected.here, **PAGE, category_ids=[other["id"]], variants=[LEAF])
    assert (content["version"], connected.headers["etag"]) == (1, '"1"')
    assert (content["shop"], content["connection_id"]) == ("main", str(connected.here))
    for name, value in {**PAGE, "category_ids": [other["id"]], **LEAF}.items():
        if name != "sku":
            assert shown(content, name) == ("channel", "channel", value), name
    assert content == await connected.seen(connected.here)
    part = await connected.shows(connected.here)
    assert (part.title, part.images[0].url, [each.slug for each in part.categories]) == (
        "Our mug",
        "https://images.example/ours.jpg",
        ["gifts"],
    )
    assert part.variants[0].weight_grams == 410
    assert part.variants[0].tiers[0].list_price is not None
    assert part.variants[0].tiers[0].list_price.amount == 1900
    for shows in (await connected.shows(connected.there), await connected.shows(None), await connected.part()):
        assert (shows.title, shows.variants[0].weight_grams) == ("Mug", 300)
    assert shown(await connected.read(), "title") == ("master", "master", "Mug")
    events = await connected.catalog.events("channel_content_changed")
    assert [(event["connection_id"], event["shop_id"]) for event in events] == [(str(connected.here), None)]


async def test_a_connection_shows_its_own_then_its_shops_then_the_products(connected: Connected) -> None:
    assert shown(await connected.seen(connected.here), "title") == ("parent", "master", "Mug")
    await connected.own(title="The shop's", seo_title="Of the shop")
    assert shown(await connected.seen(connected.here), "title") == ("parent", "parent", "The shop's")
    assert (await connected.shows(connected.here)).title == "The shop's"
    await connected.give(connected.here, title="The connection's")
    content = await connected.seen(connected.here)
    assert shown(content, "title") == ("channel", "channel", "The connection's")
    assert shown(content, "seo_title") == ("parent", "parent", "Of the shop")
    assert (await connected.shows(connected.there)).title == "The shop's"
    assert shown(await connected.hand_to("master", "title", at=connected.here), "title")[1:] == ("master", "Mug")
    back = await connected.hand_to("parent", "title", at=connected.here)
    assert (shown(back, "title"), back["title"]["channel"]) == (
        ("parent", "parent", "The shop's"),
        "The connection's",
    )
    owned = (await connected.offer(connected.here)).owned
    assert owned == []
    await connected.hand_to("channel", "title", "weight_grams", at=connected.here)
    owned = (await connected.offer(connected.here)).owned
    assert [(each.sku, each.fields) for each in owned] == [(None, ["title"]), ("MUG", ["weight_grams"])]


async def test_what_is_removed_goes_back_to_what_is_below_and_its_version_goes_on(connected: Connected) -> None:
    await connected.own(title="The shop's")
    await connected.give(connected.here, title="Own", category_ids=[], variants=[LEAF])
    stale = {"headers": {"If-Match": '"0"'}}
    code = await connected.code("DELETE", connected.at(connected.here), 412, **stale)
    assert code == "channel_content_changed_since"
    removed = await connected.ask("DELETE", connected.at(connected.here), 200, headers={"If-Match": '"1"'})
    assert (removed["version"], shown(removed, "title")) == (2, ("parent", "parent", "The shop's"))
    assert (removed["title"]["channel"], removed["variants"][0]["weight_grams"]["channel"]) == (None, None)
    assert shown(removed, "category_ids") == ("parent", "master", [connected.category["id"]])
    listed = await connected.ask("GET", f"channel-content?connection_id={connected.here}", 200)
    assert listed["items"] == []
    again = await connected.ask("DELETE", connected.at(connected.here), 200)
    assert again["version"] == 2, "nothing is left to be forgotten"
    # Whoever has read version 1 does not take what comes now for it.
    assert (await connected.give(connected.here, title="Later"))["version"] == 3
    assert (await connected.ask("DELETE", connected.path, 200))["title"]["shown"] == "master"
    told = [row["action"] for row in await connected.catalog.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert told.count("channel_content.remove") == 2


async def test_of_two_writers_at_once_one_has_read_an_older_version(connected: Connected) -> None:
    await asyncio.gather(
        connected.give(connected.here, title="A"),
        connected.give(connected.here, seo_title="B"),
        connected.give(connected.there, title="C"),
        connected.own(title="D"),
        connected.master(title="E"),
    )
    assert (await connected.seen(connected.here))["version"] == 2
    assert shown(await connected.seen(connected.here), "title")[2] == "A"
    assert shown(await connected.seen(connected.there), "title")[2] == "C"

    async def write(title: str) -> int:
        headers = {**connected.client.speaking_as(connected.caller), "If-Match": '"2"'}
        path = f"/v1/{connected.at(connected.here)}"
        return (await connected.client.patch(path, json={"title": title}, headers=headers)).status_code

    assert sorted(await asyncio.gather(*(write(f"Writer {n}") for n in range(3)))) == [200, 412, 412]


async def test_a_connection_that_is_nobodys_somebody_elses_or_gone_has_no_content(
    connected: Connected, client: Client, process: topology.Surrounded
) -> None:
    path = connected.at(uuid4())
    for method, what in (("GET", None), ("PATCH", {"title": "X"}), ("DELETE", None)):
        code = await connected.code(method, path, 404, **({"json": what} if what else {}))
        assert code == "connection_not_found"
    body = {"fields": ["title"], "to": "channel"}
    assert await connected.code("POST", f"{path}/hand-over", 404, json=body) == "connection_not_found"
    stranger = client.speaking_as(caller_of(new_id(), "catalog:write"))
    theirs = f"/v1/channel-content?connection_id={connected.here}"
    assert (await client.get(theirs, headers=stranger)).status_code == 404
    many = {"connection_id": str(connected.here), "changes": [{"product_id": connected.product["id"], "title": "X"}]}
    assert (await client.patch("/v1/channel-content", json=many, headers=stranger)).status_code == 404
    await connected.give(connected.here, title="Own")
    await connected.catalog.hear(ConnectionRemoved(connection_id=connected.here))
    assert await connected.code("GET", connected.at(connected.here), 404) == "connection_not_found"
    assert (await connected.ask("GET", "channel-content", 200))["items"] == []
    both = {"shop": "main", **many}
    assert await connected.code("PATCH", "channel-content", 422, json=both) == "validation_failed"
    del many["connection_id"]
    assert await connected.code("PATCH", "channel-content", 422, json=many) == "validation_failed"


@pytest.mark.feature("ACC-3")
async def test_a_client_of_one_shop_neither_reads_nor_writes_what_anothers_connections_have(
    connected: Connected,
) -> None:
    of_sub = await connected.hear_of(connected.sub, "Of the sub-shop")
    await connected.give(connected.here, title="Of main")
    await connected.give(of_sub, title="Of sub")
    connected.caller = caller_of(connected.catalog.organization_id, "catalog:write", shop_ids=[connected.sub.id])
    assert await connected.code("GET", connected.at(connected.here), 404) == "connection_not_found"
    assert await connected.code("PATCH", connected.at(connected.here), 404, json={"title": "X"}) == (
        "connection_not_found"
    )
    assert shown(await connected.seen(of_sub), "title") == ("channel", "channel", "Of sub")
    listed = (await connected.ask("GET", "channel-content", 200))["items"]
    assert [(each["shop"], each["connection_id"]) for each in listed] == [("sub", str(of_sub))]
    history = await connected.ask("GET", f"products/{connected.product['id']}/history?field=title", 200)
    told = {each["key"]["channel_id"] for each in history["items"] if each["part"] == "channel_content"}
    assert told == {str(of_sub)}


async def test_many_products_are_changed_and_handed_over_for_a_connection(connected: Connected) -> None:
    await connected.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(3)]), shop="main")
    ids = [each["id"] for each in (await connected.ask("GET", "products", 200))["items"]]
    of_here = {"connection_id": str(connected.here)}
    changes = [{"product_id": id_, "title": f"Title {id_}"} for id_ in ids]
    done = await connected.ask("PATCH", "channel-content", 200, json={**of_here, "changes": changes})
    assert done == {"changed": 4, "unchanged": 0}
    seen, after = [], ""
    while after is not None:
        query = f"channel-content?first=3{f'&after={after}' if after else ''}"
        page = await connected.ask("GET", query, 200)
        seen += [(each["connection_id"], each["product_id"], each["product_fields"]) for each in page["items"]]
        after = page["next"]
    assert seen == [(str(connected.here), id_, ["title"]) for id_ in sorted(ids)]
    body = {**of_here, "fields": ["title"], "to": "parent", "category_id": connected.category["id"]}
    done = await connected.ask("POST", "channel-content/hand-over", 200, json=body)
    assert done["changed"] >= 1
    assert (await connected.shows(connected.here)).title == "Mug"


async def test_announcements_of_a_connection_may_come_late_twice_and_after_its_end(connected: Connected) -> None:
    identity = ConnectionIdentity(id=connected.here, shop_id=connected.main.id, name="Renamed", version=3)
    older = identity.model_copy(update={"name": "Older", "version": 2})
    for each in (identity, older, identity):
        await connected.catalog.hear(ConnectionChanged(connection=each))
    rows = await connected.catalog.rows("SELECT id, name FROM connections ORDER BY name")
    assert [row["name"] for row in rows] == ["Renamed", "There"]
    await connected.give(connected.here, title="Own")
    await connected.catalog.hear(ConnectionRemoved(connection_id=connected.here))
    await connected.catalog.hear(ConnectionChanged(connection=identity.model_copy(update={"version": 9})))
    assert await connected.code("GET", connected.at(connected.here), 404) == "connection_not_found"
    never_heard_of = ConnectionIdentity(id=new_id(), shop_id=connected.main.id, name="Never", version=1)
    await connected.catalog.hear(ConnectionRemoved(connection_id=never_heard_of.id))
    await connected.catalog.hear(ConnectionChanged(connection=never_heard_of))
    assert await connected.code("GET", connected.at(never_heard_of.id), 404) == "connection_not_found"


async def test_what_a_removed_connection_had_goes_in_portions_and_the_history_keeps_it(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_case, "_DROPPED_AT_ONCE", 2)
    await connected.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(4)]), shop="main")
    ids = [each["id"] for each in (await connected.ask("GET", "products", 200))["items"]]
    for channel in ({"connection_id": str(connected.here)}, {"connection_id": str(connected.there)}, {"shop": "main"}):
        changes = [{"product_id": id_, "title": "Own"} for id_ in ids]
        await connected.ask("PATCH", "channel-content", 200, json={**channel, "changes": changes})
    await connected.catalog.hear(ConnectionRemoved(connection_id=connected.here))
    left = "SELECT channel_id FROM channel_products ORDER BY channel_id"
    payload = {"connection_id": str(connected.here)}
    for _ in range(3):
        await connected.catalog.perform(use_case.DROP_CONTENT, payload)
    channels = [row["channel_id"] for row in await connected.catalog.rows(left)]
    assert sorted(channels) == sorted([*[connected.there] * 5, *[connected.main.id] * 5])
    history = await connected.ask("GET", f"products/{ids[0]}/history?field=title", 200)
    gone = next(each for each in history["items"] if each["what"] == "removed")
    assert (gone["part"], gone["key"]["channel_id"]) == ("channel_content", str(connected.here))
    assert {"field": "title", "before": "Own", "after": None} in gone["fields"]


async def test_what_is_written_while_a_connection_is_removed_goes_with_it(
    connected: Connected, process: topology.Surrounded
) -> None:
    """Whoever writes is waited for, and what he wrote is there when the content is dropped."""
    caller = envelope_for(connected.catalog.caller, timeout_seconds=60)
    uow = process.surroundings.unit_of_work("catalog", caller)
    named = OfChannel(connection_id=connected.here)
    await use_case.change(uow, UUID(connected.product["id"]), named, ChannelContentChange(title="Late"), None)
    removal = asyncio.create_task(connected.catalog.hear(ConnectionRemoved(connection_id=connected.here)))

    async def is_waiting() -> bool:
        locks = "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
        return bool(await connected.catalog.rows(locks))

    await until(is_waiting)
    assert not removal.done()
    await uow.commit()
    await removal
    await connected.catalog.perform(use_case.DROP_CONTENT, {"connection_id": str(connected.here)})
    assert await connected.catalog.rows("SELECT FROM channel_products") == []


@pytest.mark.feature("GAT-2")
async def test_graphql_reads_changes_and_removes_what_a_connection_has(connected: Connected) -> None:
    of = {"id": connected.product["id"], "at": str(connected.here)}
    query = "query($id: UUID!, $at: UUID!) { channelContent(productId: $id, connectionId: $at) { version shop } }"
    assert (await connected.graphql(query, **of))["channelContent"] == {"version": 0, "shop": "main"}
    change = (
        "mutation($id: UUID!, $at: UUID!) { done: changeChannelContent(productId: $id, connectionId: $at,"
        ' change: { title: "Own" }) { ... on ChannelContent { connectionId title { shown } } } }'
    )
    done = (await connected.graphql(change, **of))["done"]
    assert done == {"connectionId": str(connected.here), "title": {"shown": "CHANNEL"}}
    listed = "query($at: UUID!) { channelContents(connectionId: $at) { nodes { connectionId productFields } } }"
    nodes = (await connected.graphql(listed, at=of["at"]))["channelContents"]["nodes"]
    assert nodes == [{"connectionId": str(connected.here), "productFields": ["TITLE"]}]
    removal = (
        "mutation($id: UUID!, $at: UUID!, $version: Int) { done: removeChannelContent(productId: $id,"
        " connectionId: $at, version: $version)"
        " { ... on ChannelContent { version title { shown } } ... on Problem { code } } }"
    )
    assert (await connected.graphql(removal, **of, version=0))["done"] == {"code": "channel_content_changed_since"}
    assert (await connected.graphql(removal, **of, version=1))["done"] == {"version": 2, "title": {"shown": "MASTER"}}


# What may be written, by whom, in any order: (side, field), where a side is the master, the shop or a connection.
_WRITES = st.lists(
    st.tuples(st.sampled_from(["master", "main", "here", "there"]), st.sampled_from(["title", "seo_title"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_WRITES)
async def test_whoever_writes_writes_its_own_value_alone(connected: Connected, writes: list[tuple[str, str]]) -> None:
    """No write of the master, the shop or a connection changes what another of them has."""
    sides: dict[str, Any] = {"main": None, "here": connected.here, "there": connected.there}

    async def all_values() -> dict[str, dict[str, Any]]:
        contents = {
            side: await (connected.seen(at) if at is not None else connected.read()) for side, at in sides.items()
        }
        values = {
            side: {name: content[name]["channel"] for name in ("title", "seo_title")}
            for side, content in contents.items()
        }
        values["master"] = {name: contents["main"][name]["master"] for name in ("title", "seo_title")}
        return values

    expected = await all_values()
    for number, (side, name) in enumerate(writes):
        value = f"{side} {number}"
        if side == "master":
            await connected.master(**{name: value})
        elif side == "main":
            await connected.own(**{name: value})
        else:
            await connected.give(sides[side], **{name: value})
        expected[side][name] = value
        assert await all_values() == expected
