"""Drop folders: their rules, what was last taken from them, and the files that were seen in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from shared.contracts.catalog.drop_folders import DropRule
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Folder:
    """A shop's folder as it stands."""

    shop_id: UUID
    shop: str
    rules: tuple[DropRule, ...]
    last_import_id: UUID | None
    reindex_after_import: bool


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was when it was last looked at. `is_told`: somebody has been told that it cannot be taken."""

    name: str
    size: int
    modified_ns: int
    is_told: bool = False


_FOLDER = (
    "SELECT s.id AS shop_id, s.code, coalesce(f.rules, '[]') AS rules, f.last_import_id,"
    " coalesce(f.reindex_after_import, false) AS reindex FROM shops s LEFT JOIN drop_folders f ON f.shop_id = s.id"
    " WHERE NOT s.is_removed"
)


async def list_folders(uow: UnitOfWork, after: str, first: int) -> list[Folder]:
    """By shop, those of the caller's shops alone."""
    rows = await uow.fetch(
        f"{_FOLDER} AND s.code > $1 AND ($2::uuid[] IS NULL OR s.id = ANY($2)) ORDER BY s.code LIMIT $3",
        after,
        uow.caller.shop_limit,
        first,
    )
    return [_folder(row) for row in rows]


def _folder(row: asyncpg.Record) -> Folder:
    rules = tuple(DropRule.model_validate(rule) for rule in orjson.loads(row["rules"]))
    return Folder(row["shop_id"], row["code"], rules, row["last_import_id"], row["reindex"])


async def set_rules(uow: UnitOfWork, shop_id: UUID, rules: Sequence[DropRule]) -> None:
    await uow.execute(
        "INSERT INTO drop_folders (organization_id, shop_id, rules) VALUES ($1, $2, $3)"
        " ON CONFLICT (organization_id, shop_id) DO UPDATE SET rules = excluded.rules",
        uow.organization_id,
        shop_id,
        orjson.dumps([rule.model_dump() for rule in rules]).decode(),
    )


async def note_taken(uow: UnitOfWork, shop_id: UUID, import_id: UUID, *, reindex: bool) -> None:
    await uow.execute(
        "UPDATE drop_folders SET last_import_id = $2, reindex_after_import = $3 WHERE shop_id = $1",
        shop_id,
        import_id,
        reindex,
    )


async def note_reindexed(uow: UnitOfWork, shop_id: UUID) -> None:
    await uow.execute("UPDATE drop_folders SET reindex_after_import = false WHERE shop_id = $1", shop_id)


async def seen_files(uow: UnitOfWork, shop_id: UUID) -> dict[str, SeenFile]:
    rows = await uow.fetch("SELECT name, size, modified_ns, is_told FROM drop_files WHERE shop_id = $1", shop_id)
    return {row["name"]: SeenFile(**row) for row in rows}


async def note_seen(uow: UnitOfWork, shop_id: UUID, files: Sequence[SeenFile]) -> None:
    """These files are in the folder now, and no others."""
    await uow.execute(
        "DELETE FROM drop_files WHERE shop_id = $1 AND name <> ALL($2)", shop_id, [file.name for file in files]
    )
    await uow.execute(
        "INSERT INTO drop_files (organization_id, shop_id, name, size, modified_ns, is_told)"
        " SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::boolean[])"
        " ON CONFLICT (organization_id, shop_id, name) DO UPDATE SET size = excluded.size,"
        " modified_ns = excluded.modified_ns, is_told = excluded.is_told",
        uow.organization_id,
        shop_id,
        [file.name for file in files],
        [file.size for file in files],
        [file.modified_ns for file in files],
        [file.is_told for file in files],
    )


async def leave_tasks(uow: UnitOfWork, kind: str, organization_ids: Iterable[UUID]) -> None:
    """Across tenants: one task for each organization."""
    ids = list(organization_ids)
    if ids:
        await uow.execute(
            "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
            " SELECT o, id, $3, '{}', now(), 'look' FROM unnest($1::uuid[], $2::uuid[]) AS t (o, id)"
            " ON CONFLICT DO NOTHING",
            ids,
            [new_id() for _ in ids],
            kind,
        )
