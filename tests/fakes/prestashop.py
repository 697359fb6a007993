"""A PrestaShop 8.2 shop that speaks its webservice over HTTP, with all of its own surprises.

What it answers has the shape of what a real one answered (`tests/platforms/prestashop/test_recordings.py` compares).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.fakes.prestashop_rows import NO_TIME, Row
from tests.fakes.prestashop_server import Webservice
from tests.fakes.prestashop_state import number
from tests.fakes.shop_server import plain

Item = dict[str, Any]


@dataclass
class PrestaShop(Webservice):
    """The shop as tests change it and look at it, in the words of `services/sync/platforms/base.py`."""

    platform = "prestashop"
    # What it has no place for, and the id of the place that its stock is in.
    without = frozenset(("product_type",))
    place = "1"

    def __post_init__(self) -> None:
        super().__post_init__()
        # What a test said of a product that PrestaShop has no place for, and its ids of variants.
        self._beyond: dict[str, Item] = {}
        self._variants: dict[str, list[str]] = {}

    def put_product(self, external_id: str, fields: Item, variants: dict[str, Item]) -> None:
        fields, variants = plain(fields), plain(variants)
        memory, product_id = self.memory, int(external_id)
        is_new = product_id not in memory.tables["products"]
        if is_new:
            memory.add("products", product_id, state="1", minimal_quantity="1", id_tax_rules_group="1")
        row = memory.tables["products"][product_id]
        brand = self._named("manufacturers", fields.get("brand", ""), name=fields.get("brand", ""))
        values = {
            "name": fields.get("title", ""),
            "link_rewrite": fields.get("handle", ""),
            "description": fields.get("description_html", ""),
            "active": "1" if fields.get("status") == "active" else "0",
            "id_manufacturer": brand,
            "tags": [{"id": self._named("tags", tag, name=tag, id_lang="1")} for tag in fields.get("tags", ())],
            "categories": row["categories"] or [{"id": "2"}],
        }
        memory.put("products", row, values)
        self._beyond[external_id] = {name: value for name, value in fields.items() if name in self.without}
        self._variants[external_id] = list(variants)
        first = next(iter(variants.values()), {})
        memory.put("products", row, {"price": _major(first.get("price"))})
        memory.after_product(row, is_new=is_new)
        if first.get("options"):
            for variant_id, variant in variants.items():
                self._put_combination(row, int(variant_id), variant)
        else:
            memory.put("products", row, {"reference": first.get("sku", ""), "ean13": first.get("barcode", "")})

    def _put_combination(self, product: Row, combination_id: int, variant: Item) -> None:
        memory = self.memory
        is_new = combination_id not in memory.tables["combinations"]
        if is_new:
            memory.add("combinations", combination_id, id_product=str(product["id"]))
        row = memory.tables["combinations"][combination_id]
        chosen = []
        for option, value in variant["options"].items():
            group = self._named("product_options", option, name=option, public_name=option, group_type="select")
            known = [
                each
                for each in memory.rows("product_option_values", id_attribute_group=group)
                if each["name"][1] == value
            ]
            added = None if known else memory.add("product_option_values", id_attribute_group=group, name=value)
            chosen.append({"id": str(known[0]["id"] if known else added)})
        price = Decimal(_major(variant.get("price"))) - Decimal(product["price"])
        values = {"reference": variant["sku"], "ean13": variant.get("barcode", ""), "product_option_values": chosen}
        memory.put("combinations", row, {**values, "price": str(price)})
        memory.after_combination(row, is_new=is_new)

    def _named(self, resource: str, wanted: str, /, **values: str) -> str:
        """The id of the row of this name, which is made if there is none; 0 for no name."""
        if not wanted:
            return "0"
        rows = self.memory.rows(resource)
        found = [row for row in rows if wanted in (row["name"], isinstance(row["name"], dict) and row["name"][1])]
        return str(found[0]["id"] if found else self.memory.add(resource, **values))

    def remove_product(self, external_id: str) -> None:
        self.memory.remove_product(int(external_id))

    def product(self, external_id: str) -> tuple[Item, dict[str, Item]]:
        memory, row = self.memory, self.memory.tables["products"][int(external_id)]
        combinations = memory.rows("combinations", id_product=external_id)
        tags = [memory.tables["tags"][int(entry["id"])]["name"] for entry in row["tags"]]
        variants: dict[str, Item] = {}
        if combinations:
            for each in combinations:
                price = Decimal(row["price"]) + Decimal(each["price"])
                variants[str(each["id"])] = self._variant(each, price, self._chosen(each))
        else:
            known = self._variants.get(external_id) or ["0"]
            variants[known[0]] = self._variant(row, Decimal(row["price"]), {})
        options = list(dict.fromkeys(name for each in variants.values() for name in each["options"]))
        fields = {
            "handle": row["link_rewrite"][1],
            "title": row["name"][1],
            "description_html": row["description"][1],
            "brand": row["manufacturer_name"],
            "status": "active" if row["active"] == "1" else "draft",
            "tags": sorted(tags),
            "options": options,
            "images": [{"url": self.address(int(each["id"])), "alt": ""} for each in row["images"]],
        }
        return fields | self._beyond.get(external_id, {}), variants

    def _variant(self, row: Row, price: Decimal, options: dict[str, str]) -> Item:
        return {
            "sku": row["reference"],
            "barcode": row["ean13"] or row["upc"],
            "options": options,
            "price": {"amount": round(price * 100), "currency": "EUR"},
            "list_price": None,
        }

    def _chosen(self, row: Row) -> dict[str, str]:
        tables, found = self.memory.tables, {}
        for entry in row["product_option_values"]:
            value = tables["product_option_values"][int(entry["id"])]
            option = tables["product_options"][int(value["id_attribute_group"])]
            found[option["name"][1]] = value["name"][1]
        return found

    def put_category(self, path: list[str]) -> None:
        parent = 2
        for name in path:
            parent = self.memory.add("categories", name=name, id_parent=str(parent))

    def product_ids(self) -> list[str]:
        return [str(each) for each in self.memory.tables["products"]]

    def level(self, sku: str) -> Row:
        """The stock level of a SKU."""
        for resource, name in (("combinations", "id_product_attribute"), ("products", "id_product")):
            for row in self.memory.rows(resource, reference=sku):
                found = self.memory.rows("stock_availables", **{name: str(row["id"])})
                if found:
                    return next((each for each in found if each["id_product_attribute"] != "0"), found[0])
        raise KeyError(sku)

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        level = self.level(sku)
        level["quantity"] = str(quantity)
        self.memory.after_level(level)

    def stock(self, sku: str, location: str) -> int:
        return int(self.level(sku)["quantity"])

    def put_order(self, order: Item) -> None:
        memory, order_id = self.memory, int(order["external_id"])
        is_new = order_id not in memory.tables["orders"]
        if is_new:
            memory.add("orders", order_id, **self._persons(order))
            memory.add("order_carriers", id_order=str(order_id), id_carrier="2")
        row = memory.tables["orders"][order_id]
        state = self._named(
            "order_states", order["status"], name=order["status"], paid="1" if order["is_paid"] else "0"
        )
        total = _major(order["total"])
        values = {
            "reference": order.get("number") or "",
            "current_state": state,
            "total_paid": total,
            "total_paid_tax_incl": total,
            "total_paid_tax_excl": total,
            "total_paid_real": total if order["is_paid"] else row["total_paid_real"],
            "date_add": memory.wall(datetime.fromisoformat(order["placed_at"])),
            "delivery_date": NO_TIME,
            "order_rows": [self._order_row(index, line) for index, line in enumerate(order["lines"], 1)],
        }
        memory.put("orders", row, values)
        memory.touch(row)
        memory.add("order_histories", id_order=str(order_id), id_order_state=state)

    def take_order(self, order: Item) -> None:
        """An order as a buyer makes it: the shop takes its goods off, paid or not."""
        self.put_order(order)
        for line in order["lines"]:
            self.put_stock(line["sku"], self.place, self.stock(line["sku"], self.place) - line["quantity"])

    def _persons(self, order: Item) -> Item:
        given, address = order["customer"], order["shipping_address"]
        first, _, last = given["name"].partition(" ")
        customer = self.memory.add("customers", email=given["email"], firstname=first, lastname=last)
        country = self._country(address["country"])
        placed = self.memory.add(
            "addresses",
            id_customer=str(customer),
            id_country=country,
            firstname=first,
            lastname=last,
            address1=address["line1"],
            city=address["city"],
            postcode=address.get("postal_code") or "",
        )
        return {
            "id_customer": str(customer),
            "id_address_delivery": str(placed),
            "id_address_invoice": str(placed),
        }

    def _country(self, code: str) -> str:
        known = self.memory.rows("countries", iso_code=code)
        return str(known[0]["id"] if known else self.memory.add("countries", iso_code=code))

    def _order_row(self, index: int, line: Item) -> Item:
        combination = next(iter(self.memory.rows("combinations", reference=line["sku"])), None)
        product = next(iter(self.memory.rows("products", reference=line["sku"])), None)
        price = _major(line["unit_price"])
        return {
            "id": str(index),
            "product_id": str(combination["id_product"] if combination else product["id"] if product else 0),
            "product_attribute_id": str(combination["id"] if combination else 0),
            "product_quantity": str(line["quantity"]),
            "product_name": line.get("title") or "",
            "product_reference": line["sku"],
            **dict.fromkeys(("product_ean13", "product_isbn", "product_upc"), ""),
            "product_price": price,
            "id_customization": "0",
            "unit_price_tax_incl": price,
            "unit_price_tax_excl": price,
        }

    def shipments(self, order_external_id: str) -> list[Item]:
        """Parcels by their tracking numbers; PrestaShop knows no lines of them."""
        rows = self.memory.rows("order_carriers", id_order=order_external_id)
        return [
            {"lines": None, "carrier": None, "tracking_numbers": [row["tracking_number"]]}
            for row in rows
            if row["tracking_number"]
        ]

    def put_supplier(self, external_id: str, fields: Item) -> None:
        known = self.memory.tables["suppliers"].get(int(external_id))
        if known is None:
            self.memory.add("suppliers", int(external_id), name=fields["name"], active="1")
            self.memory.add("addresses", id_supplier=external_id, phone=fields.get("phone", ""))
        else:
            known["name"] = fields["name"]
            self.memory.touch(known)

    def put_supplier_link(self, external_id: str, fields: Item) -> None:
        level = self.level(fields["sku"])
        self.memory.tables["product_suppliers"].pop(int(external_id), None)
        self.memory.add(
            "product_suppliers",
            int(external_id),
            id_product=level["id_product"],
            id_product_attribute=level["id_product_attribute"],
            id_supplier=fields["supplier"],
            id_currency="1",
            product_supplier_reference=fields["vendor_sku"],
            product_supplier_price_te=number(_major(fields.get("cost"))),
        )

    def address(self, image_id: int) -> str:
        return f"{self.settings['url']}/img/p/{'/'.join(str(image_id))}/{image_id}.jpg"


def _major(money: Item | None) -> str:
    """An amount of two decimals as the shop writes it."""
    return number(Decimal(money["amount"]) / 100) if money else number(0)
