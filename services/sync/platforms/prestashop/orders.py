"""PrestaShop's orders in the words of `shared.contracts.orders.imported.RemoteOrder`. Pure functions.

Prices are the buyer's, with tax, and not rounded. What a line comes to is divided by its quantity, rounded up, and what
that is too much is taken off again by name. What an order comes to is its `total_paid_tax_incl`; where lines,
discounts, shipping and wrapping do not add up to that by more than what rounding can do, they are given as they are,
and whoever takes the order says that its totals differ.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.prestashop.mapping import Units, decimal, key, minor, text, whole
from services.sync.platforms.prestashop.shop import State, state_of

JsonObject = dict[str, Any]

# What is asked for of a customer: not the password's hash, which `full` has in it.
CUSTOMER = "[id,email,firstname,lastname]"
# What stands where an order says nothing: goods that are downloaded have no address.
NO_LINE, NO_COUNTRY, NO_EMAIL_DOMAIN = "-", "ZZ", "no-email.invalid"
MOST_LINES = 1000
# Where the shop rounds each piece, and not each line or the whole (`Order::ROUND_ITEM`).
_ROUNDS_PIECES = "1"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


class OrderUnreadable(AnswerNotUnderstood):
    """An order that can not be said in our words."""


@dataclass(frozen=True, slots=True)
class OfOrders:
    """What stands beside orders in other resources, by ids."""

    units: Units
    now: datetime
    states: Mapping[str, State]
    currencies: Mapping[str, str]
    countries: Mapping[str, str]
    regions: Mapping[str, str]
    customers: Mapping[str, JsonObject]
    addresses: Mapping[str, JsonObject]


def addresses_of(row: JsonObject) -> list[str]:
    """Ids of the addresses of an order."""
    return [found for name in ("id_address_delivery", "id_address_invoice") if (found := key(row.get(name)))]


def order(row: JsonObject, beside: OfOrders) -> Record:
    """An order. Raises OrderUnreadable, UnknownCurrency."""
    external_id, lines = key(row["id"]), lines_of(row)
    if not 1 <= len(lines) <= MOST_LINES:
        raise OrderUnreadable(f"The order {text(row.get('reference'), 0)} has {len(lines)} lines.")
    time = beside.units.time
    placed, updated = time.placed(row.get("date_add")), time.utc(row.get("date_upd"), beside.now)
    currency = beside.currencies.get(key(row.get("id_currency")))
    if placed is None or updated is None or currency is None:
        raise OrderUnreadable("The order has no time or no currency.")
    state = state_of(beside.states, key(row.get("current_state")))
    fields: Fields = {
        "external_id": external_id,
        "number": _text(row.get("reference")) or None,
        "status": _text(state.name),
        "is_paid": state.is_paid,
        "placed_at": _iso(placed),
        "updated_at": _iso(updated),
        **_sums(row, lines, currency),
        "customer": _customer(row, beside),
        "shipping_address": _address(row, beside),
    }
    return Record(external_id, fields, updated)


def lines_of(row: JsonObject) -> list[JsonObject]:
    """The rows of an order of which anything was sold."""
    listed = (row.get("associations") or {}).get("order_rows") or []
    return [line for line in listed if whole(line.get("product_quantity")) > 0]


def line_sku(line: JsonObject) -> str:
    """The SKU of a row; what was sold without one is known by product and combination."""
    product, combination = key(line.get("product_id")), key(line.get("product_attribute_id")) or "0"
    return _text(line.get("product_reference")) or f"prestashop-{product}-{combination}"


def _sums(row: JsonObject, rows: list[JsonObject], currency: str) -> Fields:
    """Lines, discounts, taxes, shipping and total, which add up."""

    def amount(name: str) -> int:
        return minor(decimal(row.get(name)), currency)

    def money(number: int) -> JsonObject:
        return {"amount": number, "currency": currency}

    lines = [_line(line, currency, by_piece=key(row.get("round_type")) == _ROUNDS_PIECES) for line in rows]
    total, off, shipping = amount("total_paid_tax_incl"), amount("total_discounts_tax_incl"), _shipping(row, currency)
    wrapping = amount("total_wrapping_tax_incl")
    missing = total + off - wrapping - sum(map(_comes_to, lines))
    missing -= shipping["price"]["amount"] if shipping else 0
    rounding = missing if abs(missing) <= 2 * len(lines) + 2 else 0
    tax = total - amount("total_paid_tax_excl")
    beside = [("Gift wrapping", wrapping, False), ("Rounding", rounding, False), ("Tax", tax, True)]
    return {
        "lines": lines,
        "total": money(total),
        "discounts": [
            {"name": name, "amount": money(number)}
            for name, number in (("Discount", off), ("Rounding", -rounding))
            if number > 0
        ],
        "taxes": [
            {"name": name, "amount": money(number), "included": included}
            for name, number, included in beside
            if number > 0
        ],
        "shipping": shipping,
    }


def _line(line: JsonObject, currency: str, *, by_piece: bool) -> JsonObject:
    price, quantity = decimal(line.get("unit_price_tax_incl")), whole(line.get("product_quantity"))
    sold = quantity * minor(price, currency) if by_piece else minor(quantity * price, currency)
    unit = -(-sold // quantity)
    over = unit * quantity - sold
    return {
        "sku": line_sku(line),
        "quantity": quantity,
        "unit_price": {"amount": unit, "currency": currency},
        "title": _text(line.get("product_name"), 500) or None,
        "discounts": [{"name": "Rounding", "amount": {"amount": over, "currency": currency}}] if over else [],
        "taxes": [],
    }


def _comes_to(line: JsonObject) -> int:
    off = sum(int(each["amount"]["amount"]) for each in line["discounts"])
    return int(line["quantity"] * line["unit_price"]["amount"]) - off


def _shipping(row: JsonObject, currency: str) -> JsonObject | None:
    price: Decimal = decimal(row.get("total_shipping_tax_incl"))
    carrier = key(row.get("id_carrier"))
    if not price and not carrier:
        return None
    method = f"carrier-{carrier}" if carrier else "shipping"
    return {"method": method, "title": None, "price": {"amount": minor(price, currency), "currency": currency}}


def _customer(row: JsonObject, beside: OfOrders) -> JsonObject:
    given = beside.customers.get(key(row.get("id_customer")), {})
    email = re.sub(r"\s", "", text(given.get("email"), 0))[:254]
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        email = f"order-{key(row['id'])}@{NO_EMAIL_DOMAIN}"
    return {"email": email, "name": _name(given) or email[:200]}


def _address(row: JsonObject, beside: OfOrders) -> JsonObject:
    known = [beside.addresses[each] for each in addresses_of(row) if each in beside.addresses]
    given = known[0] if known else {}
    country = beside.countries.get(key(given.get("id_country")), "").upper()
    maybe = {
        "name": _name(given),
        "company": given.get("company"),
        "line2": given.get("address2"),
        "region": beside.regions.get(key(given.get("id_state"))),
        "postal_code": given.get("postcode"),
        "phone": given.get("phone") or given.get("phone_mobile"),
    }
    return {
        "line1": _text(given.get("address1")) or NO_LINE,
        "city": _text(given.get("city")) or NO_LINE,
        "country": country if len(country) == 2 else NO_COUNTRY,
        **{name: _text(value) or None for name, value in maybe.items()},
    }


def _name(given: Mapping[str, Any]) -> str:
    return _text(f"{text(given.get('firstname'), 0)} {text(given.get('lastname'), 0)}")


def _text(value: object, most: int = 200) -> str:
    return " ".join(_CONTROLS.sub(" ", text(value, 0)).split())[:most].strip()


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
