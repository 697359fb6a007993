"""Customers through both doors: one per e-mail address, seen by whom they may be, forgotten while the books stay."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from deploy import topology
from shared.bus.envelope import Caller, service_envelope
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import ADDRESS, Seller, body

pytestmark = pytest.mark.feature("ORD-6", "GAT-1", "GAT-2")

HOME = {"line1": "1 Quay", "city": "Portsea", "country": "US"}


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 50, "CUP": 50})


async def create(client: Client, caller: Caller, **fields: Any) -> Any:
    draft = {"email": "ada@example.com", **fields}
    return await client.post("/v1/customers", json=draft, headers=client.speaking_as(caller))


async def place(client: Client, caller: Caller, email: str = "ada@example.com", **fields: Any) -> dict[str, Any]:
    headers = client.speaking_as(caller, Idempotency_Key=new_id().hex)
    customer = {"email": email, "name": "Ada Lovelace"}
    placed = await client.post("/v1/orders", json=body(customer=customer, **fields), headers=headers)
    assert placed.status_code == 201, placed.text
    order: dict[str, Any] = placed.json()
    return order


async def test_a_customer_is_made_changed_and_found(client: Client, seller: Seller) -> None:
    addresses = [{**HOME, "is_default": True}, {**HOME, "kind": "billing", "zip": "123", "is_default": True}]
    made = await create(
        client, seller.caller, email=" Ada@Example.COM", name="Ada", notes="likes tea", addresses=addresses
    )
    assert made.status_code == 201, made.text
    customer = made.json()
    assert (customer["email"], customer["version"], made.headers["ETag"]) == ("ada@example.com", 1, '"1"')
    assert [(each["kind"], each["postal_code"]) for each in customer["addresses"]] == [
        ("shipping", None),
        ("billing", "123"),
    ]
    headers, path = client.speaking_as(seller.caller), f"/v1/customers/{customer['id']}"
    assert made.headers["Location"] == path
    change = {"phone": "+1 555", "customer_group": "wholesale", "notes": None, "addresses": [HOME]}
    changed = await client.patch(path, json=change, headers=headers | {"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["notes"], changed.json()["name"], changed.headers["ETag"]) == (None, "Ada", '"2"')
    assert [each["is_default"] for each in changed.json()["addresses"]] == [False]
    stale = await client.patch(path, json={"phone": "1"}, headers=headers | {"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "customer_changed_since")
    await create(client, seller.caller, email="grace@example.com")
    for filter_, expected in (
        ({"email": "ADA@example.com"}, 1),
        ({"group": "wholesale"}, 1),
        ({"group": "none"}, 0),
        ({}, 2),
    ):
        listed = (await client.get("/v1/customers", params=filter_, headers=headers)).json()["items"]
        assert len(listed) == expected, filter_
    assert (await client.get(path, headers=headers)).json() == changed.json()


async def test_pages_follow_each_other(client: Client, seller: Seller) -> None:
    for number in range(5):
        await create(client, seller.caller, email=f"c{number}@example.com")
    found, after = [], None
    while True:
        params = {"first": 2} | ({"after": after} if after else {})
        page = (await client.get("/v1/customers", params=params, headers=client.speaking_as(seller.caller))).json()
        found += [each["email"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == [f"c{number}@example.com" for number in reversed(range(5))]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"email": "nobody"}, 422, "validation_failed"),
        ({"email": "a\u0000@example.com"}, 422, "validation_failed"),
        ({"email": None}, 422, "validation_failed"),
        ({"email": "a" * 250 + "@example.com"}, 422, "validation_failed"),
        ({"name": " "}, 422, "validation_failed"),
        ({"name": "A\nB"}, 422, "validation_failed"),
        ({"notes": "a\u0000"}, 422, "validation_failed"),
        ({"customer_group": ""}, 422, "validation_failed"),
        ({"addresses": [{"line1": "1 Quay"}]}, 422, "validation_failed"),
        ({"addresses": [{**HOME, "is_default": True}] * 2}, 422, "validation_failed"),
        ({"addresses": [HOME] * 51}, 422, "validation_failed"),
        ({"addresses": [{**HOME, "kind": "holiday"}]}, 422, "validation_failed"),
        ({"points": 3}, 422, "validation_failed"),
    ],
)
async def test_bad_customers_are_refused(
    client: Client, seller: Seller, fields: dict[str, Any], status: int, code: str
) -> None:
    refused = await create(client, seller.caller, **fields)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_what_cannot_be_looked_for_is_refused(client: Client, seller: Seller) -> None:
    for parameters in ({"email": "nobody"}, {"email": "a\u0000@example.com"}, {"group": "a\u0000"}, {"group": ""}):
        answer = await client.get("/v1/customers", params=parameters, headers=client.speaking_as(seller.caller))
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), parameters


async def test_of_many_with_one_address_at_once_one_is_made(client: Client, seller: Seller) -> None:
    spellings = ["ada@example.com", "ADA@example.com", " ada@Example.com "] * 5
    answers = await asyncio.gather(*(create(client, seller.caller, email=email) for email in spellings))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 14
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (refused["code"], refused["errors"]) == ("customer_exists", [{"customer_id": made["id"]}])
    other = (await create(client, seller.caller, email="grace@example.com")).json()
    path = f"/v1/customers/{other['id']}"
    taken = await client.patch(path, json={"email": "Ada@example.com"}, headers=client.speaking_as(seller.caller))
    assert (taken.status_code, taken.json()["code"]) == (409, "customer_exists")
    assert (await create(client, caller_of(new_id()))).status_code == 201, "another organization knows its own"


async def test_orders_of_one_address_are_one_customers_history(client: Client, seller: Seller) -> None:
    first = await place(client, seller.storefront(), "Ada@example.com")
    second = await place(client, seller.storefront(), "ada@EXAMPLE.com")
    headers = client.speaking_as(seller.caller)
    (customer,) = (await client.get("/v1/customers", headers=headers)).json()["items"]
    path = f"/v1/customers/{customer['id']}/orders"
    page = (await client.get(path, params={"first": 1}, headers=headers)).json()
    rest = (await client.get(path, params={"after": page["next"]}, headers=headers)).json()
    assert [each["number"] for each in page["items"] + rest["items"]] == [second["number"], first["number"]]
    query = "query($id: UUID!) { orders(customerId: $id) { nodes { number } } }"
    answer = await client.post("/graphql", json={"query": query, "variables": {"id": customer["id"]}}, headers=headers)
    assert len(answer.json()["data"]["orders"]["nodes"]) == 2


async def test_a_storefront_sees_its_own_and_not_what_the_merchant_notes(client: Client, seller: Seller) -> None:
    here, elsewhere = seller.storefront(), seller.storefront()
    await create(client, seller.caller, notes="pays late", customer_group="wholesale")
    await create(client, seller.caller, email="grace@example.com")
    assert (await client.get("/v1/customers", headers=client.speaking_as(here))).json()["items"] == []
    taken = await create(client, here)
    assert (taken.status_code, taken.json().get("errors")) == (409, None), "nobody learns whose it is"
    await place(client, here)
    (seen,) = (await client.get("/v1/customers", headers=client.speaking_as(here))).json()["items"]
    assert (seen["notes"], seen["customer_group"]) == (None, "wholesale")
    path = f"/v1/customers/{seen['id']}"
    hidden = await client.get(path, headers=client.speaking_as(elsewhere))
    assert (hidden.status_code, hidden.json()["code"]) == (404, "customer_not_found")
    assert (await client.patch(path, json={"phone": "1"}, headers=client.speaking_as(elsewhere))).status_code == 404
    assert (await client.patch(path, json={"phone": "1"}, headers=client.speaking_as(here))).status_code == 200
    for change in ({"customer_group": "vip"}, {"notes": None}):
        refused = await client.patch(path, json=change, headers=client.speaking_as(here))
        assert (refused.status_code, refused.json()["code"]) == (403, "not_for_storefronts")
    own = await create(client, elsewhere, email="mary@example.com")
    assert own.status_code == 201
    for caller in (seller.caller, elsewhere):
        found = await client.get(f"/v1/customers/{own.json()['id']}", headers=client.speaking_as(caller))
        assert found.status_code == 200
    for verb in ("export", "erase"):
        method, sent = ("GET", None) if verb == "export" else ("POST", {"reason": "x"})
        refused = await client.request(method, f"{path}/{verb}", json=sent, headers=client.speaking_as(here))
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


async def test_who_is_limited_to_shops_sees_who_bought_there(client: Client, seller: Seller) -> None:
    await place(client, seller.storefront())
    await create(client, seller.caller, email="grace@example.com")
    there = caller_of(seller.organization_id, "orders:write", shop_ids=[seller.shop.id])
    elsewhere = caller_of(seller.organization_id, "orders:write", shop_ids=[new_id()])
    emails = {}
    for name, caller in (("there", there), ("elsewhere", elsewhere)):
        items = (await client.get("/v1/customers", headers=client.speaking_as(caller))).json()["items"]
        emails[name] = [each["email"] for each in items]
    assert emails == {"there": ["ada@example.com"], "elsewhere": []}
    (ada,) = (await client.get("/v1/customers", headers=client.speaking_as(there))).json()["items"]
    for verb, sent in (("export", None), ("erase", {"reason": "x"})):
        method = "POST" if sent else "GET"
        refused = await client.request(
            method, f"/v1/customers/{ada['id']}/{verb}", json=sent, headers=client.speaking_as(there)
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "only_for_the_whole")


async def test_the_group_decides_the_price_in_quotes_and_orders(client: Client, seller: Seller) -> None:
    headers = client.speaking_as(seller.caller)
    draft = {"shop": "main", "name": "Wholesale", "customer_group": "wholesale"}
    made = await client.post("/v1/price-lists", json=draft, headers=headers)
    assert made.status_code == 201, made.text
    prices = [{"sku": "MUG", "price": {"amount": 700, "currency": "USD"}}]
    priced = {"price_list_id": made.json()["id"], "prices": prices}
    assert (await client.put("/v1/prices", json=priced, headers=headers)).status_code == 200
    await create(client, seller.caller, customer_group="wholesale")
    storefront = seller.storefront()
    lines = [{"sku": "MUG", "quantity": 2}, {"sku": "CUP", "quantity": 1}]

    async def quoted(email: str | None) -> dict[str, Any]:
        sent = {"shop": "main", "lines": lines} | ({"customer": {"email": email, "name": "A"}} if email else {})
        quote: dict[str, Any] = (
            await client.post("/v1/quotes", json=sent, headers=client.speaking_as(storefront))
        ).json()
        return quote

    assert [(await quoted(email))["total"]["amount"] for email in (None, "grace@example.com", "ADA@example.com")] == [
        2250,
        2250,
        1650,
    ]
    order = await place(client, storefront, lines=lines)
    assert [line["unit_price"]["amount"] for line in order["lines"]] == [700, 250]
    by_quote = await place(client, storefront, lines=None, quote_id=(await quoted("ada@example.com"))["id"])
    assert by_quote["total"]["amount"] == 1650
    key = client.speaking_as(storefront, Idempotency_Key=new_id().hex)
    of_others = body(lines=lines, customer={"email": "grace@example.com", "name": "G"})
    refused = await client.post(
        "/v1/orders", json=of_others | {"quote_id": (await quoted("ada@example.com"))["id"]}, headers=key
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed"), "a quote is for whom it was made"
    other = await place(client, storefront, "grace@example.com", lines=lines)
    assert other["total"]["amount"] == 2250


# --- privacy

MARK = "Zephyrine"
PERSON = {"email": f"{MARK}@example.com", "name": f"{MARK} Quill"}


async def bought(client: Client, seller: Seller) -> dict[str, Any]:
    """An order of our person that is over, and a quote."""
    address = {**ADDRESS, "name": f"{MARK} Quill", "line1": f"{MARK} House", "phone": "+1 555 0199"}
    storefront = seller.storefront()
    quote = {"shop": "main", "lines": [{"sku": "CUP", "quantity": 1}], "customer": PERSON, "shipping_address": address}
    assert (await client.post("/v1/quotes", json=quote, headers=client.speaking_as(storefront))).status_code == 201
    headers = client.speaking_as(storefront, Idempotency_Key=new_id().hex)
    placed = await client.post("/v1/orders", json=body(customer=PERSON, shipping_address=address), headers=headers)
    order: dict[str, Any] = placed.json()
    return order


async def traces(seller: Seller, mark: str) -> set[str]:
    """The tables of orders and payments in which a text still stands, whatever their columns are."""
    found = set()
    for service in ("orders", "payments"):
        uow = seller.process.surroundings.unit_of_work(service, service_envelope(service, seller.organization_id))
        try:
            tables = await uow.fetch(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relrowsecurity"
                " AND has_table_privilege(c.oid, 'SELECT')",
                service,
            )
            for table in (row["relname"] for row in tables):
                question = f"SELECT EXISTS (SELECT FROM {table} t WHERE position(lower($1) in lower(t::text)) > 0)"
                if await uow.fetchval(question, mark):
                    found.add(f"{service}.{table}")
        finally:
            await uow.rollback()
    return found


# They forget by themselves: repeated answers within days.
FORGETFUL = {"orders.idempotency"}


async def test_an_erased_person_is_nowhere_and_the_books_add_up(client: Client, seller: Seller) -> None:
    order = await bought(client, seller)
    headers = client.speaking_as(seller.caller)
    (customer,) = (await client.get("/v1/customers", params={"email": PERSON["email"]}, headers=headers)).json()[
        "items"
    ]
    path = f"/v1/customers/{customer['id']}"
    details = {
        "phone": f"{MARK}",
        "notes": f"{MARK} likes tea",
        "customer_group": "vip",
        "addresses": [{**HOME, "line1": MARK}],
    }
    assert (await client.patch(path, json=details, headers=headers)).status_code == 200
    refused = await client.post(f"{path}/erase", json={"reason": "asked"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "customer_has_open_orders")
    assert refused.json()["errors"] == [{"number": order["number"]}]
    assert (await client.post(f"{path}/erase", json={}, headers=headers)).status_code == 422
    cancelled = await client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "x"}, headers=headers)
    assert cancelled.status_code == 200
    assert await traces(seller, MARK) >= {
        "orders.customers",
        "orders.orders",
        "orders.quotes",
        "orders.customer_addresses",
    }
    stale = await client.post(f"{path}/erase", json={"reason": "asked"}, headers=headers | {"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "customer_changed_since")
    erased = await client.post(f"{path}/erase", json={"reason": "asked by letter"}, headers=headers)
    assert erased.status_code == 200, erased.text
    assert (erased.json()["name"], erased.json()["addresses"], erased.json()["phone"]) == ("Erased", [], None)
    assert await traces(seller, MARK) <= FORGETFUL
    after = (await client.get(f"/v1/orders/{order['id']}", headers=headers)).json()
    assert (after["total"], after["lines"], after["number"]) == (
        order["total"], [{**line, "status": "cancelled"} for line in order["lines"]], order["number"]
    )  # fmt: skip
    known = {name: value for name, value in after["shipping_address"].items() if value is not None}
    assert known == {"line1": "Erased", "city": "Erased", "country": "US"}
    assert after["timeline"][-1]["kind"] == "erased"
    again = await client.post(f"{path}/erase", json={"reason": "asked again"}, headers=headers)
    assert (again.status_code, again.json()) == (200, erased.json())
    assert (await client.get(f"/v1/orders/{order['id']}", headers=headers)).json()["version"] == after["version"]
    changed = await client.patch(path, json={"name": "Back"}, headers=headers)
    assert (changed.status_code, changed.json()["code"]) == (409, "customer_erased")
    assert (await client.get("/v1/customers", headers=headers)).json()["items"] == []

    async def audited() -> Any:
        log = (await client.get("/v1/audit-log", params={"action": "customer.erase"}, headers=headers)).json()["items"]
        return [entry["reason"] for entry in log] == ["asked by letter"]

    await eventually(audited)
    whole_log = (await client.get("/v1/audit-log", headers=headers)).text
    assert MARK.lower() not in whole_log.lower()
    back = await bought(client, seller)
    (new,) = (await client.get("/v1/customers", headers=headers)).json()["items"]
    assert new["id"] != customer["id"]
    assert back["number"] != order["number"]


@pytest.mark.parametrize("written", ["É.Zephyrine@example.com", "e\u0301.Zephyrine@example.com"])
async def test_whoever_writes_an_address_otherwise_is_forgotten_all_the_same(
    client: Client, seller: Seller, written: str
) -> None:
    """The database knows small letters of English alone, and takes letters apart from their accents."""
    headers = client.speaking_as(seller.caller)
    person = {"email": written, "name": f"{MARK} Quill"}
    quote = {"shop": "main", "lines": [{"sku": "CUP", "quantity": 1}], "customer": person}
    quoted = await client.post("/v1/quotes", json=quote, headers=client.speaking_as(seller.storefront()))
    assert quoted.status_code == 201, quoted.text
    made = await create(client, seller.caller, email=written, name=f"{MARK} Quill")
    erased = await client.post(f"/v1/customers/{made.json()['id']}/erase", json={"reason": "asked"}, headers=headers)
    assert erased.status_code == 200, erased.text
    assert await traces(seller, MARK) <= FORGETFUL


async def test_no_order_comes_to_somebody_who_is_being_forgotten(client: Client, seller: Seller) -> None:
    made = (await create(client, seller.caller)).json()
    headers = client.speaking_as(seller.caller)

    async def erase() -> Any:
        return await client.post(f"/v1/customers/{made['id']}/erase", json={"reason": "asked"}, headers=headers)

    *orders, erased = await asyncio.gather(*(place(client, seller.storefront()) for _ in range(5)), erase())
    items = (await client.get("/v1/orders", headers=headers)).json()["items"]
    assert len(items) == len(orders) == 5
    of_erased = (await client.get(f"/v1/customers/{made['id']}/orders", headers=headers)).json()["items"]
    if erased.status_code == 200:
        assert of_erased == []
    else:
        assert (erased.status_code, erased.json()["code"]) == (409, "customer_has_open_orders")


async def test_all_that_is_kept_on_a_person_is_told_as_one_document(client: Client, seller: Seller) -> None:
    orders = [await bought(client, seller) for _ in range(3)]
    await place(client, seller.storefront(), "grace@example.com")
    headers = client.speaking_as(seller.caller)
    (customer,) = (await client.get("/v1/customers", params={"email": PERSON["email"]}, headers=headers)).json()[
        "items"
    ]
    answer = await client.get(f"/v1/customers/{customer['id']}/export", headers=headers)
    assert answer.status_code == 200, answer.text
    document = orjson.loads(answer.content)
    assert document["customer"] == customer
    assert [each["number"] for each in document["items"]] == [each["number"] for each in reversed(orders)]
    assert document["items"][0]["timeline"][0]["kind"] == "placed"
    assert (document["payments"], document["next"]) == ([], None)
    query = (
        "query($id: UUID!, $after: String) { customerExport(customerId: $id, first: 2, after: $after)"
        " { customer { email } payments nodes { number } pageInfo { endCursor hasNextPage } } }"
    )
    variables: dict[str, Any] = {"id": customer["id"]}
    first = (await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)).json()
    page = first["data"]["customerExport"]
    assert (len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (2, True)
    variables["after"] = page["pageInfo"]["endCursor"]
    rest = (await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)).json()
    assert [each["number"] for each in rest["data"]["customerExport"]["nodes"]] == [orders[0]["number"]]

    async def audited() -> bool:
        log = await client.get("/v1/audit-log", params={"action": "customer.export"}, headers=headers)
        return len(log.json()["items"]) == 2

    await eventually(audited)


async def test_another_organization_has_no_such_customer(client: Client, seller: Seller, stranger: Caller) -> None:
    made = (await create(client, seller.caller)).json()
    path, headers = f"/v1/customers/{made['id']}", client.speaking_as(stranger)
    for method, to, sent in (
        ("GET", path, None),
        ("PATCH", path, {"name": "X"}),
        ("GET", f"{path}/orders", None),
        ("GET", f"{path}/export", None),
        ("POST", f"{path}/erase", {"reason": "x"}),
    ):
        refused = await client.request(method, to, json=sent, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (404, "customer_not_found"), (method, to)
    reader = client.speaking_as(caller_of(seller.organization_id, "orders:read"))
    for method, to, sent in (("PATCH", path, {"name": "X"}), ("POST", f"{path}/erase", {"reason": "x"})):
        refused = await client.request(method, to, json=sent, headers=reader)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    supplier = client.speaking_as(caller_of(seller.organization_id, "inventory:write"))
    assert (await client.get(path, headers=supplier)).status_code == 403


async def test_graphql_makes_changes_and_erases(client: Client, seller: Seller) -> None:
    async def ask(text: str, **variables: Any) -> Any:
        headers = client.speaking_as(seller.caller)
        answer = await client.post("/graphql", json={"query": text, "variables": variables}, headers=headers)
        return answer.json()["data"]

    create_text = (
        "mutation($c: NewCustomerInput!) { createCustomer(customer: $c) { ... on Customer { id uuid email"
        " addresses { kind isDefault line1 } } ... on Problem { code } } }"
    )
    draft = {"email": "Ada@example.com", "addresses": [{**HOME, "kind": "BILLING", "isDefault": True}]}
    made = (await ask(create_text, c=draft))["createCustomer"]
    assert made["addresses"] == [{"kind": "BILLING", "isDefault": True, "line1": "1 Quay"}]
    assert (await ask(create_text, c=draft))["createCustomer"] == {"code": "customer_exists"}
    change = (
        "mutation($id: UUID!, $c: CustomerChangeInput!) { updateCustomer(customerId: $id, change: $c)"
        " { ... on Customer { name customerGroup version } ... on Problem { code } } }"
    )
    changed = (await ask(change, id=made["id"], c={"customerGroup": "vip"}))["updateCustomer"]
    assert changed == {"name": None, "customerGroup": "vip", "version": 2}
    found = await ask(
        '{ customers(email: "ADA@example.com") { nodes { email } } customer: customers { nodes { id } } }'
    )
    assert found == {
        "customers": {"nodes": [{"email": "ada@example.com"}]},
        "customer": {"nodes": [{"id": made["id"]}]},
    }
    erase = (
        'mutation($id: UUID!) { eraseCustomer(customerId: $id, reason: "asked") { ... on Customer { name erasedAt }'
        " ... on Problem { code } } }"
    )
    assert (await ask(erase, id=made["id"]))["eraseCustomer"]["name"] == "Erased"
    assert UUID(made["uuid"])
