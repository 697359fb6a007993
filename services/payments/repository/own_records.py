"""What we write down ourselves: callbacks that say what a provider told us, and how requested refunds are sent."""

from datetime import datetime
from uuid import UUID

from services.payments.repository import callback_records
from shared import clock
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


async def add_callback(uow: UnitOfWork, gateway_id: UUID, identity: bytes, event: str, body: bytes) -> UUID:
    """The callback that brings this in; the same one however often it is asked for."""
    added = await uow.fetchval(
        "INSERT INTO callbacks (organization_id, id, gateway_id, identity, digest, event, body, headers, received_at,"
        " is_verified, status, origin)"
        " VALUES ($1, $2, $3, $4, $4, $5, $6, '[]', $7, true, 'received', 'reconciliation')"
        " ON CONFLICT DO NOTHING RETURNING id",
        uow.organization_id,
        new_id(),
        gateway_id,
        identity,
        event,
        body,
        clock.now(),
    )
    found: UUID | None = added or await callback_records.find_callback_id(uow, gateway_id, identity)
    assert found is not None
    return found


async def note_sending(uow: UnitOfWork, refund_id: UUID, at: datetime) -> None:
    """A requested refund is being sent from now on. Lock its payment first."""
    await uow.execute("UPDATE refunds SET sending_since = $2 WHERE id = $1", refund_id, at)


async def note_sent(uow: UnitOfWork, refund_id: UUID, external_id: str) -> None:
    """The provider calls what was made of a request by this name."""
    await uow.execute("UPDATE refunds SET sent_as = $2 WHERE id = $1", refund_id, external_id)


async def note_not_sent(uow: UnitOfWork, refund_id: UUID, why: str) -> None:
    await uow.execute("UPDATE refunds SET sending_error = $2 WHERE id = $1", refund_id, why[:1000])
