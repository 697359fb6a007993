"""Lines of orders that stand: changed, added, replaced, cancelled, re-sourced; all or nothing, whatever crashes."""

import asyncio
from typing import Any

import pytest

from deploy import topology
from services.inventory.use_cases import amending, reservations
from services.orders.use_cases import line_changes
from shared.contracts.inventory.amendments import AmendedLine, PrepareAmendment
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    CreateFulfilmentCentre,
    GetReservation,
    SetStockPolicy,
)
from shared.contracts.inventory.shipments import ShipmentLineDraft
from shared.contracts.orders.events import OrderLinesChanged
from shared.contracts.orders.line_changes import CancelDraft, CancelOrderLines, ChangeOrderLines, LinesDraft
from shared.contracts.orders.messages import CancelOrder, GetOrderStanding, ReleaseOrder
from shared.contracts.orders.shapes import Order
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.orders import Seller, wanted

pytestmark = pytest.mark.feature("ORD-4")


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


async def refusal(seller: Seller, message: Any, **options: Any) -> CarriedError:
    with pytest.raises(CarriedError) as refused:
        await seller.ask(message, **options)
    return refused.value


def lines(order: Order, *changes: dict[str, Any], **fields: Any) -> ChangeOrderLines:
    draft = LinesDraft.model_validate({"lines": changes, **fields})
    return ChangeOrderLines(order_id=order.id, change=draft)


def cancelled(order: Order, *units: dict[str, Any]) -> CancelOrderLines:
    draft = CancelDraft.model_validate({"lines": list(units) or None, "reason": "not wanted"})
    return CancelOrderLines(order_id=order.id, cancel=draft)


async def held(seller: Seller, order: Order) -> dict[str, int]:
    return {line.sku: line.quantity for line in (await seller.ask(GetReservation(reservation_id=order.id))).lines}


async def reserved(seller: Seller, *skus: str) -> list[int]:
    return [(await seller.level(sku)).reserved for sku in skus]


async def settled(seller: Seller) -> None:
    await seller.settle()
    assert await seller.discrepancies() == []


async def let_holds_run_out(seller: Seller) -> None:
    expired = (
        "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE amends IS NOT NULL AND state = 'held'"
    )
    await seller.change("inventory", expired)
    await seller.inside("inventory", amending.expire)


# --- what becomes of an order


async def test_more_less_and_something_else(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=3))
    message = lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 2}, reason="prefers cups")
    changed = await seller.ask(message, key="k")
    assert [(line.sku, line.quantity, line.cancelled, line.unit_price.amount) for line in changed.lines] == [
        ("MUG", 3, 2, 1000),
        ("CUP", 2, 0, 250),
    ]
    assert (changed.status, changed.total.amount) == ("processing", 1500)
    assert [event["amount"]["amount"] for event in await seller.events("orders", "refund_wanted")] == [1500]
    told = next(entry for entry in changed.timeline if entry.kind == "lines_changed")
    assert (told.reason, told.actor, told.data["units"]["MUG"]) == ("prefers cups", "admin", {"before": 3, "after": 1})
    assert await seller.ask(message, key="k") == changed
    # Until the word arrives nothing that was taken away can leave, and nothing that was added can be sold.
    assert await reserved(seller, "MUG", "CUP") == [3, 2]
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [1, 2]
    assert await held(seller, order) == {"MUG": 1, "CUP": 2}
    await seller.ship(order)
    await settled(seller)
    assert (await seller.order(order.id)).status == "complete"
    assert [(await seller.level(sku)).on_hand for sku in ("MUG", "CUP")] == [9, 8]


async def test_a_dearer_order_waits_for_the_rest(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    changed = await seller.ask(lines(order, {"sku": "MUG", "quantity": 2}))
    assert (changed.status, changed.hold_reason) == ("on_hold", "Only 10.00 of 20.00 USD were paid")
    await settled(seller)
    await seller.hear("orders", seller.payment(order, 1000))
    assert (await seller.order(order.id)).status == "processing"
    await settled(seller)
    assert await held(seller, order) == {"MUG": 2}


async def test_charges_follow_the_lines_unless_they_are_given(seller: Seller) -> None:
    line = {
        "sku": "MUG",
        "quantity": 4,
        "discounts": [{"name": "TEN", "amount": usd(400)}],
        "taxes": [{"name": "VAT", "amount": usd(361)}],
    }
    off = [{"name": "ALL", "amount": usd(200)}]
    message = wanted(lines=[line], discounts=off, shipping={"method": "s", "price": usd(500)})
    order = await seller.ask(message, key="k")
    assert order.total.amount == 4000 - 400 + 361 - 200 + 500
    half = await seller.ask(lines(order, {"sku": "MUG", "quantity": 2}))
    assert half.total.amount == 2000 - 200 + 180 - 100 + 500
    assert (half.lines[0].discounts[0].amount.amount, half.discounts[0].amount.amount) == (200, 100)
    given = {"sku": "MUG", "quantity": 3, "discounts": [], "taxes": [{"name": "VAT", "amount": usd(7)}]}
    changed = await seller.ask(lines(order, given, discounts=[], expected_total=usd(3507)))
    assert changed.total.amount == 3000 + 7 + 500
    refused = await refusal(seller, lines(order, {"sku": "MUG", "quantity": 1}, expected_total=usd(1)))
    assert (refused.status, refused.code) == (409, "price_changed")
    cheaper = await seller.ask(lines(order, {"sku": "CUP", "quantity": 1, "unit_price": usd(1)}))
    assert cheaper.lines[1].unit_price.amount == 1
    await settled(seller)


async def test_lines_and_parts_of_them_are_cancelled(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2, CUP=2))
    part = await seller.ask(cancelled(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP"}))
    assert [line.status for line in part.lines] == ["ready", "cancelled"]
    assert part.total.amount == 1000
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [1, 0]
    for message, status, code in (
        (cancelled(order, {"sku": "MUG"}), 409, "nothing_left"),
        (cancelled(order), 409, "nothing_left"),
        (cancelled(order, {"sku": "NONE"}), 422, "unknown_sku"),
        (cancelled(order, {"sku": "CUP"}), 422, "unknown_sku"),
        (cancelled(order, {"sku": "MUG"}, {"sku": "MUG"}), 422, "duplicate_line"),
        (cancelled(order, {"sku": "MUG", "quantity": 2}), 409, "goods_leaving"),
    ):
        refused = await refusal(seller, message)
        assert (refused.status, refused.code) == (status, code), message


async def test_the_rest_of_a_partly_shipped_order_is_cancelled(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2, CUP=1))
    await seller.ship(order, lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await settled(seller)
    done = await seller.ask(cancelled(order))
    assert (done.status, [line.status for line in done.lines]) == ("complete", ["shipped", "cancelled"])
    assert [event["amount"]["amount"] for event in await seller.events("orders", "refund_wanted")] == [1250]
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [0, 0]
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "shipped"
    assert (await refusal(seller, cancelled(order))).code == "order_not_changeable"


async def test_what_was_cancelled_can_be_wanted_again(seller: Seller) -> None:
    order = await seller.place(MUG=2, CUP=1)
    await seller.ask(cancelled(order, {"sku": "CUP"}))
    again = await seller.ask(lines(order, {"sku": "CUP", "quantity": 3}))
    assert [(line.quantity, line.cancelled) for line in again.lines] == [(2, 0), (4, 1)]
    assert again.total.amount == 2000 + 750
    await settled(seller)
    assert await held(seller, order) == {"MUG": 2, "CUP": 3}


async def test_a_line_comes_from_another_centre(seller: Seller) -> None:
    store = await seller.ask(CreateFulfilmentCentre(code="store", name="Store"))
    await seller.ask(AssignFulfilmentCentre(centre_id=store.id, shop="main", preference=900))
    await seller.stocked({"MUG": 2}, centre="store")
    order = await seller.pay(await seller.place(MUG=2))
    moved = await seller.ask(lines(order, {"sku": "MUG", "centre": "store"}))
    assert moved.total == order.total
    await settled(seller)
    reservation = await seller.ask(GetReservation(reservation_id=order.id))
    assert [(part.centre_code, part.quantity) for part in reservation.lines[0].parts] == [("store", 2)]
    more = await refusal(seller, lines(order, {"sku": "MUG", "quantity": 3, "centre": "store"}))
    assert (more.status, more.code) == (409, "insufficient_stock")
    await seller.ask(CreateFulfilmentCentre(code="elsewhere", name="Elsewhere"))
    for centre, code in (("none", "centre_not_found"), ("elsewhere", "centre_does_not_serve")):
        assert (await refusal(seller, lines(order, {"sku": "MUG", "centre": centre}))).code == code
    await settled(seller)


async def test_backordered_units_go_first_and_new_ones_are_waited_for(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    order = await seller.place(MUG=9)
    more = await seller.ask(lines(order, {"sku": "MUG", "quantity": 12}))
    assert (more.lines[0].backordered, more.lines[0].status) == (2, "backordered")
    await settled(seller)
    fewer = await seller.ask(lines(order, {"sku": "MUG", "quantity": 10}))
    assert fewer.lines[0].quantity - fewer.lines[0].cancelled == 10
    await settled(seller)
    level = await seller.level("MUG")
    assert (level.reserved, level.backordered) == (10, 0)


async def test_a_line_that_lost_its_stock_is_replaced_and_the_order_goes_on(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=10))
    await seller.change(
        "inventory", "UPDATE reservations SET state = 'held', expires_at = now() WHERE id = $1", order.id
    )
    await seller.settle()

    await seller.inside("inventory", reservations.expire)
    await seller.place(MUG=1)
    await seller.settle()
    assert (await seller.ask(GetReservation(reservation_id=order.id))).state == "expired"
    await seller.ask(lines(order, {"sku": "MUG", "quantity": 0}, {"sku": "CUP", "quantity": 4}))
    await settled(seller)
    assert await held(seller, order) == {"CUP": 4}


# --- what is refused


async def test_what_cannot_be_is_refused_whole(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2, CUP=1))
    one = {"sku": "MUG", "quantity": 1}
    foreign = {**one, "unit_price": {"amount": 1, "currency": "EUR"}}
    stale = lines(order, {"sku": "MUG", "quantity": 1}).model_copy(update={"expected_version": 1})
    for message, status, code in (
        (lines(order, {"sku": "MUG", "quantity": 0}, {"sku": "CUP", "quantity": 0}), 409, "nothing_left"),
        (lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 11}), 409, "insufficient_stock"),
        (lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "NONE", "quantity": 1}), 422, "unknown_sku"),
        (lines(order, {"sku": "NONE", "quantity": 0}), 422, "unknown_sku"),
        (lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "MUG", "quantity": 1}), 422, "duplicate_line"),
        (lines(order, foreign), 422, "wrong_currency"),
        (lines(order, {**one, "discounts": [{"name": "X", "amount": usd(1001)}]}), 422, "discount_exceeds_amount"),
        (stale, 412, "order_changed_since"),
    ):
        refused = await refusal(seller, message)
        assert (refused.status, refused.code) == (status, code), message
    known = await seller.order(order.id)
    assert (known.total, known.version) == (order.total, order.version)
    await let_holds_run_out(seller)
    await settled(seller)
    assert await held(seller, order) == {"MUG": 2, "CUP": 1}
    await seller.ship(order)
    await settled(seller)


async def test_what_has_left_or_is_being_prepared_stays(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=3))
    await seller.ship(order, lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await settled(seller)
    refused = await refusal(seller, lines(order, {"sku": "MUG", "quantity": 0}))
    assert (refused.code, refused.errors) == ("goods_leaving", [{"sku": "MUG", "requested": 0, "shipped": 1}])
    await seller.ship(order, state="picked", lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    refused = await refusal(seller, lines(order, {"sku": "MUG", "quantity": 1}))
    assert (refused.code, refused.errors) == ("goods_leaving", [{"sku": "MUG", "requested": 2, "free": 1}])
    assert (await seller.ask(lines(order, {"sku": "MUG", "quantity": 2}))).lines[0].cancelled == 1
    await settled(seller)
    for status in ("cancelled",):
        other = await seller.place(MUG=1)
        await seller.ask(CancelOrder(order_id=other.id, reason="no"))
        assert (await refusal(seller, lines(other, {"sku": "MUG", "quantity": 2}))).code == "order_not_changeable", (
            status
        )


async def test_of_changes_at_once_each_is_whole_or_refused(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=4))
    answers = await asyncio.gather(
        *(seller.ask(cancelled(order, {"sku": "MUG", "quantity": 3}), key=new_id().hex) for _ in range(3)),
        seller.ask(lines(order, {"sku": "CUP", "quantity": 1}), key=new_id().hex),
        return_exceptions=True,
    )
    codes = {answer.code for answer in answers if isinstance(answer, CarriedError)}
    assert codes <= {"goods_leaving", "concurrent_change"}
    assert any(isinstance(answer, Order) for answer in answers)
    await let_holds_run_out(seller)
    await settled(seller)
    known = await seller.order(order.id)
    want = {line.sku: line.quantity - line.cancelled for line in known.lines if line.quantity > line.cancelled}
    assert await held(seller, order) == want


async def test_nobody_ships_what_is_being_taken_away(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=2))
    standing = await seller.ask(GetOrderStanding(order_id=order.id), inside="inventory")
    prepared = PrepareAmendment(amendment_id=new_id(), order=standing, lines=[AmendedLine(sku="MUG", quantity=1)])
    await seller.ask(prepared, inside="orders")
    refused = await refusal_of_shipping(seller, order, 2)
    assert refused == "more_than_allocated"
    await seller.ship(order, lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await let_holds_run_out(seller)
    await seller.ship(order, lines=[ShipmentLineDraft(sku="MUG", quantity=1)])
    await settled(seller)
    assert (await seller.order(order.id)).status == "complete"


async def refusal_of_shipping(seller: Seller, order: Order, units: int) -> str:
    with pytest.raises(CarriedError) as refused:
        await seller.ship(order, lines=[ShipmentLineDraft(sku="MUG", quantity=units)])
    return refused.value.code


# --- crashes, repeats, reordering


class Crash(Exception):
    """The process ends here."""


async def test_a_crash_after_preparing_changes_nothing_and_the_repeat_takes_over(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await seller.pay(await seller.place(MUG=3))
    message = lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 2})

    async def crash(*_arguments: Any) -> None:
        raise Crash

    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(line_changes, "_commit", crash)
            await refusal(seller, message, key="crashed")
    assert (await seller.order(order.id)).version == order.version
    assert await reserved(seller, "MUG", "CUP") == [3, 2]
    other = lines(order, {"sku": "MUG", "quantity": 2})
    assert (await refusal(seller, other, key="crashed")).code == "idempotency_key_reused"
    changed = await seller.ask(message, key="crashed")
    assert changed.total.amount == 1500
    await settled(seller)
    assert await held(seller, order) == {"MUG": 1, "CUP": 2}


async def test_a_change_that_is_never_confirmed_is_undone(seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await seller.pay(await seller.place(MUG=3))
    message = lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 2})

    async def crash(*_arguments: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(line_changes, "_commit", crash)
        await refusal(seller, message, key="crashed")
    await let_holds_run_out(seller)
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [3, 0]
    # The repeat prepares it anew.
    await seller.ask(message, key="crashed")
    await settled(seller)
    assert await held(seller, order) == {"MUG": 1, "CUP": 2}


async def test_word_that_comes_after_the_hold_ran_out_takes_the_stock_again(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.hear("orders", seller.payment(order, 5000))
    await seller.ask(lines(order, {"sku": "CUP", "quantity": 4}))
    await let_holds_run_out(seller)
    assert await reserved(seller, "CUP") == [0]
    await settled(seller)
    assert await held(seller, order) == {"MUG": 1, "CUP": 4}


@pytest.mark.feature("INV-3")
async def test_word_that_comes_after_the_stock_was_sold_needs_a_person(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=1))
    await seller.hear("orders", seller.payment(order, 5000))
    await seller.ask(lines(order, {"sku": "CUP", "quantity": 10}))
    await let_holds_run_out(seller)
    await seller.place(CUP=1)
    await settled(seller)
    stopped = await seller.order(order.id)
    assert (stopped.status, stopped.hold_reason) == ("on_hold", "No longer in stock: CUP")
    await seller.ask(lines(order, {"sku": "CUP", "quantity": 9}))
    await settled(seller)
    assert await held(seller, order) == {"MUG": 1, "CUP": 9}
    assert (await seller.ask(ReleaseOrder(order_id=order.id))).status == "processing"


async def test_changes_told_twice_and_backwards_end_the_same(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=4))
    await seller.ask(lines(order, {"sku": "MUG", "quantity": 2}, {"sku": "CUP", "quantity": 3}))
    await seller.ask(lines(order, {"sku": "MUG", "quantity": 3}, {"sku": "CUP", "quantity": 1}))
    told = [OrderLinesChanged.model_validate(each) for each in await seller.events("orders", "order_lines_changed")]
    assert len(told) == 2
    for event in (told[1], told[0], told[1]):
        assert await seller.hear("inventory", event) == []
        assert await held(seller, order) == {"MUG": 3, "CUP": 1}
        assert await seller.discrepancies() == []
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [3, 1]


async def test_an_order_that_was_just_changed_is_shipped_as_it_is_now(seller: Seller) -> None:
    order = await seller.pay(await seller.place(MUG=3))
    await seller.ask(cancelled(order, {"sku": "MUG", "quantity": 2}))
    shipment = await seller.ship(order)
    assert [line.quantity for line in shipment.lines] == [1]
    await settled(seller)
    assert (await seller.order(order.id)).status == "complete"
    assert await reserved(seller, "MUG") == [0]


async def test_an_order_cancelled_right_after_a_change_gives_all_back(seller: Seller) -> None:
    order = await seller.place(MUG=3)
    await seller.settle()
    await seller.ask(lines(order, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 2}))
    await seller.ask(CancelOrder(order_id=order.id, reason="no"))
    told = [OrderLinesChanged.model_validate(each) for each in await seller.events("orders", "order_lines_changed")]
    await settled(seller)
    await seller.hear("inventory", *told)
    await settled(seller)
    assert await reserved(seller, "MUG", "CUP") == [0, 0]


# --- doors


@pytest.fixture
async def at_the_door(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})


async def test_lines_change_through_both_doors(client: Client, at_the_door: Seller) -> None:
    storefront = at_the_door.storefront()
    order = await at_the_door.place(caller=storefront, MUG=3)
    path, headers = f"/v1/orders/{order.id}", client.speaking_as(at_the_door.caller)
    change = {"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "CUP", "quantity": 1}]}
    stale = await client.post(f"{path}/change-lines", json=change, headers=headers | {"If-Match": '"99"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "order_changed_since")
    changed = await client.post(f"{path}/change-lines", json=change, headers=headers)
    assert (changed.status_code, changed.json()["total"]) == (200, usd(2250)), changed.text
    cancel = {"lines": [{"sku": "CUP"}], "reason": "x"}
    done = await client.post(
        f"{path}/cancel-lines", json=cancel, headers=headers | {"If-Match": changed.headers["ETag"]}
    )
    assert (done.status_code, done.json()["total"]) == (200, usd(2000)), done.text
    for verb, sent in (
        ("change-lines", {"lines": []}),
        ("change-lines", {"lines": [{"sku": "MUG", "quantity": -1}]}),
        ("change-lines", {"lines": [{"sku": "MUG", "quantity": 1.5}]}),
        ("change-lines", {"lines": [{"sku": "MUG", "quantity": 10**9}]}),
        ("change-lines", {"lines": [{"sku": "MUG\u0000", "quantity": 1}]}),
        ("change-lines", {"lines": [{"sku": "MUG", "centre": "No such!"}]}),
        ("cancel-lines", {"lines": [{"sku": "MUG", "quantity": 0}], "reason": "x"}),
        ("cancel-lines", {"lines": [{"sku": "MUG"}]}),
    ):
        bad = await client.post(f"{path}/{verb}", json=sent, headers=headers)
        assert (bad.status_code, bad.json()["code"]) == (422, "validation_failed"), sent
    reader = caller_of(at_the_door.organization_id, "orders:read")
    for verb, sent in (("change-lines", change), ("cancel-lines", cancel)):
        for caller, status, code in (
            (storefront, 403, "missing_scope"),
            (reader, 403, "missing_scope"),
            (caller_of(new_id()), 404, "order_not_found"),
        ):
            answer = await client.post(f"{path}/{verb}", json=sent, headers=client.speaking_as(caller))
            assert (answer.status_code, answer.json()["code"]) == (status, code), verb

    async def ask(query: str, caller: Any = at_the_door.caller, **variables: Any) -> Any:
        sent = {"query": query, "variables": {"id": str(order.id), **variables}}
        answer = await client.post("/graphql", json=sent, headers=client.speaking_as(caller))
        return answer.json()["data"]

    changing = (
        "mutation($id: UUID!, $change: LinesDraftInput!) { changeOrderLines(orderId: $id, change: $change)"
        " { ... on Order { total { amount } lines { sku cancelled } } ... on Problem { code } } }"
    )
    more = {"lines": [{"sku": "MUG", "quantity": 3}]}
    assert (await ask(changing, change=more))["changeOrderLines"]["total"] == {"amount": 3000}
    assert (await ask(changing, caller_of(new_id()), change=more))["changeOrderLines"] == {"code": "order_not_found"}
    cancelling = (
        "mutation($id: UUID!, $cancel: CancelDraftInput!) { cancelOrderLines(orderId: $id, cancel: $cancel)"
        " { ... on Order { total { amount } } ... on Problem { code } } }"
    )
    one = {"lines": [{"sku": "MUG", "quantity": 1}], "reason": "x"}
    assert (await ask(cancelling, cancel=one))["cancelOrderLines"] == {"total": {"amount": 2000}}
    assert (await ask(cancelling, reader, cancel=one))["cancelOrderLines"] == {"code": "missing_scope"}
