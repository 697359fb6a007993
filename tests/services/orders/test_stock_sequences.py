"""Goods, orders and counts in any sequence, against a model that only adds and subtracts.

Two centres serve a shop that sells A, B and the kit K (two of A, one of B). Whatever happens, in any order: nothing is
negative, nobody is promised what somebody else has, the services say what the model says, and `crossdock check`
finds nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from deploy import checking, topology
from services.inventory.use_cases import reservations
from services.orders.use_cases import placement
from shared import jobs
from shared.contracts.inventory.arrivals import ReceiptDraft, ReceivedLineDraft, ReceiveGoods
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.ledger import AdjustStock, MovedLine, MoveStock
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    CreateFulfilmentCentre,
    GetReservation,
    ListStock,
)
from shared.contracts.inventory.returns import CreateReturn, ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shipments import ShipmentLineDraft
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheck,
    ListStockCheckRows,
    StartStockCheck,
    StockCheck,
)
from shared.contracts.orders.messages import CancelOrder
from shared.contracts.orders.shapes import Order
from shared.errors import CrossdockError
from tests.conftest import scale
from tests.factories.orders import Seller, sell

pytestmark = pytest.mark.feature("INV-2", "INV-3", "INV-4", "INV-6", "INV-7", "ORD-1")

CENTRES = ("main", "store")
GOODS = ("A", "B")
MADE_OF = {"A": {"A": 1}, "B": {"B": 1}, "K": {"A": 2, "B": 1}}
Place = tuple[str, str]


@dataclass
class Sold:
    """What the model knows of an order: units that are still to leave by place, and lines by SKU."""

    order: Order
    lines: dict[str, int]
    open: Counter[Place]
    is_paid: bool = False
    is_over: bool = False
    shipped: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)


@dataclass
class Counted:
    """A stock check that waits: what was counted of the SKUs of one centre, and what the books had then."""

    check: StockCheck
    moment: int
    counted: dict[Place, int]
    booked: dict[Place, int]
    shown: dict[Place, int]


async def outcome(doing: Awaitable[Any]) -> tuple[Any, str | None]:
    """What came of it, and the code of its refusal where it was refused."""
    try:
        return await doing, None
    except CrossdockError as error:
        return None, error.code


class World:
    """The model, beside the services that it is held against."""

    def __init__(self, seller: Seller) -> None:
        self.seller = seller
        self.on_hand: Counter[Place] = Counter()
        self.sold: list[Sold] = []
        self.counts: list[Counted] = []
        self.moment = 0
        self.last_count: dict[Place, int] = {}

    def reserved(self, place: Place) -> int:
        return sum(each.open[place] for each in self.sold if not each.is_over)

    def available(self, place: Place) -> int:
        return max(self.on_hand[place] - self.reserved(place), 0)

    @property
    def is_short(self) -> bool:
        """Whether somewhere less is there than is promised: then the queue decides what may leave."""
        return any(self.on_hand[sku, centre] < self.reserved((sku, centre)) for sku in GOODS for centre in CENTRES)

    async def asked(self, message: Any, *refusals: str) -> Any:
        """What is answered, or the code of a refusal that may be."""
        answer, code = await outcome(self.seller.ask(message))
        assert code is None or code in refusals, code
        return code or answer

    # --- goods

    async def receive(self, sku: str, centre: str, units: int) -> None:
        line = ReceivedLineDraft(sku=sku, quantity=units)
        await self.seller.ask(ReceiveGoods(receipt=ReceiptDraft(centre=centre, lines=[line])))
        self.on_hand[sku, centre] += units

    async def adjust(self, sku: str, centre: str, units: int) -> None:
        message = AdjustStock(sku=sku, centre=centre, delta=-units, reason="broken")
        answer = await self.asked(message, "negative_stock")
        assert (answer == "negative_stock") is (units > self.on_hand[sku, centre])
        if answer != "negative_stock":
            self.on_hand[sku, centre] -= units

    async def move(self, sku: str, centre: str, units: int) -> None:
        (target,) = set(CENTRES) - {centre}
        lines = [MovedLine(sku=sku, quantity=units)]
        answer = await self.asked(MoveStock(from_centre=centre, to_centre=target, lines=lines), "not_enough_to_move")
        assert (answer == "not_enough_to_move") is (units > self.available((sku, centre)))
        if answer != "not_enough_to_move":
            self.on_hand[sku, centre] -= units
            self.on_hand[sku, target] += units

    async def count(self, sku: str, centre: str, units: int) -> None:
        await self.seller.stocked({sku: units}, centre)
        self.moment += 1
        self.on_hand[sku, centre] = units
        self.last_count[sku, centre] = self.moment

    # --- orders

    async def place(self, sku: str, units: int) -> None:
        lines: dict[str, Any] = {sku: units} if sku != "K" else {"K": units, "A": 1}
        needs: Counter[str] = Counter()
        for line, quantity in lines.items():
            needs.update({good: per_line * quantity for good, per_line in MADE_OF[line].items()})
        can_be_served = all(sum(self.available((good, c)) for c in CENTRES) >= n for good, n in needs.items())
        order, code = await outcome(self.seller.place(**lines))
        assert (code, code is None) == (None if can_be_served else "insufficient_stock", can_be_served), self.on_hand
        if order is None:
            return
        open_units = await self.units(order.id)
        assert all(units <= self.available(place) for place, units in open_units.items()), "oversold"
        taken: Counter[str] = Counter()
        for (good, _), units_there in open_units.items():
            taken[good] += units_there
        assert taken == needs
        self.sold.append(Sold(order, lines, open_units))

    async def units(self, order_id: UUID) -> Counter[Place]:
        """Units that are still to leave for an order, by place."""
        reservation = await self.seller.ask(GetReservation(reservation_id=order_id))
        found: Counter[Place] = Counter()
        for line in reservation.lines:
            for part in line.parts:
                found[part.sku or line.sku, part.centre_code] += part.quantity - part.shipped
        return found

    async def pay(self, sold: Sold) -> None:
        if not (sold.is_over or sold.is_paid):
            assert (await self.seller.pay(sold.order)).status == "processing"
            sold.is_paid = True

    async def run_out(self, sold: Sold) -> None:
        """The time to pay is over."""
        if sold.is_over or sold.is_paid:
            return
        await self.seller.settle()
        past = "now() - interval '1 second'"
        await self.seller.change("orders", f"UPDATE orders SET pay_until = {past} WHERE id = $1", sold.order.id)
        await self.seller.change("orders", "UPDATE tasks SET due_at = now() WHERE kind = $1", placement.CANCEL_UNPAID)
        await self.seller.change(
            "inventory", f"UPDATE reservations SET expires_at = {past} WHERE id = $1", sold.order.id
        )
        await self.seller.inside("inventory", reservations.expire)
        await self.seller.settle()
        assert (await self.seller.order(sold.order.id)).status == "cancelled"
        sold.is_over = True

    async def cancel(self, sold: Sold) -> None:
        answer = await self.asked(CancelOrder(order_id=sold.order.id, reason="no more"), "illegal_transition")
        assert (answer == "illegal_transition") is (sold.is_over or bool(+sold.shipped))
        if answer != "illegal_transition":
            sold.is_over = True
            await self.seller.settle()

    async def ship(self, sold: Sold, units: int) -> None:
        sku = next(iter(sold.lines))
        lines = [ShipmentLineDraft(sku=sku, quantity=units)]
        left = sold.lines[sku] - sold.shipped[sku]
        may_leave = sold.is_paid and not sold.is_over and units <= left
        _, code = await outcome(self.seller.ship(sold.order, lines=lines))
        if code is not None:
            assert code in ("more_than_allocated", "not_on_hand", "order_not_ready"), code
            assert not may_leave or (code == "not_on_hand" and self.is_short), code
            return
        assert may_leave
        before, sold.open = sold.open, await self.units(sold.order.id)
        went = before - sold.open
        assert sum(went.values()) == units * sum(MADE_OF[sku].values())
        self.on_hand.subtract(went)
        sold.shipped[sku] += units
        await self.seller.settle()

    async def bring_back(self, sold: Sold, units: int, centre: str | None) -> None:
        sku = next(iter(sold.lines))
        goods = ReturnDraft(order_id=sold.order.id, lines=[ReturnLineDraft(sku=sku, quantity=units, restock_to=centre)])
        answer = await self.asked(CreateReturn(goods=goods), "not_shipped", "more_than_shipped")
        can_come = units <= sold.shipped[sku] - sold.returned[sku]
        assert isinstance(answer, str) is not can_come, (answer, sold)
        if can_come:
            sold.returned[sku] += units
            for good, per_line in MADE_OF[sku].items() if centre else ():
                self.on_hand[good, str(centre)] += units * per_line
            await self.seller.settle()

    # --- stock checks

    async def take_count(self, centre: str, found: int) -> None:
        """Somebody counts all goods of a centre, and finds `found` more of A, and one fewer of B where one is."""
        booked = {(sku, centre): self.on_hand[sku, centre] for sku in GOODS}
        counted = {("A", centre): booked["A", centre] + found, ("B", centre): max(booked["B", centre] - 1, 0)}
        rows = [{"sku": sku, "counted": units} for (sku, _), units in counted.items()]
        check = await self.seller.ask(StartStockCheck(centre=centre, rows=rows, guard_percent=100))
        await self.run(check.job_id)
        self.moment += 1
        self.counts.append(Counted(check, self.moment, counted, booked, dict(booked)))

    async def apply_count(self, index: int) -> None:
        """Apply what differs of a count; the model says of every row what has to become of it."""
        if not self.counts:
            return
        count = self.counts[index % len(self.counts)]
        expected = {place: self._judge(count, place) for place in await self.differing(count)}
        message = ApplyStockCheck(check_id=count.check.id, every_row=True, reason="count", confirm_zeroing=True)
        answer = await self.asked(message, "nothing_to_apply")
        assert (answer == "nothing_to_apply") is not expected
        if not expected:
            self.counts.remove(count)
            return
        await self.run(answer.apply_job_id)
        rows = {row.sku: row for row in (await self.seller.ask(ListStockCheckRows(check_id=count.check.id))).items}
        for place, state in expected.items():
            assert rows[place[0]].state == state, (place, rows[place[0]], state)
            self._note(count, place, state)

    async def differing(self, count: Counted) -> list[Place]:
        page = await self.seller.ask(ListStockCheckRows(check_id=count.check.id, state="differs"))
        return [(row.sku, count.check.centre) for row in page.items]

    def _judge(self, count: Counted, place: Place) -> str:
        difference = count.counted[place] - count.booked[place]
        if self.last_count.get(place, 0) > count.moment:
            return "superseded"
        if not difference:
            return "equal"
        if self.on_hand[place] + difference < 0:
            return "refused"
        return "differs" if count.booked[place] != count.shown[place] else "applied"

    def _note(self, count: Counted, place: Place, state: str) -> None:
        event(f"stock check: {state}")
        if state == "differs":
            count.shown[place] = count.booked[place]
        if state != "applied":
            return
        difference = count.counted[place] - count.booked[place]
        self.on_hand[place] += difference
        self.last_count[place] = count.moment
        for other in self.counts:
            # What was found to be there then was there for whoever counted later, too.
            if place in other.booked and other.moment >= count.moment:
                other.booked[place] += difference

    async def run(self, job_id: UUID) -> None:
        """Do a job as a worker that was woken for it."""
        await self.seller.change("inventory", "DELETE FROM tasks WHERE kind = 'job.wake'")
        runner = jobs.JobRunner(topology.named("inventory")[0], self.seller.process.surroundings)
        runner.start(self.seller.organization_id, job_id)
        await asyncio.gather(*runner._running.values())

    # --- all of it

    async def do(self, what: str, index: int, sku: str, centre: str, units: int) -> None:
        good = "A" if sku == "K" else sku
        sold = self.sold[index % len(self.sold)] if self.sold else None
        match what:
            case "receive" | "adjust" | "move" | "count":
                await getattr(self, what)(good, centre, units)
            case "place":
                await self.place(sku, units)
            case "take_count":
                await self.take_count(centre, units - 2)
            case "apply_count":
                await self.apply_count(index)
            case "pay" | "run_out" | "cancel" if sold:
                await getattr(self, what)(sold)
            case "ship" if sold:
                await self.ship(sold, units)
            case "restock" | "discard" if sold:
                await self.bring_back(sold, units, centre if what == "restock" else None)

    async def agrees(self) -> None:
        """The services say what the model says, and the ledger adds up."""
        levels = (await self.seller.ask(ListStock(first=200))).items
        said = {(level.sku, level.centre): (level.on_hand, level.reserved) for level in levels}
        for place in ((sku, centre) for sku in GOODS for centre in CENTRES):
            assert said.get(place, (0, 0)) == (self.on_hand[place], self.reserved(place)), place
            assert self.on_hand[place] >= 0
        assert await self.seller.discrepancies() == []


_WHATS = (
    *("receive", "receive", "place", "place", "place", "pay", "pay", "run_out", "cancel", "ship", "ship", "restock"),
    *("discard", "adjust", "move", "count", "take_count", "take_count", "apply_count", "apply_count"),
)
STEP = st.tuples(
    st.sampled_from(_WHATS),
    st.integers(0, 5),
    st.sampled_from(("A", "B", "K")),
    st.sampled_from(CENTRES),
    st.integers(1, 4),
)


async def a_world(process: topology.Surrounded) -> World:
    """Four of A and three of B in the first centre, one of each in the second; K is sold."""
    seller = Seller(process)
    seller.shop = await seller.open_shop()
    await sell(seller, "A", "B", "K")
    centre = await seller.ask(CreateFulfilmentCentre(code="store", name="Store"))
    await seller.ask(AssignFulfilmentCentre(centre_id=centre.id, shop=seller.shop.code, preference=200))
    await seller.ask(SetKit(sku="K", parts=[KitPart(sku="A", quantity=2), KitPart(sku="B")]))
    world = World(seller)
    for sku, where, units in (("A", "main", 4), ("B", "main", 3), ("A", "store", 1), ("B", "store", 1)):
        await world.receive(sku, where, units)
    return world


@pytest.mark.timeout(900)
@settings(
    max_examples=max(8, round(160 * scale())),
    deadline=None,
    # A sequence takes a second or two: to shrink one would take longer than all the others.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=6, max_size=20))
async def test_any_sequence_ends_as_the_model_says(process: topology.Surrounded, steps: list[Any]) -> None:
    world = await a_world(process)
    for what, index, sku, centre, units in steps:
        await world.do(what, index, sku, centre, units)
        await world.agrees()
    await world.seller.settle()
    assert await checking.check(process, [world.seller.organization_id]) == []
    for count in world.counts:
        assert (await world.seller.ask(GetStockCheck(check_id=count.check.id))).counts.rows == 2
