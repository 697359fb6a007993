"""Shops, lines and what they cost: what quoting and placing have in common, before anything is stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.orders.errors import NotSellable, OutsideOrderLimits, TooManyUnits, UnknownSku, WrongCurrency
from services.orders.models import totals
from services.orders.models.totals import LineSum
from services.orders.repository import customers, shops
from services.orders.settings import settings
from services.orders.use_cases.outcomes import outcomes
from shared.bus.envelope import Caller, ShopNotFound
from shared.contracts.catalog.messages import PriceLine, PriceLines
from shared.contracts.catalog.offers import LinePrice
from shared.contracts.inventory.messages import ReserveLine, WeighedOrder, WeighedOrders, WeighOrders
from shared.contracts.inventory.shapes import Availability
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.shapes import CustomerDraft, OrderedLine
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

MOST_UNITS = 1_000_000


@dataclass(frozen=True)
class SellingShop:
    """Where an order is placed, and in which currency."""

    id: UUID
    code: str
    currency: str
    pay_window_minutes: int | None = None

    @property
    def has_own_pay_window(self) -> bool:
        return self.pay_window_minutes is not None

    @property
    def pay_window(self) -> timedelta:
        """How long its orders wait for their payment."""
        minutes = self.pay_window_minutes
        return settings().pay_window if minutes is None else timedelta(minutes=minutes)


@dataclass(frozen=True)
class Known:
    """What our own tables know of the shops and buyers that some messages name."""

    shops: Mapping[str, asyncpg.Record]
    groups: Mapping[str, str]

    def shop(self, caller: Caller, code: str, currency: str | None) -> SellingShop:
        """A shop the caller may sell in. Raises ShopNotFound, WrongCurrency."""
        row = self.shops.get(code)
        if row is None or not caller.sees_shop(row["id"]):
            raise ShopNotFound(f"There is no shop with the code '{code}'.")
        shop = SellingShop(row["id"], row["code"], row["currency"], row["pay_window_minutes"])
        if currency is not None and currency != shop.currency:
            raise WrongCurrency(f"The shop '{code}' sells in {shop.currency}, not in {currency}.")
        return shop

    def group(self, customer: CustomerDraft | None) -> str | None:
        """The group that whoever buys is in; None for who is in none, or is not known."""
        return None if customer is None else self.groups.get(normalised_email(customer.email))


async def look_up(uow: UnitOfWork, codes: Iterable[str], buyers: Iterable[CustomerDraft | None]) -> Known:
    """What is known of these shops and buyers, in one statement each."""
    emails = {normalised_email(buyer.email) for buyer in buyers if buyer is not None}
    return Known(
        await shops.SHOPS.list_by_codes(uow, list(set(codes))),
        await customers.list_groups(uow, list(emails)) if emails else {},
    )


async def get_shop(uow: UnitOfWork, code: str) -> SellingShop:
    """Raises ShopNotFound."""
    return (await look_up(uow, [code], [])).shop(uow.caller, code, None)


def merged(lines: Sequence[OrderedLine]) -> list[OrderedLine]:
    """Lines of the same SKU become one, at the place of the first. Raises TooManyUnits."""
    found: dict[str, OrderedLine] = {}
    for line in lines:
        found[line.sku] = line if line.sku not in found else _together(found[line.sku], line)
    return list(found.values())


def _together(line: OrderedLine, other: OrderedLine) -> OrderedLine:
    quantity = line.quantity + other.quantity
    if quantity > MOST_UNITS:
        raise TooManyUnits(f"More than {MOST_UNITS} of {line.sku} are wanted.")
    return OrderedLine(
        sku=line.sku,
        quantity=quantity,
        discounts=[*line.discounts, *other.discounts],
        taxes=[*line.taxes, *other.taxes],
    )


@dataclass(frozen=True)
class Basket:
    """Lines in a shop, for a customer of this group."""

    shop: SellingShop
    customer_group: str | None
    lines: Sequence[OrderedLine]


@dataclass(frozen=True)
class BasketStock:
    """What can be sold of each line of a basket by itself, and what the basket comes to as a whole."""

    lines: Sequence[Availability]
    whole: WeighedOrder


async def ask_prices(uow: UnitOfWork, baskets: Sequence[Basket]) -> list[list[LinePrice] | CrossdockError]:
    """What catalog says of each line of each basket, in the same order; or why it says nothing.

    Baskets of one shop and group are asked for together, and what several of them hold is asked once.
    """
    alike: dict[tuple[UUID, str | None], dict[tuple[str, int], None]] = {}
    for basket in baskets:
        wanted = alike.setdefault((basket.shop.id, basket.customer_group), {})
        wanted.update(dict.fromkeys((line.sku, line.quantity) for line in basket.lines))
    questions = [
        PriceLines(
            shop_id=shop_id,
            lines=[PriceLine.known(sku=sku, quantity=quantity) for sku, quantity in wanted],
            customer_group=customer_group,
        )
        for (shop_id, customer_group), wanted in alike.items()
    ]
    answers = await outcomes(uow.ask(question) for question in questions)
    told: dict[tuple[UUID, str | None], dict[tuple[str, int], LinePrice] | CrossdockError] = {
        key: answer if isinstance(answer, CrossdockError) else dict(zip(alike[key], answer.lines, strict=True))
        for key, answer in zip(alike, answers, strict=True)
    }
    return [_of_basket(basket, told[basket.shop.id, basket.customer_group]) for basket in baskets]


def _of_basket(
    basket: Basket, told: Mapping[tuple[str, int], LinePrice] | CrossdockError
) -> list[LinePrice] | CrossdockError:
    return told if isinstance(told, CrossdockError) else [told[line.sku, line.quantity] for line in basket.lines]


async def ask_stock(
    uow: UnitOfWork, priced: Sequence[tuple[Basket, Sequence[LinePrice]]]
) -> list[BasketStock | CrossdockError]:
    """What inventory says of each basket, line by line and as a whole; or why it says nothing.

    Those of one shop are asked for together.
    """
    places: dict[UUID, list[int]] = {}
    for place, (basket, _) in enumerate(priced):
        places.setdefault(basket.shop.id, []).append(place)
    lines = [to_reserve(basket.lines, prices) for basket, prices in priced]
    answers = await outcomes(
        uow.ask(WeighOrders(shop_id=shop_id, orders=[lines[place] for place in own])) for shop_id, own in places.items()
    )
    told: dict[int, BasketStock | CrossdockError] = {}
    for own, answer in zip(places.values(), answers, strict=True):
        said = [answer] * len(own) if isinstance(answer, CrossdockError) else _by_basket(answer, own, lines)
        told.update(zip(own, said, strict=True))
    return [told[place] for place in range(len(priced))]


def _by_basket(
    answer: WeighedOrders, own: Sequence[int], lines: Sequence[Sequence[ReserveLine]]
) -> list[BasketStock | CrossdockError]:
    of_sku = {each.sku: each for each in answer.availabilities}
    return [
        BasketStock([of_sku[line.sku] for line in lines[place]], whole)
        for place, whole in zip(own, answer.orders, strict=True)
    ]


def to_reserve(lines: Sequence[OrderedLine], prices: Sequence[LinePrice]) -> list[ReserveLine]:
    """What stock is to be held for these lines."""
    return [
        ReserveLine.known(sku=line.sku, quantity=line.quantity, in_stock_only=price.backorder == "deny")
        for line, price in zip(lines, prices, strict=True)
    ]


def line_sums(shop: SellingShop, lines: Sequence[OrderedLine], prices: Sequence[LinePrice]) -> list[LineSum | None]:
    """What each line comes to; None has no price. Raises as `totals.of_line`."""
    return [
        None if price.unit_price is None else totals.of_line(shop.currency, line, price.unit_price.amount)
        for line, price in zip(lines, prices, strict=True)
    ]


def require_sellable(prices: Sequence[LinePrice]) -> None:
    """Raises UnknownSku, NotSellable."""
    unknown = [{"sku": price.sku, "reason": "unknown_sku"} for price in prices if price.product_id is None]
    if unknown:
        raise UnknownSku(f"The shop knows no SKU {unknown[0]['sku']}.", unknown)
    unsold = [{"sku": price.sku, "reason": price.reason or "no_price"} for price in prices if price.unit_price is None]
    if unsold:
        raise NotSellable(f"The shop does not sell {unsold[0]['sku']}: {unsold[0]['reason']}.", unsold)


def check_limits(lines: Sequence[OrderedLine], prices: Sequence[LinePrice]) -> None:
    """Raises OutsideOrderLimits."""
    refused = [
        {"sku": line.sku, "reason": refusal, "limits": price.order_limits.model_dump()}
        for line, price in zip(lines, prices, strict=True)
        if price.order_limits and (refusal := price.order_limits.refusal(line.quantity))
    ]
    if refused:
        raise OutsideOrderLimits(f"{refused[0]['sku']}: {refused[0]['reason']}", refused)
