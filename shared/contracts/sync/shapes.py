"""Connections to store platforms, what runs between them and us, and what came of it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, create_model, model_validator

from shared.contracts.base import Change as ChangeOf
from shared.contracts.base import Shape
from shared.contracts.orders.imported import MissingStockPolicy, RecheckLimit, StatusMap
from shared.contracts.orders.messages import Moment
from shared.money import EXPONENTS
from shared.security import SecretText

PlatformName = Literal["agent", "shopify", "magento", "prestashop", "woocommerce", "files", "custom"]
ConnectionMode = Literal["test", "production"]
Entity = Literal["product", "variant", "stock", "order", "supplier", "supplier_link"]
FeedKind = Literal[
    "import_products",
    "update_products",
    "import_images",
    "import_orders",
    "update_orders",
    "import_stock",
    "import_suppliers",
    "import_supplier_links",
    "export_stock",
    "check_stock",
    "confirm_shipments",
    "export_products",
]
# Whose a field is. `remote`: the platform's, taken over here and never written there. `ours`: written there, and what
# is different there is not taken. `both`: whoever changed it last. `create_only`: taken with a new record, then left
# alone. `review`: taken when a person has approved it. `ignore`: not looked at.
FieldPolicy = Literal["remote", "ours", "both", "create_only", "review", "ignore"]
# When both sides changed a field since they last agreed.
ConflictPolicy = Literal["ask", "remote_wins", "ours_wins"]
Direction = Literal["in", "out"]
Colour = Literal["neutral", "green", "yellow", "red"]
ChangeState = Literal["review", "conflict", "queued", "sent", "applied", "cancelled", "failed"]
ExecutionState = Literal["queued", "running", "paused", "succeeded", "partial", "failed", "cancelled"]
Trigger = Literal["schedule", "person", "webhook", "rerun", "setup"]
IssueClass = Literal["info", "retry", "error"]
MatchRule = Literal["sku", "barcode"]

_Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
# Fields of products, of their variants and of stock that a rule can be about.
RULED_FIELDS = frozenset(
    (
        *("handle", "title", "description_html", "brand", "product_type", "status", "seo_title", "seo_description"),
        *("tags", "options", "categories", "images", "attributes"),
        *("variant.sku", "variant.barcode", "variant.options", "variant.price", "variant.list_price"),
        *("variant.weight_grams", "variant.requires_shipping", "variant.taxable", "stock.quantity"),
    )
)


def _ruled(name: str) -> str:
    if name not in RULED_FIELDS:
        raise ValueError(f"there is no field '{name}'; there are {', '.join(sorted(RULED_FIELDS))}")
    return name


def _known_currency(currency: str) -> str:
    if currency not in EXPONENTS:
        raise ValueError(f"'{currency}' is not an ISO 4217 currency code")
    return currency


FieldName = Annotated[str, StringConstraints(max_length=100), AfterValidator(_ruled), Field(examples=["title"])]
ConnectionName = Annotated[_Word, Field(examples=["Web shop"])]


class FieldRule(Shape):
    """Whose a field is, and what happens when both sides changed it."""

    policy: FieldPolicy
    conflict: ConflictPolicy = "ask"


class PriceRule(Shape):
    """What a price becomes on its way out: converted, raised by the margin, then rounded.

    `rate` is what one unit of the shop's currency is in the platform's. `ending` are the minor units that a price ends
    with (99 for 19.99), reached upwards; without it prices are rounded to the minor unit, half up.
    """

    margin_percent: Annotated[Decimal, Field(ge=-90, le=1000, max_digits=7, decimal_places=3)] = Decimal(0)
    currency: (
        Annotated[
            str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_known_currency), Field(examples=["EUR"])
        ]
        | None
    ) = None
    rate: Annotated[Decimal, Field(gt=0, le=1_000_000, max_digits=15, decimal_places=8)] | None = None
    ending: Annotated[int, Field(ge=0, le=99)] | None = None

    @model_validator(mode="after")
    def _one_with_the_other(self) -> "PriceRule":
        if (self.currency is None) != (self.rate is None):
            raise ValueError("another currency needs a rate, and a rate its currency")
        return self


class PassedOn(Shape):
    """Who receives what a connection brings in: another connection, or all others of a shop.

    `products` that came here by it are made there, where that connection makes products. `fields` whose values came by
    it are written there, where that connection's rules say so: those that are named, or without a list all.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"shop": "main", "products": True, "fields": ["title"]}})

    connection_id: UUID | None = None
    shop: _Word | None = None
    products: bool = True
    fields: Annotated[list[FieldName], Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PassedOn":
        if (self.connection_id is None) == (self.shop is None):
            raise ValueError("name a connection or a shop")
        return self


class ConnectionSettings(Shape):
    """How a connection works. What is not said is as the platform's template has it.

    `fields` names whose a field is (`title`, `variant.price`, `stock.quantity`). `locations` are places of the platform
    and the fulfilment centres whose stock is theirs; without any, one place has the stock of all centres of the shop.
    `create_products`: what the shop sells and the platform does not have is made there; otherwise nothing ever is.
    `orders_from`: orders placed over there before that are left alone; without it, those from before the connection was
    made. An earlier time brings them in with the next fetch. `stock_buffer` units are kept back. `guard_percent` of its
    records may vanish or be emptied by one run; more asks.
    `passes_on`: who receives the products and fields that come in here; nobody, unless it is said. `platform` are
    settings of the platform alone.
    """

    fields: Annotated[dict[FieldName, FieldRule], Field(max_length=100)] = {}
    absorb_products: bool = True
    absorb_orders: bool = True
    create_products: bool = False
    match_by: Annotated[list[MatchRule], Field(max_length=2)] = ["sku", "barcode"]
    price: PriceRule = PriceRule()
    default_categories: Annotated[list[_Word], Field(max_length=20)] = []
    order_statuses: StatusMap = {}
    orders_from: Annotated[Moment | None, Field(examples=["2026-01-01T00:00:00Z"])] = None
    stock_missing: MissingStockPolicy = "hold"
    recheck_limit: RecheckLimit = 72
    locations: Annotated[dict[_Word, _Word], Field(max_length=100)] = {}
    stock_buffer: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    guard_percent: Annotated[int, Field(ge=0, le=100)] = 20
    passes_on: Annotated[list[PassedOn], Field(max_length=100)] = []
    platform: Annotated[dict[_Word, Any], Field(max_length=50)] = {}


def _change_of(shape: type[Shape], name: str, text: str) -> type[ChangeOf]:
    """The change of a shape's fields: each may be left out, or null."""
    fields: dict[str, Any] = {}
    for field_name, field in shape.model_fields.items():
        taken: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        fields[field_name] = (taken | None, None)
    return create_model(name, __base__=ChangeOf, __doc__=text, __module__=__name__, **fields)


ConnectionSettingsChange = _change_of(
    ConnectionSettings,
    "ConnectionSettingsChange",
    "What is to change of a connection's settings: a field that is given takes the place of that field, and null brings"
    " back its default. The others stay as they are.",
)


class RemotePlace(Shape):
    """A place of the platform that has stock."""

    external_id: str
    name: str


class Greeting(Shape):
    """What a platform says of itself when the connection is tested. `missing` are rights the credentials lack.

    `proposed_statuses` is what could be done with orders of some statuses, by what the platform says of these; nothing
    is done by it until somebody has put it into the settings as `order_statuses`.
    """

    shop_name: str
    currency: str | None = None
    time_zone: str | None = None
    version: str | None = None
    places: list[RemotePlace] = []
    order_statuses: list[str] = []
    proposed_statuses: StatusMap = {}
    missing: list[str] = []


class ConnectionDraft(Shape):
    """A connection to be made: tested before it is kept, and in test mode until it goes live."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "platform": "custom",
                "name": "Web shop",
                "shop": "main",
                "settings": {"platform": {"url": "https://shop.example/crossdock"}},
                "credentials": {"token": "..."},
            }
        }
    )

    platform: PlatformName
    name: ConnectionName
    shop: Annotated[_Word, Field(examples=["main"])]
    settings: ConnectionSettings = ConnectionSettings()
    credentials: Annotated[dict[_Word, SecretText], Field(max_length=10)] = {}


class ConnectionChange(ChangeOf):
    """What is to change of a connection: the fields that are given, and of `settings` those that are given there.

    `credentials` take the place of all before.
    """

    name: ConnectionName = ""
    settings: ConnectionSettingsChange = ConnectionSettingsChange()  # type: ignore[valid-type]
    credentials: Annotated[dict[_Word, SecretText], Field(max_length=10)] = {}


class Connection(Shape):
    """A connection to a store platform. Its credentials are never shown.

    In `test` mode everything comes in for real, and what would be written there is computed and shown, but not sent.
    Webhooks of the platform are taken at `webhook_url`. `greeting` is what the platform said when it was last reached,
    at `checked_at`; `needs_credentials` since it refused those it has. `agent_token` is shown once, to whoever has made
    the connection: the agent of a system behind a firewall comes with it.
    """

    id: UUID
    platform: PlatformName
    name: str
    shop: str
    mode: ConnectionMode
    is_paused: bool
    needs_credentials: bool
    settings: ConnectionSettings
    greeting: Greeting | None
    lacks: dict[str, str]
    webhook_url: str | None = None
    agent_token: SecretText | None = None
    checked_at: datetime | None
    live_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class ConnectionIdentity(Shape):
    """Which connection it is: whose it is, and what it is called. `version` is the connection's own."""

    id: UUID
    shop_id: UUID
    name: str
    version: int
