"""What an operator finds, and the documents it is found in: orders and products of an organization."""

from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Command, Query, Shape
from shared.contracts.catalog.product_sets import MOST_SETS, ProductSets, Words
from shared.contracts.platform.shapes import Job

DocumentKind = Literal["order", "product"]
KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
MOST_FOUND = 10_000
MOST_SPANS = 1000


class FoundIds(Shape):
    """Which were found, in the order asked for; with more than that, all of them up to and including `reaches_to`."""

    ids: list[UUID]
    total: int
    reaches_to: datetime | None = None


class FindOrders(Query[FoundIds]):
    """The orders that words are in, the latest first. Internal: orders asks, and shows of them what may be seen.

    All words must be there, the last one also as a beginning. A number that is given whole (the order's own, its
    external one, that of a shipment) finds what has it alone. `shop_ids` are all where there are none. The times are
    those of placing, both inclusive, by the millisecond. `sets` are those of connections; they intersect.
    """

    query: Words = ""
    sets: Annotated[list[str], Field(max_length=MOST_SETS)] = []
    shop_ids: list[UUID] | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    oldest_first: bool = False
    most: Annotated[int, Field(ge=1, le=MOST_FOUND)] = 1000


class FoundProducts(Shape):
    """Which were found, in the order asked for; with more than that, all of them up to and including `reaches_to`."""

    ids: list[UUID]
    total: int
    reaches_to: UUID | None = None


class FindProducts(Query[FoundProducts]):
    """The products that have the words and are in all of the sets, newest first. Internal: catalog asks.

    All words must be there, the last one also as a beginning: in titles, brand, type, tags, SKUs, barcodes and the
    maker's numbers. `before` leaves out those whose ids are not less; `after` those whose are not greater, and
    then they come by id, and are no more than asked for. With `shop_ids` only connections of these shops count.
    """

    query: Words = ""
    sets: Annotated[list[str], Field(max_length=MOST_SETS + 1)] = []
    before: UUID | None = None
    after: UUID | None = None
    shop_ids: list[UUID] | None = None
    most: Annotated[int, Field(ge=1, le=MOST_FOUND)] = 1000


class CountedProducts(Shape):
    """How many products there are."""

    total: int


class CountProductSet(Query[CountedProducts]):
    """How many products have the words and are in all of the sets."""

    query: Words | None = None
    sets: ProductSets = []


class SuggestedSet(Shape):
    """A set that holds some of what is meant, how many, and what to call it to people."""

    set: str
    count: int
    label: str = ""


class SuggestedSets(Shape):
    sets: list[SuggestedSet]


class SuggestProductSets(Query[SuggestedSets]):
    """Sets that somebody who typed so far may mean, among the products that have the words and are in all of the sets.

    `typed` begins a word of the set's value (of one of connections: of its label), or is `brand:` (or another name) and
    the beginning; the larger come first.
    """

    typed: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")] = ""
    query: Words | None = None
    sets: ProductSets = []
    first: Annotated[int, Field(ge=1, le=100, strict=False)] = 20


class OrderSpan(Shape):
    """From when, inclusive, until before when orders of some shops were placed (or of all), and what set that is."""

    name: str
    from_time: datetime
    to_time: datetime
    shop_ids: list[UUID] | None = None


class SuggestOrdersAmong(Query[SuggestedSets]):
    """Sets that somebody who typed so far may mean: spans, those of the same name together, and sets of connections.

    Counted are the orders that have the words, are in all of the sets, and of one of `within`, if that is not null.
    Internal: orders asks, which knows what days are meant.
    """

    typed: Annotated[str, StringConstraints(max_length=100)] = ""
    query: Words = ""
    sets: Annotated[list[str], Field(max_length=MOST_SETS)] = []
    spans: Annotated[list[OrderSpan], Field(max_length=MOST_SPANS)] = []
    within: Annotated[list[OrderSpan], Field(max_length=MOST_SPANS)] | None = None
    shop_ids: list[UUID] | None = None
    first: Annotated[int, Field(ge=1, le=100)] = 20


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


class CheckOperatorIndex(Command[Job]):
    """Compare the documents that operators find orders and products in with their sources, all or those of one kind.

    The job counts what is `missing`, `outdated` and `superfluous`, and names each; with `repair` these are built anew.
    A second request for the same, while one is running, gets the running job.
    """

    kind: DocumentKind | None = None
    repair: bool = False
