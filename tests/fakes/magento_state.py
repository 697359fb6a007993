"""What a fake Magento remembers, and what is done with it: saves, options, children, pictures, levels, shipments."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import magento_words as words
from tests.fakes.platforms import RemoteWrite
from tests.fakes.shop_server import plain

JsonObject = dict[str, Any]

_KNOWN = {
    *("id", "sku", "name", "attribute_set_id", "price", "status", "visibility", "type_id", "weight"),
    *("extension_attributes", "custom_attributes", "product_links", "options", "media_gallery_entries", "tier_prices"),
}
_NUMBERS = {"price": "float", "weight": "float", "status": "int", "visibility": "int"}
NOT_THERE = "The product that was requested doesn't exist. Verify the product and try again."
NO_ENTITY = "The entity that was requested doesn't exist. Verify the entity and try again."
DIED = "An error has happened during application run. See exception log for details.\n"
_SHIPMENT = "Shipment Document Validation Error(s):\n"


class Refused(Exception):
    """A request that is answered with an error; without parameters as a plain text where `is_text`."""

    def __init__(self, status: int, message: str, parameters: Any = None, *, is_text: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.parameters, self.is_text = status, message, parameters, is_text


@dataclass
class MagentoState:
    """A shop's records. `moment` gives its time, to the second; `note` takes what was written."""

    moment: Callable[[], str]
    note: Callable[[RemoteWrite], None]
    products: dict[int, JsonObject] = field(default_factory=dict)
    options: dict[str, list[JsonObject]] = field(default_factory=dict)
    categories: list[JsonObject] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=lambda: {"main": "Main warehouse"})
    levels: dict[tuple[str, str], JsonObject] = field(default_factory=dict)
    orders: dict[int, JsonObject] = field(default_factory=dict)
    shipments: list[JsonObject] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    last_id: int = 10_000

    def __post_init__(self) -> None:
        self.categories = [
            {"id": 1, "parent_id": 0, "name": "Root Catalog", "level": 0, "path": "1"},
            {"id": 2, "parent_id": 1, "name": "Default Category", "level": 1, "path": "1/2"},
        ]
        for _, code, _, kind, labels in words.ATTRIBUTES:
            if kind == "select":
                self.options[code] = []
                for label in labels:
                    self.add_option(code, label)

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    # --- attributes and categories

    def attributes(self) -> list[JsonObject]:
        return [words.attribute(*each[:4], self.options.get(each[1], [])) for each in words.ATTRIBUTES]

    def add_option(self, code: str, label: str) -> str:
        value = str(self.new_id())
        self.options[code].append({"label": label, "value": value})
        return value

    def option(self, code: str, label: str) -> str:
        """The value of a label, made where there is none."""
        found = next((each["value"] for each in self.options[code] if each["label"] == label), None)
        return found or self.add_option(code, label)

    def label(self, code: str, value: Any) -> str:
        known = self.options.get(code)
        return str(value or "") if known is None else next((e["label"] for e in known if e["value"] == value), "")

    def category(self, path: list[str]) -> str:
        """The id of a category, made with those above it."""
        parent = self.categories[1]
        for name in path:
            here = next((e for e in self.categories if e["parent_id"] == parent["id"] and e["name"] == name), None)
            if here is None:
                number = self.new_id()
                here = {"id": number, "parent_id": parent["id"], "name": name, "level": parent["level"] + 1}
                here["path"] = f"{parent['path']}/{number}"
                self.categories.append(here)
            parent = here
        return str(parent["id"])

    # --- products

    def find(self, sku: str) -> JsonObject:
        """Without case, as Magento compares SKUs. Raises Refused."""
        found = next((each for each in self.products.values() if each["sku"].lower() == sku.lower()), None)
        if found is None:
            raise Refused(404, NOT_THERE)
        return found

    def kept(self, number: int, **given: Any) -> JsonObject:
        """A product with what every product has."""
        moment = self.moment()
        return {
            "id": number,
            "attribute_set_id": words.SET_ID,
            "price": 0,
            "status": 1,
            "visibility": 4,
            "type_id": "simple",
            "custom": {},
            "category_ids": [],
            "media": [],
            "axes": [],
            "links": [],
            "created_at": moment,
            "updated_at": moment,
            **given,
        }

    def save(self, given: JsonObject, sku: str | None) -> JsonObject:
        """A product as it was posted, or put under a SKU, which is then the one that counts. Raises Refused."""
        _check(given)
        wanted = (sku if sku is not None else str(given.get("sku") or "")).strip()
        if not wanted:
            raise Refused(400, 'The "sku" attribute value is empty. Set the attribute and try again.')
        if len(wanted) > 64:
            raise Refused(400, "SKU length should be 64 characters maximum.")
        before = next((each for each in self.products.values() if each["sku"].lower() == wanted.lower()), None)
        if before is None and given.get("attribute_set_id") != words.SET_ID:
            raise Refused(400, "Invalid product data: %1", ["Invalid attribute set entity type"])
        kept = plain(before) if before else self.kept(self.new_id(), sku=wanted, price=None)
        if sku is None:
            kept["sku"] = wanted
        self._put(kept, given)
        if not kept.get("name"):
            raise Refused(400, 'The "Product Name" attribute value is empty. Set the attribute and try again.')
        if kept["type_id"] == "configurable":
            kept["price"] = 0
        if kept["price"] is None:
            raise Refused(400, 'The "Price" attribute value is empty. Set the attribute and try again.')
        self._address(kept)
        self._keep(kept, before, given)
        answer = words.product(kept, is_listed=False)
        # What was just made is answered without them.
        return answer if before else {n: v for n, v in answer.items() if n not in ("product_links", "tier_prices")}

    def _put(self, kept: JsonObject, given: JsonObject) -> None:
        for name in ("name", "price", "status", "visibility", "weight", "attribute_set_id", "type_id"):
            if name in given:
                kept[name] = given[name]
        # The database of the recorded shop keeps no more than three bytes of a letter.
        kept["name"] = "".join("????" if ord(letter) > 0xFFFF else letter for letter in kept.get("name") or "")
        known = {code for _, code, _, _, _ in words.ATTRIBUTES}
        for each in given.get("custom_attributes") or ():
            if each["attribute_code"] in known:
                kept["custom"][each["attribute_code"]] = each["value"]
        more = given.get("extension_attributes") or {}
        for link in more.get("category_links") or ():
            if str(link["category_id"]) not in kept["category_ids"]:
                kept["category_ids"].append(str(link["category_id"]))

    def _address(self, kept: JsonObject) -> None:
        address = kept["custom"].setdefault("url_key", "-".join(kept["name"].lower().split()))
        for other in self.products.values():
            if other["id"] != kept["id"] and other["custom"].get("url_key") == address:
                raise Refused(400, "URL key for specified store already exists.")

    def _keep(self, kept: JsonObject, before: JsonObject | None, content: Any) -> None:
        """Every save moves the clock, also one that changes nothing."""
        has_changed = before is None or {**before, "updated_at": ""} != {**kept, "updated_at": ""}
        kept["updated_at"] = self.moment()
        self.products[kept["id"]] = kept
        self.note(RemoteWrite("products", str(kept["id"]), content, has_changed))

    # --- configurable products

    def add_axis(self, sku: str, option: JsonObject) -> int:
        kept = self.find(sku)
        own = {name: option[name] for name in ("attribute_id", "label", "position", "values")}
        axis = {"id": self.new_id(), "product_id": kept["id"], **own}
        kept["axes"] = [*(each for each in kept["axes"] if each["attribute_id"] != option["attribute_id"]), axis]
        self._touched(kept, option)
        return int(axis["id"])

    def link(self, sku: str, child_sku: str) -> bool:
        kept, child = self.find(sku), self.find(child_sku)
        if child["id"] in kept["links"]:
            raise Refused(400, "The product is already attached.")
        kept["links"] = [*kept["links"], child["id"]]
        self._touched(kept, child_sku)
        return True

    def _touched(self, kept: JsonObject, content: Any) -> None:
        kept["updated_at"] = self.moment()
        self.note(RemoteWrite("products", str(kept["id"]), content, has_changed=True))

    # --- pictures

    def add_file(self, name: str, content: bytes) -> str:
        """The place of a new file; one of a name that is taken gets a number."""
        stem, _, extension = name.rpartition(".")
        place, number = f"/{name[0]}/{name[1]}/{name}", 0
        while place in self.files:
            number += 1
            place = f"/{name[0]}/{name[1]}/{stem}_{number}.{extension}"
        self.files[place] = content
        return place

    def add_picture(self, sku: str, entry: JsonObject) -> str:
        kept, content = self.find(sku), entry["content"]
        if "/" in content["name"]:
            raise Refused(400, "Provided image name contains forbidden characters.")
        try:
            data = base64.b64decode(content["base64_encoded_data"], validate=True)
        except binascii.Error:
            data = b""
        if not data.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8")):
            raise Refused(400, "The image content must be valid base64 encoded data.")
        own = {name: entry[name] for name in ("media_type", "label", "position", "disabled", "types")}
        self._take_roles(kept, own["types"])
        picture = {"id": self.new_id(), **own, "file": self.add_file(content["name"], data)}
        kept["media"] = [*kept["media"], picture]
        kept["updated_at"] = self.moment()
        self.note(RemoteWrite("images", str(kept["id"]), {**entry, "content": content["name"]}, has_changed=True))
        return str(picture["id"])

    def change_picture(self, sku: str, number: int, entry: JsonObject) -> bool:
        kept, before = self._picture(sku, number)
        self._take_roles(kept, entry["types"])
        after = {**before, **{name: entry[name] for name in ("label", "position", "disabled", "types")}}
        kept["media"] = [after if each["id"] == number else each for each in kept["media"]]
        kept["updated_at"] = self.moment()
        self.note(RemoteWrite("images", str(kept["id"]), entry, after != before))
        return True

    def take_picture(self, sku: str, number: int) -> bool:
        kept, picture = self._picture(sku, number)
        kept["media"] = [each for each in kept["media"] if each["id"] != number]
        kept["updated_at"] = self.moment()
        self.note(RemoteWrite("images", str(kept["id"]), picture["file"], has_changed=True))
        return True

    def _picture(self, sku: str, number: int) -> tuple[JsonObject, JsonObject]:
        kept = self.find(sku)
        found = next((each for each in kept["media"] if each["id"] == number), None)
        if found is None:
            raise Refused(404, "The image doesn't exist. Verify and try again.")
        return kept, found

    def _take_roles(self, kept: JsonObject, roles: list[str]) -> None:
        for each in kept["media"]:
            each["types"] = [role for role in each["types"] if role not in roles]

    # --- stock

    def set_levels(self, items: list[JsonObject]) -> list[Any]:
        """All of a batch or none. Nobody asks whether there is such a SKU."""
        if not items:
            raise Refused(400, "Input data is empty")
        for item in items:
            if not isinstance(item.get("status"), int):
                raise Refused(400, 'Validation Failed: "status" should be numeric.')
        if any(item["source_code"] not in self.sources for item in items):
            raise Refused(400, "Could not save Source Item")
        for item in items:
            key = (item["source_code"], item["sku"].lower())
            before = self.levels.get(key)
            after = {**item, "sku": before["sku"] if before else item["sku"]}
            self.levels[key] = after
            self.note(RemoteWrite("stock", "/".join(key), item, before != after))
        return []

    def _take(self, sku: str, source: str, quantity: int) -> None:
        """What ships leaves its source: only now."""
        level = self.levels.get((source, sku.lower()))
        if level is not None:
            level["quantity"] -= quantity

    # --- shipments

    def ship(self, order_id: int, body: JsonObject) -> str:
        """What is too much is cut down; what is repeated is shipped again while anything is left."""
        order = self.orders.get(order_id)
        if order is None:
            raise Refused(404, NO_ENTITY)
        if order["status"] == "holded":
            raise Refused(400, f"{_SHIPMENT}A shipment cannot be created when an order has a status of holded")
        if any(not track.get("track_number") for track in body.get("tracks") or ()):
            raise Refused(400, f"{_SHIPMENT}Please enter a tracking number.")
        more = (body.get("arguments") or {}).get("extension_attributes") or {}
        if more.get("source_code", "main") not in self.sources:
            raise Refused(400, "Could not save a shipment, see error log for details")
        lines = []
        for wanted in body.get("items") or ():
            item = next((each for each in order["items"] if each["item_id"] == wanted["order_item_id"]), None)
            quantity = min(wanted["qty"], item["qty_ordered"] - item["qty_shipped"]) if item else 0
            if item and quantity > 0:
                item["qty_shipped"] += quantity
                self._take(item["sku"], more.get("source_code") or next(iter(self.sources)), quantity)
                lines.append({"sku": item["sku"], "order_item_id": item["item_id"], "qty": quantity})
        if not lines:
            raise Refused(400, f"{_SHIPMENT}You can't create a shipment without products.")
        number = self.new_id()
        tracks = [{"entity_id": self.new_id(), **track} for track in body.get("tracks") or ()]
        shipment = {"entity_id": number, "order_id": order_id, "items": lines, "tracks": tracks}
        self.shipments.append({**shipment, "total_qty": sum(line["qty"] for line in lines)})
        order["updated_at"] = self.moment()
        self.note(RemoteWrite("shipments", str(order_id), body, has_changed=True))
        return str(number)


def _check(given: JsonObject) -> None:
    """What Magento looks at before anything else. Raises Refused."""
    for name in given:
        if name not in _KNOWN:
            camel = "".join(part.capitalize() for part in name.split("_"))
            words_ = '"%fieldName" is not supported. Correct the field name and try again.'
            raise Refused(400, words_, {"fieldName": camel})
    for name, kind in _NUMBERS.items():
        if name in given and not isinstance(given[name], int | float):
            raise Refused(
                400,
                f'Error occurred during "{name}" processing. The "{given[name]}" value\'s type is invalid. '
                f'The "{kind}" type was expected. Verify and try again.',
            )
    if isinstance(given.get("price"), int | float) and given["price"] < 0:
        raise Refused(400, "Please enter a number 0 or greater in this field.")
