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
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from graphql import OperationDefinitionNode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.shop_server import Manners, ShopServer
from tests.fakes.shopify_bulk import Bulks
from tests.fakes.shopify_graphql import (
    JsonObject,
    Refused,
    arguments,
    coerced,
    directive,
    fields,
    operation,
    picked,
    reckoned,
)
from tests.fakes.shopify_state import TOKEN, VERSION, Node, iso_time, wrong
from tests.fakes.shopify_words import order_node

CLIENT_ID, CLIENT_SECRET = "client-of-the-tests", "shpss-of-the-tests"
ICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_STATUS = {"active": "ACTIVE", "draft": "DRAFT", "archived": "ARCHIVED", "paused": "DRAFT"}
_STATUS_BACK = {"ACTIVE": "active", "UNLISTED": "active", "DRAFT": "draft", "ARCHIVED": "archived"}


class ShopifyShop(Bulks):
    """The shop. What it can be told beside `faults` is said of State."""

    platform = "shopify"

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.credentials = {"access_token": TOKEN, "client_secret": CLIENT_SECRET}
        self._server = ShopServer(lambda: self.faults, Manners(expired=_who_are_you))

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

    def put_category(self, path: list[str]) -> None:
        self.put_collection(path[-1])

    def product_ids(self) -> list[str]:
        return list(self.products)

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
        node = order_node(order)
        # A shop's own clock tells when an order changed there, whatever the order says.
        node["updatedAt"] = max(node["updatedAt"], self._now())
        self.orders[external_id] = node
        if external_id not in self.fulfillment_orders:
            self.fulfillments[external_id] = []
            self.fulfillment_orders[external_id] = [self._fulfillment_order(node["lines"], "1")]

    def shipments(self, order_external_id: str) -> list[dict[str, Any]]:
        return [
            {
                "lines": [[line["lineItem"]["sku"], line["quantity"]] for line in each["lines"]],
                "carrier": each["tracking"].get("company"),
                "tracking_numbers": list(each["numbers"]),
            }
            for each in self.fulfillments.get(order_external_id, ())
        ]

    def touch(self, external_id: str) -> None:
        """Move a product's time with no visible change."""
        self.products[external_id]["updatedAt"] = self._now()

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
            "X-Shopify-Triggered-At": iso_time(self._now()),
        }
        return headers, content

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
                return {"userErrors": [wrong(["key"], "Other parameters.", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")]}
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


def _error(error: Refused) -> Node:
    return {"message": str(error), "extensions": {"code": error.code}}


def _who_are_you() -> Response:
    words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    return JSONResponse({"errors": words}, 401)
