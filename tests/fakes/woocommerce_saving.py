"""How a WooCommerce site saves products and orders: what it refuses, and what it changes without a word.

Each rule is as version 10.5.3 was seen to behave.
"""

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from tests.fakes.woocommerce_words import NO_CATEGORY, new_product, new_variation

JsonObject = dict[str, Any]
_TEXTS = ("description", "short_description", "weight", "tax_status", "backorders", "catalog_visibility")
_STATUSES = "draft, pending, private, publish, future, auto-draft, and trash"
_TYPES = {
    "regular_price": (str, "string"),
    "sale_price": (str, "string"),
    "stock_quantity": (int, "integer"),
    "status": (str, "string"),
}


class Refusal(Exception):
    """An error as WordPress says it."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "data": {"status": status, **data}}


def check_types(payload: JsonObject) -> None:
    """What the door looks at before anything is saved; it does not look into the items of a batch."""
    for name, (kind, word) in _TYPES.items():
        value = payload.get(name)
        is_digits = word == "integer" and isinstance(value, str) and value.lstrip("-").isdigit()
        if value is not None and not isinstance(value, kind) and not is_digits:
            raise _invalid(name, f"{name} is not of type {word}.")
    if "status" in payload and payload["status"] not in re.findall(r"[a-z-]+", _STATUSES):
        raise _invalid("status", f"status is not one of {_STATUSES}.")


def _invalid(name: str, message: str) -> Refusal:
    details = {name: {"code": "rest_invalid_type", "message": message, "data": {"param": name}}}
    return Refusal(400, "rest_invalid_param", f"Invalid parameter(s): {name}", params={name: message}, details=details)


class Saving(ABC):
    """Products, variations and terms. Subclasses have the clock, and the door that pictures come through."""

    def __init__(self) -> None:
        self.products: dict[int, JsonObject] = {}
        self.variations: dict[int, JsonObject] = {}
        self.terms: dict[str, dict[int, JsonObject]] = {
            "categories": {15: {**NO_CATEGORY, "parent": 0}},
            "tags": {},
            "brands": {},
        }
        self.media: dict[int, JsonObject] = {}
        self.fetched: list[str] = []
        self._last_id = 1000

    @abstractmethod
    def now(self) -> str:
        """What time it is over there, without a zone."""

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # --- products

    def create_product(self, payload: JsonObject, product_id: int | None = None) -> JsonObject:
        if payload.get("id"):
            raise Refusal(400, "woocommerce_rest_product_exists", "Cannot create existing product.")
        node = new_product(product_id or self.new_id())
        self.save_product(node, payload)
        node["date_created"] = node["date_created_gmt"] = node["date_modified_gmt"]
        self.products[node["id"]] = node
        return node

    def save_product(self, node: JsonObject, payload: JsonObject) -> None:
        self._check_unique(node, payload)
        images = self._images(payload["images"]) if "images" in payload else node["images"]
        self._save_sold(node, payload)
        node["images"] = images
        node["type"] = payload.get("type", node["type"])
        if "name" in payload:
            node["name"] = _name(payload["name"])
        self._save_terms(node, payload)
        if "attributes" in payload:
            node["attributes"] = [self._attribute(each, place) for place, each in enumerate(payload["attributes"])]
        if payload.get("slug") or (not node["slug"] and node["status"] == "publish"):
            node["slug"] = self._slug(node, payload.get("slug") or node["name"])

    def create_variation(self, product_id: int, payload: JsonObject, variation_id: int | None = None) -> JsonObject:
        node = new_variation(variation_id or self.new_id(), product_id)
        self.save_variation(node, payload)
        node["date_created"] = node["date_created_gmt"] = node["date_modified_gmt"]
        self.variations[node["id"]] = node
        return node

    def save_variation(self, node: JsonObject, payload: JsonObject) -> None:
        """Values that the product does not have are taken; the product's clock moves with its variation's."""
        self._check_unique(node, payload)
        self._save_sold(node, payload)
        if "attributes" in payload:
            known = self.products[node["parent_id"]]["attributes"]
            names = {each["id"]: each["name"] for each in known if each["id"]}
            node["attributes"] = [
                {
                    "id": each.get("id", 0),
                    "name": names.get(each.get("id")) or each["name"],
                    "slug": "size",
                    "option": each["option"],
                }
                for each in payload["attributes"]
            ]
            node["name"] = ", ".join(each["option"] for each in node["attributes"])
        self.products[node["parent_id"]]["date_modified_gmt"] = node["date_modified_gmt"]

    def _save_sold(self, node: JsonObject, payload: JsonObject) -> None:
        for name in (*_TEXTS, "status", "virtual"):
            if name in payload:
                node[name] = payload[name]
        if "sku" in payload:
            node["sku"] = re.sub(r"<[^>]*>", "", payload["sku"]).strip()
        if "global_unique_id" in payload:
            node["global_unique_id"] = payload["global_unique_id"]
        for name in ("regular_price", "sale_price"):
            if name in payload:
                node[name] = _decimal(payload[name])
        if node["sale_price"] and float(node["sale_price"]) >= float(node["regular_price"] or 0):
            node["sale_price"] = ""
        for end in ("from", "to"):
            for zone in ("", "_gmt"):
                if f"date_on_sale_{end}{zone}" in payload:
                    node[f"date_on_sale_{end}"] = node[f"date_on_sale_{end}_gmt"] = (
                        payload[f"date_on_sale_{end}{zone}"] or None
                    )
        starts = node["date_on_sale_from_gmt"]
        node["on_sale"] = bool(node["sale_price"]) and (starts is None or starts <= self.now())
        node["price"] = node["sale_price"] if node["on_sale"] else node["regular_price"]
        self._save_stock(node, payload)
        self._save_meta(node, payload.get("meta_data", ()))
        node["date_modified"] = node["date_modified_gmt"] = self.now()

    def _save_stock(self, node: JsonObject, payload: JsonObject) -> None:
        node["manage_stock"] = payload.get("manage_stock", node["manage_stock"])
        if not node["manage_stock"]:
            node["stock_quantity"] = None
            return
        quantity = payload.get("stock_quantity", node["stock_quantity"])
        with_digits = str(quantity if quantity is not None else 0)
        # A word becomes nothing, as PHP reads it.
        node["stock_quantity"] = int(with_digits) if with_digits.lstrip("-").isdigit() else 0
        node["stock_status"] = "instock" if node["stock_quantity"] > 0 else "outofstock"

    def _save_meta(self, node: JsonObject, given: Iterable[JsonObject]) -> None:
        for each in given:
            same = [
                known
                for known in node["meta_data"]
                if known["id"] == each.get("id") or ("id" not in each and known["key"] == each["key"])
            ]
            if each.get("value") is None:
                node["meta_data"] = [known for known in node["meta_data"] if known not in same]
            elif same:
                same[0]["value"] = each["value"]
            else:
                node["meta_data"].append({"id": self.new_id(), "key": each["key"], "value": each["value"]})

    def _save_terms(self, node: JsonObject, payload: JsonObject) -> None:
        for kind, known in self.terms.items():
            if kind in payload:
                ids = [each["id"] for each in payload[kind] if each.get("id") in known]
                node[kind] = [{name: known[each][name] for name in ("id", "name", "slug")} for each in ids]
        if not node["categories"]:
            node["categories"] = [dict(NO_CATEGORY)]

    def _attribute(self, given: JsonObject, place: int) -> JsonObject:
        return {
            "id": given.get("id", 0),
            "name": given["name"],
            "slug": given["name"],
            "position": given.get("position", place),
            "visible": given.get("visible", False),
            "variation": given.get("variation", False),
            "options": list(given.get("options", ())),
        }

    def _check_unique(self, node: JsonObject, payload: JsonObject) -> None:
        for field, code, message in (
            ("sku", "product_invalid_sku", "Invalid or duplicated SKU."),
            (
                "global_unique_id",
                "product_invalid_global_unique_id",
                "Invalid or duplicated GTIN, UPC, EAN or ISBN.",
            ),
        ):
            wanted = str(payload.get(field) or "").strip().lower()
            for other in (*self.products.values(), *self.variations.values()):
                if wanted and other["id"] != node["id"] and other[field].lower() == wanted:
                    extra = {"unique_sku": f"{payload[field]}-1"} if field == "sku" else {}
                    raise Refusal(400, code, message, resource_id=other["id"], **extra)

    def _slug(self, node: JsonObject, wanted: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", html.unescape(wanted).lower()).strip("-")
        others = {each["slug"] for each in self.products.values() if each["id"] != node["id"]}
        number, found = 2, slug
        while found in others and node["status"] != "draft":
            found, number = f"{slug}-{number}", number + 1
        return found

    # --- pictures

    def _images(self, given: Iterable[JsonObject]) -> list[JsonObject]:
        """Every address is fetched, also one that was fetched before; a bad one refuses the whole list."""
        return [self._image(each) for each in given]

    def _image(self, given: JsonObject) -> JsonObject:
        if given.get("id"):
            if given["id"] not in self.media:
                message = f"#{given['id']} is an invalid image ID."
                raise Refusal(400, "woocommerce_product_invalid_image_id", message)
            self.media[given["id"]] |= {name: given[name] for name in ("alt", "name") if name in given}
            return self.media[given["id"]]
        if "no-such" in given["src"]:
            message = f"Error getting remote image {given['src']}. Error: Not Found"
            raise Refusal(400, "woocommerce_product_image_upload_error", message)
        self.fetched.append(given["src"])
        return self.add_media(self.picture_address(given["src"]), given.get("name", ""), given.get("alt", ""))

    @abstractmethod
    def picture_address(self, source: str) -> str:
        """Where a picture is kept that was fetched from `source`."""

    def add_media(self, src: str, name: str = "", alt: str = "") -> JsonObject:
        now = self.now()
        node = {
            "id": self.new_id(),
            "date_created": now,
            "date_created_gmt": now,
            "date_modified": now,
            "date_modified_gmt": now,
            "src": src,
            "name": name,
            "alt": alt,
            "srcset": "",
            "sizes": "",
            "thumbnail": src,
        }
        self.media[node["id"]] = node
        return node

    # --- terms

    def create_term(self, kind: str, payload: JsonObject) -> JsonObject:
        name, parent = _name(payload["name"]), payload.get("parent", 0)
        for term in self.terms[kind].values():
            if term["name"].lower() == name.lower() and term["parent"] == parent:
                message = "A term with the name provided already exists with this parent."
                raise Refusal(400, "term_exists", message, resource_id=term["id"])
        if parent and parent not in self.terms[kind]:
            raise Refusal(400, "missing_parent", "Parent term does not exist.")
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        term = {"id": self.new_id(), "name": name, "slug": slug, "parent": parent, "description": "", "count": 0}
        if kind != "tags":
            term |= {"display": "default", "image": None, "menu_order": 0}
        self.terms[kind][term["id"]] = term
        return term


def _name(text: str) -> str:
    """Names are kept as HTML, without the scripts."""
    return re.sub(r"</?script[^>]*>", "", re.sub(r"&(?!\w+;)", "&amp;", text))


def _decimal(text: Any) -> str:
    """What WooCommerce makes of a price: a comma is dropped, a word is nothing."""
    kept = re.sub(r"[^0-9.\-]", "", str(text))
    return kept if re.fullmatch(r"-?\d+(\.\d+)?", kept) else ""
