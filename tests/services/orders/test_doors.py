"""Buying through REST and GraphQL with the workers running: quote, place, pay, ship; and what bad input gets."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from deploy import topology
from services.orders.settings import settings
from shared.bus.envelope import Caller
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import ADDRESS, CUSTOMER, Seller, body

pytestmark = pytest.mark.feature("ORD-1", "ORD-2", "INV-6", "GAT-1", "GAT-2")


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 10, "CUP": 10})


def cart(**fields: Any) -> dict[str, Any]:
    return {"shop": "main", "lines": [{"sku": "MUG", "quantity": 2}], **fields}


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {known: value for known, value in fields.items() if known != name}


async def place(client: Client, caller: Caller, key: str | None = None, **fields: Any) -> Any:
    headers = client.speaking_as(caller, Idempotency_Key=key or new_id().hex)
    return await client.post("/v1/orders", json=body(**fields), headers=headers)


async def test_a_storefront_buys_and_the_merchant_ships(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()
    quote = (await client.post("/v1/quotes", json=cart(), headers=client.speaking_as(storefront))).json()
    assert quote["total"] == {"amount": 2000, "currency": "USD"}
    placed = await place(client, storefront, quote_id=quote["id"])
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert placed.headers["Location"] == f"/v1/orders/{order['id']}"
    assert (order["status"], order["customer"], order["lines"][0]["status"]) == ("pending", CUSTOMER, "reserved")
    assert {name: value for name, value in order["shipping_address"].items() if value is not None} == ADDRESS
    await seller.hear("orders", seller.payment(await seller.order(order["id"])))
    headers = client.speaking_as(seller.caller, Idempotency_Key=new_id().hex)
    draft = {"order_id": order["id"], "carrier": "Post", "service": "Parcel", "tracking_numbers": ["T1"]}
    shipped = await client.post("/v1/shipments", json=draft, headers=headers)
    assert shipped.status_code == 201, shipped.text
    assert (await client.post("/v1/shipments", json=draft, headers=headers)).json() == shipped.json()

    async def complete() -> dict[str, Any]:
        known = (await client.get(f"/v1/orders/{order['id']}", headers=client.speaking_as(storefront))).json()
        assert known["status"] == "complete"
        return known

    done = await eventually(complete)
    assert done["shipments"][0]["tracking_numbers"] == ["T1"]
    assert [entry["kind"] for entry in done["timeline"]] == ["placed", "payment", "moved", "moved"]
    levels = (await client.get("/v1/stock", params={"sku": "MUG"}, headers=headers)).json()["items"]
    assert [(level["on_hand"], level["reserved"]) for level in levels] == [(8, 0)]
    listed = (await client.get("/v1/orders", params={"status": "complete"}, headers=headers)).json()["items"]
    assert [row["number"] for row in listed] == [order["number"]]


async def test_fifty_buyers_at_once_over_http_buy_what_there_is(client: Client, seller: Seller) -> None:
    storefronts = [seller.storefront() for _ in range(50)]
    one = [{"sku": "CUP", "quantity": 1}]
    answers = await asyncio.gather(*(place(client, storefront, lines=one) for storefront in storefronts))
    codes = sorted((answer.status_code, answer.json().get("code", "")) for answer in answers)
    assert codes == [(201, "")] * 10 + [(409, "insufficient_stock")] * 40
    assert len({answer.json()["number"] for answer in answers if answer.status_code == 201}) == 10
    assert await seller.discrepancies() == []


async def test_one_key_twenty_times_at_once_over_http_is_one_order(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()
    answers = await asyncio.gather(*(place(client, storefront, "same") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    reused = await place(client, storefront, "same", lines=[{"sku": "CUP", "quantity": 1}])
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


async def test_an_unpaid_order_ends_by_the_clock(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "pay_window", timedelta(seconds=1))
    order = (await place(client, seller.storefront())).json()

    async def ended() -> bool:
        known = await seller.order(order["id"])
        return known.status == "cancelled" and (await seller.level("MUG")).reserved == 0

    await eventually(ended)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"lines": [{"sku": "MUG", "quantity": 0}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": -1}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": 1.5}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": 10**9}]}, 422, "validation_failed"),
        ({"lines": []}, 422, "validation_failed"),
        ({"lines": [{"sku": f"S{n}", "quantity": 1} for n in range(1001)]}, 422, "validation_failed"),
        ({"lines": [{"sku": "", "quantity": 1}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG\u0000", "quantity": 1}]}, 422, "validation_failed"),
        ({"lines": "MUG"}, 422, "validation_failed"),
        ({"colour": "red"}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": True}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": "1"}]}, 422, "validation_failed"),
        ({"lines": [{"sku": "MUG", "quantity": 1.0}]}, 422, "validation_failed"),
        ({"expected_total": {"amount": "2000", "currency": "USD"}}, 422, "validation_failed"),
        ({"expected_total": {"amount": 2000.0, "currency": "USD"}}, 422, "validation_failed"),
        ({"expected_total": {"amount": True, "currency": "USD"}}, 422, "validation_failed"),
        ({"shop": "ma\u0000in"}, 422, "validation_failed"),
        ({"currency": "U\u0000D"}, 422, "validation_failed"),
        ({"customer": None}, 422, "order_incomplete"),
        ({"shipping_address": None}, 422, "order_incomplete"),
        ({"expected_total": {"amount": 1, "currency": "ZZZ"}}, 422, "validation_failed"),
        ({"currency": "EUR"}, 422, "wrong_currency"),
        ({"shop": "none"}, 404, "shop_not_found"),
        ({"lines": [{"sku": "NONE", "quantity": 1}]}, 422, "unknown_sku"),
        ({"expected_total": {"amount": 1999, "currency": "USD"}}, 409, "price_changed"),
        ({"lines": [{"sku": "MUG", "quantity": 11}]}, 409, "insufficient_stock"),
    ],
)
async def test_bad_orders_are_named_and_leave_nothing(
    client: Client, seller: Seller, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = await place(client, seller.storefront(), **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await seller.rows("orders", "SELECT id FROM orders") == []
    assert await seller.rows("inventory", "SELECT id FROM reservations") == []


CUSTOMERS: dict[str, Any] = {
    "nobody": {},
    "not an address": CUSTOMER | {"email": "nobody"},
    "no email": without(CUSTOMER, "email"),
    "blank email": CUSTOMER | {"email": " "},
    "no name": without(CUSTOMER, "name"),
    "null name": CUSTOMER | {"name": None},
    "blank name": CUSTOMER | {"name": "  "},
    "NUL": CUSTOMER | {"name": "A\u0000da"},
    "too much": CUSTOMER | {"iban": "x"},
}
ADDRESSES: dict[str, Any] = {
    "empty": {},
    "no street": without(ADDRESS, "line1"),
    "no city": without(ADDRESS, "city"),
    "no country": without(ADDRESS, "country"),
    "blank city": ADDRESS | {"city": " "},
    "a country's name": ADDRESS | {"country": "Portugal"},
    "too long": ADDRESS | {"city": "x" * 201},
    "NUL in a value": ADDRESS | {"city": "Port\u0000sea"},
    "NUL in a name": ADDRESS | {"ci\u0000ty": "Portsea"},
    "NUL further down": ADDRESS | {"line2": {"a": ["b\u0000"]}},
    "unknown": ADDRESS | {"planet": "Earth"},
    "two words for one": ADDRESS | {"street": "2 Quay"},
    "not text": ADDRESS | {"postal_code": 12345},
    "a list": ["1 Quay", "Portsea"],
}
PARTS = [
    *(pytest.param("customer", value, id=f"customer: {name}") for name, value in CUSTOMERS.items()),
    *(pytest.param("shipping_address", value, id=f"address: {name}") for name, value in ADDRESSES.items()),
]


@pytest.mark.parametrize(("name", "value"), PARTS)
async def test_who_buys_and_where_it_goes_are_checked(client: Client, seller: Seller, name: str, value: Any) -> None:
    for answer in (
        await place(client, seller.storefront(), **{name: value}),
        await client.post("/v1/quotes", json=cart(**{name: value}), headers=client.speaking_as(seller.storefront())),
    ):
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "validation_failed"), answer.text
        assert all(error["pointer"].startswith(f"/body/{name}") for error in told["errors"])
    assert await seller.rows("orders", "SELECT id FROM orders") == []
    assert await seller.rows("orders", "SELECT id FROM quotes") == []


async def test_who_buys_and_where_it_goes_must_be_said_once(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()

    async def quoted(**fields: Any) -> str:
        answer = await client.post("/v1/quotes", json=cart(**fields), headers=client.speaking_as(storefront))
        assert answer.headers["Location"] == f"/v1/quotes/{answer.json()['id']}"
        return str(answer.json()["id"])

    neither: dict[str, Any] = {"customer": None, "shipping_address": None}
    for fields in (neither, {**neither, "quote_id": await quoted()}):
        refused = (await place(client, storefront, **fields)).json()
        assert (refused["status"], refused["code"]) == (422, "order_incomplete")
        assert [error["pointer"] for error in refused["errors"]] == ["/customer", "/shipping_address"]
    half = await place(client, storefront, **{**neither, "quote_id": await quoted(customer=CUSTOMER)})
    assert [error["pointer"] for error in half.json()["errors"]] == ["/shipping_address"]
    whole = await quoted(customer=CUSTOMER, shipping_address=ADDRESS)
    placed = await place(client, storefront, **{**neither, "quote_id": whole})
    assert (placed.status_code, placed.json()["customer"]) == (201, CUSTOMER)
    assert placed.json()["shipping_address"]["city"] == "Portsea"
    grace = {"email": "grace@example.com", "name": "Grace"}
    assert (await place(client, storefront, quote_id=whole, customer=grace)).json()["customer"] == grace


async def test_addresses_are_read_in_the_words_of_forms(client: Client, seller: Seller) -> None:
    form = {"street": " 2 Quay ", "address2": "", "town": "Portsea", "state": "PT", "zip": "1100", "country": "pt"}
    order = (await place(client, seller.storefront(), shipping_address=form)).json()
    known = {name: value for name, value in order["shipping_address"].items() if value is not None}
    assert known == {"line1": "2 Quay", "city": "Portsea", "region": "PT", "postal_code": "1100", "country": "PT"}


async def test_nul_is_refused_wherever_text_is_kept(client: Client, seller: Seller) -> None:
    order = (await place(client, seller.storefront())).json()
    path, headers = f"/v1/orders/{order['id']}", client.speaking_as(seller.caller)
    payment = {"gateway_id": str(new_id()), "external_id": "pi\u0000"}
    for verb, sent in (("cancel", {"reason": "a\u0000"}), ("hold", {"reason": "a\u0000"}), ("payments", payment)):
        answer = await client.post(f"{path}/{verb}", json=sent, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), verb


async def test_actions_obey_if_match(client: Client, seller: Seller) -> None:
    placed = await place(client, seller.storefront())
    path, headers = f"/v1/orders/{placed.json()['id']}", client.speaking_as(seller.caller)
    assert placed.headers["ETag"] == '"1"'
    reason, payment = {"reason": "x"}, {"gateway_id": str(new_id()), "external_id": "pi_1"}
    actions: list[tuple[str, Any]] = [("cancel", reason), ("hold", reason), ("release", None), ("payments", payment)]
    for verb, sent in actions:
        refusals = (
            ('"99"', 412, "order_changed_since"),
            ("1", 400, "invalid_if_match"),
            ('"x"', 412, "unknown_version"),
        )
        for tag, status, code in refusals:
            stale = await client.post(f"{path}/{verb}", json=sent, headers=headers | {"If-Match": tag})
            assert (stale.status_code, stale.json()["code"]) == (status, code), verb
    known = await client.get(path, headers=headers)
    assert (known.json()["status"], known.headers["ETag"]) == ("pending", '"1"')
    for verb, sent in (("hold", reason), ("release", None), ("hold", reason), ("cancel", reason)):
        tag = (await client.get(path, headers=headers)).headers["ETag"]
        done = await client.post(f"{path}/{verb}", json=sent, headers=headers | {"If-Match": tag})
        assert (done.status_code, done.headers["ETag"] == tag) == (200, False), done.text
    assert done.json()["status"] == "cancelled"


async def test_of_two_who_read_the_same_version_one_acts(client: Client, seller: Seller) -> None:
    order = (await place(client, seller.storefront())).json()
    mutation = (
        'mutation($id: UUID!, $version: Int) { holdOrder(orderId: $id, reason: "x", expectedVersion: $version)'
        " { ... on Order { version } ... on Problem { code } } }"
    )
    variables = {"id": order["id"], "version": order["version"]}

    async def hold() -> Any:
        headers = client.speaking_as(seller.caller)
        answer = await client.post("/graphql", json={"query": mutation, "variables": variables}, headers=headers)
        return answer.json()["data"]["holdOrder"]

    answers = await asyncio.gather(hold(), hold())
    assert sorted(answers, key=str) == [{"code": "order_changed_since"}, {"version": 2}]


async def test_who_may_not_is_told_so(client: Client, seller: Seller) -> None:
    order = (await place(client, seller.storefront())).json()
    path = f"/v1/orders/{order['id']}"
    assert (await client.post("/v1/orders", json=body())).status_code == 401
    keyless = await client.post("/v1/orders", json=body(), headers=client.speaking_as(seller.storefront()))
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_required")
    supplier = caller_of(seller.organization_id, "inventory:write")
    assert (await place(client, supplier)).json()["code"] == "missing_scope"
    for caller in (caller_of(new_id()), seller.storefront()):
        headers = client.speaking_as(caller)
        assert (await client.get(path, headers=headers)).status_code == 404
        payment = {"gateway_id": str(new_id()), "external_id": "pi_1"}
        assert (await client.post(f"{path}/payments", json=payment, headers=headers)).status_code == 404
    for verb, reason in (("cancel", {"reason": "x"}), ("hold", {"reason": "x"}), ("release", None)):
        answer = await client.post(f"{path}/{verb}", json=reason, headers=client.speaking_as(caller_of(new_id())))
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found"), verb
    assert (await client.get("/v1/orders/not-an-id", headers=client.speaking_as(seller.caller))).status_code == 422


async def test_graphql_knows_orders_and_quotes_by_their_node_ids(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()
    quoted = (await client.post("/v1/quotes", json=cart(), headers=client.speaking_as(storefront))).json()
    order = (await place(client, storefront)).json()

    async def ask(text: str, **variables: Any) -> Any:
        headers = client.speaking_as(storefront, Idempotency_Key=new_id().hex)
        return (await client.post("/graphql", json={"query": text, "variables": variables}, headers=headers)).json()

    found = await ask("query($q: UUID!) { orders { nodes { id uuid } } quote(quoteId: $q) { id } }", q=quoted["id"])
    (listed,), quote = found["data"]["orders"]["nodes"], found["data"]["quote"]["id"]
    assert listed["uuid"] == order["id"]
    node = "query($o: ID!, $q: ID!) { order: node(id: $o) { id ... on Order { number } } quote: node(id: $q) { id } }"
    found = (await ask(node, o=listed["id"], q=quote))["data"]
    assert found == {"order": {"id": listed["id"], "number": order["number"]}, "quote": {"id": quote}}
    by_id = "query($id: UUID!) { order(orderId: $id) { number } }"
    for id_ in (listed["id"], order["id"]):
        assert (await ask(by_id, id=id_))["data"]["order"] == {"number": order["number"]}
    placed = await ask(
        'mutation($q: UUID, $c: CustomerDraftInput, $a: ShippingAddressInput) { placeOrder(shop: "main", quoteId: $q,'
        " customer: $c, shippingAddress: $a) { ... on Order { number } ... on Problem { code detail } } }",
        q=quote,
        c=CUSTOMER,
        a={"line1": "1 Quay", "city": "Portsea", "country": "US"},
    )
    assert placed["data"]["placeOrder"] == {"number": "MAIN-000002"}
    refusals = [
        await ask(by_id, id=quote),
        await ask(by_id, id="nonsense"),
        await ask('{ order(orderId: "nonsense") { number } }'),
        await ask("query($id: ID!) { node(id: $id) { id } }", id="nonsense"),
    ]
    assert [refused["errors"][0]["extensions"]["code"] for refused in refusals] == ["invalid_node_id"] * 4
    assert "takes a node id of Order; this is one of Quote" in refusals[0]["errors"][0]["message"]
    held = await ask(
        'mutation($id: UUID!) { holdOrder(orderId: $id, reason: "x") { ... on Problem { code } } }', id=quote
    )
    assert held["data"]["holdOrder"] == {"code": "invalid_node_id"}


async def test_graphql_quotes_places_and_refuses(client: Client, seller: Seller) -> None:
    mutation = (
        "mutation($lines: [OrderedLineInput!]!, $customer: CustomerDraftInput, $address: ShippingAddressInput)"
        ' { placeOrder(shop: "main", lines: $lines, customer: $customer, shippingAddress: $address) { __typename'
        " ... on Order { number status total { amount } lines { sku status } shippingAddress { city postalCode } }"
        " ... on Problem { code errors } } }"
    )
    graphql_address = {**without(ADDRESS, "postal_code"), "postalCode": ADDRESS["postal_code"]}

    async def ask(quantity: int, **fields: Any) -> Any:
        headers = client.speaking_as(seller.storefront(), Idempotency_Key=new_id().hex)
        variables = {"customer": CUSTOMER, "address": graphql_address, **fields}
        variables["lines"] = [{"sku": "MUG", "quantity": quantity}]
        answer = await client.post("/graphql", json={"query": mutation, "variables": variables}, headers=headers)
        return answer.json()["data"]["placeOrder"]

    placed, refused = await ask(1), await ask(10)
    assert (placed["status"], placed["total"]["amount"], placed["lines"][0]["status"]) == ("PENDING", 1000, "RESERVED")
    assert placed["shippingAddress"] == {"city": "Portsea", "postalCode": "12345"}
    assert (refused["__typename"], refused["code"]) == ("Problem", "insufficient_stock")
    incomplete = await ask(1, customer=None)
    assert (incomplete["code"], incomplete["errors"][0]["pointer"]) == ("order_incomplete", "/customer")
    blank = await ask(1, address={**graphql_address, "city": " "})
    assert (blank["code"], blank["errors"][0]["pointer"]) == ("validation_failed", "/shipping_address/city")
    query = "{ orders { edges { node { number status } } } }"
    answer = await client.post("/graphql", json={"query": query}, headers=client.speaking_as(seller.caller))
    assert [edge["node"]["number"] for edge in answer.json()["data"]["orders"]["edges"]] == [placed["number"]]
    for since, status in (("2020-01-01T00:00:00", 422), ("2020-01-01T00:00:00Z", 200)):
        listed = await client.get("/v1/orders", params={"from": since}, headers=client.speaking_as(seller.caller))
        assert listed.status_code == status
    naive = '{ orders(fromTime: "2020-01-01T00:00:00") { edges { node { number } } } }'
    answer = await client.post("/graphql", json={"query": naive}, headers=client.speaking_as(seller.caller))
    assert answer.json()["errors"][0]["extensions"]["code"] == "validation_failed"
