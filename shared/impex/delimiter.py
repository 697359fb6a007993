"""What separates the columns of a file: told by its headings and first rows, or by the uploader."""

import csv
import io
from collections.abc import Sequence
from itertools import islice

from shared.impex.errors import InvalidDelimiter

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_SAMPLE_RECORDS = 50


def choose_delimiter(sample: str, asked: str | None = None) -> str:
    """The one `asked` for (the character or its name), else the one that gives the headings most columns and the rows
    of `sample` as many. Raises InvalidDelimiter."""
    if asked is None:
        return max(DELIMITERS, key=lambda delimiter: _likelihood(sample, delimiter))
    delimiter = _NAMES.get(asked.lower(), asked)
    if delimiter not in DELIMITERS:
        raise InvalidDelimiter(f"'{asked}' cannot separate columns; comma, semicolon, tab and pipe can.")
    return delimiter


def _likelihood(sample: str, delimiter: str) -> float:
    widths = _widths(sample, delimiter)
    if not widths:
        return 0.0
    header, *rows = widths
    if header == 1:
        return 0.0
    return header * (1 + sum(width == header for width in rows)) / (1 + len(rows))


def _widths(sample: str, delimiter: str) -> Sequence[int]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        return [len(record) for record in islice(reader, _SAMPLE_RECORDS) if record]
    except csv.Error:
        return []
