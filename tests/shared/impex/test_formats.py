"""Files of every format: what they are is seen in their content; what their cells say is the same in all."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import CrossdockError
from shared.impex import errors, sandbox
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.records import BrokenRecord
from shared.impex.source import Source
from shared.impex.workbook_file import write_workbook
from tests.factories.workbooks import workbook, zipped

pytestmark = pytest.mark.feature("CAT-5")

HEADER = ["Handle", "Title", "Variant SKU", "Variant Price"]
ROWS = [["mug", "Becher, groß", "007", "1.50"], ["cup", 'a "b"\nc', "008", ""]]


def csv_bytes(header: list[str], rows: list[list[str]]) -> bytes:
    import csv

    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def ndjson_bytes(header: list[str], rows: list[list[str]]) -> bytes:
    return b"".join(json.dumps(dict(zip(header, row, strict=True))).encode() + b"\n" for row in rows)


def json_bytes(header: list[str], rows: list[list[str]]) -> bytes:
    return json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1).encode()


def parquet_bytes(header: list[str], rows: list[list[str]]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String()), orient="row").write_parquet(file)
    return file.getvalue()


def xlsx_bytes(header: list[str], rows: list[list[str]]) -> bytes:
    file = io.BytesIO()
    write_workbook([header, *rows], file)
    return file.getvalue()


WRITERS: dict[str, Callable[[list[str], list[list[str]]], bytes]] = {
    "csv": csv_bytes,
    "ndjson": ndjson_bytes,
    "json": json_bytes,
    "parquet": parquet_bytes,
    "xlsx": xlsx_bytes,
}


def opened(tmp_path: Path, content: bytes, **options: Any) -> Source:
    path = tmp_path / "upload.csv"
    path.write_bytes(content)
    return open_source(path, ReadingOptions(**options))


def read(tmp_path: Path, content: bytes, **options: Any) -> tuple[list[str], list[list[str]]]:
    source = opened(tmp_path, content, **options)
    return list(source.header), [record[1] for record in source.records() if isinstance(record, tuple)]


def broken(source: Source) -> list[tuple[int, str]]:
    return [(record.row, record.code) for record in source.records() if isinstance(record, BrokenRecord)]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zipped"])
@pytest.mark.parametrize("name", WRITERS)
def test_the_format_is_seen_in_the_content(tmp_path: Path, name: str, packed: bool) -> None:
    content = WRITERS[name](HEADER, ROWS)
    source = opened(tmp_path, zipped({"a b/Products.bin": content}) if packed else content)
    assert source.format == name
    assert source.header == tuple(HEADER)
    for _ in range(2):
        assert [record[1] for record in source.records() if isinstance(record, tuple)] == ROWS


@pytest.mark.parametrize(
    ("name", "numbers"), [("csv", [2, 3]), ("ndjson", [1, 2]), ("json", [1, 2]), ("parquet", [1, 2]), ("xlsx", [2, 3])]
)
def test_rows_are_numbered_as_their_uploader_counts(tmp_path: Path, name: str, numbers: list[int]) -> None:
    source = opened(tmp_path, WRITERS[name](HEADER, ROWS))
    assert [record[0] for record in source.records() if isinstance(record, tuple)] == numbers


def test_what_was_spooled_goes_with_the_source(tmp_path: Path) -> None:
    source = opened(tmp_path, zipped({"a.xlsx": xlsx_bytes(HEADER, ROWS)}))
    assert len(list(tmp_path.iterdir())) > 1
    del source
    assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=5).filter(lambda r: any(r[0])))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read(tmp_path: Path, name: str, rows: list[list[str]]) -> None:
    # A first row tells the delimiter, and that the columns are two.
    table = [["first", "row"], *rows]
    expected = [row for row in table if any(row)]
    assert read(tmp_path, WRITERS[name](["sku", "name"], table)) == (["sku", "name"], expected)


# --- values


NUMBERS = [
    ("1.0", "1"),
    ("1E+12", "1000000000000"),
    ("1.50", "1.5"),
    ("0.1", "0.1"),
    ("-0.0", "0"),
    ("4006381333931", "4006381333931"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("1e-7", "0.0000001"),
]


@pytest.mark.parametrize("as_lines", [True, False])
@pytest.mark.parametrize(("literal", "text"), NUMBERS)
def test_json_numbers_are_exact(tmp_path: Path, literal: str, text: str, as_lines: bool) -> None:
    line = f'{{"n": {literal}, "t": "007"}}'
    assert read(tmp_path, (line if as_lines else f"[{line}]").encode())[1] == [[text, "007"]]


@pytest.mark.parametrize("as_lines", [True, False])
def test_json_values_become_cells(tmp_path: Path, as_lines: bool) -> None:
    line = '{"Handle": "x", "Published": true, "Variant Taxable": false, "Title": null, "Tags": ["a", "b", 1.0]}'
    header, rows = read(tmp_path, (line if as_lines else f"[{line}]").encode())
    assert dict(zip(header, rows[0], strict=True)) == {
        "Handle": "x",
        "Published": "true",
        "Variant Taxable": "false",
        "Title": "",
        "Tags": "a, b, 1",
    }


def test_lists_are_written_as_the_profile_does(tmp_path: Path) -> None:
    line = b'{"handle": "x", "title": "X", "tags": ["a|b", "c"], "categories": ["A > B", "C"], "attributes": ["m=n"]}'
    _, [row] = read(tmp_path, line)
    assert row[2:] == ["a\\|b | c", "A > B | C", "m=n"]


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize("as_lines", [True, False])
def test_what_fits_no_cell_is_the_fault_of_its_row(tmp_path: Path, as_lines: bool) -> None:
    lines = [
        '{"Handle": "a", "Title": "A"}',
        '{"Handle": "b", "Title": {"de": "B"}}',
        '{"Handle": "c", "Title": ["C", "D"]}',
        '{"Handle": "d", "Tags": ["x, y", "z"]}',
        '{"Handle": "e", "Variant Price": NaN}',
        '{"Handle": "f", "Variant Price": 1e400}',
        '{"Handle": "g", "Handle": "h"}',
        '{"Handle": "i", "Title": "\\u0000"}',
        '{"Handle": "j", "Title": "\\ud800"}',
        '["k"]',
        '{"Handle": "l", "Tags": [["x"]]}',
        '{"Handle": "m", "Title": "' + "x" * 5_000_000 + '"}',
        '{"Handle": "z"}',
    ]
    content = "\n".join(lines) if as_lines else "[" + ",\n".join(lines) + "]"
    source = opened(tmp_path, content.encode())
    assert broken(source) == [
        (2, "object_in_cell"),
        (3, "list_in_cell"),
        (4, "list_in_cell"),
        (5, "invalid_number"),
        (6, "invalid_number"),
        (7, "duplicate_key"),
        (8, "invalid_character"),
        (9, "invalid_character"),
        (10, "not_an_object"),
        (11, "list_in_cell"),
        (12, "row_too_long"),
    ]
    assert [record[1][0] for record in source.records() if isinstance(record, tuple)] == ["a", "z"]


@pytest.mark.feature("CAT-7")
def test_a_bad_line_of_ndjson_is_its_own_fault(tmp_path: Path) -> None:
    deep = '{"a":' * 100_000
    lines = ['{"sku": "1"}', "", '{"sku": "2"', "oops", deep, '{"sku": "3", "name": "c"}']
    source = opened(tmp_path, "\n".join(lines).encode())
    assert source.header == ("sku", "name")
    assert broken(source) == [(3, "invalid_json"), (4, "invalid_json"), (5, "nested_too_deeply")]
    assert [record for record in source.records() if isinstance(record, tuple)] == [(1, ["1", ""]), (6, ["3", "c"])]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("name", ["ndjson", "json"])
def test_json_comes_in_any_unicode(tmp_path: Path, name: str, encoding: str) -> None:
    text = '{"sku": "1", "name": "Čaj"}'
    content = (text if name == "ndjson" else f" [{text}]").encode(encoding)
    source = opened(tmp_path, content)
    assert source.format == name
    assert [record[1] for record in source.records() if isinstance(record, tuple)] == [["1", "Čaj"]]


def test_parquet_values_become_cells(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "Handle": ["x"],
            "whole": pl.Series([7], dtype=pl.Int64),
            "double": [0.1],
            "large": [1e12],
            "single": pl.Series([0.1], dtype=pl.Float32),
            "exact": pl.Series([Decimal("19.90")], dtype=pl.Decimal(10, 2)),
            "yes": [True],
            "day": [date(2026, 3, 1)],
            "moment": [datetime(2026, 3, 1, 12, 30)],  # noqa: DTZ001
            "clock": [time(12, 30)],
            "Tags": [["a", "b"]],
            "none": pl.Series([None], dtype=pl.String),
            "bytes": [b"caf\xc3\xa9"],
            "kind": pl.Series(["k"], dtype=pl.Categorical),
        }
    )
    file = io.BytesIO()
    table.write_parquet(file)
    header, [row] = read(tmp_path, file.getvalue())
    assert dict(zip(header, row, strict=True)) == {
        "Handle": "x",
        "whole": "7",
        "double": "0.1",
        "large": "1000000000000",
        "single": "0.1",
        "exact": "19.9",
        "yes": "true",
        "day": "2026-03-01",
        "moment": "2026-03-01T12:30:00",
        "clock": "12:30:00",
        "Tags": "a, b",
        "none": "",
        "bytes": "café",
        "kind": "k",
    }


@pytest.mark.feature("CAT-7")
def test_parquet_values_that_fit_no_cell_are_the_fault_of_their_rows(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "Handle": ["a", "b", "c", "d", "e"],
            "n": [1.0, float("nan"), float("inf"), 2.0, 3.0],
            "b": [b"x", b"y", b"z", b"\xff", b"w"],
            "s": pl.Series([None, None, None, None, {"x": 1}], dtype=pl.Struct({"x": pl.Int64})),
        }
    )
    file = io.BytesIO()
    table.write_parquet(file)
    assert broken(opened(tmp_path, file.getvalue())) == [
        (2, "invalid_number"),
        (3, "invalid_number"),
        (4, "binary_in_cell"),
        (5, "object_in_cell"),
    ]


def test_workbook_cells_become_text(tmp_path: Path) -> None:
    cells = [
        *('<c r="A2" t="inlineStr"><is><t>007</t></is></c>', '<c r="B2"><v>4006381333931</v></c>'),
        *('<c r="C2"><v>0.30000000000000004</v></c>', '<c r="D2"><v>1E+12</v></c>', '<c r="E2" s="1"><v>46082</v></c>'),
        *('<c r="F2" s="2"><v>46082.5</v></c>', '<c r="G2" t="b"><v>1</v></c>', '<c r="H2" t="s"><v>0</v></c>'),
        *(
            '<c r="I2"><f>1+1</f><v>2</v></c>',
            '<c r="J2" t="str"><f>A1</f><v></v></c>',
            '<c r="K2" s="3"><v>0.5</v></c>',
        ),
        '<c r="L2"><v>1.0</v></c>',
    ]
    headings = "".join(f'<c r="{letter}1" t="inlineStr"><is><t>h{letter}</t></is></c>' for letter in "ABCDEFGHIJKL")
    content = workbook(
        f'<row r="1">{headings}</row><row r="2">{"".join(cells)}</row>',
        strings=["<si><r><t>rich </t></r><r><t>text</t></r><rPh><t>sound</t></rPh></si>"],
        formats=["general", "14", "yyyy\\-mm\\-dd hh:mm", "[h]:mm"],
    )
    [row] = read(tmp_path, content)[1]
    assert row[:5] == ["007", "4006381333931", "0.3", "1000000000000", "2026-03-01"]
    assert row[5:] == ["2026-03-01T12:00:00", "true", "rich text", "2", "", "12:00:00", "1"]


@pytest.mark.feature("CAT-7")
def test_workbook_rows_that_cannot_be_known_are_refused(tmp_path: Path) -> None:
    def row(number: int, second: str, more: str = "") -> str:
        first = f'<c r="A{number}" t="inlineStr"><is><t>k{number}</t></is></c>'
        return f'<row r="{number}">{first}{second}{more}</row>'

    heading = '<c r="B3" t="inlineStr"><is><t>name</t></is></c>'
    rows = [
        row(3, heading),
        row(5, '<c r="B5"><f>1+1</f></c>'),
        row(6, '<c r="B6" t="e"><f>1/0</f><v>#DIV/0!</v></c>'),
        row(7, '<c r="B7"><v>1</v></c>', '<c r="D7"><v>2</v></c>'),
        row(8, '<c r="B8"><v>3</v></c>'),
        row(9, ""),
        row(10, '<c r="B10"><v>4</v></c>', '<c r="C10" s="1"/>'),
        row(11, '<c r="B11"><v>1e400</v></c>'),
        row(12, '<c r="B12" s="1"><v>99999999</v></c>'),
    ]
    content = workbook(
        "".join(rows), after='<mergeCells count="1"><mergeCell ref="B8:B9"/></mergeCells>', formats=["general", "14"]
    )
    source = opened(tmp_path, content)
    assert source.header == ("k3", "name")
    assert broken(source) == [
        (5, "formula_without_value"),
        (6, "formula_error"),
        (7, "too_many_fields"),
        (8, "merged_cells"),
        (9, "merged_cells"),
        (11, "invalid_number"),
        (12, "invalid_date"),
    ]
    assert [record for record in source.records() if isinstance(record, tuple)] == [(10, ["k10", "4"])]


def test_a_workbook_is_read_from_its_first_sheet_that_has_something(tmp_path: Path) -> None:
    def sheet(word: str) -> str:
        cell = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c></row>'
        return cell.format(1, "sku") + cell.format(2, word)

    content = workbook("", more={"Products": sheet("one"), "Prices": sheet("two")})
    assert read(tmp_path, content)[1] == [["one"]]
    assert read(tmp_path, content, sheet="prices ")[1] == [["two"]]
    with pytest.raises(errors.UnknownSheet, match="'Products', 'Prices'"):
        opened(tmp_path, content, sheet="Stock")
    with pytest.raises(errors.EmptyFile):
        opened(tmp_path, content, sheet="Sheet1")


# --- what is refused whole


def many_entries() -> bytes:
    return zipped({f"{n}.csv": b"" for n in range(10_001)})


def bomb(member: str, megabytes: int = 40) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml") if member.startswith("xl/") else ():
            archive.writestr(name, "<x/>")
        with archive.open(member, "w") as entry:
            entry.write(b"sku,name\n")
            for _ in range(megabytes):
                entry.write(b"a" * 1_000_000)
    return file.getvalue()


def encrypted() -> bytes:
    content = bytearray(zipped({"a.csv": b"sku\n1\n"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def lying_about_its_size() -> bytes:
    """An archive that says its file is one byte long."""
    content = bytearray(zipped({"a.csv": b"sku,name\n" * 100_000}))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (1).to_bytes(4, "little")
    return bytes(content)


REFUSED: dict[str, tuple[Callable[[], bytes], type[CrossdockError], str]] = {
    "zip in zip": (lambda: zipped({"a.zip": zipped({"a.csv": b"sku\n1\n"})}), errors.NestedArchive, "another archive"),
    "two files": (lambda: zipped({"a.csv": b"x", "b.csv": b"y"}), errors.InvalidArchive, "2 files.*'a.csv', 'b.csv'"),
    "no file": (lambda: zipped({}), errors.InvalidArchive, "empty"),
    "way out": (lambda: zipped({"../../a.csv": b"sku\n1\n"}), errors.UnsafeArchive, "leads out"),
    "absolute": (lambda: zipped({"/etc/a.csv": b"sku\n1\n"}), errors.UnsafeArchive, "leads out"),
    "encrypted": (encrypted, errors.EncryptedFile, "password"),
    "bomb": (lambda: bomb("a.csv"), errors.UnpackedTooLarge, "200 times"),
    "workbook bomb": (lambda: bomb("xl/worksheets/sheet1.xml", 120), errors.UnpackedTooLarge, "104857600 bytes"),
    "wrong size": (lying_about_its_size, errors.InvalidArchive, "damaged"),
    "cut zip": (lambda: zipped({"a.csv": b"sku\n1\n" * 50})[:-30], errors.InvalidArchive, "cut off"),
    "many entries": (many_entries, errors.InvalidArchive, "10001 entries"),
    "xlsx of html": (lambda: b"<html><table><tr><td>sku</td></tr></table>", errors.NotATable, "save it as XLSX"),
    "old xls": (lambda: b"\xd0\xcf\x11\xe0" + b"\0" * 600, errors.NotAText, "password"),
    "xlsb": (lambda: zipped({"xl/workbook.bin": b"x"}), errors.NotAText, "XLSB"),
    "ods": (lambda: zipped({"mimetype": b"x", "content.xml": b"y"}), errors.NotAText, "OpenDocument"),
    "docx": (lambda: zipped({"word/document.xml": b"x"}), errors.NotAText, "Word"),
    "workbook in pieces": (lambda: zipped({"xl/workbook.xml": b"<a"}), errors.InvalidWorkbook, "lacks its part"),
    "doctype": (
        lambda: workbook("<row/>", head='<!DOCTYPE x [<!ENTITY a "aaaa">]>'),
        errors.InvalidWorkbook,
        "document type",
    ),
    "empty workbook": (lambda: workbook(""), errors.EmptyFile, "empty"),
    "headings only": (
        lambda: workbook('<row r="1"><c r="A1"><v>1</v></c></row>'),
        errors.NoRows,
        "headings only",
    ),
    "merged headings": (
        lambda: workbook(
            '<row r="1"><c r="A1"><v>1</v></c></row>', after='<mergeCells><mergeCell ref="A1:B1"/></mergeCells>'
        ),
        errors.InvalidWorkbook,
        "A1:B1",
    ),
    "twice in a sheet": (
        lambda: workbook(
            '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>1</v></c></row><row r="2"><c><v>2</v></c></row>'
        ),
        errors.DuplicateHeaders,
        "'1'",
    ),
    "far cell": (
        lambda: workbook('<row r="1"><c r="XFE1"><v>1</v></c></row>'),
        errors.InvalidWorkbook,
        "column that no sheet has",
    ),
    "cut parquet": (lambda: parquet_bytes(HEADER, ROWS)[:-20], errors.InvalidParquet, "cut off"),
    "hole in parquet": (lambda: b"PAR1" + b"\x15\x04" * 500 + b"PAR1", errors.InvalidParquet, "damaged"),
    "empty parquet": (lambda: parquet_bytes(HEADER, []), errors.NoRows, "columns only"),
    "cut json": (lambda: b'[{"sku": "1"}, {"sku": "2', errors.InvalidJson, "ends in the middle"),
    "json cut between": (lambda: b'[{"sku": "1"},', errors.InvalidJson, "ends in the middle"),
    "json with a comma": (lambda: b'[{"sku": "1"},]', errors.InvalidJson, r"character 15"),
    "json and more": (lambda: b'[{"sku": "1"}] []', errors.InvalidJson, "follows the array"),
    "deep json": (lambda: b"[" * 100_000, errors.InvalidJson, "nested too deeply"),
    "deep object": (lambda: b'[{"a":' * 100_000, errors.InvalidJson, "nested too deeply"),
    "empty array": (lambda: b" [ ] ", errors.EmptyFile, "empty"),
    "array of nothing": (lambda: b"[{}, {}]", errors.EmptyFile, "no object with a value"),
    "one object": (lambda: b'{\n "sku": "1"\n}', errors.InvalidJson, "one object a line"),
    "empty objects": (lambda: b'{"a": null}\n', errors.NoRows, "without any value"),
    "wide object": (
        lambda: json.dumps({str(n): 1 for n in range(1001)}).encode(),
        errors.HeaderTooWide,
        "1000",
    ),
    "keys alike": (lambda: b'{"sku": "1"}\n{"SKU": "2"}\n', errors.DuplicateHeaders, "'sku'"),
    "bad utf-8": (lambda: b'[{"sku": "' + "é".encode() * 9 + b'\xff"}]', errors.InvalidEncoding, "save it as UTF-8"),
    "no bytes": (lambda: b"", errors.EmptyFile, "no content"),
}


@pytest.mark.feature("CAT-5", "CAT-7")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_a_named_error_that_leaves_nothing(tmp_path: Path, name: str) -> None:
    made, error, words = REFUSED[name]
    with pytest.raises(error, match=words) as raised:
        opened(tmp_path, made())
    assert raised.value.status in (413, 422)
    assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]


def test_the_format_can_be_named(tmp_path: Path) -> None:
    content = b'{"sku","name"}\n1,2\n'
    assert read(tmp_path, b"{sku},name\n1,2\n", format="csv") == (["{sku}", "name"], [["1", "2"]])
    with pytest.raises(errors.InvalidJson):
        opened(tmp_path, content)
    with pytest.raises(errors.UnknownFormat, match="csv, ndjson"):
        opened(tmp_path, content, format="xml")
    with pytest.raises(errors.InvalidWorkbook):
        opened(tmp_path, content, format="xlsx")
    with pytest.raises(errors.InvalidParquet):
        opened(tmp_path, content, format="parquet")
    with pytest.raises(errors.InvalidWorkbook):
        opened(tmp_path, xlsx_bytes(HEADER, ROWS), format="csv")


def records_or_status(tmp_path: Path, content: bytes) -> bool:
    """Whether there are records, or an error that a person can act on; anything else rises."""
    try:
        return bool(list(opened(tmp_path, content).records()))
    except CrossdockError as error:
        return error.status in (413, 422)


TROUBLE = st.one_of(
    st.binary(max_size=200).map(lambda rest: b"[" + rest),
    st.text(alphabet='[]{}",:0eE+-. \n\\u1na', max_size=80).map(lambda text: ("[" + text).encode()),
    st.text(alphabet='[]{}",:0eE+-. \n\\u1na', max_size=80).map(lambda text: ('{"a":1}\n{' + text).encode()),
)


@given(content=TROUBLE)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_json_only_named_errors_come_out(tmp_path: Path, content: bytes) -> None:
    assert records_or_status(tmp_path, content)


@pytest.mark.parametrize("name", ["xlsx", "parquet", "zip"])
@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_only_named_errors_come_out(tmp_path: Path, name: str, data: Any) -> None:
    made = zipped({"a.csv": csv_bytes(HEADER, ROWS)}) if name == "zip" else WRITERS[name](HEADER, ROWS)
    content = bytearray(made)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    assert records_or_status(tmp_path, bytes(content))


@pytest.mark.feature("CAT-7")
def test_a_small_parquet_that_becomes_gigabytes_is_stopped(tmp_path: Path) -> None:
    file = io.BytesIO()
    pl.DataFrame({"Handle": ["x" * 1_000_000]}).select(pl.col("Handle").repeat_by(3000).explode()).write_parquet(file)
    assert len(file.getvalue()) < 100_000
    with pytest.raises((errors.TooDemanding, errors.InvalidParquet)):
        list(opened(tmp_path, file.getvalue()).records())


@pytest.mark.feature("CAT-7")
def test_a_file_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MOST_SECONDS", 0.001)
    with pytest.raises(errors.TooDemanding, match="longer than"):
        opened(tmp_path, xlsx_bytes(HEADER, ROWS))
    assert [path.name for path in tmp_path.iterdir()] == ["upload.csv"]


def test_the_reading_process_knows_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("CROSSDOCK_SECRET_KEY", "secret")
    assert "secret" not in "".join(sandbox._environment().values())
