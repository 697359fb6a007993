"""Stock checks: what a count makes of the books, and that differences are applied once, whatever happens meanwhile."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy import topology
from services.inventory.repository import stock_checks as queries
from services.inventory.use_cases import comparing, correcting
from shared import blobs, clock, jobs
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.ledger import AdjustStock
from shared.contracts.inventory.messages import (
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    ListStockMovements,
    RemoveFulfilmentCentre,
    UpdateStock,
)
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheck,
    GetStockCheckSheet,
    ListStockCheckRows,
    ListStockChecks,
    StartStockCheck,
    StartStockCheckOfFile,
    StockCheck,
    StockCheckRow,
)
from shared.errors import CrossdockError
from shared.identifiers import new_id
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-7")


class Counter(Merchant):
    """A merchant who counts stock; jobs run when the test says so."""

    async def run(self, job_id: Any) -> None:
        runner = jobs.JobRunner(topology.named("inventory")[0], self.process.surroundings)
        runner.start(self.organization_id, job_id)
        await asyncio.gather(*runner._running.values(), return_exceptions=True)

    async def compare(self, counts: dict[str, Any] | list[Any], **options: Any) -> StockCheck:
        """A check of these counts by SKU, or of rows as they come."""
        rows = counts if isinstance(counts, list) else [{"sku": s, "counted": n} for s, n in counts.items()]
        started = await self.ask(StartStockCheck(rows=rows, **options))
        assert started.state == "comparing"
        await self.run(started.job_id)
        return await self.check(started)

    async def compare_file(self, content: bytes, **options: Any) -> StockCheck:
        key = f"stock-checks/{new_id()}/file"
        await blobs.put(self.organization_id, key, content)
        started = await self.ask(StartStockCheckOfFile(key=key, **options))
        await self.run(started.job_id)
        return await self.check(started)

    async def check(self, check: StockCheck) -> StockCheck:
        return await self.ask(GetStockCheck(check_id=check.id))

    async def apply(self, check: StockCheck, *skus: str, **options: Any) -> StockCheck:
        """Apply the differences of some SKUs, or all, and let the job end."""
        chosen: dict[str, Any] = {"skus": list(skus)} if skus else {"every_row": True}
        started = await self.ask(ApplyStockCheck(check_id=check.id, **{"reason": "yearly count", **chosen, **options}))
        assert started.state == "applying"
        await self.run(started.apply_job_id)
        return await self.check(check)

    async def report(self, check: StockCheck) -> dict[str | None, StockCheckRow]:
        page = await self.ask(ListStockCheckRows(check_id=check.id, first=200))
        return {row.sku: row for row in page.items}

    async def on_hand(self, *skus: str) -> list[int]:
        return [(await self.level(sku)).on_hand for sku in skus]


@contextmanager
def refusal(code: str) -> Iterator[pytest.ExceptionInfo[CrossdockError]]:
    with pytest.raises(CrossdockError) as refused:
        yield refused
    assert refused.value.code == code


@pytest.fixture
async def counter(process: topology.Surrounded) -> Counter:
    counter = Counter(process)
    await counter.open_shop()
    return counter


def told(check: StockCheck) -> dict[str, int]:
    return {name: count for name, count in check.counts.model_dump().items() if count}


async def test_a_count_is_told_against_the_books_and_applied_once(counter: Counter) -> None:
    await counter.stocked({"A": 10, "B": 4, "C": 7})
    await counter.reserve((await counter.open_shop()), A=3)
    check = await counter.compare({"A": 8, "B": 4, "C": 9}, note="spring")
    assert (check.state, check.centre, check.note) == ("compared", "main", "spring")
    assert told(check) == {"rows": 3, "equal": 1, "differing": 2, "over": 2, "under": 2}
    row = (await counter.report(check))["A"]
    assert (row.counted, row.booked, row.reserved, row.difference, row.winner) == (8, 10, 3, -2, "count")
    assert (row.state, row.movements_since, row.moved_since) == ("differs", 0, 0)
    assert row.counted_age_seconds is not None
    assert row.booked_age_seconds is not None
    assert await counter.on_hand("A", "B", "C") == [10, 4, 7]
    applied = await counter.apply(check, "A")
    assert (applied.state, await counter.on_hand("A", "B", "C")) == ("compared", [8, 4, 7])
    applied = await counter.apply(check)
    assert (applied.state, await counter.on_hand("A", "B", "C")) == ("applied", [8, 4, 9])
    assert told(applied) == {"rows": 3, "equal": 1, "applied": 2, "over": 2, "under": 2}
    with refusal("nothing_to_apply"):
        await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="again"))
    movement = (await counter.ask(ListStockMovements(sku="A"))).items[0]
    assert (movement.reason, movement.note, movement.reference) == (
        "adjusted",
        "yearly count",
        f"stock-check:{check.id}",
    )
    assert (movement.on_hand_before, movement.on_hand_after) == (10, 8)
    assert await counter.discrepancies() == []


async def test_what_was_booked_since_the_count_stays_booked(counter: Counter) -> None:
    await counter.stocked({"A": 10, "B": 10})
    counted_at = clock.now()
    await counter.ask(AdjustStock(sku="A", delta=-4, reason="sold at the counter"))
    await counter.ask(AdjustStock(sku="A", delta=1, reason="came back"))
    check = await counter.compare({"A": 9, "B": 10}, counted_at=counted_at)
    row = (await counter.report(check))["A"]
    assert (row.booked, row.on_hand, row.moved_since, row.movements_since) == (10, 7, -3, 2)
    assert row.difference == -1
    await counter.apply(check)
    assert await counter.on_hand("A", "B") == [6, 10]
    assert (await counter.level("A")).counted_at == counted_at


async def test_two_checks_of_one_centre_do_not_correct_twice(counter: Counter) -> None:
    await counter.stocked({"A": 10, "B": 10, "C": 10})
    first = await counter.compare({"A": 7, "B": 9, "C": 8})
    second = await counter.compare({"A": 7, "B": 8, "C": 8})
    await asyncio.gather(counter.apply(first, "A", "B"), counter.apply(second, "A", "B"))
    rows = await counter.report(first), await counter.report(second)
    assert await counter.on_hand("A") == [7]
    # Whichever came first is applied; the other is told anew, or knows that a later count is there.
    assert {rows[0]["A"].state, rows[1]["A"].state} < {"applied", "equal", "superseded"}
    assert (await counter.level("B")).on_hand in (8, 9)
    assert (await counter.on_hand("C"), await counter.discrepancies()) == ([10], [])


async def test_a_difference_that_the_books_tell_otherwise_by_now_waits_for_another_look(counter: Counter) -> None:
    await counter.stocked({"A": 10})
    first, second = await counter.compare({"A": 6}), await counter.compare({"A": 5})
    await counter.apply(first)
    after = await counter.apply(second)
    row = (await counter.report(second))["A"]
    assert (row.state, row.booked, row.difference) == ("differs", 6, -1)
    assert "look at it again" in (row.message or "")
    assert (after.state, told(after)["differing"], await counter.on_hand("A")) == ("compared", 1, [6])
    assert (await counter.apply(second)).state == "applied"
    assert await counter.on_hand("A") == [5]


async def test_a_later_count_wins(counter: Counter) -> None:
    await counter.stocked({"A": 10, "B": 10})
    counted_at = clock.now()
    await counter.stocked({"A": 3})
    check = await counter.compare({"A": 9, "B": 9}, counted_at=counted_at)
    row = (await counter.report(check))["A"]
    assert (row.state, row.winner) == ("superseded", "books")
    await counter.stocked({"B": 4})
    applied = await counter.apply(check)
    assert (await counter.report(check))["B"].state == "superseded"
    assert (await counter.on_hand("A", "B"), told(applied)["superseded"]) == ([3, 4], 2)


async def test_a_count_of_then_that_was_booked_later_is_no_movement_since(counter: Counter) -> None:
    await counter.stocked({"A": 10})
    before, counted_at = clock.now(), clock.now() + timedelta(milliseconds=1)
    await counter.ask(UpdateStock(rows=[{"sku": "A", "on_hand": 8, "as_of": before.isoformat()}]))
    check = await counter.compare({"A": 8}, counted_at=max(counted_at, before))
    assert (await counter.report(check))["A"].state == "equal"


async def test_less_than_nothing_is_refused(counter: Counter) -> None:
    await counter.stocked({"A": 10})
    counted_at = clock.now()
    await counter.ask(AdjustStock(sku="A", delta=-9, reason="sold"))
    check = await counter.compare({"A": 5}, counted_at=counted_at)
    row = (await counter.report(check))["A"]
    assert (row.state, row.code, row.difference) == ("refused", "negative_stock", -5)
    with refusal("rows_not_applicable") as refused:
        await counter.ask(ApplyStockCheck(check_id=check.id, skus=["A", "Z"], reason="x"))
    assert refused.value.errors == [
        {"sku": "A", "state": "refused", "code": "negative_stock"},
        {"sku": "Z", "state": None, "code": None},
    ]


async def test_rows_that_cannot_be_taken_are_refused_by_themselves(counter: Counter) -> None:
    await counter.stocked({"A": 5, "B": 5, "C": 5, "D": 5, "E": 5, "PART": 5})
    await counter.ask(SetKit(sku="KIT", parts=[KitPart(sku="PART")]))
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    rows: list[Any] = [
        {"sku": "A", "counted": 4},
        {"sku": "B", "counted": 4},
        {"sku": "B", "counted": 3},
        {"sku": "NOWHERE", "counted": 1},
        {"sku": "KIT", "counted": 1},
        {"sku": "C", "counted": -1},
        {"sku": "D", "counted": 1, "as_of": tomorrow},
        {"sku": "E", "counted": 1, "centre": "moon"},
        {"sku": "F"},
        {"sku": "G", "counted": True},
        {"sku": "H", "counted": 1, "colour": "red"},
        {"sku": "I", "counted": 1, "as_of": 7},
        {"counted": 1},
        "rubbish",
    ]
    check = await counter.compare(rows)
    page = (await counter.ask(ListStockCheckRows(check_id=check.id, state="refused", first=200))).items
    assert [(row.row, row.code) for row in page] == [
        (2, "counted_twice"),
        (3, "counted_twice"),
        (4, "sku_not_found"),
        (5, "is_kit"),
        (6, "count_out_of_bounds"),
        (7, "as_of_in_future"),
        (8, "other_centre"),
        (9, "missing_count"),
        (10, "invalid_integer"),
        (11, "unknown_field"),
        (12, "invalid_moment"),
        (13, "missing_sku"),
        (14, "malformed_row"),
    ]
    await counter.apply(check)
    assert await counter.on_hand("A", "B", "C", "D", "E") == [4, 5, 5, 5, 5]


async def test_goods_that_never_came_in_are_found_where_their_product_is_known(counter: Counter) -> None:
    catalog = Catalog(counter.process, counter.organization_id)
    await catalog.open_shop()
    assert (await catalog.bring_in(csv_file([shopify_row("new", sku="NEW")]), profile="shopify")).state == "succeeded"
    check = await counter.compare({"NEW": 3, "OLD": 3})
    rows = await counter.report(check)
    assert (rows["NEW"].state, rows["NEW"].booked, rows["NEW"].booked_at) == ("differs", 0, None)
    assert rows["OLD"].code == "sku_not_found"
    await counter.apply(check)
    assert await counter.on_hand("NEW") == [3]


@pytest.mark.parametrize("content", [
    b"SKU;Counted;As of;Shelf\nA;4;;1\nB;5;2026-01-01T09:00:00+01:00;2\n'=X;1;;3\nC;x;;4\n",
    b'{"sku": "A", "counted": 4}\n{"sku": "B", "counted": 5, "as_of": "2026-01-01T09:00:00+01:00"}\n'
    b'{"sku": "=X", "counted": 1}\n{"sku": "C", "counted": "x"}\n',
])  # fmt: skip
async def test_a_counted_file_is_read_in_its_own_format(counter: Counter, content: bytes) -> None:
    await counter.stocked({"A": 5, "B": 5, "C": 5, "=X": 1})
    check = await counter.compare_file(content, centre="main", file_name="count.csv")
    rows = await counter.report(check)
    states = {sku: (row.state, row.code) for sku, row in rows.items()}
    assert states == {
        "A": ("differs", None),
        "B": ("superseded", None),
        "=X": ("equal", None),
        "C": ("refused", "invalid_integer"),
    }
    sheet = await counter.ask(GetStockCheckSheet(check_id=check.id))
    lines = sheet.csv.splitlines()
    assert lines[0].startswith("row,sku,state,counted,booked,difference,on_hand,reserved,moved_since,movements_since")
    assert lines[1].split(",")[1:6] == ["A", "differs", "4", "5", "-1"]
    assert any(",'=X,equal," in line for line in lines)
    only = await counter.ask(GetStockCheckSheet(check_id=check.id, state="differs"))
    assert len(only.csv.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"sku;colour\nA;red\n", "missing_headers"),
        (b"sku;counted\n", "no_rows"),
        (b"\x00\x01\x02\xff" * 50, None),
    ],
)
async def test_a_file_that_is_no_count_fails_with_its_reason(
    counter: Counter, content: bytes, code: str | None
) -> None:
    check = await counter.compare_file(content)
    assert check.state == "failed"
    assert check.error is not None
    assert code is None or check.error["code"] == code, check.error
    assert check.error["status"] < 500
    with refusal("stock_check_not_ready"):
        await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="x"))


async def test_what_no_row_names_is_left_alone_or_taken_as_nothing(counter: Counter) -> None:
    await counter.stocked({"A": 5, "B": 5, "C": 0, "D": 5})
    rows = [{"sku": "A", "counted": 5}, {"sku": "D", "counted": "?"}]
    assert (await counter.compare(rows)).counts.rows == 2
    check = await counter.compare(rows, uncounted="zero", guard_percent=50)
    assert (check.counts.rows, check.counts.uncounted) == (3, 1)
    row = (await counter.report(check))["B"]
    assert (row.row, row.counted, row.difference, row.state) == (None, 0, -5, "differs")
    await counter.apply(check)
    assert await counter.on_hand("A", "B", "C", "D") == [5, 0, 0, 5]


async def test_a_count_of_everything_that_cannot_be_read_in_full_fails(counter: Counter) -> None:
    await counter.stocked({"A": 5})
    check = await counter.compare([{"sku": "A", "counted": 5}, {"counted": 3}], uncounted="zero")
    assert check.state == "failed"
    assert check.error is not None
    assert (check.error["code"], "Row 2" in check.error["detail"]) == ("count_incomplete", True)


async def test_emptying_more_than_a_share_has_to_be_meant(counter: Counter) -> None:
    await counter.stocked(dict.fromkeys("ABCDEFGHIJ", 5))
    check = await counter.compare(dict.fromkeys("ABC", 0), guard_percent=20)
    with refusal("too_much_zeroed") as refused:
        await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="x"))
    assert refused.value.errors == [{"zeroed": 3, "stocked": 10, "guard_percent": 20}]
    assert (await counter.check(check)).state == "compared"
    await counter.apply(check, "A", "B")
    assert (await counter.apply(check, confirm_zeroing=True)).state == "applied"
    assert await counter.on_hand(*"ABCD") == [0, 0, 0, 5]


async def test_a_count_below_what_is_reserved_is_taken_and_told(counter: Counter) -> None:
    shop = await counter.open_shop()
    await counter.stocked({"A": 5})
    await counter.reserve(shop, A=4)
    await counter.apply(await counter.compare({"A": 1}))
    level = await counter.level("A")
    assert (level.on_hand, level.reserved, level.available, level.backordered) == (1, 4, 0, 3)
    assert [alert["data"]["skus"] for alert in await counter.alerts("inventory")] == [["A"]]
    assert await counter.discrepancies() == []


async def test_a_centre_that_was_removed_meanwhile_is_not_corrected(counter: Counter) -> None:
    centre = await counter.ask(CreateFulfilmentCentre(code="store", name="Store"))
    await counter.stocked({"A": 5, "B": 5}, "store")
    started = await counter.ask(StartStockCheck(centre="store", rows=[{"sku": "A", "counted": 1}]))
    compared = await counter.compare({"A": 4, "B": 3}, centre="store")
    chosen = await counter.ask(ApplyStockCheck(check_id=compared.id, every_row=True, reason="x"))
    await counter.ask(RemoveFulfilmentCentre(centre_id=centre.id, discard_stock=True))
    await counter.run(started.job_id)
    failed = await counter.check(started)
    assert failed.error is not None
    assert (failed.state, failed.error["code"]) == ("failed", "centre_removed")
    await counter.run(chosen.apply_job_id)
    after = await counter.check(compared)
    assert after.error is not None
    assert (after.error["code"], after.counts.applied) == ("centre_removed", 0)
    with refusal("centre_removed"):
        await counter.ask(ApplyStockCheck(check_id=compared.id, every_row=True, reason="x"))
    with refusal("centre_not_found"):
        await counter.ask(StartStockCheck(centre="store", rows=[{"sku": "A", "counted": 1}]))
    assert await counter.discrepancies() == []


async def let_lease_end(counter: Counter) -> None:
    await counter.change("inventory", "UPDATE jobs SET lease_until = now() - interval '1 second'")


@pytest.mark.parametrize("place", ["list_figures_of", "write_judged", "add_to_counts"])
async def test_a_worker_that_dies_in_the_middle_leaves_nothing_half_done(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(correcting, "ROWS_AT_ONCE", 2)
    skus = [f"S{n}" for n in range(7)]
    await counter.stocked(dict.fromkeys(skus, 10))
    check = await counter.compare(dict.fromkeys(skus, 7))
    original, calls = getattr(queries, place), 0

    async def dies(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise asyncio.CancelledError
        return await original(*arguments)

    monkeypatch.setattr(queries, place, dies)
    started = await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="x"))
    await counter.run(started.apply_job_id)
    half = await counter.check(check)
    assert (half.state, half.counts.applied) == ("applying", 2)
    with refusal("stock_check_not_ready"):
        await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="x"))
    await let_lease_end(counter)
    await counter.run(started.apply_job_id)
    assert told(await counter.check(check)) == {"rows": 7, "applied": 7, "under": 21}
    assert await counter.on_hand(*skus) == [7] * 7
    assert await counter.discrepancies() == []


@pytest.mark.parametrize("place", ["add_rows", "refuse_doubled", "add_uncounted", "write_judged", "write_counts"])
async def test_a_comparison_goes_on_where_it_was_killed(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(comparing, "ROWS_AT_ONCE", 2)
    skus = [f"S{n}" for n in range(5)]
    await counter.stocked(dict.fromkeys(skus, 10))
    original, is_dying = getattr(queries, place), True

    async def dies(*arguments: Any) -> Any:
        nonlocal is_dying
        answer = await original(*arguments)
        if is_dying:
            is_dying = False
            raise asyncio.CancelledError
        return answer

    monkeypatch.setattr(queries, place, dies)
    await counter.stocked({"U": 1, "V": 1, "W": 1})
    rows = [{"sku": sku, "counted": 9} for sku in (*skus, "X", "Y", "Z", "Y")]
    check = await counter.compare(rows, uncounted="zero")
    assert check.state == "comparing"
    await let_lease_end(counter)
    await counter.run(check.job_id)
    assert told(await counter.check(check)) == {
        "rows": 12,
        "differing": 8,
        "refused": 4,
        "uncounted": 3,
        "under": 8,
    }


async def test_a_cancelled_job_leaves_what_it_applied_and_the_rest_can_be_chosen_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correcting, "ROWS_AT_ONCE", 1)
    await counter.stocked({"A": 5, "B": 5, "C": 5})
    check = await counter.compare({"A": 4, "B": 4, "C": 4})
    original, calls = queries.list_chosen, 0

    async def cancelled(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            await counter.inside("inventory", jobs.request_cancel, started.apply_job_id)
        return await original(*arguments)

    monkeypatch.setattr(queries, "list_chosen", cancelled)
    started = await counter.ask(ApplyStockCheck(check_id=check.id, every_row=True, reason="x"))
    await counter.run(started.apply_job_id)
    after = await counter.check(check)
    assert (after.state, after.counts.applied, await counter.on_hand("A", "B", "C")) == ("compared", 1, [4, 5, 5])
    assert (await counter.apply(check, "C")).counts.applied == 2
    assert await counter.on_hand("A", "B", "C") == [4, 5, 4]


async def test_two_who_apply_at_once_apply_once(counter: Counter) -> None:
    await counter.stocked({"A": 5, "B": 5})
    check = await counter.compare({"A": 4, "B": 4})
    message = ApplyStockCheck(check_id=check.id, every_row=True, reason="x")
    answers = await asyncio.gather(
        *(counter.ask(message, key=key) for key in ("one", "two", "one")), return_exceptions=True
    )
    codes = sorted(str(getattr(answer, "code", "accepted")) for answer in answers)
    assert codes in (["accepted", "accepted", "stock_check_not_ready"], ["accepted"] + ["stock_check_not_ready"] * 2)
    accepted = [answer for answer in answers if isinstance(answer, StockCheck)]
    assert len({answer.apply_job_id for answer in accepted}) == 1
    for _ in range(2):
        await counter.run(accepted[0].apply_job_id)
    assert told(await counter.check(check)) == {"rows": 2, "applied": 2, "under": 2}
    assert await counter.on_hand("A", "B") == [4, 4]


async def test_a_reference_that_somebody_gave_a_movement_before_is_not_taken_twice(counter: Counter) -> None:
    await counter.stocked({"A": 5})
    check = await counter.compare({"A": 4})
    reference = f"stock-check:{check.id}"
    since = clock.now()
    assert since > check.counted_at
    await counter.ask(AdjustStock(sku="A", delta=1, reason="by hand", reference=reference))
    after = await counter.apply(check)
    assert (await counter.report(check))["A"].code == "reference_reused"
    assert (after.counts.refused, await counter.on_hand("A")) == (1, [6])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rows": []}, "no_rows"),
        ({"rows": [{}] * 10_001}, "too_many_rows"),
        ({"rows": [{}], "centre": "moon"}, "centre_not_found"),
        ({"rows": [{}], "counted_at": datetime.fromisoformat("2900-01-01T00:00:00+00:00")}, "counted_in_future"),
    ],
)
async def test_a_check_that_makes_no_sense_is_refused(counter: Counter, fields: Any, code: str) -> None:
    with pytest.raises(CrossdockError) as refused:
        await counter.ask(StartStockCheck(**fields))
    assert refused.value.code == code


@pytest.mark.parametrize("choice", [{}, {"skus": ["A"], "every_row": True}])
async def test_rows_are_chosen_in_one_way(counter: Counter, choice: dict[str, Any]) -> None:
    await counter.stocked({"A": 5})
    check = await counter.compare({"A": 4})
    with refusal("rows_not_chosen"):
        await counter.ask(ApplyStockCheck(check_id=check.id, reason="x", **choice))


async def test_checks_are_listed_newest_first_by_centre(counter: Counter) -> None:
    await counter.ask(CreateFulfilmentCentre(code="store", name="Store"))
    await counter.stocked({"A": 5})
    checks = [await counter.compare({"A": n}, centre=centre) for n, centre in enumerate(("main", "store", "main"))]
    page = await counter.ask(ListStockChecks(first=2))
    assert [check.id for check in page.items] == [checks[2].id, checks[1].id]
    rest = await counter.ask(ListStockChecks(first=2, after=page.next))
    assert ([check.id for check in rest.items], rest.next) == ([checks[0].id], None)
    of_store = await counter.ask(ListStockChecks(centre="store"))
    assert [check.id for check in of_store.items] == [checks[1].id]
    assert len((await counter.ask(ListFulfilmentCentres())).items) == 2
    stranger = Counter(counter.process)
    assert (await stranger.ask(ListStockChecks())).items == []
    with refusal("stock_check_not_found"):
        await stranger.ask(ApplyStockCheck(check_id=checks[0].id, every_row=True, reason="theirs"))
