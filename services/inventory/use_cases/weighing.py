"""What was weighed when centres were chosen, in words that are stored and shown: why one gives and another does not.

| verdict | meaning |
|---|---|
| `chosen` | it gives what it has |
| `chosen_beyond_stock` | it promises more than it has, as the policy allows |
| `not_needed` | it has some; others went before by the rule |
| `nothing_there` | it has none to sell |
| `not_on_sale` | its policy or its dates forbid it |
| `does_not_count` | what it has is not sold by this shop |
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from services.inventory.models import Place, ReservedUnits, Serving, SourcingRule, Stock, WantedLine
from shared.contracts.inventory.shapes import NotSold

# Of a line that is short: no centre sells for the shop, whatever lies where.
NO_CENTRE: NotSold = "no_centre"


def explain(
    line: WantedLine,
    serving: Sequence[Serving],
    stock: Mapping[Place, Stock],
    today: date,
    units: Iterable[ReservedUnits],
) -> dict[str, Any]:
    """Every centre of the shop, for every SKU that the line is made of."""
    kit = line.sku if line.is_kit else ""
    own = {(part.sku, part.centre_id): part for part in units if part.kit == kit}
    weighed = [
        _weighed(sku, centre, stock.get((sku, centre.centre_id)), today, own.get((sku, centre.centre_id)))
        for sku in line.needs()
        for centre in serving
    ]
    return {"sku": line.sku, "quantity": line.quantity, "weighed": weighed}


def _weighed(sku: str, centre: Serving, row: Stock | None, today: date, taken: ReservedUnits | None) -> dict[str, Any]:
    return {
        "sku": sku,
        "centre": centre.code,
        "preference": centre.preference,
        "dispatches": centre.dispatches,
        "available": row.sellable(today) if row is not None and centre.counts else 0,
        "taken": 0 if taken is None else taken.quantity,
        "beyond_stock": 0 if taken is None else taken.backordered,
        "verdict": _verdict(centre, row, today, taken),
    }


def _verdict(centre: Serving, row: Stock | None, today: date, taken: ReservedUnits | None) -> str:
    if taken is not None:
        return "chosen_beyond_stock" if taken.backordered else "chosen"
    if not centre.counts:
        return "does_not_count"
    if row is not None and not row.is_on_sale(today):
        return "not_on_sale"
    return "not_needed" if row is not None and row.sellable(today) else "nothing_there"


def shortage(
    line: WantedLine, serving: Sequence[Serving], stock: Mapping[Place, Stock], today: date, rule: SourcingRule
) -> dict[str, Any]:
    """Why a line cannot be served: how much of it there is, where, and of a kit which children are missing."""
    counting = [centre.centre_id for centre in serving if centre.counts]
    codes = {centre.centre_id: centre.code for centre in serving}
    rows = {sku: [stock[sku, id_] for id_ in counting if (sku, id_) in stock] for sku in line.needs()}
    there = {sku: {row.centre_id: row.sellable(today) for row in found} for sku, found in rows.items()}
    everywhere = sets_of(line, {sku: sum(found.values()) for sku, found in there.items()})
    together = max(
        (sets_of(line, {sku: found.get(id_, 0) for sku, found in there.items()}) for id_ in counting), default=0
    )
    available = everywhere if rule.splitting == "lines" else together
    entry: dict[str, Any] = {
        "sku": line.sku,
        "requested": line.quantity,
        "available": min(available, line.quantity),
        "reason": _reason(line, rows, everywhere, together, today, rule) if counting else NO_CENTRE,
        "centres": _by_centre(there, codes),
    }
    if line.is_kit:
        entry["missing"] = _missing(line, there)
    return entry


def sets_of(line: WantedLine, there: Mapping[str, int]) -> int:
    """How many of a line these units make."""
    return min(there.get(sku, 0) // per_line for sku, per_line in line.made_of().items())


def not_sold(rows: Collection[Sequence[Stock]], today: date) -> NotSold | None:
    """Why not one can be sold of goods that need some of each of these SKUs, where centres count for the shop."""
    if not all(rows):
        return "not_stocked"
    if not all(any(row.is_on_sale(today) for row in found) for found in rows):
        return "not_on_sale"
    return None


def _reason(
    line: WantedLine,
    rows: Mapping[str, Sequence[Stock]],
    everywhere: int,
    together: int,
    today: date,
    rule: SourcingRule,
) -> str:
    if nothing := not_sold(rows.values(), today):
        return nothing
    if everywhere >= line.quantity:
        if rule.splitting != "lines" and together < line.quantity:
            return "not_in_one_centre"
        # By itself the line could be had.
        return "order_not_in_one_centre" if rule.splitting == "never" else "not_enough_for_all_lines"
    return "not_enough" if everywhere else "out_of_stock"


def _by_centre(there: Mapping[str, Mapping[UUID, int]], codes: Mapping[UUID, str]) -> list[dict[str, Any]]:
    return [
        {"centre": codes[centre_id], "sku": sku, "available": available}
        for sku, found in there.items()
        for centre_id, available in found.items()
    ]


def _missing(line: WantedLine, there: Mapping[str, Mapping[UUID, int]]) -> list[dict[str, Any]]:
    missing = []
    for sku, needed in line.needs().items():
        available = sum(there[sku].values())
        if available < needed:
            missing.append({"sku": sku, "requested": needed, "available": available})
    return missing
