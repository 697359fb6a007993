"""What a PrestaShop shop remembers, and what it does by itself when something is written."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from shared import clock
from tests.fakes import prestashop_rows
from tests.fakes.prestashop_rows import LANGUAGES, NO_TIME, Row

CANCELED, SHIPPING, REFUNDED, FAILED = 6, 4, 7, 8
_STATES = {
    1: ("Awaiting check payment", ""),
    2: ("Payment accepted", "paid invoice logable"),
    3: ("Processing in progress", "paid invoice logable delivery"),
    SHIPPING: ("Shipped", "paid invoice logable delivery shipped"),
    5: ("Delivered", "paid invoice logable delivery shipped"),
    CANCELED: ("Canceled", ""),
    REFUNDED: ("Refunded", "invoice"),
    FAILED: ("Payment error", ""),
}


@dataclass
class Memory:
    """The tables of a shop. `zone` is its `PS_TIMEZONE`; `now` another time than ours, for its clock alone."""

    zone: str = "Europe/Paris"
    now: datetime | None = None
    tables: dict[str, dict[int, Row]] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)
    mails: list[int] = field(default_factory=list)
    # Ids are never given twice, whatever was removed.
    last_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = {name: {} for name in prestashop_rows.resources()}
        told = {
            "PS_TIMEZONE": self.zone,
            "PS_CURRENCY_DEFAULT": "1",
            "PS_LANG_DEFAULT": "1",
            "PS_WEIGHT_UNIT": "kg",
            "PS_SHOP_DEFAULT": "1",
            "PS_ROOT_CATEGORY": "1",
            "PS_HOME_CATEGORY": "2",
            "PS_OS_CANCELED": str(CANCELED),
            "PS_OS_SHIPPING": str(SHIPPING),
            "PS_OS_REFUND": str(REFUNDED),
            "PS_OS_ERROR": str(FAILED),
        }
        for name, value in told.items():
            self.add("configurations", name=name, value=value)
        self.add("currencies", name="Euro", iso_code="EUR")
        for code in ("DE", "FR", "GB"):
            self.add("countries", iso_code=code)
        self.add("categories", name="Root")
        self.add("categories", name="Home", id_parent="1", is_root_category="1")
        for number, (name, flags) in _STATES.items():
            self.add("order_states", number, name=name, **dict.fromkeys(flags.split(), "1"))

    # --- rows

    def add(self, resource: str, number: int | None = None, **values: Any) -> int:
        """A new row. Texts of each language may be given as one. Returns its id."""
        number = number or self.last_ids.get(resource, 0) + 1
        self.last_ids[resource] = max(self.last_ids.get(resource, 0), number)
        row = prestashop_rows.blank(resource)
        row["id"] = number
        for name in ("date_add", "date_upd"):
            if name in row:
                row[name] = self.wall()
        self.put(resource, row, values)
        self.tables[resource][number] = row
        return number

    def put(self, resource: str, row: Row, values: dict[str, Any]) -> None:
        """Have values in a row."""
        texts = prestashop_rows.translated(resource)
        for name, value in values.items():
            row[name] = dict.fromkeys(LANGUAGES, value) if name in texts and isinstance(value, str) else value

    def rows(self, resource: str, **values: str) -> list[Row]:
        """Rows with these values, in the order of their ids."""
        return [
            row
            for _, row in sorted(self.tables[resource].items())
            if all(str(row[name]) == value for name, value in values.items())
        ]

    def touch(self, row: Row) -> None:
        row["date_upd"] = self.wall()

    def wall(self, moment: datetime | None = None) -> str:
        """A moment in the shop's local time; by default now."""
        return (moment or self.now or clock.now()).astimezone(ZoneInfo(self.zone)).strftime("%Y-%m-%d %H:%M:%S")

    # --- what follows by itself

    def after_product(self, row: Row, *, is_new: bool) -> None:
        brand = self.tables["manufacturers"].get(int(row["id_manufacturer"] or 0))
        row["manufacturer_name"] = brand["name"] if brand else ""
        row["price"] = number(row["price"])
        row["weight"] = number(row["weight"])
        if is_new:
            self._new_level(row, 0)
        self.touch(row)

    def after_combination(self, row: Row, *, is_new: bool) -> None:
        """It gets a stock level, also of a product that there is not; the product's clock does not move."""
        row["price"], row["weight"] = number(row["price"]), number(row["weight"])
        product = self.tables["products"].get(int(row["id_product"] or 0))
        if not is_new:
            return
        if product is not None:
            product["combinations"].append({"id": str(row["id"])})
            product["product_type"] = "combinations"
            if row["default_on"] == "1":
                product["id_default_combination"] = row["id"]
                product["cache_default_attribute"] = str(row["id"])
        self._new_level(row, row["id"])

    def _new_level(self, row: Row, combination: int) -> None:
        owner = str(row["id"]) if combination == 0 else str(row["id_product"])
        level = self.add("stock_availables", id_product=owner, id_product_attribute=str(combination))
        product = self.tables["products"].get(int(owner))
        if product is not None:
            entry = {"id": str(level), "id_product_attribute": str(combination)}
            product["stock_availables"].append(entry)

    def after_level(self, row: Row) -> None:
        """The product's own level is the sum of its combinations', as soon as one of these is written."""
        if row["id_product_attribute"] == "0":
            return
        levels = self.rows("stock_availables", id_product=str(row["id_product"]))
        whole = [each for each in levels if each["id_product_attribute"] == "0"]
        parts = [int(each["quantity"]) for each in levels if each["id_product_attribute"] != "0"]
        for each in whole:
            each["quantity"] = str(sum(parts))

    def after_history(self, row: Row) -> None:
        order = self.tables["orders"][int(row["id_order"])]
        order["current_state"] = str(row["id_order_state"])
        state = self.tables["order_states"][int(row["id_order_state"])]
        if state["shipped"] == "1" and order["delivery_date"] == NO_TIME:
            order["delivery_date"], order["delivery_number"] = self.wall(), str(order["id"])
        self.touch(order)

    def after_carrier(self, row: Row) -> None:
        """The order's number is that of its first row; its clock does not move."""
        order = self.tables["orders"].get(int(row["id_order"] or 0))
        first = self.rows("order_carriers", id_order=str(row["id_order"]))
        if order is not None and first and first[0] is row:
            order["shipping_number"] = row["tracking_number"]

    def keep_combinations(self, row: Row) -> None:
        """A product's list of combinations was written: those that are not in it are gone for good."""
        listed = {each["id"] for each in row["combinations"]}
        for each in self.rows("combinations", id_product=str(row["id"])):
            if str(each["id"]) not in listed:
                del self.tables["combinations"][each["id"]]

    def remove_product(self, product: int) -> None:
        del self.tables["products"][product]
        for resource in ("combinations", "stock_availables"):
            for row in self.rows(resource, id_product=str(product)):
                del self.tables[resource][row["id"]]


def number(value: object) -> str:
    """A number as the database gives it back: with six decimals."""
    return f"{Decimal(str(value or 0)):.6f}"
