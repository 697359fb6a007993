"""Placing an order: price, reserve, store. Reservation and order are atomic in effect, whatever is killed in between.

    read what is known ─► ask catalog for prices ─► ask inventory to reserve ─► one transaction of our own

The order's id comes from the client and its Idempotency-Key, and the reservation has the same id: a repeat finds both.
A crash after reserving leaves a hold that runs out by itself. We commit only while the hold lasts a minute longer, so
that the event that keeps it finds it.

Messages that wait at the same moment go this way together, one alone as a group of one: one question for all their
prices, one transaction for all they store. Each is placed or refused by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from services.orders.errors import (
    HoldRanOut,
    IdempotencyKeyRequired,
    LinesMissing,
    OrderIncomplete,
    PriceChanged,
    QuoteDiffers,
)
from services.orders.models import OrderLineRow, OrderRow, totals
from services.orders.models.records import TimelineRow
from services.orders.models.totals import Charges, LineSum, OrderSum
from services.orders.repository import orders, quotes
from services.orders.repository.orders import Placed
from services.orders.use_cases import pricing, quoting, reading, timeline
from services.orders.use_cases.outcomes import Outcomes, outcomes, raised
from services.orders.use_cases.pricing import Basket, SellingShop
from shared.contracts.catalog.offers import LinePrice
from shared.contracts.inventory.messages import ReserveStock
from shared.contracts.inventory.shapes import Reservation
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.events import OrderPlaced
from shared.contracts.orders.messages import PlaceOrder
from shared.contracts.orders.shapes import (
    CustomerDraft,
    Order,
    OrderedLine,
    PlacedLine,
    Quote,
    QuoteLine,
    ShippingAddress,
)
from shared.errors import CrossdockError, IdempotencyKeyReused
from shared.identifiers import derived_id
from shared.money import Money
from shared.service import ALONE, Asked
from shared.unit_of_work import UnitOfWork

# What an event needs, at worst, from our commit to the listener that keeps the hold.
LEAST_HOLD = timedelta(minutes=1)
CANCEL_UNPAID = "orders.cancel_unpaid"


@dataclass(frozen=True)
class Wish:
    """What was asked for, and the id its order has."""

    asked: Asked[PlaceOrder]
    order_id: UUID

    @property
    def message(self) -> PlaceOrder:
        return self.asked.message


@dataclass(frozen=True)
class Known:
    """What our own tables know of what some wishes name: shops and buyers, quotes, and which were fulfilled before."""

    pricing: pricing.Known
    quotes: Mapping[UUID, asyncpg.Record]
    fulfilled: set[UUID]


@dataclass(frozen=True)
class Wanted:
    """What a client wants, as far as our own tables know."""

    wish: Wish
    basket: Basket
    charges: Charges
    expected_total: Money | None
    customer: CustomerDraft
    shipping_address: ShippingAddress

    @property
    def order_id(self) -> UUID:
        return self.wish.order_id

    @property
    def shop(self) -> SellingShop:
        return self.basket.shop

    @property
    def lines(self) -> Sequence[OrderedLine]:
        return self.basket.lines


@dataclass(frozen=True)
class Sums:
    """What each line comes to, and the order."""

    lines: list[LineSum]
    whole: OrderSum


@dataclass(frozen=True)
class Priced:
    """An order whose prices are settled."""

    wanted: Wanted
    prices: list[LinePrice]
    sums: Sums


@dataclass(frozen=True)
class Placement:
    """An order whose prices are settled and whose stock is held until `held_until`."""

    priced: Priced
    held_until: datetime
    backordered: Mapping[str, int]

    @property
    def wanted(self) -> Wanted:
        return self.priced.wanted


async def place(uow: UnitOfWork, asked: Sequence[Asked[PlaceOrder]]) -> list[Any]:
    """Place orders, each whole or refused with nothing stored of it. An order, a refusal or `ALONE` for each.

    Refusals: IdempotencyKeyRequired, ShopNotFound, WrongCurrency, LinesMissing, OrderIncomplete, QuoteNotFound,
    QuoteExpired, QuoteDiffers, UnknownSku, NotSellable, OutsideOrderLimits, DiscountExceedsAmount, TaxExceedsAmount,
    AmountTooLarge, PriceChanged, IdempotencyKeyReused, HoldRanOut, and inventory's `insufficient_stock`.
    """
    results = Outcomes(len(asked))
    wishes = results.go_on(dict(enumerate(asked)), _wish)
    async with uow.beforehand() as earlier:
        known = await _look_up(earlier, list(wishes.values()))
    if len(asked) == 1 and known.fulfilled:
        return [await _answer_again(uow, wishes[0])]
    repeated = {place for place, wish in wishes.items() if wish.order_id in known.fulfilled}
    for place in repeated:
        results.set(place, ALONE)
    new = {place: wish for place, wish in wishes.items() if place not in repeated}
    wanted = results.go_on(new, partial(_wanted, known=known))
    prices = await pricing.ask_prices(uow, [each.basket for each in wanted.values()])
    priced = results.go_on(dict(zip(wanted, zip(wanted.values(), prices, strict=True), strict=True)), _settled)
    holds = await outcomes(uow.ask(_reservation(each)) for each in priced.values())
    held = results.go_on(dict(zip(priced, zip(priced.values(), holds, strict=True), strict=True)), _held)
    if held:
        for place, result in zip(held, await store(uow, list(held.values())), strict=True):
            results.set(place, result)
    return results.all()


def _wish(asked: Asked[PlaceOrder]) -> Wish:
    """The order's id is what the same client and key always give. Raises IdempotencyKeyRequired."""
    caller, key = asked.caller, asked.envelope.idempotency_key
    if key is None:
        raise IdempotencyKeyRequired("Send an Idempotency-Key, new for each order and the same when you repeat one.")
    return Wish(asked, derived_id("order", caller.organization_id, caller.id, key))


async def _look_up(uow: UnitOfWork, wishes: Sequence[Wish]) -> Known:
    messages = [wish.message for wish in wishes]
    quote_ids = {message.quote_id for message in messages if message.quote_id is not None}
    known_quotes = await quotes.list_quotes(uow, list(quote_ids)) if quote_ids else {}
    quoted = (quoting.buyer(row) for row in known_quotes.values())
    buyers = [*(message.customer for message in messages), *quoted]
    keys = [(wish.order_id, wish.asked.caller.id, wish.asked.envelope.idempotency_key) for wish in wishes]
    return Known(
        await pricing.look_up(uow, (message.shop for message in messages), buyers),
        known_quotes,
        await orders.list_fulfilled(uow, keys),
    )


def _wanted(wish: Wish, known: Known) -> Wanted:
    message, caller = wish.message, wish.asked.caller
    shop = known.pricing.shop(caller, message.shop, message.currency)
    quote = None if message.quote_id is None else quoting.read(known.quotes, message.quote_id, caller)
    lines = _wanted_lines(shop, message, quote)
    charges = _wanted_charges(message, quote)
    customer, address, expected = message.customer, message.shipping_address, message.expected_total
    if quote is not None:
        customer, address = customer or quote.customer, address or quote.shipping_address
        expected = expected or quote.total
    if customer is None or address is None:
        raise _incomplete(customer, address)
    basket = Basket(shop, known.pricing.group(customer), lines)
    return Wanted(wish, basket, charges, expected, customer, address)


def _wanted_lines(shop: SellingShop, message: PlaceOrder, quote: Quote | None) -> list[OrderedLine]:
    """The quote's lines, or the message's where there is none. Raises QuoteDiffers, LinesMissing."""
    lines = None if message.lines is None else pricing.merged(message.lines)
    if quote is not None:
        quoted = [_as_ordered(line) for line in quote.lines]
        if quote.shop != shop.code or (lines is not None and not _are_quoted(lines, quoted)):
            raise QuoteDiffers("The quote was for another shop or other lines; ask for a new one.")
        lines = quoted
    if lines is None:
        raise LinesMissing("Name the lines, or a quote that has them.", [_missing("lines")])
    return lines


def _as_ordered(line: QuoteLine) -> OrderedLine:
    return OrderedLine(sku=line.sku, quantity=line.quantity, discounts=line.discounts, taxes=line.taxes)


def _are_quoted(lines: Sequence[OrderedLine], quoted: Sequence[OrderedLine]) -> bool:
    """Whether a quote is of these lines; what is taken off them need not be said again."""
    charged = [line for line in lines if line.discounts or line.taxes]
    return _quantities(lines) == _quantities(quoted) and all(line in quoted for line in charged)


def _wanted_charges(message: PlaceOrder, quote: Quote | None) -> Charges:
    """The quote's charges, or the message's where there is none. Raises QuoteDiffers."""
    if quote is None:
        return Charges(message.discounts or (), message.taxes or (), message.shipping)
    quoted = Charges(quote.discounts, quote.taxes, quote.shipping)
    said = (message.discounts, message.taxes, message.shipping)
    known = (quoted.discounts, quoted.taxes, quoted.shipping)
    if any(mine is not None and mine != its for mine, its in zip(said, known, strict=True)):
        raise QuoteDiffers("The quote was for other discounts, taxes or shipping; ask for a new one.")
    return quoted


def _incomplete(customer: CustomerDraft | None, address: ShippingAddress | None) -> OrderIncomplete:
    given = {"customer": customer, "shipping_address": address}
    missing = [name for name, value in given.items() if value is None]
    named = " and ".join(name.replace("_", " ") for name in missing)
    return OrderIncomplete(f"Name the {named}, or a quote that has them.", [_missing(name) for name in missing])


def _missing(name: str) -> dict[str, str]:
    return {"pointer": f"/{name}", "code": "missing", "message": f"{name} is needed"}


def _quantities(lines: Sequence[OrderedLine]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}


async def _answer_again(uow: UnitOfWork, wish: Wish) -> Order:
    """Opening our transaction finds the first answer; where that was purged meanwhile, the order itself is it."""
    await uow.connection()
    message, known = wish.message, await reading.get(uow, wish.order_id)
    lines = None if message.lines is None else _quantities(pricing.merged(message.lines))
    is_same = known.shop == message.shop and lines in (None, {line.sku: line.quantity for line in known.lines})
    if not is_same:
        raise IdempotencyKeyReused("This Idempotency-Key was used for a different order; choose a new one.")
    return known


def _settled(told: tuple[Wanted, list[LinePrice] | CrossdockError]) -> Priced:
    wanted, prices = told[0], raised(told[1])
    return Priced(wanted, prices, _settled_sums(wanted, prices))


def _settled_sums(wanted: Wanted, prices: Sequence[LinePrice]) -> Sums:
    """What all lines, which have a price, come to, as the client has seen it. Raises what says why not."""
    pricing.require_sellable(prices)
    pricing.check_limits(wanted.lines, prices)
    lines = [line for line in pricing.line_sums(wanted.shop, wanted.lines, prices) if line is not None]
    whole = totals.of_order(wanted.shop.currency, lines, wanted.charges)
    total = Money(amount=whole.total, currency=wanted.shop.currency)
    if wanted.expected_total is not None and wanted.expected_total != total:
        raise PriceChanged(
            f"The total is {total.major} {total.currency} now.",
            [{"total": total.model_dump(), "lines": [_price_now(price) for price in prices]}],
        )
    return Sums(lines, whole)


def _price_now(price: LinePrice) -> dict[str, object]:
    return {"sku": price.sku, "unit_price": price.unit_price and price.unit_price.model_dump()}


def _reservation(priced: Priced) -> ReserveStock:
    """All of it is to be held."""
    lines = pricing.to_reserve(priced.wanted.lines, priced.prices)
    return ReserveStock(order_id=priced.wanted.order_id, shop_id=priced.wanted.shop.id, lines=lines)


def _held(told: tuple[Priced, Reservation | CrossdockError]) -> Placement:
    """Until when it is held. A key that holds other lines was used for another order."""
    priced, reservation = told
    if isinstance(reservation, CrossdockError):
        if reservation.code in ("reservation_differs", "reservation_closed"):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another order; choose a new one."
            ) from reservation
        raise reservation
    # Confirmed already: a twin of ours has stored the order, and our transaction will find its answer.
    held_until = reservation.expires_at or datetime.max.replace(tzinfo=UTC)
    return Placement(priced, held_until, {line.sku: line.backordered for line in reservation.lines})


async def store(uow: UnitOfWork, placements: Sequence[Placement]) -> list[Order | CrossdockError]:
    """Store orders, announce them, and see to it that they do not wait for their payment for ever.

    HoldRanOut is what becomes of one whose hold is nearly over.
    """
    now: datetime = await uow.fetchval("SELECT clock_timestamp()")
    in_time = [placement for placement in placements if now + LEAST_HOLD < placement.held_until]
    customers = await orders.ensure_customers(uow, [placement.wanted.customer for placement in in_time])
    made = [_placed(uow, placement, now, customers) for placement in in_time]
    if made:
        numbers = await orders.add_orders(uow, made)
        for placed in made:
            placed.order.number = numbers[placed.order.id]
            _announce(uow, placed)
    stored = {placed.order.id: _shape(placed) for placed in made}
    return [stored.get(placement.wanted.order_id) or _ran_out() for placement in placements]


def _ran_out() -> HoldRanOut:
    return HoldRanOut("The stock was held too long ago to place the order safely; send the request again.")


def _placed(uow: UnitOfWork, placement: Placement, now: datetime, customers: Mapping[str, UUID]) -> Placed:
    wanted = placement.wanted
    order = _order(uow, placement.priced, now)
    order.customer_id = customers[normalised_email(wanted.customer.email)]
    entry = TimelineRow.unstored(
        organization_id=order.organization_id,
        order_id=order.id,
        kind="placed",
        actor=timeline.actor(wanted.wish.asked.caller),
        text="The order was placed.",
        after=order.status,
        occurred_at=now,
    )
    return Placed(order, _lines(uow, placement), entry, wanted.shop.code)


def _announce(uow: UnitOfWork, placed: Placed) -> None:
    order = placed.order
    uow.record(_fact(order, placed.lines))
    if order.pay_until is not None:
        uow.defer(CANCEL_UNPAID, {"order_id": str(order.id)}, due_at=order.pay_until, key=str(order.id))


def _shape(placed: Placed) -> Order:
    return reading.shape(placed.order, placed.shop_code, placed.lines, timeline=[placed.entry])


def _order(uow: UnitOfWork, priced: Priced, now: datetime) -> OrderRow:
    wanted, whole = priced.wanted, priced.sums.whole
    is_free = whole.total == 0
    order = OrderRow.unstored(
        organization_id=uow.organization_id,
        id=wanted.order_id,
        number="",
        shop_id=wanted.shop.id,
        client_id=wanted.wish.asked.caller.id,
        status="processing" if is_free else "pending",
        currency=wanted.shop.currency,
        total=whole.total,
        goods=whole.goods,
        customer=wanted.customer.model_dump(),
        shipping_address=wanted.shipping_address.model_dump(),
        pay_until=None if is_free else now + wanted.shop.pay_window,
        placed_at=now,
        updated_at=now,
    )
    order.charge(wanted.charges)
    order.come_to(whole)
    return order


def _lines(uow: UnitOfWork, placement: Placement) -> list[OrderLineRow]:
    priced = placement.priced
    parts = zip(priced.wanted.lines, priced.prices, priced.sums.lines, strict=True)
    return [_line(uow, placement, position, *each) for position, each in enumerate(parts, 1)]


def _line(
    uow: UnitOfWork, placement: Placement, position: int, line: OrderedLine, price: LinePrice, whole: LineSum
) -> OrderLineRow:
    row = OrderLineRow.unstored(
        organization_id=uow.organization_id,
        order_id=placement.wanted.order_id,
        sku=line.sku,
        position=position,
        title=price.title,
        quantity=line.quantity,
        unit_price=whole.unit_price,
        backordered=placement.backordered.get(line.sku, 0),
    )
    row.charge(whole, line.discounts, line.taxes)
    return row


def _fact(order: OrderRow, lines: Sequence[OrderLineRow]) -> OrderPlaced:
    return OrderPlaced.known(
        order_id=order.id,
        number=order.number,
        shop_id=order.shop_id,
        total=order.money(order.total),
        status=order.status,
        lines=[
            PlacedLine.known(sku=line.sku, quantity=line.quantity, unit_price=order.money(line.unit_price))
            for line in lines
        ],
        placed_at=order.placed_at,
        pay_until=order.pay_until,
    )
