"""Rows of Magento's store views: what a product is called in another language."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.impex.arranging import Misplaced
from shared.impex.records import BrokenRecord, Record
from shared.locales import canonical_locale

Cell = Callable[[Sequence[str], str], str]
Completed = tuple[int, dict[str, str]] | BrokenRecord

CODE = "store_view_code"
# What a row of a store view says, and the field that it is in its language.
_FIELDS = {
    "name": "title",
    "description": "description_html",
    "meta_title": "seo_title",
    "meta_description": "seo_description",
}
_HEADING = re.compile(rf"({'|'.join(_FIELDS)}) \(store view (\S+)\)")
_MOST = 50


def locale_of(code: str) -> str | None:
    """The language that the code of a store view names."""
    try:
        return canonical_locale(code.replace("_", "-"))
    except ValueError:
        return None


def field_of(heading: str) -> str | None:
    """The field of a column that this module adds: `name (store view de)`."""
    match = _HEADING.fullmatch(heading)
    locale = locale_of(match[2]) if match else None
    return f"{_FIELDS[match[1]]}[{locale}]" if match and locale else None


def codes_in(header: Sequence[str]) -> dict[str, str]:
    """The languages that these headings have, by the code of their store view."""
    found = (_HEADING.fullmatch(heading) for heading in header)
    return {match[2]: locale for match in found if match and (locale := locale_of(match[2]))}


class StoreViews:
    """The store views of one file. `cell` gives what a row has below a heading."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        # By language, the code of the first store view in it.
        self._codes: dict[str, str] = {}

    def learn(self, code: str) -> list[str]:
        """Headings of the columns that a store view adds: none where its language is there, or is none."""
        locale = locale_of(code)
        if locale is None or locale in self._codes or len(self._codes) >= _MOST:
            return []
        self._codes[locale] = code
        return [_heading(name, code) for name in _FIELDS]

    def check(self, code: str) -> None:
        """Raises Misplaced for a row of a store view that stands for no language."""
        if locale_of(code) not in self._codes:
            message = f"The row is for the store view '{code[:50]}': no language is called so."
            raise Misplaced("store_view_row", message, CODE)

    def texts(self, sku: str, rows: Sequence[Record]) -> tuple[dict[str, str], dict[int, int]]:
        """What these rows call a product; and for a row that says it again in a language, the row before it."""
        texts: dict[str, str] = {}
        doubled: dict[int, int] = {}
        first: dict[str, int] = {}
        for row, fields in rows:
            locale = locale_of(self._cell(fields, CODE))
            # Variants have no texts of their own.
            if locale is None or self._cell(fields, "sku").casefold() != sku.casefold():
                continue
            if (earlier := first.setdefault(locale, row)) != row:
                doubled[row] = earlier
            else:
                texts |= {_heading(name, self._codes[locale]): self._said(fields, name) for name in _FIELDS}
        return texts, doubled

    def _said(self, fields: Sequence[str], name: str) -> str:
        return self._cell(fields, name) or (self._cell(fields, "short_description") if name == "description" else "")


def told(rows: Sequence[Record], head: Completed, handle: str, doubled: Mapping[int, int]) -> Iterator[Completed]:
    """Rows of store views stand with their product and add no variant to it, or are refused as it is."""
    for row, fields in rows:
        if isinstance(head, BrokenRecord):
            yield BrokenRecord(row, list(fields), head.code, head.message)
        elif row in doubled:
            message = f"Row {doubled[row]} says the same product's texts in the same language."
            yield BrokenRecord(row, list(fields), "duplicate_key", message)
        else:
            yield row, {handle: head[1][handle]}


def _heading(name: str, code: str) -> str:
    return f"{name} (store view {code})"
