"""What one cause did to the catalog, as its history tells it (shared/history.py)."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.repository.watched import WATCHED
from shared.contracts.platform.imports import ImportSample, SampleField, SampleKind
from shared.unit_of_work import UnitOfWork

# Ours, and of no meaning to a merchant.
HIDDEN = frozenset(
    {"organization_id", "id", "product_id", "variant_id", "category_id", "price_list_id", "option_key"}
    | {"created_cause", "created_at", "version", "updated_at"}
)

Key = Mapping[str, Any]


class Names:
    """What things are called by whoever knows their slugs and SKUs."""

    def __init__(self, slugs: Mapping[str, str], skus: Mapping[str, str], categories: Mapping[str, str]) -> None:
        self._slugs = slugs
        self._skus = skus
        self._categories = categories

    def of(self, entity: str, key: Key, state: Mapping[str, Any] | None = None) -> str:
        """`state` is what the thing was, where it may be gone."""
        state = state or {}
        match entity:
            case "product":
                return self._slugs.get(key["id"]) or str(state.get("slug") or key["id"])
            case "variant":
                return self._skus.get(key["id"]) or str(state.get("sku") or key["id"])
            case "category":
                return self._categories.get(key["id"]) or str(state.get("slug") or key["id"])
            case "price":
                sku = self._skus.get(key["variant_id"], key["variant_id"])
                return sku if key["minimum_quantity"] == 1 else f"{sku} from {key['minimum_quantity']}"
            case "membership":
                slug = self._slugs.get(key["product_id"], key["product_id"])
                return f"{slug} in {self._categories.get(key['category_id'], key['category_id'])}"
            case "channel_content":
                of = self._skus.get(key.get("variant_id", "")) or self._slugs.get(key["product_id"], key["product_id"])
                return f"{of} at {key['channel_id']}"
            case "text":
                return f"{self._slugs.get(key['product_id'], key['product_id'])} in {key['locale']}"
        return " ".join(str(value) for value in key.values())


async def names_of(uow: UnitOfWork, things: Iterable[tuple[str, Key]]) -> Names:
    """The names of these entities by their keys, as they are stored now."""
    ids: dict[str, set[str]] = {"product": set(), "variant": set(), "category": set()}
    for entity, key in things:
        for kind, found in ids.items():
            name = key.get("id") if entity == kind else key.get(f"{kind}_id")
            if name is not None:
                found.add(name)
    return Names(
        await _column(uow, "SELECT id, slug AS name FROM products WHERE id = ANY($1)", ids["product"]),
        await _column(uow, "SELECT id, sku AS name FROM variants WHERE id = ANY($1)", ids["variant"]),
        await _column(uow, "SELECT id, slug AS name FROM categories WHERE id = ANY($1)", ids["category"]),
    )


async def _column(uow: UnitOfWork, sql: str, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    return {str(row["id"]): row["name"] for row in await uow.fetch(sql, [UUID(id_) for id_ in ids])}


async def touched_now(uow: UnitOfWork, cause_id: UUID, entity: str) -> set[UUID]:
    """The things of one kind that this very transaction has changed."""
    rows = await uow.fetch(
        "SELECT DISTINCT key->>'id' AS id FROM changes WHERE cause_id = $1 AND entity = $2 AND occurred_at = now()",
        cause_id,
        entity,
    )
    return {UUID(row["id"]) for row in rows}


async def samples(uow: UnitOfWork, cause_id: UUID, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
    """Updates and deletes of a cause, up to so many of each."""
    updates = await _changes(uow, cause_id, "before IS NOT NULL AND after IS NOT NULL", wanted.get("update", 0))
    deletes = await _changes(uow, cause_id, "after IS NULL", wanted.get("delete", 0))
    things = [(row["entity"], orjson.loads(row["key"])) for row in (*updates, *deletes)]
    names = await names_of(uow, things)
    return [_sample("update", row, names) for row in updates] + [_sample("delete", row, names) for row in deletes]


async def _changes(uow: UnitOfWork, cause_id: UUID, what: str, most: int) -> list[asyncpg.Record]:
    if most <= 0:
        return []
    return await uow.fetch(
        f"SELECT entity, key, before, after FROM changes WHERE cause_id = $1 AND {what} ORDER BY number LIMIT $2",  # noqa: S608
        cause_id,
        most,
    )


def _sample(kind: SampleKind, row: asyncpg.Record, names: Names) -> ImportSample:
    before = orjson.loads(row["before"] or "{}")
    after = orjson.loads(row["after"] or "{}")
    key = orjson.loads(row["key"])
    return ImportSample(
        kind=kind, part=row["entity"], name=names.of(row["entity"], key, before), fields=fields(before, after)
    )


def fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[SampleField]:
    """What differs, in the order of its names, without what only we know."""
    names = sorted(({*before, *after}) - HIDDEN)
    found = [SampleField(field=name, before=before.get(name), after=after.get(name)) for name in names]
    return [field for field in found if field.before is not None or field.after is not None]


async def made(uow: UnitOfWork, cause_id: UUID, sources: Mapping[str, str], most: int) -> list[ImportSample]:
    """The first `most` rows that a cause has made. `sources` says by entity which: conditions in SQL on `t`."""
    found: list[tuple[str, dict[str, Any]]] = []
    for entity, where in sources.items():
        if len(found) >= most:
            break
        # By their keys, which are given out in the order of the file.
        order = ", ".join(f"t.{name}" for name in WATCHED[entity].key)
        rows = await uow.fetch(
            f"SELECT to_jsonb(t) AS state FROM {WATCHED[entity].table} t"  # noqa: S608
            f" WHERE {where} ORDER BY {order} LIMIT $1",
            most - len(found),
        )
        found += [(entity, orjson.loads(row["state"])) for row in rows]
    keys = [(entity, {name: state[name] for name in WATCHED[entity].key}) for entity, state in found]
    names = await names_of(uow, keys)
    return [
        ImportSample(kind="insert", part=entity, name=names.of(entity, key, state), fields=fields({}, state))
        for (entity, state), (_, key) in zip(found, keys, strict=True)
    ]
