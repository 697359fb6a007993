"""Recorded conversations replayed through a whole session: what is written, and what came of it (SYN-5, SYN-11)."""

from datetime import timedelta
from typing import Any

import pytest

from services.sync.errors import CredentialsRefused
from services.sync.platforms.base import Account, ProductWrite, ShipmentWrite, StockWrite, Written
from services.sync.platforms.http import Http
from services.sync.platforms.prestashop.platform import PrestaShop
from shared.outgoing import Answer
from tests.platforms.prestashop.recordings import needs_data, recorded

pytestmark = [pytest.mark.feature("SYN-5", "SYN-7", "SYN-11"), needs_data]

# What a session asks of every shop, as a real one has answered.
FACTS = {"configurations": "02-0", "currencies": "02-2", "order_states": "07-0", "categories": "06-0"}
OF_PRODUCTS = {"combinations": "04-2", "product_options": "04-0", "product_option_values": "04-1", "products": "02-11"}

NUT = Answer(200, {"psws-version": "8.2.1"}, b'{"products":[{"id":24,"reference":"NUT"}]}')


class Replayed(Http):
    """Answers each resource what was recorded, by method, in turn and the last one again; others an empty list."""

    def __init__(self, **names: str) -> None:
        given = {f"GET {resource}": name for resource, name in FACTS.items()}
        given |= {name.replace("_of_", " "): told for name, told in names.items()}
        self.answers = {asked: [recorded(name).answer for name in told.split()] for asked, told in given.items()}
        self.sent: list[str] = []
        self.ahead = timedelta()

    async def send(self, method: str, path: str, **given: Any) -> Answer:
        resource = path.split("/")[2]
        if method != "GET":
            self.sent.append(f"{method} {path}")
        answers = self.answers.get(f"{method} {resource}", [Answer(200, {"psws-version": "8.2.1"}, b"[]")])
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def stock(http: Http, *writes: StockWrite) -> list[Written]:
    return list(await session(http).write_stock(writes))


def session(http: Http) -> Any:
    settings = {"url": "http://127.0.0.1:3902", "shop_id": 1}
    return PrestaShop().session(Account(settings, {"key": "SECRET"}), http)


@pytest.mark.parametrize(
    ("quantity", "expected", "answer", "outcome"),
    [
        (1444, 1500, "10-2", "ok"),
        (1444, None, "10-2", "ok"),
        (1500, 1400, "10-2", "unchanged"),
        (1444, 1499, "10-2", "stale"),
        # Another row was written than the one that was named.
        (1444, 1500, "10-14", "retry"),
        (1444, 1500, "10-13", "person"),
        (1444, 1500, "10-22", "person"),
        (1444, 1500, "08-29", "retry"),
    ],
)
async def test_stock_level(quantity: int, expected: int | None, answer: str, outcome: str) -> None:
    http = Replayed(GET_of_stock_availables="10-1", PATCH_of_stock_availables=answer)
    http.answers["GET products"] = [NUT]
    (written,) = await stock(http, StockWrite("k1", "63", "NUT", "1", quantity, expected))
    assert written.outcome == outcome, written
    assert http.sent == ([] if outcome in ("unchanged", "stale") else ["PATCH /api/stock_availables/63"])
    if outcome == "stale":
        assert written.fields == {"quantity": 1500}


async def test_right_that_was_lost_is_the_connections_trouble() -> None:
    http = Replayed(GET_of_stock_availables="10-1", PATCH_of_stock_availables="01-10")
    http.answers["GET products"] = [NUT]
    with pytest.raises(CredentialsRefused):
        await stock(http, StockWrite("k1", "63", "NUT", "1", 1444, 1500))


async def test_sum_row_of_the_demo_product_is_not_written() -> None:
    http = Replayed(GET_of_stock_availables="10-25", GET_of_products="02-22", GET_of_combinations="04-2")
    (written,) = await stock(http, StockWrite("k1", "1", "demo_1", "1", 5, 2398))
    assert (written.outcome, http.sent) == ("person", [])


@pytest.mark.parametrize(
    ("title", "expected", "answer", "outcome"),
    [
        ("Another shirt", "Hummingbird printed t-shirt", "13-5", "ok"),
        ("Hummingbird printed t-shirt", "Something", "13-5", "unchanged"),
        ("Another shirt", "Something", "13-5", "stale"),
        ("Another shirt", "Hummingbird printed t-shirt", "16-1", "person"),
        ("Another shirt", "Hummingbird printed t-shirt", "13-20", "retry"),
    ],
)
async def test_title_of_the_demo_product(title: str, expected: str, answer: str, outcome: str) -> None:
    http = Replayed(**{f"GET_of_{resource}": name for resource, name in OF_PRODUCTS.items()}, PATCH_of_products=answer)
    write = ProductWrite("k1", "1", {"title": title}, {"title": expected})
    (written,) = await session(http).write_products([write])
    assert written.outcome == outcome, written
    assert http.sent == ([] if outcome in ("unchanged", "stale") else ["PATCH /api/products/1"])


SHIPMENT = ShipmentWrite("k1", "15", [("A", 1)], "DHL", ["JD014600003828"], None)


async def test_shipment_is_told_as_it_was_recorded() -> None:
    http = Replayed(
        GET_of_orders="11-1",
        GET_of_order_carriers="11-2",
        PATCH_of_order_carriers="11-3",
        POST_of_order_histories="11-5",
    )
    (written,) = await session(http).confirm_shipments([SHIPMENT])
    assert (written.outcome, http.sent) == ("ok", ["PATCH /api/order_carriers/6", "POST /api/order_histories"])


async def test_shipment_that_was_told_is_not_told_again() -> None:
    http = Replayed(GET_of_orders="11-6", GET_of_order_carriers="11-12")
    told = ShipmentWrite("k1", "15", [("A", 1)], "DHL", ["JD014600003829", "1Z999AA10123456784"], None)
    (written,) = await session(http).confirm_shipments([told])
    assert (written.outcome, http.sent) == ("unchanged", [])


@pytest.mark.parametrize(("answer", "orders", "outcome"), [("08-30", "11-1 11-6", "ok"), ("08-29", "11-1", "retry")])
async def test_state_that_was_set_though_the_shop_said_no(answer: str, orders: str, outcome: str) -> None:
    http = Replayed(
        GET_of_orders=orders,
        GET_of_order_carriers="11-2",
        PATCH_of_order_carriers="11-3",
        POST_of_order_histories=answer,
    )
    (written,) = await session(http).confirm_shipments([SHIPMENT])
    assert written.outcome == outcome, written


@pytest.mark.parametrize(("answer", "outcome"), [("11-14", "person"), ("11-16", "person")])
async def test_number_that_was_refused_leaves_the_state(answer: str, outcome: str) -> None:
    http = Replayed(GET_of_orders="11-1", GET_of_order_carriers="11-2", PATCH_of_order_carriers=answer)
    (written,) = await session(http).confirm_shipments([SHIPMENT])
    assert (written.outcome, http.sent) == (outcome, ["PATCH /api/order_carriers/6"])
