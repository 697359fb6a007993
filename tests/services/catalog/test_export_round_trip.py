"""What is exported and imported again is unchanged, whatever it says (CAT-10)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import (
    CreateCategory,
    CreatePriceList,
    CreateProduct,
    ListProducts,
    SetPrices,
    SetProductText,
)
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import (
    Image,
    Media,
    OrderLimits,
    ProductDraft,
    ProductText,
    VariantDraft,
)
from shared.errors import CrossdockError
from shared.impex.cells import check_digit
from shared.measures import Dimensions, Weight
from shared.money import Money
from tests.conftest import examples
from tests.factories.catalog import Catalog
from tests.factories.exports import content, exported, run, start

pytestmark = pytest.mark.feature("CAT-10", "CAT-8")

AWKWARD = st.sampled_from(
    (
        *(
            "=1+1",
            "+49 30",
            "-5",
            "@sum",
            "'tis",
            "'=x",
            "''-1",
            "＝1",
            "007",
            "1E+12",
            "1,50",
            "true",
            "null",
            "\\",
            "\\\\",
        ),
        *("a|b", "a > b", "a=b", "a\\|b", '"', '""', "'", ",", ";", "\t=x", "a\tb", "a\nb", "a\r\nb", "a\rb", "\u2028"),
        *(
            "مرحبا",
            "\u202eabc",
            "👩‍👧",
            "e\u0301",
            "é",
            "_x000D_",
            "<b>",
            "&amp;",
            "NaN",
            " x",
            "x ",
            "x\\ ",
            "\ufeffx",
        ),
    )
)
CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0\x1c\x1d\x1e\x1f\x85")
TEXT = AWKWARD | st.text(CHARACTERS, max_size=10)
WORD = TEXT.map(str.strip).filter(bool)
GTIN = st.integers(0, 10**12 - 1).map(lambda n: f"{n:012d}" + check_digit(f"{n:012d}"))
ADDRESS = st.sampled_from(("https://images.example/a|b.jpg", "http://x/>=\\", "https://x/,;'\"", "https://é/👩"))
SLUG = st.sampled_from(("mug", "0-7", "кафе", "йод", "が", "école", "हिन्दी", "ß", "x1-y2", "e\u0301a"))


SIZE = st.decimals(0, 1000, places=3)
WEIGHT = st.fixed_dictionaries({"weight_grams": st.none() | st.integers(0, 10**6)}) | st.fixed_dictionaries(
    {"weight": st.builds(Weight, value=SIZE, unit=st.sampled_from(("g", "kg", "oz", "lb")))}
)
DIMENSIONS = st.builds(
    lambda sides, unit: Dimensions(**sides, unit=unit),
    st.dictionaries(st.sampled_from(("length", "width", "height")), SIZE, min_size=1),
    st.sampled_from(("mm", "cm", "m", "in", "ft")),
)
LIMITS = st.sampled_from((OrderLimits(minimum=2, maximum=10, step=2), OrderLimits(minimum=3), OrderLimits()))
ALTS = st.dictionaries(st.sampled_from(("de", "pt-BR", "sr-Latn-RS")), TEXT, max_size=2)


@st.composite
def media(draw: st.DrawFn) -> list[Media]:
    """Pictures and others as they come."""
    shown = []
    for url in draw(st.lists(ADDRESS, max_size=4, unique=True)):
        kind = draw(st.sampled_from(("image", "image", "video", "document", "model_3d")))
        preview = None if kind == "image" else draw(st.none() | ADDRESS)
        shown.append(Media(kind=kind, url=url, alt=draw(st.none() | TEXT), alts=draw(ALTS), preview_url=preview))
    return shown


@st.composite
def texts(draw: st.DrawFn, product: ProductDraft) -> ProductText:
    options = st.sampled_from(product.options) if product.options else st.nothing()
    words_of = st.dictionaries(options, WORD, max_size=2) if product.options else st.just({})
    values = st.dictionaries(WORD, WORD, max_size=2)
    return ProductText(
        locale=draw(st.sampled_from(("de", "pt-BR", "sr-Latn-RS"))),
        title=draw(st.none() | WORD),
        description_html=draw(st.none() | TEXT),
        seo_title=draw(st.none() | WORD),
        seo_description=draw(st.none() | TEXT),
        content_html=draw(st.none() | TEXT),
        attributes=draw(st.dictionaries(WORD, TEXT, max_size=2)),
        option_names=draw(words_of),
        option_values=draw(st.dictionaries(options, values, max_size=2)) if product.options else {},
    )


def words(most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(WORD, max_size=most, unique_by=str.casefold)


@st.composite
def variants(draw: st.DrawFn, number: int, options: list[str]) -> list[VariantDraft]:
    values = draw(
        st.lists(
            st.tuples(*[WORD] * len(options)),
            max_size=3 if options else 1,
            unique_by=lambda words: tuple(map(str.casefold, words)),
        )
    )
    return [
        VariantDraft(
            sku=f"{draw(WORD)}{number}-{index}",
            options=dict(zip(options, given, strict=True)),
            barcode=draw(st.none() | GTIN),
            barcodes=draw(st.lists(GTIN, max_size=2, unique=True)),
            mpn=draw(st.none() | WORD),
            **draw(WEIGHT),
            dimensions=draw(st.none() | DIMENSIONS),
            price_on_request=draw(st.booleans()),
            order_limits=draw(st.none() | LIMITS),
            attributes=draw(st.dictionaries(WORD, TEXT, max_size=2)),
            tax_code=draw(st.none() | WORD),
            requires_shipping=draw(st.booleans()),
            taxable=draw(st.booleans()),
            image_url=draw(st.none() | ADDRESS),
        )
        for index, given in enumerate(values)
    ]


@st.composite
def products(draw: st.DrawFn, number: int, category_ids: list[UUID]) -> ProductDraft:
    options = draw(words(3))
    return ProductDraft(
        title=draw(WORD),
        slug=draw(st.none() | SLUG.map(lambda slug: f"{slug}-{number}")),
        description_html=draw(TEXT),
        brand=draw(st.none() | WORD),
        product_type=draw(st.none() | WORD),
        tags=draw(st.lists(WORD, max_size=3)),
        status=draw(st.sampled_from(("draft", "paused"))),
        seo_title=draw(st.none() | WORD),
        seo_description=draw(st.none() | TEXT),
        options=options,
        attributes=draw(st.dictionaries(WORD, TEXT, max_size=3)),
        content_html=draw(st.none() | TEXT),
        featured=draw(st.booleans()),
        media=draw(media()),
        category_ids=draw(st.lists(st.sampled_from(category_ids), max_size=3, unique=True)) if category_ids else [],
        variants=draw(variants(number, options)),
    )


MOMENT = st.integers(0, 10 * 365 * 86400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@st.composite
def prices(draw: st.DrawFn, skus: list[str]) -> list[PriceDraft]:
    amount = st.integers(0, 10**9).map(lambda amount: Money(amount=amount, currency="KWD"))
    keys = st.tuples(st.sampled_from((1, 2, 10)), st.sampled_from((None, None, "north")), st.none() | MOMENT)
    found = []
    for sku in skus:
        for quantity, centre, starts_at in draw(st.lists(keys, max_size=3, unique=True)):
            ends_at = draw(st.none() | MOMENT.filter(lambda at, begins=starts_at: begins is None or at > begins))
            price = draw(st.none() | amount)
            found.append(
                PriceDraft(
                    sku=sku,
                    minimum_quantity=quantity,
                    price=price,
                    list_price=None if price is None else draw(st.none() | amount),
                    on_request=price is None,
                    centre=centre,
                    starts_at=starts_at,
                    ends_at=ends_at,
                )
            )
    return found


@st.composite
def price_lists(draw: st.DrawFn) -> list[PriceListDraft]:
    """Lists of everybody and of groups, some of one name, some over."""
    dates = st.sampled_from(((None, None), (None, None), (datetime(2020, 1, 1, tzinfo=UTC), None)))
    drafts = []
    for name, group in draw(st.lists(st.tuples(st.sampled_from(("All", "Sale")), st.none() | WORD), max_size=4)):
        starts_at, ends_at = draw(dates)
        drafts.append(
            PriceListDraft(shop="main", name=name, customer_group=group, starts_at=starts_at, ends_at=ends_at)
        )
    return drafts


async def fill(catalog: Catalog, data: st.DataObject) -> None:
    """A catalog as people make it through the doors; what they refuse is not in it."""
    await catalog.open_shop(currency="KWD")
    category_ids: list[UUID] = []
    for _ in range(data.draw(st.integers(0, 4))):
        parent = data.draw(st.none() | st.sampled_from(category_ids)) if category_ids else None
        by_language = st.sampled_from(("de", "pt-BR", "sr-Latn-RS"))
        draft = CategoryDraft(
            name=data.draw(WORD),
            slug=data.draw(st.none() | SLUG),
            parent_id=parent,
            names=data.draw(st.dictionaries(by_language, WORD, max_size=2)),
            slugs=data.draw(st.dictionaries(by_language, SLUG, max_size=2)),
            enabled=data.draw(st.booleans()),
            position=data.draw(st.integers(0, 100)),
            valid_from=data.draw(st.none() | MOMENT),
            valid_until=data.draw(st.none() | MOMENT.map(lambda at: at + timedelta(days=3660))),
        )
        category_ids += [made.id for made in await taken(catalog, CreateCategory(draft=draft))]
    skus: list[str] = []
    for number in range(data.draw(st.integers(1, 4))):
        draft_of_product = data.draw(products(number, category_ids))
        if await taken(catalog, CreateProduct(draft=draft_of_product)):
            skus += [variant.sku for variant in draft_of_product.variants]
    for made in (await catalog.ask(ListProducts())).items:
        for text in data.draw(st.lists(texts(made), max_size=2)):
            await taken(catalog, SetProductText(product_id=made.id, text=text))
    await catalog.open_centre("north")
    for draft_of_list in data.draw(price_lists()):
        price_list = await catalog.ask(CreatePriceList(draft=draft_of_list))
        wanted = data.draw(prices(skus))
        if wanted:
            await catalog.ask(SetPrices(price_list_id=price_list.id, prices=wanted))


async def taken(catalog: Catalog, message: Any) -> list[Any]:
    try:
        return [await catalog.ask(message)]
    except CrossdockError as error:
        if error.status not in (409, 422):
            raise
        return []


STORED = (
    "products",
    "product_texts",
    "variants",
    "product_categories",
    "categories",
    "shop_categories",
    "price_lists",
    "prices",
)


async def stored(catalog: Catalog) -> dict[str, list[str]]:
    """All that is stored, and all that was announced."""
    found = {table: await catalog.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in STORED}
    found["events"] = await catalog.rows("SELECT name FROM outbox WHERE name NOT LIKE 'platform.%'")
    return {table: [row[0] for row in rows] for table, rows in found.items()}


@given(data=st.data(), format=st.sampled_from(["csv", "csv", "ndjson", "json", "parquet", "xlsx"]))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
async def test_products_come_back_unchanged(process: topology.Surrounded, data: st.DataObject, format: str) -> None:
    catalog = Catalog(process)
    await fill(catalog, data)
    before = await stored(catalog)
    done = await run(catalog, await start(catalog, group="products", shop="main", format=format))
    assert (done.state, done.error, done.counters["products"]) == ("succeeded", None, len(before["products"]))
    if not before["products"]:
        return
    file = await content(catalog, done)

    imported = await catalog.bring_in(file, shop="main")

    remarks = await catalog.rows("SELECT column_name, value, code, message FROM import_remarks")
    assert [tuple(row) for row in remarks] == []
    assert imported.state == "succeeded"
    assert {name: count for name, count in imported.counters.items() if count} == {
        name: count
        for name, count in {
            "rows": done.counters["rows"],
            "products_unchanged": len(before["products"]),
            "variants_unchanged": len(before["variants"]),
            "prices_unchanged": imported.counters.get("prices_unchanged", 0),
        }.items()
        if count
    }
    assert await stored(catalog) == before


@given(data=st.data(), format=st.sampled_from(["csv", "ndjson", "json", "parquet", "xlsx"]))
@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
async def test_variants_and_prices_come_back_unchanged(
    process: topology.Surrounded, data: st.DataObject, format: str
) -> None:
    catalog = Catalog(process)
    await fill(catalog, data)
    before = await stored(catalog)
    for group, imported_as in (("variants", "products"), ("prices", "prices")):
        done = await run(catalog, await start(catalog, group=group, shop="main", format=format))
        assert done.counters["rows"] == len(before[group])
        if not before[group]:
            continue
        imported = await catalog.bring_in(await content(catalog, done), group=imported_as, shop="main")
        remarks = await catalog.rows("SELECT column_name, value, code, message FROM import_remarks")
        assert [tuple(row) for row in remarks] == []
        assert imported.counters[f"{group}_unchanged"] == len(before[group])
        assert await stored(catalog) == before


@pytest.mark.feature("CAT-2")
@given(data=st.data(), format=st.sampled_from(["csv", "ndjson", "json", "parquet", "xlsx"]))
@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
async def test_categories_come_back_unchanged(process: topology.Surrounded, data: st.DataObject, format: str) -> None:
    catalog = Catalog(process)
    await fill(catalog, data)
    before = await stored(catalog)
    done = await run(catalog, await start(catalog, group="categories", shop="main", format=format))
    assert done.counters["rows"] == len(before["categories"])
    if not before["categories"]:
        return
    imported = await catalog.bring_in(await content(catalog, done), group="categories", shop="main")
    remarks = await catalog.rows("SELECT code FROM import_remarks")
    assert {row["code"] for row in remarks} <= {"columns_not_kept"}
    assert imported.counters["categories_unchanged"] == len(before["categories"])
    assert await stored(catalog) == before


async def test_a_file_for_another_catalog_makes_the_same_there(shop_catalog: Catalog, catalog: Catalog) -> None:
    """Not only does nothing change where it came from: what is there is all in the file."""
    await shop_catalog.ask(
        CreateProduct(
            draft=ProductDraft(
                title="=1+1",
                description_html='"quoted"\nlines',
                tags=["a|b", "-5"],
                attributes={"a=b": "x > y\\"},
                options=["Size"],
                images=[Image(url="https://x/1", alt="'=x")],
                variants=[VariantDraft(sku="-007", options={"Size": "+1"}, weight_grams=5, tax_code="@1")],
            )
        )
    )
    file = await exported(shop_catalog)
    other = Catalog(shop_catalog.process)
    await other.open_shop()
    assert (await other.bring_in(file)).counters["products_inserted"] == 1
    assert await exported(other) == file.replace(b",draft,,", b",draft,Uncategorised,")
