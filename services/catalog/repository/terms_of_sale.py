"""How a shop sells: its line, the price lists that can count and the categories assigned to it, in one statement."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.catalog.repository.price_terms import LIST, ListTerms
from services.catalog.repository.shops import LINE, LINE_COLUMNS, KnownShop
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class TermsOfSale:
    """`line` is the shop and its ancestors, as `shops.list_line` has them; `lists` as `list_terms_in_force`.

    `assigned` are the categories of the nearest shop of the line that has any, which is at the place `assigned_at`.
    `customer_groups` are all that a list of the line is for, whether or not it is in force.
    """

    line: list[KnownShop]
    lists: list[ListTerms]
    assigned: set[UUID]
    assigned_at: int | None
    customer_groups: set[str]

    @property
    def assigned_in(self) -> str | None:
        """The code of the shop that `assigned` are of."""
        return None if self.assigned_at is None else self.line[self.assigned_at].code


async def find(
    uow: UnitOfWork, shop_id: UUID, customer_group: str | None, at: datetime, *, to_all: bool = False
) -> TermsOfSale | None:
    """How a shop sells to a customer group, or with `to_all` to each, at a moment; None when it is not known."""
    rows = await uow.fetch(_FIND, shop_id, customer_group, at, to_all)
    if not rows:
        return None
    nearest = next((place for place, row in enumerate(rows) if row["assigned"]), None)
    return TermsOfSale(
        [KnownShop(*list(row.values())[:-3]) for row in rows],
        [ListTerms(*terms) for row in rows for terms in row["lists"]],
        set(() if nearest is None else rows[nearest]["assigned"]),
        nearest,
        {group for row in rows for group in row["groups"]},
    )


_FIND = f"""{LINE}
SELECT {LINE_COLUMNS},
    ARRAY(SELECT a.category_id FROM shop_categories a WHERE a.shop_id = line.id) AS assigned,
    ARRAY(
        SELECT ROW({LIST}) FROM price_lists
        WHERE shop_id = line.id AND currency = (SELECT first.currency FROM line first WHERE first.distance = 0)
        AND (customer_group IS NULL OR customer_group = $2 OR $4)
        AND (starts_at IS NULL OR starts_at <= $3) AND (ends_at IS NULL OR ends_at > $3)
    ) AS lists,
    ARRAY(SELECT DISTINCT customer_group FROM price_lists WHERE $4 AND shop_id = line.id AND customer_group IS NOT NULL)
        AS groups
FROM line ORDER BY distance
"""  # noqa: S608
