"""Orders by any combination of what can be asked of them: lists, counts and files, through both doors."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest

from deploy import topology
from services.orders.repository import lists
from services.orders.use_cases.listing import days_of, intersection, windows_of
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.orders.lists import ListOrders, OrderFilter
from shared.identifiers import new_id
from tests.doors import Client, caller_of
from tests.factories.catalog import a_shop
from tests.factories.orders import Seller, body
from tests.waiting import until

pytestmark = pytest.mark.feature("ORD-7", "SYN-13", "GAT-1", "GAT-2")


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 500, "CUP": 500})


async def place(client: Client, caller: Caller, email: str = "ada@example.com", **fields: Any) -> dict[str, Any]:
    headers = client.speaking_as(caller, Idempotency_Key=new_id().hex)
    sent = body(customer={"email": email, "name": "=Ada"}, **fields)
    placed = await client.post("/v1/orders", json=sent, headers=headers)
    assert placed.status_code == 201, placed.text
    order: dict[str, Any] = placed.json()
    return order


async def write(seller: Seller, statement: str, *arguments: Any) -> None:
    uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
    await uow.execute(statement, *arguments)
    await uow.commit()


async def listed(client: Client, caller: Caller, **parameters: Any) -> list[str]:
    answer = await client.get("/v1/orders", params=parameters, headers=client.speaking_as(caller))
    assert answer.status_code == 200, answer.text
    return [order["number"] for order in answer.json()["items"]]


async def test_filters_combine_and_counts_agree(client: Client, seller: Seller) -> None:
    storefront = seller.storefront()
    cups = [{"sku": "CUP", "quantity": 1}]
    first, second, third = [
        await place(client, storefront),
        await place(client, storefront, "grace@example.com", lines=cups),
        await place(client, seller.storefront(), "ADA@example.com", lines=cups),
    ]
    await seller.hear("orders", seller.payment(await seller.order(UUID(first["id"]))))
    await seller.hear("orders", seller.payment(await seller.order(UUID(third["id"])), 100))
    headers = client.speaking_as(seller.caller)
    (ada,) = (await client.get("/v1/customers", params={"email": "ada@example.com"}, headers=headers)).json()["items"]
    one, two, three = (order["number"] for order in (first, second, third))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [three, two, one]),
        ({"sort": "oldest"}, [one, two, three]),
        ({"sort": "highest_total"}, [one, three, two]),
        ({"sort": "lowest_total"}, [two, three, one]),
        ({"sort": "last_changed"}, [three, one, two]),
        ({"status": "processing"}, [one]),
        ({"status": ["processing", "pending"]}, [two, one]),
        ({"payment_status": "paid"}, [one]),
        ({"payment_status": ["unpaid", "partly_paid"]}, [three, two]),
        ({"email": " Ada@Example.com"}, [three, one]),
        ({"email": "ada@example.com", "sku": "CUP"}, [three]),
        ({"customer_id": ada["id"], "payment_status": "unpaid"}, []),
        ({"sku": "CUP"}, [three, two]),
        ({"sku": "CU"}, []),
        ({"number": one}, [one]),
        ({"number_prefix": "MAIN-00"}, [three, two, one]),
        ({"number_prefix": two[:-1], "sku": "CUP"}, [three, two]),
        ({"number_prefix": "%"}, []),
        ({"shop": "main", "set": "today"}, [three, two, one]),
        ({"shop": "elsewhere"}, []),
        ({"set": ["today", "yesterday"]}, []),
        ({"set": ["this_year", "this_month", "today"]}, [three, two, one]),
        ({"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}, []),
    ]
    for parameters, expected in cases:
        found = await listed(client, seller.caller, **parameters)
        if "sort" not in parameters:
            counts = (await client.get("/v1/orders/counts", params=parameters, headers=headers)).json()
            assert counts["total"] == len(expected), parameters
        if parameters.get("sort") in ("highest_total", "lowest_total"):
            assert sorted(found) == sorted(expected)
            assert found.index(one) == expected.index(one)
        else:
            assert found == expected, parameters
    counts = (await client.get("/v1/orders/counts", headers=headers)).json()
    assert counts == {
        "total": 3,
        "by_status": {"processing": 1, "pending": 1, "on_hold": 1},
        "by_payment_status": {"paid": 1, "unpaid": 1, "partly_paid": 1},
    }
    assert await listed(client, storefront) == [two, one]
    own = (await client.get("/v1/orders/counts", headers=client.speaking_as(storefront))).json()
    assert own["total"] == 2
    elsewhere = caller_of(seller.organization_id, "orders:read", shop_ids=[new_id()])
    assert await listed(client, elsewhere) == []
    assert await listed(client, caller_of(new_id())) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"status": "lost"},
        {"payment_status": "maybe"},
        {"set": "next_year"},
        {"set": "2026-13"},
        {"set": "0000"},
        {"set": ["today"] * 11},
        {"email": "nobody"},
        {"customer_id": "x"},
        {"sku": "a\u0000"},
        {"number_prefix": "a\u0000"},
        {"shop": "a\u0000"},
        {"sort": "colour"},
        {"from": "yesterday"},
    ],
)
async def test_what_cannot_be_asked_is_refused(client: Client, seller: Seller, parameters: dict[str, Any]) -> None:
    paths = ["/v1/orders"] if "sort" in parameters else ["/v1/orders", "/v1/orders/counts"]
    for path in paths:
        answer = await client.get(path, params=parameters, headers=client.speaking_as(seller.caller))
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text


async def test_forged_cursors_are_refused(client: Client, seller: Seller) -> None:
    for _ in range(2):
        await place(client, seller.storefront())
    headers = client.speaking_as(seller.caller)
    page = (await client.get("/v1/orders", params={"first": 1}, headers=headers)).json()
    for parameters in (
        {"after": page["next"], "sort": "highest_total"},
        {"after": "nonsense"},
        {"after": "WzEsMl0"},
    ):
        answer = await client.get("/v1/orders", params=parameters, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), parameters


@pytest.mark.parametrize("sort", ["latest", "oldest", "highest_total", "lowest_total", "last_changed"])
async def test_pages_neither_double_nor_leave_out_while_orders_come_in(
    client: Client, seller: Seller, sort: str
) -> None:
    there = [(await place(client, seller.storefront()))["number"] for _ in range(6)]
    found: list[str] = []
    after = None
    while True:
        parameters = {"first": 2, "sort": sort} | ({"after": after} if after else {})
        page = (await client.get("/v1/orders", params=parameters, headers=client.speaking_as(seller.caller))).json()
        found += [order["number"] for order in page["items"]]
        after = page["next"]
        if after is None:
            break
        if len(found) <= 4:
            await place(client, seller.storefront())
    assert len(found) == len(set(found))
    assert set(there) <= set(found)


# --- days


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("today", ("2026-03-01", "2026-03-02")),
        ("yesterday", ("2026-02-28", "2026-03-01")),
        ("last_week", ("2026-02-16", "2026-02-23")),
        ("this_month", ("2026-03-01", "2026-04-01")),
        ("this_year", ("2026-01-01", "2027-01-01")),
        ("2025", ("2025-01-01", "2026-01-01")),
        ("2025-12", ("2025-12-01", "2026-01-01")),
        ("2024-02", ("2024-02-01", "2024-03-01")),
        ("9999", ("9999-01-01", "9999-12-31")),
    ],
)
def test_sets_are_days(name: str, expected: tuple[str, str]) -> None:
    # A Sunday.
    first, end = days_of(name, date(2026, 3, 1))
    assert (first.isoformat(), end.isoformat()) == expected


def test_sets_intersect() -> None:
    today = date(2026, 3, 1)
    assert intersection([days_of("2026", today), days_of("2026-03", today)]) == (date(2026, 3, 1), date(2026, 4, 1))
    assert intersection([days_of("today", today), days_of("yesterday", today)]) is None


async def test_days_are_those_of_the_shop(client: Client, seller: Seller) -> None:
    """At one moment it is one day in the one shop and another in the other."""
    now = datetime(2026, 6, 1, 11, 30, tzinfo=UTC)
    far = a_shop(seller.organization_id, code="far", time_zone="Pacific/Kiritimati")
    await seller.hear("orders", ShopChanged(shop=far))
    here = await place(client, seller.storefront())
    there = await place(client, seller.storefront())
    await write(seller, "UPDATE orders SET shop_id = $1 WHERE number = $2", far.id, there["number"])
    # 09:00 on the first of June in UTC, 23:00 of that day on Kiritimati; half past eleven is the second there.
    await write(seller, "UPDATE orders SET placed_at = '2026-06-01T09:00:00Z'")
    with clock.replaced(lambda: now):
        assert await listed(client, seller.caller, set="today") == [here["number"]]
        assert await listed(client, seller.caller, set="yesterday") == [there["number"]]
        assert await listed(client, seller.caller, set="today", shop="far") == []
        assert len(await listed(client, seller.caller, set=["2026-06", "this_year"])) == 2
        await write(seller, "UPDATE orders SET placed_at = '2026-05-31T10:00:00Z'")
        assert await listed(client, seller.caller, set="2026-05") == [here["number"]]
        assert await listed(client, seller.caller, set="2026-06") == [there["number"]]
    assert ZoneInfo("Pacific/Kiritimati").utcoffset(now) == timedelta(hours=14)


@pytest.mark.feature("SYN-13")
async def test_sets_are_suggested_to_whoever_sells_in_many_time_zones(client: Client, seller: Seller) -> None:
    """There is a span for each set of days and time zone: no more of them are asked about than search takes."""
    zones = [name for name in sorted(available_timezones()) if name.startswith("Europe/")][:20]
    for number, zone in enumerate(zones):
        shop = a_shop(seller.organization_id, code=f"far-{number}", time_zone=zone)
        await seller.hear("orders", ShopChanged(shop=shop))
    await place(client, seller.storefront())
    this_year = str(clock.now().year)

    async def is_suggested() -> bool:
        headers = client.speaking_as(seller.caller)
        answer = await client.get("/v1/order-sets", params={"typed": "2"}, headers=headers)
        assert answer.status_code == 200, answer.text
        return (this_year, 1) in {(each["set"], each["count"]) for each in answer.json()["sets"]}

    await until(is_suggested)
    # Search is not told; here there are months of seven years now.
    await write(seller, "UPDATE orders SET placed_at = '2019-06-01T09:00:00Z'")
    assert await is_suggested()


# --- how it is found


async def test_each_filter_is_found_by_an_index(seller: Seller) -> None:
    """Under row-level security an operator that is not leak-proof would filter what an index could not."""
    await _fill(seller, 20_000)
    cases = (
        (OrderFilter(), "latest", "orders_latest", ""),
        (OrderFilter(), "highest_total", "orders_total", ""),
        (OrderFilter(), "last_changed", "orders_changed", ""),
        (OrderFilter(number_prefix="BULK-00012"), "latest", "orders_number", "number"),
        (OrderFilter(number="BULK-000123"), "latest", "number", "number"),
        (OrderFilter(sku="RARE"), "latest", "order_lines_sku", "sku"),
        (OrderFilter(email="rare@example.com"), "latest", "orders_customer", "customer_id"),
        (OrderFilter(payment_status=["refunded"]), "latest", "orders_payment_status", "payment_status"),
        (OrderFilter(status=["returned"]), "latest", "orders_status", "status"),
    )
    uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
    try:
        for asked, sort, index, column in cases:
            question = lists.question_of(asked, await windows_of(uow, asked))
            statement = lists.summaries(question, lists.SORTINGS[sort], 51)  # type: ignore[index]
            plan = "\n".join(row[0] for row in await uow.fetch(f"EXPLAIN {statement}", *question.arguments))
            assert index in plan, plan
            conditions = [line for line in plan.splitlines() if "Index Cond" in line]
            assert any(column in line for line in conditions), plan
            assert "Seq Scan on orders " not in plan, plan
    finally:
        await uow.rollback()


async def _fill(seller: Seller, orders: int) -> None:
    await write(
        seller,
        "INSERT INTO customers (organization_id, id, email)"
        " SELECT $1::uuid, gen_random_uuid(), 'c' || n || '@example.com' FROM generate_series(1, 200) n"
        " UNION ALL SELECT $1::uuid, gen_random_uuid(), 'rare@example.com'",
        seller.organization_id,
    )
    await write(
        seller,
        "WITH made AS (INSERT INTO orders (organization_id, id, number, shop_id, customer_id, status, currency, total,"
        " goods, paid, refunded, placed_at, updated_at)"
        " SELECT $1::uuid, gen_random_uuid(), 'BULK-' || lpad(n::text, 6, '0'), $2::uuid,"
        " (SELECT id FROM customers WHERE email = 'c' || (1 + n % 200) || '@example.com'),"
        " CASE WHEN n % 5000 = 0 THEN 'returned' ELSE 'complete' END, 'USD', 1000 + n % 977,"
        " 1000 + n % 977, 3000,"
        " CASE WHEN n % 4000 = 0 THEN 3000 ELSE 0 END, now() - make_interval(mins => n),"
        " now() - make_interval(mins => n) FROM generate_series(1, $3::integer) n RETURNING id, total)"
        " INSERT INTO order_lines (organization_id, order_id, sku, position, quantity, unit_price)"
        " SELECT $1::uuid, id, 'S' || (row_number() OVER ()) % 500, 1, 1, total FROM made",
        seller.organization_id,
        seller.shop.id,
        orders,
    )
    await _analyse()


# --- files


async def export(client: Client, caller: Caller, **filter_: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    headers = client.speaking_as(caller)
    started = await client.post("/v1/orders/exports", json=filter_, headers=headers)
    assert started.status_code == 202, started.text
    assert started.headers["Location"] == f"/v1/jobs/{started.json()['id']}"

    async def over() -> Any:
        job = (await client.get(started.headers["Location"], headers=headers)).json()
        return job if job["finished_at"] else None

    job = await until(over)
    assert job["state"] == "succeeded", job
    file = await client.get(f"/v1/orders/exports/{job['id']}/file", headers=headers)
    assert (file.status_code, file.headers["content-type"].split(";")[0]) == (200, "text/csv"), file.text
    return job, list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))


async def test_a_file_has_a_row_per_line_and_no_formula(
    client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.orders.use_cases import exporting

    monkeypatch.setattr(exporting, "PORTION", 2)
    both = [{"sku": "MUG", "quantity": 2}, {"sku": "CUP", "quantity": 1}]
    orders = [await place(client, seller.storefront(), lines=both) for _ in range(5)]
    other = await place(client, seller.storefront(), "grace@example.com")
    job, rows = await export(client, seller.caller, email="ada@example.com", sets=["today"])
    assert (job["counters"], job["progress"]) == ({"orders": 5, "rows": 10}, {"done": 5, "total": 5})
    assert [(row["number"], row["sku"]) for row in rows] == [
        (order["number"], sku) for order in orders for sku in ("MUG", "CUP")
    ]
    assert (rows[0]["total"], rows[0]["unit_price"], rows[1]["line_total"]) == ("22.50", "10.00", "2.50")
    assert (rows[0]["customer_name"], rows[0]["customer_email"]) == ("'=Ada", "ada@example.com")
    assert (rows[0]["payment_status"], rows[0]["country"], rows[0]["id"]) == ("unpaid", "US", orders[0]["id"])
    assert len((await export(client, seller.caller))[1]) == 11
    assert (await export(client, seller.caller, status=["returned"]))[1] == []
    limited = caller_of(seller.organization_id, "orders:read", shop_ids=[new_id()])
    assert (await export(client, limited))[1] == [], "nobody exports what they do not see"
    path = f"/v1/orders/exports/{job['id']}/file"
    foreign = await client.get(path, headers=client.speaking_as(limited))
    assert (foreign.status_code, foreign.json()["code"]) == (404, "job_not_found")
    assert (await client.get(path, headers=client.speaking_as(caller_of(new_id())))).status_code == 404
    assert (await client.get(path, headers=client.speaking_as(seller.storefront()))).json()["code"] == "missing_scope"
    assert other["number"]


async def test_exports_of_what_is_not_there_are_refused(client: Client, seller: Seller) -> None:
    for filter_, status, code in (
        ({"shop": "elsewhere"}, 404, "shop_not_found"),
        ({"customer_id": str(new_id())}, 404, "customer_not_found"),
        ({"sets": ["tomorrow"]}, 422, "validation_failed"),
        ({"colour": "red"}, 422, "validation_failed"),
    ):
        refused = await client.post("/v1/orders/exports", json=filter_, headers=client.speaking_as(seller.caller))
        assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_graphql_lists_counts_and_exports(client: Client, seller: Seller) -> None:
    order = await place(client, seller.storefront())
    await place(client, seller.storefront(), "grace@example.com")

    async def ask(text: str, **variables: Any) -> Any:
        headers = client.speaking_as(seller.caller)
        answer = await client.post("/graphql", json={"query": text, "variables": variables}, headers=headers)
        return answer.json()["data"]

    filter_ = 'status: PENDING, paymentStatus: [UNPAID], email: "ADA@example.com", sets: ["today"], sku: "MUG"'
    found = await ask(
        f"{{ orders({filter_}, sort: OLDEST) {{ nodes {{ number paymentStatus }} }}"
        f" orderCounts({filter_}) {{ total byStatus byPaymentStatus }} }}"
    )
    assert found == {
        "orders": {"nodes": [{"number": order["number"], "paymentStatus": "UNPAID"}]},
        "orderCounts": {"total": 1, "byStatus": {"pending": 1}, "byPaymentStatus": {"unpaid": 1}},
    }
    start = (
        "mutation($f: OrderFilterInput) { startOrderExport(filter: $f)"
        " { ... on Job { uuid } ... on Problem { code } } }"
    )
    job = (await ask(start, f={"sku": "MUG"}))["startOrderExport"]
    file = "query($id: UUID!) { orderExportFile(jobId: $id) { name size } job(jobId: $id) { finishedAt } }"

    async def over() -> Any:
        headers = client.speaking_as(seller.caller)
        answer = (
            await client.post("/graphql", json={"query": file, "variables": {"id": job["uuid"]}}, headers=headers)
        ).json()
        return answer["data"]["orderExportFile"]

    assert (await until(over))["name"] == "orders.csv"
    assert (await ask(start, f={"shop": "nowhere"}))["startOrderExport"] == {"code": "shop_not_found"}


async def _analyse() -> None:
    import os

    import asyncpg

    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        await connection.execute("ANALYZE orders.orders; ANALYZE orders.order_lines; ANALYZE orders.customers")
    finally:
        await connection.close()


def test_a_list_takes_all_that_a_filter_takes() -> None:
    assert set(OrderFilter.model_fields) <= set(ListOrders.model_fields)
