"""Shopify's orders in the words of `shared.contracts.orders.imported.RemoteOrder`. Pure functions.

All amounts are the shop's money, not the buyer's. An order that was edited or partly refunded is given as it is now:
its current quantities and current sums. One of which nothing is left (cancelled, refunded whole) is given as it was
sold. What it comes to is Shopify's word; where lines, discounts, taxes and shipping do not add up to that by more than
what rounding can do, they are given as they are, and whoever takes the order says that its totals differ.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.shopify.mapping import moment, money, short

JsonObject = dict[str, Any]

# What stands where an order says nothing: goods that are downloaded or sold over the counter have no address.
NO_LINE, NO_COUNTRY, NO_EMAIL_DOMAIN = "-", "ZZ", "no-email.invalid"
CANCELLED, TEST = "cancelled", "test"
# Of a fulfilment status, what is said of an order besides whether it is paid; of the others nothing is.
_SHIPPED = {
    "FULFILLED": "_fulfilled",
    "PARTIALLY_FULFILLED": "_partially_fulfilled",
    "ON_HOLD": "_on_hold",
    **dict.fromkeys(
        (
            "UNFULFILLED",
            "OPEN",
            "IN_PROGRESS",
            "SCHEDULED",
            "PENDING_FULFILLMENT",
            "RESTOCKED",
            "REQUEST_DECLINED",
            "FULFILLMENT_NOT_REQUIRED",
        ),
        "",
    ),
}
_PAID = frozenset(("PAID", "PARTIALLY_REFUNDED", "REFUNDED"))
_FINANCIAL = "pending authorized partially_paid paid partially_refunded refunded voided expired"
STATUSES = [
    CANCELLED,
    TEST,
    *(f"{paid}{shipped}" for paid in _FINANCIAL.split() for shipped in dict.fromkeys(_SHIPPED.values())),
]
MOST_NAMES, MOST_LINES = 20, 1000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_NOT_CODE = re.compile(r"[^A-Za-z0-9._-]+")


class OrderUnreadable(AnswerNotUnderstood):
    """An order that can not be said in our words."""


def order(node: JsonObject) -> Record:
    """An order with its lines as a plain list in `lines`. Raises OrderUnreadable, UnknownCurrency."""
    if not 1 <= len(node["lines"]) <= MOST_LINES:
        raise OrderUnreadable(f"The order {node['name']} has {len(node['lines'])} lines.")
    fields: Fields = {
        "external_id": short(node["id"]),
        "number": _text(node["name"]) or None,
        "status": status(node),
        "is_paid": node["displayFinancialStatus"] in _PAID,
        "placed_at": _iso(node["processedAt"] or node["createdAt"]),
        "updated_at": _iso(node["updatedAt"]),
        **_Sums(node).fields(),
        "customer": _customer(node),
        "shipping_address": _address(node),
    }
    return Record(short(node["id"]), fields, moment(node["updatedAt"]))


def status(node: JsonObject) -> str:
    """One word for how an order stands. A word of Shopify's that is new is given as it is, and so belongs to no map."""
    if node.get("test"):
        return TEST
    if node["cancelledAt"]:
        return CANCELLED
    shipped = node["displayFulfillmentStatus"]
    paid = (node["displayFinancialStatus"] or "none").lower()
    return paid + _SHIPPED.get(shipped, f"_{str(shipped).lower()}")


def line_sku(line: JsonObject) -> str:
    """The SKU of a line; what was sold without one is known by the line, so that it is found again when it ships."""
    return _text(line["sku"]) or f"shopify-line-{short(line['id'])}"


class _Sums:
    """Lines, discounts, taxes, shipping and total of one order, which add up."""

    def __init__(self, node: JsonObject) -> None:
        self._node = node
        self._currency = node["currencyCode"]
        self._is_current = any(line["currentQuantity"] > 0 for line in node["lines"])
        self._lines = [line for line in node["lines"] if self._quantity(line) > 0]

    def fields(self) -> Fields:
        lines = [self._line(line) for line in self._lines]
        taxes, shipping = self._taxes(), self._shipping()
        total = self._bag("currentTotalPriceSet", "totalPriceSet")
        off = sum(discount["amount"]["amount"] for line in lines for discount in line["discounts"])
        missing = total + off - sum(line["quantity"] * line["unit_price"]["amount"] for line in lines)
        missing -= sum(tax["amount"]["amount"] for tax in taxes if not tax["included"])
        missing -= shipping["price"]["amount"] if shipping else 0
        named = self._named_beside(missing, self._bag("currentTotalDiscountsSet", "totalDiscountsSet") - off)
        return {
            "lines": lines,
            "total": self._money(total),
            "discounts": [{"name": name, "amount": self._money(-amount)} for name, amount in named if amount < 0],
            "taxes": [
                *_most(taxes, MOST_NAMES - 4),
                *(_tax(name, self._money(amount), included=False) for name, amount in named if amount > 0),
            ],
            "shipping": shipping,
        }

    def _quantity(self, line: JsonObject) -> int:
        return int(line["currentQuantity"] if self._is_current else line["quantity"])

    def _line(self, line: JsonObject) -> JsonObject:
        return {
            "sku": line_sku(line),
            "quantity": self._quantity(line),
            "unit_price": self._of(line["originalUnitPriceSet"]),
            "title": _text(line["title"], 500) or None,
            "discounts": _most(self._discounts(line)),
            "taxes": [],
        }

    def _discounts(self, line: JsonObject) -> list[JsonObject]:
        """What was taken off a line. Of a line of which some is gone, the part that belongs to the rest."""
        sold, left = line["quantity"], self._quantity(line)
        found = []
        for allocation in line["discountAllocations"]:
            whole = self._of(allocation["allocatedAmountSet"])["amount"]
            application = allocation["discountApplication"] or {}
            name = _text(application.get("code") or application.get("title")) or "Discount"
            found += _named(name, self._money(round(whole * left / sold)))
        return found

    def _taxes(self) -> list[JsonObject]:
        """Taxes of the whole order by name, with what Shopify's sum has beyond them (that of shipping)."""
        lines = self._node["currentTaxLines" if self._is_current else "taxLines"]
        whole = self._bag("currentTotalTaxSet", "totalTaxSet")
        named: dict[str, int] = {}
        for line in lines:
            name = _text(line["title"]) or "Tax"
            named[name] = named.get(name, 0) + self._of(line["priceSet"])["amount"]
        beyond = whole - sum(named.values())
        if beyond > 0:
            named["Tax"] = named.get("Tax", 0) + beyond
        included = bool(self._node["taxesIncluded"])
        return [_tax(name, self._money(amount), included=included) for name, amount in named.items() if amount > 0]

    def _shipping(self) -> JsonObject | None:
        line, price = self._node["shippingLine"], self._bag("currentShippingPriceSet", "totalShippingPriceSet")
        if line is None and not price:
            return None
        title = _text((line or {}).get("title"))
        code = _NOT_CODE.sub("-", _text((line or {}).get("code")) or title).strip("-._")[:63]
        return {"method": code or "shipping", "title": title or None, "price": self._money(price)}

    def _named_beside(self, missing: int, off: int) -> list[tuple[str, int]]:
        """What else the total has in it, by name, so that nothing is missing; discounts are below nothing.

        Shopify has duties among the fees of some orders, and tips among the lines of others; the discounts of an order
        are in those of its lines or beside them, and are of its shipping too: those are taken with which it adds up.
        """
        named = {
            "Discount": -max(off, 0),
            "Duties": self._bag("currentTotalDutiesSet", "originalTotalDutiesSet"),
            "Fees": self._bag("currentTotalAdditionalFeesSet", "originalTotalAdditionalFeesSet"),
            "Tip": self._bag("totalTipReceivedSet", "totalTipReceivedSet"),
        }
        there = [(name, amount) for name, amount in named.items() if amount]
        best = list(min(_subsets(there), key=lambda chosen: abs(missing - sum(amount for _, amount in chosen))))
        rest = missing - sum(amount for _, amount in best)
        return [*best, ("Rounding", rest)] if rest and self._is_rounding(rest) else best

    def _is_rounding(self, rest: int) -> bool:
        """Whether so much can come of each line's amounts being rounded or converted by themselves."""
        return abs(rest) <= 2 * len(self._lines) + 2

    def _bag(self, current: str, sold: str) -> int:
        bag = self._node[current if self._is_current else sold]
        return int(self._of(bag)["amount"]) if bag else 0

    def _of(self, bag: JsonObject) -> JsonObject:
        return money(bag["shopMoney"]["amount"], self._currency)

    def _money(self, amount: int) -> JsonObject:
        return {"amount": amount, "currency": self._currency}


def _subsets(named: Sequence[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], ...]]:
    return chain.from_iterable(combinations(named, size) for size in range(len(named) + 1))


def _named(name: str, amount: JsonObject) -> list[JsonObject]:
    return [{"name": name, "amount": amount}] if amount["amount"] > 0 else []


def _tax(name: str, amount: JsonObject, *, included: bool) -> JsonObject:
    return {"name": name, "amount": amount, "included": included}


def _most(entries: list[JsonObject], most: int = MOST_NAMES) -> list[JsonObject]:
    """As many names as an order may have; those beyond are one."""
    if len(entries) <= most:
        return entries
    kept, beyond = entries[: most - 1], entries[most - 1 :]
    amount = {**beyond[0]["amount"], "amount": sum(entry["amount"]["amount"] for entry in beyond)}
    return [*kept, {**beyond[0], "name": "Others", "amount": amount}]


def _customer(node: JsonObject) -> JsonObject:
    email = re.sub(r"\s", "", node["email"] or "")[:254]
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        email = f"order-{short(node['id'])}@{NO_EMAIL_DOMAIN}"
    named = (node["shippingAddress"] or {}).get("name") or (node["billingAddress"] or {}).get("name")
    return {"email": email, "name": _text(named) or email[:200]}


def _address(node: JsonObject) -> JsonObject:
    given = node["shippingAddress"] or node["billingAddress"] or {}
    maybe = {
        "name": given.get("name"),
        "company": given.get("company"),
        "line2": given.get("address2"),
        "region": given.get("provinceCode") or given.get("province"),
        "postal_code": given.get("zip"),
        "phone": given.get("phone") or node["phone"],
    }
    country = given.get("countryCodeV2") or NO_COUNTRY
    return {
        "line1": _text(given.get("address1")) or NO_LINE,
        "city": _text(given.get("city")) or NO_LINE,
        "country": country if len(country) == 2 else NO_COUNTRY,
        **{name: _text(value) or None for name, value in maybe.items()},
    }


def _text(value: str | None, most: int = 200) -> str:
    return " ".join(_CONTROLS.sub(" ", value or "").split())[:most].strip()


def _iso(text: str) -> str:
    return moment(text).isoformat().replace("+00:00", "Z")
