"""WooCommerce's orders in the words of `shared.contracts.orders.imported.RemoteOrder`. Pure functions.

WooCommerce keeps every amount without tax and its tax beside it. In a shop whose prices have tax in them they are
given with it, as the buyer saw them. What a line came to is divided by its quantity, rounded up, and what that is too
much is taken off again by name, so that all adds up to WooCommerce's own total. An order is given as it was sold:
refunds do not change its lines, its status says whether all of it was refunded.
"""

import re
from collections.abc import Sequence
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Fields, Record
from services.sync.platforms.woocommerce.mapping import minor, moment, text

JsonObject = dict[str, Any]

# What stands where an order says nothing: goods that are downloaded have no address, guests of the counter no e-mail.
NO_LINE, NO_COUNTRY, NO_EMAIL_DOMAIN = "-", "ZZ", "no-email.invalid"
MOST_NAMES, MOST_LINES = 20, 1000
# What WooCommerce itself takes for paid (`wc_get_is_paid_statuses`): goods paid on delivery are to be sent before.
_PAID = frozenset(("processing", "completed"))
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_NOT_CODE = re.compile(r"[^A-Za-z0-9._-]+")


class OrderUnreadable(AnswerNotUnderstood):
    """An order that can not be said in our words."""


def order(node: JsonObject) -> Record:
    """An order. Raises OrderUnreadable, AnswerNotUnderstood, UnknownCurrency."""
    lines = [line for line in node["line_items"] if quantity_of(line) > 0]
    if not 1 <= len(lines) <= MOST_LINES:
        raise OrderUnreadable(f"The order {node['number']} has {len(lines)} lines.")
    placed, updated = moment(node["date_created_gmt"]), moment(node["date_modified_gmt"])
    if placed is None:
        raise OrderUnreadable(f"The order {node['number']} does not say when it was placed.")
    fields: Fields = {
        "external_id": str(node["id"]),
        "number": _words(str(node["number"])) or None,
        "status": node["status"],
        "is_paid": is_paid(node),
        "placed_at": _iso(placed),
        "updated_at": _iso(updated or placed),
        **_Sums(node, lines).fields(),
        "customer": _customer(node),
        "shipping_address": _address(node),
    }
    return Record(str(node["id"]), fields, updated)


def is_paid(node: JsonObject) -> bool:
    """Whether WooCommerce has an order's money, or takes it for paid."""
    return node["date_paid_gmt"] is not None or node["status"] in _PAID


def line_sku(line: JsonObject) -> str:
    """The SKU of a line; what was sold without one is known by the line, so that it is found again when it ships."""
    return _words(str(line["sku"] or "")) or f"woocommerce-line-{line['id']}"


def quantity_of(line: JsonObject) -> int:
    """How many were sold. Raises OrderUnreadable for a part of one, which plug-ins sell."""
    quantity = line["quantity"]
    if isinstance(quantity, float) and not quantity.is_integer():
        raise OrderUnreadable(f"{quantity} of {line_sku(line)} were sold, and only whole ones can be taken.")
    return int(quantity)


class _Sums:
    """Lines, discounts, taxes, shipping and total of one order, which add up."""

    def __init__(self, node: JsonObject, lines: Sequence[JsonObject]) -> None:
        self._node, self._lines = node, lines
        self._currency = node["currency"]
        self._is_gross = bool(node["prices_include_tax"])
        coupons = [_words(str(each["code"])) for each in node["coupon_lines"]]
        self._discount = ", ".join(each for each in coupons if each)[:200] or "Discount"

    def fields(self) -> Fields:
        lines = [self._line(line) for line in self._lines]
        fees = [(_words(str(fee["name"] or "")) or "Fee", self._of(fee, "total")) for fee in self._node["fee_lines"]]
        discounts = [self._named(name, -amount) for name, amount in fees if amount < 0]
        taxes = [*self._taxes(), *(self._tax(name, amount) for name, amount in fees if amount > 0)]
        shipping, total = self._shipping(), minor(self._node["total"], self._currency)
        computed = sum(line["quantity"] * line["unit_price"]["amount"] for line in lines)
        computed -= sum(_sum(line["discounts"]) for line in lines) + _sum(discounts)
        computed += sum(tax["amount"]["amount"] for tax in taxes if not tax["included"])
        computed += shipping["price"]["amount"] if shipping else 0
        rest = total - computed
        if rest and abs(rest) <= 2 * len(lines) + 2:
            # So much comes of each amount being rounded by itself.
            (discounts if rest < 0 else taxes).append(
                self._named("Rounding", -rest) if rest < 0 else self._tax("Rounding", rest)
            )
        return {
            "lines": lines,
            "total": self._money(total),
            "discounts": _most(discounts),
            "taxes": _most(taxes),
            "shipping": shipping,
        }

    def _line(self, line: JsonObject) -> JsonObject:
        quantity, sold, paid = quantity_of(line), self._of(line, "subtotal"), self._of(line, "total")
        unit = -(-sold // quantity)
        off = [(self._discount, sold - paid), ("Rounding", unit * quantity - sold)]
        return {
            "sku": line_sku(line),
            "quantity": quantity,
            "unit_price": self._money(unit),
            "title": _words(text(str(line["name"] or "")), 500) or None,
            "discounts": [self._named(name, amount) for name, amount in off if amount > 0],
            "taxes": [],
        }

    def _taxes(self) -> list[JsonObject]:
        """Taxes by name, which have that of shipping and fees in them."""
        named: dict[str, int] = {}
        for line in self._node["tax_lines"]:
            name = _words(text(str(line["label"] or line["rate_code"] or ""))) or "Tax"
            both = (minor(line[part] or "0", self._currency) for part in ("tax_total", "shipping_tax_total"))
            named[name] = named.get(name, 0) + sum(both)
        beyond = minor(self._node["total_tax"] or "0", self._currency) - sum(named.values())
        if beyond > 0:
            named["Tax"] = named.get("Tax", 0) + beyond
        return [self._tax(name, amount, included=self._is_gross) for name, amount in named.items() if amount > 0]

    def _shipping(self) -> JsonObject | None:
        price = minor(self._node["shipping_total"] or "0", self._currency)
        if self._is_gross:
            price += minor(self._node["shipping_tax"] or "0", self._currency)
        line = next(iter(self._node["shipping_lines"]), None)
        if line is None and not price:
            return None
        title = _words(text(str((line or {}).get("method_title") or "")))
        code = _NOT_CODE.sub("-", _words(str((line or {}).get("method_id") or "")) or title).strip("-._")[:63]
        return {"method": code or "shipping", "title": title or None, "price": self._money(price)}

    def _of(self, line: JsonObject, name: str) -> int:
        net = minor(line[name] or "0", self._currency)
        return net + minor(line.get(f"{name}_tax") or "0", self._currency) if self._is_gross else net

    def _named(self, name: str, amount: int) -> JsonObject:
        return {"name": name, "amount": self._money(amount)}

    def _tax(self, name: str, amount: int, *, included: bool = False) -> JsonObject:
        return {**self._named(name, amount), "included": included}

    def _money(self, amount: int) -> JsonObject:
        return {"amount": amount, "currency": self._currency}


def _sum(named: Sequence[JsonObject]) -> int:
    return sum(each["amount"]["amount"] for each in named)


def _most(entries: list[JsonObject]) -> list[JsonObject]:
    """As many names as an order may have; those beyond are one."""
    if len(entries) <= MOST_NAMES:
        return entries
    kept, beyond = entries[: MOST_NAMES - 1], entries[MOST_NAMES - 1 :]
    return [*kept, {**beyond[0], "name": "Others", "amount": {**beyond[0]["amount"], "amount": _sum(beyond)}}]


def _customer(node: JsonObject) -> JsonObject:
    email = re.sub(r"\s", "", node["billing"].get("email") or "")[:254]
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        email = f"order-{node['id']}@{NO_EMAIL_DOMAIN}"
    return {"email": email, "name": _name(node["billing"]) or _name(node["shipping"]) or email[:200]}


def _address(node: JsonObject) -> JsonObject:
    """Where the goods go: one without a street is none, and the buyer's own holds."""
    given = node["shipping"] if node["shipping"].get("address_1") else node["billing"]
    maybe = {
        "name": _name(given),
        "company": given.get("company"),
        "line2": given.get("address_2"),
        "region": given.get("state"),
        "postal_code": given.get("postcode"),
        "phone": given.get("phone") or node["billing"].get("phone"),
    }
    country = str(given.get("country") or NO_COUNTRY)
    return {
        "line1": _words(given.get("address_1")) or NO_LINE,
        "city": _words(given.get("city")) or NO_LINE,
        "country": country if re.fullmatch(r"[A-Za-z]{2}", country) else NO_COUNTRY,
        **{name: _words(value) or None for name, value in maybe.items()},
    }


def _name(address: JsonObject) -> str:
    return _words(f"{address.get('first_name') or ''} {address.get('last_name') or ''}")


def _words(value: str | None, most: int = 200) -> str:
    return " ".join(_CONTROLS.sub(" ", value or "").split())[:most].strip()


def _iso(time: Any) -> str:
    return str(time.isoformat()).replace("+00:00", "Z")
