"""What tests of reconciliation do over and over: run jobs as a worker would, and look at what they found."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared import clock
from shared.bus.envelope import service_envelope
from shared.contracts.payments.reconciliation import (
    Difference,
    GetReconciliation,
    ListDifferences,
    ReconcileGateway,
    Reconciliation,
)
from shared.contracts.payments.shapes import PaymentGateway
from shared.errors import CarriedError
from shared.jobs import JobRunner
from tests.doors import eventually
from tests.factories import gateways as g
from tests.services.payments.conftest import Till


async def run_job(till: Till, job_id: Any) -> str:
    """Run a job as a worker would, until it is over or rests. Returns its state."""
    runner = JobRunner(till.service, till.process.surroundings)
    runner.start(till.organization_id, job_id)

    async def has_stopped() -> bool:
        return not runner._running

    await eventually(has_stopped, timeout_seconds=60)
    await runner.stop()
    (row,) = await till.rows("SELECT state FROM jobs WHERE id = $1", job_id)
    return str(row["state"])


async def wake(till: Till, job_id: UUID) -> None:
    """As if the time a job rests had passed."""
    uow = till.unit_of_work()
    await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", job_id)
    await uow.commit()


async def begin(till: Till, gateway: PaymentGateway, hours: float = 24) -> Reconciliation:
    now = clock.now()
    message = ReconcileGateway(gateway_id=gateway.id, since=now - timedelta(hours=hours), until=now)
    begun: Reconciliation = await till.ask(message)
    return begun


async def reconcile(till: Till, gateway: PaymentGateway, hours: float = 24) -> Reconciliation:
    """A reconciliation of the last hours, at its end."""
    begun = await begin(till, gateway, hours)
    await run_job(till, begun.job_id)
    ended: Reconciliation = await till.ask(GetReconciliation(reconciliation_id=begun.id))
    return ended


async def differences(till: Till, **wanted: Any) -> list[Difference]:
    page = await till.ask(ListDifferences(first=200, **wanted))
    return sorted(page.items, key=lambda each: each.reference)


def told(found: list[Difference]) -> list[tuple[str, str, int, int]]:
    """Kind, reference, and the amounts there and here."""
    return [
        (
            each.kind,
            each.reference,
            each.amount_there.amount if each.amount_there else 0,
            each.amount_here.amount if each.amount_here else 0,
        )
        for each in found
    ]


async def refused(till: Till, message: Any) -> str:
    with pytest.raises(CarriedError) as error:
        await till.ask(message)
    return error.value.code


async def perform_clock(till: Till, name: str) -> None:
    """Let the clock do something, across tenants, then what it left to be done at once."""
    envelope = service_envelope("payments", None)
    system = till.process.surroundings.unit_of_work("payments", envelope, across_tenants=True)
    try:
        await till.service.tasks[f"every.{name}"].function({}, system)
        await system.commit()
    finally:
        await system.rollback()
    uow = till.unit_of_work()
    await uow.execute("UPDATE tasks SET due_at = now() WHERE kind LIKE 'payments.%'")
    await uow.commit()
    await till.work()


async def stripe_gateway(till: Till, key: str = "sk_test_of_the_tests", **fields: Any) -> PaymentGateway:
    credentials = f'{{"api_key": "{key}"}}'
    return await g.open_gateway(till.process, till.organization_id, "stripe", credentials=credentials, **fields)


async def mollie_gateway(till: Till, key: str = "sk_test_of_the_tests", **fields: Any) -> PaymentGateway:
    options = {"secrets": (), "credentials": f'{{"api_key": "{key}"}}'} | fields
    return await g.open_gateway(till.process, till.organization_id, "mollie", **options)


def ago(minutes: float) -> datetime:
    return clock.now() - timedelta(minutes=minutes)
