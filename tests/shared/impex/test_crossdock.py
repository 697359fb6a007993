"""Crossdock's own file: what is written is what is read."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from shared.impex.cells import check_digit
from shared.impex.keys import slug
from shared.impex.products import ProductFile
from shared.impex.profiles.composing import MEDIA_KINDS
from shared.impex.profiles.crossdock import HEADER, LOCALIZED
from shared.impex.rows import (
    ImageRecord,
    MediumRecord,
    Notice,
    OrderLimitsRecord,
    ProductRecord,
    ProductStatus,
    RowError,
    StockPolicy,
    TextRecord,
    VariantRecord,
)
from shared.impex.source import CsvSource
from shared.measures import Dimensions, Weight
from shared.money import Money
from tests.shared.impex.crossdock_files import LOCALES, write_products

pytestmark = pytest.mark.feature("CAT-5", "CAT-10")

WORD = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("|>=\\\"',;\n"),
    min_size=1,
    max_size=12,
).filter(lambda text: text == text.strip() and text)
MONEY = st.none() | st.integers(0, 10**9).map(lambda amount: Money(amount=amount, currency="EUR"))
ADDRESS = st.text("abc/|=>?", max_size=8).map(lambda path: f"https://images.example/x{path}")
GTIN = st.integers(0, 10**12 - 1).map(lambda n: f"{n:012d}" + check_digit(f"{n:012d}"))
SIZE = st.decimals(0, 1000, places=3)
DIMENSIONS = st.builds(
    lambda sides, unit: Dimensions(**sides, unit=unit),
    st.dictionaries(st.sampled_from(("length", "width", "height")), SIZE, min_size=1),
    st.sampled_from(("mm", "cm", "m", "in", "ft")),
)
LIMITS = st.sampled_from(
    (OrderLimitsRecord(2, 10, 2), OrderLimitsRecord(minimum=3), OrderLimitsRecord(maximum=1, step=1))
)
PAIRS = st.dictionaries(WORD, WORD, max_size=2).map(lambda pairs: tuple(pairs.items()))


@st.composite
def texts(draw: st.DrawFn) -> tuple[TextRecord, ...]:
    found = []
    for locale in draw(st.lists(st.sampled_from(LOCALES), unique=True).map(sorted)):
        names = ("title", "description_html", "content_html", "seo_title", "seo_description")
        said = {name: draw(st.none() | WORD) for name in names}
        values = draw(st.dictionaries(st.tuples(WORD, WORD), WORD, max_size=2))
        text = TextRecord(
            locale,
            **said,
            attributes=draw(PAIRS),
            option_names=draw(PAIRS),
            option_values=tuple((*key, word) for key, word in values.items()),
        )
        found += [text] if text != TextRecord(locale) else []
    return tuple(found)


def distinct(words: st.SearchStrategy[str], most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(words, max_size=most, unique_by=str.casefold).map(tuple)


@st.composite
def variants(draw: st.DrawFn, handle: str, options: int) -> tuple[VariantRecord, ...]:
    values = draw(
        st.lists(
            st.tuples(*[WORD] * options),
            min_size=0 if not options else 1,
            max_size=3 if options else 1,
            unique_by=lambda words: tuple(map(str.casefold, words)),
        )
    )
    barcodes = draw(st.lists(GTIN, max_size=3, unique=True))
    weight = draw(st.none() | st.builds(Weight, value=SIZE, unit=st.sampled_from(("g", "kg", "oz", "lb"))))
    return tuple(
        VariantRecord(
            row=0,
            sku=f"{handle}-{number}",
            option_values=words,
            barcode=barcodes[0] if barcodes else None,
            barcodes=tuple(barcodes[1:]),
            weight=weight,
            dimensions=draw(st.none() | DIMENSIONS),
            order_limits=draw(st.none() | LIMITS),
            price_on_request=draw(st.none() | st.booleans()),
            attributes=draw(PAIRS),
            mpn=draw(st.none() | WORD),
            price=draw(MONEY),
            list_price=draw(MONEY),
            cost=draw(MONEY),
            weight_grams=draw(st.none() | st.integers(0, 10**6)) if weight is None else weight.grams,
            quantity=draw(st.none() | st.integers(0, 10**6)),
            stock_policy=draw(st.none() | st.sampled_from(StockPolicy)),
            requires_shipping=draw(st.none() | st.booleans()),
            taxable=draw(st.none() | st.booleans()),
            tax_code=draw(st.none() | WORD),
            image_url=draw(st.none() | ADDRESS),
        )
        for number, words in enumerate(values)
    )


@st.composite
def products(draw: st.DrawFn) -> list[ProductRecord]:
    handles = draw(st.lists(WORD.map(slug).filter(bool), min_size=1, max_size=4, unique=True))
    made = []
    for handle in handles:
        names = draw(distinct(WORD, 3))
        addresses = draw(st.lists(ADDRESS, max_size=3, unique=True))
        images = [ImageRecord(url, n, draw(st.none() | WORD)) for n, url in enumerate(addresses, start=1)]
        others = draw(st.lists(ADDRESS.map(lambda url: f"{url}m"), max_size=3, unique=True))
        media = [
            MediumRecord(
                draw(st.sampled_from(MEDIA_KINDS)),
                url,
                draw(st.none() | st.integers(0, 9)),
                draw(st.none() | WORD),
                draw(st.none() | ADDRESS),
            )
            for url in others
        ]
        shown = [(locale, url) for locale in LOCALES for url in (*addresses, *others)]
        alts = draw(st.dictionaries(st.sampled_from(shown), WORD, max_size=3)) if shown else {}
        made.append(
            ProductRecord(
                handle=handle,
                rows=(),
                title=draw(WORD),
                description_html=draw(st.none() | WORD),
                brand=draw(st.none() | WORD),
                product_type=draw(st.none() | WORD),
                tags=draw(distinct(WORD, 3)),
                status=draw(st.none() | st.sampled_from(ProductStatus)),
                seo_title=draw(st.none() | WORD),
                seo_description=draw(st.none() | WORD),
                categories=tuple(
                    dict.fromkeys(draw(st.lists(st.lists(WORD, min_size=1, max_size=3).map(tuple), max_size=2)))
                ),
                attributes=tuple(draw(st.dictionaries(WORD, WORD, max_size=2)).items()),
                option_names=names,
                images=tuple(images),
                content_html=draw(st.none() | WORD),
                featured=draw(st.none() | st.booleans()),
                media=tuple(media),
                alts=tuple(sorted((url, locale, words) for (locale, url), words in alts.items())),
                texts=draw(texts()),
                variants=draw(variants(handle, len(names))),
            )
        )
    return made


def written(tmp_path: Path, records: list[ProductRecord], delimiter: str = ",") -> ProductFile:
    path = tmp_path / "crossdock.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_products(records, file, delimiter)
    return ProductFile(CsvSource.open(path, delimiter=delimiter), "crossdock", "EUR")


def without_rows(product: ProductRecord) -> ProductRecord:
    variants = tuple(structs.replace(variant, row=0) for variant in product.variants)
    return structs.replace(product, rows=(), variants=variants, alts=tuple(sorted(product.alts)))


@given(records=products(), delimiter=st.sampled_from(",;\t|"))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(tmp_path: Path, records: list[ProductRecord], delimiter: str) -> None:
    outcomes = list(written(tmp_path, records, delimiter).read())
    assert [without_rows(outcome) if isinstance(outcome, ProductRecord) else outcome for outcome in outcomes] == records


def test_its_headings_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("Handle;Title;Option 1 Name;option_1_value;SKU;Price\nmug;Mug;Size;S;M-S;5,50\nmug;;;L;M-L;6\n")
    file = ProductFile(CsvSource.open(path), None, "EUR")
    assert file.profile.name == "crossdock"
    [product] = file.read()
    assert isinstance(product, ProductRecord)
    assert product.rows == (2, 3)
    assert [variant.price and variant.price.amount for variant in product.variants] == [550, 600]


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("attributes", "wool", "invalid_attribute"),
        ("status", "gone", "invalid_status"),
        ("images", "photo.jpg", "invalid_url"),
        ("stock policy", "never", "invalid_stock_policy"),
        ("taxable", "perhaps", "invalid_boolean"),
        ("featured", "perhaps", "invalid_boolean"),
        ("media", "https://x/film.mp4", "invalid_media"),
        ("media", "film=https://x/film.mp4", "invalid_media"),
        ("media", "image=https://x/a.jpg", "invalid_media"),
        ("media", "video=https://x/a | audio=https://x/a", "invalid_media"),
        ("media positions", "first", "invalid_integer"),
        ("media positions", "0", "invalid_integer"),
        ("barcodes", "4006381333931 | 123", "invalid_gtin"),
        ("variant attributes", "wool", "invalid_attribute"),
        ("weight", "-1", "invalid_number"),
        ("weight", "1e400", "invalid_number"),
        ("weight", "NaN", "invalid_number"),
        ("length", "1.2345678", "invalid_number"),
        ("order step", "0", "invalid_integer"),
        ("attributes[de]", "Wolle", "invalid_attribute"),
        ("option values[de]", "Red=Rot", "invalid_option_value"),
        ("option values[de]", "Colour > Red", "invalid_option_value"),
        ("option values[de]", "C > Red=Rot | C > Red=Roh", "invalid_option_value"),
    ],
)
def test_cells_that_cannot_be_read(tmp_path: Path, column: str, cell: str, code: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"handle,title,sku,{column}\nmug,Mug,M,{cell}\n")
    [error] = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(error, RowError)
    assert (error.row, error.column, error.value, error.code) == (2, column, cell, code)


@pytest.mark.feature("CAT-7")
def test_of_several_things_in_a_cell_the_one_at_fault_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("handle,title,sku,media\nmug,Mug,M,video=https://x/a.mp4 | video=film.mp4\n")
    [error] = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(error, RowError)
    assert (error.column, error.value, error.code) == ("media", "film.mp4", "invalid_url")


@pytest.mark.feature("CAT-1", "CAT-7")
@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"weight": "1"}, "missing_unit"),
        ({"weight": "1", "weight unit": "stone"}, "invalid_weight"),
        ({"weight": "9999999", "weight unit": "kg"}, "invalid_weight"),
        ({"weight": "0.18", "weight unit": "kg", "weight grams": "200"}, "contradictory_weight"),
        ({"length": "4"}, "missing_unit"),
        ({"width": "4", "dimension unit": "mile"}, "invalid_dimensions"),
        ({"order minimum": "3", "order step": "2"}, "invalid_order_limits"),
        ({"order minimum": "3", "order maximum": "2"}, "invalid_order_limits"),
        ({"barcode": "4006381333931", "barcodes": "04006381333931"}, "duplicate_barcode"),
        ({"barcodes": "4006381333931 | 4006381333931"}, "duplicate_barcode"),
    ],
)
def test_columns_that_do_not_go_together(tmp_path: Path, cells: dict[str, str], code: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"handle,title,sku,{','.join(cells)}\nmug,Mug,M,{','.join(cells.values())}\n")
    [error] = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(error, RowError)
    assert (error.row, error.code) == (2, code)
    assert error.message.endswith(".")


@pytest.mark.feature("CAT-1")
def test_a_heading_says_its_language(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "handle,title,Title [DE],seo_title[pt-br],title[nowhere-at-all-there],brand[de],x[de]\nm,M,a,b,c,d,e\n"
    )
    *notices, product = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(product, ProductRecord)
    assert product.texts == (TextRecord("de", title="a"), TextRecord("pt-BR", seo_title="b"))
    assert [notice.column for notice in notices if isinstance(notice, Notice)] == [
        "title[nowhere-at-all-there]",
        "brand[de]",
        "x[de]",
    ]


def test_every_column_is_documented() -> None:
    from shared.impex.profiles import crossdock

    documented = crossdock.__doc__ or ""
    for heading in HEADER:
        if not heading.startswith("option "):
            assert f"`{heading}`" in documented
    for heading in LOCALIZED:
        assert f"`{heading}`" in documented or f"`{heading}[de]`" in documented


def test_a_product_without_sku_column_gets_skus(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("handle,title,price\nmug,Mug,5\n")
    notice, product = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(notice, Notice)
    assert (notice.code, notice.column) == ("sku_generated", None)
    assert isinstance(product, ProductRecord)
    assert product.variants[0].sku_generated


def test_a_backslash_at_the_end_is_a_backslash(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("handle,title,tags,categories,attributes\nmug,Mug,a | wool\\,Home > Cups\\,fibre=wool\\\n")
    [product] = ProductFile(CsvSource.open(path), "crossdock", "EUR").read()
    assert isinstance(product, ProductRecord)
    assert product.tags == ("a", "wool\\")
    assert product.categories == (("Home", "Cups\\"),)
    assert product.attributes == (("fibre", "wool\\"),)


@pytest.mark.feature("CAT-8")
def test_a_surveyed_file_is_not_read_again_for_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.csv"
    path.write_text("handle,title,sku\nmug,Mug,M\nmug,Mug\ncup,Cup,M\n")
    file = ProductFile(CsvSource.open(path), "crossdock", "EUR")
    assert [row for row, _ in file.survey()] == [2, 4]
    passes = []
    read = CsvSource.records
    monkeypatch.setattr(CsvSource, "records", lambda source: passes.append(1) or read(source))
    errors = [(each.row, each.code) for each in file.read() if isinstance(each, RowError)]
    assert sorted(errors) == [(2, "duplicate_sku"), (3, "too_few_fields"), (4, "duplicate_sku")]
    assert len(passes) == 1
