"""What a shop has of products for itself, through both doors; and that nothing the other side does wipes it."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import asdict

from deploy import topology
from services.catalog.use_cases import channel_content as use_case
from shared.contracts.accounts.shapes import Shop
from shared.contracts.catalog.messages import GetOfferParts, ListProductIds, PriceLine, PriceLines
from shared.contracts.catalog.offers import LinePrice, ProductPart
from shared.contracts.catalog.shapes import OrderLimits
from shared.money import Money
from shared.unit_of_work import UnitOfWork
from tests.doors import Client, caller_of
from tests.factories.catalog import csv_file, shopify_row
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper

pytestmark = pytest.mark.feature("CAT-4")

PAGE = {
    "title": "Our mug",
    "description_html": "<p>Ours</p>",
    "content_html": "<p>A long story</p>",
    "seo_title": "Mugs of ours",
    "seo_description": "The best of mugs",
    "images": [{"url": "https://images.example/ours.jpg", "alt": "Ours", "alts": {}}],
}
LEAF = {
    "sku": "MUG",
    "list_price": {"amount": 1900, "currency": "USD"},
    "weight_grams": 410,
    "length_mm": 120,
    "width_mm": 90,
    "height_mm": 95,
    "backorder": "deny",
    "order_limits": {"minimum": 2, "maximum": 10, "step": 2},
}


class Keeper(Shopkeeper):
    """The administrator of an organization with the shop `main`, its sub-shop `sub`, and one product, `mug`."""

    main: Shop
    sub: Shop
    product: dict[str, Any]
    category: dict[str, Any]

    @property
    def path(self) -> str:
        return f"products/{self.product['id']}/channel-content/main"

    async def read(self, shop: str = "main") -> dict[str, Any]:
        return await self.ask("GET", f"products/{self.product['id']}/channel-content/{shop}", 200)

    async def own(self, shop: str = "main", **values: Any) -> dict[str, Any]:
        """Give a shop values of its own."""
        return await self.ask("PATCH", f"products/{self.product['id']}/channel-content/{shop}", 200, json=values)

    async def hand(self, to: str, *fields: str, shop: str = "main", **more: Any) -> dict[str, Any]:
        path = f"products/{self.product['id']}/channel-content/{shop}/hand-over"
        return await self.ask("POST", path, 200, json={"fields": fields, "to": to, **more})

    async def master(self, **values: Any) -> None:
        await self.ask("PATCH", f"products/{self.product['id']}", 200, json=values)

    async def part(self, shop: Shop | None = None) -> ProductPart:
        """The product as an offer is made of it."""
        asked = GetOfferParts(shop_id=(shop or self.main).id, product_ids=[self.product["id"]])
        return (await self.catalog.ask(asked, as_service="search")).products[0]

    async def line(self, shop: Shop | None = None) -> LinePrice:
        asked = PriceLines(shop_id=(shop or self.main).id, lines=[PriceLine(sku="MUG", quantity=1)])
        return (await self.catalog.ask(asked, as_service="orders")).lines[0]


FILE = csv_file([shopify_row("mug", title="Mug", body="<p>Mug</p>", grams="300", list_price="12.00", sku="MUG")])


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Keeper:
    made = await shopkeeper(client, process)
    made.__class__ = Keeper
    assert isinstance(made, Keeper)
    made.main = await made.catalog.open_shop()
    made.sub = await made.catalog.open_shop(code="sub", parent_id=made.main.id)
    await made.catalog.bring_in(FILE, shop="main")
    made.product = (await made.ask("GET", "products?slug=mug", 200))["items"][0]
    made.category = (await made.ask("GET", "categories", 200))["items"][0]
    return made


def shown(content: dict[str, Any], name: str) -> tuple[str, str, Any]:
    """Owner, whose value is shown, and the value."""
    field = content[name] if name in content else content["variants"][0][name]
    return field["owner"], field["shown"], field["value"]


async def test_before_anybody_wrote_anything_the_master_is_shown(keeper: Keeper) -> None:
    content = await keeper.read()
    assert (content["version"], keeper.headers["etag"], content["updated_at"]) == (0, '"0"', None)
    assert content["title"] == {
        "owner": "master",
        "shown": "master",
        "value": "Mug",
        "channel": None,
        "master": "Mug",
    }
    assert shown(content, "list_price") == ("master", "master", {"amount": 1200, "currency": "USD"})
    assert shown(content, "weight_grams") == ("master", "master", 300)
    assert shown(content, "category_ids") == ("master", "master", [keeper.category["id"]])
    assert shown(await keeper.read("sub"), "title") == ("parent", "master", "Mug")
    assert await keeper.code("GET", f"products/{uuid4()}/channel-content/main", 404) == "product_not_found"
    assert await keeper.code("GET", f"products/{keeper.product['id']}/channel-content/no", 404) == "shop_not_found"


async def test_every_field_may_differ_and_is_what_offers_and_lines_show(keeper: Keeper) -> None:
    other = await keeper.ask("POST", "categories", 201, json={"name": "Gifts", "shops": ["main"]})
    content = await keeper.own(**PAGE, category_ids=[other["id"]], variants=[LEAF])
    assert (content["version"], keeper.headers["etag"]) == (1, '"1"')
    for name, value in {**PAGE, "category_ids": [other["id"]], **LEAF}.items():
        if name != "sku":
            assert shown(content, name) == ("channel", "channel", value), name
    assert content == await keeper.read()
    part, variant = await keeper.part(), (await keeper.part()).variants[0]
    assert {name: getattr(part, name) for name in PAGE if name != "images"} | {"images": PAGE["images"]} == PAGE
    assert [{**asdict(image), "alts": {}} for image in part.images] == PAGE["images"]
    assert [category.slug for category in part.categories] == ["gifts"]
    dimensions = variant.weight_grams, variant.length_mm, variant.width_mm, variant.height_mm
    assert (dimensions, variant.backorder) == ((410, 120, 90, 95), "deny")
    assert variant.order_limits == OrderLimits(minimum=2, maximum=10, step=2)
    assert variant.tiers[0].list_price == Money(amount=1900, currency="USD")
    line = await keeper.line()
    assert (line.title, line.weight_grams, line.backorder) == ("Our mug", 410, "deny")
    assert (line.list_price, line.order_limits) == (variant.tiers[0].list_price, variant.order_limits)
    product = await keeper.ask("GET", f"products/{keeper.product['id']}", 200)
    assert product == keeper.product, "the product itself is what it was"


async def test_no_import_no_patch_no_translation_and_no_archive_wipes_a_page_the_shop_owns(keeper: Keeper) -> None:
    """The failure this exists to prevent."""
    before = await keeper.own(**PAGE, category_ids=[keeper.category["id"]], variants=[LEAF])
    row = shopify_row("mug", title="From a file", body="<p>File</p>", grams="1", list_price="99.00", sku="MUG")
    row["Image Src"], row["Collection"] = "https://images.example/file.jpg", "From a file"
    done = await keeper.catalog.bring_in(csv_file([row]), shop="main")
    assert (done.state, done.counters["products_updated"], done.counters["variants_updated"]) == ("succeeded", 1, 1)
    await keeper.master(title="Patched", description_html="<p>P</p>", content_html="P", seo_title="P", images=[])
    await keeper.master(variants=[{"sku": "MUG", "options": {}, "weight_grams": 2, "order_limits": {"minimum": 7}}])
    text = {"locale": "en", "title": "Translated", "description_html": "<p>T</p>", "content_html": "<p>T</p>"}
    await keeper.ask("PUT", f"products/{keeper.product['id']}/texts", 200, json=text)
    for action in ("archive", "restore", "publish", "archive", "restore", "publish"):
        await keeper.ask("POST", f"products/{keeper.product['id']}/{action}", 200)
    after = await keeper.read()
    for name in (*PAGE, "category_ids", *LEAF):
        if name != "sku":
            assert shown(after, name) == shown(before, name), name
    assert after["version"] == before["version"]
    assert (after["title"]["master"], after["variants"][0]["weight_grams"]["master"]) == ("Translated", 2)
    assert after["variants"][0]["order_limits"]["master"] == {"minimum": 7, "maximum": None, "step": None}
    part = await keeper.part()
    assert (part.title, part.status, part.variants[0].weight_grams) == ("Our mug", "active", 410)
    back = await keeper.hand("master", "title", "order_limits")
    assert shown(back, "title") == ("master", "master", "Translated")
    assert back["title"]["channel"] == "Our mug"
    limits = (await keeper.line()).order_limits
    assert limits is not None
    assert limits.minimum == 7


async def test_a_field_goes_to_and_fro_without_losing_a_value_of_either_side(keeper: Keeper) -> None:
    await keeper.own(title="Ours")
    handed = await keeper.hand("master", "title")
    assert (shown(handed, "title"), handed["version"]) == (("master", "master", "Mug"), 2)
    assert (await keeper.part()).title == "Mug"
    kept = await keeper.own(title="Ours, later")
    assert (shown(kept, "title"), kept["title"]["channel"]) == (("master", "master", "Mug"), "Ours, later")
    await keeper.master(title="Mug, later")
    assert (await keeper.part()).title == "Mug, later"
    back = await keeper.hand("channel", "title")
    assert shown(back, "title") == ("channel", "channel", "Ours, later")
    assert back["title"]["master"] == "Mug, later"
    assert (await keeper.hand("channel", "title"))["version"] == back["version"], "nothing changed"
    assert (await keeper.own(title="Ours, later"))["version"] == back["version"], "nothing changed"


async def test_a_shop_that_takes_a_field_it_never_had_begins_with_what_it_shows(keeper: Keeper) -> None:
    await keeper.ask("PUT", f"products/{keeper.product['id']}/texts", 200, json={"locale": "en", "title": "Cup"})
    taken = await keeper.hand("channel", "title", "images", "list_price", "weight_grams", "category_ids")
    assert shown(taken, "title") == ("channel", "channel", "Cup")
    assert shown(taken, "list_price") == ("channel", "channel", {"amount": 1200, "currency": "USD"})
    assert shown(taken, "category_ids") == ("channel", "channel", [keeper.category["id"]])
    await keeper.ask("PUT", f"products/{keeper.product['id']}/texts", 200, json={"locale": "en", "title": "Bowl"})
    await keeper.master(category_ids=[])
    part = await keeper.part()
    assert (part.title, part.is_assigned, (await keeper.line()).reason) == ("Cup", True, None)


async def test_what_may_be_empty_is_shown_empty(keeper: Keeper) -> None:
    await keeper.master(seo_title="Of the master", images=[{"url": "https://images.example/m.jpg"}])
    empty = {"sku": "MUG", "list_price": None, "weight_grams": None, "order_limits": {}}
    content = await keeper.own(seo_title=None, images=[], category_ids=[], description_html="", variants=[empty])
    for name, value in {"seo_title": None, "images": [], "category_ids": [], "list_price": None}.items():
        assert shown(content, name) == ("channel", "channel", value), name
    assert shown(content, "order_limits") == ("channel", "channel", None)
    part = await keeper.part()
    assert (part.seo_title, part.images, part.description_html, part.is_assigned) == (None, [], "", False)
    assert part.variants[0].tiers[0].list_price is None
    assert (await keeper.line()).reason == "not_assigned"
    assert (await keeper.own(seo_title=None, variants=[empty]))["version"] == content["version"]


@pytest.mark.feature("ACC-3")
async def test_a_sub_shop_shows_what_its_parent_owns_unless_it_decided_itself(keeper: Keeper) -> None:
    german = await keeper.catalog.open_shop(code="de", parent_id=keeper.main.id, locale="de-AT")
    await keeper.own(title="Parent's", seo_title="Parent's", variants=[{"sku": "MUG", "weight_grams": 9}])
    assert shown(await keeper.read("sub"), "title") == ("parent", "parent", "Parent's")
    assert [(await keeper.part(shop)).title for shop in (keeper.sub, german)] == ["Parent's", "Parent's"]
    await keeper.ask("PUT", f"products/{keeper.product['id']}/texts", 200, json={"locale": "de", "title": "Tasse"})
    assert [(await keeper.part(shop)).title for shop in (keeper.sub, german)] == ["Parent's", "Tasse"]
    assert (await keeper.part(german)).variants[0].weight_grams == 9
    await keeper.own("sub", title="Child's")
    sub = await keeper.read("sub")
    assert (shown(sub, "title"), shown(sub, "seo_title")) == (
        ("channel", "channel", "Child's"),
        ("parent", "parent", "Parent's"),
    )
    assert shown(await keeper.hand("master", "title", shop="sub"), "title") == ("master", "master", "Mug")
    again = await keeper.hand("parent", "title", shop="sub")
    assert (shown(again, "title"), again["title"]["channel"]) == (("parent", "parent", "Parent's"), "Child's")
    code = await keeper.code("POST", f"{keeper.path}/hand-over", 422, json={"fields": ["title"], "to": "parent"})
    assert code == "shop_has_no_parent"


async def test_a_write_names_the_version_it_read(keeper: Keeper) -> None:
    first = await keeper.ask("PATCH", keeper.path, 200, json={"title": "A"}, headers={"If-Match": '"0"'})
    assert first["version"] == 1
    stale = {"headers": {"If-Match": '"0"'}}
    assert await keeper.code("PATCH", keeper.path, 412, json={"title": "B"}, **stale) == "channel_content_changed_since"
    body = {"fields": ["title"], "to": "master"}
    code = await keeper.code("POST", f"{keeper.path}/hand-over", 412, json=body, **stale)
    assert code == "channel_content_changed_since"
    assert shown(await keeper.read(), "title") == ("channel", "channel", "A")


async def test_of_two_writers_at_once_neither_erases_what_the_other_wrote(keeper: Keeper) -> None:
    await asyncio.gather(
        keeper.own(title="A"),
        keeper.own(seo_title="B"),
        keeper.own(variants=[{"sku": "MUG", "weight_grams": 1}]),
        keeper.own(variants=[{"sku": "MUG", "length_mm": 2}]),
        keeper.hand("channel", "description_html"),
        keeper.master(description_html="<p>Other</p>"),
    )
    content = await keeper.read()
    assert content["version"] == 5
    wanted = {"title": "A", "seo_title": "B", "weight_grams": 1, "length_mm": 2}
    assert {name: shown(content, name)[2] for name in wanted} == wanted
    tagged = {"headers": {"If-Match": '"5"'}}

    async def write(title: str) -> int:
        headers = {**keeper.client.speaking_as(keeper.caller), **tagged["headers"]}
        answer = await keeper.client.patch(f"/v1/{keeper.path}", json={"title": title}, headers=headers)
        return answer.status_code

    assert sorted(await asyncio.gather(*(write(f"Writer {n}") for n in range(3)))) == [200, 412, 412]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"title": None}, 422, "validation_failed", None),
        ({"title": " "}, 422, "validation_failed", "/title"),
        ({"title": "x" * 501}, 422, "validation_failed", "/title"),
        ({"title": "A\u0000B"}, 422, "validation_failed", None),
        ({"description_html": None}, 422, "validation_failed", None),
        ({"brand": "Ours"}, 422, "validation_failed", "/brand"),
        ({"images": [{"url": "javascript:alert(1)"}]}, 422, "validation_failed", "/images/0/url"),
        ({"category_ids": [str(uuid4())]}, 404, "category_not_found", "/category_ids/0"),
        ({"variants": [{"weight_grams": 1}]}, 422, "validation_failed", "/variants/0/sku"),
        ({"variants": [{"sku": "NONE"}]}, 422, "channel_content_refused", "/variants/0/sku"),
        ({"variants": [{"sku": "MUG"}, {"sku": "MUG"}]}, 422, "channel_content_refused", "/variants/1/sku"),
        ({"variants": [{"sku": "MUG", "weight_grams": -1}]}, 422, "validation_failed", "/variants/0/weight_grams"),
        ({"variants": [{"sku": "MUG", "weight_grams": 1.5}]}, 422, "validation_failed", "/variants/0/weight_grams"),
        ({"variants": [{"sku": "MUG", "backorder": "maybe"}]}, 422, "validation_failed", "/variants/0/backorder"),
    ],
)
async def test_what_cannot_be_is_refused_by_name_and_nothing_is_stored(
    keeper: Keeper, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    refusal = await keeper.ask("PATCH", keeper.path, status, json={"seo_title": "X", **body})
    assert refusal["code"] == code
    if pointer is not None:
        assert refusal["errors"][0]["pointer"].removeprefix("/body") == pointer
    assert (await keeper.read())["version"] == 0
    assert await keeper.catalog.events("channel_content_changed") == []


@pytest.mark.parametrize(
    ("price", "code"),
    [
        ({"amount": 1, "currency": "EUR"}, "currency_mismatch"),
        ({"amount": -1, "currency": "USD"}, "invalid_price"),
        ({"amount": 10**15 + 1, "currency": "USD"}, "invalid_price"),
    ],
)
async def test_an_old_price_is_one_the_shop_could_ask(keeper: Keeper, price: dict[str, Any], code: str) -> None:
    body = {"variants": [{"sku": "MUG", "list_price": price}]}
    refusal = await keeper.ask("PATCH", keeper.path, 422, json=body)
    assert [(e["pointer"], e["code"]) for e in refusal["errors"]] == [("/variants/0/list_price", code)]


@pytest.mark.parametrize(
    "limits",
    [
        {"minimum": 0},
        {"maximum": 1_000_001},
        {"minimum": 3, "maximum": 2},
        {"minimum": 3, "step": 2},
        {"maximum": 5, "step": 2},
        {"least": 1},
    ],
)
async def test_order_limits_that_nobody_could_meet_are_refused(keeper: Keeper, limits: dict[str, int]) -> None:
    body = {"variants": [{"sku": "MUG", "order_limits": limits}]}
    assert await keeper.code("PATCH", keeper.path, 422, json=body) == "validation_failed"
    of_master = {"variants": [{"sku": "MUG", "order_limits": limits}]}
    code = await keeper.code("PATCH", f"products/{keeper.product['id']}", 422, json=of_master)
    assert code == "validation_failed"


async def test_many_products_are_changed_at_once_or_not_at_all(keeper: Keeper) -> None:
    rows = [shopify_row(f"p-{number}") for number in range(30)]
    await keeper.catalog.bring_in(csv_file(rows), shop="main")
    ids = [p["id"] for p in (await keeper.ask("GET", "products?first=100", 200))["items"] if p["slug"] != "mug"]
    changes = [{"product_id": id_, "title": f"Title {number}"} for number, id_ in enumerate(ids)]
    bad = [
        {"product_id": ids[0], "title": "Twice"},
        {"product_id": ids[1], "variants": [{"sku": "MUG", "weight_grams": 1}]},
    ]
    refusal = await keeper.ask("PATCH", "channel-content", 422, json={"shop": "main", "changes": [*changes, *bad]})
    assert [(e["pointer"], e["code"]) for e in refusal["errors"]] == [
        ("/changes/30/product_id", "duplicate_product"),
        ("/changes/31/product_id", "duplicate_product"),
    ]
    missing = {"shop": "main", "changes": [*changes, {"product_id": str(uuid4()), "title": "X"}]}
    refusal = await keeper.ask("PATCH", "channel-content", 404, json=missing)
    assert (refusal["code"], refusal["errors"][0]["pointer"]) == ("product_not_found", "/changes/30")
    done = await keeper.ask("PATCH", "channel-content", 200, json={"shop": "main", "changes": changes})
    assert done == {"changed": 30, "unchanged": 0}
    events = await keeper.catalog.events("channel_content_changed")
    assert [sorted(event["product_ids"]) for event in events] == [sorted(ids)]
    assert {event["shop_id"] for event in events} == {str(keeper.main.id)}
    changes[0]["title"] = "Another"
    changes[1]["version"] = 0
    refusal = await keeper.ask("PATCH", "channel-content", 412, json={"shop": "main", "changes": changes})
    assert refusal["errors"][0] == {"pointer": "/changes/1/version", "code": "changed_since", "version": 1}
    changes[1]["version"] = 1
    done = await keeper.ask("PATCH", "channel-content", 200, json={"shop": "main", "changes": changes})
    assert done == {"changed": 1, "unchanged": 29}


async def test_a_branch_and_a_list_of_products_are_handed_over_in_one_call(keeper: Keeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}", collection="Things") for n in range(5)]), shop="main")
    things = next(c for c in (await keeper.ask("GET", "categories", 200))["items"] if c["slug"] == "things")
    body = {"shop": "main", "fields": ["title", "weight_grams"], "to": "channel", "category_id": things["id"]}
    assert await keeper.ask("POST", "channel-content/hand-over", 200, json=body) == {"changed": 5, "unchanged": 0}
    body["product_ids"] = [keeper.product["id"]]
    assert await keeper.ask("POST", "channel-content/hand-over", 200, json=body) == {"changed": 1, "unchanged": 5}
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}", title="New", grams="5") for n in range(5)]))
    ids = (await keeper.catalog.ask(ListProductIds(), as_service="search")).ids
    asked = GetOfferParts(shop_id=keeper.main.id, product_ids=ids)
    parts = (await keeper.catalog.ask(asked, as_service="search")).products
    assert sorted(part.title for part in parts) == ["Mug", *(f"P {n}" for n in range(5))]
    body["to"] = "master"
    assert (await keeper.ask("POST", "channel-content/hand-over", 200, json=body))["changed"] == 6
    parts = (await keeper.catalog.ask(asked, as_service="search")).products
    assert sorted(part.title for part in parts) == ["Mug", *["New"] * 5]
    refusals = [
        ({}, 422, "no_products_named"),
        ({"product_ids": [str(uuid4())]}, 404, "product_not_found"),
        ({"category_id": str(uuid4())}, 404, "category_not_found"),
        ({"product_ids": [keeper.product["id"]], "to": "parent"}, 422, "shop_has_no_parent"),
        ({"product_ids": [keeper.product["id"]], "to": "me"}, 422, "validation_failed"),
        ({"product_ids": [keeper.product["id"]], "fields": ["brand"]}, 422, "validation_failed"),
        ({"product_ids": [keeper.product["id"]], "fields": []}, 422, "validation_failed"),
        ({"product_ids": [keeper.product["id"]], "shop": "none"}, 404, "shop_not_found"),
    ]
    for more, status, code in refusals:
        wanted = {"shop": "main", "fields": ["title"], "to": "channel", **more}
        assert await keeper.code("POST", "channel-content/hand-over", status, json=wanted) == code


async def test_a_branch_has_what_the_shop_or_its_parent_has_put_there(keeper: Keeper) -> None:
    top = await keeper.ask("POST", "categories", 201, json={"name": "Sale", "shops": ["main"]})
    below = await keeper.ask("POST", "categories", 201, json={"name": "Mugs on sale", "parent_id": top["id"]})
    await keeper.own(category_ids=[below["id"]])

    async def handed(shop: str, to: str) -> int:
        body = {"shop": shop, "fields": ["category_ids"], "to": to, "category_id": top["id"]}
        changed: int = (await keeper.ask("POST", "channel-content/hand-over", 200, json=body))["changed"]
        return changed

    other = await keeper.catalog.open_shop(code="other")
    assert (await handed(other.code, "channel"), await handed("sub", "channel")) == (0, 1)
    assert (await handed("main", "master"), await handed("main", "channel")) == (1, 0)
    assert shown(await keeper.read(), "category_ids") == ("master", "master", [keeper.category["id"]])


async def test_one_variant_is_handed_over_and_the_others_are_not(keeper: Keeper) -> None:
    rows = [shopify_row("pen", option="Ink", value=ink, sku=f"PEN-{ink}", grams="9") for ink in ("RED", "BLUE")]
    await keeper.catalog.bring_in(csv_file(rows), shop="main")
    pen = (await keeper.ask("GET", "products?slug=pen", 200))["items"][0]
    path = f"products/{pen['id']}/channel-content/main/hand-over"
    body = {"fields": ["weight_grams"], "to": "channel", "skus": ["PEN-RED"]}
    content = await keeper.ask("POST", path, 200, json=body)
    owners = {variant["sku"]: variant["weight_grams"]["owner"] for variant in content["variants"]}
    assert owners == {"PEN-RED": "channel", "PEN-BLUE": "master"}
    refusal = await keeper.ask("POST", path, 422, json={**body, "skus": ["MUG"]})
    assert refusal["errors"][0]["code"] == "unknown_sku"


async def test_a_client_limited_to_a_shop_neither_reads_nor_writes_another(keeper: Keeper) -> None:
    await keeper.own(title="Ours")
    await keeper.own("sub", title="The sub-shop's")
    keeper.caller = caller_of(keeper.catalog.organization_id, "catalog:write", shop_ids=[keeper.sub.id])
    assert await keeper.code("GET", keeper.path, 404) == "shop_not_found"
    assert await keeper.code("PATCH", keeper.path, 404, json={"title": "X"}) == "shop_not_found"
    body = {"fields": ["title"], "to": "master"}
    assert await keeper.code("POST", f"{keeper.path}/hand-over", 404, json=body) == "shop_not_found"
    many = {"shop": "main", "changes": [{"product_id": keeper.product["id"], "title": "X"}]}
    assert await keeper.code("PATCH", "channel-content", 404, json=many) == "shop_not_found"
    listed = (await keeper.ask("GET", "channel-content", 200))["items"]
    assert [(item["shop"], item["product_fields"]) for item in listed] == [("sub", ["title"])]
    assert await keeper.code("GET", "channel-content?shop=main", 404) == "shop_not_found"
    assert shown(await keeper.read("sub"), "title") == ("channel", "channel", "The sub-shop's")
    keeper.caller = caller_of(keeper.catalog.organization_id, "catalog:read")
    assert await keeper.code("PATCH", keeper.path, 403, json={"title": "X"}) == "missing_scope"
    assert shown(await keeper.read(), "title") == ("channel", "channel", "Ours")


async def test_what_shops_have_is_listed_page_by_page(keeper: Keeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(3)]), shop="main")
    ids = [p["id"] for p in (await keeper.ask("GET", "products", 200))["items"]]
    changes = [{"product_id": id_, "title": "T"} for id_ in ids]
    await keeper.ask("PATCH", "channel-content", 200, json={"shop": "main", "changes": changes})
    await keeper.own("sub", variants=[LEAF])
    seen, after = [], ""
    while after is not None:
        page = await keeper.ask("GET", f"channel-content?first=2{f'&after={after}' if after else ''}", 200)
        seen += [(item["shop"], item["product_id"]) for item in page["items"]]
        after = page["next"]
    assert seen == [*(("main", id_) for id_ in sorted(ids)), ("sub", keeper.product["id"])]
    of_one = (await keeper.ask("GET", f"channel-content?product_id={keeper.product['id']}", 200))["items"]
    assert [(item["shop"], item["product_fields"]) for item in of_one] == [("main", ["title"]), ("sub", [])]
    assert of_one[1]["variant_fields"] == sorted(LEAF.keys() - {"sku"})
    assert await keeper.code("GET", "channel-content?after=forged", 400) == "invalid_cursor"


@pytest.mark.feature("GAT-2")
async def test_graphql_reads_changes_and_hands_over_as_rest_does(keeper: Keeper) -> None:
    id_ = keeper.product["id"]
    selection = "version title { owner shown value channel master } variants { sku listPrice { value { amount } } }"
    query = f'query($id: UUID!) {{ channelContent(productId: $id, shop: "main") {{ {selection} }} }}'
    assert (await keeper.graphql(query, id=id_))["channelContent"]["version"] == 0
    change = (
        "mutation($id: UUID!, $change: ChannelContentChangeInput!, $version: Int) {"
        ' done: changeChannelContent(productId: $id, shop: "main", change: $change, version: $version)'
        f" {{ ... on ChannelContent {{ {selection} }} ... on Problem {{ code errors }} }} }}"
    )
    wanted = {"title": "Ours", "variants": [{"sku": "MUG", "listPrice": {"amount": 5, "currency": "USD"}}]}
    done = (await keeper.graphql(change, id=id_, change=wanted, version=0))["done"]
    assert (done["version"], done["title"]["owner"], done["title"]["shown"]) == (1, "CHANNEL", "CHANNEL")
    assert done["variants"] == [{"sku": "MUG", "listPrice": {"value": {"amount": 5}}}]
    stale = (await keeper.graphql(change, id=id_, change=wanted, version=0))["done"]
    assert stale["code"] == "channel_content_changed_since"
    hand_over = (
        'mutation($id: UUID!) { done: handOverChannelContent(productId: $id, shop: "main",'
        " handOver: { fields: [TITLE], to: MASTER }) { ... on ChannelContent { title { shown value channel } } } }"
    )
    done = (await keeper.graphql(hand_over, id=id_))["done"]
    assert done == {"title": {"shown": "MASTER", "value": "Mug", "channel": "Ours"}}
    many = (
        'mutation($id: UUID!) { a: changeChannelContents(shop: "main", changes: [{ productId: $id, seoTitle: "S" }])'
        " { ... on ContentChanges { changed } } b: handOverChannelContents("
        'shop: "main", productIds: [$id], fields: [TITLE], to: CHANNEL) { ... on ContentChanges { changed } } }'
    )
    assert await keeper.graphql(many, id=id_) == {"a": {"changed": 1}, "b": {"changed": 1}}
    listed = "{ channelContents(first: 5) { nodes { shop productFields version } } }"
    assert (await keeper.graphql(listed))["channelContents"]["nodes"] == [
        {"shop": "main", "productFields": ["SEO_TITLE", "TITLE"], "version": 4}
    ]


@pytest.mark.feature("ACC-10")
async def test_who_changed_and_handed_over_what_is_in_the_audit_log(keeper: Keeper) -> None:
    await keeper.own(title="Ours", variants=[{"sku": "MUG", "order_limits": {"minimum": 2}}])
    await keeper.hand("master", "title")
    rows = await keeper.catalog.rows(
        "SELECT action, subject_id, before::jsonb, after::jsonb FROM audit_entries"
        " WHERE action LIKE 'channel_content.%' ORDER BY id"
    )
    assert [row["action"] for row in rows] == ["channel_content.change", "channel_content.hand_over"]
    assert {row["subject_id"] for row in rows} == {keeper.product["id"]}
    assert '"owner": "master"' in rows[1]["after"]
    assert '"owner": "channel"' in rows[1]["before"]
    assert '"MUG: order_limits"' in rows[0]["after"]


@pytest.mark.feature("SEA-4")
async def test_a_shop_without_content_of_its_own_costs_no_statement_more(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    fetch = UnitOfWork.fetch

    async def counted(self: UnitOfWork, sql: str, *arguments: Any) -> Any:
        if self.caller.id == keeper.catalog.caller.id:
            statements.append(sql)
        return await fetch(self, sql, *arguments)

    monkeypatch.setattr(UnitOfWork, "fetch", counted)

    async def asked() -> tuple[int, int]:
        statements.clear()
        await keeper.part()
        first = len(statements)
        await keeper.line()
        return first, len(statements) - first

    parts, lines = await asked()
    await keeper.own(title="Ours")
    assert await asked() == (parts + 1, lines + 1)


async def test_what_a_channel_has_goes_with_its_product_and_its_variant(keeper: Keeper) -> None:
    await keeper.own(title="Ours", variants=[LEAF])
    await keeper.master(options=["N"], remove_skus=["MUG"], variants=[{"sku": "CUP", "options": {"N": "1"}}])
    content = await keeper.read()
    assert (content["title"]["value"], [variant["sku"] for variant in content["variants"]]) == ("Ours", ["CUP"])
    assert shown(content, "weight_grams") == ("master", "master", None)
    assert await keeper.catalog.rows("SELECT * FROM channel_variants") == []


async def test_more_products_than_one_call_takes_are_refused_before_any_is_touched(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(3)]), shop="main")
    monkeypatch.setattr(use_case, "_MOST_PRODUCTS", 3)
    body = {"shop": "main", "fields": ["title"], "to": "channel", "category_id": keeper.category["id"]}
    refusal = await keeper.ask("POST", "channel-content/hand-over", 422, json=body)
    assert (refusal["code"], "4 products" in refusal["detail"]) == ("too_many_products", True)
    assert (await keeper.ask("GET", "channel-content", 200))["items"] == []
    many = {"shop": "main", "changes": [{"product_id": keeper.product["id"], "title": "X"}] * 501}
    assert await keeper.code("PATCH", "channel-content", 422, json=many) == "validation_failed"


@pytest.mark.feature("CAT-15")
async def test_history_tells_what_a_shop_had_and_whose_it_was_to_those_who_see_the_shop(keeper: Keeper) -> None:
    await keeper.own(title="A", category_ids=[keeper.category["id"]], variants=[{"sku": "MUG", "weight_grams": 1}])
    await keeper.own(title="B", variants=[{"sku": "MUG", "weight_grams": 2}])
    await keeper.hand("master", "title")
    await keeper.own("sub", title="S")

    async def told(field: str) -> list[tuple[str, Any, Any]]:
        page = await keeper.ask("GET", f"products/{keeper.product['id']}/history?field={field}", 200)
        own = [entry for entry in page["items"] if entry["part"] == "channel_content"]
        return [(e["key"]["channel_id"], e["fields"][0]["before"], e["fields"][0]["after"]) for e in own]

    main, sub = str(keeper.main.id), str(keeper.sub.id)
    assert await told("title") == [(sub, None, "S"), (main, "A", "B"), (main, None, "A")]
    assert await told("weight_grams") == [(main, 1, 2), (main, None, 1)]
    assert [each[2] for each in await told("category_id")] == [keeper.category["id"]]
    owners = await told("master_fields")
    assert owners[1:2] == [(main, [], ["title"])]
    keeper.caller = caller_of(keeper.catalog.organization_id, "catalog:read", shop_ids=[keeper.sub.id])
    assert await told("title") == [(sub, None, "S")]
