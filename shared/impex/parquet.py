"""Parquet, a slice at a time, its values as text; in the process that `sandbox` limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from shared.impex.cells import InvalidCell
from shared.impex.errors import HeaderTooWide, InvalidParquet, NoRows
from shared.impex.values import cell_text, refuse_lists

# Of a slice's cells as they lie in memory.
_SLICE_BYTES = 8 << 20
_MOST_SLICE_ROWS = 20_000
_FIRST_SLICE_ROWS = 500
# Row numbers are kept in 32 bits, and a file of a few bytes may say that it has any number of equal rows.
_MOST_ROWS = 50_000_000
_MOST_COLUMNS = 1000


def convert_parquet(path: Path) -> Iterator[Any]:
    """The headings of a file, then its rows."""
    try:
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = table.collect_schema()
        rows = table.select(pl.len()).collect().item()
        _check(len(schema), rows)
        yield {"format": "parquet", "header": list(schema)}
        yield from _rows(table, schema, rows)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise InvalidParquet(
            "The Parquet file is damaged or was cut off: write it again, and upload it whole."
        ) from fault


def _check(columns: int, rows: int) -> None:
    if columns > _MOST_COLUMNS:
        raise HeaderTooWide(f"The file has {columns} columns; {_MOST_COLUMNS} is the limit.")
    if not rows:
        raise NoRows("The file has columns only: add at least one row.")
    if rows > _MOST_ROWS:
        raise InvalidParquet(f"The file has {rows} rows; {_MOST_ROWS} is the limit.")


def _rows(table: pl.LazyFrame, schema: pl.Schema, rows: int) -> Iterator[bytes]:
    start, size = 0, _FIRST_SLICE_ROWS
    while start < rows:
        part = table.slice(start, size).collect(engine="streaming")
        weight = part.estimated_size() / max(part.height, 1)
        cells = [_column(part[name]) for name in schema]
        yield b"".join(
            orjson.dumps([number, values]) + b"\n" for number, values in enumerate(zip(*cells, strict=True), start + 1)
        )
        start += size
        size = max(1, min(_MOST_SLICE_ROWS, int(_SLICE_BYTES / max(weight, 1))))


def _column(values: pl.Series) -> list[Any]:
    """The cells of a column: texts and nothing, or what the reading process has to judge."""
    kind = values.dtype
    if kind == pl.String:
        return values.to_list()
    if kind.is_integer() or kind == pl.Boolean or isinstance(kind, (pl.Categorical, pl.Enum)):
        return values.cast(pl.String).to_list()
    if kind == pl.Float32:
        # The shortest text that is this number among those of its width, not among those of twice the width.
        return [_float(text) for text in values.cast(pl.String).to_list()]
    return [_cell(value) for value in values.to_list()]


def _float(text: str | None) -> Any:
    return None if text is None else {"number": text}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return {"number": repr(value)}
    if isinstance(value, list):
        return [_cell(item) for item in value]
    if isinstance(value, dict):
        return {}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"bytes": ""}
    try:
        return cell_text(value, "", refuse_lists)
    except InvalidCell:
        return {}


def write_parquet(path: Path, target: str, header: list[str]) -> Iterator[Any]:
    """Write a table of texts from a file of JSON objects, one a line."""
    rows = pl.scan_ndjson(path, schema=dict.fromkeys(header, pl.String()))
    rows.sink_parquet(target, row_group_size=_MOST_SLICE_ROWS)
    yield from ()
