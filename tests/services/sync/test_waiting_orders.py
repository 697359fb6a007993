"""Orders that are set aside are issues of their connection: shown, counted, tried again, and closed when they go on."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.sync.use_cases import waiting_orders
from shared.contracts.orders.events import ImportedOrderChanged
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order
from tests.services.sync.test_doors import graphql
from tests.services.sync.test_orders_and_stock import STATUSES, set_up

pytestmark = pytest.mark.feature("SYN-11", "ORD-5")


async def told(connected: Connected) -> dict[str, tuple[str, str]]:
    """Code and class of the open issues of orders, by the order's number there."""
    found = [each for each in await connected.issues() if each["code"].startswith("order_")]
    return {each["subject"]: (each["code"], each["issue_class"]) for each in found}


async def becomes(connected: Connected, expected: dict[str, tuple[str, str]]) -> None:
    async def is_so() -> bool:
        return await told(connected) == expected

    try:
        await eventually(is_so, 30)
    except AssertionError:
        assert await told(connected) == expected
        raise


async def change(connected: Connected, settings: dict[str, Any]) -> None:
    path = f"/v1/connections/{connected.id}"
    changed = await connected.client.patch(path, json={"settings": settings}, headers=connected.headers)
    assert changed.status_code == 200, changed.text


async def test_an_order_that_waits_is_an_issue_of_its_record_until_it_goes_on(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    settings = connected.connection["settings"] | {"order_statuses": STATUSES, "stock_missing": "backorder"}
    await change(connected, settings)
    for each in (
        order(501, sku="NOT-HERE"),
        order(502, status="odd"),
        order(503, status="pending"),
        order(504) | {"is_paid": False},
        order(505, quantity=99),
        order(506) | {"total": {"amount": 1, "currency": "EUR"}},
    ):
        fake.put_order(each)
    await connected.run("import_orders")
    waiting = {
        "501": ("order_unknown_sku", "retry"),
        "502": ("order_unknown_status", "error"),
        "503": ("order_status", "info"),
        "504": ("order_unpaid", "info"),
        "505": ("order_stock_missing", "retry"),
        "506": ("order_totals_differ", "error"),
    }
    await becomes(connected, waiting)
    issue = next(each for each in await connected.issues() if each["subject"] == "501")
    listing = await connected.get(f"/v1/listings/{issue['listing_id']}")
    assert (listing["entity"], listing["external_id"], issue["feed"]) == ("order", "501", "import_orders")
    assert "NOT-HERE" in issue["message"]
    found = await graphql(
        connected.client,
        connected.caller,
        "query($id: UUID!) { issuePatterns(connectionId: $id) { counts items { code fix setting } } }",
        id=connected.id,
    )
    assert found["issuePatterns"]["counts"] == {"info": 2, "retry": 2, "error": 2}
    patterns = {each["code"]: each for each in found["issuePatterns"]["items"]}
    assert patterns["order_unknown_status"]["setting"] == "order_statuses"
    assert all(patterns[code]["fix"] for code, _ in waiting.values())

    # The setting that mends it; stock that comes; and what is tried again for a product that is here now.
    left = {"paid": "import", "pending": "do_not_import", "odd": "do_not_import"}
    await change(connected, settings | {"order_statuses": left})
    await becomes(connected, {number: waiting[number] for number in ("501", "504", "505", "506")})
    draft = {"slug": "late", "title": "Late", "variants": [{"sku": "NOT-HERE"}]}
    await connected.post("/v1/products", draft, status=201)
    await connected.post("/v1/stock/bulk", [{"sku": "NOT-HERE", "centre": "quay", "on_hand": 5}])
    pattern = {"connection_id": connected.id, "feed": "import_orders", "code": "order_unknown_sku"}
    assert await connected.post("/v1/issue-patterns/retry", pattern) == {"decided": 1}

    async def states() -> dict[str, str]:
        items = (await connected.get("/v1/imported-orders"))["items"]
        return {each["external_id"]: each["state"] for each in items}

    async def is_imported() -> bool:
        return (await states())["501"] == "imported"

    await eventually(is_imported, 30)
    await becomes(connected, {number: waiting[number] for number in ("504", "505", "506")})
    assert (await states())["502"] == "ignored"


async def test_what_was_looked_at_so_often_calls_a_person_and_giving_it_up_closes_it(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake)
    once = {"order_statuses": STATUSES, "recheck_limit": 1}
    await change(connected, connected.connection["settings"] | once)
    fake.put_order(order(501, sku="NOT-HERE"))
    await connected.run("import_orders")
    await becomes(connected, {"501": ("order_unknown_sku", "retry")})
    uow = connected.process.surroundings.unit_of_work("orders", connected.inside("orders"))
    await uow.execute("UPDATE tasks SET due_at = now() WHERE kind = 'orders.take_imported'")
    await uow.commit()
    await becomes(connected, {"501": ("order_unknown_sku", "error")})
    checklist = await connected.get(f"/v1/connections/{connected.id}/checklist")
    assert not next(each for each in checklist["items"] if each["code"] == "no_errors")["is_met"]
    (imported,) = (await connected.get("/v1/imported-orders"))["items"]
    await connected.post(f"/v1/imported-orders/{imported['id']}/give-up", {"reason": "Sold elsewhere"})
    await becomes(connected, {})


async def test_news_of_an_order_twice_late_or_of_somebody_else_changes_nothing(
    connected: Connected, fake: CustomShop
) -> None:
    fake.put_order(order(501))
    await connected.run("import_orders")
    await becomes(connected, {"501": ("order_unknown_status", "error")})

    async def hear(version: int, **said: Any) -> None:
        event = {
            "imported_order_id": uuid4(),
            "connection_id": UUID(connected.id),
            "external_id": "501",
            "state": "set_aside",
            "reason": "unknown_sku",
            "detail": "There is no SKU A.",
            "is_escalated": False,
            "version": version,
        }
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        await waiting_orders.note(uow, ImportedOrderChanged.model_validate(event | said))
        await uow.commit()

    await hear(20)
    await hear(20, reason="unpaid")
    await hear(19, state="imported", reason=None, detail=None)
    await hear(30, external_id="no such order")
    await hear(30, connection_id=uuid4())
    assert await told(connected) == {"501": ("order_unknown_sku", "retry")}
    (issue,) = [each for each in await connected.issues() if each["code"].startswith("order_")]
    assert issue["attempts"] == 1
    await hear(21, is_escalated=True)
    assert await told(connected) == {"501": ("order_unknown_sku", "error")}
    await hear(22)
    assert await told(connected) == {"501": ("order_unknown_sku", "retry")}
    await hear(23, state="imported", reason=None, detail=None)
    assert await told(connected) == {}
