"""Carriers, and the shipping methods that shops offer."""

from itertools import pairwise
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from shared.contracts.base import Change, Command, Page, Query, Shape
from shared.contracts.inventory.messages import Code, Name
from shared.money import Money
from shared.pagination import First

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["US"])]
Amount = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
# Where the tracking number goes in a carrier's address.
NUMBER = "{number}"
TrackingPattern = Annotated[
    str,
    Field(
        max_length=2000,
        pattern=r"^https?://[^\s\x00]*\{number\}[^\s\x00]*$",
        examples=["https://track.example.com/?id={number}"],
    ),
]


class CarrierService(Shape):
    """What a carrier offers, such as express."""

    code: Code
    name: Name


Services = Annotated[list[CarrierService], Field(max_length=100)]


class Carrier(Shape):
    """Who brings goods. `{number}` in `tracking_url_pattern` is where a tracking number goes."""

    id: UUID
    code: str
    name: str
    services: list[CarrierService]
    tracking_url_pattern: str | None
    is_active: bool
    version: int


class CarrierDraft(Shape):
    code: Code
    name: Name
    services: Services = []
    tracking_url_pattern: TrackingPattern | None = None
    is_active: bool = True


class CarrierChange(Change):
    """What of a carrier is to change: what is left out stays."""

    name: Name = ""
    services: Services = []
    tracking_url_pattern: TrackingPattern | None = None
    is_active: bool = True


class ShippingRate(Shape):
    """A row of a table: what it costs up to so many grams or minor units, inclusive; without `up_to` whatever it is."""

    price: Amount
    up_to: Amount | None = None


class ShippingPrice(Shape):
    """What a method costs, in minor units of `currency`: a fixed price, or by a table of weights or of totals.

    Rows rise; only the last one may have no `up_to`. What is beyond the last row is not carried.
    """

    by: Literal["fixed", "weight", "total"] = "fixed"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
    rates: Annotated[list[ShippingRate], Field(min_length=1, max_length=200, examples=[[{"price": 495}]])]

    @model_validator(mode="after")
    def _is_a_table(self) -> "ShippingPrice":
        bounds = [rate.up_to for rate in self.rates]
        if self.by == "fixed" and bounds != [None]:
            raise ValueError("a fixed price is one rate without up_to")
        if None in bounds[:-1]:
            raise ValueError("only the last rate may have no up_to")
        known = [bound for bound in bounds if bound is not None]
        if any(later <= earlier for earlier, later in pairwise(known)):
            raise ValueError("rates rise by up_to")
        return self


ShopCodes = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=1000)]
CentreCodes = Annotated[list[Code], Field(max_length=1000)]
Countries = Annotated[list[Country], Field(max_length=300)]


class ShippingMethod(Shape):
    """How goods can travel, and what that costs.

    It is offered in `shops` (sub-shops have their parent's until they have one of their own), to `countries` (none:
    everywhere), where a centre that dispatches for the shop is among `centres` (none: whichever).
    """

    id: UUID
    code: str
    name: str
    carrier: str | None
    service: str | None
    price: ShippingPrice
    countries: list[str]
    shops: list[str]
    centres: list[str]
    is_active: bool
    version: int


class ShippingMethodDraft(Shape):
    code: Code
    name: Name
    carrier: Code | None = None
    service: Code | None = None
    price: ShippingPrice
    countries: Countries = []
    shops: ShopCodes = []
    centres: CentreCodes = []
    is_active: bool = True


class ShippingMethodChange(Change):
    """What of a shipping method is to change: what is left out stays; lists are replaced whole."""

    name: Name = ""
    carrier: Code | None = None
    service: Code | None = None
    price: ShippingPrice | None = None
    countries: Countries = []
    shops: ShopCodes = []
    centres: CentreCodes = []
    is_active: bool = True


class ShippingOffer(Shape):
    """A method by which a cart can travel, and its price."""

    code: str
    name: str
    carrier: str | None
    service: str | None
    price: Money


class ShippingRefusal(Shape):
    """Why a method of the shop does not carry a cart.

    `reason`: wrong_currency, country_not_served, country_unknown, weight_unknown, too_heavy, total_too_high.
    """

    code: str
    reason: str


class ShippingOffers(Shape):
    """The methods that carry a cart, cheapest first, and those of the shop that do not."""

    items: list[ShippingOffer]
    refused: list[ShippingRefusal]


# --- asked by other services


class FindShippingMethods(Query[ShippingOffers]):
    """How a cart of this total, weight and destination can travel from a shop. Internal."""

    shop_id: UUID
    total: Money
    weight_grams: Annotated[int, Field(ge=0)] | None = None
    country: str | None = None


# --- asked by the doors


class ListShopShippingMethods(Query[ShippingOffers]):
    """How a cart can travel from a shop, and what that costs, cheapest first.

    `total` is in minor units of `currency`. Refused with `shop_not_found` (404).
    """

    shop: str
    total: Annotated[int, Field(ge=0, le=1_000_000_000_000, strict=False)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
    weight_grams: Annotated[int, Field(ge=0, le=1_000_000_000, strict=False)] | None = None
    country: Country | None = None


class CreateCarrier(Command[Carrier]):
    """Add a carrier. Refused with `carrier_code_taken` (409)."""

    carrier: CarrierDraft


class ChangeCarrier(Command[Carrier]):
    """Change a carrier. Refused with `carrier_not_found` (404), `carrier_changed_since` (412)."""

    carrier_id: UUID
    change: CarrierChange
    expected_version: int | None = None


class GetCarrier(Query[Carrier]):
    """One carrier. Refused with `carrier_not_found` (404)."""

    carrier_id: UUID


class ListCarriers(Query[Page[Carrier]]):
    """The merchant's carriers in the order of their codes."""

    first: First = 50
    after: str | None = None


class CreateShippingMethod(Command[ShippingMethod]):
    """Add a shipping method.

    Refused with `shipping_method_code_taken` (409), `unknown_currency`, `unknown_service` (422), `carrier_not_found`,
    `shop_not_found`, `centre_not_found` (404).
    """

    method: ShippingMethodDraft


class ChangeShippingMethod(Command[ShippingMethod]):
    """Change a shipping method.

    Refused with `shipping_method_not_found`, `carrier_not_found`, `shop_not_found`, `centre_not_found` (404),
    `unknown_currency`, `unknown_service` (422), `shipping_method_changed_since` (412).
    """

    method_id: UUID
    change: ShippingMethodChange
    expected_version: int | None = None


class GetShippingMethod(Query[ShippingMethod]):
    """One shipping method. Refused with `shipping_method_not_found` (404)."""

    method_id: UUID


class ListShippingMethods(Query[Page[ShippingMethod]]):
    """The merchant's shipping methods in the order of their codes, of all shops or of those assigned to one."""

    shop: str | None = None
    first: First = 50
    after: str | None = None
