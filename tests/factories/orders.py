"""A merchant with products, prices and stock, whose orders and stock are worked for by the test itself."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from deploy.topology import Surrounded
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.accounts.shapes import Shop
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import CreateCategory, CreatePriceList, CreateProduct, PublishProduct, SetPrices
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.contracts.inventory.returns import CreateReturn, ReturnDraft, ReturnLineDraft
from shared.contracts.inventory.shipments import CreateShipment, Shipment, ShipmentDraft, ShipmentLineDraft
from shared.contracts.orders.customers import CreateCustomer, NewCustomer
from shared.contracts.orders.imported import CreateOrderConnection, ImportOrders, OrderConnectionDraft
from shared.contracts.orders.lists import StartOrderExport
from shared.contracts.orders.messages import CreateQuote, GetOrder, PlaceOrder
from shared.contracts.orders.shapes import Order, OrderedLine
from shared.contracts.payments.events import PaymentChanged
from shared.identifiers import new_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.inventory import Merchant
from tests.waiting import until

CUSTOMER = {"email": "ada@example.com", "name": "Ada Lovelace"}
ADDRESS = {"name": "Ada Lovelace", "line1": "1 Quay", "city": "Portsea", "postal_code": "12345", "country": "US"}


def wanted(*, shop: str = "main", lines: Sequence[OrderedLine] | None = None, **fields: Any) -> PlaceOrder:
    """An order that lacks nothing but its lines, unless said otherwise."""
    whole = {"customer": CUSTOMER, "shipping_address": ADDRESS, **fields}
    return PlaceOrder.model_validate({"shop": shop, "lines": lines, **whole})


def body(**fields: Any) -> dict[str, Any]:
    """The same as REST takes it: two of the SKU `MUG`."""
    lines = [{"sku": "MUG", "quantity": 2}]
    return {"shop": "main", "lines": lines, "customer": CUSTOMER, "shipping_address": ADDRESS, **fields}


class Seller(Merchant):
    """A merchant with the shop `main` in US dollars."""

    services: Sequence[str] = ("inventory", "orders")
    producers: Sequence[str] = ("catalog", "inventory", "orders")
    shop: Shop

    async def open(self, prices: dict[str, str], stock: dict[str, int] | None = None) -> "Seller":
        """Sell these SKUs at these prices in dollars, with this stock or none."""
        self.shop = await self.open_shop()
        self.catalog = Catalog(self.process, self.organization_id)
        await self.catalog.open_shop(id=self.shop.id)
        await self.price(prices)
        await self.stocked(stock or dict.fromkeys(prices, 0))
        return self

    async def price(self, prices: dict[str, str]) -> None:
        """Let products of these SKUs cost so many dollars."""
        rows = [
            shopify_row(sku.lower(), sku=sku, price=str(Decimal(price)), collection="Things")
            for sku, price in prices.items()
        ]
        done = await self.catalog.bring_in(csv_file(rows), profile="shopify")
        assert done.state == "succeeded", done

    def storefront(self, **limits: Any) -> Caller:
        """A storefront's client: it may quote, place, and read what is its own."""
        return Caller(
            kind="client",
            organization_id=self.organization_id,
            id=new_id(),
            name="storefront",
            scopes=frozenset({"storefront"}),
            **limits,
        )

    async def place(self, key: str | None = None, *, caller: Caller | None = None, **lines: int) -> Order:
        """Place an order of these SKUs."""
        ordered = [OrderedLine(sku=sku, quantity=quantity) for sku, quantity in lines.items()]
        message = wanted(shop=self.shop.code, lines=ordered)
        return await self.ask(message, caller=caller, key=key or new_id().hex)

    async def order(self, order_id: UUID) -> Order:
        return await self.ask(GetOrder(order_id=order_id))

    def payment(self, order: Order, captured: int | None = None, **fields: Any) -> PaymentChanged:
        """A payment that was captured, whole unless said otherwise."""
        amount = order.total.amount if captured is None else captured
        currency = fields.pop("currency", order.currency)
        amounts = {"authorised": amount, "captured": amount, "refunded": 0, "disputed": 0}
        amounts |= {name: fields.pop(name) for name in tuple(fields) if name in amounts}
        defaults: dict[str, Any] = {
            "payment_id": new_id(),
            "order_id": order.id,
            "order_number": order.number,
            "shop_id": self.shop.id,
            "gateway_id": new_id(),
            "provider": "stripe",
            "external_id": "pi_test",
            "state": "captured",
            "occurred_at": clock.now(),
            "version": 1,
        }
        money = {name: Money(amount=amount, currency=currency) for name, amount in amounts.items()}
        return PaymentChanged(**{**defaults, **money, **fields})

    async def pay(self, order: Order) -> Order:
        """Pay an order and let everybody know. Payments have it in their ledger, as if a callback had told of it."""
        await self.settle()
        payment = self.payment(order)
        await self.inside("payments", lambda uow: _keep(uow, payment))
        await self.hear("orders", payment)
        await self.settle()
        return await self.order(order.id)

    async def ship(self, order: Order, **draft: Any) -> Shipment:
        return await self.ask(shipment_of(order, **draft))


async def _keep(uow: UnitOfWork, payment: PaymentChanged) -> None:
    """A captured payment in the ledger of payments, which may not have heard of its shop."""
    await uow.execute(
        "INSERT INTO shops (organization_id, id, code, version) VALUES ($1, $2, '', 0) ON CONFLICT DO NOTHING",
        uow.organization_id,
        payment.shop_id,
    )
    await uow.execute(
        "INSERT INTO gateways (organization_id, id, shop_id, provider, mode, settings, allowed_networks, created_at)"
        " VALUES ($1, $2, $3, $4, 'test', '{}', '[]', now())",
        uow.organization_id,
        payment.gateway_id,
        payment.shop_id,
        payment.provider,
    )
    await uow.execute(
        "INSERT INTO payments (organization_id, id, order_id, order_number, shop_id, gateway_id, provider, external_id,"
        " currency, state, authorised, captured, created_at, occurred_at, version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, now(), $12, $13)",
        uow.organization_id,
        payment.payment_id,
        payment.order_id,
        payment.order_number,
        payment.shop_id,
        payment.gateway_id,
        payment.provider,
        payment.external_id,
        payment.captured.currency,
        payment.state,
        payment.captured.amount,
        payment.occurred_at,
        payment.version,
    )


def shipment_of(order: Order, **draft: Any) -> CreateShipment:
    """Goods of an order that left, all that is open unless said otherwise."""
    return CreateShipment(shipment=ShipmentDraft(order_id=order.id, **draft))


async def make(process: Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A quote, and an order that is paid and partly shipped, of one product."""
    seller = Seller(process, organization_id)
    seller.shop = await seller.open_shop("of-the-orders")
    await sell(seller, "ORDERED")
    await seller.stocked({"ORDERED": 5})
    quote = await seller.ask(CreateQuote(shop=seller.shop.code, lines=[OrderedLine(sku="ORDERED", quantity=1)]))
    order = await seller.place(ORDERED=2)
    await seller.hear("orders", seller.payment(order))

    async def shipped() -> Shipment | None:
        """Where workers run they carry the news; elsewhere we do."""
        await seller.settle()
        if (await seller.order(order.id)).status != "processing":
            return None
        return await seller.ship(order, lines=[ShipmentLineDraft(sku="ORDERED", quantity=1)])

    shipment = await until(shipped)
    assert shipment is not None
    goods = ReturnDraft(order_id=order.id, lines=[ReturnLineDraft(sku="ORDERED", quantity=1)])
    returned = await seller.ask(CreateReturn(goods=goods))
    customer = await seller.ask(CreateCustomer(customer=NewCustomer(email="of-the-orders@example.com")))
    return {
        "quote_id": quote.id,
        "order_id": order.id,
        "shipment_id": shipment.id,
        "return_id": returned.id,
        "customer_id": customer.id,
        **await _brought(seller),
    }


async def _brought(seller: Seller) -> dict[str, UUID | str]:
    """A connection, and an order of it that waits."""
    draft = OrderConnectionDraft(shop=seller.shop.code, name="Bazaar", status_map={"open": "set_aside"})
    connection = await seller.ask(CreateOrderConnection(connection=draft))
    remote = {
        "external_id": "1",
        "status": "open",
        "is_paid": True,
        "placed_at": clock.now(),
        "updated_at": clock.now(),
        "lines": [{"sku": "ORDERED", "quantity": 1, "unit_price": {"amount": 1000, "currency": "USD"}}],
        "total": {"amount": 1000, "currency": "USD"},
        "customer": CUSTOMER,
        "shipping_address": ADDRESS,
    }
    received = await seller.ask(ImportOrders.model_validate({"connection_id": connection.id, "orders": [remote]}))
    exported = await seller.ask(StartOrderExport())
    made = {"connection_id": connection.id, "imported_order_id": received.items[0].id}
    return {**made, "order_export_id": exported.id}


async def sell(seller: Seller, *skus: str) -> None:
    """Published products of these SKUs, each at $10.00 in the seller's shop."""
    catalog = Catalog(seller.process, seller.organization_id)
    code = seller.shop.code
    await catalog.open_shop(id=seller.shop.id, code=code)
    category = await catalog.ask(CreateCategory(draft=CategoryDraft(name="Ordered", shops=[code])))
    price_list = await catalog.ask(CreatePriceList(draft=PriceListDraft(shop=code, name="Ordered")))
    prices = [PriceDraft(sku=sku, price=Money(amount=1000, currency="USD")) for sku in skus]
    products = []
    for sku in skus:
        draft = ProductDraft(title=f"Ordered {sku}", category_ids=[category.id], variants=[VariantDraft(sku=sku)])
        products.append(await catalog.ask(CreateProduct(draft=draft)))
    await catalog.ask(SetPrices(price_list_id=price_list.id, prices=prices))
    for product in products:
        await catalog.ask(PublishProduct(product_id=product.id))
