"""Sales with dates, as files of shop platforms give them: a price from a day to a day, beside the regular one.

A profile whose files have them adds the columns of `ADDED` and reads them with `converters`; `finish_variant` makes a
SaleRecord of them. Days are those of the uploader's time zone, universal time where none is named.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from shared.impex import cells
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.rows import SaleRecord
from shared.money import Money

PRICE = "Sale price (with dates)"
STARTS = "Sale starts (of the date of the sale or special price)"
ENDS = "Sale ends (of the date of the sale or special price)"
ADDED: Mapping[str, str] = MappingProxyType({PRICE: "sale_price", STARTS: "sale_starts_at", ENDS: "sale_ends_at"})
FIELDS = frozenset(ADDED.values())
# A sale that only ends began at some time: at one that every file gives alike.
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK = r"(?:,?[ T\u202f]+(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:[ \u202f]*(?P<half>[AP]M))?)?"
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d\d?)-(?P<day>\d\d?){_CLOCK}", re.IGNORECASE)
# As PHP reads it, and as these platforms write it: the month first.
_MONTH_FIRST = re.compile(rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}}|\d\d){_CLOCK}", re.IGNORECASE)


def cells_of(price: str, starts: str, ends: str, zone: str | None, *, whole_days: bool = False) -> dict[str, str]:
    """The added cells of a sale. One that ends on a day ends with it; with `whole_days` the time beside it is none."""
    return {PRICE: price, STARTS: _begin(starts, zone), ENDS: _end(ends, zone, whole_days=whole_days)}


def converters(currency: str) -> dict[str, Callable[[str], Any]]:
    moment = Remembered(cells.moment).__getitem__
    price = Remembered(lambda cell: cells.price(cell, currency)).__getitem__
    return {"sale_price": price, "sale_starts_at": moment, "sale_ends_at": moment}


def finish_variant(values: dict[str, Any]) -> None:
    """Raises InvalidCell for a sale that ends before it begins."""
    price: Money | None = values.pop("sale_price", None)
    starts, ends = values.pop("sale_starts_at", None), values.pop("sale_ends_at", None)
    if price is None:
        return
    if ends is not None and ends <= (starts or _BEFORE_ALL):
        raise InvalidCell("invalid_sale_dates", "The sale ends before it begins.", field="sale_ends_at")
    values["sale"] = SaleRecord(price, starts or _BEFORE_ALL, ends)


def _begin(cell: str, zone: str | None) -> str:
    found = _moment(cell, zone)
    return cell if found is None else found[0].isoformat()


def _end(cell: str, zone: str | None, *, whole_days: bool) -> str:
    found = _moment(cell, zone)
    if found is None:
        return cell
    at, has_time = found
    if whole_days or not has_time:
        at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
    return at.isoformat()


def _moment(cell: str, zone: str | None) -> tuple[datetime, bool] | None:
    """A date in one of the forms above, and whether it has a time. None: it says its zone itself, or is no date."""
    match = _YEAR_FIRST.fullmatch(cell) or _MONTH_FIRST.fullmatch(cell)
    if match is None:
        return None
    said = match.groupdict()
    year = int(said["year"]) + (2000 if len(said["year"]) == 2 else 0)
    hour = int(said["hour"] or 0)
    if said["half"]:
        hour = hour % 12 + (12 if said["half"].upper() == "PM" else 0)
    clock = hour, int(said["minute"] or 0), int(said["second"] or 0)
    try:
        at = datetime(year, int(said["month"]), int(said["day"]), *clock, tzinfo=ZoneInfo(zone or "UTC"))
    except ValueError:
        return None
    return at, said["hour"] is not None
