"""Categories, written in sets."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared.unit_of_work import UnitOfWork

# What a column says where it may be empty. Names and slugs of languages are added to those that there are.
_EMPTY = {"valid_from": "NULL", "valid_until": "NULL", "names": "'{}'", "slugs": "'{}'"}
_BY_LANGUAGE = ("names", "slugs")


async def write(
    uow: UnitOfWork, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empties: bool = False
) -> set[UUID]:
    """Give categories these values by their ids. Returns those that differed.

    None says nothing, or with `empties` empties what may be empty.
    """
    if not columns or not rows:
        return set()
    said = {name: _said(name, empties=empties) for name in columns}
    assignments = ", ".join(f"{name} = {value}" for name, value in said.items())
    stored = ", ".join(f"t.{name}" for name in columns)
    changed = await uow.fetch(
        f"UPDATE categories t SET {assignments}, version = t.version + 1"  # noqa: S608
        f" FROM jsonb_populate_recordset(NULL::categories, $1::jsonb) r WHERE t.id = r.id"
        f" AND ROW({stored}) IS DISTINCT FROM ROW({', '.join(said.values())}) RETURNING t.id",
        orjson.dumps(rows).decode(),
    )
    return {row["id"] for row in changed}


def _said(name: str, *, empties: bool) -> str:
    if empties and name in _EMPTY:
        return f"coalesce(r.{name}, {_EMPTY[name]})"
    if name in _BY_LANGUAGE:
        return f"t.{name} || coalesce(r.{name}, '{{}}')"
    return f"coalesce(r.{name}, t.{name})"


async def stored(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """What these categories are."""
    rows = await uow.fetch(
        "SELECT id, parent_id, slug, slugs, valid_from, valid_until FROM categories WHERE id = ANY($1)", list(ids)
    )
    return {row["id"]: row for row in rows}


def slugs_of(row: Mapping[str, Any]) -> dict[str, str]:
    """A stored category's slugs by locale, its own under the empty one."""
    return {**orjson.loads(row["slugs"]), "": row["slug"]}


async def with_slugs(uow: UnitOfWork, slugs: Sequence[str]) -> dict[UUID, asyncpg.Record]:
    """All categories that have one of these slugs in whichever language: `id, parent_id, slug, slugs`."""
    rows = await uow.fetch(
        "SELECT id, parent_id, slug, slugs FROM categories WHERE slug = ANY($1)"
        " OR id IN (SELECT category_id FROM category_slugs WHERE slug = ANY($1))",
        list(slugs),
    )
    return {row["id"]: row for row in rows}
