"""Quotes: what an order would cost and what stands in its way, told line by line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import UUID

import asyncpg

from services.orders.errors import QuoteExpired, QuoteNotFound
from services.orders.models import totals
from services.orders.models.totals import Charges, LineSum
from services.orders.repository import quotes
from services.orders.repository.quotes import NewQuote
from services.orders.settings import settings
from services.orders.use_cases import pricing
from services.orders.use_cases.outcomes import Outcomes, raised
from services.orders.use_cases.pricing import Basket, BasketStock, Known, SellingShop
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.catalog.offers import LinePrice
from shared.contracts.inventory.messages import ShortLine, WeighedOrder
from shared.contracts.inventory.shapes import Availability
from shared.contracts.orders.messages import CreateQuote
from shared.contracts.orders.shapes import (
    CustomerDraft,
    OrderedLine,
    Quote,
    QuoteLine,
    QuoteProblem,
    QuoteSource,
    Shortage,
)
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.money import Money
from shared.service import Asked
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class _Wanted:
    """What somebody wants to know the price of."""

    asked: Asked[CreateQuote]
    basket: Basket


@dataclass(frozen=True)
class _Priced:
    """What it costs, line by line."""

    wanted: _Wanted
    prices: list[LinePrice]


class _Problem(NamedTuple):
    """What stands in the way of a line, as a code and in words."""

    code: QuoteProblem
    reason: Shortage | None
    message: str


async def quote(uow: UnitOfWork, asked: Sequence[Asked[CreateQuote]]) -> list[Any]:
    """Ask catalog, then inventory, and remember what they said. One quote for each, or its refusal.

    Refusals: ShopNotFound, WrongCurrency, TooManyUnits, DiscountExceedsAmount, TaxExceedsAmount, AmountTooLarge.
    """
    results = Outcomes(len(asked))
    async with uow.beforehand() as earlier:
        messages = [each.message for each in asked]
        known = await pricing.look_up(earlier, (m.shop for m in messages), (m.customer for m in messages))
    wanted = results.go_on(dict(enumerate(asked)), partial(_wanted, known=known))
    prices = await pricing.ask_prices(uow, [each.basket for each in wanted.values()])
    priced = results.go_on(dict(zip(wanted, zip(wanted.values(), prices, strict=True), strict=True)), _priced)
    stock = await pricing.ask_stock(uow, [(each.wanted.basket, each.prices) for each in priced.values()])
    made = results.go_on(dict(zip(priced, zip(priced.values(), stock, strict=True), strict=True)), _made)
    if made:
        await quotes.add_quotes(uow, [_kept(wanted[place], quote) for place, quote in made.items()])
    for place, quote in made.items():
        results.set(place, quote)
    return results.all()


def _wanted(asked: Asked[CreateQuote], known: Known) -> _Wanted:
    message = asked.message
    shop = known.shop(asked.caller, message.shop, message.currency)
    return _Wanted(asked, Basket(shop, known.group(message.customer), pricing.merged(message.lines)))


def _priced(told: tuple[_Wanted, list[LinePrice] | CrossdockError]) -> _Priced:
    return _Priced(told[0], raised(told[1]))


def _made(told: tuple[_Priced, BasketStock | CrossdockError]) -> Quote:
    priced, stock = told[0], raised(told[1])
    lines = priced.wanted.basket.lines
    problems = [_problem(*parts) for parts in zip(lines, priced.prices, stock.lines, strict=True)]
    if any(problems):
        return _quote(priced, stock.lines, problems, WeighedOrder())
    # Only where no line is wrong by itself is the basket looked at as a whole.
    short = {each.sku: _problem_of_whole(each) for each in stock.whole.short}
    return _quote(priced, stock.lines, [short.get(line.sku) for line in lines], stock.whole)


def _kept(wanted: _Wanted, quote: Quote) -> NewQuote:
    caller = wanted.asked.caller
    return NewQuote(quote.id, wanted.basket.shop.id, caller.id, quote.model_dump_json(), quote.valid_until)


def _quote(
    priced: _Priced, availabilities: Sequence[Availability], problems: Sequence[_Problem | None], weighed: WeighedOrder
) -> Quote:
    message, shop, lines = priced.wanted.asked.message, priced.wanted.basket.shop, priced.wanted.basket.lines
    sums = pricing.line_sums(shop, lines, priced.prices)
    by_sku = _sources(weighed)
    sources = [by_sku.get(line.sku, []) for line in lines]
    parts = zip(lines, priced.prices, availabilities, sums, problems, sources, strict=True)
    charges = Charges(message.discounts, message.taxes, message.shipping)
    whole = totals.of_order(shop.currency, [line for line in sums if line is not None], charges).shape(shop.currency)
    quote_id = new_id()
    return Quote.known(
        id=quote_id,
        quote_id=quote_id,
        shop=shop.code,
        currency=shop.currency,
        lines=[_line(shop, *each) for each in parts],
        total=whole.total,
        can_be_placed=not any(problems),
        valid_until=clock.now() + settings().quote_lifetime,
        customer=message.customer,
        shipping_address=message.shipping_address,
        discounts=message.discounts,
        taxes=message.taxes,
        shipping=message.shipping,
        totals=whole,
    )


def _sources(weighed: WeighedOrder) -> dict[str, list[QuoteSource]]:
    """Where each line would come from, by the SKU of the line."""
    sources: dict[str, list[QuoteSource]] = {}
    for each in weighed.sources:
        source = QuoteSource.known(
            sku=each.sku, centre=each.centre, quantity=each.quantity, beyond_stock=each.beyond_stock
        )
        sources.setdefault(each.line_sku, []).append(source)
    return sources


def _line(
    shop: SellingShop,
    line: OrderedLine,
    price: LinePrice,
    availability: Availability,
    whole: LineSum | None,
    problem: _Problem | None,
    sources: list[QuoteSource],
) -> QuoteLine:
    return QuoteLine.known(
        sku=line.sku,
        quantity=line.quantity,
        title=price.title,
        unit_price=price.unit_price,
        total=None if whole is None else Money.known(amount=whole.total, currency=shop.currency),
        available=availability.available,
        available_quantity=availability.available_quantity,
        problem=problem and problem.code,
        reason=problem and problem.reason,
        message=problem and problem.message,
        discounts=line.discounts,
        taxes=line.taxes,
        sources=sources,
    )


# Where it is not the number that stands in the way.
_WORDS: Mapping[Shortage, str] = {
    "no_centre": "No fulfilment centre sells for this shop: assign one to it.",
    "not_on_sale": "It is not on sale now.",
    "order_not_in_one_centre": "No fulfilment centre has all of the order, which has to come from one.",
    "not_enough_for_all_lines": "There is not enough for all lines that need it.",
}


def _problem_of_whole(short: ShortLine) -> _Problem:
    """What stands in the way of a line that could be had by itself."""
    reason = cast(Shortage, short.reason)
    return _Problem("insufficient_stock", reason, _WORDS.get(reason, f"Only {short.available} can be had now."))


def _problem(line: OrderedLine, price: LinePrice, availability: Availability) -> _Problem | None:
    """What stands in the way of a line by itself; None where nothing does."""
    if price.product_id is None:
        return _Problem("unknown_sku", None, "The shop knows no such SKU.")
    if price.unit_price is None:
        return _Problem("not_sellable", None, f"The shop does not sell this: {price.reason or 'it has no price'}.")
    refusal = price.order_limits and price.order_limits.refusal(line.quantity)
    if refusal:
        return _Problem("outside_order_limits", None, refusal)
    there = availability.available_quantity
    promised = availability.policy == "always" or (availability.policy != "standard" and price.backorder != "deny")
    if there >= line.quantity or (availability.available and promised):
        return None
    reason = _shortage(line, availability)
    words = f"Only {there} can be had now." if there else "It is out of stock."
    return _Problem("insufficient_stock", reason, _WORDS.get(reason, words))


def _shortage(line: OrderedLine, availability: Availability) -> Shortage:
    """Why a line cannot be served, in the words of an order's refusal."""
    if availability.not_sold is not None:
        return availability.not_sold
    everywhere = availability.available_quantity if availability.everywhere is None else availability.everywhere
    if everywhere >= line.quantity:
        return "not_in_one_centre"
    return "not_enough" if everywhere else "out_of_stock"


async def get(uow: UnitOfWork, quote_id: UUID) -> Quote:
    """A quote of the caller's own (or any, for who may read orders). Raises QuoteNotFound, QuoteExpired."""
    return read(await quotes.list_quotes(uow, [quote_id]), quote_id, uow.caller)


def read(known: Mapping[UUID, asyncpg.Record], quote_id: UUID, caller: Caller) -> Quote:
    """The same of one that was looked up. Raises QuoteNotFound, QuoteExpired."""
    row = known.get(quote_id)
    if row is None or not caller.sees_shop(row["shop_id"]):
        raise QuoteNotFound("There is no such quote.")
    if row["client_id"] != caller.id and not caller.holds("orders:read"):
        raise QuoteNotFound("There is no such quote.")
    found = Quote.model_validate_json(row["quote"])
    if found.valid_until <= clock.now():
        raise QuoteExpired(f"The quote was valid until {found.valid_until.isoformat()}; ask for a new one.")
    return found


def buyer(row: asyncpg.Record) -> CustomerDraft | None:
    """Who buys, as far as a quote that was looked up knows."""
    return Quote.model_validate_json(row["quote"]).customer


async def forget_old(uow: UnitOfWork) -> None:
    """Across tenants: drop quotes that ended a day ago."""
    await uow.execute("DELETE FROM quotes WHERE valid_until < now() - interval '1 day'")
