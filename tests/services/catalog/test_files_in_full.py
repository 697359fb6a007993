"""Everything that a product has, by file: media, languages, measures, limits, attributes of variants (CAT-1, CAT-5)."""

import csv
import io
from typing import Any

import pytest

from shared.contracts.catalog.attributes import AttributeDraft, DefineAttribute
from shared.contracts.catalog.messages import GetProduct, ListProducts, ListProductTexts, UpdateProduct
from shared.contracts.catalog.shapes import Product, ProductChange, ProductText
from shared.contracts.platform.imports import Import, ListImportRemarks, UndoImport
from tests.factories.catalog import Catalog
from tests.factories.exports import exported

pytestmark = pytest.mark.feature("CAT-1", "CAT-5")

SCARF = {
    "handle": "scarf",
    "title": "Wool scarf",
    "content": "<p>Care</p>",
    "featured": "yes",
    "images": "https://x/1.jpg | https://x/2.jpg",
    "image texts": "Red | ",
    "image texts[de]": "Rot | Blau",
    "media": "video=https://x/film.mp4 | document=https://x/manual.pdf",
    "media texts": "Film | Manual",
    "media texts[de]": " | Anleitung",
    "media previews": "https://x/film.jpg",
    "media positions": "2",
    "attributes": "fibre=wool",
    "title[de]": "Wollschal",
    "SEO title [de]": "Schal",
    "attributes[de]": "fibre=Wolle",
    "option names[de]": "Colour=Farbe",
    "option values[de]": "Colour > Red=Rot",
    "option 1 name": "Colour",
    "option 1 value": "Red",
    "sku": "S-R",
    "barcode": "4006381333931",
    "barcodes": "96385074",
    "variant attributes": "dye=plants",
    "price on request": "true",
    "weight": "0,18",
    "weight unit": "kg",
    "length": "30",
    "width": "20.5",
    "dimension unit": "cm",
    "order minimum": "2",
    "order step": "2",
}


def file(*rows: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


async def the_product(catalog: Catalog) -> Product:
    [listed] = (await catalog.ask(ListProducts())).items
    product: Product = await catalog.ask(GetProduct(product_id=listed.id))
    return product


async def texts(catalog: Catalog) -> list[ProductText]:
    product = await the_product(catalog)
    return list((await catalog.ask(ListProductTexts(product_id=product.id))).items)


async def remarks(catalog: Catalog, imported: Import) -> list[tuple[int, str]]:
    page = await catalog.ask(ListImportRemarks(import_id=imported.id, first=200))
    return [(remark.row, remark.code) for remark in page.items]


def shown(product: Product) -> list[tuple[str, str, str | None, dict[str, str]]]:
    return [(medium.kind, medium.url, medium.alt, dict(medium.alts)) for medium in product.media]


async def test_a_row_says_everything(shop_catalog: Catalog) -> None:
    imported = await shop_catalog.bring_in(file(SCARF))
    assert (imported.state, imported.counters["products_inserted"], imported.counters["notices"]) == ("succeeded", 1, 0)
    product = await the_product(shop_catalog)
    assert (product.content_html, product.featured) == ("<p>Care</p>", True)
    assert shown(product) == [
        ("image", "https://x/1.jpg", "Red", {"de": "Rot"}),
        ("video", "https://x/film.mp4", "Film", {}),
        ("image", "https://x/2.jpg", None, {"de": "Blau"}),
        ("document", "https://x/manual.pdf", "Manual", {"de": "Anleitung"}),
    ]
    assert product.media[1].preview_url == "https://x/film.jpg"
    [variant] = product.variants
    assert (variant.barcodes, variant.attributes, variant.price_on_request) == (["96385074"], {"dye": "plants"}, True)
    assert variant.weight is not None
    assert (str(variant.weight.value), variant.weight.unit, variant.weight_grams) == ("0.18", "kg", 180)
    assert (variant.length_mm, variant.width_mm, variant.height_mm) == (300, 205, None)
    assert variant.order_limits is not None
    assert variant.order_limits.model_dump() == {"minimum": 2, "maximum": None, "step": 2}
    assert await texts(shop_catalog) == [
        ProductText(
            locale="de",
            title="Wollschal",
            seo_title="Schal",
            attributes={"fibre": "Wolle"},
            option_names={"Colour": "Farbe"},
            option_values={"Colour": {"Red": "Rot"}},
        )
    ]


@pytest.mark.feature("CAT-8")
@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_the_same_again_changes_nothing(shop_catalog: Catalog, mode: str) -> None:
    await shop_catalog.bring_in(file(SCARF))
    before = await the_product(shop_catalog)
    events = await shop_catalog.events("products_changed")
    again = await shop_catalog.bring_in(file({**SCARF, "brand": ""}), mode=mode)
    counters = {name: count for name, count in again.counters.items() if count}
    assert counters == {"rows": 1, "products_unchanged": 1, "variants_unchanged": 1}
    assert await the_product(shop_catalog) == before
    assert await shop_catalog.events("products_changed") == events


@pytest.mark.feature("CAT-6")
async def test_in_a_merge_an_empty_cell_says_nothing(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(file(SCARF))
    before = await the_product(shop_catalog)
    kept = {"handle", "title", "sku"}
    said = {name: SCARF[name] if name in kept else "" for name in SCARF}
    changed = {"title[de]": "Schal", "attributes[de]": "care=Handwäsche", "variant attributes": "knit=fine"}
    imported = await shop_catalog.bring_in(file({**said, **changed, "weight": "1", "weight unit": "lb"}))
    assert (imported.counters["products_updated"], imported.counters["variants_updated"]) == (1, 1)
    product = await the_product(shop_catalog)
    assert shown(product) == shown(before)
    [variant] = product.variants
    assert (variant.attributes, variant.weight_grams) == ({"dye": "plants", "knit": "fine"}, 454)
    assert variant.dimensions == before.variants[0].dimensions
    assert variant.order_limits == before.variants[0].order_limits
    [text] = await texts(shop_catalog)
    assert (text.title, text.seo_title) == ("Schal", "Schal")
    assert text.attributes == {"fibre": "Wolle", "care": "Handwäsche"}
    assert product.version == before.version + 1


@pytest.mark.feature("CAT-6")
async def test_a_replace_empties_what_the_file_has_a_column_for(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(file(SCARF))
    kept = {"handle", "title", "sku", "option 1 name", "option 1 value", "images", "seo title [de]"}
    said = {name: SCARF[name] if name in kept else "" for name in SCARF if name != "SEO title [de]"}
    imported = await shop_catalog.bring_in(file(said), mode="replace")
    assert (imported.state, imported.counters["products_updated"], imported.counters["variants_updated"]) == (
        "succeeded",
        1,
        1,
    )
    product = await the_product(shop_catalog)
    assert (product.content_html, product.featured) == (None, False)
    assert shown(product) == [("image", "https://x/1.jpg", None, {}), ("image", "https://x/2.jpg", None, {})]
    [variant] = product.variants
    assert (variant.barcode, variant.barcodes, variant.attributes, variant.price_on_request) == (None, [], {}, False)
    assert (variant.weight, variant.weight_grams, variant.dimensions, variant.order_limits) == (None, None, None, None)
    # The column of the SEO title is not in this file: it says nothing of it.
    assert await texts(shop_catalog) == [ProductText(locale="de", seo_title="Schal")]


@pytest.mark.feature("CAT-9", "CAT-15")
async def test_an_undo_takes_all_of_it_back(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(file({"handle": "scarf", "title": "Scarf", "sku": "S-R"}))
    before = await the_product(shop_catalog)
    plain = {name: cell for name, cell in SCARF.items() if not name.startswith("option")}
    imported = await shop_catalog.bring_in(file(plain))
    assert await texts(shop_catalog)
    undone = await shop_catalog.ask(UndoImport(import_id=imported.id))
    await shop_catalog.run_job(undone.undo.job_id)
    after = await the_product(shop_catalog)
    assert await texts(shop_catalog) == []
    unequal = {"version", "updated_at"}
    assert after.model_dump(exclude=unequal) == before.model_dump(exclude=unequal)


@pytest.mark.feature("CAT-7")
async def test_what_does_not_fit_is_refused_with_its_reason(shop_catalog: Catalog) -> None:
    await shop_catalog.ask(DefineAttribute(draft=AttributeDraft(code="plies", label="Plies", type="integer")))
    rows: list[dict[str, Any]] = [
        {"handle": "a", "title": "A", "sku": "A", "option names[de]": "Colour=Farbe"},
        {"handle": "b", "title": "B", "sku": "B", "attributes[de]": "plies=drei"},
        {"handle": "c", "title": "C", "option 1 name": "N", "option 1 value": "1", "sku": "C1"},
        {"handle": "c", "option 1 value": "2", "sku": "C2", "variant attributes": "plies=many"},
        {"handle": "d", "title": "D", "sku": "D", "variant attributes": "plies=many"},
    ]
    imported = await shop_catalog.bring_in(file(*rows))
    assert await remarks(shop_catalog, imported) == [
        (2, "wrong_options"),
        (3, "not_translated"),
        (5, "not_integer"),
        (6, "not_integer"),
    ]
    assert [variant.sku for variant in (await the_product(shop_catalog)).variants] == ["C1"]


async def test_other_grams_take_the_unit_away(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(file(SCARF))
    same = {"handle": "scarf", "option 1 value": "Red", "sku": "S-R", "weight grams": "180"}
    assert (await shop_catalog.bring_in(file(same))).counters["variants_unchanged"] == 1
    await shop_catalog.bring_in(file({**same, "weight grams": "200"}))
    assert await weight(shop_catalog) == ("200", "g")
    await shop_catalog.bring_in(file({**same, "weight grams": "200", "weight": "0.2", "weight unit": "kg"}))
    assert await weight(shop_catalog) == ("0.2", "kg")


async def weight(catalog: Catalog) -> tuple[str, str]:
    [variant] = (await the_product(catalog)).variants
    assert variant.weight is not None
    return str(variant.weight.value), variant.weight.unit


@pytest.mark.feature("CAT-8")
async def test_a_text_changed_by_hand_is_looked_at_again(shop_catalog: Catalog) -> None:
    """Rows that were taken before are taken again when somebody has touched what they say."""
    await shop_catalog.bring_in(file(SCARF))
    product = await the_product(shop_catalog)
    change = ProductChange(media=[])
    await shop_catalog.ask(UpdateProduct(product_id=product.id, change=change))
    again = await shop_catalog.bring_in(file(SCARF))
    assert again.counters["products_updated"] == 1
    assert shown(await the_product(shop_catalog)) == shown(product)


@pytest.mark.feature("CAT-10")
async def test_languages_are_columns_of_an_export_as_far_as_they_are_spoken(shop_catalog: Catalog) -> None:
    plain = file({"handle": "a", "title": "A", "sku": "A"})
    await shop_catalog.bring_in(plain)
    header = next(csv.reader(io.StringIO((await exported(shop_catalog)).decode("utf-8-sig"))))
    assert not [heading for heading in header if heading.endswith("]")]
    await shop_catalog.bring_in(file(SCARF))
    header = next(csv.reader(io.StringIO((await exported(shop_catalog)).decode("utf-8-sig"))))
    assert [heading for heading in header if heading.endswith("]")] == [
        *("title[de]", "seo title[de]", "attributes[de]", "option names[de]", "option values[de]"),
        *("image texts[de]", "media texts[de]"),
    ]
