"""Suppliers of a platform, and what each of them supplies, go to inventory as files of their groups."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.repository import changes, issues, listings
from services.sync.repository.issues import Trouble
from services.sync.use_cases.executing import Run
from services.sync.use_cases.taking.imports import Sheet, carry_out, stored
from shared.contracts.sync.shapes import Entity
from shared.impex.writing_products import major
from shared.money import exponent

_RECORDS_AT_ONCE = 1000
_GROUPS: dict[Entity, str] = {"supplier": "suppliers", "supplier_link": "supplier-links"}


async def take_suppliers(run: Run) -> None:
    """Take what is queued of suppliers or their links, in files of a thousand. A kill costs nothing: a file is once."""
    while "batch" in run.job.checkpoint or await _prepare(run):
        await _carry_out(run)


async def _prepare(run: Run) -> bool:
    """Keep which records the next file has: its import has an id of its own, and is of these alone however often it is
    tried. False: nothing is queued any more.
    """
    point = run.job.checkpoint
    after = point.get("taken")
    async with run.job.step() as uow:
        queued = await changes.list_queued(
            uow,
            run.connection_id,
            "in",
            (run.rule.entities[0],),
            "all",
            UUID(after) if after else None,
            _RECORDS_AT_ONCE,
            run.only,
        )
        if queued:
            point["batch"] = sorted({str(each["listing_id"]) for each in queued})
    return bool(queued)


async def _carry_out(run: Run) -> None:
    point, entity = run.job.checkpoint, run.rule.entities[0]
    number = point.get("batches", 0)
    uow = run.job.unit_of_work()
    try:
        rows = await listings.list_by_ids(uow, [UUID(listing_id) for listing_id in point["batch"]])
    finally:
        await uow.rollback()
    cells = [_CELLS[entity](run, row["external_id"], orjson.loads(row["remote"])) for row in rows]
    sheet = Sheet("merge", tuple(dict.fromkeys(name for each in cells for name in each)))
    for row, each in zip(rows, cells, strict=True):
        sheet.add(row["external_id"], [each])
    refused = await carry_out(run, await stored(run, _GROUPS[entity], sheet, number))
    await _settle(run, rows, refused)


async def _settle(run: Run, rows: Sequence[asyncpg.Record], refused: Mapping[str, tuple[str, str]]) -> None:
    point = run.job.checkpoint
    taken = {row["id"]: row for row in rows if row["external_id"] not in refused}
    troubles = [
        Trouble(run.kind, "error", *refused[row["external_id"]], row["external_id"], row["id"])
        for row in rows
        if row["external_id"] in refused
    ]
    async with run.job.step() as uow:
        queued = [
            each
            for each in await changes.list_open(uow, [row["id"] for row in rows], "in")
            if each["state"] == "queued"
        ]
        await listings.acknowledge(uow, {id_: orjson.loads(row["remote"]) for id_, row in taken.items()})
        await changes.settle(uow, [each["id"] for each in queued if each["listing_id"] in taken], "applied")
        failed = [each["id"] for each in queued if each["listing_id"] not in taken]
        await changes.fail(uow, failed, "refused", run.job.id)
        await issues.resolve(uow, run.connection_id, run.kind, [row["external_id"] for row in taken.values()])
        if troubles:
            await run.tell(uow, *troubles)
        run.job.count("applied", len(taken))
        run.job.count("failed", len(troubles))
        point |= {"taken": max(point["batch"]), "batches": point.get("batches", 0) + 1}
        del point["batch"]


def _supplier(run: Run, external_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """A supplier is known here by its id over there."""
    said = {
        "name": fields.get("name") or external_id,
        "contact_email": fields.get("email") or "",
        "contact_phone": fields.get("phone") or "",
    }
    return {"code": external_id, **said, "currency": run.connection["currency"]}


def _link(run: Run, external_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
    cost = fields.get("cost")
    money = (
        {"cost": major(int(cost["amount"]), exponent(cost["currency"])), "currency": cost["currency"]} if cost else {}
    )
    own = {"supplier": str(fields.get("supplier") or ""), "sku": str(fields.get("sku") or "")}
    return {**own, "supplier_sku": str(fields.get("vendor_sku") or ""), **money}


_CELLS = {"supplier": _supplier, "supplier_link": _link}
