"""A fake Magento's records as its REST API words them: the keys are those of recorded answers."""

from typing import Any

JsonObject = dict[str, Any]

# Attributes of the one attribute set that there is: id, code, label, kind, and the labels of its options.
ATTRIBUTES: list[tuple[int, str, str, str, tuple[str, ...]]] = [
    (73, "name", "Product Name", "text", ()),
    (75, "description", "Description", "textarea", ()),
    (78, "special_price", "Special Price", "price", ()),
    (79, "special_from_date", "Special Price From Date", "date", ()),
    (80, "special_to_date", "Special Price To Date", "date", ()),
    (84, "meta_title", "Meta Title", "text", ()),
    (85, "meta_keyword", "Meta Keywords", "textarea", ()),
    (86, "meta_description", "Meta Description", "textarea", ()),
    (83, "manufacturer", "Manufacturer", "select", ("Skerry",)),
    (93, "colour", "Colour", "select", ("Red",)),
    (121, "url_key", "URL Key", "text", ()),
    (134, "tax_class_id", "Tax Class", "select", ()),
    (137, "kind", "Kind", "text", ()),
    (138, "size_mm", "Size", "select", ("S", "M", "L", "XL")),
    (139, "ean", "EAN", "text", ()),
]
SET_ID = 4
STOCK_ITEM: JsonObject = {"stock_id": 1, "is_in_stock": True, "is_qty_decimal": False, "manage_stock": True}
STATE_OF = {
    "pending": "new",
    "processing": "processing",
    "complete": "complete",
    "holded": "holded",
    "canceled": "canceled",
    "cancelled": "canceled",
}
NOWHERE = "no_selection"


def attribute(attribute_id: int, code: str, label: str, kind: str, options: list[JsonObject]) -> JsonObject:
    """An attribute as a set lists it."""
    return {
        "attribute_id": attribute_id,
        "attribute_code": code,
        "frontend_input": kind,
        "entity_type_id": "4",
        "is_required": False,
        "options": [{"label": " ", "value": ""}, *options] if options else [],
        "is_user_defined": attribute_id > 100,
        "default_frontend_label": label,
        "frontend_labels": [],
        "scope": "global",
    }


def product(kept: JsonObject, *, is_listed: bool) -> JsonObject:
    """A product as a list has it, or by itself with its stock item."""
    more: JsonObject = {"website_ids": [1]}
    if kept["category_ids"]:
        more["category_links"] = [{"position": 0, "category_id": each} for each in kept["category_ids"]]
    if not is_listed:
        more["stock_item"] = {"item_id": kept["id"] + 14, "product_id": kept["id"], "qty": 0, **STOCK_ITEM}
    if kept["type_id"] == "configurable":
        more["configurable_product_options"] = [dict(each) for each in kept["axes"]]
        more["configurable_product_links"] = list(kept["links"])
    names = ("id", "sku", "name", "attribute_set_id", "price", "status", "visibility", "type_id")
    whole = {name: kept[name] for name in names} | {"created_at": kept["created_at"], "updated_at": kept["updated_at"]}
    if kept.get("weight") is not None:
        whole["weight"] = kept["weight"]
    custom = {"options_container": "container2", "required_options": "0", "has_options": "0", "tax_class_id": "2"}
    codes = custom | {code: value for code, value in kept["custom"].items() if value != ""}
    return whole | {
        "extension_attributes": more,
        "product_links": [],
        "options": [],
        "media_gallery_entries": [dict(each) for each in kept["media"]],
        "tier_prices": [],
        "custom_attributes": [
            *({"attribute_code": code, "value": value} for code, value in codes.items()),
            {"attribute_code": "category_ids", "value": list(kept["category_ids"])},
        ],
    }


def order(given: JsonObject, item_ids: list[int], moment: str) -> JsonObject:
    """An order in the words of RemoteOrder as Magento has it: guest checkout, in the base currency."""
    number = int(given["external_id"])
    total = _major(given["total"])
    shipping = _major(given["shipping"]["price"]) if given.get("shipping") else 0
    address = _address(given, number)
    items = [_item(number, line, item_id) for line, item_id in zip(given["lines"], item_ids, strict=True)]
    tax = sum(_major(each["amount"]) for each in given.get("taxes") or () if not each["included"])
    node = {
        "base_currency_code": given["total"]["currency"],
        "base_discount_amount": -sum(_major(each["amount"]) for each in given.get("discounts") or ()),
        "base_discount_tax_compensation_amount": 0,
        "base_grand_total": total,
        "base_shipping_amount": shipping,
        "base_shipping_incl_tax": shipping,
        "base_shipping_tax_amount": 0,
        "base_subtotal": sum(item["base_row_total"] for item in items),
        "base_tax_amount": tax,
        "base_total_due": 0 if given["is_paid"] else total,
        "created_at": given["placed_at"].replace("T", " ").removesuffix("Z"),
        "customer_email": given["customer"]["email"],
        "customer_firstname": address["firstname"],
        "customer_is_guest": 1,
        "customer_lastname": address["lastname"],
        "entity_id": number,
        "grand_total": total,
        "increment_id": given["number"],
        "is_virtual": 0,
        "order_currency_code": given["total"]["currency"],
        "shipping_description": "Flat Rate - Fixed",
        "state": STATE_OF.get(given["status"], "processing"),
        "status": given["status"],
        "store_id": 1,
        "total_item_count": len(items),
        "total_qty_ordered": sum(item["qty_ordered"] for item in items),
        "updated_at": moment,
        "items": items,
        "billing_address": {**address, "address_type": "billing"},
        "payment": {"method": "checkmo", "additional_information": ["Check / Money order"], "entity_id": number},
        "status_histories": [],
        "extension_attributes": {
            "shipping_assignments": [
                {"shipping": {"address": address, "method": "flatrate_flatrate", "total": {}}, "items": items}
            ],
            "applied_taxes": [],
        },
    }
    return node | ({"base_total_paid": total} if given["is_paid"] else {})


def _item(order_id: int, line: JsonObject, item_id: int) -> JsonObject:
    price = _major(line["unit_price"])
    return {
        "base_discount_amount": 0,
        "base_price": price,
        "base_price_incl_tax": price,
        "base_row_total": round(price * line["quantity"], 4),
        "base_tax_amount": 0,
        "item_id": item_id,
        "name": line.get("title") or line["sku"],
        "order_id": order_id,
        "price": price,
        "product_type": "simple",
        "qty_canceled": 0,
        "qty_invoiced": 0,
        "qty_ordered": line["quantity"],
        "qty_refunded": 0,
        "qty_shipped": 0,
        "sku": line["sku"],
    }


def _address(given: JsonObject, number: int) -> JsonObject:
    there = given["shipping_address"]
    first, _, last = (there.get("name") or given["customer"]["name"]).partition(" ")
    return {
        "address_type": "shipping",
        "city": there["city"],
        "country_id": there["country"],
        "email": given["customer"]["email"],
        "entity_id": number * 2,
        "firstname": first,
        "lastname": last,
        "parent_id": number,
        "postcode": there.get("postal_code"),
        "street": [each for each in (there["line1"], there.get("line2")) if each],
        "telephone": there.get("phone") or "1",
    }


def _major(money: JsonObject) -> float:
    return round(money["amount"] / 100, 2)
