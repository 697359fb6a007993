"""What real shops have answered, given to the adapter as the answer to its own request (SYN-1, SYN-11).

Recordings were made with other selections than ours; what they leave out is filled in from a plain record, so that each
is read by the very code that reads the shop's answers.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from services.sync.errors import CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.base import Account, ProductWrite, Scan, ShipmentWrite, StockWrite, VariantWrite
from services.sync.platforms.shopify import orders
from services.sync.platforms.shopify.client import Client
from services.sync.platforms.shopify.images import Images
from services.sync.platforms.shopify.platform import ShopifySession
from services.sync.platforms.shopify.queries import Document
from shared.contracts.orders.imported import RemoteOrder
from shared.outgoing import Answer
from tests.platforms.conftest import Purse
from tests.platforms.shopify.recordings import Exchange, exchanges, needs_data

pytestmark = [pytest.mark.feature("SYN-1", "SYN-11"), needs_data]
JsonObject = dict[str, Any]
LATER = ("IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")


class Told:
    """An `Http` whose answers are told beforehand by the name of the operation, each as it is or by its variables."""

    def __init__(self, **answers: Any) -> None:
        self.budget = Purse()
        self.answers = {"Shop": {"shop": {"currencyCode": "CAD"}}} | answers
        self.asked: list[str] = []

    async def send(self, method: str, path: str, *, content: bytes = b"", **_: Any) -> Answer:
        asked = orjson.loads(content)
        name = asked["operationName"]
        self.asked.append(name)
        found = self.answers[name]
        data = found(asked["variables"]) if callable(found) else found
        body = data if isinstance(data, dict) and ("errors" in data or "data" in data) else {"data": data}
        return Answer(200, {}, orjson.dumps(body))


def session(http: Told) -> ShopifySession:
    return ShopifySession(Account({}, {"access_token": "x"}), http)  # type: ignore[arg-type]


def of(*roots: str) -> list[Exchange]:
    found = [each for each in exchanges() if each.root in roots and isinstance(each.payload, dict)]
    assert found, f"nothing of {roots} was recorded"
    return found


def said(exchange: Exchange) -> list[JsonObject]:
    return list(exchange.payload.get("userErrors") or ())


def variant_node(gid: str) -> JsonObject:
    return {
        "id": gid,
        "sku": "",
        "barcode": None,
        "price": "0.00",
        "compareAtPrice": None,
        "taxable": True,
        "updatedAt": "2026-11-01T00:00:00Z",
        "selectedOptions": [{"name": "Title", "value": "Default Title"}],
        "inventoryItem": {
            "id": "gid://shopify/InventoryItem/1",
            "sku": "",
            "requiresShipping": True,
            "measurement": None,
        },
    }


def product_node(gid: str, variants: Sequence[str] = ()) -> JsonObject:
    return {
        "id": gid,
        "handle": "plain",
        "title": "Plain",
        "descriptionHtml": "",
        "vendor": "",
        "productType": "",
        "status": "DRAFT",
        "tags": [],
        "updatedAt": "2026-11-01T00:00:00Z",
        "hasOnlyDefaultVariant": False,
        "seo": {"title": None, "description": None},
        "options": [],
        "variantsCount": {"count": len(variants)},
        "mediaCount": {"count": 0},
        "variants": listed([variant_node(each) for each in variants]),
        "media": listed([]),
        "collections": listed([]),
    }


def listed(nodes: Sequence[JsonObject]) -> JsonObject:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": False, "endCursor": None}}


def filled(plain: JsonObject, recorded: Mapping[str, Any] | None) -> JsonObject:
    """A plain record with what was recorded, as far as it has the same shape."""
    result = dict(plain)
    for name, value in (recorded or {}).items():
        if name not in plain:
            continue
        if isinstance(plain[name], dict) and "pageInfo" in plain[name]:
            nodes = value.get("nodes") or [edge["node"] for edge in value.get("edges") or ()]
            shape: Callable[[str], JsonObject] | None = variant_node if name == "variants" else None
            if shape is not None:
                result[name] = listed([filled(shape(each["id"]), each) for each in nodes if "id" in each])
        elif isinstance(plain[name], dict) and isinstance(value, dict):
            result[name] = filled(plain[name], value) if plain[name] else value
        elif value is not None or plain[name] is None:
            result[name] = value
    return result


# --- errors above all


@pytest.mark.parametrize("exchange", [each for each in exchanges() if not each.root], ids=lambda each: each.file[-40:])
async def test_top_level_errors_are_raised_by_their_code(exchange: Exchange) -> None:
    codes = {(error.get("extensions") or {}).get("code") for error in exchange.body["errors"]}
    expected: type[Exception] = PlatformRefused
    if "ACCESS_DENIED" in codes:
        expected = CredentialsRefused
    elif codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT", "THROTTLED"}:
        expected = PlatformAway
    with pytest.raises(expected) as raised:
        await Client(Told(Any=exchange.body), {"access_token": "x"}).ask(Document("Any", "query Any { x }"))  # type: ignore[arg-type]
    assert str(exchange.body["errors"][0]["message"])[:200] in str(raised.value)


async def test_costs_are_learned_as_recorded() -> None:
    """SYN-12: what is left, how fast it comes back and how much there can be are what the shop says."""
    seen = 0
    for exchange in exchanges():
        cost = (exchange.body.get("extensions") or {}).get("cost") or {}
        status = cost.get("throttleStatus")
        if exchange.root and status:
            http = Told(Any=exchange.body)
            await Client(http, {"access_token": "x"}).ask(Document("Any", "query Any { x }"))  # type: ignore[arg-type]
            known = (status["currentlyAvailable"], status["restoreRate"], status["maximumAvailable"])
            assert http.budget.learned == [known]
            seen += 1
    assert seen > 500


# --- products


async def test_product_updates() -> None:
    outcomes: Counter[str] = Counter()
    for exchange in of("productUpdate"):
        gid = "gid://shopify/Product/1"
        errors, answered = said(exchange), exchange.payload.get("product")
        payload = {"product": answered and filled(product_node(gid), {**answered, "id": gid}), "userErrors": errors}
        http = Told(
            ProductsPlain={"shop": {"currencyCode": "CAD"}, "nodes": [product_node(gid)]},
            UpdateProduct={"productUpdate": payload},
        )
        written = (await session(http).write_products([ProductWrite("k", "1", {"title": "Other"})]))[0]
        outcomes[written.outcome] += 1
        if errors:
            assert (written.outcome, errors[0]["message"] in str(written.message)) == ("person", True)
        else:
            assert written.outcome == ("ok" if answered else "person")
            assert not answered or written.fields["title"] == payload["product"]["title"]
    assert outcomes["ok"] > 10
    assert outcomes["person"] > 10


async def test_products_made() -> None:
    outcomes: Counter[str] = Counter()
    for exchange in of("productSet"):
        errors, answered = said(exchange), exchange.payload.get("product")
        gid = (answered or {}).get("id") or "gid://shopify/Product/1"
        payload = {"product": answered and filled(product_node(gid), answered), "userErrors": errors}
        http = Told(
            FindMade={"shop": {"currencyCode": "CAD"}, "productByIdentifier": None},
            CreateProduct={"productSet": payload},
        )
        written = (await session(http).write_products([ProductWrite("k", None, {"title": "Made"})]))[0]
        if "'abc'" in str(answered):
            assert (written.outcome, "abc" in str(written.message)) == ("retry", True), "the emulator keeps such prices"
            continue
        outcomes[written.outcome] += 1
        assert written.outcome == ("ok" if answered and not errors else "person")
        if errors:
            assert errors[0]["message"] in str(written.message)
        is_taken = any("already in use" in error["message"] for error in errors)
        assert http.asked.count("FindMade") == (2 if is_taken else 1), "a handle that is taken is looked up again"
    assert outcomes["ok"] > 5
    assert outcomes["person"] > 5


async def test_variant_updates() -> None:
    """An error is that of the variant whose place it names, and of all where it names none."""
    outcomes: Counter[str] = Counter()
    for exchange in of("productVariantsBulkUpdate"):
        errors = said(exchange)
        asked = [each for each in exchange.variables.get("variants") or () if isinstance(each, dict)]
        ids = [each.get("id") or f"gid://shopify/ProductVariant/{place}" for place, each in enumerate(asked)]
        if not ids or len(set(ids)) < len(ids):
            continue
        answered = [each for each in exchange.payload.get("productVariants") or () if each and "id" in each]
        nodes = [filled(variant_node(each["id"]), each) for each in answered]
        http = Told(
            VariantsById={"shop": {"currencyCode": "CAD"}, "nodes": [variant_node(each) for each in ids]},
            UpdateVariants={"productVariantsBulkUpdate": {"productVariants": nodes, "userErrors": errors}},
        )
        writes = [VariantWrite(each.rpartition("/")[2], "", {"barcode": "other"}) for each in ids]
        written = (await session(http).write_products([ProductWrite("k", "1", {}, {}, writes)]))[0]
        by_place = {int(part) for error in errors for part in error["field"] or () if str(part).isdigit()}
        is_general = any(not any(str(part).isdigit() for part in error["field"] or ()) for error in errors)
        for place, part in enumerate(written.parts):
            outcomes[part.outcome] += 1
            assert part.outcome == ("person" if is_general or place in by_place else "ok")
    assert outcomes["ok"] > 10
    assert outcomes["person"] > 5


async def test_variants_made() -> None:
    outcomes: Counter[str] = Counter()
    for exchange in of("productVariantsBulkCreate"):
        errors = said(exchange)
        answered = [each for each in exchange.payload.get("productVariants") or () if each and "id" in each]
        asked = exchange.variables.get("variants") or ()
        count = len(answered) or len(asked)
        if not count:
            continue
        made = [filled(variant_node(each["id"]), each) for each in answered]

        def answer(
            variables: JsonObject, errors: list[JsonObject] = errors, made: list[JsonObject] = made
        ) -> JsonObject:
            is_first = len(variables["variants"]) == count  # noqa: B023
            others = [variant_node(f"gid://shopify/ProductVariant/{n}") for n, _ in enumerate(variables["variants"])]
            nodes = made if is_first else others
            return {"productVariantsBulkCreate": {"productVariants": nodes, "userErrors": errors if is_first else []}}

        http = Told(
            ProductsById={"shop": {"currencyCode": "CAD"}, "nodes": [product_node("gid://shopify/Product/1")]},
            CreateVariants=answer,
        )
        writes = [VariantWrite(None, f"S-{n}", {"options": {"Size": f"{n}"}}) for n in range(count)]
        written = (await session(http).write_products([ProductWrite("k", "1", {}, {}, writes)]))[0]
        outcomes.update(part.outcome for part in written.parts)
        if not errors:
            assert [part.external_id for part in written.parts] == [each["id"].rpartition("/")[2] for each in made]
        assert any(part.outcome == "person" for part in written.parts) == bool(errors)
    assert outcomes["ok"] > 10
    assert outcomes["person"] > 3


async def test_tags() -> None:
    seen = 0
    for root, document in (("tagsAdd", "AddTags"), ("tagsRemove", "TakeTags")):
        for exchange in of(root):
            errors, node = said(exchange), exchange.payload.get("node")
            answered = node and {"id": node["id"], "tags": node.get("tags") or ["x"]}
            start = product_node("gid://shopify/Product/1") | {"tags": ["before"]}
            http = Told(
                ProductsPlain={"shop": {"currencyCode": "CAD"}, "nodes": [start]},
                **{document: {root: {"node": answered, "userErrors": errors}}},
            )
            wanted = {"tags": ["before", "new"]} if root == "tagsAdd" else {"tags": []}
            written = (await session(http).write_products([ProductWrite("k", "1", wanted, {"tags": ["before"]})]))[0]
            assert written.outcome == ("ok" if answered and not errors else "person")
            seen += 1
    assert seen > 10


# --- stock


async def test_stock_levels_set() -> None:
    outcomes: Counter[str] = Counter()
    for exchange in of("inventorySetQuantities"):
        quantities = (exchange.variables.get("input") or {}).get("quantities") or ()
        if (
            not all(isinstance(each, dict) for each in quantities)
            or not quantities
            or len({each["inventoryItemId"] for each in quantities}) < len(quantities)
        ):
            continue
        errors, group = said(exchange), exchange.payload.get("inventoryAdjustmentGroup")
        known = (group or {}).get("changes") or []
        usable = all("item" in each and "location" in each and "delta" in each for each in known)
        if not usable:
            continue
        rest = {"inventorySetQuantities": {"inventoryAdjustmentGroup": {"changes": []}, "userErrors": []}}
        first = {
            "inventorySetQuantities": {"inventoryAdjustmentGroup": group and {"changes": known}, "userErrors": errors}
        }
        http = Told(
            SetQuantities=lambda variables, n=len(quantities), first=first, rest=rest: (
                first if len(variables["input"]["quantities"]) == n else rest
            )
        )
        writes = [
            StockWrite(
                f"k{place}",
                "level",
                "SKU",
                each["locationId"],
                each["quantity"],
                each.get("changeFromQuantity"),
                {"inventory_item": each["inventoryItemId"]},
            )
            for place, each in enumerate(quantities)
        ]
        written = await session(http).write_stock(writes)
        moved = {(each["item"]["id"], each["location"]["id"]) for each in known if each["delta"]}
        by_place = {int(part) for error in errors for part in error["field"] or () if str(part).isdigit()}
        is_general = any(not any(str(part).isdigit() for part in error["field"] or ()) for error in errors)
        for place, (write, answer) in enumerate(zip(writes, written, strict=True)):
            outcomes[answer.outcome] += 1
            if is_general or place in by_place:
                assert answer.outcome == "person", errors
            elif errors:
                assert answer.outcome == "unchanged"
            else:
                key = (write.references["inventory_item"], write.location)
                assert answer.outcome == ("ok" if key in moved else "unchanged")
    assert outcomes["ok"] > 5
    assert outcomes["person"] > 5


async def test_items_stocked_in_a_place() -> None:
    """A place that does not stock the item yet is told to; what it says then is what is set, or goes to a person."""
    seen: Counter[str] = Counter()
    for exchange in of("inventoryActivate"):
        errors, level = said(exchange), exchange.payload.get("inventoryLevel")
        unstocked = {"field": ["input", "quantities", "0"], "message": "The item is not stocked at the location."}
        tries: list[Any] = []

        def set_quantities(
            variables: JsonObject, tries: list[Any] = tries, unstocked: JsonObject = unstocked
        ) -> JsonObject:
            tries.append(variables["input"]["quantities"][0]["changeFromQuantity"])
            errors = [unstocked | {"code": "ITEM_NOT_STOCKED_AT_LOCATION"}] if len(tries) == 1 else []
            changes = [
                {
                    "delta": 1,
                    "item": {"id": "gid://shopify/InventoryItem/1"},
                    "location": {"id": "gid://shopify/Location/1"},
                }
            ]
            group = None if errors else {"changes": changes}
            return {"inventorySetQuantities": {"inventoryAdjustmentGroup": group, "userErrors": errors}}

        whole = {
            "id": "gid://shopify/InventoryLevel/1?inventory_item_id=1",
            "updatedAt": "2026-11-01T00:00:00Z",
            "isActive": True,
            "location": {"id": "gid://shopify/Location/1"},
            "item": {"id": "gid://shopify/InventoryItem/1", "sku": "S", "tracked": True},
            "quantities": [{"name": "available", "quantity": 0}],
        }
        http = Told(
            SetQuantities=set_quantities,
            Activate={"inventoryActivate": {"inventoryLevel": level and filled(whole, level), "userErrors": errors}},
        )
        write = StockWrite("k", "x", "S", "1", 7, None, {"inventory_item": "1"})
        written = (await session(http).write_stock([write]))[0]
        seen[written.outcome] += 1
        assert written.outcome == ("ok" if level and not errors else "person")
        if written.outcome == "ok":
            counted = [each["quantity"] for each in level.get("quantities") or () if each["name"] == "available"]
            assert tries[1] == (counted or [0])[0]
    assert seen["ok"] > 5
    assert seen["person"] > 2


# --- shipments


async def test_fulfilments() -> None:
    seen: Counter[str] = Counter()
    nothing = {"order": {"id": "gid://shopify/Order/1", "fulfillments": []}}
    line = {"id": "gid://shopify/FulfillmentOrderLineItem/1", "remainingQuantity": 1}
    to_ship = {
        "id": "gid://shopify/FulfillmentOrder/1",
        "status": "OPEN",
        "assignedLocation": {"location": {"id": "gid://shopify/Location/1"}},
        "lineItems": {"nodes": [{**line, "lineItem": {"id": "gid://shopify/LineItem/1", "sku": "S"}}]},
    }
    for exchange in of("fulfillmentCreate"):
        errors, made = said(exchange), exchange.payload.get("fulfillment")
        http = Told(
            Shipped=nothing,
            ToShip={"order": {"id": "gid://shopify/Order/1", "fulfillmentOrders": listed([to_ship])}},
            Ship={"fulfillmentCreate": {"fulfillment": made, "userErrors": errors}},
        )
        written = (await session(http).confirm_shipments([ShipmentWrite("k", "1", [("S", 1)], "DHL", ["1"], None)]))[0]
        seen[written.outcome] += 1
        if errors:
            assert (written.outcome, written.message) == ("person", errors[0]["message"])
        else:
            assert (written.outcome, written.external_id) == ("ok", made["id"].rpartition("/")[2])
    assert seen["ok"] > 10
    assert seen["person"] > 5


# --- pictures


async def test_files_updated() -> None:
    seen: Counter[str] = Counter()
    for exchange in of("fileUpdate"):
        errors = said(exchange)
        payload = {"files": exchange.payload.get("files") or [], "userErrors": errors}
        images = Images(Client(Told(UpdateFiles={"fileUpdate": payload}), {"access_token": "x"}))  # type: ignore[arg-type]
        if not errors:
            await images._update({"id": "x"})
            seen["ok"] += 1
            continue
        is_later = any(error.get("code") == "NON_READY_STATE" for error in errors)
        with pytest.raises(PlatformAway if is_later else PlatformRefused) as raised:
            await images._update({"id": "x"})
        assert errors[0]["message"] in raised.value.detail
        seen["later" if is_later else "person"] += 1
    assert all(seen[each] > 3 for each in ("ok", "later", "person"))


# --- bulk operations


async def test_bulk_operations_started() -> None:
    seen: Counter[str] = Counter()
    for exchange in of("bulkOperationRunQuery"):
        errors, operation = said(exchange), exchange.payload.get("bulkOperation")
        plain = {"id": "", "status": "RUNNING", "errorCode": None, "createdAt": "", "rootObjectCount": "0"}
        whole = filled({**plain, "fileSize": None, "url": None}, operation)
        http = Told(
            RunBulk={"bulkOperationRunQuery": {"bulkOperation": operation and whole, "userErrors": errors}},
            Bulk={"bulkOperation": whole},
            RunningBulks={"bulkOperations": {"nodes": []}},
            Products={"shop": {"currencyCode": "CAD"}, "products": listed([])},
        )
        codes = {error.get("code") for error in errors}
        if "OPERATION_IN_PROGRESS" in codes:
            page = await session(http).page(Scan("product"))
            assert "Products" in http.asked, "others are in the way: the scan goes by pages"
            assert page.resume is None
            seen["in the way"] += 1
        elif errors:
            with pytest.raises(PlatformRefused):
                await session(http).page(Scan("product"))
            seen["refused"] += 1
        else:
            page = await session(http).page(Scan("product"))
            assert page.resume is not None
            assert whole["id"] in page.resume
            seen["started"] += 1
    assert all(seen[each] for each in ("in the way", "refused", "started"))


async def test_bulk_operations_looked_at() -> None:
    """Running is waited for, cancelled or failed is gone on without, and only completed is read."""
    seen: Counter[str] = Counter()
    for exchange in [*of("bulkOperation"), *of("bulkOperationCancel")]:
        operation = exchange.payload.get("bulkOperation", exchange.payload)
        if not operation or "status" not in operation:
            continue
        plain = {"id": "", "status": "", "errorCode": None, "createdAt": "", "rootObjectCount": "0", "fileSize": None}
        http = Told(
            Bulk={"bulkOperation": filled({**plain, "url": None}, operation) | {"url": None}},
            Products={"shop": {"currencyCode": "CAD"}, "products": listed([])},
        )
        scanner = session(http)._scanner
        await scanner._from_bulk(Scan("product"), {"op": operation["id"], "at": 0}, patience_seconds=0)
        is_lost = operation["status"] in ("CANCELED", "CANCELING", "FAILED", "EXPIRED")
        assert ("Products" in http.asked) == is_lost, operation["status"]
        seen[operation["status"]] += 1
    assert seen["CANCELING"] + seen["CANCELED"] > 0


# --- reading


async def test_products_read() -> None:
    seen = 0
    for exchange in of("products", "product"):
        payload = exchange.payload
        nodes = payload.get("nodes") or [edge["node"] for edge in payload.get("edges") or ()] or [payload]
        for node in nodes:
            if not isinstance(node.get("id"), str):
                continue
            whole = filled(product_node(node["id"]), node)
            http = Told(ProductsById={"shop": {"currencyCode": "CAD"}, "nodes": [whole]})
            found = await session(http).read("product", ["1"])
            if "'abc'" in str(node):
                assert not found
                continue
            record = found[0]
            assert record.external_id == node["id"].rpartition("/")[2]
            for theirs, ours in (("title", "title"), ("handle", "handle"), ("vendor", "brand")):
                if isinstance(node.get(theirs), str):
                    assert record.fields[ours] == node[theirs]
            assert len(record.parts) == len(whole["variants"]["nodes"])
            seen += 1
    assert seen > 300


def test_orders_read() -> None:
    """Each recorded order is one that orders takes; those whose sums were recorded add up as Shopify says."""
    seen = added_up = 0
    for exchange in exchanges():
        payload = exchange.payload
        for node in _orders(payload):
            lines = node["lineItems"].get("nodes") or [edge["node"] for edge in node["lineItems"].get("edges") or ()]
            if not lines or not all("quantity" in line for line in lines):
                continue
            whole = _order(node, lines)
            taken = RemoteOrder.model_validate(orders.order(whole).fields)
            assert len(taken.lines) == len([line for line in whole["lines"] if _quantity(whole, line)])
            seen += 1
            if all(name in node for name in ("currentTotalPriceSet", "currentTotalTaxSet", "currentTotalDiscountsSet")):
                assert _sum(taken) == taken.total.amount
                added_up += 1
    assert seen > 50
    assert added_up >= 5


def _orders(value: Any) -> list[JsonObject]:
    if isinstance(value, list):
        return [found for each in value for found in _orders(each)]
    if not isinstance(value, dict):
        return []
    is_order = str(value.get("id", "")).startswith("gid://shopify/Order/") and isinstance(value.get("lineItems"), dict)
    return [value] if is_order else [found for each in value.values() for found in _orders(each)]


def _order(node: JsonObject, lines: Sequence[JsonObject]) -> JsonObject:
    zero = {"shopMoney": {"amount": "0.0"}}
    total = node.get("currentTotalPriceSet") or node.get("totalPriceSet") or zero
    plain: JsonObject = {
        "name": "#1",
        "email": None,
        "phone": None,
        "test": False,
        "createdAt": "2026-11-01T00:00:00Z",
        "processedAt": None,
        "updatedAt": "2026-11-01T00:00:00Z",
        "cancelledAt": None,
        "currencyCode": "CAD",
        "taxesIncluded": False,
        "displayFinancialStatus": None,
        "displayFulfillmentStatus": "UNFULFILLED",
        "currentTotalPriceSet": total,
        "totalPriceSet": total,
        "currentTaxLines": [],
        "taxLines": [],
        "totalTipReceivedSet": zero,
        "shippingLine": None,
        "shippingAddress": None,
        "billingAddress": None,
    }
    for name in ("ShippingPriceSet", "TotalTaxSet"):
        plain[f"current{name}"] = plain[f"total{name.removeprefix('Total')}"] = zero
    plain["currentTotalDiscountsSet"] = plain["totalDiscountsSet"] = zero
    plain["currentShippingPriceSet"] = node.get("totalShippingPriceSet") or zero
    for name in ("DutiesSet", "AdditionalFeesSet"):
        plain[f"currentTotal{name}"] = plain[f"originalTotal{name}"] = None
    whole = {
        **plain,
        **{name: value for name, value in node.items() if name in plain and value is not None},
        "id": node["id"],
    }
    for name in ("taxLines", "currentTaxLines"):
        whole[name] = [each for each in whole[name] if "title" in each and "priceSet" in each]
    if isinstance(whole["shippingLine"], dict):
        whole["shippingLine"] = {"code": None, "title": "", **whole["shippingLine"]}
    return {**whole, "lines": [_line(each) for each in lines]}


def _line(node: JsonObject) -> JsonObject:
    allocations = [
        each
        for each in node.get("discountAllocations") or ()
        if (each.get("allocatedAmountSet") or {}).get("shopMoney") and "discountApplication" in each
    ]
    plain = {
        "id": "gid://shopify/LineItem/1",
        "title": "",
        "sku": None,
        "originalUnitPriceSet": {"shopMoney": {"amount": "0.0"}},
        "currentQuantity": node["quantity"],
    }
    known = {name: value for name, value in node.items() if name in plain and value is not None}
    return {**plain, **known, "quantity": node["quantity"], "discountAllocations": allocations}


def _quantity(order: JsonObject, line: JsonObject) -> int:
    is_current = any(each["currentQuantity"] > 0 for each in order["lines"])
    return int(line["currentQuantity"] if is_current else line["quantity"])


def _sum(order: RemoteOrder) -> int:
    goods = sum(line.unit_price.amount * line.quantity for line in order.lines)
    off = sum(discount.amount.amount for line in order.lines for discount in line.discounts)
    off += sum(discount.amount.amount for discount in order.discounts)
    added = sum(tax.amount.amount for tax in order.taxes if not tax.included)
    return goods - off + added + (order.shipping.price.amount if order.shipping else 0)
