"""Definitions of attributes, and the values that products have under their codes."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.errors import AttributeNotFound
from services.catalog.models.attributes import Definition
from shared.contracts.catalog.attributes import Attribute, Choice
from shared.contracts.catalog.events import IDS_PER_EVENT, ProductsChanged
from shared.unit_of_work import UnitOfWork


async def definitions_of(uow: UnitOfWork, codes: Iterable[str]) -> dict[str, Definition]:
    """The definitions of these codes that there are; asks nothing for none."""
    wanted = list(codes)
    if not wanted:
        return {}
    rows = await uow.fetch("SELECT * FROM attributes WHERE code = ANY($1)", wanted)
    return {row["code"]: definition(row) for row in rows}


async def definitions_for(uow: UnitOfWork, rows: Iterable[Mapping[str, Any]]) -> dict[str, Definition]:
    """Definitions of what these rows of products and variants have in their `attributes`."""
    held = {row["attributes"] for row in rows}
    return await definitions_of(uow, {code for attributes in held - {"{}"} for code in orjson.loads(attributes)})


def definition(row: Mapping[str, Any]) -> Definition:
    return Definition(
        **{name: row[name] for name in ("code", "label", "type", "unit", "is_facet")},
        labels=orjson.loads(row["labels"]),
        choices=tuple(Choice.model_construct(**choice) for choice in orjson.loads(row["choices"])),
    )


async def get(uow: UnitOfWork, attribute_id: UUID, *, to_change: bool = False) -> Attribute:
    """Raises AttributeNotFound."""
    lock = " FOR UPDATE" if to_change else ""
    row = await uow.fetchrow(f"SELECT * FROM attributes WHERE id = $1{lock}", attribute_id)  # noqa: S608
    if row is None:
        raise AttributeNotFound("There is no such attribute.")
    return _shape(row)


async def list_by_code(uow: UnitOfWork, after: str, first: int) -> list[Attribute]:
    rows = await uow.fetch("SELECT * FROM attributes WHERE code > $1 ORDER BY code LIMIT $2", after, first)
    return [_shape(row) for row in rows]


def _shape(row: asyncpg.Record) -> Attribute:
    fields = {name: row[name] for name in Attribute.model_fields}
    choices = [Choice.model_construct(**choice) for choice in orjson.loads(row["choices"])]
    return Attribute.model_construct(**fields | {"labels": orjson.loads(row["labels"]), "choices": choices})


async def write(uow: UnitOfWork, attribute_id: UUID, wanted: Definition) -> None:
    """Insert a definition, or replace it and count the change."""
    await uow.execute(
        "INSERT INTO attributes (organization_id, id, code, label, labels, type, unit, is_facet, choices)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (organization_id, id) DO UPDATE SET label = $4,"
        " labels = $5, type = $6, unit = $7, is_facet = $8, choices = $9, version = attributes.version + 1,"
        " updated_at = now()",
        uow.organization_id,
        attribute_id,
        wanted.code,
        wanted.label,
        orjson.dumps(dict(wanted.labels)).decode(),
        wanted.type,
        wanted.unit,
        wanted.is_facet,
        orjson.dumps([choice.model_dump() for choice in wanted.choices]).decode(),
    )


async def remove(uow: UnitOfWork, attribute_id: UUID) -> None:
    await uow.execute("DELETE FROM attributes WHERE id = $1", attribute_id)


@dataclass(frozen=True, slots=True)
class HeldValue:
    """A text that is stored under a code, by how many products and variants, and the first of them by slug or SKU."""

    text: str
    count: int
    example: str


async def held_values(uow: UnitOfWork, code: str) -> AsyncIterator[HeldValue]:
    """Every different text that products and variants have under a code, in no order."""
    connection = await uow.connection()
    question = (
        "SELECT value, count(*) AS count, min(name) AS example FROM ("
        " SELECT attributes ->> $1 AS value, slug AS name FROM products WHERE attributes ? $1"
        " UNION ALL SELECT attributes ->> $1, sku FROM variants WHERE attributes ? $1) held GROUP BY value"
    )
    async for row in connection.cursor(question, code, prefetch=2000):
        yield HeldValue(row["value"], row["count"], row["example"])


async def rewrite_values(uow: UnitOfWork, code: str, texts: Mapping[str, str]) -> None:
    """Store values in the form that their type gives them: by what is stored, what is to be."""
    for table in ("products", "variants"):
        await uow.execute(
            f"UPDATE {table} t SET attributes = t.attributes || jsonb_build_object($1::text, s.wanted)"  # noqa: S608
            " FROM unnest($2::text[], $3::text[]) AS s (held, wanted) WHERE t.attributes ->> $1 = s.held",
            code,
            list(texts),
            list(texts.values()),
        )


async def count_change_of_holders(uow: UnitOfWork, code: str, texts: Collection[str] | None = None) -> None:
    """What products show under this code is something else now: each has changed, or those that hold one of `texts`."""
    await uow.execute(
        "UPDATE products SET version = version + 1, updated_at = now() WHERE id IN ("
        " SELECT id FROM products WHERE attributes ? $1 AND ($2::text[] IS NULL OR attributes ->> $1 = ANY($2))"
        " UNION SELECT product_id FROM variants"
        " WHERE attributes ? $1 AND ($2::text[] IS NULL OR attributes ->> $1 = ANY($2)))",
        code,
        None if texts is None else list(texts),
    )


async def announce_holders(uow: UnitOfWork, code: str) -> None:
    """Offers of these products say something else."""
    rows = await uow.fetch(
        "SELECT id FROM products WHERE attributes ? $1 UNION SELECT product_id FROM variants WHERE attributes ? $1"
        " ORDER BY 1",
        code,
    )
    ids = [row["id"] for row in rows]
    for start in range(0, len(ids), IDS_PER_EVENT):
        uow.record(ProductsChanged(product_ids=ids[start : start + IDS_PER_EVENT]))
