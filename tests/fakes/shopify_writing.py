"""What mutations do to a shop of Shopify's, and what it refuses."""

import json
import re
from collections.abc import Callable, Sequence

from tests.fakes.shop_server import plain
from tests.fakes.shopify_graphql import JsonObject, Refused
from tests.fakes.shopify_reading import Reading
from tests.fakes.shopify_state import Node, gid_of, short_id, wrong

_MONEY = re.compile(r"^\d+(\.\d+)?$")


class Writing(Reading):
    """Mutations, each by the name of its field."""

    def do_productSet(self, input: JsonObject, synchronous: bool) -> Node:
        if any(each["handle"] == input["handle"] for each in self.products.values()):
            message = f"Handle '{input['handle']}' already in use. Please provide a new handle."
            return self._refused("product", None, input, wrong(["input", "handle"], message, "HANDLE_NOT_UNIQUE"))
        if not str(input.get("title") or "").strip():
            return self._refused("product", None, input, wrong(["input", "title"], "Title can't be blank", "BLANK"))
        chosen = [options_of(each) for each in input["variants"]]
        if len({json.dumps(each, sort_keys=True) for each in chosen}) < len(chosen):
            message = "The variant already exists. Please change at least one option value."
            return self._refused("product", None, input, wrong(["input", "variants"], message, "INVALID_VARIANT"))
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
        node = self.products.get(short_id(product["id"]))
        if node is None:
            return self._refused("product", product["id"], product, wrong(["id"], "Product does not exist"))
        if "title" in product and not product["title"].strip():
            return self._refused("product", node["id"], product, wrong(["title"], "Title can't be blank"))
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
        node = self.products[short_id(id)]
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
        product = self.products.get(short_id(productId))
        if product is None:
            error = wrong(["productId"], "Product does not exist", "PRODUCT_DOES_NOT_EXIST")
            return self._refused("variant", productId, variants, error)
        errors, touched = [], []
        for place, given in enumerate(variants):
            variant = self.variants.get(short_id(given["id"]))
            error = _wrong_variant(given, place) if variant else _gone_variant(place)
            errors += [error] if error else []
            if variant is not None:
                touched.append(variant)
                if error is None:
                    self._change_variant(product, variant, given)
        return {"productVariants": [self._variant(each) for each in touched], "userErrors": errors}

    def do_productVariantsBulkCreate(self, productId: str, variants: Sequence[JsonObject], strategy: str) -> Node:
        product = self.products[short_id(productId)]
        there = [self.variants[each]["options"] for each in product["variants"]]
        errors = []
        for place, given in enumerate(variants):
            chosen = options_of(given)
            error = _wrong_variant(given, place)
            if chosen in there:
                message = f"The variant '{' / '.join(chosen.values())}' already exists."
                error = wrong(["variants", str(place)], message, "VARIANT_ALREADY_EXISTS")
            elif set(chosen) - set(product["options"]):
                error = wrong(["variants", str(place)], "Option does not exist", "OPTION_DOES_NOT_EXIST")
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
            variant["options"] = options_of(given)
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

    def do_stagedUploadsCreate(self, input: Sequence[JsonObject]) -> Node:
        key = self._new_id()
        url = f"{self.url}/staged/{key}"
        target = {"url": url, "resourceUrl": url, "parameters": [{"name": "key", "value": key}]}
        return {"stagedTargets": [target for _ in input], "userErrors": []}

    def do_fileCreate(self, files: Sequence[JsonObject]) -> Node:
        given = files[0]
        is_taken = any(each["name"] == given["filename"] for each in self.files.values())
        if is_taken and given["duplicateResolutionMode"] == "RAISE_ERROR":
            error = wrong(["files", "0", "filename"], "A file with this name already exists", "FILENAME_ALREADY_EXISTS")
            return self._refused("image", None, given, error)
        key = self._put_file(f"{self.url}/cdn/files/{given['filename']}?v=1", given.get("alt", ""), given["filename"])
        body = self.staged[short_id(given["originalSource"])]
        self.files[key].update(status="UPLOADED" if b"\x89PNG" in body else "FAILED", polls=self.image_polls)
        self._note("image", key, given["filename"], has_changed=True)
        return {"files": [self._file_view(self.files[key])], "userErrors": []}

    def do_fileUpdate(self, files: Sequence[JsonObject]) -> Node:
        given = files[0]
        node = self.files[short_id(given["id"])]
        if node["status"] != "READY":
            return self._refused("image", node["id"], given, wrong(["files"], "Non-ready files can't be updated"))
        before = [node["alt"], *(node["id"] in each["media"] for each in self.products.values())]
        node["alt"] = given.get("alt", node["alt"])
        for each in given.get("referencesToAdd", ()):
            media = self.products[short_id(each)]["media"]
            media += [] if node["id"] in media else [node["id"]]
        for each in given.get("referencesToRemove", ()):
            self.products[short_id(each)]["media"].remove(node["id"])
        after = [node["alt"], *(node["id"] in each["media"] for each in self.products.values())]
        self._note("image", node["id"], given, has_changed=before != after)
        return {"files": [self._file_view(node)], "userErrors": []}

    def do_productReorderMedia(self, id: str, moves: Sequence[JsonObject]) -> Node:
        product = self.products[short_id(id)]
        for move in moves:
            product["media"].remove(short_id(move["id"]))
            product["media"].insert(int(move["newPosition"]), short_id(move["id"]))
        return {"job": {"id": gid_of("Job", self._new_id())}, "mediaUserErrors": []}

    def do_inventorySetQuantities(self, input: JsonObject) -> Node:
        errors, changes = [], []
        for place, given in enumerate(input["quantities"]):
            key = (short_id(given["inventoryItemId"]), short_id(given["locationId"]))
            error = self._wrong_quantity(key, given, place)
            errors += [error] if error else []
        if errors:
            self._note("stock", None, input["quantities"], has_changed=False, is_refused=True)
            return {"inventoryAdjustmentGroup": None, "userErrors": errors}
        for given in input["quantities"]:
            key = (short_id(given["inventoryItemId"]), short_id(given["locationId"]))
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
            return wrong([*where, "inventoryItemId"], "The inventory item couldn't be found", "INVALID_INVENTORY_ITEM")
        if key[1] not in self.places:
            return wrong([*where, "locationId"], "The location couldn't be found", "INVALID_LOCATION")
        if key not in self.levels:
            message = "The specified inventory item is not stocked at the location."
            return wrong([*where, "locationId"], message, "ITEM_NOT_STOCKED_AT_LOCATION")
        if given["quantity"] < -1_000_000_000:
            return wrong([*where, "quantity"], "The quantity is too low", "INVALID_QUANTITY_TOO_LOW")
        expected = given.get("changeFromQuantity")
        if expected is not None and expected != self.levels[key]["quantity"]:
            message = "The changeFromQuantity argument no longer matches the persisted quantity."
            return wrong([*where, "changeFromQuantity"], message, "CHANGE_FROM_QUANTITY_STALE")
        return None

    def do_inventoryActivate(self, inventoryItemId: str, locationId: str) -> Node:
        key = (short_id(inventoryItemId), short_id(locationId))
        if key[1] not in self.places:
            return {"inventoryLevel": None, "userErrors": [wrong(["locationId"], "The location wasn't found.")]}
        if key not in self.levels:
            self._set_level(*key, 0)
        return {"inventoryLevel": self._level(self.levels[key]), "userErrors": []}

    def do_fulfillmentCreate(self, fulfillment: JsonObject) -> Node:
        chosen: list[tuple[Node, Node, int]] = []
        order_id, places = "", set()
        for group in fulfillment["lineItemsByFulfillmentOrder"]:
            order_id, node = self._fulfillment_order_of(group["fulfillmentOrderId"])
            places.add(node["place"])
            if node["status"] not in ("OPEN", "IN_PROGRESS"):
                message = f"Fulfillment order {node['id']} has an unfulfillable status= {node['status'].lower()}."
                return self._refused("shipment", order_id, fulfillment, wrong(["fulfillment"], message))
            for line in group["fulfillmentOrderLineItems"]:
                found = next(each for each in node["lines"] if each["id"] == line["id"])
                if not 0 < line["quantity"] <= found["remainingQuantity"]:
                    message = "Invalid fulfillment order line item quantity requested."
                    return self._refused("shipment", order_id, fulfillment, wrong(["fulfillment"], message))
                chosen.append((node, found, line["quantity"]))
        if len(places) > 1:
            message = "All fulfillment orders must be assigned to the same location."
            return self._refused("shipment", order_id, fulfillment, wrong(["fulfillment"], message))
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
                if node["id"] == short_id(gid):
                    return order_id, node
        raise Refused("invalid id", "RESOURCE_NOT_FOUND")


def _wrong_variant(given: JsonObject, place: int) -> Node | None:
    for name in ("price", "compareAtPrice"):
        value = given.get(name)
        if value is not None and not _MONEY.match(str(value)):
            message = f"{name.capitalize()} must be greater than or equal to 0"
            return wrong(["variants", str(place), name], message, "GREATER_THAN_OR_EQUAL_TO")
    return None


def _gone_variant(place: int) -> Node:
    message = "Product variant does not exist"
    return wrong(["variants", str(place), "id"], message, "PRODUCT_VARIANT_DOES_NOT_EXIST")


def options_of(given: JsonObject) -> dict[str, str]:
    chosen = {each["optionName"]: each["name"] for each in given.get("optionValues", ())}
    return {} if chosen == {"Title": "Default Title"} else chosen
