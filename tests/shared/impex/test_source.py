"""Opening files: what they are, what they are not, and rows that do not fit."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import CrossdockError
from shared.impex import errors
from shared.impex.products import read_products
from shared.impex.records import BrokenRecord
from shared.impex.source import CsvSource, spooled, spooled_stream

pytestmark = pytest.mark.feature("CAT-5")


def opened(tmp_path: Path, content: bytes, **options: str) -> CsvSource:
    path = tmp_path / "upload.csv"
    path.write_bytes(content)
    return CsvSource.open(path, **options)


def rows(source: CsvSource) -> list[list[str]]:
    return [record[1] for record in source.records() if isinstance(record, tuple)]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("sku,name\n1,Café\n".encode(), "utf-8"),
        ("sku,name\n1,Café\n".encode("utf-8-sig"), "utf-8-sig"),
        ("sku,name\n1,Café\n".encode("utf-16"), "utf-16"),
        ("\ufeffsku,name\n1,Café\n".encode("utf-16-be"), "utf-16"),
        ("sku,name\n1,Café\n".encode("cp1252"), "cp1252"),
    ],
)
def test_encoding_is_detected(tmp_path: Path, content: bytes, encoding: str) -> None:
    source = opened(tmp_path, content)
    assert source.encoding == encoding
    assert source.header == ("sku", "name")
    assert rows(source) == [["1", "Café"]]


def test_a_file_that_ends_inside_a_character_is_not_taken_for_utf8(tmp_path: Path) -> None:
    assert rows(opened(tmp_path, b"sku,name\n1,caf\xe9")) == [["1", "café"]]


def test_encoding_can_be_named(tmp_path: Path) -> None:
    source = opened(tmp_path, "sku,name\n1,Čaj\n".encode("cp1250"), encoding="windows-1250")
    assert rows(source) == [["1", "Čaj"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected_past_quoted_lines_and_other_separators(tmp_path: Path, delimiter: str) -> None:
    lines = [["sku", "name", "text"], ["1", "a", '"two\nlines; of | this, and	that"'], ["2", "b", "c"]]
    source = opened(tmp_path, "\n".join(delimiter.join(line) for line in lines).encode())
    assert source.delimiter == delimiter
    assert [len(row) for row in rows(source)] == [3, 3]


def test_delimiter_can_be_named(tmp_path: Path) -> None:
    assert opened(tmp_path, b"a;b,c\n1;2,3\n", delimiter="semicolon").header == ("a", "b,c")


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize(
    ("content", "options", "error", "code"),
    [
        (b"", {}, errors.EmptyFile, "empty_file"),
        (b"\n \n\n", {}, errors.EmptyFile, "empty_file"),
        (b"\xef\xbb\xbf", {}, errors.EmptyFile, "empty_file"),
        (b"Handle,Title\n", {}, errors.NoRows, "no_rows"),
        (b"Handle,Title\n,\n,\n", {}, errors.NoRows, "no_rows"),
        (b"PK\x03\x04rest", {}, errors.NotAText, "not_a_text"),
        (b"\x89PNG\r\n\x1a\n", {}, errors.NotAText, "not_a_text"),
        (b"<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n", {}, errors.NotATable, "not_a_table"),
        (b'\n {"Handle": "x",\n "Title": "y"}\n', {}, errors.NotATable, "not_a_table"),
        (b'\xef\xbb\xbf[{"Handle": "x"}]', {}, errors.NotATable, "not_a_table"),
        (b"<?xml version='1.0'?>\n<products/>\n", {}, errors.NotATable, "not_a_table"),
        (b"{\\rtf1 Handle,Title\n", {}, errors.NotATable, "not_a_table"),
        (b"Handle,Title\nx,\0y\n", {}, errors.NotAText, "not_a_text"),
        ("Handle,Title\nx,y\n".encode("utf-16-le"), {}, errors.NotAText, "not_a_text"),
        (b"Handle,Title,handle\nx,y,z\n", {}, errors.DuplicateHeaders, "duplicate_headers"),
        (b'Handle,"Title\nx,y\n', {}, errors.InvalidHeader, "invalid_header"),
        (b",".join(b"c%d" % n for n in range(1001)) + b"\n1\n", {}, errors.HeaderTooWide, "header_too_wide"),
        (b"Handle,Title\nx,y\n", {"encoding": "rot13"}, errors.UnknownEncoding, "unknown_encoding"),
        (b"Handle,Title\nx,y\n", {"encoding": "klingon"}, errors.UnknownEncoding, "unknown_encoding"),
        (b"Handle,Title\nx,y\n", {"delimiter": "x"}, errors.InvalidDelimiter, "invalid_delimiter"),
        ("Título,é\nñ,à\n".encode() + b"\xff,z\n", {}, errors.InvalidEncoding, "invalid_encoding"),
        (b"Handle,Title\nx,\x81\n", {}, errors.InvalidEncoding, "invalid_encoding"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_a_named_error(
    tmp_path: Path, content: bytes, options: dict[str, str], error: type[CrossdockError], code: str
) -> None:
    with pytest.raises(error) as raised:
        opened(tmp_path, content, **options)
    assert raised.value.code == code
    assert raised.value.status in (413, 422)
    assert len(raised.value.detail) > 20


def test_invalid_utf8_far_inside_names_its_line(tmp_path: Path) -> None:
    content = b"sku,name\n" + b"1,plain\n" * 100_000 + b"2,caf\xe9\n" + b"3,plain\n" * 1000
    source = opened(tmp_path, content)
    with pytest.raises(errors.InvalidEncoding, match=r"Line 100002 .*utf-8"):
        list(source.records())


@pytest.mark.feature("CAT-7")
def test_broken_rows_are_said_and_the_others_go_on(tmp_path: Path) -> None:
    content = (
        b'sku,name,price\n1,a,1\n2,b\n3,c,3,x\n4,"say "hi"",4\n5,"never closed,5\n6,f,6\n7,"g",7\n\n'
        b'8,h,8,,\n9,"i\n\ni",9\n10,"ha'
    )
    records = list(opened(tmp_path, content).records())
    broken = [(record.row, record.code) for record in records if isinstance(record, BrokenRecord)]
    assert broken == [
        (3, "too_few_fields"),
        (4, "too_many_fields"),
        (5, "stray_quote"),
        (6, "unterminated_quote"),
        (14, "unterminated_quote"),
    ]
    good = [(record[0], record[1][0]) for record in records if isinstance(record, tuple)]
    assert good == [(2, "1"), (7, "6"), (8, "7"), (10, "8"), (11, "9")]


def test_a_nul_far_inside_is_a_row_error(tmp_path: Path) -> None:
    source = opened(tmp_path, b"sku,name\n" + b"1,plain\n" * 40_000 + b"2,\0\n3,c\n")
    broken = [record for record in source.records() if isinstance(record, BrokenRecord)]
    assert [(record.row, record.code, record.fields) for record in broken] == [
        (40_002, "invalid_character", ["2", "\ufffd"])
    ]


def test_a_line_without_end_is_one_row_error_in_bounded_memory(tmp_path: Path) -> None:
    source = opened(tmp_path, b"sku,name\n1,a\n2," + b"x" * 20_000_000 + b"\n3,c\n")
    tracemalloc.start()
    try:
        records = list(source.records())
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert [record.code if isinstance(record, BrokenRecord) else record[1][0] for record in records] == [
        "1",
        "row_too_long",
        "3",
    ]


def test_a_file_of_broken_quotes_is_given_up(tmp_path: Path) -> None:
    source = opened(tmp_path, b"sku,name\n" + b'a","b\n' * 200_000)
    with pytest.raises(errors.TooManyBrokenQuotes):
        list(source.records())


def test_reading_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"Handle,Title,Variant Price\n")
        file.writelines(b"p%d,A product,%d.50\n" % (n, n) for n in range(60_000))
    source = CsvSource.open(path)
    tracemalloc.start()
    try:
        count = sum(1 for _ in source.records())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert count == 60_000


async def test_streams_are_spooled_and_removed() -> None:
    async def stream():
        yield b"sku,name\n1,"
        yield b"a\n"

    async with spooled_stream(stream()) as path:
        assert rows(CsvSource.open(path)) == [["1", "a"]]
    assert not path.exists()
    with spooled([b"sku,", b"name\n1,a\n"]) as path:
        assert rows(CsvSource.open(path)) == [["1", "a"]]
    assert not path.exists()


TROUBLE = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet='Handle,Title;"\n\r\t|\0x1é', max_size=200).map(str.encode),
    st.tuples(
        st.sampled_from(
            [b"Handle,Title,Variant Price,Option1 Value,Tags\n", b"handle;price;images;attributes;categories\n"]
        ),
        st.binary(max_size=300) | st.text(alphabet='ab,;"\n\r\\|>= é-0123456789.', max_size=300).map(str.encode),
    ).map(b"".join),
)


@given(content=TROUBLE)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_only_named_errors_come_out(tmp_path: Path, content: bytes) -> None:
    refusal = None
    outcomes = []
    try:
        outcomes = list(read_products(opened(tmp_path, content), None, "USD"))
    except CrossdockError as error:
        refusal = error
    assert outcomes or (refusal is not None and refusal.status in (413, 422))
