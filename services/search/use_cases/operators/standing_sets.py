"""From how a product or an order stands on connections to the sets it is in: of the platform, and of the connection."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from services.search.use_cases.batches import Units
from shared.contracts.catalog.product_sets import ISSUES, category_set
from shared.contracts.sync.standings import GetListingStandings, ListingStanding

# What somebody types, and labels show: a path that is longer is in no set of its own.
_LONGEST = 300
Standings = dict[UUID, list[ListingStanding]]


async def ask(units: Units, *, products: Sequence[UUID] = (), orders: Sequence[UUID] = ()) -> Standings:
    """How these stand, by their ids. Raises what asking raises."""
    found: Standings = {}
    question = GetListingStandings(product_ids=list(products), order_ids=list(orders))
    for item in (await units().ask(question)).items:
        found.setdefault(item.id, []).append(item)
    return found


def sets_of(standings: Iterable[ListingStanding]) -> list[str]:
    """Each once, in an order that is the same whenever they are."""
    return sorted({name for standing in standings for name in _sets(standing) if len(name) <= _LONGEST})


def _sets(standing: ListingStanding) -> Iterator[str]:
    if standing.has_issues:
        yield f"with:{ISSUES}"
    for place in (standing.platform, str(standing.connection_id)):
        for name, holds in _names(standing):
            if holds:
                yield f"{name}:{place}"
        if standing.is_listed:
            yield from (category_set(place, path) for path in standing.categories if any(path))


def _names(standing: ListingStanding) -> Iterator[tuple[str, bool]]:
    there = standing.is_listed
    yield "on", there
    yield "published", there and standing.is_published
    yield "unpublished", there and not standing.is_published
    yield "in_category", there and bool(standing.categories)
    yield "without_category", there and not standing.categories
    yield "pending_update", standing.has_pending_update
    yield "pending_create", standing.has_pending_create
    yield "issues", standing.has_issues
