"""A server of the custom HTTP protocol, small enough to be read as an example.

It is all that `services/sync/platforms/custom/PROTOCOL.md` asks for: keyset pages, operation keys, compare-and-set,
problem documents, signed webhooks. It also does what real shops do, when it is told to.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import clock
from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.shop_server import RETRY_AFTER_SECONDS, Manners, ShopServer, plain

TOKEN = "test-token-of-the-custom-shop"
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a signing secret of the tests").decode()
RIGHTS = [
    *("read:products", "read:stock", "read:orders", "read:suppliers", "read:supplier-links"),
    *("write:products", "write:stock", "write:shipments"),
]
_MOST_ITEMS = 100
_OLDEST_SECONDS = 300
Item = dict[str, Any]


@dataclass
class _Kept:
    """A record with the time of its last change."""

    body: Item
    updated_at: datetime


class _Refused(Exception):
    """A request that is answered with a problem document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class CustomShop:
    """The shop. What it can be told beside `faults`:

    `shortens`: titles are cut at so many characters. `silent_stock`: a stock level's time does not move when its
    quantity does. `touchy`: a write that changes nothing moves the time, and is `ok`. `drifts`: after so many pages,
    what they gave and one more record move to the end.
    `rights`: what the token may do. `is_strict`: requests must be signed. `keeps_images`: it takes no picture away.
    """

    platform = "custom"
    page_size: int = 3
    settings: dict[str, Any] = field(default_factory=lambda: {"page_size": 100})
    credentials: dict[str, str] = field(default_factory=lambda: {"token": TOKEN})
    faults: Faults = field(default_factory=Faults)
    writes: list[RemoteWrite] = field(default_factory=list)
    silent_stock: bool = False
    shortens: int | None = None
    touchy: bool = False
    drifts: int = 0
    rights: list[str] = field(default_factory=lambda: list(RIGHTS))
    keeps_images: bool = False
    is_strict: bool = False
    places: list[Item] = field(default_factory=lambda: [{"id": "main", "name": "Main warehouse"}])
    # How much is allowed and left, for `RateLimit`; None: nothing is said.
    budget: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        self.kept: dict[str, dict[str, _Kept]] = {
            name: {} for name in ("products", "stock", "orders", "suppliers", "supplier-links")
        }
        self.requests: list[str] = []
        self.pictures_read: list[str] = []
        self._done: dict[str, str] = {}
        self._shipments: dict[str, list[Item]] = {}
        self._seen: set[str] = set()
        self._last_tick = datetime(2000, 1, 1, tzinfo=UTC)
        self._last_id = 1000
        self._server = ShopServer(lambda: self.faults, Manners(_throttled, _away, _expired))

    # --- what the tests do over there

    async def start(self, port: int = 0) -> None:
        routes = [
            Route("/hello", self._answering(self._hello)),
            *(Route(f"/{name}", self._answering(self._list)) for name in self.kept),
            *(
                Route(f"/{name}", self._answering(self._write), methods=["POST"])
                for name in ("products", "stock", "shipments")
            ),
            Route("/products/{id}/images/{url:path}", self._answering(self._take_image), methods=["DELETE"]),
            Route("/pictures/{name}", self._picture),
        ]
        self.settings["url"] = await self._server.start(Starlette(routes=routes), port)

    async def stop(self) -> None:
        await self._server.stop()

    def put_product(self, external_id: str, fields: Item, variants: dict[str, Item]) -> None:
        body = {"fields": plain(fields), "variants": plain(variants)}
        self.kept["products"][external_id] = _Kept(body, self._tick())

    def remove_product(self, external_id: str) -> None:
        del self.kept["products"][external_id]

    def product(self, external_id: str) -> tuple[Item, dict[str, Item]]:
        body = plain(self.kept["products"][external_id].body)
        return body["fields"], body["variants"]

    def put_category(self, path: list[str]) -> None:
        """Products come with theirs."""

    def product_ids(self) -> list[str]:
        return list(self.kept["products"])

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        self._set_stock(f"{location}/{sku}", sku, location, quantity)

    def stock(self, sku: str, location: str) -> int:
        quantity: int = self.kept["stock"][f"{location}/{sku}"].body["quantity"]
        return quantity

    def put_order(self, order: Item) -> None:
        body = {name: value for name, value in plain(order).items() if name not in ("external_id", "updated_at")}
        self.kept["orders"][order["external_id"]] = _Kept(body, self._tick())

    def put_supplier(self, external_id: str, fields: Item) -> None:
        self.kept["suppliers"][external_id] = _Kept(plain(fields), self._tick())

    def put_supplier_link(self, external_id: str, fields: Item) -> None:
        self.kept["supplier-links"][external_id] = _Kept(plain(fields), self._tick())

    def shipments(self, order_external_id: str) -> list[Item]:
        return plain(self._shipments.get(order_external_id, []))

    def webhook(
        self, kind: str, event_id: str = "evt_1", sent_at: datetime | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Headers, in lower case, and body of a webhook such as the shop would send now."""
        body = json.dumps({"type": kind, "ids": ["1"]}).encode()
        timestamp = int((sent_at or clock.now()).timestamp())
        signature = _signature(b"%s.%d.%s" % (event_id.encode(), timestamp, body))
        return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}, body

    # --- asked

    def _answering(self, handle: Any) -> Any:
        async def answer(request: Request) -> Response:
            self.requests.append(f"{request.method} {request.url.path}?{request.url.query}".rstrip("?"))
            try:
                self._recognize(request, await request.body())
                answered = JSONResponse(await handle(request))
            except _Refused as refused:
                answered = problem(refused.status, refused.detail)
            if self.budget is not None:
                most, seconds, left = self.budget
                answered.headers["RateLimit-Policy"] = f'"default";q={most};w={seconds}'
                answered.headers["RateLimit"] = f'"default";r={left}'
            return answered

        return answer

    def _recognize(self, request: Request, body: bytes) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {TOKEN}"):
            raise _Refused(401, "The token is not known.")
        if not self.is_strict:
            return
        message_id = request.headers.get("crossdock-id", "")
        timestamp = request.headers.get("crossdock-timestamp", "0")
        # As it was sent, percent-encoded: `url.path` is not.
        target = f"{request.scope['raw_path'].decode()}?{request.url.query}".rstrip("?")
        signed = f"{message_id}.{timestamp}.{request.method} {target}\n".encode() + body
        is_genuine = hmac.compare_digest(request.headers.get("crossdock-signature", ""), _signature(signed))
        if (
            not is_genuine
            or abs(clock.now().timestamp() - int(timestamp)) > _OLDEST_SECONDS
            or message_id in self._seen
        ):
            raise _Refused(401, "The request is not signed as agreed.")
        self._seen.add(message_id)

    async def _hello(self, request: Request) -> Item:
        return {
            "protocol": 1,
            "name": "Shop on the quay",
            "version": "3.2",
            "currency": "EUR",
            "time_zone": "Europe/Berlin",
            "can": self.rights,
            "places": self.places,
            "order_statuses": ["pending", "paid", "cancelled"],
        }

    async def _list(self, request: Request) -> Item:
        name = request.url.path.strip("/")
        query = request.query_params
        kept = self.kept[name]
        if ids := query.getlist("id"):
            return {"items": [self._item(name, each, kept[each]) for each in ids if each in kept], "next": None}
        since, until, after = _moment(query.get("since")), _moment(query.get("until")), _key(query.get("after"))
        keys = sorted((record.updated_at, external_id) for external_id, record in kept.items())
        wanted = [key for key in keys if (since is None or key[0] >= since) and (until is None or key[0] < until)]
        rest = [key for key in wanted if after is None or key > after]
        given = rest[: min(int(query.get("limit", 1000)), self.page_size)]
        items = [self._item(name, external_id, kept[external_id]) for _, external_id in given]
        self._drift(kept, {external_id for _, external_id in given})
        return {"items": items, "next": _cursor(given[-1]) if len(given) < len(rest) else None, "total": len(wanted)}

    def _item(self, name: str, external_id: str, record: _Kept) -> Item:
        own = {"id": external_id, "updated_at": record.updated_at.isoformat()}
        if name != "products":
            return own | record.body
        variants = [{"id": each, **fields} for each, fields in record.body["variants"].items()]
        return own | record.body["fields"] | {"variants": variants}

    def _drift(self, kept: dict[str, _Kept], given: set[str]) -> None:
        """The oldest records move to the end, those first that were just given."""
        if not self.drifts:
            return
        self.drifts -= 1
        oldest = sorted(kept, key=lambda external_id: (external_id not in given, kept[external_id].updated_at))
        for external_id in oldest[: len(given) + 1]:
            kept[external_id].updated_at = self._tick()

    # --- told

    async def _write(self, request: Request) -> Item:
        name = request.url.path.strip("/")
        items = (await request.json())["items"]
        if len(items) > _MOST_ITEMS:
            raise _Refused(422, f"{_MOST_ITEMS} items are the limit.")
        write = {"products": self._write_product, "stock": self._write_stock, "shipments": self._ship}[name]
        results = []
        for item in items:
            is_repeat = item["operation_key"] in self._done
            result = write(item)
            if result["outcome"] == "ok":
                self._done.setdefault(item["operation_key"], result["id"])
            has_changed = result["outcome"] == "ok" and not result.pop("is_old", False)
            is_refused = result["outcome"] not in ("ok", "unchanged")
            self.writes.append(RemoteWrite(name, result.get("id"), item, has_changed, is_refused, is_repeat))
            results.append(result)
        return {"results": results}

    def _write_product(self, item: Item) -> Item:
        if known := self._done.get(item["operation_key"]):
            return self._product_result("ok", known, item) | {"is_old": True}
        if item["id"] is not None and item["id"] not in self.kept["products"]:
            return _person(f"There is no product {item['id']}.")
        body = self.kept["products"][item["id"]].body if item["id"] else {"fields": {}, "variants": {}}
        taken = {
            fields.get("sku")
            for record in self.kept["products"].values()
            for fields in record.body["variants"].values()
        }
        for variant in item["variants"]:
            if variant["id"] is None and variant["sku"] in taken:
                return _person(f"The SKU {variant['sku']} is taken.")
            if variant["id"] is not None and variant["id"] not in body["variants"]:
                return _person(f"There is no variant {variant['id']}.")
        pairs = [(item, body["fields"]), *((each, body["variants"].get(each["id"], {})) for each in item["variants"])]
        if any(_is_stale(each, now) for each, now in pairs):
            return {
                "outcome": "stale",
                "id": item["id"],
                "fields": {name: body["fields"].get(name) for name in item["set"]},
            }
        if item["id"] and all(now.get(name) == value for each, now in pairs for name, value in each["set"].items()):
            return self._nothing_to_do("products", item["id"], self._product_result("unchanged", item["id"], item))
        return self._apply_product(item)

    def _apply_product(self, item: Item) -> Item:
        external_id = item["id"] or self._new_id()
        if item["id"] is None:
            self.kept["products"][external_id] = _Kept({"fields": {}, "variants": {}}, self._tick())
        record = self.kept["products"][external_id]
        record.body["fields"].update(plain(item["set"]))
        if self.shortens is not None and "title" in item["set"]:
            record.body["fields"]["title"] = item["set"]["title"][: self.shortens]
        for variant in item["variants"]:
            if variant["id"] is None:
                record.body["variants"][self._new_id()] = {"sku": variant["sku"], **plain(variant["set"])}
                for place in self.places:
                    self.put_stock(variant["sku"], place["id"], 0)
            else:
                record.body["variants"][variant["id"]].update(plain(variant["set"]))
        record.updated_at = self._tick()
        return self._product_result("ok", external_id, item)

    async def _take_image(self, request: Request) -> Item:
        external_id, url = request.path_params["id"], request.path_params["url"]
        if self.keeps_images:
            raise _Refused(405, "Pictures stay.")
        record = self.kept["products"].get(external_id)
        there = record.body["fields"].get("images", []) if record else []
        left = [image for image in there if image["url"] != url]
        if record is None or len(left) == len(there):
            raise _Refused(404, "There is no such picture.")
        record.body["fields"]["images"] = left
        record.updated_at = self._tick()
        self.writes.append(RemoteWrite("images", external_id, url, True))
        return {}

    async def _picture(self, request: Request) -> Response:
        """The bytes of a picture, the same for names that begin alike: `a.png` and `a-again.png`."""
        self.pictures_read.append(request.path_params["name"])
        return Response(request.path_params["name"].partition(".")[0].partition("-")[0], media_type="image/png")

    def _product_result(self, outcome: str, external_id: str, item: Item) -> Item:
        """As the record is now: variants that were made are found by their SKUs."""
        body = self.kept["products"][external_id].body
        by_sku = {fields.get("sku"): each for each, fields in body["variants"].items()}
        variants = []
        for variant in item["variants"]:
            variant_id = variant["id"] or by_sku[variant["sku"]]
            now = body["variants"][variant_id]
            variants.append({"id": variant_id, "fields": {name: now.get(name) for name in variant["set"]}})
        fields = {name: body["fields"].get(name) for name in item["set"]}
        return {"outcome": outcome, "id": external_id, "fields": fields, "variants": variants}

    def _write_stock(self, item: Item) -> Item:
        record = self.kept["stock"].get(item["id"])
        if record is None:
            return _person(f"There is no stock level {item['id']}.")
        now = record.body["quantity"]
        result = {"outcome": "ok", "id": item["id"], "fields": {"quantity": now}}
        if item["operation_key"] in self._done:
            return result | {"is_old": True}
        if now == item["quantity"]:
            return self._nothing_to_do("stock", item["id"], result | {"outcome": "unchanged"})
        if item["expected"] is not None and now != item["expected"]:
            return result | {"outcome": "stale"}
        self._set_stock(item["id"], record.body["sku"], record.body["location"], item["quantity"])
        return {"outcome": "ok", "id": item["id"]}

    def _set_stock(self, external_id: str, sku: str, location: str, quantity: int) -> None:
        before = self.kept["stock"].get(external_id)
        moment = before.updated_at if before and self.silent_stock else self._tick()
        self.kept["stock"][external_id] = _Kept({"sku": sku, "location": location, "quantity": quantity}, moment)

    def _ship(self, item: Item) -> Item:
        if known := self._done.get(item["operation_key"]):
            return {"outcome": "ok", "id": known, "is_old": True}
        order = self.kept["orders"].get(item["order_id"])
        if order is None:
            return _person(f"There is no order {item['order_id']}.")
        sent = self._shipments.setdefault(item["order_id"], [])
        left = _sum((line["sku"], line["quantity"]) for line in order.body["lines"])
        for shipment in sent:
            for sku, quantity in shipment["lines"]:
                left[sku] -= quantity
        for sku, quantity in _sum((line["sku"], line["quantity"]) for line in item["lines"]).items():
            if quantity > left.get(sku, 0):
                return _person(f"Only {left.get(sku, 0)} of {sku} are still to be sent.")
        lines = [(line["sku"], line["quantity"]) for line in item["lines"]]
        told = {name: item[name] for name in ("carrier", "tracking_numbers", "tracking_url")}
        sent.append({"lines": lines, **told})
        order.updated_at = self._tick()
        return {"outcome": "ok", "id": self._new_id()}

    def _nothing_to_do(self, name: str, external_id: str, result: Item) -> Item:
        if not self.touchy:
            return result
        self.kept[name][external_id].updated_at = self._tick()
        return result | {"outcome": "ok", "is_old": True}

    def _tick(self) -> datetime:
        """Now, and later than ever before."""
        self._last_tick = max(clock.now(), self._last_tick + timedelta(microseconds=1))
        return self._last_tick

    def _new_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"type": "about:blank", "status": status, "title": "Refused", "detail": detail})
    return Response(body, status, headers, "application/problem+json")


def _throttled() -> Response:
    return problem(429, "Too much at once.", {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _away() -> Response:
    return problem(503, "The shop is being mended.")


def _expired() -> Response:
    return problem(401, "The token has expired.")


def _person(message: str) -> Item:
    return {"outcome": "person", "message": message}


def _is_stale(item: Item, now: Item) -> bool:
    """Whether a field that is expected to be something is neither that nor what it is to be."""
    return any(
        name in item["set"] and now.get(name) != value and now.get(name) != item["set"][name]
        for name, value in item["expected"].items()
    )


def _sum(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for sku, quantity in lines:
        total[sku] = total.get(sku, 0) + quantity
    return total


def _signature(signed: bytes) -> str:
    key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise _Refused(400, f"'{text}' is not a time.") from None


def _cursor(key: tuple[datetime, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([key[0].isoformat(), key[1]]).encode()).decode()


def _key(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        moment, external_id = json.loads(base64.urlsafe_b64decode(cursor))
        return datetime.fromisoformat(moment), external_id
    except (ValueError, binascii.Error):
        raise _Refused(400, "'after' is none of ours.") from None
