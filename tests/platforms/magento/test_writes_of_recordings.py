"""What a real shop has answered to writes, given to the adapter as the answer to its own (SYN-1, SYN-11)."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.sync.errors import CredentialsRefused
from services.sync.platforms.base import Account, ProductWrite, ShipmentWrite, StockWrite, VariantWrite, Written
from services.sync.platforms.magento.platform import MagentoSession
from shared.outgoing import Answer
from tests.platforms.conftest import Purse
from tests.platforms.magento.recordings import DATA, Exchange, needs_data, of, one

pytestmark = [pytest.mark.feature("SYN-1", "SYN-11"), needs_data]
JsonObject = dict[str, Any]
MEANING = {200: "ok", 202: "ok", 400: "person", 404: "person", 500: "retry"}
OURS = {"name": "As it was", "price": 1, "status": 1, "weight": 1}


class Told:
    """An `Http` that gives the recorded answer to what is written, and reads what it is told."""

    def __init__(self, recorded: Exchange, **reads: Any) -> None:
        self.budget, self.ahead, self.recorded = Purse(), timedelta(), recorded
        self.reads = {
            "store/storeConfigs": one("02", 0).body,
            "inventory/sources": found(
                {"source_code": "default", "name": "One"}, {"source_code": "wh2", "name": "Two"}
            ),
            "categories/list": found(),
            "products/attribute-sets/4/attributes": [],
            "products": found(),
            "orders": found(),
            "inventory/stock-source-links": one("09", 2).body,
            "shipments": found(),
        } | {name.replace("__", "-").replace("_", "/"): body for name, body in reads.items()}
        self.written: list[Any] = []

    async def send(self, method: str, path: str, *, content: bytes | None = None, **_: Any) -> Answer:
        named = re.sub(r"^.*?/V1/", "", path).partition("?")[0]
        if method != "GET":
            self.written.append(orjson.loads(content or b"null"))
            return self.recorded.answer
        body = self.reads[named]
        return Answer(200, {}, orjson.dumps(body(self) if callable(body) else body))


def found(*items: JsonObject) -> JsonObject:
    return {"items": list(items), "total_count": len(items)}


def session(http: Told, **settings: Any) -> MagentoSession:
    account = Account({"url": "http://shop.example", **settings}, {"access_token": "x"})
    return MagentoSession(account, http)  # type: ignore[arg-type]


def entity(sku: str) -> JsonObject:
    custom = [{"attribute_code": "url_key", "value": "x"}]
    more = {
        "custom_attributes": custom,
        "type_id": "simple",
        "attribute_set_id": 4,
        "updated_at": "2026-11-22 04:00:00",
    }
    return {"id": 13, "sku": sku, "media_gallery_entries": [], "extension_attributes": {}, **OURS, **more}


def meant(exchange: Exchange, written: Sequence[Written]) -> None:
    (answer,) = written
    assert answer.outcome == MEANING[exchange.status]
    assert answer.message or answer.outcome == "ok"


def single_products() -> list[Exchange]:
    posted = of("PUT", r"/V1/products/[^/]+", "03", "04", "13") if DATA.exists() else []
    # An answer that was trimmed is none to a request of ours, which are not.
    return [each for each in posted if not each.prefix and not ("fields" in each.query and each.status == 200)]


@pytest.mark.parametrize("exchange", single_products(), ids=str)
async def test_change_of_a_product(exchange: Exchange) -> None:
    http = Told(exchange, products=found(entity("DRILL-8")))
    write = ProductWrite("k", "13", {"title": "Another"}, {"title": "As it was"})
    meant(exchange, await session(http).write_products([write]))
    assert http.written == [{"product": {"sku": "DRILL-8", "name": "Another"}}]


def new_products() -> list[Exchange]:
    posted = of("POST", r"/V1/products", "13", "16") if DATA.exists() else []
    return [each for each in posted if not each.prefix and each.status != 200]


@pytest.mark.parametrize("exchange", new_products(), ids=str)
async def test_product_that_is_not_made(exchange: Exchange) -> None:
    sets = found({"attribute_set_name": "Default", "attribute_set_id": 4, "entity_type_id": 4})
    http = Told(exchange, eav_attribute__sets_list=sets)
    price = {"amount": 100, "currency": "EUR"}
    write = ProductWrite("k", None, {"title": "New"}, variants=[VariantWrite(None, "NEW-1", {"price": price})])
    meant(exchange, await session(http, attributes={"brand": None, "tags": None}).write_products([write]))
    assert http.written[0]["product"]["sku"] == "NEW-1"


def set_levels() -> list[Exchange]:
    return of("POST", r"/V1/inventory/source-items") if DATA.exists() else []


@pytest.mark.parametrize("exchange", [each for each in set_levels() if not each.prefix], ids=str)
async def test_stock_level(exchange: Exchange) -> None:
    def levels(http: Told) -> JsonObject:
        quantity = 3 if http.written and exchange.status == 200 else 5
        return found({"sku": "WASH-M8", "source_code": "default", "quantity": quantity, "status": 1})

    http = Told(exchange, inventory_source__items=levels)
    write = StockWrite("k", "default/wash-m8", "WASH-M8", "default", 3, 5)
    if exchange.status == 401:
        with pytest.raises(CredentialsRefused):
            await session(http).write_stock([write])
        return
    meant(exchange, await session(http).write_stock([write]))
    assert http.written == [{"sourceItems": [{"sku": "WASH-M8", "source_code": "default", "quantity": 3, "status": 1}]}]


def shipped() -> list[Exchange]:
    return of("POST", r"/V1/order/\d+/ship") if DATA.exists() else []


@pytest.mark.parametrize("exchange", shipped(), ids=str)
async def test_shipment(exchange: Exchange) -> None:
    order = one("11", 0).body
    http = Told(exchange, orders=found(order))
    write = ShipmentWrite("k", "13", [("B6205-2RS", 1)], "DHL Paket", ["JD014600003828"], None)
    written = await session(http, ship_from="default", notify_customer=False).confirm_shipments([write])
    meant(exchange, written)
    # Just what was recorded to ship a part.
    assert http.written == [one("11", 2).sent]
    if exchange.status == 200:
        assert written[0].references == {"shipped": str(exchange.body)}


async def test_shipment_that_is_there_is_not_made_again() -> None:
    """Surprise 8, as it was recorded: the first call was answered, the same call made a second shipment."""
    http = Told(one("11", 6), orders=found(one("11", 0).body), shipments=one("11", 4).body)
    write = ShipmentWrite("k", "13", [("B6205-2RS", 1)], "DHL Paket", ["JD014600003828"], None)
    (written,) = await session(http).confirm_shipments([write])
    assert (written.outcome, written.external_id, http.written) == ("unchanged", "3", [])


async def test_more_than_is_left_is_not_sent() -> None:
    """Surprise 8: 5 asked with 2 left ships 2."""
    order = {**one("11", 0).body, "items": [{**one("11", 0).body["items"][0], "qty_shipped": 2}]}
    http = Told(one("11", 8), orders=found(order))
    (written,) = await session(http).confirm_shipments([ShipmentWrite("k", "13", [("B6205-2RS", 5)], None, [], None)])
    assert (written.outcome, http.written) == ("person", [])
    assert "3 of B6205-2RS" in str(written.message)


@pytest.mark.parametrize(("exchange", "status", "outcomes"), [(9, 10, ["ok", "person"]), (19, 20, ["retry", "retry"])])
async def test_bulk(exchange: int, status: int, outcomes: list[str]) -> None:
    """As recorded: one of no SKU fails, and what a worker died of stays open for good."""
    accepted, done = one("14", exchange), one("14", status)
    two = [entity("BULK-1"), {**entity("BULK-2"), "id": 14}]
    http = Told(accepted, products=found(*two), bulk=found())
    http.reads[f"bulk/{accepted.body['bulk_uuid']}/status"] = done.body
    writes = [ProductWrite("k", each, {"title": "Another"}) for each in ("13", "14")]
    written = await session(http, queue=True).write_products(writes)
    assert [each.outcome for each in written] == outcomes
    assert [each["sku"] == each["product"]["sku"] for each in http.written[0]] == [True, True]


async def test_bulk_that_is_refused_at_the_door_is_written_one_by_one() -> None:
    """Surprise 3: one wrong type refuses all, and no item is named."""
    http = Told(one("14", 0), products=found(entity("BULK-1")), bulk=found())
    (written,) = await session(http, queue=True).write_products([ProductWrite("k", "13", {"title": "Another"})])
    assert (written.outcome, "price" in str(written.message)) == ("person", True)
    assert [type(each) for each in http.written] == [list, dict]
