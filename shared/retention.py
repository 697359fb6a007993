"""What has served its time is dropped, portion by portion, each in a transaction of its own."""

from typing import Any

from shared import jobs
from shared.service import every
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

AT_ONCE = 5000


def go_on(uow: UnitOfWork, schedule: str, *dropped: int) -> None:
    """Let a schedule's function run once more, after this transaction, where a portion was full."""
    if max(dropped) >= AT_ONCE:
        uow.defer(f"every.{schedule}", {})


@every(3600)
async def drop_ended_jobs(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Drop jobs that ended long ago, with their logs; not those that something of the service is shown by."""
    go_on(uow, "drop_ended_jobs", await jobs.drop_ended(uow, settings().job_retention, AT_ONCE))
