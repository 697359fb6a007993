"""The audit log over all services (ACC-10): written once, never changed, filtered and exported."""

from uuid import UUID

from services.accounts.use_cases.visibility import position, readable_services
from shared.contracts.accounts.lists import ListAuditLog
from shared.contracts.base import Page
from shared.contracts.platform.events import AuditRecorded
from shared.contracts.platform.shapes import AuditEntry
from shared.pagination import cursor_for
from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, event: AuditRecorded) -> None:
    """Add an entry to the log; a repeated one is there already."""
    entry = event.entry
    await uow.execute(
        "INSERT INTO audit_log (organization_id, id, service, occurred_at, actor_kind, actor_id, action, subject_kind,"
        " subject_id, entry) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        uow.organization_id,
        entry.id,
        entry.service,
        entry.occurred_at,
        entry.actor.kind,
        entry.actor.id,
        entry.action,
        entry.subject_kind,
        entry.subject_id,
        entry.model_dump_json(),
    )


async def list_entries(uow: UnitOfWork, message: ListAuditLog) -> Page[AuditEntry]:
    """A page of the log, newest first."""
    occurred_at, entry_id = position(message.after)
    rows = await uow.fetch(
        _LIST,
        readable_services(uow.caller),
        _only_by(uow),
        message.actor,
        message.action,
        message.service_name,
        message.subject_kind,
        message.subject_id,
        message.since,
        message.until,
        occurred_at,
        entry_id,
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(page[-1]["occurred_at"].isoformat(), str(page[-1]["id"])) if len(rows) > len(page) else None
    return Page(items=[AuditEntry.model_validate_json(row["entry"]) for row in page], next=following)


# What belongs to whom is told by the actor: entries have no shop, so that who is limited to shops sees the own deeds.
_LIST = """
SELECT id, occurred_at, entry FROM audit_log
WHERE service = ANY($1) AND ($2::uuid IS NULL OR actor_id = $2) AND ($3::uuid IS NULL OR actor_id = $3)
  AND ($4::text IS NULL OR action = $4 OR (right($4, 2) = '.*' AND starts_with(action, left($4, -1))))
  AND ($5::text IS NULL OR service = $5)
  AND ($6::text IS NULL OR subject_kind = $6) AND ($7::text IS NULL OR subject_id = $7)
  AND ($8::timestamptz IS NULL OR occurred_at >= $8) AND ($9::timestamptz IS NULL OR occurred_at < $9)
  AND ($10::timestamptz IS NULL OR (occurred_at, id) < ($10, $11::uuid))
ORDER BY occurred_at DESC, id DESC LIMIT $12
"""


def _only_by(uow: UnitOfWork) -> UUID | None:
    return uow.caller.id if uow.caller.shop_ids is not None else None
