"""Goods in and out in any order of events, against a model that fits on a page: whoever waited longest comes first,
nothing is in two shipments, and stock adds up."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.inventory.errors import MoreThanAllocated, MoreThanShipped, NotOnHand, NotShipped
from services.inventory.use_cases import returning, serving, shipping
from shared import clock
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.arrivals import ReceiptDraft, ReceivedLineDraft, ReceiveGoods
from shared.contracts.inventory.messages import ListFulfilmentCentres, SetStockPolicy
from shared.contracts.inventory.returns import ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shipments import ShipmentDraft, ShipmentLineDraft
from shared.contracts.orders.events import OrderCancelled, OrderPlaced
from shared.contracts.orders.shapes import OrderStanding, PlacedLine
from shared.identifiers import new_id
from shared.money import Money
from tests.conftest import examples
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-6")


@dataclass
class Ordered:
    """What the model knows of an order of one SKU."""

    id: UUID
    quantity: int
    shipped: int = 0
    returned: int = 0
    prepared: dict[UUID, int] = field(default_factory=dict)
    is_over: bool = False

    @property
    def bound(self) -> int:
        return sum(self.prepared.values())

    @property
    def free(self) -> int:
        return 0 if self.is_over else self.quantity - self.shipped - self.bound


@dataclass
class World:
    """One SKU in one centre, sold on backorder, beside the same in the service."""

    merchant: Merchant
    shop: Shop
    centre_id: UUID
    on_hand: int = 0
    orders: list[Ordered] = field(default_factory=list)

    def there(self, order: Ordered) -> int:
        """Units on hand for an order: what is bound is set aside, and whoever came before is served."""
        left = self.on_hand - sum(each.bound for each in self.orders)
        for each in self.orders:
            if each is order:
                return max(min(order.free, left), 0)
            left -= each.free
        raise AssertionError("an order of another world")

    async def place(self, quantity: int) -> None:
        reservation = await self.merchant.reserve(self.shop, A=quantity)
        price = Money(amount=1, currency="USD")
        placed = OrderPlaced(
            order_id=reservation.id,
            number=f"N-{len(self.orders)}",
            shop_id=self.shop.id,
            total=price,
            status="processing",
            lines=[PlacedLine(sku="A", quantity=quantity, unit_price=price)],
            placed_at=clock.now(),
        )
        assert await self.merchant.hear("inventory", placed) == []
        self.orders.append(Ordered(reservation.id, quantity))

    def chosen(self, index: int) -> Ordered | None:
        return self.orders[index % len(self.orders)] if self.orders else None

    async def send(self, order: Ordered, quantity: int, *, prepare: bool) -> None:
        if order.is_over:
            return
        lines = [ShipmentLineDraft(sku="A", quantity=quantity)]
        draft = ShipmentDraft(order_id=order.id, lines=lines, state="picked" if prepare else "shipped")
        making = self.merchant.inside("inventory", shipping.create, draft, self.standing(order))
        if quantity > order.free or quantity > self.there(order):
            with pytest.raises((MoreThanAllocated, NotOnHand)) as refused:
                await making
            assert isinstance(refused.value, MoreThanAllocated) is (quantity > order.free)
            return
        shipment = await making
        if prepare:
            order.prepared[shipment.id] = quantity
        else:
            self.leave(order, quantity)

    def leave(self, order: Ordered, quantity: int) -> None:
        order.shipped += quantity
        self.on_hand -= quantity

    def standing(self, order: Ordered) -> OrderStanding:
        return OrderStanding(
            order_id=order.id, number=str(order.id), shop_id=self.shop.id, status="processing", version=1
        )

    async def finish(self, order: Ordered, *, give_up: bool) -> None:
        """Let the oldest prepared shipment of an order leave, or give it up."""
        if not order.prepared:
            return
        shipment_id, quantity = next(iter(order.prepared.items()))
        if give_up:
            await self.merchant.inside("inventory", shipping.cancel, shipment_id, None)
            del order.prepared[shipment_id]
            return
        sending = self.merchant.inside("inventory", shipping.send, shipment_id, None, self.standing(order))
        if quantity > self.on_hand:
            with pytest.raises(NotOnHand):
                await sending
            return
        await sending
        del order.prepared[shipment_id]
        self.leave(order, quantity)

    async def bring_back(self, order: Ordered, quantity: int, *, restock: bool) -> None:
        line = ReturnLineDraft(sku="A", quantity=quantity, restock_to="main" if restock else None)
        coming = self.merchant.inside("inventory", returning.create, ReturnDraft(order_id=order.id, lines=[line]))
        if quantity > order.shipped - order.returned:
            with pytest.raises((NotShipped, MoreThanShipped)):
                await coming
            return
        await coming
        order.returned += quantity
        self.on_hand += quantity if restock else 0

    async def cancel(self, order: Ordered) -> None:
        if order.is_over or order.shipped:
            return
        event = OrderCancelled(order_id=order.id, number="N", shop_id=self.shop.id, reason="test")
        assert await self.merchant.hear("inventory", event) == []
        order.prepared.clear()
        order.is_over = True

    async def do(self, what: str, index: int, quantity: int) -> None:
        order = self.chosen(index)
        match what:
            case "place":
                await self.place(quantity)
            case "receive":
                line = ReceivedLineDraft(sku="A", quantity=quantity)
                await self.merchant.ask(ReceiveGoods(receipt=ReceiptDraft(centre="main", lines=[line])))
                self.on_hand += quantity
            case "count":
                await self.merchant.stocked({"A": quantity})
                self.on_hand = quantity
            case "prepare" | "send" if order:
                await self.send(order, quantity, prepare=what == "prepare")
            case "finish" | "give_up" if order:
                await self.finish(order, give_up=what == "give_up")
            case "restock" | "discard" if order:
                await self.bring_back(order, quantity, restock=what == "restock")
            case "cancel" if order:
                await self.cancel(order)

    async def agrees(self) -> None:
        """The service and the model say the same."""
        level = await self.merchant.level("A")
        reserved = sum(each.free + each.bound for each in self.orders)
        assert (level.on_hand, level.reserved) == (self.on_hand, reserved)
        await self.merchant.inside("inventory", serving.serve, [("A", self.centre_id)])
        rows = await self.merchant.rows(
            "inventory",
            "SELECT l.reservation_id, l.bound, l.shipped, l.backordered FROM reservation_lines l"
            " JOIN reservations r ON r.id = l.reservation_id WHERE r.state <> 'released'",
        )
        known = {row["reservation_id"]: row for row in rows}
        for order in self.orders:
            if order.is_over:
                continue
            row: Any = known[order.id]
            assert (row["bound"], row["shipped"]) == (order.bound, order.shipped)
            # Whoever was told that goods are there may lose them to a count again, and hears no second time.
            assert min(row["backordered"], order.free) <= order.free - self.there(order)
        assert await self.merchant.discrepancies() == []


_WHATS = ("place", "place", "receive", "count", "prepare", "send", "finish", "give_up", "restock", "discard", "cancel")
STEPS = st.lists(st.tuples(st.sampled_from(_WHATS), st.integers(0, 5), st.integers(1, 4)), min_size=4, max_size=16)


@pytest.mark.timeout(600)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_any_sequence_ends_as_the_model_says(
    process: topology.Surrounded, steps: list[tuple[str, int, int]]
) -> None:
    merchant = Merchant(process)
    shop = await merchant.open_shop()
    await merchant.ask(SetStockPolicy(sku="A", centre="main", policy="backorder"))
    (main,) = (await merchant.ask(ListFulfilmentCentres())).items
    world = World(merchant, shop, main.id)
    for what, index, quantity in steps:
        await world.do(what, index, quantity)
        await world.agrees()
    served: dict[str, int] = {}
    for event in await merchant.events("inventory", "backorder_served"):
        served[event["order_id"]] = served.get(event["order_id"], 0) + event["lines"][0]["quantity"]
    for order in world.orders:
        assert served.get(str(order.id), 0) <= order.quantity, new_id()
