"""Orders in our words as Shopify would have them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared.money import exponent
from tests.fakes.shopify_state import Node, gid_of

_SHIPPED = ("_partially_fulfilled", "_fulfilled", "_on_hold")


def order_node(order: Mapping[str, Any]) -> Node:
    """An order of ours in Shopify's words. What is off the whole order is in its sum of discounts alone."""
    lines = [_line_node(order, place, line) for place, line in enumerate(order["lines"])]
    discounts = [*order.get("discounts", ()), *(each for line in order["lines"] for each in line.get("discounts", ()))]
    taxes = [*order.get("taxes", ()), *(tax for line in order["lines"] for tax in line.get("taxes", ()))]
    shipping, total = order.get("shipping"), order["total"]
    tax_sum = {"amount": sum(tax["amount"]["amount"] for tax in taxes), "currency": total["currency"]}
    off = {"amount": sum(each["amount"]["amount"] for each in discounts), "currency": total["currency"]}
    shipping_sum = shipping["price"] if shipping else {"amount": 0, "currency": total["currency"]}
    address = order["shipping_address"]
    return {
        "id": order["external_id"],
        "name": order.get("number") or f"#{order['external_id']}",
        "email": order["customer"]["email"],
        "phone": None,
        "test": False,
        "createdAt": order["placed_at"],
        "processedAt": order["placed_at"],
        "updatedAt": datetime.fromisoformat(order["updated_at"]).astimezone(UTC),
        "currencyCode": total["currency"],
        "taxesIncluded": any(tax.get("included") for tax in taxes),
        "dutiesIncluded": False,
        **_status_node(order["status"], order["placed_at"]),
        "currentSubtotalLineItemsQuantity": sum(line["quantity"] for line in order["lines"]),
        "subtotalLineItemsQuantity": sum(line["quantity"] for line in order["lines"]),
        **{name: _bag(total) for name in ("currentTotalPriceSet", "totalPriceSet")},
        **{name: _bag(shipping_sum) for name in ("currentShippingPriceSet", "totalShippingPriceSet")},
        **{
            name: [{"title": tax["name"], "priceSet": _bag(tax["amount"])} for tax in taxes]
            for name in ("currentTaxLines", "taxLines")
        },
        **{name: _bag(tax_sum) for name in ("currentTotalTaxSet", "totalTaxSet")},
        **{name: _bag(off) for name in ("currentTotalDiscountsSet", "totalDiscountsSet")},
        **dict.fromkeys(("currentTotalDutiesSet", "originalTotalDutiesSet")),
        **dict.fromkeys(("currentTotalAdditionalFeesSet", "originalTotalAdditionalFeesSet")),
        "totalTipReceivedSet": _bag({**total, "amount": 0}),
        "shippingLine": {"code": shipping["method"], "title": shipping.get("title") or ""} if shipping else None,
        "shippingAddress": {
            "name": address.get("name") or order["customer"]["name"],
            "company": address.get("company"),
            "address1": address["line1"],
            "address2": address.get("line2"),
            "city": address["city"],
            "province": None,
            "provinceCode": address.get("region"),
            "zip": address.get("postal_code"),
            "countryCodeV2": address["country"],
            "phone": address.get("phone"),
        },
        "billingAddress": None,
        "lines": lines,
    }


def _line_node(order: Mapping[str, Any], place: int, line: Mapping[str, Any]) -> Node:
    return {
        "id": gid_of("LineItem", f"{order['external_id']}{place:03}"),
        "title": line.get("title") or line["sku"],
        "sku": line["sku"],
        "quantity": line["quantity"],
        "currentQuantity": line["quantity"],
        "originalUnitPriceSet": _bag(line["unit_price"]),
        "discountAllocations": [_allocation(each) for each in line.get("discounts", ())],
    }


def _allocation(discount: Mapping[str, Any]) -> Node:
    application = {"__typename": "DiscountCodeApplication", "code": discount["name"]}
    return {"allocatedAmountSet": _bag(discount["amount"]), "discountApplication": application}


def _status_node(status: str, moment: str) -> Node:
    """The words that a status of ours is made of; one that Shopify does not have stands where payment is told."""
    shipped = next((each for each in _SHIPPED if status.endswith(each)), "")
    paid = status.removesuffix(shipped)
    is_cancelled = status == "cancelled"
    return {
        "cancelledAt": moment if is_cancelled else None,
        "displayFinancialStatus": "VOIDED" if is_cancelled else paid.upper(),
        "displayFulfillmentStatus": shipped.strip("_").upper() or "UNFULFILLED",
    }


def _bag(money: Mapping[str, Any]) -> Node:
    major = Decimal(money["amount"]).scaleb(-exponent(money["currency"]))
    return {"shopMoney": {"amount": str(major), "currencyCode": money["currency"]}}
