"""When feeds run by themselves: cron expressions in a time zone, as Debian's cron reads them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from services.sync.errors import InvalidCron

# Seconds are not one of them.
_FIELDS = 5


def check(cron: str) -> None:
    """Raises InvalidCron for one that is none, or never comes."""
    try:
        if len(cron.split()) != _FIELDS:
            raise CronSimError
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise InvalidCron(
            f"'{cron[:100]}' is not a schedule: minute, hour, day, month and weekday, as in '*/15 6-20 * * mon-sat'."
        ) from None


def following(cron: str | None, time_zone: str, after: datetime) -> datetime | None:
    """The first time after `after` that a schedule names; None: it never runs by itself.

    Around a change of the clocks nothing is left out and nothing is done twice (cronsim follows Debian's cron).
    """
    if cron is None:
        return None
    times = (each.astimezone(UTC) for each in CronSim(cron, after.astimezone(ZoneInfo(time_zone))))
    # In the second of two equal hours cronsim names the times of the first, which are over.
    return next(each for each in times if each > after)
