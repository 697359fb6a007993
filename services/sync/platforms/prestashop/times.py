"""The shop's local time, which carries no zone, and UTC.

When clocks are put back, one hour of local time is there twice. A time in it is taken for the later of its two moments,
unless the shop's clock has not come to that yet: so whatever is seen later is never older than what was seen before.
What changed between two moments is asked for by local times that leave nothing out on such a day.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_FORMAT = "%Y-%m-%d %H:%M:%S"
# A change of clocks within so long of a bound has it moved by as much.
_NEAR = timedelta(hours=3)


class LocalTime:
    """Local times of one zone."""

    def __init__(self, zone: str) -> None:
        """Raises KeyError, ValueError, OSError for a zone that there is not."""
        self._zone = ZoneInfo(zone)

    def utc(self, text: object, now: datetime) -> datetime | None:
        """A local time in UTC, as it is seen at `now`; None for `0000-00-00 00:00:00` and what is none."""
        wall = _wall(text)
        if wall is None:
            return None
        first, second = (wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        later = max(first, second)
        return later if later <= now else min(first, second)

    def placed(self, text: object) -> datetime | None:
        """As `utc`, of a time that never changes: always the earlier of two moments, whenever it is seen."""
        wall = _wall(text)
        if wall is None:
            return None
        return min(wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))

    def since(self, moment: datetime) -> str:
        """A local time before which nothing was changed at or after a moment."""
        return self._text(moment - _NEAR if self._changes_near(moment) else moment)

    def until(self, moment: datetime) -> str:
        """A local time after which nothing was changed at or before a moment."""
        return self._text(moment + _NEAR if self._changes_near(moment) else moment)

    def _text(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime(_FORMAT)

    def _changes_near(self, moment: datetime) -> bool:
        return self._offset(moment - _NEAR) != self._offset(moment + _NEAR)

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self._zone).utcoffset()


def second_after(text: str) -> str:
    """The next second of local time."""
    return (datetime.strptime(text, _FORMAT) + timedelta(seconds=1)).strftime(_FORMAT)  # noqa: DTZ007


def _wall(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), _FORMAT)  # noqa: DTZ007
    except ValueError:
        return None
