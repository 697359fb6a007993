"""Whoever does not hear an answer asks again with the same key: it was done once, and is answered as it was the first
time, for a week; the same key for something else is refused."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy import topology
from services.orders.repository import orders as orders_repository
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.inventory.ledger import AdjustStock
from shared.contracts.inventory.messages import ListFulfilmentCentres, UnassignFulfilmentCentre
from shared.contracts.orders.lists import ListOrders
from shared.contracts.orders.messages import PlaceOrder
from shared.identifiers import new_id
from shared.messaging import sweeping
from shared.unit_of_work import UnitOfWork
from tests.doors import Client
from tests.factories.orders import Seller, body

pytestmark = pytest.mark.feature("ORD-1", "GAT-1")


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00"}, {"MUG": 10})


async def place(client: Client, caller: Caller, key: str, **fields: Any) -> Any:
    headers = client.speaking_as(caller, Idempotency_Key=key)
    return await client.post("/v1/orders", json=body(**fields), headers=headers)


async def orders_of(seller: Seller) -> list[str]:
    return [str(order.id) for order in (await seller.ask(ListOrders())).items]


# --- after a time-out


@contextmanager
def commit_is_not_heard(monkeypatch: pytest.MonkeyPatch, key: str) -> Iterator[None]:
    """What is asked with this key is committed, and the word of it comes back only afterwards."""
    heard, original = asyncio.Event(), UnitOfWork._finish

    async def finish(self: UnitOfWork, statement: str) -> None:
        await original(self, statement)
        if self.envelope.idempotency_key == key and statement == "COMMIT":
            await heard.wait()

    with monkeypatch.context() as patched:
        patched.setattr(UnitOfWork, "_finish", finish)
        yield
    heard.set()


async def test_an_order_that_was_stored_as_its_time_ran_out_is_the_answer_of_the_repeat(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    storefront, key = seller.storefront(), new_id().hex
    with commit_is_not_heard(monkeypatch, key), monkeypatch.context() as patched:
        patched.setattr(PlaceOrder, "timeout_seconds", 1.5)
        late = await place(client, storefront, key)
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    (order_id,) = await orders_of(seller)
    await seller.price({"MUG": "99.00"})
    answers = await asyncio.gather(*(place(client, storefront, key) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert (answers[0].json()["id"], answers[0].json()["total"]["amount"]) == (order_id, 2000)
    assert await orders_of(seller) == [order_id]
    assert (await seller.level("MUG")).reserved == 2


async def test_an_order_that_was_not_stored_as_its_time_ran_out_is_placed_by_the_repeat_once(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    storefront, key = seller.storefront(), new_id().hex

    async def hangs(*_arguments: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(PlaceOrder, "timeout_seconds", 1.5)
        patched.setattr(orders_repository, "add_orders", hangs)
        late = await place(client, storefront, key)
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    assert await orders_of(seller) == []
    # Its stock is held meanwhile: nobody else can have bought it.
    assert (await seller.level("MUG")).reserved == 2
    first, again = [await place(client, storefront, key) for _ in range(2)]
    assert (first.status_code, again.text) == (201, first.text)
    assert await orders_of(seller) == [first.json()["id"]]
    assert (await seller.level("MUG")).reserved == 2


# --- for a week


async def keep_house(seller: Seller, service: str) -> None:
    """What the sweeper does every minute, across tenants."""
    envelope = service_envelope(service, None)
    uow = seller.process.surroundings.unit_of_work(service, envelope, across_tenants=True)
    await sweeping.purge(uow)
    await uow.commit()


async def let_keys_age(seller: Seller, service: str, age: str) -> None:
    await seller.change(service, f"UPDATE idempotency SET created_at = now() - interval '{age}'")
    await keep_house(seller, service)


async def test_a_key_is_known_for_a_week(client: Client, seller: Seller) -> None:
    storefront, key = seller.storefront(), new_id().hex
    first = await place(client, storefront, key)
    await let_keys_age(seller, "orders", "6 days 23 hours")
    await seller.price({"MUG": "99.00"})
    again = await place(client, storefront, key)
    assert (again.status_code, again.text) == (201, first.text)
    other = await place(client, storefront, key, lines=[{"sku": "MUG", "quantity": 3}])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await orders_of(seller)) == 1


@pytest.mark.feature("INV-2")
async def test_what_changes_stock_is_not_done_twice_within_a_week(client: Client, seller: Seller) -> None:
    headers = client.speaking_as(seller.caller, Idempotency_Key=new_id().hex)
    change = AdjustStock(sku="MUG", delta=-3, reason="broken").model_dump(mode="json", exclude_none=True)
    first = await client.post("/v1/stock/adjust", json=change, headers=headers)
    await let_keys_age(seller, "inventory", "6 days 23 hours")
    await seller.stocked({"MUG": 50})
    again = await client.post("/v1/stock/adjust", json=change, headers=headers)
    assert (again.status_code, again.text) == (200, first.text)
    assert (await seller.level("MUG")).on_hand == 50
    await let_keys_age(seller, "inventory", "8 days 1 minute")
    anew = await client.post("/v1/stock/adjust", json=change, headers=headers)
    assert anew.json()["on_hand"] == 47


async def test_an_order_is_not_placed_twice_when_its_key_was_forgotten(client: Client, seller: Seller) -> None:
    storefront, key = seller.storefront(), new_id().hex
    first = await place(client, storefront, key)
    await let_keys_age(seller, "orders", "8 days 1 minute")
    again = await place(client, storefront, key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert len(await orders_of(seller)) == 1


# --- for something else


@pytest.mark.parametrize(
    "other",
    [
        {"lines": [{"sku": "MUG", "quantity": 1}]},
        {"customer": {"email": "bob@example.com", "name": "Bob"}},
        {"expected_total": {"amount": 1, "currency": "USD"}},
    ],
    ids=["lines", "customer", "total"],
)
async def test_the_same_key_with_another_body_is_refused(client: Client, seller: Seller, other: Any) -> None:
    storefront, key = seller.storefront(), new_id().hex
    first = await place(client, storefront, key)
    refused = await place(client, storefront, key, **other)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await place(client, storefront, key)).text == first.text
    assert (await seller.level("MUG")).reserved == 2


async def test_the_same_key_in_graphql_and_rest_is_the_same_command(client: Client, seller: Seller) -> None:
    storefront, key = seller.storefront(), new_id().hex
    first = await place(client, storefront, key)
    headers = client.speaking_as(storefront, Idempotency_Key=key)
    mutation = (
        'mutation { placeOrder(shop: "main", lines: [{sku: "MUG", quantity: 9}]) {'
        " ... on Order { number } ... on Problem { code } } }"
    )
    answer = await client.post("/graphql", json={"query": mutation}, headers=headers)
    assert answer.json()["data"]["placeOrder"] == {"code": "idempotency_key_reused"}
    assert await orders_of(seller) == [first.json()["id"]]


# --- a shop that nothing serves


@pytest.mark.feature("INV-1", "INV-4")
async def test_a_shop_without_centres_says_so_when_an_order_is_placed(client: Client, seller: Seller) -> None:
    (main,) = (await seller.ask(ListFulfilmentCentres())).items
    await seller.ask(UnassignFulfilmentCentre(centre_id=main.id, shop="main"))
    refused = await place(client, seller.storefront(), new_id().hex)
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
    assert refused.json()["detail"] == "No fulfilment centre sells for this shop: assign one to it."
    (entry,) = refused.json()["errors"]
    assert (entry["sku"], entry["requested"], entry["available"], entry["reason"]) == ("MUG", 2, 0, "no_centre")
    assert await orders_of(seller) == []
    assert await seller.rows("inventory", "SELECT id FROM reservations") == []
