"""Suppliers and what they supply: one primary link per SKU, whoever writes it and whenever."""

import asyncio
from typing import Any

import pytest

from shared.contracts.base import Message
from shared.contracts.inventory.suppliers import (
    ChangeSupplier,
    ChangeSupplierLink,
    CreateSupplier,
    CreateSupplierLink,
    GetSupplierLink,
    ListSupplierLinks,
    ListSuppliers,
    RemoveSupplierLink,
    Supplier,
    SupplierChange,
    SupplierDraft,
    SupplierLink,
    SupplierLinkChange,
    SupplierLinkDraft,
)
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import Client, caller_of, eventually
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-8")


@pytest.fixture
def merchant(merchant_of_stock: Merchant) -> Merchant:
    return merchant_of_stock


async def supplier(merchant: Merchant, code: str, **fields: Any) -> Supplier:
    draft = SupplierDraft(**{"code": code, "name": code.title(), "currency": "USD", **fields})
    return await merchant.ask(CreateSupplier(supplier=draft))


async def link(merchant: Merchant, code: str, sku: str, **fields: Any) -> SupplierLink:
    return await merchant.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier=code, sku=sku, **fields)))


async def refused(merchant: Merchant, message: Message[Any]) -> str:
    with pytest.raises(CarriedError) as refusal:
        await merchant.ask(message)
    return refusal.value.code


async def primaries(merchant: Merchant, sku: str) -> list[str]:
    page = await merchant.ask(ListSupplierLinks(sku=sku))
    return [each.supplier for each in page.items if each.is_primary]


async def test_suppliers_are_made_and_changed(merchant: Merchant) -> None:
    made = await supplier(merchant, "looms", contact_email="a@example.com", lead_time_days=7)
    with pytest.raises(CarriedError) as taken:
        await supplier(merchant, "looms")
    assert taken.value.code == "supplier_code_taken"
    change = SupplierChange(name="Skerry Looms", lead_time_days=None, currency="EUR")
    changed = await merchant.ask(ChangeSupplier(supplier_id=made.id, change=change, expected_version=1))
    assert (changed.name, changed.lead_time_days, changed.currency, changed.contact_email, changed.version) == (
        "Skerry Looms",
        None,
        "EUR",
        "a@example.com",
        2,
    )
    late = ChangeSupplier(supplier_id=made.id, change=SupplierChange(name="x"), expected_version=1)
    assert await refused(merchant, late) == "supplier_changed_since"
    unknown = ChangeSupplier(supplier_id=made.id, change=SupplierChange(currency="XXX"))
    assert await refused(merchant, unknown) == "unknown_currency"
    answers = await asyncio.gather(*(supplier(merchant, "same") for _ in range(5)), return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, Supplier)]) == 1
    assert [each.code for each in (await merchant.ask(ListSuppliers())).items] == ["looms", "same"]


async def test_one_link_of_a_sku_is_primary(merchant: Merchant) -> None:
    await supplier(merchant, "a", lead_time_days=9)
    await supplier(merchant, "b")
    cost = Money(amount=250, currency="EUR")
    first = await link(merchant, "a", "MUG", supplier_sku="A-1", cost=cost, pack_size=6, is_primary=True)
    assert (first.cost, first.pack_size, first.minimum_quantity, first.lead_time_days) == (cost, 6, 1, 9)
    second = await link(merchant, "b", "MUG", is_primary=True)
    await link(merchant, "a", "CUP", is_primary=True)
    assert (await primaries(merchant, "MUG"), await primaries(merchant, "CUP")) == (["b"], ["a"])
    known = await merchant.ask(GetSupplierLink(link_id=first.id))
    assert (known.is_primary, known.version) == (False, 2)
    stale = ChangeSupplierLink(link_id=first.id, change=SupplierLinkChange(is_primary=True), expected_version=1)
    assert await refused(merchant, stale) == "supplier_link_changed_since"
    await merchant.ask(ChangeSupplierLink(link_id=first.id, change=SupplierLinkChange(is_primary=True, cost=None)))
    assert await primaries(merchant, "MUG") == ["a"]
    await merchant.ask(RemoveSupplierLink(link_id=second.id))
    assert await refused(merchant, GetSupplierLink(link_id=second.id)) == "supplier_link_not_found"
    again = CreateSupplierLink(link=SupplierLinkDraft(supplier="a", sku="MUG"))
    assert await refused(merchant, again) == "supplier_link_exists"
    nobody = CreateSupplierLink(link=SupplierLinkDraft(supplier="nobody", sku="MUG"))
    assert await refused(merchant, nobody) == "supplier_not_found"
    owed = SupplierLinkDraft(supplier="b", sku="MUG", cost=Money(amount=-1, currency="USD"))
    assert await refused(merchant, CreateSupplierLink(link=owed)) == "negative_cost"
    assert [each.sku for each in (await merchant.ask(ListSupplierLinks(supplier="a"))).items] == ["CUP", "MUG"]


async def test_many_primaries_at_once_are_one(merchant: Merchant) -> None:
    codes = [f"s{number}" for number in range(6)]
    for code in codes:
        await supplier(merchant, code)
    made = await asyncio.gather(*(link(merchant, code, "HOT", is_primary=True) for code in codes))
    assert len(await primaries(merchant, "HOT")) == 1
    change = SupplierLinkChange(is_primary=True)
    await asyncio.gather(*(merchant.ask(ChangeSupplierLink(link_id=each.id, change=change)) for each in made))
    assert len(await primaries(merchant, "HOT")) == 1


# --- files


async def imported(client: Client, headers: dict[str, str], group: str, rows: str, **options: str) -> dict[str, Any]:
    answer = await client.post(
        "/v1/imports", params={"group": group, **options}, content=rows.encode(), headers=headers | CSV
    )
    assert answer.status_code == 202, answer.text
    import_id = answer.json()["id"]

    async def over() -> Any:
        found = (await client.get(f"/v1/imports/{import_id}", headers=headers)).json()
        return found if found["finished_at"] else None

    found: dict[str, Any] = await eventually(over)
    return found


CSV = {"Content-Type": "text/csv"}


async def remarks(client: Client, headers: dict[str, str], done: dict[str, Any]) -> list[tuple[int, str]]:
    page = (await client.get(f"/v1/imports/{done['id']}/remarks", headers=headers)).json()
    return [(each["row"], each["code"]) for each in page["items"]]


@pytest.mark.feature("CAT-5")
async def test_suppliers_and_links_come_as_files(client: Client, merchant: Merchant) -> None:
    headers = client.speaking_as(merchant.caller)
    suppliers = (
        "code,name,contact_email,currency,lead_time_days,is_active\n"
        "looms,Skerry Looms,a@example.com,USD,7,yes\n"
        "mills,Mills,,EUR,,\n"
        "bad code,Bad,,USD,,\n"
        "nameless,,,USD,,\n"
        "odd,Odd,,XXX,,\n"
        "slow,Slow,,USD,-3,\n"
    )
    done = await imported(client, headers, "suppliers", suppliers)
    assert (done["counters"]["suppliers_inserted"], done["counters"]["errors"]) == (2, 4)
    assert await remarks(client, headers, done) == [
        (4, "invalid_value"),
        (5, "missing_value"),
        (6, "unknown_currency"),
        (7, "invalid_value"),
    ]
    again = await imported(client, headers, "suppliers", "code,name\nlooms,Skerry Looms\nmills,The Mills\nnew,New\n")
    counters = again["counters"]
    assert (counters["suppliers_unchanged"], counters["suppliers_updated"], counters["errors"]) == (1, 1, 1)
    known = {each.code: each for each in (await merchant.ask(ListSuppliers())).items}
    assert (known["mills"].name, known["mills"].currency, known["looms"].version) == ("The Mills", "EUR", 1)

    closing = "code,is_active\nlooms,no\nnone,no\n"
    held = await imported(client, headers, "suppliers", closing, mode="update-only")
    assert (held["state"], held["harms"]) == ("held", [{"what": "suppliers_deactivated", "count": 1, "of": 2}])
    assert all(each.is_active for each in (await merchant.ask(ListSuppliers())).items)
    let = await imported(client, headers, "suppliers", closing, mode="update-only", guard_percent="50")
    assert (let["state"], let["counters"]["suppliers_updated"]) == ("succeeded", 1)
    back = await imported(client, headers, "suppliers", "code,is_active\nlooms,yes\nmills,yes\n", guard_percent="0")
    assert (back["state"], back["harms"]) == ("succeeded", [])

    links = (
        "supplier,sku,supplier_sku,cost,currency,pack_size,is_primary\n"
        "looms,MUG,L-1,12.50,,6,yes\n"
        "mills,MUG,M-1,9.99,,,yes\n"
        "mills,CUP,,3,USD,,\n"
        "nobody,MUG,,,,,\n"
        "looms,JUG,,12.345,,,\n"
        "looms,JAR,,,,0,\n"
    )
    done = await imported(client, headers, "supplier-links", links)
    assert (done["counters"]["supplier_links_inserted"], done["counters"]["errors"]) == (3, 3)
    assert await remarks(client, headers, done) == [
        (5, "supplier_not_found"),
        (6, "invalid_price"),
        (7, "invalid_value"),
    ]
    mugs = {each.supplier: each for each in (await merchant.ask(ListSupplierLinks(sku="MUG"))).items}
    assert (mugs["looms"].cost, mugs["looms"].pack_size) == (Money(amount=1250, currency="USD"), 6)
    assert (mugs["mills"].cost, mugs["mills"].pack_size) == (Money(amount=999, currency="EUR"), 1)
    assert await primaries(merchant, "MUG") == ["mills"]
    # The row that says so is the primary one, also before one that was.
    swap = "supplier,sku,supplier_sku,is_primary\nlooms,MUG,,yes\nmills,MUG,M-2,\n"
    done = await imported(client, headers, "supplier-links", swap)
    assert done["counters"]["supplier_links_updated"] == 2
    assert await primaries(merchant, "MUG") == ["looms"]
    same = await imported(client, headers, "supplier-links", swap.replace("yes", "yes"))
    assert same["counters"]["supplier_links_unchanged"] == 2
    only_new = await imported(client, headers, "supplier-links", links, mode="insert-only")
    assert only_new["counters"]["supplier_links_skipped"] == 3
    dry = await imported(client, headers, "suppliers", "code,name\nlooms,Other\n", dry_run="true")
    samples = (await client.get(f"/v1/imports/{dry['id']}/samples", headers=headers)).json()["items"]
    assert samples[0]["fields"] == [{"field": "name", "before": "Skerry Looms", "after": "Other"}]
    assert {each.name for each in (await merchant.ask(ListSuppliers())).items} == {"Skerry Looms", "The Mills"}
    refusal = await client.post("/v1/imports?group=suppliers&shop=main", content=b"code\n", headers=headers | CSV)
    assert (refusal.status_code, refusal.json()["code"]) == (422, "suppliers_have_no_shop")


async def test_the_doors(client: Client, merchant: Merchant) -> None:
    headers = client.speaking_as(merchant.caller)
    body = {"code": "looms", "name": "Looms", "currency": "USD"}
    made = await client.post("/v1/suppliers", json=body, headers=headers)
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    changed = await client.patch(path, json={"lead_time_days": 3}, headers=headers | {"If-Match": '"1"'})
    assert (changed.json()["lead_time_days"], changed.headers["etag"]) == (3, '"2"')
    wanted = {"supplier": "looms", "sku": "MUG", "cost": {"amount": 100, "currency": "USD"}}
    created = await client.post("/v1/supplier-links", json=wanted, headers=headers)
    assert created.status_code == 201, created.text
    link_path = created.headers["location"]
    patched = await client.patch(link_path, json={"is_primary": True}, headers=headers)
    assert (patched.json()["is_primary"], patched.json()["lead_time_days"]) == (True, 3)
    query = """{ suppliers { edges { node { code leadTimeDays } } }
        supplierLinks(sku: "MUG") { edges { node { supplier cost { amount } isPrimary } } } }"""
    found = (await client.post("/graphql", json={"query": query}, headers=headers)).json()["data"]
    assert found["suppliers"]["edges"][0]["node"] == {"code": "looms", "leadTimeDays": 3}
    node = {"supplier": "looms", "cost": {"amount": 100}, "isPrimary": True}
    assert found["supplierLinks"]["edges"][0]["node"] == node
    mutation = """mutation { createSupplier(supplier: {code: "mills", name: "Mills", currency: "EUR"}) {
        ... on Supplier { code } ... on Problem { code } } }"""
    answer = (await client.post("/graphql", json={"query": mutation}, headers=headers)).json()
    assert answer["data"]["createSupplier"] == {"code": "mills"}
    reader = client.speaking_as(caller_of(merchant.organization_id, "inventory:read"))
    stranger = client.speaking_as(caller_of(new_id()))
    for url, sent in (("/v1/suppliers", body), ("/v1/supplier-links", wanted)):
        assert (await client.post(url, json=sent, headers=reader)).json()["code"] == "missing_scope"
        assert (await client.get(url, headers=stranger)).json()["items"] == []
    assert (await client.post("/v1/supplier-links", json=wanted, headers=stranger)).json()[
        "code"
    ] == "supplier_not_found"
    assert (await client.delete(link_path, headers=stranger)).json()["code"] == "supplier_link_not_found"
    wrong_ones: list[dict[str, Any]] = [
        {"pack_size": 0},
        {"minimum_quantity": -1},
        {"pack_size": 10**9},
        {"cost": {"amount": 1.5, "currency": "USD"}},
        {"cost": {"amount": 10**18, "currency": "USD"}},
        {"cost": {"amount": 1, "currency": "XXX"}},
        {"supplier_sku": "\0"},
        {"sku": ""},
    ]
    for wrong in wrong_ones:
        bad = await client.post("/v1/supplier-links", json={**wanted, "sku": "NEW", **wrong}, headers=headers)
        assert bad.status_code == 422, (wrong, bad.text)
    assert (await client.delete(link_path, headers=headers)).status_code == 204
