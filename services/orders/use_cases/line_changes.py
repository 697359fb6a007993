"""Lines of an order that stands change: all of it or nothing, whatever is killed in between.

    read and plan ─► ask catalog for prices ─► ask inventory to prepare ─► one transaction of ours ─► OrderLinesChanged

Inventory holds what is added and keeps back what is taken away under an id that comes from client, order and
Idempotency-Key; it takes effect there with our event, and is undone when that does not come. We commit only while it
is held a minute longer, and only to lines that are as they were when the change was prepared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.orders.errors import DuplicateLine, HoldRanOut, NothingLeft, PriceChanged, UnitsHaveLeft, UnknownSku
from services.orders.models import OrderLineRow, OrderRow, totals
from services.orders.models.totals import Charges
from services.orders.repository import changes, orders, shops
from services.orders.use_cases import changing, goods, paying, pricing, reading
from services.orders.use_cases.placement import LEAST_HOLD
from services.orders.use_cases.pricing import Basket, SellingShop
from shared.contracts.catalog.offers import LinePrice
from shared.contracts.inventory.amendments import AmendedLine, PrepareAmendment, PreparedAmendment
from shared.contracts.orders.events import OrderLinesChanged
from shared.contracts.orders.line_changes import CancelDraft, CancelOrderLines, ChangeOrderLines, LineChange, LinesDraft
from shared.contracts.orders.shapes import CustomerDraft, Order, OrderedLine, OrderStanding, StandingLine
from shared.contracts.orders.totals import Discount, Tax
from shared.errors import CarriedError, CrossdockError, IdempotencyKeyReused
from shared.identifiers import derived_id, new_id
from shared.money import Money
from shared.unit_of_work import ConcurrentChange, UnitOfWork

C = TypeVar("C", Discount, Tax)
Units = tuple[int, int, int]  # of a line: ordered, cancelled, left


@dataclass(frozen=True)
class Plan:
    """What is to become of an order's lines, as they were when it was made."""

    amendment_id: UUID
    order: OrderStanding
    units: Mapping[str, Units]
    draft: LinesDraft
    targets: Mapping[str, int]
    shop: SellingShop
    customer_group: str | None

    @property
    def added(self) -> list[str]:
        """SKUs of which more is wanted than before."""
        return [sku for sku, wanted in self.targets.items() if wanted > self.wanted(sku)]

    def wanted(self, sku: str) -> int:
        """Units of a line that are wanted now."""
        ordered, cancelled, _ = self.units.get(sku, (0, 0, 0))
        return ordered - cancelled


async def change(uow: UnitOfWork, message: ChangeOrderLines) -> Order:
    """Raises what ChangeOrderLines says."""
    return await _change(uow, message.order_id, message.change, message.expected_version)


async def cancel(uow: UnitOfWork, message: CancelOrderLines) -> Order:
    """Raises what CancelOrderLines says."""
    return await _change(uow, message.order_id, message.cancel, message.expected_version)


async def _change(
    uow: UnitOfWork, order_id: UUID, draft: LinesDraft | CancelDraft, expected_version: int | None
) -> Order:
    key = uow.envelope.idempotency_key
    amendment_id = new_id() if key is None else derived_id("amendment", uow.caller.id, order_id, key)
    async with uow.beforehand() as earlier:
        is_known = bool(await orders.list_fulfilled(earlier, [(amendment_id, uow.caller.id, key)]))
        plan = None if is_known else await _plan(earlier, order_id, amendment_id, draft, expected_version)
    if plan is None:
        # Opening our transaction finds the first answer.
        await uow.connection()
        return await reading.get(uow, order_id)
    prices = await _ask_prices(uow, plan)
    prepared = await _prepare(uow, plan, prices)
    return await _commit(uow, plan, prices, prepared, expected_version)


# --- plan


async def _plan(
    uow: UnitOfWork, order_id: UUID, amendment_id: UUID, draft: LinesDraft | CancelDraft, expected_version: int | None
) -> Plan:
    order = await reading.get_visible(uow, order_id)
    order.check_version(expected_version)
    changing.require_changeable(order)
    lines = await orders.list_lines(uow, order_id)
    whole = draft if isinstance(draft, LinesDraft) else _as_change(draft, lines)
    targets = _targets(whole, lines)
    if not any(targets.get(line.sku, line.wanted) for line in lines) and not any(targets.values()):
        raise NothingLeft("Nothing of the order would be left; cancel it instead.")
    return Plan(
        amendment_id=amendment_id,
        order=await standing(uow, order, lines),
        units=_units(lines),
        draft=whole,
        targets=targets,
        shop=SellingShop(order.shop_id, await shops.get_shop_code(uow, order.shop_id), order.currency),
        customer_group=await _group(uow, order),
    )


async def _group(uow: UnitOfWork, order: OrderRow) -> str | None:
    """The group that the order's customer buys in now."""
    customer = None if order.customer is None else CustomerDraft.model_validate(order.customer)
    return (await pricing.look_up(uow, [], [customer])).group(customer)


async def standing(uow: UnitOfWork, order: OrderRow, lines: Sequence[OrderLineRow]) -> OrderStanding:
    """Where an order stands, with what it wants where that has changed."""
    amendments = await changes.list_amendments(uow, order.id)
    return OrderStanding(
        order_id=order.id,
        number=order.number,
        shop_id=order.shop_id,
        status=order.present_status,
        version=order.version,
        lines=[StandingLine(sku=line.sku, quantity=line.wanted) for line in lines if line.wanted] if amendments else [],
        amendments=amendments,
    )


def _units(lines: Sequence[OrderLineRow]) -> dict[str, Units]:
    return {line.sku: (line.quantity, line.cancelled, line.shipped) for line in lines}


def _as_change(cancel: CancelDraft, lines: Sequence[OrderLineRow]) -> LinesDraft:
    """Raises UnknownSku, DuplicateLine, UnitsHaveLeft."""
    by_sku = {line.sku: line for line in lines if line.wanted}
    if cancel.lines is None:
        named = [LineChange(sku=sku, quantity=line.shipped) for sku, line in by_sku.items() if not line.is_done]
        if not named:
            raise NothingLeft("All that is left of the order has left.")
        return LinesDraft(lines=named, reason=cancel.reason)
    unknown = [{"sku": each.sku, "reason": "not_in_order"} for each in cancel.lines if each.sku not in by_sku]
    if unknown:
        raise UnknownSku(f"The order has no {unknown[0]['sku']}.", unknown)
    _require_distinct([each.sku for each in cancel.lines])
    wanted = []
    for each in cancel.lines:
        line = by_sku[each.sku]
        left = line.shipped if each.quantity is None else line.wanted - each.quantity
        if left < line.shipped:
            raise _has_left(line, left)
        wanted.append(LineChange(sku=each.sku, quantity=left))
    return LinesDraft(lines=wanted, reason=cancel.reason)


def _require_distinct(skus: Sequence[str]) -> None:
    twice = sorted({sku for sku in skus if skus.count(sku) > 1}) if len(set(skus)) < len(skus) else []
    if twice:
        raise DuplicateLine(f"{twice[0]} is named twice.", [{"sku": sku} for sku in twice])


def _has_left(line: OrderLineRow, wanted: int) -> UnitsHaveLeft:
    return UnitsHaveLeft(
        f"{line.shipped} of {line.sku} have left.",
        [{"sku": line.sku, "requested": wanted, "shipped": line.shipped}],
    )


def _targets(draft: LinesDraft, lines: Sequence[OrderLineRow]) -> dict[str, int]:
    """Units wanted of each line that is named. Raises DuplicateLine, UnknownSku, UnitsHaveLeft."""
    _require_distinct([each.sku for each in draft.lines])
    by_sku = {line.sku: line for line in lines}
    targets = {}
    for each in draft.lines:
        line = by_sku.get(each.sku)
        wanted = each.quantity if each.quantity is not None or line is None else line.wanted
        if line is None and not wanted:
            raise UnknownSku(f"The order has no {each.sku}.", [{"sku": each.sku, "reason": "not_in_order"}])
        if line is not None and wanted is not None and wanted < line.shipped:
            raise _has_left(line, wanted)
        targets[each.sku] = wanted or 0
    return targets


# --- prepare


async def _ask_prices(uow: UnitOfWork, plan: Plan) -> dict[str, LinePrice]:
    """What catalog says of the lines of which more is wanted. Raises UnknownSku, NotSellable, OutsideOrderLimits."""
    lines = [OrderedLine(sku=sku, quantity=plan.targets[sku]) for sku in plan.added]
    if not lines:
        return {}
    (prices,) = await pricing.ask_prices(uow, [Basket(plan.shop, plan.customer_group, lines)])
    if isinstance(prices, CrossdockError):
        raise prices
    given = {each.sku for each in plan.draft.lines if each.unit_price is not None}
    known = {sku for sku in plan.units if plan.wanted(sku)}
    pricing.require_sellable([price for price in prices if price.sku not in given | known])
    pricing.check_limits(lines, prices)
    return {price.sku: price for price in prices}


async def _prepare(uow: UnitOfWork, plan: Plan, prices: Mapping[str, LinePrice]) -> PreparedAmendment:
    lines = [
        AmendedLine(
            sku=each.sku,
            quantity=plan.targets[each.sku],
            in_stock_only=each.sku in prices and prices[each.sku].backorder == "deny",
            centre=each.centre,
        )
        for each in plan.draft.lines
    ]
    try:
        return await uow.ask(PrepareAmendment(amendment_id=plan.amendment_id, order=plan.order, lines=lines))
    except CarriedError as error:
        if error.code == "reservation_differs":
            raise IdempotencyKeyReused("This Idempotency-Key was used for another change; choose a new one.") from error
        raise


# --- commit


async def _commit(
    uow: UnitOfWork,
    plan: Plan,
    prices: Mapping[str, LinePrice],
    prepared: PreparedAmendment,
    expected_version: int | None,
) -> Order:
    order = await reading.get_visible(uow, plan.order.order_id, lock=True)
    order.check_version(expected_version)
    changing.require_changeable(order)
    lines = list(await orders.list_lines(uow, order.id))
    if _units(lines) != plan.units:
        raise ConcurrentChange("The order's lines changed at the same moment; read it again.")
    await _require_held(uow, prepared.expires_at)
    before, total_before = _shown(lines, plan), order.total
    net_before = order.goods - order.line_discount
    lines = await _write(uow, order, lines, plan, prices, prepared)
    _charge(order, lines, plan.draft, net_before)
    _require_expected(order, plan.draft.expected_total)
    await changes.add_amendment(uow, order.id, plan.amendment_id)
    await _tell(uow, order, plan, before, _shown(lines, plan), lines)
    if order.total != total_before:
        await paying.settle_total(uow, order, total_before)
    return await reading.whole(uow, order)


async def _require_held(uow: UnitOfWork, expires_at: datetime | None) -> None:
    """Raises HoldRanOut. What has taken effect already is held for good."""
    if expires_at is not None and await orders.get_time(uow) + LEAST_HOLD >= expires_at:
        raise HoldRanOut("The stock was held too long ago to change the order safely; send the request again.")


async def _write(
    uow: UnitOfWork,
    order: OrderRow,
    lines: list[OrderLineRow],
    plan: Plan,
    prices: Mapping[str, LinePrice],
    prepared: PreparedAmendment,
) -> list[OrderLineRow]:
    by_sku = {line.sku: line for line in lines}
    for each in plan.draft.lines:
        line = by_sku.get(each.sku)
        if line is None:
            line = _new_line(order, each, prices[each.sku], len(by_sku) + 1)
            by_sku[each.sku] = line
            await orders.add(uow, line)
        _rewrite(order, line, each, plan.targets[each.sku])
        line.wait_longer_for(prepared.backordered.get(each.sku, 0))
    await (await uow.session()).flush()
    return list(by_sku.values())


def _new_line(order: OrderRow, change: LineChange, price: LinePrice, position: int) -> OrderLineRow:
    unit_price = change.unit_price or price.unit_price
    if unit_price is None:
        raise UnknownSku(f"The shop has no price for {change.sku}.")
    return OrderLineRow(
        organization_id=order.organization_id,
        order_id=order.id,
        sku=change.sku,
        position=position,
        title=price.title,
        quantity=0,
        unit_price=order.in_minor_units(unit_price),
    )


def _rewrite(order: OrderRow, line: OrderLineRow, change: LineChange, wanted: int) -> None:
    """Let a line want so many units; its discounts and taxes follow, unless they are given."""
    was = line.wanted
    if change.unit_price is not None:
        line.unit_price = order.in_minor_units(change.unit_price)
    discounts = _scaled(line.named_discounts(), wanted, was) if change.discounts is None else change.discounts
    taxes = _scaled(line.named_taxes(), wanted, was) if change.taxes is None else change.taxes
    line.want(wanted)
    ordered = OrderedLine.model_construct(sku=line.sku, quantity=wanted, discounts=discounts, taxes=taxes)
    line.charge(totals.of_line(order.currency, ordered, line.unit_price), discounts, taxes)


def _scaled(charges: Sequence[C], now: int, before: int) -> list[C]:
    """The same charges in proportion, rounded down: what is off a price never grows beyond it."""
    if now == before or before <= 0:
        return list(charges)
    scaled = [
        each.model_copy(
            update={"amount": Money(amount=each.amount.amount * now // before, currency=each.amount.currency)}
        )
        for each in charges
    ]
    return [each for each in scaled if each.amount.amount]


def _charge(order: OrderRow, lines: Sequence[OrderLineRow], draft: LinesDraft, net_before: int) -> None:
    """Let the order's own discounts and taxes follow its goods, unless they are given, and add up."""
    sums = [line.sums() for line in lines]
    net = sum(line.goods - line.discount for line in sums)
    known = order.charges()
    order.charge(
        Charges(
            _scaled(known.discounts, net, net_before) if draft.discounts is None else draft.discounts,
            _scaled(known.taxes, net, net_before) if draft.taxes is None else draft.taxes,
            known.shipping,
        )
    )
    order.come_to(totals.of_order(order.currency, sums, order.charges()))


def _require_expected(order: OrderRow, expected: Money | None) -> None:
    if expected is not None and expected != order.money(order.total):
        now = order.money(order.total)
        raise PriceChanged(f"The total would be {now.major} {now.currency}.", [{"total": now.model_dump()}])


def _shown(lines: Sequence[OrderLineRow], plan: Plan) -> dict[str, int]:
    return {line.sku: line.wanted for line in lines if line.sku in plan.targets}


async def _tell(
    uow: UnitOfWork,
    order: OrderRow,
    plan: Plan,
    before: Mapping[str, int],
    after: Mapping[str, int],
    lines: Sequence[OrderLineRow],
) -> None:
    centres = {each.sku: each.centre for each in plan.draft.lines if each.centre is not None}
    moved = [f"{sku}, {before.get(sku, 0)} to {now}" for sku, now in after.items() if now != before.get(sku, 0)]
    told = "; ".join(moved + [f"{sku} comes from {centre}" for sku, centre in centres.items()])
    differences = {sku: {"before": before.get(sku, 0), "after": units} for sku, units in after.items()}
    reason = plan.draft.reason
    text = f"Lines changed: {told or 'their price'}."
    await goods.follow(uow, order, lines, "lines_changed", text, reason=reason, units=differences, centres=centres)
    order.touch()
    uow.record(OrderLinesChanged(order=await standing(uow, order, lines)))
    uow.audit("order.change_lines", "order", order.id, before=dict(before), after=dict(after), reason=reason)
