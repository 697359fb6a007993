"""The doors of a WooCommerce site: its routes, and what each of them does."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.platforms import RemoteWrite
from tests.fakes.woocommerce_rest import Doorman, items_of, listing, no_route, refused, trimmed
from tests.fakes.woocommerce_saving import Refusal, Saving, check_types
from tests.fakes.woocommerce_words import CURRENCY

JsonObject = dict[str, Any]
PLUGIN = "wc-shipment-tracking/v3"
STATUSES = ("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "checkout-draft")
_ID = r"(\d+)"


class Doors(Saving):
    """A site as it is asked.

    `has_flat_variations`: since 10.3 they are all listed at once, before that product by product, and say less.
    `plugin`: the namespace of a plug-in for shipment tracking (`wc-shipment-tracking/v3`, or `wc/v3`). `has_brands`:
    versions before 9.6 have none. `keeps_totals`: a proxy takes `X-WP-Total` away. `hidden`: products that the key may
    not see, which are counted all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[RemoteWrite] = []
        self.requests: list[tuple[str, str, JsonObject, Any]] = []
        self.plugin: str | None = None
        self.has_brands, self.has_flat_variations, self.keeps_totals = True, True, False
        self.currency, self.weight_unit = CURRENCY, "kg"
        self.carriers: tuple[str, ...] = ("DHL", "UPS")
        self.hidden: set[int] = set()
        self.doorman = Doorman()
        self.orders: dict[int, JsonObject] = {}
        self.refunds: dict[int, list[JsonObject]] = {}
        self.notes: dict[int, list[JsonObject]] = {}
        self.trackings: dict[int, list[JsonObject]] = {}

    def variations_of(self, product_id: int) -> list[JsonObject]:
        return sorted((x for x in self.variations.values() if x["parent_id"] == product_id), key=lambda x: x["id"])

    async def rest(self, request: Request) -> Response:
        content = await request.body()
        try:
            body = json.loads(content) if content else None
            query = {name: value for name, value in request.query_params.items() if not name.startswith("oauth_")}
            path = str(request.path_params["path"])
            self.requests.append((request.method, path, query, deepcopy(body)))
            if path.strip("/"):
                self.doorman.check(request)
            answer = self._answer(request, path, body)
        except Refusal as refusal:
            answer = refused(refusal)
        except json.JSONDecodeError:
            answer = refused(Refusal(400, "rest_invalid_json", "Invalid JSON body passed."))
        if self.keeps_totals and "x-wp-total" in answer.headers:
            del answer.headers["x-wp-total"]
        return answer

    def _answer(self, request: Request, path: str, body: Any) -> Response:
        for method, pattern, handle in self._routes():
            matched = re.fullmatch(pattern, path.rstrip("/"))
            if matched and method == request.method:
                given = handle(request, body, *map(int, matched.groups()))
                return given if isinstance(given, Response) else JSONResponse(given)
        raise no_route()

    def _routes(self) -> list[tuple[str, str, Callable[..., Any]]]:
        v3 = "/wc/v3"
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "", self._site),
            ("GET", f"{v3}/settings/general", self._general),
            ("GET", f"{v3}/settings/products", self._product_settings),
            ("GET", f"{v3}/reports/orders/totals", self._order_totals),
            ("GET", f"{v3}/products", self._list_products),
            ("POST", f"{v3}/products", self._create_product),
            ("POST", f"{v3}/products/batch", self._batch_products),
            ("GET", f"{v3}/products/{_ID}", self._get_product),
            ("PUT", f"{v3}/products/{_ID}", self._put_product),
            ("GET", f"{v3}/products/{_ID}/variations", self._list_variations),
            ("POST", f"{v3}/products/{_ID}/variations/batch", self._batch_variations),
            ("GET", f"{v3}/orders", lambda request, _: listing(request, self.orders.values())),
            ("GET", f"{v3}/orders/{_ID}", lambda request, _, id_: trimmed(request, self._order(id_))),
            ("PUT", f"{v3}/orders/{_ID}", self._put_order),
            ("GET", f"{v3}/orders/{_ID}/refunds", self._list_refunds),
            ("GET", f"{v3}/orders/{_ID}/notes", lambda _, __, id_: self.notes.get(self._order(id_)["id"], [])),
            ("POST", f"{v3}/orders/{_ID}/notes", self._create_note),
        ]
        if self.has_flat_variations:
            routes.append(("GET", f"{v3}/variations", lambda request, _: listing(request, self.variations.values())))
        for kind in ("categories", "tags", *(["brands"] if self.has_brands else [])):
            routes += [
                (
                    "GET",
                    f"{v3}/products/{kind}",
                    lambda request, _, kind=kind: listing(request, self.terms[kind].values()),
                ),
                ("POST", f"{v3}/products/{kind}", lambda _, body, kind=kind: self._made_term(kind, body)),
            ]
        if self.plugin:
            path = f"/{self.plugin}/orders/{_ID}/shipment-trackings"
            routes += [
                ("GET", path, lambda _, __, id_: self.trackings.get(self._order(id_)["id"], [])),
                ("POST", path, self._create_tracking),
            ]
        return routes

    def _site(self, request: Request, _: Any) -> JsonObject:
        names = ["oembed/1.0", "wc/v3", "wc/v2", "wp/v2", *([self.plugin] if self.plugin == PLUGIN else [])]
        site = {"name": "Shop on the quay", "url": "", "gmt_offset": "0", "timezone_string": "", "namespaces": names}
        return {name: site[name] for name in request.query_params.get("_fields", ",".join(site)).split(",")}

    def _general(self, _: Request, __: Any) -> list[JsonObject]:
        values = {"woocommerce_currency": self.currency, "woocommerce_price_num_decimals": "2"}
        return [{"id": name, "value": value} for name, value in values.items()]

    def _product_settings(self, _: Request, __: Any) -> list[JsonObject]:
        return [{"id": "woocommerce_weight_unit", "value": self.weight_unit}]

    def _order_totals(self, _: Request, __: Any) -> list[JsonObject]:
        return [{"slug": each} for each in STATUSES]

    # --- products

    def _list_products(self, request: Request, _: Any) -> JSONResponse:
        return listing(request, [self._seen(node, request) for node in self.products.values()], self.hidden)

    def _get_product(self, request: Request, _: Any, product_id: int) -> JsonObject:
        if product_id in self.variations:
            return trimmed(request, self.variations[product_id])
        return trimmed(request, self._seen(self._product(product_id), request))

    def _list_variations(self, request: Request, _: Any, product_id: int) -> JSONResponse:
        nodes = self.variations_of(product_id)
        if not self.has_flat_variations:
            nodes = [
                {name: value for name, value in node.items() if name not in ("type", "parent_id")} for node in nodes
            ]
        return listing(request, nodes)

    def _create_product(self, request: Request, body: JsonObject) -> JSONResponse:
        check_types(body)
        node = self.create_product(body)
        self._note("product", node, body, True)
        return JSONResponse(trimmed(request, self._edited(node)), 201)

    def _put_product(self, request: Request, body: JsonObject, product_id: int) -> JsonObject:
        check_types(body)
        return trimmed(request, self._edited(self._saved_product(product_id, body)))

    def _saved_product(self, product_id: Any, body: JsonObject) -> JsonObject:
        if product_id in self.variations:
            route = "/products/&lt;product_id&gt;/variations/&lt;id&gt;"
            message = f"To manipulate product variations you should use the {route} endpoint."
            raise Refusal(404, "woocommerce_rest_invalid_product_id", message)
        node = self.products.get(product_id)
        if node is None:
            raise Refusal(400, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        before = deepcopy(node)
        self.save_product(node, body)
        self._note("stock" if body.keys() <= {"id", "stock_quantity"} else "product", node, body, _differ(before, node))
        return node

    def _batch_products(self, request: Request, body: Any) -> Any:
        def update(item: JsonObject) -> JsonObject:
            return self._saved_product(item.get("id"), item)

        return self._batch(request, body, {"create": self._made, "update": update})

    def _made(self, item: JsonObject) -> JsonObject:
        node = self.create_product(item)
        self._note("product", node, item, True)
        return node

    def _batch_variations(self, request: Request, body: Any, product_id: int) -> Any:
        self._product(product_id)

        def update(item: JsonObject) -> JsonObject:
            node = self.variations.get(item.get("id") or 0)
            if node is None or node["parent_id"] != product_id:
                raise Refusal(404, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
            before = deepcopy(node)
            self.save_variation(node, item)
            kind = "stock" if item.keys() <= {"id", "stock_quantity"} else "variation"
            self._note(kind, node, item, _differ(before, node))
            return node

        def create(item: JsonObject) -> JsonObject:
            node = self.create_variation(product_id, item)
            self._note("variation", node, item, True)
            return node

        return self._batch(request, body, {"create": create, "update": update})

    def _batch(self, request: Request, body: Any, making: dict[str, Callable[[JsonObject], JsonObject]]) -> Any:
        """Every item answers for itself; trimmed by a name of the records, nothing is left of the answers."""
        kinds = items_of(body)
        if kinds is None:
            return []
        answers: dict[str, list[JsonObject]] = {}
        for kind, items in kinds.items():
            for item in items:
                try:
                    answer = trimmed(request, self._edited(making[kind](item)))
                except Refusal as refusal:
                    answer = {"id": item.get("id", 0 if kind == "create" else None), "error": refusal.body}
                answers.setdefault(kind, []).append(answer)
        return [] if "_fields" in request.query_params else answers

    def _product(self, product_id: int) -> JsonObject:
        if product_id not in self.products:
            raise Refusal(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        return self.products[product_id]

    def _seen(self, node: JsonObject, request: Request | None = None) -> JsonObject:
        """A product as it is given: with what hangs together with it, and in a view as a page would show its text."""
        seen = {**node, "variations": [each["id"] for each in self.variations_of(node["id"])]}
        if request is not None and request.query_params.get("context") != "edit" and node["description"]:
            seen["description"] = f"{node['description']}\n"
        return seen if self.has_brands else {name: value for name, value in seen.items() if name != "brands"}

    def _edited(self, node: JsonObject) -> JsonObject:
        """A record as it is answered after a write."""
        if node["type"] == "variation":
            return node
        return {**self._seen(node), "permalink_template": "", "generated_slug": node["slug"]}

    def _made_term(self, kind: str, body: JsonObject) -> JSONResponse:
        node = self.create_term(kind, body)
        self.writes.append(RemoteWrite("term", str(node["id"]), body, True))
        return JSONResponse(node, 201)

    # --- orders

    def _order(self, order_id: int) -> JsonObject:
        if order_id not in self.orders:
            raise Refusal(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return self.orders[order_id]

    def _put_order(self, request: Request, body: JsonObject, order_id: int) -> JsonObject:
        """Meta data and the same status again leave the clock."""
        node = self._order(order_id)
        before = deepcopy(node)
        self._save_meta(node, body.get("meta_data", ()))
        status = body.get("status", node["status"])
        if status not in (*STATUSES, node["status"]):
            message = f"status is not one of auto-draft, {', '.join(STATUSES)}."
            raise Refusal(400, "rest_invalid_param", "Invalid parameter(s): status", params={"status": message})
        if status != node["status"]:
            node["status"] = status
            node["date_modified"] = node["date_modified_gmt"] = self.now()
        self._note("order", node, body, _differ(before, node))
        return trimmed(request, node)

    def _list_refunds(self, request: Request, _: Any, order_id: int) -> JSONResponse:
        return listing(request, self.refunds.get(self._order(order_id)["id"], ()))

    def _create_note(self, _: Request, body: JsonObject, order_id: int) -> JSONResponse:
        self._order(order_id)
        note = {
            "id": self.new_id(),
            "author": "WooCommerce",
            "date_created": self.now(),
            "date_created_gmt": self.now(),
            "note": body["note"],
            "customer_note": body.get("customer_note", False),
        }
        self.notes.setdefault(order_id, []).append(note)
        self.writes.append(RemoteWrite("note", str(order_id), body, True))
        return JSONResponse(note, 201)

    def _create_tracking(self, _: Request, body: JsonObject, order_id: int) -> JSONResponse:
        """As the plug-in does: a carrier that it does not know has to be a custom one."""
        self._order(order_id)
        carrier = body.get("tracking_provider") or body.get("custom_tracking_provider") or ""
        if body.get("tracking_provider") and carrier not in self.carriers:
            message = "Invalid parameter(s): tracking_provider"
            raise Refusal(400, "rest_invalid_param", message, params={"tracking_provider": "Invalid parameter."})
        tracking = {
            "tracking_id": f"{self.new_id():032x}",
            "tracking_provider": carrier,
            "tracking_link": body.get("custom_tracking_link", ""),
            "tracking_number": body["tracking_number"],
            "date_shipped": self.now()[:10],
        }
        self.trackings.setdefault(order_id, []).append(tracking)
        self.writes.append(RemoteWrite("tracking", str(order_id), body, True))
        return JSONResponse(tracking, 201)

    def _note(self, kind: str, node: JsonObject, content: JsonObject, has_changed: bool) -> None:
        self.writes.append(RemoteWrite(kind, str(node["id"]), deepcopy(content), has_changed))


def _differ(before: JsonObject, after: JsonObject) -> bool:
    """Whether more than the clock is different."""
    clocks = ("date_modified", "date_modified_gmt")
    return any(before[name] != after[name] for name in after if name not in clocks)
