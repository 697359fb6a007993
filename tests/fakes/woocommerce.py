"""A WooCommerce site as a store platform: it speaks the REST API v3 over plain HTTP, remembers, and behaves badly.

What it knows of WooCommerce is what was seen of version 10.5.3; `woocommerce_saving.py` has its surprises.
"""

import base64
import hashlib
import hmac
import html
import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared import clock
from tests.fakes.platforms import Faults
from tests.fakes.shop_server import RETRY_AFTER_SECONDS, Manners, ShopServer, plain
from tests.fakes.woocommerce_doors import Doors
from tests.fakes.woocommerce_rest import KEY, SECRET, refused
from tests.fakes.woocommerce_saving import Refusal
from tests.fakes.woocommerce_words import order_node, part_payload, part_words

JsonObject = dict[str, Any]
WEBHOOK_SECRET = "whsec-of-the-tests"


class WooShop(Doors):
    """The site. What it can be told beside `faults` is in `Doors`; `clock` says what time it is there."""

    platform = "woocommerce"
    without = frozenset(("product_type",))

    def __init__(self, page_size: int = 3) -> None:
        super().__init__()
        self.page_size = page_size
        self.settings: JsonObject = {"page_size": page_size}
        self.credentials = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": WEBHOOK_SECRET}
        self.faults = Faults()
        self.clock: Callable[[], str] = lambda: clock.now().strftime("%Y-%m-%dT%H:%M:%S")
        self._aliases: dict[int, str] = {}
        manners = Manners(_throttled, _away, _expired)
        self._server = ShopServer(lambda: self.faults, manners)

    # --- what the tests do over there

    async def start(self, port: int = 0) -> None:
        routes = [
            Route("/wp-json{path:path}", self.rest, methods=["GET", "POST", "PUT", "HEAD"]),
            Route("/pictures/{name}", self._picture),
        ]
        self.settings["url"] = await self._server.start(Starlette(routes=routes), port)

    async def stop(self) -> None:
        await self._server.stop()

    def now(self) -> str:
        return self.clock()

    def picture_address(self, source: str) -> str:
        return f"{self.settings['url']}/pictures/{self.new_id()}-{source.rpartition('/')[2]}"

    def put_product(self, external_id: str, fields: JsonObject, variants: dict[str, JsonObject]) -> None:
        product_id, options = int(external_id), list(fields.get("options") or ())
        is_simple = not options and len(variants) == 1
        said = fields.get("attributes") or {}
        payload = {
            "name": fields.get("title", ""),
            "slug": fields.get("handle") or f"product-{external_id}",
            "description": fields.get("description_html", ""),
            "status": "publish" if fields.get("status", "active") == "active" else "draft",
            "type": "simple" if is_simple else "variable",
            "attributes": [
                *([] if is_simple else [self._option(name, variants) for name in options]),
                *({"name": name, "visible": True, "options": [value]} for name, value in said.items()),
            ],
            "categories": [{"id": self.put_category(path)} for path in fields.get("categories", ())],
            "tags": [{"id": self._term("tags", name)} for name in fields.get("tags", ())],
            "brands": [{"id": self._term("brands", fields["brand"])}] if fields.get("brand") else [],
        }
        if is_simple:
            ((self._aliases[product_id], only),) = variants.items()
            payload |= part_payload(only)
        if product_id in self.products:
            self.save_product(self.products[product_id], payload)
        else:
            self.create_product(payload, product_id)
        node = self.products[product_id]
        known = {each["src"]: each for each in self.media.values()}
        node["images"] = [
            known.get(each["url"]) or self.add_media(each["url"], alt=each.get("alt") or "")
            for each in fields.get("images", ())
        ]
        if not is_simple:
            self._put_variations(product_id, variants)

    def put_category(self, path: list[str]) -> int:
        parent = 0
        for name in path:
            parent = self._term("categories", name, parent)
        return parent

    def remove_product(self, external_id: str) -> None:
        del self.products[int(external_id)]
        for each in self.variations_of(int(external_id)):
            del self.variations[each["id"]]

    def product(self, external_id: str) -> tuple[JsonObject, dict[str, JsonObject]]:
        node = self.products[int(external_id)]
        words = {
            "handle": node["slug"],
            "title": html.unescape(node["name"]),
            "description_html": node["description"],
            "brand": node["brands"][0]["name"] if node["brands"] else "",
            "status": "active" if node["status"] == "publish" else "draft",
            "tags": sorted(html.unescape(each["name"]) for each in node["tags"]),
            "options": [each["name"] for each in node["attributes"] if each["variation"]],
            "categories": sorted(self._path(each["id"]) for each in node["categories"] if each["id"] != 15),
            "images": [{"url": each["src"], "alt": each["alt"]} for each in node["images"]],
            "attributes": {
                each["name"]: ", ".join(each["options"]) for each in node["attributes"] if not each["variation"]
            },
        }
        if node["type"] == "simple":
            return words, {self._aliases.get(node["id"], str(node["id"])): part_words(node)}
        return words, {str(each["id"]): part_words(each) for each in self.variations_of(node["id"])}

    def product_ids(self) -> list[str]:
        return list(map(str, self.products))

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        node = self.sold(sku)
        payload = {"manage_stock": True, "stock_quantity": quantity}
        (self.save_variation if node["type"] == "variation" else self.save_product)(node, payload)

    def stock(self, sku: str, location: str) -> int:
        return int(self.sold(sku)["stock_quantity"] or 0)

    def sold(self, sku: str) -> JsonObject:
        """What has this SKU."""
        return next(each for each in (*self.products.values(), *self.variations.values()) if each["sku"] == sku)

    def put_order(self, order: JsonObject) -> None:
        node = order_node(plain(order), self.now())
        before = self.orders.get(node["id"])
        if before:
            node["meta_data"] = before["meta_data"]
        self.orders[node["id"]] = node

    def put_on_hold(self, order: JsonObject) -> None:
        """An order that waits for its money: its goods are taken from the stock at once, and each line says so."""
        self.put_order({**order, "status": "on-hold", "is_paid": False})
        for line in self.orders[int(order["external_id"])]["line_items"]:
            node, taken = self.sold(line["sku"]), str(line["quantity"])
            is_variation = node["type"] == "variation"
            line["product_id"] = node["parent_id"] or node["id"]
            line["variation_id"] = node["id"] if is_variation else 0
            meta = {"key": "_reduced_stock", "value": taken, "display_key": "_reduced_stock", "display_value": taken}
            line["meta_data"].append({"id": self.new_id(), **meta})
            self.put_stock(line["sku"], "main", node["stock_quantity"] - line["quantity"])

    def cancel_order(self, order_external_id: str) -> None:
        """What an order has taken from the stock comes on top of what is there by now."""
        node = self.orders[int(order_external_id)]
        node["status"], node["date_modified_gmt"] = "cancelled", self.now()
        for line in node["line_items"]:
            taken = sum(int(each["value"]) for each in line["meta_data"] if each["key"] == "_reduced_stock")
            line["meta_data"] = [each for each in line["meta_data"] if each["key"] != "_reduced_stock"]
            self.put_stock(line["sku"], "main", self.stock(line["sku"], "main") + taken)

    def shipments(self, order_external_id: str) -> list[JsonObject]:
        meta = self.orders[int(order_external_id)]["meta_data"]
        return plain(next((each["value"] for each in meta if each["key"] == "_crossdock_shipments"), []))

    def webhook(
        self, topic: str, body: JsonObject, delivery_id: str = "d-1", secret: str = WEBHOOK_SECRET
    ) -> tuple[dict[str, str], bytes]:
        """Headers and raw body of a delivery."""
        content = json.dumps(body).encode()
        resource, _, event = topic.partition(".")
        signature = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
        return {
            "content-type": "application/json",
            "x-wc-webhook-source": f"{self.settings.get('url', '')}/",
            "x-wc-webhook-topic": topic,
            "x-wc-webhook-resource": resource,
            "x-wc-webhook-event": event,
            "x-wc-webhook-signature": signature,
            "x-wc-webhook-id": "5",
            "x-wc-webhook-delivery-id": delivery_id,
        }, content

    # --- parts

    def _put_variations(self, product_id: int, variants: dict[str, JsonObject]) -> None:
        wanted = {int(each): fields for each, fields in variants.items()}
        for node in self.variations_of(product_id):
            if node["id"] not in wanted:
                del self.variations[node["id"]]
        for each, fields in wanted.items():
            attributes = [{"name": name, "option": value} for name, value in (fields.get("options") or {}).items()]
            payload = {**part_payload(fields), "attributes": attributes}
            if each in self.variations:
                self.save_variation(self.variations[each], payload)
            else:
                self.create_variation(product_id, payload, each)

    def _option(self, name: str, variants: dict[str, JsonObject]) -> JsonObject:
        values = [(fields.get("options") or {}).get(name) for fields in variants.values()]
        options = list(dict.fromkeys(value for value in values if value))
        return {"name": name, "visible": True, "variation": True, "options": options}

    def _term(self, kind: str, name: str, parent: int = 0) -> int:
        same = (
            each["id"]
            for each in self.terms[kind].values()
            if html.unescape(each["name"]) == name and each["parent"] == parent
        )
        return next(same, 0) or int(self.create_term(kind, {"name": name, "parent": parent})["id"])

    def _path(self, category: int) -> list[str]:
        term = self.terms["categories"][category]
        return [*(self._path(term["parent"]) if term["parent"] else []), html.unescape(term["name"])]

    async def _picture(self, request: Request) -> Response:
        return Response(b"\x89PNG\r\n\x1a\n" + request.path_params["name"].encode(), media_type="image/png")


class OldWooShop(WooShop):
    """A site of a version before 10.3."""

    def __init__(self, page_size: int = 3) -> None:
        super().__init__(page_size)
        self.has_flat_variations = False


def _throttled() -> Response:
    return Response("Too many requests", 429, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _away() -> Response:
    return HTMLResponse("<html><body>Briefly unavailable for scheduled maintenance.</body></html>", 503)


def _expired() -> Response:
    return refused(Refusal(401, "woocommerce_rest_authentication_error", "Consumer key is invalid."))
