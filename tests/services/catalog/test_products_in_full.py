"""Everything a product and its variants say, over HTTP, GraphQL and into the offers (CAT-1)."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import topology
from services.catalog.errors import IllegalTransition
from services.catalog.models import ProductRow
from services.catalog.models.media import apart, together
from shared.contracts.base import Message
from shared.contracts.catalog.attributes import ListAttributes
from shared.contracts.catalog.messages import CreateProduct, GetOfferParts, ListProductIds, ListProducts
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.catalog.shapes import Media, ProductDraft
from shared.contracts.catalog.tree import GetCategoryTree
from shared.contracts.catalog.variants import ListVariants, UpdateVariant, VariantChange
from tests.doors import Client, caller_of
from tests.factories.catalog import csv_file, shopify_row
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper

pytestmark = pytest.mark.feature("CAT-1")

SCARF: dict[str, Any] = {
    "title": "Wool scarf",
    "options": ["Colour"],
    "variants": [
        {
            "sku": "RED",
            "options": {"Colour": "Red"},
            "barcode": "4006381333931",
            "barcodes": ["96385074", "10012345678902"],
            "mpn": "NW-1",
            "tax_class": "reduced",
            "weight": {"value": "0.50", "unit": "lb"},
            "dimensions": {"length": "12", "width": "8.5", "height": "1.25", "unit": "in"},
            "attributes": {"thread": "red wool"},
            "image_url": "https://images.example/1.jpg",
        },
        {"sku": "BLUE", "options": {"Colour": "Blue"}, "weight_grams": 180, "tax_code": "standard"},
    ],
    "media": [
        {"url": "https://images.example/1.jpg", "alt": "A scarf", "alts": {"de": "Ein Schal"}},
        {"kind": "video", "url": "https://videos.example/1.mp4", "preview_url": "https://images.example/v.jpg"},
        {"url": "https://images.example/2.jpg"},
        {"kind": "model_3d", "url": "https://models.example/1.glb", "alts": {"de": "Von allen Seiten"}},
    ],
}


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


def variant_of(product: dict[str, Any], sku: str) -> dict[str, Any]:
    return next(variant for variant in product["variants"] if variant["sku"] == sku)


async def parts(keeper: Shopkeeper, shop_id: Any) -> list[ProductPart]:
    ids = (await keeper.catalog.ask(ListProductIds(), as_service="search")).ids
    asked = GetOfferParts(shop_id=shop_id, product_ids=ids)
    return (await keeper.catalog.ask(asked, as_service="search")).products


async def test_measures_come_back_in_the_merchants_units(keeper: Shopkeeper) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    red, blue = (variant_of(product, sku) for sku in ("RED", "BLUE"))
    assert (red["weight"], red["weight_grams"]) == ({"value": "0.50", "unit": "lb"}, 227)
    assert red["dimensions"] == {"length": "12", "width": "8.5", "height": "1.25", "unit": "in"}
    assert (red["length_mm"], red["width_mm"], red["height_mm"]) == (305, 216, 32)
    assert (blue["weight"], blue["weight_grams"]) == ({"value": "180", "unit": "g"}, 180)
    assert (blue["dimensions"], blue["length_mm"]) == (None, None)
    assert (red["barcodes"], red["mpn"]) == (["96385074", "10012345678902"], "NW-1")
    assert [(v["tax_class"], v["tax_code"]) for v in (red, blue)] == [("reduced",) * 2, ("standard",) * 2]


@pytest.mark.parametrize(
    ("variant", "code", "pointer"),
    [
        ({"barcode": "4006381333932"}, "invalid_barcode", "/variants/0/barcode"),
        ({"barcodes": ["96385074", "123"]}, "invalid_barcode", "/variants/0/barcodes/1"),
        ({"barcodes": ["96385074", "96385074"]}, "invalid_barcode", "/variants/0/barcodes/1"),
        ({"barcode": "012345678905", "barcodes": ["0012345678905"]}, "invalid_barcode", "/variants/0/barcodes/0"),
        ({"barcodes": [""]}, "invalid_barcode", "/variants/0/barcodes/0"),
        ({"weight": {"value": "1", "unit": "kg"}, "weight_grams": 999}, "validation_failed", "/body/variants/0"),
        ({"weight": {"value": "-1", "unit": "kg"}}, "validation_failed", "/body/variants/0/weight/value"),
        ({"weight": {"value": "1", "unit": "stone"}}, "validation_failed", "/body/variants/0/weight/unit"),
        ({"weight_grams": 1.5}, "validation_failed", "/body/variants/0/weight_grams"),
        ({"dimensions": {"unit": "cm"}}, "validation_failed", "/body/variants/0/dimensions"),
        ({"tax_class": "a", "tax_code": "b"}, "validation_failed", "/body/variants/0"),
        ({"attributes": {"size": 3}}, "attribute_values_refused", "/variants/0/attributes/size"),
    ],
)
async def test_a_variant_that_cannot_be_is_refused_by_name(
    keeper: Shopkeeper, variant: dict[str, Any], code: str, pointer: str
) -> None:
    draft = {"title": "A", "variants": [{"sku": "X", **variant}]}
    refusal = await keeper.ask("POST", "products", 422, json=draft)
    assert (refusal["code"], refusal["errors"][0]["pointer"]) == (code, pointer)
    assert (await keeper.ask("GET", "variants", 200))["items"] == []


async def test_variants_are_found_by_their_codes(keeper: Shopkeeper) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    await keeper.ask("POST", "products", 201, json={"title": "Cup", "variants": [{"sku": "CUP", "mpn": "NW-1"}]})

    async def found(query: str) -> list[str]:
        return [variant["sku"] for variant in (await keeper.ask("GET", f"variants?{query}", 200))["items"]]

    assert await found("sku=RED") == ["RED"]
    assert await found("barcode=4006381333931") == ["RED"]
    assert await found("barcode=96385074") == ["RED"]
    assert await found("barcode=0000096385074") == ["RED"]
    assert await found("barcode=no-number") == []
    assert await found("mpn=NW-1") == ["CUP", "RED"]
    assert await found(f"mpn=NW-1&product_id={product['id']}") == ["RED"]
    assert sorted(await found(f"product_id={product['id']}")) == ["BLUE", "RED"]
    assert await found(f"product_id={uuid4()}") == []
    first = await keeper.ask("GET", "variants?first=2", 200)
    rest = await keeper.ask("GET", f"variants?first=2&after={first['next']}", 200)
    assert sorted(v["sku"] for v in first["items"] + rest["items"]) == ["BLUE", "CUP", "RED"]
    assert rest["next"] is None
    assert await keeper.code("GET", "variants?sku=", 422) == "validation_failed"
    assert await keeper.code("GET", "variants?ean=1", 422) == "unknown_parameter"
    await keeper.ask(
        "PATCH", f"variants/{variant_of(product, 'RED')['id']}", 200, json={"barcodes": ["10012345678902"]}
    )
    assert (await found("barcode=96385074"), await found("barcode=10012345678902")) == ([], ["RED"])


async def test_a_variant_is_changed_by_itself(keeper: Shopkeeper) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    path = f"variants/{variant_of(product, 'RED')['id']}"
    red = await keeper.ask("GET", path, 200)
    assert keeper.headers["etag"] == '"1"'
    assert (red["product_id"], red["product_slug"], red["version"]) == (product["id"], "wool-scarf", 1)
    changed = await keeper.ask("PATCH", path, 200, json={"weight_grams": 300}, headers={"If-Match": '"1"'})
    assert (changed["weight"], changed["weight_grams"]) == ({"value": "300", "unit": "g"}, 300)
    assert (changed["version"], keeper.headers["etag"]) == (2, '"2"')
    same = ("barcode", "barcodes", "mpn", "dimensions", "tax_class", "options", "attributes", "image_url")
    assert {name: changed[name] for name in same} == {name: red[name] for name in same}
    assert await keeper.code("PATCH", path, 412, json={"mpn": "X"}, headers={"If-Match": '"1"'}) == (
        "product_changed_since"
    )
    emptied = await keeper.ask(
        "PATCH",
        path,
        200,
        json=dict.fromkeys(("barcode", "mpn", "weight", "dimensions", "tax_class", "image_url"))
        | {"barcodes": [], "attributes": {}},
    )
    assert {emptied[name] for name in ("barcode", "mpn", "weight", "weight_grams", "dimensions", "tax_class")} == {None}
    assert (emptied["barcodes"], emptied["attributes"], emptied["length_mm"], emptied["version"]) == ([], {}, None, 3)
    assert (await keeper.ask("PATCH", path, 200, json={"mpn": None}))["version"] == 3
    assert (await keeper.ask("GET", f"products/{product['id']}", 200))["version"] == 3
    assert len(await keeper.catalog.events("products_changed")) == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"options": {"Colour": "BLUE"}}, "duplicate_variant"),
        ({"options": {"Size": "S"}}, "wrong_options"),
        ({"options": {}}, "wrong_options"),
        ({"barcode": "1"}, "invalid_barcode"),
        ({"taxable": None}, "validation_failed"),
        ({"sku": "OTHER"}, "validation_failed"),
        ({"weight": {"value": "1", "unit": "kg"}, "weight_grams": 1}, "validation_failed"),
        ({"image_url": "javascript:alert(1)"}, "validation_failed"),
        ({"attributes": {"thread": True}}, "attribute_values_refused"),
    ],
)
async def test_a_change_that_cannot_be_leaves_the_variant(
    keeper: Shopkeeper, change: dict[str, Any], code: str
) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    path = f"variants/{variant_of(product, 'RED')['id']}"
    assert await keeper.code("PATCH", path, 422, json=change) == code
    assert await keeper.ask("GET", f"products/{product['id']}", 200) == product


async def test_of_two_who_read_the_same_version_one_is_refused(keeper: Shopkeeper) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    paths = [f"/v1/variants/{variant_of(product, sku)['id']}" for sku in ("RED", "BLUE")]
    answers = await asyncio.gather(
        *(
            keeper.client.patch(
                path, json={"mpn": "M"}, headers=keeper.client.speaking_as(keeper.caller, If_Match='"1"')
            )
            for path in paths
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_file_that_says_another_weight_takes_the_merchants_unit_away(keeper: Shopkeeper) -> None:
    file = csv_file([shopify_row("cup", grams="454")])
    await keeper.catalog.bring_in(file)
    cup = (await keeper.ask("GET", "variants?sku=CUP", 200))["items"][0]
    pound = {"weight": {"value": "1.000", "unit": "lb"}, "barcodes": ["96385074"]}
    assert (await keeper.ask("PATCH", f"variants/{cup['id']}", 200, json=pound))["weight_grams"] == 454
    await keeper.catalog.bring_in(file)
    same = await keeper.ask("GET", f"variants/{cup['id']}", 200)
    assert (same["weight"], same["barcodes"]) == ({"value": "1.000", "unit": "lb"}, ["96385074"])
    await keeper.catalog.bring_in(csv_file([shopify_row("cup", grams="500")]))
    other = await keeper.ask("GET", f"variants/{cup['id']}", 200)
    assert (other["weight"], other["weight_grams"]) == ({"value": "500", "unit": "g"}, 500)
    assert (await keeper.ask("GET", "variants?barcode=96385074", 200))["items"] == [other]


async def test_the_database_holds_what_the_rules_say(keeper: Shopkeeper) -> None:
    await keeper.ask("POST", "products", 201, json=SCARF)
    for wrong in (
        "weight_grams = 1",
        "weight_value = NULL",
        "weight_unit = 'stone'",
        "weight_value = -1",
        "length_mm = 1",
        "dimension_unit = NULL",
        "height_value = 1",
        "barcode = '12'",
        "barcodes = '{12}'",
        "barcodes = ARRAY[NULL]",
        "attributes = '[]'",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await keeper.catalog.rows(f"UPDATE variants SET {wrong} WHERE sku = 'RED'")


# --- media


async def test_media_come_in_their_order_with_words_in_every_language(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "products", 201, json=SCARF)
    path = f"products/{made['id']}"
    assert [(m["kind"], m["url"][-5:]) for m in made["media"]] == [
        ("image", "1.jpg"),
        ("video", "1.mp4"),
        ("image", "2.jpg"),
        ("model_3d", "1.glb"),
    ]
    assert [(i["alt"], i["alts"]) for i in made["images"]] == [("A scarf", {"de": "Ein Schal"}), (None, {})]
    assert made["media"][1]["preview_url"] == "https://images.example/v.jpg"
    turned = list(reversed(made["media"]))
    assert (await keeper.ask("PATCH", path, 200, json={"media": turned}))["media"] == turned
    assert (await keeper.ask("PATCH", path, 200, json={"media": turned}))["version"] == 2
    pictures = {"images": [{"url": "https://images.example/3.jpg", "alt": "Anew"}]}
    left = (await keeper.ask("PATCH", path, 200, json=pictures))["media"]
    assert [m["url"][-5:] for m in left] == ["1.glb", "3.jpg", "1.mp4"]
    assert left[0]["alts"] == {"de": "Von allen Seiten"}
    assert (await keeper.ask("PATCH", path, 200, json={"media": []}))["images"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"media": [{"url": "https://a.example/1"}, {"kind": "video", "url": "https://a.example/1"}]},
        {"media": [{"url": "https://a.example/1"}], "images": [{"url": "https://a.example/2"}]},
        {"media": [{"url": "ftp://a.example/1"}]},
        {"media": [{"url": "https://a.example/1", "kind": "smell"}]},
        {"media": [{"url": "https://a.example/1", "alts": {"not a locale": "x"}}]},
        {"media": [{"url": "https://a.example/1", "preview_url": "https://a.example/2"}]},
        {"media": [{"url": "https://a.example/1", "alt": "x" * 501}]},
    ],
)
async def test_media_that_cannot_be_are_refused(keeper: Shopkeeper, wrong: dict[str, Any]) -> None:
    made = await keeper.ask("POST", "products", 201, json=SCARF)
    assert await keeper.code("POST", "products", 422, json={"title": "A", **wrong}) == "validation_failed"
    assert await keeper.code("PATCH", f"products/{made['id']}", 422, json=wrong) == "validation_failed"


async def test_a_file_replaces_pictures_and_leaves_other_media(keeper: Shopkeeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row("cup", image="https://images.example/1.jpg")]))
    product = (await keeper.ask("GET", "products?slug=cup", 200))["items"][0]
    video = {"kind": "video", "url": "https://videos.example/1.mp4"}
    words = {"url": "https://images.example/1.jpg", "alts": {"de": "Tasse"}}
    await keeper.ask("PATCH", f"products/{product['id']}", 200, json={"media": [video, words]})
    again = await keeper.catalog.bring_in(csv_file([shopify_row("cup", image="https://images.example/1.jpg")]))
    assert again.counters["products_unchanged"] == 1
    product = (await keeper.ask("GET", "products?slug=cup", 200))["items"][0]
    assert [(m["kind"], m["alts"]) for m in product["media"]] == [("video", {}), ("image", {"de": "Tasse"})]


KINDS = st.sampled_from(["image", "video", "document"])


@given(st.lists(KINDS, max_size=12))
def test_what_is_taken_apart_comes_together_again(kinds: list[Any]) -> None:
    media = [Media(kind=kind, url=f"https://a.example/{number}") for number, kind in enumerate(kinds)]
    images, others = apart(media)
    assert [(m["kind"], m["url"]) for m in together(images, others)] == [(m.kind, m.url) for m in media]


@given(st.lists(KINDS, max_size=12), st.integers(0, 12))
def test_nothing_is_lost_when_pictures_are_replaced(kinds: list[Any], pictures: int) -> None:
    media = [Media(kind=kind, url=f"https://a.example/{number}") for number, kind in enumerate(kinds)]
    _, others = apart(media)
    images = [{"url": f"https://b.example/{number}"} for number in range(pictures)]
    gallery = together(images, others)
    assert [m["url"] for m in gallery if m["kind"] == "image"] == [image["url"] for image in images]
    assert [m["url"] for m in gallery if m["kind"] != "image"] == [m.url for m in media if m.kind != "image"]


# --- status


MOVES: dict[str, dict[str, str]] = {
    "publish": {"draft": "active", "active": "active", "paused": "active"},
    "pause": {"active": "paused", "paused": "paused"},
    "archive": {"draft": "archived", "active": "archived", "paused": "archived", "archived": "archived"},
    "restore": {"archived": "draft", "draft": "draft"},
}


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=20))
def test_a_status_changes_only_as_it_may(moves: list[str]) -> None:
    row = ProductRow(slug="x", title="x")
    acts: dict[str, Callable[[], None]] = {
        "publish": lambda: row.publish(is_sellable=True),
        "pause": row.pause,
        "archive": row.archive,
        "restore": row.restore,
    }
    expected = "draft"
    for move in moves:
        wanted = MOVES[move].get(expected)
        with nullcontext() if wanted else pytest.raises(IllegalTransition):
            acts[move]()
        expected = wanted or expected
        assert row.status == expected


async def test_a_product_is_published_paused_archived_and_restored(keeper: Shopkeeper) -> None:
    draft = {"title": "Cup", "variants": [{"sku": "CUP", "price_on_request": True}]}
    path = f"products/{(await keeper.ask('POST', 'products', 201, json=draft))['id']}"
    assert await keeper.code("POST", f"{path}/pause", 409) == "illegal_transition"
    published = await keeper.ask("POST", f"{path}/publish", 200, headers={"If-Match": '"1"'})
    assert (published["status"], keeper.headers["etag"]) == ("active", '"2"')
    assert await keeper.code("POST", f"{path}/pause", 412, headers={"If-Match": '"1"'}) == "product_changed_since"
    assert (await keeper.ask("POST", f"{path}/pause", 200))["status"] == "paused"
    assert await keeper.code("POST", f"{path}/restore", 409) == "illegal_transition"
    assert (await keeper.ask("POST", f"{path}/archive", 200))["status"] == "archived"
    assert await keeper.code("POST", f"{path}/publish", 409) == "illegal_transition"
    restored = await keeper.ask("POST", f"{path}/restore", 200)
    assert (restored["status"], restored["version"]) == ("draft", 5)
    audited = await keeper.catalog.rows("SELECT action FROM audit_entries ORDER BY id")
    assert [row["action"] for row in audited] == ["product.create"] + ["product.change"] * 4


# --- languages


async def test_offers_speak_the_shops_language(keeper: Shopkeeper) -> None:
    austria = await keeper.catalog.open_shop(code="at", locale="de-AT")
    main = (await keeper.catalog.rows("SELECT id FROM shops WHERE code = 'main'"))[0]["id"]
    category = await keeper.ask("POST", "categories", 201, json={"name": "All", "shops": ["main", "at"]})
    draft = SCARF | {"category_ids": [category["id"]], "attributes": {"fibre": "wool"}}
    path = f"products/{(await keeper.ask('POST', 'products', 201, json=draft))['id']}"
    german = {
        "locale": "de",
        "title": "Wollschal",
        "attributes": {"fibre": "Wolle"},
        "option_names": {"Colour": "Farbe"},
        "option_values": {"Colour": {"Red": "Rot"}},
    }
    assert (await keeper.ask("PUT", f"{path}/texts", 200, json=german))["option_names"] == {"Colour": "Farbe"}
    await keeper.ask("PUT", f"{path}/texts", 200, json={"locale": "de-AT", "seo_title": "Schal"})
    stored = (await keeper.ask("GET", f"{path}/texts", 200))["items"]
    assert stored[0] == german | dict.fromkeys(("description_html", "content_html", "seo_title", "seo_description"))
    [english] = await parts(keeper, main)
    [local] = await parts(keeper, austria.id)
    assert (local.title, local.seo_title, local.attributes) == ("Wollschal", "Schal", {"fibre": "Wolle"})
    assert [v.options for v in local.variants] == [{"Farbe": "Rot"}, {"Farbe": "Blue"}]
    assert [v.options for v in english.variants] == [{"Colour": "Red"}, {"Colour": "Blue"}]
    assert [m.alt for m in local.media] == ["Ein Schal", None, None, "Von allen Seiten"]
    assert [i.alt for i in english.images] == ["A scarf", None]
    red = local.variants[0]
    assert (red.image and red.image.alt, red.barcodes, red.mpn) == ("Ein Schal", ["96385074", "10012345678902"], "NW-1")
    assert (red.length_mm, red.dimensions and str(red.dimensions.width)) == (305, "8.5")
    assert red.typed_attributes[0].text == "red wool"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ({"option_names": {"Size": "Größe"}}, "wrong_options"),
        ({"option_values": {"Size": {"S": "K"}}}, "wrong_options"),
        ({"option_values": {"Colour": {"Red": "Rot", "Blue": "Rot"}}}, "wrong_options"),
        ({"locale": "German"}, "validation_failed"),
        ({"option_names": {"Colour": ""}}, "validation_failed"),
    ],
)
async def test_texts_that_cannot_be_are_refused(keeper: Shopkeeper, text: dict[str, Any], code: str) -> None:
    path = f"products/{(await keeper.ask('POST', 'products', 201, json=SCARF))['id']}/texts"
    assert await keeper.code("PUT", path, 422, json={"locale": "de", **text}) == code
    stale = await keeper.code("PUT", path, 412, json={"locale": "de"}, headers={"If-Match": '"9"'})
    assert stale == "product_changed_since"
    assert (await keeper.ask("GET", path, 200))["items"] == []


async def test_what_is_said_is_the_same_behind_a_queue(keeper: Shopkeeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row("anvil", grams="2147483647")]))
    await keeper.ask("POST", "attributes", 201, json={"code": "pieces", "label": "P", "type": "integer"})
    category = await keeper.ask("POST", "categories", 201, json={"name": "All", "shops": ["main"]})
    draft = SCARF | {"category_ids": [category["id"]], "attributes": {"pieces": 3, "fibre": "3"}}
    product = await keeper.ask("POST", "products", 201, json=draft)
    shop = (await keeper.catalog.rows("SELECT id FROM shops WHERE code = 'main'"))[0]["id"]
    questions: list[tuple[Message[Any], str | None]] = [
        (ListProducts(), None),
        (ListVariants(), None),
        (GetCategoryTree(), None),
        (ListAttributes(), None),
        (GetOfferParts(shop_id=shop, product_ids=[product["id"]]), "search"),
    ]
    for question, asking in questions:
        answer = await keeper.catalog.ask(question, as_service=asking)
        carried = question.answer_type().validate_json(question.answer_type().dump_json(answer))
        assert carried == answer, question
    for asked in (
        CreateProduct(draft=ProductDraft.model_validate(SCARF)),
        UpdateVariant(
            variant_id=product["variants"][0]["id"],
            change=VariantChange.model_validate({"weight": None, "attributes": {"a": 3, "b": "3", "c": True}}),
        ),
    ):
        assert type(asked).model_validate_json(asked.model_dump_json()) == asked


# --- both doors, and others' things


@pytest.mark.feature("GAT-2")
async def test_graphql_says_the_same(keeper: Shopkeeper) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    fields = "uuid sku barcodes attributes weightGrams weight { value unit } dimensions { length unit } version"
    found = await keeper.graphql(f'{{ variants(barcode: "96385074") {{ nodes {{ {fields} }} }} }}')
    [red] = found["variants"]["nodes"]
    assert (red["sku"], red["weight"], red["weightGrams"]) == ("RED", {"value": "0.50", "unit": "LB"}, 227)
    assert (red["dimensions"], red["attributes"]) == ({"length": "12", "unit": "IN"}, {"thread": "red wool"})
    change = (
        "mutation($id: UUID!, $change: VariantChangeInput!, $version: Int) {"
        " updateVariant(variantId: $id, change: $change, version: $version) {"
        f" ... on VariantDetails {{ {fields} }} ... on Problem {{ code }} }} }}"
    )
    heavier = {"weight": {"value": "1.5", "unit": "KG"}, "mpn": None}
    changed = (await keeper.graphql(change, id=red["uuid"], change=heavier, version=1))["updateVariant"]
    assert (changed["weightGrams"], changed["version"]) == (1500, 2)
    stale = await keeper.graphql(change, id=red["uuid"], change=heavier, version=1)
    assert stale["updateVariant"] == {"code": "product_changed_since"}
    moves = "mutation($id: UUID!) { a: archiveProduct(productId: $id) { ... on Product { status } }"
    moves += " r: restoreProduct(productId: $id) { ... on Product { status media { kind alts } } }"
    moves += " p: pauseProduct(productId: $id) { ... on Problem { code } } }"
    moved = await keeper.graphql(moves, id=product["id"])
    assert (moved["a"], moved["p"]) == ({"status": "ARCHIVED"}, {"code": "illegal_transition"})
    assert moved["r"]["media"][3] == {"kind": "MODEL_3D", "alts": {"de": "Von allen Seiten"}}


@pytest.mark.feature("ACC-1", "ACC-4")
async def test_nobody_else_sees_or_changes_a_variant(
    keeper: Shopkeeper, client: Client, process: topology.Surrounded
) -> None:
    product = await keeper.ask("POST", "products", 201, json=SCARF)
    path = f"variants/{product['variants'][0]['id']}"
    stranger = await shopkeeper(client, process)
    assert await stranger.code("GET", path, 404) == "variant_not_found"
    assert await stranger.code("PATCH", path, 404, json={"mpn": "X"}) == "variant_not_found"
    for query in ("", "?barcode=96385074", f"?product_id={product['id']}"):
        assert (await stranger.ask("GET", f"variants{query}", 200))["items"] == []
    reader = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    assert await reader.code("PATCH", path, 403, json={"mpn": "X"}) == "missing_scope"
    assert await reader.code("POST", f"products/{product['id']}/restore", 403) == "missing_scope"
