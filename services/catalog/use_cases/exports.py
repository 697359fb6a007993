"""Exports as who wants them sees them: started, listed, looked at."""

from datetime import timedelta
from uuid import UUID

import asyncpg
import orjson

from services.catalog import errors
from services.catalog.repository import categories, exports, shops
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.export_groups import GROUPS
from shared import clock, jobs
from shared.contracts.catalog.exports import Export, ExportDraft, ExportFile, ExportFilter
from shared.contracts.platform.imports import service_of_group
from shared.contracts.platform.shapes import Actor, JobProgress, ResultFile
from shared.identifiers import new_id
from shared.impex.writing_files import FORMATS
from shared.imports.errors import ShopNotNamed, UnsupportedGroup, UnsupportedProfile
from shared.unit_of_work import UnitOfWork

# How long the file of an export can be fetched.
KEPT = timedelta(days=7)


async def start(uow: UnitOfWork, draft: ExportDraft) -> Export:
    """Queue an export.

    Raises UnsupportedGroup, UnsupportedFormat, UnsupportedProfile, UnsupportedFilter, ShopNotNamed, ShopNotFound,
    CategoryNotFound, MissingScope, StockOfAllShops, GroupOfAllShops.
    """
    _check(draft)
    is_of_another = service_of_group(draft.group) != uow.service
    if is_of_another:
        _check_of_another(uow, draft)
    shop = None if is_of_another else await _shop(uow, draft)
    if draft.filter.category_id is not None:
        await categories.get(uow, draft.filter.category_id)
    if draft.filter.assigned_to is not None:
        await shops.get_by_code(uow, draft.filter.assigned_to)
    export_id = new_id()
    job = await jobs.create(uow, "export", {"export_id": export_id, "shop_ids": uow.caller.shop_limit})
    asked = draft.model_dump(mode="json", exclude_defaults=True)
    await exports.add(
        uow,
        export_id,
        job.id,
        group=draft.group,
        file_format=draft.format,
        profile=draft.profile,
        zipped=draft.zipped,
        shop_id=shop.id if shop else None,
        wanted=asked.get("filter", {}),
    )
    uow.audit("export.start", "export", export_id, after={"group": draft.group, "format": draft.format})
    return shape(await exports.get(uow, export_id))


def _check(draft: ExportDraft) -> None:
    group = GROUPS.get(draft.group)
    if group is None:
        raise UnsupportedGroup(f"'{draft.group}' cannot be exported; there are {', '.join(GROUPS)}.")
    if draft.format not in FORMATS:
        raise errors.UnsupportedFormat(f"'{draft.format}' is not a format here; there are {', '.join(FORMATS)}.")
    if draft.profile not in group.profiles:
        known = ", ".join(group.profiles)
        raise UnsupportedProfile(f"'{draft.profile}' is not a profile of {draft.group}; there are {known}.")
    unknown = draft.filter.model_dump(exclude_none=True).keys() - group.filters
    if unknown:
        raise errors.UnsupportedFilter(f"{', '.join(sorted(unknown))} is not told of {draft.group}: leave it out.")


def _check_of_another(uow: UnitOfWork, draft: ExportDraft) -> None:
    """What is another service's, and of all shops.

    Raises MissingScope, StockOfAllShops, GroupOfAllShops, UnsupportedFilter.
    """
    _require_scope(uow, draft.group)
    if uow.caller.shop_ids is not None:
        refusal = errors.StockOfAllShops if draft.group == "stock" else errors.GroupOfAllShops
        raise refusal(f"A file of {draft.group} is of all shops together, and you are limited to some.")
    if draft.shop is not None:
        raise errors.UnsupportedFilter(f"A file of {draft.group} is of all shops together: leave 'shop' out.")


def _require_scope(uow: UnitOfWork, group: str) -> None:
    """Raises MissingScope for whoever may not read what a group's service has."""
    if (service := service_of_group(group)) != uow.service:
        uow.caller.require(f"{service}:read")


async def _shop(uow: UnitOfWork, draft: ExportDraft) -> KnownShop | None:
    """The named shop, or the only one that could be meant; none where there are several and prices can be left out."""
    if draft.shop is not None:
        return await shops.get_by_code(uow, draft.shop)
    if draft.group == "channel-content" and uow.caller.shop_ids is None:
        # Of all channels.
        return None
    roots = await shops.list_roots(uow)
    if len(roots) == 1:
        return roots[0]
    if draft.group == "prices" or uow.caller.shop_ids is not None:
        codes = ", ".join(repr(shop.code) for shop in roots[:20]) or "none at the root"
        raise ShopNotNamed(f"Say with 'shop' whose prices are meant: {codes}.")
    return None


def shape(row: asyncpg.Record) -> Export:
    file = _file(row)
    return Export(
        id=row["id"],
        job_id=row["job_id"],
        group=row["item_group"],
        format=row["format"],
        profile=row["profile"],
        shop=row["shop"],
        filter=ExportFilter.model_validate_json(row["filter"]),
        zipped=row["zipped"],
        state=row["state"],
        progress=JobProgress(done=row["done"], total=row["total"]),
        counters=orjson.loads(row["counters"]),
        error=None if row["error"] is None else orjson.loads(row["error"]),
        file_name=file.name if file else None,
        size=file.size if file else None,
        requested_by=Actor.model_validate_json(row["requested_by"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _file(row: asyncpg.Record) -> ResultFile | None:
    files = orjson.loads(row["result_files"])
    return ResultFile(**files[0]) if files else None


async def file(uow: UnitOfWork, export_id: UUID) -> ExportFile:
    """Where the file is. Raises ExportNotFound, MissingScope, ExportNotFinished, ExportHasNoFile."""
    row = await exports.get(uow, export_id)
    _require_scope(uow, row["item_group"])
    if row["state"] in ("queued", "running"):
        raise errors.ExportNotFinished("The export still runs; its file is there at the end.")
    found = _file(row)
    if found is None:
        raise errors.ExportHasNoFile("The export has no file: it failed, or was cancelled.")
    if row["finished_at"] < clock.now() - KEPT:
        raise errors.ExportHasNoFile(f"The file was kept for {KEPT.days} days: export again.")
    return ExportFile(**found.model_dump())
