"""A merchant whose stock is worked for by the test itself: events and tasks take effect when the test says so."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from deploy import topology
from services.inventory.use_cases import checking
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event, Message
from shared.contracts.inventory.arrivals import (
    ArrivalDraft,
    CreateArrivals,
    ReceiptDraft,
    ReceivedLineDraft,
    ReceiveGoods,
)
from shared.contracts.inventory.carriers import (
    CarrierDraft,
    CreateCarrier,
    CreateShippingMethod,
    ShippingMethodDraft,
    ShippingPrice,
    ShippingRate,
)
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.messages import (
    GetAvailability,
    ListFulfilmentCentres,
    ListStock,
    ReserveLine,
    ReserveStock,
    UpdateStock,
)
from shared.contracts.inventory.shapes import Availability, Reservation, StockLevel, StockUpdated
from shared.contracts.inventory.stock_checks import StartStockCheck
from shared.contracts.inventory.suppliers import (
    CreateSupplier,
    CreateSupplierLink,
    SupplierDraft,
    SupplierLinkDraft,
)
from shared.identifiers import new_id
from shared.messaging import inbox
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import Batch
from shared.unit_of_work import UnitOfWork
from tests.factories.catalog import a_shop


class Merchant:
    """One organization, seen by its administrator and from inside its services."""

    # Whose events and tasks `settle` carries out.
    services: Sequence[str] = ("inventory",)
    producers: Sequence[str] = ("inventory",)

    def __init__(self, process: topology.Surrounded, organization_id: UUID | None = None) -> None:
        self.process = process
        self.organization_id = organization_id or new_id()
        self.caller = Caller(
            kind="client", organization_id=self.organization_id, id=new_id(), name="admin", scopes=frozenset({"admin"})
        )

    # --- speaking

    async def ask(
        self, message: Message[Any], *, caller: Caller | None = None, key: str | None = None, inside: str | None = None
    ) -> Any:
        """What a service answers to the administrator, to another caller, or (`inside`) to a service."""
        envelope = envelope_for(caller or self.caller, timeout_seconds=60, idempotency_key=key, asking_service=inside)
        return await self.process.bus.ask(message, envelope)

    async def open_shop(self, code: str = "main", **fields: Any) -> Shop:
        """A shop that every service here has heard of."""
        shop = a_shop(self.organization_id, code=code, **fields)
        for service in self.services:
            await self.hear(service, ShopChanged(shop=shop))
        return shop

    async def hear(self, service: str, *events: Event, ids: Sequence[UUID] | None = None) -> list[tuple[UUID, str]]:
        """Let events arrive at a service's inbox, together. Returns those that failed, with the reason."""
        sent = [
            SentEvent(id_, event.wire_name, event.model_dump_json().encode(), time.time())
            for id_, event in zip(ids or [new_id() for _ in events], events, strict=True)
        ]
        batch = Batch("test", self.organization_id, time.time(), sent)
        _, failed = await inbox.receive(topology.named(service)[0], self.process.surroundings, batch)
        return failed

    # --- stock

    async def stocked(self, levels: Mapping[str, int], centre: str = "main") -> StockUpdated:
        rows = [{"sku": sku, "centre": centre, "on_hand": on_hand} for sku, on_hand in levels.items()]
        return await self.ask(UpdateStock(rows=rows))

    async def level(self, sku: str, centre: str = "main") -> StockLevel:
        page = await self.ask(ListStock(sku=sku, centre=centre))
        return page.items[0]

    async def availability(self, shop: Shop, sku: str) -> Availability:
        answer = await self.ask(GetAvailability(shop_id=shop.id, skus=[sku]), inside="search")
        return answer.items[0]

    async def reserve(self, shop: Shop, order_id: UUID | None = None, hold: int = 300, **lines: int) -> Reservation:
        wanted = [ReserveLine(sku=sku, quantity=quantity) for sku, quantity in lines.items()]
        message = ReserveStock(order_id=order_id or new_id(), shop_id=shop.id, lines=wanted, hold_seconds=hold)
        return await self.ask(message, inside="orders")

    async def discrepancies(self) -> list[Any]:
        """What does not add up in the ledger."""
        return await self.inside("inventory", checking.check)

    # --- inside

    def unit_of_work(self, service: str) -> UnitOfWork:
        return self.process.surroundings.unit_of_work(service, service_envelope(service, self.organization_id))

    async def inside(self, service: str, use_case: Any, *arguments: Any, **options: Any) -> Any:
        """What a use case does in a transaction of its own."""
        uow = self.unit_of_work(service)
        try:
            result = await use_case(uow, *arguments, **options)
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise
        return result

    async def rows(self, service: str, sql: str, *arguments: Any) -> list[Any]:
        uow = self.unit_of_work(service)
        try:
            return await uow.fetch(sql, *arguments)
        finally:
            await uow.rollback()

    async def change(self, service: str, sql: str, *arguments: Any) -> None:
        """Change rows behind a service's back: to let time pass."""
        await self.inside(service, lambda uow: uow.execute(sql, *arguments))

    async def events(self, service: str, name: str) -> list[dict[str, Any]]:
        rows = await self.rows(service, "SELECT payload FROM outbox WHERE name = $1 ORDER BY id", f"{service}.{name}")
        return [orjson.loads(row["payload"]) for row in rows]

    async def alerts(self, service: str) -> list[dict[str, Any]]:
        rows = await self.rows(service, "SELECT payload FROM outbox WHERE name = 'platform.alert_raised' ORDER BY id")
        return [orjson.loads(row["payload"]) for row in rows]

    # --- letting time pass

    async def settle(self) -> None:
        """Deliver what is announced and do what is due, until nothing is left."""
        while await self._deliver() or await self._work():
            pass

    async def _deliver(self) -> bool:
        delivered = False
        for producer in self.producers:
            for listener in self.services:
                rows = await self.rows(producer, _OPEN, listener)
                if not rows:
                    continue
                sent = [SentEvent(row["id"], row["name"], row["payload"].encode(), time.time()) for row in rows]
                batch = Batch(producer, self.organization_id, time.time(), sent)
                done, failed = await inbox.receive(topology.named(listener)[0], self.process.surroundings, batch)
                assert not failed, failed
                await self.change(
                    producer, "DELETE FROM deliveries WHERE listener = $1 AND event_id = ANY($2)", listener, done
                )
                delivered = True
        return delivered

    async def _work(self) -> bool:
        worked = False
        for name in self.services:
            for task in await self.rows(name, "SELECT * FROM tasks WHERE due_at <= now() ORDER BY due_at, id"):
                await self.change(name, "DELETE FROM tasks WHERE id = $1", task["id"])
                handler = topology.named(name)[0].tasks[task["kind"]]
                await self.inside(name, lambda uow, h=handler, t=task: h.function(orjson.loads(t["payload"]), uow))
                worked = True
        return worked


_OPEN = (
    "SELECT o.id, o.name, o.payload::text AS payload FROM deliveries d JOIN outbox o ON o.id = d.event_id"
    " WHERE d.listener = $1 ORDER BY o.id"
)


async def make(process: topology.Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A centre with stock that came and is to come, a reservation, a kit; what needs an order is made with one."""
    merchant = Merchant(process, organization_id)
    shop = await merchant.open_shop("of-the-stock")
    await merchant.stocked({"RESERVED": 3})
    (main, *_) = (await merchant.ask(ListFulfilmentCentres())).items
    reservation = await merchant.reserve(shop, RESERVED=1)
    kit_sku = f"KIT-{new_id()}"
    await merchant.ask(SetKit(sku=kit_sku, parts=[KitPart(sku="RESERVED")]))
    arrivals = [ArrivalDraft(sku="RESERVED", centre=main.code, quantity=2)]
    arrival = (await merchant.ask(CreateArrivals(arrivals=arrivals))).items[0]
    draft = ReceiptDraft(centre=main.code, lines=[ReceivedLineDraft(sku="RESERVED", quantity=1)])
    receipt = await merchant.ask(ReceiveGoods(receipt=draft))
    carrier = await merchant.ask(CreateCarrier(carrier=CarrierDraft(code="post", name="Post")))
    price = ShippingPrice(currency="USD", rates=[ShippingRate(price=495)])
    method = ShippingMethodDraft(code="parcel", name="Parcel", carrier="post", price=price)
    supplier = SupplierDraft(code="looms", name="Looms", currency="USD")
    link = SupplierLinkDraft(supplier=supplier.code, sku="RESERVED")
    return {
        "carrier_id": carrier.id,
        "method_id": (await merchant.ask(CreateShippingMethod(method=method))).id,
        "supplier_id": (await merchant.ask(CreateSupplier(supplier=supplier))).id,
        "link_id": (await merchant.ask(CreateSupplierLink(link=link))).id,
        "centre_id": main.id,
        "kit_sku": kit_sku,
        "reservation_id": reservation.id,
        "arrival_id": arrival.id,
        "receipt_id": receipt.id,
        "check_id": (await merchant.ask(StartStockCheck(rows=[{"sku": "RESERVED", "counted": 3}]))).id,
    }
