"""The same done to many orders (SYN-13, OPS-4): some of them in each step of a job, each by its own rules.

A dry run does what it would, and undoes it. What is released asks inventory first, and is a transaction of its own.
"""

from collections.abc import Sequence
from uuid import UUID

from services.orders.errors import IllegalTransition, QueryTooBroad
from services.orders.repository import lists
from services.orders.use_cases import lifecycle, listing, selecting
from shared import jobs
from shared.contracts.orders.bulk import ActOnOrders, StartedOrderAction
from shared.contracts.orders.lists import CountOrders
from shared.errors import CrossdockError
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

JOB = "orders.act_on_orders"
_AT_ONCE = 50
_TEMPORARY = (503, 504)
_BECOMES = {"hold": "on_hold", "cancel": "cancelled"}


async def begin(uow: UnitOfWork, message: ActOnOrders) -> StartedOrderAction:
    """Count what is meant, and leave a job for it. Raises ShopNotFound, CustomerNotFound."""
    count = await _count(uow, message)
    parameters = await selecting.parameters(uow, message.filter)
    told = {"action": message.action, "reason": message.reason, "dry_run": message.dry_run}
    job = await jobs.create(uow, JOB, parameters | told, total=count)
    described = told | {"filter": parameters["filter"], "orders": count}
    uow.audit("orders.act", "job", job.id, after=described, reason=message.reason)
    return StartedOrderAction(orders=count, job=job)


async def _count(uow: UnitOfWork, message: ActOnOrders) -> int | None:
    question = CountOrders.model_validate(message.filter.model_dump(exclude_defaults=True))
    try:
        return (await listing.count(uow, question)).total
    except QueryTooBroad:
        return None


async def run(job: RunningJob) -> None:
    """Act on what was meant when the job was asked for: what was placed later is not."""
    job.act_for_requester()
    while not job.checkpoint.get("is_read"):
        selected = await selecting.select(job, _AT_ONCE)
        is_inside = job.parameters["action"] != "release" and not job.parameters["dry_run"]
        outcomes = [] if is_inside else await _outside(job, selected.order_ids)
        async with job.step() as uow:
            if is_inside:
                outcomes = await _each(uow, job, selected.order_ids)
            for outcome in outcomes:
                _note(job, outcome)
            selected.note(job)
    async with job.step():
        job.total = job.done


def _note(job: RunningJob, outcome: str) -> None:
    """`outcome` is a counter, or why an order was refused."""
    is_refused = outcome not in ("changed", "unchanged")
    job.count("refused" if is_refused else outcome)
    if is_refused:
        job.note(outcome)


async def _outside(job: RunningJob, order_ids: Sequence[UUID]) -> list[str]:
    """What became of these apart from the step that counts them."""
    if not job.parameters["dry_run"]:
        return [await _released(job, order_id) for order_id in order_ids]
    uow = job.unit_of_work()
    try:
        return await _each(uow, job, order_ids)
    finally:
        await uow.rollback()


async def _each(uow: UnitOfWork, job: RunningJob, order_ids: Sequence[UUID]) -> list[str]:
    rows = await lists.list_orders(uow, order_ids)
    return [await _act(uow, job, row.id, row.number, row.status) for row in rows]


async def _act(uow: UnitOfWork, job: RunningJob, order_id: UUID, number: str, status: str) -> str:
    action, reason = job.parameters["action"], job.parameters["reason"]
    if status == _BECOMES.get(action):
        return "unchanged"
    if action == "release":
        return "changed" if status == "on_hold" else "unchanged"
    try:
        async with uow.savepoint():
            await (lifecycle.hold if action == "hold" else lifecycle.cancel)(uow, order_id, reason)
    except CrossdockError as error:
        return f"{number}: {error.code}: {error.detail}"
    return "changed"


async def _released(job: RunningJob, order_id: UUID) -> str:
    """What is not on hold is as it should be. Raises what passes by itself: then all of these are tried again."""
    uow = job.unit_of_work()
    try:
        await lifecycle.release(uow, order_id)
        await uow.commit()
    except IllegalTransition:
        await uow.rollback()
        return "unchanged"
    except CrossdockError as error:
        await uow.rollback()
        if error.status in _TEMPORARY:
            raise
        return f"{order_id}: {error.code}: {error.detail}"
    except BaseException:
        await uow.rollback()
        raise
    return "changed"
