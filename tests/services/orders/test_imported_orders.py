"""Orders of a connection, as a connection would bring them: through the door, twice, at once, late and out of order."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from deploy import topology
from services.orders.use_cases import absorbing
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import ADDRESS, CUSTOMER, Seller

pytestmark = pytest.mark.feature("ORD-5", "GAT-1", "GAT-2")

MAP = {
    "draft": "do_not_import",
    "paid": "import",
    "done": "import_and_complete",
    "cancelled": "import_and_cancel",
    "review": "import_and_hold",
    "open": "set_aside",
}


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})


def dollars(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


class FakeConnection:
    """A store platform that knows orders and sends them, with nothing but a client's credential."""

    def __init__(self, client: Client, seller: Seller) -> None:
        self.client = client
        self.seller = seller
        self.caller = caller_of(seller.organization_id, "orders:write")
        self.now = clock.now()

    async def connect(self, **draft: Any) -> "FakeConnection":
        sent = {"shop": "main", "name": "Bazaar", "status_map": MAP, **draft}
        made = await self.client.post("/v1/order-connections", json=sent, headers=self.headers)
        assert made.status_code == 201, made.text
        self.id = made.json()["id"]
        return self

    @property
    def headers(self) -> dict[str, str]:
        return self.client.speaking_as(self.caller)

    def order(self, external_id: str, status: str = "paid", minute: int = 0, **fields: Any) -> dict[str, Any]:
        lines = [{"sku": "MUG", "quantity": 2, "unit_price": dollars(900)}]
        return {
            "external_id": external_id,
            "number": f"#{external_id}",
            "status": status,
            "is_paid": True,
            "placed_at": "2026-01-01T00:00:00Z",
            "updated_at": (self.now + timedelta(minutes=minute)).isoformat(),
            "lines": lines,
            "total": dollars(1800),
            "customer": CUSTOMER,
            "shipping_address": ADDRESS,
            **fields,
        }

    async def send(self, *orders: dict[str, Any]) -> Any:
        sent = {"connection_id": self.id, "orders": list(orders)}
        return await self.client.post("/v1/orders/import", json=sent, headers=self.headers)

    async def known(self, external_id: str) -> dict[str, Any]:
        parameters = {"connection_id": self.id, "external_id": external_id}
        answer = await self.client.get("/v1/imported-orders", params=parameters, headers=self.headers)
        (found,) = answer.json()["items"]
        return dict(found)

    async def settled(self, external_id: str, state: str, reason: str | None = None) -> dict[str, Any]:
        """What became of an order, once it is this."""

        async def look() -> dict[str, Any]:
            found = await self.known(external_id)
            assert (found["state"], found["reason"]) == (state, reason), found
            return found

        return await eventually(look)

    async def imported(self, external_id: str) -> dict[str, Any]:
        """The order here."""
        found = await self.settled(external_id, "imported")
        return dict((await self.client.get(f"/v1/orders/{found['order_id']}", headers=self.headers)).json())

    async def moved(self, external_id: str, status: str) -> dict[str, Any]:
        async def look() -> dict[str, Any]:
            order = await self.imported(external_id)
            assert order["status"] == status, order["timeline"]
            return order

        return await eventually(look)


@pytest.fixture
async def bazaar(client: Client, seller: Seller) -> FakeConnection:
    return await FakeConnection(client, seller).connect()


async def reserved(seller: Seller, sku: str, expected: int) -> None:
    async def look() -> bool:
        assert (await seller.level(sku)).reserved == expected
        return True

    await eventually(look)


async def test_each_action_does_what_it_says(bazaar: FakeConnection, seller: Seller) -> None:
    statuses = ("draft", "paid", "done", "cancelled", "review", "open", "strange")
    receipts = await bazaar.send(*(bazaar.order(status, status) for status in statuses))
    assert receipts.status_code == 202, receipts.text
    assert [each["outcome"] for each in receipts.json()["items"]] == ["taken"] * 7
    await bazaar.settled("draft", "ignored")
    assert (await bazaar.settled("open", "set_aside", "status"))["next_check_at"]
    await bazaar.settled("strange", "set_aside", "unknown_status")
    found = {name: (await bazaar.imported(name)) for name in ("paid", "done", "cancelled", "review")}
    assert {name: order["status"] for name, order in found.items()} == {
        "paid": "processing",
        "done": "complete",
        "cancelled": "cancelled",
        "review": "on_hold",
    }
    order = found["paid"]
    assert (order["total"], order["paid"], order["customer"]) == (dollars(1800), dollars(1800), CUSTOMER)
    assert (order["placed_at"], order["source"]["external_id"]) == ("2026-01-01T00:00:00Z", "paid")
    assert (order["source"]["connection_id"], order["source"]["external_number"]) == (bazaar.id, "#paid")
    assert (order["lines"][0]["unit_price"], order["payments"][0]["provider"]) == (dollars(900), "connection")
    await reserved(seller, "MUG", 4)
    assert await seller.discrepancies() == []

    async def reported() -> bool:
        alerts = (await bazaar.client.get("/v1/alerts", headers=bazaar.client.speaking_as(seller.caller))).json()
        return any("strange" in alert["detail"] for alert in alerts["items"])

    await eventually(reported)


async def test_an_order_that_comes_often_and_at_once_is_one_order(bazaar: FakeConnection, seller: Seller) -> None:
    answers = await asyncio.gather(*(bazaar.send(bazaar.order("1"), bazaar.order("2")) for _ in range(8)))
    outcomes = [each["outcome"] for answer in answers for each in answer.json()["items"]]
    assert sorted(outcomes) == ["taken"] * 2 + ["unchanged"] * 14
    await bazaar.imported("1")
    await bazaar.imported("2")
    await bazaar.send(bazaar.order("1"))
    listed = (await bazaar.client.get("/v1/orders", headers=bazaar.headers)).json()["items"]
    assert len(listed) == 2
    await reserved(seller, "MUG", 4)


async def test_an_order_is_taken_once_however_many_take_it(bazaar: FakeConnection, seller: Seller) -> None:
    await bazaar.send(bazaar.order("1"))
    found = await bazaar.known("1")

    async def take() -> None:
        uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
        try:
            await absorbing.take(uow, found["id"])
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise

    await asyncio.gather(*(take() for _ in range(4)))
    order = await bazaar.imported("1")
    assert [entry["kind"] for entry in order["timeline"]].count("placed") == 1
    await reserved(seller, "MUG", 2)


async def test_later_news_change_the_status_and_nothing_else(bazaar: FakeConnection, seller: Seller) -> None:
    await bazaar.send(bazaar.order("1"))
    before = await bazaar.imported("1")
    elsewhere = {**ADDRESS, "line1": "9 Elsewhere"}
    lines = [{"sku": "CUP", "quantity": 1, "unit_price": dollars(100)}]
    news = bazaar.order("1", "review", 10, lines=lines, total=dollars(100), shipping_address=elsewhere)
    assert (await bazaar.send(news)).json()["items"][0]["outcome"] == "updated"
    held = await bazaar.moved("1", "on_hold")
    late = bazaar.order("1", "cancelled", 5)
    assert (await bazaar.send(late)).json()["items"][0]["outcome"] == "unchanged", "older than what is known"
    await bazaar.send(bazaar.order("1", "paid", 20))
    after = await bazaar.moved("1", "processing")

    def kept(order: Any) -> tuple[Any, ...]:
        """All but where the lines stand, which follows the order's status."""
        lines = [{name: value for name, value in line.items() if name != "status"} for line in order["lines"]]
        return lines, order["shipping_address"], order["total"]

    assert kept(held) == kept(after) == kept(before)
    await bazaar.send(bazaar.order("1", "cancelled", 30))
    await bazaar.moved("1", "cancelled")
    await reserved(seller, "MUG", 0)
    await bazaar.send(bazaar.order("1", "paid", 40))

    async def noted() -> bool:
        return (await bazaar.imported("1"))["timeline"][-1]["kind"] == "connection"

    await eventually(noted)
    assert (await bazaar.imported("1"))["status"] == "cancelled", "what is over stays over"


async def test_news_that_overtake_their_order_decide(bazaar: FakeConnection) -> None:
    await bazaar.send(bazaar.order("1", "cancelled", 10))
    assert (await bazaar.send(bazaar.order("1", "paid", 0))).json()["items"][0]["outcome"] == "unchanged"
    assert (await bazaar.imported("1"))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_paid": False}, "unpaid"),
        ({"lines": [{"sku": "NONE", "quantity": 1, "unit_price": dollars(1800)}]}, "unknown_sku"),
        ({"total": dollars(1801)}, "totals_differ"),
        (
            {
                "lines": [{"sku": "MUG", "quantity": 1, "unit_price": {"amount": 18, "currency": "EUR"}}],
                "total": {"amount": 18, "currency": "EUR"},
            },
            "wrong_currency",
        ),
        (
            {
                "lines": [
                    {"sku": "MUG", "quantity": 1, "unit_price": dollars(1000)},
                    {"sku": "MUG", "quantity": 1, "unit_price": dollars(800)},
                ]
            },
            "sku_at_two_prices",
        ),
    ],
)
async def test_what_cannot_be_imported_waits_with_its_reason(
    bazaar: FakeConnection, seller: Seller, fields: dict[str, Any], reason: str
) -> None:
    await bazaar.send(bazaar.order("1", **fields))
    found = await bazaar.settled("1", "set_aside", reason)
    assert found["detail"]
    await bazaar.send(bazaar.order("1", minute=1))
    await bazaar.imported("1")


async def test_shipping_tax_and_discounts_add_up_as_they_were_said(bazaar: FakeConnection) -> None:
    charges = {
        "shipping": {"price": dollars(500), "method": "parcel"},
        "taxes": [{"name": "VAT", "amount": dollars(100)}],
        "discounts": [{"name": "SPRING", "amount": dollars(300)}],
        "total": dollars(2100),
    }
    await bazaar.send(bazaar.order("1", **charges))
    assert (await bazaar.imported("1"))["total"] == dollars(2100)


async def test_missing_stock_holds_the_order_or_is_promised(client: Client, seller: Seller) -> None:
    many = [{"sku": "CUP", "quantity": 11, "unit_price": dollars(100)}]
    holding = await FakeConnection(client, seller).connect(stock_missing="hold")
    await holding.send(holding.order("1", lines=many, total=dollars(1100)))
    order = await holding.imported("1")
    assert (order["status"], (await seller.level("CUP")).reserved) == ("on_hold", 0)
    refused = await client.post(f"/v1/orders/{order['id']}/release", headers=client.speaking_as(seller.caller))
    assert refused.json()["code"] == "insufficient_stock"
    await seller.ask(_stock("CUP", 20))
    released = await client.post(f"/v1/orders/{order['id']}/release", headers=client.speaking_as(seller.caller))
    assert released.json()["status"] == "processing"
    promising = await FakeConnection(client, seller).connect(stock_missing="backorder")
    await promising.send(promising.order("2", lines=many, total=dollars(1100)))
    await promising.settled("2", "set_aside", "stock_missing")
    await seller.ask(_stock("CUP", 20, policy="backorder"))
    retried = await client.post(
        f"/v1/imported-orders/{(await promising.known('2'))['id']}/retry", headers=promising.headers
    )
    assert retried.status_code == 200, retried.text
    assert (await promising.imported("2"))["status"] == "processing"
    assert await seller.discrepancies() == []


def _stock(sku: str, on_hand: int, **fields: Any) -> Any:
    from shared.contracts.inventory.messages import UpdateStock

    return UpdateStock(rows=[{"sku": sku, "on_hand": on_hand, **fields}])


async def test_what_waits_is_looked_at_every_hour_and_then_somebody_is_called(client: Client, seller: Seller) -> None:
    bazaar = await FakeConnection(client, seller).connect(recheck_limit=3)
    unknown = [{"sku": "LATER", "quantity": 1, "unit_price": dollars(1800)}]
    await bazaar.send(bazaar.order("1", lines=unknown))
    waiting = await bazaar.settled("1", "set_aside", "unknown_sku")
    assert waiting["checks"] == 0

    async def check() -> None:
        uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
        await absorbing.take(uow, waiting["id"], is_check=True)
        await uow.commit()

    for number in (1, 2):
        await check()
        found = await bazaar.known("1")
        assert (found["checks"], found["next_check_at"] is None) == (number, False)
    await check()
    found = await bazaar.known("1")
    assert (found["checks"], found["next_check_at"], found["escalated_at"] is None) == (3, None, False)
    headers = client.speaking_as(seller.caller)

    async def alerts(**parameters: Any) -> list[Any]:
        listed = (await client.get("/v1/alerts", params=parameters, headers=headers)).json()["items"]
        return [alert for alert in listed if alert["subject_id"] == waiting["id"]]

    async def called() -> bool:
        return [alert["severity"] for alert in await alerts()] == ["error"]

    await eventually(called)
    await seller.price({"LATER": "18.00"})
    await seller.stocked({"LATER": 5})
    retried = await client.post(f"/v1/imported-orders/{waiting['id']}/retry", headers=bazaar.headers)
    assert retried.json()["escalated_at"] is None
    await bazaar.imported("1")
    again = await client.post(f"/v1/imported-orders/{waiting['id']}/retry", headers=bazaar.headers)
    assert (again.status_code, again.json()["code"]) == (409, "imported_order_is_settled")


async def test_the_hourly_look_comes_by_the_clock(bazaar: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absorbing, "CHECK_AGAIN_AFTER", timedelta(milliseconds=100))
    await bazaar.send(bazaar.order("1", is_paid=False))

    async def looked() -> bool:
        return (await bazaar.known("1"))["checks"] >= 3

    await eventually(looked)


async def test_who_gave_up_is_not_asked_again_until_somebody_says_so(bazaar: FakeConnection, client: Client) -> None:
    await bazaar.send(bazaar.order("1", is_paid=False))
    waiting = await bazaar.settled("1", "set_aside", "unpaid")
    path = f"/v1/imported-orders/{waiting['id']}"
    assert (await client.post(f"{path}/give-up", json={}, headers=bazaar.headers)).status_code == 422
    given = await client.post(f"{path}/give-up", json={"reason": "never paid"}, headers=bazaar.headers)
    assert (given.json()["state"], given.json()["next_check_at"]) == ("given_up", None)
    await bazaar.send(bazaar.order("1", minute=5))
    assert (await client.get(path, headers=bazaar.headers)).json()["state"] == "given_up"
    listed = await client.get("/v1/imported-orders", params={"state": "set_aside"}, headers=bazaar.headers)
    assert listed.json()["items"] == []
    assert (await client.post(f"{path}/retry", headers=bazaar.headers)).status_code == 200
    await bazaar.imported("1")


async def test_another_map_takes_what_waited_for_it(bazaar: FakeConnection, client: Client) -> None:
    await bazaar.send(bazaar.order("1", "strange"), bazaar.order("2", "draft"))
    await bazaar.settled("1", "set_aside", "unknown_status")
    await bazaar.settled("2", "ignored")
    path = f"/v1/order-connections/{bazaar.id}"
    stale = await client.patch(path, json={"name": "B"}, headers=bazaar.headers | {"If-Match": '"9"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "order_connection_changed_since")
    status_map = {**MAP, "strange": "import", "draft": "import_and_cancel"}
    changed = await client.patch(path, json={"status_map": status_map}, headers=bazaar.headers)
    assert (changed.status_code, changed.json()["status_map"]["strange"]) == (200, "import"), changed.text
    assert (await bazaar.imported("1"))["status"] == "processing"
    assert (await bazaar.imported("2"))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"external_id": ""}, "validation_failed"),
        ({"external_id": "a\u0000"}, "validation_failed"),
        ({"lines": []}, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": 0, "unit_price": dollars(1)}]}, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": 1.5, "unit_price": dollars(1)}]}, "validation_failed"),
        ({"updated_at": "2026-01-01T00:00:00"}, "validation_failed"),
        ({"is_paid": "yes"}, "validation_failed"),
        ({"customer": None}, "validation_failed"),
        ({"colour": "red"}, "validation_failed"),
    ],
)
async def test_messages_that_make_no_sense_are_refused(
    bazaar: FakeConnection, fields: dict[str, Any], code: str
) -> None:
    refused = await bazaar.send(bazaar.order("1") | fields)
    assert (refused.status_code, refused.json()["code"]) == (422, code)


async def test_who_may_not_is_told_so(bazaar: FakeConnection, client: Client, seller: Seller) -> None:
    doubled = await bazaar.send(bazaar.order("1"), bazaar.order("1", minute=1))
    assert (doubled.status_code, doubled.json()["code"]) == (422, "external_id_twice")
    await bazaar.send(bazaar.order("1", "open"))
    found = await bazaar.settled("1", "set_aside", "status")
    nowhere = await client.post("/v1/order-connections", json={"shop": "nowhere", "name": "B"}, headers=bazaar.headers)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "shop_not_found")
    strange = await client.post(
        "/v1/order-connections", json={"shop": "main", "name": "B", "status_map": {"a": "sell"}}, headers=bazaar.headers
    )
    assert strange.status_code == 422
    limited = caller_of(seller.organization_id, "orders:write", shop_ids=[new_id()])
    callers: list[tuple[Caller, int]] = [
        (caller_of(new_id()), 404),
        (limited, 404),
        (seller.storefront(), 403),
        (caller_of(seller.organization_id, "catalog:write"), 403),
    ]
    for caller, status in callers:
        headers = client.speaking_as(caller)
        connection, imported = f"/v1/order-connections/{bazaar.id}", f"/v1/imported-orders/{found['id']}"
        for method, path, sent in (
            ("GET", connection, None),
            ("PATCH", connection, {"name": "B"}),
            ("GET", imported, None),
            ("POST", f"{imported}/retry", None),
            ("POST", f"{imported}/give-up", {"reason": "x"}),
            ("POST", "/v1/orders/import", {"connection_id": bazaar.id, "orders": [bazaar.order("2")]}),
        ):
            answer = await client.request(method, path, json=sent, headers=headers)
            assert answer.status_code == status, (method, path, answer.text)


async def test_graphql_connects_imports_and_lists(client: Client, seller: Seller) -> None:
    async def ask(text: str, **variables: Any) -> Any:
        headers = client.speaking_as(seller.caller)
        answer = await client.post("/graphql", json={"query": text, "variables": variables}, headers=headers)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    connect = (
        "mutation($c: OrderConnectionDraftInput!) { createOrderConnection(connection: $c)"
        " { ... on OrderConnectionSettings { id uuid statusMap stockMissing } ... on Problem { code } } }"
    )
    made = (await ask(connect, c={"shop": "main", "name": "B", "statusMap": MAP}))["createOrderConnection"]
    assert (made["statusMap"], made["stockMissing"]) == (MAP, "HOLD")
    bring = (
        "mutation($id: UUID!, $o: [RemoteOrderInput!]!) { importOrders(connectionId: $id, orders: $o)"
        " { ... on OrderReceipts { items { id externalId outcome } } ... on Problem { code detail } } }"
    )
    order = {
        "externalId": "1", "status": "open", "isPaid": True, "placedAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-02T00:00:00Z", "total": dollars(1800), "customer": CUSTOMER,
        "lines": [{"sku": "MUG", "quantity": 2, "unitPrice": dollars(900)}],
        "shippingAddress": {"line1": "1 Quay", "city": "Portsea", "country": "US"},
    }  # fmt: skip
    brought = (await ask(bring, id=made["id"], o=[order]))["importOrders"]
    assert "items" in brought, brought
    (receipt,) = brought["items"]
    assert (receipt["externalId"], receipt["outcome"]) == ("1", "TAKEN")
    text = "query($id: UUID) { importedOrders(connectionId: $id, state: SET_ASIDE) { nodes { uuid reason } } }"

    async def waits() -> Any:
        return (await ask(text, id=made["uuid"]))["importedOrders"]["nodes"]

    (waiting,) = await eventually(waits)
    assert waiting["reason"] == "status"
    retry = "mutation($id: UUID!) { retryImportedOrder(importedOrderId: $id) { ... on ImportedOrder { state } } }"
    assert (await ask(retry, id=waiting["uuid"]))["retryImportedOrder"] == {"state": "WAITING"}


@pytest.mark.feature("ORD-6")
async def test_whoever_has_another_address_by_now_is_forgotten_by_the_old_one_too(
    bazaar: FakeConnection, client: Client
) -> None:
    person = {"email": "zephyrine@example.com", "name": "Zephyrine Quill"}
    await bazaar.send(bazaar.order("1", "done", customer=person))
    await bazaar.imported("1")
    found = await client.get("/v1/customers", params={"email": person["email"]}, headers=bazaar.headers)
    customer = f"/v1/customers/{found.json()['items'][0]['id']}"
    moved = await client.patch(customer, json={"email": "quill@example.com"}, headers=bazaar.headers)
    assert moved.status_code == 200, moved.text
    erased = await client.post(f"{customer}/erase", json={"reason": "asked"}, headers=bazaar.headers)
    assert erased.status_code == 200, erased.text
    kept = "SELECT 1 FROM imported_orders i WHERE lower(i::text) LIKE '%zephyrine%'"
    assert await bazaar.seller.rows("orders", kept) == []


@pytest.mark.feature("ORD-6")
async def test_what_a_connection_told_of_a_forgotten_person_is_gone(bazaar: FakeConnection, client: Client) -> None:
    person = {"email": "Zephyrine@example.com", "name": "Zephyrine Quill"}
    await bazaar.send(bazaar.order("1", "done", customer=person), bazaar.order("2", "draft", customer=person))
    await bazaar.send(bazaar.order("3", "open", customer=person))
    await bazaar.imported("1")
    await bazaar.settled("2", "ignored")
    waiting = await bazaar.settled("3", "set_aside", "status")
    found = await client.get("/v1/customers", params={"email": person["email"]}, headers=bazaar.headers)
    erase = f"/v1/customers/{found.json()['items'][0]['id']}/erase"
    refused = await client.post(erase, json={"reason": "asked"}, headers=bazaar.headers)
    assert refused.json()["errors"] == [{"number": "#3"}]
    give_up = f"/v1/imported-orders/{waiting['id']}/give-up"
    assert (await client.post(give_up, json={"reason": "asked"}, headers=bazaar.headers)).status_code == 200
    erased = await client.post(erase, json={"reason": "asked"}, headers=bazaar.headers)
    assert erased.status_code == 200, erased.text
    uow = bazaar.seller.process.surroundings.unit_of_work(
        "orders", service_envelope("orders", bazaar.seller.organization_id)
    )
    kept = await uow.fetchval("SELECT count(*) FROM imported_orders i WHERE lower(i::text) LIKE '%zephyrine%'")
    await uow.rollback()
    assert kept == 0
    retried = await client.post(f"/v1/imported-orders/{waiting['id']}/retry", headers=bazaar.headers)
    assert (retried.status_code, retried.json()["code"]) == (409, "imported_order_is_settled")
    assert (await bazaar.imported("1"))["customer"]["name"] == "Erased"
