"""What a WooCommerce site answers with, from the words of `base.py` and back: whole records, as real sites do."""

from typing import Any

JsonObject = dict[str, Any]
CURRENCY = "EUR"
NO_CATEGORY: JsonObject = {"id": 15, "name": "Uncategorized", "slug": "uncategorized"}
_SOLD: JsonObject = {
    "date_created": None,
    "date_created_gmt": None,
    "date_modified": None,
    "date_modified_gmt": None,
    "description": "",
    "permalink": "",
    "sku": "",
    "global_unique_id": "",
    "price": "",
    "regular_price": "",
    "sale_price": "",
    "date_on_sale_from": None,
    "date_on_sale_from_gmt": None,
    "date_on_sale_to": None,
    "date_on_sale_to_gmt": None,
    "on_sale": False,
    "status": "publish",
    "purchasable": True,
    "virtual": False,
    "downloadable": False,
    "downloads": [],
    "download_limit": -1,
    "download_expiry": -1,
    "tax_status": "taxable",
    "tax_class": "",
    "manage_stock": False,
    "stock_quantity": None,
    "stock_status": "instock",
    "backorders": "no",
    "backorders_allowed": False,
    "backordered": False,
    "low_stock_amount": None,
    "weight": "",
    "dimensions": {"length": "", "width": "", "height": ""},
    "shipping_class": "",
    "shipping_class_id": 0,
    "attributes": [],
    "menu_order": 0,
    "meta_data": [],
    "parent_id": 0,
    "name": "",
}

_ORDERED: JsonObject = {
    "parent_id": 0,
    "version": "10.5.3",
    "prices_include_tax": False,
    "discount_tax": "0.00",
    "shipping_tax": "0.00",
    "customer_id": 0,
    "payment_method": "bacs",
    "payment_method_title": "Direct bank transfer",
    "transaction_id": "",
    "customer_ip_address": "",
    "customer_user_agent": "",
    "created_via": "checkout",
    "customer_note": "",
    "date_completed": None,
    "date_completed_gmt": None,
    "cart_hash": "",
    "payment_url": "",
    "is_editable": False,
    "needs_payment": False,
    "needs_processing": True,
    "currency_symbol": "€",
}


def new_product(product_id: int) -> JsonObject:
    """A product of which nothing was said."""
    return {
        **_SOLD,
        "id": product_id,
        "name": "Product",
        "slug": "",
        "type": "simple",
        "featured": False,
        "catalog_visibility": "visible",
        "short_description": "",
        "total_sales": 0,
        "external_url": "",
        "button_text": "",
        "sold_individually": False,
        "shipping_required": True,
        "shipping_taxable": True,
        "reviews_allowed": True,
        "average_rating": "0.00",
        "rating_count": 0,
        "upsell_ids": [],
        "cross_sell_ids": [],
        "purchase_note": "",
        "categories": [NO_CATEGORY],
        "brands": [],
        "tags": [],
        "images": [],
        "default_attributes": [],
        "variations": [],
        "grouped_products": [],
        "price_html": "",
        "related_ids": [],
        "has_options": False,
        "post_password": "",
        "attributes": [],
        "meta_data": [],
    }


def new_variation(variation_id: int, product_id: int) -> JsonObject:
    """A variation of which nothing was said."""
    return {
        **_SOLD,
        "id": variation_id,
        "type": "variation",
        "parent_id": product_id,
        "image": None,
        "attributes": [],
        "meta_data": [],
    }


def major(money: JsonObject | None) -> str:
    """An amount as WooCommerce has it."""
    return "" if money is None else f"{money['amount'] / 100:.2f}"


def minor(amount: str) -> JsonObject | None:
    """A price in the words of `base.py`."""
    return {"amount": round(float(amount) * 100), "currency": CURRENCY} if amount else None


def part_payload(fields: JsonObject) -> JsonObject:
    """What a merchant types in to have a variant like this."""
    price, list_price = fields.get("price"), fields.get("list_price")
    return {
        "sku": fields.get("sku") or "",
        "global_unique_id": fields.get("barcode") or "",
        "regular_price": major(list_price or price),
        "sale_price": major(price) if list_price else "",
        "weight": f"{fields['weight_grams'] / 1000:g}" if fields.get("weight_grams") else "",
        "virtual": fields.get("requires_shipping") is False,
        "tax_status": "none" if fields.get("taxable") is False else "taxable",
    }


def part_words(node: JsonObject) -> JsonObject:
    """A variation, or what is sold of a simple product."""
    reduced = node["on_sale"]
    return {
        "sku": node["sku"],
        "barcode": node["global_unique_id"],
        "options": {each["name"]: each["option"] for each in node["attributes"] if "option" in each},
        "price": minor(node["sale_price"] if reduced else node["regular_price"]),
        "list_price": minor(node["regular_price"]) if reduced else None,
        "weight_grams": round(float(node["weight"]) * 1000) if node["weight"] else None,
        "requires_shipping": not node["virtual"],
        "taxable": node["tax_status"] == "taxable",
    }


def order_node(order: JsonObject, modified: str) -> JsonObject:
    """An order from the words of RemoteOrder: amounts without tax, and taxes beside them."""
    lines = [_line(number, line) for number, line in enumerate(order["lines"], start=int(order["external_id"]) * 10)]
    taxes = [tax for tax in order["taxes"] if not tax["included"]]
    shipping, placed = order["shipping"], order["placed_at"].removesuffix("Z")
    whose = _address(order["customer"]["name"], order["shipping_address"])
    taxed = _text(_sum(major(tax["amount"]) for tax in taxes))
    paid = placed if order["is_paid"] else None
    return {
        **_ORDERED,
        "id": int(order["external_id"]),
        "status": order["status"],
        "currency": order["total"]["currency"],
        "date_created": placed,
        "date_created_gmt": placed,
        "date_modified": modified,
        "date_modified_gmt": modified,
        "date_paid": paid,
        "date_paid_gmt": paid,
        "discount_total": _text(_sum(x["subtotal"] for x in lines) - _sum(x["total"] for x in lines)),
        "shipping_total": major(shipping["price"]) if shipping else "0.00",
        "cart_tax": taxed,
        "total": major(order["total"]),
        "total_tax": taxed,
        "order_key": f"wc_order_{order['external_id']}",
        "billing": {**whose, "email": order["customer"]["email"]},
        "shipping": whose,
        "number": order["number"] or order["external_id"],
        "meta_data": [],
        "line_items": lines,
        "tax_lines": [_tax(number, tax) for number, tax in enumerate(taxes, start=1)],
        "shipping_lines": [_shipping_line(int(order["external_id"]) * 10 + 9, shipping)] if shipping else [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
    }


def _address(name: str, address: JsonObject) -> JsonObject:
    first, _, last = name.partition(" ")
    return {
        "first_name": first,
        "last_name": last,
        "company": address.get("company") or "",
        "address_1": address["line1"],
        "address_2": address.get("line2") or "",
        "city": address["city"],
        "state": address.get("region") or "",
        "postcode": address.get("postal_code") or "",
        "country": address["country"],
        "phone": address.get("phone") or "",
    }


def _shipping_line(number: int, shipping: JsonObject) -> JsonObject:
    return {
        "id": number,
        "method_title": shipping["title"],
        "method_id": shipping["method"],
        "instance_id": "1",
        "total": major(shipping["price"]),
        "total_tax": "0.00",
        "taxes": [],
        "tax_status": "taxable",
        "meta_data": [],
    }


def _line(number: int, line: JsonObject) -> JsonObject:
    subtotal = line["unit_price"]["amount"] * line["quantity"]
    total = subtotal - sum(each["amount"]["amount"] for each in line["discounts"])
    return {
        "id": number,
        "name": line["title"] or "",
        "product_id": 0,
        "variation_id": 0,
        "quantity": line["quantity"],
        "tax_class": "",
        "subtotal": _text(subtotal / 100),
        "subtotal_tax": "0.00",
        "total": _text(total / 100),
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": [],
        "sku": line["sku"],
        "global_unique_id": "",
        "price": total / 100 / line["quantity"],
        "image": {"id": "", "src": ""},
        "parent_name": None,
    }


def _tax(number: int, tax: JsonObject) -> JsonObject:
    return {
        "id": number,
        "rate_code": tax["name"],
        "rate_id": number,
        "label": tax["name"],
        "compound": False,
        "tax_total": major(tax["amount"]),
        "shipping_tax_total": "0.00",
        "rate_percent": 0,
        "meta_data": [],
    }


def _sum(amounts: Any) -> float:
    return sum(map(float, amounts))


def _text(amount: float) -> str:
    return f"{amount:.2f}"
