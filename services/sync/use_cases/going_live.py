"""What has to hold before a connection leaves test mode, and leaving it."""

from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import NotReady
from services.sync.repository import connections, issues
from services.sync.use_cases import connecting
from services.sync.use_cases.sessions import lacks_of
from shared import clock
from shared.contracts.sync.shapes import Connection, Greeting
from shared.contracts.sync.work import Checklist, ChecklistItem
from shared.unit_of_work import UnitOfWork


async def checklist(uow: UnitOfWork, connection_id: UUID) -> Checklist:
    """Raises ConnectionNotFound."""
    row = await connections.get(uow, connection_id)
    items = await _items(uow, row)
    return Checklist(items=items, is_ready=all(item.is_met for item in items))


async def _items(uow: UnitOfWork, row: asyncpg.Record) -> list[ChecklistItem]:
    lacks = lacks_of(row)
    scanned = {clock_["entity"] for clock_ in await connections.list_clocks(uow, row["id"]) if clock_["cursor_at"]}
    missing = Greeting.model_validate_json(row["greeting"]).missing if row["greeting"] else []
    errors = await issues.count_errors(uow, row["id"])
    return [
        ChecklistItem(
            code="credentials",
            is_met=row["greeting"] is not None and not row["needs_credentials"] and not missing,
            detail="The platform takes the credentials, and they may do all that is needed"
            + (f"; they lack {', '.join(missing)}." if missing else "."),
        ),
        ChecklistItem(
            code="products_scanned",
            is_met="product" in scanned or "import_products" in lacks,
            detail="All products of the platform were read once.",
        ),
        ChecklistItem(
            code="matches_seen",
            is_met=row["matches_seen_at"] is not None or "import_products" in lacks,
            detail="Somebody looked at the preview of matches and confirmed it.",
        ),
        ChecklistItem(
            code="stock_imported",
            is_met=row["stock_imported_at"] is not None or "import_stock" in lacks,
            detail="The platform's stock was imported once; from then on ours is written there.",
        ),
        ChecklistItem(code="no_errors", is_met=errors == 0, detail=f"No issue waits for a person; {errors} do."),
    ]


async def go_live(uow: UnitOfWork, connection_id: UUID) -> Connection:
    """Leave test mode. Raises ConnectionNotFound, NotReady."""
    row = await connections.get(uow, connection_id, lock=True)
    if row["live_at"] is None:
        open_items = [item for item in await _items(uow, row) if not item.is_met]
        if open_items:
            told = [{"code": item.code, "message": item.detail} for item in open_items]
            raise NotReady(f"Not yet: {', '.join(item.code for item in open_items)}.", told)
        await connections.put(uow, connection_id, {"mode": "production", "live_at": clock.now()})
        uow.audit("connection.go_live", "connection", connection_id, after={"settings": orjson.loads(row["settings"])})
    return await connecting.get(uow, connection_id)
