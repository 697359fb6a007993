"""Customers: who buys, where they live, and in which group they buy."""

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.contracts.base import Change, Command, Query, Shape
from shared.contracts.base import Page as PageOf
from shared.contracts.orders.shapes import Order, ShippingAddress
from shared.pagination import First

MOST_ADDRESSES = 50
AddressKind = Literal["shipping", "billing"]


def normalised_email(text: str) -> str:
    """One spelling per address: composed characters, small letters, nothing around it."""
    return unicodedata.normalize("NFC", text.strip()).lower()


def _one_default_per_kind(addresses: "list[CustomerAddress]") -> "list[CustomerAddress]":
    defaults = [address.kind for address in addresses if address.is_default]
    if len(defaults) != len(set(defaults)):
        raise ValueError("of each kind at most one address is the default")
    return addresses


_EMAIL = r"^[^@\s\x00]+@[^@\s\x00]+$"
Email = Annotated[
    str,
    BeforeValidator(lambda given: normalised_email(given) if isinstance(given, str) else given),
    Field(max_length=254, pattern=_EMAIL, examples=["ada@example.com"]),
]
_Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
GroupName = Annotated[_Word, Field(examples=["wholesale"])]
_Notes = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]


class CustomerAddress(ShippingAddress):
    """An address of a customer. Of each kind one may be the default, which a checkout offers first."""

    kind: AddressKind = "shipping"
    is_default: bool = False


Addresses = Annotated[list[CustomerAddress], Field(max_length=MOST_ADDRESSES), AfterValidator(_one_default_per_kind)]


class NewCustomer(Shape):
    """A customer to be. `customer_group` is the word that price lists name; `notes` are the merchant's own."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "email": "ada@example.com",
                "name": "Ada Lovelace",
                "customer_group": "wholesale",
                "addresses": [
                    {
                        "kind": "shipping",
                        "is_default": True,
                        "line1": "1 Quay",
                        "city": "Portsea",
                        "country": "US",
                    }
                ],
            }
        }
    )

    email: Email
    name: _Word | None = None
    phone: _Word | None = None
    customer_group: GroupName | None = None
    notes: _Notes | None = None
    addresses: Addresses = []


class CustomerChange(Change):
    """What is to change of a customer: the fields that are given. `addresses` takes the place of all there were."""

    model_config = ConfigDict(json_schema_extra={"example": {"phone": "+1 555 0100", "customer_group": None}})

    email: Email = ""
    name: _Word | None = None
    phone: _Word | None = None
    customer_group: GroupName | None = None
    notes: _Notes | None = None
    addresses: Addresses = []


class Customer(Shape):
    """A customer. `notes` are shown to the merchant alone. One that was erased is nobody any more."""

    id: UUID
    email: str
    name: str | None
    phone: str | None
    customer_group: str | None
    notes: str | None
    addresses: list[CustomerAddress]
    created_at: datetime
    updated_at: datetime
    erased_at: datetime | None = None
    version: int


class CustomerExport(Shape):
    """What is kept on a person: the customer, one page of orders in full, and what payments keep of these orders."""

    customer: Customer
    items: list[Order]
    payments: list[dict[str, Any]]
    next: str | None = None


class CreateCustomer(Command[Customer]):
    """Keep a customer. One e-mail address is one customer, however it is written.

    Refused: `customer_exists` (409), `not_for_storefronts` (403): they name neither `customer_group` nor `notes`.
    """

    customer: NewCustomer


class UpdateCustomer(Command[Customer]):
    """Change a customer. Orders keep what was said when they were placed.

    Refused: `customer_not_found` (404), `customer_exists` (409) for somebody else's e-mail address, `customer_erased`
    (409), `customer_changed_since` (412), `not_for_storefronts` (403).
    """

    customer_id: UUID
    change: CustomerChange
    expected_version: int | None = None


class GetCustomer(Query[Customer]):
    """A customer. A storefront sees those it made, and those that bought through it. Refused: `customer_not_found`."""

    customer_id: UUID


class ListCustomers(Query[PageOf[Customer]]):
    """Customers, newest first: the one with an e-mail address, or those of a group. Erased ones are not listed."""

    email: Email | None = None
    customer_group: GroupName | None = None
    first: First = 50
    after: str | None = None


class ExportCustomer(Query[CustomerExport]):
    """Everything that is kept on a customer, with so many orders at a time. It is written to the audit log.

    Refused: `customer_not_found` (404), `only_for_the_whole` (403) for callers who see some of the shops alone.
    """

    customer_id: UUID
    first: Annotated[int, Field(ge=1, le=100)] = 50
    after: str | None = None


class EraseCustomer(Command[Customer]):
    """Replace all that says who a customer is, here, in every order, and in what payment gateways told. For good.

    Amounts, lines and the country stay, for the books. Asked again nothing more happens. Refused: `customer_not_found`
    (404), `customer_has_open_orders` (409) while an order is not over, `customer_changed_since` (412),
    `only_for_the_whole` (403) for callers who see some of the shops alone.
    """

    customer_id: UUID
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
    expected_version: int | None = None
