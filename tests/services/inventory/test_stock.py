"""Stock in bulk and its ledger: rows that fail alone, references that count once, and sums that always agree."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.inventory.repository import bulk
from services.inventory.use_cases import reservations, stock
from shared import blobs, clock
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.shapes import Shop
from shared.contracts.catalog.events import StockFileImported
from shared.contracts.inventory.messages import (
    ListStock,
    ListStockMovements,
    SetStockPolicy,
    TakeBackFileStock,
    UpdateStock,
)
from shared.contracts.inventory.shapes import StockLevel, StockRowResult
from shared.contracts.orders.events import OrderCancelled, OrderMoved
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.conftest import examples
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-2", "INV-5")


async def results(merchant: Merchant, *rows: Any) -> list[StockRowResult]:
    return (await merchant.ask(UpdateStock(rows=list(rows)))).results


async def test_counts_and_deltas_leave_their_movements(merchant_of_stock: Merchant, shop: Shop) -> None:
    told = await results(
        merchant_of_stock,
        {"sku": "A", "centre": "main", "on_hand": 5},
        {"sku": "A", "centre": "main", "delta": -2, "reference": "sale-1"},
        {"sku": "A", "delta": 4},
        {"sku": "A", "on_hand": 7},
    )
    assert [(row.status, row.on_hand) for row in told] == [
        ("applied", 5),
        ("applied", 3),
        ("applied", 7),
        ("unchanged", 7),
    ]
    page = await merchant_of_stock.ask(ListStockMovements(sku="A"))
    assert [(m.number, m.reason, m.reference, m.on_hand_before, m.on_hand_after) for m in reversed(page.items)] == [
        (1, "counted", None, 0, 5),
        (2, "adjusted", "sale-1", 5, 3),
        (3, "adjusted", None, 3, 7),
    ]
    assert await merchant_of_stock.discrepancies() == []


BAD_ROWS: list[tuple[Any, str]] = [
    ("not json at all", "malformed_row"),
    (17, "malformed_row"),
    (None, "malformed_row"),
    ({}, "invalid_row"),
    ({"sku": "", "on_hand": 1}, "invalid_row"),
    ({"sku": "A", "on_hand": -1}, "invalid_row"),
    ({"sku": "A", "on_hand": "3"}, "invalid_row"),
    ({"sku": "A", "on_hand": 1.5}, "invalid_row"),
    ({"sku": "A", "on_hand": True}, "invalid_row"),
    ({"sku": "A", "on_hand": 10**12}, "invalid_row"),
    ({"sku": "A\x00", "on_hand": 1}, "invalid_row"),
    ({"sku": "A", "on_hand": 1, "colour": "red"}, "invalid_row"),
    ({"sku": "A", "on_hand": 1, "as_of": "yesterday"}, "invalid_row"),
    ({"sku": "A", "on_hand": 1, "as_of": "2026-01-01T00:00:00"}, "invalid_row"),
    ({"sku": "A"}, "on_hand_or_delta"),
    ({"sku": "A", "on_hand": 1, "delta": 1}, "on_hand_or_delta"),
    ({"sku": "A", "centre": "moon", "on_hand": 1}, "centre_not_found"),
    ({"sku": "A", "on_hand": 1, "as_of": "2999-01-01T00:00:00Z"}, "as_of_in_future"),
    ({"sku": "A", "delta": -9}, "negative_stock"),
]


async def test_a_bad_row_costs_nobody_but_itself(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    rows = [row for row, _ in BAD_ROWS]
    answer = await merchant_of_stock.ask(
        UpdateStock(rows=[{"sku": "B", "on_hand": 1}, *rows, {"sku": "A", "delta": 1}])
    )
    assert (answer.rows, answer.applied, answer.failed) == (len(rows) + 2, 2, len(rows))
    assert [result.code for result in answer.results[1:-1]] == [code for _, code in BAD_ROWS]
    assert [result.row for result in answer.results] == list(range(1, len(rows) + 3))
    assert all(result.message for result in answer.results if result.status == "failed")
    assert (await merchant_of_stock.level("A")).on_hand == 6
    assert await merchant_of_stock.discrepancies() == []


async def test_a_reference_takes_effect_once(merchant_of_stock: Merchant, shop: Shop) -> None:
    row = {"sku": "A", "delta": 5, "reference": "delivery-1"}
    assert [r.status for r in await results(merchant_of_stock, row, row)] == ["applied", "repeated"]
    answers = await asyncio.gather(*(results(merchant_of_stock, row) for _ in range(8)))
    assert {r.status for answer in answers for r in answer} == {"repeated"}
    (other,) = await results(merchant_of_stock, {**row, "delta": 6})
    assert (other.status, other.code) == ("failed", "reference_reused")
    count = {"sku": "A", "on_hand": 5, "reference": "count-1"}
    assert [r.status for r in await results(merchant_of_stock, count)] == ["unchanged"]
    await results(merchant_of_stock, {"sku": "A", "delta": -1})
    assert [(r.status, r.on_hand) for r in await results(merchant_of_stock, count)] == [("repeated", 4)]


async def test_changes_at_once_all_take_effect_whatever_their_order(merchant_of_stock: Merchant, shop: Shop) -> None:
    """Without references stock is locked row by row as it is judged: nobody may judge by what was there before."""
    skus = [f"AT-ONCE-{number:02}" for number in range(40)]
    await merchant_of_stock.stocked(dict.fromkeys(skus[:30], 10))

    async def change(number: int) -> None:
        rows: list[Any] = [{"sku": sku, "delta": 1} for sku in skus[:: -1 if number % 2 else 1]]
        if number % 3 == 0:
            rows[0]["reference"] = f"change-{number}"
        if number % 4 == 0:
            rows.append(dict(rows[-1]))
        told = await results(merchant_of_stock, *rows)
        assert {result.status for result in told} == {"applied"}

    await asyncio.gather(*map(change, range(12)))
    for sku in skus:
        began, twice = 10 if sku in skus[:30] else 0, 3 if sku == skus[-1] else 0
        assert (await merchant_of_stock.level(sku)).on_hand == began + 12 + twice, sku
    assert not await merchant_of_stock.discrepancies()


async def test_no_index_of_stock_speaks_of_its_figures(merchant_of_stock: Merchant) -> None:
    """Else each sale is an entry in every index of the table."""
    rows = await merchant_of_stock.rows(
        "inventory", "SELECT indexdef FROM pg_indexes WHERE schemaname = 'inventory' AND tablename = 'stock'"
    )
    assert len(rows) >= 4
    spoken = [row["indexdef"] for row in rows if "on_hand" in row["indexdef"] or "reserved" in row["indexdef"]]
    assert not spoken


async def test_of_two_counts_the_later_wins(merchant_of_stock: Merchant, shop: Shop) -> None:
    early, late = (clock.now() - timedelta(hours=hours) for hours in (5, 1))
    told = await results(
        merchant_of_stock,
        {"sku": "A", "on_hand": 9, "as_of": late.isoformat()},
        {"sku": "A", "on_hand": 3, "as_of": early.isoformat(), "policy": "backorder"},
    )
    assert [(row.status, row.on_hand) for row in told] == [("applied", 9), ("superseded", 9)]
    assert (await merchant_of_stock.level("A")).policy == "standard"


async def test_a_count_below_what_is_reserved_is_a_fact(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    await merchant_of_stock.reserve(shop, A=4)
    (told,) = await results(merchant_of_stock, {"sku": "A", "on_hand": 1})
    assert (told.status, told.on_hand, told.reserved, told.available) == ("applied", 1, 4, 0)
    assert (await merchant_of_stock.level("A")).backordered == 3
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 0
    (alert,) = await merchant_of_stock.alerts("inventory")
    assert (alert["data"]["skus"], alert["severity"]) == (["A"], "warning")
    with pytest.raises(CarriedError, match="Not available"):
        await merchant_of_stock.reserve(shop, A=1)
    await merchant_of_stock.stocked({"A": 4})
    cleared = await merchant_of_stock.rows("inventory", "SELECT 1 FROM outbox WHERE name = 'platform.alert_cleared'")
    assert len(cleared) == 1
    assert await merchant_of_stock.discrepancies() == []


async def test_a_request_has_between_one_and_ten_thousand_rows(merchant_of_stock: Merchant, shop: Shop) -> None:
    for rows, code in (([], "no_rows"), ([{}] * 10_001, "too_many_rows")):
        with pytest.raises(CarriedError) as refused:
            await merchant_of_stock.ask(UpdateStock(rows=rows))
        assert refused.value.code == code


async def test_ten_thousand_rows_at_once_announce_their_skus_in_chunks(merchant_of_stock: Merchant, shop: Shop) -> None:
    answer = await merchant_of_stock.stocked({f"SKU-{number:05}": number for number in range(10_000)})
    assert (answer.applied, answer.unchanged) == (9_999, 1)
    events = await merchant_of_stock.events("inventory", "stock_changed")
    # One was counted as empty, which it was.
    assert [len(event["skus"]) for event in events] == [1000] * 9 + [999]
    assert len({sku for event in events for sku in event["skus"]}) == 9_999
    page = await merchant_of_stock.ask(ListStock(first=200))
    following = await merchant_of_stock.ask(ListStock(first=200, after=page.next))
    skus = [level.sku for level in [*page.items, *following.items]]
    assert skus == sorted(set(skus))
    assert len(skus) == 400


async def test_rows_find_their_stock_by_its_key_whatever_the_planner_believes(
    merchant_of_stock: Merchant, shop: Shop
) -> None:
    """PostgreSQL has counted a few rows of many others, and believes the same of a tenant it has never seen.

    Joined as that suggests, each row of a call was compared with each row of the tenant: ten thousand took a minute.
    """
    count = 300
    for _ in range(12):
        other = Merchant(merchant_of_stock.process)
        await other.open_shop()
        await other.stocked({f"OTHER-{number}": 1 for number in range(5)})
    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    await connection.execute("ANALYZE inventory.stock, inventory.stock_movements")
    await connection.close()
    await merchant_of_stock.stocked({f"SKU-{number:05}": 1 for number in range(count)})
    uow = merchant_of_stock.process.surroundings.unit_of_work(
        "inventory", service_envelope("inventory", merchant_of_stock.organization_id)
    )
    places = [(row["sku"], row["centre_id"]) for row in await uow.fetch("SELECT sku, centre_id FROM stock ORDER BY 1")]
    await bulk.look_up_by_keys(uow)
    await bulk.lock(uow, places)
    plan = await uow.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {bulk._APPLY}",
        uow.organization_id,
        clock.now(),
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
        [2] * count,
        *([None] * count for _ in range(4)),
        [new_id() for _ in range(count)],
    )
    await uow.rollback()
    looked_at = [
        (node["Actual Rows"] + sum(value for name, value in node.items() if name.startswith("Rows Removed")))
        * node["Actual Loops"]
        for node in _nodes(orjson.loads(plan)[0]["Plan"])
    ]
    assert max(looked_at) <= 2 * count, plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


async def test_a_forged_cursor_is_refused(merchant_of_stock: Merchant, shop: Shop) -> None:
    for question in (ListStock(after="WyJhIiwiYiJd"), ListStockMovements(after="WyJhIl0"), ListStock(after="?")):
        with pytest.raises(CarriedError) as refused:
            await merchant_of_stock.ask(question)
        assert refused.value.code == "invalid_cursor"


@pytest.mark.feature("CAT-5")
async def test_stock_of_an_import_is_counted_once(merchant_of_stock: Merchant, shop: Shop) -> None:
    lines = (
        b'{"sku":"A","on_hand":3}\n{"sku":"B","on_hand":4,"policy":"backorder"}\n\nbroken\n'
        b'{"sku":"C","centre":"moon","on_hand":1}\n'
    )
    await blobs.put(merchant_of_stock.organization_id, "stock/part-1", lines)
    event = StockFileImported(import_id=new_id(), part=1, key="stock/part-1", rows=4)
    event_id = new_id()
    for _ in range(2):
        assert await merchant_of_stock.hear("inventory", event, ids=[event_id]) == []
        await results(merchant_of_stock, {"sku": "A", "delta": -1})
    assert await merchant_of_stock.hear("inventory", event) == []
    assert (await merchant_of_stock.level("A")).on_hand == 1
    assert (await merchant_of_stock.level("B")).policy == "backorder"
    alert = (await merchant_of_stock.alerts("inventory"))[0]
    assert [row["code"] for row in alert["data"]["rows"]] == ["malformed_row", "centre_not_found"]
    assert await merchant_of_stock.discrepancies() == []


async def _counted(merchant: Merchant, lines: bytes, counted_at: datetime, import_id: UUID) -> None:
    await blobs.put(merchant.organization_id, f"stock/{import_id}", lines)
    event = StockFileImported(
        import_id=import_id, part=0, key=f"stock/{import_id}", rows=lines.count(b"\n"), counted_at=counted_at
    )
    assert await merchant.hear("inventory", event) == []


@pytest.mark.feature("CAT-8", "INV-2")
async def test_counts_that_agree_are_neither_written_nor_announced(merchant_of_stock: Merchant, shop: Shop) -> None:
    lines = b'{"sku":"A","on_hand":3}\n{"sku":"B","on_hand":4,"policy":"backorder"}\n{"sku":"C","on_hand":0}\n'
    now = clock.now()
    await _counted(merchant_of_stock, lines, now - timedelta(hours=2), new_id())
    announced = await merchant_of_stock.events("inventory", "stock_changed")
    movements = (await merchant_of_stock.ask(ListStockMovements(first=50))).items
    assert ([sorted(event["skus"]) for event in announced], len(movements)) == ([["A", "B", "C"]], 3)
    await _counted(merchant_of_stock, lines, now - timedelta(hours=1), new_id())
    assert await merchant_of_stock.events("inventory", "stock_changed") == announced
    assert len((await merchant_of_stock.ask(ListStockMovements(first=50))).items) == 3
    await _counted(merchant_of_stock, lines.replace(b'"on_hand":3', b'"on_hand":5'), now, new_id())
    assert (await merchant_of_stock.events("inventory", "stock_changed"))[len(announced) :][0]["skus"] == ["A"]
    assert (await merchant_of_stock.level("A")).on_hand == 5
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.feature("CAT-5", "INV-2")
@pytest.mark.parametrize("newer", [3, 7], ids=["that agreed", "that differed"])
async def test_figures_of_an_older_file_that_come_late_stand_back(
    merchant_of_stock: Merchant, shop: Shop, newer: int
) -> None:
    now = clock.now()
    await _counted(merchant_of_stock, b'{"sku":"A","on_hand":3}\n', now - timedelta(hours=3), new_id())
    await _counted(merchant_of_stock, b'{"sku":"A","on_hand":%d}\n' % newer, now - timedelta(hours=1), new_id())
    await _counted(merchant_of_stock, b'{"sku":"A","on_hand":9}\n', now - timedelta(hours=2), new_id())
    assert (await merchant_of_stock.level("A")).on_hand == newer


async def test_an_import_whose_file_is_missing_is_tried_again(merchant_of_stock: Merchant, shop: Shop) -> None:
    event = StockFileImported(import_id=new_id(), part=1, key="stock/none", rows=4)
    ((_, reason),) = await merchant_of_stock.hear("inventory", event)
    assert reason.startswith("blob_not_found")


_SKUS = st.sampled_from(["A", "B"])
_AMOUNT = st.integers(0, 6)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), _SKUS, _AMOUNT),
        st.tuples(st.just("adjust"), _SKUS, st.integers(-6, 6)),
        st.tuples(st.just("reserve"), _SKUS, st.integers(1, 4)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.none()),
        st.tuples(st.just("confirm"), st.integers(0, 5), st.none()),
        st.tuples(st.just("expire"), st.integers(0, 5), st.none()),
        st.tuples(st.just("policy"), _SKUS, st.sampled_from(["standard", "backorder"])),
    ),
    max_size=14,
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS)
async def test_whatever_happens_the_ledger_adds_up(process: topology.Surrounded, steps: list[Any]) -> None:
    merchant = Merchant(process)
    shop = await merchant.open_shop()
    held: list[Any] = []
    for step in steps:
        await _do(merchant, shop, held, *step)
        for sku in ("A", "B"):
            availability = await merchant.availability(shop, sku)
            assert availability.available_quantity >= 0
    assert await merchant.discrepancies() == []


async def _do(merchant: Merchant, shop: Shop, held: list[Any], what: str, which: Any, amount: Any) -> None:
    order_id = held[which % len(held)] if isinstance(which, int) and held else new_id()
    common = {"order_id": order_id, "number": "N", "shop_id": shop.id}
    match what:
        case "count":
            await merchant.inside("inventory", stock.apply, [{"sku": which, "on_hand": amount}])
        case "adjust":
            await merchant.inside("inventory", stock.apply, [{"sku": which, "delta": amount}])
        case "reserve":
            with contextlib.suppress(CarriedError):
                held.append((await merchant.reserve(shop, **{which: amount})).id)
        case "cancel":
            await merchant.hear("inventory", OrderCancelled(**common, reason="test"))
        case "confirm":
            await merchant.hear("inventory", OrderMoved(**common, before="pending", after="processing", version=2))
        case "expire":
            await merchant.change(
                "inventory", "UPDATE reservations SET expires_at = now() WHERE id = $1 AND state = 'held'", order_id
            )
            await merchant.inside("inventory", reservations.expire)
        case "policy":
            await merchant.ask(SetStockPolicy(sku=which, centre="main", policy=amount))


@pytest.mark.feature("CAT-9", "INV-2")
async def test_what_a_file_of_products_counted_is_taken_back_once_and_no_more_of_it_taken(
    merchant_of_stock: Merchant, shop: Shop
) -> None:
    now = clock.now()
    await _counted(
        merchant_of_stock, b'{"sku":"A","on_hand":3}\n{"sku":"D","on_hand":1}\n', now - timedelta(hours=3), new_id()
    )
    import_id = new_id()
    lines = b'{"sku":"A","on_hand":5,"policy":"backorder"}\n{"sku":"B","on_hand":4,"policy":"backorder"}\n'
    await _counted(merchant_of_stock, lines + b'{"sku":"D","on_hand":2}\n', now - timedelta(hours=2), import_id)
    # A later count that found the same is somebody's figure, though nothing moved.
    await _counted(merchant_of_stock, b'{"sku":"D","on_hand":2}\n', now - timedelta(hours=1), new_id())
    for _ in range(2):
        back = await merchant_of_stock.ask(TakeBackFileStock(import_id=import_id), inside="catalog")
        assert [(each.name, each.field, each.code) for each in back.conflicts] == [
            ("D in main", "on_hand", "touched_since")
        ]
        assert (back.is_known, back.restored, back.next) == (True, 2, 0)
        levels = {level.sku: (level.on_hand, level.policy) for level in (await _levels(merchant_of_stock))}
        assert levels == {"A": (3, "standard"), "B": (0, "standard"), "D": (2, "standard")}
    over = await merchant_of_stock.ask(TakeBackFileStock(import_id=import_id, after=0), inside="catalog")
    assert (over.is_known, over.restored, over.next) == (True, 0, None)
    await blobs.put(merchant_of_stock.organization_id, "stock/late", b'{"sku":"A","on_hand":50}\n')
    late = StockFileImported(import_id=import_id, part=1, key="stock/late", rows=1, counted_at=now)
    assert await merchant_of_stock.hear("inventory", late) == []
    assert (await merchant_of_stock.level("A")).on_hand == 3
    never = await merchant_of_stock.ask(TakeBackFileStock(import_id=new_id()), inside="catalog")
    assert (never.is_known, never.next) == (False, None)
    assert await merchant_of_stock.discrepancies() == []


async def _levels(merchant: Merchant) -> Sequence[StockLevel]:
    levels: Sequence[StockLevel] = (await merchant.ask(ListStock(first=50))).items
    return levels
