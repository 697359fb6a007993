"""Reconciliation by a provider's API: what it lists is kept page by page, then compared with the ledger in sets.

Asking happens outside any transaction. Each page and each set is a step of the job with its checkpoint: whatever is
killed, the next worker goes on with the page or the set that was not written.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from services.payments.errors import (
    InvalidPeriod,
    PeriodInFuture,
    ProviderKeptSilent,
    ReconciliationNotOffered,
    ReconciliationRunning,
    Unusable,
    WrongAccount,
)
from services.payments.gateways.apis.base import (
    Connection,
    Lister,
    Period,
    ProviderUnavailable,
    Told,
    UnknownAtProvider,
)
from services.payments.gateways.apis.registry import find_lister
from services.payments.models import Gateway, Order
from services.payments.repository import common, difference_records, gateway_records, order_records
from services.payments.repository import reconciliation_records as records
from services.payments.repository.difference_records import Found
from services.payments.repository.reconciliation_records import Fact
from services.payments.settings import payments_settings
from services.payments.use_cases import alerting, checking, comparing, connecting, processing
from shared import clock, jobs
from shared.contracts.payments.reconciliation import ReconcileGateway, Reconciliation
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.jobs import JobRests, RunningJob
from shared.unit_of_work import UnitOfWork

T = TypeVar("T")

JOB = "payments.reconcile"
SCHEDULED = "payments.reconcile_gateway"
LONGEST_PERIOD = timedelta(days=92)
# Every night so much is looked at again: a payment may be made days before its money comes.
LOOK_BACK = timedelta(days=7)
# When a day is compared, after its end: callbacks of its last minutes have their time to arrive.
AFTER_MIDNIGHT = timedelta(hours=2)
# So often in a row a page may not be had, ever later (up to an hour), before it is given up: some seven hours in all.
MOST_FAILURES = 14
_PAYMENTS_AT_ONCE = 200
_ASKED_SINGLY_AT_ONCE = 10


_WHY = {
    "adyen": "Adyen's API has no list of payments; its settlement details report has what was paid.",
    "": "The provider's API is not asked for lists.",
}

# --- beginning


async def begin(uow: UnitOfWork, message: ReconcileGateway) -> Reconciliation:
    """Leave a job. Raises PaymentGatewayNotFound, InvalidPeriod, PeriodInFuture, ReconciliationNotOffered,
    NoApiCredentials, ReconciliationRunning.
    """
    gateway = await gateway_records.get_gateway(uow, message.gateway_id)
    period = checked_period(message.since, message.until)
    check_api(gateway)
    await connecting.connect(uow, gateway)
    return await add(uow, gateway, "api", period)


async def begin_scheduled(uow: UnitOfWork, gateway_id: UUID, until: datetime) -> None:
    """Reconcile a gateway by the clock, once for each night; one that cannot be is left alone."""
    gateway = (await gateway_records.get_gateways(uow, [gateway_id])).get(gateway_id)
    if gateway is None or not gateway.is_enabled:
        return
    await common.lock_name(uow, "reconcile", gateway_id)
    if await records.has_scheduled(uow, gateway_id, until) or await records.is_running(uow, gateway_id, "api"):
        return
    try:
        await connecting.connect(uow, gateway)
    except Unusable:
        return
    await add(uow, gateway, "api", Period(until - LOOK_BACK, until), is_scheduled=True)


async def add(
    uow: UnitOfWork,
    gateway: Gateway,
    source: str,
    period: Period | None,
    *,
    is_scheduled: bool = False,
    kind: str = JOB,
    parameters: dict[str, Any] | None = None,
    **file: str | None,
) -> Reconciliation:
    """A reconciliation with its job, of this `kind` and with these further parameters. Raises ReconciliationRunning."""
    await common.lock_name(uow, "reconcile", gateway.id)
    if await records.is_running(uow, gateway.id, source):
        raise ReconciliationRunning("The gateway is being reconciled at this moment; wait for its end, or cancel it.")
    await records.drop_left_facts(uow, gateway.id)
    reconciliation_id = new_id()
    job = await jobs.create(uow, kind, {"reconciliation_id": str(reconciliation_id), **(parameters or {})})
    values = {
        "organization_id": uow.organization_id,
        "id": reconciliation_id,
        "gateway_id": gateway.id,
        "source": source,
        "since": period and period.since,
        "until": period and period.until,
        "is_scheduled": is_scheduled,
        "job_id": job.id,
        "asked_by": "clock" if is_scheduled else uow.caller.name or uow.caller.kind,
        "created_at": clock.now(),
    }
    await records.add(uow, values | file)
    described = {"source": source, "since": values["since"], "until": values["until"], **file}
    uow.audit("payment_gateway.reconcile", "payment_gateway", gateway.id, after=described)
    return await records.get_reconciliation(uow, reconciliation_id)


def check_api(gateway: Gateway) -> Lister:
    """Raises ReconciliationNotOffered."""
    api = find_lister(gateway.provider)
    if api is None:
        raise ReconciliationNotOffered(f"{_WHY.get(gateway.provider, _WHY[''])} Compare a settlement file instead.")
    return api


def checked_period(since: datetime | None, until: datetime | None) -> Period:
    """Raises InvalidPeriod, PeriodInFuture."""
    if since is None or until is None:
        raise InvalidPeriod("A period has both, `since` and `until`.")
    if since.tzinfo is None or until.tzinfo is None:
        raise InvalidPeriod("Say the time zone of `since` and `until`, as in 2026-11-01T00:00:00Z.")
    if since >= until:
        raise InvalidPeriod("The period ends before it begins.")
    if until > clock.now():
        raise PeriodInFuture("The period has not ended yet; what is still to come cannot be compared.")
    if until - since > LONGEST_PERIOD or since.year < 2000:
        raise InvalidPeriod(f"At most {LONGEST_PERIOD.days} days are compared at once, none of them before 2000.")
    return Period(since, until)


# --- the job


async def run(job: RunningJob, read: Callable[[RunningJob, Reconciliation], Awaitable[None]] | None = None) -> None:
    """Read, compare, tell. Whatever ends it otherwise leaves no facts behind, and an alert where it failed."""
    reconciliation = await _read(job, lambda uow: records.get_reconciliation(uow, _id(job)))
    try:
        await (read or read_api)(job, reconciliation)
        await _compare(job, reconciliation)
        await _find_unpaid(job, reconciliation)
        await _finish(job, reconciliation)
    except (JobRests, jobs.JobLost):
        raise
    except CrossdockError as error:
        if error.status not in (503, 504):
            await _clean_up(job, reconciliation, error)
        raise


def _id(job: RunningJob) -> UUID:
    return UUID(job.parameters["reconciliation_id"])


async def read_api(job: RunningJob, reconciliation: Reconciliation) -> None:
    """Keep all that the provider lists, then what it says of payments that it did not list."""
    assert reconciliation.since is not None
    assert reconciliation.until is not None
    period = Period(reconciliation.since, reconciliation.until)
    while not job.checkpoint.get("is_listed"):
        api, connection = await _connect(job, reconciliation)
        cursor = job.checkpoint.get("cursor")
        listing = await _asked(job, api.read_page(connection, period, cursor))
        at = clock.now()
        facts = [fact for told in listing.told if (fact := _fact(told, connection, at)) is not None]
        async with job.step() as uow:
            await records.keep_facts(uow, reconciliation.id, facts)
            job.checkpoint |= {"cursor": listing.following, "is_listed": listing.following is None, "failures": 0}
            job.count("read", len(facts))
            job.done += len(facts)
    await _ask_singly(job, reconciliation)


def _fact(told: Told, connection: Connection, at: datetime) -> Fact | None:
    """Raises WrongAccount."""
    said = told.notice
    if said is None:
        return None if told.problem is None else Fact(told.reference, told.reference, None, told.problem, at)
    if said.is_live not in (None, connection.is_live):
        raise WrongAccount("The credentials are of the other mode than the gateway: test and live are mixed up.")
    return Fact(told.reference, said.payment, said, None, at)


async def _ask_singly(job: RunningJob, reconciliation: Reconciliation) -> None:
    """What is paid here and was not listed was made before the period, or is not known to the provider."""
    while not job.checkpoint.get("is_asked"):
        after = job.checkpoint.get("asked")
        place = None if after is None else UUID(after)
        looking = partial(records.list_untold, reconciliation=reconciliation, after=place, most=_ASKED_SINGLY_AT_ONCE)
        untold = await _read(job, looking)
        facts = [fact for _, name in untold if (fact := await _ask_one(job, reconciliation, name)) is not None]
        async with job.step() as uow:
            await records.keep_facts(uow, reconciliation.id, facts)
            job.count("asked_singly", len(untold))
            job.checkpoint |= {"failures": 0} | ({"asked": str(untold[-1][0])} if untold else {"is_asked": True})


async def _ask_one(job: RunningJob, reconciliation: Reconciliation, name: str) -> Fact | None:
    api, connection = await _connect(job, reconciliation)
    reference = f"payment {name}"
    try:
        notice = api.read_payment(await _asked(job, api.fetch_payment(connection, name)))
    except UnknownAtProvider:
        return Fact(reference, name, None, None, clock.now())
    except Unusable as error:
        return Fact(reference, name, None, error.detail, clock.now())
    # Nothing has been paid there, though it is known.
    return _fact(Told(reference, notice), connection, clock.now()) or Fact(reference, name, None, None, clock.now())


async def _asked(job: RunningJob, asking: Awaitable[T]) -> T:
    """The answer; where there is none the job rests, ever longer. Raises ProviderKeptSilent, JobRests."""
    try:
        return await asking
    except ProviderUnavailable as error:
        failures = job.checkpoint.get("failures", 0) + 1
        if failures >= MOST_FAILURES:
            raise ProviderKeptSilent(f"After {failures} attempts: {error.detail}") from error
        job.checkpoint["failures"] = failures
        job.note(f"{clock.now():%Y-%m-%d %H:%M:%S} {error.detail}")
        await job.rest(max(checking.wait_seconds(failures - 1), error.retry_after_seconds or 0))
        raise AssertionError("a job that rests goes no further") from error


async def _connect(job: RunningJob, reconciliation: Reconciliation) -> tuple[Lister, Connection]:
    """With the credentials as they are now: they may have been changed while the job rested."""

    async def connect(uow: UnitOfWork) -> tuple[Lister, Connection]:
        gateway = await gateway_records.get_gateway(uow, reconciliation.gateway_id)
        lister = check_api(gateway)
        return lister, (await connecting.connect(uow, gateway))[1]

    return await _read(job, connect)


async def _read(job: RunningJob, look: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    uow = job.unit_of_work()
    try:
        return await look(uow)
    finally:
        await uow.rollback()


# --- comparing


async def _compare(job: RunningJob, reconciliation: Reconciliation) -> None:
    while not job.checkpoint.get("is_compared"):
        async with job.step() as uow:
            after = job.checkpoint.get("compared", "")
            facts = await records.list_facts(uow, reconciliation.id, after, _PAYMENTS_AT_ONCE)
            found = await compare(uow, reconciliation.gateway_id, facts)
            await difference_records.add_differences(uow, reconciliation.id, reconciliation.gateway_id, found)
            job.count("differences", len(found))
            job.checkpoint |= {"compared": facts[-1].payment} if facts else {"is_compared": True}


async def compare(uow: UnitOfWork, gateway_id: UUID, facts: Sequence[Fact]) -> list[Found]:
    said = [fact.said for fact in facts if fact.said is not None]
    known = await records.read_known(uow, gateway_id, said, [fact.payment for fact in facts])
    return comparing.compare(facts, known)


async def _find_unpaid(job: RunningJob, reconciliation: Reconciliation) -> None:
    """Orders of the period that nobody has paid, as far as the provider and we know; the youngest have their time."""
    if reconciliation.since is None or reconciliation.until is None:
        return
    before = min(reconciliation.until, clock.now() - payments_settings().callback_wait)
    while not job.checkpoint.get("is_watched"):
        async with job.step() as uow:
            gateway = await gateway_records.get_gateway(uow, reconciliation.gateway_id)
            parents = await order_records.list_parents(uow)
            served = [shop_id for shop_id in parents if processing.is_below(parents, shop_id, gateway.shop_id)]
            after = UUID(job.checkpoint["watched"]) if "watched" in job.checkpoint else None
            orders = await records.list_unpaid(uow, reconciliation, served, before, after, _PAYMENTS_AT_ONCE)
            found = [_unpaid(order, clock.now()) for order in orders]
            await difference_records.add_differences(uow, reconciliation.id, gateway.id, found)
            job.count("differences", len(found))
            job.checkpoint |= {"watched": str(orders[-1].id)} if orders else {"is_watched": True}


def _unpaid(order: Order, at: datetime) -> Found:
    name = f"order {order.number}"
    detail = "The order waits for its payment, and the provider knows of none."
    fact = Fact(name, name, None, None, at)
    return Found(fact, "order_not_paid", 0, 0, detail, None, order=order)


async def _finish(job: RunningJob, reconciliation: Reconciliation) -> None:
    async with job.step() as uow:
        await records.drop_facts(uow, reconciliation.id)
        gateway = await gateway_records.get_gateway(uow, reconciliation.gateway_id)
        alerting.reconciled(uow, gateway)
        alerting.watch_differences(uow, gateway, await difference_records.count_open(uow, gateway.id))


async def _clean_up(job: RunningJob, reconciliation: Reconciliation, error: CrossdockError) -> None:
    uow = job.unit_of_work()
    try:
        await records.drop_facts(uow, reconciliation.id)
        if not isinstance(error, jobs.JobCancelled):
            gateway = await gateway_records.get_gateway(uow, reconciliation.gateway_id)
            alerting.not_reconciled(uow, gateway, error)
        await uow.commit()
    except BaseException:
        await uow.rollback()
        raise


# --- looking again


async def match(uow: UnitOfWork, gateway_id: UUID) -> None:
    """Look again at what is open: what arrived by itself meanwhile is no difference any more."""
    rows = await difference_records.list_to_look_at(uow, gateway_id, 1000)
    if not rows:
        return
    facts = list({fact.reference: fact for fact in map(difference_records.fact_of, rows)}.values())
    said = [fact.said for fact in facts if fact.said is not None]
    known = await records.read_known(uow, gateway_id, said, [fact.payment for fact in facts])
    matched = comparing.matching(rows, facts, known)
    orders = {row["order_number"]: row["id"] for row in rows if row["kind"] == "order_not_paid"}
    matched |= {orders[number] for number in await records.list_settled_orders(uow, orders)}
    await difference_records.note_looked_at(uow, [row["id"] for row in rows], matched)
    if matched:
        await watch(uow, gateway_id)


async def watch(uow: UnitOfWork, gateway_id: UUID) -> None:
    """Tell of what is open at a gateway, or that nothing is any more."""
    gateway = (await gateway_records.get_gateways(uow, [gateway_id]))[gateway_id]
    alerting.watch_differences(uow, gateway, await difference_records.count_open(uow, gateway_id))


def last_night(now: datetime) -> datetime:
    """The end of the last day that is to be compared by the clock, in UTC."""
    return (now - AFTER_MIDNIGHT).replace(hour=0, minute=0, second=0, microsecond=0)
