"""What an adapter to a store platform does: it translates between the platform's words and ours, and nothing else.

An adapter holds no state and touches no table. The engine (`services/sync/use_cases`) decides what is scanned, compared
and sent; it opens a `Session` for a piece of work and asks it for pages, or hands it writes. Everything an adapter
gives back is plain JSON in our words, so that it can be stored, compared field by field and shown.

Fields of a record, by entity. A field the platform does not have is left out; one that it has and is empty is null, an
empty text or an empty list, always the same one.

    product         handle title description_html brand product_type status seo_title seo_description   texts; `status`
                    is draft, active, paused or archived
                    tags        words, sorted
                    options     names, in order
                    categories  paths, each a list of names
                    images      {"url", "alt"}, in order
                    attributes  names and texts
    variant         sku barcode                     texts
                    options                         name and value
                    price list_price                {"amount", "currency"}, in minor units
                    weight_grams                    whole number
                    requires_shipping taxable       truth values
    stock           sku; location: the platform's id of the place; quantity: what can be sold there
    order           as `shared.contracts.orders.imported.RemoteOrder`, in JSON
    supplier        name email phone                texts
    supplier_link   sku supplier vendor_sku         texts, `supplier` being its id there
                    cost                            as `price`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from services.sync.platforms.desk import Desk
from services.sync.platforms.http import Http
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting

Fields = dict[str, Any]
# Whose an order is: hidden from those who may not read orders, with all that is in it.
_PERSONAL = frozenset(("customer", "shipping_address"))
# ok: it is so now, by this write. unchanged: it was so already, nothing was written. retry: it may work later by
# itself. stale: the platform has another value than the write expected; read, decide and write anew. person: it will
# never work by itself.
Outcome = Literal["ok", "unchanged", "retry", "stale", "person"]


def is_personal(field: str) -> bool:
    """Whether a field of an order, with dots between its parts, is of its buyer."""
    return not _PERSONAL.isdisjoint(field.split("."))


@dataclass(frozen=True, slots=True)
class Account:
    """What an adapter is told of a connection: the platform's own settings, and its credentials in plain text.

    `folder` is the organization's own folder on this machine, below which files are exchanged; None: there is none.
    `desk` is where the connection's agents take their work, if its system comes to us.
    """

    settings: Mapping[str, Any]
    credentials: Mapping[str, str]
    folder: Path | None = None
    desk: Desk | None = None


# --- reading


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the platform has it now.

    `parts` are the variants of a product. `references` are further ids that writes to it need (an inventory item's);
    they are kept with it and never compared. `updated_at` is the platform's own time, in UTC.
    """

    external_id: str
    fields: Fields
    updated_at: datetime | None = None
    parts: tuple["Record", ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scan:
    """Which records are wanted: those changed from `since` to `until`, or with `since` None all that there are.

    `resume` is what the page before has said; None for the first. A scan is taken up with nothing but this, by another
    process, days later. Where the platform can not tell what changed, the adapter gives everything.
    """

    entity: Entity
    since: datetime | None = None
    until: datetime | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that is there and can not be read, and why, for people. `external_id` None: not even that."""

    external_id: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a scan. `resume` None: there are no more, and every record of the scan was given at least once.

    `total` is how many the platform says there are, where it says so. What can not be read is in `unread`, and does not
    keep the others from being read: each is an issue, and none of them has vanished. `is_whole` False: what this scan
    does not give may be there all the same, so that nothing is to be taken for vanished.
    """

    records: Sequence[Record]
    resume: str | None = None
    total: int | None = None
    unread: Sequence[Unread] = ()
    is_whole: bool = True


# --- writing


@dataclass(frozen=True, slots=True)
class VariantWrite:
    """As a ProductWrite, of one of its variants. `external_id` None: it is to be made."""

    external_id: str | None
    sku: str
    fields: Fields
    expected: Fields = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProductWrite:
    """What is to be different of a product: `fields` alone, and in `variants` only those of which something is.

    `expected` are the values of these fields when the platform was last seen. `external_id` None: it is to be made, and
    `fields` is all of it; `operation_key` is the same whenever this is tried again, so that what an earlier try has
    made is found and adopted instead of made twice. `is_repeat`: it was tried before, and may have been done in part.
    """

    operation_key: str
    external_id: str | None
    fields: Fields
    expected: Fields = field(default_factory=dict)
    variants: Sequence[VariantWrite] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class StockWrite:
    """What can be sold of a SKU in a place is to be `quantity`. `expected`: what it was when last seen, if it was."""

    operation_key: str
    external_id: str
    sku: str
    location: str
    quantity: int
    expected: int | None = None
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShipmentWrite:
    """Goods of an order have left: `lines` are SKU and quantity, of this shipment alone."""

    operation_key: str
    order_external_id: str
    lines: Sequence[tuple[str, int]]
    carrier: str | None
    tracking_numbers: Sequence[str]
    tracking_url: str | None
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write. `message` is in the platform's own words.

    `fields` are the values that the platform has answered with, as a scan would give them; what is not among them was
    taken as it was sent. `parts` are the variants of a product, in the order of its write.
    """

    outcome: Outcome
    message: str | None = None
    external_id: str | None = None
    fields: Fields = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    parts: tuple["Written", ...] = ()
    retry_after_seconds: float | None = None


class Session(Protocol):
    """One account of a platform, for a piece of work. Methods raise PlatformAway, CredentialsRefused, PlatformRefused,
    AnswerNotUnderstood.

    A method of a feed that the platform lacks is never called. Writes answer one `Written` each, in their order, and
    raise only when none of them was sent.
    """

    async def greet(self) -> Greeting:
        """Who is there, and whether the credentials may do what the feeds need. Changes nothing."""

    async def page(self, scan: Scan) -> Page:
        """The next page of a scan."""

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        """These records as they are now; what is gone is not among them."""

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        """Make and change products and their variants. Nothing that a write does not name is changed or removed."""

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        """Set stock levels."""

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        """Say that goods have left, each shipment once however often it is tried."""

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved that one change. `url` is its address there."""


# --- being told


@dataclass(frozen=True, slots=True)
class Knock:
    """What a webhook is good for: the event it tells of, the same on every repeat, and the feeds that should look."""

    event_id: str
    feeds: tuple[FeedKind, ...]


class Webhooks(Protocol):
    """The module `webhooks.py` of a platform that tells us by itself what changed. Header names are lower case.

    Nothing is read from a webhook but what to look at: it may be late, twice, out of order, or never come.
    """

    # What the credential is called with which they are signed.
    SIGNED_WITH: str

    def is_genuine(self, body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> bool:
        """Whether whoever knows the secret sent these very bytes, and not too long ago where they say when."""

    def knock(self, body: bytes, headers: Mapping[str, str]) -> Knock:
        """Which feeds a genuine webhook wakes; none where nobody knows."""


class Platform(Protocol):
    """One store platform. `lacks` says of each feed that it does not have why not, for people.

    `overlap` is how far back a scan begins before the end of the one before. `page_size` is how many writes it is
    given at once. `credential_names` are what its credentials are called. `reads_ahead`: a page may be asked for before
    the one before it was kept; not where asking for it says that it was.
    """

    name: str
    title: str
    lacks: Mapping[FeedKind, str]
    overlap: timedelta
    page_size: int
    credential_names: tuple[str, ...]
    reads_ahead: bool

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises InvalidConnectionSettings."""

    def base_url(self, settings: Mapping[str, Any]) -> str:
        """The address that all of the connection's requests go to."""

    def session(self, account: Account, http: Http) -> Session:
        """A session over `http`, which is bound to `base_url`."""
