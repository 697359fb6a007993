"""Templates through both doors, and through the import; files of other systems through the import."""

import pytest

from deploy import topology
from shared.contracts.catalog.messages import ListProducts
from shared.contracts.platform.imports import GetImportErrorFile, ListImportRemarks
from shared.errors import CrossdockError
from tests.doors import Client, caller_of
from tests.factories.catalog import Catalog
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper
from tests.shared.impex.test_platforms import (
    BAG,
    CAP,
    HOODIE,
    MAGENTO,
    PULLOVER,
    SUPPLIER,
    WOO,
    child,
    item,
    table,
    variation,
)


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


PROFILES = ["crossdock", "shopify", "woocommerce", "magento", "supplier"]


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize("profile", PROFILES)
async def test_a_template_is_downloaded_and_imports_as_it_is(keeper: Shopkeeper, profile: str) -> None:
    headers = keeper.client.speaking_as(keeper.caller)
    for number, name in enumerate(("csv", "xlsx")):
        answer = await keeper.client.get(f"/v1/import-templates/{profile}?format={name}", headers=headers)
        assert answer.status_code == 200
        assert f"{profile}-products.{name}" in answer.headers["content-disposition"]
        imported = await keeper.catalog.bring_in(answer.content, profile=profile)
        assert (imported.state, imported.counters["errors"]) == ("succeeded", 0)
        told = "products_unchanged" if number else "products_inserted"
        assert (imported.counters[told], imported.counters["rows"] > 0) == (1, True)
    [product] = (await keeper.catalog.ask(ListProducts())).items
    assert len(product.variants) == 2


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize("group", ["prices", "variants", "categories"])
async def test_every_group_has_a_template_that_imports_as_it_is(keeper: Shopkeeper, group: str) -> None:
    headers = keeper.client.speaking_as(keeper.caller)
    products = await keeper.client.get("/v1/import-templates/crossdock", headers=headers)
    await keeper.catalog.bring_in(products.content)
    for name in ("csv", "xlsx"):
        answer = await keeper.client.get(f"/v1/import-templates/crossdock?group={group}&format={name}", headers=headers)
        assert f"crossdock-{group}.{name}" in answer.headers["content-disposition"]
        imported = await keeper.catalog.bring_in(answer.content, group=group)
        said = {one: imported.counters.get(one, 0) for one in ("rows", "errors", "notices")}
        assert said == {"rows": 1, "errors": 0, "notices": 0}
    assert await keeper.code("GET", f"import-templates/shopify?group={group}", 422) == "unknown_profile"
    assert await keeper.code("GET", "import-templates/crossdock?group=boats", 422) == "unknown_group"


@pytest.mark.feature("CAT-5")
async def test_templates_of_other_services_import_as_they_are(keeper: Shopkeeper) -> None:
    keeper.caller = caller_of(keeper.catalog.organization_id, "admin")
    headers = keeper.client.speaking_as(keeper.caller)
    for group in ("stock", "customers", "suppliers", "supplier-links"):
        for name, told in (("csv", "inserted"), ("xlsx", "unchanged")):
            path = f"/v1/import-templates/crossdock?group={group}&format={name}"
            answer = await keeper.client.get(path, headers=headers)
            assert f"crossdock-{group}.{name}" in answer.headers["content-disposition"]
            started = await keeper.ask("POST", f"imports?group={group}", 202, content=answer.content)
            done = await keeper.finished(started["id"])
            counters = done["counters"]
            assert (group, name, done["state"], counters.get("errors")) == (group, name, "succeeded", 0)
            assert (group, name, counters[f"{group.replace('-', '_')}_{told}"]) == (group, name, 1)


@pytest.mark.feature("CAT-5", "GAT-2")
async def test_the_columns_are_told_by_graphql(keeper: Shopkeeper) -> None:
    query = (
        "query($p: String!) { importTemplate(profile: $p) { profile rows columns { name required meaning example } } }"
    )
    found = (await keeper.graphql(query, p="supplier"))["importTemplate"]
    assert found["columns"][0] == {
        "name": "vendorSku",
        "required": True,
        "meaning": "Your key of the item",
        "example": "SL-100-R",
    }
    assert found["rows"][0][0] == "SL-100-R"
    assert {column["name"] for column in found["columns"]} >= {"name", "brand", "msrp", "defaultCost", "language"}


@pytest.mark.feature("CAT-5")
async def test_there_is_no_template_of_what_we_do_not_read(keeper: Shopkeeper) -> None:
    assert await keeper.code("GET", "import-templates/ebay", 422) == "unknown_profile"
    await keeper.ask("GET", "import-templates/supplier?format=ods", 422)


FILES = {
    "woocommerce": (
        table(WOO, variation("b", "pull", "Blue", regular_price="45"), CAP, variation("x", "no", "Red"), PULLOVER),
        {"cap": {}, "b": {"Colour": "Blue"}},
        [(4, "unknown_parent")],
    ),
    "magento": (
        table(MAGENTO, child("MH-S", price="52"), BAG, HOODIE, {"sku": "SET", "product_type": "bundle"}),
        {"BAG1": {}, "MH-S": {"Size": "S", "Colour": "Black"}},
        [(5, "unsupported_type")],
    ),
    "supplier": (
        table(
            SUPPLIER, item("A-1", groupId="G", size="S"), item(""), item("A-2", groupId="G", size="M"), item("B", "Mug")
        ),
        {"A-1": {"Size": "S"}, "A-2": {"Size": "M"}, "B": {}},
        [(3, "missing_sku")],
    ),
}


@pytest.mark.feature("CAT-5", "CAT-7", "CAT-8")
@pytest.mark.parametrize("profile", FILES)
async def test_files_of_other_systems_come_in_and_again_change_nothing(shop_catalog: Catalog, profile: str) -> None:
    content, variants, refused = FILES[profile]
    first = await shop_catalog.bring_in(content)
    assert (first.state, first.counters["variants_inserted"]) == ("succeeded", len(variants))
    products = (await shop_catalog.ask(ListProducts())).items
    assert {v.sku: v.options for product in products for v in product.variants} == variants
    errors = (await shop_catalog.ask(ListImportRemarks(import_id=first.id))).items
    assert [(error.row, error.code) for error in errors] == refused
    notices = (await shop_catalog.ask(ListImportRemarks(import_id=first.id, kind="notice"))).items
    # Of a supplier's columns costs alone belong elsewhere.
    said = {notice.code for notice in notices}
    assert ("column_not_kept" if profile == "supplier" else "columns_not_kept") in said
    assert (await shop_catalog.ask(GetImportErrorFile(import_id=first.id))).name.endswith("errors.csv")

    second = await shop_catalog.bring_in(content)
    assert second.counters["variants_unchanged"] == len(variants)
    assert second.counters.get("products_updated", 0) == 0


@pytest.mark.feature("CAT-1", "CAT-5", "CAT-8")
async def test_store_views_of_a_magento_file_are_texts_in_other_languages(shop_catalog: Catalog) -> None:
    german = {"sku": "BAG1", "store_view_code": "de", "name": "Reisetasche", "meta_title": "Tasche"}
    content = table(MAGENTO, german, BAG)
    first = await shop_catalog.bring_in(content)
    assert (first.state, first.counters["errors"], first.counters["rows"]) == ("succeeded", 0, 2)
    stored = "SELECT locale, title, seo_title, description_html FROM product_texts"
    assert [tuple(row) for row in await shop_catalog.rows(stored)] == [("de", "Reisetasche", "Tasche", None)]
    again = await shop_catalog.bring_in(content)
    assert (again.counters["products_unchanged"], again.counters.get("products_updated", 0)) == (1, 0)
    other = table(MAGENTO, BAG, {**german, "name": "Tasche"})
    assert (await shop_catalog.bring_in(other)).counters["products_updated"] == 1
    assert [row["title"] for row in await shop_catalog.rows(stored)] == ["Tasche"]
    assert (await shop_catalog.ask(ListProducts())).items[0].title == "Duffle"


@pytest.mark.feature("CAT-1", "CAT-5", "CAT-8")
async def test_measures_of_other_systems_are_dimensions(shop_catalog: Catalog) -> None:
    files = (
        table(WOO, {**CAP, "Length (cm)": "30", "Height (cm)": "4,5"}),
        table(SUPPLIER, item("A", "Mug", height="9.5 cm", weight="0.4 kg")),
    )
    for content, sku, expected in zip(files, ("cap", "A"), (("30", None, "4.5"), (None, None, "9.5")), strict=True):
        first = await shop_catalog.bring_in(content)
        assert (first.state, first.counters["errors"]) == ("succeeded", 0)
        [product] = (await shop_catalog.ask(ListProducts(sku=sku))).items
        sizes = product.variants[0].dimensions
        assert tuple(side and str(side) for side in (sizes.length, sizes.width, sizes.height)) == expected
        assert sizes.unit == "cm"
        again = await shop_catalog.bring_in(content)
        assert (again.counters["variants_unchanged"], again.counters["products_unchanged"]) == (1, 1)


@pytest.mark.feature("CAT-5", "CAT-7")
async def test_a_named_profile_needs_its_columns(shop_catalog: Catalog) -> None:
    imported = await shop_catalog.bring_in(b"sku,qty\nA,1\n", profile="magento")
    assert imported.state == "failed"
    assert imported.error is not None
    assert imported.error["code"] == "missing_headers"
    with pytest.raises(CrossdockError) as raised:
        await shop_catalog.upload(b"sku,qty\nA,1\n", profile="ebay")
    assert raised.value.code == "unknown_profile"
