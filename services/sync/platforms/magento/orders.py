"""Magento's orders in the words of `shared.contracts.orders.imported.RemoteOrder`. Pure functions.

All amounts are in the shop's base currency. What was cancelled or refunded is taken off; an order of which nothing is
left is given as it was sold. A line of a configurable product is one line: its own child stands beside it without a
price. What it comes to is Magento's word; where it does not add up by more than rounding can do it is left to differ.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.magento.mapping import moment, money
from shared.contracts.orders.imported import OrderAction
from shared.money import exponent

JsonObject = dict[str, Any]

# As Magento is delivered, with what could be done with each; shops add their own, which come as they are.
PROPOSED: Mapping[str, OrderAction] = {
    "pending": "set_aside",
    "pending_payment": "set_aside",
    "processing": "import",
    "complete": "import_and_complete",
    "closed": "import_and_cancel",
    "canceled": "import_and_cancel",
    "holded": "import_and_hold",
    "payment_review": "set_aside",
    "fraud": "set_aside",
}
# What stands where an order says nothing: a download has no address.
NO_WORD, NO_COUNTRY, NO_EMAIL_DOMAIN = "-", "ZZ", "no-email.invalid"
MOST_LINES = 1000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_NOT_CODE = re.compile(r"[^A-Za-z0-9._-]+")


class OrderUnreadable(AnswerNotUnderstood):
    """An order that can not be said in our words."""


def order(node: JsonObject) -> Record:
    """An order with its lines. Raises OrderUnreadable, UnknownCurrency."""
    placed, updated = moment(node["created_at"]), moment(node.get("updated_at") or node["created_at"])
    if placed is None or updated is None:
        raise OrderUnreadable(f"The order {node.get('increment_id')} has no time.")
    fields: Fields = {
        "external_id": str(node["entity_id"]),
        "number": _text(node.get("increment_id")) or None,
        "status": _text(node.get("status")) or _text(node.get("state")) or "unknown",
        "is_paid": is_paid(node),
        "placed_at": _iso(placed.isoformat()),
        "updated_at": _iso(updated.isoformat()),
        **_Sums(node).fields(),
        "customer": _customer(node),
        "shipping_address": _address(node),
    }
    return Record(str(node["entity_id"]), fields, updated)


def is_paid(node: JsonObject) -> bool:
    """Whether all of it has been paid, whatever its status says. Raises OrderUnreadable."""
    return _number(node.get("base_total_paid")) >= _number(node["base_grand_total"])


def sold_items(node: JsonObject) -> list[JsonObject]:
    """Lines that are ordered, shipped and invoiced: of a configurable product its own, not its child's."""
    return [item for item in node.get("items") or () if not item.get("parent_item_id")]


def whole(quantity: Decimal, sku: str) -> int:
    """Raises OrderUnreadable."""
    if quantity != int(quantity):
        raise OrderUnreadable(f"{sku} was sold by {quantity}, which is not a whole number.")
    return int(quantity)


class _Sums:
    """Lines, discounts, taxes, shipping and total of one order."""

    def __init__(self, node: JsonObject) -> None:
        self._node = node
        self._currency = node["base_currency_code"]
        self._unit = Decimal(1).scaleb(-exponent(self._currency))
        items = sold_items(node)
        if not 1 <= len(items) <= MOST_LINES:
            raise OrderUnreadable(f"The order {node.get('increment_id')} has {len(items)} lines.")
        self._is_current = any(_left(item) > 0 for item in items)
        self._items = [item for item in items if self._quantity(item) > 0]
        # Prices that were entered with their tax are whole with it, and broken without.
        self._is_gross = any(not self._is_whole(item["base_price"]) for item in items) and all(
            self._is_whole(item.get("base_price_incl_tax", item["base_price"])) for item in items
        )

    def fields(self) -> Fields:
        lines = [self._line(item) for item in self._items]
        discount, tax, shipping = self._discount(), self._tax(), self._shipping()
        charge = self._minor(shipping)
        total = self._minor(self._total())
        known = sum(line["quantity"] * line["unit_price"]["amount"] for line in lines) + charge - discount
        rest = total - known - (0 if self._is_gross else tax)
        if abs(rest) > 2 * len(lines) + 2:
            rest = 0
        discounts = [(self._discount_name(), discount), ("Rounding", -rest)]
        taxes = [self._named(self._tax_name(), tax, included=self._is_gross), self._named("Rounding", rest)]
        return {
            "lines": lines,
            "total": self._money(total),
            "discounts": [{"name": name, "amount": self._money(each)} for name, each in discounts if each > 0],
            "taxes": [each for each in taxes if each["amount"]["amount"] > 0],
            "shipping": self._method(charge),
        }

    def _quantity(self, item: JsonObject) -> int:
        quantity = _left(item) if self._is_current else _number(item["qty_ordered"])
        return whole(quantity, str(item.get("sku")))

    def _line(self, item: JsonObject) -> JsonObject:
        name = "base_price_incl_tax" if self._is_gross else "base_price"
        return {
            "sku": line_sku(item),
            "quantity": self._quantity(item),
            "unit_price": money(item[name], self._currency),
            "title": _text(item.get("name"), 500) or None,
            "discounts": [],
            "taxes": [],
        }

    def _discount(self) -> int:
        off = abs(self._sum("base_discount_amount")) - abs(self._gone("base_discount_refunded"))
        return max(self._minor(off - abs(self._gone("base_discount_canceled"))), 0)

    def _tax(self) -> int:
        tax = self._sum("base_tax_amount") - self._gone("base_tax_refunded") - self._gone("base_tax_canceled")
        hidden = self._sum("base_discount_tax_compensation_amount") + self._sum(
            "base_shipping_discount_tax_compensation_amnt"
        )
        return max(self._minor(tax + hidden), 0)

    def _shipping(self) -> Decimal:
        name = "base_shipping_incl_tax" if self._is_gross else "base_shipping_amount"
        gone = self._gone("base_shipping_refunded") + self._gone("base_shipping_canceled")
        if self._is_gross:
            gone += self._gone("base_shipping_tax_refunded")
        return max(self._sum(name) - gone, Decimal(0))

    def _total(self) -> Decimal:
        gone = self._gone("base_total_refunded") + self._gone("base_total_canceled")
        return self._sum("base_grand_total") - gone

    def _gone(self, name: str) -> Decimal:
        """What was cancelled or refunded; nothing where the order is given as it was sold."""
        return self._sum(name) if self._is_current else Decimal(0)

    def _sum(self, name: str) -> Decimal:
        return _number(self._node.get(name))

    def _method(self, charge: int) -> JsonObject | None:
        method = _text(_shipping(self._node).get("method"))
        title = _text(self._node.get("shipping_description"))
        if not method and not title and not charge:
            return None
        code = _NOT_CODE.sub("-", method or title).strip("-._")[:63]
        return {"method": code or "shipping", "title": title or None, "price": self._money(charge)}

    def _discount_name(self) -> str:
        return _text(self._node.get("coupon_code")) or _text(self._node.get("discount_description")) or "Discount"

    def _tax_name(self) -> str:
        more = self._node.get("extension_attributes") or {}
        named = [_text(each.get("title") or each.get("code")) for each in more.get("applied_taxes") or ()]
        return named[0] if len(named) == 1 and named[0] else "Tax"

    def _named(self, name: str, amount: int, *, included: bool = False) -> JsonObject:
        return {"name": name, "amount": self._money(amount), "included": included}

    def _is_whole(self, amount: object) -> bool:
        return _number(amount) % self._unit == 0

    def _minor(self, amount: Decimal) -> int:
        return int(money(amount, self._currency)["amount"])

    def _money(self, amount: int) -> JsonObject:
        return {"amount": amount, "currency": self._currency}


def line_sku(item: JsonObject) -> str:
    """The SKU of a line; what was sold without one is known by the line."""
    return _text(item.get("sku")) or f"magento-line-{item['item_id']}"


def _left(item: JsonObject) -> Decimal:
    gone = _number(item.get("qty_canceled")) + _number(item.get("qty_refunded"))
    return _number(item["qty_ordered"]) - gone


def _number(value: object) -> Decimal:
    """Raises OrderUnreadable."""
    try:
        return Decimal(str(value or 0))
    except ArithmeticError:
        raise OrderUnreadable(f"{value!r} is no number.") from None


def _shipping(node: JsonObject) -> JsonObject:
    assignments = (node.get("extension_attributes") or {}).get("shipping_assignments") or ()
    return (assignments[0].get("shipping") or {}) if assignments else {}


def _customer(node: JsonObject) -> JsonObject:
    email = re.sub(r"\s", "", node.get("customer_email") or "")[:254]
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        email = f"order-{node['entity_id']}@{NO_EMAIL_DOMAIN}"
    own = {"firstname": node.get("customer_firstname"), "lastname": node.get("customer_lastname")}
    return {"email": email, "name": _name(own) or _name(node.get("billing_address") or {}) or email[:200]}


def _address(node: JsonObject) -> JsonObject:
    given = _shipping(node).get("address") or node.get("billing_address") or {}
    street = [_text(each) for each in given.get("street") or () if _text(each)]
    country = str(given.get("country_id") or NO_COUNTRY)
    maybe = {
        "name": _name(given),
        "company": given.get("company"),
        "line2": ", ".join(street[1:]),
        "region": given.get("region_code") or given.get("region"),
        "postal_code": given.get("postcode"),
        "phone": given.get("telephone"),
    }
    return {
        "line1": street[0] if street else NO_WORD,
        "city": _text(given.get("city")) or NO_WORD,
        "country": country if len(country) == 2 else NO_COUNTRY,
        **{name: _text(value) or None for name, value in maybe.items()},
    }


def _name(given: Mapping[str, Any]) -> str:
    parts = (given.get(part) for part in ("prefix", "firstname", "middlename", "lastname", "suffix"))
    return _text(" ".join(str(part) for part in parts if part))


def _text(value: object, most: int = 200) -> str:
    return " ".join(_CONTROLS.sub(" ", str(value or "")).split())[:most].strip()


def _iso(text: str) -> str:
    return text.replace("+00:00", "Z")
