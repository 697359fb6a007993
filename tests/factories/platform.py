"""What every service has, as one of them has it: a job of catalog, an alert, and what is parked."""

from uuid import UUID

from deploy.topology import Surrounded, named
from shared import jobs
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.lists import ListAlerts
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


async def make(process: Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A queued job, an open alert, a parked delivery and a parked task of catalog, in this organization."""
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
    job = await jobs.create(uow, "factory.example", {})
    event_id = uow.record(AlertCleared(service="catalog", cause="parked"))
    task_id = await _park_task(uow)
    await uow.commit()
    await _park_delivery(process, organization_id, event_id)
    return {
        "job_id": job.id,
        "alert_id": await _alert(process, organization_id),
        "event_id": event_id,
        "task_id": task_id,
    }


async def _park_task(uow: UnitOfWork) -> UUID:
    task_id = new_id()
    await uow.execute(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, failures, last_error, parked_at)"
        " VALUES ($1, $2, 'factory.example', '{}', now(), 12, 'conflict: x', now())",
        uow.organization_id,
        task_id,
    )
    return task_id


async def _park_delivery(process: Surrounded, organization_id: UUID, event_id: UUID) -> None:
    """Nobody of this name acknowledges it, so it stays."""
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
    await uow.execute(
        "INSERT INTO deliveries (organization_id, event_id, listener, next_attempt_at, failures, last_error, parked_at)"
        " VALUES ($1, $2, 'nobody', now(), 12, 'conflict: x', now())",
        organization_id,
        event_id,
    )
    await uow.commit()


async def _alert(process: Surrounded, organization_id: UUID) -> UUID:
    """An alert that accounts has heard of."""
    (accounts,) = named("accounts")
    cause = f"factory.{new_id().hex}"
    raised = AlertRaised(service="catalog", cause=cause, severity="warning", title="Made", detail="By a factory.")
    envelope = service_envelope("accounts", organization_id)
    uow = process.surroundings.unit_of_work("accounts", envelope)
    await accounts.listeners[raised.wire_name].function(raised, uow)
    await uow.commit()
    listed = await process.bus.ask(ListAlerts(service_name="catalog"), service_envelope("deploy", organization_id))
    return next(alert.id for alert in listed.items if alert.cause == cause)
