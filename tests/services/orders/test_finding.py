"""Orders by their words, through both doors, whatever happened to them; beside all other filters."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from services.orders.use_cases import exporting, finding, listing
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.inventory.shipments import ChangeShipment, ShipmentChange, ShipmentLineDraft
from shared.contracts.orders.imported import CreateOrderConnection, ImportOrders, OrderConnectionDraft
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import ADDRESS, CUSTOMER, Seller, body

pytestmark = pytest.mark.feature("ORD-7")

GRACE = {"email": "grace.hopper@navy.example", "name": "Grace Hopper"}
HARBOUR = {**ADDRESS, "name": "Admiral Hopper", "company": "Harbour & Söhne", "city": "Malmö", "postal_code": "211 19"}


@pytest.fixture
async def seller(process: topology.Surrounded) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP-BLUE": "2.50"}, {"MUG": 500, "CUP-BLUE": 500})


async def place(client: Client, caller: Caller, **fields: Any) -> dict[str, Any]:
    headers = client.speaking_as(caller, Idempotency_Key=new_id().hex)
    placed = await client.post("/v1/orders", json=body(**fields), headers=headers)
    assert placed.status_code == 201, placed.text
    order: dict[str, Any] = placed.json()
    return order


async def page(client: Client, caller: Caller, path: str = "orders", **parameters: Any) -> Any:
    answer = await client.get(f"/v1/{path}", params=parameters, headers=client.speaking_as(caller))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finds(client: Client, caller: Caller, words: str, *orders: dict[str, Any], **parameters: Any) -> None:
    """Wait until these orders are found, in this order; freshness is measured elsewhere."""
    wanted = [order["number"] for order in orders]

    async def look() -> bool:
        found = [order["number"] for order in (await page(client, caller, q=words, **parameters))["items"]]
        assert found == wanted, (words, found)
        return True

    await eventually(look)


async def test_by_whatever_is_known_of_an_order(client: Client, seller: Seller) -> None:
    ada = await place(client, seller.storefront())
    cups = [{"sku": "CUP-BLUE", "quantity": 1}]
    grace = await place(client, seller.storefront(), customer=GRACE, shipping_address=HARBOUR, lines=cups)
    caller = seller.caller
    for words in ("hopper", "grace hop", "GRACE.HOPPER@navy.example", "harbour söhne", "malmo", "211 19", "cup-blue"):
        await finds(client, caller, words, grace)
    await finds(client, caller, "lovelace", ada)
    await finds(client, caller, grace["number"].lower(), grace)
    await finds(client, caller, "main", grace, ada)
    await finds(client, caller, "main", ada, grace, sort="oldest")
    await finds(client, caller, "main", ada, grace, sort="highest_total")
    await finds(client, caller, "main", ada, sku="MUG")
    await finds(client, caller, "main", grace, email=GRACE["email"], set="today")
    await finds(client, caller, "hopper lovelace")
    await finds(client, caller, "  ", grace, ada)
    counted = await page(client, caller, "orders/counts", q="hopper")
    assert (counted["total"], counted["by_status"]) == (1, {"pending": 1})
    graphql = await client.post(
        "/graphql",
        json={"query": '{orders(query: "hopper") {nodes {number}} orderCounts(query: "main") {total}}'},
        headers=client.speaking_as(caller),
    )
    assert graphql.json()["data"] == {"orders": {"nodes": [{"number": grace["number"]}]}, "orderCounts": {"total": 2}}


async def test_what_changes_is_found_by_what_it_is_now(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront())
    await finds(client, seller.caller, "portsea", order)
    headers = client.speaking_as(seller.caller)
    changed = {"customer": GRACE, "shipping_address": HARBOUR}
    answer = await client.patch(f"/v1/orders/{order['id']}", json=changed, headers=headers)
    assert answer.status_code == 200, answer.text
    await finds(client, seller.caller, "malmö hopper", order)
    await finds(client, seller.caller, "lovelace")
    await seller.hear("orders", seller.payment(await seller.order(UUID(order["id"]))))
    lines = {"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "CUP-BLUE", "quantity": 1}]}
    answer = await client.post(f"/v1/orders/{order['id']}/change-lines", json=lines, headers=headers)
    assert answer.status_code == 200, answer.text
    await finds(client, seller.caller, "cup-blue", order)


async def test_by_the_number_of_a_shipment(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront())
    await seller.hear("orders", seller.payment(await seller.order(UUID(order["id"]))))

    async def shipped() -> Any:
        whole = await seller.order(UUID(order["id"]))
        if whole.status != "processing":
            return None
        return await seller.ship(whole, lines=[ShipmentLineDraft(sku="MUG", quantity=1)], tracking_numbers=["TRACK-1"])

    shipment = await eventually(shipped)
    await finds(client, seller.caller, "track-1", order)
    change = ShipmentChange(tracking_numbers=["OTHER-2"])
    await seller.ask(ChangeShipment(shipment_id=shipment.id, change=change))
    await finds(client, seller.caller, "other-2", order)
    await finds(client, seller.caller, "track-1")


async def test_an_erased_person_is_not_found_any_more(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront(), customer=GRACE, shipping_address=HARBOUR)
    await finds(client, seller.caller, "hopper", order)
    headers = client.speaking_as(seller.caller)
    cancelled = await client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "x"}, headers=headers)
    assert cancelled.status_code == 200
    (grace,) = (await page(client, seller.caller, "customers", email=GRACE["email"]))["items"]
    erased = await client.post(f"/v1/customers/{grace['id']}/erase", json={"reason": "asked"}, headers=headers)
    assert erased.status_code == 200, erased.text
    for words in ("hopper", "grace.hopper@navy.example", "malmö", "harbour"):
        await finds(client, seller.caller, words)
    await finds(client, seller.caller, order["number"], order)
    uow = seller.process.surroundings.unit_of_work("search", service_envelope("search", seller.organization_id))
    entries = [
        row["entry"].decode().lower()
        for row in await uow.fetch("SELECT entry FROM operator_documents WHERE kind = 'order'")
    ]
    await uow.rollback()
    assert len(entries) == 1
    assert not any(trace in entries[0] for trace in ("hopper", "navy", "malm", "harbour", "211 19"))


async def test_an_imported_order_is_found_by_the_number_it_has_over_there(client: Client, seller: Seller) -> None:
    draft = OrderConnectionDraft(shop=seller.shop.code, name="Bazaar", status_map={"open": "import"})
    connection = await seller.ask(CreateOrderConnection(connection=draft))
    remote = {
        "external_id": "bz-77",
        "number": "#BZ1077",
        "status": "open",
        "is_paid": True,
        "placed_at": clock.now() - timedelta(days=30),
        "updated_at": clock.now(),
        "lines": [{"sku": "MUG", "quantity": 1, "unit_price": {"amount": 1000, "currency": "USD"}}],
        "total": {"amount": 1000, "currency": "USD"},
        "customer": CUSTOMER,
        "shipping_address": ADDRESS,
    }
    await seller.ask(ImportOrders.model_validate({"connection_id": connection.id, "orders": [remote]}))
    for words in ("#bz1077", "BZ-77", "bz1077", "lovelace"):

        async def look(words: str = words) -> Any:
            return (await page(client, seller.caller, q=words))["items"]

        (found,) = await eventually(look)
        assert found["number"] == "MAIN-000001"


async def test_nobody_finds_what_they_may_not_see(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()
    own = await place(client, storefront)
    other = await place(client, seller.storefront())
    await finds(client, seller.caller, "ada", other, own)
    await finds(client, storefront, "ada", own)
    await finds(client, caller_of(seller.organization_id, "orders:read", shop_ids=[new_id()]), "ada")
    await finds(client, caller_of(seller.organization_id, "orders:read", shop_ids=[seller.shop.id]), "ada", other, own)
    await finds(client, caller_of(new_id()), "ada")
    refused = await client.get(
        "/v1/orders?q=ada", headers=client.speaking_as(caller_of(seller.organization_id, "catalog:read"))
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


async def test_pages_follow_each_other_whatever_search_tells_at_once(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_FOUND_AT_ONCE", 3)
    storefront = seller.storefront()
    orders = [await place(client, storefront) for _ in range(10)]
    await finds(client, seller.caller, "ada", *reversed(orders))
    # Of the older half alone: the first looks find none of them.
    for order in orders[:5]:
        await seller.hear("orders", seller.payment(await seller.order(UUID(order["id"]))))
    expected = {
        "latest": [order["number"] for order in reversed(orders[:5])],
        "oldest": [order["number"] for order in orders[:5]],
    }
    for looks in (1, 5):
        monkeypatch.setattr(listing, "_MOST_LOOKS", looks)
        for sort, numbers in expected.items():
            seen, after = [], None
            for _ in range(20):
                parameters = {"after": after} if after else {}
                answer = await page(
                    client, seller.caller, q="ada", status="processing", sort=sort, first=2, **parameters
                )
                assert len(answer["items"]) <= 2
                seen += [order["number"] for order in answer["items"]]
                after = answer["next"]
                if after is None:
                    break
            assert seen == numbers, (looks, sort)


async def test_too_many_to_count_are_refused_and_to_list_are_not(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [await place(client, seller.storefront()) for _ in range(3)]
    await finds(client, seller.caller, "ada", *reversed(orders))
    # Some at a time all are gathered.
    monkeypatch.setattr(finding, "MOST_FOUND", 1)
    assert (await page(client, seller.caller, "orders/counts", q="ada"))["total"] == 3
    assert len((await page(client, seller.caller, q="ada", sort="lowest_total"))["items"]) == 3
    monkeypatch.setattr(finding, "_MOST_AT_ALL", 1)
    headers = client.speaking_as(seller.caller)
    for path in ("orders/counts?q=ada", "orders?q=ada&sort=lowest_total"):
        refused = await client.get(f"/v1/{path}", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "query_too_broad")
    await finds(client, seller.caller, "ada", *reversed(orders))
    assert (await page(client, seller.caller, "orders/counts", q=orders[0]["number"]))["total"] == 1


async def test_a_file_has_what_was_found(client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PORTION", 2)
    hoppers = [await place(client, seller.storefront(), customer=GRACE) for _ in range(5)]
    await place(client, seller.storefront())
    await finds(client, seller.caller, "hopper", *reversed(hoppers))
    headers = client.speaking_as(seller.caller)
    begun = await client.post("/v1/orders/exports", json={"query": "hopper"}, headers=headers)
    assert begun.status_code == 202, begun.text

    async def written() -> Any:
        answer = await client.get(f"/v1/orders/exports/{begun.json()['id']}/file", headers=headers)
        return answer.text if answer.status_code == 200 else None

    rows = list(csv.DictReader(io.StringIO((await eventually(written, 30)).removeprefix("\ufeff"))))
    assert [row["number"] for row in rows] == [order["number"] for order in hoppers]


@pytest.mark.parametrize(
    ("words", "status"), [("x" * 301, 422), ("a\x00b", 422), ('(("[*:?~^', 200), ("%00", 200), ("日本 " * 60, 200)]
)
async def test_odd_words(client: Client, seller: Seller, words: str, status: int) -> None:
    answer = await client.get("/v1/orders", params={"q": words}, headers=client.speaking_as(seller.caller))
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["items"] == []


async def test_pages_go_on_behind_orders_of_one_moment(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_FOUND_AT_ONCE", 2)
    orders = [await place(client, seller.storefront()) for _ in range(7)]
    uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
    await uow.execute("UPDATE orders SET placed_at = '2026-03-01' WHERE number <> $1", orders[0]["number"])
    await uow.execute("UPDATE orders SET placed_at = '2026-02-28' WHERE number = $1", orders[0]["number"])
    await uow.commit()
    headers = client.speaking_as(seller.caller)
    assert (await client.post("/v1/operator-index/rebuild", headers=headers)).status_code == 202
    # Known by its new moment, each of them is.
    await finds(client, seller.caller, "ada", orders[0], to="2026-02-28T12:00:00Z")

    async def known() -> bool:
        return len((await page(client, seller.caller, q="ada", to="2026-03-02T00:00:00Z"))["items"]) == 7

    await eventually(known)
    numbers = [order["number"] for order in (await page(client, seller.caller))["items"]]
    for sort, expected in (("latest", numbers), ("oldest", numbers[::-1])):
        # The first is of another moment than all others; none of those is in its set.
        assert await walk(client, seller.caller, q="ada", sort=sort) == expected
        only = await walk(client, seller.caller, q="ada", sort=sort, set="2026-02")
        assert only == [orders[0]["number"]]
        by_number = await walk(client, seller.caller, q="ada", sort=sort, number=orders[0]["number"])
        assert by_number == [orders[0]["number"]]


async def walk(client: Client, caller: Caller, **parameters: Any) -> list[str]:
    seen: list[str] = []
    for _ in range(20):
        answer = await page(client, caller, first=2, **parameters)
        seen += [order["number"] for order in answer["items"]]
        if answer["next"] is None:
            return seen
        parameters["after"] = answer["next"]
    raise AssertionError(f"no end after {seen}")


@pytest.mark.parametrize("days", [["2001"], ["2001", "2002"]])
async def test_words_and_days_that_exclude_each_other_find_nothing(
    client: Client, seller: Seller, days: list[str]
) -> None:
    order = await place(client, seller.storefront())
    await finds(client, seller.caller, "ada", order)
    answer = await page(client, seller.caller, q="ada", set=days)
    assert (answer["items"], answer["next"]) == ([], None)
    assert (await page(client, seller.caller, "orders/counts", q="ada", set=days))["total"] == 0


# --- the index itself


@pytest.mark.feature("SEA-5", "GAT-1", "GAT-2")
async def test_the_index_is_told_and_rebuilt_through_both_doors(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront())
    await finds(client, seller.caller, "ada", order)
    uow = seller.process.surroundings.unit_of_work("search", service_envelope("search", seller.organization_id))
    await uow.execute(
        "UPDATE operator_documents SET entry = '{\"at\":1}', sequence = sequence + 9 WHERE kind = 'order'"
    )
    await uow.execute("UPDATE operator_indexes SET sequence = sequence + 9")
    await uow.commit()
    await finds(client, seller.caller, "ada")
    headers = client.speaking_as(seller.caller)
    begun = await client.post("/v1/operator-index/rebuild", json={"kind": "order"}, headers=headers)
    assert begun.status_code == 202
    assert begun.headers["location"] == f"/v1/jobs/{begun.json()['id']}"
    await finds(client, seller.caller, "ada", order)

    async def rebuilt() -> Any:
        state = await page(client, seller.caller, "operator-index")
        assert (state["kinds"][0]["kind"], state["kinds"][0]["documents"]) == ("order", 1)
        return state["rebuilt_at"]

    await eventually(rebuilt)
    query = "{operatorIndex {generation kinds {kind documents pending failed}}}"
    asked = await client.post("/graphql", json={"query": query}, headers=headers)
    assert asked.json()["data"]["operatorIndex"]["generation"] == 2
    begun = await client.post(
        "/graphql", json={"query": "mutation {rebuildOperatorIndex {... on Job {kind}}}"}, headers=headers
    )
    assert begun.json()["data"]["rebuildOperatorIndex"] == {"kind": "search.rebuild_operators"}
    checked = await client.post("/v1/operator-index/check", json={"kind": "order", "repair": True}, headers=headers)
    assert (checked.status_code, checked.json()["kind"]) == (202, "search.check_operators")
    mutation = "mutation {checkOperatorIndex(kind: PRODUCT) {... on Job {kind}}}"
    checked = await client.post("/graphql", json={"query": mutation}, headers=headers)
    assert checked.json()["data"]["checkOperatorIndex"] == {"kind": "search.check_operators"}
    reader = client.speaking_as(caller_of(seller.organization_id, "search:read"))
    assert (await client.get("/v1/operator-index", headers=reader)).status_code == 200
    for verb in ("rebuild", "check"):
        assert (await client.post(f"/v1/operator-index/{verb}", headers=reader)).status_code == 403
    assert (
        await client.get("/v1/operator-index", headers=client.speaking_as(caller_of(new_id(), "catalog:read")))
    ).status_code == 403
    stranger = await page(client, caller_of(new_id()), "operator-index")
    assert [kind["documents"] for kind in stranger["kinds"]] == [0, 0]
