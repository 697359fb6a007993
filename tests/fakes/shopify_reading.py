"""What a shop of Shopify's answers to queries: its records as Shopify's schema has them."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from shared.money import exponent
from tests.fakes.shopify_graphql import JsonObject, connection
from tests.fakes.shopify_state import Node, State, gid_of, iso_time, short_id

_TERM = re.compile(r"(\w+):(>=|<=|>|<)?('[^']*'|\"(?:[^\"\\]|\\.)*\"|\S+)")


class Reading(State):
    """Queries, each by the name of its field."""

    def do_shop(self) -> Node:
        return {"name": "Skerry", "currencyCode": self.currency, "ianaTimezone": "Europe/London"}

    def do_currentAppInstallation(self) -> Node:
        return {"accessScopes": [{"handle": each} for each in self.scopes]}

    def do_locations(self, first: int, after: str | None = None) -> Node:
        nodes = [{"id": gid_of("Location", key), "name": name, "isActive": True} for key, name in self.places.items()]
        return connection(nodes, lambda node: (len(node["id"]), node["id"]), first, after)

    def do_location(self, id: str) -> Node | None:
        place = short_id(id)
        if place not in self.places:
            return None
        return {"inventoryLevels": lambda **given: self._levels(place, **given)}

    def _levels(self, place: str, first: int, after: str | None = None, query: str | None = None) -> Node:
        chosen = [self._level(each) for each in self.levels.values() if each["place"] == place]
        chosen = [each for each in chosen if matches(each, query)]
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

        chosen = sorted((node for node in nodes if matches(node, query)), key=key)
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
        return connection([node for node in nodes if matches(node, query)], by_id, first, None)

    def do_collections(self, first: int, query: str) -> Node:
        nodes = [{"id": gid_of("Collection", key), "title": title} for title, key in self.collections.items()]
        return connection([node for node in nodes if matches(node, query)], by_id, first, None)

    def do_files(self, first: int, query: str) -> Node:
        nodes = [] if self.search_lags else [self._file_view(each) for each in self.files.values()]
        return connection([node for node in nodes if matches(node, query)], by_id, first, None)

    def _product(self, node: Node) -> Node:
        variants = [self.variants[each] for each in node["variants"]]
        media = [self.files[each] for each in node["media"]]
        metafields = node["metafields"]
        return {
            **{name: node[name] for name in ("handle", "title", "descriptionHtml", "vendor", "productType", "status")},
            "__typename": "Product",
            "id": gid_of("Product", node["id"]),
            "tags": list(node["tags"]),
            "seo": node["seo"],
            "updatedAt": iso_time(node["updatedAt"]),
            "options": [{"name": each} for each in node["options"] or ["Title"]],
            "hasOnlyDefaultVariant": not node["options"],
            "variantsCount": {"count": len(variants)},
            "mediaCount": {"count": len(media)},
            "variants": lambda **given: self._own(variants, self._variant, **given),
            "media": lambda **given: self._own(media, self._file_view, **given),
            "collections": lambda **given: self._own(
                node["collections"],
                lambda title: {"id": gid_of("Collection", self.collections[title]), "title": title},
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
            "id": gid_of("ProductVariant", node["id"]),
            "sku": item["sku"],
            "updatedAt": iso_time(node["updatedAt"]),
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
            "id": gid_of("InventoryItem", node["id"]),
            "sku": node["sku"] or None,
            "tracked": node["tracked"],
            "requiresShipping": node["requires_shipping"],
            "measurement": {"weight": node["weight"]},
            "updatedAt": iso_time(node["updatedAt"]),
            "inventoryLevels": lambda **given: self._own(levels, self._level, **given),
        }

    def _level(self, node: Node) -> Node:
        item = self.items[node["item"]]
        return {
            "__typename": "InventoryLevel",
            "id": gid_of("InventoryLevel", f"{node['place']}?inventory_item_id={node['item']}"),
            "updatedAt": iso_time(node["updatedAt"]),
            "isActive": True,
            "location": {"id": gid_of("Location", node["place"])},
            "item": {"id": gid_of("InventoryItem", item["id"]), "sku": item["sku"] or None, "tracked": item["tracked"]},
            "quantities": lambda names: [{"name": name, "quantity": node["quantity"]} for name in names],
        }

    def _file_view(self, node: Node) -> Node:
        is_ready = node["status"] == "READY"
        return {
            "__typename": "MediaImage",
            "id": gid_of("MediaImage", node["id"]),
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
            "id": gid_of("Order", key),
            "updatedAt": iso_time(node["updatedAt"]),
            "lineItems": lambda **given: self._own(node["lines"], dict, **given),
            "fulfillmentOrders": lambda **given: self._own(self.fulfillment_orders[key], self._to_ship, **given),
            "fulfillments": lambda first: [self._fulfillment(each) for each in self.fulfillments[key][:first]],
        }

    def _to_ship(self, node: Node) -> Node:
        return {
            "id": gid_of("FulfillmentOrder", node["id"]),
            "status": node["status"],
            "assignedLocation": {"location": {"id": gid_of("Location", node["place"])}},
            "lineItems": lambda **given: self._own(node["lines"], dict, **given),
        }

    def _fulfillment(self, node: Node) -> Node:
        return {
            "id": gid_of("Fulfillment", node["id"]),
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


def matches(node: Node, query: str | None) -> bool:
    """Whether a record is found by Shopify's search, as far as it is used: terms with AND, or with OR."""
    if not query:
        return True
    terms = [_is_term(node, *term) for term in _TERM.findall(query)]
    return any(terms) if " OR " in query else all(terms)


def _is_term(node: Node, name: str, sign: str, value: str) -> bool:
    wanted = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value[0] in "'\"" else value
    has = node["updatedAt"] if name == "updated_at" else node.get(name) or ""
    if name == "id":
        mine, other = (len(short_id(has)), short_id(has)), (len(wanted), wanted)
        return mine > other if sign == ">" else mine == other
    if wanted.endswith("*"):
        return str(has).startswith(wanted[:-1])
    return {">=": has >= wanted, "<=": has <= wanted, ">": has > wanted, "<": has < wanted, "": has == wanted}[sign]


def by_id(node: Node) -> tuple[int, str]:
    return len(node["id"]), node["id"]
