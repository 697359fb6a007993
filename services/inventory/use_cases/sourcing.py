"""Which centres serve an order, by the rule of its shop: pure, locked stock in, units out.

A *line* is what the order names; its *parts* are the SKUs that lie in centres: itself, or the children of a kit.
Centres that may dispatch always come first. What is there goes before what is not. Then the rule decides:

| strategy | which centre first |
|---|---|
| `preference` | the preferred one |
| `most_stock` | the one that has most of the SKU (of the line, of the order: of what goes together) |
| `fewest_shipments` | those of the smallest set of centres that serves the whole order |

| splitting | what stays together |
|---|---|
| `lines` | nothing: a line may come from several centres |
| `orders` | a line comes from one centre, a kit with all its children |
| `never` | the order comes from one centre |
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from uuid import UUID

from services.inventory.errors import InsufficientStock
from services.inventory.models import Place, ReservedUnits, Serving, Sourced, SourcingRule, Stock, WantedLine
from services.inventory.use_cases import weighing

# Sets of centres that are tried one by one, the smallest first, while stock is locked: all there are of nine centres.
# Beyond, centres are taken away greedily, and there may be one too many.
_SETS_AT_MOST = 511


def choose(
    lines: Sequence[WantedLine],
    serving: Sequence[Serving],
    stock: Mapping[Place, Stock],
    today: date,
    rule: SourcingRule,
) -> Sourced:
    """Units for the whole demand, and for each line what was weighed. Raises as `units_for`."""
    units = units_for(lines, serving, stock, today, rule)
    return Sourced(units, [weighing.explain(line, serving, stock, today, units) for line in _in_turn(lines)])


def units_for(
    lines: Sequence[WantedLine],
    serving: Sequence[Serving],
    stock: Mapping[Place, Stock],
    today: date,
    rule: SourcingRule,
) -> list[ReservedUnits]:
    """Units for the whole demand, or InsufficientStock with an entry for every line that falls short.

    `serving` is in the order of preference; only centres that count for the shop are used, so that exactly what is
    shown as available can be reserved. Of lines `in_stock_only` nothing is promised that is not there. `stock` is of
    these lines alone: all of it is looked at.
    """
    sources = _Sources([s for s in serving if s.counts], stock, today, rule)
    served = _served(_in_turn(lines), sources)
    if served.short:
        shortages = [weighing.shortage(line, serving, stock, today, rule) for line in served.short]
        if not sources.serving:
            raise InsufficientStock(shortages, "No fulfilment centre sells for this shop: assign one to it.")
        raise InsufficientStock(shortages)
    return served.merged()


def _in_turn(lines: Sequence[WantedLine]) -> list[WantedLine]:
    """Those that take nothing on promise choose first."""
    return sorted(lines, key=lambda line: (not line.in_stock_only, line.sku))


@dataclass
class _Served:
    """One way to serve the lines, and the lines it does not serve."""

    units: list[ReservedUnits]
    short: list[WantedLine]

    @property
    def beyond(self) -> int:
        return sum(units.backordered for units in self.units)

    def merged(self) -> list[ReservedUnits]:
        """One entry per kit, SKU and centre."""
        merged: dict[tuple[str, str, UUID], ReservedUnits] = {}
        for units in self.units:
            known = merged.setdefault((units.kit, units.sku, units.centre_id), units)
            if known is not units:
                known.quantity += units.quantity
                known.backordered += units.backordered
        return list(merged.values())


class _Sources:
    """The centres of a shop and what can be taken from them."""

    def __init__(
        self, serving: Sequence[Serving], stock: Mapping[Place, Stock], today: date, rule: SourcingRule
    ) -> None:
        self.serving = serving
        self.stock = stock
        self.today = today
        self.rule = rule
        self.left = {place: row.sellable(today) for place, row in stock.items()}

    def only(self, chosen: Sequence[Serving]) -> "_Sources":
        """The same, untouched, of these centres alone."""
        return _Sources(chosen, self.stock, self.today, self.rule)

    def has(self, centre_id: UUID, sku: str) -> int:
        return self.left.get((sku, centre_id), 0)

    def lends(self, centre_id: UUID, sku: str, *, in_stock_only: bool) -> bool:
        """Whether more of a SKU than a centre has may be promised there."""
        row = self.stock.get((sku, centre_id))
        if row is None or not row.promises_beyond(self.today):
            return False
        return row.policy == "always" or not in_stock_only

    def by_stock_of(self, wanted: Mapping[str, int]) -> list[Serving]:
        """Centres in the order in which they are asked for these SKUs."""
        if self.rule.strategy != "most_stock":
            return list(self.serving)
        return sorted(self.serving, key=lambda s: (not s.dispatches, -self._fullness(s, wanted), s.rank))

    def _fullness(self, centre: Serving, wanted: Mapping[str, int]) -> float:
        """How often a centre could give all of it; of what it lacks a part of, less than once."""
        shares = [self.has(centre.centre_id, sku) / quantity for sku, quantity in wanted.items()]
        return min(shares) if min(shares) >= 1 else sum(min(share, 1) for share in shares) / len(shares) - 1


def _served(lines: Sequence[WantedLine], sources: _Sources) -> _Served:
    if sources.rule.splitting == "never":
        return _from_one_centre(lines, sources)
    if sources.rule.strategy == "fewest_shipments":
        return _from_fewest_centres(lines, sources)
    return _line_by_line(lines, sources)


def _line_by_line(lines: Sequence[WantedLine], sources: _Sources) -> _Served:
    served = _Served([], [])
    whole = sources.rule.splitting != "lines"
    for line in lines:
        before = dict(sources.left)
        units = _whole_line(line, sources) if whole else _split_line(line, sources)
        if units is None:
            sources.left = before
            served.short.append(line)
        else:
            served.units += units
    return served


def _split_line(line: WantedLine, sources: _Sources) -> list[ReservedUnits] | None:
    """What is there, centre after centre, and the rest beyond where a policy allows."""
    units: list[ReservedUnits] = []
    for sku, quantity in line.needs().items():
        missing = quantity
        for centre in sources.by_stock_of({sku: quantity}):
            there = min(sources.has(centre.centre_id, sku), missing)
            if there:
                units.append(_take(line, sku, centre.centre_id, there, 0, sources))
                missing -= there
        if missing:
            lender = _lender(sku, sources, in_stock_only=line.in_stock_only)
            if lender is None:
                return None
            units.append(_take(line, sku, lender.centre_id, missing, missing, sources))
    return units


def _lender(sku: str, sources: _Sources, *, in_stock_only: bool) -> Serving | None:
    lenders = (s for s in sources.serving if sources.lends(s.centre_id, sku, in_stock_only=in_stock_only))
    return next(lenders, None)


def _whole_line(line: WantedLine, sources: _Sources) -> list[ReservedUnits] | None:
    """The line from one centre: the first that has all of it, else the first that may promise what it lacks."""
    ordered = sources.by_stock_of(line.needs())
    for beyond in (False, True):
        for centre in ordered:
            units = _line_from(line, centre, sources, beyond=beyond)
            if units is not None:
                return units
    return None


def _line_from(line: WantedLine, centre: Serving, sources: _Sources, *, beyond: bool) -> list[ReservedUnits] | None:
    needs = line.needs()
    missing = {sku: max(quantity - sources.has(centre.centre_id, sku), 0) for sku, quantity in needs.items()}
    lacking = [sku for sku, quantity in missing.items() if quantity]
    if lacking and not beyond:
        return None
    if not all(sources.lends(centre.centre_id, sku, in_stock_only=line.in_stock_only) for sku in lacking):
        return None
    return [
        _take(line, sku, centre.centre_id, quantity, missing[sku], sources)
        for sku, quantity in needs.items()
        if quantity
    ]


def _take(line: WantedLine, sku: str, centre_id: UUID, quantity: int, beyond: int, sources: _Sources) -> ReservedUnits:
    if quantity > beyond:
        sources.left[sku, centre_id] -= quantity - beyond
    return ReservedUnits(
        sku,
        centre_id,
        quantity,
        beyond,
        in_stock_only=line.in_stock_only,
        kit=line.sku if line.is_kit else "",
        per_kit=line.parts[sku] if line.is_kit else 1,
    )


def _from_one_centre(lines: Sequence[WantedLine], sources: _Sources) -> _Served:
    """The order from one centre: the first that has all of it, else the one that must promise least beyond."""
    wanted: dict[str, int] = {}
    for line in lines:
        for sku, quantity in line.needs().items():
            wanted[sku] = wanted.get(sku, 0) + quantity
    best: _Served | None = None
    for centre in sources.by_stock_of(wanted):
        served = _line_by_line(lines, sources.only([centre]))
        if not served.short and (best is None or served.beyond < best.beyond):
            best = served
    return best or _Served([], list(lines))


def _from_fewest_centres(lines: Sequence[WantedLine], sources: _Sources) -> _Served:
    """The order from the smallest set of centres that promises no more beyond stock than all centres together would.

    Of several such sets the one with the fewest centres that may not dispatch, then the most preferred ones.
    """
    everywhere = _line_by_line(lines, sources.only(sources.serving))
    if everywhere.short:
        return everywhere
    useful = _useful(lines, sources)
    for chosen in _sets(useful, len({units.centre_id for units in everywhere.units})):
        served = _line_by_line(lines, sources.only(chosen))
        if not served.short and served.beyond <= everywhere.beyond:
            return served
    return everywhere if len(useful) <= 1 else _greedily(lines, sources, everywhere)


def _useful(lines: Sequence[WantedLine], sources: _Sources) -> list[Serving]:
    skus = {sku for line in lines for sku in line.needs()}
    return [
        centre
        for centre in sources.serving
        if any(
            sources.has(centre.centre_id, sku) or sources.lends(centre.centre_id, sku, in_stock_only=False)
            for sku in skus
        )
    ]


def _sets(centres: Sequence[Serving], largest: int) -> Iterator[Sequence[Serving]]:
    """Sets of centres, smaller ones first, of one size the preferred ones first; as many as are tried."""
    count = 0
    for size in range(1, largest + 1):
        ranked = combinations(range(len(centres)), size)
        for places in sorted(_first(ranked, _SETS_AT_MOST - count), key=lambda chosen: _rank(centres, chosen)):
            yield [centres[place] for place in places]
            count += 1


def _first(sets: Iterator[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
    return [chosen for chosen, _ in zip(sets, range(most), strict=False)]


def _rank(centres: Sequence[Serving], places: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    return sum(not centres[place].dispatches for place in places), sum(places), places


def _greedily(lines: Sequence[WantedLine], sources: _Sources, everywhere: _Served) -> _Served:
    """Take away centre after centre, the least preferred first, as long as the others still serve everything."""
    used = {units.centre_id for units in everywhere.units}
    chosen = [centre for centre in sources.serving if centre.centre_id in used]
    best = everywhere
    for centre in reversed(list(chosen)):
        fewer = [other for other in chosen if other is not centre]
        served = _line_by_line(lines, sources.only(fewer))
        if fewer and not served.short and served.beyond <= everywhere.beyond:
            chosen, best = fewer, served
    return best
