"""A merchant with a shop, a Stripe gateway, and the callbacks' own entry served in this process, without workers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from deploy.topology import Surrounded, named
from services.payments.intake import Intake
from services.payments.settings import payments_settings
from shared.bus.envelope import service_envelope
from shared.contracts.base import Event, Message
from shared.contracts.orders.events import OrderPlaced
from shared.contracts.payments.messages import ChangePaymentGateway, GetCallback, ListCallbacks, ListPayments
from shared.contracts.payments.shapes import Callback, CallbackDetail, Payment, PaymentGateway
from shared.identifiers import new_id
from shared.security import SecretText
from tests.factories import payments as a
from tests.fakes.providers import Mollie, Stripe


@dataclass
class Till:
    """One organization's payments, spoken to from all its sides."""

    process: Surrounded
    door: httpx.AsyncClient
    organization_id: UUID
    shop_id: UUID
    gateway: PaymentGateway
    intake: Intake

    async def ask(self, message: Message[Any], **options: Any) -> Any:
        return await a.asked(self.process, self.organization_id, message, **options)

    async def hear(self, *events: Event) -> None:
        await a.hear(self.process, self.organization_id, *events)

    async def place(self, number: str, total: int = 1999, currency: str = "USD") -> OrderPlaced:
        """An order that payments has heard of."""
        placed = a.order_placed(self.shop_id, number, total, currency)
        await self.hear(placed)
        return placed

    async def post(self, body: bytes, header: str | None = None, **options: Any) -> httpx.Response:
        """Post a callback, well signed unless a header is given."""
        headers = {"Stripe-Signature": a.signature(body) if header is None else header}
        return await self.door.post(f"/callbacks/{options.pop('to', self.gateway.id)}", content=body, headers=headers)

    async def tell(self, kind: str, thing: dict[str, Any], **fields: Any) -> Callback:
        """Post one event and let it take effect. Returns what became of it."""
        return await self.tell_event(a.stripe_event(kind, thing, **fields))

    async def tell_event(self, event: dict[str, Any]) -> Callback:
        answer = await self.post(a.as_body(event))
        assert answer.status_code == 200, answer.text
        await self.work()
        return next(callback for callback in await self.callbacks() if callback.event_id == event["id"])

    @property
    def service(self) -> Any:
        (service,) = named("payments")
        return service

    async def add_secret(self, secret: str) -> None:
        """Let one more secret of the gateway be live."""
        await self.ask(ChangePaymentGateway(gateway_id=self.gateway.id, add_secret=SecretText(secret)))

    async def work(self) -> None:
        """Do what is due now, as the workers would, until nothing is."""
        while due := await self._due():
            for kind in {task["kind"]: None for task in due}:
                await self._perform(kind, [task for task in due if task["kind"] == kind])

    async def _perform(self, kind: str, due: list[Any]) -> None:
        (service,) = named("payments")
        handler = service.tasks[kind]
        for group in [due] if handler.together else [[task] for task in due]:
            uow, ids = self.unit_of_work(), [task["id"] for task in group]

            async def take(opened: Any, ids: list[UUID] = ids) -> None:
                await opened.execute("DELETE FROM tasks WHERE id = ANY($1)", ids)

            uow.when_opened(take)
            payloads = [orjson.loads(task["payload"]) for task in group]
            await handler.function(payloads if handler.together else payloads[0], uow)
            await uow.connection()
            await uow.commit()

    async def _due(self) -> list[Any]:
        return await self.rows("SELECT * FROM tasks WHERE due_at <= now() AND kind <> 'job.wake' ORDER BY due_at, id")

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        uow = self.unit_of_work()
        try:
            return await uow.fetch(sql, *arguments)
        finally:
            await uow.rollback()

    def unit_of_work(self) -> Any:
        return self.process.surroundings.unit_of_work("payments", service_envelope("payments", self.organization_id))

    async def callbacks(self, **filters: Any) -> list[Callback]:
        return (await self.ask(ListCallbacks(first=200, **filters))).items

    async def callback(self, callback_id: UUID) -> CallbackDetail:
        return await self.ask(GetCallback(callback_id=callback_id))

    async def payments(self, order_id: UUID | None = None) -> list[Payment]:
        return (await self.ask(ListPayments(order_id=order_id))).items

    async def events(self, name: str) -> list[dict[str, Any]]:
        rows = await self.rows("SELECT payload FROM outbox WHERE name = $1 ORDER BY id", name)
        return [orjson.loads(row["payload"]) for row in rows]


@pytest.fixture
def intake() -> Intake:
    return Intake(body_seconds=0.5)


@pytest.fixture
async def door(process: Surrounded, intake: Intake) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to the intake as mounted, for as many senders as like."""
    application = Starlette(routes=[Mount("/callbacks", intake)])
    async with intake.serving(process.database, process.relay):
        transport = httpx.ASGITransport(app=application, client=("203.0.113.7", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://crossdock.test", timeout=30) as client:
            yield client


@pytest.fixture
async def till(process: Surrounded, door: httpx.AsyncClient, intake: Intake) -> Till:
    """A fresh merchant for each test."""
    organization_id = new_id()
    shop = await a.open_shop(process, organization_id)
    gateway = await a.open_gateway(process, organization_id)
    return Till(process, door, organization_id, shop.id, gateway, intake)


@pytest.fixture
async def stripe(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stripe]:
    """Stripe's API as a fake, where the environment of the installation says it is."""
    fake = Stripe()
    async with fake.serving() as address:
        monkeypatch.setattr(payments_settings(), "provider_apis", {"stripe": address})
        yield fake


@pytest.fixture
async def mollie(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mollie]:
    """As `stripe`, for Mollie."""
    fake = Mollie()
    async with fake.serving() as address:
        monkeypatch.setattr(payments_settings(), "provider_apis", {"mollie": address})
        yield fake
