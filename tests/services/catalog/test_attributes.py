"""Typed attributes: defined by each organization, checked where values come from, shown in every language (CAT-1)."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import topology
from services.catalog.models.attributes import Definition, UnfitValue
from shared.contracts.catalog.attributes import Choice
from shared.contracts.catalog.messages import GetOfferParts, ListProductIds
from tests.doors import Client, caller_of
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper

pytestmark = pytest.mark.feature("CAT-1")

FIT = {
    "code": "fit",
    "label": "Fit",
    "labels": {"de": "Passform"},
    "type": "choice",
    "is_facet": True,
    "choices": [{"value": "slim", "label": "Slim", "labels": {"de": "schmal"}}, {"value": "wide"}],
}
CARE = {"code": "care", "label": "Care", "type": "choices", "choices": [{"value": "30°"}, {"value": "iron"}]}
TYPED: list[dict[str, Any]] = [
    FIT,
    CARE,
    {"code": "pieces", "label": "Pieces", "type": "integer"},
    {"code": "length", "label": "Length", "type": "decimal", "unit": "cm"},
    {"code": "washable", "label": "Washable", "type": "boolean"},
    {"code": "since", "label": "Since", "type": "date"},
    {"code": "story", "label": "Story"},
]
VALUES: dict[str, Any] = {
    "fit": "slim",
    "care": ["iron", "30°"],
    "pieces": 3,
    "length": "12.50",
    "washable": True,
    "since": "2026-02-28",
    "story": " Once ",
    "undefined": "as it is",
}


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


async def define(keeper: Shopkeeper, **fields: Any) -> dict[str, Any]:
    return await keeper.ask("POST", "attributes", 201, json={"label": "L", **fields})


async def product_with(keeper: Shopkeeper, title: str = "Cup", **attributes: Any) -> dict[str, Any]:
    return await keeper.ask("POST", "products", 201, json={"title": title, "attributes": attributes})


def defined(type_: Any, choices: list[str] | None = None) -> Definition:
    return Definition("a", "A", {}, type_, None, False, tuple(Choice(value=value) for value in choices or ()))


# --- definitions


async def test_an_attribute_is_defined_changed_and_removed(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "attributes", 201, json=FIT)
    assert keeper.headers["location"] == f"/v1/attributes/{made['id']}"
    assert {name: made[name] for name in FIT if name != "choices"} == {n: v for n, v in FIT.items() if n != "choices"}
    assert made["choices"][1] == {"value": "wide", "label": None, "labels": {}}
    path = f"attributes/{made['id']}"
    assert (await keeper.ask("GET", path, 200), keeper.headers["etag"]) == (made, '"1"')
    changed = await keeper.ask("PATCH", path, 200, json={"label": "Cut"}, headers={"If-Match": '"1"'})
    assert (changed["label"], changed["version"], changed["choices"]) == ("Cut", 2, made["choices"])
    assert await keeper.code("PATCH", path, 412, json={"label": "X"}, headers={"If-Match": '"1"'}) == (
        "attribute_changed_since"
    )
    assert (await keeper.ask("PATCH", path, 200, json={"label": "Cut"}))["version"] == 2
    number = {"type": "integer", "choices": [], "unit": "cm"}
    assert (await keeper.ask("PATCH", path, 200, json=number))["unit"] == "cm"
    assert (await keeper.ask("PATCH", path, 200, json={"unit": None}))["unit"] is None
    await define(keeper, code="another")
    first = await keeper.ask("GET", "attributes?first=1", 200)
    rest = await keeper.ask("GET", f"attributes?after={first['next']}", 200)
    assert [attribute["code"] for attribute in first["items"] + rest["items"]] == ["another", "fit"]
    answer = await keeper.client.delete(f"/v1/{path}", headers=keeper.client.speaking_as(keeper.caller, If_Match='"1"'))
    assert answer.json()["code"] == "attribute_changed_since"
    answer = await keeper.client.delete(f"/v1/{path}", headers=keeper.client.speaking_as(keeper.caller))
    assert answer.status_code == 204
    assert await keeper.code("GET", path, 404) == "attribute_not_found"
    audited = await keeper.catalog.rows(
        "SELECT action FROM audit_entries WHERE subject_id = $1 ORDER BY id", made["id"]
    )
    assert [row["action"] for row in audited] == ["attribute.define", *["attribute.change"] * 3, "attribute.remove"]


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        ({"code": ""}, "validation_failed"),
        ({"code": "x", "label": " "}, "validation_failed"),
        ({"code": "x", "type": "float"}, "validation_failed"),
        ({"code": "x", "labels": {"german": "x"}}, "validation_failed"),
        ({"code": "x", "unit": "cm"}, "invalid_attribute"),
        ({"code": "x", "type": "choice"}, "invalid_attribute"),
        ({"code": "x", "choices": [{"value": "a"}]}, "invalid_attribute"),
        ({"code": "x", "type": "choices", "choices": [{"value": "a"}, {"value": "A"}]}, "invalid_attribute"),
        ({"code": "x", "type": "choices", "choices": [{"value": "a|b"}]}, "validation_failed"),
        ({"code": "x", "type": "choice", "choices": [{"value": str(n)} for n in range(1001)]}, "validation_failed"),
        ({"code": "x\u0000"}, "validation_failed"),
    ],
)
async def test_a_definition_that_contradicts_itself_is_refused(
    keeper: Shopkeeper, draft: dict[str, Any], code: str
) -> None:
    assert await keeper.code("POST", "attributes", 422, json={"label": "L", **draft}) == code
    assert (await keeper.ask("GET", "attributes", 200))["items"] == []


async def test_of_two_definitions_of_one_code_at_once_one_is_refused(keeper: Shopkeeper) -> None:
    answers = await asyncio.gather(
        *(
            keeper.client.post("/v1/attributes", json=FIT, headers=keeper.client.speaking_as(keeper.caller))
            for _ in range(2)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert next(a.json()["code"] for a in answers if a.status_code == 409) == "attribute_code_taken"


# --- values


async def test_values_are_given_and_come_back_by_their_types(keeper: Shopkeeper) -> None:
    for draft in TYPED:
        await keeper.ask("POST", "attributes", 201, json=draft)
    made = await product_with(keeper, **VALUES)
    assert made["attributes"] == VALUES | {"care": ["30°", "iron"], "length": "12.5"}
    as_words = {"fit": "SCHMAL", "care": "iron | 30°", "pieces": "+003", "length": "12.500", "washable": "Yes"}
    path = f"products/{made['id']}"
    same = await keeper.ask("PATCH", path, 200, json={"attributes": VALUES | as_words})
    assert (same["attributes"], same["version"]) == (made["attributes"], 1)
    variant = {"sku": "CUP", "attributes": {"pieces": 12}}
    with_variant = await keeper.ask("PATCH", path, 200, json={"variants": [variant]})
    assert with_variant["variants"][0]["attributes"] == {"pieces": 12}


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        ("fit", "loose", "not_choice"),
        ("fit", ["slim"], "not_choice"),
        ("fit", 1, "not_choice"),
        ("care", [], "not_choices"),
        ("care", ["iron", "bleach"], "not_choices"),
        ("care", True, "not_choices"),
        ("pieces", "3.0", "not_integer"),
        ("pieces", "three", "not_integer"),
        ("pieces", True, "not_integer"),
        ("pieces", 2**53, "not_integer"),
        ("pieces", "", "not_integer"),
        ("length", "1,5", "not_decimal"),
        ("length", "1e400", "not_decimal"),
        ("length", "NaN", "not_decimal"),
        ("length", "-", "not_decimal"),
        ("washable", "perhaps", "not_boolean"),
        ("washable", 1, "not_boolean"),
        ("since", "2026-02-29", "not_date"),
        ("since", "28.02.2026", "not_date"),
        ("since", "2026-02-28T00:00:00Z", "not_date"),
        ("story", 3, "not_text"),
        ("undefined", 3, "attribute_not_defined"),
        ("undefined", ["a"], "attribute_not_defined"),
    ],
)
async def test_a_value_of_another_type_is_refused_by_name(keeper: Shopkeeper, code: str, value: Any, why: str) -> None:
    for draft in TYPED:
        await keeper.ask("POST", "attributes", 201, json=draft)
    draft = {"title": "A", "attributes": {code: value}, "variants": [{"sku": "X", "attributes": {code: value}}]}
    refusal = await keeper.ask("POST", "products", 422, json=draft)
    assert refusal["code"] == "attribute_values_refused"
    places = [f"/attributes/{code}", f"/variants/0/attributes/{code}"]
    assert [(error["pointer"], error["code"]) for error in refusal["errors"]] == [(place, why) for place in places]
    assert (await keeper.ask("GET", "products", 200))["items"] == []


@pytest.mark.parametrize("value", [1.5, None, {"a": 1}, [1], "x" * 5001])
async def test_a_value_that_is_of_no_type_is_refused(keeper: Shopkeeper, value: Any) -> None:
    assert await keeper.code("POST", "products", 422, json={"title": "A", "attributes": {"a": value}}) == (
        "validation_failed"
    )


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_come_back(number: int) -> None:
    definition = defined("integer")
    assert definition.typed(definition.fitted(number)) == number
    assert definition.fitted(str(number)) == definition.fitted(number)


@given(st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False))
def test_equal_decimals_are_stored_alike(number: Decimal) -> None:
    definition = defined("decimal")
    stored = definition.fitted(format(number, "f"))
    assert Decimal(stored) == number
    assert definition.fitted(format(number.quantize(Decimal("0.0001")), "f")) == stored
    assert definition.fitted(stored) == stored


@given(st.dates())
def test_days_come_back(day: date) -> None:
    assert defined("date").typed(defined("date").fitted(day.isoformat())) == day.isoformat()


WORDS = st.lists(
    st.text(st.characters(exclude_characters="|", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8),
    min_size=1,
    max_size=6,
    unique_by=str.casefold,
)


@given(WORDS, st.data())
def test_choices_come_back_in_the_definitions_order(words: list[str], data: st.DataObject) -> None:
    definition = defined("choices", words)
    chosen = data.draw(st.lists(st.sampled_from(words), min_size=1))
    stored = definition.fitted(chosen)
    assert definition.typed(stored) == [word for word in words if word in chosen]
    assert definition.fitted(stored) == stored


@given(st.sampled_from(["integer", "decimal", "boolean", "date", "choice", "choices"]), st.text(max_size=20))
def test_whatever_is_taken_is_taken_again_as_it_is_stored(type_: str, text: str) -> None:
    definition = defined(type_, ["red", "blue"] if type_.startswith("choice") else None)
    try:
        stored = definition.fitted(text)
    except UnfitValue:
        assert definition.typed(text) == text
    else:
        assert definition.fitted(stored) == stored


# --- what is stored already


async def test_imports_go_on_and_their_texts_become_what_is_defined_later(keeper: Shopkeeper) -> None:
    lines = ["a,A,pieces=3 | story=x", "b,B,pieces= 04", "c,C,pieces=many"]
    file = "handle,title,attributes,sku\n" + "".join(f"{line},{line[0].upper()}\n" for line in lines)
    await keeper.catalog.bring_in(file.encode(), profile="crossdock")
    refusal = await keeper.ask("POST", "attributes", 409, json={"code": "pieces", "label": "P", "type": "integer"})
    assert refusal["code"] == "values_do_not_fit"
    assert [(e["value"], e["count"], e["example"], e["code"]) for e in refusal["errors"]] == [
        ("many", 1, "c", "not_integer")
    ]
    c = (await keeper.ask("GET", "products?slug=c", 200))["items"][0]
    await keeper.ask("PATCH", f"products/{c['id']}", 200, json={"attributes": {"pieces": "5"}})
    made = await define(keeper, code="pieces", type="integer")
    found = {p["slug"]: p for p in (await keeper.ask("GET", "products", 200))["items"]}
    assert [found[slug]["attributes"]["pieces"] for slug in "abc"] == [3, 4, 5]
    assert found["a"]["version"] == 2
    assert len((await keeper.catalog.events("products_changed"))[-1]["product_ids"]) == 3
    path = f"attributes/{made['id']}"
    assert await keeper.code("PATCH", path, 409, json={"type": "date"}) == "values_do_not_fit"
    assert (await keeper.ask("PATCH", path, 200, json={"type": "text"}))["type"] == "text"
    a = (await keeper.ask("GET", "products?slug=a", 200))["items"][0]
    assert (a["attributes"]["pieces"], a["version"]) == ("3", 3)


async def test_a_file_is_checked_against_the_definitions(keeper: Shopkeeper) -> None:
    for draft in TYPED:
        await keeper.ask("POST", "attributes", 201, json=draft)
    lines = ["a,A,pieces=+3 | care=iron \\| 30° | other=x,A", "b,B,pieces=many,B", "c,C,fit=Schmal,C"]
    file = "\n".join(["handle,title,attributes,sku", *lines, ""]).encode()
    done = await keeper.catalog.bring_in(file, profile="crossdock")
    assert (done.counters["products_inserted"], done.counters["errors"]) == (2, 1)
    remarks = (await keeper.ask("GET", f"imports/{done.id}/remarks", 200))["items"]
    assert [(r["row"], r["value"], r["code"]) for r in remarks] == [(3, "many", "not_integer")]
    found = {p["slug"]: p["attributes"] for p in (await keeper.ask("GET", "products", 200))["items"]}
    assert found == {"a": {"pieces": 3, "care": ["30°", "iron"], "other": "x"}, "c": {"fit": "slim"}}
    again = await keeper.catalog.bring_in(file, profile="crossdock")
    assert again.counters["products_unchanged"] == 2


async def test_a_choice_that_is_in_use_stays(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "attributes", 201, json=CARE)
    variant = {"sku": "V-1", "attributes": {"care": ["iron"]}}
    product = await keeper.ask("POST", "products", 201, json={"title": "A", "variants": [variant]})
    path = f"attributes/{made['id']}"
    refusal = await keeper.ask("PATCH", path, 409, json={"choices": [{"value": "30°"}]})
    assert (refusal["errors"][0]["value"], refusal["errors"][0]["example"]) == ("iron", "V-1")
    assert (await keeper.ask("GET", path, 200))["version"] == 1
    more = {"choices": [{"value": "iron", "label": "Iron"}, {"value": "60°"}]}
    assert (await keeper.ask("PATCH", path, 200, json=more))["version"] == 2
    await keeper.client.delete(f"/v1/{path}", headers=keeper.client.speaking_as(keeper.caller))
    left = await keeper.ask("GET", f"products/{product['id']}", 200)
    assert left["variants"][0]["attributes"] == {"care": "iron"}
    assert left["version"] == 2


async def test_products_whose_values_a_definition_rewrites_have_changed(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "attributes", 201, json=CARE)
    both = await product_with(keeper, "A", care=["30°", "iron"])
    one = await product_with(keeper, "B", care=["iron"])
    turned = {"choices": [{"value": "iron", "label": "Iron"}, {"value": "30°"}]}
    await keeper.ask("PATCH", f"attributes/{made['id']}", 200, json=turned)
    after = await keeper.ask("GET", f"products/{both['id']}", 200)
    assert (after["attributes"], after["version"]) == ({"care": ["iron", "30°"]}, both["version"] + 1)
    assert await keeper.ask("GET", f"products/{one['id']}", 200) == one


async def test_a_definition_and_a_value_at_once_do_not_pass_each_other(keeper: Shopkeeper) -> None:
    def sent(path: str, body: dict[str, Any]) -> Any:
        return keeper.client.post(f"/v1/{path}", json=body, headers=keeper.client.speaking_as(keeper.caller))

    wrong = {"title": "A", "attributes": {"pieces": "many"}}
    answers = await asyncio.gather(
        sent("attributes", {"code": "pieces", "label": "P", "type": "integer"}), sent("products", wrong)
    )
    assert [answer.status_code for answer in answers] in ([201, 422], [409, 201])


async def test_offers_show_attributes_in_the_shops_language(keeper: Shopkeeper) -> None:
    german = await keeper.catalog.open_shop(code="de", locale="de-DE")
    category = await keeper.ask("POST", "categories", 201, json={"name": "All", "shops": ["de"]})
    await keeper.ask("POST", "attributes", 201, json=FIT)
    await define(keeper, code="length", type="decimal", unit="cm")
    values = {"fit": "slim", "length": "12.50", "story": "Once"}
    draft = {"title": "A", "attributes": values, "category_ids": [category["id"]], "variants": [{"sku": "A"}]}
    product = await keeper.ask("POST", "products", 201, json=draft)
    texts = f"products/{product['id']}/texts"
    refusal = await keeper.ask("PUT", texts, 422, json={"locale": "de", "attributes": {"fit": "eng"}})
    assert refusal["errors"][0]["code"] == "not_translated"
    await keeper.ask("PUT", texts, 200, json={"locale": "de", "attributes": {"story": "Einst"}})
    ids = (await keeper.catalog.ask(ListProductIds(), as_service="search")).ids
    asked = GetOfferParts(shop_id=german.id, product_ids=ids)
    [part] = (await keeper.catalog.ask(asked, as_service="search")).products
    assert part.attributes == {"fit": "schmal", "length": "12.5", "story": "Einst"}
    fit, length, story = part.typed_attributes
    assert (fit.label, fit.value, fit.text, fit.is_facet) == ("Passform", "slim", "schmal", True)
    assert (length.value, length.unit, length.type) == ("12.5", "cm", "decimal")
    assert (story.label, story.type, story.value) == ("story", "text", "Einst")


# --- both doors, and others' things


@pytest.mark.feature("GAT-2")
async def test_graphql_says_the_same(keeper: Shopkeeper) -> None:
    made = await keeper.graphql(
        "mutation($draft: AttributeDraftInput!) { defineAttribute(draft: $draft) {"
        " ... on Attribute { uuid code type choices { value labels } } ... on Problem { code } } }",
        draft={name: value for name, value in FIT.items() if name != "is_facet"} | {"type": "CHOICE", "isFacet": True},
    )
    attribute = made["defineAttribute"]
    assert (attribute["type"], attribute["choices"][0]["labels"]) == ("CHOICE", {"de": "schmal"})
    assert (await keeper.ask("GET", f"attributes/{attribute['uuid']}", 200))["code"] == "fit"
    change = "mutation($id: UUID!) { updateAttribute(attributeId: $id, change: {isFacet: false}, version: 1) {"
    change += " ... on Attribute { isFacet version } ... on Problem { code } } }"
    assert (await keeper.graphql(change, id=attribute["uuid"]))["updateAttribute"] == {"isFacet": False, "version": 2}
    stale = await keeper.graphql(change, id=attribute["uuid"])
    assert stale["updateAttribute"] == {"code": "attribute_changed_since"}
    assert (await keeper.graphql("{ attributes { nodes { code } } }"))["attributes"]["nodes"] == [{"code": "fit"}]
    remove = "mutation($id: UUID!) { removeAttribute(attributeId: $id) { __typename } }"
    await keeper.graphql(remove, id=attribute["uuid"])
    assert await keeper.code("GET", f"attributes/{attribute['uuid']}", 404) == "attribute_not_found"


@pytest.mark.feature("ACC-1", "ACC-4")
async def test_nobody_else_sees_or_changes_a_definition(
    keeper: Shopkeeper, client: Client, process: topology.Surrounded
) -> None:
    path = f"attributes/{(await keeper.ask('POST', 'attributes', 201, json=FIT))['id']}"
    stranger = await shopkeeper(client, process)
    assert await stranger.code("GET", path, 404) == "attribute_not_found"
    assert await stranger.code("PATCH", path, 404, json={"label": "X"}) == "attribute_not_found"
    assert await stranger.code("DELETE", path, 404) == "attribute_not_found"
    assert (await stranger.ask("GET", "attributes", 200))["items"] == []
    assert (await product_with(stranger, fit="any"))["attributes"] == {"fit": "any"}
    assert (await stranger.ask("POST", "attributes", 201, json={"code": "fit", "label": "Own"}))["type"] == "text"
    reader = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    assert await reader.code("POST", "attributes", 403, json=FIT) == "missing_scope"
    assert await reader.code("PATCH", path, 403, json={"label": "X"}) == "missing_scope"
    assert await reader.code("DELETE", path, 403) == "missing_scope"
    assert (await reader.ask("GET", path, 200))["code"] == "fit"
