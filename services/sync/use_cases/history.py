"""Orders from before a connection takes any are left alone: not kept, not taken, and no trouble."""

from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from services.sync.platforms.base import Page, Record
from services.sync.repository import listings
from services.sync.use_cases.executing import Run
from shared.contracts.orders.messages import Moment
from shared.unit_of_work import UnitOfWork

_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


async def left_out(run: Run, uow: UnitOfWork, page: Page) -> Page:
    """A page of orders without those that are left alone. One that is here already is followed whatever its age."""
    older = [record.external_id for record in page.records if _is_older(record, run.orders_from)]
    if not older:
        return page
    rows = await listings.list_by_external_ids(uow, run.connection_id, "order", older)
    left = set(older) - {row["external_id"] for row in rows}
    run.job.count("left", len(left))
    return replace(page, records=[record for record in page.records if record.external_id not in left])


def _is_older(record: Record, bound: datetime) -> bool:
    """What does not say when it was placed is none of the older ones: what is wrong with it is told."""
    try:
        return _MOMENT.validate_python(record.fields.get("placed_at")) < bound
    except ValidationError:
        return False
