"""A shop of Shopify's, which speaks its Admin GraphQL over real HTTP and does what real shops were seen to do.

A stock level has a time of its own and leaves its product's alone. A product's time moves with no visible change
(`touch`). A list in productSet takes the place of the one before. The same fulfilment twice is two. A handle, and a
file's name, are given once. Bulk operations write files in which, when they are not to be grouped, children are far
from their parents. Pictures are worked at for a while. It has a bucket of points, and counts.
"""

import base64
import hashlib
import hmac
import json
import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
from graphql import FieldNode, OperationDefinitionNode, SelectionSetNode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import clock
from shared.money import exponent
from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.shop_server import Manners, ShopServer, plain
from tests.fakes.shopify_graphql import (
    JsonObject,
    Refused,
    arguments,
    coerced,
    connection,
    directive,
    fields,
    operation,
    picked,
    reckoned,
)

VERSION = "2026-10"
TOKEN = "shpat-of-the-tests"
CLIENT_ID, CLIENT_SECRET = "client-of-the-tests", "shpss-of-the-tests"
SCOPES = [
    *("write_products", "write_files", "write_inventory", "read_locations", "read_orders"),
    "write_merchant_managed_fulfillment_orders",
]
ICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
RUNNING_AT_ONCE = 5
_STATUS = {"active": "ACTIVE", "draft": "DRAFT", "archived": "ARCHIVED", "paused": "DRAFT"}
_STATUS_BACK = {"ACTIVE": "active", "UNLISTED": "active", "DRAFT": "draft", "ARCHIVED": "archived"}
_TERM = re.compile(r"(\w+):(>=|<=|>|<)?('[^']*'|\"(?:[^\"\\]|\\.)*\"|\S+)")
_SHIPPED = ("_partially_fulfilled", "_fulfilled", "_on_hold")
_MONEY = re.compile(r"^\d+(\.\d+)?$")
Node = dict[str, Any]


@dataclass
class Bulk:
    """A bulk operation, and the file it has written."""

    id: str
    query: str
    status: str
    created_at: datetime
    file: bytes = b""
    starts: list[int] = field(default_factory=list)
    roots: int = 0
    polls_left: int = 0
    error: str | None = None


class ShopifyShop:
    """The shop. What it can be told beside `faults`:

    `maximum` and `restore_rate`: its bucket of points. `bulk_polls`: how often an operation says that it runs before
    it has finished. `bulk_error`: how the next operation fails. `others_running`: operations that are in the way.
    `groups`: whether children follow their parents when that was asked for. `image_polls`: how often a picture is
    asked for before it is ready. `search_lags`: what was made since is not found by searching. `nested`: how many of a
    record's own list are given at once. `scopes`: what the token may do. `version`: which one it answers in.
    `before`: called with the name of each operation before it is executed. `lose`: names of operations that take
    effect and whose answer is never sent, once each. `sent` are all documents with their variables as they came.
    """

    platform = "shopify"

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.credentials = {"access_token": TOKEN, "client_secret": CLIENT_SECRET}
        self.faults = Faults()
        self.writes: list[RemoteWrite] = []
        self.page_size = 4
        self.currency = "EUR"
        self.maximum, self.restore_rate = 1_000_000.0, 1_000_000.0
        self.bulk_polls, self.bulk_error = 0, None
        self.others_running = 0
        self.groups = True
        self.image_polls = 0
        self.search_lags = False
        self.nested = 250
        self.scopes = list(SCOPES)
        self.version = VERSION
        self.before: Callable[[str], None] = lambda name: None
        self.lose: list[str] = []
        self.asked: list[tuple[str, JsonObject]] = []
        self.sent: list[tuple[str, JsonObject]] = []
        self.throttled = 0
        self.tokens = {TOKEN}
        self.products: dict[str, Node] = {}
        self.variants: dict[str, Node] = {}
        self.items: dict[str, Node] = {}
        self.levels: dict[tuple[str, str], Node] = {}
        self.orders: dict[str, Node] = {}
        self.fulfillment_orders: dict[str, list[Node]] = {}
        self.fulfillments: dict[str, list[Node]] = {}
        self.files: dict[str, Node] = {}
        self.collections: dict[str, str] = {}
        self.places = {"1": "Main", "2": "Store"}
        self.bulks: dict[str, Bulk] = {}
        self.staged: dict[str, bytes] = {}
        self._idempotent: dict[str, tuple[str, JsonObject]] = {}
        self._last_id = 1_000_000
        self._left, self._filled_at = self.maximum, time.monotonic()
        self._server = ShopServer(lambda: self.faults, Manners(expired=_who_are_you))

    # --- FakeShop

    async def start(self) -> None:
        routes = [
            Route(f"/admin/api/{VERSION}/graphql.json", self._graphql, methods=["POST"]),
            Route("/admin/oauth/access_token", self._get_token, methods=["POST"]),
            Route("/bulk/{id}.jsonl", self._file, methods=["GET"]),
            Route("/staged/{id}", self._upload, methods=["POST"]),
            Route("/cdn/files/{name}", self._picture, methods=["GET"]),
            Route("/text", self._words, methods=["GET"]),
        ]
        self.url = await self._server.start(Starlette(routes=routes))
        self.settings["url"] = self.url

    async def stop(self) -> None:
        await self._server.stop()

    def put_product(self, external_id: str, fields: dict[str, Any], variants: dict[str, dict[str, Any]]) -> None:
        before = self.products.get(external_id, {})
        for title in (path[-1] for path in fields.get("categories", ())):
            self.put_collection(title)
        self.products[external_id] = {
            "id": external_id,
            "handle": fields.get("handle") or f"product-{external_id}",
            "title": fields.get("title", ""),
            "descriptionHtml": fields.get("description_html", ""),
            "vendor": fields.get("brand", ""),
            "productType": fields.get("product_type", ""),
            "status": _STATUS[fields.get("status", "active")],
            "tags": list(fields.get("tags", ())),
            "seo": {"title": fields.get("seo_title") or None, "description": fields.get("seo_description") or None},
            "options": list(fields.get("options", ())),
            "collections": [path[-1] for path in fields.get("categories", ())],
            "media": [self._put_file(each["url"], each.get("alt", "")) for each in fields.get("images", ())],
            "variants": list(variants),
            "metafields": before.get("metafields", {}),
            "updatedAt": self._now(),
        }
        for each in set(before.get("variants", ())) - set(variants):
            self._drop_variant(each)
        for variant_id, given in variants.items():
            self._put_variant(external_id, variant_id, given)

    def remove_product(self, external_id: str) -> None:
        for each in self.products.pop(external_id)["variants"]:
            self._drop_variant(each)

    def product(self, external_id: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        node = self.products[external_id]
        words = {
            "handle": node["handle"],
            "title": node["title"],
            "description_html": node["descriptionHtml"],
            "brand": node["vendor"],
            "product_type": node["productType"],
            "status": _STATUS_BACK[node["status"]],
            "seo_title": node["seo"]["title"] or "",
            "seo_description": node["seo"]["description"] or "",
            "tags": sorted(node["tags"]),
            "options": list(node["options"]),
            "categories": sorted([each] for each in node["collections"]),
            "images": [
                {"url": self.files[each]["url"], "alt": self.files[each]["alt"] or ""}
                for each in node["media"]
                if self.files[each]["url"]
            ],
        }
        return words, {each: self._variant_words(each) for each in node["variants"]}

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        item = next(each for each in self.items.values() if each["sku"] == sku)
        self.places.setdefault(location, f"Place {location}")
        item["tracked"] = True
        self._set_level(item["id"], location, quantity)

    def stock(self, sku: str, location: str) -> int:
        item = next(each for each in self.items.values() if each["sku"] == sku)
        return int(self.levels[item["id"], location]["quantity"])

    def put_order(self, order: dict[str, Any]) -> None:
        external_id = order["external_id"]
        node = _order_node(order, self.orders.get(external_id))
        self.orders[external_id] = node
        if external_id not in self.fulfillment_orders:
            self.fulfillments[external_id] = []
            self.fulfillment_orders[external_id] = [self._fulfillment_order(node["lines"], "1")]

    def shipments(self, order_external_id: str) -> list[dict[str, Any]]:
        return [
            {
                "lines": [(line["lineItem"]["sku"], line["quantity"]) for line in each["lines"]],
                "carrier": each["tracking"].get("company"),
                "tracking_numbers": list(each["numbers"]),
            }
            for each in self.fulfillments.get(order_external_id, ())
        ]

    # --- what tests do besides

    def touch(self, external_id: str) -> None:
        """Move a product's time with no visible change."""
        self.products[external_id]["updatedAt"] = self._now()

    def put_collection(self, title: str) -> None:
        if title not in self.collections:
            self.collections[title] = self._new_id()

    def ship_from(self, order_id: str, shares: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        """Spread an order's goods over places: by place, SKU and quantity."""
        lines = self.orders[order_id]["lines"]
        self.fulfillment_orders[order_id] = [
            self._fulfillment_order(
                [{**next(line for line in lines if line["sku"] == sku), "quantity": count} for sku, count in goods],
                place,
            )
            for place, goods in shares.items()
        ]

    async def send_webhook(
        self, url: str, topic: str, body: JsonObject, *, secret: str = CLIENT_SECRET, event_id: str = "event-1"
    ) -> int:
        """Post a webhook as Shopify does. Gives the status of the answer."""
        headers, content = self.webhook(topic, body, secret=secret, event_id=event_id)
        async with httpx.AsyncClient() as client:
            return (await client.post(url, content=content, headers=headers)).status_code

    def webhook(
        self, topic: str, body: JsonObject, *, secret: str = CLIENT_SECRET, event_id: str = "event-1"
    ) -> tuple[dict[str, str], bytes]:
        """Headers and raw body of a webhook."""
        content = json.dumps(body).encode()
        signature = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-SHA256": base64.b64encode(signature).decode(),
            "X-Shopify-Shop-Domain": "tests.myshopify.com",
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Webhook-Id": f"{event_id}-delivery",
            "X-Shopify-Triggered-At": _iso(self._now()),
        }
        return headers, content

    # --- requests

    async def _graphql(self, request: Request) -> Response:
        try:
            return await self._executed(request)
        except Exception:
            # Otherwise a mistake of the fake looks like a shop that is away.
            traceback.print_exc()
            raise

    async def _executed(self, request: Request) -> Response:
        if request.headers.get("x-shopify-access-token") not in self.tokens:
            return _who_are_you()
        body = await request.json()
        self.sent.append((body["query"], body.get("variables") or {}))
        headers = {"X-Shopify-API-Version": self.version}
        try:
            asked = operation(body["query"])
            variables = coerced(asked, body.get("variables") or {})
            requested = reckoned(asked, variables)
        except Refused as error:
            return JSONResponse({"errors": [_error(error)]}, headers=headers)
        name = asked.name.value if asked.name else ""
        if not self._spend(requested):
            self.throttled += 1
            error = _error(Refused("Throttled", "THROTTLED"))
            return JSONResponse({"errors": [error], "extensions": self._cost(requested, None)}, headers=headers)
        self.asked.append((name, variables))
        self.before(name)
        answer = self._answer(asked, variables)
        if name in self.lose:
            self.lose.remove(name)
            return Response(status_code=502)
        return JSONResponse({**answer, "extensions": self._cost(requested, requested)}, headers=headers)

    def _answer(self, asked: OperationDefinitionNode, variables: JsonObject) -> JsonObject:
        data: JsonObject = {}
        try:
            for node in fields(asked.selection_set):
                name = node.name.value
                given = arguments(node, variables)
                key = directive(node, "idempotent", variables)
                value = self._once(name, given, key["key"]) if key else getattr(self, f"do_{name}")(**given)
                alias = node.alias.value if node.alias else name
                data[alias] = picked(value, node.selection_set, variables)
        except Refused as error:
            return {"data": None, "errors": [_error(error)]}
        return {"data": data}

    def _once(self, name: str, given: JsonObject, key: str) -> JsonObject:
        """A mutation with an idempotency key: the same again gives what it gave, and does nothing."""
        what = json.dumps([name, given], sort_keys=True, default=str)
        if key in self._idempotent:
            before, value = self._idempotent[key]
            if before != what:
                return {"userErrors": [_user(["key"], "Other parameters.", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")]}
            return value
        value = getattr(self, f"do_{name}")(**given)
        self._idempotent[key] = (what, value)
        return dict(value)

    def _spend(self, points: float) -> bool:
        now = time.monotonic()
        self._left = min(self.maximum, self._left + (now - self._filled_at) * self.restore_rate)
        self._filled_at = now
        if points > self._left:
            return False
        self._left -= points
        return True

    def _cost(self, requested: int, actual: int | None) -> JsonObject:
        status = {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": int(self._left),
            "restoreRate": self.restore_rate,
        }
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}

    async def _get_token(self, request: Request) -> Response:
        body = await request.json()
        if body.get("client_id") != CLIENT_ID or body.get("client_secret") != CLIENT_SECRET:
            return JSONResponse({"error": "application_cannot_be_found"}, 400)
        token = f"shpat-{len(self.tokens)}"
        self.tokens.add(token)
        return JSONResponse({"access_token": token, "scope": ",".join(self.scopes), "expires_in": 86399})

    async def _upload(self, request: Request) -> Response:
        body = await request.body()
        self.staged[request.path_params["id"]] = body
        return Response(status_code=201)

    async def _picture(self, request: Request) -> Response:
        return Response(ICON, media_type="image/png")

    async def _words(self, request: Request) -> Response:
        return Response("This is no picture.")

    async def _file(self, request: Request) -> Response:
        """A piece of a bulk operation's file; never more of it than `page_size` records and where the next begins."""
        bulk = self.bulks[request.path_params["id"]]
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        start, end = int(first), int(last) + 1
        if start >= len(bulk.file):
            return Response(status_code=416)
        ahead = [each for each in bulk.starts if each > start]
        if len(ahead) > self.page_size:
            end = min(end, bulk.file.index(b"\n", ahead[self.page_size - 1]) + 1)
        piece = bulk.file[start:end]
        headers = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(bulk.file)}"}
        return Response(piece, 206, headers)

    # --- queries

    def do_shop(self) -> Node:
        return {"name": "Skerry", "currencyCode": self.currency, "ianaTimezone": "Europe/London"}

    def do_currentAppInstallation(self) -> Node:
        return {"accessScopes": [{"handle": each} for each in self.scopes]}

    def do_locations(self, first: int, after: str | None = None) -> Node:
        nodes = [{"id": _gid("Location", key), "name": name, "isActive": True} for key, name in self.places.items()]
        return connection(nodes, lambda node: (len(node["id"]), node["id"]), first, after)

    def do_location(self, id: str) -> Node | None:
        place = _short(id)
        if place not in self.places:
            return None
        return {"inventoryLevels": lambda **given: self._levels(place, **given)}

    def _levels(self, place: str, first: int, after: str | None = None, query: str | None = None) -> Node:
        chosen = [self._level(each) for each in self.levels.values() if each["place"] == place]
        chosen = [each for each in chosen if _matches(each, query)]
        chosen.sort(key=lambda each: (len(each["id"]), each["id"]))
        return connection(chosen, lambda each: (len(each["id"]), each["id"]), first, after, self.page_size)

    def do_products(self, first: int, after: str | None, query: str | None, sortKey: str) -> Node:
        return self._sorted([self._product(each) for each in self.products.values()], first, after, query, sortKey)

    def do_orders(self, first: int, after: str | None, query: str | None, sortKey: str) -> Node:
        return self._sorted([self._order(each) for each in self.orders.values()], first, after, query, sortKey)

    def _sorted(self, nodes: list[Node], first: int, after: str | None, query: str | None, sort: str) -> Node:
        def key(node: Node) -> tuple[Any, ...]:
            by_id = (len(node["id"]), node["id"])
            return (node["updatedAt"], *by_id) if sort == "UPDATED_AT" else by_id

        chosen = sorted((node for node in nodes if _matches(node, query)), key=key)
        return connection(chosen, key, first, after, self.page_size)

    def do_nodes(self, ids: Sequence[str]) -> list[Node | None]:
        return [self.do_node(each) for each in ids]

    def do_node(self, id: str) -> Node | None:
        kind, key = id.removeprefix("gid://shopify/").split("/", 1)
        if kind == "InventoryLevel":
            place, _, item = key.partition("?inventory_item_id=")
            level = self.levels.get((item, place))
            return self._level(level) if level else None
        known: dict[str, tuple[Mapping[str, Node], Callable[[Node], Node]]] = {
            "Product": (self.products, self._product),
            "ProductVariant": (self.variants, self._variant),
            "InventoryItem": (self.items, self._item),
            "Order": (self.orders, self._order),
            "MediaImage": (self.files, self._polled_file),
        }
        nodes, view = known[kind]
        return view(nodes[key]) if key in nodes else None

    def do_order(self, id: str) -> Node | None:
        return self.do_node(id)

    def do_productByIdentifier(self, identifier: JsonObject) -> Node | None:
        found = (each for each in self.products.values() if each["handle"] == identifier["handle"])
        return next((self._product(each) for each in found), None)

    def do_productVariants(self, first: int, query: str) -> Node:
        nodes = [self._variant(each) for each in self.variants.values()]
        return connection([node for node in nodes if _matches(node, query)], _by_id, first, None)

    def do_collections(self, first: int, query: str) -> Node:
        nodes = [{"id": _gid("Collection", key), "title": title} for title, key in self.collections.items()]
        return connection([node for node in nodes if _matches(node, query)], _by_id, first, None)

    def do_files(self, first: int, query: str) -> Node:
        nodes = [] if self.search_lags else [self._file_view(each) for each in self.files.values()]
        return connection([node for node in nodes if _matches(node, query)], _by_id, first, None)

    # --- views of what there is

    def _product(self, node: Node) -> Node:
        variants = [self.variants[each] for each in node["variants"]]
        media = [self.files[each] for each in node["media"]]
        metafields = node["metafields"]
        return {
            **{name: node[name] for name in ("handle", "title", "descriptionHtml", "vendor", "productType", "status")},
            "__typename": "Product",
            "id": _gid("Product", node["id"]),
            "tags": list(node["tags"]),
            "seo": node["seo"],
            "updatedAt": _iso(node["updatedAt"]),
            "options": [{"name": each} for each in node["options"] or ["Title"]],
            "hasOnlyDefaultVariant": not node["options"],
            "variantsCount": {"count": len(variants)},
            "mediaCount": {"count": len(media)},
            "variants": lambda **given: self._own(variants, self._variant, **given),
            "media": lambda **given: self._own(media, self._file_view, **given),
            "collections": lambda **given: self._own(
                node["collections"],
                lambda title: {"id": _gid("Collection", self.collections[title]), "title": title},
                **given,
            ),
            "metafield": lambda namespace, key: (
                {"value": metafields[namespace, key]} if (namespace, key) in metafields else None
            ),
        }

    def _own(
        self,
        nodes: Sequence[Any],
        view: Callable[[Any], Node],
        first: int | None = None,
        after: str | None = None,
        sortKey: str = "",
    ) -> Node:
        """A record's own list, by the places in it."""
        placed = [{**view(each), "place": place} for place, each in enumerate(nodes)]
        return connection(placed, lambda node: (node["place"],), first, after, self.nested)

    def _variant(self, node: Node) -> Node:
        item = self.items[node["item"]]
        return {
            **{name: node[name] for name in ("barcode", "price", "compareAtPrice", "taxable")},
            "__typename": "ProductVariant",
            "id": _gid("ProductVariant", node["id"]),
            "sku": item["sku"],
            "updatedAt": _iso(node["updatedAt"]),
            "selectedOptions": [
                {"name": name, "value": value}
                for name, value in (node["options"] or {"Title": "Default Title"}).items()
            ],
            "inventoryItem": self._item(item),
        }

    def _item(self, node: Node) -> Node:
        levels = [each for each in self.levels.values() if each["item"] == node["id"]]
        return {
            "__typename": "InventoryItem",
            "id": _gid("InventoryItem", node["id"]),
            "sku": node["sku"] or None,
            "tracked": node["tracked"],
            "requiresShipping": node["requires_shipping"],
            "measurement": {"weight": node["weight"]},
            "updatedAt": _iso(node["updatedAt"]),
            "inventoryLevels": lambda **given: self._own(levels, self._level, **given),
        }

    def _level(self, node: Node) -> Node:
        item = self.items[node["item"]]
        return {
            "__typename": "InventoryLevel",
            "id": _gid("InventoryLevel", f"{node['place']}?inventory_item_id={node['item']}"),
            "updatedAt": _iso(node["updatedAt"]),
            "isActive": True,
            "location": {"id": _gid("Location", node["place"])},
            "item": {"id": _gid("InventoryItem", item["id"]), "sku": item["sku"] or None, "tracked": item["tracked"]},
            "quantities": lambda names: [{"name": name, "quantity": node["quantity"]} for name in names],
        }

    def _file_view(self, node: Node) -> Node:
        is_ready = node["status"] == "READY"
        return {
            "__typename": "MediaImage",
            "id": _gid("MediaImage", node["id"]),
            "alt": node["alt"],
            "filename": node["name"],
            "mediaContentType": "IMAGE",
            "status": node["status"],
            "fileStatus": node["status"],
            "fileErrors": [{"message": "It is no picture."}] if node["status"] == "FAILED" else [],
            "image": {"url": node["url"]} if is_ready else None,
        }

    def _polled_file(self, node: Node) -> Node:
        if node["status"] in ("UPLOADED", "PROCESSING"):
            node["polls"] -= 1
            node["status"] = "READY" if node["polls"] < 0 else "PROCESSING"
        return self._file_view(node)

    def _order(self, node: Node) -> Node:
        key = node["id"]
        return {
            **node,
            "__typename": "Order",
            "id": _gid("Order", key),
            "updatedAt": _iso(node["updatedAt"]),
            "lineItems": lambda **given: self._own(node["lines"], dict, **given),
            "fulfillmentOrders": lambda **given: self._own(self.fulfillment_orders[key], self._to_ship, **given),
            "fulfillments": lambda first: [self._fulfillment(each) for each in self.fulfillments[key][:first]],
        }

    def _to_ship(self, node: Node) -> Node:
        return {
            "id": _gid("FulfillmentOrder", node["id"]),
            "status": node["status"],
            "assignedLocation": {"location": {"id": _gid("Location", node["place"])}},
            "lineItems": lambda **given: self._own(node["lines"], dict, **given),
        }

    def _fulfillment(self, node: Node) -> Node:
        return {
            "id": _gid("Fulfillment", node["id"]),
            "status": node["status"],
            "trackingInfo": lambda first: [{"number": each} for each in node["numbers"][:first]],
            "fulfillmentLineItems": lambda **given: self._own(node["lines"], dict, **given),
        }

    def _variant_words(self, variant_id: str) -> JsonObject:
        node = self.variants[variant_id]
        item = self.items[node["item"]]
        digits = exponent(self.currency)

        def money(amount: str) -> JsonObject:
            return {"amount": int(Decimal(amount).scaleb(digits)), "currency": self.currency}

        return {
            "sku": item["sku"],
            "barcode": node["barcode"] or "",
            "options": dict(node["options"]),
            "price": money(node["price"]),
            "list_price": None if node["compareAtPrice"] is None else money(node["compareAtPrice"]),
            "weight_grams": int(item["weight"]["value"]) or None,
            "requires_shipping": item["requires_shipping"],
            "taxable": node["taxable"],
        }

    # --- mutations of products

    def do_productSet(self, input: JsonObject, synchronous: bool) -> Node:
        if any(each["handle"] == input["handle"] for each in self.products.values()):
            message = f"Handle '{input['handle']}' already in use. Please provide a new handle."
            return self._refused("product", None, input, _user(["input", "handle"], message, "HANDLE_NOT_UNIQUE"))
        if not str(input.get("title") or "").strip():
            return self._refused("product", None, input, _user(["input", "title"], "Title can't be blank", "BLANK"))
        chosen = [_options(each) for each in input["variants"]]
        if len({json.dumps(each, sort_keys=True) for each in chosen}) < len(chosen):
            message = "The variant already exists. Please change at least one option value."
            return self._refused("product", None, input, _user(["input", "variants"], message, "INVALID_VARIANT"))
        key = self._new_id()
        names = [each["name"] for each in input["productOptions"]]
        self.products[key] = node = {
            "id": key,
            "descriptionHtml": "",
            "vendor": "",
            "productType": "",
            "seo": {"title": None, "description": None},
            "options": [] if names == ["Title"] else names,
            "collections": [self._title_of(each) for each in input.get("collections", ())],
            "media": [],
            "variants": [],
            "metafields": {(each["namespace"], each["key"]): each["value"] for each in input.get("metafields", ())},
            "tags": [],
        }
        self._set_fields(node, input)
        node["tags"] = list(input.get("tags", ()))
        for each in input["variants"]:
            self._make_variant(node, each)
        self._note("product", key, input, has_changed=True)
        return {"product": self._product(node), "userErrors": []}

    def do_productUpdate(self, product: JsonObject) -> Node:
        node = self.products.get(_short(product["id"]))
        if node is None:
            return self._refused("product", product["id"], product, _user(["id"], "Product does not exist"))
        if "title" in product and not product["title"].strip():
            return self._refused("product", node["id"], product, _user(["title"], "Title can't be blank"))
        before = plain({**node, "metafields": None, "updatedAt": None})
        self._set_fields(node, product)
        for each in product.get("collectionsToJoin", ()):
            node["collections"] = [*node["collections"], self._title_of(each)]
        for each in product.get("collectionsToLeave", ()):
            node["collections"] = [title for title in node["collections"] if title != self._title_of(each)]
        has_changed = before != plain({**node, "metafields": None, "updatedAt": None})
        self._note("product", node["id"], product, has_changed=has_changed)
        return {"product": self._product(node), "userErrors": []}

    def do_tagsAdd(self, id: str, tags: Sequence[str]) -> Node:
        return self._tagged(id, lambda there: [*there, *(each for each in tags if each not in there)])

    def do_tagsRemove(self, id: str, tags: Sequence[str]) -> Node:
        return self._tagged(id, lambda there: [each for each in there if each not in tags])

    def _tagged(self, id: str, change: Callable[[list[str]], list[str]]) -> Node:
        node = self.products[_short(id)]
        before, node["tags"] = node["tags"], change(node["tags"])
        node["updatedAt"] = self._now()
        self._note("tags", node["id"], list(node["tags"]), has_changed=before != node["tags"])
        return {"node": self._product(node), "userErrors": []}

    def do_productVariantsBulkUpdate(
        self,
        productId: str,
        variants: Sequence[JsonObject],
        allowPartialUpdates: bool,
    ) -> Node:
        product = self.products.get(_short(productId))
        if product is None:
            error = _user(["productId"], "Product does not exist", "PRODUCT_DOES_NOT_EXIST")
            return self._refused("variant", productId, variants, error)
        errors, touched = [], []
        for place, given in enumerate(variants):
            variant = self.variants.get(_short(given["id"]))
            error = _wrong_variant(given, place) if variant else _gone_variant(place)
            errors += [error] if error else []
            if variant is not None:
                touched.append(variant)
                if error is None:
                    self._change_variant(product, variant, given)
        return {"productVariants": [self._variant(each) for each in touched], "userErrors": errors}

    def do_productVariantsBulkCreate(self, productId: str, variants: Sequence[JsonObject], strategy: str) -> Node:
        product = self.products[_short(productId)]
        there = [self.variants[each]["options"] for each in product["variants"]]
        errors = []
        for place, given in enumerate(variants):
            chosen = _options(given)
            error = _wrong_variant(given, place)
            if chosen in there:
                message = f"The variant '{' / '.join(chosen.values())}' already exists."
                error = _user(["variants", str(place)], message, "VARIANT_ALREADY_EXISTS")
            elif set(chosen) - set(product["options"]):
                error = _user(["variants", str(place)], "Option does not exist", "OPTION_DOES_NOT_EXIST")
            errors += [error] if error else []
        if errors:
            return {"productVariants": [], "userErrors": errors}
        made = [self._make_variant(product, each) for each in variants]
        for each in made:
            self._note("variant", each["id"], each["id"], has_changed=True)
        return {"productVariants": [self._variant(each) for each in made], "userErrors": []}

    def _set_fields(self, node: Node, given: JsonObject) -> None:
        for name in ("title", "handle", "descriptionHtml", "vendor", "productType", "status"):
            if name in given:
                node[name] = given[name]
        if "seo" in given:
            node["seo"] = {**node["seo"], **given["seo"]}
        node["updatedAt"] = self._now()

    def _change_variant(self, product: Node, variant: Node, given: JsonObject) -> None:
        before = self._variant_words(variant["id"])
        self._set_variant(variant, given)
        has_changed = before != self._variant_words(variant["id"])
        variant["updatedAt"] = product["updatedAt"] = self._now()
        self._note("variant", variant["id"], given, has_changed=has_changed)

    def _set_variant(self, variant: Node, given: JsonObject) -> None:
        item, wanted = self.items[variant["item"]], given.get("inventoryItem", {})
        for name in ("price", "compareAtPrice", "barcode", "taxable"):
            if name in given:
                variant[name] = given[name]
        if "optionValues" in given:
            variant["options"] = _options(given)
        for theirs, ours in (("sku", "sku"), ("tracked", "tracked"), ("requiresShipping", "requires_shipping")):
            if theirs in wanted:
                item[ours] = wanted[theirs]
        if "measurement" in wanted:
            item["weight"] = dict(wanted["measurement"]["weight"])

    def _make_variant(self, product: Node, given: JsonObject) -> Node:
        key = self._new_id()
        self._put_variant(product["id"], key, {})
        self.items[key]["tracked"] = False
        self._set_variant(self.variants[key], given)
        product["variants"].append(key)
        product["updatedAt"] = self._now()
        return self.variants[key]

    def _put_variant(self, product_id: str, variant_id: str, given: Mapping[str, Any]) -> None:
        item = self.items.setdefault(variant_id, {"id": variant_id, "tracked": True})
        item["sku"] = given.get("sku", "")
        item["requires_shipping"] = given.get("requires_shipping", True)
        item["weight"] = {"unit": "GRAMS", "value": float(given.get("weight_grams") or 0)}
        item["updatedAt"] = self._now()
        list_price = given.get("list_price")
        self.variants[variant_id] = {
            "id": variant_id,
            "product": product_id,
            "item": variant_id,
            "barcode": given.get("barcode") or None,
            "options": dict(given.get("options", {})),
            "price": self._major(given.get("price", {"amount": 0})),
            "compareAtPrice": None if list_price is None else self._major(list_price),
            "taxable": given.get("taxable", True),
            "updatedAt": self._now(),
        }

    def _drop_variant(self, variant_id: str) -> None:
        del self.variants[variant_id], self.items[variant_id]
        for key in [key for key in self.levels if key[0] == variant_id]:
            del self.levels[key]

    # --- mutations of pictures

    def do_stagedUploadsCreate(self, input: Sequence[JsonObject]) -> Node:
        key = self._new_id()
        url = f"{self.url}/staged/{key}"
        target = {"url": url, "resourceUrl": url, "parameters": [{"name": "key", "value": key}]}
        return {"stagedTargets": [target for _ in input], "userErrors": []}

    def do_fileCreate(self, files: Sequence[JsonObject]) -> Node:
        given = files[0]
        if any(each["name"] == given["filename"] for each in self.files.values()):
            error = _user(["files", "0", "filename"], "A file with this name already exists", "FILENAME_ALREADY_EXISTS")
            return self._refused("image", None, given, error)
        key = self._put_file(f"{self.url}/cdn/files/{given['filename']}?v=1", given.get("alt", ""), given["filename"])
        body = self.staged[_short(given["originalSource"])]
        self.files[key].update(status="UPLOADED" if b"\x89PNG" in body else "FAILED", polls=self.image_polls)
        self._note("image", key, given["filename"], has_changed=True)
        return {"files": [self._file_view(self.files[key])], "userErrors": []}

    def do_fileUpdate(self, files: Sequence[JsonObject]) -> Node:
        given = files[0]
        node = self.files[_short(given["id"])]
        if node["status"] != "READY":
            return self._refused("image", node["id"], given, _user(["files"], "Non-ready files can't be updated"))
        before = [node["alt"], *(node["id"] in each["media"] for each in self.products.values())]
        node["alt"] = given.get("alt", node["alt"])
        for each in given.get("referencesToAdd", ()):
            media = self.products[_short(each)]["media"]
            media += [] if node["id"] in media else [node["id"]]
        for each in given.get("referencesToRemove", ()):
            self.products[_short(each)]["media"].remove(node["id"])
        after = [node["alt"], *(node["id"] in each["media"] for each in self.products.values())]
        self._note("image", node["id"], given, has_changed=before != after)
        return {"files": [self._file_view(node)], "userErrors": []}

    def do_productReorderMedia(self, id: str, moves: Sequence[JsonObject]) -> Node:
        product = self.products[_short(id)]
        for move in moves:
            product["media"].remove(_short(move["id"]))
            product["media"].insert(int(move["newPosition"]), _short(move["id"]))
        return {"job": {"id": _gid("Job", self._new_id())}, "mediaUserErrors": []}

    def _put_file(self, url: str, alt: str, name: str | None = None) -> str:
        known = next((key for key, each in self.files.items() if each["url"] == url), None)
        key = known or self._new_id()
        self.files[key] = {"id": key, "url": url, "alt": alt, "name": name or _short(url), "status": "READY"}
        return key

    # --- mutations of stock

    def do_inventorySetQuantities(self, input: JsonObject) -> Node:
        errors, changes = [], []
        for place, given in enumerate(input["quantities"]):
            key = (_short(given["inventoryItemId"]), _short(given["locationId"]))
            error = self._wrong_quantity(key, given, place)
            errors += [error] if error else []
        if errors:
            self._note("stock", None, input["quantities"], has_changed=False)
            return {"inventoryAdjustmentGroup": None, "userErrors": errors}
        for given in input["quantities"]:
            key = (_short(given["inventoryItemId"]), _short(given["locationId"]))
            delta = given["quantity"] - self.levels[key]["quantity"]
            self._note("stock", "/".join(key), given["quantity"], has_changed=bool(delta))
            if delta:
                self._set_level(*key, given["quantity"])
                changes.append(
                    {
                        "delta": delta,
                        "item": {"id": given["inventoryItemId"]},
                        "location": {"id": given["locationId"]},
                    }
                )
        return {"inventoryAdjustmentGroup": {"changes": lambda quantityNames: changes}, "userErrors": []}

    def _wrong_quantity(self, key: tuple[str, str], given: JsonObject, place: int) -> Node | None:
        where = ["input", "quantities", str(place)]
        if key[0] not in self.items:
            return _user([*where, "inventoryItemId"], "The inventory item couldn't be found", "INVALID_INVENTORY_ITEM")
        if key[1] not in self.places:
            return _user([*where, "locationId"], "The location couldn't be found", "INVALID_LOCATION")
        if key not in self.levels:
            message = "The specified inventory item is not stocked at the location."
            return _user([*where, "locationId"], message, "ITEM_NOT_STOCKED_AT_LOCATION")
        if given["quantity"] < -1_000_000_000:
            return _user([*where, "quantity"], "The quantity is too low", "INVALID_QUANTITY_TOO_LOW")
        expected = given.get("changeFromQuantity")
        if expected is not None and expected != self.levels[key]["quantity"]:
            message = "The changeFromQuantity argument no longer matches the persisted quantity."
            return _user([*where, "changeFromQuantity"], message, "CHANGE_FROM_QUANTITY_STALE")
        return None

    def do_inventoryActivate(self, inventoryItemId: str, locationId: str) -> Node:
        key = (_short(inventoryItemId), _short(locationId))
        if key[1] not in self.places:
            return {"inventoryLevel": None, "userErrors": [_user(["locationId"], "The location wasn't found.")]}
        if key not in self.levels:
            self._set_level(*key, 0)
        return {"inventoryLevel": self._level(self.levels[key]), "userErrors": []}

    def _set_level(self, item: str, place: str, quantity: int) -> None:
        self.levels[item, place] = {"item": item, "place": place, "quantity": quantity, "updatedAt": self._now()}

    # --- mutations of orders

    def do_fulfillmentCreate(self, fulfillment: JsonObject) -> Node:
        chosen: list[tuple[Node, Node, int]] = []
        order_id, places = "", set()
        for group in fulfillment["lineItemsByFulfillmentOrder"]:
            order_id, node = self._fulfillment_order_of(group["fulfillmentOrderId"])
            places.add(node["place"])
            if node["status"] not in ("OPEN", "IN_PROGRESS"):
                message = f"Fulfillment order {node['id']} has an unfulfillable status= {node['status'].lower()}."
                return self._refused("shipment", order_id, fulfillment, _user(["fulfillment"], message))
            for line in group["fulfillmentOrderLineItems"]:
                found = next(each for each in node["lines"] if each["id"] == line["id"])
                if not 0 < line["quantity"] <= found["remainingQuantity"]:
                    message = "Invalid fulfillment order line item quantity requested."
                    return self._refused("shipment", order_id, fulfillment, _user(["fulfillment"], message))
                chosen.append((node, found, line["quantity"]))
        if len(places) > 1:
            message = "All fulfillment orders must be assigned to the same location."
            return self._refused("shipment", order_id, fulfillment, _user(["fulfillment"], message))
        return self._fulfilled(order_id, chosen, fulfillment)

    def _fulfilled(self, order_id: str, chosen: Sequence[tuple[Node, Node, int]], given: JsonObject) -> Node:
        for node, line, quantity in chosen:
            line["remainingQuantity"] -= quantity
            if not any(each["remainingQuantity"] for each in node["lines"]):
                node["status"] = "CLOSED"
        tracking = given.get("trackingInfo", {})
        made = {
            "id": self._new_id(),
            "status": "SUCCESS",
            "tracking": tracking,
            "numbers": [tracking["number"]] if tracking.get("number") else list(tracking.get("numbers", ())),
            "lines": [{"quantity": quantity, "lineItem": line["lineItem"]} for _, line, quantity in chosen],
            "notified": given["notifyCustomer"],
        }
        self.fulfillments[order_id].append(made)
        self.orders[order_id]["updatedAt"] = self._now()
        self._note("shipment", order_id, given, has_changed=True)
        return {"fulfillment": self._fulfillment(made), "userErrors": []}

    def _fulfillment_order_of(self, gid: str) -> tuple[str, Node]:
        for order_id, nodes in self.fulfillment_orders.items():
            for node in nodes:
                if node["id"] == _short(gid):
                    return order_id, node
        raise Refused("invalid id", "RESOURCE_NOT_FOUND")

    def _fulfillment_order(self, lines: Sequence[Node], place: str) -> Node:
        made = [
            {
                "id": _gid("FulfillmentOrderLineItem", self._new_id()),
                "remainingQuantity": line["quantity"],
                "lineItem": {"id": line["id"], "sku": line["sku"]},
            }
            for line in lines
        ]
        return {"id": self._new_id(), "status": "OPEN", "place": place, "lines": made}

    # --- bulk operations

    def do_bulkOperationRunQuery(self, query: str, groupObjects: bool) -> Node:
        running = [each.id for each in self.bulks.values() if each.status == "RUNNING"]
        if len(running) + self.others_running >= RUNNING_AT_ONCE:
            message = f"A bulk query operation for this app and shop is already in progress: {', '.join(running)}."
            error = {"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}
            return {"bulkOperation": None, "userErrors": [error]}
        bulk = Bulk(self._new_id(), query, "RUNNING", self._now(), polls_left=self.bulk_polls, error=self.bulk_error)
        self._write_file(bulk, is_grouped=groupObjects and self.groups)
        self.bulks[bulk.id] = bulk
        return {"bulkOperation": self._bulk(bulk), "userErrors": []}

    def do_bulkOperation(self, id: str) -> Node | None:
        bulk = self.bulks.get(_short(id))
        if bulk is None:
            return None
        if bulk.status == "RUNNING":
            bulk.polls_left -= 1
            if bulk.polls_left < 0:
                bulk.status = "FAILED" if bulk.error else "COMPLETED"
        return self._bulk(bulk)

    def do_bulkOperations(self, first: int, query: str, sortKey: str, reverse: bool) -> Node:
        return {"nodes": [self._bulk(each) for each in reversed(self.bulks.values())][:first]}

    def _bulk(self, bulk: Bulk) -> Node:
        is_done = bulk.status == "COMPLETED"
        return {
            "id": _gid("BulkOperation", bulk.id),
            "status": bulk.status,
            "errorCode": bulk.error if bulk.status == "FAILED" else None,
            "createdAt": _iso(bulk.created_at),
            "rootObjectCount": str(bulk.roots),
            "fileSize": str(len(bulk.file)) if is_done else None,
            "url": f"{self.url}/bulk/{bulk.id}.jsonl" if is_done and bulk.file else None,
            "query": bulk.query,
        }

    def _write_file(self, bulk: Bulk, *, is_grouped: bool) -> None:
        root = next(iter(fields(operation(bulk.query).selection_set)))
        roots: dict[str, Callable[[], Iterable[Node]]] = {
            "products": lambda: (self._product(each) for each in self.products.values()),
            "orders": lambda: (self._order(each) for each in self.orders.values()),
            "inventoryItems": lambda: (self._item(each) for each in self.items.values()),
        }
        asked = _node_selection(root)
        groups = [_bulk_lines(node, asked) for node in roots[root.name.value]()]
        bulk.roots = len(groups)
        if is_grouped:
            lines = [(line, place == 0) for group in groups for place, line in enumerate(group)]
        else:
            children = [line for group in reversed(groups) for line in group[1:]]
            lines = [*((group[0], True) for group in groups), *((line, True) for line in children)]
        pieces, at = [], 0
        for line, is_start in lines:
            if is_start:
                bulk.starts.append(at)
            pieces.append(line)
            at += len(line)
        bulk.file = b"".join(pieces)

    # --- the rest

    def _title_of(self, gid: str) -> str:
        return next(title for title, key in self.collections.items() if key == _short(gid))

    def _major(self, price: Mapping[str, Any]) -> str:
        return str(Decimal(price["amount"]).scaleb(-exponent(self.currency)))

    def _note(self, kind: str, external_id: str | None, content: Any, *, has_changed: bool) -> None:
        self.writes.append(RemoteWrite(kind, external_id, content, has_changed))

    def _refused(self, kind: str, external_id: str | None, content: Any, error: Node) -> Node:
        self._note(kind, external_id, content, has_changed=False)
        return {"userErrors": [error]}

    def _new_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _now(self) -> datetime:
        """To the second, as Shopify has it."""
        return clock.now().replace(microsecond=0)


def _order_node(order: Mapping[str, Any], before: Node | None) -> Node:
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
        "id": _gid("LineItem", f"{order['external_id']}{place:03}"),
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


def _wrong_variant(given: JsonObject, place: int) -> Node | None:
    for name in ("price", "compareAtPrice"):
        value = given.get(name)
        if value is not None and not _MONEY.match(str(value)):
            message = f"{name.capitalize()} must be greater than or equal to 0"
            return _user(["variants", str(place), name], message, "GREATER_THAN_OR_EQUAL_TO")
    return None


def _gone_variant(place: int) -> Node:
    message = "Product variant does not exist"
    return _user(["variants", str(place), "id"], message, "PRODUCT_VARIANT_DOES_NOT_EXIST")


def _options(given: JsonObject) -> dict[str, str]:
    chosen = {each["optionName"]: each["name"] for each in given.get("optionValues", ())}
    return {} if chosen == {"Title": "Default Title"} else chosen


def _node_selection(node: FieldNode) -> SelectionSetNode:
    """What a connection of a bulk query asks of its nodes: `{ edges { node { … } } }`."""
    for name in ("edges", "node"):
        assert node.selection_set is not None
        node = next(each for each in fields(node.selection_set) if each.name.value == name)
    assert node.selection_set is not None
    return node.selection_set


def _bulk_lines(node: Node, asked: SelectionSetNode) -> list[bytes]:
    """A record's line of a file, and after it those of its children."""
    own, children = _split(asked)
    found = [_line(picked(node, own, {}))]
    for child in children:
        inner = _node_selection(child)
        for each in node[child.name.value](first=1_000_000)["nodes"]:
            found.append(_line({**picked(each, inner, {}), "__parentId": node["id"]}))
    return found


_SPLIT: dict[int, tuple[SelectionSetNode, list[FieldNode]]] = {}


def _split(asked: SelectionSetNode) -> tuple[SelectionSetNode, list[FieldNode]]:
    """A selection without its connections, and these."""
    if id(asked) not in _SPLIT:
        children = [each for each in asked.selections if isinstance(each, FieldNode) and _is_connection(each)]
        own = SelectionSetNode(selections=tuple(each for each in asked.selections if each not in children))
        _SPLIT[id(asked)] = (own, children)
    return _SPLIT[id(asked)]


def _is_connection(node: FieldNode) -> bool:
    inner = node.selection_set
    return inner is not None and any(each.name.value == "edges" for each in fields(inner))


def _line(value: JsonObject) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _matches(node: Node, query: str | None) -> bool:
    """Whether a record is found by Shopify's search, as far as it is used: terms with AND, or with OR."""
    if not query:
        return True
    terms = [_is_term(node, *term) for term in _TERM.findall(query)]
    return any(terms) if " OR " in query else all(terms)


def _is_term(node: Node, name: str, sign: str, value: str) -> bool:
    wanted = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value[0] in "'\"" else value
    has = node["updatedAt"] if name == "updated_at" else node.get(name) or ""
    if name == "id":
        mine, other = (len(_short(has)), _short(has)), (len(wanted), wanted)
        return mine > other if sign == ">" else mine == other
    if wanted.endswith("*"):
        return str(has).startswith(wanted[:-1])
    return {">=": has >= wanted, "<=": has <= wanted, ">": has > wanted, "<": has < wanted, "": has == wanted}[sign]


def _user(where: Sequence[str], message: str, code: str | None = None) -> Node:
    return {"field": list(where), "message": message, "code": code}


def _error(error: Refused) -> Node:
    return {"message": str(error), "extensions": {"code": error.code}}


def _who_are_you() -> Response:
    words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    return JSONResponse({"errors": words}, 401)


def _by_id(node: Node) -> tuple[int, str]:
    return len(node["id"]), node["id"]


def _gid(kind: str, key: str) -> str:
    return f"gid://shopify/{kind}/{key}"


def _short(gid: str) -> str:
    return gid.rpartition("/")[2]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
