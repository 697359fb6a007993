"""Customers as rows of a file, with their default shipping address: imported again, every row is unchanged."""

import orjson

from services.orders.repository import customer_sets
from services.orders.use_cases.customer_files import ADDRESS_COLUMNS
from shared.contracts.platform.exported import ReadRows
from shared.exported import ExportedGroup, Filter, headings_of
from shared.pagination import cursor_for, cursor_values
from shared.unit_of_work import UnitOfWork

_HEADINGS = headings_of("customers")


def _group(told: Filter) -> str | None:
    """Of which group customers are meant."""
    group = (told or {}).get("customer_group")
    return None if group is None else str(group)


async def _count(uow: UnitOfWork, told: Filter) -> int:
    return await customer_sets.count(uow, _group(told))


async def _read(uow: UnitOfWork, after: str | None, first: int, told: Filter) -> ReadRows:
    """By e-mail address."""
    position = cursor_values(after, 1)
    found = await customer_sets.list_with_address(uow, str(position[0]) if position else None, first, _group(told))
    rows = []
    for row in found:
        address = orjson.loads(row["address"] or "{}")
        said = dict(row) | {column: address.get(field) for column, field in ADDRESS_COLUMNS.items()}
        rows.append([said[name] or "" for name in _HEADINGS])
    return ReadRows(rows=rows, next=cursor_for(found[-1]["email"]) if len(found) == first else None)


EXPORTED = ExportedGroup("customers", _count, _read)
