"""Price lists and single prices: read, changed, found."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Change, Command, Done, Query, Shape
from shared.contracts.catalog.shapes import Moment, Name, Sku
from shared.money import Money

# Why a price, or a list without one, does not hold: the first of these rules that applies.
PassedOverCode = Literal[
    "other_shop",
    "strict_pricing",
    "other_currency",
    "other_customer_group",
    "list_not_begun",
    "list_ended",
    "no_price",
    "quantity_not_reached",
    "price_not_begun",
    "price_ended",
    "other_centre",
    "nearer_shop_first",
    "customer_group_first",
    "later_list_first",
    "larger_quantity_first",
    "centre_first",
    "later_price_first",
]
OnError = Literal["abort", "skip"]


def _whole(money: Any) -> Any:
    if isinstance(money, dict) and type(money.get("amount", 0)) is not int:
        raise ValueError("the amount is a whole number of minor units")
    return money


# An amount that is a whole number as it comes: neither true nor "1" nor 1.0 is one.
WholeMoney = Annotated[Money, BeforeValidator(_whole)]


class PriceList(Shape):
    """Prices of one shop in one currency, for everybody or one customer group, perhaps only for a time.

    `version` grows with every change of the list itself, not of its prices, and is the ETag.
    """

    id: UUID
    shop: str
    name: str
    currency: str
    customer_group: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    version: int
    created_at: datetime


class PriceListDraft(Shape):
    """A price list to create, in its shop's currency unless it names another."""

    shop: str
    name: Name
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["USD"])] | None = None
    customer_group: Name | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class Price(Shape):
    """What one unit costs from `minimum_quantity` on, and what it is said to have cost before.

    `price` is null when it is told on request. With `centre` it holds where that fulfilment centre serves, with dates
    from the first until before the second.
    """

    sku: str
    minimum_quantity: int
    price: Money | None
    list_price: Money | None
    on_request: bool
    centre: str | None
    starts_at: datetime | None
    ends_at: datetime | None


class PriceDraft(Shape):
    """A price to set; null removes the one that is there, unless it is `on_request`.

    A list has one price for each SKU, minimum quantity, fulfilment centre and beginning.
    """

    sku: Sku
    minimum_quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    price: WholeMoney | None
    list_price: WholeMoney | None = None
    on_request: bool = False
    centre: Name | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class PriceChanges(Shape):
    """How many prices are new, different, gone, and as they were."""

    inserted: int
    updated: int
    removed: int
    unchanged: int


class PriceListChange(Change):
    """What is to be different in a price list; what is absent stays, null empties. Shop and currency never change."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "Spring sale", "customer_group": None, "ends_at": "2026-04-01T00:00Z"}}
    )

    name: Name | None = None
    customer_group: Name | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    @model_validator(mode="after")
    def _has_a_name(self) -> "PriceListChange":
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("'name' cannot be null; leave it out to keep it")
        return self


class GetPriceList(Query[PriceList]):
    """One price list. Raises price_list_not_found."""

    price_list_id: UUID


class UpdatePriceList(Command[PriceList]):
    """Change a price list's name, customer group or dates; with `version`, only if it still has that one.

    Raises price_list_not_found, price_list_changed_since, ends_before_it_starts.
    """

    timeout_seconds: ClassVar[float] = 60.0

    price_list_id: UUID
    change: PriceListChange
    version: int | None = None


class DeletePriceList(Command[Done]):
    """Delete a price list with all its prices; with `version`, only if it still has that one.

    Raises price_list_not_found, price_list_changed_since.
    """

    timeout_seconds: ClassVar[float] = 60.0

    price_list_id: UUID
    version: int | None = None


class PriceSource(Shape):
    """The list and the row in it that a price comes from."""

    price_list_id: UUID
    price_list: str
    shop: str
    customer_group: str | None
    minimum_quantity: int
    centre: str | None
    starts_at: datetime | None
    ends_at: datetime | None


class PassedOverPrice(Shape):
    """A price that does not hold, or a list without one for the SKU (no `minimum_quantity`), and why."""

    code: PassedOverCode
    message: str
    price_list_id: UUID
    price_list: str
    shop: str
    customer_group: str | None
    minimum_quantity: int | None
    price: Money | None
    centre: str | None
    starts_at: datetime | None
    ends_at: datetime | None


class ResolvedPrice(Shape):
    """What one unit costs, where that stands, and why every other price there is was passed over.

    `price` is null when it is told on request (`on_request`), or when there is none. `list_price` is the list's; a
    shop's own old price may be shown in its place.
    """

    shop: str
    sku: str
    quantity: int
    customer_group: str | None
    centre: str | None
    at: datetime
    price: Money | None
    list_price: Money | None
    on_request: bool
    source: PriceSource | None
    message: str
    passed_over: list[PassedOverPrice]


class ResolvePrice(Query[ResolvedPrice]):
    """What one unit of a SKU costs in a shop when so many are bought, and why.

    For a customer group, served by a fulfilment centre, at a moment: without these for everybody, from whichever
    centre, now. Raises shop_not_found, sku_not_found.
    """

    shop: str
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    customer_group: Name | None = None
    centre: Name | None = None
    at: Moment | None = None


class PriceRowError(Shape):
    """A row that was not taken; `row` counts from 1."""

    row: int
    sku: str | None
    code: str
    message: str


class PriceRowsChanged(PriceChanges):
    """What came of many prices. `errors` are the first 1,000 of the `failed`."""

    rows: int
    failed: int
    errors: list[PriceRowError]


class ChangePrices(Command[PriceRowsChanged]):
    """Set and remove prices of any lists: rows `{price_list | shop, sku, price, minimum_quantity?, list_price?, …}`.

    All or none with `on_error` abort (raises prices_refused); with skip the good ones. Raises no_rows, too_many_rows.
    """

    timeout_seconds: ClassVar[float] = 60.0

    rows: list[Any]
    on_error: OnError = "abort"


class ChangePricesOfFile(Command[PriceRowsChanged]):
    """As ChangePrices, with rows that lie in the blob store under `key` as NDJSON or as a JSON list.

    `is_document`: they were sent as one JSON document, and are refused as a whole where they are none.
    """

    timeout_seconds: ClassVar[float] = 60.0

    key: str
    is_document: bool = False
    on_error: OnError = "abort"
