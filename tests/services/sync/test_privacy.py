"""A buyer who was erased is nowhere in what sync keeps, and a platform that tells of him again brings nobody back."""

from typing import Any
from uuid import UUID

import pytest

from services.sync.repository import webhooks
from services.sync.use_cases.forgetting import without_buyer
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order
from tests.services.sync.test_orders_and_stock import set_up

pytestmark = pytest.mark.feature("ORD-6", "SYN-14", "ORD-5")

_TABLES = ("listings", "changes", "issues", "webhooks")


async def traces(connected: Connected, words: str) -> dict[str, int]:
    """In which tables of sync, in how many rows, something of a person is."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    found = {}
    for table in _TABLES:
        body = " || encode(t.body, 'escape')" if table == "webhooks" else ""
        found[table] = await uow.fetchval(
            f"SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text{body} ~* $1",
            words,
        )
    await uow.rollback()
    return {table: count for table, count in found.items() if count}


async def told_of(connected: Connected, *bodies: bytes) -> None:
    """Webhooks of the platform have come."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    for body in bodies:
        await webhooks.keep(uow, UUID(connected.id), body.hex(), {}, body)
    await uow.commit()


async def imported(connected: Connected) -> Any:
    return (await connected.get("/v1/imported-orders?first=10"))["items"]


async def test_nothing_is_left_of_a_buyer_and_nothing_comes_back(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    fake.put_order(order(501, status="cancelled"))
    fake.put_order(
        {**order(502, status="cancelled"), "customer": {"email": "grace@example.com", "name": "Grace Hopper"}}
    )
    await connected.run("import_orders")
    await told_of(connected, b'{"id": 501, "customer": "Ada Lovelace"}', b'{"id": 502, "customer": "Grace Hopper"}')

    async def are_here() -> bool:
        return {each["state"] for each in await imported(connected)} == {"imported"}

    await eventually(are_here, 60)
    await connected.heard_all()
    assert set(await traces(connected, "lovelace")) == {"listings", "webhooks"}
    (ada, _) = sorted((await connected.get("/v1/customers"))["items"], key=lambda each: str(each["email"]))
    await connected.post(f"/v1/customers/{ada['id']}/erase", {"reason": "asked by letter"})
    await connected.heard_all()

    assert await traces(connected, "ada@example|lovelace") == {}
    assert await traces(connected, "grace") == {"listings": 1, "webhooks": 1}
    fake.put_order(order(501, status="paid"))
    assert (await connected.run("update_orders", is_full=True))["state"] == "succeeded"
    assert (await connected.run("import_orders", is_full=True))["state"] == "succeeded"
    await connected.heard_all()
    assert await traces(connected, "ada@example|lovelace") == {}
    (listing,) = [
        each for each in (await connected.get(f"/v1/listings?connection_id={connected.id}&entity=order"))["items"]
        if each["external_id"] == "501"
    ]  # fmt: skip
    assert (listing["remote"]["status"], listing["remote"]["customer"]["name"]) == ("paid", "Erased")
    uow = connected.process.surroundings.unit_of_work("orders", connected.inside("orders"))
    told = await uow.fetchval("SELECT count(*) FROM imported_orders WHERE remote::text ~* 'lovelace'")
    await uow.rollback()
    assert told == 0


def test_what_the_sale_was_stays() -> None:
    whole = order(501)
    left = without_buyer(whole)
    assert {name for name in whole if left[name] != whole[name]} == {"customer", "shipping_address"}
    assert left["shipping_address"] == {"line1": "Erased", "city": "Erased", "country": "GB"}
    assert without_buyer(left) == left
    assert without_buyer({"status": "paid"}) == {"status": "paid"}
