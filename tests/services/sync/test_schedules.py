"""When feeds run by themselves, also in the hours in which clocks are changed (SYN-2)."""

from datetime import UTC, datetime, timedelta

import pytest

from services.sync.use_cases.schedules import following

pytestmark = pytest.mark.feature("SYN-2")

BERLIN = "Europe/Berlin"


def times(cron: str, after: str, count: int) -> list[str]:
    """The first times of a schedule in Berlin, all in UTC."""
    moment, found = datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in range(count):
        following_one = following(cron, BERLIN, moment)
        assert following_one is not None
        moment = following_one
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


def test_a_time_of_day_is_the_time_zones() -> None:
    assert times("0 3 * * *", "2026-06-01T12:00", 1) == ["06-02 01:00"]
    assert times("0 3 * * *", "2026-12-01T12:00", 1) == ["12-02 02:00"]


def test_a_time_that_is_left_out_comes_when_the_clocks_were_changed_and_once() -> None:
    assert times("30 2 * * *", "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_time_that_comes_twice_is_one() -> None:
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_every_quarter_of_an_hour_is_one_also_of_the_hour_that_comes_twice() -> None:
    quarters = times("*/15 * * * *", "2026-10-24T23:50", 12)
    assert quarters == [f"10-25 {hour:02}:{minute:02}" for hour in range(3) for minute in range(0, 60, 15)]


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/15 * * * *", "10 2,3 * * *", "* * * * *", "0 3 25 10 *"])
def test_what_follows_is_never_over_already(cron: str) -> None:
    """Whenever it is asked: what was over already would run again each time somebody looks."""
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        for minutes in range(0, 240, 5):
            now = day + timedelta(minutes=minutes)
            found = following(cron, BERLIN, now)
            assert found is not None
            assert found > now, now


def test_what_has_no_schedule_never_runs_by_itself() -> None:
    assert following(None, BERLIN, datetime(2026, 6, 1, tzinfo=UTC)) is None
