"""What a shop can sell: what the centres that count for it have together; where lines are not split, what one has."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from services.inventory.errors import TooManySkus
from services.inventory.models import Served, Serving, SourcingRule, Stock
from services.inventory.repository import shop_centres, supply
from services.inventory.repository.supply import Supply
from services.inventory.use_cases import weighing
from shared import clock
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.inventory.shapes import Availabilities, Availability
from shared.unit_of_work import UnitOfWork

MOST_SKUS = 1000
_NOWHERE = UUID(int=0)


async def get_together(uow: UnitOfWork, asked: Sequence[GetAvailability]) -> list[Availabilities | TooManySkus]:
    """One entry per SKU for each, in the order asked: the SKUs of one shop are looked up together, and each once.

    A shop nobody told us of yet can sell nothing. TooManySkus is what becomes of one that asks for too many.
    """
    wanted: dict[UUID, dict[str, None]] = {}
    for message in asked:
        if len(message.skus) <= MOST_SKUS:
            wanted.setdefault(message.shop_id, {}).update(dict.fromkeys(message.skus))
    told: dict[tuple[UUID, str], Availability] = {}
    as_of: datetime | None = None
    for shop_id, skus in wanted.items():
        for start in range(0, len(skus), MOST_SKUS):
            found, as_of = await _find(uow, shop_id, list(skus)[start : start + MOST_SKUS])
            told |= {(shop_id, item.sku): item for item in found}
    as_of = as_of or await uow.fetchval("SELECT now()")
    return [
        _too_many(message.skus)
        if len(message.skus) > MOST_SKUS
        else Availabilities(items=[told[message.shop_id, sku] for sku in message.skus], as_of=as_of)
        for message in asked
    ]


def _too_many(skus: Sequence[str]) -> TooManySkus:
    return TooManySkus(f"{len(skus)} SKUs were asked for; {MOST_SKUS} at a time.")


async def _find(uow: UnitOfWork, shop_id: UUID, skus: Sequence[str]) -> tuple[list[Availability], datetime]:
    """One entry per SKU, and the database's clock."""
    served = await shop_centres.find_served(uow, shop_id) or Served([], SourcingRule())
    found = await supply.find(uow, skus, served.counting)
    return of_all(skus, served, found), found.as_of


def of_all(skus: Sequence[str], served: Served, found: Supply) -> list[Availability]:
    """One entry per SKU, of what was found of them in the centres that count for a shop."""
    serving = [s for s in served.centres if s.counts]
    goods, rows = found.goods, _by_sku(found.rows, serving)
    today, splits = clock.now().date(), served.rule.splitting == "lines"
    items = [
        of_kit(sku, goods[sku], rows, today, splits=splits)
        if sku in goods
        else of(sku, rows.get(sku, ()), today, splits=splits)
        for sku in skus
    ]
    if not serving:
        items = [item.model_copy(update={"not_sold": weighing.NO_CENTRE}) for item in items]
    return items


def of(sku: str, rows: Sequence[Stock], today: date, *, splits: bool = True) -> Availability:
    """What `rows`, in the order of preference, make of a SKU. Its policy is the first that is not standard.

    Where a line is not split (`splits` is false), no more of it can be sold than one centre has.
    """
    quantities = [row.sellable(today) for row in rows]
    quantity = sum(quantities) if splits else max(quantities, default=0)
    speaking = next((row for row in rows if row.policy != "standard"), rows[0] if rows else Stock(sku, _NOWHERE))
    return Availability.known(
        sku=sku,
        available=quantity > 0 or any(row.promises_beyond(today) for row in rows),
        available_quantity=quantity,
        policy=speaking.policy,
        available_from=speaking.available_from,
        available_until=speaking.available_until,
        restock_date=speaking.restock_date,
        not_sold=weighing.not_sold([rows], today),
        everywhere=None if splits else sum(quantities),
    )


def of_kit(
    sku: str, goods: Mapping[str, int], rows: Mapping[str, Sequence[Stock]], today: date, *, splits: bool = True
) -> Availability:
    """What its scarcest child makes of a kit: that child's policy, and dates that hold for all of them."""
    children = {child: of(child, rows.get(child, ()), today, splits=splits) for child in goods}
    scarcest = min(children.values(), key=lambda child: _scarcity(child, goods[child.sku]))
    quantity = _kits(goods, rows, today, splits=splits)
    return Availability(
        sku=sku,
        available=quantity > 0 or _may_be_promised(goods, rows, today, splits=splits),
        available_quantity=quantity,
        policy=scarcest.policy,
        available_from=max((c.available_from for c in children.values() if c.available_from), default=None),
        available_until=min((c.available_until for c in children.values() if c.available_until), default=None),
        restock_date=max((c.restock_date for c in children.values() if c.restock_date), default=None),
        not_sold=weighing.not_sold([rows.get(child, ()) for child in goods], today),
        everywhere=None if splits else _kits(goods, rows, today, splits=True),
    )


def _scarcity(child: Availability, per_kit: int) -> tuple[bool, int, bool]:
    """Whatever cannot be sold at all is scarcest, then what there is least of."""
    is_sold = child.available and child.policy != "showroom"
    return is_sold, child.available_quantity // per_kit, child.policy != "standard"


def _kits(goods: Mapping[str, int], rows: Mapping[str, Sequence[Stock]], today: date, *, splits: bool) -> int:
    """Kits that can be put together: of what all centres have, or of what one has."""
    if splits:
        return min(sum(row.sellable(today) for row in rows.get(sku, ())) // per_kit for sku, per_kit in goods.items())
    return max((_kits_of_centre(goods, rows, today, centre_id) for centre_id in _centres(rows, goods)), default=0)


def _kits_of_centre(goods: Mapping[str, int], rows: Mapping[str, Sequence[Stock]], today: date, centre_id: UUID) -> int:
    there = {sku: _in_centre(rows.get(sku, ()), centre_id) for sku in goods}
    return min(row.sellable(today) // goods[sku] if row is not None else 0 for sku, row in there.items())


def _may_be_promised(
    goods: Mapping[str, int], rows: Mapping[str, Sequence[Stock]], today: date, *, splits: bool
) -> bool:
    """Whether one kit can be promised though not all of it is there."""
    if splits:
        return all(
            sum(row.sellable(today) for row in rows.get(sku, ())) >= per_kit
            or any(row.promises_beyond(today) for row in rows.get(sku, ()))
            for sku, per_kit in goods.items()
        )
    return any(
        all(
            row is not None and (row.sellable(today) >= per_kit or row.promises_beyond(today))
            for row, per_kit in ((_in_centre(rows.get(sku, ()), centre_id), goods[sku]) for sku in goods)
        )
        for centre_id in _centres(rows, goods)
    )


def _centres(rows: Mapping[str, Sequence[Stock]], goods: Mapping[str, int]) -> set[UUID]:
    return {row.centre_id for sku in goods for row in rows.get(sku, ())}


def _in_centre(rows: Sequence[Stock], centre_id: UUID) -> Stock | None:
    return next((row for row in rows if row.centre_id == centre_id), None)


def _by_sku(rows: Sequence[Stock], serving: Sequence[Serving]) -> dict[str, list[Stock]]:
    rank = {s.centre_id: place for place, s in enumerate(serving)}
    by_sku: dict[str, list[Stock]] = {}
    for row in sorted(rows, key=lambda row: rank[row.centre_id]):
        by_sku.setdefault(row.sku, []).append(row)
    return by_sku
