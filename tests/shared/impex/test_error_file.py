"""What the uploader gets back: the refused rows, the reason, and a file that can be uploaded again."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from shared.impex.error_file import write_error_file
from shared.impex.opening import open_source
from shared.impex.products import ProductFile
from shared.impex.refusals import Refusals
from shared.impex.rows import ProductRecord, RowError
from shared.impex.source import CsvSource
from shared.impex.workbook_file import write_workbook

pytestmark = pytest.mark.feature("CAT-7")

HEADER = "Handle;Title;Option1 Name;Option1 Value;Variant SKU;Variant Price\n"


def read(path: Path, content: bytes) -> tuple[ProductFile, list[ProductRecord], list[RowError]]:
    path.write_bytes(content)
    file = ProductFile(CsvSource.open(path), "shopify", "USD")
    outcomes = list(file.read())
    errors = [outcome for outcome in outcomes if isinstance(outcome, RowError)]
    return file, [o for o in outcomes if isinstance(o, ProductRecord)], sorted(errors, key=lambda error: error.row)


def error_file(file: ProductFile, errors: list[RowError]) -> bytes:
    written = io.BytesIO()
    write_error_file(file.source, file.layout, Refusals(errors), written)
    return written.getvalue()


def cells(content: bytes, encoding: str = "utf-8-sig") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=";"))


def test_refused_rows_come_back_with_reasons_and_what_describes_them(tmp_path: Path) -> None:
    text = (
        HEADER + 'mug;"Mug; ""blue""";Size;S;M-S;5\nmug;;;M;M-M;five\nmug;;;L;M-L;x\ncup;Café cup;;;C;6\npot;Pot;;;P\n'
    )
    file, _, errors = read(tmp_path / "a.csv", text.encode("cp1252"))
    content = error_file(file, errors)
    assert content.startswith(b"\xef\xbb\xbferror_code;error_message;Handle;")
    rows = cells(content)
    assert [row[0] for row in rows] == ["error_code", "", "invalid_price", "invalid_price", "too_few_fields"]
    assert rows[1][2:] == ["mug", 'Mug; "blue"', "Size", "S", "M-S", "5"]
    assert rows[2][1] == "Variant Price: 'five' is not a price; write it as 1234.50."
    assert rows[4][2:] == ["pot", "Pot", "", "", "P"]


def test_corrected_and_uploaded_again_it_goes_through(tmp_path: Path) -> None:
    text = HEADER + "mug;Mug;Size;S;M-S;5\nmug;;;M;M-M;five\npot;Pot;;;P\n"
    file, _, errors = read(tmp_path / "a.csv", text.encode())
    corrected = error_file(file, errors).replace(b";five", b";5.50").replace(b";P\r\n", b";P;9\r\n")
    again, products, errors = read(tmp_path / "b.csv", corrected)
    assert errors == []
    assert [(p.handle, [v.sku for v in p.variants]) for p in products] == [("mug", ["M-S", "M-M"]), ("pot", ["P"])]
    assert "error_code" not in again.fields


def test_an_error_file_of_an_error_file_has_one_reason(tmp_path: Path) -> None:
    file, _, errors = read(tmp_path / "a.csv", (HEADER + "mug;Mug;;;M;five\n").encode())
    first = error_file(file, errors)
    file, _, errors = read(tmp_path / "b.csv", first)
    assert error_file(file, errors) == first


def test_several_faults_of_a_row_are_one_row(tmp_path: Path) -> None:
    text = HEADER + "mug;Mug;;Red;M;five\ncup;Cup;;;M;1\n"
    file, _, errors = read(tmp_path / "a.csv", text.encode())
    rows = cells(error_file(file, errors))
    assert [row[0] for row in rows[1:]] == ["invalid_price option_without_name duplicate_sku", "duplicate_sku"]


def test_utf16_stays_utf16(tmp_path: Path) -> None:
    file, _, errors = read(tmp_path / "a.csv", (HEADER + "mug;Mug;;;M;five\n").encode("utf-16"))
    content = error_file(file, errors)
    assert cells(content, "utf-16")[1][2] == "mug"
    assert read(tmp_path / "b.csv", content)[2] == errors


def test_our_cells_are_no_formulas_and_theirs_are_untouched(tmp_path: Path) -> None:
    file, _, _ = read(tmp_path / "a.csv", (HEADER + "mug;=1+1;;;M;five\n").encode())
    [_, row] = cells(error_file(file, [RowError(2, "=cmd()", None, "-code", "+bad")]))
    assert row[:4] == ["'-code", "'=cmd(): +bad", "mug", "=1+1"]


def test_an_unterminated_quote_comes_back_as_its_first_line(tmp_path: Path) -> None:
    file, products, errors = read(tmp_path / "a.csv", (HEADER + 'mug;"Mug;;;M;5\ncup;Cup;;;C;6\n').encode())
    assert [product.handle for product in products] == ["cup"]
    rows = cells(error_file(file, errors))
    assert rows[1][0] == "unterminated_quote"
    assert rows[1][2:] == ["mug", "Mug;;;M;5"]


def test_the_number_of_refused_rows_is_answered(tmp_path: Path) -> None:
    file, _, errors = read(tmp_path / "a.csv", (HEADER + "mug;Mug;Size;S;A;1\nmug;;;M;B;x\nmug;;;L;C;y\n").encode())
    assert write_error_file(file.source, file.layout, Refusals(errors), io.BytesIO()) == 2


ROWS = [
    {
        "Handle": "mug",
        "Title": "Mug",
        "Option1 Name": "Size",
        "Option1 Value": "S",
        "Variant SKU": "007",
        "Tags": "a, b",
    },
    {"Handle": "mug", "Option1 Value": "M", "Variant SKU": "008", "Variant Price": "five"},
    {"Handle": "cup", "Title": "Cup", "Variant SKU": "009", "Variant Price": "6"},
]
HEADINGS = [*ROWS[0], "Variant Price"]


def as_lines() -> bytes:
    return b"\n".join([orjson.dumps(row) for row in ROWS] + [b'{"Handle": "pot", oops}'])


def as_array() -> bytes:
    return orjson.dumps([*ROWS, "oops"])


def as_parquet() -> bytes:
    file = io.BytesIO()
    pl.DataFrame(ROWS, schema=dict.fromkeys(HEADINGS, pl.String())).write_parquet(file)
    return file.getvalue()


def as_sheet() -> bytes:
    file = io.BytesIO()
    write_workbook([HEADINGS, *([row.get(heading, "") for heading in HEADINGS] for row in ROWS)], file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("made", "name", "unreadable"),
    [(as_lines, "ndjson", 1), (as_array, "json", 1), (as_parquet, "parquet", 0), (as_sheet, "xlsx", 0)],
)
def test_every_format_gets_its_refused_rows_back_in_it(
    tmp_path: Path, made: Callable[[], bytes], name: str, unreadable: int
) -> None:
    def read_any(file_name: str, content: bytes) -> tuple[ProductFile, list[ProductRecord], list[RowError]]:
        (tmp_path / file_name).write_bytes(content)
        file = ProductFile(open_source(tmp_path / file_name), "shopify", "USD")
        outcomes = list(file.read())
        errors = [outcome for outcome in outcomes if isinstance(outcome, RowError)]
        return file, [o for o in outcomes if isinstance(o, ProductRecord)], sorted(errors, key=lambda e: e.row)

    file, products, errors = read_any("a", made())
    assert [product.handle for product in products] == ["mug", "cup"]
    assert len(errors) == 1 + unreadable
    again, _, errors = read_any("b", error_file(file, errors))
    assert again.source.format == name
    assert again.source.header[:2] == ("error_code", "error_message") or name in ("ndjson", "json")
    records = [record for record in again.source.records() if isinstance(record, tuple)]
    told = [dict(zip(again.source.header, cells, strict=True)) for _, cells in records]
    assert [row["error_code"] for row in told] == ["", "invalid_price", "invalid_json", "not_an_object"][:2] + (
        [{"ndjson": "invalid_json", "json": "not_an_object"}[name]] if unreadable else []
    )
    assert {"Variant SKU": "007", "Tags": "a, b"}.items() <= told[0].items()
    assert told[1]["error_message"].startswith("Variant Price: 'five' is not a price")

    corrected = [{**row, "Variant Price": row["Variant Price"].replace("five", "5.50")} for row in told[:2]]
    headings = list(again.source.header)
    rewritten = io.BytesIO()
    if name == "xlsx":
        write_workbook([headings, *(list(row.values()) for row in corrected)], rewritten)
    elif name == "parquet":
        pl.DataFrame(corrected, schema=dict.fromkeys(headings, pl.String())).write_parquet(rewritten)
    else:
        rewritten.write(orjson.dumps(corrected) if name == "json" else b"\n".join(map(orjson.dumps, corrected)))
    final, products, errors = read_any("c", rewritten.getvalue())
    assert (errors, [[v.sku for v in p.variants] for p in products]) == ([], [["007", "008"]])
    assert "error_code" not in final.fields


def test_what_was_said_about_rows_is_read_in_order_and_looked_up() -> None:
    said = [RowError(row, "Title", f"é{row}\n", "bad", "x") for row in (2, 2, 5, 9)]
    with Refusals(said[:2]) as refusals:
        refusals.add(said[2:3])
        assert refusals.of(9) == []
        refusals.add(said[3:])
        assert list(refusals) == [(2, said[:2]), (5, said[2:3]), (9, said[3:])]
        assert [refusals.of(row) for row in (1, 2, 5, 9, 10)] == [[], said[:2], said[2:3], said[3:], []]
