"""How products and orders stand on connections: what sync tells whoever keeps them to be found (SYN-13)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Query, Shape
from shared.contracts.sync.shapes import ConnectionIdentity

MOST_STANDINGS = 200


class ListingStanding(Shape):
    """How a product or an order (`id`) stands on one connection.

    `is_listed`: the platform has it; `is_published`: and shows it. `categories` are paths there, each a list of names.
    `has_pending_update`: something of it waits to be written there, or of an order to be taken from there; stock is
    none of that. `has_pending_create`: it, or a variant of it, waits to be made there. `has_issues`: one is open of it,
    of a variant, or of their stock.
    """

    id: UUID
    connection_id: UUID
    platform: str
    is_listed: bool
    is_published: bool
    categories: list[list[str]]
    has_pending_update: bool
    has_pending_create: bool
    has_issues: bool


class ListingStandings(Shape):
    """One for each connection that has to do with one of them."""

    items: list[ListingStanding]


class GetListingStandings(Query[ListingStandings]):
    """How these products and orders stand on each connection. Internal: search asks."""

    product_ids: Annotated[list[UUID], Field(max_length=MOST_STANDINGS)] = []
    order_ids: Annotated[list[UUID], Field(max_length=MOST_STANDINGS)] = []


class NamedConnection(Shape):
    """What a connection, and its platform, are called."""

    id: UUID
    name: str
    platform: str
    platform_title: str


class NamedConnections(Shape):
    connections: list[NamedConnection]


class GetNamedConnections(Query[NamedConnections]):
    """The connections of these shops, or all that there are. Internal: search asks."""

    shop_ids: list[UUID] | None = None


class ConnectionIdentities(Shape):
    connections: list[ConnectionIdentity]


class GetConnectionIdentities(Query[ConnectionIdentities]):
    """All connections, whoever's shops they are of. Internal: catalog asks where it has not heard of one yet."""
