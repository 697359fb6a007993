"""The shop's local time on the days when clocks change, and on all others (SYN-4)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Scan
from services.sync.platforms.prestashop.times import LocalTime, second_after
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import all_pages, ids, product, session_with

pytestmark = pytest.mark.feature("SYN-4")

PARIS = LocalTime("Europe/Paris")
# Clocks are put back from 3:00 to 2:00 at this moment.
BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
MINUTES = [timedelta(minutes=each) for each in range(-240, 241, 10)]


def at(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("Europe/Paris")).strftime("%Y-%m-%d %H:%M:%S")


def test_local_time_is_utc_summer_and_winter() -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert PARIS.utc("2026-11-22 06:01:09", now) == datetime(2026, 11, 22, 5, 1, 9, tzinfo=UTC)
    assert PARIS.utc("2026-07-22 06:01:09", now) == datetime(2026, 7, 22, 4, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0000-00-00 00:00:00", "", None, "yesterday", "2026-11-22T06:01:09Z", ["x"]])
def test_what_is_no_time_is_none(text: object) -> None:
    assert PARIS.utc(text, datetime.now(UTC)) is None
    assert PARIS.placed(text) is None


def test_time_that_is_there_twice_is_the_later_that_has_been() -> None:
    text = "2026-10-25 02:30:00"
    assert PARIS.utc(text, BACK - timedelta(minutes=10)) == BACK - timedelta(minutes=30)
    assert PARIS.utc(text, BACK + timedelta(minutes=10)) == BACK - timedelta(minutes=30)
    assert PARIS.utc(text, BACK + timedelta(minutes=40)) == BACK + timedelta(minutes=30)
    assert PARIS.placed(text) == BACK - timedelta(minutes=30)


@pytest.mark.parametrize("change", [BACK, FORWARD])
def test_what_is_changed_later_never_seems_older(change: datetime) -> None:
    """Whatever is read at one moment, a change after that moment is later, whenever it is read."""
    for first in MINUTES:
        for read in (each for each in MINUTES if each >= first):
            seen = PARIS.utc(at(change + first), change + read)
            later = change + read + timedelta(minutes=1)
            again = PARIS.utc(at(later), later)
            assert seen is not None
            assert again is not None
            assert seen <= change + read < again


@pytest.mark.parametrize("change", [BACK, FORWARD, datetime(2026, 7, 1, tzinfo=UTC)])
def test_bounds_leave_nothing_out(change: datetime) -> None:
    for since in MINUTES:
        for each in MINUTES:
            moment = at(change + each)
            if each >= since:
                assert PARIS.since(change + since) <= moment
            if each <= since:
                assert moment <= PARIS.until(change + since)


def test_bounds_are_moved_only_near_a_change() -> None:
    assert PARIS.since(datetime(2026, 7, 1, 12, tzinfo=UTC)) == "2026-07-01 14:00:00"
    assert PARIS.since(BACK) == "2026-10-25 00:00:00"


def test_the_second_after_goes_on_over_the_day() -> None:
    assert second_after("2026-12-31 23:59:59") == "2027-01-01 00:00:00"


@pytest.mark.parametrize("minutes", [-50, -10, 10, 50])
async def test_scan_in_the_hour_that_is_there_twice_misses_nothing(prestashop: PrestaShop, minutes: int) -> None:
    """A product that is changed after the last scan has an earlier local time than that scan."""
    began = BACK + timedelta(minutes=minutes)
    changed = began + timedelta(minutes=30)
    prestashop.memory.now = began - timedelta(days=30)
    for number in range(1, 8):
        prestashop.put_product(*product(number))
    prestashop.memory.now = changed
    prestashop.put_product(*product(3, title="Changed"))
    async with session_with(prestashop) as session:
        pages = await all_pages(session, Scan("product", began, changed + timedelta(minutes=5)))
    assert ids(pages) == ["3"]


async def test_many_of_one_second_come_in_pages(prestashop: PrestaShop) -> None:
    """All of an import carry one and the same second."""
    prestashop.memory.now = datetime(2026, 11, 22, 3, 54, 37, tzinfo=UTC)
    for number in range(1, 12):
        prestashop.put_product(*product(number))
    async with session_with(prestashop) as session:
        pages = await all_pages(session, Scan("product", prestashop.memory.now))
    assert ids(pages) == [str(number) for number in range(1, 12)]
    assert len(pages) == 4


async def test_a_zone_that_nobody_knows_is_set_by_a_person(prestashop: PrestaShop) -> None:
    row = prestashop.memory.rows("configurations", name="PS_TIMEZONE")[0]
    row["value"] = "Europe/Atlantis"
    prestashop.put_product(*product(1))
    async with session_with(prestashop) as session:
        with pytest.raises(PlatformRefused) as raised:
            await session.page(Scan("product"))
    assert "set `time_zone`" in raised.value.detail
    prestashop.settings["time_zone"] = "America/New_York"
    prestashop.memory.now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    prestashop.put_product(*product(1))
    async with session_with(prestashop) as session:
        (record,) = (await session.page(Scan("product"))).records
    # Its times are those of Paris over there.
    assert record.updated_at == datetime(2026, 7, 1, 18, tzinfo=UTC)
