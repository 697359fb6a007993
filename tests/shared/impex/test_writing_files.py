"""Rows as files: what a format cannot hold is said, not cut."""

import io
import zipfile
from pathlib import Path

import pytest

from shared.impex import writing_files
from shared.impex.opening import open_source
from shared.impex.writing_files import FORMATS, SHEET_CELL, CellTooLong, TooManyRowsForWorkbook, write_file

pytestmark = pytest.mark.feature("CAT-10")

HEADINGS = ["handle", "title"]


def written(tmp_path: Path, name: str, parts: list[list[list[str]]], zipped_as: str | None = None) -> Path:
    paths = [tmp_path / f"part-{number}" for number in range(len(parts))]
    for path, rows in zip(paths, parts, strict=True):
        path.write_bytes(FORMATS[name].part(HEADINGS, rows))
    target = tmp_path / "file"
    write_file(FORMATS[name], HEADINGS, paths, target, zipped_as)
    return target


@pytest.mark.parametrize("zipped_as", [None, "products"])
@pytest.mark.parametrize("name", FORMATS)
def test_parts_become_one_file_with_the_cells_they_had(tmp_path: Path, name: str, zipped_as: str | None) -> None:
    parts = [[["a", "_x000D_ x\r\ny\x0b"], ["b", " 007 "]], [["c", ""]]]
    source = open_source(written(tmp_path, name, parts, zipped_as))
    assert source.header == tuple(HEADINGS)
    assert [record[1] for record in source.records() if isinstance(record, tuple)] == [*parts[0], *parts[1]]


@pytest.mark.parametrize("cell", ["x" * (SHEET_CELL + 1), "'=" + "x" * (SHEET_CELL - 2)], ids=["long", "guarded"])
def test_a_cell_that_a_workbook_cannot_hold_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(CellTooLong, match="'title' of 'mug'"):
        written(tmp_path, "xlsx", [[["mug", cell]]])


def test_the_longest_cell_of_a_workbook_is_whole(tmp_path: Path) -> None:
    [record] = open_source(written(tmp_path, "xlsx", [[["mug", "x" * SHEET_CELL]]])).records()
    assert record == (2, ["mug", "x" * SHEET_CELL])


def test_more_rows_than_a_sheet_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing_files, "SHEET_ROWS", 3)
    written(tmp_path, "xlsx", [[["a", ""], ["b", ""]]])
    with pytest.raises(TooManyRowsForWorkbook, match="2 rows"):
        written(tmp_path, "xlsx", [[["a", ""], ["b", ""]], [["c", ""]]])


def test_a_workbook_says_that_its_cells_are_texts(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(written(tmp_path, "xlsx", [[["00123", "=1+1"]]]).read_bytes()))
    sheet = archive.read("xl/worksheets/sheet1.xml")
    assert b"=1+1" in sheet
    assert b"<f>" not in sheet
    assert b"<v>" not in sheet
