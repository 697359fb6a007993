"""A Magento 2 shop with multi-source inventory, which behaves as the recorded one did.

Its integration signs with OAuth 1.0a, which is checked with another library than ours. Pages are small; times are of
seconds; nothing tells by itself that it changed.
"""

import base64
import hmac
import json
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from authlib.oauth1.rfc5849.signature import construct_base_string
from authlib.oauth1.rfc5849.util import escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.sync.platforms.oauth1 import decoded
from shared import clock
from tests.fakes import magento_words as words
from tests.fakes.magento_search import UnknownField, projected, searched
from tests.fakes.magento_state import DIED, MagentoState, Refused
from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.shop_server import RETRY_AFTER_SECONDS, Manners, ShopServer, plain

JsonObject = dict[str, Any]

KEYS = {
    "consumer_key": "key-of-the-integration",
    "consumer_secret": "secret & more",
    "access_token": "token-of-the-integration",
    "access_token_secret": "secret of the token",
}
PICTURE = b"\x89PNG\r\n\x1a\n a picture"
_NOT_ALLOWED = "The consumer isn't authorized to access %resources."
_RIGHTS = {
    "products": "Magento_Catalog::products",
    "categories": "Magento_Catalog::categories",
    "orders": "Magento_Sales::actions_view",
    "order": "Magento_Sales::ship",
    "shipments": "Magento_Sales::shipment",
    "inventory": "Magento_InventoryApi::stock_source_item_assign",
}
_OPEN = ("new", "processing", "holded")
_OURS = {1: "active", 2: "draft"}
_TEXTS = {
    "handle": "url_key",
    "description_html": "description",
    "brand": "manufacturer",
    "product_type": "kind",
    "seo_title": "meta_title",
    "seo_description": "meta_description",
}


@dataclass
class MagentoShop:
    """The shop. What it can be told beside `faults`:

    `lose`: of the next requests like these, "POST products", the effect is there and the answer a 502.
    `allows_bearer`: the integration's token is enough. `lacking`: rights that it does not have. `has_worker`: what is
    queued is done, as soon as somebody asks how it is. `before`: called with method and path before each request.
    """

    platform = "magento"
    page_size: int = 3
    settings: dict[str, Any] = field(default_factory=lambda: {"attributes": {"product_type": "kind", "barcode": "ean"}})
    credentials: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    faults: Faults = field(default_factory=Faults)
    writes: list[RemoteWrite] = field(default_factory=list)
    lose: list[str] = field(default_factory=list)
    allows_bearer: bool = False
    lacking: set[str] = field(default_factory=set)
    has_worker: bool = True

    def __post_init__(self) -> None:
        self.state = MagentoState(_moment, self.writes.append)
        # Method, path from V1 on, query and body of each request.
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        # Answers by what was asked, for comparing their shape with recorded ones.
        self.answers: list[tuple[str, str, Any]] = []
        self.pictures = {"scarf.png": PICTURE}
        self.bulks: dict[str, list[JsonObject]] = {}
        self._aliases: dict[int, dict[str, int]] = {}
        self._nonces: set[str] = set()
        self._server = ShopServer(lambda: self.faults, Manners(_throttled, _away, _expired))

    # --- what the tests do over there

    async def start(self) -> None:
        routes = [
            Route("/rest/{rest:path}", self._rest, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/media/catalog/product{file:path}", self._file),
            Route("/pictures/{name}", self._picture),
        ]
        self.url = await self._server.start(Starlette(routes=routes))
        self.settings["url"] = self.url

    async def stop(self) -> None:
        await self._server.stop()

    def put_product(self, external_id: str, fields: JsonObject, variants: dict[str, JsonObject]) -> None:
        """One variant without options is a product by itself, whatever the variant is called; others are children."""
        number, is_family = int(external_id), len(variants) != 1 or bool(fields.get("options"))
        kept = self._kept(number, fields)
        self._aliases[number] = {}
        if is_family:
            kept |= {"type_id": "configurable", "sku": kept.get("sku") or f"FAMILY-{number}", "price": 0}
            kept["axes"] = [self._axis(kept, place, name) for place, name in enumerate(fields["options"])]
        for variant_id, variant in variants.items():
            member = self._child(kept, int(variant_id), variant) if is_family else kept
            self._sell(member, variant)
            self._aliases[number][variant_id] = member["id"]
        kept["links"] = list(self._aliases[number].values()) if is_family else []
        self.state.products[number] = kept

    def remove_product(self, external_id: str) -> None:
        for number in {int(external_id), *self._aliases.pop(int(external_id)).values()}:
            self.state.products.pop(number, None)

    def product(self, external_id: str) -> tuple[JsonObject, dict[str, JsonObject]]:
        kept = self.state.products[int(external_id)]
        names = {category["id"]: category for category in self.state.categories}
        fields = {
            "title": kept["name"],
            "status": _OURS[kept["status"]],
            **{name: self.state.label(code, kept["custom"].get(code)) for name, code in _TEXTS.items()},
            "tags": sorted(each for each in kept["custom"].get("meta_keyword", "").split(", ") if each),
            "options": [axis["label"] for axis in kept["axes"]],
            "categories": sorted([names[int(each)]["name"]] for each in kept["category_ids"]),
            "images": [
                {"url": f"{self.url}/media/catalog/product{each['file']}", "alt": each["label"]}
                for each in sorted(kept["media"], key=lambda each: (each["position"], each["id"]))
                if not each["disabled"]
            ],
        }
        members = self._aliases.get(int(external_id)) or {str(each): each for each in kept["links"] or [kept["id"]]}
        return fields, {each: self._sold(kept, self.state.products[number]) for each, number in members.items()}

    def put_category(self, path: list[str]) -> None:
        self.state.category(path)

    def product_ids(self) -> list[str]:
        members = {number for kept in self.state.products.values() for number in kept["links"]}
        return [str(number) for number in self.state.products if number not in members]

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        """What can be sold; what is reserved is there besides, in the first source."""
        self.state.sources.setdefault(location, f"Place {location}")
        there = quantity + self._held(sku, location)
        level = {"sku": sku, "source_code": location, "quantity": there, "status": int(there > 0)}
        self.state.levels[location, sku.lower()] = level

    def stock(self, sku: str, location: str) -> int:
        return int(self.state.levels[location, sku.lower()]["quantity"]) - self._held(sku, location)

    def put_order(self, order: JsonObject) -> None:
        """An order whose goods `put_stock` has taken off already, as of every fake: what can be sold stays."""
        skus = {line["sku"] for line in order["lines"]}
        keys = [
            (sku, place) for sku in skus for place in self.state.sources if (place, sku.lower()) in self.state.levels
        ]
        before = {key: self.stock(*key) for key in keys}
        self.take_order(order)
        for (sku, place), quantity in before.items():
            self.put_stock(sku, place, quantity)

    def take_order(self, order: JsonObject) -> None:
        """An order as a buyer makes it: its goods are reserved, and still in their source."""
        number = int(order["external_id"])
        before = {item["sku"]: item for item in self.state.orders.get(number, {}).get("items", ())}
        skus = [line["sku"] for line in order["lines"]]
        ids = [before[sku]["item_id"] if sku in before else self.state.new_id() for sku in skus]
        node = words.order(order, ids, _moment())
        for item in node["items"]:
            item["qty_shipped"] = before.get(item["sku"], item)["qty_shipped"]
        self.state.orders[number] = node

    def _held(self, sku: str, location: str) -> int:
        items = [item for order in self.state.orders.values() if order["state"] in _OPEN for item in order["items"]]
        held = sum(item["qty_ordered"] - item["qty_shipped"] for item in items if item["sku"].lower() == sku.lower())
        return held if location == next(iter(self.state.sources)) else 0

    def shipments(self, order_external_id: str) -> list[JsonObject]:
        return [
            {
                "lines": [(line["sku"], line["qty"]) for line in each["items"]],
                "carrier": next((track["title"] for track in each["tracks"]), None),
                "tracking_numbers": [track["track_number"] for track in each["tracks"]],
            }
            for each in self.state.shipments
            if each["order_id"] == int(order_external_id)
        ]

    def before(self, method: str, path: str) -> None:
        """Replaced by tests that have something happen meanwhile."""

    # --- products in our words

    def _kept(self, number: int, fields: JsonObject) -> JsonObject:
        known = self.state.products.get(number)
        kept = {**known, "updated_at": _moment()} if known else self.state.kept(number, sku="", name="")
        kept |= {"name": fields.get("title", ""), "status": 1 if fields.get("status", "active") == "active" else 2}
        custom = {code: fields.get(name) or "" for name, code in _TEXTS.items()}
        if custom["manufacturer"]:
            custom["manufacturer"] = self.state.option("manufacturer", custom["manufacturer"])
        custom["meta_keyword"] = ", ".join(fields.get("tags") or ())
        custom["url_key"] = custom["url_key"] or f"product-{number}"
        kept["custom"] = {**kept["custom"], **custom}
        kept["category_ids"] = [self.state.category(path) for path in fields.get("categories") or ()]
        kept["media"] = [self._gallery(kept, place, each) for place, each in enumerate(fields.get("images") or ())]
        return dict(kept)

    def _gallery(self, kept: JsonObject, place: int, image: JsonObject) -> JsonObject:
        name = str(image["url"]).rpartition("/")[2]
        known = next((each for each in kept["media"] if str(image["url"]).endswith(each["file"])), None)
        own = {"label": image.get("alt") or "", "position": place + 1, "disabled": False}
        if known:
            return {**known, **own}
        file = self.state.add_file(name, self.pictures.get(name, PICTURE))
        return {"id": self.state.new_id(), "media_type": "image", "types": [], "file": file, **own}

    def _axis(self, kept: JsonObject, place: int, name: str) -> JsonObject:
        number = next(each[0] for each in words.ATTRIBUTES if each[2] == name)
        return {"id": number, "attribute_id": str(number), "label": name, "position": place, "product_id": kept["id"]}

    def _child(self, parent: JsonObject, number: int, variant: JsonObject) -> JsonObject:
        child: JsonObject = self.state.products.get(number) or self.state.kept(number, sku=variant["sku"], name="")
        child |= {"visibility": 1, "name": f"{parent['name']} {variant['sku']}"}
        child["custom"].setdefault("url_key", f"child-{number}")
        for name, label in (variant.get("options") or {}).items():
            code = next(each[1] for each in words.ATTRIBUTES if each[2] == name)
            child["custom"][code] = self.state.option(code, label)
        self.state.products[number] = child
        return child

    def _sell(self, member: JsonObject, variant: JsonObject) -> None:
        price, crossed_out = variant.get("price"), variant.get("list_price")
        regular = crossed_out or price
        before = {name: member.get(name) for name in ("sku", "price")} | {"custom": dict(member["custom"])}
        member["sku"] = variant["sku"]
        member["price"] = regular["amount"] / 100 if regular else 0
        member["custom"]["special_price"] = str(price["amount"] / 100) if price and crossed_out else ""
        member["custom"]["ean"] = variant.get("barcode") or ""
        if before != {name: member.get(name) for name in ("sku", "price")} | {"custom": member["custom"]}:
            member["updated_at"] = _moment()

    def _sold(self, parent: JsonObject, member: JsonObject) -> JsonObject:
        special, codes = member["custom"].get("special_price"), {str(e[0]): e[1] for e in words.ATTRIBUTES}
        regular = {"amount": round(member["price"] * 100), "currency": "EUR"}
        options = {
            axis["label"]: self.state.label(
                codes[axis["attribute_id"]], member["custom"].get(codes[axis["attribute_id"]])
            )
            for axis in parent["axes"]
        }
        return {
            "sku": member["sku"],
            "barcode": member["custom"].get("ean", ""),
            "options": options,
            "price": {**regular, "amount": round(float(special) * 100)} if special else regular,
            "list_price": regular if special else None,
        }

    # --- asked

    async def _rest(self, request: Request) -> Response:
        try:
            return await self._answered(request)
        except Refused as refused:
            if refused.is_text:
                return PlainTextResponse(refused.message, refused.status)
            body: JsonObject = {"message": refused.message}
            if refused.parameters is not None:
                body["parameters"] = refused.parameters
            return JSONResponse(body, refused.status)
        except Exception:
            # Otherwise a mistake of the fake looks like a shop that is away.
            traceback.print_exc()
            raise

    async def _answered(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode()
        path = raw.partition("/V1/")[2]
        segments = [unquote(each) for each in path.split("/")]
        self._recognize(request, f"{self.url}{raw}", segments)
        query = dict(request.query_params)
        content = await request.body()
        body = json.loads(content) if content else None
        self.requests.append((request.method, f"/V1/{path}", query, body))
        self.before(request.method, path)
        prefix = raw.partition("/V1/")[0].partition("/async")[2]
        if prefix:
            answer = self._queue(segments, body)
        else:
            answer = plain(self._do(request.method, segments, query, body))
            self.answers.append((request.method, path, answer))
        lost = next((each for each in self.lose if f"{request.method} {path}".startswith(each)), None)
        if lost is not None:
            self.lose.remove(lost)
            return Response("<html><h1>502 Bad Gateway</h1></html>", 502)
        return JSONResponse(answer, 202 if prefix else 200)

    def _recognize(self, request: Request, url: str, segments: list[str]) -> None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        right = _RIGHTS.get(segments[0], "Magento_Backend::store")
        if scheme == "OAuth":
            self._check_signature(request, url, decoded(f"{scheme} {rest}"))
        elif scheme != "Bearer" or not self.allows_bearer or rest != KEYS["access_token"]:
            raise Refused(401, _NOT_ALLOWED, {"resources": right})
        if right in self.lacking:
            raise Refused(401, _NOT_ALLOWED, {"resources": right})

    def _check_signature(self, request: Request, url: str, given: dict[str, str]) -> None:
        others = [(name, value) for name, value in given.items() if name != "oauth_signature"]
        query = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)
        base = construct_base_string(request.method, url, [*query, *others])
        key = f"{escape(KEYS['consumer_secret'])}&{escape(KEYS['access_token_secret'])}"
        right = base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha256")).decode()
        named = (given.get("oauth_consumer_key"), given.get("oauth_token"))
        if named != (KEYS["consumer_key"], KEYS["access_token"]) or given.get("oauth_signature") != right:
            raise Refused(401, "The signature is invalid. Verify and try again.")
        if given["oauth_nonce"] in self._nonces:
            raise Refused(401, "The nonce is already being used by the consumer with ID %1", ["1"])
        self._nonces.add(given["oauth_nonce"])

    def _do(self, method: str, segments: list[str], query: dict[str, str], body: Any) -> Any:
        if method == "GET":
            return self._get(segments, query)
        match method, *segments:
            case "POST", "products":
                return self.state.save(body["product"], None)
            case "PUT", "products", sku:
                if "fields" in query and "sku" not in body["product"]:
                    raise Refused(500, DIED, is_text=True)
                return self.state.save(body["product"], sku)
            case "POST", "products", "attributes", code, "options":
                return self.state.add_option(code, body["option"]["label"])
            case "POST", "products", sku, "media":
                return self.state.add_picture(sku, body["entry"])
            case "PUT", "products", sku, "media", number:
                return self.state.change_picture(sku, int(number), body["entry"])
            case "DELETE", "products", sku, "media", number:
                return self.state.take_picture(sku, int(number))
            case "POST", "configurable-products", sku, "options":
                return str(self.state.add_axis(sku, body["option"]))
            case "POST", "configurable-products", sku, "child":
                return self.state.link(sku, body["childSku"])
            case "POST", "inventory", "source-items":
                return self.state.set_levels(body["sourceItems"])
            case "POST", "order", number, "ship":
                return self.state.ship(int(number), body)
        raise Refused(404, "Request does not match any route.")

    def _get(self, segments: list[str], query: dict[str, str]) -> Any:
        state = self.state
        match segments:
            case ["store", "storeConfigs"]:
                return [self._store()]
            case ["products"]:
                return self._search(
                    [{**each, "entity_id": each["id"]} for each in state.products.values()], query, _listed
                )
            case ["products", "attribute-sets", "4", "attributes"]:
                return state.attributes()
            case ["products", "attributes", code, "options"]:
                return [{"label": " ", "value": ""}, *state.options[code]]
            case ["eav", "attribute-sets", "list"]:
                own = {"attribute_set_id": words.SET_ID, "attribute_set_name": "Default", "entity_type_id": 4}
                other = {"attribute_set_id": 3, "attribute_set_name": "Default", "entity_type_id": 3}
                return {"items": [{**each, "sort_order": 1} for each in (other, own)], "total_count": 2}
            case ["categories", "list"]:
                return self._search(_by_entity(state.categories), query, _plain)
            case ["orders"]:
                return self._search(list(state.orders.values()), query)
            case ["shipments"]:
                return self._search(state.shipments, query)
            case ["inventory", "sources"]:
                rows = [{"source_code": code, "name": name, "enabled": True} for code, name in state.sources.items()]
                return self._search(rows, query)
            case ["inventory", "stock-source-links"]:
                codes = enumerate(state.sources, 1)
                return self._search([{"stock_id": 1, "source_code": code, "priority": n} for n, code in codes], query)
            case ["inventory", "source-items"]:
                return self._search(list(state.levels.values()), query)
            case ["bulk"]:
                operations = [each for bulk in self.bulks.values() for each in bulk]
                return self._search(operations, query)
            case ["bulk", uuid, "status"]:
                return self._bulk_status(uuid)
        raise Refused(404, "Request does not match any route.")

    def _search(self, rows: list[JsonObject], query: dict[str, str], listed: Any = None) -> Any:
        if not any(name.startswith("searchCriteria") for name in query):
            raise Refused(400, '"%fieldName" is required. Enter and try again.', {"fieldName": "searchCriteria"})
        try:
            whole = {name: value for name, value in query.items() if name != "fields"}
            found = searched(rows, whole, self.page_size)
        except UnknownField as error:
            raise Refused(
                400, 'The "%1" attribute name is invalid. Reset the name and try again.', [str(error)]
            ) from None
        if listed:
            found["items"] = [listed(each) for each in found["items"]]
        if "fields" in query:
            trimmed = {"items": found["items"] or None, "total_count": found["total_count"]}
            return projected(trimmed, query["fields"])
        return found

    def _store(self) -> JsonObject:
        return {
            "id": 1,
            "code": "default",
            "website_id": 1,
            "locale": "en_US",
            "base_currency_code": "EUR",
            "default_display_currency_code": "EUR",
            "timezone": "UTC",
            "weight_unit": "kgs",
            "base_url": f"{self.url}/",
            "base_media_url": f"{self.url}/media/",
            "secure_base_url": f"{self.url}/",
            "secure_base_media_url": f"{self.url}/media/",
        }

    # --- queued

    def _queue(self, segments: list[str], body: Any) -> JsonObject:
        if segments != ["products", "bySku"]:
            raise Refused(404, "Request does not match any route.")
        uuid = f"00000000-0000-0000-0000-{len(self.bulks):012}"
        self.bulks[uuid] = [
            {
                "id": index,
                "bulk_uuid": uuid,
                "topic_name": "async.magento.catalog.api.productrepositoryinterface.save.put",
                "serialized_data": json.dumps({"entity_id": None, "meta_information": json.dumps(each)}),
                "result_serialized_data": None,
                "status": 4,
                "result_message": None,
                "error_code": None,
            }
            for index, each in enumerate(body)
        ]
        accepted = [{"id": index, "data_hash": "0", "status": "accepted"} for index in range(len(body))]
        return {"bulk_uuid": uuid, "request_items": accepted, "errors": False}

    def work(self) -> None:
        """What the worker does once: it dies of a product that does not repeat its SKU."""
        for bulk in self.bulks.values():
            for operation in (each for each in bulk if each["status"] == 4):
                given = json.loads(json.loads(operation["serialized_data"])["meta_information"])
                if "sku" not in given["product"]:
                    self.has_worker = False
                    return
                try:
                    self.state.save(given["product"], given["sku"])
                    operation |= {"status": 1, "result_message": "Service execution success"}
                except Refused as refused:
                    operation |= {"status": 3, "result_message": refused.message, "error_code": 0}
                operation["serialized_data"] = None

    def _bulk_status(self, uuid: str) -> JsonObject:
        if uuid not in self.bulks:
            raise Refused(404, "Bulk uuid %bulkUuid not exist", {"bulkUuid": uuid})
        if self.has_worker:
            self.work()
        names = ("id", "status", "result_message", "error_code")
        operations = [{name: each[name] for name in names} for each in self.bulks[uuid]]
        return {"operations_list": operations, "user_type": 2, "bulk_id": uuid, "operation_count": len(operations)}

    # --- pictures

    async def _file(self, request: Request) -> Response:
        content = self.state.files.get(request.path_params["file"])
        return Response(content, media_type="image/png") if content is not None else Response(status_code=404)

    async def _picture(self, request: Request) -> Response:
        content = self.pictures.get(request.path_params["name"])
        return Response(content, media_type="image/png") if content is not None else Response(status_code=404)


def _by_entity(rows: Iterable[JsonObject]) -> list[JsonObject]:
    """With the name that ids have in searches."""
    return [{**each, "entity_id": each["id"]} for each in rows]


def _plain(row: JsonObject) -> JsonObject:
    return {name: value for name, value in row.items() if name != "entity_id"}


def _listed(kept: JsonObject) -> JsonObject:
    return words.product(kept, is_listed=True)


def _moment() -> str:
    return clock.now().strftime("%Y-%m-%d %H:%M:%S")


def _throttled() -> Response:
    """Not Magento's own: what stands before it."""
    return Response("<html><h1>429 Too Many Requests</h1></html>", 429, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _away() -> Response:
    return Response("<html><h1>503 Backend fetch failed</h1></html>", 503)


def _expired() -> Response:
    return JSONResponse({"message": _NOT_ALLOWED, "parameters": {"resources": "Magento_Catalog::products"}}, 401)
