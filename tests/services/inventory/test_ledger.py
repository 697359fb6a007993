"""Stock changed by hand, goods moved between centres, low stock, centres that go, and why a figure is what it is."""

import asyncio
import csv
import io
import os
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.inventory.use_cases import centres, checking, lists
from shared import clock
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.arrivals import (
    ArrivalDraft,
    CreateArrivals,
    GetArrival,
    ReceiptDraft,
    ReceivedLineDraft,
    ReceiveGoods,
)
from shared.contracts.inventory.ledger import AdjustStock, ExplainStock, MovedLine, MoveStock
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    ListStock,
    ListStockMovements,
    RemoveFulfilmentCentre,
    SetStockPolicy,
    UpdateStock,
)
from shared.contracts.orders.events import OrderCancelled
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant
from tests.waiting import until

pytestmark = pytest.mark.feature("INV-2")


async def refused(asked: Awaitable[Any]) -> CrossdockError:
    with pytest.raises(CrossdockError) as refusal:
        await asked
    return refusal.value


async def store(merchant: Merchant, *, serves: bool = True) -> UUID:
    centre = await merchant.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    if serves:
        await merchant.ask(AssignFulfilmentCentre(centre_id=centre.id, shop="main", preference=200))
    return UUID(str(centre.id))


async def test_an_adjustment_says_why(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    level = await merchant_of_stock.ask(AdjustStock(sku="A", delta=-2, reason="broken in the aisle", reference="r-1"))
    assert level.on_hand == 3
    again = await merchant_of_stock.ask(AdjustStock(sku="A", delta=-2, reason="broken in the aisle", reference="r-1"))
    assert again.on_hand == 3
    (latest, _) = (await merchant_of_stock.ask(ListStockMovements(sku="A"))).items
    assert (latest.reason, latest.note, latest.reference) == ("adjusted", "broken in the aisle", "r-1")
    assert (latest.on_hand_before, latest.on_hand_after) == (5, 3)

    async def code(**fields: Any) -> str:
        return (await refused(merchant_of_stock.ask(AdjustStock(**{"sku": "A", "reason": "x", **fields})))).code

    assert await code(delta=-1, reference="r-1") == "reference_reused"
    assert await code(delta=-4) == "negative_stock"
    assert await code(delta=1, centre="moon") == "centre_not_found"
    assert await merchant_of_stock.discrepancies() == []


async def test_goods_are_moved_in_one_operation(merchant_of_stock: Merchant, shop: Shop) -> None:
    await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 5, "B": 1})
    await merchant_of_stock.reserve(shop, A=2)
    move = MoveStock(
        from_centre="main", to_centre="store", lines=[MovedLine(sku="A", quantity=3)], reference="van-7", reason="sale"
    )
    moved = await merchant_of_stock.ask(move)
    assert [(level.centre, level.on_hand, level.available) for level in moved.levels] == [
        ("main", 2, 0),
        ("store", 3, 3),
    ]
    again = await merchant_of_stock.ask(move)
    assert (again.repeated, again.levels) == (True, moved.levels)
    out, into = (await merchant_of_stock.ask(ListStockMovements(reference="van-7"))).items
    assert {(m.centre, m.reason, m.note, m.on_hand_after - m.on_hand_before) for m in (out, into)} == {
        ("main", "moved", "sale", -3),
        ("store", "moved", "sale", 3),
    }
    both = MoveStock(from_centre="main", to_centre="store", lines=[MovedLine(sku="B", quantity=1), *move.lines])
    error = await refused(merchant_of_stock.ask(both))
    assert (error.code, error.errors) == ("not_enough_to_move", [{"sku": "A", "requested": 3, "available": 0}])
    assert (await merchant_of_stock.level("B")).on_hand == 1
    other = move.model_copy(update={"lines": [MovedLine(sku="A", quantity=1)]})
    assert (await refused(merchant_of_stock.ask(other))).code == "reference_reused"
    nowhere = move.model_copy(update={"to_centre": "main"})
    assert (await refused(merchant_of_stock.ask(nowhere))).code == "same_centre"
    assert await merchant_of_stock.discrepancies() == []


async def test_two_moves_at_once_move_nothing_twice(merchant_of_stock: Merchant, shop: Shop) -> None:
    await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 5})
    there = MoveStock(from_centre="main", to_centre="store", lines=[MovedLine(sku="A", quantity=2)])
    back = MoveStock(from_centre="store", to_centre="main", lines=[MovedLine(sku="A", quantity=1)])
    answers = await asyncio.gather(*(merchant_of_stock.ask(there) for _ in range(4)), return_exceptions=True)
    assert sorted(getattr(answer, "code", "moved") for answer in answers) == ["moved"] * 2 + ["not_enough_to_move"] * 2
    await asyncio.gather(*(merchant_of_stock.ask(m) for m in (back, back, there)), return_exceptions=True)
    levels = (await merchant_of_stock.ask(ListStock(sku="A"))).items
    assert sum(level.on_hand for level in levels) == 5
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.feature("INV-8")
async def test_low_stock_is_told_once_and_over_when_it_recovers(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 10, "B": 10})
    await merchant_of_stock.ask(SetStockPolicy(sku="A", centre="main", warning_level=4, ideal_level=20))
    reservation = await merchant_of_stock.reserve(shop, A=5)
    assert await merchant_of_stock.alerts("inventory") == []
    await merchant_of_stock.stocked({"A": 9})
    await merchant_of_stock.stocked({"A": 8})
    (alert,) = await merchant_of_stock.alerts("inventory")
    assert (alert["title"], alert["data"]["sku"], alert["data"]["available"]) == ("Stock is low", "A", 4)
    assert [level.sku for level in (await merchant_of_stock.ask(ListStock(low=True))).items] == ["A"]
    cancelled = OrderCancelled(order_id=reservation.id, shop_id=shop.id, number="1", reason="x")
    await merchant_of_stock.hear("inventory", cancelled)
    rows = await merchant_of_stock.rows("inventory", "SELECT payload FROM outbox WHERE name = 'platform.alert_cleared'")
    assert len(rows) == 1
    assert (await merchant_of_stock.ask(ListStock(low=True))).items == []
    crossed = await merchant_of_stock.events("inventory", "stock_level_crossed")
    assert [(c["levels"][0]["sku"], c["levels"][0]["available"], c["levels"][0]["is_low"]) for c in crossed] == [
        ("A", 4, True),
        ("A", 8, False),
    ]
    # A level that is set above what there is, is crossed as well.
    await merchant_of_stock.ask(SetStockPolicy(sku="B", centre="main", warning_level=10))
    assert len(await merchant_of_stock.alerts("inventory")) == 2


async def test_the_ledger_is_filtered_and_comes_as_a_sheet(
    client: Client, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Merchant(process)
    shop = await owner.open_shop()
    await owner.stocked({"A": 5, "=B": 2})
    await owner.reserve(shop, A=2)
    await owner.ask(AdjustStock(sku="A", delta=1, reason="found"))
    headers = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))

    async def listed(**parameters: str) -> list[str]:
        answer = await client.get("/v1/stock-movements", params=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return [movement["reason"] for movement in answer.json()["items"]]

    assert await listed(sku="A") == ["adjusted", "reserved", "counted"]
    assert await listed(reason="counted") == ["counted", "counted"]
    later = (clock.now() + timedelta(hours=1)).isoformat()
    assert await listed(from_time=later) == []
    assert len(await listed(to_time=later)) == 4
    assert (await client.get("/v1/stock-movements?reason=stolen", headers=headers)).status_code == 422
    monkeypatch.setattr(lists, "SHEET_ROWS", 2)
    sheet = await client.get("/v1/stock-movements/file", headers=headers)
    assert sheet.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [row["reason"] for row in rows] == ["adjusted", "reserved", "counted", "counted"]
    assert {row["sku"] for row in rows} == {"A", "'=B"}
    bad = await client.get("/v1/stock-movements/file?centre=moon", headers=headers)
    assert (bad.status_code, bad.json()["code"]) == (404, "centre_not_found")
    query = {"query": '{ stockMovementSheet(sku: "A") { csv next } }'}
    told = (await client.post("/graphql", json=query, headers=headers)).json()["data"]["stockMovementSheet"]
    assert told["csv"].count("\n") == 3
    assert told["next"] is not None


@pytest.mark.feature("INV-12")
async def test_stock_is_explained_at_any_moment(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.stocked({"A": 5})
    reservation = await merchant_of_stock.reserve(shop, A=2)
    between = await merchant_of_stock.rows("inventory", "SELECT clock_timestamp() AS at")
    await merchant_of_stock.ask(AdjustStock(sku="A", delta=4, reason="found"))
    await merchant_of_stock.reserve(shop, A=1)
    now = await merchant_of_stock.ask(ExplainStock(sku="A", centre="main"))
    assert (now.on_hand, now.reserved, now.available, now.movements, now.adds_up) == (9, 3, 6, 4, True)
    assert now.by_reason == {"counted": 5, "adjusted": 4}
    assert {(hold.order_id == reservation.id, hold.units, hold.state) for hold in now.holds} == {
        (True, 2, "held"),
        (False, 1, "held"),
    }
    assert [movement.reason for movement in now.latest] == ["reserved", "adjusted", "reserved", "counted"]
    then = await merchant_of_stock.ask(ExplainStock(sku="A", centre="main", at=between[0]["at"]))
    assert (then.on_hand, then.reserved, then.movements, then.adds_up) == (5, 2, 2, True)
    assert [hold.order_id for hold in then.holds] == [reservation.id]
    error = await refused(merchant_of_stock.ask(ExplainStock(sku="NEVER", centre="main")))
    assert error.code == "stock_not_found"


@pytest.mark.feature("INV-12")
async def test_stock_of_a_centre_that_is_gone_is_explained_as_it_was(merchant_of_stock: Merchant, shop: Shop) -> None:
    first = await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 3}, centre="store")
    ((at,),) = await merchant_of_stock.rows("inventory", "SELECT clock_timestamp()")
    await merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=first, discard_stock=True))

    async def explained(**fields: Any) -> tuple[int, int, bool]:
        told = await merchant_of_stock.ask(ExplainStock(sku="A", centre="store", **fields))
        assert len(told.latest) == told.movements
        return told.on_hand, told.movements, told.adds_up

    assert await explained() == (0, 2, True)
    assert await explained(at=at) == (3, 1, True)
    # Another one has its code now: what was then is of the first.
    await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 8}, centre="store")
    assert await explained() == (8, 1, True)
    assert await explained(at=at) == (3, 1, True)
    error = await refused(merchant_of_stock.ask(ExplainStock(sku="A", centre="never")))
    assert error.code == "centre_not_found"


@pytest.mark.feature("INV-1")
async def test_a_centre_with_open_reservations_is_not_removed(merchant_of_stock: Merchant, shop: Shop) -> None:
    centre_id = await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 3}, centre="store")
    reservation = await merchant_of_stock.reserve(shop, A=2)
    error = await refused(merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id, discard_stock=True)))
    assert error.code == "centre_has_reservations"
    assert error.errors == [{"order_id": str(reservation.id), "state": "held", "sku": "A", "units": 2}]
    cancelled = OrderCancelled(order_id=reservation.id, shop_id=shop.id, number="1", reason="x")
    await merchant_of_stock.hear("inventory", cancelled)
    error = await refused(merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id)))
    assert (error.code, error.errors) == ("centre_has_stock", [{"sku": "A", "on_hand": 3}])
    await merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id, discard_stock=True))
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 0
    assert [c.code for c in (await merchant_of_stock.ask(ListFulfilmentCentres())).items] == ["main"]
    assert (
        await refused(merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id)))
    ).code == "centre_not_found"
    (failed,) = (await merchant_of_stock.stocked({"A": 1}, centre="store")).results
    assert failed.code == "centre_not_found"
    movement = (await merchant_of_stock.ask(ListStockMovements(sku="A"))).items[0]
    assert (movement.centre, movement.note, movement.on_hand_after) == ("store", "centre store removed", 0)
    # Its code can be given again, and its ledger is another.
    await store(merchant_of_stock)
    assert await merchant_of_stock.discrepancies() == []
    (main,) = [c for c in (await merchant_of_stock.ask(ListFulfilmentCentres())).items if c.is_default]
    assert (await refused(merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=main.id)))).code == (
        "default_centre_needed"
    )


@pytest.mark.feature("INV-1")
async def test_a_centre_is_removed_or_reserved_from_but_not_both(merchant_of_stock: Merchant, shop: Shop) -> None:
    centre_id = await store(merchant_of_stock)
    await merchant_of_stock.stocked({"A": 3}, centre="store")
    await merchant_of_stock.ask(SetStockPolicy(sku="A", centre="store", policy="backorder"))
    removal = merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id, discard_stock=True))
    answers = await asyncio.gather(
        *(merchant_of_stock.reserve(shop, A=1) for _ in range(3)), removal, return_exceptions=True
    )
    reserved = [answer for answer in answers[:3] if not isinstance(answer, BaseException)]
    removed = not isinstance(answers[3], BaseException)
    assert removed == (not reserved), answers
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.feature("INV-1", "INV-6")
async def test_goods_that_come_while_a_centre_is_removed_are_not_lost_with_it(
    merchant_of_stock: Merchant, shop: Shop
) -> None:
    centre_id = await store(merchant_of_stock)
    removing = merchant_of_stock.unit_of_work("inventory")
    await centres.remove(removing, RemoveFulfilmentCentre(centre_id=centre_id))
    came = ReceiptDraft(centre="store", lines=[ReceivedLineDraft(sku="NEW", quantity=4)])
    receipt = asyncio.ensure_future(refused(merchant_of_stock.ask(ReceiveGoods(receipt=came))))
    await until(lambda: _is_over_or_waits(merchant_of_stock, receipt))
    await removing.commit()
    assert (await receipt).code == "centre_not_found"


async def _is_over_or_waits(merchant: Merchant, task: asyncio.Future[Any]) -> bool:
    return task.done() or bool(await merchant.rows("inventory", "SELECT 1 FROM pg_locks WHERE NOT granted"))


@pytest.mark.feature("INV-1", "INV-6")
async def test_of_a_removed_centre_nothing_more_is_expected(merchant_of_stock: Merchant, shop: Shop) -> None:
    centre_id = await store(merchant_of_stock)
    drafts = [ArrivalDraft(sku=sku, centre=centre, quantity=5) for sku, centre in (("A", "store"), ("A", "main"))]
    there, elsewhere = (await merchant_of_stock.ask(CreateArrivals(arrivals=drafts))).items
    await merchant_of_stock.ask(RemoveFulfilmentCentre(centre_id=centre_id))
    assert (await merchant_of_stock.ask(GetArrival(arrival_id=there.id))).state == "closed"
    assert (await merchant_of_stock.ask(GetArrival(arrival_id=elsewhere.id))).state == "open"
    levels = (await merchant_of_stock.ask(ListStock(sku="A"))).items
    assert sum(level.incoming for level in levels) == 5
    assert await merchant_of_stock.discrepancies() == []


@pytest.mark.feature("GAT-1", "GAT-2")
async def test_changes_by_hand_through_both_doors(client: Client, process: Any) -> None:
    owner = Merchant(process)
    await owner.open_shop()
    centre_id = await store(owner)
    await owner.stocked({"A": 5})
    headers = client.speaking_as(caller_of(owner.organization_id, "inventory:write", "inventory:read"))
    body = {"sku": "A", "delta": 2, "reason": "found"}
    assert (await client.post("/v1/stock/adjust", json=body, headers=headers)).json()["on_hand"] == 7
    for bad in ({"delta": 1.5}, {"delta": 10**12}, {"reason": ""}, {"reason": "a\0"}, {"sku": ""}):
        answer = await client.post("/v1/stock/adjust", json=body | bad, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), bad
    mutation = (
        'mutation { moveStock(fromCentre: "main", toCentre: "store", lines: [{sku: "A", quantity: 3}]) {'
        " ... on StockMoved { repeated levels { centre onHand } } ... on Problem { code } } }"
    )
    told = (await client.post("/graphql", json={"query": mutation}, headers=headers)).json()["data"]["moveStock"]
    assert told == {
        "repeated": False,
        "levels": [{"centre": "main", "onHand": 4}, {"centre": "store", "onHand": 3}],
    }
    explained = await client.get("/v1/stock-explanations?sku=A&centre=main", headers=headers)
    assert (explained.json()["on_hand"], explained.json()["adds_up"]) == (4, True)
    query = {"query": '{ stockExplanation(sku: "A", centre: "store") { onHand } }'}
    answer = (await client.post("/graphql", json=query, headers=headers)).json()
    assert answer["data"]["stockExplanation"] == {"onHand": 3}
    reader = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))
    stranger = client.speaking_as(caller_of(new_id()))
    move = {"from_centre": "main", "to_centre": "store", "lines": [{"sku": "A", "quantity": 1}]}
    for path, sent in (("adjust", body | {"centre": "store"}), ("move", move)):
        assert (await client.post(f"/v1/stock/{path}", json=sent, headers=reader)).status_code == 403
        assert (await client.post(f"/v1/stock/{path}", json=sent, headers=stranger)).status_code == 404
    path = f"/v1/fulfilment-centres/{centre_id}"
    assert (await client.delete(path, headers=reader)).status_code == 403
    assert (await client.delete(path, headers=stranger)).status_code == 404
    assert (await client.delete(path, headers=headers)).json()["code"] == "centre_has_stock"
    assert (await client.delete(f"{path}?discard_stock=true", headers=headers)).status_code == 204


@pytest.mark.feature("INV-2")
async def test_a_check_reads_each_movement_a_few_times_however_many_a_sku_has(
    merchant_of_stock: Merchant, shop: Shop
) -> None:
    movements = 600
    rows = [{"sku": "A", "centre": "main", "delta": 1, "reference": f"r-{number}"} for number in range(movements)]
    assert (await merchant_of_stock.ask(UpdateStock(rows=rows))).failed == 0

    async def rows_read(uow: UnitOfWork) -> int:
        # Joined row by row, as PostgreSQL does where the ledger is large.
        for other in ("hashjoin", "mergejoin", "material"):
            await uow.execute(f"SET LOCAL enable_{other} = off")
        assert await checking.check(uow) == []
        count: int = await uow.fetchval(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE schemaname = 'inventory' AND relname = 'stock_movements'"
        )
        return count

    assert movements <= await merchant_of_stock.inside("inventory", rows_read) < 20 * movements


@pytest.mark.feature("INV-2")
@pytest.mark.parametrize(
    ("tampering", "number"),
    [
        ("UPDATE inventory.stock_movements SET on_hand_before = 4 WHERE sku = 'A' AND number = 2", 2),
        ("UPDATE inventory.stock_movements SET reserved_before = 1 WHERE sku = 'A' AND number = 1", 1),
        ("DELETE FROM inventory.stock_movements WHERE sku = 'A' AND number = 2", 3),
    ],
    ids=["another beginning", "something before the first", "a gap"],
)
async def test_a_movement_that_does_not_follow_is_found(
    merchant_of_stock: Merchant, shop: Shop, tampering: str, number: int
) -> None:
    for level in (5, 3, 7):
        await merchant_of_stock.stocked({"A": level})
    assert await merchant_of_stock.discrepancies() == []
    database = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        async with database.transaction():
            await database.execute("SET LOCAL session_replication_role = replica")
            await database.execute(f"{tampering} AND organization_id = $1", merchant_of_stock.organization_id)
    finally:
        await database.close()
    (found,) = [each for each in await merchant_of_stock.discrepancies() if each.what == "chain"]
    assert (found.sku, found.stored) == ("A", {1: 0, 2: 4, 3: 3}[number])
