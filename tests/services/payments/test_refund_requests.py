"""Requested refunds that people close by hand (PAY-5): nothing is returned twice, and nothing else is held up by it."""

from typing import Any

import pytest

from shared.contracts.orders.events import OrderCancelled, RefundWanted
from shared.contracts.payments.messages import CloseRefund, ListRefunds
from shared.contracts.payments.shapes import Refund
from shared.money import Money
from tests.factories import payments as a
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-5")


class Case:
    """An order of 19.99 that was paid."""

    def __init__(self, till: Till, placed: Any) -> None:
        self.till, self.placed = till, placed
        self.names = {"order_id": placed.order_id, "number": placed.number, "shop_id": till.shop_id}

    async def want(self, amount: int) -> None:
        wanted = Money(amount=amount, currency="USD")
        await self.till.hear(RefundWanted(amount=wanted, reason=f"want {amount}", **self.names))

    async def cancel(self) -> None:
        await self.till.hear(OrderCancelled(reason="changed their mind", **self.names))

    async def requests(self) -> list[Refund]:
        """The oldest first, without what the gateway reported."""
        found: list[Refund] = (await self.till.ask(ListRefunds(order_id=self.placed.order_id))).items
        return sorted((each for each in found if each.external_id is None), key=lambda each: each.id)

    async def states(self) -> list[tuple[int, str]]:
        return [(each.amount.amount, each.state) for each in await self.requests()]

    async def close(self, which: int) -> None:
        await self.till.ask(CloseRefund(refund_id=(await self.requests())[which].id, reason="returned in cash"))

    async def refunded(self, total: int) -> None:
        """The gateway says that so much has been refunded in all."""
        await self.till.tell("charge.refunded", a.charge(self.placed.number, refunded=total))

    async def dispute(self, status: str) -> None:
        names = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "currency": "usd", "amount": 1999}
        kind = "closed" if status == "won" else "created"
        await self.till.tell(f"charge.dispute.{kind}", names | {"status": status})


@pytest.fixture
async def case(till: Till) -> Case:
    placed = await till.place("R-1")
    await till.tell("payment_intent.succeeded", a.intent("R-1"))
    return Case(till, placed)


async def test_what_was_returned_by_hand_is_not_requested_again(case: Case) -> None:
    await case.cancel()
    await case.close(0)
    await case.dispute("needs_response")
    await case.dispute("won")
    await case.want(1999)
    assert await case.states() == [(1999, "closed")]


async def test_one_behind_a_closed_one_is_settled_by_its_own_refund(case: Case) -> None:
    await case.want(300)
    await case.want(200)
    await case.close(0)
    await case.refunded(200)
    assert await case.states() == [(300, "closed"), (200, "succeeded")]
    cleared = {event["cause"] for event in await case.till.events("platform.alert_cleared")}
    assert cleared == {f"payments.refund.{each.id}" for each in await case.requests()}
    # The cash stays gone, also after another request.
    await case.want(100)
    await case.refunded(300)
    await case.cancel()
    assert (await case.states())[2:] == [(100, "succeeded"), (1999 - 600, "requested")]


async def test_one_that_was_covered_before_is_settled_at_the_closing(case: Case) -> None:
    await case.want(300)
    await case.want(200)
    await case.refunded(200)
    await case.close(0)
    assert await case.states() == [(300, "closed"), (200, "succeeded")]


async def test_one_that_was_closed_before_the_gateway_reported_it_counts_once(case: Case) -> None:
    await case.want(500)
    await case.close(0)
    await case.refunded(500)
    await case.cancel()
    assert await case.states() == [(500, "closed"), (1499, "requested")]


async def test_a_refund_of_a_part_is_no_second_time_asked_for(case: Case) -> None:
    await case.want(300)
    await case.refunded(100)
    await case.want(200)
    await case.cancel()
    await case.refunded(500)
    assert await case.states() == [(300, "succeeded"), (200, "succeeded"), (1499, "requested")]
