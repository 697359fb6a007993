"""Suppliers and their links as rows of a file: imported again, every row is unchanged."""

from collections.abc import Mapping
from typing import Any

from services.inventory.repository import suppliers
from shared.contracts.base import Shape
from shared.contracts.platform.exported import ReadRows
from shared.exported import ExportedGroup, Filter, headings_of
from shared.impex.writing_products import major
from shared.money import exponent
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.unit_of_work import UnitOfWork

_OF_SUPPLIERS = headings_of("suppliers")
_OF_LINKS = headings_of("supplier-links")


async def _read_suppliers(uow: UnitOfWork, after: str | None, first: int) -> ReadRows:
    """By code."""
    position = cursor_values(after, 1)
    found = await suppliers.list_suppliers(uow, str(position[0]) if position else None, first)
    following = cursor_for(found[-1]["code"]) if len(found) == first else None
    return ReadRows(rows=[[_cell(row[name]) for name in _OF_SUPPLIERS] for row in found], next=following)


class _WantedLinks(Shape):
    """Which links: of these SKUs, of the supplier with this code."""

    skus: list[str] | None = None
    supplier: str | None = None


async def _count_links(uow: UnitOfWork, told: Filter) -> int:
    wanted = _WantedLinks.model_validate(told or {})
    return await suppliers.count_links(uow, wanted.skus, wanted.supplier)


async def _read_links(uow: UnitOfWork, after: str | None, first: int, told: Filter) -> ReadRows:
    """By SKU, then supplier."""
    wanted = _WantedLinks.model_validate(told or {})
    position = cursor_values(after, 2)
    place = (str(position[0]), cursor_id(position[1])) if position else None
    found = await suppliers.list_links(uow, wanted.skus, wanted.supplier, place, first)
    following = cursor_for(found[-1]["sku"], str(found[-1]["supplier_id"])) if len(found) == first else None
    rows = [_with_cost(dict(row)) for row in found]
    return ReadRows(rows=[[_cell(row[name]) for name in _OF_LINKS] for row in rows], next=following)


def _with_cost(row: dict[str, Any]) -> Mapping[str, Any]:
    return row if row["cost"] is None else row | {"cost": major(row["cost"], exponent(row["currency"]))}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


EXPORTED = (
    ExportedGroup.whole("suppliers", suppliers.count_suppliers, _read_suppliers),
    ExportedGroup("supplier-links", _count_links, _read_links),
)
