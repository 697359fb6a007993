"""Carriers and shipping methods."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared.contracts.inventory.carriers import Carrier, CarrierService, ShippingMethod, ShippingPrice
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# Columns of JSON, which the driver takes and gives as text.
_JSON = frozenset({"services", "price"})


def _stored(columns: Mapping[str, Any]) -> list[Any]:
    return [orjson.dumps(value).decode() if name in _JSON else value for name, value in columns.items()]


async def _add(uow: UnitOfWork, table: str, columns: Mapping[str, Any]) -> UUID | None:
    names = ", ".join(columns)
    values = ", ".join(f"${number}" for number in range(3, len(columns) + 3))
    added: UUID | None = await uow.fetchval(
        f"INSERT INTO {table} (organization_id, id, {names}) VALUES ($1, $2, {values})"  # noqa: S608
        " ON CONFLICT (organization_id, code) DO NOTHING RETURNING id",
        uow.organization_id,
        new_id(),
        *_stored(columns),
    )
    return added


async def _change(uow: UnitOfWork, table: str, id_: UUID, columns: Mapping[str, Any]) -> None:
    sets = "".join(f", {name} = ${number}" for number, name in enumerate(columns, 2))
    await uow.execute(
        f"UPDATE {table} SET version = version + 1{sets} WHERE id = $1",  # noqa: S608
        id_,
        *_stored(columns),
    )


# --- carriers

_CARRIER = "SELECT id, code, name, services, tracking_url_pattern, is_active, version FROM carriers"


def carrier_shape(row: asyncpg.Record) -> Carrier:
    columns = dict(row)
    services = [CarrierService(**service) for service in orjson.loads(columns.pop("services"))]
    return Carrier(**columns, services=services)


async def add_carrier(uow: UnitOfWork, columns: Mapping[str, Any]) -> UUID | None:
    """None where the code is taken."""
    return await _add(uow, "carriers", columns)


async def change_carrier(uow: UnitOfWork, carrier_id: UUID, columns: Mapping[str, Any]) -> None:
    """Write columns of a locked carrier, and count its change."""
    await _change(uow, "carriers", carrier_id, columns)


async def find_carrier(uow: UnitOfWork, carrier_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    return await uow.fetchrow(_CARRIER_LOCKED if lock else _CARRIER_BY_ID, carrier_id)


_CARRIER_BY_ID = f"{_CARRIER} WHERE id = $1"
_CARRIER_LOCKED = f"{_CARRIER_BY_ID} FOR UPDATE"


async def find_carrier_by_code(uow: UnitOfWork, code: str) -> asyncpg.Record | None:
    return await uow.fetchrow(f"{_CARRIER} WHERE code = $1", code)


async def list_carriers(uow: UnitOfWork, after: str | None, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(f"{_CARRIER} WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2", after, most)


async def list_patterns(uow: UnitOfWork, codes: Sequence[str]) -> dict[str, str]:
    """The tracking addresses of those of these carriers that have one, by code."""
    rows = await uow.fetch(
        "SELECT code, tracking_url_pattern FROM carriers WHERE code = ANY($1) AND tracking_url_pattern IS NOT NULL",
        codes,
    )
    return {row["code"]: row["tracking_url_pattern"] for row in rows}


# --- shipping methods

_METHOD = """
SELECT m.id, m.code, m.name, c.code AS carrier, m.service, m.price, m.countries, m.is_active, m.version,
    ARRAY(SELECT s.code FROM shipping_method_shops a JOIN shops s ON s.id = a.shop_id
        WHERE a.method_id = m.id AND NOT s.is_removed ORDER BY s.code) AS shops,
    ARRAY(SELECT f.code FROM shipping_method_centres a JOIN fulfilment_centres f ON f.id = a.centre_id
        WHERE a.method_id = m.id ORDER BY f.code) AS centres
FROM shipping_methods m LEFT JOIN carriers c ON c.id = m.carrier_id
"""


def method_shape(row: asyncpg.Record) -> ShippingMethod:
    columns = dict(row)
    return ShippingMethod(**columns | {"price": ShippingPrice.model_validate_json(columns["price"])})


async def add_method(uow: UnitOfWork, columns: Mapping[str, Any]) -> UUID | None:
    """None where the code is taken."""
    return await _add(uow, "shipping_methods", columns)


async def change_method(uow: UnitOfWork, method_id: UUID, columns: Mapping[str, Any]) -> None:
    """Write columns of a locked method, and count its change."""
    await _change(uow, "shipping_methods", method_id, columns)


async def set_shops(uow: UnitOfWork, method_id: UUID, shop_ids: Sequence[UUID]) -> None:
    """Let a locked method be offered in these shops alone."""
    await uow.execute("DELETE FROM shipping_method_shops WHERE method_id = $1", method_id)
    await uow.execute(
        "INSERT INTO shipping_method_shops (organization_id, method_id, shop_id) SELECT $1, $2, unnest($3::uuid[])",
        uow.organization_id,
        method_id,
        shop_ids,
    )


async def set_centres(uow: UnitOfWork, method_id: UUID, centre_ids: Sequence[UUID]) -> None:
    """Let a locked method carry from these centres alone; from any where there are none."""
    await uow.execute("DELETE FROM shipping_method_centres WHERE method_id = $1", method_id)
    await uow.execute(
        "INSERT INTO shipping_method_centres (organization_id, method_id, centre_id) SELECT $1, $2, unnest($3::uuid[])",
        uow.organization_id,
        method_id,
        centre_ids,
    )


async def find_method(uow: UnitOfWork, method_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    return await uow.fetchrow(_METHOD_LOCKED if lock else _METHOD_BY_ID, method_id)


_METHOD_BY_ID = f"{_METHOD} WHERE m.id = $1"
_METHOD_LOCKED = f"{_METHOD_BY_ID} FOR UPDATE OF m"


async def list_methods(uow: UnitOfWork, shop_id: UUID | None, after: str | None, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_METHOD} WHERE ($1::uuid IS NULL OR EXISTS"
        " (SELECT FROM shipping_method_shops a WHERE a.method_id = m.id AND a.shop_id = $1))"
        " AND ($2::text IS NULL OR m.code > $2) ORDER BY m.code LIMIT $3",
        shop_id,
        after,
        most,
    )


async def list_offered(uow: UnitOfWork, shop_id: UUID, centre_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Active methods of a shop, or of its nearest parent that has some, which carry from one of these centres."""
    return await uow.fetch(_OFFERED, shop_id, centre_ids)


_OFFERED = f"""
WITH RECURSIVE lineage AS (
    SELECT id, parent_id, 0 AS depth FROM shops WHERE id = $1 AND NOT is_removed
    UNION ALL
    SELECT p.id, p.parent_id, l.depth + 1 FROM lineage l JOIN shops p ON p.id = l.parent_id WHERE l.depth < 10
), own AS (
    SELECT id FROM lineage l WHERE EXISTS (SELECT FROM shipping_method_shops a WHERE a.shop_id = l.id)
    ORDER BY depth LIMIT 1
)
{_METHOD} WHERE m.is_active AND coalesce(c.is_active, true)
    AND EXISTS (SELECT FROM shipping_method_shops a JOIN own ON own.id = a.shop_id WHERE a.method_id = m.id)
    AND (NOT EXISTS (SELECT FROM shipping_method_centres a WHERE a.method_id = m.id)
        OR EXISTS (SELECT FROM shipping_method_centres a WHERE a.method_id = m.id AND a.centre_id = ANY($2)))
ORDER BY m.code
"""  # noqa: S608
