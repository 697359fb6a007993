"""What an operator finds, and the documents it is found in: orders and products of an organization."""

from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Command, Query, Shape
from shared.contracts.platform.shapes import Job

DocumentKind = Literal["order"]
KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
MOST_FOUND = 10_000
Words = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]


class FoundIds(Shape):
    """Which were found, in the order asked for; with more than that, all of them up to and including `reaches_to`."""

    ids: list[UUID]
    total: int
    reaches_to: datetime | None = None


class FindOrders(Query[FoundIds]):
    """The orders that words are in, the latest first. Internal: orders asks, and shows of them what may be seen.

    All words must be there, the last one also as a beginning. A number that is given whole (the order's own, its
    external one, that of a shipment) finds what has it alone. `shop_ids` are all where there are none. The times are
    those of placing, both inclusive, by the millisecond.
    """

    query: Words
    shop_ids: list[UUID] | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    oldest_first: bool = False
    most: Annotated[int, Field(ge=1, le=MOST_FOUND)] = 1000


class OperatorDocuments(Shape):
    """How the documents of one kind stand: how many there are, what waits to be built, and what keeps failing."""

    kind: DocumentKind
    documents: int
    pending: int
    failed: int
    oldest_pending_at: datetime | None = None
    last_error: str | None = None


class OperatorIndex(Shape):
    """What operators find orders and products in. `rebuilt_at` is when it was last filled anew as a whole."""

    sequence: int
    generation: int
    rebuilt_at: datetime | None = None
    kinds: list[OperatorDocuments]


class GetOperatorIndex(Query[OperatorIndex]):
    """How the documents stand that operators find orders and products in."""


class RebuildOperatorIndex(Command[Job]):
    """Build the documents of orders and products anew from their sources, all or those of one kind.

    A second request for the same, while one is running, gets the running job.
    """

    kind: DocumentKind | None = None
